"""A Swarm: what its manager says of a stack's services, their tasks, and the nodes that they run on.

Everything comes from requests of the manager's Engine API that list; `/swarm` isn't asked, since its answer holds the
tokens that let a machine join. Of secrets and configs the names and ages are kept: what is in a config comes with
their list, and is thrown away before anything else is done with it.

A service wants what its specification says, in the Swarm, and not what a file says. Its tasks stand in slots:
`web.1`, `web.2`, or one on each node where the service is global. The Swarm makes a new task in a slot where one ended,
and keeps the last ones of each (five, if it isn't told otherwise): that is what is known of the past.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from observe.compose import Wanted
from observe.engine import Container, Engine, Events, Project, Settings, time_of_engine
from observe.errors import CannotTell, NoAnswer
from observe.services import Mishap, Mishaps
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import docker

T = TypeVar("T")
CAUSE = "swarm"
NAMESPACE = "com.docker.stack.namespace"
_ENDED = frozenset({"complete", "failed", "rejected", "orphaned", "shutdown", "remove"})
_BADLY = frozenset({"failed", "rejected", "orphaned"})
_GONE = "remove"
_NO_LEADER = re.compile(r"does not have a leader|too few managers|no quorum|lost quorum", re.IGNORECASE)
_NO_MANAGER = re.compile(r"not a swarm manager|not part of a swarm|swarm is locked", re.IGNORECASE)
_CONSTRAINT = re.compile(r"\s*(?P<what>[\w.\-/]+)\s*(?P<how>==|!=)\s*(?P<value>.*?)\s*", re.ASCII)
_SHOWN = 200
_DEFAULT_CHECK = 30_000_000_000
_LAST_KEPT = 5


class LostQuorum(CannotTell):
    """Too few managers are there for any of them to say how anything is."""


@dataclass(frozen=True)
class Node:
    """A machine of the Swarm.

    Attributes:
        id: The Swarm's own id of it.
        name: Its host name.
        role: `manager` or `worker`.
        availability: `active`, `pause` (gets nothing new) or `drain` (nothing may run there).
        state: `ready`, `down`, `disconnected` or `unknown`.
        message: What the manager says of that state; mostly empty.
        leader: Whether it is the manager that leads.
        reachability: Of a manager `reachable`, `unreachable` or `unknown`; empty of a worker.
        labels: What constraints may ask for, by the names that they use.
    """

    id: str
    name: str
    role: str
    availability: str
    state: str
    message: str = ""
    leader: bool = False
    reachability: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong with it, a sentence each."""
        found = []
        if self.state != "ready":
            found.append(f"{self.name} is {self.state}{f' ({self.message})' if self.message else ''}")
        if self.availability != "active":
            said = {"drain": "drained: nothing runs there", "pause": "paused: nothing new is put there"}
            found.append(f"{self.name} is {said.get(self.availability, self.availability)}")
        if self.role == "manager" and self.reachability != "reachable":
            found.append(f"the manager {self.name} is {self.reachability or 'of unknown reachability'}")
        return tuple(found)

    def row(self) -> dict[str, str]:
        """The node for the report."""
        manager = "leader" if self.leader else self.reachability or "-"
        return {
            "node": self.name,
            "role": self.role,
            "state": self.state,
            "availability": self.availability,
            "as a manager": manager,
        }


@dataclass(frozen=True)
class Task:
    """One task of a service: a container, or the attempt to have one.

    Attributes:
        id: The Swarm's own id of it.
        slot: What it is one of: `web.1`, or `agent on node2` where the service runs on every node.
        node: The id of its node, empty before it has one.
        desired: What the Swarm wants of it: `running`, `ready`, `shutdown`, `complete`, `remove`.
        state: What it is: `pending`, `preparing`, `running`, `failed`, …
        at: Since when, in UTC.
        created: When it was made, in UTC.
        error: Why, in the Swarm's words, bounded; empty if nothing is wrong.
        exit_code: What its process ended with; None if it hasn't.
        container: The id of its container on its node, empty if it has none.
        round: Which run of a job it belongs to.
    """

    id: str
    slot: str
    node: str
    desired: str
    state: str
    at: datetime
    created: datetime
    error: str
    exit_code: int | None
    container: str
    round: int = 0

    @property
    def running(self) -> bool:
        """Whether it runs and is meant to."""
        return self.state == "running" and self.desired == "running"


