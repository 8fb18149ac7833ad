"""The nightly dumps: one listing, read by the time in their names.

Serves the guide's `ls … | head -1` of the morning, which shows the oldest file
where the newest is meant, and the `ls … | tail -7` of Monday, which shows
seven files and not seven days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from statistics import median
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from observe.host import Host

CAUSE = "backups"
_CODES = {"Y": "(?P<Y>[0-9]{4})", **{code: f"(?P<{code}>[0-9][0-9])" for code in "mdHMS"}}
_LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()
_WRITTEN_BEFORE = timedelta(minutes=5)
"""A dump is named when it begins and ends later: a file that was last written well before its name's time
carries a name that isn't its own."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Backup:
    """One dump.

    Attributes:
        name: The file's name.
        at: The time in its name, aware, in the zone of the names. Where that is a day without a time: when the file
            was last written, as far as that is on that day.
        size: Its size in bytes.
        modified: When the file was last written, aware.
    """

    name: str
    at: datetime
    size: int
    modified: datetime

    @property
    def weight(self) -> str:
        """Its size as a person says it."""
        return say_bytes(self.size)

    def age(self, now: datetime) -> timedelta:
        """How old it is by its name; negative when the name lies in the future."""
        # In UTC: Python reckons two times of one zone by the clock on the wall, also across a change of clocks.
        return now.astimezone(UTC) - self.at.astimezone(UTC)

    @property
    def misnamed_by(self) -> timedelta | None:
        """How much earlier than its name says the file was written; None when the two go together."""
        early = self.at.astimezone(UTC) - self.modified.astimezone(UTC)
        return early if early > _WRITTEN_BEFORE else None


@dataclass(frozen=True)
class Freshness:
    """How fresh the newest backup is.

    Attributes:
        name: The file, or the directory when there is none.
        age: Its age by its name; None when there is no backup.
        said: What was seen, in words.
        lie: Whether its name can't be true.
    """

    name: str
    age: timedelta | None
    said: str
    lie: bool

    @property
    def seconds(self) -> float:
        """The age in seconds; 0 when there is none."""
        return self.age.total_seconds() if self.age is not None else 0.0


@dataclass(frozen=True)
class Usual:
    """What a backup usually weighs.

    Attributes:
        size: The median in bytes, at least 1.
        of: How many backups it is the median of.
    """

    size: int
    of: int

    @property
    def weight(self) -> str:
        """The median as a person says it."""
        return say_bytes(self.size)


@dataclass(frozen=True)
class Listing:
    """What lies in the backup directory.

    Attributes:
        directory: The directory.
        backups: The dumps, newest name first.
        others: Names that are no dump's: a log, a partial file.
    """

    directory: Path
    backups: tuple[Backup, ...]
    others: tuple[str, ...]

    @property
    def looked_at(self) -> str:
        """The denominator: how many files were looked at, and where."""
        number = len(self.backups)
        said = "1 backup" if number == 1 else f"{number} backups"
        rest = {0: "", 1: " and 1 other file"}.get(len(self.others), f" and {len(self.others)} other files")
        return f"{said}{rest} in {self.directory}"

    def the_newest(self) -> Backup:
        """The newest by name, for what asks something else than whether there is one.

        Raises:
            CannotTell: If there is none, which is what `backup-fresh` says.
        """
        if not self.backups:
            raise CannotTell(f"there is no backup in {self.directory}", cause=CAUSE)
        return self.backups[0]

    def of_day(self, day: date) -> tuple[Backup, ...]:
        """The backups of a calendar day, by the time in their names, newest first."""
        return tuple(one for one in self.backups if one.at.date() == day)

    def said_of(self, day: date) -> str:
        """What there is of a day, in words: names and sizes, or nothing and what its neighbours have."""
        if found := self.of_day(day):
            return _named(found)
        beside = (day - _DAY, day + _DAY)
        return f"none of {day}; " + ", ".join(f"{len(self.of_day(one))} of {one}" for one in beside)

    def rows_around(self, day: date) -> list[dict[str, str]]:
        """That day, the one after it and the five before it for the report, newest first."""
        days = [day - _DAY * number for number in range(-1, 6)]
        return [
            {"day": str(one), "backups": str(len(found := self.of_day(one))), "files": _named(found)} for one in days
        ]

    def gap_at(self, day: date) -> str:
        """What others wait for that miss the backup of that day: days in a row without one have one cause."""
        before = next((one for one in self.backups if one.at.date() < day), None)
        return f"no backup after {before.name}" if before is not None else CAUSE

    def the_last_of(self, day: date) -> Backup:
        """The last backup of a day, for what asks something else than whether there is one.

        Raises:
            CannotTell: If there is none, which is what `backups-daily` says.
        """
        if found := self.of_day(day):
            return found[0]
        raise CannotTell(
            f"there is no backup of {day} in {self.directory} to look into (backups-daily)",
            mend="See why there is none; the other days' can be tried by hand: `gzip -t`.",
            cause=self.gap_at(day),
        )

    def freshness(self, now: datetime) -> Freshness:
        """How fresh the newest backup is, held against when its file was written."""
        if not self.backups:
            return Freshness(str(self.directory), None, "no backup at all", lie=False)
        newest = self.backups[0]
        age = newest.age(now)
        if age < timedelta(0):
            said = f"its name lies {say_span(-age)} in the future (last written {newest.modified:%Y-%m-%d %H:%M})"
            return Freshness(newest.name, age, said, lie=True)
        if newest.misnamed_by is not None:
            said = (
                f"{say_span(age)} old by its name, but its file was last written "
                f"{say_span(newest.misnamed_by)} before that ({newest.modified:%Y-%m-%d %H:%M})"
            )
            return Freshness(newest.name, age, said, lie=True)
        return Freshness(newest.name, age, f"{say_span(age)} old", lie=False)

    def usual(self, of: int = 7, at_least: int = 3) -> Usual:
        """The median size of the last backups.

        Raises:
            CannotTell: If there are fewer than `at_least`.
        """
        if len(self.backups) < at_least:
            number = len(self.backups)
            raise CannotTell(
                f"{number} of at least {at_least} backups are there to compare with in {self.directory}",
                mend="Wait for more nights, or look where the earlier backups went.",
                cause=CAUSE,
            )
        last = self.backups[:of]
        return Usual(max(1, int(median(one.size for one in last))), len(last))

    def rows(self, now: datetime, of: int = 8) -> list[dict[str, str]]:
        """The last backups for the report."""
        return [
            {
                "file": one.name,
                "age by its name": say_span(one.age(now)),
                "last written": f"{one.modified:%Y-%m-%d %H:%M:%S}",
                "size": say_bytes(one.size),
            }
            for one in self.backups[:of]
        ]


