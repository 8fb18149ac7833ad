"""Every file that a window needs is read, once and whole, whatever happens to the files meanwhile."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

import pytest

from observe.access_log import read_window
from observe.errors import CannotTell
from observe.rotated_log import FileEntry, LocalFiles
from proofs.observe.access_lines import AT, log_of, numbers, pack, spread, window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePath


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """A log of four days: two plain files and two packed ones, 100 lines a day."""
    for day, name in enumerate(["access.log", "access.log.1", "access.log.2", "access.log.3"]):
        log = tmp_path / name
        log.write_bytes(log_of(spread(24 * (day + 1), 24 * day, 100), first=100 * (3 - day)))
        if day > 1:
            pack(log)
    (tmp_path / "admin_access.log").write_bytes(log_of([1]))
    (tmp_path / "access.log.bak").write_bytes(log_of([1]))
    (tmp_path / "access.logs").mkdir()
    return tmp_path / "access.log"


@pytest.mark.parametrize(
    ("hours", "files"),
    [
        (2, ["access.log"]),
        (30, ["access.log", "access.log.1"]),
        (49, ["access.log", "access.log.1", "access.log.2.gz"]),
        (1000, ["access.log", "access.log.1", "access.log.2.gz", "access.log.3.gz"]),
    ],
)
def test_a_window_is_read_from_as_many_files_as_it_takes(rotated: Path, hours: int, files: list[str]) -> None:
    reading = window(rotated, hours)
    wanted = [number for number in range(400) if (400 - number) * 0.24 <= hours]
    assert numbers(reading) == wanted
    assert reading.files == files
    assert (reading.lines, reading.unparsed) == (len(wanted), 0)
    assert reading.earliest == AT - timedelta(hours=24 * len(files))


@pytest.mark.parametrize(
    "names",
    [
        ["access.log-20261122", "access.log-20261121.gz", "access.log-20261120.gz"],
        ["access.log.2026-11-22", "access.log.2026-11-21", "access.log.2026-11-20"],
        ["access-20261122.log", "access-20261121.log.gz", "access-20261120.log.gz"],
        ["access.log-2026112200.gz", "access.log-2026112100.gz", "access.log-2026112000.gz"],
        ["access.log-20261122", "access.log.1", "access.log.2.gz"],
    ],
)
def test_every_way_of_naming_rotated_files_is_known(rotated: Path, names: list[str]) -> None:
    for old, new in zip(["access.log.1", "access.log.2.gz", "access.log.3.gz"], names, strict=True):
        data = (rotated.parent / old).read_bytes()
        (rotated.parent / old).unlink()
        packed = old.endswith(".gz")
        if packed and not new.endswith(".gz"):
            data = gzip.decompress(data)
        (rotated.parent / new).write_bytes(gzip.compress(data) if new.endswith(".gz") and not packed else data)
    reading = window(rotated, 1000)
    assert numbers(reading) == list(range(400))
    assert reading.files == ["access.log", *names]


def test_right_after_a_rotation_the_window_is_in_the_rotated_file(rotated: Path) -> None:
    rotated.write_bytes(b"")
    (rotated.parent / "access.log.1").write_bytes(log_of(spread(24, 0, 100)))
    assert len(numbers(window(rotated, 12))) == 50


def test_the_end_of_a_window_is_an_end(rotated: Path) -> None:
    reading = read_window(rotated, AT - timedelta(hours=30), AT - timedelta(hours=20))
    assert numbers(reading) == [number for number in range(400) if 20 <= round((400 - number) * 0.24, 9) <= 30]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with log.open("wb") as file:
        file.write(log_of([2]))
        for _ in range(200):
            file.write(b"x" * 100_000)
        file.write(b"\n" + log_of([1]))
    tracemalloc.start()
    try:
        reading = window(log, 8)
        assert len(numbers(reading)) == 2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reading.unparsed == 1
    assert peak < 4 * 1024 * 1024


def test_a_line_that_is_still_being_written_is_no_broken_one(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(log_of([2, 1])[:-20])
    reading = window(tmp_path / "access.log", 8)
    assert (len(numbers(reading)), reading.unparsed) == (1, 0)


def test_a_last_line_that_only_lacks_its_newline_counts(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(log_of([2, 1])[:-1])
    assert len(numbers(window(tmp_path / "access.log", 8))) == 2


def test_the_hole_of_a_truncated_log_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(b"\0" * 1_000_000 + log_of([2, 1]))
    reading = window(tmp_path / "access.log", 8)
    assert (len(numbers(reading)), reading.unparsed) == (2, 0)


def test_a_damaged_packed_file_is_read_as_far_as_it_goes_and_named(rotated: Path) -> None:
    packed = rotated.parent / "access.log.2.gz"
    packed.write_bytes(packed.read_bytes()[:-30])
    reading = window(rotated, 60)
    found = numbers(reading)
    assert 150 in found
    assert set(range(200, 400)) < set(found) < set(range(150, 400))
    assert reading.damaged == ["access.log.2.gz"]
    packed.write_bytes(b"this is no gzip")
    reading = window(rotated, 60)
    assert numbers(reading) == list(range(200, 400))
    assert reading.damaged == ["access.log.2.gz"]


def test_a_packing_that_nobody_here_can_read_is_named(rotated: Path) -> None:
    (rotated.parent / "access.log.2.gz").rename(rotated.parent / "access.log.2.zst")
    reading = window(rotated, 60)
    assert len(numbers(reading)) == 200
    assert reading.unread == ["access.log.2.zst: no reader for .zst"]


def test_a_file_being_packed_is_read_once(rotated: Path) -> None:
    (rotated.parent / "access.log.1.gz").write_bytes(gzip.compress(b"half")[:9])
    assert numbers(window(rotated, 1000)) == list(range(400))


def test_one_file_under_two_names_is_read_once(rotated: Path) -> None:
    os.link(rotated.parent / "access.log.1", rotated.parent / "access.log-20261122")
    assert numbers(window(rotated, 1000)) == list(range(400))


class Meddling(LocalFiles):
    """Files to which something happens at the n-th opening."""

    def __init__(self, at: int, what: object) -> None:
        self._left = at
        self._what = what

    def open_binary(self, path: PurePath) -> BinaryIO:
        self._left -= 1
        if self._left == 0:
            self._what()  # type: ignore[operator]
        return super().open_binary(path)


def rotate(path: Path, *, then: bytes = b"") -> None:
    """What logrotate does with `delaycompress`."""
    directory = path.parent
    for number in (3, 2):
        if (directory / f"{path.name}.{number}.gz").exists():
            (directory / f"{path.name}.{number}.gz").rename(directory / f"{path.name}.{number + 1}.gz")
    (directory / f"{path.name}.1").rename(directory / f"{path.name}.2")
    pack(directory / f"{path.name}.2")
    path.rename(directory / f"{path.name}.1")
    path.write_bytes(then)


@pytest.mark.parametrize("opening", [1, 2, 3, 4])
def test_a_rotation_while_files_are_opened_neither_loses_nor_repeats_a_line(rotated: Path, opening: int) -> None:
    files = Meddling(opening, lambda: rotate(rotated))
    assert numbers(window(rotated, 1000, files=files)) == list(range(400))


def test_a_rotation_while_lines_are_read_neither_loses_nor_repeats_a_line(rotated: Path) -> None:
    reading = window(rotated, 1000)
    accesses = iter(reading)
    some = [next(accesses) for _ in range(5)]
    with rotated.open("ab") as log:
        log.write(log_of([0]))  # written meanwhile: not part of what was there
    rotate(rotated, then=log_of([0]))
    assert len(some) + len(list(accesses)) == 400


def test_a_log_that_is_rotated_again_and_again_is_not_told(rotated: Path) -> None:
    class Restless(LocalFiles):
        def open_binary(self, path: PurePath) -> BinaryIO:
            rotate(rotated)
            return super().open_binary(path)

    with pytest.raises(CannotTell, match="rotated again and again"):
        numbers(window(rotated, 1, files=Restless()))


def test_a_log_cut_while_it_is_read_is_named(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(log_of(spread(8, 0, 4000)))
    reading = window(log, 9)
    accesses = iter(reading)
    next(accesses)
    os.truncate(log, 0)
    assert len(list(accesses)) < 3999
    assert reading.shrunk == ["access.log"]


def test_a_missing_log_can_not_be_told(rotated: Path) -> None:
    rotated.unlink()
    with pytest.raises(CannotTell, match="there is no file") as caught:
        numbers(window(rotated, 1))
    assert str(rotated) in caught.value.what
    assert str(rotated) in caught.value.mend


def test_a_missing_directory_can_not_be_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="there is no file"):
        numbers(window(tmp_path / "nowhere" / "access.log", 1))


class Forbidden(LocalFiles):
    """Files of which one may not be opened, or the directory not be listed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def open_binary(self, path: PurePath) -> BinaryIO:
        if path.name == self._name:
            raise PermissionError(13, "Permission denied", str(path))
        return super().open_binary(path)

    def list(self, directory: PurePath) -> Sequence[FileEntry]:
        if directory.name == self._name:
            raise PermissionError(13, "Permission denied", str(directory))
        return super().list(directory)


