r"""Requests come out of the access log as nginx wrote them, from every file that a window needs.

The lines are what nginx 1.22 was seen to write for requests made to upset it.
"""

from __future__ import annotations

import gzip
import itertools
import os
import random
import time
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observe.access_log import (
    COMBINED,
    DISORDER,
    Access,
    FileEntry,
    LocalFiles,
    LogFormat,
    Reading,
    masked_path,
    parse,
    read_window,
)
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path, PurePath

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


# --- windows over files -------------------------------------------------------------------------------------------


def line_at(at: datetime, number: int = 0) -> bytes:
    return (
        f'10.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S %z}] "GET /{number}?{"x" * 100} HTTP/1.1" 200 5 "-" "agent"\n'
    ).encode()


def log_of(hours: Sequence[float], first: int = 0) -> bytes:
    """Lines that many hours before `AT`; each target has the line's number."""
    return b"".join(line_at(AT - timedelta(hours=ago), first + i) for i, ago in enumerate(hours))


def spread(begin: float, end: float, lines: int) -> list[float]:
    return [begin + (end - begin) * i / lines for i in range(lines)]


def window(path: Path, hours: float, **more: object) -> Reading[Access]:
    return read_window(path, AT - timedelta(hours=hours), AT, **more)  # type: ignore[arg-type]


def numbers(reading: Reading[Access]) -> list[int]:
    return [int(access.target[1:].split("?")[0]) for access in reading]


def pack(path: Path) -> None:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """A log of four days: two plain files and two packed ones, 100 lines a day."""
    for day, name in enumerate(["access.log", "access.log.1", "access.log.2", "access.log.3"]):
        log = tmp_path / name
        log.write_bytes(log_of(spread(24 * (day + 1), 24 * day, 100), first=100 * (3 - day)))
        if day > 1:
            pack(log)
    (tmp_path / "admin_access.log").write_bytes(log_of([1]))
    (tmp_path / "access.log.bak").write_bytes(log_of([1]))
    (tmp_path / "access.logs").mkdir()
    return tmp_path / "access.log"


@pytest.mark.parametrize(
    ("hours", "files"),
    [
        (2, ["access.log"]),
        (30, ["access.log", "access.log.1"]),
        (49, ["access.log", "access.log.1", "access.log.2.gz"]),
        (1000, ["access.log", "access.log.1", "access.log.2.gz", "access.log.3.gz"]),
    ],
)
def test_a_window_is_read_from_as_many_files_as_it_takes(rotated: Path, hours: int, files: list[str]) -> None:
    reading = window(rotated, hours)
    wanted = [number for number in range(400) if (400 - number) * 0.24 <= hours]
    assert numbers(reading) == wanted
    assert reading.files == files
    assert (reading.lines, reading.unparsed) == (len(wanted), 0)
    assert reading.earliest == AT - timedelta(hours=24 * len(files))


@pytest.mark.parametrize(
    "names",
    [
        ["access.log-20261122", "access.log-20261121.gz", "access.log-20261120.gz"],
        ["access.log.2026-11-22", "access.log.2026-11-21", "access.log.2026-11-20"],
        ["access-20261122.log", "access-20261121.log.gz", "access-20261120.log.gz"],
        ["access.log-2026112200.gz", "access.log-2026112100.gz", "access.log-2026112000.gz"],
        ["access.log-20261122", "access.log.1", "access.log.2.gz"],
    ],
)
def test_every_way_of_naming_rotated_files_is_known(rotated: Path, names: list[str]) -> None:
    for old, new in zip(["access.log.1", "access.log.2.gz", "access.log.3.gz"], names, strict=True):
        data = (rotated.parent / old).read_bytes()
        (rotated.parent / old).unlink()
        packed = old.endswith(".gz")
        if packed and not new.endswith(".gz"):
            data = gzip.decompress(data)
        (rotated.parent / new).write_bytes(gzip.compress(data) if new.endswith(".gz") and not packed else data)
    reading = window(rotated, 1000)
    assert numbers(reading) == list(range(400))
    assert reading.files == ["access.log", *names]


def test_right_after_a_rotation_the_window_is_in_the_rotated_file(rotated: Path) -> None:
    rotated.write_bytes(b"")
    (rotated.parent / "access.log.1").write_bytes(log_of(spread(24, 0, 100)))
    assert len(numbers(window(rotated, 12))) == 50


def test_the_end_of_a_window_is_an_end(rotated: Path) -> None:
    reading = read_window(rotated, AT - timedelta(hours=30), AT - timedelta(hours=20))
    assert numbers(reading) == [number for number in range(400) if 20 <= round((400 - number) * 0.24, 9) <= 30]


