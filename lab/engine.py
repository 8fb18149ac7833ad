"""A Docker engine and Compose: found, or installed from the distribution's packages and started."""

from __future__ import annotations

import functools
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.debian import ensure_installed
from lab.progress import LabError, run

if TYPE_CHECKING:
    import docker

DOCKERD_LOG = Path("/var/log/dockerd-lab.log")
START_SECONDS = 60.0
PID_FILES = {
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}
HOW_TO = (
    "No Docker engine answers, and one can be installed from here only as root on Debian or Ubuntu. "
    "Install Docker Engine with Compose (https://docs.docker.com/engine/install/), start it, make sure "
    "that `docker ps` works for this user, and try again."
)


def ensure_engine() -> str:
    """Make sure that an engine answers and that Compose is there.

    Returns:
        What was found or done, in a few words.

    Raises:
        SystemExit: there is none and this machine is not one where it can be installed.
        LabError: installing or starting failed, with what the tools said.
    """
    answers, composes = engine_answers(), compose_command() is not None
    if answers and composes:
        return "already there"
    if not _installable():
        raise SystemExit(HOW_TO)
    installed = ensure_installed(_missing_packages)
    if not engine_answers():
        _start()
    if compose_command() is None:
        raise LabError("Compose is still missing after its package was installed")
    return "installed and started" if installed else "started"


def _missing_packages() -> list[str]:
    compose_command.cache_clear()
    engine = [] if shutil.which("dockerd") or engine_answers() else ["docker.io"]
    return engine if compose_command() is not None else [*engine, "docker-compose"]


def engine_answers() -> bool:
    """Whether an engine answers where the client would look for it."""
    import docker
    import requests

    try:
        client = docker.from_env(timeout=10)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, requests.RequestException):
        return False
    finally:
        client.close()


@functools.cache
def client() -> docker.DockerClient:
    """The one engine client of this process.

    Raises:
        LabError: no engine answers.
    """
    import docker

    try:
        return docker.from_env(timeout=120)
    except docker.errors.DockerException as refused:
        raise LabError(f"the Docker engine does not answer: {refused}") from refused


@functools.cache
def compose_command() -> tuple[str, ...] | None:
    """`docker compose` (v2), `docker-compose` (v1), or None when neither works.

    The plugin is asked for its version: a `docker` client without it takes `compose` for a
    mistyped word.
    """
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and run([*command, "version"], check=False).returncode == 0:
            return command
    return None


def _installable() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and Path("/etc/debian_version").exists()


def forget_stale_pid(file: Path, name: str) -> bool:
    """Remove the process id file of a daemon that was killed.

    The engine takes any process of that number for the daemon, and after a restart of the machine another program
    may well have it: it then refuses to start.

    Args:
        file: the file.
        name: the daemon's name, as the kernel shows it.

    Returns:
        Whether the file was there and stale.
    """
    try:
        number = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    try:
        running = Path(f"/proc/{number}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        running = ""
    if running == name:
        return False
    file.unlink(missing_ok=True)
    return True


def _start() -> None:
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "docker"])
    else:
        for file, name in PID_FILES.items():
            forget_stale_pid(file, name)
        # Forked away, so that it outlives this process and belongs to nobody's terminal.
        run(["setsid", "--fork", "sh", "-c", f"exec dockerd >>{DOCKERD_LOG} 2>&1 </dev/null"])
    deadline = time.monotonic() + START_SECONDS
    while not engine_answers():
        if time.monotonic() > deadline:
            raise LabError(f"the Docker engine did not answer within {START_SECONDS:.0f} s; see {DOCKERD_LOG}")
        time.sleep(0.5)
