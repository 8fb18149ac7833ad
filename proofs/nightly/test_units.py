"""The systemd units, the cron file and what goes with them, held against systemd's own tools and run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from proofs.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NIGHTLY = ROOT / "nightly"
CADENCES = ("daily", "weekly", "monthly", "quarterly", "annual")
SERVICE = NIGHTLY / "operations-checks-daily@.service"
CRON = NIGHTLY / "operations-checks.cron"
MOST_EXPOSED = 20
"""Tenths of systemd's figure for how exposed a service is, from 0 to 100; it says 1.5 of this one."""
ACCOUNT = re.compile(r"(?P<when>\S+ +\S+ +\S+ +\S+ +\S+) +(?P<user>operations-checks) +(?P<command>.+)")


@pytest.fixture
def installed(tmp_path: Path, interpreter: str) -> Path:
    """The units as they are installed, but for the interpreter, which must be one that is there."""
    for file in (*NIGHTLY.glob("*.service"), *NIGHTLY.glob("*.timer")):
        text = file.read_text(encoding="utf-8")
        (tmp_path / file.name).write_text(text.replace("/opt/operations-checks/.venv/bin/python", interpreter))
    return tmp_path


def analyze(*words: str, units: Path) -> subprocess.CompletedProcess[str]:
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing; on Debian and Ubuntu: apt-get install systemd"
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_COLORS": "0", "LC_ALL": "C"}
    command = ["systemd-analyze", *words]
    return subprocess.run(command, env=environment, cwd=units, capture_output=True, text=True, timeout=60, check=False)


def complaints(*units: str, directory: Path) -> list[str]:
    """What systemd says of these units; what it says of the machine's own is no business of ours."""
    ran = analyze("verify", "--man=no", *(str(directory / unit) for unit in units), units=directory)
    return [line for line in (ran.stdout + ran.stderr).splitlines() if "operations-checks" in line]


def settings(file: Path, section: str) -> dict[str, list[str]]:
    """The settings of a unit, each with all that was given for it."""
    found: dict[str, list[str]] = {}
    text = file.read_text(encoding="utf-8").partition(f"[{section}]\n")[2].partition("\n[")[0]
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_systemd_finds_nothing_wrong_with_the_units(installed: Path) -> None:
    names = sorted(file.name for file in installed.iterdir())
    assert names == sorted(
        f"operations-checks-{cadence}@.{kind}" for cadence in CADENCES for kind in ("service", "timer")
    )
    assert complaints(*names, directory=installed) == []


def test_what_is_wrong_with_a_unit_would_be_found(installed: Path) -> None:
    file = installed / SERVICE.name
    file.write_text(file.read_text().replace("ProtectSystem=strict", "ProtectSystems=strict"))
    timer = installed / "operations-checks-daily@.timer"
    timer.write_text(timer.read_text().replace("04:00", "04:60"))
    said = "\n".join(complaints(file.name, timer.name, directory=installed))
    assert "ProtectSystems" in said
    assert "04:60" in said


def test_the_service_is_hardly_exposed(installed: Path) -> None:
    words = ("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}")
    ran = analyze(*words, str(installed / SERVICE.name), units=installed)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    assert "Overall exposure level" in ran.stdout


def test_a_service_without_its_fence_would_be_found(installed: Path) -> None:
    file = installed / SERVICE.name
    file.write_text(re.sub(r"(?m)^(SystemCallFilter|CapabilityBoundingSet|NoNewPrivileges)=.*\n", "", file.read_text()))
    words = ("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}")
    assert analyze(*words, str(file), units=installed).returncode != 0


