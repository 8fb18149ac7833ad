"""What an operator of several targets reads in the terminal: a line for each as it ends, then who needs a person first.

Serves the morning check-in of many stacks. What is made here are lines without line ends that are safe to print.
"""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from report.lines import OUTCOMES, SEVERITIES, Line, identity, seconds
from report.terminal import LABELS, SIGNS, columns_of
from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from report.fleet import Facts
    from report.lines import Outcome, Severity
    from report.members import Look

MOST_LINES = 3
"""How many of what needs a person are named for each target; its own report has the others."""
MOST_SHARED = 10
MOST_NAMES = 6
_COLOURS: dict[Outcome, str] = {"broken": "31;1", "cannot tell": "33;1", "set aside": "36", "holds": "32;1"}
_SIGNS: dict[Outcome, str] = {outcome: SIGNS[outcome] for outcome in OUTCOMES}
_WITHOUT_SIGNS: dict[Outcome, str] = {"broken": "!", "cannot tell": "?", "set aside": "-", "holds": " "}
_LONGEST_NAME = 32


class Shared(NamedTuple):
    """What several targets have in common that needs a person.

    Attributes:
        outcome: Broken or can't tell.
        name: What it is: an expectation, or the connection that failed.
        severity: The worst of it.
        targets: Where it is so, at least two.
    """

    outcome: Outcome
    name: str
    severity: Severity
    targets: list[str]


def shared(looks: Sequence[Look]) -> list[Shared]:
    """What is broken or can't be told on several targets, by severity and then by how many those are."""
    found: dict[tuple[Outcome, str], list[tuple[str, Line]]] = {}
    for look in looks:
        for line in look.lines:
            at = found.setdefault((line.head["outcome"], line.head["cause"] or line.head["slug"]), [])
            if all(name != look.name for name, _ in at):
                at.append((look.name, line))
    made = [
        Shared(
            outcome,
            plain(name, 100),
            min((line.severity for _, line in at), key=SEVERITIES.index),
            [one for one, _ in at],
        )
        for (outcome, name), at in found.items()
        if len(at) > 1
    ]
    return sorted(
        made, key=lambda one: (SEVERITIES.index(one.severity), OUTCOMES.index(one.outcome), -len(one.targets))
    )


def heading(facts: Facts) -> str:
    """How many targets there are, and how they are looked at."""
    return f"targets: {facts.total}, {facts.at_once} at the same time, {facts.started:%Y-%m-%d %H:%M %Z}"


def so_far(done: int, total: int, others: Sequence[str]) -> str:
    """How far it is, and which are on."""
    return f"{done} of {total} looked at; still on: {names(others, 4)}"


def names(of: Sequence[str], most: int = MOST_NAMES) -> str:
    """Names in a row, as many as can be read at a glance."""
    listed = [plain(one, 60) for one in of]
    return ", ".join(listed) if len(listed) <= most + 1 else f"{', '.join(listed[:most])} and {len(listed) - most} more"


def numbers(look: Look) -> str:
    """The four counts in words; nothing where there are no results."""
    if not look.results:
        return "nothing was looked at"
    words = {"broken": "broken", "cannot tell": "can't tell", "set aside": "set aside", "holds": "hold"}
    # What there is none of is left out: of twenty lines only what differs is read.
    said = [f"{count} {words[outcome]}" for outcome, count in look.number.items() if count]
    return ", ".join(said)


def worst(look: Look, limit: int = 300) -> list[str]:
    """The worst of what needs a person on a target, each a sentence; how many more there are is the last."""
    made = [look.problem] if look.problem else []
    for line in look.lines[: MOST_LINES - len(made)]:
        head = line.head
        others = f" (+{len(line.folded)} for the same cause)" if line.folded else ""
        made.append(
            f"{LABELS[head['outcome']]} {identity(head)} ({line.severity}): {plain(head['message'], limit)}{others}"
        )
    left = len(look.lines) + bool(look.problem) - len(made)
    made = [plain(one, limit + 200) for one in made]
    return [*made, f"and {left} more"] if left > 0 else made


def message(look: Look) -> str:
    """How a target stands that needs a person, in lines: what its test says when it fails."""
    changed = [plain(look.changed)] if look.changed else []
    page = [f"Report: {look.page}"] if look.page is not None else []
    return "\n".join([f"{look.name}: {numbers(look)}", *worst(look), *changed, *page])


