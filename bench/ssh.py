"""The daily run over SSH beside the same run on the machine itself: `python -m bench.ssh`, on the standing lab.

It makes an account, so it is run as root. Each pair is run in turn, after one
uncounted round, and compared pair by pair. The way is the shortest there is,
loopback, so what is measured is what the way itself costs: logging in, and commands
in place of system calls. `--delay 10` has whatever goes through wait for so many
milliseconds each way, as between two cities.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from bench.delay import delayed
from bench.timing import compare, timed, usual_environment
from lab import ssh_door
from lab.stack import DEFAULT_NAME, Lab

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
AIM = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="the daily run over SSH beside the same run on the machine itself")
    parser.add_argument("--name", default=os.environ.get("LAB") or DEFAULT_NAME)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--marker", default="daily", help="which expectations")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MS", help="one way, in milliseconds")
    options = parser.parse_args()
    lab = Lab(options.name)
    with ssh_door.opened(lab) as door, tempfile.TemporaryDirectory() as scratch:
        way = delayed(door.port, options.delay / 1000) if options.delay else nullcontext(door.port)
        with way as port:
            there = door.target(config=door.config(Port=str(port), HostKeyAlias=f"[127.0.0.1]:{door.port}"))
            ratio = compare(
                f"{options.marker} over SSH / on the machine itself",
                run(there, options.marker, Path(scratch)),
                run(lab.target_file, options.marker, Path(scratch)),
                options.rounds,
            )
    sys.stdout.write(f"aim {AIM:g}: {'met' if ratio <= AIM else 'not met'}\n")


def run(target: Path, marker: str, scratch: Path) -> Callable[[], float]:
    """A run of the suite, which must find that all holds."""
    command = [str(Path(sys.executable).with_name("pytest")), "-m", marker, "--target", str(target), "-q"]
    command += ["-p", "no:cacheprovider", "--html", str(scratch / "r.html"), "--junitxml", str(scratch / "r.xml")]
    return lambda: timed(command, cwd=ROOT, environment=usual_environment(), statuses=(0,))


if __name__ == "__main__":
    main()
