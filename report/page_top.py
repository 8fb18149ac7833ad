"""The top of the HTML report: what is broken now, since when, and what to do, on one screen.

No fragment made here contains a line break, for the reason that `report.html` gives.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from report.changes import changes, standing_of
from report.lines import OUTCOMES, Line, aside_by_reason, counts, identity, in_full, lines, seconds, verdict
from report.markup import LABELS, LONG, SIGNS, css, facts, label, link, marked, moment, now_of
from report.text import html

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from report.changes import Past, Standing
    from report.lines import Result, Run

MOST_LINES = 12
"""How many causes are shown unfolded."""
MOST_ASIDE = 5
MOST_NAMES = 12
NOTHING_EARLIER = "Nothing is known of an earlier run to compare with."

_UNTIL = re.compile(r"until [0-9]{4}-[0-9]{2}-[0-9]{2}")


def top(
    results: Sequence[Result],
    run: Run,
    past: Past | None,
    guide: Mapping[str, str],
    parts: Iterable[tuple[str, str]] = (),
) -> str:
    """Everything that belongs on the first screen, as safe HTML.

    Args:
        results: All results of the run, in the order in which they ran.
        run: What is true of all of them.
        past: What earlier runs said; None where nothing is known of them.
        guide: The section of every slug of the guide, in its order; empty where that isn't known.
        parts: The id and the name of each part of the page that is linked to.
    """
    number = counts(results)
    tiles = "".join(
        f'<li class="{css(outcome)}{"" if number[outcome] else " none"}">'
        f"<b>{number[outcome]}</b> {html(LABELS[outcome])}</li>"
        for outcome in OUTCOMES
    )
    beside = "".join((_changed(results, run, past), _aside(results), _covered(results, guide), _warnings(run)))
    return (
        f'<p class="verdict">{html(verdict(results, run), LONG)}.</p>'
        f'<div class="bar"><ul class="counts">{tiles}</ul>{_navigation(parts)}</div>'
        f'<div class="now"><section class="needs"><h2>What needs you</h2>{_needs(results, run, past)}</section>'
        f'<div class="beside">{beside}</div></div>'
    )


def _navigation(parts: Iterable[tuple[str, str]]) -> str:
    links = " ".join(f'<a href="#{name}">{words}</a>' for name, words in parts)
    return f'<nav aria-label="Parts of the report">{links}</nav>' if links else ""


def _needs(results: Sequence[Result], run: Run, past: Past | None) -> str:
    """A line for each cause."""
    found = lines(results)
    if not found:
        return "<p>Nothing.</p>" if results else "<p>Nothing ran, so that nothing is known.</p>"
    now, standings = now_of(run), past.standings if past is not None else {}
    made = [_finding(line, since_of(line.head, standings, now)) for line in found]
    shown = f'<ol class="findings">{"".join(made[:MOST_LINES])}</ol>'
    if len(made) <= MOST_LINES:
        return shown
    rest = "".join(made[MOST_LINES:])
    return (
        f"{shown}<details><summary>{len(made) - MOST_LINES} more that need you</summary>"
        f'<ol class="findings" start="{MOST_LINES + 1}">{rest}</ol></details>'
    )


def _finding(line: Line, since: str) -> str:
    """What is so and since when, what to do, and who waits for the same."""
    head = line.head
    in_the_way = head["cause_text"] if head["cause_text"] not in head["message"] else ""
    listed = [
        ("In the way", html(in_the_way)),
        ("Do", marked(head["remedy"])),
        ("Folded", html(line.waiting, LONG)),
    ]
    return (
        f'<li class="{css(head["outcome"])}"><p>{label(head["outcome"])} {link(identity(head))} '
        f'<small>{html(line.severity)}</small> <small class="since">{html(since)}</small></p>'
        f"<p>{marked(head['message'])}</p>{facts(listed)}</li>"
    )


def since_of(result: Result, standings: Mapping[tuple[str, str], Standing], now: datetime) -> str:
    """Since when a result is what it is: "since Tue 24 Nov 04:00, 3 runs"."""
    standing = standing_of(result, standings)
    if standing is None:
        return ""
    since = f"since {moment(standing.since, now)}"
    if standing.runs > 1:
        return f"{since}, {standing.runs} runs"
    return f"{since}, its first look" if standing.before is None else f"{since}, new"


def compared_with(results: Sequence[Result], run: Run, past: Past | None) -> str:
    """With what the results are compared: "since the run of yesterday 04:00"; empty where there is nothing earlier."""
    known = {(one["slug"], one["item"]) for one in results}
    before = {key for key in known if past is not None and key in past.standings and past.standings[key].before}
    if past is None or not before:
        return ""
    looks = _looks_before(before, past)
    # None of them: it was longer ago than what every run said is read.
    latest = moment(max(at for at in looks if at), now_of(run)) if looks != {None} else ""
    if not latest:
        return "since each was last looked at"
    return f"since the run of {latest}" if len(looks) == 1 else f"since each was last looked at, latest {latest}"


def _changed(results: Sequence[Result], run: Run, past: Past | None) -> str:
    """What is another outcome than before, and than when."""
    since = compared_with(results, run, past)
    if past is None or not since:
        return f"<section><h2>Changed</h2><p>{NOTHING_EARLIER}</p></section>"
    made = changes(results, past.standings)
    if not made:
        return f"<section><h2>Changed</h2><p>Nothing changed {html(since)}.</p></section>"
    listed = "".join(
        f'<li><b class="{css(one.outcome)}">{SIGNS[one.outcome]} {html(one.words)}</b>: {_names(one.names)}</li>'
        for one in made
    )
    return f'<section><h2>Changed {html(since)}</h2><ul class="changes">{listed}</ul></section>'


def _looks_before(keys: Iterable[tuple[str, str]], past: Past) -> set[datetime | None]:
    """When each of these had been looked at before; None among them for what was so long ago that it isn't known."""
    waiting = set(keys)
    newest: dict[tuple[str, str], str] = {}
    looks: set[datetime | None] = set()
    for one in reversed(past.told):
        if not waiting:
            break
        key = (one.slug, one.item)
        if key in waiting and newest.setdefault(key, one.token) != one.token:
            looks.add(one.at)
            waiting.discard(key)
    return {*looks, None} if waiting else looks


