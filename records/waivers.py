"""What is known to be broken, who has allowed that, and until when. One function decides: :func:`verdict`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Self

from records.slugs import split
from records.tables import (
    Day,
    RecordError,
    Said,
    add_table,
    parse,
    quoted,
    read_text,
    shown,
)
from target.kinds import Share, Size, Span, say_bytes, say_share, say_span
from target.model import Section

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from records.slugs import Slugs
    from records.tables import Tables

NAME = "waiver"
MOST_DAYS = 366
"""A waiver for longer than a year is a change of what is wanted: that is a limit, or not_applicable."""
WARNED_DAYS = 7
MOST_OF_REASON = 300
MOST_IDS = 10
_UNITS = {"s": "a span of time", "B": "a size", "share": "a share", "1": "a plain number"}
_EXAMPLES = {"s": '"24 h"', "B": '"60 MiB"', "share": '"83 %"', "1": "12"}


class Bound:
    """A figure with its unit, up to which something is waived: `"83 %"`, `"60 MiB"`, `"24 h"`, `12`.

    Attributes:
        value: The figure, in seconds, bytes, parts of one or things.
        unit: As evidence has it: `s`, `B`, `share`, `1`.
        written: As it stands in the file.
    """

    __slots__ = ("unit", "value", "written")

    def __init__(self, value: float, unit: str, written: str | float) -> None:
        self.value = value
        self.unit = unit
        self.written = written

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
            return cls(float(value), "1", value)
        for kind, unit in ((Share, "share"), (Size, "B"), (Span, "s")) if isinstance(value, str) else ():
            try:
                read = kind.parse(value)
            except ValueError:
                continue
            return cls(read.total_seconds() if isinstance(read, Span) else float(read), unit, str(value).strip())
        raise ValueError('a bound is a figure with its unit, "83 %", "60 MiB" or "24 h", or a plain number, 12')

    def __str__(self) -> str:
        return str(self.written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bound) and (other.value, other.unit) == (self.value, self.unit)

    def __hash__(self) -> int:
        return hash((self.value, self.unit))

    def __repr__(self) -> str:
        return f"Bound({self.value!r}, {self.unit!r}, {self.written!r})"


class Waiver(Section, frozen=True):
    """One thing that may be broken for a while."""

    slug: Said
    """The expectation, or one of its items: `disk-space[root]`."""
    reason: Said
    """Why it may be."""
    by: Said
    """Who has allowed it."""
    until: Day
    """The last day on which it holds, in the host's zone."""
    at_most: Bound | None = None
    """It holds only while the figure is no more than this."""
    at_least: Bound | None = None
    """It holds only while the figure is no less than this."""
    covers: tuple[Said, ...] = ()
    """It holds only for findings of these ids, such as advisories; not given: whatever is found."""

    def __post_init__(self) -> None:
        if self.at_most is not None and self.at_least is not None:
            raise ValueError("give either at_most or at_least, not both")
        if self.covers and self.bound is not None:
            raise ValueError("give either what it covers or a figure, not both")

    @property
    def bound(self) -> Bound | None:
        """The figure to which it is bound."""
        return self.at_most if self.at_most is not None else self.at_least

    @property
    def bound_words(self) -> str:
        """How it is bound: `at most 83 %`; empty if it isn't."""
        return f"at {'most' if self.at_most is not None else 'least'} {self.bound}" if self.bound else ""

    @property
    def name(self) -> str:
        """What it is, at the beginning of a sentence."""
        return f"the waiver of {shown(self.slug)} by {shown(self.by)}"

    @property
    def words(self) -> str:
        """By whom, until when and why."""
        bound = f", while {self.bound_words}" if self.bound else ""
        ids = f", for {shown(', '.join(self.covers), MOST_OF_REASON)}" if self.covers else ""
        return f"waived by {shown(self.by)}, until {self.until}{bound}{ids}: {shown(self.reason, MOST_OF_REASON)}"

    @property
    def keys(self) -> frozenset[str]:
        """The ids that it covers, for comparing: nobody means two things by GHSA-x and ghsa-X."""
        return frozenset(one.strip().casefold() for one in self.covers)

    def left(self, today: date) -> int:
        """How many days are left of it after today; 0 on its last day, below that it has ended."""
        return self.until.toordinal() - today.toordinal()

    def unneeded(self) -> str:
        """What is to be said when the expectation holds."""
        return f"{self.name}, until {self.until}, is no longer needed: what it covers holds; take it out"

    def lines(self) -> list[str]:
        """The table as it stands in the file.

        Raises:
            ValueError: If a text can't stand in a file.
        """
        table = [f"[[{NAME}]]", *(f"{key} = {quoted(getattr(self, key))}" for key in ("slug", "reason", "by"))]
        table.append(f"until = {self.until.isoformat()}")
        if self.covers:
            table.append(f"covers = [{', '.join(quoted(one) for one in self.covers)}]")
        for key, bound in (("at_most", self.at_most), ("at_least", self.at_least)):
            if bound is not None:
                written = quoted(bound.written) if isinstance(bound.written, str) else repr(bound.written)
                table.append(f"{key} = {written}")
        return table


