"""The quarter's security review. What a scanner finds that asks the site for what an attacker would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.scan.findings import Scan
    from report.evidence import Evidence
    from target.limits import LimitSet
    from target.model import Target

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@pytest.mark.slow
@expectation(
    "dynamic-scan",
    guide="Quarterly security review 3: dynamic analysis by ZAP's baseline scan, or by Wapiti",
    severity="critical",
    remedy="See each finding again as its row says, mend it (escape what is shown, send the header), and scan anew. "
    "What is known and borne for a while is waived with an end: `python -m records waive --help`.",
    limits=("scan_risk",),
)
def test_dynamic_scan_finds_nothing(
    dynamic_scan: Callable[[], Scan], target: Target, limits: LimitSet, evidence: Evidence
) -> None:
    """A scanner that asks the site for what an attacker would finds nothing at or above the limit's risk."""
    risk = limits.scan_risk
    wanted = f"nothing of risk {risk} or worse"
    evidence.compare("dynamic scan", seen="no answer", wanted=wanted, limits=[risk])
    scan = dynamic_scan()
    evidence.looked_at(scan.looked_at)
    evidence.table("Findings", [one.row() for one in scan.report.findings])
    for note in scan.notes:
        evidence.note(note)
    found = scan.judged(risk.value, target.coverage.scan)
    evidence.compare("dynamic scan", seen=scan.said(found), wanted=wanted, limits=[risk])
    evidence.figure("findings", len(found), "1")
    evidence.figure("requests", scan.passed.requests, "1")
    evidence.figure("time", scan.seconds, "s")
    assert not found, evidence.message
