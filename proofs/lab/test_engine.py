"""Starting the engine where an earlier one was killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.engine import forget_stale_pid


@pytest.mark.parametrize("number", ["999999999", str(os.getpid())], ids=["nobody", "somebody-else"])
def test_the_number_of_a_killed_daemon_is_forgotten(number: str, tmp_path: Path) -> None:
    file = tmp_path / "docker.pid"
    file.write_text(number, encoding="ascii")
    assert forget_stale_pid(file, "dockerd")
    assert not file.exists()


def test_the_number_of_a_running_daemon_stays(tmp_path: Path) -> None:
    file = tmp_path / "daemon.pid"
    file.write_text(str(os.getpid()), encoding="ascii")
    name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    assert not forget_stale_pid(file, name)
    assert file.exists()


@pytest.mark.parametrize("content", ["", "no number", None])
def test_a_file_that_says_nothing_is_left_alone(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "docker.pid"
    if content is not None:
        file.write_text(content, encoding="ascii")
    assert not forget_stale_pid(file, "dockerd")
