"""A year behind a fresh second stack: rows sown night by night, each night's dump, and logs rotated with dates."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import os
from typing import TYPE_CHECKING

from lab import access_history
from lab.history import ROWS, SEED, SPAN, nights, password_hash, rows_between
from lab.progress import LabError
from lab.project import fill

if TYPE_CHECKING:
    from pathlib import Path

    from lab.other.stack import OtherStack

ONE_DAY = dt.timedelta(days=1)
KEPT = dt.timedelta(days=30)


def sow(stack: OtherStack, now: dt.datetime) -> None:
    """Fill an empty, migrated database with a year of rows and write the last eight nights' dumps.

    Args:
        stack: Its database must run.
        now: Aware time at which the history ends.

    Raises:
        LabError: A statement or a dump failed.
    """
    start = now - SPAN
    known = {"start": start.isoformat(), "now": now.isoformat(), "domain": stack.domain}
    known |= {f"total_{table}": str(total) for table, total in ROWS.items()}
    kept = stack.secrets()
    known |= {f"{who}_hash": password_hash(kept[f"{who}_password"]) for who in ("member", "admin", "deputy")}
    stack.psql(fill((SEED / "base.sql").read_text(encoding="utf-8"), known))
    span, since = (SEED / "span.sql").read_text(encoding="utf-8"), start
    for night in nights(now):
        stack.psql(fill(span, known | rows_between(start, now, since, night)))
        dump(stack, night)
        since = night
    stack.psql(fill(span, known | rows_between(start, now, since, now)))
    stack.psql("VACUUM (ANALYZE)")


def dump(stack: OtherStack, night: dt.datetime) -> Path:
    """Write one night's dump as the host's cron would, under its day, and written at that time.

    Raises:
        LabError: pg_dump or gzip failed.
    """
    path = stack.backups / f"{night:{stack.pattern}}"
    partial = path.with_name(path.name + ".tmp")
    pipeline = f"pg_dump --username={stack.owner} {stack.database} | gzip"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        complaints = stack.stream("postgres", file, "sh", "-c", pipeline)
    if complaints:
        raise LabError(f"the dump of {night:%Y-%m-%d} failed: {complaints}")
    partial.rename(path)
    finished = (night + dt.timedelta(minutes=1)).timestamp()
    os.utime(path, (finished, finished))
    return path


def catch_up(stack: OtherStack, now: dt.datetime) -> None:
    """On a stack that has stood overnight: make last night's dump, keep the retention of dumps and rows."""
    (night,) = nights(now, 1)
    if not (stack.backups / f"{night:{stack.pattern}}").exists():
        dump(stack, night)
    for old in stack.backups.glob("nightly-*"):
        if now.timestamp() - old.stat().st_mtime > KEPT.total_seconds():
            old.unlink()
    stack.psql(f"DELETE FROM api_activity WHERE created_at < '{(now - SPAN).isoformat()}'")  # noqa: S608 - a time


def write_logs(stack: OtherStack, now: dt.datetime) -> None:
    """Write the last ninety days of nginx's logs, named as logrotate does it with `dateext` and `dateyesterday`.

    Args:
        stack: Its nginx must not run.
        now: Aware time in the host's zone at which they end.
    """
    access_history.write(stack.nginx_logs, now, stack.domain)
    (stack.nginx_logs / "admin_access.log").unlink()  # here the admin area has no log of its own
    for file in list(stack.nginx_logs.glob("access.log.*")):
        number, _, packed = file.name.removeprefix("access.log.").partition(".")
        day = now.date() - int(number) * ONE_DAY
        file.rename(file.with_name(f"access.log-{day:%Y%m%d}{packed and '.gz'}"))
    rotate(stack.error_log, now.date())


def rotate(log: Path, today: dt.date) -> None:
    """Put the lines of each day before today into a file of that day, and pack those from before yesterday.

    As logrotate does it night by night with `dateext`, `dateyesterday`, `compress` and `delaycompress`. Nobody may be
    writing to the log meanwhile.

    Args:
        log: The log that is written to.
        today: The day in the host's zone.
    """
    days: dict[dt.date, list[str]] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        days.setdefault(_day_of(line), []).append(line)
    log.write_text("".join(days.pop(today, [])), encoding="utf-8")
    for day, lines in days.items():
        with log.with_name(f"{log.name}-{day:%Y%m%d}").open("a", encoding="utf-8") as file:
            file.writelines(lines)
    yesterday = f"{log.name}-{today - ONE_DAY:%Y%m%d}"
    for plain in log.parent.glob(f"{log.name}-????????"):
        day = dt.datetime.strptime(plain.name[-8:], "%Y%m%d").astimezone()
        midnight = (day + ONE_DAY).timestamp()
        os.utime(plain, (midnight, midnight))
        if plain.name != yesterday:
            packed = plain.with_name(f"{plain.name}.gz")
            packed.write_bytes(gzip.compress(plain.read_bytes(), 6, mtime=int(midnight)))
            os.utime(packed, (midnight, midnight))
            plain.unlink()


def _day_of(line: str) -> dt.date:
    """The day of a line of nginx's access or error log."""
    access = line.partition("[")[2][:11]
    for text, written in ((line[:10], "%Y/%m/%d"), (access, "%d/%b/%Y")):
        with contextlib.suppress(ValueError):
            return dt.datetime.strptime(text, written).date()  # noqa: DTZ007 - a date
    raise LabError(f"a line of nginx's log has no day: {line[:100]}")
