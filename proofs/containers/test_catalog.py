"""What the catalog and the counters say: the lab's PostgreSQL and one of another major version answer alike.

`PROOFS_POSTGRES` names more installations to ask, by their directories (with `bin`, `lib`, `share`), as in a `PATH`.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from observe.catalog import counters
from observe.errors import CannotTell
from observe.indexes import Indexes, Scans, indexes
from observe.indexes import Wanted as WantedIndexes
from observe.lookups import Lookups, RequestsSeen, _read_for, lookups
from observe.retention import Retention, retention
from observe.slow_query_log import SlowQueryLog, milliseconds, slow_query_log
from observe.vacuum import Vacuumed, vacuumed
from observe.vacuum import Wanted as WantedVacuum
from proofs.containers import packaged_postgres, postgres
from target.model import Application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from observe.database import Database
    from proofs.containers.postgres import Server

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
OTHERS = [Path(one) for one in os.environ.get("PROOFS_POSTGRES", "").split(os.pathsep) if one]
ROWS = 3_000
FLOOR = 2_000


@dataclass(frozen=True)
class Place:
    """A database of a proof's own."""

    server: Server
    name: str
    version: int

    def run(self, *statements: str, role: str = "chief") -> None:
        with self.server.connect(role, self.name) as session:
            for statement in statements:
                session.execute(statement.encode())

    def value(self, statement: str) -> Any:  # noqa: ANN401  whatever it is
        with self.server.connect(name=self.name) as session:
            row = session.execute(statement.encode()).fetchone()
            return row[0] if row else None

    @contextmanager
    def asked(self, role: str = "ops") -> Iterator[Database]:
        database = self.server.database(role, 5, name=self.name)
        try:
            yield database
        finally:
            database.close()

    def until(self, statement: str) -> None:
        """Wait for what the server counts a little later: before PostgreSQL 15 another process did that."""
        deadline = time.monotonic() + 10
        while not self.value(statement):
            assert time.monotonic() < deadline, statement
            time.sleep(0.05)


@pytest.fixture(scope="module", params=["lab", "package", *OTHERS], ids=lambda one: getattr(one, "parts", [one])[-1])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "lab":
        with postgres.running() as started:
            yield started
        return
    where = packaged_postgres.installation() if request.param == "package" else request.param
    with packaged_postgres.running(where) as other:
        with other.connect() as session:
            assert request.param != "package" or session.info.server_version // 10000 != 15, "it is to be another"
        yield other


@pytest.fixture
def place(server: Server) -> Place:
    with server.connect() as chief:
        version = chief.info.server_version // 10000
        for statement in ("DROP SCHEMA IF EXISTS aside CASCADE", "DROP EXTENSION IF EXISTS pg_stat_statements"):
            chief.execute(statement.encode())
        chief.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC")
    return Place(server, "stock", version)


def stock(place: Place, *more: str, rows: int = ROWS) -> None:
    """A table of the application's, and one that refers to it by an indexed key."""
    place.run(
        "CREATE TABLE goods (id bigint PRIMARY KEY, kind int, other int)",
        f"INSERT INTO goods SELECT n, n % 7, n FROM generate_series(1, {rows}) n",  # noqa: S608  ours
        "CREATE TABLE sold (id bigint PRIMARY KEY, goods_id bigint REFERENCES goods, at timestamptz DEFAULT now())",
        f"INSERT INTO sold SELECT n, n FROM generate_series(1, {rows}) n",  # noqa: S608  ours
        "CREATE INDEX sold_goods ON sold (goods_id)",
        *more,
    )
    # By another session: what came is counted when the one that wrote it ends.
    place.until(f"SELECT n_tup_ins = {rows} FROM pg_stat_user_tables WHERE relname = 'sold'")  # noqa: S608  ours
    place.run("ANALYZE")
    place.until("SELECT count(last_analyze) = 2 FROM pg_stat_user_tables WHERE relname IN ('goods', 'sold')")


# Indexes -------------------------------------------------------------------------------------------------------------


def see_indexes(place: Place, role: str = "ops", **changes: Any) -> Indexes:  # noqa: ANN401  of different kinds
    given: dict[str, Any] = {"floor": FLOOR, "share": 0.5, "scans": 100, "age": timedelta(0)}
    with place.asked(role) as database:
        return indexes(database, WantedIndexes(**given | changes))


