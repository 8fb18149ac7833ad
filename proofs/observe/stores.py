"""An object store for the proofs, and its client without what this machine knows of Amazon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import botocore.loaders

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BUCKET = "copies"
_LOADER = botocore.loaders.Loader()


def forget_this_machine(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Keep the client from this machine's keys and settings, and from asking for a cloud's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # The client's description of S3 is large, and read anew by each client.
    monkeypatch.setattr(botocore.loaders, "create_loader", lambda _=None: _LOADER)
