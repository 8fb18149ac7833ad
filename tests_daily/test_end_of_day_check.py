"""The end-of-day check, 5 in the afternoon: what went wrong today? (services-up belongs here as well.)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from fixtures.logs import Logs
    from observe.database import Database
    from report.evidence import Evidence
    from target.limits import LimitSet
    from target.model import Target

pytestmark = [pytest.mark.daily, pytest.mark.evening]


@expectation(
    "backend-errors",
    guide="End of day check: `docker-compose logs --since 8h backend | grep -i error | wc -l`",
    severity="major",
    remedy="Read them: `docker compose -p {project} logs --timestamps --since 8h {backend}`; "
    "the kinds in the report say which come most often.",
    limits=("backend_errors",),
)
def test_backend_logs_few_errors(logs: Logs, limits: LimitSet, target: Target, evidence: Evidence) -> None:
    """The backend logged at most 10 errors in the last 8 hours, what clients did wrong not counted."""
    seen, window = logs.backend_errors, target.windows.backend_errors
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"the backend's log of {window}",
        seen=f"{seen.errors} errors, and {seen.client_errors} that are clients' doing",
        wanted=f"at most {limits.backend_errors} errors",
        limits=[limits.backend_errors],
    )
    if seen.below:
        evidence.note(f"{seen.below} tracebacks stand below ERROR and don't count")
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Kinds", seen.kinds)
    evidence.excerpt("The last of them", seen.examples)
    evidence.figure("errors", seen.errors, "1", limits.backend_errors)
    assert seen.errors <= limits.backend_errors, evidence.message


@expectation(
    "error-rate",
    guide="End of day check: error rate (last 8 hours)",
    severity="critical",
    remedy="See which paths fail, in the report; then why: `docker compose -p {project} logs --since 8h {backend}`.",
    limits=("error_rate", "error_rate_floor"),
)
def test_error_rate_is_low(logs: Logs, limits: LimitSet, target: Target, evidence: Evidence) -> None:
    """At most 1 % of the requests of the last 8 hours ended in a server error."""
    seen, window = logs.requests, target.windows.error_rate
    rate, floor = seen.rate, limits.error_rate_floor
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"requests of {window}",
        seen=seen.said,
        wanted=f"at most {limits.error_rate}",
        limits=[limits.error_rate, floor],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Answers", [{"status": status, "requests": number} for status, number in rate.by_status.items()])
    evidence.table("Where they failed", [{"path": path, "errors": number} for path, number in rate.by_path])
    evidence.figure("share", rate.share, "share", limits.error_rate)
    assert rate.errors < floor.value or rate.share <= limits.error_rate, evidence.message


@expectation(
    "database-connections",
    guide="End of day check: database connections, should be under 20",
    severity="major",
    remedy="See who holds them, in the report; `docker compose -p {project} exec {database} psql -U … -c "
    "'SELECT * FROM pg_stat_activity'`. The guide's emergency procedure says how to end idle ones.",
    limits=("database_connections",),
)
def test_database_has_few_connections(database: Database, limits: LimitSet, evidence: Evidence) -> None:
    """Fewer than 20 clients are connected to the database, this check not counted."""
    wanted = f"fewer than {limits.database_connections}"
    evidence.compare("client connections", seen="none more is taken", wanted=wanted)
    seen = database.connections()
    evidence.looked_at(f"{len(seen.all)} client connections in pg_stat_activity, {seen.own} of them this run's own")
    evidence.compare("client connections", seen=str(seen.others), wanted=wanted, limits=[limits.database_connections])
    for note in database.session.notes:
        evidence.note(note)
    evidence.table("Who is connected", seen.by_application())
    evidence.figure("connections", seen.others, "1", limits.database_connections)
    assert seen.others < limits.database_connections, evidence.message


@expectation(
    "database-log-quiet",
    guide="End of day check: `docker-compose logs db | tail -5`",
    severity="major",
    remedy="Read what stands around it: `docker compose -p {project} logs --timestamps --since 24h {database}`. "
    "What is planned and comes again may be named in logs.database_expected.",
)
def test_database_log_is_quiet(logs: Logs, target: Target, evidence: Evidence) -> None:
    """The database logged no FATAL or PANIC in the last 24 hours, and none of its processes crashed."""
    seen, window = logs.fatal, target.windows.database_log
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"the database's log of {window}",
        seen=seen.said or "no FATAL, no PANIC, no crash",
        wanted="none but the expected",
    )
    for one in seen.expected:
        evidence.note(f"expected, not counted: {one}")
    for note in seen.notes:
        evidence.note(note)
    evidence.table("The last of them", seen.rows)
    assert not seen.bad, evidence.message
