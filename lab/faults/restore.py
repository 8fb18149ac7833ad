"""Faults of backups that only a restore finds: each a further backup, whole, recent, and of the usual size."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from lab.faults.backups import RECOVERY, RESTORES
from lab.faults.dumps import backups, newer_backup
from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.faults.targets import derived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.stack import Lab

DATA = b"--\n-- Data for Name: api_comment; "
NONSENSE = b"SELECT count(*) FROM nowhere.nothing;\n\n"
NOBODY = "left_last_year"
GRANT = f"GRANT SELECT ON TABLE public.api_comment TO {NOBODY};\n\n".encode()


def written(edit: Callable[[bytes], bytes]) -> Callable[[Lab], Iterator[Took]]:
    """A fault that has the newest backup say something else."""
    return functools.partial(_written, edit)


def _written(edit: Callable[[bytes], bytes], lab: Lab) -> Iterator[Took]:
    before = backups(lab)[-1].name
    with newer_backup(lab, edit) as path:
        yield Took(f"the newest backup is {before}", f"the newest backup is {path.name}")


def before_the_rows(statement: bytes) -> Callable[[bytes], bytes]:
    """An edit that puts a statement into the middle of a dump, where a table's rows begin.

    Args:
        statement: with the empty line that follows it.
    """

    def edit(text: bytes) -> bytes:
        schema, mark, rows = text.partition(DATA)
        if not mark:
            raise FaultDidNotTake("the dump has no such table")
        return schema + statement + mark + rows

    return edit


def of_newer(text: bytes) -> bytes:
    """An edit that makes a dump one of a server two major versions ahead."""
    return re.sub(
        rb"(?m)^(-- Dumped (?:from database|by pg_dump) version )(\d+)",
        lambda said: said[1] + str(int(said[2]) + 2).encode(),
        text,
        count=2,
    )


def cut_short(text: bytes) -> bytes:
    """An edit that leaves what pg_dump had written when it died: gzip packs that, and ends well."""
    return text[: len(text) * 9 // 10]


def too_slow(lab: Lab) -> Iterator[Took]:
    """Have recovery promised in less time than any restore takes."""
    with derived(lab, '[limits]\ndisaster_recovery = "100 ms"\n') as target:
        yield Took("recovery is promised in 2 h", "recovery is promised in 100 ms", target)


FAULTS = (
    Fault(
        "recovery-too-slow",
        (RECOVERY,),
        "Recovery takes longer than was promised.",
        too_slow,
    ),
    Fault(
        "restore-broken-statement",
        (RESTORES, RECOVERY),
        "The newest dump has a statement in its middle that fails.",
        written(before_the_rows(NONSENSE)),
    ),
    Fault(
        "restore-missing-role",
        (RESTORES, RECOVERY),
        "The newest dump needs a role that the cluster hasn't any more.",
        written(before_the_rows(GRANT)),
    ),
    Fault(
        "restore-newer-version",
        (RESTORES, RECOVERY),
        "The newest dump is of a newer PostgreSQL than the server.",
        written(of_newer),
    ),
    Fault(
        "restore-cut-short",
        (RESTORES, RECOVERY),
        "The newest dump was cut short, then packed.",
        written(cut_short),
        # What a part of a dump restores to says nothing of the rest.
        ("restore-matches", "restore-recent"),
    ),
)