def scan(place: Place, statement: str, times: int) -> None:
    place.run(f"DO $$ BEGIN FOR n IN 1 .. {times} LOOP PERFORM {statement}; END LOOP; END $$")


def test_a_database_with_its_indexes_lacks_nothing(place: Place) -> None:
    stock(place)
    seen = see_indexes(place)
    assert (seen.findings, seen.said, seen.notes) == ((), "nothing is missing", ())
    assert seen.looked_at.startswith("2 tables (2 of 2,000 rows or more), 1 foreign key, 3 indexes, scans counted for ")
    seen.must_see()


def test_a_table_that_is_read_from_end_to_end_is_found(place: Place) -> None:
    stock(place)
    scan(place, "count(*) FROM sold WHERE at > now()", 150)
    place.until("SELECT seq_scan >= 150 FROM pg_stat_user_tables WHERE relname = 'sold'")
    seen = see_indexes(place)
    (found,) = seen.scanned
    assert (found.name, found.rows) == ("public.sold", ROWS)
    assert found.whole == pytest.approx(150, abs=10)
    assert "public.sold (3,000 rows) was read 15" in seen.said
    assert see_indexes(place, scans=200).findings == ()
    assert see_indexes(place, floor=ROWS + 1).findings == (), "small tables aren't judged"


def test_scans_that_end_early_and_those_by_an_index_are_none(place: Place) -> None:
    stock(place)
    scan(place, "1 FROM sold LIMIT 1", 300)
    place.until("SELECT seq_scan >= 300 FROM pg_stat_user_tables WHERE relname = 'sold'")
    assert see_indexes(place).findings == (), "each read a row"
    scan(place, "count(*) FROM sold WHERE at > now()", 150)
    place.until("SELECT seq_scan >= 450 FROM pg_stat_user_tables WHERE relname = 'sold'")
    assert len(see_indexes(place).scanned) == 1
    scan(place, "at FROM sold WHERE id = n", 400)
    place.until("SELECT idx_scan >= 400 FROM pg_stat_user_tables WHERE relname = 'sold'")
    assert see_indexes(place).findings == (), "most scans are by an index"


def test_two_scans_a_day_are_its_dump_and_the_like() -> None:
    wanted = WantedIndexes(floor=FLOOR, share=0.5, scans=100, age=DAY)
    dumped = Scans("public.audit", 50_000, sequential=700, whole=700, by_index=3)
    assert not dumped.too_often(wanted, 365 * DAY)
    assert dumped.too_often(wanted, 30 * DAY)
    assert not Scans("public.audit", 50_000, 0, 0.0, 0).too_often(wanted, DAY)


def test_counters_that_are_too_young_blind_but_hide_nothing_that_is_broken(place: Place) -> None:
    stock(place)
    scan(place, "count(*) FROM goods", 150)
    place.until("SELECT seq_scan >= 150 FROM pg_stat_user_tables WHERE relname = 'goods'")
    young = see_indexes(place, age=2000 * DAY)
    assert young.findings == ()
    with pytest.raises(CannotTell, match="how tables are read has been counted") as raised:
        young.must_see()
    assert "limits.statistics_age" in raised.value.mend
    place.run("DROP INDEX sold_goods")
    assert len(see_indexes(place, age=2000 * DAY).findings) == 1


def test_counters_are_as_old_as_they_were_last_set_back(place: Place) -> None:
    stock(place)
    place.run("SELECT pg_stat_reset()")
    place.until("SELECT stats_reset > now() - interval '5 s' FROM pg_stat_database WHERE datname = current_database()")
    with place.asked() as database:
        assert counters(database).age < 10 * SECOND
    if place.version >= 15:
        # A new database doesn't say since when; the server as a whole does.
        with place.server.connect(name="postgres") as chief:
            row = chief.execute("SELECT stats_reset FROM pg_stat_database WHERE datname = 'postgres'").fetchone()
        assert row == (None,)
        with Place(place.server, "postgres", place.version).asked() as database:
            assert timedelta(0) < counters(database).age < HOUR