@dataclass(frozen=True)
class Kept:
    """A secret or a config by its name alone.

    Attributes:
        kind: `secret` or `config`.
        name: Its name.
        created: When it was made, in UTC.
    """

    kind: str
    name: str
    created: datetime


@dataclass(frozen=True)
class Spec:
    """What is wanted of a service, as the Swarm has it written.

    Attributes:
        id: The Swarm's own id of it.
        name: Its name within the stack.
        mode: `replicated`, `global`, `replicated job` or `global job`.
        number: How many are wanted; 0 for one on each node that may have one.
        constraints: Where its tasks may run.
        restarts: The condition under which it is started again: `any`, `on-failure`, `none`.
        grace: How long `starting` is no fault, by its health check.
        created: When it was made, in UTC.
        update: What the Swarm says of an update that isn't done; empty if there is none.
        uses: The names of the secrets and configs that it is given.
        log_driver: Its log driver, if it names one.
        rotates: Whether that may drop old lines.
        tty: Whether its processes have a terminal.
        round: Which run of a job is the newest.
        published: Container port (`5432/tcp`) to the port that every node publishes it on.
    """

    id: str
    name: str
    mode: str
    number: int
    constraints: tuple[str, ...]
    restarts: str
    grace: timedelta
    created: datetime
    update: str
    uses: tuple[str, ...]
    log_driver: str
    rotates: bool
    tty: bool
    round: int = 0
    published: Mapping[str, int] = field(default_factory=dict)

    @property
    def job(self) -> bool:
        """Whether it is to run once and end well."""
        return self.mode.endswith("job")

    @property
    def everywhere(self) -> bool:
        """Whether it is to run on each node that may have it."""
        return self.mode.startswith("global")


