"""What is needed on a bad day: maintenance commands, room, connections, drills, runbooks, the alert route."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from observe.database import CAUSE
from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.archive import Archive
    from observe.disk_usage import Reclaimable
    from observe.django_commands import Commands, DeployCheck, Migrations
    from observe.drills.disturbed import Course, Means
    from observe.filesystems import FileSystem
    from observe.logs_readable import ReadableLogs
    from observe.on_call import OnCallState
    from observe.runbooks import Runbook
    from observe.sessions import Headroom, IdleSessions
    from report.evidence import Evidence
    from target.limits import LimitSet

pytestmark = [pytest.mark.monthly, pytest.mark.readiness]


@pytest.mark.slow
@expectation(
    "admin-commands",
    guide="Common maintenance tasks: `docker-compose exec backend python manage.py createsuperuser`, `clearcache`, "
    "`migrate`",
    severity="major",
    remedy="See what there is: `docker compose -p {project} exec {backend} python3 manage.py help`. Gone: its "
    "application must stand in INSTALLED_APPS, with `management/commands/{item}.py` in the image; build and deploy "
    "that again. Another name: application.commands in the target, and the guide.",
)
def test_admin_command_is_there(command: str, admin_commands: Callable[[], Commands], evidence: Evidence) -> None:
    """The backend has the command that the guide relies on; it isn't run."""
    seen = admin_commands()
    evidence.looked_at(seen.looked_at)
    evidence.compare(f"manage.py {command}", seen=seen.said_of(command), wanted="a command of that name")
    evidence.table("Commands", seen.rows())
    assert command in seen.app_of, evidence.message


@pytest.mark.slow
@pytest.mark.triage(step=4)
@expectation(
    "migrations-applied",
    guide="Common maintenance tasks: running database migrations, `… exec backend python manage.py migrate`",
    severity="critical",
    remedy="Make a backup first, {make_backup}; then "
    "`docker compose -p {project} exec {backend} python3 manage.py migrate`. What it would do: the same with `--plan`.",
)
def test_migrations_are_applied(migrations: Callable[[], Migrations], evidence: Evidence) -> None:
    """Every migration that the backend's code has is applied to its database."""
    seen = migrations()
    evidence.looked_at(seen.looked_at)
    evidence.compare("migrations", seen=seen.said, wanted="none unapplied")
    evidence.table("Unapplied", seen.rows())
    evidence.figure("unapplied", len(seen.unapplied), "1")
    assert not seen.unapplied, evidence.message


@pytest.mark.slow
@expectation(
    "deploy-check",
    guide="Common maintenance tasks: after a code update, Django's own `manage.py check --deploy`",
    severity="major",
    remedy="Read what it says: `docker compose -p {project} exec {backend} python3 manage.py check --deploy`; each "
    "name stands in Django's documentation under *System check framework*. Mend the settings; where another part sees "
    "to it, as the proxy may, put that name into SILENCED_SYSTEM_CHECKS, with the reason beside it.",
)
def test_django_finds_it_fit_to_be_deployed(deploy_check: Callable[[], DeployCheck], evidence: Evidence) -> None:
    """Django's own check of a deployment finds nothing at warning or above."""
    seen = deploy_check()
    evidence.looked_at(seen.looked_at)
    evidence.compare("manage.py check --deploy", seen=seen.said, wanted="nothing at warning or above")
    evidence.table("What it found", seen.rows())
    evidence.figure("issues", seen.failures, "1")
    evidence.figure("silenced", seen.silenced, "1")
    assert not seen.fails, evidence.message


