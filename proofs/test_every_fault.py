"""Every daily and weekly expectation breaks under each of its faults: that one, by name, and no other."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from lab.faults import FAULTS, Fault
from proofs.daily.test_healthy import SLUGS as DAILY
from proofs.harness import run_suite
from proofs.weekly.test_healthy import SLUGS as WEEKLY

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_breaks_what_it_should_and_nothing_else(fault: Fault, lab: Lab, history: Path) -> None:
    with fault.applied(lab) as took:
        now = datetime.now().astimezone()
        run = run_suite(took.target or lab.target_file, marker="daily or weekly", history=history)
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


def test_every_expectation_has_a_fault() -> None:
    proven = {one.partition("[")[0] for fault in FAULTS for one in fault.breaks}
    assert proven >= DAILY | WEEKLY, f"without a fault: {sorted((DAILY | WEEKLY) - proven)}"
