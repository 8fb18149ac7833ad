r"""A container's log as the engine stores it: the files of the `json-file` driver, read without the engine.

Serves the same lines of the guide as :mod:`observe.container_log`, which
remains the reference: the engine reads a log from its beginning whatever
window it is asked for, and takes ten times as long as reading the file. Each
entry is an object on a line of its own:

    {"log":"a line\n","stream":"stderr","time":"2026-11-23T15:35:30.123456789Z"}

A line of more than 16 KiB is several entries, of which only the last has its
`\n`. Old entries are in `…-json.log.1`, `.2` and so on, perhaps packed. The
engine stops at an entry that it can't read, and says nothing; here such
entries are counted and the reading goes on.

Files are opened together and read as far as they then went, so the engine may
rename, pack or remove them while they are read.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from observe.container_log import LINE_LIMIT, LogLine, OpenLine, Skipped, time_of
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from observe.container_log import Decoding, StreamName
    from observe.engine import Container
    from observe.skim import Shapes

DISORDER = timedelta(seconds=1)
"""How far entries may be out of order: the two streams are written by two of the engine's threads."""

_BLOCK = 128 * 1024  # larger ones are taken from the kernel each time, and given back
_MUCH = 1024 * 1024  # of less it isn't worth while to leave anything out
_ENTRY_LIMIT = 1024 * 1024  # the engine's own are at most 16 KiB of text, six bytes a character
_TRIES, _PAUSE = 5, 0.01  # seconds: a rename takes less
_WHOLE_LINE = LINE_LIMIT // 4  # characters; shorter ones need not be measured in bytes
_STREAMS: tuple[StreamName, ...] = ("stdout", "stderr")
# A quotation mark within the text has a backslash before it, so none of these can be part of it.
_TIME = re.compile(rb',"time":"([0-9T:.\-]{19,29}Z)"\}\n')
_OF_STREAM = {name: f'","stream":"{name}",'.encode() for name in _STREAMS}
_BEGINS = b'{"log":"'
# Where an entry ends as it should, behind the end of its line, and the next one begins. Without attributes the
# distance is given by the digits of the time.
_ENDS = "|".join(rf'(?<=[^\\]\\n",.{{{46 + digits}}}"\}}\n\{{"log":")' for digits in (10, 9, 8, 7, 6, 5, 4, 3, 2, 0))


@dataclass
class Stored:
    """The files of a container's log, oldest first, opened together.

    Attributes:
        files: Each with how far it went when it was opened, None for a packed one.
        damaged: Entries that could not be read and were left out.
        older: Whether there was an entry from before the window.
    """

    files: list[tuple[IO[bytes], int | None]]
    damaged: int = 0
    older: bool = False
    _stopped: bool = False
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stop(self) -> None:
        """Let whoever reads the lines come to an end."""
        self._stopped = True

    def lines(
        self, since: datetime, until: datetime, decoding: Decoding, skim_from: datetime | None = None
    ) -> Iterator[LogLine | Skipped]:
        """The lines of a window, as :func:`observe.container_log.lines` yields them for the engine's stream.

        Args:
            since: Beginning of the window, aware.
            until: End of the window, aware. As with the engine the first later entry ends the reading.
            decoding: Where to count what was seen.
            skim_from: From here on lines are left out as in :mod:`observe.skim`; None to hand out all.

        Yields:
            Lines in the order of the files. A clock that was set back by more
            than :data:`DISORDER` can hide entries before the window's beginning.

        Raises:
            CannotTell: If a file is cut while it is read.
        """
        few = sum(_MUCH if size is None else size for _, size in self.files) < _MUCH
        if skim_from is None or few:
            reader = _Reader(since, until, decoding)
        else:
            reader = _Skimmer(since, until, decoding, skim_from)
        for block in self._blocks(since):
            if self._stopped:
                break
            if (last := _last_time(block)) is not None and last < since - DISORDER:
                self.older = True
                continue
            yield from reader.take(block)
            if reader.ended:
                break
        yield from reader.end()
        self.damaged += reader.damaged
        self.older = self.older or reader.older

    def _blocks(self, since: datetime) -> Iterator[bytes]:
        """Blocks of whole lines from a little before the window on."""
        wanted = since - DISORDER
        first = 0
        for number, (file, size) in enumerate(self.files):
            begins = _first_time(file, size)
            if number and begins is not None and begins < wanted:
                first, self.older = number, True
        for number, (file, size) in enumerate(self.files[first:], start=first):
            start = 0
            if number == first and size is not None and (start := _bisect(file, size, wanted)):
                self.older = True
            # In the last file an entry without end is one that the engine is just writing.
            live = number == len(self.files) - 1
            yield from self._plain(file, start, size, live=live) if size is not None else self._packed(file)

    def _plain(self, file: IO[bytes], start: int, size: int, *, live: bool) -> Iterator[bytes]:
        length = _BLOCK
        while start < size:
            block = os.pread(file.fileno(), min(length, size - start), start)
            if not block:
                raise CannotTell(
                    f"{Path(str(file.name)).name} was cut while it was read",
                    mend="The engine dropped old lines just now. Look again.",
                )
            if end := block.rfind(b"\n") + 1:
                yield block[:end]
                start, length = start + end, _BLOCK
            elif start + len(block) >= size:
                self.damaged += not live
                return
            elif length < _ENTRY_LIMIT:
                length *= 2
            else:
                self.damaged += 1
                start += len(block)

    def _packed(self, file: IO[bytes]) -> Iterator[bytes]:
        file.seek(0)
        rest = b""
        try:
            while block := file.read(_BLOCK):
                end = block.rfind(b"\n") + 1
                if end:
                    yield rest + block[:end]
                    rest = b""
                rest += block[end:]
                if len(rest) > _ENTRY_LIMIT:
                    self.damaged, rest = self.damaged + 1, b""
        except Exception:  # noqa: BLE001  each way to unpack has errors of its own
            self.damaged += 1
        else:
            self.damaged += bool(rest)


