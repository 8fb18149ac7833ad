"""The database: a real server, in good and in bad condition."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import observe.database
from observe.database import Address, Connection, Connections, Database, where_is_it
from observe.errors import CannotTell, NoAnswer
from observe.own_traffic import NAME
from proofs.containers.postgres import PASSWORDS, RESERVED, SLOTS, Postgres
from proofs.observe.servers import Loopback, dripping, silent
from target.kinds import Secret

TOKEN = "0123456789abcdef" * 2
WRONG = "pw-that-is-wrong-4711"


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secret, "_known", set())


def shown(raised: pytest.ExceptionInfo[Any]) -> str:
    """All that pytest would show of our own and the driver's frames, at its most talkative."""
    raised.traceback = raised.traceback.cut(path=Path(observe.database.__file__))
    long = str(raised.getrepr(showlocals=True, style="long", chain=True, truncate_locals=False))
    assert "self       = <observe.database.Database object" in long
    return f"{long}\n{raised.value!r}"


def settled(database: Database, others: int) -> Connections:
    """The connections, once the server has noticed that those of earlier proofs are gone."""
    for _ in range(100):
        seen = database.connections()
        if seen.others == others:
            break
        time.sleep(0.02)
    return seen


# A good server ------------------------------------------------------------------------------------------------------


def test_the_session_is_what_the_server_says_of_it(server: Postgres) -> None:
    database = server.database()
    session = database.session
    assert database.opened
    assert (session.role, session.database, session.superuser, session.sees_all) == ("ops", "stock", False, True)
    assert session.version >= 150000
    assert database._connection.get().info.backend_pid == session.pid
    database.close()


def test_nothing_can_be_written_in_it_and_nothing_goes_on_for_long(server: Postgres) -> None:
    import psycopg

    database = server.database("chief", seconds=0.3)
    _ = database.session
    connection = database._connection.get()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE written (a int)")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(5)")
    database.close()


def test_a_superuser_is_known_for_one(server: Postgres) -> None:
    database = server.database("chief")
    assert database.session.superuser
    assert database.known is not None
    (trouble,) = database.known.troubles(server.address())
    assert "chief is a superuser" in trouble
    database.close()


def test_connections_are_those_of_clients_and_our_own_is_marked(server: Postgres) -> None:
    database = server.database()
    with server.connect("app") as one, server.connect("app") as other:
        seen = settled(database, 2)
        others = {connection.pid: connection for connection in seen.all if not connection.own}
        assert set(others) == {one.info.backend_pid, other.info.backend_pid}
        first = others[one.info.backend_pid]
        assert (first.role, first.database, first.application, first.state) == ("app", "stock", "app of app", "idle")
    assert (seen.own, seen.others) == (1, 2)
    assert seen.by_application()[0]["connections"] == "2"
    database.close()


def test_all_sessions_of_one_run_are_its_own_and_pretenders_are_not(server: Postgres) -> None:
    import psycopg

    workers = [server.database(token=TOKEN), server.database(token=TOKEN)]
    for worker in workers:
        _ = worker.session
    pretender = psycopg.connect(
        host="127.0.0.1", port=server.port, user="app", password=PASSWORDS["app"], dbname="stock",
        application_name=f"{NAME} of somebody",
    )  # fmt: skip
    seen = settled(workers[0], 1)
    assert (seen.own, seen.others) == (2, 1)
    assert [one.application for one in seen.all if not one.own] == [f"{NAME} of somebody"]
    pretender.close()
    for worker in workers:
        worker.close()


def test_one_session_serves_every_question(server: Postgres) -> None:
    database = server.database()
    pids = {database.session.pid, *(one.pid for _ in range(3) for one in database.connections().all if one.own)}
    assert len(pids) == 1
    database.close()


def test_nothing_is_opened_before_the_first_question_nor_left_open(server: Postgres) -> None:
    database = server.database()
    database.close()
    assert not database.opened
    pid = database.session.pid
    database.close()
    with server.connect() as chief:
        for _ in range(50):
            left = chief.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
            if left == (0,):
                return
            time.sleep(0.02)
    pytest.fail("the session is still there")


# A role without rights ----------------------------------------------------------------------------------------------


def test_a_role_that_sees_no_other_sessions_counts_none_and_says_so(server: Postgres) -> None:
    database = server.database("app")
    with pytest.raises(CannotTell, match=r"\d of \d sessions are hidden from the role 'app'") as raised:
        database.connections()
    assert raised.value.mend == "GRANT pg_monitor TO app;"
    database.close()


def test_the_grant_quotes_a_name_that_needs_it(server: Postgres) -> None:
    with server.connect() as chief:
        chief.execute("""CREATE ROLE "odd""-role" LOGIN PASSWORD 'pw-of-the-odd-1'""")
    database = server.database("app", user='odd"-role', password=Secret("pw-of-the-odd-1"))
    with pytest.raises(CannotTell) as raised:
        database.connections()
    assert raised.value.mend == 'GRANT pg_monitor TO "odd""-role";'
    database.close()


