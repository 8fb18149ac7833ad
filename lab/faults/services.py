"""Faults of containers: not there, not running, not healthy, not stable.

Most are done to the service `backup`, which no other service needs: they break one expectation.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.base_image import BASE
from lab.engine import client
from lab.faults.fault import Fault, Took, eventually, recovered
from lab.faults.logs import container_logs_restored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.models.containers import Container

    from lab.stack import Lab

SERVICE = "backup"
# Long enough for two health checks five seconds apart to fail.
UNHEALTHY_SECONDS = 25.0
QUIET_SECONDS = 12.0
RESOLVER_SECONDS = 2.5
# A container that has run for ten seconds counts as started for good; before, it may be in a loop.
SETTLED_SECONDS = 10.5

CRASH_AT_START = """services:
  backup:
    entrypoint: ["sh", "-c", "echo 'nightly.sh: cannot start' >&2; exit 3"]
"""
# Takes all the memory it may have the first time it is started, and works from then on.
HOG_ONCE = """services:
  backup:
    mem_limit: 32m
    entrypoint:
      - sh
      - -c
      - "[ -e /tmp/hogged ] || { touch /tmp/hogged; exec tail /dev/zero; }; exec nightly.sh"
"""


def stopped(lab: Lab) -> Iterator[Took]:
    """Stop it, as `docker stop` does."""
    container = lab.container(SERVICE)
    before = _state(container)
    try:
        container.stop(timeout=2)
        yield Took(before, _state(container))
    finally:
        container.start()


def killed(lab: Lab) -> Iterator[Took]:
    """Kill it through the engine, which then takes it as wanted and does not bring it back."""
    container = lab.container(SERVICE)
    before = _state(container)
    try:
        container.kill()
        yield Took(before, eventually(lambda: _state(container), lambda seen: "exited" in seen))
    finally:
        container.start()


def removed(lab: Lab) -> Iterator[Took]:
    """Remove it."""
    before = f"{len(lab.containers(SERVICE))} of 1 container"
    try:
        lab.container(SERVICE).remove(force=True)
        yield Took(before, f"{len(lab.containers(SERVICE))} of 1 container")
    finally:
        _as_written(lab, SERVICE)


def paused(lab: Lab) -> Iterator[Took]:
    """Pause it."""
    container = lab.container(SERVICE)
    before = _state(container)
    try:
        container.pause()
        yield Took(before, _state(container))
    finally:
        container.unpause()


def restart_loop(lab: Lab) -> Iterator[Took]:
    """Start it with a command that ends at once, so that its policy restarts it over and over."""
    before = _state(lab.container(SERVICE))
    try:
        _with_override(lab, CRASH_AT_START)
        # By the fifth time the engine waits seconds between two attempts.
        container = lab.containers(SERVICE)[0]
        yield Took(before, eventually(lambda: _state(container), _looping, 15.0))
    finally:
        _as_written(lab, SERVICE, again=True)


def unhealthy(lab: Lab) -> Iterator[Took]:
    """Cut one of the two backends off the network: it runs, but its health check fails."""
    container = lab.containers("backend")[-1]
    before = _state(container)
    network = client().networks.get(f"{lab.name}_default")
    said = _complaints(container)
    with container_logs_restored(lab, "backend"):
        try:
            network.disconnect(container)
            after = eventually(lambda: _state(container), lambda seen: "unhealthy" in seen, UNHEALTHY_SECONDS)
            # It gives up on the database some seconds after the health check has given up on it, and says so.
            lines = eventually(lambda: _complaints(container), lambda seen: seen > said, UNHEALTHY_SECONDS)
            yield Took(before, f"{after}, it said {lines - said} times that it is of no service")
        finally:
            network.connect(container, aliases=["backend", container.short_id])
            eventually(lambda: _state(container), lambda seen: seen == before, UNHEALTHY_SECONDS)
            _until_quiet(container)


def _until_quiet(container: Container) -> None:
    """Wait until every health check that was begun without a network has given up, which is logged when it does.

    Whoever asks for the database's address first waits for a name that nobody tells, longer than the check itself.
    """
    said, since = _complaints(container), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        time.sleep(0.5)
        if (now := _complaints(container)) != said:
            said, since = now, time.monotonic()


@contextlib.contextmanager
def halted(lab: Lab, *services: str, silent: bool = False) -> Iterator[None]:
    """Have all containers of some services stopped for the length of a block, and the lab well again after it.

    Args:
        lab: Which.
        services: Which of it.
        silent: Paused instead: nobody answers, and nobody refuses.
    """
    containers = [one for service in services for one in lab.containers(service)]
    try:
        for one in containers:
            one.pause() if silent else one.stop(timeout=1)
        yield
    finally:
        for one in containers:
            one.unpause() if silent else one.start()
        recovered(lab)


def _complaints(container: Container) -> int:
    """How often the backend has logged that a health check found it of no service."""
    log: bytes = container.logs()
    return log.count(b"Service Unavailable: /health/")


def replica_gone(lab: Lab) -> Iterator[Took]:
    """Remove one of the two backends; the site goes on answering through the other."""
    before = f"{len(lab.containers('backend'))} of 2 containers"
    try:
        lab.containers("backend")[-1].remove(force=True)
        # Until the proxy's resolver has forgotten it.
        time.sleep(RESOLVER_SECONDS)
        yield Took(before, f"{len(lab.containers('backend'))} of 2 containers")
    finally:
        _as_written(lab, "backend")


def crashed_and_back(lab: Lab) -> Iterator[Took]:
    """Kill its main process behind the engine's back; its policy brings it back."""
    container = lab.container(SERVICE)
    before = _state(container)
    try:
        _kill_main_process(container)
        yield Took(before, _back_for_good(container))
    finally:
        _as_written(lab, SERVICE, again=True)


