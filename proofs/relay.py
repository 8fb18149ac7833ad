"""A relay between the suite and a server of the lab: it counts connections, keeps silent, or drips.

It listens on loopback or on a unix socket of the proof's own.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from pathlib import Path

Mode = Literal["forward", "silent", "drip"]
Place = tuple[str, int] | str


@dataclass
class Relay:
    """A listener that passes on to `behind` what it gets, or doesn't.

    Attributes:
        behind: Where to pass it on to: host and port, or the path of a unix socket.
        mode: `forward` passes on; `silent` accepts and never answers; `drip` sends
            `first` at once and then a byte a second.
        first: What `drip` begins with.
        accepted: How many connections there were.
        heard: What the clients said, all of it, when it was passed on.
    """

    behind: Place | None = None
    mode: Mode = "forward"
    first: bytes = b"H"
    unix: Path | None = None
    accepted: int = 0
    heard: bytearray = field(default_factory=bytearray)
    _open: list[socket.socket] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        if self.unix is not None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(self.unix))
        else:
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for one in (self._listener, *self._open):
            # A thread of ours may be waiting in it: shutting down wakes it.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break off the connections that there are."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._done.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(client)
            if self.mode == "forward":
                self._forward(client)
            elif self.mode == "drip":
                threading.Thread(target=self._drip, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        assert self.behind is not None
        if isinstance(self.behind, str):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(self.behind)
        else:
            server = socket.create_connection(self.behind)
        self._open.append(server)
        for one, other, heard in ((client, server, self.heard), (server, client, bytearray())):
            threading.Thread(target=_pump, args=(one, other, heard), daemon=True).start()

    def _drip(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client.recv(65536)
            client.sendall(self.first)
            while not self._done.is_set():
                time.sleep(1)
                client.sendall(b" ")


def _pump(source: socket.socket, sink: socket.socket, heard: bytearray) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            heard += block
            sink.sendall(block)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
