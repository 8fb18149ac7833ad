"""Faults of what is in a backup, told by holding it against the live database; and of which backups are proven."""

from __future__ import annotations

import functools
import gzip
import json
import os
import re
import sqlite3
import sys
import tempfile
import zlib
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from lab.faults.backups import KEPT, MATCHES, RECENT, RECOVERY, RESTORES, backups_restored, rewrite
from lab.faults.dumps import backups, newer_backup
from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.faults.restore import NONSENSE, before_the_rows
from lab.progress import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab

LEFT_OUT, EMPTIED, INDEXED = "api_webhookdelivery", "api_timeentry", "api_comment"
"""Nothing refers to the first two, so that a dump without them is loaded without an error."""
SECTION = re.compile(rb"(?m)^--\n-- (?=(?:Data for )?Name: )")
NIGHTS = 7
DRILL_SECONDS = 600.0


# What is in the newest backup.


def newest(edit: Callable[[bytes], bytes]) -> Callable[[Lab], Iterator[Took]]:
    """A fault that has the newest backup be another, of the text that `edit` makes of the newest's."""
    return functools.partial(_newest, edit)


def _newest(edit: Callable[[bytes], bytes], lab: Lab) -> Iterator[Took]:
    before = backups(lab)[-1].name
    with newer_backup(lab, edit) as path:
        yield Took(f"the newest backup is {before}", f"the newest backup is {path.name}")


def without_a_table(text: bytes) -> bytes:
    """An edit that leaves a table out, with all that belongs to it: as `pg_dump --exclude-table` does."""
    head, *sections = SECTION.split(text)
    # The first line of a section names what it is about.
    kept = [one for one in sections if LEFT_OUT.encode() not in one.partition(b"\n")[0]]
    if len(kept) == len(sections):
        raise FaultDidNotTake(f"the dump has no {LEFT_OUT}")
    mark = b"--\n-- "
    ending = b"" if kept[-1] == sections[-1] else _ending(sections[-1])
    return head + b"".join(mark + one for one in kept) + ending


def _ending(section: bytes) -> bytes:
    """What follows the last thing of a dump."""
    return section[section.index(b"--\n-- PostgreSQL database dump complete") :]


def with_an_emptied_table(text: bytes) -> bytes:
    """An edit that leaves a table's rows out."""
    edited, count = re.subn(rb"(?ms)^(COPY public\." + EMPTIED.encode() + rb" [^\n]*\n).*?^(\\\.\n)", rb"\1\2", text)
    if not count:
        raise FaultDidNotTake(f"the dump has no rows of {EMPTIED}")
    return edited


def with_a_broken_index(text: bytes) -> bytes:
    """An edit by which an index is built over no row, and then called whole: it finds nothing that is there."""
    found = re.search(rb"(?m)^CREATE INDEX (\w+) ON public\." + INDEXED.encode() + rb" USING btree \(\w+\);$", text)
    if found is None:
        raise FaultDidNotTake(f"the dump has no index of {INDEXED}")
    empty = found[0][:-1] + b" WHERE false;"
    whole = b"UPDATE pg_catalog.pg_index SET indpred = NULL WHERE indexrelid = 'public.%s'::regclass;\n" % found[1]
    return text[: found.start()] + empty + b"\n\n" + whole + text[found.end() :]


def without_rights(text: bytes) -> bytes:
    """An edit that leaves owners and rights out: as `pg_dump --no-owner --no-privileges` does."""
    edited, count = re.subn(
        rb"(?m)^(?:ALTER [A-Z ]+ [^ \n]+ OWNER TO [^\n]+|(?:GRANT|REVOKE) [^\n]+ (?:TO|FROM) [^\n]+);\n", b"", text
    )
    if not count:
        raise FaultDidNotTake("the dump says nothing of owners")
    return edited


def an_old_one(lab: Lab) -> Iterator[Took]:
    """Have the oldest backup there is once more, under today's name."""
    before = backups(lab)
    with newer_backup(lab, lambda text: text, base=before[0]) as path:
        yield Took(f"the newest backup is {before[-1].name}", f"it is {path.name}, with what {before[0].name} holds")


# Which backups are proven.


def proven_gone(lab: Lab) -> Iterator[Took]:
    """Take away what drills have proven, and have a newest backup that doesn't restore."""
    with backups_restored(lab):
        before = _proven(lab)
        with newer_backup(lab, before_the_rows(NONSENSE)):
            for name in before:
                _replaced_by_another(lab.backups / name)
            yield Took(f"proven are {_listed(before)}", f"proven are {_listed(_proven(lab))}")


