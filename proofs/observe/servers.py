"""Servers on loopback that behave as servers do, and as they should not; certificates likewise."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

NAME = "site.test"
DAY = timedelta(days=1)


class Loopback:
    """Does with each connection what a function says, in a thread of its own, until it is left.

    Args:
        behave: Gets the connection; returns when it is to be closed.
        tls: Speaks TLS with this before.
        at: Listens on this unix socket instead of a port on loopback.
    """

    def __init__(
        self, behave: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None, at: Path | None = None
    ) -> None:
        self._behave = behave
        self._tls = tls
        self._at = at
        self._open: list[socket.socket] = []
        self.connections = 0
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        if self._at is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._at))
            self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def address(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Who hangs up on us, or doesn't trust us, is what the proofs are about.
        with contextlib.suppress(OSError, ValueError), connection:
            if self._tls is None:
                self._behave(connection)
                return
            with self._tls.wrap_socket(connection, server_side=True) as secured:
                self._behave(secured)


def silent(connection: socket.socket) -> None:
    """Takes what comes and never answers."""
    while connection.recv(65536):
        pass


def dripping(beginning: bytes, drop: bytes = b"x", every: float = 0.05) -> Callable[[socket.socket], None]:
    """Answers the beginning at once and then a drop after the other, for ever."""
    pause = threading.Event()

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(beginning)
        while not pause.wait(every):
            connection.sendall(drop)

    return behave


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Http:
    """A small HTTP/1.1 server: answers each path with what was laid down for it, 404 otherwise."""

    answers: dict[str, bytes]
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, connection: socket.socket) -> None:
        held = b""
        while True:
            while b"\r\n\r\n" not in held:
                block = connection.recv(65536)
                if not block:
                    return
                held += block
            head, _, held = held.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            self.asked.append(Asked(method, path, headers))
            connection.sendall(self.answers.get(path, answer(404, "not found")))


def answer(status: int, body: str | bytes = b"", *headers: tuple[str, str]) -> bytes:
    """An answer as it goes over the wire."""
    raw = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(raw)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def redirect(where: str, status: int = 302) -> bytes:
    """An answer that leads elsewhere."""
    return answer(status, b"", ("Location", where))


class Authority:
    """A certificate authority of one proof.

    Args:
        directory: Where its files are written.
        name: Its common name.
        above: Who signs it; None for itself.
    """

    def __init__(self, directory: Path, name: str = "Root", above: Authority | None = None) -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        signer = above or self
        self._certificate = self._sign(self._name, self._key, (-DAY, 30 * DAY), signer, authority=True)
        self._chain = [] if above is None else [self._certificate]
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def context(
        self,
        *names: str,
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
        by_itself: bool = False,
        chain: bool = True,
        protocols: tuple[str, ...] = (),
    ) -> ssl.SSLContext:
        """How a server speaks TLS with a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names or (NAME,))[0])])
        certificate = self._sign(
            subject, key, (begins, ends), None if by_itself else self, authority=False, names=names or (NAME,)
        )
        file = self._directory / "server.pem"
        encoding = serialization.Encoding.PEM
        certificates = [certificate, *(self._chain if chain else [])]
        file.write_bytes(
            key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + b"".join(one.public_bytes(encoding) for one in certificates)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        valid: tuple[timedelta, timedelta],
        signer: Authority | None,
        *,
        authority: bool,
        names: tuple[str, ...] = (),
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if signer is None else signer._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + valid[0])
            .not_valid_after(now + valid[1])
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            alternatives = [x509.IPAddress(ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(key if signer is None else signer._key, hashes.SHA256())
