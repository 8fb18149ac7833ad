"""Where the database is and as whom it is asked: settings, libpq's service file, a connection string.

A managed database comes with a connection string or a service. Both are taken apart here and go to libpq as single
keywords: what the settings say stands above them, the host is known before anybody connects (it may have to be reached
through another), and no error can repeat a string that has a password in it.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell
from target.kinds import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

CAUSE = "database"
PORT = 5432
_SECRET = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})
"""libpq's keywords whose values nobody may see."""
_OURS = frozenset(
    {
        "application_name",
        "fallback_application_name",
        "connect_timeout",
        "client_encoding",
        "gssencmode",
        "replication",
        "sslkeylogfile",
    }
)
"""What the session decides for itself, whatever a service or a connection string says."""
_VERIFY = frozenset({"verify-ca", "verify-full"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SERVICE_FILES = (
    "/etc/postgresql-common/pg_service.conf",
    "/etc/pg_service.conf",
    "/etc/sysconfig/pgsql/pg_service.conf",
)
"""Where distributions have the system's, if `PGSYSCONFDIR` doesn't say it."""
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
SYSTEM = "system"
"""Stands for the authorities that the system trusts, as for libpq."""


@dataclass(frozen=True)
class Address:
    """Where the database is and as whom it is asked.

    Attributes:
        host: Its name, which a certificate has to be for; or the directory of its socket.
        sslmode: As libpq takes it; empty: libpq's own, which takes TLS where it is to be had.
        ca_file: Who its certificate must be from; `system` for whoever the system trusts.
        real: Where it is reached in truth, when the name is only what it is called: an address and a port.
        near: Whether it is known to be on the machine that asks, whatever it is called: a container of its engine.
        more: What else a service or a connection string says, by libpq's keywords.
    """

    host: str
    port: int
    name: str
    user: str
    password: Secret | None
    sslmode: str = ""
    ca_file: str = ""
    real: tuple[str, int] | None = None
    near: bool = False
    more: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def verified(self) -> bool:
        """Whether whoever answers there has to show a certificate from somebody who is trusted."""
        return self.sslmode in _VERIFY

    @property
    def far(self) -> bool:
        """Whether what is sent to it leaves the machine that it is sent from, as far as its name says."""
        if self.near or self.host.startswith(("/", "@")) or self.host == "localhost":
            return False
        try:
            address = ip_address(self.host)
        except ValueError:
            return True
        return not address.is_loopback

    @property
    def options(self) -> str:
        """The settings that a session there begins with anyway."""
        return str(self.more.get("options", ""))

    def keywords(self) -> dict[str, Any]:
        """What libpq is given, passwords in the clear: only ever as the arguments of a call.

        Raises:
            CannotTell: If no certificate can be checked as the settings want it.
        """
        # First what may fail, so that no frame of a failure holds a password.
        roots = trusted(self.ca_file, self.sslmode) if self.ca_file else ""
        given: dict[str, Any] = {
            name: value.reveal() if isinstance(value, Secret) else value for name, value in self.more.items()
        }
        given.pop("options", None)
        given |= {"host": self.host, "port": self.port, "dbname": self.name, "user": self.user}
        given["password"] = None if self.password is None else self.password.reveal()
        if self.real is not None:
            given["hostaddr"], given["port"] = self.real
        if self.sslmode:
            given["sslmode"] = self.sslmode
        if roots:
            given["sslrootcert"] = roots
        return given


@dataclass(frozen=True)
class Said:
    """What a service or a connection string says.

    Attributes:
        keywords: By libpq's names, without what the session decides for itself.
        by: Who says it, for the reader.
        setting: The setting that names it.
    """

    keywords: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)
    by: str = ""
    setting: str = ""

    def get(self, keyword: str) -> str:
        """What is said of that, empty if nothing is; no secret."""
        value = self.keywords.get(keyword, "")
        return value if isinstance(value, str) else ""

    @property
    def password(self) -> Secret | None:
        """The password, if one stands there."""
        value = self.keywords.get("password")
        return value if isinstance(value, Secret) else None

    @property
    def port(self) -> int | None:
        """The port.

        Raises:
            CannotTell: If it is none.
        """
        text = self.get("port")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
            raise self.wrong("its port is no whole number between 1 and 65535")
        return int(text)

    @property
    def rest(self) -> dict[str, str | Secret]:
        """What is left when each of an address's own attributes has been taken."""
        taken = {"host", "hostaddr", "port", "dbname", "user", "password", "sslmode", "sslrootcert"}
        return {name: value for name, value in self.keywords.items() if name not in taken}

    def must_name_one_server(self) -> None:
        """Insist that it names one server: what is looked at is one's sessions, sizes and settings.

        Raises:
            CannotTell: If it names several.
        """
        if any("," in self.get(one) for one in ("host", "hostaddr", "port")):
            raise self.wrong(
                "it names several servers", "Set database.host and database.port to the one that is meant."
            )

    def wrong(self, what: str, mend: str = "") -> CannotTell:
        """That it can't be used, and why."""
        return CannotTell(f"{self.by} can't be used: {what}", mend=mend or f"Mend {self.setting}.", cause=CAUSE)


def of_dsn(dsn: Secret, setting: str, environment: Mapping[str, str] | None = None) -> Said:
    """What a connection string says.

    Args:
        dsn: As libpq takes it: an address `postgresql://…`, or `keyword=value …`.
        setting: Which setting it is from.
        environment: Variables, for the service that it may name; None for this process's own.

    Raises:
        CannotTell: If it is none; the text says nothing of what it holds.
    """
    told = Said(by="the connection string", setting=setting)
    found = _taken_apart(dsn)
    if not found:
        raise told.wrong(_no_dsn(dsn)) from None
    service, file = str(found.pop("service", "")), str(found.pop("servicefile", ""))
    below = of_service(service, Path(file) if file else None, environment) if service else Said()
    return Said({**below.keywords, **found}, told.by, setting)


def _taken_apart(dsn: Secret) -> dict[str, str | Secret]:
    """The keywords of a connection string; none where it can't be read, so that nothing of it stands in a frame."""
    import psycopg.conninfo

    try:
        found = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(dsn.reveal().strip()).items()}
    except Exception:  # noqa: BLE001  every message of the driver repeats the string
        return {}
    # A password with a slash in it is taken for a port and a name, which would be shown.
    if "@" in found.get("dbname", "") or re.search("[^0-9,]", found.get("port", "")):
        return {}
    return _kept(found)