@dataclass(frozen=True)
class Covered:
    """What is broken may be.

    Attributes:
        reason: By whom, until when and why, for the reader.
        warning: What should be better about the waiver; mostly empty.
    """

    reason: str
    warning: str = ""


@dataclass(frozen=True)
class Exceeded:
    """It is broken: worse than the waiver allows, or in another way.

    Attributes:
        words: How, in one sentence without its full stop.
    """

    words: str


@dataclass(frozen=True)
class Expired:
    """It is broken: the waiver has ended.

    Attributes:
        words: When, in one sentence without its full stop.
    """

    words: str


@dataclass(frozen=True)
class Waivers:
    """All waivers, in the order of the file.

    Attributes:
        file: Where they stand.
        all: The waivers.
    """

    file: Path
    all: tuple[Waiver, ...]

    def on(self, slug: str, item: str, today: date) -> Waiver | None:
        """The waiver that a result has to do with, ended or not; None if there is none.

        One of the very item goes before one of all items, and one that holds before one that has ended.

        Args:
            slug: The expectation.
            item: Which of its items; empty when it has none.
            today: The day in the host's zone.
        """
        mine = [one for one in self.all if split(one.slug) in {(slug, item), (slug, "")}]
        return min(mine, key=lambda one: (one.left(today) < 0, not split(one.slug)[1]), default=None)

    def beside(self, waiver: Waiver) -> tuple[Waiver, ...]:
        """The other waivers of the same expectation or item, which there are where each names ids of its own."""
        return tuple(one for one in self.all if one is not waiver and one.slug == waiver.slug)

    def warnings(self, today: date) -> list[str]:
        """What the reader should know of the waivers themselves: those that end within a week, and have ended."""
        said = []
        for one in self.all:
            left = one.left(today)
            if left < 0:
                said.append(_ended(one, today))
            elif left <= WARNED_DAYS:
                when = "today" if left == 0 else f"in {left} day{'s' if left != 1 else ''}"
                said.append(f"{one.name} ends on {one.until}, {when}")
        return said

    def without_result(self, results: Collection[tuple[str, str]]) -> list[str]:
        """Waivers of an item that the run had not among those that it looked at: a mistyped item covers nothing.

        Args:
            results: Slug and item of every result.
        """
        said = []
        for one in self.all:
            slug, item = split(one.slug)
            items = sorted(its for of, its in results if of == slug)
            if item and items and item not in items:
                said.append(f"{one.name} covers nothing: {slug} has no item {item}; there are {', '.join(items)[:300]}")
        return said


def verdict(
    waiver: Waiver,
    figures: Sequence[Mapping[str, Any]],
    today: date,
    *,
    ids: Sequence[Sequence[str]] = (),
    beside: Sequence[Waiver] = (),
) -> Covered | Exceeded | Expired:
    """Whether a waiver covers what is broken. Every output asks this one function.

    Args:
        waiver: As :meth:`Waivers.on` gave it.
        figures: The evidence's: name, value, unit and limit.
        today: The day in the host's zone, when the report is made.
        ids: The evidence's findings: the names that each goes by.
        beside: As :meth:`Waivers.beside` gave them.
    """
    if waiver.left(today) < 0:
        return Expired(_ended(waiver, today))
    if waiver.covers:
        return _of_ids((waiver, *beside), ids, today)
    bound, limited = waiver.bound, [one for one in figures if one.get("limit") is not None]
    if bound is None:
        warning = ""
        if limited:
            one = limited[0]
            warning = (
                f"{waiver.name} has no bound: {one['name']} is {_said(one['value'], one['unit'])} and may grow worse "
                "unseen until it ends; give it at_most or at_least"
            )
        return Covered(waiver.words, warning)
    if not figures:
        return Exceeded(f"{waiver.name} is bound to {waiver.bound_words}, and there is no figure to hold against it")
    figure = next((one for one in limited if one["unit"] == bound.unit), (limited or figures)[0])
    if trouble := _trouble(waiver, bound, figure):
        return Exceeded(trouble)
    value = float(figure["value"])
    if value <= bound.value if waiver.at_most is not None else value >= bound.value:
        return Covered(waiver.words)
    return Exceeded(f"{waiver.name} covers {waiver.bound_words}, and {figure['name']} is {_said(value, bound.unit)}")


