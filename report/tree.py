"""The guide's decision tree of scaling, as a run has walked it.

A list within a list and no picture: five questions, and under each the ways that there are. Who can't see it hears the
same (the role is written out, since a list without marks is none to some browsers), a narrow screen has it below each
other, and the lines are the page's style. Which way was taken is a word and not a colour. A question that a run didn't
look at, or couldn't, stands there as well, with neither way taken.

No fragment made here contains a line break, for the reason that `report.html` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from report.text import html

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from report.lines import Branch, Result

TITLE = "Scaling"
_MOST = 80


class Question(NamedTuple):
    """A question of the tree.

    Attributes:
        slug: The expectation that answers it.
        about: What is asked about.
        advice: What the guide advises where it is over its limit.
    """

    slug: str
    about: str
    advice: str


QUESTIONS = (
    Question("scale-users", "Users", "consider load balancing: several backends behind nginx"),
    Question("scale-response", "Response times", "add a cache: Redis, for views and for queries"),
    Question("scale-database-cpu", "The database's processor", "add connection pooling: PgBouncer"),
    Question("scale-disk", "Disk usage", "archive old data: to S3"),
    Question("scale-errors", "Error rate", "log more and find the bottleneck; it may need more backends"),
)
"""The guide's five, in its order."""
_ON = "go on watching"


def tree(results: Sequence[Result], marked: Callable[[str], str], label: Callable[[Result], str]) -> str:
    """The tree, with the way that was taken at each question.

    Args:
        results: All results of a run.
        marked: Makes a text safe, with what stands in backticks set as a command.
        label: The outcome of a result, as the report writes it.

    Returns:
        One `section` element; nothing where a run has no answer to any of the questions.
    """
    found = {one["slug"]: one for one in results}
    if not any(question.slug in found for question in QUESTIONS):
        return ""
    items = "".join(_question(question, found.get(question.slug), marked, label) for question in QUESTIONS)
    return f'<section class="chapter"><h2>{TITLE}</h2><ol class="tree" role="list">{items}</ol></section>'


def _question(
    question: Question, result: Result | None, marked: Callable[[str], str], label: Callable[[Result], str]
) -> str:
    branches = result.get("branches", []) if result is not None else []
    # What was told is drawn, also where it doesn't count by a waiver.
    branch = branches[-1] if branches and result is not None and result["outcome"] != "cannot tell" else None
    limit = branch["limit"] if branch is not None else _limit(result)
    asked = html(f"{question.about} over {limit}?" if limit else question.about, _MOST)
    figure = f' <span class="figure">{html(branch["figure"], _MOST)}</span>' if branch is not None else ""
    where = f' {label(result)} <a href="#{question.slug}">{question.slug}</a>' if result is not None else ""
    ways = _ways(question, branch, result, marked) if branch is not None else _neither(question, result, marked)
    return (
        f'<li class="{_state(branch, result)}"><p class="asked"><b>{asked}</b>{figure}<small>{where}</small></p>'
        f'<ul class="ways" role="list">{ways}</ul></li>'
    )


def _ways(question: Question, branch: Branch, result: Result | None, marked: Callable[[str], str]) -> str:
    """Both ways, one of them taken."""
    over = branch["taken"] in {"yes", "there"}
    there = branch["taken"] == "there"
    yes = html(question.advice)
    if there:
        yes += (
            f"<br/><b>It is there already:</b> {marked(branch['there'])}"
            if branch["there"]
            else "; it is there already"
        )
    elif over and result is not None:
        yes += f"<br/>{marked(result['remedy'])}"
    return f"{_way('No', _ON, taken=not over)}{_way('Yes', yes, taken=over)}"


def _neither(question: Question, result: Result | None, marked: Callable[[str], str]) -> str:
    """Both ways, none of them taken, and why."""
    why = "not looked at in this run"
    if result is not None and result["outcome"] == "set aside":
        why = f"not looked at: {result['reason']}" if result["reason"] else "not looked at"
    elif result is not None:
        why = f"can't be told: {result['cause_text'] or result['message']}"
    open_ = f'<li class="way open"><b>?</b> <span>{marked(why)}</span></li>'
    return f"{open_}{_way('No', _ON, taken=False)}{_way('Yes', html(question.advice), taken=False)}"


def _way(answer: str, then: str, *, taken: bool) -> str:
    """One way. `then` is HTML already."""
    said, kind = (" <em>taken</em>", " taken") if taken else ("", "")
    return f'<li class="way{kind}"><b>{answer}{said}</b> <span>{then}</span></li>'


def _limit(result: Result | None) -> str:
    """What would have been held against: the first limit of a result that had nothing to hold against it."""
    return result["limits"][0]["value"] if result is not None and result["limits"] else ""


def _state(branch: Branch | None, result: Result | None) -> str:
    if branch is not None and result is not None and result["outcome"] != "set aside":
        return "there" if branch["taken"] == "there" else "holds" if branch["taken"] == "no" else "broken"
    return "set-aside" if result is None or result["outcome"] == "set aside" else "cannot-tell"
