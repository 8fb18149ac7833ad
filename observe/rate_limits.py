"""Refusals of clients that ask too often, from the three places that tell of them.

Serves the guide's Friday line `docker-compose logs backend | grep "RATE_LIMIT" | wc -l`, which finds nothing while
clients are being limited by the proxy, or by an application that words it otherwise.

One refusal can stand in several places: the proxy's is a line of its error log and an answer in its access log, the
backend's is an answer 429 and one, two or three lines of its own log, each of another kind. They are counted so that
none counts twice: the proxy's by its error log; the backend's by the answers 429 or by the most frequent kind of its
lines, whichever is more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observe.error_log import limited
from observe.errors import CannotTell, NoAnswer
from observe.masking import masked

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo

    from observe.application_log import Record
    from observe.error_log import ErrorLine, Limited
    from observe.requests_seen import SeenFigures
    from observe.rotated_log import Reading
    from observe.window import Seen

KNOWN_LINES = (
    "api.security: RATE_LIMIT exceeded",
    "api.middleware: IP 192.0.2.7 rate limited: /api/tasks/",
    "api.security: Rate limit exceeded for ratelimit:ip:192.0.2.7",
    "django.request: Too Many Requests: /api/tasks/",
    "api.error_handling: API Error: Throttled",
)
"""What backends are known to write: the guide's own word, what Django and its REST framework write, and middlewares."""
_KINDS_HELD = 500
_CLIENTS_HELD = 5000
_SHOWN = 10


@dataclass
class LimitLines:
    """Counts the lines by which the backend says that it refused somebody, record by record.

    Attributes:
        patterns: What such lines look like; searched for in `logger: message`.
        since: Records with an earlier time stamp are left out.
        needs_requests: Whether answers 429 are to be counted in the backend's own request lines, where there is no
            access log. Where there is one it counts the answers, and of the backend's lines those below WARNING are
            passed over, which makes the reading many times faster.
        lines: Lines that match.
        kinds: How often each kind of them came.
        matched: The patterns that matched something.
        answers: Request lines with 429.
    """

    patterns: Sequence[re.Pattern[str]]
    since: datetime
    needs_requests: bool = False
    lines: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    matched: set[str] = field(default_factory=set)
    answers: int = 0

    def take(self, record: Record) -> None:
        """Count a record if it tells of a refusal."""
        if record.at is not None and record.at < self.since:
            return
        if record.request is not None:
            self.answers += record.request.status == 429
            return
        text = f"{record.logger}: {record.message}" if record.logger else record.message
        found = [pattern.pattern for pattern in self.patterns if pattern.search(text)] if record.level else []
        if not found:
            return
        self.lines += 1
        self.matched.update(found)
        kind = masked(text)
        self.kinds[kind if kind in self.kinds or len(self.kinds) < _KINDS_HELD else "(other kinds)"] += 1

    def result(self) -> LimitLines:
        """The counter itself."""
        return self


@dataclass(frozen=True)
class ProxyRefusals:
    """What the proxy's error log tells.

    Attributes:
        count: Requests that `limit_req` refused.
        zones: How many by which zone, most first.
        clients: How many of which client, most first.
    """

    count: int
    zones: tuple[tuple[str, int], ...]
    clients: tuple[tuple[str, int], ...]


def proxy_refusals(refused: Iterable[Limited]) -> ProxyRefusals:
    """Count the refusals of the proxy's error log, in bounded memory."""
    zones: Counter[str] = Counter()
    clients: Counter[str] = Counter()
    for one in refused:
        zones[one.zone if one.zone in zones or len(zones) < _KINDS_HELD else "(other zones)"] += 1
        clients[one.client if one.client in clients or len(clients) < _CLIENTS_HELD else "(other clients)"] += 1
    return ProxyRefusals(zones.total(), tuple(zones.most_common(_SHOWN)), tuple(clients.most_common(_SHOWN)))


