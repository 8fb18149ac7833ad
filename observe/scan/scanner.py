"""Which scanner it is, and the scan with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from observe.errors import CannotTell
from observe.scan import wapiti, zap
from observe.scan.findings import Report, Scan
from observe.scan.gate import Bounds, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.engine import Engine
    from observe.scan.wapiti import Wapiti
    from observe.site import Site
    from target import model

_LAST_PART = 0.1
"""Of the time limit: for a scanner to write its report when nothing is let through any more."""
HOW = (
    "Install Wapiti (`apt-get install wapiti`, or `pipx install wapiti3`); or fetch ZAP's image once: "
    "`docker pull {image}`."
)


def scan(
    site: Site,
    engine: Engine,
    settings: model.Scan,
    bounds: Bounds,
    *,
    token: str,
    seconds: float,
    remember: Callable[[frozenset[str]], object],
) -> Scan:
    """Scan the site.

    Args:
        site: Where.
        engine: The engine that may have ZAP's image.
        settings: Which scanner, from where on.
        bounds: What it may ask for; their time is made a little shorter than `seconds`.
        token: The run's.
        seconds: Total time limit.
        remember: Called with the paths that the site refused, however the scan ends: its application may have
            logged them.

    Raises:
        CannotTell: If there is no scanner, the start page is an error, or the scanner comes to no report.
        NoAnswer: If the site doesn't answer.
    """
    for path in settings.start:
        page = site.get(path)
        if page.status >= 400:
            raise CannotTell(
                f"{path} of {site.url} is answered {page.status}, so that there is nothing to begin with",
                mend="Name paths in scan.start that are answered.",
            )
    scanner = _chosen(engine, settings)
    parts = urlsplit(site.url)
    url = f"https://{site.server_name}" + (f":{parts.port}" if parts.port else "")
    began = time.monotonic()
    with Gate(site, bounds.within(seconds * (1 - _LAST_PART))) as gate:
        report: Report
        try:
            if scanner is None:
                report = zap.scan(engine, settings.image, gate, f"{url}{settings.start[0]}", token, seconds)
            else:
                report = scanner.scan(gate, url, settings.start, settings.modules, seconds)
        finally:
            remember(gate.passed().refused_paths)
        passed = gate.passed()
    return Scan(site.url, report, passed, time.monotonic() - began)


def _chosen(engine: Engine, settings: model.Scan) -> Wapiti | None:
    """The installed Wapiti; None for ZAP.

    Raises:
        CannotTell: If there is neither, or not the one that is wanted.
    """
    how = HOW.replace("{image}", settings.image)
    # An engine that can't be asked is no reason to do without a scanner that doesn't need it.
    if settings.scanner != "wapiti" and _has_image(engine, settings):
        return None
    if settings.scanner == "zap":
        raise CannotTell(f"the engine has no image {settings.image}, and none is pulled by a run", mend=how)
    if (found := wapiti.installed(settings.wapiti)) is not None:
        return found
    lacks = f"there is no {settings.wapiti} on this machine"
    if settings.scanner != "wapiti":
        lacks += f", and the engine has no image {settings.image}"
    raise CannotTell(f"there is no scanner: {lacks}", mend=how)


def _has_image(engine: Engine, settings: model.Scan) -> bool:
    try:
        # A container elsewhere reaches no gate here; who asks for ZAP by name is told so by it.
        return (settings.scanner == "zap" or engine.here) and zap.has_image(engine, settings.image)
    except CannotTell:
        if settings.scanner == "zap":
            raise
        return False
