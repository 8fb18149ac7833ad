"""Whether the database is vacuumed and analyzed.

Serves the guide's step for a fast growing storage, `VACUUM ANALYZE`. PostgreSQL does both by itself, unless that is
switched off, blocked by a transaction that nobody ends, or slower than what there is to do. What it leaves is counted:
dead rows, statistics that are out of date, and transactions until their numbers run out, where it takes no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.catalog import Counters, count, counters
from observe.errors import CannotTell
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from datetime import datetime

    from observe.database import Database

NUMBERS = 2**31
"""So many transactions may lie between the oldest that isn't frozen and the newest; at 3 million less none begins."""
_SHOWN = 10


@dataclass(frozen=True)
class Table:
    """A table, as the server estimates it.

    Attributes:
        rows: Rows that live.
        dead: Rows that nobody can see any more, and whose place isn't free yet.
        changed: Rows that have come, gone or changed since it was last analyzed.
        analyzed: When that was, aware; None where the server doesn't know of it.
        switched_off: Whether autovacuum leaves it alone.
    """

    name: str
    rows: int
    dead: int
    changed: int
    analyzed: datetime | None
    switched_off: bool

    @property
    def dead_share(self) -> float:
        """The share of dead rows, 0 to 1."""
        return self.dead / (self.rows + self.dead) if self.dead else 0.0


@dataclass(frozen=True)
class Oldest:
    """How far a database is behind with freezing.

    Attributes:
        what: `transactions` or `multixacts`, whichever are more.
        number: How many have passed since.
    """

    database: str
    what: str
    number: int

    @property
    def share(self) -> float:
        """Of the numbers that there are, 0 to 1."""
        return self.number / NUMBERS


@dataclass(frozen=True)
class Wanted:
    """What is judged, and how.

    Attributes:
        floor: Tables of fewer rows aren't judged.
        dead: So large a share of a table's rows may be dead, 0 to 1.
        age: So long ago it may have been analyzed, unless nothing changed since.
        transactions: Of the numbers until they run out, so many may have passed, 0 to 1.
    """

    floor: int
    dead: float
    age: timedelta
    transactions: float


@dataclass(frozen=True)
class Vacuumed:
    """What was seen.

    Attributes:
        tables: How many tables there are.
        large: Those of the floor's rows or more.
        oldest: The database whose transactions are oldest, of `databases`.
        counted: Since when the server counts.
    """

    wanted: Wanted
    tables: int
    large: tuple[Table, ...]
    oldest: Oldest
    databases: int
    counted: Counters

    @property
    def looked_at(self) -> str:
        """The denominator: tables, databases."""
        return (
            f"{count(self.tables, 'table')} ({len(self.large)} of {self.wanted.floor:,} rows or more), "
            f"changes {self.counted.said}; the transactions of {count(self.databases, 'database')}"
        )

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, worst first."""
        oldest, found = self.oldest, []
        if oldest.share >= self.wanted.transactions:
            found.append(
                f"the oldest of the {oldest.what} of {oldest.database} lies {oldest.number:,} back, "
                f"{say_share(oldest.share)} of all numbers"
            )
        for one in self.large:
            off = ", and autovacuum is switched off for it" if one.switched_off else ""
            if one.dead_share > self.wanted.dead:
                found.append(f"{one.name}: {one.dead:,} dead rows, {say_share(one.dead_share)}{off}")
            if self._stale(one):
                found.append(f"{one.name}: analyzed {self._ago(one)}, {one.changed:,} changes since{off}")
        return tuple(found)

    def _stale(self, one: Table) -> bool:
        """Whether its statistics are known to be out of date."""
        if not one.changed:
            return False
        if one.analyzed is not None:
            return self.counted.now - one.analyzed > self.wanted.age
        # When it was analyzed is forgotten with the counters.
        return self.counted.age > self.wanted.age

    def _forgotten(self, one: Table) -> bool:
        """Whether it may be out of date, and nobody can tell."""
        return one.analyzed is None and not self._stale(one) and self.counted.age <= self.wanted.age

    def _ago(self, one: Table) -> str:
        if one.analyzed is None:
            return f"not since {self.counted.since:%Y-%m-%d %H:%M}, as far as is known"
        return f"{say_span(max(self.counted.now - one.analyzed, timedelta(0)))} ago"

    @property
    def said(self) -> str:
        """What is wrong, or the largest figures of what is right."""
        if self.findings:
            more = f"; {len(self.findings) - _SHOWN} more" if len(self.findings) > _SHOWN else ""
            return "; ".join(self.findings[:_SHOWN]) + more
        worst = max(self.large, key=lambda one: one.dead_share, default=None)
        dead = f"at most {say_share(worst.dead_share)} dead rows ({worst.name})" if worst else "no table is judged"
        return f"{dead}; {self.oldest.what} at {say_share(self.oldest.share)} of their numbers ({self.oldest.database})"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside it."""
        off = [one.name for one in self.large if one.switched_off]
        return (f"autovacuum is switched off for {', '.join(off[:_SHOWN])}",) if off else ()

    def rows(self) -> list[dict[str, str]]:
        """The tables that are judged, for the report."""
        return [
            {
                "table": one.name,
                "rows": f"{one.rows:,}",
                "dead": f"{one.dead:,} ({say_share(one.dead_share)})",
                "analyzed": self._ago(one),
                "changes since": f"{one.changed:,}",
            }
            for one in self.large
        ]

    @property
    def dead_share(self) -> float:
        """The largest share of dead rows, 0 to 1."""
        return max((one.dead_share for one in self.large), default=0.0)

    def must_see(self) -> None:
        """Refuse to say that all is well of what was not seen.

        Raises:
            CannotTell: If there is no table, or the counters have forgotten when one was analyzed.
        """
        if not self.tables:
            raise CannotTell("the database has no tables: nothing was looked at", mend="Is it the application's?")
        unknown = [one.name for one in self.large if self._forgotten(one)]
        if unknown:
            raise CannotTell(
                f"when {', '.join(unknown[:_SHOWN])} was analyzed isn't known, nor how many of its rows are dead: "
                f"changes are {self.counted.said} only",
                mend="ANALYZE; counts the rows, and says when.",
            )


def vacuumed(database: Database, wanted: Wanted) -> Vacuumed:
    """How many rows are dead, and when tables were analyzed. PostgreSQL 13 to 18.

    A table is judged by its rows in the catalog where the counters have forgotten them. The parents of partitions are
    left out: they have no rows, and autovacuum never analyzes them.

    Raises:
        CannotTell: If the server doesn't count, or can't be asked.
    """
    counted = counters(database)
    tables = [
        Table(row["name"], row["rows"], row["dead"], row["changed"], row["analyzed"], row["switched_off"])
        for row in database.ask("vacuumed")
    ]
    ages = database.ask("transaction_ages")
    oldest = max(
        (Oldest(row["database"], what, row[what]) for row in ages for what in ("transactions", "multixacts")),
        key=lambda one: one.number,
    )
    large = tuple(one for one in tables if one.rows >= wanted.floor)
    return Vacuumed(wanted, len(tables), large, oldest, len(ages), counted)
