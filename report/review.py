"""A review: the report made of the history alone, of the newest look at every expectation. The target isn't touched.

What runs have kept whole is shown again, through the same hooks that a run's own results go through, so that terminal,
page, XML, JSON and Markdown are those of a run. A look that is too old for its cadence isn't shown as if it were of
today: then it can't be told how things stand, and when it was last known is said.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from report.chronicle import newest
from report.history_file import HistoryError
from report.markup import moment
from report.outcomes import CASE, properties
from report.run import RUN
from report.set_aside import judged
from report.terminal import failure_text
from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from report.chronicle import Latest
    from report.lines import Result
    from report.run import Run

LASTS = {
    "daily": timedelta(days=2),
    "weekly": timedelta(days=9),
    "monthly": timedelta(days=40),
    "quarterly": timedelta(days=100),
    "annual": timedelta(days=400),
}
"""How long a look says how things stand: a cadence's length, and time to notice that the next one failed."""
_LOOK_AGAIN = (
    "See whether the {cadence} run still runs (`systemctl list-timers 'operations-checks-*'`), or look now: "
    "`pytest -m {cadence} --target {file}`."
)


def check(config: pytest.Config) -> None:
    """Refuse what makes no sense beside `--review`.

    Raises:
        pytest.UsageError: If there is some of it.
    """
    beside = {"--alert": "alert", "--no-history": "no_history", "--allow-disruption": "allow_disruption"}
    beside |= {"--allow-scan": "allow_scan", "-n": "numprocesses"}
    for option, name in beside.items():
        if config.getoption(name, default=None):
            raise pytest.UsageError(f"--review shows what the history knows and looks at nothing: leave {option} out")


def replayed(session: pytest.Session, run: Run, items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """What stands in place of the tests: an item for the newest look at each expectation.

    Args:
        session: pytest's.
        run: The run that the review is.
        items: The tests, of which markers and names are taken.

    Raises:
        pytest.UsageError: If the history knows nothing of the target, or can't be read.
    """
    now = run.clock.now()
    try:
        known = run.chronicle.latest(now - run.loaded.target.report.history_kept)
        runs = run.chronicle.runs(now - LASTS["weekly"], now)
    except HistoryError as error:
        raise pytest.UsageError(f"there is nothing to review: {error}") from None
    if not known:
        raise pytest.UsageError(
            f"there is nothing to review: no run of {run.loaded.target.name} is known to "
            f"{run.history_file.path}. Look first: pytest -m daily --target {run.loaded.file}"
        )
    last = max((one.run for one in known), key=lambda one: one.started)
    # What has changed is what that run found changed.
    run.token = last.token
    run.warn(
        f"made of the history alone, of {len(runs)} run{'' if len(runs) == 1 else 's'} in {LASTS['weekly'].days} days; "
        f"the newest began {moment(last.started, now)}"
    )
    tests = {item.stash[CASE].expectation.slug: item for item in items if CASE in item.stash}
    return [_item(session, run, one, tests.get(one.result["slug"])) for one in newest(known)]


def _item(session: pytest.Session, run: Run, latest: Latest, test: pytest.Item | None) -> pytest.Item:
    """An item that tells one look again, in the place of its test; in none where that is no longer there."""
    result = _as_of_now(latest, run)
    function = test.nodeid.partition("[")[0] if test is not None else f"history::{plain(result['slug'], 80)}"
    suffix = f"[{plain(result['item'], 200)}]" if result["item"] else ""
    parent: Any = test.parent if test is not None and test.parent is not None else session
    item = Replayed.from_parent(parent, name=f"{function.rpartition('::')[2]}{suffix}", nodeid=f"{function}{suffix}")
    item.result, item.run_ = result, run
    for mark in test.iter_markers() if test is not None else ():
        if mark.name not in {"parametrize", "usefixtures"}:
            item.add_marker(getattr(pytest.mark, mark.name).with_args(*mark.args, **mark.kwargs))
    return item


def _as_of_now(latest: Latest, run: Run) -> Result:
    """A kept result as it is to be shown now: as it was found, with when that was."""
    now, at = run.clock.now(), latest.run.started.astimezone(run.clock.zone)
    kept = latest.result
    seen = f"seen {moment(at, now)}, by the {latest.run.cadence} run of then"
    result = cast(
        "Result",
        {**kept, "outcome": kept["found"], "message": kept["found_message"], "notes": [seen, *kept["notes"]]},
    )
    cadence = next((name for name in LASTS if name in kept["cadences"]), "annual")
    age = now - at
    if age <= LASTS[cadence]:
        return result
    said = f"last looked at {moment(at, now)}, {age.days} d ago: no {cadence} run has looked since"
    was = f"it was then: {kept['outcome']}" + (f", {kept['message']}" if kept["message"] else "")
    changed = {
        "outcome": "cannot tell",
        "found": "cannot tell",
        "message": said,
        "found_message": said,
        "cause": f"no {cadence} run",
        "cause_text": f"no {cadence} run has looked within {LASTS[cadence].days} d",
        "remedy": _LOOK_AGAIN.format(cadence=cadence, file=run.loaded.file),
        "notes": [was, *result["notes"]],
        "traceback": "",
        "reason": "",
        "branches": [],
    }
    return cast("Result", {**result, **changed})


class Replayed(pytest.Item):
    """The newest look at an expectation, told again."""

    result: Result
    run_: Run

    def runtest(self) -> None:
        """Nothing is run."""

    def reportinfo(self) -> tuple[str, None, str]:
        """Where pytest says that it is."""
        return str(self.path), None, self.name

    def reports(self) -> list[pytest.TestReport]:
        """What pytest would have reported of it had it run now."""
        run = self.run_
        result = judged(self.result, run.waivers, run.today)
        outcome = result["outcome"]
        when = "setup" if outcome == "cannot tell" else "call"
        told = {"holds": "passed", "set aside": "skipped"}.get(outcome, "failed")
        text: Any = None
        if told == "failed":
            text = failure_text(result)
        elif told == "skipped":
            text = (str(self.path), 0, f"Skipped: {plain(result['reason'])}")
        main = self._report(when, told, text, result)
        vars(main)["expectation"] = result
        vars(main)["duration"] = result["duration"]
        before = [] if when == "setup" else [self._report("setup", "passed", None, result)]
        return [*before, main, self._report("teardown", "passed", None, result)]

    def _report(self, when: Any, outcome: Any, text: Any, result: Result) -> pytest.TestReport:  # noqa: ANN401  pytest's own choices of words
        return pytest.TestReport(
            nodeid=self.nodeid,
            location=self.location,
            keywords=dict.fromkeys(self.keywords, 1),
            outcome=outcome,
            longrepr=text,
            when=when,
            user_properties=properties(result),
            duration=0.0,
        )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what is known in place of the tests, after all of them are known and before -m and -k choose among them."""
    items[:] = replayed(session, config.stash[RUN], items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Tell it again instead of running it."""
    if not isinstance(item, Replayed):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in item.reports():
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
