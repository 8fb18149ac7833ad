"""The gate that a scanner has to go through: to the target's own site and nowhere else, so often, so fast, so long.

It is a proxy on loopback. The scanner asks it for a tunnel to the site; the
gate ends the tunnel's TLS itself, with a certificate that is made for that, so
that it sees each request, and asks the site in the scanner's place over TLS
that is verified. What it lets through only reads (GET and HEAD), lies outside
of what is left out, and carries the run's user agent. Whatever a scanner's own
options promise, its bounds are here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import posixpath
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit

from observe.deadline import TimeIsUp, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from observe.site import Site

MOST_BODY = 2 * 1024**2
"""Bytes of an answer that a scanner is given; a page that can be attacked is shorter."""
ELSEWHERE, LEFT_OUT, WRITES, CUT = "elsewhere", "left out", "not only reading", "after the end"
"""Why a request isn't let through."""
REFUSALS = frozenset({429, 503})
"""How a site answers that is asked too much."""
_IDLE_SECONDS = 60.0
_MOST_PAGES = 100_000
_MOST_REFUSED = 2000
_PORT = 443
_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade", "content-length"),
    }
)
"""Headers that are between two neighbours on the way."""


@dataclass(frozen=True)
class Bounds:
    """What a scanner may ask for.

    Attributes:
        agent: The user agent of each request, which marks the run's traffic.
        requests: How many requests, at most.
        per_second: How many in a second, at most, evenly.
        seconds: For how long.
        answer: Total time limit of one answer, in seconds.
        leave_out: What the paths begin with that are not asked for.
    """

    agent: str
    requests: int
    per_second: float
    seconds: float
    answer: float
    leave_out: tuple[str, ...] = ()

    def within(self, seconds: float) -> Bounds:
        """The same for another time."""
        return replace(self, seconds=seconds)

    def leaves_out(self, target: str) -> bool:
        """Whether a request's target is one of those, however it is written."""
        once = unquote(target.partition("?")[0])
        return any(_begins(plain(path), one) for path in (once, unquote(once)) for one in self.leave_out)


def plain(path: str) -> str:
    """A path as a server takes it: no doubled slashes, no dots; in small letters, as some servers don't mind."""
    shortest = posixpath.normpath("/" + path.replace("\\", "/").lstrip("/")).casefold()
    return shortest + "/" if path.endswith("/") and shortest != "/" else shortest


def _begins(path: str, prefix: str) -> bool:
    prefix = prefix.casefold()
    return path.startswith(prefix) or path == prefix.rstrip("/")


@dataclass(frozen=True)
class Passed:
    """What went through a gate.

    Attributes:
        requests: How many requests were let through.
        pages: How many different paths were answered with a page (2xx).
        with_query: How many of these were asked for with parameters.
        answers: How many answers there were of each status.
        unanswered: How many requests got no answer.
        refused: How many requests were not let through, by why.
        cut: Which bound was reached, `requests` or `time`; empty if none was.
        refused_paths: Which paths the site refused (4xx), as an application logs them; not all where there are many.
    """

    requests: int
    pages: int
    with_query: int
    answers: Mapping[int, int]
    unanswered: int
    refused: Mapping[str, int]
    cut: str
    refused_paths: frozenset[str] = frozenset()

    @property
    def turned_away(self) -> int:
        """How many requests the site didn't look at: it refused them, or didn't answer."""
        return self.unanswered + sum(number for status, number in self.answers.items() if status in REFUSALS)


@dataclass
class _Counted:
    """The same while it goes on."""

    requests: int = 0
    next_at: float = 0.0
    pages: set[str] = field(default_factory=set)
    with_query: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cut: str = ""
    refused_paths: set[str] = field(default_factory=set)


