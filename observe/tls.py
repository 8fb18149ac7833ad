"""What the site lets a TLS client ask for: versions, cipher suites, key exchange, and the flaws that have names.

Serves the guide's "TLS" of the quarterly security review, by sslyze: a library that brings an OpenSSL of its own which
still speaks what nobody should, where this machine's could only ask for what it allows itself. It is an extra, and runs
in a process of its own (`tls_worker.py`): its threads can't be stopped, and go on asking whether anybody waits for them
or not. That may be another Python's process, since sslyze keeps its dependencies back for long.

What counts as weak is written down elsewhere. Versions, the size of keys for the key exchange and the cipher suites
that a server should have are those of Mozilla's intermediate profile. It names the suites to configure and not all that
are sound, so what is beside them holds as well if RFC 9113 (appendix A) lets HTTP/2 have it, that is if it encrypts and
authenticates in one and has keys that are thrown away. All others are weak: no encryption, no authentication, export
keys, RC4, DES and the like, MD5, no forward secrecy, and CBC, which was broken four times.

The certificate is judged by others. What it costs the server: some 450 connections within a second or two, never more
than :data:`TOGETHER` at a time, nearly all of them refused in the handshake, ten attempts to renegotiate, and one
request for the start page under this run's user agent. nginx notes two of the handshakes in its access log as
"400", which carry no mark.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell, NoAnswer
from observe.program import run
from observe.site import CAUSE, reason
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from observe.program import Ended
    from observe.site import Site

STANDARD = "Mozilla's intermediate profile 5.7"
VERSIONS = ("SSL 2.0", "SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3")
ALLOWED_VERSIONS = frozenset(VERSIONS[-2:])
ALLOWED_SUITES = frozenset(
    {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    }
)
"""The cipher suites of the profile, of TLS 1.3 and 1.2."""
LEAST_DH_BITS = 2048
LEAST_CURVE_BITS = 250
"""The profile asks for 256; the key of X25519, which it recommends, has some bits less."""
TOGETHER = 3
"""Connections at a time, since it may be a production server."""
PATIENCE_SECONDS = 5
"""How long one answer of the server is waited for."""
WORKER = Path(__file__).with_name("tls_worker.py")
BESIDE = Path(sys.prefix, "scanners", "bin", "python")
"""The environment that `make venv` makes for it: it holds cryptography back, which the suite itself must not."""
WANTED = "TLS_WANTED"
"""The variable by which the scanner's process is told what to do."""
MOST_SAID = 5
"""So many of like things a message names; the tables have all of them."""

_SOUND = re.compile(r"TLS_(?:(?:ECDHE|DHE)_(?:ECDSA|RSA)_WITH_)?[A-Z0-9]+(?:_\d+)?_(?:GCM_SHA\d+|CCM(?:_SHA\d+)?)")
"""Suites that RFC 9113 lets HTTP/2 have, and those of TLS 1.3; without the profile's own."""
_WEAKNESSES = (
    (r"_NULL_", "nothing is encrypted"),
    (r"_anon_", "the server doesn't prove who it is"),
    (r"EXPORT", "keys as short as once was wanted for export"),
    (r"_(RC[24]|DES\d*|3DES|IDEA|SEED|28147)_", "a cipher that is broken, or nobody uses any more"),
    (r"_MD5", "MD5"),
    (r"^(?!TLS_(ECDHE|DHE)_)(?=.*_WITH_)", "no forward secrecy"),
    (r"_(DSS|KRB5|PSK|SRP)_", "it proves who it is in a way that no browser takes"),
    (r"_CBC_", "CBC"),
    (r"_CCM_8", "what proves that nothing was changed is cut to 8 bytes"),
)
_CURVE = re.compile(r"(?:secp|sect|prime|brainpoolP)(\d+)")
_MEND = (
    "Run it again when the site is quiet; where a firewall shuts out who connects so often, let this machine's address "
    "through it, and raise timeouts.tls if the site is far away."
)


