"""Runs that overlap: one at a time on a target, triage at once; and every one is whole in the history, or not in it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from proofs.harness import ROOT, derived_target, run_suite
from proofs.report.samples import result
from proofs.report.samples import run as facts_of
from report.chronicle import Chronicle
from report.history_file import HistoryFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab

HOLD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from report.lock import Holder, Lock
lock = Lock(Path(sys.argv[1]), "shop")
lock.take(Holder(4711, "monthly", datetime(2026, 11, 23, 2, 0, tzinfo=UTC)), 0, print)
print("held", flush=True)
sys.stdin.read()
"""
QUICK = ("-k", "disk or services_run")


@contextmanager
def another_is_on(lab: Lab, history: Path) -> Iterator[subprocess.Popen[str]]:
    """Another run has the lab, until its input ends."""
    command = [sys.executable, "-c", HOLD, str(history.with_name(f"{history.stem}-{lab.name}-run.lock"))]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def runs(history: Path) -> dict[str, list[int]]:
    """How many outcomes there are of each finished run, by its target and cadence."""
    with closing(sqlite3.connect(history)) as connection:
        rows = connection.execute(
            "SELECT target || ' ' || cadence, (SELECT count(*) FROM outcome WHERE run = number) FROM finished_run"
        ).fetchall()
    return {of: [count for one, count in rows if one == of] for of, _ in rows}


def test_who_may_not_wait_stops_and_touches_nothing(lab: Lab, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    with another_is_on(lab, history):
        run = run_suite(lab.target_file, "--wait", "0 s", history=history)
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert (
        f"another run on {lab.name} is on (monthly, process 4711, since 2026-11-23 02:00): nothing was looked at"
        in (run.terminal)
    )
    assert (run.html, run.xml) == ("", "")
    assert not history.exists()


def test_who_waits_says_so_and_goes_on_when_the_other_is_killed(lab: Lab, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    command = [sys.executable, "-u", "-m", "pytest", "-p", "no:cacheprovider", f"--target={lab.target_file}", *QUICK]
    command += ["-m", "daily", f"--html={tmp_path / 'r.html'}", f"--junitxml={tmp_path / 'r.xml'}"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))}
    variables |= {"OPS_REPORT__HISTORY": str(history), "OPS_REPORT__JSON": str(tmp_path / "r.json")}
    with (
        another_is_on(lab, history) as other,
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as waiting,
    ):
        assert waiting.stdout is not None
        said = next(line for line in waiting.stdout if line.startswith("Another run"))
        assert not (tmp_path / "history.sqlite").exists(), "nothing was asked of the lab yet"
        other.kill()
        rest, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, rest
    assert said == (
        f"Another run on {lab.name} is on (monthly, process 4711, since 2026-11-23 02:00). Waiting for its end, "
        "at most 10 min; '--wait 0s' doesn't wait.\n"
    )
    assert "Another run" not in rest, "it is said once"
    assert set(runs(history)) == {f"{lab.name} daily"}
    assert [one.name for one in tmp_path.iterdir() if "lock" in one.name] == []


def test_a_wait_that_is_no_span_is_said(lab: Lab) -> None:
    run = run_suite(lab.target_file, "--wait=-1 s")
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert '--wait -1 s: a span of time is written with its unit: "45 s"' in run.terminal


