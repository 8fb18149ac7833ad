"""Faults of the database's settings, statistics and statements."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import history, traffic
from lab.faults.fault import Fault, FaultDidNotTake, Took, eventually
from lab.faults.logs import container_logs_restored, proxy_logs_restored
from lab.faults.targets import derived
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

SETTING = "log_min_duration_statement"
ONE_BY_ONE = "/api/lab/one-by-one/"
# A hundred lookups each, so that they are more than a thousand, of which fewer are not judged.
VISITS = 12
# Twice as many as are taken for dumps and reports.
SCANS = 200
LONG_AGO = -1
"""The number of a row that is older than it may be: none that the sequence gives."""


# The log of slow statements.


def slow_queries_unlogged(lab: Lab) -> Iterator[Took]:
    """Switch the log of slow statements off."""
    with _setting_restored(lab) as before:
        _write(lab, "-1")
        _load(lab, "-1")
        yield Took(before, _threshold(lab))


def slow_queries_from_five_seconds(lab: Lab) -> Iterator[Took]:
    """Log only what takes five seconds."""
    with _setting_restored(lab) as before:
        _write(lab, "5000")
        _load(lab, "5s")
        yield Took(before, _threshold(lab))


def slow_queries_not_loaded(lab: Lab) -> Iterator[Took]:
    """Switch the log off, and write that it is to be on without loading that."""
    with _setting_restored(lab) as before:
        _write(lab, "-1")
        _load(lab, "-1")
        _write(lab, "1000")
        yield Took(before, _threshold(lab))


@contextmanager
def _setting_restored(lab: Lab) -> Iterator[str]:
    before = lab.psql(f"SHOW {SETTING}").strip()
    try:
        yield _threshold(lab)
    finally:
        lab.psql(f"ALTER SYSTEM RESET {SETTING}")
        _load(lab, before)


def _write(lab: Lab, value: str) -> None:
    lab.psql(f"ALTER SYSTEM SET {SETTING} = {value}")


def _load(lab: Lab, wanted: str) -> None:
    """Have the files read again, and wait until new sessions have it."""
    lab.psql("SELECT pg_reload_conf()")
    seen = eventually(lambda: lab.psql(f"SHOW {SETTING}").strip(), lambda shown: shown == wanted)
    if seen != wanted:
        raise FaultDidNotTake(f"{SETTING} is still {seen}")


def _threshold(lab: Lab) -> str:
    written = lab.psql(
        f"SELECT setting FROM pg_file_settings WHERE name = '{SETTING}' ORDER BY seqno DESC LIMIT 1"  # noqa: S608  ours
    )
    return f"{lab.psql(f'SHOW {SETTING}').strip()} in force, {written.strip()} written"


# Statements.


def rows_one_by_one(lab: Lab) -> Iterator[Took]:
    """Visit a page whose view asks for a hundred rows, and then for something of each."""
    with container_logs_restored(lab, "backend"), proxy_logs_restored(lab):
        try:
            lab.psql("SELECT pg_stat_statements_reset()")
            before = _lookups(lab)
            with traffic.visiting(lab) as visitor:
                for _ in range(VISITS):
                    visitor.ask(ONE_BY_ONE)
            yield Took(before, _lookups(lab))
        finally:
            lab.psql("SELECT pg_stat_statements_reset()")


def _lookups(lab: Lab) -> str:
    calls = lab.psql(
        "SELECT coalesce(max(calls), 0) FROM pg_stat_statements "
        'WHERE query LIKE \'SELECT%FROM "auth_user" WHERE "auth_user"."id" = %\' AND rows <= calls'
    )
    return f"a user was looked up {calls.strip()} times"


# Indexes. The table is the one that is large enough to be judged.


def index_dropped(lab: Lab) -> Iterator[Took]:
    """Drop the index of the activity's time, and ask by it."""
    with _without_index(lab, "created_at") as before:
        try:
            # What the index was good for until now would outweigh what it is missed for.
            _forget(lab)
            lab.psql(
                f"DO $$ BEGIN FOR n IN 1 .. {SCANS} LOOP "
                f"PERFORM count(*) FROM api_activity WHERE created_at > now() - interval '1 hour'; END LOOP; END $$"
            )
            yield Took(before, _read(lab))
        finally:
            _forget(lab)


def foreign_key_unindexed(lab: Lab) -> Iterator[Took]:
    """Drop the index of a foreign key."""
    with _without_index(lab, "user_id") as before:
        yield Took(before, _read(lab))


@contextmanager
def _without_index(lab: Lab, column: str) -> Iterator[str]:
    """Drop the index that has that column alone, and make it again as it was."""
    before = _read(lab)
    found = lab.psql(
        "SELECT a.attname, i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) FROM pg_index i "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND i.indkey::text = a.attnum::text "
        "WHERE i.indrelid = 'api_activity'::regclass"
    )
    name, definition = next(line.split("|")[1:] for line in found.strip().splitlines() if line.startswith(f"{column}|"))
    try:
        lab.psql(f"DROP INDEX {name}")
        yield before
    finally:
        if not lab.psql(f"SELECT to_regclass('{name}')").strip():
            lab.psql(definition)