def _of_ids(waivers: Sequence[Waiver], ids: Sequence[Sequence[str]], today: date) -> Covered | Exceeded:
    """Whether each finding is covered under one of its names by a waiver that holds."""
    first = waivers[0]
    if not ids:
        return Exceeded(f"{first.name} covers {_some(first.covers)} only, and what is broken names nothing like that")
    used: dict[str, None] = {}
    left, ended = [], []
    for names in ids:
        keys = {one.strip().casefold() for one in names}
        mine = [one for one in waivers if not keys.isdisjoint(one.keys)]
        if holding := next((one for one in mine if one.left(today) >= 0), None):
            used[holding.words] = None
        else:
            left.append(names[0] if names else "what has no id")
            ended += [f"; {_ended(one, today)}" for one in mine]
    if not left:
        return Covered("; ".join(used))
    return Exceeded(f"not covered by {first.name}: {_some(left)}{''.join(dict.fromkeys(ended))}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_IDS} more" if len(names) > MOST_IDS else ""
    return shown(", ".join(names[:MOST_IDS]), MOST_OF_REASON) + more


def _trouble(waiver: Waiver, bound: Bound, figure: Mapping[str, Any]) -> str:
    """Why a figure can't be held against the bound; empty when it can."""
    name, value, unit, limit = (figure[key] for key in ("name", "value", "unit", "limit"))
    if unit != bound.unit:
        return (
            f"{waiver.name} is bound to {waiver.bound_words}, which is {_UNITS[bound.unit]}, but {name} is "
            f"{_UNITS.get(unit, unit)}: write it as {_EXAMPLES.get(unit, 'a number')}"
        )
    if limit is None or not (value < limit if waiver.at_most is not None else value > limit):
        return ""
    # On this side of its limit it is right, or gets worse the other way, where no such bound would ever end.
    side, other = ("below", "at_least") if waiver.at_most is not None else ("above", "at_most")
    return (
        f"{waiver.name} covers {waiver.bound_words}, but {name} is {_said(value, unit)}, {side} its limit of "
        f"{_said(limit, unit)}: something else is broken, or {other} was meant"
    )


def _said(value: float, unit: str) -> str:
    if not abs(value) < 1e15:
        return f"{value:g} {unit}"  # no number at all, or beyond what can be told
    if unit == "s" and abs(value) < 1e11:
        return say_span(timedelta(seconds=value))
    return {"B": say_bytes, "share": say_share}.get(unit, "{:g}".format)(value)


def _ended(waiver: Waiver, today: date) -> str:
    days = -waiver.left(today)
    return f"{waiver.name} ended on {waiver.until}, {days} day{'s' if days != 1 else ''} ago"


def read(file: Path, slugs: Slugs, today: date) -> Waivers:
    """Read the waivers. A file that isn't there holds none.

    Args:
        file: The file.
        slugs: The expectations that there are.
        today: The day in the host's zone.

    Raises:
        RecordError: If something in it isn't right. All that is wrong is said at once.
    """
    text = read_text(file)
    return Waivers(file, ()) if text is None else _parsed(file, text, slugs, today)


def _parsed(file: Path, text: str, slugs: Slugs, today: date) -> Waivers:
    tables = parse(file, text, NAME, Waiver)
    first: dict[str, dict[str, int]] = {}
    for number, one in tables.good():
        if trouble := slugs.trouble_with(one.slug):
            tables.wrong(number, "slug", trouble)
        if one.left(today) > MOST_DAYS:
            last = today + timedelta(days=MOST_DAYS)
            tables.wrong(number, "until", f"{one.until} is more than a year ahead; {last} is the last day that can be")
        _once(tables, number, one, first)
    tables.finish()
    return Waivers(file, tuple(one for _, one in tables.good()))


def _once(tables: Tables[Waiver], number: int, one: Waiver, first: dict[str, dict[str, int]]) -> None:
    """Say if there is a waiver of the same already: of several of an expectation each names ids of its own."""
    known, mine = first.setdefault(one.slug, {}), one.keys or frozenset({""})
    same = min((other for key, other in known.items() if key in mine or "" in {key, *mine}), default=None)
    for key in mine:
        known.setdefault(key, number)
    if same is not None:
        at = f" on line {line}" if (line := tables.line(same)) else ""
        tables.wrong(number, "", f"there is a waiver of {one.slug} already{at}: change that one")


def add(file: Path, waiver: Waiver, slugs: Slugs, today: date) -> Waivers:
    """Add a waiver to the end of the file, which is made if there is none.

    Returns:
        What the file now holds.

    Raises:
        RecordError: If the waiver or something in the file isn't right, or it can't be written.
            Nothing was changed then.
    """
    if waiver.left(today) < 0:
        raise RecordError(f"{NAME} of {waiver.slug}: until: {waiver.until} is over, today is {today}.")
    return add_table(file, NAME, waiver, lambda text: _parsed(file, text, slugs, today))
