"""What the checks would have measured on a fresh lab, had they looked at it every day of its last month.

The backups' sum is that of the files that lie there, by the dates in their names. The database's size of an earlier
day is taken from how many of its rows were there: an empty database's size, and the rest in proportion.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.stack import Lab

SLUG = "growth"
DAYS = 30
# KEEP_DAYS of backup.sh.
KEPT = dt.timedelta(days=30)
TOKEN = "sown with the lab"  # noqa: S105 - it marks rows, and opens nothing


def sow(lab: Lab, now: dt.datetime) -> bool:
    """Give a lab's history a month of figures, one a day at this time of day, unless it has some.

    Args:
        lab: its database must run; its backups must lie there.
        now: aware time of the last figures.

    Returns:
        Whether it had none.

    Raises:
        report.history_file.HistoryError: the history can't be read or written.
        LabError: the database does not answer.
    """
    from report.history import Figure, History
    from report.history_file import HistoryFile

    history = History(HistoryFile(lab.history_file))
    if history.figures(lab.name, SLUG, "database", now - dt.timedelta(days=10 * DAYS)):
        return False
    moments = [now - dt.timedelta(days=ago) for ago in reversed(range(DAYS))]
    for at, size in zip(moments, database_sizes(lab, moments), strict=True):
        figures = {"database": float(size), "backups": float(backups_size(lab, at))}
        history.remember_figures(
            TOKEN, lab.name, at, [Figure(SLUG, "", name, value, "B") for name, value in figures.items()]
        )
    return True


def backups_size(lab: Lab, at: dt.datetime) -> int:
    """The bytes of the backups that lay there at a time (aware): made until then, and not yet deleted."""
    kept = at - KEPT
    sizes = {_made(path.name): path.stat().st_size for path in lab.backups.glob("synk_backup_*.sql.gz")}
    return sum(size for made, size in sizes.items() if kept < made <= at)


def database_sizes(lab: Lab, moments: list[dt.datetime]) -> list[int]:
    """The database's size in bytes at each of some times (aware): today's, and earlier ones by the rows of then."""
    tables = lab.psql(
        "SELECT table_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name LIKE 'api\\_%' AND column_name = 'created_at'"
    ).split()
    dated = " UNION ALL ".join(f'SELECT created_at FROM "{table}"' for table in sorted(tables))  # noqa: S608 - names of our own tables
    until = ", ".join(f"count(*) FILTER (WHERE created_at <= '{at.isoformat()}')" for at in moments)
    now, empty = (
        int(size)
        for size in lab.psql("SELECT pg_database_size(current_database()), pg_database_size('template1')")
        .strip()
        .split("|")
    )
    *rows, total = (
        int(count)
        for count in lab.psql(f"SELECT {until}, count(*) FROM ({dated}) AS row").strip().split("|")  # noqa: S608 - names of our own tables
    )
    return [round(empty + (now - empty) * count / total) for count in rows]


def _made(name: str) -> dt.datetime:
    """The time in a backup's name, which is of the host's zone."""
    return dt.datetime.strptime(name, "synk_backup_%Y%m%d_%H%M%S.sql.gz").astimezone()
