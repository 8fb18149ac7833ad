"""How the site is reached from here: where its name leads, who trusts its certificate, and what a few paths answer."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from discover.sight import read
from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from discover.sight import Sight

_SECONDS = 3.0
_MOST_FILES = 60
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})
"""OpenSSL's verdicts on a chain that leads to nobody it trusts."""


@dataclass(frozen=True)
class Trust:
    """What a handshake said.

    Attributes:
        trusted: Whether the certificate was trusted; None where no handshake could be made.
        why: What was wrong, in OpenSSL's words or the system's.
        unknown: Whether what is wrong is that nobody trusted has signed it.
    """

    trusted: bool | None
    why: str = ""
    unknown: bool = False


@dataclass(frozen=True)
class Way:
    """The way to the site.

    Attributes:
        connect_to: `host:port` to connect to; empty for what the DNS says.
        authority: A file of certificates to trust instead of the system's; empty for the system's.
    """

    connect_to: str
    authority: str


def asker(url: str, way: Way | None) -> Callable[[str], int]:
    """What asks the site for a path, and says what it was answered; 0 where nobody could tell.

    Args:
        url: The site's address.
        way: The way there; None where there is none.
    """
    from observe.site import Site

    if way is None:
        return lambda _: 0
    authority = Path(way.authority) if way.authority else None
    site = Site(url, "synk-operations-checks/discover", _SECONDS, ca_file=authority, connect_to=way.connect_to)

    def ask(path: str) -> int:
        try:
            return site.get(path).status
        except (CannotTell, NoAnswer):
            return 0

    return ask


def resolved(name: str) -> tuple[str, ...]:
    """The addresses of a name by the system's resolver; empty where it knows none, or doesn't answer in time."""
    try:
        found = within(_SECONDS, lambda: socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM))
    except (OSError, TimeIsUp, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def handshake(name: str, address: str, authorities: str = "") -> Trust:
    """Shake hands as a browser would, and hang up.

    Args:
        name: The site's name.
        address: `host:port` to connect to.
        authorities: Certificates to trust instead of the system's, as PEM; empty for the system's.
    """
    host, _, port = address.rpartition(":")

    def shake() -> Trust:
        context = ssl.create_default_context(cadata=authorities or None)
        # As in the checks: a private authority without key identifiers is no fault, and an intermediate is no root.
        context.verify_flags &= ~(ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS) as connection:
            try:
                with context.wrap_socket(connection, server_hostname=name):
                    return Trust(trusted=True)
            except ssl.SSLCertVerificationError as error:
                return Trust(False, error.verify_message, error.verify_code in _UNKNOWN_ISSUER)

    try:
        return within(_SECONDS + 1, shake)
    except (OSError, TimeIsUp, ValueError) as error:
        return Trust(None, str(error)[:200])


def authority_for(name: str, address: str, sight: Sight, places: Iterable[str]) -> str:
    """The first file of certificates with which the site's certificate is trusted; empty if there is none.

    Args:
        name: The site's name.
        address: `host:port` to connect to.
        sight: The host that the files lie on.
        places: Files, and directories whose files are looked at.
    """
    looked = 0
    for place in dict.fromkeys(places):
        for path, text in _certificates(sight, place):
            looked += 1
            if looked > _MOST_FILES:
                return ""
            try:
                if handshake(name, address, text).trusted:
                    return path
            except ssl.SSLError:
                continue
    return ""


def _certificates(sight: Sight, place: str) -> Iterable[tuple[str, str]]:
    """The files at a place that hold certificates and no private key."""
    start = sight.path(place)
    try:
        files = sorted(start.iterdir()) if start.is_dir() else [start]
    except OSError:
        return
    for one in files:
        if one.suffix not in {".pem", ".crt", ".cer"}:
            continue
        try:
            text = read(one, 256 * 1024).decode("ascii", errors="replace")
        except OSError:
            continue
        if "BEGIN CERTIFICATE" in text and "PRIVATE KEY" not in text:
            yield str(one), text
