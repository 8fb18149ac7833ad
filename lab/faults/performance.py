"""Faults of the database's settings, statistics and statements."""

from __future__ import annotations

from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