def test_a_log_that_may_not_be_read_can_not_be_told(rotated: Path) -> None:
    for name in ("access.log", "access.log.1"):
        with pytest.raises(CannotTell, match="may not be read") as caught:
            numbers(window(rotated, 30, files=Forbidden(name)))
        assert str(rotated.parent / name) in caught.value.mend
    assert len(numbers(window(rotated, 10, files=Forbidden("access.log.1")))) == 41


def test_a_directory_that_may_not_be_listed_leaves_the_log_itself(rotated: Path) -> None:
    reading = window(rotated, 60, files=Forbidden(rotated.parent.name))
    assert numbers(reading) == list(range(300, 400))
    assert reading.unread == ["rotated files of access.log: the directory may not be listed"]


def test_a_pipe_or_a_directory_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "access.log")
    (tmp_path / "error.log").mkdir()
    for name in ("access.log", "error.log"):
        with pytest.raises(CannotTell, match="is no regular file"):
            numbers(window(tmp_path / name, 1))
        with pytest.raises(OSError, match="regular file"):
            LocalFiles().open_binary(tmp_path / name)


def test_every_file_is_closed_again(rotated: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = opened()
    numbers(window(rotated, 1000))
    abandoned = iter(window(rotated, 1000))
    next(abandoned)
    del abandoned
    with pytest.raises(CannotTell):
        numbers(window(rotated, 1000, files=Forbidden("access.log.3.gz")))
    assert opened() == before
