"""The counts of an access log's files, kept for the next run.

A rotated file never changes, so it is counted once. Of a file that is still
written to, what was counted stands too: if it still begins as it did and still
has the same in front of the place where counting ended, counting goes on there.
A cache that can't be read is thrown away: it saves time and decides nothing.

Of what each client asked for a cache has millions of numbers. So it isn't held
in memory: its file has the counts one behind the other, and at the end where
those of each file lie.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zlib
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from observe.access_counts import SCHEMA, Questions, Tally
from observe.access_scan import Scanned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from observe.log_format import LogFormat

_MAGIC = b"access figures 2\n"
_HEAD = len(_MAGIC) + 4
_LARGEST = 64 * 1024 * 1024
_LARGEST_ENTRY = 1024 * 1024
_RECIPES_KEPT = 4
_EDGE = 512
_CHUNK = 256 * 1024
_IN_MEMORY = 1024 * 1024


class Entry(msgspec.Struct, frozen=True):
    """What is known of one file.

    Attributes:
        size: Bytes it had.
        mtime_ns: When it was last written, in nanoseconds since the epoch.
        head: What it begins with; empty for a packed file.
        edge: What stands before the end of its last whole line; empty for a packed file.
        begin: Where in the cache's file lies what was counted, encoded.
        length: How long that is.
        new: Whether it lies among what this run has counted.
    """

    size: int
    mtime_ns: int
    head: bytes
    edge: bytes
    begin: int
    length: int
    new: bool = False


class _Contents(msgspec.Struct):
    """The cache's file: per recipe, the one used last at the end, entries per file."""

    recipes: dict[bytes, dict[str, Entry]] = {}


class Identity(msgspec.Struct, frozen=True):
    """Which file this is, and its state when it was opened."""

    key: str
    size: int
    mtime_ns: int


def identity(handle: BinaryIO, size: int, *, packed: bool) -> Identity | None:
    """Say which file this is; ``None`` if it isn't one of this machine."""
    try:
        about = os.fstat(handle.fileno())
    except (OSError, AttributeError):
        return None
    return Identity(f"{about.st_dev}:{about.st_ino}", about.st_size if packed else size, about.st_mtime_ns)


