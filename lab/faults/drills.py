"""Faults that a drill finds: they change nothing that can be seen while nothing is restarted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, Took
from lab.faults.services import RESOLVER_SECONDS
from lab.faults.targets import derived

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

SERVICE = "backend"
ALLOWED = ("--allow-disruption",)
# Less than it takes to the first health check after a start, which is five seconds.
TOO_SHORT = "3 s"
ONE_WANTED = f"[services.wanted]\n{SERVICE} = 1\n"


def one_instance(lab: Lab) -> Iterator[Took]:
    """Remove one of the two backends where one is all that is wanted."""
    before = f"{len(lab.containers(SERVICE))} of 2 containers"
    try:
        lab.containers(SERVICE)[-1].remove(force=True)
        # Until the proxy's resolver has forgotten it.
        time.sleep(RESOLVER_SECONDS)
        with derived(lab, ONE_WANTED) as target:
            yield Took(before, f"{len(lab.containers(SERVICE))} of 2 containers", target)
    finally:
        lab.compose("up", "--detach", "--no-deps", SERVICE)


def slow_start(lab: Lab) -> Iterator[Took]:
    """Want the backend to be healthy sooner after a restart than it can be."""
    with derived(lab, f'[limits]\nrestart_time = "{TOO_SHORT}"\n') as target:
        yield Took("healthy again within 2 min", f"healthy again within {TOO_SHORT}", target)


def no_restart_policy(lab: Lab) -> Iterator[Took]:
    """Take the backends' restart policy away, as `docker update --restart=no` does."""
    containers = lab.containers(SERVICE)
    policies = {one.id: one.attrs["HostConfig"]["RestartPolicy"] for one in containers}
    before = _policies(lab)
    try:
        for one in containers:
            one.update(restart_policy={"Name": "no"})
        # Not two minutes of nothing: what nobody brings back isn't there after seconds either.
        with derived(lab, f'[limits]\nrecovery_time = "{TOO_SHORT}"\n') as target:
            yield Took(before, _policies(lab), target)
    finally:
        for one in containers:
            one.update(restart_policy=policies[one.id])


def _policies(lab: Lab) -> str:
    found = (one.attrs["HostConfig"]["RestartPolicy"]["Name"] for one in lab.containers(SERVICE))
    return ", ".join(found)


FAULTS = (
    Fault(
        "backend-alone",
        ("graceful-restart",),
        "There is one backend: nobody is served while it restarts.",
        one_instance,
        options=ALLOWED,
    ),
    Fault(
        "backend-starts-slowly",
        ("graceful-restart",),
        "A backend takes longer to be healthy after a restart than it may.",
        slow_start,
        options=ALLOWED,
    ),
    Fault(
        "backend-without-policy",
        ("recovery-drill", f"deployed-as-written[{SERVICE}]"),
        "Nothing starts a backend again whose process has died.",
        no_restart_policy,
        options=ALLOWED,
    ),
)
