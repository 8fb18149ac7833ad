"""No line makes a reader of logs raise, or two readers of the same lines disagree.

What stands in a log was decided by whoever attacked the site. By default every
reader gets a second or two; `PROOFS_FUZZ_MINUTES=10` shares ten minutes among them.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observe import application_log, container_log, database_log, error_log
from observe.access_blocks import BlockCounter, finder
from observe.access_counts import Counts, Questions, Tally
from observe.access_scan import Job, LineCounter, Scanned, Window, scan
from observe.container_log import LogLine
from observe.log_format import COMBINED, LogFormat, masked_path
from observe.own_traffic import NAME
from proofs.observe.access_lines import AT, MALFORMED, SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MINUTES = float(os.environ.get("PROOFS_FUZZ_MINUTES") or 0)
FORMATS = {
    "combined": COMBINED,
    "main": LogFormat.compile(
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
        '"$http_user_agent" "$http_x_forwarded_for" rt=$request_time urt=$upstream_response_time h=$host'
    ),
    "json": LogFormat.compile(
        """log_format j escape=json '{"t":"$time_iso8601","ip":"$remote_addr","req":"$request","s":$status,'
        '"b":$body_bytes_sent,"ua":"$http_user_agent","ref":"${http_referer}","rt":$request_time}';"""
    ),
    "timed": LogFormat.compile(
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
        '"$http_user_agent" $request_time'
    ),
    "parts": LogFormat.compile("$msec $status $request_method $request_uri $server_protocol $remote_addr"),
    "unescaped": LogFormat.compile('escape=none $time_iso8601 $remote_addr "$request" $status "$http_user_agent"'),
}
STAMP = "23/Nov/2026:10:01:48 +0000"
REAL = [
    *(shape.format(client="10.0.0.1", stamp=STAMP, number=17, status=403).encode() for shape in SHAPES),
    *MALFORMED[:5],
    b'{"t":"2026-11-23T10:01:48+00:00","ip":"1.1.1.1","req":"GET /" HTTP/1.1","s":200,"b":2,"ua":"","ref":"","rt":0.1}',
    b'1795428108.000 200 GET /" HTTP/1.1 10.0.0.1',
    b'2026-11-23T10:01:48+00:00 10.0.0.1 "GET /" HTTP/1.1" 200 "u"a"',
    (
        b'2026/11/23 10:01:48 [error] 7#7: *56 limiting requests, excess: 3.945 by zone "auth", client: 127.0.0.1,'
        b' server: example.org, request: "GET /api/ HTTP/2.0", host: "example.org"'
    ),
    b"2026-11-23 10:01:48,123 ERROR synk.views Internal Server Error: /api/tasks/17/",
    b"Traceback (most recent call last):",
    b'  File "/app/views.py", line 12, in get',
    b"ValueError: no such thing",
    b'{"level": "error", "msg": "boom", "exception": "Traceback\\nValueError: x", "timestamp": 1795428108}',
    b'level=warning msg="slow query" ts=2026-11-23T10:01:48Z',
    b'172.18.0.5:43210 - "GET /api/tasks/ HTTP/1.1" 500 Internal Server Error',
    b'[23/Nov/2026 10:01:48] "GET /health/ HTTP/1.1" 200 2',
    b'2026-11-23 10:01:28.631 UTC [217] FATAL:  password authentication failed for user "postgres"',
    b'2026-11-23 10:01:28.631 UTC [217] DETAIL:  Connection matched pg_hba.conf line 85: "local all"',
    b"2026-11-23 10:01:28.631 UTC [1] LOG:  server process (PID 26672) was terminated by signal 9: Killed",
    b"2026-11-23T15:35:30.000000001Z a line of a container",
    b"\x01\x00\x00\x00\x00\x00\x00\x21" + b"2026-11-23T15:35:30.000000001Z hi",
    b"\x02\x00\x00\x00\x00\x00\x00\x05hello",
]
PIECES = [
    b'"',
    b"\\",
    b'\\"',
    b"\\x",
    b"\0",
    b"\n",
    b"\r",
    b"\xff",
    b"\xe2\x80\xa8",
    b" ",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
]
PIECES += [b":  ", b"-", b"9" * 20, b"9" * 400, b"+9999", b"0000", b"Z", b"\x1b[31m", b"\t", b'" ' * 9, NAME.encode()]
EDITS = st.tuples(
    st.integers(0, 400), st.integers(0, 12), st.sampled_from(PIECES) | st.sampled_from(REAL) | st.binary(max_size=4)
)


def edited(line: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in edits:
        begin = place % (len(line) + 1)
        line = line[:begin] + piece + line[begin + length :]
    return line


LINES = st.lists(
    st.builds(edited, st.sampled_from(REAL), st.lists(EDITS, max_size=4)) | st.binary(max_size=120), max_size=12
)


def with_format(fmt: LogFormat, lines: Sequence[bytes]) -> None:
    for line in lines:
        access = fmt.parse(line)
        if access is not None:
            assert 0 <= access.status <= 999
            assert len(masked_path(access.target)) <= 2000
            access.at.timestamp()


def with_error_log(lines: Sequence[bytes]) -> None:
    for line in lines:
        error_log.parse(line, UTC)
    for refusal in error_log.limited(lines, UTC):
        assert refusal.excess >= 0


def written(lines: Sequence[bytes]) -> list[LogLine]:
    return [
        LogLine(AT + timedelta(seconds=number) if number % 5 else None, "stdout" if number % 3 else "stderr", text)
        for number, line in enumerate(lines)
        for text in line.decode("utf-8", "replace").split("\n")
    ]


def with_application_log(lines: Sequence[bytes]) -> None:
    found = list(application_log.records(written(lines)))
    assert len(found) <= len(written(lines))
    application_log.count_errors(found, client_errors=[re.compile("NotFound")])


def with_container_log(lines: Sequence[bytes]) -> None:
    for tty in (False, True):
        for timestamps in (False, True):
            for line in container_log.lines([*lines, b"\n", *lines], tty=tty, timestamps=timestamps):
                assert len(line.text) <= container_log.LINE_LIMIT


def with_database_log(lines: Sequence[bytes]) -> None:
    found = database_log.read(written(lines), ignore=[re.compile("user")])
    assert found.lines == len(written(lines))


def scanned(data: bytes, *, packed: bool, blocks: bool, window: Window | None, fmt: LogFormat) -> Scanned:
    job = Job(packed, 0, len(data), window, Questions(), fmt.pattern, fmt.escape, blocks)
    return scan(io.BytesIO(data), job, lambda: False)


def with_access_scan(lines: Sequence[bytes]) -> None:
    data = b"\n".join(lines)
    window = Window(*(int(datetime(2026, 11, 23, hour, tzinfo=UTC).timestamp()) * 1000 for hour in (10, 11)))
    for cut in (None, window):
        wanted = scanned(data, packed=False, blocks=False, window=cut, fmt=COMBINED)
        assert scanned(data, packed=False, blocks=True, window=cut, fmt=COMBINED) == wanted
        packed = scanned(gzip.compress(data, 1), packed=True, blocks=True, window=cut, fmt=COMBINED)
        assert (packed.counts, packed.rest, packed.size) == (wanted.counts, wanted.rest, len(data))
        scanned(data, packed=True, blocks=True, window=cut, fmt=COMBINED)
        timed = scanned(data, packed=False, blocks=False, window=cut, fmt=FORMATS["timed"])
        assert scanned(data, packed=False, blocks=True, window=cut, fmt=FORMATS["timed"]) == timed


def with_blocks(lines: Sequence[bytes]) -> None:
    """The same as one block, with other needles."""
    questions = Questions(probes=("GET", "403"), login_paths=("/t",), admin_paths=("/",))
    block = b"\n".join(lines) + b"\n"
    found: list[Counts] = []
    for quick in (False, True):
        tally = Tally(questions)
        counter = LineCounter(tally, COMBINED.parse, None)
        in_blocks = BlockCounter(counter, np, finder((NAME.encode(), *questions.needles())))
        (in_blocks if quick else counter).block(block)
        found.append(tally.result())
    assert found[0] == found[1]


READERS: dict[str, Callable[[Sequence[bytes]], None]] = {
    **{f"format-{name}": partial(with_format, fmt) for name, fmt in FORMATS.items()},
    "error-log": with_error_log,
    "application-log": with_application_log,
    "container-log": with_container_log,
    "database-log": with_database_log,
    "access-scan": with_access_scan,
    "access-blocks": with_blocks,
}


@pytest.mark.parametrize("name", READERS)
def test_no_line_makes_it_raise(name: str) -> None:
    read = READERS[name]
    examples = 2000 if MINUTES else 120

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(LINES)
    def one_round(lines: list[bytes]) -> None:
        read(lines)

    ends = time.monotonic() + MINUTES * 60 / len(READERS)
    one_round()
    while time.monotonic() < ends:
        one_round()
