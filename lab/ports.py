"""Ports of a lab: derived from its name, moved on when something else has them."""

from __future__ import annotations

import hashlib
import socket

from lab.progress import LabError

FIRST = 20_000
LAST = 29_999
NAMES = ("https", "http", "database", "packages")


def choose(name: str, names: tuple[str, ...] = NAMES) -> dict[str, int]:
    """Neighbouring free ports on 127.0.0.1, by purpose, the same for the same name.

    Args:
        name: of the lab.
        names: the purposes, as many as there are in `NAMES`.

    Raises:
        LabError: none are free between 20000 and 29999.
    """
    groups = (LAST - FIRST + 1) // len(NAMES)
    start = preferred_group(name, groups)
    for step in range(groups):
        first = FIRST + (start + step) % groups * len(NAMES)
        ports = range(first, first + len(NAMES))
        if all(_free(port) for port in ports):
            return dict(zip(names, ports, strict=True))
    raise LabError(f"no {len(NAMES)} neighbouring ports are free on 127.0.0.1 between {FIRST} and {LAST}")


def complete(name: str, kept: dict[str, int]) -> dict[str, int]:
    """The ports of a lab that was made before one of the purposes was: the others stay as they are."""
    if set(kept) >= set(NAMES):
        return kept
    return {**choose(name), **kept}


def preferred_group(name: str, groups: int) -> int:
    """Which of `groups` groups of ports a name asks for first; the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % groups


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
