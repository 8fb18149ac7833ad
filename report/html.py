"""The HTML report: one self-contained file that asks nothing of anybody, on top of pytest-html.

pytest-html keeps the table, its sorting and its filters; the hooks here fill the cells, fold the evidence
under each row and put a summary of our own on top. `report.seal` then goes over the file that was written.

Every text that is shown goes through `report.text`. No fragment made here contains a line break: pytest-html
finds the sort key of a cell with a pattern that stops at one, and paints lines of a log that begin with an E.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from report.bars import bars
from report.lines import (
    OUTCOMES,
    SEVERITIES,
    Line,
    Outcome,
    Result,
    Run,
    counts,
    identity,
    lines,
    seconds,
    verdict,
)
from report.text import block, html, plain
from report.tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

LABELS: dict[Outcome, str] = {
    "broken": "✗ Broken",
    "cannot tell": "? Can't tell",
    "set aside": "○ Set aside",
    "holds": "✓ Holds",
}
"""The outcomes as the report says them: a sign and a word, so that no one depends on colours."""

MOST_ROWS = 200
"""How many rows of a table of evidence, and how many lines of an excerpt, are shown."""

COLUMNS = (
    ("outcome", "Outcome"),
    ("expectation", "Expectation"),
    ("expected", "Expected"),
    ("seen", "Seen"),
    ("limit", "Limit"),
    ("looked", "Looked at"),
    ("remedy", "What to do"),
    ("severity", "Severity"),
    ("time", "Duration"),
)
"""The columns that are shown: the word by which pytest-html's script sorts, and the head."""

_TEXT = 1000
# pytest-html's script filters by its own words and drops a row whose word it does not know.
_WORDS: dict[Outcome, str] = {
    "broken": "Failed",
    "cannot tell": "Error",
    "set aside": "Skipped",
    "holds": "Passed",
}
_PYTEST_LABELS = {"passed": "✓ Passed", "failed": "✗ Failed", "skipped": "○ Skipped"}
_UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|ms|s|min|h|d|days?|B|[KMGT]i?B)(?![A-Za-z]))")
_COMMAND = re.compile(r"`([^`]+)`")


class HtmlReport(Protocol):
    """What `prepare` needs of pytest-html's report data."""

    title: str

    def set_data(self, key: str, value: object) -> None:
        """Set what pytest-html's script is given under a key."""


def title(run: Run) -> str:
    """The title of the report, as plain text: what was looked at, how often that is done, and when."""
    return " · ".join(plain(part, 120) for part in (run["target"], run["cadence"], _when(run)) if part)


def prepare(report: HtmlReport, run: Run) -> None:
    """Body of `pytest_html_report_title`: title, order of the rows, and no table of the environment.

    pytest-html writes the environment's values unescaped, and what matters of it stands in the summary.
    """
    report.title = title(run)
    report.set_data("environment", {})
    report.set_data("initialSort", "outcome")
    # Rows are never collapsed by pytest-html's script: the evidence is folded by the browser's own means.
    report.set_data("renderCollapsed", [])


def results_summary(
    prefix: list[str], summary: list[str], postfix: list[str], results: Sequence[Result], run: Run
) -> None:
    """Body of `pytest_html_results_summary`: the verdict, the four counts, and a line for each cause.

    Args:
        prefix: Filled with the whole summary.
        summary: Left as it is.
        postfix: Left as it is.
        results: All results of the run, in the order in which they ran.
        run: What is true of all of them.
    """
    del summary, postfix
    number = counts(results)
    tiles = "".join(
        f'<li class="{_css(outcome)}{"" if number[outcome] else " none"}">'
        f"<b>{number[outcome]}</b> {html(LABELS[outcome])}</li>"
        for outcome in OUTCOMES
    )
    found = "".join(_finding(line) for line in lines(results))
    aside = "".join(
        f"<li><b>{html(identity(result))}</b> {_marked(result['reason']) or 'no reason is given'}</li>"
        for result in results
        if result["outcome"] == "set aside"
    )
    warnings = "".join(f"<li>{_marked(warning)}</li>" for warning in run["warnings"])
    parts = [
        f'<p class="verdict">{html(verdict(results, run), _TEXT)}.</p>',
        f'<ul class="counts">{tiles}</ul>',
        f'<ol class="findings">{found}</ol>' if found else "",
        f'<h2>Set aside</h2><ul class="aside">{aside}</ul>' if aside else "",
        f'<h2>Worth knowing</h2><ul class="warnings">{warnings}</ul>' if warnings else "",
        *(_chapter(result) for result in results if result["chapter"]),
        tree(results, _marked, lambda result: _label(result["outcome"])),
        _facts(_run_facts(run)),
    ]
    prefix.append(f'<div class="run">{"".join(parts)}</div>')


