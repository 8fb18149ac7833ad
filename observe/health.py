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
    r"\b(not[ _-]?ok|not[ _-]?healthy|unhealthy|down|err(or)?s?|fail(s|ed|ing|ures?)?|degraded|critical|unavailable"
    r"|unreachable|outage|dead)\b",
    re.IGNORECASE,
)
_NOTHING_BAD = re.compile(r"\b(0|no|zero|without)\s+(\w+\s+)?(errors?|fail(ed|ures?|ing)?)\b", re.IGNORECASE)
_VERDICTS = frozenset({"ok", "healthy", "alive", "ready", "up"})
_COMPLAINTS = frozenset({"error", "errors", "failure", "failures"})
_NO_COMPLAINT = frozenset({"", "none", "null", "no", "false", "0", "ok", "-"})
_DETAILS = re.compile(
    r"errors?|fail(ed|ures?)|messages?|msg|details?|description|output|version|time|timestamp|date|last"
    r"|name|id|host|hostname|url"
)
"""Words of keys whose text is no verdict: the last error, the name of a service."""


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
    except RecursionError:
        return "something that is nested too deeply to be read"
    except ValueError:
        return _excerpt(body) if len(body) < 4096 and _sounds_bad(body) else ""
    return next(
        (f"{_excerpt(name)}: {_excerpt(str(value))}" for name, value in _leaves(content) if _is_ill(name, value)), ""
    )


def _leaves(content: object) -> Iterator[tuple[str, object]]:
    """The values of a JSON answer that may be a verdict, each with its key, in their order."""
    left = [("body", content)]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(str(key), inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            left += [(name, inner) for inner in reversed(value)]
        else:
            yield name, value


def _is_ill(name: str, value: object) -> bool:
    key = name.lower()
    if key in _COMPLAINTS:
        # A number is a count since whenever; a text is what is wrong now.
        return value is True or (isinstance(value, str) and value.strip().lower() not in _NO_COMPLAINT)
    if key in _VERDICTS | {"status", "success", "body"} and (value is False or value in ("false", "False", "no")):
        return True
    if key in _VERDICTS and value == 0:
        return True
    if not isinstance(value, str) or not _sounds_bad(value):
        return False
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)
    return not any(_DETAILS.fullmatch(word.lower()) for word in words)


def _sounds_bad(text: str) -> bool:
    return _BAD.search(_NOTHING_BAD.sub("", text)) is not None


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
            start = self._site.get(self._start) if self._start != self.path else None
        except (CannotTell, NoAnswer):
            start = None
        return page, trouble(page, start)