@pytest.mark.slow
@pytest.mark.drill
@expectation(
    "graceful-restart",
    guide="Restarting services (graceful): `docker-compose restart backend`, no downtime with several instances",
    severity="major",
    remedy="With one container: run two, `docker compose -p {project} up -d --scale {backend}=2` (`scale: 2` in the "
    "Compose file keeps it so), and restart them one after the other, `docker restart NAME`: Compose restarts all at "
    "once. With failures: let the proxy ask the next one (`proxy_next_upstream error timeout`) and look the name up "
    "anew (`resolver`). Late: see what it does at its start, `docker logs --tail 50 NAME`.",
    limits=("restart_time",),
)
def test_backend_restarts_unnoticed(drill_means: Callable[[str], Means], limits: LimitSet, evidence: Evidence) -> None:
    """The backend restarts without one failed request, container by container, each healthy again in time."""
    from observe.drills.restart import restart

    limit = limits.restart_time
    seen = restart(drill_means("graceful-restart"), limit.value.total_seconds())
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "restarting the backend",
        seen=seen.said,
        wanted=f"not one request failed, each container healthy again within {limit}",
        limits=[limit],
    )
    drilled(seen.course, evidence)
    evidence.table("Containers", seen.rows())
    if seen.slowest is not None:
        evidence.figure("time to healthy", seen.slowest, "s", limit)
    assert not seen.troubles, evidence.message


@pytest.mark.triage(step=1)
@expectation(
    "logs-readable",
    guide="Viewing logs: `docker-compose logs --tail 100 backend`, `--timestamps --since 1h`",
    severity="major",
    remedy="See it yourself: `docker compose -p {project} logs --tail 50 {item}`. Then in the Compose file, under "
    '{item}: `logging: {{driver: json-file, options: {{max-size: 10m, max-file: "3"}}}}`, and in {directory}: '
    "`docker compose up -d {item}`, which makes its container anew: save the old log first.",
)
def test_log_is_readable(service: str, readable_logs: Callable[[str], ReadableLogs], evidence: Evidence) -> None:
    """The service's last lines can be read, with their times, and its log can't fill the disk."""
    seen = readable_logs(service)
    evidence.looked_at(seen.looked_at)
    evidence.compare(f"service {service}", seen=seen.said, wanted="a log that can be read and has a size limit")
    evidence.table("Logs", seen.rows())
    evidence.excerpt(f"The last lines of {service}", seen.excerpt())
    assert not seen.troubles, evidence.message


