"""Whether a service's log can be read on a bad day, and whether it is kept from filling the disk.

Serves the guide's `docker-compose logs SERVICE | tail -50`: the last lines of each container are read as that command
would, and nothing is concluded from what stands in them. A service that has said nothing is no fault; that the engine
handed over an empty log, whole, is what was seen.

The driver's options are those that the container was made with. The engine has put its own defaults among them then,
so what its configuration says today is of no interest. It starts no container whose size limit isn't a size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING

from observe.container_log import Decoding, LogLine
from observe.container_log import lines as decoded
from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from observe.engine import Container, Project

LAST = 50
"""So many lines of each container are read."""
_NOTHING_KEPT = "none"
_GROWS = "json-file"
_ROTATES_ITSELF = "local"
_UNREADABLE = "does not support reading"
_SHOWN = 300
_CARRIED_WITHIN = timedelta(minutes=10)
"""An agent carries what is said in bundles, and after a while."""
_ALWAYS = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class LastLines:
    """The last lines of a container's log, as the engine hands them over.

    Attributes:
        container: The container's name.
        driver: Its log driver.
        rotates: Whether it is known to drop old lines; None where that is another's business, as journald's.
        lines: The lines, oldest first; every one has a time.
        unread: Why it can't be read, in the engine's words; empty if it could.
    """

    container: str
    driver: str
    rotates: bool | None
    lines: tuple[LogLine, ...] = ()
    unread: str = ""

    @property
    def newest(self) -> datetime | None:
        """When the last line was said, in UTC; None where there is none."""
        return max((line.at for line in self.lines if line.at is not None), default=None)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is not as it should be."""
        found = []
        if self.unread:
            found.append(f"the log of {self.container} can't be read: {self.unread}")
        if self.rotates is False:
            found.append(f"the log of {self.container} has no size limit ({self.driver} without max-size)")
        return tuple(found)

    def row(self, now: datetime, since: datetime) -> dict[str, str]:
        """The log for the report, at the time of the run; lines since that time are of the windows looked at."""
        rotation = {True: "yes", False: "no", None: f"by {self.driver}"}[self.rotates]
        newest = "can't be read" if self.unread else "nothing said yet"
        if self.newest is not None:
            newest = f"{self.newest.astimezone(now.tzinfo):%Y-%m-%d %H:%M:%S}"
        return {
            "container": self.container,
            "driver": self.driver,
            "rotates": rotation,
            "lines read": str(len(self.lines)),
            "in the window": str(sum(line.at is not None and line.at >= since for line in self.lines)),
            "newest": newest,
        }


