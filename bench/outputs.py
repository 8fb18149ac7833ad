"""What all files of a run cost: `python -m bench.outputs`, on the standing lab.

The daily run with HTML, XML, JSON, metrics and what it came to in the history against the same run without any, in
turn and compared pair by pair. No option leaves all of that out: the bare run gets this module as a plugin, which
takes their writers away. The console is in both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import pytest
from _pytest.junitxml import xml_key

from bench.timing import compare, timed, usual_environment
from lab.stack import DEFAULT_NAME, Lab

ROOT = Path(__file__).parents[1]


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take away whoever would write a file, in the bare run."""
    from report import outputs
    from report.run import Run

    for plugin in list(config.pluginmanager.get_plugins()):
        module = type(plugin).__module__
        if module == "_pytest.junitxml" or module.startswith("pytest_html."):
            config.pluginmanager.unregister(plugin)
    del config.stash[xml_key]  # else pytest would take it away once more
    outputs.write_outputs = lambda *_: None
    end = Run.end
    # That it ended is written down all the same: else the next run would take it for one that was killed.
    Run.end = lambda run, **_: end(run, whole=False)  # type: ignore[method-assign]


def main() -> int:
    """Measure, and say whether the aim is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lab", default=DEFAULT_NAME)
    parser.add_argument("--aim", type=float, default=1.25)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        there = Path(made)
        command = [sys.executable, "-m", "pytest", "-m", "daily", "--target", "lab", "-q"]
        environment = usual_environment(
            LAB=Lab(asked.lab).name,
            OPS_REPORT__HTML=str(there / "run.html"),
            OPS_REPORT__XML=str(there / "run.xml"),
            OPS_REPORT__JSON=str(there / "run.json"),
            OPS_REPORT__HISTORY=str(there / "history.sqlite"),
        )
        everything = {**environment, "OPS_REPORT__METRICS": str(there / "run.prom")}
        bare = [*command, "-p", "bench.outputs"]
        ratio = compare(
            "a daily run with all its files / with none",
            lambda: timed(command, cwd=ROOT, environment=everything, statuses=(0,)),
            lambda: timed(bare, cwd=ROOT, environment=environment, statuses=(0,)),
            asked.rounds,
        )
    return int(ratio > asked.aim)


if __name__ == "__main__":
    sys.exit(main())
