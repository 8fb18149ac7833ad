"""Settings and options that aren't right: one clear message, exit 4, no traceback, nothing is run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from proofs.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = 'name = "x"\n[project]\nname = "x"\ndirectory = "."\n'


def pytest_with(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def assert_usage_error(done: subprocess.CompletedProcess[str], *words: str) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert "Traceback" not in said
    assert "passed" not in said
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\ndisk_usd = 0.9\n", ("target.toml:6", "limits.disk_usd", "did you mean limits.disk_used")),
        ("[limits]\nbackend_errors = -1\n", ("target.toml:6", "limits.backend_errors", "0 or more")),
        ("[limits]\ndisk_used = 80\n", ("limits.disk_used", "between 0 and 1")),
        ("[limits]\nbackup_age = 24\n", ("limits.backup_age", '"24 h"')),
        ("[limits\n", ("target.toml", "no valid TOML", "line 5")),
        ("[site]\nurl = 'http://x'\n", ("target.toml:5", "https://")),
    ],
    ids=["unknown-key", "negative", "percent-as-number", "without-unit", "no-toml", "not-https"],
)
def test_a_wrong_setting_is_said_with_its_place(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    file.write_text(MINIMAL + text, encoding="utf-8")
    assert_usage_error(pytest_with("-m", "daily", "--target", str(file)), *words)


def test_a_missing_file_is_said_with_the_ways_out(tmp_path: Path) -> None:
    done = pytest_with("-m", "daily", "--target", str(tmp_path / "none.toml"))
    assert_usage_error(done, "there is no such file", "target.example.toml", "make lab-up")


def test_a_directory_is_no_target(tmp_path: Path) -> None:
    assert_usage_error(pytest_with("-m", "daily", "--target", str(tmp_path)), "it is a directory")


@pytest.mark.skipif((ROOT / "target.toml").exists(), reason="this checkout has a target of its own")
def test_without_a_target_nothing_is_looked_at() -> None:
    assert_usage_error(pytest_with("-m", "daily"), "no target", "target.example.toml", "make lab-up")


def test_a_lab_that_does_not_stand_is_no_target() -> None:
    assert_usage_error(pytest_with("-m", "daily", "--target", "lab", LAB="nolabofthatname"), "isn't standing")


def test_an_unknown_variable_is_said(tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    file.write_text(MINIMAL, encoding="utf-8")
    done = pytest_with("-m", "daily", "--target", str(file), OPS_LIMITS__DISK_USE="0.9")
    assert_usage_error(done, "OPS_LIMITS__DISK_USE", "did you mean limits.disk_used")


@pytest.mark.parametrize("option", [("-m", "dialy"), ("--now", "yesterday")], ids=["marker", "now"])
def test_a_mistyped_option_is_refused(option: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    file.write_text(MINIMAL, encoding="utf-8")
    done = pytest_with("--target", str(file), *option)
    assert_usage_error(done, option[1])
    assert list(tmp_path.iterdir()) == [file], "no report of nothing"


def test_a_target_anywhere_is_found_by_either_spelling(tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    file.write_text(MINIMAL, encoding="utf-8")
    for spelling in (("--target", str(file)), (f"--target={file}",)):
        done = pytest_with("--collect-only", "-q", "-m", "daily", *spelling)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "test_newest_backup_is_fresh" in done.stdout


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('@expectation("Wrong Slug", guide="a: b", severity="major", remedy="x")', "lower-case words"),
        ('@expectation("ok-slug", guide="a: b", severity="worst", remedy="x")', "severity"),
        ('@expectation("ok-slug", guide="a: b", severity="major", remedy="{nobody}")', "nobody"),
        ('@expectation("backup-fresh", guide="a: b", severity="major", remedy="x")', "names two expectations"),
        ("", "is no expectation"),
    ],
    ids=["slug", "severity", "remedy", "repeated", "unmarked"],
)
def test_a_wrong_expectation_stops_the_collection(body: str, words: str, tmp_path: Path) -> None:
    room = tmp_path / "tests_more"
    room.mkdir()
    (room / "test_more.py").write_text(
        "import pytest\nfrom report.expectation import expectation\npytestmark = pytest.mark.daily\n"
        f'{body}\ndef test_something() -> None:\n    """Something holds."""\n',
        encoding="utf-8",
    )
    file = tmp_path / "target.toml"
    file.write_text(MINIMAL, encoding="utf-8")
    done = pytest_with("--collect-only", "-q", "--target", str(file), "tests_daily", str(room))
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
