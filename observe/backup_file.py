"""One backup, read to its end: is the gzip whole, and is the dump in it complete?

Serves the guide's `gzip -t` of Friday afternoon, which is content with a dump
that was cut short before it was packed. One pass answers both.
"""

from __future__ import annotations

import re
import sys
import threading
import time
import zlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from observe.files import status_of
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

# Below 128 KiB: what is larger, the C library takes from the kernel and gives back each time, at a fifth of the whole.
_PACKED = 64 * 1024
_UNPACKED = 96 * 1024
"""Bytes that are taken out at once, at most: a few packed bytes can hold gigabytes of zeros."""

_GZIP = b"\x1f\x8b\x08"
"""How a member begins; nothing but deflate is packed with."""
_HEAD = 10
_CHECKED, _EXTRA, _NAME, _COMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0
"""Flags in a member's head (RFC 1952)."""
_PLAIN_HEAD = _GZIP + bytes(7)

_ENDS = 4096
"""Bytes of the text's beginning and of its end that are kept."""
_FIRST_LINES = 20
_LONGEST_LINE = 64 * 1024
_ROWS_BEGIN = b"\n\nCOPY "
_ROWS_FROM = b" FROM stdin;"
_ROWS_END = b"\n\\.\n"

DATABASE, CLUSTER = "-- PostgreSQL database dump", "-- PostgreSQL database cluster dump"
"""How pg_dump and pg_dumpall begin. Their completion line is the same with one word more."""
_CUSTOM = b"PGDMP"
_TAR = b"toc.dat\0", slice(257, 262), b"ustar"


class Decompressor(Protocol):
    """What unpacks one member of a gzip file, checksum and length included; as `isal.igzip_lib` has it."""

    @property
    def eof(self) -> bool:
        """Whether the member came to its end."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out of what was put in."""

    @property
    def unused_data(self) -> bytes:
        """What was put in and lies behind the member's end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Put in, and take out at most so many bytes."""


class _Plain:
    """The same of the standard library, for where `isal` isn't installed."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class _Damaged(Exception):  # noqa: N818  a finding, said in words
    """The gzip file isn't whole."""


@dataclass(frozen=True)
class Packed:
    """What reading a gzip file to its end came to.

    Attributes:
        packed: Bytes of it that were read.
        unpacked: Bytes that came out.
        members: Its whole members; files that were packed one by one and put together are one gzip file.
        damage: What is wrong with it, in words; empty when it is whole.
    """

    packed: int
    unpacked: int
    members: int
    damage: str

    @property
    def ratio(self) -> float:
        """How many bytes came out of one."""
        return self.unpacked / self.packed if self.packed else 0.0


@dataclass(frozen=True)
class Dump:
    """The dump in a backup, by its text.

    Its rows are people's data: none of them is kept.

    Attributes:
        kind: How it begins: :data:`DATABASE`, :data:`CLUSTER`, or nothing for what isn't plain SQL of pg_dump.
        content: What it is, in words.
        tables: How many tables' rows came to their end.
        open_table: The table whose rows have no end; empty when there is none.
        ending: What is wrong with its end; empty when the completion line stands there.
        archive: Whether it is an archive of pg_dump's that psql can't read.
    """

    kind: str
    content: str
    tables: int = 0
    open_table: str = ""
    ending: str = ""
    archive: bool = False

    @property
    def trouble(self) -> str:
        """What is wrong with it; empty when it is complete."""
        if not self.kind:
            return f"it doesn't begin as pg_dump begins: it is {self.content}"
        rows = f"the rows of {self.open_table} have no end" if self.open_table else ""
        return ", and ".join(filter(None, (self.ending, rows)))

    @property
    def said(self) -> str:
        """What was seen, in words."""
        return self.trouble or f"{self.content} with the rows of {_tables(self.tables)}, complete"


