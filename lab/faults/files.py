"""Faults of files: a full file system, and backups that are missing, stale or of the wrong size."""

from __future__ import annotations

import datetime as dt
import functools
import gzip
import math
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.progress import run
from lab.project import BACKUPS_KEPT
from lab.stack import SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab

MIB = 1024 * 1024
PAGE = 4096
SCRATCH_DATABASE = "emptied"


# File systems.


def filled(share: float) -> Callable[[Lab], Iterator[Took]]:
    """A fault that puts the backups on a small file system and fills `share` (0 to 1) of it."""
    return functools.partial(_filled, share)


def _filled(share: float, lab: Lab) -> Iterator[Took]:
    before = _space(lab.backups)
    # A hundred equal parts, so that a percentage can be met to the byte.
    size = math.ceil(2 * _size(lab) / (100 * PAGE)) * 100 * PAGE
    with _small_file_system(lab, f"size={size}"):
        system = os.statvfs(lab.backups)
        used = (system.f_blocks - system.f_bfree) * system.f_frsize
        _write(lab.backups / "filler", round(share * size) - used)
        yield Took(before, _space(lab.backups))


def inodes_used_up(lab: Lab) -> Iterator[Took]:
    """Put the backups on a file system with few inodes and fill it with empty files."""
    before = _space(lab.backups)
    with _small_file_system(lab, f"size={4 * _size(lab)},nr_inodes=2000"):
        crowd = lab.backups / "sessions"
        crowd.mkdir()
        for number in range(1800):
            (crowd / str(number)).touch()
        yield Took(before, _space(lab.backups))


@contextmanager
def _small_file_system(lab: Lab, options: str) -> Iterator[None]:
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


# Backups.


def none_at_all(lab: Lab) -> Iterator[Took]:
    """Take every backup away."""
    with _backups_restored(lab) as before:
        for path in _newest_first(lab):
            path.unlink()
        yield Took(before, _listing(lab))


def stale(lab: Lab) -> Iterator[Took]:
    """Leave none younger than 25 hours."""
    with _backups_restored(lab) as before:
        then = _now() - dt.timedelta(hours=25)
        _only_one_from(lab, then, mtime=then)
        yield Took(before, _listing(lab))


def stale_but_touched(lab: Lab) -> Iterator[Took]:
    """Leave none younger than 25 hours by its name, the newest of them written to the disk just now."""
    with _backups_restored(lab) as before:
        _only_one_from(lab, _now() - dt.timedelta(hours=25), mtime=_now())
        yield Took(before, _listing(lab))


def name_in_the_future(lab: Lab) -> Iterator[Took]:
    """Leave none younger than 25 hours, but give the newest of them a name from tomorrow."""
    with _backups_restored(lab) as before:
        then = _now() - dt.timedelta(hours=25)
        stale_one = _only_one_from(lab, then, mtime=then)
        stale_one.rename(_named(lab, _now() + dt.timedelta(hours=20)))
        yield Took(before, _listing(lab))


