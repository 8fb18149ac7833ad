"""What the site lets a TLS client ask for: real servers on loopback, and OpenSSL's own word on what a suite is."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe import tls as tls_module
from observe.errors import CannotTell, NoAnswer
from observe.site import Site
from observe.tls import (
    ALLOWED_SUITES,
    ALLOWED_VERSIONS,
    LEAST_DH_BITS,
    MOST_SAID,
    PATIENCE_SECONDS,
    STANDARD,
    VERSIONS,
    Flaw,
    Groups,
    Seen,
    Suite,
    TlsScan,
    Version,
    look_at_tls,
    scanner_python,
)
from proofs.observe.servers import NAME, Authority, Http, Loopback, answer, dripping, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AGENT = "synk-operations-checks/0 (run 0123)"
SCANNERS = scanner_python() or sys.executable
GOOD = "ECDHE+AESGCM:ECDHE+CHACHA20"
ONLY_TLS_1_3 = bytes.fromhex("002b0003020304")
"""The extension of a client's first message that offers that version alone."""

SMALL_PRIME = (
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff"
)
"""RFC 2409's second group, of 1024 bits; to look for a new one takes seconds."""


@contextmanager
def serving(
    authority: Authority,
    ciphers: str = GOOD,
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    *,
    kind: str = "ec",
    dh_file: Path | None = None,
) -> Iterator[tuple[Loopback, Http]]:
    """A server on loopback that speaks so."""
    context = authority.context(kind=kind)
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = oldest, newest
    if dh_file is not None:
        context.load_dh_params(str(dh_file))
    http = Http({"/": answer(200, "welcome")})
    with Loopback(http, context) as server:
        yield server, http


def look(
    address: str,
    *,
    seconds: float = 60,
    connecting: float = 10,
    patience: int = PATIENCE_SECONDS,
    python: str = "",
    asked: Callable[[], object] = lambda: None,
) -> TlsScan:
    site = Site(f"https://{NAME}/", AGENT, connecting, connect_to=address)
    return look_at_tls(site, AGENT, seconds, connecting=connecting, patience=patience, python=python, asked=asked)


def left_behind(port: int) -> list[str]:
    """The scanner's processes that are still there and were sent to that port."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # of somebody else, or gone meanwhile
            if f'"port":{port}'.encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


# Real servers.


def test_a_server_that_is_set_up_well_has_nothing_wrong_with_it(authority: Authority) -> None:
    asked: list[int] = []
    with serving(authority) as (server, http):
        place = server.address
        scan = look(place, asked=lambda: asked.append(server.connections))
        assert not left_behind(server.port)
    assert asked == [0]
    assert (scan.troubles, scan.unseen, scan.place) == ([], [], place)
    scan.must_be_whole()
    assert {one.name for one in scan.seen.versions if one.accepted} == ALLOWED_VERSIONS
    assert {one.name for one in scan.accepted} <= ALLOWED_SUITES
    assert re.fullmatch(
        rf"6 of 6 protocol versions, \d{{3}} cipher suites and \d\d elliptic curves tried, "
        rf"7 of 7 known flaws looked for at {place}",
        scan.looked_at,
    )
    assert scan.said == "TLS 1.2 and TLS 1.3 with 6 cipher suites, none of them weak, and no known flaw"
    assert "0-RTT" in scan.notes[0]
    # Whatever it asks for carries the run's mark.
    assert {(one.method, one.path, one.headers["user-agent"]) for one in http.asked} == {("GET", "/", AGENT)}


def test_old_versions_weak_suites_and_small_keys_are_named(authority: Authority, tmp_path: Path) -> None:
    ciphers = f"{GOOD}:DHE-RSA-AES128-GCM-SHA256:AES128-SHA:ECDHE-RSA-AES256-SHA:NULL-SHA256:@SECLEVEL=0"
    file = tmp_path / "dh.pem"
    # By hand, two numbers in a sequence: cryptography will no longer write them.
    written = base64.encodebytes(bytes.fromhex(f"308187 02818100{SMALL_PRIME} 020102")).decode()
    file.write_text(f"-----BEGIN DH PARAMETERS-----\n{written}-----END DH PARAMETERS-----\n")
    old, newest = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2
    with serving(authority, ciphers, old, newest, kind="rsa", dh_file=file) as (server, _):
        scan = look(server.address)
    assert scan.troubles == [
        "TLS 1.0 and TLS 1.1 are accepted",
        (
            "4 weak cipher suites: NULL-SHA256 (nothing is encrypted), AES128-SHA (no forward secrecy), "
            "ECDHE-RSA-AES256-SHA (CBC), DHE-RSA-AES128-GCM-SHA256 (a Diffie-Hellman key of 1024 bits, "
            f"at least {LEAST_DH_BITS} are wanted)"
        ),
    ]
    rows = {row["OpenSSL's name"]: row["accepted in"] for row in scan.weak_rows()}
    assert rows["AES128-SHA"] == "TLS 1.0, TLS 1.1, TLS 1.2"
    assert rows["NULL-SHA256"] == "TLS 1.2"
    seen = {row["version"]: row["seen"] for row in scan.version_rows()}
    assert (seen["SSL 3.0"], seen["TLS 1.0"], seen["TLS 1.3"]) == ("refused", "accepted", "refused")
    flaws = {row["flaw"]: row for row in scan.flaw_rows()}
    assert flaws["ROBOT"]["seen"] == "not there: it doesn't tell padding that is wrong"
    assert flaws["Heartbleed"]["seen"] == "not there"


# Servers that don't answer, or not as one does.


def at_once(connection: socket.socket) -> None:
    """Hangs up."""


def plain_http(connection: socket.socket) -> None:
    """Takes whatever comes for a request that it doesn't understand."""
    connection.recv(65536)
    connection.sendall(answer(400, "plain HTTP is spoken here"))


