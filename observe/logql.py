"""Selectors of Loki's query language: names filled in, streams told apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = 300
"""Characters of somebody else's text that are shown."""
_QUOTED = re.compile(r"""([=!|]?[=~])\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)""")
_NAME = re.compile(r"\$(?:\{(project|service)\}|(project|service)\b)")


def filled(selector: str, names: Mapping[str, str]) -> str:
    r"""Fill names into a selector as LogQL wants them written.

    Args:
        selector: With `$project` and `$service` in quoted strings; behind `=~`, `!~` or `|~` they stand for themselves
            in the expression.
        names: What they stand for.

    Raises:
        CannotTell: If a name has a backquote and the selector quotes by them.
    """

    def string(found: re.Match[str]) -> str:
        operator, quoted = found[1], found[2]
        raw = quoted.startswith("`")

        def name(one: re.Match[str]) -> str:
            value = names[one[1] or one[2]]
            if operator.endswith("~"):
                value = re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", value)
            if not raw:
                return escaped(value)
            if "`" in value:
                raise CannotTell(f"{value!r} can't stand between backquotes", mend='Use "…" in loki.selector.')
            return value

        return found[0][: -len(quoted)] + _NAME.sub(name, quoted)

    return _QUOTED.sub(string, selector)


def escaped(value: str) -> str:
    """Write a text so that it can stand within the quotes of a Go string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in escaped)


def matchers(query: str) -> str:
    """The part of a query that selects streams: `{…}`.

    Raises:
        CannotTell: If it has none.
    """
    start, end = _braces(query)
    return query[start : end + 1]


def narrowed(query: str, labels: Mapping[str, str]) -> str:
    """A query for those streams alone that have these labels; an empty one must be missing."""
    start, end = _braces(query)
    more = ", ".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
    held = query[start + 1 : end].strip().rstrip(",")
    return f"{query[:start]}{{{held}{', ' if held else ''}{more}}}{query[end + 1 :]}"


def _braces(query: str) -> tuple[int, int]:
    start = query.find("{")
    at = start + 1
    while start >= 0 and at < len(query):
        if query[at] == "}":
            return start, at
        string = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`').match(query, at)
        at = string.end() if string else at + 1
    raise CannotTell(
        f"loki.selector has no {{…}} that selects streams: {query[:SHOWN]}",
        mend='Write it as {compose_service="$service"}.',
    )
