"""The figures of the runs as pictures over time, and in words when they come to their limits.

One picture for each figure that is followed, the others folded beneath. Drawn as `report.bars` draws: SVG in the page
itself, widths as shares of the room and heights in pixels, no style of its own. A day without a run is a gap, a limit
that was changed is drawn as it was, and of many points the lowest, the highest and the worst of each stretch stay.

A forecast is told only of what history carries: 14 days and 8 of them with a figure; a rise or fall that chance hardly
makes (Mann and Kendall, 1 %), and that goes on in both halves of the time, so that one step is no trend. The rate is
the median of all slopes, as for the growth of the disks (`observe.growth`); of sizes without a limit the growth is
said, and that expectation says how long their disk lasts.

Classes for the page's style: `trends` (the chapter), `headlines` (list), `pictures` (their grid), `trend` (a figure of
it), `forecast` (its sentence, with `soon` where it is within 30 days), and in the picture `line`, `dot`, `dot over`,
`limit`, `limit-name`, `axis`, `extreme`, `date`; `values` (the folded table).

No fragment made here contains a line break, for the reason that `report.html` gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, groupby, pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from observe.growth import LOOK_BACK, slope, trend
from report.text import html, plain
from target.kinds import say_bytes, say_share, say_span
from target.limits import AT_LEAST, meets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from report.chronicle import Point

HISTORY = timedelta(days=14)
"""A forecast is told from so much history, and no less."""
FAR = 400
"""Days; what comes later than that isn't foretold."""
MOST_HEADLINES = 5
MOST_ITEMS = 8
"""Pictures of one figure; of more things the worst ones are drawn."""
MOST_OTHERS = 24
_LEAST_DAYS = 8
_LEAST_POINTS = 3
_MOST_CHANGES = 50
_BUCKETS = 66
_ROWS = 12
_CHANCE = 2.58
_SOON = 30
_DAY = timedelta(days=1)
_LARGEST = 1e300
_TOP, _PLOT, _BOTTOM, _WIDE = 20, 110, 34, 1000
_NAME, _LINE = 60, 12


class Followed(NamedTuple):
    """A figure that has a picture of its own.

    Attributes:
        slug: The expectation's.
        name: The figure's.
        title: What it is, in words.
        forecast: Whether it is told when it comes to its limit: `limit`; how it grows, where it has none: `growth`;
            when nothing is left: `countdown`; nothing: empty.
    """

    slug: str
    name: str
    title: str
    forecast: str = ""


FOLLOWED = (
    Followed("disk-space", "used", "Disk used", "limit"),
    Followed("backup-size", "size", "Size of the newest backup", "limit"),
    Followed("backup-fresh", "age", "Age of the newest backup"),
    Followed("growth", "backups", "Size of all backups", "growth"),
    Followed("growth", "database", "Size of the database", "growth"),
    Followed("usage-report", "database size", "Size of the database at the end of the month", "growth"),
    Followed("data-directory-size", "all of it", "Size of the data directory", "growth"),
    Followed("response-time", "p95", "Response time, 19 of 20 requests of a week"),
    Followed("site-answers", "time", "Time of a page"),
    Followed("error-rate", "share", "Server errors of all requests"),
    Followed("database-connections", "connections", "Database connections"),
    Followed("certificate-lasts", "left", "Certificate left", "countdown"),
)
_BY_NAME = {(one.slug, one.name): one for one in FOLLOWED}


class Forecast(NamedTuple):
    """What is to come.

    Attributes:
        words: In words.
        days: Days until the limit, 0 for what is over it already; None where nothing is foretold.
    """

    words: str
    days: float | None = None


_NOTHING = Forecast("")


@dataclass(frozen=True)
class Series:
    """One figure of one thing over time.

    Attributes:
        title: What it is.
        forecast: As of `Followed`.
        points: Its points by time; at least one.
        seen: What is to come of it.
    """

    title: str
    forecast: str
    points: tuple[Point, ...]
    seen: Forecast = _NOTHING

    @property
    def last(self) -> Point:
        """The newest."""
        return self.points[-1]


