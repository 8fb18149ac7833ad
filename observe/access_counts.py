r"""What is counted of an access log: the questions, and the counts of one file.

Serves the guide's weekly response times and rate limits, its monthly look for
exploit paths (`tail -10000 access.log | grep -E "\.php|\.jsp|admin|wp-"`), and
the quarterly reviews of refused logins and of the admin area.

The counts of a file are plain data. They can be added up, written to a cache
and sent between processes. Whatever attackers send, they stay bounded: what
goes over a bound is counted apart and said.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

import msgspec

from observe.client_table import CLIENT_WIDTH, MOST, Clients
from observe.clients import client_of
from observe.log_format import request_parts
from observe.logins import MOST_CLIENTS, Logins
from observe.routes import NOT_FOUND, Names, RouteTable, counted, rounded, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from observe.log_format import Access

SCHEMA: Final = 4
"""Number of this shape of counts; figures of another one are not taken from a cache."""

HANDED_OVER: Final = 101
"""The status of a connection that became a WebSocket: what nginx logs as its time is how long it stood open."""

OTHERS: Final = "(others)"
"""Stands for the clients beyond the bound."""

MOST_SUSPECTS: Final = 5_000
"""Requests of a file that may be the suite's own."""

LINE_BOUND: Final = 64 * 1024
"""Bytes of a line; a longer one is none that nginx writes."""

