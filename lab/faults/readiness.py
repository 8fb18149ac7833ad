"""Faults of what is needed on a bad day."""

from __future__ import annotations

from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
