"""The share of requests that the site answered with a server error.

Serves "Error rate" of the end-of-day check and "Error rate > 1%?" of the
scaling decisions. Counted by status, not by the word "error": one wrong
password writes that word into the backend's log several times while no request
was answered 5xx. Left out are requests that nginx refused by a limit, which it
answers 503 as well, and the suite's own.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from observe.log_format import Access, masked_path
from observe.rotated_log import DISORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from observe.application_log import Record
    from observe.error_log import Limited

_SAME_MOMENT = timedelta(seconds=1)
_PATHS_HELD = 5000
_PATHS_SHOWN = 10
_EXAMPLES_SHOWN = 5
_REFUSALS_HELD = 50_000
# The error log cuts its lines at 2047 bytes; this much of a request always stands in them.
_REQUEST_WIDTH = 512


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Server errors among the requests of a window.

    Attributes:
        requests: Requests that count: the denominator.
        errors: Those answered with 500 or above.
        refused_by_limit: Requests that nginx refused by a limit; left out.
        own: Requests of this suite; left out.
        limits_seen: Refusals that the error log told of. More of them than
            `refused_by_limit` means that some were answered with another
            status than the one expected, or that the logs don't cover the
            same time.
        by_status: Requests per status.
        by_path: The ten paths with the most errors, ids masked, most first.
        examples: The last few errors.
        first_at: Time of the first request that counts.
        last_at: Time of the last one.
    """

    requests: int
    errors: int
    refused_by_limit: int
    own: int
    limits_seen: int
    by_status: Mapping[int, int]
    by_path: tuple[tuple[str, int], ...]
    examples: tuple[Access, ...]
    first_at: datetime | None
    last_at: datetime | None

    @property
    def share(self) -> float:
        """Errors as a share of the requests, 0 to 1.

        Raises:
            CannotTell: There was no request to judge by.
        """
        if not self.requests:
            raise CannotTell(
                "no request was seen in the window, so there is no error rate",
                mend="See whether the access log is the one that the site writes to, and whether it covers the window.",
            )
        return self.errors / self.requests


class _Refusals:
    """Refusals by a limit, to be matched with requests; each is used once.

    Held are at most :data:`_REFUSALS_HELD`. If there are more, those well
    before the request at hand make room, for which both logs must be in time
    order, as they are read.
    """

    def __init__(self, limited: Iterable[Limited]) -> None:
        self._coming = iter(limited)
        self._ahead = next(self._coming, None)
        self._times: dict[tuple[str, str], deque[datetime]] = {}
        self._order: deque[tuple[datetime, tuple[str, str]]] = deque()
        self.seen = 0

    def take(self, access: Access) -> bool:
        """Whether this request was refused; the refusal is then spent."""
        self._fill(access.at)
        key = (access.client, access.request[:_REQUEST_WIDTH])
        times = self._times.get(key)
        if times is None:
            return False
        for index, at in enumerate(times):
            if abs(access.at - at) <= _SAME_MOMENT:
                del times[index]
                if not times:
                    del self._times[key]
                return True
        return False

    def _fill(self, now: datetime) -> None:
        while self._ahead is not None:
            if len(self._order) >= _REFUSALS_HELD:
                if self._ahead.at > now + DISORDER:
                    return
                self._forget_oldest()
            self._hold(self._ahead)
            self._ahead = next(self._coming, None)

    def _hold(self, refusal: Limited) -> None:
        self.seen += 1
        key = (refusal.client, refusal.request[:_REQUEST_WIDTH])
        self._times.setdefault(key, deque()).append(refusal.at)
        self._order.append((refusal.at, key))

    def _forget_oldest(self) -> None:
        at, key = self._order.popleft()
        times = self._times.get(key)
        if times is not None and at in times:  # else it is spent already
            times.remove(at)
            if not times:
                del self._times[key]

    def drain(self) -> int:
        """Count what is left, and say how many refusals there were."""
        self.seen += self._ahead is not None
        self.seen += sum(1 for _ in self._coming)
        self._ahead = None
        return self.seen


