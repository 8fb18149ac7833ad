"""A backup that restores, every way in which one doesn't, and nothing of its rows in what is said of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import traceback
from typing import TYPE_CHECKING

import docker
import pytest

from observe.backup_file import DATABASE
from observe.errors import CannotTell
from observe.restore.complaints import Complaints, Places
from observe.restore.load import beginning, load
from proofs.containers.drills import ROWS_OF_SALE, containers, packed

if TYPE_CHECKING:
    from pathlib import Path

    from observe.restore.load import Loaded
    from proofs.containers.drills import Stock

CANARY = "canary-7391"


def loaded(live: Stock, path: Path, text: bytes) -> Loaded:
    packed(path, text)
    head = beginning(path)
    with live.scratch() as scratch:
        return load(scratch, path, head, seconds=60)


def line_of(text: bytes, what: bytes) -> int:
    return text[: text.index(what)].count(b"\n") + 1


def test_a_good_dump_is_restored_without_an_error(live: Stock, file: Path) -> None:
    seen = loaded(live, file, live.text)
    assert seen.troubles == ()
    assert (seen.lines, seen.gzip.unpacked) == (live.text.count(b"\n"), len(live.text))
    assert (seen.size, seen.gzip.packed) == (file.stat().st_size, file.stat().st_size)
    assert seen.head.major == 15


def test_its_progress_is_told(live: Stock, file: Path) -> None:
    packed(file, live.edited(ROWS_OF_SALE, b"SELECT pg_sleep(1);\n\n" + ROWS_OF_SALE))
    told: list[tuple[int, int, float]] = []
    with live.scratch() as scratch:
        load(scratch, file, beginning(file), seconds=60, progress=lambda *said: told.append(said))
    assert 3 <= len(told) <= 20
    assert told[-1][:2] == (file.stat().st_size, file.stat().st_size)


def test_one_cut_short_but_validly_gzipped_is_broken(live: Stock, file: Path) -> None:
    seen = loaded(live, file, live.text[: len(live.text) * 9 // 10])
    assert seen.gzip.damage == ""
    assert "its end is missing" in seen.troubles[0]


@pytest.mark.parametrize("cut", [b"\n\n--\n-- Data for Name: sale;", b"\n--\n-- PostgreSQL database dump complete"])
def test_one_cut_between_two_statements_is_broken_without_any_error(live: Stock, file: Path, cut: bytes) -> None:
    seen = loaded(live, file, live.text[: live.text.index(cut)])
    assert seen.error_count == 0
    assert f"{DATABASE} complete" in seen.troubles[0]


def test_a_damaged_file_is_broken(live: Stock, file: Path) -> None:
    content = bytearray(gzip.compress(live.text, 6))
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with live.scratch() as scratch:
        seen = load(scratch, file, beginning(file), seconds=60)
    assert seen.troubles[0].startswith("the file is damaged")
    assert seen.sha256


def test_a_wrong_statement_in_the_middle_is_said_with_its_line(live: Stock, file: Path) -> None:
    wrong = b"SELECT * FROM nowhere.nothing;"
    text = live.edited(ROWS_OF_SALE, wrong + b"\n\n" + ROWS_OF_SALE)
    seen = loaded(live, file, text)
    assert seen.error_count == 1
    (error,) = seen.errors
    assert error.line == line_of(text, wrong)
    assert error.message == 'relation "nowhere.nothing" does not exist'
    assert error.object == "TABLE DATA item"
    assert f"line {error.line} (TABLE DATA item)" in seen.troubles[0]


def test_a_role_that_the_dump_needs_and_nobody_has_is_broken(live: Stock, file: Path) -> None:
    seen = loaded(live, file, live.edited(ROWS_OF_SALE, b"ALTER TABLE public.sale OWNER TO gone;\n\n" + ROWS_OF_SALE))
    assert [one.message for one in seen.errors] == ['role "gone" does not exist']


def test_a_newer_servers_dump_is_broken_and_an_older_ones_is_not(live: Stock, file: Path) -> None:
    newer = loaded(live, file, live.text.replace(b"database version 15.", b"database version 17."))
    assert newer.troubles[0].startswith("it is of PostgreSQL 17.")
    older = loaded(live, file, live.text.replace(b"database version 15.", b"database version 13."))
    assert older.troubles == ()
    assert older.head.major == 13


def test_the_frame_that_an_older_psql_doesnt_know_is_no_error(live: Stock, file: Path) -> None:
    complaints = Complaints(5)
    for line in (b"error: invalid command \\restrict", b"invalid command \\unrestrict"):
        complaints.take(b"psql:<stdin>:5: " + line + b"\n")
    complaints.end()
    assert complaints.count == 0
    other = loaded(live, file, live.text.replace(b"\\restrict", b"\\nonsense", 1))
    assert other.error_count >= 1


def test_a_dump_that_makes_its_database_itself_restores_into_that(live: Stock, file: Path) -> None:
    done = live.server.container.exec_run(["pg_dump", "-U", "chief", "-C", "stock"], stderr=False)
    text: bytes = done.output.replace(b"stock", b"other_one")
    packed(file, text)
    with live.scratch() as scratch:
        seen = load(scratch, file, beginning(file), seconds=60)
        assert scratch.ask("restore_newest", {"activity": "public.activity", "activity_at": "at"})[0]["rows"] == 500
    assert seen.troubles == ()
    assert seen.head.database == "other_one"


def test_a_dump_of_a_cluster_or_an_archive_is_refused_with_what_to_do(live: Stock, file: Path) -> None:
    for command, said in (
        (["pg_dumpall", "-U", "chief"], "whole cluster"),
        (["pg_dump", "-U", "chief", "-Fc", "stock"], "archive"),
        (["pg_dump", "-U", "chief", "-Ft", "stock"], "archive"),
    ):
        packed(file, live.server.container.exec_run(command, stderr=False).output)
        with pytest.raises(CannotTell, match=said) as refused:
            beginning(file)
        assert refused.value.mend


@pytest.mark.parametrize("text", [b"", b"hello\n", b"--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n"])
def test_what_is_no_dump_is_broken(live: Stock, file: Path, text: bytes) -> None:
    assert loaded(live, file, text).troubles


SECRETS = {
    "a value of the wrong type": (b"1\titem 1\t1.5\n", f"1\titem 1\t{CANARY}\n".encode()),
    "quoted like a name": (b"1\titem 1\t1.5\n", f'1\titem 1\ta"{CANARY}"b\n'.encode()),
    "a row twice": (b"2\titem 2\t3.0\n", b"2\titem 1\t3.0\n"),
    "too long": (b"1\titem 1\t1.5\n", f"1\t{CANARY * 9}\t1.5\n".encode()),
    "a null": (b"1\titem 1\t1.5\n", f"1\t\\N\t{CANARY}\n".encode()),
    "too many columns": (b"1\titem 1\t1.5\n", f"1\titem 1\t1.5\t{CANARY}\n".encode()),
    "bytes": (b"1\titem 1\t1.5\n", b"1\t\xe9\xff " + CANARY.encode() + b"\t1.5\n"),
    "no table for its rows": (
        b"CREATE TABLE public.item (",
        f"SELECT '{CANARY}'::int;\nCREATE TABLE public.other (".encode(),
    ),
    "raised by a function": (
        ROWS_OF_SALE,
        f"DO $$BEGIN RAISE EXCEPTION 'no {CANARY}' USING ERRCODE = '42704'; END$$;\n\n".encode() + ROWS_OF_SALE,
    ),
    "a syntax error": (ROWS_OF_SALE, f"SELECT '{CANARY}' '{CANARY}';\n\n".encode() + ROWS_OF_SALE),
    "psql's own": (ROWS_OF_SALE, f"\\{CANARY}\n\n".encode() + ROWS_OF_SALE),
}


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_of_a_row_is_said(live: Stock, file: Path, name: str) -> None:
    old, new = SECRETS[name]
    text = live.edited(old, new)
    if name == "no table for its rows":
        # Each row is taken for a statement then, and some are.
        role = CANARY.replace("-", "_")
        parts = [f"1\t'{CANARY}\t1", "2;", f'DROP TABLE "{CANARY}";', f"SELECT {role}(1);", f"DROP ROLE {role};", ""]
        rows = "\n".join(parts)
        text = text.replace(b"1\titem 1\t1.5\n", rows.encode())
    packed(file, text)
    receipt = live.drill(file)
    assert receipt.loaded.error_count >= 1
    assert receipt.loaded.errors[0].line > 5
    everything = [receipt.said, repr(receipt), json.dumps(receipt.as_dict()), repr(receipt.rows())]
    everything += [repr(receipt.loaded.rows()), repr(receipt.loaded.errors), *receipt.notes]
    for said in everything:
        assert CANARY not in said
        assert CANARY.replace("-", "_") not in said
        assert "item 1" not in said


def test_a_row_that_fails_is_said_with_its_own_line(live: Stock, file: Path) -> None:
    row = f"7\t{CANARY}\tx\n".encode()
    text = live.edited(b"7\titem 7\t10.5\n", row)
    # The sales of an item that isn't there follow.
    error, _ = loaded(live, file, text).errors
    assert error.line == line_of(text, row)
    assert error.object == "TABLE DATA item"
    assert error.message == 'invalid input syntax for type numeric: "…"'


def test_errors_without_end_are_counted_and_few_are_kept(live: Stock, file: Path) -> None:
    wrong = b"".join(b"SELECT %d FROM nowhere;\n" % number for number in range(5000))
    seen = loaded(live, file, live.edited(ROWS_OF_SALE, wrong + ROWS_OF_SALE))
    assert seen.error_count == 5000
    assert len(seen.errors) == 50
    assert seen.troubles[0].startswith("5000 errors, the first: line ")


def test_psql_that_leaves_before_the_end_is_broken(live: Stock, file: Path) -> None:
    text = live.text.replace(b"\\restrict", b"-- ").replace(b"\\unrestrict", b"-- ")
    text = text.replace(b"\n\n\n-- ", b"\n", 1)
    seen = loaded(live, file, text.replace(ROWS_OF_SALE, b"\\q\n" + ROWS_OF_SALE + b"SELECT 1;\n" * 100_000))
    assert seen.stopped or seen.troubles


def test_a_total_time_limit_ends_it(live: Stock, file: Path) -> None:
    packed(file, live.edited(ROWS_OF_SALE, b"SELECT pg_sleep(60);\n\n" + ROWS_OF_SALE))
    with live.scratch("late") as scratch, pytest.raises(CannotTell, match="was not restored within 1 s") as late:
        load(scratch, file, beginning(file), seconds=1)
    assert "timeouts.restore" in late.value.mend
    client = docker.from_env()
    assert containers(client, "late") == []


def test_no_room_left_ends_it(live: Stock, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observe.restore.load._ROOM_EVERY", 0.3)
    packed(file, live.edited(ROWS_OF_SALE, b"SELECT pg_sleep(60);\n\n" + ROWS_OF_SALE))

    def none() -> None:
        raise CannotTell("no room")

    with live.scratch("full") as scratch, pytest.raises(CannotTell, match="no room"):
        load(scratch, file, beginning(file), seconds=60, room=none)


def test_memory_that_is_short_is_the_drills_own_fault(live: Stock, file: Path) -> None:
    sorts = b"SELECT count(*) FROM (SELECT DISTINCT repeat('x', 1000) || n FROM generate_series(1, 3000000) n) t;\n\n"
    packed(file, live.edited(ROWS_OF_SALE, b"SET work_mem = '4GB';\n" + sorts + ROWS_OF_SALE))
    with live.scratch("short") as scratch, pytest.raises(CannotTell, match="ran out of") as short:
        load(scratch, file, beginning(file), seconds=60)
    assert "restore.memory" in short.value.mend


def test_a_file_that_isnt_there_or_changes_cant_be_told(live: Stock, file: Path) -> None:
    with pytest.raises(CannotTell, match="can't be read"):
        beginning(file)
    more_than_fits_on_the_way = b"".join(
        b"-- %s\n" % hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(100_000)
    )
    packed(file, live.edited(ROWS_OF_SALE, b"SELECT pg_sleep(1);\n\n" + more_than_fits_on_the_way + ROWS_OF_SALE))

    def grow(*_: object) -> None:
        with file.open("ab") as more:
            more.write(b"\0")

    with live.scratch() as scratch, pytest.raises(CannotTell, match="changed while it was read"):
        load(scratch, file, beginning(file), seconds=60, progress=grow)


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_bytes_are_taken_in_any_portions(step: int) -> None:
    out = (
        b'psql:<stdin>:3: ERROR:  42P01: relation "a" does not exist\nLINE 1: x\nLOCATION:  f, g.c:1\n'
        b"psql:<stdin>:4: WARNING:  01000: careful\n"
        b'psql:<stdin>:6: ERROR:  42601: syntax error at or near "' + b"y" * 5000 + b'"\nLOCATION:  f, scan.l:1\n'
    )
    text = b"\n\nSELECT * FROM a;\n\n\nyyy\n"
    complaints, places = Complaints(5), None
    for place in range(0, len(out), step):
        complaints.take(out[place : place + step])
    complaints.end()
    assert (complaints.count, complaints.warnings) == (2, 1)
    places = Places(complaints.kept)
    for place in range(0, len(text), step):
        places.take(text[place : place + step])
    first, second = places.end()
    assert (first.line, first.message) == (3, 'relation "a" does not exist')
    assert (second.line, second.message) == (6, 'syntax error at or near "…"')


def test_a_broken_restores_traceback_holds_nothing_of_the_dump(live: Stock, file: Path) -> None:
    packed(file, live.edited(ROWS_OF_SALE, f"SELECT pg_sleep(9), '{CANARY}';\n\n".encode() + ROWS_OF_SALE))
    with live.scratch() as scratch, pytest.raises(CannotTell) as late:
        load(scratch, file, beginning(file), seconds=1)
    assert CANARY not in "".join(traceback.format_exception(late.value))
