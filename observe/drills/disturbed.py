"""A stack that is disturbed on purpose: how it was, what is done to it, and that it is so again afterwards.

That holds when the drill ends, fails, or is interrupted by a signal that can be
caught. After a `kill -9` of the suite nobody is left to put anything back:
what the engine was asked for it still does, a restart to its end, and what was
killed comes back by its restart policy; without one it stays down until
`docker compose up -d`. The history knows of the drill even then.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from observe.drills.guard import Guard
from observe.drills.kill import kill_main_processes, remove_killer
from observe.drills.prober import Heard, Prober
from observe.engine import Project
from observe.errors import CannotTell
from observe.services import SETTLED, Disturbance
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import docker

    from observe.engine import Container, Engine

T = TypeVar("T")
STOP_SECONDS = 10
"""So long the engine waits between a signal and a kill when a container doesn't say it otherwise."""
CALL = 60.0
"""Seconds for one call of the engine beside what the container takes to stop."""
PUT_BACK_SECONDS = 60.0
"""The stack is put back within that time or what is missing is said; signals are not heard meanwhile."""
PATIENCE = 60.0
"""So long is waited beyond a limit, to say how long it took and to leave nothing behind that is still starting."""
AFTER_SECONDS = 1.0
"""The site is asked so much longer when everything is healthy again."""
ENDED = frozenset({"created", "dead", "exited"})
"""How a container is that nothing brings back but a start."""
_EVERY = 0.1


@dataclass(frozen=True)
class Means:
    """What a drill needs.

    Attributes:
        drill: Its expectation's slug.
        connect: Makes a connection to the engine, a new one each time.
        project: The Compose project's name.
        service: The service that is disturbed.
        ask: Asks the site for a path once, marked as this run's traffic; as :class:`Prober` wants it.
        answer: The total time limit of such a request, in seconds.
        paths: What is asked for.
        remember: Writes down what is done to which container, before it is done and when it is over.
        token: The run's.
    """

    drill: str
    connect: Callable[[], Engine]
    project: str
    service: str
    ask: Callable[[str], int]
    answer: float
    paths: tuple[str, ...]
    remember: Callable[[Sequence[Disturbance]], None]
    token: str


@dataclass(frozen=True)
class Phase:
    """A part of a drill.

    Attributes:
        name: What was done in it.
        began: When, on this machine's monotonic clock, in seconds.
        ended: Until when.
    """

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Course:
    """How a drill went, whichever it was.

    Attributes:
        heard: What came of the requests.
        phases: Its parts, in order.
        containers: How many containers the service has.
        left: Containers that ran before and don't now, though they were to be started again.
    """

    heard: Heard
    phases: tuple[Phase, ...]
    containers: int
    left: tuple[str, ...]

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        containers = "1 container" if self.containers == 1 else f"{self.containers} containers"
        lasted = self.phases[-1].ended - self.phases[0].began if self.phases else 0.0
        paths = " and ".join(sorted({one.path for one in self.heard.asked}))
        return f"{containers}, {len(self.heard.asked)} requests of {paths} in {_span(lasted)}"

    def rows(self) -> list[dict[str, str]]:
        """The parts of the drill for the report."""
        rows = []
        for phase in self.phases:
            part = self.heard.between(phase.began, phase.ended)
            rows.append(
                {
                    "phase": phase.name,
                    "took": _span(phase.ended - phase.began),
                    "requests": str(len(part.asked)),
                    "failed": str(len(part.failures)),
                    "slowest answer": _span(part.slowest),
                }
            )
        return rows

    def failed_lines(self) -> list[str]:
        """The requests that failed, a line each, with when that was in the drill."""
        zero = self.phases[0].began if self.phases else 0.0
        return [f"{one.began - zero:6.2f} s  {one.said}" for one in self.heard.failures]

    @property
    def notes(self) -> tuple[str, ...]:
        """What else there is to know."""
        if refused := self.heard.refused:
            return (f"{refused} requests were answered 429: the site takes the drill's own for too many.",)
        return ()


