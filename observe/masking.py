r"""What varies in a message, named instead of shown, so that messages of one kind come out the same.

In two steps: whole numbers first and alone, since what is left is then often the same text as before, whose mask is
remembered; then everything else in one pass.
"""

from __future__ import annotations

import re
from functools import lru_cache

WIDTH = 300
"""Characters of a message that are looked at."""

_NUMBER = re.compile(r"(?<![A-Za-z0-9_])[0-9]+(?![A-Za-z0-9_])")
_TEXT = r"""(?P<text>'[^'\n]*'|"[^"\n]*")"""
_URL = r"""(?P<url>\b[a-z][a-z0-9+.-]{1,15}://[^\s'"<>]+)"""
_PATH = r"""(?P<path>(?<![\w/.>-])/[^\s'"<>,;()\[\]]*)"""
# Each number in here is a 0 by now, unless letters stand beside it.
_OTHERS = r"""
    (?P<mail>(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+)
    |(?P<uuid>\b[0-9a-fA-F]{1,8}(?:-[0-9a-fA-F]{1,4}){3}-[0-9a-fA-F]{1,12}\b)
    |(?P<time>\b0-0-[0-9]+(?:[T ][0-9]+:0:[0-9]+(?:[.,][0-9]+)?(?:Z|[+-]0(?::0)?)?)?)
    |(?P<address>\b0\.0\.0\.0(?::0)?\b|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:]))
    |(?P<hex>\b0x[0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b)
    |(?P<id>\b(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9_-]{16,}\b)
    |(?P<n>(?<![A-Za-z_])[0-9]+(?:[.,]0)*)"""
_WITH_PATHS, _WITHOUT = (
    re.compile("|".join(parts), re.VERBOSE | re.ASCII) for parts in ((_TEXT, _URL, _PATH, _OTHERS), (_TEXT, _OTHERS))
)


def masked(text: str, *, paths: bool = True) -> str:
    """A message with numbers, ids, addresses and quoted texts named instead of shown.

    Two messages that differ in nothing else come out the same. At most the first :data:`WIDTH` characters count.

    Args:
        text: The message.
        paths: Whether paths and URLs vary too: they do where kinds are compared over weeks, since whoever scans a site
            makes up new ones; where somebody is to see which page fails they stay.
    """
    return _masked(_NUMBER.sub("0", text[:WIDTH]), paths)


@lru_cache(maxsize=8192)
def _masked(text: str, paths: bool) -> str:
    return (_WITH_PATHS if paths else _WITHOUT).sub(_name, text)


def _name(found: re.Match[str]) -> str:
    return f"<{found.lastgroup}>"
