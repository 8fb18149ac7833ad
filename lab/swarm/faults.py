"""What can be done to the Swarm: each does one thing, shows that it took, and undoes it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.faults.fault import Took
from lab.swarm.bring_up import STACK, awaited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.swarm.bring_up import SwarmLab

SEEN_SECONDS = 40.0


@dataclass(frozen=True)
class SwarmFault:
    """One thing that can be done to a Swarm.

    Attributes:
        name: Its identity, in words joined by hyphens.
        breaks: Ids of the expectations that are broken under it, all of them.
        says: What the messages of these have, by id.
        inject: Does it, yields the evidence, and undoes it whatever happens.
        blinds: Ids of what can't be told under it.
    """

    name: str
    breaks: tuple[str, ...]
    says: dict[str, str]
    inject: Callable[[SwarmLab], Iterator[Took]]
    blinds: tuple[str, ...] = ()

    @contextmanager
    def applied(self, swarm: SwarmLab) -> Iterator[Took]:
        """Have it in force for the length of a block; afterwards the Swarm is well again.

        Raises:
            LabError: It could not be done, or the Swarm did not come back from it.
        """
        try:
            with contextmanager(self.inject)(swarm) as took:
                yield took
        finally:
            swarm.steady()


def _task_lost(swarm: SwarmLab) -> Iterator[Took]:
    """Kill the process of a task that nobody starts again: its restart condition is `none`."""
    before = swarm.running()
    node = swarm.tasks("backend", "{{.Name}} {{.Node}}").splitlines()[0].split()[1]
    task = swarm.docker("ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={STACK}_backend", node=node)
    try:
        swarm.docker("kill", task.split()[0], node=node)
        yield Took(before, _until(swarm, "backend 1/2"))
    finally:
        # A service of that condition is made whole by hand alone; made anew, it has no history of it either.
        swarm.docker("service", "rm", f"{STACK}_backend")
        _redeployed(swarm)


def _node_drained(swarm: SwarmLab) -> Iterator[Took]:
    """Drain a node, as for maintenance; nobody puts it back."""
    before = swarm.docker("node", "inspect", "--format", "{{.Spec.Availability}}", "node3")
    try:
        swarm.docker("node", "update", "--availability", "drain", "node3")
        yield Took(before, swarm.docker("node", "inspect", "--format", "{{.Spec.Availability}}", "node3"))
    finally:
        swarm.docker("node", "update", "--availability", "active", "node3")


def _short_of_replicas(swarm: SwarmLab) -> Iterator[Took]:
    """One replica more than there is room for, of the backend."""
    before = swarm.running()
    try:
        swarm.docker("service", "scale", "--detach", f"{STACK}_backend=3")
        yield Took(before, _until(swarm, "backend 2/3"))
    finally:
        swarm.docker("service", "scale", "--detach", f"{STACK}_backend=2")


def _manager_unreachable(swarm: SwarmLab) -> Iterator[Took]:
    """One of three managers dies, with its engine and all that ran there."""
    before = _managers(swarm)
    node = swarm.node("node3")
    try:
        node.kill()
        after = awaited(
            lambda: _managers(swarm),
            lambda seen: "Unreachable" in seen and "Down" in seen,
            SEEN_SECONDS,
            "node3 still counts as there",
        )
        yield Took(before, after)
    finally:
        node.start()


def _managers(swarm: SwarmLab) -> str:
    return swarm.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.ManagerStatus}}")


def _until(swarm: SwarmLab, running: str) -> str:
    return str(awaited(swarm.running, lambda seen: running in seen, SEEN_SECONDS, f"it never came to {running}"))


def _redeployed(swarm: SwarmLab) -> None:
    from lab.swarm.bring_up import deploy

    deploy(swarm)


FAULTS = (
    SwarmFault(
        "task-lost",
        ("services-up[backend]", "services-stable[backend]"),
        {"services-up[backend]": "1 of 2 tasks running; backend.1 is failed", "services-stable[backend]": "(137)"},
        _task_lost,
    ),
    SwarmFault("node-drained", ("nodes-ready",), {"nodes-ready": "node3 is drained"}, _node_drained),
    SwarmFault(
        "short-of-replicas",
        ("services-up[backend]",),
        {"services-up[backend]": "2 of 3 tasks running; backend.3 is pending"},
        _short_of_replicas,
    ),
    SwarmFault(
        "manager-unreachable",
        ("nodes-ready", "services-up[agent]"),
        {"nodes-ready": "the manager node3 is unreachable", "services-up[agent]": "node3, which is down"},
        _manager_unreachable,
    ),
)
