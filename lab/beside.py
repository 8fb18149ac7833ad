"""Containers that stand beside a lab's Compose project and not in it, found by a label of their own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lab.engine import client
from lab.progress import LabError

if TYPE_CHECKING:
    from docker.models.containers import Container

    from lab.stack import Lab


def standing(lab: Lab, label: str, what: str) -> Container:
    """The container of that label.

    Args:
        lab: Beside which.
        label: Its label, whose value is the lab's name.
        what: What the lab lacks without it.

    Raises:
        LabError: there is none.
    """
    found = _all(lab, label)
    if not found:
        raise LabError(f"lab {lab.name} has no {what}; mend it with: python -m lab up")
    return found[0]


def removed(lab: Lab, label: str) -> bool:
    """Remove it; True when there was one. To be done before the project's network goes."""
    import docker

    found = _all(lab, label)
    for one in found:
        with contextlib.suppress(docker.errors.NotFound):
            one.remove(force=True, v=True)
    return bool(found)


def _all(lab: Lab, label: str) -> list[Container]:
    found: list[Container] = client().containers.list(
        all=True, filters={"label": f"{label}={lab.name}"}, ignore_removed=True
    )
    return found
