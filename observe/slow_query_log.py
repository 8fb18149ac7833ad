"""Whether the database logs slow statements.

Serves the guide's step for high response times, `ALTER SYSTEM SET log_min_duration_statement = 1000`. Three things can
come between that and the log: nobody loads what was written, a value for one role or one database wins over it, or
something later in the files does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observe.database import Database

NAME = "log_min_duration_statement"
_WRITTEN = re.compile(r"\s*(-?[0-9]+(?:\.[0-9]+)?)\s*(us|ms|s|min|h|d)?\s*")
_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_OF_THE_SERVER = frozenset({"default", "configuration file", "command line", "environment variable"})
_FOR_ROLES = ("database", "user", "database user", "global")
_SHOWN = 10


@dataclass(frozen=True)
class Threshold:
    """A value of the setting.

    Attributes:
        milliseconds: Statements that take so long or longer are logged; below 0 none is.
        origin: Where it comes from, in words.
    """

    milliseconds: float
    origin: str

    def within(self, limit: timedelta) -> bool:
        """Whether what takes as long as `limit` is logged."""
        return 0 <= self.milliseconds <= limit / timedelta(milliseconds=1)

    def __str__(self) -> str:
        return f"{self.value} ({self.origin})"

    @property
    def value(self) -> str:
        """What it means."""
        if self.milliseconds < 0:
            return "off"
        return say_span(timedelta(milliseconds=self.milliseconds)) if self.milliseconds else "0, every statement"


@dataclass(frozen=True)
class Who:
    """What holds for a role's new sessions.

    Attributes:
        role: The role; empty for every role that nothing is set for.
        threshold: What holds for it.
    """

    role: str
    threshold: Threshold


@dataclass(frozen=True)
class SlowQueryLog:
    """The setting as it is in force, and as it is written.

    Attributes:
        limit: What must be logged.
        server: What holds where nothing is set for a role or this database; None where this session can't see it, since
            a value for the database or its own role wins.
        application: The application's roles with what holds for each; one without a name where they aren't known.
        written: What a reload would put in the server's place; None where that is what is in force, or can't be seen.
        notes: What the reader should know beside it.
    """

    limit: timedelta
    database: str
    server: Threshold | None
    application: tuple[Who, ...]
    written: Threshold | None
    notes: tuple[str, ...]

    @property
    def looked_at(self) -> str:
        """The denominator: the setting, for whom."""
        roles = [one.role for one in self.application if one.role]
        whose = f"for {', '.join(roles)}" if roles else "for every role that nothing else is set for"
        return f"{NAME} in the database {self.database}, {whose}"

    @property
    def holds(self) -> bool:
        """Whether it is right for the application now, and after the next reload."""
        after = self.written is None or self.written.within(self.limit) or not self._counts_after
        return all(one.threshold.within(self.limit) for one in self.application) and after

    @property
    def _counts_after(self) -> bool:
        """Whether anybody of the application would get what is written."""
        return any(one.threshold == self.server for one in self.application)

    @property
    def said(self) -> str:
        """What is in force, and what only a reload would change."""
        thresholds = {str(one.threshold): one for one in self.application}
        if len(thresholds) == 1:
            said = f"{next(iter(thresholds))} in force"
        else:
            said = ", ".join(f"{one.threshold} in force for {one.role}" for one in thresholds.values())
        if self.written is not None:
            said += f"; {self.written.value} is written but not loaded ({self.written.origin})"
        return said

    def rows(self) -> list[dict[str, str]]:
        """For whom which value holds, for the report."""
        rows = [
            {"for": one.role or "every role", "value": one.threshold.value, "from": one.threshold.origin}
            for one in self.application
        ]
        if self.server is not None:
            rows.append({"for": "the server", "value": self.server.value, "from": self.server.origin})
        if self.written is not None:
            written = self.written
            rows.append({"for": "the server, once loaded", "value": written.value, "from": written.origin})
        return rows


def slow_query_log(database: Database, activity: str, limit: timedelta) -> SlowQueryLog:
    """How slow a statement must be for the database to log it. PostgreSQL 13 to 18.

    Args:
        database: Whose.
        activity: The application's table of activity, whose owner is the application's role.
        limit: What must be logged.

    Raises:
        CannotTell: If the database can't be asked, or a value for this session's role hides the server's.
    """
    (now,) = database.ask("setting", values={"name": NAME})
    overridden = database.ask("setting_overridden", values={"name": NAME})
    roles = [row["role"] for row in database.ask("application_roles", names={"activity": activity})]
    notes: list[str] = []
    if not roles:
        notes.append(f"the application's role isn't known: {activity} isn't there, or nobody logs in as its owner")
    server = _of_the_server(now, database.session.role)
    hidden = Threshold(0, "not seen")
    application = tuple(Who(role, _for(role, server or hidden, overridden)) for role in roles or [""])
    if any(one.threshold is hidden for one in application):
        raise CannotTell(
            f"what holds for the server is hidden by a value for the role {database.session.role}",
            mend=f"ALTER ROLE {database.session.role} RESET {NAME};",
        )
    others = {row["role"] for row in overridden} - {"", *roles}
    notes += [
        f"for the role {role} it is {_for(role, server or hidden, overridden)}" for role in sorted(others)[:_SHOWN]
    ]
    # What wins over the server's value wins over what a reload would make of it, too.
    written, why = (None, ()) if server is None else _written(database, server, now)
    return SlowQueryLog(limit, database.session.database, server, application, written, (*notes, *why))


def _of_the_server(row: dict[str, str], role: str) -> Threshold | None:
    """What holds where nothing is set for a role or database; None where this session can't see it."""
    if row["source"] not in _OF_THE_SERVER:
        if row["source"] not in _FOR_ROLES:
            raise CannotTell(f"{NAME} of the session of {role} comes from {row['source']!r}: that tells nothing")
        return None
    origins = {"default": "PostgreSQL's default", "configuration file": row["file"] or "a configuration file"}
    return Threshold(milliseconds(row["setting"]), origins.get(row["source"], f"the server's {row['source']}"))