# Refused ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said", "mend", "quoted"),
    [
        ({"password": Secret(WRONG)}, 'password authentication failed for user "ops"', "password of ops", "ops"),
        ({"password": None}, "no password supplied", "Set the password of ops", "ops"),
        ({"user": "no one"}, 'password authentication failed for user "no one"', '"no one"', "no one"),
        ({"name": "roles"}, 'database "roles" does not exist', "Set database.name", "roles"),
    ],
)
def test_a_refusal_is_told_with_what_to_do_and_remembered_as_ours(
    server: Postgres, changes: dict[str, Any], said: str, mend: str, quoted: str
) -> None:
    refused: list[str] = []
    database = Database(lambda: server.address(**changes), 2, TOKEN, refused=refused.append)
    for _ in range(2):
        with pytest.raises(CannotTell) as raised:
            database.connections()
        assert said in str(raised.value)
        assert mend in raised.value.mend
        assert raised.value.cause == "database"
    assert refused == [quoted], "once: its failure is remembered"
    assert not database.opened
    database.close()


PASSWORDS_OF_ALL_KINDS = [WRONG, "quo'te\"back\\slash-99", "new\nline-99", "ünïcödé-99", "x=y dbname=z-99"]


@pytest.mark.parametrize("password", PASSWORDS_OF_ALL_KINDS)
@pytest.mark.parametrize("method", ["connections", "session"])
def test_a_password_appears_nowhere(server: Postgres, password: str, method: str) -> None:
    database = server.database(password=Secret(password))
    with pytest.raises(CannotTell) as raised:
        _ = getattr(database, method)()
    text = shown(raised)
    assert "authentication failed" in text
    for spelling in (password, repr(password)[1:-1], password.encode().hex()):
        assert spelling not in text
    assert "99" not in repr(database._find())


@pytest.mark.parametrize("password", ["nul\0in-the-middle-99", "lone \udcff surrogate-99"])
def test_a_password_that_cant_even_be_sent_appears_nowhere_either(server: Postgres, password: str) -> None:
    database = server.database(password=Secret(password))
    with pytest.raises(CannotTell) as raised:
        database.connections()
    assert "-99" not in shown(raised)
    assert "middle" not in shown(raised)


def test_a_right_password_appears_nowhere_when_a_question_fails(server: Postgres) -> None:
    database = server.database()
    _ = database.session
    with server.connect() as chief:
        chief.execute("SELECT pg_terminate_backend(%s)", [database.session.pid])
    with pytest.raises(CannotTell, match="the database could not say connections") as raised:
        database.connections()
    assert PASSWORDS["ops"] not in shown(raised)
    database.close()


def test_a_role_that_may_not_log_in_is_told(server: Postgres) -> None:
    with server.connect() as chief:
        chief.execute("CREATE ROLE idle NOLOGIN PASSWORD 'pw-of-the-idle-1'")
        chief.execute("CREATE ROLE narrow LOGIN CONNECTION LIMIT 0 PASSWORD 'pw-of-the-narrow-1'")
    for role, said, mend in (
        ("idle", 'role "idle" is not permitted to log in', "Make the role idle"),
        ("narrow", 'too many connections for role "narrow"', "ALTER ROLE narrow CONNECTION LIMIT -1;"),
    ):
        with pytest.raises(CannotTell, match=said) as raised:
            server.database(user=role, password=Secret(f"pw-of-the-{role}-1")).connections()
        assert mend in raised.value.mend


def test_a_server_without_a_free_slot_is_broken_and_not_blind(server: Postgres) -> None:
    with ExitStack() as stack:
        for _ in range(SLOTS - RESERVED):
            stack.enter_context(server.connect("app"))
        database = server.database()
        with pytest.raises(NoAnswer, match=r"takes no more connections: .*connection slots are reserved") as raised:
            database.connections()
        for _ in range(RESERVED):
            stack.enter_context(server.connect("chief"))
        with pytest.raises(NoAnswer, match=r"takes no more connections: .*too many clients already"):
            server.database().connections()
    assert raised.value.cause == "database"


def test_a_database_that_lets_nobody_in_is_broken(server: Postgres) -> None:
    with server.connect() as chief:
        chief.execute("CREATE DATABASE full_up CONNECTION LIMIT 0")
    with pytest.raises(NoAnswer, match='too many connections for database "full_up"'):
        server.database(name="full_up").connections()