KEYS = (
    ("CREATE INDEX ON many (a)", "a bigint REFERENCES goods", True),
    ("CREATE INDEX ON many (a, note)", "a bigint REFERENCES goods", True),
    ("CREATE INDEX ON many (note, a)", "a bigint REFERENCES goods", False),
    ("CREATE INDEX ON many (note) INCLUDE (a)", "a bigint REFERENCES goods", False),
    ("CREATE INDEX ON many USING hash (a)", "a bigint REFERENCES goods", True),
    ("CREATE INDEX ON many USING brin (a)", "a bigint REFERENCES goods", False),
    ("CREATE INDEX ON many ((a + 1))", "a bigint REFERENCES goods", False),
    ("CREATE INDEX ON many (a) WHERE a IS NOT NULL", "a bigint REFERENCES goods", True),
    ("CREATE INDEX ON many (a) WHERE a > 5", "a bigint REFERENCES goods", False),
    ("CREATE INDEX ON many (b, a)", "a bigint, b int, FOREIGN KEY (a, b) REFERENCES pairs (a, b)", True),
    ("CREATE INDEX ON many (a)", "a bigint, b int, FOREIGN KEY (a, b) REFERENCES pairs (a, b)", False),
    ("CREATE INDEX ON many (a, note, b)", "a bigint, b int, FOREIGN KEY (a, b) REFERENCES pairs (a, b)", False),
)


def test_a_foreign_key_needs_an_index_that_begins_with_its_columns(place: Place) -> None:
    stock(place, "CREATE TABLE pairs (a bigint, b int, PRIMARY KEY (a, b))", rows=10)
    for index, columns, served in KEYS:
        place.run(f"CREATE TABLE many (id bigint PRIMARY KEY, note text, {columns})", index)
        seen = see_indexes(place, floor=0)
        lacking = [one for one in seen.unindexed if one.table == "public.many"]
        assert bool(lacking) != served, (index, columns)
        place.run("DROP TABLE many")


def test_a_foreign_key_of_a_small_table_is_said_and_not_judged(place: Place) -> None:
    stock(place, "DROP INDEX sold_goods")
    seen = see_indexes(place)
    assert seen.said == "public.sold (goods_id), which refers to goods, has no index"
    assert seen.rows()[0] == {
        "what": "foreign key without an index", "where": "public.sold (goods_id)", "seen": "sold_goods_id_fkey",
    }  # fmt: skip
    small = see_indexes(place, floor=ROWS + 1)
    assert small.findings == ()
    assert small.notes == (
        "not judged, of fewer than 3,001 rows: public.sold (goods_id), which refers to goods, has no index",
    )


def test_an_index_that_was_left_unfinished_is_found(place: Place) -> None:
    stock(place)
    with pytest.raises(Exception, match="could not create unique index"):
        place.run("CREATE UNIQUE INDEX CONCURRENTLY goods_kind ON goods (kind)")
    seen = see_indexes(place, floor=10**6)
    assert seen.said == "the index public.goods_kind of goods is invalid"
    place.run("DROP INDEX goods_kind")
    assert see_indexes(place).findings == ()


def test_an_index_that_is_being_built_is_no_fault(place: Place) -> None:
    stock(place)
    failed: list[Exception] = []

    def build() -> None:
        try:
            place.run("CREATE INDEX CONCURRENTLY goods_kind ON goods (kind)")
        except Exception as why:  # noqa: BLE001  shown below
            failed.append(why)

    with place.server.connect(name=place.name) as holder:
        holder.execute("BEGIN")
        holder.execute("INSERT INTO goods VALUES (-1, 1)")  # it waits for everybody who writes
        builder = threading.Thread(target=build)
        builder.start()
        place.until("SELECT count(*) > 0 FROM pg_index WHERE NOT indisvalid")
        seen = see_indexes(place)
        holder.execute("ROLLBACK")
        builder.join(60)
        waits = (
            "SELECT string_agg(concat_ws(' ', pid, state, wait_event, backend_xmin, query), '; ') FROM pg_stat_activity"
        )
        assert not builder.is_alive(), place.value(waits)
    assert failed == []
    assert seen.findings == ()
    assert seen.notes == ("public.goods_kind is unfinished, while an index of goods is being built",)


def test_an_empty_database_was_not_looked_at(place: Place) -> None:
    with pytest.raises(CannotTell, match="no tables"):
        see_indexes(place).must_see()


# Vacuum --------------------------------------------------------------------------------------------------------------


def see_vacuum(place: Place, **changes: Any) -> Vacuumed:  # noqa: ANN401  of different kinds
    given: dict[str, Any] = {"floor": FLOOR, "dead": 0.2, "age": 7 * DAY, "transactions": 0.5}
    with place.asked() as database:
        return vacuumed(database, WantedVacuum(**given | changes))


