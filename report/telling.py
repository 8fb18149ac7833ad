"""Telling whoever is on call what has changed, when a run is over.

What was told is remembered when it was accepted and not before. What an address hasn't taken is kept, and tried again
by the next run that tells anybody; that a route fails is itself something that can't be told of this run.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from observe.deadline import begun
from observe.errors import CannotTell
from observe.notify import Delivery, Route, Service, read_route, understood
from report import alerts
from report.changes import standing_of
from report.earlier import past
from report.history_file import HistoryError
from report.keepers import deliver
from report.redact import redact_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from report.alerts import States, Telling
    from report.lines import Result
    from report.run import Run
    from target.model import Target

SLUG = "alert-route"
_MOST_FAILURES = 3
"""After so many refusals one after another an address is left alone until the next run."""
_SET = "Set alerts.url_file (or alerts.url) in the target file, or on_call.url_file; or run without --alert."


class Told(NamedTuple):
    """What telling came to.

    Attributes:
        reached: Whether anybody could be told: false when there is no route, or every address of it failed.
        notes: What went well, in words.
        troubles: What didn't.
        mend: What is to be done about it.
        looked_at: How many messages for how many addresses.
    """

    reached: bool
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    mend: str = ""
    looked_at: str = ""


def tell(run: Run, items: Collection[tuple[str, str]]) -> Told:
    """Tell everybody what this run has changed, and remember what was accepted.

    Args:
        run: The run; all its results are known.
        items: Slug and item of every expectation that there is; none where the run can't know that.
    """
    settings = run.loaded.target.alerts
    try:
        before = run.chronicle.alerts()
    except HistoryError as error:
        run.warn(str(error))
        before = {}
    results, facts = run.told()
    states = alerts.look(before, results, facts, alerts.Known(items, _slugs(before, items)), partial(_since, run))
    try:
        told = _tell(run, states)
    except CannotTell as why:
        alerts.nobody_reached(states, settings.severity)
        told = Told(reached=False, troubles=(str(why),), mend=why.mend)
    try:
        run.chronicle.remember_alerts(alerts.to_remember(before, states, settings.again_after))
    except HistoryError as error:
        run.warn(str(error))
    return told


def _since(run: Run, result: Result) -> datetime | None:
    """Since when a result is what it is, as the report says it; None where that isn't known."""
    known = past(run)
    standing = standing_of(result, known.standings) if known is not None else None
    return standing.since if standing is not None else None


def _slugs(before: States, items: Collection[tuple[str, str]]) -> Collection[str] | None:
    """All slugs of the suite, where an alert is of one that this run doesn't know; it takes a while to read them."""
    known = {slug for slug, _ in items}
    if all(name.partition("[")[0] in known for state in before.values() for name in state["members"]):
        return None
    from records.slugs import read_slugs
    from records.tables import RecordError

    try:
        return read_slugs().known
    except RecordError:
        return None


def _tell(run: Run, states: States) -> Told:
    """Send what is to be sent, and note in the states who has taken what.

    Raises:
        CannotTell: If the addresses can't be read.
    """
    target = run.loaded.target
    route = the_route(target)
    for fault in route.faults if route.addresses else ():
        run.warn(fault)
    if not route.addresses:
        said = route.faults[0] if route.faults else "--alert was given, and no alert route is configured"
        return Told(reached=False, troubles=(said,), mend=_SET)
    services = {
        one.address.known_as(target.name): one for one in understood(route) if one.address is not None
    }  # the same address twice is one
    alerts.addressed(states, list(services))
    due = alerts.plan(
        states, list(services), target.name, severity=target.alerts.severity, again_after=target.alerts.again_after
    )
    found = send_all(services, due, target.name, target.timeouts.alerts.total_seconds())
    for telling, delivery in found:
        note = alerts.accepted if delivery.accepted else alerts.refused
        note(states[telling.key], telling)
    return _summed_up(services, found)


def the_route(target: Target) -> Route:
    """The route of the alerts: their own, or else the one of whoever is on call.

    Raises:
        CannotTell: If its addresses can't be read.
    """
    settings, on_call = target.alerts, target.on_call
    if settings.url is not None or settings.url_file is not None:
        return read_route(settings.url, settings.url_file, "alerts")
    return read_route(on_call.url, on_call.url_file, "on_call")


