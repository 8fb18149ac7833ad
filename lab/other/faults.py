"""What can be done to the second stack: faults as the lab's, with the names that things have here."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from lab.faults.fault import Early, Fault, Took, status
from lab.other import web_server
from lab.other.stack import OtherStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.models.containers import Container

    from lab.stack import Lab


def _replica_stopped(lab: Lab) -> Iterator[Took]:
    yield from _stopped(lab, lab.containers("web")[-1])


def _database_stopped(lab: Lab) -> Iterator[Took]:
    yield from _stopped(lab, lab.containers("postgres")[0])


def _stopped(lab: Lab, container: Container) -> Iterator[Took]:
    before = _states(lab)
    container.stop(timeout=2)
    try:
        yield Took(before, _states(lab))
    finally:
        container.start()


def _states(lab: Lab) -> str:
    return ", ".join(f"{one.name} {one.status}" for one in lab.containers())


def _proxy_stopped(lab: Lab) -> Iterator[Took]:
    stack, before = OtherStack(lab.name), status(lab, "/")
    web_server.stop(stack)
    try:
        yield Took(before, status(lab, "/"))
    finally:
        web_server.start(stack)


def _yesterdays_dump_missing(lab: Lab) -> Iterator[Took]:
    stack = OtherStack(lab.name)
    yesterday = dt.datetime.now().astimezone() - dt.timedelta(days=1)
    dump = stack.backups / f"{yesterday:{stack.pattern}}"
    aside, before = stack.directory / dump.name, _dumps(stack)
    dump.rename(aside)
    try:
        yield Took(before, _dumps(stack))
    finally:
        aside.rename(dump)


def _dumps(stack: OtherStack) -> str:
    return ", ".join(sorted(file.name for file in stack.backups.iterdir()))


HEADERS = (
    "content-security-policy",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
)

FAULTS = (
    Fault("replica-stopped", ("services-up[web]",), "Stops one of the two containers of `web`.", _replica_stopped),
    Fault(
        "database-stopped",
        ("services-up[postgres]", "site-answers[/api/status/]", "health-endpoint"),
        "Stops the database's container.",
        _database_stopped,
        blinds=("database-connections",),
    ),
    Fault(
        "proxy-stopped",
        (
            *("site-answers[/]", "site-answers[/api/status/]", "health-endpoint", "http-redirects"),
            *("certificate-served", "certificate-lasts[served]"),
        ),
        "Ends the host's nginx.",
        _proxy_stopped,
        blinds=tuple(f"security-header[{name}]" for name in HEADERS),
    ),
    Fault(
        "yesterdays-dump-missing",
        ("backups-daily[{1 day ago}]",),
        "Takes yesterday's dump away.",
        _yesterdays_dump_missing,
        blinds=("backup-intact", "backup-complete"),
        # Before the night's dump is made, yesterday's is the newest.
        early=Early(2, ("backup-fresh",), ()),
    ),
)
"""What each breaks and blinds of what is daily and weekly; what they leave in the logs, `log-anomalies` finds later."""
