"""Users of the site while a drill goes on: each path is asked again and again, over new connections.

A request has failed when it was answered with 500 or more, or not at all. It
is asked once: what a proxy or an application mends for its users counts as
mended, and what reaches them counts as failed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from observe.errors import CannotTell, NoAnswer
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EVERY = 0.15
"""Seconds between two requests of the first path, which is to be the health check's."""
SELDOM = 3
"""The others are asked so many times less often: more would meet the limits that a site sets its users."""
SLOWER = 5.0
"""A path that is refused for being asked too often is asked so many times less often from then on."""
MOST = 50_000
"""Requests of one drill that are kept; a drill of an hour makes fewer."""
FIRST = 3
"""So many answers of each path come before anything is disturbed."""
FIRST_SECONDS = 15.0


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        path: What was asked for.
        began: When, on this machine's monotonic clock, in seconds.
        ended: When its answer was read, or given up.
        status: The answer's HTTP status; 0 if there was none.
        trouble: Why there was none, in one sentence.
    """

    path: str
    began: float
    ended: float
    status: int
    trouble: str = ""

    @property
    def failed(self) -> bool:
        """Whether its user got nothing."""
        return not self.status or self.status >= 500

    @property
    def said(self) -> str:
        """What came of it, in words."""
        return f"{self.path}: {self.status}" if self.status else self.trouble or f"{self.path}: no answer"


@dataclass(frozen=True)
class Heard:
    """What came of the requests of some time."""

    asked: tuple[Asked, ...]

    @property
    def failures(self) -> tuple[Asked, ...]:
        """Those that failed."""
        return tuple(one for one in self.asked if one.failed)

    @property
    def refused(self) -> int:
        """How many were refused for being too many: an answer, and none that a user would have got."""
        return sum(one.status == 429 for one in self.asked)

    @property
    def outage(self) -> float:
        """The longest time, in seconds, over which one path failed: from the first failure to the next answer."""
        longest = 0.0
        for path in {one.path for one in self.asked}:
            since: float | None = None
            for one in (each for each in self.asked if each.path == path):
                if one.failed and since is None:
                    since = one.began
                if since is not None:
                    longest = max(longest, one.ended - since)
                if not one.failed:
                    since = None
        return longest

    @property
    def slowest(self) -> float:
        """How long the slowest answer took, in seconds; 0 when nothing was answered."""
        return max((one.ended - one.began for one in self.asked if not one.failed), default=0.0)

    def between(self, since: float, until: float) -> Heard:
        """The requests that were begun in that time of the monotonic clock."""
        return Heard(tuple(one for one in self.asked if since <= one.began < until))

    @property
    def said(self) -> str:
        """What came of them, in words."""
        if not self.failures:
            return f"not one of {len(self.asked)} requests failed"
        lasted = say_span(timedelta(seconds=round(self.outage, 1)))
        return f"{len(self.failures)} of {len(self.asked)} requests failed, over {lasted} at most"


class Prober:
    """Asks for each path in a thread of its own; use it in a `with` statement.

    Args:
        ask: Asks for a path once, within a time limit of its own, and returns the status.
            It raises NoAnswer when there is no answer, and CannotTell when it can't be asked.
        paths: The paths, at least one.
        every: Seconds between two requests of the first of them.
    """

    def __init__(self, ask: Callable[[str], int], paths: Sequence[str], every: float = EVERY) -> None:
        self._ask = ask
        self._paths = tuple(dict.fromkeys(paths))
        self._pause = dict.fromkeys(self._paths, every * SELDOM) | {self._paths[0]: every}
        self._asked: list[Asked] = []
        self._broken: CannotTell | None = None
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(path,), daemon=True) for path in self._paths]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    @property
    def paths(self) -> tuple[str, ...]:
        """What is asked for."""
        return self._paths

    def heard(self) -> Heard:
        """What has come of the requests so far, by when they were begun."""
        return Heard(tuple(sorted(self._asked, key=lambda one: one.began)))

    def answers_since(self, moment: float) -> bool:
        """Whether every path has been answered by a request that was begun after that time, and still is."""
        last = {one.path: one for one in self._asked if one.began >= moment}
        return len(last) == len(self._paths) and not any(one.failed for one in last.values())

    def must_answer(self) -> None:
        """Wait until every path was answered some times.

        Raises:
            CannotTell: If one of them fails, or the site can't be asked: nothing would be learnt from disturbing it.
        """
        until = time.monotonic() + FIRST_SECONDS
        while time.monotonic() < until:
            self.must_go_on()
            seen = tuple(self._asked)
            if failed := next((one for one in seen if one.failed), None):
                raise CannotTell(
                    f"the site fails before anything is disturbed ({failed.said}), so nothing was disturbed",
                    mend="Mend that first: `pytest -m triage` says where to begin.",
                )
            if all(sum(one.path == path for one in seen) >= FIRST for path in self._paths):
                return
            time.sleep(0.02)
        raise CannotTell(
            "the site answers too slowly to tell whether a request fails, so nothing was disturbed",
            mend="Mend that first: `pytest -m triage` says where to begin.",
        )

    def must_go_on(self) -> None:
        """Make sure that the site is still being asked.

        Raises:
            CannotTell: If it can't be.
        """
        if self._broken is not None:
            raise self._broken

    def end(self, seconds: float) -> Heard:
        """Stop asking, wait at most so long for the requests that are under way, and return what was heard."""
        self._stop.set()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return self.heard()

    def _go_on(self, path: str) -> None:
        pause = self._pause[path]
        while not self._stop.is_set() and len(self._asked) < MOST:
            began = time.monotonic()
            try:
                status, trouble = self._ask(path), ""
            except NoAnswer as silent:
                status, trouble = 0, silent.what
            except CannotTell as failed:
                self._broken = failed
                return
            except Exception as failed:  # noqa: BLE001  a thread that dies unseen would look like a site that holds
                self._broken = CannotTell(f"{path} could not be asked: {type(failed).__name__}: {failed}")
                return
            ended = time.monotonic()
            self._asked.append(Asked(path, began, ended, status, trouble))
            if status == 429:
                pause = self._pause[path] * SLOWER
            self._stop.wait(max(0.0, pause - (ended - began)))
