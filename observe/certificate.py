"""The site's certificate, as it lies on disk and as it is served.

Serves the guide's `openssl x509 -in …/fullchain.pem -noout -dates`, which reads
one of the chain's certificates, and not the one that visitors get.

Dates are read here and held against the clock; names are held against the
site's name here; whether there is a way to a trusted root is OpenSSL's own
verdict, since other verifiers refuse what clients accept. The three are kept
apart, so that each says what is wrong with itself alone.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import socket
import ssl
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise
from typing import TYPE_CHECKING

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell, NoAnswer
from observe.site import CAUSE, reason
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from observe.site import Site

DISK, SERVED = "disk", "served"
"""Where a certificate is looked at."""
DISK_CAUSE = "certificate-file"
MOST_BYTES = 1024 * 1024
"""A file with more bytes than this is no certificate with its chain."""

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_CERTIFICATES = {b"CERTIFICATE", b"X509 CERTIFICATE"}
_DER = b"\x30\x82"
"""What a certificate of a usual length begins with in DER."""
_UNKNOWN_ISSUER = {2, 20, 21}
"""OpenSSL's codes for a chain that leads to nobody known."""
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: dates are judged here, by the run's clock."""
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_STARRED = re.compile(r"[a-z0-9-]+")
"""What a star may stand for, as OpenSSL has it."""
_MEND = (
    "Let the user of this run read it, or set certificate.file to the chain that the proxy reads; "
    "where somebody else ends TLS, set certificate.on_disk = false."
)


@dataclass(frozen=True)
class Certificate:
    """One certificate.

    Attributes:
        name: Its subject, as short as it can be said.
        issuer: Its issuer, likewise.
        hosts: The names that it is for, in ASCII; empty for an authority's.
        addresses: The IP addresses that it is for.
        begins: From when it is valid, aware, in UTC.
        ends: Until when, likewise.
        serial: Its serial number in hexadecimal.
        fingerprint: SHA-256 of it, in hexadecimal.
        key: The kind and size of its key: `ECDSA P-256`, `RSA 2048`.
        self_issued: Whether subject and issuer are the same.
        der: The certificate itself.
    """

    name: str
    issuer: str
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    begins: datetime
    ends: datetime
    serial: str
    fingerprint: str
    key: str
    self_issued: bool
    der: bytes = field(repr=False)

    @property
    def period(self) -> str:
        """From when to when it is valid."""
        return f"valid from {_moment(self.begins)} to {_moment(self.ends)}"

    def row(self, where: str, now: datetime) -> dict[str, str]:
        """The certificate for the report."""
        return {
            "where": where,
            "certificate": self.name,
            "issuer": self.issuer,
            "valid from": _moment(self.begins),
            "until": _moment(self.ends),
            "left": say_span(self.ends - now),
            "key": self.key,
            "serial": self.serial,
            "sha256": self.fingerprint,
        }


@dataclass(frozen=True)
class Lasting:
    """How long the certificates of a chain are valid: the first of them to end counts.

    Attributes:
        thing: The certificate that counts.
        left: How much longer it is valid; negative when it has ended.
        begun: Whether every certificate is already valid.
        said: What was seen, in words.
    """

    thing: str
    left: timedelta
    begun: bool
    said: str


@dataclass(frozen=True)
class Chain:
    """A certificate with those that vouch for it.

    Attributes:
        where: :data:`DISK` or :data:`SERVED`.
        place: The file, or the address that served it.
        certificates: The site's own first.
        skipped: Blocks of the file that are no certificates, and were not read.
    """

    where: str
    place: str
    certificates: tuple[Certificate, ...]
    skipped: int = 0

    @property
    def leaf(self) -> Certificate:
        """The site's own certificate."""
        return self.certificates[0]

    @property
    def looked_at(self) -> str:
        """The denominator: how many certificates, of where."""
        count = len(self.certificates)
        certificates = f"{count} certificate{'s' if count != 1 else ''}"
        skipped = f", {self.skipped} other block{'s' if self.skipped != 1 else ''} skipped" if self.skipped else ""
        return f"{certificates} {'in' if self.where == DISK else 'sent by'} {self.place}{skipped}"

    def lasting(self, now: datetime) -> Lasting:
        """How long it is valid, at that time (aware).

        All that is handed out counts, also what this machine's OpenSSL would go round: other clients may not.
        """
        late = max(self.certificates, key=lambda one: one.begins)
        first = min(self.certificates, key=lambda one: one.ends)
        begun = late.begins <= now
        one = first if begun or first.ends <= now else late
        left = one.ends - now
        if one is late and not begun:
            said = f"not valid before {_moment(one.begins)}, {say_span(one.begins - now)} from now"
        elif left < timedelta(0):
            said = f"ended {_moment(one.ends)}, {say_span(-left)} ago"
        else:
            said = f"valid until {_moment(one.ends)}, {say_span(left)} more"
        part = "" if one is self.leaf else f", which vouches for {self.leaf.name},"
        return Lasting(f"certificate {one.name}{part} {_on(self.where)}", left, begun, said)

    def rows(self, now: datetime) -> list[dict[str, str]]:
        """The certificates for the report, at that time (aware)."""
        return [one.row(_on(self.where), now) for one in self.certificates]


