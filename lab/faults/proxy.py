"""Changing the proxy's configuration for a while."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import FaultDidNotTake, eventually
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.stack import Lab

SITE = "site.conf"
HEADERS = "security-headers.conf"


@contextmanager
def edited(lab: Lab, file: str, changes: dict[str, str], look: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """Edit one of the proxy's files and reload it; put it back afterwards.

    Args:
        lab: whose proxy.
        file: name in the proxy's configuration directory.
        changes: regular expressions, each of which must match, and what stands in their place.
        look: what the change is to be seen by, in one line.

    Yields:
        What was seen before, and what is seen now.

    Raises:
        FaultDidNotTake: an expression matches nothing, or nothing changes that could be seen.
        LabError: nginx refuses the configuration, or it is not seen to be back as it was.
    """
    path = lab.nginx_configuration / file
    original = path.read_text()
    before = look()
    try:
        path.write_text(_changed(original, changes))
        lab.reload_nginx()
        # The old worker may answer for a moment yet.
        yield before, eventually(look, lambda seen: seen != before)
    finally:
        path.write_text(original)
        lab.reload_nginx()
        after = eventually(look, lambda seen: seen == before)
    if after != before:
        raise LabError(f"after {file} was put back this is seen: {after}; before: {before}")


def _changed(text: str, changes: dict[str, str]) -> str:
    for pattern, replacement in changes.items():
        text, count = re.subn(pattern, replacement.replace("\\", "\\\\"), text, flags=re.MULTILINE)
        if not count:
            raise FaultDidNotTake(f"nothing in the proxy's configuration matches {pattern!r}")
    return text
