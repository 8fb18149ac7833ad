"""The requests of a window: from the access log, or from the backend's own request lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from threading import Event
from typing import TYPE_CHECKING

from observe.access_log import read_window
from observe.deadline import TimeIsUp, within
from observe.error_log import limited, read_error_log
from observe.error_rate import ErrorRate, error_rate
from observe.errors import CannotTell
from target.kinds import Share, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from observe.access_counts import Questions
    from observe.access_figures import Figures
    from observe.error_log import Limited
    from observe.log_format import Access, LogFormat
    from observe.own_traffic import OwnTraffic
    from observe.rotated_log import Files, Reading
    from observe.window import Seen


@dataclass(frozen=True)
class Requests:
    """The error rate of a window, and what it was made of.

    Attributes:
        rate: The counts.
        looked_at: The denominator in words.
        notes: What the reader should know beside it.
    """

    rate: ErrorRate
    looked_at: str
    notes: tuple[str, ...]

    @property
    def said(self) -> str:
        """The rate in words."""
        rate = self.rate
        return f"{rate.errors:,} of {rate.requests:,} answered 500 or above, {say_share(rate.share)}"


@dataclass(frozen=True)
class AccessLogs:
    """Where nginx's logs are and how they are to be read.

    Attributes:
        access: The access log.
        error: The error log, which alone tells a refusal by `limit_req` from a server error; None if not known.
        format: The access log's format.
        refused_status: What `limit_req` answers.
        reach: Share of the window that the log must reach back over.
        unparsed: Share of its lines that may be unreadable.
        files: Where they lie; this machine if not given.
    """

    access: Path
    error: Path | None
    format: LogFormat
    refused_status: int
    reach: Share
    unparsed: Share
    files: Files | None = None

    def requests(self, since: datetime, until: datetime, own: OwnTraffic) -> Requests:
        """The error rate of a window.

        Raises:
            CannotTell: If the log can't be read, has no request in the window,
                doesn't reach back far enough or is full of what can't be read.
        """
        notes: list[str] = []
        try:
            reading, rate = self._count(since, until, own, with_refusals=self.error is not None)
            if self.error is None:
                notes.append("logs.error isn't set: requests that limit_req refused count as server errors")
        except _NoErrorLog as lost:
            # Without it a refusal can't be told from an error; where there is neither, that doesn't matter.
            reading, rate = self._count(since, until, own, with_refusals=False)
            if rate.by_status.get(self.refused_status):
                raise lost.why from None
            notes.append(f"the error log could not be read, but nothing was answered {self.refused_status}")
        _ = rate.share  # no request, no rate
        looked = _Looked(
            requests=rate.requests,
            own=rate.own,
            files=len(reading.files),
            earliest=reading.earliest,
            lines=reading.lines,
            unparsed=reading.unparsed,
            unparsed_examples=tuple(reading.unparsed_examples),
            unread=tuple(reading.unread),
            damaged=tuple(reading.damaged),
            shrunk=tuple(reading.shrunk),
        )
        return Requests(rate, self._whole(looked, since, until), (*notes, *looked.notes))

    def figures(
        self,
        since: datetime,
        until: datetime,
        own: OwnTraffic,
        *,
        questions: Questions,
        cache: Path | None,
        seconds: float,
        least: timedelta | None = None,
        limit: str = "timeouts.logs",
        sparse: bool = False,
    ) -> SeenFigures:
        """The figures of a window, from one pass over the files that it needs.

        Args:
            since: Beginning of the window, aware.
            until: End of the window, aware.
            own: Tells this suite's own requests, which are left out.
            questions: What is asked.
            cache: Where the counts of rotated files are kept for the next time; nowhere if not given.
            seconds: Total time limit, in seconds.
            least: So far the log must reach back, where that is no share of the window.
            limit: The setting that the time limit comes from.
            sparse: Whether there may be little in the log, or nothing, though it covers the window.

        Raises:
            CannotTell: As for :meth:`requests`, or if it takes too long.
        """
        from observe.access_figures import figures

        given_up = Event()

        def look() -> Figures:
            return figures(
                self.access,
                since,
                until,
                self.format,
                questions,
                own=own.by_agent,
                cache=cache,
                files=self.files,
                stopped=given_up.is_set,
            )

        try:
            seen = within(seconds, look, give_up=given_up.set)
        except TimeIsUp:
            raise CannotTell(
                f"{self.access} and its rotated files were not read within {say_span(timedelta(seconds=seconds))}",
                mend=f"Raise {limit} in the target, or let the log rotate more often.",
            ) from None
        looked = _Looked(
            requests=seen.requests,
            own=seen.own,
            files=len(seen.files),
            earliest=seen.earliest,
            lines=seen.counts.lines,
            unparsed=seen.counts.unparsed,
            unparsed_examples=tuple(seen.counts.unparsed_examples),
            unread=seen.unread,
            damaged=seen.damaged,
            shrunk=seen.shrunk,
        )
        looked_at = self._whole(looked, since, until, timedelta(0) if sparse else least)
        if not seen.requests and not sparse:
            raise CannotTell(
                f"no request was seen in the window of {self.access}",
                mend="See whether the access log is the one that the site writes to, and whether it covers the window.",
            )
        return SeenFigures(seen, looked_at, (*seen.notes, *looked.notes))

    def _count(
        self, since: datetime, until: datetime, own: OwnTraffic, *, with_refusals: bool
    ) -> tuple[Reading[Access], ErrorRate]:
        reading = read_window(self.access, since, until, self.format, files=self.files)
        accesses = iter(reading)
        first = next(accesses, None)
        refused: Iterable[Limited] = ()
        if with_refusals and first is not None:
            refused = self._refusals(since, until, first)
        rate = error_rate(
            chain([first] if first is not None else [], accesses),
            refused,
            own=own.by_agent,
            limit_status=self.refused_status,
        )
        return reading, rate

    def _refusals(self, since: datetime, until: datetime, access: Access) -> Iterator[Limited]:
        """The refusals by limit; the same nginx wrote both logs, so it used the same zone for both."""
        zone = access.at.tzinfo
        assert self.error is not None and zone is not None  # noqa: PT018  for the type checker
        try:
            lines = read_error_log(self.error, since, until, zone=zone, files=self.files)
            yield from limited((line.raw for line in lines), zone)
        except CannotTell as why:
            raise _NoErrorLog(why) from None

    def _whole(self, looked: _Looked, since: datetime, until: datetime, least: timedelta | None = None) -> str:
        """The denominator, once it is large enough to say anything."""
        if looked.unread:
            raise CannotTell(
                f"{looked.unread[0]}: it belongs to the window and can't be read",
                mend=f"Let the user of this run read {self.access.parent} and the files in it.",
            )
        window = until - since
        seen = min(window, until - looked.earliest) if looked.earliest is not None else window
        files = "1 file" if looked.files == 1 else f"{looked.files} files"
        said = f"{looked.requests:,} requests in {files}, {say_span(seen)} of {say_span(window)}"
        if looked.own:
            said += f"; {looked.own} of this suite's own left out"
        if least is not None and seen < least:
            raise CannotTell(
                f"only {say_span(seen)} are in the access log: {said}",
                mend="Look again later, keep rotated logs for longer, or set coverage.access_log (now "
                f"{say_span(least)}) lower.",
            )
        if least is None and seen / window < self.reach:
            raise CannotTell(
                f"only {say_share(seen / window)} of the window is in the access log: {said}",
                mend=f"Look again later, or set coverage.log_window (now {self.reach}) lower.",
            )
        if looked.lines and looked.unparsed / looked.lines > self.unparsed:
            example = looked.unparsed_examples[0] if looked.unparsed_examples else ""
            raise CannotTell(
                f"{looked.unparsed} of {looked.lines} lines of {self.access} can't be read, such as {example!r}",
                mend="Set logs.access_format to the log_format of nginx's configuration.",
            )
        return said


@dataclass(frozen=True)
class SeenFigures:
    """The figures of a window.

    Attributes:
        all: The figures.
        looked_at: The denominator in words.
        notes: What the reader should know beside it.
    """

    all: Figures
    looked_at: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Looked:
    """What was looked at to see a window of the access log, however it was read."""

    requests: int
    own: int
    files: int
    earliest: datetime | None
    lines: int
    unparsed: int
    unparsed_examples: tuple[str, ...]
    unread: tuple[str, ...]
    damaged: tuple[str, ...]
    shrunk: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not as it should be, though it could be read."""
        found = {
            f"could not be unpacked to their end: {', '.join(self.damaged)}": self.damaged,
            f"cut while they were read: {', '.join(self.shrunk)}": self.shrunk,
            f"{self.unparsed:,} of {self.lines:,} lines can't be read as requests, "
            f"such as {self.unparsed_examples[0] if self.unparsed_examples else ''!r}": self.unparsed,
        }
        return tuple(what for what, there in found.items() if there)


