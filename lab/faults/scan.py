"""Faults that a scanner finds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab import traffic
from lab.faults.fault import Fault, Took
from lab.faults.logs import container_logs_restored, proxy_logs_restored
from lab.faults.proxy import SITE, edited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

GREET = "/api/lab/greet/"
LINK = f'<a href="{GREET}?name=Ada">Greetings</a>'
SCRIPT = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"


def reflected_script(lab: Lab) -> Iterator[Took]:
    """Link a page from the start page that shows what stands in its address as it stands there.

    Without the link nobody who follows links comes there.
    """
    served = r"try_files /index\.html =404;"
    linked = f"try_files /index.html =404;\n        sub_filter '</main>' '{LINK}</main>';"
    with (
        # A scanner asks for pages beside it that don't exist, which the backend logs.
        container_logs_restored(lab, "backend"),
        proxy_logs_restored(lab),
        edited(lab, SITE, {served: linked}, lambda: _reflected(lab)) as (before, after),
    ):
        yield Took(before, after)


def _reflected(lab: Lab) -> str:
    """What comes back of a script that is sent to the page that the start page leads to."""
    with traffic.visiting(lab) as visitor:
        start = visitor.ask("/").body.decode(errors="replace")
        link = re.search(rf'href="({GREET}\?name=)', start)
        if link is None:
            return "the start page leads nowhere"
        page = visitor.ask(f"{link[1]}{SCRIPT}").body.decode(errors="replace")
    return f"the start page leads to {GREET}, which " + ("has the script" if "<script>alert(1)" in page else "escapes")


SCAN = "dynamic-scan"
FAULTS: tuple[Fault, ...] = (
    Fault(
        "reflected-script",
        (SCAN,),
        "A page that the start page leads to shows a script that stands in its address.",
        reflected_script,
    ),
)