def test_dead_rows_are_found_until_they_are_vacuumed(place: Place) -> None:
    stock(place, "ALTER TABLE goods SET (autovacuum_enabled = false)")
    healthy = see_vacuum(place)
    assert healthy.findings == ()
    assert healthy.notes == ("autovacuum is switched off for public.goods",)
    healthy.must_see()
    place.run("UPDATE goods SET other = other + 1 WHERE id <= 1000")
    place.until("SELECT n_dead_tup >= 1000 FROM pg_stat_user_tables WHERE relname = 'goods'")
    seen = see_vacuum(place)
    assert seen.said == "public.goods: 1,000 dead rows, 25 %, and autovacuum is switched off for it"
    assert seen.dead_share == 0.25
    assert see_vacuum(place, dead=0.25).findings == ()
    assert see_vacuum(place, floor=ROWS + 1).findings == (), "small tables aren't judged"
    place.run("VACUUM goods")
    place.until("SELECT n_dead_tup = 0 FROM pg_stat_user_tables WHERE relname = 'goods'")
    assert see_vacuum(place).findings == ()


def test_statistics_are_old_only_where_something_changed_since(place: Place) -> None:
    stock(place, "ALTER TABLE goods SET (autovacuum_enabled = false)")
    place.until("SELECT last_analyze IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'goods'")
    assert see_vacuum(place, age=timedelta(0)).findings == ()
    place.run("UPDATE goods SET other = 0 WHERE id <= 10")
    place.until("SELECT n_mod_since_analyze = 10 FROM pg_stat_user_tables WHERE relname = 'goods'")
    (found,) = see_vacuum(place, age=timedelta(0)).findings
    assert found.startswith("public.goods: analyzed ")
    assert "ago, 10 changes since" in found
    assert see_vacuum(place).findings == ()


def test_counters_that_forgot_when_a_table_was_analyzed_blind(place: Place) -> None:
    stock(place)
    place.run("SELECT pg_stat_reset()")
    place.until("SELECT n_live_tup = 0 FROM pg_stat_user_tables WHERE relname = 'goods'")
    seen = see_vacuum(place)
    assert len(seen.large) == 2, "the catalog still knows how large they are"
    assert seen.findings == ()
    with pytest.raises(CannotTell, match="isn't known") as raised:
        seen.must_see()
    assert raised.value.mend.startswith("ANALYZE;")
    place.run("ANALYZE")
    place.until("SELECT last_analyze IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'goods'")
    see_vacuum(place).must_see()


def test_the_oldest_transactions_of_all_databases_count(place: Place) -> None:
    stock(place)
    seen = see_vacuum(place)
    assert seen.databases == place.value("SELECT count(*) FROM pg_database")
    oldest = place.value("SELECT greatest(max(age(datfrozenxid)), max(mxid_age(datminmxid))) FROM pg_database")
    assert 0 < seen.oldest.number <= oldest <= seen.oldest.number + 100
    assert seen.oldest.share < 0.01
    far = see_vacuum(place, transactions=seen.oldest.share)
    assert far.said.startswith(f"the oldest of the {seen.oldest.what} of {far.oldest.database} lies ")


# Retention -----------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
YEAR = timedelta(days=366)


def see_retention(place: Place, **changes: str) -> Retention:
    given = {"activity": "deeds", "activity_at": "at"} | changes
    with place.asked() as database:
        return retention(
            database, Application(activity=given["activity"], activity_at=given["activity_at"]), NOW - YEAR, NOW
        )


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_rows_from_before_the_bound_are_counted(place: Place, kind: str) -> None:
    place.run(f"CREATE TABLE deeds (at {kind})", "GRANT SELECT ON deeds TO ops")
    place.run("INSERT INTO deeds VALUES ('2025-11-25 00:00Z'), ('2026-11-24 09:00Z')")
    seen = see_retention(place)
    assert (seen.holds, seen.older) == (True, 0)
    assert seen.said == "the oldest row is 364.4 d old"
    assert bool(seen.notes) == (kind != "timestamptz")
    place.run("INSERT INTO deeds VALUES ('2025-10-23 00:00Z'), ('2025-10-24 10:00Z'), (NULL)")
    seen = see_retention(place)
    assert (seen.holds, seen.older) == (False, 2)
    assert seen.said == "2 rows are from before 2025-11-23 10:00, the oldest 397.4 d old"


