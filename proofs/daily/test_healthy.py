"""On the healthy lab everything holds, each with what it looked at; and the ways to ask for less all work."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lab import traffic
from proofs.harness import ROOT, derived_target, run_suite, slugs
from proofs.relay import Relay
from report.history import CLOCKS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

SLUGS = {
    "services-up",
    "services-stable",
    "site-answers",
    "security-header",
    "http-redirects",
    "disk-space",
    "disk-inodes",
    "backup-fresh",
    "backup-size",
    "backup-steady",
    "health-endpoint",
    "backend-errors",
    "error-rate",
    "database-connections",
    "database-log-quiet",
}


EVENING = {"backend-errors", "error-rate", "database-connections", "database-log-quiet"}


def test_everything_holds(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, history=history)
    assert run.status == 0, run.explain()
    assert slugs(run.having("holds")) == SLUGS
    assert len(run.having("holds")) == len(run.findings)


def test_every_result_says_what_it_looked_at(lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, history=history)
    assert slugs(set(run.findings)) == SLUGS
    for one in run.findings.values():
        assert one.looked_at, one.id
        assert re.search(r"\d|/", one.looked_at), f"{one.id} looked at {one.looked_at!r}: neither a number nor a path"
        assert one.expected, one.id
        assert one.seen, one.id


@pytest.mark.parametrize(
    ("marker", "more", "wanted"),
    [
        ("daily and morning", (), SLUGS - EVENING),
        ("evening", (), EVENING | {"services-up"}),
        ("", ("-k", "backup"), {"backup-fresh", "backup-size", "backup-steady", "services-up", "services-stable",
                                 "disk-space", "disk-inodes", "backups-daily", "backup-intact", "backup-complete",
                                 "deployed-as-written", "backup-restores", "backup-proven-kept", "logs-readable",
                                 "backup-archive", "runbooks-present", "containers-confined"}),
        ("daily", ("-n", "2"), SLUGS),
    ],
    ids=["morning", "evening", "k-backup", "xdist"],
)  # fmt: skip
def test_a_part_can_be_asked_for(marker: str, more: tuple[str, ...], wanted: set[str], lab: Lab, history: Path) -> None:
    run = run_suite(lab.target_file, *more, marker=marker, history=history)
    assert run.status == 0, run.explain()
    assert slugs(run.having("holds")) == wanted


def test_xdist_reports_the_same_items_as_one_process(lab: Lab, history: Path) -> None:
    alone, shared = (run_suite(lab.target_file, *more, history=history) for more in ((), ("-n", "2")))
    assert set(alone.findings) == set(shared.findings)


def test_one_connection_to_each_server_serves_the_whole_run(lab: Lab, tmp_path: Path, history: Path) -> None:
    sock = tmp_path / "engine.sock"
    with (
        Relay(("127.0.0.1", lab.https_port)) as https,
        Relay(("127.0.0.1", lab.database_port)) as database,
        Relay("/var/run/docker.sock", unix=sock) as engine,
    ):
        target = derived_target(
            lab.target_file,
            tmp_path,
            {
                "site.connect_to": https.address,
                "database.host": "127.0.0.1",
                "database.port": database.port,
                "engine.url": f"unix://{sock}",
            },
        )
        run = run_suite(target, history=history)
    assert run.status == 0, run.explain()
    assert https.accepted == 1
    assert database.accepted == 1
    asked = Counter(re.findall(rb"(?m)^([A-Z]+ /\S+) HTTP/1\.[01]\r$", engine.heard))
    assert {request.split()[0] for request in asked} <= {b"GET", b"HEAD"}, "the engine is only read"
    assert sum(number for request, number in asked.items() if b"/containers/json?" in request) == 1
    inspected = {request: number for request, number in asked.items() if request.endswith(b"/json")}
    assert len(inspected) == sum(lab.wanted().values())
    assert set(inspected.values()) == {1}, "each container is inspected once"


def test_without_an_access_log_the_backends_own_lines_are_counted(lab: Lab, tmp_path: Path, history: Path) -> None:
    target = derived_target(lab.target_file, tmp_path, {"logs.access": None, "logs.error": None})
    before = run_suite(target, history=history).findings["error-rate"]
    assert before.outcome == "holds", before.message
    # Where a log has no user agents, a run may take what comes just after it for its own.
    time.sleep(2 * CLOCKS.total_seconds() + 1)
    with traffic.visiting(lab) as visitor:
        for _ in range(20):
            visitor.ask("/api/status/")
    after = run_suite(target, history=history).findings["error-rate"]
    counted = [int(one.looked_at.split()[0].replace(",", "")) for one in (before, after)]
    assert counted[1] >= counted[0] + 20, f"{before.looked_at} -> {after.looked_at}"


def test_collecting_connects_to_nothing(lab: Lab, tmp_path: Path) -> None:
    sock = tmp_path / "engine.sock"
    with Relay(mode="silent") as silent, Relay(mode="silent", unix=sock) as engine:
        changes = {
            "site.connect_to": silent.address,
            "site.http_connect_to": silent.address,
            "database.host": "127.0.0.1",
            "database.port": silent.port,
            "engine.url": f"unix://{sock}",
        }
        run = run_suite(derived_target(lab.target_file, tmp_path, changes), "--collect-only", "-q")
        assert silent.accepted == engine.accepted == 0
    assert run.status == 0
    assert "test_service_is_up[db]" in run.terminal


def test_collecting_imports_no_client(lab: Lab) -> None:
    script = (
        "import sys, pytest\n"
        f"status = pytest.main(['--collect-only', '-q', '--target', {str(lab.target_file)!r}])\n"
        "heavy = {'docker', 'httpx', 'psycopg', 'cryptography', 'testinfra', 'anyio', 'requests', 'numpy', 'isal'}\n"
        "print('status', int(status), 'imported', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "status 0 imported []" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_list_of_expectations_needs_no_target() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--expectations"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for slug in SLUGS:
        assert re.search(rf"^{slug}\s+daily", done.stdout, re.MULTILINE), slug
    assert re.search(r"^backup-fresh .*backup_age = 24 h .*Morning check-in", done.stdout, re.MULTILINE)
