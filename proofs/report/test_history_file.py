"""The history's file: whole transactions, and whatever befalls it said, never lost and never fatal."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proofs.harness import ROOT
from proofs.report.samples import result, run
from proofs.users import nobody
from report import history_file as module
from report.chronicle import Chronicle
from report.history import History
from report.history_file import _MIGRATIONS, SCHEMA, HistoryError, HistoryFile

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LETTER = b"a letter to my mother, long enough to have a header" * 10
INTO_RUN = "INSERT INTO run VALUES (?, 'shop', 1, 2)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def tokens(path: Path) -> set[str]:
    """The runs that are known."""
    return {token for (token,) in HistoryFile(path).read("SELECT token FROM run", ())}


def filled(path: Path) -> None:
    """A history of some size."""
    for number in range(12):
        at = NOW - number * DAY
        History(HistoryFile(path)).begin(f"{number}", "shop", at)
        results = [result(f"slug-{one}", seen=os.urandom(300).hex()) for one in range(12)]
        facts = run(token=f"{number}", started=at.isoformat(), ended=at.isoformat())
        Chronicle(HistoryFile(path), "shop", 400 * DAY).record(facts, results)


def test_a_new_one_is_for_nobodys_eyes_but_its_owners(path: Path) -> None:
    before = os.umask(0)
    try:
        HistoryFile(path).change(lambda _: modes.update((one.name, one.stat().st_mode & 0o777) for one in every(path)))
    finally:
        os.umask(before)
    assert modes == dict.fromkeys((f"{path.name}{end}" for end in ("", "-wal", "-shm")), 0o600)
    assert every(path) == [path], "nothing lies about beside it"


modes: dict[str, int] = {}


def every(path: Path) -> list[Path]:
    return sorted(path.parent.iterdir())


@pytest.mark.parametrize("error", [KeyError, OSError, KeyboardInterrupt, HistoryError])
def test_of_what_an_error_ends_nothing_counts(path: Path, error: type[BaseException]) -> None:
    HistoryFile(path).write((INTO_RUN, ("before",)))

    def half(connection: sqlite3.Connection) -> None:
        connection.execute(INTO_RUN, ("half",))
        connection.execute("CREATE TABLE half (x)")
        raise error("ours")

    with pytest.raises(error, match="ours"):
        HistoryFile(path).change(half)
    HistoryFile(path).write((INTO_RUN, ("after",)))
    assert tokens(path) == {"before", "after"}
    assert HistoryFile(path).read("SELECT 1 FROM sqlite_master WHERE name = 'half'", ()) == []


@pytest.mark.parametrize(
    "second",
    [
        (INTO_RUN, ("one",)),
        ("INSERT INTO nowhere VALUES (1)", ()),
        ("INSERT INTO run VALUES ('x', 'shop', 'noon', 2)", ()),
        ("UPDATE run SET started = ?", (2**70,)),
    ],
    ids=["twice", "no such table", "no number", "too large"],
)
def test_of_what_cant_be_written_nothing_is(path: Path, second: tuple[str, tuple[object, ...]]) -> None:
    HistoryFile(path).write((INTO_RUN, ("before",)))
    with pytest.raises(HistoryError, match=r"can't be written \(.*\): it's lost"):
        HistoryFile(path).write((INTO_RUN, ("one",)), second, so_what="it's lost")
    assert tokens(path) == {"before"}


def test_a_text_that_is_no_unicode_is_written_as_well_as_can_be(path: Path) -> None:
    HistoryFile(path).write((INTO_RUN, ("a file called \udcff",)))
    assert tokens(path) == {"a file called ?"}


def test_without_a_file_nothing_is_written_and_nothing_known() -> None:
    none = HistoryFile(None)
    none.write((INTO_RUN, ("one",)))
    none.change(lambda _: pytest.fail("there is nothing to change"))
    assert none.read("SELECT token FROM run", ()) == []


def test_who_reads_meanwhile_takes_no_lock_off_who_writes(path: Path) -> None:
    """A process that closes any handle of its own on a file loses all its locks on it, those of SQLite among them."""
    HistoryFile(path).write((INTO_RUN, ("before",)))

    def meanwhile(connection: sqlite3.Connection) -> None:
        connection.execute(INTO_RUN, ("written",))
        assert tokens(path) == {"before"}
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        assert "database is locked" in other.stderr

    HistoryFile(path).change(meanwhile)
    assert tokens(path) == {"before", "written"}


def test_who_is_held_up_for_too_long_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT", 0.1)
    HistoryFile(path).write((INTO_RUN, ("before",)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(HistoryError, match="database is locked"):
                HistoryFile(path).write((INTO_RUN, ("one",)))
        assert tokens(path) == {"before"}, "who only reads isn't held up"


# Schemas ------------------------------------------------------------------------------------------------------------


def of_schema(path: Path, schema: int) -> dict[str, dict[str, object]]:
    """A history of an earlier schema, and the row that is in each table of it."""
    rows: dict[str, dict[str, object]] = {}
    with closing(sqlite3.connect(path)) as connection:
        for migration in _MIGRATIONS[:schema]:
            connection.executescript(migration)
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            kinds = {"TEXT": f"{table}'s", "REAL": 1.5, "INTEGER": 7, "BLOB": b"\0"}
            rows[table] = {name: kinds[kind] for _, name, kind, *_ in columns}
            marks = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", tuple(rows[table].values()))  # noqa: S608
        connection.execute(f"PRAGMA user_version = {schema}")
        connection.commit()
    return rows


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
@pytest.mark.parametrize("first", ["read", "written"])
def test_one_of_any_earlier_schema_is_brought_up_to_date_and_keeps_what_it_knows(
    path: Path, schema: int, first: str
) -> None:
    rows = of_schema(path, schema)
    if first == "read":
        assert HistoryFile(path).read("SELECT token FROM run", ()) == [("run's",)]
    History(HistoryFile(path)).begin("later", "shop", NOW)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for table, row in rows.items():
            columns = ", ".join(row)
            assert tuple(row.values()) in connection.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
    Chronicle(HistoryFile(path), "shop", 400 * DAY).record(run(), [result()])


def test_there_is_a_migration_to_every_schema_and_no_statement_is_cut(tmp_path: Path) -> None:
    assert len(_MIGRATIONS) == SCHEMA
    HistoryFile(tmp_path / "new").write((INTO_RUN, ("one",)))
    of_schema(tmp_path / "by script", SCHEMA)
    schemas = []
    for file in ("new", "by script"):
        with closing(sqlite3.connect(tmp_path / file)) as connection:
            schemas.append([sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master ORDER BY name")])
    assert schemas[0] == schemas[1]


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    of_schema(path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE role_use (in_the_way)")
    with pytest.raises(HistoryError, match="table role_use already exists"):
        HistoryFile(path).write((INTO_RUN, ("one",)))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"run", "refused_login", "role_use"}


MANY = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from report.history import History
from report.history_file import HistoryFile
file = HistoryFile(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    History(file).begin(f"{sys.argv[2]} {number}", "shop", datetime(2026, 11, 23, tzinfo=UTC))
print(*file.said)
"""


