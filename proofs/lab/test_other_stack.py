"""A stack of another shape: what is daily and weekly is right about it, and breaks by name under its faults."""

from __future__ import annotations

import gzip
import os
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.engine import client
from lab.other import OtherStack, bring_up, web_server
from lab.other.compose import PREFIX
from lab.other.faults import FAULTS
from lab.other.history import rotate
from lab.progress import LabError
from proofs.conftest import KEEP, NAME
from proofs.harness import run_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.faults import Fault
    from proofs.harness import SuiteRun

LOOKED_AT = "(daily or weekly) and not expectation(slug='log-anomalies')"
"""What the outages of the proofs before leave in the logs is found by log-anomalies, and rightly."""
TARGET = """
name = "{name}"
disposable = true
[project]
name = "{project}"
directory = "{directory}"
files = ["{directory}/compose.yaml", "{directory}/compose.prod.yaml"]
[services]
database = "postgres"
backend = "web"
cache = ""
[site]
url = "https://{domain}/"
paths = ["/", "/api/status/"]
[certificate]
file = "{certificate}"
[backups]
directory = "{backups}"
pattern = "{pattern}"
[logs]
access = "{access}"
error = "{error}"
refused_status = 429
"""


@pytest.fixture(scope="module")
def stack(pytestconfig: pytest.Config) -> Iterator[OtherStack]:
    """The stack, brought up once for all that is proven here."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    stack = OtherStack(f"{NAME}{os.environ.get('PYTEST_XDIST_WORKER', '')}other")
    with capture.global_and_fixture_disabled():
        bring_up.up(stack)
    yield stack
    if KEEP:
        return
    nginx = web_server.pid(stack)
    assert running(nginx)
    assert bring_up.down(stack, keep_images=True)
    assert not left_of(stack), "down leaves nothing"
    assert not running(nginx), "nor its nginx"


@pytest.fixture(scope="module")
def target(stack: OtherStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings as an operator would write them: no password, and nothing that doesn't apply is named."""
    file = tmp_path_factory.mktemp("other") / "target.toml"
    file.write_text(
        TARGET.format(
            name=stack.name,
            project=stack.project,
            directory=stack.project_directory,
            domain=stack.domain,
            certificate=stack.certificate,
            backups=stack.backups,
            pattern=stack.pattern,
            access=stack.access_log,
            error=stack.error_log,
        ),
        encoding="utf-8",
    )
    return file


@pytest.fixture(scope="module")
def healthy(stack: OtherStack, target: Path) -> SuiteRun:
    """Everything daily and weekly, looked at before anything is done to it."""
    return run_suite(target, marker=LOOKED_AT, environment=stack.environment)