def out_of_memory(lab: Lab) -> Iterator[Took]:
    """Let its main process run into a memory limit; its policy brings it back."""
    before = _state(lab.container(SERVICE))
    try:
        _with_override(lab, HOG_ONCE)
        container = lab.containers(SERVICE)[0]
        yield Took(before, _back_for_good(container))
    finally:
        _as_written(lab, SERVICE, again=True)


def child_out_of_memory(lab: Lab) -> Iterator[Took]:
    """Let a process beside the main one run into the memory limit; the container goes on.

    The engine says so in an event and, in some versions, nowhere else.
    """
    container = lab.container("redis")
    since = time.time()
    try:
        status = container.exec_run(["tail", "/dev/zero"]).exit_code
        events = client().events(
            since=since,
            until=time.time() + 0.5,
            filters={"container": container.id, "event": "oom"},
            decode=True,
        )
        yield Took("no oom event", f"{len(list(events))} oom event, the process ended with status {status}")
    finally:
        _as_written(lab, "redis", again=True)


def _state(container: Container) -> str:
    """Status, health, restarts and whether the memory limit was hit, in one line."""
    container.reload()
    state = container.attrs["State"]
    health = state.get("Health", {}).get("Status")
    words = [state["Status"], *([health] if health else [])]
    words.append(f"{container.attrs['RestartCount']} restarts")
    return ", ".join([*words, *(["out of memory"] if state["OOMKilled"] else [])])


def _looping(state: str) -> bool:
    return state.startswith("restarting") and int(state.split(", ")[1].split(maxsplit=1)[0]) >= 5


def _back(state: str) -> bool:
    return state.startswith("running") and "1 restarts" in state


def _back_for_good(container: Container) -> str:
    if _back(eventually(lambda: _state(container), _back)):
        time.sleep(SETTLED_SECONDS)
    return _state(container)


def _kill_main_process(container: Container) -> None:
    """SIGKILL from outside: a container's first process cannot be killed from within."""
    container.reload()
    pid = int(container.attrs["State"]["Pid"])
    with contextlib.suppress(OSError):
        if (container.id or "?") in Path(f"/proc/{pid}/cgroup").read_text():
            os.kill(pid, signal.SIGKILL)
            return
    # The engine runs elsewhere, or we are not root: a container among the engine's own processes can.
    client().containers.run(BASE, ["kill", "-9", str(pid)], pid_mode="host", privileged=True, remove=True)


def _with_override(lab: Lab, override: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(override)
        file.flush()
        lab.compose("--file", str(lab.compose_file), "--file", file.name, "up", "--detach", "--no-deps", SERVICE)


def _as_written(lab: Lab, service: str, *, again: bool = False) -> None:
    """Bring a service back as the Compose file has it; `again` makes its containers anew."""
    fresh = ("--force-recreate",) if again else ()
    lab.compose("up", "--detach", "--no-deps", *fresh, service)


UP = f"services-up[{SERVICE}]"
STABLE = f"services-stable[{SERVICE}]"
AS_WRITTEN = f"deployed-as-written[{SERVICE}]"
LOGS = f"logs-readable[{SERVICE}]"
CONFINED = f"containers-confined[{SERVICE}]"

FAULTS = (
    Fault("service-stopped", (UP,), "A container was stopped.", stopped),
    Fault("service-killed", (UP,), "A container was killed and its policy leaves it dead.", killed),
    Fault("service-removed", (UP,), "A container was removed.", removed, (STABLE, AS_WRITTEN, LOGS, CONFINED)),
    Fault("service-paused", (UP,), "A container is paused.", paused),
    Fault("service-restart-loop", (UP, STABLE, AS_WRITTEN), "A container ends at once, again and again.", restart_loop),
    Fault(
        "service-unhealthy",
        ("services-up[backend]", "log-anomalies"),
        "A container fails its health check, and logs what it has never logged.",
        unhealthy,
    ),
    Fault("replica-gone", ("services-up[backend]",), "One of two backends was removed.", replica_gone),
    Fault("service-crashed", (STABLE,), "A main process died and was brought back.", crashed_and_back),
    Fault("service-out-of-memory", (STABLE, AS_WRITTEN), "A main process ran into its memory limit.", out_of_memory),
    Fault(
        "child-out-of-memory",
        ("services-stable[redis]",),
        "A process beside the main one ran into the memory limit.",
        child_out_of_memory,
    ),
)
