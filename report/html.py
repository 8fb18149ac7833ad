"""The HTML report: one self-contained file that asks nothing of anybody, on top of pytest-html.

pytest-html keeps the table, its sorting and its filters; the hooks here fill the cells, fold the evidence
under each row and put a summary of our own on top. `report.seal` then goes over the file that was written.

Every text that is shown goes through `report.text`. No fragment made here contains a line break: pytest-html
finds the sort key of a cell with a pattern that stops at one, and paints lines of a log that begin with an E.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from report.lines import OUTCOMES, SEVERITIES, Outcome, Result, Run, identity, seconds
from report.markup import began, figures, label, marked, now_of, zone_of
from report.page_evidence import chapter, evidence, folded, inventory, pre
from report.page_top import foot, top
from report.text import block, html, plain
from report.tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo
    from typing import Any

    import report.run
    from report.changes import Past

COLUMNS = (
    ("outcome", "Outcome"),
    ("expectation", "Expectation"),
    ("expected", "Expected"),
    ("seen", "Seen"),
    ("limit", "Limit"),
    ("severity", "Severity"),
    ("time", "Duration"),
)
"""The columns that are shown: the word by which pytest-html's script sorts, and the head."""

# pytest-html's script filters by its own words and drops a row whose word it does not know.
_WORDS: dict[Outcome, str] = {
    "broken": "Failed",
    "cannot tell": "Error",
    "set aside": "Skipped",
    "holds": "Passed",
}
_PYTEST_LABELS = {"passed": "✓ Passed", "failed": "✗ Failed", "skipped": "○ Skipped"}
_NO_SECTION = "No expectation of the guide"


class HtmlReport(Protocol):
    """What `prepare` needs of pytest-html's report data."""

    title: str

    def set_data(self, key: str, value: object) -> None:
        """Set what pytest-html's script is given under a key."""


class Beside(NamedTuple):
    """What a report says beside the results of its run.

    Attributes:
        guide: The section of every slug of the guide, in its order; empty where that isn't known.
        past: What earlier runs said, and this one; None where nothing is known of them.
        what_if: What other limits would have said, as safe HTML; empty where nobody asked.
    """

    guide: Mapping[str, str]
    past: Past | None = None
    what_if: str = ""


def beside(run: report.run.Run, guide: Mapping[str, str], asked: Sequence[str] = ()) -> Beside:
    """What there is to say beside the results of a run.

    Args:
        run: The run, its results in the history already.
        guide: The section of every slug, in the guide's order, where all of it was collected; else empty.
        asked: The limits of `--what-if`, as they were written.

    Raises:
        ValueError: If one of those names no limit or has no value that it can have.
    """
    from report.changes import past_of

    known = past_of(run) if run.keeps_history else None
    return Beside(guide or _guide(), known, _what_if(asked, known, run.clock.zone) if asked and known else "")


def _what_if(asked: Sequence[str], past: Past, zone: tzinfo) -> str:
    from report.what_if import answers, parse, section

    return section(answers(parse(asked), past.points), zone)


def _guide() -> dict[str, str]:
    """The section of every slug as the tests tell it, where the whole guide wasn't collected."""
    from records.slugs import read_slugs
    from records.tables import RecordError
    from report.expectation import CADENCES

    try:
        known = read_slugs().known.values()
    except RecordError:
        return {}
    sections = {}
    for one in known:
        cadence = min((mark for mark in one.marks if mark in CADENCES), key=CADENCES.index, default="")
        sections[one.slug] = f"{cadence.capitalize()} · {one.guide.partition(':')[0]}"
    return sections


def title(run: Run) -> str:
    """The title of the report, as plain text: what was looked at, how often that is done, and when."""
    return " · ".join(plain(part, 120) for part in (run["target"], run["cadence"], began(run)) if part)


def prepare(report: HtmlReport, run: Run) -> None:
    """Body of `pytest_html_report_title`: title, order of the rows, and no table of the environment.

    pytest-html writes the environment's values unescaped, and what matters of it stands in the summary.
    """
    report.title = title(run)
    report.set_data("environment", {})
    report.set_data("initialSort", "guide")
    # Rows are never collapsed by pytest-html's script: the evidence is folded by the browser's own means.
    report.set_data("renderCollapsed", [])


