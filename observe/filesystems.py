"""How full the file systems are, as `df` says it. Serves the guide's `df -h /`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

from observe.errors import CannotTell
from target.kinds import Share, Size, say_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from observe.host import Host

_MOUNTS = PurePosixPath("/proc/self/mountinfo")
_MOUNT = re.compile(r"^(?:\S+ ){4}(\S+)", re.MULTILINE)
_ESCAPED = re.compile(r"\\([0-7]{3})")
_LINE = re.compile(
    r"(?P<device>.+?)\s+(?P<all>\d+|-)\s+(?P<used>\d+|-)\s+(?P<free>-?\d+|-)\s+(?P<share>\d+%|-)\s+(?P<mount>/.*)"
)


@dataclass(frozen=True)
class Usage:
    """How much of something a file system has, and how much of it is used.

    Attributes:
        total: All there is: bytes, or inodes.
        used: What is used, of the same.
        free: What a user who isn't root can still use.
        share: The share that is used as `df` shows it: rounded up to a whole per
            cent, what root reserves counted as used. None where there is nothing
            to count, as with the inodes of some file systems.
    """

    total: int
    used: int
    free: int
    share: Share | None


@dataclass(frozen=True)
class FileSystem:
    """A file system that matters, and why it does.

    Attributes:
        role: `root`, `docker`, `backups`, `database`, or a name from the settings.
        path: The path that was asked for.
        device: What is mounted there.
        mount: Where it is mounted.
    """

    role: str
    path: str
    device: str
    mount: str
    space: Usage
    inodes: Usage

    @property
    def free(self) -> str:
        """The room that is left, as a person says it."""
        return say_bytes(self.space.free)

    def row(self) -> dict[str, str]:
        """The file system for the report."""
        return {
            "what": self.role,
            "path": self.path,
            "mounted on": self.mount,
            "size": say_bytes(self.space.total),
            "free": say_bytes(self.space.free),
            "used": str(self.space.share) if self.space.share is not None else "-",
            "inodes used": str(self.inodes.share) if self.inodes.share is not None else "-",
        }


class FileSystems:
    """The file systems that matter, seen with one `df` for space and one for inodes.

    Args:
        host: The host they are on.
        paths: Role to path, or to a function that finds the path out and may
            raise CannotTell, which then concerns that role alone.
        others: Those of other hosts by the hosts' names; their roles are `name/role`.
    """

    def __init__(
        self,
        host: Host,
        paths: Mapping[str, str | Callable[[], str]],
        others: Mapping[str, FileSystems] | None = None,
    ) -> None:
        self._host = host
        self._paths = paths
        self._others = others or {}

    def has(self, role: str) -> bool:
        """Whether one of this host's has that role."""
        return role in self._paths

    def of(self, role: str) -> FileSystem:
        """The file system of that role.

        Raises:
            CannotTell: If its path isn't known, doesn't exist or can't be looked at.
        """
        name, _, there = role.rpartition("/")
        if name:
            return replace(self._others[name].of(there), role=role)
        seen = self._all[role]
        if isinstance(seen, CannotTell):
            raise seen.with_traceback(None)
        return seen

    def rows(self) -> list[dict[str, str]]:
        """All that could be seen, for the report; of other hosts, what somebody has asked for."""
        rows = [one.row() for one in self._all.values() if isinstance(one, FileSystem)]
        for name, other in self._others.items():
            if "_all" in vars(other):
                rows += [{**row, "what": f"{name}/{row['what']}"} for row in other.rows()]
        return rows

    @cached_property
    def _all(self) -> Mapping[str, FileSystem | CannotTell]:
        seen: dict[str, FileSystem | CannotTell] = {}
        paths: dict[str, str] = {}
        for role, path in self._paths.items():
            try:
                paths[role] = path if isinstance(path, str) else path()
            except CannotTell as unknown:
                seen[role] = unknown
        space = self._df(list(dict.fromkeys(paths.values())), "-P")
        # What can't be looked at isn't asked for again, and what stands for something stands for it here as well.
        named = {path: one["asked"] for path, one in space.items() if not isinstance(one, CannotTell)}
        inodes = self._df(list(dict.fromkeys(named.values())), "-Pi")
        for role, path in paths.items():
            one = space[path]
            other = inodes[named[path]] if path in named else one
            if isinstance(one, CannotTell) or isinstance(other, CannotTell):
                seen[role] = one if isinstance(one, CannotTell) else cast("CannotTell", other)
                continue
            seen[role] = FileSystem(role, path, one["device"], one["mount"], _space(one), _inodes(other))
        return seen

    def _df(self, paths: list[str], how: str) -> Mapping[str, Mapping[str, str] | CannotTell]:
        if not paths:
            return {}  # without a path df would speak of all there are
        ran = self._host.run("df", how, "--", *paths)
        lines = ran.out.splitlines()[1:]
        refused = _refused(ran.complaint, paths)
        if len(lines) + len(refused) != len(paths):
            if len(paths) > 1:
                # A name of some odd spelling, perhaps: one by one tells whose complaint it is.
                return {path: answer for one in paths for path, answer in self._df([one], how).items()}
            why = ran.complaint.rpartition(":")[2].strip().lower() or f"df answered {len(lines)} lines"
            refused, lines = {paths[0]: why}, []
        answered = [one for one in paths if one not in refused]
        seen = {path: _columns(path, line) for path, line in zip(answered, lines, strict=True)}
        # Docker's directory lets nobody in, and what it is mounted on is known all the same.
        stead = {path: self._mount_of(path) for path, why in refused.items() if why == "permission denied"}
        stead = {path: mount for path, mount in stead.items() if mount not in {"", path}}
        mounts = self._df(list(dict.fromkeys(stead.values())), how)
        for path, why in refused.items():
            seen[path] = mounts[stead[path]] if path in stead else _unseen(path, why)
        return seen

    def _mount_of(self, path: str) -> str:
        """Where what holds a path is mounted, by the kernel's own list; empty if that can't be read.

        By the path's text: it holds for a path without links, as the engine gives its own.
        """
        wanted = PurePosixPath(path)
        return max((one for one in self._mounts if wanted.is_relative_to(one)), key=len, default="")

    @cached_property
    def _mounts(self) -> tuple[str, ...]:
        try:
            text = self._host.path(_MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ()
        return tuple(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), one[1]) for one in _MOUNT.finditer(text))