class Gate:
    """The gate; use it in a `with` statement.

    Args:
        site: Where it leads to.
        bounds: What it lets through.

    Raises:
        CannotTell: On entering, if the site's CA can't be read.
    """

    def __init__(self, site: Site, bounds: Bounds) -> None:
        self._site = site
        self._bounds = bounds
        self._counted = _Counted()
        self._lock = threading.Lock()
        self._ends = 0.0
        self._port = urlsplit(site.url).port or _PORT

    def __enter__(self) -> Self:
        self._trust = self._site.trust()
        # What is spoken here is HTTP/1.1.
        self._trust.set_alpn_protocols(["http/1.1"])
        self.tls = _certified(self._site.server_name)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.gate = self
        self._ends = time.monotonic() + self._bounds.seconds
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="gate", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port on loopback."""
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """Its address as a proxy."""
        return f"http://127.0.0.1:{self.port}"

    def passed(self) -> Passed:
        """What went through until now."""
        with self._lock:
            seen = self._counted
            return Passed(
                requests=seen.requests,
                pages=len(seen.pages),
                with_query=len(seen.with_query),
                answers=dict(seen.answers),
                unanswered=seen.unanswered,
                refused=dict(seen.refused),
                cut=seen.cut,
                refused_paths=frozenset(seen.refused_paths),
            )

    def leads_to(self, address: str) -> bool:
        """Whether an address that a tunnel is asked for is the site's; what isn't is counted."""
        host, _, port = address.rpartition(":")
        own = host.strip("[]").removesuffix(".").lower() == self._site.server_name.lower() and port == str(self._port)
        if not own:
            self.refuse(ELSEWHERE)
        return own

    def refuse(self, why: str) -> None:
        """Count a request that isn't let through."""
        with self._lock:
            self._counted.refused[why] += 1

    def lets_through(self, target: str) -> bool:
        """Whether a request that only reads may go on; it is counted, and it waits for its turn."""
        if not target.startswith("/"):
            self.refuse(ELSEWHERE)
            return False
        if self._bounds.leaves_out(target):
            self.refuse(LEFT_OUT)
            return False
        with self._lock:
            seen, now = self._counted, time.monotonic()
            turn = max(now, seen.next_at)
            if not seen.cut and (seen.requests >= self._bounds.requests or turn >= self._ends):
                seen.cut = "requests" if seen.requests >= self._bounds.requests else "time"
            if seen.cut:
                seen.refused[CUT] += 1
                return False
            seen.requests += 1
            seen.next_at = turn + 1 / self._bounds.per_second
        time.sleep(turn - now)
        return True

    def ask(self, method: str, target: str, headers: Iterable[tuple[str, str]]) -> Answer | None:
        """What the site answers; None if it doesn't."""
        sockets: list[socket.socket] = []
        try:
            answer = within(
                self._bounds.answer,
                lambda: self._asked(method, target, headers, sockets),
                give_up=lambda: _shut(sockets),
            )
        except (OSError, HTTPException, TimeIsUp, ValueError):
            with self._lock:
                self._counted.unanswered += 1
            return None
        with self._lock:
            self._counted.answers[answer.status] += 1
            if 400 <= answer.status < 500 and len(self._counted.refused_paths) < _MOST_REFUSED:
                self._counted.refused_paths.add(unquote(target.partition("?")[0]))
            if 200 <= answer.status < 300 and len(self._counted.pages) < _MOST_PAGES:
                path, _, query = target.partition("?")
                self._counted.pages.add(path)
                if "=" in query:
                    self._counted.with_query.add(path)
        return answer

    def _asked(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], sockets: list[socket.socket]
    ) -> Answer:
        seconds = self._bounds.answer
        name = self._site.server_name
        with contextlib.closing(HTTPConnection(name, timeout=seconds)) as connection:
            raw = socket.create_connection(self._site.endpoint, timeout=seconds)
            sockets.append(raw)
            connection.sock = self._trust.wrap_socket(raw, server_hostname=name)
            sockets[:] = [connection.sock]
            connection.putrequest(method, _ascii(target), skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", name if self._port == _PORT else f"{name}:{self._port}")
            connection.putheader("User-Agent", self._bounds.agent)
            for header, value in headers:
                if header.lower() not in _HOP | {"host", "user-agent"}:
                    connection.putheader(header, value)
            connection.putheader("Connection", "close")
            connection.endheaders()
            said = connection.getresponse()
            body = said.read(MOST_BODY)
            kept = tuple((header, " ".join(value.split())) for header, value in said.getheaders())
            return Answer(said.status, kept, body)


@dataclass(frozen=True)
class Answer:
    """What the site answered: its status, its headers, the beginning of its body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    gate: Gate

    def handle_error(self, request: object, client_address: object) -> None:
        """A scanner that hangs up is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of the scanner's."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: _Server
    _inside = False

    def do_CONNECT(self) -> None:
        """Make a tunnel, and end its TLS here."""
        if self._inside or not self.server.gate.leads_to(self.path):
            self._hang_up()
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.connection = self.server.gate.tls.wrap_socket(self.connection, server_side=True)
        self.connection.settimeout(_IDLE_SECONDS)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self._inside, self.close_connection = True, False

    def do_GET(self) -> None:
        """Ask the site in the scanner's place."""
        gate = self.server.gate
        if not self._inside:
            # Plain HTTP is another server's port, or another site's.
            gate.refuse(ELSEWHERE)
            self._hang_up()
            return
        if not gate.lets_through(self.path):
            self._hang_up()
            return
        answer = gate.ask(self.command, self.path, self.headers.items())
        if answer is None:
            self._hang_up()
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815  the library's name

    def do_POST(self) -> None:
        """Let nothing through that may change something."""
        self.server.gate.refuse(WRITES)
        self._hang_up()

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_POST  # noqa: N815  likewise

    def send_error(self, *_: object) -> None:
        """What is no HTTP, or a method that nobody knows."""
        self.server.gate.refuse(WRITES)
        self._hang_up()

    def _hang_up(self) -> None:
        """Give no answer: one of ours would be taken for the site's, and found wanting."""
        self.close_connection = True

    def finish(self) -> None:
        """End the tunnel's TLS as well: the server closes only what it has accepted."""
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _shut(sockets: Iterable[socket.socket]) -> None:
    for one in sockets:
        one.shutdown(socket.SHUT_RDWR)


def _ascii(target: str) -> str:
    """A request's target in ASCII; it was read as Latin-1."""
    return target if target.isascii() else quote(target.encode("latin-1"), safe="!\"#$%&'()*+,/:;<=>?@[\\]^_`{|}~-.")


def _certified(name: str) -> ssl.SSLContext:
    """TLS under a certificate for that name that nobody but the scanner sees, which doesn't verify it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "operations checks")])
    alternative: x509.GeneralName
    try:
        alternative = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="ops-checks-gate-") as scratch:
        # The library takes them from a file only.
        file = Path(scratch, "both.pem")
        file.touch(mode=0o600)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(file)
    return context
