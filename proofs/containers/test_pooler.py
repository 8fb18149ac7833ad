"""The database behind a real PgBouncer: what is asked is as read-only, and as truly counted, as without it."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from observe.database import _TAKES_NO_OPTIONS, Database, statement
from observe.errors import CannotTell, NoAnswer
from observe.sessions import idle_sessions
from proofs.containers.pgbouncer import SESSIONS, before
from proofs.containers.postgres import PASSWORDS, Postgres, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

MODES = pytest.mark.parametrize("mode", ["session", "transaction"])
HOWS = pytest.mark.parametrize("how", ["refusing", "dropping"])
TOKEN = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running(slots=60) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def ports(server: Postgres) -> Iterator[Mapping[str, int]]:
    with before(server.container, "stock", PASSWORDS) as found:
        yield found


def through(server: Postgres, port: int, mode: str, role: str = "ops", **given: Any) -> Database:  # noqa: ANN401
    return server.database(role, port=port, name=mode, **given)


def client(port: int, mode: str, role: str = "app") -> psycopg.Connection[tuple[Any, ...]]:
    """Somebody else's session through the pooler, who doesn't say what it is called."""
    import psycopg

    return psycopg.connect(
        host="127.0.0.1", port=port, user=role, password=PASSWORDS[role], dbname=mode, autocommit=True
    )


@MODES
@HOWS
def test_the_session_says_that_a_pooler_is_between(
    server: Postgres, ports: Mapping[str, int], mode: str, how: str
) -> None:
    with closing(server.database()) as direct, closing(through(server, ports[how], mode)) as pooled:
        session = pooled.session
        said = {"refusing": "refuses what a session begins with: unsupported", "dropping": "read_only = off"}
        assert said[how] in session.pooled
        assert (session.role, session.database, session.version, session.sees_all) == (
            direct.session.role,
            direct.session.database,
            direct.session.version,
            True,
        )
        assert direct.session.pooled == ""
        (trouble,) = session.troubles(server.address(port=ports[how]))
        assert "the sessions that are counted are the pooler's" in trouble


@MODES
@HOWS
def test_nothing_can_be_written_in_a_question_and_none_goes_on_for_long(
    server: Postgres, ports: Mapping[str, int], mode: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the product never sends is sent here, to see what holds where its questions are asked."""
    with closing(through(server, ports[how], mode, "chief", seconds=0.5)) as database:
        _ = database.session
        for sent, said in (
            ("CREATE TABLE written (a int)", "cannot execute CREATE TABLE in a read-only transaction"),
            ("SELECT pg_sleep(5)", "canceling statement due to statement timeout|did not answer"),
        ):
            monkeypatch.setattr(
                "observe.database.statement",
                lambda name, names=None, sent=sent: sent if name == "setting" else statement(name, names or {}),
            )
            with pytest.raises(CannotTell, match=said):
                database.ask("setting")
    with server.connect() as chief:
        assert chief.execute("SELECT to_regclass('written')").fetchone() == (None,)


@MODES
@HOWS
def test_what_is_set_for_a_question_is_nobody_elses(
    server: Postgres, ports: Mapping[str, int], mode: str, how: str
) -> None:
    """The next one in a pooler's session must find it as if we had not been there."""
    names = ("application_name", "default_transaction_read_only", "statement_timeout", "lock_timeout", "row_security")
    with closing(through(server, ports[how], mode, "app")) as database:
        pid = database.session.pid
    with ExitStack() as stack:
        others = [stack.enter_context(client(ports[how], mode)) for _ in range(SESSIONS)]
        for one in others:
            one.execute("BEGIN")
        found = {_pid(one): _settings(one, names) for one in others}
    assert pid in found, "one of them has the session that we had"
    assert set(found.values()) == {("", "off", "0", "0", "on")}


