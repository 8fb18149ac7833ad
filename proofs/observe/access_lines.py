"""Lines of an access log, for the proofs that write some."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from observe.access_log import read_window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from observe.log_format import Access
    from observe.rotated_log import Reading

AT = datetime(2026, 11, 23, 10, 1, 48, tzinfo=UTC)


def line_at(at: datetime, number: int = 0) -> bytes:
    return (
        f'10.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S %z}] "GET /{number}?{"x" * 100} HTTP/1.1" 200 5 "-" "agent"\n'
    ).encode()


def log_of(hours: Sequence[float], first: int = 0) -> bytes:
    """Lines that many hours before `AT`; each target has the line's number."""
    return b"".join(line_at(AT - timedelta(hours=ago), first + i) for i, ago in enumerate(hours))


def spread(begin: float, end: float, lines: int) -> list[float]:
    return [begin + (end - begin) * i / lines for i in range(lines)]


def pack(path: Path) -> None:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def window(path: Path, hours: float, **more: object) -> Reading[Access]:
    return read_window(path, AT - timedelta(hours=hours), AT, **more)  # type: ignore[arg-type]


def numbers(reading: Reading[Access]) -> list[int]:
    return [int(access.target[1:].split("?")[0]) for access in reading]


MALFORMED = [
    b"",
    b"garbage",
    b"\xff\xfe\x00 invalid",
    b'" " " " " "',
    b"\x00" * 40,
    b"x" * 70_000,
    b"10.0.0.1 - - [32/Nov/2026:10:01:48 +0000] " + b'"GET / HTTP/1.1" 200 5 "-" "a"',
    b"10.0.0.1 - - [23/Nop/2026:10:01:48 +0000] " + b'"GET / HTTP/1.1" 200 5 "-" "a"',
    b"10.0.0.1 - - [23/Nov/2026:10:01:60 +0000] " + b'"GET / HTTP/1.1" 200 5 "-" "a"',
    b"10.0.0.1 - - [23/Nov/2026:10:61:00 +0000] " + b'"GET / HTTP/1.1" 200 5 "-" "a"',
    b"10.0.0.1 - - [23/Nov/2026:24:01:00 +0000] " + b'"GET / HTTP/1.1" 200 5 "-" "a"',
    b"10.0.0.1 - - [23/Nov/2026:10:01:48 +9900] " + b'"GET / HTTP/1.1" 200 5 "-" "a"',
]
"""What can stand in a log and is no request."""

SHAPES = [
    '{client} - - [{stamp}] "GET /tasks/{number}/ HTTP/2.0" {status} 512 "https://example.org/admin" "Mozilla/5.0"',
    '{client} - - [{stamp}] "GET /admin/tasks/{number}/ HTTP/1.1" {status} 5 "-" "Mozilla/5.0"',
    '{client} - - [{stamp}] "POST /api/auth/login/ HTTP/1.1" {status} 187 "-" "python-requests/2"',
    '{client} - - [{stamp}] "GET /wp-login.php HTTP/1.1" {status} 0 "-" "-"',
    '{client} - - [{stamp}] "GET /x.jsp" {status} - "-" ""',
    '{client} - - [{stamp}] "\\x16\\x03\\x01\\x22admin" {status} 157 "-" "-"',
    '{client} - - [{stamp}] "GET /caf\\xC3\\xA9.php HTTP/1.1" {status} 157 "-" "a\\x22b"',
    '{client} - - [{stamp}] "-" {status} 0 "-" "-"',
    '{client} - - [{stamp}] "" {status} 0 "-" "-"',
    '{client} - - [{stamp}] "GET" {status} 1 "-" "-"',
    '{client} - an user [{stamp}] "GET /admin/ HTTP/1.1" {status} 99999999 "-" "-"',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 123456789 "-" "-"',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-" 0.{number:03}',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-" 12.{number:03}',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-" 123456.{number:03}',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-" "10.1.1.1" rt=0.{number:03} urt=-',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-" "-"',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-" 0.12',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12',
    '{client}  - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-"',
    'one {client} - - [{stamp}] "GET /admin/ HTTP/1.1" {status} 12 "-" "-"',
    ' - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-" "-"',
    '{client} - - [{stamp}]  "GET / HTTP/1.1" {status} 12 "-" "-"',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status}0 12 "-" "-"',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12x "-" "-"',
    '{client} - - [{stamp}] "GET / HTTP/1.1" {status} 12 "-"  "-"',
    '{client} - - [{stamp}] "GET /health/ HTTP/1.1" {status} 12 "-" "synk-operations-checks/1 (run {number:032x})"',
    '{client} - - [{stamp}] "GET /wp- HTTP/1.1" {status} 12 "synk-operations-checks" "-"',
]
"""Requests as they come, with places to fill in; some of them are not quite what nginx writes."""
