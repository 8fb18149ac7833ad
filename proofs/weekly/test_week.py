"""A week of nights on a real lab, and the review that is made of it from the history alone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest

from lab.nights import WEEK, week
from proofs.harness import run_suite
from report.chronicle import Chronicle
from report.history import KEPT
from report.history_file import HistoryFile

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab
    from proofs.harness import SuiteRun

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "OPS_ENGINE__URL": "unix:///nowhere/docker.sock"}
STILL_BROKEN = {
    "certificate-lasts[disk]",
    "certificate-lasts[served]",
    "security-header[referrer-policy]",
    "backup-steady",
}


@pytest.fixture(scope="module")
def past(lab: Lab) -> Path:
    """The history of a week that was made once for all proofs here."""
    return week(lab)


@pytest.fixture(scope="module")
def review(lab: Lab, past: Path) -> SuiteRun:
    """The review of that week, where there is no engine to be asked."""
    return run_suite(lab.target_file, "--review", marker="", environment=NOWHERE, history=past)


def test_each_night_found_what_was_wrong_in_it_and_nothing_else(lab: Lab, past: Path) -> None:
    from lab.faults import by_name

    now = datetime.now().astimezone()
    told = Chronicle(HistoryFile(past), lab.name, KEPT).told(now - timedelta(days=10))
    for night in WEEK:
        day = (now - timedelta(days=night.ago)).date()
        broken = {
            f"{one.slug}[{one.item}]" if one.item else one.slug
            for one in told
            if one.outcome == "broken" and one.at.astimezone().date() == day
        }
        looked_at = {one.slug for one in told}
        wanted = {one for name in night.faults for one in by_name(name).broken(now)}
        assert broken == {one for one in wanted if one.partition("[")[0] in looked_at}, f"{night.ago} days ago"


def test_the_review_says_what_is_broken_since_when_and_what_to_do(review: SuiteRun) -> None:
    assert review.status == 1, review.explain()
    assert review.broken == STILL_BROKEN, review.explain()
    for output in (review.terminal, review.markdown, unescape(review.html)):
        for name in STILL_BROKEN:
            assert name.partition("[")[0] in output
        assert "since" in output.lower()
    assert re.search(
        r"BROKEN certificate-lasts\[disk\] .*?Since yesterday [0-9:]+, 2 runs", " ".join(review.terminal.split())
    )
    assert re.search(r"certificate-lasts\\\[disk\\\] \(critical, since yesterday [0-9:]+, 2 runs\)", review.markdown)
    assert re.search(r"backup-steady \(major, since today [0-9:]+, new\)", review.markdown)
    for name in STILL_BROKEN:
        assert review.findings[name].remedy


def test_the_week_is_a_table_of_nights(review: SuiteRun) -> None:
    section = re.search(r'<section class="week".*?</section>', review.html, re.DOTALL)
    assert section is not None
    days = [datetime.now().astimezone() - timedelta(days=night.ago) for night in WEEK]
    heads = re.findall(r'<th scope="col">(\w+) <span>(.*?)</span></th>', section[0])
    assert heads[: len(days)] == [(f"{day:%a}", f"{day.day} {day:%b}") for day in days]
    # What was broken for a night and mended is in the week, and what isn't mended.
    nights = {
        "disk-space": "✓✗✓✓✓✓✓",
        "backend-errors": "✓✓✗✓✓✓✓",
        "site-answers": "✓✓✓✗✓✓✓",
        "certificate-lasts": "✓✓✓✗✓✗✗",
        "backup-steady": "✓✓✓✓✓✓✗",
        "http-redirects": "✓✓✓✓✓✓✓",
    }
    for slug, signs in nights.items():
        row = re.search(rf'<th scope="row">(?:<a [^>]*>)?{slug}(?:</a>)?</th>(.*?)</tr>', section[0])
        assert row is not None, slug
        assert "".join(re.findall(r'<span aria-hidden="true">(.)</span>', row[1])) == signs, slug


def test_a_review_changes_no_history(lab: Lab, past: Path, review: SuiteRun) -> None:
    assert review.findings
    before = len(Chronicle(HistoryFile(past), lab.name, KEPT).runs(datetime.fromtimestamp(0).astimezone()))
    run_suite(lab.target_file, "--review", marker="", environment=NOWHERE, history=past)
    runs = Chronicle(HistoryFile(past), lab.name, KEPT).runs(datetime.fromtimestamp(0).astimezone())
    assert len(runs) == before == len(WEEK)
