"""One run at a time on a target: a second one waits for the first, and for how long.

Two runs at once would see each other's work: a drill's restarts, a scan's requests, a restore's load. So a run locks a
file beside the history, one for each target, and writes into it who it is. The lock is the kernel's and ends with the
process, however that ends; the file stays and means nothing by itself.

Triage neither waits nor makes anybody wait: it is what somebody runs while the house is on fire.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from report import leftovers
from report.run import TRIAGE
from target.kinds import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from report.run import Run

_NO_TIME = re.compile(r"\s*0+(\.0+)?\s*(ms|s|min|h|d)\s*")
_PAUSE = 0.1
"""Seconds between two looks at whether the other has ended; a run takes longer than that to begin."""
_LONGEST_TEXT = 1000
"""Bytes read of what stands in the file."""


class Holder(NamedTuple):
    """Who says to have the target.

    Attributes:
        pid: Its process.
        cadence: What it was asked for: `daily`, …, or `checks`.
        since: When it began to look, aware.
    """

    pid: int
    cadence: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.cadence}, process {self.pid}, since {self.since:%Y-%m-%d %H:%M}"


class StillHeldError(Exception):
    """Another run has the target, and went on for longer than this one waits; the text is a sentence for a person."""


class Lock:
    """The lock of a target.

    Args:
        path: The file; its directory is made.
        target: The target's name, for the sentences.
    """

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self.target = target
        self._handle = -1

    def take(self, me: Holder, patience: float, say: Callable[[str], None]) -> None:
        """Take it, or wait for it.

        Args:
            me: Who takes it; written into the file.
            patience: Seconds to wait at most; 0 for not at all.
            say: Is told, once, what is waited for.

        Raises:
            StillHeldError: If another run has it for longer than that.
            OSError: If there can't be a lock.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not self._take():
                self._wait(patience, say)
            self._sign(me)
        except BaseException:
            self._close()
            raise

    def look(self) -> Holder | str:
        """Who has it, without waiting; an empty text for nobody.

        Raises:
            OSError: If that can't be seen.
        """
        try:
            self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        try:
            return "" if self._try(fcntl.LOCK_SH) else self._holder()
        finally:
            self._close()

    def release(self) -> None:
        """Let it go and take the file away; nothing if it isn't held."""
        if self._handle >= 0:
            with suppress(OSError):
                self.path.unlink()
            self._close()

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _take(self) -> bool:
        """Whether it could be taken; what is locked is the file that lies there, and not one that was taken away."""
        while True:
            self._close()
            # What the run starts doesn't inherit it: only the run holds it.
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not self._try(fcntl.LOCK_EX):
                return False
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._handle), self.path.stat()):
                    return True

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self._handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, patience: float, say: Callable[[str], None]) -> None:
        until = time.monotonic() + patience
        if patience > 0:
            say(
                f"Another run on {self.target} is on ({self._holder()}). Waiting for its end, "
                f"at most {Span(seconds=patience)}; '--wait 0s' doesn't wait."
            )
        while time.monotonic() < until:
            time.sleep(_PAUSE)
            if self._take():
                return
        how_long = f"still on after {Span(seconds=patience)}" if patience > 0 else "on"
        raise StillHeldError(
            f"another run on {self.target} is {how_long} ({self._holder()}): nothing was looked at. "
            "Try again when it has ended, or wait longer: --wait '1 h'."
        )

    def _sign(self, me: Holder) -> None:
        text = json.dumps({"pid": me.pid, "cadence": me.cadence, "since": me.since.isoformat()}).encode()
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, text, 0)

    def _holder(self) -> Holder | str:
        """Who has it; a word for somebody who hasn't signed yet."""
        try:
            said = json.loads(os.pread(self._handle, _LONGEST_TEXT, 0))
            return Holder(int(said["pid"]), str(said["cadence"]), datetime.fromisoformat(said["since"]))
        except (ValueError, TypeError, LookupError):
            return "it has just begun"


def patience(given: str, setting: Span) -> float:
    """For how many seconds another run is waited for.

    Args:
        given: What `--wait` says; empty without it.
        setting: `timeouts.overlap`.

    Raises:
        ValueError: If it is no span of time; the text says what would be right.
    """
    if not given:
        return setting.total_seconds()
    if _NO_TIME.fullmatch(given):
        return 0
    try:
        return Span.parse(given).total_seconds()
    except ValueError as error:
        raise ValueError(f"--wait {given}: {error}; '0 s' doesn't wait") from None


def take_turn(config: pytest.Config, run: Run) -> None:
    """Have the target for this run alone, before anything is asked of it; until the run's reports are written.

    Triage goes on at once and says who else is on. Where there can't be a lock the run goes on as well, which is said.

    Args:
        config: pytest's; its terminal is told what is waited for.
        run: The run; it begins when its turn has come.

    Raises:
        pytest.UsageError: If `--wait` is no span of time, or another run has the target for longer than that.
    """
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    say = print if terminal is None else terminal.write_line
    name = run.loaded.target.name
    lock = Lock(run.lock_file, name)
    try:
        seconds = patience(config.getoption("wait"), run.loaded.target.timeouts.overlap)
        if TRIAGE.fullmatch(config.getoption("markexpr") or ""):
            if holder := lock.look():
                run.warn(
                    f"another run on {name} is on ({holder}), and triage waits for nobody: what that does shows here"
                )
            return
        lock.take(Holder(os.getpid(), run.cadence, datetime.now(run.clock.zone)), seconds, say)
    except (ValueError, StillHeldError) as error:
        raise pytest.UsageError(str(error)) from None
    except OSError as error:
        run.warn(f"whether another run on {name} is on can't be told, nor can others see this one: {error}")
        return
    config.add_cleanup(lock.release)
    run.started = datetime.now(UTC)
    given = (config.getoption("htmlpath", None), config.getoption("xmlpath", None))
    set_to = (getattr(run.loaded.target.report, name) for name in run.loaded.target.report.__struct_fields__)
    outputs = [*(Path(one) for one in given if one), *(run.report_file(one) for one in set_to if isinstance(one, Path))]
    leftovers.clear({lock.path.parent, *(one.parent for one in outputs)})