@dataclass(frozen=True)
class BackupFile:
    """One backup that was read to its end.

    Attributes:
        name: The file's name.
        size: Its size in bytes.
        gzip: Whether it is whole.
        dump: What is in it.
        seconds: How long reading it took.
        of: How many backups there are of its day, of which it is the last.
    """

    name: str
    size: int
    gzip: Packed
    dump: Dump
    seconds: float
    of: int = 1

    @property
    def cause(self) -> str:
        """What waits for this file to be whole says that it waits for this."""
        return _cause(self.name)

    @property
    def looked_at(self) -> str:
        """The denominator: how much of the file was read, and how much came out."""
        others = f", the last of {self.of} of its day" if self.of > 1 else ""
        read = f"{say_bytes(self.gzip.packed)} of {say_bytes(self.size)}"
        return f"{read}, {say_bytes(self.gzip.unpacked)} unpacked{others}"

    @property
    def said(self) -> str:
        """Whether it is whole, in words."""
        members = "" if self.gzip.members == 1 else f" in {self.gzip.members} members"
        return self.gzip.damage or f"whole{members}, checksum and length hold"

    @property
    def rate(self) -> float:
        """Bytes that were unpacked in a second."""
        return self.gzip.unpacked / self.seconds if self.seconds else 0.0

    def rows(self) -> list[dict[str, str]]:
        """The reading for the report."""
        return [
            {
                "file": self.name,
                "packed": say_bytes(self.gzip.packed),
                "unpacked": say_bytes(self.gzip.unpacked),
                "ratio": f"{self.gzip.ratio:.2f}",
                "members": str(self.gzip.members),
                "tables with rows": str(self.dump.tables),
                "read in": say_span(timedelta(seconds=self.seconds)),
                "unpacked a second": say_bytes(self.rate),
            }
        ]

    def the_dump(self) -> Dump:
        """The dump, for what asks whether it is complete.

        Raises:
            CannotTell: If the gzip is damaged, which is what `backup-intact` says: a text of which a part is
                missing or wrong says nothing of how it was written. Or if it is an archive, which has no
                completion line.
        """
        if self.gzip.damage:
            raise CannotTell(
                f"what is in {self.name} can't be judged, since the file itself is damaged (backup-intact)",
                mend="Mend what backup-intact says; then it can be judged.",
                cause=self.cause,
            )
        if self.dump.archive:
            raise CannotTell(
                f"{self.name} is {self.dump.content}: its text has no completion line to look for",
                mend="Let `pg_restore --list` read it, or write plain SQL: pg_dump without --format.",
            )
        return self.dump


class DumpReader:
    """Takes the text of a dump bit by bit, and says in the end what it was.

    Only what stands between the rows is searched for where rows begin, and only the rows for their end: a row
    may hold any text.
    """

    def __init__(self) -> None:
        self._head = self._tail = self._rest = b""
        self._size = self._tables = 0
        self._rows_of = b""

    def take(self, text: bytes) -> None:
        """Look at the next bytes of the text."""
        self._size += len(text)
        if len(self._head) < _ENDS:
            self._head += text[: _ENDS - len(self._head)]
        self._tail = text[-_ENDS:] if len(text) >= _ENDS else (self._tail + text)[-_ENDS:]
        text, place, more = self._rest + text, 0, True
        while more:
            place, more = (self._rows_end if self._rows_of else self._rows_begin)(text, place)
        self._rest = text[place:]

    def _rows_begin(self, text: bytes, place: int) -> tuple[int, bool]:
        """Go to where a table's rows begin: where to look on, and whether to do so in this text."""
        begin = text.find(_ROWS_BEGIN, place)
        if begin < 0:
            return max(place, len(text) - len(_ROWS_BEGIN) + 1), False
        line_end = text.find(b"\n", begin + 2)
        if line_end < 0 and len(text) - begin < _LONGEST_LINE:
            return begin, False
        line = text[begin + 2 : line_end]
        if line_end < 0 or not line.endswith(_ROWS_FROM):
            return begin + 2, True
        self._rows_of = line.removesuffix(_ROWS_FROM).removeprefix(b"COPY ").partition(b" (")[0]
        # The end of this line is the beginning of the rows' end when there are none.
        return line_end, True

    def _rows_end(self, text: bytes, place: int) -> tuple[int, bool]:
        """Go to where a table's rows end, likewise."""
        end = text.find(_ROWS_END, place)
        if end < 0:
            return max(place, len(text) - len(_ROWS_END) + 1), False
        self._tables, self._rows_of = self._tables + 1, b""
        return end + len(_ROWS_END) - 1, True

    def dump(self) -> Dump:
        """What it was."""
        lines = [line.rstrip("\r") for line in self._head.decode("utf-8", errors="replace").split("\n")[:_FIRST_LINES]]
        kind = next((kind for kind in (CLUSTER, DATABASE) if kind in lines), "")
        if not kind:
            content, archive = self._something_else()
            return Dump("", content, archive=archive)
        content = "a dump of a whole cluster" if kind == CLUSTER else "a dump of a database"
        table = self._rows_of.decode("utf-8", errors="replace")[:120]
        return Dump(kind, content, self._tables, table, self._ending(kind))

    def _ending(self, kind: str) -> str:
        """What is wrong with the text's end; empty when nothing is."""
        wanted = f"{kind} complete"
        lines = [line.strip() for line in self._tail.decode("utf-8", errors="replace").split("\n")]
        # The completion line is a comment's, and may be followed by the line with which psql is let out again.
        said = [line for line in lines if line not in {"", "--"} and not re.fullmatch(r"\\unrestrict \S+", line)]
        if said[-1:] == [wanted]:
            return ""
        if wanted in said:
            return f"after its completion line ({wanted!r}) there is more"
        return f"its end is missing ({wanted!r})"

    def _something_else(self) -> tuple[str, bool]:
        """What it is when it isn't pg_dump's plain SQL, and whether that is an archive of pg_dump's."""
        head = self._head
        if not self._size:
            return "nothing at all, 0 bytes", False
        if head.startswith(_CUSTOM):
            return "a dump in pg_dump's custom format", True
        first_file, place, magic = _TAR
        if head.startswith(first_file) and head[place] == magic:
            return "a dump in pg_dump's tar format", True
        if head.startswith(_GZIP):
            return "packed once more", False
        return f"{say_bytes(self._size)} of {'another text' if head.isascii() else 'something else'}", False


