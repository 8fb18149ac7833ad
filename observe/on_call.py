"""The way by which somebody is told: is it set up, does it take an event, and is there somebody to be told?

Serves the guide's escalation and its monitoring tools (PagerDuty, Opsgenie and their like). The route is spoken to by
Apprise, as whatever sends the alerts would.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from observe.notify import Delivery, Route, Service, send
from observe.notify import read_route as read_named_route
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from observe.rota import Rota
    from target.model import OnCall


@dataclass(frozen=True)
class OnCallState:
    """The route, the rota, and what is known of a test event.

    Attributes:
        route: The route as it is set up.
        services: What Apprise makes of its addresses.
        rota: Who is on call; None where it isn't known.
        rota_trouble: Why that isn't known; None where no rota is set up, too.
        deliveries: How the test event of this run was taken; empty where none was sent.
        accepted: When the same route last took a test event in an earlier run; None where it never did.
        limit: How lately it must have.
        now: The time, aware, in the host's zone.
        unsent: Why none was sent in this run, in words.
        mend: What is to be typed so that one is.
    """

    route: Route
    services: tuple[Service, ...]
    rota: Rota | None
    rota_trouble: CannotTell | None
    deliveries: tuple[Delivery, ...]
    accepted: datetime | None
    limit: timedelta
    now: datetime
    unsent: str
    mend: str

    @property
    def accepted_now(self) -> bool:
        """Whether the whole route took a test event of this run."""
        whole = len(self.services) == len(self.deliveries)
        return bool(self.deliveries) and whole and all(one.accepted for one in self.deliveries)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is broken, in the order in which it is to be mended."""
        found = list(self.route.faults)
        if not self.route.addresses and not found:
            found.append("no alert route is configured (on_call.url_file, or on_call.url)")
        found += [f"{one.name} is no address that Apprise understands" for one in self.services if one.client is None]
        found += [f"{one.name} {one.said}" for one in self.deliveries if not one.accepted]
        if self.rota is None and self.rota_trouble is None:
            found.append("no rota is configured (on_call.rota)")
        if self.rota is not None and not self.rota.on_call:
            found.append(self.rota.said)
        return tuple(found)

    @property
    def looked_at(self) -> str:
        """The denominator: how many addresses of what, and how much of the rota."""
        number = len(self.route.addresses)
        addresses = f"{'1 address' if number == 1 else f'{number} addresses'} of {self.route.where}"
        return f"{addresses}; {self.rota.looked_at if self.rota else 'no rota'}"

    @property
    def said(self) -> str:
        """What is broken, or how things stand."""
        if self.findings:
            return "; ".join(self.findings)
        rota = self.rota.said if self.rota else "who is on call isn't known"
        if self.accepted_now:
            return f"a test event was taken: {', '.join(f'{one.name} {one.said}' for one in self.deliveries)}; {rota}"
        if self.accepted is None:
            return f"no test event is known to have been taken; {rota}"
        return f"a test event was taken {self._ago} ago, {self.accepted:%Y-%m-%d %H:%M}; {rota}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know besides."""
        unsent = () if self.deliveries or not self.unsent else (f"no test event was sent in this run: {self.unsent}",)
        return (*unsent, *(self.rota.notes if self.rota else ()))

    def rows(self) -> list[dict[str, str]]:
        """The route's services, for the report."""
        taken = {one.name: one.said for one in self.deliveries}
        return [
            {
                "service": one.name,
                "test event": taken.get(one.name, "not sent") if one.client is not None else "not understood",
            }
            for one in self.services
        ]

    def must_be_known(self) -> None:
        """Insist that the rota could be read, and that a test event was taken lately enough.

        Raises:
            CannotTell: If not.
        """
        if self.rota_trouble is not None:
            raise self.rota_trouble
        if self.accepted_now or (self.accepted is not None and self.now - self.accepted <= self.limit):
            return
        last = f"last {self._ago} ago, on {self.accepted:%Y-%m-%d}" if self.accepted else "never, as far as is known"
        raise CannotTell(
            f"the alert route has taken no test event within {say_span(self.limit)} ({last}); "
            f"none was sent in this run: {self.unsent}",
            mend=self.mend,
        )

    @property
    def _ago(self) -> str:
        assert self.accepted is not None
        return say_span(timedelta(seconds=round((self.now - self.accepted).total_seconds())))


def read_route(settings: OnCall) -> Route:
    """Read the addresses of the route.

    Raises:
        CannotTell: If their file can't be read.
    """
    return read_named_route(settings.url, settings.url_file, "on_call")


def send_test(
    services: Sequence[Service], *, target: str, token: str, at: datetime, seconds: float
) -> tuple[Delivery, ...]:
    """Send a test event to every service, marked as one in its title and in its text.

    Args:
        services: To whom; those that Apprise doesn't understand are left out.
        target: The target's name.
        token: The run's.
        at: The time, aware.
        seconds: Total time limit for all of them, in seconds.
    """
    title = f"TEST of the alert route of {target}: nothing is wrong"
    body = (
        f"This is a test event of the operations checks, sent on purpose; nobody has to do anything. "
        f"Target {target}, {at:%Y-%m-%d %H:%M %Z}, run {token}."
    )
    ends = time.monotonic() + seconds
    found = []
    for service in services:
        if service.client is not None:
            left = max(ends - time.monotonic(), 0.01)
            found.append(send(service, title, body, left))
    return tuple(found)
