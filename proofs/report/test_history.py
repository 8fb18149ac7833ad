"""What is remembered from run to run: exactly the suite's own traffic, for exactly as long as it went on."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observe.log_kinds import Kind, KindWindow
from observe.role_use import RoleUse
from observe.services import Disturbance
from report.history import CLOCKS, KEPT, LONGEST, Figure, History, RunTime
from report.history_file import HistoryFile

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on first" / "writing.sqlite"


@pytest.fixture
def history(file: Path) -> History:
    return History(HistoryFile(file))


def test_a_run_is_remembered_with_its_time(history: History) -> None:
    history.begin("token", "shop", NOW)
    history.end("token", NOW + SECOND)
    assert history.runs(NOW - DAY) == {"token": RunTime("token", NOW, NOW + SECOND)}


def test_a_token_counts_for_the_time_of_its_run_alone() -> None:
    run = RunTime("token", NOW, NOW + 10 * SECOND)
    assert run.covers(NOW)
    assert run.covers(NOW + 10 * SECOND + CLOCKS)
    assert run.covers(NOW - CLOCKS)
    assert not run.covers(NOW - CLOCKS - SECOND)
    assert not run.covers(NOW + 10 * SECOND + CLOCKS + SECOND)


def test_a_run_that_never_said_its_end_ends_by_itself(history: History) -> None:
    history.begin("token", "shop", NOW)
    (run,) = history.runs(NOW).values()
    assert run.ended == NOW + LONGEST


def test_a_run_that_began_before_the_window_and_reached_into_it_is_there(history: History) -> None:
    history.begin("long", "shop", NOW - LONGEST + SECOND)
    history.begin("gone", "shop", NOW - LONGEST - SECOND)
    assert set(history.runs(NOW)) == {"long"}


def test_beginning_twice_is_beginning_once(history: History) -> None:
    history.begin("token", "shop", NOW)
    history.begin("token", "shop", NOW + DAY)
    assert [run.started for run in history.runs(NOW - DAY).values()] == [NOW]


def test_a_refused_login_is_remembered(history: History) -> None:
    history.refused("token", 'ops"; DROP TABLE run; --', NOW)
    (login,) = history.refused_logins(NOW)
    assert (login.role, login.at) == ('ops"; DROP TABLE run; --', NOW)
    assert history.refused_logins(NOW + CLOCKS + SECOND) == []


def test_no_history_yet_is_an_empty_one_and_reading_makes_none(file: Path, history: History) -> None:
    assert history.runs(NOW) == {}
    assert history.refused_logins(NOW) == []
    assert not file.parent.exists()


def test_an_empty_file_is_an_empty_history(tmp_path: Path) -> None:
    (tmp_path / "h").touch()
    assert History(HistoryFile(tmp_path / "h")).runs(NOW) == {}


def test_old_runs_are_forgotten_in_the_end(history: History) -> None:
    history.begin("old", "shop", NOW - KEPT - DAY)
    history.refused("old", "ops", NOW - KEPT - DAY)
    history.begin("new", "shop", NOW)
    assert set(history.runs(NOW - 2 * KEPT)) == {"new"}
    assert history.refused_logins(NOW - 2 * KEPT) == []


def test_many_first_runs_at_once_all_get_in(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: History(HistoryFile(file)).begin(f"t{number}", "shop", NOW), range(16)))
    assert len(History(HistoryFile(file)).runs(NOW)) == 16


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(max_examples=10)
@given(token=TEXTS, role=TEXTS)
def test_any_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, token: str, role: str) -> None:
    history = History(HistoryFile(tmp_path_factory.getbasetemp() / "texts.sqlite"))
    history.begin(token, role, NOW)
    history.refused(token, role, NOW)
    assert token in history.runs(NOW)
    assert role in {one.role for one in history.refused_logins(NOW)}


# Kinds of log messages ----------------------------------------------------------------------------------------------

WEEK = timedelta(days=7)
KIND, OTHER = Kind("WARNING", "api.mail: slow"), Kind("ERROR", "api.x: <path> 'quoted'; DROP TABLE log_kind")


def looked(history: History, token: str, until: datetime, counts: dict[Kind, int], target: str = "shop") -> KindWindow:
    window = KindWindow(until - WEEK, until, WEEK / 2, counts, dict.fromkeys(counts, until - DAY))
    history.remember_kinds(token, target, "backend", window)
    return window


def test_the_first_look_has_nothing_to_compare_with(file: Path, history: History) -> None:
    now = KindWindow(NOW - WEEK, NOW, WEEK, {KIND: 1}, {KIND: NOW})
    assert history.baseline("shop", "backend", now) is None
    assert not file.exists()


def test_kinds_come_back_as_they_were(history: History) -> None:
    first = looked(history, "a", NOW - WEEK, {KIND: 3, OTHER: 1})
    second = looked(history, "b", NOW - DAY, {KIND: 4})
    known = history.baseline("shop", "backend", KindWindow(NOW - WEEK, NOW, WEEK, {}, {}))
    assert known is not None
    assert (known.made, known.adopted) == (first.until, frozenset({KIND, OTHER}))
    assert known.first_seen == {KIND: first.until - DAY, OTHER: first.until - DAY}
    assert list(known.past) == [first], f"{second} lies a day back and not a week"


def test_another_targets_kinds_are_not_ours(history: History) -> None:
    looked(history, "a", NOW - WEEK, {KIND: 3}, target="other")
    assert history.baseline("shop", "backend", KindWindow(NOW - WEEK, NOW, WEEK, {}, {})) is None


def test_of_one_run_the_first_look_counts(history: History) -> None:
    looked(history, "a", NOW - WEEK, {KIND: 3})
    looked(history, "a", NOW - WEEK, {KIND: 99, OTHER: 1})
    known = history.baseline("shop", "backend", KindWindow(NOW - WEEK, NOW, WEEK, {}, {}))
    assert known is not None
    assert known.past[0].counts[KIND] == 3


def test_old_windows_are_forgotten_with_their_kinds(file: Path, history: History) -> None:
    looked(history, "old", NOW - KEPT - DAY, {OTHER: 3})
    looked(history, "new", NOW - WEEK, {KIND: 3})
    history.begin("token", "shop", NOW)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT kind FROM log_kind").fetchall() == [(KIND.text,)]


def test_a_pattern_that_matched_is_remembered_for_its_target(history: History) -> None:
    history.remember_matched("shop", ["RATE_LIMIT", "x"], NOW)
    history.remember_matched("shop", ["RATE_LIMIT"], NOW + DAY)
    assert history.matched("shop") == {"RATE_LIMIT", "x"}
    assert history.matched("other") == set()


def test_what_a_drill_does_is_known_before_and_its_end_when_it_comes(history: History) -> None:
    begun = Disturbance("c1", "recovery-drill", NOW, None, 2, NOW - DAY, 2)
    history.remember_disturbances("shop", [begun, replace(begun, container="c2", started_before=None)])
    history.remember_disturbances("other", [replace(begun, drill="graceful-restart")])
    assert history.disturbances("shop", NOW - DAY)[0] == begun
    over = replace(begun, until=NOW + SECOND, restarts_after=3)
    history.remember_disturbances("shop", [over])
    assert history.disturbances("shop", NOW - DAY) == [over, replace(begun, container="c2", started_before=None)]
    assert history.disturbances("shop", NOW + LONGEST + SECOND) == []
    history.begin("token", "shop", NOW + KEPT + SECOND)
    assert history.disturbances("shop", NOW - DAY) == []


def test_figures_are_remembered_by_time(history: History) -> None:
    size = Figure("growth", "", "database", 7e9, "B")
    other = Figure("growth", "", "backups", 1e9, "B")
    history.remember_figures("second", "shop", NOW, [size._replace(value=8e9), other])
    history.remember_figures("first", "shop", NOW - DAY, [size])
    history.remember_figures("third", "another", NOW, [size])
    assert history.figures("shop", "growth", "database", NOW - DAY) == [(NOW - DAY, 7e9), (NOW, 8e9)]
    assert history.figures("shop", "growth", "database", NOW - DAY + SECOND) == [(NOW, 8e9)]
    assert history.figures("shop", "disk-space", "database", NOW - DAY) == []


def test_drills_are_remembered_with_their_receipts_latest_first(history: History) -> None:
    history.remember_drill("one", "shop", NOW - DAY, {"file": "a", "tables": [1, 2]}, proven=True)
    history.remember_drill("two", "shop", NOW, {"file": "b"}, proven=False)
    history.remember_drill("elsewhere", "another", NOW, {"file": "c"}, proven=True)
    assert history.drills("shop") == [(NOW, False, {"file": "b"}), (NOW - DAY, True, {"file": "a", "tables": [1, 2]})]


def test_a_role_was_last_used_when_it_was_last_seen_to_be(history: History) -> None:
    assert history.roles("shop") == {}
    history.remember_roles("shop", [RoleUse("app", NOW - DAY, 7), RoleUse("nightly", NOW - DAY, None)])
    history.remember_roles("other", [RoleUse("app", NOW, 900)])
    # A look that counts no statements forgets none; what a run of yesterday says late takes nothing back.
    history.remember_roles("shop", [RoleUse("app", NOW, None), RoleUse("nightly", NOW - 2 * DAY, 3)])
    assert history.roles("shop") == {"app": RoleUse("app", NOW, 7), "nightly": RoleUse("nightly", NOW - DAY, 3)}
    history.begin("token", "shop", NOW - DAY + KEPT + SECOND)
    assert set(history.roles("shop")) == {"app"}


def test_a_package_is_outdated_since_it_was_first_seen_to_be(history: History) -> None:
    history.remember_outdated("shop", "pip", ["Django", "six"], NOW - DAY)
    history.remember_outdated("shop", "npm", ["vite"], NOW - DAY)
    history.remember_outdated("shop", "pip", ["Django", "attrs"], NOW)
    assert history.outdated("shop", "pip") == {"Django": NOW - DAY, "attrs": NOW}
    history.remember_outdated("shop", "pip", [], NOW)
    assert history.outdated("shop", "pip") == {}
    assert history.outdated("shop", "npm") == {"vite": NOW - DAY}


# What is kept, and for how long -------------------------------------------------------------------------------------


def of_a_day(history: History, name: str, target: str, at: datetime) -> None:
    """What a run of that time writes of everything there is, under that name."""
    history.begin(name, target, at)
    history.end(name, at + SECOND)
    history.refused(name, name, at)
    history.remember_scanned(name, [name])
    looked(history, name, at, {Kind("ERROR", name): 1}, target)
    history.remember_matched(target, [name], at)
    history.remember_figures(name, target, at, [Figure("growth", name, "database", 1, "B")])
    history.remember_drill(name, target, at, {}, proven=True)
    history.remember_disturbances(target, [Disturbance(name, "recovery-drill", at, at + SECOND, 0, None, 0)])
    history.remember_roles(target, [RoleUse(name, at, 1)])


NOT_BY_AGE = {"outdated", "alert"}
"""What these say holds until it changes, however long ago it was first so."""
OF_THE_CHRONICLE = {"subject", "finished_run", "outcome", "latest_result"}


@pytest.mark.parametrize("kept", [KEPT, timedelta(days=100)])
def test_what_is_older_than_it_is_kept_is_deleted_everywhere_and_nothing_of_another_target(
    file: Path, kept: timedelta
) -> None:
    history = History(HistoryFile(file), kept)
    of_a_day(history, "old", "shop", NOW - kept - DAY)
    of_a_day(history, "another's", "other", NOW - kept - DAY)
    of_a_day(history, "young", "shop", NOW - kept + DAY)
    history.remember_outdated("shop", "pip", ["six"], NOW - kept - DAY)
    history.begin("today", "shop", NOW)
    with closing(sqlite3.connect(file)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in tables - NOT_BY_AGE - OF_THE_CHRONICLE:
            rows = [str(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608  its own name
            names = {name for name in ("'old'", '"another\'s"', "'young'") for row in rows if name in row}
            assert names == {'"another\'s"', "'young'"}, table
    assert history.outdated("shop", "pip") == {"six": NOW - kept - DAY}
