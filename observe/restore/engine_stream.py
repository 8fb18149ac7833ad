"""A connection to the engine that becomes a process's own: its input one way, what it says the other.

The SDK can hand over such a connection's socket, but not what it has read from
it by then: the first words of a process that speaks at once would be lost.
"""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self, cast
from urllib.parse import urlsplit

from observe.engine_socket import EngineSocket
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAME = 8
_BLOCK = 64 * 1024
OUT, ERR = 1, 2
"""What a process prints, and what it prints on its standard error."""


@dataclass(frozen=True)
class Place:
    """Where the engine listens.

    Attributes:
        socket: The unix socket; None when it is reached by TCP.
        url: The SDK's address of it.
        version: The version of the API that was agreed on.
    """

    socket: str | None
    url: str
    version: str

    def must_stream(self) -> None:
        """Insist that a process's input can be ended without ending the connection.

        Raises:
            CannotTell: If it can't.
        """
        if self.socket is None and not self.url.startswith("http://"):
            raise CannotTell(
                "a backup can't be streamed to an engine that is reached by TLS or by the SDK's own ssh",
                mend="Forward its socket (`ssh -L /run/engine.sock:/var/run/docker.sock`) and set engine.url to that.",
                cause="engine",
            )


class EngineStream(EngineSocket):
    """One such connection; use it in a `with` statement.

    Args:
        place: Where the engine listens.
        seconds: Time limit of each read and write, in seconds; a total one is the caller's.
    """

    _http_vsn = 11
    _http_vsn_str = "HTTP/1.1"

    def __init__(self, place: Place, seconds: float) -> None:
        super().__init__(place.socket or "", seconds)
        self._place = place
        self._from: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def connect(self) -> None:
        """Connect to the engine.

        Raises:
            OSError: If nobody listens or it is not allowed.
        """
        if self._place.socket is not None:
            super().connect()
            return
        address = urlsplit(self._place.url)
        self.sock = socket.create_connection((address.hostname or "localhost", address.port or 2375), self.timeout)

    def open(self, target: str, body: object = None) -> None:
        """Ask for the stream.

        Args:
            target: Path and query, without the version.
            body: What is sent along, as JSON.

        Raises:
            OSError: If the connection fails, or is refused.
            http.client.HTTPException: If what comes is no HTTP.
        """
        headers = {"Connection": "Upgrade", "Upgrade": "tcp", "Content-Type": "application/json"}
        self.request("POST", f"/v{self._place.version}/{target}", json.dumps(body or {}).encode(), headers)
        answer = self.getresponse()
        if answer.status not in {101, 200}:
            said = answer.read(_BLOCK).decode("utf-8", errors="replace")
            raise OSError(f"the engine answered {answer.status}: {' '.join(said.split())[:300]}")
        # What follows the head may have been read with it, and is in there.
        self._from = cast("BinaryIO", answer.fp)

    def send_on(self, data: bytes) -> None:
        """Put in.

        Raises:
            OSError: If nobody takes it any more, or not in time.
        """
        self.sock.sendall(data)

    def end_input(self) -> None:
        """Say that nothing more comes; what the process says can still be read."""
        sock = self.sock  # None once it is closed, which another thread may do
        if sock is not None:
            with contextlib.suppress(OSError):  # it has ended already
                sock.shutdown(socket.SHUT_WR)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """What comes out, and from which of the two, until it ends.

        Raises:
            OSError: If the connection breaks.
        """
        while (head := self._exactly(_FRAME)) is not None:
            left = int.from_bytes(head[4:], "big")
            while left:
                data = self._read(min(left, _BLOCK))
                if not data:
                    return
                left -= len(data)
                yield head[0], data

    def _exactly(self, number: int) -> bytes | None:
        data = b""
        while len(data) < number:
            more = self._read(number - len(data))
            if not more:
                return None
            data += more
        return data

    def _read(self, number: int) -> bytes:
        assert self._from is not None
        return self._from.read1(number)  # type: ignore[attr-defined,no-any-return]
