"""How the application is used: who did how much, and what a month came to.

Serves the guide's two queries of the middle of the month, which group the rows of `api_activity` of the last 30 days
by user, and its three figures of the end of the month. Its query of the database's size asks for a relation that no
PostgreSQL has; the size is what `pg_database_size` says.

Rows without a user are somebody's who didn't log in, or whose account is gone: they count, but for no user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell
from target.kinds import say_bytes, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from observe.database import Database
    from target.model import Application

SCHEMA = 1
"""The version of :meth:`Usage.as_dict`."""
NEAR = timedelta(days=7)
"""A size that was measured so near to a month's end is that month's."""
_SHOWN = 10
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Doer:
    """Somebody who did something.

    Attributes:
        name: The user's name; `user 17` where it isn't known, `(nobody)` for the rows of no user.
        done: Rows of the window.
        anonymous: Whether these are the rows of no user.
    """

    name: str
    done: int
    anonymous: bool = False


@dataclass(frozen=True)
class Reach:
    """From when to when a table goes, both aware; None where it has no row.

    Attributes:
        zone: The session's zone where the column knows none of its own, else empty.
    """

    oldest: datetime | None
    newest: datetime | None
    zone: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know of the times."""
        said = f"the times have no zone; they are taken for {self.zone}, as the database's session has it"
        return (said,) if self.zone else ()


@dataclass(frozen=True)
class Activity:
    """What was done in a window, and by whom.

    Attributes:
        table: The table, as the settings name it.
        since: Its beginning, aware.
        until: Its end, which isn't in it.
        total: Rows of the window.
        users: How many users they are of.
        doers: Who did most, most first.
        nobody: The rows of no user; None where there are none.
        newest: The time of the newest row before the end, aware.
        notes: What the reader should know beside it.
    """

    table: str
    since: datetime
    until: datetime
    total: int
    users: int
    doers: tuple[Doer, ...]
    nobody: Doer | None
    newest: datetime
    notes: tuple[str, ...] = ()

    @property
    def span(self) -> timedelta:
        """The window's length."""
        return _between(self.since, self.until)

    @property
    def looked_at(self) -> str:
        """The denominator: rows, table, window."""
        return f"{_rows(self.total)} of {self.table}, {_window(self.since, self.until)}"

    @property
    def said(self) -> str:
        """How much was done, and who did most of it."""
        if not self.total:
            ago = say_span(_between(self.newest, self.until))
            return f"nothing in {say_span(self.span)}; the newest row is of {self.newest:%Y-%m-%d %H:%M}, {ago} before"
        top = f"; most by {self.doers[0].name}: {self._part(self.doers[0])}" if self.doers else ""
        nobody = f"; {self._part(self.nobody)} by no user" if self.nobody else ""
        return f"{_rows(self.total)} by {_users(self.users)}{top}{nobody}"

    @property
    def top_share(self) -> float:
        """The share of who did most, 0 to 1; 0 where no user did anything."""
        return self._share(self.doers[0]) if self.doers else 0.0

    def lopsided(self, share: float, floor: int) -> bool:
        """Whether one user made more than that share, where there is enough to have a share of.

        Args:
            share: 0 to 1.
            floor: Of fewer rows nobody's share is judged.
        """
        return self.total >= floor and self.top_share > share

    def rows(self) -> list[dict[str, str]]:
        """Who did most, for the report."""
        listed = [*self.doers, *([self.nobody] if self.nobody else [])]
        rows = [
            {"user": one.name, "rows": f"{one.done:,}", "share": say_share(self._share(one))}
            for one in listed[: _SHOWN + 1]
        ]
        rest = self.total - sum(one.done for one in listed)
        if rest:
            others = _users(self.users - len(self.doers)).replace("user", "other user")
            rows.append({"user": f"({others})", "rows": f"{rest:,}", "share": say_share(rest / self.total)})
        return rows

    def _share(self, one: Doer) -> float:
        return one.done / self.total if self.total else 0.0

    def _part(self, one: Doer) -> str:
        return f"{one.done:,} ({say_share(self._share(one))})"


def activity(
    database: Database, tables: Application, since: datetime, until: datetime, *, seconds: float | None = None
) -> Activity:
    """Who did how much from `since` up to and without `until`, both aware, counted within so many seconds.

    Raises:
        CannotTell: If the table isn't there or may not be read, has no such column, or never had a row.
    """
    names = _names(tables)
    reach = _reach(database, tables, until, seconds)
    if reach.newest is None:
        raise _empty(tables, reach, until)
    window = {"since": since, "until": until}
    found = database.ask("activity_users", names=names, values=window, seconds=seconds)
    of_users = [row for row in found if row["who"] is not None][:_SHOWN]
    called, notes = _called(database, tables, [row["who"] for row in of_users])
    nobody = next((Doer("(nobody)", row["done"], anonymous=True) for row in found if row["who"] is None), None)
    return Activity(
        table=tables.activity,
        since=since,
        until=until,
        total=found[0]["total"] if found else 0,
        users=found[0]["users"] if found else 0,
        doers=tuple(Doer(called.get(row["who"], f"user {row['who']}"), row["done"]) for row in of_users),
        nobody=nobody,
        newest=reach.newest.astimezone(until.tzinfo),
        notes=(*reach.notes, *notes),
    )


