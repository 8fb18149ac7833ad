"""A window of the containers' logs, and how much of it could be seen.

A container that was made again has lost its old log, and a driver that rotates
drops old lines: "no errors" may then only mean "no log". So what is read comes
with how far back it reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from observe.container_log import Decoding, lines
from observe.errors import CannotTell
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from observe.container_log import LogLine
    from observe.engine import Container, Project
    from target.kinds import Share

T = TypeVar("T")
BEFORE = timedelta(seconds=5)
"""What is read before the window. Readers get it too and are told where the window begins."""
_EVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Read(Generic[T]):
    """What was read of one container's log.

    Attributes:
        container: Whose log it is.
        reaches: How far back the log goes; the window's start when it goes beyond that.
        decoding: What the stream consisted of.
        said: What the reader made of it.
    """

    container: Container
    reaches: datetime
    decoding: Decoding
    said: T


@dataclass(frozen=True)
class LogWindow:
    """A window of the logs of a service's containers.

    Attributes:
        project: The project they belong to.
        containers: Whose logs.
        since: Beginning of the window, aware.
        until: End of the window, aware.
        reach: Share of the window that the logs must reach back over.
        seconds: Total time limit of each log, in seconds.
    """

    project: Project
    containers: Sequence[Container]
    since: datetime
    until: datetime
    reach: Share
    seconds: float

    def read(self, reader: Callable[[Iterable[LogLine]], T]) -> tuple[list[T], str]:
        """What a reader makes of the lines of each container, and the denominator in words.

        Args:
            reader: Gets the lines of one container, some of them from :data:`BEFORE` the window.

        Raises:
            CannotTell: If a log can't be read, not in time or only with faults, if
                all are empty, or if they don't reach back far enough.
        """
        reads = tuple(self._read(one, reader) for one in self.containers)
        covered = coverage(reads, self.since, self.until)
        covered.must_reach(self.reach, f"the log of {', '.join(one.name for one in self.containers)}")
        return [one.said for one in reads], covered.said

    def _read(self, container: Container, reader: Callable[[Iterable[LogLine]], T]) -> Read[T]:
        return _read(self.project, container, self.since, self.until, reader, self.seconds)


def _read(
    project: Project,
    container: Container,
    since: datetime,
    until: datetime,
    reader: Callable[[Iterable[LogLine]], T],
    seconds: float,
) -> Read[T]:
    decoding = Decoding()
    last = _last_line(project, container, until, seconds)

    def read(blocks: Iterator[bytes]) -> T:
        return reader(lines(blocks, tty=container.tty, decoding=decoding))

    # A little early: an entry that began before the window must not look like one of its own.
    said = project.read_log(container, since - BEFORE, until, read, seconds=seconds)
    if decoding.engine_errors:
        raise CannotTell(
            f"the engine could not read the log of {container.name} to its end: {decoding.engine_errors[0][:200]}",
            mend="Its log file may be damaged by a full disk or a crash; making the container again mends it.",
        )
    if last is not None and last >= since and (decoding.last_at is None or decoding.last_at < last):
        # A damaged entry ends the engine's answer without a word: what came after it is missing.
        raise CannotTell(
            f"the log of {container.name} breaks off at {decoding.last_at or 'once'}, its last line is of {last}",
            mend="Its log file is damaged, by a full disk or a crash; making the container again mends it.",
        )
    if decoding.broken_frames and not decoding.lines:
        raise CannotTell(f"the log of {container.name} came in a shape that can't be read")
    reaches = _reaches(project, container, since, decoding, seconds)
    return Read(container, reaches, decoding, said)


def _last_line(project: Project, container: Container, until: datetime, seconds: float) -> datetime | None:
    """The time of the log's last line, which the engine reads from the end; None if there is none."""

    def stamp(blocks: Iterator[bytes]) -> datetime | None:
        return max((line.at for line in lines(blocks, tty=container.tty) if line.at is not None), default=None)

    return project.read_log(container, _EVER, until, stamp, seconds=seconds, tail=1)


def _reaches(project: Project, container: Container, since: datetime, decoding: Decoding, seconds: float) -> datetime:
    """How far back the log goes, at most to the window's start."""
    if container.created >= since:
        return container.created
    if not container.rotates:
        return since.astimezone(UTC)
    # Old lines may have been dropped: only a line from before the window shows that none of it was.
    # Not by tail=1: the engine takes the tail first and then leaves out what is too young. One block will do.
    if project.read_log(container, _EVER, since, any, seconds=seconds):
        return since.astimezone(UTC)
    return max(decoding.first_at or since, since).astimezone(UTC)


@dataclass(frozen=True)
class Coverage:
    """How much of a window the logs cover.

    Attributes:
        share: The mean share over the containers, 0 to 1.
        said: The denominator in words: containers, lines, hours of hours.
    """

    share: float
    said: str

    def must_reach(self, wanted: Share, what: str) -> None:
        """Insist that enough of the window was seen.

        Raises:
            CannotTell: If it wasn't.
        """
        if self.share < wanted:
            raise CannotTell(
                f"only {say_share(self.share)} of the window is in {what}: {self.said}",
                mend=f"A container that was made again has lost its log. Look again later, or set coverage.log_window "
                f"(now {wanted}) lower.",
            )


def coverage(reads: Sequence[Read[T]], since: datetime, until: datetime) -> Coverage:
    """How much of the window the logs cover together.

    Raises:
        CannotTell: If there is no line in any of them.
    """
    window = until - since
    seen = [max(timedelta(0), until - one.reaches) for one in reads]
    number = sum(one.decoding.lines for one in reads)
    names = ", ".join(one.container.name for one in reads)
    if not number:
        raise CannotTell(
            f"the log of {names} is empty over {say_span(window)}: nothing was looked at",
            mend="Does the service log to its standard output? If it was made again, its old log is gone.",
        )
    share = min(1.0, sum(seen, timedelta(0)) / (window * len(reads)))
    shortest = min(seen)
    reach = "all" if shortest >= window else say_span(shortest)
    containers = "1 container" if len(reads) == 1 else f"{len(reads)} containers"
    return Coverage(share, f"{number:,} lines of {containers}, {reach} of {say_span(window)}")
