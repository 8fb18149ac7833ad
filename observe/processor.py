"""How busy a service's containers keep the processor: two samples of the engine's own counters, some time apart.

Serves "Database CPU > 80%?" of the scaling decisions. The share is one of what the container may use, so that a
database held to half a processor is busy when it uses that half. It is what the last seconds were like and no more:
who wants to know about a day keeps a history of it.

Each sample is asked for by itself (`one-shot`). Without that the engine takes two samples a second apart, and nobody
would choose the span; an engine that doesn't know the word does just that, and the samples are right all the same.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from observe.errors import CannotTell
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import docker

    from observe.engine import Container, Engine

_PERIOD = 100_000
"""The kernel's period in microseconds, where a container has a quota and names none."""
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_LONGEST_ANSWER = 1_000_000
_NO_STATS = (
    "See whether `docker stats` shows the container; an engine without a counter for the processor can't be asked."
)


@dataclass(frozen=True)
class Sample:
    """What the engine has counted of a container's processor time.

    Attributes:
        at: When, by the engine's clock.
        used: Nanoseconds of all processors since the container was started.
        processors: How many there are on the engine's host.
    """

    at: datetime
    used: int
    processors: int


@dataclass(frozen=True)
class Allowance:
    """How much of the processor a container may use.

    Attributes:
        processors: So many at once; 0.5 is half of one.
        said: The same in words.
    """

    processors: float
    said: str


@dataclass(frozen=True)
class Busy:
    """How busy a container was.

    Attributes:
        container: Its name.
        used: Processor time, in seconds.
        span: Between the two samples.
        allowance: What it may use.
    """

    container: str
    used: float
    span: timedelta
    allowance: Allowance

    @property
    def share(self) -> float:
        """Of what it may use in that time: 0 to 1, or a little more, since a quota is counted out in pieces."""
        return self.used / (self.span.total_seconds() * self.allowance.processors)


@dataclass(frozen=True)
class Processor:
    """How busy the containers of a service were.

    Attributes:
        busy: One for each container that runs.
    """

    busy: tuple[Busy, ...]

    @property
    def busiest(self) -> Busy:
        """The container that used most of what it may use."""
        return max(self.busy, key=lambda one: one.share)

    @property
    def share(self) -> float:
        """The busiest one's share."""
        return self.busiest.share

    @property
    def figure(self) -> str:
        """The busiest one's share in words."""
        return say_share(self.share)

    @property
    def said(self) -> str:
        """The share, of what, and over how long."""
        one = self.busiest
        of = f", the busiest of {len(self.busy)}" if len(self.busy) > 1 else ""
        return f"{self.figure} of {one.allowance.said} over {say_span(one.span)}{of}"

    @property
    def looked_at(self) -> str:
        """The denominator."""
        number = len(self.busy)
        return f"2 samples of {number} container{'' if number == 1 else 's'}, {say_span(self.busiest.span)} apart"

    def rows(self) -> list[dict[str, str]]:
        """The containers for the report, the busiest first."""
        return [
            {
                "container": one.container,
                "used": f"{one.used:.2f} s of processor time in {say_span(one.span)}",
                "may use": one.allowance.said,
                "share": say_share(one.share),
            }
            for one in sorted(self.busy, key=lambda one: -one.share)
        ]


def processor(engine: Engine, containers: Sequence[Container], span: timedelta) -> Processor:
    """How busy some containers of a service keep the processor.

    Args:
        engine: The engine that they are on.
        containers: The service's, at least one; those that don't run are left out.
        span: Between the two samples, at least; an engine may take up to a second for each.

    Raises:
        CannotTell: If none of them runs, the engine can't be asked, or it doesn't count what they use.
    """
    running = [one for one in containers if one.running]
    if not running:
        one = containers[0]
        raise CannotTell(f"the container {one.name} is {one.status}", cause=f"service {one.service}")
    made = [_made(engine, one) for one in running]
    first = [_sample(engine, one) for one in running]
    time.sleep(span.total_seconds())
    second = [_sample(engine, one) for one in running]
    again = [_made(engine, one) for one in running]
    return Processor(
        tuple(
            _between(*seen)
            for seen in zip(running, zip(made, again, strict=True), zip(first, second, strict=True), strict=True)
        )
    )


