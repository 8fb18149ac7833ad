"""Who may log in and what roles may do, by a PostgreSQL of another major version than the lab's, which its faults ask.

`PROOFS_POSTGRES` names more installations to ask, as for `test_catalog.py`.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

import observe.database
from observe.errors import CannotTell
from observe.role_permissions import (
    NO_TRUST,
    NOT_OPEN,
    OWNED,
    PLAIN,
    PUBLIC,
    SCRAM,
    UNRELATED,
    Application,
    Permissions,
    _Look,
    _rules,
    _trust,
    permissions,
)
from observe.role_use import RoleUse
from observe.roles import LoginRoles, _ran, login_roles, logins
from proofs.containers import packaged_postgres, postgres
from proofs.containers.test_catalog import OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from observe.database import Database
    from proofs.containers.postgres import Server

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LIMIT = timedelta(days=92)
ACTIVITY = "public.api_activity"
STRICT = ("local all all trust", "host all all all scram-sha-256")
HIDDEN = ("REVOKE SELECT ON pg_authid FROM ops",), ("GRANT SELECT ON pg_authid TO ops",)
"""What hides from the suite's role how passwords are kept, and what shows it again."""
SHOWN = ("GRANT SELECT ON pg_hba_file_rules TO ops", "GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO ops")
UNSHOWN = ("REVOKE SELECT ON pg_hba_file_rules FROM ops", "REVOKE EXECUTE ON FUNCTION pg_hba_file_rules() FROM ops")


@pytest.fixture(scope="module", params=[packaged_postgres.installation(), *OTHERS], ids=lambda one: one.parts[-1])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with packaged_postgres.running(request.param) as started:
        run(started, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements", *SHOWN, *HIDDEN[1])
        with started.connect() as chief:
            # By which all is shown, where there is such a role: the faults of a lab have it.
            if chief.info.server_version >= 140000:
                chief.execute("REVOKE pg_read_all_data FROM ops")
        run(started, "REVOKE CREATE ON SCHEMA public FROM PUBLIC", "GRANT CREATE ON SCHEMA public TO app")
        run(started, "ALTER SYSTEM SET password_encryption = 'scram-sha-256'", "SELECT pg_reload_conf()")
        again = [f"ALTER ROLE {one} PASSWORD '{secret}'" for one, secret in postgres.PASSWORDS.items()]
        run(started, "SET password_encryption = 'scram-sha-256'", *again)
        run(started, f"CREATE TABLE {ACTIVITY} (id int)", "CREATE VIEW seen AS SELECT 1 AS one", role="app")
        rules(started, *STRICT)
        yield started


def run(server: Server, *statements: str, role: str = "chief") -> None:
    with server.connect(role) as session:
        for statement in statements:
            session.execute(statement.encode())


@contextmanager
def changed(server: Server, do: tuple[str, ...], undo: tuple[str, ...]) -> Iterator[None]:
    run(server, *do)
    try:
        yield
    finally:
        run(server, *undo)


def rules(server: Server, *lines: str) -> None:
    """Write another pg_hba.conf, which nobody loads: what is shown is the file."""
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in lines)
    with server.connect() as chief:
        ((path,),) = chief.execute("SHOW hba_file").fetchall()
        chief.execute(f"COPY (SELECT unnest(ARRAY[{listed}]::text[])) TO '{path}'".encode())


@contextmanager
def ruled(server: Server, *lines: str) -> Iterator[None]:
    rules(server, *lines)
    try:
        yield
    finally:
        rules(server, *STRICT)


# What roles may do ----------------------------------------------------------------------------------------------------


def see(server: Server, given: str = "", addresses: tuple[str, ...] = (), activity: str = ACTIVITY) -> Permissions:
    database = server.database("ops", 5)
    try:
        return permissions(database, logins(database, 5), given, addresses, activity, 5)
    finally:
        database.close()


def verdicts(seen: Permissions) -> dict[str, bool | None]:
    return {one.text: one.so for one in seen.sentences}