def _no_dsn(dsn: Secret) -> str:
    """Why a connection string is none, without a word of it but a scheme that is known to be one."""
    scheme = _SCHEME.match(dsn.reveal().strip())
    known = ("postgres", "postgresql")
    if scheme is not None and scheme[1].lower() not in known:
        kind = scheme[1].lower().partition("+")[0]
        called = f", not {scheme[1].lower()}://" if kind in {*known, "postgis", "pgsql", "mysql", "jdbc"} else ""
        return f"libpq reads postgresql://…{called}"
    if scheme is not None:
        return (
            "it isn't an address that libpq can read: a password in it is written with %40 for @, %3A for :, "
            "%2F for / and %23 for #, and behind ? stand only libpq's own parameters"
        )
    return "it is neither postgresql://user@host:port/name nor a list of keyword=value; a value with spaces is quoted"


def of_service(name: str, file: Path | None, environment: Mapping[str, str] | None = None) -> Said:
    """What a service of libpq's connection service file says.

    Args:
        name: The service's.
        file: The file; None: where libpq looks for it, the user's own before the system's.
        environment: Variables that say where that is; None for this process's own.

    Raises:
        CannotTell: If there is no such service, or its file can't be read.
    """
    variables = os.environ if environment is None else environment
    places = [file] if file is not None else _service_files(variables)
    others: list[str] = []
    for place in places:
        services = _services(place, name) if place.exists() or file is not None else {}
        if name in services:
            return Said(_kept(services[name]), f"service {name} in {place}", "database.service")
        others += services
    listed = ", ".join(map(str, places))
    there = f" (there are: {', '.join(others)[:200]})" if others else ""
    raise CannotTell(
        f"there is no service {name} in {listed}{there}",
        mend="Set database.service to one of them, or database.service_file to the file that has it.",
        cause=CAUSE,
    )


def _service_files(variables: Mapping[str, str]) -> list[Path]:
    own = variables.get("PGSERVICEFILE") or str(Path(variables.get("HOME") or "~").expanduser() / ".pg_service.conf")
    system = variables.get("PGSYSCONFDIR")
    return [Path(own), *([Path(system) / "pg_service.conf"] if system else map(Path, _SERVICE_FILES))]


