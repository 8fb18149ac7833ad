"""What a killed run left half written beside its outputs, and who clears it away: the next one.

Whatever is written aside, to be renamed when it is whole, has its process's number in its name.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_ASIDE = re.compile(r".+\.(\d{1,9})\.(?:part|new)")


def clear(directories: Iterable[Path]) -> None:
    """Remove what processes that are no more were writing there; what can't be removed stays.

    Args:
        directories: Where to look; those that aren't there are passed over.
    """
    for directory in {one.resolve() for one in directories}:
        with suppress(OSError):
            for path in directory.iterdir():
                match = _ASIDE.fullmatch(path.name)
                if match and _is_gone(int(match[1])):
                    with suppress(OSError):
                        path.unlink()


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        return False
    return False
