"""A way to a port on loopback that is as long as one wants: whatever goes through waits, in either direction."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """A port that leads to another one, with a delay.

    Args:
        port: Where it leads to, on 127.0.0.1.
        seconds: How long everything takes, each way.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, port, seconds), daemon=True).start()
        yield int(server.getsockname()[1])


def _serve(server: socket.socket, port: int, seconds: float) -> None:
    while True:
        try:
            here, _ = server.accept()
        except OSError:
            return
        there = socket.create_connection(("127.0.0.1", port))
        for one in (here, there):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for one, other in ((here, there), (there, here)):
            waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
            threading.Thread(target=_take, args=(one, waiting, seconds), daemon=True).start()
            threading.Thread(target=_give, args=(other, waiting), daemon=True).start()


def _take(one: socket.socket, waiting: queue.Queue[tuple[float, bytes]], seconds: float) -> None:
    block = b"."
    while block:
        try:
            block = one.recv(65536)
        except OSError:
            block = b""
        waiting.put((time.monotonic() + seconds, block))


def _give(other: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
    while True:
        due, block = waiting.get()
        time.sleep(max(0.0, due - time.monotonic()))
        with contextlib.suppress(OSError):
            if not block:
                other.shutdown(socket.SHUT_WR)
                return
            other.sendall(block)
