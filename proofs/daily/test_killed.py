"""A run that is killed, at whatever moment, leaves a sound history of whole runs, and nothing lying about."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import docker

from observe.engine import Engine
from observe.restore import scratch
from observe.restore.scratch import LABEL, TARGET
from proofs.harness import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

    from lab.stack import Lab

# What other proofs had the database refuse is known to the history that they share, and not to one made here.
QUICK = ("-m", "evening", "-k", "not database_log")
DRILL = ("-m", "mid_month", "-k", "test_newest_backup_restores")
MARK = """
import os, pathlib
last = ""

def pytest_collection_finish(session):
    global last
    last = session.items[-1].nodeid if session.items else ""

def pytest_runtest_logfinish(nodeid):
    if nodeid == last:
        pathlib.Path(os.environ["LOOKED_AT_ALL"]).touch()
"""
"""A plugin that says when a run has its last result: from then on it only writes."""
PATIENCE = 60
"""Seconds after which whatever is waited for is taken for never."""


class Place:
    """Where the runs write: a directory of its own for the history and one for the reports."""

    def __init__(self, directory: Path, lab: Lab) -> None:
        self.lab = lab
        self.history = directory / "ops" / "history.sqlite"
        self.reports = directory / "reports"
        self.output = directory / "output"
        self.mark = directory / "looked at all"
        (directory / "marking.py").write_text(MARK, encoding="utf-8")

    def start(self, *which: str) -> subprocess.Popen[bytes]:
        """Start a run in a process group of its own, which doesn't wait for any other."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))}
        command = [sys.executable, "-u", "-m", "pytest", "-p", "no:cacheprovider", f"--target={self.lab.target_file}"]
        command += [
            *which,
            "-p",
            "marking",
            "--wait=0s",
            f"--html={self.reports / 'r.html'}",
            f"--junitxml={self.reports / 'r.xml'}",
        ]
        variables |= {"LOOKED_AT_ALL": str(self.mark), "PYTHONPATH": str(self.mark.parent)}
        self.mark.unlink(missing_ok=True)
        with self.output.open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env={**variables, "OPS_REPORT__HISTORY": str(self.history)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def whole(self, *which: str) -> float:
        """A run that is let end, and how long it took in seconds."""
        began = time.monotonic()
        running = self.start(*which)
        assert running.wait(PATIENCE) == 0, self.output.read_text()
        return time.monotonic() - began

    def killed(self, *which: str, when: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """A run that is killed, with all that it has started."""
        running = self.start(*which)
        try:
            when(running)
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(PATIENCE)

    def after(self, moment: Callable[[], bool], delay: float) -> Callable[[subprocess.Popen[bytes]], None]:
        """Wait until something is so, or the run has ended; and then a moment longer."""

        def wait(running: subprocess.Popen[bytes]) -> None:
            until = time.monotonic() + PATIENCE
            while not moment() and running.poll() is None:
                assert time.monotonic() < until, self.output.read_text()
                time.sleep(0.0005)
            time.sleep(delay)

        return wait

    def all_looked_at(self) -> bool:
        """Whether the run has its last result, and is about to write."""
        return self.mark.exists()

    def is_being_written(self) -> bool:
        """Whether the run is in the middle of a transaction after its last result."""
        return self.all_looked_at() and self.history.with_name(f"{self.history.name}-wal").exists()

    def files(self) -> set[Path]:
        """What lies beside the history and the reports."""
        return {*self.history.parent.iterdir(), *self.reports.iterdir()}

    def runs(self) -> list[tuple[str, int, bool]]:
        """Of each run in the history its cadence, how many outcomes of it there are, and whether figures.

        What the killed run left is looked at in a copy: it is the next run that has to manage with it.
        """
        copy = self.reports.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.history.parent, copy)
        with closing(sqlite3.connect(copy / self.history.name)) as history:
            assert history.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return history.execute(
                "SELECT cadence, (SELECT count(*) FROM outcome WHERE run = number), "
                "(SELECT count(*) > 0 FROM figure WHERE figure.token = finished_run.token) FROM finished_run"
            ).fetchall()


def scratch_containers(lab: Lab) -> list[str]:
    """In which states the scratch containers of the lab's drills are, also those that don't run."""
    client = docker.from_env()
    labels = {"label": [LABEL, f"{TARGET}={lab.name}"]}
    try:
        return [str(one["State"]) for one in client.api.containers(all=True, filters=labels)]
    finally:
        client.close()


def moments(place: Place, lab: Lab, seconds: float) -> Iterator[tuple[tuple[str, ...], Callable[..., None]]]:
    """Twenty moments, of which some lie where the run writes and where a scratch server stands."""
    chance = random.Random(7)  # noqa: S311  the same moments every time
    for part in range(8):
        yield QUICK, place.after(lambda: True, (part + chance.random()) / 8 * seconds)
    for _ in range(5):
        yield QUICK, place.after(place.all_looked_at, chance.uniform(0, 0.2))
    for _ in range(4):
        yield QUICK, place.after(place.is_being_written, chance.uniform(0, 0.004))
    for _ in range(3):
        yield DRILL, place.after(lambda: bool(scratch_containers(lab)), chance.uniform(0, 1.5))


def test_a_run_killed_at_twenty_moments_leaves_whole_runs_and_nothing_lying_about(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, lab)
    seconds = place.whole(*QUICK)
    (quick,), there = place.runs(), place.files()
    assert quick[1] > 1
    drill = ("monthly", 1, True)
    number = 0
    for number, (which, when) in enumerate(moments(place, lab, seconds), 1):
        place.killed(*which, when=when)
        assert set(place.runs()) <= {quick, drill}, f"kill {number}: {place.output.read_text()}"
    assert number == 20
    assert len(place.runs()) < 1 + number, "not one was killed in time"
    place.whole(*DRILL)
    assert {quick, drill} == set(place.runs())
    assert place.files() == there
    # The engine is still at it when it has said that it removes one. What was made and not started is the next run's
    # in two minutes: until then another run may be about to start it.
    until = time.monotonic() + PATIENCE
    while set(scratch_containers(lab)) - {"created"}:
        assert time.monotonic() < until, scratch_containers(lab)
        time.sleep(0.1)
    monkeypatch.setattr(scratch, "_MAKING", -scratch._MAKING)
    scratch.remove_leftovers(Engine("", 10), lab.name)
    assert scratch_containers(lab) == []
