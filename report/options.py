"""The suite's own options.

They are in a plugin that `pyproject.toml` names, and not in `conftest.py`:
pytest loads the conftest files beside the paths on its command line, and takes
the FILE of `--target FILE` for such a path as long as it doesn't know the option.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        default="",
        metavar="FILE",
        help="the system to look at: a target file, or `lab` for the standing lab "
        "(default: $OPS_TARGET, else target.toml in the project's root)",
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
