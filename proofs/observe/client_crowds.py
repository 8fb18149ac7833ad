"""Ninety days of clients that nobody has to worry about, in many kinds, and what somebody can do among them.

Written down as counts and not as lines, so that hundreds of such quarters take minutes. People come in sessions, whose
number follows the site's rhythm and whose size varies as much as its mean; the site's hours vary by a tenth besides.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from observe.access_anomalies import Seen
from observe.clients import BUSIEST, ClientCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import tzinfo

VIENNA = ZoneInfo("Europe/Vienna")
# The window has the end of summer time in it.
UNTIL = datetime(2026, 11, 24, 10, 17, tzinfo=VIENNA)
DAYS = 90
DAY = (5, 3, 2, 2, 2, 3, 6, 18, 40, 62, 70, 68, 55, 60, 66, 64, 58, 46, 36, 32, 30, 26, 18, 10)
FLAT = (1,) * 24
WEEK = (1.0, 1.05, 1.0, 0.98, 0.9, 0.5, 0.45)
EVEN = (1.0,) * 7

Weights = list[float]
"""How busy each hour is, added up."""


@dataclass
class Crowd:
    """A site's clients over a window, one count for each hour in which there was something.

    Attributes:
        chance: Where all that is left to chance comes from.
        until: The window's end.
        days: Its length.
        zone: The host's.
        hours: The hours since the epoch that it covers.
        counts: Requests per client and hour.
        mix: Per client which part of them is answered 4xx and 5xx.
    """

    chance: random.Random
    until: datetime = UNTIL
    days: int = DAYS
    hours: range = field(init=False)
    counts: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    mix: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        end = int(self.until.timestamp()) // 3600
        self.hours = range(end - 24 * self.days, end + 1)

    @property
    def zone(self) -> tzinfo:
        assert self.until.tzinfo is not None
        return self.until.tzinfo

    def rhythm(
        self,
        day: Sequence[float] = DAY,
        week: Sequence[float] = WEEK,
        *,
        noise: float = 0.1,
        shift: int = 0,
        shape: Callable[[datetime], float] = lambda _: 1.0,
    ) -> Weights:
        """How busy the site is in each hour."""
        found = []
        for hour in self.hours:
            at = datetime.fromtimestamp((hour + shift) * 3600, self.zone)
            usual = day[at.hour] * week[at.weekday()] * shape(at)
            found.append(usual * self.chance.lognormvariate(0, noise))
        return list(accumulate(found))

    def come(
        self,
        client: str,
        requests: float,
        weights: Weights,
        session: float = 20.0,
        mix: tuple[float, float] = (0.02, 0.001),
    ) -> None:
        """Let a client come in sessions, until it has made about so many requests."""
        self.mix[client] = mix
        number = max(1, round(self.chance.gauss(requests / session, math.sqrt(requests / session))))
        mine = self.counts[client]
        for hour in self.chance.choices(self.hours, cum_weights=weights, k=number):
            mine[hour] += 1 + int(self.chance.expovariate(1 / session))

    def steadily(self, client: str, an_hour: float, mix: tuple[float, float] = (0.02, 0.001)) -> None:
        """Let a client make about as many requests in every hour."""
        self.mix[client] = mix
        for hour in self.hours:
            self.counts[client][hour] += max(0, round(self.chance.gauss(an_hour, math.sqrt(an_hour))))

    def add(self, client: str, begin: datetime, hours: int, an_hour: int, mix: tuple[float, float] = (0, 0)) -> None:
        """Let a client make so many requests in each hour of a stretch."""
        self.mix.setdefault(client, mix)
        first = int(begin.timestamp()) // 3600
        for hour in range(first, first + hours):
            self.counts[client][hour] += an_hour

    def seen(self) -> Seen:
        """What a reading of its logs would have counted."""
        clients: dict[str, ClientCounts] = {}
        by_hour: dict[int, Counter[int]] = defaultdict(Counter)
        for name, mine in self.counts.items():
            clients[name] = self._counted(mine, self.mix[name])
            for hour, number in mine.items():
                by_hour[hour][200] += number
        moments = {datetime.fromtimestamp(hour * 3600, UTC): found for hour, found in sorted(by_hour.items())}
        since = self.until.astimezone(UTC) - timedelta(days=self.days)
        return Seen(clients, moments, 0, since, self.until, since, self.zone)

    def _counted(self, mine: Mapping[int, int], mix: tuple[float, float]) -> ClientCounts:
        total = sum(mine.values())
        hours = [0] * 24
        for hour, number in mine.items():
            hours[hour % 24] += number
        refused, failed = (self._part(total, part) for part in mix)
        busiest = sorted(((hour, number) for hour, number in mine.items() if number), key=lambda one: (-one[1], one[0]))
        statuses = (0, 0, max(0, total - refused - failed), 0, refused, failed)
        return ClientCounts(total, statuses, tuple(hours), tuple(busiest[:BUSIEST]))

    def _part(self, total: int, part: float) -> int:
        """So many of so many by chance."""
        wanted = total * part
        return min(total, max(0, round(self.chance.gauss(wanted, math.sqrt(wanted * (1 - part))))))


def varied(chance: random.Random) -> tuple[float, float]:
    """A mix of answers: most are refused one in fifty, some ten times as often; few fail."""
    return min(0.6, chance.lognormvariate(math.log(0.02), 0.8)), min(0.2, chance.lognormvariate(math.log(0.001), 1.0))


def zipf(number: int, requests: float, exponent: float = 1.0) -> list[float]:
    """How many requests each of so many clients makes, by Zipf's law."""
    weights = [rank**-exponent for rank in range(1, number + 1)]
    return [requests * weight / sum(weights) for weight in weights]


