r"""What of an application's log can be counted without being read closely.

Most lines are of a level that nobody asks for, or request lines: each is a
record by itself that adds nothing to the errors. They are told by their first
bytes, and only what stands between them is handed to the exact reader
(:func:`observe.application_log.records`), which remains the reference.

It is exact, not likely. A line is left out only if two things are certain:
the line above it in its stream is a record by itself to which it can't be
added, and it can't begin anything but a record below WARNING, a request or a
line without meaning. So there are two states for each stream:

* *open*: the reader holds the last line and may add the next one to it. The
  next line is handed over, unless it surely begins a record (`low`): then the
  reader is only told that the one above has ended (:class:`Skipped`);
* *closed*: the last line was left out. The next one is left out as well if it
  is `ordinary`; else it is handed over, after the line above it, unless it
  surely begins a record (`head`).

Lines that are JSON objects, `key=value` pairs or coloured are always read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING

from observe.application_log import LEVELS, SERVER_TIME, TIME
from observe.container_log import HEADER, PAYLOAD_LIMIT, STAMPED, STREAMS, OpenLine, Skipped, frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from observe.container_log import Decoding, LogLine

_LOW = "|".join(word for word, level in LEVELS.items() if level in ("DEBUG", "INFO"))
_ANY = "|".join(LEVELS)
_STAMP_WIDTH = len("2026-11-23T15:35:30.000000000Z")


@dataclass(frozen=True)
class Shapes:
    """How the beginnings of lines look in one kind of store.

    Attributes:
        ordinary: A line that can't begin a record at WARNING or worse or a
            traceback, and can't continue a record by itself.
        low: A line that surely begins a record below WARNING, or a request.
        head: A line that surely begins a record, of whatever level.
    """

    ordinary: re.Pattern[bytes]
    low: re.Pattern[bytes]
    head: re.Pattern[bytes]


def ordinary() -> str:
    """The pattern of :attr:`Shapes.ordinary`, for what stands behind the line's beginning.

    Cheap, so that only what decides is looked at. A digit where a time begins
    keeps the level's place: `.{18}` can't hide another.
    """
    rest = r"(?:[.,]\d++)?+(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?+"
    words = rf"(?:(?:{_LOW})[ :|]|\[(?i:{_LOW}) *+\])"
    return (
        rf"(?:\[(?:\d.{{18}}{rest}(?:\] (?:\[\d++\] )?+{words}|: (?:{_LOW})/)|(?:{_LOW})\] )"
        rf"|(?=\d)(?:[0-9a-f.:]*+ - - \[|\d.{{18}}{rest}(?: [-|])?+ ++(?:{words}|[a-z_][a-z0-9_.]*+ - (?:{_LOW}) ))"
        rf"|(?:{_LOW})[ :])"
    )


def heads(words: str, quote: str, end: str) -> str:
    """The pattern of lines that surely begin a record at one of the levels, or a request.

    Args:
        words: The levels, as alternatives.
        quote: How a quotation mark is stored.
        end: How a line's end is stored.
    """
    level = rf"(?:\[(?i:{words}) *\]|(?:{words})(?=[ :|]))"
    user = r"(?:-|[0-9a-zA-Z_.@]+)"
    return (
        rf"(?:\[{TIME}\] (?:\[\d+\] )?{level}"
        rf"|\[{TIME}: (?:{words})/[\w.\-]*\] "
        rf"|{TIME}(?: [-|])? +{level}"
        rf"|{TIME} - [a-z_][\w.]* - (?:{words}) - "
        rf"|\[?(?:{words})\]? +\[?{TIME}"
        rf"|(?:{words}):(?: |[\w.\-]+:)|\[(?:{words})\] "
        rf"|[0-9a-zA-Z.:_\-]+ {user} {user} {SERVER_TIME} "
        rf'{quote}[^"\\]*{quote} \d{{3}} (?:\d+|-)(?:{end}| ))'
    )


def shapes(start: str, quote: str, end: str) -> Shapes:
    """The patterns for lines as they are stored somewhere.

    Args:
        start: What stands before a line's first byte.
        quote: How a quotation mark is stored.
        end: How a line's end is stored.
    """
    return Shapes(
        *(
            re.compile((start + pattern).encode())
            for pattern in (ordinary(), heads(_LOW, quote, end), heads(_ANY, quote, end))
        )
    )


@dataclass(slots=True)
class _Stream:
    """What is known of one stream of a framed log."""

    line: OpenLine
    above: bytes = b""  # the last frame that was left out: the stream is closed
    given: bool = False  # whether the first of the lines that can be left out was handed over


@dataclass(slots=True)
class _Framed:
    """Skims the engine's frames."""

    count: Decoding
    since: bytes
    shapes: Shapes
    streams: dict[int, _Stream] = field(
        default_factory=lambda: {1: _Stream(OpenLine("stdout")), 2: _Stream(OpenLine("stderr"))}
    )

    def take(self, number: int, payload: bytes, *, first: bool) -> Iterator[LogLine | Skipped]:
        """Hand over what a frame adds to the lines, unless it is the first that can be left out."""
        if (stream := self.streams.get(number)) is None:
            self.count.note_engine_error(payload)
            return
        line = stream.line
        whole = first and not line.open and payload.find(b"\n") == len(payload) - 1
        if stream.above:
            if not (whole and self.shapes.head.match(payload)):
                yield self._above(stream)
            stream.above = b""
        elif whole and payload >= self.since and self.shapes.low.match(payload):
            if stream.given:
                yield Skipped(line.stream)
                self.count.lines += 1
                stream.above = payload
                return
            stream.given = True
        yield from self._read(line, payload, first=first)

    def _above(self, stream: _Stream) -> LogLine:
        """The line above, which was left out and counted."""
        self.count.lines -= 1
        stamp, text = stream.above[:_STAMP_WIDTH], stream.above[_STAMP_WIDTH + 1 :]
        return self.count.line(stamp, stream.line.stream, text, stamped=True)

    def _read(self, line: OpenLine, payload: bytes, *, first: bool) -> Iterator[LogLine]:
        """As the plain reader does."""
        text = payload
        if first:
            stamped = STAMPED.match(payload)
            stamp, text = (stamped[1], payload[stamped.end() :]) if stamped else (b"", payload)
            if line.open and stamp != line.stamp:
                yield self.count.line(*line.take(), stamped=True)
            line.stamp = stamp
        for parts in line.ended_by(text):
            yield self.count.line(*parts, stamped=True)

    def end(self) -> Iterator[LogLine]:
        """The last line of each stream, so that it is known when it was."""
        for stream in self.streams.values():
            if stream.above:
                yield self._above(stream)
            if stream.line.open:
                yield self.count.line(*stream.line.take(), stamped=True)