def results_summary(
    prefix: list[str],
    summary: list[str],
    postfix: list[str],
    results: Sequence[Result],
    run: Run,
    beside: Beside | None = None,
) -> None:
    """Body of `pytest_html_results_summary`: everything that stands above the table of all results.

    Args:
        prefix: Filled with the whole summary.
        summary: Left as it is.
        postfix: Left as it is.
        results: All results of the run, in the order in which they ran.
        run: What is true of all of them.
        beside: What earlier runs said and what there is to look at; None where nothing of it is known.
    """
    del summary, postfix
    guide, past, what_if = beside if beside is not None else Beside({})
    nights, pictures = _week(results, run, past, guide), _trends(run, past)
    there = (("week", "The week", nights), ("over-time", "Over time", pictures), ("all", "All expectations", "there"))
    parts = [
        top(results, run, past, guide, [(name, words) for name, words, content in there if content]),
        nights,
        f'<div id="over-time">{pictures}</div>' if pictures else "",
        what_if,
        *(chapter(result) for result in results if result["chapter"]),
        tree(results, marked, lambda result: label(result["outcome"])),
        '<h2 class="all" id="all">All expectations, by section of the guide</h2>',
    ]
    prefix.append(f'<div class="run">{"".join(parts)}</div>{foot(run, began(run))}')


def _week(results: Sequence[Result], run: Run, past: Past | None, guide: Mapping[str, str]) -> str:
    """The matrix of the last nights; of a slug with several items it leads to the worst one's row."""
    if past is None:
        return ""
    from report.week import week

    names: dict[str, str] = {}
    for one in sorted(results, key=lambda one: OUTCOMES.index(one["outcome"])):
        names.setdefault(one["slug"], identity(one))
    known = {one["slug"]: one["section"] for one in results}
    sections = {slug: section or known.get(slug, "Not in this run") for slug, section in guide.items()} or known
    return week(past.told, sections, zone_of(run), names)


def _trends(run: Run, past: Past | None) -> str:
    """The figures that are followed over time, as pictures."""
    if past is None or not past.points:
        return ""
    from report.trends import trends

    return trends(past.points, now_of(run), zone_of(run))


def table_header(cells: list[str]) -> None:
    """Body of `pytest_html_results_table_header`: our columns in place of pytest-html's.

    The first three are hidden: pytest-html's script reads its own word for the outcome and the row's id there, and
    sorts by the third at first. A head's button has the word as well, since that script asks what was clicked.
    """
    cells[:] = [
        '<th class="sortable" data-column-type="result" hidden>Result</th>',
        '<th class="sortable" data-column-type="testId" hidden>Id</th>',
        '<th class="sortable" data-column-type="guide" hidden>Guide</th>',
        *(
            f'<th class="sortable" data-column-type="{name}" scope="col">'
            f'<button type="button" data-column-type="{name}">{head}</button></th>'
            for name, head in COLUMNS
        ),
    ]


def table_row(report: Any, cells: list[str]) -> None:  # noqa: ANN401 (a TestReport or a CollectReport)
    """Body of `pytest_html_results_table_row`: one row of a result, or of a test that is no expectation.

    Args:
        report: pytest's report; the result is its attribute `expectation`, where it has one.
        cells: Replaced, but for a set-up or a tear-down that went well, of which pytest-html shows no row.
    """
    if report.when in ("setup", "teardown") and report.outcome == "passed":
        return
    result: Result | None = getattr(report, "expectation", None)
    cells[:] = _foreign_row(report) if result is None else _result_row(result)


def table_html(report: Any, data: list[str]) -> None:  # noqa: ANN401 (a TestReport or a CollectReport)
    """Body of `pytest_html_results_table_html`: the evidence, folded under its row.

    Open where a person is needed, closed where all is well or the summary's line for a common cause says it
    all. The captured output of the test is in it too.

    Args:
        report: pytest's report; the result is its attribute `expectation`, where it has one.
        data: Replaced by one fragment of HTML.
    """
    if report.when in ("setup", "teardown") and report.outcome == "passed":
        return
    result: Result | None = getattr(report, "expectation", None)
    parts = [] if result is None else evidence(result)
    if result is None and report.longreprtext:
        parts.append(pre("What pytest says", *block(report.longreprtext)))
    parts += [folded(name, *block(content)) for name, content in report.sections if content.strip()]
    wanted = _worth_opening(result) if result else report.outcome == "failed"
    words = inventory(result, len(report.sections)) if result else "Details"
    shown = " open" if wanted else ""
    needed = result is not None and result["outcome"] in ("broken", "cannot tell") and result["remedy"]
    do = f'<p class="do"><b>What to do:</b> {marked(result["remedy"])}</p>' if result is not None and needed else ""
    data[:] = [f'{do}<details class="evidence"{shown}><summary>{words}</summary>{"".join(parts)}</details>']


