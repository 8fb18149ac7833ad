r"""What is counted of an access log: the questions, and the counts of one file.

Serves the guide's weekly response times and rate limits, its monthly look for
exploit paths (`tail -10000 access.log | grep -E "\.php|\.jsp|admin|wp-"`), and
the quarterly reviews of refused logins and of the admin area.

The counts of a file are plain data. They can be added up, written to a cache
and sent between processes. Whatever attackers send, they stay bounded: what
goes over a bound is counted apart and said.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from observe.log_format import request_parts
from observe.routes import NOT_FOUND, Names, RouteTable, counted, rounded, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from observe.log_format import Access

SCHEMA: Final = 3
"""Number of this shape of counts; figures of another one are not taken from a cache."""

HANDED_OVER: Final = 101
"""The status of a connection that became a WebSocket: what nginx logs as its time is how long it stood open."""

OTHERS: Final = "(others)"
"""Stands for the clients beyond the bound."""

MOST_CLIENTS: Final = 50_000
"""Clients that are told apart, for either question about clients."""

MOST_REFUSALS: Final = 1_000_000
"""Refused logins of which the time is kept."""

MOST_SUSPECTS: Final = 5_000
"""Requests of a file that may be the suite's own."""

LINE_BOUND: Final = 64 * 1024
"""Bytes of a line; a longer one is none that nginx writes."""

_MOST_HOURS = 100_000
_SUSPECT_WIDTH = 2048
_CLIENT_WIDTH = 64
_EXAMPLES_KEPT = 5
_UNPARSED_KEPT = 3
_EXAMPLE_WIDTH = 300
_JUDGED_WIDTH = 300
_MOST_JUDGED = 16_384
_REFUSED = frozenset({401, 403})
_ELSEWHERE = -1_000_000  # the hour of what lies beyond the bound of hours


class Questions(msgspec.Struct, frozen=True):
    """What a deployment asks of its access log.

    Attributes:
        probes: What a request for an exploit path has in it, as `grep` would
            look for it: the guide's pattern, one alternative each.
        login_paths: What the path of a login begins with.
        admin_paths: What a path of the admin area begins with.
        routes: Whether request times are wanted for each route, which takes longer.
        refused_status: What `limit_req` answers; such requests are left out of the routes' times.
    """

    probes: tuple[str, ...] = (".php", ".jsp", "admin", "wp-")
    login_paths: tuple[str, ...] = ("/api/auth/login",)
    admin_paths: tuple[str, ...] = ("/admin/",)
    routes: bool = False
    refused_status: int = 503

    def is_probe(self, request: str) -> bool:
        """Whether a request line has one of the texts in it, as it is written; disguises: `observe.exploit_probes`."""
        return any(text in request for text in self.probes)

    def needles(self) -> tuple[bytes, ...]:
        """What a request must have in it, as bytes, before a closer look at it can find a probe or an admin path.

        A text that contains another one adds nothing and is left out; an empty one is in everything.
        """
        texts = {*self.probes, *self.admin_paths}
        return tuple(
            sorted(text.encode() for text in texts if not any(other in text for other in texts if other != text))
        )


class Example(msgspec.Struct, frozen=True):
    """A request, shown.

    Attributes:
        client: Its address.
        at: Seconds since the epoch.
        request: The request line, at most 300 characters.
        status: As answered.
    """

    client: str
    at: int
    request: str
    status: int


class Counts(msgspec.Struct):
    """What was counted, of one file or of several.

    Attributes:
        lines: Lines in the window, and those that can't be read.
        unparsed: Lines that can't be read.
        unparsed_examples: The first three of them, at most 300 characters.
        first: The earliest time, in milliseconds since the epoch.
        last: The latest.
        hours: Requests per UTC hour and status: hours since the epoch x 1000 + status.
        times: Requests per `$request_time` in milliseconds; above a minute in whole seconds, rounded up.
        untimed: Requests without a time, and connections that became WebSockets, whose time says nothing.
        routes: The same for each route, where that was asked.
        routes_level: How much had to be folded to keep the routes bounded; see :class:`observe.routes.RouteTable`.
        routes_refused: Requests with a time that count for no route, since a limit refused them.
        probes: Requests for exploit paths, per status.
        probe_examples: The last five of them.
        probes_let_in: The last five that were answered below 400.
        refused: Per client the times of its refused logins, in seconds since the epoch, 8 bytes each.
        refused_others: Refused logins beyond the bounds, whose client or time isn't kept.
        visits: Requests to the admin area, per client, status and whether they are counted among the probes too.
        suspects: Lines that name this suite; counted nowhere else.
        suspects_over: Such lines beyond the bound; they are counted like everybody's.
    """

    lines: int = 0
    unparsed: int = 0
    unparsed_examples: list[str] = []
    first: int | None = None
    last: int | None = None
    hours: dict[int, int] = {}
    times: dict[int, int] = {}
    untimed: int = 0
    routes: dict[str, dict[int, int]] = {}
    routes_level: int = 0
    routes_refused: int = 0
    probes: dict[int, int] = {}
    probe_examples: list[Example] = []
    probes_let_in: list[Example] = []
    refused: dict[str, bytes] = {}
    refused_others: int = 0
    visits: dict[tuple[str, int, bool], int] = {}
    suspects: list[bytes] = []
    suspects_over: int = 0


