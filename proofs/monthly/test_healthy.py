"""On the healthy lab every monthly expectation holds, each with what it looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proofs.harness import run_suite, says_what_it_saw, slugs

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

FIRST = {
    "security-script",
    "python-dependencies-current",
    "npm-dependencies-current",
    "exploit-probes",
    "exploit-probes-refused",
}
MIDDLE = {
    "backup-restores",
    "restore-matches",
    "restore-recent",
    "backup-proven-kept",
    "admin-passwords",
    "admin-rotation",
    "user-activity",
}
END = {"usage-report", "growth", "costs-reviewed", "security-policy-updated", "next-month-planned"}
PERFORMANCE = {"slow-endpoints", "slow-query-log", "n-plus-one", "cache-used", "missing-indexes"}
STORAGE = {"data-directory-size", "largest-tables", "data-retention", "vacuumed"}
SCALING = {"scale-users", "scale-response", "scale-database-cpu", "scale-disk", "scale-errors"}
READINESS = {
    "admin-commands",
    "migrations-applied",
    "deploy-check",
    "logs-readable",
    "docker-reclaimable",
    "backup-archive",
    "connection-headroom",
    "idle-connections",
    "runbooks-present",
    "on-call-route",
}
DRILLS = {"graceful-restart", "recovery-drill"}
"""Set aside unless they are allowed."""
SLUGS = FIRST | MIDDLE | END | PERFORMANCE | STORAGE | SCALING | READINESS | DRILLS
"""Every monthly slug."""
SLOW = {
    "backup-restores",
    "restore-matches",
    "restore-recent",
    "backup-proven-kept",
    "admin-passwords",
    "python-dependencies-current",
    "npm-dependencies-current",
    "scale-database-cpu",
    "admin-commands",
    "migrations-applied",
    "deploy-check",
    "docker-reclaimable",
    "on-call-route",
    *DRILLS,
}
"""Those that `-m "monthly and not slow"` leaves out."""


def test_everything_holds_and_says_what_it_looked_at(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, marker="monthly", history=history)
    assert run.status == 0, run.explain()
    assert slugs(run.having("holds")) == SLUGS - DRILLS
    assert run.having("set aside") == DRILLS
    assert len(run.having("holds")) == len(run.findings) - len(DRILLS)
    says_what_it_saw(run)


def test_a_part_can_be_asked_for(lab: Lab, history: Path) -> None:
    wanted = {
        "first_of_month": FIRST,
        "end_of_month": END,
        "mid_month and not slow": MIDDLE - SLOW,
        "performance": PERFORMANCE,
        "storage": STORAGE,
        "scaling": SCALING,
        "readiness and not drill": READINESS,
    }
    for marker, part in wanted.items():
        run = run_suite(lab.target_file, marker=marker, history=history)
        assert run.status == 0, run.explain()
        assert slugs(run.having("holds")) == part
