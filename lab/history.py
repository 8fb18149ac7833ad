"""A year behind a fresh lab: rows sown night by night, and each night's real dump."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from lab.progress import LabError
from lab.project import fill
from lab.stack import SUPERUSER

if TYPE_CHECKING:
    import psycopg

    from lab.stack import Lab

SEED = Path(__file__).parent / "seed"
# Not a day more: a lab that has stood for some hours must not hold rows older than a year.
SPAN = dt.timedelta(days=364)
NIGHTS = 8
# Rows of a whole history, table by table.
ROWS = {
    "activity": 20_000,
    "task": 3_000,
    "comment": 6_000,
    "attachment": 256,
    "timeentry": 4_000,
    "notification": 5_000,
    "invitation": 60,
    "webhookdelivery": 1_500,
    "auditentry": 500,
}
HASH_ITERATIONS = 720_000


def sow(lab: Lab, now: dt.datetime) -> None:
    """Fill an empty, migrated database with a year of rows and write the last eight nights' dumps.

    Each dump is taken while the database holds the rows up to that night and none later.

    Args:
        lab: its database must run; its backups are written on the host.
        now: aware time at which the history ends.

    Raises:
        LabError: a dump failed.
        psycopg.Error: a statement failed.
    """
    start = now - SPAN
    known = {"start": start.isoformat(), "now": now.isoformat(), "domain": lab.domain}
    known |= {f"total_{table}": str(total) for table, total in ROWS.items()}
    for leftover in (*lab.backups.glob("synk_backup_*"), lab.backups / "backup.log"):
        leftover.unlink(missing_ok=True)
    with connect(lab) as connection:
        execute(connection, "base.sql", known | _hashes(lab))
        since = start
        for night in nights(now):
            execute(connection, "span.sql", known | rows_between(start, now, since, night))
            dump(lab, night)
            since = night
        execute(connection, "span.sql", known | rows_between(start, now, since, now))
        connection.execute("VACUUM (ANALYZE)")


def prune(lab: Lab, now: dt.datetime) -> None:
    """Keep the application's retention: drop activity older than a year's history."""
    with connect(lab) as connection:
        connection.execute("DELETE FROM api_activity WHERE created_at < %s", (now - SPAN,))


def nights(now: dt.datetime, count: int = NIGHTS) -> list[dt.datetime]:
    """The last nights' 02:00 in the host's zone, oldest first, the newest not after `now` (aware)."""
    local = now.astimezone()
    days = [local.date() - dt.timedelta(days=age) for age in reversed(range(count + 1))]
    past = [night for day in days if (night := dt.datetime.combine(day, dt.time(2)).astimezone()) <= local]
    return past[-count:]


def rows_between(start: dt.datetime, now: dt.datetime, since: dt.datetime, until: dt.datetime) -> dict[str, str]:
    """First and last row number of every table whose time lies after `since` and up to `until`."""
    span = (now - start).total_seconds()
    bounds = {}
    for table, total in ROWS.items():
        # Row n lies at (n - 0.5) / total of the span.
        first, last = (int((moment - start).total_seconds() / span * total + 0.5) for moment in (since, until))
        bounds[f"from_{table}"], bounds[f"to_{table}"] = str(first + 1), str(last)
    return bounds


def connect(lab: Lab, password: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    """Connect to the lab's database as its superuser, committing each statement.

    Args:
        lab: whose database.
        password: another one than the superuser's own.

    Raises:
        psycopg.OperationalError: the database does not answer, or refuses.
    """
    import psycopg

    return psycopg.connect(
        host="127.0.0.1",
        port=lab.database_port,
        dbname=lab.database,
        user=SUPERUSER,
        password=password or lab.secrets()["postgres_password"],
        connect_timeout=10,
        application_name="lab",
        autocommit=True,
    )


def execute(connection: psycopg.Connection[tuple[object, ...]], script: str, known: dict[str, str]) -> None:
    """Run one of the seed scripts with its values filled in."""
    connection.execute(fill((SEED / script).read_text(), known).encode())


def dump(lab: Lab, night: dt.datetime) -> Path:
    """Write one night's backup, the way backup.sh does, under the name and time of that night.

    Raises:
        LabError: pg_dump or gzip failed.
    """
    path = lab.backups / f"synk_backup_{night:%Y%m%d_%H%M%S}.sql.gz"
    partial = path.with_name(path.name + ".partial")
    pipeline = f"pg_dump --username={SUPERUSER} {lab.database} | gzip"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        complaints = lab.stream("db", file, "sh", "-c", pipeline)
    if complaints:
        raise LabError(f"the dump of {night:%Y-%m-%d} failed: {complaints}")
    partial.rename(path)
    finished = night + dt.timedelta(minutes=1)
    os.utime(path, (finished.timestamp(), finished.timestamp()))
    with (lab.backups / "backup.log").open("a") as log:
        log.write(f"{finished:%Y-%m-%d %H:%M:%S} backup successful: {path.name} ({path.stat().st_size} bytes)\n")
    (lab.backups / "backup.log").chmod(0o600)
    return path


def password_hash(password: str) -> str:
    """A password as Django would store it."""
    salt = secrets.token_urlsafe(16)[:22]
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), HASH_ITERATIONS)
    return f"pbkdf2_sha256${HASH_ITERATIONS}${salt}${base64.b64encode(digest).decode()}"


def _hashes(lab: Lab) -> dict[str, str]:
    kept = lab.secrets()
    return {f"{who}_hash": password_hash(kept[f"{who}_password"]) for who in ("member", "admin", "deputy")}
