r"""Requests come out of a line as nginx wrote them, whatever its format and whoever sent them.

The lines are what nginx 1.22 was seen to write for requests made to upset it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observe.log_format import COMBINED, Access, LogFormat, masked_path, parse

AT = datetime(2026, 11, 23, 10, 1, 48, tzinfo=UTC)
STAMP = "[23/Nov/2026:10:01:48 +0000]"
PLAIN = f'127.0.0.1 - - {STAMP} "GET /api/auth/logout/ HTTP/2.0" 503 197 "-" "curl/7.88.1"'


def read(line: str | bytes, fmt: LogFormat = COMBINED) -> Access:
    access = fmt.parse(line.encode() if isinstance(line, str) else line)
    assert access is not None
    return access


def test_a_combined_line_is_read_whole() -> None:
    assert read(PLAIN) == Access(
        client="127.0.0.1",
        at=AT,
        method="GET",
        target="/api/auth/logout/",
        protocol="HTTP/2.0",
        status=503,
        size=197,
        referer="",
        agent="curl/7.88.1",
        request_time=None,
        request="GET /api/auth/logout/ HTTP/2.0",
    )


@pytest.mark.parametrize(
    ("logged", "method", "target", "protocol"),
    [
        (r"GET /a\x22b\x5Cc%22 HTTP/1.1", "GET", '/a"b\\c%22', "HTTP/1.1"),
        (r"GET /\xFF\xFE\xC3\xA4?x=1&y=\x22z\x22 HTTP/1.1", "GET", '/\\xff\\xfeä?x=1&y="z"', "HTTP/1.1"),
        ("GET /sp ace HTTP/1.1", "GET", "/sp ace", "HTTP/1.1"),
        ("GET /old", "GET", "/old", ""),
        ("GET", "GET", "", ""),
        ("VERSION-CONTROL / HTTP/1.1", "VERSION-CONTROL", "/", "HTTP/1.1"),
        (r"\x16\x03\x01\x02\x00\x01\x22\x5Cabc", "", "", ""),
        ("-", "", "", ""),
        ("", "", "", ""),
    ],
)
def test_a_request_is_read_whatever_the_client_sent(logged: str, method: str, target: str, protocol: str) -> None:
    access = read(f'::1 - - {STAMP} "{logged}" 400 0 "-" "-"')
    assert (access.client, access.method, access.target, access.protocol) == ("::1", method, target, protocol)


@pytest.mark.parametrize(("logged", "status"), [("000", 0), ("400", 400), ("499", 499), ("200", 200)])
def test_every_status_is_a_number(logged: str, status: int) -> None:
    assert read(PLAIN.replace("503", logged)).status == status


def test_a_user_name_leads_nobody_astray() -> None:
    line = PLAIN.replace("- - [", "- ev il [23/Nov/2020:00:00:00 +0000] x [", 1)
    assert read(line).at == AT


@pytest.mark.parametrize(
    ("tail", "seconds"),
    [
        (" 0.123", 0.123),
        (' "1.2.3.4, \\x229.999\\x22" rt=0.200 urt=-', 0.2),
        (' "9.999" request_time=1.500', 1.5),
        (" request_time: 2.000", 2.0),
        (' "-"', None),
        (" 17", None),
        ("", None),
    ],
)
def test_a_request_time_behind_the_combined_fields_is_found(tail: str, seconds: float | None) -> None:
    assert read(PLAIN + tail).request_time == seconds


def test_the_offset_is_the_one_that_nginx_wrote() -> None:
    access = read(PLAIN.replace("10:01:48 +0000", "12:01:48 +0200"))
    assert access.at == AT
    assert access.at.utcoffset() == timedelta(hours=2)
    assert read(PLAIN.replace("10:01:48 +0000", "04:31:48 -0530")).at == AT


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\x00" * 100,
        b"GET / HTTP/1.1",
        PLAIN.encode()[:60],
        PLAIN.encode()[:-3],
        PLAIN.replace("Nov", "Nop").encode(),
        PLAIN.replace("23/", "32/").encode(),
        PLAIN.replace("+0000", "+9999").encode(),
        PLAIN.replace("10:01", "10:99").encode(),
        PLAIN.replace("197", "9" * 5000).encode(),
        PLAIN.replace("503", "5030").encode(),
    ],
)
def test_what_is_no_line_of_the_format_is_none(line: bytes) -> None:
    assert parse(line) is None


FORMATS = {
    "combined": COMBINED,
    "timed": LogFormat.compile(
        "log_format timed '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent'\n"
        '    \' "$http_referer" "$http_user_agent" $request_time\';'
    ),
    "main": LogFormat.compile(
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
        '"$http_user_agent" "$http_x_forwarded_for" rt=$request_time urt=$upstream_response_time h=$host'
    ),
    "json": LogFormat.compile(
        """log_format j escape=json '{"t":"$time_iso8601","ip":"$remote_addr","req":"$request","s":$status,'
        '"b":$body_bytes_sent,"ua":"$http_user_agent","ref":"${http_referer}","rt":$request_time}';"""
    ),
    "parts": LogFormat.compile("$msec $status $request_method $request_uri $server_protocol $remote_addr"),
    "unescaped": LogFormat.compile('escape=none $time_iso8601 $remote_addr "$request" $status "$http_user_agent"'),
}
LINES = {
    "timed": r'10.0.0.1 - a b [23/Nov/2026:10:01:48 +0000] "GET /\x22 HTTP/1.1" 200 2 "-" "u\x22a" 0.151',
    "main": r'10.0.0.1 - a b [23/Nov/2026:10:01:48 +0000] "GET /\x22 HTTP/1.1" 200 2 "-" "u\x22a" "1, 2" rt=0.151'
    " urt=0.001, 0.002 : 0.1 h=example.org",
    "json": r'{"t":"2026-11-23T10:01:48+00:00","ip":"10.0.0.1","req":"GET /\" HTTP/1.1","s":200,"b":2,'
    r'"ua":"u\"a","ref":"","rt":0.151}',
    "parts": '1795428108.000 200 GET /" HTTP/1.1 10.0.0.1',
    "unescaped": '2026-11-23T10:01:48+00:00 10.0.0.1 "GET /" HTTP/1.1" 200 "u"a"',
}


@pytest.mark.parametrize("name", LINES)
def test_a_format_is_read_as_nginx_writes_it(name: str) -> None:
    access = read(LINES[name], FORMATS[name])
    assert (access.client, access.at, access.status) == ("10.0.0.1", AT, 200)
    assert (access.method, access.target, access.protocol) == ("GET", '/"', "HTTP/1.1")
    if name != "parts":
        assert access.agent == 'u"a'
    if name in ("timed", "main", "json"):
        assert (access.size, access.request_time) == (2, 0.151)


def test_the_escapes_of_json_are_undone() -> None:
    line = LINES["json"].replace('u\\"a', r"tab\t bell\u0007 back\\slash nl\n")
    assert read(line, FORMATS["json"]).agent == "tab\t bell\x07 back\\slash nl\n"


@pytest.mark.parametrize("text", ["$remote_addr $status", "$time_local", "", "nothing", "$time_local $statuses"])
def test_a_format_without_time_or_status_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\$status and one of"):
        LogFormat.compile(text)


def test_combined_is_known_by_its_name() -> None:
    assert LogFormat.compile(" combined ") is COMBINED


SHAPED = st.lists(
    st.sampled_from(
        [b'"', b"\\", b"\\x", b"[", b"] ", b" - ", b" ", b"23/Nov/2026:10:01:48 +0000", b"200", b"-", b"{", b"\xff"]
    )
    | st.binary(max_size=5),
    max_size=40,
).map(b"".join)


@settings(deadline=None)
@given(st.binary(max_size=200) | SHAPED | st.tuples(SHAPED, st.sampled_from([PLAIN, *LINES.values()])).map(
    lambda both: both[1].encode().replace(b"GET /", b"GET /" + both[0])
))  # fmt: skip
@example(b"\xb2" * 20)
def test_no_bytes_make_it_raise(line: bytes) -> None:
    for fmt in FORMATS.values():
        access = fmt.parse(line)
        assert access is None or 0 <= access.status <= 999


def escaped(raw: bytes) -> bytes:
    return b"".join(b"\\x%02X" % one if one < 32 or one > 126 or one in b'"\\' else bytes((one,)) for one in raw)


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=20))
def test_whatever_a_client_sends_its_line_is_read(path: bytes, agent: bytes, user: bytes) -> None:
    line = b'1.1.1.1 - u%s [23/Nov/2026:10:01:48 +0000] "GET /%s HTTP/1.1" 200 5 "-" "a%s"' % tuple(
        map(escaped, (user, path, agent))
    )
    access = read(line)
    assert (access.at, access.status, access.method) == (AT, 200, "GET")
    assert access.target == "/" + path.decode("utf-8", "backslashreplace")
    assert access.agent == "a" + agent.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    "hostile",
    [
        '"' * 60_000,
        " " * 60_000,
        "1.1.1.1 - " + f"{STAMP} " * 2000,
        f'1.1.1.1 - - {STAMP} "' + "\\x" * 30_000,
        f'1.1.1.1 - - {STAMP} "' + '\\" 200 ' * 8000,
        f'1.1.1.1 - - {STAMP} "GET / HTTP/1.1" 200 5 "-" "x" ' + '"a" ' * 15_000,
        '{"t":"2026-11-23T10:01:48+00:00","ip":"1.1.1.1","req":"' + '","s":200,' * 6000,
        "2026-11-23T10:01:48+00:00 1.1.1.1 " + '"a" 200 ' * 7000,
    ],
    ids=lambda text: text[:20],
)
def test_no_line_takes_long(fmt: LogFormat, hostile: str) -> None:
    begin = time.process_time()
    fmt.parse(hostile.encode())
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize(
    ("target", "masked"),
    [
        ("/api/tasks/17/?page=3", "/api/tasks/{id}/"),
        ("/a/6f1c2b1e-8d5f-4a3b-9c2d-1e2f3a4b5c6d", "/a/{id}"),
        ("/a/0123abcd4567/b/12/13", "/a/{id}/b/{id}/{id}"),
        ("/v1/health-check/", "/v1/health-check/"),
        ("/accessed/feedface", "/accessed/feedface"),
        ("/a;jsessionid=1", "/a"),
        ("", ""),
        ("/" + "a" * 900, "/" + "a" * 199),
    ],
)
def test_ids_in_paths_are_masked(target: str, masked: str) -> None:
    assert masked_path(target) == masked
