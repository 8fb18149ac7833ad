"""What the proofs of several observations stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.object_store import ObjectStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real object store with an empty bucket."""
    from lab.object_store import serving
    from proofs.observe.stores import BUCKET

    directory = tmp_path_factory.mktemp("store")
    (directory / BUCKET).mkdir()
    with serving(directory) as running:
        yield running


@pytest.fixture
def no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The store's client knows what it is given, and nothing else."""
    from proofs.observe.stores import forget_this_machine

    forget_this_machine(monkeypatch, tmp_path)
