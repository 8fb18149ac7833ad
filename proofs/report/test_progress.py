"""A line that says how far something is: on a terminal written over and taken away, in a file a line now and then."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from report.progress import said

ROOT = Path(__file__).resolve().parents[2]
SLOW = """
import time

from report.progress import Progress


def test_slow(pytestconfig):
    progress = Progress(pytestconfig, "restoring \\x1b[31mback\\nup.sql.gz")
    for done in range(5):
        progress(done * 1024**2, 4 * 1024**2, done + 0.5)
        time.sleep(0.3)
    progress.end()
    print("what a test prints stays captured")
"""


def run(directory: Path, out: int) -> int:
    (directory / "test_slow.py").write_text(SLOW, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "test_slow.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=directory, env=environment, stdout=out, stderr=out, check=False).returncode


def read(descriptor: int) -> str:
    seen = b""
    while True:
        try:
            block = os.read(descriptor, 65536)
        except OSError:
            block = b""  # the other end of a terminal is closed
        if not block:
            return seen.decode()
        seen += block


def test_a_terminal_is_told_and_the_line_is_taken_away(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    assert run(tmp_path, theirs) == 0
    os.close(theirs)
    seen = read(ours)
    os.close(ours)
    assert "restoring back up.sql.gz: 2 MiB of 4 MiB, " in seen
    assert "left" in seen
    assert "read, finishing" in seen
    assert "\x1b[31mback" not in seen
    assert seen.count("\n") < 15, "one line, written over"
    assert seen.rindex("\r\x1b[K\x1b8") > seen.rindex("finishing"), "and taken away"
    assert seen.count("\x1b7") == seen.count("\x1b8") > 1, "pytest goes on writing where it was"
    assert "what a test prints" not in seen


def test_a_file_isnt_filled_with_it(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        assert run(tmp_path, out.fileno()) == 0
    assert "restoring" not in (tmp_path / "out").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("done", "took", "wanted"),
    [
        (0, 0.0, "x: 0 B of 4 MiB"),
        (1024**2, 2.0, "x: 1 MiB of 4 MiB, 512 KiB/s, about 6.00 s left"),
        (4 * 1024**2, 2.0, "x: 4 MiB of 4 MiB, 2 MiB/s, read, finishing"),
    ],
)
def test_how_far_it_is_in_words(done: int, took: float, wanted: str) -> None:
    assert said("x", done, 4 * 1024**2, took) == wanted