@dataclass(frozen=True)
class Suite:
    """A cipher suite that the server accepts.

    Attributes:
        name: As the standards call it.
        openssl: As OpenSSL and so the configuration of most servers calls it.
        exchange: How the key was exchanged, `DH` or `ECDH`; empty where it isn't known.
        bits: The size of the key for that; 0 where it isn't known.
    """

    name: str
    openssl: str
    exchange: str = ""
    bits: int = 0

    @property
    def weakness(self) -> str:
        """Why it is weak, in words; empty when it isn't."""
        if self.name not in ALLOWED_SUITES and not _SOUND.fullmatch(self.name):
            found = (why for pattern, why in _WEAKNESSES if re.search(pattern, self.name))
            return next(found, "not known to be sound")
        if "_DHE_" in self.name and self.bits < LEAST_DH_BITS:
            # The scanner's own OpenSSL hangs up on the smallest, and then it is known only that they are.
            size = f"of {self.bits} bits" if self.bits else "that is too small to go on with"
            return f"a Diffie-Hellman key {size}, at least {LEAST_DH_BITS} are wanted"
        if self.exchange == "ECDH" and 0 < self.bits < LEAST_CURVE_BITS:
            return f"an elliptic curve of {self.bits} bits"
        return ""


@dataclass(frozen=True)
class Version:
    """A version of the protocol, with every cipher suite that was tried in it.

    Attributes:
        name: One of :data:`VERSIONS`.
        accepted: The suites that the server accepts in it.
        refused: How many it refuses.
        unanswered: To how many it said nothing at all.
        failed: Why it couldn't be tried; empty when it was.
    """

    name: str
    accepted: tuple[Suite, ...] = ()
    refused: int = 0
    unanswered: int = 0
    failed: str = ""

    @property
    def tried(self) -> int:
        """How many suites were tried in it."""
        return len(self.accepted) + self.refused + self.unanswered

    def row(self) -> dict[str, str]:
        """The version for the report."""
        if self.failed:
            seen = f"can't be told: {self.failed}"
        elif self.accepted:
            seen = "accepted"
        else:
            seen = "refused" if not self.unanswered else "not accepted, and not always answered"
        return {
            "version": self.name,
            "seen": seen,
            "wanted": "may be accepted" if self.name in ALLOWED_VERSIONS else "refused",
            "cipher suites": f"{len(self.accepted)} of {self.tried} accepted",
            "accepted": ", ".join(one.openssl or one.name for one in self.accepted) or "none",
        }


@dataclass(frozen=True)
class Flaw:
    """A flaw that has a name.

    Attributes:
        name: What it is called.
        found: Whether the server has it; None where that couldn't be told.
        said: What was seen, in words.
    """

    name: str
    found: bool | None
    said: str

    def row(self) -> dict[str, str]:
        """The flaw for the report."""
        return {
            "flaw": self.name,
            "there": {True: "yes", False: "no", None: "can't tell"}[self.found],
            "seen": self.said,
        }


@dataclass(frozen=True)
class Groups:
    """What keys can be exchanged by.

    Attributes:
        accepted: The elliptic curves that the server accepts.
        refused: How many it refuses.
        failed: Why they couldn't be tried; empty when they were.
    """

    accepted: tuple[str, ...] = ()
    refused: int = 0
    failed: str = ""

    @property
    def tried(self) -> int:
        """How many were tried."""
        return len(self.accepted) + self.refused

    @property
    def weak(self) -> list[str]:
        """Those that are too small."""
        sizes = ((one, _CURVE.match(one)) for one in self.accepted)
        return [one for one, size in sizes if size and int(size[1]) < LEAST_CURVE_BITS]


