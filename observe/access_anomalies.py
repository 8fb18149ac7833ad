"""Which clients are out of line with the rest, by what was counted of a quarter's access log.

Serves the guide's quarterly "Identify anomalous patterns". By hand that is `zgrep` and a feeling for what is usual.
Here four things are asked of every client, each by medians, which one client can't shift, and each with an absolute
floor besides, since what is unusual need not matter:

- *A burst.* An hour counts that has more requests than such hours usually have (the median of its hour of the week, the
  spread of its hour of the day, both of roots, since counts vary by their root), if the client alone makes half of what
  is over the usual. On a launch day or while a site grows nobody does, and an office behind one address is part of the
  usual. Floor: limits.client_floor requests over the usual, within a day.
- *The share over the window.* Sizes of clients are heavy-tailed: by Zipf's law, which many sites are near, the first of
  two thousand makes an eighth of all and is no news. So a client isn't held against the median but against what the
  largest of so many would be expected to make, by the scale of the upper half of the logarithms. In an exponential tail
  (Pareto's and Zipf's laws are that in logarithms) some client lies six scales beyond it in 1 of 150 quarters where
  there are 20 clients and in 1 of 700 where there are 300; in lighter tails hardly ever. Floor: a twentieth of all
  requests. Nothing stands out so in a very heavy tail; hence who makes more than all others together is out of line,
  too, whatever is usual.
- *The answers*, 4xx and 5xx: the client's part against the median of the rest, as angles, with what chance does to so
  few requests and with how far the clients themselves differ. Floor: half of its requests more than usual, and
  limits.client_floor of them.
- *The time of day*, likewise: its part in the quiet hours, which are those of the rest. Floor: a quarter of its
  requests more than who comes evenly all day long, limits.client_floor of them, and a tenth of what the site has at
  that time. So a monitor or a crawler isn't told by its nights, and who lives abroad rarely.

Why six deviations: 2,000 clients judged by five figures each exceed three in 13 cases though they do nothing but vary
by chance. Six none does, which leaves room for tails that are heavier than a normal one's.

False alarms on clean quarters (`proofs/observe/client_crowds.py` says what they are), with seeds by which nothing was
chosen, as quarters with a finding of quarters:

    300 clients who are alike, and a crawler                                                1 of 50
    Zipf's law with exponents of 1.0 and 1.25; the first makes an eighth, a quarter of all  0 of 100
    an office behind one address, a fifth of all                                            0 of 50
    a site that triples within the quarter; one that had nobody before its last month       1 of 100
    holidays; a launch with six times the usual and as many new clients as old ones         1 of 100
    crawlers and monitors, evenly at all hours, a third of all                              0 of 50
    IPv6, and one client in ten lives eight hours to the west                               0 of 50
    a site that is used around the world and has no quiet hours                             1 of 50
    one client in four has most of its requests refused                                     0 of 50
    forty people and a monitor once a minute, which is more than half of all                50 of 50; 0 if it is named
    six million requests; hundreds at a time from behind the largest addresses              3 of 30
    the lab's own ninety days                                                               0 of 20
    the first, the office and the growing one, in logs of 8 or of 29 days                   1 of 150

The three were hours in which one client alone asked for nearly as much as the whole site usually does, or for many
times that; each of the five single ones was a client of whose requests more than half were refused. This module's
proofs count again with other seeds, as many as `PROOFS_CROWDS` says. The end of summer time lies in all quarters.

The smallest that was found, in requests an hour, three crowds each, among 300 clients who are alike (90 requests in a
mean hour), 2,000 by Zipf's law (290), and 3,000 of a large site (2,800):

    a scraper by day, three days of eight hours     700 to 1,000     1,500          5,000 to 7,000
    a burst of an hour, at three at night           500 to 700       700            2,000
    evenly, day and night, the whole quarter        70 to 100        300            1,500 to 3,000
    two hours of every night                        20               30 to 50       300 to 500

Of a client that is refused 95 of 100 times 500 to 1,000 requests in the quarter were enough. On a site that triples
within the quarter a scraper by day is found from 3,000 an hour on, at 300 in a mean hour.

What isn't seen: a scraper that is spread over many addresses, a slow one where clients differ as much as by Zipf's law,
and bursts outside of a client's eight busiest hours.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from heapq import heappush, heappushpop, nlargest
from ipaddress import ip_network
from itertools import chain
from math import asin, ceil, exp, log, sin, sqrt
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from observe.clients import plain_network
from observe.errors import CannotTell
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from ipaddress import IPv4Network, IPv6Network

    from observe.clients import ClientCounts

FEWEST = 20
"""Of fewer clients it can't be told what is usual among them."""
PEERS = 50
"""The rest that a client is held against are at least so many of the busiest clients, where there are as many."""
LEAST_SHARE = 0.05
"""Who makes less than this of all requests doesn't have too large a share, however small the others' are."""
MOSTLY = 0.5
"""So much more than usual of a client's requests must be answered 4xx, or 5xx."""
AT_NIGHT = 0.25
"""So much more of them must lie in the quiet hours than of somebody's who comes evenly all day."""
LEAST_OF_QUIET = 0.1
"""Who makes less than this of what the others make in the quiet hours doesn't stand out there."""
QUIET = 0.1
"""The quiet hours of a day hold at most so much of what the rest ask for."""
MORE_THAN_ALL = 0.5
"""Who makes more than this of all requests makes more than all others together: too much, whatever is usual."""
ANOTHER_KIND = 0.25
"""Where more than this of the clients are off alike, they are another kind of clients and not out of line."""
WEEKS = timedelta(days=28)
"""From so much log on the usual is told for each hour of the week, else for each hour of the day."""
MOST = 999.0
"""A deviation beyond this is not told more exactly."""

