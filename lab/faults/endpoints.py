"""Faults of single routes."""

from __future__ import annotations

from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