@pytest.mark.parametrize("before", ["nothing", "schema 3", "damage"])
def test_processes_that_begin_at_once_all_get_in(path: Path, before: str) -> None:
    known: set[str] = set()
    if before == "schema 3":
        of_schema(path, 3)
        known = {"run's"}
    if before == "damage":
        path.write_bytes(LETTER)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(path), str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    said = [one.communicate("go\n", timeout=60) for one in running]
    assert [errors for _, errors in said] == [""] * 4
    assert tokens(path) == known | {f"{one} {number}" for one in range(4) for number in range(10)}
    moved = [one for one in every(path) if one != path]
    assert [one.read_bytes() for one in moved] == ([LETTER] if before == "damage" else [])
    assert sum("and was moved aside to" in words for words, _ in said) == len(moved)


# Damage -------------------------------------------------------------------------------------------------------------


def use_all(path: Path) -> list[str]:
    """Read all that there is and write a run, as runs do; what was said meanwhile."""
    file = HistoryFile(path)
    chronicle = Chronicle(file, "shop", 400 * DAY)
    for read in (lambda: chronicle.runs(NOW - 99 * DAY), lambda: chronicle.told(NOW - 99 * DAY)):
        read()
    chronicle.latest(NOW - 99 * DAY)
    chronicle.points(NOW - 99 * DAY)
    History(file).runs(NOW - 99 * DAY)
    History(file).begin("last", "shop", NOW)
    chronicle.record(run(token="last", started=NOW.isoformat(), ended=NOW.isoformat()), [result()])  # noqa: S106
    return file.said


