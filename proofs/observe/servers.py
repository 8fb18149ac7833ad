"""Servers on loopback that behave as servers do, and as they should not; certificates likewise."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

NAME = "site.test"
DAY = timedelta(days=1)
KEYS: dict[str, Callable[[], Key]] = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


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
        key: Its key, where it is another authority's that is to be vouched for twice.
        ends: Until when it is valid, from now.
    """

    def __init__(
        self,
        directory: Path,
        name: str = "Root",
        above: Authority | None = None,
        *,
        key: Key | None = None,
        ends: timedelta = 30 * DAY,
    ) -> None:
        self._directory = directory
        self._name = _named(name)
        self.key = key or KEYS["ec"]()
        signer = above or self
        self.certificate = self._sign(self._name, self.key, (-DAY, ends), signer, authority=True)
        self._chain = [] if above is None else [self.certificate]
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(pem(self.certificate))

    def leaf(
        self,
        *names: str,
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
        by_itself: bool = False,
        kind: str = "ec",
        common: str = "",
    ) -> tuple[x509.Certificate, Key]:
        """A certificate for these names and addresses, with its key.

        Args:
            names: What it is for; may be empty.
            begins: From when it is valid, from now.
            ends: Until when.
            by_itself: Whether it is self-signed.
            kind: One of :data:`KEYS`.
            common: Its common name; the first of the names when not given.
        """
        key = KEYS[kind]()
        subject = _named(common or names[0])
        signer = None if by_itself else self
        return self._sign(subject, key, (begins, ends), signer, authority=False, names=names), key

    def context(
        self,
        *names: str,
        chain: bool = True,
        protocols: tuple[str, ...] = (),
        sends: Sequence[x509.Certificate] | None = None,
        **leaf: Any,  # noqa: ANN401  leaf's own
    ) -> ssl.SSLContext:
        """How a server speaks TLS with a certificate for these names.

        Args:
            names: As in :meth:`leaf`; :data:`NAME` when neither they nor a common name are given.
            chain: Whether the authority's own certificate is sent, where another signed it.
            protocols: What it speaks, for ALPN.
            sends: What is sent after the certificate, in place of the chain.
            leaf: More for :meth:`leaf`.
        """
        certificate, key = self.leaf(*(names or (() if "common" in leaf else (NAME,))), **leaf)
        behind = sends if sends is not None else self._chain if chain else []
        return serving(self._directory, key, [certificate, *behind], protocols)

    def _sign(
        self,
        subject: x509.Name,
        key: Key,
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
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
        signing = key if signer is None else signer.key
        return builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def serving(
    directory: Path, key: Key, certificates: Sequence[x509.Certificate], protocols: tuple[str, ...] = ()
) -> ssl.SSLContext:
    """How a server speaks TLS that sends these certificates, its own first."""
    file = directory / "server.pem"
    file.write_bytes(key_pem(key) + pem(*certificates))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def pem(*certificates: x509.Certificate) -> bytes:
    """Certificates as a file holds them."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def key_pem(key: Key) -> bytes:
    """A key as a file holds it."""
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)


def _named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
