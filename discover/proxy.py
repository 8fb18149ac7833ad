"""What nginx's configuration says of the site: its name, its certificate, its logs, and what it passes on to whom."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from discover.nginx_files import Configuration, Directive
    from discover.stacks import Seen

_PASSES = frozenset({"proxy_pass", "uwsgi_pass", "grpc_pass", "fastcgi_pass", "scgi_pass"})
_NO_NAME = re.compile(r"^$|^_$|^[~*.$]|\*|^localhost$|^\"|^[0-9.]+$")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0"})  # noqa: S104  compared, and nothing is bound


@dataclass(frozen=True)
class Log:
    """A log that a directive names.

    Attributes:
        path: As the directive has it.
        form: The name of its format.
        where: File and line of the directive.
    """

    path: str
    form: str
    where: str


@dataclass(frozen=True)
class Location:
    """A location of a server.

    Attributes:
        path: What its paths begin with, or are.
        exact: Whether they are just that.
        passes: To whom requests are passed on, as `host:port`; empty for nobody.
        access: Its own access log; None where it has the server's.
        limited: Whether clients that ask too often are refused there.
        refused_status: What they get; 0 where no directive says so.
        where: File and line.
    """

    path: str
    exact: bool
    passes: tuple[str, ...]
    access: Log | None
    limited: bool
    refused_status: int
    where: str


@dataclass(frozen=True)
class Server:
    """A server block, with what it inherits.

    Attributes:
        names: Its names, those alone that are whole names.
        tls: The addresses that it listens on for TLS, as nginx writes them: `443`, `127.0.0.1:8443`.
        plain: Those for plain HTTP.
        certificate: Its certificate; empty for none.
        authorities: The file of authorities that it names; empty for none.
        access: Its access logs.
        error: Its error log; None where no directive names one.
        locations: Its locations, those within others too.
        where: File and line.
    """

    names: tuple[str, ...]
    tls: tuple[str, ...]
    plain: tuple[str, ...]
    certificate: str
    authorities: str
    access: tuple[Log, ...]
    error: Log | None
    locations: tuple[Location, ...]
    where: str

    @property
    def refusals(self) -> frozenset[int]:
        """What clients that ask too often get, wherever they are refused; nginx's own status is 503."""
        return frozenset(one.refused_status or 503 for one in self.locations if one.limited)


@dataclass(frozen=True)
class Proxied:
    """All servers of a configuration.

    Attributes:
        servers: The servers.
        formats: Name of a log format to the words of its directive.
    """

    servers: tuple[Server, ...]
    formats: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Inherited:
    """What directives above a block have set."""

    access: tuple[Log, ...] | None = None
    error: Log | None = None
    certificate: str = ""
    authorities: str = ""
    refused_status: int = 0
    limited: bool = False
    passes: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def read_servers(configuration: Configuration) -> Proxied:
    """What a configuration says of its servers."""
    upstreams: dict[str, tuple[str, ...]] = {}
    formats: dict[str, tuple[str, ...]] = {}
    http = [one for one in configuration.main if one.name == "http" and one.block is not None]
    for one in (two for block in http for two in block.block or ()):
        if one.name == "upstream" and one.args:
            upstreams[one.args[0]] = tuple(two.args[0] for two in one.block or () if two.name == "server" and two.args)
        elif one.name == "log_format" and len(one.args) > 1:
            formats[one.args[0]] = one.args[1:]
    top = _inherits(_Inherited(), configuration.main, configuration, upstreams)
    found: list[Server] = []
    for block in http:
        inherited = _inherits(top, block.block or (), configuration, upstreams)
        found += [
            _server(one, inherited, configuration, upstreams) for one in block.block or () if one.name == "server"
        ]
    return Proxied(tuple(found), formats)


def _server(
    given: Directive, above: _Inherited, configuration: Configuration, upstreams: Mapping[str, tuple[str, ...]]
) -> Server:
    block = given.block or ()
    own = _inherits(above, block, configuration, upstreams)
    listens = [one.args for one in block if one.name == "listen" and one.args] or [("80",)]
    old = any(one.name == "ssl" and one.args == ("on",) for one in block)  # before nginx 1.25
    tls = tuple(one[0] for one in listens if old or {"ssl", "quic"} & set(one[1:]))
    names = [name for one in block if one.name == "server_name" for name in one.args]
    access = own.access
    if access is None:
        default = configuration.default_log or "/var/log/nginx/access.log"
        access = (Log(default, "combined", "nginx's own default"),)
    return Server(
        names=tuple(dict.fromkeys(name for name in names if not _NO_NAME.search(name))),
        tls=tuple(dict.fromkeys(tls)),
        plain=tuple(one[0] for one in listens if one[0] not in tls and not one[0].startswith("unix:")),
        certificate=own.certificate,
        authorities=own.authorities,
        access=access,
        error=own.error,
        locations=tuple(_locations(block, own, configuration, upstreams)),
        where=_where(given),
    )


