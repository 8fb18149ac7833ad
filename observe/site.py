"""The site as a user reaches it: each configured path asked once a run, over one connection.

Serves the guide's `curl -I https://…` (which asks with HEAD, that some
applications refuse) and its health check.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell, NoAnswer
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import httpx

CAUSE = "site"
MOST_REDIRECTS = 5
MOST_BODY = 256 * 1024
"""Bytes of a page that are read; a longer page is cut, which nothing here minds."""

MOST_SENT = 4 * 1024**2
"""Bytes of an answer whose size is asked for; it has to be read to its end."""

_TLS = {
    9: "its certificate is not yet valid",
    10: "its certificate has expired",
    18: "its certificate is self-signed",
    19: "its chain ends in a self-signed certificate that isn't trusted",
    20: "its certificate is from an issuer that isn't trusted, or an intermediate is missing",
    21: "its certificate can't be verified: an intermediate is missing",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
"""OpenSSL's verification codes, in the operator's words."""


@dataclass(frozen=True)
class Page:
    """One answer of the site.

    Attributes:
        path: The path that was asked for.
        url: The address that finally answered.
        status: Its HTTP status.
        headers: Name (lower case) and value, in the order they came, repeated ones repeated.
        body: Its beginning, as text.
        protocol: `HTTP/1.1` or `HTTP/2`.
        hops: The redirects on the way: status and where to.
        seconds: How long it took, redirects included.
    """

    path: str
    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    protocol: str
    hops: tuple[tuple[int, str], ...]
    seconds: float

    def values(self, header: str) -> tuple[str, ...]:
        """All values of a header, each time it was sent."""
        return tuple(value for name, value in self.headers if name == header.lower())

    def header(self, name: str) -> str:
        """The first value of a header, empty when it isn't there."""
        return next(iter(self.values(name)), "")

    def row(self) -> dict[str, str]:
        """The answer for the report."""
        return {
            "path": self.path,
            "status": str(self.status),
            "protocol": self.protocol,
            "redirects": " → ".join(f"{status} {where}" for status, where in self.hops) or "none",
            "time": f"{self.seconds * 1000:.0f} ms",
        }


@dataclass(frozen=True)
class Sent:
    """One answer of the site as it went over the line, in HTTP/1.1.

    Attributes:
        status: Its HTTP status.
        size: Bytes of its body, compressed if it is, without what marks its chunks.
        framed: The same with the marks of chunks, which nginx counts in HTTP/1.1; as `size` where there are none.
        chunks: How many chunks it came in; 0 for a body in one piece.
    """

    status: int
    size: int
    framed: int
    chunks: int


