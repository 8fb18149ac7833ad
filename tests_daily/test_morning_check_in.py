"""The morning check-in, 9 in the morning: is everything up, does it answer, is there room, a backup?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.containers import Stack
    from observe.backups import Listing
    from observe.clock import Clock
    from observe.filesystems import FileSystems
    from observe.headers import SecurityHeaders
    from observe.health import HealthEndpoint
    from observe.site import Site
    from observe.swarm import Nodes
    from report.evidence import Evidence
    from target.limits import LimitSet
    from target.model import Target

pytestmark = [pytest.mark.daily, pytest.mark.morning]


@pytest.mark.evening
@pytest.mark.triage(step=1)
@expectation(
    "services-up",
    guide="Morning check-in: `docker-compose ps`, all services up",
    severity="critical",
    remedy="See why: `docker compose -p {project} logs --tail 50 {item}`. "
    "Then, in {directory}: `docker compose up -d {item}`; where it runs and is unhealthy, "
    "`docker compose restart {item}`; where it is paused, `docker compose unpause {item}`. "
    "In a Swarm: `docker service ps --no-trunc {project}_{item}`.",
)
def test_service_is_up(service: str, stack: Stack, clock: Clock, evidence: Evidence) -> None:
    """Every container that the service should have is there, runs and is healthy."""
    seen, now = stack.service(service), clock.now()
    troubles = seen.troubles(now)
    evidence.stands_for(f"service {service}")
    evidence.looked_at(seen.looked_at)
    evidence.compare(f"service {service}", seen="; ".join(troubles) or seen.as_it_is, wanted=seen.wanted_in_words)
    evidence.table("Containers", seen.rows(now))
    if troubles:
        evidence.excerpt(f"The last lines of {service}", stack.last_lines(service))
    if not stack.project.services:
        evidence.note(f"the engine knows no container at all of a project named {stack.project.name}")
    assert not troubles, evidence.message


@expectation(
    "services-stable",
    guide="Morning check-in: `docker-compose ps`, and nothing came back up by itself over night",
    severity="major",
    remedy="See what it said before it ended: `docker compose -p {project} logs --since 24h {item}`; "
    "if it ran out of memory, raise its limit or find the leak.",
)
def test_service_is_stable(service: str, stack: Stack, clock: Clock, target: Target, evidence: Evidence) -> None:
    """No container of the service was restarted by its policy or ran out of memory in the last 24 hours."""
    now, window = clock.now(), target.windows.restarts
    mishaps = stack.mishaps(service, now - window, now)
    evidence.looked_at(mishaps.looked_at)
    evidence.compare(
        f"service {service}",
        seen="; ".join(one.said(now) for one in mishaps.all) or mishaps.none,
        wanted=f"none in {window}",
    )
    for note in mishaps.notes(now):
        evidence.note(note)
    evidence.table("Containers", stack.service(service).rows(now))
    assert not mishaps.all, evidence.message


@pytest.mark.evening
@expectation(
    "nodes-ready",
    guide="Morning check-in: `docker-compose ps`, and the machines that a Swarm runs it on",
    severity="critical",
    remedy="On a manager: `docker node ls`. A node that is down: start its engine, `systemctl start docker`. One that "
    "was drained or paused for work that is done: `docker node update --availability active NODE`. Quorum that is "
    "lost: bring a manager back; `docker swarm init --force-new-cluster` is the last resort.",
)
def test_nodes_are_ready(nodes: Callable[[], Nodes], clock: Clock, evidence: Evidence) -> None:
    """Every node of the Swarm is ready and takes tasks, and every manager is reached by the others."""
    evidence.compare("the nodes of the Swarm", seen="no answer", wanted="all ready and active")
    seen = nodes()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "the nodes of the Swarm", seen="; ".join(seen.troubles) or "all ready and active", wanted="all ready and active"
    )
    evidence.table("Nodes", seen.rows())
    evidence.table("Secrets and configs, by name alone", seen.kept_rows(clock.now()))
    for note in seen.notes:
        evidence.note(note)
    assert not seen.troubles, evidence.message


@pytest.mark.triage(step=3)
@expectation(
    "site-answers",
    guide="Morning check-in: `curl -I https://…`, 200 OK",
    severity="critical",
    remedy="Look from the host: `curl -v {site}{item}`; then the proxy's log {error_log} "
    "and `docker compose -p {project} logs --tail 50 {backend}`.",
    symptom=True,
)
def test_site_answers(path: str, site: Site, target: Target, evidence: Evidence) -> None:
    """The site answers 200 over HTTPS, with a certificate that is trusted and carries its name."""
    wanted = "200 over trusted HTTPS"
    evidence.compare(f"{target.site.url.rstrip('/')}{path}", seen="no answer", wanted=wanted)
    page = site.get(path)
    evidence.looked_at(f"1 answer, {page.protocol}, {len(page.hops)} redirects")
    evidence.compare(page.url, seen=str(page.status), wanted=wanted)
    evidence.table("Answer", [page.row()])
    evidence.figure("time", page.seconds, "s")
    assert page.status == 200, evidence.message


@expectation(
    "security-header",
    guide="Morning check-in: `curl -I https://…`, security headers present",
    severity="major",
    remedy='Set it once, in the proxy: `add_header {item} "…" always;` (error pages lack it without `always`), '
    "then `nginx -t` and reload.",
    limits=("hsts_max_age",),
)
def test_security_header_is_right(header: str, security_headers: SecurityHeaders, evidence: Evidence) -> None:
    """The security header is there once on the start page and on error pages, and says what it should."""
    seen = security_headers.of(header)
    evidence.looked_at(f"{len(seen.rows)} of 2 pages: the start page and an error page")
    evidence.compare(header, seen="; ".join(seen.troubles) or "right on each page", wanted=seen.wanted)
    evidence.table("Headers", seen.rows)
    assert not seen.troubles, evidence.message
    seen.must_be_whole()


@expectation(
    "http-redirects",
    guide="Morning check-in: `curl -I https://…`, and nobody stays on plain HTTP",
    severity="major",
    remedy="Where nothing answers: is port 80 open, and does the proxy listen there? Else, in its server block for "
    "port 80: `return 301 https://$host$request_uri;`, then reload.",
)
def test_plain_http_redirects(site: Site, target: Target, evidence: Evidence) -> None:
    """Plain HTTP answers with a permanent redirect to the same path on HTTPS."""
    path = target.site.paths[-1]
    wanted = "301 or 308 to the same path on HTTPS"
    evidence.compare(f"http://{site.host}{path}", seen="no answer", wanted=wanted)
    page, trouble = site.redirects(path)
    evidence.looked_at(f"1 answer over plain HTTP, {page.status}")
    evidence.compare(page.url, seen=trouble or f"{page.status} to {page.header('location')}", wanted=wanted)
    assert not trouble, evidence.message


@pytest.mark.triage(step=5)
@expectation(
    "disk-space",
    guide="Morning check-in: `df -h /`, less than 80 % full",
    severity="critical",
    remedy="See what takes the room: `du -xh -d1 | sort -h | tail` on its mount point; "
    "the guide's emergency procedure for a full disk says what may go.",
    limits=("disk_used",),
)
def test_disk_has_room(filesystem: str, filesystems: FileSystems, limits: LimitSet, evidence: Evidence) -> None:
    """The file system is less than 80 % full."""
    seen = filesystems.of(filesystem)
    used, small = seen.space.share, seen.space.total < limits.disk_floor.value
    evidence.looked_at(f"{seen.path}, on {seen.mount}")
    evidence.compare(
        f"{filesystem} ({seen.mount})",
        seen=f"{used} used, {seen.free} free" if used is not None else "nothing to fill",
        wanted=f"less than {limits.disk_used} used",
        limits=[limits.disk_used],
    )
    evidence.table("File systems", filesystems.rows())
    evidence.figure("used", used or 0.0, "share", limits.disk_used)
    assert used is None or small or used < limits.disk_used, evidence.message


@pytest.mark.triage(step=5)
@expectation(
    "disk-inodes",
    guide="Morning check-in: `df -h /`, and room for new files as well as for bytes",
    severity="critical",
    remedy="Find the directory with too many small files: `du --inodes -x -d1 | sort -n | tail` on its mount point.",
    limits=("inodes_used",),
)
def test_disk_has_inodes(filesystem: str, filesystems: FileSystems, limits: LimitSet, evidence: Evidence) -> None:
    """Less than 80 % of the file system's inodes are used."""
    seen = filesystems.of(filesystem)
    used, small = seen.inodes.share, seen.inodes.total < limits.inodes_floor.value
    evidence.looked_at(f"{seen.path}, on {seen.mount}")
    evidence.compare(
        f"{filesystem} ({seen.mount})",
        seen=f"{used} of {seen.inodes.total} inodes used" if used is not None else "it counts no inodes",
        wanted=f"less than {limits.inodes_used} used",
        limits=[limits.inodes_used],
    )
    evidence.table("File systems", filesystems.rows())
    evidence.figure("used", used or 0.0, "share", limits.inodes_used)
    assert used is None or small or used < limits.inodes_used, evidence.message


