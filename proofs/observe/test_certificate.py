"""The certificate on disk and on the wire: real files, real servers on loopback, OpenSSL's own word on names."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fixtures.parameters import certificate_places
from observe import certificate as certificates_module
from observe.certificate import (
    DISK,
    MOST_BYTES,
    SERVED,
    Certificate,
    Certificates,
    Chain,
    Served,
    chain_of,
    covers,
    issued,
    look_at_served,
    parse,
    read_chain,
)
from observe.deadline import Once
from observe.errors import CannotTell, NoAnswer
from observe.site import Site
from proofs.observe.servers import (
    DAY,
    KEYS,
    NAME,
    Authority,
    Http,
    Loopback,
    answer,
    dripping,
    key_pem,
    pem,
    serving,
    silent,
)
from proofs.users import nobody
from target.kinds import FilePath
from target.model import Certificate as CertificateSettings
from target.model import Project, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

URL = f"https://{NAME}/"
SECONDS = 0.3
"""A limit to run into; what is good has more time, on a busy machine too."""
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
VIENNA = timezone(timedelta(hours=1))


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Authority:
    return Authority(tmp_path_factory.mktemp("between"), "E1", authority)


@pytest.fixture
def file(tmp_path: Path, between: Authority) -> Path:
    """A chain as it should lie on disk."""
    leaf, _ = between.leaf(NAME)
    path = tmp_path / "fullchain.pem"
    path.write_bytes(pem(leaf, between.certificate))
    return path


@pytest.fixture
def look(authority: Authority) -> Iterator[Look]:
    """What is seen of a site whose name leads to a server of ours."""
    sites = []

    def look(server: Loopback | str, url: str = URL, **arguments: Any) -> Served:  # noqa: ANN401  Site's own
        address = server if isinstance(server, str) else server.address
        arguments = {"ca_file": authority.file, "connect_to": address, "seconds": 5, **arguments}
        sites.append(Site(url, "the-agent", **arguments))
        return look_at_served(sites[-1], arguments["seconds"])

    yield look
    for site in sites:
        site.close()


Look = Any
"""What the fixture gives; its arguments are Site's."""


def certificate(
    name: str = NAME,
    *hosts: str,
    begins: datetime = NOW - 60 * DAY,
    ends: datetime = NOW + 60 * DAY,
    key: str = "ECDSA P-256",
    der: bytes = b"1",
) -> Certificate:
    return Certificate(
        name, "E1", hosts or (name,), (), begins, ends, der.hex(), der.hex(), key, self_issued=False, der=der
    )


def chain(*certificates: Certificate, where: str = DISK) -> Chain:
    return Chain(where, "/x.pem" if where == DISK else "127.0.0.1:443", certificates or (certificate(),))


def blind(path: Path | None, seconds: float = 5) -> CannotTell:
    with pytest.raises(CannotTell) as raised:
        read_chain(path, seconds)
    assert raised.value.cause == "certificate-file"
    assert raised.value.mend
    return raised.value