def _called(database: Database, tables: Application, who: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What users are called, and why that isn't known."""
    if not who:
        return {}, ()
    try:
        rows = database.ask("activity_names", names={"users": tables.users}, values={"who": who})
    except CannotTell as why:
        return {}, (f"users are shown by their numbers: {why}",)
    return {row["who"]: row["name"] for row in rows if row["name"]}, ()


def _reach(database: Database, tables: Application, until: datetime, seconds: float | None) -> Reach:
    (row,) = database.ask("activity_reach", names=_names(tables), values={"until": until}, seconds=seconds)
    return Reach(row["oldest"], row["newest"], "" if row["kind"] == "timestamp with time zone" else row["zone"])


def _names(tables: Application) -> dict[str, str]:
    return {"activity": tables.activity, "activity_at": tables.activity_at, "activity_by": tables.activity_by}


def _empty(tables: Application, reach: Reach, until: datetime) -> CannotTell:
    """A table that nothing was ever written to may be the wrong one."""
    if reach.oldest is None:
        what = f"{tables.activity} has no row with a {tables.activity_at}: nothing was looked at"
    else:
        what = f"{tables.activity} has no row before {until:%Y-%m-%d %H:%M}: nothing was looked at"
    return CannotTell(
        what,
        mend="Is it the table that the application writes its activity to? Name the right one as application.activity.",
    )


@dataclass(frozen=True)
class Month:
    """What a month came to.

    Attributes:
        users: Different users with a row.
        calls: Rows, which is what the guide counts as calls of the API.
        anonymous: Rows of no user.
    """

    users: int = 0
    calls: int = 0
    anonymous: int = 0


@dataclass(frozen=True)
class Day:
    """A day of the host's zone.

    Attributes:
        day: The date.
        calls: Rows of it.
        users: Different users with a row.
    """

    day: date
    calls: int
    users: int


@dataclass(frozen=True)
class Usage:
    """A month's figures, and the month's before.

    Attributes:
        table: The table, as the settings name it.
        database: The database's name.
        since: The month's beginning, aware, in the host's zone. The month before is as long and ends there.
        until: Its end.
        this: What it came to.
        size: The database's size now, in bytes.
        before: What the month before came to; None where the table doesn't go back to it.
        size_before: The database's size at its end, likewise; None where nobody measured it.
        by_day: Its days, the first and the last in part.
        notes: What the reader should know beside the figures.
    """

    table: str
    database: str
    since: datetime
    until: datetime
    this: Month
    size: int
    before: Month | None
    size_before: int | None
    by_day: tuple[Day, ...]
    notes: tuple[str, ...] = ()

    @property
    def looked_at(self) -> str:
        """The denominator: rows, table, windows, and the database."""
        rows = self.this.calls + (self.before.calls if self.before else 0)
        first = _before(self.since, self.until) if self.before else self.since
        return f"{_rows(rows)} of {self.table}, {_window(first, self.until)}; the database {self.database}"

    @property
    def said(self) -> str:
        """The month's figures."""
        return f"{_users(self.this.users)}, {self.this.calls:,} calls, a database of {say_bytes(self.size)}"

    def rows(self) -> list[dict[str, str]]:
        """The figures with those of the month before beside them, for the report."""
        before = self.before
        figures: tuple[tuple[str, int, int | None, Callable[[int], str]], ...] = (
            ("active users", self.this.users, before.users if before else None, "{:,}".format),
            ("API calls", self.this.calls, before.calls if before else None, "{:,}".format),
            ("of them by no user", self.this.anonymous, before.anonymous if before else None, "{:,}".format),
            ("database size", self.size, self.size_before, say_bytes),
        )
        return [
            {
                "figure": name,
                "this month": say(now),
                "last month": "not known" if then is None else say(then),
                "change": _change(now, then, say),
            }
            for name, now, then, say in figures
        ]

    def points(self) -> list[tuple[str, float]]:
        """The calls of each day, for a picture."""
        return [(str(one.day), float(one.calls)) for one in self.by_day]

    def day_rows(self) -> list[dict[str, str]]:
        """The days, for the report."""
        return [
            {"day": f"{one.day:%Y-%m-%d %a}", "calls": f"{one.calls:,}", "users": f"{one.users:,}"}
            for one in self.by_day
        ]

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data; `report.usage_file` says what is in them."""
        return {
            "schema": SCHEMA,
            "since": self.since.isoformat(timespec="seconds"),
            "until": self.until.isoformat(timespec="seconds"),
            "table": self.table,
            "database": self.database,
            "this_month": _figures(self.this, self.size),
            "last_month": _figures(self.before, self.size_before),
            "by_day": [{"day": str(one.day), "calls": one.calls, "users": one.users} for one in self.by_day],
            "notes": list(self.notes),
        }


def usage(
    database: Database,
    tables: Application,
    since: datetime,
    until: datetime,
    sizes: Sequence[tuple[datetime, float]] = (),
    *,
    seconds: float | None = None,
) -> Usage:
    """The figures of a month and of the one before.

    Args:
        database: Whose.
        tables: Where the activity is.
        since: The month's beginning, aware, in the host's zone: its days are days of it.
        until: Its end, likewise.
        sizes: What the database measured in earlier runs, each with its time, aware.
        seconds: Total time limit of each count, in seconds; None for the session's own.

    Raises:
        CannotTell: If the table isn't there or may not be read, has no such column, or never had a row; or the
            database's size may not be asked for.
    """
    reach = _reach(database, tables, until, seconds)
    if reach.oldest is None or reach.newest is None:
        raise _empty(tables, reach, until)
    first = _before(since, until)
    borders = days_of(since, until)
    found = database.ask(
        "activity_days",
        names=_names(tables),
        values={
            "since": first,
            "until": until,
            "months": [first, since],
            "days": [since, *(start for _, start in borders[1:])],
        },
        seconds=seconds,
    )
    (size,) = database.ask("database_size")
    whole = {row["month"]: row for row in found if row["whole"]}
    days = {row["day"]: row for row in found if not row["whole"] and row["month"] == 2}
    notes = [*reach.notes, *_partial(reach.oldest, first, since)]
    earlier, why = size_near(sizes, since)
    return Usage(
        table=tables.activity,
        database=size["name"],
        since=since,
        until=until,
        this=_month(whole.get(2)),
        size=int(size["size"]),
        before=_month(whole.get(1)) if reach.oldest < since else None,
        size_before=earlier,
        by_day=tuple(
            Day(day, days[number]["calls"], days[number]["users"]) if number in days else Day(day, 0, 0)
            for number, (day, _) in enumerate(borders, 1)
        ),
        notes=(*notes, *why),
    )


def days_of(since: datetime, until: datetime) -> list[tuple[date, datetime]]:
    """The calendar days that a span touches, each with its first moment, in the zone of `since`.

    A day without a midnight, where the clocks are put forward over it, begins when they say so.
    """
    zone = since.tzinfo
    # Nothing of the end's own day is in the span when it ends with its first moment.
    last = (until.astimezone(UTC) - timedelta(microseconds=1)).astimezone(zone).date()
    number = (last - since.date()).days + 1
    days = [since.date() + _DAY * n for n in range(number)]
    return [(day, datetime.combine(day, time(), zone).astimezone(UTC).astimezone(zone)) for day in days]


def size_near(sizes: Sequence[tuple[datetime, float]], moment: datetime) -> tuple[int | None, tuple[str, ...]]:
    """The size that was measured nearest to a moment, if it was near; and what is to be said of it."""
    if not sizes:
        return None, ("the database's size of last month isn't known: no earlier run has measured it",)
    at, size = min(sizes, key=lambda one: abs(_between(one[0], moment)))
    day = at.astimezone(moment.tzinfo).date()
    if abs(_between(at, moment)) > NEAR:
        return None, (
            f"the database's size of last month isn't known: the run nearest to {moment:%Y-%m-%d} was on {day}",
        )
    return int(size), (f"the database's size of last month was measured on {day}",)


def _partial(oldest: datetime, first: datetime, since: datetime) -> list[str]:
    """What is to be said of a table that doesn't go back over the month before."""
    begins = oldest.astimezone(since.tzinfo)
    if oldest >= since:
        return [f"last month's activity isn't known: the oldest row is of {begins:%Y-%m-%d %H:%M}"]
    if oldest > first + _DAY:
        return [f"last month's activity is known in part: the oldest row is of {begins:%Y-%m-%d %H:%M}"]
    return []


def _month(row: Mapping[str, int] | None) -> Month:
    return Month(row["users"], row["calls"], row["anonymous"]) if row else Month()


def _figures(month: Month | None, size: int | None) -> dict[str, int | None]:
    return {
        "active_users": month.users if month else None,
        "api_calls": month.calls if month else None,
        "anonymous_calls": month.anonymous if month else None,
        "database_bytes": size,
    }


def _change(now: int, then: int | None, say: Callable[[int], str]) -> str:
    if then is None:
        return ""
    sign = "+" if now > then else "-" if now < then else "±"
    share = f" ({sign}{say_share(abs(now - then) / then)})" if then and now != then else ""
    return f"{sign}{say(abs(now - then))}{share}"


def _between(since: datetime, until: datetime) -> timedelta:
    # In UTC: Python reckons two times of one zone by the clock on the wall, also across a change of clocks.
    return until.astimezone(UTC) - since.astimezone(UTC)


def _before(since: datetime, until: datetime) -> datetime:
    """The beginning of the span that is as long and ends with `since`."""
    return (since.astimezone(UTC) - _between(since, until)).astimezone(since.tzinfo)


def _window(since: datetime, until: datetime) -> str:
    return f"{say_span(_between(since, until))} ({since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M})"


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def _users(number: int) -> str:
    return "1 user" if number == 1 else f"{number:,} users"
