"""What another limit would have said of the figures that were measured: `--what-if limits.disk_used=0.7`.

Whoever thinks of changing a limit sees beforehand how often it would have called somebody, and which nights would have
turned. It speaks of figures, not of expectations: one may be broken for another reason, or pass over a figure that its
floor makes none.

No fragment made here contains a line break, for the reason that `report.html` gives.
"""

from __future__ import annotations

import textwrap
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from report.history_file import HistoryError
from report.terminal import columns_of
from report.text import html, plain
from report.trends import say
from target.kinds import say_span
from target.limits import AT_LEAST, STRICT, meets
from target.model import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, tzinfo

    from report.chronicle import Point
    from report.run import Run

_PREFIX = "limits."
_MOST_NIGHTS = 10
_MOST_FIGURES = 20
_NAME = 60


class WhatIf(NamedTuple):
    """A limit, and what it might be.

    Attributes:
        name: Its dotted name: `limits.disk_used`.
        value: The other value, in the unit of the figures that are held against it: seconds, bytes, a share.
        shown: The same as a person writes it.
    """

    name: str
    value: float
    shown: str


class Stretch(NamedTuple):
    """The longest unbroken time beyond a limit: from its first look to its last, both of them aware."""

    since: datetime
    until: datetime
    looks: int


@dataclass(frozen=True)
class Held:
    """One figure that was held against the limit.

    Attributes:
        name: Expectation, item and figure, as plain text.
        unit: Its unit.
        looks: How often it was measured.
        since: When first, aware.
        until: When last.
        was_beyond: How often it was beyond the limit that was in force then.
        would_be_beyond: How often it would have been beyond the other one.
        first: The first of those looks; None where there is none.
        last: The last of them.
        worse: When it held and would have been beyond, by time.
        better: When it was beyond and would have held, by time.
        longest: The longest time that it would have been beyond.
        least: The lowest figure.
        most: The highest one.
    """

    name: str
    unit: str
    looks: int
    since: datetime
    until: datetime
    was_beyond: int
    would_be_beyond: int
    first: datetime | None
    last: datetime | None
    worse: tuple[datetime, ...]
    better: tuple[datetime, ...]
    longest: Stretch | None
    least: float
    most: float


@dataclass(frozen=True)
class Answer:
    """What another limit would have said.

    Attributes:
        asked: The question.
        held: The figures that were held against it, the one that would have been beyond it most often at the head.
        others: The limits that have figures, where this one has none.
    """

    asked: WhatIf
    held: tuple[Held, ...]
    others: tuple[str, ...] = ()


def parse(asked: Sequence[str]) -> list[WhatIf]:
    """Read what was asked for.

    Args:
        asked: Each `limits.disk_used=0.7`; the value is written as in a target file, its quotes may be left out.

    Raises:
        ValueError: If one of them names no limit or has no value that it can have; says what would be right.
    """
    return [_parsed(one) for one in asked]


def _parsed(text: str) -> WhatIf:
    dotted, sign, written = (part.strip() for part in text.partition("="))
    if not (sign and written):
        raise ValueError(f"--what-if {plain(text, 80)}: write a limit and its value, as limits.disk_used=0.7")
    kinds = {one.name: one.type for one in msgspec.structs.fields(Limits)}
    name = dotted.removeprefix(_PREFIX)
    if name not in kinds:
        near = get_close_matches(name, kinds, 3, 0.5)
        hint = f"; did you mean {' or '.join(_PREFIX + one for one in near)}?" if near else ""
        raise ValueError(
            f"--what-if {plain(text, 80)}: there is no limit {plain(dotted, 60)}{hint} (--expectations lists them)"
        )
    value = _value(written, kinds[name], f"--what-if {plain(text, 80)}")
    figure = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(figure, int | float):
        # ValueError, as for all that is wrong with what was asked.
        raise ValueError(  # noqa: TRY004
            f"--what-if {plain(text, 80)}: no figure can be held against {_PREFIX}{name}, which is no number"
        )
    return WhatIf(_PREFIX + name, float(figure), str(value))


