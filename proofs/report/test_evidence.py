"""What a test saw is recorded with its limits and its denominator, bounded, as plain data."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.evidence import MOST_LINES, MOST_ROWS, Evidence
from target.kinds import Share, Size, Span
from target.limits import Limit

AGE = Limit("limits.backup_age", Span(hours=24), "the guide's default")


@pytest.fixture
def evidence() -> Evidence:
    return Evidence()


def test_a_message_names_the_thing_what_was_seen_what_was_wanted_and_why(evidence: Evidence) -> None:
    evidence.compare("a.sql.gz", seen="31 h old", wanted="at most 24 h old", limits=[AGE])
    assert evidence.message == ("a.sql.gz: 31 h old; wanted: at most 24 h old (limits.backup_age, the guide's default)")


def test_without_a_limit_nothing_is_said_of_one(evidence: Evidence) -> None:
    evidence.compare("service db", seen="paused", wanted="1 running")
    assert evidence.message == "service db: paused; wanted: 1 running"


def test_the_last_comparison_counts(evidence: Evidence) -> None:
    evidence.compare("x", seen="no answer", wanted="200", limits=[AGE])
    evidence.compare("x", seen="200", wanted="200")
    assert evidence.message == "x: 200; wanted: 200"
    assert evidence.as_dict()["limits"] == []


def test_a_blank_denominator_is_none(evidence: Evidence) -> None:
    evidence.looked_at("  ")
    assert evidence.denominator == ""
    evidence.looked_at("9 files in /srv")
    assert evidence.as_dict()["looked_at"] == "9 files in /srv"


def test_nothing_recorded_is_an_empty_record(evidence: Evidence) -> None:
    assert not any(evidence.as_dict().values())


@given(number=st.integers(0, 120))
def test_a_table_is_bounded_and_says_of_how_many(number: int) -> None:
    evidence = Evidence()
    evidence.table("Backups", [{"file": n, "size": None} for n in range(number)])
    tables = evidence.as_dict()["tables"]
    if number == 0:
        assert tables == []
        return
    assert tables[0]["columns"] == ["file", "size"]
    assert len(tables[0]["rows"]) == min(number, MOST_ROWS)
    assert tables[0]["rows"][0] == ["0", "None"]
    assert tables[0]["title"] == ("Backups" if number <= MOST_ROWS else f"Backups ({MOST_ROWS} of {number})")


def test_a_row_without_a_column_has_an_empty_cell(evidence: Evidence) -> None:
    evidence.table("x", [{"a": 1, "b": 2}, {"b": 3}])
    assert evidence.as_dict()["tables"][0]["rows"] == [["1", "2"], ["", "3"]]


@given(number=st.integers(0, 90), of=st.none() | st.integers(0, 1000))
def test_an_excerpt_is_bounded_and_counts_what_it_leaves_out(number: int, of: int | None) -> None:
    evidence = Evidence()
    evidence.excerpt("log", [f"line {n}" for n in range(number)], of=of)
    excerpts = evidence.as_dict()["excerpts"]
    assert bool(excerpts) == bool(number)
    if number:
        shown = len(excerpts[0]["lines"])
        assert shown == min(number, MOST_LINES)
        assert shown + excerpts[0]["left_out"] == max(number, of or 0)


@pytest.mark.parametrize(
    ("limit", "bound"),
    [(AGE, 86400.0), (Limit("x", Size(5), "y"), 5.0), (Limit("x", Share(0.8), "y"), 0.8), (None, None)],
)
def test_a_figure_has_its_limit_in_its_own_unit(evidence: Evidence, limit: Limit[object] | None, bound: float) -> None:  # type: ignore[type-var]
    evidence.figure("age", 1.5, "s", limit)
    named = limit.name if limit is not None else ""
    wanted = {"name": "age", "value": 1.5, "unit": "s", "limit": bound, "limit_name": named}
    assert evidence.as_dict()["figures"] == [wanted]


def test_a_record_is_plain_data(evidence: Evidence) -> None:
    evidence.compare("x", seen="1", wanted="2", limits=[AGE])
    evidence.looked_at("1 of 2")
    evidence.note("a note")
    evidence.table("t", [{"share": Share(0.5)}])
    evidence.excerpt("e", ["a"])
    evidence.figure("used", Share(0.5), "share", AGE)
    evidence.finding("GHSA-x", "CVE-1")
    assert evidence.as_dict()["ids"] == [["GHSA-x", "CVE-1"]]
    assert json.loads(json.dumps(evidence.as_dict())) == evidence.as_dict()
