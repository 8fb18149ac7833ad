"""The suite changes nothing, keeps secrets, trusts no text that it reads, and doesn't count itself."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from html import unescape
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from lab import traffic
from lab.engine import client
from lab.faults.logs import container_logs_restored
from proofs.daily.test_healthy import SLUGS as DAILY
from proofs.harness import derived_target, run_suite
from proofs.monthly.test_healthy import SLOW as SLOW_MONTHLY
from proofs.monthly.test_healthy import SLUGS as MONTHLY
from proofs.relay import Relay
from proofs.security.test_healthy import SLOW as SLOW_SECURITY
from proofs.security.test_healthy import SLUGS as SECURITY
from proofs.weekly.test_healthy import SLUGS as WEEKLY
from report.chronicle import Chronicle
from report.history import KEPT
from report.history_file import HistoryFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lab.stack import Lab

SLUGS = DAILY | WEEKLY | (MONTHLY - SLOW_MONTHLY) | (SECURITY - SLOW_SECURITY)
EVERYTHING = "daily or weekly or ((monthly or security) and not slow)"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
DRILLS = {"graceful-restart", "recovery-drill"}
RESETS = """
SELECT 'database', datname, stats_reset::text FROM pg_stat_database
UNION ALL SELECT 'bgwriter', '', stats_reset::text FROM pg_stat_bgwriter
UNION ALL SELECT 'setting', name, setting FROM pg_settings
UNION ALL SELECT 'sessions terminated', datname, sessions_killed::text FROM pg_stat_database WHERE datname IS NOT NULL
UNION ALL SELECT 'role', rolname, rolsuper::text || rolcanlogin::text FROM pg_roles
ORDER BY 1, 2, 3
"""


def everything_of(lab: Lab) -> Mapping[str, object]:
    """What must be the same before and after: rows, statistics' resets, settings, containers, files."""
    dump = lab.execute("db", "pg_dump", "-U", "postgres", "-d", lab.database, user="postgres")
    # pg_dump frames its output with a word that it makes up each time.
    dump = re.sub(r"(?m)^\\(un)?restrict .*$", "", dump)
    engine = client()
    return {
        "rows": hashlib.sha256(dump.encode()).hexdigest(),
        "statistics and settings": lab.psql(RESETS),
        "containers": sorted(
            (one.id, one.status, one.attrs["State"]["StartedAt"], one.attrs["RestartCount"])
            for one in engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={lab.name}"})
        ),
        "images": sorted(one.id for one in engine.images.list()),
        "volumes": sorted(one.name for one in engine.volumes.list()),
        "files": {
            str(file): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
            for place in (lab.project_directory, lab.nginx_configuration, lab.certificates)
            for file in sorted(place.rglob("*"))
            if file.is_file()
        },
    }


@contextmanager
def events() -> Iterator[list[dict[str, Any]]]:
    """Everything that the engine tells of during a block, as it tells it."""
    stream, told = client().events(decode=True), []
    listener = threading.Thread(target=lambda: told.extend(stream), daemon=True)
    listener.start()
    try:
        yield told
        # What was told of last is still on its way.
        time.sleep(0.5)
    finally:
        stream.close()
        listener.join(5)


READING = re.compile(
    r"timeout -k 1 \d+ (?:python3 -m pip list "
    r"|python3 manage\.py (?:check --deploy |help$|showmigrations )"
    r"|du -|df |redis-cli (?:INFO|CONFIG GET|DBSIZE)|cat /(?:proc|sys)/)"
)
"""What the suite executes in containers of the project."""


def in_the_project(lab: Lab, told: Sequence[Mapping[str, Any]]) -> list[str]:
    """What befell the project's containers, but for health checks and the commands that only read."""
    checks = {
        one.id: " ".join(one.attrs["Config"].get("Healthcheck", {}).get("Test", [])[1:]) for one in lab.containers()
    }
    found = []
    for one in told:
        actor = one.get("Actor", {})
        if one["Type"] != "container" or actor.get("Attributes", {}).get("com.docker.compose.project") != lab.name:
            continue
        action, _, command = str(one["Action"]).partition(": ")
        # `top` has the engine's own ps look at the host's processes.
        expected = action in {"exec_die", "top"} or action.startswith("health_status")
        if action in {"exec_create", "exec_start"}:
            check = checks[actor["ID"]]
            expected = bool(READING.match(command)) or (bool(check) and command.removeprefix("/bin/sh -c ") == check)
        if not expected:
            found.append(f"{actor['Attributes']['name']}: {one['Action']}")
    return found


REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (?:/v[0-9.]+)?(/\S*) HTTP/1\.[01]\r\n")
"""The first line of a request to the engine."""


