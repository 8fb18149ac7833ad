"""The command line for what people have to say: python -m records attest | waive | list; and for the guide's table."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from observe.clock import Clock, local_zone
from observe.errors import CannotTell
from records import attestations, guide, waivers
from records.not_applicable import check_not_applicable, what_does_not_apply
from records.slugs import ROOT, read_slugs
from records.tables import Day, Link, RecordError, Said, shown
from report.text import plain
from target.choose import target_file
from target.load import TargetError, load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from records.attestations import Attestation, Attestations
    from records.slugs import Slugs
    from records.waivers import Waivers
    from target.load import Loaded

EXAMPLE = 'For example: python -m records attest admin-rotation --by Mira --note "new passwords, in the vault"'


@dataclass(frozen=True)
class Desk:
    """What a command works with.

    Attributes:
        loaded: The target.
        slugs: The expectations that there are.
        today: The day in the target's zone.
    """

    loaded: Loaded
    slugs: Slugs
    today: date

    @property
    def attestations(self) -> Attestations:
        """All that was attested."""
        return attestations.read(self.loaded.attestations, self.slugs, self.today)

    @property
    def waivers(self) -> Waivers:
        """All waivers."""
        return waivers.read(self.loaded.waivers, self.slugs, self.today)

    def period(self, slug: str) -> timedelta | None:
        """For how long an attestation of it holds; None for what isn't attested."""
        limit = self.slugs.attested.get(slug)
        period: timedelta | None = getattr(self.loaded.limits, limit).value if limit else None
        return period


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run one command.

    Args:
        arguments: The words after the program's name; None for this process's own.
        root: The project's root.

    Returns:
        The exit status: 0 done, 1 refused, 2 wrongly asked.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "guide":
            sys.stdout.write("".join(f"{plain(line)}\n" for line in guide.write(root, read_slugs(root), options.check)))
            return 0
        file = target_file(options.target, root=root, directory=Path.cwd(), environment=os.environ)
        loaded = load(file)
        desk = Desk(loaded, read_slugs(root), Clock(local_zone(loaded.target.host.zone)).now().date())
        said = {"attest": _attest, "waive": _waive, "list": _list}[options.command](desk, options)
    except (RecordError, TargetError) as error:
        return _refused(str(error))
    except CannotTell as error:
        return _refused(f"{error}. {error.mend}")
    sys.stdout.write("".join(f"{plain(line)}\n" for line in said))
    return 0


def _refused(why: str) -> int:
    sys.stderr.write("".join(f"records: {plain(line)}\n" for line in why.splitlines()))
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m records", description="What people have said of a target.", epilog=EXAMPLE
    )
    commands = parser.add_subparsers(dest="command", required=True)
    attest = commands.add_parser("attest", help="write down what somebody has done", epilog=EXAMPLE)
    attest.add_argument("slug", metavar="SLUG", help="the expectation; `list` shows those that are attested")
    attest.add_argument("--by", required=True, metavar="NAME", help="who did it")
    attest.add_argument("--note", required=True, metavar="TEXT", help="what was done")
    attest.add_argument("--date", default="", metavar="YYYY-MM-DD", help="when; default: today, in the host's zone")
    attest.add_argument("--link", default="", metavar="URL", help="where more is to be read")
    attest.add_argument(
        "--covers",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VERSION",
        help="packages that were looked at, for a review of dependencies; for encryption-at-rest the provider's keys: "
        "database=KEY backups=KEY",
    )
    waive = commands.add_parser("waive", help="allow something to be broken for a while")
    waive.add_argument("slug", metavar="SLUG[ITEM]", help="the expectation, or one of its items: disk-space[root]")
    waive.add_argument("--reason", required=True, metavar="TEXT", help="why it may be broken")
    waive.add_argument("--by", required=True, metavar="NAME", help="who has allowed it")
    waive.add_argument("--until", required=True, metavar="YYYY-MM-DD", help="the last day on which it holds")
    bound = waive.add_mutually_exclusive_group()
    bound.add_argument("--at-most", metavar="FIGURE", help='it holds only up to that figure: "85 %%", "60 MiB", 12')
    bound.add_argument("--at-least", metavar="FIGURE", help='it holds only down to that figure: "20 d"')
    bound.add_argument(
        "--covers", nargs="+", action="extend", default=[], metavar="ID", help="it holds only for findings of these ids"
    )
    listed = commands.add_parser("list", help="show what was attested and when it is due, and the waivers")
    for command in (attest, waive, listed):
        command.add_argument("--target", default="", metavar="FILE", help="the target file, or `lab`, as for pytest")
    lines = commands.add_parser("guide", help=f"write {guide.TABLE}: the guide's lines, and who looks after each")
    lines.add_argument("--check", action="store_true", help="write nothing; exit with 1 if it isn't current")
    return parser


