"""What takes room in the database, by a real server whose files and tables are known one by one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from observe.engine import Container, Engine, _described
from observe.errors import CannotTell
from observe.host import Ran
from observe.storage import (
    DATABASE,
    SMALLEST,
    DataDirectory,
    Grown,
    Growth,
    Part,
    Room,
    Table,
    Tables,
    _parts,
    data_directory,
    growth_since,
    largest_tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proofs.containers.postgres import Postgres

KIB, MIB = 1024, 1024**2
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
FORTNIGHT = timedelta(days=14)
PLACE = "/tmp/data"  # noqa: S108  of the container


@pytest.fixture
def container(server: Postgres) -> Container:
    server.container.reload()
    return _described(server.container.attrs)


def look(server: Postgres, engine: Engine, container: Container, role: str = "ops") -> DataDirectory:
    database = server.database(role)
    try:
        return data_directory(database, engine, container, 10)
    finally:
        database.close()


@contextmanager
def made(server: Postgres, do: str, undo: str) -> Iterator[None]:
    """Something in the container, done and undone as its server's user."""
    try:
        assert server.container.exec_run(["sh", "-ec", do]).exit_code == 0
        yield
    finally:
        server.container.exec_run(["sh", "-c", undo])


# The data directory ---------------------------------------------------------------------------------------------------


def test_a_file_of_known_size_is_found_and_the_parts_come_to_the_whole(
    server: Postgres, engine: Engine, container: Container
) -> None:
    before = look(server, engine, container)
    with made(
        server,
        f"mkdir {PLACE}/log && head -c {3 * MIB} /dev/zero > {PLACE}/log/server.log",
        f"rm -r {PLACE}/log",
    ):
        seen = look(server, engine, container)
    assert seen.place == PLACE
    assert before.size("log") == 0
    assert 3 * MIB <= seen.size("log") <= 3 * MIB + 64 * KIB
    assert seen.total - before.total >= 3 * MIB
    assert 0 <= seen.total - sum(one.size for one in seen.parts) <= 64 * KIB
    assert (seen.contradictions, seen.compressed) == ((), "")
    assert ("log", "the server's own log") in [(row["part"], row["what it is"]) for row in seen.rows()]


def test_the_databases_and_the_log_are_what_the_server_says(
    server: Postgres, engine: Engine, container: Container
) -> None:
    seen = look(server, engine, container)
    with server.connect() as chief:
        found = chief.execute("SELECT datname, pg_database_size(oid) FROM pg_database").fetchall()
        wal = chief.execute("SELECT count(*) * 16 FROM pg_ls_waldir()").fetchone()
    assert {one.name: one.size for one in seen.databases} == {str(name): size for name, size in found}
    assert wal is not None
    assert seen.wal == wal[0] * MIB
    assert seen.size("pg_wal") >= wal[0] * MIB
    assert seen.size("base") >= sum(one.size or 0 for one in seen.databases)
    assert [row["what"] for row in seen.server_rows()][-2:] == ["write-ahead log", "temporary files"]
    assert seen.looked_at.startswith(f"{PLACE} in {container.name}: ")


def test_a_tablespace_elsewhere_is_said_and_not_missed(server: Postgres, engine: Engine, container: Container) -> None:
    with made(server, "mkdir -m 700 /tmp/elsewhere", "rm -r /tmp/elsewhere"), server.connect() as chief:
        chief.execute("CREATE TABLESPACE elsewhere LOCATION '/tmp/elsewhere'")
        try:
            chief.execute(
                "CREATE TABLE far TABLESPACE elsewhere AS SELECT repeat('x', 1000) FROM generate_series(1, 50000)"
            )
            seen = look(server, engine, container)
        finally:
            chief.execute("DROP TABLE IF EXISTS far")
            chief.execute("DROP TABLESPACE elsewhere")
    (far,) = [one for one in seen.tablespaces if one.location]
    assert (far.name, far.location) == ("elsewhere", "/tmp/elsewhere")  # noqa: S108  of the container
    assert far.size is not None
    assert far.size > 50 * MIB
    assert seen.contradictions == ()
    assert {"what": "tablespace elsewhere", "where": "/tmp/elsewhere"}.items() <= seen.server_rows()[-3].items()  # noqa: S108


