r"""Refusals by a limit are read from nginx's error log, and nothing else is taken for one.

The lines are what nginx 1.22 was seen to write.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observe.error_log import ErrorLine, Limited, limited, parse, read_error_log
from observe.log_format import parse as parse_access

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 11, 23, 10, 1, 48, tzinfo=UTC)
LINE = (
    b'2026/11/23 10:01:48 [error] 747#747: *56 limiting requests, excess: 3.945 by zone "auth", client: 127.0.0.1,'
    b' server: example.org, request: "GET /api/auth/logout/ HTTP/2.0", host: "example.org"'
)
REQUEST = b"GET /api/auth/logout/ HTTP/2.0"


def only(line: bytes) -> Limited:
    (found,) = limited([line], UTC)
    return found


def test_a_refusal_is_read_whole() -> None:
    assert only(LINE) == Limited("127.0.0.1", AT, "GET /api/auth/logout/ HTTP/2.0", "auth", 3.945)


@pytest.mark.parametrize(
    ("line", "request_line"),
    [
        (LINE + b', referrer: "http://r/\\"x", host: \\"e"', "GET /api/auth/logout/ HTTP/2.0"),
        (LINE.replace(b', host: "example.org"', b""), "GET /api/auth/logout/ HTTP/2.0"),
        (LINE.replace(b', host: "', b', upstream: "http://b/", host: "'), "GET /api/auth/logout/ HTTP/2.0"),
        (LINE.replace(REQUEST, b'GET /?a="b",host:"c\xff\xc3\xa4\\ HTTP/1.1'), 'GET /?a="b",host:"c\\xffä\\ HTTP/1.1'),
        (LINE.replace(b"example.org, request", b", request"), "GET /api/auth/logout/ HTTP/2.0"),
        (LINE.replace(b"*56 ", b"").replace(b"[error]", b"[warn]"), "GET /api/auth/logout/ HTTP/2.0"),
        (LINE + b"\n", "GET /api/auth/logout/ HTTP/2.0"),
    ],
)
def test_the_request_ends_where_it_ends(line: bytes, request_line: str) -> None:
    assert only(line).request == request_line


def test_a_line_that_was_cut_has_the_beginning_of_its_request() -> None:
    line = LINE.replace(REQUEST, b"GET /" + b"L" * 5000)[:2047]
    found = only(line).request
    assert found == "GET /" + "L" * (len(found) - 5)
    assert len(found) > 1500


def test_ipv6_clients_are_known() -> None:
    assert only(LINE.replace(b"127.0.0.1", b"2001:db8::1")).client == "2001:db8::1"


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace(b"limiting requests, excess", b"limiting requests, dry run, excess"),
        LINE.replace(b"limiting requests, excess", b"delaying request, excess"),
        LINE.replace(b'limiting requests, excess: 3.945 by zone "auth"', b'limiting connections by zone "addr"'),
        (
            b"2026/11/23 10:01:48 [error] 747#747: *1 connect() failed (111: Connection refused) while connecting to"
            b' upstream, client: 1.2.3.4, server: _, request: "GET /limiting requests, excess: 1 HTTP/1.1"'
        ),
        LINE.replace(b"2026/11/23", b"2026/13/23"),
        b"limiting requests, excess",
        b"",
    ],
)
def test_what_was_not_refused_is_none(line: bytes) -> None:
    assert list(limited([line], UTC)) == []


def test_times_are_in_the_zone_of_the_access_log() -> None:
    access = parse_access(b'1.1.1.1 - - [23/Nov/2026:10:01:48 +0530] "GET / HTTP/1.1" 503 0 "-" "-"')
    assert access is not None
    assert access.at.tzinfo is not None
    (found,) = limited([LINE], access.at.tzinfo)
    assert found.at == access.at == AT - timedelta(hours=5, minutes=30)


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from([LINE, LINE[:100], b"limiting requests, excess", b'"', b", host: ", b"2026/11/23 10:01:48 "])
        | st.binary(max_size=4),
        max_size=8,
    ).map(b"".join)
)
def test_no_line_makes_it_raise(line: bytes) -> None:
    list(limited([line], UTC))
    parse(line, UTC)


@pytest.mark.parametrize(
    "hostile", [LINE + b'", host: ' * 8000, LINE[:100] + b", server: " * 8000, b"limiting " * 9000]
)
def test_no_line_takes_long(hostile: bytes) -> None:
    begin = time.process_time()
    list(limited([hostile], UTC))
    assert time.process_time() - begin < 0.5


def test_a_window_of_the_error_log_is_read_across_rotation(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=2))
    now = AT.replace(tzinfo=zone)
    for name, hours in (("error.log", (3, 2, 1)), ("error.log.1", (30, 20, 10))):
        lines = [
            LINE.replace(b"2026/11/23 10:01:48", f"{now - timedelta(hours=h):%Y/%m/%d %H:%M:%S}".encode())
            for h in hours
        ]
        (tmp_path / name).write_bytes(b"\n".join([*lines, b"no time\n"]))
    reading = read_error_log(tmp_path / "error.log", now - timedelta(hours=24), now, zone=zone)
    found = list(reading)
    assert [now - line.at for line in found] == [timedelta(hours=hours) for hours in (20, 10, 3, 2, 1)]
    assert len(list(limited((line.raw for line in found), zone))) == 5
    assert reading.unparsed == 2
    assert isinstance(found[0], ErrorLine)
