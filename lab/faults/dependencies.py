"""Faults of dependencies: something newer is out, or nobody can say whether there is."""

from __future__ import annotations

import functools
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import packages
from lab.faults.fault import Fault, FaultDidNotTake, Took, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab

DJANGO, NEWER_DJANGO = "Django", "5.2.8"
ESBUILD, NEWER_ESBUILD = "esbuild", "0.25.12"


def newer_python(lab: Lab) -> Iterator[Took]:
    """Have the index know a newer Django than the one that the backend runs on."""
    page = packages.python_page(lab, DJANGO)
    before = _versions(page, NEWER_DJANGO)
    with _restored(page):
        packages.publish_python(lab, DJANGO, packages.installed(lab)[DJANGO], NEWER_DJANGO)
        yield Took(before, _versions(page, NEWER_DJANGO))


def newer_npm(lab: Lab) -> Iterator[Took]:
    """Have the registry know a newer esbuild than the one that the frontend is built with."""
    page = packages.npm_page(lab, ESBUILD)
    before = _versions(page, NEWER_ESBUILD)
    with _restored(page):
        packages.publish_npm(lab, ESBUILD, packages.wanted_by_frontend(lab)[ESBUILD], NEWER_ESBUILD)
        yield Took(before, _versions(page, NEWER_ESBUILD))


def refuses(place: str) -> Callable[[Lab], Iterator[Took]]:
    """A fault that has the index answer 503 to what begins with that path, as one does that is overloaded."""
    return functools.partial(_refuses, place)


def _refuses(place: str, lab: Lab) -> Iterator[Took]:
    file = packages.directory(lab) / "nginx.conf"
    content = file.read_text()
    before = _answer(lab, place)
    if f"location {place} {{" not in content:
        raise FaultDidNotTake(f"{file} has no location {place}")
    try:
        packages.put(file, content.replace(f"location {place} {{", f"location {place} {{\n            return 503;"))
        packages.reload(lab)
        yield Took(before, eventually(lambda: _answer(lab, place), lambda seen: seen != before))
    finally:
        packages.put(file, content)
        packages.reload(lab)
        eventually(lambda: _answer(lab, place), lambda seen: seen == before)


def gone(lab: Lab) -> Iterator[Took]:
    """Stop the index: its name leads nowhere in the backend, and its port refuses on the host."""
    container = packages.container(lab)
    before = _answer(lab, "/npm/")
    try:
        container.stop(timeout=2)
        yield Took(before, _answer(lab, "/npm/"))
    finally:
        container.start()
        packages.answers(lab)


def knows_nothing(lab: Lab) -> Iterator[Took]:
    """Have the index answer that it knows none of the backend's packages, as another one would."""
    place = packages.pages(lab) / "simple"
    aside = place.with_name("simple.aside")
    page = packages.python_page(lab, DJANGO)
    before = f"a page of {DJANGO}: {page.exists()}"
    place.rename(aside)
    try:
        yield Took(before, f"a page of {DJANGO}: {page.exists()}")
    finally:
        aside.rename(place)


@contextmanager
def _restored(page: Path) -> Iterator[None]:
    content = page.read_text()
    try:
        yield
    finally:
        packages.put(page, content)


def _versions(page: Path, newer: str) -> str:
    return f"{page.parent.name}: {newer} is {'known' if newer in page.read_text() else 'not known'}"


def _answer(lab: Lab, place: str) -> str:
    """How the index answers on the host: a status, or in a word why there is none."""
    name = ESBUILD if place == "/npm/" else f"{DJANGO.lower()}/"
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with ask.open(f"http://127.0.0.1:{lab.packages_port}{place}{name}", timeout=5) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as refused:
        return str(refused.code)
    except OSError as failed:
        return type(failed).__name__


PYTHON, NPM = "python-dependencies-current", "npm-dependencies-current"
ADVISORIES = ("python-vulnerabilities", "npm-vulnerabilities")
"""They are asked for by the same address."""

FAULTS = (
    Fault(
        "newer-django", (PYTHON,), "There is a newer Django than the backend's, and nobody reviewed it.", newer_python
    ),
    Fault("newer-esbuild", (NPM,), "There is a newer esbuild than the frontend's, and nobody reviewed it.", newer_npm),
    Fault("package-index-refuses", (), "The package index answers pip with errors.", refuses("/simple/"), (PYTHON,)),
    Fault("package-index-other", (), "The package index knows none of the packages.", knows_nothing, (PYTHON,)),
    Fault("npm-registry-refuses", (), "The registry answers npm with errors.", refuses("/npm/"), (NPM,)),
    Fault("package-index-gone", (), "The package index can't be reached.", gone, (PYTHON, NPM, *ADVISORIES)),
)
