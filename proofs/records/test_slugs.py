"""The slugs of all expectations are read from the tests without importing them, fast."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from proofs.harness import ROOT
from proofs.records.trees import SLUGS, target, tree
from records.slugs import read_slugs, split
from records.tables import RecordError

if TYPE_CHECKING:
    from pathlib import Path


def test_they_are_read_without_importing_the_tests(tmp_path: Path) -> None:
    assert read_slugs(tree(tmp_path)) == SLUGS


def collected(file: Path) -> list[str]:
    """The items that pytest collects for a target."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"--target={file}"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [line.partition("::")[2] for line in said.splitlines() if "::test_" in line]


def test_they_are_those_that_pytest_collects(tmp_path: Path) -> None:
    compose = target(tmp_path)
    swarm = tmp_path / "swarm.toml"
    text = compose.read_text(encoding="utf-8").replace("[project]\n", '[project]\norchestrator = "swarm"\n')
    swarm.write_text(f'{text}\n[services]\nnames = ["db", "backend", "redis"]\n', encoding="utf-8")
    ids = collected(swarm)
    assert {one.partition("[")[0] for one in ids} - {one.partition("[")[0] for one in collected(compose)} == {
        "test_nodes_are_ready"
    }, "nothing could be said of the nodes of one machine"
    parametrized = {one.partition("[")[0] for one in ids if "[" in one}
    slugs = read_slugs()
    assert len({one.partition("[")[0] for one in ids}) == len(slugs.known) > 20
    assert len(parametrized) == sum(one.parametrized for one in slugs.known.values())
    assert slugs.known["disk-space"].parametrized
    assert not slugs.known["backup-fresh"].parametrized
    assert slugs.known["backup-fresh"].severity == "critical"
    assert slugs.known["backup-size"].limits == ("backup_size_min", "backup_size_max")


def test_it_is_fast() -> None:
    def seconds() -> float:
        began = time.perf_counter()
        read_slugs()
        return time.perf_counter() - began

    files = [file for room in ROOT.glob("tests_*") for file in room.rglob("test_*.py")]
    lines = sum(len(file.read_text().splitlines()) for file in files)
    # 20 ms for the tests that there were when this was written, 700 lines; more take longer.
    assert min(seconds() for _ in range(5)) < 0.020 * max(1, lines / 700)


def test_a_mistyped_one_is_guessed() -> None:
    assert SLUGS.trouble("disk-space") == ""
    assert SLUGS.trouble("disc-space") == "there is no expectation 'disc-space' (did you mean disk-space?)"
    assert SLUGS.trouble("zzz") == "there is no expectation 'zzz'"
    assert len(SLUGS.trouble("z" * 10_000)) < 200


def test_an_item_is_for_expectations_that_have_items() -> None:
    assert SLUGS.trouble_with("disk-space") == ""
    assert SLUGS.trouble_with("disk-space[root]") == ""
    assert SLUGS.trouble_with("backup-fresh[root]") == "backup-fresh has no items: write it without [root]"
    assert "did you mean disk-space?" in SLUGS.trouble_with("disk-spaces[root]")
    assert "there is no expectation" in SLUGS.trouble_with("disk-space[root")
    assert "there is no expectation" in SLUGS.trouble_with("disk-space[]")


def test_an_item_may_be_a_path_with_brackets() -> None:
    assert split("site-answers[/a[1]/]") == ("site-answers", "/a[1]/")
    assert split("backup-fresh") == ("backup-fresh", "")


def test_attested_are_those_that_have_a_period() -> None:
    assert SLUGS.attested == {
        "admin-rotation": "attested_quarter",
        "costs-reviewed": "attested_month",
        "next-month-planned": "attested_month",
        "security-policy-updated": "attested_month",
    }


def test_a_slug_that_is_not_written_out_is_said(tmp_path: Path) -> None:
    file = tree(tmp_path) / "tests_daily" / "test_new.py"
    file.write_text("\n@expectation(NAME, guide='A: b', severity='minor', remedy='r')\ndef test_it():\n    pass\n")
    with pytest.raises(RecordError, match=r"test_new\.py:2: .*written out"):
        read_slugs(tmp_path)


def test_a_file_that_is_no_python_is_said(tmp_path: Path) -> None:
    (tree(tmp_path) / "tests_daily" / "test_new.py").write_text("\ndef test_it(:\n")
    with pytest.raises(RecordError, match=r"test_new\.py:2: it is no Python"):
        read_slugs(tmp_path)
