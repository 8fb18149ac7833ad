"""Three months of proxy logs, rotated as logrotate does it, written before the proxy starts."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import random
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAYS = 90
LINES_A_DAY = (1_500, 3_000)
SEED = 20_26
# Requests by hour of day, night to night.
HOURS = (2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 18, 15, 17, 18, 17, 15, 12, 9, 8, 7, 6, 4, 3)
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
)
BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "UptimeRobot/2.0",
)
# The documentation's address blocks: nobody's.
CLIENTS = tuple(f"198.51.100.{n}" for n in range(1, 120)) + tuple(f"203.0.113.{n}" for n in range(1, 120))
CRAWLERS = ("192.0.2.200", "192.0.2.201", "192.0.2.202")
OFFICE = ("192.0.2.10", "192.0.2.11", "192.0.2.12")


@dataclass(frozen=True)
class Kind:
    """One kind of request: how often, what it looks like, and how long it takes (median, seconds)."""

    weight: int
    method: str
    path: str
    status: int
    size: int
    seconds: float
    bot: bool = False


KINDS = (
    Kind(150, "GET", "/", 200, 548, 0.000),
    Kind(130, "GET", "/assets/index-90be4f13.js", 200, 412, 0.000),
    Kind(130, "GET", "/assets/index-5c1d7a20.css", 200, 203, 0.000),
    Kind(150, "GET", "/api/status/", 200, 33, 0.012),
    Kind(210, "GET", "/api/tasks/", 200, 6_214, 0.034),
    Kind(90, "GET", "/api/activity/", 200, 5_120, 0.041),
    Kind(45, "POST", "/api/tasks/", 201, 11, 0.052),
    Kind(14, "POST", "/api/token/", 200, 52, 0.210),
    Kind(3, "POST", "/api/token/", 401, 48, 0.205),
    Kind(6, "GET", "/api/tasks/", 401, 58, 0.004),
    Kind(30, "GET", "/", 304, 0, 0.000),
    Kind(10, "GET", "/favicon.ico", 404, 153, 0.000),
    Kind(6, "GET", "/pricing", 404, 153, 0.000),
    Kind(14, "GET", "/robots.txt", 200, 44, 0.000, bot=True),
    Kind(26, "GET", "/", 200, 548, 0.000, bot=True),
    Kind(36, "GET", "/health/", 200, 15, 0.006, bot=True),
    Kind(1, "GET", "/api/tasks/", 502, 157, 2.001),
)
THRESHOLDS = tuple(accumulate(kind.weight for kind in KINDS))


def write(directory: Path, now: dt.datetime, domain: str) -> None:
    """Write the access, error and admin logs of the last 90 days.

    Args:
        directory: where the proxy will append to `access.log`; older days stand beside it as
            `access.log.1` (yesterday, plain) and `access.log.2.gz` to `.89.gz`.
        now: aware time in the host's zone at which the current file ends.
        domain: the site's host name, for referrers and the error log.
    """
    randomness = random.Random(SEED)  # noqa: S311 - the same history every time is the point
    for age in reversed(range(DAYS)):
        day = (now - dt.timedelta(days=age)).date()
        midnight = dt.datetime.combine(day, dt.time()).astimezone()
        text = "".join(_day(randomness, midnight, now, domain))
        _save(directory / "access.log", age, text.encode(), midnight + dt.timedelta(days=1))
    (directory / "admin_access.log").write_text("".join(_admin(randomness, now, domain)))
    (directory / "error.log").write_text("".join(_errors(now, domain)))


def rotate(directory: Path, today: dt.date) -> bool:
    """Rotate the access log when its first line is of an earlier day, as logrotate would have.

    Returns:
        Whether it did; the proxy then has to be told to open its files again.
    """
    current = directory / "access.log"
    try:
        with current.open(errors="replace") as file:
            first = file.readline()
    except FileNotFoundError:
        return False
    written = first.partition("[")[2][:11]
    if not written or dt.datetime.strptime(written, "%d/%b/%Y").date() >= today:  # noqa: DTZ007 - a date
        return False
    for age in reversed(range(2, DAYS - 1)):
        older = directory / f"access.log.{age}.gz"
        if older.exists():
            older.replace(directory / f"access.log.{age + 1}.gz")
    yesterday = directory / "access.log.1"
    if yesterday.exists():
        with gzip.open(directory / "access.log.2.gz", "wb", 6) as packed:
            packed.write(yesterday.read_bytes())
        yesterday.unlink()
    current.replace(yesterday)
    return True


def _save(current: Path, age: int, content: bytes, end: dt.datetime) -> None:
    if age == 0:
        current.write_bytes(content)
        return
    if age == 1:
        path = current.with_name("access.log.1")
        path.write_bytes(content)
    else:
        path = current.with_name(f"access.log.{age}.gz")
        path.write_bytes(gzip.compress(content, 6, mtime=int(end.timestamp())))
    os.utime(path, (end.timestamp(), end.timestamp()))


def _day(randomness: random.Random, midnight: dt.datetime, now: dt.datetime, domain: str) -> Iterator[str]:
    """The lines of one day in order, up to `now`; a Sunday is half a Wednesday."""
    quiet = 0.6 if midnight.weekday() >= 5 else 1.0
    low, high = LINES_A_DAY
    count = max(low, int(randomness.uniform(low / 0.6, high) * quiet))
    hours = randomness.choices(range(24), HOURS, k=count)
    seconds = sorted(hour * 3600 + randomness.random() * 3600 for hour in hours)
    zone = midnight.strftime("%z")
    date = midnight.strftime("%d/%b/%Y")
    latest = (now - midnight).total_seconds()
    for second in seconds:
        if second >= latest:
            return
        clock = f"{int(second) // 3600:02}:{int(second) // 60 % 60:02}:{int(second) % 60:02}"
        yield _line(randomness, f"{date}:{clock} {zone}", domain)


def _line(randomness: random.Random, when: str, domain: str) -> str:
    kind = KINDS[bisect(THRESHOLDS, randomness.randrange(THRESHOLDS[-1]))]
    if kind.bot:
        client, agent = randomness.choice(CRAWLERS), randomness.choice(BOTS)
        referrer = "-"
    else:
        number = int(len(CLIENTS) * randomness.random() ** 1.5)
        client, agent = CLIENTS[number], BROWSERS[number % len(BROWSERS)]
        referrer = "-" if kind.path == "/" else f"https://{domain}/"
    took = kind.seconds * randomness.lognormvariate(0.0, 0.35)
    size = kind.size + (randomness.randrange(kind.size // 4) if kind.size > 1_000 else 0)
    protocol = "HTTP/1.1" if kind.bot else "HTTP/2.0"
    request = f"{kind.method} {kind.path} {protocol}"
    return f'{client} - - [{when}] "{request}" {kind.status} {size} "{referrer}" "{agent}" {took:.3f}\n'


def _admin(randomness: random.Random, now: dt.datetime, domain: str) -> Iterator[str]:
    """An administrator's half hour on most working days of the last four weeks."""
    pages = ("/admin/", "/admin/api/task/", "/admin/api/project/", "/admin/auth/user/")
    for age in reversed(range(28)):
        start = (now - dt.timedelta(days=age)).replace(hour=9, minute=randomness.randrange(40), second=0)
        if start.weekday() >= 5 or start > now:
            continue
        client = randomness.choice(OFFICE)
        for step in range(randomness.randrange(4, 12)):
            when = start + dt.timedelta(seconds=step * 20 + randomness.randrange(15))
            if when > now:
                return
            page, size = randomness.choice(pages), randomness.randrange(3_000, 9_000)
            yield (
                f'{client} - - [{when:%d/%b/%Y:%H:%M:%S %z}] "GET {page} HTTP/2.0" 200 {size} '
                f'"https://{domain}/admin/" "{BROWSERS[0]}" {0.06 * randomness.lognormvariate(0, 0.3):.3f}\n'
            )


def _errors(now: dt.datetime, domain: str) -> Iterator[str]:
    """What a healthy proxy complains of: assets of the last release that someone still asks for."""
    for number, hours in enumerate((171, 122, 75, 30, 9, 2)):
        when = now - dt.timedelta(hours=hours)
        asset = "/assets/index-1f00c9ad.js"
        yield (
            f'{when:%Y/%m/%d %H:%M:%S} [error] 7#7: *{4_211 + 97 * number} open() "/srv/www{asset}" failed '
            f"(2: No such file or directory), client: {CLIENTS[number * 7]}, server: {domain}, "
            f'request: "GET {asset} HTTP/2.0", host: "{domain}", referrer: "https://{domain}/"\n'
        )
