"""Every figure of the access log is the same whichever way it is reckoned, and right."""

from __future__ import annotations

import gzip
import io
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observe import access_counts, access_figures, access_scan, access_worker, client_blocks, client_table, logins
from observe import routes as routes_module
from observe.access_counts import OTHERS, Questions
from observe.access_figures import Figures, figures
from observe.clients import client_of
from observe.errors import CannotTell
from observe.log_format import COMBINED, Access, LogFormat
from observe.rotated_log import FileEntry, LocalFiles
from proofs.observe.access_lines import AT, MALFORMED, SHAPES, line_at, log_of, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path, PurePath
    from subprocess import Popen
    from typing import BinaryIO

DAY = timedelta(days=1)
OPTIONAL = ("numpy", "isal", "hyperscan")
EVER = datetime(1999, 1, 1, tzinfo=UTC)
AFTER = datetime(2030, 1, 1, tzinfo=UTC)


def nobody(access: Access) -> bool:
    # Nobody is asked about lines that don't name this suite. Where a garbled one does, the fields may be without it.
    assert "synk-operations-checks" in str(access) or not (access.referer or access.agent)
    return False


def read(path: Path, since: datetime = EVER, until: datetime = AFTER, **more: object) -> Figures:
    wanted: dict[str, object] = {"own": nobody, "workers": 0, "questions": Questions(routes=True, clients=True)}
    return figures(path, since, until, **{**wanted, **more})  # type: ignore[arg-type]


def request(shape: int, at: datetime, number: int = 1, status: int = 404, client: str = "10.0.0.1") -> bytes:
    stamp = at.strftime("%d/%b/%Y:%H:%M:%S %z")
    return SHAPES[shape].format(client=client, stamp=stamp, number=number, status=status).encode()


