"""A run of triage beside the guide's emergency commands: `python -m bench.triage`, on the standing lab.

Three times: with all well, with the backend stopped, and with the backend and the database silent, where whoever types
waits for every command by itself. The lab is put back after each.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.timing import compare, timed, usual_environment
from lab.engine import compose_command
from lab.faults.services import halted
from lab.stack import DEFAULT_NAME, Lab

HERE = Path(__file__).parent
CASES: dict[str, tuple[tuple[str, ...], bool]] = {
    "all well": ((), False),
    "backend stopped": (("backend",), False),
    "database and backend silent": (("db", "backend"), True),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="a run of triage beside the guide's emergency commands")
    parser.add_argument("--name", default=os.environ.get("LAB") or DEFAULT_NAME)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    lab = Lab(options.name)
    environment = usual_environment(LAB=lab.name)
    by_hand = [str(HERE / "emergency_by_hand.sh"), " ".join(compose_command() or ()), f"https://{lab.domain}/"]
    by_hand += [f"127.0.0.1:{lab.https_port}", str(lab.ca_file), lab.database]

    with tempfile.TemporaryDirectory() as scratch:
        suite = [str(Path(sys.executable).with_name("pytest")), "-m", "triage", "--target", "lab", "-q"]
        suite += ["--html", f"{scratch}/r.html", "--junitxml", f"{scratch}/r.xml"]
        for name, (services, silent) in CASES.items():
            with halted(lab, *services, silent=silent):
                compare(
                    f"triage / the guide's emergency commands, {name}",
                    lambda: timed(suite, cwd=HERE.parent, environment=environment, statuses=(0, 1)),
                    lambda: timed(by_hand, cwd=lab.project_directory, environment=environment),
                    options.rounds,
                )


if __name__ == "__main__":
    main()
