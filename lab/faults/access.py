"""Faults in three months of access logs: refused logins, visits to the admin area."""

from __future__ import annotations

import datetime as dt
import gzip
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.access_history import OFFICE
from lab.faults.fault import Fault, Took
from lab.faults.logs import proxy_logs_restored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lab.stack import Lab

STRANGER = "192.0.2.77"
"""Somebody whom the three months of the lab's logs don't know, outside of its office."""
BEFORE, AFTER = (150, 120, 90, 60, 30, 5), (5, 30, 60, 90, 120)
"""Seconds before and after midnight, at which the log was rotated: eleven within five minutes."""


def passwords_tried_over_a_rotation(lab: Lab) -> Iterator[Took]:
    """Write eleven refused logins of one client into two rotated logs, six before midnight and five after it."""
    older, newer = lab.nginx_logs / "access.log.2.gz", lab.nginx_logs / "access.log.1"
    midnight = _first_day(newer)
    before = _logged(older, newer)
    with _as_it_was(older), _as_it_was(newer):
        early = [_line(midnight - dt.timedelta(seconds=n), "POST /api/token/", 401) for n in BEFORE]
        late = [_line(midnight + dt.timedelta(seconds=n), "POST /api/token/", 401) for n in AFTER]
        older.write_bytes(gzip.compress(gzip.decompress(older.read_bytes()) + b"".join(early), 6))
        newer.write_bytes(b"".join(late) + newer.read_bytes())
        yield Took(before, _logged(older, newer))


def passwords_tried_on_the_admin_area(lab: Lab) -> Iterator[Took]:
    """Write eleven times into the admin area's log that Django showed somebody in the office its login form again."""
    yield from _of_admin_area(lab, [(n * 20, "POST /admin/login/?next=/admin/", 200) for n in range(11)], OFFICE[0])


def admin_area_from_elsewhere(lab: Lab) -> Iterator[Took]:
    """Write into the admin area's log that somebody outside of the office was shown it."""
    yield from _of_admin_area(lab, [(0, "GET /admin/", 200)], STRANGER)


def _of_admin_area(lab: Lab, requests: Sequence[tuple[int, str, int]], client: str) -> Iterator[Took]:
    log = lab.nginx_logs / "admin_access.log"
    begin = dt.datetime.now().astimezone() - dt.timedelta(minutes=20)
    before = _lines(log)
    with proxy_logs_restored(lab):
        lines = [_line(begin + dt.timedelta(seconds=n), request, status, client) for n, request, status in requests]
        with log.open("ab") as file:
            file.write(b"".join(lines))
        yield Took(before, _lines(log))


def _line(at: dt.datetime, request: str, status: int, client: str = STRANGER) -> bytes:
    stamp = f"{at:%d/%b/%Y:%H:%M:%S %z}"
    return f'{client} - - [{stamp}] "{request} HTTP/1.1" {status} 48 "-" "python-requests/2.32.3" 0.205\n'.encode()


def _first_day(log: Path) -> dt.datetime:
    """The midnight with which the day of a log's first line begins, in the log's own zone."""
    with log.open(errors="replace") as file:
        written = file.readline().partition("[")[2].partition("]")[0]
    return dt.datetime.strptime(written, "%d/%b/%Y:%H:%M:%S %z").replace(hour=0, minute=0, second=0)


@contextmanager
def _as_it_was(log: Path) -> Iterator[None]:
    """Put a rotated log back, to the byte and the time."""
    content, about = log.read_bytes(), log.stat()
    try:
        yield
    finally:
        log.write_bytes(content)
        os.utime(log, ns=(about.st_atime_ns, about.st_mtime_ns))


def _logged(older: Path, newer: Path) -> str:
    mark = STRANGER.encode() + b" "
    return (
        f"{gzip.decompress(older.read_bytes()).count(mark)} requests of {STRANGER} in {older.name}, "
        f"{newer.read_bytes().count(mark)} in {newer.name}"
    )


def _lines(log: Path) -> str:
    data = log.read_bytes()
    tried = data.count(b'"POST /admin/login/')
    return f"{data.count(STRANGER.encode())} requests of {STRANGER} and {tried} logins in {log.name}"


FAULTS: tuple[Fault, ...] = (
    Fault(
        "passwords-tried-over-a-rotation",
        ("brute-force",),
        "One client was refused eleven logins within five minutes, with the log's rotation between them.",
        passwords_tried_over_a_rotation,
    ),
    Fault(
        "passwords-tried-on-the-admin-area",
        ("brute-force",),
        "Eleven wrong passwords were tried within four minutes at Django's own login form.",
        passwords_tried_on_the_admin_area,
    ),
    Fault(
        "admin-area-from-elsewhere",
        ("admin-access",),
        "Somebody from a network that isn't among the settings' was shown the admin area.",
        admin_area_from_elsewhere,
    ),
)
