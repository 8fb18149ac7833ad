"""Which roles may log in to the database, and which of them anybody uses.

PostgreSQL doesn't write down when a role last logged in. What there is: who is logged in now, as whom statements were
run since they are counted, what earlier runs have seen of both, and whom the settings name. Owning something is no use:
what a role has made stays when nobody logs in as it any more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell
from observe.role_use import RoleUse
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from observe.database import Database

MODULE = "pg_stat_statements"
_CLIENTS = frozenset({"client backend", "walsender"})
_POWERS = (
    ("superuser", "is a superuser"),
    ("makes_roles", "makes roles (CREATEROLE)"),
    ("makes_databases", "makes databases (CREATEDB)"),
    ("replicates", "replicates (REPLICATION)"),
    ("passes_row_security", "passes by row security (BYPASSRLS)"),
)
_SHOWN = 5
# A module that was never set back says that it was at the beginning of PostgreSQL's time.
_NEVER = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Role:
    """A role of the server.

    Attributes:
        login: Whether it may log in, as far as its own settings go.
        superuser: Whether it may do everything.
        powers: What it may do to the server, in words; empty for a plain role.
        until: Until when its password works; empty without an end.
        shut: Why nobody can log in as it all the same; empty where somebody can.
    """

    name: str
    login: bool
    superuser: bool
    powers: tuple[str, ...]
    until: str
    shut: str


@dataclass(frozen=True)
class Login:
    """A client that is logged in, or a standby.

    Attributes:
        client: Its address, empty over the socket.
    """

    role: str
    client: str


@dataclass(frozen=True)
class Logins:
    """The roles there are, and who is logged in as what."""

    roles: tuple[Role, ...]
    now: tuple[Login, ...]

    def named(self, name: str) -> Role | None:
        """The role of that name."""
        return next((one for one in self.roles if one.name == name), None)


@dataclass(frozen=True)
class Judged:
    """A role that may log in, and by what it is known to be of use.

    Attributes:
        used: By what it is seen to be used; empty where nobody is seen to use it.
        named: Where the settings name it; empty where they don't.
        last: When it was last used, aware; None where that isn't known.
        before: Where it was used once and not lately: when, aware.
    """

    role: Role
    used: tuple[str, ...]
    named: str
    last: datetime | None
    before: datetime | None

    @property
    def forgotten(self) -> bool:
        """Whether nothing speaks for it."""
        return not self.used and not self.named


@dataclass(frozen=True)
class LoginRoles:
    """Every role that may log in, held against whatever shows its use.

    Attributes:
        judged: All of them.
        limit: A use that lies further back is none.
        remember: What the next run should know.
        looked_at: The denominator: roles, and what they were held against.
        notes: What the reader should know beside it.
    """

    judged: tuple[Judged, ...]
    limit: timedelta
    remember: tuple[RoleUse, ...]
    looked_at: str
    notes: tuple[str, ...]

    @property
    def forgotten(self) -> tuple[Judged, ...]:
        """Those that nobody uses or names."""
        return tuple(one for one in self.judged if one.forgotten)

    @property
    def said(self) -> str:
        """Which these are, or that there are none."""
        found = self.forgotten
        if not found:
            return "every one is used or named"
        names = [f"{one.role.name}{' (a superuser)' if one.role.superuser else ''}" for one in found[:_SHOWN]]
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return f"{', '.join(names)}{more}: neither seen in use within {say_span(self.limit)} nor named"

    def rows(self) -> list[dict[str, str]]:
        """The roles, the forgotten ones first, for the report."""
        return [
            {
                "role": one.role.name,
                "superuser": "yes" if one.role.superuser else "",
                "used": "; ".join(one.used) or ("nobody was seen" if one.before is None else "not lately"),
                "last": "" if (last := one.last or one.before) is None else f"{last:%Y-%m-%d %H:%M}",
                "named": one.named,
                "password until": one.role.until,
            }
            for one in sorted(self.judged, key=lambda one: (not one.forgotten, one.role.name))
        ]


@dataclass(frozen=True)
class _Counted:
    """Statements by role.

    Attributes:
        calls: How many were run as each; None where they aren't counted.
        since: Since when they are counted, aware; None where that isn't known.
        why: Why they aren't counted.
    """

    calls: Mapping[str, int] | None
    since: datetime | None
    why: str = ""


def logins(database: Database, seconds: float) -> Logins:
    """The roles there are and who is logged in. PostgreSQL 13 to 18.

    Args:
        database: Whose.
        seconds: Total time limit.

    Raises:
        CannotTell: If the database can't be asked, or hides other roles' sessions.
    """
    rows = database.ask_together(("roles", "role_sessions"), seconds)
    database.must_show(rows["role_sessions"])
    now = [
        Login(row["role"], row["client"])
        for row in rows["role_sessions"]
        if row["backend_type"] in _CLIENTS and row["role"]
    ]
    return Logins(tuple(map(_role, rows["roles"])), tuple(now))


def login_roles(
    database: Database,
    found: Logins,
    named: Mapping[str, str],
    earlier: Mapping[str, RoleUse],
    now: datetime,
    limit: timedelta,
) -> LoginRoles:
    """Every role that may log in, and by what it is known to be of use. PostgreSQL 13 to 18.

    Args:
        database: Whose.
        found: The roles and who is logged in.
        named: The roles that the settings name, each with where.
        earlier: What earlier runs have seen.
        now: The time of the run, aware.
        limit: A use that lies further back is none.

    Raises:
        CannotTell: If the database can't be asked, or nobody may log in to it.
    """
    counted = _counted(database)
    sessions = Counter(one.role for one in found.now)
    judged, remember = [], []
    for role in found.roles:
        if not role.login or role.shut:
            continue
        one, known = _judged(role, sessions[role.name], counted, earlier.get(role.name), now, limit)
        judged.append(Judged(role, one.used, named.get(role.name, ""), one.last, one.before))
        remember += known
    if not judged:
        raise CannotTell("the server has no role that may log in: nothing was looked at")
    return LoginRoles(
        tuple(judged),
        limit,
        tuple(remember),
        _looked_at(judged, found, counted, earlier, named),
        tuple(_notes(found, counted, named, earlier, limit, now)),
    )


def _judged(
    role: Role, sessions: int, counted: _Counted, earlier: RoleUse | None, now: datetime, limit: timedelta
) -> tuple[Judged, list[RoleUse]]:
    """What speaks for a role, and what the next run should know of it."""
    used: list[str] = []
    last = None
    calls = None if counted.calls is None else counted.calls.get(role.name, 0)
    if sessions:
        used.append(f"{sessions:,} {'session' if sessions == 1 else 'sessions'} now")
        last = now
    if calls and _ran(calls, counted.since, earlier):
        since = "" if counted.since is None else f" since {counted.since.astimezone(now.tzinfo):%Y-%m-%d %H:%M}"
        used.append(f"{calls:,} {'statement' if calls == 1 else 'statements'} counted{since}")
        last = now
    before = None if earlier is None else earlier.used.astimezone(now.tzinfo)
    if before is not None and not used and now - before <= limit:
        used.append("an earlier run saw it in use")
        last = before
    latest = last or before
    remember = [] if latest is None else [RoleUse(role.name, latest, calls)]
    return Judged(role, tuple(used), "", last, before), remember


def _ran(calls: int, since: datetime | None, earlier: RoleUse | None) -> bool:
    """Whether a role's statements, of which there are some, show that it was used after it was last seen to be.

    Of the first look at them it isn't known when they ran; the next one tells whether it goes on.
    """
    if earlier is None or earlier.calls is None or calls > earlier.calls:
        return True
    # Fewer may only mean that the server forgot some to make room for others, unless it began anew.
    return since is not None and since > earlier.used


def _counted(database: Database) -> _Counted:
    """As whom statements were run, where the server counts them."""
    (about,) = database.ask("statements_about")
    if MODULE not in (about["preloaded"] or "") and about["track"] is None:
        return _Counted(None, None, f"{MODULE} isn't loaded")
    if about["schema"] is None:
        return _Counted(None, None, f"{MODULE} is no extension of {database.session.database}")
    if about["track"] == "none":
        return _Counted(None, None, f"{MODULE}.track is none")
    since = None
    try:
        rows = database.ask("role_statements", names={"statements": f"{about['schema']}.{MODULE}"})
        if tuple(map(int, about["version"].split("."))) >= (1, 9):
            (info,) = database.ask("statements_since", names={"info": f"{about['schema']}.{MODULE}_info"})
            since = info["since"]
    except CannotTell as why:
        if why.cause:  # not a missing right but the database itself
            raise
        return _Counted(None, None, why.what)
    return _Counted(
        {row["role"]: row["calls"] for row in rows}, since if since is not None and since >= _NEVER else None
    )


def _looked_at(
    judged: Sequence[Judged],
    found: Logins,
    counted: _Counted,
    earlier: Mapping[str, RoleUse],
    named: Mapping[str, str],
) -> str:
    sources = [f"{len(found.now):,} sessions"]
    if counted.calls is not None:
        sources.append(f"{sum(counted.calls.values()):,} counted statements")
    sources += [f"{len(earlier):,} that earlier runs saw in use", f"{len(named):,} that the settings name"]
    roles = "1 role" if len(judged) == 1 else f"{len(judged):,} roles"
    return f"{roles} that may log in, held against {', '.join(sources[:-1])} and {sources[-1]}"


def _notes(
    found: Logins,
    counted: _Counted,
    named: Mapping[str, str],
    earlier: Mapping[str, RoleUse],
    limit: timedelta,
    now: datetime,
) -> list[str]:
    notes = [f"{one.name} isn't counted: {one.shut}" for one in found.roles if one.login and one.shut]
    there = {one.name for one in found.roles if one.login}
    notes += [
        f"{where} names {name}, which is no role that may log in" for name, where in named.items() if name not in there
    ]
    if counted.why:
        notes.append(f"whose statements were run isn't known: {counted.why}")
    elif counted.calls and all(one.calls is None for one in earlier.values()):
        if counted.since is None:
            notes.append("since when statements are counted isn't known; the next run tells whose go on")
        elif now - counted.since > limit:
            age = say_span(now - counted.since)
            notes.append(f"statements are counted for {age}, longer than is asked; the next run tells whose go on")
    return notes


def _role(row: Mapping[str, Any]) -> Role:
    shut = ""
    if row["expired"]:
        shut = f"its password ended {row['until']}"
    elif row["connections"] == 0 and not row["superuser"]:
        shut = "its CONNECTION LIMIT is 0"
    return Role(
        name=row["role"],
        login=row["login"],
        superuser=row["superuser"],
        powers=tuple(words for key, words in _POWERS if row[key]),
        until="" if row["until"] == "infinity" else row["until"],
        shut=shut,
    )
