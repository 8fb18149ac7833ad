"""The first of the month: the security check, what is outdated, and who tried the usual ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.logs import Logs
    from observe.dependencies import Packages, Uncovered
    from observe.security_script import ScriptRun
    from report.evidence import Evidence
    from target.limits import LimitSet

    Reviewed = Callable[[str, str, Packages], Uncovered]

pytestmark = [pytest.mark.monthly, pytest.mark.first_of_month]

REVIEW = (
    "Read the release notes of what is named; bring it up to date, or decide not to yet and record that: "
    "`python -m records attest {slug} --by YOU --note … --covers NAME=VERSION …`."
)


@pytest.mark.quarterly
@expectation(
    "security-script",
    guide="First of the month: `./pre-deployment-security-check.sh`, all checks pass",
    severity="major",
    remedy="Run it by hand in {directory} and mend what it finds; where it ends early, mend the script first: "
    "`sh -x` on it shows what it did last.",
)
def test_security_script_passes(security_script: Callable[[], ScriptRun], evidence: Evidence) -> None:
    """The project's own security check comes to its end and finds nothing."""
    ran = security_script()
    evidence.looked_at(ran.looked_at)
    evidence.compare(ran.path.name, seen=ran.said, wanted="ended with status 0, after its summary")
    evidence.excerpt("What it said", ran.shown, of=len(ran.lines))
    evidence.figure("time", ran.seconds, "s")
    evidence.figure("failed checks", ran.failed, "1")
    assert ran.passed, evidence.message


@pytest.mark.slow
@expectation(
    "python-dependencies-current",
    guide="First of the month: `pip list --outdated`, reviewed and planned",
    severity="minor",
    remedy=REVIEW.replace("{slug}", "python-dependencies-current"),
)
def test_python_dependencies_are_current_or_reviewed(
    python_packages: Callable[[], Packages], reviewed: Reviewed, evidence: Evidence
) -> None:
    """No Python package of the backend is outdated but for those that the last review covers."""
    held = reviewed("python-dependencies-current", "Python packages", python_packages())
    assert not held.open, evidence.message


@pytest.mark.slow
@expectation(
    "npm-dependencies-current",
    guide="First of the month: `npm outdated`, reviewed and planned",
    severity="minor",
    remedy=REVIEW.replace("{slug}", "npm-dependencies-current"),
)
def test_npm_dependencies_are_current_or_reviewed(
    npm_packages: Callable[[], Packages], reviewed: Reviewed, evidence: Evidence
) -> None:
    """No npm package of the frontend is outdated but for those that the last review covers."""
    held = reviewed("npm-dependencies-current", "npm packages", npm_packages())
    assert not held.open, evidence.message


@expectation(
    "exploit-probes",
    guide='First of the month: `tail -10000 access.log | grep -E "(\\.php|\\.jsp|admin|wp-)"`, nothing of the kind',
    severity="minor",
    remedy="Nothing is broken yet: see whether the same few clients come again and again, and block those at the "
    "firewall or with `deny` in nginx. Your own administrators' networks belong into site.admin_networks; if your site "
    "is scanned all the time, as most are, raise limits.exploit_probes to what is usual.",
    limits=("exploit_probes",),
)
def test_no_exploit_probes(logs: Logs, limits: LimitSet, evidence: Evidence) -> None:
    """Among the last requests no more than the allowed number ask for what only those ask for who want to break in."""
    seen, most = logs.probes, limits.exploit_probes
    evidence.looked_at(seen.looked_at)
    evidence.compare("exploit probes", seen=seen.said, wanted=f"at most {most}", limits=[most])
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Probes by path, client and answer", seen.groups())
    evidence.table("The last of them", seen.rows())
    evidence.figure("probes", seen.count, "1", most)
    assert seen.count <= most, evidence.message


@expectation(
    "exploit-probes-refused",
    guide="First of the month: beside the exploit probes, none of them is answered below 400",
    severity="critical",
    remedy="Ask for these paths yourself (`curl -ik`) and look at what comes back. If it is something that nobody "
    "should see, take it away, change whatever secret stands in it, and search {project}'s logs for who else got it.",
)
def test_exploit_probes_are_refused(logs: Logs, evidence: Evidence) -> None:
    """No exploit probe got an answer below 400, unless it is what every unknown path gets."""
    seen = logs.served_probes
    evidence.looked_at(seen.looked_at)
    evidence.compare("exploit probes", seen=seen.said, wanted="all refused, or answered as any unknown path")
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Served", seen.rows())
    evidence.figure("served", seen.count, "1")
    assert not seen.count, evidence.message
