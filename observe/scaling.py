"""When to scale: the five questions of the guide's decision tree, each a figure held against its limit.

To three of them the guide's advice may have been followed already: several backends behind a proxy, a cache, a pooler
in front of the database. That is looked for only when the figure is over its limit, and it counts when it is of use: a
backend that no proxy reaches, a cache that nobody asks and a pooler that nobody connects through are none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from observe.engine import fingerprint
from observe.errors import CannotTell
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import timedelta

    from observe.database import Connections, Database
    from observe.engine import Container, Project
    from observe.filesystems import FileSystem, FileSystems
    from observe.processor import Processor
    from observe.requests_seen import Requests
    from observe.response_times import ResponseTimes

Taken = Literal["no", "yes", "there"]
"""The branch that is taken: not over the limit, over it, over it with what the guide advises there already."""

POOLERS = ("pgbouncer", "pgpool", "odyssey", "pgcat", "supavisor", "pgdog")
"""Programs that pool connections to PostgreSQL."""
_IMAGE = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(POOLERS)})(?:-?ii|2)?(?![a-z0-9])")
_NO_POOLER = re.compile(r"exporter|metrics|dashboard")
"""What only watches one carries its name as well."""
_PLACES = ("", "/bin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/app/", "/opt/pgbouncer/")
_COMMANDS = frozenset(fingerprint(f"{place}{name}") for place in _PLACES for name in POOLERS)
"""Of a container's command only fingerprints are known."""


