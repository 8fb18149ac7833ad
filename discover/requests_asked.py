"""What clients ask the site for, by the end of its access log: counts of paths, and nothing of who asked."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TAIL = 1024 * 1024
"""So much of the log's end is read, in bytes."""
_REQUEST = re.compile(rb'"(?P<method>[A-Z]+) (?P<path>/[A-Za-z0-9/_.~-]*)[^" ]* HTTP/[0-9.]+"[^"]*? (?P<status>\d{3}) ')
_OWN = b"synk-operations-checks/"
_IDS = re.compile(r"/\d+(/|$)|[0-9a-f]{12,}")


@dataclass(frozen=True)
class Asked:
    """Counts of requests.

    Attributes:
        lines: How many lines were looked at.
        well: Path to how often GET was answered 200.
        posted: Path to how often something was posted to it.
    """

    lines: int = 0
    well: Mapping[str, int] = field(default_factory=dict)
    posted: Mapping[str, int] = field(default_factory=dict)


def asked_lately(log: Path) -> Asked:
    """Count the requests at the end of an access log.

    Raises:
        OSError: If it can't be read.
    """
    size = log.stat().st_size
    with log.open("rb") as file:
        text = _tail(file, size)
    well: Counter[str] = Counter()
    posted: Counter[str] = Counter()
    lines = text.split(b"\n")[1 if size > TAIL else 0 :]
    for line in lines:
        match = _REQUEST.search(line)
        if match is None or _OWN in line:
            continue
        path = match["path"].decode("ascii")
        if match["method"] == b"GET" and match["status"] == b"200" and not _IDS.search(path):
            well[path] += 1
        elif match["method"] == b"POST" and match["status"] != b"404":
            posted[path] += 1
    return Asked(sum(1 for line in lines if line), well, posted)


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - TAIL))
    return file.read(TAIL)
