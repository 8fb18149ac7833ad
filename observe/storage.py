"""What takes room in the database: the parts of its data directory, and its largest tables.

Serves the guide's `du -sh /var/lib/postgresql/data/*` and its query of the largest tables. The directory is measured by
`du` inside the container, beside what the server itself says of its databases and its write-ahead log: two witnesses
who don't know of each other. The tables' sizes are kept in the history, from which comes what each has grown by.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from observe.container_command import run_inside
from observe.errors import CannotTell
from target.kinds import say_bytes, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from observe.database import Database
    from observe.engine import Container, Engine
    from observe.host import Ran

    Measured = Callable[[str], Sequence[tuple[datetime, float]]]

_KIB = 1024
MEANT = {
    "base": "the databases",
    "global": "what all databases share",
    "log": "the server's own log",
    "pg_log": "the server's own log",
    "pg_replslot": "what replicas have not fetched yet",
    "pg_tblspc": "links to tablespaces elsewhere",
    "pg_wal": "the write-ahead log",
}
"""What an operator calls the parts of a data directory; the others are small."""
_SMALL = 0.001
"""Parts of a smaller share are shown together."""
_TINY = 0.1
"""A file system that compresses may store the databases in less than they say, but hardly in a tenth."""
_DIRECTORY = 1024 * _KIB
"""A directory's own list of names is never so large."""
LOOK_BACK = timedelta(days=35)
"""About a month ago: the oldest run since then is what today is held against."""
DATABASE, SMALLEST = "database", "the smallest listed"
"""Names of figures in the history. A table's own has a dot in it, so that none can be mistaken for these."""
LISTED = 10
_DAY = timedelta(days=1)
_SAME_RUN = 1.0


@dataclass(frozen=True)
class Part:
    """A file or directory of the data directory.

    Attributes:
        size: What it takes on the disk, in bytes.
    """

    name: str
    size: int


@dataclass(frozen=True)
class Room:
    """A database or tablespace, as the server knows it.

    Attributes:
        size: In bytes; None where the role may not know.
        location: Where a tablespace lies, when it isn't in the data directory.
    """

    name: str
    size: int | None
    location: str = ""


@dataclass(frozen=True)
class DataDirectory:
    """What lies in the data directory.

    Attributes:
        place: Where it is, in the container.
        container: The container's name.
        total: What `du` says of all of it, in bytes.
        parts: What it says of each part, largest first.
        databases: What the server says of each database, largest first.
        tablespaces: Likewise of each tablespace.
        wal: What it says of its write-ahead log, in bytes; None where the role may not know.
        temporary: Likewise of temporary files.
        notes: What the reader should know beside the figures.
    """

    place: str
    container: str
    total: int
    parts: tuple[Part, ...]
    databases: tuple[Room, ...]
    tablespaces: tuple[Room, ...]
    wal: int | None
    temporary: int | None
    notes: tuple[str, ...] = ()

    @property
    def looked_at(self) -> str:
        """The denominator: the directory, its parts, and the databases."""
        return (
            f"{self.place} in {self.container}: {say_bytes(self.total)} in {len(self.parts)} files and directories, "
            f"{len(self.databases)} databases"
        )

    @property
    def said(self) -> str:
        """How large it is, and what takes most of it; behind it what doesn't fit, if anything."""
        first = self.parts[0]
        most = f"most of it {self._called(first)} ({self._share(first.size)})"
        return "; ".join([f"{say_bytes(self.total)}, {most}", *self.contradictions])

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What of it can't be: parts that are not the whole, a directory that holds less than its databases."""
        said = []
        rest = self.total - sum(one.size for one in self.parts)
        # Each part is rounded up to a kibibyte; what is left is the directory's own list of names.
        if not -len(self.parts) * _KIB <= rest <= _DIRECTORY:
            said.append(f"its parts come to {say_bytes(self.total - rest)}")
        inside = self._inside
        if self._stored < _TINY * inside:
            said.append(f"the server says that its databases take {say_bytes(inside)} of it")
        return tuple(said)

    @property
    def compressed(self) -> str:
        """What is to be said where the disk holds the databases in less than they are; else empty."""
        if self._stored >= self._inside or self.contradictions:
            return ""
        return (
            f"the databases are {say_bytes(self._inside)} and take {say_bytes(self._stored)} on the disk: "
            "the file system compresses them, or leaves out what is empty"
        )

    @property
    def _inside(self) -> int:
        """What the server says of the tablespaces in the directory."""
        return sum(one.size or 0 for one in self.tablespaces if not one.location)

    @property
    def _stored(self) -> int:
        """What `du` says of the same."""
        return sum(one.size for one in self.parts if one.name in {"base", "global"})

    def size(self, part: str) -> int:
        """What a part takes, in bytes; 0 where there is none of that name."""
        return next((one.size for one in self.parts if one.name == part), 0)

    def rows(self) -> list[dict[str, str]]:
        """The parts with their shares, largest first, for the report."""
        large = [one for one in self.parts if one.size >= _SMALL * self.total]
        rows = [
            {
                "part": one.name,
                "what it is": MEANT.get(one.name, ""),
                "size": say_bytes(one.size),
                "share": self._share(one.size),
            }
            for one in large
        ]
        if rest := self.total - sum(one.size for one in large):
            many = f"({len(self.parts) - len(large)} others)"
            rows.append({"part": many, "what it is": "", "size": say_bytes(rest), "share": self._share(rest)})
        return rows

    def points(self) -> list[tuple[str, float]]:
        """The parts that take room, in bytes, for a picture."""
        return [(one.name, float(one.size)) for one in self.parts if one.size >= _SMALL * self.total]

    def server_rows(self) -> list[dict[str, str]]:
        """What the server says takes room, for the report."""
        away = [one for one in self.tablespaces if one.location]
        sizes = [(f"database {one.name}", one.size, "") for one in self.databases]
        sizes += [(f"tablespace {one.name}", one.size, one.location) for one in away]
        sizes += [("write-ahead log", self.wal, ""), ("temporary files", self.temporary, "")]
        return [
            {"what": what, "size": _known(size), **({"where": place} if away else {})} for what, size, place in sizes
        ]

    def _share(self, size: int) -> str:
        return say_share(size / self.total) if self.total else "0 %"

    def _called(self, part: Part) -> str:
        meant = MEANT.get(part.name)
        return f"{meant} ({part.name})" if meant else part.name


