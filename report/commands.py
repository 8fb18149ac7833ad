"""The commands of a remedy as they are typed where this target runs.

Remedies are written for Compose on one machine, as the guide is. In a Swarm the
same things have other names, and a database that somebody else manages has no
container to type them in.
"""

from __future__ import annotations

import re
import shlex
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target.model import Target

_COMPOSE = r"docker compose(?: -p \{project\})? "
_SERVICE = r"(?P<service>\{(?:backend|database|cache|item)\})"
_PSQL = re.compile(_COMPOSE + r"exec \{database\} (?:sh -c '+psql[^'`]*'+|psql(?: -U …)?)")
_LOG = re.compile(r"`" + _COMPOSE + r"logs [^`]*\{database\}`")
_IN_A_SWARM = (
    (
        re.compile(_COMPOSE + r"logs (?P<how>(?:-[^ ]+ (?:[0-9a-z]+ )?)*)" + _SERVICE),
        "docker service logs {how}{service}",
    ),
    (re.compile(_COMPOSE + r"restart " + _SERVICE), "docker service update --force {service}"),
    (re.compile(_COMPOSE + r"unpause " + _SERVICE), "docker service update --force {service}"),
    (
        re.compile(_COMPOSE + r"up -d --scale \{backend\}=(?P<how>\d+)(?: --no-recreate \{backend\})?"),
        "docker service scale {backend}={how}",
    ),
    (
        re.compile(_COMPOSE + r"up -d(?: --remove-orphans)?(?: " + _SERVICE + r")?"),
        "docker stack deploy -c FILE {project}",
    ),
    (re.compile(_COMPOSE + r"build(?: --pull)? " + _SERVICE), "docker build --pull -t IMAGE . && docker push IMAGE"),
    (re.compile(_COMPOSE + r"pull " + _SERVICE), "docker service update --image IMAGE {service}"),
    (re.compile(_COMPOSE + r"exec " + _SERVICE), "docker exec $(docker ps -q -f name={service} | head -n 1)"),
)
_OF_STACK = re.compile(r"\{(backend|database|cache|item)\}")


def fitting(remedy: str, target: Target) -> str:
    """A remedy with its commands for the target's shape; its names are still to be filled in."""
    if not target.services.database:
        remedy = _PSQL.sub(f"psql {_address(target)}", remedy)
        remedy = _LOG.sub("the provider's log", remedy)
    if target.project.orchestrator == "swarm":
        for command, instead in _IN_A_SWARM:
            remedy = command.sub(partial(_put, instead), remedy)
    return remedy


def _put(instead: str, found: re.Match[str]) -> str:
    groups = found.groupdict()
    named = {name: groups.get(name) or "" for name in ("how", "service")}
    text = re.sub(r"\{(how|service)\}", lambda one: named[one[1]], instead)
    # A Swarm's services have the stack's name before their own.
    return _OF_STACK.sub(r"{project}_{\1}", text)


def _address(target: Target) -> str:
    given = target.database
    if given.service:
        return shlex.quote(f"service={given.service}").replace("{", "{{").replace("}", "}}")
    host = f"-h {shlex.quote(given.host)} " if given.host else ""
    return f"{host}-U …".replace("{", "{{").replace("}", "}}")
