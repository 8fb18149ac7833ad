"""A database that somebody else manages: by a service or a connection string, and over TLS that is checked."""

from __future__ import annotations

import socket
import time
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import observe.database_address
from fixtures.database import _address, _through
from observe.database import Database
from observe.database_address import SYSTEM, Address, Said, authorities, of_dsn, of_service, trusted
from observe.errors import CannotTell
from proofs.containers import packaged_postgres
from proofs.containers.postgres import PASSWORDS, Postgres, running
from proofs.observe.servers import Authority, pem
from target.kinds import Secret
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target.model import Target

NAME = "orders.db.example"
"""The certificate's name, which no resolver knows."""
SECRET = "pw-of-the-provider-4711"  # noqa: S105  of nobody


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secret, "_known", set())


# What a connection string and a service say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        f"postgresql://ops:{SECRET}@orders.db.example:6543/orders?sslmode=require",
        f"postgres://ops:{SECRET}@orders.db.example:6543/orders?sslmode=require\n",
        f"host=orders.db.example port=6543 dbname=orders user=ops password='{SECRET}' sslmode=require",
    ],
)
def test_a_connection_string_is_taken_apart(written: str) -> None:
    said = of_dsn(Secret(written), "database.dsn")
    assert (said.get("host"), said.port, said.get("dbname"), said.get("user")) == (NAME, 6543, "orders", "ops")
    assert said.password == Secret(SECRET)
    assert said.get("password") == "", "nobody gets it as a text"
    assert said.rest == {}
    assert SECRET not in repr(said)
    assert SECRET in Secret.known()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (f"postgresql://ops:{SECRET}@orders/x?schema=public", "only libpq's own parameters"),
        (f"postgresql://ops:{SECRET}/@orders:5432/x", "written with %40 for @"),
        (f"postgresql://ops:12/{SECRET}@orders:5432/x", "written with %40 for @"),
        (f"postgresql+psycopg://ops:{SECRET}@orders/x", r"postgresql://…, not postgresql\+psycopg://"),
        (f"postgis://ops:{SECRET}@orders/x", "postgresql://…, not postgis://"),
        (f"{SECRET}://orders", "libpq reads postgresql://…$"),
        (f"host=orders password={SECRET} {SECRET}", "a list of keyword=value"),
        (f"host=orders pass={SECRET}", "a list of keyword=value"),
        (SECRET, "a list of keyword=value"),
        ("", "a list of keyword=value"),
        (f"host='orders password={SECRET}", "a list of keyword=value"),
    ],
)
def test_a_connection_string_that_is_none_is_told_without_a_word_of_it(written: str, why: str) -> None:
    with pytest.raises(CannotTell, match=why) as raised:
        of_dsn(Secret(written), "database.dsn_file")
    # As talkative as pytest can be about our own frames; who called us has the string at hand anyway.
    raised.traceback = raised.traceback.cut(path=Path(observe.database_address.__file__))
    shown = f"{raised.getrepr(showlocals=True, style='long', chain=True)}{raised.value!r}{raised.value.mend}"
    assert "dsn        = Secret('**********')" in shown
    assert "4711" not in shown
    assert "database.dsn_file" in raised.value.mend
    assert raised.value.cause == "database"


SERVICES = f"""
# the user's own
[orders]
host=orders.db.example
port=6543
dbname=orders
user=ops
password={SECRET}
sslmode=verify-full
sslrootcert=/etc/provider.pem
options=-c search_path=sales
target_session_attrs=read-write
connect_timeout=90

[broken]
host orders
[spaced]
host = orders
[asking]
ldap://directory.example/dc=x
[orders]
host=second.example
"""