def inspect(path: Path, seconds: float) -> BackupFile:
    """Read a backup to its end, once, within a time limit and a bounded memory.

    Args:
        path: The file.
        seconds: The total time limit, in seconds.

    Raises:
        CannotTell: If it can't be read, isn't read to its end in time, or changed meanwhile.
    """
    late = threading.Event()
    try:
        return within(seconds, lambda: _inspect(path, late), give_up=late.set)
    except TimeIsUp:
        raise CannotTell(
            f"{path.name} was not read to its end within {say_span(timedelta(seconds=seconds))}",
            mend="See what slows its disk down, or give it longer (timeouts.backup).",
            cause=_cause(path.name),
        ) from None
    except PermissionError:
        raise CannotTell(
            f"{path} may not be read by this user",
            mend="Let the user of this run read the backups, by their group or an ACL, or run it as root.",
            cause=_cause(path.name),
        ) from None
    except OSError as error:
        raise CannotTell(
            f"{path} can't be read: {(error.strerror or str(error)).lower()}",
            mend="Look again; if it stays so, see what the kernel says of its disk: `dmesg | tail`.",
            cause=_cause(path.name),
        ) from None


def _inspect(path: Path, late: threading.Event) -> BackupFile:
    began, reader = time.perf_counter(), DumpReader()
    with path.open("rb", buffering=0) as file:
        before = status_of(file, path)
        packed = unpack(file, reader.take, late)
        seconds = time.perf_counter() - began
        # The name may meanwhile lead to another file, which the open one doesn't show.
        if any(_version(one) != _version(before) for one in (status_of(file, path), path.stat())):
            raise CannotTell(
                f"{path.name} changed while it was read",
                mend="Somebody writes to it: look again when that has ended.",
                cause=_cause(path.name),
            )
    return BackupFile(path.name, before.st_size, packed, reader.dump(), seconds)


