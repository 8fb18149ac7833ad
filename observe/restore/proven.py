"""Whether a backup that a restore drill has proven still stands, and for how long.

Serves the guide's mid-month restore test: it proves one backup, which retention deletes a month later, whatever has
become of those that were made since.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observe.backups import sort_out
from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from observe.files import checksum_there
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import tzinfo

    from observe.backups import Listing

_BLOCK = 256 * 1024
_NAMED = 3


@dataclass(frozen=True)
class Proof:
    """A backup that a drill has restored without error.

    Attributes:
        name: Its file's name.
        size: Its size in bytes, as it was read then.
        sha256: The checksum of what was read then, in hexadecimal.
        at: When it was made, by its name, aware.
        drilled_at: When it was proven, aware.
    """

    name: str
    size: int
    sha256: str
    at: datetime
    drilled_at: datetime


@dataclass(frozen=True)
class Standing:
    """What has become of a proven backup.

    Attributes:
        proof: What was proven.
        trouble: Why it doesn't count any more, in words; empty while it does.
        deleted_on: When retention deletes it.
    """

    proof: Proof
    trouble: str
    deleted_on: datetime

    def row(self) -> dict[str, str]:
        """It, for the report."""
        return {
            "file": self.proof.name,
            "size": say_bytes(self.proof.size),
            "proven": f"{self.proof.drilled_at:%Y-%m-%d %H:%M}",
            "deleted": f"{self.deleted_on:%Y-%m-%d}",
            "now": self.trouble or "stands",
        }


@dataclass(frozen=True)
class ProvenKept:
    """Whether a proven backup is kept.

    Attributes:
        standing: What has become of the proven ones, newest first, to the first that stands.
        proofs: How many there are.
        next_drill: When the next drill is due; now, if that was earlier.
        looked_at: The denominator, in words.
    """

    standing: tuple[Standing, ...]
    proofs: int
    next_drill: datetime
    looked_at: str

    @property
    def newest(self) -> Standing | None:
        """The newest that stands, if one does."""
        last = self.standing[-1]
        return None if last.trouble else last

    @property
    def holds(self) -> bool:
        """Whether one stands, and will until the next drill."""
        return self.newest is not None and self.newest.deleted_on >= self.next_drill

    @property
    def name(self) -> str:
        """The newest that stands, or the newest that doesn't."""
        return (self.newest or self.standing[0]).proof.name

    @property
    def said(self) -> str:
        """What was seen, in words."""
        if self.newest is None:
            shown = "; ".join(f"{one.proof.name} {one.trouble}" for one in self.standing[:_NAMED])
            more = f"; and {len(self.standing) - _NAMED} more" if len(self.standing) > _NAMED else ""
            count = "1 proven backup" if self.proofs == 1 else f"{self.proofs} proven backups"
            return f"none of {count} stands: {shown}{more}"
        deleted, drill = self.newest.deleted_on, self.next_drill
        if self.holds:
            return f"it stands, and will until {deleted:%Y-%m-%d}; the next drill is due on {drill:%Y-%m-%d}"
        return f"it will be deleted on {deleted:%Y-%m-%d}, before the next drill on {drill:%Y-%m-%d}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside that: newer proven ones that don't count any more."""
        if self.newest is None:
            return ()
        return tuple(f"{one.proof.name}, which is newer and was proven, {one.trouble}" for one in self.standing[:-1])

    @property
    def left(self) -> timedelta:
        """From the next drill to the deletion of the newest that stands; below 0 it comes too late."""
        if self.newest is None:
            return timedelta(days=-1)
        return self.newest.deleted_on - self.next_drill

    def rows(self, most: int = 10) -> list[dict[str, str]]:
        """The proven ones that were looked at, for the report."""
        return [one.row() for one in self.standing[:most]]