def _for(role: str, server: Threshold, overridden: Sequence[dict[str, str]]) -> Threshold:
    """What a new session of a role gets, in PostgreSQL's own order."""
    given = {(row["role"], bool(row["database"])): row["value"] for row in overridden}
    for owner, inside, origin in (
        (role, True, f"set for the role {role} in this database"),
        (role, False, f"set for the role {role}"),
        ("", True, "set for this database"),
        ("", False, "set for all roles"),
    ):
        if (owner, inside) in given:
            return Threshold(milliseconds(given[owner, inside]), origin)
    return server


def _written(database: Database, server: Threshold, now: dict[str, str]) -> tuple[Threshold | None, tuple[str, ...]]:
    """What a reload would change, and what is to be said of it."""
    if now["source"] in {"command line", "environment variable"}:
        return None, ()  # it wins over every file
    try:
        rows = database.ask("setting_written", values={"name": NAME})
    except CannotTell:
        role = database.session.role
        unseen = f"what is written in the server's files but not loaded can't be seen by {role}; to see it: "
        grant = f"GRANT SELECT ON pg_file_settings TO {role}; "
        return None, (f"{unseen}{grant}GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO {role};",)
    notes = tuple(f"{row['file']} has it with an error: {row['error'][:200]}" for row in rows if row["error"])
    good = [row for row in rows if row["applied"]]
    if good:
        found = Threshold(milliseconds(good[-1]["value"]), good[-1]["file"])
    else:
        found = Threshold(milliseconds(now["built_in"]), "it stands in no file any more")
    return (None if found.milliseconds == server.milliseconds else found), notes


def milliseconds(text: str) -> float:
    """A value of the setting as it is written: `1000`, `1s`, `'500 ms'`.

    Raises:
        CannotTell: If it is no such value.
    """
    match = _WRITTEN.fullmatch(text.strip().strip("'"))
    if match is None:
        raise CannotTell(f"{NAME} is written as {text[:40]!r}, which isn't understood")
    return float(match[1]) * _MILLISECONDS[match[2] or "ms"]
