"""Many targets in one run beside one: `python -m bench.fleet`, on the standing lab.

The targets are the one lab under so many names. A run on one is compared with a run on all, without and with one that
accepts connections and never answers: that one takes its own limits and nobody else's time.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import compare, timed, usual_environment
from lab.stack import DEFAULT_NAME, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

LOST = """
[engine]
url = "tcp://{there}"
"""


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that accepts and says nothing."""
    caught = []

    def go_on() -> None:
        with suppress(OSError):
            while True:
                caught.append(door.accept()[0])

    with socket.create_server(("127.0.0.1", 0), backlog=64) as door:
        threading.Thread(target=go_on, daemon=True).start()
        yield f"127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)


def target(lab: Lab, name: str, directory: Path, there: str = "") -> Path:
    """The lab under another name, with a history of its own; with `there`, its engine and its site lie at that."""
    text = lab.target_file.read_text(encoding="utf-8")
    # The first is the target's own name, the second the project's.
    text = text.replace(f'name = "{lab.name}"', f'name = "{name}"', 1)
    lines = []
    for line in text.splitlines():
        key = line.partition(" =")[0]
        if key in ("attestations", "waivers"):
            continue
        if key == "history":
            line = f'history = "{directory / f"{name}.sqlite"}"'  # noqa: PLW2901
        if there and key in ("connect_to", "http_connect_to"):
            line = f'{key} = "{there}"'  # noqa: PLW2901
        lines.append(line)
    file = directory / f"{name}.toml"
    file.write_text("\n".join(lines) + (LOST.format(there=there) if there else "\n"), encoding="utf-8")
    return file


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="many targets in one run, beside one")
    parser.add_argument("--name", default=os.environ.get("LAB") or DEFAULT_NAME)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--targets", type=int, default=20, metavar="N")
    parser.add_argument("--at-once", type=int, default=0, metavar="N", help="as the suite's option")
    options = parser.parse_args()
    lab = Lab(options.name)
    with tempfile.TemporaryDirectory() as scratch, black_hole() as there:
        directory = Path(scratch)
        every = [target(lab, f"web-{number:02}", directory) for number in range(options.targets)]
        lost = target(lab, "lost", directory, there)
        environment = usual_environment(OPS_REPORT__HTML=f"{scratch}/r.html", OPS_REPORT__XML=f"{scratch}/r.xml")
        environment["OPS_REPORT__JSON"] = f"{scratch}/r.json"

        def daily(*files: Path) -> float:
            command = [sys.executable, "-m", "pytest", "-m", "daily", "-q", *(f"--target={one}" for one in files)]
            if len(files) > 1:
                command += [f"--html={scratch}/fleet.html", f"--junitxml={scratch}/fleet.xml"]
                command.append(f"--at-once={options.at_once}")
            return timed(command, cwd=Path(__file__).parents[1], environment=environment, statuses=(0, 1))

        sys.stdout.write(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
        number = options.targets
        compare(f"{number} targets in one run / one", lambda: daily(*every), lambda: daily(every[0]), options.rounds)
        compare(
            f"{number} targets, one of them a black hole / {number} that answer",
            lambda: daily(lost, *every[1:]),
            lambda: daily(*every),
            options.rounds,
        )
        compare("the black hole alone / one that answers", lambda: daily(lost), lambda: daily(every[0]), options.rounds)


if __name__ == "__main__":
    main()
