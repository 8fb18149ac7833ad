"""Once a year: an assessment of all of it, a penetration test, the policies, the team."""

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

pytestmark = [pytest.mark.annual, pytest.mark.security]


@expectation(
    "annual-assessment",
    guide="Maintenance checklist, annually: full security assessment",
    severity="major",
    remedy="Go through the whole system, the four quarters' reports beside it: `pytest -m security` is where to begin. "
    'Then write it down: `python -m records attest annual-assessment --by NAME --note "what was found" --link URL`; '
    "commit the file.",
    limits=("attested_year",),
)
def test_security_was_assessed(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """The security of the whole system was assessed within the last year."""
    due = attested("annual-assessment", "full security assessment", limits.attested_year)
    assert due.holds, evidence.message


@expectation(
    "penetration-test",
    guide="Maintenance checklist, annually: penetration testing",
    severity="major",
    remedy="Have somebody who didn't build it try to break in, and mend what was found; then write it down: "
    '`python -m records attest penetration-test --by NAME --note "by whom, and what came of it" --link REPORT`; '
    "commit the file. The quarter's dynamic-scan is no penetration test.",
    limits=("attested_year",),
)
def test_penetration_was_tested(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """Somebody tried to break in, and was asked to, within the last year."""
    due = attested("penetration-test", "penetration test", limits.attested_year)
    assert due.holds, evidence.message


@expectation(
    "annual-policy-review",
    guide="Maintenance checklist, annually: policy review and update",
    severity="minor",
    remedy="Read every policy, not SECURITY.md in {directory} alone: who may do what, how long what is kept, what is "
    'promised to users. Then write it down: `python -m records attest annual-policy-review --by NAME --note "…"`; '
    "commit the file.",
    limits=("attested_year",),
)
def test_policies_were_reviewed(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """All policies were reviewed and brought up to date within the last year."""
    due = attested("annual-policy-review", "review of all policies", limits.attested_year)
    assert due.holds, evidence.message


@expectation(
    "annual-training",
    guide="Maintenance checklist, annually: team training",
    severity="minor",
    remedy="Train everybody who works on the system, newcomers and the on-call rota among them, and write down who was "
    'there: `python -m records attest annual-training --by NAME --note "what about, and who was there"`; '
    "commit the file.",
    limits=("attested_year",),
)
def test_everybody_was_trained(attested: Attested, limits: LimitSet, evidence: Evidence) -> None:
    """Everybody who works on the system was trained within the last year."""
    due = attested("annual-training", "training of the team", limits.attested_year)
    assert due.holds, evidence.message
