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
from report.lines import identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from report.chronicle import Chronicle
    from report.lines import Outcome, Result
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


class Change(NamedTuple):
    """A kind of change since the look before, and what changed so.

    Attributes:
        words: What the kind is called.
        outcome: What all of them are now.
        names: The identities of the results.
    """

    words: str
    outcome: Outcome
    names: list[str]


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


def changes(results: Sequence[Result], standings: Mapping[tuple[str, str], Standing]) -> list[Change]:
    """What is another outcome than at the look before, by kind; at its first look what needs a person is new."""
    made = []
    for words, outcome, before in KINDS:
        names = [
            identity(one)
            for one in results
            if one["outcome"] == outcome
            and (standing := standings.get((one["slug"], one["item"]))) is not None
            and standing.before in before
        ]
        if names:
            made.append(Change(words, outcome, names))
    return made


def standing_of(result: Result, standings: Mapping[tuple[str, str], Standing]) -> Standing | None:
    """How the expectation of a result stands; None where the history doesn't know it, or as something else."""
    standing = standings.get((result["slug"], result["item"]))
    return standing if standing is not None and standing.outcome == result["outcome"] else None
