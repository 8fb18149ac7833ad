"""The monthly run reads rows and restores a backup: on the live system nothing is written, and nothing could be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from lab.engine import client
from observe.database import Address, Database
from proofs.harness import run_suite
from target.kinds import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab

WRITTEN = """
SELECT tup_inserted, tup_updated, tup_deleted, temp_files FROM pg_stat_database WHERE datname = current_database()
"""


def written(lab: Lab) -> str:
    """What was written to the live database; a session hands its counts in at its end, or after a second."""
    time.sleep(1.5)
    return lab.psql(WRITTEN)


def test_a_whole_monthly_run_writes_no_row(lab: Lab, history: Path) -> None:
    before = written(lab)
    run = run_suite(lab.target_file, marker="monthly", history=history)
    assert run.status == 0, run.explain()
    assert written(lab) == before
    lab.psql("CREATE TABLE the_counters_count (n integer)")
    lab.psql("INSERT INTO the_counters_count VALUES (1)")
    lab.psql("DROP TABLE the_counters_count")
    assert written(lab) != before, "a row that is written is seen here"


def test_nothing_of_the_drill_is_left_behind(lab: Lab, history: Path) -> None:
    engine = client()
    before = {volume.name for volume in engine.volumes.list()}
    run = run_suite(lab.target_file, marker="mid_month", history=history)
    assert run.status == 0, run.explain()
    assert engine.containers.list(all=True, filters={"label": "operations-checks.restore"}) == []
    assert {volume.name for volume in engine.volumes.list()} <= before


@pytest.fixture
def session(lab: Lab) -> Iterator[Database]:
    """The suite's own connection to the lab's live database."""
    password = Secret(lab.ops_password_file.read_text(encoding="utf-8").strip())
    database = Database(
        lambda: Address("127.0.0.1", lab.database_port, lab.database, "ops_checks", password), 5, "f" * 32
    )
    yield database
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO api_label (project_id, name, colour) VALUES (1, 'x', '#fff')",
        "UPDATE auth_user SET is_active = false",
        "DELETE FROM api_activity",
        "CREATE TABLE x (n integer)",
        "CREATE TEMPORARY TABLE x (n integer)",
        "SELECT nextval('api_label_id_seq')",
        "COPY auth_user TO '/tmp/x'",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "SELECT pg_reload_conf()",
        "SELECT pg_stat_reset()",
        "SET default_transaction_read_only = off; BEGIN READ WRITE; DELETE FROM api_activity",
        "SET default_transaction_read_only = off; BEGIN READ WRITE; SELECT nextval('api_label_id_seq')",
    ],
)
def test_the_suites_own_connection_cant_write(session: Database, lab: Lab, statement: str) -> None:
    assert session.session.superuser is False
    count = "SELECT (SELECT count(*) FROM api_activity), (SELECT count(*) FROM auth_user WHERE is_active)"
    before = lab.psql(count)
    connection = session._connection.get()
    refused = (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege)
    with pytest.raises(refused):
        connection.execute(statement)
    assert lab.psql(count) == before
