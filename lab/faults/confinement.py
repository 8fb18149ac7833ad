"""Faults of containers, published ports and encryption."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