@pytest.mark.parametrize(
    ("behave", "connecting", "said"),
    [
        (silent, 0.3, "did not answer within 300 ms"),
        (dripping(b"\x16\x03\x03\x40\x00"), 0.3, "did not answer within 300 ms"),
        (at_once, 10, "does not answer with TLS: TLS probing failed: could not find a TLS version"),
        (plain_http, 10, "does not answer with TLS: TLS probing failed: could not find a TLS version"),
    ],
    ids=["silent", "dripping", "hangs up", "plain HTTP"],
)
def test_a_server_that_speaks_no_tls_is_broken(
    behave: Callable[[socket.socket], None], connecting: float, said: str
) -> None:
    with Loopback(behave) as server:
        with pytest.raises(NoAnswer, match=f"https://{NAME}/ {said}") as failed:
            look(server.address, connecting=connecting)
        assert not left_behind(server.port)
    assert failed.value.cause == "site"


def test_a_server_that_refuses_is_broken() -> None:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        with pytest.raises(NoAnswer, match="does not answer: connection refused"):
            look(f"127.0.0.1:{placeholder.getsockname()[1]}")


def test_silence_that_was_waited_for_already_is_not_waited_for_again() -> None:
    with Loopback(silent) as server:
        site = Site(f"https://{NAME}/", AGENT, 0.2, connect_to=server.address)
        with pytest.raises(NoAnswer):
            site.get("/")
        asked_before = server.connections
        with pytest.raises(NoAnswer, match="did not answer within 200 ms"):
            look_at_tls(site, AGENT, 30, connecting=30)
        assert server.connections == asked_before


def test_without_an_address_nothing_can_be_told() -> None:
    with pytest.raises(CannotTell, match="the site's address isn't set") as failed:
        look_at_tls(Site("", AGENT, 1), AGENT, 1, connecting=1)
    assert failed.value.mend == "Set site.url in the target."


# Servers that answer for a while.


