"""What the database's logs say over all its containers, and what is said beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from observe.container_log import LogLine
from observe.database_window import FatalEntries, fatal_entries
from observe.errors import CannotTell
from observe.window import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from observe.window import LogWindow

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
STARTED = "2026-11-23 10:00:00.000 UTC [1] LOG:  starting PostgreSQL 15.9"
RECOVERY = (
    "2026-11-23 10:00:00.100 UTC [27] LOG:  database system was not properly shut down; automatic recovery in progress"
)
FATAL = '2026-11-23 10:00:01.000 UTC [30] FATAL:  database "x" does not exist'


class Window:
    def __init__(self, *logs: list[str]) -> None:
        self.since = AT
        self._logs = logs

    def read(self, reader: Callable[[Iterable[LogLine]], Any]) -> Seen[Any]:
        results = [reader(LogLine(AT, "stderr", text) for text in log) for log in self._logs]
        return Seen(results, "all of it", ("a note",))


def found(*logs: list[str]) -> FatalEntries:
    return fatal_entries(cast("LogWindow", Window(*logs)), expected=(), own=lambda _: False)


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ([[STARTED]], ()),
        ([[STARTED, RECOVERY]], ("1 start found the database not properly shut down",)),
        ([[STARTED, RECOVERY], [RECOVERY]], ("2 starts found the database not properly shut down",)),
    ],
)
def test_starts_after_a_power_cut_are_said_and_do_not_count(logs: list[list[str]], said: tuple[str, ...]) -> None:
    seen = found(*logs)
    assert seen.bad == 0
    assert seen.notes == (*said, "a note")


def test_what_is_fatal_is_counted_over_all_logs() -> None:
    seen = found([STARTED, FATAL], [FATAL])
    assert (seen.bad, seen.said, len(seen.rows)) == (2, "2 FATAL or PANIC", 2)


def test_a_log_that_is_not_postgresqls_cannot_tell() -> None:
    with pytest.raises(CannotTell, match="looks like PostgreSQL's"):
        found(["hello"])
