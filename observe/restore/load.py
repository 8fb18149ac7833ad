"""A backup streamed into a scratch server: unpacked here, read by psql there, nothing of it kept in memory.

All errors are collected, as psql's without ON_ERROR_STOP; what they say of the
dump's rows is left out (`complaints`). The gzip, the dump's beginning and its
end are looked at on the way, so that one reading answers all.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, cast

from observe.backup_file import CLUSTER, DATABASE, Dump, DumpReader, Packed, unpack
from observe.errors import CannotTell
from observe.files import status_of
from observe.restore.complaints import Complaints, DumpError, Places
from observe.restore.engine_stream import ERR
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from observe.restore.scratch import Scratch, Session

    Progress = Callable[[int, int, float], object]

KEPT = 50
"""Errors that are kept with their text; the others are counted."""
_HEAD = 64 * 1024
_TICK = 0.25
_LONGER = 10.0
"""Seconds."""
_ROOM_EVERY = 5.0
_REST = 1024 * 1024
_FROM = re.compile(r"^-- Dumped from database version (\d[\w.]*)", re.MULTILINE)
_BY = re.compile(r"^-- Dumped by pg_dump version (\d[\w.]*)", re.MULTILINE)
_OWN = re.compile(r"^CREATE DATABASE ", re.MULTILINE)
_ENTERS = re.compile(
    r"^\\connect (?:-reuse-previous=on )?"
    r"(?:\"dbname='(?P<long>[^'\\\"]+)'\"|\"(?P<quoted>[^\"]+)\"|(?P<plain>[^\s\"-]\S*))$",
    re.MULTILINE,
)
_ARCHIVES = (b"PGDMP", b"toc.dat\0")


class _Enough(Exception):  # noqa: N818  control flow: what was wanted is read
    pass


@dataclass(frozen=True)
class Beginning:
    """What the beginning of a dump says.

    Attributes:
        kind: As in :class:`observe.backup_file.Dump`.
        server: The version of the server that it is of; empty when it doesn't say.
        tool: The version of the pg_dump that wrote it, likewise.
        database: The database that it makes and enters itself; empty when it is to be given one.
    """

    kind: str
    server: str
    tool: str
    database: str

    @property
    def major(self) -> int:
        """The major version of its server; 0 when it doesn't say."""
        return int(found[0]) if (found := re.match(r"\d+", self.server)) else 0


def beginning(path: Path) -> Beginning:
    """Look at the beginning of a backup.

    Raises:
        CannotTell: If it can't be read, or is of a kind that psql can't load.
    """
    head = bytearray()

    def take(text: bytes) -> None:
        head.extend(text)
        if len(head) >= _HEAD:
            raise _Enough

    _unpacked(path, take)
    if head.startswith(_ARCHIVES):
        raise CannotTell(
            f"{path.name} is an archive of pg_dump's, which psql can't load",
            mend="Write plain SQL (pg_dump without --format), or try it by hand: pg_restore.",
        )
    text = head.decode("utf-8", errors="replace").replace("\r\n", "\n")
    lines = text.split("\n", 20)[:20]
    kind = next((one for one in (CLUSTER, DATABASE) if one in lines), "")
    if kind == CLUSTER:
        raise CannotTell(
            f"{path.name} is a dump of a whole cluster (pg_dumpall); the drill restores one database's",
            mend="Dump the database by itself, too: pg_dump; and the roles: pg_dumpall --globals-only.",
        )
    own = ""
    # Before its first rows: they may hold any text.
    schema = text.partition("\nCOPY ")[0]
    if _OWN.search(schema):
        entered = _ENTERS.search(schema)
        if entered is None:
            raise CannotTell(f"{path.name} makes a database of its own, and which one it enters can't be told")
        own = entered["long"] or entered["quoted"] or entered["plain"]
    server, tool = (found[1] if (found := one.search(schema)) else "" for one in (_FROM, _BY))
    return Beginning(kind, server, tool, own)


