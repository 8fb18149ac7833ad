"""What goes on while something takes long: a line on the terminal that is written over, and taken away in the end.

A progress bar of somebody else's would be heavier than its use here: this is one line, and what is hard about it is
pytest, which catches what is written to the standard output while a test runs, by every thread.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import nullcontext
from typing import Any

import pytest

from report.lines import seconds
from report.terminal import SLOW, writable
from report.text import plain
from target.kinds import say_bytes

EVERY = 0.25
"""Seconds between two looks at a terminal."""
EVERY_LINE = 30.0
"""Seconds between two lines where the output is kept in a file."""
_ROOM_BELOW = "\x1bD\x1b[A"
"""One line down, which scrolls where there is none, and up again, in the same column."""
_BELOW = "\x1b7\x1b[B\r{text}\x1b[K\x1b8"
"""A text in the line below; the place where pytest goes on writing stays where it is."""
_BAR = 20


class Live:
    """A line on the terminal that says what goes on, from two seconds on, and since when.

    A thread writes it, since the main one is busy with what takes so long. It writes to a descriptor of its own,
    which stays the terminal's while pytest catches what tests write.

    Args:
        descriptor: Of the terminal; it is copied.
        encoding: Of the terminal.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._out = os.dup(descriptor)
        self._encoding = encoding
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._what = ""
        self._far = ""
        self._begun = 0.0
        self._shown = self._closed = False

    def begin(self, what: str) -> None:
        """Say what goes on from now; nothing is written unless it takes long."""
        with self._changed:
            self._take_away()
            self._what, self._far, self._begun = plain(what), "", time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, name="live line", daemon=True)
                self._thread.start()
            self._changed.notify()

    def far(self, text: str) -> None:
        """Say how far it is, instead of what it is; empty when that isn't known any longer."""
        with self._changed:
            self._far = text

    def end(self) -> None:
        """Take the line away."""
        with self._changed:
            self._take_away()
            self._what = ""

    def close(self) -> None:
        """Take the line away for good."""
        with self._changed:
            if self._closed:
                return
            self._take_away()
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        os.close(self._out)

    def _go_on(self) -> None:
        with self._changed:
            while not self._closed:
                left = self._begun + SLOW - time.monotonic()
                if not self._what:
                    self._changed.wait()
                elif left > 0:
                    self._changed.wait(left)
                else:
                    self._draw()
                    self._changed.wait(EVERY)

    def _draw(self) -> None:
        took = int(time.monotonic() - self._begun)
        text = self._far or f"{self._what} — {f'{took} s' if took < 60 else seconds(took)}"
        # What is wrapped can't be written over.
        self._shown = self._put(f"\r{writable(f'… {text}', self._encoding)[: self._columns() - 1]}\x1b[K")

    def _take_away(self) -> None:
        if self._shown:
            self._put("\r\x1b[K")
            self._shown = False

    def _put(self, text: str) -> bool:
        try:
            return os.write(self._out, text.encode(self._encoding, "replace")) > 0
        except OSError:  # the terminal is gone, and nobody looks
            return False

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._out).columns or 80
        except OSError:
            return 80


LIVE: pytest.StashKey[Live] = pytest.StashKey()
"""The line of a run that has one."""
OWN_LINES: pytest.StashKey[bool] = pytest.StashKey()
"""Whether every line of the run is ours, so that none is ever half written."""


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
        self._live = config.stash.get(LIVE, None)
        self._line = "{text}\n" if config.stash.get(OWN_LINES, False) else "\n{text}"
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
        terminal = self._reporter is not None and self._reporter.isatty()
        now = time.monotonic()
        if self._reporter is None or now - self._last < (EVERY if terminal else EVERY_LINE):
            return
        self._last = now
        text = said(self._what, done, total, took)
        if self._live is not None:
            self._live.far(f"{bar(done, total)} {text}")
        elif not terminal:
            self._write(self._line.format(text=text))
        elif os.environ.get("TERM", "dumb") != "dumb":
            text = text[: self._reporter._tw.fullwidth - 1]  # noqa: SLF001  what is wrapped can't be written over
            self._write(("" if self._shown else _ROOM_BELOW) + _BELOW.format(text=text))
            self._shown = True

    def end(self) -> None:
        """Take the line away."""
        if self._live is not None:
            self._live.far("")
        if self._shown:
            self._write(_BELOW.format(text=""))
            self._shown = False

    def _write(self, text: str) -> None:
        # Past the writer, which reckons by what it wrote how far it is in its line.
        file = self._reporter._tw._file  # noqa: SLF001  what the reporter itself writes to
        with self._capture.global_and_fixture_disabled() if self._capture is not None else nullcontext():
            file.write(text)
            file.flush()


def bar(done: int, total: int) -> str:
    """How far it is, as a bar of characters that every terminal has, and in per cent."""
    share = min(1.0, done / total) if total > 0 else 0.0
    filled = int(share * _BAR)
    return f"[{'#' * filled}{'.' * (_BAR - filled)}] {int(share * 100)} %"


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