def test_the_fence_has_what_it_must_have() -> None:
    service = settings(SERVICE, "Service")
    assert service["ProtectSystem"] == ["strict"]
    assert service["NoNewPrivileges"] == service["PrivateTmp"] == service["ProtectHome"] == ["yes"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == [""]
    assert service["User"] == ["operations-checks"]
    assert {"MemoryMax", "TasksMax", "TimeoutStartSec", "SystemCallFilter", "RestrictAddressFamilies"} <= set(service)
    assert "SuccessExitStatus" not in service  # a run that found something is a unit that has failed


def test_one_service_serves_every_cadence() -> None:
    for cadence in CADENCES[1:]:
        link = NIGHTLY / f"operations-checks-{cadence}@.service"
        assert link.is_symlink()
        assert link.resolve() == SERVICE
    assert " -m %j " in settings(SERVICE, "Service")["ExecStart"][0]


def test_every_cadence_is_a_marker_of_the_suite() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    markers = {re.split(r"[:(]", one)[0] for one in project["tool"]["pytest"]["ini_options"]["markers"]}
    assert set(CADENCES) <= markers


@pytest.mark.parametrize("cadence", CADENCES)
def test_a_timer_makes_up_for_a_night_that_was_missed(cadence: str) -> None:
    timer = settings(NIGHTLY / f"operations-checks-{cadence}@.timer", "Timer")
    assert timer["Persistent"] == ["true"]
    assert "RandomizedDelaySec" in timer


def test_the_timers_go_off_when_their_names_say(installed: Path) -> None:
    def next_ones(cadence: str) -> list[str]:
        calendar = settings(NIGHTLY / f"operations-checks-{cadence}@.timer", "Timer")["OnCalendar"][0]
        words = ("calendar", "--base-time=2026-11-27 12:00:00 UTC", "--iterations=3", f"{calendar} UTC")
        said = analyze(*words, units=installed).stdout
        return re.findall(r"(?:Next elapse|Iter\. #\d|Iteration #\d): (\w{3} [\d-]{10} [\d:]{8}) UTC", said)

    assert next_ones("daily") == [f"{day} 04:00:00" for day in ("Sat 2026-11-28", "Sun 2026-11-29", "Mon 2026-11-30")]
    assert next_ones("weekly") == [f"Mon {day} 04:20:00" for day in ("2026-11-30", "2026-12-07", "2026-12-14")]
    assert next_ones("monthly")[0] == "Tue 2026-12-01 04:40:00"
    assert [one[4:14] for one in next_ones("quarterly")] == ["2027-01-02", "2027-04-02", "2027-07-02"]
    assert [one[4:14] for one in next_ones("annual")] == ["2027-01-03", "2028-01-03", "2029-01-03"]


def test_the_command_of_the_service_is_one_that_the_suite_takes(installed: Path) -> None:
    service = settings(SERVICE, "Service")
    places = {"%S": "state", "%L": "logs", "%C": "cache"}

    def filled(text: str) -> str:
        for sign, name in places.items():
            text = text.replace(sign, str(installed / name))
        return (
            text.replace("%j", "daily").replace("/etc/operations-checks/%i", str(installed / "none")).replace("%i", "x")
        )

    assignments = [one for line in service["Environment"] for one in shlex.split(filled(line))]
    environment = {**os.environ, **dict(one.split("=", 1) for one in assignments)}
    command = shlex.split(filled(service["ExecStart"][0]))
    command[0] = sys.executable
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 4, ran.stdout + ran.stderr
    assert f"{installed / 'none'}.toml" in ran.stderr  # the target, and nothing else of what it was asked
    assert "usage:" not in ran.stderr


def cron_lines() -> list[re.Match[str]]:
    lines = CRON.read_text(encoding="utf-8").splitlines()
    accounts = [line for line in lines if line and line[0] != "#" and not re.match(r"[A-Z_]+=", line)]
    found = [match for line in accounts if (match := ACCOUNT.fullmatch(line))]
    assert len(found) == len(accounts) == len(CADENCES)
    return found


def test_cron_runs_every_cadence_with_the_options_of_the_service() -> None:
    service = settings(SERVICE, "Service")["ExecStart"][0]
    options = re.findall(r"(?m)^OPTIONS=(.*)$", CRON.read_text(encoding="utf-8"))[0]
    for cadence, line in zip(CADENCES, cron_lines(), strict=True):
        command = line["command"].replace("$OPTIONS", options)
        assert f"-m {cadence} " in command
        assert "%" not in line[0]  # cron makes a new line of it
        for option in re.findall(
            r'--[a-z-]+(?: \d+| "2 h"|=no)?', service.partition("-m %j")[2].replace("--target", "")
        ):
            assert option.strip() in command, option
        assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0


def test_cron_mails_what_does_not_end_well_and_keeps_its_status(tmp_path: Path, interpreter: str) -> None:
    command = cron_lines()[0]["command"].replace("/opt/operations-checks/.venv/bin/python", interpreter)
    (tmp_path / "opt").symlink_to(ROOT)
    command = command.replace("/opt/operations-checks", str(tmp_path / "opt")).replace(".venv/bin/python", interpreter)
    command = command.replace("/var/log/operations-checks", str(tmp_path))
    environment = {**os.environ, "OPS_TARGET": str(tmp_path / "none.toml"), "OPTIONS": "--color=no"}
    ran = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 4
    assert "none.toml" in ran.stdout
    assert ran.stdout == (tmp_path / "daily.log").read_text()


def test_the_user_and_the_directories_are_those_of_the_service() -> None:
    sysusers = (NIGHTLY / "operations-checks.sysusers.conf").read_text(encoding="utf-8")
    assert re.search(r'(?m)^u operations-checks 30\d{3} ".+" /var/lib/operations-checks$', sysusers)
    tmpfiles = (NIGHTLY / "operations-checks.tmpfiles.conf").read_text(encoding="utf-8")
    assert re.search(r"(?m)^d /var/log/operations-checks 0750 operations-checks operations-checks \d+d$", tmpfiles)
