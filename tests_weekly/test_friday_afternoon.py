"""Friday afternoon, before the weekend: is the backup whole, does the certificate last, is anybody held off?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.logs import Logs
    from observe.backup_file import BackupFile
    from observe.certificate import Certificates
    from observe.clock import Clock
    from report.evidence import Evidence
    from target.limits import LimitSet
    from target.model import Target

pytestmark = [pytest.mark.weekly, pytest.mark.friday]


@expectation(
    "backup-intact",
    guide="Friday afternoon: `gzip -t ./backups/…` of yesterday's backup, no errors",
    severity="critical",
    remedy="Don't rely on it: make another, {make_backup}, and try the other days' with `gzip -t`; "
    "where several are damaged, look after the disk that {backups} is on: `dmesg | tail`.",
)
def test_yesterdays_backup_is_intact(yesterdays_backup: Callable[[], BackupFile], evidence: Evidence) -> None:
    """Yesterday's backup unpacks to its end, its checksum and length hold, and nothing follows it."""
    file = yesterdays_backup()
    evidence.stands_for(file.cause)
    evidence.looked_at(file.looked_at)
    evidence.compare(file.name, seen=file.said, wanted="whole, as gzip wrote it")
    evidence.table("Reading", file.rows())
    evidence.figure("packed", file.size, "B")
    evidence.figure("unpacked", file.gzip.unpacked, "B")
    evidence.figure("time", file.seconds, "s")
    assert not file.gzip.damage, evidence.message


@expectation(
    "backup-complete",
    guide="Friday afternoon: `gzip -t ./backups/…` of yesterday's backup, and the dump in it was not cut short",
    severity="critical",
    remedy="The dump died while it was written, and the pipe into gzip hid it: see why in what the nightly backup "
    "logged and in `docker compose -p {project} logs {database}`; then make another, {make_backup}.",
)
def test_yesterdays_backup_is_complete(yesterdays_backup: Callable[[], BackupFile], evidence: Evidence) -> None:
    """The dump in yesterday's backup begins as pg_dump begins and ends with its completion line."""
    file = yesterdays_backup()
    evidence.looked_at(file.looked_at)
    dump = file.the_dump()
    evidence.compare(file.name, seen=dump.said, wanted="from pg_dump's first line to its completion line")
    evidence.table("Reading", file.rows())
    evidence.figure("tables", dump.tables, "1")
    assert not dump.trouble, evidence.message


@expectation(
    "certificate-lasts",
    guide="Friday afternoon: `openssl x509 -in …/fullchain.pem -noout -dates`, notAfter is > 30 days away",
    severity="critical",
    remedy="See what keeps it from being renewed: `certbot renew --dry-run`, and the log of its last run; "
    "with another client ask that one. Then reload the proxy: `nginx -t && nginx -s reload`.",
    limits=("certificate_left",),
)
def test_certificate_lasts(
    certificate_place: str, certificates: Certificates, clock: Clock, limits: LimitSet, evidence: Evidence
) -> None:
    """The certificate and its chain are already valid, and for more than 30 more days."""
    wanted = f"valid now and for more than {limits.certificate_left}"
    evidence.compare("the certificate", seen="nothing to look at", wanted=wanted, limits=[limits.certificate_left])
    chain, now = certificates.at(certificate_place), clock.now()
    lasting = chain.lasting(now)
    evidence.looked_at(chain.looked_at)
    evidence.compare(lasting.thing, seen=lasting.said, wanted=wanted, limits=[limits.certificate_left])
    evidence.table("Certificates", chain.rows(now))
    evidence.figure("left", lasting.left / timedelta(seconds=1), "s", limits.certificate_left)
    for note in certificates.notes:
        evidence.note(note)
    assert lasting.begun, evidence.message
    assert lasting.left > limits.certificate_left, evidence.message


@expectation(
    "certificate-served",
    guide="Friday afternoon: `openssl x509 -in …/fullchain.pem -noout -dates`, and visitors get that one",
    severity="major",
    remedy="Renewed but never reloaded: `nginx -t && nginx -s reload`, and give certbot a --deploy-hook that does it. "
    "Chain: let ssl_certificate name {certificate}, fullchain and not cert. Names: issue it for every name of {site}.",
)
def test_certificate_is_served(certificates: Certificates, clock: Clock, evidence: Evidence) -> None:
    """The certificate that is served is the one on disk, its chain is complete and its names cover the site."""
    wanted = "the one on disk, a whole chain, the site's name"
    evidence.compare("the certificate as served", seen="nothing to look at", wanted=wanted)
    serving = certificates.serving()
    evidence.looked_at(serving.looked_at)
    evidence.compare("the certificate as served", seen=serving.said, wanted=wanted)
    evidence.table("Looked at", serving.rows)
    evidence.table("Certificates", certificates.rows(clock.now()))
    for note in certificates.notes:
        evidence.note(note)
    assert not serving.troubles, evidence.message
    serving.must_be_whole()


@expectation(
    "rate-limit-quiet",
    guide='Friday afternoon: `docker-compose logs backend | grep "RATE_LIMIT" | wc -l`, close to 0',
    severity="minor",
    remedy="See who it is, in the report: one client is a script or an attacker (look at what it asks for in "
    "{access_log}), many are a limit that is too low for honest users.",
    limits=("rate_limit_events",),
)
def test_rate_limits_are_quiet(logs: Logs, limits: LimitSet, target: Target, evidence: Evidence) -> None:
    """Clients were refused for asking too often at most 10 times in the last week."""
    seen, window = logs.rate_limits, target.windows.rate_limits
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"refusals of {window}",
        seen=seen.said,
        wanted=f"at most {limits.rate_limit_events}",
        limits=[limits.rate_limit_events],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("What tells of them", seen.rows())
    evidence.table("Whom the proxy refused", seen.clients())
    evidence.figure("refusals", seen.events, "1", limits.rate_limit_events)
    assert seen.events <= limits.rate_limit_events, evidence.message
    seen.must_see()