def test_a_service_is_what_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "services.conf"
    file.write_text(SERVICES)
    said = of_service("orders", file)
    assert (said.get("host"), said.port, said.get("sslmode")) == (NAME, 6543, "verify-full")
    assert said.password == Secret(SECRET)
    assert said.rest == {"options": "-c search_path=sales", "target_session_attrs": "read-write"}
    assert SECRET not in repr(said)
    for name, why in {
        "broken": "line 16 is no keyword=value",
        "spaced": "line 18 has no keyword that libpq knows; it stands before the = without a space",
        "asking": r"line 20 asks a directory \(ldap\)",
        "missing": r"no service missing in .*services.conf \(there are: orders, broken, spaced, asking\)",
    }.items():
        with pytest.raises(CannotTell, match=why) as raised:
            of_service(name, file)
        assert SECRET not in repr(raised.value)
    with pytest.raises(CannotTell, match="No such file or directory"):
        of_service("orders", tmp_path / "gone")


def test_a_service_is_looked_for_where_libpq_does(tmp_path: Path) -> None:
    for name in ("home", "system", "given"):
        (tmp_path / name).mkdir()
    (tmp_path / "home/.pg_service.conf").write_text("[one]\nhost=a\n")
    (tmp_path / "system/pg_service.conf").write_text("[one]\nhost=b\n[two]\nhost=c\n")
    (tmp_path / "given/services").write_text("[one]\nhost=d\n")
    variables = {"HOME": str(tmp_path / "home"), "PGSYSCONFDIR": str(tmp_path / "system")}
    assert of_service("one", None, variables).get("host") == "a"
    assert of_service("two", None, variables).get("host") == "c"
    given = variables | {"PGSERVICEFILE": str(tmp_path / "given/services")}
    assert of_service("one", None, given).get("host") == "d"
    with pytest.raises(CannotTell, match="no service three"):
        of_service("three", None, given)
    assert of_dsn(Secret("service=two user=ops"), "database.dsn", variables).get("host") == "c"


def test_a_port_that_is_none_and_several_servers_are_told() -> None:
    with pytest.raises(CannotTell, match="its port is no whole number"):
        _ = of_dsn(Secret("host=a port=99999"), "database.dsn").port
    with pytest.raises(CannotTell, match="it names several servers") as raised:
        of_dsn(Secret("postgresql://a:1,b:2/x"), "database.dsn").must_name_one_server()
    assert "database.host" in raised.value.mend


def test_whom_to_trust_is_the_settings_the_services_or_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "ca.pem"
    file.write_text("x")
    assert authorities("verify-full", file, "/service.pem") == str(file)
    assert authorities("verify-full", None, "/service.pem") == "/service.pem"
    assert authorities("verify-full", None, "") == SYSTEM
    assert authorities("require", None, "") == ""
    assert authorities("verify-full", tmp_path / "system", "") == SYSTEM, "the word becomes a path beside the target"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert trusted(SYSTEM, "verify-ca") == str(file)
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql/root.crt").write_text("x")
    assert authorities("verify-full", None, "") == "", "libpq finds the user's own by itself"


# What a target says of it --------------------------------------------------------------------------------------------


def target(directory: Path, database: str, services: str = 'database = ""') -> Target:
    file = directory / "target.toml"
    project = 'name = "x"\n[project]\nname = "x"\ndirectory = "/srv/x"\n'
    file.write_text(f"{project}[services]\n{services}\n[database]\n{database}\n")
    return load(file, {}).target


class NoStack:
    """There is no engine: whoever asks for a container fails."""


def address(of: Target) -> Address:
    return _address(of, NoStack())  # type: ignore[arg-type]


