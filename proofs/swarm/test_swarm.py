"""A Swarm of three engines: what is looked at there holds, and breaks by name under its faults."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lab.swarm import SwarmLab, down, up
from lab.swarm.faults import FAULTS, SwarmFault
from observe.container_log import lines
from observe.engine import Engine
from observe.errors import CannotTell
from observe.swarm import Swarm
from proofs.conftest import KEEP, NAME
from proofs.harness import SuiteRun, run_suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = """
name = "shop"
[project]
name = "shop"
directory = "/srv/shop"
orchestrator = "swarm"
[engine]
url = "{engine}"
[services]
names = [{names}]
cache = ""
[coverage]
log_window = 0.0
"""
LOOKED_AT = "service_is or nodes_are or backend_logs or backend_log or database_log or as_written"
SERVICES = ("agent", "backend", "db")
HOLDS = {
    "nodes-ready",
    "backend-errors",
    "database-log-quiet",
    *(f"services-up[{one}]" for one in SERVICES),
    *(f"services-stable[{one}]" for one in SERVICES),
}


@pytest.fixture(scope="module")
def swarm(pytestconfig: pytest.Config) -> Iterator[SwarmLab]:
    """Three engines that are one Swarm, with a stack on it."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    lab = SwarmLab(f"{NAME}{os.environ.get('PYTEST_XDIST_WORKER', '')}swarm")
    down(lab)  # what an end by force left
    try:
        with capture.global_and_fixture_disabled():
            up(lab)
        yield lab
    finally:
        if not KEEP:
            down(lab)


def target_of(swarm: SwarmLab, directory: Path, names: tuple[str, ...] = SERVICES, node: str = "node1") -> Path:
    """Settings for the stack."""
    file = directory / "target.toml"
    named = ", ".join(f'"{one}"' for one in names)
    file.write_text(TARGET.format(engine=swarm.address(node), names=named), encoding="utf-8")
    return file


def looked_at(target: Path) -> SuiteRun:
    """What of the daily run concerns services, nodes and logs."""
    return run_suite(target, "-k", LOOKED_AT)


@pytest.fixture(scope="module")
def healthy(swarm: SwarmLab, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """Looked at before anything is done to it."""
    return looked_at(target_of(swarm, tmp_path_factory.mktemp("swarm")))


def test_services_nodes_and_logs_hold_on_a_healthy_swarm(healthy: SuiteRun) -> None:
    assert healthy.broken == set(), healthy.explain()
    assert healthy.having("holds") >= HOLDS, healthy.explain()


def test_every_task_is_looked_at_on_whichever_node(healthy: SuiteRun) -> None:
    assert healthy.findings["services-up[agent]"].looked_at == "3 of 3 tasks, by the manager"
    assert "1 on node1" in healthy.findings["services-up[agent]"].seen
    assert healthy.findings["nodes-ready"].looked_at == "3 nodes, 3 managers among them"
    assert "of 2 containers" in healthy.findings["backend-errors"].looked_at


def test_secrets_and_configs_are_named_and_not_read(healthy: SuiteRun) -> None:
    assert "shop_database_password" in healthy.html
    assert "shop_settings" in healthy.html
    assert "to-be-read" not in healthy.everything
    assert "bm90OiB0by1iZS1yZWFk" not in healthy.everything, "nor as the manager's list has it"


def test_a_service_that_the_stack_lacks_is_broken(swarm: SwarmLab, tmp_path: Path) -> None:
    run = looked_at(target_of(swarm, tmp_path, (*SERVICES, "mailer")))
    assert run.broken == {"services-up[mailer]"}, run.explain()
    assert run.blind == {"services-stable[mailer]"}, run.explain()
    assert "no service of that name (it has: agent, backend, db)" in run.findings["services-up[mailer]"].message


def test_a_service_that_the_settings_leave_out_is_said(swarm: SwarmLab, tmp_path: Path) -> None:
    run = looked_at(target_of(swarm, tmp_path, ("backend", "db")))
    assert {"services-up[backend]", "services-up[db]"} <= run.blind, run.explain()
    assert "the stack shop has agent" in run.findings["services-up[db]"].message


def test_logs_of_tasks_on_other_nodes_are_read_through_the_manager(swarm: SwarmLab) -> None:
    engine = Engine(swarm.address(), 15)
    stack, now = Swarm(engine, "shop"), datetime.now(UTC)
    said = {
        one.name: stack.read_log(
            one, now - timedelta(hours=1), now, lambda blocks: list(lines(blocks, tty=False)), seconds=15
        )
        for one in stack.logged("backend")
    }
    engine.close()
    assert set(said) == {"backend.1", "backend.2"}
    for entries in said.values():
        assert "turn 1 of" in entries[0].text
        assert all(one.at is not None and one.at <= now for one in entries)


def test_what_only_another_nodes_engine_knows_cannot_be_told(swarm: SwarmLab) -> None:
    engine = Engine(swarm.address(), 15)
    stack = Swarm(engine, "shop")
    assert [one.service for one in stack.containers("db")] == ["db"], "it runs on the manager that is asked"
    with pytest.raises(CannotTell, match=r"2 of 3 tasks of agent run on other nodes \(node2, node3\)"):
        stack.containers("agent")
    engine.close()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_breaks_what_it_should_by_name(fault: SwarmFault, swarm: SwarmLab, tmp_path: Path) -> None:
    target = target_of(swarm, tmp_path)
    with fault.applied(swarm):
        run = looked_at(target)
    assert run.broken == set(fault.breaks), run.explain()
    for name, words in fault.says.items():
        assert words in run.findings[name].message, run.findings[name].message
    if fault.name == "task-lost":
        shown = re.findall(r"(backend\.[12]) (\d\d:\d\d:\d\d) \[", run.html)
        assert {name for name, _ in shown} == {"backend.1", "backend.2"}, "the lines of both explain it"
        assert [at for _, at in shown] == sorted(at for _, at in shown), "in the order of their times"