def _names(names: Sequence[str]) -> str:
    """Names as links; many items of one slug as their number."""
    slugs = Counter(name.partition("[")[0] for name in names)
    shown: dict[str, str] = {}
    for name in names:
        slug = name.partition("[")[0]
        if slugs[slug] > 2:
            shown.setdefault(slug, f"{link(name, slug)} ({slugs[slug]})")
        else:
            shown[name] = link(name)
    listed = list(shown.values())
    more = f" and {len(listed) - MOST_NAMES} more" if len(listed) > MOST_NAMES else ""
    return ", ".join(listed[:MOST_NAMES]) + more


def _aside(results: Sequence[Result]) -> str:
    """What is set aside, by reason, with the day until which it is."""
    reasons = aside_by_reason(results)
    if not reasons:
        return ""
    made = [
        f"<li>{_names(names)}: {_UNTIL.sub(_strong, marked(reason)) or 'no reason is given'}</li>"
        for reason, names in reasons.items()
    ]
    shown = f'<ul class="aside">{"".join(made[:MOST_ASIDE])}</ul>'
    if len(made) > MOST_ASIDE:
        rest = "".join(made[MOST_ASIDE:])
        shown += f'<details><summary>{len(made) - MOST_ASIDE} more</summary><ul class="aside">{rest}</ul></details>'
    return f"<section><h2>Set aside</h2>{shown}</section>"


def _strong(match: re.Match[str]) -> str:
    return f"<b>{match[0]}</b>"


def looked_at(results: Sequence[Result], guide: Mapping[str, str]) -> tuple[set[str], str]:
    """The slugs that were looked at in full, and in words how many of the guide's that is."""
    told = in_full(results)
    there = dict.fromkeys([*guide, *(one["slug"] for one in results)])
    if guide:
        return told, f"{len(told)} of the guide's {len(there)} expectations looked at in full"
    return told, f"{len(told)} of {len(there)} expectations looked at in full; how many the guide has isn't known"


def _covered(results: Sequence[Result], guide: Mapping[str, str]) -> str:
    """How much of the guide this run has looked at, and what it couldn't."""
    blind = [one for one in results if one["outcome"] == "cannot tell"]
    told, said = looked_at(results, guide)
    parts: dict[str, list[str]] = {}
    for slug, section in guide.items():
        if cadence := section.partition(" · ")[0]:
            parts.setdefault(cadence, []).append(slug)
    by = " · ".join(f"{html(part)} {len(told.intersection(mine))} of {len(mine)}" for part, mine in parts.items())
    listed = f"<p>Can't be told: {_names([identity(one) for one in blind])}</p>" if blind else ""
    by = f"<p><small>{by}</small></p>" if by else ""
    return f"<section><h2>Covered</h2><p>{said}.</p>{by}{listed}</section>"


def _warnings(run: Run) -> str:
    warnings = "".join(f"<li>{marked(warning)}</li>" for warning in run["warnings"])
    return f'<section><h2>Worth knowing</h2><ul class="warnings">{warnings}</ul></section>' if warnings else ""


def foot(run: Run, began: str) -> str:
    """What is true of the run, for who looks for it: it stands at the end of the page."""
    listed: Iterable[tuple[str, str]] = [
        ("Target", html(run["target"])),
        ("Cadence", html(run["cadence"])),
        ("Begun", html(f"{began}, for {seconds(run['seconds'])}")),
        ("Settings", html(run["settings_file"])),
        ("Run", html(run["token"])),
        ("Version", html(run["version"])),
    ]
    return f'<section class="foot"><h2>About this run</h2>{facts(listed)}</section>'
