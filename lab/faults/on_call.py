"""Faults of runbooks, of the alert route and of the rota."""

from __future__ import annotations

import datetime as dt
import os
import re
import tempfile
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.certificates import write_private
from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.faults.targets import derived
from lab.project import on_call_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

ROUTE = "on-call-route"
SENDS = ("--allow-disruption",)
REVIEW = re.compile(r"(?m)^Next Review: .*$")


# Runbooks.


def gone(lab: Lab) -> Iterator[Took]:
    """Take one of the documents away."""
    file = lab.project_directory / "INCIDENTS.md"
    aside = file.with_name(".INCIDENTS.md.aside")
    before = f"{file.name} is there: {file.exists()}"
    file.rename(aside)
    try:
        yield Took(before, f"{file.name} is there: {file.exists()}")
    finally:
        aside.rename(file)


def overdue(lab: Lab) -> Iterator[Took]:
    """Let the next review of one of them have been due yesterday."""
    yesterday = dt.datetime.now().astimezone().date() - dt.timedelta(days=1)
    with _review(lab.project_directory / "OPERATIONS.md", f"Next Review: {yesterday:%B %-d, %Y}") as took:
        yield took


def undated(lab: Lab) -> Iterator[Took]:
    """Let one of them say no day."""
    with _review(lab.project_directory / "SECURITY.md", "Next Review: when there is time") as took:
        yield took


@contextmanager
def _review(file: Path, line: str) -> Iterator[Took]:
    """Have another line about the next review in a document; afterwards it is as it was, byte for byte."""
    content, stat = file.read_text(), file.stat()
    found = REVIEW.search(content)
    if found is None:
        raise FaultDidNotTake(f"{file} has no line about its next review")
    try:
        file.write_text(REVIEW.sub(line, content))
        yield Took(f"{file.name}: {found[0]}", f"{file.name}: {line}")
    finally:
        file.write_text(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


# The alert route and the rota.


def wrong_key(lab: Lab) -> Iterator[Took]:
    """Have a key in the alert route that the other side doesn't know."""
    right, wrong = on_call_url(lab), on_call_url(lab, "a-key-that-was-revoked-7")
    with _other_file("on-call.url", f"{wrong}\n") as file, derived(lab, url_file=str(file)) as target:
        yield Took(_taken(right), _taken(wrong), target)


def untested(lab: Lab) -> Iterator[Took]:
    """Have an alert route that is as good and has never taken an event."""
    before = on_call_url(lab)
    after = f"{before}?+X-Team=night"
    with _other_file("on-call.url", f"{after}\n") as file, derived(lab, url_file=str(file)) as target:
        yield Took(_without_key(lab, before), _without_key(lab, after), target)


def nobody_on_call(lab: Lab) -> Iterator[Took]:
    """Have a rota that ended an hour ago."""
    before = lab.rota_file.read_text()
    ended = dt.datetime.now().astimezone() - dt.timedelta(hours=1)
    after = f"{before}ends = {ended.isoformat(timespec='seconds')}\n"
    with _other_file("on-call.toml", after) as file, derived(lab, rota=str(file)) as target:
        yield Took("the rota goes on for ever", f"the rota ended at {ended:%Y-%m-%d %H:%M}", target)


@contextmanager
def _other_file(name: str, content: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="on-call-") as directory:
        file = Path(directory) / name
        write_private(file, content.encode())
        yield file


def _taken(url: str) -> str:
    """What an alert to that address comes to."""
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with ask.open(url.replace("json://", "http://", 1), data=b"{}", timeout=5) as answer:
            return f"an alert is answered {answer.status}"
    except urllib.error.HTTPError as refused:
        return f"an alert is answered {refused.code}"


def _without_key(lab: Lab, url: str) -> str:
    return url.replace(lab.secrets()["on_call_key"], "KEY")


FAULTS: tuple[Fault, ...] = (
    Fault(
        "runbook-gone",
        # The lab's own security check asks for the document, too.
        ("runbooks-present[INCIDENTS.md]", "security-script"),
        "The document about incidents isn't there.",
        gone,
    ),
    Fault("runbook-overdue", ("runbooks-present[OPERATIONS.md]",), "The review of the guide is overdue.", overdue),
    Fault(
        "runbook-undated",
        (),
        "The document about security names no day for its next review.",
        undated,
        blinds=("runbooks-present[SECURITY.md]",),
    ),
    Fault("on-call-wrong-key", (ROUTE,), "The alert route's key was revoked.", wrong_key, options=SENDS),
    Fault("on-call-untested", (), "The alert route is new and has taken no event.", untested, blinds=(ROUTE,)),
    Fault("on-call-nobody", (ROUTE,), "The rota has ended.", nobody_on_call),
)
