"""The result of an expectation, and how many results become the few lines that a person reads.

One cause, one line: when a connection fails, everything that waited for it says the same thing. The terminal,
the report and whatever else speaks of a run ask `lines` and `verdict` here, so that all tell the same story.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

Outcome = Literal["holds", "broken", "cannot tell", "set aside"]
Severity = Literal["critical", "major", "minor"]

OUTCOMES: tuple[Outcome, ...] = ("broken", "cannot tell", "set aside", "holds")
"""The four outcomes, in the order in which they are shown: what needs a person first."""

SEVERITIES: tuple[Severity, ...] = ("critical", "major", "minor")
"""The severities, worst first."""


class Limit(TypedDict):
    """A figure that an observation was held against.

    `value` carries its unit ("24 h"), `origin` says in words who set it ("the guide's default").
    """

    name: str
    value: str
    origin: str


class Table(TypedDict):
    """Evidence in rows; every row has as many cells as there are columns, each of them text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Excerpt(TypedDict):
    """Lines of a log or of a program's output; `left_out` counts the lines that are not among them."""

    title: str
    lines: list[str]
    left_out: int


class Chart(TypedDict):
    """Figures to be looked at as bars: each point is what it stands for and its value; `unit` is a word."""

    title: str
    unit: str
    points: list[tuple[str, float]]


class Branch(TypedDict):
    """The way that was taken at a question of the guide's decision tree.

    `taken` is `no`, `yes`, or `there` where the figure is over its limit and what the guide advises is `there` already.
    """

    figure: str
    limit: str
    taken: str
    there: str


class Figure(TypedDict):
    """A number that is followed over time, with its unit (`s`, `B`, `share`, `1`) and what it was held against.

    `limit_name` is the setting that has it, as `limits.disk_used`; empty where there is none.
    """

    name: str
    value: float
    unit: str
    limit: float | None
    limit_name: NotRequired[str]


class Result(TypedDict):
    """What one test of an expectation found: plain JSON, so that it travels between processes.

    `duration` is in seconds. `looked_at` is the denominator and may be empty only when nothing could be seen.
    `cause` names the connection that failed ("" for none), `traceback` is there only when the check crashed.
    Of a `symptom` it is known that something is wrong and not what.
    `found` is the outcome before any waiver was asked, and `found_message` what was said of it.
    Of `branches` there are none in a result that answers no question of the decision tree.
    `ids` are the names of each finding that a waiver may cover by itself.
    With a `chapter` its tables and charts stand in the report by themselves as well, under that title.
    """

    slug: str
    item: str
    title: str
    section: str
    guide: str
    cadences: list[str]
    severity: Severity
    symptom: bool
    remedy: str
    outcome: Outcome
    message: str
    expected: str
    seen: str
    limits: list[Limit]
    looked_at: str
    cause: str
    cause_text: str
    notes: list[str]
    tables: list[Table]
    excerpts: list[Excerpt]
    figures: list[Figure]
    charts: list[Chart]
    branches: NotRequired[list[Branch]]
    ids: NotRequired[list[list[str]]]
    chapter: str
    found: Outcome
    found_message: str
    duration: float
    reason: str
    traceback: str


class Run(TypedDict):
    """What is true of all results of a run: `started` and `ended` in ISO 8601, `seconds` on the wall."""

    target: str
    cadence: str
    token: str
    started: str
    ended: str
    seconds: float
    host_zone: str
    version: str
    settings_file: str
    warnings: list[str]


class Line(NamedTuple):
    """One thing that needs a person: a result, and those that only wait for the same cause."""

    head: Result
    folded: tuple[Result, ...] = ()

    @property
    def severity(self) -> Severity:
        """The worst severity among the head and what is folded under it."""
        return min((self.head, *self.folded), key=_severity_rank)["severity"]

    @property
    def waiting(self) -> str:
        """Who else waits, in words: "7 more wait for the same: security-header (6), health-endpoint"."""
        if not self.folded:
            return ""
        names = Counter(result["slug"] for result in self.folded)
        listed = ", ".join(f"{slug} ({count})" if count > 1 else slug for slug, count in names.items())
        verb = "waits" if len(self.folded) == 1 else "wait"
        return f"{len(self.folded)} more {verb} for the same: {listed}"