def requests_of_backend(seen: Seen[ErrorRate]) -> Requests:
    """The error rate from the backend's own request lines, where the settings name no access log.

    What the proxy answered by itself, such as 502 for a dead backend, isn't in there.

    Args:
        seen: What :class:`observe.error_rate.BackendRate` made of a window.

    Raises:
        CannotTell: If there is no request line in the window.
    """
    rate = combined(seen.results)
    _ = rate.share
    return Requests(
        rate,
        f"{rate.requests:,} requests in {seen.looked_at}",
        ("counted in the backend's own request lines: what the proxy answered by itself isn't among them", *seen.notes),
    )


def combined(rates: Sequence[ErrorRate]) -> ErrorRate:
    """The counts of several containers as one."""
    statuses: Counter[int] = Counter()
    paths: Counter[str] = Counter()
    for rate in rates:
        statuses.update(rate.by_status)
        paths.update(dict(rate.by_path))
    return ErrorRate(
        requests=sum(rate.requests for rate in rates),
        errors=sum(rate.errors for rate in rates),
        refused_by_limit=sum(rate.refused_by_limit for rate in rates),
        own=sum(rate.own for rate in rates),
        limits_seen=sum(rate.limits_seen for rate in rates),
        by_status=dict(sorted(statuses.items())),
        by_path=tuple(paths.most_common(10)),
        examples=tuple(example for rate in rates for example in rate.examples)[-5:],
        first_at=min((rate.first_at for rate in rates if rate.first_at), default=None),
        last_at=max((rate.last_at for rate in rates if rate.last_at), default=None),
    )


class _NoErrorLog(Exception):  # noqa: N818  it never leaves this module
    def __init__(self, why: CannotTell) -> None:
        super().__init__(str(why))
        self.why = why
