"""What each client asked for, in bounded memory: how much, when, and how it was answered.

Serves the guide's quarterly "Identify anomalous patterns" and "Check for brute force attempts".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network

BUSIEST = 8
"""So many of a client's busiest hours are kept."""


@dataclass(frozen=True, slots=True)
class ClientCounts:
    """The requests of one client over a window.

    Attributes:
        requests: All of them.
        statuses: By the first digit of their status, 6 numbers; at 0 is what has none that can be.
        hours: By the hour of the day in UTC, 24 numbers.
        busiest: The hours since the epoch with the most requests, each with their number, most first; at most
            :data:`BUSIEST`.
    """

    requests: int
    statuses: tuple[int, ...]
    hours: tuple[int, ...]
    busiest: tuple[tuple[int, int], ...]


@lru_cache(maxsize=16_384)
def client_of(address: str) -> str:
    """The client that an address stands for: itself, or of IPv6 its /64, as whoever has one has all of it.

    Args:
        address: As it stands in the log; what is no address stands for itself.
    """
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if (mapped := found.ipv4_mapped) is not None:
        return str(mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


class Networks:
    """Networks of the settings, asked whether an address is in one of them.

    Args:
        networks: As `192.0.2.0/24`.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [plain_network(network) for network in networks]
        self._known = lru_cache(maxsize=4096)(self._has)

    def __contains__(self, address: str) -> bool:
        """Whether it is; what is no address is in none."""
        return self._known(address)

    def _has(self, text: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def plain_network(text: str) -> IPv4Network | IPv6Network:
    """A network; one of mapped addresses as that of IPv4 which it stands for."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ip_network((mapped, network.prefixlen - 96))
    return network