def test_what_the_settings_say_stands_above_a_connection_string(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text(f"postgresql://them:{SECRET}@theirs:6543/orders?sslmode=require&sslcert=/c.pem\n")
    found = address(target(tmp_path, 'dsn_file = "dsn"'))
    assert (found.host, found.port, found.name, found.user) == ("theirs", 6543, "orders", "them")
    assert (found.password, found.sslmode, found.more) == (Secret(SECRET), "require", {"sslcert": "/c.pem"})
    own = 'dsn_file = "dsn"\nhost = "ours"\nport = 1\nname = "n"\nuser = "u"\npassword = "p"\nsslmode = "verify-full"'
    found = address(target(tmp_path, own + '\nca_file = "ca.pem"'))
    assert (found.host, found.port, found.name, found.user, found.password) == ("ours", 1, "n", "u", Secret("p"))
    assert (found.sslmode, found.ca_file, found.verified) == ("verify-full", str(tmp_path / "ca.pem"), True)
    assert str(found) == "ours:1"
    for text in (str(found), repr(found)):
        assert SECRET not in text


def test_a_service_needs_no_container_even_where_one_is_the_database(tmp_path: Path) -> None:
    (tmp_path / "services").write_text("[orders]\nhostaddr=127.0.0.1\nhost=orders.db.example\nuser=ops\n")
    found = address(target(tmp_path, 'service = "orders"\nservice_file = "services"', 'database = "db"'))
    assert (found.host, found.port, found.name, found.user) == (NAME, 5432, "ops", "ops")
    assert found.real == ("127.0.0.1", 5432)


def test_what_says_nothing_of_the_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match=r"services\.database is empty, so no container says it") as raised:
        address(target(tmp_path, 'user = "ops"'))
    assert "database.host" in raised.value.mend
    with pytest.raises(CannotTell, match="the connection string names no host"):
        address(target(tmp_path, 'dsn = "user=ops"'))
    with pytest.raises(CannotTell, match=r"connection string can't be read: .*no such file"):
        address(target(tmp_path, 'dsn_file = "gone"'))


# TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("of-the-provider"))


@pytest.fixture(scope="module")
def managed(own_authority: Authority) -> Iterator[Postgres]:
    """A PostgreSQL outside of every stack, which speaks TLS."""
    from cryptography.hazmat.primitives import serialization as as_text

    leaf, key = own_authority.leaf(NAME)
    private = key.private_bytes(as_text.Encoding.PEM, as_text.PrivateFormat.PKCS8, as_text.NoEncryption())
    with running() as server:
        written = server.container.exec_run(
            ["sh", "-c", "umask 077; printenv LEAF > /tmp/leaf.pem; printenv KEY > /tmp/key.pem"],
            environment={"LEAF": pem(leaf).decode(), "KEY": private.decode()},
        )
        assert written.exit_code == 0, written.output
        with server.connect() as chief:
            for setting in ("ssl_cert_file = '/tmp/leaf.pem'", "ssl_key_file = '/tmp/key.pem'", "ssl = on"):
                chief.execute(f"ALTER SYSTEM SET {setting}".encode())
            chief.execute("SELECT pg_reload_conf()")
        _until_it_speaks_tls(server)
        yield server


def _until_it_speaks_tls(server: Postgres) -> None:
    for _ in range(100):
        with suppress(CannotTell), closing(server.database(sslmode="require")) as database:
            _ = database.session
            return
        time.sleep(0.05)
    pytest.fail("it doesn't")


def of_managed(server: Postgres, **changes: Any) -> Database:  # noqa: ANN401
    """Asked by the certificate's name, at the place where it is in truth."""
    given: dict[str, Any] = {"host": NAME, "port": 5432, "real": ("127.0.0.1", server.port), "sslmode": "verify-full"}
    return server.database(**given | changes)


def test_a_session_is_encrypted_and_its_server_verified_by_name(managed: Postgres, own_authority: Authority) -> None:
    with closing(of_managed(managed, ca_file=str(own_authority.file))) as database:
        session = database.session
        assert session.way.startswith("TLSv1.3 TLS_")
        assert session.way.endswith(f", verified as {NAME}")
        assert session.notes == (f"asked as ops; the session: {session.way}",)
        assert session.troubles(database._find()) == []
        assert database.connections().own == 1


def test_the_systems_authorities_serve_where_they_are_meant(
    managed: Postgres, own_authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own_authority.file))
    for sslmode in ("verify-full", "verify-ca"):
        with closing(of_managed(managed, ca_file=SYSTEM, sslmode=sslmode)) as database:
            assert "verified" in database.session.way


def test_where_the_system_has_no_authorities_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(observe.database_address, "_BUNDLES", ())
    monkeypatch.setattr("ssl.get_default_verify_paths", lambda: SimpleNamespace(cafile=None))
    assert trusted(SYSTEM, "verify-full") == SYSTEM, "libpq may know better"
    where = Address(NAME, 1, "n", "u", Secret(SECRET), sslmode="verify-ca", ca_file=SYSTEM)
    with pytest.raises(CannotTell, match="whom this system trusts") as raised:
        Database(lambda: where, 1, "0" * 32).connections()
    assert "4711" not in str(raised.getrepr(showlocals=True, style="long", chain=True))