def test_a_row_on_the_bound_is_not_too_old(place: Place) -> None:
    place.run("CREATE TABLE deeds (at timestamptz)", "GRANT SELECT ON deeds TO ops")
    place.run(f"INSERT INTO deeds VALUES ('{NOW - YEAR}')")  # noqa: S608  ours
    assert see_retention(place).holds
    place.run(f"INSERT INTO deeds VALUES ('{NOW - YEAR - timedelta(microseconds=1)}')")  # noqa: S608  ours
    seen = see_retention(place)
    assert not seen.holds
    assert seen.said.startswith("1 row is from before")


def test_an_empty_or_missing_table_was_not_looked_at(place: Place) -> None:
    with pytest.raises(CannotTell, match="deeds"):
        see_retention(place)
    place.run("CREATE TABLE deeds (at timestamptz)", "GRANT SELECT ON deeds TO ops")
    with pytest.raises(CannotTell, match="nothing was looked at"):
        see_retention(place)
    with pytest.raises(CannotTell, match="nothing"):
        see_retention(place, activity_at="nothing")


# Slow statements -----------------------------------------------------------------------------------------------------


def see_log(place: Place, role: str = "ops", limit: timedelta = SECOND) -> SlowQueryLog:
    with place.asked(role) as database:
        return slow_query_log(database, "goods", limit)


@pytest.fixture
def written(place: Place) -> Iterator[Callable[..., None]]:
    """Writes the setting into the server's files, and loads it if told to."""
    place.run("CREATE TABLE goods (id int)", "ALTER TABLE goods OWNER TO app")
    place.run("GRANT SELECT ON pg_file_settings TO ops", "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO ops")
    # What the command line says would win.
    given = place.value("SELECT source FROM pg_settings WHERE name = 'log_min_duration_statement'")
    if given == "command line":
        pytest.skip("it is set on the command line")

    def write(value: str, *, load: bool = True) -> None:
        place.run(f"ALTER SYSTEM SET log_min_duration_statement = '{value}'")
        if load:
            place.run("SELECT pg_reload_conf()")
            wanted = milliseconds(value)
            name = "log_min_duration_statement"
            place.until(f"SELECT setting::int = {wanted} FROM pg_settings WHERE name = '{name}'")  # noqa: S608  ours

    yield write
    place.run("ALTER SYSTEM RESET log_min_duration_statement", "SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("value", "holds", "said"),
    [
        ("-1", False, "off"),
        ("0", True, "0, every statement"),
        ("1000", True, "1 s"),
        ("1001", False, "1 s"),
        ("5s", False, "5 s"),
        ("250ms", True, "250 ms"),
    ],
)
def test_what_is_loaded_is_in_force(
    place: Place,
    written: Callable[..., None],
    value: str,
    said: str,
    holds: bool,
) -> None:
    written(value)
    seen = see_log(place)
    assert seen.holds == holds
    assert seen.said.startswith(said)
    assert seen.said.endswith("postgresql.auto.conf) in force")
    assert seen.looked_at == f"log_min_duration_statement in the database {place.name}, for app"
    assert (seen.written, seen.notes) == (None, ())


def test_what_is_written_but_not_loaded_is_said(place: Place, written: Callable[..., None]) -> None:
    written("-1")
    written("1000", load=False)
    seen = see_log(place)
    assert not seen.holds
    assert seen.said.startswith("off (")
    assert "; 1 s is written but not loaded (" in seen.said
    written("500")
    written("5000", load=False)
    seen = see_log(place)
    assert not seen.holds, "it would be after the next restart"
    assert "5 s is written but not loaded" in seen.said
    written("800", load=False)
    assert see_log(place).holds, "both are right"


def test_a_role_that_may_not_see_the_files_is_told_so(place: Place, written: Callable[..., None]) -> None:
    written("1000")
    place.run("REVOKE EXECUTE ON FUNCTION pg_show_all_file_settings() FROM ops")
    written("-1", load=False)
    seen = see_log(place)
    assert seen.holds
    (note,) = seen.notes
    assert "GRANT SELECT ON pg_file_settings TO ops" in note