@dataclass(frozen=True)
class Already:
    """Whether what the guide advises is there already.

    Attributes:
        there: Whether it is, and is of use.
        said: What was found, in words.
        notes: What the reader should know beside it.
    """

    there: bool
    said: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """One question of the tree, answered.

    Attributes:
        value: The figure, as a number.
        figure: The same in words, short.
        seen: What was seen, in words.
        looked_at: The denominator.
        over: Whether the figure is over its limit.
        table: What to show of it: a title, and rows.
        already: Whether the advice has been followed; None where that wasn't looked for.
        more: What the reader should know beside it.
    """

    value: float
    figure: str
    seen: str
    looked_at: str
    over: bool
    table: tuple[str, Sequence[dict[str, str]]]
    already: Already | None = None
    more: tuple[str, ...] = ()

    @property
    def taken(self) -> Taken:
        """The branch."""
        if not self.over:
            return "no"
        return "there" if self.already is not None and self.already.there else "yes"

    @property
    def there(self) -> str:
        """What of the advice is there, in words; empty where it isn't, or wasn't looked for."""
        return self.already.said if self.already is not None and self.already.there else ""

    @property
    def said(self) -> str:
        """What was seen, and what of the advice is there."""
        return f"{self.seen}; {self.already.said}" if self.already is not None else self.seen

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside it."""
        return (*self.more, *(self.already.notes if self.already is not None else ()))


def users(
    database: Database, table: str, limit: int, already: Callable[[], Already], seconds: float | None = None
) -> Decision:
    """How many users there are, of those who may log in.

    Args:
        database: Where they are.
        table: Django's users.
        limit: So many need no more than one backend.
        already: Says whether there are several.
        seconds: Total time limit of the counting; None for the session's own.

    Raises:
        CannotTell: If the table can't be read, or there is nobody in it.
    """
    (row,) = database.ask("users_active", {"users": table}, seconds=seconds)
    active, total = int(row["active"]), int(row["total"])
    if not total:
        raise CannotTell(
            f"{table} has no user at all",
            mend="See whether application.users is the table that the application uses.",
        )
    over = active > limit
    return Decision(
        active,
        f"{active:,}",
        f"{active:,} {'user' if active == 1 else 'users'} may log in",
        f"{total:,} {'row' if total == 1 else 'rows'} of {table}",
        over,
        ("Users", [{"may log in": f"{active:,}", "may not": f"{total - active:,}"}]),
        already() if over else None,
        (f"{total - active:,} more may not log in and don't count",) if total > active else (),
    )


def response(times: ResponseTimes, limit: timedelta, already: Callable[[], Already]) -> Decision:
    """How long the site takes to answer nineteen of twenty requests.

    Args:
        times: How long requests took.
        limit: So long needs no cache.
        already: Says whether there is one.

    Raises:
        CannotTell: If it is to be looked for and can't be seen.
    """
    over = times.p95 > limit
    return Decision(
        times.p95.total_seconds(),
        say_span(times.p95),
        f"{times.said} by {times.source}",
        times.looked_at,
        over,
        ("Response times", [times.row()]),
        already() if over else None,
        times.notes,
    )


def database_cpu(seen: Processor, limit: float, already: Callable[[], Already]) -> Decision:
    """How busy the database keeps the processor.

    Args:
        seen: How busy its containers were.
        limit: A share, 0 to 1.
        already: Says whether there is a pooler.

    Raises:
        CannotTell: If it is to be looked for and can't be seen.
    """
    over = seen.share > limit
    return Decision(
        seen.share,
        seen.figure,
        seen.said,
        seen.looked_at,
        over,
        ("The database's containers", seen.rows()),
        already() if over else None,
    )


def fullest(filesystems: FileSystems, roles: Iterable[str], limit: float, floor: int) -> Decision:
    """How full the fullest of the file systems is, as `df` says it.

    Args:
        filesystems: All that are watched.
        roles: Their names.
        limit: A share, 0 to 1.
        floor: Smaller ones, in bytes, are not judged.

    Raises:
        CannotTell: If none could be looked at, or one couldn't and no other is over the limit.
    """
    seen: list[FileSystem] = []
    unseen: dict[str, CannotTell] = {}
    for role in roles:
        try:
            seen.append(filesystems.of(role))
        except CannotTell as why:
            unseen[role] = why
    judged = {one.role: one.space.share for one in seen if one.space.share is not None and one.space.total >= floor}
    full = max(judged, key=lambda role: judged[role]) if judged else ""
    over = bool(judged) and judged[full] > limit
    if unseen and not over:
        raise _not_all_of_them(unseen, len(seen) + len(unseen))
    if not judged:
        raise CannotTell(f"none of the {len(seen)} file systems is of a size to be judged", mend="See disk_floor.")
    mount = next(one.mount for one in seen if one.role == full)
    left_out = [one.role for one in seen if one.role not in judged]
    return Decision(
        judged[full],
        str(judged[full]),
        f"{judged[full]} of {full} ({mount}) used, the fullest of {len(judged)}",
        f"{len(seen)} of {len(seen) + len(unseen)} file systems",
        over,
        ("File systems", [one.row() for one in seen]),
        more=(
            *(f"{role} can't be looked at: {why}" for role, why in unseen.items()),
            *([f"not judged, since they are small or have no size: {', '.join(left_out)}"] if left_out else []),
        ),
    )


def _not_all_of_them(unseen: dict[str, CannotTell], of: int) -> CannotTell:
    first = next(iter(unseen.values()))
    if len(unseen) == of and len({str(why) for why in unseen.values()}) == 1:
        return first
    said = "; ".join(f"{role}: {why}" for role, why in unseen.items())
    causes = {why.cause for why in unseen.values()}
    return CannotTell(
        f"{len(unseen)} of {of} file systems can't be looked at, and none of the others is too full: {said}",
        mend=first.mend,
        cause=causes.pop() if len(causes) == 1 else "",
    )


def errors(seen: Requests, limit: float, floor: int) -> Decision:
    """Which share of the requests ended in a server error.

    Args:
        seen: The requests of the window.
        limit: A share, 0 to 1.
        floor: Fewer errors than this are no rate.

    Raises:
        CannotTell: If there was no request.
    """
    rate = seen.rate
    few = 0 < rate.errors < floor
    return Decision(
        rate.share,
        f"{say_share(rate.share)}{f' ({rate.errors} of {rate.requests:,})' if few else ''}",
        seen.said,
        seen.looked_at,
        rate.errors >= floor and rate.share > limit,
        ("Where they failed", [{"path": path, "errors": str(number)} for path, number in rate.by_path]),
        more=seen.notes,
    )


def balanced(project: Project, backend: str, limit: int, not_proxies: Iterable[str]) -> Already:
    """Whether several backends are there, behind one proxy.

    One that doesn't run, or isn't healthy, isn't there. A proxy is what publishes a port and shares a network with
    them; where the project has none of its own, backends that publish a port themselves are taken for what one
    outside of it is led to.

    Args:
        project: The project's containers.
        backend: The service.
        limit: So many are several.
        not_proxies: Services that publish a port and are something else, such as the database.

    Raises:
        CannotTell: If the engine can't be asked.
    """
    made = project.containers(backend)
    well = [one for one in made if one.running and _well(one)]
    others = set(project.services) - {backend, *not_proxies}
    reached = {
        service: sum(_reaches(proxy, one) for one in well)
        for service in sorted(others)
        for proxy in project.containers(service)
        if proxy.running and (_published(proxy) or _on_host(proxy))
    }
    best = max(reached, key=lambda service: reached[service], default="")
    number, behind = (reached[best], f"behind {best}") if best else (sum(map(_published, well)), "each on a port")
    counted = f"{number} of {len(made)} {'container' if len(made) == 1 else 'containers'} of {backend}"
    verb = "runs and is healthy" if number == 1 else "run and are healthy"
    return Already(number >= limit, f"{counted} {verb}{f', {behind}' if number else ''}")


def cached(project: Project, service: str, lookups: Callable[[], int]) -> Already:
    """Whether there is a cache, and somebody asks it.

    Args:
        project: The project's containers.
        service: The one that is the cache; empty where there is none.
        lookups: Says how many lookups it has served since it was started; asked only if it runs.

    Raises:
        CannotTell: If the engine or the cache can't be asked.
    """
    if not service:
        return Already(there=False, said="there is no cache: services.cache is empty")
    made = project.containers(service)
    well = [one for one in made if one.running and _well(one)]
    if not made:
        return Already(there=False, said=f"there is no cache: no container of a service {service}")
    if not well:
        return Already(there=False, said=f"the cache {service} is there and doesn't run, or isn't healthy")
    served = lookups()
    if not served:
        return Already(there=False, said=f"the cache {service} runs, but nobody has looked anything up in it")
    return Already(there=True, said=f"the cache {service} runs and has served {served:,} lookups")


def pooled(project: Project, named: str, connections: Callable[[], Connections]) -> Already:
    """Whether there is a pooler in front of the database, and somebody connects through it.

    Args:
        project: The project's containers.
        named: The service that is one; empty: one whose image or command is a known pooler's.
        connections: The database's sessions; asked only if there is one.

    Raises:
        CannotTell: If the engine can't be asked, or the database's sessions can't be seen.
    """
    made = poolers(project, named)
    if not made:
        return Already(there=False, said=f"there is no pooler{f': no container of a service {named}' if named else ''}")
    names = ", ".join(dict.fromkeys(service for service, _ in made))
    well = [one for _, one in made if one.running and _well(one)]
    if not well:
        return Already(there=False, said=f"the pooler {names} is there and doesn't run, or isn't healthy")
    addresses = {address for one in well for address in one.addresses}
    if not addresses:
        unknown = f"whether anybody connects through {names} isn't known: it has no address of its own"
        return Already(there=True, said=f"the pooler {names} runs", notes=(unknown,))
    through = sum(one.client.partition("/")[0] in addresses for one in connections().all)
    if not through:
        return Already(there=False, said=f"the pooler {names} runs, but the database has no session from it")
    return Already(there=True, said=f"the pooler {names} runs and has {_sessions(through)} with the database")


def poolers(project: Project, named: str) -> list[tuple[str, Container]]:
    """The containers that pool the database's connections, each with its service.

    Args:
        project: The project's containers.
        named: The service that is one; empty: one whose image or command is a known pooler's.

    Raises:
        CannotTell: If the engine can't be asked.
    """
    if named:
        return [(named, one) for one in project.containers(named)]
    return [(service, one) for service in project.services for one in project.containers(service) if _pools(one)]


def _sessions(number: int) -> str:
    return "1 session" if number == 1 else f"{number} sessions"


def _well(one: Container) -> bool:
    return one.health is None or one.health.status == "healthy"


def _published(one: Container) -> bool:
    return any(one.published.values())


def _on_host(one: Container) -> bool:
    return "host" in one.settings.networks


def _reaches(proxy: Container, backend: Container) -> bool:
    return _on_host(proxy) or bool(set(proxy.settings.networks).intersection(backend.settings.networks))


def _pools(one: Container) -> bool:
    image = one.settings.image.lower()
    if _NO_POOLER.search(image):
        return False
    words = (*one.settings.entrypoint[:1], *one.settings.command[:1])
    return _IMAGE.search(image) is not None or not _COMMANDS.isdisjoint(words)