def orders(heard: bytes, scratch: set[str]) -> set[str]:
    """What the engine was told to do, but for the scratch containers' own life and for executing commands."""
    found = set()
    for method, path in ((one[1].decode(), one[2].decode()) for one in REQUEST.finditer(heard)):
        if method in {"GET", "HEAD"} or re.fullmatch(r"/exec/[0-9a-f]+/start|/containers/[0-9a-f]+/exec", path):
            continue
        if re.fullmatch(r"/containers/create\?name=operations-checks-restore-[0-9a-f]+", path):
            continue
        whose = re.match(r"/containers/([0-9a-f]{64})\b", path)
        if whose is None or whose[1] not in scratch:
            found.add(f"{method} {path}")
    return found


def test_a_run_changes_disturbs_and_sends_nothing(lab: Lab, tmp_path: Path, history: Path) -> None:
    """One run of everything that there is, of every cadence; its calls of the engine go through a relay."""
    before = everything_of(lab)
    assert before["files"]
    assert before["containers"]
    engine = Relay(behind="/var/run/docker.sock", unix=tmp_path / "engine.sock")
    with engine, Relay(behind=("127.0.0.1", lab.packages_port)) as receiver, events() as told:
        route = tmp_path / "on-call.url"
        route.write_text(f"json://{receiver.address}/on-call/{lab.secrets()['on_call_key']}\n")
        route.chmod(0o600)
        changes = {"engine.url": f"unix://{engine.unix}", "on_call.url_file": str(route)}
        run = run_suite(derived_target(lab.target_file, tmp_path, changes), marker="", history=history)
    # That it may send a test event is in its settings, and that route has never taken one.
    assert run.blind == {"on-call-route"}, run.explain()
    assert run.having("set aside") == DRILLS, run.explain()
    assert not run.broken, run.explain()
    assert receiver.accepted == 0, "nothing is sent to whoever is on call"
    scratch = {
        one["Actor"]["ID"]
        for one in told
        if one["Type"] == "container" and one["Actor"].get("Attributes", {}).get("operations-checks.target") == lab.name
    }
    assert scratch, "there was a restore drill, whose own container lives and dies"
    assert in_the_project(lab, told) == []
    commands = " ".join(str(one["Action"]) for one in told if READING.match(str(one["Action"]).partition(": ")[2]))
    for program in ("pip list", "manage.py help", "manage.py showmigrations", "redis-cli INFO", "du -"):
        assert program in commands, "the engine's events were heard"
    assert not [one for one in told if one["Action"] == "prune"]
    assert orders(bytes(engine.heard), scratch) == set()
    assert len(REQUEST.findall(bytes(engine.heard))) > 20, "the requests to the engine were heard"
    after = everything_of(lab)
    for what, was in before.items():
        assert after[what] == was, what


@pytest.mark.parametrize(
    ("way", "tb"),
    [
        *((way, "long") for way in ("file", "container", "settings", "environment")),
        ("file", "auto"),
        ("file", "native"),
    ],
)
def test_no_secret_appears_anywhere(way: str, tb: str, lab: Lab, tmp_path: Path, history: Path) -> None:
    """Wherever the password is from, and though the backend writes it into its log."""
    canary = "canary-7f3a-not-to-be-seen"
    own = lab.ops_password_file.read_text(encoding="utf-8").strip()
    changes: dict[str, object] = {"logs.access": "/nowhere", "site.paths": ["/", "/nowhere/"]}
    environment = {}
    if way == "container":  # the superuser's, read from the container's environment
        changes |= {"database.user": None, "database.password_file": None}
    elif way == "settings":
        changes |= {"database.password": canary, "database.password_file": None}
    elif way == "environment":
        changes |= {"database.password_file": None}
        environment = {"OPS_DATABASE__PASSWORD": canary}
    more = () if tb == "auto" else ("-vv", "--showlocals", f"--tb={tb}")
    logged = {"file": own, "container": lab.secrets()["postgres_password"]}.get(way, canary)
    with said_by_the_backend(
        lab, f"[2026-11-23 10:01:48] ERROR api.x: <script> the password is {logged}, written down"
    ):
        target = derived_target(lab.target_file, tmp_path, changes)
        run = run_suite(target, *more, marker=EVERYTHING, environment=environment, history=history)
    assert "site-answers[/nowhere/]" in run.broken, run.explain()
    assert "backend-errors" in run.broken
    assert "error-rate" in run.blind
    for output in (run.terminal, run.html, run.xml, run.json, run.metrics, run.markdown):
        assert "site-answers" in output
    everything = run.everything + history.read_bytes().decode("latin-1")
    # What is kept whole is packed.
    everything += "".join(
        json.dumps(one.result) for one in Chronicle(HistoryFile(history), lab.name, KEPT).latest(LONG_AGO)
    )
    assert "the password is" in everything, "the line itself is shown"
    secrets = [*lab.secrets().values(), own, canary]
    assert len(secrets) > 3
    for secret in secrets:
        assert secret not in everything
    if way == "container":
        assert "superuser" in run.terminal
        assert "superuser" in run.html


