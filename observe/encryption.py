"""Whether the database's volume and the backups lie on storage that is encrypted, as far as the host can see it.

What a path is mounted from says `findmnt`, and what lies beneath that down to
the disks says `lsblk`. It is encrypted if every way down goes through a device
of dm-crypt: LUKS beneath LVM, above it, or on each of the disks of a RAID. One
disk of several that is reached without it is enough to read what lies there.

What a provider encrypts beneath a virtual disk can't be seen from within, nor
what a disk encrypts by itself, nor what is done at the far end of a network
file system. Of these somebody must say so, and name the provider's key.

Not proven on a live LUKS: where this was made the kernel has no device mapper.
What is read are recorded answers of the tools.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from observe.deadline import Once
from observe.errors import CannotTell
from observe.host import FINDMNT, LSBLK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from observe.filesystems import FileSystems
    from observe.host import Host, Ran

PLACES = ("database", "backups")
MOST_CHAINS = 64

_ENCRYPT = {"ecryptfs": "eCryptfs", "fuse.gocryptfs": "gocryptfs", "fuse.cryfs": "CryFS"}
"""File systems that encrypt what is written to them."""
_REMOTE = re.compile(r"(nfs4?|cifs|smb3?|9p|virtiofs|ceph|glusterfs|fuse\.(sshfs|glusterfs|s3fs|rclone|ceph-fuse))")
_MEMORY = frozenset({"tmpfs", "ramfs"})
_ONLY_CHECKED = re.compile(r"DM_(verity|integrity)", re.IGNORECASE)
"""What lies beneath a device that dm-crypt's tools made and that checks without encrypting."""
_VIRTUAL = re.compile(r"(vd|xvd)[a-z]+|nbd|rbd")
_MODELS = re.compile(r"amazon|elastic block|persistent ?disk|google|virtual|qemu|vmware|volume|msft", re.IGNORECASE)


@dataclass(frozen=True)
class Mount:
    """What is mounted where a path lies.

    Attributes:
        source: What is mounted, as the kernel says it.
        target: Where.
        kind: The file system's type.
        number: Its device's number, `254:0`.
    """

    source: str
    target: str
    kind: str
    number: str


@dataclass(frozen=True)
class Device:
    """A block device.

    Attributes:
        name: Its name, that of the device mapper among them.
        key: The kernel's own name, which is unique.
        type: `disk`, `part`, `crypt`, `lvm`, `raid1`, …
        kind: What is in it: `crypto_LUKS`, `LVM2_member`, `ext4`; empty if nobody knows.
        uuid: That content's identity.
        model: What a disk says that it is.
        number: `254:0`.
        parents: The kernel's names of what it lies on.
    """

    name: str
    key: str
    type: str
    kind: str
    uuid: str
    model: str
    number: str
    parents: tuple[str, ...]

    @property
    def said(self) -> str:
        """The device in words."""
        return f"{self.name} ({' '.join(filter(None, (self.type, self.kind)))})"


@dataclass(frozen=True)
class Devices:
    """The block devices of a host, by the kernel's names."""

    all: Mapping[str, Device]

    def under(self, mount: Mount) -> tuple[Device, ...]:
        """The devices that a mounted file system lies on itself; none if it is on none of them."""
        named = re.sub(r"\[.*\]$", "", mount.source)
        found = [one for one in self.all.values() if one.number == mount.number]
        if not found:
            # A file system over several devices (btrfs) has a number of its own, and names one of them.
            found = [one for one in self.all.values() if named in {f"/dev/{one.key}", f"/dev/mapper/{one.name}"}]
        if mount.kind == "btrfs" and found and found[0].uuid:
            found = [one for one in self.all.values() if one.kind == "btrfs" and one.uuid == found[0].uuid]
        return tuple(found)

    def chains(self, device: Device) -> list[tuple[Device, ...]]:
        """Every way from a device down to a disk, each ending at the first one that encrypts."""
        return list(self._down((device,)))

    def _down(self, way: tuple[Device, ...]) -> Iterator[tuple[Device, ...]]:
        parents = [self.all[key] for key in way[-1].parents if key in self.all and self.all[key] not in way]
        if not parents or self.encrypts(way[-1]):
            yield way
            return
        for parent in parents:
            yield from self._down((*way, parent))

    def encrypts(self, device: Device) -> bool:
        """Whether a device encrypts what is written to it."""
        beneath = [self.all[key] for key in device.parents if key in self.all]
        return device.type == "crypt" and not any(_ONLY_CHECKED.match(one.kind) for one in beneath)


