"""Progress on the terminal, and programs that are quiet unless they fail."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TICK_SECONDS = 1.0


class LabError(Exception):
    """Something the lab needs did not work; the message is a sentence for the operator."""


def say(text: str, *, end: str = "\n") -> None:
    """Write to the terminal at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


class Steps:
    """Numbered steps, each one line with its elapsed seconds."""

    def __init__(self, total: int) -> None:
        """Prepare for `total` steps."""
        self._total = total
        self._done = 0

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show `what` while the body runs, then how many seconds it took."""
        self._done += 1
        line = f"[{self._done}/{self._total}] {what} …"
        started = time.monotonic()
        say(line, end="")
        over = threading.Event()
        ticker = threading.Thread(target=_tick, args=(line, started, over), daemon=True)
        if sys.stdout.isatty():
            ticker.start()
        try:
            yield
        except BaseException:
            _finish(ticker, over)
            say(f" failed after {time.monotonic() - started:.1f} s")
            raise
        _finish(ticker, over)
        say(f" {time.monotonic() - started:.1f} s")


def _tick(line: str, started: float, over: threading.Event) -> None:
    while not over.wait(TICK_SECONDS):
        say(f"\r{line} {time.monotonic() - started:.0f} s", end="")
    say(f"\r{line}", end="")


def _finish(ticker: threading.Thread, over: threading.Event) -> None:
    over.set()
    if ticker.is_alive():
        ticker.join()


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 900.0,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program with its output kept.

    Args:
        command: program and arguments; no shell is involved.
        cwd: directory to run in.
        env: the whole environment, or None for ours.
        stdin: text to give it; without, its input is empty.
        timeout: seconds after which it is killed.
        check: whether a status other than 0 is an error.

    Returns:
        The completed process with its text output.

    Raises:
        LabError: it could not be started, took too long, or (with `check`) failed; with the last
            40 lines that it said.
    """
    try:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env=None if env is None else dict(env),
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as missing:
        raise LabError(f"{command[0]} is not installed") from missing
    except subprocess.TimeoutExpired as slow:
        raise LabError(f"{' '.join(command)} was still running after {timeout:.0f} s") from slow
    if check and done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise LabError(f"{' '.join(command)} ended with status {done.returncode}:\n{said}")
    return done
