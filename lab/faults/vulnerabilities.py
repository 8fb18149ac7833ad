"""Faults of what is installed: packages with a known advisory, or nobody who can say whether there is one."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import advisories, packages
from lab.faults.fault import Fault, FaultDidNotTake, Took, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.stack import Lab

PYTHON, NPM = "python-vulnerabilities", "npm-vulnerabilities"
DJANGO, ESBUILD = ("django", "3.2.25"), ("esbuild", "0.19.12")
OF_DJANGO = advisories.record(
    "LAB-2026-3", "django", ("introduced", "0"), ("fixed", "3.2.26"), severity="HIGH", also=("CVE-2026-99999",)
)
OF_ESBUILD = advisories.record(
    "GHSA-67mh-4wv8-2f99", "esbuild", ("introduced", "0"), ("fixed", "0.25.0"), npm=True, severity="MODERATE"
)


def of_python(lab: Lab) -> Iterator[Took]:
    """Have an advisory be known of the Django that the backend runs on."""
    before = advisories.ids(lab, *DJANGO)
    with _known(lab, *advisories.published(lab), OF_DJANGO):
        yield Took(before, advisories.ids(lab, *DJANGO))


def of_npm(lab: Lab) -> Iterator[Took]:
    """Have an advisory be known of the esbuild that the frontend is built with."""
    before = advisories.ids(lab, *ESBUILD, npm=True)
    with _known(lab, *advisories.published(lab), OF_ESBUILD):
        yield Took(before, advisories.ids(lab, *ESBUILD, npm=True))


def knows_nothing(lab: Lab) -> Iterator[Took]:
    """Have everything be answered with "nothing known", as a mirror does that was never filled."""
    before = _by_both(lab)
    with _known(lab):
        yield Took(before, _by_both(lab))


def gone(lab: Lab) -> Iterator[Took]:
    """Stop the server: the package index answers 502 in its place."""
    container = advisories.container(lab)
    before = _by_both(lab)
    try:
        container.stop(timeout=2)
        yield Took(before, _by_both(lab))
    finally:
        container.start()
        advisories.answers(lab)


def refuses(place: str, status: int) -> Callable[[Lab], Iterator[Took]]:
    """A fault that has the package index answer with that status to what begins with that path."""
    return functools.partial(_refuses, place, status)


def _refuses(place: str, status: int, lab: Lab) -> Iterator[Took]:
    file = packages.directory(lab) / "nginx.conf"
    content, begins = file.read_text(), f"location {place} {{"
    before = _by_both(lab)
    if begins not in content:
        raise FaultDidNotTake(f"{file} has no location {place}")
    try:
        packages.put(file, content.replace(begins, f"{begins}\n            return {status};"))
        packages.reload(lab)
        yield Took(before, eventually(lambda: _by_both(lab), lambda seen: seen != before))
    finally:
        packages.put(file, content)
        packages.reload(lab)
        eventually(lambda: _by_both(lab), lambda seen: seen == before)


@contextmanager
def _known(lab: Lab, *records: advisories.Record) -> Iterator[None]:
    before = advisories.published(lab)
    try:
        advisories.publish(lab, *records)
        yield
    finally:
        advisories.publish(lab, *before)


def _by_both(lab: Lab) -> str:
    return f"{advisories.ids(lab, 'jinja2', '2.10')}; {advisories.ids(lab, 'minimist', '0.0.8', npm=True)}"


FAULTS: tuple[Fault, ...] = (
    Fault("python-advisory", (PYTHON,), "There is an advisory of the backend's Django.", of_python),
    Fault("npm-advisory", (NPM,), "There is an advisory of the frontend's esbuild.", of_npm),
    Fault("advisories-empty", (), "Who is asked for advisories knows none.", knows_nothing, (PYTHON, NPM)),
    Fault("advisories-gone", (), "Nobody who knows advisories can be reached.", gone, (PYTHON, NPM)),
    Fault("osv-refuses", (), "OSV answers with errors.", refuses("/osv/", 503), (PYTHON,)),
    Fault(
        "npm-advisories-missing",
        (),
        "The registry passes packages on, and no advisories.",
        refuses("/npm/-/npm/v1/security/", 404),
        (NPM,),
    ),
)
