r"""How long the site takes to answer, from the first of three sources that yields a number.

Serves the guide's Monday line `docker-compose logs backend | grep "request:" | tail -5`, which matches the logger
`django.request:` and finds no duration. In this order:

1. nginx's `$request_time`, where the access log's format has it: every request, as a user waited for it;
2. durations in the backend's own lines, as the guide's chapter on performance writes them (`request_time: 0.123`);
3. a few requests of our own for the configured paths. That is said: it is a sample of now and not of the week.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from observe.nearest_rank import percentile
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from observe.application_log import Record
    from observe.site import Site

ACCESS_LOG = "the access log's $request_time"
BACKEND_LOG = "durations in the backend's log"
PROBED = 5
"""How often each path is asked where no log says how long requests take."""
_DURATION = re.compile(
    r"(?<![\w.])(?:request_time|response_time|duration|elapsed)[\"']?\s*[:=]\s*[\"']?(\d{1,9}(?:\.\d{1,9})?)\s?(ms|s)?\b"
    r"|(?<![\w.])request:[^\n]*?\b(\d{1,9}(?:\.\d{1,9})?)\s?(ms|s)\b",
    re.ASCII,
)


def milliseconds_in(text: str) -> int | None:
    """How long a request took that a line of the backend tells of, in milliseconds; ``None`` if it says nothing."""
    found = _DURATION.search(text)
    if found is None:
        return None
    seconds = float(found[1] or found[3]) * (0.001 if (found[2] or found[4]) == "ms" else 1)
    # Up, so that nothing is called faster than it was.
    return -int(-seconds * 1000 // 1)


@dataclass
class LoggedTimes:
    """Durations in the backend's own lines, record by record: a histogram in milliseconds.

    Attributes:
        since: Records with an earlier time stamp are left out.
        milliseconds: How many requests took so many milliseconds, rounded up.
    """

    since: datetime
    milliseconds: Counter[int] = field(default_factory=Counter)

    needs_requests = True

    def take(self, record: Record) -> None:
        """Count a record that says how long a request took."""
        if record.at is not None and record.at < self.since:
            return
        milliseconds = milliseconds_in(record.excerpt[0] if record.excerpt else "")
        if milliseconds is not None:
            self.milliseconds[milliseconds] += 1

    def result(self) -> Counter[int]:
        """The histogram."""
        return self.milliseconds


@dataclass(frozen=True)
class ResponseTimes:
    """How long requests took.

    Attributes:
        source: Where the figures are from, in words.
        count: How many requests there were.
        p50: Half of them took no longer.
        p95: Nineteen of twenty took no longer.
        p99: Ninety-nine of a hundred took no longer.
        slowest: The longest.
        looked_at: The denominator in words.
        notes: Why an earlier source yielded nothing, and what else to know.
    """

    source: str
    count: int
    p50: timedelta
    p95: timedelta
    p99: timedelta
    slowest: timedelta
    looked_at: str
    notes: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The percentile that is compared, in words."""
        return f"{say_span(self.p95)} ({self.count:,} requests)"

    def row(self) -> dict[str, str]:
        """The figures for the report."""
        return {
            "source": self.source,
            "requests": f"{self.count:,}",
            "p50": say_span(self.p50),
            "p95": say_span(self.p95),
            "p99": say_span(self.p99),
            "slowest": say_span(self.slowest),
        }


def response_times(
    milliseconds: Mapping[int, int], source: str, looked_at: str, notes: Iterable[str] = ()
) -> ResponseTimes:
    """The figures of a histogram.

    Args:
        milliseconds: How many requests took so many milliseconds.
        source: Where they are from, in words.
        looked_at: The denominator in words.
        notes: What else to know.

    Raises:
        CannotTell: If there is no request in it.
    """
    if not sum(milliseconds.values()):
        raise CannotTell(
            f"no request time is to be had from {source}",
            mend="Let nginx log it: put `$request_time` at the end of its log_format, and set logs.access.",
        )
    p50, p95, p99 = (timedelta(milliseconds=percentile(milliseconds, share) or 0) for share in (50, 95, 99))
    return ResponseTimes(
        source=source,
        count=sum(milliseconds.values()),
        p50=p50,
        p95=p95,
        p99=p99,
        slowest=timedelta(milliseconds=max(milliseconds)),
        looked_at=looked_at,
        notes=tuple(notes),
    )


def probed(site: Site, paths: Sequence[str], mark: str, notes: Iterable[str] = ()) -> ResponseTimes:
    """How long the site takes now, asked by ourselves.

    Args:
        site: The site.
        paths: What to ask for, each :data:`PROBED` times.
        mark: What is put behind each path as its query, so that the requests are known as ours in a log without agents.
        notes: Why no log says it.

    Raises:
        CannotTell: If the site's address isn't set.
        NoAnswer: If it doesn't answer.
    """
    seconds = [one for path in paths for one in site.seconds_of(f"{path}{'&' if '?' in path else '?'}{mark}", PROBED)]
    said = f"{len(seconds)} requests of our own, just now, for {', '.join(paths)}"
    note = "a sample of now, and not of the week: no log says how long requests take"
    milliseconds = Counter(-int(-one * 1000 // 1) for one in seconds)
    return response_times(milliseconds, "requests of our own", said, (note, *notes))
