"""What has changed: how each expectation stands, since when, and what it was the last time that it was looked at.

An operator runs parts. So each expectation is compared with the last run that looked at it, not with the last run.
What isn't there any more, as a container that was removed, is neither mended nor broken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from report.chronicle import FinishedRun, Point, Told
from report.history_file import HistoryError

if TYPE_CHECKING:
    from datetime import tzinfo

    from report.chronicle import Chronicle
    from report.lines import Outcome
    from report.run import Run

WINDOW = timedelta(days=35)
"""How far back it is read what every run said."""
KINDS: tuple[tuple[str, Outcome, frozenset[Outcome | None]], ...] = (
    ("newly broken", "broken", frozenset(("holds", "set aside", "cannot tell", None))),
    ("mended", "holds", frozenset(("broken",))),
    ("newly can't be told", "cannot tell", frozenset(("holds", "set aside", "broken", None))),
    ("can be told again", "holds", frozenset(("cannot tell",))),
    ("newly set aside", "set aside", frozenset(("holds", "broken", "cannot tell"))),
    ("no longer set aside", "holds", frozenset(("set aside",))),
)
"""What a change is called: the words, what an expectation is now, and what it was before; None at its first look."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class Standing(NamedTuple):
    """How an expectation stands.

    Attributes:
        slug: The expectation's.
        item: Which of the like things; empty when there is but one.
        outcome: What it was when it was last looked at.
        before: What it was at the look before; None on the first look.
        since: When the unbroken row of this outcome began, aware; it may be long ago.
        runs: How many runs that row has.
        said: What was said of it last.
    """

    slug: str
    item: str
    outcome: Outcome
    before: Outcome | None
    since: datetime
    runs: int
    said: str

    @property
    def changed(self) -> bool:
        """Whether it was something else at the look before."""
        return self.before is not None and self.before != self.outcome


@dataclass(frozen=True)
class Past:
    """What the runs said, the present one included.

    Attributes:
        runs: The runs of the last 35 days, by time.
        told: What they said of every expectation, by time.
        standings: How each expectation stands, by its slug and its item.
        points: All figures that are kept, by time.
    """

    runs: list[FinishedRun] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    standings: dict[tuple[str, str], Standing] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)


@dataclass(frozen=True)
class Changes:
    """What the newest run found changed; each list is in the order of the standings."""

    broken: list[Standing] = field(default_factory=list)
    cannot_tell: list[Standing] = field(default_factory=list)
    mended: list[Standing] = field(default_factory=list)
    set_aside: list[Standing] = field(default_factory=list)
    first: list[Standing] = field(default_factory=list)


def past_of(run: Run) -> Past:
    """What earlier runs said and this one, whether or not it is written down; read once.

    A history that can't be read becomes a warning of the run, and only the present run is then known.
    """
    kept: tuple[int, Past] | None = vars(run).get("_past")
    if kept is None or kept[0] != len(run.results):
        kept = (len(run.results), _with_present(run, _read(run)))
        vars(run)["_past"] = kept
    return kept[1]


def _read(run: Run) -> Past:
    now, chronicle = run.moment, run.chronicle
    try:
        return Past(
            chronicle.runs(now - WINDOW, now),
            chronicle.told(now - WINDOW, now),
            _standings(chronicle, now),
            chronicle.points(_FIRST, now),
        )
    except HistoryError as error:
        run.warn(str(error))
        return Past()


def _standings(chronicle: Chronicle, until: datetime) -> dict[tuple[str, str], Standing]:
    rows = chronicle.standings(until)
    made = (
        Standing(slug, item, outcome, before, datetime.fromtimestamp(since, UTC), runs, said)
        for slug, item, outcome, before, since, runs, said in rows
    )
    return {(one.slug, one.item): one for one in made}


def _with_present(run: Run, past: Past) -> Past:
    """The same with the present run, where that isn't written down."""
    if run.review or not run.results or any(one.token == run.token for one in past.runs):
        return past
    results, facts = run.told()
    at = run.moment
    told, points, standings = list(past.told), list(past.points), dict(past.standings)
    for one in results:
        said = {"holds": "", "set aside": one["reason"]}.get(one["outcome"], one["message"])
        look = Told(at, run.token, one["slug"], one["item"], one["outcome"], one["severity"], one["cause"], said)
        told.append(look)
        key = (look.slug, look.item)
        standings[key] = _after(standings.get(key), look)
        points += [
            Point(at, *key, f["name"], f["value"], f["unit"], f["limit"], f.get("limit_name", ""))
            for f in one["figures"]
        ]
    ended = datetime.fromisoformat(facts["ended"])
    return Past([*past.runs, FinishedRun(run.token, run.cadence, at, ended, facts)], told, standings, points)


def _after(old: Standing | None, look: Told) -> Standing:
    """How an expectation stands after one more look at it."""
    before = old.outcome if old is not None else None
    since, runs = (old.since, old.runs + 1) if old is not None and before == look.outcome else (look.at, 1)
    return Standing(look.slug, look.item, look.outcome, before, since, runs, look.said)


def changes(past: Past) -> Changes:
    """What the newest run found changed, of what it looked at."""
    made = Changes()
    newest = past.runs[-1].token if past.runs else ""
    seen = {(one.slug, one.item) for one in past.told if one.token == newest}
    now_so = {"broken": made.broken, "cannot tell": made.cannot_tell, "set aside": made.set_aside}
    for key, one in past.standings.items():
        if key not in seen:
            continue
        if one.before is None:
            made.first.append(one)
        elif one.changed and one.outcome in now_so:
            now_so[one.outcome].append(one)
        elif one.changed and one.before == "broken":
            made.mended.append(one)
    return made


def since_words(standing: Standing, now: datetime, zone: tzinfo) -> str:
    """Since when it stands so: "since Tue 24 Nov 04:00, 3 runs", or "new".

    Args:
        standing: How an expectation stands.
        now: The present time, aware.
        zone: In which days are counted.
    """
    if standing.runs == 1:
        return "new"
    from report.markup import moment

    return f"since {moment(standing.since.astimezone(zone), now.astimezone(zone))}, {standing.runs} runs"