def test_a_role_that_may_not_know_the_place_is_told_what_it_lacks(
    server: Postgres, engine: Engine, container: Container
) -> None:
    with pytest.raises(CannotTell, match="doesn't tell this role where") as raised:
        look(server, engine, container, "app")
    assert raised.value.mend == "GRANT pg_monitor TO app;"


@pytest.mark.parametrize(
    ("out", "complaint"),
    [
        (f"4\t{PLACE}/base\n8\t{PLACE}\n", f"du: cannot read directory '{PLACE}/base': Permission denied"),
        ("", f"du: cannot access '{PLACE}': No such file or directory"),
        ("", ""),
        (f"4\t{PLACE}\n", ""),
    ],
)
def test_a_directory_that_du_cannot_see_is_no_answer(container: Container, out: str, complaint: str) -> None:
    """In a container that doesn't run as the server's user, or is another's altogether."""
    with pytest.raises(CannotTell, match=f"du can't see what lies in {PLACE} of {container.name}: ") as raised:
        _parts(Ran(1, out, complaint), PLACE, container)
    assert raised.value.mend == f"Run it by hand: docker exec {container.name} du -ak -d1 {PLACE}"


def test_a_file_that_goes_while_du_looks_is_no_trouble(container: Container) -> None:
    out = f"4\t{PLACE}/base\n8\t{PLACE}/pg_wal\n4\t{PLACE}/PG_VERSION\n20\t{PLACE}\n"
    ran = Ran(1, out, f"du: cannot access '{PLACE}/pg_wal/0000': No such file or directory")
    total, parts, notes = _parts(ran, PLACE, container)
    assert total == 20 * KIB
    assert [(one.name, one.size) for one in parts] == [("pg_wal", 8 * KIB), ("PG_VERSION", 4 * KIB), ("base", 4 * KIB)]
    assert notes == ("1 files were taken away while du looked at them",)


DIRECTORY = DataDirectory(
    place="/data",
    container="db",
    total=1000 * MIB + 4 * KIB,
    parts=(Part("base", 700 * MIB), Part("pg_wal", 290 * MIB), Part("global", 9 * MIB), Part("PG_VERSION", MIB)),
    databases=(Room("stock", 690 * MIB),),
    tablespaces=(Room("pg_default", 699 * MIB), Room("pg_global", 9 * MIB)),
    wal=288 * MIB,
    temporary=0,
)


