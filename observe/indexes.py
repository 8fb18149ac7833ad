"""Whether the database has the indexes that it needs, and can use those that it has.

Serves the guide's step for high response times, "check for missing indexes". Three signs are looked for: a large table
that is mostly read from end to end, a foreign key of a large table that no index begins with (each deletion of what it
refers to then reads the whole table), and an index that was left unfinished.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.catalog import Counters, count, counters
from observe.errors import CannotTell
from target.kinds import say_share, say_span

if TYPE_CHECKING:
    from observe.database import Database

A_DAY = 2
"""Scans from end to end that a day brings anyway: its dump, and whoever else looks at all, such as this suite."""
_SHOWN = 10


@dataclass(frozen=True)
class Scans:
    """How a table is read.

    Attributes:
        rows: How many it has, as the server estimates.
        sequential: Scans that the server counts as sequential; one that ends early is one of them.
        whole: How often it was read from end to end, by the rows that were read: never more than `sequential`.
        by_index: Scans by an index.
    """

    name: str
    rows: int
    sequential: int
    whole: float
    by_index: int

    @property
    def share(self) -> float:
        """The share of scans from end to end, 0 to 1; 0 where there were none at all."""
        return self.whole / (self.whole + self.by_index) if self.whole else 0.0

    def too_often(self, wanted: Wanted, age: timedelta) -> bool:
        """Whether it is mostly read from end to end, the nightly dump and the like apart.

        Args:
            wanted: What is judged, and how.
            age: For how long scans were counted.
        """
        anyway = wanted.scans + A_DAY * (age / timedelta(days=1))
        return self.whole >= anyway and self.share > wanted.share

    @property
    def said(self) -> str:
        """What was seen, in words."""
        times = count(round(self.whole), "time")
        rows = count(self.rows, "row")
        return f"{self.name} ({rows}) was read {times} from end to end, {say_share(self.share)} of its scans"


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key that no index begins with.

    Attributes:
        table: Its table, which has `rows`.
        refers_to: The table whose rows it refers to.
    """

    name: str
    table: str
    columns: str
    refers_to: str
    rows: int

    @property
    def said(self) -> str:
        """The same in words."""
        return f"{self.table} ({self.columns}), which refers to {self.refers_to}, has no index"


@dataclass(frozen=True)
class Index:
    """An index that can't be used."""

    name: str
    table: str

    @property
    def said(self) -> str:
        """The same in words."""
        return f"the index {self.name} of {self.table} is invalid"


@dataclass(frozen=True)
class Wanted:
    """What is judged, and how.

    Attributes:
        floor: Tables of fewer rows aren't judged.
        share: Of all scans of a table so many may read it from end to end, 0 to 1.
        scans: Fewer scans from end to end than this are none, beside those of :data:`A_DAY`.
        age: Counters that are younger tell nothing.
    """

    floor: int
    share: float
    scans: int
    age: timedelta


