"""Backups are found by what lies there, and their names' pattern is the one that the checks read them by."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover import dumps
from discover.dumps import find_dumps, pattern_of
from discover.sight import Here
from discover.stacks import Seen
from target.model import Backups

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = (
    "synk_backup_%Y%m%d_%H%M%S.sql.gz",
    "nightly-%Y-%m-%d.sql.gz",
    "db_%Y-%m-%d_%H-%M-%S.sql.gz",
    "%Y%m%d%H%M%S-app.dump.gz",
    "pg-%Y-%m-%dT%H:%M:%S.gz",
    "shop.%Y.%m.%d.sql.gz",
    "a2b_%Y%m%d-%H%M.sql.gz",
    "100%%-%Y_%m_%d.psql.gz",
)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_pattern_of_a_name_is_the_one_that_made_it(shape: str) -> None:
    at = datetime(2026, 11, 27, 2, 0, 5, tzinfo=UTC)
    assert pattern_of(at.strftime(shape)) == shape
    Backups(pattern=shape)


@given(at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)), shape=st.sampled_from(SHAPES))  # noqa: DTZ001
def test_whatever_the_time_the_pattern_reads_it_back(at: datetime, shape: str) -> None:
    name = at.strftime(shape)
    assert datetime.strptime(name, pattern_of(name)) == datetime.strptime(name, shape)  # noqa: DTZ007


@given(name=st.text(max_size=40))
def test_any_name_has_a_pattern_that_the_settings_take_or_none(name: str) -> None:
    pattern = pattern_of(name + ".gz")
    if pattern and "/" not in name and "\0" not in name:
        Backups(pattern=pattern)


@pytest.mark.parametrize("name", ["db.sql.gz", "db_20261327.sql.gz", "db_20261127.sql", "access.log-20261126", "1.gz"])
def test_a_name_without_a_date_or_of_nothing_compressed_has_none(name: str) -> None:
    assert not pattern_of(name)


def lay(directory: Path, shape: str, nights: int, at: datetime, late: timedelta = timedelta(minutes=1)) -> None:
    """Dumps of so many nights up to a time, each written a while after the time in its name."""
    directory.mkdir(parents=True, exist_ok=True)
    for night in range(nights):
        named = at - timedelta(days=night)
        file = directory / named.strftime(shape)
        file.write_bytes(b"x")
        os.utime(file, ((named + late).timestamp(),) * 2)


NOW = datetime.now(UTC)


@pytest.mark.parametrize("place", ["srv/app/backups", "srv/app/data/dumps", "srv/backups", "var/dumps"])
def test_they_are_found_in_and_around_the_project(tmp_path: Path, place: str) -> None:
    (tmp_path / "srv" / "app").mkdir(parents=True)
    lay(tmp_path / place, SHAPES[0], 5, NOW)
    found = find_dumps(Here(), str(tmp_path / "srv" / "app"), (), "UTC").found
    assert [(one.directory, one.files) for one in found] == [(str(tmp_path / place), 5)]


def test_they_are_found_where_a_script_or_a_mount_says(tmp_path: Path) -> None:
    app, far, kept = tmp_path / "one" / "two" / "three" / "app", tmp_path / "a" / "b" / "c" / "far", tmp_path / "kept"
    app.mkdir(parents=True)
    (app / "nightly.sh").write_text(f"pg_dump shop | gzip > {far}/shop.gz\n")
    lay(far, SHAPES[1], 3, NOW)
    (found,) = find_dumps(Here(), str(app), (), "UTC").found
    assert (found.directory, found.pattern, found.why) == (str(far), SHAPES[1], f"{app}/nightly.sh names it")
    lay(kept, SHAPES[1], 3, NOW)
    backup = Seen("", "x", "backup", "x", "x", running=True, mounts={"/backups": str(kept)})
    (app / "nightly.sh").unlink()
    (found,) = find_dumps(Here(), str(app), (backup,), "UTC").found
    assert (found.directory, found.why) == (str(kept), "backup mounts it at /backups")


def test_what_makes_them_is_the_script_that_dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "_OF_SYSTEM", ())
    app = tmp_path / "my app"
    (app / "scripts").mkdir(parents=True)
    assert find_dumps(Here(), str(app), (), "UTC").command == ""
    (app / "deploy.sh").write_text("# after the pg_dump of the night\ndocker compose up -d\n")
    (app / "pg_dumpster.sh").write_text("echo pg_dumpster\n")
    assert find_dumps(Here(), str(app), (), "UTC").command == ""
    nightly = app / "scripts" / "nightly.sh"
    nightly.write_text("set -e\ndocker compose exec -T db pg_dump shop | gzip > /far/shop.gz\n")
    assert find_dumps(Here(), str(app), (), "UTC").command == f"sh '{nightly}'"
    nightly.write_text("#!/usr/bin/env bash\n" + nightly.read_text())
    assert find_dumps(Here(), str(app), (), "UTC").command == f"bash '{nightly}'"
    nightly.chmod(0o755)
    assert find_dumps(Here(), str(app), (), "UTC").command == f"'{nightly}'"
    (app / "backup.sh").write_text("pg_dumpall | gzip > x.gz\n")
    (app / "backup.sh").chmod(0o755)
    assert find_dumps(Here(), str(app), (), "UTC").command == f"'{app}/backup.sh'"


def test_of_two_directories_the_newest_dumps_count(tmp_path: Path) -> None:
    app = tmp_path / "srv" / "app"
    lay(app / "backups", SHAPES[0], 30, NOW - timedelta(days=40))
    lay(tmp_path / "srv" / "dumps", SHAPES[1], 3, NOW)
    first, second = find_dumps(Here(), str(app), (), "UTC").found
    assert (first.directory, second.directory) == (str(tmp_path / "srv" / "dumps"), str(app / "backups"))


def test_of_two_kinds_of_names_the_one_in_use_counts_and_the_rest_is_said(tmp_path: Path) -> None:
    lay(tmp_path / "backups", SHAPES[0], 4, NOW)
    lay(tmp_path / "backups", SHAPES[1], 9, NOW - timedelta(days=60))
    (tmp_path / "backups" / "backup.log").write_text("x")
    (found,) = find_dumps(Here(), str(tmp_path), (), "UTC").found
    assert (found.pattern, found.files, found.others) == (SHAPES[0], 4, 10)


def test_times_of_utc_in_the_names_are_told_from_the_hosts(tmp_path: Path) -> None:
    lay(tmp_path / "utc" / "backups", SHAPES[0], 5, NOW)
    (found,) = find_dumps(Here(), str(tmp_path / "utc"), (), "Asia/Tokyo").found
    assert found.utc
    (found,) = find_dumps(Here(), str(tmp_path / "utc"), (), "Etc/UTC").found
    assert not found.utc


def test_where_there_are_none_it_is_said_how_many_directories_were_looked_into(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "readme.txt").write_text("x")
    looked = find_dumps(Here(), str(tmp_path / "backups" / "x"), (), "UTC")
    assert not looked.found
    assert looked.directories > 3