@dataclass(frozen=True)
class Served:
    """What a server shows when it is asked for the site.

    Attributes:
        chain: What it sent.
        host: The site's name, in ASCII.
        code: OpenSSL's verification code of the chain, dates and names left out; 0 when it is trusted.
        words: What the code means.
        path: The way to a trusted root that OpenSSL took, the site's own certificate first; empty when
            there is none, or when this Python can't say.
        whole: Whether all that was sent could be read, and not the site's own certificate alone.
    """

    chain: Chain
    host: str
    code: int
    words: str
    path: tuple[Certificate, ...]
    whole: bool = True

    @property
    def chain_trouble(self) -> str:
        """Why clients can't follow the chain to a root; empty when they can."""
        sent = self.chain.certificates
        if self.code in _UNKNOWN_ISSUER:
            return f"{self.words}; the last of {len(sent)} sent is from {sent[-1].issuer}"
        if self.code:
            return self.words
        for position, one in enumerate(sent[1:], start=1):
            # Ways beside each other are right: one key that two authorities vouch for.
            if not any(issued(one, other) for other in sent[:position]):
                return f"its chain has {one.name} as certificate {position + 1}, which vouches for none before it"
        # OpenSSL also takes what it needs from those that are trusted here, and a visitor may not have it.
        lent = [
            one.name
            for below, one in pairwise(self.path)
            if not one.self_issued and not any(issued(other, below) for other in sent)
        ]
        if lent and self.whole:
            return f"its chain lacks {' and '.join(lent)}, which isn't sent and happens to be known on this machine"
        return ""

    @property
    def name_trouble(self) -> str:
        """Why the certificate isn't for the site; empty when it is."""
        leaf = self.chain.leaf
        if covers(leaf, self.host):
            return ""
        names = [*leaf.hosts, *leaf.addresses]
        if not names:
            return f"it is for no name at all (its common name is none), and not for {self.host}"
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return f"it is for {', '.join(name[:100] for name in names[:5])}{more}, not for {self.host}"


@dataclass(frozen=True)
class Serving:
    """What is served, held against what lies on disk.

    Attributes:
        served: What is served.
        troubles: What is wrong, in words.
        rows: Each thing that was looked at and what was seen, for the report.
        looked_at: The denominator.
        unseen: Why what lies on disk could not be seen; None when it was, or isn't to be.
    """

    served: Served
    troubles: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    looked_at: str
    unseen: CannotTell | None

    @property
    def said(self) -> str:
        """What was seen, in words."""
        return "; ".join(self.troubles) or "; ".join(row["seen"] for row in self.rows)

    def must_be_whole(self) -> None:
        """Refuse to call it right when only the served one was seen.

        Raises:
            CannotTell: If what lies on disk could not be seen.
        """
        if self.unseen is not None:
            raise CannotTell(
                f"the served certificate {self.served.chain.leaf.name} has its chain and the site's name, "
                f"but isn't held against the one on disk: {self.unseen.what}",
                mend=self.unseen.mend,
                cause=self.unseen.cause,
            )