def _pid(one: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = one.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _settings(one: psycopg.Connection[tuple[Any, ...]], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str((one.execute(f"SHOW {name}".encode()).fetchone() or ("?",))[0]) for name in names)


@MODES
@HOWS
def test_our_own_session_is_not_counted_and_no_strangers_is_hidden(
    server: Postgres, ports: Mapping[str, int], mode: str, how: str
) -> None:
    """A pooler's session that was ours a moment ago is anybody's now, whatever its process."""
    with closing(server.database()) as direct, closing(through(server, ports[how], mode)) as pooled:
        _ = pooled.session
        with ExitStack() as stack:
            strangers = [stack.enter_context(client(ports[how], mode, "ops")) for _ in range(SESSIONS - 1)]
            for one in strangers:
                one.execute("BEGIN")
            pids = {_pid(one) for one in strangers}
            for _ in range(3):
                seen = pooled.connections()
                assert (seen.own, pids <= {one.pid for one in seen.all if not one.own}) == (1, True)
                assert idle_sessions(pooled).own == 1
        counted = direct.connections()
        # The pooler keeps what it opened for us, and that counts as its own; the direct session is ours.
        assert counted.own == 1
        assert len(counted.all) == len(pooled.connections().all)


def test_two_workers_of_one_run_know_each_other_where_they_ask_at_once(
    server: Postgres, ports: Mapping[str, int]
) -> None:
    import threading

    with ExitStack() as stack:
        one, other = (
            stack.enter_context(closing(through(server, ports["refusing"], "transaction", token=TOKEN)))
            for _ in range(2)
        )
        _ = one.session, other.session
        asked = threading.Thread(target=lambda: other.ask("setting", values={"name": "port"}))
        asked.start()
        seen = one.connections()
        asked.join()
        assert seen.own >= 1
        assert all(each.application.endswith("pooled") for each in seen.all if each.own)


def test_several_statements_see_one_moment(server: Postgres, ports: Mapping[str, int]) -> None:
    with closing(through(server, ports["refusing"], "transaction")) as database:
        rows = database.ask_together(("session", "connections", "connections"), 3)
    # The session's own settings are not ours here; the transaction's are.
    assert rows["session"][0]["read_only"] == "off"
    (own,) = [one for one in rows["connections"] if one["pid"] == rows["session"][0]["pid"]]
    assert own["state"] == "active"


@pytest.mark.parametrize(
    "said",
    [
        "unsupported startup parameter: options",
        "unsupported startup parameter in options: statement_timeout",
        "Feature not supported: RDS Proxy currently doesn't support command-line options.",
    ],
)
def test_poolers_refuse_what_a_session_begins_with_in_several_words(said: str) -> None:
    """PgBouncer before 1.20, and since; Amazon's. Only the first was there to be tried."""
    assert _TAKES_NO_OPTIONS.search(said)


@HOWS
def test_a_pooler_that_parts_transactions_is_refused(server: Postgres, ports: Mapping[str, int], how: str) -> None:
    with (
        closing(through(server, ports[how], "statement")) as database,
        pytest.raises(CannotTell, match="gives every statement another session") as raised,
    ):
        database.connections()
    assert "pool_mode" in raised.value.mend


def test_whom_the_pooler_doesnt_know_is_told(server: Postgres, ports: Mapping[str, int]) -> None:
    with pytest.raises(CannotTell, match="no such database: elsewhere") as raised:
        through(server, ports["refusing"], "elsewhere").connections()
    assert "[databases]" in raised.value.mend


def test_a_settings_that_does_not_hold_is_noticed(
    server: Postgres, ports: Mapping[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler that answers what is set and sets nothing."""
    monkeypatch.setattr(
        "observe.database.statement",
        lambda name, names=None: (
            "SELECT %(milliseconds)s::text, %(application)s::text" if name == "pooled" else statement(name, names or {})
        ),
    )
    with (
        closing(through(server, ports["refusing"], "transaction")) as database,
        pytest.raises(CannotTell, match="row_security = on, statement_timeout = 0") as raised,
    ):
        database.connections()
    assert "not through that pooler" in raised.value.mend


def test_a_pool_without_a_free_session_costs_its_limit_once(server: Postgres, ports: Mapping[str, int]) -> None:
    with ExitStack() as stack:
        for _ in range(SESSIONS):
            stack.enter_context(client(ports["refusing"], "session", "ops")).execute("BEGIN")
        database = stack.enter_context(closing(through(server, ports["refusing"], "session", seconds=0.3)))
        for _ in range(2):
            with pytest.raises((CannotTell, NoAnswer), match="within 300 ms"):
                database.connections()
