"""How a file is written that somebody else reads: as it was or as it is, never half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, see it on the disk, and move it there.

    Args:
        path: The file, which is replaced; everybody may read it. Its directory is made where it isn't there.
        data: All of it.

    Raises:
        OSError: If it can't be written; then what was there before is there still, and nothing beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden and with an ending of its own, so that nobody who collects `*.prom` takes the unfinished one; with this
    # process's number, by which `report.leftovers` knows what the dead have left.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=f".{os.getpid()}.part")
    aside = Path(name)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123  a descriptor
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