class Site:
    """The site, asked on first use.

    Args:
        url: Its address, `https://…`; empty when the settings have none.
        agent: The user agent that marks this run's requests.
        seconds: Total time limit of each path, redirects included, in seconds.
        ca_file: A private CA to trust instead of the system's; None for the system's.
        connect_to: `address:port` to connect to instead of what the DNS says; empty for the DNS.
        http_connect_to: The same for plain HTTP.
        asked: Called before each request, so that the run is known before it leaves a trace.
    """

    def __init__(
        self,
        url: str,
        agent: str,
        seconds: float,
        *,
        ca_file: Path | None = None,
        connect_to: str = "",
        http_connect_to: str = "",
        asked: Callable[[], object] = lambda: None,
    ) -> None:
        self.url = url
        self._agent = agent
        self._seconds = seconds
        self._ca_file = ca_file
        self._addresses = {"https": connect_to, "http": http_connect_to}
        self._asked = asked
        self._client: httpx.Client | None = None
        self._seen: dict[tuple[str, str, bool], Page | NoAnswer] = {}
        self._answered: set[str] = set()
        self._dead: dict[str, NoAnswer] = {}
        self._silence: NoAnswer | None = None

    @property
    def host(self) -> str:
        """The site's name."""
        return urlsplit(self.url).hostname or ""

    @property
    def server_name(self) -> str:
        """The site's name as a server is asked for it: in ASCII, without the root's dot.

        Raises:
            ValueError: If it can't be written in ASCII, so that there is no such name.
        """
        host = self.host
        if not host.isascii():
            import httpx

            try:
                host = httpx.URL(self.url).raw_host.decode("ascii")
            except httpx.InvalidURL as error:
                raise ValueError(str(error)) from None
        return host.removesuffix(".")

    @property
    def endpoint(self) -> tuple[str, int]:
        """The address and the port that HTTPS is connected to."""
        return self._endpoint_of("https")

    def _endpoint_of(self, scheme: str) -> tuple[str, int]:
        address, _, port = self._addresses[scheme].rpartition(":")
        if port:
            return address.strip("[]"), int(port)
        return self.server_name, (urlsplit(self.url).port or 443) if scheme == "https" else 80

    @property
    def silence(self) -> NoAnswer | None:
        """That nothing ever came over HTTPS within the time limit, once that was waited for."""
        return self._silence

    def get(self, path: str) -> Page:
        """The answer to a GET of that path, after its redirects.

        Raises:
            CannotTell: If the site's address isn't set, or its CA can't be read.
            NoAnswer: If there is no answer: refused, unknown name, untrusted
                certificate, too late, redirected in a circle or elsewhere.
        """
        return self._once("https", path, follow=True)

    def get_itself(self, path: str) -> Page:
        """The answer to a GET of that path itself, redirects not followed.

        Raises:
            CannotTell: As with :meth:`get`.
            NoAnswer: Likewise.
        """
        return self._once("https", path, follow=False)

    def get_plain(self, path: str) -> Page:
        """The answer over plain HTTP, redirects not followed.

        Raises:
            CannotTell: As with :meth:`get`.
            NoAnswer: Likewise.
        """
        return self._once("http", path, follow=False)

    def sent(self, path: str, *, secure: bool = True, method: str = "GET", encoding: str = "identity") -> Sent:
        """How large an answer is on the line, over a connection of its own, redirects not followed.

        Args:
            path: What to ask for.
            secure: Over HTTPS, else over plain HTTP.
            method: GET, HEAD or OPTIONS.
            encoding: What is offered as `Accept-Encoding`.

        Raises:
            CannotTell: As with :meth:`get`, or if the answer is longer than :data:`MOST_SENT`.
            NoAnswer: If there is no answer, or none that ends as it should.
        """
        if not self.url:
            raise CannotTell("the site's address isn't set", mend="Set site.url in the target.", cause=CAUSE)
        scheme = "https" if secure else "http"
        if scheme in self._dead:
            raise self._dead[scheme].with_traceback(None)
        shown = f"{scheme}://{self._netloc(scheme)}{path}"
        trust = self.trust() if secure else None
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._netloc(scheme)}\r\nUser-Agent: {self._agent}\r\n"
            f"Accept: */*\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
        )
        self._asked()
        try:
            address, name = self._endpoint_of(scheme), self.server_name
            sent = within(self._seconds, lambda: _sent(address, self._seconds + 1, trust, name, head))
        except TimeIsUp as late:
            limit = say_span(timedelta(seconds=late.seconds))
            raise NoAnswer(f"{shown} did not answer within {limit}", cause=self._cause(scheme)) from None
        except (OSError, ValueError) as error:
            raise NoAnswer(f"{shown} does not answer: {reason(error)}", cause=self._cause(scheme)) from None
        self._answered.add(scheme)
        return sent

    def redirects(self, path: str) -> tuple[Page, str]:
        """The answer over plain HTTP, and what is wrong with it as a redirect (empty when nothing is).

        Raises:
            CannotTell: As with :meth:`get`.
            NoAnswer: Likewise.
        """
        page = self.get_plain(path)
        return page, redirect_trouble(page, self.url)

    def seconds_of(self, path: str, times: int) -> list[float]:
        """How long each of some answers to a GET of that path takes, in seconds, over a connection that stands.

        Raises:
            CannotTell: As with :meth:`get`.
            NoAnswer: Likewise, of whichever of them.
        """
        self.get(path)
        seconds: list[float] = []
        for _ in range(times):
            seen = self._attempt("https", path, follow=True)
            if isinstance(seen, NoAnswer):
                raise seen
            seconds.append(seen.seconds)
        return seconds

    def trust(self) -> ssl.SSLContext:
        """How a server is to prove itself: by a chain to a root that is trusted here, and by its name.

        Raises:
            CannotTell: If the site's CA can't be read.
        """
        try:
            context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        except (OSError, ssl.SSLError) as error:
            raise CannotTell(
                f"the CA file {self._ca_file} can't be read: {error.strerror or error}",
                mend="Set site.ca_file to a readable PEM file, or take it out to trust the system's CAs.",
                cause=CAUSE,
            ) from None
        # On from Python 3.13: it refuses certificates of private CAs that every other client takes.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def close(self) -> None:
        """Close the connections if any was opened."""
        if self._client is not None:
            self._client.close()

    def _once(self, scheme: str, path: str, *, follow: bool) -> Page:
        if not self.url:
            raise CannotTell("the site's address isn't set", mend="Set site.url in the target.", cause=CAUSE)
        key = (scheme, path, follow)
        if key not in self._seen:
            self._seen[key] = self._look(scheme, path, follow=follow)
        seen = self._seen[key]
        if isinstance(seen, NoAnswer):
            raise seen.with_traceback(None)
        return seen

    def _look(self, scheme: str, path: str, *, follow: bool) -> Page | NoAnswer:
        # A page that was asked for without a redirect on its way is the same page either way.
        other = self._seen.get((scheme, path, not follow))
        if isinstance(other, Page) and not other.hops and not 300 <= other.status < 400:
            return other
        return self._dead[scheme] if scheme in self._dead else self._attempt(scheme, path, follow=follow)

    def _attempt(self, scheme: str, path: str, *, follow: bool) -> Page | NoAnswer:
        """Ask once, now."""
        shown = f"{scheme}://{self._netloc(scheme)}{path}"
        client = self._open()
        self._asked()
        try:
            return within(self._seconds, lambda: self._walk(client, scheme, path, follow=follow))
        except TimeIsUp as late:
            # The client is still held by the request that was given up, and is left to it: closing its
            # socket would let it go on reading from whatever connection gets the same number next.
            self._client = None
            limit = say_span(timedelta(seconds=late.seconds))
            failure = NoAnswer(f"{shown} did not answer within {limit}", cause=self._cause(scheme))
            if scheme == "https" and scheme not in self._answered:
                self._silence = failure
        except NoAnswer as elsewhere:
            return elsewhere
        except Exception as error:  # noqa: BLE001  whatever the client raises, there was no answer
            failure = NoAnswer(f"{shown} does not answer: {reason(error)}", cause=self._cause(scheme))
            if not _is_about_connecting(error):
                return failure
        if scheme not in self._answered:
            # Nothing ever came from there: nobody need wait for it again.
            self._dead[scheme] = failure
        return failure

    def _cause(self, scheme: str) -> str:
        """One dead connection is one cause; a path that fails while others answer is its own."""
        return "" if scheme in self._answered else CAUSE if scheme == "https" else f"{CAUSE}-http"

    def _open(self) -> httpx.Client:
        if self._client is None:
            import httpx

            self._client = httpx.Client(
                http2=True,
                verify=self.trust(),
                trust_env=False,  # the runner's proxies and netrc say nothing about the site
                timeout=self._seconds + 1,  # per read; the total limit comes first, so that it is what is said
                headers={"User-Agent": self._agent, "Accept": "*/*"},
            )
        return self._client

    def _netloc(self, scheme: str) -> str:
        """Host and port; plain HTTP is asked for at its own port."""
        netloc = urlsplit(self.url).netloc
        return netloc if scheme == "https" else re.sub(r":[0-9]*$", "", netloc)

    def _walk(self, client: httpx.Client, scheme: str, path: str, *, follow: bool) -> Page:
        import httpx

        start = url = f"{scheme}://{self._netloc(scheme)}{path}"
        hops: list[tuple[int, str]] = []
        spent = 0.0
        while True:
            page = self._ask(client, url, path, tuple(hops), spent)
            spent = page.seconds
            where = page.header("location")
            if not follow or not (300 <= page.status < 400 and where):
                return page
            hops.append((page.status, where))
            try:
                url = str(httpx.URL(urljoin(url, where)))
                _ = urlsplit(url).port  # raises for one that can't be
            except (ValueError, httpx.InvalidURL):
                raise NoAnswer(f"{start} is redirected to {where[:200]!r}, which is no address") from None
            if len(hops) > MOST_REDIRECTS:
                raise NoAnswer(f"{start} is redirected over and over, lastly to {url[:200]}")
            if urlsplit(url).scheme != "https":
                raise NoAnswer(f"{start} is redirected to {url[:200]}, which isn't HTTPS")
            if not _same_site(urlsplit(url).hostname or "", self.host):
                raise NoAnswer(f"{start} is redirected to another site, {url[:200]}")

    def _ask(self, client: httpx.Client, url: str, path: str, hops: tuple[tuple[int, str], ...], spent: float) -> Page:
        import httpx

        wanted = httpx.URL(url)
        address = self._addresses[wanted.scheme]
        headers, extensions = {}, {}
        if address:
            host, _, port = address.rpartition(":")
            headers["Host"] = wanted.netloc.decode("ascii")
            extensions["sni_hostname"] = wanted.raw_host.decode("ascii")
            target = wanted.copy_with(host=host.strip("[]"), port=int(port))
        else:
            target = wanted
        try:
            with client.stream("GET", target, headers=headers, extensions=extensions) as answer:
                body = bytearray()
                for block in answer.iter_bytes():
                    body += block
                    if len(body) >= MOST_BODY:
                        break
        except (httpx.RemoteProtocolError, httpx.InvalidURL) as error:
            # The client reads where a redirect leads to, whether it is to follow it or not.
            if isinstance(error, httpx.RemoteProtocolError) and "location header" not in str(error):
                raise
            self._answered.add(wanted.scheme)
            raise NoAnswer(f"{url} is redirected to something that is no address: {error}") from None
        self._answered.add(wanted.scheme)
        return Page(
            path=path,
            url=url,
            status=answer.status_code,
            headers=tuple((name.lower(), value) for name, value in answer.headers.multi_items()),
            body=_text(bytes(body[:MOST_BODY]), answer.encoding),
            protocol=answer.http_version,
            hops=hops,
            seconds=spent + answer.elapsed.total_seconds() if answer.is_closed else spent,
        )


