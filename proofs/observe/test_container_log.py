"""Lines come out of the engine's stream as they went into it, however it is cut or broken.

The shapes are those that an engine 20.10 was seen to send: see the module.
"""

from __future__ import annotations

import itertools
import struct
import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observe.container_log import LINE_LIMIT, Decoding, Frame, LogLine, frames, lines

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 16 * 1024
AT = datetime(2026, 11, 23, 15, 35, 30, tzinfo=UTC)


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(payload)) + payload


def stamp(number: int) -> bytes:
    return b"2026-11-23T15:35:30.%09dZ " % (number * 1000)


def pieces(line: bytes) -> list[bytes]:
    return [line[i : i + PIECE] for i in range(0, len(line), PIECE)]


def cut(stream: bytes, at: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(stream), *(place % (len(stream) + 1) for place in at)})
    return (stream[a:b] for a, b in itertools.pairwise(places))


def decoded(stream: bytes, *, tty: bool = False, timestamps: bool = True) -> tuple[list[LogLine], Decoding]:
    decoding = Decoding()
    return list(lines([stream], tty=tty, timestamps=timestamps, decoding=decoding)), decoding


LINE = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
    st.integers(PIECE - 2, 3 * PIECE).map(lambda size: b"x" * size),
    st.just(b""),
)
CUTS = st.lists(st.integers(0, 200_000), max_size=30)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), LINE), max_size=8), CUTS, st.booleans())
def test_what_was_written_is_what_is_read(written: list[tuple[int, bytes]], cuts: list[int], stamped: bool) -> None:
    stream, wanted = b"", []
    for number, (where, line) in enumerate(written):
        mark = stamp(number) if stamped else b""
        stream += b"".join(frame(where, mark + piece) for piece in pieces(line + b"\n"))
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        wanted.append((["stdout", "stderr"][where - 1], text, number * 1 if stamped else None))
    decoding = Decoding()
    read = list(lines(cut(stream, cuts), tty=False, timestamps=stamped, decoding=decoding))
    assert [(line.stream, line.text, line.at and line.at.microsecond) for line in read] == wanted
    assert (decoding.bytes_read, decoding.lines, decoding.whole) == (len(stream), len(written), True)


def test_pieces_of_two_streams_that_alternate_are_not_mixed() -> None:
    out, err = pieces(b"O" * 40000 + b"\n"), pieces(b"E" * 40000 + b"\n")
    order = [(1, out[0]), (2, err[0]), (1, out[1]), (1, out[2]), (2, err[1]), (2, err[2])]
    read, _ = decoded(b"".join(frame(where, stamp(where) + piece) for where, piece in order))
    assert [(line.stream, set(line.text), len(line.text)) for line in read] == [
        ("stdout", {"O"}, 40000),
        ("stderr", {"E"}, 40000),
    ]


def test_a_long_line_of_the_local_driver_ends_where_the_next_stamp_begins() -> None:
    stream = b"".join(frame(1, stamp(1) + piece) for piece in pieces(b"a" * 40000))
    read, _ = decoded(stream + frame(1, stamp(2) + b"next\n"))
    assert [(len(line.text), line.text[:4]) for line in read] == [(40000, "aaaa"), (4, "next")]


def test_a_line_that_a_dying_process_left_open_is_not_joined_to_its_successors() -> None:
    read, _ = decoded(frame(1, stamp(1) + b"no newline at the end") + frame(1, stamp(2) + b"started\n"))
    assert [line.text for line in read] == ["no newline at the end", "started"]


def test_a_last_line_without_its_newline_is_a_line() -> None:
    assert [line.text for line in decoded(frame(1, stamp(1) + b"half"))[0]] == ["half"]


def test_nanoseconds_are_cut_and_other_offsets_turned_to_utc() -> None:
    read, decoding = decoded(
        frame(1, b"2026-11-23T16:35:30.999999999+01:00 a\n") + frame(1, b"2026-11-23T15:35:30Z b\n")
    )
    assert [line.at for line in read] == [AT.replace(microsecond=999999), AT]
    assert (decoding.first_at, decoding.last_at) == (AT.replace(microsecond=999999), AT.replace(microsecond=999999))


@pytest.mark.parametrize("start", [b"no stamp", b"2026-99-99T99:99:99Z x", b"0000-01-01T00:00:00Z y"])
def test_a_line_without_its_stamp_is_kept_and_counted(start: bytes) -> None:
    read, decoding = decoded(frame(1, start + b"\n"))
    assert [line.at for line in read] == [None]
    assert decoding.unstamped == 1


def test_several_lines_in_one_frame_are_several_lines() -> None:
    read, _ = decoded(frame(2, stamp(1) + b"a\n\nb\nc"))
    assert [line.text for line in read] == ["a", "", "b", "c"]


