"""What the proofs of the daily run share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab


@pytest.fixture(scope="session")
def history(lab: Lab) -> Path:
    """One history for all runs against the lab, as long as it stands: what an earlier run did is known as ours."""
    return lab.directory / "proofs-history.sqlite"