def _value(written: str, kind: Any, where: str) -> Any:  # noqa: ANN401
    """The value by the limit's own type: as TOML would read it, else as a text without its quotes."""
    try:
        read = tomllib.loads(f"value = {written}")
    except (ValueError, RecursionError):
        read = {}
    data: object = read["value"] if len(read) == 1 else written
    try:
        return msgspec.convert(data, kind, dec_hook=lambda wanted, given: wanted.parse(given))
    except msgspec.ValidationError as error:
        wanted = str(error)
        raise ValueError(f"{where}: {wanted[:1].lower()}{wanted[1:]}, not {plain(written, 60)}") from None


def answers(asked: Iterable[WhatIf], points: Sequence[Point]) -> list[Answer]:
    """What the other limits would have said.

    Args:
        asked: The questions.
        points: All figures of the kept history, in any order.
    """
    found = []
    for one in asked:
        of_it = [point for point in points if point.bound is not None and point.bound_name == one.name]
        of_it.sort(key=lambda point: (point.slug, point.item, point.name, point.at))
        held = [
            _held(one, list(group))
            for _, group in groupby(of_it, key=lambda point: (point.slug, point.item, point.name))
        ]
        held.sort(key=lambda figure: -figure.would_be_beyond)
        others = () if held else tuple(sorted({point.bound_name for point in points if point.bound_name}))
        found.append(Answer(one, tuple(held), others))
    return found


def _held(asked: WhatIf, points: Sequence[Point]) -> Held:
    """One figure's looks, by time."""
    first = points[0]
    was = [one.bound is not None and not meets(one.bound_name, one.value, one.bound) for one in points]
    would = [not meets(asked.name, one.value, asked.value) for one in points]
    beyond = [one.at for one, is_so in zip(points, would, strict=True) if is_so]
    both = list(zip(points, was, would, strict=True))
    name = " ".join(plain(part, _NAME) for part in (first.slug, f"[{first.item}]" if first.item else "") if part)
    return Held(
        name=f"{name}: {plain(first.name, _NAME)}",
        unit=first.unit,
        looks=len(points),
        since=first.at,
        until=points[-1].at,
        was_beyond=sum(was),
        would_be_beyond=len(beyond),
        first=beyond[0] if beyond else None,
        last=beyond[-1] if beyond else None,
        worse=tuple(one.at for one, before, after in both if after and not before),
        better=tuple(one.at for one, before, after in both if before and not after),
        longest=_longest(points, would),
        least=min(one.value for one in points),
        most=max(one.value for one in points),
    )


def _longest(points: Sequence[Point], beyond: Sequence[bool]) -> Stretch | None:
    """The longest time in which every look was beyond; of equally long ones that with the most looks."""
    stretches = []
    for is_so, group in groupby(zip(points, beyond, strict=True), key=lambda one: one[1]):
        if is_so:
            part = [one.at for one, _ in group]
            stretches.append(Stretch(part[0], part[-1], len(part)))
    return max(stretches, key=lambda one: (one.until - one.since, one.looks), default=None)


def of_history(run: Run, asked: Sequence[WhatIf]) -> list[Answer]:
    """What the other limits would have said over the kept history of a run's target, this run among it.

    Args:
        run: The run; what it has measured is written down already.
        asked: The questions.

    Raises:
        HistoryError: If the history can't be read.
    """
    since = run.started - run.loaded.target.report.history_kept
    return answers(asked, run.chronicle.points(since, run.started)) if asked else []


def terminal_lines(run: Run, asked: Sequence[str], width: int) -> list[str]:
    """The answers as they stand above a run's verdict; why there are none, where the history can't be read.

    Args:
        run: The run.
        asked: The questions as they were put, which `parse` takes.
        width: Columns of the terminal.
    """
    if not run.keeps_history:
        said = ["--what-if looks at the kept history, and with --no-history there is none."]
    else:
        try:
            said = sentences(of_history(run, parse(asked)), run.clock.zone)
        except HistoryError as why:
            said = [f"--what-if can't tell: {why}"]
    columns = columns_of(width)
    return [line for one in said for line in textwrap.wrap(plain(one, 2000), columns, subsequent_indent="    ")]