def data_directory(database: Database, engine: Engine, container: Container, seconds: float) -> DataDirectory:
    """What lies in the data directory, by `du` in the database's container and by the server itself.

    Args:
        database: The server.
        engine: The engine that its container is on.
        container: The container.
        seconds: Total time limit of `du`, and of what the server is asked, in seconds.

    Raises:
        CannotTell: If the server doesn't say where the directory is, or `du` can't see all of it.
    """
    found = database.ask_together(("data_directory", "database_sizes", "tablespaces"), seconds)
    if not found["data_directory"]:
        raise CannotTell(
            "the database doesn't tell this role where its data directory is",
            mend=f"GRANT pg_monitor TO {database.session.role};",
        )
    place = found["data_directory"][0]["place"]
    databases, tablespaces = _rooms(found["database_sizes"]), _rooms(found["tablespaces"])
    wal, temporary, notes = _log_and_temporary(database)
    # Last: what grows meanwhile makes the directory larger than its databases, and not smaller.
    ran = run_inside(engine, container, ("du", "-ak", "-d1", place), seconds)
    total, parts, more = _parts(ran, place, container)
    if hidden := [one.name for one in (*databases, *tablespaces) if one.size is None]:
        notes = (*notes, f"the sizes of {', '.join(hidden)} are hidden from the role {database.session.role}")
    return DataDirectory(place, container.name, total, parts, databases, tablespaces, wal, temporary, (*notes, *more))


def _rooms(rows: Sequence[Mapping[str, object]]) -> tuple[Room, ...]:
    rooms = [
        Room(str(row["name"]), None if row["size"] is None else int(str(row["size"])), str(row.get("location") or ""))
        for row in rows
    ]
    return tuple(sorted(rooms, key=lambda one: (-(one.size or 0), one.name)))


def _log_and_temporary(database: Database) -> tuple[int | None, int | None, tuple[str, ...]]:
    """What the server says of its log and its temporary files; why it doesn't."""
    try:
        (row,) = database.ask("log_and_temporary_files")
    except CannotTell as why:
        return None, None, (f"{why}",)
    return row["log"], row["temporary"], ()


