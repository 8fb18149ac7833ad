"""The quarter's security review. Known vulnerabilities of what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.vulnerabilities.audit import Advisory, Audit
    from report.evidence import Evidence

    Audited = Callable[[Audit], tuple[Advisory, ...]]

pytestmark = [pytest.mark.quarterly, pytest.mark.security]

ACCEPTED = (
    "What doesn't concern you, or can't be mended yet, is accepted by its id, and nothing else with it: "
    "`python -m records waive {slug} --covers ID … --by YOU --reason … --until YYYY-MM-DD`."
)


# Major and not critical: most advisories need something that the system doesn't do, and who reads this quarterly could
# not be woken by it anyway; not minor either, since one that does apply is a way in.
@pytest.mark.slow
@expectation(
    "python-vulnerabilities",
    guide="Quarterly security review 2: `pip-audit`, no known vulnerability in what the backend has installed",
    severity="major",
    remedy="Read each advisory (https://osv.dev/vulnerability/ID), raise the package to the version that is said to "
    "mend it in backend/requirements.txt or in the image, build, and have the backend made anew: `docker compose build "
    "{backend} && docker compose up -d {backend}` in {directory}. "
    + ACCEPTED.replace("{slug}", "python-vulnerabilities"),
)
def test_python_packages_have_no_known_vulnerability(
    python_audit: Callable[[], Audit], audited: Audited, evidence: Evidence
) -> None:
    """Nothing is known against the Python packages that the backend has installed."""
    advisories = audited(python_audit())
    assert not advisories, evidence.message


@pytest.mark.slow
@expectation(
    "npm-vulnerabilities",
    guide="Quarterly security review 2: `npm audit`, none at or above the limit's severity",
    severity="major",
    remedy="Where package.json lies: `npm audit` tells them again, `npm audit fix` mends what it can without another "
    "major version; then build the pages anew and look at them. " + ACCEPTED.replace("{slug}", "npm-vulnerabilities"),
    limits=("npm_severity",),
)
def test_npm_packages_have_no_known_vulnerability(
    npm_audit: Callable[[], Audit], audited: Audited, evidence: Evidence
) -> None:
    """Nothing as bad as the limit's severity is known against the npm packages of the frontend."""
    advisories = audited(npm_audit())
    assert not advisories, evidence.message