def allowance(configured: Mapping[str, Any], processors: int) -> Allowance:
    """What a container may use: the least of its limits, else every processor of the host.

    Args:
        configured: The container's `HostConfig`, as the engine describes it.
        processors: How many there are on the engine's host.
    """
    possible = [Allowance(float(processors), f"the host's {_processors(processors)}")]
    nano, quota = configured.get("NanoCpus") or 0, configured.get("CpuQuota") or 0
    if nano > 0:
        possible.append(_limited(nano / 1e9))
    if quota > 0:
        possible.append(_limited(quota / (configured.get("CpuPeriod") or _PERIOD)))
    if chosen := _set_of(configured.get("CpusetCpus") or ""):
        possible.append(Allowance(float(chosen), f"the {_processors(chosen)} of its set"))
    return min(possible, key=lambda one: one.processors)


def sampled(answer: Mapping[str, Any], name: str) -> Sample:
    """The sample in what the engine says of a container.

    Args:
        answer: The engine's answer to `/containers/…/stats`.
        name: The container's, to say it.

    Raises:
        CannotTell: If there is none in it, which is so where the engine may not read the kernel's counters.
    """
    counted = answer.get("cpu_stats") or {}
    usage = counted.get("cpu_usage") or {}
    used = usage.get("total_usage") or 0
    processors = counted.get("online_cpus") or len(usage.get("percpu_usage") or ())
    try:
        at = datetime.fromisoformat(str(answer.get("read", "")))
    except ValueError:
        at = datetime.min.replace(tzinfo=UTC)
    if not used or not processors or at.tzinfo is None or at.year < 1970:
        # A container that runs has used some: nothing counted isn't nothing used.
        raise CannotTell(f"the engine doesn't say how much of the processor {name} has used", mend=_NO_STATS)
    return Sample(at, int(used), int(processors))


def _between(container: Container, made: tuple[_Made, _Made], samples: tuple[Sample, Sample]) -> Busy:
    """What happened between two samples.

    Raises:
        CannotTell: If they aren't two of one and the same life of the container.
    """
    before, after = samples
    span, used = after.at - before.at, after.used - before.used
    if made[0].started != made[1].started or used < 0:
        raise CannotTell(
            f"{container.name} was started anew between the two samples",
            mend="Look again; if it happens again, see why it ends: the daily checks say so.",
            cause=f"service {container.service}",
        )
    if span <= timedelta(0):
        raise CannotTell(f"the engine gave the same sample of {container.name} twice", mend=_NO_STATS)
    return Busy(container.name, used / 1e9, span, allowance(made[1].configured, after.processors))


def _sample(engine: Engine, container: Container) -> Sample:
    def question(client: docker.DockerClient) -> Sample:
        api = client.api
        # The SDK's own stats() knows no one-shot.
        url = f"{api.base_url}/v{api.api_version}/containers/{container.id}/stats?stream=false&one-shot=true"
        with api.get(url, timeout=api.timeout) as answer:
            if answer.status_code != 200 or len(answer.content) > _LONGEST_ANSWER:
                raise CannotTell(
                    f"the engine doesn't say how much of the processor {container.name} uses: it answers "
                    f"{answer.status_code}",
                    mend=_NO_STATS,
                )
            return sampled(answer.json(), container.name)

    return engine.ask(f"say how much of the processor {container.name} uses", question)


class _Made(NamedTuple):
    """A container's limits and when it was started, and nothing else of what the engine knows of it."""

    configured: Mapping[str, Any]
    started: str


def _made(engine: Engine, container: Container) -> _Made:
    def question(client: docker.DockerClient) -> _Made:
        from docker.errors import NotFound

        try:
            seen = client.api.inspect_container(container.id)
        except NotFound:
            raise CannotTell(f"{container.name} is gone", cause=f"service {container.service}") from None
        limits = {name: seen["HostConfig"].get(name) for name in ("NanoCpus", "CpuQuota", "CpuPeriod", "CpusetCpus")}
        return _Made(limits, str(seen["State"]["StartedAt"]))

    return engine.ask("say what a container may use", question)


def _set_of(text: str) -> int:
    """How many processors a set such as `0-2,7` has; 0 where there is no set, or none that can be read."""
    chosen: set[int] = set()
    for part in filter(None, text.split(",")):
        if (found := _RANGE.fullmatch(part.strip())) is None:
            return 0
        chosen.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    return len(chosen)


def _limited(processors: float) -> Allowance:
    return Allowance(processors, f"its limit of {_processors(processors)}")


def _processors(number: float) -> str:
    return f"{number:g} processor{'' if number == 1 else 's'}"