def test_what_isnt_verified_is_said(managed: Postgres) -> None:
    for sslmode, way, said in (
        ("require", "nobody verified", "is encrypted with whoever answers there"),
        ("disable", "not encrypted", "is not encrypted"),
    ):
        with closing(of_managed(managed, sslmode=sslmode)) as database:
            assert way in database.session.way
            (trouble,) = database.session.troubles(database._find())
            assert said in trouble
            assert "verify-full" in trouble
            assert database.session.troubles(managed.address()) == [], "on loopback nobody reads along"


def test_another_name_and_an_unknown_authority_are_told(
    managed: Postgres, own_authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "Stranger")
    for changes, said, mend in (
        ({"host": "other.example", "ca_file": str(own_authority.file)}, f'"{NAME}" does not match host', "find out"),
        ({"ca_file": str(stranger.file)}, "certificate verify failed", "database.ca_file"),
        ({"ca_file": str(tmp_path / "gone.pem")}, "root certificate file", "database.ca_file"),
    ):
        refused: list[str] = []
        found = Database(of_managed(managed, **changes)._find, 2, "0" * 32, refused=refused.append)
        with pytest.raises(CannotTell, match=said) as raised:
            found.connections()
        assert mend in raised.value.mend
        assert raised.value.cause == "database"
        assert refused == [], "the server's log has no refused login of ours"
        assert PASSWORDS["ops"] not in repr(raised.value)


def test_a_server_without_tls_and_a_name_that_nobody_knows_are_told() -> None:
    with packaged_postgres.running(packaged_postgres.installation()) as plain:
        with pytest.raises(CannotTell, match="server does not support SSL") as raised:
            plain.database(sslmode="require").connections()
        assert "ssl = on" in raised.value.mend
        with pytest.raises(CannotTell, match=r"nowhere\.invalid:1 can't be asked: .*resolve") as raised:
            plain.database(host="nowhere.invalid", port=1).connections()
        assert "getent hosts nowhere.invalid" in raised.value.mend


# Through another host ------------------------------------------------------------------------------------------------


class Forwarding:
    """A host that is reached over SSH, as far as its forwarding goes; proofs/ssh has a real one."""

    def __init__(self, port: int) -> None:
        self.ssh = self
        self.port = port
        self.asked: list[tuple[str, int]] = []

    def forward_port(self, host: str, port: int) -> int:
        self.asked.append((host, port))
        return self.port


def test_through_another_host_its_name_stays_what_the_certificate_is_for(
    managed: Postgres, own_authority: Authority
) -> None:
    host = Forwarding(managed.port)
    meant = managed.address(host=NAME, port=5432, sslmode="verify-full", ca_file=str(own_authority.file))
    there = _through(host, meant)  # type: ignore[arg-type]
    assert host.asked == [(NAME, 5432)]
    assert str(there) == f"{NAME}:5432"
    with closing(Database(lambda: there, 2, "0" * 32)) as database:
        assert database.session.way.endswith(f"verified as {NAME}")
    with pytest.raises(CannotTell, match="at the socket /run/postgresql, and its host is reached over SSH"):
        _through(host, managed.address(host="/run/postgresql"))  # type: ignore[arg-type]


def test_a_socket_and_loopback_are_near_and_a_name_is_far() -> None:
    near = [Address(host, 1, "n", "u", None) for host in ("localhost", "127.0.0.1", "::1", "/run/postgresql")]
    assert [one.far for one in near] == [False] * 4
    assert Address(NAME, 1, "n", "u", None).far
    assert Address("10.0.0.3", 1, "n", "u", None).far
    assert not Address("172.18.0.2", 1, "n", "u", None, near=True).far
    assert Said().get("host") == ""


def test_an_address_family_that_libpq_is_given_by_number_needs_no_resolver(managed: Postgres) -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(NAME, 5432)
    with closing(of_managed(managed, sslmode="require")) as database:
        assert database.session.database == "stock"