def test_all_sentences_are_so_on_a_server_that_is_well_kept(server: Server) -> None:
    seen = see(server)
    assert set(verdicts(seen).values()) == {True}, seen.rows()
    assert "7 sentences" in seen.looked_at
    assert "the application's role app" in seen.looked_at
    assert "2 rules of pg_hba.conf, 3 schemas, 3 passwords and 2 tables and views in 1 of its schemas" in seen.looked_at
    seen.must_be_told()


BREAKS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (PLAIN, "app is a superuser", ("ALTER ROLE app SUPERUSER",), ("ALTER ROLE app NOSUPERUSER",)),
    (PLAIN, "app makes roles", ("ALTER ROLE app CREATEROLE",), ("ALTER ROLE app NOCREATEROLE",)),
    (PLAIN, "app makes databases", ("ALTER ROLE app CREATEDB",), ("ALTER ROLE app NOCREATEDB",)),
    (PLAIN, "app replicates", ("ALTER ROLE app REPLICATION",), ("ALTER ROLE app NOREPLICATION",)),
    (PLAIN, "app passes by row security", ("ALTER ROLE app BYPASSRLS",), ("ALTER ROLE app NOBYPASSRLS",)),
    (UNRELATED, "app belongs to chief (a superuser", ("GRANT chief TO app",), ("REVOKE chief FROM app",)),
    (
        UNRELATED,
        "app belongs to pg_execute_server_program (runs programs on the server)",
        # By another, and without inheriting it.
        ("CREATE ROLE between NOINHERIT", "GRANT pg_execute_server_program TO between", "GRANT between TO app"),
        ("DROP ROLE between",),
    ),
    (
        PUBLIC,
        "PUBLIC creates in schema public",
        ("GRANT CREATE ON SCHEMA public TO PUBLIC",),
        ("REVOKE CREATE ON SCHEMA public FROM PUBLIC",),
    ),
    (
        PUBLIC,
        "PUBLIC creates in database stock, schema Odd one",
        (
            'CREATE SCHEMA "Odd one"',
            'GRANT ALL ON SCHEMA "Odd one" TO PUBLIC',
            "GRANT CREATE ON DATABASE stock TO PUBLIC",
        ),
        ('DROP SCHEMA "Odd one"', "REVOKE CREATE ON DATABASE stock FROM PUBLIC"),
    ),
    (
        SCRAM,
        "password_encryption is md5 for app",
        ("ALTER ROLE app SET password_encryption = 'md5'",),
        ("ALTER ROLE app RESET password_encryption",),
    ),
    (
        SCRAM,
        "chief's is kept as MD5",
        (f"ALTER ROLE chief PASSWORD 'md5{'0a' * 16}'",),
        (f"ALTER ROLE chief PASSWORD '{postgres.PASSWORDS['chief']}'",),
    ),
    (
        OWNED,
        "public.users_copy is chief's",
        ("CREATE TABLE users_copy (id int)",),
        ("DROP TABLE users_copy",),
    ),
    (NOT_OPEN, "public.seen (SELECT)", ("GRANT SELECT ON seen TO PUBLIC",), ("REVOKE ALL ON seen FROM PUBLIC",)),
    (
        NOT_OPEN,
        "public.seen (some columns)",
        ("GRANT SELECT (one) ON seen TO PUBLIC",),
        ("REVOKE ALL (one) ON seen FROM PUBLIC",),
    ),
)


@pytest.mark.parametrize(("text", "found", "do", "undo"), BREAKS, ids=[one[1] for one in BREAKS])
def test_what_is_not_so_is_said_in_its_sentence(
    server: Server, text: str, found: str, do: tuple[str, ...], undo: tuple[str, ...]
) -> None:
    # A superuser's session stays open: it undoes a password that lets nobody in any more.
    with server.connect() as chief:
        for statement in do:
            chief.execute(statement.encode())
        try:
            seen = see(server)
        finally:
            for statement in undo:
                chief.execute(statement.encode())
    (said,) = [one for one in seen.sentences if one.text == text]
    assert said.so is False
    assert found in said.found
    assert said.mend
    also = {UNRELATED} if found == "app is a superuser" else set()
    assert {one.text for one in seen.broken} == {text} | also
    assert f"not so: “{text}” ({said.found})" in seen.said
    assert seen.rows()[0]["verdict"] == "not so"


