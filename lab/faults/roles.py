"""Faults of roles and what they may do."""

from __future__ import annotations

import functools
import hashlib
import secrets
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, Took
from lab.stack import SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.stack import Lab

FORGOTTEN = "consultant_2019"
TABLE = "api_label"
RULES = "pg_hba.conf"
KEPT = "pg_hba.kept"
TRUST = "host all all 203.0.113.0/24 trust"
OWNER = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'public.{}'::regclass"


def forgotten_login_role(lab: Lab) -> Iterator[Took]:
    """Have a role that may log in and that nobody has used since it was made."""
    before = _logins(lab)
    lab.psql(f"CREATE ROLE {FORGOTTEN} LOGIN PASSWORD '{secrets.token_urlsafe(24)}'")
    try:
        yield Took(before, _logins(lab))
    finally:
        lab.psql(f"DROP ROLE {FORGOTTEN}")


def _logins(lab: Lab) -> str:
    names = lab.psql("SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY 1").split()
    return f"these may log in: {', '.join(names)}"


def given(power: str) -> Callable[[Lab], Iterator[Took]]:
    """A fault that gives the application's role a power over the server."""
    return functools.partial(_given, power)


def _given(power: str, lab: Lab) -> Iterator[Took]:
    role = _application(lab)
    before = _powers(lab, role)
    lab.psql(f'ALTER ROLE "{role}" {power}')
    try:
        yield Took(before, _powers(lab, role))
    finally:
        lab.psql(f'ALTER ROLE "{role}" NO{power}')


def _application(lab: Lab) -> str:
    """As whom the application logs in: who owns the database."""
    return lab.psql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()").strip()


def _powers(lab: Lab, role: str) -> str:
    columns = "rolsuper, rolcreaterole, rolcreatedb"
    said = lab.psql(f"SELECT {columns} FROM pg_roles WHERE rolname = '{role}'").strip()  # noqa: S608 - all of it is ours
    return f"{role}: {columns} = {said}"


def runs_programs(lab: Lab) -> Iterator[Took]:
    """Let the application's role run programs on the database's machine, by a membership."""
    role, power = _application(lab), "pg_execute_server_program"
    look = f"SELECT pg_has_role('{role}', '{power}', 'MEMBER')"
    before = lab.psql(look).strip()
    lab.psql(f'GRANT {power} TO "{role}"')
    try:
        yield Took(f"member of {power}: {before}", f"member of {power}: {lab.psql(look).strip()}")
    finally:
        lab.psql(f'REVOKE {power} FROM "{role}"')


def public_creates(lab: Lab) -> Iterator[Took]:
    """Let everybody create in the schema public, as PostgreSQL had it until 14."""
    before = _schema(lab)
    lab.psql("GRANT CREATE ON SCHEMA public TO PUBLIC")
    try:
        yield Took(before, _schema(lab))
    finally:
        lab.psql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def _schema(lab: Lab) -> str:
    rights = lab.psql("SELECT nspacl FROM pg_namespace WHERE nspname = 'public'").strip()
    return f"rights on schema public: {rights}"


def trust_line(lab: Lab) -> Iterator[Took]:
    """Let a network in without a password."""
    before = _trusted(lab)
    directory = lab.psql("SHOW data_directory").strip()
    lab.execute("db", "cp", "-p", f"{directory}/{RULES}", f"{directory}/{KEPT}")
    try:
        lab.execute("db", "sh", "-c", f"echo '{TRUST}' >> {directory}/{RULES}")
        lab.psql("SELECT pg_reload_conf()")
        yield Took(before, _trusted(lab))
    finally:
        lab.execute("db", "mv", f"{directory}/{KEPT}", f"{directory}/{RULES}")
        lab.psql("SELECT pg_reload_conf()")


def _trusted(lab: Lab) -> str:
    rules = "FROM pg_hba_file_rules WHERE auth_method = 'trust' AND type <> 'local'"
    return lab.psql(f"SELECT count(*) || ' rules trust an address' {rules}").strip()


def md5_password(lab: Lab) -> Iterator[Took]:
    """Keep the superuser's password as MD5. It is the same password, and nothing logs in with it by the network."""
    before = _kept(lab)
    (stored,) = lab.psql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{SUPERUSER}'").split()  # noqa: S608
    password = lab.secrets()["postgres_password"]
    digest = hashlib.md5((password + SUPERUSER).encode()).hexdigest()  # noqa: S324 - that is the fault
    lab.psql(f"ALTER ROLE {SUPERUSER} PASSWORD 'md5{digest}'")
    try:
        yield Took(before, _kept(lab))
    finally:
        lab.psql(f"ALTER ROLE {SUPERUSER} PASSWORD '{stored}'")


def _kept(lab: Lab) -> str:
    """How it is kept; of the hash itself nothing."""
    look = f"SELECT left(rolpassword, 3) FROM pg_authid WHERE rolname = '{SUPERUSER}'"  # noqa: S608
    return f"the password of {SUPERUSER} begins with {lab.psql(look).strip()}"


def table_of_another(lab: Lab) -> Iterator[Took]:
    """Let one of the application's tables belong to the superuser; the application may use it as before."""
    role, look = _application(lab), OWNER.format(TABLE)
    before = lab.psql(look).strip()
    lab.psql(f'ALTER TABLE {TABLE} OWNER TO {SUPERUSER}; GRANT ALL ON {TABLE} TO "{role}"')
    try:
        yield Took(f"{TABLE} is {before}'s", f"{TABLE} is {lab.psql(look).strip()}'s")
    finally:
        lab.psql(f'ALTER TABLE {TABLE} OWNER TO "{before}"')


PERMISSIONS = "role-permissions"
# The backup has the rights and the owner as they were.
COMPARED = ("restore-matches", "disaster-recovery")

FAULTS = (
    Fault("forgotten-login-role", ("unused-roles",), "A role may log in that nobody uses.", forgotten_login_role),
    Fault("application-superuser", (PERMISSIONS,), "The application's role is a superuser.", given("SUPERUSER")),
    Fault("application-makes-roles", (PERMISSIONS,), "The application's role makes roles.", given("CREATEROLE")),
    Fault("application-makes-databases", (PERMISSIONS,), "The application's role makes databases.", given("CREATEDB")),
    Fault("application-runs-programs", (PERMISSIONS,), "The application's role runs programs there.", runs_programs),
    Fault("public-creates-in-public", (PERMISSIONS, *COMPARED), "PUBLIC creates in schema public.", public_creates),
    Fault("trust-line", (PERMISSIONS,), "A network is let in without a password.", trust_line),
    Fault("md5-password", (PERMISSIONS,), "A password is kept as MD5.", md5_password),
    Fault(
        "table-of-another", (PERMISSIONS, *COMPARED), "A table of the application is a superuser's.", table_of_another
    ),
)
