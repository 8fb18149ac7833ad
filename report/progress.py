"""What goes on while something takes long: a line on the terminal that is written over, and taken away in the end."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from report.lines import seconds
from report.text import plain
from target.kinds import say_bytes

if TYPE_CHECKING:
    import pytest

EVERY = 0.25
"""Seconds between two looks at a terminal."""
EVERY_LINE = 30.0
"""Seconds between two lines where the output is kept in a file."""
_ROOM_BELOW = "\x1bD\x1b[A"
"""One line down, which scrolls where there is none, and up again, in the same column."""
_BELOW = "\x1b7\x1b[B\r{text}\x1b[K\x1b8"
"""A text in the line below; the place where pytest goes on writing stays where it is."""


class Progress:
    """The progress of one thing, by bytes.

    Args:
        config: pytest's, which knows where its terminal is.
        what: What goes on, as `restoring synk_backup_20261124_020000.sql.gz`.
    """

    def __init__(self, config: pytest.Config, what: str) -> None:
        self._what = plain(what, 80)
        self._reporter: Any = config.pluginmanager.getplugin("terminalreporter")
        self._capture: Any = config.pluginmanager.getplugin("capturemanager")
        self._begun = time.monotonic()
        self._last = self._begun
        self._shown = False

    def __call__(self, done: int, total: int, took: float) -> None:
        """Say how far it is.

        Args:
            done: Bytes that are done.
            total: Bytes in all.
            took: Seconds so far.
        """
        terminal = self._reporter is not None and self._reporter.isatty
        now = time.monotonic()
        if self._reporter is None or now - self._last < (EVERY if terminal else EVERY_LINE):
            return
        self._last = now
        text = said(self._what, done, total, took)
        if terminal:
            text = text[: self._reporter._tw.fullwidth - 1]  # noqa: SLF001  what is wrapped can't be written over
            self._write(("" if self._shown else _ROOM_BELOW) + _BELOW.format(text=text))
        else:
            self._write(f"\n{text}")
        self._shown = terminal

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            self._write(_BELOW.format(text=""))
            self._shown = False

    def _write(self, text: str) -> None:
        # Past the writer, which reckons by what it wrote how far it is in its line.
        file = self._reporter._tw._file  # noqa: SLF001  what the reporter itself writes to
        with self._capture.global_and_fixture_disabled() if self._capture is not None else nullcontext():
            file.write(text)
            file.flush()


def said(what: str, done: int, total: int, took: float) -> str:
    """How far it is, in words: bytes, rate, and the time left at that rate.

    Args:
        what: What goes on.
        done: Bytes that are done.
        total: Bytes in all.
        took: Seconds so far.
    """
    rate = done / took if took > 0 else 0.0
    parts = [f"{say_bytes(done)} of {say_bytes(total)}"]
    if rate > 0:
        parts.append(f"{say_bytes(int(rate))}/s")
        parts.append(f"about {seconds((total - done) / rate)} left" if done < total else "read, finishing")
    return f"{what}: {', '.join(parts)}"
