"""How much of a window the engine's logs cover, on the real engine."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lab.base_image import BASE, ensure_base
from lab.engine import client, ensure_engine
from observe import json_file_log
from observe.application_log import ErrorCount, ErrorCounter
from observe.container_log import Decoding
from observe.engine import PROJECT, SERVICE, Engine
from observe.errors import CannotTell
from observe.window import LogWindow, Read, Seen
from proofs.relay import Relay
from proofs.users import NOBODY
from target.kinds import Share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docker.models.containers import Container

    from observe.application_log import Record
    from observe.container_log import LogLine
    from observe.engine import Project

NAME = "windowproof"
LINES = 40
SCRIPT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; sleep 0.1; i=$((i+1)); done; sleep 300"


def count(lines: Iterable[LogLine]) -> int:
    return sum(1 for _ in lines)


ERRORS = 20
SPEECH = f"""
i=0
while [ $i -lt {ERRORS} ]; do
    for j in 1 2 3 4 5 6 7 8 9 10; do
        echo "[2026-11-23 10:01:48] INFO api.views: number $i $j <&> caf\\351" >&2
        echo '127.0.0.1:40306 - - [23/Nov/2026:09:58:57] "GET /health/ HTTP/1.1" 200 15'
    done
    echo "[2026-11-23 10:01:48] ERROR api.views: $i" >&2
    echo "Traceback (most recent call last):" >&2
    echo "  File x" >&2
    echo "KeyError: $i" >&2
    i=$((i+1))
