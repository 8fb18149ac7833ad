"""Every expectation breaks under each of its faults: that one, by name, and no other."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from lab.faults import FAULTS, Fault
from lab.swarm.faults import FAULTS as ON_A_SWARM
from proofs.daily.test_healthy import SLUGS as DAILY
from proofs.harness import OWN, run_suite
from proofs.monthly.test_healthy import SLOW as SLOW_MONTHLY
from proofs.monthly.test_healthy import SLUGS as MONTHLY
from proofs.security.test_healthy import ACCESS_LOG
from proofs.security.test_healthy import SLOW as SLOW_SECURITY
from proofs.security.test_healthy import SLUGS as SECURITY
from proofs.weekly.test_healthy import SLUGS as WEEKLY

if TYPE_CHECKING:
    from lab.stack import Lab


WHOLE = bool(os.environ.get("PROOFS_WHOLE"))
"""Set to anything to have every expectation looked at under every fault, which takes half an hour."""
EVERYTHING = "daily or weekly or monthly or security"
FROM_A_DRILL = {"backup-restores", "restore-matches", "restore-recent", "backup-proven-kept", "disaster-recovery"}
FROM_ONE_LOOK = (FROM_A_DRILL, ACCESS_LOG)
"""What one restore drill serves, and what one pass over a quarter's access logs does."""
SLOW = SLOW_MONTHLY | SLOW_SECURITY
QUICK = "daily or weekly or ((monthly or security) and not slow)"


def looked_at(fault: Fault) -> str:
    """What is looked at under a fault: of the slow ones only those that it touches, and what rests on the same look."""
    if WHOLE:
        return EVERYTHING
    touched = {one.partition("[")[0] for one in (*fault.breaks, *fault.blinds)} & SLOW
    for served in FROM_ONE_LOOK:
        if touched & served:
            touched |= served
    return " or ".join([QUICK, *(f"expectation(slug='{slug}')" for slug in sorted(touched))])


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_breaks_what_it_should_and_nothing_else(fault: Fault, lab: Lab) -> None:
    with fault.applied(lab) as took:
        now = datetime.now().astimezone()
        run = run_suite(took.target or lab.target_file, *fault.options, marker=looked_at(fault), history=OWN)
    assert run.broken == fault.broken(now), f"{took.before} -> {took.after}\n{run.explain()}"
    assert run.blind == fault.blind(now), f"{took.before} -> {took.after}\n{run.explain()}"
    assert run.status == 1
    for one in fault.broken(now):
        finding = run.findings[one]
        assert finding.seen, f"{one} does not say what was seen"
        assert finding.expected, f"{one} does not say what was wanted"
        assert finding.remedy, f"{one} does not say what to do"
        assert finding.expected in finding.message or finding.seen in finding.message
        assert one in run.terminal or finding.cause, f"the terminal does not name {one}"
        assert one.partition("[")[0] in run.html


# Its content is proven against known rows, and nothing of a running system is wrong with it.
ONLY_WRITTEN = {"usage-report", "data-directory-size"}


OF_A_SWARM = {"nodes-ready"}
"""What is collected for a Swarm alone; `proofs/swarm` looks at it."""


def test_every_expectation_has_a_fault() -> None:
    breaks = [*(fault.breaks for fault in FAULTS), *(fault.breaks for fault in ON_A_SWARM)]
    proven = {one.partition("[")[0] for ids in breaks for one in ids}
    wanted = (DAILY | WEEKLY | MONTHLY | SECURITY | OF_A_SWARM) - ONLY_WRITTEN
    assert proven >= wanted, f"without a fault: {sorted(wanted - proven)}"
