"""What the questions to PostgreSQL's own catalog and counters have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from datetime import datetime

    from observe.database import Database


@dataclass(frozen=True)
class Counters:
    """The server's counters of this database.

    Attributes:
        since: Since when it counts, aware; a crash sets that back as `pg_stat_reset()` does.
        now: The server's time, aware.
    """

    since: datetime
    now: datetime

    @property
    def age(self) -> timedelta:
        """For how long it has counted."""
        return max(self.now - self.since, timedelta(0))

    @property
    def said(self) -> str:
        """The same in words."""
        return f"counted for {say_span(self.age)}"


def counters(database: Database) -> Counters:
    """Since when the server counts what happens to tables. PostgreSQL 13 to 18.

    Raises:
        CannotTell: If it doesn't count, doesn't say since when, or can't be asked.
    """
    rows = database.ask("counters")
    if not rows or rows[0]["counts"] != "on":
        raise CannotTell("the server doesn't count what happens to tables", mend="Set track_counts = on, and reload.")
    (row,) = rows
    if row["since"] is None:
        raise CannotTell("the server doesn't say since when it counts what happens to tables")
    return Counters(row["since"], row["now"])


def count(number: int, thing: str, things: str = "") -> str:
    """A number with what it is of: `1 index`, `2,000 indexes`."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