def _parts(ran: Ran, place: str, container: Container) -> tuple[int, tuple[Part, ...], tuple[str, ...]]:
    """All of it in bytes, its parts, and what was not there any more.

    Raises:
        CannotTell: If `du` could not see all of it.
    """
    complaints = [line for line in ran.complaint.splitlines() if line.strip()]
    # A file that the server took away meanwhile is none; one that may not be seen would be missing from the sum.
    grave = [line for line in complaints if not line.endswith("No such file or directory")]
    sizes = {name: int(size) * _KIB for size, name in _lines(ran.out)}
    total = sizes.pop(place, None)
    if grave or total is None or not sizes:
        why = (grave or complaints or [f"it ended {ran.status}"])[0][:300]
        raise CannotTell(
            f"du can't see what lies in {place} of {container.name}: {why}",
            mend=f"Run it by hand: docker exec {container.name} du -ak -d1 {place}",
            cause="" if grave else f"service {container.service}",
        )
    parts = [Part(name.removeprefix(place).strip("/"), size) for name, size in sizes.items()]
    gone = len(complaints)
    notes = (f"{gone} files were taken away while du looked at them",) if gone else ()
    return total, tuple(sorted(parts, key=lambda one: (-one.size, one.name))), notes


def _lines(out: str) -> list[tuple[str, str]]:
    split = [line.partition("\t") for line in out.splitlines()]
    return [(size, name) for size, _, name in split if size.isdecimal()]


def _known(size: int | None) -> str:
    return "not known" if size is None else say_bytes(size)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Schema and name, with a dot between.
        total: What it takes with all that belongs to it, in bytes.
        indexes: Its indexes, in bytes.
        toast: What is stored apart since it is too long for a row, in bytes.
        rows: The planner's estimate; None where they were never counted.
        parts: Of how many partitions it is, 1 where it isn't partitioned.
    """

    name: str
    total: int
    indexes: int
    toast: int
    rows: int | None
    parts: int = 1

    @property
    def own(self) -> int:
        """The table without its indexes and what is stored apart."""
        return self.total - self.indexes - self.toast


@dataclass(frozen=True)
class Grown:
    """What a table has grown by.

    Attributes:
        bytes: Below 0 where it shrank.
        at_least: Whether it may be more: at the beginning it was too small to be listed.
    """

    name: str
    bytes: float
    at_least: bool = False


@dataclass(frozen=True)
class Growth:
    """What the database has grown by since about a month ago, and its tables.

    Attributes:
        since: When that was, aware.
        span: How long ago.
        database: Bytes, below 0 where it shrank.
        tables: The largest tables of today, by what they have grown by, most first.
    """

    since: datetime
    span: timedelta
    database: float
    tables: tuple[Grown, ...]

    @property
    def share(self) -> float:
        """What of the database's growth the table that grew most made; 0 where nothing grew."""
        if self.database <= 0 or not self.tables:
            return 0.0
        return max(0.0, self.tables[0].bytes) / self.database

    def enough(self, floor: float) -> bool:
        """Whether it grew by more than so many bytes a day, below which no share is judged."""
        return self.database > floor * (self.span / _DAY)

    @property
    def said(self) -> str:
        """What grew, and who made most of it."""
        since = f"since {self.since:%Y-%m-%d} ({say_span(self.span)})"
        if self.database <= 0:
            return f"{since} the database did not grow"
        first = self.tables[0]
        least = "at least " if first.at_least else ""
        return (
            f"{since} the database grew by {say_bytes(self.database)}, of which {first.name} made "
            f"{least}{say_bytes(max(0.0, first.bytes))} ({say_share(self.share)})"
        )