def running(process: int | None) -> bool:
    """Whether a process runs; one that ended and that nobody has asked after yet doesn't."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


def left_of(stack: OtherStack) -> list[str]:
    """Containers, volumes, networks and files."""
    label = {"label": f"{PREFIX}project={stack.project}"}
    engine = client()
    there = [*engine.containers.list(all=True, filters=label), *engine.networks.list(filters=label)]
    there += engine.volumes.list(filters=label)
    return [str(one.name) for one in there] + [str(one) for one in (stack.directory,) if one.exists()]


def test_all_that_is_daily_and_weekly_holds(healthy: SuiteRun) -> None:
    assert (healthy.broken, healthy.blind, healthy.status) == (set(), set(), 0), healthy.explain()
    for one in healthy.findings.values():
        assert one.looked_at, one.id
        assert one.expected, one.id
        assert one.seen, one.id


def test_every_service_is_looked_at_and_all_its_replicas(healthy: SuiteRun) -> None:
    there = {one.removeprefix("services-up") for one in healthy.findings if one.startswith("services-up[")}
    assert there == {"[postgres]", "[web]", "[worker]"}
    assert "2 of 2" in healthy.findings["services-up[web]"].looked_at
    assert "of 2 containers" in healthy.findings["backend-errors"].looked_at


def test_the_last_eight_hours_are_read_across_a_rotation_with_dates(stack: OtherStack, target: Path) -> None:
    midnight = datetime.combine(datetime.now().astimezone().date(), time()).astimezone()
    early = (midnight + timedelta(minutes=10)).isoformat(timespec="seconds")
    run = run_suite(target, f"--now={early}", "-k", "error_rate", environment=stack.environment)
    assert run.findings["error-rate"].outcome == "holds", run.explain()
    assert "in 2 files" in run.findings["error-rate"].looked_at


def test_what_is_about_redis_does_not_apply_where_the_settings_say_that_there_is_none(
    stack: OtherStack, target: Path
) -> None:
    run = run_suite(target, "-k", "cache", marker="monthly", environment=stack.environment)
    assert run.findings["cache-used"].outcome == "set aside", run.explain()
    assert "services.cache is empty: there is no Redis in this stack" in " ".join(run.terminal.split())


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_breaks_what_it_should_and_nothing_else(fault: Fault, stack: OtherStack, target: Path) -> None:
    with fault.applied(stack) as took:
        now = datetime.now().astimezone()
        run = run_suite(target, marker=LOOKED_AT, environment=stack.environment)
    assert run.broken == fault.broken(now), f"{took.before} -> {took.after}\n{run.explain()}"
    assert run.blind == fault.blind(now), f"{took.before} -> {took.after}\n{run.explain()}"
    assert run.status == 1
    if fault.name == "replica-stopped":
        assert f"{stack.project}-web-2 is not running" in run.findings["services-up[web]"].seen


def test_containers_are_named_and_labelled_as_compose_v2_does_it(stack: OtherStack) -> None:
    containers = stack.containers()
    assert [one.name for one in containers] == [
        f"{stack.project}-{name}" for name in ("postgres-1", "web-1", "web-2", "worker-1")
    ]
    labels = {name.removeprefix(PREFIX): value for name, value in containers[2].labels.items() if PREFIX in name}
    assert len(labels.pop("config-hash")) == 64
    assert labels == {
        "container-number": "2",
        "depends_on": "postgres:service_healthy:true",
        "image": containers[2].image.id,
        "oneoff": "False",
        "project": stack.project,
        "project.config_files": f"{stack.compose_file},{stack.project_directory / 'compose.prod.yaml'}",
        "project.working_dir": str(stack.project_directory),
        "service": "web",
        "version": "2.29.7",
    }


def test_the_database_is_published_nowhere_and_the_checks_role_has_pg_monitor_alone(stack: OtherStack) -> None:
    assert not any(stack.container("postgres").ports.values())
    granted = stack.psql(
        "SELECT string_agg(member::regrole || ' has ' || roleid::regrole, ', ') "
        "FROM pg_auth_members WHERE member >= 16384"  # the server's own have lower numbers
    )
    assert granted.strip() == f"{stack.checks_role} has pg_monitor"


def test_a_second_up_makes_last_nights_dump_and_changes_no_container(stack: OtherStack) -> None:
    newest = max(stack.backups.iterdir())
    newest.unlink()
    before = [(one.id, one.attrs["State"]["StartedAt"]) for one in stack.containers()]
    bring_up.up(stack)
    assert [(one.id, one.attrs["State"]["StartedAt"]) for one in stack.containers()] == before
    assert bring_up.complaints_of(stack) == []
    assert newest.exists()


def test_a_stack_that_never_stood_says_how_to_bring_it_up() -> None:
    with pytest.raises(LabError, match="python -m lab other up"):
        _ = OtherStack("neverstood").https_port


def test_a_pid_that_another_program_has_by_now_is_not_taken_for_nginx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OtherStack, "directory", tmp_path)
    stack = OtherStack("neverstood")
    stack.nginx_run.mkdir(parents=True)
    (stack.nginx_run / "nginx.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
    assert web_server.pid(stack) is None
    assert web_server.stop(stack) is False


def test_logs_are_rotated_night_by_night_with_the_day_in_their_names(tmp_path: Path) -> None:
    log, today = tmp_path / "error.log", date(2026, 11, 27)
    lines = [f"2026/11/{day} 10:01:48 [error] 7#7: *1 x\n" for day in (24, 26, 27)]
    log.write_text("".join(lines), encoding="utf-8")
    rotate(log, today)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "error.log",
        "error.log-20261124.gz",
        "error.log-20261126",
    ]
    assert log.read_text(encoding="utf-8") == lines[2]
    rotate(log, today + timedelta(days=1))
    assert not log.read_text(encoding="utf-8")
    assert gzip.decompress((tmp_path / "error.log-20261126.gz").read_bytes()).decode() == lines[1]
    assert (tmp_path / "error.log-20261127").read_text(encoding="utf-8") == lines[2]
