"""What a fault is: one thing done to one lab, shown to have taken, and undone."""

from __future__ import annotations

import datetime as dt
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, TypeVar

from lab import traffic
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab

Seen = TypeVar("Seen")
HEALTHY_SECONDS = 60.0
ANSWER_SECONDS = 15.0
SEEN_SECONDS = 10.0
DAYS_AGO = re.compile(r"\{([1-9][0-9]*) days? ago\}")


class FaultDidNotTake(LabError):  # noqa: N818 - said of a fault, not of the program
    """A fault changed nothing, so whatever is proven under it would be proven about a healthy lab."""


@dataclass(frozen=True)
class Took:
    """Evidence that a fault is in force.

    Attributes:
        before: what was seen before it, in one line.
        after: the same, looked at again under it.
        target: a target file of its own to run the checks with, for a fault that lies in how the
            lab is looked at; None when the lab's own target file is to be used.

    Raises:
        FaultDidNotTake: both are the same.
    """

    before: str
    after: str
    target: Path | None = None

    def __post_init__(self) -> None:
        """Refuse to be evidence of nothing."""
        if self.before == self.after:
            raise FaultDidNotTake(f"nothing changed, it is still: {self.before}")


@dataclass(frozen=True)
class Early:
    """What a fault does besides when it is done in the small hours.

    Attributes:
        until: the hour, of the host's zone, from which it does no more than otherwise.
        breaks: as a fault's.
        blinds: as a fault's.
    """

    until: int
    breaks: tuple[str, ...]
    blinds: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """One thing that can be done to a lab.

    An id may have a day for its item, written as `{3 days ago}`; `broken` and `blind` fill it in.

    Attributes:
        name: its identity, in words joined by hyphens.
        breaks: ids of the expectations that are broken under it, all of them.
        description: what it does, in one sentence.
        inject: does it, yields the evidence, and undoes it whatever happens.
        blinds: ids of expectations that cannot be told under it, since what they look at is
            not to be seen.
        early: what it breaks and blinds besides in the small hours; None when they make no difference.
        options: what pytest has to be told besides for it to be found, such as that drills may disturb the lab.
    """

    name: str
    breaks: tuple[str, ...]
    description: str
    inject: Callable[[Lab], Iterator[Took]]
    blinds: tuple[str, ...] = ()
    early: Early | None = None
    options: tuple[str, ...] = ()

    def broken(self, lab_now: dt.datetime) -> set[str]:
        """The ids of what is broken under it at that time (aware, in the host's zone)."""
        early = self.early.breaks if self.early is not None and lab_now.hour < self.early.until else ()
        return {with_day(one, lab_now) for one in (*self.breaks, *early)}

    def blind(self, lab_now: dt.datetime) -> set[str]:
        """The ids of what cannot be told under it, likewise."""
        early = self.early.blinds if self.early is not None and lab_now.hour < self.early.until else ()
        return {with_day(one, lab_now) for one in (*self.blinds, *early)}

    @contextmanager
    def applied(self, lab: Lab) -> Iterator[Took]:
        """Have the fault in force for the length of a block.

        Afterwards the lab is as it was: containers healthy, site answering.

        Raises:
            FaultDidNotTake: it changed nothing.
            LabError: it could not be done, or the lab did not come back from it.
        """
        try:
            with contextmanager(self.inject)(lab) as took:
                yield took
        finally:
            recovered(lab)


def with_day(one: str, lab_now: dt.datetime) -> str:
    """An id with the calendar day filled in that its item stands for, seen from that time."""
    return DAYS_AGO.sub(lambda ago: str(lab_now.date() - dt.timedelta(days=int(ago[1]))), one)


def recovered(lab: Lab) -> None:
    """Wait until a lab is healthy and its site answers.

    Raises:
        LabError: it does not within a minute and a quarter.
    """
    lab.wait_healthy(HEALTHY_SECONDS)
    complaints = eventually(lambda: traffic.answers(lab), lambda found: not found, ANSWER_SECONDS)
    if complaints:
        raise LabError(f"the site of lab {lab.name} does not answer after a fault: {'; '.join(complaints)}")


def eventually(look: Callable[[], Seen], wanted: Callable[[Seen], bool], seconds: float = SEEN_SECONDS) -> Seen:
    """Look again and again until what is seen is wanted, at most for `seconds`.

    Returns:
        What was seen last, wanted or not.
    """
    deadline = time.monotonic() + seconds
    seen = look()
    while not wanted(seen) and time.monotonic() < deadline:
        time.sleep(0.1)
        seen = look()
    return seen


def status(lab: Lab, path: str) -> str:
    """What one GET of the site comes to: its status, or in a few words why there is none."""
    with traffic.visiting(lab) as visitor:
        try:
            return str(visitor.ask(path).status)
        except (OSError, HTTPException) as failed:
            return f"{type(failed).__name__}: {failed}"
