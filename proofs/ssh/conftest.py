"""A door to the lab's machine by SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab import ssh_door

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.ssh_door import Door
    from lab.stack import Lab


@pytest.fixture(scope="module")
def door(lab: Lab) -> Iterator[Door]:
    """A door for an account that has exactly the rights of docs/first-day.md."""
    with ssh_door.opened(lab) as door:
        yield door
