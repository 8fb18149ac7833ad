"""Taking turns with other labs of this machine at what only one can do at a time."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Wait until nobody else of this account is at it, and keep others waiting for the length of a block.

    Args:
        what: What is done, in a word that may stand in a file's name.
    """
    file = Path(tempfile.gettempdir(), f"synk-lab-{os.geteuid()}-{what}.lock")
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
