"""The quarter's security review: how long it would take to have everything back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.restore.recovery import Recovery
    from report.evidence import Evidence
    from target.limits import LimitSet

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@pytest.mark.slow
@expectation(
    "disaster-recovery",
    guide="Quarterly security review 7: restore from backup to test database, verify data integrity, time the restore "
    "(target: < 2 hours)",
    severity="critical",
    remedy="An error or a difference: mend what `pytest -m mid_month` says first. Too slow: give the restore more "
    "memory and processors (restore.memory, restore.cpus) if the machine that you would restore on has them; else "
    "restore by `pg_restore --jobs` from a dump in its custom format, or keep a standby.",
    limits=("disaster_recovery",),
)
def test_everything_is_back_in_time(recovery: Callable[[], Recovery], limits: LimitSet, evidence: Evidence) -> None:
    """The newest backup is restored, and verified against the live database, within the time that was promised."""
    seen, most = recovery(), limits.disaster_recovery
    evidence.looked_at(seen.looked_at)
    evidence.compare(seen.name, seen=seen.said, wanted=f"restored and verified in less than {most}", limits=[most])
    evidence.table("Receipt", seen.receipt)
    evidence.figure("time to recover", seen.took.total_seconds(), "s", most)
    evidence.figure("differences", seen.differences, "1")
    assert seen.within(most.value), evidence.message
