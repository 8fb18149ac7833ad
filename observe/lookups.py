"""Whether the application asks the database for one row at a time where it could ask once for all of them.

Serves the guide's step for high response times, "monitor for N+1 queries: review ORM queries in views.py". Code that
asks once for a list, and then once for each of its rows, shows in the server's own count of statements: a statement
that gives one row at the most and that runs many times as often as requests come.

Which request a statement served isn't known to the database. All requests of the access log are counted, those of other
routes and of files among them: the figure is the least that it can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.catalog import count
from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any

    from observe.database import Database

MODULE = "pg_stat_statements"
_SINCE_KNOWN = (1, 9)
"""From this version on, which came with PostgreSQL 14, the module says since when it counts."""
_SHOWN = 10
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Lookup:
    """A statement that gives a row or none.

    Attributes:
        query: Its text, without values, cut.
        calls: How often it ran,
        span: within that time.
        milliseconds: How long it took on average.
    """

    role: str
    query: str
    calls: int
    rows: int
    milliseconds: float
    span: timedelta


@dataclass(frozen=True)
class RequestsSeen:
    """The requests of the access log.

    Attributes:
        number: How many,
        span: within that time, which the log covers.
    """

    number: int
    span: timedelta

    def within(self, span: timedelta) -> float:
        """How many came within a time that ends now as theirs does: counted, or reckoned where it is another time."""
        if abs(self.span - span) <= 2 * _SECOND:
            return self.number  # the log has whole seconds
        return self.number * (span / max(self.span, _SECOND))


@dataclass(frozen=True)
class Judged:
    """A lookup, and how often it ran for each request.

    Attributes:
        per_request: At the least so often.
    """

    lookup: Lookup
    requests: RequestsSeen
    per_request: float


@dataclass(frozen=True)
class Lookups:
    """What was seen of them.

    Attributes:
        database: The database's name.
        statements: How many statements of it the server counts.
        few: How many lookups ran too seldom to be judged.
        judged: The others, the one that runs most often for each request first.
        span: For how long statements are counted.
        notes: What the reader should know beside it.
    """

    database: str
    statements: int
    few: int
    floor: int
    judged: tuple[Judged, ...]
    span: timedelta
    notes: tuple[str, ...]

    @property
    def looked_at(self) -> str:
        """The denominator: statements, time, requests."""
        requests = self.judged[0].requests if self.judged else None
        seen = f"; {count(requests.number, 'request')} of {say_span(requests.span)}" if requests else ""
        return (
            f"{count(self.statements, 'statement')} of {self.database}, counted for {say_span(self.span)}, "
            f"{len(self.judged)} of them lookups that ran {self.floor:,} times or more{seen}"
        )

    @property
    def most(self) -> float:
        """How often the most frequent lookup ran for each request."""
        return self.judged[0].per_request if self.judged else 0.0

    @property
    def said(self) -> str:
        """What the most frequent lookup is, and how often it ran."""
        if not self.judged:
            return f"no lookup of a single row ran {self.floor:,} times"
        top = self.judged[0]
        return f"{top.per_request:,.1f} times a request ran, for {top.lookup.role}: {top.lookup.query}"

    def rows(self) -> list[dict[str, str]]:
        """The most frequent lookups, for the report."""
        return [
            {
                "times a request": f"{one.per_request:,.1f}",
                "times": f"{one.lookup.calls:,}",
                "within": say_span(one.lookup.span),
                "average": f"{one.lookup.milliseconds:,.2f} ms",
                "role": one.lookup.role,
                "statement": one.lookup.query,
            }
            for one in self.judged[:_SHOWN]
        ]


def lookups(
    database: Database,
    activity: str,
    floor: int,
    requests: Callable[[timedelta], RequestsSeen],
    longest: timedelta,
) -> Lookups:
    """How often single rows are looked up. PostgreSQL 14 to 18; 13 doesn't say since when it counts.

    Args:
        database: Whose.
        activity: The application's table of activity, whose owner is the application's role.
        floor: A lookup that ran less often isn't judged.
        requests: The requests of the last so much time, from the access log; asked only where a lookup is judged.
        longest: No more of the access log than this is read: what was counted for longer is compared by its rate.

    Raises:
        CannotTell: If statements aren't counted, aren't shown to this role, or not since a time that is known; or
            there is a lookup to judge and the requests can't be counted.
    """
    schema = _installed(database)
    names = {"statements": f"{schema}.{MODULE}"}
    (about,) = database.ask("statements_since", names={"info": f"{schema}.{MODULE}_info"})
    (counted,) = database.ask("statements_counted", names=names)
    _must_be_seen(database, counted)
    roles = [row["role"] for row in database.ask("application_roles", names={"activity": activity})]
    found = database.ask("lookups", names=names, values={"own": database.session.role in roles})
    now: datetime = about["now"]
    seen = [_lookup(row, about["since"], now) for row in found]
    many = [one for one in seen if one.calls >= floor]
    span = max(now - about["since"], timedelta(0))
    judged = _judged(many, requests, span, longest)
    notes = []
    if about["forgotten"]:
        notes.append(f"{MODULE}.max is reached: rare statements were forgotten {about['forgotten']:,} times")
    if judged:
        notes.append("requests of all routes are counted, so that each figure is the least that it can be")
        if any(one.lookup.span > one.requests.span * 1.1 for one in judged):
            notes.append(
                f"the requests are those of {say_span(judged[0].requests.span)}, and the statements are counted "
                "for longer: their number is reckoned from that"
            )
    return Lookups(
        database=database.session.database,
        statements=counted["statements"],
        few=len(seen) - len(many),
        floor=floor,
        judged=tuple(judged),
        span=span,
        notes=tuple(notes),
    )


def _installed(database: Database) -> str:
    """The schema of the module, if it is there, loaded and new enough."""
    (about,) = database.ask("statements_about")
    if about["track"] is None:
        others = [one for one in (about["preloaded"] or "").split(",") if one.strip()]
        libraries = ",".join([*others, MODULE])
        raise CannotTell(
            f"statements aren't counted: {MODULE} isn't loaded",
            mend=f"ALTER SYSTEM SET shared_preload_libraries = {libraries}; restart the database; "
            f"then CREATE EXTENSION {MODULE}; in {database.session.database}.",
        )
    if about["version"] is None:
        raise CannotTell(
            f"statements are counted, but {MODULE} isn't an extension of {database.session.database}",
            mend=f"CREATE EXTENSION {MODULE}; in {database.session.database}, as a superuser.",
        )
    version = tuple(int(part) for part in about["version"].split(".") if part.isdigit())
    if version < _SINCE_KNOWN:
        older = database.session.version < 140000
        raise CannotTell(
            f"{MODULE} {about['version']} doesn't say since when it counts",
            mend="PostgreSQL 14 and later do." if older else f"ALTER EXTENSION {MODULE} UPDATE;",
        )
    if about["track"] == "none":
        raise CannotTell(
            f"statements aren't counted: {MODULE}.track is none",
            mend=f"ALTER SYSTEM SET {MODULE}.track = top; SELECT pg_reload_conf();",
        )
    return str(about["schema"])


def _must_be_seen(database: Database, counted: dict[str, Any]) -> None:
    role = database.session.role
    if counted["hidden"]:
        raise CannotTell(
            f"the text of {counted['hidden']:,} of {counted['statements']:,} statements is hidden from the role {role}",
            mend=f"GRANT pg_monitor TO {role};",
        )
    if not counted["statements"]:
        raise CannotTell(
            f"no statement of {database.session.database} has been counted yet: nothing was looked at",
            mend="Look again when the application has been used.",
        )


def _lookup(row: dict[str, Any], since: datetime, now: datetime) -> Lookup:
    first = max(since, row["since"]) if row["since"] is not None else since
    span = max(now - first, timedelta(0))
    return Lookup(row["role"], row["query"], row["calls"], row["rows"], row["milliseconds"], span)


def _judged(
    many: list[Lookup], requests: Callable[[timedelta], RequestsSeen], counted: timedelta, longest: timedelta
) -> list[Judged]:
    """How often each ran for a request, at the least."""
    seen: dict[timedelta, RequestsSeen] = {}
    judged = []
    for one in many:
        span = _read_for(one.span, counted, longest)
        if span not in seen:
            seen[span] = requests(span)
        judged.append(Judged(one, seen[span], one.calls / max(seen[span].within(one.span), 1e-9)))
    return sorted(judged, key=lambda one: one.per_request, reverse=True)


def _read_for(span: timedelta, counted: timedelta, longest: timedelta) -> timedelta:
    """So much of the access log is read for a statement that is counted for `span`.

    What is counted for as long as the rest shares one reading. What came later has a reading of up to twice its time,
    so that there are few: days and nights differ, and a rate of another time of the day would be none.
    """
    # nginx writes whole seconds, and the first may have begun before.
    whole = min(longest, timedelta(seconds=int(counted.total_seconds()) + 1))
    if span >= whole * 0.99 or whole - span <= 2 * _SECOND:
        return whole
    while whole / 2 > span and whole > 2 * _SECOND:
        whole /= 2
    return whole
