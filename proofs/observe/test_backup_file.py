"""A backup that is whole and complete, and every way in which it can be neither."""

from __future__ import annotations

import functools
import gzip
import io
import os
import random
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observe import backup_file
from observe.backup_file import CLUSTER, DATABASE, DumpReader, inspect, unpack
from observe.errors import CannotTell
from proofs.users import nobody

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.backup_file import BackupFile, Dump, Packed

MIB = 1024**2
LIMIT = 60.0
ROOT = Path(__file__).resolve().parents[2]

BEGINS = f"--\n{DATABASE}\n--\n\n\\restrict a1b2\n\n-- Dumped from database version 15.18\n\nSET x = 0;\n\n"
ENDS = f"--\n{DATABASE} complete\n--\n\n\\unrestrict a1b2\n\n"


def rows(table: str, *lines: str) -> str:
    """The rows of a table as pg_dump writes them."""
    head = f"--\n-- Data for Name: {table}; Type: TABLE DATA; Schema: public; Owner: x\n--\n\n"
    return f"{head}COPY public.{table} (id, a) FROM stdin;\n{''.join(line + chr(10) for line in lines)}\\.\n\n\n"


def dump_of(size: int, seed: int = 1) -> bytes:
    """A dump of about that many bytes which packs like a real one."""
    random_rows = random.Random(seed)  # noqa: S311  the same dump each time
    lines = [f"{number}\t{random_rows.getrandbits(96):x} some words" for number in range(max(1, size // 40))]
    return (BEGINS + rows("one", *lines) + rows("none") + ENDS).encode()


@functools.cache
def packed_dump_of(size: int) -> bytes:
    return gzip.compress(dump_of(size) if size > 1 else bytes(size))


@pytest.fixture(params=["isal", "stdlib"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the quick library and without it: the answers are the same."""
    if request.param == "stdlib":
        monkeypatch.setitem(sys.modules, "isal", None)
        assert backup_file._library()[1] is zlib.error
    else:
        assert backup_file._library()[1] is not zlib.error
    return str(request.param)


def read(content: bytes) -> tuple[Packed, bytes]:
    """What reading such a file comes to, and what came out."""
    parts: list[bytes] = []
    packed = unpack(io.BytesIO(content), parts.append)
    return packed, b"".join(parts)


def gzip_itself(content: bytes, directory: Path) -> int:
    """How `gzip -t` ends on it: 0 is whole, 1 damaged, 2 a warning."""
    file = directory / "file.gz"
    file.write_bytes(content)
    return subprocess.run(["gzip", "-t", str(file)], capture_output=True, check=False).returncode


def backup(directory: Path, content: bytes, name: str = "synk_backup_20261122_020000.sql.gz") -> BackupFile:
    (directory / name).write_bytes(content)
    return inspect(directory / name, LIMIT)


# The gzip -----------------------------------------------------------------------------------------------------------


def flipped(where: float) -> Callable[[bytes], bytes]:
    def damage(whole: bytes) -> bytes:
        # Between the head of ten bytes and the trailer of eight.
        place = 10 + int(where * (len(whole) - 19))
        return whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]

    return damage


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda whole: whole[: int(share * len(whole))]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    **{f"flip-{where}": flipped(where) for where in (0.0, 0.01, 0.5, 0.99)},
    **{f"cut-{share}": cut(share) for share in (0.001, 0.5, 0.9, 0.999)},
    "no-trailer": lambda whole: whole[:-8],
    "half-a-trailer": lambda whole: whole[:-4],
    "a-byte-short": lambda whole: whole[:-1],
    "checksum": lambda whole: whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
    "length": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
    "garbage": lambda whole: whole + b"left over",
    "a-byte-of-garbage": lambda whole: whole + b"x",
    "padding-and-garbage": lambda whole: whole + bytes(512) + b"left over",
    "padding-and-a-member": lambda whole: whole + bytes(512) + whole,
    "half-a-member": lambda whole: whole + whole[: len(whole) // 2],
    "half-a-head": lambda whole: whole + whole[:5],
    "half-a-magic": lambda whole: whole + whole[:1],
}


@pytest.mark.parametrize("size", [0, 1, 65_536, 3 * MIB])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.usefixtures("library")
def test_every_damage_is_found_at_every_size(damage: Callable[[bytes], bytes], size: int, tmp_path: Path) -> None:
    whole = packed_dump_of(size)
    damaged = damage(whole)
    assert damaged != whole
    assert read(damaged)[0].damage, "and gzip itself says the same:"
    assert gzip_itself(damaged, tmp_path) != 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("flip-0.5", "its"),
        ("cut-0.5", "it breaks off: the file ends at "),
        ("no-trailer", "it breaks off: the file ends at "),
        ("checksum", "its checksum or its length doesn't hold ("),
        ("length", "its checksum or its length doesn't hold ("),
        ("garbage", "after its end there is something else, 9 B or more"),
        ("padding-and-garbage", "after its end there are zeros, and after them something else"),
        ("half-a-head", "it breaks off"),
    ],
)
@pytest.mark.usefixtures("library")
def test_a_damage_is_said_in_words(damage: str, said: str) -> None:
    assert read(DAMAGES[damage](gzip.compress(dump_of(100_000))))[0].damage.startswith(said)


@pytest.mark.parametrize("size", [0, 1, 65_535, 98_303, 98_304, 98_305, 3 * MIB])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.usefixtures("library")
def test_what_is_whole_comes_out_as_it_went_in(size: int, level: int) -> None:
    content = os.urandom(size // 2) + bytes(size - size // 2)
    whole = gzip.compress(content, level)
    packed, out = read(whole)
    assert packed == backup_file.Packed(len(whole), size, 1, "")
    assert out == content


@pytest.mark.usefixtures("library")
def test_members_one_after_another_are_one_file(tmp_path: Path) -> None:
    content = dump_of(300_000)
    several = b"".join(gzip.compress(content[start : start + 7000]) for start in range(0, len(content), 7000))
    packed, out = read(several)
    assert (packed.damage, packed.members, out) == ("", -(-len(content) // 7000), content)
    assert gzip_itself(several, tmp_path) == 0
    seen = backup(tmp_path, several)
    assert seen.said == f"whole in {packed.members} members, checksum and length hold"
    assert not seen.the_dump().trouble


@pytest.mark.parametrize("zeros", [1, 3, 512, 10_240, 65_536, 3 * MIB])
@pytest.mark.usefixtures("library")
def test_zeros_after_the_end_are_padding(zeros: int, tmp_path: Path) -> None:
    padded = gzip.compress(dump_of(1000)) + bytes(zeros)
    assert read(padded)[0] == backup_file.Packed(len(padded), len(dump_of(1000)), 1, "")
    assert gzip_itself(padded, tmp_path) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty, 0 bytes"),
        (b"\x1f", "it breaks off"),
        (b"\x1f\x8b\x08", "it breaks off"),
        (b"\x1f\x9d\x90", "it is no gzip file"),
        (b"PK\x03\x04", "it is no gzip file"),
        (b"--\n-- PostgreSQL database dump\n--\n", "it is no gzip file"),
        (bytes(5000), "it is no gzip file"),
        (b"\x1f\x8b\x07\x00" + bytes(20), "it is no gzip file"),
        (b"\x1f\x8b\x08\xe0" + bytes(20), "the head of a member has flags that gzip doesn't know"),
        (b"\x1f\x8b\x08\x02" + bytes(20), "the checksum of a member's head doesn't hold"),
        (b"\x1f\x8b\x08\x08" + b"x" * 200_000, "it breaks off: the file ends at 195.31 KiB, in the head of a member"),
        (b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + b"x" * 20_000, "it breaks off"),
    ],
)
@pytest.mark.usefixtures("library")
def test_what_is_no_gzip_file_is_called_that(content: bytes, said: str) -> None:
    assert read(content)[0].damage.startswith(said)


@given(
    content=st.binary(max_size=3000) | st.integers(0, 3000).map(lambda size: dump_of(size)[:size]),
    place=st.integers(0, 10**6),
    change=st.integers(1, 255),
    plain=st.booleans(),
)
@example(content=b"", place=0, change=1, plain=True)
def test_a_changed_byte_is_found_or_changes_nothing(content: bytes, place: int, change: int, plain: bool) -> None:
    whole = gzip.compress(content)
    place %= len(whole)
    changed = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
    with pytest.MonkeyPatch.context() as patched:
        if plain:
            patched.setitem(sys.modules, "isal", None)
        packed, out = read(changed)
    # The head holds a time and an operating system, and the last byte of the data some bits that nothing needs.
    assert packed.damage or out == content


@given(content=st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: gzip.compress(data) + data))
@example(content=gzip.compress(b"") + b"\x00" + gzip.compress(b""))
@example(content=b"\x1f\x8b\x08\x02\x00\x00\x00\x00\x00\xff\x00\x00\x03\x00" + bytes(8))
def test_both_libraries_say_the_same_of_any_bytes(content: bytes) -> None:
    quick = read(content)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "isal", None)
        plain = read(content)
    assert bool(quick[0].damage) == bool(plain[0].damage), (quick, plain)
    if not quick[0].damage:
        assert quick == plain


@given(content=st.binary(max_size=400), packed=st.integers(1, 40), out=st.integers(1, 40), plain=st.booleans())
def test_the_steps_make_no_difference(content: bytes, packed: int, out: int, plain: bool) -> None:
    whole = gzip.compress(content) + gzip.compress(content * 3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backup_file, "_PACKED", packed)
        patched.setattr(backup_file, "_UNPACKED", out)
        if plain:
            patched.setitem(sys.modules, "isal", None)
        assert read(whole) == (backup_file.Packed(len(whole), 4 * len(content), 2, ""), content * 4)
        assert read(whole[:-1])[0].damage.startswith("it breaks off")


HEADS = {
    "plain": b"\x00" + bytes(6),
    "name": b"\x08" + bytes(6) + b"synk_backup_20261122_020000.sql\0",
    "long-name": b"\x08" + bytes(6) + b"x" * 100_000 + b"\0",
    "comment": b"\x10" + bytes(6) + b"made by hand\0",
    "extra": b"\x04" + bytes(6) + b"\x05\x00extra",
    "all": b"\x1d" + bytes(6) + b"\x05\x00extraname\0comment\0",
}


@pytest.mark.parametrize("step", [1, 100, 65_536])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
@pytest.mark.usefixtures("library")
def test_a_head_may_hold_a_name_and_more(
    head: bytes, step: int, *, checked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_file, "_PACKED", step)
    content = dump_of(2000)
    head = b"\x1f\x8b\x08" + (bytes([head[0] | 2]) + head[1:] if checked else head)
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") if checked else b""
    whole = (head + gzip.compress(content)[10:]) * 2
    assert gzip_itself(whole, tmp_path) == 0
    assert read(whole) == (backup_file.Packed(len(whole), 2 * len(content), 2, ""), content * 2)


# The dump -----------------------------------------------------------------------------------------------------------


def judged(text: str | bytes, step: int = 10**9) -> Dump:
    """What is said of a text that comes in such steps."""
    content = text.encode() if isinstance(text, str) else text
    reader = DumpReader()
    for start in range(0, len(content), step):
        reader.take(content[start : start + step])
    return reader.dump()


WHOLE = BEGINS + rows("one", "1\tx", "2\t\\N") + rows("none") + rows("three", "COPY a FROM stdin;", "\\\\.") + ENDS
OLD = BEGINS.replace("\\restrict a1b2\n\n", "") + rows("one", "1\tx") + f"--\n{DATABASE} complete\n--\n\n"


@pytest.mark.parametrize("step", [1, 7, 100, 10**9])
def test_a_complete_dump_is_complete(step: int) -> None:
    seen = judged(WHOLE, step)
    assert (seen.kind, seen.tables, seen.open_table, seen.trouble) == (DATABASE, 3, "", "")
    assert seen.said == "a dump of a database with the rows of 3 tables, complete"
    assert not judged(OLD, step).trouble


def test_the_dump_of_an_empty_database_is_complete() -> None:
    assert judged(BEGINS + ENDS).said == "a dump of a database with the rows of 0 tables, complete"


def test_a_whole_cluster_has_its_own_completion_line() -> None:
    inner = "\\connect app\n\n" + OLD
    cluster = f"--\n{CLUSTER}\n--\n\nSET x = 0;\n\n{inner}"
    seen = judged(f"{cluster}--\n{CLUSTER} complete\n--\n\n")
    assert (seen.trouble, seen.kind, seen.tables) == ("", CLUSTER, 1)
    assert judged(cluster).trouble == f"its end is missing ({f'{CLUSTER} complete'!r})", "only its last database ended"


@given(place=st.integers(0, WHOLE.index(f"{DATABASE} complete") + len(DATABASE) + 8), step=st.integers(1, 400))
def test_a_dump_that_was_cut_anywhere_is_not_complete(place: int, step: int) -> None:
    assert judged(WHOLE[:place], step).trouble
    assert judged(WHOLE[:place], step) == judged(WHOLE[:place])


def test_the_table_in_whose_rows_it_stops_is_named() -> None:
    cut = judged(WHOLE[: WHOLE.index("2\t")])
    assert cut.open_table == "public.one"
    assert cut.trouble == f"its end is missing ({f'{DATABASE} complete'!r}), and the rows of public.one have no end"
    assert "2\t" not in repr(cut)


def test_rows_without_an_end_are_not_complete_though_the_last_line_is_there() -> None:
    assert judged(WHOLE.replace("\\N\n\\.\n", "\\N\n")).open_table == ""
    assert judged(WHOLE.replace("stdin;\n\\.\n", "stdin;\n").replace("\\\\.\n\\.\n", "\\\\.\n")).trouble == (
        "the rows of public.none have no end"
    )


@pytest.mark.parametrize("after", ["DROP TABLE a;\n", "-- Dumped again\n", "pg_dump: error: no room\n"])
def test_more_after_the_completion_line_is_said(after: str) -> None:
    assert "there is more" in judged(WHOLE + after).trouble


@pytest.mark.parametrize("more", ["", "\n", "\r\n\r\n", "--\n\n"])
def test_blank_lines_after_the_completion_line_are_nothing(more: str) -> None:
    assert not judged(WHOLE.rstrip("\n") + more).trouble


def test_a_completion_line_within_the_rows_ends_nothing() -> None:
    line = f"{DATABASE} complete"
    assert judged(BEGINS + rows("one", line, "x")[:-8]).open_table == "public.one"


def test_statements_that_copy_are_no_rows() -> None:
    text = BEGINS + "\n\nCOPY public.one TO stdout;\n\n\nCOPY public.two (id) FROM '/etc/x';\n" + ENDS
    assert (judged(text).tables, judged(text).trouble) == (0, "")


def test_a_line_that_never_ends_costs_no_memory() -> None:
    reader = DumpReader()
    reader.take((BEGINS + "\n\nCOPY ").encode())
    for _ in range(100):
        reader.take(b"x" * 10_000)
        assert len(reader._rest) <= backup_file._LONGEST_LINE
    assert reader.dump().tables == 0


@pytest.mark.parametrize(
    ("content", "said", "archive"),
    [
        (b"", "nothing at all, 0 bytes", False),
        (b"PGDMP\x01\x0e\x00", "a dump in pg_dump's custom format", True),
        (b"toc.dat".ljust(257, b"\0") + b"ustar  \0" + bytes(300), "a dump in pg_dump's tar format", True),
        # Without the moment that gzip notes down: workers that name their cases in different seconds run none.
        (gzip.compress(b"x", mtime=0), "packed once more", False),
        (b"SQLite format 3\x00\xff", "17 B of something else", False),
        (b"-- MySQL dump 10.13\n", "20 B of another text", False),
    ],
)
def test_what_is_no_dump_is_called_what_it_is(content: bytes, said: str, archive: bool) -> None:
    seen = judged(content)
    assert (seen.content, seen.archive) == (said, archive)
    assert seen.trouble == f"it doesn't begin as pg_dump begins: it is {said}"


def test_a_dump_within_another_text_is_none() -> None:
    assert not judged("1\n" * 30 + WHOLE).kind


# A real file --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("library")
def test_one_reading_answers_both(tmp_path: Path) -> None:
    seen = backup(tmp_path, gzip.compress(WHOLE.encode()))
    assert (seen.gzip.damage, seen.the_dump().trouble) == ("", "")
    assert seen.gzip.packed == seen.size
    assert seen.looked_at == f"{seen.size} B of {seen.size} B, {len(WHOLE)} B unpacked"
    assert seen.rows()[0]["tables with rows"] == "3"


def test_the_twenty_bytes_of_a_database_that_is_not_there_are_whole_but_no_dump(tmp_path: Path) -> None:
    seen = backup(tmp_path, gzip.compress(b""))
    assert seen.size == 20
    assert seen.gzip.damage == ""
    assert "nothing at all" in seen.the_dump().trouble


def test_of_a_damaged_file_nobody_knows_whether_the_dump_is_complete(tmp_path: Path) -> None:
    seen = backup(tmp_path, gzip.compress(WHOLE.encode())[:-1])
    with pytest.raises(CannotTell, match="backup-intact") as raised:
        seen.the_dump()
    assert raised.value.cause == seen.cause == "backup synk_backup_20261122_020000.sql.gz"


def test_an_archive_cannot_be_judged_by_its_text(tmp_path: Path) -> None:
    seen = backup(tmp_path, gzip.compress(b"PGDMP" + bytes(500)))
    assert not seen.gzip.damage
    with pytest.raises(CannotTell, match="custom format") as raised:
        seen.the_dump()
    assert "pg_restore" in raised.value.mend


def test_a_file_that_may_not_be_read_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.sql.gz").write_bytes(gzip.compress(WHOLE.encode()))
    (tmp_path / "a.sql.gz").chmod(0)
    with nobody(), pytest.raises(CannotTell, match="may not be read") as raised:
        inspect(tmp_path / "a.sql.gz", LIMIT)
    assert raised.value.mend


@pytest.mark.parametrize("place", ["gone", "directory"])
def test_a_file_that_is_not_there_is_not_damaged(tmp_path: Path, place: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(CannotTell, match=r"can't be read: (no such|is a) "):
        inspect(tmp_path / place, LIMIT)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    stat, content = path.stat(), path.read_bytes()
    path.unlink()
    path.with_name("other").write_bytes(b"so that the inode's number is taken")
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("change", [grow, replace, lambda path: os.utime(path, (1, 1)), lambda path: path.unlink()])
def test_a_file_that_changes_meanwhile_cannot_be_judged(
    change: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sql.gz"
    path.write_bytes(gzip.compress(WHOLE.encode()))
    monkeypatch.setattr(DumpReader, "take", lambda *_: change(path) if path.exists() else None)
    with pytest.raises(CannotTell, match=r"changed while it was read|can't be read: no such file"):
        inspect(path, LIMIT)


def test_a_reading_that_takes_too_long_is_given_up_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.sql.gz"
    path.write_bytes(gzip.compress(bytes(MIB)) * 50)
    monkeypatch.setattr(backup_file, "_PACKED", 100)
    waited = threading.Event()
    monkeypatch.setattr(DumpReader, "take", lambda *_: waited.wait(0.05))
    with pytest.raises(CannotTell, match="not read to its end within 200 ms") as raised:
        inspect(path, 0.2)
    assert "timeouts.backup" in raised.value.mend
    for thread in threading.enumerate():
        if thread.name == "bounded":
            thread.join(10)
            assert not thread.is_alive()


def test_a_huge_file_with_holes_is_told_at_once(tmp_path: Path) -> None:
    with (tmp_path / "a.sql.gz").open("wb") as file:
        file.truncate(100 * 1024**3)
    seen = inspect(tmp_path / "a.sql.gz", LIMIT)
    assert seen.gzip.damage == "it is no gzip file"
    assert seen.gzip.packed < MIB


MEMORY = """
import resource, sys
from pathlib import Path
if sys.argv[2] == "stdlib":
    sys.modules["isal"] = None
from observe.backup_file import inspect, _library
_library()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seen = inspect(Path(sys.argv[1]), 600)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, seen.gzip.unpacked, seen.gzip.damage)
"""


@pytest.mark.parametrize("library", ["isal", "stdlib"])
def test_memory_is_bounded_whatever_comes_out(library: str, tmp_path: Path) -> None:
    zeros = gzip.compress(bytes(64 * MIB))
    (tmp_path / "a.sql.gz").write_bytes(zeros * 16)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "a.sql.gz"), library],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    kib, unpacked = done.stdout.split()
    assert int(unpacked) == 1024 * MIB
    assert int(kib) < 8 * 1024, "KiB above the process that has read nothing"


def test_it_can_be_called_from_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in {"good": WHOLE, "cut": WHOLE[:-200]}.items():
        (tmp_path / name).write_bytes(gzip.compress(content.encode()))
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "good")])
    assert backup_file.main() == 0
    assert "good: whole, checksum and length hold; a dump of a database" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "good"), str(tmp_path / "cut")])
    assert backup_file.main() == 1
    assert "its end is missing" in capsys.readouterr().out