@dataclass
class Disturbed:
    """The stack during a drill; made by :func:`drill`."""

    means: Means
    prober: Prober
    before: tuple[Container, ...] = ()
    left: tuple[str, ...] = ()
    _engine: Engine | None = None
    _phases: list[Phase] = field(default_factory=list)
    _pending: threading.Event | None = None
    _written: list[Disturbance] = field(default_factory=list)
    _stopping: float = 0.0
    _killed: bool = False
    _is_back: bool = False

    @property
    def mine(self) -> tuple[Container, ...]:
        """The containers of the service that is disturbed, as they were before."""
        return tuple(one for one in self.before if one.service == self.means.service)

    def look(self) -> tuple[Container, ...]:
        """All containers of the project, as they are now.

        Raises:
            CannotTell: If the engine can't be asked.
        """
        project = Project(self._connected(), self.means.project)
        return tuple(one for service in project.services for one in project.containers(service))

    def begin(self) -> None:
        """See how the stack is, and write down that it will be disturbed.

        Raises:
            CannotTell: If it isn't well now, or the engine can't be asked: nothing is disturbed then.
        """
        seen = self.look()
        before = tuple(one for one in seen if one.status in {"running", "paused", "restarting"})
        mine = [one for one in seen if one.service == self.means.service]
        ill = [one for one in before if not one.running or (one.health and one.health.status != "healthy")]
        ill += [one for one in mine if one not in before]
        if ill:
            said = ", ".join(f"{one.name} is {_condition(one)}" for one in ill)
            raise CannotTell(
                f"the stack isn't well before anything is disturbed ({said}), so nothing was disturbed",
                mend="Mend that first: `pytest -m triage` says where to begin.",
            )
        if not mine:
            raise CannotTell(
                f"service {self.means.service} has no container, so nothing was disturbed",
                mend="Start it; or, if it has another name, set services.backend.",
                cause=f"service {self.means.service}",
            )
        # Only now is there anything to put back.
        self.before = before

    @contextmanager
    def phase(self, name: str) -> Iterator[float]:
        """A part of the drill; gives when it began, on the monotonic clock."""
        began = time.monotonic()
        try:
            yield began
        finally:
            self._phases.append(Phase(name, began, time.monotonic()))

    def restart(self, one: Container) -> None:
        """Restart a container as `docker restart` does, with its own signal and its own time to stop.

        Raises:
            CannotTell: If the engine can't, or not in time.
        """
        patience = one.settings.plain.get("StopTimeout")
        seconds = STOP_SECONDS if patience is None else int(patience)
        self._write(one)
        self._stopping = max(0, seconds)
        self._act(
            f"restart {one.name}", lambda client: client.api.restart(one.id, timeout=seconds), self._stopping + CALL
        )

    def kill(self) -> float:
        """Kill the main processes of the service, so that the engine takes them for crashed; gives when that was.

        Raises:
            CannotTell: If they could not be killed.
        """
        for one in self.mine:
            self._write(one)
        self._killed = True
        return kill_main_processes(self._connected(), self.mine, self.means.token, self._act)

    def wait_well(self, wanted: Sequence[Container], until: float, *, answering: bool = False) -> bool:
        """Wait until those containers are healthy, or run for good where they have no health check.

        Args:
            wanted: Which.
            until: How long, on the monotonic clock.
            answering: Whether the site must answer as well, on every path, after that.

        Returns:
            Whether they are.
        """
        ids = {one.id for one in wanted}
        healthy_at: float | None = None
        while True:
            self.prober.must_go_on()
            now = time.monotonic()
            if sum(one.id in ids and _is_well(one) for one in self.look()) < len(ids):
                healthy_at = None
            elif not answering:
                return True
            elif healthy_at is None:
                healthy_at = now
            elif self.prober.answers_since(healthy_at):
                return True
            if now >= until:
                return False
            time.sleep(_EVERY)

    def settle(self) -> bool:
        """Wait until the service's containers have run for so long that they count as started for good.

        Returns:
            Whether they did, without ending once more.
        """
        started = {one.id: one.started for one in self.look() if one.service == self.means.service}
        until = time.monotonic() + SETTLED.total_seconds() + PATIENCE / 10
        while time.monotonic() < until:
            now = datetime.now(UTC)
            mine = [one for one in self.look() if one.id in started]
            if any(one.started != started[one.id] or not one.running for one in mine):
                return False
            if all(one.started is not None and now - one.started > SETTLED for one in mine):
                return True
            time.sleep(_EVERY)
        return False

    def put_back(self) -> None:
        """Start what ran before and doesn't now; once, whatever happened, within a time limit of its own."""
        if self._is_back:
            return
        if self._pending is not None:
            # The engine goes on with what it was asked for, and would undo what is done meanwhile.
            self._pending.wait(self._stopping + PUT_BACK_SECONDS / 2)
        until = time.monotonic() + PUT_BACK_SECONDS
        missing = {one.id: one.name for one in self.before}
        # A connection that a signal interrupted, or that was given up, is not to be relied upon.
        self._engine = None
        while missing and time.monotonic() < until:
            try:
                if self._killed:
                    remove_killer(self._connected(), self.means.token)
                    self._killed = False
                seen = {one.id: one for one in self.look() if one.id in missing}
                for one in seen.values():
                    if one.running:
                        del missing[one.id]
                    elif one.status in ENDED:
                        self._start(one)
            except CannotTell:
                self._engine = None
            if missing:
                time.sleep(_EVERY)
        self.left = tuple(sorted(missing.values()))
        self._write_end()
        self._is_back = True

    def course(self) -> Course:
        """How the drill went."""
        heard = self.prober.end(self.means.answer)
        return Course(heard, tuple(self._phases), len(self.mine), self.left)

    def close(self) -> None:
        """Close the connection to the engine."""
        if self._engine is not None:
            self._engine.close()

    def _connected(self) -> Engine:
        self._engine = self._engine or self.means.connect()
        return self._engine

    def _start(self, one: Container) -> None:
        self._act(f"start {one.name}", lambda client: client.api.start(one.id), CALL)

    def _act(self, what: str, call: Callable[[docker.DockerClient], T], seconds: float) -> T:
        """Have the engine do something, and know until when it does: it goes on when nobody waits any more."""
        done = self._pending = threading.Event()
        asked: list[bool] = []

        def question(client: docker.DockerClient) -> T:
            asked.append(True)
            try:
                return call(client)
            finally:
                done.set()

        try:
            return self._connected().ask(what, question, seconds=seconds)
        except CannotTell as failed:
            if not asked:
                done.set()
            raise CannotTell(
                failed.what,
                mend="See what the engine says on its host: `journalctl -u docker -n 50`.",
                cause=failed.cause,
            ) from None

    def _write(self, one: Container) -> None:
        """Write down, before it is done, that what befalls this container is the drill's doing."""
        about = Disturbance(
            container=one.id,
            drill=self.means.drill,
            since=datetime.now(UTC),
            until=None,
            restarts_before=one.restarts,
            started_before=one.started,
            restarts_after=one.restarts,
        )
        self._written.append(about)
        self.means.remember([about])

    def _write_end(self) -> None:
        if not self._written:
            return
        try:
            counts = {one.id: one.restarts for one in self.look()}
        except CannotTell:
            counts = {}
        now = datetime.now(UTC)
        self.means.remember(
            [
                replace(one, until=now, restarts_after=counts.get(one.container, one.restarts_before))
                for one in self._written
            ]
        )


