"""The figures over time: the pictures are sound whatever was measured, and no more is foretold than history carries."""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from report.chronicle import Point
from report.trends import MOST_HEADLINES, MOST_ITEMS, MOST_OTHERS, headlines, parts, trends

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

NOW = datetime(2026, 11, 27, 4, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Zurich")
SVG = "{http://www.w3.org/2000/svg}"


def disk(
    figure: Callable[[int], float],
    days: int = 90,
    item: str = "root",
    limit: Callable[[int], float] = lambda _: 0.8,
    without: Collection[int] = (),
) -> list[Point]:
    """A disk's use of each day up to now."""
    return [
        Point(
            NOW - timedelta(days=days - 1 - day),
            *("disk-space", item, "used", figure(day), "share", limit(day), "limits.disk_used"),
        )
        for day in range(days)
        if day not in without
    ]


def seen(points: list[Point]) -> ET.Element:
    return ET.fromstring(trends(points, NOW, ZONE))  # noqa: S314  our own


def label(points: list[Point]) -> str:
    """What who doesn't see the first picture is told."""
    return next(seen(points).iter(f"{SVG}svg")).get("aria-label", "")


def of_class(points: list[Point], name: str) -> list[ET.Element]:
    return [one for one in seen(points).iter() if one.get("class") == name]


def test_a_disk_that_fills_is_foretold() -> None:
    points = disk(lambda day: 0.40 + 0.004 * day)
    assert label(points) == (
        "Disk used of root: 75.6 % now, 63.6 % a month ago, limit 80 %, "
        "reaches its limit (80 %) in 11 days, on 8 Dec; full in 61 days, on 27 Jan 2027"
    )
    assert headlines(points, NOW, ZONE) == [
        "Disk used of root: reaches its limit (80 %) in 11 days, on 8 Dec; full in 61 days, on 27 Jan 2027."
    ]


def noise(seed: int) -> Callable[[int], float]:
    chance = random.Random(seed)  # noqa: S311  the same each time
    return lambda _: 0.5 + chance.gauss(0, 0.03)


@pytest.mark.parametrize(
    ("figure", "days", "said"),
    [
        (noise(1), 90, "no steady trend"),
        (noise(2), 20, "no steady trend"),
        (lambda day: 0.4 if day < 45 else 0.65, 90, "no steady trend"),
        (lambda _: 0.4, 90, "stays as it is"),
        (lambda day: 0.7 - 0.003 * day, 90, "falling"),
        (lambda day: 0.4 + 0.00001 * day, 90, "not before 400 days"),
        (lambda day: 0.4 + 0.01 * day, 4, "not enough history (3 of 14 days)"),
        (lambda _: 0.9, 1, "beyond its limit (80 %) now"),
        (lambda _: 0.8, 1, "beyond its limit (80 %) now"),
    ],
)
def test_no_more_is_foretold_than_history_carries(figure: Callable[[int], float], days: int, said: str) -> None:
    assert label(disk(figure, days)).endswith(f", {said}")


def test_chance_is_hardly_ever_foretold() -> None:
    assert sum("reaches" in label(disk(noise(seed), 40)) for seed in range(100)) <= 4


def test_what_began_to_grow_lately_is_foretold() -> None:
    assert "reaches its limit (80 %) in 30 days" in label(disk(lambda day: 0.4 + max(0, day - 69) * 0.008))


def test_a_certificate_counts_down_from_when_it_was_measured() -> None:
    at = NOW - timedelta(days=4)
    left = Point(at, "certificate-lasts", "", "left", 64 * 86400.0, "s", 30 * 86400.0, "limits.certificate_left")
    assert label([left]).endswith("ends in 60 days, on 26 Jan 2027; 30 d are left on 27 Dec")


def test_the_first_to_come_heads_the_few_sentences() -> None:
    many = [one for n in range(1, 9) for one in disk(lambda day, n=n: 0.3 + 0.0005 * n * day, item=f"disk{n}")]  # type: ignore[misc]
    said = headlines(many, NOW, ZONE)
    assert len(said) == MOST_HEADLINES
    assert [one.split(":")[0] for one in said[:2]] == ["Disk used of disk8", "Disk used of disk7"]


def test_missing_days_are_gaps() -> None:
    part = parts(disk(lambda _: 0.4, 60, without=(5, 6, 7, 20, 40, 42)))
    assert [len(one) for one in part][-2:] == [1, 17]
    (line,) = of_class(disk(lambda _: 0.4, 60, without=(5, 6, 7, 20, 40, 42)), "line")
    assert line.get("d", "").count("M") == 4


def test_of_many_points_the_peak_over_the_limit_stays() -> None:
    points = disk(lambda day: 0.95 if day == 1234 else 0.4 + 0.01 * (day % 7), 3000)
    kept = [one for part in parts(points) for one in part]
    assert len(kept) <= 200
    assert max(one.value for one in kept) == 0.95
    assert len(of_class(points, "dot over")) == 1


def test_a_limit_that_was_changed_is_drawn_as_it_was() -> None:
    points = disk(lambda _: 0.5, limit=lambda day: 0.6 if day < 45 else 0.8)
    (line,) = of_class(points, "limit")
    assert line.get("d", "").count("M") == 2
    assert [one.text for one in of_class(points, "limit-name")] == ["limit 80 %"]


def test_dates_are_the_hosts() -> None:
    late = [one._replace(at=one.at - timedelta(hours=5)) for one in disk(lambda _: 0.5, 30)]  # 23:00 UTC is tomorrow
    assert of_class(late, "date")[0].text == "29 Oct"


def test_other_figures_are_beneath_and_bounded() -> None:
    many = [
        Point(NOW - timedelta(days=day), f"slug{number}", "", "x", 1.0, "1", None, "")
        for number in range(40)
        for day in range(3)
    ]
    few = [Point(NOW, "few", "", "y", 1.0, "1", None, "")]
    page = trends(many + few, NOW, ZONE)
    assert page.count('<figure class="trend">') == MOST_OTHERS
    assert f"Other figures ({MOST_OTHERS} of 40)" in page
    assert "few" not in page
    disks = [one for number in range(30) for one in disk(lambda _: 0.4, 5, item=f"d{number}")]
    assert trends(disks, NOW, ZONE).count('<figure class="trend">') == MOST_ITEMS
    assert "22 more" in trends(disks, NOW, ZONE)


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\nb", "\x1b[31mred"])
def test_no_text_gets_out_of_its_place(evil: str) -> None:
    foreign = [Point(NOW - timedelta(days=day), evil, evil, evil, 1.0, evil, 1.0, evil) for day in range(5)]
    page = trends(disk(lambda _: 0.5, item=evil) + foreign, NOW, ZONE)
    assert not {one.tag for one in ET.fromstring(page).iter()} & {"script", "img"}  # noqa: S314  our own
    assert "\n" not in page
    assert "\x1b" not in page
    assert " style=" not in page


def test_nothing_is_nothing() -> None:
    assert trends([], NOW, ZONE) == ""
    assert trends(disk(lambda _: math.nan), NOW, ZONE) == ""
    assert headlines([], NOW, ZONE) == []


NAMES = st.sampled_from(
    [
        *(("disk-space", "used", "share", "limits.disk_used"), ("backup-size", "size", "B", "limits.backup_size_min")),
        *(("growth", "database", "B", ""), ("certificate-lasts", "left", "s", "limits.certificate_left")),
        *(("response-time", "p95", "s", "limits.response_time"), ("other", "x", "1", "")),
    ]
)
FIGURES = st.floats() | st.floats(0, 1) | st.sampled_from([0.0, 1e308, -1e308, 5e-324, 1e300, -1e300])
TIMES = st.integers(-86400, 800 * 86400) | st.integers(0, 100).map(lambda day: day * 86400)


@settings(max_examples=150, deadline=None)
@example(("certificate-lasts", "left", "s", "limits.certificate_left"), [(0, 1.0, -251606545200.0)])
@given(NAMES, st.lists(st.tuples(TIMES, FIGURES, st.none() | FIGURES), max_size=60))
def test_whatever_was_measured_the_pictures_are_sound(
    named: tuple[str, str, str, str], looks: list[tuple[int, float, float | None]]
) -> None:
    slug, name, unit, limit = named
    points = [
        Point(NOW - timedelta(seconds=ago), slug, "", name, value, unit, bound, limit) for ago, value, bound in looks
    ]
    page = trends(points, NOW, ZONE)
    assert len(headlines(points, NOW, ZONE)) <= 1
    assert len(page) < 40_000
    assert "\n" not in page
    if page:
        for one in ET.fromstring(page).iter():  # noqa: S314  our own
            for key in ("d", "x", "y", "cx", "cy", "y1"):
                assert not re.search("nan|inf", one.get(key, "")), one.attrib
