"""On the healthy lab every expectation of the security reviews holds, each with what it looked at."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lab.packages import ensure_program
from proofs.harness import SuiteRun, run_suite, says_what_it_saw, slugs

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


ADDRESS = re.compile(r"sin6?_port=htons\((?P<port>\d+)\)|sin_addr=inet_addr\(\"(?P<four>[^\"]*)\"\)|"
                     r"inet_pton\(AF_INET6, \"(?P<six>[^\"]*)\"")  # fmt: skip


@pytest.fixture(scope="module")
def traced(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[SuiteRun, Counter[tuple[str, int]]]:
    """A run of all of it, and the addresses that it and whatever it started connected or sent to."""
    ensure_program("strace", "install it with your package manager")
    calls = tmp_path_factory.mktemp("traced") / "calls"
    wanted = ("-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none")
    watch = ("strace", "-f", "-qq", *wanted, "-o", str(calls))
    run = run_suite(lab.target_file, marker="quarterly or annual", history=lab.history_file, under=watch)
    sent: Counter[tuple[str, int]] = Counter()
    for line in calls.read_text(errors="replace").splitlines():
        if "sa_family=AF_INET" in line:
            said = [one.groupdict() for one in ADDRESS.finditer(line)]
            port = next(int(one["port"]) for one in said if one["port"])
            sent[next(one["four"] or one["six"] for one in said if one["four"] or one["six"]), port] += 1
    return run, sent


def test_everything_holds_and_says_what_it_looked_at(traced: tuple[SuiteRun, Counter[tuple[str, int]]]) -> None:
    run, _ = traced
    assert run.status == 0, run.explain()
    assert slugs(run.having("holds")) == SLUGS | OF_OTHERS
    assert len(run.having("holds")) == len(run.findings)
    says_what_it_saw(run)


def test_nothing_is_sent_but_to_the_target(lab: Lab, traced: tuple[SuiteRun, Counter[tuple[str, int]]]) -> None:
    """The scanners', the audits' and npm's processes among it; the lab's registry stands for the registries."""
    _, sent = traced
    assert {port for _, port in sent} >= {lab.https_port, lab.database_port, lab.packages_port}, "nothing was seen"
    # Ports that are there for a moment, as that of the gate before the scanner, aren't known: loopback it must be.
    elsewhere = {address for address in sent if not ipaddress.ip_address(address[0]).is_loopback}
    assert not elsewhere, f"sent to {sorted(elsewhere)}"


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
