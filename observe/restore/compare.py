"""The restored database held against the live one: the schema by the catalog, the rows by their number.

Serves the guide's mid-month "verify the data" of the restore test, which leaves open against what. Both sides are
asked the same statements, each in one snapshot. What differs by design (object numbers, the order of what is created,
the names of roles that only the server's installation made) isn't looked at.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

SCHEMA = (
    "restore_extensions",
    "restore_types",
    "restore_relations",
    "restore_columns",
    "restore_sequences",
    "restore_indexes",
    "restore_constraints",
    "restore_functions",
    "restore_triggers",
    "restore_rights",
)
STATEMENTS: tuple[str, ...] = ("restore_about", *SCHEMA, "restore_migrations", "restore_rows")
"""What both are asked. The rows are counted last: the rest holds its locks for a moment only."""
OF_RESTORED: tuple[str, ...] = ("restore_sequence_values", "restore_trees")
"""What the restored database alone is asked, after the others."""
AMCHECK = (
    "DROP EXTENSION IF EXISTS amcheck CASCADE",
    "CREATE SCHEMA index_check_of_the_drill",
    "CREATE EXTENSION amcheck SCHEMA index_check_of_the_drill",
)
"""What makes the restored database able to check its indexes; asked after everything else, since it changes it."""
UNREADABLE = 0.2
"""More tables than this share that can't be counted leave too much open."""
_KINDS = ("table", "column", "index", "constraint", "sequence", "extension", "right")
_PLURALS = {"index": "indexes", "policy": "policies"}
_TABLES = ("table", "partitioned table", "materialized view", "foreign table", "view")
_HIDDEN = frozenset({"query", "source"})
"""Aspects that are long, or may hold what isn't everybody's business: that they differ is said, and not how."""
_OF_NAMES = frozenset({"parent", "owning column", "schema", "version", "state", "use"})
"""Aspects that are written with all schemas, whatever the session's search path."""
_NOT_CHECKED = re.compile("permission denied|does not exist|cancell?ing statement|timeout|out of memory|connection")
"""How a check ends that found nothing out."""
_SHOWN = 160
_ALIKE = 5
_MOST = 60
_ALONE = "amcheck"


