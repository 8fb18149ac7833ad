"""A window of the logs of a service's containers, as Loki keeps them.

What comes is made into the engine's own frames again, so that the same readers
make lines and records of it, whoever carried it there:

* a line may be an entry of the `json-file` driver, as promtail reads it
  without its `docker` stage: it is unpacked, with its own time and stream;
* an entry may hold several lines, as a `multiline` stage joins a traceback;
* a label `stream`, `logstream` or `source` says `stderr`.

Which containers there are say the streams' labels, held against the engine's;
how much of the window there is, entries from before it and, where a service is
silent, whether anything else of the project is carried.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from observe.container_log import HEADER, Decoding, LogLine, lines
from observe.deadline import TimeIsUp, within
from observe.logql import matchers, narrowed
from observe.loki import DOCKER, EPOCH
from observe.window import BEFORE, Coverage, Read, Window
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from observe.engine import Container
    from observe.loki import Entry, Loki
    from target.kinds import Share

T = TypeVar("T")
MOST_SOURCES = 50
"""Containers of a service that are read one by one; of more the logs are read as one."""
LOOKBACK = timedelta(days=7)
"""So far before a window it is looked whether the log reaches back beyond it."""
LAG = timedelta(minutes=10)
"""A container that has said nothing for so long is held against its neighbours: is anything carried to Loki?"""
_ALL = "all"
_CONTAINERS = ("container_name", "container", "docker_container_name", "container_id")
_PLACES = ("pod", "instance", "host", "hostname", "node", "nodename")
_DOCKER_KEYS = frozenset({"log", "stream", "time", "attrs"})
_DOCKER_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


@dataclass(frozen=True)
class Source:
    """The streams of one container.

    Attributes:
        id: What tells it from others.
        name: What a person calls it.
        query: What its entries are asked by.
        container: The engine's container of that name; None where it has none, or isn't known to.
    """

    id: str
    name: str
    query: str
    container: Container | None = None


@dataclass(frozen=True)
class LokiWindow(Window[Source]):
    """A window of the logs of a service's containers, as Loki keeps them.

    Attributes:
        loki: Where they are.
        query: What the service's streams are asked by.
        since: Beginning of the window, aware.
        until: End of the window, aware.
        reach: Share of the window that the logs must reach back over.
        containers: The containers that the engine has of the service; None where it can't be asked.
        neighbours: What the project's other services are asked by: whether anything is carried to Loki.
    """

    loki: Loki
    query: str
    since: datetime
    until: datetime
    reach: Share
    containers: Sequence[Container] | None = None
    neighbours: tuple[str, ...] = ()
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def sources(self) -> Sequence[Source]:
        """The containers whose streams have entries in the window, by what their labels say.

        Raises:
            CannotTell: If Loki can't be asked, or has no stream of the service.
        """
        if "sources" not in self._kept:
            found = self.loki.series(self.query, self.since - BEFORE, self.until)
            if not found:
                # Now and then it knows of no stream and has its lines all the same (grafana/loki#9771).
                if self.loki.newest(self.query, self.since - BEFORE, self.until) is None:
                    raise self.loki.nothing(self.query, self.since, self.until)
                found = [{}]
            self._kept["sources"] = sources_of(self.query, found, self.containers or ())
        sources: Sequence[Source] = self._kept["sources"]
        return sources

    @property
    def missing(self) -> list[Container]:
        """The engine's containers that ran in the window and have nothing in Loki; none where that can't be known."""
        if not any(one.container for one in self.sources):
            return []
        there = {one.container.id for one in self.sources if one.container is not None}
        return [
            one
            for one in self.containers or ()
            if one.id not in there and (one.running or (one.finished is not None and one.finished > self.since))
        ]

    def _read(self, source: Source, reader: Callable[[Iterable[Any]], T], skim_from: datetime | None) -> Read[T]:
        decoding, stop = Decoding(), threading.Event()

        def blocks() -> Iterator[bytes]:
            return map(framed, self.loki.pages(source.query, self.since - BEFORE, self.until, stop))

        def read() -> T:
            if skim_from is None:
                return reader(lines(blocks(), tty=False, decoding=decoding))
            from observe.skim import skimmed

            return reader(skimmed(blocks(), decoding, skim_from))

        try:
            said = within(self.loki.seconds, read, give_up=stop.set)
        except TimeIsUp:
            raise self.loki.late() from None
        return Read(source, self._reaches(source, decoding), decoding, said)

    def _reaches(self, source: Source, decoding: Decoding) -> datetime:
        """How far back a container's log goes, at most to the window's start."""
        first = max(decoding.first_at or self.until, self.since)
        if first - self.since <= BEFORE or self._has_before(source.query):
            return self.since
        container = source.container
        if container is not None and container.created < self.since:
            return first
        # It is younger than the window, or gone: what was before it is its service's.
        return self.since if self._has_before(self.query) else first

    def _has_before(self, query: str) -> bool:
        """Whether there is an entry from before the window."""
        known: dict[str, bool] = self._kept.setdefault("before", {})
        if query not in known:
            known[query] = self.loki.newest(query, self.since - LOOKBACK, self.since) is not None
        return known[query]

    def _covered(self, reads: Sequence[Read[T]]) -> Coverage:
        window = self.until - self.since
        number = sum(one.decoding.lines for one in reads)
        if not number:
            raise self.loki.nothing(self.query, self.since, self.until)
        ends = self._carried_until(reads)
        missing, known = self.missing, [one for one in self.sources if one.container is not None]
        seen = [max(timedelta(0), ends - one.reaches) for one in reads]
        share = min(1.0, sum(seen, timedelta(0)) / (window * (len(reads) + len(missing))))
        shortest = min(seen)
        span = "all" if shortest >= window else say_span(shortest)
        notes = [f"Loki says: {one}" for one in sorted(self.loki.warnings)]
        if missing:
            names = ", ".join(one.name for one in missing)
            notes.append(f"Loki has no line of {names}, which the engine has: is their log carried there?")
        if self.containers is None:
            notes.append("the engine can't be asked whether the logs of all containers are in Loki")
        elif not known:
            notes.append(
                f"Loki's streams aren't called as the engine's {len(self.containers)} containers: whether all of them "
                f"are there isn't known"
            )
        if ends < self.until:
            notes.append(f"nothing of the project came to Loki after {ends:%Y-%m-%d %H:%M:%S}: is its agent running?")
        said = f"{number:,} lines of {_counted(self.sources, len(missing))} in Loki, {span} of {say_span(window)}"
        return Coverage(share, said, tuple(notes), self._mend(missing, ends))

    def _mend(self, missing: Sequence[Container], ends: datetime) -> str:
        if missing or ends < self.until:
            return "See whether the agent that carries logs to Loki runs on every host."
        return "See Loki's retention, and since when logs are sent there."

    def _carried_until(self, reads: Sequence[Read[T]]) -> datetime:
        """Until when anything of the project was carried to Loki: where that stops, silence says nothing."""
        newest = max((one.decoding.last_at for one in reads if one.decoding.last_at is not None), default=self.since)
        late = self.until - LAG
        for query in self.neighbours:
            if newest >= late:
                break
            found = self.loki.newest(query, newest, self.until)
            if found is not None:
                newest = max(newest, EPOCH + timedelta(microseconds=found // 1000))
        return self.until if newest >= late else newest.astimezone(self.until.tzinfo)


def _counted(sources: Sequence[Source], missing: int) -> str:
    there = len(sources)
    if there == 1 and sources[0].id == _ALL and sources[0].container is None:
        return "all containers, read as one log,"
    if missing:
        return f"{there} of {there + missing} containers"
    return "1 container" if there == 1 else f"{there} containers"


def sources_of(query: str, series: Sequence[Mapping[str, str]], containers: Sequence[Container]) -> list[Source]:
    """The containers that streams belong to, by their labels.

    Args:
        query: What they were asked by.
        series: Labels of each stream.
        containers: The engine's containers of the service, which names are held against.
    """
    names = next((name for name in _CONTAINERS if any(name in one for one in series)), None)
    place = next((name for name in _PLACES if any(name in one for one in series)), None)
    by = [name for name in (names, place) if name is not None]
    found = sorted({tuple(one.get(name, "") for name in by) for one in series})
    if not by or len(found) > MOST_SOURCES:
        only = containers[0] if len(containers) == 1 else None
        what = only.name if only is not None else matchers(query)
        return [Source(_ALL, f"{len(found)} containers of {what}" if len(found) > 1 else what, query, only)]
    known = {}
    for one in containers:
        known.update(dict.fromkeys((one.name, f"/{one.name}", one.id, one.id[:12]), one))
    sources = []
    for values in found:
        own = next((known[value] for value in values if value in known), None)
        name = own.name if own is not None else " on ".join(value for value in values if value) or "(unnamed)"
        narrow = narrowed(query, dict(zip(by, values, strict=True)))
        sources.append(Source("\0".join(values), name, narrow, own))
    return sources


def last_lines(
    loki: Loki, query: str, containers: Sequence[Container], now: datetime, number: int
) -> dict[str, list[LogLine]]:
    """The last lines of each container of a service, oldest first, by what the container is called.

    Args:
        loki: Where they are.
        query: What the service's streams are asked by.
        containers: The engine's containers of the service, which names are held against.
        now: The time of the run, aware.
        number: So many lines of each.

    Returns:
        None of a container that has said nothing for a week.

    Raises:
        CannotTell: If Loki can't be asked.
    """
    found = loki.series(query, now - LOOKBACK, now)
    said: dict[str, list[LogLine]] = {}
    for source in sources_of(query, found, containers):
        entries = loki.last(source.query, now - LOOKBACK, now, number)
        read = list(lines([framed(entries)], tty=False))
        said.setdefault(source.name, []).extend(read[-number:])
    return said


def framed(entries: Iterable[Entry]) -> bytes:
    """Entries as the engine would send them, with time stamps; see :mod:`observe.container_log`."""
    parts, pack = [], HEADER.pack
    second, stamp = -1, ""
    for at, _, mark, line in entries:
        whole, rest = divmod(at, 1_000_000_000)
        if whole != second:
            second, stamp = whole, f"{EPOCH + timedelta(seconds=whole):%Y-%m-%dT%H:%M:%S}"
        text, own = f"{stamp}.{rest:09d}Z ", line
        if line.startswith('{"log":') and (unpacked := _unpacked(line)) is not None:
            mark, when, own = unpacked  # noqa: PLW2901
            text = f"{when} " if when else text
        elif not line.endswith("\n"):
            own = f"{line}\n"
        payload = f"{text}{own}".encode("utf-8", "replace")
        parts.append(pack(mark, len(payload)))
        parts.append(payload)
    return b"".join(parts)


def _unpacked(line: str) -> tuple[int, str, str] | None:
    """Stream, time and text of an entry of the engine's own file; None if it is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not _DOCKER_KEYS.issuperset(entry) or not isinstance(entry.get("log"), str):
        return None
    mark = DOCKER.get(str(entry.get("stream")))
    if mark is None:
        return None
    when = str(entry.get("time", ""))
    found = _DOCKER_TIME.fullmatch(when)
    # Nine digits: pieces of a line are told by their stamps, and the fast reader wants them so.
    padded = f"{when[:-1].partition('.')[0]}.{when[:-1].partition('.')[2]:0<9}Z" if found else ""
    return mark, padded, entry["log"]
