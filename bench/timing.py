"""How the benches measure: whole processes, in turn, compared pair by pair."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def usual_environment(**more: str) -> dict[str, str]:
    """This process's environment as a user has it: with bytecode kept, and with these variables besides."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **more}


def timed(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], statuses: tuple[int, ...] = ()
) -> float:
    """Wall seconds of one process, its output thrown away.

    Raises:
        SystemExit: If it ended with a status that it shouldn't end with.
    """
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if statuses and done.returncode not in statuses:
        said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{said}")
    return seconds


def compare(
    name: str, one: Callable[[], float], other: Callable[[], float], rounds: int, *, warm: bool = True
) -> float:
    """Run both in turn, print medians and the ratio pair by pair, and return that ratio."""
    if warm:
        one(), other()
    pairs = [(one(), other()) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    sys.stdout.write(
        f"{name:58} {medians[0]:7.3f} s / {medians[1]:7.3f} s = {statistics.median(ratios):6.3f} "
        f"[{ratios[0]:.3f}-{ratios[-1]:.3f}]\n"
    )
    sys.stdout.flush()
    return statistics.median(ratios)
