"""Faults of backups: missing, stale, of the wrong size, damaged, or cut short before they were packed."""

from __future__ import annotations

import datetime as dt
import functools
import gzip
import hashlib
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import Early, Fault, FaultDidNotTake, Took
from lab.project import BACKUPS_KEPT
from lab.stack import SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab

MIB = 1024 * 1024
SCRATCH_DATABASE = "emptied"


def none_at_all(lab: Lab) -> Iterator[Took]:
    """Take every backup away."""
    with backups_restored(lab) as before:
        for path in _newest_first(lab):
            path.unlink()
        yield Took(before, _listing(lab))


def stale(lab: Lab) -> Iterator[Took]:
    """Leave none younger than 25 hours."""
    with backups_restored(lab) as before:
        then = _now() - dt.timedelta(hours=25)
        _only_one_from(lab, then, mtime=then)
        yield Took(before, _listing(lab))


def stale_but_touched(lab: Lab) -> Iterator[Took]:
    """Leave none younger than 25 hours by its name, the newest of them written to the disk just now."""
    with backups_restored(lab) as before:
        _only_one_from(lab, _now() - dt.timedelta(hours=25), mtime=_now())
        yield Took(before, _listing(lab))


def name_in_the_future(lab: Lab) -> Iterator[Took]:
    """Leave none younger than 25 hours, but give the newest of them a name from tomorrow."""
    with backups_restored(lab) as before:
        then = _now() - dt.timedelta(hours=25)
        stale_one = _only_one_from(lab, then, mtime=then)
        stale_one.rename(_named(lab, _now() + dt.timedelta(hours=20)))
        yield Took(before, _listing(lab))


