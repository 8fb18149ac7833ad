"""A program on this machine: no terminal, nothing to read, bounded output, and an end in any case."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from observe.deadline import TimeIsUp, within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BLOCK = 65536
_GRACE_SECONDS = 1.0
_DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Printed:
    """What a program printed, of which the middle may have been left out.

    Attributes:
        head: Its beginning, or all of it.
        tail: Its end, when something was left out before it.
        left_out: How many bytes were.
    """

    head: str
    tail: str = ""
    left_out: int = 0


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: Its exit status, negative for the signal that ended it; None when it was ended at its time limit.
        seconds: How long it ran.
        out: What it printed; with its errors among it, in their order, where that was asked for.
        complaint: What it printed on its standard error otherwise.
    """

    status: int | None
    seconds: float
    out: Printed
    complaint: Printed


class _Kept:
    """Reads a stream to its end and keeps its first and last bytes."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._half = most // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._held = 0
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, args=(stream,), name="output", daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while block := os.read(stream.fileno(), BLOCK):
                with self._lock:
                    self._take(block)

    def _take(self, block: bytes) -> None:
        room = self._half - len(self._head)
        self._head += block[:room]
        if rest := block[room:]:
            self._tail.append(rest)
            self._held += len(rest)
        while self._tail and self._held - len(self._tail[0]) >= self._half:
            gone = len(self._tail.popleft())
            self._held -= gone
            self._dropped += gone

    def printed(self, seconds: float) -> Printed:
        """What was read once the stream ends, or after so many seconds: a child that got away may hold it open."""
        self._thread.join(seconds)
        with self._lock:
            head, tail = bytes(self._head), b"".join(self._tail)
        if not self._dropped:
            return Printed(_text(head + tail))
        return Printed(_text(head), _text(tail), self._dropped)


def run(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    seconds: float,
    *,
    most: int = 1024 * 1024,
    merged: bool = False,
) -> Ended:
    """Run a program to its end, or end it and all of its process group.

    It has a session and so a process group of its own, no terminal, and an empty input.

    Args:
        command: The program and its arguments; no shell is involved, unless the program is a script that
            doesn't say what it is for: `sh` then takes it, as a shell would.
        directory: Where it runs.
        environment: The whole of its environment.
        seconds: Total time limit, in seconds.
        most: How many bytes of each output are kept.
        merged: Whether its standard error goes into its output.

    Raises:
        OSError: If it can't be started.
    """
    began = time.monotonic()
    process = _started(command, directory, environment, merged=merged)
    outputs = [_Kept(stream, most) for stream in (process.stdout, process.stderr) if stream is not None]
    late = True
    try:
        # Looked at and not fetched: until then nobody else can be given its number, which is the group's as well.
        late = not _ends(process.pid, seconds)
        took = time.monotonic() - began
        if late:
            _signal_group(process.pid, signal.SIGTERM)
            _ends(process.pid, _GRACE_SECONDS)
    finally:
        # What it has left behind goes as well, also when this run is interrupted.
        _signal_group(process.pid, signal.SIGKILL)
        status = process.wait()
    printed = [one.printed(_DRAIN_SECONDS) for one in outputs]
    return Ended(None if late else status, took, printed[0], printed[1] if len(printed) > 1 else Printed(""))


def _started(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], *, merged: bool
) -> subprocess.Popen[bytes]:
    def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(arguments),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            start_new_session=True,
        )

    try:
        return start(command)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        return start(("/bin/sh", *command))


def _ends(number: int, seconds: float) -> bool:
    """Whether a child comes to its end within that time; its status stays to be fetched."""
    try:
        within(seconds, lambda: os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT))
    except TimeIsUp:
        return False
    return True


def _signal_group(number: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, which)


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")
