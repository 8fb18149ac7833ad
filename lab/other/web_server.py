"""The host's nginx in front of the second stack: a process of its own, never the system's service."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.debian import ensure_installed
from lab.progress import LabError, run

if TYPE_CHECKING:
    from lab.other.stack import OtherStack

BINARY = "/usr/sbin/nginx"
SECONDS = 10.0


def ensure_nginx() -> None:
    """Make sure that nginx is there.

    Raises:
        LabError: As :func:`lab.debian.ensure_installed`.
    """
    ensure_installed(lambda: [] if _there() else ["nginx"])


def start(stack: OtherStack) -> None:
    """Start it, or start it anew where it runs, and wait until it takes connections.

    Raises:
        LabError: It refuses its configuration, or doesn't start.
    """
    stop(stack)
    for directory in (stack.nginx_run, stack.nginx_logs):
        directory.mkdir(parents=True, exist_ok=True)
    # It puts itself into the background, and its pid into the file.
    run(_command(stack), timeout=SECONDS)
    deadline = time.monotonic() + SECONDS
    while pid(stack) is None:
        if time.monotonic() > deadline:
            raise LabError(f"nginx of {stack.name} did not start; see {stack.error_log}")
        time.sleep(0.02)


def stop(stack: OtherStack) -> bool:
    """End it, by its own id, and wait until it is gone.

    Returns:
        Whether it ran.

    Raises:
        LabError: It goes on.
    """
    number = pid(stack)
    if number is None:
        return False
    os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + SECONDS
    while pid(stack) == number:
        if time.monotonic() > deadline:
            raise LabError(f"nginx of {stack.name} (process {number}) does not end")
        time.sleep(0.02)
    return True


def pid(stack: OtherStack) -> int | None:
    """The id of its first process; None when it doesn't run.

    The file alone says nothing: what was killed left it behind, and the number may be another program's by now.
    """
    try:
        number = int((stack.nginx_run / "nginx.pid").read_text(encoding="ascii"))
        said = Path(f"/proc/{number}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return number if str(stack.nginx_file).encode() in said else None


def _there() -> bool:
    # Its configuration is a package of its own, which a removal leaves without the rest.
    return Path(BINARY).exists() and Path("/etc/nginx/mime.types").exists()


def _command(stack: OtherStack) -> list[str]:
    # The error log is told as well: until the configuration is read, it would be the system's.
    return [BINARY, "-c", str(stack.nginx_file), "-p", str(stack.nginx_run), "-e", str(stack.error_log)]