@pytest.mark.slow
@pytest.mark.triage(step=5)
@expectation(
    "docker-reclaimable",
    guide="Disk full: `docker system prune -a`, `docker volume prune`, before it comes to that",
    severity="minor",
    remedy="See what it is: `docker system df -v`. Images: `docker image prune` removes those without a name, and "
    "with `-a` all that no container is made of, the older one to go back to as well. Volumes hold data: look into "
    "each before `docker volume rm`.",
    limits=("docker_reclaimable", "docker_reclaimable_floor"),
)
def test_unused_docker_data_is_little(
    reclaimable: Callable[[], tuple[Reclaimable, FileSystem]], limits: LimitSet, evidence: Evidence
) -> None:
    """Images, containers, volumes and build cache that nobody uses take less than a fifth of their disk."""
    (seen, disk), share, floor = reclaimable(), limits.docker_reclaimable, limits.docker_reclaimable_floor
    most = max(share.value * disk.space.total, floor.value)
    evidence.looked_at(f"{seen.looked_at}, on {disk.mount}")
    evidence.compare(
        "what Docker keeps",
        seen=seen.said_of(disk.space.total),
        wanted=f"less than {share}, or less than {floor}",
        limits=[share, floor],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("What nobody uses", seen.rows())
    evidence.table("The largest of it", seen.largest_rows())
    evidence.figure("unused", seen.size / disk.space.total, "share", share)
    assert seen.size < most, evidence.message
    seen.must_be_below(most)


@pytest.mark.triage(step=5)
@expectation(
    "backup-archive",
    guide="Disk full: archive old backups, with a copy in S3",
    severity="major",
    remedy="Old ones, when newer ones restore: `find {backups} -name '*.sql.gz' -mtime +30 -print`, then with -delete; "
    "and see in `crontab -l` and backup.log why the nightly run doesn't. Too much room: keep fewer, or a larger disk. "
    "No copy: run by hand what copies them off site, and read what it says.",
    limits=("backups_share", "offsite_delay"),
)
def test_backups_are_deleted_in_time_and_copied(
    archive: Callable[[], Archive], limits: LimitSet, evidence: Evidence
) -> None:
    """Old backups are gone, all take at most a quarter of their disk, and the newest has its copy off site."""
    seen, share, delay = archive(), limits.backups_share, limits.offsite_delay
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "the backups", seen=seen.said, wanted=seen.wanted(str(share), str(delay)), limits=seen.limits(share, delay)
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Files that look like backups", seen.rows())
    evidence.table("Off site", seen.copy_rows())
    evidence.figure("size", seen.pile.size, "B")
    if seen.disk is not None:
        evidence.figure("share of their disk", seen.share, "share", share)
    assert seen.holds, evidence.message
    seen.must_see()


@pytest.mark.triage(step=6)
@expectation(
    "connection-headroom",
    guide="Too many database connections: `SELECT COUNT(*) FROM pg_stat_activity;` and max_connections",
    severity="critical",
    remedy="Superusers still get in: `docker compose -p {project} exec {database} sh -c "
    "'psql -U \"$POSTGRES_USER\" postgres'`. There, who holds them: `SELECT usename, application_name, client_addr, "
    "state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC;`. End those that are idle: `SELECT "
    "pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle%' AND state_change < now() - interval "
    "'30 minutes';`. All from one client that goes on: restart it, `docker compose -p {project} restart {backend}`. "
    "Then a pooler, fewer workers, or a higher max_connections.",
    limits=("connections_used",),
)
def test_connections_have_headroom(headroom: Callable[[], Headroom], limits: LimitSet, evidence: Evidence) -> None:
    """Less than 80 % of the connections that an application can have are held, this check's own not counted."""
    limit = limits.connections_used
    wanted = f"less than {limit} of what the database takes from clients"
    # Whoever asks the database waits for a connection.
    evidence.stands_for(CAUSE)
    evidence.compare("client connections", seen="", wanted=wanted, limits=[limit])
    seen = headroom()
    evidence.looked_at(seen.looked_at)
    evidence.compare("client connections", seen=seen.said, wanted=wanted, limits=[limit])
    evidence.table("Who is connected", seen.connections.by_application())
    evidence.figure("connections", seen.used, "1")
    evidence.figure("share", seen.share, "share", limit)
    assert seen.share < limit.value, evidence.message


@pytest.mark.triage(step=6)
@expectation(
    "idle-connections",
    guide="Too many database connections: kill idle connections, `pg_terminate_backend(pid) … WHERE state = 'idle'`",
    severity="major",
    remedy="End it: `docker compose -p {project} exec {database} sh -c 'psql -U \"$POSTGRES_USER\" postgres'`, there "
    "`SELECT pg_terminate_backend(PROCESS);`. In a transaction it holds locks, and keeps dead rows from being removed. "
    "So that it doesn't come again: `idle_session_timeout` and `idle_in_transaction_session_timeout` of its role; in "
    "the application CONN_MAX_AGE, and no transaction open while it waits for something else.",
    limits=("idle_connection",),
)
def test_no_connection_is_abandoned(
    idle_sessions: Callable[[], IdleSessions], limits: LimitSet, evidence: Evidence
) -> None:
    """No client's session is idle, or idle in a transaction, for longer than half an hour."""
    seen, limit = idle_sessions(), limits.idle_connection
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "idle connections", seen=seen.said(limit.value), wanted=f"none for longer than {limit}", limits=[limit]
    )
    evidence.table("Idle connections", seen.rows())
    evidence.figure("longest", seen.longest.total_seconds(), "s", limit)
    assert not seen.abandoned(limit.value), evidence.message
    seen.must_see()