_TO_SD = 1.4826  # of what is distributed normally, the median of the distances is so much smaller than the sd
_HOUR = timedelta(hours=1)
_DAY = 24
_NAMED = 5
_SHARE, _BURST, _REFUSED, _FAILED, _HOURS = (
    "share of the site",
    "burst",
    "answered 4xx",
    "answered 5xx",
    "time of day",
)
_OF_STATUS = {_REFUSED: 4, _FAILED: 5}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the requests of a window.

    Attributes:
        clients: What was counted of each client.
        by_hour: The whole site's requests per UTC hour and status.
        others: Requests of clients that were not told apart.
        since: Beginning of the window, aware.
        until: Its end, aware.
        earliest: How far back the log reaches; None where it has no request.
        zone: The host's.
    """

    clients: Mapping[str, ClientCounts]
    by_hour: Mapping[datetime, Mapping[int, int]]
    others: int
    since: datetime
    until: datetime
    earliest: datetime | None
    zone: tzinfo

    @property
    def span(self) -> timedelta:
        """How much of the window the log covers."""
        if self.earliest is None:
            return timedelta(0)
        return max(timedelta(0), self.until - max(self.since, self.earliest))


@dataclass(frozen=True, slots=True)
class Finding:
    """A client that is out of line.

    Attributes:
        client: Its address, or of IPv6 its network.
        question: In what.
        seen: What it did, in words.
        usual: What is usual, likewise.
        deviation: Robust standard deviations between the two; at most :data:`MOST`. It is 0 where they don't matter,
            since the client makes more requests than all others together.
        requests: All its requests of the window.
        at: Its busiest hour, or when a burst began, aware, in the host's zone.
    """

    client: str
    question: str
    seen: str
    usual: str
    deviation: float
    requests: int
    at: datetime

    @property
    def said(self) -> str:
        """The finding in a few words."""
        off = f", {say_deviation(self.deviation)} off" if self.deviation else ""
        return f"{self.client} ({self.question}: {self.seen}; usual: {self.usual}{off})"


@dataclass(frozen=True)
class ClientAnomalies:
    """Who is out of line, and of how many.

    Attributes:
        findings: Most out of line first.
        seen: What was looked at.
        judged: Clients with enough requests to be judged.
        judged_requests: How many requests they made.
        requests: All requests of the window.
        floor: How many are enough.
        notes: What the reader should know beside it.
    """

    findings: tuple[Finding, ...]
    seen: Seen
    judged: int
    judged_requests: int
    requests: int
    floor: int
    notes: tuple[str, ...]

    @property
    def clients(self) -> int:
        """How many clients are out of line."""
        return len({one.client for one in self.findings})

    @property
    def deviation(self) -> float:
        """By how much the worst of them is; 0 where none is."""
        return max((one.deviation for one in self.findings), default=0.0)

    @property
    def looked_at(self) -> str:
        """The denominator: requests, clients, days, and who was judged."""
        seen = self.seen
        days, wanted = seen.span / timedelta(days=1), (seen.until - seen.since) / timedelta(days=1)
        return (
            f"{_count(self.requests, 'request')} of {_count(len(seen.clients), 'client')} in {_days(days)} of "
            f"{_days(wanted)} days; {_count(self.judged, 'client')} with at least {self.floor:,} requests judged, "
            f"which made {say_share(self.judged_requests / self.requests)} of them"
        )

    @property
    def said(self) -> str:
        """Who is out of line, and in what; the worst only, where they are many."""
        if not self.findings:
            return f"none of {_count(self.judged, 'client')} out of line"
        named = "; ".join(one.said for one in self.findings[:_NAMED])
        more = f"; and {len(self.findings) - _NAMED} findings more" if len(self.findings) > _NAMED else ""
        return f"{self.clients:,} of {_count(self.judged, 'client')} out of line: {named}{more}"

    @staticmethod
    def wanted(deviation: float) -> str:
        """What is wanted, in words."""
        return f"at most {deviation:g} robust standard deviations (sd) off the rest, and half of all requests"

    def rows(self) -> list[dict[str, str]]:
        """The findings as rows of a table."""
        return [
            {
                "client": one.client,
                "in what": one.question,
                "seen": one.seen,
                "usual": one.usual,
                "off by": say_deviation(one.deviation) if one.deviation else "",
                "its requests": f"{one.requests:,}",
                "look at": f"{one.at:%Y-%m-%d %H:%M}",
            }
            for one in self.findings
        ]

    @property
    def worst(self) -> str:
        """The client that is most out of line; empty where none is."""
        return self.findings[0].client if self.findings else ""

    def hours(self) -> list[tuple[str, float]]:
        """The worst client's requests by hour of the day, in the host's zone."""
        return self._hours(self.seen.clients[self.worst].hours) if self.findings else []

    def hours_of_the_rest(self) -> list[tuple[str, float]]:
        """Everybody else's, likewise."""
        if not self.findings:
            return []
        every = [0] * _DAY
        for hour, number in _totals(self.seen).items():
            every[hour % _DAY] += number
        mine = self.seen.clients[self.worst].hours
        return self._hours([max(0, all_ - own) for all_, own in zip(every, mine, strict=True)])

    def _hours(self, by_utc: Sequence[int]) -> list[tuple[str, float]]:
        named = sorted((f"{_local(hour, self.seen):%H:%M}", float(number)) for hour, number in enumerate(by_utc))
        return list(named)


