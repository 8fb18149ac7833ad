"""What the proofs of the restore drill have in common: a live database, its dumps, and what a drill leaves behind."""

from __future__ import annotations

import gzip
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from observe.engine import Engine, _described
from observe.host import Host
from observe.restore.drill import Allowed, Means, drill
from observe.restore.scratch import LABEL, Scratch, cluster
from proofs.containers import postgres
from target.kinds import Size
from target.model import Restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

    from observe.database import Database
    from observe.engine import Container
    from observe.restore.drill import Receipt
    from proofs.containers.postgres import Postgres

TARGET = "drilled"
ROWS_OF_SALE = b"--\n-- Data for Name: sale; "
ALLOWED = Allowed(0.1, 10, {"activity": "public.activity", "activity_at": "at"})
TABLES = """
CREATE TABLE activity (id bigserial PRIMARY KEY, at timestamptz NOT NULL, who text NOT NULL);
CREATE TABLE item (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE, price numeric NOT NULL);
CREATE TABLE sale (id serial PRIMARY KEY, item_id int NOT NULL REFERENCES item, paid boolean NOT NULL);
CREATE INDEX sale_item ON sale (item_id);
INSERT INTO activity (at, who) SELECT now() - n * interval '1 minute', 'user ' || n FROM generate_series(1, 500) n;
INSERT INTO item (name, price) SELECT 'item ' || n, n * 1.5 FROM generate_series(1, 300) n;
INSERT INTO sale (item_id, paid) SELECT 1 + n % 300, n % 2 = 0 FROM generate_series(1, 2000) n;
ALTER TABLE item OWNER TO app;
GRANT SELECT ON sale TO app;
"""


class Stock:
    """A live database with a few tables, and its dump.

    Attributes:
        server: The server.
        text: What pg_dump says of it.
        source: Its container, as the suite sees it.
    """

    def __init__(self, server: Postgres) -> None:
        self.server = server
        with server.connect() as session:
            session.execute(TABLES.encode())
        done = server.container.exec_run(["pg_dump", "-U", "chief", "stock"], stderr=False)
        assert done.exit_code == 0
        self.text: bytes = done.output
        self.source: Container = _described(server.container.client.api.inspect_container(server.container.id))

    @cached_property
    def live(self) -> Database:
        return self.server.database(seconds=10)

    def means(self, **given: Any) -> Means:  # noqa: ANN401
        usual: dict[str, Any] = {
            "engine": Engine("", 10),
            "source": self.source,
            "live": self.live,
            "host": Host("local://", 10),
            "limits": Restore(memory=Size(512 * 1024**2), disk_left=Size(64 * 1024**2)),
            "target": TARGET,
            "token": "proof",
            "seconds": 120.0,
            "counting": 30.0,
        }
        return Means(**usual | given)

    def drill(self, path: Path, **given: Any) -> Receipt:  # noqa: ANN401
        return drill(self.means(**given), path, datetime.now(UTC), ALLOWED)

    def scratch(self, run: str = "proof", seconds: float = 120, **given: Any) -> Scratch:  # noqa: ANN401
        means = self.means(**given)
        return Scratch(
            means.engine,
            means.source,
            cluster(means.live),
            means.limits,
            target=means.target,
            token=run,
            seconds=seconds,
        )

    def edited(self, old: bytes, new: bytes) -> bytes:
        """The dump with something in it said otherwise, once."""
        assert old in self.text
        return self.text.replace(old, new, 1)


def packed(path: Path, text: bytes) -> Path:
    """A dump as a backup."""
    path.write_bytes(gzip.compress(text, 1))
    return path


@contextmanager
def stock() -> Iterator[Stock]:
    """Such a database, thrown away in the end."""
    with postgres.running() as server:
        there = Stock(server)
        yield there
        there.live.close()


def containers(client: docker.DockerClient, token: str) -> list[str]:
    """The scratch containers of a run, in whatever state."""
    return [one["Id"] for one in client.api.containers(all=True, filters={"label": f"{LABEL}={token}"})]


def volumes(client: docker.DockerClient, container: str) -> list[str]:
    """The volumes of a container that are there."""
    mounts = client.api.inspect_container(container)["Mounts"]
    return [one["Name"] for one in mounts if one["Type"] == "volume"]


def remains(client: docker.DockerClient, token: str, names: list[str], seconds: float = 30) -> list[str]:
    """What is still there of a run's containers and of these volumes, when they have had time to go."""
    deadline = time.monotonic() + seconds
    while True:
        there = {one["Name"] for one in client.api.volumes()["Volumes"] or []}
        left = containers(client, token) + [name for name in names if name in there]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