def _services(file: Path, wanted: str) -> dict[str, dict[str, str]]:
    """The services of a file, by name; what the wanted one says is checked as libpq would.

    Raises:
        CannotTell: If it can't be read, or has a line that libpq would refuse; its number is said and not its text.
    """

    def wrong(what: str) -> CannotTell:
        return CannotTell(
            f"the connection service file {file} can't be used: {what}",
            mend="Mend it, or set database.service_file to another.",
            cause=CAUSE,
        )

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise wrong("it is not UTF-8 text") from None
    except OSError as error:
        raise wrong(error.strerror or type(error).__name__) from None
    found: dict[str, dict[str, str]] = {}
    name = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if line.startswith("["):
            name = line[1:].partition("]")[0]
            name = "" if name in found else name  # the first of a name counts
            found.setdefault(name, {})
        elif name == wanted and line and not line.startswith("#"):
            keyword, _, value = line.partition("=")
            if trouble := _no_setting(line, keyword):
                raise wrong(f"line {number} {trouble}")
            found[name].setdefault(keyword, value)
    found.pop("", None)
    return found


def _no_setting(line: str, keyword: str) -> str:
    """Why a line of a service sets nothing, without the line; empty if it does."""
    if line.startswith("ldap"):
        return "asks a directory (ldap), which isn't done here"
    if "=" not in line:
        return "is no keyword=value"
    if keyword not in _known():
        shown = f" {keyword!r}" if re.fullmatch("[a-z_]{1,40}", keyword) else ""
        return f"has no keyword{shown} that libpq knows; it stands before the = without a space"
    return ""


def _known() -> frozenset[str]:
    """The keywords that a service may have."""
    from psycopg import pq

    return frozenset(one.keyword.decode() for one in pq.Conninfo.get_defaults()) - {"service", "servicefile"}


def _kept(keywords: Mapping[str, str]) -> dict[str, str | Secret]:
    """What a session takes over, secrets as such."""
    return {
        name: Secret(value) if name in _SECRET else value
        for name, value in keywords.items()
        if value and name not in _OURS
    }


def trusted(ca_file: str, sslmode: str) -> str:
    """The file with the authorities, as libpq is given it.

    libpq's own `system` looks where the TLS library that came with the driver would have its own, which needn't be
    where this system has them, and isn't taken together with `verify-ca`.

    Args:
        ca_file: The file, or `system`.
        sslmode: How much is checked.

    Raises:
        CannotTell: If the system isn't known to have a file of authorities, and libpq doesn't take its word for it.
    """
    if ca_file != SYSTEM:
        return ca_file
    files = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_BUNDLES)
    for one in files:
        if one and Path(one).is_file():
            return one
    if sslmode == "verify-ca":
        raise CannotTell(
            "it isn't known whom this system trusts: it has no file of authorities where systems have theirs",
            mend="Set database.ca_file, or database.sslmode to verify-full.",
            cause=CAUSE,
        )
    return SYSTEM


def authorities(sslmode: str, given: Path | None, said: str) -> str:
    """Who the server's certificate must be from.

    Args:
        sslmode: How much of it is checked.
        given: The setting.
        said: What a service or a connection string says.

    Returns:
        A file; `system`; or empty where nothing is checked, or the user's own file of libpq's serves.
    """
    if given is not None:
        # The word is read as a path beside the target file.
        return SYSTEM if given.name == SYSTEM and not given.is_file() else str(given)
    if said:
        return said
    own = Path("~/.postgresql/root.crt").expanduser()
    return SYSTEM if sslmode in _VERIFY and not own.is_file() else ""


def where_is_it(
    given: Mapping[str, Any], published: tuple[str, int] | None, inside: tuple[str, int] | None
) -> tuple[str, int]:
    """The address to ask: what the settings say, else the published port, else the container's own.

    Raises:
        CannotTell: If none of them is known.
    """
    if given.get("host") or given.get("port"):
        return str(given.get("host") or "127.0.0.1"), int(given.get("port") or PORT)
    found = published or inside
    if found is None:
        raise CannotTell(
            "it isn't known where the database is: its container publishes no port and has no address",
            mend="Start it, or set database.host and database.port.",
            cause=CAUSE,
        )
    return found
