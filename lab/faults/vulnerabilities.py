"""Faults of what is installed: packages with a known advisory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