@cache
def _framed_shapes() -> Shapes:
    return shapes(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", '"', r"[\r\n]*\Z")


def skimmed(blocks: Iterable[bytes], decoding: Decoding, since: datetime) -> Iterator[LogLine | Skipped]:
    """The lines of a framed stream with time stamps, without those that nobody asked for.

    Args:
        blocks: As for :func:`observe.container_log.lines`, of a container without a terminal.
        decoding: Where to count; lines that are left out are counted.
        since: Up to here everything is handed over, aware.

    Yields:
        Lines to be read by :func:`observe.application_log.records`, in the
        stream's order. The first line of each stream that could be left out and
        the last one are handed over.
    """
    state = _Framed(decoding, f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z".encode(), _framed_shapes())
    for number, payload, first in frames(_sifted(iter(blocks), state), decoding):
        yield from state.take(number, payload, first=first)
    yield from state.end()


def _sifted(blocks: Iterator[bytes], state: _Framed) -> Iterator[bytes]:
    """The stream without the frames that are left out; every other frame is a block of its own.

    What comes behind a frame that is none, or is too large, is handed on as it is.
    """
    # Nearly every line is left out here, so nothing is done that need not be.
    count, is_ordinary = state.count, state.shapes.ordinary.match
    streams = {kind: state.streams.get(number) for kind, number in STREAMS.items()}
    width, header_of = HEADER.size, HEADER.unpack_from
    rest = b""
    for block in blocks:
        buffer, position = rest + block, 0
        end = len(buffer)
        while end - position >= width:
            kind, size = header_of(buffer, position)
            start = position + width
            stop = start + size
            if kind not in streams or size > PAYLOAD_LIMIT:
                yield buffer[position:]
                yield from blocks
                return
            if stop > end:
                break
            stream = streams[kind]
            if (
                stream is not None
                and stream.above
                and is_ordinary(buffer, start, stop)
                and buffer.find(b"\n", start, stop) == stop - 1
            ):
                stream.above = buffer[start:stop]
                count.lines += 1
                count.bytes_read += stop - position
            else:
                yield buffer[position:stop]
            position = stop
        rest = buffer[position:]
    yield rest
