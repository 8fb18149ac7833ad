"""On which addresses of the host the ports of the database and the cache are published.

Whatever isn't loopback can be reached by somebody else: a private address by
everybody in that network, among them whatever else the provider has put there.
And an engine that publishes a port lets its packets in before the host's own
firewall sees them (Docker's rules come before those of ufw), so that what the
firewall says doesn't count. Of a container that runs what is in force counts;
of one that doesn't, what it would be given at its next start.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from observe.engine import Container, Project

MOST_SAID = 6
ON_ITS_OWN = frozenset({"macvlan", "ipvlan"})
"""Drivers of networks in which a container has an address that others reach without anything being published."""


@dataclass(frozen=True)
class Binding:
    """A container's port on an address of the host.

    Attributes:
        service: The container's service.
        container: The container's name.
        port: The port in the container: `5432/tcp`.
        address: The address of the host.
        on: The port of the host; 0 for one that is chosen at the start.
        now: Whether it is so now, and not only from the next start on.
    """

    service: str
    container: str
    port: str
    address: str
    on: int
    now: bool

    @property
    def private(self) -> bool:
        """Whether only the host itself reaches it."""
        address = _address(self.address)
        return address is not None and address.is_loopback

    @property
    def where(self) -> str:
        """The address and port of the host."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.on or '(any)'}"

    @property
    def kind(self) -> str:
        """What sort of an address it is."""
        address = _address(self.address)
        if address is None:
            return "an address that can't be read"
        if address.is_unspecified:
            return "every address of the host"
        if address.is_loopback:
            return "loopback"
        return "a private address" if address.is_private else "a public address"

    @property
    def said(self) -> str:
        """The binding in words."""
        published = "is published" if self.now else "will be published at its next start"
        return f"{self.port} of {self.container} {published} on {self.where}, {self.kind}"

    def row(self) -> dict[str, str]:
        """The binding for the report."""
        return {
            "service": self.service,
            "container": self.container,
            "port": self.port,
            "published on": self.where,
            "which is": self.kind,
            "since": "now" if self.now else "its next start",
        }


@dataclass(frozen=True)
class Published:
    """What is published of what should be private.

    Attributes:
        services: The services that should be private and have containers.
        containers: How many containers of them were looked at.
        ports: How many ports they have, published or not.
        bindings: The ports that are published.
        addressed: Containers with an address of their own that others reach, a sentence each.
        unseen: What can't be told, a sentence each.
        others: What the project's other containers publish, for the reader.
        notes: What else the reader should know.
    """

    services: tuple[str, ...]
    containers: int
    ports: int
    bindings: tuple[Binding, ...]
    addressed: tuple[str, ...]
    unseen: tuple[str, ...]
    others: tuple[Binding, ...]
    notes: tuple[str, ...]

    @property
    def open(self) -> tuple[str, ...]:
        """Whatever others can reach, a sentence each."""
        return (*(one.said for one in self.bindings if not one.private), *self.addressed)

    @property
    def said(self) -> str:
        """What was seen, in words."""
        if troubles := self.open:
            more = f"; and {len(troubles) - MOST_SAID} more" if len(troubles) > MOST_SAID else ""
            return "; ".join(troubles[:MOST_SAID]) + more
        return "published on loopback alone" if self.bindings else "not published"

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        containers = "1 container" if self.containers == 1 else f"{self.containers} containers"
        ports = "1 port" if self.ports == 1 else f"{self.ports} ports"
        published = len({(one.container, one.port) for one in self.bindings})
        return f"{containers} of {', '.join(self.services)}, {ports}: {published} published"

    def must_be_told(self) -> None:
        """Say so if it isn't known of a container where its ports are open.

        Raises:
            CannotTell: If that is so.
        """
        if self.unseen:
            raise CannotTell(
                "; ".join(self.unseen[:MOST_SAID]),
                mend="Give it a network of its own in the Compose file. Until then `ss -ltnp` on the host says where "
                "it listens.",
            )


