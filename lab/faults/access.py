"""Faults in three months of access logs: refused logins, visits to the admin area."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