@dataclass(frozen=True)
class Thing:
    """What one side has: a table, a column, a right.

    Attributes:
        kind: What it is, in a word or two.
        name: Its name, with the schema and, if it is a part of one, the table.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Difference:
    """One difference, made of what it is about and what is said of that.

    Attributes:
        thing: What differs.
        said: How, as the rest of the sentence.
    """

    thing: Thing
    said: str

    def __str__(self) -> str:
        return f"{self.thing} {self.said}"


_SAID = 110
"""Characters of a difference in the sentence that says them all; each stands whole beside it."""


@dataclass(frozen=True)
class TableRows:
    """The rows of one table.

    Attributes:
        table: Its name.
        live: How many it has live; None where they couldn't be counted.
        restored: How many came back; None where the table didn't.
        said: What is wrong with that, in words; empty when nothing is.
    """

    table: str
    live: int | None
    restored: int | None
    said: str = ""


@dataclass
class Side:
    """One of the two databases, as its catalog tells it.

    Attributes:
        things: Everything that was found, and for each its aspects.
        parents: For what is a part of a table or view, that one's name.
        rows: How many rows each table has, and why some couldn't be counted.
    """

    things: dict[Thing, dict[str, str]] = field(default_factory=dict)
    parents: dict[Thing, str] = field(default_factory=dict)
    rows: dict[str, int | str] = field(default_factory=dict)
    migrations: frozenset[tuple[str, str]] = frozenset()

    def names(self) -> set[str]:
        """The names of what others can be a part of, or be a right on."""
        return {thing.name for thing in self.things if thing.kind != "right"}


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        differences: What isn't as it is live, each in words, at most as many as a person reads.
        more: How many differences beyond those there are.
        looked_at: What was compared, in words.
        notes: What the reader should know beside that.
        tables: The rows of every table.
        unreadable: The tables that couldn't be counted live, and why.
    """

    differences: tuple[str, ...]
    more: int
    looked_at: str
    notes: tuple[str, ...]
    tables: tuple[TableRows, ...]
    unreadable: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows of each table came back."""
        return {one.table: one.restored for one in self.tables if one.restored is not None}

    @property
    def said(self) -> str:
        """What was seen, in words, the gravest first."""
        if not self.differences:
            return "no difference"
        count = len(self.differences) + self.more
        shown = "; ".join(one if len(one) <= _SAID else f"{one[:_SAID]}…" for one in self.differences[:3])
        rest = f"; and {count - 3} more" if count > 3 else ""
        return f"{_counted(count, 'difference')}: {shown}{rest}"

    def rows(self, most: int = 20) -> list[dict[str, str]]:
        """The tables' rows for the report: what is wrong first, then the largest."""
        order = sorted(self.tables, key=lambda one: (not one.said, -(one.live or 0), one.table))
        return [
            {
                "table": one.table,
                "rows live": _number(one.live),
                "rows in the backup": _number(one.restored),
                "remark": one.said,
            }
            for one in order[:most]
        ]

    def must_see(self) -> None:
        """Insist that enough was seen for a verdict.

        Raises:
            CannotTell: If the live database has no table, or too many whose rows couldn't be counted.
        """
        if not self.tables:
            raise CannotTell(
                "the live database has no table to compare with the backup's",
                mend="See whether database.name in the target is the application's.",
            )
        if len(self.unreadable) > UNREADABLE * len(self.tables):
            raise CannotTell(
                f"the rows of {len(self.unreadable)} of {len(self.tables)} live tables can't be counted: "
                + _listed(self.unreadable),
                mend="GRANT pg_read_all_data to the role that asks; or, before PostgreSQL 14, SELECT on these tables.",
            )

    def as_dict(self) -> dict[str, Any]:
        """All of it, for the receipt."""
        return {
            "looked_at": self.looked_at,
            "differences": list(self.differences),
            "more_differences": self.more,
            "notes": list(self.notes),
            "tables": [
                {"table": one.table, "live": one.live, "restored": one.restored, "said": one.said}
                for one in self.tables
            ],
            "unreadable": list(self.unreadable),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Comparison:
        """What :meth:`as_dict` made, read back."""
        return cls(
            tuple(given["differences"]),
            int(given["more_differences"]),
            str(given["looked_at"]),
            tuple(given["notes"]),
            tuple(TableRows(**one) for one in given["tables"]),
            tuple(given["unreadable"]),
        )


def index_checks(restored: Mapping[str, list[dict[str, Any]]]) -> list[tuple[str, str]]:
    """The indexes that amcheck can check, and for each the statement that does it, to be asked one by one.

    After :data:`AMCHECK`. A broken index is an error of its statement, and no other's.

    Returns:
        Name and statement of each; none where the image hasn't amcheck.
    """
    return [
        (str(row["thing"]), f"SELECT index_check_of_the_drill.bt_index_check({int(row['oid'])}::regclass, true)")
        for row in sorted(restored["restore_trees"], key=lambda row: str(row["thing"]))
        if row["amcheck"] and row["method"] == "btree" and row["usable"]
    ]


def held_against(
    live: Mapping[str, list[dict[str, Any]]],
    restored: Mapping[str, list[dict[str, Any]]],
    *,
    change: float,
    floor: int,
    broken: Mapping[str, str] | None = None,
) -> Comparison:
    """What the restored database has that the live one hasn't, and the other way round.

    Args:
        live: The rows of :data:`STATEMENTS`, by name.
        restored: Those and the rows of :data:`OF_RESTORED`.
        change: A table may have changed by so much of its rows.
        floor: A change of no more rows than this is none.
        broken: For each index that was checked why it is broken, or nothing; None where none was checked.

    Raises:
        CannotTell: If one side told nothing of itself.
    """
    for name, side in (("live", live), ("restored", restored)):
        if not side.get("restore_about"):
            raise CannotTell(f"the {name} database told nothing of itself")
    here, there = _sides(live, restored)
    notes = [*_set_aside(here, there), *_migrated(here, there)]
    tables = tuple(_rows_held_against(here, there, change, floor))
    found = [
        *_schema(here, there),
        *(Difference(Thing("table", one.table), one.said) for one in tables if one.said),
        *_sequences(restored["restore_sequence_values"]),
        *_broken(broken or {}),
    ]
    differences = _grouped(found)
    unreadable = tuple(f"{table} (may {why})" for table, why in sorted(here.rows.items()) if isinstance(why, str))
    notes += [f"the rows of {_listed(unreadable)} were not compared"] if unreadable else []
    notes += _unchecked(restored["restore_trees"], broken)
    return Comparison(
        tuple(differences[:_MOST]),
        max(0, len(differences) - _MOST),
        _looked_at(here, sum(one.live is not None and one.restored is not None for one in tables), broken),
        tuple(notes),
        tables,
        unreadable,
    )


# The two sides, made alike.


def _sides(live: Mapping[str, list[dict[str, Any]]], restored: Mapping[str, list[dict[str, Any]]]) -> tuple[Side, Side]:
    """Both sides as they would be told by one and the same session."""
    about, about_there = live["restore_about"][0], restored["restore_about"][0]
    # A name is written with its schema where the session's search path doesn't lead there. The paths may differ.
    path, path_there = list(about["path"] or ()), list(about_there["path"] or ())
    plain = _unqualified({*path, *path_there}) if path != path_there else str
    roles = {str(row["role"]) for row in live["restore_rights"]}
    first, first_there = str(about["first_superuser"]), str(about_there["first_superuser"])
    # What the installation made belongs to its first superuser, whatever that one is called.
    renamed = {first_there: first} if first_there != first and first_there not in roles else {}
    return _side(live, plain, {}), _side(restored, plain, renamed)


def _unqualified(schemas: Iterable[str]) -> Callable[[str], str]:
    names = "|".join(sorted(re.escape(form) for one in schemas for form in {one, '"' + one.replace('"', '""') + '"'}))
    if not names:
        return str
    qualifier = re.compile(rf'(?<![\w."$])(?:{names})\.')
    return lambda text: qualifier.sub("", text)


def _side(rows: Mapping[str, list[dict[str, Any]]], plain: Callable[[str], str], renamed: Mapping[str, str]) -> Side:
    side = Side()
    for statement in SCHEMA:
        for row in rows[statement]:
            role = str(row.get("role", ""))
            role = renamed.get(role, role)
            kind, name, aspect = str(row["kind"]), str(row["thing"]), str(row["aspect"])
            thing = Thing(kind, f"{name} for {role}" if kind == "right" else name)
            value = role if aspect == "owner" else str(row.get("value", ""))
            value = value if aspect in _OF_NAMES else plain(value)
            side.things.setdefault(thing, {})[aspect] = value
            if row["parent"]:
                side.parents[thing] = str(row["parent"])
    for row in rows["restore_rows"]:
        side.rows[str(row["thing"])] = int(row["rows"]) if row["rows"] is not None else str(row["may"])
    side.migrations = frozenset((str(row["app"]), str(row["name"])) for row in rows["restore_migrations"])
    return side


def _set_aside(here: Side, there: Side) -> Iterator[str]:
    """Take out of both sides what can't be in a dump, or is none of its business; say what that was."""
    invalid = [thing for thing, has in here.things.items() if has.get("state") in {"invalid", "not ready"}]
    for thing in invalid:
        del here.things[thing]
        # Where it came back none the less it is as good as it was asked for.
        there.things.pop(thing, None)
        yield f"{thing} is invalid live, so no dump has it"
    ours = Thing("extension", _ALONE)
    if ours not in here.things:
        there.things.pop(ours, None)
    for thing, has in here.things.items():
        other = there.things.get(thing)
        if thing.kind == "extension" and other is not None and other["version"] != has["version"]:
            yield f"{thing} is of version {has['version']} live, {other['version']} restored"
            other["version"] = has["version"]


def _migrated(here: Side, there: Side) -> Iterator[str]:
    newer = sorted(".".join(one) for one in here.migrations - there.migrations)
    if newer:
        count = _counted(len(newer), "migration")
        yield f"live was migrated after the backup: {count} that it lacks ({_listed(newer)})"
    older = sorted(".".join(one) for one in there.migrations - here.migrations)
    if older:
        count = _counted(len(older), "migration")
        yield f"live was migrated back since the backup, which has {count} more ({_listed(older)})"


# The schema.


def _schema(here: Side, there: Side) -> Iterator[Difference]:
    lost = here.names() ^ there.names()
    for thing in sorted({*here.things, *there.things}, key=_gravest):
        ours, theirs = here.things.get(thing), there.things.get(thing)
        parent = here.parents.get(thing) or there.parents.get(thing)
        if parent in lost:
            continue  # said of the table as a whole
        if theirs is None:
            yield Difference(thing, "is not in the backup")
        elif ours is None:
            yield Difference(thing, "is in the backup and not live")
        else:
            yield from _aspects(thing, ours, theirs)


def _gravest(thing: Thing) -> tuple[int, str, str]:
    order = (*_TABLES, "column", "constraint", "index", "sequence")
    return (order.index(thing.kind) if thing.kind in order else len(order), thing.kind, thing.name)


def _aspects(thing: Thing, ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[Difference]:
    if thing.kind == "right":
        if set(ours) != set(theirs):
            yield Difference(
                thing, f"is {' and '.join(sorted(ours))} live, {' and '.join(sorted(theirs))} in the backup"
            )
        return
    for aspect in sorted({*ours, *theirs}):
        one, other = ours.get(aspect, ""), theirs.get(aspect, "")
        if one == other or _reads_alike(one) == _reads_alike(other):
            continue
        if aspect in _HIDDEN:
            yield Difference(thing, f"has another {aspect} in the backup")
        elif aspect == "type":
            yield Difference(thing, f"is {_short(one)}, in the backup {_short(other)}")
        else:
            yield Difference(thing, f"has the {aspect} {_short(one)}, in the backup {_short(other)}")


_TEXT_CASTS = re.compile(r"::(?:text|bpchar|character varying(?:\(\d+\))?|character(?:\(\d+\))?)(?:\[\])?(?![\w])")


def _reads_alike(text: str) -> str:
    """An expression without its casts between kinds of text, and the parentheses and spaces around them.

    PostgreSQL writes `x IN ('a', 'b')` on a varchar in one way before it was dumped and in another after that.
    """
    if "::" not in text:
        return text
    return re.sub(r"[\s()]", "", _TEXT_CASTS.sub("", text))


def _short(text: str) -> str:
    said = " ".join(text.split()) or "(none)"
    return said if len(said) <= _SHOWN else said[: _SHOWN - 1] + "…"


# The rows, and what else the restored database tells.


def _rows_held_against(here: Side, there: Side, change: float, floor: int) -> Iterator[TableRows]:
    for table, live in sorted(here.rows.items()):
        restored = there.rows.get(table)
        if isinstance(live, str) or not isinstance(restored, int):
            yield TableRows(
                table, None if isinstance(live, str) else live, restored if isinstance(restored, int) else None
            )
            continue
        yield TableRows(table, live, restored, _rows_said(live, restored, change, floor))


def _rows_said(live: int, restored: int, change: float, floor: int) -> str:
    away = abs(live - restored)
    if away <= floor or (away <= change * live and restored):
        return ""
    direction = "fewer" if restored < live else "more"
    share = f" or {away / live:.0%}" if live else ""
    return (
        f"has {_counted(live, 'row')} live and {restored:,} in the backup "
        f"({away:,}{share} {direction}; allowed are {change:.0%}, or {floor:,})"
    )


def _sequences(rows: Sequence[dict[str, Any]]) -> Iterator[Difference]:
    for row in sorted(rows, key=lambda row: (str(row["thing"]), str(row["for_column"]))):
        if row["furthest"] is None:
            continue
        step, value, furthest = int(row["increment"]), int(row["value"]), int(row["furthest"])
        coming = value + step if row["called"] else value
        behind = coming <= furthest if step > 0 else coming >= furthest
        if behind:
            yield Difference(
                Thing("sequence", str(row["thing"])),
                f"gives {coming:,} next in the backup, and {row['for_column']} is at {furthest:,} already",
            )


def _broken(broken: Mapping[str, str]) -> Iterator[Difference]:
    for name, why in sorted(broken.items()):
        if why and not _NOT_CHECKED.search(why):
            yield Difference(Thing("index", name), f"is broken in the backup as restored: {_short(why)}")


def _unchecked(trees: Sequence[dict[str, Any]], broken: Mapping[str, str] | None) -> list[str]:
    if not trees:
        return []
    if not any(row["amcheck"] for row in trees):
        return ["the database's image has no amcheck: the restored indexes were not checked"]
    if broken is None:
        return ["the restored indexes were not checked"]
    notes = []
    kinds = Counter(str(row["method"]) for row in trees if row["method"] != "btree")
    if kinds:
        said = ", ".join(f"{count} {method}" for method, count in sorted(kinds.items()))
        notes.append(f"amcheck checks btree indexes; not checked: {said}")
    wanted = [str(row["thing"]) for row in trees if row["method"] == "btree" and row["usable"]]
    notes += [
        _bounded(f"index {name} could not be checked: {_short(why)}")
        for name, why in sorted(broken.items())
        if _NOT_CHECKED.search(why)
    ][:_ALIKE]
    if left := sorted(set(wanted) - set(broken)):
        notes.append(f"{_counted(len(left), 'index')} not checked: {_listed(left)}")
    return notes


# Words.


def _grouped(found: Sequence[Difference]) -> list[str]:
    """The differences in words; what is said of many of a kind is said once."""
    alike: defaultdict[tuple[str, str], list[Thing]] = defaultdict(list)
    for one in found:
        alike[one.thing.kind, one.said].append(one.thing)
    out = []
    for (kind, said), things in alike.items():
        if len(things) <= _ALIKE:
            out += [_bounded(f"{thing} {said}") for thing in things]
            continue
        # "is" and "has" of the one are "are" and "have" of the many.
        verb, _, rest = said.partition(" ")
        many = {"is": "are", "has": "have", "gives": "give"}.get(verb, verb)
        names = _listed([thing.name for thing in things])
        out.append(_bounded(f"{_counted(len(things), kind)} {many} {rest}: {names}"))
    return out


def _bounded(text: str, most: int = 500) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _looked_at(here: Side, counted: int, broken: Mapping[str, str] | None) -> str:
    kinds = Counter("table" if thing.kind == "partitioned table" else thing.kind for thing in here.things)
    others = sum(count for kind, count in kinds.items() if kind not in _KINDS)
    parts = [_counted(kinds[kind], kind) for kind in _KINDS]
    parts += [_counted(others, "other thing")] if others else []
    part = f"{counted:,} of " if counted < len(here.rows) else ""
    parts.append(f"row counts of {part}{_counted(len(here.rows), 'table')}")
    checked = sum(not _NOT_CHECKED.search(why) for why in (broken or {}).values())
    parts.append(f"{_counted(checked, 'index')} checked" if broken is not None else "no index checked")
    return ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else _PLURALS.get(noun, noun + 's')}"


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(_short(name) for name in names[:most]) + more


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
