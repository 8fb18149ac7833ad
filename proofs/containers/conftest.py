"""What the proofs of several observations stand on. Servers are made once for a file of proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from observe.engine import Engine
from proofs.containers.drills import stock
from proofs.containers.postgres import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proofs.containers.drills import Stock
    from proofs.containers.postgres import Postgres


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A connection of the suite's own to this machine's engine."""
    engine = Engine("", 30)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL that nothing has been put into."""
    with running() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def live() -> Iterator[Stock]:
    """A database that serves, and is backed up."""
    with stock() as there:
        yield there


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where its backup will lie."""
    return tmp_path / "synk_backup_20261124_020000.sql.gz"
