"""Monday morning: what was unusual last week, is each night's backup there, is it fast, does it run as written?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from fixtures.containers import Stack
    from fixtures.logs import Logs
    from observe.backups import Listing
    from report.evidence import Evidence
    from target.limits import LimitSet
    from target.model import Target

pytestmark = [pytest.mark.weekly, pytest.mark.monday]


@expectation(
    "log-anomalies",
    guide='Monday morning: `docker-compose logs backend | grep -i "error\\|warning" | tail -20`, and what is new in it',
    severity="major",
    remedy="Read what stands around it: `docker compose -p {project} logs --timestamps --since 168h {backend}`. "
    "What is new and harmless is known from next week on.",
    limits=("anomaly_factor", "anomaly_floor"),
)
def test_logs_show_nothing_new(logs: Logs, limits: LimitSet, target: Target, evidence: Evidence) -> None:
    """No kind of error or warning is new this week, and none comes more than three times as often as usual."""
    seen, window = logs.anomalies, target.windows.log_anomalies
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"the backend's log of {window}",
        seen=seen.said,
        wanted=f"no new kind of error or warning, none at more than {limits.anomaly_factor} its usual count",
        limits=[limits.anomaly_factor, limits.anomaly_floor],
    )
    if seen.baseline:
        evidence.note(f"held against {seen.baseline}")
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Kinds, this week and last", seen.rows())
    for one in seen.remarkable[:3]:
        evidence.excerpt(f"{one.kind.level} {one.kind.text}", one.example)
    evidence.figure("remarkable kinds", len(seen.remarkable), "1")
    seen.must_compare()
    assert not seen.remarkable, evidence.message


@expectation(
    "backups-daily",
    guide="Monday morning: `ls -lh ./backups/… | tail -7`, 7 files (one per day)",
    severity="major",
    remedy="Read {backups}/backup.log around {item}: did it run, was the disk full, was the database up? "
    "That day's can't be made any more; make sure that tonight's comes.",
    limits=("backup_days",),
)
def test_day_has_a_backup(day: date, backups: Callable[[], Listing], limits: LimitSet, evidence: Evidence) -> None:
    """There is a backup of the day."""
    listing = backups()
    found = listing.of_day(day)
    evidence.stands_for(listing.gap_at(day))
    evidence.looked_at(listing.looked_at)
    evidence.compare(
        str(listing.directory),
        seen=listing.said_of(day),
        wanted=f"at least 1 of each of the {limits.backup_days} days before today",
        limits=[limits.backup_days],
    )
    evidence.table("Days around it", listing.rows_around(day))
    evidence.figure("backups", len(found), "1")
    assert found, evidence.message


@expectation(
    "deployed-as-written",
    guide="Monday morning: what was deployed last week is what runs",
    severity="major",
    remedy="Bring up what the files say: `docker compose up -d {item}` in {directory}; "
    "if it was changed by hand on purpose, write that into the files.",
)
def test_service_runs_as_written(service: str, stack: Stack, evidence: Evidence) -> None:
    """What runs is what the files say: image, configuration and settings."""
    seen = stack.deployed(service)
    evidence.looked_at(seen.looked_at)
    evidence.compare(f"service {service}", seen=seen.seen, wanted=seen.wanted)
    evidence.table("Differences", seen.rows)
    for note in seen.notes:
        evidence.note(note)
    assert not seen.differences, evidence.message


@expectation(
    "response-time",
    guide="Monday morning: monitor response times, should be under 500 ms",
    severity="major",
    remedy="See which requests take long: `awk '$NF > 0.5' {access_log} | awk '{{print $7}}' | sort | uniq -c | "
    "sort -n | tail`; the guide's chapter on performance says where to look next.",
    limits=("response_time",),
)
def test_site_is_fast(logs: Logs, limits: LimitSet, target: Target, evidence: Evidence) -> None:
    """Nineteen of twenty requests of the last week were answered within 500 ms."""
    seen, wanted = logs.response_times, limits.response_time
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"95th percentile of {seen.source}, {target.windows.response_time}",
        seen=seen.said,
        wanted=f"less than {wanted}",
        limits=[wanted],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Response times", [seen.row()])
    evidence.figure("p95", seen.p95.total_seconds(), "s", wanted)
    assert seen.p95 < wanted, evidence.message