def trends(points: Sequence[Point], now: datetime, zone: tzinfo) -> str:
    """The chapter of the figures over time.

    Args:
        points: All figures of the kept history, in any order. What isn't finite or lies after `now` is left out.
        now: The time, aware.
        zone: In which days are counted and dates are said.

    Returns:
        One `section` element without a line break; nothing where there is nothing to draw.
    """
    followed, others = _sorted_out(points, now, zone)
    if not followed and not others:
        return ""
    shown, left_out = _bounded(followed)
    heads = "".join(f"<li>{html(one, 300)}</li>" for one in _headlines(followed))
    parts = [
        '<section class="chapter trends"><h2>Over time</h2>',
        f'<ul class="headlines">{heads}</ul>' if heads else "",
        _pictures(shown, now, zone),
        f"<p><small>{left_out:,} more of the same kinds are not drawn.</small></p>" if left_out else "",
    ]
    if others:
        drawn = others[:MOST_OTHERS]
        many = f"{len(drawn)} of {len(others):,}" if len(others) > len(drawn) else str(len(drawn))
        parts.append(f"<details><summary>Other figures ({many})</summary>{_pictures(drawn, now, zone)}</details>")
    return "".join([*parts, "</section>"])


def headlines(points: Sequence[Point], now: datetime, zone: tzinfo) -> list[str]:
    """What comes to its limit, in plain sentences, the first to do so at the head; at most 5.

    Args:
        points: As of `trends`.
        now: The time, aware.
        zone: In which dates are said.
    """
    return _headlines(_sorted_out(points, now, zone)[0])


def _headlines(followed: Iterable[Series]) -> list[str]:
    found = []
    for one in followed:
        seen = one.seen
        if seen.days is not None and seen.days <= (90 if one.forecast == "countdown" else FAR):
            found.append((seen.days, f"{one.title}: {seen.words}."))
    return [sentence for _, sentence in sorted(found)[:MOST_HEADLINES]]


def _sorted_out(points: Iterable[Point], now: datetime, zone: tzinfo) -> tuple[list[Series], list[Series]]:
    """The figures that are followed, in their order, and the others that have some points."""
    usable = [one for one in points if one.at <= now and math.isfinite(one.value) and abs(one.value) <= _LARGEST]
    usable.sort(key=lambda one: (one.slug, one.name, one.item, one.at))
    followed, others = [], []
    for (slug, name, item), group in groupby(usable, key=lambda one: (one.slug, one.name, one.item)):
        which, known = _BY_NAME.get((slug, name)), tuple(group)
        of = f" of {plain(item, _NAME)}" if item else ""
        if which is not None:
            one = Series(f"{which.title}{of}", which.forecast, known)
            followed.append((FOLLOWED.index(which), replace(one, seen=forecast(one, now, zone))))
        elif len(known) >= _LEAST_POINTS:
            others.append(Series(f"{plain(slug, _NAME)}: {plain(name, _NAME)}{of}", "", known))
    followed.sort(key=lambda one: one[0])
    return [one for _, one in followed], others


def _bounded(followed: Sequence[Series]) -> tuple[list[Series], int]:
    """As many of each figure as are drawn, those nearest to their limits; how many are not."""
    shown: list[Series] = []
    for _, group in groupby(followed, key=lambda one: (one.last.slug, one.last.name)):
        every = list(group)
        if len(every) > MOST_ITEMS:
            every.sort(key=lambda one: (_days(one.seen), -one.last.value))
        shown += every[:MOST_ITEMS]
    return shown, len(followed) - len(shown)


def _days(seen: Forecast) -> float:
    return math.inf if seen.days is None else seen.days


