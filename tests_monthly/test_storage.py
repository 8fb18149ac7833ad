"""When storage grows too fast: what takes the room, what may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.retention import Retention
    from observe.storage import DataDirectory, Tables
    from observe.vacuum import Vacuumed
    from report.evidence import Evidence
    from target.limits import LimitSet

pytestmark = [pytest.mark.monthly, pytest.mark.storage]


@expectation(
    "data-directory-size",
    guide="Storage: check what's taking space, `docker exec synk_db du -sh /var/lib/postgresql/data/*`",
    severity="minor",
    remedy="See it yourself: `docker compose -p {project} exec {database} sh -c 'du -ak -d1 \"$PGDATA\"'`. What `du` "
    "finds isn't what the server says it has: is it that server's container (services.database, database.host)?",
)
def test_data_directory_is_reported(data_directory: Callable[[], DataDirectory], evidence: Evidence) -> None:
    """What takes room in the database's data directory stands in the report, and fits what the server says of it."""
    seen = data_directory()
    evidence.chapter("Room in the data directory")
    evidence.looked_at(seen.looked_at)
    evidence.compare("the data directory", seen=seen.said, wanted="its parts, which come to the whole")
    evidence.table("What takes room", seen.rows())
    evidence.table("What the server says of it", seen.server_rows())
    evidence.chart("Parts of the data directory by size", seen.points(), "B")
    for note in seen.notes:
        evidence.note(note)
    if seen.compressed:
        evidence.note(seen.compressed)
    evidence.figure("all of it", seen.total, "B")
    evidence.figure("databases", seen.size("base"), "B")
    evidence.figure("write-ahead log", seen.size("pg_wal"), "B")
    assert not seen.contradictions, evidence.message


@expectation(
    "largest-tables",
    guide="Storage: check for large tables, `SELECT … pg_size_pretty(pg_total_relation_size(…)) … LIMIT 10`",
    severity="minor",
    remedy="See what its rows are of and since when, and whether anybody still reads the old ones: delete them by age "
    "as data-retention has it, or move them elsewhere; then `VACUUM`. It grows though its rows don't: dead rows, see "
    "vacuumed. Indexes larger than the table: one that nobody uses (pg_stat_user_indexes, idx_scan = 0).",
    limits=("table_growth", "growth_floor", "growth_history"),
)
def test_largest_tables_are_reported(
    largest_tables: Callable[[], Tables], limits: LimitSet, evidence: Evidence
) -> None:
    """The ten largest tables stand in the report, and none made more than four fifths of the database's growth."""
    seen, share, floor = largest_tables(), limits.table_growth, limits.growth_floor
    evidence.chapter("The largest tables")
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "tables",
        seen=seen.said,
        wanted=f"none with more than {share} of the growth, where that is more than {floor} a day",
        limits=[share, floor, limits.growth_history],
    )
    evidence.table("The largest tables", seen.rows())
    evidence.chart("The largest tables by size", seen.points(), "B")
    for note in seen.notes:
        evidence.note(note)
    # The names of these figures are those that the next runs look for in the history.
    for name, size in seen.figures():
        evidence.figure(name, size, "B")
    assert not seen.lopsided(share.value, floor.value), evidence.message


@expectation(
    "data-retention",
    guide="Storage: implement data retention policy, delete activity older than 1 year",
    severity="minor",
    remedy="Have it deleted every night: `DELETE FROM api_activity WHERE created_at < NOW() - INTERVAL '1 year'`, the "
    "first time month by month so that nobody waits for it; then `VACUUM ANALYZE api_activity`. Each backup still has "
    "it until that is deleted.",
    limits=("data_retention",),
)
def test_old_activity_is_deleted(retention: Callable[[], Retention], limits: LimitSet, evidence: Evidence) -> None:
    """No row of the application's activity is older than a year."""
    seen, limit = retention(), limits.data_retention
    evidence.looked_at(seen.looked_at)
    evidence.compare(seen.table, seen=seen.said, wanted=f"no row older than {limit}", limits=[limit])
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("oldest row", seen.age.total_seconds(), "s", limit)
    assert seen.holds, evidence.message


@expectation(
    "vacuumed",
    guide="Storage: vacuum database (cleanup), `VACUUM ANALYZE;`",
    severity="major",
    remedy="`VACUUM (VERBOSE, ANALYZE) TABLE;` of what is named says what it could not remove and why: a transaction "
    "that nobody ends (idle-connections), a replication slot, a prepared transaction. Switched off for a table: "
    "`ALTER TABLE … RESET (autovacuum_enabled)`. Transactions: `VACUUM (FREEZE)` in the database that is named.",
    limits=("table_floor", "dead_rows", "analyzed_age", "transaction_age"),
)
def test_database_is_vacuumed(vacuumed: Callable[[], Vacuumed], limits: LimitSet, evidence: Evidence) -> None:
    """Large tables have few dead rows and are analyzed; no database is near the end of its transaction numbers."""
    seen = vacuumed()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "vacuum and analyze",
        seen=seen.said,
        wanted=f"of tables of {limits.table_floor} rows or more at most {limits.dead_rows} dead, changes analyzed "
        f"within {limits.analyzed_age}; below {limits.transaction_age} of the transaction numbers",
        limits=[limits.table_floor, limits.dead_rows, limits.analyzed_age, limits.transaction_age],
    )
    evidence.table("Tables", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("dead rows", seen.dead_share, "share", limits.dead_rows)
    evidence.figure("transaction numbers used", seen.oldest.share, "share", limits.transaction_age)
    assert not seen.findings, evidence.message
    seen.must_see()