_MOST_HOURS = 100_000
_SUSPECT_WIDTH = 2048
_VISIT_WIDTH = 120
_EXAMPLES_KEPT = 5
_UNPARSED_KEPT = 3
_EXAMPLE_WIDTH = 300
_JUDGED_WIDTH = 300
_MOST_JUDGED = 16_384
_REFUSED = frozenset({401, 403})
_FORM_AGAIN = 200
_REDIRECTED = frozenset({302, 303})
_UNUSUAL = re.compile(r"^[^/]|%|//|/\.")
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
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
        login_span: The stretch of time in which refused logins count together, in seconds.
        clients: Whether it is wanted what each client asked for, and which logins let somebody in; takes longer, too.
    """

    probes: tuple[str, ...] = (".php", ".jsp", "admin", "wp-")
    login_paths: tuple[str, ...] = ("/api/auth/login",)
    admin_paths: tuple[str, ...] = ("/admin/",)
    routes: bool = False
    refused_status: int = 503
    login_span: int = 300
    clients: bool = False

    def is_probe(self, request: str) -> bool:
        """Whether a request line has one of the texts in it, as it is written; disguises: `observe.exploit_probes`."""
        return any(text in request for text in self.probes)

    def needles(self) -> tuple[bytes, ...]:
        """What a request must have in it, as bytes, before a closer look at it can find what is asked for.

        That are probes, admin paths, and where it matters who was let in, login paths. A text that contains another
        one adds nothing and is left out; an empty one is in everything.
        """
        texts = {*self.probes, *(path.rstrip("/") or path for path in self.admin_paths)}
        # A letter that needs no escape and has one (`/%61dmin/`) is a disguise.
        texts.update(f"%{ord(letter) >> 4:X}" for path in self.admin_paths for letter in path[1:].rstrip("/"))
        if self.clients:
            texts.update(path.rstrip("/") or path for path in self.login_paths)
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


class Visits(msgspec.Struct, frozen=True, array_like=True):
    """Requests to the admin area of one kind.

    Attributes:
        number: How many.
        first: When the first was, in seconds since the epoch.
        last: When the last was.
        request: The last one's request line, cut.
    """

    number: int
    first: int
    last: int
    request: str

    def plus(self, other: Visits) -> Visits:
        """Both together."""
        last = other if other.last >= self.last else self
        return Visits(self.number + other.number, min(self.first, other.first), last.last, last.request)


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
        refused: Per client its refused logins, as :meth:`observe.logins.Logins.packed`.
        refused_others: Refused logins beyond the bounds, whose client or time isn't kept.
        accepted: Per client the logins that let it in, likewise, where that was asked.
        accepted_others: Likewise.
        visits: Requests to the admin area, per client, status and whether they are counted among the probes too.
        clients: Each client's requests, where that was asked, as :meth:`observe.client_table.Clients.packed`.
        clients_others: Requests whose client is not told apart; see :class:`observe.client_table.Clients`.
        clients_missed: So many requests of a client may be among those, and no more.
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
    accepted: dict[str, bytes] = {}
    accepted_others: int = 0
    visits: dict[tuple[str, int, bool], Visits] = {}
    clients: list[bytes] = []
    clients_others: int = 0
    clients_missed: int = 0
    suspects: list[bytes] = []
    suspects_over: int = 0


class Tally:
    """Counts requests, one at a time or many at once.

    Args:
        questions: What is asked.
        clients: How many clients are told apart at most, where it is asked what each asked for.

    Attributes:
        counts: What was counted so far.
        refused_status: As in the questions.
        names: Names the routes of requests.
        routes: The times of each route, where that was asked.
        clients: The requests of each client, likewise.
    """

    def __init__(self, questions: Questions, clients: int | None = None) -> None:
        self.counts = Counts()
        self._refused = Logins(questions.login_span)
        self._accepted = Logins(questions.login_span)
        self._probes: deque[tuple[str, int, str, int]] = deque(maxlen=_EXAMPLES_KEPT)
        self._let_in: deque[tuple[str, int, str, int]] = deque(maxlen=_EXAMPLES_KEPT)
        # Whoever is refused by the thousand must not crowd out who isn't.
        self._visitors: tuple[set[str], set[str]] = (set(), set())
        self._questions = questions
        self.refused_status = questions.refused_status
        self.names = Names()
        self.routes = RouteTable() if questions.routes else None
        self.clients = Clients(clients or MOST) if questions.clients else None
        self._judged: dict[str, _Verdict] = {}

    def add(self, access: Access, at_ms: int) -> None:
        """Count one request, whose time in milliseconds since the epoch is known already."""
        counts, at = self.counts, at_ms // 1000
        self.seen(at_ms)
        counts.lines += 1
        self.add_hour(at // 3600, access.status, 1)
        if self.clients is not None:
            self.clients.add(access.client, at // 3600, access.status)
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
            verdict = self._judge(request) if known is None else known
            if verdict.probe:
                probes[status] = probes.get(status, 0) + 1
                self._probes.append((client, at, request, status))
                if status < 400:
                    self._let_in.append((client, at, request, status))
            if verdict.login is not None:
                self._look_at_login(client, at, status, verdict)
            if verdict.admin:
                visits = Visits(1, at, at, request[:_VISIT_WIDTH])
                self.add_visits(client[:CLIENT_WIDTH], status, visits, probe=verdict.probe)

    def _look_at_login(self, client: str, at: int, status: int, verdict: _Verdict) -> None:
        assert verdict.login is not None  # for the type checker
        kept = None
        if status in _REFUSED or (verdict.form and status == _FORM_AGAIN):
            kept = self._refused
        elif verdict.post and self._questions.clients and (status in _REDIRECTED or 200 <= status < 300):
            kept = self._accepted
        if kept is not None:
            kept.add(client_of(client[:CLIENT_WIDTH]), at, verdict.login)

    def _judge(self, request: str) -> _Verdict:
        method, target, _ = request_parts(request)
        questions, path = self._questions, plain_path(target)
        login = next((number for number, one in enumerate(questions.login_paths) if path.startswith(one)), None)
        admin, post = path.startswith(questions.admin_paths), method == "POST"
        verdict = _Verdict(questions.is_probe(request), login, admin, post, admin and post)
        # Most of what is looked at is asked for again and again.
        if len(request) <= _JUDGED_WIDTH:
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            self._judged[request] = verdict
        return verdict

    def add_visits(self, client: str, status: int, visits: Visits, *, probe: bool) -> None:
        """Count requests to the admin area."""
        visitors = self._visitors[status < 400]
        if client not in visitors:
            if len(visitors) >= MOST_CLIENTS:
                client = OTHERS
            else:
                visitors.add(client)
        key = (client, status, probe)
        known = self.counts.visits.get(key)
        self.counts.visits[key] = visits if known is None else known.plus(visits)

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
        if self.clients is not None:
            self.clients.merge(other.clients, other.clients_others, other.clients_missed)
        for status, number in other.probes.items():
            counts.probes[status] = counts.probes.get(status, 0) + number
        self._probes.extend(msgspec.structs.astuple(example) for example in other.probe_examples)
        self._let_in.extend(msgspec.structs.astuple(example) for example in other.probes_let_in)
        self._refused.merge(other.refused, other.refused_others)
        self._accepted.merge(other.accepted, other.accepted_others)
        for (client, status, probe), visits in other.visits.items():
            self.add_visits(client, status, visits, probe=probe)
        counts.suspects_over += other.suspects_over

    def _merge_hours(self, more: Mapping[int, int]) -> None:
        hours = self.counts.hours
        if len(hours) + len(more) > _MOST_HOURS:
            for key, number in more.items():
                self.add_hour(key // 1000, key % 1000, number)
            return
        for key, number in more.items():
            hours[key] = hours.get(key, 0) + number

    def result(self) -> Counts:
        """The counts as plain data."""
        self.counts.refused, self.counts.refused_others = self._refused.packed(), self._refused.others
        self.counts.accepted, self.counts.accepted_others = self._accepted.packed(), self._accepted.others
        if self.routes is not None:
            self.counts.routes = self.routes.result()
            self.counts.routes_level = self.routes.level
        if self.clients is not None:
            self.counts.clients = self.clients.packed()
            self.counts.clients_others, self.counts.clients_missed = self.clients.others, self.clients.missed
        self.counts.probe_examples = [_example(*one) for one in self._probes]
        self.counts.probes_let_in = [_example(*one) for one in self._let_in]
        return self.counts


class _Verdict(NamedTuple):
    """What a request is.

    Attributes:
        probe: Whether it is for an exploit path.
        login: The number of the login path that it is for.
        admin: Whether it is for the admin area.
        post: Whether it sends something.
        form: Whether that is a form of the admin area: Django shows it again, with 200, when the password is wrong.
    """

    probe: bool
    login: int | None
    admin: bool
    post: bool
    form: bool


def plain_path(target: str) -> str:
    """A target's path as the proxy takes it, so that no disguise leads away from it or to it: case stays.

    `/%61dmin/`, `//admin/`, `/x/../admin/` and `https://site/admin/` are all `/admin/`; `/admin/../` is `/`.
    """
    if _UNUSUAL.search(target) is None:
        return target
    address = _AUTHORITY.match(target)
    path = unquote(re.split("[?#]", target[address.end() :] if address else target, maxsplit=1)[0])
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/".join(("", *kept, *([""] if segments[-1] in {"", ".", ".."} and kept else []))) or "/"


def _example(client: str, at: int, request: str, status: int) -> Example:
    return Example(client[:CLIENT_WIDTH], at, request[:_EXAMPLE_WIDTH], status)