def _version(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _cause(name: str) -> str:
    return f"backup {name}"


def _tables(number: int) -> str:
    return "1 table" if number == 1 else f"{number} tables"


def unpack(file: BinaryIO, take: Callable[[bytes], object], late: threading.Event | None = None) -> Packed:
    """Unpack a gzip file to its end and hold it against its checksums and lengths.

    Several members are one file, and zero bytes after the last are padding, as
    gzip has it: tapes are padded, and so is what is copied in blocks. Anything
    else after the end is damage.

    Args:
        file: The file, unbuffered, at its beginning.
        take: Given what comes out, bit by bit.
        late: Once it is set, nobody waits any more.

    Raises:
        OSError: If the file can't be read.
    """
    unpacking = _Unpacking(file, take, late or threading.Event())
    damage = ""
    try:
        unpacking.to_the_end()
    except _Damaged as found:
        damage = str(found)
    return Packed(unpacking.packed, unpacking.unpacked, unpacking.members, damage)


class _Unpacking:
    """A gzip file on its way through :func:`unpack`."""

    def __init__(self, file: BinaryIO, take: Callable[[bytes], object], late: threading.Event) -> None:
        self.packed = self.unpacked = self.members = 0
        self._file, self._take, self._late = file, take, late
        self._new, self._error = _library()

    def to_the_end(self) -> None:
        """Unpack it.

        Raises:
            _Damaged: It isn't whole.
        """
        rest = self._read()
        if not rest:
            raise _Damaged("it is empty, 0 bytes")
        while rest:
            rest = self._member(rest)
            if rest.startswith(b"\0"):
                self._padding(rest)
                return

    def _member(self, data: bytes) -> bytes:
        """Unpack the member that the data begins with, and return what was read beyond it."""
        one, ended = self._new(), False
        # The quick library is wrong about a long head of which a part comes later: it gets a short one.
        data = _PLAIN_HEAD + self._behind_the_head(data)
        while not one.eof:
            try:
                text = one.decompress(data, _UNPACKED)
            except self._error as error:
                raise self._damaged(error) from None
            if ended and not text and not one.eof:
                raise _Damaged(f"it breaks off: the file ends at {say_bytes(self.packed)}, its data doesn't")
            self.unpacked += len(text)
            self._take(text)
            data = b""
            if one.needs_input and not one.eof:
                data = self._read()
                # A last bit may still be in there.
                ended = not data
        self.members += 1
        return one.unused_data or self._read()

    def _behind_the_head(self, data: bytes) -> bytes:
        """Read a member's head and return what was read beyond it."""
        while len(data) < len(_GZIP) and (more := self._read()):
            data += more
        if not data.startswith(_GZIP[: len(data)]):
            something = f"after its end there is something else, {say_bytes(len(data))} or more"
            raise _Damaged(something if self.members else "it is no gzip file")
        data = self._at_least(_HEAD, data)
        flags, head, data = data[3], zlib.crc32(data[:_HEAD]), data[_HEAD:]
        if flags & _RESERVED:
            raise _Damaged("the head of a member has flags that gzip doesn't know")
        if flags & _EXTRA:
            data = self._at_least(2, data)
            length = 2 + int.from_bytes(data[:2], "little")
            data = self._at_least(length, data)
            head, data = zlib.crc32(data[:length], head), data[length:]
        for flag in (_NAME, _COMMENT):
            while flags & flag:
                text, zero, rest = self._at_least(1, data).partition(b"\0")
                head, data = zlib.crc32(text + zero, head), rest
                flags ^= flag if zero else 0
        if flags & _CHECKED:
            data = self._at_least(2, data)
            if data[:2] != (head & 0xFFFF).to_bytes(2, "little"):
                raise _Damaged("the checksum of a member's head doesn't hold")
            data = data[2:]
        return data

    def _at_least(self, number: int, data: bytes) -> bytes:
        """What was read and so much more that it is that many bytes."""
        while len(data) < number:
            more = self._read()
            if not more:
                raise _Damaged(f"it breaks off: the file ends at {say_bytes(self.packed)}, in the head of a member")
            data += more
        return data

    def _padding(self, data: bytes) -> None:
        while data:
            if data.count(0) != len(data):
                raise _Damaged("after its end there are zeros, and after them something else")
            data = self._read()

    def _damaged(self, error: Exception) -> _Damaged:
        where = f"{say_bytes(self.packed)} into the file, {say_bytes(self.unpacked)} unpacked"
        if re.search(r"(?i)incorrect (?:checksum|data check|length check)", str(error)):
            return _Damaged(f"its checksum or its length doesn't hold ({where})")
        return _Damaged(f"its data is damaged ({where})")

    def _read(self) -> bytes:
        if self._late.is_set():
            raise _Damaged("nobody waits for it any more")
        data = self._file.read(_PACKED)
        self.packed += len(data)
        return data


def _library() -> tuple[Callable[[], Decompressor], type[Exception]]:
    """What unpacks a member and what it raises: `isal` where it is installed, at four times the speed."""
    try:
        from isal import igzip_lib
    except ImportError:
        return _Plain, zlib.error
    # Its stub takes the class for one of its instances.
    error: type[Exception] = igzip_lib.error  # type: ignore[assignment]
    return lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP), error


def main() -> int:
    """Say of each file that is named whether it is whole and complete; 1 when one isn't.

    Raises:
        CannotTell: If one can't be read or judged.
    """
    wrong = 0
    for name in sys.argv[1:]:
        file = inspect(Path(name), 86400.0)
        said = [file.said] if file.gzip.damage else [file.said, file.the_dump().said]
        wrong |= bool(file.gzip.damage or file.dump.trouble)
        sys.stdout.write(f"{file.name}: {'; '.join(said)} ({file.looked_at})\n")
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
