"""The end of the month: how much it was used, how long the disk will last, what it cost, what is next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from observe.growth import Growth
    from observe.usage import Usage
    from records.attestations import Due
    from report.evidence import Evidence
    from target.kinds import Span
    from target.limits import Limit, LimitSet

    Attested = Callable[[str, str, Limit[Span]], Due]

pytestmark = [pytest.mark.monthly, pytest.mark.end_of_month]


@expectation(
    "usage-report",
    guide="End of month: generate usage report, `SELECT COUNT(DISTINCT user_id) as active_users FROM api_activity …`",
    severity="minor",
    remedy="Read it in the report; the same figures lie beside it as usage-….json.",
)
def test_usage_is_reported(usage: Callable[[], tuple[Usage, Path]], evidence: Evidence) -> None:
    """Active users, calls of the API and the database's size of the month stand in the report, beside last month's."""
    seen, file = usage()
    evidence.chapter("Usage of the month")
    evidence.looked_at(seen.looked_at)
    evidence.compare("the month", seen=seen.said, wanted="active users, API calls and the database's size")
    evidence.table("The month, and the one before", seen.rows())
    evidence.chart("API calls of each day", seen.points(), "calls")
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("active users", seen.this.users, "1")
    evidence.figure("API calls", seen.this.calls, "1")
    evidence.figure("database size", seen.size, "B")
    evidence.note(f"the same figures as JSON: {file}")
    assert json.loads(file.read_text(encoding="utf-8"))["this_month"] == seen.as_dict()["this_month"], evidence.message


@expectation(
    "growth",
    guide="End of month: check data size; plan for next month",
    severity="major",
    remedy="See what grows: the largest tables, `SELECT relname, pg_size_pretty(pg_total_relation_size(oid)) FROM "
    "pg_class ORDER BY pg_total_relation_size(oid) DESC LIMIT 10`, and `ls -lh {backups}`. Delete old activity, keep "
    "fewer backups (KEEP_DAYS in the guide's backup.sh), or make the disk larger before that day.",
    limits=("growth_left", "growth_history", "growth_floor"),
)
def test_disks_last(growth: Callable[[], Growth], limits: LimitSet, evidence: Evidence) -> None:
    """The database and the backups would not fill their disks within 90 days at this rate."""
    seen = growth()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "growth",
        seen=seen.said,
        wanted=f"room for more than {limits.growth_left}",
        limits=[limits.growth_left, limits.growth_history, limits.growth_floor],
    )
    evidence.table("What grows", seen.rows())
    evidence.table("The disks", seen.disks())
    # The names of these figures are those that the next run looks for in the history.
    for one in seen.trends:
        evidence.figure(one.name, one.size, "B")
    assert seen.lasts(limits.growth_left.value), evidence.message
    seen.must_know()


@expectation(
    "costs-reviewed",
    guide="End of month: review costs (cloud storage/services)",
    severity="minor",
    remedy="Go through the month's bills for storage and services, and write it down: "
    '`python -m records attest costs-reviewed --by NAME --note "what was found"`; commit the file.',
    limits=("attested_month",),
)
def test_costs_were_reviewed(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """The costs were reviewed within the last 31 days."""
    due = attested("costs-reviewed", "review of costs", limits.attested_month)
    assert due.holds, evidence.message


@expectation(
    "security-policy-updated",
    guide="End of month: update security policy if needed",
    severity="minor",
    remedy="Read SECURITY.md in {directory} and change what is no longer so; that it is still right is a note, too: "
    '`python -m records attest security-policy-updated --by NAME --note "what was changed"`; commit the file.',
    limits=("attested_month",),
)
def test_security_policy_was_updated(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """The security policy was brought up to date, or found to be, within the last 31 days."""
    due = attested("security-policy-updated", "the security policy", limits.attested_month)
    assert due.holds, evidence.message


@expectation(
    "next-month-planned",
    guide="End of month: plan for next month",
    severity="minor",
    remedy="Plan the next month's maintenance, and write it down: "
    '`python -m records attest next-month-planned --by NAME --note "what is planned" --link URL`; commit the file.',
    limits=("attested_month",),
)
def test_next_month_is_planned(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """The next month was planned within the last 31 days."""
    due = attested("next-month-planned", "the plan for next month", limits.attested_month)
    assert due.holds, evidence.message