def client_anomalies(
    seen: Seen, *, deviation: float, floor: int, least: timedelta, known: Sequence[str] = ()
) -> ClientAnomalies:
    """Hold every client against the rest.

    Args:
        seen: What was counted.
        deviation: A client may be so many robust standard deviations off.
        floor: A client with fewer requests isn't judged, and what is fewer beyond the usual is not too much.
        least: The log must reach back for so long.
        known: Networks whose clients may be out of line.

    Raises:
        CannotTell: If the log doesn't reach back far enough, or has too few clients to say what is usual.
    """
    usual = _Usual.of(seen)
    if not usual.requests or seen.span < least:
        raise CannotTell(
            f"the access log covers {say_span(seen.span)}, and what is usual is told from {say_span(least)} on",
            mend="Look again later; or keep rotated logs longer: `rotate` in logrotate's configuration of nginx.",
        )
    crowd, limits = _Crowd.of(seen.clients, known, floor), _Limits(deviation, floor)
    findings, kinds = list(_bursts(crowd.judged, usual, seen, limits)), list[str]()
    if len(crowd.peers) >= FEWEST:
        findings += _shares(crowd, usual.requests, seen, limits)
        for question, found in (*_statuses(crowd, seen, limits), (_HOURS, list(_times(crowd, usual, seen, limits)))):
            if len(found) <= ANOTHER_KIND * len(crowd.peers):
                findings += [one for one in found if one.deviation > deviation]
            else:
                kinds.append(
                    f"{question}: {len(found)} of {len(crowd.peers)} clients alike, so they are not out of line"
                )
    elif not findings:
        raise CannotTell(
            f"of {_count(len(crowd.peers), 'client')} it can't be told what is usual among them, {FEWEST} are needed; "
            "none of them made a burst",
            mend="If more people than that use the site, nginx sees only what stands before it: set `real_ip_header` "
            "and `set_real_ip_from`. If not, say so under [not_applicable].",
        )
    return ClientAnomalies(
        findings=tuple(sorted(findings, key=lambda one: (-one.deviation, -one.requests, one.client))),
        seen=seen,
        judged=len(crowd.judged),
        judged_requests=sum(one.requests for one in crowd.judged.values()),
        requests=usual.requests,
        floor=floor,
        notes=(*_notes(seen, crowd, usual), *kinds),
    )


