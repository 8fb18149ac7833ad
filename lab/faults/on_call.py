"""Faults of runbooks, of the alert route and of the rota."""

from __future__ import annotations

from lab.faults.fault import Fault

FAULTS: tuple[Fault, ...] = ()
