"""The clients' sessions: how many more the database takes, and who keeps one without using it.

Serves the guide's emergency procedure for connections. The guide asks for idle sessions by `query_start`: that would be
an hour ago as well for a statement that ran for an hour and ended just now. What counts is since when a session is in
its state, `state_change`; a pool's connections that are used again and again are never idle for long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from observe.database import Connections, Database

IDLE = frozenset({"idle", "idle in transaction", "idle in transaction (aborted)"})
_LONGEST = 200
_NAME = 80


@dataclass(frozen=True)
class Headroom:
    """How many connections there are, of how many.

    Attributes:
        connections: The connections.
        most: `max_connections`.
        for_superusers: So many of these are kept for superusers.
        for_a_role: And so many for roles with `pg_use_reserved_connections`, since PostgreSQL 16.
    """

    connections: Connections
    most: int
    for_superusers: int
    for_a_role: int

    @property
    def slots(self) -> int:
        """So many an ordinary role can hold: an application never gets those that are kept for others."""
        return self.most - self.for_superusers - self.for_a_role

    @property
    def used(self) -> int:
        """How many are held, this run's own left out."""
        return self.connections.others

    @property
    def share(self) -> float:
        """The share of what an ordinary role can hold that is held."""
        return self.used / self.slots if self.slots > 0 else 1.0

    @property
    def looked_at(self) -> str:
        """The denominator: the connections, and which of them are our own."""
        return f"{_connections(len(self.connections.all))}, {self.connections.own} of them this run's own"

    @property
    def kept(self) -> str:
        """What the share is of, in words."""
        kept = [f"{self.for_superusers} kept for superusers"] if self.for_superusers else []
        kept += [f"{self.for_a_role} for a role"] if self.for_a_role else []
        return f"max_connections = {self.most}" + (f", {' and '.join(kept)}" if kept else "")

    @property
    def said(self) -> str:
        """How many are held, of how many."""
        return f"{self.used} of {self.slots} held ({say_share(self.share)}; {self.kept})"


def headroom(database: Database) -> Headroom:
    """How many connections there are, of how many.

    Raises:
        CannotTell: If the database can't be asked, or hides other roles' sessions.
        NoAnswer: If it takes no more connections.
    """
    connections = database.connections()
    (row,) = database.ask("connection_slots")
    return Headroom(connections, row["most"], row["for_superusers"], row["for_a_role"] or 0)


@dataclass(frozen=True)
class Idle:
    """A session that its client keeps without using it.

    Attributes:
        state: `idle`, `idle in transaction` or `idle in transaction (aborted)`.
        since: For how long; below 0 where it began after we looked.
        query: Its last statement, without any value in it.
    """

    pid: int
    role: str
    database: str
    application: str
    client: str
    state: str
    since: timedelta
    query: str

    @property
    def said(self) -> str:
        """Who, from where, in what state for how long."""
        application = f" ({self.application[:_NAME]})" if self.application else ""
        return (
            f"process {self.pid} of {self.role[:_NAME]}{application} from {self.client} "
            f"is {self.state} for {say_span(self.since)}"
        )

    def row(self) -> dict[str, str]:
        """The session for the report."""
        return {
            "process": str(self.pid),
            "idle for": say_span(max(self.since, timedelta())),
            "state": self.state,
            "role": self.role[:_NAME],
            "client": self.client,
            "application": self.application[:_NAME] or "(none)",
            "database": self.database[:_NAME],
            "last statement, without its values": self.query or "(none)",
        }


