"""The backups, by the time in their names, held against when their files were written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures.parameters import days_with_a_backup
from observe.backups import Backup, Listing, compile_pattern, days_before, list_backups, sort_out
from observe.errors import CannotTell
from observe.host import Host
from proofs.harness import ROOT
from proofs.users import nobody
from report.plugin import pytest_configure_node
from report.run import RUN, Run, make_run

if TYPE_CHECKING:
    from collections.abc import Iterable

PATTERN = "synk_backup_%Y%m%d_%H%M%S.sql.gz"
DAILY = "nightly-%Y-%m-%d.sql.gz"
VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=VIENNA)
MIB = 1024**2
HERE = Path("/srv/synk/backups")
ZONES = st.sampled_from(["UTC", "Europe/Vienna", "America/New_York", "Pacific/Apia", "Asia/Kolkata"]).map(ZoneInfo)
MOMENTS = st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def named(at: datetime) -> str:
    return at.strftime(PATTERN)


def listing(*ages: float, size: int = 10 * MIB, written: float | None = None) -> Listing:
    """Backups of so many hours ago, each written a minute after its name's time (or so many hours ago)."""
    times = [NOW - timedelta(hours=hours) for hours in ages]
    modified = [at + timedelta(minutes=1) if written is None else NOW - timedelta(hours=written) for at in times]
    entries = [(named(at), size, wrote.timestamp()) for at, wrote in zip(times, modified, strict=True)]
    return sort_out(HERE, entries, PATTERN, VIENNA)


def test_the_newest_is_the_newest_by_its_name() -> None:
    seen = listing(31, 7, 55)
    assert seen.backups[0].name == named(NOW - timedelta(hours=7))
    assert seen.the_newest() is seen.backups[0]
    assert seen.freshness(NOW).said == "7 h old"


def test_what_is_no_backup_is_not_taken_for_one() -> None:
    good = "synk_backup_20261123_020000.sql.gz"
    others = [
        "backup.log",
        f"{good}.partial",
        f".{good}",
        f"{good}\n",
        f"x{good}",
        "synk_backup_20261131_020000.sql.gz",
        "synk_backup_20261123_250000.sql.gz",
        "synk_backup_2026112_020000.sql.gz",
        "synk_backup_00010101_000000.sql.gz",
        "synk_backup_٢٠٢٦١١٢٣_020000.sql.gz",
        "synk_backup_20261123_020000Xsql.gz",
    ]
    seen = sort_out(HERE, [(name, 1, 0.0) for name in [good, *others]], PATTERN, VIENNA)
    assert [one.name for one in seen.backups] == [good]
    assert set(seen.others) == set(others)
    assert seen.looked_at == f"1 backup and {len(others)} other files in {HERE}"


def test_the_denominator_is_said_in_words() -> None:
    assert sort_out(HERE, [], PATTERN, UTC).looked_at == f"0 backups in {HERE}"
    assert sort_out(HERE, [("backup.log", 1, 0.0)], PATTERN, UTC).looked_at == f"0 backups and 1 other file in {HERE}"


def test_no_backup_at_all_is_no_age() -> None:
    fresh = listing().freshness(NOW)
    assert (fresh.age, fresh.name, fresh.said) == (None, str(HERE), "no backup at all")
    with pytest.raises(CannotTell, match="there is no backup in"):
        listing().the_newest()


def test_a_name_in_the_future_is_a_lie() -> None:
    fresh = listing(-2, 7).freshness(NOW)
    assert fresh.lie
    assert fresh.said.startswith("its name lies 2 h in the future")


def test_a_file_that_is_older_than_its_name_is_a_lie() -> None:
    fresh = listing(7, written=72).freshness(NOW)
    assert fresh.lie
    assert "last written 65 h before that" in fresh.said


def test_a_copy_that_touched_its_time_is_no_lie() -> None:
    assert not listing(7, written=0).freshness(NOW).lie


def test_a_dump_may_be_named_a_little_before_it_is_written() -> None:
    assert not listing(7, written=7 + 4 / 60).freshness(NOW).lie
    assert listing(7, written=7 + 6 / 60).freshness(NOW).lie


