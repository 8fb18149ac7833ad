"""What every part of the HTML report is made of: signs and words for outcomes, marked text, lists, moments.

Every text that is shown goes through `report.text`. No fragment made here contains a line break, for the reason that
`report.html` gives.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from report.text import html, plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from report.lines import Outcome, Run

SIGNS: dict[Outcome, str] = {"broken": "✗", "cannot tell": "?", "set aside": "○", "holds": "✓"}
"""The outcomes in one character each, so that no one depends on colours."""

WORDS: dict[Outcome, str] = {
    "broken": "Broken",
    "cannot tell": "Can't tell",
    "set aside": "Set aside",
    "holds": "Holds",
}

LABELS: dict[Outcome, str] = {outcome: f"{sign} {WORDS[outcome]}" for outcome, sign in SIGNS.items()}
"""The outcomes as the report says them: a sign and a word."""

LONG = 1000
"""Characters of a field that is a sentence or more."""

_UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|ms|s|min|h|d|days?|B|[KMGT]i?B)(?![A-Za-z]))")
_COMMAND = re.compile(r"`([^`]+)`")


def marked(text: str) -> str:
    """A text made safe, with what stands in backticks set as a command."""
    return _COMMAND.sub(r"<code>\1</code>", html(text, LONG))


def figures(text: str) -> str:
    """A text made safe, with each figure kept on one line with its unit."""
    return _UNIT.sub("&nbsp;", html(text))


def facts(listed: Iterable[tuple[str, str]]) -> str:
    """A list of names and values that are HTML already; without a value there is no name."""
    made = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in listed if value)
    return f'<dl class="facts">{made}</dl>' if made else ""


def label(outcome: Outcome) -> str:
    """An outcome's sign and word in its colour."""
    return f'<b class="{css(outcome)}">{html(LABELS[outcome])}</b>'


def css(outcome: Outcome) -> str:
    """The class of an outcome."""
    return outcome.replace(" ", "-")


def fragment(name: str) -> str:
    """A row's id as a link within the page, with what a browser would read otherwise spelled out; not yet HTML."""
    return plain(name).replace("%", "%25").replace(" ", "%20")


def link(name: str, shown: str = "") -> str:
    """A link to the row of a result by its name, shown as that or as something shorter."""
    return f'<a href="#{html(fragment(name), LONG)}">{html(shown or name)}</a>'


def zone_of(run: Run) -> tzinfo:
    """The zone of the host that was looked at; that of the run's beginning where there is no such zone."""
    try:
        return ZoneInfo(run["host_zone"])
    except (ValueError, OSError, ZoneInfoNotFoundError):
        pass
    try:
        return datetime.fromisoformat(run["started"]).tzinfo or UTC
    except ValueError:
        return UTC


def began(run: Run) -> str:
    """When a run began, on the clock of the host that was looked at, as plain text."""
    try:
        at = datetime.fromisoformat(run["started"])
    except ValueError:
        return plain(run["started"], 60)
    if at.tzinfo is None:
        return f"{at:%Y-%m-%d %H:%M} {plain(run['host_zone'], 60)}".rstrip()
    try:
        return f"{at.astimezone(ZoneInfo(run['host_zone'])):%Y-%m-%d %H:%M} {plain(run['host_zone'], 60)}"
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return f"{at:%Y-%m-%d %H:%M %z}"


def now_of(run: Run) -> datetime:
    """The time that a run stands at, aware: when it began, in the host's zone; long ago where nobody can read that."""
    zone = zone_of(run)
    try:
        at = datetime.fromisoformat(run["started"])
    except ValueError:
        return datetime.fromtimestamp(0, zone)
    return at.astimezone(zone) if at.tzinfo is not None else at.replace(tzinfo=zone)


def moment(at: datetime, now: datetime) -> str:
    """A time as a person says it on a day: "today 04:00", "yesterday 04:00", "Tue 24 Nov 04:00".

    Args:
        at: The time, aware.
        now: When that is said, aware, in the zone in which days are counted.
    """
    local = at.astimezone(now.tzinfo)
    days = (now.date() - local.date()) // timedelta(days=1)
    if days in (0, 1):
        return f"{('today', 'yesterday')[days]} {local:%H:%M}"
    return f"{local:%a} {local.day} {local:%b}{f' {local.year}' if local.year != now.year else ''} {local:%H:%M}"