def only_a_partial_tonight(lab: Lab) -> Iterator[Took]:
    """Leave of last night's backup only half, under the name it has while it is being written."""
    with backups_restored(lab) as before:
        newest = _newest_first(lab)[0]
        content = newest.read_bytes()
        partial = newest.with_name(newest.name + ".partial")
        partial.write_bytes(content[: len(content) // 2])
        newest.unlink()
        # The one of the night before may be younger than a day just after 02:00.
        a_day_old = _named(lab, _now() - dt.timedelta(hours=25))
        for path in _newest_first(lab):
            if path.name > a_day_old.name:
                path.unlink()
        yield Took(before, _listing(lab))


def newest_of_size(size: int) -> Callable[[Lab], Iterator[Took]]:
    """A fault that gives the newest backup a size in bytes."""
    return functools.partial(_sized, size, None)


def all_of_size(size: int, newest: int | None = None) -> Callable[[Lab], Iterator[Took]]:
    """A fault that gives all backups a size in bytes; the newest another, or its own with -1."""
    return functools.partial(_sized, size if newest is None else newest, size)


def _sized(newest_size: int, others_size: int | None, lab: Lab) -> Iterator[Took]:
    with backups_restored(lab) as before:
        newest, *others = _newest_first(lab)
        if newest_size >= 0:
            _resize(newest, newest_size)
        for path in others if others_size is not None else ():
            _resize(path, others_size or 0)
        yield Took(before, _listing(lab))


def emptied_database(lab: Lab) -> Iterator[Took]:
    """Make the newest backup the real dump of a database that has all tables and no rows."""
    with backups_restored(lab) as before:
        rewrite(_newest_first(lab)[0], gzip.compress(_dump_of_emptied(lab)))
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


def one_day_missing(lab: Lab) -> Iterator[Took]:
    """Take away the backup of three days ago, in the middle of the week."""
    with backups_restored(lab):
        before = _days(lab)
        _of_day(lab, 3).unlink()
        yield Took(before, _days(lab))


def two_then_none(lab: Lab) -> Iterator[Took]:
    """Give the backup of three days ago a name of the afternoon before: as many files as there are days."""
    with backups_restored(lab):
        before = _days(lab)
        afternoon = dt.datetime.combine(_day(4), dt.time(14)).astimezone()
        _of_day(lab, 3).rename(_named(lab, afternoon))
        yield Took(before, _days(lab))


def yesterdays(change: Callable[[bytes], bytes]) -> Callable[[Lab], Iterator[Took]]:
    """A fault that changes the content of yesterday's backup and nothing else about it."""
    return functools.partial(_yesterdays, change)


def _yesterdays(change: Callable[[bytes], bytes], lab: Lab) -> Iterator[Took]:
    with backups_restored(lab):
        path = _of_day(lab, 1)
        before = _content(path)
        rewrite(path, change(path.read_bytes()))
        yield Took(before, _content(path))


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _truncated(content: bytes) -> bytes:
    return content[: len(content) * 9 // 10]


def _with_garbage(content: bytes) -> bytes:
    return content + b"what is left of something else\n"


def _cut_dump(content: bytes) -> bytes:
    """As pg_dump leaves it that dies on the way: gzip packs what came, and ends well."""
    text = gzip.decompress(content)
    return gzip.compress(text[: len(text) * 9 // 10])


def _day(ago: int) -> dt.date:
    return _now().date() - dt.timedelta(days=ago)


def _of_day(lab: Lab, ago: int) -> Path:
    """The last backup of so many days ago.

    Raises:
        FaultDidNotTake: there is none.
    """
    found = sorted(lab.backups.glob(f"synk_backup_{_day(ago):%Y%m%d}_*.sql.gz"))
    if not found:
        raise FaultDidNotTake(f"{lab.name} has no backup of {_day(ago)}")
    return found[-1]


def _days(lab: Lab) -> str:
    """How many backups there are of each day, in one line."""
    counted = Counter(path.name.split("_")[2] for path in _newest_first(lab))
    return ", ".join(f"{number} of {day}" for day, number in sorted(counted.items()))


def _content(path: Path) -> str:
    content = path.read_bytes()
    return f"{path.name} of {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()[:16]}"


@contextmanager
def backups_restored(lab: Lab) -> Iterator[str]:
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
    """Give a backup a size, cut short or with a hole at its end."""
    stat = path.stat()
    rewrite(path, path.read_bytes()[:size])
    os.truncate(path, size)
    os.utime(path, (stat.st_atime, stat.st_mtime))


def rewrite(path: Path, content: bytes) -> None:
    """Give a backup another content, written when it was; never the file that it is a link to."""
    stat = path.stat()
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o600)
    os.utime(path, (stat.st_atime, stat.st_mtime))


def _now() -> dt.datetime:
    return dt.datetime.now().astimezone()


FRESH, SIZE, STEADY = "backup-fresh", "backup-size", "backup-steady"
INTACT, COMPLETE = "backup-intact", "backup-complete"
RESTORES, MATCHES, RECENT, KEPT = "backup-restores", "restore-matches", "restore-recent", "backup-proven-kept"
RECOVERY = "disaster-recovery"
OF_RESTORED = (MATCHES, RECENT)
YESTERDAY = "backups-daily[{1 day ago}]"
EACH_DAY = (YESTERDAY, *(f"backups-daily[{{{ago} days ago}}]" for ago in range(2, 8)))
# Nights' backups are made at 02:00. Before that the newest is yesterday's; and for an hour or more after midnight
# what is left 25 hours old is not of yesterday.
NONE_OF_YESTERDAY = (YESTERDAY,), (INTACT, COMPLETE)
YESTERDAYS_IS_CUT = Early(2, (INTACT,), (COMPLETE,))

FAULTS = (
    Fault(
        "backup-none",
        (FRESH, *EACH_DAY, KEPT),
        "There is no backup at all.",
        none_at_all,
        (SIZE, STEADY, INTACT, COMPLETE, RESTORES, RECOVERY, "backup-archive", *OF_RESTORED),
    ),
    Fault(
        "backup-stale",
        (FRESH,),
        "The newest backup is 25 hours old.",
        stale,
        early=Early(1, *NONE_OF_YESTERDAY),
    ),
    Fault(
        "backup-touched",
        (FRESH,),
        "A backup 25 hours old was copied just now.",
        stale_but_touched,
        early=Early(1, *NONE_OF_YESTERDAY),
    ),
    Fault(
        "backup-from-future",
        (FRESH, RECENT),
        "A stale backup has a name from tomorrow.",
        name_in_the_future,
        early=Early(3, *NONE_OF_YESTERDAY),
    ),
    Fault(
        "backup-partial",
        (FRESH,),
        "Of last night there is only a partial file.",
        only_a_partial_tonight,
        early=Early(3, *NONE_OF_YESTERDAY),
    ),
    Fault(
        "backup-0-bytes",
        (SIZE, STEADY, RESTORES, RECOVERY),
        "The newest backup is empty.",
        newest_of_size(0),
        OF_RESTORED,
        early=YESTERDAYS_IS_CUT,
    ),
    Fault(
        "backup-too-small",
        (SIZE, RESTORES, RECOVERY),
        "The newest backup is 4.9 MiB.",
        newest_of_size(int(4.9 * MIB)),
        OF_RESTORED,
        early=YESTERDAYS_IS_CUT,
    ),
    # The others stay whole: zero bytes after its end are no part of a gzip file.
    Fault("backup-too-large", (SIZE,), "All backups are 51 MiB.", all_of_size(51 * MIB)),
    Fault(
        "backup-shrunk",
        (STEADY,),
        "The others are of 20 MiB, the newest much smaller.",
        all_of_size(20 * MIB, -1),
    ),
    Fault(
        "backup-of-emptied-database",
        (SIZE, STEADY, RECOVERY, *OF_RESTORED),
        "The newest backup is of a database without rows.",
        emptied_database,
    ),
    Fault("backup-day-missing", (EACH_DAY[2],), "The backup of three days ago is missing.", one_day_missing),
    Fault("backup-two-then-none", (EACH_DAY[2],), "One day has two backups, the next has none.", two_then_none),
    Fault(
        "backup-flipped-byte", (INTACT,), "One bit of yesterday's backup is flipped.", yesterdays(_flipped), (COMPLETE,)
    ),
    Fault("backup-truncated", (INTACT,), "Yesterday's backup breaks off.", yesterdays(_truncated), (COMPLETE,)),
    Fault(
        "backup-trailing-garbage",
        (INTACT,),
        "Something else follows the end of yesterday's backup.",
        yesterdays(_with_garbage),
        (COMPLETE,),
    ),
    Fault("backup-cut-dump", (COMPLETE,), "Yesterday's dump was cut short, then packed.", yesterdays(_cut_dump)),
)