@given(at=MOMENTS, later=st.integers(0, 10**9), zone=ZONES)
@example(at=datetime(2026, 10, 24, 22, 0, tzinfo=UTC), later=90_000, zone=VIENNA)
@example(at=datetime(2026, 3, 28, 22, 0, tzinfo=UTC), later=90_000, zone=VIENNA)
def test_an_age_is_the_time_that_passed_across_a_change_of_clocks(at: datetime, later: int, zone: ZoneInfo) -> None:
    backup = Backup("x", at.astimezone(zone), 1, (at + timedelta(minutes=1)).astimezone(zone))
    assert backup.age((at + timedelta(seconds=later)).astimezone(zone)) == timedelta(seconds=later)
    assert backup.misnamed_by is None


@given(at=MOMENTS, zone=ZONES)
def test_a_time_is_found_again_in_the_name_it_was_written_into(at: datetime, zone: ZoneInfo) -> None:
    local = at.astimezone(zone)
    seen = sort_out(HERE, [(named(local), 1, at.timestamp())], PATTERN, zone)
    (backup,) = seen.backups
    # An hour that comes twice has one name for both.
    assert abs(backup.at - at) in {timedelta(0), timedelta(hours=1)}
    assert backup.at.replace(tzinfo=None) == local.replace(tzinfo=None)


NAMES = st.from_regex(compile_pattern(PATTERN), fullmatch=True)


@given(names=st.lists(st.text(max_size=60) | NAMES, max_size=5), zone=ZONES)
@example(
    names=["synk_backup_00010101_000000.sql.gz", "synk_backup_99991231_235959.sql.gz"], zone=ZoneInfo("Asia/Tokyo")
)
@example(names=["synk_backup_99991231_235959.sql.gz"], zone=ZoneInfo("America/New_York"))
def test_any_name_is_a_backup_or_another_file(names: list[str], zone: ZoneInfo) -> None:
    seen = sort_out(HERE, [(name, 1, 0.0) for name in names], PATTERN, zone)
    assert len(seen.backups) + len(seen.others) == len(names)
    assert list(seen.backups) == sorted(seen.backups, key=lambda one: one.at.timestamp(), reverse=True)
    seen.freshness(NOW)
    seen.rows(NOW)


@given(modified=st.floats(allow_nan=False))
@example(modified=1e18)
@example(modified=-1e18)
def test_any_time_of_writing_can_be_shown(modified: float) -> None:
    sort_out(HERE, [("synk_backup_20261123_020000.sql.gz", 1, modified)], PATTERN, VIENNA).freshness(NOW)


@pytest.mark.parametrize(
    ("pattern", "name", "at"),
    [
        ("%Y-%m-%d.dump", "2026-11-23.dump", datetime(2026, 11, 23, tzinfo=VIENNA)),
        ("100%%-%Y%m%d", "100%-20261123", datetime(2026, 11, 23, tzinfo=VIENNA)),
        ("%Y/%Y%m%d".replace("/", "_"), "2026_20261123", datetime(2026, 11, 23, tzinfo=VIENNA)),
        ("(a+)%Y%m%d[1].gz", "(a+)20261123[1].gz", datetime(2026, 11, 23, tzinfo=VIENNA)),
    ],
)
def test_any_pattern_of_strftime_is_read(pattern: str, name: str, at: datetime) -> None:
    seen = sort_out(HERE, [(name, 1, 0.0)], pattern, VIENNA)
    assert [one.at for one in seen.backups] == [at]


@pytest.mark.parametrize(
    ("written", "at"),
    [
        (datetime(2026, 11, 23, 2, 1, tzinfo=VIENNA), datetime(2026, 11, 23, 2, 1, tzinfo=VIENNA)),
        (datetime(2026, 11, 24, 0, 20, tzinfo=VIENNA), datetime(2026, 11, 23, 23, 59, 59, tzinfo=VIENNA)),
        (datetime(2026, 11, 20, 2, 1, tzinfo=VIENNA), datetime(2026, 11, 23, tzinfo=VIENNA)),
    ],
    ids=["that-night", "past-midnight", "days-before"],
)
def test_a_day_without_a_time_is_as_old_as_its_file_within_that_day(written: datetime, at: datetime) -> None:
    (one,) = sort_out(HERE, [("nightly-2026-11-23.sql.gz", 1, written.timestamp())], DAILY, VIENNA).backups
    assert one.at == at