def send_all(
    services: Mapping[str, Service], due: Sequence[Telling], target: str, seconds: float
) -> list[tuple[Telling, Delivery]]:
    """Send messages to all addresses at once, and to each one after another.

    Args:
        services: The services by the short names of their addresses.
        due: What is to be sent, in this order.
        target: The target's name.
        seconds: Total time limit for all of it, in seconds.

    Returns:
        How each was taken, in no particular order.
    """
    ends = time.monotonic() + seconds
    waiting = []
    for address, service in services.items():
        if mine := [one for one in due if one.address == address]:
            waiting.append(begun(_to_one(service, mine, target, ends)))
    return [pair for end in waiting for pair in end()]


def _to_one(
    service: Service, due: Sequence[Telling], target: str, ends: float
) -> Callable[[], list[tuple[Telling, Delivery]]]:
    def work() -> list[tuple[Telling, Delivery]]:
        found: list[tuple[Telling, Delivery]] = []
        failures, last = 0, None
        for telling in due:
            left = ends - time.monotonic()
            if service.client is None:
                last = Delivery(service.name, accepted=False, said="is no address that Apprise understands")
            elif failures >= _MOST_FAILURES and last is not None:
                pass  # it wouldn't take this one either
            elif left <= 0:
                last = Delivery(service.name, accepted=False, said="was not told everything in time (timeouts.alerts)")
            else:
                last = _delivered(service, telling, target, left)
                unreached = last.said.startswith("can't be reached")
                failures = 0 if last.accepted else failures + (_MOST_FAILURES if unreached else 1)
            found.append((telling, last))
        return found

    return work


def _delivered(service: Service, telling: Telling, target: str, seconds: float) -> Delivery:
    try:
        return deliver(service, telling, target, seconds)
    except Exception as error:  # noqa: BLE001  whatever a client trips over; the report must be written all the same
        return Delivery(
            service.name, accepted=False, said=f"couldn't be sent the alert: its client failed ({type(error).__name__})"
        )


def _summed_up(services: Mapping[str, Service], found: Sequence[tuple[Telling, Delivery]]) -> Told:
    notes, troubles, unreached = [], [], 0
    for address, service in services.items():
        mine = [delivery for telling, delivery in found if telling.address == address]
        failed = [delivery for delivery in mine if not delivery.accepted]
        if service.client is None:
            troubles.append(f"{service.name} is no address that Apprise understands{_kept(len(failed))}")
        elif failed:
            troubles.append(f"{service.name} {failed[-1].said}{_kept(len(failed))}")
        if taken := len(mine) - len(failed):
            notes.append(f"{service.name} has taken {_number(taken)}")
        unreached += service.client is None or (bool(failed) and not taken)
    return Told(
        reached=unreached < len(services),
        notes=tuple(notes),
        troubles=tuple(troubles),
        mend="Mend the route, then run with --alert again: what wasn't taken is kept and tried again.",
        looked_at=f"{_number(len(found))} for {len(services)} address{'' if len(services) == 1 else 'es'}",
    )


def _kept(number: int) -> str:
    return f"; {_number(number)} {'is' if number == 1 else 'are'} kept for the next run with --alert" if number else ""


def _number(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages} messages"


def as_result(run: Run, slug: str, title: str, troubles: Iterable[str], *, mend: str, looked_at: str = "") -> Result:
    """What couldn't be told of this run itself, as a result like any other."""
    message = "; ".join(troubles)
    result = {
        "slug": slug,
        "item": "",
        "title": title,
        "section": "After the run · Alerts",
        "guide": "",
        "cadences": [run.cadence],
        "severity": "critical",
        "symptom": False,
        "remedy": mend,
        "outcome": "cannot tell",
        "message": message,
        "expected": "",
        "seen": "",
        "limits": [],
        "looked_at": looked_at,
        "cause": "",
        "cause_text": "",
        "notes": [],
        "tables": [],
        "excerpts": [],
        "figures": [],
        "charts": [],
        "chapter": "",
        "found": "cannot tell",
        "found_message": message,
        "duration": 0.0,
        "reason": "",
        "traceback": "",
    }
    return cast("Result", redact_all(result))


def alert_trouble(run: Run, told: Told) -> Result | None:
    """The result of a run whose alerts weren't all taken; None where they were."""
    if not told.troubles:
        return None
    title = "Whoever is on call was told what has changed."
    return as_result(run, SLUG, title, told.troubles, mend=told.mend or _SET, looked_at=told.looked_at)
