"""What finds nothing to look at cannot tell; and what can't be read says so, while the rest of the run goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from lab.faults.logs import container_logs_restored
from observe.backups import days_before
from proofs.daily.test_instruments import SERVICES, assert_one_line, run_with
from proofs.harness import SuiteRun, derived_target, run_suite

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

DEPLOYED = {f"deployed-as-written[{service}]" for service in SERVICES}
DISK = {"certificate-lasts[disk]", "certificate-served"}
"""What needs the certificate on the disk."""


def days() -> set[str]:
    return {f"backups-daily[{day}]" for day in days_before(datetime.now().astimezone(), 7)}


def judged(lab: Lab, tmp_path: Path, history: Path, changes: dict[str, Any], which: str) -> SuiteRun:
    """A run of those of the weekly expectations, with other settings."""
    target = derived_target(lab.target_file, tmp_path, changes)
    return run_suite(target, "-k", which, marker="weekly", history=history)


@pytest.mark.parametrize(
    ("changes", "blind", "words"),
    [
        ({"logs.access": "/nowhere/access.log"}, {"response-time"}, "there is no file /nowhere/access.log"),
        ({"logs.access_format": "$remote_addr $request"}, {"response-time"}, "$status"),
        ({"logs.access_format": "$msec $status"}, {"response-time"}, "can't be read"),
        ({"windows.response_time": "1 ms"}, {"response-time"}, "no request"),
        ({"services.backend": "redis"}, {"log-anomalies"}, "looks like an application's"),
        ({"services.backend": "nobody"}, {"log-anomalies"}, "has no container"),
        ({"coverage.log_window": 0.99}, {"log-anomalies"}, "of the window is in"),
        ({"logs.rate_limited": ["NEVER WRITTEN BY ANYBODY"]}, {"rate-limit-quiet"}, "NEVER WRITTEN BY ANYBODY"),
        ({"certificate.file": "/nowhere/fullchain.pem"}, DISK, "/nowhere/fullchain.pem"),
    ],
    ids=["no-access-log", "no-status", "another-format", "no-request", "not-a-backend", "no-backend",
         "young-containers", "blind-pattern", "no-certificate"],
)  # fmt: skip
def test_what_looks_at_nothing_cannot_tell(
    changes: dict[str, Any], blind: set[str], words: str, lab: Lab, tmp_path: Path, history: Path
) -> None:
    run = run_with(lab, tmp_path, history, changes, "weekly")
    assert run.broken == set(), run.explain()
    assert run.blind == blind, run.explain()
    assert any(words in run.findings[one].message for one in blind), run.explain()


def test_an_empty_access_log_has_no_response_time(lab: Lab, tmp_path: Path, history: Path) -> None:
    empty = tmp_path / "access.log"
    empty.touch()
    run = run_with(lab, tmp_path, history, {"logs.access": str(empty)}, "weekly")
    assert run.blind == {"response-time"}, run.explain()
    assert "no request" in run.findings["response-time"].message


def test_without_a_backup_directory_seven_days_and_the_backup_cannot_be_told(
    lab: Lab, tmp_path: Path, history: Path
) -> None:
    run = run_with(lab, tmp_path, history, {"backups.directory": "/nowhere/backups"}, "weekly")
    assert run.broken == set(), run.explain()
    assert run.blind == days() | {"backup-intact", "backup-complete"}, run.explain()
    assert_one_line(run, "backups", "backups-daily")


def test_an_absent_engine_blinds_what_asks_it(lab: Lab, tmp_path: Path, history: Path) -> None:
    run = run_with(lab, tmp_path, history, {"engine.url": f"unix://{tmp_path}/nobody.sock"}, "weekly")
    assert run.broken == set(), run.explain()
    assert run.blind == {"log-anomalies", *DEPLOYED}, run.explain()
    assert_one_line(run, "engine", "log-anomalies")


def test_without_any_source_refused_clients_cannot_be_told(lab: Lab, tmp_path: Path, history: Path) -> None:
    changes = {"logs.access": None, "logs.error": None, "services.backend": "nobody"}
    run = run_with(lab, tmp_path, history, changes, "weekly", "-k", "rate_limits")
    assert run.blind == {"rate-limit-quiet"}, run.explain()
    assert "nothing tells of refused clients" in run.findings["rate-limit-quiet"].message


def test_an_empty_error_log_alone_does_not_show_that_nobody_was_refused(
    lab: Lab, tmp_path: Path, history: Path
) -> None:
    empty = tmp_path / "error.log"
    empty.touch()
    changes = {"logs.error": str(empty), "logs.access": None, "services.backend": "nobody"}
    run = run_with(lab, tmp_path, history, changes, "weekly", "-k", "rate_limits")
    assert run.blind == {"rate-limit-quiet"}, run.explain()
    assert "has no line of the window" in run.findings["rate-limit-quiet"].message


def test_a_source_that_cannot_be_read_is_said_and_the_others_judge(lab: Lab, tmp_path: Path, history: Path) -> None:
    changes = {"logs.error": "/nowhere/error.log"}
    run = judged(lab, tmp_path, history, changes, "rate_limits")
    assert run.having("holds") == {"rate-limit-quiet"}, run.explain()
    assert "there is no file /nowhere/error.log" in run.html


def test_without_an_access_log_a_few_requests_of_our_own_are_timed_and_that_is_said(
    lab: Lab, tmp_path: Path, history: Path
) -> None:
    run = judged(lab, tmp_path, history, {"logs.access": None}, "site_is_fast")
    assert run.having("holds") == {"response-time"}, run.explain()
    assert "requests of our own" in run.findings["response-time"].looked_at


def test_without_an_access_log_the_backends_own_durations_come_first(lab: Lab, tmp_path: Path, history: Path) -> None:
    line = "[2026-11-23 10:01:48] INFO api.timing: request_time: $1"
    say = f'i=0; while [ $i -lt 20 ]; do echo "{line}" > /proc/1/fd/1; i=$((i+1)); done'
    with container_logs_restored(lab, "backend"):
        for seconds, outcome in (("0.123", "holds"), ("0.750", "broken")):
            lab.execute("backend", "sh", "-c", say, "sh", seconds)
            run = judged(lab, tmp_path, history, {"logs.access": None}, "site_is_fast")
            finding = run.findings["response-time"]
            assert finding.outcome == outcome, run.explain()
            assert "durations in" in finding.looked_at, finding.looked_at
    assert "750 ms" in finding.message


def test_where_nobody_keeps_the_certificate_here_the_served_one_alone_is_judged(
    lab: Lab, tmp_path: Path, history: Path
) -> None:
    run = judged(lab, tmp_path, history, {"certificate.on_disk": False, "certificate.file": None}, "certificate")
    assert run.having("holds") == {"certificate-lasts[served]", "certificate-served"}, run.explain()
    assert "on_disk" in run.html


def test_without_the_history_nothing_new_can_be_told(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")
    run = run_suite(lab.target_file, marker="weekly", history=file)
    assert run.blind == {"log-anomalies"}, run.explain()
    assert "history" in run.findings["log-anomalies"].message