class _Limits(NamedTuple):
    deviation: float
    floor: int


def _notes(seen: Seen, crowd: _Crowd, usual: _Usual) -> Iterator[str]:
    if crowd.known:
        made = _count(crowd.known_requests, "request")
        yield f"{_count(crowd.known, 'client')} of logs.known_clients not judged, with {made}"
    if seen.others:
        yield f"{_count(seen.others, 'request')} of clients beyond those that are told apart"
    if not usual.weekly:
        yield f"what is usual is told by hour of the day: for the hours of the week {say_span(WEEKS)} are needed"
    if len(crowd.peers) < FEWEST:
        yield f"only bursts were judged: of {_count(len(crowd.peers), 'client')} it can't be told what is usual"
    elif quiet := _quiet(crowd.peers):
        yield f"the quiet hours of the day: {_ranges(quiet, seen)}"
    else:
        yield "no hours of the day are quiet, so nobody's time of day was judged"


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The clients, as far as they are looked at one by one.

    Attributes:
        judged: Those with enough requests, but for those that may be out of line.
        peers: Those that make out what is usual: who is judged, and at least so many of the busiest.
        known: How many may be out of line.
        known_requests: What they made.
    """

    judged: dict[str, ClientCounts]
    peers: list[ClientCounts]
    known: int
    known_requests: int

    @classmethod
    def of(cls, clients: Mapping[str, ClientCounts], known: Sequence[str], floor: int) -> _Crowd:
        """Look at one client after the other: of tens of thousands only those are held that say something."""
        networks = [plain_network(one) for one in known]
        judged: dict[str, ClientCounts] = {}
        busiest: list[tuple[int, str]] = []
        number = requests = 0
        for name, one in clients.items():
            if networks and _within(name, networks):
                number, requests = number + 1, requests + one.requests
            elif one.requests >= floor:
                judged[name] = one
            elif one.requests:
                (heappush if len(busiest) < PEERS else heappushpop)(busiest, (one.requests, name))
        missing = max(0, PEERS - len(judged))
        others = [clients[name] for _, name in nlargest(missing, busiest)]
        return cls(judged, [*judged.values(), *others], number, requests)


def _within(client: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether a client lies in one of the networks; of an IPv6 client, which is a /64, some of it is enough."""
    try:
        own = ip_network(client)
    except ValueError:
        return False
    return any(own.version == one.version and own.overlaps(one) for one in networks)


