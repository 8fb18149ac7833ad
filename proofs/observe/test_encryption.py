"""Encrypted is what reaches no disk without going through something that encrypts.

The answers of lsblk and findmnt are recorded, in the shape of util-linux 2.38 unless it says otherwise: the kernel of
the machine that proves this may have no device mapper, and then nothing here is proven on a live LUKS.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.encryption import Encryption, Place, Storage, devices
from observe.errors import CannotTell
from observe.filesystems import FileSystems
from observe.host import FINDMNT, LSBLK, Host, Ran

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = """{
   "blockdevices": [
      {
         "name": "sda",
         "kname": "sda",
         "type": "disk",
         "fstype": null,
         "uuid": null,
         "model": "Samsung SSD 870 EVO 1TB",
         "maj:min": "8:0",
         "children": [
            {
               "name": "sda1",
               "kname": "sda1",
               "type": "part",
               "fstype": "ext4",
               "uuid": "6d2f1f6e-6f8a-4a50-8d9e-0d4dd2c7f101",
               "model": null,
               "maj:min": "8:1"
            }
         ]
      },{
         "name": "sr0",
         "kname": "sr0",
         "type": "rom",
         "fstype": null,
         "uuid": null,
         "model": "DVD-ROM",
         "maj:min": "11:0"
      }
   ]
}
"""
# As lsblk 2.27 writes it: another order, no indentation to speak of.
OLD_LUKS = """{
   "blockdevices": [
      {"name": "sda", "kname": "sda", "type": "disk", "fstype": null, "uuid": null, "model": "ST1000DM003     ", "maj:min": "  8:0  ",
         "children": [
            {"name": "sda2", "kname": "sda2", "type": "part", "fstype": "crypto_LUKS", "uuid": "0b-1", "model": null, "maj:min": "  8:2  ",
               "children": [
                  {"name": "data", "kname": "dm-0", "type": "crypt", "fstype": "ext4", "uuid": "0b-2", "model": null, "maj:min": "253:0  "}
               ]
            }
         ]
      }
   ]
}
"""  # noqa: E501


def device(name: str, kind: str, number: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """One device as lsblk writes it, shortly: what it is and what is in it with a colon between."""
    what, _, content = kind.partition(":")
    one = {"name": name, "kname": name, "type": what, "fstype": content or None, "uuid": None, "model": None}
    found: dict[str, Any] = {**one, "maj:min": number, **more}
    return {**found, "children": [*children]} if children else found


def lsblk(*disks: dict[str, Any]) -> str:
    return json.dumps({"blockdevices": [*disks]}, indent=3)


def findmnt(source: str, kind: str, number: str, target: str = "/data") -> str:
    one = {"source": source, "target": target, "fstype": kind, "maj:min": number}
    return json.dumps({"filesystems": [one]}, indent=3)


def luks(name: str, number: str, parent: str, *children: dict[str, Any]) -> dict[str, Any]:
    return device(parent, "part:crypto_LUKS", number, device(name, "crypt:ext4", f"253:{number[-1]}", *children))


LVM_ON_LUKS = lsblk(
    device(
        "nvme0n1",
        "disk",
        "259:0",
        device("nvme0n1p1", "part:vfat", "259:1"),
        device(
            "nvme0n1p3",
            "part:crypto_LUKS",
            "259:3",
            device(
                "nvme0n1p3_crypt",
                "crypt:LVM2_member",
                "254:0",
                device("vg-root", "lvm:ext4", "254:1", kname="dm-1"),
                device("vg-swap_1", "lvm:swap", "254:2", kname="dm-2"),
                kname="dm-0",
            ),
        ),
        model="SAMSUNG MZVL2512HCJQ-00B00",
    )
)
LUKS_ON_LVM = lsblk(
    device(
        "sda",
        "disk:LVM2_member",
        "8:0",
        device("vg-data", "lvm:crypto_LUKS", "253:0", device("data", "crypt:xfs", "253:1", kname="dm-1"), kname="dm-0"),
        device("vg-plain", "lvm:xfs", "253:2", kname="dm-2"),
    )
)
# The array stands beneath each of its members.
RAID = device("md0", "raid1:ext4", "9:0")
RAID_OF_LUKS = lsblk(
    device("sda", "disk:crypto_LUKS", "8:0", device("a_crypt", "crypt:linux_raid_member", "253:0", RAID)),
    device("sdb", "disk:crypto_LUKS", "8:16", device("b_crypt", "crypt:linux_raid_member", "253:1", RAID)),
)
RAID_HALF_OPEN = lsblk(
    device("sda", "disk:crypto_LUKS", "8:0", device("a_crypt", "crypt:linux_raid_member", "253:0", RAID)),
    device("sdb", "disk:linux_raid_member", "8:16", RAID),
)
LUKS_ON_RAID_MEMBER = device("md0", "raid1:crypto_LUKS", "9:0", device("data", "crypt:ext4", "253:0"))
LUKS_ON_RAID = lsblk(
    device("sda", "disk:linux_raid_member", "8:0", LUKS_ON_RAID_MEMBER),
    device("sdb", "disk:linux_raid_member", "8:16", LUKS_ON_RAID_MEMBER),
)
POOL = {"uuid": "5a1c0b4e-pool"}
BTRFS_OF_LUKS = lsblk(
    device("sda", "disk:crypto_LUKS", "8:0", device("a", "crypt:btrfs", "253:0", kname="dm-0", **POOL)),
    device("sdb", "disk:crypto_LUKS", "8:16", device("b", "crypt:btrfs", "253:1", kname="dm-1", **POOL)),
)
BTRFS_HALF_OPEN = lsblk(
    device("sda", "disk:crypto_LUKS", "8:0", device("a", "crypt:btrfs", "253:0", kname="dm-0", **POOL)),
    device("sdb", "disk:btrfs", "8:16", **POOL),
)
VERITY = lsblk(
    device("sda1", "part:squashfs", "8:1", device("root", "crypt:squashfs", "253:0")),
    device("sda2", "part:DM_verity_hash", "8:2", device("root", "crypt:squashfs", "253:0")),
)
INTEGRITY = lsblk(device("sda1", "part:DM_integrity", "8:1", device("checked", "crypt:ext4", "253:0")))
DM_CRYPT_WITHOUT_LUKS = lsblk(device("sda", "disk", "8:0", device("scratch", "crypt:ext4", "253:0")))
LOOP = lsblk(device("loop0", "loop:ext4", "7:0"))
LUKS_IN_A_FILE = lsblk(device("loop0", "loop:crypto_LUKS", "7:0", device("vault", "crypt:ext4", "253:0")))
AMAZON = lsblk(device("nvme1n1", "disk:ext4", "259:2", model="Amazon Elastic Block Store               "))
GOOGLE = lsblk(device("sda", "disk", "8:0", device("sda1", "part:ext4", "8:1"), model="PersistentDisk"))
VIRTIO = lsblk(device("vda", "disk", "252:0", device("vda1", "part:ext4", "252:1")))
XEN = lsblk(device("xvda", "disk", "202:0", device("xvda1", "part:ext4", "202:1")))


class Said(Host):
    """A host whose tools have said that."""

    def __init__(self, mounts: str, blocks: str, *, status: int = 0, complaint: str = "") -> None:
        super().__init__("local://", 5)
        self.said = {"findmnt": Ran(status, mounts, complaint), "lsblk": Ran(status, blocks, complaint)}
        self.asked: list[str] = []

    def run(self, *command: str) -> Ran:
        self.asked.append(command[0])
        if command[0] == "df":
            free = "100 80 20 80%" if command[1] == "-P" else "1000 10 990 1%"
            return Ran(0, "Filesystem\n" + "".join(f"/dev/x {free} /data\n" for _ in command[3:]), "")
        return self.said[command[0]]


def place(mounts: str, blocks: str, **said: Any) -> Place:  # noqa: ANN401  the host's own
    host = Said(mounts, blocks, **said)
    database, backups = Storage(host, FileSystems(host, {"database": "/data/a", "backups": "/data/b"})).places()
    assert (database.encrypted, database.said) == (backups.encrypted, backups.said)
    assert host.asked.count("lsblk") <= 1 or said
    return database


@pytest.mark.parametrize(
    ("mounts", "blocks", "way"),
    [
        (findmnt("/dev/mapper/data", "ext4", "253:0"), OLD_LUKS, "data (crypt ext4) on sda2 (part crypto_LUKS)"),
        (findmnt("/dev/mapper/vg-root", "ext4", "254:1"), LVM_ON_LUKS, "vg-root (lvm ext4) on nvme0n1p3_crypt"),
        (findmnt("/dev/mapper/data", "xfs", "253:1"), LUKS_ON_LVM, "data (crypt xfs) on vg-data (lvm crypto_LUKS)"),
        (findmnt("/dev/md0", "ext4", "9:0"), RAID_OF_LUKS, "md0 (raid1 ext4) on a_crypt"),
        (findmnt("/dev/mapper/data", "ext4", "253:0"), LUKS_ON_RAID, "on md0 (raid1 crypto_LUKS)"),
        (findmnt("/dev/mapper/a[/@data]", "btrfs", "0:34"), BTRFS_OF_LUKS, "b (crypt btrfs) on sdb"),
        (findmnt("/dev/dm-1[/@data]", "btrfs", "0:34"), BTRFS_OF_LUKS, "a (crypt btrfs) on sda"),
        (findmnt("/dev/mapper/scratch", "ext4", "253:0"), DM_CRYPT_WITHOUT_LUKS, "scratch (crypt ext4) on sda (disk)"),
        (findmnt("/dev/mapper/vault", "ext4", "253:0"), LUKS_IN_A_FILE, "vault (crypt ext4) on loop0"),
    ],
)
def test_it_is_encrypted_where_every_way_down_is(mounts: str, blocks: str, way: str) -> None:
    found = place(mounts, blocks)
    assert found.encrypted
    assert way in found.said


@pytest.mark.parametrize(
    ("mounts", "blocks", "why"),
    [
        (findmnt("/dev/sda1", "ext4", "8:1"), PLAIN, "not seen to be encrypted: sda1 (part ext4) on sda (disk)"),
        (findmnt("/dev/sda1[/srv/data]", "ext4", "8:1"), PLAIN, "sda1 (part ext4) on sda (disk)"),
        (findmnt("/dev/mapper/vg-plain", "xfs", "253:2"), LUKS_ON_LVM, "vg-plain (lvm xfs) on sda"),
        (findmnt("/dev/md0", "ext4", "9:0"), RAID_HALF_OPEN, "(1 of 2 ways down): md0 (raid1 ext4) on sdb"),
        (findmnt("/dev/mapper/a[/@]", "btrfs", "0:34"), BTRFS_HALF_OPEN, "(1 of 2 ways down): sdb (disk btrfs)"),
        (findmnt("/dev/mapper/root", "squashfs", "253:0"), VERITY, "root (crypt squashfs) on sda1"),
        (findmnt("/dev/mapper/checked", "ext4", "253:0"), INTEGRITY, "checked (crypt ext4) on sda1"),
        (findmnt("/dev/loop0", "ext4", "7:0"), LOOP, "a file: what it lies on isn't looked at"),
        (findmnt("/dev/nvme1n1", "ext4", "259:2"), AMAZON, "Amazon Elastic Block Store: a virtual disk"),
        (findmnt("/dev/sda1", "ext4", "8:1"), GOOGLE, "provider encrypts can't be seen from within"),
        (findmnt("/dev/vda1", "ext4", "252:1"), VIRTIO, "provider encrypts can't be seen from within"),
        (findmnt("/dev/xvda1", "ext4", "202:1"), XEN, "provider encrypts can't be seen from within"),
        (findmnt("/dev/sdz1", "ext4", "8:99"), PLAIN, "none of the host's 3 block devices"),
        (findmnt("/dev/sda1", "ext4", "8:1"), lsblk(), "none of the host's 0 block devices"),
    ],
)
def test_one_bare_way_down_is_enough_to_be_open(mounts: str, blocks: str, why: str) -> None:
    found = place(mounts, blocks)
    assert not found.encrypted
    assert why in found.said


@pytest.mark.parametrize(
    ("kind", "encrypted", "why"),
    [
        ("nfs4", False, "other side"),
        ("cifs", False, "other side"),
        ("9p", False, "other side"),
        ("virtiofs", False, "other side"),
        ("fuse.sshfs", False, "other side"),
        ("tmpfs", False, "memory"),
        ("zfs", False, "zfs get encryption"),
        ("overlay", False, "layers of a container"),
        ("ecryptfs", True, "eCryptfs"),
        ("fuse.gocryptfs", True, "gocryptfs"),
    ],
)
def test_what_the_type_of_the_file_system_says_needs_no_device(kind: str, why: str, *, encrypted: bool) -> None:
    host = Said(findmnt("somewhere", kind, "0:50"), "no JSON")
    found = Storage(host, FileSystems(host, {"database": "/data", "backups": "/data"})).places()[0]
    assert found.encrypted is encrypted
    assert why in found.said
    assert "lsblk" not in host.asked


def test_what_lies_with_a_provider_is_told_by_its_key_alone() -> None:
    host = Said(findmnt("/dev/mapper/data", "ext4", "253:0"), "no JSON")
    database, _ = places = Storage(host, FileSystems(host, {"backups": "/data"})).places()
    assert database.unseen is not None
    assert "--covers database=KEY" in database.unseen.mend
    with pytest.raises(CannotTell, match="what its provider encrypts can't be seen"):
        Encryption((database,), {}).must_be_told()
    Encryption((database,), {"database": "kms/orders"}).must_be_told()
    assert [one.name for one in places] == ["database", "backups"]


def test_what_is_mounted_on_top_is_what_counts() -> None:
    below = json.loads(findmnt("/dev/mapper/data", "ext4", "253:0"))["filesystems"]
    above = json.loads(findmnt("/dev/sda1", "ext4", "8:1"))["filesystems"]
    assert not place(json.dumps({"filesystems": below + above}), PLAIN).encrypted


def test_a_loop_of_devices_ends() -> None:
    again = device("b", "lvm", "253:1", device("a", "lvm", "253:0", device("b", "lvm", "253:1")))
    assert not place(findmnt("/dev/mapper/b", "ext4", "253:1"), lsblk(again)).encrypted


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        ("", "findmnt knows nothing that is mounted on /data"),
        ('{"filesystems": []}', "findmnt knows nothing that is mounted on /data"),
        ("no JSON", "what findmnt on the host says can't be read"),
        ('{"filesystems": 5}', "can't be read"),
        ('{"blockdevices": []}', "can't be read"),
        ("[" * 100_000, "can't be read"),
    ],
)
def test_a_mount_that_cannot_be_read_cannot_be_told(mounts: str, said: str) -> None:
    found = place(mounts, PLAIN)
    assert said in str(found.unseen)
    with pytest.raises(CannotTell):
        Encryption((found,)).must_be_told()


@pytest.mark.parametrize("blocks", ["no JSON", '{"blockdevices": 5}', '{"blockdevices": [7]}', "null"])
def test_devices_that_cannot_be_read_cannot_be_told(blocks: str) -> None:
    found = place(findmnt("/dev/sda1", "ext4", "8:1"), blocks)
    assert "what lsblk on the host says can't be read" in str(found.unseen)


def test_a_tool_that_fails_is_quoted() -> None:
    with pytest.raises(CannotTell, match="lsblk on the host failed: lsblk: unknown column: MODEL"):
        devices(Ran(1, "", "lsblk: unknown column: MODEL\nTry it"))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["blockdevices", "name", "kname", "type", "children", "maj:min", "fstype"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_lsblk_says_is_read_or_cannot_be_told(said: object) -> None:
    try:
        found = devices(Ran(0, json.dumps({"blockdevices": said}), ""))
    except CannotTell:
        return
    for one in found.all.values():
        found.chains(one)


def test_this_machines_own_answers_are_read(tmp_path: Path) -> None:
    host = Host("local://", 10)
    paths = {"database": str(tmp_path), "backups": os.sep}
    places = Storage(host, FileSystems(host, dict(paths))).places()
    assert [one.unseen for one in places] == [None, None]
    assert all(one.mount and one.mount.kind and one.said for one in places)


@pytest.mark.parametrize(
    "command",
    [
        ("findmnt", "--poll"),
        ("findmnt", "--json", "--poll", "/"),
        (*FINDMNT, "--poll"),
        ("lsblk",),
        (*LSBLK, "--output-all"),
        ("lsblk", "--json", "--output", "NAME"),
    ],
)
def test_the_tools_are_asked_in_one_shape_alone(command: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="not known to read only"):
        Host("local://", 5).run(*command)


SEEN = Place("database", "/a", None, encrypted=True, said="encrypted: x")
OPEN = Place("backups", "/b", None, encrypted=False, said="not seen to be encrypted: y")
BLIND = Place("backups", "/b", None, encrypted=False, said="", unseen=CannotTell("df can't look at it"))


def test_what_is_seen_to_be_encrypted_needs_nobody_to_say_so() -> None:
    found = Encryption((SEEN,))
    assert found.open == ()
    assert found.said("never attested") == "database: encrypted: x"
    found.must_be_told()


def test_each_place_needs_a_key_of_its_own() -> None:
    attested = "attested on 2026-11-01 by Mira, 22 days ago; due on 2027-11-02"
    half = Encryption((SEEN, OPEN), {"database": "arn:aws:kms:x"})
    assert half.open == (OPEN,)
    assert half.said(attested).endswith(f"no key is named for the backups: {attested}")
    whole = Encryption((SEEN, OPEN), {"backups": "arn:aws:kms:x"})
    assert whole.open == ()
    assert "backups: the key arn:aws:kms:x is attested" in whole.said(attested)
    assert whole.looked_at == "2 of 2 places looked at, a key named for 1"


def test_a_place_written_otherwise_is_named() -> None:
    found = Encryption((OPEN,), {"backup": "k", "db": "k"})
    assert "no key is named for the backups (but for backup, db)" in found.said("attested")


def test_what_cannot_be_looked_at_is_blind_unless_a_key_is_named() -> None:
    with pytest.raises(CannotTell, match="df can't look at it"):
        Encryption((SEEN, BLIND)).must_be_told()
    assert Encryption((SEEN, BLIND)).open == ()
    named = Encryption((SEEN, BLIND), {"backups": "k"})
    named.must_be_told()
    assert named.looked_at == "1 of 2 places looked at, a key named for 1"
    assert named.rows()[1]["seen"] == "df can't look at it"
