"""The operations guide's lines and who looks after each: `records/guide.toml` held against the tests, as a table.

The suite stands without the guide. What its lines say is told in words of our own, by line number, and every line is
accounted for: as something that is covered, as something that can't be, or as form (a heading, a blank, a fence).
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import msgspec

from records.slugs import ROOT
from records.tables import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from records.slugs import Known, Slugs

FILE = "records/guide.toml"
TABLE = "docs/guide.md"
CADENCES = ("daily", "weekly", "monthly", "quarterly", "annual")
_LOOKERS = frozenset({"attested", "limits", "evidence", "clock"})
"""What a test asks for that looks at nothing but what somebody has attested."""
_SPAN = re.compile(r"([1-9]\d{0,5})(?:-([1-9]\d{0,5}))?")


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the guide says.

    Attributes:
        at: Its line, `"8"`, or its lines, `"11-12"`; they count from 1.
        says: What it says, in a few words of our own.
        by: The slugs of the expectations that cover it.
        not_applicable: Why none covers it.
    """

    at: str
    says: str
    by: tuple[str, ...] = ()
    not_applicable: str = ""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the guide says under one heading.

    Attributes:
        title: The section's name in the table.
        lines: What it says.
        form: The lines that say nothing of their own, written as `at` is.
    """

    title: str
    lines: tuple[Line, ...]
    form: tuple[str, ...] = ()


class Beside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an expectation is there that no line asks for.

    Attributes:
        line: The line that brings one to it.
        why: What that line doesn't see.
    """

    line: int
    why: str


class Guide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole guide.

    Attributes:
        lines: How many lines it has.
        section: Its sections, in its order.
        beside: The expectations that no line asks for, by slug.
    """

    lines: int
    section: tuple[Section, ...]
    beside: dict[str, Beside]


def read_guide(root: Path = ROOT) -> Guide:
    """Read what the guide says.

    Args:
        root: The project's root.

    Raises:
        RecordError: If the file can't be read, or isn't as it should be.
    """
    file = root / FILE
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Guide)
    except (OSError, ValueError) as error:  # msgspec's and tomllib's own are ValueErrors
        raise RecordError(f"{file}: it can't be read: {error}.") from None


def problems(guide: Guide, slugs: Slugs) -> list[str]:
    """What is wrong between the guide's lines and the tests: what, where and how to mend it; empty when all is well."""
    return [*_unaccounted(guide), *_uncovered(guide, slugs), *_forgotten(guide, slugs)]


def _unaccounted(guide: Guide) -> Iterator[str]:
    """Every line stands exactly once in `at` or `form`, and what is said stands in the guide's order."""
    where: dict[int, str] = {}
    before = 0
    for section in guide.section:
        for line in section.lines:
            if (first := next(iter(span(line.at)), 0)) <= before:
                yield f'{FILE}: at = "{line.at}" of {section.title!r} is out of order: sort the lines by their numbers.'
            before = max(before, first)
        for at in (*(line.at for line in section.lines), *section.form):
            if not (numbers := span(at)):
                yield f'{FILE}: "{at}" of {section.title!r} is no line: write "8", or "11-12".'
            for number in numbers:
                if number in where or number > guide.lines:
                    other = f"stands in {where[number]!r} as well" if number in where else f"is beyond {guide.lines}"
                    yield f"{FILE}: line {number} of {section.title!r} {other}: it stands once, in `at` or in `form`."
                where[number] = section.title
    if missing := [str(number) for number in range(1, guide.lines + 1) if number not in where]:
        yield f"{FILE}: nothing is said of line {', '.join(missing[:20])}: add it, or count it as form."


def _uncovered(guide: Guide, slugs: Slugs) -> Iterator[str]:
    """Every line has an expectation that there is, or a reason, and words."""
    for section in guide.section:
        for line in section.lines:
            where = f"{FILE}: line {line.at} of {section.title!r}"
            if bool(line.by) == bool(line.not_applicable.strip()):
                yield f"{where} needs either `by`, who covers it, or `not_applicable`, why nobody does."
            if not line.says.strip():
                yield f"{where} says nothing: tell it in a few words, or count it as form."
            yield from (f"{where}: {trouble}." for slug in line.by if (trouble := slugs.trouble(slug)))


def _forgotten(guide: Guide, slugs: Slugs) -> Iterator[str]:
    """Every expectation covers a line, or stands beside the guide with a reason, and not both."""
    covering = {slug for section in guide.section for line in section.lines for slug in line.by}
    for slug in slugs.known:
        if slug not in covering and slug not in guide.beside:
            yield f"{FILE}: {slug} covers no line: name it in `by` of one, or say under [beside] why it is there."
    for slug, beside in guide.beside.items():
        if trouble := slugs.trouble(slug):
            yield f"{FILE}: under [beside] {trouble}."
        if slug in covering:
            yield f"{FILE}: {slug} covers a line and stands under [beside] as well: take it out there."
        if not beside.why.strip() or not 1 <= beside.line <= guide.lines:
            yield f"{FILE}: {slug} under [beside] needs a line from 1 to {guide.lines}, and a reason."