def test_what_is_set_for_the_applications_role_or_database_wins(place: Place, written: Callable[..., None]) -> None:
    written("1000")
    steps = (
        (f"ALTER DATABASE {place.name} SET log_min_duration_statement = '5s'", False, "5 s (set for this database)"),
        ("ALTER ROLE app SET log_min_duration_statement = 200", True, "200 ms (set for the role app)"),
        (
            f"ALTER ROLE app IN DATABASE {place.name} SET log_min_duration_statement = -1",
            False,
            "off (set for the role app in this database)",
        ),
    )
    try:
        for statement, holds, said in steps:
            place.run(statement)
            seen = see_log(place)
            assert (seen.holds, seen.said) == (holds, f"{said} in force"), statement
    finally:
        place.run("ALTER ROLE app RESET ALL", f"ALTER ROLE app IN DATABASE {place.name} RESET ALL")
        place.run(f"ALTER DATABASE {place.name} RESET ALL")


def test_another_role_is_said_and_its_own_hides_the_servers(place: Place, written: Callable[..., None]) -> None:
    written("1000")
    try:
        place.run("ALTER ROLE chief SET log_min_duration_statement = -1")
        seen = see_log(place)
        assert seen.holds
        assert seen.notes == ("for the role chief it is off (set for the role chief)",)
        place.run("ALTER ROLE ops SET log_min_duration_statement = 10")
        with pytest.raises(CannotTell, match="hidden by a value for the role ops") as raised:
            see_log(place)
        assert raised.value.mend == "ALTER ROLE ops RESET log_min_duration_statement;"
    finally:
        place.run("ALTER ROLE chief RESET ALL", "ALTER ROLE ops RESET ALL")


def test_without_the_applications_table_its_role_isnt_known(place: Place, written: Callable[..., None]) -> None:
    written("1000")
    place.run("DROP TABLE goods")
    seen = see_log(place)
    assert seen.holds
    assert "goods isn't there" in seen.notes[0]


def test_values_are_read_as_postgresql_reads_them() -> None:
    assert [milliseconds(one) for one in ("-1", "0", "'1s'", " 2 min ", "500us", "1.5s", "1d")] == [
        -1, 0, 1000, 120_000, 0.5, 1500, 86_400_000,
    ]  # fmt: skip
    with pytest.raises(CannotTell):
        milliseconds("soon")


# Lookups -------------------------------------------------------------------------------------------------------------


def see_lookups(place: Place, number: int = 12, role: str = "ops", floor: int = 1000) -> Lookups:
    asked: list[timedelta] = []

    def requests(span: timedelta) -> RequestsSeen:
        asked.append(span)
        return RequestsSeen(number, span)

    with place.asked(role) as database:
        seen = lookups(database, "goods", floor, requests, 7 * DAY)
    assert bool(asked) == bool(seen.judged), "the log is read only for what is judged"
    return seen


@pytest.fixture
def counting(place: Place) -> Place:
    if place.version < 14:
        pytest.skip("PostgreSQL 13 doesn't say since when it counts")
    place.run("CREATE SCHEMA aside", "CREATE EXTENSION pg_stat_statements SCHEMA aside")
    stock(place, "ALTER TABLE goods OWNER TO app", rows=100)
    place.run("SELECT aside.pg_stat_statements_reset()")
    return place


def run_often(place: Place, statement: str, times: int, role: str = "app") -> None:
    with place.server.connect(role, place.name) as session, session.cursor() as cursor:
        for number in range(times):
            cursor.execute(statement.encode(), [number % 100] if "%s" in statement else None)


LOOKUP = "SELECT kind, 'a secret of ours' FROM goods WHERE id = %s"


def test_a_lookup_that_runs_for_each_row_is_found(counting: Place) -> None:
    run_often(counting, LOOKUP, 1200)
    seen = see_lookups(counting)
    assert seen.most == pytest.approx(100)
    assert seen.said.startswith("100.0 times a request ran, for app: SELECT kind, $2 FROM goods WHERE id = $1")
    assert "secret" not in repr(seen)
    assert "1 of them lookups that ran 1,000 times or more; 12 requests of " in seen.looked_at
    assert seen.rows()[0]["times"] == "1,200"
    assert see_lookups(counting, number=1200).most == pytest.approx(1)
    few = see_lookups(counting, floor=1201)
    assert (few.judged, few.few) == ((), 1)
    assert few.said == "no lookup of a single row ran 1,201 times"


