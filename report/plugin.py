"""The hooks of pytest through which a run becomes a report."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from records.not_applicable import what_does_not_apply, why_not_applicable
from report import html, reporter, seal, terminal
from report.expectation import CADENCES, Expectation, of_item
from report.outcomes import CASE, Case, judge
from report.run import PARTS, RUN, TRIAGE, Run, asks_for_expectations, make_run
from report.set_aside import judged, remarks

if TYPE_CHECKING:
    from collections.abc import Generator

    from report.evidence import Evidence

BRIEF: pytest.StashKey[bool] = pytest.StashKey()
OURS: pytest.StashKey[list[str]] = pytest.StashKey()
"""The report files whose names nobody gave on the command line."""
BROKEN_OFF = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
"""How a run ends that didn't look at all that it was to look at."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the target, unless only the suite's own tests are to be run."""
    if not asks_for_expectations(config) or config.getoption("expectations"):
        return
    _check_what_if(config)
    if config.getoption("review"):
        from report import review

        review.check(config)
        config.pluginmanager.register(review, "ops_review")
    run = make_run(config)
    config.stash[RUN] = run
    # pytest's tracebacks are for who wrote a check; who asked for them by --tb gets them.
    config.stash[BRIEF] = config.option.tbstyle == "auto"
    if config.option.reportchars == "fE":
        config.option.reportchars = "N"
    reporter.speak(config, run)
    if config.getoption("collectonly") or hasattr(config, "workerinput"):
        return
    if config.getoption("alert"):
        from report import after_run

        after_run.check(run)
    report = run.loaded.target.report
    config.stash[OURS] = []
    for option, template in (("htmlpath", report.html), ("xmlpath", report.xml)):
        if getattr(config.option, option) is None:
            setattr(config.option, option, str(run.report_file(template)))
            config.stash[OURS].append(getattr(config.option, option))
    config.option.self_contained_html = True


def _check_what_if(config: pytest.Config) -> None:
    """Let a wrong limit of `--what-if` stop the run before anything is asked."""
    if asked := config.getoption("what_if"):
        from report.what_if import parse

        try:
            parse(asked)
        except ValueError as wrong:
            raise pytest.UsageError(str(wrong)) from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist's
    """Give every worker of xdist the token of the one run that they are, and the time at which it began.

    Some ids are days: at midnight two clocks would not agree on them.
    """
    if (run := node.config.stash.get(RUN, None)) is not None:
        node.workerinput["ops_token"] = run.token
        node.workerinput["ops_started"] = run.started.isoformat()
        run.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401  xdist's
    """Take over what a worker had to say beside its outcomes."""
    run = node.config.stash.get(RUN, None)
    for text in getattr(node, "workeroutput", {}).get("ops_warnings", []) if run is not None else []:
        run.warn(text)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which system is looked at, and when it is."""
    run = config.stash.get(RUN, None)
    if run is None:
        return []
    return [reporter.target_line(run)]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Know each expectation, and refuse what would be ambiguous in a report."""
    items.sort(key=_step if TRIAGE.fullmatch(config.getoption("markexpr") or "") else _turn)
    homes: defaultdict[str, set[str]] = defaultdict(set)
    run = config.stash.get(RUN, None)
    not_applicable = {} if run is None else what_does_not_apply(run.loaded.target)
    for item in items:
        expectation = of_item(item)
        if expectation is None:
            if run is not None and item.path.parent.name.startswith("tests_"):
                raise pytest.UsageError(f"{item.nodeid} is no expectation: it has no @expectation(slug, …)")
            continue
        if not expectation.title:
            raise pytest.UsageError(f"{item.nodeid}: its docstring says what holds; there is none")
        if not set(expectation.cadences).intersection(CADENCES):
            raise pytest.UsageError(f"{item.nodeid} has no cadence: mark it or its module with one of {CADENCES}")
        homes[expectation.slug].add(item.nodeid.partition("[")[0])
        call = getattr(item, "callspec", None)
        case = Case(expectation, call.id, str(*call.params.values())) if call else Case(expectation, "")
        item.stash[CASE] = case
        if reason := why_not_applicable(not_applicable, case.expectation.slug, case.item):
            item.add_marker(pytest.mark.skip(reason=f"not applicable: {reason}"))
    # Before -m and -k thin them out: what is said of an item that there is none of must not depend on those.
    config.stash[THERE] = {
        (item.stash[CASE].expectation.slug, item.stash[CASE].item) for item in items if CASE in item.stash
    }
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        config.stash[GUIDE] = {
            item.stash[CASE].expectation.slug: item.stash[CASE].expectation.section
            for item in items
            if CASE in item.stash
        }
    if doubles := {slug: sorted(tests) for slug, tests in homes.items() if len(tests) > 1}:
        slug, tests = next(iter(doubles.items()))
        raise pytest.UsageError(f"the slug {slug!r} names two expectations: {' and '.join(tests)}")
    if config.getoption("expectations"):
        # Said before -m and -k would thin the list out, as they do for a run.
        session.config.stash[LISTED] = {
            item.stash[CASE].expectation.slug: item.stash[CASE].expectation for item in items if CASE in item.stash
        }


def _turn(item: pytest.Item) -> int:
    """The guide's own order: the morning before the evening. Within a part, the order of the file stays.

    What disturbs the target comes when everything else has looked at it.
    """
    own = {mark.name for mark in item.iter_markers()}
    if "drill" in own:
        return len(PARTS) + 1
    return next((number for number, name in enumerate(PARTS) if name in own), len(PARTS))


def _step(item: pytest.Item) -> int:
    """The order of the guide's emergencies, which every expectation of triage has a place in."""
    mark = item.get_closest_marker("triage")
    return int(mark.kwargs["step"]) if mark is not None and "step" in mark.kwargs else 0