def is_sound_and_has_the_last_run(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [one.token for one in Chronicle(HistoryFile(path), "shop", DAY).runs(NOW)][-1] == "last"
    assert "last" in tokens(path)


@pytest.mark.parametrize(
    "content",
    [LETTER, b"\0" * 4096, b"SQLite format 3\0", b"SQLite format 3\0" + b"\xff" * 9000],
    ids=["text", "zeros", "name alone", "nonsense"],
)
def test_what_is_no_database_is_moved_aside_and_not_lost(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    said = use_all(path)
    (aside,) = (one for one in every(path) if one != path)
    assert aside.read_bytes() == content
    (sentence,) = said
    assert sentence.startswith(f"the history {path} is damaged (")
    assert f"was moved aside to {aside.name}: nothing is known of earlier runs, and a new one begins" in sentence
    is_sound_and_has_the_last_run(path)
    path.write_bytes(content)
    use_all(path)
    assert len(every(path)) == 3, "what was moved aside before is still there"


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9])
def test_one_that_lost_its_end_is_moved_aside(path: Path, share: float) -> None:
    filled(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert len(use_all(path)) == 1
    assert len(every(path)) == 2
    is_sound_and_has_the_last_run(path)


def test_what_is_overwritten_within_a_value_is_left_out_and_said(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE latest_result SET whole = x'789c00' WHERE subject = 1")
        connection.execute("UPDATE finished_run SET facts = '[' WHERE number = 2")
        connection.commit()
    assert (
        use_all(path)
        == [
            f"the history {path} is damaged: 1 of {number} entries that were read can't be understood and are left out"
            for number in (12, 12)
        ][:1]
    )
    assert every(path) == [path]
    is_sound_and_has_the_last_run(path)


def test_whichever_page_is_overwritten_it_is_never_fatal_and_never_lost(path: Path) -> None:
    filled(path)
    content = path.read_bytes()
    moved = 0
    for page in range(len(content) // 4096):
        damaged = content[: page * 4096] + b"\xa5" * 4096 + content[(page + 1) * 4096 :]
        path.write_bytes(damaged)
        said = use_all(path)
        beside = [one for one in every(path) if one != path]
        if beside:
            assert any("was moved aside" in one for one in said)
            assert len(beside) == 1
            assert os.path.getsize(beside[0]) >= len(damaged)  # noqa: PTH202  what was written before it showed
            is_sound_and_has_the_last_run(path)
            beside[0].unlink()
            moved += 1
        path.unlink()
    assert moved > 10


def test_what_two_notice_is_moved_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(5):
            path.write_bytes(LETTER)
            files = [HistoryFile(path) for _ in range(8)]
            list(pool.map(lambda one: one[1].write((INTO_RUN, (f"{one[0]}",))), enumerate(files)))
            assert tokens(path) == {f"{one}" for one in range(8)}
            assert len(every(path)) == 2 + number
            assert sum("was moved aside to" in one for file in files for one in file.said) == 1


KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("INSERT INTO run VALUES ('late', 'shop', 1, 2)")
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO run VALUES ('half', 'shop', 1, 2)")
os._exit(9)
"""


def kill_one_that_writes(path: Path) -> Path:
    """Leave what a killed run leaves; its file of what wasn't moved into the database yet."""
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    return path.with_name(f"{path.name}-wal")


def test_of_a_killed_run_what_was_finished_is_there_and_nothing_lies_about_after_the_next(path: Path) -> None:
    filled(path)
    assert kill_one_that_writes(path).stat().st_size > 0
    assert "late" in tokens(path)
    assert "half" not in tokens(path)
    assert every(path) == [path]


@pytest.mark.parametrize("at", [0, 20, 40, 2000], ids=["head", "checksum", "frame", "page"])
def test_a_damaged_rest_of_a_killed_run_costs_nothing_but_itself(path: Path, at: int) -> None:
    filled(path)
    rest = kill_one_that_writes(path)
    content = bytearray(rest.read_bytes())
    content[at : at + 8] = b"\xa5" * 8
    rest.write_bytes(content)
    assert use_all(path) == []
    assert {f"{number}" for number in range(12)} < tokens(path)
    is_sound_and_has_the_last_run(path)


def test_one_behind_a_link_is_moved_where_it_lies(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link" / "history.sqlite"
    link.parent.mkdir()
    link.symlink_to(path)
    path.write_bytes(LETTER)
    use_all(link)
    assert link.is_symlink()
    is_sound_and_has_the_last_run(path)
    assert [one.read_bytes() for one in tmp_path.glob("history.sqlite.damaged-*")] == [LETTER]


def test_a_damaged_one_is_moved_with_what_belongs_to_it(path: Path) -> None:
    filled(path)
    rest = kill_one_that_writes(path).read_bytes()
    path.write_bytes(LETTER)
    use_all(path)
    is_sound_and_has_the_last_run(path)
    (aside,) = path.parent.glob("*.damaged-*Z-wal")
    assert aside.read_bytes() == rest, "it is not taken for the new one's"


# What else can go wrong ---------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    """That neither reading nor writing works is said with what follows from it."""
    history = History(HistoryFile(path))
    with pytest.raises(HistoryError, match=r"can't be written .*will count as its traffic next time") as written:
        history.begin("token", "shop", NOW)
    with pytest.raises(HistoryError, match=r"can't be read .*earlier runs count as the target's traffic") as read:
        history.runs(NOW)
    assert read.value.__cause__ is written.value.__cause__ is None
    assert history.file.said == []
    return str(read.value)


def test_a_directory_in_its_place_is_said(tmp_path: Path) -> None:
    assert "it is a directory" in refused(tmp_path)


def test_a_parent_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError, match=r"can't be written"):
        HistoryFile(tmp_path / "file" / "h").write((INTO_RUN, ("one",)))


def test_a_newer_one_is_left_alone(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = path.read_bytes()
    assert f"it is of schema {SCHEMA + 1}, this suite knows {SCHEMA}; update the suite" in refused(path)
    assert path.read_bytes() == before
    assert every(path) == [path]


@pytest.mark.parametrize("version", [0, 3])
@pytest.mark.parametrize("table", ["run (kilometres REAL)", "cookies (name TEXT)"])
def test_a_database_of_something_else_is_left_alone(path: Path, version: int, table: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {table}")
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    assert "it is a database of something else; give the history a file of its own" in refused(path)
    assert path.read_bytes() == before
    assert every(path) == [path]


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Where a history can lie in a directory that everybody gets to: the proofs' own is the owner's alone."""
    with tempfile.TemporaryDirectory(prefix="proof-") as directory:
        yield Path(directory) / "history.sqlite"
        Path(directory).chmod(0o700)


@pytest.mark.parametrize("there", [False, True], ids=["none", "one"])
@pytest.mark.parametrize("mode", [0, 0o555])
def test_a_directory_that_cant_be_written_is_said(elsewhere: Path, mode: int, there: bool) -> None:
    if there:
        filled(elsewhere)
        elsewhere.chmod(0o666)
    elsewhere.parent.chmod(mode)
    history = History(HistoryFile(elsewhere))
    with nobody():
        with pytest.raises(HistoryError, match=r"can't be written .*(Permission denied|a readonly database)"):
            history.begin("token", "shop", NOW)
        if there or mode == 0:
            with pytest.raises(HistoryError, match=r"can't be read .*(Permission denied|a readonly database|unable)"):
                history.runs(NOW)
        else:
            assert history.runs(NOW) == {}
    elsewhere.parent.chmod(0o755)
    assert [len(tokens(one)) for one in every(elsewhere)] == [12] * there


def test_one_that_may_only_be_read_is_said(elsewhere: Path) -> None:
    filled(elsewhere)
    elsewhere.parent.chmod(0o777)
    elsewhere.chmod(0o444)
    with nobody(), pytest.raises(HistoryError, match=r"can't be written \(attempt to write a readonly database"):
        HistoryFile(elsewhere).write((INTO_RUN, ("one",)))
    assert len(tokens(elsewhere)) == 12


def test_a_damaged_one_that_cant_be_moved_is_said(elsewhere: Path) -> None:
    elsewhere.write_bytes(LETTER)
    elsewhere.chmod(0o666)
    elsewhere.parent.chmod(0o555)
    with nobody():
        said = refused(elsewhere)
    assert "(file is not a database), nor moved aside ([Errno 13] Permission denied" in said
    assert elsewhere.read_bytes() == LETTER


FULL = """
import resource, sys
from pathlib import Path
from report.history_file import HistoryError, HistoryFile
file = HistoryFile(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    file.write(("INSERT INTO run VALUES ('x', ?, 1, 2)", ("long" * 500_000,)))
except HistoryError as error:
    print(error)
print(len(file.read("SELECT 1 FROM run", ())), file.said)
"""


def test_a_disk_without_room_is_said_and_costs_nothing_but_what_found_none(path: Path) -> None:
    filled(path)
    command = [sys.executable, "-c", FULL, str(path), str(200_000)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    said, read = done.stdout.splitlines()
    assert "can't be written (" in said
    assert read == "12 []"
    assert len(tokens(path)) == 12
    assert every(path) == [path]
