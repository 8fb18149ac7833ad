"""Whether logs can be read, of real containers with the log drivers that there are."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from observe.container_log import LogLine
from observe.engine import Engine, Project
from observe.errors import CannotTell
from observe.logs_readable import LAST, LastLines, ReadableLogs, readable_logs
from proofs.containers.standing import standing

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = f"logsproof{os.getpid()}"
LINES = 120
SAY = ["sh", "-c", f"seq -f 'line %g' {LINES}"]
JSON = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
STACK: dict[str, dict[str, Any]] = {
    "limited": {"command": SAY, "log_config": JSON},
    "one-file": {"command": SAY, "log_config": {"Type": "json-file", "Config": {"max-size": "10m"}}},
    "unlimited": {"command": SAY, "log_config": {"Type": "json-file", "Config": {"max-file": "3"}}},
    "local": {"command": SAY, "log_config": {"Type": "local", "Config": {}}},
    "terminal": {"command": SAY, "tty": True, "log_config": JSON},
    "silent": {"command": ["true"], "log_config": JSON},
    "mute": {"command": SAY, "log_config": {"Type": "none", "Config": {}}},
    "sent-away": {
        "command": SAY,
        "log_config": {
            "Type": "syslog",
            "Config": {"syslog-address": "udp://127.0.0.1:9", "cache-disabled": "true"},
        },
    },
    "sent-and-kept": {
        "command": SAY,
        "log_config": {"Type": "syslog", "Config": {"syslog-address": "udp://127.0.0.1:9"}},
    },
    "damaged": {"command": SAY, "log_config": JSON},
}
HOLDS = {"limited", "one-file", "local", "terminal", "silent", "sent-and-kept"}
NO_LIMIT = "has no size limit (json-file without max-size)"
BROKEN = {
    "unlimited": NO_LIMIT,
    "mute": "its log driver is none, nothing is kept",
    "sent-away": "its log driver syslog does not support reading",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, Any]]:
    with standing(NAME, STACK) as made:
        for one in made.values():
            one.wait()
        yield made


@pytest.fixture
def project() -> Iterator[Project]:
    engine = Engine("", 20)
    yield Project(engine, NAME)
    engine.close()


def look(project: Project, service: str, since: timedelta = timedelta(days=1)) -> ReadableLogs:
    now = datetime.now(UTC)
    return readable_logs(project, service, project.containers(service), now - since, now, 20)


def test_each_driver_is_one_of_these() -> None:
    assert set(STACK) == HOLDS | set(BROKEN) | {"damaged"}


@pytest.mark.parametrize("service", sorted(HOLDS))
def test_what_can_be_read_and_is_bounded_holds(project: Project, stack: dict[str, Any], service: str) -> None:
    assert stack
    seen = look(project, service)
    assert not seen.troubles
    (row,) = seen.rows()
    if service == "silent":
        assert seen.said == "read, and nothing said since it was made"
        assert seen.looked_at == "the logs of 1 container, which have no line"
        assert (row["lines read"], row["newest"]) == ("0", "nothing said yet")
        return
    assert seen.said.startswith("read, the last line of 20")
    assert seen.looked_at == f"the last {LAST} lines of 1 container"
    assert (row["lines read"], row["in the window"]) == (str(LAST), str(LAST))
    assert row["rotates"] == ("by syslog" if service == "sent-and-kept" else "yes")
    assert [line.split(" ", 2)[2] for line in seen.excerpt()] == [
        f"line {n}" for n in range(LINES - LAST + 1, LINES + 1)
    ]


@pytest.mark.parametrize("service", sorted(BROKEN))
def test_what_cant_be_read_or_grows_is_named(project: Project, stack: dict[str, Any], service: str) -> None:
    assert stack
    seen = look(project, service)
    (trouble,) = seen.troubles
    assert BROKEN[service] in trouble
    assert f"{NAME}-{service}" in trouble
    assert seen.said == trouble


def test_a_log_from_before_the_window_says_so(project: Project, stack: dict[str, Any]) -> None:
    assert stack
    time.sleep(0.01)
    seen = look(project, "limited", timedelta(milliseconds=1))
    assert seen.said.endswith(", nothing within 1 ms")
    assert seen.rows()[0]["in the window"] == "0"


def test_a_damaged_log_is_not_taken_for_a_short_one(project: Project, stack: dict[str, Any]) -> None:
    file = Path(
        stack["damaged"].attrs["LogPath"]
        or stack["damaged"].client.api.inspect_container(stack["damaged"].id)["LogPath"]
    )
    if not os.access(file, os.W_OK):
        pytest.skip("the engine's files can't be reached from here")
    lines = file.read_bytes().splitlines(keepends=True)
    lines[-10] = b"\0" * len(lines[-10])
    file.write_bytes(b"".join(lines))
    (trouble,) = look(project, "damaged").troubles
    assert "can't be read" in trouble


def test_several_containers_are_read_in_the_order_of_time(project: Project, stack: dict[str, Any]) -> None:
    assert stack
    both = (*project.containers("limited"), *project.containers("unlimited"))
    now = datetime.now(UTC)
    seen = readable_logs(project, "both", both, now - timedelta(days=1), now, 20)
    assert seen.looked_at == f"the last {2 * LAST} lines of 2 containers"
    assert len(seen.troubles) == 1
    times = [line.split(" ", 2)[1] for line in seen.excerpt()]
    assert times == sorted(times)
    assert len(times) == LAST


def test_an_engine_that_isnt_there_cannot_tell(stack: dict[str, Any], project: Project) -> None:
    assert stack
    containers = project.containers("limited")
    gone = Project(Engine("unix:///no/such.sock", 2), NAME)
    with pytest.raises(CannotTell) as raised:
        readable_logs(gone, "limited", containers, datetime.now(UTC), datetime.now(UTC), 2)
    assert raised.value.cause == "engine"


def test_lines_of_one_time_are_shown_in_the_order_in_which_they_were_said() -> None:
    at = datetime(2026, 11, 26, 9, tzinfo=UTC)
    said = tuple(LogLine(at, "stdout", text) for text in ("line 99", "line 100", "line 101"))
    logs = ReadableLogs("backend", (LastLines("c_1", "local", True, said),), at, at)
    assert [line.split(" ", 2)[2] for line in logs.excerpt()] == ["line 99", "line 100", "line 101"]
