"""Faults of use and of growth: nobody did anything, one did it all, a disk that fills, a history that is too short."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab import history
from lab.faults.fault import Fault, Took
from lab.faults.files import small_file_system
from lab.faults.targets import derived
from lab.figures import DAYS, SLUG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

# Less than the two weeks that a rate is told from.
SHORT = dt.timedelta(days=9)


# Who did what. Rows are changed and none comes or goes, so that a restored backup still has as many as the database.


def nobody_did_anything(lab: Lab) -> Iterator[Took]:
    """Put the activity of the last 30 days twice as far back."""
    with _activity_restored(lab) as before:
        lab.psql(
            "UPDATE api_activity SET created_at = created_at - interval '1440 hours' "
            "WHERE created_at > now() - interval '725 hours'"
        )
        yield Took(before, _activity(lab))


def one_did_it_all(lab: Lab) -> Iterator[Took]:
    """Let nine of ten rows of the last 30 days be of one user."""
    with _activity_restored(lab) as before:
        lab.psql(
            "UPDATE api_activity SET user_id = (SELECT min(id) FROM auth_user) "
            "WHERE created_at > now() - interval '725 hours' AND id % 10 < 9"
        )
        yield Took(before, _activity(lab))


@contextmanager
def _activity_restored(lab: Lab) -> Iterator[str]:
    """Put back afterwards whose the rows of the last two months are, and of when, to the microsecond."""
    with history.connect(lab) as connection:
        rows = connection.execute(
            "SELECT id, user_id, created_at::text FROM api_activity WHERE created_at > now() - interval '1500 hours'"
        ).fetchall()
    before = _activity(lab)
    try:
        yield before
    finally:
        with history.connect(lab) as connection, connection.transaction():
            columns = [list(column) for column in zip(*rows, strict=True)]
            connection.execute(
                "UPDATE api_activity AS a SET user_id = was.user_id, created_at = was.created_at "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS was (id, user_id, created_at) "
                "WHERE a.id = was.id AND (a.user_id, a.created_at) IS DISTINCT FROM (was.user_id, was.created_at)",
                columns,
            )
        # What was changed to and fro lies there twice over, until the server's own vacuum comes by.
        lab.psql("VACUUM ANALYZE api_activity")


def _activity(lab: Lab) -> str:
    counts = lab.psql(
        "SELECT count(*), coalesce(max(n), 0) FROM (SELECT count(*) OVER (PARTITION BY user_id) AS n "
        "FROM api_activity WHERE created_at > now() - interval '720 hours') AS row"
    )
    rows, most = counts.strip().split("|")
    return f"{rows} rows of activity in 30 days, {most} of them of the busiest user"


# What grows.


def backups_fill_their_disk(lab: Lab) -> Iterator[Took]:
    """Put the backups on a small disk, which they have half filled within the month, evenly."""
    with small_file_system(lab, f"size={2 * _backups(lab)}"), other_history(lab) as (before, file):
        now, size = dt.datetime.now(dt.UTC), _backups(lab)
        moments = [now - dt.timedelta(days=ago) for ago in reversed(range(DAYS))]
        _rewrite(file, lab, [(at, size * number / DAYS) for number, at in enumerate(moments, 1)])
        # A lab's backups are small, and would not count as growing.
        with derived(lab, '[limits]\ngrowth_floor = "1 KiB"\n', history=str(file)) as target:
            yield Took(before, _figures(file), target)


def history_of_nine_days(lab: Lab) -> Iterator[Took]:
    """Let the history of the sizes begin nine days ago."""
    with other_history(lab) as (before, file):
        since = dt.datetime.now(dt.UTC) - SHORT
        with contextlib.closing(sqlite3.connect(file)) as known, known:
            known.execute("DELETE FROM figure WHERE slug = ? AND at < ?", (SLUG, since.timestamp()))
        with derived(lab, history=str(file)) as target:
            yield Took(before, _figures(file), target)


@contextmanager
def other_history(lab: Lab) -> Iterator[tuple[str, Path]]:
    """A copy of the lab's history, in which all else is as it was: what the figures were, and the file."""
    with tempfile.TemporaryDirectory(prefix=f"{lab.name}-history-") as directory:
        file = Path(directory) / "history.sqlite"
        with (
            contextlib.closing(sqlite3.connect(lab.history_file)) as original,
            contextlib.closing(sqlite3.connect(file)) as copy,
        ):
            original.backup(copy)
        try:
            yield _figures(file), file
        finally:
            _bring_runs_home(lab, file)


def _bring_runs_home(lab: Lab, file: Path) -> None:
    """Let the lab's history know the runs that wrote into the copy: what they asked must count for nobody later."""
    with contextlib.closing(sqlite3.connect(lab.history_file)) as known:
        known.execute("ATTACH ? AS other", (str(file),))
        with known:
            known.execute(
                "INSERT INTO refused_login SELECT * FROM other.refused_login "
                "WHERE token IN (SELECT token FROM other.run EXCEPT SELECT token FROM run)"
            )
            known.execute("INSERT OR IGNORE INTO run SELECT * FROM other.run")
        known.execute("DETACH other")


def _rewrite(file: Path, lab: Lab, sizes: list[tuple[dt.datetime, float]]) -> None:
    """Have the history say these sizes of the backups, and no others."""
    with contextlib.closing(sqlite3.connect(file)) as known, known:
        known.execute("DELETE FROM figure WHERE slug = ? AND name = 'backups'", (SLUG,))
        known.executemany(
            "INSERT INTO figure (target, slug, name, item, at, value, unit, token) "
            "VALUES (?, ?, 'backups', '', ?, ?, 'B', 'a fault')",
            [(lab.name, SLUG, at.timestamp(), size) for at, size in sizes],
        )


def _backups(lab: Lab) -> int:
    return sum(path.stat().st_size for path in lab.backups.glob("synk_backup_*.sql.gz"))


def _figures(file: Path) -> str:
    with contextlib.closing(sqlite3.connect(file)) as known:
        count, first, low, high = known.execute(
            "SELECT count(*), min(at), min(value), max(value) FROM figure WHERE slug = ? AND name = 'backups'", (SLUG,)
        ).fetchone()
    if not count:
        return "no sizes of the backups"
    since = dt.datetime.fromtimestamp(first, dt.UTC)
    return f"{count} sizes of the backups since {since:%Y-%m-%d %H:%M}, {low:.0f} to {high:.0f} bytes"


FAULTS = (
    Fault("activity-none", ("user-activity",), "Nobody did anything for 30 days.", nobody_did_anything),
    Fault("activity-one-user", ("user-activity",), "One user made nine tenths of the activity.", one_did_it_all),
    Fault(
        "growth-fills-disk",
        ("growth", "backup-archive"),
        "The backups will have filled their disk in a month.",
        backups_fill_their_disk,
    ),
    Fault(
        "growth-short",
        (),
        "The history of the sizes begins nine days ago.",
        history_of_nine_days,
        blinds=("growth",),
    ),
)
