"""The counts of an access log's files, kept for the next run.

A rotated file never changes, so it is counted once. Of a file that is still
written to, what was counted stands too: if it still begins as it did and still
has the same in front of the place where counting ended, counting goes on there.
A cache that can't be read is thrown away: it saves time and decides nothing.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from observe.access_counts import SCHEMA, Questions, Tally
from observe.access_scan import Scanned

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from observe.log_format import LogFormat

_MAGIC = b"access figures\n"
_LARGEST = 64 * 1024 * 1024
_LARGEST_ENTRY = 1024 * 1024
_RECIPES_KEPT = 4
_EDGE = 512


class Entry(msgspec.Struct, frozen=True):
    """What is known of one file.

    Attributes:
        size: Bytes it had.
        mtime_ns: When it was last written, in nanoseconds since the epoch.
        head: What it begins with; empty for a packed file.
        edge: What stands before the end of its last whole line; empty for a packed file.
        scanned: What was counted, encoded.
    """

    size: int
    mtime_ns: int
    head: bytes
    edge: bytes
    scanned: bytes


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
        self._contents = self._load()
        self._entries = self._contents.recipes.pop(self._recipe, {})
        self._changed = False

    def _load(self) -> _Contents:
        try:
            with self._path.open("rb") as file:
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return _Contents()
        except OSError as error:
            self.notes.append(f"{self._path} can't be read ({error.strerror}): every file was counted again")
            return _Contents()
        body = memoryview(data)[len(_MAGIC) + 4 :]
        check = zlib.crc32(body).to_bytes(4, "little")
        if len(data) <= _LARGEST and data.startswith(_MAGIC + check):
            with contextlib.suppress(ValueError):
                return msgspec.msgpack.decode(body, type=_Contents)
        self.notes.append(f"{self._path} was damaged and is made anew: every file was counted again")
        self._changed = True
        return _Contents()

    def find(self, file: Identity, handle: BinaryIO, *, packed: bool) -> tuple[Scanned, bool] | None:
        """What is known of a file, and whether that is all of it."""
        entry = self._entries.get(file.key)
        if entry is None:
            return None
        same = (entry.size, entry.mtime_ns) == (file.size, file.mtime_ns)
        if packed and not same:
            return None
        try:
            scanned = msgspec.msgpack.decode(entry.scanned, type=Scanned)
        except ValueError:
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
        self._entries[file.key] = Entry(file.size, file.mtime_ns, head, edge, encoded)
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
        if not self._changed and kept == recipes:
            return
        body = msgspec.msgpack.encode(_Contents(kept))
        if len(body) > _LARGEST - 64:
            self.notes.append(f"{self._path} would be too large and was not written")
            return
        try:
            self._write(_MAGIC + zlib.crc32(body).to_bytes(4, "little") + body)
        except OSError as error:
            self.notes.append(f"{self._path} can't be written ({error.strerror}): the next run counts every file again")

    def _write(self, data: bytes) -> None:
        """Write aside and rename, so that nobody ever reads half of it."""
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            aside.replace(self._path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise


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