@dataclass(frozen=True)
class SwarmService:
    """A service of the stack: what is wanted of it, and its tasks.

    It is what :class:`observe.services.Service` is of a service of Compose's.

    Attributes:
        wanted: How many of it, and that its specification says so.
        spec: That specification; None where the stack has no such service.
        tasks: One task of each slot: the one that runs, else the newest.
        before: All others that are kept, of each slot the newest first.
        nodes: The nodes by id.
        others: The services that the stack has, for who asks for one that it hasn't.
        stack: The stack's name.
    """

    wanted: Wanted
    spec: Spec | None
    tasks: tuple[Task, ...]
    before: tuple[Task, ...]
    nodes: Mapping[str, Node] = field(repr=False)
    others: tuple[str, ...] = ()
    stack: str = ""

    @property
    def containers(self) -> tuple[Task, ...]:
        """Its tasks that run, on whichever node; of a job those that have ended well, too."""
        good = {"running", "complete"} if self.spec is not None and self.spec.job else {"running"}
        return tuple(one for one in self.tasks if one.state in good and not self._lost(one) and not _leaves(one))

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        return f"{len(self.containers)} of {_tasks(self.wanted.containers)}, by the manager"

    @property
    def wanted_in_words(self) -> str:
        """What is wanted of it, in words."""
        if self.wanted.job:
            return f"{_tasks(self.wanted.containers)} ended well, as the job that it is"
        return f"{_tasks(self.wanted.containers)} running"

    def troubles(self, now: datetime) -> tuple[str, ...]:
        """Everything that is wrong with it, a sentence each; empty when it is up."""
        if self.spec is None:
            there = ", ".join(self.others) or "none at all"
            return (f"the stack {self.stack} has no service of that name (it has: {there})",)
        slots = [trouble for one in self.tasks if (trouble := self._trouble(one, now))]
        if self.spec.job:
            return tuple(slots)
        running = len(self.containers)
        if running >= self.wanted.containers:
            return ()
        where = " on the nodes that may have it" if self.spec.everywhere else ""
        return (f"{running or 'none'} of {_tasks(self.wanted.containers)} running{where}", *slots)

    @property
    def as_it_is(self) -> str:
        """What was seen when nothing is wrong, in words."""
        where = Counter(self._node(one) for one in self.containers)
        on = ", ".join(f"{number} on {name}" for name, number in sorted(where.items()))
        states = Counter(one.state for one in self.containers)
        said = ", ".join(f"{number} {'ended well' if what == 'complete' else what}" for what, number in states.items())
        more = len(self.containers) - self.wanted.containers
        extra = f", {more} more than {self.wanted.origin} wants" if more > 0 else ""
        update = f"; {self.spec.update}" if self.spec is not None and self.spec.update else ""
        return f"{said or 'none wanted'}{f' ({on})' if on else ''}{extra}{update}"

    def rows(self, now: datetime) -> list[dict[str, str]]:
        """The tasks for the report, those that are no more behind those that are."""
        return [
            {
                "task": one.slot,
                "node": self._node(one),
                "wanted": one.desired,
                "state": one.state,
                "since": say_span(max(timedelta(0), now - one.at)),
                "said": one.error or "-",
            }
            for one in (*self.tasks, *self.before)
        ]

    def _node(self, one: Task) -> str:
        node = self.nodes.get(one.node)
        return node.name if node is not None else "no node yet" if not one.node else "a node that is no more"

    def _lost(self, one: Task) -> bool:
        """Whether its node doesn't answer, so that the state is the last that was heard."""
        node = self.nodes.get(one.node)
        return bool(one.node) and (node is None or node.state != "ready")

    def _trouble(self, one: Task, now: datetime) -> str:
        assert self.spec is not None, "else there is no task"
        age = say_span(max(timedelta(0), now - one.at))
        if one.state == "complete" and self.spec.job:
            return ""
        if self.spec.job and one.round != self.spec.round:
            return ""
        if one.node and self._lost(one) and one.state not in _ENDED:
            node = self.nodes.get(one.node)
            said = f"{node.name}, which is {node.state}" if node is not None else "a node that is no more"
            return f"{one.slot} was {one.state} on {said}"
        if one.running:
            return ""
        if self.spec.everywhere and one.desired == "shutdown" and one.state not in _BADLY:
            return ""  # its node is to have it no more; where it should, too few run
        if one.state == "starting" and now - one.at <= self.spec.grace and not self._failed(one):
            return ""
        return f"{one.slot} is {one.state} for {age}{self._why(one)}"

    def _failed(self, one: Task) -> list[Task]:
        return [each for each in self.before if each.slot == one.slot and each.state in _BADLY]

    def _why(self, one: Task) -> str:
        if one.error:
            return f": {one.error}"
        failed = self._failed(one)
        if not failed:
            return ""
        return f"; {_tasks(len(failed))} before it failed, lastly: {failed[0].error or failed[0].state}"

    def mishaps(self, since: datetime, until: datetime, kept: int) -> Mishaps:
        """The tasks that failed or ended by themselves in a window, as far as the Swarm still knows them.

        Args:
            since: Beginning of the window, aware.
            until: Its end, aware.
            kept: How many tasks of a slot the Swarm keeps.
        """
        assert self.spec is not None, "who asks has made sure"
        found: list[Mishap] = []
        all_tasks = (*self.tasks, *self.before)
        for slot in dict.fromkeys(one.slot for one in all_tasks):
            mine = [one for one in all_tasks if one.slot == slot and since <= one.at <= until and self._ended(one)]
            if mine:
                times = "once" if len(mine) == 1 else f"{len(mine)} times"
                why = f" ({mine[0].error})" if mine[0].error else ""
                found.append(Mishap(slot, f"ended by itself {times}{why}", mine[0].at))
        return Mishaps(
            tuple(found), len(self.tasks), until - since, until - max(since, self._remembers(since, kept)), (), "task"
        )

    def _ended(self, one: Task) -> bool:
        assert self.spec is not None, "who asks has made sure"
        return one.state in _BADLY or (one.state == "complete" and not self.spec.job)

    def _remembers(self, since: datetime, kept: int) -> datetime:
        """Since when all that befell it is still known."""
        reaches = since
        slots = Counter(one.slot for one in (*self.tasks, *self.before))
        for slot, number in slots.items():
            # Where fewer are kept than could be, none was forgotten.
            if number > kept:
                reaches = max(reaches, min(one.created for one in self.before if one.slot == slot))
        return reaches


