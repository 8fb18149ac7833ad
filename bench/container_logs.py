"""A container's log of any size beside `docker logs | grep`: `python -m bench.container_logs`.

A container of its own writes the lines, the last hundredth of them some seconds
after the others, so that a short window can be cut out. Then the errors of the
windows are counted by whole processes in turn: by ours from the file, by ours
through the engine, and by the command of the guide.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docker.models.containers import Container

HERE = Path(__file__).parent
NAME = "ctrlogs-bench"
SEED = 20261124
WIDTH = 200
PAUSE = 20
"""Seconds between the first lines and the last hundredth."""
SCRIPT = f"cat /l/out.0 & cat /l/err.0 >&2; wait; sleep {PAUSE}; cat /l/out.1 & cat /l/err.1 >&2; wait; sleep infinity"
FILLER = "of what the service does for whoever asks it "
TRACEBACK = (
    "Traceback (most recent call last):",
    *(
        line
        for number in range(6)
        for line in (f'  File "/app/api/views.py", line {number}, in error_view', "    return run(request)")
    ),
    "ValueError: error in row 17",
)


def written(chance: random.Random) -> tuple[str, list[str]]:
    """Stream and lines of one thing that happens; about 1 % of the lines have the word error."""
    draw = chance.random()
    now = "[2026-11-24 10:01:48]"
    if draw < 0.005:
        return "err", [f"{now} ERROR api.error_handling: API Error: number {chance.randrange(999)} "]
    if draw < 0.0052:
        return "err", [f"{now} ERROR django.request: Internal Server Error: /api/tasks/ ", *TRACEBACK]
    if draw < 0.007:
        return "err", [f"{now} INFO api.views: 0 errors in {chance.randrange(9999)} rows "]
    if draw < 0.5:
        return "err", [f"{now} INFO api.views: task {chance.randrange(9999)} was looked at "]
    path = "api/errors" if draw < 0.502 else "api/tasks"
    rest = "q=" + "y" * (WIDTH - 90 - len(path))
    port = chance.randrange(10000, 60000)
    return "out", [f'172.18.0.1:{port} - - [24/Nov/2026:10:01:48] "GET /{path}/?{rest} HTTP/1.1" 200 1517']


def padded(line: str) -> str:
    """A line as long as the others, if it is one that has more to say."""
    return (line + FILLER * (WIDTH // len(FILLER) + 1))[: WIDTH - 1] if line[-1] == " " else line


def write_lines(directory: Path, number: int) -> None:
    """Write what the container is to say: 99 % of it, and the rest."""
    chance = random.Random(SEED)  # noqa: S311  numbers to measure with
    done = 0
    for part, upto in (("0", number * 99 // 100), ("1", number)):
        with ExitStack() as stack:
            files = {
                name: stack.enter_context(Path(directory, f"{name}.{part}").open("w", encoding="ascii"))
                for name in ("out", "err")
            }
            while done < upto:
                stream, lines = written(chance)
                files[stream].writelines(f"{padded(line)}\n" for line in lines)
                done += len(lines)


@contextmanager
def logging_container(number: int) -> Iterator[Container]:
    """A container that has written so many lines."""
    from lab.base_image import BASE, ensure_base
    from lab.engine import client, ensure_engine

    ensure_engine()
    ensure_base()
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        write_lines(Path(scratch), number)
        container = client().containers.run(
            BASE,
            ["sh", "-c", SCRIPT],
            name=NAME,
            detach=True,
            network_mode="none",
            labels={"com.docker.compose.project": NAME, "com.docker.compose.service": "backend"},
            log_config={"type": "json-file"},
            volumes={scratch: {"bind": "/l", "mode": "ro"}},
        )
        try:
            while not any(process[-1] == "sleep infinity" for process in container.top()["Processes"]):
                time.sleep(1)
            time.sleep(2)  # the engine writes what it has read
            container.reload()
            yield container
        finally:
            container.remove(force=True)


def count(how: str, since: datetime) -> None:
    """Count the errors from a moment on and say how long the reading itself took.

    Args:
        how: `files` or `engine`.
        since: The moment, aware.
    """
    from observe.application_log import ErrorCounter
    from observe.engine import Engine, Project
    from observe.errors import CannotTell
    from observe.window import LogWindow
    from target.kinds import Share

    project = Engine("", 10).project(NAME)
    if how == "engine":
        Project.local = property(lambda _: False)  # type: ignore[assignment, method-assign]
    window = LogWindow(project, project.containers("backend"), since, datetime.now(UTC), Share(0.0), 600)
    began, cpu = time.perf_counter(), time.process_time()
    (seen,) = window.read_records([lambda: ErrorCounter(since=since)])
    took = f"{time.perf_counter() - began:.3f} {time.process_time() - cpu:.3f}"
    if isinstance(seen, CannotTell):
        raise seen
    sys.stdout.write(f"{seen.results[0].errors} errors in {seen.looked_at}, seconds and seconds of CPU:\n{took}\n")


def ours(how: str, since: datetime) -> list[str]:
    """The command that counts by ours."""
    return [sys.executable, "-m", "bench.container_logs", "--count", how, since.isoformat()]


def cost(command: Sequence[str]) -> tuple[float, float]:
    """Wall and processor seconds of a whole process with its children; what the engine does isn't in the latter."""
    from bench.timing import timed

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = timed(command, cwd=HERE.parent, environment={"PATH": "/usr/local/bin:/usr/bin:/bin"}, statuses=(0,))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def reading(how: str, since: datetime) -> tuple[float, float]:
    """Seconds of the reading itself, in a process of its own."""
    done = subprocess.run(ours(how, since), cwd=HERE.parent, capture_output=True, text=True, check=True)
    wall, cpu = done.stdout.splitlines()[1].split()
    return float(wall), float(cpu)


