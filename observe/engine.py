"""The container engine: what it says of the containers of a Compose project.

Containers are found by Compose's labels, which its versions 1 and 2 write
alike, never by name and never by parsing what a command prints. Nothing is
executed in a container and nothing is changed: only requests that list,
inspect and read logs are made.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets as random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlencode

from observe.clock import until_now
from observe.deadline import Once, TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import Secret, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import docker

    from observe.engine_socket import EngineSocket

T = TypeVar("T")
CAUSE = "engine"
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
COMPOSE_LABELS = "com.docker.compose."

_NEVER = "0001-01-01"
_GONE = frozenset({404, 409})
"""What the engine answers of a container that isn't there any more, or doesn't run."""
_HANGS = "See whether `docker ps` answers on the host; restart the engine if it hangs."
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|DSN|_URL$|^URL$|AUTH", re.IGNORECASE)
_HARMLESS_NAME = re.compile(
    r"_(PREFIX|MODEL|FILE|PATH|DIR|HEADER|ALGORITHM|LIFETIME|TIMEOUT|TTL|AGE|MINUTES|SECONDS|DAYS|LENGTH"
    r"|BACKENDS?|HASHERS|VALIDATORS|CLASS|CLASSES|ENABLED|REQUIRED|NAME)$",
    re.IGNORECASE,
)
"""What stands in these is a word of the configuration, and hiding it would hide half a report."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")
_PUBLIC_NAME = frozenset({"POSTGRES_DB", "POSTGRES_USER", "PGDATA", "PGPORT"})
_KEY = random.token_bytes(32)
_PLAIN_CONFIG = ("Domainname", "Hostname", "OpenStdin", "StopSignal", "StopTimeout", "Tty", "User", "WorkingDir")
_PLAIN_HOST = (
    *("CapAdd", "CapDrop", "CpuShares", "CpusetCpus", "Dns", "DnsSearch", "ExtraHosts", "GroupAdd", "Init", "IpcMode"),
    *("Memory", "MemoryReservation", "MemorySwap", "NanoCpus", "NetworkMode", "PidMode", "PidsLimit", "PortBindings"),
    *("Privileged", "PublishAllPorts", "ReadonlyRootfs", "RestartPolicy", "SecurityOpt", "ShmSize", "Sysctls", "Tmpfs"),
    *("UTSMode", "Ulimits"),
)


