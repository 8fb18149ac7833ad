"""What the site's health endpoint says. Serves the guide's `curl https://…/health/`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from observe.errors import CannotTell, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from observe.site import Page, Site


_BAD = re.compile(
    r"\b(not[ _-]?ok|not[ _-]?healthy|unhealthy|down|err(or)?s?|fail(s|ed|ing|ure)?|degraded|critical|unavailable"
    r"|unreachable|outage|dead)\b",
    re.IGNORECASE,
)
_VERDICT_KEYS = re.compile(r"^(ok|healthy|alive|ready|up|status|success)$", re.IGNORECASE)
_DETAIL_KEYS = re.compile(r"error|fail|message|detail|output|version|time|last", re.IGNORECASE)


def trouble(page: Page, start: Page | None) -> str:
    """What is wrong with the answer of the health endpoint; empty when all is well.

    Args:
        page: The endpoint's own answer, redirects not followed.
        start: The start page, if it was seen: an application that answers every
            unknown path with it is 200 here while there is no health endpoint at all.
    """
    if 300 <= page.status < 400:
        return f"is a redirect: {page.status} to {page.header('location')[:200]}"
    if page.status != 200:
        # The markup of a proxy's error page says no more than the status.
        words = "" if page.body.lstrip().startswith("<") else _excerpt(page.body)
        return f"answers {page.status}: {words}" if words else f"answers {page.status}"
    if start is not None and page.body.strip() and page.body == start.body:
        return "answers with the start page: there is no health endpoint at this path"
    if said := _says_ill(page.body):
        return f"answers 200, but says {said}"
    return ""


def _says_ill(body: str) -> str:
    try:
        content = json.loads(body)
    except ValueError:
        match = _BAD.search(body) if len(body) < 4096 else None
        return _excerpt(body) if match else ""
    return next((f"{name}: {_excerpt(value)}" for name, value in _ill(content, "body")), "")


def _ill(value: object, name: str) -> Iterator[tuple[str, str]]:
    """The parts of a JSON answer that say that something is not well."""
    if isinstance(value, dict):
        for key, inner in value.items():
            # An empty list of errors, or the text of the last one, is no verdict.
            if not (_DETAIL_KEYS.search(str(key)) and not isinstance(inner, dict)):
                yield from _ill(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _ill(inner, name)
    elif (value is False and _VERDICT_KEYS.match(name)) or (isinstance(value, str) and _BAD.search(value)):
        yield name, str(value)


def _excerpt(text: str) -> str:
    return " ".join(text.split())[:120]


class HealthEndpoint:
    """The site's health endpoint.

    Args:
        site: The site.
        path: The endpoint's path.
        start: The path of the start page, to know it when it comes in its place.
    """

    def __init__(self, site: Site, path: str, start: str) -> None:
        self._site = site
        self.path = path
        self._start = start

    def look(self) -> tuple[Page, str]:
        """The endpoint's own answer, and what is wrong with it (empty when nothing is).

        Raises:
            CannotTell: If the site's address isn't set.
            NoAnswer: If there is no answer.
        """
        page = self._site.get_itself(self.path)
        try:
            start: Page | None = self._site.get(self._start)
        except (CannotTell, NoAnswer):
            start = None
        return page, trouble(page, start)