def stored(container: Container) -> Stored | None:
    """Open a container's log where the engine stores it.

    Returns:
        The files; None if the log isn't in any, if they may not be read, or if
        they are renamed again and again meanwhile.
    """
    if container.log_driver != "json-file" or not container.log_path:
        return None
    live = Path(container.log_path)
    for _ in range(_TRIES):
        with ExitStack() as stack:
            try:
                before = _names(live)
                files = [_opened(stack, path) for path in before]
                if _names(live) == before:
                    return Stored(files, _stack=stack.pop_all())
            except FileNotFoundError:
                if not live.parent.is_dir():
                    return None
            except OSError:
                return None
        time.sleep(_PAUSE)
    return None


def _names(live: Path) -> dict[Path, int]:
    """The log's files, oldest first, with what tells whether they were renamed meanwhile."""
    pattern = re.compile(re.escape(live.name) + r"(?:\.(\d{1,6})(?:\.gz)?)?")
    found = {path: int(match[1] or 0) for path in live.parent.iterdir() if (match := pattern.fullmatch(path.name))}
    if live not in found:
        raise FileNotFoundError(live)
    # Packed beside unpacked: the engine is just packing it.
    numbers = {number for path, number in found.items() if path.suffix != ".gz"}
    kept = [path for path, number in found.items() if path.suffix != ".gz" or number not in numbers]
    return {path: path.stat().st_ino for path in sorted(kept, key=found.__getitem__, reverse=True)}


def _opened(stack: ExitStack, path: Path) -> tuple[IO[bytes], int | None]:
    file: IO[bytes] = stack.enter_context(path.open("rb", buffering=0))
    if path.suffix != ".gz":
        return file, os.fstat(file.fileno()).st_size
    return stack.enter_context(_unpacked(file)), None


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    try:
        from isal import igzip
    except ImportError:
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    unpacked: IO[bytes] = igzip.GzipFile(fileobj=file)  # type: ignore[no-untyped-call, assignment]
    return unpacked


def _first_time(file: IO[bytes], size: int | None) -> datetime | None:
    """The time of a file's first readable entry."""
    file.seek(0)
    try:
        found = _TIME.search(file.read(_BLOCK if size is None else min(_BLOCK, size)))
    except Exception:  # noqa: BLE001  see above
        return None
    return time_of(found[1]) if found else None


def _last_time(block: bytes) -> datetime | None:
    """The time of the last entry of a block, if it can be read."""
    found = _TIME.search(block, max(0, block.rfind(b"\n", 0, -1)))
    return time_of(found[1]) if found else None


def _bisect(file: IO[bytes], size: int, wanted: datetime) -> int:
    """The beginning of an entry before which there is none of the time that is wanted or later."""
    low, high = 0, size
    while high - low > _BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        found = _TIME.search(file.read(min(_BLOCK, size - middle)))
        at = time_of(found[1]) if found else None
        # Where nothing can be read, too much is read rather than too little.
        if found is not None and at is not None and at < wanted:
            low = middle + found.end()
        else:
            high = middle
    return low