@pytest.mark.parametrize(
    ("line", "so"),
    [
        ("host all all 127.0.0.1/32 trust", False),
        ("hostnossl all app 0.0.0.0/0 trust", False),
        ("host replication all samenet trust", False),
        ("local all all trust", True),
        ("host all all all reject", True),
    ],
)
def test_trust_is_for_the_servers_own_socket(server: Server, line: str, so: bool) -> None:
    with ruled(server, *STRICT, line):
        seen = see(server)
    (said,) = [one for one in seen.sentences if one.text == NO_TRUST]
    assert said.so is so
    assert verdicts(seen) == dict.fromkeys(verdicts(seen), True) | {NO_TRUST: so}
    if not so:
        assert said.found.startswith("pg_hba.conf:3 host")


@pytest.mark.parametrize("certificate", [True, False])
def test_trust_in_a_clients_certificate_is_none(certificate: bool) -> None:
    """As rows, since a server without a certificate of its own takes no such rule."""
    row = {"file": "", "line": 3, "type": "hostssl", "database": "all", "role": "all", "address": "all", "error": ""}
    asked = {"rules": True, "loaded": NOW}
    database = cast(
        "Database", SimpleNamespace(ask=lambda _name: [row | {"method": "trust", "certificate": certificate}])
    )
    look = _Look(database, asked, Application((), ""))
    assert _trust(look, _rules(look)).so is certificate
    assert any("trust with a client's certificate" in one for one in look.notes) is certificate


def test_what_else_is_weak_over_the_network_is_noted(server: Server) -> None:
    with ruled(server, "host all all 192.0.2.0/24 password", "hostnossl all all 192.0.2.1/32 ident", *STRICT):
        seen = see(server)
    assert verdicts(seen)[NO_TRUST] is True
    assert any(one.startswith("password sends passwords in the clear: pg_hba.conf:1") for one in seen.notes)
    assert any(one.startswith("ident believes") for one in seen.notes)


def test_a_secret_in_a_rule_is_not_read(server: Server) -> None:
    secret = "pw-of-the-directory"  # noqa: S105  that is the point
    line = f"host all all all ldap ldapserver=ldap.test ldapbasedn=dc=test ldapbinddn=cn=x ldapbindpasswd={secret}"
    with ruled(server, *STRICT, line):
        seen = see(server)
    assert "3 rules" in seen.looked_at
    assert secret not in repr(seen)


def test_rules_that_cannot_be_loaded_tell_nothing_of_those_in_force(server: Server) -> None:
    with ruled(server, *STRICT, "host all all all nonsense"):
        seen = see(server)
    assert verdicts(seen)[NO_TRUST] is None
    with pytest.raises(CannotTell, match=r"rules from before are in force: pg_hba.conf:3: invalid authentication"):
        seen.must_be_told()
    with ruled(server):
        assert verdicts(see(server))[NO_TRUST] is None
    # What stands there all the same is broken.
    with ruled(server, "host all all all trust", "host all all all nonsense"):
        assert verdicts(see(server))[NO_TRUST] is False


def test_without_the_right_to_see_the_rules_it_says_which(server: Server) -> None:
    with changed(server, UNSHOWN, SHOWN):
        seen = see(server)
    assert [text for text, so in verdicts(seen).items() if so is None] == [NO_TRUST]
    with pytest.raises(CannotTell, match="pg_hba_file_rules isn't shown to ops") as why:
        seen.must_be_told()
    assert why.value.mend == "; ".join(SHOWN) + ";"


def test_what_is_broken_is_said_though_something_else_cannot_be_told(server: Server) -> None:
    with changed(server, (*UNSHOWN, "ALTER ROLE app CREATEDB"), (*SHOWN, "ALTER ROLE app NOCREATEDB")):
        seen = see(server)
    assert [one.text for one in seen.broken] == [PLAIN]
    assert [one.text for one in seen.untold] == [NO_TRUST]
    assert [one["verdict"] for one in seen.rows()][:3] == ["not so", "can't tell", "so"]


