"""The quarter's security review: what people do about policies, procedures and each other's knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from records.attestations import Due
    from report.evidence import Evidence
    from target.kinds import Span
    from target.limits import Limit, LimitSet

    Attested = Callable[[str, str, Limit[Span]], Due]

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@expectation(
    "security-policy-reviewed",
    guide="Quarterly security review 6: review and update SECURITY.md",
    severity="minor",
    remedy="Read SECURITY.md in {directory} from its beginning to its end, with this report beside it, and change what "
    "is no longer so; then write it down: "
    '`python -m records attest security-policy-reviewed --by NAME --note "what was changed"`; commit the file.',
    limits=("attested_quarter",),
)
def test_security_policy_was_reviewed(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """The whole security policy was reviewed within the last quarter."""
    due = attested("security-policy-reviewed", "review of the security policy", limits.attested_quarter)
    assert due.holds, evidence.message


@expectation(
    "incident-plan-reviewed",
    guide="Quarterly security review 6: update incident response procedures",
    severity="minor",
    remedy="Go through INCIDENTS.md in {directory} with whoever is on call: names, telephone numbers, commands; then "
    'write it down: `python -m records attest incident-plan-reviewed --by NAME --note "what was changed"`; '
    "commit the file.",
    limits=("attested_quarter",),
)
def test_incident_plan_was_reviewed(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """The procedures for incidents were reviewed within the last quarter."""
    due = attested("incident-plan-reviewed", "review of the incident procedures", limits.attested_quarter)
    assert due.holds, evidence.message


@expectation(
    "team-trained",
    guide="Quarterly security review 6: train team on latest threats",
    severity="minor",
    remedy="Have an hour on what has happened to systems like this one lately, and write down who was there: "
    '`python -m records attest team-trained --by NAME --note "what about, and who was there"`; commit the file.',
    limits=("attested_quarter",),
)
def test_team_was_trained(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """The team was trained on the latest threats within the last quarter."""
    due = attested("team-trained", "training on the latest threats", limits.attested_quarter)
    assert due.holds, evidence.message


@expectation(
    "performance-reviewed",
    guide="Maintenance checklist, quarterly: performance optimization review",
    severity="minor",
    remedy="Read the month's report (`pytest -m performance`, slow-endpoints first), decide what is worth making "
    'faster, and write it down: `python -m records attest performance-reviewed --by NAME --note "what was decided"`; '
    "commit the file.",
    limits=("attested_quarter",),
)
def test_performance_was_reviewed(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """What could be faster was reviewed within the last quarter."""
    due = attested("performance-reviewed", "performance review", limits.attested_quarter)
    assert due.holds, evidence.message