def published(
    project: Project,
    private: Sequence[str],
    drivers: Callable[[], Mapping[str, str]],
    wanted: Callable[[], Collection[str]],
) -> Published:
    """Look at where the ports of some services are published.

    Args:
        project: The project's containers.
        private: The services that should be private.
        drivers: Says the driver of each network, by its name.
        wanted: Says which services the Compose files want: one of them without a container can't be told of, one that
            nobody wants isn't there. Asked only if one of `private` has no container.

    Raises:
        CannotTell: If none of them has a container, one that is wanted has none, or the engine can't be asked.
    """
    if not private:
        raise CannotTell(
            "no service of this stack is to be private: it has neither the database nor a cache nor a pooler",
            mend="Look from outside at whom the managed database lets in, and write that under [not_applicable] as "
            "ports-private.",
        )
    there = {service: containers for service in private if (containers := project.containers(service))}
    _must_be_there(project, private, there, wanted)
    everybody = {one.id: one for service in project.services for one in project.containers(service)}
    looks = [_look(one, everybody, drivers) for containers in there.values() for one in containers]
    return Published(
        tuple(there),
        len(looks),
        sum(one.ports for one in looks),
        tuple(dict.fromkeys(each for one in looks for each in one.bindings)),
        tuple(one.addressed for one in looks if one.addressed),
        tuple(one.unseen for one in looks if one.unseen),
        tuple(each for one in everybody.values() if one.service not in there for each in _bindings(one)),
        tuple(f"No service {one} is wanted, and none is there." for one in private if one not in there),
    )


@dataclass(frozen=True)
class _Look:
    ports: int = 0
    bindings: tuple[Binding, ...] = ()
    addressed: str = ""
    unseen: str = ""


def _look(one: Container, everybody: Mapping[str, Container], drivers: Callable[[], Mapping[str, str]]) -> _Look:
    mode = _mode(one)
    # In another container's network it is that one's ports that are published.
    lender = everybody.get(mode.partition(":")[2]) if mode.startswith("container:") else one
    if mode == "host" or lender is None:
        whose = "the host's" if mode == "host" else "that of a container of another project"
        return _Look(unseen=f"{one.name} uses {whose} network: its ports are open wherever its process listens")
    bindings = tuple(_bindings(lender))
    names = sorted(name for name in lender.settings.networks if drivers().get(name) in ON_ITS_OWN)
    addressed = ""
    if names:
        at = f" ({', '.join(lender.addresses)})" if lender.addresses else ""
        addressed = f"{one.name} has an address of its own{at} in {', '.join(names)}, where every port is open"
    return _Look(len({*_ports(lender), *(each.port for each in bindings)}), bindings, addressed)


def _must_be_there(
    project: Project, private: Sequence[str], there: Collection[str], wanted: Callable[[], Collection[str]]
) -> None:
    absent = [service for service in private if service not in there]
    missing = [service for service in absent if service in wanted()] if absent else []
    if missing or not there:
        names = ", ".join(project.services) or "none"
        service = (missing or [*private])[0]
        raise CannotTell(
            f"service {service} of project {project.name} has no container (there are: {names})",
            mend="Start it; or, if it has another name, set services.database or services.cache.",
            cause=f"service {service}",
        )


def _mode(one: Container) -> str:
    return str(one.settings.plain.get("NetworkMode") or "")


def _ports(one: Container) -> Iterator[str]:
    """The ports that it has, published or not."""
    yield from one.published
    yield from one.settings.plain.get("PortBindings") or {}


def _bindings(one: Container) -> Iterator[Binding]:
    """What is in force, and of what isn't what it was made with."""
    for port, addresses in one.published.items():
        for address, on in addresses:
            yield Binding(one.service, one.name, port, address or "0.0.0.0", on, now=True)  # noqa: S104  seen, not bound
    made: Mapping[str, Sequence[Mapping[str, Any]] | None] = one.settings.plain.get("PortBindings") or {}
    for port, bindings in made.items():
        if not one.published.get(port):
            for each in bindings or ():
                # Without an address it is all of them, unless the engine was told otherwise.
                address = each.get("HostIp") or "0.0.0.0"  # noqa: S104  seen, not bound
                yield Binding(one.service, one.name, port, address, _number(each.get("HostPort")), now=False)
    if one.settings.plain.get("PublishAllPorts") and not any(one.published.values()):
        yield Binding(one.service, one.name, "every port", "0.0.0.0", 0, now=False)  # noqa: S104  likewise


def _number(text: object) -> int:
    """The port of the host as it was asked for; 0 for any, and for one of a range."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
