"""The requests of a window: from the access log, or from the backend's own request lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from observe.access_log import LogFormat, read_window
from observe.application_log import records
from observe.error_log import limited, read_error_log
from observe.error_rate import ErrorRate, error_rate, from_records
from observe.errors import CannotTell
from target.kinds import Share, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from observe.access_log import Access, Reading
    from observe.container_log import LogLine
    from observe.error_log import Limited
    from observe.own_traffic import OwnTraffic
    from observe.window import LogWindow


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
    """

    access: Path
    error: Path | None
    format: LogFormat
    refused_status: int
    reach: Share
    unparsed: Share

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
        looked_at = self._whole(reading, since, until, rate)
        if reading.damaged:
            notes.append(f"could not be unpacked to their end: {', '.join(reading.damaged)}")
        if reading.shrunk:
            notes.append(f"cut while they were read: {', '.join(reading.shrunk)}")
        if reading.unparsed:
            notes.append(f"{reading.unparsed} of {reading.lines} lines can't be read as requests")
        return Requests(rate, looked_at, tuple(notes))

    def _count(
        self, since: datetime, until: datetime, own: OwnTraffic, *, with_refusals: bool
    ) -> tuple[Reading[Access], ErrorRate]:
        reading = read_window(self.access, since, until, self.format)
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
            yield from limited((line.raw for line in read_error_log(self.error, since, until, zone=zone)), zone)
        except CannotTell as why:
            raise _NoErrorLog(why) from None

    def _whole(self, reading: Reading[Access], since: datetime, until: datetime, rate: ErrorRate) -> str:
        """The denominator, once it is large enough to say anything."""
        _ = rate.share  # no request, no rate
        if reading.unread:
            raise CannotTell(
                f"{reading.unread[0]}: it belongs to the window and can't be read",
                mend=f"Let the user of this run read {self.access.parent} and the files in it.",
            )
        window = until - since
        seen = min(window, until - reading.earliest) if reading.earliest is not None else window
        said = f"{rate.requests:,} requests in {len(reading.files)} files, {say_span(seen)} of {say_span(window)}"
        if rate.own:
            said += f"; {rate.own} of this suite's own left out"
        if seen / window < self.reach:
            raise CannotTell(
                f"only {say_share(seen / window)} of the window is in the access log: {said}",
                mend=f"Look again later, or set coverage.log_window (now {self.reach}) lower.",
            )
        if reading.lines and reading.unparsed / reading.lines > self.unparsed:
            example = reading.unparsed_examples[0] if reading.unparsed_examples else ""
            raise CannotTell(
                f"{reading.unparsed} of {reading.lines} lines of {self.access} can't be read, such as {example!r}",
                mend="Set logs.access_format to the log_format of nginx's configuration.",
            )
        return said


def requests_of_backend(
    window: LogWindow,
    own: OwnTraffic,
) -> Requests:
    """The error rate from the backend's own request lines, where the settings name no access log.

    What the proxy answered by itself, such as 502 for a dead backend, isn't in there.

    Raises:
        CannotTell: If a log can't be read, or has no request line in the window.
    """

    def collect(lines: Iterable[LogLine]) -> ErrorRate:
        return error_rate((one for one in from_records(records(lines)) if one.at >= window.since), (), own=own.by_path)

    rates, looked_at = window.read(collect)
    rate = combined(rates)
    _ = rate.share
    return Requests(
        rate,
        f"{rate.requests:,} requests in {looked_at}",
        ("counted in the backend's own request lines: what the proxy answered by itself isn't among them",),
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
