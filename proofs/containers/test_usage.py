"""How the application is used, by a real server's rows that are known one by one."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from observe.errors import CannotTell
from observe.usage import Activity, Usage, activity, days_of, size_near, usage
from proofs.containers.postgres import Postgres, running
from target.model import Application

if TYPE_CHECKING:
    from collections.abc import Iterator

VIENNA = ZoneInfo("Europe/Vienna")
UNTIL = datetime(2026, 11, 24, 10, 0, tzinfo=VIENNA)
MONTH = timedelta(days=30)
SINCE = (UNTIL.astimezone(UTC) - MONTH).astimezone(VIENNA)
MICRO = timedelta(microseconds=1)
Rows = list[tuple[int | None, datetime]]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as postgres:
        with postgres.connect() as chief:
            chief.execute("CREATE TABLE people (id int PRIMARY KEY, username text, password text)")
            chief.execute(
                "INSERT INTO people SELECT n, 'user-' || chr(96 + n), 'hash-of-' || n FROM generate_series(1, 20) n"
            )
        yield postgres


@contextmanager
def table(server: Postgres, rows: Rows, kind: str = "timestamptz") -> Iterator[Application]:
    """A table of activity with these rows."""
    name = f"activity_{uuid4().hex[:8]}"
    with server.connect() as chief:
        chief.execute(f"CREATE TABLE {name} (user_id int, created_at {kind})".encode())
        with chief.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s)".encode(), rows)  # noqa: S608  ours
        try:
            yield Application(activity=name, users="people")
        finally:
            chief.execute(f"DROP TABLE {name}".encode())


def look(server: Postgres, tables: Application, role: str = "ops") -> Activity:
    database = server.database(role)
    try:
        return activity(database, tables, SINCE, UNTIL)
    finally:
        database.close()


def report(server: Postgres, tables: Application, **more: Any) -> Usage:  # noqa: ANN401
    database = server.database()
    try:
        return usage(database, tables, more.pop("since", SINCE), more.pop("until", UNTIL), **more)
    finally:
        database.close()


def some(user: int | None, count: int, at: datetime = UNTIL - timedelta(days=3)) -> Rows:
    return [(user, at + n * timedelta(seconds=1)) for n in range(count)]


# Who did what --------------------------------------------------------------------------------------------------------


def test_rows_are_counted_by_user_most_first(server: Postgres) -> None:
    with table(server, [*some(1, 5), *some(2, 30), *some(None, 15)]) as tables:
        seen = look(server, tables)
    assert (seen.total, seen.users) == (50, 2)
    assert [(one.name, one.done) for one in seen.doers] == [("user-b", 30), ("user-a", 5)]
    assert seen.said == "50 rows by 2 users; most by user-b: 30 (60 %); 15 (30 %) by no user"
    assert seen.looked_at == f"50 rows of {tables.activity}, 30 d (2026-10-25 10:00 to 2026-11-24 10:00)"
    assert seen.rows() == [
        {"user": "user-b", "rows": "30", "share": "60 %"},
        {"user": "user-a", "rows": "5", "share": "10 %"},
        {"user": "(nobody)", "rows": "15", "share": "30 %"},
    ]
    assert seen.notes == ()


def test_the_window_has_its_beginning_and_not_its_end(server: Postgres) -> None:
    rows: Rows = [(1, SINCE - MICRO), (2, SINCE), (3, UNTIL - MICRO), (4, UNTIL)]
    with table(server, rows) as tables:
        seen = look(server, tables)
    assert sorted(one.name for one in seen.doers) == ["user-b", "user-c"]


def test_half_is_allowed_and_more_is_not(server: Postgres) -> None:
    with table(server, [*some(1, 50), *some(2, 50)]) as tables:
        assert not look(server, tables).lopsided(0.5, 50)
    with table(server, [*some(1, 51), *some(2, 49)]) as tables:
        seen = look(server, tables)
    assert seen.lopsided(0.5, 100)
    assert not seen.lopsided(0.5, 101), "of so few nobody's share is judged"


def test_rows_of_no_user_are_nobodys_share_however_many(server: Postgres) -> None:
    with table(server, [*some(None, 90), *some(2, 10)]) as tables:
        seen = look(server, tables)
    assert (seen.total, seen.users, seen.top_share) == (100, 1, 0.1)
    assert not seen.lopsided(0.5, 50)
    with table(server, some(None, 60)) as tables:
        seen = look(server, tables)
    assert (seen.total, seen.users, seen.doers) == (60, 0, ())
    assert not seen.lopsided(0.5, 50)


def test_of_many_users_ten_are_listed_and_the_rest_counted(server: Postgres) -> None:
    rows = [row for user in range(1, 16) for row in some(user, user)]
    with table(server, rows) as tables:
        seen = look(server, tables)
    assert (seen.total, seen.users, len(seen.doers)) == (120, 15, 10)
    assert seen.rows()[-1] == {"user": "(5 other users)", "rows": "15", "share": "12.5 %"}
    assert sum(int(row["rows"]) for row in seen.rows()) == seen.total


def test_nothing_in_the_window_says_when_the_last_was(server: Postgres) -> None:
    with table(server, some(1, 1, SINCE.astimezone(UTC) - timedelta(days=10))) as tables:
        seen = look(server, tables)
    assert seen.total == 0
    assert seen.said == "nothing in 30 d; the newest row is of 2026-10-15 11:00, 40 d before"
    assert seen.rows() == []
    assert not seen.lopsided(0.5, 0)


def test_users_who_cant_be_looked_up_go_by_their_numbers(server: Postgres) -> None:
    with table(server, [*some(7, 2), *some(99, 3)]) as tables:
        known = look(server, tables)
        unknown = look(server, Application(activity=tables.activity, users="nowhere"))
    assert [one.name for one in known.doers] == ["user 99", "user-g"]
    assert [one.name for one in unknown.doers] == ["user 99", "user 7"]
    assert "users are shown by their numbers" in unknown.notes[0]
    assert "hash" not in repr(known)


def test_times_without_a_zone_are_of_the_sessions(server: Postgres) -> None:
    naive = [(user, at.astimezone(UTC).replace(tzinfo=None)) for user, at in some(1, 2, SINCE)]
    early = [(2, (SINCE - MICRO).astimezone(UTC).replace(tzinfo=None))]
    with table(server, [*naive, *early], "timestamp") as tables:
        seen = look(server, tables)
        month = report(server, tables)
    assert [(one.name, one.done) for one in seen.doers] == [("user-a", 2)]
    assert "the times have no zone; they are taken for" in seen.notes[0]
    assert month.by_day[0].calls == 2
    assert seen.notes[0] in month.notes


def test_a_schema_of_ones_own_and_names_with_capitals(server: Postgres) -> None:
    with server.connect() as chief:
        chief.execute('CREATE SCHEMA "Shop"; CREATE TABLE "Shop"."Done" ("By" int, "At" timestamptz)')
        chief.execute('INSERT INTO "Shop"."Done" VALUES (3, %s)', [UNTIL - MICRO])
    tables = Application(activity="Shop.Done", activity_at="At", activity_by="By", users="people")
    try:
        assert look(server, tables).said == "1 row by 1 user; most by user-c: 1 (100 %)"
        assert report(server, tables).this.calls == 1
    finally:
        with server.connect() as chief:
            chief.execute('DROP SCHEMA "Shop" CASCADE')


# What can't be told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("see", [look, report])
@pytest.mark.parametrize(
    "wrong",
    [{"activity": "nowhere"}, {"activity_at": "nothing"}, {"activity_by": "nothing"}],
    ids=lambda one: next(iter(one)),
)
def test_a_table_or_column_that_isnt_there_blinds_and_says_where_to_name_it(
    server: Postgres,
    see: Any,  # noqa: ANN401  either of the two
    wrong: dict[str, Any],
) -> None:
    with table(server, some(1, 3)) as tables:
        given = {"activity": tables.activity, "users": "people", **wrong}
        with pytest.raises(CannotTell, match=next(iter(wrong.values()))) as raised:
            see(server, Application(**given))
    assert "[application]" in raised.value.mend
    assert raised.value.cause == ""


def test_a_table_that_may_not_be_read_blinds_and_says_what_to_grant(server: Postgres) -> None:
    with table(server, some(1, 3)) as tables, pytest.raises(CannotTell, match="permission denied") as raised:
        look(server, tables, "app")
    assert raised.value.mend.startswith("GRANT pg_read_all_data TO app;")


@pytest.mark.parametrize("see", [look, report])
def test_a_table_that_never_had_a_row_may_be_the_wrong_one(server: Postgres, see: Any) -> None:  # noqa: ANN401
    with table(server, []) as tables, pytest.raises(CannotTell, match="nothing was looked at") as raised:
        see(server, tables)
    assert "application.activity" in raised.value.mend
    later = some(1, 3, UNTIL + timedelta(days=1))
    with table(server, later) as tables, pytest.raises(CannotTell, match=r"no row before 2026-11-24 10:00"):
        see(server, tables)


# A month and the one before -----------------------------------------------------------------------------------------


def test_a_month_is_held_beside_the_one_before(server: Postgres) -> None:
    first = (SINCE.astimezone(UTC) - MONTH).astimezone(VIENNA)
    rows: Rows = [
        (1, first - MICRO),
        *[(user, first + user * timedelta(hours=1)) for user in (1, 2, 3)],
        (None, first),
        (1, SINCE - MICRO),
        *[(user, SINCE + user * timedelta(days=1)) for user in (1, 1, 2)],
        (None, UNTIL - MICRO),
        (4, UNTIL),
    ]
    measured = [(SINCE - timedelta(days=2), 1e6), (SINCE - timedelta(days=40), 5.0)]
    with table(server, rows) as tables:
        month = report(server, tables, sizes=measured)
    assert month.before is not None
    assert (month.this.calls, month.this.users, month.this.anonymous) == (4, 2, 1)
    assert (month.before.calls, month.before.users, month.before.anonymous) == (5, 3, 1)
    assert month.size_before == 1_000_000
    with server.connect() as chief:
        (size,) = chief.execute("SELECT pg_database_size('stock')").fetchone() or (0,)
    assert month.size == pytest.approx(size, rel=0.02)
    figures = {row["figure"]: row for row in month.rows()}
    assert figures["active users"] == {
        "figure": "active users", "this month": "2", "last month": "3", "change": "-1 (-33.33 %)",
    }  # fmt: skip
    assert figures["API calls"]["change"] == "-1 (-20 %)"
    assert figures["of them by no user"]["change"] == "±0"
    assert figures["database size"]["last month"] == "976.56 KiB"
    assert month.notes == ("the database's size of last month was measured on 2026-10-23",)
    assert month.looked_at.startswith(f"9 rows of {tables.activity}, 60 d (2026-09-25 11:00 to 2026-11-24 10:00)")


def test_days_are_those_of_the_hosts_zone_and_a_quiet_one_is_0(server: Postgres) -> None:
    midnight = datetime(2026, 11, 1, tzinfo=VIENNA)
    rows: Rows = [(1, midnight - MICRO), (1, midnight), (2, midnight), (None, midnight + timedelta(hours=23))]
    with table(server, rows) as tables:
        month = report(server, tables)
    calls = {one.day: (one.calls, one.users) for one in month.by_day}
    assert len(calls) == 31
    assert (calls[date(2026, 10, 31)], calls[date(2026, 11, 1)], calls[date(2026, 11, 2)]) == ((1, 1), (3, 2), (0, 0))
    assert sum(one.calls for one in month.by_day) == month.this.calls == 4
    assert month.points()[7] == ("2026-11-01", 3.0)
    assert month.day_rows()[7] == {"day": "2026-11-01 Sun", "calls": "3", "users": "2"}


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_on_which_the_clocks_change_is_one_day(server: Postgres, day: date, hours: int) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=VIENNA).astimezone(UTC)
    rows: Rows = [(1, start + n * timedelta(hours=1)) for n in range(-1, hours + 1)]
    since, until = (start - timedelta(days=3)).astimezone(VIENNA), (start + timedelta(days=3)).astimezone(VIENNA)
    with table(server, rows) as tables:
        month = report(server, tables, since=since, until=until)
    calls = {one.day: one.calls for one in month.by_day}
    assert (calls[day - timedelta(days=1)], calls[day], calls[day + timedelta(days=1)]) == (1, hours, 1)
    assert sum(calls.values()) == month.this.calls == hours + 2


def test_a_table_that_doesnt_go_back_so_far_says_so(server: Postgres) -> None:
    with table(server, some(1, 3, SINCE + timedelta(days=1))) as tables:
        month = report(server, tables)
    assert month.before is None
    assert month.rows()[1] == {"figure": "API calls", "this month": "3", "last month": "not known", "change": ""}
    assert month.notes[0] == "last month's activity isn't known: the oldest row is of 2026-10-26 10:00"
    with table(server, some(1, 3, SINCE - timedelta(days=5))) as tables:
        month = report(server, tables)
    assert month.before is not None
    assert month.before.calls == 3
    assert month.notes[0].startswith("last month's activity is known in part")


def test_a_month_without_a_row_is_a_month_of_0(server: Postgres) -> None:
    with table(server, some(1, 3, SINCE - timedelta(days=5))) as tables:
        month = report(server, tables)
    assert (month.this.calls, month.this.users) == (0, 0)
    assert {one.calls for one in month.by_day} == {0}
    assert month.rows()[0]["change"] == "-1 (-100 %)"


def test_the_figures_go_into_json_as_they_are(server: Postgres) -> None:
    with table(server, some(1, 3)) as tables:
        month = report(server, tables)
    plain = json.loads(json.dumps(month.as_dict()))
    assert plain["this_month"] == {
        "active_users": 1, "api_calls": 3, "anonymous_calls": 0, "database_bytes": month.size,
    }  # fmt: skip
    assert plain["last_month"] == dict.fromkeys(plain["this_month"])
    assert (plain["schema"], plain["until"]) == (1, "2026-11-24T10:00:00+01:00")
    assert sum(day["calls"] for day in plain["by_day"]) == 3


def test_a_size_is_last_months_only_when_it_was_measured_near_its_end() -> None:
    day = timedelta(days=1)
    near, far = (SINCE - 6 * day, 7.0), (SINCE - 8 * day, 8.0)
    assert size_near([far, near], SINCE)[0] == 7
    assert size_near([(SINCE + 5 * day, 9.0), near], SINCE)[0] == 9
    assert size_near([far], SINCE) == (
        None,
        ("the database's size of last month isn't known: the run nearest to 2026-10-25 was on 2026-10-17",),
    )
    assert size_near([], SINCE)[0] is None


def test_a_span_that_ends_at_midnight_has_nothing_of_the_next_day() -> None:
    since, until = datetime(2026, 11, 1, tzinfo=VIENNA), datetime(2026, 11, 3, tzinfo=VIENNA)
    assert [day for day, _ in days_of(since, until)] == [date(2026, 11, 1), date(2026, 11, 2)]


def test_a_day_without_a_midnight_begins_when_the_clocks_say_so() -> None:
    beirut = ZoneInfo("Asia/Beirut")
    since, until = datetime(2026, 3, 28, 12, tzinfo=beirut), datetime(2026, 3, 29, 12, tzinfo=beirut)
    (_, _), (day, start) = days_of(since, until)
    assert (day, start.isoformat()) == (date(2026, 3, 29), "2026-03-29T01:00:00+03:00")
