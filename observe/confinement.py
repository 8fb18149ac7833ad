"""What containers may do to the host that they run on: privileges, users, the engine's socket, namespaces, memory.

What is asked is what the CIS Docker Benchmark asks, and its items are named by
its version 1.8.0: their numbers moved by one after version 1.5. Each thing is
taken from where it is in force: what the engine made the container with, and
for users the processes that run. An image's `USER` says neither that an
entrypoint has given its rights up nor that somebody has set another user.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from observe.engine import Container, Image, Process

BENCHMARK = "CIS Docker Benchmark 1.8.0"
FIRST_IMAGE = datetime(2013, 3, 1, tzinfo=UTC)
"""Docker is no older. What says that it was made before is made to be the same whenever it is made."""
MOST_SAID = 6

_SOCKETS = (
    *("/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock"),
    *("/run/user/0/docker.sock", "/run/user/0/podman/podman.sock", "/run/docker/containerd/containerd.sock"),
)
_SOCKET_NAME = re.compile(r"(docker|docker\.raw|containerd|podman|crio|buildkitd)\.sock")
_USERS_OWN = re.compile(r"/run/user(/\d+(/podman)?)?")
_ROOT = re.compile(r"(root|0+)?(:.*)?", re.DOTALL)


@dataclass(frozen=True)
class Rules:
    """What containers may and must not do, by the services that they are of.

    Attributes:
        not_root: Whose processes must not be root's.
        image_age: So old an image may be.
        read_only: Whose root file system must not be writable.
        privileged: Which may be privileged.
        engine_socket: Which may have the engine's socket.
        host_network: Which may use the host's network as it is.
        capabilities: Which capabilities may be added, per service.
        unlimited_memory: Which may use all memory there is.
        socket: Where the engine listens, if that is a unix socket.
    """

    not_root: frozenset[str]
    image_age: timedelta
    read_only: frozenset[str] = frozenset()
    privileged: frozenset[str] = frozenset()
    engine_socket: frozenset[str] = frozenset()
    host_network: frozenset[str] = frozenset()
    capabilities: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unlimited_memory: frozenset[str] = frozenset()
    socket: str | None = None


@dataclass(frozen=True)
class Point:
    """One thing that was looked at of one container.

    Attributes:
        what: What it is: a column of the report.
        said: What was seen, in a word or two.
        trouble: What is wrong with that, to follow the container's name; empty if nothing is.
        item: What asks for it.
        unseen: Why it can't be told; empty if it can.
        needed: Whether a setting asks for it, so that it must be told.
    """

    what: str
    said: str
    trouble: str = ""
    item: str = ""
    unseen: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Confined:
    """A container and what was looked at of it."""

    container: str
    points: tuple[Point, ...]
    processes: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Confinement:
    """Some containers, and what they may do.

    Attributes:
        name: What they are, in words: a service.
        all: Each of them.
    """

    name: str
    all: tuple[Confined, ...]

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; said once of containers that are all the same in it."""
        which: dict[tuple[str, str], list[str]] = {}
        for one in self.all:
            for point in one.points:
                if point.trouble:
                    which.setdefault((point.trouble, point.item), []).append(one.container)
        return tuple(f"{_names(names)} {trouble} ({item})" for (trouble, item), names in which.items())

    @property
    def said(self) -> str:
        """What was seen, in words."""
        troubles = self.troubles
        if not troubles:
            return "confined" if self.all else "there are none"
        more = f"; and {len(troubles) - MOST_SAID} more" if len(troubles) > MOST_SAID else ""
        return "; ".join(troubles[:MOST_SAID]) + more

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        points = [point for one in self.all for point in one.points]
        told = sum(not point.unseen for point in points)
        processes = sum(one.processes for one in self.all)
        among = f", of {_number(processes, 'process')} in them" if processes else ""
        return f"{_number(len(self.all), 'container')} of {self.name}: {told} of {len(points)} points told{among}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What else the reader should know."""
        unseen = [f"{one.container}: {point.unseen}" for one in self.all for point in one.points if point.unseen]
        return tuple(dict.fromkeys((*(note for one in self.all for note in one.notes), *unseen)))

    def rows(self) -> list[dict[str, str]]:
        """The containers and what was seen of them, for the report."""
        return [
            {
                "container": one.container,
                **{point.what: f"{point.said} ✗" if point.trouble else point.said for point in one.points},
            }
            for one in self.all
        ]

    def must_be_told(self) -> None:
        """Say so if something that the settings ask for could not be seen.

        Raises:
            CannotTell: If that is so.
        """
        unseen = [
            f"{one.container}: {point.unseen}"
            for one in self.all
            for point in one.points
            if point.unseen and point.needed
        ]
        if unseen:
            raise CannotTell(
                "; ".join(unseen[:MOST_SAID]), mend="Start it, or let this run's engine list its processes."
            )


