"""Skimming finds what close reading finds, on every log, and reads little."""

from __future__ import annotations

import random
import re
import tracemalloc
from datetime import timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from observe import json_file_log
from observe.application_log import _head, count_errors, records
from observe.container_log import Decoding, LogLine, lines
from observe.skim import shapes, skimmed
from proofs.observe.stored_logs import (
    EVER,
    LATER,
    START,
    Findings,
    Piece,
    by_reference,
    by_skimming_frames,
    findings,
    pieces,
    stored_in,
    stream_of,
)
from proofs.observe.test_application_log import CHAINED, ERROR, GROUP, INFO, REQUEST, THREAD, TRACEBACK, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WARNING = INFO.replace("INFO", "WARNING")
LOW = (
    INFO,
    REQUEST,
    "INFO:     Application startup complete.",
    'INFO:     127.0.0.1:38110 - "GET / HTTP/1.1" 404 Not Found',
    "INFO:api.views:x",
    "[DEBUG] x",
    "[2026-11-23 15:47:05 +0000] [17] [INFO] Booting worker",
    "[2026-11-23 10:01:48,123: INFO/MainProcess] Task x",
    "2026-11-23 10:01:48,123 INFO api.views message",
    "2026-11-23 10:01:48,123 - a.b - INFO - error",
    "2026-11-23 10:01:48 [info     ] it_happened key=1",
    "INFO 2026-11-23 10:01:48,123 views 12 34 x",
)
ODD = (
    *CHAINED.split("\n"),
    *GROUP.split("\n"),
    *THREAD.split("\n"),
    ERROR,
    WARNING,
    "plain",
    "",
    "   ",
    "\t",
    '{"level": 50, "msg": "pino"}',
    '{"level": 30, "msg": "error"}',
    '{"level": "error"}',
    '{"message": "without"}',
    '{"level":',
    "level=error msg=x",
    "ERROR:api.views:x",
    f"\x1b[31m{ERROR}\x1b[0m",
    f"\x1b[32m{INFO}\x1b[0m",
    "2026-11-23 10:01:48,123 - ERROR - INFO - x",
    "2026-11-23 10:01:48 | ERROR    | a:f:12 - x",
    "[2026-11-23 10:01:48,123: ERROR/MainProcess] INFO x",
    "[1] ERROR: xxxxxxxxxxxx] INFO x",
    "[2026-11-23 10:01:48] INFOX x",
    "[2026-11-23 10:01:48]",
    "2026-11-23 10:01:48",
    '[2026-11-23 10:01:48] INFO [23/Nov/2026:09:58:57] "GET / HTTP/1.1" 200 15',
    f'{REQUEST} "-" "an \\x22agent"',
    f'{REQUEST[:-2]}"',
    '{"log":"' + INFO,
    f'{INFO} "}}\\n{{"log":"',
    f'{INFO} \\n","stream":"stderr",',
    f"{INFO}\\",
    f"{INFO}\r",
    "\u00e9" * 20,
    INFO + "y" * 40_000,
    "x" * 70_000,
)
LINE = st.one_of(
    st.sampled_from(LOW),
    st.sampled_from(ODD),
    st.tuples(st.sampled_from((*LOW, *ODD)), st.sampled_from((*LOW, *ODD)), st.integers(0, 60)).map(
        lambda parts: parts[0][: parts[2]] + parts[1]
    ),
    st.text(max_size=30).map(lambda text: text.replace("\n", " ")),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Piece]:
    """Lines of two streams; the pieces of long ones alternate, and some lines are left open."""
    written: list[Piece] = []
    at = 0.0
    for stream, line, wait, nanoseconds, is_open in draw(
        st.lists(
            st.tuples(
                st.sampled_from(["stdout", "stderr", "stderr"]),
                LINE,
                st.sampled_from([0, 0, 0.001, 0.4, 2.0]),
                st.integers(0, 999),
                st.integers(0, 30).map(lambda number: number == 0),
            ),
            max_size=40,
        )
    ):
        at += wait
        new = pieces(stream, line.encode("utf-8", "replace"), at, nanoseconds)
        if is_open:
            new[-1] = Piece(stream, new[-1].text[:-1] or b"open", at, nanoseconds)
        # A line of the other stream gets between the pieces of a long one; streams are out of order by less than
        # the readers reckon with.
        near = bool(written) and at - written[-1].at < json_file_log.DISORDER.total_seconds()
        if len(new) > 1 and near and written[-1].stream != stream:
            written[-1:] = [new[0], written[-1]]
            new = new[1:]
        written += new
    return written


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that everything comes to lie at the border of a block."""
    monkeypatch.setattr(json_file_log, "_BLOCK", 700)
    monkeypatch.setattr(json_file_log, "_MUCH", 0)
    monkeypatch.setattr(json_file_log, "DISORDER", timedelta(0))


def by_skimming_file(content: bytes, directory: Path) -> tuple[Findings, int]:
    file = directory / "log"
    file.write_bytes(content)
    decoding = Decoding()
    with stored_in(file) as log:
        return findings(log.lines(EVER, LATER, decoding, EVER), decoding), log.damaged


def by_reading_file(content: bytes, directory: Path) -> tuple[Findings, int]:
    file = directory / "log"
    file.write_bytes(content)
    decoding = Decoding()
    with stored_in(file) as log:
        return findings(log.lines(EVER, LATER, decoding), decoding), log.damaged


ONCE = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@ONCE
@given(logs())
def test_skimming_finds_the_same(tmp_path: Path, written: list[Piece]) -> None:
    reference = by_reference(written)
    assert by_skimming_frames(written) == reference
    assert by_skimming_file(b"".join(one.entry() for one in written), tmp_path) == (reference, 0)


@ONCE
@given(logs(), st.floats(0, 30))
def test_skimming_begins_with_the_window(written: list[Piece], start: float) -> None:
    since = (START + timedelta(seconds=start)).astimezone(timezone(timedelta(hours=5)))
    decoding, plain = Decoding(), Decoding()
    stream = stream_of(written)
    skim = findings(skimmed([stream], decoding, since), decoding, since)
    assert skim == findings(lines([stream], tty=False, decoding=plain), plain, since)


@pytest.mark.parametrize("below", [TRACEBACK, CHAINED, GROUP, THREAD, "plain", "  indented", "", f"{TRACEBACK}\n\n"])
@pytest.mark.parametrize("above", [INFO, REQUEST, WARNING, ERROR, "plain", '{"level": 30}', f"{INFO}\n  more"])
@pytest.mark.parametrize("between", [0.0, 3.0])
def test_a_traceback_finds_its_record_whatever_was_left_out_before_it(
    tmp_path: Path, above: str, below: str, between: float
) -> None:
    written: list[Piece] = []
    for number, (part, wait) in enumerate([(INFO, 0), (INFO, 0), (above, 0), (below, between), (INFO, between)] * 3):
        for line in part.split("\n"):
            written += pieces("stderr", line.encode(), wait + 10 * (number // 5))
            written += pieces("stdout", REQUEST.encode(), wait + 10 * (number // 5))
    reference = by_reference(written)
    assert by_skimming_frames(written) == reference
    assert by_skimming_file(b"".join(one.entry() for one in written), tmp_path) == (reference, 0)


@pytest.mark.parametrize("line", LOW)
def test_lines_below_warning_are_left_out(tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file_log, "_BLOCK", 256 * 1024)
    written = pieces("stderr", line.encode()) * 500
    decoding = Decoding()
    assert len(list(skimmed([stream_of(written)], decoding, EVER))) <= 3
    assert decoding.lines == 500
    (tmp_path / "log").write_bytes(b"".join(one.entry() for one in written))
    decoding = Decoding()
    with stored_in(tmp_path / "log") as log:
        assert len(list(log.lines(EVER, LATER, decoding, EVER))) <= 4
    assert decoding.lines == 500


@pytest.mark.parametrize("line", [*ODD, *(f"{one}x" for one in ODD)])
def test_no_line_is_left_out_that_could_matter(tmp_path: Path, line: str) -> None:
    written = [one for text in (INFO, INFO, line, INFO, REQUEST) for one in pieces("stderr", text.encode())]
    reference = by_reference(written)
    assert by_skimming_frames(written) == reference
    assert by_skimming_file(b"".join(one.entry() for one in written), tmp_path) == (reference, 0)


RAW = shapes("", '"', r"[\r\n]*\Z")


def generated(pattern: re.Pattern[bytes]) -> st.SearchStrategy[str]:
    """Lines that begin as a pattern wants it."""
    # Possessive quantifiers are for speed; what makes texts doesn't know them.
    plain = re.compile(re.sub(rb"([+*?])\+", rb"\1", pattern.pattern))
    begins = st.from_regex(plain).map(lambda raw: raw.decode("utf-8", "replace"))
    return st.tuples(begins, st.sampled_from(("", *LOW, *ODD))).map(lambda parts: re.split("[\r\n]", "".join(parts))[0])


@settings(deadline=None, max_examples=400)
@given(generated(RAW.low) | generated(RAW.head) | generated(RAW.ordinary) | LINE)
def test_what_a_lines_beginning_promises_is_so(text: str) -> None:
    raw = text.encode("utf-8", "replace")
    head = _head(text, cut=False)
    if RAW.head.match(raw):
        assert head is not None
    if RAW.low.match(raw):
        assert head is not None
        assert head.kind == "request" or head.level in ("DEBUG", "INFO")
    if RAW.ordinary.match(raw):
        assert head is None or head.kind == "request" or head.level in ("DEBUG", "INFO")
        (record,) = read(text)
        assert not record.is_error
        assert len(read(f"{INFO}\n{text}\n{INFO}")) == 3, "it continues nothing"


DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["torn", "cut", "garbage", "hole", "attributes"]), st.integers(0, 10**6), st.integers(0, 10**6)
    ),
    max_size=4,
)


def damaged(entries: list[bytes], damage: list[tuple[str, int, int]]) -> bytes:
    """What full disks and power cuts leave of entries."""
    for how, which, where in damage if entries else []:
        number = which % len(entries)
        entry = entries[number]
        place = where % max(1, len(entry))
        entries[number] = {
            "torn": entry[:place],  # and the next one follows on the same line
            "cut": entry[:place] + b"\n",
            "garbage": entry + b"garbage\n\n",
            "hole": entry[:place] + b"\0" * 9 + entry[place + 3 :],
            "attributes": entry.replace(b',"time"', b',"attrs":{"tag":"x"},"time"'),
        }[how]
    return b"".join(entries)


@ONCE
@given(logs(), DAMAGE)
@example([*pieces("stderr", INFO.encode()), *pieces("stdout", REQUEST.encode())] * 9, [("torn", 5, 90), ("torn", 8, 9)])
def test_damage_is_seen_while_skimming(
    tmp_path: Path, written: list[Piece], damage: list[tuple[str, int, int]]
) -> None:
    content = damaged([one.entry() for one in written], damage)
    assert by_skimming_file(content, tmp_path) == by_reading_file(content, tmp_path)


def test_the_last_line_left_out_is_known(tmp_path: Path) -> None:
    written = [one for second in range(300) for one in pieces("stderr", INFO.encode(), second)]
    reference = by_reference(written)
    assert reference.count.last_at == START + timedelta(seconds=299)
    assert by_skimming_frames(written) == reference
    assert by_skimming_file(b"".join(one.entry() for one in written), tmp_path) == (reference, 0)


def test_a_log_of_prints_alone_looks_like_no_application(tmp_path: Path) -> None:
    written = pieces("stdout", b"plain") * 300
    assert not by_skimming_frames(written).recognised
    assert not by_skimming_file(b"".join(one.entry() for one in written), tmp_path)[0].recognised


def test_memory_does_not_grow_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file_log, "_BLOCK", 256 * 1024)
    chance = random.Random(5)  # noqa: S311  a log to prove with
    file = tmp_path / "log"
    with file.open("wb") as out:
        for number in range(30_000):
            line = chance.choice((*LOW, *LOW, ERROR)).encode() + b" " * 100
            out.writelines(one.entry() for one in pieces("stderr", line, number / 1000))

    def blocks() -> Iterator[bytes]:
        for number in range(30_000):
            yield pieces("stderr", chance.choice(LOW).encode(), number / 1000)[0].frame()

    tracemalloc.start()
    try:
        decoding = Decoding()
        with stored_in(file) as log:
            assert count_errors(records(log.lines(EVER, LATER, decoding, EVER))).errors > 100
        assert decoding.lines == 30_000
        for _ in skimmed(blocks(), Decoding(), EVER):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


def test_a_skipped_line_ends_the_record_above_it() -> None:
    from observe.container_log import Skipped

    made = list(records([LogLine(START, "stderr", ERROR), Skipped("stderr"), LogLine(START, "stderr", "KeyError: x")]))
    assert [one.kind for one in made] == ["application", "other"]
