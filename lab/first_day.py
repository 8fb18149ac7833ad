"""The blocks of `docs/first-day.md` that give rights: the lab gives its own account these, and no others.

A block is marked by a word behind its language (```` ```sh account ````), so that
what is printed there for an operator is what was tried.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "first-day.md"
_FENCE = re.compile(r"^```(?P<language>[a-z]+)(?: (?P<name>[a-z_]+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str | None = None) -> dict[str, str]:
    """The marked blocks by their names.

    Args:
        document: The text; None for the document itself.

    Raises:
        LabError: Two have the same name, or it can't be read.
    """
    found: dict[str, str] = {}
    for match in _FENCE.finditer(_read() if document is None else document):
        name = match["name"]
        if name in found:
            raise LabError(f"{DOCUMENT}: two blocks are called {name!r}")
        if name is not None:
            found[name] = match["text"]
    return found


def filled(name: str, values: Mapping[str, str]) -> str:
    """A block with what it names in the place of the document's own names.

    Args:
        name: The block's.
        values: The document's words, and what to put there.

    Raises:
        LabError: The document has no such block.
    """
    text = blocks().get(name)
    if text is None:
        raise LabError(f"{DOCUMENT} has no block called {name!r}")
    if not values:
        return text
    # All at once, the longest first: what was put in is not looked at again.
    words = "|".join(re.escape(word) for word in sorted(values, key=len, reverse=True))
    return re.sub(words, lambda match: values[match[0]], text)


def _read() -> str:
    try:
        return DOCUMENT.read_text(encoding="utf-8")
    except OSError as error:
        raise LabError(f"{DOCUMENT} can't be read: {error.strerror}") from None