@settings(deadline=None)
@given(st.lists(LINE, max_size=8), CUTS)
def test_a_terminal_is_read_as_it_wrote(written: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(
        b"".join(stamp(number) + piece for piece in pieces(line + b"\r\n")) for number, line in enumerate(written)
    )
    read = list(lines(cut(stream, cuts), tty=True))
    assert [line.text for line in read] == [line.rstrip(b"\r").decode("utf-8", "replace") for line in written]


def test_a_terminal_under_the_local_driver_runs_long_lines_into_the_next() -> None:
    long = b"".join(stamp(1) + piece for piece in pieces(b"a" * 40000 + b"\r"))
    exact = stamp(2) + b"b" * PIECE + stamp(2) + b"\r"
    read, _ = decoded(long + exact + stamp(3) + b"c\r\n", tty=True)
    assert [(line.text[:1], len(line.text)) for line in read] == [("a", 40000), ("b", PIECE), ("c", 1)]


def test_a_stamp_that_the_application_wrote_is_left_in_its_line() -> None:
    text = b"see " + stamp(7) + b"for more"
    assert [line.text for line in decoded(stamp(1) + text + b"\r\n", tty=True)[0]] == [text.decode()]


@settings(deadline=None)
@given(st.binary(max_size=600), CUTS, st.booleans(), st.booleans())
@example(b"\x01\x00\x00\x00\xff\xff\xff\xff", [], False, True)
@example(b"\x00" * 64, [], False, True)
@example(b"\x01\x00\x00\x00\x00\x00\x00", [3], False, True)
def test_nothing_in_a_stream_makes_it_raise(stream: bytes, cuts: list[int], tty: bool, stamped: bool) -> None:
    decoding = Decoding()
    read = list(lines(cut(stream, cuts), tty=tty, timestamps=stamped, decoding=decoding))
    assert decoding.lines == len(read)
    assert decoding.bytes_read == len(stream)


@settings(deadline=None)
@given(st.binary(max_size=300), CUTS)
def test_every_byte_of_framed_input_is_handed_out_or_counted(stream: bytes, cuts: list[int]) -> None:
    decoding = Decoding()
    read = list(frames(cut(stream, cuts), decoding))
    headers = 8 * sum(one.first for one in read)
    assert sum(len(one.payload) for one in read) + headers + decoding.skipped_bytes == len(stream)
    if decoding.skipped_bytes:
        assert decoding.broken_frames


def test_after_garbage_the_next_frame_is_found() -> None:
    read, decoding = decoded(frame(1, stamp(1) + b"a\n") + b"GARBAGE" * 5 + frame(2, stamp(2) + b"b\n"))
    assert [line.text for line in read] == ["a", "b"]
    assert (decoding.broken_frames, decoding.skipped_bytes, decoding.whole) == (1, 35, False)


def test_a_last_frame_cut_short_is_read_as_far_as_it_goes_and_counted() -> None:
    read, decoding = decoded(frame(1, stamp(1) + b"whole line\n")[:-5])
    assert [line.text for line in read] == ["whole "]
    assert decoding.broken_frames == 1


def test_a_terminals_stream_taken_for_a_framed_one_is_all_broken() -> None:
    read, decoding = decoded((stamp(1) + b"text\r\n") * 100)
    assert read == []
    assert decoding.broken_frames == 1
    assert decoding.skipped_bytes == decoding.bytes_read


def test_the_engines_own_error_is_kept_apart_from_the_log() -> None:
    read, decoding = decoded(frame(1, stamp(1) + b"a\n") + frame(3, b"Error grabbing logs: unexpected EOF\n"))
    assert [line.text for line in read] == ["a"]
    assert decoding.engine_errors == ["Error grabbing logs: unexpected EOF"]
    read, decoding = decoded(stamp(1) + b"a\r\nError grabbing logs: invalid character\n", tty=True)
    assert [line.text for line in read] == ["a"]
    assert not decoding.whole


@pytest.mark.parametrize("tty", [False, True])
def test_a_line_without_end_is_cut_and_says_by_how_much(tty: bool) -> None:
    size = 5_000_000
    parts = [stamp(1) + piece for piece in pieces(b"z" * size + b"\n")]
    blocks = parts if tty else [frame(1, part) for part in parts]
    decoding = Decoding()
    (line,) = lines(blocks, tty=tty, decoding=decoding)
    assert line.text == "z" * LINE_LIMIT
    assert decoding.cut_lines == 1
    if not tty:  # a terminal's stream has the engine's stamps among what was dropped
        assert line.cut == size - LINE_LIMIT


def test_a_payload_larger_than_is_waited_for_comes_in_parts() -> None:
    payload = b"y" * 200_000
    read = list(frames([frame(1, payload)[i : i + 1000] for i in range(0, 200_008, 1000)]))
    assert b"".join(one.payload for one in read) == payload
    assert [one.first for one in read] == [True] + [False] * (len(read) - 1)
    assert list(frames([frame(2, b"")])) == [Frame(2, b"")]


@pytest.mark.parametrize("tty", [False, True])
def test_memory_does_not_grow_with_the_stream(tty: bool) -> None:
    def endless(number: int) -> Iterator[bytes]:
        for i in range(number):
            one = stamp(i) + b"x" * 3000
            yield one if tty else frame(1, one)

    tracemalloc.start()
    try:
        for _ in lines(endless(3000), tty=tty):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1024 * 1024