@pytest.mark.slow
@pytest.mark.drill
@expectation(
    "recovery-drill",
    guide="Service down: it is up again within minutes",
    severity="critical",
    remedy="Start what is down: `docker compose -p {project} up -d`. Then give the service a policy that brings it "
    "back, `restart: unless-stopped` in {directory}; if it has one, see what keeps it: `docker logs --tail 50 NAME`.",
    limits=("recovery_time",),
)
def test_stack_recovers_from_a_killed_backend(
    drill_means: Callable[[str], Means], limits: LimitSet, evidence: Evidence
) -> None:
    """After every process of the backend was killed the whole stack is healthy again in time, and the site answers."""
    from observe.drills.recovery import recovery

    limit = limits.recovery_time
    seen = recovery(drill_means("recovery-drill"), limit.value.total_seconds())
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "the stack after its backend was killed",
        seen=seen.said,
        wanted=f"by itself healthy again and answering within {limit}",
        limits=[limit],
    )
    drilled(seen.course, evidence)
    evidence.table("Containers", seen.rows())
    if seen.seconds is not None:
        evidence.figure("time to healthy", seen.seconds, "s", limit)
    assert seen.recovered, evidence.message


@expectation(
    "runbooks-present",
    guide="Runbooks: BACKUP_SETUP.md, INCIDENTS.md, SECURITY.md, and the guide itself with its Next Review",
    severity="major",
    remedy="See `ls -l {directory}/{item}`. Gone: put it back from version control. Overdue: read it, mend what is no "
    "longer so, and give it a new line `Next Review: …`. Another name: project.runbooks.",
)
def test_runbook_is_there_and_reviewed(runbook: str, runbooks: Callable[[str], Runbook], evidence: Evidence) -> None:
    """The document lies in the project's directory, says something, and its next review lies ahead."""
    seen = runbooks(runbook)
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        runbook, seen=seen.said, wanted=f"there, with words in it, its next review not before {seen.today}"
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("words", seen.words, "1")
    assert seen.kept, evidence.message
    seen.must_have_date()


@pytest.mark.slow
@expectation(
    "on-call-route",
    guide="On-Call Rotation: set up on-call schedule; PagerDuty, Opsgenie, or similar service",
    severity="critical",
    remedy="Until it is mended somebody looks by themselves: agree who. Then send a test event again: "
    "`pytest -m readiness -k on_call --allow-disruption=NAME` (on_call.send_test = true). A refused key: make a new "
    "one with the service, into on_call.url_file. Nobody on call: mend the rota.",
    limits=("on_call_test",),
)
def test_on_call_is_told(on_call: Callable[[], tuple[OnCallState, str]], limits: LimitSet, evidence: Evidence) -> None:
    """The alert route is set up and has taken a test event lately, and the rota has somebody on call now."""
    (seen, figure), lately = on_call(), limits.on_call_test
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "whoever is on call",
        seen=seen.said,
        wanted=f"a route that has taken a test event within {lately}, and somebody on call now",
        limits=[lately],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("The alert route", seen.rows())
    evidence.table("The rota", seen.rota.rows() if seen.rota else [])
    if seen.accepted_now:
        # The next runs look for it in the history.
        evidence.figure(figure, 1.0, "1")
    assert not seen.findings, evidence.message
    seen.must_be_known()


def drilled(course: Course, evidence: Evidence) -> None:
    """Record how a drill went."""
    for note in course.notes:
        evidence.note(note)
    evidence.table("Phases", course.rows())
    failed = course.failed_lines()
    evidence.excerpt("Requests that failed", failed, of=len(failed))
    evidence.figure("requests", len(course.heard.asked), "1")
    evidence.figure("failed requests", len(course.heard.failures), "1")
    evidence.figure("longest outage", course.heard.outage, "s")
    evidence.figure("slowest answer", course.heard.slowest, "s")