def _attest(desk: Desk, options: argparse.Namespace) -> list[str]:
    given: dict[str, Any] = {
        "slug": options.slug,
        "date": _day(options.date) if options.date else desk.today,
        "by": options.by,
        "note": options.note,
        **({"link": options.link} if options.link else {}),
        **({"covers": _covered(options.covers)} if options.covers else {}),
    }
    kinds = {"slug": Said, "date": Day, "by": Said, "note": Said, "link": Link}
    attestation = attestations.Attestation(**_values(given, kinds))
    if trouble := desk.slugs.trouble(attestation.slug):
        raise RecordError(f"{trouble}.")
    period = desk.period(attestation.slug)
    if period is None and not attestation.covers:
        raise RecordError(
            f"{attestation.slug} is seen by the suite itself and isn't attested. Attested are: "
            f"{', '.join(desk.slugs.attested) or 'none'}. A review of dependencies says which: --covers NAME=VERSION"
        )
    now = attestations.add(desk.loaded.attestations, attestation, desk.slugs, desk.today)
    if period is None:
        until = f"It covers {_packages(attestation)} in the version given"
    else:
        due = now.due(attestation.slug, period, desk.today)
        until = f"It holds through {due.on}" if due.holds else f"It is due all the same, since {due.on}"
    return [
        f"{attestation.slug}: attested on {attestation.date} by {attestation.by}, in {now.file}.",
        f"{until}. Commit the file: it is the record.",
    ]


def _reviewed(desk: Desk, attested: Attestations) -> set[str]:
    """What was reviewed rather than attested: what an attestation covers besides is told by the suite."""
    return {one.slug for one in attested.all if one.covers and one.slug not in desk.slugs.attested}


def _packages(review: Attestation) -> str:
    return f"{len(review.covers)} package{'s' if len(review.covers) != 1 else ''}"


def _waive(desk: Desk, options: argparse.Namespace) -> list[str]:
    given: dict[str, Any] = {
        "slug": options.slug,
        "reason": options.reason,
        "by": options.by,
        "until": _day(options.until),
    }
    for name in ("at_most", "at_least"):
        if (figure := getattr(options, name)) is not None:
            given[name] = _figure(figure)
    kinds = {
        "slug": Said,
        "reason": Said,
        "by": Said,
        "until": Day,
        "at_most": waivers.Bound,
        "at_least": waivers.Bound,
    }
    covers = tuple(_values({"covers": one}, {"covers": Said})["covers"] for one in options.covers)
    waiver = waivers.Waiver(**_values(given, kinds), covers=covers)
    now = waivers.add(desk.loaded.waivers, waiver, desk.slugs, desk.today)
    left = waiver.left(desk.today)
    bound = f", while it is {waiver.bound_words}" if waiver.bound else ""
    bound += f", for {', '.join(waiver.covers)} only" if waiver.covers else ""
    return [
        f"{waiver.slug}: waived by {waiver.by}, in {now.file}.",
        f"It holds through {waiver.until} ({left} day{'s' if left != 1 else ''} from today){bound}. Commit the file.",
    ]


def _list(desk: Desk, options: argparse.Namespace) -> list[str]:
    del options
    target = desk.loaded.target
    if problems := check_not_applicable(target.not_applicable, desk.slugs):
        raise RecordError("\n".join(f"{desk.loaded.file}: {problem}" for problem in problems))
    lines = [*_list_attested(desk), "", *_list_waived(desk)]
    if says := what_does_not_apply(target):
        lines += ["", f"Not applicable, in {desk.loaded.file}:"]
        lines += [f"    {name}: {reason}" for name, reason in says.items()]
    return lines


def _list_attested(desk: Desk) -> list[str]:
    attested = desk.attestations
    lines = [f"Attested, in {attested.file}:"]
    for slug in desk.slugs.attested:
        period = desk.period(slug)
        if period is not None:
            due = attested.due(slug, period, desk.today)
            lines.append(f"  {'  ' if due.holds else '! '}{slug}: {due.words}")
    reviews = (attested.latest(slug) for slug in sorted(_reviewed(desk, attested)))
    lines += [f"    {one.slug}: reviewed on {one.date} by {one.by}, {_packages(one)}" for one in reviews if one]
    return lines if len(lines) > 1 else [*lines, "    nothing"]


def _list_waived(desk: Desk) -> list[str]:
    waived = desk.waivers
    lines = [f"Waived, in {waived.file}:"]
    for one in waived.all:
        left = one.left(desk.today)
        how_long = "ended" if left < 0 else "last day" if left == 0 else f"{left} day{'s' if left != 1 else ''} left"
        lines.append(f"  {'! ' if left < 0 else '  '}{one.slug}: {how_long}; {one.words}")
    return lines if waived.all else [*lines, "    nothing"]


def _values(given: dict[str, Any], kinds: dict[str, Any]) -> dict[str, Any]:
    """What was given as the model takes it, held against the same kinds as what stands in a file."""
    values, problems = {}, []
    for name, value in given.items():
        if name not in kinds:
            values[name] = value
            continue
        try:
            values[name] = kinds[name].parse(value)
        except ValueError as error:
            problems.append(f"--{name.replace('_', '-')} {shown(value)!r}: {error}.")
    if problems:
        raise RecordError("\n".join(problems))
    return values


def _day(text: str) -> date | str:
    # Nothing but 2026-12-01: Python also takes 20261201 and 2026-W49-2.
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return day if day.isoformat() == text else text


def _figure(text: str) -> object:
    """A plain number as a number, anything else as the text that it is."""
    try:
        figure: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
    return figure if isinstance(figure, int | float) else text


def _covered(pairs: Sequence[str]) -> dict[str, str]:
    covered: dict[str, str] = {}
    for pair in pairs:
        name, _, version = (part.strip() for part in pair.partition("="))
        version = version.removeprefix("=").strip()  # as pip writes it: NAME==VERSION
        if not name or not version:
            raise RecordError(f"--covers {shown(pair)!r}: write NAME=VERSION, as Django=5.2.1")
        if name in covered:
            raise RecordError(f"--covers: {shown(name)!r} stands there twice")
        covered[name] = version
    return covered


if __name__ == "__main__":
    sys.exit(main())
