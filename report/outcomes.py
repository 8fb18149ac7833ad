"""From what pytest saw to the four outcomes: holds, broken, cannot tell, set aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from observe.errors import CannotTell, NoAnswer
from report.commands import fitting
from report.evidence import Evidence
from report.expectation import Expectation, names_of
from report.redact import redact, redact_all
from report.set_aside import judged
from report.terminal import failure_text
from report.text import plain

if TYPE_CHECKING:
    from report.lines import Outcome, Result
    from report.run import Run


@dataclass
class Case:
    """One test of an expectation on its way through pytest.

    Attributes:
        item: Which of the like things it looks at, as in its id; empty when there is but one.
        named: The same as the target itself spells it.
        evidence: What it recorded.
    """

    expectation: Expectation
    item: str
    named: str = ""
    evidence: Evidence = field(default_factory=Evidence)


CASE: pytest.StashKey[Case] = pytest.StashKey()
_MOST = 4000
"""Characters of a property in the XML."""
OUR_FAULT = "This is a fault of the check and not of the system: report it, with the traceback in the HTML report."


def judge(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None], run: Run, *, brief: bool) -> None:
    """Attach the outcome to pytest's report, and bend the report to it.

    A :class:`CannotTell` out of a test's body, a crash of the check, and a pass
    that looked at nothing become errors; pytest knows errors only from
    fixtures, so the report is made to say that it is one.

    Args:
        item: The test, an expectation's.
        report: pytest's report of one phase; changed in place.
        call: How the phase went.
        run: The run it belongs to.
        brief: Whether to put our few lines in place of pytest's traceback.
    """
    case = item.stash[CASE]
    if report.when == "call" or report.outcome != "passed":
        error = call.excinfo.value if call.excinfo is not None else None
        outcome, message = _outcome(report, error, case)
        result = _result(outcome, message, error, report, case, run)
        if outcome == "broken":
            result = judged(result, run.waivers, run.today)
        if outcome == "cannot tell":
            report.outcome, report.when = "failed", "setup"
        if result["outcome"] == "set aside" and outcome == "broken":
            # What pytest calls an expected failure.
            report.outcome, report.longrepr = "skipped", None
            vars(report)["wasxfail"] = result["reason"]
        elif outcome in {"broken", "cannot tell"}:
            report.longrepr = failure_text(result) if brief else redact(str(report.longrepr))
        report.sections = [(redact(name), redact(text)) for name, text in report.sections]
        # The XML takes them from the report of the teardown, which copies the item's.
        item.user_properties.extend(properties(result))
        # pytest's reports take any attribute that JSON can hold, over xdist's borders too.
        vars(report)["expectation"] = result


def _outcome(report: pytest.TestReport, error: BaseException | None, case: Case) -> tuple[Outcome, str]:
    if report.outcome == "skipped":
        return "set aside", ""
    if report.outcome == "passed":
        if not case.evidence.denominator:
            return "cannot tell", "the check recorded nothing that it looked at, so its passing says nothing"
        return "holds", case.evidence.message
    if isinstance(error, CannotTell):
        return "cannot tell", error.what
    broken = (AssertionError, pytest.fail.Exception)
    if report.when == "call" and isinstance(error, broken):
        return "broken", str(error).partition("\nassert ")[0]
    return "cannot tell", f"the check itself failed: {type(error).__name__}: {error}"


def _result(
    outcome: Outcome,
    message: str,
    error: BaseException | None,
    report: pytest.TestReport,
    case: Case,
    run: Run,
) -> Result:
    expectation = case.expectation
    known = isinstance(error, CannotTell | NoAnswer)
    crashed = outcome == "cannot tell" and error is not None and not known
    remedy = fitting(expectation.remedy, run.loaded.target).format_map(
        {**names_of(run.loaded.target), "item": case.named or case.item}
    )
    if outcome == "cannot tell":
        # The expectation's own remedy mends the system, which nobody has seen to be broken.
        remedy = error.mend if isinstance(error, CannotTell) else OUR_FAULT
    result = {
        **case.evidence.as_dict(),
        "slug": expectation.slug,
        "item": case.item,
        "title": expectation.title,
        "section": expectation.section,
        "guide": expectation.guide.partition(":")[2].strip(),
        "cadences": list(expectation.cadences),
        "severity": expectation.severity,
        "symptom": expectation.symptom,
        "remedy": remedy,
        "outcome": outcome,
        "message": message,
        "cause": _cause(outcome, error, case),
        "cause_text": message if known else "",
        "duration": report.duration,
        "reason": _reason(report) if outcome == "set aside" else "",
        "traceback": str(report.longrepr) if crashed else "",
        "found": outcome,
        "found_message": message,
    }
    if not result["seen"] and outcome == "broken":
        result["seen"] = message
    if not result["limits"] and expectation.limits:
        result["limits"] = [getattr(run.loaded.limits, name).as_dict() for name in expectation.limits]
    return cast("Result", redact_all(result))


def _cause(outcome: Outcome, error: BaseException | None, case: Case) -> str:
    """What others with the same cause are folded with."""
    if isinstance(error, CannotTell | NoAnswer):
        return error.cause
    return case.evidence.cause if outcome == "broken" else ""


def _reason(report: pytest.TestReport) -> str:
    if reason := getattr(report, "wasxfail", ""):
        return str(reason)
    longrepr: Any = report.longrepr
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).removeprefix("Skipped: ")


def properties(result: Result) -> list[tuple[str, object]]:
    """What stands in the JUnit XML beside pytest's own fields."""
    limits = "; ".join(f"{one['name']} = {one['value']} ({one['origin']})" for one in result["limits"])
    told = {
        "slug": result["slug"],
        "item": result["item"],
        "outcome": result["outcome"],
        "severity": result["severity"],
        "expected": result["expected"],
        "seen": result["seen"],
        "limits": limits,
        "looked_at": result["looked_at"],
        "cause": result["cause"],
        "remedy": result["remedy"],
    }
    return [(name, plain(text, _MOST)) for name, text in told.items()]