def table_header(cells: list[str]) -> None:
    """Body of `pytest_html_results_table_header`: our columns in place of pytest-html's.

    The first two are hidden: pytest-html's script reads its own word for the outcome and the row's id there.
    """
    cells[:] = [
        '<th class="sortable" data-column-type="result" hidden>Result</th>',
        '<th class="sortable" data-column-type="testId" hidden>Id</th>',
        *(f'<th class="sortable" data-column-type="{name}">{label}</th>' for name, label in COLUMNS),
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
    parts = [] if result is None else _evidence(result)
    if result is None and report.longreprtext:
        parts.append(_pre("What pytest says", *block(report.longreprtext)))
    parts += [_folded(name, *block(content)) for name, content in report.sections if content.strip()]
    wanted = _worth_opening(result) if result else report.outcome == "failed"
    label = _inventory(result, len(report.sections)) if result else "Details"
    shown = " open" if wanted else ""
    data[:] = [f'<details class="evidence"{shown}><summary>{label}</summary>{"".join(parts)}</details>']


def _worth_opening(result: Result) -> bool:
    return result["outcome"] == "broken" or (result["outcome"] == "cannot tell" and not result["cause"])


def _result_row(result: Result) -> list[str]:
    """The cells of a result, the two hidden ones first."""
    outcome = result["outcome"]
    rank = SEVERITIES.index(result["severity"])
    needed = outcome in ("broken", "cannot tell")
    said = html(result["title"])
    if result["reason"]:
        said += f'<small class="reason">Set aside: {_marked(result["reason"])}</small>'
    if needed and result["cause"]:
        said += f'<small class="cause">cause: {html(result["cause"])}</small>'
    limits = "".join(
        f"<span><b>{_figures(limit['value'])}</b> <code>{html(limit['name'])}</code>"
        f" <small>{html(limit['origin'])}</small></span>"
        for limit in result["limits"]
    )
    values = (
        f"<span hidden>{OUTCOMES.index(outcome)}{rank}</span>{_label(outcome)}",
        f"<strong>{html(identity(result))}</strong> <span>{said}</span>",
        _figures(result["expected"]),
        _figures(result["seen"] or (result["cause_text"] if needed else "")),
        limits,
        _figures(result["looked_at"]),
        _marked(result["remedy"]) if needed else "",
        f"<span hidden>{rank}</span>{html(result['severity'])}",
        f"<span hidden>{result['duration'] * 1e6:015.0f}</span>{seconds(result['duration'])}",
    )
    return _row(_WORDS[outcome], identity(result), values)


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
        *[""] * 6,
        f"<span hidden>{took * 1e6:015.0f}</span>{seconds(took)}",
    )
    return _row(word, report.nodeid, values)


def _row(word: str, name: str, values: Iterable[str]) -> list[str]:
    """Cells with their labels, which the narrow layout shows in place of the table's head.

    `col-links` keeps pytest-html's script from binding a click to the cell: our markup would lead it astray.
    """
    return [
        f'<td class="col-result" hidden>{html(word)}</td>',
        f'<td class="col-testId" hidden>{html(name)}</td>',
        *(
            f'<td class="col-{column} col-links{"" if value else " blank"}" data-label="{label}">{value}</td>'
            for (column, label), value in zip(COLUMNS, values, strict=True)
        ),
    ]


def _evidence(result: Result) -> list[str]:
    """What was seen, in the order in which a person asks: what, why, from where, then the raw material."""
    holds = result["outcome"] in ("holds", "set aside")
    facts = [
        ("In the way", html(result["cause_text"])),
        ("Guide", " — ".join(part for part in (html(result["section"]), _marked(result["guide"])) if part)),
        ("If it breaks", _marked(result["remedy"]) if holds else ""),
        ("Cadence", html(", ".join(result["cadences"]))),
    ]
    notes = "".join(f"<li>{_marked(note)}</li>" for note in result["notes"])
    parts = [
        f'<p class="message">{_marked(result["message"])}</p>' if result["message"] else "",
        _facts(facts),
        f'<ul class="notes">{notes}</ul>' if notes else "",
        *_pictures_and_tables(result),
    ]
    for excerpt in result["excerpts"]:
        shown = [plain(line) for line in excerpt["lines"][:MOST_ROWS]]
        left_out = excerpt["left_out"] + len(excerpt["lines"]) - len(shown)
        parts.append(_pre(excerpt["title"], shown, left_out))
    if result["traceback"]:
        parts.append(_folded("The check itself crashed: its traceback", *block(result["traceback"])))
    return parts


