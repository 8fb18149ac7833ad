"""What each client asked for, in bounded memory: how much, when, and how it was answered.

Serves the guide's quarterly "Identify anomalous patterns" and "Check for brute force attempts".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_network

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


@lru_cache(maxsize=4096)
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
    return str(ip_network((int(found), 64), strict=False))
