"""The engine's own files say what the engine says of them, in every window, and while they are rotated."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observe import json_file_log
from observe.container_log import LINE_LIMIT, Decoding, LogLine, lines
from observe.errors import CannotTell
from observe.json_file_log import DISORDER, stored
from proofs.observe.stored_logs import EVER, LATER, START, Piece, pieces, stored_in, stream_of
from proofs.observe.test_skim import logs
from proofs.users import nobody

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from observe.engine import Container
    from observe.json_file_log import Stored


class Described:
    """As much of a container as matters here."""

    def __init__(self, log_path: str, log_driver: str = "json-file") -> None:
        self.name = "one"
        self.log_path, self.log_driver = log_path, log_driver


def opened(path: Path, driver: str = "json-file") -> Stored | None:
    return stored(cast("Container", Described(str(path), driver)))


def entries(written: list[Piece]) -> bytes:
    return b"".join(one.entry() for one in written)


def numbered(first: int, last: int) -> list[Piece]:
    """A line a second."""
    return [one for second in range(first, last) for one in pieces("stdout", b"line %d" % second, second)]


def texts(log: Stored, since: datetime = EVER, until: datetime = LATER) -> list[str]:
    with log:
        return [one.text for one in log.lines(since, until, Decoding()) if isinstance(one, LogLine)]


def by_stream(read: Any) -> dict[str, list[LogLine]]:  # noqa: ANN401  lines, and none that are left out
    found: dict[str, list[LogLine]] = {"stdout": [], "stderr": []}
    for line in read:
        found[line.stream].append(line)
    return found


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file_log, "_BLOCK", 500)


@pytest.mark.usefixtures("_small_blocks")
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logs(), st.lists(st.integers(0, 60), max_size=3), st.floats(0, 40), st.floats(0, 40))
def test_the_files_have_the_lines_that_the_engine_sends(
    tmp_path: Path, written: list[Piece], cuts: list[int], begin: float, end: float
) -> None:
    since, until = START + timedelta(seconds=min(begin, end)), START + timedelta(seconds=max(begin, end))
    borders = sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})
    paths = []
    for number, (one, other) in enumerate(pairwise(borders)):
        paths.append(tmp_path / f"log.{number}")
        paths[-1].write_bytes(entries(written[one:other]))
    for first, last in ((EVER, LATER), (since, until)):
        plain, seen = Decoding(), Decoding()
        wanted = by_stream(lines([stream_of(written, first, last)], tty=False, decoding=plain))
        with stored_in(*paths) as log:
            assert by_stream(log.lines(first, last, seen)) == wanted
            assert log.damaged == 0
        assert (seen.lines, seen.cut_lines, seen.first_at, seen.last_at) == (
            plain.lines,
            plain.cut_lines,
            plain.first_at,
            plain.last_at,
        )


def test_a_terminals_lines_lose_their_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(entries([Piece("stdout", b"one\r\n"), Piece("stdout", b"two\r\n")]))
    assert texts(stored_in(tmp_path / "log")) == ["one", "two"]


def test_bytes_that_are_no_utf8_come_as_the_engine_stored_them(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(entries([Piece("stdout", b"caf\xe9 <b> \x1b[0m\t\xf0\x9f\x98\x80\n")]))
    assert texts(stored_in(tmp_path / "log")) == ["caf\ufffd <b> \x1b[0m\t\U0001f600"]


def test_a_line_without_end_is_cut_and_says_by_how_much(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(entries(pieces("stdout", b"z" * 500_000)))
    with stored_in(tmp_path / "log") as log:
        (line,) = log.lines(EVER, LATER, Decoding())
    assert isinstance(line, LogLine)
    assert (len(line.text), line.cut) == (LINE_LIMIT, 500_000 - LINE_LIMIT)


def test_damaged_entries_are_counted_and_the_others_read(tmp_path: Path) -> None:
    content = entries(numbered(0, 5)).splitlines(keepends=True)
    content[1:1] = [
        b'{"log":"half an ent\n',
        b"\0" * 40 + b"\n",
        b"{}\n",
        b'{"log":1,"stream":"stdout","time":"2026-11-23T10:00:00Z"}\n',
        b"[]\n",
    ]
    (tmp_path / "log").write_bytes(b"".join(content))
    log = stored_in(tmp_path / "log")
    assert texts(log) == [f"line {number}" for number in range(5)]
    assert log.damaged == 5


def test_a_line_of_garbage_without_end_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(entries(numbered(0, 2)) + b"g" * 5_000_000 + b"\n" + entries(numbered(2, 4)))
    log = stored_in(tmp_path / "log")
    assert texts(log) == ["line 0", "line 1", "line 2", "line 3"]
    assert log.damaged > 0


def test_an_entry_that_is_being_written_is_left_to_the_next_look(tmp_path: Path) -> None:
    for name in ("log.1", "log"):
        (tmp_path / name).write_bytes(entries(numbered(0, 3))[:-9])
    log = stored_in(tmp_path / "log")
    assert texts(log) == ["line 0", "line 1"]
    assert log.damaged == 0
    rotated = stored_in(tmp_path / "log.1", tmp_path / "log")
    assert texts(rotated) == ["line 0", "line 1"] * 2
    assert rotated.damaged == 1, "in a file that nobody writes any more it will never come to its end"


@pytest.mark.parametrize("start", [0.5, 5000.5, 19_998.5, 30_000.0])
def test_only_what_is_near_the_window_is_read(tmp_path: Path, start: float) -> None:
    (tmp_path / "log").write_bytes(entries(numbered(0, 20_000)))
    since, decoding = START + timedelta(seconds=start), Decoding()
    with stored_in(tmp_path / "log") as log:
        read = [one for one in log.lines(since, LATER, decoding) if isinstance(one, LogLine)]
        assert log.older
    assert [one.text for one in read] == [f"line {number}" for number in range(int(start) + 1, 20_000)]
    assert decoding.bytes_read <= (20_000 - min(20_000, start)) * 90 + 2 * 256 * 1024


def test_an_entry_a_little_out_of_order_is_not_missed(tmp_path: Path) -> None:
    written = numbered(0, 20_000)
    late = replace(written[9_000], at=written[9_000].at + DISORDER.total_seconds(), text=b"late\n")
    (tmp_path / "log").write_bytes(entries([*written[:8_999], late, *written[8_999:]]))
    assert texts(stored_in(tmp_path / "log"), START + timedelta(seconds=9_000.5))[0] == "late"


def test_the_window_ends_the_reading(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(entries(numbered(0, 100)))
    assert texts(stored_in(tmp_path / "log"), until=START + timedelta(seconds=9.5)) == [f"line {i}" for i in range(10)]


# Which files ---------------------------------------------------------------------------------------------------------


def test_rotated_and_packed_files_are_read_oldest_first(tmp_path: Path) -> None:
    live = tmp_path / "x-json.log"
    (tmp_path / "x-json.log.10.gz").write_bytes(gzip.compress(entries(numbered(0, 10))))
    (tmp_path / "x-json.log.2.gz").write_bytes(gzip.compress(entries(numbered(10, 20))))
    (tmp_path / "x-json.log.1").write_bytes(entries(numbered(20, 30)))
    (tmp_path / "x-json.log.1.gz").write_bytes(b"being packed")
    live.write_bytes(entries(numbered(30, 40)))
    for stranger in ("y-json.log", "x-json.log.bak", "x-json.log.tmp.gz", "container-cached.log"):
        (tmp_path / stranger).write_bytes(entries(numbered(90, 91)))
    log = opened(live)
    assert log is not None
    assert texts(log) == [f"line {number}" for number in range(40)]
    late = opened(live)
    assert late is not None
    assert texts(late, START + timedelta(seconds=15)) == [f"line {number}" for number in range(15, 40)]
    assert late.older


def test_a_packed_file_that_is_damaged_is_said(tmp_path: Path) -> None:
    packed = gzip.compress(entries(numbered(0, 5000)))
    (tmp_path / "log.1.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "log").write_bytes(entries(numbered(5000, 5003)))
    log = opened(tmp_path / "log")
    assert log is not None
    assert texts(log)[-3:] == ["line 5000", "line 5001", "line 5002"]
    assert log.damaged


def test_the_plain_way_to_unpack_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "isal", None)
    test_rotated_and_packed_files_are_read_oldest_first(tmp_path)


def test_a_log_that_is_no_file_of_ours_is_left_to_the_engine(tmp_path: Path) -> None:
    live = tmp_path / "log"
    assert opened(tmp_path / "nowhere" / "log") is None
    assert opened(live) is None
    live.write_bytes(entries(numbered(0, 3)))
    assert opened(live, "local") is None
    assert stored(cast("Container", Described(""))) is None
    live.chmod(0o600)
    tmp_path.chmod(0o755)
    with nobody():
        assert opened(live) is None
    tmp_path.chmod(0o700)
    with nobody():
        assert opened(live) is None
    assert opened(live) is not None


def test_a_rotation_while_the_log_is_read_changes_nothing(tmp_path: Path) -> None:
    live = tmp_path / "log"
    (tmp_path / "log.1").write_bytes(entries(numbered(0, 5000)))
    live.write_bytes(entries(numbered(5000, 10_000)))
    log = opened(live)
    assert log is not None
    read = []
    with log:
        for number, line in enumerate(log.lines(EVER, LATER, Decoding())):
            if number == 10:
                (tmp_path / "log.1").unlink()
                live.replace(tmp_path / "log.1")
                live.write_bytes(entries(numbered(10_000, 10_010)))
            read.append(line)
    assert [one.text for one in read if isinstance(one, LogLine)] == [f"line {number}" for number in range(10_000)]


def test_a_rotation_while_the_files_are_opened_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = tmp_path / "log"
    (tmp_path / "log.1").write_bytes(entries(numbered(0, 5)))
    live.write_bytes(entries(numbered(5, 10)))
    really, rotations = json_file_log._opened, [1]

    def rotating(stack: Any, path: Path) -> Any:  # noqa: ANN401  as the real one
        if rotations and rotations.pop():
            live.replace(tmp_path / "log.1")
            live.write_bytes(entries(numbered(10, 15)))
        return really(stack, path)

    monkeypatch.setattr(json_file_log, "_opened", rotating)
    log = opened(live)
    assert log is not None
    assert texts(log) == [f"line {number}" for number in range(5, 15)]


def test_a_log_that_is_cut_while_it_is_read_cannot_tell(tmp_path: Path) -> None:
    live = tmp_path / "log"
    live.write_bytes(entries(numbered(0, 20_000)))
    log = opened(live)
    assert log is not None
    with log:
        reading = log.lines(EVER, LATER, Decoding())
        next(reading)
        os.truncate(live, 100)
        with pytest.raises(CannotTell, match="log was cut while it was read"):
            list(reading)


def test_whoever_is_told_to_stop_stops(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(entries(numbered(0, 20_000)))
    with stored_in(tmp_path / "log") as log:
        read = 0
        for _ in log.lines(EVER, LATER, Decoding()):
            log.stop()
            read += 1
    assert read < 5000
