"""The history behind a fresh lab: rows, nights and logs."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import access_history, history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = dt.datetime(2026, 11, 23, 15, 30, tzinfo=dt.UTC)


@pytest.fixture
def berlin() -> Iterator[None]:
    """The host's zone for a test: one that changes its clocks."""
    kept = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if kept is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = kept
    time.tzset()


@given(st.lists(st.floats(min_value=0, max_value=364), min_size=1, max_size=8).map(sorted))
def test_spans_one_after_the_other_hold_every_row_once(days: list[float]) -> None:
    start = NOW - history.SPAN
    moments = [start, *(start + dt.timedelta(days=day) for day in days), NOW]
    spans = [history.rows_between(start, NOW, *pair) for pair in itertools.pairwise(moments)]
    for table, total in history.ROWS.items():
        bounds = [(int(span[f"from_{table}"]), int(span[f"to_{table}"])) for span in spans]
        assert bounds[0][0] == 1
        assert bounds[-1][1] == total
        assert all(last + 1 == first for (_, last), (first, _) in itertools.pairwise(bounds))


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "newest"),
    [("2026-11-23T15:30+01:00", "2026-11-23"), ("2026-11-23T01:59+01:00", "2026-11-22"),
     ("2026-10-25T12:00+01:00", "2026-10-25"), ("2026-03-29T12:00+02:00", "2026-03-29")],
)  # fmt: skip
def test_the_last_eight_nights_are_eight_dates_in_a_row(now: str, newest: str) -> None:
    nights = history.nights(dt.datetime.fromisoformat(now))
    dates = [night.date() for night in nights]
    assert str(dates[-1]) == newest
    assert [later - earlier for earlier, later in itertools.pairwise(dates)] == [dt.timedelta(days=1)] * 7
    assert nights[-1] <= dt.datetime.fromisoformat(now)


def test_a_password_is_hashed_as_django_does() -> None:
    algorithm, iterations, salt, digest = history.password_hash("open sesame").split("$")
    assert (algorithm, iterations, len(salt), len(digest)) == ("pbkdf2_sha256", "720000", 22, 44)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory: Path = tmp_path_factory.mktemp("logs")
    access_history.write(directory, NOW.astimezone(), "a.test")
    return directory


def test_ninety_days_are_rotated_as_logrotate_does(logs: Path) -> None:
    wanted = {"access.log", "access.log.1", *(f"access.log.{age}.gz" for age in range(2, 90))}
    assert {path.name for path in logs.glob("access.log*")} == wanted


def test_a_full_day_has_a_plausible_number_of_lines_all_of_that_day(logs: Path) -> None:
    lines = gzip.decompress((logs / "access.log.7.gz").read_bytes()).decode().splitlines()
    day = (NOW.astimezone() - dt.timedelta(days=7)).strftime("[%d/%b/%Y:")
    assert 1_500 <= len(lines) <= 3_000
    assert all(day in line for line in lines)


def test_the_current_file_ends_before_now(logs: Path) -> None:
    last = (logs / "access.log").read_text().splitlines()[-1]
    when = dt.datetime.strptime(last.partition("[")[2].partition("]")[0], "%d/%b/%Y:%H:%M:%S %z")
    assert when <= NOW


def test_server_errors_are_well_under_one_in_a_hundred_and_nobody_probes(logs: Path) -> None:
    text = (logs / "access.log").read_text() + (logs / "access.log.1").read_text()
    lines = text.splitlines()
    assert sum('" 5' in line for line in lines) < len(lines) / 200
    assert not any(probe in text for probe in (".php", ".jsp", "wp-"))


def test_the_same_seed_writes_the_same_logs(logs: Path, tmp_path: Path) -> None:
    access_history.write(tmp_path, NOW.astimezone(), "a.test")
    assert (tmp_path / "access.log").read_bytes() == (logs / "access.log").read_bytes()


def test_yesterdays_log_is_rotated_once(tmp_path: Path) -> None:
    access_history.write(tmp_path, NOW.astimezone(), "a.test")
    current, yesterday = (tmp_path / "access.log").read_bytes(), (tmp_path / "access.log.1").read_bytes()
    tomorrow = NOW.astimezone().date() + dt.timedelta(days=1)
    assert not access_history.rotate(tmp_path, NOW.astimezone().date())
    assert access_history.rotate(tmp_path, tomorrow)
    assert (tmp_path / "access.log.1").read_bytes() == current
    assert gzip.decompress((tmp_path / "access.log.2.gz").read_bytes()) == yesterday
    assert not (tmp_path / "access.log").exists()
    assert not access_history.rotate(tmp_path, tomorrow)
