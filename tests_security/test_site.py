"""The quarter's security review. The site as an attacker sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.tls import TlsScan
    from report.evidence import Evidence

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@pytest.mark.slow
@expectation(
    "tls-configuration",
    guide="Quarterly security review 3: beside the ZAP scan, TLS 1.2 and 1.3 alone, no weak cipher, no known flaw",
    severity="major",
    remedy="Take what Mozilla's SSL Configuration Generator writes for your proxy (intermediate); in nginx these are "
    "ssl_protocols, ssl_ciphers and ssl_prefer_server_ciphers, in the default server of that port. Then "
    "`nginx -t && nginx -s reload`. A flaw that has a name goes with an update of what ends TLS.",
)
def test_tls_configuration(tls_scan: Callable[[], TlsScan], evidence: Evidence) -> None:
    """The site speaks TLS 1.2 and 1.3 alone, with no weak cipher, and has no known flaw."""
    wanted = "TLS 1.2 and 1.3 alone, no weak cipher suite and no known flaw"
    evidence.compare("TLS", seen="no answer", wanted=wanted)
    scan = tls_scan()
    evidence.looked_at(scan.looked_at)
    evidence.compare(f"TLS at {scan.place}", seen=scan.said, wanted=scan.wanted)
    for note in scan.notes:
        evidence.note(note)
    evidence.table("Protocol versions", scan.version_rows())
    evidence.table("Weak cipher suites", scan.weak_rows())
    evidence.table("Known flaws", scan.flaw_rows())
    evidence.figure("weak cipher suites", len(scan.weak), "1")
    evidence.figure("time", scan.seconds, "s")
    assert not scan.troubles, evidence.message
    scan.must_be_whole()
