"""A made-up past of a target, and pages that are made of it by pytest-html as in a run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from proofs.report import samples
from report import changes
from report.changes import Past, Standing
from report.chronicle import FinishedRun, Point, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from report.html import Beside
    from report.lines import Outcome, Result, Run

ROOT = Path(__file__).parents[2]
PLUGIN = """
import json, pathlib, pickle, pytest
from report import html, seal
HERE = pathlib.Path(__file__).parent
RESULTS = json.loads((HERE / "results.json").read_text())
RUN = json.loads((HERE / "run.json").read_text())
BESIDE = pickle.loads((HERE / "beside.pickle").read_bytes())

def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(len(RESULTS)))

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and "number" in item.fixturenames:
        report.expectation = RESULTS[item.callspec.params["number"]]
        outcome = report.expectation["outcome"]
        report.outcome = {"holds": "passed", "set aside": "skipped"}.get(outcome, "failed")
        report.when = "setup" if outcome == "cannot tell" else "call"
        if outcome == "set aside":
            report.wasxfail = "waived"
    return report

def pytest_html_report_title(report):
    html.prepare(report, RUN)

def pytest_html_results_summary(prefix, summary, postfix):
    html.results_summary(prefix, summary, postfix, RESULTS, RUN, BESIDE)

def pytest_html_results_table_header(cells):
    html.table_header(cells)

def pytest_html_results_table_row(report, cells):
    html.table_row(report, cells)

def pytest_html_results_table_html(report, data):
    html.table_html(report, data)

@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session):
    done = yield
    (HERE / "missing.json").write_text(json.dumps(seal.seal_file(pathlib.Path(session.config.option.htmlpath))))
    return done
"""
TESTS = "def test_expectation(number):\n    pass\n"


def write_page(
    place: Path, results: Sequence[Result], run: Run, beside: Beside | None = None, *, tests: str = TESTS
) -> Path:
    """Have pytest-html write a report of a real run of pytest, sealed.

    Args:
        place: An empty directory.
        results: What `test_expectation` comes to, by its number.
        run: What is true of them.
        beside: What stands beside them.
        tests: The tests of that run.
    """
    for name, content in {
        "conftest.py": PLUGIN,
        "test_it.py": tests,
        "pytest.ini": "[pytest]\n",
        "results.json": json.dumps(results),
        "run.json": json.dumps(run),
    }.items():
        (place / name).write_text(content)
    (place / "beside.pickle").write_bytes(pickle.dumps(beside))
    switched_off = [word for name in ("cacheprovider", "anyio", "testinfra") for word in ("-p", f"no:{name}")]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *switched_off, "--continue-on-collection-errors", "--tb=no", "-q"),
            *("--html=out.html", "--self-contained-html"),
        ],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (place / "out.html").is_file(), done.stdout + done.stderr
    return place / "out.html"


def told(
    results: Sequence[Result], run: Run, nights: int, outcome: Callable[[Result, int], Outcome | None]
) -> list[Told]:
    """What a run on each night said, by time; the last one is the run itself, the others at 4 on the nights before.

    Args:
        results: What each night looks at.
        run: The last one.
        nights: How many.
        outcome: What a result was so many nights ago; None where nobody looked.
    """
    began = datetime.fromisoformat(run["started"])
    made = []
    for ago in reversed(range(nights)):
        at = (began - timedelta(days=ago)).replace(hour=4, minute=0, second=0) if ago else began
        for one in results:
            was = outcome(one, ago) if ago else one["outcome"]
            if was is not None:
                token = f"night-{ago}" if ago else run["token"]
                made.append(Told(at, token, one["slug"], one["item"], was, one["severity"], one["cause"], "said"))
    return made


def past(said: Sequence[Told], points: Sequence[Point] = ()) -> Past:
    """The past that such nights are."""
    standings: dict[tuple[str, str], Standing] = {}
    for one in said:
        standings[one.slug, one.item] = changes._after(standings.get((one.slug, one.item)), one)
    runs = [FinishedRun(token, "daily", at, at, samples.run()) for token, at in {o.token: o.at for o in said}.items()]
    return Past(runs, list(said), standings, list(points))