@dataclass(frozen=True)
class Loaded:
    """A backup that was loaded, for better or worse.

    Attributes:
        name: The file's name.
        size: Its size in bytes.
        sha256: Its checksum.
        gzip: Whether it is whole.
        dump: What is in it.
        head: What it says of itself.
        server: The version of the server that it was loaded into.
        lines: How many lines its text has.
        errors: The first errors, by their lines.
        error_count: How many there were.
        warnings: How many warnings there were besides.
        stopped: Whether psql ended before the dump did.
        seconds: How long it took.
    """

    name: str
    size: int
    sha256: str
    gzip: Packed
    dump: Dump
    head: Beginning
    server: int
    lines: int
    errors: tuple[DumpError, ...]
    error_count: int
    warnings: int
    stopped: bool
    seconds: float

    @property
    def newer(self) -> str:
        """What is wrong with its version: that it is of a newer server; empty when it isn't."""
        ours = self.server // 10000
        if self.head.major > ours:
            return f"it is of PostgreSQL {self.head.server}, newer than the server's {ours}"
        return ""

    @property
    def troubles(self) -> tuple[str, ...]:
        """Everything that is wrong with it, the gravest first; empty when it was restored without an error."""
        found = [self.newer, self.gzip.damage and f"the file is damaged: {self.gzip.damage}"]
        if not self.gzip.damage:
            # A text of which a part is missing says nothing of how it was written.
            found.append(self.dump.trouble)
        if self.stopped:
            found.append("psql ended before the dump did")
        if self.error_count:
            found.append(self.said_errors)
        return tuple(filter(None, found))

    @property
    def said_errors(self) -> str:
        """Its errors in one line: the first ones in full, consequences counted."""
        own = [one for one in self.errors if not one.follows]
        number = "1 error" if self.error_count == 1 else f"{self.error_count} errors"
        shown = (own or list(self.errors))[:3]
        more = ", the first" if self.error_count > len(shown) else ""
        return f"{number}{more}: {'; '.join(one.said for one in shown)}"

    @property
    def rate(self) -> float:
        """Bytes of SQL that were loaded in a second."""
        return self.gzip.unpacked / self.seconds if self.seconds else 0.0

    @property
    def looked_at(self) -> str:
        """The denominator: how much was loaded."""
        read = f"{say_bytes(self.gzip.packed)} of {say_bytes(self.size)}"
        return f"{self.name}: {read}, {say_bytes(self.gzip.unpacked)} of SQL in {self.lines} lines"

    def rows(self) -> list[dict[str, str]]:
        """The errors for the report."""
        return [
            {"line": str(one.line), "about": one.object, "kind": one.state, "error": one.message} for one in self.errors
        ]