def _sent(address: tuple[str, int], seconds: float, trust: ssl.SSLContext | None, name: str, head: str) -> Sent:
    """Ask by hand: no client tells how many bytes a body had before it was put together.

    Raises:
        OSError: The connection failed, TLS included.
        ValueError: What came back was no HTTP, or ended too early.
        CannotTell: It was too long.
    """
    received = bytearray()
    with socket.create_connection(address, seconds) as plain:
        line = plain if trust is None else trust.wrap_socket(plain, server_hostname=name)
        with line:
            line.sendall(head.encode("ascii", "replace"))
            while not _is_whole(received, head) and (data := line.recv(64 * 1024)):
                received += data
                if len(received) > MOST_SENT:
                    raise CannotTell(
                        f"the page for a path that doesn't exist is longer than {say_bytes(MOST_SENT)}, "
                        "too long to be compared with what the log says of others"
                    )
    status, fields, body = _answer(bytes(received))
    if head.startswith("HEAD ") or status in {204, 304}:
        return Sent(status, 0, 0, 0)
    if "chunked" in fields.get("transfer-encoding", "").lower():
        size, framed, chunks = _dechunked(body)
        return Sent(status, size, framed, chunks)
    length = fields.get("content-length")
    if length is not None and int(length) > len(body):
        raise ValueError("its answer ends too early")
    size = len(body) if length is None else int(length)
    return Sent(status, size, size, 0)


