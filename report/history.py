"""What is remembered from run to run: so far, which traffic on the target was the suite's own.

Each run marks its requests with a token and writes the token down before the
first of them, so that a later run leaves out exactly those: a client that
copies the user agent has no token, and a token counts only for the time of
its run.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA = 1
KEPT = timedelta(days=400)
"""How long a run is remembered: longer than any window that is looked back over."""
CLOCKS = timedelta(seconds=2)
"""How far the clocks of this machine and of the target's may be apart."""
LONGEST = timedelta(hours=1)
"""How long a run that never said its end may have gone on."""

_TABLES = """
CREATE TABLE run (token TEXT PRIMARY KEY, target TEXT NOT NULL, started REAL NOT NULL, ended REAL) STRICT;
CREATE TABLE refused_login (token TEXT NOT NULL REFERENCES run, role TEXT NOT NULL, at REAL NOT NULL) STRICT;
"""


class HistoryError(Exception):
    """The history can't be read or written; the text says why and what follows."""


@dataclass(frozen=True)
class RunTime:
    """When a run of that token was on."""

    token: str
    started: datetime
    ended: datetime

    def covers(self, at: datetime) -> bool:
        """Whether something that happened then can be this run's."""
        return self.started - CLOCKS <= at <= self.ended + CLOCKS


@dataclass(frozen=True)
class RefusedLogin:
    """A login of ours that the database refused, and that stands in its log."""

    role: str
    at: datetime


class History:
    """The history file (SQLite).

    Args:
        file: Where it lies; made with its directory on first writing.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def begin(self, token: str, target: str, started: datetime) -> None:
        """Write down that a run begins, before it makes any traffic.

        Raises:
            HistoryError: If it can't be written.
        """
        too_old = ((started - KEPT).timestamp(),)
        self._write(
            (
                "INSERT OR IGNORE INTO run (token, target, started) VALUES (?, ?, ?)",
                (token, target, started.timestamp()),
            ),
            ("DELETE FROM refused_login WHERE at < ?", too_old),
            ("DELETE FROM run WHERE started < ?", too_old),
        )

    def end(self, token: str, ended: datetime) -> None:
        """Write down that it ended.

        Raises:
            HistoryError: If it can't be written.
        """
        self._write(("UPDATE run SET ended = ? WHERE token = ?", (ended.timestamp(), token)))

    def refused(self, token: str, role: str, at: datetime) -> None:
        """Write down that the database refused our login.

        Raises:
            HistoryError: If it can't be written.
        """
        self._write(("INSERT INTO refused_login VALUES (?, ?, ?)", (token, role, at.timestamp())))

    def runs(self, since: datetime) -> dict[str, RunTime]:
        """The runs since then, by token; those of all targets, a token is unique.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self._read("SELECT token, started, ended FROM run WHERE started >= ?", (since - LONGEST).timestamp())
        return {
            token: RunTime(
                token,
                _time(started),
                _time(ended) if ended is not None else _time(started) + LONGEST,
            )
            for token, started, ended in rows
        }

    def refused_logins(self, since: datetime) -> list[RefusedLogin]:
        """Our logins that the database refused since then.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self._read("SELECT role, at FROM refused_login WHERE at >= ?", (since - CLOCKS).timestamp())
        return [RefusedLogin(role, _time(at)) for role, at in rows]

    def _write(self, *statements: tuple[str, Sequence[object]]) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as connection, connection:
                for statement, values in statements:
                    connection.execute(statement, values)
        except (OSError, sqlite3.Error) as error:
            raise HistoryError(
                f"the history {self.file} can't be written ({error}): "
                "what this run asks of the target will count as its traffic next time"
            ) from None

    def _read(self, statement: str, since: float) -> list[tuple[Any, ...]]:
        try:
            if not self.file.exists():
                return []
            with closing(self._open()) as connection:
                return connection.execute(statement, (since,)).fetchall()
        except (OSError, sqlite3.Error) as error:
            raise HistoryError(
                f"the history {self.file} can't be read ({error}): earlier runs count as the target's traffic"
            ) from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.file, timeout=5)
        try:
            _bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection


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
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _time(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