class Certificates:
    """The site's certificate in its two places.

    Args:
        disk: Gives what lies on disk; None where nothing is to lie there.
        served: Gives what is served.
    """

    def __init__(self, disk: Callable[[], Chain] | None, served: Callable[[], Served]) -> None:
        self._disk = disk
        self._served = served

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know of what isn't looked at."""
        return () if self._disk else ("certificate.on_disk is false: what is served is judged, and nothing on disk",)

    def at(self, place: str) -> Chain:
        """The chain in one place, :data:`DISK` or :data:`SERVED`.

        Raises:
            CannotTell: If it can't be seen.
            NoAnswer: If it is to be served and nothing answers.
        """
        if place == SERVED:
            return self._served().chain
        if self._disk is None:
            raise CannotTell(self.notes[0])
        return self._disk()

    def rows(self, now: datetime) -> list[dict[str, str]]:
        """All certificates that can be seen, for the report, at that time (aware)."""
        rows = []
        for place in (DISK, SERVED):
            with contextlib.suppress(CannotTell, NoAnswer):
                rows += self.at(place).rows(now)
        return rows

    def serving(self) -> Serving:
        """What is served, held against what lies on disk.

        Raises:
            CannotTell: If what is served can't be seen.
            NoAnswer: If nothing answers.
        """
        served = self._served()
        looked_at, unseen = served.chain.looked_at, None
        alone = "" if served.whole else " (this Python shows the first certificate alone)"
        found = [
            ("chain", served.chain_trouble, f"its chain leads to a trusted root{alone}"),
            ("names", served.name_trouble, f"it is for {served.host}"),
        ]
        if self._disk is not None:
            try:
                disk = self._disk()
            except CannotTell as blind:
                unseen = blind
            else:
                looked_at += f"; {disk.looked_at}"
                found.insert(0, ("file", _difference(disk, served.chain), "it is the one on disk"))
        troubles = tuple(trouble for _, trouble, _ in found if trouble)
        rows = tuple({"looked at": thing, "seen": trouble or right} for thing, trouble, right in found)
        return Serving(served, troubles, rows, looked_at, unseen)


# On disk.


def read_chain(path: Path | None, seconds: float) -> Chain:
    """The chain in a PEM file; whatever else is in it, a key above all, is left unread.

    Args:
        path: The file; None when nothing says where it is.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If it can't be read, or is no such file.
    """
    if path is None:
        raise _unreadable(
            "it isn't known where the certificate lies: neither certificate.file nor site.url is set",
            "Set site.url, or certificate.file to the certificate with its chain; see certificate.on_disk as well.",
        )
    try:
        found = within(seconds, lambda: _certificates_in(path))
    except TimeIsUp:
        raise _unreadable(f"{path} can't be read within {say_span(timedelta(seconds=seconds))}") from None
    except OSError as error:
        raise _unreadable(f"the certificate {path} can't be read: {(error.strerror or str(error)).lower()}") from None
    if found.trouble:
        raise _unreadable(f"{path} {found.trouble}")
    certificates = tuple(
        parse(der, f"certificate {number} in {path}", cause=DISK_CAUSE) for number, der in enumerate(found.ders, 1)
    )
    return Chain(DISK, str(path), certificates, found.skipped)


@dataclass(frozen=True)
class _Found:
    """What a file holds: certificates in DER, how many other blocks, and what is wrong with it."""

    ders: tuple[bytes, ...] = ()
    skipped: int = 0
    trouble: str = ""


def _certificates_in(path: Path) -> _Found:
    """The certificates of a file. Its text, which may hold a key, goes no further than here."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        return _Found(trouble="has more than 1 MiB, which no certificate with its chain has")
    if not content.strip():
        return _Found(trouble="is empty")
    if content.startswith(_DER):
        return _Found(trouble="is no PEM file but DER: convert it with `openssl x509 -inform DER -in … -out …`")
    bodies, skipped, whole = _blocks(content.splitlines())
    if not whole:
        return _Found(trouble=f"has a certificate that begins and doesn't end, after {len(bodies)} whole ones")
    if not bodies:
        others = f", among {skipped} block{'s' if skipped != 1 else ''} of another kind" if skipped else ""
        return _Found(trouble=f"has no certificate in it{others}")
    ders = []
    for number, body in enumerate(bodies, 1):
        if b"-----" in body:
            return _Found(trouble="has a certificate that ends and another that begins on the same line")
        try:
            ders.append(base64.b64decode(body, validate=True))
        except binascii.Error:
            return _Found(trouble=f"has a damaged certificate, number {number} of {len(bodies)}")
    return _Found(tuple(ders), skipped)


def _blocks(lines: Sequence[bytes]) -> tuple[list[bytes], int, bool]:
    """The bodies of the certificates, how many other blocks there are, and whether each certificate ends.

    Line by line, as OpenSSL reads it: two blocks that were joined without a line's end are none.
    """
    bodies: list[bytes] = []
    skipped, kind = 0, b""
    body: list[bytes] = []
    for line in lines:
        begins = _BEGIN.fullmatch(line.rstrip())
        if kind and line.rstrip() == b"-----END " + kind + b"-----":
            bodies += [b"".join(body)] if kind in _CERTIFICATES else []
            skipped += kind not in _CERTIFICATES
            kind = b""
        elif begins and kind in _CERTIFICATES:
            return bodies, skipped, False
        elif begins:
            kind, body = begins[1], []
        elif kind in _CERTIFICATES:
            body.append(line.strip())
    return bodies, skipped, kind not in _CERTIFICATES


def _unreadable(what: str, mend: str = _MEND) -> CannotTell:
    return CannotTell(what, mend=mend, cause=DISK_CAUSE)


# On the wire.


@dataclass(frozen=True)
class _Shown:
    """What one handshake showed: certificates in DER, and OpenSSL's verdict."""

    sent: tuple[bytes, ...]
    path: tuple[bytes, ...] | None
    whole: bool
    address: str
    code: int = 0
    words: str = ""