def span(at: str) -> range:
    """The lines that `"8"` or `"11-12"` names; none where it is neither."""
    match = _SPAN.fullmatch(at)
    return range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)


def how(known: Known) -> str:
    """How it is known whether an expectation holds: it is looked at, tried out, or attested."""
    if known.period:
        return "attested" if known.arguments <= _LOOKERS else "looked at or attested"
    return "tried out (a drill)" if "drill" in known.marks else "looked at"


def cadence(known: Known) -> str:
    """When it is looked at: its cadences, and whether an emergency's run looks at it as well."""
    often = [one for one in CADENCES if one in known.marks]
    return ", ".join([*often, *(["triage"] if "triage" in known.marks else [])])


def table(guide: Guide, slugs: Slugs) -> str:
    """The table of all lines, as Markdown.

    Args:
        guide: What the guide says; without `problems`.
        slugs: The expectations.
    """
    said = [line for section in guide.section for line in section.lines]
    covered = sum(len(span(line.at)) for line in said if line.by)
    apart = sum(len(span(line.at)) for line in said if not line.by)
    beside = [
        f"| {one.line} | {_named(slugs.known[slug])} | {how(slugs.known[slug])} | {_cell(one.why)} |"
        for slug, one in sorted(guide.beside.items(), key=lambda each: (each[1].line, each[0]))
    ]
    return "\n".join(
        [
            "# The guide's lines, and who looks after each",
            "",
            f"<!-- Made by `python -m records guide` from {FILE} and the tests: change those. -->",
            "",
            f"The operations guide has {guide.lines} lines: {covered} are covered by an expectation, {apart} are not",
            f"applicable, for a reason that stands there, and {guide.lines - covered - apart} are form: headings,",
            f"blanks, fences. There are {len(slugs.known)} expectations, of which {len(guide.beside)} go beyond it.",
            "",
            "*Looked at*: the suite sees it by itself. *Attested*: somebody has done it and has said so",
            "(`python -m records attest`). *Tried out*: a drill, with `--allow-disruption`.",
            *(text for section in guide.section for text in _section(section, slugs)),
            "",
            "## Beside the guide",
            "",
            "What no line asks for, and whoever reads the line would want to know as well.",
            "",
            "| by line | expectation | how | why |",
            "|---|---|---|---|",
            *beside,
            *_index(guide, slugs),
            "",
        ]
    )


def _index(guide: Guide, slugs: Slugs) -> Iterator[str]:
    """The other way round: each expectation with its place in the guide as its test tells it, and its lines."""
    yield from ("", "## By expectation", "", "| expectation | its place, as its test says | lines |", "|---|---|---|")
    for slug, known in sorted(slugs.known.items()):
        lines = [line.at for section in guide.section for line in section.lines if slug in line.by]
        beside = f"beside {guide.beside[slug].line}" if slug in guide.beside else ""
        yield f"| `{slug}` | {_cell(known.guide)} | {', '.join(lines) or beside} |"


def _section(section: Section, slugs: Slugs) -> Iterator[str]:
    yield from ("", f"## {section.title}", "", "| line | what it says | covered by | how |", "|---|---|---|---|")
    for line in section.lines:
        by = [slugs.known[slug] for slug in line.by]
        names = "<br>".join(_named(one) for one in by) or "nobody"
        ways = "<br>".join(how(one) for one in by) or f"not applicable: {_cell(line.not_applicable)}"
        yield f"| {line.at} | {_cell(line.says)} | {names} | {ways} |"


def _named(known: Known) -> str:
    return f"`{known.slug}` {known.severity}, {cadence(known)}"


def _cell(text: str) -> str:
    """Words that can't end a cell of the table."""
    return " ".join(text.split()).replace("|", "\\|")


def write(root: Path, slugs: Slugs, check: bool = False) -> list[str]:
    """Write the table, or see whether it is current.

    Args:
        root: The project's root.
        slugs: The expectations.
        check: Write nothing, and refuse a table that isn't current.

    Returns:
        What was done, in lines.

    Raises:
        RecordError: If the lines and the tests don't fit together, or with `check` the table isn't current.
    """
    guide = read_guide(root)
    if wrong := problems(guide, slugs):
        raise RecordError("\n".join(wrong))
    file, text = root / TABLE, table(guide, slugs)
    current = file.is_file() and file.read_text(encoding="utf-8") == text
    if check and not current:
        raise RecordError(f"{TABLE} is not current: run `python -m records guide` and commit it.")
    try:
        if not current:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{file}: it can't be written: {error.strerror}.") from None
    return [f"{TABLE}: {'current' if current else 'written'}; {guide.lines} lines, {len(slugs.known)} expectations."]