@dataclass(frozen=True)
class RateLimits:
    """The refusals of a window from all sources that could be read.

    Attributes:
        proxy: By the proxy's error log; None where that couldn't be read.
        answers: Answers 429 by the access log, or by the backend's request lines; None where neither could be read.
        lines: By the backend's log; None where that couldn't be read.
        refused_status: What the proxy answers when it refuses.
        looked_at: The denominators of the sources, in words.
        unread: Why a source tells nothing, a sentence each.
        said_of_logs: What was not as it should be in the logs that could be read.
        never: The patterns of the settings that have matched no line of this backend, now or in an earlier run.
        blind: Whether none of the patterns matches a line that a backend is known to write, nor ever one of this one.
    """

    proxy: ProxyRefusals | None
    answers: int | None
    lines: LimitLines | None
    refused_status: int
    looked_at: str
    unread: tuple[str, ...] = ()
    said_of_logs: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    blind: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside the figure."""
        quiet = [
            f"the pattern {one!r} of logs.rate_limited has never matched a line of this backend" for one in self.never
        ]
        return (*self.unread, *self.said_of_logs, *quiet)

    def rows(self) -> list[dict[str, str]]:
        """What tells of them, for the report."""
        rows = (
            []
            if self.proxy is None
            else [{"what": f"proxy, zone {zone}", "times": f"{count:,}"} for zone, count in self.proxy.zones]
        )
        if self.answers is not None:
            rows.append({"what": "answers 429", "times": f"{self.answers:,}"})
        kinds = self.lines.kinds.most_common(_SHOWN) if self.lines is not None else []
        return rows + [{"what": f"backend, {kind}", "times": f"{count:,}"} for kind, count in kinds]

    def clients(self) -> list[dict[str, str]]:
        """Whom the proxy refused most, for the report."""
        return [
            {"client": client, "times": f"{count:,}"} for client, count in (self.proxy.clients if self.proxy else ())
        ]

    @property
    def events(self) -> int:
        """How often somebody was refused, each time once.

        Raises:
            CannotTell: If no source could be read.
        """
        if self.proxy is None and self.answers is None and self.lines is None:
            raise CannotTell(
                f"nothing tells of refused clients: {'; '.join(self.unread) or 'no source is set'}",
                mend="Set logs.error and logs.access to nginx's logs, and see that this user may read them.",
            )
        proxy = self.proxy.count if self.proxy is not None else 0
        said = max(self.lines.kinds.values(), default=0) if self.lines is not None else 0
        answers = self.answers or 0
        if self.refused_status == 429:
            # The proxy's own refusals are among the answers.
            return max(answers, proxy + said)
        return proxy + max(answers, said)

    @property
    def said(self) -> str:
        """What each source tells, in words."""
        parts = [
            f"{self.proxy.count:,} refused by the proxy" if self.proxy is not None else "",
            f"{self.answers:,} answered 429" if self.answers is not None else "",
            f"{self.lines.lines:,} lines of the backend" if self.lines is not None else "",
        ]
        return f"{self.events:,} refusals ({', '.join(filter(None, parts))})"

    def must_see(self) -> None:
        """Insist that the patterns of the settings could see something.

        Raises:
            CannotTell: If they match neither a line that a backend is known to write nor ever one of this backend.
        """
        if self.blind:
            raise CannotTell(
                f"none of the patterns {', '.join(map(repr, self.never))} matches a line that a backend is known to "
                "write, and none has ever matched here: they may look at nothing",
                mend="Mend logs.rate_limited in the target: it has to match what your backend logs when it refuses a "
                "client. The defaults may stand beside your own.",
            )


def never_matched(patterns: Sequence[re.Pattern[str]], matched: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """Which patterns have matched nothing, and whether all of them may be blind.

    Args:
        patterns: The patterns of the settings.
        matched: Those that have matched something here, now or in an earlier run.
    """
    seen = set(matched)
    never = tuple(one.pattern for one in patterns if one.pattern not in seen)
    blind = not seen.intersection(one.pattern for one in patterns) and not any(
        one.search(line) for one in patterns for line in KNOWN_LINES
    )
    return never, blind


class LimitSources:
    """Gathers what each source tells, and why one of them doesn't.

    Attributes:
        matched: The patterns that matched a line of the backend.
    """

    def __init__(self) -> None:
        self.matched: set[str] = set()
        self._proxy: ProxyRefusals | None = None
        self._answers: int | None = None
        self._lines: LimitLines | None = None
        self._looked_at: list[str] = []
        self._unread: list[str] = []
        self._notes: list[str] = []

    def attempt(self, name: str, take: Callable[[], None] | None) -> None:
        """Read one source; what fails is remembered, and doesn't concern the others.

        Args:
            name: The source, in words.
            take: Reads it, by one of the methods below; None where the settings name none.
        """
        if take is None:
            self._unread.append(f"{name} isn't set")
            return
        try:
            take()
        except (CannotTell, NoAnswer) as why:
            self._unread.append(f"{name} tells nothing: {why}")

    def take_error_log(self, reading: Reading[ErrorLine], zone: tzinfo) -> None:
        """Count the refusals of the proxy's error log.

        Raises:
            CannotTell: If it can't be read, a rotated file of the window can't, or it has no line of the window: an
                empty log by itself doesn't show that nobody was refused.
        """
        refused = proxy_refusals(limited((line.raw for line in reading), zone))
        if reading.unread:
            raise CannotTell(reading.unread[0])
        if not reading.lines:
            raise CannotTell(f"{reading.path} has no line of the window")
        self._proxy = refused
        files = "1 file" if len(reading.files) == 1 else f"{len(reading.files)} files"
        self._looked_at.append(f"{reading.lines:,} lines of the proxy's error log in {files}")

    def take_figures(self, seen: SeenFigures) -> None:
        """Count the answers 429 of the access log."""
        self._answers = seen.all.by_status.get(429, 0)
        self._looked_at.append(seen.looked_at)
        self._notes += seen.notes

    def take_lines(self, seen: Seen[LimitLines], *, answers: bool) -> None:
        """Count the backend's lines.

        Args:
            seen: What the counters of its containers made of them.
            answers: Whether the answers 429 are to be taken from its request lines.
        """
        lines = LimitLines((), datetime.max.replace(tzinfo=UTC))
        for one in seen.results:
            lines.lines += one.lines
            lines.kinds += one.kinds
            lines.matched |= one.matched
            lines.answers += one.answers
        self._lines, self.matched = lines, lines.matched
        if answers:
            self._answers = lines.answers
        self._looked_at.append(f"{seen.looked_at} of the backend's log")
        self._notes += seen.notes

    def result(self, patterns: Sequence[re.Pattern[str]], earlier: Iterable[str], refused_status: int) -> RateLimits:
        """What was gathered.

        Args:
            patterns: The patterns of the settings.
            earlier: Those that have matched something in an earlier run.
            refused_status: What the proxy answers when it refuses.
        """
        never, blind = never_matched(patterns, {*self.matched, *earlier})
        return RateLimits(
            proxy=self._proxy,
            answers=self._answers,
            lines=self._lines,
            refused_status=refused_status,
            looked_at="; ".join(self._looked_at),
            unread=tuple(self._unread),
            said_of_logs=tuple(self._notes),
            never=never,
            blind=blind,
        )
