"""The figures of an access log over a window, from one pass over its files.

Serves the guide's weekly "Monitor response times" and "Review rate limiting
stats", its monthly look for exploit paths, and the quarterly reviews of refused
logins and of the admin area. `zgrep` and `awk` by hand read ninety days of logs
once for each question; here one reading answers all of them, two processes
share the files, and what was counted of rotated files is kept for the next time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from observe.access_cache import Cache, Identity, identity, join
from observe.access_counts import LINE_BOUND, OTHERS, Counts, Questions, Tally
from observe.access_scan import Job, LineCounter, Scanned, Stopped, Window, scan
from observe.access_worker import Task, run
from observe.client_table import MOST, KnownClients
from observe.errors import CannotTell
from observe.log_format import COMBINED
from observe.logins import moment, refusals
from observe.nearest_rank import percentile
from observe.rotated_log import Files, LocalFiles, LogFile, Opening, close
from observe.routes import RouteTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path, PurePath

    from observe.clients import ClientCounts
    from observe.log_format import Access, LogFormat
    from observe.logins import Refusals

WORTH_WORKERS = 32 * 1024 * 1024
"""Bytes, unpacked, from which on processes of their own are worth starting."""

WORTH_BLOCKS = 3 * 1024 * 1024
"""Bytes, unpacked, from which on counting in blocks is quicker though numpy must be imported; some 15,000 lines."""

MOST_CLIENTS_OF_ALL = MOST * 5 // 4
"""Clients that are told apart over all files."""

_WORTH_ADDING = 20  # parts of a table of clients
_USUAL_PACKING = 9  # how many times its size a packed access log has when it is unpacked
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Figures:
    """What an access log says over a window.

    Attributes:
        since: Beginning of the window.
        until: End of the window, included.
        counts: Everything that was counted; the properties make it readable.
        questions: What was asked.
        own: Requests of this suite, left out.
        files: Names of the files read, newest first.
        remembered: How many of them were known from an earlier run.
        size: Bytes looked at, unpacked, those of remembered files among them.
        earliest: How far back the files reach; later than `since` means that the log does not cover the window.
        damaged: Packed files that could not be unpacked to their end.
        shrunk: Files that were cut while they were read.
        unread: Files that were needed but could not be read, with the reason.
        notes: What the reader should know beside it.
    """

    since: datetime
    until: datetime
    counts: Counts
    questions: Questions
    own: int
    files: tuple[str, ...]
    remembered: int
    size: int
    earliest: datetime | None
    damaged: tuple[str, ...]
    shrunk: tuple[str, ...]
    unread: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def requests(self) -> int:
        """Requests that were counted."""
        return sum(self.counts.hours.values())

    @cached_property
    def by_status(self) -> Mapping[int, int]:
        """Requests per status."""
        found: dict[int, int] = {}
        for key, number in self.counts.hours.items():
            found[key % 1000] = found.get(key % 1000, 0) + number
        return dict(sorted(found.items()))

    @cached_property
    def by_hour(self) -> Mapping[datetime, Mapping[int, int]]:
        """Requests per UTC hour and status."""
        found: dict[datetime, dict[int, int]] = {}
        for key, number in sorted(self.counts.hours.items()):
            found.setdefault(_moment(key // 1000 * 3_600_000), {})[key % 1000] = number
        return found

    @property
    def probes(self) -> int:
        """Requests for exploit paths; how they were answered is in `counts.probes`."""
        return sum(self.counts.probes.values())

    @cached_property
    def refused(self) -> Mapping[str, Refusals]:
        """Refused logins per client, by :func:`observe.clients.client_of`."""
        counts, asked = self.counts, self.questions
        return refusals(counts.refused, counts.accepted, asked.login_paths, asked.login_span)

    @cached_property
    def visitors(self) -> Mapping[str, int]:
        """Requests to the admin area per client, most first; `counts.visits` has their status."""
        found: dict[str, int] = {}
        for (client, _, _), visits in self.counts.visits.items():
            found[client] = found.get(client, 0) + visits.number
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    @property
    def timed(self) -> int:
        """Requests of which the log says how long they took."""
        return sum(self.counts.times.values())

    @cached_property
    def routes(self) -> Mapping[str, Mapping[int, int]]:
        """Requests per route and time in milliseconds, where that was asked."""
        table = RouteTable()
        table.merge(self.counts.routes, self.counts.routes_level)
        return table.folded()

    @cached_property
    def clients(self) -> Mapping[str, ClientCounts]:
        """What each client asked for, by :func:`observe.clients.client_of`, where that was asked.

        Others are in `counts.clients_others`, where there were too many to tell all of them apart.
        """
        return KnownClients(self.counts.clients)

    def percentile_ms(self, percent: int) -> int | None:
        """A percentile of the request times in milliseconds; ``None`` where the log has none."""
        return percentile(self.counts.times, percent)

    @property
    def latest(self) -> datetime | None:
        """The latest time seen in the window."""
        return None if self.counts.last is None else _moment(self.counts.last)


def _moment(at_ms: int) -> datetime:
    return moment(at_ms / 1000)


def figures(
    path: PurePath,
    since: datetime,
    until: datetime,
    fmt: LogFormat = COMBINED,
    questions: Questions | None = None,
    *,
    own: Callable[[Access], bool],
    cache: Path | None = None,
    files: Files | None = None,
    workers: int = 2,
    blocks: bool | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Figures:
    """Answer all questions about a window of an access log in one pass.

    Files that lie in the window are taken whole, those that cross its ends are
    cut line by line.

    Args:
        path: nginx's access log; its rotated neighbours are found beside it.
        since: Beginning of the window, aware.
        until: End of the window, aware, included.
        fmt: The `log_format` of that log.
        questions: What is asked; the guide's own if not given.
        own: Whether a request is this suite's own; asked only about those that name it.
        cache: Where counts of files are kept, a file for each log; nowhere if not given.
        files: Where the log is; this machine if not given.
        workers: Processes to share the files between, where there is enough to read; 0 for none.
        blocks: Whether to count in blocks, which changes nothing but the time; chosen by size if not given.
        stopped: Asked several times a second; when it says yes, workers are
            ended and the reading too. Where :func:`observe.deadline.within`
            runs this, its `give_up` makes it say so.

    Returns:
        The figures with their denominator.

    Raises:
        CannotTell: The log is not there, may not be read, or is no file; it is
            being rotated again and again; or `stopped` said yes.
    """
    # Times in the log are whole seconds or milliseconds: rounded inwards the ends say the same.
    window = Window(-((_EPOCH - since) // _MILLISECOND), (until - _EPOCH) // _MILLISECOND)
    reading = _Reading(path, since, window, fmt, questions or Questions(), files or LocalFiles(), own)
    reading.store = Cache(cache, fmt, reading.questions) if cache is not None else None
    logs = reading.opening.open()
    try:
        reading.prepare(logs)
        reading.count(workers, blocks, stopped)
    except Stopped:
        raise CannotTell(f"reading {path} was given up", cause=str(path)) from None
    finally:
        close(logs)
    return reading.figures(until)


@dataclass
class _Part:
    """One file, and what has been made of it.

    Attributes:
        log: The open file.
        file: Which file it is, where that is known.
        known: What an earlier run has counted of it.
        cut: Whether it is known to cross an end of the window.
        scanned: What this run has counted of it.
        remembered: Whether nothing was left to count: then it is remembered again when it is its turn.
        parts: How many parts its table of clients has, where an earlier run has counted it.
    """

    log: LogFile
    file: Identity | None
    known: Scanned | None = None
    cut: bool = False
    scanned: Scanned | None = None
    remembered: bool = False
    parts: int = 0

    @property
    def packed(self) -> bool:
        return bool(self.log.packed)


@dataclass
class _Reading:
    """One pass over the files."""

    path: PurePath
    since: datetime
    window: Window
    fmt: LogFormat
    questions: Questions
    files: Files
    own: Callable[[Access], bool]
    store: Cache | None = None
    parts: list[_Part] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    shrunk: list[str] = field(default_factory=list)
    remembered: int = 0
    size: int = 0
    owned: int = 0
    earliest: datetime | None = None

    def __post_init__(self) -> None:
        self.tally = Tally(self.questions, MOST_CLIENTS_OF_ALL)
        self.opening = Opening(self.path, self.since, self.fmt.parse, self.files, self.unread)
        self._lines = LineCounter(self.tally, self.fmt.parse, self.window)

    def prepare(self, logs: Sequence[LogFile]) -> None:
        """Look what is known of the files, and which cross an end of the window."""
        self.names = [log.entry.name for log in logs]
        self.earliest = min((log.first_at for log in logs if log.first_at), default=None)
        until = _moment(self.window.until)
        newer: datetime | None = None
        for log in logs:
            packed = bool(log.packed)
            part = _Part(log, identity(log.handle, log.entry.size, packed=packed))
            first = log.first_at
            part.cut = (first is not None and first < self.since) or (newer is not None and newer > until)
            if self.store is not None and part.file is not None:
                self._recall(self.store, part, part.file)
            newer = first or newer
            self.parts.insert(0, part)

    def _recall(self, store: Cache, part: _Part, file: Identity) -> None:
        found = store.find(file, part.log.handle, packed=part.packed)
        if found is None:
            return
        scanned, whole = found
        part.parts = len(scanned.counts.clients)
        inside = self._is_inside(scanned.counts)
        if whole and inside is not None:
            part.remembered, part.cut = True, False
        elif inside:
            part.known, part.cut = scanned, False
        else:
            part.cut = True

    def _is_inside(self, counts: Counts) -> bool | None:
        """Whether what was counted lies in the window; ``None`` if only some of it does."""
        if counts.first is None or counts.last is None:
            return True
        if counts.last < self.window.since or counts.first > self.window.until:
            return False
        return True if self.window.has(counts.first) and self.window.has(counts.last) else None

    def count(self, workers: int, blocks: bool | None, stopped: Callable[[], bool]) -> None:
        """Count what is not known, and add everything up, oldest first."""
        left = [part for part in self.parts if not part.remembered]
        size = sum(_size_of(part) for part in left)
        in_blocks = blocks if blocks is not None else size >= WORTH_BLOCKS
        if blocks is not False:
            self._hurry(size)
        waiting = deque(self.parts)

        def add_up(wanted: Callable[[_Part], bool]) -> None:
            """Add up as far as wanted; what has been added up is not held any longer."""
            while waiting and wanted(waiting[0]):
                part = waiting.popleft()
                scanned = part.scanned or self._remembered(part) or self._scan(part, stopped, blocks=in_blocks)
                self._finish(part, scanned, stopped, blocks=in_blocks)
                part.scanned = part.known = None

        if workers and size >= WORTH_WORKERS and all(part.file is not None for part in left):
            jobs = (self._job(part, blocks=blocks is not False) for part in left)
            tasks = [Task(part.log.handle.fileno(), job) for part, job in zip(left, jobs, strict=True)]
            for number, answer in run(tasks, workers, stopped):
                left[number].scanned = answer
                add_up(lambda part: part.scanned is not None)
        add_up(lambda _: True)

    def _hurry(self, size: int) -> None:
        """Add up clients by numpy, where so many are known already, or will be, that it is worth its import."""
        known = sum(part.parts for part in self.parts)
        if self.tally.clients is not None and (size >= WORTH_BLOCKS or known >= _WORTH_ADDING):
            from observe.client_blocks import quick

            self.tally.clients = quick(self.tally.clients)

    def _job(self, part: _Part, *, blocks: bool) -> Job:
        begin = part.known.upto if part.known is not None else 0
        if part.cut and part.known is None and not part.packed:
            begin = self.opening.beginning(part.log)
        return Job(
            packed=part.packed,
            begin=begin,
            size=part.log.entry.size,
            window=self.window if part.cut else None,
            questions=self.questions,
            pattern=self.fmt.pattern,
            escape=self.fmt.escape,
            blocks=blocks,
            inside=part.known is not None and part.known.counts.first is not None,
        )

    def _remembered(self, part: _Part) -> Scanned | None:
        if not part.remembered or self.store is None or part.file is None:
            return None
        found = self.store.find(part.file, part.log.handle, packed=part.packed)
        part.remembered = found is not None and found[1]
        return found[0] if found is not None and found[1] else None

    def _scan(self, part: _Part, stopped: Callable[[], bool], *, blocks: bool) -> Scanned:
        try:
            return scan(part.log.handle, self._job(part, blocks=blocks), stopped)
        except OSError as error:
            raise self.opening.cannot_read(error, self.path.parent / part.log.entry.name) from error

    def _finish(self, part: _Part, scanned: Scanned, stopped: Callable[[], bool], *, blocks: bool) -> None:
        """Add a file's counts, once it is sure that they are of the window."""
        if not part.cut and not part.remembered:
            whole = self._joined(part, scanned)
            if self.store is not None and part.file is not None:
                self.store.keep(part.file, part.log.handle, whole, packed=part.packed)
            if self._is_inside(whole.counts) is None:
                # Known is only what lies in the window: what has come since is cut, as a site in use goes on writing.
                part.cut = True
                scanned = self._scan(part, stopped, blocks=blocks)
        scanned = scanned if part.remembered else self._joined(part, scanned)
        self.remembered += part.remembered
        self.size += scanned.size
        if scanned.damaged:
            self.damaged.append(part.log.entry.name)
        if scanned.shrunk:
            self.shrunk.append(part.log.entry.name)
        if part.cut or self._is_inside(scanned.counts):
            self.tally.merge(scanned.counts)
        self._resolve(scanned)

    def _joined(self, part: _Part, scanned: Scanned) -> Scanned:
        """What is known of a file and what was counted of it now."""
        return scanned if part.known is None else join(part.known, scanned, self.questions)

    def _resolve(self, scanned: Scanned) -> None:
        """Decide about the requests that name this suite, and about a last line without its end."""
        last = scanned.rest.lstrip(b"\0")
        # nginx writes whole lines: one without its end is still being written, or was cut by a full disk.
        if last and len(last) <= LINE_BOUND and self.fmt.parse(last) is not None:
            self._lines.line(last)
        for line in (*scanned.counts.suspects, *self.tally.counts.suspects):
            access = self.fmt.parse(line)
            at_ms = round(access.at.timestamp() * 1000) if access is not None else None
            if access is None or at_ms is None or not self.window.has(at_ms):
                continue
            if self.own(access):
                self.owned += 1
            else:
                self.tally.add(access, at_ms)
        self.tally.counts.suspects.clear()

    def figures(self, until: datetime) -> Figures:
        """What came of it."""
        counts = self.tally.result()
        notes = list(self._notes(counts))
        if self.store is not None:
            self.store.save(entry.inode for entry in self.opening.listing())
            notes += self.store.notes
        return Figures(
            since=self.since,
            until=until,
            counts=counts,
            questions=self.questions,
            own=self.owned,
            files=tuple(self.names),
            remembered=self.remembered,
            size=self.size,
            earliest=self.earliest,
            damaged=tuple(self.damaged),
            shrunk=tuple(self.shrunk),
            unread=tuple(self.unread),
            notes=tuple(notes),
        )

    @staticmethod
    def _notes(counts: Counts) -> Iterator[str]:
        if counts.refused_others:
            yield f"{counts.refused_others:,} refused logins were too many to be told apart by client or time"
        if any(client == OTHERS for client, _, _ in counts.visits):
            yield "the admin area had more visitors than can be told apart"
        if counts.clients_others:
            yield (
                f"{counts.clients_others:,} requests came from too many clients to tell them apart; none of those, and "
                f"of no client that is told apart, has more than {counts.clients_missed:,} among them"
            )
        if counts.routes_level:
            yield "there are more routes or times of them than can be told apart: rare ones are taken together"
        if counts.suspects_over:
            yield f"{counts.suspects_over:,} requests that name this suite were too many to look at: they are counted"


def _size_of(part: _Part) -> int:
    """About how many bytes are left to be read, unpacked."""
    if part.packed:
        return part.log.entry.size * _USUAL_PACKING
    return part.log.entry.size - (part.known.upto if part.known is not None else 0)
