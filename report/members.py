"""The runs of a fleet: one for each target, each a process of its own, so many of them at the same time.

Each is an ordinary run of the suite, with its own lock, history and reports. Whatever one does (hangs, crashes, is
killed) is that target's row, and nobody else's.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from report.hand_over import GRACE
from report.lines import OUTCOMES, SEVERITIES, counts, lines
from report.redact import redact
from report.text import plain
from target.kinds import Span

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from report.lines import Line, Outcome, Result, Run

NOTHING = "there is no expectation that is what was asked for"
"""What is said of pytest's status 5."""
_PAUSE = 0.1
_LAST_WORDS = 2000
"""Bytes that are read of what a run printed last."""
_OURS = ("PYTEST_XDIST", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS")


@dataclass(frozen=True)
class Member:
    """A target of a fleet.

    Attributes:
        name: The target's; of a file that can't be read what was given for it.
        file: The target file.
        limit: Seconds after which its run is ended.
        outputs: The variables that say where its run writes.
        problem: Why it can't be looked at; empty when it can.
    """

    name: str
    file: Path
    limit: float = 0.0
    outputs: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Look:
    """What came of one target.

    Attributes:
        member: The target.
        results: What its run found, without the evidence; nothing where it said nothing.
        run: What is true of all of them; None where it said nothing.
        changed: What has changed since the target's last run, in a sentence; empty where that isn't known.
        unseen: How many expectations were to be looked at and were not.
        page: The target's own report; None where there is none.
        problem: Why not everything is known, beside what can't be told; empty for nothing.
        began: When its run was started, aware.
        seconds: How long that was on.
    """

    member: Member
    results: tuple[Result, ...] = ()
    run: Run | None = None
    changed: str = ""
    unseen: int = 0
    page: Path | None = None
    problem: str = ""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The target's."""
        return self.member.name

    @property
    def number(self) -> dict[Outcome, int]:
        """How many results there are of each outcome."""
        return counts(self.results)

    @property
    def lines(self) -> list[Line]:
        """What needs a person, the worst first."""
        return lines(self.results)

    @property
    def outcome(self) -> Outcome:
        """How the target stands: broken when anything is, else can't tell when anything can't be told."""
        number = self.number
        if number["broken"]:
            return "broken"
        if number["cannot tell"] or self.problem or self.unseen or not self.results:
            return "cannot tell"
        return "holds" if number["holds"] else "set aside"

    @property
    def urgency(self) -> tuple[int, int, int, str]:
        """By what those that need a person first come first."""
        worst = min((SEVERITIES.index(line.severity) for line in self.lines), default=len(SEVERITIES))
        # Of what isn't known at all nobody can say how bad it is.
        worst = -1 if self.outcome == "cannot tell" and not self.results else worst
        number = self.number
        return OUTCOMES.index(self.outcome), worst, -number["broken"] - number["cannot tell"], self.name


class Running:
    """The run of a target.

    Args:
        member: The target.
        command: What is started, but for the target and for what connects it with us.
        directory: Where.
    """

    def __init__(self, member: Member, command: Sequence[str], directory: Path) -> None:
        self.member = member
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  open for as long as the run is on
        self._said = bytearray()
        self._began = datetime.now(UTC)
        self._since = time.monotonic()
        self._interrupted = 0.0
        self._why = ""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        with theirs:
            self._process = subprocess.Popen(
                [*command, f"--target={member.file}", "-p", "report.hand_over", f"--hand-over={theirs.fileno()}"],
                cwd=directory,
                # What is added to a command line by the environment was read by us, and is handed through.
                env={**environment, **member.outputs, "PYTEST_ADDOPTS": ""},
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )

    def hear(self) -> bool:
        """Take what it has handed over; whether there can be more."""
        try:
            heard = self.socket.recv(1 << 16)
        except (BlockingIOError, ConnectionResetError):
            return False
        self._said += heard
        return bool(heard)

    def interrupt(self, why: str) -> None:
        """Let it end as Ctrl-C does: it hands over what it has.

        Args:
            why: What is said of it in its target's row.
        """
        if not self._interrupted:
            self._interrupted, self._why = time.monotonic(), why
            with suppress(OSError):  # it has just ended
                self.socket.shutdown(socket.SHUT_WR)

    def look_after(self) -> bool:
        """End it where its time is up; whether it is over."""
        now = time.monotonic()
        if not self._interrupted and now - self._since > self.member.limit:
            limit = Span(seconds=self.member.limit)
            self.interrupt(f"its run was still on after {limit} and was ended (--target-limit)")
        if self._interrupted and now - self._interrupted > GRACE:
            os.killpg(self._process.pid, signal.SIGKILL)
        # It isn't waited for yet: as long as it isn't, nobody else can get its number.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """End it, and all that it has started, at once; what has ended already is put away."""
        if self._process.returncode is not None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.socket.close()
        self._printed.close()

    def look(self) -> Look:
        """What came of it, when it is over."""
        while self.hear():
            pass
        seconds = time.monotonic() - self._since
        words = self._last_words()
        self.kill()
        known = Look(self.member, began=self._began, seconds=seconds, problem=self._why)
        try:
            said: dict[str, Any] = json.loads(self._said)
            results = tuple(cast("list[Result]", said["results"]))
            facts, changed, unseen, page = (said[key] for key in ("facts", "changed", "unseen", "page"))
        except (ValueError, LookupError, TypeError):
            results, facts, changed, unseen, page = (), None, "", 0, ""
        if not results:
            status = self._process.returncode
            why = self._why or (
                NOTHING if status == 5 else f"its run ended with status {status} and no result: {words}"
            )
            return Look(self.member, began=self._began, seconds=seconds, problem=why.removesuffix(": "))
        return Look(
            known.member,
            results,
            facts,
            changed,
            unseen,
            Path(page) if page and Path(page).is_file() else None,
            self._why or (f"its run ended early, {unseen} were not looked at" if unseen else ""),
            known.began,
            seconds,
        )

    def _last_words(self) -> str:
        """What it printed last; pytest's word for what is wrong taken off."""
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - _LAST_WORDS))
        text = self._printed.read().decode(errors="replace").strip().split("\n\n")[-1]
        return plain(redact(text.strip().removeprefix("ERROR: ")), 600)