# On disk ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "said"), [("ec", "ECDSA P-256"), ("rsa", "RSA 2048"), ("ed25519", "Ed25519")])
def test_a_chain_is_read_as_it_lies(tmp_path: Path, between: Authority, kind: str, said: str) -> None:
    leaf, _ = between.leaf(NAME, "*.site.test", "127.0.0.1", "::1", kind=kind)
    path = tmp_path / "fullchain.pem"
    path.write_bytes(pem(leaf, between.certificate))
    seen = read_chain(path, 5)
    one = seen.leaf
    assert [other.name for other in seen.certificates] == [NAME, "E1"]
    assert (one.issuer, one.hosts, one.addresses) == ("E1", (NAME, "*.site.test"), ("127.0.0.1", "::1"))
    assert (one.begins, one.ends) == (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    assert one.begins.tzinfo is UTC
    assert one.fingerprint == leaf.fingerprint(hashes.SHA256()).hex()
    assert (one.serial, one.key) == (f"{leaf.serial_number:x}", said)
    assert seen.looked_at == f"2 certificates in {path}"
    row = seen.rows(datetime.now(VIENNA))[0]
    assert (row["where"], row["issuer"], row["key"], row["left"][:4]) == ("on disk", "E1", said, "23.9")
    assert row["until"] == f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    assert issued(seen.certificates[1], one)
    assert not issued(one, seen.certificates[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: b"subject=CN = site.test\n" + text.replace(b"-\n-", b"-\nissuer=gr\xfc\xdf\n-"),
        lambda text: text.replace(b" CERTIFICATE", b" X509 CERTIFICATE"),
        lambda text: text.replace(b"\n", b" \n"),
    ],
)
def test_text_around_a_certificate_is_none_of_it(file: Path, change: Callable[[bytes], bytes]) -> None:
    plain = read_chain(file, 5)
    file.write_bytes(change(file.read_bytes()))
    assert read_chain(file, 5).certificates == plain.certificates


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_in_the_same_file_is_skipped(file: Path, order: int) -> None:
    key = key_pem(KEYS["ec"]())
    file.write_bytes(b"".join([key, file.read_bytes()][::order]))
    seen = read_chain(file, 5)
    assert seen.looked_at == f"2 certificates in {file}, 1 other block skipped"
    assert [one.name for one in seen.certificates] == [NAME, "E1"]
    assert key.splitlines()[1].decode() not in repr(seen)


def test_a_key_is_in_no_message_and_no_frame_of_one(file: Path) -> None:
    key = key_pem(KEYS["ec"]())
    secret = key.splitlines()[1].decode()
    for text in (
        key,
        key + b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
        key + file.read_bytes()[:-40],
    ):
        file.write_bytes(text)
        told = traceback.TracebackException.from_exception(blind(file), capture_locals=True)
        assert secret not in "".join(told.format())


def test_the_key_beside_it_is_never_opened(tmp_path: Path, file: Path) -> None:
    (tmp_path / "privkey.pem").write_bytes(key_pem(KEYS["ec"]()))
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open":
            opened.append(os.fspath(arguments[0]) if not isinstance(arguments[0], int) else "")

    sys.addaudithook(watch)  # it can't be taken off again, so that it is told to look away
    read_chain(file, 5)
    watching = False
    assert str(file) in opened
    assert not [path for path in opened if "privkey" in path]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"not a certificate\n", "has no certificate in it"),
        (
            b"-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n",
            "no certificate in it, among 1 block of another kind",
        ),
        (b"-----BEGIN CERTIFICATE-----\nMA=!\n-----END CERTIFICATE-----\n", "has a damaged certificate, number 1 of 1"),
        (
            b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            "certificate 1 in .* is damaged, or can't be read: ",
        ),
        (b"-----BEGIN CERTIFICATE-----\nMAAB\n-----END CERTIFICATE-----\n", "certificate 1 in .* is damaged, or can't"),
        (b"-----BEGIN CERTIFICATE-----\nMA==\n", "begins and doesn't end, after 0 whole ones"),
        (b"x" * (MOST_BYTES + 1), "has more than 1 MiB"),
    ],
)
def test_what_is_no_certificate_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "fullchain.pem"
    path.write_bytes(content)
    assert re.search(said, str(blind(path)))


def test_a_chain_whose_second_certificate_is_damaged_is_not_half_read(file: Path) -> None:
    text = file.read_bytes()
    file.write_bytes(text[:-60] + b"\n" + text[-60:].splitlines()[-1] + b"\n")
    assert re.search("certificate 2 in|a damaged certificate, number 2 of 2", str(blind(file)))
    file.write_bytes(text[:-60])
    assert "begins and doesn't end, after 1 whole ones" in str(blind(file))
    file.write_bytes(text.replace(b"-----\n-----", b"----------"))
    assert "ends and another that begins on the same line" in str(blind(file))


def test_der_is_told_from_pem(file: Path) -> None:
    file.write_bytes(x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER))
    assert "is no PEM file but DER: convert it with `openssl x509" in str(blind(file))


def test_a_file_that_cant_be_read_blinds_and_says_the_ways_out(tmp_path: Path, file: Path) -> None:
    missing = blind(tmp_path / "none.pem")
    assert "can't be read: no such file or directory" in str(missing)
    for way in ("Let the user of this run read it", "certificate.file", "certificate.on_disk = false"):
        assert way in missing.mend
    assert "is a directory" in str(blind(tmp_path))
    file.chmod(0)
    tmp_path.chmod(0o755)
    with nobody():
        assert "permission denied" in str(blind(file))


