"""What is remembered of the database's login roles from run to run; by itself, since every run loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class RoleUse(NamedTuple):
    """When a role was last seen in use.

    Attributes:
        used: When that was, aware.
        calls: How many of its statements the server had counted then; None where they weren't asked for.
    """

    role: str
    used: datetime
    calls: int | None