def forecast(series: Series, now: datetime, zone: tzinfo) -> Forecast:
    """What is to come of a figure.

    Args:
        series: The figure.
        now: The time, aware.
        zone: In which days are counted and dates are said.

    Returns:
        Its words are empty for a figure of which nothing is ever foretold.
    """
    last = series.last
    if not series.forecast:
        return Forecast("")
    if now - last.at > max(HISTORY, _widest(series.points)):
        return Forecast(f"not measured since {_date(last.at, now, zone)}")
    if series.forecast == "countdown":
        return _countdown(last, now, zone)
    if series.forecast == "growth":
        return _growth(series, now)
    bound = last.bound
    if bound is not None and not meets(last.bound_name, last.value, bound):
        return Forecast(f"beyond its limit ({say(bound, last.unit)}) now", 0.0)
    known = _by_day(series.points, now, zone)
    days = (known[-1][0] - known[0][0]) / _DAY if known else 0.0
    if days < HISTORY / _DAY:
        return Forecast(f"not enough history ({int(days)} of {HISTORY // _DAY} days)")
    if len(known) < _LEAST_DAYS:
        return Forecast(f"not enough history ({len(known)} of {_LEAST_DAYS} days with a figure)")
    if len({value for _, value in known}) == 1:
        return Forecast("stays as it is")
    down = last.bound_name.removeprefix("limits.") in AT_LEAST
    rates = [_steady(known), _steady([one for one in known if known[-1][0] - one[0] <= HISTORY])]
    steady = [rate for rate in rates if rate]
    if not steady:
        return Forecast("no steady trend")
    return _foretold(last, min(steady) if down else max(steady), now, zone, down=down)


def _foretold(last: Point, rate: float, now: datetime, zone: tzinfo, *, down: bool) -> Forecast:
    """The words for a steady rate, a day."""
    if last.bound is None or (rate < 0) != down:
        return Forecast("falling" if rate < 0 else "rising")
    days = (last.bound - last.value) / rate
    if days > FAR:
        return Forecast(f"not before {FAR} days")
    on = _date(now + timedelta(days=days), now, zone)
    words = f"reaches its limit ({say(last.bound, last.unit)}) in {_many(days)}, on {on}"
    full = (1 - last.value) / rate if last.slug == "disk-space" else math.inf
    if days < full <= FAR:
        words += f"; full in {_many(full)}, on {_date(now + timedelta(days=full), now, zone)}"
    return Forecast(words, days)


def _growth(series: Series, now: datetime) -> Forecast:
    """How much a size grows, as the expectation of the growth reckons it; that one says how long the disk lasts."""
    known = [(one.at, one.value) for one in series.points]
    if now - series.last.at > LOOK_BACK:
        return Forecast("")
    seen = trend(series.title, known, now, HISTORY)
    if seen.rate is None:
        return Forecast(f"not enough history ({seen.span // _DAY} of {HISTORY // _DAY} days)")
    if not math.isfinite(seen.rate) or round(seen.rate) == 0:
        return Forecast("stays as it is" if math.isfinite(seen.rate) else "")
    return Forecast(f"{'grows' if seen.rate > 0 else 'shrinks'} by {say(abs(seen.rate), series.last.unit)} a day")


def _countdown(last: Point, now: datetime, zone: tzinfo) -> Forecast:
    """When nothing is left of what was left when it was measured."""
    left = last.value / 86400 - (now - last.at) / _DAY
    if left <= 0:
        return Forecast("ended", 0.0)
    if left > 100 * 366:
        return Forecast("not before 100 years")
    words = f"ends in {_many(left)}, on {_date(now + timedelta(days=left), now, zone)}"
    wanted = last.bound or 0.0
    until = left - wanted / 86400
    if 0 < until < left:
        words += f"; {say(wanted, 's')} are left on {_date(now + timedelta(days=until), now, zone)}"
    return Forecast(words, max(0.0, until))


def _by_day(points: Iterable[Point], now: datetime, zone: tzinfo) -> list[tuple[datetime, float]]:
    """The last figure of each day as far as a rate is told from, by time."""
    last: dict[date, tuple[datetime, float]] = {}
    for one in points:
        if now - one.at <= LOOK_BACK:
            last[one.at.astimezone(zone).date()] = (one.at.astimezone(UTC), one.value)
    return list(last.values())