@dataclass(frozen=True)
class Place:
    """Where something is kept that should be encrypted.

    Attributes:
        name: One of :data:`PLACES`.
        path: The path on the host; empty if it isn't known.
        mount: What is mounted there; None if it isn't known.
        encrypted: Whether it was seen to be encrypted.
        said: What was seen.
        unseen: Why it couldn't be looked at; None if it could.
    """

    name: str
    path: str
    mount: Mount | None
    encrypted: bool
    said: str
    unseen: CannotTell | None = None


@dataclass(frozen=True)
class Encryption:
    """The places, held against what somebody has said of them.

    Attributes:
        places: The places.
        attested: The key that somebody has named for a place, by its name; empty if nobody did or too long ago.
    """

    places: tuple[Place, ...]
    attested: Mapping[str, str] = field(default_factory=dict)

    @property
    def open(self) -> tuple[Place, ...]:
        """What was looked at, was not seen to be encrypted, and has no key that somebody named."""
        return tuple(one for one in self._left() if one.unseen is None)

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        seen = [one for one in self.places if one.unseen is None]
        keys = sum(bool(self.attested.get(one.name)) for one in self.places)
        return f"{len(seen)} of {len(self.places)} places looked at, a key named for {keys}"

    def said(self, attested: str) -> str:
        """What was seen, in words.

        Args:
            attested: When it was attested, in words.
        """
        words = []
        for one in self.places:
            key = self.attested.get(one.name)
            seen = str(one.unseen) if one.unseen else one.said
            if one.encrypted or not key:
                words.append(f"{one.name}: {seen}")
            else:
                words.append(f"{one.name}: the key {key[:200]} is attested")
        if left := [one.name for one in self._left()]:
            strangers = sorted(name for name in self.attested if name not in PLACES)
            other = f" (but for {', '.join(strangers)[:200]})" if strangers else ""
            words.append(f"no key is named for the {' and the '.join(left)}{other}: {attested}")
        return "; ".join(words)

    def rows(self) -> list[dict[str, str]]:
        """The places for the report."""
        return [
            {
                "place": one.name,
                "path": one.path or "?",
                "mounted": f"{one.mount.source} on {one.mount.target} ({one.mount.kind})" if one.mount else "?",
                "seen": str(one.unseen) if one.unseen else one.said,
                "attested key": self.attested.get(one.name, "") or "-",
            }
            for one in self.places
        ]

    def must_be_told(self) -> None:
        """Say so if a place could not be looked at and nobody has named its key.

        Raises:
            CannotTell: If that is so.
        """
        for one in self._left():
            if one.unseen is not None:
                raise one.unseen.with_traceback(None)

    def _left(self) -> Iterator[Place]:
        return (one for one in self.places if not one.encrypted and not self.attested.get(one.name))


class Storage:
    """Where things are kept, each looked at once.

    Args:
        host: The host that they are on.
        filesystems: Which paths they have, and where these are mounted.
        bucket: Whether the bucket that the backups lie in encrypts, and how that is known; None where they lie on a
            disk.
    """

    def __init__(
        self, host: Host, filesystems: FileSystems, bucket: Callable[[], tuple[bool, str]] | None = None
    ) -> None:
        self._host = host
        self._bucket = bucket
        self._filesystems = filesystems
        self._devices = Once(lambda: devices(host.run(*LSBLK)))

    def places(self) -> tuple[Place, ...]:
        """The places that should be encrypted; what is in the way of one of them stands with it."""
        return tuple(map(self._place, PLACES))

    def _place(self, name: str) -> Place:
        path = ""
        try:
            if name == "backups" and self._bucket is not None:
                path = "the bucket"
                return Place(name, path, None, *self._bucket())
            if not self._filesystems.has(name):
                return Place(name, "with its provider", None, encrypted=False, said="", unseen=_of_a_provider(name))
            found = self._filesystems.of(name)
            path, mount = found.path, _mount(self._host.run(*FINDMNT, found.mount), found.mount)
            if (known := _without_devices(mount)) is not None:
                return Place(name, path, mount, *known)
            return Place(name, path, mount, *seen(mount, self._devices.get()))
        except CannotTell as why:
            return Place(name, path, None, encrypted=False, said="", unseen=why)


def _of_a_provider(name: str) -> CannotTell:
    return CannotTell(
        f"the {name} lies on no disk of this stack: what its provider encrypts can't be seen from here",
        mend="Find out with which key it does, and record it: `python -m records attest encryption-at-rest --by YOU "
        f'--note "…" --covers {name}=KEY`.',
    )


