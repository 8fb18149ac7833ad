"""What the runs came to: whole runs and no others, for as long as they are kept."""

from __future__ import annotations

import math
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from proofs.report.samples import HOSTILE, blind, result, run
from report.chronicle import Chronicle
from report.history import History
from report.history_file import HistoryError, HistoryFile
from report.lines import OUTCOMES, Result, Run

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
KEPT = 400 * DAY
EVER = NOW - 4 * KEPT
FIGURE = {"name": "used", "value": 0.79, "unit": "share", "limit": 0.8, "limit_name": "limits.disk_used"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def chronicle(path: Path, target: str = "shop", kept: timedelta = KEPT) -> Chronicle:
    return Chronicle(HistoryFile(path), target, kept)


def of(at: datetime, token: str = "", **changes: object) -> Run:
    """A run of that time, a second long."""
    return run(token=token or f"{at:%Y%m%dT%H%M%S}", started=at.isoformat(), ended=(at + SECOND).isoformat(), **changes)


def figure(**changes: object) -> dict[str, object]:
    return {**FIGURE, **changes}


def test_a_run_comes_back_as_it_was(path: Path) -> None:
    facts = of(NOW, cadence="weekly", warnings=["'; DROP TABLE run; --"])
    results = [
        result("disk-space", figures=[figure()]),
        result("backup-fresh", outcome="broken", item="a", severity="critical"),
        result("backup-kept", outcome="set aside", reason="until the move"),
        blind("tables-there", "database"),
    ]
    chronicle(path).record(facts, results)
    (one,) = chronicle(path).runs(NOW)
    assert (one.token, one.cadence, one.started, one.ended, one.facts) == (
        *(facts["token"], "weekly", NOW, NOW + SECOND, facts),
    )
    assert [latest.result for latest in chronicle(path).latest(NOW)] == results
    assert all(latest.run == one for latest in chronicle(path).latest(NOW))
    told = {(one.slug, one.item): (one.outcome, one.severity, one.cause, one.said) for one in chronicle(path).told(NOW)}
    assert told == {
        ("disk-space", ""): ("holds", "major", "", ""),
        ("backup-fresh", "a"): ("broken", "critical", "", results[1]["message"]),
        ("backup-kept", ""): ("set aside", "major", "", "until the move"),
        ("tables-there", ""): ("cannot tell", "major", "database", "tables-there can't be told."),
    }
    assert [tuple(point) for point in chronicle(path).points(NOW)] == [
        (NOW, "disk-space", "", "used", 0.79, "share", 0.8, "limits.disk_used")
    ]
    assert History(HistoryFile(path)).figures("shop", "disk-space", "used", NOW) == [(NOW, 0.79)]
    known = History(HistoryFile(path)).runs(NOW)[facts["token"]]
    assert (known.started, known.ended) == (NOW, NOW + SECOND), "its traffic is ours, also if its beginning got lost"


def test_nothing_is_known_before_the_first(path: Path) -> None:
    one = chronicle(path)
    assert (one.runs(EVER), one.told(EVER), one.latest(EVER), one.points(EVER), one.alerts()) == ([], [], [], [], {})
    assert not path.exists()


def test_without_a_history_nothing_is_kept() -> None:
    one = Chronicle(HistoryFile(None), "shop", KEPT)
    one.record(of(NOW), [result()])
    one.remember_alerts({"key": {"sent": 1}})
    assert (one.runs(EVER), one.told(EVER), one.latest(EVER), one.points(EVER), one.alerts()) == ([], [], [], [], {})


def test_another_targets_runs_are_not_ours(path: Path) -> None:
    chronicle(path, "other").record(of(NOW), [result(figures=[figure()])])
    chronicle(path, "other").remember_alerts({"key": {}})
    one = chronicle(path)
    assert (one.runs(EVER), one.told(EVER), one.latest(EVER), one.points(EVER), one.alerts()) == ([], [], [], [], {})


def test_what_is_asked_of_a_time_is_of_that_time(path: Path) -> None:
    for days in range(5):
        chronicle(path).record(of(NOW - days * DAY), [result(figures=[figure(value=days)])])
    one, since, until = chronicle(path), NOW - 3 * DAY, NOW - DAY
    assert [known.started for known in one.runs(since, until)] == [NOW - days * DAY for days in (3, 2, 1)]
    assert [known.at for known in one.told(since, until)] == [NOW - days * DAY for days in (3, 2, 1)]
    assert [known.value for known in one.points(since, until)] == [3, 2, 1]
    assert [known.value for known in one.points(since)] == [3, 2, 1, 0]
    assert one.points(since, slugs=["another"]) == []
    assert len(one.points(since, slugs=["another", "backup-fresh"])) == 4


def test_the_newest_result_is_that_of_the_run_that_began_last(path: Path) -> None:
    """Which may have ended first."""
    chronicle(path).record(of(NOW), [result(seen="late")])
    chronicle(path).record(of(NOW - DAY), [result(seen="early"), result("other", seen="early")])
    assert [(one.result["seen"], one.run.started) for one in chronicle(path).latest(EVER)] == [
        ("early", NOW - DAY),
        ("late", NOW),
    ]


def test_a_run_is_written_once(path: Path) -> None:
    chronicle(path).record(of(NOW, "t"), [result()])
    with pytest.raises(HistoryError, match="what this run came to is missing where runs are followed over time"):
        chronicle(path).record(of(NOW, "t"), [result(), result("other")])
    assert len(chronicle(path).told(EVER)) == 1


@pytest.mark.parametrize("text", [*HOSTILE, "", "\0"], ids=range(len(HOSTILE) + 2))
def test_any_text_is_kept(path: Path, text: str) -> None:
    one = result("slug", item=text, outcome="broken", message=text, seen=text, cause=text, figures=[figure(name=text)])
    chronicle(path).record(of(NOW), [one])
    chronicle(path).remember_alerts({text: {"said": text}})
    (latest,) = chronicle(path).latest(NOW)
    assert latest.result == one
    stored = text.encode("utf-8", "replace").decode()
    (told,) = chronicle(path).told(NOW)
    assert (told.item, told.cause, told.said) == (stored, stored, stored[:1000])
    assert [point.name for point in chronicle(path).points(NOW)] == [stored]
    assert chronicle(path).alerts() == {stored: {"said": text}}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_costs_the_run_nothing(path: Path, value: float) -> None:
    figures = [
        figure(value=value),
        figure(name="limitless", limit=value),
        figure(name="large", value=10**30, limit=2**70),
    ]
    chronicle(path).record(of(NOW), [result(figures=figures)])
    assert len(chronicle(path).runs(NOW)) == 1
    assert {point.name: point.bound for point in chronicle(path).points(NOW)} == {"limitless": None, "large": 2.0**70}


@pytest.mark.parametrize("kept", [KEPT, 100 * DAY])
def test_what_is_older_than_it_is_kept_is_deleted_everywhere(path: Path, kept: timedelta) -> None:
    for target in ("shop", "other"):
        for at, slug in ((NOW - kept - SECOND, "gone"), (NOW - kept + SECOND, "there")):
            one = Chronicle(HistoryFile(path), target, 9 * KEPT)
            one.record(of(at, f"{target} {slug}"), [result(slug, figures=[figure()]), result("always")])
    chronicle(path, kept=kept).record(of(NOW), [result("new")])
    for target, slugs in (("shop", ["always", "there", "new"]), ("other", ["gone", "always", "always", "there"])):
        one = chronicle(path, target)
        assert [known.slug for known in one.told(EVER)] == slugs
        assert [known.slug for known in one.points(EVER)] == [slug for slug in slugs if slug in ("gone", "there")]
    assert [known.result["slug"] for known in chronicle(path).latest(EVER)] == ["always", "there", "new"]
    with closing(sqlite3.connect(path)) as connection:
        known = {name for (name,) in connection.execute("SELECT slug FROM subject WHERE target = 'shop'")}
        whose = "SELECT count(*) FROM outcome WHERE run NOT IN (SELECT number FROM finished_run)"
        assert connection.execute(whose).fetchone() == (0,)
    assert known == {"always", "there", "new"}


def test_of_an_expectation_that_wasnt_looked_at_for_long_the_last_result_stays(path: Path) -> None:
    chronicle(path).record(of(NOW - KEPT + SECOND), [result("yearly")])
    for days in range(3):
        chronicle(path).record(of(NOW - days * DAY), [result("daily")])
    assert {one.result["slug"] for one in chronicle(path).latest(EVER)} == {"yearly", "daily"}


def test_who_reads_while_a_run_is_written_sees_all_of_it_or_nothing(path: Path) -> None:
    results = [result(f"slug-{number}", figures=[figure()]) for number in range(40)]
    chronicle(path).record(of(NOW - DAY), results)
    stop = threading.Event()

    def look() -> set[int]:
        seen: set[int] = set()
        while not stop.is_set():
            seen.add(len(chronicle(path).told(NOW)) % len(results))
        return seen

    with ThreadPoolExecutor(3) as pool:
        looking = pool.submit(look)
        writing = [
            pool.submit(chronicle(path).record, of(NOW + number * SECOND), cast("Any", results)) for number in range(10)
        ]
        for one in writing:
            one.result(60)
        stop.set()
        assert looking.result(60) <= {0}
    assert len(chronicle(path).told(EVER)) == 11 * len(results)
    assert len(chronicle(path).points(EVER)) == 11 * len(results)


def test_a_run_that_meets_a_damaged_file_is_in_the_new_one(path: Path) -> None:
    History(HistoryFile(path)).begin("t", "shop", NOW)
    path.write_bytes(b"not a database " * 500)
    one = chronicle(path)
    one.record(of(NOW, "t"), [result()])
    (sentence,) = one.file.said
    assert "was moved aside" in sentence
    assert [known.token for known in chronicle(path).runs(EVER)] == ["t"]
    assert set(History(HistoryFile(path)).runs(NOW)) == {"t"}, "what it asked of the target is known as ours"


def test_every_outcome_is_kept_and_counted(path: Path) -> None:
    results: list[Result] = [result(f"{outcome}", outcome=outcome) for outcome in OUTCOMES]
    chronicle(path).record(of(NOW), results)
    assert sorted(one.outcome for one in chronicle(path).told(NOW)) == sorted(OUTCOMES)


def test_alerts_are_remembered_until_they_are_forgotten(path: Path) -> None:
    one = chronicle(path)
    one.remember_alerts({"a": {"since": "x"}, "b": {"runs": 1}})
    one.remember_alerts({"a": None, "b": {"runs": 2}, "c": None})
    assert one.alerts() == {"b": {"runs": 2}}