@expectation(
    "backup-fresh",
    guide="Morning check-in: `ls -lh ./backups/…`, a file of the last 24 hours",
    severity="critical",
    remedy="Read what the nightly backup logged (the guide's writes backup.log beside the dumps), then make one by "
    "hand: {make_backup}; see BACKUP_SETUP.md.",
    limits=("backup_age",),
)
def test_newest_backup_is_fresh(
    backups: Callable[[], Listing], clock: Clock, limits: LimitSet, evidence: Evidence
) -> None:
    """The newest backup is at most a day old, and its file is as old as its name says."""
    listing, now = backups(), clock.now()
    freshness = listing.freshness(now)
    evidence.looked_at(listing.looked_at)
    evidence.compare(
        freshness.name,
        seen=freshness.said,
        wanted=f"at most {limits.backup_age} old",
        limits=[limits.backup_age],
    )
    evidence.table("Backups", listing.rows(now))
    evidence.figure("age", freshness.seconds, "s", limits.backup_age)
    assert freshness.age is not None, evidence.message
    assert freshness.age <= limits.backup_age, evidence.message
    assert not freshness.lie, evidence.message


@expectation(
    "backup-size",
    guide="Morning check-in: `ls -lh ./backups/…`, 5-50MB",
    severity="major",
    remedy="Read {backups}/backup.log: a dump that is too small was cut short or made of an empty database; "
    "one that is too large asks what has grown.",
    limits=("backup_size_min", "backup_size_max"),
)
def test_newest_backup_has_its_size(
    backups: Callable[[], Listing], clock: Clock, limits: LimitSet, evidence: Evidence
) -> None:
    """The newest backup is between 5 and 50 MiB."""
    listing = backups()
    newest = listing.the_newest()
    least, most = limits.backup_size_min, limits.backup_size_max
    evidence.looked_at(listing.looked_at)
    evidence.compare(newest.name, seen=newest.weight, wanted=f"{least} to {most}", limits=[least, most])
    evidence.table("Backups", listing.rows(clock.now()))
    evidence.figure("size", newest.size, "B", least)
    assert least <= newest.size <= most, evidence.message


