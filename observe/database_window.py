"""The database's log over a window: what was fatal, over all its containers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from observe.database_log import DatabaseLog, read
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from observe.container_log import LogLine
    from observe.database_log import Entry
    from observe.window import Window
    from target.kinds import Pattern


@dataclass(frozen=True)
class FatalEntries:
    """What was fatal in a window.

    Attributes:
        bad: FATAL and PANIC entries that nothing sets aside, and crashes of server processes.
        said: They in words; empty when there are none.
        rows: The last of them for the report.
        expected: How many the settings or the suite's own doing set aside, and which.
        notes: What doesn't count and should be known, in words.
        looked_at: The denominator in words.
    """

    bad: int
    said: str
    rows: tuple[dict[str, str], ...]
    expected: tuple[str, ...]
    notes: tuple[str, ...]
    looked_at: str


def managed_elsewhere() -> CannotTell:
    """Why nothing is told of the log of a database that is no container of the stack, and what to do about it."""
    return CannotTell(
        "the database is managed elsewhere (services.database is empty): no container here has its log",
        mend="Have its provider tell you of FATAL and PANIC entries (an alarm on its log, or its export), and write "
        "that under [not_applicable] as database-log-quiet.",
    )


def fatal_entries(
    window: Window[Any],
    *,
    expected: Sequence[Pattern],
    own: Callable[[Entry], bool],
) -> FatalEntries:
    """Find what was fatal in the logs of the database's containers.

    Args:
        window: Of the logs of the database's containers.
        expected: FATAL messages that belong to a planned start or stop.
        own: Whether an entry is of this suite's own doing.

    Raises:
        CannotTell: If a log can't be read, is empty, doesn't reach back far
            enough or is not PostgreSQL's.
    """
    patterns = [re.compile(pattern) for pattern in expected]

    def find(lines: Iterable[LogLine]) -> DatabaseLog:
        return read(lines, ignore=patterns, own=own, since=window.since)

    logs, looked_at, notes, _ = window.read(find)
    if not any(log.entries for log in logs):
        raise CannotTell(
            f"nothing in the database's log looks like PostgreSQL's: {looked_at}, none with a severity",
            mend="Is services.database the right service, and lc_messages English?",
        )
    fatal, crashes = sum(log.fatal_count for log in logs), sum(log.crashes for log in logs)
    entries = [entry for log in logs for entry in (*log.crash_entries, *log.fatal)]
    recoveries = sum(log.recoveries for log in logs)
    if recoveries:
        starts = "1 start" if recoveries == 1 else f"{recoveries} starts"
        notes = (f"{starts} found the database not properly shut down", *notes)
    set_aside = [f"{number} x {pattern}" for log in logs for pattern, number in log.ignored.items()]
    parts: list[str] = []
    if crashes:
        parts.append("a server process crashed" if crashes == 1 else f"{crashes} crashes of a server process")
    if fatal:
        parts.append(f"{fatal} FATAL or PANIC")
    return FatalEntries(
        bad=fatal + crashes,
        said=", ".join(parts),
        rows=tuple(
            {
                "when": f"{entry.at:%Y-%m-%d %H:%M:%S} UTC" if entry.at else "?",
                "severity": entry.severity,
                "message": " ".join([entry.message, *entry.details]),
            }
            for entry in entries[-20:]
        ),
        expected=tuple(set_aside),
        notes=notes,
        looked_at=looked_at,
    )