def _worth_opening(result: Result) -> bool:
    return result["outcome"] == "broken" or (result["outcome"] == "cannot tell" and not result["cause"])


def _result_row(result: Result) -> list[str]:
    """The cells of a result, the hidden ones first."""
    outcome = result["outcome"]
    rank = SEVERITIES.index(result["severity"])
    needed = outcome in ("broken", "cannot tell")
    said = html(result["title"])
    if result["reason"]:
        said += f'<small class="reason">Set aside: {marked(result["reason"])}</small>'
    if needed and result["cause"]:
        said += f'<small class="cause">cause: {html(result["cause"])}</small>'
    limits = "".join(
        f"<span><b>{figures(limit['value'])}</b> <code>{html(limit['name'])}</code>"
        f" <small>{html(limit['origin'])}</small></span>"
        for limit in result["limits"]
    )
    seen = figures(result["seen"] or (result["cause_text"] if needed else ""))
    looked = f'<small class="looked">looked at {figures(result["looked_at"])}</small>' if result["looked_at"] else ""
    key = f"{OUTCOMES.index(outcome)}{rank}"
    values = (
        f"<span hidden>{key}</span>{label(outcome)}",
        f"<strong>{html(identity(result))}</strong> <span>{said}</span>",
        figures(result["expected"]),
        f"{seen}{looked}",
        limits,
        f"<span hidden>{rank}</span>{html(result['severity'])}",
        f"<span hidden>{result['duration'] * 1e6:015.0f}</span>{seconds(result['duration'])}",
    )
    return _row(_WORDS[outcome], identity(result), (key, result["section"]), values)


def _foreign_row(report: Any) -> list[str]:  # noqa: ANN401
    """The cells of a test that is no expectation, with pytest's own word for how it went."""
    word, label = report.outcome.capitalize(), _PYTEST_LABELS.get(report.outcome, report.outcome)
    if report.outcome == "failed" and report.when != "call":
        word, label = "Error", "✗ Error"
    elif hasattr(report, "wasxfail"):
        word, label = ("XFailed", "○ Xfailed") if report.outcome == "skipped" else ("XPassed", "✗ Xpassed")
    order = {"Failed": 0, "XPassed": 0, "Error": 1, "Passed": 3}.get(word, 2)
    phase = "" if report.when == "call" else f" <small>{html(report.when or '')}</small>"
    took = getattr(report, "duration", 0.0)
    values = (
        f"<span hidden>{order}3</span><b>{html(label)}</b>",
        f"<strong>{html(report.nodeid)}</strong>{phase} <small>no expectation of the guide</small>",
        *[""] * 4,
        f"<span hidden>{took * 1e6:015.0f}</span>{seconds(took)}",
    )
    return _row(word, report.nodeid, (f"{order}3", _NO_SECTION), values)


def _row(word: str, name: str, place: tuple[str, str], values: Iterable[str]) -> list[str]:
    """Cells with their labels, which the narrow layout shows in place of the table's head.

    `place` is the key by which rows are sorted within a section, and the section, by which the page's own script
    gathers them.

    `col-links` keeps pytest-html's script from binding a click to the cell: our markup would lead it astray.
    """
    return [
        f'<td class="col-result" hidden>{html(word)}</td>',
        f'<td class="col-testId" hidden>{html(name)}</td>',
        f'<td class="col-guide" data-section="{html(place[1])}" hidden>{place[0]}</td>',
        *(
            f'<td class="col-{column} col-links{"" if value else " blank"}" data-label="{head}">{value}</td>'
            for (column, head), value in zip(COLUMNS, values, strict=True)
        ),
    ]