def test_settings_that_the_server_did_not_take_are_noticed(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a pooler that drops start-up parameters; test_pooler.py has a real one."""
    import psycopg

    connect = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", lambda **given: connect(**{**given, "options": ""}))
    database = server.database()
    assert "drops what a session begins with: read_only = off" in database.session.pooled
    assert "statement_timeout = 0, lock_timeout = 0" in database.session.pooled
    assert database.connections().own == 1
    database.close()


# Silence ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behave", [silent, dripping(b"N", b"R", 0.1)])
def test_a_server_that_accepts_and_never_answers_costs_its_limit_once(behave: Any) -> None:  # noqa: ANN401
    with Loopback(behave) as loopback:
        address = Address("127.0.0.1", loopback.port, "stock", "ops", Secret("pw-of-the-ops-7393"))
        database = Database(lambda: address, 0.3, TOKEN)
        began = time.monotonic()
        for _ in range(4):
            with pytest.raises(CannotTell, match="accepts nobody within 300 ms") as raised:
                database.connections()
            assert raised.value.cause == "database"
            assert "7393" not in shown(raised)
        assert time.monotonic() - began < 1
        assert loopback.connections <= 2
        database.close()


def test_a_server_that_falls_silent_later_costs_its_limit_once(server: Postgres) -> None:
    database = server.database(seconds=0.3)
    assert database.connections().own == 1
    server.container.pause()
    try:
        began = time.monotonic()
        for _ in range(4):
            with pytest.raises(CannotTell, match="did not answer connections within 300 ms") as raised:
                database.connections()
        assert time.monotonic() - began < 1
        assert raised.value.cause == "database"
        database.close()
        assert time.monotonic() - began < 1.2, "nor does anybody wait for its goodbye"
    finally:
        server.container.unpause()


def test_nobody_at_the_port_blinds(server: Postgres) -> None:
    with Loopback(silent) as loopback:
        port = loopback.port
    with pytest.raises(CannotTell, match="refused") as raised:
        server.database(port=port).connections()
    assert "database.host and database.port" in raised.value.mend


def test_an_unknown_name_blinds(server: Postgres) -> None:
    with pytest.raises(CannotTell, match=r"nowhere\.invalid:1 can't be asked: .*resolve"):
        server.database(host="nowhere.invalid", port=1).connections()


def test_what_is_no_postgresql_blinds() -> None:
    with Loopback(dripping(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as loopback:
        database = Database(lambda: Address("127.0.0.1", loopback.port, "a", "b", None), 0.5, TOKEN)
        with pytest.raises(CannotTell) as raised:
            database.connections()
        assert raised.value.cause == "database"


def test_an_address_that_isnt_known_is_said_as_it_is() -> None:
    def unknown() -> Address:
        raise CannotTell("the engine is gone", cause="engine")

    with pytest.raises(CannotTell, match="the engine is gone") as raised:
        Database(unknown, 1, TOKEN).connections()
    assert raised.value.cause == "engine"


def test_whether_it_answers_anybody_is_found_out_once(server: Postgres) -> None:
    database = server.database()
    database.must_answer()
    assert database.opened
    database.close()
    refused = server.database(password=Secret(WRONG))
    refused.must_answer()
    with Loopback(silent) as loopback:
        lost = Database(lambda: Address("127.0.0.1", loopback.port, "a", "b", None), 0.3, TOKEN)
        began = time.monotonic()
        for _ in range(4):
            with pytest.raises(CannotTell, match="accepts nobody within 300 ms") as raised:
                lost.must_answer()
            assert raised.value.cause == "database"
        assert time.monotonic() - began < 1


# Plain functions ----------------------------------------------------------------------------------------------------


def test_the_settings_say_where_it_is_before_the_container_does() -> None:
    published, inside = ("127.0.0.1", 15432), ("172.18.0.2", 5432)
    assert where_is_it({}, published, inside) == published
    assert where_is_it({}, None, inside) == inside
    assert where_is_it({"host": "db.example"}, published, inside) == ("db.example", 5432)
    assert where_is_it({"host": "db.example", "port": 6432}, None, None) == ("db.example", 6432)
    assert where_is_it({"port": 6432}, published, inside) == ("127.0.0.1", 6432)
    with pytest.raises(CannotTell, match="publishes no port and has no address"):
        where_is_it({"host": "", "port": None}, None, None)


def connection(application: str, own: bool = False) -> Connection:
    return Connection(1, "app", "stock", application, "local", "idle", own)


@given(names=st.lists(st.text(max_size=5), max_size=40), own=st.integers(0, 3))
@example(names=["", "psql"], own=1)
def test_what_counts_is_grouped_most_first_and_ours_left_out(names: list[str], own: int) -> None:
    seen = Connections((*map(connection, names), *[connection(NAME, own=True)] * own))
    assert (seen.others, seen.own) == (len(names), own)
    rows = seen.by_application()
    counts = [int(row["connections"]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == len(names) or len(rows) == 20