def test_what_is_no_lookup_of_the_applications_is_none(counting: Place) -> None:
    run_often(counting, "SELECT 1", 30)
    run_often(counting, "SELECT * FROM goods", 30)
    run_often(counting, "UPDATE goods SET kind = 1 WHERE id = %s", 30)
    run_often(counting, LOOKUP, 30, role="chief")
    counting.run("GRANT SELECT ON goods TO ops")
    run_often(counting, LOOKUP, 30, role="ops")
    counting.run(
        "SET pg_stat_statements.track = 'all'",
        "DO $$ BEGIN FOR n IN 1..30 LOOP PERFORM kind FROM goods WHERE id = n; END LOOP; END $$",
    )
    seen = see_lookups(counting, floor=20)
    assert [(one.lookup.role, one.lookup.calls) for one in seen.judged] == [("chief", 30)]
    run_often(counting, f"/* a view */ -- of ours\n {LOOKUP}", 30)
    counts = "SELECT count(*) FROM sold WHERE goods_id = %s"
    counting.run("ALTER TABLE sold OWNER TO app")
    run_often(counting, counts, 25)
    judged = {(one.lookup.role, one.lookup.calls) for one in see_lookups(counting, floor=20).judged}
    assert judged == {("chief", 30), ("app", 30), ("app", 25)}


def test_a_foreign_keys_check_is_no_lookup(counting: Place) -> None:
    """Django has it deferred to the end of the transaction, where the module takes it for a client's statement."""
    counting.run("ALTER TABLE sold ALTER CONSTRAINT sold_goods_id_fkey DEFERRABLE INITIALLY DEFERRED")
    counting.run("INSERT INTO sold SELECT n + 1000, n FROM generate_series(1, 90) n")
    checks = (
        "SELECT count(*) FROM aside.pg_stat_statements WHERE query LIKE '%FOR KEY SHARE%' AND toplevel AND calls >= 90"
    )
    assert counting.value(checks) == 1
    assert see_lookups(counting, floor=20).judged == ()


def test_texts_are_bounded(counting: Place) -> None:
    run_often(counting, "SELECT kind FROM goods WHERE id = %s" + " AND kind < 9" * 400, 30)
    (found,) = see_lookups(counting, floor=20).judged
    assert len(found.lookup.query) <= 300


def test_statements_that_are_hidden_or_not_counted_blind(counting: Place) -> None:
    run_often(counting, LOOKUP, 30)
    counting.run("GRANT USAGE ON SCHEMA aside TO PUBLIC")
    counting.run("SELECT 1")
    with pytest.raises(CannotTell, match="hidden from the role app") as raised:
        see_lookups(counting, role="app")
    assert raised.value.mend == "GRANT pg_monitor TO app;"
    counting.run("DROP EXTENSION pg_stat_statements")
    with pytest.raises(CannotTell, match="isn't an extension of") as raised:
        see_lookups(counting)
    assert raised.value.mend.startswith("CREATE EXTENSION pg_stat_statements;")


def test_a_module_that_isnt_loaded_blinds() -> None:
    with packaged_postgres.running(packaged_postgres.installation(), shared_preload_libraries="auto_explain") as other:
        with other.connect() as chief:
            chief.execute("CREATE EXTENSION pg_stat_statements")
        with pytest.raises(CannotTell, match="isn't loaded") as raised:
            see_lookups(Place(other, "stock", 18))
    assert "shared_preload_libraries = auto_explain,pg_stat_statements; restart" in raised.value.mend


def test_a_module_that_doesnt_say_since_when_it_counts_blinds(place: Place) -> None:
    place.run("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    with pytest.raises(CannotTell, match=r"1\.8 doesn't say since when") as raised:
        see_lookups(place)
    if place.version >= 14:
        assert raised.value.mend == "ALTER EXTENSION pg_stat_statements UPDATE;"


def test_the_log_is_read_for_the_time_of_the_statement() -> None:
    week = 7 * DAY
    assert _read_for(30 * DAY, 30 * DAY, week) == week
    assert _read_for(HOUR, HOUR, week) == HOUR + SECOND
    assert _read_for(HOUR - SECOND, HOUR, week) == HOUR + SECOND
    assert _read_for(3 * DAY, 30 * DAY, week) == week / 2
    assert HOUR <= _read_for(HOUR, 30 * DAY, week) < 2 * HOUR
    assert RequestsSeen(100, week).within(2 * week) == 200
    assert RequestsSeen(100, 10 * SECOND).within(9 * SECOND) == 100
