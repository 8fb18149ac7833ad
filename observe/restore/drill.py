"""The restore drill: once a run, a backup is loaded, held against the live database, and thrown away.

Serves the guide's monthly restore of a backup into a test database, and what
else asks for a backup that was proven: one restore answers all of them.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from observe.deadline import begun
from observe.errors import CannotTell, NoAnswer
from observe.filesystems import FileSystems
from observe.restore import compare
from observe.restore.load import beginning, load
from observe.restore.scratch import Scratch, cluster, remove_leftovers
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from observe.database import Database
    from observe.engine import Container, Engine
    from observe.host import Host
    from observe.restore.compare import Comparison
    from observe.restore.load import Loaded, Progress
    from observe.restore.scratch import Cluster
    from target.model import Restore

T = TypeVar("T")
_GROWS = 1.2
"""A database that was just loaded is hardly larger than the live one; sorting for its indexes takes room meanwhile."""
_NAMED = 10
_CHECKERS = 2
"""Sessions that check indexes: the container has two processors, unless it is told otherwise."""


@dataclass(frozen=True)
class Means:
    """What a drill needs.

    Attributes:
        engine: Where the live database's container is, or whose disk serves.
        source: That container; or an image by its name, where somebody else manages the live database.
        live: The live database.
        host: The machine that the engine's data is on.
        limits: What the drill may use.
        target: The target's name.
        token: The run's.
        seconds: Total time limit of the whole drill, in seconds.
        counting: That of asking the live database, likewise.
    """

    engine: Engine
    source: Container | str
    live: Database
    host: Host
    limits: Restore
    target: str
    token: str
    seconds: float
    counting: float


@dataclass(frozen=True)
class Allowed:
    """How far the restored database may be from the live one.

    Attributes:
        change: A table's rows may have changed by this share.
        floor: A change of no more rows than this is none.
        activity: The table of activity and its column of time, for the statement `restore_newest`.
    """

    change: float
    floor: int
    activity: Mapping[str, str]


@dataclass(frozen=True)
class Newest:
    """The newest activity in the restored database.

    Attributes:
        at: When that was, in UTC; None when there is none.
        rows: How many rows of activity there are.
        empty_live: Whether there is none in the live database either.
    """

    at: datetime | None
    rows: int
    empty_live: bool


@dataclass(frozen=True)
class Receipt:
    """What a drill came to.

    Attributes:
        at: When it began, aware.
        loaded: The backup, and how loading it went.
        like: What the server was made like.
        whole_seconds: How long the whole drill took, the comparison included.
        left: Scratch containers of earlier runs that were removed.
    """

    at: datetime
    loaded: Loaded
    like: Cluster
    whole_seconds: float
    left: tuple[str, ...]
    _compared: Comparison | CannotTell | NoAnswer
    _newest: Newest | CannotTell | NoAnswer

    @property
    def cause(self) -> str:
        """What waits for this backup to be restored says that it waits for this."""
        return f"backup {self.loaded.name}"

    @property
    def proven(self) -> bool:
        """Whether the backup was restored without an error."""
        return not self.loaded.troubles

    @property
    def matches(self) -> bool:
        """Whether it was held against the live database and no difference was found."""
        return isinstance(self._compared, compare.Comparison) and not self._compared.differences

    @property
    def comparison(self) -> Comparison:
        """The restored database, held against the live one.

        Raises:
            CannotTell: If it couldn't be.
        """
        return _given(self._compared)

    @property
    def newest(self) -> Newest:
        """The newest activity.

        Raises:
            CannotTell: If it couldn't be asked for.
            NoAnswer: As for :attr:`comparison`.
        """
        return _given(self._newest)

    @property
    def looked_at(self) -> str:
        """The denominator: how much was loaded, and into what."""
        major = self.like.major
        return (
            f"{self.loaded.looked_at}, into an empty PostgreSQL {major} with {len(self.made)} roles of the live one's"
        )

    @property
    def said(self) -> str:
        """How it went, in words."""
        if self.loaded.troubles:
            return "; ".join(self.loaded.troubles)
        return f"restored without an error in {say_span(timedelta(seconds=self.loaded.seconds))}"

    @property
    def made(self) -> tuple[str, ...]:
        """The roles that were made first."""
        return self.like.roles

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside that."""
        notes = []
        if self.made:
            more = f" and {len(self.made) - _NAMED} more" if len(self.made) > _NAMED else ""
            notes.append(
                "a dump carries no roles: restoring elsewhere needs "
                + ", ".join(name[:63] for name in self.made[:_NAMED])
                + f"{more} to be made first"
            )
        head = self.loaded.head
        if 0 < head.major < self.like.major:
            notes.append(f"the dump is of PostgreSQL {head.server}, older than the server's {self.like.major}")
        if head.database:
            notes.append("the dump makes its database itself")
        if self.loaded.warnings:
            notes.append(f"{self.loaded.warnings} warnings besides")
        if self.left:
            notes.append(f"removed what earlier drills had left behind: {', '.join(self.left[:_NAMED])}")
        return tuple(notes)

    def rows(self) -> list[dict[str, str]]:
        """The receipt for the report."""
        loaded = self.loaded
        return [
            {
                "backup": loaded.name,
                "size": say_bytes(loaded.size),
                "SHA-256": loaded.sha256,
                "SQL": say_bytes(loaded.gzip.unpacked),
                "lines": str(loaded.lines),
                "errors": str(loaded.error_count),
                "loaded in": say_span(timedelta(seconds=loaded.seconds)),
                "a second": say_bytes(loaded.rate),
                "compared and all": say_span(timedelta(seconds=self.whole_seconds)),
                "of PostgreSQL": loaded.head.server or "?",
                "into PostgreSQL": str(self.like.major),
            }
        ]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON has it, for the history."""
        loaded, newest = self.loaded, self._newest
        compared = self._compared
        return {
            "file": loaded.name,
            "size": loaded.size,
            "sha256": loaded.sha256,
            "at": self.at.astimezone(UTC).isoformat(),
            "seconds": round(loaded.seconds, 3),
            "whole_seconds": round(self.whole_seconds, 3),
            "server_version": self.like.version,
            "dumped_from": loaded.head.server,
            "unpacked": loaded.gzip.unpacked,
            "lines": loaded.lines,
            "proven": self.proven,
            "troubles": list(loaded.troubles),
            "error_count": loaded.error_count,
            "errors": [
                {
                    "line": one.line,
                    "state": one.state,
                    "message": one.message,
                    "object": one.object,
                    "follows": one.follows,
                }
                for one in loaded.errors
            ],
            "roles": list(self.made),
            "comparison": compared.as_dict() if isinstance(compared, compare.Comparison) else None,
            "not_compared": "" if isinstance(compared, compare.Comparison) else str(compared),
            "newest_activity": newest.at.isoformat() if isinstance(newest, Newest) and newest.at is not None else None,
            "activity_rows": newest.rows if isinstance(newest, Newest) else None,
            "notes": list(self.notes),
        }


def _given(seen: T | CannotTell | NoAnswer) -> T:
    if isinstance(seen, CannotTell | NoAnswer):
        raise seen.with_traceback(None)
    return seen


def drill(
    means: Means,
    backup: Path,
    at: datetime,
    allowed: Allowed,
    progress: Progress = lambda _done, _all, _seconds: None,
) -> Receipt:
    """Restore a backup, hold it against the live database, and throw it away.

    Args:
        means: What it is done with.
        backup: The file.
        at: The time that it is.
        allowed: How far the restored database may be from the live one.
        progress: As for :func:`observe.restore.load.load`.

    Raises:
        CannotTell: If there is no room, no engine, no way to make a like server, or no time left. Nothing is left
            behind.
    """
    began = time.perf_counter()

    def left() -> float:
        return max(0.01, means.seconds - (time.perf_counter() - began))

    head = beginning(backup)
    like = cluster(means.live)
    leftovers = remove_leftovers(means.engine, means.target)
    scratch = Scratch(
        means.engine,
        means.source,
        like,
        means.limits,
        target=means.target,
        token=means.token,
        seconds=means.seconds + 60,
    )
    _before(means, int(like.size * _GROWS) + scratch.journal)
    # The live database is asked meanwhile: what it says is needed when the backup is loaded.
    live = begun(lambda: means.live.ask_together(compare.STATEMENTS, min(means.counting, means.seconds)))
    with scratch:
        loaded = load(scratch, backup, head, seconds=left(), room=lambda: _meanwhile(means), progress=progress)
        incomplete = _incomplete(loaded)
        # Its session is nobody else's until it has answered, whether that is needed or not.
        asked = _kept(live)

        def unless_incomplete(look: Callable[[], T]) -> T | CannotTell | NoAnswer:
            return _kept(look) if incomplete is None else incomplete

        compared = unless_incomplete(lambda: _compared(_given(asked), scratch, allowed, left()))
        newest = unless_incomplete(lambda: _newest(means, scratch, allowed, left()))
    return Receipt(at, loaded, like, time.perf_counter() - began, leftovers, compared, newest)


def _kept(look: Callable[[], T]) -> T | CannotTell | NoAnswer:
    """What is seen, or why it isn't: other expectations of the same restore can be told nevertheless."""
    try:
        return look()
    except (CannotTell, NoAnswer) as unseen:
        return unseen


