"""A connection that is lost in the middle: what was seen stays, the rest can't be told, and nothing is left behind."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.faults.fault import eventually
from proofs.harness import OWN, run_suite
from proofs.ssh.losing import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.ssh_door import Door
    from proofs.harness import SuiteRun

AFTER = "test_service_is_up[redis]"
AFTER_THE_DATABASE = "test_database_logs_slow_queries"
"""By then a session with the database is open, and a log has been read."""
PATIENCE = 15
"""Seconds after which whatever is waited for is taken for never."""


@contextmanager
def place() -> Iterator[Path]:
    """Where a run has its sockets: empty afterwards, with no process left that knows it."""
    with tempfile.TemporaryDirectory(prefix="sockets-") as name:
        yield Path(name)
        left = eventually(lambda: [*Path(name).iterdir(), *knowing(name)], lambda found: not found, PATIENCE)
        assert left == []


def knowing(name: str) -> list[str]:
    """The processes that were called with that name."""
    return [f"{pid}: {' '.join(command)}" for pid, command in commands() if any(name in word for word in command)]


def losing(door: Door, how: str, sockets: Path, after: str = AFTER, marker: str = "daily") -> SuiteRun:
    """A run that loses its connection after an item."""
    variables = {
        "LOSE": how,
        "LOSE_AFTER": after,
        "LOSE_ACCOUNT": door.account,
        "XDG_RUNTIME_DIR": str(sockets),
    }
    return run_suite(door.target(), "-p", "proofs.ssh.losing", marker=marker, environment=variables, history=OWN)


@pytest.mark.parametrize("how", ["master", "sshd"])
def test_the_rest_cannot_be_told_and_nothing_is_left(how: str, door: Door) -> None:
    before = door.sessions()
    with place() as sockets:
        run = losing(door, how, sockets)
    assert run.broken == set(), run.explain()
    assert "services-up[redis]" in run.having("holds")
    for one in ("disk-space[root]", "backup-fresh", "error-rate", "database-connections"):
        assert run.findings[one].outcome == "cannot tell", run.explain()
        assert f"the connection to {door.url} was lost" in run.findings[one].message, run.explain()
    assert {run.findings[one].cause for one in run.blind} == {"host"}, run.explain()
    assert {one for one in run.findings if one.startswith(("site-answers", "security-header"))} <= run.having("holds")
    assert eventually(lambda: door.sessions() - before, lambda left: not left, PATIENCE) == set()


@pytest.mark.parametrize("how", ["master", "sshd"])
def test_an_open_session_with_the_database_is_lost_with_it(how: str, door: Door) -> None:
    with place() as sockets:
        run = losing(door, how, sockets, AFTER_THE_DATABASE, "monthly and not slow")
    assert run.broken == set(), run.explain()
    assert {"user-activity", "slow-query-log", "exploit-probes"} <= run.having("holds")
    for one in ("missing-indexes", "vacuumed", "connection-headroom", "logs-readable[db]", "backup-archive"):
        assert run.findings[one].outcome == "cannot tell", run.explain()
    assert {run.findings[one].cause for one in run.blind} == {"host"}, run.explain()


def test_a_run_that_is_killed_leaves_nothing(door: Door) -> None:
    before = door.sessions()
    with place() as sockets:
        run = losing(door, "run", sockets)
    assert run.findings == {}
    assert run.status == -9
    assert eventually(lambda: door.sessions() - before, lambda left: not left, PATIENCE) == set()


def test_a_run_that_ends_leaves_nothing(door: Door) -> None:
    before = door.sessions()
    with place() as sockets:
        run = losing(door, "", sockets)
    assert run.status == 0, run.explain()
    assert eventually(lambda: door.sessions() - before, lambda left: not left, PATIENCE) == set()
