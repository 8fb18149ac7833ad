"""What each security header must say. Serves the guide's "security headers present".

Each function gets the values that were sent under one name on one page and
says what is wrong, in words; an empty text means that it is right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell, NoAnswer
from observe.site import CAUSE
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from observe.site import Page

WEAK_REFERRER = frozenset({"unsafe-url", "no-referrer-when-downgrade"})
REFERRER = frozenset(
    {
        "no-referrer",
        "same-origin",
        "origin",
        "strict-origin",
        "origin-when-cross-origin",
        "strict-origin-when-cross-origin",
    }
)


_GUARD = re.compile(r"'(?:(?:nonce|sha256|sha384|sha512)-[a-z0-9+/_-]+={0,2}|strict-dynamic)'")
"""What makes browsers ignore 'unsafe-inline'; written wrongly it makes them ignore nothing."""

_ANYWHERE = re.compile(r"(?:https?:(?://)?)?\*(?::\*)?|https?:")
"""A source of frame-ancestors that lets everybody in."""

_KEY = r"[a-z*][a-z0-9_.*-]*+"
_ITEM = r"""(?:[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*+|"(?:[^"\\]|\\["\\])*+")"""
_LIST = rf"\([ ]*+(?:{_ITEM}(?:[ ]++{_ITEM})*+[ ]*+)?\)"
_PERMISSION = re.compile(rf"{_KEY}=(?:{_ITEM}|{_LIST})(?:;[ ]*+{_KEY}(?:={_ITEM})?)*+[ \t]*+(?:,[ \t]*+(?!$)|$)")
"""A member of a structured dictionary (RFC 9651), whose values are tokens, texts or lists of them."""


def trouble(header: str, page: Page, hsts_max_age: timedelta) -> str:
    """What is wrong with a security header of a page; empty when nothing is.

    Args:
        header: One of :data:`HEADERS`.
        page: The page whose headers are read.
        hsts_max_age: How long browsers must at least remember to use HTTPS.
    """
    values = page.values(header)
    if not values:
        if header == "X-Frame-Options" and _frame_ancestors(page) is not None:
            return _framing_trouble(page)
        return "is absent"
    if len(values) > 1:
        kind = "the same value" if len(set(values)) == 1 else "different values"
        return f"is sent {len(values)} times with {kind}: {' | '.join(values)[:200]}"
    if header == "Strict-Transport-Security":
        return _transport_trouble(values[0], hsts_max_age)
    if header == "X-Frame-Options":
        return _framing_trouble(page)
    return _RULES[header](values[0])


def _transport_trouble(value: str, wanted: timedelta) -> str:
    directives = [part.strip().lower() for part in value.split(";")]
    ages = [match[1] for part in directives if (match := re.fullmatch(r'max-age\s*=\s*"?([0-9]+)"?', part))]
    if len(ages) != 1:
        return f"has no max-age that can be read: {value[:200]}"
    digits = ages[0].lstrip("0")
    age = timedelta(seconds=int(digits or 0) if len(digits) <= 10 else 10**10)
    if age < wanted:
        return f"has a max-age of {say_span(age)}, wanted at least {say_span(wanted)}"
    if "includesubdomains" not in directives:
        return f"lacks includeSubDomains: {value[:200]}"
    return ""


def policy(value: str) -> dict[str, list[str]]:
    """A Content-Security-Policy as directive to sources; the first of a repeated directive counts."""
    directives: dict[str, list[str]] = {}
    for part in value.split(";"):
        words = part.split()
        if words:
            directives.setdefault(words[0].lower(), [word.lower() for word in words[1:]])
    return directives


def _content_trouble(value: str) -> str:
    directives = policy(value)
    scripts = {
        name: sources
        for name, sources in directives.items()
        if name in {"script-src", "script-src-elem", "script-src-attr"}
    }
    if "script-src" not in scripts:
        if "default-src" not in directives:
            return f"restricts no scripts, it has neither script-src nor default-src: {value[:200]}"
        scripts["default-src"] = directives["default-src"]
    for name, sources in scripts.items():
        # Browsers ignore 'unsafe-inline' beside a nonce or a hash: it is there for old ones.
        guarded = any(_GUARD.fullmatch(source) for source in sources)
        if "'unsafe-inline'" in sources and not guarded:
            return f"allows scripts inline: 'unsafe-inline' in {name}"
    return ""


def _frame_ancestors(page: Page) -> list[str] | None:
    for value in page.values("Content-Security-Policy"):
        if (sources := policy(value).get("frame-ancestors")) is not None:
            return sources
    return None


def _framing_trouble(page: Page) -> str:
    ancestors = _frame_ancestors(page)
    if ancestors is not None and any(_ANYWHERE.fullmatch(source) for source in ancestors):
        return f"is undone by frame-ancestors {' '.join(ancestors)[:200]}"
    for value in page.values("X-Frame-Options"):
        if value.strip().upper() not in {"DENY", "SAMEORIGIN"}:
            return f"is neither DENY nor SAMEORIGIN: {value[:200] or 'it is empty'}"
    return ""


def _type_trouble(value: str) -> str:
    return "" if value.strip().lower() == "nosniff" else f"is not nosniff: {value[:200]}"


def _referrer_trouble(value: str) -> str:
    # A list of fallbacks is allowed; the browser takes the last one that it knows.
    known = [part for part in (part.strip().lower() for part in value.split(",")) if part in REFERRER | WEAK_REFERRER]
    if not known:
        return f"is no referrer policy: {value[:200]}"
    return f"gives addresses away: {known[-1]}" if known[-1] in WEAK_REFERRER else ""


def _permissions_trouble(value: str) -> str:
    # One member that can't be read, and browsers take none of them.
    text, place = value.strip(" \t"), 0
    while member := _PERMISSION.match(text, place):
        place = member.end()
        if place == len(text):
            return ""
    return f"can't be read by a browser: {text[place:][:200] or 'it is empty'}"


_RULES: Mapping[str, Callable[[str], str]] = {
    "Content-Security-Policy": _content_trouble,
    "X-Content-Type-Options": _type_trouble,
    "Referrer-Policy": _referrer_trouble,
    "Permissions-Policy": _permissions_trouble,
}


@dataclass(frozen=True)
class HeaderSeen:
    """One header on the pages that were looked at.

    Attributes:
        wanted: What it should say, in words.
        troubles: What is wrong, with the page it is wrong on.
        rows: Page by page, for the report.
        unseen: Why the error page couldn't be looked at; None when it was.
    """

    wanted: str
    troubles: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    unseen: CannotTell | None

    def must_be_whole(self) -> None:
        """Insist that both pages were seen.

        Raises:
            CannotTell: If the error page wasn't.
        """
        if self.unseen is not None:
            raise self.unseen


class SecurityHeaders:
    """The security headers of the start page and of an error page.

    The error page counts because nginx leaves `add_header` out of errors
    unless it says `always`.

    Args:
        start: Gives the start page.
        error: Gives an error page.
        hsts_max_age: How long browsers must at least remember to use HTTPS.
    """

    def __init__(self, start: Callable[[], Page], error: Callable[[], Page], hsts_max_age: timedelta) -> None:
        self._start = start
        self._error = error
        self._hsts_max_age = hsts_max_age

    def of(self, header: str) -> HeaderSeen:
        """How a header stands on both pages.

        Raises:
            CannotTell: If the site gives no answer that could have headers.
        """
        try:
            pages = [("the start page", self._start())]
        except NoAnswer as none:
            raise CannotTell(f"no answer whose headers could be read: {none.what}", cause=none.cause or CAUSE) from None
        unseen: CannotTell | None = None
        try:
            pages.append(("the error page", self._error()))
        except NoAnswer as none:
            unseen = CannotTell(f"the error page did not come: {none.what}", cause=none.cause)
        except CannotTell as why:
            unseen = why
        said = [(name, page, trouble(header, page, self._hsts_max_age)) for name, page in pages]
        return HeaderSeen(
            wanted=HEADERS[header],
            troubles=tuple(f"on {name} ({page.path}) it {what}" for name, page, what in said if what),
            rows=tuple(
                {
                    "page": f"{name} ({page.path}, {page.status})",
                    header: " | ".join(page.values(header)) or "absent",
                }
                for name, page, _ in said
            ),
            unseen=unseen,
        )


HEADERS: Mapping[str, str] = {
    "Strict-Transport-Security": "once, max-age of a year or more, includeSubDomains",
    "Content-Security-Policy": "once, scripts without 'unsafe-inline'",
    "X-Frame-Options": "once, DENY or SAMEORIGIN (or frame-ancestors)",
    "X-Content-Type-Options": "once, nosniff",
    "Referrer-Policy": "once, one that keeps addresses to the site",
    "Permissions-Policy": "once, readable",
}
"""Each header and what is wanted of it, in words."""
