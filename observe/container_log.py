"""A container's log as the engine streams it, made into lines.

Serves the guide's `docker-compose logs …` lines: the end-of-day error count,
the database's log, the weekly review. The engine sends a log in one of two
shapes, and neither is lines:

* without a terminal, frames of an 8-byte header (stream, three zero bytes,
  payload length as a 32-bit big-endian number) and a payload;
* with a terminal (`tty`), the bytes as they are, both streams in one.

A line longer than 16 KiB is stored in pieces. What an engine 20.10 sends for
it was measured and decides how pieces are joined here:

* with `timestamps=1` every piece, not every line, carries the time stamp, and
  all pieces of one line carry the *same* one, to the nanosecond;
* pieces of standard output and standard error alternate within a line;
* the `local` driver leaves the newline off the last piece of a long line, and
  a process that ends without one leaves its last line open, so "no newline
  yet" does not mean that the line goes on: the time stamp decides;
* `json-file` has replaced bytes that are no UTF-8 already, `local` has not;
* a damaged event in a `json-file` log ends the stream there with status 200
  and no word of it. The decoder can't see that: compare
  :attr:`Decoding.last_at` with the time stamp of the log's last line
  (`tail=1`, which is read from the file's end).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINE_LIMIT = 64 * 1024
"""Bytes of one line that are kept; the rest is dropped and counted."""

_PIECE = 16 * 1024  # the engine's copier cuts lines here
PAYLOAD_LIMIT = 64 * 1024  # a larger payload is handed on in several frames
_ENGINE_ERRORS_KEPT = 3
SYSTEM_ERROR = 3
STREAMS = {0x01000000: 1, 0x02000000: 2, 0x03000000: SYSTEM_ERROR}
HEADER = struct.Struct(">II")
# A size of 16 MiB or more is taken for garbage: the largest event an engine stores is 1 MB.
_SIZE_LIMIT = 0x01000000
_PLAUSIBLE_HEADER = re.compile(rb"[\x01-\x03]\x00{4}[\x00-\xff]{3}")
_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
STAMPED = re.compile(rb"(" + _STAMP + rb") ")
_TTY_ENGINE_ERROR = b"Error grabbing logs: "

StreamName = Literal["stdout", "stderr"]


class Frame(NamedTuple):
    """One frame, or one part of a large one.

    Attributes:
        stream: 1 for standard output, 2 for standard error, 3 for a message of
            the engine itself.
        payload: At most 64 KiB.
        first: Whether this is the beginning of a frame; false for the further
            parts of a payload that was too large to hand on in one.
    """

    stream: int
    payload: bytes
    first: bool = True


class LogLine(NamedTuple):
    """One line that a container wrote.

    Attributes:
        at: When the engine received it, in UTC; ``None`` when the stream was
            asked for without time stamps or the stamp can't be read.
        stream: Which of the two streams it came from; always `stdout` for a
            container with a terminal, where the engine has mixed them.
        text: Without its line end. Bytes that are no UTF-8 are U+FFFD.
        cut: Bytes of the line beyond :data:`LINE_LIMIT`, which were dropped.
    """

    at: datetime | None
    stream: StreamName
    text: str
    cut: int = 0


class Skipped(NamedTuple):
    """Stands for lines that were counted and not handed out, each a record by itself that nobody asked for.

    Attributes:
        stream: Which of the two streams they came from.
    """

    stream: StreamName


@dataclass(slots=True)
class Decoding:
    """What was decoded, filled in while the stream is read: the denominator.

    Attributes:
        bytes_read: Bytes taken from the engine, headers included.
        lines: Lines handed out.
        broken_frames: Places where the framing was not as it should be: a
            header that is none, or a last frame that was cut short.
        skipped_bytes: Bytes given up while looking for the next frame.
        cut_lines: Lines that were longer than :data:`LINE_LIMIT`.
        unstamped: Lines without the time stamp that was asked for.
        engine_errors: The engine's own words where it failed to read the log
            (the first three).
        first_at: The time stamp of the first line, in UTC.
        last_at: The latest time stamp seen, in UTC.
    """

    bytes_read: int = 0
    lines: int = 0
    broken_frames: int = 0
    skipped_bytes: int = 0
    cut_lines: int = 0
    unstamped: int = 0
    engine_errors: list[str] = field(default_factory=list)
    first_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def whole(self) -> bool:
        """Whether the stream came through without a break in its framing or an engine error."""
        return not self.broken_frames and not self.engine_errors

    def note_engine_error(self, words: bytes) -> None:
        """Keep what the engine says of its own failure to read the log."""
        if len(self.engine_errors) < _ENGINE_ERRORS_KEPT:
            self.engine_errors.append(words[:500].decode("utf-8", "replace").strip())

    def line(self, stamp: bytes, stream: StreamName, text: bytes, cut: int = 0, *, stamped: bool) -> LogLine:
        """Make a line of its parts, and count it.

        Args:
            stamp: The engine's time stamp, empty when there is none.
            stream: Which stream it came from.
            text: What was kept of it, with or without its line end.
            cut: Bytes dropped already.
            stamped: Whether time stamps were asked for.
        """
        at = time_of(stamp) if stamp else None
        text = text.rstrip(b"\r\n")
        if len(text) > LINE_LIMIT:
            text, cut = text[:LINE_LIMIT], cut + len(text) - LINE_LIMIT
        return self.counted(LogLine(at, stream, text.decode("utf-8", "replace"), cut), stamped=stamped)

    def counted(self, line: LogLine, *, stamped: bool) -> LogLine:
        """Count a line that is handed out.

        Args:
            line: As it is handed out.
            stamped: Whether time stamps were asked for.
        """
        at = line.at
        self.lines += 1
        self.unstamped += stamped and at is None
        self.cut_lines += line.cut > 0
        if at is not None:
            if self.first_at is None:
                self.first_at = at
            if self.last_at is None or at > self.last_at:
                self.last_at = at
        return line


def frames(blocks: Iterable[bytes], decoding: Decoding | None = None) -> Iterator[Frame]:
    """Take the engine's framing apart.

    Args:
        blocks: The stream in blocks of any size, cut anywhere.
        decoding: Where to count; its `bytes_read`, `broken_frames` and
            `skipped_bytes` are kept up to date while this is read.

    Yields:
        Frames in the stream's order. What follows a broken header is searched
        for the next plausible one; a last frame that was cut short is yielded
        as far as it goes. Never more than one block and 64 KiB are held.
    """
    count = Decoding() if decoding is None else decoding
    rest = b""
    stream = left = 0  # of a payload too large to wait for
    lost = False
    for block in blocks:
        count.bytes_read += len(block)
        buffer, position, end = rest + block, 0, len(rest) + len(block)
        while position < end:
            if left:
                part = buffer[position : position + min(left, PAYLOAD_LIMIT)]
                yield Frame(stream, part, first=False)
                position, left = position + len(part), left - len(part)
                continue
            if end - position < HEADER.size:
                break
            kind, size = HEADER.unpack_from(buffer, position)
            if kind not in STREAMS or size >= _SIZE_LIMIT:
                count.broken_frames += not lost
                lost = True
                found = _PLAUSIBLE_HEADER.search(buffer, position + 1)
                following = found.start() if found else max(position + 1, end - HEADER.size + 1)
                count.skipped_bytes += following - position
                position = following
                continue
            lost = False
            stream, start = STREAMS[kind], position + HEADER.size
            if size > PAYLOAD_LIMIT:
                yield Frame(stream, buffer[start : start + PAYLOAD_LIMIT])
                position = min(start + PAYLOAD_LIMIT, end)
                left = size - (position - start)
            elif start + size <= end:
                yield Frame(stream, buffer[start : start + size])
                position = start + size
            else:
                break
        rest = buffer[position:]
    yield from _cut_short(rest, left, count, lost=lost)


def _cut_short(rest: bytes, left: int, count: Decoding, *, lost: bool) -> Iterator[Frame]:
    """Hand out what is there of a last frame that never came to its end."""
    if not rest and not left:
        return
    count.broken_frames += not lost
    if lost or len(rest) < HEADER.size:
        count.skipped_bytes += len(rest)
    else:
        kind, _ = HEADER.unpack_from(rest)
        yield Frame(STREAMS[kind], rest[HEADER.size :])


@dataclass(slots=True)
class OpenLine:
    """A line of one stream whose end has not been seen yet.

    Attributes:
        stream: Which stream.
        limit: Bytes of it that are held.
        stamp: The engine's time stamp of its pieces.
        text: What is held of it.
        cut: Bytes beyond that.
        open: Whether there is a line that has begun.
    """

    stream: StreamName
    limit: int = LINE_LIMIT + 1  # with a carriage return
    stamp: bytes = b""
    text: bytearray = field(default_factory=bytearray)
    cut: int = 0
    open: bool = False

    def add(self, piece: bytes) -> None:
        """Add a piece to the line."""
        room = self.limit - len(self.text)
        self.text += piece[:room]
        self.cut += max(0, len(piece) - room)
        self.open = True

    def ended_by(self, text: bytes) -> Iterator[tuple[bytes, StreamName, bytes, int]]:
        """Add a text that may go over several lines, and yield the parts of each line that it ends."""
        *ended, rest = text.split(b"\n")
        for piece in ended:
            self.add(piece)
            yield self.take()
        if rest:
            self.add(rest)

    def take(self) -> tuple[bytes, StreamName, bytes, int]:
        """End the line and return its parts, as :meth:`Decoding.line` takes them."""
        taken = self.stamp, self.stream, bytes(self.text), self.cut
        self.text.clear()
        self.cut, self.open = 0, False
        return taken


def lines(
    blocks: Iterable[bytes],
    *,
    tty: bool,
    timestamps: bool = True,
    decoding: Decoding | None = None,
) -> Iterator[LogLine]:
    """Decode a log stream into complete lines.

    Serves every line of the guide that begins with `docker-compose logs`.

    Args:
        blocks: The body of the engine's answer, in blocks of any size. It must
            be the raw body: the SDK's `logs()` has taken the headers off, and
            with them the name of the stream.
        tty: Whether the container has a terminal (`Config.Tty`): then there is
            no framing and the streams can't be told apart.
        timestamps: Whether the log was asked for with `timestamps=1`. Without
            them a long line of the `local` driver runs into the one after it.
        decoding: Where to count what was seen; read it after the iteration.

    Yields:
        Lines in the order in which they were completed; standard output and
        standard error are assembled apart. At most a few times
        :data:`LINE_LIMIT` bytes are held, whatever comes. Nothing is raised
        for broken input: see :class:`Decoding`.
    """
    count = Decoding() if decoding is None else decoding
    if tty:
        return _terminal_lines(blocks, count, timestamps=timestamps)
    return _framed_lines(blocks, count, timestamps=timestamps)


def _framed_lines(blocks: Iterable[bytes], count: Decoding, *, timestamps: bool) -> Iterator[LogLine]:
    pending = {1: OpenLine("stdout"), 2: OpenLine("stderr")}
    for number, payload, first in frames(blocks, count):
        if number == SYSTEM_ERROR:
            count.note_engine_error(payload)
            continue
        line, text = pending[number], payload
        if first and timestamps:
            stamped = STAMPED.match(payload)
            stamp, text = (stamped[1], payload[stamped.end() :]) if stamped else (b"", payload)
            if line.open and stamp != line.stamp:
                yield count.line(*line.take(), stamped=True)
            line.stamp = stamp
        if not line.open and text.find(b"\n") == len(text) - 1 >= 0:
            yield count.line(line.stamp, line.stream, text, stamped=timestamps)
            continue
        for parts in line.ended_by(text):
            yield count.line(*parts, stamped=timestamps)
    for line in pending.values():
        if line.open:
            yield count.line(*line.take(), stamped=timestamps)


def _terminal_lines(blocks: Iterable[bytes], count: Decoding, *, timestamps: bool) -> Iterator[LogLine]:
    # Room for several lines: the `local` driver runs long ones into those after them.
    line = OpenLine("stdout", limit=4 * LINE_LIMIT)
    for block in blocks:
        count.bytes_read += len(block)
        *ended, rest = block.split(b"\n")
        for piece in ended:
            line.add(piece)
            yield from _terminal_line(line, count, timestamps=timestamps)
        if rest:
            line.add(rest)
    if line.open:
        yield from _terminal_line(line, count, timestamps=timestamps)


def _terminal_line(line: OpenLine, count: Decoding, *, timestamps: bool) -> Iterator[LogLine]:
    """Make one line of a terminal's stream, or several where the `local` driver ran them together."""
    _, stream, raw, cut = line.take()
    if timestamps and raw.startswith(_TTY_ENGINE_ERROR):
        count.note_engine_error(raw)
        return
    stamped = STAMPED.match(raw) if timestamps else None
    if stamped is None:
        yield count.line(b"", stream, raw, cut, stamped=timestamps)
        return
    stamp, start, joined, text = stamped[1], stamped.end(), False, b""
    # A stamp inside a line is the engine's only in a line that came in pieces; elsewhere the
    # application wrote it.
    inner = STAMPED.finditer(raw, start + 1) if len(raw) - start >= _PIECE else ()
    for again in inner:
        if again[1] == stamp:
            text, start, joined = text + raw[start : again.start()], again.end(), True
        elif joined:
            yield count.line(stamp, stream, text + raw[start : again.start()], stamped=True)
            stamp, start, joined, text = again[1], again.end(), False, b""
    yield count.line(stamp, stream, text + raw[start:], cut, stamped=True)


def time_of(stamp: bytes) -> datetime | None:
    """Read the engine's RFC 3339 stamp; nanoseconds are cut to microseconds."""
    try:
        at = datetime.fromisoformat(stamp.decode("ascii"))
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