# Populations. None of them was looked at when the limits were chosen but to count false alarms. ---------------------


def people(crowd: Crowd, sizes: Sequence[float], weights: Weights, *, names: str = "198.51.{}.{}") -> None:
    """People, of whom each comes as often as said."""
    for number, size in enumerate(sizes):
        crowd.come(names.format(number // 250, number % 250), size, weights, mix=varied(crowd.chance))


def alike(crowd: Crowd) -> None:
    """A small site: three hundred people who come about equally often, and a crawler at one in thirty."""
    people(crowd, [500 * crowd.chance.lognormvariate(0, 0.6) for _ in range(300)], crowd.rhythm())
    crowd.steadily("192.0.2.200", 2.5)


def heavy_tailed(crowd: Crowd) -> None:
    """Two thousand clients by Zipf's law: one makes an eighth of all, half of them next to nothing."""
    people(crowd, zipf(2_000, 600_000), crowd.rhythm())


def steep(crowd: Crowd) -> None:
    """Zipf's law with a steeper slope: the first makes a quarter."""
    people(crowd, zipf(1_500, 600_000, 1.25), crowd.rhythm())


def office(crowd: Crowd) -> None:
    """An office behind one address makes a fifth of all, within working hours."""
    people(crowd, [400 * crowd.chance.lognormvariate(0, 1.0) for _ in range(700)], crowd.rhythm())
    working = crowd.rhythm((0,) * 8 + (1,) * 10 + (0,) * 6, (1, 1, 1, 1, 1, 0, 0))
    crowd.come("192.0.2.1", 110_000, working, session=30, mix=varied(crowd.chance))


def growing(crowd: Crowd) -> None:
    """A site that has three times the requests at the end."""
    first = crowd.hours[0] * 3600

    def shape(at: datetime) -> float:
        return math.exp(math.log(3) * (at.timestamp() - first) / (crowd.days * 86400))

    people(crowd, [500 * crowd.chance.lognormvariate(0, 1.0) for _ in range(800)], crowd.rhythm(shape=shape))


def holiday(crowd: Crowd) -> None:
    """Ten days on which nearly nobody comes, and three public holidays."""
    away = {(9, day) for day in range(10, 20)} | {(10, 26), (11, 1), (11, 2)}
    shape = crowd.rhythm(shape=lambda at: 0.15 if (at.month, at.day) in away else 1.0)
    people(crowd, [500 * crowd.chance.lognormvariate(0, 1.0) for _ in range(800)], shape)


def launch(crowd: Crowd) -> None:
    """A launch: six times the usual for a day, twice for the next; half of all clients come for the first time."""
    peaks = {(10, 14): 6.0, (10, 15): 2.0}
    weights = crowd.rhythm(shape=lambda at: peaks.get((at.month, at.day), 1.0))
    people(crowd, [500 * crowd.chance.lognormvariate(0, 1.0) for _ in range(500)], weights)
    only = crowd.rhythm(shape=lambda at: 1.0 if (at.month, at.day) in peaks else 0.0)
    people(crowd, [150 * crowd.chance.lognormvariate(0, 0.8) for _ in range(500)], only, names="203.0.{}.{}")
    crowd.come("192.0.2.1", 40_000, weights, session=30, mix=varied(crowd.chance))


def crawled(crowd: Crowd) -> None:
    """Crawlers at 5, 3 and 2 in a hundred, evenly over the day, and two monitors, beside clients by Zipf's law."""
    people(crowd, zipf(1_200, 300_000, 0.9), crowd.rhythm())
    for number, share in enumerate((0.05, 0.03, 0.02)):
        crowd.steadily(f"192.0.2.{200 + number}", 330_000 * share / len(crowd.hours), (0.08, 0.002))
    crowd.steadily("192.0.2.210", 12, (0, 0))
    crowd.steadily("192.0.2.211", 60, (0, 0))


def abroad(crowd: Crowd) -> None:
    """IPv6 as well, and one client in ten lives eight hours to the west: the site's night is its evening."""
    here, there = crowd.rhythm(), crowd.rhythm(shift=-8)
    for number, size in enumerate(zipf(1_500, 500_000, 0.8)):
        name = f"2001:db8:{number:x}::/64" if number % 2 else f"198.51.{number // 250}.{number % 250}"
        crowd.come(name, size, there if number % 10 == 3 else here, mix=varied(crowd.chance))


def everywhere(crowd: Crowd) -> None:
    """A site that is used around the world and has no night."""
    people(crowd, zipf(1_500, 500_000, 0.9), crowd.rhythm(FLAT, EVEN))


def founded(crowd: Crowd) -> None:
    """A site that hardly anybody knew in its first two months."""
    begun = crowd.hours[60 * len(crowd.hours) // 90] * 3600
    weights = crowd.rhythm(shape=lambda at: 1.0 if at.timestamp() > begun else 0.02)
    people(crowd, [500 * crowd.chance.lognormvariate(0, 1.0) for _ in range(600)], weights)
    crowd.come("192.0.2.1", 30_000, weights, session=30, mix=varied(crowd.chance))


def scanned(crowd: Crowd) -> None:
    """Beside people there are a third as many clients whose requests are mostly refused: an old application's."""
    weights = crowd.rhythm()
    people(crowd, [500 * crowd.chance.lognormvariate(0, 0.8) for _ in range(400)], weights)
    for number in range(130):
        crowd.come(f"203.0.113.{number}", 1_500, weights, mix=(crowd.chance.uniform(0.6, 0.95), 0.0))


def tiny(crowd: Crowd) -> None:
    """An intranet: forty people, three requests in an hour of the night; some work late now and then."""
    people(crowd, [2_000 * crowd.chance.lognormvariate(0, 0.7) for _ in range(40)], crowd.rhythm())
    crowd.steadily("192.0.2.210", 60, (0, 0))


def large(crowd: Crowd) -> None:
    """Six million requests, of whom the people behind one address make many at a time."""
    weights = crowd.rhythm()
    for number, size in enumerate(zipf(3_000, 6_000_000, 0.85)):
        session = max(20.0, size / 1_500)
        crowd.come(f"198.51.{number // 250}.{number % 250}", size, weights, session, varied(crowd.chance))


POPULATIONS: dict[str, Callable[[Crowd], None]] = {
    one.__name__.replace("_", " "): one
    for one in (
        alike,
        heavy_tailed,
        steep,
        office,
        growing,
        holiday,
        launch,
        crawled,
        abroad,
        everywhere,
        founded,
        scanned,
        tiny,
        large,
    )
}


def crowd_of(population: str, seed: int, *, days: int = DAYS) -> Crowd:
    """One quarter of a population."""
    crowd = Crowd(random.Random(seed), days=days)  # noqa: S311  the same quarter every time is the point
    POPULATIONS[population](crowd)
    return crowd
