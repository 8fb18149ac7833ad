"""The daily run beside what a person would use instead: `python -m bench.daily`, on the standing lab.

Each pair is run in turn, after one uncounted round, and compared pair by pair:
the median of the ratios says more than any time on a shared machine. With
`--idle 100` it also starts so many idle containers in the lab's project and
compares the run with itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import compare, timed, usual_environment
from lab.engine import client, compose_command
from lab.stack import DEFAULT_NAME, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TRIVIAL = "import pytest\n\n\n@pytest.mark.parametrize('n', range(50))\ndef test_trivial(n):\n    assert n >= 0\n"


@contextmanager
def idle_containers(lab: Lab, number: int) -> Iterator[None]:
    """So many containers in the lab's project that do nothing."""
    labels = {"com.docker.compose.project": lab.name, "com.docker.compose.service": "idle"}
    labels["com.docker.compose.oneoff"] = "False"
    image = lab.container("redis").image
    started = [
        client().containers.run(image, "infinity", entrypoint="sleep", detach=True, network_mode="none", labels=labels)
        for _ in range(number)
    ]
    try:
        yield
    finally:
        for one in started:
            one.remove(force=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="the daily run beside what a person would use instead")
    parser.add_argument("--name", default=os.environ.get("LAB") or DEFAULT_NAME)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--idle", type=int, default=0, metavar="N", help="also with N idle containers beside")
    options = parser.parse_args()
    lab = Lab(options.name)
    environment = usual_environment(LAB=lab.name)
    root = HERE.parent
    suite = [str(Path(sys.executable).with_name("pytest")), "-m", "daily", "--target", "lab", "-q"]

    with tempfile.TemporaryDirectory() as scratch:
        trivial = Path(scratch, "test_trivial.py")
        trivial.write_text(TRIVIAL, encoding="utf-8")
        reports = ["--html", f"{scratch}/r.html", "--junitxml", f"{scratch}/r.xml"]

        def daily() -> float:
            return timed([*suite, *reports], cwd=root, environment=environment, statuses=(0,))

        by_hand = [
            str(HERE / "by_hand.sh"),
            " ".join(compose_command() or ()),
            f"https://{lab.domain}/",
            f"127.0.0.1:{lab.https_port}",
            str(lab.ca_file),
        ]
        compare(
            "daily / the guide's commands by hand",
            daily,
            lambda: timed(by_hand, cwd=lab.project_directory, environment=environment),
            options.rounds,
        )
        plugins = [str(HERE / "plugins.sh"), lab.name, lab.domain, str(lab.https_port), str(lab.http_port)]
        plugins += [str(lab.database_port), str(lab.backups), lab.database, str(lab.nginx_logs / "access.log")]
        password = lab.ops_password_file.read_text(encoding="utf-8").strip()
        if Path("/usr/lib/nagios/plugins/check_http").exists():
            compare(
                "daily / monitoring-plugins and check_postgres, 35 checks",
                daily,
                lambda: timed(plugins, cwd=root, environment={**environment, "PGPASSWORD": password}),
                options.rounds,
            )
        else:
            sys.stdout.write("monitoring-plugins and check-postgres are not installed: not compared\n")
        bare = [suite[0], "-q", "-c", "/dev/null", "-p", "no:cacheprovider", str(trivial)]
        quiet = {**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        compare(
            "daily / pytest on 50 trivial tests",
            daily,
            lambda: timed(bare, cwd=Path(scratch), environment=quiet, statuses=(0,)),
            options.rounds,
        )
        if options.idle:
            alone = statistics.median(daily() for _ in range(options.rounds))
            with idle_containers(lab, options.idle):
                daily()
                crowded = statistics.median(daily() for _ in range(options.rounds))
            sys.stdout.write(
                f"{f'daily with {options.idle} idle containers / daily':58} {crowded:7.3f} s / {alone:7.3f} s = "
                f"{crowded / alone:5.2f}\n"
            )


if __name__ == "__main__":
    main()
