"""Files that lie elsewhere than on this machine, read as if they lay here.

A path of another place reads like :class:`pathlib.Path`: what looks at a file
doesn't know where it lies. It can only read.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Protocol, cast

from observe.errors import CannotTell
from observe.rotated_log import FileEntry, Files, LocalFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path, PurePath


class Place(Protocol):
    """Where files lie. What is wrong with a file is an :class:`OSError`, with the way there a CannotTell."""

    def stat(self, path: str, *, follow: bool = True) -> os.stat_result:
        """Describe what a path leads to, or with `follow` false the link itself."""

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:
        """What a directory has, links followed where they lead somewhere, without `.` and `..`."""

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading; what is returned can be sought in, and reads at least one byte at a time."""

    def may_execute(self, path: str) -> bool:
        """Whether this user may execute a file there."""

    def sha256(self, path: str) -> str | None:
        """A file's checksum where it is cheaper to make it there; None where it is to be read."""


def path_of(place: Place) -> Callable[[PurePath | str], Path]:
    """What makes paths of a place: they are typed as `Path` and have its methods that read."""

    # A class for each place, and not an attribute of each path: paths made from paths are of the same class.
    class Placed(_PlacedPath):
        _place = place

    return lambda path: cast("Path", Placed(str(path)))


class _PlacedPath(PurePosixPath):
    """A path of another place, with the methods of `Path` that only read."""

    _place: Place

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return self._place.stat(str(self), follow=follow_symlinks)

    def lstat(self) -> os.stat_result:
        return self._place.stat(str(self), follow=False)

    def exists(self) -> bool:
        return self._mode() is not None

    def is_file(self) -> bool:
        return stat.S_ISREG(self._mode() or 0)

    def is_dir(self) -> bool:
        return stat.S_ISDIR(self._mode() or 0)

    def is_symlink(self) -> bool:
        try:
            return stat.S_ISLNK(self.lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def iterdir(self) -> Iterator[_PlacedPath]:
        for name, _ in self._place.listed(str(self)):
            yield self / name

    def files(self) -> frozenset[str]:
        return frozenset(name for name, seen in self._place.listed(str(self)) if stat.S_ISREG(seen.st_mode))

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
    ) -> Any:  # noqa: ANN401  as Path's own, a file of text or of bytes
        if mode not in {"r", "rb"}:
            raise ValueError(f"{self} can only be read, not be opened as {mode!r}")
        raw = self._place.open(str(self))
        if "b" in mode:
            return raw if buffering == 0 else io.BufferedReader(cast("io.RawIOBase", raw))
        return io.TextIOWrapper(io.BufferedReader(cast("io.RawIOBase", raw)), encoding, errors)

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return bytes(file.read())

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        with self.open("r", encoding=encoding, errors=errors) as file:
            return str(file.read())

    def absolute(self) -> _PlacedPath:
        return self

    def resolve(self) -> _PlacedPath:
        # By its text alone: what its links lead to isn't worth the way there.
        return type(self)(os.path.normpath(str(self)))

    def may_execute(self) -> bool:
        return self._place.may_execute(str(self))

    def sha256(self) -> str | None:
        return self._place.sha256(str(self))

    def __fspath__(self) -> NoReturn:
        # Whoever opened it by its name would open what lies here under that name.
        raise TypeError(f"{self} doesn't lie on this machine")

    def _mode(self) -> int | None:
        try:
            return self.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None


class _PlacedFiles:
    """The files of another place, as logs are read."""

    held = 1
    """An open file has only its name there: opening the others beforehand would keep nothing."""
    read_on = 1024 * 1024
    """A way there and back takes as long as this packed."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def open_binary(self, path: PurePath) -> BinaryIO:
        """Open a regular file for reading."""
        return self._place.open(str(path))

    def list(self, directory: PurePath) -> Sequence[FileEntry]:
        """List the regular files of a directory."""
        return [_entry(name, seen) for name, seen in self._place.listed(str(directory)) if stat.S_ISREG(seen.st_mode)]

    def stat(self, path: PurePath) -> FileEntry:
        """Describe one file."""
        return _entry(path.name, self._place.stat(str(path)))

    def inode_of(self, handle: BinaryIO) -> int:
        """What its place knows of it."""
        return int(getattr(handle, "inode", 0))


def files_of(place: Place | None) -> Files:
    """The files of a place, as logs are read; None for this machine."""
    return LocalFiles() if place is None else _PlacedFiles(place)


def _entry(name: str, seen: os.stat_result) -> FileEntry:
    return FileEntry(name, seen.st_size, seen.st_mtime, seen.st_ino)


def status_of(file: BinaryIO, path: Path) -> os.stat_result:
    """What an open file is now; of one that lies elsewhere, what its path leads to now.

    Raises:
        OSError: If it can't be told.
    """
    return os.fstat(file.fileno()) if is_here(path) else path.stat()


def has_file(directory: Path) -> Callable[[str], bool]:
    """What says whether a directory has a regular file of a name; elsewhere, all names are learned at once.

    Raises:
        OSError: If the directory can't be looked into; whoever asks may get one as well.
    """
    placed = _placed(directory)
    if placed is not None:
        try:
            return placed.files().__contains__
        except (PermissionError, CannotTell):
            pass  # what lets nobody list it may let everybody through, and sudo may know some commands and not this one
    return lambda name: (directory / name).is_file()


def may_execute(path: Path) -> bool:
    """Whether this user may execute a file, here or elsewhere."""
    placed = _placed(path)
    return os.access(path, os.X_OK) if placed is None else placed.may_execute()


def checksum_there(path: Path) -> str | None:
    """A file's SHA-256 where it is cheaper to make it where the file lies; None where it is to be read."""
    placed = _placed(path)
    return None if placed is None else placed.sha256()


def is_here(path: PurePath) -> bool:
    """Whether a path is one of this machine."""
    return _placed(path) is None


def _placed(path: object) -> _PlacedPath | None:
    return path if isinstance(path, _PlacedPath) else None
