"""When to scale: the guide's decision tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from fixtures.scaling import Scaling
    from observe.scaling import Decision
    from report.evidence import Evidence
    from target.limits import Limit, LimitSet
    from target.model import Target

pytestmark = [pytest.mark.monthly, pytest.mark.scaling]


@expectation(
    "scale-users",
    guide="Scaling decisions: users > 1000? Load balancing, an nginx upstream with several backends",
    severity="minor",
    remedy="Run more backends: in {directory}, `docker compose up -d --scale {backend}=2 --no-recreate {backend}`, and "
    "write `scale: 2` into the Compose file. Let nginx know them all: an `upstream` block with a `server` line for "
    "each, and `proxy_pass` to it; then `nginx -t` and reload.",
    limits=("scale_users", "scale_backends"),
)
def test_users_are_not_too_many(scaling: Scaling, limits: LimitSet, evidence: Evidence) -> None:
    """At most 1,000 users may log in, or two backends stand behind one proxy."""
    seen, limit, several = scaling.users(), limits.scale_users, limits.scale_backends
    wanted = f"at most {limit.value:,}, or {several} backends behind one proxy"
    _record(evidence, "users", seen, wanted, limit, several)
    evidence.figure("users", seen.value, "1", limit)
    assert seen.taken != "yes", evidence.message


@expectation(
    "scale-response",
    guide="Scaling decisions: response times > 1 s? Caching, Redis, of page views and ORM queries",
    severity="minor",
    remedy="See which routes are slow, in the report, and, where there is a Redis, whether it is asked at all: "
    "`docker compose -p {project} exec {cache} redis-cli INFO stats | grep keyspace`. Then have Django cache their "
    "views (`cache_page`) and the results of their queries (`cache.get_or_set`), with CACHES leading to Redis.",
    limits=("scale_response",),
)
def test_site_is_not_too_slow(scaling: Scaling, limits: LimitSet, target: Target, evidence: Evidence) -> None:
    """Nineteen of twenty requests are answered within a second, or there is a cache that is asked."""
    seen, limit = scaling.response(), limits.scale_response
    _record(
        evidence,
        f"95th percentile of {target.windows.response_time}",
        seen,
        f"at most {limit}, or a cache that is asked",
        limit,
    )
    evidence.figure("p95", seen.value, "s", limit)
    assert seen.taken != "yes", evidence.message


@pytest.mark.slow
@expectation(
    "scale-database-cpu",
    guide="Scaling decisions: database CPU > 80 %? Connection pooling, PgBouncer between application and database",
    severity="minor",
    remedy='See what keeps it busy: `docker compose -p {project} exec {database} psql -U … -c "SELECT pid, state, '
    "now() - query_start AS since, left(query, 80) FROM pg_stat_activity WHERE state = 'active' ORDER BY 3 DESC\"`. "
    "If it is many short connections, put PgBouncer between the application and the database (a service of its own, "
    "`pool_mode = transaction`, the application's database host set to it); if it is a query, give it an index.",
    limits=("scale_cpu",),
)
def test_database_is_not_too_busy(scaling: Scaling, limits: LimitSet, evidence: Evidence) -> None:
    """The database uses at most 80 % of the processor that it may use, or there is a pooler in front of it."""
    seen, limit = scaling.database_cpu(), limits.scale_cpu
    _record(evidence, "the database's processor", seen, f"at most {limit}, or a pooler that is used", limit)
    evidence.figure("share", seen.value, "share", limit)
    assert seen.taken != "yes", evidence.message


@expectation(
    "scale-disk",
    guide="Scaling decisions: disk usage > 80 %? Data archiving, old data to S3",
    severity="minor",
    remedy="See what is old: `ls -lt {backups} | tail`, and the largest tables, `docker compose -p {project} exec "
    "{database} psql -U … -c '\\dt+'`. Then move it to an object store (S3): old backups by "
    "`aws s3 mv {backups} s3://BUCKET/ --recursive --exclude '*' --include 'synk_backup_YEARMONTH*'`, rows of old "
    "activity dumped, copied and then deleted.",
    limits=("scale_disk", "disk_floor"),
)
def test_no_disk_asks_for_an_archive(scaling: Scaling, limits: LimitSet, evidence: Evidence) -> None:
    """No file system is more than 80 % full."""
    seen, limit = scaling.disk(), limits.scale_disk
    _record(evidence, "the fullest file system", seen, f"at most {limit} used", limit)
    evidence.figure("used", seen.value, "share", limit)
    assert seen.taken != "yes", evidence.message


@expectation(
    "scale-errors",
    guide="Scaling decisions: error rate > 1 %? More logging, find the bottleneck; perhaps more backends",
    severity="minor",
    remedy="See which paths fail, in the report, and what the backend says of them: `docker compose -p {project} logs "
    "--since 8h {backend} | grep -A5 ERROR`. Have it log more (LOGGING in Django's settings: the level INFO for "
    "`django.request`, `$upstream_response_time` in nginx's log_format) until the bottleneck is found. If it is the "
    "backend itself, run more of them: `docker compose up -d --scale {backend}=3 --no-recreate {backend}`.",
    limits=("scale_errors", "error_rate_floor"),
)
def test_errors_name_no_bottleneck(scaling: Scaling, limits: LimitSet, target: Target, evidence: Evidence) -> None:
    """At most 1 % of the requests of the last 8 hours ended in a server error."""
    seen, limit = scaling.errors(), limits.scale_errors
    thing = f"requests of {target.windows.error_rate}"
    _record(evidence, thing, seen, f"at most {limit}", limit, limits.error_rate_floor)
    evidence.figure("share", seen.value, "share", limit)
    assert seen.taken != "yes", evidence.message


def _record(evidence: Evidence, thing: str, seen: Decision, wanted: str, *limits: Limit[Any]) -> None:
    """Record a question of the tree: what was seen, held against the first of the limits."""
    evidence.looked_at(seen.looked_at)
    evidence.compare(thing, seen=seen.said, wanted=wanted, limits=limits)
    value = limits[0].value
    limit = f"{value:,}" if isinstance(value, int) else str(limits[0])
    evidence.branch(figure=seen.figure, limit=limit, taken=seen.taken, there=seen.there)
    evidence.table(*seen.table)
    for note in seen.notes:
        evidence.note(note)
