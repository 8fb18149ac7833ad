"""The newest row of a backup tells whether it is as old as its name says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from observe.backups import Backup
from observe.errors import CannotTell
from observe.restore.recent import Recent, recent

MADE = datetime(2026, 11, 24, 2, tzinfo=ZoneInfo("Europe/Berlin"))
BACKUP = Backup("b.sql.gz", MADE, 1, MADE)


def judged(newest: datetime | None, rows: int = 5, *, empty_live: bool = False) -> Recent:
    return recent(newest, rows, BACKUP, table="public.api_activity", empty_live=empty_live)


@pytest.mark.parametrize(
    ("newest", "holds"),
    [
        (datetime(2026, 11, 24, 0, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 1, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 0, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 10, 24, 1, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 24, 1, 0, 30, tzinfo=UTC), True),
        (None, False),
    ],
)
def test_the_newest_row_is_at_most_a_day_older_than_the_backup(newest: datetime | None, holds: bool) -> None:
    assert judged(newest).within(timedelta(hours=24)) is holds


def test_it_is_said_in_the_zone_of_the_backups_name() -> None:
    seen = judged(datetime(2026, 10, 24, 10, 0, tzinfo=UTC))
    assert seen.said == "its newest row is of 2026-10-24 12:00, 30.6 d before the time in its name"
    assert seen.looked_at == "5 rows of public.api_activity in b.sql.gz"


def test_an_hour_more_in_the_night_that_the_clocks_change_is_counted() -> None:
    made = datetime(2026, 10, 25, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    seen = recent(
        datetime(2026, 10, 24, 10, tzinfo=UTC), 1, Backup("b", made, 1, made), table="public.t", empty_live=False
    )
    assert seen.seconds == 25 * 3600


def test_no_row_where_there_are_some_live_is_broken() -> None:
    assert judged(None, 0).said == "no row at all, while there are some live"


def test_a_table_that_is_empty_live_as_well_tells_nothing() -> None:
    with pytest.raises(CannotTell, match=r"public\.api_activity is empty live as well"):
        judged(None, 0, empty_live=True)
