"""Over SSH everything comes to what it comes to on the machine itself, on the healthy lab and under faults."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from lab import ssh_door
from lab.faults import by_name
from proofs.harness import OWN, run_suite, slugs
from proofs.monthly.test_healthy import DRILLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lab.faults import Fault
    from lab.ssh_door import Door
    from lab.stack import Lab
    from proofs.harness import SuiteRun

ALL = "daily or weekly or monthly"
QUICK = "daily or weekly or (monthly and not slow)"
FAULTS = (
    "service-paused",
    "deployed-file-changed",
    "deployed-env-file-changed",
    "database-connections",
    "health-503",
    "certificate-other-on-disk",
    "disk-80",
    "backup-truncated",
    "runbook-gone",
    "access-log-gone",
    "client-over-proxy-limit",
)
"""What is seen by the engine, the Compose file, sudo, the database, the site, files, df, backups, a script and logs."""
WHOLE = bool(os.environ.get("PROOFS_WHOLE"))
"""Set to anything to look on the machine itself as well, instead of going by what a fault is proven to do there."""


def outcomes(run: SuiteRun) -> Mapping[str, str]:
    """What every item came to."""
    return {name: one.outcome for name, one in run.findings.items()}


def test_everything_holds_over_ssh_as_it_does_here(lab: Lab, door: Door) -> None:
    there = run_suite(door.target(), marker=ALL, history=OWN)
    here = run_suite(lab.target_file, "--collect-only", "-q", marker=ALL)
    assert there.broken == set(), there.explain()
    assert there.blind == set(), there.explain()
    assert slugs(there.having("set aside")) == DRILLS
    assert len(there.findings) == sum("::" in line for line in here.terminal.splitlines())
    assert all(there.findings[one].looked_at for one in there.having("holds"))


def test_a_drill_disturbs_what_lies_there_and_nothing_here(lab: Lab, door: Door, tmp_path: Path) -> None:
    nobody = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    # The other drill leaves a count of restarts behind, which whoever doesn't know of it takes for the system's.
    drill = ("--allow-disruption", "-k", "restarts_unnoticed")
    run = run_suite(door.target(), *drill, marker="drill", history=OWN, environment=nobody)
    assert run.having("holds") == {"graceful-restart"}, run.explain()
    assert not lab.unhealthy()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_over_ssh_as_it_is_here(name: str, lab: Lab, door: Door) -> None:
    fault = by_name(name)
    with fault.applied(lab) as took:
        # Who makes a directory anew gives its rights again.
        ssh_door.grant(lab, "backups")
        here = run_suite(took.target or lab.target_file, *fault.options, marker=QUICK, history=OWN) if WHOLE else None
        there = run_suite(door.target(took.target), *fault.options, marker=QUICK, history=OWN)
        now = datetime.now().astimezone()
    seen = outcomes(there)
    # That this is what is seen on the machine itself, `test_every_fault` proves.
    assert seen == proven(fault, now, seen), there.explain()
    assert there.broken | there.blind, there.explain()
    if here is not None:
        assert seen == outcomes(here), there.explain()


def proven(fault: Fault, now: datetime, items: Iterable[str]) -> Mapping[str, str]:
    """What a fault is proven to make of those items where nothing lies between."""
    named = {
        **dict.fromkeys(fault.broken(now), "broken"),
        **dict.fromkeys(fault.blind(now), "cannot tell"),
    }
    return {item: named.get(item, "holds") for item in items}
