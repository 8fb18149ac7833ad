"""What the suite asks a database only reads: PostgreSQL's own parser says so, not a search for words."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pglast
import pytest
from pglast import ast as sql
from pglast.visitors import Visitor

ROOT = Path(__file__).resolve().parents[2]
STATEMENTS = sorted((ROOT / "observe/sql").glob("*.sql"))
ROOMS = ("observe", "fixtures", "records", "report", "target")
FUNCTIONS = frozenset(
    {
        "acldefault",
        "aclexplode",
        "age",
        "array_length",
        "array_to_string",
        "concat_ws",
        "count",
        "current_database",
        "current_schemas",
        "current_setting",
        "format",
        "format_type",
        "has_any_column_privilege",
        "has_column_privilege",
        "has_database_privilege",
        "has_function_privilege",
        "has_schema_privilege",
        "has_table_privilege",
        "has_tablespace_privilege",
        "left",
        "max",
        "min",
        "mxid_age",
        "now",
        "pg_backend_pid",
        "pg_conf_load_time",
        "pg_database_size",
        "pg_encoding_to_char",
        "pg_get_constraintdef",
        "pg_get_expr",
        "pg_get_function_identity_arguments",
        "pg_get_function_result",
        "pg_get_functiondef",
        "pg_get_indexdef",
        "pg_get_partkeydef",
        "pg_get_ruledef",
        "pg_get_triggerdef",
        "pg_get_userbyid",
        "pg_get_viewdef",
        "pg_has_role",
        "pg_indexes_size",
        "pg_ls_tmpdir",
        "pg_ls_waldir",
        "pg_partition_root",
        "pg_relation_size",
        "pg_tablespace_location",
        "pg_tablespace_size",
        "pg_total_relation_size",
        "pg_typeof",
        "quote_ident",
        "regexp_replace",
        "row_security_active",
        "split_part",
        "string_agg",
        "sum",
        "timezone",
        "to_char",
        "to_jsonb",
        "to_regclass",
        "unnest",
        "width_bucket",
        "xpath",
    }
)
"""What our statements call. None of them changes anything, takes a lock or waits; a new one is looked up first."""
IN_FEW_ALONE = {"set_config": ("longer", "pooled")}
"""What only these statements may call: what holds in the transaction that they are asked in, and ends with it."""
OF_EACH_TABLE = "query_to_xml"
"""Has PostgreSQL ask what it is given as text, which has to be a text of ours with names put in and nothing else."""
READING = (sql.RawStmt, sql.SelectStmt, sql.VariableShowStmt)


class Reader(Visitor):
    """Finds whatever in a statement could do more than read."""

    def __init__(self, allowed: frozenset[str] = FUNCTIONS) -> None:
        self.troubles: list[str] = []
        self.allowed = allowed

    def visit(self, _ancestors: Any, node: Any) -> None:  # noqa: ANN401
        name = type(node).__name__
        if name.endswith("Stmt") and not isinstance(node, READING):
            self.troubles.append(f"{name} is no SELECT and no SHOW")
        if isinstance(node, sql.LockingClause | sql.IntoClause):
            self.troubles.append(f"it has a {name}")
        if isinstance(node, sql.FuncCall):
            called = ".".join(part.sval for part in node.funcname or ())
            if called == OF_EACH_TABLE:
                self.troubles += _asked_of_each(node)
            elif called.removeprefix("pg_catalog.") not in self.allowed:
                self.troubles.append(f"it calls {called}")


def _asked_of_each(node: sql.FuncCall) -> list[str]:
    """What is wrong with the text that PostgreSQL is to ask with the names of tables and columns put in."""
    made = (node.args or ())[0]
    if not (isinstance(made, sql.FuncCall) and [part.sval for part in made.funcname or ()] == ["format"]):
        return ["it has a text asked that isn't of one piece"]
    text = (made.args or ())[0]
    if not (isinstance(text, sql.A_Const) and isinstance(text.val, sql.String)):
        return ["it has a text asked that is put together"]
    # Only as a name: that is quoted, whatever it holds.
    named = re.sub("%I", '"x"', text.val.sval or "")
    return troubles(named) if "%" not in named else [f"it puts more than names into {text.val.sval}"]


def troubles(text: str, name: str = "") -> list[str]:
    reader = Reader(FUNCTIONS | {function for function, where in IN_FEW_ALONE.items() if name in where})
    reader(pglast.parse_sql(filled(text)))
    return reader.troubles


def filled(text: str) -> str:
    """A statement as the server gets it: with names in the place of `{…}`, and parameters in that of `%(…)s`."""
    return re.sub(r"%\([a-z_]+\)s", "$1", re.sub(r"\{([a-z_]+)\}", r'"\1"', text)).replace("%%", "%")


def test_there_are_statements_to_look_at() -> None:
    assert {file.stem for file in STATEMENTS} >= {"connections", "session"}


@pytest.mark.parametrize("file", STATEMENTS, ids=lambda file: file.stem)
def test_a_statement_only_reads(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert troubles(text, file.stem) == []
    assert len(pglast.parse_sql(filled(text))) == 1, "one statement a file"


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM run",
        "SELECT 1; DROP TABLE x",
        "SELECT * INTO copy FROM auth_user",
        "SELECT * FROM auth_user FOR UPDATE",
        "SELECT * FROM auth_user FOR KEY SHARE",
        "WITH gone AS (DELETE FROM x RETURNING *) SELECT * FROM gone",
        "SELECT * FROM (WITH x AS (INSERT INTO y VALUES (1) RETURNING 1) SELECT 1) z",
        "SELECT pg_terminate_backend(1)",
        "SELECT setval('x', 1)",
        "SELECT lo_create(0)",  # before PostgreSQL 16 a read-only session lets it through
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "SELECT * FROM pg_switch_wal()",
        "SELECT a FROM x ORDER BY public.pg_backend_pid()",
        "COPY x TO PROGRAM 'id'",
        "SET default_transaction_read_only = off",
        "VACUUM",
        "EXPLAIN ANALYZE SELECT 1",
        "DO $$ BEGIN END $$",
        "CALL x()",
        "LOCK TABLE x",
        "CREATE TABLE x AS SELECT 1",
        "SELECT query_to_xml('DROP TABLE x', false, true, '')",
        "SELECT query_to_xml(format('DELETE FROM %I', relname), false, true, '') FROM pg_class",
        "SELECT query_to_xml(format('SELECT count(*) FROM %s', relname), false, true, '') FROM pg_class",
        "SELECT query_to_xml(format('SELECT ' || 'x FROM %I', relname), false, true, '') FROM pg_class",
        "SELECT query_to_xml(relname, false, true, '') FROM pg_class",
        "BEGIN",
    ],
)
def test_a_statement_that_does_more_would_be_found(text: str) -> None:
    assert troubles(text)


def test_show_and_plain_selects_are_let_through() -> None:
    assert troubles("SHOW statement_timeout") == []
    assert troubles("SELECT count FROM pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()") == []


def sources() -> list[tuple[str, ast.Module]]:
    files = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return [(str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))) for file in files]


HISTORY = {"report/history_file.py", "report/chronicle.py"}


def test_sql_is_sent_to_the_database_in_one_place_alone() -> None:
    """A statement that is built somewhere else would escape the parser."""
    calls = [
        (name, ast.unparse(node))
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"execute", "executemany", "copy", "stream", "exec_", "executescript"}
    ]
    sent = [call for call in calls if ".stream(" not in call[1] and call[0] not in HISTORY]
    assert sent == [("observe/database.py", "connection.execute(text.encode(), values)")]


def test_the_driver_is_used_in_one_place_alone() -> None:
    importing = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(one.name.startswith("psycopg") for one in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("psycopg"))
    }
    assert importing == {"observe/database.py", "observe/database_address.py"}
    # The latter takes connection strings apart and connects to nothing.
    address = (ROOT / "observe/database_address.py").read_text(encoding="utf-8")
    assert "connect(" not in address
    assert "execute(" not in address


@pytest.mark.parametrize("name", IN_FEW_ALONE["set_config"])
def test_what_is_set_for_a_transaction_ends_with_it(name: str) -> None:
    calls: list[sql.FuncCall] = []

    class Calls(Visitor):
        def visit_FuncCall(self, _ancestors: Any, node: sql.FuncCall) -> None:  # noqa: ANN401, N802  pglast's name
            calls.append(node)

    Calls()(pglast.parse_sql(filled((ROOT / f"observe/sql/{name}.sql").read_text(encoding="utf-8"))))
    assert calls
    for call in calls:
        setting, _, local = call.args or ()
        assert setting.val.sval in {"statement_timeout", "lock_timeout", "row_security", "application_name"}
        assert local.val.boolval is True


def test_the_history_doesnt_know_the_driver() -> None:
    """Its SQL writes, but to a file of the suite's own."""
    for name in HISTORY:
        assert "psycopg" not in (ROOT / name).read_text(encoding="utf-8")
