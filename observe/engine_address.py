"""Where the engine of a host is reached that is reached over SSH itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from observe.errors import CannotTell

if TYPE_CHECKING:
    from observe.host import Host

SOCKET = "/var/run/docker.sock"


def address_there(machine: Host, url: str) -> str:
    """The address here of the engine that listens over there, through the host's own connection.

    Args:
        machine: The host, reached over SSH.
        url: Where it listens over there, `unix://…` or `tcp://…`; empty for the engine's usual socket.

    Raises:
        CannotTell: If the host can't be reached, the engine may not be used, or its address is of another kind.
    """
    assert machine.ssh is not None, "else nothing needs forwarding"
    parts = urlsplit(url or f"unix://{SOCKET}")
    if parts.scheme in {"unix", "http+unix"} and parts.path:
        return f"unix://{machine.ssh.forward_socket(parts.path)}"
    if parts.scheme == "tcp" and parts.hostname:
        return f"unix://{machine.ssh.forward_address(parts.hostname, parts.port or 2375)}"
    raise CannotTell(
        f"engine.url is {url}, which can't be reached through {machine.ssh.url}",
        mend="Give the engine's address as it is on that host: unix:///var/run/docker.sock, or tcp://127.0.0.1:2375.",
        cause="engine",
    )
