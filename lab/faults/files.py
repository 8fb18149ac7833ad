"""Faults of file systems: no room for bytes, none for files."""

from __future__ import annotations

import functools
import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.progress import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab

MIB = 1024 * 1024
PAGE = 4096


def filled(share: float) -> Callable[[Lab], Iterator[Took]]:
    """A fault that puts the backups on a small file system and fills `share` (0 to 1) of it."""
    return functools.partial(_filled, share)


def _filled(share: float, lab: Lab) -> Iterator[Took]:
    before = _space(lab.backups)
    # A hundred equal parts, so that a percentage can be met to the byte.
    size = math.ceil(2 * _size(lab) / (100 * PAGE)) * 100 * PAGE
    with small_file_system(lab, f"size={size}"):
        system = os.statvfs(lab.backups)
        used = (system.f_blocks - system.f_bfree) * system.f_frsize
        _write(lab.backups / "filler", round(share * size) - used)
        yield Took(before, _space(lab.backups))


def inodes_used_up(lab: Lab) -> Iterator[Took]:
    """Put the backups on a file system with few inodes and fill it with empty files."""
    before = _space(lab.backups)
    with small_file_system(lab, f"size={4 * _size(lab)},nr_inodes=2000"):
        crowd = lab.backups / "sessions"
        crowd.mkdir()
        for number in range(1800):
            (crowd / str(number)).touch()
        yield Took(before, _space(lab.backups))


@contextmanager
def small_file_system(lab: Lab, options: str) -> Iterator[None]:
    """Mount a small file system over the backups, with the same backups in it.

    Containers that run already do not see it, nor need they.
    """
    originals = sorted(lab.backups.iterdir())
    contents = [(path.name, path.read_bytes(), path.stat()) for path in originals]
    run(["mount", "-t", "tmpfs", "-o", f"{options},mode=755", f"{lab.name}-backups", str(lab.backups)])
    try:
        for name, content, stat in contents:
            copy = lab.backups / name
            copy.write_bytes(content)
            copy.chmod(stat.st_mode & 0o777)
            os.utime(copy, (stat.st_atime, stat.st_mtime))
        yield
    finally:
        if run(["umount", str(lab.backups)], check=False).returncode != 0:
            # Someone still looks at it: it goes as soon as they are done.
            run(["umount", "--lazy", str(lab.backups)])


def _size(lab: Lab) -> int:
    return sum(path.stat().st_size for path in lab.backups.iterdir())


def _space(directory: Path) -> str:
    """A directory's file system as `df` would say it: what root reserves counts as used."""
    system = os.statvfs(directory)
    used = system.f_blocks - system.f_bfree
    percent = -(-100 * used // (used + system.f_bavail))
    inodes = -(-100 * (system.f_files - system.f_ffree) // system.f_files) if system.f_files else 0
    return f"{system.f_blocks * system.f_frsize // MIB} MiB, {percent} % used, inodes {inodes} % used"


def _write(path: Path, size: int) -> None:
    if size <= 0:
        raise FaultDidNotTake("the small file system is fuller than it should become")
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
        file.write(bytes(size % MIB))


# The backups alone take half of such a small one.
FULL = ("disk-space[backups]", "backup-archive")
FAULTS = (
    Fault("disk-80", FULL, "The backups' file system is just 80 % full.", filled(0.80)),
    Fault("disk-97", (*FULL, "scale-disk"), "The backups' file system is 97 % full.", filled(0.97)),
    Fault("inodes-90", ("disk-inodes[backups]",), "Empty files have used up the inodes.", inodes_used_up),
)
