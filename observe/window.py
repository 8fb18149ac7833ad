"""A window of the containers' logs, and how much of it could be seen.

A container that was made again has lost its old log, and a driver that rotates
drops old lines: "no errors" may then only mean "no log". So what is read comes
with how far back it reaches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from observe.application_log import records
from observe.container_log import Decoding, lines
from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from observe.json_file_log import stored
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from observe.application_log import Record, RecordConsumer
    from observe.container_log import LogLine, Skipped
    from observe.engine import Container, Project
    from observe.json_file_log import Stored
    from target.kinds import Share

T = TypeVar("T")


class Logged(Protocol):
    """Something that has a log of its own: a container, wherever its log is kept."""

    @property
    def id(self) -> str:
        """What tells it from all others."""

    @property
    def name(self) -> str:
        """What a person calls it."""


S = TypeVar("S", bound=Logged)
BEFORE = timedelta(seconds=5)
"""What is read before the window. Readers get it too and are told where the window begins."""
_LOST = "A container that was made again has lost its log."
_EVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Read(Generic[T]):
    """What was read of one container's log.

    Attributes:
        container: Whose log it is.
        reaches: How far back the log goes; the window's start when it goes beyond that.
        decoding: What the stream consisted of.
        said: What the reader made of it.
        damaged: Entries of its file that could not be read.
    """

    container: Logged
    reaches: datetime
    decoding: Decoding
    said: T
    damaged: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not as it should be, though it could be read, in words."""
        seen, name = self.decoding, self.container.name
        found = {
            f"damaged entries of the log of {name} that were left out": self.damaged,
            f"places where the log of {name} was not framed as it should be "
            f"({seen.skipped_bytes:,} bytes were given up)": seen.broken_frames,
            f"lines of the log of {name} that are longer than 64 KiB and were cut": seen.cut_lines,
            f"lines of the log of {name} without a time of the engine's, which count as of the window": seen.unstamped,
        }
        return tuple(f"{what}: {number:,}" for what, number in found.items() if number)


class Seen(NamedTuple, Generic[T]):
    """What was made of the logs of a window.

    Attributes:
        results: One of each container.
        looked_at: The denominator in words.
        notes: What was not as it should be in what was read, in words.
        share: How much of the window the logs cover, 0 to 1, on the average of the containers.
    """

    results: list[T]
    looked_at: str
    notes: tuple[str, ...]
    share: float = 1.0


class Window(ABC, Generic[S]):
    """A window of the logs of a service's containers, wherever they are kept.

    Attributes:
        since: Beginning of the window, aware.
        until: End of the window, aware.
        reach: Share of the window that the logs must reach back over.
    """

    since: datetime
    until: datetime
    reach: Share

    @property
    @abstractmethod
    def sources(self) -> Sequence[S]:
        """Whose logs there are.

        Raises:
            CannotTell: If that can't be asked.
        """

    @abstractmethod
    def _read(self, source: S, reader: Callable[[Iterable[Any]], T], skim_from: datetime | None) -> Read[T]:
        """What a reader makes of one log; see :mod:`observe.skim` for what may be left out."""

    def read(self, reader: Callable[[Iterable[LogLine]], T]) -> Seen[T]:
        """What a reader makes of the lines of each container.

        Args:
            reader: Gets the lines of one container, some of them from :data:`BEFORE` the window.

        Raises:
            CannotTell: If a log can't be read, not in time or only with faults, if
                all are empty, or if they don't reach back far enough.
        """
        return self._seen(tuple(self._read(one, reader, None) for one in self.sources))

    def read_records(self, makers: Sequence[Callable[[], RecordConsumer[Any]]]) -> list[Seen[Any] | CannotTell]:
        """What several consumers make of the records of each container, in one pass over its log.

        Args:
            makers: Each makes a consumer; called once for each container.

        Returns:
            For each maker what its consumers made, or why that can't be told.

        Raises:
            CannotTell: As for :meth:`read`, which then concerns them all.
        """
        consumers = {one.id: [_Guarded(make(), self.since) for make in makers] for one in self.sources}
        all_records = any(one.needs_requests for ones in consumers.values() for one in ones)
        skim_from = None if all_records else self.since

        def reader(source: S, lines: Iterable[LogLine | Skipped]) -> list[_Guarded]:
            mine = consumers[source.id]
            for record in records(lines):
                for one in mine:
                    one.take(record)
            for one in mine:
                one.finish()
            return mine

        seen = self._seen(tuple(self._read(one, partial(reader, one), skim_from) for one in self.sources))
        return [
            next(
                (one.failed for one in ones if one.failed is not None),
                Seen([one.result for one in ones], seen.looked_at, seen.notes, seen.share),
            )
            for ones in zip(*seen.results, strict=True)
        ]

    def _seen(self, reads: tuple[Read[T], ...]) -> Seen[T]:
        covered = self._covered(reads)
        covered.must_reach(self.reach, f"the log of {', '.join(one.name for one in self.sources)}")
        notes = tuple(note for one in reads for note in one.notes)
        return Seen([one.said for one in reads], covered.said, (*notes, *covered.notes), covered.share)

    def _covered(self, reads: Sequence[Read[T]]) -> Coverage:
        return coverage(reads, self.since, self.until)


