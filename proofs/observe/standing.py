"""Containers of a project that is there for some proofs alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab.base_image import BASE, ensure_base

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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
