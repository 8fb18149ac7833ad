"""Drills: made only when that is allowed, remembered by those who look afterwards, undone when interrupted."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from lab import traffic
from lab.engine import client
from lab.faults.fault import recovered
from observe.drills.kill import LABEL
from proofs.harness import ROOT, derived_target, run_suite
from proofs.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker.models.containers import Container

    from lab.stack import Lab

DRILLS = {"graceful-restart", "recovery-drill"}
TESTS = {
    "graceful-restart": "test_backend_restarts_unnoticed",
    "recovery-drill": "test_stack_recovers_from_a_killed_backend",
}


def started(lab: Lab) -> dict[str, str]:
    """When each container of the lab was started last."""
    return {one.name or "?": one.attrs["State"]["StartedAt"] for one in lab.containers()}


def test_both_hold_and_the_days_after_know_of_them(lab: Lab, history: Path) -> None:
    before = started(lab)
    run = run_suite(lab.target_file, "--allow-disruption", marker="drill", history=history)
    assert run.status == 0, run.explain()
    assert run.having("holds") == DRILLS
    for one in run.findings.values():
        requests = re.search(r"2 containers, (\d+) requests of /api/status/ and /health/ in ", one.looked_at)
        assert requests is not None, one.looked_at
        assert int(requests[1]) > 20
    assert "not one of" in run.findings["graceful-restart"].seen
    assert "answering after" in run.findings["recovery-drill"].seen
    for slug in ("restart of", "killed, until all is well"):
        assert slug in run.html, "the phases are told"
    after = started(lab)
    assert {name for name in after if after[name] != before[name]} == {one.name for one in lab.containers("backend")}
    assert [one.attrs["RestartCount"] for one in lab.containers("backend")] == [1, 1], "the engine counts the killing"
    assert not client().containers.list(all=True, filters={"label": LABEL})
    then = run_suite(lab.target_file, marker="daily or weekly", history=history)
    assert then.status == 0, then.explain()
    assert "services-stable[backend]" in then.having("holds")
    assert "What the drill recovery-drill did" in then.html
    # Somebody who doesn't know of the drill sees what it looks like.
    stranger = run_suite(lab.target_file, "-k", "stable", marker="daily")
    assert stranger.broken == {"services-stable[backend]"}, stranger.explain()


def test_nothing_is_disturbed_unless_it_is_said(lab: Lab, tmp_path: Path, history: Path) -> None:
    before = started(lab)
    run = run_suite(lab.target_file, marker="drill", history=history)
    assert run.status == 0, run.explain()
    assert run.having("set aside") == DRILLS
    assert "2 set aside" in run.terminal
    assert "pytest -m drill --allow-disruption" in run.html
    serious = derived_target(lab.target_file, tmp_path, {"disposable": False, "name": "production"})
    run = run_suite(serious, marker="drill", history=history)
    assert run.having("set aside") == DRILLS
    assert "--allow-disruption=production" in run.html
    for target, option in (
        (serious, "--allow-disruption"),
        (serious, "--allow-disruption=prod"),
        (lab.target_file, "--allow-disruption=production"),
    ):
        run = run_suite(target, option, marker="drill", history=history)
        assert run.status == 4, run.explain()
        assert not run.findings
        name = "production" if target == serious else lab.name
        assert f"type --allow-disruption={name}" in " ".join(run.terminal.split())
    run = run_suite(lab.target_file, "--allow-disruption", "--now", "2026-11-23T09:00", marker="drill", history=history)
    assert run.status == 4, run.explain()
    assert "leave one of them out" in run.terminal
    run = run_suite(lab.target_file, "--allow-disruption", "-n", "2", marker="drill", history=history)
    assert run.having("set aside") == DRILLS, run.explain()
    assert "run it without -n" in run.html
    listed = run_suite(lab.target_file, "--collect-only", "-q", marker="daily or monthly", history=history).terminal
    tests = [line.partition("::")[2] for line in listed.splitlines() if "::" in line]
    assert set(tests[-2:]) == set(TESTS.values()), "everything else has looked before anything is disturbed"
    assert started(lab) == before


def test_a_stack_that_is_ill_is_left_alone(lab: Lab, history: Path) -> None:
    ill = lab.container("backup")
    ill.pause()
    try:
        before = started(lab)
        run = run_suite(lab.target_file, "--allow-disruption", marker="drill", history=history)
    finally:
        ill.unpause()
    assert run.blind == DRILLS, run.explain()
    assert "nothing was disturbed" in run.findings["graceful-restart"].message
    assert started(lab) == before
    recovered(lab)


def test_a_drill_that_loses_the_engine_half_way_is_undone_when_it_is_back(
    lab: Lab, tmp_path: Path, history: Path
) -> None:
    recovered(lab)
    containers = lab.containers("backend")
    with (
        Relay(behind="/var/run/docker.sock", unix=tmp_path / "engine.sock") as relay,
        nobody_else_starts_them(containers),
        ThreadPoolExecutor(1) as beside,
    ):
        changes = {"engine.url": f"unix://{relay.unix}", "timeouts.engine": "1 s"}
        target = derived_target(lab.target_file, tmp_path, changes)
        running = beside.submit(
            run_suite, target, "--allow-disruption", "-k", TESTS["recovery-drill"], marker="drill", history=history
        )
        in_its_middle("recovery-drill", history, running.done, containers)
        relay.mode = "silent"
        relay.cut()
        time.sleep(3)
        relay.mode = "forward"
        run = running.result(60)
        assert run.blind == {"recovery-drill"}, run.explain()
        assert "don't run any more" not in run.findings["recovery-drill"].message
        assert all(one.status == "running" for one in lab.containers())
    assert open_disturbances(history) == 0
    recovered(lab)


@contextmanager
def nobody_else_starts_them(containers: list[Container]) -> Iterator[None]:
    """Take the containers' restart policy away: what runs afterwards was started by the drill itself."""
    policies = {one.id: one.attrs["HostConfig"]["RestartPolicy"] for one in containers}
    for one in containers:
        one.update(restart_policy={"Name": "no"})
    try:
        yield
    finally:
        for one in containers:
            one.update(restart_policy=policies[one.id])