def test_a_file_that_never_comes_costs_its_limit(tmp_path: Path) -> None:
    pipe = tmp_path / "fullchain.pem"
    os.mkfifo(pipe)
    began = time.monotonic()
    assert "can't be read within 300 ms" in str(blind(pipe, SECONDS))
    assert time.monotonic() - began < 5 * SECONDS
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))  # lets the reader go


def test_a_file_of_beginnings_alone_is_read_in_no_time(tmp_path: Path) -> None:
    path = tmp_path / "fullchain.pem"
    path.write_bytes(b"-----BEGIN X-----\nA\n" * 50_000)
    assert "no certificate in it" in str(blind(path))


def test_without_a_path_and_a_site_nobody_can_tell() -> None:
    assert "neither certificate.file nor site.url" in str(blind(None))


@given(junk=st.binary(max_size=200), position=st.integers(0, 2000))
@settings(max_examples=200)
def test_any_damage_is_no_crash(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, junk: bytes, position: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.pem"
    path.write_bytes(whole[:position] + junk + whole[position:])
    with contextlib.suppress(CannotTell):
        read_chain(path, 5)


@pytest.fixture(scope="module")
def whole(between: Authority) -> bytes:
    return pem(between.leaf(NAME)[0], between.certificate)


# How long it lasts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "ends", "left", "begun", "said"),
    [
        (-60, 60, 60, True, "valid until 2027-01-23 12:00 UTC, 60 d more"),
        (-60, 0, 0, True, "valid until 2026-11-24 12:00 UTC, 0 s more"),
        (-90, -1, -1, True, "ended 2026-11-23 12:00 UTC, 24 h ago"),
        (7, 97, 97, False, "not valid before 2026-12-01 12:00 UTC, 7 d from now"),
        (0, 90, 90, True, "valid until 2027-02-22 12:00 UTC, 90 d more"),
    ],
)
def test_what_is_left_is_reckoned_in_utc(begins: int, ends: int, left: int, begun: bool, said: str) -> None:
    seen = chain(certificate(begins=NOW + begins * DAY, ends=NOW + ends * DAY)).lasting(NOW.astimezone(VIENNA))
    assert (seen.left, seen.begun, seen.said) == (left * DAY, begun, said)
    assert seen.thing == f"certificate {NAME} on disk"


def test_an_intermediate_that_ends_earlier_counts() -> None:
    early = certificate("E1", ends=NOW + 20 * DAY)
    seen = chain(certificate(), early, certificate("E2"), where=SERVED).lasting(NOW)
    assert seen.thing == f"certificate E1, which vouches for {NAME}, as served"
    assert seen.left == 20 * DAY


def test_an_intermediate_that_has_not_begun_counts() -> None:
    seen = chain(certificate(), certificate("E1", begins=NOW + DAY)).lasting(NOW)
    assert (seen.begun, seen.said) == (False, "not valid before 2026-11-25 12:00 UTC, 24 h from now")
    assert "E1" in seen.thing


def test_an_end_beyond_all_zones_is_no_trouble() -> None:
    for_ever = certificate(ends=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    seen = chain(for_ever).lasting(NOW.astimezone(VIENNA))
    assert "9999-12-31 23:59 UTC" in seen.said
    assert chain(for_ever).rows(NOW)


@given(ends=st.lists(st.integers(-100, 100), min_size=1, max_size=4), hour=st.integers(-12, 12))
def test_the_first_to_end_counts(ends: list[int], hour: int) -> None:
    now = NOW.astimezone(timezone(timedelta(hours=hour)))
    begins = NOW - 400 * DAY
    seen = chain(*(certificate(str(number), begins=begins, ends=NOW + one * DAY) for number, one in enumerate(ends)))
    assert seen.lasting(now).left == min(ends) * DAY
    assert seen.lasting(now).begun


# Names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["site.test"], "site.test", True),
        (["SITE.test"], "site.TEST", True),
        (["site.test"], "site.test.", True),
        (["site.test"], "www.site.test", False),
        (["www.site.test", "site.test"], "site.test", True),
        (["*.site.test"], "www.site.test", True),
        (["*.site.test"], "site.test", False),
        (["*.site.test"], "a.www.site.test", False),
        (["*.site.test"], ".site.test", False),
        (["w*.site.test"], "www.site.test", False),
        (["*w.site.test"], "www.site.test", False),
        (["www.*.test"], "www.site.test", False),
        (["*.*.test"], "www.site.test", False),
        (["*.test"], "site.test", False),
        (["*"], "site", False),
        (["*.site.test"], "xn--bcher-kva.site.test", True),
        (["xn--*.site.test"], "xn--bcher-kva.site.test", False),
        (["xn--bcher-kva.example"], "xn--bcher-kva.example", True),
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.2"], "127.0.0.1", False),
        (["::1"], "0:0:0:0:0:0:0:1", True),
        (["2001:db8::1"], "2001:DB8::1", True),
        (["*.0.0.1"], "127.0.0.1", False),
        ([], "site.test", False),
    ],
)
def test_a_name_is_covered_as_clients_have_it(authority: Authority, names: list[str], host: str, covered: bool) -> None:
    leaf = read(authority.leaf(*names, common=host)[0])
    assert covers(leaf, host) is covered
    if host.startswith("."):
        return
    assert openssl_accepts(authority, names, host.removesuffix(".")) is covered