def _forget(lab: Lab) -> None:
    """Set the table's counters back; those of its rows are as they were."""
    lab.psql("SELECT pg_stat_reset_single_table_counters('api_activity'::regclass)")
    # As old as the lab's own settings want counters to be.
    lab.psql("ANALYZE api_activity; SELECT pg_sleep(1)")


def _read(lab: Lab) -> str:
    indexes, scans = (
        lab.psql(
            "SELECT count(*), (SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'api_activity'::regclass) "
            "FROM pg_index WHERE indrelid = 'api_activity'::regclass"
        )
        .strip()
        .split("|")
    )
    return f"api_activity has {indexes} indexes and was read {scans} times from end to end"


def index_invalid(lab: Lab) -> Iterator[Took]:
    """Leave what a build of an index leaves that fails."""
    before = _invalid(lab)
    try:
        try:
            lab.psql("CREATE UNIQUE INDEX CONCURRENTLY lab_unfinished ON api_activity (user_id)")
        except LabError as failed:
            if "could not create unique index" not in str(failed):
                raise
        yield Took(before, _invalid(lab))
    finally:
        lab.psql("DROP INDEX IF EXISTS lab_unfinished")


def _invalid(lab: Lab) -> str:
    count = lab.psql("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
    return f"{count.strip()} invalid indexes"


def counters_too_young(lab: Lab) -> Iterator[Took]:
    """Want counters that are older than any lab."""
    with derived(lab, statistics_age="3650 d") as target:
        yield Took(_age(lab.target_file.read_text()), _age(target.read_text()), target)


def _age(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("statistics_age"))


# Rows.


def dead_rows(lab: Lab) -> Iterator[Took]:
    """Write every row of a table anew, as it was, and have nobody clear the old ones away."""
    before = _dead(lab)
    try:
        lab.psql("ALTER TABLE api_activity SET (autovacuum_enabled = false)")
        lab.psql("UPDATE api_activity SET item = item")
        yield Took(before, _dead(lab))
    finally:
        lab.psql("ALTER TABLE api_activity RESET (autovacuum_enabled)")
        # Their place is given back, too: what the table takes is the same as before.
        lab.psql("VACUUM (FULL, ANALYZE) api_activity")
        lab.psql("VACUUM api_activity")


def _dead(lab: Lab) -> str:
    counted = lab.psql("SELECT n_live_tup, n_dead_tup FROM pg_stat_user_tables WHERE relid = 'api_activity'::regclass")
    live, dead = counted.strip().split("|")
    return f"{live} rows and {dead} dead ones"


def row_of_thirteen_months(lab: Lab) -> Iterator[Took]:
    """Write a row of activity that should have been deleted a month ago."""
    before = _oldest(lab)
    with history.connect(lab) as connection:
        try:
            connection.execute(
                "INSERT INTO api_activity (id, user_id, activity_user, action, item, timestamp, avatar, created_at) "
                "SELECT %s, id, username, 'created', 'task 1', 'earlier', '', now() - interval '13 months' "
                "FROM auth_user ORDER BY id LIMIT 1",
                [LONG_AGO],
            )
            yield Took(before, _oldest(lab))
        finally:
            connection.execute("DELETE FROM api_activity WHERE id = %s", [LONG_AGO])


def _oldest(lab: Lab) -> str:
    oldest = lab.psql("SELECT min(created_at) FROM api_activity")
    return f"the oldest row is of {oldest.strip()}"


FAULTS: tuple[Fault, ...] = (
    Fault("slow-log-off", ("slow-query-log",), "Slow statements are not logged.", slow_queries_unlogged),
    Fault(
        "slow-log-five-seconds",
        ("slow-query-log",),
        "Only statements of five seconds are logged.",
        slow_queries_from_five_seconds,
    ),
    Fault(
        "slow-log-not-loaded",
        ("slow-query-log",),
        "That slow statements are to be logged was written, and never loaded.",
        slow_queries_not_loaded,
    ),
    Fault("rows-one-by-one", ("n-plus-one",), "A view asks once for each row.", rows_one_by_one),
    Fault(
        "index-dropped",
        ("missing-indexes", "restore-matches", "disaster-recovery"),
        "An index was dropped.",
        index_dropped,
    ),
    Fault(
        "foreign-key-unindexed",
        ("missing-indexes", "restore-matches", "disaster-recovery"),
        "A foreign key has no index.",
        foreign_key_unindexed,
    ),
    Fault("index-invalid", ("missing-indexes",), "An index was left unfinished.", index_invalid),
    Fault(
        "counters-young",
        (),
        "The database's counters are too young.",
        counters_too_young,
        blinds=("missing-indexes",),
    ),
    Fault(
        "rows-dead", ("vacuumed", "restore-matches", "disaster-recovery"), "Half a table's rows are dead.", dead_rows
    ),
    Fault("activity-old", ("data-retention",), "A row of activity is 13 months old.", row_of_thirteen_months),
)