@dataclass(frozen=True)
class Seen:
    """What the scanner saw; what comes from its process.

    Attributes:
        unreachable: Why no connection could be made at all; empty when one could.
        highest: The highest version in which one was made, before anything else was tried.
        versions: Each version of the protocol.
        flaws: Each flaw that was looked for.
        groups: What keys can be exchanged by.
        early_data: Whether requests in the first message are taken, in words; empty where it isn't known.
    """

    unreachable: str = ""
    highest: str = ""
    versions: tuple[Version, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    groups: Groups = Groups()
    early_data: str = ""


@dataclass(frozen=True)
class Wanted:
    """What the scanner's process is to do.

    Attributes:
        name: The site's name, in ASCII.
        address: The address to connect to.
        port: Its port.
        agent: The user agent of its only request.
        together: Connections at a time.
        patience: How long one answer is waited for, in whole seconds.
    """

    name: str
    address: str
    port: int
    agent: str
    together: int = TOGETHER
    patience: int = PATIENCE_SECONDS


@dataclass(frozen=True)
class TlsScan:
    """What the site lets a TLS client ask for, and what is wrong with that.

    Attributes:
        place: The address and port that was asked.
        seen: What was seen there.
        seconds: How long it took.
        gone: Why the server, which had answered before, didn't afterwards; empty when it did.
    """

    place: str
    seen: Seen
    seconds: float
    gone: str = ""

    @property
    def accepted(self) -> tuple[Suite, ...]:
        """The suites that are accepted in any version, each once for each size of key."""
        return tuple(dict.fromkeys(one for version in self.seen.versions for one in version.accepted))

    @property
    def weak(self) -> dict[str, Suite]:
        """Those of them that are weak, by name, the weakest first."""
        order = [why for _, why in _WEAKNESSES]
        weak = [one for one in self.accepted if one.weakness]
        rank = {why: order.index(why) if why in order else len(order) for why in {one.weakness for one in weak}}
        return {one.name: one for one in sorted(weak, key=lambda one: (rank[one.weakness], one.name))}

    @property
    def troubles(self) -> list[str]:
        """What is wrong, in words."""
        found = []
        old = [one.name for one in self.seen.versions if one.accepted and one.name not in ALLOWED_VERSIONS]
        if old:
            found.append(f"{_listed(old)} {'is' if len(old) == 1 else 'are'} accepted")
        if self.weak:
            weak = [f"{one.openssl or one.name} ({one.weakness})" for one in self.weak.values()]
            found.append(f"{_counted(len(weak), 'weak cipher suite')}: {_some(weak)}")
        if self.seen.groups.weak:
            found.append(f"keys exchanged over {_some(self.seen.groups.weak)}")
        return [*found, *(f"{one.name}: {one.said}" for one in self.seen.flaws if one.found)]

    @property
    def unseen(self) -> list[str]:
        """What couldn't be told, in words."""
        seen = self.seen
        found = [f"it no longer answers afterwards: {self.gone}"] if self.gone else []
        if not self.accepted:
            found.append("no cipher suite was accepted in any version")
        elif any(one.name == seen.highest and not one.accepted and not one.failed for one in seen.versions):
            found.append(f"it had answered in {seen.highest}, and then accepted no cipher suite of it")
        found += [
            f"{one.name}: to {one.unanswered} of {_counted(one.tried, 'cipher suite')} nothing was answered at all"
            for one in seen.versions
            if one.unanswered and not one.failed
        ]
        failed = [(one.name, one.failed) for one in seen.versions if one.failed]
        failed += [(one.name, one.said) for one in seen.flaws if one.found is None]
        failed += [("elliptic curves", seen.groups.failed)] if seen.groups.failed else []
        # What fails once often fails alike for all.
        for why in dict.fromkeys(why for _, why in failed):
            found.append(f"{_listed([name for name, other in failed if other == why])}: {why}")
        return found

    @property
    def looked_at(self) -> str:
        """The denominator."""
        versions, flaws, groups = self.seen.versions, self.seen.flaws, self.seen.groups
        tried = sum(not one.failed for one in versions)
        suites = _counted(sum(one.tried for one in versions), "cipher suite")
        told = sum(one.found is not None for one in flaws)
        return (
            f"{tried} of {len(versions)} protocol versions, {suites}"
            f" and {_counted(groups.tried, 'elliptic curve')} tried, {told} of {_counted(len(flaws), 'known flaw')}"
            f" looked for at {self.place}"
        )

    @property
    def said(self) -> str:
        """What was seen, in words."""
        if self.troubles:
            return "; ".join(self.troubles)
        spoken = [one.name for one in self.seen.versions if one.accepted]
        suites = len({one.name for one in self.accepted})
        return f"{_listed(spoken)} with {_counted(suites, 'cipher suite')}, none of them weak, and no known flaw"

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"TLS 1.2 and 1.3 alone, no weak cipher suite and no known flaw ({STANDARD})"

    @property
    def notes(self) -> list[str]:
        """What the reader should know beside the outcome."""
        notes = []
        sound = [
            one.openssl or one.name for one in self.accepted if one.name not in ALLOWED_SUITES and not one.weakness
        ]
        if sound:
            notes.append(f"sound, though {STANDARD} doesn't have them: {_some(list(dict.fromkeys(sound)))}")
        if self.seen.early_data:
            notes.append(self.seen.early_data)
        if self.troubles and self.unseen:
            notes.append(f"not all could be told: {'; '.join(self.unseen)}")
        return notes

    def version_rows(self) -> list[dict[str, str]]:
        """The versions for the report."""
        return [one.row() for one in self.seen.versions]

    def flaw_rows(self) -> list[dict[str, str]]:
        """The flaws for the report."""
        return [one.row() for one in self.seen.flaws]

    def weak_rows(self) -> list[dict[str, str]]:
        """The weak suites for the report."""
        return [
            {
                "cipher suite": one.name,
                "OpenSSL's name": one.openssl,
                "accepted in": ", ".join(
                    version.name for version in self.seen.versions if name in {other.name for other in version.accepted}
                ),
                "why it is weak": one.weakness,
            }
            for name, one in self.weak.items()
        ]

    def must_be_whole(self) -> None:
        """Refuse to call it right when not all could be told.

        Raises:
            CannotTell: If something couldn't.
        """
        if self.unseen:
            raise CannotTell(
                f"nothing is wrong with what could be seen of TLS at {self.place}, but not all could be: "
                f"{_some(self.unseen, '; ')}",
                mend=_MEND,
            )


def look_at_tls(
    site: Site,
    agent: str,
    seconds: float,
    *,
    connecting: float,
    patience: int = PATIENCE_SECONDS,
    python: str = "",
    asked: Callable[[], object] = lambda: None,
) -> TlsScan:
    """Try all that a TLS client can ask the site for.

    Args:
        site: The site.
        agent: The user agent that marks this run's requests.
        seconds: Total time limit of the scan, in seconds.
        connecting: The same of the handshakes before and after it.
        patience: How long one answer is waited for during the scan, in whole seconds.
        python: The Python that has the scanner; empty for this one.
        asked: Called before, so that the run is known before it leaves a trace.

    Raises:
        CannotTell: If the site's address or the scanner isn't there, or the scan fails or takes too long.
        NoAnswer: If nothing answers, or not with TLS.
    """
    if not site.url:
        raise CannotTell("the site's address isn't set", mend="Set site.url in the target.", cause=CAUSE)
    python = python or scanner_python()
    if site.silence is not None:
        # Waited for already: nothing came within the whole limit.
        raise site.silence.with_traceback(None)
    asked()
    address, port, secured = _answering(site, connecting)
    ended = _scanned(python, Wanted(site.server_name, address, port, agent, patience=patience), seconds)
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    seen = _answer(ended, place, seconds)
    if seen.unreachable and secured:
        raise CannotTell(f"the TLS scanner can't connect to {place}, where others can: {seen.unreachable}", mend=_MEND)
    if seen.unreachable:
        raise NoAnswer(f"{site.url} does not answer with TLS: {seen.unreachable}", cause=CAUSE)
    gone = ""
    try:
        if not _answering(site, connecting)[2] and secured:
            gone = "it breaks the handshake off"
    except NoAnswer as silent:
        gone = silent.what
    return TlsScan(place, seen, ended.seconds, gone)


def _answering(site: Site, seconds: float) -> tuple[str, int, bool]:
    """Where the site answers, and whether a usual handshake came to its end.

    Whoever breaks it off answers as well: it may speak nothing that this machine's OpenSSL speaks.
    """
    opened: list[ssl.SSLSocket] = []
    try:
        return within(seconds, lambda: _shake_hands(site, seconds, opened), give_up=lambda: _hang_up(opened))
    except TimeIsUp:
        limit = say_span(timedelta(seconds=seconds))
        raise NoAnswer(f"{site.url} did not answer within {limit}", cause=CAUSE) from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{site.url} does not answer: {reason(error)}", cause=CAUSE) from None


def _shake_hands(site: Site, seconds: float, opened: list[ssl.SSLSocket]) -> tuple[str, int, bool]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    name = site.server_name
    # Per read; the total limit comes first.
    with (
        socket.create_connection(site.endpoint, seconds + 1) as plain,
        context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False) as secured,
    ):
        opened.append(secured)
        address, port = secured.getpeername()[:2]
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            secured.do_handshake()
            return address, port, True
    return address, port, False