THERE: pytest.StashKey[set[tuple[str, str]]] = pytest.StashKey()
"""Slug and item of every expectation that there is."""
GUIDE: pytest.StashKey[dict[str, str]] = pytest.StashKey()
"""The section of every slug of the guide; not there where only a part of the guide was collected."""
LISTED: pytest.StashKey[dict[str, Expectation]] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object:
    """Run nothing when only the list of expectations was asked for."""
    if session.config.stash.get(BRIEF, False) and not session.testsfailed:
        # From here on failures are ours to tell. Before, a test file that can't be read is pytest's.
        session.config.option.tbstyle = "no"
    return True if session.config.getoption("expectations") else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the four outcomes apart."""
    report = yield
    run = item.config.stash.get(RUN, None)
    if CASE in item.stash and run is not None:
        judge(item, report, call, run, brief=item.config.stash[BRIEF])
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep every result, those of xdist's workers too."""
    result = getattr(report, "expectation", None)
    if result is not None and _current is not None:
        _current.results.append(result)


_current: Run | None = None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember the run for the hook that isn't told the configuration, and wait for its turn on the target."""
    global _current  # noqa: PLW0603  pytest_runtest_logreport gets nothing but the report
    _current = session.config.stash.get(RUN, None)
    option = session.config.option
    if _current is None or option.collectonly or option.review or hasattr(session.config, "workerinput"):
        return
    from report.lock import take_turn

    take_turn(session.config, _current)
    if option.alert:
        from report import after_run

        after_run.begin(session.config, _current)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Write down that the run ended; then, when pytest-html has written its file, close that to the outside."""
    run = session.config.stash.get(RUN, None)
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if run is not None and output is None:
        run.end(whole=session.exitstatus not in BROKEN_OFF)
        _remarks(run, session.config.stash.get(THERE, set()))
        if session.config.option.alert and not session.config.option.collectonly and not session.config.option.review:
            from report import after_run

            after_run.finish(session, run, session.config.stash.get(THERE, set()))
        from report.outputs import write_outputs

        write_outputs(session.config, run)
    yield
    if run is None:
        return
    if output is not None:
        output["ops_warnings"] = run.warnings
        return
    path = Path(session.config.option.htmlpath or "")
    if not run.results:
        # Nothing was looked at: an empty report in the row of real ones would only mislead.
        for file in session.config.stash.get(OURS, ()):
            Path(file).unlink(missing_ok=True)
    elif path.is_file():
        try:
            for sentence in seal.seal_file(path):
                run.warn(sentence)
        except OSError as error:
            run.warn(f"the report {path} could not be closed to the outside: {error}")


def _remarks(run: Run, there: set[tuple[str, str]]) -> None:
    """Tell what there is to say of what is set aside, when everything has its result."""
    results, _ = run.told()
    if results:
        for sentence in remarks(results, there, run.waivers, run.loaded.target.not_applicable, run.today):
            run.warn(sentence)


def pytest_report_teststatus(report: Any) -> tuple[str, str, Any] | None:  # noqa: ANN401  two kinds of report
    """Say the outcomes in the operator's words under -v."""
    result = getattr(report, "expectation", None)
    if result is None:
        return None
    return {
        "holds": ("passed", ".", ("HOLDS", {"green": True})),
        "broken": ("failed", "F", ("BROKEN", {"red": True})),
        "cannot tell": ("error", "E", ("CAN'T TELL", {"yellow": True})),
        "set aside": ("skipped", "s", ("SET ASIDE", {"cyan": True})),
    }[result["outcome"]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what needs a person, then the verdict; or list the expectations."""
    if config.getoption("expectations"):
        for line in _listing(config.stash.get(LISTED, {})):
            terminalreporter.write_line(line)
        return
    run = config.stash.get(RUN, None)
    if run is None or not run.results:
        return
    calm = config.pluginmanager.hasplugin("ops_calm")
    writer = terminalreporter._tw  # noqa: SLF001  the writer knows whether there are colours
    if not calm:
        terminalreporter.ensure_newline()
        terminalreporter.write_line("")
    if asked := config.getoption("what_if"):
        from report import what_if

        for line in what_if.terminal_lines(run, asked, writer.fullwidth):
            terminalreporter.write_line(line)
    if calm:
        return  # it says the rest, in the very end
    results, facts = run.told()
    for line in terminal.summary(results, facts, colour=writer.hasmarkup, width=writer.fullwidth):
        terminalreporter.write_line(line)


def _listing(expectations: dict[str, Expectation]) -> list[str]:
    """All slugs with cadence, limits and the place in the guide, as a table."""
    from target.limits import LimitSet
    from target.model import Limits

    defaults = LimitSet(Limits(), {})
    rows = [("slug", "cadence", "severity", "limits", "guide")]
    for slug, one in expectations.items():
        limits = ", ".join(f"{name} = {getattr(defaults, name)}" for name in one.limits)
        rows.append((slug, " ".join(one.cadences), one.severity, limits or "-", one.guide))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    return ["", *lines, "", f"{len(expectations)} expectations"]


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """The record of what this test saw."""
    case: Case = request.node.stash[CASE]
    return case.evidence


@pytest.hookimpl(optionalhook=True)
def pytest_html_report_title(report: Any) -> None:  # noqa: ANN401  pytest-html's
    """Title of the report."""
    if _current is not None:
        html.prepare(report, _current.told()[1])


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_summary(
    prefix: list[str], summary: list[str], postfix: list[str], session: pytest.Session
) -> None:
    """What stands above the table of the report."""
    if _current is not None:
        results, facts = _current.told()
        guide = session.config.stash.get(GUIDE, {})
        beside = html.beside(_current, guide, session.config.option.what_if)
        html.results_summary(prefix, summary, postfix, results, facts, beside)


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_header(cells: list[str]) -> None:
    """The columns."""
    if _current is not None:
        html.table_header(cells)


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_row(report: Any, cells: list[str]) -> None:  # noqa: ANN401  two kinds of report
    """A row."""
    if _current is not None:
        html.table_row(_as_shown(report, _current), cells)


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_html(report: Any, data: list[str]) -> None:  # noqa: ANN401  two kinds of report
    """What is folded under a row."""
    if _current is not None:
        html.table_html(_as_shown(report, _current), data)


def _as_shown(report: Any, run: Run) -> Any:  # noqa: ANN401  two kinds of report
    """A report with its result as it is on the day on which it is shown."""
    if (result := getattr(report, "expectation", None)) is not None:
        vars(report)["expectation"] = judged(result, run.waivers, run.today)
    return report