def _mount(ran: Ran, target: str) -> Mount:
    """What findmnt says is mounted there; of several on top of each other the last, which is the one that is seen."""
    found = _listed(ran, "findmnt", "filesystems")
    if not found:
        raise CannotTell(
            f"findmnt knows nothing that is mounted on {target}: {ran.complaint[:200] or 'it said nothing'}"
        )
    last = found[-1]
    return Mount(_text(last, "source"), _text(last, "target"), _text(last, "fstype"), _text(last, "maj:min"))


def devices(ran: Ran) -> Devices:
    """The block devices that lsblk lists.

    Raises:
        CannotTell: If it failed, or what it said can't be read.
    """
    found: dict[str, Device] = {}
    parents: dict[str, list[str]] = {}
    pending: list[tuple[Any, str]] = [(one, "") for one in _listed(ran, "lsblk", "blockdevices")]
    while pending:
        one, parent = pending.pop()
        if not isinstance(one, dict):
            raise _unreadable("lsblk", "a device that is none")
        key = _text(one, "kname") or _text(one, "name")
        above = parents.setdefault(key, [])
        if parent and parent not in above:
            above.append(parent)
        children = one.get("children") or []
        if not isinstance(children, list):
            raise _unreadable("lsblk", f"children of {key} that are no list")
        pending += [(child, key) for child in children]
        found[key] = Device(
            *(_text(one, "name"), key, _text(one, "type"), _text(one, "fstype"), _text(one, "uuid")),
            *(_text(one, "model"), _text(one, "maj:min"), ()),
        )
    return Devices({key: replace(one, parents=tuple(sorted(parents[key]))) for key, one in found.items()})


def _listed(ran: Ran, program: str, what: str) -> Sequence[Any]:
    if not ran.out.strip():
        if ran.status and ran.complaint:
            raise CannotTell(
                f"{program} on the host failed: {ran.complaint.splitlines()[0][:200]}",
                mend="It must be util-linux's, of version 2.27 or later.",
            )
        return ()
    try:
        listed = json.loads(ran.out)[what]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _unreadable(program, ran.out.strip()[:100]) from None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise _unreadable(program, f"{what} that are no list")
    return listed


def _unreadable(program: str, said: str) -> CannotTell:
    return CannotTell(f"what {program} on the host says can't be read: {said}")


def _text(one: Mapping[str, Any], name: str) -> str:
    value = one.get(name)
    return "" if value is None else str(value).strip()


def _without_devices(mount: Mount) -> tuple[bool, str] | None:
    """What is known from the type of the file system alone; None if its devices must be asked."""
    if mount.kind in _ENCRYPT:
        return True, f"{_ENCRYPT[mount.kind]}, which encrypts"
    if _REMOTE.fullmatch(mount.kind):
        return False, f"{mount.kind}: what the other side does with it can't be seen from here"
    if mount.kind in _MEMORY:
        return False, f"{mount.kind}: it lies in memory, which may be swapped out, and is gone after a restart"
    if mount.kind == "zfs":
        return False, "zfs: whether a data set is encrypted says `zfs get encryption`, which isn't asked"
    if mount.kind == "overlay":
        return False, "overlay: layers of a container, and not a device of this host"
    return None


def seen(mount: Mount, known: Devices) -> tuple[bool, str]:
    """Whether every way from a file system down to a disk goes through something that encrypts, and what was seen."""
    under = known.under(mount)
    if not under:
        return False, f"{mount.source} ({mount.kind}) is none of the host's {len(known.all)} block devices"
    chains = [chain for device in under for chain in known.chains(device)]
    bare = [chain for chain in chains if not known.encrypts(chain[-1])]
    if not bare:
        ways = "; ".join(dict.fromkeys(_said(chain, known) for chain in chains[:MOST_CHAINS]))
        return True, f"encrypted: {ways}"
    ways = "; ".join(dict.fromkeys(_said(chain, known) for chain in bare[:MOST_CHAINS]))
    some = f" ({len(bare)} of {len(chains)} ways down)" if len(bare) < len(chains) else ""
    return False, f"not seen to be encrypted{some}: {ways}"


def _said(chain: Sequence[Device], known: Devices) -> str:
    last = chain[-1]
    way = " on ".join(one.said for one in chain)
    if known.encrypts(last):
        beneath = [known.all[key] for key in last.parents if key in known.all]
        return f"{way} on {', '.join(one.said for one in beneath)}" if beneath else way
    if last.type == "loop":
        return f"{way}, a file: what it lies on isn't looked at"
    if _VIRTUAL.match(last.key) or _MODELS.search(last.model):
        model = f", {last.model}" if last.model else ""
        return f"{way}{model}: a virtual disk, and what its provider encrypts can't be seen from within"
    return way
