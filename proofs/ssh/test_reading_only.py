"""The engine's socket through the document's proxy: what only reads goes through, and nothing else does."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from lab import ssh_door
from proofs.harness import OWN, run_suite, slugs
from proofs.ssh.first_day_table import needed_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.ssh_door import Door
    from lab.stack import Lab

LOOKED_AT = "(daily or weekly or monthly or (security and not slow)) and not expectation(slug='admin-passwords')"


@pytest.fixture(scope="module")
def door(lab: Lab) -> Iterator[Door]:
    """A door for an account that is not in the engine's group and has the proxy's socket instead."""
    rights = ["proxy", *(right for right in ssh_door.RIGHTS if right != "engine")]
    with ssh_door.opened(lab, rights=rights) as door:
        yield door


class Engine(HTTPConnection):
    """A connection to the engine through the proxy."""

    def __init__(self, door: Door) -> None:
        super().__init__("engine", timeout=10)
        self._path = str(door.directory / "engine-read-only" / "docker.sock")

    def connect(self) -> None:
        """Connect to the proxy's socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


def status(door: Door, request: str) -> int:
    """What a request is answered; its path goes out as it is written."""
    method, path = request.split(" ")
    connection = Engine(door)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_what_only_reads_is_the_same(door: Door) -> None:
    run = run_suite(door.target(), marker=LOOKED_AT, history=OWN)
    wanted = needed_by("engine alone") & slugs(set(run.findings) - run.having("set aside"))
    assert slugs(run.blind) == wanted, run.explain()
    assert run.broken == set(), run.explain()
    assert all("the proxy lets only reading through" in run.findings[one].message for one in run.blind)


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /v1.41/containers/create",
        "POST /v1.41/containers/{db}/exec",
        "POST /v1.41/containers/{db}/restart",
        "DELETE /v1.41/containers/{db}",
        "GET /v1.41/containers/{db}/archive?path=/etc/passwd",
        "GET /v1.41/containers/{db}/export",
        "GET /v1.41/images/{db}/get",
        "GET /v1.41/containers/{db}/json/../archive?path=/etc/passwd",
        "GET /v1.41/images/x/../../containers/{db}/archive?path=/etc/passwd&x=/json",
        "GET /v1.41/containers/{db}%2farchive/json?path=/etc/passwd",
        "GET /v1.41/containers/{db}/attach/ws",
        "POST /v1.41/secrets/create",
        "GET /v1.41/swarm/unlockkey",
        "GET /v1.41/swarm",
        "GET /session",
    ],
)
def test_what_does_more_is_refused(request_line: str, lab: Lab, door: Door) -> None:
    request = request_line.format(db=lab.container("db").id)
    assert status(door, request) == 403


def test_what_reads_is_handed_on(lab: Lab, door: Door) -> None:
    database = lab.container("db").id
    for path in (
        "/_ping",
        "/version",
        "/v1.41/info",
        "/v1.41/containers/json?all=1",
        f"/v1.41/containers/{database}/json",
    ):
        assert status(door, f"GET {path}") == 200, path