def _refused(complaint: str, paths: list[str]) -> dict[str, str]:
    """What df says of each path that it can't look at; empty where a line isn't of just one of these for certain."""
    refused = {}
    for line in complaint.splitlines():
        of = [path for path in paths if line.startswith(f"df: {path}: ")]
        if len(of) != 1 or of[0] in refused:
            return {}
        refused[of[0]] = line.removeprefix(f"df: {of[0]}: ").strip().lower()
    return refused


def _columns(path: str, line: str) -> Mapping[str, str] | CannotTell:
    match = _LINE.fullmatch(line)
    return {**match.groupdict(), "asked": path} if match else CannotTell(f"df's line can't be read: {line[:200]}")


def _unseen(path: str, why: str) -> CannotTell:
    return CannotTell(
        f"df can't look at {path}: {why[:200]}",
        mend="Check the path in the target; if it is right, let the user of this run reach it.",
    )


def _space(line: Mapping[str, str]) -> Usage:
    total, used, free, share = _usage(line)
    return Usage(Size(total * 1024), Size(used * 1024), Size(free * 1024), share)


def _inodes(line: Mapping[str, str]) -> Usage:
    return Usage(*_usage(line))


def _usage(line: Mapping[str, str]) -> tuple[int, int, int, Share | None]:
    def number(key: str) -> int:
        return 0 if line[key] == "-" else max(0, int(line[key]))

    total = number("all")
    share = None if line["share"] == "-" or not total else Share(int(line["share"].rstrip("%")) / 100)
    return total, number("used"), number("free"), share
