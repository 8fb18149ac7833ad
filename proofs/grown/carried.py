"""What an agent would carry from a lab's engine to Loki."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observe.container_log import LogLine, lines
from observe.engine import Engine
from proofs.observe.loki_server import ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab
    from observe.engine import Container, Project
    from proofs.observe.loki_server import LokiServer


def carry(lab: Lab, loki: LokiServer, *, but: str = "") -> int:
    """Carry all that the lab's containers have logged so far, with the labels of a usual configuration.

    Args:
        lab: Whose.
        loki: Where to.
        but: A container whose log is left out.

    Returns:
        How many lines.
    """
    engine = Engine("", 20)
    project = engine.project(lab.name)
    number = 0
    try:
        for service in project.services:
            for one in project.containers(service):
                if one.name == but:
                    continue
                labels = {"compose_project": lab.name, "compose_service": service, "container": one.name}
                number += _carry(labels, _said(project, one), loki)
    finally:
        engine.close()
    return number


def _said(project: Project, one: Container) -> list[LogLine]:
    def read(blocks: Iterator[bytes]) -> list[LogLine]:
        return list(lines(blocks, tty=one.tty))

    always = datetime.fromtimestamp(0, UTC)
    return project.read_log(one, always, datetime.now(UTC), read, seconds=20)


def _carry(labels: dict[str, str], said: list[LogLine], loki: LokiServer) -> int:
    last = 0
    streams: dict[str, list[tuple[int, str]]] = {}
    for line in said:
        if line.at is None:
            continue
        last = max(last + 1, ns(line.at))  # the engine's times are kept to the microsecond here
        streams.setdefault(line.stream, []).append((last, line.text))
    for stream, entries in streams.items():
        loki.push({**labels, "stream": stream}, entries)
    return sum(map(len, streams.values()))
