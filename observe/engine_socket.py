"""A request to the engine over its unix socket whose answer is long: a container's log.

The SDK's session takes the body apart chunk by chunk, which costs more than
what is done with it. A request of HTTP/1.0 is answered without chunks: the
body ends where the connection does. Everything else is asked through the SDK.
"""

from __future__ import annotations

import contextlib
import json
import socket
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 64 * 1024


class EngineSocket(HTTPConnection):
    """One connection for one request; use it in a `with` statement.

    Args:
        path: The socket.
        seconds: Time limit of each read, in seconds; a total one is the caller's.
    """

    _http_vsn = 10
    _http_vsn_str = "HTTP/1.0"

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Connect to the socket.

        Raises:
            OSError: If there is none, nobody listens or it is not allowed.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def answer(self, target: str) -> tuple[str, Iterator[bytes]]:
        """Ask for something.

        Args:
            target: Path and query.

        Returns:
            What the engine says instead of an answer, empty if it answers; and the answer in blocks.

        Raises:
            OSError: If the connection fails, or a read takes too long.
            http.client.HTTPException: If what comes is no HTTP.
        """
        self.request("GET", target)
        response = self.getresponse()
        if response.status == 200:
            return "", iter(lambda: response.read1(_BLOCK), b"")
        body = response.read(_BLOCK)
        try:
            said = str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            said = response.reason
        return said or str(response.status), iter(())

    def give_up(self) -> None:
        """Let whoever reads come to an end; the socket itself is closed by them."""
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)
