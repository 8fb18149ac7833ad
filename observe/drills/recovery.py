"""The backend is killed, and the stack is to come back by itself.

Serves the guide's "service down": what its restart policy does before anybody
types anything.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.drills.disturbed import ENDED, PATIENCE, Course, drill
from target.kinds import say_span

if TYPE_CHECKING:
    from observe.drills.disturbed import Disturbed, Means
    from observe.engine import Container


@dataclass(frozen=True)
class Recovery:
    """What came of killing every main process of a service.

    Attributes:
        course: How the drill went.
        limit: The time within which all had to be healthy and the site to answer, in seconds.
        seconds: How long that took; None when it did not come to it by itself, or ended again soon after.
        states: Container, how it was at the limit, and its restart policy.
        by_hand: Whether something had ended for good, and was started by hand.
    """

    course: Course
    limit: float
    seconds: float | None
    states: tuple[tuple[str, str, str], ...]
    by_hand: bool

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        return self.course.looked_at

    @property
    def recovered(self) -> bool:
        """Whether everything was well again in time, and is as it was."""
        return self.seconds is not None and self.seconds <= self.limit and not self.course.left

    @property
    def said(self) -> str:
        """What was seen, in words."""
        outage = _span(self.course.heard.outage)
        left = "".join(f"; {name} doesn't run any more" for name in self.course.left)
        if self.seconds is not None:
            return f"healthy again and answering after {_span(self.seconds)}, nobody was served for {outage}{left}"
        states = Counter((state, policy) for _, state, policy in self.states)
        they = ", ".join(f"{number} {state} (restart policy {policy})" for (state, policy), number in states.items())
        ours = "; what had ended was then started by hand" if self.by_hand else ""
        limit = _span(self.limit)
        return f"not healthy again by itself within {limit}: {they}{ours}; nobody was served for {outage}{left}"

    def rows(self) -> list[dict[str, str]]:
        """The containers for the report."""
        return [
            {"container": name, "at the limit": state, "restart policy": policy} for name, state, policy in self.states
        ]


def recovery(means: Means, limit: float) -> Recovery:
    """Kill the main processes of a service and see whether the stack recovers by itself.

    What doesn't is started by hand afterwards.

    Args:
        means: What the drill is made with.
        limit: The time within which everything must be healthy and the site answer, in seconds.

    Raises:
        CannotTell: If nothing could be disturbed or seen; the stack is as it was.
    """

    def work(stack: Disturbed) -> tuple[float | None, tuple[tuple[str, str, str], ...], bool]:
        with stack.phase(f"{means.service} killed, until all is well"):
            began = stack.kill()
            well = stack.wait_well(stack.before, began + limit, answering=True)
            mine = {one.id for one in stack.mine}
            seen = [one for one in stack.look() if one.id in mine]
            by_hand = not well and any(one.status in ENDED for one in seen)
            if not well and not by_hand:
                # It is on its way: say how long it takes.
                well = stack.wait_well(stack.before, began + limit + PATIENCE, answering=True)
            took = time.monotonic() - began if well else None
        if well:
            with stack.phase("until that counts as started for good"):
                took = took if stack.settle() else None
        if by_hand:
            with stack.phase("put back by hand"):
                stack.put_back()
                stack.wait_well(stack.before, time.monotonic() + PATIENCE, answering=True)
        return took, tuple((one.name, _state(one), one.restart_policy) for one in seen), by_hand

    (seconds, states, by_hand), course = drill(means, work)
    return Recovery(course, limit, seconds, states, by_hand)


def _state(one: Container) -> str:
    return one.health.status if one.running and one.health else one.status


def _span(seconds: float) -> str:
    return say_span(timedelta(seconds=round(seconds, 1)))