def days_before(now: datetime, count: int) -> tuple[date, ...]:
    """The last complete calendar days before `now`, newest first, in the zone that `now` is given in.

    By the calendar and not by 24 hours each: a day has 23 or 25 of them where the clocks change.
    """
    return tuple(now.date() - _DAY * number for number in range(1, count + 1))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A file name with strftime's codes as a regular expression whose groups are those codes."""
    parts = re.split(r"%(.)", pattern)
    seen: set[str] = set()
    out: list[str] = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            out.append(re.escape(part))
        elif part == "%":
            out.append("%")
        else:
            out.append(_CODES[part] if part not in seen else rf"(?P={part})")
            seen.add(part)
    return re.compile("".join(out))


def list_backups(host: Host, directory: Path, pattern: str, zone: tzinfo) -> Listing:
    """Look into the backup directory, once.

    Args:
        host: The host that it is on.
        directory: The directory; files below it don't count.
        pattern: The names of the dumps, with strftime's codes.
        zone: The zone of the time in the names.

    Raises:
        CannotTell: If the directory isn't there or can't be read.
    """
    return sort_out(directory, _entries(files_in(host, directory, r"%f\t%s\t%T@\0")), pattern, zone)


def files_in(host: Host, directory: Path, shown: str) -> str:
    """What `find` says of each file of the backup directory; files below it don't count.

    Args:
        host: The host that it is on.
        directory: The directory.
        shown: What it is to say of each, as its -printf takes it.

    Raises:
        CannotTell: If the directory isn't there or can't be read.
    """
    # With the dot a file in the directory's place is an error, and not a directory without files.
    command = ("find", "-L", f"{directory}/.", "-maxdepth", "1", "-mindepth", "1", "-type", "f")
    ran = host.run(*command, "-printf", shown)
    if ran.status != 0:
        # A file that was renamed just then (a backup coming to its end) makes find complain once.
        ran = host.run(*command, "-printf", shown)
    if ran.status != 0:
        why = ran.complaint.splitlines()[0].rpartition(":")[2].strip().lower() if ran.complaint else "find failed"
        raise CannotTell(
            f"the backup directory {directory} can't be read: {why}",
            mend="Check backups.directory in the target; if it is right, let the user of this run read it.",
            cause=CAUSE,
        )
    return ran.out


def sort_out(directory: Path, entries: Sequence[tuple[str, int, float]], pattern: str, zone: tzinfo) -> Listing:
    """Tell the dumps from what else lies there, by their names.

    Args:
        directory: Where they lie.
        entries: Name, size in bytes and time of last writing in seconds since 1970 of each file.
        pattern: As in :func:`list_backups`.
        zone: Likewise.
    """
    expression = compile_pattern(pattern)
    backups: list[Backup] = []
    others: list[str] = []
    for name, size, modified in entries:
        at = _time_in(name, expression, zone)
        if at is None:
            others.append(name)
        else:
            # A file system can hold times that Python's calendar can't.
            written = datetime.fromtimestamp(min(max(modified, 0.0), _LATEST), UTC)
            if "H" not in expression.groupindex:
                at = _within_its_day(at, written)
            backups.append(Backup(name, at, size, written.astimezone(zone)))
    backups.sort(key=lambda one: (one.at.astimezone(UTC), one.name), reverse=True)
    return Listing(directory, tuple(backups), tuple(sorted(others)))


def _within_its_day(midnight: datetime, written: datetime) -> datetime:
    """When a dump of that day was made: a name without a time would make every one as old as if made at midnight."""
    try:
        last = midnight.replace(hour=23, minute=59, second=59).astimezone(UTC)
    except OverflowError:
        return midnight  # the calendar's last day
    return max(midnight.astimezone(UTC), min(written, last)).astimezone(midnight.tzinfo)


def _named(found: Sequence[Backup], most: int = 3) -> str:
    """Names and sizes of some backups, no more than that many."""
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(f"{one.name} ({one.weight})" for one in found[:most]) + more


def _entries(out: str) -> list[tuple[str, int, float]]:
    entries: list[tuple[str, int, float]] = []
    for entry in filter(None, out.split("\0")):
        name, size, modified = entry.rsplit("\t", 2)
        entries.append((name, int(size), float(modified)))
    return entries


def _time_in(name: str, expression: re.Pattern[str], zone: tzinfo) -> datetime | None:
    match = expression.fullmatch(name)
    if match is None:
        return None
    part = {code: int(text) for code, text in match.groupdict().items()}
    try:
        hour, minute, second = (part.get(code, 0) for code in "HMS")
        at = datetime(part["Y"], part["m"], part["d"], hour, minute, second, tzinfo=zone)
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # the 31st of November is no backup's name, nor is the 1st of January of the year 1
    return at
