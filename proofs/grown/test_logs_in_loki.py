"""Logs that are kept in Loki: the same is said of them as of the engine's, healthy and broken.

The server answers as Loki's documentation says; what it holds are the lab's own logs, carried there as an agent would.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lab.faults.targets import derived
from proofs.grown.carried import carry
from proofs.harness import run_suite
from proofs.observe.loki_server import LokiServer, ns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab
    from proofs.harness import SuiteRun

OF_LOGS = {"backend-errors", "database-log-quiet"}


@contextmanager
def target_of(lab: Lab, loki: LokiServer, *settings: str) -> Iterator[Path]:
    lines = [f'url = "{loki.url}"', *settings]
    with derived(lab, "\n".join(["[loki]", *lines, ""])) as target:
        yield target


def run_on(lab: Lab, history: Path, loki: LokiServer, *settings: str, marker: str = "daily") -> SuiteRun:
    with target_of(lab, loki, *settings) as target:
        return run_suite(target, marker=marker, history=history)


def service(lab: Lab, name: str) -> dict[str, str]:
    return {"compose_project": lab.name, "compose_service": name, "stream": "stderr"}


def test_the_same_is_said_of_loki_as_of_the_engine(lab: Lab, history: Path) -> None:
    marker, about = "daily or weekly or readiness and not slow", "log or error or fatal or anomal or rate"
    run_suite(lab.target_file, "-k", "anomal", marker="weekly", history=history)  # something to hold kinds against
    by_engine = run_suite(lab.target_file, "-k", about, marker=marker, history=history)
    with LokiServer() as loki:
        assert carry(lab, loki) > 100
        with target_of(lab, loki) as target:
            by_loki = run_suite(target, "-k", about, marker=marker, history=history)
    outcomes = {one.id: one.outcome for one in by_engine.findings.values()}
    assert OF_LOGS | {"log-anomalies"} <= set(outcomes)
    assert {one.id: one.outcome for one in by_loki.findings.values()} == outcomes, by_loki.explain()
    for slug in OF_LOGS:
        assert by_loki.findings[slug].seen == by_engine.findings[slug].seen
        assert " in Loki, " in by_loki.findings[slug].looked_at
    assert " lines of 2 containers in Loki, " in by_loki.findings["backend-errors"].looked_at
    assert sum(one.startswith("logs-readable[") for one in outcomes) > 3


def test_what_is_wrong_in_loki_is_named(lab: Lab, history: Path) -> None:
    with LokiServer() as loki:
        carry(lab, loki)
        at = ns(datetime.now(UTC) - timedelta(minutes=30))
        broke = "[2026-11-27 10:00:00] ERROR api.views: it broke {}\nTraceback (most recent call last):\nValueError: no"
        loki.push(service(lab, "backend"), [(at + number * 10**9, broke.format(number)) for number in range(60)])
        fatal = '2026-11-27 10:01:28.631 UTC [217] FATAL:  could not open file "global/pg_filenode.map"'
        loki.push(service(lab, "db"), [(at, fatal)])
        run = run_on(lab, history, loki)
    assert run.broken == OF_LOGS, run.explain()
    assert run.blind == set()
    assert "60 errors" in run.findings["backend-errors"].seen
    assert "1 FATAL" in run.findings["database-log-quiet"].seen


def test_a_container_whose_log_is_not_carried_is_missing_from_the_denominator(lab: Lab, history: Path) -> None:
    with LokiServer() as loki:
        carry(lab, loki, but=f"{lab.name}_backend_2")
        run = run_on(lab, history, loki)
    assert "of 1 of 2 containers in Loki" in run.findings["backend-errors"].looked_at
    assert f"Loki has no line of {lab.name}_backend_2" in run.everything


def test_a_loki_that_is_gone_is_one_cause(lab: Lab, history: Path) -> None:
    with LokiServer() as loki:
        pass
    run = run_on(lab, history, loki)
    assert run.blind == OF_LOGS, run.explain()
    assert run.broken == set()
    assert {run.findings[one].cause for one in OF_LOGS} == {"loki"}


@pytest.mark.parametrize("what", ["selector", "password"])
def test_what_is_set_wrong_is_named_with_what_would_mend_it(lab: Lab, history: Path, what: str) -> None:
    wrong = os.urandom(9).hex()
    with LokiServer(user="reader", password=os.urandom(9).hex() if what == "password" else "") as loki:
        carry(lab, loki)
        selector = """selector = '{service="$service"}'"""
        settings = ['user = "reader"', f'password = "{wrong}"'] if what == "password" else [selector]
        run = run_on(lab, history, loki, *settings)
    assert run.blind == OF_LOGS, run.explain()
    said = run.findings["backend-errors"]
    if what == "selector":
        assert '{service="backend"}' in said.message
        assert "compose_project, compose_service, container, stream" in said.message + said.remedy
    else:
        assert "refuses to be read (401)" in said.message
    assert wrong not in run.everything