done
head -c 100000 /dev/zero | tr '\\0' z; echo; echo done >&2; sleep 300
"""


class Levels:
    """Which levels there were."""

    needs_requests = True

    def __init__(self) -> None:
        self.found: set[str] = set()

    def take(self, record: Record) -> None:
        self.found.add(str(record.level))

    def result(self) -> set[str]:
        return self.found


class Given:
    """The levels of what it was given, one by one."""

    needs_requests = False

    def __init__(self) -> None:
        self._given: list[str] = []

    def take(self, record: Record) -> None:
        self._given.append(str(record.level))

    def result(self) -> list[str]:
        return self._given


class Failing(Levels):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def take(self, record: Record) -> None:
        del record
        raise self._error


class Remote:
    """A project whose engine is on another machine, as far as anybody knows."""

    local = False

    def __init__(self, project: Project) -> None:
        self.read_log = project.read_log


@contextmanager
def speaking(driver: str, *, tty: bool) -> Iterator[Container]:
    """A container that has said what a backend says, with twenty errors."""
    ensure_engine()
    ensure_base()
    container = client().containers.run(
        BASE,
        ["sh", "-c", SPEECH],
        detach=True,
        tty=tty,
        network_mode="none",
        labels={PROJECT: NAME, SERVICE: "speaking"},
        log_config={"type": driver, "config": {}},
    )
    try:
        deadline = time.monotonic() + 30
        while "sleep 300" not in str(container.top()["Processes"]):
            assert time.monotonic() < deadline, "the container does not come to its end"
            time.sleep(0.1)
        time.sleep(0.3)  # the engine writes what it has read
        yield container
    finally:
        container.remove(force=True)


@contextmanager
def relayed(directory: Path) -> Iterator[tuple[Relay, str]]:
    """The engine behind a socket that everybody may use and that hears what is asked."""
    # Up to pytest's own, which is one higher up where proofs run in several processes.
    for one in (directory, *list(directory.parents)[:3]):
        if one.owner() == directory.owner() and one.stat().st_mode & 0o1000 == 0:
            one.chmod(0o755)
    socket = directory / "engine.sock"
    with Relay(behind="/var/run/docker.sock", unix=socket) as relay:
        socket.chmod(0o666)
        yield relay, f"unix://{socket}"


def log_requests(relay: Relay) -> list[bytes]:
    return [line for line in bytes(relay.heard).split(b"\r\n") if line.startswith(b"GET ") and b"/logs?" in line]


def window_of(engine: Engine, container: str) -> LogWindow:
    project = engine.project(NAME)
    one = next(one for one in project.containers("speaking") if one.id == container)
    return LogWindow(project, (one,), one.created - timedelta(hours=1), datetime.now(UTC), Share(0.0), 10)


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


@dataclass
class Everything:
    """All that a window is asked for in one look."""

    lines: int
    counts: ErrorCount
    texts: dict[str, list[str]]


def seen_through(url: str, container: str, *, local: bool = True) -> Everything:
    one = window_of(Engine(url, 10), container)
    if not local:
        one = replace(one, project=Remote(one.project))  # type: ignore[arg-type]

    def texts(lines: Iterable[LogLine]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in lines:
            found.setdefault(line.stream, []).append(f"{line.at} {line.text} {line.cut > 0}")
        return found

    (all_texts,), said, notes, _ = one.read(texts)
    assert len(notes) == 1, "the long line was cut"
    (seen,) = one.read_records([lambda: ErrorCounter(since=one.since)])
    (counts,), said_again, _, _ = found(seen)
    assert counts.errors == ERRORS
    assert said == said_again
    left = {"by_level": {}, "lines": 0, "records": 0, "requests": 0}
    return Everything(sum(map(len, all_texts.values())), replace(counts, **left), all_texts)


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
    (lines,), said, notes, _ = window("whole", reach=1.0).read(count)
    assert 20 < lines <= LINES
    assert ", all of " in said
    assert notes == ()


def test_a_log_that_dropped_old_lines_does_not(logged: dict[str, Container]) -> None:
    del logged
    _, said, _, _ = window("rotated").read(count)
    assert ", all of " not in said
    with pytest.raises(CannotTell, match="of the window is in the log of"):
        window("rotated", reach=1.0).read(count)


def found(seen: Seen[Any] | CannotTell) -> Any:  # noqa: ANN401  whatever a consumer makes
    assert not isinstance(seen, CannotTell), seen.what
    return seen


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("tty", [False, True])
def test_what_the_files_say_is_what_the_engine_says(
    driver: str, tty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file_log, "_MUCH", 0)
    monkeypatch.setattr(json_file_log, "_BLOCK", 4096)
    monkeypatch.setattr(json_file_log, "DISORDER", timedelta(0))
    with speaking(driver, tty=tty) as container, relayed(tmp_path) as (relay, url):
        everything = seen_through("", container.id)
        assert everything.lines == ERRORS * 24 + 2
        # In a process of its own: here the relay needs root's rights.
        with ProcessPoolExecutor(1, get_context("fork"), become_nobody) as nobody:
            assert nobody.submit(seen_through, url, container.id).result(60) == everything, "through the engine"
        asked = len(log_requests(relay))
        assert asked >= 2
        assert seen_through(url, container.id) == everything, "through the relay, with the files at hand"
        assert (len(log_requests(relay)) > asked) == (driver == "local"), "files that can be read are read"
        assert seen_through("", container.id, local=False) == everything


def test_one_read_serves_all(tmp_path: Path) -> None:
    with speaking("local", tty=False) as container, relayed(tmp_path) as (relay, url):
        one, other, failing, wrong = window_of(Engine(url, 10), container.id).read_records(
            [ErrorCounter, Levels, partial(Failing, CannotTell("no")), partial(Failing, ZeroDivisionError())]
        )
        assert len(log_requests(relay)) == 2, "the last line's time, and the log"
    assert found(one).results[0].errors == ERRORS
    assert found(other).results[0] >= {"INFO", "ERROR"}
    assert isinstance(failing, CannotTell)
    assert failing.what == "no"
    assert isinstance(wrong, CannotTell)
    assert "ZeroDivisionError" in wrong.what


@pytest.mark.parametrize("much", [0, 10**9], ids=["skimming", "reading"])
@pytest.mark.parametrize("beside", [[], [Levels]], ids=["alone", "shared"])
def test_whoever_needs_no_requests_is_given_the_same_however_it_is_read(
    much: int, beside: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file_log, "_MUCH", much)
    monkeypatch.setattr(json_file_log, "DISORDER", timedelta(0))
    with speaking("json-file", tty=False) as container:
        one, *_ = window_of(Engine("", 10), container.id).read_records([Given, *beside])
    ((first, *others),) = found(one).results
    assert first in ("INFO", "None"), "a request line, if standard output came first"
    assert others == ["ERROR"] * ERRORS


def test_a_failure_of_the_read_is_everyones(logged: dict[str, Container]) -> None:
    del logged
    with pytest.raises(CannotTell, match="of the window is in the log of"):
        window("rotated", reach=1.0).read_records([ErrorCounter, Levels])


def test_a_driver_that_keeps_nothing_says_its_name() -> None:
    with speaking("none", tty=False) as container, pytest.raises(CannotTell, match="its log driver is 'none'"):
        window_of(Engine("", 10), container.id).read_records([ErrorCounter])


@pytest.mark.parametrize("local", [True, False])
def test_a_read_that_takes_too_long_cannot_tell(logged: dict[str, Container], local: bool) -> None:
    del logged
    one = replace(window("whole"), seconds=0.2)
    if not local:
        one = replace(one, project=Remote(one.project))  # type: ignore[arg-type]
    with pytest.raises(CannotTell, match="within 200 ms") as raised:
        one.read(lambda _: time.sleep(3))
    assert "timeouts.logs" in raised.value.mend


def test_a_log_that_breaks_off_is_no_log_of_the_engines(logged: dict[str, Container]) -> None:
    """The engine stops where an entry is damaged; the file itself can be read on."""
    file = Path(client().api.inspect_container(logged["whole"].id)["LogPath"])
    content = file.read_bytes().splitlines(keepends=True)
    middle = len(content) // 2
    file.write_bytes(b"".join([*content[:middle], b'{"log":"half an ent\n', *content[middle:]]))
    one = window("whole")
    with pytest.raises(CannotTell, match="breaks off at"):
        replace(one, project=Remote(one.project)).read(count)  # type: ignore[arg-type]
    (lines,), _, notes, _ = one.read(count)
    assert lines > 20
    (note,) = notes
    assert note.startswith("damaged entries of the log of ")
    assert note.endswith(": 1")


def test_what_could_not_be_read_as_it_should_is_noted() -> None:
    decoding = Decoding(lines=9, broken_frames=1, skipped_bytes=1234, cut_lines=2, unstamped=3)
    read = Read(SimpleNamespace(name="web"), datetime.now(UTC), decoding, None, damaged=4)
    assert [note.rpartition(": ")[2] for note in read.notes] == ["4", "1", "2", "3"]
    assert read.notes[0].startswith("damaged entries of the log of web")
    assert "1,234 bytes" in read.notes[1]
    assert replace(read, decoding=Decoding(), damaged=0).notes == ()
