"""The cache: how many of the lookups in Redis found what they looked for.

Redis itself counts, from its start on or from when somebody set the counters back: `redis-cli INFO`, inside its
container. Its password comes from an environment that the engine shows, and goes into that of the command alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from observe.container_command import run_inside
from observe.errors import CannotTell
from target.kinds import Secret, say_bytes, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from observe.engine import Container, Engine

PASSWORDS = ("REDISCLI_AUTH", "VALKEYCLI_AUTH", "REDIS_PASSWORD", "VALKEY_PASSWORD", "KEYDB_PASSWORD", "REDIS_PASS")
"""Environment variables that carry its password, by the images that are in use."""
_GIVEN = ("REDISCLI_AUTH", "VALKEYCLI_AUTH")
_SCHEMES = frozenset({"redis", "rediss", "valkey", "valkeys"})


@dataclass(frozen=True)
class Counters:
    """What one Redis has counted.

    Attributes:
        container: Its container's name.
        version: Its version.
        uptime: Since when it counts, unless the counters were set back.
        hits: Lookups that found something.
        misses: Lookups that found nothing.
        evicted: Keys that had to go to make room for others.
        expired: Keys whose time was over.
        used: Memory that it uses, in bytes.
        most: What it may use; 0 where it has no limit.
        policy: What it does when there is no more.
    """

    container: str
    version: str
    uptime: timedelta
    hits: int
    misses: int
    evicted: int
    expired: int
    used: int
    most: int
    policy: str

    @property
    def lookups(self) -> int:
        """Hits and misses."""
        return self.hits + self.misses

    def row(self) -> dict[str, str]:
        """The counters for the report."""
        return {
            "container": self.container,
            "version": self.version,
            "up for": say_span(self.uptime),
            "hits": f"{self.hits:,}",
            "misses": f"{self.misses:,}",
            "evicted": f"{self.evicted:,}",
            "expired": f"{self.expired:,}",
            "memory": f"{say_bytes(self.used)} of {say_bytes(self.most)}" if self.most else say_bytes(self.used),
            "when it is full": self.policy,
        }


@dataclass(frozen=True)
class Cache:
    """What the cache has counted.

    Attributes:
        service: Its service.
        counters: Of each of its containers that runs.
        notes: What the reader should know beside it.
    """

    service: str
    counters: tuple[Counters, ...]
    notes: tuple[str, ...] = ()

    @property
    def hits(self) -> int:
        """Lookups that found something."""
        return sum(one.hits for one in self.counters)

    @property
    def lookups(self) -> int:
        """All lookups."""
        return sum(one.lookups for one in self.counters)

    @property
    def share(self) -> float:
        """Hits of all lookups, 0 to 1; 0 where there was none."""
        return self.hits / self.lookups if self.lookups else 0.0

    @property
    def looked_at(self) -> str:
        """The denominator: lookups, and since when they are counted."""
        since = say_span(max(one.uptime for one in self.counters))
        many = f" in {len(self.counters)} containers" if len(self.counters) > 1 else ""
        return f"{self.lookups:,} lookups{many} of {self.service}, which is up for {since}"

    def said(self, floor: int) -> str:
        """How many of them found something; that they are too few to judge, where they are fewer than the floor."""
        if not self.lookups:
            return "nobody has looked anything up, too few to judge"
        found = f"{self.hits:,} of {self.lookups:,} lookups found something ({say_share(self.share)})"
        return found if self.lookups >= floor else f"{found}, too few to judge"

    def holds(self, share: float, floor: int) -> bool:
        """Whether so large a share found something, where there were enough to have a share of.

        Args:
            share: 0 to 1.
            floor: Of fewer lookups no share is judged.
        """
        return self.lookups < floor or self.share >= share

    def rows(self) -> list[dict[str, str]]:
        """The counters of each container, for the report."""
        return [one.row() for one in self.counters]


def look(engine: Engine, containers: Sequence[Container], clients: Sequence[Container], seconds: float) -> Cache:
    """What the cache has counted.

    Args:
        engine: The engine that its containers are on.
        containers: Its containers, one at least.
        clients: Containers of its clients, which know its password if it has one.
        seconds: Total time limit of each answer, in seconds.

    Raises:
        CannotTell: If none of its containers runs, or one that does doesn't tell.
    """
    running = [one for one in containers if one.running]
    if not running:
        first = containers[0]
        raise CannotTell(f"the cache's container {first.name} is {first.status}", cause=f"service {first.service}")
    notes = [f"{one.name} is {one.status} and was not asked" for one in containers if not one.running]
    counters = tuple(_counters(engine, one, password_of(one, clients), seconds) for one in running)
    return Cache(running[0].service, counters, tuple(notes))


def password_of(container: Container, clients: Sequence[Container]) -> Secret | None:
    """The password by the container's own environment, or by that of its clients; None where nothing says one."""
    for one in (container, *clients):
        for name in PASSWORDS:
            if name in one.secrets:
                return one.secrets[name]
    for one in clients:
        for secret in one.secrets.values():
            if (found := _of_address(secret, container.service)) is not None:
                return found
    return None