def read(found: x509.Certificate) -> Certificate:
    return parse(found.public_bytes(Encoding.DER), "it")


def test_an_address_among_the_names_is_no_address() -> None:
    assert not covers(certificate("127.0.0.1"), "127.0.0.1")


def openssl_accepts(authority: Authority, names: list[str], host: str) -> bool:
    """Whether OpenSSL takes a certificate for these names for that host, over a connection in memory."""
    server_side = authority.context(*names, common="cn.test")
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.load_verify_locations(authority.file)
    client_side.hostname_checks_common_name = False
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as refused:
                return {62: False, 64: False}[refused.verify_code]
    return True


LABELS = st.sampled_from(["a", "b", "ab", "a-b", "xn--bcher-kva", "a_b", "1", "A"])
PATTERNS = st.sampled_from(["*", "a*", "*a", "*b", "xn--*", "a", "ab", "A-B", "xn--bcher-kva", "a_b", "**", "1"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "test"]))
ADDRESSES = st.sampled_from(["127.0.0.1", "10.0.0.1", "::1", "2001:db8::1"])
NAMES = st.lists(PATTERNS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "test"])) | ADDRESSES | HOSTS


@given(names=st.lists(NAMES, min_size=1, max_size=2), host=HOSTS | ADDRESSES)
@example(names=["*.a_b.test"], host="a.a_b.test")
@example(names=["*.a.test"], host="a_b.a.test")
@settings(max_examples=300, deadline=None)
def test_names_are_judged_as_openssl_judges_them(authority: Authority, names: list[str], host: str) -> None:
    leaf = read(authority.leaf(*names, common="cn.test")[0])
    assert covers(leaf, host) == openssl_accepts(authority, names, host)