@dataclass(frozen=True)
class Tables:
    """The largest tables.

    Attributes:
        database: The database's name.
        size: Its size, in bytes.
        count: How many tables it has, the system's own left out.
        all_total: What all of them take, in bytes.
        largest: The ten largest, largest first.
        growth: What they have grown by; None where the history is too short to tell.
        notes: What the reader should know beside the figures.
    """

    database: str
    size: int
    count: int
    all_total: int
    largest: tuple[Table, ...]
    growth: Growth | None
    notes: tuple[str, ...] = ()

    @property
    def looked_at(self) -> str:
        """The denominator: tables, and the database."""
        many = "1 table" if self.count == 1 else f"{self.count:,} tables"
        return f"{many} of {self.database}, {say_bytes(self.all_total)} of its {say_bytes(self.size)}"

    @property
    def said(self) -> str:
        """Which is the largest, and what grew."""
        first = self.largest[0]
        top = f"the largest is {first.name}: {say_bytes(first.total)}, {self._share(first.total)} of the database"
        return f"{top}; {self.growth.said}" if self.growth else top

    @property
    def smallest(self) -> int:
        """No table that isn't listed is larger; 0 where all are listed."""
        return self.largest[-1].total if self.count > len(self.largest) else 0

    def lopsided(self, share: float, floor: float) -> bool:
        """Whether one table made more than that share of the growth, where there was more than the floor, a day."""
        return self.growth is not None and self.growth.enough(floor) and self.growth.share > share

    def rows(self) -> list[dict[str, str]]:
        """The tables, for the report."""
        grown = {one.name: one for one in self.growth.tables} if self.growth else {}
        rows = [
            {
                "table": one.name if one.parts == 1 else f"{one.name} ({one.parts} partitions)",
                "total": say_bytes(one.total),
                "share": self._share(one.total),
                "rows": "not known" if one.rows is None else f"{one.rows:,}",
                "table alone": say_bytes(one.own),
                "indexes": say_bytes(one.indexes),
                "stored apart (TOAST)": say_bytes(one.toast),
                **({"grown by": _signed(grown[one.name])} if self.growth else {}),
            }
            for one in self.largest
        ]
        if rest := self.count - len(self.largest):
            size = self.all_total - sum(one.total for one in self.largest)
            rows.append({"table": f"({rest:,} others)", "total": say_bytes(size), "share": self._share(size)})
        return rows

    def points(self) -> list[tuple[str, float]]:
        """The tables in bytes, for a picture."""
        return [(one.name, float(one.total)) for one in self.largest]

    def figures(self) -> list[tuple[str, float]]:
        """What the next month's run will want to know, in bytes."""
        return [
            (DATABASE, float(self.size)),
            (SMALLEST, float(self.smallest)),
            *((one.name, float(one.total)) for one in self.largest),
        ]

    def _share(self, size: int) -> str:
        return say_share(size / self.size) if self.size else "0 %"


def largest_tables(
    database: Database, measured: Measured, now: datetime, *, history: timedelta, seconds: float
) -> Tables:
    """The ten largest tables, and what they have grown by since about a month ago.

    Args:
        database: Whose.
        measured: What earlier runs since :data:`LOOK_BACK` ago have measured under a name, by time.
        now: The time of this look, aware.
        history: From a shorter history no growth is told.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If there is no table, or the database can't be asked.
    """
    found = database.ask_together(("largest_tables", "database_size"), seconds)
    rows, (whole,) = found["largest_tables"], found["database_size"]
    if not rows:
        raise CannotTell(
            f"the database {whole['name']} has no table of its own",
            mend="Is it the application's? Name the right one as database.name.",
        )
    largest = tuple(
        Table(f"{row['schema']}.{row['name']}", row["total"], row["indexes"], row["toast"], row["rows"], row["parts"])
        for row in rows
    )
    growth, notes = growth_since(measured, {one.name: one.total for one in largest}, whole["size"], now, history)
    return Tables(whole["name"], whole["size"], rows[0]["tables"], rows[0]["all_total"], largest, growth, notes)


def growth_since(
    measured: Measured, tables: Mapping[str, float], size: float, now: datetime, history: timedelta
) -> tuple[Growth | None, tuple[str, ...]]:
    """What tables and database have grown by since the oldest run that is known, and what is to be said of that.

    A table that was not among the largest then was no larger than the smallest of those: so much it has grown at least.

    Args:
        measured: As for :func:`largest_tables`.
        tables: Today's sizes by name, in bytes.
        size: The database's, likewise.
        now: The time of this look, aware.
        history: From a shorter history no growth is told.
    """
    earlier = measured(DATABASE)
    span = now.astimezone(UTC) - earlier[0][0].astimezone(UTC) if earlier else timedelta()
    if not earlier or span < history:
        known = f"{span // _DAY} days of history" if earlier else "no earlier run has measured the tables"
        return None, (f"their growth isn't known yet: {known}, {say_span(history)} are needed",)
    since, then = earlier[0]
    listed = {name: _at(measured(name), since) for name in (SMALLEST, *tables)}
    grown = [
        Grown(name, today - was) if was is not None else Grown(name, today - (listed[SMALLEST] or 0), at_least=True)
        for name, today in tables.items()
        for was in (listed[name],)
    ]
    grown.sort(key=lambda one: (-one.bytes, one.name))
    return Growth(since.astimezone(now.tzinfo), span, size - then, tuple(grown)), ()


def _at(series: Sequence[tuple[datetime, float]], moment: datetime) -> float | None:
    """What the run of that moment measured; None where it didn't."""
    near = (value for at, value in series if abs((at - moment).total_seconds()) < _SAME_RUN)
    return next(near, None)


def _signed(grown: Grown) -> str:
    sign = "+" if grown.bytes > 0 else "-" if grown.bytes < 0 else "±"
    return f"{'at least ' if grown.at_least else ''}{sign}{say_bytes(abs(grown.bytes))}"
