"""Faults of old backups and of their copies off site."""

from __future__ import annotations

import datetime as dt
import functools
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.faults.backups import backups_restored
from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.faults.targets import derived
from lab.object_store import ObjectStore, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.stack import Lab

BUCKET, PREFIX = "lab-copies", "nights/"


def one_of_40_days_ago(lab: Lab) -> Iterator[Took]:
    """Leave a backup that deletion should have taken ten days ago."""
    with backups_restored(lab):
        before = _oldest(lab)
        then = dt.datetime.now().astimezone() - dt.timedelta(days=40)
        old = lab.backups / f"synk_backup_{then:%Y%m%d_%H%M%S}.sql.gz"
        shutil.copyfile(_newest_first(lab)[0], old)
        os.utime(old, (then.timestamp(), then.timestamp()))
        yield Took(before, _oldest(lab))


def off_site(change: Callable[[Path], str]) -> Callable[[Lab], Iterator[Took]]:
    """A fault of an object store that has copies of the lab's backups, of which one thing is then changed.

    Args:
        change: gets the copy that must be there; returns the secret key to ask with, empty for the store's own.
    """
    return functools.partial(_off_site, change)


def _off_site(change: Callable[[Path], str], lab: Lab) -> Iterator[Took]:
    with _store_with_copies(lab) as store:
        copies = store.directory / BUCKET / PREFIX
        before = _copies(copies)
        secret_key = change(copies / _due(lab).name)
        after = f"{_copies(copies)}{', asked for with a wrong key' if secret_key else ''}"
        with derived(lab, store.table(BUCKET, PREFIX, secret_key=secret_key)) as target:
            yield Took(before, after, target)


@contextmanager
def _store_with_copies(lab: Lab) -> Iterator[ObjectStore]:
    with tempfile.TemporaryDirectory(prefix=f"{lab.name}-store-") as place:
        shutil.copytree(lab.backups, Path(place) / BUCKET / PREFIX)
        with serving(Path(place)) as store:
            yield store


def _gone(copy: Path) -> str:
    copy.unlink()
    return ""


def _cut_short(copy: Path) -> str:
    os.truncate(copy, copy.stat().st_size - 1)
    return ""


def _wrong_key(_: Path) -> str:
    return "not its secret key"


def _due(lab: Lab) -> Path:
    """The newest backup that is older than a day: of it there must be a copy.

    Raises:
        FaultDidNotTake: there is none so old.
    """
    a_day_ago = f"synk_backup_{dt.datetime.now().astimezone() - dt.timedelta(days=1):%Y%m%d_%H%M%S}.sql.gz"
    found = [path for path in _newest_first(lab) if path.name < a_day_ago]
    if not found:
        raise FaultDidNotTake(f"{lab.name} has no backup older than a day")
    return found[0]


def _newest_first(lab: Lab) -> list[Path]:
    return sorted(lab.backups.glob("synk_backup_*.sql.gz"), reverse=True)


def _oldest(lab: Lab) -> str:
    found = _newest_first(lab)
    return f"{len(found)} backups, the oldest {found[-1].name}"


def _copies(directory: Path) -> str:
    found = [path for path in directory.iterdir() if path.name.startswith("synk_backup_")]
    return f"{len(found)} copies of {sum(path.stat().st_size for path in found)} bytes"


ARCHIVE = "backup-archive"
FAULTS = (
    Fault("archive-old-backup", (ARCHIVE,), "A backup of 40 days ago is still there.", one_of_40_days_ago),
    Fault("offsite-missing", (ARCHIVE,), "The copy off site of the last backup due is missing.", off_site(_gone)),
    Fault("offsite-cut-short", (ARCHIVE,), "That copy lacks its last byte.", off_site(_cut_short)),
    Fault(
        "offsite-wrong-key",
        (),
        "The object store is asked with a wrong secret key.",
        off_site(_wrong_key),
        blinds=(ARCHIVE,),
    ),
)