def some_lines(seed: int, lines: int, begin: datetime) -> list[bytes]:
    """Lines of all shapes, a few seconds apart, most of them plain ones."""
    chance = random.Random(seed)  # noqa: S311
    found = []
    for number in range(lines):
        if chance.random() < 0.02:
            found.append(chance.choice(MALFORMED))
            continue
        shape = chance.randrange(4) if chance.random() < 0.8 else chance.randrange(len(SHAPES))
        status = chance.choice((200, 200, 304, 401, 403, 404, 429, 500))
        client = chance.choice(("10.0.0.1", "192.168.100.200", "2001:db8:85a3::8a2e:370:7334", "::1"))
        at = begin + timedelta(seconds=7 * number + chance.randrange(-60, 60))
        found.append(request(shape, at, number % 1000, status, client))
    return found


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Three days of a log of all shapes: a plain file and two packed ones."""
    for day in range(3):
        data = b"\n".join(some_lines(day, 1500, AT - (day + 1) * DAY)) + b"\n"
        if day:
            (tmp_path / f"access.log.{day}.gz").write_bytes(gzip.compress(data))
        else:
            (tmp_path / "access.log").write_bytes(data)
    return tmp_path / "access.log"


def test_a_connection_that_became_a_websocket_took_no_time_to_answer(tmp_path: Path) -> None:
    line = '10.0.0.1 - - [23/Nov/2026:10:01:48 +0000] "GET /ws/ HTTP/1.1" {} 12 "-" "x" {}\n'
    log = tmp_path / "access.log"
    log.write_text((line.format(101, "3600.000") + line.format(200, "0.020")) * 50_000, encoding="ascii")
    for blocks in (False, True):
        found = read(log, blocks=blocks)
        assert (found.counts.times, found.counts.untimed) == ({20: 50_000}, 50_000)
        assert found.by_status == {101: 50_000, 200: 50_000}


def every_line(path: Path) -> Iterator[bytes]:
    for name in sorted(path.parent.iterdir(), reverse=True):
        data = name.read_bytes()
        yield from (gzip.decompress(data) if name.suffix == ".gz" else data).split(b"\n")


def test_the_figures_are_what_a_naive_reader_counts(mixed: Path) -> None:
    found = read(mixed)
    lines = [line for line in every_line(mixed) if line.strip(b"\0")]
    accesses = [access for access in map(COMBINED.parse, lines) if access]
    assert (found.counts.lines, found.requests) == (len(lines), len(accesses))
    assert found.counts.unparsed == len(lines) - len(accesses)
    assert len(found.counts.unparsed_examples) == 3
    assert found.by_status == Counter(access.status for access in accesses)
    hours = Counter((access.at.replace(minute=0, second=0), access.status) for access in accesses)
    assert {(hour, status): n for hour, row in found.by_hour.items() for status, n in row.items()} == hours
    times = Counter(
        round(access.request_time * 1000)
        for access in accesses
        if access.request_time is not None and access.status != 101
    )
    assert {ms: n for ms, n in found.counts.times.items() if ms < 60_000} == {
        ms: n for ms, n in times.items() if ms < 60_000
    }
    assert (found.timed, found.timed + found.counts.untimed) == (times.total(), len(accesses))
    probes = [access for access in accesses if any(t in access.request for t in (".php", ".jsp", "admin", "wp-"))]
    assert found.counts.probes == Counter(access.status for access in probes)
    assert len(found.counts.probe_examples) == 5
    assert {one.request for one in found.counts.probe_examples} <= {access.request for access in probes[-200:]}
    refused = Counter(
        client_of(access.client)
        for access in accesses
        if access.status in (401, 403) and access.target.startswith("/api/auth/login")
    )
    assert {client: one.total for client, one in found.refused.items()} == refused
    clients = Counter(client_of(access.client) for access in accesses)
    assert {client: one.requests for client, one in found.clients.items()} == clients
    for client, one in found.clients.items():
        theirs = [access for access in accesses if client_of(access.client) == client]
        digits = Counter(access.status // 100 if access.status < 600 else 0 for access in theirs)
        assert dict(enumerate(one.statuses)) == {digit: digits[digit] for digit in range(6)}
        of_day = Counter(access.at.astimezone(UTC).hour for access in theirs)
        assert dict(enumerate(one.hours)) == {hour: of_day[hour] for hour in range(24)}
        busy = Counter(int(access.at.timestamp()) // 3600 for access in theirs)
        # Requests that name this suite are judged apart: an hour of theirs that isn't among the busiest there is lost.
        assert all(busy[hour] - 5 <= number <= busy[hour] for hour, number in one.busiest)
        assert len(one.busiest) == min(8, len(busy))
    assert found.visitors == Counter(access.client for access in accesses if access.target.startswith("/admin/"))
    assert found.latest == max(access.at for access in accesses)
    assert found.earliest == COMBINED.parse(lines[0]).at  # type: ignore[union-attr]


def test_counting_in_blocks_gives_the_same_answers(mixed: Path) -> None:
    assert read(mixed, blocks=True) == read(mixed, blocks=False)


@pytest.mark.parametrize("missing", [(name,) for name in OPTIONAL] + [OPTIONAL], ids="+".join)
def test_without_an_optional_package_the_answers_are_the_same(
    mixed: Path, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = read(mixed, blocks=True)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    assert read(mixed, blocks=True) == wanted


@pytest.mark.parametrize(
    "questions",
    [
        Questions(probes=("tasks", "é"), login_paths=(), admin_paths=()),
        Questions(probes=('"',), login_paths=("/",), admin_paths=("/tasks", "/x")),
        Questions(probes=(), admin_paths=()),
        Questions(probes=("\\",)),
        Questions(probes=("", "x")),
        Questions(routes=True, refused_status=404),
        Questions(admin_paths=("",), login_paths=("",)),
        Questions(admin_paths=("/",), login_paths=("/tasks/", "/admin/"), clients=True, probes=()),
    ],
)
def test_whatever_is_asked_the_answers_are_the_same(mixed: Path, questions: Questions) -> None:
    assert read(mixed, questions=questions, blocks=True) == read(mixed, questions=questions, blocks=False)


def test_another_format_is_read_line_by_line(tmp_path: Path) -> None:
    fmt = LogFormat.compile('$remote_addr [$time_iso8601] "$request" $status $request_time')
    line = '10.0.0.1 [2026-11-23T10:01:4{}+01:00] "GET /admin/ HTTP/1.1" 200 0.0{}5\n'
    (tmp_path / "access.log").write_text("".join(line.format(n, n) for n in range(9)) * 1000, encoding="ascii")
    found = read(tmp_path / "access.log", fmt=fmt, blocks=True)
    assert (found.requests, found.percentile_ms(50), found.visitors) == (9000, 45, {"10.0.0.1": 9000})
    assert list(found.by_hour) == [datetime(2026, 11, 23, 9, tzinfo=UTC)]


MOMENTS = st.integers(-3 * 86400, 3600).map(lambda seconds: AT + timedelta(seconds=seconds))
OFFSETS = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-8))])
LINES = st.builds(
    lambda shape, at, zone, number, status, client: request(shape, at.astimezone(zone), number, status, client),
    st.integers(0, len(SHAPES) - 1),
    MOMENTS,
    OFFSETS,
    st.integers(0, 999),
    st.sampled_from([200, 401, 403, 404, 0, 500]).map(lambda status: status or 999),
    st.sampled_from(
        [
            "10.0.0.1",
            "10.0.0.2",
            "::1",
            "::2",
            "10.0.0.1\t",
            "2001:db8:85a3:1111:2222:8a2e:3700:7334",
            "2001:db8:85a3:1111::1",
            "::ffff:10.0.0.1",
            "x" * 45,
            "\x7f",
        ]
    ),
)


def mutated(line: bytes, place: int, piece: bytes, cut: int) -> bytes:
    place %= len(line) + 1
    return line[:place] + piece + line[place + cut :]


PIECES = st.sampled_from(
    [b'"', b"\\", b'\\"', b"\\\\", b"\0", b"\n", b"\xff", b" ", b"[", b"]", b"-", b"9", b":", b"\r", b'"' * 6]
) | st.binary(max_size=3)
MUTATED = st.builds(mutated, LINES, st.integers(0, 300), PIECES, st.integers(0, 4))
METHODS = st.sampled_from(["GET", "POST", "get", "M-SEARCH", "GET /", "?", "", "-"])
SEGMENTS = st.sampled_from(
    ["api", "tasks", "17", "", "a b", "x?y=1", "?", "%41", "a.js", "HTTP/1", ";", "e" * 190, "<id>"]
)
ROUTED = st.builds(
    lambda method, segments, protocol, status, ms: (
        f'10.0.0.1 - - [23/Nov/2026:10:01:48 +0000] "{method} /{"/".join(segments)}{protocol}" {status} 5 "-" "a" {ms}'
    ).encode(),
    METHODS,
    st.lists(SEGMENTS | st.from_regex(r"[a-d][0-9]?", fullmatch=True), max_size=10),
    st.sampled_from([" HTTP/1.1", " HTTP/2.0", " HTTP/1.1", "", " HTTP/1.", " HTTP/1.1 ", "?q HTTP/1.1", " HTTP/3"]),
    st.sampled_from([200, 200, 404, 429, 503, 101]),
    st.sampled_from(["0.001", "0.010", "0.600", "59.999", "61.001", "99999.999", "0.02", "rt=0.300", "-"]),
)
CONTENTS = st.lists(
    LINES | LINES | ROUTED | ROUTED | MUTATED | st.sampled_from(MALFORMED) | st.binary(max_size=80), max_size=40
)


def damaged(data: bytes, how: int, place: int) -> bytes:
    place %= max(1, len(data))
    if how == 1:
        return data[:place]
    if how == 2:
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    return data + (b"", b"", b"", b"\0\0", b"trailing")[how]


BY_VARIABLES = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
FORMATS = [COMBINED, LogFormat.compile(BY_VARIABLES), LogFormat.compile(BY_VARIABLES + " $request_time")]


@pytest.mark.parametrize("fmt", FORMATS, ids=["combined", "by variables", "timed"])
def test_formats_that_are_read_in_blocks_lose_nothing(mixed: Path, fmt: LogFormat) -> None:
    assert read(mixed, fmt=fmt, blocks=True) == read(mixed, fmt=fmt, blocks=False)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(CONTENTS, st.booleans(), st.integers(0, 4), st.integers(0, 10_000)), min_size=1, max_size=3),
    st.booleans(),
    MOMENTS,
    MOMENTS,
    st.sampled_from(["", *OPTIONAL]),
    st.sampled_from(FORMATS),
    st.sampled_from([500, 3000, 2**21]),
    st.sampled_from([(3, 9), (10, 6), (1000, 20_000)]),
    st.sampled_from([(2, 3), (4, 7), (20_000, 131_072)]),
)
def test_on_any_files_both_ways_give_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[list[bytes], bool, int, int]],
    whole: bool,
    one: datetime,
    other: datetime,
    missing: str,
    fmt: LogFormat,
    block: int,
    most: tuple[int, int],
    clients: tuple[int, int],
) -> None:
    directory = tmp_path_factory.mktemp("logs")
    for number, (lines, ends, how, place) in enumerate(files):
        data = b"\n".join(lines) + b"\n" * ends
        if number:
            (directory / f"access.log.{number}.gz").write_bytes(damaged(gzip.compress(data), how, place))
        else:
            (directory / "access.log").write_bytes(data)
    since, until = (EVER, AFTER) if whole else (min(one, other), max(one, other))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access_scan, "_BLOCK", block)
        patch.setattr(routes_module, "MOST_ROUTES", most[0])
        patch.setattr(routes_module, "MOST_TIMES", most[1])
        patch.setattr(access_counts, "MOST", clients[0])
        patch.setattr(access_figures, "MOST_CLIENTS_OF_ALL", clients[0] + 1)
        patch.setattr(client_blocks, "_REMEMBERED", clients[0])
        for module in (client_table, client_blocks):
            patch.setattr(module, "STRETCH", clients[1])
        wanted = read(directory / "access.log", since, until, fmt=fmt, blocks=False)
        if missing:
            patch.setitem(sys.modules, missing, None)
        assert read(directory / "access.log", since, until, fmt=fmt, blocks=True) == wanted


@pytest.mark.parametrize("block", [3000, 70_000])
def test_where_a_block_ends_changes_nothing(mixed: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = read(mixed)
    monkeypatch.setattr(access_scan, "_BLOCK", block)
    assert read(mixed) == wanted
    assert read(mixed, blocks=True) == wanted


def test_an_empty_line_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(b"\n\n" + request(6, AT) + b"\n\n")
    assert read(tmp_path / "access.log", blocks=True).requests == 1


def test_a_damaged_file_is_counted_as_far_as_it_goes_and_named(mixed: Path) -> None:
    packed = mixed.with_name("access.log.1.gz")
    packed.write_bytes(packed.read_bytes()[:-3000])
    found = read(mixed, blocks=True)
    assert found == read(mixed, blocks=False)
    assert found.damaged == ("access.log.1.gz",)
    assert 3000 < found.counts.lines < 4500


# --- windows ---


@pytest.mark.parametrize("blocks", [False, True])
def test_both_ends_of_a_window_are_in_it(tmp_path: Path, blocks: bool) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(line_at(AT + timedelta(seconds=n), n) for n in range(-300, 301)))
    for since, until, wanted in [
        (0, 0, 1),
        (-5, 5, 11),
        (-4.5, 5.5, 10),
        (-300, 300, 601),
        (-299, 299, 599),
        (301, 400, 0),
    ]:
        window = (AT + timedelta(seconds=since), AT + timedelta(seconds=until))
        found = read(log, *window, blocks=blocks)
        assert (found.requests, found.counts.lines) == (wanted, wanted)


@pytest.mark.parametrize("blocks", [False, True])
def test_lines_that_can_not_be_read_are_in_the_window_of_the_line_before(tmp_path: Path, blocks: bool) -> None:
    log = tmp_path / "access.log"
    bad = b"bad %d\n"
    log.write_bytes(
        bad % 0 + log_of([5]) + bad % 1 + log_of([3]) + bad % 2 + log_of([2]) + bad % 3 + log_of([1]) + bad % 4
    )
    found = read(log, AT - timedelta(hours=3), AT - timedelta(hours=2), blocks=blocks)
    assert (found.requests, found.counts.unparsed_examples) == (2, ["bad 2", "bad 3"])
    log.write_bytes(bad % 0 + bad % 1)
    assert read(log, AT - DAY, AT, blocks=blocks).counts.unparsed == 2
    (tmp_path / "access.log.1").write_bytes(log_of([48]))
    assert read(log, AT - DAY, AT, blocks=blocks).counts.unparsed == 2


# --- the suite's own requests ---


@pytest.mark.parametrize("blocks", [False, True])
def test_the_suite_is_left_out_and_who_pretends_to_be_it_is_not(tmp_path: Path, blocks: bool) -> None:
    log = tmp_path / "access.log"
    own = [request(26, AT, number) for number in range(20)]
    log.write_bytes(b"\n".join([*own, request(27, AT), request(3, AT), b"synk-operations-checks garbage"]) + b"\n")

    def ours(access: Access) -> bool:
        return access.agent.endswith(tuple(f"{number:032x})" for number in range(0, 20, 2)))

    cache = tmp_path / "figures.cache"
    for _ in range(2):
        found = read(log, blocks=blocks, own=ours, cache=cache)
        assert (found.own, found.requests, found.counts.unparsed) == (10, 12, 1)
        assert found.counts.probes == {404: 2}
    assert found.remembered == 1
    assert read(log, blocks=blocks, own=lambda _: False, cache=cache).requests == 22
    assert read(log, AT + DAY, AT + 2 * DAY, blocks=blocks, own=ours, cache=cache).own == 0


# --- processes ---


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_figures, "WORTH_WORKERS", 0)


@pytest.mark.usefixtures("eager")
def test_processes_of_their_own_give_the_same_answers(mixed: Path) -> None:
    assert read(mixed, workers=2) == read(mixed)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("program", ["/bin/false", "/bin/echo", "/nonexistent"])
def test_a_process_that_fails_costs_no_answer(mixed: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = read(mixed)
    monkeypatch.setattr(sys, "executable", program)
    assert read(mixed, workers=2) == wanted


@pytest.mark.usefixtures("eager")
def test_a_process_that_is_killed_costs_no_answer(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = read(mixed)
    started: list[Popen[bytes]] = []
    give = access_worker._Worker.give

    def give_and_kill(worker: access_worker._Worker, number: int, task: access_worker.Task) -> None:
        started.append(worker.process)
        give(worker, number, task)
        if len(started) == 2:
            worker.process.send_signal(signal.SIGKILL)

    monkeypatch.setattr(access_worker._Worker, "give", give_and_kill)
    assert read(mixed, workers=2) == wanted
    assert all(process.poll() is not None for process in started)


@pytest.mark.usefixtures("eager")
def test_giving_up_ends_the_processes(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int | None] = []
    end = access_worker._Worker.end

    def end_and_see(worker: access_worker._Worker) -> None:
        end(worker)
        ended.append(worker.process.returncode)

    monkeypatch.setattr(access_worker._Worker, "end", end_and_see)
    stop = threading.Event()
    stop.set()
    begin = time.monotonic()
    with pytest.raises(CannotTell, match="given up"):
        read(mixed, workers=2, stopped=stop.is_set)
    assert ended == [-signal.SIGKILL, -signal.SIGKILL]
    assert time.monotonic() - begin < 5
    with pytest.raises(CannotTell, match="given up"):
        read(mixed, workers=0, stopped=stop.is_set)


# --- what is remembered ---


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "figures.cache"


def same(one: Figures, other: Figures) -> bool:
    return msgspec.structs.asdict(one.counts) == msgspec.structs.asdict(other.counts)


def test_what_is_known_is_not_read_again(mixed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(mixed, cache=cache)
    assert (first.remembered, cache.stat().st_mode & 0o777) == (0, 0o600)
    monkeypatch.setattr(access_figures, "scan", None)
    second = read(mixed, cache=cache)
    assert (second.remembered, second.notes) == (3, ())
    assert same(first, second)


def test_of_a_file_that_grew_only_what_is_new_is_read(mixed: Path, cache: Path) -> None:
    read(mixed, cache=cache)
    more = b"\n".join(some_lines(9, 300, AT)) + b"\n" + request(3, AT)[:-40]
    for data in (more[:5000], more[5000:5001], more[5001:], b'" 200 5 "-" "-"\n'):
        with mixed.open("ab") as log:
            log.write(data)
        found = read(mixed, cache=cache)
        assert same(found, read(mixed))
        assert found.remembered == 2


@pytest.mark.parametrize("blocks", [False, True])
def test_what_is_written_after_the_window_hides_nothing_that_is_known(mixed: Path, cache: Path, blocks: bool) -> None:
    read(mixed, cache=cache)
    until = AT + timedelta(minutes=20)
    lines = [b"bad", *some_lines(5, 400, AT), b"bad"]
    for begin in range(0, len(lines), 100):
        with mixed.open("ab") as log:
            log.write(b"\n".join(lines[begin : begin + 100]) + b"\n")
        found = read(mixed, until=until, cache=cache, blocks=blocks)
        assert same(found, read(mixed, until=until))
    assert found.latest is not None
    assert until - timedelta(minutes=2) < found.latest <= until


def test_a_rotation_keeps_what_is_known(mixed: Path, cache: Path) -> None:
    read(mixed, cache=cache)
    mixed.with_name("access.log.2.gz").rename(mixed.with_name("access.log.3.gz"))
    mixed.with_name("access.log.1.gz").rename(mixed.with_name("access.log.2.gz"))
    mixed.rename(mixed.with_name("access.log.1"))
    mixed.write_bytes(log_of([0]))
    found = read(mixed, cache=cache)
    assert found.remembered == 3
    assert same(found, read(mixed))


def test_a_file_cut_and_written_anew_is_read_anew(mixed: Path, cache: Path) -> None:
    read(mixed, cache=cache)
    size = mixed.stat().st_size
    for lines in (50, 5000):
        with mixed.open("r+b") as log:
            log.truncate(0)
            log.write(log_of(spread(3, 0, lines)))
        assert (mixed.stat().st_size > size) == (lines == 5000)
        assert same(read(mixed, cache=cache), read(mixed))


def test_a_packed_file_that_changed_is_read_anew(mixed: Path, cache: Path) -> None:
    read(mixed, cache=cache)
    packed = mixed.with_name("access.log.1.gz")
    packed.write_bytes(gzip.compress(log_of([30])))
    found = read(mixed, cache=cache)
    assert found.remembered == 2
    assert same(found, read(mixed))


def test_other_questions_are_answered_anew(mixed: Path, cache: Path) -> None:
    read(mixed, cache=cache)
    questions = Questions(probes=("tasks",))
    found = read(mixed, cache=cache, questions=questions)
    assert found.remembered == 0
    assert same(found, read(mixed, questions=questions))
    assert read(mixed, cache=cache).remembered == 3
    assert read(mixed, cache=cache, questions=questions).remembered == 3


@pytest.mark.parametrize("hours", [(-1000, 1000), (-30, 1000), (-60, -30), (-47, -20), (-10, -5), (24, 48)])
def test_a_window_takes_what_is_known_only_if_it_lies_in_it(mixed: Path, cache: Path, hours: tuple[int, int]) -> None:
    read(mixed, cache=cache)
    window = [AT + timedelta(hours=n) for n in hours]
    assert same(read(mixed, *window, cache=cache), read(mixed, *window))
    assert same(read(mixed, *window, cache=cache, blocks=True), read(mixed, *window))


@pytest.mark.parametrize("place", [0, 5, 17, 30, -1])
def test_a_damaged_cache_is_thrown_away_and_said(mixed: Path, cache: Path, place: int) -> None:
    read(mixed, cache=cache)
    data = bytearray(cache.read_bytes())
    data[place] ^= 0x55
    cache.write_bytes(data)
    found = read(mixed, cache=cache)
    assert found.remembered == 0
    assert "damaged and is made anew" in found.notes[0]
    assert same(found, read(mixed))
    assert read(mixed, cache=cache).remembered == 3


def test_a_cache_of_another_shape_is_thrown_away(mixed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_bytes(b"")
    assert read(mixed, cache=cache).notes
    monkeypatch.setattr("observe.access_cache.SCHEMA", 99)
    assert read(mixed, cache=cache).remembered == 0


def test_a_cache_that_can_not_be_written_is_said(mixed: Path, cache: Path) -> None:
    found = read(mixed, cache=cache.parent / "nowhere" / "figures.cache")
    assert "can't be written" in found.notes[0]
    cache.mkdir()
    assert "can't be read" in read(mixed, cache=cache).notes[0]


def test_files_that_are_gone_are_forgotten(mixed: Path, cache: Path) -> None:
    read(mixed, cache=cache)
    size = cache.stat().st_size
    mixed.with_name("access.log.2.gz").unlink()
    assert read(mixed, cache=cache).remembered == 2
    assert cache.stat().st_size < size * 0.8
    week = read(mixed, AT - timedelta(hours=30), AFTER, cache=cache)
    assert week.files == ("access.log", "access.log.1.gz")
    assert read(mixed, cache=cache).remembered == 2


# --- rotation, and what can't be read ---


class Meddling(LocalFiles):
    """Files to which something happens after the n-th opening."""

    def __init__(self, left: int, what: Callable[[], None]) -> None:
        self._left = left
        self._what = what

    def open_binary(self, path: PurePath) -> BinaryIO:
        handle = super().open_binary(path)
        self._left -= 1
        if self._left == 0:
            self._what()
        return handle


@pytest.mark.parametrize("opening", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.usefixtures("eager")
def test_a_rotation_meanwhile_neither_loses_nor_repeats_a_line(mixed: Path, opening: int, workers: int) -> None:
    wanted = read(mixed)

    def rotate() -> None:
        mixed.with_name("access.log.2.gz").rename(mixed.with_name("access.log.3.gz"))
        mixed.with_name("access.log.1.gz").rename(mixed.with_name("access.log.2.gz"))
        mixed.rename(mixed.with_name("access.log.1"))
        mixed.write_bytes(b"")

    found = read(mixed, workers=workers, files=Meddling(opening, rotate))
    assert same(found, wanted)


class Elsewhere(LocalFiles):
    """Files without a descriptor here, such as another machine's."""

    def open_binary(self, path: PurePath) -> BinaryIO:
        return io.BytesIO(super().open_binary(path).read())

    def list(self, directory: PurePath) -> list[FileEntry]:
        return [entry._replace(inode=0) for entry in super().list(directory)]


