"""A task's log as a Swarm's manager streams it, cut at the end of a window.

The manager takes `since` and `tail` as an engine does, and no `until`: what
was said later is left out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from observe.container_log import HEADER, STAMPED, SYSTEM_ERROR, Decoding, frames, time_of
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime


def bounded(blocks: Iterable[bytes], until: datetime, *, tty: bool) -> Iterator[bytes]:
    """The stream without what was said after a time.

    Args:
        blocks: The stream in blocks of any size, with time stamps.
        until: The end of the window, aware.
        tty: Whether it is of a process that has a terminal, and so isn't framed.

    Raises:
        CannotTell: If the framing is not as it should be.

    Yields:
        The same in blocks. Frames of the manager's own, which say what it could not read, are all handed on.
    """
    if tty:
        yield from _lines(blocks, until)
        return
    late, seen = False, Decoding()
    for frame in frames(blocks, seen):
        if frame.first:
            late = frame.stream != SYSTEM_ERROR and _after(frame.payload, until)
        if not late:
            yield HEADER.pack(frame.stream << 24, len(frame.payload)) + frame.payload
    if seen.broken_frames:
        raise CannotTell(f"what the manager hands over as a log is none: broken in {seen.broken_frames} places")


def _lines(blocks: Iterable[bytes], until: datetime) -> Iterator[bytes]:
    late = begun = False
    for block in blocks:
        for piece in block.splitlines(keepends=True):
            if not begun:
                late = _after(piece, until)
            begun = not piece.endswith(b"\n")
            if not late:
                yield piece


def _after(text: bytes, until: datetime) -> bool:
    stamp = STAMPED.match(text)
    at = time_of(stamp[1]) if stamp is not None else None
    return at is not None and at > until