# What is usual on the site ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Usual:
    """The site's own rhythm.

    Attributes:
        totals: Its requests in each hour since the epoch.
        typical: Per hour of the week (or of the day) the median, as a root.
        spread: Per hour of the day the robust standard deviation of the roots about it.
        weekly: Whether hours of the week are told apart.
        zone: The host's.
    """

    totals: Mapping[int, int]
    typical: Mapping[int, float]
    spread: Mapping[int, float]
    weekly: bool
    zone: tzinfo

    @classmethod
    def of(cls, seen: Seen) -> _Usual:
        """Look what is usual."""
        totals = _totals(seen)
        hours = _whole_hours(seen)
        weekly = seen.span >= WEEKS
        keys = {hour: _key(hour, seen.zone, weekly=weekly) for hour in hours}
        roots = {hour: _root(totals.get(hour, 0)) for hour in hours}
        grouped: dict[int, list[float]] = defaultdict(list)
        for hour, key in keys.items():
            grouped[key].append(roots[hour])
        typical = {key: median(found) for key, found in grouped.items()}
        return cls(totals, typical, _spread(roots, keys, grouped, typical), weekly, seen.zone)

    @cached_property
    def requests(self) -> int:
        """All requests."""
        return sum(self.totals.values())

    def at(self, hour: int) -> tuple[float, float]:
        """How many requests are usual in an hour, and how many deviations more there were."""
        key = _key(hour, self.zone, weekly=self.weekly)
        root = self.typical.get(key, _root(0))
        off = (_root(self.totals.get(hour, 0)) - root) / self.spread.get(key % _DAY, 1.0)
        return max(0.0, root * root / 4 - 3 / 8), off


