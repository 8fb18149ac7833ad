"""Whoever may only monitor, a pooler between, no container that is the database: the same is said of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proofs.containers.pgbouncer import before
from proofs.harness import run_suite, slugs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lab.stack import Lab
    from proofs.harness import SuiteRun

OFTEN = "daily or weekly"
SELDOM = "(monthly or security or performance or storage or scaling or readiness) and not slow and not drill"
ROLE, PASSWORD = "only_monitor", "pw-of-the-monitor-4712"
NOT_HERE = {"disk-space[database]", "disk-inodes[database]"}
"""What is the provider's business where no container is the database."""
READS_ROWS = {"user-activity", "usage-report", "scale-users", "data-retention", "role-permissions"}
"""What needs more than `pg_monitor`."""


@pytest.fixture(scope="module")
def monitor(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A role that has `pg_monitor` and nothing else, as settings."""
    file = tmp_path_factory.mktemp("role") / "password"
    file.write_text(PASSWORD)
    lab.psql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'; GRANT pg_monitor TO {ROLE};")
    yield {"OPS_DATABASE__USER": ROLE, "OPS_DATABASE__PASSWORD_FILE": str(file)}
    lab.psql(f"DROP ROLE {ROLE};")


@pytest.fixture(scope="module")
def usual(lab: Lab, history: Path) -> SuiteRun:
    """What the lab's own role is told, without anybody between."""
    return run_suite(lab.target_file, marker=OFTEN, history=history)


def outcomes(run: SuiteRun) -> dict[str, str]:
    return {one.id: one.outcome for one in run.findings.values()}


def test_pg_monitor_alone_is_enough_for_the_day_and_the_week(
    lab: Lab, history: Path, usual: SuiteRun, monitor: Mapping[str, str]
) -> None:
    run = run_suite(lab.target_file, marker=OFTEN, environment=monitor, history=history)
    assert outcomes(run) == outcomes(usual), run.explain()
    # Proofs before this one may have left something in the lab's logs, which both see.
    assert run.blind == set(), run.explain()
    assert "superuser" not in run.terminal


def test_what_needs_more_names_the_grant(lab: Lab, history: Path, monitor: Mapping[str, str]) -> None:
    run = run_suite(lab.target_file, marker=SELDOM, environment=monitor, history=history)
    assert slugs(run.blind) == READS_ROWS, run.explain()
    assert run.broken == set(), run.explain()
    for one in READS_ROWS:
        assert "GRANT " in run.findings[one].message, run.findings[one].message
        assert ROLE in run.findings[one].message


@pytest.mark.parametrize(("how", "mode"), [("refusing", "transaction"), ("dropping", "session")])
def test_through_a_pooler_the_same_is_said(
    lab: Lab, history: Path, usual: SuiteRun, monitor: Mapping[str, str], how: str, mode: str
) -> None:
    with before(lab.container("db"), lab.database, {ROLE: PASSWORD}) as ports:
        place = {
            "OPS_DATABASE__HOST": "127.0.0.1",
            "OPS_DATABASE__PORT": str(ports[how]),
            "OPS_DATABASE__NAME": mode,
        }
        run = run_suite(lab.target_file, marker=OFTEN, environment={**monitor, **place}, history=history)
    assert outcomes(run) == outcomes(usual), run.explain()
    said = " ".join(run.terminal.split())
    assert f"a pooler stands before the database at 127.0.0.1:{ports[how]} and {how[:4]}" in said


def test_of_a_managed_database_only_its_log_and_its_disk_arent_seen(
    lab: Lab, history: Path, usual: SuiteRun, monitor: Mapping[str, str], tmp_path: Path
) -> None:
    """By a connection string, and with a stack of which no container is said to be the database."""
    dsn = tmp_path / "dsn"
    dsn.write_text(f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{lab.database_port}/{lab.database}\n")
    managed = {"OPS_SERVICES__DATABASE": "", "OPS_DATABASE__DSN_FILE": str(dsn)}
    run = run_suite(lab.target_file, marker=OFTEN, environment={**monitor, **managed}, history=history)
    wanted = {name: outcome for name, outcome in outcomes(usual).items() if name not in NOT_HERE}
    assert outcomes(run) == wanted | {"database-log-quiet": "cannot tell"}, run.explain()
    assert "[not_applicable]" in run.findings["database-log-quiet"].message
    assert PASSWORD not in run.everything

    seldom = run_suite(lab.target_file, marker=SELDOM, environment=managed, history=history)
    assert slugs(seldom.blind) == {"data-directory-size"}, seldom.explain()
    assert seldom.broken == set(), seldom.explain()


def test_a_managed_databases_backup_is_restored_in_an_image_that_is_named(lab: Lab, history: Path) -> None:
    settings = {
        "OPS_SERVICES__DATABASE": "",
        "OPS_DATABASE__HOST": "127.0.0.1",
        "OPS_DATABASE__PORT": str(lab.database_port),
        "OPS_DATABASE__NAME": lab.database,
    }
    only = ("-k", "newest_backup_restores")
    run = run_suite(lab.target_file, *only, marker="monthly", environment=settings, history=history)
    assert "Set restore.image" in run.findings["backup-restores"].message, run.explain()
    image = str(lab.container("db").image.id)
    settings |= {"OPS_RESTORE__IMAGE": image}
    run = run_suite(lab.target_file, *only, marker="monthly", environment=settings, history=history)
    assert run.findings["backup-restores"].outcome == "holds", run.explain()