class _Reader:
    """Makes lines of entries, all of them."""

    def __init__(self, since: datetime, until: datetime, decoding: Decoding) -> None:
        self.since, self.until = since, until
        self.count = decoding
        self.ended = False
        self.damaged = 0
        self.older = False
        self._open = {name: OpenLine(name) for name in _STREAMS}

    def take(self, block: bytes) -> Iterator[LogLine | Skipped]:
        """The lines that a block of whole entries adds.

        Args:
            block: Ends with the end of an entry.
        """
        self.count.bytes_read += len(block)
        for raw in block[:-1].split(b"\n"):
            yield from self.entry(raw)
            if self.ended:
                return

    def entry(self, raw: bytes) -> Iterator[LogLine]:
        """The lines that one entry ends."""
        if (entry := self.parsed(raw)) is not None:
            yield from self.add(*entry)

    def parsed(self, raw: bytes) -> tuple[str, OpenLine, bytes, datetime] | None:
        """Text, line, stamp and time of an entry; None for one that can't be read, which is counted."""
        try:
            entry = json.loads(raw.decode())
            text, line, stamp = entry["log"], self._open[entry["stream"]], entry["time"].encode()
            at = time_of(stamp) if isinstance(text, str) else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            at = None
        if at is None:
            self.damaged += 1
            return None
        return text, line, stamp, at

    def add(self, text: str, line: OpenLine, stamp: bytes, at: datetime) -> Iterator[LogLine]:
        """The lines that a text ends."""
        if at < self.since:
            self.older = True
            return
        if at > self.until:
            self.ended = True
            return
        if line.open and stamp != line.stamp:
            # A process that died left it open.
            yield self.count.line(*line.take(), stamped=True)
        if not line.open and len(text) <= _WHOLE_LINE and text.find("\n") == len(text) - 1 >= 0:
            yield self.count.counted(LogLine(at, line.stream, text.rstrip("\r\n")), stamped=True)
            return
        line.stamp = stamp
        for parts in line.ended_by(text.encode("utf-8", "replace")):
            yield self.count.line(*parts, stamped=True)

    def end(self) -> Iterator[LogLine | Skipped]:
        """The lines that are open at the end."""
        for line in self._open.values():
            if line.open:
                yield self.count.line(*line.take(), stamped=True)


@dataclass(slots=True)
class _Place:
    """Where one stream stands in the block at hand.

    Attributes:
        closed: Whether its last line was left out.
        given: Whether the first of the lines that can be left out was handed over.
        floor: Up to here in the block its lines were handed over.
        above: Its last line of an earlier block, if that was left out.
    """

    closed: bool = False
    given: bool = False
    floor: int = 0
    above: bytes = b""