def _steady(known: Sequence[tuple[datetime, float]]) -> float:
    """The rate a day, where it isn't by chance and goes on in both halves; 0 where it is or doesn't."""
    number = len(known)
    if number < _LEAST_DAYS:
        return 0.0
    signs = sum((two > one) - (two < one) for (_, one), (_, two) in combinations(known, 2))
    if abs(signs) < _CHANCE * math.sqrt(number * (number - 1) * (2 * number + 5) / 18):
        return 0.0
    rate, first, second = slope(known), slope(known[: number // 2 + 1]), slope(known[number // 2 :])
    goes_on = min(rate, first, second) > 0 or max(rate, first, second) < 0
    return rate if goes_on and math.isfinite(rate) else 0.0


def _pictures(shown: Sequence[Series], now: datetime, zone: tzinfo) -> str:
    made = "".join(_figure(one, now, zone) for one in shown)
    return f'<div class="pictures">{made}</div>' if made else ""


def _figure(series: Series, now: datetime, zone: tzinfo) -> str:
    """One picture with its words and its table."""
    last, seen = series.last, series.seen
    soon = " soon" if seen.days is not None and seen.days <= _SOON else ""
    words = f'<small class="forecast{soon}">{html(seen.words, 300)}</small>' if seen.words else ""
    return (
        f'<figure class="trend"><figcaption>{html(series.title)} <b>{html(say(last.value, last.unit))}</b> {words}'
        f"</figcaption>{_picture(series, now, zone)}{_table(series, now, zone)}</figure>"
    )


def told(series: Series, now: datetime, zone: tzinfo) -> str:
    """What a person would see in a picture, in a sentence, as plain text."""
    last = series.last
    fresh = now - last.at <= max(timedelta(hours=36), _widest(series.points))
    parts = [f"{say(last.value, last.unit)} {'now' if fresh else f'on {_date(last.at, now, zone)}'}"]
    for days, slack, when in ((30, 5, "a month ago"), (7, 2, "a week ago")):
        wanted = now - timedelta(days=days)
        near = min(series.points, key=lambda one: abs(one.at - wanted))
        if abs(near.at - wanted) <= timedelta(days=slack) and near is not last:
            parts.append(f"{say(near.value, near.unit)} {when}")
            break
    if last.bound is not None:
        parts.append(f"limit {say(last.bound, last.unit)}")
    over = sum(_is_over(one) for one in series.points)
    if over:
        parts.append(f"beyond its limit in {over:,} of {len(series.points):,} looks")
    words = series.seen.words
    return f"{series.title}: {', '.join([*parts, words] if words else parts)}"


@dataclass(frozen=True)
class _Frame:
    """Where times and figures lie in a picture."""

    since: datetime
    until: datetime
    low: float
    high: float

    def x(self, at: datetime) -> float:
        """From 0 to 1."""
        return min(1.0, max(0.0, (at - self.since) / (self.until - self.since)))

    def y(self, value: float) -> float:
        """In pixels within the plot."""
        # By halves: the difference of two large figures may be none.
        span = self.high / 2 - self.low / 2
        return _PLOT * (1 - (min(1.0, max(0.0, (value / 2 - self.low / 2) / span)) if span > 0 else 0.0))


def _picture(series: Series, now: datetime, zone: tzinfo) -> str:
    points = series.points
    figures = [one.value for one in points]
    limits = _limits(points, now)
    high = max(0.0, *figures, *(bound for _, _, bound in limits))
    frame = _Frame(min(points[0].at, now - _DAY), now, min(0.0, *figures, *(bound for _, _, bound in limits)), high)
    said = html(told(series, now, zone), 600)
    zero = _TOP + frame.y(0.0)
    return (
        f'<svg role="img" aria-label="{said}" width="100%" height="{_TOP + _PLOT + _BOTTOM}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{said}</title>'
        f'<line class="axis" x1="0" x2="100%" y1="{zero:.1f}" y2="{zero:.1f}" stroke="currentColor"/>'
        f'<svg y="{_TOP}" width="100%" height="{_PLOT}" viewBox="0 0 {_WIDE} {_PLOT}" preserveAspectRatio="none" '
        f'overflow="visible">{_limit_lines(limits, frame)}{_lines(points, frame)}</svg>'
        f"{_dots(points, frame)}{_extremes(points, frame)}{_dates(frame, now, zone)}</svg>"
    )


def _limits(points: Sequence[Point], now: datetime) -> list[tuple[datetime, datetime, float]]:
    """From when until when which limit was in force, by time."""
    held = [(one.at, one.bound) for one in points if one.bound is not None and abs(one.bound) <= _LARGEST]
    begins = [one for number, one in enumerate(held) if not number or held[number - 1][1] != one[1]]
    if not begins:
        return []
    begins = begins[-_MOST_CHANGES:]
    ends = [*(at for at, _ in begins[1:]), now]
    return [(at, end, bound) for (at, bound), end in zip(begins, ends, strict=True)]


def _limit_lines(limits: Sequence[tuple[datetime, datetime, float]], frame: _Frame) -> str:
    if not limits:
        return ""
    path = " ".join(
        f"M{frame.x(since if number else frame.since) * _WIDE:.1f},{frame.y(bound):.1f}H{frame.x(until) * _WIDE:.1f}"
        for number, (since, until, bound) in enumerate(limits)
    )
    return (
        f'<path class="limit" d="{path}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4" '
        'vector-effect="non-scaling-stroke"/>'
    )


def _lines(points: Sequence[Point], frame: _Frame) -> str:
    path = " ".join(
        "M" + "L".join(f"{frame.x(one.at) * _WIDE:.1f},{frame.y(one.value):.1f}" for one in part)
        for part in parts(points)
        if len(part) > 1
    )
    if not path:
        return ""
    return (
        f'<path class="line" d="{path}" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round" '
        'vector-effect="non-scaling-stroke"/>'
    )


def _dots(points: Sequence[Point], frame: _Frame) -> str:
    """The last figure, what was beyond its limit, and what has a gap on both sides."""
    made = []
    for part in parts(points):
        for one in part:
            if _is_over(one) or len(part) == 1 or one is points[-1]:
                over = " over" if _is_over(one) else ""
                made.append(
                    f'<circle class="dot{over}" cx="{frame.x(one.at) * 100:.2f}%" cy="{_TOP + frame.y(one.value):.1f}" '
                    'r="2.5" fill="currentColor"/>'
                )
    return "".join(made)


def _extremes(points: Sequence[Point], frame: _Frame) -> str:
    """The highest and the lowest figure at their places, and the limit's."""
    top, low = max(points, key=lambda one: one.value), min(points, key=lambda one: one.value)
    # Above and below the line; two different heights, so that they don't lie on one another.
    made = [_word(say(top.value, top.unit), "extreme", frame.x(top.at), _TOP + frame.y(top.value) - 6)]
    if low.value < top.value:
        made.append(_word(say(low.value, low.unit), "extreme", frame.x(low.at), _TOP + frame.y(low.value) + 14))
    taken = [(frame.x(top.at), _TOP + frame.y(top.value) - 6), (frame.x(low.at), _TOP + frame.y(low.value) + 14)]
    bound = points[-1].bound
    if bound is not None and abs(bound) <= _LARGEST:
        y = _TOP + frame.y(bound)
        sides = (0.0, 1.0) if frame.x(top.at) > 0.5 else (1.0, 0.0)
        places = [(x, y + off) for off in (-5, 15) for x in sides]
        free = [(x, at) for x, at in places if all(abs(at - up) > _LINE or abs(x - left) > 0.4 for left, up in taken)]
        made.append(_word(f"limit {say(bound, points[-1].unit)}", "limit-name", *(free or places)[0]))
    return "".join(made)


def _dates(frame: _Frame, now: datetime, zone: tzinfo) -> str:
    y = _TOP + _PLOT + _BOTTOM - 4
    middle = frame.since + (frame.until - frame.since) / 2
    first, between, last = (_date(at, now, zone) for at in (frame.since, middle, frame.until))
    chosen = ((first, 0.0), ("" if between in {first, last} else between, 0.5), (last, 1.0))
    return "".join(_word(said, "date", x, y) for said, x in chosen if said)


def _word(text: str, name: str, x: float, y: float) -> str:
    anchor = "start" if x < 0.15 else "end" if x > 0.85 else "middle"
    return (
        f'<text class="{name}" x="{x * 100:.2f}%" y="{y:.1f}" font-size="12" text-anchor="{anchor}" '
        f'fill="currentColor">{html(text, 60)}</text>'
    )


def _table(series: Series, now: datetime, zone: tzinfo) -> str:
    """Some of the figures for who would rather read them; of many each nth, the last always."""
    every = max(1, math.ceil(len(series.points) / _ROWS))
    rows = "".join(
        f"<tr><td>{html(_date(one.at, now, zone))}</td><td>{html(say(one.value, one.unit))}</td>"
        f"<td>{'' if one.bound is None else html(say(one.bound, one.unit))}</td></tr>"
        for one in series.points[::-every]
    )
    return (
        f'<details class="values"><summary>Figures<span class="unseen"> of {html(series.title)}</span></summary><table>'
        '<thead><tr><th scope="col">Day</th><th scope="col">Figure</th><th scope="col">Limit</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def parts(points: Sequence[Point]) -> list[list[Point]]:
    """The points that are drawn, at most some 200, in the stretches between gaps.

    Args:
        points: By time, at least one.
    """
    gap, since = _widest(points), points[0].at
    width = max(points[-1].at - since, timedelta(seconds=1)) / _BUCKETS
    stretch, places = 0, []
    for number, one in enumerate(points):
        stretch += bool(number) and one.at - points[number - 1].at > gap
        places.append((stretch, one))
    kept: list[tuple[int, Point]] = []
    for _, group in groupby(places, key=lambda place: min(_BUCKETS - 1, int((place[1].at - since) / width))):
        bucket = list(group)
        worst = max(range(len(bucket)), key=lambda number: _beyond(bucket[number][1]))
        order = range(len(bucket))
        chosen = {
            *(min(order, key=lambda n: bucket[n][1].value), max(order, key=lambda n: bucket[n][1].value)),
            *((worst,) if _is_over(bucket[worst][1]) else ()),
        }
        kept += [bucket[number] for number in sorted(chosen)]
    if kept[-1][1] is not points[-1]:
        kept.append(places[-1])
    return [[one for _, one in group] for _, group in groupby(kept, key=lambda place: place[0])]


def _beyond(one: Point) -> float:
    """How far a figure is beyond its limit; below 0 where it isn't."""
    if one.bound is None:
        return -math.inf
    return (1 if one.bound_name.removeprefix("limits.") not in AT_LEAST else -1) * (one.value - one.bound)


def _is_over(one: Point) -> bool:
    return one.bound is not None and not meets(one.bound_name, one.value, one.bound)


def _widest(points: Sequence[Point]) -> timedelta:
    """Two figures that lie further apart than this have a gap between them: a day is missing, or a week of weeks."""
    steps = [two.at - one.at for one, two in pairwise(points)]
    usual = median(one / _DAY for one in steps) if steps else 1.0
    return timedelta(days=max(1.5, 1.5 * usual))


def say(value: float, unit: str) -> str:
    """A figure with its unit as a person says it, as plain text."""
    if unit == "B" and abs(value) < 1e24:
        return say_bytes(value)
    if unit == "share" and abs(value) < 1e9:
        return say_share(value)
    if unit == "s" and abs(value) < 1e11:
        return say_span(timedelta(seconds=value))
    figure = f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return f"{figure} {'' if unit == '1' else plain(unit, 20)}".rstrip()


def _many(days: float) -> str:
    whole = int(days + 1e-6)
    return "less than a day" if whole == 0 else "1 day" if whole == 1 else f"{whole} days"


def _date(at: datetime, now: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    year = "" if local.year == now.astimezone(zone).year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"
