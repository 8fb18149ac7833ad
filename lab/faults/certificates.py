"""Faults of the certificate: when it is valid, for whom, who vouches for it, and whether it is the one served."""

from __future__ import annotations

import datetime as dt
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cryptography import x509

from lab import certificates, traffic
from lab.faults.fault import Fault, Took, eventually
from lab.faults.site import ALL_HEADERS, NO_SITE
from lab.project import site_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.certificates import Signed
    from lab.stack import Lab

DAY = dt.timedelta(days=1)
LASTS = ("certificate-lasts[disk]", "certificate-lasts[served]")
SERVED = "certificate-served"


# Installed on disk and served.


def expired(lab: Lab) -> Iterator[Took]:
    """Serve a certificate that ended yesterday."""
    return _installed(lab, lambda: _issued(lab, certificates.LIFETIME + DAY))


def ending(lab: Lab) -> Iterator[Took]:
    """Serve a certificate that has an hour less than 30 days left."""
    return _installed(lab, lambda: _issued(lab, certificates.LIFETIME - 30 * DAY + dt.timedelta(hours=1)))


def not_yet_valid(lab: Lab) -> Iterator[Took]:
    """Serve a certificate that begins next week."""
    return _installed(lab, lambda: _issued(lab, -7 * DAY))


def self_signed(lab: Lab) -> Iterator[Took]:
    """Serve a certificate that nobody vouches for."""
    return _installed(lab, lambda: (certificates.issue(None, site_names(lab), _now() - DAY), []))


def wrong_name(lab: Lab) -> Iterator[Took]:
    """Serve a good certificate of another site."""
    return _installed(lab, lambda: _issued(lab, DAY, "elsewhere.test"))


def bare_domain_under_a_wildcard(lab: Lab) -> Iterator[Took]:
    """Serve a good certificate for every name below the site's, and not for that one itself."""
    return _installed(lab, lambda: _issued(lab, DAY, f"*.{lab.domain}"))


def without_intermediate(lab: Lab) -> Iterator[Took]:
    """Serve a good certificate without what stands between it and the root."""
    return _installed(lab, lambda: (_issued(lab, DAY)[0], []))


def intermediate_ending(lab: Lab) -> Iterator[Took]:
    """Serve a good certificate from an intermediate that ends in three weeks."""
    return _installed(lab, lambda: _from_ending_intermediate(lab))


def _issued(lab: Lab, since: dt.timedelta, *names: str) -> tuple[Signed, list[Signed]]:
    """A certificate that was issued that long ago, by the lab's authority, with its chain."""
    authority = certificates.load_authority(lab.authority_directory)
    leaf = certificates.issue(authority, names or site_names(lab), _now() - since)
    return leaf, [authority.intermediate]


def _from_ending_intermediate(lab: Lab) -> tuple[Signed, list[Signed]]:
    authority = certificates.load_authority(lab.authority_directory)
    between = certificates.issue_intermediate(authority.root, f"{lab.name} lab E0", _now() - DAY, 22 * DAY)
    leaf = certificates.issue(certificates.Authority(authority.root, between), site_names(lab), _now() - DAY)
    return leaf, [between]


def _installed(lab: Lab, make: Callable[[], tuple[Signed, list[Signed]]]) -> Iterator[Took]:
    """Serve a certificate for a while, then the one from before again."""
    before = _state(lab)
    try:
        with _laid_down(lab, *make()):
            lab.reload_nginx()
            yield Took(before, eventually(lambda: _state(lab), lambda seen: seen != before))
    finally:
        lab.reload_nginx()
        eventually(lambda: _state(lab), lambda seen: seen == before)


# On disk alone.


def not_reloaded(lab: Lab) -> Iterator[Took]:
    """Renew the certificate on disk, and let the proxy go on with the one from before."""
    return _on_disk(lab, lambda: _issued(lab, dt.timedelta(0)))