def _locations(
    block: Sequence[Directive],
    above: _Inherited,
    configuration: Configuration,
    upstreams: Mapping[str, tuple[str, ...]],
) -> Iterator[Location]:
    for one in block:
        if one.name != "location" or not one.args or one.block is None:
            continue
        own = _inherits(above, one.block, configuration, upstreams)
        modifier = one.args[0] if len(one.args) > 1 else ""
        path = one.args[-1]
        if not modifier.startswith("~") and path.startswith("/"):
            access = next((log for log in own.access or ()), None) if own.access is not above.access else None
            yield Location(path, modifier == "=", own.passes, access, own.limited, own.refused_status, _where(one))
        yield from _locations(one.block, own, configuration, upstreams)


def _inherits(
    above: _Inherited,
    block: Sequence[Directive],
    configuration: Configuration,
    upstreams: Mapping[str, tuple[str, ...]],
) -> _Inherited:
    """What holds in a block: what its directives say, and else what held above."""
    logs = [one for one in block if one.name == "access_log" and one.args]
    access = above.access
    if logs:
        off = any(one.args == ("off",) for one in logs)
        access = () if off else tuple(Log(_path(one.args[0], configuration), _form(one), _where(one)) for one in logs)
    error = next((one for one in reversed(block) if one.name == "error_log" and one.args), None)
    said = {one.name: one.args[0] for one in block if one.args}
    variables = {
        **above.variables,
        **{one.args[0]: one.args[1] for one in block if one.name == "set" and len(one.args) == 2},
    }
    status = said.get("limit_req_status", "")
    target = next((one.args[0] for one in block if one.name in _PASSES and one.args), "")
    return _Inherited(
        access,
        above.error if error is None else Log(_path(error.args[0], configuration), "", _where(error)),
        said.get("ssl_certificate") or above.certificate,
        said.get("ssl_trusted_certificate") or above.authorities,
        int(status) if status.isdigit() else above.refused_status,
        above.limited or "limit_req" in said,
        _targets(target, variables, upstreams) if target else (),
        variables,
    )


def _targets(target: str, variables: Mapping[str, str], upstreams: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Whom a directive passes requests on to, as `host:port`."""
    for name, value in sorted(variables.items(), key=lambda one: -len(one[0])):
        target = target.replace(name, value)
    target = target if "://" in target else f"http://{target}"
    if "//unix:" in target:
        return ()  # a socket, which no container publishes
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ()
    if host in {one.lower() for one in upstreams}:
        servers = next(servers for name, servers in upstreams.items() if name.lower() == host)
        return tuple(one if re.search(r":\d+$", one) else f"{one}:80" for one in servers if not one.startswith("unix:"))
    return (f"{host}:{port or (443 if parts.scheme == 'https' else 80)}",) if host else ()


def _path(path: str, configuration: Configuration) -> str:
    if path.startswith(("/", "syslog:", "memory:")) or path in {"stderr", "off"} or "$" in path:
        return path
    return posixpath.join(configuration.prefix, path) if configuration.prefix else path


def _form(log: Directive) -> str:
    return log.args[1] if len(log.args) > 1 and "=" not in log.args[1] else "combined"


def _where(one: Directive) -> str:
    return f"{one.file}:{one.line}"


def service_of(target: str, seen: Sequence[Seen], inside: Seen | None = None) -> str:
    """The service that requests are passed on to; empty if it is none of the stack's.

    Args:
        target: `host:port`.
        seen: The stack's containers.
        inside: The container that the proxy runs in; None for the host itself.
    """
    host, _, port = target.rpartition(":")
    for one in seen:
        if host in one.addresses:
            return one.service
        # A name leads to a container within a network of its own: another project may have a service of that name.
        if inside is not None and host in {one.service, one.name} and _reaches(inside, one):
            return one.service
        bindings = [(address, str(number)) for of_port in one.published.values() for address, number in of_port]
        if any(number == port and (_is_host(host, inside) or host == address) for address, number in bindings):
            return one.service
    return ""


def _is_host(name: str, inside: Seen | None) -> bool:
    """Whether a name or an address is the host's, as it is seen from a container or from the host itself."""
    if inside is None or not inside.addresses:  # a container without an address of its own uses the host's network
        return name in _LOOPBACK
    return name == "host.docker.internal" or name in inside.gateways


def _reaches(one: Seen, other: Seen) -> bool:
    return bool(one.networks & other.networks) or (one.project == other.project and not other.networks)
