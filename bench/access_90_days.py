"""Ninety days of an access log beside what a person would use instead: `python -m bench.access_90_days`.

The log is that of :mod:`bench.logs`: 10,000,000 lines from a seed in 90 files, all but two of them packed. It is kept
between runs (`--logs`), since making it takes minutes. Our side is one process that answers all of the quarter's
questions: who tried passwords, who was in the admin area, which clients are out of line. Its answers are compared with
`zgrep`, `awk` and a count of every client before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.logs import Bench, beside, generate


def main() -> None:
    """Write the logs, compare, measure and print."""
    parser = argparse.ArgumentParser(description="ninety days of access logs beside what a person would use instead")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--goaccess-rounds", type=int, default=2)
    parser.add_argument("--logs", type=Path, default=None, help="where the logs are kept for the next time")
    options = parser.parse_args()
    kept = options.logs or Path(tempfile.gettempdir(), f"bench-access-{options.lines}-{options.days}")
    made = made_logs(kept, options.lines, options.days)
    packed = sum(path.stat().st_size for path in kept.iterdir())
    sys.stdout.write(f"{options.lines:,} lines, {made / 1e9:.2f} GB, {packed / 1e6:.0f} MB in {options.days} files\n")
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        directory = Path(scratch, "logs")
        directory.mkdir()
        for path in kept.glob("access.log*"):
            # Of the plain ones a copy: some are written to.
            (os.link if path.suffix == ".gz" else shutil.copyfile)(path, directory / path.name)
        measure(Quarter(directory, options.days), options.rounds, options.goaccess_rounds)


def made_logs(kept: Path, lines: int, days: int) -> int:
    """Make the logs unless they are there; return their bytes unpacked."""
    mark = kept / "made"
    if mark.exists():
        return int(mark.read_text())
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    size = generate(kept, lines, days)
    mark.write_text(str(size))
    return size


class Quarter(Bench):
    """The sides that are compared; ours answers the quarter's questions.

    Args:
        directory: Where the logs are.
        days: How many.
    """

    asked = ("clients",)

    def counted(self) -> dict[str, int]:
        """Every client's requests, counted by awk."""
        lines = self._output(["sh", "-c", f"{self.cat} | mawk '{{n[$1]++}} END {{for (c in n) print c, n[c]}}'"])
        return {client: int(number) for client, number in (line.split() for line in lines.splitlines())}

    def agree(self) -> None:
        """Compare the answers, those about each client among them.

        Raises:
            SystemExit: They differ.
        """
        super().agree()
        ours: dict[str, Any] = json.loads(self._output([*self.command(), "each"]))
        theirs, told, missed = self.counted(), ours["clients"], ours["missed"]
        if sum(told.values()) + ours["others"] != sum(theirs.values()):
            raise SystemExit("the answers differ: requests of all clients")
        for client, number in theirs.items():
            if not 0 <= number - told.get(client, 0) <= missed:
                raise SystemExit(f"the answers differ: requests of {client}")
        sys.stdout.write(
            f"{len(told):,} of {len(theirs):,} clients are told apart; of none are more than {missed:,} requests among "
            f"the {ours['others']:,} others; {ours['out of line']} are out of line\n"
        )


def measure(bench: Quarter, rounds: int, goaccess_rounds: int) -> None:
    """Compare and print."""
    bench.agree()
    beside("first run / zgrep -cE of the guide's pattern", bench.first, lambda: bench.shell(bench.zgrep), rounds)
    bench.first()
    beside("second run, 1,000 lines later / first run", bench.appended, bench.first, rounds)
    if goaccess_rounds and shutil.which("goaccess"):
        beside("first run / goaccess", bench.first, lambda: bench.shell(bench.goaccess), goaccess_rounds, warm=False)
    plain = Bench(bench.directory, bench.days)
    beside("first run / first run without what each client asked", bench.first, plain.first, rounds)
    ours, workers = (peak / 1024 for peak in bench.peaks)
    sys.stdout.write(f"peak memory: {ours:.0f} MiB, workers {workers:.0f} MiB each at most\n")


if __name__ == "__main__":
    main()