def _of_address(secret: Secret, service: str) -> Secret | None:
    """The password in `redis://:password@service:6379/0`; None where it is no such address."""
    try:
        parts = urlsplit(secret.reveal())
        if parts.scheme not in _SCHEMES or parts.hostname != service or not parts.password:
            return None
        return Secret(unquote(parts.password))
    except ValueError:
        return None


def _counters(engine: Engine, container: Container, password: Secret | None, seconds: float) -> Counters:
    program = next((name for name in ("valkey", "keydb") if name in container.image), "redis")
    secrets = dict.fromkeys(_GIVEN, password) if password is not None else {}
    try:
        ran = run_inside(engine, container, (f"{program}-cli", "INFO"), seconds, secrets=secrets)
    except CannotTell as why:
        if not re.search("no such file|not found", why.what, re.IGNORECASE):
            raise
        mend = f"Is {container.service} a Redis? Name the right service as services.cache."
        raise CannotTell(why.what, mend=mend) from None
    known = {key: value for key, _, value in (line.partition(":") for line in ran.out.splitlines())}
    if ran.status != 0 or "keyspace_hits" not in known:
        raise _silent(container, ran.out, ran.complaint)
    return Counters(
        container=container.name,
        version=(known.get("valkey_version") or known.get("redis_version") or "not known")[:40],
        uptime=timedelta(seconds=_number(known, "uptime_in_seconds")),
        hits=_number(known, "keyspace_hits"),
        misses=_number(known, "keyspace_misses"),
        evicted=_number(known, "evicted_keys"),
        expired=_number(known, "expired_keys"),
        used=_number(known, "used_memory"),
        most=_number(known, "maxmemory"),
        policy=known.get("maxmemory_policy", "")[:40],
    )


def _number(known: Mapping[str, str], key: str) -> int:
    digits = known.get(key, "0").strip()
    return int(digits) if digits.isdecimal() else 0


def _silent(container: Container, out: str, complaint: str) -> CannotTell:
    """Why it doesn't tell."""
    # It complains of a password that nobody asked for as well, and goes on.
    words = complaint if "WRONGPASS" in complaint or not out.strip() else out
    first = next((line for line in words.splitlines() if line.strip()), "it printed nothing")
    mend = f"Ask it by hand: docker exec {container.name} redis-cli INFO"
    if "NOAUTH" in out or "WRONGPASS" in complaint:
        mend = (
            f"Give the service {container.service} its password in its environment, as REDISCLI_AUTH, in the Compose "
            "file: redis-cli takes it from there."
        )
    elif "NOPERM" in out:
        mend = "Let its default user ask: ACL SETUSER default +info"
    return CannotTell(f"{container.name} doesn't say what it has counted: {' '.join(first.split())[:200]}", mend=mend)
