"""What the terminal says of earlier runs: since when something is so, and what has changed since the last run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report.changes import changes, past_of, standing_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from report.changes import Past
    from report.lines import Result
    from report.run import Run

MOST_NAMES = 3
"""How many names of a kind of change are said; the report has the others."""


def past(run: Run) -> Past | None:
    """What earlier runs said; None where nothing is known of them."""
    if not run.keeps_history or run.clock.fixed is not None:
        return None
    return past_of(run)


def since(result: Result, known: Past, now: datetime) -> str:
    """Since when a result is what it is: "since Tue 24 Nov 04:00, 3 runs"; empty where that isn't known.

    Args:
        result: One of this run.
        known: What earlier runs said, this one included.
        now: The present time, aware, in the zone in which days are counted.
    """
    from report.markup import moment

    standing = standing_of(result, known.standings)
    if standing is None:
        return ""
    if standing.runs > 1:
        return f"since {moment(standing.since, now)}, {standing.runs} runs"
    return "new at its first look" if standing.before is None else f"new {moment(standing.since, now)}"


def changed(results: Sequence[Result], known: Past, token: str, now: datetime) -> str:
    """What has changed, in a sentence; empty where there is no earlier run.

    Args:
        results: All results of this run.
        known: What earlier runs said.
        token: This run's.
        now: The present time, aware, in the zone in which days are counted.
    """
    from report.markup import moment

    standings = known.standings
    again = [
        one
        for one in results
        if (standing := standings.get((one["slug"], one["item"]))) is not None and standing.before is not None
    ]
    keys = {(one["slug"], one["item"]) for one in again}
    earlier = [one.at for one in known.told if one.token != token and (one.slug, one.item) in keys]
    if not earlier:
        return ""
    parts = [f"{len(one.names)} {one.words} ({_listed(one.names)})" for one in changes(again, standings)]
    return f"Since the run of {moment(max(earlier), now)}: {', '.join(parts) or 'nothing changed'}."


def _listed(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMES + 1:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