class Swarm(Project):
    """A stack of a Swarm, by its manager. Each list is asked for once a run.

    Args:
        engine: The manager's engine.
        name: The stack's name.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(engine, name)
        self._logs: dict[str, tuple[str, ...]] = {}

    @property
    def local(self) -> bool:
        """Never: the logs are read through the manager, wherever the tasks are."""
        return False

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of the Swarm by name.

        Raises:
            LostQuorum: If the managers are too few to say anything.
            CannotTell: If the engine can't be asked, or isn't a manager's.
        """
        found = [_node(one) for one in self._listed("list the nodes", lambda client: client.api.nodes())]
        return tuple(sorted(found, key=lambda one: (one.name, one.id)))

    @cached_property
    def specs(self) -> Mapping[str, Spec]:
        """The stack's services by name; see :attr:`nodes`."""
        wanted = {"label": f"{NAMESPACE}={self.name}"}
        found = self._listed("list the services", lambda client: client.api.services(filters=wanted))
        specs = [_spec(one, self.name) for one in found]
        return {one.name: one for one in sorted(specs, key=lambda one: one.name)}

    @cached_property
    def _tasks(self) -> Mapping[str, tuple[Task, ...]]:
        """The tasks of each service by its id, newest first."""
        wanted = {"label": f"{NAMESPACE}={self.name}"}
        names = {one.id: one.name for one in self.nodes}
        services = {one.id: one.name for one in self.specs.values()}
        tasks: dict[str, list[Task]] = {}
        for one in self._listed("list the tasks", lambda client: client.api.tasks(filters=wanted)):
            service = str(one.get("ServiceID", ""))
            if service in services and one.get("DesiredState") != _GONE:
                tasks.setdefault(service, []).append(_task(one, services[service], names))
        return {
            service: tuple(sorted(found, key=lambda one: one.created, reverse=True)) for service, found in tasks.items()
        }

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        """The stack's secrets and configs, by name and age."""
        wanted = {"label": f"{NAMESPACE}={self.name}"}
        secrets = self._listed("list the secrets' names", lambda client: client.api.secrets(filters=wanted))
        configs = self._listed("list the configs' names", lambda client: _unread(client.api.configs(filters=wanted)))
        return tuple(
            Kept(kind, str(one["Spec"].get("Name", "")), _moment(one.get("CreatedAt")))
            for kind, found in (("secret", secrets), ("config", configs))
            for one in found
        )

    @cached_property
    def _about(self) -> tuple[str, int]:
        """The id of the node whose engine is asked, and how many tasks of a slot the Swarm keeps."""

        def question(client: docker.DockerClient) -> tuple[str, int]:
            swarm = client.api.info().get("Swarm") or {}
            orchestration = ((swarm.get("Cluster") or {}).get("Spec") or {}).get("Orchestration") or {}
            limit = orchestration.get("TaskHistoryRetentionLimit")
            return str(swarm.get("NodeID") or ""), _LAST_KEPT if limit is None else int(limit)

        return self._engine.ask("say which node it is", question)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that the stack has; see :attr:`nodes`."""
        return tuple(self.specs)

    def service(self, name: str) -> SwarmService:
        """A service, wanted against running.

        Args:
            name: The service.

        Raises:
            CannotTell: If the engine can't be asked or isn't a manager's.
        """
        spec, nodes = self.specs.get(name), {one.id: one for one in self.nodes}
        if spec is None:
            wanted = Wanted(name, 1, job=False, origin="services.names")
            return SwarmService(wanted, None, (), (), nodes, tuple(self.specs), self.name)
        slots: dict[str, list[Task]] = {}
        for one in self._tasks.get(spec.id, ()):
            slots.setdefault(one.slot, []).append(one)
        # An update may start the new one before the old one is ended: the slot is filled by the one that runs.
        now = [next((one for one in mine if one.running), mine[0]) for mine in slots.values()]
        before = [one for mine in slots.values() for one in mine if one not in now]
        number = len(_eligible(spec, self.nodes)) if spec.everywhere else spec.number
        wanted = Wanted(name, number, job=spec.job, origin="its specification")
        tasks = tuple(sorted(now, key=lambda one: _in_order(one.slot)))
        return SwarmService(wanted, spec, tasks, tuple(before), nodes, tuple(self.specs), self.name)

    def must_be_named(self, names: Sequence[str]) -> None:
        """Insist that the settings leave none of the stack's services out, where they name them.

        Raises:
            CannotTell: If they do.
        """
        if names and (more := [one for one in self.specs if one not in names]):
            raise CannotTell(
                f"the stack {self.name} has {', '.join(more)}, which services.names leaves out: nobody would look",
                mend="Write all services into services.names; `make target` shows what has changed.",
                cause="services.names",
            )

    def mishaps(self, name: str, since: datetime, until: datetime) -> Mishaps:
        """What befell the tasks of a service; see :meth:`SwarmService.mishaps`.

        Raises:
            CannotTell: As :meth:`service`; or if there is no such service or no task of it.
        """
        service = self.service(name)
        if service.spec is None or not service.tasks:
            self._nothing(name)
        return service.mishaps(since, until, self._about[1])

    def containers(self, service: str) -> tuple[Container, ...]:
        """The containers of a service that runs on this manager alone; empty when it has none.

        Raises:
            CannotTell: If the engine can't be asked; or if some run on other nodes,
                whose engines would have to be asked.
        """
        here, elsewhere = self._where(service)
        if elsewhere:
            names = {one.id: one.name for one in self.nodes}
            places = ", ".join(sorted({names.get(one.node, "a node that is no more") for one in elsewhere}))
            raise CannotTell(
                f"{len(elsewhere)} of {_tasks(len(here) + len(elsewhere))} of {service} run on other nodes ({places}): "
                "what only their engines know can't be seen from here",
                mend="Give the check another way, where there is one (database.host, loki.url), or constrain the "
                "service to the manager that engine.url leads to.",
                cause=f"other nodes of {service}",
            )
        return self.here(service)

    def here(self, service: str) -> tuple[Container, ...]:
        """The containers of a service on the node whose engine is asked, for what any one of them can tell.

        Raises:
            CannotTell: If the engine can't be asked.
        """
        if service not in self._inspected:
            seen = [self._inspect(one.container) for one in self._where(service)[0] if one.container]
            spec = self.specs.get(service)
            everywhere = {} if spec is None else {port: (("0.0.0.0", to),) for port, to in spec.published.items()}  # noqa: S104
            # Its address in an overlay network leads nowhere from outside of that.
            self._inspected[service] = tuple(
                replace(one, service=service, addresses=(), published={**one.published, **everywhere})
                for one in seen
                if one is not None
            )
        return self._inspected[service]

    def _where(self, service: str) -> tuple[list[Task], list[Task]]:
        """The service's newest tasks that have a container: on this node, and on others."""
        tasks = [one for one in self.service(service).tasks if one.container and not _leaves(one)]
        me = self._about[0]
        return [one for one in tasks if one.node == me], [one for one in tasks if one.node != me]

    def logged(self, service: str) -> tuple[Container, ...]:
        """What has a log of its own: each slot of a service, with the logs of all the tasks that are kept of it.

        They are for :meth:`read_log` and for what is said of a log; nothing else of
        them is known.

        Raises:
            CannotTell: If the engine can't be asked, the service has no task, or a
                slot's log lies on nodes alone that don't answer.
        """
        seen = self.service(service)
        if seen.spec is None or not seen.tasks:
            self._nothing(service)
        found = []
        for newest in seen.tasks:
            mine = [one for one in (newest, *seen.before) if one.slot == newest.slot and one.container]
            ready = [one for one in mine if (node := seen.nodes.get(one.node)) is not None and node.state == "ready"]
            if not mine:
                continue  # nothing of it ever ran
            if not ready:
                names = ", ".join(sorted({n.name for one in mine if (n := seen.nodes.get(one.node)) is not None}))
                raise CannotTell(
                    f"the log of {newest.slot} lies on {names or 'a node that is no more'}, which does not answer",
                    mend="Bring the node back (`docker node ls`), or look again when the service runs elsewhere.",
                    cause="nodes",
                )
            # The oldest first, as they were said; what lies on a node that is away isn't there, and its time not seen.
            ready.sort(key=lambda one: one.created)
            self._logs[ready[-1].id] = tuple(one.id for one in ready)
            found.append(_log_of(ready[-1], seen.spec, min(one.created for one in ready)))
        if not found:
            self._nothing(service)
        return tuple(found)

    def _nothing(self, service: str) -> NoReturn:
        there = ", ".join(self.specs) or "none"
        raise CannotTell(
            f"service {service} of the stack {self.name} has no task that could be looked at (services: {there})",
            mend="Start it; or, if it has another name, set services.database or services.backend.",
            cause=f"service {service}",
        )

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
        """Stream the log of a slot, of one task after the other; see :meth:`observe.engine.Project.read_log`.

        Args:
            container: One of :meth:`logged`, or one of this node's own containers.
            since: Start of the window, aware.
            until: End of the window, aware.
            read: Gets the raw stream.
            seconds: Total time limit of the whole read.
            tail: Only so many of the last lines of each task; None for all.

        Raises:
            CannotTell: If it can't be read, or not in time.
        """
        tasks = self._logs.get(container.id)
        if tasks is None:
            return super().read_log(container, since, until, read, seconds=seconds, tail=tail)
        from observe.swarm_log import bounded

        targets = [f"tasks/{one}/logs?{self._log_query(since, tail)}" for one in tasks]

        def refused(said: str) -> CannotTell:
            return CannotTell(
                f"the log of {container.name} can't be read: {said[:_SHOWN]}",
                mend="Its log driver must be one that can be read (json-file, local, journald); "
                f"see `docker service logs {self.name}_{container.service}`.",
            )

        def until_then(blocks: Iterator[bytes]) -> T:
            return read(bounded(blocks, until, tty=container.tty))

        return self._engine.stream(
            f"hand over the log of {container.name}", targets, until_then, refused, seconds=seconds
        )

    @staticmethod
    def _log_query(since: datetime, tail: int | None) -> str:
        from urllib.parse import urlencode

        return urlencode(
            {
                "stdout": 1,
                "stderr": 1,
                "timestamps": 1,
                "since": f"{since.timestamp():.9f}",
                "tail": "all" if tail is None else tail,
            }
        )

    def events(self, since: datetime, until: datetime) -> Events:  # noqa: ARG002  a task's end is no engine's event
        """Of a Swarm nothing is told by one engine's events: see :meth:`mishaps`.

        Raises:
            CannotTell: Always.
        """
        raise CannotTell(f"what befell the stack {self.name} is not in the events of one node's engine")

    def _listed(self, what: str, question: Callable[[docker.DockerClient], list[Any]]) -> list[Any]:
        """What a list of the manager's has.

        Raises:
            LostQuorum: If the managers are too few to say anything.
            CannotTell: If the engine can't be asked, or isn't a manager's.
        """

        def asked(client: docker.DockerClient) -> list[Any] | str:
            from docker.errors import APIError

            try:
                return question(client)
            except APIError as error:
                said = str(error.explanation or "")
                if _NO_LEADER.search(said) or _NO_MANAGER.search(said):
                    return said
                raise

        seen = self._engine.ask(what, asked)
        if not isinstance(seen, str):
            return seen
        if _NO_LEADER.search(seen):
            raise LostQuorum(
                f"the Swarm has lost its quorum, and says nothing of itself: {_one_line(seen)}",
                mend="What runs goes on running. Bring managers back until more than half of them are there.",
                cause=CAUSE,
            )
        raise CannotTell(
            f"the engine that is asked is no manager of a Swarm: {seen[:_SHOWN]}",
            mend="Let engine.url (or DOCKER_HOST, the context) lead to a manager; without a Swarm set "
            'project.orchestrator = "compose".',
            cause=CAUSE,
        )