def _replaced_by_another(path: Path) -> None:
    """Take a backup away. Its day keeps one, which nobody has proven: made a second later."""
    later = path.with_name(re.sub(r"\d{6}(?=\.)", lambda time: f"{int(time[0]) + 1:06}", path.name))
    later.write_bytes(_packed(gzip.decompress(path.read_bytes())))
    later.chmod(0o600)
    stat = path.stat()
    os.utime(later, (stat.st_atime, stat.st_mtime))
    path.unlink()


def seven_bad_nights(lab: Lab) -> Iterator[Took]:
    """Prove the backup of eight nights ago, and have none since that restores."""
    *_, proven = backups(lab)[:-NIGHTS]
    with backups_restored(lab), ExitStack() as forgotten:
        before = _proven(lab)
        forgotten.enter_context(_drilled(lab, proven))
        for path in backups(lab)[-NIGHTS:]:
            rewrite(path, _packed(before_the_rows(NONSENSE)(gzip.decompress(path.read_bytes()))))
        yield Took(f"proven are {_listed(before)}", f"proven are {_listed(_proven(lab))}")


@contextmanager
def _drilled(lab: Lab, backup: Path) -> Iterator[None]:
    """Have the suite prove a backup by a restore drill, and forget about that afterwards.

    Raises:
        FaultDidNotTake: it didn't.
    """
    known = set(_drills(lab))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "mid_month", "-k", "restor"]
    with tempfile.TemporaryDirectory(prefix=f"{lab.name}-drill-") as directory:
        reports = ["--html", f"{directory}/report.html", "--junitxml", f"{directory}/report.xml"]
        # The settings of a run around this one are not for this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
        environment["OPS_RESTORE__BACKUP"] = backup.name
        done = run([*command, *reports, "--target", str(lab.target_file)], env=environment, check=False)
    mine = [token for token in _drills(lab) if token not in known]
    try:
        if backup.name not in _proven(lab):
            raise FaultDidNotTake(f"no drill has proven {backup.name}:\n{done.stdout[-2000:]}")
        yield
    finally:
        with closing(sqlite3.connect(lab.history_file)) as history, history:
            history.executemany("DELETE FROM restore_drill WHERE token = ?", [(token,) for token in mine])


def _drills(lab: Lab) -> dict[str, dict[str, object]]:
    """The receipts of the drills that have proven something, by the tokens of their runs."""
    with closing(sqlite3.connect(lab.history_file)) as history:
        rows = history.execute("SELECT token, receipt FROM restore_drill WHERE proven ORDER BY drilled").fetchall()
    return {token: json.loads(receipt) for token, receipt in rows}


def _proven(lab: Lab) -> list[str]:
    """The names of the proven backups that are there as they were."""
    there = {path.name: path.stat().st_size for path in backups(lab)}
    return sorted({str(one["file"]) for one in _drills(lab).values() if there.get(str(one["file"])) == one["size"]})


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _packed(text: bytes) -> bytes:
    """As gzip packs that has no time: seven nights are half a minute otherwise."""
    return gzip.compress(text, zlib.Z_BEST_SPEED)


FAULTS = (
    Fault("restore-table-missing", (MATCHES, RECOVERY), "The newest dump leaves a table out.", newest(without_a_table)),
    Fault(
        "restore-table-empty",
        (MATCHES, RECOVERY),
        "The newest dump has no rows of a table.",
        newest(with_an_emptied_table),
    ),
    Fault(
        "restore-index-corrupt",
        (MATCHES, RECOVERY),
        "An index of the newest dump is broken.",
        newest(with_a_broken_index),
    ),
    Fault(
        "restore-rights-lost", (MATCHES, RECOVERY), "The newest dump has no owners and rights.", newest(without_rights)
    ),
    Fault("restore-old-dump", (RECENT,), "The oldest dump lies under today's name.", an_old_one),
    Fault(
        "backup-proven-gone",
        (RESTORES, RECOVERY, KEPT),
        "What was proven was taken away, and the newest dump doesn't restore.",
        proven_gone,
    ),
    Fault(
        "backup-seven-bad-nights",
        (RESTORES, RECOVERY, KEPT),
        "None of the last seven nights' dumps restores; the one before them will be deleted before the next drill.",
        seven_bad_nights,
    ),
)