def _totals(seen: Seen) -> dict[int, int]:
    """The site's requests in each hour since the epoch."""
    return {int(hour.timestamp()) // 3600: sum(found.values()) for hour, found in seen.by_hour.items()}


def _whole_hours(seen: Seen) -> range:
    """The hours that the log covers whole: in others there are fewer requests than usual."""
    begin = max(seen.since, seen.earliest or seen.since)
    return range(ceil(begin.timestamp() / 3600), int(seen.until.timestamp()) // 3600)


def _key(hour: int, zone: tzinfo, *, weekly: bool) -> int:
    """The hour of the week, from Monday's first on, or of the day."""
    local = datetime.fromtimestamp(hour * 3600, zone)
    return local.hour + (_DAY * local.weekday() if weekly else 0)


def _root(count: float) -> float:
    """Anscombe's root: counts that vary by chance alone vary by 1 on this scale, be they many or few."""
    return 2 * sqrt(count + 3 / 8)


def _spread(
    roots: Mapping[int, float],
    keys: Mapping[int, int],
    grouped: Mapping[int, Sequence[float]],
    typical: Mapping[int, float],
) -> dict[int, float]:
    """Per hour of the day how far its hours are from what is usual; at least as far as all hours, and as chance does.

    Thirteen Mondays are too few for a scale of their own: the median of their distances is by chance half of what it
    should be in one group of fifteen, and there are 168 groups. The ninety days of an hour of the day are enough; where
    there are but eight of them, all hours together speak for it.
    """
    apart: dict[int, list[float]] = defaultdict(list)
    for hour, root in roots.items():
        number = len(grouped[keys[hour]])
        # A median lies nearer to what it was taken from than to what comes.
        nearer = sqrt(number / (number - 1)) if number > 1 else 1.0
        apart[keys[hour] % _DAY].append(abs(root - typical[keys[hour]]) * nearer)
    least = max(1.0, _TO_SD * median(chain.from_iterable(apart.values()))) if apart else 1.0
    return {hour: max(least, _TO_SD * median(found)) for hour, found in apart.items()}


# The questions ------------------------------------------------------------------------------------------------------


def _bursts(judged: Mapping[str, ClientCounts], usual: _Usual, seen: Seen, limits: _Limits) -> Iterator[Finding]:
    """Who alone makes hours of the site far busier than such hours usually are."""
    for name, one in judged.items():
        hours = []
        for hour, number in one.busiest:
            count, off = usual.at(hour)
            over = usual.totals.get(hour, number) - count
            # Half of what is over the usual at least: on a launch day all are there.
            if off > limits.deviation and number >= over / 2:
                hours.append(_Hour(hour, number, count, min(number, over), off))
        day = _worst_day(sorted(hours))
        if sum(hour.over for hour in day) >= limits.floor:
            began = datetime.fromtimestamp(day[0].hour * 3600, seen.zone)
            yield Finding(
                name,
                _BURST,
                f"{_count(sum(hour.number for hour in day), 'request')} in {len(day)} h on {began:%Y-%m-%d} from "
                f"{began:%H:%M}",
                f"{sum(hour.usual for hour in day):,.0f} of all clients",
                min(MOST, max(hour.off for hour in day)),
                one.requests,
                began,
            )


class _Hour(NamedTuple):
    hour: int
    number: int
    usual: float
    over: float
    off: float


def _worst_day(hours: Sequence[_Hour]) -> Sequence[_Hour]:
    """The stretch of a day with most over the usual; empty where there is no hour."""
    starts = [one.hour for one in hours]
    days = [hours[index : bisect_left(starts, hour + _DAY)] for index, hour in enumerate(starts)]
    return max(days, key=lambda day: sum(one.over for one in day), default=())


def _shares(crowd: _Crowd, requests: int, seen: Seen, limits: _Limits) -> Iterator[Finding]:
    """Who makes more than the busiest of so many clients would be expected to."""
    sizes = sorted((log(one.requests) for one in crowd.peers), reverse=True)
    middle, upper = median(sizes), len(sizes) // 2
    # The upper half alone, since there are many small clients and few large ones; of an exponential tail, which is
    # what Zipf's law is on this scale, as of the half of a normal one this is the standard deviation.
    spread = (median(sizes[:upper]) - middle) / log(2)
    # Of few it may be off by so much.
    spread = max(spread * (1 + 1 / sqrt(upper)), exp(-middle / 2))
    largest = middle + spread * sum(1 / rank for rank in range(1, upper + 1))
    for name, one in crowd.judged.items():
        off = (log(one.requests) - largest) / spread
        share = one.requests / requests
        too_large = off > limits.deviation and share >= LEAST_SHARE
        if too_large or share > MORE_THAN_ALL:
            yield Finding(
                name,
                _SHARE,
                f"{_count(one.requests, 'request')}, {say_share(share)} of all",
                f"at most {exp(largest):,.0f}" if too_large else "less than all others together",
                min(MOST, off) if too_large else 0.0,
                one.requests,
                _busiest(one, seen),
            )


def _statuses(crowd: _Crowd, seen: Seen, limits: _Limits) -> Iterator[tuple[str, list[Finding]]]:
    """Whose requests are refused, or fail, by half of them more often than the rest's, however unusual that is."""
    for question, digit in _OF_STATUS.items():
        rest = _Rest.of([(one.statuses[digit], one.requests) for one in crowd.peers])
        found = []
        for name, one in crowd.judged.items():
            number = one.statuses[digit]
            if _apart(number, one.requests, rest.share, MOSTLY, limits.floor):
                found.append(_of_part(question, name, one, number, rest, seen))
        yield question, found


def _times(crowd: _Crowd, usual: _Usual, seen: Seen, limits: _Limits) -> Iterator[Finding]:
    """Who comes when the others are away. Who comes all day long, as a monitor does, prefers no time."""
    quiet = _quiet(crowd.peers)
    evenly = len(quiet) / _DAY
    site = sum(number for hour, number in usual.totals.items() if hour % _DAY in quiet)
    rest = _Rest.of([(_in(one, quiet), one.requests) for one in crowd.peers])
    for name, one in crowd.judged.items() if quiet else ():
        number = _in(one, quiet)
        much = number >= LEAST_OF_QUIET * (site - number)
        if much and _apart(number, one.requests, max(rest.share, evenly), AT_NIGHT, limits.floor):
            yield _of_part(_HOURS, name, one, number, rest, seen)


def _quiet(peers: Sequence[ClientCounts]) -> frozenset[int]:
    """The hours of the day in which the rest ask least: each less than half of a mean hour, and a tenth together.

    By the median of the clients' own shares, so that who comes every night doesn't make the night a busy time. And by
    hours of UTC, since that is how a client's are counted: where clocks change within the window the host's are off by
    one for a part of it, for the rest as for the client.
    """
    share = {hour: median(one.hours[hour] / one.requests for one in peers) for hour in range(_DAY)}
    day = sum(share.values())
    quiet: set[int] = set()
    for hour in sorted(share, key=lambda one: share[one]):
        if sum(share[one] for one in (*quiet, hour)) > QUIET * day or share[hour] > day / _DAY / 2:
            break
        quiet.add(hour)
    return frozenset(quiet)


def _in(one: ClientCounts, hours: Iterable[int]) -> int:
    return sum(one.hours[hour] for hour in hours)


def _apart(number: int, of: int, usual: float, part: float, floor: int) -> bool:
    """Whether it is more than usual by such a part of the client's requests, and by enough of them."""
    over = number - usual * of
    return over >= part * of and over >= floor


def _of_part(question: str, name: str, one: ClientCounts, number: int, rest: _Rest, seen: Seen) -> Finding:
    where = " in the quiet hours" if question == _HOURS else ""
    return Finding(
        name,
        question,
        f"{number:,} of {_count(one.requests, 'request')}{where}",
        say_share(round(rest.share, 4)),
        min(MOST, rest.off(number, one.requests)),
        one.requests,
        _busiest(one, seen),
    )


@dataclass(frozen=True, slots=True)
class _Rest:
    """Which part of their requests is of some kind, among the rest.

    Attributes:
        middle: The median, as an angle.
        variance: How far the clients themselves differ, beside what chance does to so few requests.
    """

    middle: float
    variance: float

    @classmethod
    def of(cls, parts: Sequence[tuple[int, int]]) -> _Rest:
        """Look at so many of so many requests of each."""
        angles = [_angle(number, of) for number, of in parts]
        middle = median(angles)
        spread = _TO_SD * median(abs(angle - middle) for angle in angles)
        return cls(middle, max(0.0, spread * spread - median(1 / of for _, of in parts)))

    @property
    def share(self) -> float:
        """The usual part, 0 to 1."""
        half = max(0.0, min(self.middle / 2, asin(1.0)))
        return sin(half) ** 2

    def off(self, number: int, of: int) -> float:
        """How many standard deviations a client is over it, with what chance does to as many requests as it made."""
        return (_angle(number, of) - self.middle) / sqrt(1 / of + self.variance)


def _angle(number: int, of: int) -> float:
    """Anscombe's angle: shares that vary by chance alone vary by the root of 1/n on this scale, large or small."""
    return 2 * asin(sqrt(min(1.0, (number + 3 / 8) / (of + 3 / 4))))


# Words --------------------------------------------------------------------------------------------------------------


def say_deviation(deviation: float) -> str:
    """A deviation in words."""
    return f"over {MOST:.0f} sd" if deviation >= MOST else f"{int(deviation * 10) / 10:g} sd"


def _busiest(one: ClientCounts, seen: Seen) -> datetime:
    """A client's busiest hour."""
    hour = one.busiest[0][0] if one.busiest else 0
    return datetime.fromtimestamp(hour * 3600, seen.zone)


def _local(hour: int, seen: Seen) -> datetime:
    """An hour of UTC's day on the window's last day, in the host's zone."""
    day = seen.until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + hour * _HOUR).astimezone(seen.zone)


def _ranges(hours: Iterable[int], seen: Seen) -> str:
    """Hours of UTC's day as stretches of the host's."""
    local = sorted({(hour, _local(hour, seen)) for hour in hours})
    known = {hour for hour, _ in local}
    firsts = [(hour, at) for hour, at in local if (hour - 1) % _DAY not in known]
    said = []
    for hour, at in firsts:
        length = next(length for length in range(1, _DAY + 1) if (hour + length) % _DAY not in known)
        said.append(f"{at:%H:%M} to {at + length * _HOUR:%H:%M}")
    return " and ".join(sorted(said))


def _days(days: float) -> str:
    return f"{days:.0f}" if days >= 2 else f"{days:.1f}"


def _count(number: int, of: str) -> str:
    return f"{number:,} {of}" if number == 1 else f"{number:,} {of}s"