@dataclass(frozen=True)
class Nodes:
    """The nodes of the Swarm that the stack runs on, and what is kept in it for the stack.

    Attributes:
        all: The nodes.
        kept: Secrets and configs of the stack.
        users: Name of a secret or a config to the services that are given it.
    """

    all: tuple[Node, ...]
    kept: tuple[Kept, ...]
    users: Mapping[str, tuple[str, ...]]

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong, a sentence each."""
        return tuple(trouble for one in self.all for trouble in one.troubles)

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        managers = sum(one.role == "manager" for one in self.all)
        return f"{_number(len(self.all), 'node')}, {_number(managers, 'manager')} among them"

    @property
    def notes(self) -> tuple[str, ...]:
        """What else should be known."""
        managers = sum(one.role == "manager" for one in self.all)
        if managers % 2 == 0:
            return (f"{managers} managers can lose no more of them than {managers - 1} could: an odd number is wanted",)
        return ()

    def rows(self) -> list[dict[str, str]]:
        """The nodes for the report."""
        return [one.row() for one in self.all]

    def kept_rows(self, now: datetime) -> list[dict[str, str]]:
        """Secrets and configs for the report: names and ages, never what is in them."""
        return [
            {
                "name": one.name,
                "kind": one.kind,
                "age": say_span(max(timedelta(0), now - one.created)),
                "given to": ", ".join(self.users.get(f"{one.kind} {one.name}", ())) or "no service",
            }
            for one in self.kept
        ]


def nodes_of(swarm: Swarm) -> Nodes:
    """The nodes, and what is kept for the stack.

    Raises:
        CannotTell: If the engine can't be asked, or isn't a manager's.
        NoAnswer: If the managers are too few to say anything, which is what is wrong with them.
    """
    try:
        nodes = swarm.nodes
    except LostQuorum as lost:
        raise NoAnswer(lost.what, cause=CAUSE) from None
    users: dict[str, list[str]] = {}
    for spec in swarm.specs.values():
        for used in spec.uses:
            users.setdefault(used, []).append(spec.name)
    return Nodes(nodes, swarm.kept, {name: tuple(services) for name, services in users.items()})


def _unread(configs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one in configs:
        one["Spec"].pop("Data", None)
    return configs


def _node(one: Mapping[str, Any]) -> Node:
    spec, status, about = one.get("Spec") or {}, one.get("Status") or {}, one.get("Description") or {}
    manager, engine, platform = (
        one.get("ManagerStatus") or {},
        about.get("Engine") or {},
        about.get("Platform") or {},
    )
    name, role = str(about.get("Hostname") or one["ID"]), str(spec.get("Role", ""))
    labels = {
        "node.id": str(one["ID"]),
        "node.hostname": name,
        "node.role": role,
        "node.ip": str(status.get("Addr", "")),
        "node.platform.os": str(platform.get("OS", "")),
        "node.platform.arch": str(platform.get("Architecture", "")),
        **{f"node.labels.{key}": str(value) for key, value in (spec.get("Labels") or {}).items()},
        **{f"engine.labels.{key}": str(value) for key, value in (engine.get("Labels") or {}).items()},
    }
    return Node(
        str(one["ID"]),
        name,
        role,
        str(spec.get("Availability", "")),
        str(status.get("State", "unknown")),
        _one_line(status.get("Message")),
        bool(manager.get("Leader")),
        str(manager.get("Reachability", "")),
        labels,
    )


def _spec(one: Mapping[str, Any], stack: str) -> Spec:
    spec = one["Spec"]
    template = spec.get("TaskTemplate") or {}
    inside = template.get("ContainerSpec") or {}
    inside.pop("Env", None)  # may hold secrets, as may what follows
    for key in ("Args", "Command"):
        inside.pop(key, None)
    mode, number = _mode(spec.get("Mode") or {})
    check = inside.get("Healthcheck") or {}
    grace = (check.get("StartPeriod") or 0) + sum(check.get(name) or _DEFAULT_CHECK for name in ("Interval", "Timeout"))
    log = template.get("LogDriver") or {}
    uses = [f"secret {each.get('SecretName', '')}" for each in inside.get("Secrets") or ()]
    uses += [f"config {each.get('ConfigName', '')}" for each in inside.get("Configs") or ()]
    return Spec(
        str(one["ID"]),
        str(spec["Name"]).removeprefix(f"{stack}_"),
        mode,
        number,
        tuple(map(str, (template.get("Placement") or {}).get("Constraints") or ())),
        str((template.get("RestartPolicy") or {}).get("Condition") or "any"),
        timedelta(microseconds=grace / 1000),
        _moment(one.get("CreatedAt")),
        _update(one.get("UpdateStatus") or {}),
        tuple(uses),
        str(log.get("Name", "")),
        # Which driver a node has by itself isn't known here: it may be one that drops lines.
        log.get("Name") != "json-file" or "max-size" in (log.get("Options") or {}),
        bool(inside.get("TTY")),
        int(((one.get("JobStatus") or {}).get("JobIteration") or {}).get("Index") or 0),
        {
            f"{port.get('TargetPort')}/{port.get('Protocol', 'tcp')}": int(port["PublishedPort"])
            for port in (one.get("Endpoint") or {}).get("Ports") or ()
            if port.get("PublishMode") == "ingress" and port.get("PublishedPort")
        },
    )


def _mode(mode: Mapping[str, Any]) -> tuple[str, int]:
    if "Global" in mode:
        return "global", 0
    if "GlobalJob" in mode:
        return "global job", 0
    if "ReplicatedJob" in mode:
        job = mode["ReplicatedJob"] or {}
        return "replicated job", int(job.get("TotalCompletions") or job.get("MaxConcurrent") or 1)
    replicas = (mode.get("Replicated") or {}).get("Replicas")
    return "replicated", 1 if replicas is None else int(replicas)


def _update(status: Mapping[str, Any]) -> str:
    state = str(status.get("State") or "")
    if state in {"", "completed"}:
        return ""
    said = _one_line(status.get("Message"))
    return f"its last update is {state.replace('_', ' ')}{f': {said}' if said else ''}"


def _task(one: Mapping[str, Any], service: str, nodes: Mapping[str, str]) -> Task:
    # Nothing of its specification is kept: environment and command line may hold secrets.
    status = one.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    node, slot = str(one.get("NodeID", "")), one.get("Slot")
    state = str(status.get("State", "unknown"))
    return Task(
        str(one["ID"]),
        f"{service}.{slot}" if slot else f"{service} on {nodes.get(node, node or 'no node yet')}",
        node,
        str(one.get("DesiredState", "")),
        state,
        _moment(status.get("Timestamp")),
        _moment(one.get("CreatedAt")),
        _one_line(status.get("Err")),
        int(container.get("ExitCode") or 0) if state in _ENDED and container else None,
        str(container.get("ContainerID", "")),
        int((one.get("JobIteration") or {}).get("Index") or 0),
    )


def _eligible(spec: Spec, nodes: Sequence[Node]) -> list[Node]:
    """The nodes that are to have a task of a global service: those that are away are among them."""
    return [one for one in nodes if one.availability != "drain" and all(_holds(each, one) for each in spec.constraints)]


def _holds(constraint: str, node: Node) -> bool:
    """Whether a node is as a constraint wants it; one that isn't understood leaves none out."""
    match = _CONSTRAINT.fullmatch(constraint)
    if match is None:
        return True
    return (node.labels.get(match["what"], "").casefold() == match["value"].casefold()) is (match["how"] == "==")


