"""Where the engine is reached: of a host over SSH through its connection, and by itself where it alone is far away."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observe.ssh import Ssh

SOCKET = "/var/run/docker.sock"


def through(ssh: Ssh, url: str) -> str:
    """The address here of the engine that listens over there, through a host's connection.

    Args:
        ssh: The connection.
        url: Where it listens over there, `unix://…` or `tcp://…`; empty for the engine's usual socket.

    Raises:
        CannotTell: If the host can't be reached, the engine may not be used, or its address is of another kind.
    """
    parts = urlsplit(url or f"unix://{SOCKET}")
    if parts.scheme in {"unix", "http+unix"} and parts.path:
        return f"unix://{ssh.forward_socket(parts.path)}"
    if parts.scheme == "tcp" and parts.hostname:
        return f"unix://{ssh.forward_address(parts.hostname, parts.port or 2375)}"
    raise CannotTell(
        f"engine.url is {url}, which can't be reached through {ssh.url}",
        mend="Give the engine's address as it is on that host: unix:///var/run/docker.sock, or tcp://127.0.0.1:2375.",
        cause="engine",
    )


def over_ssh(url: str, environment: Mapping[str, str] | None = None) -> str:
    """The `ssh://…` at which the engine is to be reached by the settings, `DOCKER_HOST` or Docker's context.

    The SDK's own way there has no time limit and asks for packages that nobody has; ours has both.

    Args:
        url: The settings' address.
        environment: Variables; None for those of this process.

    Returns:
        That address; empty if the engine is reached in another way.

    Raises:
        CannotTell: If Docker's context can't be loaded.
    """
    environment = os.environ if environment is None else environment
    found = url or environment.get("DOCKER_HOST", "") or _of_context(environment)
    return found if found.startswith("ssh://") else ""


def _of_context(environment: Mapping[str, str]) -> str:
    """The address of Docker's current context; empty where that is the machine's own engine, or can't be told."""
    directory = Path(environment.get("DOCKER_CONFIG") or Path(environment.get("HOME", "/"), ".docker"))
    try:
        configured = json.loads((directory / "config.json").read_text(encoding="utf-8")).get("currentContext", "")
    except (OSError, ValueError, AttributeError):
        configured = ""
    # Without either the SDK needn't be asked, nor imported before it is needed.
    name = environment.get("DOCKER_CONTEXT") or configured
    if name in {"", "default"}:
        return ""
    from docker.context import ContextAPI

    try:
        context = ContextAPI.get_context(name)
    except Exception:  # noqa: BLE001  whatever stands in its file
        context = None
    if context is None:
        # The SDK would take this machine's own engine, and somebody would read of another system than the one meant.
        raise CannotTell(
            f"Docker's context {name!r} can't be loaded",
            mend="See `docker context ls`; name one that is there in DOCKER_CONTEXT, or set engine.url.",
            cause="engine",
        )
    return str(context.Host or "")