def test_no_hash_of_a_password_appears_anywhere(lab: Lab, tmp_path: Path, history: Path) -> None:
    hashes = lab.psql("SELECT password FROM auth_user WHERE is_superuser").split()
    assert len(hashes) == 2
    # Broken as well as held: the words of both go out.
    for changes in ({}, {"limits.pbkdf2_iterations": 2_000_000}):
        target = derived_target(lab.target_file, tmp_path, changes)
        run = run_suite(
            target, "-vv", "--showlocals", "--tb=long", "-k", "passwords_are", marker="monthly", history=history
        )
        assert run.findings["admin-passwords"].outcome == ("broken" if changes else "holds"), run.explain()
        everything = run.terminal + run.html + run.xml + history.read_bytes().decode("latin-1")
        assert "PBKDF2" in everything, "how they are stored is said"
        for one in hashes:
            algorithm, _, salt, digest = one.split("$")
            assert algorithm == "pbkdf2_sha256"
            assert salt not in everything
            assert digest not in everything


@contextmanager
def said_by_the_backend(lab: Lab, line: str) -> Iterator[None]:
    """Have the backend log a line twelve times."""
    with container_logs_restored(lab, "backend"):
        script = 'set -e; i=0; while [ $i -lt 12 ]; do printf "%b\\n" "$1" > /proc/1/fd/1; i=$((i+1)); done'
        lab.execute("backend", "sh", "-c", script, "sh", line)
        assert lab.container("backend").logs(tail=50).count(b"ERROR api.x: <script>") == 12
        yield


def test_what_an_attacker_writes_into_a_log_is_harmless(lab: Lab, history: Path) -> None:
    hostile = (
        r"[2026-11-23 10:01:48] ERROR api.x: <script>alert(1)</script> \033[31mred\033[0m \033]0;title\007 "
        r"\0340\0242\0200\0256 ]]> & </pre> {{7*7}}"
    )
    with said_by_the_backend(lab, hostile):
        run = run_suite(lab.target_file, "-v", marker=EVERYTHING, history=history)
    assert run.broken == {"backend-errors", "log-anomalies"}, run.explain()
    assert "<script>alert(1)" not in run.html
    # pytest-html keeps its rows as JSON in an attribute: unescaped once, the text is still escaped.
    assert "&lt;script&gt;alert(1)" in unescape(run.html), "the excerpt is there, and harmless"
    for text in (run.terminal, run.html, run.xml):
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)
    ET.fromstring(run.xml)  # noqa: S314  that it can be parsed is the point


def requests_in(looked_at: str) -> tuple[int, int]:
    """Requests that counted and own ones that did not, of what error-rate looked at."""
    match = re.match(r"([\d,]+) requests", looked_at)
    own = re.search(r"(\d+) of this suite's own", looked_at)
    assert match is not None, looked_at
    return int(match[1].replace(",", "")), int(own[1]) if own else 0


def test_twenty_runs_in_a_row_change_no_outcome(lab: Lab, history: Path) -> None:
    runs = [run_suite(lab.target_file, marker="daily or weekly", history=history) for _ in range(19)]
    runs.append(run_suite(lab.target_file, marker=EVERYTHING, history=history))
    for run in runs:
        assert run.status == 0, run.explain()
        wanted = SLUGS if run is runs[-1] else DAILY | WEEKLY
        assert {one.partition("[")[0] for one in run.having("holds")} == wanted
    first, last = (requests_in(run.findings["error-rate"].looked_at) for run in (runs[0], runs[-1]))
    assert last[0] <= first[0], "nineteen runs' requests are not the site's"
    assert last[1] >= first[1] + 19 * 3
    connections = {run.findings["database-connections"].seen for run in runs}
    assert max(int(seen) for seen in connections) < 20


def test_a_client_that_copies_the_user_agent_is_counted(lab: Lab, history: Path) -> None:
    before = requests_in(
        run_suite(lab.target_file, marker=EVERYTHING, history=history).findings["error-rate"].looked_at
    )
    for agent in ("synk-operations-checks/0.1.0", f"synk-operations-checks/0.1.0 (run {'0' * 32})"):
        with traffic.visiting(lab, agent=agent) as visitor:
            for _ in range(40):
                visitor.ask("/")
    after = requests_in(run_suite(lab.target_file, marker=EVERYTHING, history=history).findings["error-rate"].looked_at)
    assert after[0] >= before[0] + 60, f"80 requests of a stranger: {before} -> {after}"