def look_at_served(site: Site, seconds: float, *, asked: Callable[[], object] = lambda: None) -> Served:
    """What a server shows of itself when it is asked for the site, whether it can be trusted or not.

    Args:
        site: The site.
        seconds: Total time limit, in seconds.
        asked: Called before, so that the run is known before it leaves a trace.

    Raises:
        CannotTell: If the site's address isn't set, its CA can't be read, or what was sent can't be.
        NoAnswer: If nothing answers, or not with TLS.
    """
    if not site.url:
        raise CannotTell("the site's address isn't set", mend="Set site.url in the target.", cause=CAUSE)
    if site.silence is not None:
        # Waited for already: nothing came within the whole limit.
        raise site.silence.with_traceback(None)
    trust = site.trust()
    trust.check_hostname = False
    trust.verify_flags |= _NO_CHECK_TIME
    opened: list[ssl.SSLSocket] = []
    asked()
    try:
        shown = within(seconds, lambda: _shown(site, trust, seconds, opened), give_up=lambda: _hang_up(opened))
    except TimeIsUp:
        limit = say_span(timedelta(seconds=seconds))
        raise NoAnswer(f"{site.url} did not answer within {limit}", cause=CAUSE) from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{site.url} does not answer: {reason(error)}", cause=CAUSE) from None
    chain = Chain(SERVED, shown.address, _parsed(shown.sent, shown.address))
    path: tuple[Certificate, ...] = ()
    with contextlib.suppress(CannotTell):  # a root of this machine's that can't be read is no trouble of the site's
        path = _parsed(shown.path or (), "this machine's trust")
    return Served(chain, site.server_name, shown.code, shown.words, path, shown.whole)


def _shown(site: Site, trust: ssl.SSLContext, seconds: float, opened: list[ssl.SSLSocket]) -> _Shown:
    try:
        return _handshake(site, trust, seconds, opened)
    except ssl.SSLCertVerificationError as refused:
        # A certificate that isn't trusted isn't shown, unless trust isn't asked for.
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        blind.set_ciphers("DEFAULT:@SECLEVEL=0")  # a key that is too weak to be trusted is shown as well
        shown = _handshake(site, blind, seconds, opened)
        return replace(shown, path=None, code=refused.verify_code, words=_words(refused))


def _handshake(site: Site, context: ssl.SSLContext, seconds: float, opened: list[ssl.SSLSocket]) -> _Shown:
    context.set_alpn_protocols(["h2", "http/1.1"])  # as the site's pages are asked for
    # Per read; the total limit comes first.
    with (
        socket.create_connection(site.endpoint, seconds + 1) as plain,
        context.wrap_socket(plain, server_hostname=site.server_name, do_handshake_on_connect=False) as secured,
    ):
        opened.append(secured)
        secured.do_handshake()
        host, port = secured.getpeername()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        sent = chain_of(secured, "unverified")
        leaf = secured.getpeercert(binary_form=True)
        if not sent and leaf is None:
            raise ValueError("the TLS handshake showed no certificate")
        return _Shown(sent or (leaf or b"",), chain_of(secured, "verified"), bool(sent), address)


def chain_of(secured: ssl.SSLSocket, which: str) -> tuple[bytes, ...] | None:
    """The certificates of a connection in DER, the site's own first; None when this Python can't say.

    Args:
        secured: A connection whose handshake is done.
        which: `unverified` for what was sent, `verified` for the way to a trusted root.
    """
    if (public := getattr(secured, f"get_{which}_chain", None)) is not None:  # Python 3.13 and later
        return tuple(public())
    inner = getattr(secured, "_sslobj", None)
    if (private := getattr(inner, f"get_{which}_chain", None)) is not None:  # 3.10 to 3.12
        return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in private() or ())
    return None


def _hang_up(opened: Iterable[ssl.SSLSocket]) -> None:
    for secured in opened:
        with contextlib.suppress(OSError):
            # The plain socket's: TLS would wait to say goodbye.
            socket.socket.shutdown(secured, socket.SHUT_RDWR)


