"""The services of the project: wanted against running, and what happened to them lately.

Serves the guide's `docker-compose ps`, "all services up".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observe.compose import Wanted
    from observe.engine import Container, Event

SETTLED = timedelta(seconds=10)
"""The engine itself takes a container that ran for so long as started for good and resets its back-off."""

ENDED_BY_HAND = timedelta(seconds=30)
"""An end so soon after a kill was asked for by somebody: a stop sends a signal, waits and then kills."""

CLOCKS = timedelta(seconds=2)
"""How far the clocks of this machine and of the engine's may be apart."""

LONGEST_DRILL = timedelta(minutes=10)
"""How long a drill that never said its end may have gone on."""


@dataclass(frozen=True)
class Service:
    """A wanted service and its containers as they are now."""

    wanted: Wanted
    containers: tuple[Container, ...]

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        return f"{len(self.containers)} of {self.wanted.containers} containers"

    @property
    def wanted_in_words(self) -> str:
        """What is wanted of it, in words."""
        if self.wanted.job:
            return "ended well, as the job that it is"
        return f"{self.wanted.containers} running and healthy"

    def troubles(self, now: datetime) -> tuple[str, ...]:
        """Everything that is wrong with it, a sentence each; empty when it is up."""
        troubles = [
            f"{one.name} {trouble}" for one in self.containers if (trouble := _trouble(one, now, job=self.wanted.job))
        ]
        missing = self.wanted.containers - len(self.containers)
        if missing > 0:
            there = len(self.containers) or "none"
            troubles.insert(0, f"{there} of {self.wanted.containers} containers there")
        return tuple(troubles)

    @property
    def as_it_is(self) -> str:
        """What was seen when nothing is wrong, in words."""
        if self.wanted.job and not any(one.running for one in self.containers):
            return f"{len(self.containers)} ended well"
        more = len(self.containers) - self.wanted.containers
        extra = f", {more} more than {self.wanted.origin} wants" if more > 0 else ""
        health = Counter(one.health.status if one.health else "without a health check" for one in self.containers)
        if set(health) == {"healthy"}:
            return f"{len(self.containers)} running and healthy{extra}"
        said = ", ".join(f"{number} {what}" for what, number in sorted(health.items()))
        return f"{len(self.containers)} running: {said}{extra}"

    def rows(self, now: datetime) -> list[dict[str, str]]:
        """The service's containers for the report."""
        return [
            {
                "container": one.name,
                "state": one.status,
                "health": one.health.status if one.health and one.running else "no check" if one.running else "-",
                "since": say_span(now - one.started) if one.started else "never started",
                "restarts": str(one.restarts),
                "restart policy": one.restart_policy,
            }
            for one in self.containers
        ]


def _trouble(one: Container, now: datetime, *, job: bool) -> str:
    if one.status == "restarting":
        return f"restarts over and over: {_times(one.restarts)}, last exit code {one.exit_code}"
    if one.status in {"exited", "dead"}:
        if job and one.exit_code == 0:
            return ""
        since = f" for {say_span(now - one.finished)}" if one.finished else ""
        why = ", killed for want of memory" if one.oom_killed else ""
        return f"is not running{since}: it ended with exit code {one.exit_code}{why}"
    if not one.running:
        return f"is {one.status}"
    uptime = now - one.started if one.started else timedelta(0)
    if one.restarts and uptime < SETTLED:
        return f"restarts over and over: {_times(one.restarts)}, last exit code {one.exit_code}"
    if one.health is None or one.health.status == "healthy":
        return ""
    said = f": {one.health.last}" if one.health.last else ""
    if one.health.status == "starting":
        if uptime <= one.health.grace:
            return ""
        return f"is still starting after {say_span(uptime)}, its health check allows {say_span(one.health.grace)}{said}"
    return f"is {one.health.status}{said}"


@dataclass(frozen=True)
class Mishap:
    """Something that befell a container without anybody asking for it.

    Attributes:
        container: Its name.
        what: What happened, in words.
        at: When, in UTC; None when the engine doesn't remember.
    """

    container: str
    what: str
    at: datetime | None

    def said(self, now: datetime) -> str:
        """The mishap in words."""
        when = f", lastly {say_span(now - self.at)} ago" if self.at else ", the engine no longer knows when"
        return f"{self.container} {self.what}{when}"


