"""Several targets in one run: each has a run of its own, and none of them has anything to do with another's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from proofs.daily.test_overlap import HOLD
from proofs.harness import OWN, ROOT, run_suite
from report.chronicle import Chronicle
from report.history_file import HistoryFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from proofs.fleet.conftest import BlackHole
    from proofs.harness import SuiteRun

    Make = Callable[..., Path]

QUICK = ("-k", "disk or service_is_up or site_answers or newest_backup")
PATIENCE = 90
"""Seconds after which whatever is waited for is taken for never."""
_KEPT = timedelta(days=400)


def run_fleet(*targets: Path, at: Path, arguments: tuple[str, ...] = (), **more: str) -> SuiteRun:
    """A run on these targets, which keep their own histories."""
    given = [word for one in targets[1:] for word in ("--target", str(one))]
    reports = {"OPS_REPORT__HTML": str(at / "own.html"), "OPS_REPORT__XML": str(at / "own.xml")}
    return run_suite(targets[0], *given, *QUICK, *arguments, history=OWN, environment={**reports, **more})


def rows(run: SuiteRun) -> dict[str, dict[str, Any]]:
    """What the fleet's JSON says of each target."""
    return {one["name"]: one for one in json.loads(run.json)["results"]["tests"]}


def start(*targets: Path, at: Path, arguments: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a fleet in a session of its own, its output in a file."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(f"--target={one}" for one in targets)]
    command += ["-m", "daily", *QUICK, f"--html={at / 'fleet.html'}", f"--junitxml={at / 'fleet.xml'}", *arguments]
    reports = {f"OPS_REPORT__{kind}": str(at / f"own.{kind.lower()}") for kind in ("HTML", "XML", "JSON")}
    with (at / "output").open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**variables, **reports},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until(so: Callable[[], object], at: Path) -> None:
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < until, (at / "output").read_text()
        time.sleep(0.05)


def finished(history: Path, name: str) -> int:
    """How many runs on a target went to their end."""
    return len(Chronicle(HistoryFile(history), name, _KEPT).runs(datetime.now(UTC) - _KEPT)) if history.exists() else 0


