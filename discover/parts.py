"""Which service plays which part: evidence is weighed, and every guess has its reasons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observe.scaling import POOLERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from discover.stacks import Seen

SURE = 3
"""A service with less weight of evidence than this plays no part, and the better of two is so much ahead."""
_WEIGHTS = {
    "process": 5,
    "file": 4,
    "passed": 4,
    "settings": 4,
    "image": 3,
    "check": 2,
    "port": 2,
    "asked": 2,
    "command": 2,
}
"""What each kind of evidence weighs."""


@dataclass(frozen=True)
class Trait:
    """What speaks for a part.

    Attributes:
        image: What the last part of the image's name matches.
        processes: Programs that run in such a container.
        check: Programs that its health check calls.
        ports: Ports that it listens on.
        variables: Variables of its environment, of which one is enough.
        never: Programs that speak against it.
    """

    image: str
    processes: frozenset[str]
    check: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    variables: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()


_WORKERS = frozenset({"celery", "rqworker", "dramatiq", "flower", "cron", "crond", "supercronic", "ofelia"})
TRAITS: Mapping[str, Trait] = {
    "database": Trait(
        r"postgres|postgis|pgvector|timescale|citus|supabase/postgres|(?:^|[_/-])(?:pg|db)(?:$|[_:-])",
        frozenset({"postgres"}),
        frozenset({"pg_isready"}),
        frozenset({5432}),
        frozenset({"PGDATA", "POSTGRES_DB", "POSTGRES_USER"}),
        _WORKERS | {"pg_dump", "pgbouncer"},
    ),
    "cache": Trait(
        r"redis|valkey|keydb|dragonfly",
        frozenset({"redis-server", "valkey-server", "keydb-server", "dragonfly"}),
        frozenset({"redis-cli", "valkey-cli"}),
        frozenset({6379}),
        frozenset({"REDIS_VERSION", "VALKEY_VERSION", "REDIS_DOWNLOAD_URL"}),
    ),
    "pooler": Trait(
        "|".join(POOLERS),
        frozenset(POOLERS),
        ports=frozenset({6432}),
        variables=frozenset({"PGBOUNCER_AUTH_TYPE", "PGBOUNCER_POOL_MODE"}),
    ),
    "proxy": Trait(
        r"nginx|openresty|caddy|traefik|haproxy|envoy|httpd|apache",
        frozenset({"nginx", "openresty", "caddy", "traefik", "haproxy", "envoy", "httpd", "apache2"}),
        ports=frozenset({80, 443}),
        variables=frozenset({"NGINX_VERSION", "CADDY_VERSION", "HAPROXY_VERSION"}),
    ),
    "backend": Trait(
        r"django|backend|(?:^|[_/-])(?:api|app|web|server)(?:$|[_:-])",
        frozenset({"gunicorn", "uvicorn", "daphne", "hypercorn", "uwsgi", "granian"}),
        ports=frozenset({8000, 8001, 8080}),
        variables=frozenset({"DJANGO_SETTINGS_MODULE", "DJANGO_SECRET_KEY", "ALLOWED_HOSTS", "DJANGO_ALLOWED_HOSTS"}),
        never=_WORKERS | {"nginx", "postgres", "redis-server"},
    ),
}
"""What speaks for each part."""


@dataclass(frozen=True)
class Guess:
    """Which service plays a part.

    Attributes:
        service: The service; empty where none does, or more than one may.
        why: The reasons, in words.
        instead: The services that may as well, when it can't be told.
    """

    service: str
    why: str
    instead: tuple[str, ...] = ()


def guess(part: str, seen: Sequence[Seen], beside: Mapping[str, Sequence[tuple[str, str]]] | None = None) -> Guess:
    """Find out which service plays a part.

    Args:
        part: A key of :data:`TRAITS`.
        seen: The stack's containers.
        beside: Service to more evidence of it, as pairs of a kind and of words: the proxy passes requests on to it.
    """
    beside = beside or {}
    found: dict[str, list[tuple[str, str]]] = {}
    for one in seen:
        reasons = found.setdefault(one.service, [])
        for reason in _reasons(TRAITS[part], one):
            if reason not in reasons:
                reasons.append(reason)
    for service in list(found):
        reasons = found[service]
        reasons += _asked_by(service, part, seen) if reasons else []
        reasons += [one for one in beside.get(service, ()) if one not in reasons]
    refused = {one.service for one in seen if TRAITS[part].never & (one.programs | one.processes)}
    weights = {
        service: sum(_WEIGHTS[kind] for kind in {kind for kind, _ in reasons})
        for service, reasons in found.items()
        if service and service not in refused
    }
    ranked = sorted((-weight, service) for service, weight in weights.items() if weight >= SURE)
    if not ranked:
        return Guess("", f"no container looks like one ({_looked_at(seen)})")
    best, rest = ranked[0], ranked[1:]
    near = [service for weight, service in rest if weight - best[0] < SURE]
    if near:
        return Guess("", "; ".join(f"{one}: {_said(found[one])}" for one in (best[1], *near)), (best[1], *near))
    return Guess(best[1], _said(found[best[1]]))


def _reasons(trait: Trait, one: Seen) -> Iterable[tuple[str, str]]:
    if running := sorted(trait.processes & one.processes):
        yield "process", f"{running[0]} runs in it"
    elif called := sorted(trait.processes & one.programs):
        yield "command", f"its command is {called[0]}"
    image = one.image.partition("@")[0]
    if re.search(trait.image, re.sub(r":[^/]*$", "", image).lower()):
        yield "image", f"its image is {image}"
    if asked := sorted(trait.check & one.check):
        yield "check", f"its health check is {asked[0]}"
    if ports := sorted(trait.ports & (one.exposed | set(one.published))):
        yield "port", f"it listens on {', '.join(map(str, ports))}"
    if variables := sorted(trait.variables & one.variables):
        yield "settings", f"its environment has {variables[0]}"


def _asked_by(service: str, part: str, seen: Sequence[Seen]) -> Iterable[tuple[str, str]]:
    """Who names a service in its environment; of a backend nobody does, and a proxy is named by nobody."""
    if part not in {"database", "cache", "pooler"}:
        return
    for one in seen:
        how = one.refers.get(service)
        if how and one.service != service:
            yield "asked", f"{one.service} names it ({how})"
            return


def _said(reasons: Sequence[tuple[str, str]]) -> str:
    return ", ".join(dict.fromkeys(words for _, words in reasons))


def _looked_at(seen: Sequence[Seen]) -> str:
    services = len({one.service for one in seen})
    return f"of {services} {'service' if services == 1 else 'services'}"
