"""What the engine keeps that nobody uses, by its own adding up. Nothing is removed.

Serves the guide's emergency procedure for a full disk, which begins with `docker system prune`: before it comes to
that. Counted are images that no container is made of, what containers wrote that don't run, volumes that no container
mounts, and parts of the build cache that no build uses.

Images share layers. The engine says of each how much of it is shared with any other, and how much all layers take
together; it does not say which images share which. What the unused ones would free therefore lies between two bounds,
which are one figure where none of them shares anything, or all that is shared is known to be in use. What `docker
system df` calls reclaimable is more than the upper one: it counts what the used images share as well.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell
from target.kinds import say_bytes, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import docker

    from observe.engine import Engine

_LARGEST = 10
_LONGEST = 80
_AGAIN_SECONDS = 0.25
_BUSY = "already running"
_RUNS = frozenset({"running", "paused", "restarting", "removing"})


@dataclass(frozen=True)
class Kind:
    """One kind of thing that the engine keeps.

    Attributes:
        name: `images`, `containers`, `volumes`, `build cache`.
        count: How many there are.
        unused: How many of them nobody uses.
        size: What those take, in bytes: at least.
        at_most: Likewise, at most.
    """

    name: str
    count: int
    unused: int
    size: int
    at_most: int

    def row(self) -> dict[str, str]:
        """The kind for the report."""
        return {
            "what": self.name,
            "there are": str(self.count),
            "unused": str(self.unused),
            "take": _between(self.size, self.at_most),
        }


@dataclass(frozen=True)
class Unused:
    """Something that nobody uses.

    Attributes:
        kind: As :attr:`Kind.name`.
        name: What it is called.
        size: What it alone would free, in bytes.
    """

    kind: str
    name: str
    size: int


@dataclass(frozen=True)
class Reclaimable:
    """What nobody uses of all that the engine keeps.

    Attributes:
        kinds: The kinds of things, with what nobody uses of each.
        largest: The largest of those, largest first.
        unknown: How many volumes the engine knows no size of.
    """

    kinds: tuple[Kind, ...]
    largest: tuple[Unused, ...]
    unknown: int = 0

    @property
    def size(self) -> int:
        """What would be free without it, in bytes: at least."""
        return sum(one.size for one in self.kinds)

    @property
    def at_most(self) -> int:
        """What would be free without it, in bytes: at most."""
        return sum(one.at_most for one in self.kinds)

    @property
    def looked_at(self) -> str:
        """The denominator: what there is of each kind."""
        return ", ".join(f"{one.count} {one.name}" for one in self.kinds)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside it."""
        unknown = ""
        if self.unknown:
            lie = "volume lies" if self.unknown == 1 else "volumes lie"
            unknown = f"{self.unknown} unused {lie} elsewhere, at a size that the engine doesn't know"
        shared = "images that nobody uses share layers, of which the engine doesn't say who uses them as well"
        return tuple(filter(None, (unknown, shared if self.at_most > self.size else "")))

    def said_of(self, disk: int) -> str:
        """How much it is, of a disk of so many bytes."""
        if self.at_most > self.size:
            share = f"{say_share(self.size / disk)} to {say_share(self.at_most / disk)}"
        else:
            share = say_share(self.size / disk)
        return f"{_between(self.size, self.at_most)} that nobody uses, {share} of {say_bytes(disk)}"

    def must_be_below(self, bytes_: float) -> None:
        """Insist that it is known to be less than so many bytes.

        Raises:
            CannotTell: If it may be more, since images share layers.
        """
        if self.at_most >= bytes_ > self.size:
            raise CannotTell(
                f"what nobody uses takes {_between(self.size, self.at_most)}: images share layers, and the engine "
                "doesn't say which",
                mend="Remove images that nobody needs, the oldest first (`docker image ls`), until the two agree.",
            )

    def rows(self) -> list[dict[str, str]]:
        """The kinds, for the report."""
        return [one.row() for one in self.kinds]

    def largest_rows(self) -> list[dict[str, str]]:
        """The largest things that nobody uses, for the report."""
        return [{"what": one.kind, "name": one.name, "frees": say_bytes(one.size)} for one in self.largest]


def reclaimable(engine: Engine, seconds: float) -> Reclaimable:
    """Ask the engine what it keeps, and add up what nobody uses.

    Args:
        engine: The engine. It adds up what lies in every volume and every container: that can take long.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If it can't be asked, doesn't answer in time, or leaves out what is needed.
    """
    limit = time.monotonic() + seconds

    def question(client: docker.DockerClient) -> Mapping[str, Any]:
        api = client.api
        while True:
            with api.get(f"{api.base_url}/v{api.api_version}/system/df", timeout=seconds + 1) as answer:
                found: Any = answer.json()
                if answer.status_code == 200:
                    return dict(found)
                said = " ".join(str(found.get("message", answer.reason)).split())[:300]
            # Older engines add up for one client at a time, and refuse the others.
            if _BUSY not in said or time.monotonic() + _AGAIN_SECONDS > limit:
                raise CannotTell(f"the engine can't say what its data takes: {said}")
            time.sleep(_AGAIN_SECONDS)

    try:
        seen = engine.ask("say what its data takes", question, seconds=seconds)
    except CannotTell as why:
        if why.cause or not why.mend:
            raise
        raise CannotTell(
            f"the engine did not say what its data takes within {say_span(timedelta(seconds=seconds))}",
            mend="It adds up every volume and every container. Give it longer: timeouts.disk_usage.",
        ) from None
    return added_up(seen)