@dataclass(frozen=True)
class LogWindow(Window["Container"]):
    """A window of the logs of a service's containers, as their engine keeps them.

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

    @property
    def sources(self) -> Sequence[Container]:
        """The containers."""
        return self.containers

    def _read(self, source: Container, reader: Callable[[Iterable[Any]], T], skim_from: datetime | None) -> Read[T]:
        files = stored(source) if self.project.local else None
        if files is None:
            return _through_engine(self, source, reader, skim_from)
        with files:
            return _from_files(self, source, reader, skim_from, files)


class _Guarded:
    """A consumer whose failure is its own, and that is given what it wants whoever else shares the pass."""

    def __init__(self, consumer: RecordConsumer[Any], since: datetime) -> None:
        self._consumer = consumer
        self._since = since
        self._known = False  # it was given a record that shows what kind of log this is
        self.needs_requests = consumer.needs_requests
        self.failed: CannotTell | None = None
        self.result: Any = None

    def take(self, record: Record) -> None:
        if self.failed is None and (self.needs_requests or record.matters or self._shows(record)):
            try:
                self._consumer.take(record)
            except Exception as error:  # noqa: BLE001  a mistake of one is no reason for the others not to tell
                self.failed = _told(error)

    def _shows(self, record: Record) -> bool:
        if self._known or (record.level is None and record.request is None):
            return False
        self._known = record.at is None or record.at >= self._since
        return self._known

    def finish(self) -> None:
        if self.failed is None:
            try:
                self.result = self._consumer.result()
            except Exception as error:  # noqa: BLE001  likewise
                self.failed = _told(error)


def _told(error: Exception) -> CannotTell:
    if isinstance(error, CannotTell):
        return error
    return CannotTell(f"the log could not be judged: {type(error).__name__}: {error}")


def _from_files(
    window: LogWindow,
    container: Container,
    reader: Callable[[Iterable[Any]], T],
    skim_from: datetime | None,
    files: Stored,
) -> Read[T]:
    """Read the engine's own files, without the engine."""
    decoding, since = Decoding(), window.since.astimezone(UTC)
    try:
        said = within(
            window.seconds,
            lambda: reader(files.lines(window.since - BEFORE, window.until, decoding, skim_from)),
            give_up=files.stop,
        )
    except TimeIsUp:
        raise CannotTell(
            f"the log of {container.name} was not read to its end within {say_span(timedelta(seconds=window.seconds))}",
            mend="Raise timeouts.logs in the target, or let the logs rotate.",
        ) from None
    if container.created >= window.since:
        reaches = container.created
    elif files.older or not container.rotates:
        reaches = since
    else:
        reaches = max(decoding.first_at or since, since)
    return Read(container, reaches, decoding, said, files.damaged)


def _through_engine(
    window: LogWindow, container: Container, reader: Callable[[Iterable[Any]], T], skim_from: datetime | None
) -> Read[T]:
    project, since, until, seconds = window.project, window.since, window.until, window.seconds
    decoding = Decoding()
    last = _last_line(project, container, until, seconds)

    def read(blocks: Iterator[bytes]) -> T:
        if skim_from is not None and not container.tty:
            from observe.skim import skimmed

            return reader(skimmed(blocks, decoding, skim_from))
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
        notes: What else should be known, in words.
        mend: What can be done about too little; empty for what can be done about a container's own log.
    """

    share: float
    said: str
    notes: tuple[str, ...] = ()
    mend: str = ""

    def must_reach(self, wanted: Share, what: str) -> None:
        """Insist that enough of the window was seen.

        Raises:
            CannotTell: If it wasn't.
        """
        if self.share < wanted:
            raise CannotTell(
                f"only {say_share(self.share)} of the window is in {what}: {self.said}",
                mend=f"{self.mend or _LOST} Look again later, or set coverage.log_window (now {wanted}) lower.",
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
