"""Putting logs back: what a fault wrote into them must not count after it is undone."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab


@contextmanager
def container_logs_restored(lab: Lab, *services: str) -> Iterator[None]:
    """Take out of the logs of some services' containers what a block adds to them.

    The engine appends to its log files, so that they can be cut back under it. Where they cannot be
    reached (another machine, no rights) the containers are made anew instead, which takes longer.
    """
    marks = {
        container.id: _Mark.of(Path(container.attrs["LogPath"]))
        for service in services
        for container in lab.containers(service)
    }
    try:
        yield
    finally:
        for service in services:
            for container in lab.containers(service):
                mark = marks.get(container.id)
                # A container that is new since has no log from before.
                if mark is not None and not mark.restore():
                    lab.compose("up", "--detach", "--no-deps", "--force-recreate", service)
                    break


@contextmanager
def proxy_logs_restored(lab: Lab) -> Iterator[None]:
    """Take out of the proxy's logs what a block adds to them; nginx appends, too."""
    marks = [_Mark.of(path) for path in lab.nginx_logs.glob("*.log")]
    try:
        yield
    finally:
        for mark in marks:
            mark.restore()


class _Mark:
    """How long a file was."""

    def __init__(self, path: Path, inode: int, size: int) -> None:
        self._path = path
        self._inode = inode
        self._size = size

    @classmethod
    def of(cls, path: Path) -> _Mark:
        """Mark a file's end; one that cannot be seen gets a mark that cannot be restored."""
        try:
            found = path.stat()
        except OSError:
            return cls(path, -1, 0)
        return cls(path, found.st_ino, found.st_size)

    def restore(self) -> bool:
        """Cut the file back; False when it is not the same file, or out of reach."""
        try:
            if self._path.stat().st_ino != self._inode:
                return False
            os.truncate(self._path, self._size)
        except OSError:
            return False
        return True
