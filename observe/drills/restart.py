"""The backend is restarted as the guide says, one container after the other, and nobody is to notice.

Serves the guide's `docker-compose restart backend`: "no downtime if using
multiple instances". Compose itself restarts all containers of a service at
once; it is by going one by one that there is always one to serve.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.drills.disturbed import PATIENCE, Course, drill
from target.kinds import say_span

if TYPE_CHECKING:
    from observe.drills.disturbed import Disturbed, Means


@dataclass(frozen=True)
class Restarts:
    """A restart of a service, container by container.

    Attributes:
        course: How the drill went.
        limit: The time within which each had to be healthy again, in seconds.
        seconds: Name of a container, and how long it took from the order to its being healthy again;
            None when it wasn't healthy long after the limit.
    """

    course: Course
    limit: float
    seconds: tuple[tuple[str, float | None], ...]

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        return self.course.looked_at

    @property
    def troubles(self) -> tuple[str, ...]:
        """What was not as it should be, a sentence each."""
        found = []
        if self.course.containers == 1:
            found.append("there is one container, so nobody can be served while it restarts")
        if self.course.heard.failures:
            found.append(self.course.heard.said)
        late = [(name, took) for name, took in self.seconds if took is None or took > self.limit]
        found += [f"{name} was {_said(took)}" for name, took in late]
        if len(self.seconds) < self.course.containers:
            found.append("the others were left alone")
        found += [f"{name} doesn't run any more" for name in self.course.left]
        return tuple(found)

    @property
    def said(self) -> str:
        """What was seen, in words."""
        if self.troubles:
            return "; ".join(self.troubles)
        slowest = max((took for _, took in self.seconds if took is not None), default=0.0)
        return f"{self.course.heard.said}, each healthy again within {_span(slowest)}"

    @property
    def slowest(self) -> float | None:
        """The longest that one took to be healthy again, in seconds; None when one never was."""
        took = [one for _, one in self.seconds]
        return None if None in took or not took else max(one for one in took if one is not None)

    def rows(self) -> list[dict[str, str]]:
        """The containers for the report."""
        return [{"container": name, "was": _said(took)} for name, took in self.seconds]


def restart(means: Means, limit: float) -> Restarts:
    """Restart a service, one container after the other; the next one only when the last is healthy again in time.

    Args:
        means: What the drill is made with.
        limit: The time within which each must be healthy again, in seconds.

    Raises:
        CannotTell: If nothing could be disturbed or seen; the stack is as it was.
    """

    def work(stack: Disturbed) -> list[tuple[str, float | None]]:
        seconds: list[tuple[str, float | None]] = []
        for one in stack.mine:
            with stack.phase(f"restart of {one.name}") as began:
                stack.restart(one)
                well = stack.wait_well([one], began + limit + PATIENCE)
                took = time.monotonic() - began if well else None
            seconds.append((one.name, took))
            if took is None or took > limit:
                break
        return seconds

    seconds, course = drill(means, work)
    return Restarts(course, limit, tuple(seconds))


def _said(took: float | None) -> str:
    return "not healthy again" if took is None else f"healthy again after {_span(took)}"


def _span(seconds: float) -> str:
    return say_span(timedelta(seconds=round(seconds, 1)))