def test_last_nights_backup_is_fresh_until_the_next_though_its_name_has_no_time() -> None:
    written = datetime(2026, 11, 23, 2, 1, tzinfo=VIENNA)
    seen = sort_out(HERE, [("nightly-2026-11-23.sql.gz", 1, written.timestamp())], DAILY, VIENNA)
    fresh = seen.freshness(datetime(2026, 11, 24, 1, 30, tzinfo=VIENNA))
    assert fresh.age == timedelta(hours=23, minutes=29)
    assert not fresh.lie


def test_a_file_that_was_written_days_before_the_day_in_its_name_is_still_a_lie() -> None:
    written = datetime(2026, 11, 20, 2, 1, tzinfo=VIENNA)
    seen = sort_out(HERE, [("nightly-2026-11-23.sql.gz", 1, written.timestamp())], DAILY, VIENNA)
    assert seen.freshness(datetime(2026, 11, 23, 9, tzinfo=VIENNA)).lie


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Pacific/Honolulu"), VIENNA], ids=str)
def test_the_last_day_of_the_calendar_can_be_in_a_name(zone: tzinfo) -> None:
    seen = sort_out(HERE, [("nightly-9999-12-30.sql.gz", 1, 0.0), ("nightly-9999-12-31.sql.gz", 1, 0.0)], DAILY, zone)
    assert len(seen.backups) + len(seen.others) == 2


def test_a_year_that_stands_twice_must_be_the_same_twice() -> None:
    assert not sort_out(HERE, [("2025_20261123", 1, 0.0)], "%Y_%Y%m%d", VIENNA).backups


def test_the_usual_size_is_the_median_of_the_last_seven() -> None:
    entries = [
        (named(NOW - timedelta(days=day)), size * MIB, 0.0) for day, size in enumerate([1, 9, 10, 11, 12, 13, 14, 500])
    ]
    usual = sort_out(HERE, entries, PATTERN, VIENNA).usual()
    assert (usual.size, usual.of, usual.weight) == (11 * MIB, 7, "11 MiB")


def test_two_backups_are_too_few_to_compare_with() -> None:
    with pytest.raises(CannotTell, match="2 of at least 3 backups"):
        listing(7, 31).usual()


def test_empty_backups_have_a_usual_size_that_can_be_divided_by() -> None:
    assert listing(7, 31, 55, size=0).usual().size == 1


def test_the_rows_are_the_last_eight() -> None:
    rows = listing(*range(1, 20)).rows(NOW)
    assert len(rows) == 8
    assert rows[0]["age by its name"] == "60 min"
    assert rows[0]["size"] == "10 MiB"


# Days ---------------------------------------------------------------------------------------------------------------

BERLIN, NEW_YORK, SANTIAGO, KATHMANDU = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Kathmandu")
)
CHANGES = [
    (BERLIN, date(2026, 3, 29)),
    (BERLIN, date(2026, 10, 25)),
    (NEW_YORK, date(2026, 3, 8)),
    (NEW_YORK, date(2026, 11, 1)),
    (SANTIAGO, date(2026, 4, 5)),  # the hour before this midnight comes twice
    (SANTIAGO, date(2026, 9, 6)),  # has no midnight
    (KATHMANDU, date(2026, 3, 29)),
]


def nightly(days: Iterable[date], at: time, zone: ZoneInfo) -> Listing:
    """A backup of each day, by the clock on the wall."""
    entries = [(named(datetime.combine(day, at)), 10 * MIB, 0.0) for day in days]
    return sort_out(HERE, entries, PATTERN, zone)


@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=str)
def test_days_are_calendar_days_across_a_change_of_clocks(zone: ZoneInfo, change: date) -> None:
    midnight = datetime.combine(change, time(), zone).astimezone(UTC)
    quarters = [midnight + timedelta(minutes=15 * number) for number in range(-4 * 36, 4 * 36)]
    for now in (quarter.astimezone(zone) for quarter in quarters):
        today = now.replace(tzinfo=None).date()
        days = days_before(now, 7)
        assert days == tuple(today - timedelta(days=ago) for ago in range(1, 8))
        assert days_before(now, 3) == days[:3]


@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=str)
@pytest.mark.parametrize("at", [time(0), time(0, 30), time(2), time(2, 30), time(23, 30), time(23, 59, 59)], ids=str)
def test_each_day_has_the_backup_that_is_named_after_it(zone: ZoneInfo, change: date, at: time) -> None:
    days = [change + timedelta(days=number) for number in range(-4, 5)]
    seen = nightly(days, at, zone)
    for day in days:
        assert [one.name for one in seen.of_day(day)] == [named(datetime.combine(day, at))]


