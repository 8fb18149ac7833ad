"""How full the file systems are, as df says it and nobody else."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observe.errors import CannotTell
from observe.filesystems import FileSystems
from observe.host import Host, Ran
from target.kinds import Share

if TYPE_CHECKING:
    from pathlib import PurePath

HEADER = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n"
FULL = "/dev/sda1        100 80 20      80% /\n"
INODES = "/dev/sda1        1000 10 990    1% /\n"


@dataclass
class Said(Host):
    """A host whose df has said that, for what no real file system here would show."""

    space: str
    inodes: str
    complaint: str = ""
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, *command: str) -> Ran:
        self.asked.append(command)
        out = self.inodes if command[1] == "-Pi" else self.space
        return Ran(1 if self.complaint else 0, out and HEADER + out, self.complaint)


@pytest.fixture(scope="module")
def host() -> Host:
    return Host("local://", 5)


def test_a_real_file_system_is_seen_as_the_kernel_sees_it(host: Host, tmp_path: Path) -> None:
    seen = FileSystems(host, {"mine": str(tmp_path)}).of("mine")
    truth = os.statvfs(tmp_path)
    assert seen.space.total == truth.f_blocks * truth.f_frsize
    assert seen.inodes.total == truth.f_files
    assert seen.space.used + seen.space.free <= seen.space.total
    assert seen.space.share is not None
    used = (truth.f_blocks - truth.f_bfree) / (truth.f_blocks - truth.f_bfree + truth.f_bavail)
    assert used - 0.01 <= seen.space.share <= used + 0.02
    assert tmp_path.is_relative_to(seen.mount)


def test_a_missing_path_blinds_its_own_role_and_no_other(host: Host, tmp_path: Path) -> None:
    gone = tmp_path / "it's:\tgone"
    seen = FileSystems(host, {"root": "/", "gone": str(gone), "mine": str(tmp_path)})
    with pytest.raises(CannotTell, match=r"df can't look at .*\tgone: no such file") as raised:
        seen.of("gone")
    assert "Check the path in the target" in raised.value.mend
    assert (seen.of("root").mount, seen.of("mine").path) == ("/", str(tmp_path))
    assert [row["what"] for row in seen.rows()] == ["root", "mine"]


@pytest.mark.parametrize("name", ["a b", "-Pi", "$(id)", "ä", "tab\there", "100%"])
def test_a_path_of_any_name_is_looked_at(host: Host, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert FileSystems(host, {"mine": str(tmp_path / name)}).of("mine").space.total > 0


def test_an_unknown_path_blinds_its_own_role_and_keeps_its_cause(host: Host) -> None:
    def unknown() -> str:
        raise CannotTell("the engine is gone", cause="engine")

    seen = FileSystems(host, {"docker": unknown, "root": "/"})
    for _ in range(2):
        with pytest.raises(CannotTell, match="the engine is gone") as raised:
            seen.of("docker")
        assert raised.value.cause == "engine"
    assert seen.of("root").mount == "/"


def test_only_unknown_paths_dont_make_df_speak_of_everything(host: Host) -> None:
    def unknown() -> str:
        raise CannotTell("not known")

    with pytest.raises(CannotTell, match="not known"):
        FileSystems(host, {"docker": unknown}).of("docker")


def test_df_is_asked_twice_for_everything_and_once_for_each_path() -> None:
    host = Said(FULL * 2, INODES * 2)
    seen = FileSystems(host, {"root": "/", "docker": "/var", "backups": "/"})
    for role in ("root", "docker", "backups", "root"):
        seen.of(role)
    seen.rows()
    assert host.asked == [("df", "-P", "--", "/", "/var"), ("df", "-Pi", "--", "/", "/var")]


class Counted(Host):
    """The machine itself, and what it was asked."""

    def __init__(self) -> None:
        super().__init__("local://", 10)
        self.asked: list[tuple[str, ...]] = []

    def run(self, *command: str) -> Ran:
        self.asked.append(command)
        return super().run(*command)


def test_what_df_refuses_is_told_from_the_rest_by_what_it_says(tmp_path: Path) -> None:
    host, gone, mine = Counted(), str(tmp_path / "gone"), str(tmp_path)
    seen = FileSystems(host, {"gone": gone, "root": "/", "proc": "/proc", "mine": mine})
    with pytest.raises(CannotTell, match="gone: no such file"):
        seen.of("gone")
    assert [seen.of(role).mount for role in ("root", "proc")] == ["/", "/proc"]
    # But for what is used of it, which moves on meanwhile.
    one, alone = seen.of("mine"), FileSystems(host, {"mine": mine}).of("mine")
    assert (one.device, one.mount, one.space.total) == (alone.device, alone.mount, alone.space.total)
    assert host.asked[:2] == [("df", "-P", "--", gone, "/", "/proc", mine), ("df", "-Pi", "--", "/", "/proc", mine)]


def test_a_complaint_that_may_be_of_two_paths_is_nobodys(tmp_path: Path) -> None:
    """One whose name begins as another's, and one whose name is written in another spelling."""
    (tmp_path / "a").mkdir()
    paths = {"a": str(tmp_path / "a"), "b": str(tmp_path / "a: b"), "odd": str(tmp_path / "o\tdd"), "proc": "/proc"}
    seen = FileSystems(Host("local://", 10), paths)
    assert (seen.of("a").path, seen.of("proc").mount) == (paths["a"], "/proc")
    for role in ("b", "odd"):
        with pytest.raises(CannotTell, match="no such file"):
            seen.of(role)


