"""A waiver covers what is broken, through its last day and up to its figure; never what can't be told."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proofs.report.samples import blind, result
from records.tables import Day, Said
from records.waivers import Bound, Waiver, Waivers
from report.set_aside import UNKNOWN, judged, remarks

if TYPE_CHECKING:
    from report.lines import Result

TODAY = date(2026, 11, 24)
DAY = timedelta(days=1)
FULL = result(
    "disk-space",
    item="root",
    outcome="broken",
    message="root: 83 % used",
    figures=[{"name": "used", "value": 0.83, "unit": "share", "limit": 0.8}],
)


def waivers(*all_of_them: Waiver) -> Waivers:
    return Waivers(Path("waivers.toml"), all_of_them)


def waiver(slug: str = "disk-space[root]", until: date = TODAY, **more: Any) -> Waiver:  # noqa: ANN401
    last = Day(until.year, until.month, until.day)
    return Waiver(slug=Said(slug), reason=Said("a new disk is on its way"), by=Said("Mira"), until=last, **more)


def outcome(one: Result, *all_of_them: Waiver, today: date = TODAY) -> str:
    return judged(one, waivers(*all_of_them), today)["outcome"]


def test_a_waiver_sets_aside_through_its_last_day_and_says_who_why_and_until_when() -> None:
    shown = judged(FULL, waivers(waiver()), TODAY)
    assert shown["outcome"] == "set aside"
    assert shown["reason"] == "waived by Mira, until 2026-11-24: a new disk is on its way"
    assert "may grow worse" in shown["notes"][-1], "it has no bound, and the result has a figure"
    assert FULL["outcome"] == "broken", "the result itself is left as it was"


def test_a_waiver_that_ended_is_broken_again_and_says_so_at_report_time_too() -> None:
    covered = judged(FULL, waivers(waiver()), TODAY)
    again = judged(covered, waivers(waiver()), TODAY + DAY)
    assert again["outcome"] == "broken"
    assert again["message"] == "root: 83 % used; the waiver of disk-space[root] by Mira ended on 2026-11-24, 1 day ago"
    assert again["reason"] == ""


def test_judging_twice_is_judging_once() -> None:
    for today in (TODAY, TODAY + DAY):
        once = judged(FULL, waivers(waiver()), today)
        assert judged(once, waivers(waiver()), today) == once


@pytest.mark.parametrize(("used", "wanted"), [(0.83, "set aside"), (0.831, "broken"), (0.90, "broken")])
def test_a_waiver_up_to_a_figure_ends_with_it(used: float, wanted: str) -> None:
    figures = [{"name": "used", "value": used, "unit": "share", "limit": 0.8}]
    fuller = result("disk-space", item="root", outcome="broken", message="root: full", figures=figures)
    bounded = waiver(until=TODAY + 7 * DAY, at_most=Bound.parse("83 %"))
    shown = judged(fuller, waivers(bounded), TODAY)
    assert shown["outcome"] == wanted
    if wanted == "broken":
        assert "covers at most 83 %, and used is" in shown["message"]


def test_what_cant_be_told_is_never_covered() -> None:
    assert outcome(blind("disk-space", "host", item="root"), waiver()) == "cannot tell"


def test_another_item_is_not_covered_and_a_whole_slug_covers_all() -> None:
    assert outcome(FULL, waiver("disk-space[docker]")) == "broken"
    assert outcome(FULL, waiver("disk-space")) == "set aside"
    assert outcome(FULL) == "broken"
    assert judged(FULL, None, TODAY) == FULL


def said_of(results: list[Result], *all_of_them: Waiver, not_applicable: dict[str, str] | None = None) -> list[str]:
    there = {("disk-space", "root"), ("disk-space", "docker"), ("services-up", UNKNOWN)}
    return remarks(results, there, waivers(*all_of_them), not_applicable or {}, TODAY)


def test_a_waiver_that_nothing_needs_is_said() -> None:
    fine = [result("disk-space", item=item) for item in ("root", "docker")]
    lasting = waiver("disk-space", TODAY + 30 * DAY)
    (said,) = said_of(fine, lasting)
    assert "is no longer needed" in said
    assert said_of([*fine, FULL], lasting) == [], "one of them needs it"
    assert said_of([blind("disk-space", "host", item="root")], lasting) == [], "nobody knows"
    assert said_of([], lasting) == [], "nobody looked"


def test_an_end_is_announced_a_week_before() -> None:
    said = [said_of([FULL], waiver(until=TODAY + days * DAY)) for days in (8, 7, 0)]
    assert said[0] == []
    assert "in 7 days" in said[1][0]
    assert "today" in said[2][0]


def test_what_is_said_of_an_item_that_isnt_there_is_said() -> None:
    assert "no item dokcer" in said_of([FULL], waiver("disk-space[dokcer]", TODAY + 30 * DAY))[0]
    assert said_of([FULL], waiver("disk-space[docker]", TODAY + 30 * DAY)) == [], "it is there, only not looked at"
    (said,) = said_of([FULL], not_applicable={"disk-space[dokcer]": "x", "disk-space[root]": "x"})
    assert "disk-space[dokcer]" in said


def test_where_the_items_are_unknown_nothing_is_said_of_them() -> None:
    assert said_of([FULL], waiver("services-up[db]", TODAY + 30 * DAY), not_applicable={"services-up[web]": "x"}) == []


KNOWN_AGAINST = result("npm-audit", outcome="broken", message="2 advisories", ids=[["GHSA-x", "CVE-1"], ["GHSA-y"]])


def test_a_waiver_of_ids_covers_no_other_that_comes_up() -> None:
    both = waiver("npm-audit", covers=(Said("GHSA-x"), Said("GHSA-y")))
    assert outcome(KNOWN_AGAINST, both) == "set aside"
    one = waiver("npm-audit", covers=(Said("CVE-1"),))
    shown = judged(KNOWN_AGAINST, waivers(one), TODAY)
    assert shown["outcome"] == "broken"
    assert shown["message"] == "2 advisories; not covered by the waiver of npm-audit by Mira: GHSA-y"
    other = waiver("npm-audit", until=TODAY + DAY, covers=(Said("GHSA-y"),))
    assert outcome(KNOWN_AGAINST, one, other) == "set aside"
    assert outcome(KNOWN_AGAINST, one, other, today=TODAY + DAY) == "broken", "one of them has ended"


def test_an_id_that_is_no_longer_found_is_said() -> None:
    lasting = waiver("npm-audit", TODAY + 30 * DAY, covers=(Said("GHSA-x"), Said("GHSA-z")))
    other = waiver("npm-audit", TODAY + 30 * DAY, covers=(Said("GHSA-y"),))
    assert said_of([KNOWN_AGAINST], lasting, other) == [
        "the waiver of npm-audit by Mira covers GHSA-z, which is no longer found; take that out"
    ]
    assert len(said_of([result("npm-audit")], lasting, other)) == 2, "neither is needed"
    assert said_of([blind("npm-audit", "host")], lasting, other) == []
