"""Faults in three months of access logs: clients that are out of line.

What they asked for is written into rotated logs, older than what any check of days or weeks looks at, and taken out
again to the byte. How much each asks for is what such clients do, and was not fitted to any limit.
"""

from __future__ import annotations

import gzip
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, Took

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lab.stack import Lab

# Of the block of addresses that is nobody's, outside of the lab's office.
SCRAPER, NIGHTLY, REFUSED = "192.0.2.66", "192.0.2.67", "192.0.2.68"
HOUR = 3600
# The newest rotated log that is changed: nine days old.
YOUNGEST = 9
_DATE = slice(0, 11)
_CLOCK = slice(12, 20)
_ZONE = slice(21, 26)

# Seconds after midnight, path, status and size.
Asked = tuple[int, str, int, int]


def scraper(lab: Lab) -> Iterator[Took]:
    """Let one client ask for a page a second, four hours in the daytime of each of three days."""
    pages = [(10 * HOUR + second, f"/api/tasks/?page={second % 400}", 200, 6_214) for second in range(4 * HOUR)]
    with _asked(lab, SCRAPER, "python-requests/2.32.3", dict.fromkeys(range(12, 15), pages)) as took:
        yield took


def night_burst(lab: Lab) -> Iterator[Took]:
    """Let one client ask five times a second for half an hour of one night, from three o'clock on."""
    calls = [(3 * HOUR + number // 5, "/api/activity/", 200, 5_120) for number in range(5 * 1800)]
    with _asked(lab, NIGHTLY, "Go-http-client/2.0", {11: calls}) as took:
        yield took


def client_of_refusals(lab: Lab) -> Iterator[Took]:
    """Let one client ask for what isn't there any more, every five minutes of fourteen working days."""
    calls = [
        (8 * HOUR + 300 * number, f"/feeds/{number % 9}.xml", 404 if number % 5 else 403, 153) for number in range(120)
    ]
    with _asked(lab, REFUSED, "FeedFetcher/1.2", dict.fromkeys(range(YOUNGEST, YOUNGEST + 14), calls)) as took:
        yield took


@contextmanager
def _asked(lab: Lab, client: str, agent: str, by_age: dict[int, Sequence[Asked]]) -> Iterator[Took]:
    """Have a client ask for things on days that are so many rotations ago; afterwards the logs don't know of it."""
    paths = {lab.nginx_logs / f"access.log.{age}.gz": asked for age, asked in by_age.items()}
    kept = {path: (path.read_bytes(), path.stat()) for path in paths}
    before = _count(paths, client)
    try:
        for path, asked in paths.items():
            _write_into(path, client, agent, asked)
        yield Took(f"{before} requests of {client}", f"{_count(paths, client)}, in {len(paths)} rotated logs")
    finally:
        for path, (content, was) in kept.items():
            path.write_bytes(content)
            # Their counts are kept by size and time: those of the logs as they were are right again.
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def _write_into(path: Path, client: str, agent: str, asked: Sequence[Asked]) -> None:
    """Put requests where they belong among a day's others."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    first = _time(lines[0])
    for second, request, status, size in asked:
        clock = f"{second // HOUR:02}:{second // 60 % 60:02}:{second % 60:02}"
        lines.append(
            f"{client} - - [{first[_DATE]}:{clock} {first[_ZONE]}] "
            f'"GET {request} HTTP/1.1" {status} {size} "-" "{agent}" 0.034\n'
        )
    lines.sort(key=lambda line: _time(line)[_CLOCK])
    rotated = path.stat().st_mtime_ns
    path.write_bytes(gzip.compress("".join(lines).encode(), 6))
    os.utime(path, ns=(rotated, rotated))


def _time(line: str) -> str:
    """What stands in a line's brackets: `23/Nov/2026:10:01:48 +0000`."""
    return line.partition("[")[2][:26]


def _count(paths: dict[Path, Sequence[Asked]], client: str) -> int:
    return sum(gzip.decompress(path.read_bytes()).count(f"{client} - ".encode()) for path in paths)


ANOMALIES = "access-anomalies"

FAULTS: tuple[Fault, ...] = (
    Fault("scraper", (ANOMALIES,), "A client read a page a second, hours on end, for three days.", scraper),
    Fault(
        "night-burst", (ANOMALIES,), "A client asked thousands of times within half an hour of a night.", night_burst
    ),
    Fault("client-of-refusals", (ANOMALIES,), "Nearly all that a client asked for was refused.", client_of_refusals),
)