class _Reading:
    """The file on its way: counted and summed up as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.done = 0
        self._sum = hashlib.sha256()

    def read(self, number: int = -1, /) -> bytes:
        data = self._file.read(number)
        self.done += len(data)
        self._sum.update(data)
        return data

    def checksum(self) -> str:
        """The checksum of the whole file, whose rest is read for it."""
        while self.read(_REST):
            pass
        return self._sum.hexdigest()


class _Load:
    """One load on its way: a thread puts in, another reads what psql says, and the caller keeps watch."""

    def __init__(self, session: Session, path: Path) -> None:
        self._session, self._path = session, path
        self.late = threading.Event()
        self.ended = threading.Event()
        self.reading: _Reading | None = None
        self.complaints = Complaints(KEPT)
        self.failure: BaseException | None = None
        self.broke: OSError | None = None
        self.refused = self.changed = False
        self.lines = 0
        self.packed: Packed | None = None
        self.dump = DumpReader()
        self.size = 0
        self.sha256 = ""

    def begin(self) -> None:
        self._hearing = threading.Thread(target=self._hear, name="restore: hearing", daemon=True)
        self._hearing.start()
        threading.Thread(target=self._put, name="restore: putting in", daemon=True).start()

    def _put(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                before = status_of(file, self._path)
                self.size = before.st_size
                self.reading = _Reading(file)
                self.packed = unpack(cast("BinaryIO", self.reading), self._take, self.late)
                self._session.end_input()
                if not self.late.is_set():
                    self.sha256 = self.reading.checksum()
                after = status_of(file, self._path)
                self.changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
            self._hearing.join()
        except BaseException as error:  # noqa: BLE001  handed over to the caller
            self.failure = error
        finally:
            self.ended.set()

    def _take(self, text: bytes) -> None:
        self.lines += text.count(b"\n")
        self.dump.take(text)
        if self.refused:
            return  # the rest is only read
        try:
            self._session.put(text)
        except OSError:
            self.refused = True

    def _hear(self) -> None:
        try:
            for kind, data in self._session.frames():
                if kind == ERR:
                    self.complaints.take(data)
        except OSError as error:
            self.broke = error
        self.complaints.end()
        # psql has ended: whoever still puts in would wait for an engine that waits for nobody.
        self._session.end_input()


def load(
    scratch: Scratch,
    path: Path,
    head: Beginning,
    *,
    seconds: float,
    room: Callable[[], object] = lambda: None,
    progress: Progress = lambda _done, _all, _seconds: None,
) -> Loaded:
    """Load a backup.

    Args:
        scratch: Where to.
        path: The file.
        head: Its beginning.
        seconds: The total time limit, in seconds.
        room: Called every few seconds; raises CannotTell when there is no room left.
        progress: Called a few times a second with the bytes of the file that are read, its size, and the seconds.

    Raises:
        CannotTell: If the file can't be read, the engine goes away, the server fails for want of memory or room,
            or the time is up.
    """
    began = time.perf_counter()
    options = ("-v", "VERBOSITY=verbose", "-v", "SHOW_CONTEXT=errors", "-o", "/dev/null")
    if head.database:
        scratch.enter(head.database)
    database = "postgres" if head.database else ""
    # Its reads wait a little longer than we do, who know what to say of it.
    with scratch.psql(*options, seconds=seconds + _LONGER, database=database) as session:
        going = _Load(session, path)
        going.begin()
        try:
            _watch(going, path, began, seconds, room, progress)
            status = session.status() if going.broke is None else -1
        finally:
            going.late.set()
            session.give_up()
    if going.broke is not None:
        raise scratch.lost(going.broke)
    if status != 0:
        raise scratch.fallen(status)
    if going.complaints.instrument:
        raise _ran_out(going.complaints.instrument)
    assert going.packed is not None
    spent = time.perf_counter() - began
    return Loaded(
        path.name,
        going.size,
        going.sha256,
        going.packed,
        going.dump.dump(),
        head,
        scratch.like.version,
        going.lines,
        places(path, going.complaints),
        going.complaints.count,
        going.complaints.warnings,
        going.refused,
        spent,
    )


def _watch(
    going: _Load, path: Path, began: float, seconds: float, room: Callable[[], object], progress: Progress
) -> None:
    """Wait for the end of a load, and for everything that can come before it."""
    looked = time.perf_counter()
    while not going.ended.wait(_TICK):
        spent = time.perf_counter() - began
        if going.reading is not None:
            progress(going.reading.done, going.size, spent)
        if spent > seconds:
            raise CannotTell(
                f"{path.name} was not restored within {say_span(timedelta(seconds=seconds))}",
                mend="Give it longer (timeouts.restore), or more memory and processor (restore).",
            )
        if time.perf_counter() - looked > _ROOM_EVERY:
            room()
            looked = time.perf_counter()
    if isinstance(going.failure, OSError):
        raise _unreadable(path, going.failure) from None
    if going.failure is not None:
        raise going.failure
    if going.changed:
        raise CannotTell(
            f"{path.name} changed while it was read",
            mend="Somebody writes to it: look again when that has ended.",
        )
    progress(going.size, going.size, time.perf_counter() - began)


def places(path: Path, complaints: Complaints) -> tuple[DumpError, ...]:
    """The errors, and what of the dump they are about: read once more, if there are any.

    Raises:
        CannotTell: If it can't be read.
    """
    if not complaints.kept:
        return ()
    found = Places(complaints.kept)

    def take(text: bytes) -> None:
        found.take(text)
        if found.done:
            raise _Enough

    _unpacked(path, take)
    return tuple(found.end())


def _unpacked(path: Path, take: Callable[[bytes], None]) -> None:
    """Unpack a backup block by block, to its end or until `take` has enough.

    Raises:
        CannotTell: If it can't be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            unpack(file, take)
    except _Enough:
        pass
    except OSError as error:
        raise _unreadable(path, error) from None


def _ran_out(state: str) -> CannotTell:
    why = {"53100": "room on the engine's disk", "53200": "memory"}.get(state[:5], "")
    return CannotTell(
        f"the scratch server ran out of {why}" if why else f"the scratch server itself failed ({state})",
        mend="Give it more memory (restore.memory), or make room on the engine's disk.",
    )


def _unreadable(path: Path, error: OSError) -> CannotTell:
    return CannotTell(
        f"{path} can't be read: {(error.strerror or str(error)).lower()}",
        mend="Let the user of this run read the backups, by their group or an ACL, or run it as root.",
        cause=f"backup {path.name}",
    )