@dataclass(frozen=True)
class IdleSessions:
    """The sessions of clients, this run's own left out.

    Attributes:
        count: How many there are.
        own: How many are this run's own.
        idle: Those that are idle, longest first.
        untold: How many don't say since when they are in their state.
    """

    count: int
    own: int
    idle: tuple[Idle, ...]
    untold: int = 0

    @property
    def looked_at(self) -> str:
        """The denominator: the sessions, and which of them are our own."""
        idle = "1 is idle" if len(self.idle) == 1 else f"{len(self.idle)} are idle"
        return f"{_connections(self.count + self.own)}, {self.own} of them this run's own; {idle}"

    @property
    def longest(self) -> timedelta:
        """For how long the longest is idle."""
        return self.idle[0].since if self.idle else timedelta()

    def abandoned(self, longest: timedelta) -> tuple[Idle, ...]:
        """Those that are idle for longer."""
        return tuple(one for one in self.idle if one.since > longest)

    def said(self, longest: timedelta) -> str:
        """Who is idle for longer, or for how long anybody is."""
        found = self.abandoned(longest)
        if found:
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            return f"{found[0].said}{more}"
        return f"none idle for longer than {say_span(self.longest)}" if self.idle else "none is idle"

    def rows(self) -> list[dict[str, str]]:
        """The idle sessions, longest first, for the report."""
        return [one.row() for one in self.idle]

    def must_see(self) -> None:
        """Make sure that nothing was overlooked, once what was seen is judged.

        Raises:
            CannotTell: If a session doesn't say since when it is in its state.
        """
        if self.untold:
            raise CannotTell(
                f"{self.untold} of {self.count} sessions don't say what they do: track_activities is off for them",
                mend="SELECT * FROM pg_db_role_setting; ALTER the role, database or system that sets it off: "
                "… RESET track_activities;",
            )


def idle_sessions(database: Database) -> IdleSessions:
    """Who keeps a session without using it.

    Raises:
        CannotTell: If the database can't be asked, or hides other roles' sessions.
    """
    rows = database.ask("idle_sessions")
    database.must_show(rows)
    others = [row for row in rows if not database.owns(row["pid"], row["application"])]
    idle = [
        Idle(
            row["pid"],
            row["role"],
            row["database"],
            row["application"],
            row["client"],
            row["state"],
            row["since"],
            without_values(row["query"]),
        )
        for row in others
        if row["state"] in IDLE and row["since"] is not None
    ]
    idle.sort(key=lambda one: (-one.since, one.pid))
    untold = sum(1 for row in others if row["state"] in {"", "disabled"} or row["since"] is None)
    return IdleSessions(len(others), len(rows) - len(others), tuple(idle), untold)


def _connections(number: int) -> str:
    return "1 client connection" if number == 1 else f"{number} client connections"


_PIECE = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*)
    |(?P<name>"(?:[^"]|"")*(?:"|\Z))
    |(?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z))
    |(?P<text>(?:\b(?:[bBxXnN]|[uU]&))?'(?:[^']|'')*(?:'|\Z))
    |(?P<dollars>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$)
    |(?P<number>(?<![\w$.])(?:\.?\d[\w.]*))
    |(?P<blank>\s+)
    """,
    re.VERBOSE | re.DOTALL,
)
_BORDER = re.compile(r"/\*|\*/")
HIDDEN = "?"


def without_values(query: str) -> str:
    """A statement in one line without the values in it, which may be anybody's: names of tables and columns stay.

    Where it is cut in the middle of a value, or it isn't certain where one ends, the rest goes with it.

    Args:
        query: The statement, cut or whole.
    """
    kept, place = [], 0
    while found := _PIECE.search(query, place):
        kept.append(query[place : found.start()])
        place = found.end()
        match found.lastgroup:
            case "comment":
                # Comments carry what a framework knows of the request.
                place = _end_of_comment(query, place) if found[0] == "/*" else place
                kept.append(" ")
            case "name":
                kept.append(found[0])
            case "blank":
                kept.append(" ")
            case "dollars" | "tag":
                end = query.find(found["dollars"], place)
                place = len(query) if end < 0 else end + len(found["dollars"])
                kept.append(HIDDEN)
            case "text" if found[0].endswith("\\'"):
                # With standard_conforming_strings off this would not be its end.
                kept.append(f"{HIDDEN} …")
                place = len(query)
            case _:
                kept.append(HIDDEN)
    shown = " ".join("".join([*kept, query[place:]]).split())
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 2]} …"


def _end_of_comment(query: str, place: int) -> int:
    """Where a comment ends that begins before that place: comments may lie in comments."""
    depth = 1
    for border in _BORDER.finditer(query, place):
        depth += 1 if border[0] == "/*" else -1
        if not depth:
            return border.end()
    return len(query)
