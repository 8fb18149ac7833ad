"""One cause, one line; and a verdict that never calls nothing good."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proofs.report.samples import blind, result, run
from report.lines import SEVERITIES, Result, counts, identity, lines, seconds, verdict

RESULTS = st.lists(
    st.builds(
        result,
        slug=st.sampled_from(["backup-fresh", "site-answers", "security-header"]),
        item=st.sampled_from(["", "db", "/"]),
        severity=st.sampled_from(SEVERITIES),
        outcome=st.sampled_from(["holds", "broken", "cannot tell", "set aside"]),
        cause=st.sampled_from(["", "", "site", "database"]),
        looked_at=st.sampled_from(["", "9 files"]),
    ),
    max_size=12,
)


def test_a_cause_is_one_line_headed_by_what_is_broken() -> None:
    found = lines(
        [
            blind("security-header", "site", item="hsts"),
            blind("security-header", "site", item="csp"),
            result("site-answers", outcome="broken", severity="critical", cause="site"),
            blind("health-endpoint", "site"),
        ]
    )
    assert [identity(line.head) for line in found] == ["site-answers"]
    assert found[0].waiting == "3 more wait for the same: security-header (2), health-endpoint"


def test_without_anything_broken_the_first_that_waits_is_the_head() -> None:
    (line,) = lines([blind("error-rate", "host"), blind("disk-space", "host", severity="critical")])
    assert identity(line.head) == "error-rate"
    assert line.severity == "critical"
    assert line.waiting == "1 more waits for the same: disk-space"


def test_results_without_a_cause_stand_alone() -> None:
    found = lines([result("a", outcome="broken"), result("b", outcome="broken"), result("c")])
    assert [identity(line.head) for line in found] == ["a", "b"]
    assert not any(line.waiting for line in found)


def test_lines_go_by_severity_then_broken_first_then_in_order() -> None:
    found = lines(
        [
            result("e", outcome="broken", severity="minor"),
            result("c", outcome="cannot tell", severity="critical"),
            result("d", outcome="broken", severity="major"),
            result("a", outcome="broken", severity="critical"),
            result("b", outcome="broken", severity="critical"),
        ]
    )
    assert [line.head["slug"] for line in found] == ["a", "b", "c", "d", "e"]


@given(RESULTS)
def test_every_result_in_need_is_on_exactly_one_line(results: list[Result]) -> None:
    needed = [r for r in results if r["outcome"] in ("broken", "cannot tell")]
    shown = [r for line in lines(results) for r in (line.head, *line.folded)]
    assert sorted(map(id, shown)) == sorted(map(id, needed))
    causes = [line.head["cause"] for line in lines(results) if line.head["cause"]]
    assert len(causes) == len(set(causes))


@given(RESULTS)
def test_the_verdict_says_all_holds_only_if_it_does(results: list[Result]) -> None:
    said = verdict(results, run())
    number = counts(results)
    assert sum(number.values()) == len(results)
    in_need = number["broken"] + number["cannot tell"]
    assert ("all holds" in said) == (number["holds"] > 0 and not in_need)
    assert ("something is broken" in said) == (number["broken"] > 0)


def test_the_verdict_counts_what_was_looked_at() -> None:
    results = [
        result("a", item="1"),
        blind("a", "site", item="2"),
        result("b"),
        result("c", outcome="set aside", looked_at="", reason="no such service"),
    ]
    assert verdict(results, run()) == (
        "synk, daily: nothing is seen broken, but not everything could be seen "
        "(0 broken, 1 can't tell, 1 set aside, 2 hold); 1 of 3 slugs looked at in full, in 0.61 s"
    )


def test_nothing_run_is_not_called_good() -> None:
    assert verdict([], run()) == "synk, daily: nothing was looked at, no expectation ran"


def test_seconds_are_said_as_a_person_says_them() -> None:
    assert [seconds(s) for s in (0, 0.0004, 0.012, 0.61, 5.003, 12.34, 59.96, 125)] == [
        "0 ms",
        "0 ms",
        "12 ms",
        "0.61 s",
        "5.00 s",
        "12.3 s",
        "1 min 0 s",
        "2 min 5 s",
    ]