class Lasting:
    """Passes so many connections on to another server, and does something else with the others.

    Args:
        to: The other server's port.
        connections: How many are passed on.
        then: What is done with those that come later.
    """

    def __init__(self, to: int, connections: int, then: Callable[[socket.socket], None]) -> None:
        self._to, self._left, self._then = to, connections, then
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket) -> None:
        with self._lock:
            self._left -= 1
            left = self._left
        self._then(connection) if left < 0 else self._pass(connection)

    def _pass(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._to)) as beyond:
            back = threading.Thread(target=_pump, args=(beyond, connection), daemon=True)
            back.start()
            _pump(connection, beyond)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_who_is_shut_out_meanwhile_takes_that_for_no_refusal(authority: Authority) -> None:
    found: list[str] = []

    def notice_and_hang_up(_: socket.socket) -> None:
        if not found:
            found.extend(left_behind(front.port))

    with serving(authority) as (server, _), Loopback(Lasting(server.port, 4, notice_and_hang_up)) as front:
        scan = look(front.address)
        assert found, "a scan that is on is found among the processes"
        assert not left_behind(front.port)
    assert scan.troubles == []
    with pytest.raises(CannotTell, match=r"it no longer answers afterwards: it breaks the handshake off") as failed:
        scan.must_be_whole()
    # Which connections come before the door is shut is chance: one of them may have had a suite accepted.
    assert ("no cipher suite was accepted in any version" in failed.value.what) == (not scan.accepted)
    assert "firewall" in failed.value.mend


def test_a_server_that_goes_away_meanwhile_is_told_from_one_that_refuses(authority: Authority) -> None:
    with serving(authority) as (server, _):
        fronts: list[Loopback] = []

        def close(_: socket.socket) -> None:
            fronts[0].__exit__(None, None, None)

        with Loopback(Lasting(server.port, 30, close)) as front:
            fronts.append(front)
            scan = look(front.address)
    assert any(one.failed for one in scan.seen.versions)
    assert [row["seen"] for row in scan.version_rows() if row["seen"].startswith("can't be told: ")]
    with pytest.raises(CannotTell, match=r"no longer answers afterwards: .*connection refused"):
        scan.must_be_whole()
    assert "6 of 6" not in scan.looked_at


def test_silence_is_no_refusal(authority: Authority) -> None:
    def choosy(connection: socket.socket) -> None:
        hello = connection.recv(65536, socket.MSG_PEEK)
        silent(connection) if ONLY_TLS_1_3 in hello else beyond(connection)

    with serving(authority, newest=ssl.TLSVersion.TLSv1_2) as (server, _):
        beyond = Lasting(server.port, 10_000, at_once)
        with Loopback(choosy) as front:
            # By a Python that is named, too, and that isn't told where this one finds its modules.
            scan = look(front.address, patience=1, python=SCANNERS)
    # TLS 1.2 alone would be right; whether 1.3 is spoken as well is what nobody knows.
    assert scan.troubles == []
    assert scan.said == "TLS 1.2 with 3 cipher suites, none of them weak, and no known flaw"
    assert "TLS 1.3: to 5 of 5 cipher suites nothing was answered at all" in scan.unseen
    with pytest.raises(CannotTell, match="nothing is wrong with what could be seen"):
        scan.must_be_whole()


# The scanner itself.


def test_the_scan_ends_at_its_limit_and_nothing_of_it_is_left(authority: Authority) -> None:
    # In the middle of it: the first connection is ours, and the scanner's are silence from the third on.
    with serving(authority) as (server, _), Loopback(Lasting(server.port, 3, silent)) as front:
        with pytest.raises(CannotTell, match=r"did not end within 1\.5 s and was ended") as failed:
            look(front.address, seconds=1.5)
        assert not left_behind(front.port)
    assert "timeouts.tls" in failed.value.mend


def test_without_the_scanner_nothing_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_module, "find_spec", lambda _: None)
    monkeypatch.setattr(tls_module, "BESIDE", Path("/nowhere/python"))
    with pytest.raises(CannotTell, match=r"sslyze, .* isn't installed") as failed:
        look("127.0.0.1:1")
    assert "make venv" in failed.value.mend
    assert "tls.python" in failed.value.mend


@pytest.fixture
def pretended(tmp_path: Path) -> Callable[[str], str]:
    """Makes a program that stands where the scanner's Python should."""

    def make(script: str) -> str:
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return str(file)

    return make


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo one >&2; echo 'ModuleNotFoundError: no sslyze' >&2; exit 1", "status 1: ModuleNotFoundError: no sslyze"),
        ("kill -SEGV $$", "status -11: and said nothing"),
        ("echo '{}}'", "its answer can't be read: "),
        ("echo '{\"versions\": 7}'", "its answer can't be read: "),
        ('echo \'{"unreachable": "shut out"}\'', "where others can: shut out"),
        ("echo '{}'", "no cipher suite was accepted in any version"),
    ],
    ids=["fails", "crashes", "no JSON", "other JSON", "isn't let in", "says nothing"],
)
def test_a_scanner_that_fails_tells_nothing(
    authority: Authority, pretended: Callable[[str], str], script: str, said: str
) -> None:
    with serving(authority) as (server, _), pytest.raises(CannotTell, match=re.escape(said)):
        look(server.address, python=pretended(script)).must_be_whole()