def sentences(found: Iterable[Answer], zone: tzinfo) -> list[str]:
    """The answers as plain text, a sentence or a few of them for each figure.

    Args:
        found: The answers.
        zone: In which dates are said.
    """
    out = []
    for answer in found:
        out.append(_question(answer))
        out += [_of_figure(answer.asked, one, zone) for one in answer.held[:_MOST_FIGURES]]
        if len(answer.held) > _MOST_FIGURES:
            out.append(f"And {len(answer.held) - _MOST_FIGURES:,} more figures.")
    return out


def section(found: Sequence[Answer], zone: tzinfo) -> str:
    """The answers as a chapter of the report.

    Args:
        found: The answers.
        zone: In which dates are said.

    Returns:
        One `section` element without a line break; nothing where nothing was asked.
    """
    if not found:
        return ""
    parts = []
    for answer in found:
        items = "".join(f"<li>{html(_of_figure(answer.asked, one, zone), 1000)}</li>" for one in answer.held[:20])
        more = len(answer.held) - _MOST_FIGURES
        items += f"<li>And {more:,} more figures.</li>" if more > 0 else ""
        parts.append(f"<p>{html(_question(answer), 2000)}</p>{f'<ul>{items}</ul>' if items else ''}")
    note = "It speaks of these figures alone: an expectation may be broken for another reason, or pass one over."
    return f'<section class="chapter what-if"><h2>What if</h2>{"".join(parts)}<p><small>{note}</small></p></section>'


def _question(answer: Answer) -> str:
    asked = answer.asked
    if not answer.held:
        others = f"; these have figures: {', '.join(answer.others)}" if answer.others else "; no limit has figures yet"
        return f"What if {asked.name} were {asked.shown}: nothing measured is held against {asked.name}{others}."
    short = asked.name.removeprefix(_PREFIX)
    wanted = "more than" if short in AT_LEAST else "less than"
    if short not in STRICT:
        wanted = "at least" if short in AT_LEAST else "at most"
    number = len(answer.held)
    return f"What if {asked.name} were {asked.shown} ({wanted} that is wanted), {_many(number, 'figure')}:"


def _of_figure(asked: WhatIf, one: Held, zone: tzinfo) -> str:
    """What would have been said of one figure."""
    figures = sorted({say(one.least, one.unit): one.least, say(one.most, one.unit): one.most}.items(), key=_second)
    looks = f"{_many(one.looks, 'look')} ({_from_to(one.since, one.until, zone)}, {' to '.join(dict(figures))})"
    said = f"{one.name}: of {looks} this figure would have been beyond {asked.shown} in {one.would_be_beyond:,}"
    said += f", with the limit as it was in {one.was_beyond:,}"
    parts = [said]
    if one.first is not None and one.last is not None:
        parts.append(f"that is {_from_to(one.first, one.last, zone, 'first on ', ', last on ')}")
    if one.longest is not None and one.longest.looks > 1:
        lasted = say_span(one.longest.until - one.longest.since)
        parts.append(f"the longest for {lasted} ({_many(one.longest.looks, 'look')} in a row)")
    if one.worse:
        parts.append(f"would no longer have held: {_nights(one.worse, zone)}")
    if one.better:
        parts.append(f"would have held: {_nights(one.better, zone)}")
    return f"{'; '.join(parts)}."


def _nights(looks: Sequence[datetime], zone: tzinfo) -> str:
    """Days in a row, those that follow on one another together, the newest last; bounded."""
    days = sorted({at.astimezone(zone).date() for at in looks})
    begins = [days[0], *(two for one, two in pairwise(days) if two - one > timedelta(days=1))]
    ends = [*(one for one, two in pairwise(days) if two - one > timedelta(days=1)), days[-1]]
    runs = [f"{one}" if one == two else f"{one} to {two}" for one, two in zip(begins, ends, strict=True)]
    left_out = len(runs) - _MOST_NIGHTS
    return ", ".join(runs[-_MOST_NIGHTS:]) + (f" and {left_out:,} times before" if left_out > 0 else "")


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


def _from_to(since: datetime, until: datetime, zone: tzinfo, before: str = "", between: str = " to ") -> str:
    """Two days in words; one where they are the same."""
    first, last = _day(since, zone), _day(until, zone)
    return f"on {first}" if first == last else f"{before}{first}{between}{last}"


def _day(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d}"


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