def _hang_up(opened: Iterable[ssl.SSLSocket]) -> None:
    for secured in opened:
        with contextlib.suppress(OSError):
            # The plain socket's: TLS would wait to say goodbye.
            socket.socket.shutdown(secured, socket.SHUT_RDWR)


def scanner_python() -> str:
    """The Python that has the scanner, where none is named: empty for this one, or that of `make venv`.

    Raises:
        CannotTell: If neither has it.
    """
    if find_spec("sslyze") is not None:
        return ""
    if BESIDE.exists():
        return str(BESIDE)
    raise CannotTell(
        "sslyze, which tries all that TLS clients can, isn't installed",
        mend="`make venv` puts it into an environment of its own; or set tls.python to a Python that has it.",
    )


def _scanned(python: str, wanted: Wanted, seconds: float) -> Ended:
    """Let the scanner do it; whatever happens, none of it is left behind."""
    # Not as an argument, which everybody on this machine can read: the agent has the run's token.
    environment = {WANTED: msgspec.json.encode(wanted).decode()}
    environment |= {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    if not python:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    # -P, since our modules beside the worker have names that others have as well.
    command = (python or sys.executable, "-P", str(WORKER))
    try:
        return run(command, WORKER.parent, environment, seconds)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CannotTell(f"the TLS scanner can't be started, {command[0]}: {why}", mend="See tls.python.") from None


def _answer(ended: Ended, place: str, seconds: float) -> Seen:
    if ended.status is None:
        limit = say_span(timedelta(seconds=seconds))
        raise CannotTell(f"the TLS scan of {place} did not end within {limit} and was ended", mend=_MEND)
    try:
        if ended.status == 0:
            return msgspec.json.decode(ended.out.head, type=Seen)
        last = (ended.complaint.tail or ended.complaint.head).strip().rpartition("\n")[2]
        why = f"it ended with status {ended.status}: {last[:300] or 'and said nothing'}"
    except msgspec.MsgspecError as error:
        why = f"its answer can't be read: {error}"
    raise CannotTell(f"the TLS scan of {place} failed, {why}", mend=_MEND)


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _some(words: Iterable[str], between: str = ", ") -> str:
    """The first of them, and how many more there are."""
    words = list(words)
    more = f" and {len(words) - MOST_SAID} more" if len(words) > MOST_SAID else ""
    return between.join(words[:MOST_SAID]) + more


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
