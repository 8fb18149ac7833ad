"""The stacks of an engine, as labels tell them, and what their containers show of themselves.

A container's environment and its command may hold secrets. Of the environment
the names of the variables are kept, the values that :data:`PUBLIC` lists, and
which other service a value names. Of a command the names of programs that are
known here are kept, and of a health check the path that it asks for as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from observe.engine import NUMBER, ONE_OFF, PROJECT, SERVICE, Engine
from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import docker

STACK = "com.docker.stack.namespace"
SWARM_SERVICE = "com.docker.swarm.service.id"
DIRECTORY = "com.docker.compose.project.working_dir"
FILES = "com.docker.compose.project.config_files"
DEPENDS = "com.docker.compose.depends_on"
PUBLIC = frozenset({"POSTGRES_DB", "POSTGRES_USER", "PGDATA", "PGPORT", "TZ", "DJANGO_SETTINGS_MODULE"})
"""The variables whose values let nobody in."""
PROGRAMS = frozenset(
    {
        *("postgres", "redis-server", "valkey-server", "keydb-server", "redis-cli", "valkey-cli", "pg_isready"),
        *("nginx", "openresty", "caddy", "traefik", "haproxy", "envoy", "httpd", "apache2"),
        *("gunicorn", "uvicorn", "daphne", "hypercorn", "uwsgi", "granian", "manage.py", "django-admin"),
        *("celery", "rqworker", "dramatiq", "flower", "cron", "crond", "supercronic", "ofelia", "pg_dump"),
        *("pgbouncer", "pgpool", "odyssey", "pgcat", "supavisor", "pgdog", "curl", "wget"),
    }
)
"""The programs that say which part a container plays."""
_WORD = re.compile(r"[\s;&|()<>\"'`]+")
_URL = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::\d+)?(/[A-Za-z0-9/_.-]*)")


@dataclass(frozen=True)
class Stack:
    """A Compose project or a Swarm stack.

    Attributes:
        name: Its name.
        kind: `compose` or `swarm`.
        services: Its services by name, sorted.
        running: How many of its containers run.
        containers: How many there are; in a Swarm, how many are wanted.
        directory: Where its Compose file lay when it was brought up; empty where nothing says so.
        files: The Compose files by the label, made absolute; empty where nothing says so.
    """

    name: str
    kind: str
    services: tuple[str, ...]
    running: int
    containers: int
    directory: str = ""
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        kind = "Compose project" if self.kind == "compose" else "Swarm stack"
        return f"{kind} {plain(self.name, 80)}"


@dataclass(frozen=True)
class Seen:
    """A container, or a service of a Swarm, as far as it says which part it plays.

    Attributes:
        id: The container's id; empty where this engine has none of the service.
        name: The container's name.
        service: Of which service it is.
        project: Of which Compose project or stack; empty for neither.
        image: The name of its image, as it was given.
        running: Whether it runs.
        count: 1; of a service of a Swarm, how many are wanted.
        exposed: Ports that it, or its image, says it listens on.
        published: Port to the addresses of the host that it is published on.
        variables: The names of its environment's variables.
        public: Those whose values let nobody in.
        refers: Another service to the variable, or the label, that names it.
        programs: Known programs in its command.
        check: Known programs in its health check.
        health_path: The path that its health check asks for; empty for none.
        processes: Names of the programs that run in it; empty where nobody could tell.
        mounts: Path in the container to path on the host.
        addresses: Its addresses in its networks.
        networks: The networks that it is in, by their ids.
        gateways: Where the host is for it.
        working_directory: Where its first process begins.
        created: When it was made, in seconds since the epoch; 0 where that isn't known. Its log begins then.
    """

    id: str
    name: str
    service: str
    project: str
    image: str
    running: bool
    count: int = 1
    exposed: frozenset[int] = frozenset()
    published: Mapping[int, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    public: Mapping[str, str] = field(default_factory=dict)
    refers: Mapping[str, str] = field(default_factory=dict)
    programs: frozenset[str] = frozenset()
    check: frozenset[str] = frozenset()
    health_path: str = ""
    processes: frozenset[str] = frozenset()
    mounts: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    networks: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()
    working_directory: str = ""
    created: float = 0.0

    def source_of(self, path: str) -> str:
        """The path on the host under which a path of the container lies; empty if it lies in no mount."""
        wanted = PurePosixPath(path)
        for place in (wanted, *wanted.parents):
            if (source := self.mounts.get(str(place))) is not None:
                return str(PurePosixPath(source) / wanted.relative_to(place))
        return ""


def stacks(engine: Engine) -> tuple[Stack, ...]:
    """All Compose projects and Swarm stacks of an engine, by name.

    Raises:
        CannotTell: If the engine can't be asked.
    """

    def question(client: docker.DockerClient) -> tuple[Stack, ...]:
        listed = client.api.containers(all=True, filters={"label": PROJECT})
        found = [*_projects(listed), *(_swarm_stacks(client) if _is_manager(client) else ())]
        return tuple(sorted(found, key=lambda one: (one.name, one.kind)))

    return engine.ask("list its projects", question)


def _is_manager(client: docker.DockerClient) -> bool:
    return bool((client.api.info().get("Swarm") or {}).get("ControlAvailable"))


def _projects(listed: Iterable[Mapping[str, Any]]) -> list[Stack]:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for one in listed:
        if one["Labels"].get(ONE_OFF, "False").lower() != "true":
            by_name.setdefault(one["Labels"][PROJECT], []).append(one)
    found = []
    for name, of_it in by_name.items():
        # The newest container knows best: a project that was moved has labels of before on older ones.
        newest = max(of_it, key=lambda one: one.get("Created") or 0)["Labels"]
        directory = newest.get(DIRECTORY, "")
        files = tuple(
            str(PurePosixPath(directory, one)) for one in newest.get(FILES, "").split(",") if one and one != "-"
        )
        services = tuple(sorted({one["Labels"].get(SERVICE, "") for one in of_it} - {""}))
        running = sum(one.get("State") == "running" for one in of_it)
        found.append(Stack(name, "compose", services, running, len(of_it), directory, files))
    return found


def _swarm_stacks(client: docker.DockerClient) -> list[Stack]:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for one in client.api.services():
        if name := (one["Spec"].get("Labels") or {}).get(STACK):
            by_name.setdefault(name, []).append(one)
    running = {(one["ServiceID"], one["ID"]) for one in client.api.tasks(filters={"desired-state": "running"})}
    return [
        Stack(
            name,
            "swarm",
            tuple(sorted(swarm_name(one["Spec"]["Name"], name) for one in of_it)),
            sum(service in {one["ID"] for one in of_it} for service, _ in running),
            sum(_wanted(one) for one in of_it),
        )
        for name, of_it in by_name.items()
    ]


def swarm_name(service: str, stack: str) -> str:
    """A service's name as the stack's file has it."""
    return service.removeprefix(f"{stack}_")


def _wanted(service: Mapping[str, Any]) -> int:
    mode = service["Spec"].get("Mode") or {}
    return int((mode.get("Replicated") or {}).get("Replicas", 1))


def look_at(engine: Engine, stack: Stack) -> tuple[Seen, ...]:
    """The containers of a stack; of a Swarm's, its services.

    Raises:
        CannotTell: If the engine can't be asked.
    """

    def question(client: docker.DockerClient) -> tuple[Seen, ...]:
        if stack.kind == "swarm":
            return tuple(_swarm_seen(client, stack))
        listed = client.api.containers(all=True, filters={"label": f"{PROJECT}={stack.name}"})
        regular = [one for one in listed if one["Labels"].get(ONE_OFF, "False").lower() != "true"]
        regular.sort(key=lambda one: (one["Labels"].get(SERVICE, ""), one["Labels"].get(NUMBER, "").zfill(9)))
        return tuple(filter(None, (_container(client, one["Id"], stack.services) for one in regular)))

    return engine.ask(f"describe the containers of {stack.name}", question)


def others(engine: Engine, stack: Stack) -> tuple[Seen, ...]:
    """Running containers that are not of a stack and may be its proxy: those in which a known proxy runs.

    Raises:
        CannotTell: If the engine can't be asked.
    """

    def question(client: docker.DockerClient) -> tuple[Seen, ...]:
        listed = client.api.containers()
        strange = [one for one in listed if one["Labels"].get(PROJECT) != stack.name and _may_be_proxy(one)]
        seen = (_container(client, one["Id"], stack.services) for one in strange)
        return tuple(one for one in seen if one is not None and {"nginx", "openresty"} & (one.processes | one.programs))

    return engine.ask("describe its other containers", question)


def _may_be_proxy(listed: Mapping[str, Any]) -> bool:
    """Whether the list of containers lets one be an nginx: to inspect each and list its processes takes its time."""
    words = f"{listed.get('Image', '')} {listed.get('Command', '')}"
    ports = {one.get("PrivatePort") for one in listed.get("Ports") or ()}
    return STACK not in listed["Labels"] and (
        re.search("nginx|openresty", words) is not None or bool({80, 443} & ports)
    )


def _container(client: docker.DockerClient, identity: str, services: Iterable[str]) -> Seen | None:
    from docker.errors import NotFound

    try:
        seen = client.api.inspect_container(identity)
    except NotFound:
        return None  # it vanished since the list was made
    config, network = seen["Config"], seen.get("NetworkSettings") or {}
    labels = config.get("Labels") or {}
    running = seen["State"]["Status"] == "running"
    test = (config.get("Healthcheck") or {}).get("Test") or []
    return Seen(
        id=identity,
        name=seen["Name"].lstrip("/"),
        service=labels.get(SERVICE, ""),
        project=labels.get(PROJECT, ""),
        image=config.get("Image", ""),
        running=running,
        exposed=_ports(config.get("ExposedPorts") or {}),
        published={
            _port(port): tuple((one["HostIp"], int(one["HostPort"])) for one in bindings or ())
            for port, bindings in (network.get("Ports") or {}).items()
            if bindings
        },
        **_environment(config.get("Env") or [], services, labels.get(DEPENDS, "")),
        programs=_programs([*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]),
        check=_programs(test),
        health_path=_path_of(test),
        processes=_processes(client, identity) if running else frozenset(),
        mounts={one["Destination"]: one["Source"] for one in seen.get("Mounts") or [] if one.get("Source")},
        addresses=tuple(one["IPAddress"] for one in (network.get("Networks") or {}).values() if one.get("IPAddress")),
        networks=_networks(network),
        gateways=frozenset(str(one.get("Gateway")) for one in (network.get("Networks") or {}).values()) - {"", "None"},
        working_directory=config.get("WorkingDir") or "/",
        created=_moment(seen.get("Created") or ""),
    )


def _swarm_seen(client: docker.DockerClient, stack: Stack) -> Iterable[Seen]:
    local = {one["Labels"].get(SWARM_SERVICE, ""): one["Id"] for one in client.api.containers()}
    for one in client.api.services(filters={"label": f"{STACK}={stack.name}"}):
        spec = one["Spec"]["TaskTemplate"]["ContainerSpec"]
        test = (spec.get("Healthcheck") or {}).get("Test") or []
        ports = (one.get("Endpoint") or {}).get("Ports") or []
        identity = local.get(one["ID"], "")
        beside = _container(client, identity, stack.services) if identity else None
        yield Seen(
            id=identity,
            name=one["Spec"]["Name"],
            service=swarm_name(one["Spec"]["Name"], stack.name),
            project=stack.name,
            image=spec.get("Image", "").partition("@")[0],
            running=beside is not None and beside.running,
            count=_wanted(one),
            exposed=beside.exposed if beside else frozenset(),
            published={int(port["TargetPort"]): (("", int(port["PublishedPort"])),) for port in ports},
            **_environment(spec.get("Env") or [], stack.services, ""),
            programs=_programs([*(spec.get("Command") or []), *(spec.get("Args") or [])])
            | (beside.programs if beside else frozenset()),
            check=_programs(test) | (beside.check if beside else frozenset()),
            health_path=_path_of(test) or (beside.health_path if beside else ""),
            processes=beside.processes if beside else frozenset(),
            mounts=beside.mounts if beside else {},
            addresses=beside.addresses if beside else (),
            networks=beside.networks if beside else frozenset(),
            working_directory=spec.get("Dir") or (beside.working_directory if beside else "/"),
            created=beside.created if beside else 0.0,
        )


def _environment(variables: list[str], services: Iterable[str], depends: str) -> dict[str, Any]:
    """What may be known of an environment: names, public values, and which other services are named."""
    names = set(services)
    refers = {part.partition(":")[0]: "depends_on" for part in depends.split(",") if part.partition(":")[0] in names}
    found: set[str] = set()
    public: dict[str, str] = {}
    for variable in variables:
        name, _, value = variable.partition("=")
        found.add(name)
        if name in PUBLIC:
            public[name] = value
        if (service := _host_in(value)) in names:
            refers[service] = name
    return {"variables": frozenset(found), "public": public, "refers": refers}


def _host_in(value: str) -> str:
    """The host that a value names: it is one, or the address or the pair that it is has one."""
    try:
        return (urlsplit(value).hostname or "") if "://" in value else value.partition(":")[0]
    except ValueError:
        return ""


def _programs(words: Iterable[str]) -> frozenset[str]:
    return frozenset(
        name
        for word in words
        for part in _WORD.split(str(word))
        if (name := part.rpartition("/")[2].partition(":")[0]) in PROGRAMS
    )


def _path_of(words: Iterable[str]) -> str:
    match = _URL.search(" ".join(map(str, words)))
    return match[1] if match else ""


def _processes(client: docker.DockerClient, identity: str) -> frozenset[str]:
    """The names of a container's programs, as the engine's `ps` lists them; empty where it can't."""
    from docker.errors import APIError

    try:
        seen = client.api.top(identity, ps_args="-eo pid,comm")
    except APIError:
        return frozenset()
    return frozenset(str(one[-1]).strip().partition(":")[0] for one in seen.get("Processes") or () if one)


def _networks(settings: Mapping[str, Any]) -> frozenset[str]:
    """The networks of a container; one that was never started knows them by name alone."""
    return frozenset(str(one.get("NetworkID") or name) for name, one in (settings.get("Networks") or {}).items())


def _moment(text: str) -> float:
    """The engine's time, whose digits are more than Python reads."""
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp() if len(text) >= 19 else 0.0


def _ports(given: Iterable[str]) -> frozenset[int]:
    return frozenset(map(_port, given))


def _port(text: str) -> int:
    return int(text.partition("/")[0])
