"""PostgreSQL's log: what was fatal in it, and crashes.

Serves the guide's `docker-compose logs db | tail -5`, which shows whatever
came last. A failed login or a missing database is a FATAL; a crash of a
backend process is not: the server says it at LOG, in lines such as `server
process (PID 123) was terminated by signal 9: Killed`, and then restarts every
process, cutting off every client.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from observe.container_log import LogLine

_ENTRIES_SHOWN = 20
_DETAILS_SHOWN = 3
_WIDTH = 500

# The server writes two spaces behind the label, whatever prefix it is told to write before it.
# The leftmost one is the line's; a later one is part of a statement or a message.
_LABEL = re.compile(
    r"(?<![A-Za-z0-9_])(DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC"
    r"|DETAIL|HINT|QUERY|CONTEXT|LOCATION|BACKTRACE|STATEMENT):  "
)
_SECONDARY = frozenset({"DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT"})
_SHOWN_WITH_ENTRY = frozenset({"DETAIL", "HINT"})  # not the statement: it may hold data or a password
_STATEMENT_IN_DETAIL = "Failed process was running:"
_CLIENT_PROGRAM = re.compile(r"(?:psql|pg_\w+|createdb|dropdb|createuser|vacuumdb|initdb): ")
# Code 0 and 1 are an orderly end; a background worker's 1 is written at every shutdown.
# Matched from the message's beginning, so that a logged statement with these words is none.
_CRASH = re.compile(
    r'(?:[a-z][a-z ]*|background worker "[^"]*") \(PID \d+\) '
    r"(?:was terminated by (?:signal|exception) \w+|exited with exit code (?!0\b|1\b)\d+)"
)
_REINITIALIZING = "all server processes terminated; reinitializing"
_READY = ("database system is ready to accept", "starting PostgreSQL", "database system is shut down")
_RECOVERY = "database system was not properly shut down"


OWN = "this suite's own refused login"
"""Stands for what the suite itself caused, among the patterns in `DatabaseLog.ignored`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of PostgreSQL's log.

    Attributes:
        at: When the engine received it (UTC), ``None`` without a time stamp.
        severity: `FATAL`, `PANIC`, …; `LOG` for a crash.
        message: The text behind the severity, at most 500 characters.
        details: The entry's DETAIL and HINT lines, the first three.
    """

    at: datetime | None
    severity: str
    message: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseLog:
    """What a window of PostgreSQL's log says, and what was looked at.

    Attributes:
        lines: Lines read.
        entries: Entries that have a severity. If lines were read and this is
            0, it was not PostgreSQL's log, or not in English: nobody can tell.
        fatal: The last FATAL and PANIC entries, at most 20, without ignored ones.
        fatal_count: How many there were, ignored ones not among them.
        ignored: Per pattern, how many FATAL or PANIC entries it set aside.
        crashes: Crashes of server processes, each with the restart it caused
            counted once.
        crash_entries: The entries that announced the last of them, at most 20.
        recoveries: Starts that found the database not shut down properly,
            other than those that a counted crash caused.
        severities: Entries per severity.
        first_at: Time stamp of the first line (UTC).
        last_at: Time stamp of the last line (UTC).
    """

    lines: int
    entries: int
    fatal: tuple[Entry, ...]
    fatal_count: int
    ignored: Mapping[str, int]
    crashes: int
    crash_entries: tuple[Entry, ...]
    recoveries: int
    severities: Mapping[str, int]
    first_at: datetime | None
    last_at: datetime | None

    @property
    def bad(self) -> int:
        """FATAL and PANIC entries that nothing sets aside, and crashes."""
        return self.fatal_count + self.crashes


def read(
    lines: Iterable[LogLine],
    *,
    ignore: Sequence[re.Pattern[str]] = (),
    own: Callable[[Entry], bool] | None = None,
    since: datetime | None = None,
) -> DatabaseLog:
    """Read PostgreSQL's log for what was fatal.

    Serves `docker-compose logs db` of the end-of-day check.

    The severity is found behind any `log_line_prefix`. Lines that continue an
    entry (beginning with a tab) and its DETAIL, HINT, CONTEXT and STATEMENT
    belong to it, so a statement that has the word is no FATAL. Messages in
    other languages than English (`lc_messages`) are not understood; the
    `entries` of the result then are none.

    Args:
        lines: As :func:`observe.container_log.lines` yields them.
        ignore: Patterns for FATAL and PANIC messages that the settings set
            aside. The first that is found in a message counts.
        own: Whether a FATAL or PANIC entry is of this suite's own doing; those
            are set aside under :data:`OWN`.
        since: Beginning of the window, aware; lines with an earlier time stamp
            are left out.

    Returns:
        What was found. Nothing is raised, and memory is bounded.
    """
    reader = _Reader(ignore, own)
    for line in lines:
        if since is None or line.at is None or line.at >= since:
            reader.take(line)
    return reader.result()


@dataclass(slots=True)
class _Entry:
    """An entry to which lines may still be added."""

    at: datetime | None
    severity: str
    message: str
    details: list[str]

    def frozen(self) -> Entry:
        return Entry(self.at, self.severity, self.message, tuple(self.details))


class _Reader:
    """The state of one pass."""

    def __init__(self, ignore: Sequence[re.Pattern[str]], own: Callable[[Entry], bool] | None) -> None:
        self._ignore = ignore
        self._own = own
        self._above: dict[str, _Entry] = {}  # the last entry of each stream
        self._fatal: deque[_Entry] = deque(maxlen=_ENTRIES_SHOWN)
        self._crashed: deque[_Entry] = deque(maxlen=_ENTRIES_SHOWN)
        self._crash_open = self._restarted = False
        self._count: Counter[str] = Counter()
        self._severities: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def take(self, line: LogLine) -> None:
        self._count["lines"] += 1
        if line.at is not None:
            self._first_at = self._first_at or line.at
            self._last_at = line.at if self._last_at is None else max(self._last_at, line.at)
        if line.text.startswith("\t") or _CLIENT_PROGRAM.match(line.text):
            return
        label = _LABEL.search(line.text)
        if label is None:
            return
        severity, message = label[1], line.text[label.end() :][:_WIDTH]
        if severity in _SECONDARY:
            above = self._above.get(line.stream)
            shown = severity in _SHOWN_WITH_ENTRY and not message.startswith(_STATEMENT_IN_DETAIL)
            if above is not None and shown and len(above.details) < _DETAILS_SHOWN:
                above.details.append(f"{severity}:  {message}")
            return
        entry = _Entry(line.at, severity, message, [])
        self._above[line.stream] = entry
        self._severities[severity] += 1
        if severity in ("FATAL", "PANIC"):
            self._take_fatal(entry)
        elif severity == "LOG":
            self._take_log(entry)

    def _take_fatal(self, entry: _Entry) -> None:
        for pattern in self._ignore:
            if pattern.search(entry.message):
                self._ignored[pattern.pattern] += 1
                return
        if self._own is not None and self._own(entry.frozen()):
            self._ignored[OWN] += 1
            return
        self._count["fatal"] += 1
        self._fatal.append(entry)

    def _take_log(self, entry: _Entry) -> None:
        """Tell crashes, each of which is announced by several entries."""
        message = entry.message
        if _CRASH.match(message) or message.startswith(_REINITIALIZING):
            if not self._crash_open:
                self._count["crashes"] += 1
                self._crashed.append(entry)
            # From here on another process that dies is another crash.
            self._restarted = message.startswith(_REINITIALIZING)
            self._crash_open = not self._restarted
        elif message.startswith(_RECOVERY):
            self._count["recoveries"] += not self._restarted
        elif message.startswith(_READY):
            self._crash_open = self._restarted = False

    def result(self) -> DatabaseLog:
        return DatabaseLog(
            lines=self._count["lines"],
            entries=sum(self._severities.values()),
            fatal=tuple(entry.frozen() for entry in self._fatal),
            fatal_count=self._count["fatal"],
            ignored={pattern.pattern: self._ignored[pattern.pattern] for pattern in self._ignore},
            crashes=self._count["crashes"],
            crash_entries=tuple(entry.frozen() for entry in self._crashed),
            recoveries=self._count["recoveries"],
            severities=dict(self._severities),
            first_at=self._first_at,
            last_at=self._last_at,
        )
