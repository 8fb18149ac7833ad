"""The quarter's security review. The last ninety days of the access log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.access import Access
    from observe.access_anomalies import ClientAnomalies
    from report.evidence import Evidence
    from target.limits import LimitSet

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@pytest.mark.slow
@expectation(
    "brute-force",
    guide="Quarterly security review 5: access log analysis (last 90 days), brute force attempts",
    severity="major",
    remedy="If it was let in afterwards, that account's password is known: lock the account, end its sessions, and see "
    "what it did, `zgrep -h '^192\\.0\\.2\\.66 ' {access_log}*` with the client's address. Block the client at the "
    "firewall or with `deny` in nginx; set `limit_req` for the login paths, so that nobody can try as often.",
    limits=("login_refusals",),
)
def test_nobody_tries_passwords(access: Access, limits: LimitSet, evidence: Evidence) -> None:
    """Over 90 days no client was refused more logins in any five minutes than it may be."""
    seen, most = access.logins(), limits.login_refusals
    evidence.looked_at(seen.looked_at)
    evidence.compare("refused logins", seen=seen.said, wanted=seen.wanted(most), limits=[most])
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Clients with the most refused logins", seen.rows())
    evidence.figure("refused logins", seen.total, "1")
    evidence.figure("most of one client", seen.most, "1", most)
    evidence.figure("clients over the limit", seen.over, "1")
    assert not seen.over, evidence.message


@pytest.mark.slow
@expectation(
    "admin-access",
    guide="Quarterly security review 5: access log analysis (last 90 days), admin access patterns",
    severity="critical",
    remedy="Find out who that was. If it was one of yours, name the network in site.admin_networks; if not, look what "
    "was done there (Django's admin keeps a history of every object), change the administrators' passwords, and let "
    "nginx answer nobody else: `allow` the networks and `deny all` in the admin area's location.",
)
def test_admin_area_is_used_from_its_networks_alone(access: Access, evidence: Evidence) -> None:
    """Over 90 days nobody outside of the settings' networks was answered by the admin area but with a refusal."""
    seen = access.admin()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "requests for the admin area",
        seen=seen.said,
        wanted="none from outside of site.admin_networks answered below 400",
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Answered below 400 elsewhere", seen.rows())
    evidence.table("Other answers to elsewhere", seen.refused_rows())
    evidence.figure("answered elsewhere", seen.count, "1")
    evidence.figure("refused elsewhere", seen.refused.total(), "1")
    assert not seen.count, evidence.message


@pytest.mark.slow
@expectation(
    "access-anomalies",
    guide="Quarterly security review 5: access log analysis (last 90 days), anomalous patterns",
    severity="minor",
    remedy="Nothing is broken yet: see what the client asked for, `zgrep -h '^192\\.0\\.2\\.66 ' {access_log}* | less` "
    "with its address, and whose it is, `whois`. If nobody wants it, `deny` it in nginx or at the firewall, or lower "
    "`limit_req`; if it may do that (an office, a monitor, a crawler), name its network in logs.known_clients.",
    limits=("client_deviation", "client_floor"),
)
def test_no_client_is_out_of_line(
    client_anomalies: Callable[[], ClientAnomalies], limits: LimitSet, evidence: Evidence
) -> None:
    """Over 90 days no client's share, answers or time of day are out of line with the rest."""
    seen, most, floor = client_anomalies(), limits.client_deviation, limits.client_floor
    evidence.looked_at(seen.looked_at)
    evidence.compare("clients", seen=seen.said, wanted=seen.wanted(most.value), limits=[most, floor])
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Out of line", seen.rows())
    evidence.chart(f"Requests of {seen.worst} by hour of the day", seen.hours(), "requests")
    evidence.chart("Requests of all others by hour of the day", seen.hours_of_the_rest(), "requests")
    evidence.figure("deviation", seen.deviation, "1", most)
    evidence.figure("clients out of line", seen.clients, "1")
    assert not seen.findings, evidence.message
