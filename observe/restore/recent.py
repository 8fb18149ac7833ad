"""How far a restored backup reaches: its newest row of activity, held against the time that it was made.

A dump of an old database under today's name restores without an error; only what is in it tells its age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from observe.backups import Backup


@dataclass(frozen=True)
class Recent:
    """How far a backup reaches.

    Attributes:
        name: The backup's file.
        before: How much older than the backup its newest row is, negative if it is younger; None when there is none.
        said: What was seen, in words.
        looked_at: The denominator, in words.
    """

    name: str
    before: timedelta | None
    said: str
    looked_at: str

    @property
    def seconds(self) -> float:
        """The age in seconds; 0 where there is no row."""
        return self.before.total_seconds() if self.before is not None else 0.0

    def within(self, age: timedelta) -> bool:
        """Whether the newest row is at most so much older than the backup."""
        return self.before is not None and self.before <= age


def recent(newest: datetime | None, rows: int, backup: Backup, *, table: str, empty_live: bool) -> Recent:
    """How far a restored backup reaches.

    Args:
        newest: The time of its newest row of activity, aware; None when there is none.
        rows: How many rows of activity it has.
        backup: The backup; its name says when it was made.
        table: The table of activity.
        empty_live: Whether the live one has no row either.

    Raises:
        CannotTell: If the live table is empty as well.
    """
    looked_at = f"{rows:,} rows of {table} in {backup.name}"
    if newest is None:
        if empty_live:
            raise CannotTell(
                f"{table} is empty live as well: it doesn't show how far {backup.name} reaches",
                mend="Say in the target, under [application], which table has a row for everything that a user did.",
            )
        what = "rows without a time" if rows else "no row at all"
        return Recent(backup.name, None, f"{what}, while there are some live", looked_at)
    # In UTC: Python reckons two times of one zone by the clock on the wall, also across a change of clocks.
    before = backup.at.astimezone(UTC) - newest.astimezone(UTC)
    when = f"{newest.astimezone(backup.at.tzinfo):%Y-%m-%d %H:%M}"
    # A row may come while the dump, which is named by its beginning, is being started.
    side = "before" if before >= timedelta(0) else "after"
    return Recent(
        backup.name,
        before,
        f"its newest row is of {when}, {say_span(abs(before))} {side} the time in its name",
        looked_at,
    )
