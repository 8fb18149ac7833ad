"""The lines of a window of time, or the last so many, across a log and its rotated neighbours.

`tail -10000 access.log` right after a rotation reads a few lines and finds all
well: here a window, or a number of lines, is read from the file and as many of
its rotated neighbours as it takes.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import PurePath

DISORDER = timedelta(minutes=5)
"""How far lines may stand out of order: workers with buffered logs write in turns."""

_BLOCK = 256 * 1024
_HEAD = 64 * 1024
_STEP = 4 * 1024
_PROBE = 32 * 1024
_LINE_BOUND = 64 * 1024
_EXAMPLES_KEPT = 3
_EXAMPLE_WIDTH = 300
_UNPACKED_HELD = 32 * 1024**2
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_ATTEMPTS = 3
_PAUSE_S = 0.05  # what a rotation takes between renaming a file and making the new one


class FileEntry(NamedTuple):
    """A file as a directory lists it.

    Attributes:
        name: Without the directory.
        size: Bytes.
        mtime: Seconds since the epoch.
        inode: What stays the same when it is renamed; 0 where nobody knows.
    """

    name: str
    size: int
    mtime: float
    inode: int


class Files(Protocol):
    """Files of the target, here or elsewhere. Failures are :class:`OSError`.

    Attributes:
        held: How many files of a log are opened beforehand, so that a rotation meanwhile doesn't matter.
        read_on: So many bytes are read on rather than a place be sought in them.
    """

    held: int
    read_on: int

    def open_binary(self, path: PurePath) -> BinaryIO:
        """Open a regular file for reading; what is returned can be sought in."""

    def list(self, directory: PurePath) -> Sequence[FileEntry]:
        """List the regular files of a directory."""

    def stat(self, path: PurePath) -> FileEntry:
        """Describe one file."""

    def inode_of(self, handle: BinaryIO) -> int:
        """The inode of a file that :meth:`open_binary` opened; 0 where nobody knows."""


class LocalFiles:
    """The files of the machine that this runs on."""

    held = 64
    read_on = _PROBE

    def open_binary(self, path: PurePath) -> BinaryIO:
        """Open a regular file; a pipe or a terminal, which would block, is refused."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        return open(descriptor, "rb", buffering=0)  # noqa: PTH123  the caller closes it

    def list(self, directory: PurePath) -> Sequence[FileEntry]:
        """List the regular files of a directory; those that vanish meanwhile are left out."""
        entries = []
        with os.scandir(directory) as found:
            for item in found:
                try:
                    about = item.stat()
                except OSError:
                    continue
                if stat.S_ISREG(about.st_mode):
                    entries.append(FileEntry(item.name, about.st_size, about.st_mtime, about.st_ino))
        return entries

    def stat(self, path: PurePath) -> FileEntry:
        """Describe one file."""
        about = Path(path).stat()
        return FileEntry(path.name, about.st_size, about.st_mtime, about.st_ino)

    def inode_of(self, handle: BinaryIO) -> int:
        """What its descriptor says."""
        return os.fstat(handle.fileno()).st_ino


class Timed(Protocol):
    """Anything with a time."""

    @property
    def at(self) -> datetime:
        """When it was written, aware."""


T = TypeVar("T", bound=Timed)


@dataclass(slots=True)
class LogFile:
    """One file of a log, held open: what happens to its name no longer matters.

    Attributes:
        entry: The file as it was listed; what is written behind its size isn't read.
        handle: The open file.
        packed: How it is packed, `.gz` or nothing.
        first_at: The first time in it; ``None`` if there is none near its beginning.
    """

    entry: FileEntry
    handle: BinaryIO
    packed: str
    first_at: datetime | None = None

    def reader(self) -> Callable[[int], bytes]:
        """What reads the file's contents on from the beginning, unpacked, at most so many bytes at a time."""
        self.handle.seek(0)
        if self.packed:
            import gzip

            # read() would lose what comes before a damage in the same block.
            return gzip.GzipFile(fileobj=self.handle, mode="rb").read1
        return self.handle.read