class RateCounter:
    """Counts server errors among requests, request by request, in bounded memory.

    Args:
        limited: Refusals by a limit, in time order. A request answered
            `limit_status` is one of them if client and request line are the
            same and the times at most 1 s apart; each refusal is used once.
        own: Whether a request is this suite's own.
        limit_status: What nginx answers a refused request with (`limit_req_status`).
    """

    def __init__(
        self, limited: Iterable[Limited] = (), *, own: Callable[[Access], bool], limit_status: int = 503
    ) -> None:
        self._refusals = _Refusals(limited)
        self._own = own
        self._limit_status = limit_status
        self._statuses: Counter[int] = Counter()
        self._paths: Counter[str] = Counter()
        self._examples: deque[Access] = deque(maxlen=_EXAMPLES_SHOWN)
        self._refused = self._own_requests = 0
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def take(self, access: Access) -> None:
        """Count one request; they come in time order but for :data:`observe.rotated_log.DISORDER`."""
        # First of all, so that a refusal of our own request is not left for somebody else's.
        limit_hit = access.status == self._limit_status and self._refusals.take(access)
        if self._own(access):
            self._own_requests += 1
            return
        if limit_hit:
            self._refused += 1
            return
        at, first, last = access.at, self._first_at, self._last_at
        self._first_at = at if first is None or at < first else first
        self._last_at = at if last is None or at > last else last
        self._statuses[access.status] += 1
        if access.status >= 500:
            _count_path(self._paths, access)
            self._examples.append(access)

    def result(self) -> ErrorRate:
        """The counts with their denominator; nothing is raised for no request, but by `share`."""
        return ErrorRate(
            requests=self._statuses.total(),
            errors=sum(count for status, count in self._statuses.items() if status >= 500),
            refused_by_limit=self._refused,
            own=self._own_requests,
            limits_seen=self._refusals.drain(),
            by_status=dict(sorted(self._statuses.items())),
            by_path=tuple(self._paths.most_common(_PATHS_SHOWN)),
            examples=tuple(self._examples),
            first_at=self._first_at,
            last_at=self._last_at,
        )


def error_rate(
    accesses: Iterable[Access],
    limited: Iterable[Limited],
    *,
    own: Callable[[Access], bool],
    limit_status: int = 503,
) -> ErrorRate:
    """Count server errors among requests.

    Args:
        accesses: The requests of the window, in time order but for
            :data:`observe.rotated_log.DISORDER`.
        limited: As for :class:`RateCounter`.
        own: As for :class:`RateCounter`.
        limit_status: As for :class:`RateCounter`.

    Returns:
        The counts with their denominator.
    """
    counter = RateCounter(limited, own=own, limit_status=limit_status)
    for access in accesses:
        counter.take(access)
    return counter.result()


def _count_path(paths: Counter[str], access: Access) -> None:
    """Count an error under its path; whoever makes up paths can't make this grow without bound."""
    path = masked_path(access.target) or "(no request)"
    if path not in paths and len(paths) >= _PATHS_HELD:
        path = "(other paths)"
    paths[path] += 1


class BackendRate:
    """Counts server errors in the backend's own request lines, where there is no access log, record by record.

    Args:
        own: Whether a request is this suite's own.
        since: Beginning of the window, aware; requests before it are left out.
    """

    needs_requests = True

    def __init__(self, *, own: Callable[[Access], bool], since: datetime) -> None:
        self._counter = RateCounter(own=own)
        self._since = since

    def take(self, record: Record) -> None:
        """Count a record if it is a request of the window."""
        access = from_record(record)
        if access is not None and access.at >= self._since:
            self._counter.take(access)

    def result(self) -> ErrorRate:
        """The counts."""
        return self._counter.result()


def from_record(record: Record) -> Access | None:
    """A request line of the backend as a request; None if it is none.

    It lacks what the application server doesn't write: user agent, mostly the
    protocol, and the client is the proxy. A line without a status (WebSockets)
    or without the engine's time stamp is none.
    """
    request = record.request
    if request is None or request.status is None or record.at is None:
        return None
    return Access(
        client=request.client,
        at=record.at,
        method=request.method,
        target=request.path,
        protocol="",
        status=request.status,
        size=request.size or 0,
        referer="",
        agent="",
        request_time=None,
        request=f"{request.method} {request.path}",
    )


def from_records(records: Iterable[Record]) -> Iterator[Access]:
    """The requests among the records of the backend's log; see :func:`from_record`.

    Args:
        records: As :func:`observe.application_log.records` yields them.
    """
    return (access for record in records if (access := from_record(record)) is not None)