def fingerprint(text: str) -> str:
    """What tells whether two texts are the same, and nothing else: it is keyed anew in every process.

    So that what may be a secret can be compared with what a file says without
    being kept.
    """
    return hmac.new(_KEY, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Settings:
    """What a container was made with, as far as a Compose file can say it.

    Whatever may hold a secret is a :func:`fingerprint`, and nothing of it
    is shown where the record itself is shown.

    Attributes:
        image: The name of the image as it was given when the container was made.
        compose: The labels that Compose itself has put on it.
        labels: Every label's name and its value's fingerprint.
        environment: Every variable's name and its value's fingerprint, the image's own among them.
        command: Fingerprints of its words.
        entrypoint: Likewise.
        test: Likewise, of its health check.
        check: The health check's times in nanoseconds and its retries, by the engine's names.
        log_options: Every option of its log driver and its value's fingerprint.
        plain: Everything else that is compared, by the engine's names.
        mounts: Its mounts, as the engine describes them.
        networks: The networks that it is in.
    """

    image: str
    compose: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    command: tuple[str, ...] = field(repr=False)
    entrypoint: tuple[str, ...] = field(repr=False)
    test: tuple[str, ...] = field(repr=False)
    check: Mapping[str, int] = field(repr=False)
    log_options: Mapping[str, str] = field(repr=False)
    plain: Mapping[str, Any] = field(repr=False)
    mounts: tuple[Mapping[str, Any], ...] = field(repr=False)
    networks: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Health:
    """What a container's health check says.

    Attributes:
        status: `starting`, `healthy` or `unhealthy`.
        grace: How long `starting` is no fault: the start period, and until the first check after it has ended.
        last: The last lines that the check itself printed, bounded; empty if none.
    """

    status: str
    grace: timedelta
    last: str


@dataclass(frozen=True)
class Container:
    """One container of the project, as the engine describes it.

    Attributes:
        status: `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        restarts: How often its policy restarted it since it was last started by hand.
        created: When it was made; its log can't reach back beyond that.
        started: When its process was last started, None if never.
        finished: When its process last ended, None if never.
        rotates: Whether its log driver drops old lines.
        published: Container port (`5432/tcp`) to the addresses it is published on.
        addresses: Its own addresses in its networks.
        mounts: Path in the container to path on the host.
        public: The few environment variables that say where the database is.
        secrets: The environment variables whose name sounds secret.
        settings: What it was made with.
        log_path: The file on the engine's host that its log is in, empty if its driver writes none.
        pid: The number that its first process has on the engine's host; 0 while it doesn't run.
    """

    id: str
    name: str
    service: str
    image: str
    status: str
    exit_code: int
    oom_killed: bool
    restarts: int
    restart_policy: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    health: Health | None
    log_driver: str
    rotates: bool
    tty: bool
    published: Mapping[str, tuple[tuple[str, int], ...]]
    addresses: tuple[str, ...]
    mounts: Mapping[str, str]
    public: Mapping[str, str]
    secrets: Mapping[str, Secret]
    settings: Settings = field(repr=False)
    log_path: str = ""
    pid: int = 0

    @property
    def running(self) -> bool:
        """Whether its process runs and is not paused."""
        return self.status == "running"

    def source_of(self, path: str) -> str | None:
        """The path on the host under which a path of the container lies, None if it is in no mount."""
        wanted = PurePosixPath(path)
        for place in (wanted, *wanted.parents):
            if (source := self.mounts.get(str(place))) is not None:
                return str(PurePosixPath(source) / wanted.relative_to(place))
        return None


ACTIONS = frozenset({"die", "kill", "oom", "start", "stop"})
"""The events that matter: ends, starts, signals and stops that somebody asked for, out of memory."""


_NO_END = frozenset({"1", "10", "12"})
"""Signals (HUP, USR1, USR2) that ask a process to read its settings again, and not to end."""


@dataclass(frozen=True)
class Event:
    """Something that befell a container.

    Attributes:
        container: Its id.
        action: One of :data:`ACTIONS`.
        at: When, in UTC.
    """

    container: str
    action: str
    at: datetime


@dataclass(frozen=True)
class Events:
    """What befell the project's containers.

    Attributes:
        all: The events that matter, by time.
        reaches: How far back the engine remembers, in UTC.
    """

    all: tuple[Event, ...]
    reaches: datetime


class Engine:
    """A connection to the engine, opened on first use, with a total time limit on every call.

    Args:
        url: Where it listens, or what finds that out when it is first asked and may raise CannotTell; empty for
            `DOCKER_HOST` or the current context.
        seconds: Total time limit of a call, in seconds.
        elsewhere: Whether it runs on another machine, though it may be reached by a socket here: its files aren't ours.
        way: Called when it couldn't be asked; raises CannotTell if it is the way there that is gone.
        closing: Called when it is closed, for what it alone was reached by.
    """

    def __init__(
        self,
        url: str | Callable[[], str],
        seconds: float,
        *,
        elsewhere: bool = False,
        way: Callable[[], None] = lambda: None,
        closing: Callable[[], object] | None = None,
    ) -> None:
        self._url = url
        self._way = way
        self._closing = closing
        self._elsewhere = elsewhere
        self._seconds = seconds
        self._client: Once[docker.DockerClient] = Once(self._open)
        self._lost: CannotTell | None = None
        self._projects: dict[str, Project] = {}
        self._images: dict[str, Image | None] = {}

    def project(self, name: str) -> Project:
        """The project's containers, listed once a run."""
        if name not in self._projects:
            self._projects[name] = Project(self, name)
        return self._projects[name]

    @cached_property
    def data_root(self) -> str:
        """The directory on the host under which the engine keeps images, containers and volumes.

        Raises:
            CannotTell: If the engine doesn't say.
        """
        return str(self.ask("say where its data root is", lambda client: client.api.info()["DockerRootDir"]))

    def image(self, name: str) -> Image | None:
        """The image that a name, a digest or an id leads to now, asked for once a run; None if it leads nowhere.

        Raises:
            CannotTell: If the engine can't be asked.
        """

        def question(client: docker.DockerClient) -> Image | None:
            from docker.errors import NotFound

            try:
                seen = client.api.inspect_image(name)
            except NotFound:
                return None
            return Image(
                seen["Id"],
                (*(seen.get("RepoTags") or ()), *(seen.get("RepoDigests") or ())),
                time_of_engine(seen.get("Created") or ""),
            )

        if name not in self._images:
            self._images[name] = self.ask("say which image a name means", question)
        return self._images[name]

    def processes(self, container: Container) -> tuple[Process, ...] | None:
        """The processes that run in a container now, as `docker top` lists them; None if it doesn't run any more.

        The engine has `ps` look at the host's processes and picks the container's; nothing is executed in it.

        Raises:
            CannotTell: If the engine can't be asked, or its `ps` says something else than it should.
        """

        def question(client: docker.DockerClient) -> tuple[Process, ...] | None:
            from docker.errors import APIError

            try:
                seen = client.api.top(container.id, ps_args="-eo pid,ppid,euid,comm")
            except APIError as error:
                if error.status_code in _GONE:
                    return None
                raise
            return _processes(container, seen)

        return self.ask(f"list the processes of {container.name}", question)

    @cached_property
    def drivers(self) -> Mapping[str, str]:
        """Every network's name and its driver.

        Raises:
            CannotTell: If the engine can't be asked.
        """

        def question(client: docker.DockerClient) -> Mapping[str, str]:
            return {str(one["Name"]): str(one.get("Driver", "")) for one in client.api.networks()}

        return self.ask("list its networks", question)

    @cached_property
    def socket(self) -> str | None:
        """The unix socket that it listens on; None if it is reached in another way.

        Raises:
            CannotTell: If it can't be reached.
        """
        api = self._client.get().api
        path = getattr(api.get_adapter(api.base_url), "socket_path", None)
        return str(path) if path and not str(path).startswith("//") else None

    @property
    def here(self) -> bool:
        """Whether its files, such as containers' logs, are files of this machine.

        Raises:
            CannotTell: If it can't be reached.
        """
        return not self._elsewhere and self.socket is not None

    def ask(
        self,
        what: str,
        question: Callable[[docker.DockerClient], T],
        *,
        seconds: float | None = None,
        give_up: Callable[[], object] | None = None,
    ) -> T:
        """Ask the engine one thing within the time limit.

        Args:
            what: What is asked, to say it when it fails: the engine could not ….
            question: Asks it, and reads the answer to its end.
            seconds: A total time limit for what takes long by its nature; None for the engine's own.
            give_up: Ends a connection of the question's own when the time is up.

        Raises:
            CannotTell: If it can't be reached, refuses, or doesn't answer in time.
                An engine that kept silent once is not asked again in this run.
        """
        if self._lost is not None:
            raise self._lost.with_traceback(None)
        client = self._client.get()
        limit = self._seconds if seconds is None else seconds
        try:
            return within(limit, lambda: question(client), give_up=give_up or client.close)
        except CannotTell:
            raise
        except TimeIsUp:
            said = f"the engine did not {what} within {say_span(timedelta(seconds=limit))}"
            if seconds is not None:
                # That was too much to read, perhaps; it says nothing about the engine.
                raise CannotTell(said, mend="Raise timeouts.logs in the target, or let the logs rotate.") from None
            self._lost = CannotTell(said, mend=_HANGS, cause=CAUSE)
            raise self._lost from None
        except Exception as error:  # noqa: BLE001  the SDK lets requests' and urllib3's errors through
            self._way_stands()
            # Without the chain: the SDK's frames hold whole inspect answers, environments included.
            raise _explained(error, f"the engine could not {what}") from None

    def stream(
        self,
        what: str,
        targets: Sequence[str],
        read: Callable[[Iterator[bytes]], T],
        refused: Callable[[str], CannotTell],
        *,
        seconds: float,
    ) -> T:
        """Stream one long answer, or several one after the other, in blocks of at most 64 KiB.

        Args:
            what: What is asked, to say it when it fails.
            targets: Path and query of each request, without the version; each is made when the one before is read.
            read: Gets the blocks of all of them.
            refused: What to raise, made from what the engine says instead of an answer.
            seconds: Total time limit of all of it.

        Raises:
            CannotTell: As :meth:`ask`; or what `refused` makes.
        """

        def through_sdk(client: docker.DockerClient) -> T:
            return read(chain.from_iterable(self._by_sdk(client, target, refused) for target in targets))

        path = self.socket
        if path is None:
            return self.ask(what, through_sdk, seconds=seconds)

        from observe.engine_socket import EngineSocket

        # Made before they are asked, so that whoever gives up reaches the one that is read.
        connections = [(EngineSocket(path, self._seconds), target) for target in targets]

        def through_socket(client: docker.DockerClient) -> T:
            version = client.api.api_version
            return read(
                chain.from_iterable(
                    _by_socket(connection, f"/v{version}/{target}", refused) for connection, target in connections
                )
            )

        def give_up() -> None:
            for connection, _ in connections:
                connection.give_up()

        return self.ask(what, through_socket, seconds=seconds, give_up=give_up)

    def _by_sdk(
        self, client: docker.DockerClient, target: str, refused: Callable[[str], CannotTell]
    ) -> Iterator[bytes]:
        api = client.api
        # The SDK's own logs(stream=True) follows the log and takes its time limit off.
        url = f"{api.base_url}/v{api.api_version}/{target}"
        with api.get(url, stream=True, timeout=self._seconds) as answer:
            if answer.status_code != 200:
                raise refused(answer.json().get("message", answer.reason))
            yield from answer.raw.stream(65536)

    def close(self) -> None:
        """Close the connection if it was ever opened."""
        if self._client.made:
            self._client.get().close()
        if self._closing is not None:
            self._closing()

    def _open(self) -> docker.DockerClient:
        try:
            import docker
        except ImportError:
            raise CannotTell("the package docker is not installed", mend="make venv", cause=CAUSE) from None

        url = self._url if isinstance(self._url, str) else self._url()

        def connect() -> docker.DockerClient:
            # Per read; our total limit comes first, so that it is what is said.
            limit = self._seconds + 1
            if not url:
                return docker.from_env(timeout=limit, version="auto")
            client = docker.DockerClient(base_url=url, timeout=limit, version="auto")
            if self._elsewhere:
                _use_again(client)
            return client

        try:
            return within(self._seconds, connect)
        except TimeIsUp:
            limit = say_span(timedelta(seconds=self._seconds))
            raise CannotTell(
                f"the engine accepts but does not answer within {limit}", mend=_HANGS, cause=CAUSE
            ) from None
        except Exception as error:  # noqa: BLE001  see above
            self._way_stands()
            raise _explained(error, "the engine can't be reached") from None

    def _way_stands(self) -> None:
        try:
            self._way()
        except CannotTell as lost:
            # Without the chain, as there.
            raise lost.with_traceback(None) from None


def _use_again(client: docker.DockerClient) -> None:
    """Have one connection serve one request after the other, where opening one is a way there and back.

    Over a socket the SDK keeps connections by the whole address that was asked, and so never uses one again.
    """
    adapter = client.api.get_adapter(client.api.base_url)
    if hasattr(adapter, "socket_path"):
        kept = adapter.get_connection
        adapter.get_connection = lambda _url, _proxies=None: kept(client.api.base_url)


@dataclass(frozen=True)
class Process:
    """A process of a container.

    Attributes:
        pid: Its number on the engine's host.
        parent: Its parent's, which for what `docker exec` has started is no process of the container.
        user: The number of the user whose rights it has, as the engine sees it: one that maps users
            (`userns-remap`) sees what they are mapped to, and no root.
        command: The name of its program.
    """

    pid: int
    parent: int
    user: int
    command: str


@dataclass(frozen=True)
class Image:
    """An image that the engine has.

    Attributes:
        id: Its id.
        names: The names that lead to it now.
        created: When it was made, None if it doesn't say.
    """

    id: str
    names: tuple[str, ...]
    created: datetime | None


class Project:
    """The containers of one Compose project. One request lists them; each is inspected once, when needed."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name
        self._inspected: dict[str, tuple[Container, ...]] = {}

    @cached_property
    def _ids(self) -> Mapping[str, tuple[str, ...]]:
        return self._engine.ask("list the containers", self._list)

    def _list(self, client: docker.DockerClient) -> Mapping[str, tuple[str, ...]]:
        ids: dict[str, list[tuple[int, str]]] = {}
        for one in client.api.containers(all=True, filters={"label": f"{PROJECT}={self.name}"}):
            labels = one["Labels"]
            # One-off containers of `run` are no part of the service.
            if labels.get(ONE_OFF, "False") != "True":
                number = int(labels[NUMBER]) if re.fullmatch("[0-9]{1,9}", labels.get(NUMBER, "")) else 0
                ids.setdefault(labels.get(SERVICE, ""), []).append((number, one["Id"]))
        return {service: tuple(one for _, one in sorted(pairs)) for service, pairs in ids.items()}

    @property
    def local(self) -> bool:
        """Whether the engine may run on this machine, so that its files may be here.

        Raises:
            CannotTell: If the engine can't be asked.
        """
        return self._engine.here

    @property
    def services(self) -> tuple[str, ...]:
        """The services that have at least one container.

        Raises:
            CannotTell: If the engine can't be asked.
        """
        return tuple(sorted(self._ids))

    def containers(self, service: str) -> tuple[Container, ...]:
        """The service's containers in the order of their numbers; empty when it has none.

        Raises:
            CannotTell: If the engine can't be asked.
        """
        if service not in self._inspected:
            ids = self._ids.get(service, ())
            self._inspected[service] = tuple(one for one in map(self._inspect, ids) if one is not None)
        return self._inspected[service]

    def events(self, since: datetime, until: datetime) -> Events:
        """What befell the project's containers, as far back as the engine remembers.

        It remembers some 256 events of all kinds, and every health check makes
        three of them. So all kinds are asked for, to know how far back that is.

        Raises:
            CannotTell: If the engine can't be asked.
        """

        def question(client: docker.DockerClient) -> Events:
            stream = client.api.events(
                since=f"{since.timestamp():.9f}",
                # To the nanosecond: with a second in the future the engine would wait for it.
                until=f"{until_now(until).timestamp():.9f}",
                decode=True,
            )
            oldest: datetime | None = None
            mine: list[Event] = []
            for one in stream:
                oldest = oldest or _moment(one)
                if (event := _event(one, self.name)) is not None:
                    mine.append(event)
            return Events(tuple(mine), oldest or until)

        return self._engine.ask("say what happened lately", question)

    def _inspect(self, container: str) -> Container | None:
        def question(client: docker.DockerClient) -> Container | None:
            from docker.errors import NotFound

            try:
                return _described(client.api.inspect_container(container))
            except NotFound:
                return None  # it vanished since the list was made

        return self._engine.ask("inspect a container", question)

    def read_log(
        self,
        container: Container,
        since: datetime,
        until: datetime,
        read: Callable[[Iterator[bytes]], T],
        *,
        seconds: float,
        tail: int | None = None,
    ) -> T:
        """Stream a container's log of a window through `read`, in blocks of at most 64 KiB.

        Args:
            container: Whose log.
            since: Start of the window, aware.
            until: End of the window, aware.
            read: Gets the raw stream (framed unless the container has a TTY, with the
                engine's time stamps) and must consume it with bounded memory.
            seconds: Total time limit of the whole read.
            tail: Only so many of the last lines; None for all.

        Raises:
            CannotTell: If the driver's log can't be read, or not in time.
        """
        wanted = {
            "stdout": 1,
            "stderr": 1,
            "timestamps": 1,
            "since": f"{since.timestamp():.9f}",
            "until": f"{until.timestamp():.9f}",
            "tail": "all" if tail is None else tail,
        }
        return self._engine.stream(
            f"hand over the log of {container.name}",
            [f"containers/{container.id}/logs?{urlencode(wanted)}"],
            read,
            lambda said: _unreadable(container, said),
            seconds=seconds,
        )


def _by_socket(connection: EngineSocket, target: str, refused: Callable[[str], CannotTell]) -> Iterator[bytes]:
    with connection:
        said, blocks = connection.answer(target)
        if said:
            raise refused(said)
        yield from blocks


def _unreadable(container: Container, said: str) -> CannotTell:
    return CannotTell(
        f"the log of {container.name} can't be read: its log driver is {container.log_driver!r} ({said})",
        mend=f"Use a driver that can be read (json-file, local, journald) for "
        f"{container.service} in the Compose file, then recreate it.",
    )


def _explained(error: Exception, what: str) -> CannotTell:
    text = " ".join(str(error).split())
    if "Permission denied" in text or "PermissionError" in text:
        return CannotTell(
            f"{what}: permission denied on its socket",
            mend="Run as a user in the group `docker`, or as root.",
            cause=CAUSE,
        )
    if "FileNotFoundError" in text or "No such file" in text:
        return CannotTell(
            f"{what}: there is no socket where it should be",
            mend="Is the engine running? `systemctl status docker`; otherwise set engine.url or DOCKER_HOST.",
            cause=CAUSE,
        )
    if "Connection refused" in text or "ConnectionRefused" in text:
        return CannotTell(
            f"{what}: connection refused",
            mend="Start the engine: `systemctl start docker`.",
            cause=CAUSE,
        )
    if "Connection reset" in text or "without response" in text:
        return CannotTell(
            f"{what}: whoever asks is cut off at once",
            mend="Is the engine running? Over SSH its sshd must let the account through to that socket: "
            "AllowStreamLocalForwarding, and `permitopen` in authorized_keys as in docs/first-day.md.",
            cause=CAUSE,
        )
    if "timed out" in text or "Timeout" in type(error).__name__:
        return CannotTell(
            f"{what}: it accepts but does not answer",
            mend=_HANGS,
            cause=CAUSE,
        )
    return CannotTell(f"{what}: {type(error).__name__}: {text[:300]}", cause=CAUSE)


def _event(one: Mapping[str, Any], project: str) -> Event | None:
    """An event of the engine's stream, if it is the project's and matters."""
    actor = one.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    if one.get("Type") != "container" or attributes.get(PROJECT) != project or one.get("Action") not in ACTIONS:
        return None
    return None if attributes.get("signal") in _NO_END else Event(actor["ID"], one["Action"], _moment(one))


def _moment(one: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(one["timeNano"] / 1e9, UTC)


def _described(seen: dict[str, Any]) -> Container:
    # What may hold a secret goes first: no local of a later line may hold one in the clear.
    settings = _settings(seen)
    public, secrets = _environment(seen["Config"].pop("Env", None) or [])
    config, state, host = seen["Config"], seen["State"], seen["HostConfig"]
    for holder in (config, seen):
        for key in ("Cmd", "Args", "Entrypoint"):
            holder.pop(key, None)  # command lines carry passwords as well
    check = config.pop("Healthcheck", None) or {}
    network = seen.get("NetworkSettings") or {}
    log = host.get("LogConfig") or {}
    return Container(
        id=seen["Id"],
        name=seen["Name"].lstrip("/"),
        service=config["Labels"].get(SERVICE, ""),
        image=seen["Image"],
        status=state["Status"],
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        restarts=seen.get("RestartCount", 0),
        restart_policy=(host.get("RestartPolicy") or {}).get("Name", "") or "no",
        created=time_of_engine(seen["Created"]) or datetime.fromtimestamp(0, UTC),
        started=time_of_engine(state["StartedAt"]),
        finished=time_of_engine(state["FinishedAt"]),
        health=_health(state.get("Health"), check),
        log_driver=log.get("Type", ""),
        rotates=log.get("Type") == "local" or "max-size" in (log.get("Config") or {}),
        tty=bool(config.get("Tty")),
        published={
            port: tuple((one["HostIp"], int(one["HostPort"])) for one in bindings or ())
            for port, bindings in (network.get("Ports") or {}).items()
        },
        addresses=tuple(one["IPAddress"] for one in (network.get("Networks") or {}).values() if one.get("IPAddress")),
        mounts={one["Destination"]: one["Source"] for one in seen.get("Mounts") or [] if one.get("Source")},
        public=public,
        secrets=secrets,
        settings=settings,
        log_path=seen.get("LogPath") or "",
        pid=state.get("Pid") or 0,
    )


def _processes(container: Container, seen: Mapping[str, Any]) -> tuple[Process, ...]:
    try:
        return tuple(Process(int(one[0]), int(one[1]), int(one[2]), str(one[3])) for one in seen["Processes"] or ())
    except (KeyError, IndexError, ValueError, TypeError):
        titles = " ".join(map(str, seen.get("Titles") or ())) or "nothing"
        raise CannotTell(
            f"the engine's list of the processes of {container.name} can't be read: its columns are {titles[:100]}",
            mend="Its `ps` must know `-eo pid,ppid,euid,comm`, as procps does.",
        ) from None


def _settings(seen: Mapping[str, Any]) -> Settings:
    config, host = seen["Config"], seen["HostConfig"]
    check = config.get("Healthcheck") or {}
    plain = {
        **{name: config.get(name) for name in _PLAIN_CONFIG},
        **{name: host.get(name) for name in _PLAIN_HOST},
    }
    mounts = [
        {name: one.get(name) for name in ("Type", "Name", "Source", "Destination", "RW")}
        for one in seen.get("Mounts") or []
    ]
    labels = config.get("Labels") or {}
    return Settings(
        image=config.get("Image", ""),
        compose={name: value for name, value in labels.items() if name.startswith(COMPOSE_LABELS)},
        labels={name: fingerprint(value) for name, value in labels.items()},
        environment=dict(map(_sealed, config.get("Env") or [])),
        command=tuple(map(fingerprint, config.get("Cmd") or [])),
        entrypoint=tuple(map(fingerprint, config.get("Entrypoint") or [])),
        test=tuple(map(fingerprint, check.get("Test") or [])),
        check={name: value for name, value in check.items() if name != "Test"},
        log_options={
            name: fingerprint(value) for name, value in ((host.get("LogConfig") or {}).get("Config") or {}).items()
        },
        plain=plain,
        mounts=tuple(mounts),
        networks=tuple((seen.get("NetworkSettings") or {}).get("Networks") or {}),
    )


def _sealed(variable: str) -> tuple[str, str]:
    name, _, value = variable.partition("=")
    return name, fingerprint(value)


def _environment(variables: list[str]) -> tuple[dict[str, str], dict[str, Secret]]:
    public: dict[str, str] = {}
    secrets: dict[str, Secret] = {}
    while variables:
        name, _, value = variables.pop().partition("=")
        if name in _PUBLIC_NAME:
            public[name] = value
        elif _SECRET_NAME.search(name) and not _HARMLESS_NAME.search(name) and _is_secret(value):
            secrets[name] = Secret(value)
        del value
    return public, secrets


def _is_secret(value: str) -> bool:
    """Whether a value can be one: an address without anything in it that lets somebody in is none."""
    if "://" not in value:
        return bool(value)
    _, _, rest = value.partition("://")
    credentials, at, _ = rest.partition("/")[0].rpartition("@")
    if at:
        # A password by itself is one as well.
        Secret(unquote(credentials.partition(":")[2]))
    return bool(at) or _TOKEN.search(rest.partition("/")[2]) is not None


def _health(seen: Mapping[str, Any] | None, check: Mapping[str, Any]) -> Health | None:
    if not seen or seen.get("Status") in {None, "none"}:
        return None
    # What Compose doesn't set is 0 here; the engine then takes 30 s between checks, and as long for one.
    first = sum(check.get(name) or 30_000_000_000 for name in ("Interval", "Timeout"))
    outputs = [str(one.get("Output", "")) for one in seen.get("Log") or []]
    return Health(
        status=str(seen["Status"]),
        grace=timedelta(microseconds=((check.get("StartPeriod") or 0) + first) / 1000),
        last=" ".join(outputs[-1].split())[:300] if outputs else "",
    )


def time_of_engine(text: str) -> datetime | None:
    """The engine's RFC 3339 time with nanoseconds, which are one digit group more than Python reads; None for never."""
    if not text or text.startswith(_NEVER):
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)