def _is_whole(received: bytearray, head: str) -> bool:
    """Whether nothing more need be waited for, should the connection not be closed."""
    try:
        status, fields, body = _answer(bytes(received)) if b"\r\n\r\n" in received else (0, {}, b"")
    except ValueError:
        return False
    if not status or head.startswith("HEAD ") or status in {204, 304}:
        return bool(status)
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return body.endswith(b"0\r\n\r\n")
    return "content-length" in fields and len(body) >= int(fields["content-length"])


def _answer(received: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their names in lower case, and body; interim answers are passed over."""
    while True:
        head, end, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not end or not version.startswith("HTTP/") or not rest[:3].isdigit():
            raise ValueError("what it answers is no HTTP")
        if (status := int(rest[:3])) >= 200 or status == 101:
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if not fields.get("content-length", "0").isdecimal():
                raise ValueError("its Content-Length is no number")
            return status, fields, received


def _dechunked(body: bytes) -> tuple[int, int, int]:
    """Bytes of a body without and with the marks of its chunks, and how many there are."""
    size = position = chunks = 0
    while True:
        mark, end, _ = body[position : position + 1024].partition(b"\r\n")
        length = int(mark.partition(b";")[0].decode("latin-1"), 16)
        if not end or length < 0 or position + len(mark) + 2 + length > len(body):
            raise ValueError("its answer ends too early")
        position += len(mark) + 2 + length + 2
        if not length:
            return size, min(position, len(body)), chunks
        size, chunks = size + length, chunks + 1


def redirect_trouble(page: Page, site: str) -> str:
    """What is wrong with a plain HTTP answer that should lead to HTTPS; empty when nothing is.

    Args:
        page: The answer itself.
        site: The site's address, `https://…`.
    """
    where = page.header("location")
    if page.status not in {301, 308}:
        to = f" to {where[:200]}" if where else ""
        return f"is answered {page.status}{to}, no permanent redirect"
    if not where:
        return f"is answered {page.status} without an address to go to"
    try:
        target = urlsplit(urljoin(page.url, where))
    except ValueError:
        return f"is redirected to {where[:200]!r}, which is no address"
    if target.scheme != "https":
        return f"is redirected to {where[:200]}, which isn't HTTPS"
    if not _same_site(target.hostname or "", urlsplit(site).hostname or ""):
        return f"is redirected to another host: {where[:200]}"
    if unquote(target.path or "/") != unquote(urlsplit(page.url).path):
        return f"is redirected to another path: {where[:200]}"
    return ""


def _same_site(host: str, site: str) -> bool:
    """Whether a redirect stays with us: the same name, with or without `www.`."""
    one, other = (_ascii(name).removeprefix("www.") for name in (host, site))
    return one == other


def _ascii(host: str) -> str:
    """A name as it is asked for: `bücher.example` is `xn--bcher-kva.example`."""
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return host.lower()


def _text(body: bytes, encoding: str | None) -> str:
    """A body as text, whatever encoding its sender claims."""
    try:
        return body.decode(encoding or "utf-8", errors="replace")
    except (LookupError, ValueError):  # such as "rot13" or "idna", which Python knows and which are none
        return body.decode("utf-8", errors="replace")


def error_page(site: Site, candidates: Sequence[str]) -> Page:
    """An error page of the site: the first candidate that is answered with 400 or more.

    Raises:
        CannotTell: If every candidate is answered as if it existed, as some
            single-page applications do.
        NoAnswer: If the site doesn't answer.
    """
    for path in candidates:
        page = site.get_itself(path)
        if page.status >= 400:
            return page
    raise CannotTell(
        "no error page could be had: a path that doesn't exist is answered as if it did",
        mend="Set site.error_path to a path that is answered with an error, such as one below the API.",
    )


def _is_about_connecting(error: Exception) -> bool:
    """Whether there was no connection at all, so that no other path can fare better."""
    import httpx

    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def reason(error: BaseException) -> str:
    """Why there was no answer. The reason lies some causes deep, the outermost says least."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            said = _TLS.get(seen.verify_code, "its certificate can't be verified")
            return f"{said} ({seen.verify_message.strip().rstrip('.')})"
        if isinstance(seen, ssl.SSLError):
            return f"the TLS handshake failed ({seen.reason or seen})"
        if isinstance(seen, ConnectionRefusedError):
            return "connection refused"
        seen = seen.__cause__ or seen.__context__
    text = " ".join(str(error).split()) or type(error).__name__
    if "Name or service not known" in text or "Temporary failure in name resolution" in text or "No address" in text:
        return f"its name can't be resolved ({text})"
    return text[:300]