def test_a_scanner_that_is_not_there_is_named(authority: Authority) -> None:
    with serving(authority) as (server, _), pytest.raises(CannotTell, match="/nowhere/python: no such file") as failed:
        look(server.address, python="/nowhere/python")
    assert failed.value.mend == "See tls.python."


def test_what_the_runner_knows_is_none_of_the_scanners_business(
    authority: Authority, pretended: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_DATABASE_PASSWORD", "hush")
    python = pretended('echo "known: $OPS_DATABASE_PASSWORD; given: $TLS_WANTED, $*" >&2; exit 3')
    with serving(authority) as (server, _), pytest.raises(CannotTell) as failed:
        look(server.address, python=python)
    assert "known: ; given: {" in failed.value.what
    # Arguments can be read by everybody, and the agent carries the run's token.
    assert AGENT not in failed.value.what.partition("}, ")[2]


# What is weak.


SSLYZE = """
import json
from sslyze.mozilla_tls_profile.tls_config_checker import MozillaTlsConfiguration, TlsConfigurationEnum
from sslyze.plugins.openssl_cipher_suites.cipher_suites import CipherSuitesRepository
from sslyze.server_connectivity import TlsVersionEnum

profile = MozillaTlsConfiguration.get(TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
suites = {one.name: one.openssl_name for version in TlsVersionEnum
          for one in CipherSuitesRepository.get_all_cipher_suites(version)}
print(json.dumps({
    "profile": json.loads(profile.model_dump_json()),
    "version": MozillaTlsConfiguration._JSON_PROFILE_PATH.stem,
    "suites": suites,
}))
"""


@pytest.fixture(scope="module")
def sslyze() -> dict[str, Any]:
    """What the scanner brings along, from a process of its own as well."""
    said = subprocess.run([SCANNERS, "-c", SSLYZE], check=True, capture_output=True, timeout=60).stdout
    known: dict[str, Any] = json.loads(said)
    return known


def test_the_standard_is_the_one_that_is_named(sslyze: dict[str, Any]) -> None:
    profile = sslyze["profile"]
    assert {*profile["ciphers"]["iana"], *profile["ciphersuites"]} == ALLOWED_SUITES
    assert {one.replace("TLSv1", "TLS 1") for one in profile["tls_versions"]} == ALLOWED_VERSIONS
    assert (profile["dh_param_size"], profile["ecdh_param_size"]) == (LEAST_DH_BITS, 256)
    assert sslyze["version"] == STANDARD.split()[-1]


def weak(name: str) -> bool:
    """Whether a suite is weak whose keys are large enough."""
    return bool(Suite(name, "", "DH", LEAST_DH_BITS).weakness)


def test_what_is_weak_is_what_openssl_says_of_it(sslyze: dict[str, Any]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    names = {openssl: name for name, openssl in sslyze["suites"].items()}
    known = [one for one in context.get_ciphers() if one["name"] in names]
    assert len(known) > 80
    for one in known:
        sound = (
            one["aead"]
            and one["kea"] in {"kx-ecdhe", "kx-dhe", "kx-any"}
            and one["auth"] in {"auth-rsa", "auth-ecdsa", "auth-any"}
            and not one["name"].endswith("CCM8")
        )
        assert weak(names[one["name"]]) != sound, one


def test_all_that_the_scanner_tries_is_either_sound_or_weak_for_a_reason(sslyze: dict[str, Any]) -> None:
    names = sslyze["suites"]
    assert [name for name in names if Suite(name, "").weakness == "not known to be sound"] == []
    assert {name for name in names if not weak(name)} >= ALLOWED_SUITES


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("TLS_RSA_WITH_NULL_SHA256", "nothing is encrypted"),
        ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "the server doesn't prove who it is"),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", "keys as short as once was wanted for export"),
        ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", "a cipher that is broken, or nobody uses any more"),
        ("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "a cipher that is broken, or nobody uses any more"),
        ("SSL_CK_DES_64_CBC_WITH_MD5", "a cipher that is broken, or nobody uses any more"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "no forward secrecy"),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "CBC"),
        ("TLS_AES_128_CCM_8_SHA256", "what proves that nothing was changed is cut to 8 bytes"),
        ("TLS_SHA256_SHA256", "not known to be sound"),
        ("TLS_FUTURE_WITHOUT_A_NAME", "not known to be sound"),
        ("TLS_AES_128_GCM_SHA256", ""),
        ("TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", ""),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CCM", ""),
    ],
)
def test_each_weakness_is_said(name: str, why: str) -> None:
    assert Suite(name, "").weakness == why


