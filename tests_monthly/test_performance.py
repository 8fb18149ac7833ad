"""When response times are high: what is slow, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from observe.slow_query_log import NAME
from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.cache import Cache
    from observe.indexes import Indexes
    from observe.lookups import Lookups
    from observe.route_times import RouteTimes
    from observe.slow_query_log import SlowQueryLog
    from report.evidence import Evidence
    from target.limits import LimitSet
    from target.model import Target

pytestmark = [pytest.mark.monthly, pytest.mark.performance]


@expectation(
    "slow-endpoints",
    guide="When response times > 500 ms: identify slow endpoints",
    severity="major",
    remedy="See the slowest requests of the route: `awk '$NF > 0.5' {access_log} | sort -k7,7 | tail -50`. "
    "If n-plus-one or missing-indexes is broken as well, begin there; else time what the route's view waits for: "
    "statements, other services, files. What may be late belongs into a task, what may be old into the cache.",
    limits=("response_time", "endpoint_floor"),
)
def test_no_route_is_slow(
    routes: Callable[[], RouteTimes], limits: LimitSet, target: Target, evidence: Evidence
) -> None:
    """Nineteen of twenty requests of every route of the last week were answered within 500 ms."""
    seen, wanted, floor = routes(), limits.response_time, limits.endpoint_floor
    slow = seen.slow(wanted.value)
    evidence.chapter("The slowest routes")
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"95th percentile of each route by {seen.source}, {target.windows.response_time}",
        seen=seen.said(wanted.value),
        wanted=f"less than {wanted} for each with {floor} requests or more",
        limits=[wanted, floor],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("The slowest routes", seen.rows())
    evidence.chart("95th percentile of the slowest routes", seen.points(), "ms")
    evidence.figure("slow routes", len(slow), "1")
    evidence.figure("p95 of the slowest route", seen.routes[0].p95.total_seconds(), "s", wanted)
    assert not slow, evidence.message


@expectation(
    "slow-query-log",
    guide="Performance: enable slow query log, `ALTER SYSTEM SET log_min_duration_statement = 1000`",
    severity="minor",
    remedy="In psql as a superuser: `ALTER SYSTEM SET log_min_duration_statement = 1000; SELECT pg_reload_conf();`. "
    "What is set for a role or a database wins over it: `ALTER ROLE … RESET log_min_duration_statement`, or "
    "`ALTER DATABASE … RESET …`. What the server's command line says wins over both files.",
    limits=("slow_query_log",),
)
def test_database_logs_slow_queries(
    slow_query_log: Callable[[], SlowQueryLog], limits: LimitSet, evidence: Evidence
) -> None:
    """The database logs every statement of the application that takes a second or longer."""
    seen, limit = slow_query_log(), limits.slow_query_log
    evidence.looked_at(seen.looked_at)
    evidence.compare(NAME, seen=seen.said, wanted=f"in force, between 0 and {limit}", limits=[limit])
    evidence.table("For whom", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    assert seen.holds, evidence.message


@expectation(
    "n-plus-one",
    guide="Performance: monitor for N+1 queries, review ORM queries in views.py",
    severity="minor",
    remedy="Search views.py and the serializers of {backend} for the loop that asks for this table row by row, and let "
    "the list bring it along: `select_related` for what a row refers to, `prefetch_related` for what refers to it. "
    "Then count anew: `SELECT pg_stat_statements_reset();`.",
    limits=("lookups_per_request", "lookups_floor"),
)
def test_no_row_is_looked_up_again_and_again(
    lookups: Callable[[], Lookups], limits: LimitSet, evidence: Evidence
) -> None:
    """No lookup of a single row runs more than 20 times as often as requests come."""
    seen, limit = lookups(), limits.lookups_per_request
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "lookups of single rows",
        seen=seen.said,
        wanted=f"at most {limit} times a request",
        limits=[limit, limits.lookups_floor],
    )
    evidence.table("Lookups", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("times a request", seen.most, "1", limit)
    assert seen.most <= limit.value, evidence.message


@expectation(
    "cache-used",
    guide="Performance: add caching if needed, implement Redis caching for frequently accessed data",
    severity="minor",
    remedy="See which commands look things up, `redis-cli INFO commandstats` in the container that is named, and which "
    "keys: `redis-cli MONITOR` for a few seconds. Keys that are evicted: more memory (maxmemory). Keys that expire too "
    "soon: a longer timeout in `cache.set`. Keys that nobody ever sets: look for them in the views of {backend}. Then "
    "count anew: `redis-cli CONFIG RESETSTAT`.",
    limits=("cache_hits", "cache_floor"),
)
def test_cache_finds_what_is_looked_up(cache: Callable[[], Cache], limits: LimitSet, evidence: Evidence) -> None:
    """At least 80 % of the lookups in Redis find something, once there were a thousand."""
    seen, share, floor = cache(), limits.cache_hits, limits.cache_floor
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "the cache",
        seen=seen.said(floor.value),
        wanted=f"at least {share} of the lookups, once there are {floor}",
        limits=[share, floor],
    )
    evidence.table("Counters", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("lookups", seen.lookups, "1")
    if seen.lookups:
        evidence.figure("hits", seen.share, "share", share)
    assert seen.holds(share.value, floor.value), evidence.message


@expectation(
    "missing-indexes",
    guide="Performance: check for missing indexes, analyze query plans and add indexes as needed",
    severity="minor",
    remedy="Read from end to end: `EXPLAIN` the statements that ask for the table (n-plus-one and the slow query log "
    "name some), and index what they filter by, `CREATE INDEX CONCURRENTLY`. A foreign key: index its columns. "
    "Invalid: `REINDEX INDEX CONCURRENTLY …`, or `DROP INDEX CONCURRENTLY …` of what a failed build left.",
    limits=("table_floor", "sequential_scans", "sequential_floor", "statistics_age"),
)
def test_no_index_is_missing(indexes: Callable[[], Indexes], limits: LimitSet, evidence: Evidence) -> None:
    """No large table is mostly read from end to end or has a foreign key without an index; every index is valid."""
    seen = indexes()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "indexes",
        seen=seen.said,
        wanted=f"of tables of {limits.table_floor} rows or more at most {limits.sequential_scans} of the scans from "
        f"end to end (from {limits.sequential_floor} on), every foreign key indexed; no invalid index",
        limits=[limits.table_floor, limits.sequential_scans, limits.sequential_floor],
    )
    evidence.table("To mend", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("to mend", len(seen.findings), "1")
    assert not seen.findings, evidence.message
    seen.must_see()
