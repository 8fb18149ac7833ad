"""Ending a container's main process so that the engine takes it for a crash.

`docker kill` and `docker stop` won't do: the engine takes either for the wish
of its operator, and no policy brings the container back. From inside it can't
be done at all: the kernel keeps the signals of a container's own processes from
its first. So a container of the same image is started for a moment that sees the
processes of the engine's machine and has no right but to send them signals.
That works through the engine alone, wherever it runs.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from observe.engine import ONE_OFF, PROJECT, SERVICE
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import docker

    from observe.engine import Container, Engine

LABEL = "operations-checks.drill"
"""Label of the container that kills: the run that it belongs to. The engine removes it when it has ended."""
CALL = 60.0
"""Seconds for making and starting it: that takes longer than listing some."""
DEAD_SECONDS = 10.0
_SCRIPT = r"""
while [ "$#" -gt 1 ]; do
    # The number may have gone to somebody else since it was asked for.
    while read -r line; do
        case "$line" in *"$2"*) kill -s KILL "$1"; break ;; esac
    done <"/proc/$1/cgroup"
    shift 2
done
"""


def kill_main_processes(
    engine: Engine,
    containers: Sequence[Container],
    token: str,
    act: Callable[[str, Callable[[docker.DockerClient], float], float], float],
) -> float:
    """Kill the main process of each container, all at once.

    Args:
        engine: Where they run.
        containers: Which, at least one.
        token: The run's.
        act: Has the engine do something.

    Returns:
        When that was, on this machine's monotonic clock, in seconds.

    Raises:
        CannotTell: If the engine refuses, or a process lives on.
    """
    processes = {one.id: _process(engine, one) for one in containers}
    words = [word for container, process in processes.items() for word in (str(process), container)]

    def question(client: docker.DockerClient) -> float:
        api = client.api
        killer = api.create_container(
            containers[0].image,
            entrypoint=["/bin/sh", "-c", _SCRIPT, "sh"],
            command=words,
            user="0:0",
            # An image that Compose built may have its labels, and would make this one of the project's own.
            labels={LABEL: token, PROJECT: "", SERVICE: "", ONE_OFF: "True"},
            healthcheck={"test": ["NONE"]},
            host_config=api.create_host_config(
                pid_mode="host",
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=["KILL"],
                security_opt=["no-new-privileges"],
                read_only=True,
                auto_remove=True,
            ),
        )["Id"]
        began = time.monotonic()
        api.start(killer)
        return began

    began = act("kill a main process", question, CALL)
    alive = list(containers)
    until = time.monotonic() + DEAD_SECONDS
    while alive and time.monotonic() < until:
        time.sleep(0.02)
        alive = [one for one in alive if _process(engine, one) == processes[one.id]]
    if alive:
        names = ", ".join(one.name for one in alive)
        raise CannotTell(
            f"the main process of {names} lives on after it was killed from a container that shares the "
            "engine's processes, so nothing is known of how the stack recovers",
            mend="See whether the engine allows `--pid=host` (it doesn't with userns-remap), and whether the "
            "image has /bin/sh.",
        )
    return began


def remove_killer(engine: Engine, token: str) -> None:
    """Make sure that what kills doesn't do so any more, after it was perhaps interrupted before it had.

    Raises:
        CannotTell: If the engine can't be asked.
    """

    def question(client: docker.DockerClient) -> None:
        from docker.errors import APIError

        for one in client.api.containers(all=True, filters={"label": f"{LABEL}={token}"}):
            with suppress(APIError):  # it has ended, and the engine is removing it
                client.api.remove_container(one["Id"], force=True)

    engine.ask("remove the container that kills", question, seconds=CALL)


def _process(engine: Engine, one: Container) -> int:
    """The container's main process, as the engine's machine numbers it; 0 when it has none."""
    return engine.ask("inspect a container", lambda client: int(client.api.inspect_container(one.id)["State"]["Pid"]))
