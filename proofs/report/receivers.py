"""Receivers on loopback for alerts and pings: real servers, which answer as they are told to."""

from __future__ import annotations

import json
import socketserver
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Receiver:
    """Takes POSTs and GETs; `status` is what it answers, `said` the body."""

    port: int = 0
    status: int = 200
    said: bytes = b"OK"
    posted: list[dict[str, Any]] = field(default_factory=list)
    got: list[tuple[str, str]] = field(default_factory=list)
    refusals: int = 0
    """So many requests more are refused with 503 before the status counts."""

    @property
    def titles(self) -> list[str]:
        """The titles of what was posted since the last time that they were asked for."""
        found = [str(one["title"]) for one in self.posted]
        self.posted.clear()
        return found


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A server on loopback, for the length of a block."""
    known = Receiver()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            known.posted.append({"path": self.path, **json.loads(self.rfile.read(int(self.headers["Content-Length"])))})
            self.answer()

        def do_GET(self) -> None:
            known.got.append((self.path, self.headers["User-Agent"]))
            self.answer()

        def answer(self) -> None:
            status = 503 if known.refusals else known.status
            known.refusals = max(known.refusals - 1, 0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(known.said)))
            self.end_headers()
            self.wfile.write(known.said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        known.port = server.server_port
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield known
        server.shutdown()


@contextmanager
def mailbox() -> Iterator[tuple[int, list[bytes]]]:
    """A mail server on loopback, for the length of a block: its port, and the letters that it has taken."""
    letters: list[bytes] = []

    class Postman(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline().strip().upper():
                if line == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    letters.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.wfile.write(b"221 bye\r\n" if line == b"QUIT" else b"250 yes\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Postman) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1], letters
        server.shutdown()