def confinement(
    name: str,
    containers: Sequence[Container],
    rules: Rules,
    now: datetime,
    *,
    image: Callable[[str], Image | None],
    processes: Callable[[Container], tuple[Process, ...] | None],
) -> Confinement:
    """Look at what some containers may do.

    Args:
        name: What they are, in words.
        containers: The containers, those that don't run among them.
        rules: What they may and must not do.
        now: What time it is.
        image: Looks an image up by its id.
        processes: Lists the processes of a container that runs; asked only of what must not be root's.

    Raises:
        CannotTell: If the engine can't be asked.
    """
    return Confinement(name, tuple(_confined(one, rules, now, image, processes) for one in containers))


def _confined(
    one: Container,
    rules: Rules,
    now: datetime,
    image: Callable[[str], Image | None],
    processes: Callable[[Container], tuple[Process, ...] | None],
) -> Confined:
    running: tuple[Process, ...] | None = None
    outside: tuple[Process, ...] = ()
    unseen = ""
    if one.service in rules.not_root and one.status in {"running", "paused"}:
        try:
            running = processes(one)
        except CannotTell as why:
            if why.cause:
                raise
            unseen = why.what
        if running:
            running, outside = _its_own(one, running)
    return Confined(
        one.name,
        (
            _privileged(one, rules),
            _capabilities(one, rules),
            _user(one, rules, running, unseen),
            _engine_socket(one, rules),
            _network(one, rules),
            *_namespaces(one),
            _memory(one, rules),
            _root_file_system(one, rules),
            _profiles(one),
            _age(image(one.image), rules, now),
        ),
        len(running or ()),
        _notes(one, outside),
    )


def _has(one: Container, name: str) -> Any:  # noqa: ANN401  the engine's own
    return one.settings.plain.get(name)


def _privileged(one: Container, rules: Rules) -> Point:
    if not _has(one, "Privileged"):
        return Point("privileged", "no")
    if one.service in rules.privileged:
        return Point("privileged", "yes, allowed")
    return Point("privileged", "yes", "is privileged: its root is the host's", _item("5.5"))


def _capabilities(one: Container, rules: Rules) -> Point:
    added = sorted({_capability(name) for name in _has(one, "CapAdd") or ()})
    allowed = {_capability(name) for name in rules.capabilities.get(one.service, ())}
    wrong = [name for name in added if name not in allowed and "ALL" not in allowed]
    said = ", ".join(added) or "none added"
    if not wrong:
        return Point("capabilities", f"{said}, allowed" if added else said)
    what = "all capabilities" if "ALL" in wrong else f"the capabilities {', '.join(wrong)}"
    return Point("capabilities", said, f"was given {what} besides the usual ones", _item("5.4"))


def _capability(name: str) -> str:
    return str(name).upper().removeprefix("CAP_")


def _user(one: Container, rules: Rules, running: tuple[Process, ...] | None, unseen: str) -> Point:
    """Whose its processes are. What runs says more than what it was started as: an entrypoint may give rights up."""
    made_as = str(_has(one, "User") or "")
    starts_as_root = _ROOT.fullmatch(made_as) is not None
    if one.service not in rules.not_root:
        return Point("user", "root or not, both allowed" if starts_as_root else made_as)
    if running:
        roots = [process for process in running if process.user == 0]
        users = Counter(process.user for process in running)
        said = ", ".join(f"{number} of user {user}" for user, number in sorted(users.items()))
        if not roots:
            return Point("user", said)
        names = ", ".join(dict.fromkeys(process.command[:40] for process in roots[:MOST_SAID]))
        trouble = f"runs {len(roots)} of {_number(len(running), 'process')} as root ({names})"
        return Point("user", said, trouble, _item("4.1"))
    if not starts_as_root:
        return Point("user", made_as)
    if unseen:
        return Point("user", "?", unseen=f"it is started as root, and whether it stays root isn't known: {unseen}")
    why = f"it is {one.status} and is started as root: whether it stays root would be seen while it runs"
    return Point("user", "?", unseen=why)


def _its_own(one: Container, all_of_them: tuple[Process, ...]) -> tuple[tuple[Process, ...], tuple[Process, ...]]:
    """What its first process and that one's children are, and what somebody has started from outside (`exec`)."""
    parents = {process.pid: process.parent for process in all_of_them}
    if one.pid not in parents:
        return all_of_them, ()

    def first(pid: int) -> int:
        seen: set[int] = set()
        while pid != one.pid and parents.get(pid) in parents and pid not in seen:
            seen.add(pid)
            pid = parents[pid]
        return pid

    mine = tuple(process for process in all_of_them if first(process.pid) == one.pid)
    return mine, tuple(process for process in all_of_them if process not in mine)


