"""Whether what is to be deleted is deleted.

Serves the guide's policy for a fast growing storage, `DELETE FROM api_activity WHERE created_at < NOW() - INTERVAL '1
year'`, which nothing but an operator or a scheduled job carries out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from observe.database import Database
    from target.model import Application


@dataclass(frozen=True)
class Retention:
    """How far back a table goes.

    Attributes:
        table: The table, as the settings name it.
        oldest: The time of its oldest row, aware.
        now: The time of the run, aware.
        bound: Rows from before it are too old, aware.
        older: How many there are.
        notes: What the reader should know beside it.
    """

    table: str
    oldest: datetime
    now: datetime
    bound: datetime
    older: int
    notes: tuple[str, ...] = ()

    @property
    def age(self) -> timedelta:
        """The oldest row's age; negative where it is of the future."""
        return self.now.astimezone(UTC) - self.oldest.astimezone(UTC)

    @property
    def holds(self) -> bool:
        """Whether none is too old."""
        return self.oldest >= self.bound

    @property
    def looked_at(self) -> str:
        """The denominator."""
        return f"the oldest row of {self.table}, of {self.oldest:%Y-%m-%d %H:%M}"

    @property
    def said(self) -> str:
        """How old the oldest row is, and how many are too old."""
        age = f"{say_span(self.age)} old" if self.age >= timedelta(0) else "of the future"
        if self.holds:
            return f"the oldest row is {age}"
        rows = "1 row is" if self.older == 1 else f"{self.older:,} rows are"
        return f"{rows} from before {self.bound:%Y-%m-%d %H:%M}, the oldest {age}"


def retention(
    database: Database, tables: Application, since: datetime, now: datetime, *, seconds: float | None = None
) -> Retention:
    """How many rows of activity are older than `since`. PostgreSQL 13 to 18.

    Args:
        database: Whose.
        tables: Where the activity is.
        since: Rows from before it are too old, aware.
        now: The time of the run, aware.
        seconds: Total time limit of each question, in seconds; None for the session's own.

    Raises:
        CannotTell: If the table isn't there or may not be read, has no such column, or has no row.
    """
    names = {"activity": tables.activity, "activity_at": tables.activity_at}
    (row,) = database.ask("activity_reach", names=names, values={"until": since}, seconds=seconds)
    if row["oldest"] is None:
        raise CannotTell(
            f"{tables.activity} has no row with a {tables.activity_at}: nothing was looked at",
            mend="Is it the table that the application writes its activity to? "
            "Name the right one as application.activity.",
        )
    zoned = row["kind"] == "timestamp with time zone"
    notes = () if zoned else (f"the times have no zone; they are taken for {row['zone']}, as the session has it",)
    oldest, older = row["oldest"].astimezone(now.tzinfo), 0
    if oldest < since:
        older = database.ask("activity_older", names=names, values={"since": since}, seconds=seconds)[0]["rows"]
    return Retention(tables.activity, oldest, now, since, older, notes)