@dataclass(slots=True)
class Opening:
    """Opens a log and those of its rotated neighbours that a window needs.

    Attributes:
        path: The log's own file.
        since: Beginning of the window, aware.
        parse: Reads the time of a line.
        files: Where the files are.
        unread: Files that were needed but could not be read, with the reason;
            added to here.
    """

    path: PurePath
    since: datetime
    parse: Callable[[bytes], Timed | None]
    files: Files
    unread: list[str]

    def open(self) -> list[LogFile]:
        """Open the files that the window needs, newest first, at a moment when nothing renames them.

        Raises:
            CannotTell: The file is not there, may not be read, or is no file;
                or it is being rotated again and again.
        """
        return self._at_rest(self._open_needed)

    def open_newest(self) -> tuple[list[LogFile], list[tuple[FileEntry, str]]]:
        """Open the newest files, likewise, and say which there are besides: names and how they are packed.

        A rotated file that can't be opened is not opened: it isn't known yet whether anybody needs it.

        Raises:
            CannotTell: As with :meth:`open`.
        """
        older: list[tuple[FileEntry, str]] = []

        def newest(entries: Sequence[FileEntry], logs: list[LogFile]) -> None:
            own, *rotated = _chains(entries, self.path.name)
            if not own:
                raise FileNotFoundError(self.path)
            # Who changed from one way of naming to the other did it once: all of one are older.
            rotated.sort(key=lambda chain: max((entry.mtime for entry, _ in chain), default=0.0), reverse=True)
            older[:] = [*own, *(one for chain in rotated for one in chain)]
            while older and len(logs) < self.files.held:
                try:
                    log = self._open(*older[0])
                except CannotTell:
                    if not logs:
                        raise
                    return
                if log is None:
                    return
                logs.append(log)
                del older[0]

        return self._at_rest(newest), older

    def _at_rest(self, open_some: Callable[[Sequence[FileEntry], list[LogFile]], None]) -> list[LogFile]:
        """Open files at a moment when nothing renames them."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_S)
            before = self.listing()
            logs: list[LogFile] = []
            try:
                open_some(before, logs)
                if all(log.entry.inode and self.files.inode_of(log.handle) == log.entry.inode for log in logs):
                    return logs  # each is what was listed, whatever its name leads to by now
                if {e.name: e.inode for e in before} == {e.name: e.inode for e in self.listing()}:
                    return logs
            except FileNotFoundError:
                pass  # renamed since it was listed
            except BaseException:
                close(logs)
                raise
            close(logs)
        if not any(entry.name == self.path.name for entry in self.listing()):
            self._stat()  # says why, if it isn't there
            raise self.cannot_read(OSError(errno.EINVAL, "it is no regular file"))
        raise CannotTell(
            f"{self.path} is being rotated again and again",
            mend=f"Look at what rotates {self.path}, then run this again.",
            cause=str(self.path),
        )

    def listing(self) -> list[FileEntry]:
        """The log's own file and its rotated neighbours, in no order."""
        try:
            entries = self.files.list(self.path.parent)
        except PermissionError:
            note = f"rotated files of {self.path.name}: the directory may not be listed"
            if note not in self.unread:
                self.unread.append(note)
            return [self._stat()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self.cannot_read(error) from error
        family = _family_of(self.path.name)
        return [entry for entry in entries if entry.name == self.path.name or family.fullmatch(entry.name)]

    def _stat(self) -> FileEntry:
        try:
            return self.files.stat(self.path)
        except OSError as error:
            raise self.cannot_read(error) from error

    def _open_needed(self, entries: Sequence[FileEntry], logs: list[LogFile]) -> None:
        """Open newest first, until one begins before the window."""
        if not any(entry.name == self.path.name for entry in entries):
            raise FileNotFoundError(self.path)
        reach = self.since - DISORDER
        for chain in _chains(entries, self.path.name):
            for entry, packed in chain:
                log = self._open(entry, packed)
                if log is None:
                    continue
                logs.append(log)
                log.first_at = self._first_time(log)
                if log.first_at is not None and log.first_at < reach:
                    break
            if any(log.first_at is not None and log.first_at < reach for log in logs[:1]):
                return  # the log's own file is enough

    def open_one(self, entry: FileEntry, packed: str) -> LogFile:
        """Open a file that :meth:`open_newest` left, under the name that it has by now.

        Raises:
            CannotTell: It can't be read, is gone, or there is no reader for it.
        """
        log = self._open_under_its_name(entry, packed)
        if log is None:
            raise CannotTell(
                f"{entry.name} is packed as {packed}, for which there is no reader here",
                mend=f"Let logrotate pack {self.path.name} with gzip.",
                cause=str(self.path),
            )
        return log

    def _open_under_its_name(self, entry: FileEntry, packed: str) -> LogFile | None:
        for _ in range(_ATTEMPTS):
            try:
                log = self._open(entry, packed)
            except FileNotFoundError:
                pass
            else:
                if log is None or not entry.inode or self.files.inode_of(log.handle) in {0, entry.inode}:
                    return log
                close([log])  # the name has been given to another file since it was listed
            moved = [one for one in self.listing() if entry.inode and one.inode == entry.inode]
            if not moved:
                break
            # Its size stays as it was listed: what is written behind it isn't read.
            entry = entry._replace(name=moved[0].name)
        gone = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        raise self.cannot_read(gone, self.path.parent / entry.name)

    def _open(self, entry: FileEntry, packed: str) -> LogFile | None:
        if packed not in ("", ".gz"):
            self.unread.append(f"{entry.name}: no reader for {packed}")
            return None
        try:
            return LogFile(entry, self.files.open_binary(self.path.parent / entry.name), packed)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self.cannot_read(error, self.path.parent / entry.name) from error

    def cannot_read(self, error: OSError, path: PurePath | None = None) -> CannotTell:
        """What a failure to read means to an operator."""
        path = path or self.path
        if isinstance(error, PermissionError):
            what = f"{path} may not be read"
            mend = f"Run this as a user who may read {path}, for instance a member of its group."
        elif isinstance(error, FileNotFoundError):
            what = f"there is no file {path}"
            mend = f"See whether nginx still writes to {path}, or give the path of its log in the settings."
        elif error.errno == errno.ESTALE:
            what = f"{path} can't be read on: {error.strerror}"
            mend = "It was rotated meanwhile, perhaps: run this again. If it stays so, its file system is gone."
        else:
            what = f"{path} can't be read: {error.strerror or error}"
            mend = f"Let nginx write its log to a file and give its path in the settings instead of {path}."
        return CannotTell(what, mend=mend, cause=str(self.path))

    def _first_time(self, log: LogFile) -> datetime | None:
        read, rest, seen = log.reader(), b"", 0
        # In small steps: of ninety rotated files only the first line of each is wanted here.
        while seen < _HEAD and (data := self.read_some(log, read, _STEP)):
            seen += len(data)
            *lines, rest = _stripped(rest + data).split(b"\n")
            for line in lines:
                if (item := self.parse(line)) is not None:
                    return item.at
        item = self.parse(rest)
        return item.at if item is not None else None

    def read_some(self, log: LogFile, read: Callable[[int], bytes], size: int) -> bytes | None:
        """Read on; ``None`` where a packed file is damaged, which is its end then.

        Raises:
            CannotTell: The file can't be read.
        """
        try:
            return read(size)
        except (OSError, EOFError, zlib.error) as error:
            if log.packed:
                return None
            broken = error if isinstance(error, OSError) else OSError(str(error))
            raise self.cannot_read(broken, self.path.parent / log.entry.name) from error

    def beginning(self, log: LogFile) -> int:
        """The offset of a line shortly before the window's first, in a plain file."""
        target, low, high = self.since - DISORDER, 0, log.entry.size
        if log.first_at is None or log.first_at >= target:
            return 0
        while high - low > self.files.read_on:
            middle = (low + high) // 2
            log.handle.seek(middle)
            data = log.handle.read(_PROBE)
            start = data.find(b"\n") + 1
            line_at, offset = None, start
            for line in data[start:].split(b"\n")[:-1] if start else ():
                if (item := self.parse(line)) is not None:
                    line_at = item.at
                    break
                offset += len(line) + 1
            if line_at is not None and line_at < target:
                low = middle + offset
            else:
                high = middle  # without a time to go by, the earlier half is the safe one
        return low


@dataclass(slots=True)
class Reading(Generic[T]):
    """The lines of a window of time, across a log and its rotated neighbours.

    Iterate over it to read; the counts are right when the iteration is over.
    The files come oldest first, so items are in time order but for what
    :data:`DISORDER` allows. Files are opened when the iteration begins and
    closed when it ends; what is written meanwhile is not read, and a rotation
    meanwhile neither loses nor repeats a line. Memory is bounded.

    Attributes:
        path: The log's own file.
        since: Beginning of the window, aware.
        until: End of the window, aware, included.
        files: Names of the files read, newest first.
        lines: Lines looked at: those in the window, and those that can't be read.
        unparsed: Lines that can't be read.
        unparsed_examples: The first three of them, at most 300 characters.
        earliest: How far back the files reach: the first time in the oldest of
            those that were needed. Later than `since` means that the log does
            not cover the window.
        latest: The latest time seen in the window.
        damaged: Packed files that could not be unpacked to their end.
        shrunk: Files that were cut while they were read.
        unread: Files that were needed but could not be read, with the reason.
    """

    path: PurePath
    since: datetime
    until: datetime
    _parse: Callable[[bytes], T | None]
    _files: Files
    files: list[str] = field(default_factory=list)
    lines: int = 0
    unparsed: int = 0
    unparsed_examples: list[str] = field(default_factory=list)
    earliest: datetime | None = None
    latest: datetime | None = None
    damaged: list[str] = field(default_factory=list)
    shrunk: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[T]:
        """Read the window.

        Raises:
            CannotTell: The file is not there, may not be read, or is no file;
                or it is being rotated again and again.
        """
        self._reset()
        opening = Opening(self.path, self.since, self._parse, self._files, self.unread)
        logs = opening.open()
        try:
            self.files = [log.entry.name for log in logs]
            self.earliest = min((log.first_at for log in logs if log.first_at), default=None)
            for log in reversed(logs):
                yield from self._read(opening, log)
        finally:
            close(logs)

    def _reset(self) -> None:
        self.lines = self.unparsed = 0
        self.earliest = self.latest = None
        for names in (self.unparsed_examples, self.damaged, self.shrunk, self.unread):
            names.clear()

    def _read(self, opening: Opening, log: LogFile) -> Iterator[T]:
        # In UTC, as most servers log: times of one zone compare without a conversion.
        parse, since, until = self._parse, self.since.astimezone(UTC), self.until.astimezone(UTC)
        stop = until + DISORDER
        for block in self._blocks(opening, log):
            for line in block.split(b"\n"):
                if not line:
                    continue
                item = parse(line)
                if item is None:
                    self._note_unparsed(line)
                    continue
                at = item.at
                if at < since:
                    continue
                if at > until:
                    if at > stop:
                        return
                    continue
                self.lines += 1
                if self.latest is None or at > self.latest:
                    self.latest = at
                yield item

    def _note_unparsed(self, line: bytes) -> None:
        self.lines += 1
        self.unparsed += 1
        _keep_example(self.unparsed_examples, line)

    def _blocks(self, opening: Opening, log: LogFile) -> Iterator[bytes]:
        """Whole lines in blocks, beginning near the window's first."""
        read = log.reader()
        position = 0 if log.packed else opening.beginning(log)
        # What is written from here on is not read, nor is the length of a packed file known.
        end_of_file = math.inf if log.packed else log.entry.size
        if not log.packed:
            log.handle.seek(position)
        rest, before_window = b"", True
        while position < end_of_file:
            data = opening.read_some(log, read, int(min(_BLOCK, end_of_file - position)))
            if not data:
                if data is None:
                    self.damaged.append(log.entry.name)
                elif not log.packed:
                    self.shrunk.append(log.entry.name)
                break
            position += len(data)
            end = data.rfind(b"\n") + 1
            if not end:
                # A line without end is kept only so far; what is dropped of it makes it unreadable.
                rest = (rest + data)[:_LINE_BOUND]
                continue
            block, rest = _stripped(rest + data[:end]), data[end:]
            before_window = before_window and self._is_before_window(block)
            if not before_window:
                yield block
        # nginx writes whole lines: one without its end is still being written, or was cut by a full disk.
        if rest and self._parse(rest) is not None:
            yield rest

    def _is_before_window(self, block: bytes) -> bool:
        """Whether the last line that says its time is well before the window."""
        for line in reversed(block[-_HEAD:].rstrip(b"\n").split(b"\n")[-5:]):
            if (item := self._parse(line)) is not None:
                return item.at < self.since - DISORDER
        return False


@dataclass(slots=True)
class Latest(Generic[T]):
    """The last so many items of a log and its rotated neighbours, newest first.

    Iterate over it to read; the counts are right when the iteration is over.
    Only as many files are read as it takes, plain ones from their end. What is
    written meanwhile is not read, and a rotation meanwhile neither loses nor
    repeats a line. Memory is bounded, whatever the number.

    Attributes:
        path: The log's own file.
        count: How many items are wanted.
        files: Names of the files read, newest first.
        found: Items found; fewer than wanted if there are no more.
        left_out: Items that were left out.
        lines: Lines looked at.
        unparsed: Lines that can't be read.
        unparsed_examples: The last three of them, at most 300 characters.
        given_up: Whether no more was read because more lines than wanted can't be.
        damaged: Packed files that could not be unpacked to their end.
        shrunk: Files that were cut while they were read.
    """

    path: PurePath
    count: int
    _parse: Callable[[bytes], T | None]
    _files: Files
    _leave_out: Callable[[T], bool]
    _stopped: Callable[[], bool] = lambda: False
    files: list[str] = field(default_factory=list)
    found: int = 0
    left_out: int = 0
    lines: int = 0
    unparsed: int = 0
    unparsed_examples: list[str] = field(default_factory=list)
    given_up: bool = False
    damaged: list[str] = field(default_factory=list)
    shrunk: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[T]:
        """Read from the end.

        Raises:
            CannotTell: The log's own file can't be read, or it is being rotated
                again and again; or a rotated one is needed and can't be read.
        """
        self.found = self.left_out = self.lines = self.unparsed = 0
        self.given_up = False
        for names in (self.files, self.unparsed_examples, self.damaged, self.shrunk):
            names.clear()
        opening = Opening(self.path, _LONG_AGO, self._parse, self._files, [])
        logs, older = opening.open_newest()
        try:
            for log in logs:
                yield from self._read(opening, log)
                if self._is_enough():
                    return
        finally:
            close(logs)
        for entry, packed in older:
            log = opening.open_one(entry, packed)
            try:
                yield from self._read(opening, log)
            finally:
                close([log])
            if self._is_enough():
                return
        if opening.unread:
            raise CannotTell(
                f"{opening.unread[0]}, and {self.path.name} alone has {self.found:,} of the last {self.count:,} lines",
                mend=f"Let the user of this run list {self.path.parent} and read the files in it.",
                cause=str(self.path),
            )

    def _is_enough(self) -> bool:
        return self.found >= self.count or self.given_up or self._stopped()

    def _read(self, opening: Opening, log: LogFile) -> Iterator[T]:
        self.files.append(log.entry.name)
        parse, leave_out = self._parse, self._leave_out
        for line in _lines_backwards(self._blocks(opening, log), parse):
            self.lines += 1
            item = parse(line)
            if item is None:
                self.unparsed += 1
                _keep_example(self.unparsed_examples, line)
                self.given_up = self.unparsed > self.count
            elif leave_out(item):
                self.left_out += 1
            else:
                self.found += 1
                yield item
            if self.found >= self.count or self.given_up:
                return

    def _blocks(self, opening: Opening, log: LogFile) -> Iterator[bytes]:
        """The contents from the end in blocks, the last block first."""
        if log.packed:
            yield from self._unpacked(opening, log)
            return
        end = log.entry.size
        while end and not self._stopped():
            start = max(0, end - max(_BLOCK, self._files.read_on))
            log.handle.seek(start)
            data = b""
            while missing := end - start - len(data):
                more = opening.read_some(log, log.handle.read, missing)
                if not more:
                    break
                data += more
            if len(data) < end - start and log.entry.name not in self.shrunk:
                self.shrunk.append(log.entry.name)
            yield data
            end = start

    def _unpacked(self, opening: Opening, log: LogFile) -> Iterator[bytes]:
        """The same of a packed file, which can only be read forwards: so much of its end is held at a time."""
        end = math.inf
        while end:
            read, held = log.reader(), deque[bytes]()
            position = size = 0
            while position < end and not self._stopped():
                data = opening.read_some(log, read, int(min(_BLOCK, end - position)))
                if not data:
                    if data is None and log.entry.name not in self.damaged:
                        self.damaged.append(log.entry.name)
                    break
                held.append(data)
                position += len(data)
                size += len(data)
                while size - len(held[0]) > _UNPACKED_HELD:
                    size -= len(held.popleft())
            end = position - size
            while held:
                yield held.pop()


def _lines_backwards(blocks: Iterator[bytes], parse: Callable[[bytes], object]) -> Iterator[bytes]:
    """The lines of blocks that come last first, the last line first, without line ends and empty ones."""
    rest, ended = b"", False
    for block in blocks:
        first, *lines = (block + rest).split(b"\n")
        for line in reversed(lines):
            # nginx writes whole lines: one without its end is still being written, or was cut by a full disk.
            if (ended or parse(line) is not None) and (line := _stripped(line)):
                yield line
            ended = True
        # A line without beginning is kept only so far; what is dropped of it makes it unreadable.
        rest = first[:_BLOCK]
    if (rest := _stripped(rest)) and (ended or parse(rest) is not None):
        yield rest


def close(logs: Sequence[LogFile]) -> None:
    """Close what :meth:`Opening.open` opened."""
    for log in logs:
        log.handle.close()


def _keep_example(examples: list[str], line: bytes) -> None:
    if len(examples) < _EXAMPLES_KEPT:
        examples.append(line[:_EXAMPLE_WIDTH].decode("utf-8", "backslashreplace"))


def _stripped(block: bytes) -> bytes:
    """Without the hole that a log cut under its writer begins with."""
    return block.lstrip(b"\0") if block[:1] == b"\0" else block


_PACKED = r"(?P<packed>\.(?:gz|bz2|xz|zst|lz4|Z))?"
_NUMBER = r"\.(?P<number>\d{1,5})"
_DATE = r"[._-](?P<date>\d{4}-?\d\d-?\d\d(?:[T._-]?\d{1,10})?|\d{9,11})"


@lru_cache(maxsize=16)
def _family_of(name: str) -> re.Pattern[str]:
    """The names that rotation gives to a log: `.1`, `.2.gz`, `-20261122.gz`, or the date within it."""
    stem, dot, extension = name.rpartition(".")
    whole = f"{re.escape(name)}(?:{_NUMBER}|{_DATE}){_PACKED}"
    if not stem:
        return re.compile(whole)
    date, packed = _DATE.replace("<date>", "<date2>"), _PACKED.replace("<packed>", "<packed2>")
    return re.compile(f"{whole}|{re.escape(stem)}{date}{re.escape(dot + extension)}{packed}")


def _chains(entries: Sequence[FileEntry], name: str) -> list[list[tuple[FileEntry, str]]]:
    """The files newest first: the log itself, then those with a date, then those with a number.

    Where both ways of naming were used, either alone is in order. A packed
    file beside the same one unpacked is still being written, and left out; one
    file under two names is read once.
    """
    dated: list[tuple[str, FileEntry, str]] = []
    numbered: list[tuple[int, FileEntry, str]] = []
    names, inodes = {entry.name for entry in entries}, set[int]()
    own: list[tuple[FileEntry, str]] = []
    for entry in sorted(entries, key=lambda entry: entry.name != name):
        if entry.inode and entry.inode in inodes:
            continue
        inodes.add(entry.inode)
        found = _family_of(name).fullmatch(entry.name)
        if found is None:
            own.append((entry, ""))
            continue
        parts = found.groupdict()
        packed = parts["packed"] or parts.get("packed2") or ""
        if packed and entry.name.removesuffix(packed) in names:
            continue
        if parts["number"]:
            numbered.append((int(parts["number"]), entry, packed))
        else:
            digits = re.sub(r"\D", "", parts["date"] or parts["date2"] or "")
            dated.append((digits, entry, packed))
    dated.sort(key=lambda item: item[0], reverse=True)
    numbered.sort(key=lambda item: item[0])
    return [own, [item[1:] for item in dated], [item[1:] for item in numbered]]