def test_a_day_ago_is_not_24_hours_ago() -> None:
    now = datetime(2026, 3, 30, 0, 30, tzinfo=BERLIN)
    assert (now.astimezone(UTC) - timedelta(hours=24)).astimezone(BERLIN).date() == date(2026, 3, 28)
    assert days_before(now, 1) == (date(2026, 3, 29),)


@given(at=MOMENTS, zone=ZONES, missing=st.sets(st.integers(1, 7)), twice=st.sets(st.integers(1, 7)))
def test_the_missing_days_are_found_and_no_others(
    at: datetime, zone: ZoneInfo, missing: set[int], twice: set[int]
) -> None:
    now = at.astimezone(zone)
    there = [now.date() - timedelta(days=ago) for ago in range(9) if ago not in missing]
    entries = [(named(datetime.combine(day, time(2))), 1, 0.0) for day in there]
    entries += [(named(datetime.combine(day, time(14))), 1, 0.0) for day in there if (now.date() - day).days in twice]
    seen = sort_out(HERE, entries, PATTERN, zone)
    days = days_before(now, 7)
    assert {number for number, day in enumerate(days, 1) if not seen.of_day(day)} == missing
    for number in twice - missing:
        assert [one.at.hour for one in seen.of_day(days[number - 1])] == [14, 2]


def test_a_day_says_what_there_is_of_it() -> None:
    seen = nightly([date(2026, 11, 19), date(2026, 11, 21)], time(2), VIENNA)
    assert seen.said_of(date(2026, 11, 19)) == "synk_backup_20261119_020000.sql.gz (10 MiB)"
    assert seen.said_of(date(2026, 11, 20)) == "none of 2026-11-20; 1 of 2026-11-19, 1 of 2026-11-21"
    rows = seen.rows_around(date(2026, 11, 20))
    assert [row["day"] for row in rows] == [f"2026-11-{day}" for day in range(21, 14, -1)]
    assert [row["backups"] for row in rows] == ["1", "0", "1", "0", "0", "0", "0"]


def test_a_day_with_many_says_three_and_how_many_more() -> None:
    seen = sort_out(HERE, [(named(NOW - timedelta(hours=hour)), 1, 0.0) for hour in range(9)], PATTERN, VIENNA)
    assert seen.said_of(NOW.date()).endswith("synk_backup_20261123_070000.sql.gz (1 B) and 6 more")


def test_days_in_a_row_without_a_backup_have_one_cause() -> None:
    seen = nightly([date(2026, 11, 15), date(2026, 11, 18)], time(2), VIENNA)
    causes = [seen.gap_at(date(2026, 11, day)) for day in (16, 17, 19, 20)]
    assert causes[0] == causes[1]
    assert causes[2] == causes[3]
    assert causes[0] != causes[2]
    assert seen.gap_at(date(2026, 11, 10)) == "backups"


def test_the_last_of_a_day_is_missed_by_name_and_not_by_size() -> None:
    seen = sort_out(HERE, [(named(NOW - timedelta(hours=hour)), 1, 0.0) for hour in (1, 2, 30)], PATTERN, VIENNA)
    assert seen.the_last_of(NOW.date()).at == NOW - timedelta(hours=1)
    with pytest.raises(CannotTell, match=r"no backup of 2026-11-21 in .*backups-daily") as raised:
        seen.the_last_of(date(2026, 11, 21))
    assert raised.value.cause == seen.gap_at(date(2026, 11, 21))


# The items ----------------------------------------------------------------------------------------------------------

TARGET = """
name = "nowhere"
[project]
name = "nowhere"
directory = "/nowhere"
[host]
zone = "America/New_York"
[backups]
zone = "Asia/Kathmandu"
[limits]
backup_days = 3
"""
EVENING = "2026-11-22T20:00"
"""In New York; in Kathmandu it is the morning of the 23rd."""


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    file = tmp_path / "target.toml"
    file.write_text(TARGET, encoding="utf-8")
    return file


def started(target: Path, now: str = "", **workers: str) -> Run:
    """A run as pytest's options and xdist's worker make it."""
    options = {"target": [str(target)], "now": now, "markexpr": "weekly"}
    config = SimpleNamespace(
        getoption=options.get, rootpath=ROOT, invocation_params=SimpleNamespace(dir=ROOT), workerinput=workers
    )
    return make_run(cast("pytest.Config", config))