def by_hand(since: str) -> tuple[float, float]:
    """What the guide's command costs."""
    return cost(["sh", "-c", f"docker logs --since {since} {NAME} 2>&1 | grep -ci error"])


def in_turn(window: str, ways: Mapping[str, Callable[[], tuple[float, float]]], rounds: int) -> None:
    """Run all ways in turn, the last of them the yardstick, and print the ratios round by round."""
    for way in ways.values():
        way()  # warm
    seen = [[way() for way in ways.values()] for _ in range(rounds)]
    for number, name in enumerate(ways):
        sys.stdout.write(f"{window}: {name:24}")
        for unit in (0, 1):
            ratios = sorted(one[number][unit] / one[-1][unit] for one in seen)
            median = statistics.median(one[number][unit] for one in seen)
            ratio = f"{statistics.median(ratios):.3f} [{ratios[0]:.3f}-{ratios[-1]:.3f}]"
            sys.stdout.write(f" {('wall', 'CPU')[unit]} {median:7.3f} s = {ratio}")
        sys.stdout.write("\n")
        sys.stdout.flush()


def measure(lines: int, rounds: int) -> None:
    """Measure and print."""
    with logging_container(lines) as container:
        log = Path(container.attrs["LogPath"])
        with log.open("rb") as file:
            file.seek(-4096, 2)
            last = file.read().rpartition(b'"time":"')[2][:19].decode()
        late = datetime.fromisoformat(last).replace(tzinfo=UTC) - timedelta(seconds=PAUSE / 2)
        long, stamp = datetime.now(UTC) - timedelta(hours=8), f"{late:%Y-%m-%dT%H:%M:%SZ}"
        sys.stdout.write(f"{lines:,} lines, {log.stat().st_size / 1e6:.0f} MB\n")
        eight_hours = {
            "file": partial(cost, ours("files", long)),
            "file, the reading alone": partial(reading, "files", long),
            "through the engine": partial(cost, ours("engine", long)),
            "docker logs | grep": partial(by_hand, "8h"),
        }
        last_hundredth = {
            "file": partial(cost, ours("files", late)),
            "file, the reading alone": partial(reading, "files", late),
            "docker logs | grep": partial(by_hand, stamp),
        }
        in_turn("8 h", eight_hours, rounds)
        in_turn("last 1 %", last_hundredth, rounds)
        for how in ("files", "engine", "nothing"):
            said = subprocess.run(ours(how, long), cwd=HERE.parent, capture_output=True, text=True, check=True).stdout
            sys.stdout.write(f"{how}: {' '.join(said.split())}\n")


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description="a container's log beside `docker logs | grep`")
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", nargs=2, metavar=("HOW", "SINCE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count is None:
        measure(options.lines, options.rounds)
        return
    how, since = options.count
    if how == "nothing":
        import docker

        docker.from_env().ping()
    else:
        count(how, datetime.fromisoformat(since))
    sys.stdout.write(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB\n")


if __name__ == "__main__":
    main()
