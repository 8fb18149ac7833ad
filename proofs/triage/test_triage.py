"""Something is down: a run of triage names the cause first, quickly, with what the failing service said last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lab.faults import by_name
from lab.faults.services import halted
from proofs.harness import ROOT, SuiteRun, run_suite, slugs
from report.run import TRIAGE, in_a_hurry
from target.load import load
from target.model import Timeouts

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

SLUGS = {
    "services-up",
    "logs-readable",
    "health-endpoint",
    "site-answers",
    "migrations-applied",
    "disk-space",
    "disk-inodes",
    "docker-reclaimable",
    "backup-archive",
    "connection-headroom",
    "idle-connections",
}
"""Every slug of the guide's emergency procedures."""
CONNECTIONS = "test_connections_have_headroom"


def first_line(run: SuiteRun) -> str:
    """The first thing that the terminal says needs a person."""
    found = re.search(r"^(?:BROKEN|CAN'T TELL) (\S+)", run.terminal, re.MULTILINE)
    assert found, run.explain()
    return found[0]


def test_all_of_it_holds_on_the_healthy_lab(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, marker="triage", history=history)
    assert run.status == 0, run.explain()
    assert slugs(run.having("holds")) == SLUGS


def test_a_stopped_backend_is_named_first_with_its_last_lines(lab: Lab, history: Path) -> None:
    with halted(lab, "backend"):
        run = run_suite(lab.target_file, marker="triage", history=history)
    assert first_line(run) == "BROKEN services-up[backend]"
    assert {"services-up[backend]", "health-endpoint"} <= run.broken
    assert "docker compose -p" in run.findings["services-up[backend]"].remedy
    assert "The last lines of backend" in run.html
    assert "GET /health/" in run.html, "the evidence has none of the backend's own lines"


def test_a_full_disk_is_named_first(lab: Lab, history: Path) -> None:
    with by_name("disk-97").applied(lab):
        run = run_suite(lab.target_file, marker="triage", history=history)
    assert first_line(run) == "BROKEN disk-space[backups]"


def test_a_reached_connection_limit_is_named_first(lab: Lab, history: Path) -> None:
    with by_name("connection-limit-reached").applied(lab) as took:
        run = run_suite(took.target or lab.target_file, marker="triage", history=history)
    assert first_line(run) == "BROKEN connection-headroom"


def test_half_a_stack_that_keeps_silent_is_told_of_in_time(lab: Lab, history: Path) -> None:
    with halted(lab, "db", "backend", silent=True):
        run = run_suite(lab.target_file, marker="triage", history=history)
    assert {"services-up[db]", "services-up[backend]", "health-endpoint"} <= run.broken
    assert first_line(run).startswith("BROKEN services-up[")
    # No look took longer than an emergency allows, whatever else the machine was doing.
    assert "within 1.5 s" in run.terminal + run.html


def test_the_steps_are_the_guides(lab: Lab) -> None:
    run = run_suite(lab.target_file, "--collect-only", "-q", marker="triage")
    order = [line.rpartition("::")[2].partition("[")[0] for line in run.terminal.splitlines() if "::" in line]
    steps = ("test_service_is_up", "test_health_endpoint_answers", "test_disk_has_room", CONNECTIONS)
    places = [order.index(name) for name in steps]
    assert places == sorted(places)


def test_nothing_is_waited_for_longer_than_an_emergency_allows(lab: Lab) -> None:
    loaded = load(lab.target_file, {})
    hurried = in_a_hurry(loaded)
    allowed = loaded.target.timeouts.triage
    spans = {name: getattr(hurried.target.timeouts, name) for name in Timeouts.__struct_fields__}
    assert spans.pop("commands") == 2 * allowed
    assert all(span <= allowed for span in spans.values())
    assert hurried.target.site == loaded.target.site


def test_every_expectation_of_triage_has_a_step() -> None:
    pattern = re.compile(r"@pytest\.mark\.triage\b(?!\(step=\d+\))")
    for file in ROOT.glob("tests_*/test_*.py"):
        assert not pattern.search(file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize(("marker", "hurried"), [("triage", True), (" triage ", True), ("daily or triage", False)])
def test_only_a_run_of_triage_alone_is_in_a_hurry(marker: str, hurried: bool) -> None:
    assert bool(TRIAGE.fullmatch(marker)) is hurried