def test_what_df_shows_is_what_is_compared() -> None:
    seen = FileSystems(Said(FULL, INODES), {"root": "/"}).of("root")
    assert (seen.space.total, seen.space.used, seen.space.free) == (102400, 81920, 20480)
    assert seen.space.share == Share.parse("80 %")
    assert seen.free == "20 KiB"
    assert seen.row()["used"] == "80 %"


@pytest.mark.parametrize("line", ["btrfs 0 0 0 - /\n", "vfat - - - - /\n", "x 0 0 0 0% /\n"])
def test_a_file_system_without_inodes_has_no_share_of_them(line: str) -> None:
    seen = FileSystems(Said(FULL, line), {"root": "/"}).of("root")
    assert seen.inodes.share is None
    assert seen.row()["inodes used"] == "-"


def test_more_used_than_there_is_for_users_is_no_negative_room() -> None:
    assert FileSystems(Said("x 100 120 -20 120% /\n", INODES), {"root": "/"}).of("root").space.free == 0


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("", "df can't look at /: df answered 0 lines"),
        (FULL * 2, "df can't look at /: df answered 2 lines"),
        ("nonsense\n", "df's line can't be read: nonsense"),
    ],
)
def test_what_cant_be_read_is_not_taken_for_room(out: str, said: str) -> None:
    with pytest.raises(CannotTell, match=said):
        FileSystems(Said(out, INODES), {"root": "/"}).of("root")


DEVICES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(
    device=st.lists(DEVICES, min_size=1, max_size=3).map(" ".join),
    mount=DEVICES.map(lambda name: f"/{name} 5 5 5 5% /x"),
    figures=st.tuples(*[st.integers(0, 10**15)] * 3),
    share=st.integers(0, 100),
)
@example(device="//nas/dumps and more", mount="/mnt/a b", figures=(1, 2, 3), share=4)
def test_devices_and_mounts_may_have_blanks(device: str, mount: str, figures: tuple[int, int, int], share: int) -> None:
    line = f"{device} {figures[0]} {figures[1]}   {figures[2]} {share}% {mount}\n"
    try:
        seen = FileSystems(Said(line, line), {"root": "/"}).of("root")
    except CannotTell as unsaid:
        assert "can't be read" in str(unsaid)  # noqa: PT017  either is right, a wrong figure is not
        return
    assert (seen.device, seen.mount) == (device, mount)
    assert seen.inodes.used == figures[1]


@given(out=st.text(max_size=200), complaint=st.text(max_size=100))
def test_whatever_df_says_it_is_figures_or_blindness(out: str, complaint: str) -> None:
    with contextlib.suppress(CannotTell):
        FileSystems(Said(out, out, complaint), {"root": "/"}).of("root")


def test_what_root_reserves_counts_as_used() -> None:
    """As df counts it; a share of all blocks would say that there is room where users have none."""
    seen = FileSystems(Said("/dev/sdb1 1000 900 50 95% /data\n", INODES), {"data": "/data"}).of("data")
    assert seen.space.share == Share(0.95)


@dataclass
class Guarded(Said):
    """A host whose df may not look into Docker's directory."""

    mounts: str = ""

    def run(self, *command: str) -> Ran:
        self.asked.append(command)
        if command[3:] == (DOCKERS,):
            return Ran(1, HEADER, f"df: {DOCKERS}: Permission denied")
        mount = command[3]
        line = f"/dev/sdb1 1000 10 990 1% {mount}\n" if command[1] == "-Pi" else f"/dev/sdb1 100 80 20 80% {mount}\n"
        return Ran(0, HEADER + line, "")

    def path(self, path: PurePath) -> Path:
        assert str(path) == "/proc/self/mountinfo"
        return Path(self.mounts)


DOCKERS = "/var/lib/docker/volumes/synk_database/_data"
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 8:17 / /var/lib/docker rw,relatime shared:2 - ext4 /dev/sdb1 rw
31 30 0:50 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw
32 22 8:33 / /var/lib/dock rw - ext4 /dev/sdc1 rw
33 22 8:49 / /srv/with\\040blank rw - ext4 /dev/sdd1 rw
"""


def test_what_lies_where_nobody_may_look_is_seen_by_its_mount(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS, encoding="utf-8")
    host = Guarded("", "", mounts=str(tmp_path / "mountinfo"))
    seen = FileSystems(host, {"database": DOCKERS}).of("database")
    assert (seen.mount, seen.path, seen.space.share) == ("/var/lib/docker", DOCKERS, Share(0.8))
    assert {command[3] for command in host.asked} == {DOCKERS, "/var/lib/docker"}


def test_where_the_mounts_are_not_known_either_it_cannot_be_told(tmp_path: Path) -> None:
    host = Guarded("", "", mounts=str(tmp_path / "nothing"))
    with pytest.raises(CannotTell, match="permission denied"):
        FileSystems(host, {"database": DOCKERS}).of("database")


def test_a_file_system_of_another_host_has_its_name_before_its_own(host: Host) -> None:
    other = Said(FULL, INODES)
    both = FileSystems(host, {"root": "/"}, {"web2": FileSystems(other, {"root": "/"})})
    assert [row["what"] for row in both.rows()] == ["root"], "nobody has asked for the other's"
    assert other.asked == []
    seen = both.of("web2/root")
    assert (seen.role, seen.space.share) == ("web2/root", Share(0.8))
    assert [row["what"] for row in both.rows()] == ["root", "web2/root"]