def test_of_passwords_the_kind_alone_is_asked_for(server: Server) -> None:
    database = server.database("ops", 5)
    rows = database.ask("role_passwords")
    database.close()
    assert rows == [{"role": one, "login": True, "kind": "SCRAM-SHA-256"} for one in ("app", "chief", "ops")]


def test_hidden_passwords_are_proven_by_rules_that_take_no_other(server: Server) -> None:
    with changed(server, *HIDDEN):
        seen = see(server)
        (said,) = [one for one in seen.sentences if one.text == SCRAM]
        assert said.so is True
        assert "none of 2 rules lets anybody in by a password that is kept as MD5" in said.found
        with (
            ruled(server, *STRICT, "local all all md5"),
            pytest.raises(CannotTell, match=r"pg_hba\.conf:3 local") as why,
        ):
            see(server).must_be_told()
        assert "GRANT SELECT (rolname, rolcanlogin, rolpassword) ON pg_authid TO ops;" in why.value.mend
        with ruled(server, "nonsense"):
            assert verdicts(see(server))[SCRAM] is None
        with changed(server, UNSHOWN, SHOWN):
            assert verdicts(see(server))[SCRAM] is None
            with pytest.raises(CannotTell) as why:
                see(server).must_be_told()
            assert why.value.mend.count(SHOWN[0]) == 1, "what mends both is said once"
        grant = "GRANT SELECT (rolname, rolcanlogin, rolpassword) ON pg_authid TO ops"
        with changed(server, (grant,), (grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "),)):
            assert "3 passwords" in see(server).looked_at


def test_a_weak_password_that_lets_nobody_in_is_noted(server: Server) -> None:
    made = f"CREATE ROLE idle NOLOGIN PASSWORD 'md5{'0a' * 16}'"
    with changed(server, (made,), ("DROP ROLE idle",)):
        seen = see(server)
    assert verdicts(seen)[SCRAM] is True
    assert any(one.endswith("of roles that may not log in: idle") for one in seen.notes)


def test_row_security_that_does_not_bind_the_owner_is_noted(server: Server) -> None:
    on = f"ALTER TABLE {ACTIVITY} ENABLE ROW LEVEL SECURITY"
    with changed(server, (on,), (on.replace("ENABLE", "DISABLE"),)):
        assert any("row security doesn't bind the application" in one for one in see(server).notes)


def test_tables_may_belong_to_a_role_that_nobody_logs_in_as(server: Server) -> None:
    do = ("CREATE ROLE owner", "CREATE TABLE owned (id int)", "ALTER TABLE owned OWNER TO owner")
    with changed(server, do, ("DROP TABLE owned", "DROP ROLE owner")):
        assert verdicts(see(server))[OWNED] is True
    elsewhere = ("CREATE SCHEMA tool", "CREATE TABLE tool.jobs (id int)")
    with changed(server, elsewhere, ("DROP SCHEMA tool CASCADE",)):
        assert verdicts(see(server))[OWNED] is True, "a schema that the application doesn't write to is another's"


# The application's role -----------------------------------------------------------------------------------------------


def test_the_application_is_known_by_its_sessions_first(server: Server) -> None:
    with server.connect("app") as session:
        row = session.execute(
            "SELECT split_part(client_addr::text, '/', 1) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
        assert row is not None
        seen = see(server, addresses=(row[0], "192.0.2.1"), activity="nothing.there")
    assert "(1 session of the backend's containers)" in seen.looked_at or "sessions of the backend" in seen.looked_at


def test_the_settings_win_over_what_is_seen(server: Server) -> None:
    seen = see(server, "chief")
    assert "the application's role chief (application.role)" in seen.looked_at
    assert {one.text for one in seen.broken} == {PLAIN, UNRELATED, OWNED}


@pytest.mark.parametrize(
    ("given", "activity", "why"),
    [
        ("nobody_here", ACTIVITY, "application.role names nobody_here, which is no role here"),
        ("", "nothing.there", "nobody who may log in owns nothing.there"),
    ],
)
def test_an_unknown_role_of_the_application_leaves_its_sentences_open(
    server: Server, given: str, activity: str, why: str
) -> None:
    seen = see(server, given, activity=activity)
    assert {one.text for one in seen.untold} == {PLAIN, UNRELATED, OWNED, NOT_OPEN}
    with pytest.raises(CannotTell, match=why) as said:
        seen.must_be_told()
    assert said.value.mend == "Set application.role."


def test_a_role_without_any_table_is_not_called_right(server: Server) -> None:
    with changed(server, ("CREATE ROLE other LOGIN",), ("DROP ROLE other",)):
        seen = see(server, "other")
    assert {one.text for one in seen.untold} == {OWNED, NOT_OPEN}
    assert "other owns and writes none of 2 tables of stock" in seen.untold[0].found


# Who may log in -------------------------------------------------------------------------------------------------------


def seen_roles(
    server: Server,
    named: Mapping[str, str] | None = None,
    earlier: Mapping[str, RoleUse] | None = None,
    now: datetime | None = None,
) -> LoginRoles:
    database = server.database("ops", 5)
    try:
        found = logins(database, 5)
        return login_roles(database, found, named or {}, earlier or {}, now or datetime.now(UTC), LIMIT)
    finally:
        database.close()


CONSULTANT = ("CREATE ROLE consultant LOGIN PASSWORD 'x'",), ("DROP ROLE consultant",)


def test_a_role_that_nobody_uses_or_names_is_forgotten(server: Server) -> None:
    with changed(server, *CONSULTANT):
        seen = seen_roles(server)
    assert [one.role.name for one in seen.forgotten] == ["consultant"]
    assert seen.said == "consultant: neither seen in use within 92 d nor named"
    assert seen.looked_at.startswith("4 roles that may log in, held against ")
    assert seen.rows()[0] == {
        "role": "consultant", "superuser": "", "used": "nobody was seen", "last": "", "named": "", "password until": "",
    }  # fmt: skip
    assert "consultant" not in {one.role for one in seen.remember}
    assert {one.role for one in seen.remember} == {"app", "chief", "ops"}


def test_a_role_is_used_by_who_is_logged_in_by_statements_or_by_what_an_earlier_run_saw(server: Server) -> None:
    with changed(server, ("SELECT pg_stat_statements_reset()", *CONSULTANT[0]), CONSULTANT[1]):
        nobody = {one.role.name for one in seen_roles(server).forgotten}
        assert nobody == {"app", "consultant"}
        with server.connect("app"):
            (app,) = [one for one in seen_roles(server).judged if one.role.name == "app"]
            assert app.used == ("1 session now",)
        run(server, "SELECT 1", role="app")
        (app,) = [one for one in seen_roles(server).judged if one.role.name == "app"]
        assert app.used[0].startswith("1 statement counted")
        now = datetime.now(UTC)
        for days, forgotten in ((91, []), (93, ["consultant"])):
            earlier = {"consultant": RoleUse("consultant", now - days * DAY, None)}
            seen = seen_roles(server, earlier=earlier, now=now)
            assert [one.role.name for one in seen.forgotten] == forgotten
        assert seen.rows()[0]["used"] == "not lately"
        assert seen.rows()[0]["last"] == f"{now - 93 * DAY:%Y-%m-%d %H:%M}"


def test_a_named_role_need_not_be_seen_and_a_name_without_a_role_is_said(server: Server) -> None:
    named = {"consultant": "database.roles", "gone": "database.roles"}
    with changed(server, *CONSULTANT):
        seen = seen_roles(server, named)
    assert seen.forgotten == ()
    assert [one.named for one in seen.judged if one.role.name == "consultant"] == ["database.roles"]
    assert "database.roles names gone, which is no role that may log in" in seen.notes


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("VALID UNTIL '2020-01-02'", "consultant isn't counted: its password ended 2020-01-02"),
        ("CONNECTION LIMIT 0", "consultant isn't counted: its CONNECTION LIMIT is 0"),
    ],
)
def test_a_role_that_lets_nobody_in_is_not_counted_and_said(server: Server, how: str, why: str) -> None:
    with changed(server, (*CONSULTANT[0], f"ALTER ROLE consultant {how}"), CONSULTANT[1]):
        seen = seen_roles(server)
    assert seen.forgotten == ()
    assert any(one.startswith(why) for one in seen.notes)


@pytest.mark.parametrize("until", ["infinity", "2999-01-01"])
def test_a_password_that_lasts_leaves_a_role_forgotten(server: Server, until: str) -> None:
    with changed(server, (*CONSULTANT[0], f"ALTER ROLE consultant VALID UNTIL '{until}'"), CONSULTANT[1]):
        seen = seen_roles(server)
    assert [one.role.name for one in seen.forgotten] == ["consultant"]
    assert seen.rows()[0]["password until"] == ("" if until == "infinity" else f"{until} 00:00:00+00")


def test_many_forgotten_roles_are_counted(server: Server) -> None:
    do = tuple(f"CREATE ROLE forgotten{number} LOGIN" for number in range(7))
    with changed(server, do, tuple(f"DROP ROLE forgotten{number}" for number in range(7))):
        assert seen_roles(server).said.startswith(
            "forgotten0, forgotten1, forgotten2, forgotten3, forgotten4 and 2 more:"
        )


def test_without_counted_statements_it_says_why(server: Server) -> None:
    with changed(server, ("DROP EXTENSION pg_stat_statements",), ("CREATE EXTENSION pg_stat_statements",)):
        seen = seen_roles(server)
    assert "whose statements were run isn't known: pg_stat_statements is no extension of stock" in seen.notes
    assert "counted statements" not in seen.looked_at
    do = "REVOKE SELECT ON pg_stat_statements FROM PUBLIC"
    with changed(server, (do,), (do.replace("REVOKE", "GRANT").replace("FROM", "TO"),)):
        seen = seen_roles(server)
    assert any("permission denied for view pg_stat_statements" in one for one in seen.notes)


def test_sessions_that_are_hidden_are_not_called_none(server: Server) -> None:
    with changed(server, ("REVOKE pg_monitor FROM ops",), ("GRANT pg_monitor TO ops",)):
        database = server.database("ops", 5)
        with pytest.raises(CannotTell, match="sessions are hidden from the role 'ops'") as why:
            logins(database, 5)
        database.close()
    assert why.value.mend == "GRANT pg_monitor TO ops;"


@pytest.mark.parametrize(
    ("calls", "since", "earlier", "ran"),
    [
        (5, None, None, True),
        (5, NOW - 400 * DAY, None, True),
        (5, None, RoleUse("x", NOW - DAY, None), True),
        (6, None, RoleUse("x", NOW - DAY, 5), True),
        (5, NOW - 9 * DAY, RoleUse("x", NOW - DAY, 5), False),
        (4, NOW - 9 * DAY, RoleUse("x", NOW - DAY, 5), False),  # some were forgotten to make room
        (4, None, RoleUse("x", NOW - DAY, 5), False),
        (4, NOW - DAY / 2, RoleUse("x", NOW - DAY, 5), True),  # counted anew since then
    ],
)
def test_statements_show_use_where_there_are_more_than_there_were(
    calls: int,
    since: datetime | None,
    earlier: RoleUse | None,
    ran: bool,
) -> None:
    assert _ran(calls, since, earlier) is ran


def test_a_role_whose_statements_do_not_go_on_is_forgotten_a_quarter_later(server: Server) -> None:
    with changed(server, ("CREATE ROLE nightly LOGIN", "SET ROLE nightly", "SELECT 1"), ("DROP ROLE nightly",)):
        first = seen_roles(server)
        known = {one.role: one for one in first.remember}
        assert first.forgotten == ()
        later = datetime.now(UTC) + 100 * DAY
        again = seen_roles(server, earlier=known, now=later)
        assert "nightly" in {one.role.name for one in again.forgotten}
        assert "ops" not in {one.role.name for one in again.forgotten}
        (kept,) = [one for one in again.remember if one.role == "nightly"]
        assert kept == known["nightly"]


def test_who_asks_for_the_connections_is_told_of_their_roles(server: Server) -> None:
    met: list[set[str]] = []
    database = observe.database.Database(server.address, 5, "a" * 32, met=met.append)
    with server.connect("app"):
        database.connections()
    database.close()
    assert met == [{"app", "ops"}]
