"""The nightly workflow, held against its schema and a linter, and its steps run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from proofs.harness import ROOT
from proofs.nightly.test_units import CADENCES, cron_lines

FILE = ROOT / ".github" / "workflows" / "nightly.yml"
TOOLS = Path(sys.executable).parent
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
ON: dict[str, Any] = WORKFLOW[True]  # YAML 1.1 takes the key `on` for a truth
JOBS: dict[str, Any] = WORKFLOW["jobs"]


def linted(tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(TOOLS / tool), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def audited(file: Path) -> subprocess.CompletedProcess[str]:
    configuration = str(ROOT / ".github" / "zizmor.yml")
    words = ("--offline", "--no-progress", "--persona=pedantic", f"--config={configuration}", str(file))
    return linted("zizmor", *words)


def step(job: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in JOBS[job]["steps"] if one.get("name") == name)
    return dict(found)


def test_it_is_a_workflow_by_the_schema() -> None:
    ran = linted("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(FILE))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_linter_finds_nothing() -> None:
    ran = audited(FILE)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ('pytest -m "$CADENCE"', 'pytest -m "${{ github.event.inputs.cadence }}"'),
        ("contents: read", "contents: write"),
        ("persist-credentials: false", "fetch-depth: 1"),
        ("actions/upload-artifact@v4", "somebody/upload-artifact@v4"),
    ],
)
def test_the_linter_would_find(here: str, there: str, tmp_path: Path) -> None:
    file = tmp_path / ".github" / "workflows" / "nightly.yml"
    file.parent.mkdir(parents=True)
    text = FILE.read_text(encoding="utf-8")
    assert here in text
    file.write_text(text.replace(here, there))
    assert audited(file).returncode != 0


def test_it_runs_when_cron_does_and_as_what() -> None:
    crons = [one["cron"] for one in ON["schedule"]]
    assert crons == [re.sub(r" +", " ", line["when"]) for line in cron_lines()]
    expression = WORKFLOW["env"]["CADENCE"]
    said = dict(re.findall(r"github\.event\.schedule == '([^']+)' && '(\w+)'", expression))
    assert [said.get(cron, "daily") for cron in crons] == list(CADENCES)
    assert expression.endswith("|| 'daily' }}")
    assert set(CADENCES) < set(ON["workflow_dispatch"]["inputs"]["cadence"]["options"])


def test_it_may_do_nothing_and_ends() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False
    for name, job in JOBS.items():
        assert "permissions" not in job, name
        assert 0 < job["timeout-minutes"] <= 360
        assert re.fullmatch(r"vars\.NIGHTLY == '(runner|ssh)'", job["if"])


@pytest.mark.parametrize("job", ["on-runner", "over-ssh"])
def test_the_report_is_kept_whatever_the_run_has_found(job: str) -> None:
    keep = step(job, "Keep the report")
    assert keep["if"] == "always()"
    assert keep["uses"].startswith("actions/upload-artifact@")
    assert keep["with"]["path"] == "${{ runner.temp }}/report/"


def test_the_host_is_known_and_the_key_is_nobodys_else() -> None:
    take = step("over-ssh", "Take the key")["run"]
    assert "StrictHostKeyChecking yes" in take
    assert "umask 077" in take
    assert step("over-ssh", "Forget the key")["if"] == "always()"


@pytest.mark.parametrize("job", list(JOBS))
def test_no_script_has_an_expression_in_it_and_all_are_scripts(job: str) -> None:
    for one in JOBS[job]["steps"]:
        if "run" in one:
            assert "${{" not in one["run"]
            assert subprocess.run(["bash", "-n", "-c", one["run"]], check=False).returncode == 0


def bash(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As GitHub's runner does it."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=ROOT,
        env={**os.environ, "CADENCE": "daily", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_run_that_did_not_happen_is_said_and_keeps_its_status(tmp_path: Path, interpreter: str) -> None:
    script = step("on-runner", "Look")["run"].replace(".venv/bin/python", interpreter)
    ran = bash(script, OPS_TARGET=str(tmp_path / "none.toml"))
    assert ran.returncode == 4
    assert "::error title=No run::The checks did not run (pytest ended with 4)." in ran.stdout


@pytest.mark.parametrize(("status", "title"), [(0, ""), (1, "Broken"), (10, "Can't tell"), (2, "No run")])
@pytest.mark.parametrize("job", ["on-runner", "over-ssh"])
def test_each_status_has_its_word(job: str, status: int, title: str) -> None:
    words = "case" + step(job, "Look")["run"].partition("\ncase")[2]
    ran = bash(f"status={status}\n{words}")
    assert ran.returncode == status
    assert re.findall(r"::error title=([^:]+)::", ran.stdout) == ([title] if title else [])


def test_a_missing_secret_is_said(tmp_path: Path) -> None:
    ran = bash(step("over-ssh", "Take the key")["run"], KEY="", KNOWN_HOSTS="", RUNNER_TEMP=str(tmp_path))
    assert ran.returncode == 1
    assert "NIGHTLY_SSH_KEY and NIGHTLY_KNOWN_HOSTS must be set" in ran.stdout


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "with a blank"
    place.mkdir()
    ran = bash(step("over-ssh", "Take the key")["run"], KEY="k1\nk2", KNOWN_HOSTS="h", RUNNER_TEMP=str(place))
    assert ran.returncode == 0, ran.stderr
    assert (place / "ssh" / "key").read_text() == "k1\nk2\n"
    assert {file.stat().st_mode & 0o077 for file in (place / "ssh").iterdir()} == {0}
    assert f'IdentityFile "{place}/ssh/key"' in (place / "ssh" / "config").read_text()
    assert "k1" not in ran.stdout + ran.stderr