@expectation(
    "backup-steady",
    guide="Morning check-in: `ls -lh ./backups/…`, and like the ones before it",
    severity="major",
    remedy="Compare what is in it with the one before: `zcat {backups}/… | grep -c ^COPY`, and row counts.",
    limits=("backup_steady_low", "backup_steady_high", "backup_steady_floor"),
)
def test_newest_backup_is_like_the_others(
    backups: Callable[[], Listing], clock: Clock, limits: LimitSet, evidence: Evidence
) -> None:
    """The newest backup has between half and double the usual size of the last seven."""
    listing = backups()
    newest, usual = listing.the_newest(), listing.usual()
    low, high, floor = limits.backup_steady_low, limits.backup_steady_high, limits.backup_steady_floor
    evidence.looked_at(f"{usual.of} backups in {listing.directory}")
    evidence.compare(
        newest.name,
        seen=f"{newest.weight}, {newest.size / usual.size:.2f} x the median of {usual.weight}",
        wanted=f"{low} to {high} the median",
        limits=[low, high, floor],
    )
    evidence.table("Backups", listing.rows(clock.now()))
    evidence.figure("ratio", newest.size / usual.size, "1", high)
    small = abs(newest.size - usual.size) <= floor.value
    assert small or low <= newest.size / usual.size <= high, evidence.message


@pytest.mark.triage(step=3)
@expectation(
    "health-endpoint",
    guide="Service down, quick recovery: `curl https://…/health/`, as a user reaches it",
    severity="critical",
    remedy="Ask it by hand: `curl -i {site}/health/`; what it names as failing is where to look, "
    "and `docker compose -p {project} logs --tail 50 {backend}`.",
    symptom=True,
)
def test_health_endpoint_answers(
    health_endpoint: HealthEndpoint, site: Site, stack: Stack, target: Target, evidence: Evidence
) -> None:
    """The health endpoint answers 200 itself and says that all is well."""
    address = f"{site.url.rstrip('/')}{health_endpoint.path}"
    evidence.compare(address, seen="no answer", wanted="200, and a body that says so")
    page, trouble = health_endpoint.look()
    if trouble:
        evidence.excerpt("The last lines of the backend", stack.last_lines(target.services.backend))
    evidence.looked_at(f"1 answer of {len(page.body)} characters, {page.protocol}")
    evidence.compare(address, seen=trouble or f"200: {page.body.strip()[:80]}", wanted="200, and a body that says so")
    assert not trouble, evidence.message
