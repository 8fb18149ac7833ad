"""Where the suite lies: the units and the file for cron are written for a place without blanks in its name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """This interpreter, under a path that has no blank in it."""
    place: Path = tmp_path_factory.mktemp("opt") / "venv"
    place.symlink_to(sys.prefix)
    return str(place / "bin" / "python")
