r"""Which routes are slow: the request times of each, from the first of two sources that has any.

Serves the guide's "When Response Times > 500ms: 1. Identify slow endpoints", which sorts the lines with
`request_time:` of the backend's log. In this order: nginx's `$request_time`, grouped while the access log is read;
durations in those of the backend's own lines that say a path. There is no third one: a few requests of our own would
say nothing of routes that nobody thought of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from observe.error_rate import from_record
from observe.errors import CannotTell
from observe.log_format import Access
from observe.nearest_rank import percentile
from observe.response_times import milliseconds_in
from observe.routes import NOT_FOUND, Names, RouteTable, counted, rounded, text_of
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from observe.application_log import Record

SHOWN: Final = 10
"""So many of the slowest routes stand in the report."""

_NAMED = 3
_REQUEST = re.compile(r"\b(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)[ \"']{1,3}(/[^\s\"']{0,500})", re.ASCII)
_PATH = re.compile(r"(?<![\w.])(?:path|uri|url|endpoint)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(/[^\s\"',}]{0,500})", re.ASCII)
_METHOD = re.compile(r"(?<![\w.])method[\"']?\s{0,3}[:=]\s{0,3}[\"']?([A-Z]{3,7})\b", re.ASCII)
_NO_METHOD = "ANY"
_MEND = "Let nginx log it: put `$request_time` at the end of its log_format, and set logs.access."


@dataclass(frozen=True)
class Route:
    """One route, and how long its requests took.

    Attributes:
        name: Method and path, what varies named.
        count: Its requests.
        p50: Half of them took no longer.
        p95: Nineteen of twenty took no longer.
        slowest: The longest.
    """

    name: str
    count: int
    p50: timedelta
    p95: timedelta
    slowest: timedelta

    @property
    def said(self) -> str:
        """The figure that is compared, in words."""
        return f"{self.name} {say_span(self.p95)} ({self.count:,} requests)"


@dataclass(frozen=True)
class RouteTimes:
    """How long requests took, per route.

    Attributes:
        source: Where the figures are from, in words.
        routes: Those that are judged, slowest first.
        looked_at: The denominator in words.
        notes: What else to know.
    """

    source: str
    routes: tuple[Route, ...]
    looked_at: str
    notes: tuple[str, ...] = ()

    def slow(self, limit: timedelta) -> tuple[Route, ...]:
        """The routes whose 95th percentile reaches a limit, slowest first."""
        return tuple(route for route in self.routes if route.p95 >= limit)

    def said(self, limit: timedelta) -> str:
        """The slow routes in words, slowest first; without one the slowest of all."""
        slow = self.slow(limit)
        if not slow:
            return f"the slowest is {self.routes[0].said}"
        more = f" and {len(slow) - _NAMED} more" if len(slow) > _NAMED else ""
        return "; ".join(route.said for route in slow[:_NAMED]) + more

    def rows(self) -> list[dict[str, str]]:
        """The slowest routes for the report."""
        return [
            {
                "route": route.name,
                "requests": f"{route.count:,}",
                "p50": say_span(route.p50),
                "p95": say_span(route.p95),
                "slowest": say_span(route.slowest),
            }
            for route in self.routes[:SHOWN]
        ]

    def points(self) -> list[tuple[str, float]]:
        """The same as a picture: the 95th percentile of each, in milliseconds."""
        return [(route.name, route.p95 / timedelta(milliseconds=1)) for route in self.routes[:SHOWN]]


def route_times(
    times: Mapping[str, Mapping[int, int]], source: str, looked_at: str, floor: int, notes: Iterable[str] = ()
) -> RouteTimes:
    """The figures of each route that has requests enough to be judged by.

    Args:
        times: Of each route, how many requests took so many milliseconds.
        source: Where they are from, in words.
        looked_at: The denominator in words.
        floor: A route with fewer requests isn't judged.
        notes: What else to know.

    Raises:
        CannotTell: If there is no request, or no route has so many.
    """
    routes = sorted(map(_route, times.items()), key=lambda route: (-route.p95, -route.count, route.name))
    if not routes:
        raise CannotTell(f"{source} has no request time that belongs to a route ({looked_at})", mend=_MEND)
    judged = tuple(route for route in routes if route.count >= floor)
    rare = [route for route in routes if route.count < floor]
    requests = sum(route.count for route in judged)
    if not judged:
        raise CannotTell(
            f"none of {len(routes):,} routes has {floor} requests or more ({looked_at})",
            mend="Lower limits.endpoint_floor, or let windows.response_time be longer.",
        )
    said = list(notes)
    if rare:
        said.append(f"{_counted(rare)} with fewer than {floor} requests not judged; slowest of them: {rare[0].said}")
    return RouteTimes(source, judged, f"{_counted(judged)}, {requests:,} timed requests; {looked_at}", tuple(said))


def no_route_times(*why: str) -> CannotTell:
    """That no source says how long the requests of a route took.

    Args:
        why: Why, source by source.
    """
    return CannotTell(f"no source says how long the requests of a route took: {'; '.join(why)}", mend=_MEND)


def _route(item: tuple[str, Mapping[int, int]]) -> Route:
    name, times = item
    p50, p95 = (timedelta(milliseconds=percentile(times, share) or 0) for share in (50, 95))
    return Route(name, sum(times.values()), p50, p95, timedelta(milliseconds=max(times)))


def _counted(routes: Sequence[Route]) -> str:
    return "1 route" if len(routes) == 1 else f"{len(routes):,} routes"


class LoggedRoutes:
    """Durations of the backend's own lines that say a path, record by record, in bounded memory.

    Args:
        since: Beginning of the window, aware; records before it are left out.
        own: Whether a request is this suite's own, in a log without user agents.
        refused_status: What a limit answers.
    """

    needs_requests = True

    def __init__(self, since: datetime, own: Callable[[Access], bool], refused_status: int) -> None:
        self._since = since
        self._own = own
        self._refused_status = refused_status
        self._names = Names()
        self._table = RouteTable()

    def take(self, record: Record) -> None:
        """Count a record that says how long a request for a path took."""
        if record.at is None or record.at < self._since:
            return
        text = record.excerpt[0] if record.excerpt else ""
        if milliseconds_in(text) is None:
            return
        request = from_record(record) or _request_in(text, record.at)
        if request is None or self._own(request):
            return
        # What a client wrote into the path is no duration.
        milliseconds = milliseconds_in(text.replace(request.target, " ", 1))
        if milliseconds is not None and counted(request.status, milliseconds, self._refused_status):
            name = self._names.of(text_of(request.request), found=request.status != NOT_FOUND)
            self._table.add(name, rounded(milliseconds), 1)

    def result(self) -> RouteTable:
        """The times of each route."""
        return self._table


def _request_in(text: str, at: datetime) -> Access | None:
    """The request that a line of the application tells of; its status is not known."""
    if found := _REQUEST.search(text):
        method, target = found[1], found[2]
    elif found := _PATH.search(text):
        method, target = (said[1] if (said := _METHOD.search(text)) else _NO_METHOD), found[1]
    else:
        return None
    return Access("", at, method, target, "", 0, 0, "", "", None, f"{method} {target}")


def together(tables: Iterable[RouteTable]) -> Mapping[str, Mapping[int, int]]:
    """The times of several containers' routes as one."""
    whole = RouteTable()
    for table in tables:
        whole.merge(table.result(), table.level)
    return whole.folded()