@dataclass(frozen=True)
class ReadableLogs:
    """The logs of a service's containers.

    Attributes:
        service: The service.
        logs: One of each container.
        since: From when on lines are of the windows that this suite looks at, aware.
        now: The time of the run, aware.
        shown: So many lines may be shown as an excerpt.
    """

    service: str
    logs: tuple[LastLines, ...]
    since: datetime
    now: datetime
    shown: int = LAST

    @property
    def looked_at(self) -> str:
        """The denominator: lines, containers."""
        read = sum(len(one.lines) for one in self.logs)
        number = f"{len(self.logs)} {'container' if len(self.logs) == 1 else 'containers'}"
        return f"the last {read} lines of {number}" if read else f"the logs of {number}, which have no line"

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is not as it should be, of all of them."""
        return tuple(trouble for one in self.logs for trouble in one.troubles)

    @property
    def said(self) -> str:
        """What was seen."""
        if self.troubles:
            return "; ".join(self.troubles)
        newest = max((one.newest for one in self.logs if one.newest is not None), default=None)
        if newest is None:
            return "read, and nothing said since it was made"
        beyond = "" if newest >= self.since else f", nothing within {say_span(self.now - self.since)}"
        return f"read, the last line of {newest.astimezone(self.now.tzinfo):%Y-%m-%d %H:%M:%S}{beyond}"

    def rows(self) -> list[dict[str, str]]:
        """The logs for the report."""
        return [one.row(self.now, self.since) for one in self.logs]

    def excerpt(self) -> list[str]:
        """The last lines of all containers in the order of their times, for somebody who is looking for a cause."""
        said = [(line.at, one.container, line.text) for one in self.logs for line in one.lines if line.at is not None]
        # By time alone: lines said in one breath have one time, and stay in the order in which they were said.
        said.sort(key=itemgetter(0))
        last = said[-self.shown :] if self.shown else []
        return [f"{container} {at.astimezone(self.now.tzinfo):%H:%M:%S} {text}" for at, container, text in last]


def readable_logs(
    project: Project, service: str, containers: Sequence[Container], since: datetime, now: datetime, seconds: float
) -> ReadableLogs:
    """Read the last lines of a service's containers.

    Args:
        project: Whose they are.
        service: The service.
        containers: Its containers, at least one.
        since: The beginning of the longest window that is looked at, aware.
        now: The time of the run, aware.
        seconds: Total time limit of reading one container's, in seconds.

    Raises:
        CannotTell: If the engine can't be asked or doesn't answer in time, or what it hands over is no log.
    """
    read = tuple(last_lines(project, one, now, seconds) for one in containers)
    return ReadableLogs(service, read, since, now)


def carried_logs(
    service: str,
    containers: Sequence[Container],
    said: Mapping[str, Sequence[LogLine]],
    with_engine: Callable[[Container], LastLines],
    since: datetime,
    now: datetime,
) -> ReadableLogs:
    """The last lines of a service's containers, where logs are carried elsewhere and read there.

    Whether a container's own log grows without end is still its driver's business. A container of which nothing was
    carried may have said nothing: whether it has says the engine.

    Args:
        service: The service.
        containers: Its containers, at least one.
        said: The last lines there by the name of the container; if no name is known, they are all containers'.
        with_engine: Reads a container's last line from the engine.
        since: The beginning of the longest window that is looked at, aware.
        now: The time of the run, aware.

    Raises:
        CannotTell: If nothing of a container was carried, and the engine can't say whether it has said something.
    """
    if said and not any(one.name in said for one in containers):
        own = [LastLines(one.name, one.log_driver, _rotates(one)) for one in containers]
        there = [LastLines(name, "elsewhere", None, tuple(lines)) for name, lines in said.items()]
        return ReadableLogs(service, (*own, *there), since, now)
    logs = []
    for one in containers:
        carried = LastLines(one.name, one.log_driver, _rotates(one), tuple(said.get(one.name, ())))
        logs.append(carried if carried.lines else _uncarried(carried, with_engine(one), now))
    return ReadableLogs(service, tuple(logs), since, now)


def _uncarried(nothing: LastLines, own: LastLines, now: datetime) -> LastLines:
    """What it means that nothing of a container was carried to where logs are read."""
    if own.unread:
        raise CannotTell(
            f"nothing of {own.container} is where its log is to be read, and whether it has said anything can't be "
            f"asked: {own.unread}",
            mend="Is its log carried there, under these labels? See loki.selector.",
        )
    if own.newest is None or now - own.newest < _CARRIED_WITHIN:
        return nothing
    last = f"{own.newest.astimezone(now.tzinfo):%Y-%m-%d %H:%M:%S}"
    return replace(nothing, unread=f"what it said at {last} was not carried to where its log is read")


def last_lines(project: Project, container: Container, now: datetime, seconds: float, number: int = LAST) -> LastLines:
    """Read the last lines that a container has said until now.

    Args:
        project: Whose it is.
        container: Which one.
        now: The time of the run, aware.
        seconds: Total time limit, in seconds.
        number: So many lines.

    Raises:
        CannotTell: As :func:`readable_logs`.
    """
    rotates = _rotates(container)
    if container.log_driver == _NOTHING_KEPT:
        # The engine needn't be asked: with that driver nothing is handed to it.
        return LastLines(container.name, container.log_driver, None, unread="its log driver is none, nothing is kept")
    try:
        last, _ = _read(project, container, now, seconds, 1)
        lines, decoding = _read(project, container, now, seconds, number)
    except CannotTell as why:
        if why.cause or _UNREADABLE not in why.what:
            raise
        unread = f"its log driver {container.log_driver} {_UNREADABLE}"
        return LastLines(container.name, container.log_driver, rotates, unread=unread)
    unread = ""
    if decoding.engine_errors:
        unread = f"the engine says {decoding.engine_errors[0][:_SHOWN]}"
    elif last and last[-1].at is not None and (decoding.last_at is None or decoding.last_at < last[-1].at):
        # A damaged entry ends the engine's answer without a word.
        unread = "its file is damaged, and lines are missing before the last one"
    elif decoding.broken_frames or decoding.unstamped:
        raise CannotTell(
            f"what the engine handed over as the log of {container.name} is none: "
            f"{decoding.unstamped} of {decoding.lines} lines without a time, broken in {decoding.broken_frames} places",
            mend=f"Look at it by hand: docker logs --tail {number} --timestamps {container.name}",
        )
    return LastLines(container.name, container.log_driver, rotates, lines, unread)


def _read(
    project: Project, container: Container, now: datetime, seconds: float, number: int
) -> tuple[tuple[LogLine, ...], Decoding]:
    decoding = Decoding()

    def read(blocks: Iterator[bytes]) -> list[LogLine]:
        return list(decoded(blocks, tty=container.tty, decoding=decoding))

    seen = project.read_log(container, _ALWAYS, now, read, seconds=seconds, tail=number)
    return tuple(seen[-number:]), decoding


def _rotates(container: Container) -> bool | None:
    """Whether old lines are dropped; None where whoever is given the log sees to that."""
    if container.log_driver in {_GROWS, _ROTATES_ITSELF}:
        return container.rotates
    return None
