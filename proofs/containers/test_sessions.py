"""Who is connected, by a real server's sessions that are known one by one; and what is shown of their statements."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.database import Connection, Connections
from observe.errors import CannotTell, NoAnswer
from observe.sessions import Headroom, Idle, IdleSessions, headroom, idle_sessions, without_values
from observe.storage import largest_tables
from proofs.containers import packaged_postgres
from proofs.containers.postgres import RESERVED, SLOTS, Postgres, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = timedelta(seconds=1)


def room(server: Postgres, others: int, role: str = "ops") -> Headroom:
    """The headroom, once the server has noticed that the sessions of earlier proofs are gone."""
    database = server.database(role)
    try:
        for _ in range(100):
            seen = headroom(database)
            if seen.used == others:
                break
            time.sleep(0.02)
        return seen
    finally:
        database.close()


def idle(server: Postgres, role: str = "ops") -> IdleSessions:
    database = server.database(role)
    try:
        return idle_sessions(database)
    finally:
        database.close()


# How many more it takes -----------------------------------------------------------------------------------------------


def test_what_is_held_is_of_what_an_ordinary_role_can_hold(server: Postgres) -> None:
    with ExitStack() as opened:
        for _ in range(9):
            opened.enter_context(server.connect("app"))
        seen = room(server, 9)
    assert (seen.used, seen.slots, seen.share) == (9, SLOTS - RESERVED, 0.75)
    assert seen.said == "9 of 12 held (75 %; max_connections = 14, 2 kept for superusers)"
    assert seen.looked_at == "10 client connections, 1 of them this run's own"
    assert [row["application"] for row in seen.connections.by_application()] == ["app of app"]


def test_our_own_session_is_not_counted_and_others_of_our_name_are(server: Postgres) -> None:
    other = server.database("ops")
    _ = other.session
    assert room(server, 1).used == 1
    other.close()
    assert room(server, 0).share == 0.0


def test_a_server_that_takes_no_more_breaks_what_asks_for_that_and_all_else_waits_for_it(server: Postgres) -> None:
    assert room(server, 0).used == 0
    with ExitStack() as opened:
        for _ in range(SLOTS - RESERVED):
            opened.enter_context(server.connect("app"))
        with pytest.raises(NoAnswer, match="takes no more connections") as raised:
            room(server, 0)
        with pytest.raises(CannotTell, match="takes no more connections") as waiting:
            idle(server)
    assert (raised.value.cause, waiting.value.cause) == ("database", "database")
    assert "connection-headroom" in waiting.value.mend


def test_what_is_kept_since_postgresql_16_for_a_role_is_taken_off_as_well() -> None:
    one = Connection(1, "app", "stock", "", "local", "idle", own=False)
    seen = Headroom(Connections((one,) * 8), 20, 3, 7)
    assert (seen.slots, seen.share) == (10, 0.8)
    assert seen.said == "8 of 10 held (80 %; max_connections = 20, 3 kept for superusers and 7 for a role)"
    assert Headroom(Connections(()), 5, 5, 0).share == 1.0


# Who keeps one without using it ---------------------------------------------------------------------------------------


def test_sessions_are_idle_since_their_state_changed(server: Postgres) -> None:
    """A statement that ran for a second and ended just now was begun a second ago, which is what the guide asks for."""
    assert room(server, 0).used == 0
    with server.connect("app") as busy, server.connect("app") as forgotten:
        forgotten.execute("SELECT 'jane@example.org', 4711")
        busy.execute("SELECT pg_sleep(1)")
        pids = busy.info.backend_pid, forgotten.info.backend_pid
        seen = idle(server)
    longest = 0.95 * SECOND
    # It is busy's own idleness that must be short, however slow this machine is at the moment.
    limit = max(longest, seen.idle[1].since)
    (found,) = seen.abandoned(limit)
    assert [one.pid for one in seen.idle] == [pids[1], pids[0]]
    assert seen.idle[0].since - seen.idle[1].since > longest
    assert (found.pid, found.state, found.query) == (pids[1], "idle", "SELECT ?, ?")
    assert (found.application, found.role) == ("app of app", "app")
    assert found.said.startswith(f"process {found.pid} of app (app of app) from ")
    assert seen.said(limit) == found.said
    assert seen.said(timedelta(hours=1)).startswith("none idle for longer than ")
    assert not seen.abandoned(timedelta(hours=1))
    assert seen.looked_at == "3 client connections, 1 of them this run's own; 2 are idle"


def test_a_transaction_that_nobody_ends_is_idle_too_failed_or_not(server: Postgres) -> None:
    import psycopg

    with server.connect("app") as open_one, server.connect("app") as failed:
        open_one.execute("BEGIN")
        failed.execute("BEGIN")
        with pytest.raises(psycopg.errors.UndefinedTable):
            failed.execute("SELECT * FROM nowhere")
        seen = {one.pid: one.state for one in idle(server).idle}
        assert seen[open_one.info.backend_pid] == "idle in transaction"
        assert seen[failed.info.backend_pid] == "idle in transaction (aborted)"


def test_our_own_is_never_idle(server: Postgres) -> None:
    token = "a" * 32
    worker, database = server.database(token=token), server.database(token=token)
    _ = worker.session
    seen = idle_sessions(database)
    worker.close()
    database.close()
    assert (seen.idle, seen.own) == ((), 2)


def test_a_session_that_says_nothing_of_itself_is_not_passed_over(server: Postgres) -> None:
    assert room(server, 0).used == 0
    with server.connect() as chief, server.connect("app") as forgotten:
        chief.execute("SET track_activities = off")
        forgotten.execute("SELECT 1")
        seen = idle(server)
        assert (seen.untold, [one.pid for one in seen.idle]) == (1, [forgotten.info.backend_pid])
    with pytest.raises(CannotTell, match="1 of 2 sessions don't say what they do"):
        seen.must_see()
    IdleSessions(0, 1, ()).must_see()


def test_a_role_that_does_not_see_the_others_is_no_answer(server: Postgres) -> None:
    with server.connect(), pytest.raises(CannotTell, match="hidden from the role 'app'") as raised:
        idle(server, "app")
    assert raised.value.mend == "GRANT pg_monitor TO app;"


def test_what_a_client_calls_itself_is_bounded() -> None:
    seen = Idle(7, "r" * 500, "d" * 500, "a" * 500, "local", "idle", SECOND, "")
    assert len(seen.said) < 300
    assert max(map(len, seen.row().values())) <= 80
    assert IdleSessions(3, 0, (seen,) * 3).said(timedelta()).endswith(", and 2 more")
    assert IdleSessions(3, 0, ()).said(timedelta()) == "none is idle"


# Their statements -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT 1", "SELECT ?"),
        ('SELECT "auth_user"."id" FROM "auth_user"', 'SELECT "auth_user"."id" FROM "auth_user"'),
        ("SELECT a FROM t WHERE b = 'it''s' AND c = -1.5e3", "SELECT a FROM t WHERE b = ? AND c = -?"),
        ("UPDATE t2 SET c3 = $1 WHERE x = .5", "UPDATE t2 SET c3 = $1 WHERE x = ?"),
        (r"SELECT E'it\'s secret', 2", "SELECT ?, ?"),
        ("SELECT e'x', U&'y', x'1F', N'z', B'01'", "SELECT ?, ?, ?, ?, ?"),
        ("SELECT $$a ' b$$, $tag$ $$ c $tag$, 3", "SELECT ?, ?, ?"),
        ("SELECT a -- user 4711\nFROM t /* jane /* doe */ was here */ WHERE b", "SELECT a FROM t WHERE b"),
        ("SELECT a /*route='x'", "SELECT a"),
        ("SELECT a FROM t WHERE mail = 'jane.r", "SELECT a FROM t WHERE mail = ?"),
        ("SELECT $body$ cut", "SELECT ?"),
        (r"SELECT E'cut\\", "SELECT ?"),
        (r"SELECT 'c:\', 'more'", "SELECT ? …"),
        ("SELECT\n\t a,\n  b", "SELECT a, b"),
        ('SELECT "its" FROM t', 'SELECT "its" FROM t'),
        ("ALTER ROLE x PASSWORD 'pw'", "ALTER ROLE x PASSWORD ?"),
        ("", ""),
    ],
)
def test_a_statement_is_shown_without_its_values(query: str, shown: str) -> None:
    assert without_values(query) == shown


def test_a_long_statement_is_bounded() -> None:
    assert len(without_values("SELECT " + ", ".join(f"column_{number}" for number in range(500)))) == 200


VALUE = "jane-4711"
LITERALS = st.sampled_from(
    [
        f"'{VALUE}'",
        f"'it''s {VALUE}'",
        f"E'it\\'s {VALUE}'",
        f"e'\\\\{VALUE}'",
        f"$${VALUE}$$",
        f"$q$ $$ ' {VALUE} $q$",
        f"U&'{VALUE}'",
        f"/* {VALUE} /* ' */ {VALUE} */ 1",
        f"-- it's {VALUE}\n 2",
        f"'-- {VALUE}'",
        f"'/* {VALUE}'",
        f"'\" {VALUE}'",
    ]
)
PLAIN = st.sampled_from(["a", '"b"', '"it\'s"', "c1", "$1", "1", "count(*)", "f('x')", '"a""b"', "d -e"])


@given(st.lists(st.one_of(LITERALS, PLAIN), max_size=8), st.integers(0, 300))
def test_no_value_is_shown_wherever_the_statement_is_cut(pieces: list[str], cut: int) -> None:
    query = "SELECT " + ", ".join(pieces)
    assert "jane" not in without_values(query)
    assert "jane" not in without_values(query[:cut])


@given(st.text(alphabet="'\"$\\-*/eE1a \n", max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    assert len(without_values(text)) <= 200


# Another major version ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other() -> Iterator[Server]:
    """A server since PostgreSQL 16, which keeps connections for a role, too."""
    with packaged_postgres.running(packaged_postgres.installation(), reserved_connections="5") as server:
        yield server


def test_another_major_version_says_the_same_of_its_sessions(other: Server) -> None:
    database = other.database()
    with other.connect("app") as forgotten, other.connect("app") as waiting:
        forgotten.execute("SELECT 4711")
        waiting.execute("BEGIN")
        seen, sessions = headroom(database), idle_sessions(database)
        pids = {forgotten.info.backend_pid: "idle", waiting.info.backend_pid: "idle in transaction"}
    assert (seen.used, seen.most, seen.for_superusers, seen.for_a_role, seen.slots) == (2, 20, 3, 5, 12)
    assert {one.pid: one.state for one in sessions.idle} == pids
    assert "SELECT ?" in [one.query for one in sessions.idle]
    database.close()


def test_another_major_version_takes_no_more_where_we_say_so(other: Server) -> None:
    with ExitStack() as opened:
        for _ in range(12):
            opened.enter_context(other.connect("app"))
        with pytest.raises(NoAnswer, match="takes no more connections: remaining connection slots are reserved"):
            headroom(other.database())


def test_another_major_version_tells_the_sizes(other: Server) -> None:
    with other.connect() as chief:
        chief.execute("CREATE TABLE parted (n int) PARTITION BY LIST (n)")
        chief.execute("CREATE TABLE part PARTITION OF parted FOR VALUES IN (1)")
        chief.execute("INSERT INTO parted SELECT 1 FROM generate_series(1, 10000)")
        chief.execute("ANALYZE")
        size = chief.execute("SELECT pg_total_relation_size('part')").fetchone()
    database = other.database(name="stock")
    (table,) = largest_tables(database, lambda _: (), datetime.now(UTC), history=SECOND, seconds=5).largest
    assert (table.name, (table.total,), table.rows) == ("public.parted", size, 10000)
    asked = database.ask_together(("data_directory", "database_sizes", "tablespaces"), 5)
    assert asked["data_directory"][0]["place"].endswith("/data")
    assert sum(row["size"] for row in asked["database_sizes"]) <= asked["tablespaces"][0]["size"]
    (row,) = database.ask("log_and_temporary_files")
    assert row["log"] % (16 * 1024**2) == 0 < row["log"]
    database.close()
