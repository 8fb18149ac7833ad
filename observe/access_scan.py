"""One file of an access log, read in blocks and counted line by line or in blocks.

Line by line is the reference: every line goes through the format's own reader.
In blocks (:mod:`observe.access_blocks`) the same answers take a seventh of the
time, where numpy is installed and the format is one that it knows.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from typing import TYPE_CHECKING, cast

import msgspec

from observe.access_counts import LINE_BOUND, Counts, Questions, Tally
from observe.log_format import Escape, LogFormat
from observe.own_traffic import NAME
from observe.rotated_log import DISORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from observe.access_blocks import BlockCounter
    from observe.log_format import Access

_BLOCK = 2 * 1024 * 1024  # a block costs a hundred calls of numpy, whatever its size
_NAME = NAME.encode()
_PENDING_KEPT = 3
_DISORDER_MS = int(DISORDER.total_seconds() * 1000)


class Window(msgspec.Struct, frozen=True):
    """A window of time, in milliseconds since the epoch, both ends included."""

    since: int
    until: int

    def has(self, at_ms: int) -> bool:
        """Whether a moment is in it."""
        return self.since <= at_ms <= self.until


class Job(msgspec.Struct, frozen=True):
    """A file to be counted.

    Attributes:
        packed: Whether it is a gzip.
        begin: Offset to begin at, of a plain file.
        size: Offset to end at, of a plain file.
        window: What to cut line by line; ``None`` takes the file whole.
        questions: What is asked.
        pattern: The format's, as :attr:`LogFormat.pattern`.
        escape: The format's.
        blocks: Whether to count in blocks where that can be done.
        inside: Whether the line before `begin` is known to be in the window.
    """

    packed: bool
    begin: int
    size: int
    window: Window | None
    questions: Questions
    pattern: str
    escape: Escape
    blocks: bool
    inside: bool = False


class Scanned(msgspec.Struct):
    """A file, counted.

    Attributes:
        counts: The counts of its whole lines.
        rest: What stands behind its last line end.
        upto: Offset of that, in a plain file.
        size: Bytes read, unpacked.
        damaged: Whether it could not be unpacked to its end.
        shrunk: Whether it was cut while it was read.
    """

    counts: Counts
    rest: bytes
    upto: int
    size: int
    damaged: bool
    shrunk: bool


class Stopped(Exception):  # noqa: N818  control flow: whoever asked waits no more
    """The caller has given up."""


class LineCounter:
    """Counts line by line; the reference for every other way.

    A line that can't be read belongs to the window if the one before it that
    can be read does, at a file's beginning the one after it, and if there is
    none at all.

    Args:
        tally: What is added to.
        parse: The format's reader.
        window: What to count; ``None`` counts everything.
        inside: Whether the line before the first one is known to be in the window.
    """

    def __init__(
        self,
        tally: Tally,
        parse: Callable[[bytes], Access | None],
        window: Window | None,
        *,
        inside: bool = False,
    ) -> None:
        self.tally = tally
        self.window = window
        self.inside = inside or window is None
        self.over = False
        self._parse = parse
        self._pending: list[bytes] | None = None if self.inside else []
        self._pending_more = 0

    def block(self, block: bytes) -> None:
        """Count a block of whole lines."""
        for line in block.split(b"\n"):
            self.line(line)
            if self.over:
                return

    def line(self, line: bytes) -> None:
        """Count one line, without its end."""
        if line[:1] == b"\0":
            line = line.lstrip(b"\0")  # the hole that a log cut under its writer begins with
        if not line:
            return
        access = self._parse(line) if len(line) <= LINE_BOUND else None
        if access is None:
            self._unparsed(line)
            return
        at_ms = round(access.at.timestamp() * 1000)
        if self.window is not None and not self._enter(self.window, at_ms):
            return
        if _NAME in line and self.tally.suspect(line):
            return
        self.tally.add(access, at_ms)

    def _enter(self, window: Window, at_ms: int) -> bool:
        """Whether a request is in the window; what waited for the first one to be read goes with it."""
        self.inside = window.has(at_ms)
        self.over = at_ms > window.until + _DISORDER_MS
        if self._pending is not None:
            if self.inside:
                self._count_pending()
            self._pending = None
        return self.inside

    def moved(self, at_ms: int) -> None:
        """Say that somebody else counted lines, of which this is the last one's time."""
        if self.window is not None:
            self._enter(self.window, at_ms)

    def _unparsed(self, line: bytes) -> None:
        if self._pending is None:
            if self.inside:
                self.tally.add_unparsed(line)
        elif len(self._pending) < _PENDING_KEPT:
            self._pending.append(line[:LINE_BOUND])
        else:
            self._pending_more += 1

    def _count_pending(self) -> None:
        for line in self._pending or ():
            self.tally.add_unparsed(line)
        self.tally.counts.lines += self._pending_more
        self.tally.counts.unparsed += self._pending_more

    def end(self) -> None:
        """The file is at its end: what can't be placed in time at all is counted."""
        self._count_pending()
        self._pending = None


