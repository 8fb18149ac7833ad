"""A PostgreSQL of the proofs' own, in a container that is thrown away."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lab.base_image import BASE, ensure_base
from observe.database import Address, Database
from target.kinds import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

IMAGE = Path(__file__).resolve().parents[2] / "lab/images/db"
PASSWORDS = {"chief": "pw-of-the-chief-7391", "app": "pw-of-the-app-7392", "ops": "pw-of-the-ops-7393"}
SLOTS, RESERVED = 14, 2


class Server:
    """A server.

    Attributes:
        port: Its port on loopback.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, role: str = "chief", name: str = "stock") -> psycopg.Connection[tuple[Any, ...]]:
        """A session as somebody other than the suite."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=role,
            dbname=name,
            password=PASSWORDS[role],
            application_name=f"app of {role}",
            autocommit=True,
            connect_timeout=2,
        )

    def address(self, role: str = "ops", **changes: object) -> Address:
        """Where the suite would find it."""
        given: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "name": "stock",
            "user": role,
            "password": Secret(PASSWORDS[role]),
        }
        return Address(**given | changes)

    def database(self, role: str = "ops", seconds: float = 2, *, token: str = "", **changes: object) -> Database:
        """The suite's view of it, in a run of its own unless it is told which."""
        return Database(lambda: self.address(role, **changes), seconds, token or uuid4().hex)


class Postgres(Server):
    """The server in the container.

    Attributes:
        container: Its container, as the SDK gives it.
    """

    def __init__(self, container: Any) -> None:  # noqa: ANN401  the SDK has no types
        self.container = container
        container.reload()
        super().__init__(int(container.ports["5432/tcp"][0]["HostPort"]))


@contextmanager
def running(slots: int = SLOTS) -> Iterator[Postgres]:
    """Start one, wait until it answers, and throw it away in the end.

    Args:
        slots: So many sessions it lets in.
    """
    import docker
    import psycopg

    ensure_base()
    client = docker.from_env(timeout=300)
    # The lab's own image: built in no time where a lab was built before, and from there on for the lab.
    image, _ = client.images.build(path=str(IMAGE), buildargs={"BASE": BASE}, rm=True)
    settings = {"fsync": "off", "max_connections": slots, "superuser_reserved_connections": RESERVED}
    container = client.containers.run(
        image.id,
        ["postgres", *(f"--{name}={value}" for name, value in settings.items())],
        environment={
            "PGDATA": "/tmp/data",  # noqa: S108  of the container
            "POSTGRES_DB": "stock",
            **{f"{name}_USER": role for name, role in (("POSTGRES", "chief"), ("APP_DB", "app"), ("OPS_DB", "ops"))},
            **{
                f"{name}_PASSWORD": PASSWORDS[role]
                for name, role in (("POSTGRES", "chief"), ("APP_DB", "app"), ("OPS_DB", "ops"))
            },
        },
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108  likewise
        ports={"5432/tcp": ("127.0.0.1", None)},
        labels={"org.synk.lab.unitproof": "true"},
        detach=True,
    )
    try:
        server = Postgres(container)
        deadline = time.monotonic() + 30
        while True:
            try:
                server.connect().close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield server
    finally:
        container.remove(force=True, v=True)
        client.close()
