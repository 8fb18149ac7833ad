"""A plugin for a run that loses its connection in the middle: after the item that LOSE_AFTER names, as LOSE says."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Lose it, once."""
    after, how = os.environ["LOSE_AFTER"], os.environ.get("LOSE", "")
    if how and nodeid.endswith(after):
        os.environ["LOSE"] = ""
        for pid in {"master": master, "sshd": sshd, "run": run}[how]():
            os.kill(pid, signal.SIGKILL)


def master() -> list[int]:
    """The process of this run that holds its connection."""
    found = [pid for pid, command in commands() if command[0] == "ssh" and "-M" in command and _above(pid, os.getpid())]
    assert found, "this run has no connection yet"
    return found


def sshd() -> list[int]:
    """What sshd has for the account's session."""
    title = f"sshd: {os.environ['LOSE_ACCOUNT']}@"
    found = [pid for pid, command in commands() if command[0].startswith(title)]
    assert found, "the account isn't logged in"
    return found


def run() -> list[int]:
    """This run itself."""
    return [os.getpid()]


def commands() -> list[tuple[int, list[str]]]:
    """All processes and what they were called with."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdecimal():
            try:
                words = (one / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            found.append((int(one.name), words))
    return found


def _above(pid: int, wanted: int) -> bool:
    """Whether a process descends from another one."""
    while pid > 1:
        if pid == wanted:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False
