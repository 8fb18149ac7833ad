"""Faults of what takes room in the database, of who is connected, and of the cache."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import history
from lab.faults.fault import Fault, FaultDidNotTake, Took, eventually
from lab.faults.logs import container_logs_restored
from lab.faults.targets import derived
from lab.faults.usage import other_history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from lab.stack import Lab

SLUG = "largest-tables"
TABLE = "public.api_activity"
MONTH = dt.timedelta(days=30)
GROWN = 1_000_000
OF_IT = 900_000
# Of the 97 that others than superusers can have: just 80 % of them, and all.
NEARLY = 78
ALL = 97
# Shorter than it takes to have the suite look at it, and longer than anything in a healthy lab is idle.
IDLE = "2 s"
IDLE_SECONDS = 2.2
MISSES = 20_000


# What grows.


def one_table_grew(lab: Lab) -> Iterator[Took]:
    """Have the history say that a month ago one table was smaller by nine tenths of what the database has grown by."""
    with other_history(lab) as (_, file):
        before = _figures(file)
        sizes = {
            "database": _number(lab, "pg_database_size(current_database())") - GROWN,
            TABLE: _number(lab, f"pg_total_relation_size('{TABLE}')") - OF_IT,
            "the smallest listed": 0,
        }
        at = (dt.datetime.now(dt.UTC) - MONTH).timestamp()
        with contextlib.closing(sqlite3.connect(file)) as known, known:
            known.executemany(
                "INSERT INTO figure (target, slug, name, item, at, value, unit, token) "
                "VALUES (?, ?, ?, '', ?, ?, 'B', 'a fault')",
                [(lab.name, SLUG, name, at, size) for name, size in sizes.items()],
            )
        # A lab is small, and would not count as growing.
        with derived(lab, '[limits]\ngrowth_floor = "1 KiB"\n', history=str(file)) as target:
            yield Took(before, _figures(file), target)


def _figures(file: Path) -> str:
    with contextlib.closing(sqlite3.connect(file)) as known:
        count, first = known.execute("SELECT count(*), min(at) FROM figure WHERE slug = ?", (SLUG,)).fetchone()
    return f"{count} sizes of tables, the first of {dt.datetime.fromtimestamp(first or 0, dt.UTC):%Y-%m-%d}"


def _number(lab: Lab, expression: str) -> int:
    return int(lab.psql(f"SELECT {expression}"))


# Who is connected.


def connections_near_their_limit(lab: Lab) -> Iterator[Took]:
    """Open connections until four fifths of what there is for others than superusers are held."""
    before = _held(lab)
    with _opened(lab, NEARLY):
        yield Took(before, _held(lab))
    eventually(lambda: _held(lab), lambda seen: seen == before)


def connection_limit_reached(lab: Lab) -> Iterator[Took]:
    """Hold every connection that others than superusers can have, so that nobody else gets one.

    The application goes on by those that are kept for superusers: what breaks is what looks at the database.
    """
    before = _refused(lab)
    with container_logs_restored(lab, "db"), _application_as_superuser(lab), _opened(lab, ALL):
        yield Took(before, eventually(lambda: _refused(lab), lambda seen: seen != before))
    eventually(lambda: _refused(lab), lambda seen: seen == before)


@contextmanager
def _application_as_superuser(lab: Lab) -> Iterator[None]:
    """Let the application's role be a superuser for a while."""
    role = lab.psql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()").strip()
    lab.psql(f'ALTER ROLE "{role}" SUPERUSER')
    try:
        yield
    finally:
        lab.psql(f'ALTER ROLE "{role}" NOSUPERUSER')


@contextmanager
def _opened(lab: Lab, count: int) -> Iterator[None]:
    """So many connections that do nothing."""
    connections: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        with ThreadPoolExecutor(4) as together:
            connections.extend(together.map(history.connect, [lab] * count))
        yield
    finally:
        for one in connections:
            one.close()


def _held(lab: Lab) -> str:
    held = lab.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'").strip()
    return f"{held} connections held, this one counted"


def _refused(lab: Lab) -> str:
    """What the database says to the role that the checks use."""
    import psycopg

    try:
        psycopg.connect(
            host="127.0.0.1",
            port=lab.database_port,
            dbname=lab.database,
            user="ops_checks",
            password=lab.ops_password_file.read_text().strip(),
            connect_timeout=10,
        ).close()
    except psycopg.OperationalError as refused:
        return str(refused).strip().rpartition("FATAL:")[2].strip()
    return "a connection"


def session_abandoned(lab: Lab) -> Iterator[Took]:
    """Begin a transaction and leave it; the checks are told that nobody is idle for more than two seconds."""
    before = _idle(lab)
    with history.connect(lab) as session, derived(lab, f'[limits]\nidle_connection = "{IDLE}"\n') as target:
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM auth_user WHERE email = 'jane.roe@example.org'")
        time.sleep(IDLE_SECONDS)
        yield Took(before, _idle(lab), target)
        session.rollback()


def _idle(lab: Lab) -> str:
    count = lab.psql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'").strip()
    return f"{count} idle in a transaction"


# The cache.


def cache_always_misses(lab: Lab) -> Iterator[Took]:
    """Look up what isn't there, many times more often than anything else was looked up."""
    before = _counters(lab)
    asked = "for n = 1, tonumber(ARGV[1]) do redis.call('GET', 'nothing:' .. n) end"
    try:
        lab.execute("redis", "redis-cli", "EVAL", asked, "0", str(MISSES))
        yield Took(before, _counters(lab))
    finally:
        lab.execute("redis", "redis-cli", "CONFIG", "RESETSTAT")


def _counters(lab: Lab) -> str:
    said = lab.execute("redis", "redis-cli", "INFO", "stats")
    counts = [line.strip() for line in said.splitlines() if line.startswith("keyspace_")]
    if not counts:
        raise FaultDidNotTake("Redis doesn't say what it has counted")
    return ", ".join(counts)


FAULTS = (
    Fault(
        "table-grew-most",
        (SLUG,),
        "Nine tenths of what the database grew by in a month are one table's.",
        one_table_grew,
    ),
    Fault(
        "connections-near-limit",
        ("connection-headroom", "database-connections"),
        "Four fifths of the connections are held.",
        connections_near_their_limit,
    ),
    Fault(
        "connection-limit-reached",
        ("connection-headroom", "database-connections", "database-log-quiet"),
        "Every connection is held, and the database refuses whoever asks for another.",
        connection_limit_reached,
        blinds=(
            "data-directory-size",
            "data-retention",
            "growth",
            "idle-connections",
            SLUG,
            "migrations-applied",
            "missing-indexes",
            "n-plus-one",
            "role-permissions",
            "scale-users",
            "slow-query-log",
            "unused-roles",
            "usage-report",
            "user-activity",
            "vacuumed",
        ),
    ),
    Fault(
        "session-abandoned",
        ("idle-connections",),
        "A client has begun a transaction and gone away from it.",
        session_abandoned,
    ),
    Fault("cache-misses", ("cache-used",), "Nothing of what is looked up in the cache is there.", cache_always_misses),
)
