"""What a test saw, for the reader: what was wanted, what was seen, of how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target.limits import Limit

MOST_ROWS = 50
MOST_LINES = 50


class Evidence:
    """The record of one test. A test that records no denominator has looked at nothing, and is an error."""

    def __init__(self) -> None:
        self.thing = ""
        self.seen = ""
        self.wanted = ""
        self.denominator = ""
        self.cause = ""
        self._limits: list[Limit[Any]] = []
        self._notes: list[str] = []
        self._tables: list[dict[str, Any]] = []
        self._excerpts: list[dict[str, Any]] = []
        self._figures: list[dict[str, Any]] = []
        self._charts: list[dict[str, Any]] = []
        self._branches: list[dict[str, str]] = []
        self._ids: list[list[str]] = []
        self._chapter = ""

    def compare(self, thing: str, *, seen: str, wanted: str, limits: Sequence[Limit[Any]] = ()) -> None:
        """Record what is held against what.

        Args:
            thing: What was looked at: a file, a service, a page.
            seen: What was seen, with its unit.
            wanted: What was wanted, likewise.
            limits: Where the wanted comes from.
        """
        self.thing, self.seen, self.wanted = thing, seen, wanted
        self._limits = list(limits)

    def looked_at(self, what: str) -> None:
        """Record the denominator: what was looked at, of how much."""
        self.denominator = what.strip()

    def stands_for(self, cause: str) -> None:
        """Say that others wait for this thing: broken, it heads the one line that they are folded into.

        Args:
            cause: As in :class:`observe.errors.CannotTell` of those others.
        """
        self.cause = cause

    def note(self, text: str) -> None:
        """Record something that the reader should know beside the outcome."""
        self._notes.append(text)

    def table(self, title: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Record rows of like things; the first row's keys are the columns. Bounded, and said so."""
        if not rows:
            return
        columns = list(rows[0])
        shown = [[str(row.get(column, "")) for column in columns] for row in rows[:MOST_ROWS]]
        if len(rows) > MOST_ROWS:
            title = f"{title} ({MOST_ROWS} of {len(rows)})"
        self._tables.append({"title": title, "columns": columns, "rows": shown})

    def excerpt(self, title: str, lines: Sequence[str], *, of: int | None = None) -> None:
        """Record some lines of a log.

        Args:
            title: What they are.
            lines: The lines; they are bounded here.
            of: How many there were in all, where more were seen than are given.
        """
        if not lines:
            return
        total = len(lines) if of is None else max(of, len(lines))
        shown = list(lines[:MOST_LINES])
        self._excerpts.append({"title": title, "lines": shown, "left_out": total - len(shown)})

    def chart(self, title: str, points: Sequence[tuple[str, float]], unit: str = "") -> None:
        """Record figures that are looked at as a picture: bars, one for each point.

        Args:
            title: What they are.
            points: What each bar stands for, and its figure.
            unit: The figures' unit in words: `calls`.
        """
        if points:
            self._charts.append({"title": title, "unit": unit, "points": [[label, value] for label, value in points]})

    def chapter(self, title: str) -> None:
        """Say that the tables and pictures of this test are a part of the report by themselves, under that title."""
        self._chapter = title

    def branch(self, *, figure: str, limit: str, taken: str, there: str = "") -> None:
        """Record which way was taken at a question of the guide's decision tree, which the report draws.

        Args:
            figure: What was seen, with its unit and in a word or two: `1,001`.
            limit: What it was held against, likewise.
            taken: `no`, it isn't over its limit; `yes`, it is; `there`, it is, and what the guide advises is there.
            there: What is there, in words.
        """
        self._branches.append({"figure": figure, "limit": limit, "taken": taken, "there": there})

    def finding(self, *names: str) -> None:
        """Record a finding that a waiver may cover by itself.

        Args:
            names: Its id, then the others that it goes by: an advisory's aliases.
        """
        self._ids.append([str(name) for name in names])

    def figure(self, name: str, value: float, unit: str, limit: Limit[Any] | None = None) -> None:
        """Record a number that is worth following over time.

        Args:
            name: What it measures, unique within the expectation.
            value: The figure that was compared.
            unit: Its unit: `s`, `B`, `share`, `1`.
            limit: What it was held against.
        """
        bound = None if limit is None else _number(limit.value)
        setting = "" if limit is None or bound is None else limit.name
        self._figures.append({"name": name, "value": value, "unit": unit, "limit": bound, "limit_name": setting})

    @property
    def message(self) -> str:
        """Thing, what was seen, what was wanted and where that comes from, in one sentence."""
        origin = f" ({'; '.join(limit.source for limit in self._limits)})" if self._limits else ""
        return f"{self.thing}: {self.seen}; wanted: {self.wanted}{origin}"

    def as_dict(self) -> dict[str, Any]:
        """The record as plain data, which is what crosses process borders."""
        return {
            "expected": self.wanted,
            "seen": self.seen,
            "looked_at": self.denominator,
            "limits": [limit.as_dict() for limit in self._limits],
            "notes": self._notes,
            "tables": self._tables,
            "excerpts": self._excerpts,
            "figures": self._figures,
            "charts": self._charts,
            "branches": self._branches,
            "ids": self._ids,
            "chapter": self._chapter,
        }


def _number(value: object) -> float | None:
    if hasattr(value, "total_seconds"):
        return float(value.total_seconds())
    return float(value) if isinstance(value, int | float) else None
