"""Whether old backups go, how much of their disk all of them take, and whether one lies off site.

Serves the guide's emergency of a full disk, whose first thing to go is old backups, and its copies of them in S3.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from observe.backups import CAUSE, Backup, compile_pattern, files_in, sort_out
from observe.errors import CannotTell
from observe.off_site import Copy
from target.kinds import say_bytes, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from observe.filesystems import FileSystem
    from observe.host import Host
    from target.kinds import Share, Span
    from target.limits import Limit

GRACE = timedelta(days=2)
"""What a backup may stand longer than it is kept: deletion runs once a night, and `find -mtime +30` first takes what is
31 days old."""
_LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Held:
    """A file that looks like a backup.

    Attributes:
        name: The file's name.
        at: Its time, aware: the one in its name, or when it was last written where its name is no backup's.
        size: Its size in bytes.
        whole: Whether its name is a backup's, and not a partial one's or a copy's.
    """

    name: str
    at: datetime
    size: int
    whole: bool

    def age(self, now: datetime) -> timedelta:
        """How old it is."""
        # In UTC: Python reckons two times of one zone by the clock on the wall, also across a change of clocks.
        return now.astimezone(UTC) - self.at.astimezone(UTC)


@dataclass(frozen=True)
class Pile:
    """What lies in the backup directory.

    Attributes:
        directory: The directory.
        backups: The dumps, newest name first.
        held: All that look like backups, those among them, oldest first.
    """

    directory: Path
    backups: tuple[Backup, ...]
    held: tuple[Held, ...]

    @property
    def size(self) -> int:
        """What they take together, in bytes."""
        return sum(one.size for one in self.held)

    def older_than(self, span: timedelta, now: datetime) -> tuple[Held, ...]:
        """Those that are older, oldest first."""
        return tuple(one for one in self.held if one.age(now) > span)

    def due(self, delay: timedelta, now: datetime) -> Backup | None:
        """The newest backup that is so old that it must have a copy elsewhere; None when none is."""
        return next((one for one in self.backups if one.age(now) > delay), None)


@dataclass(frozen=True)
class Archive:
    """The backups as a whole.

    Attributes:
        pile: What lies in their directory.
        now: When that was looked at, aware.
        retention: How long they are kept.
        most: The largest part of their disk that all may take, 0 to 1.
        disk: The file system that they lie on; None where they lie in a bucket and on no disk.
        bucket: Where their copies lie; empty: there is no such place.
        copy: The copy of the newest that must have one; why that can't be told; None when none must. Where they lie in
            the bucket itself, the backup there.
        versions: Whether the bucket that is their only place gives back what was deleted, in words.
    """

    pile: Pile
    now: datetime
    retention: timedelta
    most: float
    disk: FileSystem | None
    bucket: str
    copy: Copy | CannotTell | None
    versions: str = ""

    @property
    def kept_for(self) -> timedelta:
        """How old a backup may become before it counts as forgotten."""
        return self.retention + GRACE

    @property
    def old(self) -> tuple[Held, ...]:
        """The files that should be gone, oldest first."""
        return self.pile.older_than(self.kept_for, self.now)

    @property
    def share(self) -> float:
        """The part of their disk that all take; above 1 where files have holes, 0 where they lie on none.

        Raises:
            CannotTell: If the disk says of itself that it has no size.
        """
        if self.disk is None:
            return 0.0
        if not self.disk.space.total:
            raise CannotTell(f"df says of {self.disk.path} that its disk has no size")
        return self.pile.size / self.disk.space.total

    @property
    def looked_at(self) -> str:
        """The denominator: files, directory, disk, and the copy."""
        number = len(self.pile.held)
        files = "1 file that looks like a backup" if number == 1 else f"{number} files that look like backups"
        copy = f"; {self.copy.place}" if isinstance(self.copy, Copy) else ""
        if self.disk is None:
            return f"{files} in {self.pile.directory}{copy}"
        return f"{files} in {self.pile.directory}, on a disk of {say_bytes(self.disk.space.total)}{copy}"

    @property
    def said(self) -> str:
        """Ages, share and copy; what isn't as wanted first."""
        return "; ".join([*self._troubles, *self._in_order])

    @property
    def _troubles(self) -> list[str]:
        found = [f"{len(self.old)} should be gone, the oldest, {self._oldest}"] if self.old else []
        if self.share > self.most:
            found.append(self._taken)
        if isinstance(self.copy, Copy) and self.copy.trouble:
            found.append(self.copy.trouble)
        return found

    @property
    def _in_order(self) -> list[str]:
        found = [] if self.old else [f"the oldest, {self._oldest}"]
        if self.share <= self.most:
            found.append(self._taken)
        if isinstance(self.copy, CannotTell):
            found.append(f"whether a copy lies off site can't be told: {self.copy}")
        elif self.copy is not None and not self.copy.trouble:
            found.append(self.copy.said)
        return found

    @property
    def _oldest(self) -> str:
        oldest = self.pile.held[0]
        return f"{oldest.name[:200]} is {say_span(oldest.age(self.now))} old"

    @property
    def _taken(self) -> str:
        of_disk = "on no disk of this stack" if self.disk is None else f"{say_share(self.share)} of their disk"
        return f"together {say_bytes(self.pile.size)}, {of_disk}"

    def wanted(self, share: str, delay: str) -> str:
        """What is wanted, with the limits as they are said."""
        off_site = f"; off site a copy of the newest that is older than {delay}" if self.bucket else ""
        kept = f"none older than {say_span(self.kept_for)} (backups.retention is {say_span(self.retention)})"
        if self.disk is None:
            return f"{kept}; each in the bucket at most {delay} after it was made"
        return f"{kept}; together at most {share} of their disk{off_site}"

    def limits(self, share: Limit[Share], delay: Limit[Span]) -> list[Limit[Any]]:
        """Those of the limits that were held against something."""
        shares: list[Limit[Any]] = [] if self.disk is None else [share]
        return [*shares, delay] if self.copy is not None else shares

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside it."""
        grace = (
            f"{say_span(GRACE)} beyond backups.retention are allowed: deletion runs once a night, and `find -mtime +N` "
            "takes what is a whole day older than N"
        )
        if self.disk is None:
            return grace, (
                "backups.in_bucket: they lie in the bucket alone, which is off site, and take no room on a disk of "
                "this stack. It is their only place, and whoever may delete there deletes them all: "
                f"{self.versions}"
            )
        if not self.bucket:
            return grace, (
                "no copy off site is looked for: none is configured. A fire takes the backups along with the host; "
                "have them copied to an object store, and name it: bucket, url and prefix under [offsite]"
            )
        if self.copy is None:
            return grace, "no backup is so old that it must have a copy off site"
        return (grace,)

    def rows(self) -> list[dict[str, str]]:
        """The files for the report, oldest first."""
        old = set(self.old)
        return [
            {
                "file": one.name[:200],
                "age": say_span(one.age(self.now)),
                "size": say_bytes(one.size),
                "": "should be gone" if one in old else "" if one.whole else "no whole backup by its name",
            }
            for one in self.pile.held
        ]

    def copy_rows(self) -> list[dict[str, str]]:
        """The copy for the report."""
        return self.copy.rows() if isinstance(self.copy, Copy) else []

    @property
    def holds(self) -> bool:
        """Whether all that could be seen is as wanted."""
        return not self._troubles

    def must_see(self) -> None:
        """To be asked when the rest is as wanted.

        Raises:
            CannotTell: If nobody knows of the copy.
        """
        if isinstance(self.copy, CannotTell):
            raise self.copy.with_traceback(None)


def pile(host: Host, directory: Path, pattern: str, zone: tzinfo) -> Pile:
    """Look at all that looks like a backup: the backups, partial ones, copies of them.

    Args:
        host: The host that they lie on.
        directory: Where.
        pattern: The names of the dumps, with strftime's codes.
        zone: The zone of the time in the names.

    Raises:
        CannotTell: If the directory isn't there or can't be read, or there is no backup in it.
    """
    entries: list[tuple[str, int, float]] = []
    places: dict[str, str] = {}
    for entry in filter(None, files_in(host, directory, r"%D:%i\t%s\t%T@\t%f\0").split("\0")):
        place, weight, modified, name = entry.split("\t", 3)
        entries.append((name, int(weight), float(modified)))
        places[name] = place
    return piled(directory, entries, places, pattern, zone)


def piled(
    directory: Path, entries: Sequence[tuple[str, int, float]], places: Mapping[str, str], pattern: str, zone: tzinfo
) -> Pile:
    """Tell what looks like a backup among files.

    Args:
        directory: Where they lie.
        entries: Name, size in bytes and time of last writing in seconds since 1970 of each.
        places: What tells each from the others by its name: names that lead to the same have the same.
        pattern: As in :func:`pile`.
        zone: Likewise.

    Raises:
        CannotTell: If there is no backup among them.
    """
    listing = sort_out(directory, entries, pattern, zone)
    if not listing.backups:
        raise CannotTell(f"there is no backup in {directory}", cause=CAUSE)
    held = [Held(one.name, one.at, one.size, whole=True) for one in listing.backups]
    # Another name for one of them, a link called `latest` say, takes no room of its own.
    counted = {places[one.name] for one in listing.backups}
    others, alike = set(listing.others), looks_like(pattern)
    for name, size, written in entries:
        if name in others and alike(name) and places[name] not in counted:
            at = datetime.fromtimestamp(min(max(written, 0.0), _LATEST), UTC).astimezone(zone)
            held.append(Held(name, at, size, whole=False))
    held.sort(key=lambda one: (one.at.astimezone(UTC), one.name))
    return Pile(directory, listing.backups, tuple(held))


def looks_like(pattern: str) -> Callable[[str], bool]:
    """Whether a name is a backup's with something before or after it, or begins as they all do."""
    inside = compile_pattern(pattern)
    beginning = pattern.partition("%")[0]
    return lambda name: inside.search(name) is not None or (len(beginning) > 2 and name.startswith(beginning))


def copy_where_due(
    backups: Pile, delay: timedelta, now: datetime, look: Callable[[Backup], Copy] | None
) -> Copy | CannotTell | None:
    """The copy of the newest backup that is older than the delay, or why that can't be told.

    Args:
        backups: The backups.
        delay: How old a backup is when it must have a copy.
        now: The time, aware.
        look: Looks for a backup's copy; None when there is no place for one.
    """
    due = backups.due(delay, now)
    if due is None or look is None:
        return None
    try:
        return look(due)
    except CannotTell as unknown:
        return unknown