def test_the_days_are_those_of_the_backups_zone_before_the_run_began(nowhere: Path) -> None:
    days = days_with_a_backup(started(nowhere, EVENING))
    assert days == (date(2026, 11, 22), date(2026, 11, 21), date(2026, 11, 20))


def test_a_worker_that_starts_after_midnight_has_the_same_days(nowhere: Path) -> None:
    controller = started(nowhere)
    controller.begun = True  # nothing is to be written down
    node = SimpleNamespace(config=SimpleNamespace(stash={RUN: controller}), workerinput={})
    pytest_configure_node(node)
    controller_days, worker = days_with_a_backup(controller), started(nowhere, **node.workerinput)
    assert (worker.started, worker.token) == (controller.started, controller.token)
    assert days_with_a_backup(worker) == controller_days
    late = started(nowhere, ops_token="x", ops_started="2026-11-22T18:14:59+00:00")  # noqa: S106  no password
    assert days_with_a_backup(late)[0] == date(2026, 11, 21), "a second before Kathmandu's midnight"


def test_the_days_are_ids_and_collecting_them_connects_to_nothing(nowhere: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", "-m", "monday"]
    command += ["--target", str(nowhere), "--now", EVENING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    found = re.findall(r"test_day_has_a_backup\[(.*)\]", done.stdout)
    assert found == ["2026-11-22", "2026-11-21", "2026-11-20"]


# A real directory ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host() -> Host:
    return Host("local://", 5)


def test_a_real_directory_is_listed_with_its_sizes_and_times(host: Host, tmp_path: Path) -> None:
    name = named(NOW - timedelta(hours=7))
    (tmp_path / name).write_bytes(b"x" * 4321)
    written = (NOW - timedelta(hours=6.5)).timestamp()
    os.utime(tmp_path / name, (written, written))
    (tmp_path / "backup.log").write_text("fine", encoding="utf-8")
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / named(NOW - timedelta(hours=1))).write_bytes(b"")
    (tmp_path / named(NOW - timedelta(hours=2))).mkdir()
    seen = list_backups(host, tmp_path, PATTERN, VIENNA)
    assert [(one.name, one.size, one.modified.timestamp()) for one in seen.backups] == [(name, 4321, written)]
    assert seen.others == ("backup.log",)


def test_names_of_any_bytes_do_no_harm(host: Host, tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path / "a b 'c' $(touch x) \n;d")
    Path(os.fsdecode(directory)).mkdir()
    for name in (
        b"new\nline\ttab",
        b"\xff\xfe",
        b"-delete",
        b"'; touch x",
        "ä".encode(),
        b"synk_backup_20261123_020000.sql.gz",
    ):
        with open(directory + b"/" + name, "wb"):  # noqa: PTH123  bytes that are no text
            pass
    seen = list_backups(host, Path(os.fsdecode(directory)), PATTERN, VIENNA)
    assert len(seen.backups) == 1
    assert len(seen.others) == 5
    assert len(list(Path(os.fsdecode(directory)).iterdir())) == 6


def test_a_link_to_a_directory_and_to_a_backup_is_followed(host: Host, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "dump").write_bytes(b"x" * 9)
    (tmp_path / "real" / named(NOW)).symlink_to(tmp_path / "dump")
    (tmp_path / "real" / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [one.size for one in list_backups(host, tmp_path / "link", PATTERN, VIENNA).backups] == [9]


@pytest.mark.parametrize(("place", "why"), [("gone", "no such file or directory"), ("file", "not a directory")])
def test_a_directory_that_isnt_there_is_not_an_empty_one(host: Host, tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CannotTell, match=f"{place} can't be read: {why}") as raised:
        list_backups(host, tmp_path / place, PATTERN, VIENNA)
    assert raised.value.cause == "backups"
    assert "backups.directory" in raised.value.mend


def test_a_directory_that_may_not_be_read_is_not_an_empty_one(host: Host, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    host.run("df")  # what testinfra imports must not wait for somebody without rights
    with nobody(), pytest.raises(CannotTell, match="can't be read: permission denied"):
        list_backups(host, tmp_path / "closed", PATTERN, VIENNA)