def scanned(**seen: object) -> TlsScan:
    return TlsScan("192.0.2.1:443", Seen(**seen), 1.0)  # type: ignore[arg-type]


def test_small_curves_are_weak_and_large_ones_are_not() -> None:
    names = ("X25519", "X448", "prime192v1", "secp224r1", "secp256r1", "secp521r1", "sect163k1", "brainpoolP512r1")
    assert Groups(names).weak == ["prime192v1", "secp224r1", "sect163k1"]
    assert scanned(groups=Groups(names)).troubles == ["keys exchanged over prime192v1, secp224r1, sect163k1"]
    suite = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert Suite(suite, "", "ECDH", 192).weakness == "an elliptic curve of 192 bits"
    assert Suite(suite, "", "ECDH", 253).weakness == ""


def test_a_diffie_hellman_key_that_cannot_be_shown_is_too_small() -> None:
    # Servers of today can't be made to use one; sslyze's own OpenSSL hangs up on it, and accepts the suite.
    assert Suite("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "").weakness.startswith(
        "a Diffie-Hellman key that is too small to go on with"
    )


def test_a_version_that_was_spoken_before_and_then_is_not_is_not_passed_over() -> None:
    spoken = Version("TLS 1.2", (Suite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ""),))
    scan = scanned(highest="TLS 1.3", versions=(spoken, Version("TLS 1.3", refused=5)))
    assert scan.unseen == ["it had answered in TLS 1.3, and then accepted no cipher suite of it"]


def test_a_flaw_is_named_and_one_that_could_not_be_looked_for_is_not_passed_over() -> None:
    spoken = Version("TLS 1.3", (Suite("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),))
    flaws = (Flaw("ROBOT", True, "it can be attacked"), Flaw("CRIME", None, "connectivity issue"))
    scan = scanned(highest="TLS 1.3", versions=(spoken,), flaws=flaws)
    assert scan.troubles == ["ROBOT: it can be attacked"]
    assert "not all could be told: CRIME: connectivity issue" in scan.notes
    assert "1 of 2 known flaws looked for" in scan.looked_at
    with pytest.raises(CannotTell, match="CRIME: connectivity issue"):
        scanned(highest="TLS 1.3", versions=(spoken,), flaws=flaws[1:]).must_be_whole()


def test_many_of_a_kind_are_counted(sslyze: dict[str, Any]) -> None:
    accepted = tuple(Suite(name, openssl) for name, openssl in sslyze["suites"].items())
    scan = scanned(versions=(Version("TLS 1.2", accepted),))
    assert len(scan.said) < 600
    assert f" and {len(scan.weak) - MOST_SAID} more" in scan.said
    assert "(nothing is encrypted)" in scan.said


@given(
    st.lists(st.sampled_from(VERSIONS), unique=True),
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from(["", "a bug"]),
    st.sampled_from(VERSIONS),
)
def test_where_nothing_was_accepted_nothing_is_right(
    names: list[str], refused: int, unanswered: int, failed: str, highest: str
) -> None:
    versions = tuple(Version(name, (), refused, unanswered, failed) for name in names)
    scan = scanned(highest=highest, versions=versions)
    assert (scan.troubles, scan.weak_rows()) == ([], [])
    with pytest.raises(CannotTell):
        scan.must_be_whole()