def _notes(one: Container, outside: tuple[Process, ...]) -> tuple[str, ...]:
    roots = [process.command[:40] for process in outside if process.user == 0]
    if not roots:
        return ()
    names = ", ".join(dict.fromkeys(roots[:MOST_SAID]))
    return (f"{one.name}: {len(roots)} more of root were started from outside, by `exec`, and don't count: {names}",)


def _engine_socket(one: Container, rules: Rules) -> Point:
    sockets = (*_SOCKETS, *([rules.socket] if rules.socket else []))
    reaching = sorted(source for source in one.mounts.values() if _reaches(source, sockets))
    if not reaching:
        return Point("engine's socket", "not there")
    if one.service in rules.engine_socket:
        return Point("engine's socket", f"{', '.join(reaching)}, allowed")
    trouble = f"has {', '.join(reaching)} of the host, and through the engine's socket the whole host, read-only or not"
    return Point("engine's socket", ", ".join(reaching), trouble, _item("5.32"))


def _reaches(source: str, sockets: Sequence[str]) -> bool:
    """Whether a path of the host is an engine's socket, or a directory in which one lies."""
    place = PurePosixPath(_plain(source))
    if _SOCKET_NAME.fullmatch(place.name) or _USERS_OWN.fullmatch(str(place)):
        return True
    return any(place in {path, *path.parents} for path in map(PurePosixPath, map(_plain, sockets)))


def _plain(path: str) -> str:
    """A path without the link that /var/run is."""
    return re.sub(r"^/var/run(?=/|$)", "/run", path)


def _network(one: Container, rules: Rules) -> Point:
    if _has(one, "NetworkMode") != "host":
        return Point("network", "its own")
    if one.service in rules.host_network:
        return Point("network", "the host's, allowed")
    return Point("network", "the host's", "uses the host's network as it is", _item("5.10"))


def _namespaces(one: Container) -> tuple[Point, ...]:
    seen = [("processes", "PidMode", "5.16"), ("IPC", "IpcMode", "5.17"), ("UTS", "UTSMode", "5.21")]
    return tuple(
        Point(f"{name} namespace", "the host's", f"shares the host's {name} namespace", _item(number))
        if _has(one, key) == "host"
        else Point(f"{name} namespace", "its own")
        for name, key, number in seen
    )


def _memory(one: Container, rules: Rules) -> Point:
    if limit := _has(one, "Memory"):
        return Point("memory", f"at most {say_bytes(limit)}")
    if one.service in rules.unlimited_memory:
        return Point("memory", "no limit, allowed")
    return Point("memory", "no limit", "has no memory limit", _item("5.11"))


def _root_file_system(one: Container, rules: Rules) -> Point:
    if _has(one, "ReadonlyRootfs"):
        return Point("root file system", "read-only")
    if one.service not in rules.read_only:
        return Point("root file system", "writable, allowed")
    return Point("root file system", "writable", "can write to its root file system", _item("5.13"))


def _profiles(one: Container) -> Point:
    options = {str(option).lower().replace("=", ":", 1) for option in _has(one, "SecurityOpt") or ()}
    if _has(one, "Privileged") or "host" in (_has(one, "PidMode"), _has(one, "IpcMode")):
        options.discard("label:disable")  # the engine itself adds it to these
    off = [
        (name, number)
        for option, name, number in (
            ("seccomp:unconfined", "seccomp", "5.22"),
            ("apparmor:unconfined", "AppArmor", "5.2"),
            ("label:disable", "SELinux", "5.3"),
        )
        if option in options
    ]
    if not off:
        return Point("security profiles", "none switched off")
    names = " and ".join(name for name, _ in off)
    return Point(
        "security profiles", f"without {names}", f"runs without {names}", _item(*(number for _, number in off))
    )


def _age(image: Image | None, rules: Rules, now: datetime) -> Point:
    if image is None:
        return Point("image", "?", unseen="the engine doesn't have its image any more", needed=False)
    if image.created is None or image.created < FIRST_IMAGE:
        why = "its image doesn't say when it was made, as those that are reproducible don't"
        return Point("image", "of no date", unseen=why, needed=False)
    age = max(now - image.created, timedelta(0))
    said = f"{say_span(age)} old"
    if age <= rules.image_age:
        return Point("image", said)
    name = image.names[0] if image.names else image.id[:19]
    return Point("image", said, f"runs an image that is {said} ({name})", _item("4.4"))


def _item(*numbers: str) -> str:
    return f"{BENCHMARK}, {' and '.join(numbers)}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SAID} more" if len(names) > MOST_SAID else ""
    return ", ".join(names[:MOST_SAID]) + more


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('s') else 's'}"
