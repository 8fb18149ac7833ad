"""The tables of `docs/first-day.md`, as proofs hold them against the suite."""

from __future__ import annotations

import re

from lab.first_day import DOCUMENT

_SLUGS = re.compile(r"`([a-z0-9-]+)`")
_QUOTED = re.compile(r"“([^”]+)”")


def rows() -> dict[str, tuple[frozenset[str], tuple[str, ...]]]:
    """What stands in "What needs which right": by the right, the slugs that need it, and what is said without it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("\n| right |")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        right, slugs, without = (cell.strip() for cell in line.strip("|").split(" | ", 2))
        found[right.replace("`", "")] = (frozenset(_SLUGS.findall(slugs)), tuple(_QUOTED.findall(without)))
    return found


def needed_by(*rights: str) -> frozenset[str]:
    """The slugs that need one of those rights."""
    table = rows()
    return frozenset().union(*(table[right][0] for right in rights))


def quoted() -> list[str]:
    """Everything that the document says that the suite says."""
    return _QUOTED.findall(DOCUMENT.read_text(encoding="utf-8"))
