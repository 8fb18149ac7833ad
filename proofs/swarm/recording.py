"""Records what a manager answers, for proofs of how it is read: `python -m proofs.swarm.recording SWARM`.

It brings a Swarm of the lab's up, does to it what is to be recorded, and throws it away.
"""

from __future__ import annotations

import json
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from lab.swarm import SwarmLab, down, up
from lab.swarm.bring_up import STACK, awaited, deploy

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = Path(__file__).parent / "answers"
LISTS = ("nodes", "services", "tasks", "secrets", "configs")
VERSION = "v1.41"
LEFT_OUT = frozenset({"TLSInfo", "Plugins", "NetworksAttachments", "Version", "Cluster", "RemoteManagers", "Resources"})
"""What fills pages and is read by nobody."""


def recorded(swarm: SwarmLab) -> dict[str, Any]:
    """What the manager says now: status and body of each list."""
    answers = {}
    for one in LISTS:
        of_stack = (
            ""
            if one == "nodes"
            else f"?filters={quote(json.dumps({'label': [f'com.docker.stack.namespace={STACK}']}))}"
        )
        answers[one] = _asked(swarm, f"/{VERSION}/{one}{of_stack}")
    return answers


def _asked(swarm: SwarmLab, path: str) -> dict[str, Any]:
    connection = HTTPConnection(urlsplit(swarm.address()).netloc, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = _without(json.loads(answer.read()))
    connection.close()
    return {"status": answer.status, "body": body}


def _without(value: Any) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, dict):
        return {key: _without(one) for key, one in value.items() if key not in LEFT_OUT}
    return [_without(one) for one in value] if isinstance(value, list) else value


def situations(swarm: SwarmLab) -> Iterator[str]:
    """Bring one after the other about; each is recorded when it is yielded."""
    yield "healthy"
    swarm.docker("service", "update", "--detach", "--constraint-add", "node.labels.disk == fast", f"{STACK}_db")
    _until(swarm, "db 0/1")
    yield "constraint-unmet"
    swarm.docker("service", "update", "--detach", "--constraint-rm", "node.labels.disk == fast", f"{STACK}_db")
    swarm.steady()
    swarm.docker("service", "update", "--detach", "--no-resolve-image", "--image", "nobody/has:this", f"{STACK}_db")
    awaited(lambda: swarm.tasks("db", "{{.Error}}"), lambda said: said.count("No such image") >= 2, 60, "no error")
    yield "image-missing"
    swarm.docker(
        "service", "update", "--detach", "--no-resolve-image", "--image", "debian:bookworm-slim", f"{STACK}_db"
    )
    swarm.steady()
    swarm.docker("node", "update", "--availability", "drain", "node2")
    swarm.docker("node", "update", "--availability", "pause", "node3")
    _until(swarm, "backend 1/2")
    yield "node-drained"
    swarm.docker("node", "update", "--availability", "active", "node2")
    swarm.docker("node", "update", "--availability", "active", "node3")
    # A task of a service that is never started again doesn't come back by itself.
    swarm.docker("service", "rm", f"{STACK}_backend")
    deploy(swarm)
    swarm.steady()
    node = "node2" if "node2" in swarm.tasks("backend", "{{.Name}} {{.Node}}").splitlines()[0] else "node1"
    label = f"label=com.docker.swarm.service.name={STACK}_backend"
    swarm.docker("kill", swarm.docker("ps", "--quiet", "--filter", label, node=node).split()[0], node=node)
    _until(swarm, "backend 1/2")
    yield "task-lost"
    swarm.node("node3").kill()
    managers = "{{.Hostname}} {{.Status}} {{.ManagerStatus}}"
    awaited(
        lambda: swarm.docker("node", "ls", "--format", managers), lambda s: "Unreachable" in s and "Down" in s, 60, "up"
    )
    yield "manager-unreachable"
    swarm.node("node2").kill()
    awaited(lambda: _asked(swarm, f"/{VERSION}/nodes")["status"], lambda status: status >= 500, 60, "there is a leader")
    yield "quorum-lost"


def _until(swarm: SwarmLab, running: str) -> None:
    awaited(swarm.running, lambda seen: running in seen, 60, f"it never came to {running}")


def main(name: str) -> None:
    """Record everything."""
    swarm = SwarmLab(name)
    down(swarm)
    up(swarm)
    try:
        for situation in situations(swarm):
            text = json.dumps(recorded(swarm), indent=1, sort_keys=True)
            (ANSWERS / f"{situation}.json").write_text(text + "\n", encoding="utf-8")
    finally:
        down(swarm)


if __name__ == "__main__":
    main(sys.argv[1])
