"""The history's file (SQLite): opened, brought up to date, and moved aside when it is damaged.

Several runs may write at once: each writes what belongs together in one transaction, and waits for the others. A run
that is killed leaves whole transactions and nothing else. A file that is no database any more, or a damaged one, is
moved aside beside itself and never thrown away; what was known of earlier runs is then gone, and that is said.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SCHEMA = 7
WAIT = 10.0
"""Seconds that a run waits for another that is writing."""
_TRAFFIC = "what this run asks of the target will count as its traffic next time"
_EARLIER_TRAFFIC = "earlier runs count as the target's traffic"
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_MIGRATIONS = (
    """
CREATE TABLE run (token TEXT PRIMARY KEY, target TEXT NOT NULL, started REAL NOT NULL, ended REAL) STRICT;
CREATE TABLE refused_login (token TEXT NOT NULL REFERENCES run, role TEXT NOT NULL, at REAL NOT NULL) STRICT;
""",
    """
CREATE TABLE log_window (
    number INTEGER PRIMARY KEY, target TEXT NOT NULL, service TEXT NOT NULL, token TEXT NOT NULL,
    since REAL NOT NULL, until REAL NOT NULL, covered REAL NOT NULL, UNIQUE (token, service)
) STRICT;
CREATE TABLE log_kind (
    window INTEGER NOT NULL REFERENCES log_window, level TEXT NOT NULL, kind TEXT NOT NULL,
    count INTEGER NOT NULL, first_at REAL NOT NULL, PRIMARY KEY (window, level, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE matched_pattern (
    target TEXT NOT NULL, pattern TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (target, pattern)
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE figure (
    target TEXT NOT NULL, slug TEXT NOT NULL, name TEXT NOT NULL, item TEXT NOT NULL, at REAL NOT NULL,
    value REAL NOT NULL, unit TEXT NOT NULL, token TEXT NOT NULL, PRIMARY KEY (target, slug, name, item, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE restore_drill (
    token TEXT PRIMARY KEY, target TEXT NOT NULL, drilled REAL NOT NULL, proven INTEGER NOT NULL, receipt TEXT NOT NULL
) STRICT;
CREATE TABLE outdated (
    target TEXT NOT NULL, manager TEXT NOT NULL, package TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (target, manager, package)
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE disturbance (
    target TEXT NOT NULL, container TEXT NOT NULL, since REAL NOT NULL, until REAL, drill TEXT NOT NULL,
    restarts_before INTEGER NOT NULL, started_before REAL, restarts_after INTEGER NOT NULL,
    PRIMARY KEY (target, container, since)
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE role_use (
    target TEXT NOT NULL, role TEXT NOT NULL, used REAL NOT NULL, calls INTEGER, PRIMARY KEY (target, role)
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE scanned_path (
    token TEXT NOT NULL REFERENCES run, path TEXT NOT NULL, PRIMARY KEY (token, path)
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE finished_run (
    number INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, target TEXT NOT NULL, cadence TEXT NOT NULL,
    started REAL NOT NULL, ended REAL NOT NULL, facts TEXT NOT NULL
) STRICT;
CREATE INDEX finished_run_by_time ON finished_run (target, started);
CREATE TABLE subject (
    number INTEGER PRIMARY KEY, target TEXT NOT NULL, slug TEXT NOT NULL, item TEXT NOT NULL,
    UNIQUE (target, slug, item)
) STRICT;
CREATE TABLE outcome (
    run INTEGER NOT NULL REFERENCES finished_run, subject INTEGER NOT NULL REFERENCES subject,
    outcome TEXT NOT NULL, severity TEXT NOT NULL, cause TEXT NOT NULL, said TEXT NOT NULL, PRIMARY KEY (run, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX outcome_by_subject ON outcome (subject, run);
CREATE TABLE latest_result (
    subject INTEGER PRIMARY KEY REFERENCES subject, run INTEGER NOT NULL REFERENCES finished_run, whole BLOB NOT NULL
) STRICT;
ALTER TABLE figure ADD COLUMN bound REAL;
ALTER TABLE figure ADD COLUMN bound_name TEXT NOT NULL DEFAULT '';
CREATE TABLE alert (
    target TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (target, key)
) STRICT, WITHOUT ROWID;
""",
)
"""What brings a history from one schema to the next; the number of them is :data:`SCHEMA`."""


class HistoryError(Exception):
    """The history can't be read or written; the text says why and what follows."""


class HistoryFile:
    """The file, or none: then nothing is known of earlier runs and nothing is written.

    Args:
        path: Where it lies; made with its directory on first writing, for nobody's eyes but its owner's. None for a
            run without a history.

    Attributes:
        moved: A sentence for each damaged file that was moved aside since.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.moved: list[str] = []

    def write(self, *statements: tuple[str, Sequence[object]], so_what: str = _TRAFFIC) -> None:
        """Write what belongs together, in one transaction.

        Args:
            statements: Each with its values.
            so_what: What follows from its not being written, in words.

        Raises:
            HistoryError: If it can't be written.
        """
        if self.path is None:
            return
        with self.transaction(so_what=so_what) as connection:
            for statement, values in statements:
                connection.execute(statement, values)

    @contextmanager
    def transaction(self, *, so_what: str = _TRAFFIC) -> Iterator[sqlite3.Connection]:
        """One transaction for writing, of which all counts or nothing. Without a file it is thrown away.

        Args:
            so_what: What follows from its not being written, in words.

        Raises:
            HistoryError: If it can't be written.
        """
        try:
            with closing(self._open_to_write()) as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except (OSError, sqlite3.Error) as error:
            self._move_aside_if_damaged(error)
            raise HistoryError(f"the history {self.path} can't be written ({error}): {so_what}") from None

    def read(self, statement: str, values: Sequence[object], so_what: str = _EARLIER_TRAFFIC) -> list[tuple[Any, ...]]:
        """Read rows; none where there is no file.

        Args:
            statement: A SELECT.
            values: Its values.
            so_what: What follows from its not being read, in words.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        if self.path is None:
            return []
        try:
            return self._rows(statement, values)
        except (OSError, sqlite3.Error) as error:
            if self._move_aside_if_damaged(error):
                return []
            raise HistoryError(f"the history {self.path} can't be read ({error}): {so_what}") from None

    def _rows(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        assert self.path is not None
        if not self.path.exists():
            return []
        with closing(self._open()) as connection:
            return connection.execute(statement, values).fetchall()

    def _open_to_write(self) -> sqlite3.Connection:
        if self.path is None:
            connection = sqlite3.connect(":memory:", isolation_level=None)
            _bring_up_to_date(connection)
            return connection
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._open()
        except sqlite3.Error as error:
            # What this run has to say goes into a new file.
            if self._move_aside_if_damaged(error):
                return self._open()
            raise

    def _open(self) -> sqlite3.Connection:
        assert self.path is not None
        # SQLite makes its files as readable as the first one is.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
        try:
            _bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _move_aside_if_damaged(self, error: Exception) -> bool:
        """Move the file aside if an error says that it is damaged; whether there is room for a new one now."""
        if self.path is None or getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
            return False
        lock = self.path.with_name(f"{self.path.name}.lock")
        with lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not _is_damaged(self.path):  # another run has moved it already
                return True
            # To the microsecond: what was moved aside before is never written over.
            name = f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
            for end in ("-wal", "-shm", ""):
                part = self.path.with_name(self.path.name + end)
                if part.exists():
                    part.rename(self.path.with_name(name + end))
        self.moved.append(
            f"the history {self.path} is damaged ({error}) and was moved aside to {name}: "
            "nothing is known of earlier runs, and a new one begins"
        )
        return True


def _is_damaged(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=WAIT)) as connection:
            return bool(connection.execute("PRAGMA quick_check").fetchone() != ("ok",))
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode in _DAMAGED


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA:
        return
    if version > SCHEMA:
        raise sqlite3.DatabaseError(f"it is of schema {version}, this suite knows {SCHEMA}; update the suite")
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # Two first runs at once: the second finds the tables made.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for migration in _MIGRATIONS[version:]:
            for statement in filter(str.strip, migration.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
