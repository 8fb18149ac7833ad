"""Faults of single routes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lab import traffic
from lab.faults.fault import Fault, Took
from lab.faults.logs import proxy_logs_restored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

SLOW = "/api/lab/slow/"
# A few requests more than are needed to judge a route. More than one in twenty of them is slow, and hardly one in ten
# thousand of the site's week.
QUICK, LONG = 22, 4
LONG_SECONDS = 0.7
CLIENTS = 2


def slow_route(lab: Lab) -> Iterator[Took]:
    """Have a few requests of one route take 0.7 s, too few to matter for the whole site."""
    with proxy_logs_restored(lab):
        before = _taken(lab)
        with ThreadPoolExecutor(CLIENTS) as together:
            list(together.map(lambda _: _visit(lab), range(CLIENTS)))
        yield Took(before, _taken(lab))


def _visit(lab: Lab) -> None:
    with traffic.visiting(lab) as visitor:
        for seconds in (*[0.0] * (QUICK // CLIENTS), *[LONG_SECONDS] * (LONG // CLIENTS)):
            visitor.ask(f"{SLOW}?seconds={seconds:g}")


def _taken(lab: Lab) -> str:
    lines = (lab.nginx_logs / "access.log").read_text(errors="replace").splitlines()
    times = [float(line.rpartition(" ")[2]) for line in lines if f"GET {SLOW}" in line]
    return f"{len(times)} requests for {SLOW}, {sum(seconds >= LONG_SECONDS for seconds in times)} of them slow"


FAULTS = (
    Fault(
        "route-slow",
        ("slow-endpoints",),
        "One route among quick ones takes longer than half a second.",
        slow_route,
    ),
)