def _incomplete(loaded: Loaded) -> CannotTell | None:
    """Why there is nothing to compare; None when all of the dump was loaded."""
    if not (loaded.gzip.damage or loaded.dump.trouble or loaded.stopped):
        return None
    return CannotTell(
        f"what {loaded.name} restores to can't be judged, since only a part of it could be restored (backup-restores)",
        mend="Mend what backup-restores says; then it can be judged.",
        cause=f"backup {loaded.name}",
    )


def _compared(
    live: Mapping[str, list[dict[str, Any]]], scratch: Scratch, allowed: Allowed, seconds: float
) -> Comparison:
    restored = scratch.ask_together([*compare.STATEMENTS, *compare.OF_RESTORED], seconds)
    broken: dict[str, str] | None = None
    # It changes the database, so it comes last.
    if not any(scratch.tell(compare.AMCHECK, seconds)[-1:]):
        broken = _broken_indexes(scratch, compare.index_checks(restored), seconds)
    return compare.held_against(live, restored, change=allowed.change, floor=allowed.floor, broken=broken)


def _broken_indexes(scratch: Scratch, checks: Sequence[tuple[str, str]], seconds: float) -> dict[str, str]:
    """Check every index, in as many sessions as make sense beside each other: most of a comparison's time is this."""

    def check(mine: Sequence[tuple[str, str]]) -> dict[str, str]:
        said = scratch.tell([text for _, text in mine], seconds)
        return {name: why for (name, _), why in zip(mine, said, strict=True)}

    shares = [checks[number::_CHECKERS] for number in range(_CHECKERS)]
    ends = [begun(partial(check, mine)) for mine in shares if mine]
    return {name: why for end in ends for name, why in end().items()}