def test_a_log_that_does_not_reach_back_says_so(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(log_of(spread(3, 0, 10)))
    reading = window(tmp_path / "access.log", 8)
    assert len(numbers(reading)) == 10
    assert reading.earliest == AT - timedelta(hours=3)


def test_lines_of_other_shapes_are_counted_and_shown(tmp_path: Path) -> None:
    garbage = b"garbage \xff\x00 one\n" * 5 + b"x" * 5000 + b"\n\n"
    (tmp_path / "access.log").write_bytes(log_of([2, 1]) + garbage + log_of([0]))
    reading = window(tmp_path / "access.log", 8)
    assert len(numbers(reading)) == 3
    assert (reading.lines, reading.unparsed) == (9, 6)
    assert reading.unparsed_examples == ["garbage \\xff\x00 one"] * 3


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with log.open("wb") as file:
        file.write(log_of([2]))
        for _ in range(200):
            file.write(b"x" * 100_000)
        file.write(b"\n" + log_of([1]))
    tracemalloc.start()
    try:
        reading = window(log, 8)
        assert len(numbers(reading)) == 2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reading.unparsed == 1
    assert peak < 4 * 1024 * 1024


def test_a_line_that_is_still_being_written_is_no_broken_one(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(log_of([2, 1])[:-20])
    reading = window(tmp_path / "access.log", 8)
    assert (len(numbers(reading)), reading.unparsed) == (1, 0)


def test_a_last_line_that_only_lacks_its_newline_counts(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(log_of([2, 1])[:-1])
    assert len(numbers(window(tmp_path / "access.log", 8))) == 2


def test_the_hole_of_a_truncated_log_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(b"\0" * 1_000_000 + log_of([2, 1]))
    reading = window(tmp_path / "access.log", 8)
    assert (len(numbers(reading)), reading.unparsed) == (2, 0)


def test_a_damaged_packed_file_is_read_as_far_as_it_goes_and_named(rotated: Path) -> None:
    packed = rotated.parent / "access.log.2.gz"
    packed.write_bytes(packed.read_bytes()[:-30])
    reading = window(rotated, 60)
    found = numbers(reading)
    assert 150 in found
    assert set(range(200, 400)) < set(found) < set(range(150, 400))
    assert reading.damaged == ["access.log.2.gz"]
    packed.write_bytes(b"this is no gzip")
    reading = window(rotated, 60)
    assert numbers(reading) == list(range(200, 400))
    assert reading.damaged == ["access.log.2.gz"]


def test_a_packing_that_nobody_here_can_read_is_named(rotated: Path) -> None:
    (rotated.parent / "access.log.2.gz").rename(rotated.parent / "access.log.2.zst")
    reading = window(rotated, 60)
    assert len(numbers(reading)) == 200
    assert reading.unread == ["access.log.2.zst: no reader for .zst"]


def test_a_file_being_packed_is_read_once(rotated: Path) -> None:
    (rotated.parent / "access.log.1.gz").write_bytes(gzip.compress(b"half")[:9])
    assert numbers(window(rotated, 1000)) == list(range(400))


def test_one_file_under_two_names_is_read_once(rotated: Path) -> None:
    os.link(rotated.parent / "access.log.1", rotated.parent / "access.log-20261122")
    assert numbers(window(rotated, 1000)) == list(range(400))


class Meddling(LocalFiles):
    """Files to which something happens at the n-th opening."""

    def __init__(self, at: int, what: object) -> None:
        self._left = at
        self._what = what

    def open_binary(self, path: PurePath) -> BinaryIO:
        self._left -= 1
        if self._left == 0:
            self._what()  # type: ignore[operator]
        return super().open_binary(path)


def rotate(path: Path, *, then: bytes = b"") -> None:
    """What logrotate does with `delaycompress`."""
    directory = path.parent
    for number in (3, 2):
        if (directory / f"{path.name}.{number}.gz").exists():
            (directory / f"{path.name}.{number}.gz").rename(directory / f"{path.name}.{number + 1}.gz")
    (directory / f"{path.name}.1").rename(directory / f"{path.name}.2")
    pack(directory / f"{path.name}.2")
    path.rename(directory / f"{path.name}.1")
    path.write_bytes(then)


@pytest.mark.parametrize("opening", [1, 2, 3, 4])
def test_a_rotation_while_files_are_opened_neither_loses_nor_repeats_a_line(rotated: Path, opening: int) -> None:
    files = Meddling(opening, lambda: rotate(rotated))
    assert numbers(window(rotated, 1000, files=files)) == list(range(400))


def test_a_rotation_while_lines_are_read_neither_loses_nor_repeats_a_line(rotated: Path) -> None:
    reading = window(rotated, 1000)
    accesses = iter(reading)
    some = [next(accesses) for _ in range(5)]
    with rotated.open("ab") as log:
        log.write(log_of([0]))  # written meanwhile: not part of what was there
    rotate(rotated, then=log_of([0]))
    assert len(some) + len(list(accesses)) == 400


def test_a_log_that_is_rotated_again_and_again_is_not_told(rotated: Path) -> None:
    class Restless(LocalFiles):
        def open_binary(self, path: PurePath) -> BinaryIO:
            rotate(rotated)
            return super().open_binary(path)

    with pytest.raises(CannotTell, match="rotated again and again"):
        numbers(window(rotated, 1, files=Restless()))


def test_a_log_cut_while_it_is_read_is_named(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(log_of(spread(8, 0, 4000)))
    reading = window(log, 9)
    accesses = iter(reading)
    next(accesses)
    os.truncate(log, 0)
    assert len(list(accesses)) < 3999
    assert reading.shrunk == ["access.log"]


def test_a_missing_log_can_not_be_told(rotated: Path) -> None:
    rotated.unlink()
    with pytest.raises(CannotTell, match="there is no file") as caught:
        numbers(window(rotated, 1))
    assert str(rotated) in caught.value.what
    assert str(rotated) in caught.value.mend


def test_a_missing_directory_can_not_be_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="there is no file"):
        numbers(window(tmp_path / "nowhere" / "access.log", 1))


class Forbidden(LocalFiles):
    """Files of which one may not be opened, or the directory not be listed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def open_binary(self, path: PurePath) -> BinaryIO:
        if path.name == self._name:
            raise PermissionError(13, "Permission denied", str(path))
        return super().open_binary(path)

    def list(self, directory: PurePath) -> Sequence[FileEntry]:
        if directory.name == self._name:
            raise PermissionError(13, "Permission denied", str(directory))
        return super().list(directory)


def test_a_log_that_may_not_be_read_can_not_be_told(rotated: Path) -> None:
    for name in ("access.log", "access.log.1"):
        with pytest.raises(CannotTell, match="may not be read") as caught:
            numbers(window(rotated, 30, files=Forbidden(name)))
        assert str(rotated.parent / name) in caught.value.mend
    assert len(numbers(window(rotated, 10, files=Forbidden("access.log.1")))) == 41


def test_a_directory_that_may_not_be_listed_leaves_the_log_itself(rotated: Path) -> None:
    reading = window(rotated, 60, files=Forbidden(rotated.parent.name))
    assert numbers(reading) == list(range(300, 400))
    assert reading.unread == ["rotated files of access.log: the directory may not be listed"]


def test_a_pipe_or_a_directory_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "access.log")
    (tmp_path / "error.log").mkdir()
    for name in ("access.log", "error.log"):
        with pytest.raises(CannotTell, match="is no regular file"):
            numbers(window(tmp_path / name, 1))
        with pytest.raises(OSError, match="regular file"):
            LocalFiles().open_binary(tmp_path / name)


def test_every_file_is_closed_again(rotated: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = opened()
    numbers(window(rotated, 1000))
    abandoned = iter(window(rotated, 1000))
    next(abandoned)
    del abandoned
    with pytest.raises(CannotTell):
        numbers(window(rotated, 1000, files=Forbidden("access.log.3.gz")))
    assert opened() == before


def disordered(hours: list[float]) -> Iterator[float]:
    """Out of order by as much as workers with buffered logs are."""
    chance = random.Random(len(hours))  # noqa: S311
    for ago in sorted(hours, reverse=True):
        yield max(0.0, ago + chance.uniform(-0.4, 0.4) * DISORDER / timedelta(hours=1))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 24), max_size=300), min_size=1, max_size=4),
    st.floats(0, 100),
    st.floats(0, 100),
    st.sampled_from([timedelta(0), timedelta(hours=5, minutes=30), timedelta(hours=-8)]),
)
def test_a_window_has_the_lines_that_a_plain_search_finds(
    tmp_path_factory: pytest.TempPathFactory,
    days: list[list[float]],
    one: float,
    other: float,
    offset: timedelta,
) -> None:
    directory = tmp_path_factory.mktemp("logs")
    every = []
    numbered = itertools.count()
    for day, hours in reversed(list(enumerate(days))):
        lines = [(AT - timedelta(hours=24 * day + ago), next(numbered)) for ago in disordered(hours)]
        every += lines
        data = b"".join(line_at(at.astimezone(timezone(offset)), number) for at, number in lines)
        name = f"access.log.{day}" if day else "access.log"
        (directory / name).write_bytes(data)
        if day > 1:
            pack(directory / name)
    since, until = sorted((AT - timedelta(hours=one), AT - timedelta(hours=other)))
    found = numbers(read_window(directory / "access.log", since, until))
    wanted = [number for at, number in every if since <= at.replace(microsecond=0) <= until]
    assert found == wanted


def test_a_large_log_is_not_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(log_of(spread(240, 0, 60_000)))
    asked = 0

    class Counting(LocalFiles):
        def open_binary(self, path: PurePath) -> BinaryIO:
            handle = super().open_binary(path)
            read_on = handle.read

            class Counted:
                def read(self, size: int = -1) -> bytes:
                    nonlocal asked
                    data = read_on(size)
                    asked += len(data)
                    return data

                def __getattr__(self, name: str) -> object:
                    return getattr(handle, name)

            return Counted()  # type: ignore[return-value]

    assert len(numbers(window(log, 1, files=Counting()))) == 250
    assert asked < log.stat().st_size / 10
