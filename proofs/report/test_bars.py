"""The pictures: they need nothing from elsewhere, say their figures to who doesn't see them, and let nothing in."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.bars import MOST_BARS, bars, sparkline

DAYS = [(f"2026-11-{day:02}", float(day * 3)) for day in range(1, 31)]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(markup: str) -> ET.Element:
    return ET.fromstring(markup)  # noqa: S314  our own


def heights(markup: str) -> list[float]:
    return [float(one.get("height", "")) for one in drawn(markup).iter(f"{SVG}rect")]


def texts(markup: str) -> list[str]:
    return [one.text or "" for one in drawn(markup).iter(f"{SVG}text")]


def test_each_point_has_a_bar_as_high_as_its_figure() -> None:
    markup = bars(DAYS, "Calls of each day", "calls")
    assert heights(markup) == pytest.approx([1.2 * value for _, value in DAYS])
    assert texts(markup)[0] == "100 calls"
    assert texts(markup)[1] == "2026-11-01"
    assert texts(markup)[-1] == "2026-11-30"
    assert len(texts(markup)) == 5
    tips = [one.text for one in drawn(markup).iter(f"{SVG}title")]
    assert tips[:2] == ["2026-11-01: 3 calls", "2026-11-02: 6 calls"]


def test_who_doesnt_see_it_is_told_the_figures() -> None:
    picture = drawn(bars(DAYS, "Calls of each day", "calls")).find(f"{SVG}svg")
    assert picture is not None
    assert (picture.get("role"), picture.get("aria-label")) == ("img", "Calls of each day")
    told = picture.findtext(f"{SVG}desc") or ""
    assert all(f"{day} {value:.0f} calls" in told for day, value in DAYS)


def test_nothing_is_nothing_and_little_is_seen() -> None:
    assert heights(bars([("a", 0.0), ("b", 1.0), ("c", 1e6)], "x"))[:2] == [0.0, 1.0]
    assert heights(bars([("a", 0.0), ("b", 0.0)], "x")) == [0.0, 0.0]
    assert bars([], "x") == ""


def test_what_is_below_zero_hangs_from_the_axis() -> None:
    loss, gain = drawn(bars([("a", -5.0), ("b", 5.0)], "x")).iter(f"{SVG}rect")
    assert float(loss.get("y", "")) == pytest.approx(float(gain.get("y", "")) + float(gain.get("height", "")))


def test_what_is_no_number_has_no_bar_and_is_said() -> None:
    markup = bars([("a", 1.0), ("b", math.nan), ("c", math.inf)], "x", "calls")
    assert len(heights(markup)) == 1
    assert "b not known, c not known" in markup


def test_bytes_are_said_as_people_say_them() -> None:
    assert texts(bars([("a", 26.6 * 1024**2)], "Size", "B"))[0] == "50 MiB"


def test_of_too_many_the_last_are_drawn_and_that_is_said() -> None:
    many = [(str(number), 1.0) for number in range(1000)]
    markup = bars(many, "x")
    assert len(heights(markup)) == MOST_BARS
    assert "the last 400 of 1,000" in markup


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\nb", "\x1b[31mred"])
def test_no_text_gets_out_of_its_place(evil: str) -> None:
    for markup in (bars([(evil, 1.0), ("b", 2.0)], evil, evil), sparkline([1, 2], evil, evil)):
        assert "<script" not in markup
        assert "<img" not in markup
        assert "\n" not in markup
        assert "\x1b" not in markup
        drawn(markup)


def test_the_pages_policy_refuses_nothing_of_it() -> None:
    for markup in (bars(DAYS, "x"), sparkline([1.0, 2.0], "x")):
        assert not re.search(r"style=|<style|href|url\(|\son[a-z]+=|\sid=", markup)
        assert set(re.findall(r"https?://[^\"]+", markup)) <= {"http://www.w3.org/2000/svg"}


def test_a_small_line_goes_from_the_first_figure_to_the_last() -> None:
    line = drawn(sparkline([3.0, 1.0, 2.0], "Size", "calls"))
    assert line.get("aria-label") == "Size: from 3 calls to 2 calls, at least 1 calls, at most 3 calls"
    (polyline,) = line.iter(f"{SVG}polyline")
    assert polyline.get("points") == "0.00,2.00 50.00,22.00 100.00,12.00"
    assert sparkline([1.0], "Size") == ""


@given(
    st.lists(st.tuples(st.text(max_size=20), st.floats(allow_nan=True)), max_size=40), st.sampled_from(["", "B", "x"])
)
def test_whatever_the_figures_it_is_well_formed_and_stays_in_its_frame(
    points: list[tuple[str, float]], unit: str
) -> None:
    markup = bars(points, "x", unit)
    if markup:
        assert "\n" not in markup
        assert all(0 <= height <= 121 for height in heights(markup))
