"""The first screen of the report: what is broken now, since when, what to do, and what changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from proofs.report import nights
from proofs.report.samples import blind, result, run
from proofs.report.test_html import Page
from report.changes import changes
from report.markup import moment
from report.page_top import top

if TYPE_CHECKING:
    from report.lines import Outcome, Result

RUN = run(started="2026-11-27T03:00:00+00:00")  # 04:00 in Vienna
DISK = result("disk-space", item="root", outcome="broken", severity="critical", remedy="Delete what is old.")
BACKUP = result("backup-fresh")


def shown(results: list[Result], *was: dict[str, Outcome], guide: dict[str, str] | None = None) -> str:
    """The text of the top after nights on which things were as told, the earliest first; what isn't told held."""
    past = nights.past(
        nights.told(results, RUN, len(was) + 1, lambda one, ago: was[len(was) - ago].get(one["slug"], "holds"))
    )
    return Page(top(results, RUN, past, guide or {})).text


def test_the_three_questions_are_answered() -> None:
    text = shown([DISK, BACKUP], {}, {"disk-space": "broken"}, {"disk-space": "broken"})
    line = text[text.index("What needs you") :]
    assert line.startswith("What needs you✗ Broken disk-space[root] critical since Wed 25 Nov 05:00, 3 runs")
    assert "DoDelete what is old." in line


def test_what_broke_in_this_run_is_new() -> None:
    assert "since today 04:00, new" in shown([DISK], {})
    assert "since today 04:00, its first look" in shown([DISK])


def test_every_kind_of_change_has_its_words() -> None:
    results = [
        DISK,
        result("mended"),
        blind("dark", "database"),
        result("told-again"),
        result("waived", outcome="set aside", reason="waived"),
        result("no-longer-waived"),
        result("the-same"),
    ]
    text = shown(
        results, {"mended": "broken", "dark": "broken", "told-again": "cannot tell", "no-longer-waived": "set aside"}
    )
    for words in (
        "Changed since the run of yesterday 05:00",
        "✗ newly broken: disk-space[root]",
        "✓ mended: mended",
        "? newly can't be told: dark",
        "✓ can be told again: told-again",
        "○ newly set aside: waived",
        "✓ no longer set aside: no-longer-waived",
    ):
        assert words in text
    assert "the-same" not in text


def test_what_is_broken_at_its_first_look_is_new_where_others_were_looked_at_before() -> None:
    said = nights.told([BACKUP], RUN, 2, lambda _, __: "holds")
    past = nights.past([*said, *nights.told([DISK], RUN, 1, lambda _, __: None)])
    assert "✗ newly broken: disk-space[root]" in Page(top([DISK, BACKUP], RUN, past, {})).text


def test_nothing_changed_says_since_when() -> None:
    assert "Nothing changed since the run of yesterday 05:00." in shown([BACKUP], {})


def test_a_first_run_has_nothing_to_compare_with() -> None:
    assert "Nothing is known of an earlier run" in shown([BACKUP])
    assert "Nothing is known of an earlier run" in Page(top([BACKUP], RUN, None, {})).text


def test_what_was_looked_at_at_different_times_is_compared_each_with_its_own() -> None:
    said = nights.told([BACKUP], RUN, 2, lambda _, __: "holds")
    weekly = nights.told([DISK], RUN, 5, lambda _, ago: "holds" if ago == 4 else None)
    past = nights.past(sorted([*said, *weekly], key=lambda one: one.at))
    assert [one.names for one in changes([DISK, BACKUP], past.standings)] == [["disk-space[root]"]]
    text = Page(top([DISK, BACKUP], RUN, past, {})).text
    assert "Changed since each was last looked at, latest yesterday 05:00" in text


def test_what_was_looked_at_longer_ago_than_is_read_is_compared_as_well() -> None:
    past = nights.past(nights.told([DISK], RUN, 2, lambda _, __: "holds"))
    text = Page(top([DISK], RUN, replace(past, told=past.told[-1:]), {})).text
    assert "Changed since each was last looked at✗ newly broken: disk-space[root]" in text


def test_many_items_of_one_slug_are_one_name() -> None:
    many = [result("security-header", item=f"h{number}", outcome="broken") for number in range(6)]
    assert "newly broken: security-header (6)" in shown(many, {})


def test_one_cause_is_one_line_with_what_it_folds() -> None:
    text = shown([blind("a", "database"), blind("b", "database"), blind("b", "database", item="x")], {})
    assert text.count("In the way") == 1
    assert "2 more wait for the same: b (2)" in text


def test_what_is_set_aside_says_until_when_and_the_same_reason_once() -> None:
    aside = [
        result("disk-space", item=one, outcome="set aside", reason="waived by A, until 2026-12-04: x") for one in "ab"
    ]
    page = top(aside, RUN, None, {})
    assert "disk-space[a], disk-space[b]: waived by A, until 2026-12-04: x" in Page(page).text
    assert "<b>until 2026-12-04</b>" in page


def test_coverage_is_of_the_whole_guide() -> None:
    guide = {"disk-space": "Daily · a", "backup-fresh": "Daily · b", "db": "Daily · a", "other": "Weekly · c"}
    text = shown([DISK, BACKUP, blind("db", "database")], {}, guide=guide)
    assert "2 of the guide's 4 expectations looked at in full." in text
    assert "Daily 2 of 3 · Weekly 0 of 1" in text
    assert "Can't be told: db" in text


def test_much_that_needs_a_person_is_folded_and_not_left_out() -> None:
    many = [result(f"slug-{number}", outcome="broken") for number in range(15)]
    page = top(many, RUN, None, {})
    assert "<summary>3 more that need you</summary>" in page
    assert all(f'href="#slug-{number}"' in page.split("Covered")[0] for number in range(15))


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-11-27T04:00", "today 04:00"),
        ("2026-11-26T23:59", "yesterday 23:59"),
        ("2026-11-24T04:00", "Tue 24 Nov 04:00"),
        ("2025-11-24T04:00", "Mon 24 Nov 2025 04:00"),
    ],
)
def test_a_moment_is_said_as_a_person_does(at: str, words: str) -> None:
    now = datetime(2026, 11, 27, 5, tzinfo=UTC)
    assert moment(datetime.fromisoformat(at).replace(tzinfo=UTC), now) == words
