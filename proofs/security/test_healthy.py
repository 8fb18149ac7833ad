"""On the healthy lab every expectation of the security reviews holds, each with what it looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proofs.harness import run_suite, says_what_it_saw, slugs

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

INSTALLED = {"python-vulnerabilities", "npm-vulnerabilities"}
SITE = {"dynamic-scan", "tls-configuration"}
DATABASE = {"unused-roles", "role-permissions", "encryption-at-rest"}
CONTAINERS = {"ports-private", "containers-confined"}
ACCESS_LOG = {"access-anomalies", "brute-force", "admin-access"}
POLICY = {"security-policy-reviewed", "incident-plan-reviewed", "team-trained", "performance-reviewed"}
QUARTERLY = INSTALLED | SITE | DATABASE | CONTAINERS | ACCESS_LOG | POLICY | {"disaster-recovery"}
ANNUAL = {"annual-assessment", "penetration-test", "annual-policy-review", "annual-training"}
SLUGS = QUARTERLY | ANNUAL
"""Every slug of the security reviews."""
SLOW = INSTALLED | SITE | ACCESS_LOG | {"disaster-recovery"}
"""Those that `-m "security and not slow"` leaves out."""
OF_OTHERS = {"security-script"}
"""What the guide asks for every quarter as well, and is looked at every month."""


def test_everything_holds_and_says_what_it_looked_at(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, marker="quarterly or annual", history=history)
    assert run.status == 0, run.explain()
    assert slugs(run.having("holds")) == SLUGS | OF_OTHERS
    assert len(run.having("holds")) == len(run.findings)
    says_what_it_saw(run)


def test_a_part_can_be_asked_for(lab: Lab, history: Path) -> None:
    wanted = {
        "annual": ANNUAL,
        "security and not slow": SLUGS - SLOW,
        "quarterly and not slow and not monthly": (QUARTERLY - SLOW),
    }
    for marker, part in wanted.items():
        run = run_suite(lab.target_file, marker=marker, history=history)
        assert run.status == 0, run.explain()
        assert slugs(run.having("holds")) == part
