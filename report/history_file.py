"""The history's file (SQLite): opened, brought up to date, and moved aside when it is damaged.

Several runs may write at once: each writes what belongs together in one transaction, and waits for the others. A run
that is killed leaves whole transactions and nothing else. A file that is no database any more, or a damaged one, is
moved aside beside itself and never thrown away; what was known of earlier runs is then gone, and that is said. A
database of something else, and a history of a newer suite, are left alone.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
import zlib
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

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


class _Connection(sqlite3.Connection):
    """A connection that takes any text: names of files may hold what is no Unicode, which SQLite can't store."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401  as it is typed there
        return super().execute(sql, [_storable(one) for one in parameters])


def _storable(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


class HistoryFile:
    """The file, or none: then nothing is known of earlier runs and nothing is written.

    Args:
        path: Where it lies; made on first writing, for nobody's eyes but its owner's, and its directory with it. None
            for a run without a history.

    Attributes:
        said: A sentence for each time that a damaged file was moved aside, and for what of it can't be understood.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.said: list[str] = []
        self._wait = WAIT

    def write(self, *statements: tuple[str, Sequence[object]], so_what: str = _TRAFFIC) -> None:
        """Write what belongs together, in one transaction.

        Args:
            statements: Each with its values.
            so_what: What follows from its not being written, in words.

        Raises:
            HistoryError: If it can't be written.
        """

        def write_all(connection: sqlite3.Connection) -> None:
            for statement, values in statements:
                connection.execute(statement, values)

        self.change(write_all, so_what=so_what)

    def change(self, action: Callable[[sqlite3.Connection], object], *, so_what: str = _TRAFFIC) -> None:
        """Do something in one transaction for writing, of which all counts or nothing; nothing without a file.

        Args:
            action: Is given the connection. If it raises anything, nothing of it counts. It is called once more if
                the file turns out to be damaged and a new one takes its place.
            so_what: What follows from its not being written, in words.

        Raises:
            HistoryError: If it can't be written.
        """
        if self.path is None:
            return

        def in_one(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            with connection:  # commits, or rolls back
                action(connection)

        self._use(self.path, in_one, f"the history {self.path} can't be written", so_what)

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
        failure = f"the history {self.path} can't be read"
        try:
            if not self.path.exists():
                return []
        except OSError as error:
            raise HistoryError(f"{failure} ({error}): {so_what}") from None
        return self._use(self.path, lambda there: there.execute(statement, values).fetchall(), failure, so_what)

    def read_as(self, understand: Callable[..., T], statement: str, values: Sequence[object], so_what: str) -> list[T]:
        """Read rows whose columns hold something packed. A row that can't be understood is left out, which is said.

        SQLite has no checksums: what is overwritten within a long value is no damage to it.

        Args:
            understand: Is given the columns of a row; its ValueError, or the like, says that they aren't right.
            statement: A SELECT.
            values: Its values.
            so_what: What follows from its not being read, in words.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows: list[T] = []
        lost = 0
        for row in self.read(statement, values, so_what):
            try:
                rows.append(understand(*row))
            except (ValueError, TypeError, LookupError, zlib.error):
                lost += 1
        if lost:
            sentence = (
                f"the history {self.path} is damaged: {lost} of {lost + len(rows)} entries that were read can't be "
                "understood and are left out"
            )
            if sentence not in self.said:
                self.said.append(sentence)
        return rows

    def _use(self, path: Path, action: Callable[[sqlite3.Connection], T], failure: str, so_what: str) -> T:
        """Do something with the opened file; if that turns out to be damaged, with a new one."""
        path = path.resolve()  # what SQLite keeps beside it lies beside the file and not beside a link to it
        for found_before in (False, True):
            try:
                with _in_use(path, fcntl.LOCK_SH, self._wait):
                    there = _identity(path)
                    with closing(self._open(path)) as connection:
                        return action(connection)
            except _InTheWay as error:
                raise HistoryError(f"{failure} ({error}): {so_what}") from None
            except (sqlite3.Error, OverflowError, UnicodeError) as error:
                if found_before or not _is_damage(error):
                    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                        # Who holds it so long costs the run its patience once, and not once for every question.
                        self._wait = min(self._wait, WAIT / 20)
                    raise HistoryError(f"{failure} ({error}): {so_what}") from None
                try:
                    self._move_aside(path, there, error)
                except _InTheWay as why:
                    raise HistoryError(f"{failure} ({error}), nor moved aside ({why}): {so_what}") from None
        raise AssertionError  # the second time returns or raises

    def _open(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=self._wait, isolation_level=None, factory=_Connection)
        try:
            _bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _move_aside(self, path: Path, damaged: tuple[int, int], error: Exception) -> None:
        """Move a damaged file aside, unless another run has done so already.

        Args:
            path: Where it lay.
            damaged: Which file it was that is damaged.
            error: How that showed.
        """
        with _in_use(path, fcntl.LOCK_EX, self._wait):
            if _identity(path) != damaged:
                self.said.append(
                    f"the history {path} was damaged ({error}), and another run has moved it aside: nothing is known "
                    "of earlier runs, and a new one begins"
                )
                return
            # To the microsecond: what was moved aside before is never written over.
            name = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
            try:
                for end in ("", "-wal", "-shm", "-journal"):
                    part = path.with_name(path.name + end)
                    if part.exists():
                        part.rename(path.with_name(name + end))
            except OSError as why:
                raise _InTheWay(str(why)) from None
        self.said.append(
            f"the history {path} is damaged ({error}) and was moved aside to {name}: "
            "nothing is known of earlier runs, and a new one begins"
        )


class _InTheWay(Exception):  # noqa: N818  it is said within a sentence
    """The file can't be had, whatever is in it."""


_MAKING = threading.Lock()


@contextmanager
def _in_use(path: Path, how: int, seconds: float) -> Iterator[None]:
    """Hold off who would move the file away, or everybody to do so; made if it isn't there.

    It is the directory that is locked: the file is what is moved. SQLite's own locks don't help here, a file that
    is damaged may not be lockable, and what it keeps beside the file must be moved with it.
    """
    with _no_os_error():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _no_os_error():
            _lock(handle, how, time.monotonic() + seconds)
            # SQLite makes its files as readable as the first one is. Who opened an existing one here and closed it
            # would take this process's locks off it: only a new one is, and nobody else here goes on meanwhile.
            with _MAKING, suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            if path.is_dir():
                raise _InTheWay("it is a directory")
        yield
    finally:
        os.close(handle)


@contextmanager
def _no_os_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _InTheWay(str(error)) from None


def _lock(handle: int, how: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise _InTheWay("another run keeps its directory locked") from None
            time.sleep(0.02)
        else:
            return


def _identity(path: Path) -> tuple[int, int]:
    with _no_os_error():
        seen = path.stat()
    return seen.st_dev, seen.st_ino


def _is_damage(error: Exception) -> bool:
    # The code is the extended one: which kind of damage it is stands in its upper bits.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED or str(error).startswith(
        "Could not decode to UTF-8"
    )


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA:
        return
    if version > SCHEMA:
        raise sqlite3.DatabaseError(f"it is of schema {version}, this suite knows {SCHEMA}; update the suite")
    _refuse_what_is_not_ours(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        # Two first runs at once: the second finds the tables made.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for migration in _MIGRATIONS[version:]:
            for statement in filter(str.strip, migration.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(version, SCHEMA)}")


def _refuse_what_is_not_ours(connection: sqlite3.Connection) -> None:
    """Refuse a database that has tables and isn't a history: nothing is ever made in somebody else's."""
    connection.execute("BEGIN")
    with connection:  # both of one moment
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if (version == 0 and tables) or (version > 0 and not tables >= {"run", "refused_login"}):
        raise sqlite3.DatabaseError("it is a database of something else; give the history a file of its own")
