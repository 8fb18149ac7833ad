"""Faults of what takes room in the database, of who is connected, and of the cache."""

from __future__ import annotations

from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