def test_shares_are_of_the_whole_largest_first_and_small_ones_together() -> None:
    seen = replace(
        DIRECTORY, total=1000 * MIB, parts=(*DIRECTORY.parts[:3], *(Part(f"small{n}", MIB // 4) for n in range(4)))
    )
    assert [(row["part"], row["size"], row["share"]) for row in seen.rows()] == [
        ("base", "700 MiB", "70 %"),
        ("pg_wal", "290 MiB", "29 %"),
        ("global", "9 MiB", "0.9 %"),
        ("(4 others)", "1 MiB", "0.1 %"),
    ]
    assert seen.said == "1000 MiB, most of it the databases (base) (70 %)"
    assert [label for label, _ in seen.points()] == ["base", "pg_wal", "global"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(DIRECTORY, parts=DIRECTORY.parts[:1]), "its parts come to 700 MiB"),
        (replace(DIRECTORY, total=500 * MIB), "its parts come to 1000 MiB"),
        (
            replace(DIRECTORY, tablespaces=(Room("pg_default", 7100 * MIB),)),
            "the server says that its databases take 6.93 GiB of it",
        ),
    ],
)
def test_figures_that_cannot_be_are_a_contradiction(changed: DataDirectory, said: str) -> None:
    assert changed.contradictions == (said,)
    assert changed.said.endswith(f"; {said}")
    assert DIRECTORY.contradictions == ()


def test_a_file_system_that_compresses_is_said_and_no_contradiction() -> None:
    seen = replace(DIRECTORY, tablespaces=(Room("pg_default", 2100 * MIB), Room("far", 10**15, "/elsewhere")))
    assert seen.contradictions == ()
    assert seen.compressed.startswith("the databases are 2.05 GiB and take 709 MiB on the disk")


# The largest tables ---------------------------------------------------------------------------------------------------


def nothing(_name: str) -> list[tuple[datetime, float]]:
    return []


def tables_of(server: Postgres, name: str = "stock") -> Tables:
    database = server.database("ops", name=name)
    try:
        return largest_tables(database, nothing, NOW, history=FORTNIGHT, seconds=5)
    finally:
        database.close()


@pytest.fixture(scope="module")
def tables(server: Postgres) -> Iterator[Postgres]:
    with server.connect() as chief:
        chief.execute("CREATE SCHEMA shop")
        chief.execute("CREATE TABLE shop.orders (id int PRIMARY KEY, note text)")
        chief.execute("INSERT INTO shop.orders SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n")
        chief.execute("CREATE TABLE files (id int, content text)")
        chief.execute("ALTER TABLE files ALTER content SET STORAGE EXTERNAL")
        chief.execute("INSERT INTO files SELECT n, repeat('y', 100000) FROM generate_series(1, 10) n")
        chief.execute("CREATE TABLE visits (at int) PARTITION BY RANGE (at)")
        for month in (1, 2, 3):
            chief.execute(
                f"CREATE TABLE visits_{month} PARTITION OF visits FOR VALUES FROM ({month}) TO ({month + 1})".encode()
            )
        chief.execute("INSERT INTO visits SELECT 1 + n % 3 FROM generate_series(1, 6000) n")
        chief.execute("ANALYZE")
        for number in range(9):
            chief.execute(f"CREATE TABLE small_{number} AS SELECT 1".encode())
        yield server
        chief.execute("DROP SCHEMA shop CASCADE; DROP TABLE files, visits")
        chief.execute("".join(f"DROP TABLE small_{number};" for number in range(9)).encode())


def test_sizes_are_the_servers_own_with_all_that_belongs_to_a_table(tables: Postgres) -> None:
    seen = tables_of(tables)
    known = {one.name: one for one in seen.largest}
    with tables.connect() as chief:
        for name in ("shop.orders", "public.files"):
            row = chief.execute(
                "SELECT pg_total_relation_size(oid), pg_indexes_size(oid), pg_table_size(oid) FROM pg_class "
                "WHERE oid = %s::regclass",
                [name],
            ).fetchone()
            assert row is not None
            assert (known[name].total, known[name].indexes) == row[:2]
            assert known[name].own + known[name].toast == row[2]
    assert known["shop.orders"].rows == 20000
    assert known["shop.orders"].indexes > 400 * KIB
    assert known["public.files"].toast > MIB
    assert known["public.files"].own < 100 * KIB
    assert [one.total for one in seen.largest] == sorted((one.total for one in seen.largest), reverse=True)


def test_a_partitioned_table_is_all_its_partitions(tables: Postgres) -> None:
    (visits,) = [one for one in tables_of(tables).largest if "visits" in one.name]
    assert (visits.name, visits.parts, visits.rows) == ("public.visits", 3, 6000)
    assert visits.total >= 6000 * 32
    assert any(row["table"] == "public.visits (3 partitions)" for row in tables_of(tables).rows())


def test_ten_are_listed_and_the_others_summed_up(tables: Postgres) -> None:
    seen = tables_of(tables)
    assert (seen.count, len(seen.largest)) == (12, 10)
    assert seen.rows()[-1]["table"] == "(2 others)"
    assert seen.smallest == seen.largest[-1].total > 0
    assert sum(one.total for one in seen.largest) < seen.all_total < seen.size
    assert seen.looked_at.startswith("12 tables of stock, ")
    assert not any(one.name.startswith(("pg_", "information_schema")) for one in seen.largest)
    assert [name for name, _ in seen.figures()][:3] == [DATABASE, SMALLEST, seen.largest[0].name]


def test_rows_that_nobody_counted_are_not_known(tables: Postgres) -> None:
    small = [one for one in tables_of(tables).largest if "small" in one.name]
    assert small
    assert {one.rows for one in small} == {None}


def test_a_database_without_a_table_cannot_tell(server: Postgres) -> None:
    with pytest.raises(CannotTell, match="postgres has no table of its own"):
        tables_of(server, name="postgres")


def test_a_table_that_somebody_holds_for_himself_cannot_tell(tables: Postgres) -> None:
    database = tables.database("ops", seconds=0.5)
    with tables.connect() as chief, chief.transaction():
        chief.execute("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CannotTell, match="lock timeout"):
            largest_tables(database, nothing, NOW, history=FORTNIGHT, seconds=5)
    database.close()


# What they have grown by ----------------------------------------------------------------------------------------------


def history(at: datetime, **sizes: float) -> Mapping[str, Sequence[tuple[datetime, float]]]:
    names = {"smallest": SMALLEST, "database": DATABASE}
    return {
        names.get(name, f"public.{name}"): [(at, size), (NOW - timedelta(days=1), size)] for name, size in sizes.items()
    }


def grown(
    known: Mapping[str, Sequence[tuple[datetime, float]]], size: float = 1000 * MIB, **tables: float
) -> tuple[Growth | None, tuple[str, ...]]:
    named = {f"public.{name}": size for name, size in tables.items()}
    return growth_since(lambda name: known.get(name, ()), named, size, NOW, FORTNIGHT)


def seen_with(growth: Growth | None) -> Tables:
    return Tables("stock", 1000 * MIB, 1, 900 * MIB, (Table("public.a", 900 * MIB, 0, 0, 1),), growth)


def test_the_share_of_the_growth_is_the_tables_own_of_the_databases() -> None:
    growth, notes = grown(
        history(NOW - MONTH, database=600 * MIB, smallest=MIB, a=500 * MIB, b=50 * MIB), a=820 * MIB, b=60 * MIB
    )
    assert growth is not None
    assert notes == ()
    assert [(one.name, one.bytes) for one in growth.tables] == [("public.a", 320 * MIB), ("public.b", 10 * MIB)]
    assert growth.share == 0.8
    assert growth.said == (
        "since 2026-10-25 (30 d) the database grew by 400 MiB, of which public.a made 320 MiB (80 %)"
    )
    assert not seen_with(growth).lopsided(0.8, 10 * MIB), "so much is allowed"
    assert seen_with(growth).lopsided(0.7999, 10 * MIB)
    assert not seen_with(growth).lopsided(0.5, 400 * MIB / 30), "just the floor is none"
    assert seen_with(growth).lopsided(0.5, 399 * MIB / 30)


def test_a_table_that_was_too_small_to_be_listed_has_grown_at_least_by_the_rest() -> None:
    growth, _ = grown(
        history(NOW - MONTH, database=600 * MIB, smallest=10 * MIB, a=500 * MIB), a=500 * MIB, new=390 * MIB
    )
    assert growth is not None
    assert growth.tables[0] == Grown("public.new", 380 * MIB, at_least=True)
    assert "public.new made at least 380 MiB (95 %)" in growth.said
    assert seen_with(growth).lopsided(0.8, MIB)


def test_a_figure_of_another_run_is_not_taken_for_one_of_the_first() -> None:
    known = {**history(NOW - MONTH, database=0, smallest=5), "public.a": [(NOW - timedelta(days=3), 80.0)]}
    growth, _ = grown(known, size=100, a=90)
    assert growth is not None
    assert growth.tables == (Grown("public.a", 85, at_least=True),)


@pytest.mark.parametrize("days", [0.5, 13.9])
def test_of_a_short_history_no_growth_is_told(days: float) -> None:
    growth, notes = grown(history(NOW - timedelta(days=days), database=0, smallest=0), a=MIB)
    assert growth is None
    assert notes == (f"their growth isn't known yet: {int(days)} days of history, 14 d are needed",)
    assert not seen_with(growth).lopsided(0.0, 0)
    assert grown({}, a=MIB)[1] == (
        "their growth isn't known yet: no earlier run has measured the tables, 14 d are needed",
    )


def test_a_database_that_shrank_has_no_growth_to_share() -> None:
    growth, _ = grown(history(NOW - MONTH, database=2000 * MIB, smallest=0, a=MIB), a=500 * MIB)
    assert growth is not None
    assert (growth.share, growth.enough(0)) == (0.0, False)
    assert growth.said == "since 2026-10-25 (30 d) the database did not grow"
    assert not seen_with(growth).lopsided(0.0, 0)


def test_what_grew_while_others_shrank_is_more_than_all() -> None:
    growth, _ = grown(
        history(NOW - MONTH, database=900 * MIB, smallest=0, a=100 * MIB, b=600 * MIB), a=300 * MIB, b=500 * MIB
    )
    assert growth is not None
    assert growth.share == 2.0
    (row,) = replace(seen_with(growth), count=1).rows()
    assert row["grown by"] == "+200 MiB"
    (row,) = seen_with(None).rows()
    assert "grown by" not in row