@dataclass(frozen=True)
class Indexes:
    """What was seen of the indexes.

    Attributes:
        tables: How many tables were looked at, and `large` of them have the floor's rows.
        keys: How many foreign keys.
        indexes: How many indexes.
        scanned: Large tables that are mostly read from end to end; none where the counters are too young.
        unindexed: Foreign keys of large tables without an index.
        invalid: Indexes that can't be used.
        counted: Since when scans are counted.
        young: Why the scans can't be judged; None where they can.
        notes: What the reader should know beside it.
    """

    wanted: Wanted
    tables: int
    large: int
    keys: int
    indexes: int
    scanned: tuple[Scans, ...]
    unindexed: tuple[ForeignKey, ...]
    invalid: tuple[Index, ...]
    counted: Counters | None
    young: CannotTell | None
    notes: tuple[str, ...]

    @property
    def looked_at(self) -> str:
        """The denominator: tables, keys, indexes."""
        scans = f", scans {self.counted.said}" if self.counted is not None else ""
        return (
            f"{count(self.tables, 'table')} ({self.large} of {self.wanted.floor:,} rows or more), "
            f"{count(self.keys, 'foreign key')}, {count(self.indexes, 'index', 'indexes')}{scans}"
        )

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, worst first."""
        said = [one.said for one in self.scanned]
        said += [one.said for one in self.unindexed]
        return (*said, *(one.said for one in self.invalid))

    @property
    def said(self) -> str:
        """What is wrong, in words."""
        if not self.findings:
            return "nothing is missing"
        more = f"; {len(self.findings) - _SHOWN} more" if len(self.findings) > _SHOWN else ""
        return "; ".join(self.findings[:_SHOWN]) + more

    def rows(self) -> list[dict[str, str]]:
        """What is wrong, for the report."""
        return [
            *({"what": "read from end to end", "where": one.name, "seen": _scans(one)} for one in self.scanned),
            *(
                {"what": "foreign key without an index", "where": f"{one.table} ({one.columns})", "seen": one.name}
                for one in self.unindexed
            ),
            *({"what": "invalid index", "where": one.table, "seen": one.name} for one in self.invalid),
        ]

    def must_see(self) -> None:
        """Refuse to say that all is well of what was not seen.

        Raises:
            CannotTell: If the counters are too young to tell how tables are read, or there was nothing to look at.
        """
        if not self.tables:
            raise CannotTell("the database has no tables: nothing was looked at", mend="Is it the application's?")
        if self.young is not None:
            raise self.young


def indexes(database: Database, wanted: Wanted) -> Indexes:
    """Which indexes are missing or can't be used. PostgreSQL 13 to 18.

    A foreign key of a small table is said and not judged, an invalid index always is: it costs whoever writes, and
    serves nobody. One that is being built, or whose table has another that is, is no fault.

    Raises:
        CannotTell: If the catalog can't be asked.
    """
    tables = [_scanned(row) for row in database.ask("table_scans")]
    keys = database.ask("foreign_keys")
    found = database.ask("indexes")
    counted, young = _counted(database, wanted)
    unindexed = [
        ForeignKey(row["name"], row["table"], row["columns"], row["refers_to"], row["rows"])
        for row in keys
        if not row["indexed"]
    ]
    large = [one for one in tables if one.rows >= wanted.floor]
    return Indexes(
        wanted=wanted,
        tables=len(tables),
        large=len(large),
        keys=len(keys),
        indexes=len(found),
        scanned=() if counted is None or young else tuple(one for one in large if one.too_often(wanted, counted.age)),
        unindexed=tuple(one for one in unindexed if one.rows >= wanted.floor),
        invalid=tuple(
            Index(row["name"], row["table"])
            for row in found
            if not (row["valid"] or row["being_built"] or row["of_partitions"])
        ),
        counted=counted,
        young=young,
        notes=tuple(_notes(unindexed, found, wanted)),
    )


def _counted(database: Database, wanted: Wanted) -> tuple[Counters | None, CannotTell | None]:
    """Since when scans are counted, and why they tell nothing yet."""
    try:
        counted = counters(database)
    except CannotTell as why:
        return None, why
    if counted.age >= wanted.age:
        return counted, None
    return counted, CannotTell(
        f"how tables are read has been counted for {say_span(counted.age)} only: "
        "the counters were set back, or the server crashed",
        mend=f"Look again when they are {say_span(wanted.age)} old (limits.statistics_age).",
    )


def _scanned(row: dict[str, int | str]) -> Scans:
    rows, sequential, read = int(row["rows"]), int(row["sequential"]), int(row["sequential_rows"])
    return Scans(str(row["name"]), rows, sequential, min(sequential, read / max(rows, 1)), int(row["by_index"]))


def _notes(unindexed: list[ForeignKey], found: list[dict[str, object]], wanted: Wanted) -> list[str]:
    small = [one.said for one in unindexed if one.rows < wanted.floor]
    notes = [f"not judged, of fewer than {wanted.floor:,} rows: {said}" for said in small[:_SHOWN]]
    if len(small) > _SHOWN:
        notes.append(f"and {len(small) - _SHOWN} more foreign keys of small tables without an index")
    for row in found:
        if not row["valid"] and row["being_built"]:
            notes.append(f"{row['name']} is unfinished, while an index of {row['table']} is being built")
        elif not row["valid"] and row["of_partitions"]:
            notes.append(f"{row['name']} is still without an index of one of the partitions of {row['table']}")
    return notes[: 2 * _SHOWN]


def _scans(one: Scans) -> str:
    return f"{one.whole:,.0f} from end to end, {one.by_index:,} by an index, {count(one.rows, 'row')}"