class Tally:
    """Counts requests, one at a time or many at once.

    Args:
        questions: What is asked.

    Attributes:
        counts: What was counted so far.
        refused_status: As in the questions.
        names: Names the routes of requests.
        routes: The times of each route, where that was asked.
    """

    def __init__(self, questions: Questions) -> None:
        self.counts = Counts()
        self._refused: dict[str, array[int]] = {}
        self._merged: dict[str, bytes] = {}
        self._probes: deque[tuple[str, int, str, int]] = deque(maxlen=_EXAMPLES_KEPT)
        self._let_in: deque[tuple[str, int, str, int]] = deque(maxlen=_EXAMPLES_KEPT)
        self._refusals = 0
        self._visitors: set[str] = set()
        self._questions = questions
        self.refused_status = questions.refused_status
        self.names = Names()
        self.routes = RouteTable() if questions.routes else None
        self._judged: dict[str, tuple[bool, bool, bool]] = {}

    def add(self, access: Access, at_ms: int) -> None:
        """Count one request, whose time in milliseconds since the epoch is known already."""
        counts, at = self.counts, at_ms // 1000
        self.seen(at_ms)
        counts.lines += 1
        self.add_hour(at // 3600, access.status, 1)
        if access.request_time is None or access.status == HANDED_OVER:
            counts.untimed += 1
        else:
            milliseconds = round(access.request_time * 1000)
            self.add_time(milliseconds, 1)
            if self.routes is not None:
                self._add_route(self.routes, access, milliseconds)
        self.look([(access.client, at, access.request, access.status)])

    def add_hour(self, hour: int, status: int, number: int) -> None:
        """Count requests of an hour since the epoch and a status."""
        hours, key = self.counts.hours, hour * 1000 + status
        if key not in hours and len(hours) >= _MOST_HOURS:
            key = _ELSEWHERE * 1000 + status
        hours[key] = hours.get(key, 0) + number

    def add_time(self, milliseconds: int, number: int) -> None:
        """Count requests that took so long."""
        milliseconds = rounded(milliseconds)
        times = self.counts.times
        times[milliseconds] = times.get(milliseconds, 0) + number

    def _add_route(self, routes: RouteTable, access: Access, milliseconds: int) -> None:
        if not counted(access.status, milliseconds, self.refused_status):
            self.counts.routes_refused += 1
            return
        route = self.names.of(text_of(access.request), found=access.status != NOT_FOUND)
        routes.add(route, rounded(milliseconds), 1)

    def seen(self, microseconds: int) -> None:
        """Note the time of a request, in milliseconds since the epoch."""
        counts = self.counts
        if counts.first is None or microseconds < counts.first:
            counts.first = microseconds
        if counts.last is None or microseconds > counts.last:
            counts.last = microseconds

    def look(self, requests: Iterable[tuple[str, int, str, int]]) -> None:
        """Look closer at requests: are they probes, refused logins, visits to the admin area?

        Args:
            requests: Client, seconds since the epoch, request line and status of each.
        """
        judged, probes = self._judged, self.counts.probes
        for client, at, request, status in requests:
            known = judged.get(request)
            probe, login, admin = self._judge(request) if known is None else known
            if probe:
                probes[status] = probes.get(status, 0) + 1
                self._probes.append((client, at, request, status))
                if status < 400:
                    self._let_in.append((client, at, request, status))
            if login and status in _REFUSED:
                self.add_refusal(client[:_CLIENT_WIDTH], at)
            if admin:
                self.add_visits(client[:_CLIENT_WIDTH], status, 1, probe=probe)

    def _judge(self, request: str) -> tuple[bool, bool, bool]:
        """Whether it is a probe, for a login and for the admin area."""
        target = request_parts(request)[1]
        questions = self._questions
        verdict = (
            questions.is_probe(request),
            target.startswith(questions.login_paths),
            target.startswith(questions.admin_paths),
        )
        # Most of what is looked at is asked for again and again.
        if len(request) <= _JUDGED_WIDTH:
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            self._judged[request] = verdict
        return verdict

    def add_refusal(self, client: str, at: int) -> None:
        """Count a refused login, at seconds since the epoch."""
        times = self._refused.get(client)
        if times is None and self._may_add(client):
            times = self._refused[client] = array("q")
        if times is None or self._refusals >= MOST_REFUSALS:
            self.counts.refused_others += 1
            return
        self._refusals += 1
        times.append(at)

    def _may_add(self, client: str) -> bool:
        return client in self._merged or len(self._refused) + len(self._merged) < MOST_CLIENTS

    def add_visits(self, client: str, status: int, number: int, *, probe: bool) -> None:
        """Count requests to the admin area."""
        if client not in self._visitors:
            if len(self._visitors) >= MOST_CLIENTS:
                client = OTHERS
            else:
                self._visitors.add(client)
        key = (client, status, probe)
        self.counts.visits[key] = self.counts.visits.get(key, 0) + number

    def suspect(self, line: bytes) -> bool:
        """Keep a line that names this suite apart; if that is not to be, it is counted like everybody's."""
        if len(line) > _SUSPECT_WIDTH or len(self.counts.suspects) >= MOST_SUSPECTS:
            self.counts.suspects_over += 1
            return False
        self.counts.suspects.append(line)
        return True

    def add_unparsed(self, line: bytes) -> None:
        """Count a line that can't be read."""
        self.counts.lines += 1
        self.counts.unparsed += 1
        if len(self.counts.unparsed_examples) < _UNPARSED_KEPT:
            shown = line[:_EXAMPLE_WIDTH].decode("utf-8", "backslashreplace")
            self.counts.unparsed_examples.append(shown)

    def merge(self, other: Counts) -> None:
        """Add the counts of a later file. Its suspects are the caller's business."""
        counts = self.counts
        counts.lines += other.lines
        counts.unparsed += other.unparsed
        counts.unparsed_examples += other.unparsed_examples[: _UNPARSED_KEPT - len(counts.unparsed_examples)]
        for moment in (other.first, other.last):
            if moment is not None:
                self.seen(moment)
        self._merge_hours(other.hours)
        for milliseconds, number in other.times.items():
            self.add_time(milliseconds, number)
        counts.untimed += other.untimed
        counts.routes_refused += other.routes_refused
        if self.routes is not None:
            self.routes.merge(other.routes, other.routes_level)
        for status, number in other.probes.items():
            counts.probes[status] = counts.probes.get(status, 0) + number
        self._probes.extend(msgspec.structs.astuple(example) for example in other.probe_examples)
        self._let_in.extend(msgspec.structs.astuple(example) for example in other.probes_let_in)
        counts.refused_others += other.refused_others
        for client, packed in other.refused.items():
            self._merge_refused(client, packed)
        for (client, status, probe), number in other.visits.items():
            self.add_visits(client, status, number, probe=probe)
        counts.suspects_over += other.suspects_over

    def _merge_hours(self, more: Mapping[int, int]) -> None:
        hours = self.counts.hours
        if len(hours) + len(more) > _MOST_HOURS:
            for key, number in more.items():
                self.add_hour(key // 1000, key % 1000, number)
            return
        for key, number in more.items():
            hours[key] = hours.get(key, 0) + number

    def _merge_refused(self, client: str, packed: bytes) -> None:
        number = len(packed) // 8
        if self._refusals + number > MOST_REFUSALS or not self._may_add(client):
            self.counts.refused_others += number
            return
        self._refusals += number
        known = self._merged.get(client)
        self._merged[client] = packed if known is None else known + packed

    def result(self) -> Counts:
        """The counts as plain data."""
        refused = dict(self._merged)
        for client, times in self._refused.items():
            refused[client] = refused.get(client, b"") + times.tobytes()
        self.counts.refused = refused
        if self.routes is not None:
            self.counts.routes = self.routes.result()
            self.counts.routes_level = self.routes.level
        self.counts.probe_examples = [_example(*one) for one in self._probes]
        self.counts.probes_let_in = [_example(*one) for one in self._let_in]
        return self.counts


def _example(client: str, at: int, request: str, status: int) -> Example:
    return Example(client[:_CLIENT_WIDTH], at, request[:_EXAMPLE_WIDTH], status)


def most_within(times: Sequence[int], span: int) -> tuple[int, int]:
    """The highest number of events in any stretch of time.

    Args:
        times: Seconds since the epoch, in any order.
        span: Length of the stretch, in seconds; an event exactly so much later is not in it.

    Returns:
        The number, and when the first such stretch begins.
    """
    most, begin, oldest = 0, 0, 0
    ordered = sorted(times)
    for index, at in enumerate(ordered):
        while at - ordered[oldest] >= span:
            oldest += 1
        if index - oldest + 1 > most:
            most, begin = index - oldest + 1, ordered[oldest]
    return most, begin
