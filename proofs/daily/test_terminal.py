"""A daily run on the lab, as it is read in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proofs.harness import run_suite

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab


def test_a_healthy_morning_is_read_in_half_a_minute(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, history=history)
    assert run.status == 0, run.explain()
    lines = run.terminal.rstrip("\n").split("\n")
    assert lines[0].startswith("target: ")
    assert sum(line.startswith("  ✓ ") for line in lines) == len({one.partition("[")[0] for one in run.findings})
    assert not [line for line in lines if line.startswith(("  ✗", "  ?", "BROKEN", "CAN'T TELL"))]
    assert "Daily · Morning check-in" in lines
    assert len(lines) < 40, "it fits a screen"
    assert max(map(len, lines)) <= 120
    assert ": all holds (0 broken, " in " ".join(lines[-2:]), "the verdict is the last that is said"
    assert "\x1b" not in run.terminal


def test_with_workers_the_same_is_read(lab: Lab, history: Path) -> None:
    alone, shared = (run_suite(lab.target_file, *more, history=history) for more in ((), ("-n2",)))
    read = [[line for line in one.terminal.split("\n") if line.startswith("  ")] for one in (alone, shared)]
    expectations = [[line for line in lines if line.startswith("  ✓")] for lines in read]
    assert expectations[0] == expectations[1] != []