def processes_of(*targets: Path) -> list[str]:
    """The command lines of all that look at these."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = one.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(f"--target={target}" in command for target in targets):
            found.append(command)
    return found


def test_a_black_hole_and_a_file_that_cannot_be_read_hold_nobody_up(
    target_named: Make, lost_in: Make, black_hole: BlackHole, own_history: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("name = ", encoding="utf-8")
    hole = lost_in("hole", black_hole)
    good = [target_named(name) for name in ("one", "two", "three")]
    running = start(hole, bad, *good, at=tmp_path, arguments=("-n", "2"))
    # One of two places is the black hole's until everybody else is done: it lets go only then.
    wait_until(lambda: all(finished(own_history, one) for one in ("one", "two", "three")), tmp_path)
    assert finished(own_history, "hole") == 0
    assert processes_of(hole)
    black_hole.close()
    assert running.wait(PATIENCE) == 1, (tmp_path / "output").read_text()

    said = {one["name"]: one for one in json.loads((tmp_path / "fleet.json").read_text())["results"]["tests"]}
    assert {name: one["rawStatus"] for name, one in said.items()} == {
        "hole": "broken",
        str(bad): "cannot tell",
        "one": "holds",
        "two": "holds",
        "three": "holds",
    }
    assert list(said)[:2] == ["hole", str(bad)], "what needs a person comes first"
    assert said["hole"]["extra"]["outcomes"]["cannot tell"] > 0, "the engine's part of it"
    assert "it is no valid TOML" in said[str(bad)]["message"]

    cases = {one.get("name"): one for one in ET.parse(tmp_path / "fleet.xml").iter("testcase")}  # noqa: S314
    assert cases["hole"].find("failure") is not None
    assert [name for name, one in cases.items() if one.find("error") is not None] == [str(bad).replace("/", ".")]
    assert len(cases) == 5

    page = (tmp_path / "fleet.html").read_text()
    output = (tmp_path / "output").read_text()
    for name in ("one", "two", "three", "hole"):
        own = tmp_path / f"{name}-own.html"
        assert f'href="./{own.name}"' in page
        assert own.is_file()
        assert f" {name} (" in output
    assert "OPS_REPORT__HTML, OPS_REPORT__JSON, OPS_REPORT__XML of the environment" in output


def test_each_target_has_its_own_past(target_named: Make, tmp_path: Path) -> None:
    targets = target_named("one"), target_named("two")
    first = run_fleet(*targets, at=tmp_path)
    assert first.status == 0, first.explain()
    assert "targets: 2, 2 at the same time" in first.terminal
    again = run_fleet(targets[0], target_named("new"), at=tmp_path, arguments=("-n", "1"))
    assert again.status == 0, again.explain()
    assert "targets: 2, 1 at the same time" in again.terminal
    said = rows(again)
    assert "Since the run of" in said["one"]["extra"]["changed"]
    assert "nothing changed" in said["one"]["extra"]["changed"]
    assert said["new"]["extra"]["changed"] == ""


def test_who_cannot_be_told_is_the_status_that_was_asked_for(
    target_named: Make, own_history: Path, tmp_path: Path
) -> None:
    one, held = target_named("one"), target_named("held")
    command = [sys.executable, "-c", HOLD, str(own_history.with_name(f"{own_history.stem}-held-run.lock"))]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        run = run_fleet(one, held, at=tmp_path, arguments=("--wait", "0s", "--cannot-tell-status", "10"))
        other.kill()
    assert run.status == 10, run.explain()
    said = rows(run)
    assert said["one"]["rawStatus"] == "holds"
    assert said["held"]["rawStatus"] == "cannot tell"
    assert "another run on held is on (monthly, process 4711" in said["held"]["message"]


def test_a_run_that_goes_on_for_too_long_is_ended(
    target_named: Make, lost_in: Make, black_hole: BlackHole, tmp_path: Path
) -> None:
    hole, one = lost_in("hole", black_hole), target_named("one")
    run = run_fleet(hole, one, at=tmp_path, arguments=("--target-limit", "4 s", "--wait", "0 s"))
    assert "its run was still on after 4 s and was ended (--target-limit)" in rows(run)["hole"]["message"]
    assert rows(run)["hole"]["rawStatus"] == "cannot tell"
    assert processes_of(hole, one) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_nothing_is_left_of_a_fleet_that_is_ended(
    lost_in: Make, black_hole: BlackHole, tmp_path: Path, number: signal.Signals
) -> None:
    targets = lost_in("hole-1", black_hole), lost_in("hole-2", black_hole), lost_in("hole-3", black_hole)
    running = start(*targets, at=tmp_path, arguments=("--at-once", "2"))
    wait_until(lambda: len(black_hole.caught) >= 2, tmp_path)
    running.send_signal(number)
    assert running.wait(PATIENCE) == (2 if number is signal.SIGINT else -number)
    wait_until(lambda: not processes_of(*targets), tmp_path)
    if number is signal.SIGINT:
        page = (tmp_path / "fleet.html").read_text()
        assert page.count("the run was stopped before it had ended") == 2
        assert page.count("it was not looked at: the run was stopped before") == 1


def test_listing_opens_nothing(lost_in: Make, black_hole: BlackHole, tmp_path: Path) -> None:
    targets = lost_in("hole-1", black_hole), lost_in("hole-2", black_hole)
    running = start(*targets, at=tmp_path, arguments=("--collect-only", "-q"))
    assert running.wait(PATIENCE) == 0
    assert (tmp_path / "output").read_text().split()[:2] == ["hole-1", "hole-2"]
    assert black_hole.caught == []
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "ONE"), "two targets have the name one: "),
        (("-m", "dayly"), "dayly"),
        (("--allow-disruption",), "--allow-disruption is for one target at a time"),
        (("--target-limit", "4"), "--target-limit 4: a span of time is written with its unit"),
        (("--wait", "soon"), "--wait soon: a span of time"),
        (("--at-once", "-1"), "--at-once -1: give the number of targets"),
    ],
    ids=lambda one: one[0] if isinstance(one, tuple) else "",
)
def test_what_is_wrong_for_all_is_said_before_the_first(
    target_named: Make, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    one, two = target_named("one"), target_named("two")
    given = tuple(str(one) if word == "ONE" else word for word in arguments)
    running = start(one, two, at=tmp_path, arguments=given)
    assert running.wait(PATIENCE) == 4
    assert said in (tmp_path / "output").read_text()
    assert not list(tmp_path.glob("*.html"))
