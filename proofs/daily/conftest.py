"""What the proofs of the daily run share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One history for all runs against the lab: what an earlier run asked for is known as ours."""
    return tmp_path_factory.mktemp("history") / "history.sqlite"