def drill(means: Means, work: Callable[[Disturbed], T]) -> tuple[T, Course]:
    """Disturb the stack, and have it as it was afterwards: when the drill ends, fails or is interrupted.

    Args:
        means: What it is made with.
        work: The drill itself. It leaves the stack healthy, or as near to it as that is possible.

    Returns:
        What `work` gives, and how the drill went.

    Raises:
        CannotTell: If nothing could be disturbed or seen, or something does not run any more.
        KeyboardInterrupt: If a signal came; its text says that the stack was put back.
    """
    stack = Disturbed(means, Prober(means.ask, means.paths))
    try:
        with Guard() as guard:
            try:
                try:
                    stack.begin()
                    with stack.prober:
                        with stack.phase("before"):
                            stack.prober.must_answer()
                        found = work(stack)
                        with stack.phase("after"):
                            time.sleep(AFTER_SECONDS)
                        guard.hold()
                        stack.put_back()
                        return found, stack.course()
                finally:
                    guard.hold()
                    stack.put_back()
            finally:
                # The first interruption may have come before the line above it could do anything; a second can't.
                guard.hold()
                stack.put_back()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_said_of(stack)) from None
    except CannotTell as failed:
        if stack.left:
            raise CannotTell(f"{failed.what}; {_said_of(stack)}", mend=_start_by_hand(stack.left)) from None
        raise
    finally:
        stack.close()


def _said_of(stack: Disturbed) -> str:
    if stack.left:
        return (
            f"the drill was ended, and these don't run any more: {', '.join(stack.left)}. {_start_by_hand(stack.left)}"
        )
    return f"the drill {stack.means.drill} was ended; every container that ran before it runs again"


def _start_by_hand(names: Sequence[str]) -> str:
    return f"Start them: docker start {' '.join(names)}"


def _is_well(one: Container) -> bool:
    if not one.running:
        return False
    if one.health is not None:
        return one.health.status == "healthy"
    return one.started is not None and datetime.now(UTC) - one.started >= SETTLED


def _condition(one: Container) -> str:
    return one.health.status if one.running and one.health else one.status


def _span(seconds: float) -> str:
    return say_span(timedelta(seconds=round(seconds, 2 if seconds < 1 else 1)))
