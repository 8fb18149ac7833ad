"""PgBouncer before a PostgreSQL of the proofs, in a container that is thrown away."""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.base_image import BASE, ensure_base

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker.models.containers import Container

MODES = ("session", "transaction", "statement")
"""How PgBouncer gives out its sessions; a database of each mode's name leads to the same one."""
HOW = {"refusing": 6432, "dropping": 6433}
"""One that refuses the options of a session, as it comes, and one that was told to drop them; their ports."""
SESSIONS = 3
"""So many has a role in each of these databases."""
_IMAGE = """
ARG BASE
FROM ${BASE}
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends pgbouncer \\
 && apt-get clean && rm -rf /var/lib/apt/lists/*
USER postgres
"""
_SETTINGS = """
[databases]
{databases}
[pgbouncer]
listen_addr = *
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /tmp/users
default_pool_size = {sessions}
{more}
"""
_START = """
printenv USERS > /tmp/users
for one in refusing dropping; do printenv $one > /tmp/$one; pgbouncer -q /tmp/$one & done
wait
"""


@contextmanager
def before(server: Container, name: str, passwords: Mapping[str, str]) -> Iterator[Mapping[str, int]]:
    """Start it in the network of a server's container, wait until it answers, and throw it away in the end.

    Args:
        server: The container of a PostgreSQL.
        name: The database there.
        passwords: Of the roles that it lets in, and that it logs in as.

    Yields:
        Its ports on loopback, by what it does with the options of a session: `refusing`, `dropping`.
    """
    import docker

    ensure_base()
    client = docker.from_env(timeout=300)
    image, _ = client.images.build(fileobj=io.BytesIO(_IMAGE.encode()), buildargs={"BASE": BASE}, rm=True)
    server.reload()
    network, at = next(iter(server.attrs["NetworkSettings"]["Networks"].items()))
    databases = "\n".join(f"{mode} = host={at['IPAddress']} port=5432 dbname={name} pool_mode={mode}" for mode in MODES)
    more = {"refusing": "", "dropping": "ignore_startup_parameters = options"}
    configurations = {
        how: _SETTINGS.format(databases=databases, port=port, sessions=SESSIONS, more=more[how])
        for how, port in HOW.items()
    }
    container = client.containers.run(
        image.id,
        ["sh", "-c", _START],
        environment={"USERS": "".join(f'"{role}" "{each}"\n' for role, each in passwords.items()), **configurations},
        network=network,
        ports={f"{port}/tcp": ("127.0.0.1", None) for port in HOW.values()},
        labels={"org.synk.lab.unitproof": "true"},
        init=True,
        detach=True,
    )
    try:
        container.reload()
        ports = {how: int(container.ports[f"{port}/tcp"][0]["HostPort"]) for how, port in HOW.items()}
        _wait(ports, *next(iter(passwords.items())))
        yield ports
    finally:
        container.remove(force=True, v=True)
        client.close()


def _wait(ports: Mapping[str, int], role: str, password: str) -> None:
    import psycopg

    deadline = time.monotonic() + 20
    for port in ports.values():
        while True:
            try:
                psycopg.connect(
                    host="127.0.0.1", port=port, user=role, password=password, dbname="session", connect_timeout=2
                ).close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