def _severity_rank(result: Result) -> int:
    return SEVERITIES.index(result["severity"])


def identity(result: Result) -> str:
    """The name of a result in every output: its slug, and in brackets the item where there is one."""
    return f"{result['slug']}[{result['item']}]" if result["item"] else result["slug"]


def lines(results: Sequence[Result]) -> list[Line]:
    """Fold what is broken or cannot be told into one line for each cause.

    Results of the same cause form one line. Its head is the first that is broken, since that one was seen,
    else the first that cannot be told. A result without a cause is a line of its own.

    Args:
        results: All results of a run, in the order in which they ran.

    Returns:
        The lines by severity, broken before cannot tell, symptoms last among those, then in the order of the run.
    """
    groups: dict[str | int, list[Result]] = {}
    for place, result in enumerate(results):
        if result["outcome"] in ("broken", "cannot tell"):
            groups.setdefault(result["cause"] or place, []).append(result)
    made = [_line(group) for group in groups.values()]
    return sorted(made, key=_urgency)


def _urgency(line: Line) -> tuple[int, int, bool]:
    return SEVERITIES.index(line.severity), OUTCOMES.index(line.head["outcome"]), line.head["symptom"]


def _line(group: list[Result]) -> Line:
    first = next((place for place, result in enumerate(group) if result["outcome"] == "broken"), 0)
    return Line(group[first], tuple(group[:first] + group[first + 1 :]))


def counts(results: Sequence[Result]) -> dict[Outcome, int]:
    """How many results there are of each outcome, all four of them, in the order in which they are shown."""
    seen = Counter(result["outcome"] for result in results)
    return {outcome: seen[outcome] for outcome in OUTCOMES}


def in_full(results: Sequence[Result]) -> set[str]:
    """The slugs that were looked at in full: one of their items was seen, and none is one that cannot be told."""
    blind = {result["slug"] for result in results if result["outcome"] == "cannot tell"}
    return {r["slug"] for r in results if r["outcome"] in ("holds", "broken") or r["looked_at"]} - blind


def aside_by_reason(results: Sequence[Result]) -> dict[str, list[str]]:
    """The names of what is set aside, by its reason."""
    reasons: dict[str, list[str]] = {}
    for one in results:
        if one["outcome"] == "set aside":
            reasons.setdefault(one["reason"], []).append(identity(one))
    return reasons


def seconds(duration: float) -> str:
    """A duration given in seconds as a person says it: "12 ms", "0.61 s", "2 min 5 s"."""
    if duration < 0.0995:
        return f"{duration * 1000:.0f} ms"
    if duration < 59.95:
        return f"{duration:.2f} s" if duration < 10 else f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest} s"


def verdict(results: Sequence[Result], run: Run) -> str:
    """The whole run in one sentence, with its four counts and how much of it could be looked at.

    That nothing ran is never called good.
    """
    where = f"{run['target']}, {run['cadence']}" if run["cadence"] else run["target"]
    if not results:
        return f"{where}: nothing was looked at, no expectation ran"
    number = counts(results)
    if number["broken"]:
        finding = "something is broken"
    elif number["cannot tell"]:
        finding = "nothing is seen broken, but not everything could be seen"
    elif not number["holds"]:
        finding = "nothing was looked at, all is set aside"
    else:
        finding = "all holds but what is set aside" if number["set aside"] else "all holds"
    slugs = {result["slug"] for result in results}
    return (
        f"{where}: {finding} ({number['broken']} broken, {number['cannot tell']} can't tell, "
        f"{number['set aside']} set aside, {number['holds']} hold{'s' if number['holds'] == 1 else ''}); "
        f"{len(in_full(results))} of {len(slugs)} slugs looked at in full, in {seconds(run['seconds'])}"
    )
