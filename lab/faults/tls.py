"""Faults of what the site lets a TLS client ask for."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import warnings
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, Took
from lab.faults.proxy import SITE, edited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.stack import Lab

ANY_STRENGTH = "@SECLEVEL=0"
"""Without it an OpenSSL that is up to date refuses what it knows to be weak, whatever else it is told."""
CBC, NOTHING = "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-NULL-SHA"
TLS = "tls-configuration"


def accepts(version: ssl.TLSVersion, suite: str, **more: str) -> Callable[[Lab], Iterator[Took]]:
    """A fault that has the proxy accept a cipher suite beside those that it should.

    Args:
        version: In which version it is shown to be accepted.
        suite: OpenSSL's name of it.
        more: Settings of nginx, and what is put before their values.
    """
    return functools.partial(_accepts, version, suite, {"ssl_ciphers": f"{ANY_STRENGTH}:{suite}:", **more})


def _accepts(version: ssl.TLSVersion, suite: str, settings: dict[str, str], lab: Lab) -> Iterator[Took]:
    changes = {f"^    {name} ": f"    {name} {value}" for name, value in settings.items()}
    with edited(lab, SITE, changes, lambda: shaken(lab, version, suite)) as (before, after):
        yield Took(before, after)


def shaken(lab: Lab, version: ssl.TLSVersion, suite: str) -> str:
    """How the proxy answers who offers one version and one cipher suite: with both, or why not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(f"{ANY_STRENGTH}:{suite}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that nobody should speak it is the point
        context.minimum_version = context.maximum_version = version
    with contextlib.ExitStack() as open_:
        plain = open_.enter_context(socket.create_connection(("127.0.0.1", lab.https_port), 5))
        try:
            secured = open_.enter_context(context.wrap_socket(plain, server_hostname=lab.domain))
        except (ssl.SSLError, ConnectionError) as refused:
            return f"{version.name} with {suite}: {getattr(refused, 'reason', None) or type(refused).__name__}"
        return f"{version.name} with {suite}: {secured.version()} with {(secured.cipher() or ('none',))[0]}"


FAULTS = (
    Fault(
        "tls-1.0-on",
        (TLS,),
        "The proxy accepts TLS 1.0 and a cipher suite for it.",
        accepts(ssl.TLSVersion.TLSv1, CBC, ssl_protocols="TLSv1 "),
    ),
    Fault(
        "weak-cipher",
        (TLS,),
        "The proxy accepts a cipher suite that encrypts nothing.",
        accepts(ssl.TLSVersion.TLSv1_2, NOTHING),
    ),
)