@dataclass(frozen=True)
class Disturbance:
    """What a drill of ours did to a container, which is no mishap.

    Attributes:
        container: Its id.
        drill: The drill's slug.
        since: When it began, in UTC.
        until: When the drill was over; None when it never said so.
        restarts_before: What the engine's counter of restarts by policy said before it.
        started_before: When the container was started last before it, None if never.
        restarts_after: What the counter said when the drill was over.
    """

    container: str
    drill: str
    since: datetime
    until: datetime | None
    restarts_before: int
    started_before: datetime | None
    restarts_after: int

    def covers(self, at: datetime) -> bool:
        """Whether something that befell the container then was the drill's doing."""
        until = self.since + LONGEST_DRILL if self.until is None else self.until
        return self.since - CLOCKS <= at <= until + CLOCKS


@dataclass(frozen=True)
class Mishaps:
    """What befell the containers of a service.

    Attributes:
        all: The mishaps.
        containers: How many containers were looked at.
        window: How far back was asked for.
        remembered: How far back of that the engine's events go; its counters go back to the container's start.
        ours: What drills of ours did to them in that time, which doesn't count.
        what: What was looked at: `container`, whose engine has counters and events, or a Swarm's `task`.
    """

    all: tuple[Mishap, ...]
    containers: int
    window: timedelta
    remembered: timedelta
    ours: tuple[Disturbance, ...] = ()
    what: str = "container"

    def notes(self, now: datetime) -> tuple[str, ...]:
        """What was left out, a sentence for each drill."""
        drills: dict[str, datetime] = {}
        for one in self.ours:
            drills[one.drill] = max(one.since, drills.get(one.drill, one.since))
        return tuple(
            f"What the drill {drill} did {say_span(now - at)} ago is no mishap, and is left out."
            for drill, at in sorted(drills.items())
        )

    @property
    def none(self) -> str:
        """What was seen where nothing befell them, in words."""
        return "no restart by policy, no want of memory" if self.what == "container" else "no task ended by itself"

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        looked_at = f"1 {self.what}" if self.containers == 1 else f"{self.containers} {self.what}s"
        by = "counters, and events" if self.what == "container" else "those before them too, as far as they are kept,"
        return f"{looked_at}: {by} of {say_span(self.remembered)} of {say_span(self.window)}"


def mishaps(
    containers: Sequence[Container], events: Sequence[Event], since: datetime, ours: Sequence[Disturbance] = ()
) -> tuple[Mishap, ...]:
    """Restarts by policy and out-of-memory kills since then, but for what drills of ours did.

    The engine's counters say how often but not when, and are reset when
    somebody starts the container by hand; its events say when, but it forgets
    them. Each covers what the other can't see.
    """
    found: list[Mishap] = []
    for one in containers:
        mine = [event for event in events if event.container == one.id]
        memory = [event.at for event in mine if event.action == "oom" and event.at >= since]
        # Without a policy it was somebody who started it again, such as a job at the next deployment.
        ends = [at for at in _ends_unasked(mine) if at >= since] if one.restart_policy != "no" else []
        drills = [each for each in ours if each.container == one.id]
        ends = [at for at in ends if not any(each.covers(at) for each in drills)]
        restarts, started = _but_for(drills, one)
        if memory:
            found.append(Mishap(one.name, f"ran out of memory {_times(len(memory))}", memory[-1]))
        elif one.oom_killed and (one.finished is None or one.finished >= since):
            # The mark is set at an end and stays through the starts that follow it.
            found.append(Mishap(one.name, "ran out of memory", one.finished))
        restarted = restarts and started is not None and started >= since
        if restarted or ends:
            said = _times(max(restarts if restarted else 0, len(ends)))
            found.append(Mishap(one.name, f"was restarted by its policy {said}", ends[-1] if ends else started))
    return tuple(found)


def _but_for(drills: Sequence[Disturbance], one: Container) -> tuple[int, datetime | None]:
    """The counter of restarts and the last start of a container as they would be without our drills."""
    restarts, started = one.restarts, one.started
    for drill in sorted(drills, key=lambda each: each.since, reverse=True):
        if started is not None and drill.covers(started):
            # Whatever came before the drill is looked at as it was then: a restart by hand has set the counter back.
            restarts, started = drill.restarts_before, drill.started_before
        elif started is not None and started > drill.since and restarts > drill.restarts_after:
            restarts -= max(0, drill.restarts_after - drill.restarts_before)
            break
    return restarts, started


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _ends_unasked(events: Sequence[Event]) -> list[datetime]:
    """The ends that nobody asked for and that were followed by a start."""
    ends: list[datetime] = []
    asked: datetime | None = None
    for number, event in enumerate(events):
        if event.action == "kill":
            asked = event.at
        elif event.action == "die" and (asked is None or event.at - asked > ENDED_BY_HAND):
            # A stop is told of when it is done: after the end, however long that took.
            after = next((later.action for later in events[number + 1 :] if later.action in {"start", "stop"}), "")
            if after == "start":
                ends.append(event.at)
    return ends
