"""A further backup: later than all others, of the right name and size, and with another text in it."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import FaultDidNotTake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab

MIB = 1024 * 1024
SMALLEST, LARGEST = 5 * MIB, 50 * MIB
"""A backup outside of these is broken by its size alone."""
LEVEL = 6
"""As `gzip` packs when it isn't told how."""


@contextmanager
def newer_backup(lab: Lab, edit: Callable[[bytes], bytes], *, base: Path | None = None) -> Iterator[Path]:
    """Have a backup beside the others that is the newest: made this second, removed afterwards.

    Nobody can tell it from a real one but by what is in it, so that nothing breaks besides what its text breaks.

    Args:
        lab: whose backups.
        edit: makes its text, SQL as pg_dump writes it, of the text of a real one.
        base: the real one; None for the newest.

    Yields:
        The file.

    Raises:
        FaultDidNotTake: the text is still the same, or its size would give it away.
    """
    others = backups(lab)
    if not others:
        raise FaultDidNotTake(f"{lab.name} has no backup to make another of")
    text = gzip.decompress((base or others[-1]).read_bytes())
    edited = edit(text)
    if edited == text and base is None:
        raise FaultDidNotTake("the text of the backup is still the same")
    content = gzip.compress(edited, LEVEL)
    _unremarkable(len(content), others)
    path = _unused(lab, others[-1])
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        partial.chmod(0o600)
        os.utime(partial)
        partial.rename(path)
        yield path
    finally:
        partial.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def backups(lab: Lab) -> list[Path]:
    """A lab's backups, oldest first."""
    return sorted(lab.backups.glob("synk_backup_*.sql.gz"))


def newest_text(lab: Lab) -> bytes:
    """The text of a lab's newest backup."""
    return gzip.decompress(backups(lab)[-1].read_bytes())


def _unremarkable(size: int, others: list[Path]) -> None:
    usual = statistics.median(path.stat().st_size for path in others)
    if not (max(SMALLEST, usual / 2) < size < min(LARGEST, usual * 2)):
        raise FaultDidNotTake(f"a backup of {size} bytes stands out: the others have {usual:.0f}")


def _unused(lab: Lab, newest: Path) -> Path:
    """A name of the present second, after the newest's.

    Raises:
        FaultDidNotTake: the newest has a name from the future.
    """
    deadline = time.monotonic() + 3
    while True:
        path = lab.backups / f"synk_backup_{dt.datetime.now().astimezone():%Y%m%d_%H%M%S}.sql.gz"
        if path.name > newest.name:
            return path
        if time.monotonic() > deadline:
            raise FaultDidNotTake(f"{newest.name} has a name from the future")
        time.sleep(0.1)
