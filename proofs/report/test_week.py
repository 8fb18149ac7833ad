"""The matrix of the week shows every slug and every night, as bad as it was, to who looks and to who listens."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from proofs.report import nights
from proofs.report.samples import result, run
from proofs.report.test_html import Page
from report.chronicle import Told
from report.week import Row, nights_of, week

if TYPE_CHECKING:
    from report.lines import Outcome

GUIDE = {"disk-space": "Daily · Morning", "backup-fresh": "Daily · Morning", "log-quiet": "Weekly · Monday"}


def told(at: str, slug: str, outcome: Outcome, item: str = "") -> Told:
    """What a run that began then said; every time is a run of its own."""
    return Told(datetime.fromisoformat(f"2026-11-{at}:00+00:00"), at, slug, item, outcome, "major", "", "")


def cells(page: str) -> dict[str, list[str]]:
    """The words of each row by its head, as a screen reader has them."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page)
    return {Page(head).text: re.findall(r'<span class="unseen">(.*?)</span>', rest) for head, rest in rows}


def test_a_slug_is_as_bad_as_the_worst_of_its_items() -> None:
    said = [told("23T04:00", "disk-space", one, one) for one in ("holds", "broken", "set aside")]
    assert nights_of(said, UTC) == ([date(2026, 11, 23)], [Row("disk-space", ("broken",))])


def test_the_last_run_of_a_day_counts_that_looked_at_the_slug() -> None:
    said = [
        told("23T04:00", "disk-space", "broken", "root"),
        told("23T04:00", "disk-space", "broken", "docker"),
        told("23T04:00", "backup-fresh", "broken"),
        told("23T09:00", "disk-space", "holds", "root"),
    ]
    assert set(nights_of(said, UTC)[1]) == {Row("disk-space", ("holds",)), Row("backup-fresh", ("broken",))}


def test_days_are_the_hosts() -> None:
    said = [told("22T23:30", "disk-space", "holds"), told("23T22:30", "disk-space", "broken")]
    assert nights_of(said, timezone(timedelta(hours=1)))[0] == [date(2026, 11, 23)]
    assert nights_of(said, UTC)[0] == [date(2026, 11, 22), date(2026, 11, 23)]


def test_only_days_with_a_run_are_shown_and_no_more_than_seven() -> None:
    said = [told(f"{day:02}T04:00", "disk-space", "holds") for day in (1, 2, 4, 8, 9, 11, 15, 20, 22)]
    assert [day.day for day in nights_of(said, UTC)[0]] == [4, 8, 9, 11, 15, 20, 22]
    assert [day.day for day in nights_of(said, UTC, 3)[0]] == [15, 20, 22]


def test_a_night_on_which_nobody_looked_is_no_good_night() -> None:
    said = [told("22T04:00", "log-quiet", "broken"), told("23T04:00", "disk-space", "holds")]
    assert cells(week(said, GUIDE, UTC, {}))["log-quiet"] == ["broken", "not looked at"]


def test_what_held_on_every_night_is_folded_and_nothing_is_left_out() -> None:
    said = [
        told(f"{day}T04:00", slug, "broken" if (slug, day) == ("disk-space", 22) else "holds")
        for day in (22, 23)
        for slug in ("disk-space", "backup-fresh", "log-quiet", "of-old")
    ]
    page = week(said, GUIDE, UTC, {})
    before, folded = page.split("<details", 1)
    assert set(cells(before)) == {"disk-space"}
    assert set(cells(folded)) == {"backup-fresh", "log-quiet", "of-old"}
    assert "3 others held on every night</summary>" in folded
    assert "No longer in the guide" in folded


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([told("23T04:00", "a", "holds")], "The one held</summary>"),
        ([told("22T04:00", "a", "holds"), told("23T04:00", "b", "holds")], "All 2 held on every night that they were"),
        ([told("22T04:00", "a", "set aside"), told("23T04:00", "a", "set aside")], "The one was set aside on every"),
        ([told("23T04:00", "a", "broken"), told("23T04:00", "b", "holds")], "1 other held</summary>"),
    ],
)
def test_what_is_folded_is_said_as_it_is(said: list[Told], words: str) -> None:
    assert words in week(said, GUIDE, UTC, {})


def test_colour_is_not_needed_and_heads_are_heads() -> None:
    kinds: tuple[Outcome, ...] = ("broken", "cannot tell", "set aside", "holds")
    said = [told(f"{20 + place}T04:00", "disk-space", kind) for place, kind in enumerate(kinds)]
    page = week(said, GUIDE, UTC, {"disk-space": "disk-space[root]"})
    assert cells(page)["disk-space"] == ["broken", "can&#x27;t tell", "set aside", "holds"]
    signs = re.findall(r'<td class="[a-z-]+"><span aria-hidden="true">(.)</span>', page)
    assert signs == ["✗", "?", "○", "✓"]
    heads = [attrs.get("scope") for tag, attrs in Page(page).tags if tag == "th"]
    assert heads == ["col"] * 5 + ["rowgroup", "row"]
    assert '<a href="#disk-space[root]">disk-space</a>' in page
    assert [a["tabindex"] for _, a in Page(page).tags if a.get("role") == "region" and a.get("aria-label")] == ["0"]


def test_sections_stand_in_the_guides_order() -> None:
    said = [told("23T04:00", slug, "broken") for slug in ("log-quiet", "of-old", "backup-fresh", "disk-space")]
    assert list(cells(week(said, GUIDE, UTC, {}))) == ["disk-space", "backup-fresh", "log-quiet", "of-old"]
    assert week([], GUIDE, UTC, {}) == ""


def test_four_hundred_days_cost_no_more_than_a_week() -> None:
    everything = [result(f"slug-{number}") for number in range(130)]
    said = nights.told(everything, run(), 400, lambda _, ago: "broken" if ago % 5 == 0 else "holds")
    assert len(said) == 400 * 130
    page = week(said, {}, UTC, {})
    assert len(page) < 250_000
    assert page == week(said[-7 * 130 :], {}, UTC, {})