def _log_of(newest: Task, spec: Spec, since: datetime) -> Container:
    """A slot as something that has a log."""
    return Container(
        id=newest.id,
        name=newest.slot,
        service=spec.name,
        image="",
        status="running" if newest.running else "exited",
        exit_code=newest.exit_code or 0,
        oom_killed=False,
        restarts=0,
        restart_policy=spec.restarts,
        created=since,
        started=newest.created,
        finished=None,
        health=None,
        log_driver=spec.log_driver or "its node's own",
        rotates=spec.rotates,
        tty=spec.tty,
        published={},
        addresses=(),
        mounts={},
        public={},
        secrets={},
        settings=Settings("", {}, {}, {}, (), (), (), {}, {}, {}, (), ()),
    )


def _leaves(one: Task) -> bool:
    """Whether it is to make room, though it may still run."""
    return one.desired in {"shutdown", _GONE} and one.state not in _ENDED


def _in_order(slot: str) -> tuple[str, int, str]:
    name, _, number = slot.rpartition(".")
    return (name, int(number), "") if number.isdecimal() and len(number) < 10 else (slot, 0, slot)


def _moment(text: object) -> datetime:
    return (time_of_engine(text) if isinstance(text, str) else None) or datetime.fromtimestamp(0, UTC)


def _one_line(text: object) -> str:
    return " ".join(str(text or "").split())[:_SHOWN]


def _tasks(number: int) -> str:
    return _number(number, "task")


def _number(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