def other_on_disk(lab: Lab) -> Iterator[Took]:
    """Let an older certificate that is about to end lie on disk than the one that is served."""
    return _on_disk(lab, lambda: _issued(lab, certificates.LIFETIME - 20 * DAY))


def _on_disk(lab: Lab, make: Callable[[], tuple[Signed, list[Signed]]]) -> Iterator[Took]:
    before = _state(lab)
    with _laid_down(lab, *make()):
        yield Took(before, _state(lab))


@contextmanager
def _laid_down(lab: Lab, leaf: Signed, chain: list[Signed]) -> Iterator[None]:
    """Have a certificate lie where the proxy looks; afterwards the one from before, and its files are gone."""
    usual = certificates.current(lab.certificates, lab.domain)
    number = certificates.install(leaf, chain, lab.certificates, lab.domain)
    try:
        yield
    finally:
        certificates.point_at(lab.certificates, lab.domain, usual)
        for path in (lab.certificates / "archive" / lab.domain).glob(f"*{number}.pem"):
            path.unlink()


def _state(lab: Lab) -> str:
    """What a careful client thinks of the certificate that is served, its end, and the end of the one on disk."""
    file = lab.certificates / "live" / lab.domain / "fullchain.pem"
    lying = x509.load_pem_x509_certificates(file.read_bytes()) if file.stat().st_size else []
    ends = "; ".join(f"{one.not_valid_after_utc:%Y-%m-%d %H:%M:%S}" for one in lying) or "nothing"
    return f"{_trust(lab)}; served until {_served_until(lab)}; on disk until {ends}"


def _trust(lab: Lab) -> str:
    with traffic.visiting(lab) as visitor:
        try:
            visitor.ask("/")
        except ssl.SSLCertVerificationError as refused:
            return refused.verify_message
        except OSError as failed:
            return str(failed)
    return "trusted"


def _served_until(lab: Lab) -> str:
    try:
        served = ssl.get_server_certificate(("127.0.0.1", lab.https_port), timeout=traffic.LIMIT_SECONDS)
    except OSError as failed:
        return str(failed)
    return f"{x509.load_pem_x509_certificate(served.encode()).not_valid_after_utc:%Y-%m-%d %H:%M:%S}"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


FAULTS = (
    Fault("certificate-expired", (*NO_SITE, *LASTS), "The certificate has expired.", expired, ALL_HEADERS),
    Fault("certificate-29-days", LASTS, "The certificate has 29 days left.", ending),
    Fault(
        "certificate-not-yet-valid",
        (*NO_SITE, *LASTS),
        "The certificate begins next week.",
        not_yet_valid,
        ALL_HEADERS,
    ),
    Fault("certificate-self-signed", (*NO_SITE, SERVED), "The certificate is self-signed.", self_signed, ALL_HEADERS),
    Fault(
        "certificate-wrong-name",
        (*NO_SITE, SERVED),
        "The certificate is for another name.",
        wrong_name,
        ALL_HEADERS,
    ),
    Fault(
        "certificate-wildcard-alone",
        (*NO_SITE, SERVED),
        "The certificate is for every name below the site's, not for its own.",
        bare_domain_under_a_wildcard,
        ALL_HEADERS,
    ),
    Fault(
        "certificate-without-intermediate",
        (*NO_SITE, SERVED),
        "The certificate is served without its intermediate.",
        without_intermediate,
        ALL_HEADERS,
    ),
    Fault(
        "certificate-intermediate-ends",
        LASTS,
        "The intermediate ends before the certificate that it vouches for.",
        intermediate_ending,
    ),
    Fault(
        "certificate-not-reloaded",
        (SERVED,),
        "The certificate was renewed on disk, and the proxy never reloaded.",
        not_reloaded,
    ),
    Fault(
        "certificate-other-on-disk",
        ("certificate-lasts[disk]", SERVED),
        "An older certificate lies on disk than the one that is served.",
        other_on_disk,
    ),
)