def open_disturbances(history: Path) -> int:
    """How many containers a drill is disturbing now, as the history says."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(history)) as connection:
        return int(connection.execute("SELECT count(*) FROM disturbance WHERE until IS NULL").fetchone()[0])
    return 0


def in_its_middle(slug: str, history: Path, ended: Callable[[], bool], containers: list[Container]) -> None:
    """Wait until the drill has taken something down."""
    until = time.monotonic() + 60
    while time.monotonic() < until and not ended():
        if open_disturbances(history):
            for one in containers:
                one.reload()
            if slug == "graceful-restart" or any(one.status != "running" for one in containers):
                return
        time.sleep(0.02)
    raise AssertionError("the drill never came to its middle")


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("slug", sorted(DRILLS))
def test_interrupted_it_leaves_the_stack_running(
    slug: str, first: signal.Signals, lab: Lab, tmp_path: Path, history: Path
) -> None:
    recovered(lab)
    assert open_disturbances(history) == 0
    containers = lab.containers("backend")
    # As a terminal's shell starts it: what runs these proofs may have been told to ignore Ctrl-C.
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        f"--target={lab.target_file}",
        "-m",
        "drill",
    ]
    command += [
        "--allow-disruption",
        "-k",
        TESTS[slug],
        f"--html={tmp_path / 'r.html'}",
        f"--junitxml={tmp_path / 'r'}",
    ]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))}
    with nobody_else_starts_them(containers):
        running = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**variables, "OPS_REPORT__HISTORY": str(history)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            in_its_middle(slug, history, lambda: running.poll() is not None, containers)
            running.send_signal(first)
            # An impatient person, and a service manager that asks again.
            for again in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                time.sleep(0.1)
                running.send_signal(again)
            said, _ = running.communicate(timeout=60)
        finally:
            if running.poll() is None:
                running.kill()
        assert running.returncode == 2, said
        assert f"the drill {slug} was ended; every container that ran before it runs again" in said
        assert all(one.status == "running" for one in lab.containers()), said
    recovered(lab)
    assert not traffic.answers(lab)
    assert open_disturbances(history) == 0
    assert not client().containers.list(all=True, filters={"label": LABEL})