class _Skimmer(_Reader):
    """Leaves out what need not be read; see :mod:`observe.skim` for when that is so.

    Of the lines that are left out, beginning and end are looked at, which finds
    entries that are torn, run together, cut or full of holes. A wrong byte in
    the middle of one isn't seen, and it counts as a line.
    """

    def __init__(self, since: datetime, until: datetime, decoding: Decoding, skim_from: datetime) -> None:
        super().__init__(since, until, decoding)
        self._from = skim_from + DISORDER
        self._places = {name: _Place() for name in _STREAMS}
        self._shapes, self._whole, self._unusual = _patterns()
        self._read = 0  # entries of the block that were handed over

    def take(self, block: bytes) -> Iterator[LogLine | Skipped]:
        """As the plain reader's."""
        first, ends = _TIME.search(block), _last_time(block)
        begins = time_of(first[1]) if first else None
        edge = begins is None or ends is None or begins < self._from or ends > self.until - DISORDER
        if edge or b"\0" in block:  # a power cut leaves holes in a file
            for name in _STREAMS:
                yield from self._hand_above(name, b"", 0)
            yield from super().take(block)
            return
        self.count.bytes_read += len(block)
        self._read = 0
        for place in self._places.values():
            place.floor = 0
        done = 0
        for begin, end in self._unusual_lines(block):
            if not all(place.closed for place in self._places.values()):
                yield from self._ordinary(block, done, begin)
            yield from self._line(block, begin, end)
            done = end
        for name, place in self._places.items():
            if place.closed and (found := _line_before(block, name, place.floor, len(block))):
                place.above = found
        self.count.lines += block.count(b"\n") - self._read

    def _unusual_lines(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Beginning and end of the lines that can't be left out by their looks, and of the last one."""
        done = 0
        for found in self._unusual.finditer(block):
            at = found.start()
            if at < done:
                continue
            begin = block.rfind(b"\n", 0, at) + 1
            if begin < at:  # within a line: a torn one
                end = block.find(b"\n", at) + 1
                yield from _lines_between(block, _unseen(block, done, begin), end)
                done = end
                continue
            if at > done and not self._whole.match(block, found.end()):  # the line before doesn't end as it should
                yield from _lines_between(block, _unseen(block, done, block.rfind(b"\n", 0, at - 1) + 1), at)
                done = at
            if not self._shapes.ordinary.match(block, at):
                done = block.find(b"\n", at) + 1
                yield at, done
        if done < len(block):
            last = block.rfind(b"\n", 0, -1) + 1
            yield from _lines_between(block, _unseen(block, done, last), len(block))

    def _ordinary(self, block: bytes, begin: int, end: int) -> Iterator[LogLine | Skipped]:
        """Lines of the streams that are open; those of the others are left out."""
        following = {}
        for name, place in self._places.items():
            if not place.closed and (at := _line_after(block, name, begin, end)) is not None:
                following[name] = at
        while following:
            name = min(following, key=lambda one: following[one])
            place, at = self._places[name], following.pop(name)
            stop = block.find(b"\n", at) + 1
            if place.given and not self._open[name].open and self._shapes.low.match(block, at):
                place.closed, place.floor = True, at
                yield Skipped(name)
                continue
            place.given = place.given or self._shapes.low.match(block, at) is not None
            self._read += 1
            yield from self.entry(block[at : stop - 1])
            if (at_next := _line_after(block, name, stop, end)) is not None:
                following[name] = at_next

    def _line(self, block: bytes, begin: int, end: int) -> Iterator[LogLine | Skipped]:
        """A line that can't be left out, behind the one above it if that may belong together."""
        found = {name: at for name in _STREAMS if (at := block.find(_OF_STREAM[name], begin, end)) >= 0}
        self._read += 1
        if (entry := self.parsed(block[begin : end - 1])) is None:
            for name in found:  # two of them where two entries ran together
                place = self._places[name]
                place.above = _line_before(block, name, place.floor, begin) or place.above
                place.floor = end
            return
        if found:
            name = min(found, key=found.__getitem__)
            if not self._shapes.head.match(block, begin, end):
                yield from self._hand_above(name, block, begin)
            place = self._places[name]
            place.closed, place.floor, place.above = False, end, b""
        yield from self.add(*entry)

    def _hand_above(self, name: StreamName, block: bytes, end: int) -> Iterator[LogLine]:
        """Hand over the last line that was left out, which was or will be counted."""
        place = self._places[name]
        if not place.closed:
            return
        raw = _line_before(block, name, place.floor, end) or place.above
        place.closed, place.above = False, b""
        self.count.lines -= 1
        yield from self.entry(raw[:-1])

    def end(self) -> Iterator[LogLine | Skipped]:
        """The last line of each stream, so that it is known when it was."""
        for name in _STREAMS:
            yield from self._hand_above(name, b"", 0)
        yield from super().end()


@cache
def _patterns() -> tuple[Shapes, re.Pattern[bytes], re.Pattern[bytes]]:
    """The shapes of lines in the file, what tells a whole entry before one, and what finds all others.

    The last one begins with a text of its own, which is searched for quickly.
    """
    from observe.skim import ordinary, shapes

    return (
        shapes(r"\{\"log\":\"", r"\\\"", r"(?:\\r)*\\n\""),
        re.compile(_ENDS.encode()),
        re.compile(rf"\{{\"log\":\"(?!(?:{_ENDS}){ordinary()})".encode()),
    )


def _unseen(block: bytes, done: int, begin: int) -> int:
    """The beginning of a line, or of the nearest above it that begins as an entry: nobody saw those between."""
    while begin > done and not block.startswith(_BEGINS, begin):
        begin = block.rfind(b"\n", 0, begin - 1) + 1
    return max(begin, done)


def _lines_between(block: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while begin < end:
        stop = block.find(b"\n", begin) + 1
        yield begin, stop
        begin = stop


def _line_after(block: bytes, name: StreamName, begin: int, end: int) -> int | None:
    """Where the first line of a stream begins."""
    found = block.find(_OF_STREAM[name], begin, end)
    return None if found < 0 else block.rfind(b"\n", 0, found) + 1


def _line_before(block: bytes, name: StreamName, begin: int, end: int) -> bytes:
    """The last line of a stream with its end; empty if there is none."""
    found = block.rfind(_OF_STREAM[name], begin, end)
    return b"" if found < 0 else block[block.rfind(b"\n", 0, found) + 1 : block.find(b"\n", found) + 1]