def look_at(
    members: Sequence[Member], command: Sequence[str], directory: Path, at_once: int, stopped: list[Look]
) -> Generator[tuple[Look, list[str]], None, None]:
    """Look at targets, so many at the same time.

    However this ends, all runs that it has started end before it does.

    Args:
        members: The targets, in the order in which they are begun.
        command: How a run is started, but for its target.
        directory: Where.
        at_once: How many at the same time, at least 1.
        stopped: Filled with what came of those that were on when it ended.

    Yields:
        What came of each as it ends, and the names of those that are on meanwhile.
    """
    waiting = [one for one in members if not one.problem]
    yield from ((Look(one, problem=one.problem), []) for one in members if one.problem)
    running: list[Running] = []
    with selectors.DefaultSelector() as ears:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(Running(waiting.pop(0), command, directory))
                    ears.register(running[-1].socket, selectors.EVENT_READ, running[-1])
                for key, _ in ears.select(_PAUSE):
                    if not key.data.hear():
                        ears.unregister(key.fileobj)
                for one in [one for one in running if one.look_after()]:
                    running.remove(one)
                    if one.socket.fileno() in ears.get_map():
                        ears.unregister(one.socket)
                    yield one.look(), [other.member.name for other in running]
        finally:
            stopped += _end(running)


def _end(running: Sequence[Running]) -> list[Look]:
    """End runs, all at the same time, as Ctrl-C does, and what isn't over then at once; what came of each till then."""
    try:
        for one in running:
            one.interrupt("the run was stopped before it had ended")
        until = time.monotonic() + GRACE
        left = list(running)
        while left and time.monotonic() < until:
            for one in left:
                one.hear()
            left = [one for one in left if not one.look_after()]
            time.sleep(_PAUSE / 2)
        return [one.look() for one in running if one not in left]
    finally:
        for one in running:
            one.kill()


def command_of(options: Sequence[str]) -> list[str]:
    """How a run of a target is started, with these options; `look_at` adds the target."""
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
