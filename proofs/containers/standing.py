"""Containers of a project that is there for some proofs alone."""

from __future__ import annotations

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab.base_image import BASE, ensure_base
from observe.engine import Engine, Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from observe.engine import Container


@contextmanager
def standing(project: str, services: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One container of the base image for each service, with what it is created with besides; removed afterwards."""
    import docker

    client = docker.from_env(timeout=60)
    ensure_base()
    made: dict[str, Any] = {}

    def make(service: str) -> None:
        labels = {"com.docker.compose.project": project, "com.docker.compose.service": service}
        name = f"{project}-{service}"
        made[service] = client.containers.create(BASE, name=name, labels=labels, **services[service])
        made[service].start()

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, services))
        yield made
    finally:
        for one in made.values():
            one.remove(force=True, v=True)
        client.close()


@contextmanager
def with_npm(frontend: Path) -> Iterator[tuple[Engine, Container, Any]]:
    """A container that has the frontend, this host's npm, and this host's network for a registry on loopback."""
    import docker

    ensure_base()
    client = docker.from_env(timeout=60)
    name = f"npmproof{os.getpid()}"
    labels = {"com.docker.compose.project": name, "com.docker.compose.service": "frontend"}
    volumes = {"/usr": {"bind": "/usr", "mode": "ro"}, "/etc/alternatives": {"bind": "/etc/alternatives", "mode": "ro"}}
    made = client.containers.create(
        BASE, ["sleep", "300"], name=name, labels=labels, volumes=volumes, network_mode="host", user="65534"
    )
    engine = Engine("", 10)
    try:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(frontend, "my app")
        made.put_archive("/", packed.getvalue())
        made.start()
        yield engine, Project(engine, name).containers("frontend")[0], made
    finally:
        engine.close()
        made.remove(force=True)
        client.close()
