"""Files of an access log, counted in processes of their own.

A worker is a program of its own and no fork: a fork of a process with threads
can hang. It inherits the open files, so that a rotation meanwhile changes
nothing, is given one file at a time and sends the counts back; when its input
ends, it does too. One that dies or answers nonsense costs time, never the
answer: the caller counts that file itself.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import struct
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from observe.access_scan import Job, Scanned, Stopped, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LENGTH = struct.Struct("<Q")
_LOOK_AROUND_S = 0.2
_CHUNK = 1024 * 1024
_ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parent.parent),
    # Blocks are taken from the system and given back a thousand times; kept, they need not be made zeros each time.
    "MALLOC_MMAP_THRESHOLD_": str(64 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
}


class Task(msgspec.Struct, frozen=True):
    """A job, and the number of the open file that it is about."""

    descriptor: int
    job: Job


class _Worker:
    """One process and what it is doing."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "observe.access_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            env={**os.environ, **_ENVIRONMENT},
            bufsize=0,
        )
        self.task = -1
        self._received = bytearray()

    @property
    def output(self) -> IO[bytes]:
        """What it answers with."""
        assert self.process.stdout is not None  # for the type checker
        return self.process.stdout

    def give(self, number: int, task: Task) -> None:
        """Hand over a task. If the process is dead, its output will say so."""
        self.task = number
        assert self.process.stdin is not None  # for the type checker
        with contextlib.suppress(OSError):
            _send(self.process.stdin, msgspec.msgpack.encode(task))

    def take(self) -> Scanned | None:
        """What it answers, once that is complete.

        Raises:
            OSError, EOFError, ValueError: It is dead, or answers nonsense.
        """
        data = os.read(self.output.fileno(), _CHUNK)
        if not data:
            raise EOFError
        self._received += data
        if len(self._received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._received)
        if len(self._received) < _LENGTH.size + length:
            return None
        answer = msgspec.msgpack.decode(self._received[_LENGTH.size :], type=Scanned)
        self._received.clear()
        return answer

    def end(self) -> None:
        """Kill it; it holds nothing that matters."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()


def run(tasks: Sequence[Task], workers: int, stopped: Callable[[], bool]) -> Iterator[tuple[int, Scanned | None]]:
    """Have tasks done by processes of their own.

    Args:
        tasks: What is to be done.
        workers: Processes at most.
        stopped: Asked several times a second; the processes are ended when it says yes.

    Yields:
        The number of a task and its counts, ``None`` where the process failed; in any order.

    Raises:
        Stopped: `stopped` said yes.
    """
    left = list(enumerate(tasks))[::-1]
    busy: list[_Worker] = []
    try:
        with contextlib.suppress(OSError):  # no more processes: those that there are do it
            busy.extend(_Worker([task.descriptor for task in tasks]) for _ in range(min(workers, len(tasks))))
        while busy and (left or any(worker.task >= 0 for worker in busy)):
            for worker in busy:
                if left and worker.task < 0:
                    worker.give(*left.pop())
            if stopped():
                raise Stopped
            yield from _answers(busy)
    finally:
        for worker in busy:
            worker.end()
    for number, _ in reversed(left):
        yield number, None


def _answers(busy: list[_Worker]) -> Iterator[tuple[int, Scanned | None]]:
    """What has come in; whoever is dead or talks nonsense is sent away."""
    for worker in _readable(busy):
        number = worker.task
        try:
            answer = worker.take()
        except (OSError, EOFError, ValueError):
            busy.remove(worker)
            worker.end()
            yield number, None
            continue
        if answer is not None:
            worker.task = -1
            yield number, answer


def _readable(workers: Sequence[_Worker]) -> list[_Worker]:
    """Those that have sent something, or are dead."""
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.output, selectors.EVENT_READ, worker)
        return [key.data for key, _ in selector.select(_LOOK_AROUND_S)]


def _send(pipe: IO[bytes], payload: bytes) -> None:
    data = memoryview(_LENGTH.pack(len(payload)) + payload)
    while data:
        data = data[pipe.write(data) :]


def _receive(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    return pipe.read(length)


def main() -> None:
    """Count what comes in on the standard input."""
    while (message := _receive(sys.stdin.buffer)) is not None:
        task = msgspec.msgpack.decode(message, type=Task)
        with os.fdopen(task.descriptor, "rb", buffering=0, closefd=False) as handle:
            scanned = scan(handle, task.job, lambda: False)
        _send(sys.stdout.buffer, msgspec.msgpack.encode(scanned))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