class Cache:
    """Counts per file, for one format and set of questions.

    Args:
        path: The cache's file, one for each log. It is made with mode 600,
            since it holds addresses.
        fmt: The log's format.
        questions: What was asked.

    Attributes:
        notes: What the reader should know.
    """

    def __init__(self, path: Path, fmt: LogFormat, questions: Questions) -> None:
        self.notes: list[str] = []
        self._path = path
        self._recipe = msgspec.msgpack.encode((SCHEMA, fmt.pattern, fmt.escape, questions))
        self._changed = False
        self._old: BinaryIO = io.BytesIO()
        self._new = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  as long as this lives
        self._contents = self._load()
        self._entries = self._contents.recipes.pop(self._recipe, {})

    def _load(self) -> _Contents:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return _Contents()
        except OSError as error:
            self.notes.append(f"{self._path} can't be read ({error.strerror}): every file was counted again")
            return _Contents()
        try:
            contents = _contents(file)
        except (OSError, ValueError):
            file.close()
            self.notes.append(f"{self._path} was damaged and is made anew: every file was counted again")
            self._changed = True
            return _Contents()
        self._old = file
        return contents

    def _encoded(self, entry: Entry) -> bytes:
        """What was counted of a file."""
        source = self._new if entry.new else self._old
        source.seek(entry.begin)
        return source.read(entry.length)

    def find(self, file: Identity, handle: BinaryIO, *, packed: bool) -> tuple[Scanned, bool] | None:
        """What is known of a file, and whether that is all of it."""
        entry = self._entries.get(file.key)
        if entry is None:
            return None
        same = (entry.size, entry.mtime_ns) == (file.size, file.mtime_ns)
        if packed and not same:
            return None
        try:
            scanned = msgspec.msgpack.decode(self._encoded(entry), type=Scanned)
        except (OSError, ValueError):
            return None
        grown = not packed and file.size >= entry.size and _edges(handle, scanned.upto) == (entry.head, entry.edge)
        if not (packed or grown):
            return None
        return scanned, same

    def keep(self, file: Identity, handle: BinaryIO, scanned: Scanned, *, packed: bool) -> None:
        """Remember what was counted of a whole file."""
        encoded = msgspec.msgpack.encode(scanned)
        if len(encoded) > _LARGEST_ENTRY or scanned.shrunk:
            self._changed |= self._entries.pop(file.key, None) is not None
            return
        head, edge = (b"", b"") if packed else _edges(handle, scanned.upto)
        begin = self._new.seek(0, os.SEEK_END)
        self._new.write(encoded)
        self._entries[file.key] = Entry(file.size, file.mtime_ns, head, edge, begin, len(encoded), new=True)
        self._changed = True

    def save(self, there: Iterable[int]) -> None:
        """Write it, without the files that are no longer there.

        Args:
            there: Inodes of the log's files.
        """
        inodes = {str(inode) for inode in there}
        recipes = {**self._contents.recipes, self._recipe: self._entries}
        kept = {
            recipe: {key: entry for key, entry in entries.items() if key.rpartition(":")[2] in inodes}
            for recipe, entries in list(recipes.items())[-_RECIPES_KEPT:]
        }
        if self._changed or kept != recipes:
            if sum(entry.length for entries in kept.values() for entry in entries.values()) > _LARGEST:
                self.notes.append(f"{self._path} would be too large and was not written")
            else:
                self._replace(kept)
        self._old.close()
        self._new.close()

    def _replace(self, recipes: Mapping[bytes, Mapping[str, Entry]]) -> None:
        """Write aside and rename, so that nobody ever reads half of it."""
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            with contextlib.suppress(FileNotFoundError):
                aside.unlink()
            descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w+b") as file:
                self._write(file, recipes)
            aside.replace(self._path)
        except OSError as error:
            self.notes.append(f"{self._path} can't be written ({error.strerror}): the next run counts every file again")
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)

    def _write(self, file: BinaryIO, recipes: Mapping[bytes, Mapping[str, Entry]]) -> None:
        file.write(_MAGIC + bytes(4))
        written: dict[bytes, dict[str, Entry]] = {}
        for recipe, entries in recipes.items():
            written[recipe] = {}
            for key, entry in entries.items():
                written[recipe][key] = msgspec.structs.replace(entry, begin=file.tell(), new=False)
                file.write(self._encoded(entry))
        index = msgspec.msgpack.encode(_Contents(written))
        file.write(index + len(index).to_bytes(8, "little"))
        check = _check(file)
        file.seek(len(_MAGIC))
        file.write(check)


def _contents(file: BinaryIO) -> _Contents:
    """Where in a cache's file the counts lie.

    Raises:
        OSError: It can't be read.
        ValueError: It is damaged.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_HEAD)
    if size < _HEAD + 8 or size > 2 * _LARGEST or head != _MAGIC + _check(file):
        raise ValueError("damaged")
    file.seek(size - 8)
    length = int.from_bytes(file.read(8), "little")
    file.seek(max(_HEAD, size - 8 - length))
    return msgspec.msgpack.decode(file.read(length), type=_Contents)


def _check(file: BinaryIO) -> bytes:
    """What says whether a cache's file is as it was written."""
    check = 0
    file.seek(_HEAD)
    while data := file.read(_CHUNK):
        check = zlib.crc32(data, check)
    return check.to_bytes(4, "little")


def join(known: Scanned, more: Scanned, questions: Questions) -> Scanned:
    """What was known of a file, and what has been counted since, as one."""
    tally = Tally(questions)
    suspects = [*known.counts.suspects, *more.counts.suspects]
    tally.merge(known.counts)
    tally.merge(more.counts)
    tally.counts.suspects = suspects
    return Scanned(tally.result(), more.rest, more.upto, known.size + more.size, more.damaged, more.shrunk)


def _edges(handle: BinaryIO, upto: int) -> tuple[bytes, bytes]:
    """What a plain file begins with, and what stands before an offset."""
    handle.seek(0)
    head = handle.read(min(_EDGE, upto))
    handle.seek(max(0, upto - _EDGE))
    return head, handle.read(min(_EDGE, upto))
