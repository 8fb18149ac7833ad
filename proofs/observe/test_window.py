"""How much of a window the engine's logs cover, on the real engine."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.base_image import BASE, ensure_base
from lab.engine import client, ensure_engine
from observe.engine import PROJECT, SERVICE, Engine
from observe.errors import CannotTell
from observe.window import LogWindow
from target.kinds import Share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docker.models.containers import Container

    from observe.container_log import LogLine

NAME = "windowproof"
LINES = 40
SCRIPT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; sleep 0.1; i=$((i+1)); done; sleep 300"


def count(lines: Iterable[LogLine]) -> int:
    return sum(1 for _ in lines)


@pytest.fixture(scope="module")
def logged() -> Iterator[dict[str, Container]]:
    """Two containers that have said forty lines in four seconds; one keeps its log, one drops old lines."""
    ensure_engine()
    ensure_base()
    options = {"whole": {}, "rotated": {"max-size": "1k", "max-file": "2"}}
    started = {
        service: client().containers.run(
            BASE,
            ["sh", "-c", SCRIPT],
            detach=True,
            network_mode="none",
            labels={PROJECT: NAME, SERVICE: service},
            log_config={"type": "json-file", "config": config},
        )
        for service, config in options.items()
    }
    try:
        for one in started.values():
            deadline = time.monotonic() + 30
            while f"line {LINES - 1}\n".encode() not in one.logs(tail=5):
                assert time.monotonic() < deadline, "the container does not log"
                time.sleep(0.2)
        yield started
    finally:
        for one in started.values():
            one.remove(force=True)


def window(service: str, reach: float = 0.0) -> LogWindow:
    """From a second after the first line until now."""
    project = Engine("", 10).project(NAME)
    (container,) = project.containers(service)
    since = container.created + timedelta(seconds=1.5)
    return LogWindow(project, (container,), since, datetime.now(UTC), Share(reach), 10)


def test_a_whole_log_covers_its_window(logged: dict[str, Container]) -> None:
    del logged
    (lines,), said = window("whole", reach=1.0).read(count)
    assert 20 < lines <= LINES
    assert ", all of " in said


def test_a_log_that_dropped_old_lines_does_not(logged: dict[str, Container]) -> None:
    del logged
    _, said = window("rotated").read(count)
    assert ", all of " not in said
    with pytest.raises(CannotTell, match="of the window is in the log of"):
        window("rotated", reach=1.0).read(count)


def test_a_log_that_breaks_off_is_no_log(logged: dict[str, Container]) -> None:
    file = Path(logged["whole"].attrs.get("LogPath") or client().api.inspect_container(logged["whole"].id)["LogPath"])
    content = file.read_bytes().splitlines(keepends=True)
    middle = len(content) // 2
    file.write_bytes(b"".join([*content[:middle], b'{"log":"half an ent\n', *content[middle:]]))
    with pytest.raises(CannotTell, match="breaks off at"):
        window("whole").read(count)