def _newest(means: Means, scratch: Scratch, allowed: Allowed, seconds: float) -> Newest:
    (seen,) = scratch.ask("restore_newest", allowed.activity, seconds=seconds)
    rows, at = int(seen["rows"]), None
    if seen["newest"]:
        with suppress(ValueError):  # infinity is a time to PostgreSQL
            at = datetime.fromisoformat(seen["newest"]).replace(tzinfo=UTC)
    # Only where it matters: counting takes its time in a large table.
    empty = not rows and not int(means.live.ask("restore_newest", allowed.activity)[0]["rows"])
    return Newest(at, rows, empty)


def _free(means: Means) -> int:
    """Bytes that are free where the engine keeps its data.

    Raises:
        CannotTell: If that can't be seen.
    """
    return FileSystems(means.host, {"docker": means.engine.data_root}).of("docker").space.free


def _before(means: Means, needed: int) -> None:
    free, keep = _free(means), int(means.limits.disk_left)
    if free - needed < keep:
        raise CannotTell(
            f"there is no room for a restore: {say_bytes(free)} free in {means.engine.data_root}, wanted "
            f"{say_bytes(needed)} for it and {say_bytes(keep)} that stay free (restore.disk_left)",
            mend="Make room (`docker system df` shows what the engine keeps), or lower restore.disk_left.",
        )


def _meanwhile(means: Means) -> None:
    free, keep = _free(means), int(means.limits.disk_left)
    if free < keep:
        raise CannotTell(
            f"the restore was stopped: only {say_bytes(free)} were left free in {means.engine.data_root}, wanted "
            f"{say_bytes(keep)} (restore.disk_left)",
            mend="Make room (`docker system df` shows what the engine keeps), or lower restore.disk_left.",
        )