@given(pattern=NAMES, rest=st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_a_name_that_fits_a_pattern_is_found(authority: Authority, pattern: str, rest: int) -> None:
    # A host made from the pattern itself, so that the two often go together.
    host = pattern.replace("*", ["a", "ab", "xn--bcher-kva", "a.b"][rest])
    leaf = read(authority.leaf(pattern, common="cn.test")[0])
    assert covers(leaf, host) == openssl_accepts(authority, [pattern], host)


# On the wire --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KEYS)
def test_what_was_sent_is_seen_with_openssls_word_on_it(look: Look, between: Authority, kind: str) -> None:
    with Loopback(silent, between.context(kind=kind)) as server:
        seen = look(server)
        assert seen.chain.looked_at == f"2 certificates sent by {server.address}"
        assert server.connections == 1
    assert [one.name for one in seen.chain.certificates] == [NAME, "E1"]
    assert [one.name for one in seen.path] == [NAME, "E1", "Root"]
    assert (seen.code, seen.chain_trouble, seen.name_trouble, seen.whole) == (0, "", "", True)
    assert seen.chain.lasting(datetime.now(UTC)).thing == f"certificate {NAME} as served"


def test_the_site_is_asked_by_its_name_and_as_its_pages_are(look: Look, authority: Authority) -> None:
    names: list[str | None] = []
    protocols: list[str | None] = []
    tls = authority.context(protocols=("h2",))
    tls.sni_callback = lambda _socket, name, _context: names.append(name)

    def behave(connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        protocols.append(connection.selected_alpn_protocol())

    with Loopback(behave, tls) as server:
        assert look(server, f"https://{NAME}:8443/").code == 0
        assert look(server, f"https://{NAME}./").host == NAME
        server.ended.wait(0.1)
    assert names == [NAME, NAME]
    assert protocols == ["h2", "h2"]


def test_a_name_beyond_ascii_is_asked_for_as_browsers_ask(look: Look, authority: Authority) -> None:
    for host, written in (("bücher.example", "xn--bcher-kva.example"), ("straße.example", "xn--strae-oqa.example")):
        names: list[str | None] = []
        tls = authority.context(written)
        tls.sni_callback = lambda _socket, name, _context, names=names: names.append(name)
        with Loopback(silent, tls) as server:
            seen = look(server, f"https://{host}/")
        assert (names, seen.name_trouble, seen.host) == ([written], "", written)


def test_an_address_is_held_against_addresses(look: Look, authority: Authority) -> None:
    with Loopback(silent, authority.context("127.0.0.1")) as right, Loopback(silent, authority.context()) as wrong:
        assert look("", f"https://{right.address}/").name_trouble == ""
        assert look("", f"https://{wrong.address}/").name_trouble == f"it is for {NAME}, not for 127.0.0.1"


def test_an_expired_certificate_is_seen_and_its_dates_are_ours_to_judge(look: Look, between: Authority) -> None:
    for begins, ends in ((-9 * DAY, -DAY), (DAY, 9 * DAY)):
        with Loopback(silent, between.context(begins=begins, ends=ends)) as server:
            seen = look(server)
            assert server.connections == 1
        assert (seen.code, seen.chain_trouble) == (0, "")
        lasting = seen.chain.lasting(datetime.now(UTC))
        assert (lasting.left < timedelta(0), lasting.begun) == (ends < timedelta(0), begins < timedelta(0))


def test_a_wrong_name_is_seen_apart_from_the_chain(look: Look, authority: Authority) -> None:
    many = [f"{number}.test" for number in range(7)]
    for names, common, said in (
        (["other.test", "*.site.test"], "", "it is for other.test, *.site.test, not for site.test"),
        ([], NAME, "it is for no name at all (its common name is none), and not for site.test"),
        (many, "", "it is for 0.test, 1.test, 2.test, 3.test, 4.test and 2 more, not for site.test"),
    ):
        with Loopback(silent, authority.context(*names, common=common)) as server:
            seen = look(server)
        assert (seen.code, seen.chain_trouble, seen.name_trouble) == (0, "", said)


def test_what_isnt_trusted_is_shown_and_says_why(look: Look, between: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "Other")
    cases = [
        (between.context(by_itself=True, chain=False), 18, "it is self-signed", 1),
        (between.context(chain=False), 20, "an intermediate is missing", 1),
        (other.context(), 20, "the last of 1 sent is from Other", 1),
        (other.context(sends=[other.certificate]), 19, "it ends in a self-signed certificate that isn't trusted", 2),
    ]
    for tls, code, said, count in cases:
        with Loopback(silent, tls) as server:
            seen = look(server)
            assert server.connections == 2
        assert (seen.code, len(seen.chain.certificates), seen.path, seen.whole) == (code, count, (), True)
        assert said in seen.chain_trouble
        assert seen.chain_trouble.startswith("its chain isn't trusted: it ")
        assert seen.name_trouble == ""


def test_without_a_ca_of_its_own_a_site_is_held_against_the_systems(look: Look, authority: Authority) -> None:
    with Loopback(silent, authority.context()) as server:
        assert look(server, ca_file=None).code == 20


def test_a_root_of_this_machine_that_cant_be_read_is_no_trouble_of_the_sites(
    look: Look, between: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(secured: ssl.SSLSocket, which: str) -> tuple[bytes, ...] | None:
        return chain_of(secured, which) if which == "unverified" else (b"strange",)

    monkeypatch.setattr(certificates_module, "chain_of", shown)
    with Loopback(silent, between.context()) as server:
        assert (look(server).path, look(server).chain_trouble) == ((), "")


# The chain ----------------------------------------------------------------------------------------------------------


def test_an_intermediate_that_is_only_known_here_is_missed(
    look: Look, authority: Authority, between: Authority, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(authority.file.read_bytes() + between.file.read_bytes())
    with Loopback(silent, between.context(chain=False)) as torn, Loopback(silent, between.context()) as whole:
        seen = look(torn, ca_file=both)
        assert seen.code == 0
        assert seen.chain_trouble == "its chain lacks E1, which isn't sent and happens to be known on this machine"
        assert look(whole, ca_file=both).chain_trouble == ""


def test_a_certificate_that_vouches_for_none_before_it_is_said(look: Look, between: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "Stranger").certificate
    with Loopback(silent, between.context(sends=[stranger, between.certificate])) as server:
        seen = look(server)
    assert seen.code == 0
    assert seen.chain_trouble == "its chain has Stranger as certificate 2, which vouches for none before it"
    leaf, key = between.leaf(NAME)
    with Loopback(silent, serving(tmp_path, key, [leaf, leaf, between.certificate])) as server:
        assert f"has {NAME} as certificate 2" in look(server).chain_trouble


def test_a_root_that_is_sent_along_is_no_trouble(look: Look, between: Authority, authority: Authority) -> None:
    with Loopback(silent, between.context(sends=[between.certificate, authority.certificate])) as server:
        assert look(server).chain_trouble == ""


def test_an_intermediate_that_two_roots_vouch_for_is_no_trouble(
    look: Look, between: Authority, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    old = Authority(tmp_path / "old", "Old root")
    crossed = Authority(tmp_path, "E1", old, key=between.key).certificate
    with Loopback(silent, between.context(sends=[between.certificate, crossed])) as server:
        assert look(server).chain_trouble == ""
    # OpenSSL goes the first way that it is shown and never turns back, so that this is its visitors' trouble as well.
    with Loopback(silent, between.context(sends=[crossed, between.certificate])) as server:
        assert look(server).code == 20
    # The one that isn't sent is the one that OpenSSL prefers when it knows it.
    both = tmp_path / "both.pem"
    both.write_bytes(authority.file.read_bytes() + old.file.read_bytes() + between.file.read_bytes())
    with Loopback(silent, between.context(sends=[crossed])) as server:
        assert look(server, ca_file=both).chain_trouble == ""


def test_a_certificate_with_a_false_signature_was_not_issued(between: Authority, tmp_path: Path) -> None:
    forged = Authority(tmp_path, "E1").leaf(NAME)[0]
    assert read(forged).issuer == "E1"
    assert not issued(read(between.certificate), read(forged))


# Where the interpreter shows less -----------------------------------------------------------------------------------


def test_both_ways_of_showing_a_chain_are_understood() -> None:
    class Public:
        def get_unverified_chain(self) -> list[bytes]:
            return [b"one", b"two"]

        def get_verified_chain(self) -> list[bytes]:
            return []

    class Private:
        class _sslobj:  # noqa: N801  so it is called
            @staticmethod
            def get_unverified_chain() -> None:
                return None

    class Neither:
        _sslobj = None

    assert chain_of(Public(), "unverified") == (b"one", b"two")  # type: ignore[arg-type]
    assert chain_of(Private(), "unverified") == ()  # type: ignore[arg-type]
    assert chain_of(Neither(), "verified") is None  # type: ignore[arg-type]


def test_the_sites_own_certificate_alone_is_said_to_be_that(
    look: Look, between: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates_module, "chain_of", lambda *_: None)
    with Loopback(silent, between.context()) as server:
        seen = look(server)
    assert ([one.name for one in seen.chain.certificates], seen.whole, seen.path) == ([NAME], False, ())
    assert seen.chain_trouble == ""
    said = Certificates(None, lambda: seen).serving().said
    assert "leads to a trusted root (this Python shows the first certificate alone)" in said


# No answer ----------------------------------------------------------------------------------------------------------


def alert(connection: socket.socket) -> None:
    """Refuses the handshake, as a server does that doesn't know the name."""
    connection.recv(65536)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x70")


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "the TLS handshake failed"),
        (alert, "the TLS handshake failed"),
        (reset, "Connection reset by peer"),
        (lambda connection: connection.recv(65536), "the TLS handshake failed|Connection reset"),
    ],
)
def test_what_speaks_no_tls_is_no_answer(look: Look, behave: Callable[[socket.socket], None], said: str) -> None:
    with (
        Loopback(behave) as server,
        pytest.raises(NoAnswer, match=f"^{URL} does not answer: .*({said})") as raised,
    ):
        look(server)
    assert raised.value.cause == "site"


def test_a_refused_connection_and_an_unknown_name_are_said(look: Look) -> None:
    with pytest.raises(NoAnswer, match="does not answer: connection refused") as raised:
        look(closed_port())
    assert raised.value.cause == "site"
    with pytest.raises(NoAnswer, match="its name can't be resolved"):
        look("", "https://nowhere.invalid/")
    for impossible in (f"{'a' * 64}.test", ".site.test", "\N{SNOWMAN}.test"):
        with pytest.raises(NoAnswer, match="does not answer"):
            look("127.0.0.1:1", f"https://{impossible}/")


def closed_port() -> str:
    with Loopback(silent) as server:
        return server.address


def only_once(tls: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """Shakes hands with the first, and lets all others wait."""
    seen: list[int] = []

    def behave(connection: socket.socket) -> None:
        seen.append(1)
        if len(seen) > 1:
            silent(connection)
        else:
            tls.wrap_socket(connection, server_side=True)

    return behave


@pytest.mark.parametrize("number", range(3))
def test_a_server_that_keeps_silent_or_drips_costs_its_limit_once(
    look: Look, authority: Authority, number: int
) -> None:
    untrusted = authority.context(by_itself=True)
    behave = (silent, dripping(b"\x16\x03\x03\x00\x7a", b"\x02"), only_once(untrusted))[number]
    with Loopback(behave) as server:
        certificates = Certificates(None, Once(lambda: look(server, seconds=SECONDS)).get)
        began = time.monotonic()
        for ask in (lambda: certificates.at(SERVED), certificates.serving, lambda: certificates.at(SERVED)):
            with pytest.raises(NoAnswer, match=f"^{URL} did not answer within 300 ms") as raised:
                ask()
            assert raised.value.cause == "site"
        assert time.monotonic() - began < 3 * SECONDS
        assert server.connections == (2 if number == 2 else 1)


def test_who_is_given_up_sees_us_go(look: Look) -> None:
    gone: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass
        gone.append(b"")

    with Loopback(behave) as server:
        with pytest.raises(NoAnswer):
            look(server, seconds=SECONDS)
        deadline = time.monotonic() + 5
        while not gone and time.monotonic() < deadline:
            time.sleep(0.01)
    assert gone


def test_a_silence_that_was_waited_for_isnt_waited_for_again(authority: Authority) -> None:
    with Loopback(silent) as server:
        site = Site(URL, "x", SECONDS, ca_file=authority.file, connect_to=server.address)
        with pytest.raises(NoAnswer) as first:
            site.get("/")
        with pytest.raises(NoAnswer) as second:
            look_at_served(site, SECONDS)
        assert second.value is first.value
        assert server.connections == 1


def test_a_certificate_that_the_pages_were_refused_for_is_looked_at_still(authority: Authority) -> None:
    with Loopback(Http({"/": answer(200)}), authority.context(begins=-9 * DAY, ends=-DAY)) as server:
        site = Site(URL, "x", 5, ca_file=authority.file, connect_to=server.address)
        with pytest.raises(NoAnswer, match="has expired"):
            site.get("/")
        assert look_at_served(site, 5).chain.lasting(datetime.now(UTC)).said.startswith("ended ")
        site.close()


def test_the_run_is_known_before_the_server_is_reached(authority: Authority) -> None:
    begun: list[int] = []
    with Loopback(silent, authority.context()) as server:
        site = Site(URL, "x", 5, ca_file=authority.file, connect_to=server.address)
        look_at_served(site, 5, asked=lambda: begun.append(server.connections))
    assert begun == [0]


def test_what_blinds_the_site_blinds_its_certificate(look: Look, tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="the site's address isn't set") as raised:
        look_at_served(Site("", "x", 1), 1)
    assert (raised.value.cause, raised.value.mend) == ("site", "Set site.url in the target.")
    with pytest.raises(CannotTell, match=r"the CA file .* can't be read") as raised:
        look("127.0.0.1:1", ca_file=tmp_path / "none.pem")
    assert raised.value.cause == "site"


# Served, held against what lies on disk -----------------------------------------------------------------------------


def served(one: Certificate | None = None, code: int = 0) -> Served:
    words = "its chain isn't trusted: it is self-signed" if code else ""
    return Served(chain(one or certificate(), where=SERVED), NAME, code, words, ())


def raises(error: Exception) -> Callable[[], Any]:
    def give() -> None:
        raise error

    return give


def test_one_and_the_same_certificate_with_its_chain_and_name_is_right() -> None:
    seen = Certificates(chain, served).serving()
    assert (seen.troubles, seen.unseen) == ((), None)
    assert seen.said == f"it is the one on disk; its chain leads to a trusted root; it is for {NAME}"
    assert [row["looked at"] for row in seen.rows] == ["file", "chain", "names"]
    assert seen.looked_at == "1 certificate sent by 127.0.0.1:443; 1 certificate in /x.pem"
    seen.must_be_whole()


def test_a_renewed_certificate_that_was_never_loaded_is_said_with_both_dates() -> None:
    new = certificate(begins=NOW - DAY, ends=NOW + 89 * DAY, der=b"2")
    (trouble,) = Certificates(lambda: chain(new), served).serving().troubles
    assert trouble == (
        "it was renewed but the proxy never reloaded (`nginx -s reload`): valid from 2026-09-25 12:00 UTC to "
        "2027-01-23 12:00 UTC is served, valid from 2026-11-23 12:00 UTC to 2027-02-21 12:00 UTC lies in /x.pem"
    )


def test_other_differences_are_told_apart() -> None:
    old = certificate(begins=NOW - 80 * DAY, ends=NOW + 10 * DAY, der=b"2")
    (trouble,) = Certificates(lambda: chain(old), served).serving().troubles
    assert trouble.startswith("it is newer than the one on disk (is that the file that the proxy reads?): ")
    other = certificate(key="RSA 2048", der=b"2")
    (trouble,) = Certificates(lambda: chain(other), served).serving().troubles
    assert trouble.startswith("it is another than the one on disk, though both begin alike: ")
    assert trouble.endswith("lies in /x.pem (RSA 2048 on disk, ECDSA P-256 served)")


def test_everything_that_is_wrong_is_said() -> None:
    wrong = certificate("other.test", begins=NOW - 90 * DAY, der=b"2")
    seen = Certificates(chain, lambda: served(wrong, 18)).serving()
    assert len(seen.troubles) == 3
    assert [row["looked at"] for row in seen.rows] == ["file", "chain", "names"]


UNREADABLE = CannotTell("/x.pem is empty", mend="mend it", cause="certificate-file")


def test_a_right_certificate_that_cant_be_held_against_the_disk_is_not_the_whole_truth() -> None:
    certificates = Certificates(raises(UNREADABLE), served)
    seen = certificates.serving()
    assert seen.troubles == ()
    with pytest.raises(CannotTell, match=r"its chain and the site's name, .*: /x.pem is empty") as raised:
        seen.must_be_whole()
    assert (raised.value.mend, raised.value.cause) == ("mend it", "certificate-file")
    assert [row["where"] for row in certificates.rows(NOW)] == ["as served"]


def test_a_wrong_certificate_is_wrong_even_if_the_disk_isnt_seen() -> None:
    seen = Certificates(raises(UNREADABLE), lambda: served(certificate("other.test"))).serving()
    assert seen.troubles == (f"it is for other.test, not for {NAME}",)


def test_where_nothing_is_to_lie_on_disk_nothing_is_looked_for() -> None:
    certificates = Certificates(None, served)
    seen = certificates.serving()
    assert [row["looked at"] for row in seen.rows] == ["chain", "names"]
    assert (seen.troubles, seen.looked_at) == ((), "1 certificate sent by 127.0.0.1:443")
    seen.must_be_whole()
    assert "certificate.on_disk is false" in certificates.notes[0]
    assert Certificates(chain, served).notes == ()
    with pytest.raises(CannotTell, match="on_disk is false"):
        certificates.at(DISK)
    assert [row["where"] for row in certificates.rows(NOW)] == ["as served"]


def test_each_place_is_looked_at_as_the_settings_say(tmp_path: Path) -> None:
    target = Target(name="x", project=Project(name="x", directory=FilePath(tmp_path)))
    assert certificate_places(target) == ["disk", "served"]
    elsewhere = Target(name="x", project=target.project, certificate=CertificateSettings(on_disk=False))
    assert certificate_places(elsewhere) == ["served"]


def test_each_place_gives_its_own() -> None:
    lying, shown = chain(), served()
    certificates = Certificates(lambda: lying, lambda: shown)
    assert certificates.at(DISK) is lying
    assert certificates.at(SERVED) is shown.chain
    assert [row["where"] for row in certificates.rows(NOW)] == ["on disk", "as served"]
    assert replace(lying, skipped=2).looked_at == "1 certificate in /x.pem, 2 other blocks skipped"