@pytest.mark.usefixtures("eager")
def test_files_elsewhere_are_read_too(mixed: Path, cache: Path) -> None:
    for _ in range(2):
        found = read(mixed, files=Elsewhere(), cache=cache, workers=2)
        assert same(found, read(mixed))
        assert found.remembered == 0


def test_a_missing_log_can_not_be_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="there is no file"):
        read(tmp_path / "access.log")


def test_every_file_is_closed_again(mixed: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    read(mixed, blocks=True)
    read(mixed, workers=2)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# --- bounds ---


@pytest.mark.parametrize("blocks", [False, True])
def test_whatever_is_sent_the_counts_stay_bounded(
    tmp_path: Path, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, bound in (
        (access_counts, "MOST_CLIENTS", 10),
        (logins, "MOST_CLIENTS", 10),
        (logins, "MOST_LOGINS", 50),
        (access_counts, "MOST_SUSPECTS", 5),
    ):
        monkeypatch.setattr(module, name, bound)
    lines = [request(shape, AT, n, 401, f"10.0.{n // 50}.{n % 50}") for n in range(100) for shape in (1, 2, 26)]
    lines += [request(2, AT, 1, 401, "10.0.0.1") for _ in range(100)]
    (tmp_path / "access.log").write_bytes(b"\n".join(lines) + b"\n")
    found = read(tmp_path / "access.log", blocks=blocks)
    assert found.requests == 400
    assert 0 < len(found.refused) <= 10
    assert sum(one.total for one in found.refused.values()) + found.counts.refused_others == 200
    assert 0 < sum(one.total for one in found.refused.values()) <= 50
    assert (len(found.visitors), found.visitors[OTHERS]) == (11, 90)
    assert found.counts.suspects_over == 95
    assert len(found.notes) == 3


def test_a_long_time_is_rounded_up_to_seconds(tmp_path: Path) -> None:
    lines = [request(0, AT) + b" " + seconds for seconds in (b"59.999", b"60.000", b"60.001", b"9999999999.999")]
    (tmp_path / "access.log").write_bytes(b"\n".join(lines) + b"\n")
    assert read(tmp_path / "access.log").counts.times == {59_999: 1, 60_000: 1, 61_000: 1, 86_400_000: 1}


# --- routes ---


def timed(requests: Iterable[tuple[str, int, str]]) -> bytes:
    """Lines of request, status and time."""
    return b"".join(
        f'10.0.0.1 - - [{AT:%d/%b/%Y:%H:%M:%S %z}] "{request}" {status} 5 "-" "a" {seconds}\n'.encode()
        for request, status, seconds in requests
    )


@pytest.mark.parametrize("blocks", [False, True])
def test_times_are_counted_per_route_where_that_is_asked(tmp_path: Path, blocks: bool) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(
        timed(
            [
                *[(f"GET /tasks/{number}/?page={number} HTTP/1.1", 200, "0.020") for number in range(500)],
                ("GET /tasks/7/ HTTP/2.0", 500, "61.5"),
                ("GET /tasks/7/ HTTP/2.0", 500, "61.500"),
                *[(f"GET /nothing/{number:x}x HTTP/1.1", 404, "0.003") for number in range(500)],
                *[("POST /login HTTP/1.1", 503, "0.001"), ("POST /login HTTP/1.1", 503, "2.000")] * 5,
                *[("POST /login HTTP/1.1", 429, "2.000"), ("GET /ws/ HTTP/1.1", 101, "99.000")] * 5,
                ("-", 400, "0.000"),
            ]
        )
    )
    found = read(log, blocks=blocks)
    assert found.routes == {
        "GET /tasks/<id>/": {20: 500, 62_000: 1},
        "GET (not found)": {3: 500},
        "POST /login": {2000: 5},
        "(no request)": {0: 1},
    }
    assert found.counts.routes_refused == 10
    assert read(log, blocks=blocks, questions=Questions()).counts.routes == {}
    assert not found.notes


def test_workers_and_the_cache_give_the_same_routes(mixed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_figures, "WORTH_WORKERS", 1)
    wanted = read(mixed, blocks=False)
    assert len(wanted.routes) > 1
    for _ in range(2):
        assert read(mixed, cache=cache, workers=2, blocks=True).routes == wanted.routes
    assert read(mixed, cache=cache).remembered == 3


@pytest.mark.parametrize("blocks", [False, True])
def test_whatever_paths_are_sent_the_routes_stay_bounded(
    tmp_path: Path, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_module, "MOST_ROUTES", 40)
    chance = random.Random(5)  # noqa: S311
    words = ["".join(chance.choices("abcdefgh", k=5)) for _ in range(3000)]
    lines = [
        (f"GET /{'/'.join(chance.choices(words, k=chance.randrange(1, 9)))} HTTP/1.1", 200, "0.020") for _ in words
    ]
    (tmp_path / "access.log").write_bytes(timed(lines + [("GET /api/ HTTP/1.1", 200, "0.700")] * 3000))
    found = read(tmp_path / "access.log", blocks=blocks)
    assert len(found.counts.routes) <= 40
    assert sum(sum(times.values()) for times in found.routes.values()) == 6000
    assert any("more routes" in note for note in found.notes)