def line(look: Look, *, colour: bool, width: int, whole: bool, signs: bool = True) -> list[str]:
    """How a target stands, in one line of the terminal.

    Args:
        look: What came of it.
        colour: Whether the terminal shows colours.
        width: Columns of the terminal.
        whole: Whether to go on in more lines, with the worst of what needs a person.
        signs: Whether the terminal has the signs of the outcomes; else they are words.
    """
    columns = columns_of(width)
    label = SIGNS[look.outcome] if signs else f"{LABELS[look.outcome]}:"
    said = worst(look, 600 if whole else columns)
    # The counts have said what is broken and what can't be told: of the worst it is told which that is.
    first = said[0].removeprefix(f"{LABELS[look.outcome]} ") if said else ""
    tail = f": {first}" if first and not whole else ""
    took = f", {seconds(look.seconds)}" if look.seconds else ""
    text = plain(f"{label} {look.name} ({numbers(look)}{took}){tail}", 2000)
    first = text if len(text) <= columns or whole else f"{text[: columns - 1].rstrip()}…"
    out = [_painted(label, look.outcome, colour=colour) + first.removeprefix(label)]
    for one in said if whole else ():
        out += _wrapped(one, columns, "    ")
    return out


def summary(
    looks: Sequence[Look],
    facts: Facts,
    page: Path | None,
    *,
    colour: bool,
    width: int,
    short: bool = False,
    signs: bool = True,
) -> list[str]:
    """What stands at the end: a table of the targets, what several have in common, notes, and the verdict.

    Args:
        looks: All targets, what needs a person first.
        facts: What is true of all.
        page: The report; None where there is none.
        colour: Whether the terminal shows colours.
        width: Columns of the terminal.
        short: Whether to say the verdict alone.
        signs: Whether the terminal has the signs of the outcomes.
    """
    columns = columns_of(width)
    known = {look.outcome for look in looks}
    outcome: Outcome = next((one for one in OUTCOMES if one in known), "cannot tell")
    last = [_painted(part, outcome, colour=colour) for part in _wrapped(f"{verdict(looks, facts)}.", columns)]
    if short:
        return last
    out = _table(looks, columns, _SIGNS if signs else _WITHOUT_SIGNS, colour=colour)
    if common := shared(looks):
        out += ["", "On several targets:"]
        for one in common[:MOST_SHARED]:
            label = f"{SIGNS[one.outcome] if signs else ''} {LABELS[one.outcome]}".strip()
            where = f"on {len(one.targets)} of {facts.total}: {names(one.targets)}"
            wrapped = _wrapped(f"  {label} {one.name} ({one.severity}) {where}", columns, "  ")
            out += [wrapped[0].replace(label, _painted(label, one.outcome, colour=colour), 1), *wrapped[1:]]
        out += [f"  and {len(common) - MOST_SHARED} more"] if len(common) > MOST_SHARED else []
    out.append("")
    for note in facts.notes:
        out += _wrapped(f"Note: {plain(note, 600)}.", columns)
    if page is not None:
        out.append(f"The report: {os.path.relpath(page) if page.is_relative_to(Path.cwd()) else page}")
    return out + last


def _table(looks: Sequence[Look], columns: int, signs: Mapping[Outcome, str], *, colour: bool) -> list[str]:
    """A row for each target; what has changed stands last, cut where the line ends."""
    known = [plain(one.name, _LONGEST_NAME + 20)[:_LONGEST_NAME] for one in looks]
    room = max([6, *map(len, known)])
    heads = ("broken", "can't tell", "aside", "hold", "time")
    widths = (7, 11, 6, 6, 10)
    out = [f"  {'target':{room}}{''.join(f'{head:>{width}}' for head, width in zip(heads, widths, strict=True))}"]
    for look, name in zip(looks, known, strict=True):
        cells = [str(count or "·") if look.results else "?" for count in look.number.values()]
        cells.append(seconds(look.seconds) if look.seconds else "")
        row = f" {name:{room}}{''.join(f'{cell:>{width}}' for cell, width in zip(cells, widths, strict=True))}"
        rest = plain(look.problem or look.changed.partition(": ")[2].removesuffix("."), 300)
        left = columns - len(row) - 4
        if rest and left > 12:
            row += f"  {rest if len(rest) <= left else f'{rest[: left - 1]}…'}"
        out.append(_painted(signs[look.outcome], look.outcome, colour=colour) + row.rstrip())
    return out


def verdict(looks: Sequence[Look], facts: Facts) -> str:
    """All targets in one sentence; that nothing ran is never called good."""
    number = Counter(look.outcome for look in looks)
    parts = []
    if number["broken"]:
        parts.append(f"something is broken on {number['broken']}")
    if number["cannot tell"]:
        parts.append(f"{'nothing is seen broken, but ' if not number['broken'] else ''}not everything could be seen "
                     f"on {number['cannot tell']}")  # fmt: skip
    if good := number["holds"] + number["set aside"]:
        parts.append(f"all holds on {good}")
    seen = sum(bool(look.results) for look in looks)
    return (
        f"{facts.total} targets, {facts.cadence}: {', '.join(parts)}; {seen} of {facts.total} looked at, "
        f"in {seconds(facts.seconds)}"
    )


def _wrapped(text: str, columns: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=indent if not text.startswith(" ") else "",
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [""]


def _painted(text: str, outcome: Outcome, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if colour else text
