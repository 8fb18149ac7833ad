"""A throw-away certificate authority, and its certificates laid out as Let's Encrypt lays them out."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIFETIME = dt.timedelta(days=90)
LINKS = ("cert", "chain", "fullchain", "privkey")


@dataclass(frozen=True)
class Signed:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key in PEM, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


@dataclass(frozen=True)
class Authority:
    """A root and the intermediate that signs for it."""

    root: Signed
    intermediate: Signed


def make_authority(name: str, now: dt.datetime) -> Authority:
    """Make a root and an intermediate, valid for ten years from a year before `now` (aware)."""
    since, until = now - dt.timedelta(days=365), now + dt.timedelta(days=3650)
    root = _sign(f"{name} lab root", since, until, issuer=None, extensions=_ca_extensions(1))
    intermediate = _sign(f"{name} lab E1", since, until, issuer=root, extensions=_ca_extensions(0))
    return Authority(root, intermediate)


def issue_intermediate(root: Signed, name: str, since: dt.datetime, lifetime: dt.timedelta) -> Signed:
    """Have a root vouch for another intermediate, valid from `since` (aware) for a `lifetime`."""
    return _sign(name, since, since + lifetime, issuer=root, extensions=_ca_extensions(0))


def save_authority(authority: Authority, directory: Path) -> None:
    """Keep an authority under `directory`: PEM files for each of the two, the keys mode 600."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, signed in (("root", authority.root), ("intermediate", authority.intermediate)):
        (directory / f"{name}.pem").write_bytes(signed.pem)
        write_private(directory / f"{name}.key", signed.key_pem)


def load_authority(directory: Path) -> Authority:
    """Read back what `save_authority` wrote.

    Raises:
        OSError: a file is missing or cannot be read.
    """
    loaded = []
    for name in ("root", "intermediate"):
        key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{directory / name}.key holds no elliptic-curve key")
        loaded.append(Signed(x509.load_pem_x509_certificate((directory / f"{name}.pem").read_bytes()), key))
    return Authority(*loaded)


def issue(
    authority: Authority | None,
    names: Sequence[str],
    since: dt.datetime,
    lifetime: dt.timedelta = LIFETIME,
) -> Signed:
    """Issue a server certificate.

    Args:
        authority: who signs; None for a self-signed certificate.
        names: host names and addresses it is for; the first is its common name too.
        since: aware start of its validity.
        lifetime: how long it is valid.
    """
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(ca=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (alternatives, False),
    ]
    issuer = None if authority is None else authority.intermediate
    return _sign(names[0], since, since + lifetime, issuer=issuer, extensions=extensions)


def install(leaf: Signed, chain: Sequence[Signed], directory: Path, domain: str) -> int:
    """Write a certificate as the next one in `archive/<domain>` and point `live/<domain>` at it.

    Args:
        leaf: certificate and key.
        chain: what stands between it and the root, nearest first; may be empty.
        directory: what would be `/etc/letsencrypt`.
        domain: the certificate's name there.

    Returns:
        Its number in the archive, from 1.
    """
    archive, live = directory / "archive" / domain, directory / "live" / domain
    archive.mkdir(parents=True, exist_ok=True)
    live.mkdir(parents=True, exist_ok=True)
    number = len(list(archive.glob("cert*.pem"))) + 1
    between = b"".join(signed.pem for signed in chain)
    (archive / f"cert{number}.pem").write_bytes(leaf.pem)
    (archive / f"chain{number}.pem").write_bytes(between)
    (archive / f"fullchain{number}.pem").write_bytes(leaf.pem + between)
    write_private(archive / f"privkey{number}.pem", leaf.key_pem)
    point_at(directory, domain, number)
    return number


def current(directory: Path, domain: str) -> int:
    """The number in the archive of the certificate that `live/<domain>` points at."""
    return int((directory / "live" / domain / "cert.pem").readlink().stem.removeprefix("cert"))


def point_at(directory: Path, domain: str, number: int) -> None:
    """Point the links of `live/<domain>` at certificate `number` of the archive."""
    for name in LINKS:
        link = directory / "live" / domain / f"{name}.pem"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../archive/{domain}/{name}{number}.pem")


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, never readable by others even for a moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _sign(
    common_name: str,
    since: dt.datetime,
    until: dt.datetime,
    *,
    issuer: Signed | None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Signed(builder.sign(signer, hashes.SHA256()), key)


def _ca_extensions(path_length: int) -> list[tuple[x509.ExtensionType, bool]]:
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage(ca=True), True),
    ]


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