def only_a_partial_tonight(lab: Lab) -> Iterator[Took]:
    """Leave of last night's backup only half, under the name it has while it is being written."""
    with _backups_restored(lab) as before:
        newest = _newest_first(lab)[0]
        content = newest.read_bytes()
        partial = newest.with_name(newest.name + ".partial")
        partial.write_bytes(content[: len(content) // 2])
        newest.unlink()
        # The one of the night before may be younger than a day just after 02:00.
        for path in _newest_first(lab):
            if path.stat().st_mtime > (_now() - dt.timedelta(hours=25)).timestamp():
                path.unlink()
        yield Took(before, _listing(lab))


def newest_of_size(size: int) -> Callable[[Lab], Iterator[Took]]:
    """A fault that gives the newest backup a size in bytes."""
    return functools.partial(_sized, size, None)


def all_of_size(size: int, newest: int | None = None) -> Callable[[Lab], Iterator[Took]]:
    """A fault that gives all backups a size in bytes; the newest another, or its own with -1."""
    return functools.partial(_sized, size if newest is None else newest, size)


def _sized(newest_size: int, others_size: int | None, lab: Lab) -> Iterator[Took]:
    with _backups_restored(lab) as before:
        newest, *others = _newest_first(lab)
        if newest_size >= 0:
            _resize(newest, newest_size)
        for path in others if others_size is not None else ():
            _resize(path, others_size or 0)
        yield Took(before, _listing(lab))


def emptied_database(lab: Lab) -> Iterator[Took]:
    """Make the newest backup the real dump of a database that has all tables and no rows."""
    with _backups_restored(lab) as before:
        newest = _newest_first(lab)[0]
        stat = newest.stat()
        content = gzip.compress(_dump_of_emptied(lab))
        newest.unlink()
        newest.write_bytes(content)
        newest.chmod(0o600)
        os.utime(newest, (stat.st_atime, stat.st_mtime))
        yield Took(before, _listing(lab))


def _dump_of_emptied(lab: Lab) -> bytes:
    database = f"--username={SUPERUSER}"
    pipeline = (
        f"createdb {database} {SCRATCH_DATABASE} && "
        f"pg_dump {database} --schema-only {lab.database} "
        f"| psql {database} --quiet {SCRATCH_DATABASE} >/dev/null && "
        f"pg_dump {database} {SCRATCH_DATABASE}"
    )
    container = lab.container("db")
    try:
        done = container.exec_run(["sh", "-c", pipeline], stderr=False)
    finally:
        container.exec_run(["dropdb", database, "--if-exists", SCRATCH_DATABASE])
    if done.exit_code != 0:
        raise FaultDidNotTake("the dump of an emptied database failed")
    dumped: bytes = done.output
    return dumped


@contextmanager
def _backups_restored(lab: Lab) -> Iterator[str]:
    """Work on a directory of links to the backups; the real one is put back afterwards.

    Yields:
        The backups as they were, in one line.
    """
    before = _listing(lab)
    kept = lab.directory / BACKUPS_KEPT
    lab.backups.rename(kept)
    try:
        lab.backups.mkdir()
        for path in kept.iterdir():
            os.link(path, lab.backups / path.name)
        yield before
    finally:
        shutil.rmtree(lab.backups)
        kept.rename(lab.backups)


def _newest_first(lab: Lab) -> list[Path]:
    return sorted(lab.backups.glob("synk_backup_*.sql.gz"), reverse=True)


def _listing(lab: Lab) -> str:
    found = _newest_first(lab)
    partial = len(list(lab.backups.glob("*.partial")))
    if not found:
        return f"no backup, {partial} partial"
    stat = found[0].stat()
    written = dt.datetime.fromtimestamp(stat.st_mtime).astimezone()
    sizes = sorted({path.stat().st_size for path in found[1:]})
    return (
        f"{len(found)} backups, {partial} partial, newest {found[0].name} of {stat.st_size} bytes "
        f"written {written:%Y-%m-%d %H:%M}, others {sizes[0]} to {sizes[-1]} bytes"
        if sizes
        else f"one backup, {partial} partial, {found[0].name} of {stat.st_size} bytes"
    )


def _only_one_from(lab: Lab, then: dt.datetime, *, mtime: dt.datetime) -> Path:
    """Take away what is younger than `then`, and have one with its name, a copy of the newest."""
    newest = _newest_first(lab)[0]
    content = newest.read_bytes()
    path = _named(lab, then)
    for younger in _newest_first(lab):
        if younger.name >= path.name:
            younger.unlink()
    path.write_bytes(content)
    path.chmod(0o600)
    os.utime(path, (mtime.timestamp(), mtime.timestamp()))
    return path


def _named(lab: Lab, moment: dt.datetime) -> Path:
    return lab.backups / f"synk_backup_{moment:%Y%m%d_%H%M%S}.sql.gz"


def _resize(path: Path, size: int) -> None:
    """Give a backup a size, cut short or with a hole at its end; never the file it is a link to."""
    stat, content = path.stat(), path.read_bytes()
    path.unlink()
    path.write_bytes(content[:size])
    os.truncate(path, size)
    path.chmod(0o600)
    os.utime(path, (stat.st_atime, stat.st_mtime))


def _now() -> dt.datetime:
    return dt.datetime.now().astimezone()


FRESH, SIZE, STEADY = "backup-fresh", "backup-size", "backup-steady"

FAULTS = (
    Fault("disk-80", ("disk-space[backups]",), "The backups' file system is just 80 % full.", filled(0.80)),
    Fault("disk-97", ("disk-space[backups]",), "The backups' file system is 97 % full.", filled(0.97)),
    Fault("inodes-90", ("disk-inodes[backups]",), "Empty files have used up the inodes.", inodes_used_up),
    Fault("backup-none", (FRESH,), "There is no backup at all.", none_at_all, (SIZE, STEADY)),
    Fault("backup-stale", (FRESH,), "The newest backup is 25 hours old.", stale),
    Fault("backup-touched", (FRESH,), "A backup 25 hours old was copied just now.", stale_but_touched),
    Fault("backup-from-future", (FRESH,), "A stale backup has a name from tomorrow.", name_in_the_future),
    Fault("backup-partial", (FRESH,), "Of last night there is only a partial file.", only_a_partial_tonight),
    Fault("backup-0-bytes", (SIZE, STEADY), "The newest backup is empty.", newest_of_size(0)),
    Fault("backup-too-small", (SIZE,), "The newest backup is 4.9 MiB.", newest_of_size(int(4.9 * MIB))),
    Fault("backup-too-large", (SIZE,), "All backups are 51 MiB.", all_of_size(51 * MIB)),
    Fault(
        "backup-shrunk",
        (STEADY,),
        "The others are of 20 MiB, the newest much smaller.",
        all_of_size(20 * MIB, -1),
    ),
    Fault(
        "backup-of-emptied-database",
        (SIZE, STEADY),
        "The newest backup is of a database without rows.",
        emptied_database,
    ),
)
