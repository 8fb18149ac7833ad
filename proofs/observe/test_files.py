"""A path of another place reads like a path of this machine, and can do nothing else."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import pytest

from observe.errors import CannotTell
from observe.files import checksum_there, files_of, has_file, is_here, may_execute, path_of, status_of
from observe.rotated_log import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Below:
    """A place whose files are those below a directory of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def stat(self, path: str, *, follow: bool = True) -> os.stat_result:
        return self._at(path).stat(follow_symlinks=follow)

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:
        return [(one.name, one.stat()) for one in self._at(directory).iterdir()]

    def open(self, path: str) -> BinaryIO:
        return self._at(path).open("rb", buffering=0)

    def may_execute(self, path: str) -> bool:
        return os.access(self._at(path), os.X_OK)

    def sha256(self, path: str) -> str | None:
        return hashlib.sha256(self._at(path).read_bytes()).hexdigest()

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")


@pytest.fixture
def there(tmp_path: Path) -> Callable[[PurePath | str], Path]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/motd").write_text("Grüße\nzwei\n", encoding="utf-8")
    (tmp_path / "etc/run").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "etc/run").chmod(0o755)
    (tmp_path / "etc/link").symlink_to("motd")
    return path_of(Below(tmp_path))


def test_it_reads_as_a_path_does(there: Callable[[PurePath | str], Path], tmp_path: Path) -> None:
    motd, truth = there(PurePosixPath("/etc")) / "motd", tmp_path / "etc/motd"
    assert motd.read_text(encoding="utf-8") == truth.read_text(encoding="utf-8")
    assert motd.read_bytes() == truth.read_bytes()
    with motd.open("rb") as file, motd.open("rb", buffering=0) as raw, motd.open(encoding="utf-8") as text:
        assert file.read(5) == raw.read(5) == truth.read_bytes()[:5]
        assert text.readlines() == ["Grüße\n", "zwei\n"]
        assert status_of(raw, motd).st_ino == truth.stat().st_ino
    assert motd.stat().st_size == truth.stat().st_size
    assert (motd.exists(), motd.is_file(), motd.is_dir()) == (True, True, False)
    assert sorted(one.name for one in motd.parent.iterdir()) == ["link", "motd", "run"]
    assert checksum_there(motd) == hashlib.sha256(truth.read_bytes()).hexdigest()


def test_paths_made_from_it_lie_there_as_well(there: Callable[[PurePath | str], Path]) -> None:
    etc = there("/etc")
    made = (etc / "motd", etc.parent, etc.with_name("opt"), etc.joinpath("a", "b"), etc.resolve(), *etc.iterdir())
    assert not any(map(is_here, made))
    assert is_here(Path("/etc"))
    assert str(there("/a/../etc//motd").resolve()) == "/etc/motd"


def test_what_is_not_there_is_said_as_of_a_path(there: Callable[[PurePath | str], Path]) -> None:
    assert not there("/nothing").exists()
    assert not there("/etc/motd/below").exists()
    assert not there("/nothing").is_symlink()
    assert there("/etc/link").is_symlink()
    assert stat.S_ISLNK(there("/etc/link").lstat().st_mode)
    with pytest.raises(FileNotFoundError) as error:
        there("/nothing").read_text(encoding="utf-8")
    assert error.value.errno == errno.ENOENT


def test_what_may_be_executed_is_asked_there(there: Callable[[PurePath | str], Path], tmp_path: Path) -> None:
    assert may_execute(there("/etc/run"))
    assert not may_execute(there("/etc/motd"))
    assert may_execute(tmp_path / "etc/run")


@pytest.mark.parametrize("mode", ["w", "a", "r+", "wb", "x"])
def test_it_is_opened_for_reading_alone(there: Callable[[PurePath | str], Path], mode: str) -> None:
    with pytest.raises(ValueError, match="can only be read"):
        there("/etc/motd").open(mode)


def test_nobody_opens_what_has_its_name_here(there: Callable[[PurePath | str], Path]) -> None:
    with pytest.raises(TypeError, match="doesn't lie on this machine"):
        os.fspath(there("/etc/passwd"))
    with pytest.raises(TypeError, match="doesn't lie on this machine"):
        open(there("/etc/passwd"), "rb").close()  # noqa: PTH123  as somebody might


class Unlisted(Below):
    """One that lists nothing, for whatever reason."""

    def __init__(self, root: Path, why: Exception) -> None:
        super().__init__(root)
        self._why = why

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:  # noqa: ARG002  as it is called
        raise self._why


@pytest.mark.parametrize("why", [None, PermissionError(13, "no"), CannotTell("sudo refuses"), OSError(5, "broken")])
def test_files_of_a_directory_are_known_with_or_without_listing_it(tmp_path: Path, why: Exception | None) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/compose.yaml").write_text("x")
    (tmp_path / "etc/compose.yml").mkdir()
    (tmp_path / "etc/docker-compose.yml").symlink_to("compose.yaml")
    place = Below(tmp_path) if why is None else Unlisted(tmp_path, why)
    directories = [tmp_path / "etc", path_of(place)("/etc")]
    if isinstance(why, OSError) and not isinstance(why, PermissionError):
        with pytest.raises(OSError, match="broken"):
            has_file(directories[1])
        del directories[1]
    for directory in directories:
        there = has_file(directory)
        names = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
        assert [there(name) for name in names] == [True, False, True, False]


def test_logs_are_listed_as_they_are_here(there: Callable[[PurePath | str], Path], tmp_path: Path) -> None:
    there("/")
    files, here = files_of(Below(tmp_path)), LocalFiles()
    assert sorted(files.list(PurePosixPath("/etc"))) == sorted(here.list(tmp_path / "etc"))
    assert files.stat(PurePosixPath("/etc/motd")) == here.stat(tmp_path / "etc/motd")
    with files.open_binary(PurePosixPath("/etc/motd")) as file:
        assert file.read() == (tmp_path / "etc/motd").read_bytes()
    assert isinstance(files_of(None), LocalFiles)
