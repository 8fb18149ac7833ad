"""The suite's own options.

They are in a plugin that `pyproject.toml` names, and not in `conftest.py`:
pytest loads the conftest files beside the paths on its command line, and takes
the FILE of `--target FILE` for such a path as long as it doesn't know the option.
"""

from __future__ import annotations

import gc

import pytest

# A run is over in a second and most of it is importing clients, whose objects all stay: looking for garbage among
# them again and again took a tenth of the run. What is read in blocks is freed by its reference count.
gc.set_threshold(100_000, 50, 100)

UNNAMED = "*"
"""Stands for a permission without a name; no target can be called so."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The suite's own options."""
    group = parser.getgroup("operations checks")
    group.addoption(
        "--target",
        action="append",
        default=[],
        metavar="FILE",
        help="the system to look at: a target file, or `lab` for the standing lab "
        "(default: $OPS_TARGET, else target.toml in the project's root); may be repeated, for several in one run",
    )
    group.addoption(
        "--at-once",
        type=int,
        default=0,
        metavar="N",
        help="of several targets, how many are looked at at the same time; xdist's -n says the same "
        "(default: twice as many as there are processors, from 8 to 16; of triage, one for each)",
    )
    group.addoption(
        "--target-limit",
        default="",
        metavar="SPAN",
        help="of several targets, how long the run of one may take before it is ended, as '10 min', beside the time "
        "for which it waits for another run (default: 10 min of daily and triage, 3 h of all else)",
    )
    group.addoption(
        "--now",
        default="",
        metavar="TIME",
        help="take this for the present time (2026-11-23T09:00); for looking at kept evidence and for proofs",
    )
    group.addoption(
        "--allow-disruption",
        nargs="?",
        const=UNNAMED,
        default="",
        metavar="NAME",
        help="let drills disturb the target, which must be said by its NAME unless it is disposable, as a lab is; "
        "without this nothing is ever disturbed",
    )
    group.addoption(
        "--allow-scan",
        nargs="?",
        const=UNNAMED,
        default="",
        metavar="NAME",
        help="let the dynamic scan send the target's site what an attacker would; a target that isn't disposable must "
        "be said by its NAME, and without this only a disposable one is ever scanned",
    )
    group.addoption(
        "--expectations",
        action="store_true",
        help="list every expectation with its cadence, limits and place in the guide, and run nothing",
    )
    group.addoption(
        "--no-history",
        action="store_true",
        help="know nothing of earlier runs and write nothing down: what needs them can't be told, and this run's own "
        "requests will count as the target's traffic",
    )
    group.addoption(
        "--review",
        action="store_true",
        help="make the report from the history alone, of the newest outcome of every expectation; the target is not "
        "touched",
    )
    group.addoption(
        "--what-if",
        action="append",
        default=[],
        metavar="LIMIT=VALUE",
        help="what another limit would have said over the kept history, as limits.disk_used=0.7; may be repeated",
    )
    group.addoption(
        "--alert",
        action="store_true",
        help="tell whoever is on call what has changed since the last run with --alert ([alerts] in the target file)",
    )
    group.addoption(
        "--cannot-tell-status",
        type=int,
        default=1,
        metavar="N",
        help="exit with N instead of 1 when nothing is broken but something can't be told; 10 is what the nightly "
        "units use",
    )
    group.addoption(
        "--wait",
        default="",
        metavar="SPAN",
        help="how long to wait for another run on the same target before giving up, as '10 min' "
        "(default: timeouts.overlap)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let each of several targets have a run of its own; here, before anybody opens a report for the session."""
    if len(config.getoption("target")) > 1 and not config.getoption("expectations"):
        from report import fleet

        fleet.begin(config)
