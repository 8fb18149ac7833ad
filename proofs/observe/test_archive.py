"""The backups as a whole: what should be gone, what takes room, and what must have a copy elsewhere."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from observe.archive import GRACE, Archive, Pile, copy_where_due, looks_like, pile
from observe.errors import CannotTell
from observe.filesystems import FileSystem, Usage
from observe.host import Host
from observe.off_site import Copy

if TYPE_CHECKING:
    from pathlib import Path

    from observe.backups import Backup

PATTERN = "synk_backup_%Y%m%d_%H%M%S.sql.gz"
VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=VIENNA)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
KEPT = timedelta(days=30)


def write(directory: Path, name: str, at: datetime, size: int = 100) -> None:
    file = directory / name
    file.write_bytes(bytes(size))
    os.utime(file, (at.timestamp(), at.timestamp()))


def backup(directory: Path, age: timedelta, size: int = 100) -> str:
    at = (NOW.astimezone(UTC) - age).astimezone(VIENNA)
    name = at.strftime(PATTERN)
    write(directory, name, at, size)
    return name


def look(directory: Path) -> Pile:
    return pile(Host("local://", 5), directory, PATTERN, VIENNA)


def disk(size: int) -> FileSystem:
    return FileSystem("backups", "/srv", "/dev/sda1", "/", Usage(size, 0, size, None), Usage(0, 0, 0, None))


def archive(seen: Pile, size: int = 10**6, bucket: str = "", copy: Copy | CannotTell | None = None) -> Archive:
    return Archive(seen, NOW, KEPT, 0.25, disk(size), bucket, copy)


def test_a_backup_may_stand_until_the_night_that_deletes_it(tmp_path: Path) -> None:
    backup(tmp_path, DAY)
    backup(tmp_path, KEPT + GRACE)
    assert archive(look(tmp_path)).holds
    forgotten = backup(tmp_path, KEPT + GRACE + SECOND)
    seen = archive(look(tmp_path))
    assert [one.name for one in seen.old] == [forgotten]
    assert not seen.holds
    assert seen.said.startswith(f"1 should be gone, the oldest, {forgotten} is 32 d 1 s old; together 300 B")
    assert seen.rows()[0]["file"] == forgotten
    assert seen.rows()[0][""] == "should be gone"


def test_a_backup_is_as_old_as_its_name_says_whenever_it_was_written(tmp_path: Path) -> None:
    backup(tmp_path, DAY)
    write(tmp_path, (NOW - 40 * DAY).strftime(PATTERN), NOW)
    assert len(archive(look(tmp_path)).old) == 1


def test_the_age_is_right_across_a_change_of_clocks(tmp_path: Path) -> None:
    at, noon = datetime(2026, 10, 24, 12, 0, tzinfo=VIENNA), datetime(2026, 10, 25, 12, 0, tzinfo=VIENNA)
    write(tmp_path, at.strftime(PATTERN), at)
    seen, hours = look(tmp_path), timedelta(hours=25)
    assert seen.older_than(hours - SECOND, noon)
    assert not seen.older_than(hours, noon)


def test_all_that_looks_like_a_backup_takes_room(tmp_path: Path) -> None:
    name = backup(tmp_path, DAY, 1000)
    for other in (f"{name}.partial", f".{name}.Xa81", "synk_backup_20261123_020000.sql", "synk_backup_before_move.gz"):
        write(tmp_path, other, NOW - DAY, 100)
    for other in ("backup.log", "notes-on-synk_backup_.txt"):
        write(tmp_path, other, NOW - 100 * DAY, 10_000)
    (tmp_path / "synk_backup_old").mkdir()
    seen = look(tmp_path)
    assert seen.size == 1400
    assert [one.name for one in seen.held if one.whole] == [name]
    assert archive(seen).holds


def test_a_partial_file_that_was_left_lying_should_be_gone_as_well(tmp_path: Path) -> None:
    backup(tmp_path, DAY)
    write(tmp_path, "synk_backup_20260101_020000.sql.gz.partial", NOW - 300 * DAY)
    assert [one.name for one in archive(look(tmp_path)).old] == ["synk_backup_20260101_020000.sql.gz.partial"]


def test_another_name_for_a_backup_takes_no_room(tmp_path: Path) -> None:
    name = backup(tmp_path, DAY, 1000)
    (tmp_path / "synk_backup_latest.sql.gz").symlink_to(name)
    os.link(tmp_path / name, tmp_path / "synk_backup_weekly.sql.gz")
    assert look(tmp_path).size == 1000


@pytest.mark.parametrize("name", ["a\tb", "x\ny", "ü", "\udcff"])
def test_names_of_whatever_bytes_break_nothing(tmp_path: Path, name: str) -> None:
    backup(tmp_path, DAY)
    write(tmp_path, f"synk_backup_{name}", NOW, 11)
    assert look(tmp_path).size == 111


@pytest.mark.parametrize(("size", "holds"), [(400, True), (399, False)])
def test_all_together_may_take_a_quarter_to_the_byte(tmp_path: Path, size: int, *, holds: bool) -> None:
    backup(tmp_path, DAY, 60)
    backup(tmp_path, 2 * DAY, 40)
    seen = archive(look(tmp_path), size)
    assert seen.holds is holds
    assert seen.said.startswith("the oldest" if holds else "together 100 B, 25.06 % of their disk")


def test_a_disk_without_a_size_tells_nothing(tmp_path: Path) -> None:
    backup(tmp_path, DAY)
    with pytest.raises(CannotTell, match="no size"):
        _ = archive(look(tmp_path), 0).holds


def test_no_backup_at_all_is_not_a_pass(tmp_path: Path) -> None:
    write(tmp_path, "synk_backup_20261123_020000.sql.gz.partial", NOW)
    with pytest.raises(CannotTell, match="there is no backup") as no:
        look(tmp_path)
    assert no.value.cause == "backups"


def test_a_directory_that_is_not_there_is_not_empty(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="can't be read"):
        look(tmp_path / "gone")


def test_a_pattern_that_begins_with_its_time_has_no_beginning() -> None:
    alike = looks_like("%Y-%m-%d.dump")
    assert alike("2026-11-23.dump.partial")
    assert not alike("2026-11-23.txt")
    assert not alike("")


# The copy ------------------------------------------------------------------------------------------------------------


def has_copy(one: Backup) -> Copy:
    return Copy(one, f"s3://copies/{one.name}", "", "its size")


def no_answer(_: Backup) -> Copy:
    raise CannotTell("nobody answered")


def test_the_newest_that_is_old_enough_must_have_a_copy(tmp_path: Path) -> None:
    backup(tmp_path, -DAY)
    backup(tmp_path, DAY)
    due = backup(tmp_path, DAY + SECOND)
    backup(tmp_path, 2 * DAY)
    seen = copy_where_due(look(tmp_path), DAY, NOW, has_copy)
    assert isinstance(seen, Copy)
    assert seen.backup.name == due


def test_where_none_is_old_enough_none_is_looked_for(tmp_path: Path) -> None:
    backup(tmp_path, DAY)
    assert copy_where_due(look(tmp_path), DAY, NOW, no_answer) is None
    assert "no backup is so old" in archive(look(tmp_path), bucket="copies").notes[1]


def test_where_there_is_no_place_for_copies_it_is_said_how_to_name_one(tmp_path: Path) -> None:
    backup(tmp_path, 2 * DAY)
    assert copy_where_due(look(tmp_path), DAY, NOW, None) is None
    seen = archive(look(tmp_path))
    assert seen.holds
    assert "[offsite]" in seen.notes[1]
    assert "off site" not in seen.wanted("25 %", "24 h")
    seen.must_see()


def test_what_is_broken_here_outweighs_a_store_that_is_silent(tmp_path: Path) -> None:
    backup(tmp_path, 2 * DAY)
    seen = look(tmp_path)
    unknown = copy_where_due(seen, DAY, NOW, no_answer)
    well = archive(seen, bucket="copies", copy=unknown)
    assert well.holds
    assert "can't be told: nobody answered" in well.said
    with pytest.raises(CannotTell, match="nobody answered"):
        well.must_see()
    assert not archive(seen, 100, bucket="copies", copy=unknown).holds


def test_a_missing_copy_is_broken_and_said_first(tmp_path: Path) -> None:
    backup(tmp_path, 2 * DAY)
    seen = look(tmp_path)
    missing = Copy(seen.backups[0], "s3://copies/x", "no copy of it")
    broken = archive(seen, bucket="copies", copy=missing)
    assert not broken.holds
    assert broken.said.startswith("no copy of it; ")
    assert "off site a copy of the newest that is older than 24 h" in broken.wanted("25 %", "24 h")
    assert broken.copy_rows()[0]["outcome"] == "no copy of it"