def _pictures_and_tables(result: Result) -> list[str]:
    """The tables and charts of a result."""
    return [
        *(_table(table["title"], table["columns"], table["rows"]) for table in result["tables"]),
        *(bars(chart["points"], chart["title"], chart["unit"]) for chart in result["charts"]),
    ]


def _chapter(result: Result) -> str:
    """What stands in the report by itself, under a title of its own."""
    return (
        f'<section class="chapter"><h2>{html(result["chapter"])}</h2>{"".join(_pictures_and_tables(result))}</section>'
    )


def _inventory(result: Result, sections: int) -> str:
    """What is to be found when the evidence is unfolded, counted."""
    kinds = (
        (len(result["notes"]), "note", "notes"),
        (len(result["tables"]), "table", "tables"),
        (len(result["charts"]), "chart", "charts"),
        (len(result["excerpts"]), "excerpt", "excerpts"),
        (1 if result["traceback"] else 0, "traceback", ""),
        (sections, "captured output", "captured outputs"),
    )
    counted = [f"{number} {one if number == 1 else many}" for number, one, many in kinds if number]
    return f"Evidence{': ' + ', '.join(counted) if counted else ''}"


def _table(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in row)}</tr>" for row in rows[:MOST_ROWS])
    left_out = f"<p>{len(rows) - MOST_ROWS:,} more rows left out</p>" if len(rows) > MOST_ROWS else ""
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{html(name)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{left_out}"
    )


def _pre(name: str, shown: Sequence[str], left_out: int) -> str:
    """Lines as they were written; `&#10;` is the line break that pytest-html's script does not see."""
    cut = f" <small>{left_out:,} more lines left out</small>" if left_out else ""
    text = "&#10;".join(html(line) for line in shown)
    return f'<figure><figcaption>{html(name)}{cut}</figcaption><pre tabindex="0">{text}</pre></figure>'


def _folded(name: str, shown: Sequence[str], left_out: int) -> str:
    return f"<details><summary>{html(name)}</summary>{_pre('', shown, left_out)}</details>"


def _finding(line: Line) -> str:
    """A line of the summary: what is so, where in the guide, what to do, and who waits for the same."""
    head = line.head
    anchor = html(_fragment(identity(head)), _TEXT)
    in_the_way = head["cause_text"] if head["cause_text"] not in head["message"] else ""
    facts = [
        ("In the way", html(in_the_way)),
        ("Do", _marked(head["remedy"])),
        ("Guide", html(head["section"])),
        ("Waiting", html(line.waiting, _TEXT)),
    ]
    return (
        f'<li class="{_css(head["outcome"])}"><p>{_label(head["outcome"])} '
        f'<a href="#{anchor}">{html(identity(head))}</a> '
        f"<small>{html(line.severity)}</small></p>"
        f"<p>{_marked(head['message'])}</p>{_facts(facts)}</li>"
    )


def _run_facts(run: Run) -> list[tuple[str, str]]:
    took = f"{_when(run)}, for {seconds(run['seconds'])}"
    return [
        ("Target", html(run["target"])),
        ("Cadence", html(run["cadence"])),
        ("Begun", html(took)),
        ("Settings", html(run["settings_file"])),
        ("Run", html(run["token"])),
        ("Version", html(run["version"])),
    ]


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    """A list of names and values that are HTML already; without a value there is no name."""
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts if value)
    return f'<dl class="facts">{listed}</dl>' if listed else ""


def _marked(text: str) -> str:
    """A text made safe, with what stands in backticks set as a command."""
    return _COMMAND.sub(r"<code>\1</code>", html(text, _TEXT))


def _figures(text: str) -> str:
    """A text made safe, with each figure kept on one line with its unit."""
    return _UNIT.sub("&nbsp;", html(text))


def _label(outcome: Outcome) -> str:
    return f'<b class="{_css(outcome)}">{html(LABELS[outcome])}</b>'


def _css(outcome: Outcome) -> str:
    return outcome.replace(" ", "-")


def _fragment(name: str) -> str:
    """A row's id as a link within the page, with what a browser would read otherwise spelled out."""
    return plain(name).replace("%", "%25").replace(" ", "%20")


def _when(run: Run) -> str:
    """When the run began, on the clock of the host that was looked at."""
    try:
        began = datetime.fromisoformat(run["started"])
    except ValueError:
        return plain(run["started"], 60)
    if began.tzinfo is None:
        return f"{began:%Y-%m-%d %H:%M} {plain(run['host_zone'], 60)}".rstrip()
    try:
        return f"{began.astimezone(ZoneInfo(run['host_zone'])):%Y-%m-%d %H:%M} {plain(run['host_zone'], 60)}"
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return f"{began:%Y-%m-%d %H:%M %z}"