def test_triage_and_who_only_lists_wait_for_nobody(lab: Lab, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    with another_is_on(lab, history):
        triage = run_suite(lab.target_file, "-k", "disk", marker="triage", history=history)
        listed = run_suite(lab.target_file, "--collect-only", history=history)
    assert triage.status == listed.status == 0, triage.explain()
    said = " ".join(triage.terminal.split())
    assert f"another run on {lab.name} is on (monthly, process 4711" in said
    assert "triage waits for nobody" in said
    assert "Another run" not in listed.terminal


def test_where_there_can_be_no_lock_the_run_goes_on_and_says_so(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = run_suite(lab.target_file, *QUICK, history=tmp_path / "file" / "history.sqlite")
    assert run.status == 0, run.explain()
    said = " ".join(run.terminal.split())
    assert "whether another run on" in said
    assert "can't be written" in said


def test_runs_at_once_are_all_in_the_one_history_and_each_is_whole(lab: Lab, tmp_path: Path) -> None:
    history, other = tmp_path / "history.sqlite", derived_target(lab.target_file, tmp_path, {"name": "other"})
    with ThreadPoolExecutor(4) as pool:
        started = [
            pool.submit(run_suite, lab.target_file, marker="evening", history=history),
            pool.submit(run_suite, lab.target_file, marker="evening", history=history),
            pool.submit(run_suite, other, "-n", "2", marker="evening", history=history),
            pool.submit(run_suite, lab.target_file, marker="triage", history=history),
        ]
        first, second, spread, triage = (one.result(120) for one in started)
    for run in (first, second, spread, triage):
        assert len(run.findings) > 1, run.explain()
        assert "can't be written" not in run.terminal
        assert "damaged" not in run.terminal
    assert runs(history) == {
        f"{lab.name} daily": [len(first.findings)] * 2,
        f"{lab.name} triage": [len(triage.findings)],
        "other daily": [len(spread.findings)],
    }
    assert len(first.findings) == len(second.findings)


def test_without_a_history_nothing_is_known_or_written_and_that_is_said(lab: Lab, tmp_path: Path) -> None:
    history = tmp_path / "kept" / "history.sqlite"
    # What other proofs had the database refuse is known to the history alone.
    run = run_suite(lab.target_file, "--no-history", "-k", "not database_log", history=history)
    assert run.status == 0, run.explain()
    sentence = (
        "--no-history: nothing is known of earlier runs, and what this run and they asked of the target counts as its "
        "traffic"
    )
    assert sentence in " ".join(run.terminal.split())
    assert sentence in " ".join(run.html.split())
    assert list((tmp_path / "kept").iterdir()) == []
    history.write_bytes(b"not to be read, or it would be moved aside")
    assert run_suite(lab.target_file, "--no-history", *QUICK, history=history).status == 0
    assert history.read_bytes() == b"not to be read, or it would be moved aside"
    assert list((tmp_path / "kept").iterdir()) == [history]


def test_what_only_a_history_can_tell_isnt_told_without_one(lab: Lab, history: Path) -> None:
    which = "test_disks_last or test_logs_show_nothing_new or test_restorable_backup_is_kept or test_on_call_is_told"
    needs = {"growth", "log-anomalies", "backup-proven-kept", "on-call-route"}
    with_it = run_suite(lab.target_file, "-k", which, marker="weekly or monthly", history=history)
    assert with_it.having("holds") == needs, with_it.explain()
    without = run_suite(lab.target_file, "-k", which, "--no-history", marker="weekly or monthly", history=history)
    assert without.blind == needs, without.explain()
    assert "--no-history knows of none" in without.findings["log-anomalies"].message


def test_the_history_is_kept_as_long_as_the_setting_says(lab: Lab, tmp_path: Path) -> None:
    history, now = tmp_path / "history.sqlite", datetime.now(UTC)
    for days in (101, 99):
        at = (now - timedelta(days=days)).isoformat()
        facts = facts_of(token=f"{days}", started=at, ended=at, target=lab.name, cadence="daily")
        Chronicle(HistoryFile(history), lab.name, timedelta(days=400)).record(facts, [result()])
    run = run_suite(lab.target_file, *QUICK, history=history, environment={"OPS_REPORT__HISTORY_KEPT": "100 d"})
    assert run.status == 0, run.explain()
    with closing(sqlite3.connect(history)) as connection:
        tokens = [token for (token,) in connection.execute("SELECT token FROM finished_run ORDER BY number")]
    assert tokens[0] == "99"
    assert len(tokens) == 2


INTERRUPTING = """
def pytest_runtest_logfinish():
    raise KeyboardInterrupt
"""


def test_a_run_that_is_broken_off_is_not_in_the_history_but_its_traffic_is_known(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "interrupting.py").write_text(INTERRUPTING, encoding="utf-8")
    history = tmp_path / "history.sqlite"
    options = ("-p", "interrupting", "-k", "site")
    run = run_suite(lab.target_file, *options, history=history, environment={"PYTHONPATH": str(tmp_path)})
    assert run.status == pytest.ExitCode.INTERRUPTED, run.explain()
    assert run.findings
    assert runs(history) == {}
    with closing(sqlite3.connect(history)) as connection:
        assert connection.execute("SELECT count(*), count(ended) FROM run").fetchone() == (1, 1)


def test_a_damaged_history_is_moved_aside_and_said_and_costs_the_run_nothing(lab: Lab, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    history.write_bytes(b"no database" * 500)
    run = run_suite(lab.target_file, *QUICK, history=history)
    assert run.status == 0, run.explain()
    assert "is damaged (file is not a database) and was moved aside to history.sqlite.damaged-" in " ".join(
        run.terminal.split()
    )
    (aside,) = tmp_path.glob("history.sqlite.damaged-*")
    assert aside.read_bytes() == b"no database" * 500
    assert set(runs(history)) == {f"{lab.name} daily"}