def proofs_among(drills: Iterable[tuple[datetime, bool, Mapping[str, Any]]], pattern: str, zone: tzinfo) -> list[Proof]:
    """What the drills of the history have proven.

    Args:
        drills: Of each when it was, whether it has proven its backup, and its receipt.
        pattern: The names of the backups, with strftime's codes; what isn't named so any more is left out, since
            nobody can tell when it was made.
        zone: The zone of the time in the names.
    """
    found = []
    for drilled_at, proven, receipt in drills:
        name, size = str(receipt["file"]), int(receipt["size"])
        made = sort_out(Path(), [(name, size, 0.0)], pattern, zone).backups if proven else ()
        found += [Proof(name, size, str(receipt["sha256"]), one.at, drilled_at) for one in made]
    return found


def proven_kept(
    proofs: Iterable[Proof],
    listing: Listing,
    *,
    retention: timedelta,
    interval: timedelta,
    last_drill: datetime,
    now: datetime,
    checksum: Callable[[str], str],
) -> ProvenKept:
    """Find the newest proven backup that still stands, and hold its end against the next drill.

    Args:
        proofs: What drills have proven, in any order; of a file that was proven with several contents each counts.
        listing: What lies in the backup directory.
        retention: How long a backup is kept after it was made.
        interval: How long after the last drill the next one is.
        last_drill: When the last drill was, whatever came of it, aware.
        now: The run's time, aware; its zone is the one of the dates in words.
        checksum: Reads a file of the directory and gives its SHA-256 in hexadecimal. It is asked of the newest only
            that is there with its size, and of an older one where that has changed.

    Raises:
        CannotTell: If no drill has proven anything yet, or a file can't be read.
    """
    by_name: dict[str, list[Proof]] = {}
    for one in sorted(proofs, key=lambda one: one.drilled_at.astimezone(UTC), reverse=True):
        by_name.setdefault(one.name, []).append(one)
    if not by_name:
        raise CannotTell(
            "no restore drill has proven a backup yet",
            mend="Have one: `pytest -m mid_month --target FILE`, with your target's file.",
        )
    sizes = {one.name: one.size for one in listing.backups}
    zone, standing = now.tzinfo, []
    for of_one in sorted(by_name.values(), key=lambda each: (each[0].at.astimezone(UTC), each[0].name), reverse=True):
        proof, trouble = _what_stands(of_one, sizes.get(of_one[0].name), checksum)
        standing.append(Standing(proof, trouble, (proof.at.astimezone(UTC) + retention).astimezone(zone)))
        if not trouble:
            break
    due = max(now, (last_drill.astimezone(UTC) + interval).astimezone(zone))
    count = (
        "1 backup that a drill has proven" if len(by_name) == 1 else f"{len(by_name)} backups that drills have proven"
    )
    return ProvenKept(tuple(standing), len(by_name), due, f"{count}; {listing.looked_at}")


def _what_stands(proofs: list[Proof], size: int | None, checksum: Callable[[str], str]) -> tuple[Proof, str]:
    """The last proof of a file that it still is as it was then; or the last one, and why it isn't."""
    last = proofs[0]
    if size is None:
        return last, "is gone"
    alike = [one for one in proofs if one.size == size]
    if not alike:
        return last, f"was changed since: it has {size:,} bytes, and had {last.size:,}"
    now = checksum(last.name)
    return next(((one, "") for one in alike if one.sha256 == now), (last, "was changed since: it has another checksum"))


def sha256_of(path: Path, seconds: float) -> str:
    """A file's checksum, read in blocks.

    Args:
        path: The file.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If it can't be read, or not in that time.
    """
    late = threading.Event()

    def read() -> str:
        if (there := checksum_there(path)) is not None:
            return there
        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while not late.is_set() and (block := file.read(_BLOCK)):
                digest.update(block)
        return digest.hexdigest()

    try:
        return within(seconds, read, give_up=late.set)
    except OSError as error:
        raise CannotTell(
            f"{path} can't be read: {(error.strerror or str(error)).lower()}",
            mend="Let the user of this run read the backups, by their group or an ACL, or run it as root.",
            cause=f"backup {path.name}",
        ) from None
    except TimeIsUp as limit:
        raise CannotTell(
            f"{path.name} was not read to its end within {say_span(timedelta(seconds=limit.seconds))}",
            mend="See what slows its disk down, or give it longer (timeouts.backup).",
            cause=f"backup {path.name}",
        ) from None