def added_up(seen: Mapping[str, Any]) -> Reclaimable:
    """Add up what nobody uses of what the engine said.

    Args:
        seen: Its answer to `GET /system/df`.

    Raises:
        CannotTell: If it leaves out what is needed.
    """
    found = [
        _images(seen.get("Images") or [], seen.get("LayersSize")),
        _containers(seen.get("Containers") or []),
        _volumes(seen.get("Volumes") or []),
        _cache(seen.get("BuildCache") or []),
    ]
    unused = sorted((one for _, things in found for one in things), key=lambda one: -one.size)
    return Reclaimable(
        tuple(kind for kind, _ in found),
        tuple(one for one in unused if one.size > 0)[:_LARGEST],
        sum(one.size < 0 for one in unused),
    )


def _images(all_of_them: Sequence[Mapping[str, Any]], layers: object) -> tuple[Kind, list[Unused]]:
    """The images that no container is made of, whether it runs or not.

    What removing one alone frees is its size without what it shares. On top of that comes what they share among
    themselves only: all shared layers without those of the used ones, which are at least the largest share of one of
    them and at most all their shares together.
    """
    if any(_known(one, "Size") < 0 or _known(one, "SharedSize") < 0 for one in all_of_them):
        raise CannotTell("the engine doesn't say how much its images take, or how much of it they share")
    used = [one for one in all_of_them if _known(one, "Containers") > 0]
    unused = [
        Unused("images", _image_name(one), one["Size"] - one["SharedSize"])
        for one in all_of_them
        if _known(one, "Containers") == 0
    ]
    if len(used) + len(unused) < len(all_of_them):
        raise CannotTell("the engine doesn't say how many containers are made of its images")
    own = sum(one.size for one in unused)
    in_use = [one["SharedSize"] for one in used]
    shared_by_unused = [one["SharedSize"] for one in all_of_them if _known(one, "Containers") == 0]
    if not unused or not any(shared_by_unused):
        return Kind("images", len(all_of_them), len(unused), own, own), unused
    if not isinstance(layers, int) or layers <= 0:
        raise CannotTell("the engine doesn't say how much the layers of its images take together")
    shared = max(0, layers - sum(one["Size"] - one["SharedSize"] for one in all_of_them))
    least = max(0, shared - sum(in_use))
    most = min(shared - max(in_use, default=0), sum(shared_by_unused))
    return Kind("images", len(all_of_them), len(unused), own + least, own + max(least, most)), unused


def _containers(all_of_them: Sequence[Mapping[str, Any]]) -> tuple[Kind, list[Unused]]:
    """What containers wrote that don't run; the engine leaves the size out where there is none."""
    unused = [
        Unused("containers", _text((one.get("Names") or ["?"])[0].lstrip("/")), max(0, int(one.get("SizeRw") or 0)))
        for one in all_of_them
        if str(one.get("State", "")).lower() not in _RUNS
    ]
    return _kind("containers", len(all_of_them), unused), unused


def _volumes(all_of_them: Sequence[Mapping[str, Any]]) -> tuple[Kind, list[Unused]]:
    """The volumes that no container mounts, whether it runs or not."""
    if any(_known(one.get("UsageData") or {}, "RefCount") < 0 for one in all_of_them):
        raise CannotTell("the engine doesn't say which of its volumes are used")
    unused = [
        Unused("volumes", _text(one.get("Name")), _known(one["UsageData"], "Size"))
        for one in all_of_them
        if one["UsageData"]["RefCount"] == 0
    ]
    return _kind("volumes", len(all_of_them), unused), unused


def _cache(all_of_them: Sequence[Mapping[str, Any]]) -> tuple[Kind, list[Unused]]:
    """The parts of the build cache that no build uses; those that are an image's layers as well count with it."""
    unused = [
        Unused("build cache", _text(one.get("Description") or one.get("ID")), max(0, int(one.get("Size") or 0)))
        for one in all_of_them
        if not one.get("InUse") and not one.get("Shared")
    ]
    return _kind("build cache", len(all_of_them), unused, "parts of the build cache"), unused


def _kind(name: str, count: int, unused: Sequence[Unused], said: str = "") -> Kind:
    size = sum(max(0, one.size) for one in unused)
    return Kind(said or name, count, len(unused), size, size)


def _known(one: Mapping[str, Any], name: str) -> int:
    """A figure of the engine's; -1 where it doesn't say it, as it says that itself."""
    figure = one.get(name)
    return figure if isinstance(figure, int) else -1


def _image_name(one: Mapping[str, Any]) -> str:
    tags = one.get("RepoTags") or []
    named = [str(tag) for tag in tags if tag != "<none>:<none>"]
    return _text(named[0] if named else str(one.get("Id", "?")).removeprefix("sha256:")[:12])


def _text(name: object) -> str:
    return " ".join(str(name).split())[:_LONGEST]


def _between(least: int, most: int) -> str:
    return say_bytes(least) if most <= least else f"{say_bytes(least)} to {say_bytes(most)}"