def _words(refused: ssl.SSLCertVerificationError) -> str:
    said = reason(refused).removeprefix("its certificate ").removeprefix("its chain ")
    return f"its chain isn't trusted: it {said}"


def _parsed(ders: Sequence[bytes], place: str) -> tuple[Certificate, ...]:
    return tuple(parse(der, f"certificate {number} of {place}") for number, der in enumerate(ders, 1))


# Reading one.


def parse(der: bytes, what: str, cause: str = "") -> Certificate:
    """Read a certificate.

    Args:
        der: The certificate.
        what: What it is, for the reader.
        cause: As in :class:`observe.errors.CannotTell`.

    Raises:
        CannotTell: If it is none, or not one that can be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        read = x509.load_der_x509_certificate(der)
        hosts, addresses = _names(read)
        return Certificate(
            name=_short(read.subject),
            issuer=_short(read.issuer),
            hosts=hosts,
            addresses=addresses,
            begins=read.not_valid_before_utc,
            ends=read.not_valid_after_utc,
            serial=f"{read.serial_number:x}",
            fingerprint=read.fingerprint(SHA256()).hex(),
            key=_key(read),
            self_issued=read.subject == read.issuer,
            der=der,
        )
    except Exception as error:  # noqa: BLE001  whatever it stumbles over, this is no certificate that can be read
        why = " ".join(str(error).split())[:200] or type(error).__name__
        mend = _MEND if cause == DISK_CAUSE else ""
        raise CannotTell(f"{what} is damaged, or can't be read: {why}", mend=mend, cause=cause) from None


def _names(read: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from cryptography import x509

    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    addresses = tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))
    return tuple(names.get_values_for_type(x509.DNSName)), addresses


def _short(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(common[0].value) if common else name.rfc4514_string()
    return " ".join(text.split())[:100] or "without a name"


def _key(read: x509.Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = read.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "of an unknown kind"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name.replace('secp', 'P-').removesuffix('r1')}"
    return type(key).__name__.removesuffix("PublicKey")


def issued(issuer: Certificate, other: Certificate) -> bool:
    """Whether a certificate issued another: by its name, and by its signature where that kind can be checked."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    one, two = x509.load_der_x509_certificate(issuer.der), x509.load_der_x509_certificate(other.der)
    try:
        two.verify_directly_issued_by(one)
    except (InvalidSignature, ValueError):
        return False
    except (TypeError, UnsupportedAlgorithm):
        return two.issuer == one.subject
    return True


def covers(certificate: Certificate, host: str) -> bool:
    """Whether a certificate is for a host, as clients decide it.

    A name counts as a whole, or as `*.` and the labels behind: the star is
    one whole label, the first. An address counts among the addresses alone, and
    the common name not at all.

    Args:
        certificate: The site's own.
        host: A name in ASCII, or an address.
    """
    wanted = host.lower().removesuffix(".")
    if (address := _address(wanted)) is not None:
        return address in map(_address, certificate.addresses)
    first, _, rest = wanted.partition(".")
    for name in map(str.lower, certificate.hosts):
        star, _, behind = name.partition(".")
        if name == wanted:
            return True
        if star == "*" and behind == rest and _STARRED.fullmatch(first) and _is_domain(behind):
            return True
    return False


def _is_domain(name: str) -> bool:
    """Whether a star may stand before it: two labels at least, or it would speak for a whole top-level domain."""
    labels = name.split(".")
    return len(labels) >= 2 and all(_LABEL.fullmatch(label) for label in labels)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _difference(disk: Chain, served: Chain) -> str:
    """How the served certificate differs from the one on disk; empty when it is the same."""
    mine, theirs = disk.leaf, served.leaf
    if mine.fingerprint == theirs.fingerprint:
        return ""
    kinds = f" ({mine.key} on disk, {theirs.key} served)" if mine.key != theirs.key else ""
    both = f"{theirs.period} is served, {mine.period} lies in {disk.place}{kinds}"
    if mine.begins > theirs.begins:
        return f"it was renewed but the proxy never reloaded (`nginx -s reload`): {both}"
    if mine.begins < theirs.begins:
        return f"it is newer than the one on disk (is that the file that the proxy reads?): {both}"
    return f"it is another than the one on disk, though both begin alike: {both}"


def _moment(at: datetime) -> str:
    """A time of a certificate, which is UTC and may lie beyond what a zone can reckon with."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _on(where: str) -> str:
    return "on disk" if where == DISK else "as served"
