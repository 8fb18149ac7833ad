"""When the instrument fails it is *can't tell*, within the limits, and the rest of the run goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lab.faults.fault import recovered
from lab.faults.logs import container_logs_restored, proxy_logs_restored
from lab.faults.site import ALL_HEADERS
from proofs.harness import SuiteRun, derived_target, run_suite
from proofs.relay import Mode, Relay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.stack import Lab

SECONDS = 2.0
"""The limit of each connection in these proofs."""
LIMITS = {"timeouts.site": "2 s", "timeouts.engine": "2 s", "timeouts.database": "2 s", "timeouts.logs": "4 s"}
PATHS = ("/", "/api/status/")
SITE = {*(f"site-answers[{path}]" for path in PATHS), "health-endpoint"}
SITE_BLIND = set(ALL_HEADERS)
SERVICES = ("db", "redis", "backend", "nginx", "backup")
ENGINE_BLIND = {
    *(f"{slug}[{service}]" for slug in ("services-up", "services-stable") for service in SERVICES),
    *(f"{slug}[{role}]" for slug in ("disk-space", "disk-inodes") for role in ("docker", "database")),
    "backend-errors",
    "database-log-quiet",
    "database-connections",
}


def run_with(
    lab: Lab, tmp_path: Path, history: Path, changes: Mapping[str, Any], marker: str = "daily", *more: str
) -> SuiteRun:
    target = derived_target(lab.target_file, tmp_path, {**LIMITS, **changes})
    run = run_suite(target, *more, marker=marker, history=history)
    assert run.status == 1, run.explain()
    return run


def assert_one_line(run: SuiteRun, cause: str, head: str) -> None:
    """One cause is one line: its head stands there, and the others only as waiting for it."""
    waiting = [one for one in run.findings.values() if one.cause == cause]
    assert waiting, f"nothing waits for {cause}"
    lines = [line for line in run.terminal.splitlines() if line.startswith(("BROKEN", "CAN'T TELL"))]
    assert len(lines) == 1, "\n".join(lines)
    assert head in lines[0]
    if len(waiting) > 1:
        assert f"{len(waiting) - 1} more wait" in run.terminal


def test_an_absent_engine_blinds_what_asks_it(lab: Lab, tmp_path: Path, history: Path) -> None:
    run = run_with(lab, tmp_path, history, {"engine.url": f"unix://{tmp_path}/nobody.sock"})
    assert run.broken == set()
    assert run.blind == ENGINE_BLIND, run.explain()
    assert_one_line(run, "engine", "services-up[db]")


def test_a_refusing_engine_says_permission(lab: Lab, tmp_path: Path, history: Path) -> None:
    sock = tmp_path / "refusing.sock"
    with Relay(mode="silent", unix=sock):
        pass  # the socket's file stays, nobody listens any more
    run = run_with(lab, tmp_path, history, {"engine.url": f"unix://{sock}"})
    assert run.blind == ENGINE_BLIND
    assert "refused" in run.terminal


@pytest.mark.parametrize("mode", ["silent", "drip"])
def test_an_engine_that_does_not_answer_costs_its_limit_once(
    mode: Mode, lab: Lab, tmp_path: Path, history: Path
) -> None:
    sock = tmp_path / "engine.sock"
    with Relay(mode=mode, unix=sock, first=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX: ") as relay:
        run = run_with(lab, tmp_path, history, {"engine.url": f"unix://{sock}"})
        assert relay.accepted <= 2
    assert run.blind == ENGINE_BLIND, run.explain()
    assert_one_line(run, "engine", "services-up[db]")


@pytest.mark.parametrize("mode", ["silent", "drip"])
def test_a_database_that_does_not_answer_blinds_one_expectation(
    mode: Mode, lab: Lab, tmp_path: Path, history: Path
) -> None:
    with Relay(mode=mode, first=b"N") as relay:
        changes = {"database.host": "127.0.0.1", "database.port": relay.port, "database.name": lab.database}
        run = run_with(lab, tmp_path, history, changes)
        assert relay.accepted >= 1
    assert run.broken == set()
    assert run.blind == {"database-connections"}, run.explain()


def test_a_wrong_password_is_cannot_tell_and_its_trace_is_not_the_databases_fault(
    lab: Lab, tmp_path: Path, history: Path
) -> None:
    changes = {"database.password": "not-the-password-71", "database.password_file": None}
    for _ in range(2):  # the second run finds the first one's line in the database's log
        run = run_with(lab, tmp_path, history, changes)
        assert run.blind == {"database-connections"}, run.explain()
        assert run.broken == set(), run.explain()
        assert "not-the-password-71" not in run.terminal + run.html + run.xml
        assert "ops_checks" in run.findings["database-connections"].message


def test_what_waits_for_a_stopped_database_is_folded_under_its_service(lab: Lab, history: Path) -> None:
    container = lab.container("db")
    with container_logs_restored(lab, "backend", "db"), proxy_logs_restored(lab):
        try:
            container.stop(timeout=10)
            run = run_suite(lab.target_file, history=history)
        finally:
            container.start()
            recovered(lab)
    assert "services-up[db]" in run.broken, run.explain()
    assert run.blind == {"database-connections"}, run.explain()
    assert run.findings["services-up[db]"].cause == run.findings["database-connections"].cause == "service db"
    assert "1 more waits for the same: database-connections" in run.terminal


@pytest.mark.parametrize("mode", ["silent", "drip"])
def test_a_site_that_does_not_answer_is_broken_once(mode: Mode, lab: Lab, tmp_path: Path, history: Path) -> None:
    with Relay(mode=mode) as relay:
        run = run_with(lab, tmp_path, history, {"site.connect_to": relay.address})
        assert relay.accepted == 1, "a black hole is asked once"
    assert run.broken == SITE, run.explain()
    assert run.blind == SITE_BLIND
    assert_one_line(run, "site", "site-answers[/]")


def test_a_site_whose_name_cannot_be_resolved_is_broken(lab: Lab, tmp_path: Path, history: Path) -> None:
    changes = {"site.url": "https://nobody.invalid/", "site.connect_to": None, "site.http_connect_to": None}
    run = run_with(lab, tmp_path, history, changes)
    assert run.broken == SITE | {"http-redirects"}, run.explain()
    assert run.blind == SITE_BLIND
    message = run.findings["site-answers[/]"].message
    assert "can't be resolved" in message or "did not answer" in message


def test_without_the_sites_address_nothing_is_said_of_it(lab: Lab, tmp_path: Path, history: Path) -> None:
    run = run_with(lab, tmp_path, history, {"site.url": None})
    assert run.broken == set()
    assert run.blind == SITE | SITE_BLIND | {"http-redirects"}, run.explain()
    assert "site.url" in run.findings["site-answers[/]"].remedy


@pytest.mark.parametrize(
    ("changes", "blind"),
    [
        ({"backups.directory": "/nowhere/backups"}, {"backup-fresh", "backup-size", "backup-steady",
                                                      "disk-space[backups]", "disk-inodes[backups]"}),
        ({"logs.access": "/nowhere/access.log"}, {"error-rate"}),
        ({"project.directory": "/nowhere"}, {"services-up[unknown]", "services-stable[unknown]"}),
        ({"services.database": "nobody"}, {"database-connections", "database-log-quiet", "disk-space[database]",
                                            "disk-inodes[database]"}),
        ({"services.backend": "redis"}, {"backend-errors"}),
        ({"coverage.log_window": 0.99}, {"backend-errors", "database-log-quiet"}),
        ({"windows.error_rate": "1 ms"}, {"error-rate"}),
        ({"host.filesystems": {"nowhere": "/nowhere"}}, {"disk-space[nowhere]", "disk-inodes[nowhere]"}),
    ],
    ids=["no-backups", "no-access-log", "no-compose-file",
         "no-database", "not-a-backend", "young-containers", "no-request", "no-path"],
)  # fmt: skip
def test_what_looks_at_nothing_cannot_tell(
    changes: dict[str, Any], blind: set[str], lab: Lab, tmp_path: Path, history: Path
) -> None:
    run = run_with(lab, tmp_path, history, changes)
    assert run.broken == set(), run.explain()
    assert run.blind == blind, run.explain()
    for one in blind:
        assert run.findings[one].message, one


def test_a_log_that_the_engine_cannot_read_says_its_driver(lab: Lab, tmp_path: Path, history: Path) -> None:
    file = lab.project_directory / "docker-compose.override.yml"
    file.write_text(json.dumps({"services": {"backend": {"logging": {"driver": "none", "options": {}}}}}))
    try:
        lab.compose("up", "-d", "--no-deps", "--force-recreate", "backend")
        lab.wait_healthy()
        run = run_with(lab, tmp_path, history, {}, "daily or weekly")
    finally:
        file.unlink()
        lab.compose("up", "-d", "--no-deps", "--force-recreate", "backend")
        lab.wait_healthy()
    assert run.broken == set(), run.explain()
    assert run.blind == {"backend-errors", "log-anomalies"}, run.explain()
    for one in run.blind:
        assert "'none'" in run.findings[one].message