class WholeLines:
    """A file's contents as blocks of whole lines.

    Args:
        read: Reads on, at most so many bytes.
        left: Bytes to read at most.

    Attributes:
        size: Bytes read.
        whole: Bytes of them in whole lines.
        rest: What stands behind the last line end, bounded.
        short: Whether the end came before `left` bytes.
    """

    def __init__(self, read: Callable[[int], bytes], left: float) -> None:
        self._read = read
        self._left = left
        self.size = self.whole = 0
        self.rest = b""
        self.short = False

    def __iter__(self) -> Iterator[bytes]:
        """Read.

        Raises:
            OSError, EOFError, zlib.error: As the file's reader does.
        """
        while self._left > 0:
            data = self._read(int(min(_BLOCK, self._left)))
            if not data:
                self.short = True
                return
            self._left -= len(data)
            end = data.rfind(b"\n") + 1
            if end:
                # The line that lies across is handed out by itself: a block is copied once, not twice.
                begin = data.find(b"\n") + 1 if self.rest else 0
                across, self.rest = self.rest + data[:begin], data[end:]
                self.whole = self.size + end
                self.size += len(data)
                if across:
                    yield across
                if begin < end:
                    yield data[begin:end]
            else:
                # A line without end is kept so far that it is known to be too long for one.
                self.size += len(data)
                self.rest = (self.rest + data).lstrip(b"\0")[: LINE_BOUND + 1]


def scan(handle: BinaryIO, job: Job, stopped: Callable[[], bool]) -> Scanned:
    """Count one file.

    Args:
        handle: The open file, which can be sought in.
        job: What to count.
        stopped: Asked once a block; the reading ends when it says yes.

    Raises:
        Stopped: `stopped` said yes.
        OSError: A plain file can't be read.
    """
    if not job.packed:
        handle.seek(job.begin)
        lines = WholeLines(handle.read, job.size - job.begin)
        return _scan(lines, job, stopped)
    if job.blocks and (fast := _fast_reader(handle)) is not None:
        # How much comes out of a damaged file depends on who unpacks it: here it is always the same one.
        with contextlib.suppress(_Damage):
            return _scan(WholeLines(fast, math.inf), job, stopped)
    import gzip

    handle.seek(0)
    # read() would lose what comes before a damage in the same block.
    return _scan(WholeLines(gzip.GzipFile(fileobj=handle, mode="rb").read1, math.inf), job, stopped)


class _Damage(Exception):  # noqa: N818  it never leaves this module
    """The quick unpacker stumbled."""


def _fast_reader(handle: BinaryIO) -> Callable[[int], bytes] | None:
    try:
        from isal import igzip, igzip_lib
    except ImportError:
        return None
    handle.seek(0)
    unpacked = igzip.IGzipFile(fileobj=handle, mode="rb")  # type: ignore[no-untyped-call]
    broken = cast("type[Exception]", igzip_lib.IsalError)  # its stub calls it an instance

    def read(size: int) -> bytes:
        try:
            return unpacked.read(size)
        except (OSError, EOFError, ValueError, broken) as error:
            raise _Damage from error

    return read


def _scan(lines: WholeLines, job: Job, stopped: Callable[[], bool]) -> Scanned:
    tally = Tally(job.questions)
    counter = LineCounter(tally, _format(job).parse, job.window, inside=job.inside)
    in_blocks = _block_counter(counter, job) if job.blocks else None
    count = in_blocks.block if in_blocks is not None else counter.block
    damaged = False
    try:
        for block in lines:
            if stopped():
                raise Stopped
            count(block)
            if counter.over:
                lines.rest = b""
                break
    except (OSError, EOFError, zlib.error):
        if not job.packed:
            raise
        damaged = True
    counter.end()
    shrunk = not job.packed and lines.short
    return Scanned(tally.result(), lines.rest, job.begin + lines.whole, lines.size, damaged, shrunk)


def _format(job: Job) -> LogFormat:
    return LogFormat(job.pattern, job.escape)


def _block_counter(counter: LineCounter, job: Job) -> BlockCounter | None:
    """The quick way, where it can be gone."""
    from observe import access_blocks

    return access_blocks.counter(counter, job)
