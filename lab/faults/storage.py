"""Faults of what takes room in the database, of who is connected, and of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
