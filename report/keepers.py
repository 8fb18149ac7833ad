"""Services that keep an alert open until they are told that it is over: PagerDuty and Opsgenie.

Each alert goes there under a name that is the same in every run, so that a second message is no second incident and
the last one closes it. Apprise's client for PagerDuty takes such a name. The one for Opsgenie opens by it as well, but
closes by the number of a request that only the process knows which made it: that request is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from observe.notify import Delivery, ask

if TYPE_CHECKING:
    from observe.notify import Service
    from report.alerts import Telling

_PACE, _SLOW = 0.5, 2.0
"""Seconds between two messages to the same address, where Apprise would wait for longer than the other: it waits 5.5
where a plugin knows no better, and then a bad night isn't told before the time is up."""
_SUMMARY = 1000
"""Characters of what PagerDuty shows; it takes 1,024."""
_MOST = 2500
_CUT = " …"
_SEVERITIES = {"critical": "critical", "major": "error", "minor": "warning"}
_PRIORITIES = {"critical": 1, "major": 2, "minor": 3}
_NORMAL = 3
"""The priority that Apprise takes for Opsgenie where the address names none."""


def deliver(service: Service, telling: Telling, target: str, seconds: float) -> Delivery:
    """Send a message to a service, and have it kept or closed where the service does that.

    Args:
        service: To whom; one that Apprise understands. Only one thread at a time may send to it.
        telling: The message.
        target: The target's name.
        seconds: Total time limit, in seconds.
    """
    from observe.notify import send

    client, kind = service.client, str(service.client.secure_protocol)
    if client.request_rate_per_sec > _SLOW:
        client.request_rate_per_sec = _PACE
    body = "\n".join(telling.lines)
    if kind == "opsgenie":
        if not telling.opens:
            return _close_in_opsgenie(service, telling, target, seconds)
        client.alias, client.action = telling.dedup, "new"
        if client.priority == _NORMAL:
            client.priority = _PRIORITIES[telling.severity]
    elif kind == "pagerduty":
        _prepare_pagerduty(client, telling, target)
        body = telling.lines[0] if telling.lines else ""
    event = "success" if not telling.opens else "failure" if telling.outcome == "broken" else "warning"
    title, body = _fitting(client, telling.title, body)
    return send(service, title, body, seconds, event=event, what="the alert")


def _prepare_pagerduty(client: Any, telling: Telling, target: str) -> None:  # noqa: ANN401  untyped
    client.dedup, client.action = telling.dedup, "trigger" if telling.opens else "resolve"
    if not hasattr(client, "ops_given"):
        client.ops_given = (client.severity, client.source, client.component, dict(client.details))
    severity, source, component, details = client.ops_given
    client.severity = severity or _SEVERITIES[telling.severity]
    client.source = target if source == "Apprise" else source
    client.component = telling.slug if component in {"Apprise", "Notification"} else component
    client.details = {**details, "details": "\n".join(telling.lines)}


def _fitting(client: Any, title: str, body: str) -> tuple[str, str]:  # noqa: ANN401  untyped
    """The title and as much of the text as the service takes in one message; what matters most stands first."""
    most = min(int(client.body_maxlen) or _MOST, _MOST)
    if str(client.secure_protocol) == "pagerduty":
        most = _SUMMARY
    title = _cut(title, min(int(client.title_maxlen) or most // 2, most // 2))
    # Where there is no place for a title it stands above the text, and some put it there though there is one.
    most -= len(title) + 2
    return title, _cut(body, most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most - len(_CUT), 0)] + _CUT


def _close_in_opsgenie(service: Service, telling: Telling, target: str, seconds: float) -> Delivery:
    """Close an alert by its alias; Opsgenie takes that for one that it doesn't know, too."""
    from apprise.plugins.opsgenie import OPSGENIE_API_LOOKUP

    client = service.client
    alias = quote(telling.dedup, safe="")
    note = _cut("\n".join((telling.title, *telling.lines)), _MOST)
    delivery, _ = ask(
        service.name,
        "POST",
        f"{OPSGENIE_API_LOOKUP[client.region_name]}/{alias}/close?identifierType=alias",
        seconds,
        headers={"Authorization": f"GenieKey {client.apikey}"},
        json={"source": target, "note": note, **({"user": client.user} if client.user else {})},
        verify=bool(client.verify_certificate),
    )
    return delivery
