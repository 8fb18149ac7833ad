"""How long the disks last at the rate at which the database and the backups grow.

The guide looks at `df` each morning and finds a full disk when it is full. The history of the runs knows sizes by day;
the rate is the median of the slopes between every two days (Theil and Sen): a single import, a cleaned table or a day
with a wrong figure doesn't move it, as a line through the first and the last point would be moved, or one of least
squares. It is told from three months, and from the last weeks by themselves; the faster counts, since what began to
grow lately would be lost among the months before. To a rate belongs a span: of a few days nothing is told.

Backups are deleted when they are old enough, so that their sum stands still as long as the dumps weigh the same; no
more than the sum's own history is needed to see that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from observe.filesystems import FileSystem

LOOK_BACK = timedelta(days=92)
"""A rate is told from no more than this: how a database grew a year ago says little of how it grows."""
_DAY = timedelta(days=1)
_MOST_POINTS = 200
"""Every two of them are held against each other: 19,900 slopes, some milliseconds."""
_FAR = 100 * 365.25
_MONTHS_UNTIL = 2 * 365.25


@dataclass(frozen=True)
class Trend:
    """What the history says of one thing's size.

    Attributes:
        name: `database` or `backups`.
        size: The newest size, in bytes.
        points: How many sizes are known.
        since: When the first of them was measured, aware.
        until: When the newest was.
        rate: Bytes a day, below 0 where it shrinks; None where the sizes lie too near together to tell.
        wanted: How far they must lie apart.
    """

    name: str
    size: float
    points: int
    since: datetime
    until: datetime
    rate: float | None
    wanted: timedelta

    @property
    def span(self) -> timedelta:
        """From the first size to the newest."""
        return _between(self.since, self.until)

    @property
    def said(self) -> str:
        """How it grows, in words."""
        if self.rate is None:
            return f"the growth of the {self.name} isn't known yet"
        many = self.name.endswith("s")
        if round(self.rate) == 0:
            return f"the {self.name} {'stay as they are' if many else 'stays as it is'}"
        verb = f"{'grow' if self.rate > 0 else 'shrink'}{'' if many else 's'}"
        return f"the {self.name} {verb} by {say_bytes(abs(self.rate))} a day"

    @property
    def short(self) -> str:
        """What is missing for a rate: how much there is, and how much is needed; empty where nothing is."""
        if self.rate is not None:
            return ""
        days = self.span // _DAY
        return (
            f"{'1 day' if days == 1 else f'{days} days'} of history of the {self.name} (since "
            f"{self.since:%Y-%m-%d}, {'1 run' if self.points == 1 else f'{self.points} runs'}), "
            f"{say_span(self.wanted)} are needed"
        )

    def row(self) -> dict[str, str]:
        """The trend for the report."""
        rate = "not known yet" if self.rate is None else f"{_signed(self.rate)} a day"
        return {
            "what": self.name,
            "size": say_bytes(self.size),
            "growth": rate,
            "sizes known": f"{self.points:,}",
            "since": f"{self.since:%Y-%m-%d}",
        }


@dataclass(frozen=True)
class Outlook:
    """How long a disk lasts for what grows on it.

    Attributes:
        mount: Where it is mounted.
        free: What a user who isn't root can still write, in bytes.
        trends: What lies on it.
        rate: What it loses a day, in bytes; 0 where nothing on it grows.
        floor: Growth of fewer bytes a day than this is none.
        now: When this was seen, aware.
    """

    mount: str
    free: int
    trends: tuple[Trend, ...]
    rate: float
    floor: int
    now: datetime

    @property
    def days(self) -> float | None:
        """For how many days it lasts; None where no end is in sight."""
        return self.free / self.rate if self.rate > 0 and self.rate >= self.floor else None

    @property
    def left(self) -> timedelta | None:
        """The same as a span, which ends where calendars do."""
        return None if self.days is None else timedelta(days=min(self.days, _FAR * 10))

    @property
    def full_on(self) -> str:
        """The day on which it is full, where one can be named."""
        if self.days is None or self.days > _FAR:
            return ""
        return f"{self.now + timedelta(days=self.days):%Y-%m-%d}"

    @property
    def said(self) -> str:
        """What grows, what is left, for how long, in words."""
        things = " and ".join(one.said for one in self.trends)
        whose = "its disk" if [one.name for one in self.trends] == ["database"] else "their disk"
        free = f"{whose} ({self.mount}) has {say_bytes(self.free)} left"
        return f"{things}, {free}: {self.lasts}"

    @property
    def lasts(self) -> str:
        """For how long, in words."""
        if self.days is not None:
            return _lasting(self.days, self.full_on)
        return "no end in sight" if all(one.rate is not None for one in self.trends) else "for how long isn't known"

    def row(self) -> dict[str, str]:
        """The disk for the report."""
        return {
            "disk": self.mount,
            "what lies on it": ", ".join(one.name for one in self.trends),
            "free": say_bytes(self.free),
            "growth": f"{say_bytes(self.rate)} a day",
            "lasts": self.lasts,
        }


@dataclass(frozen=True)
class Growth:
    """The disks, and for how long each of them lasts.

    Attributes:
        trends: What the history says of each thing.
        outlooks: The disks that something of it lies on, the one that is full first at the head.
    """

    trends: tuple[Trend, ...]
    outlooks: tuple[Outlook, ...]

    @property
    def looked_at(self) -> str:
        """The denominator: how many sizes of what, over how long."""
        return "; ".join(
            f"{'1 size' if one.points == 1 else f'{one.points:,} sizes'} of the {one.name} over {one.span // _DAY} d"
            for one in self.trends
        )

    @property
    def said(self) -> str:
        """What is to be said of each disk."""
        return "; ".join(one.said for one in self.outlooks)

    @property
    def first(self) -> Outlook:
        """The disk that is full first."""
        return self.outlooks[0]

    @property
    def left(self) -> timedelta | None:
        """For how long the first one lasts; None where no end is in sight."""
        return self.first.left

    def rows(self) -> list[dict[str, str]]:
        """The trends for the report."""
        return [one.row() for one in self.trends]

    def disks(self) -> list[dict[str, str]]:
        """The disks for the report."""
        return [one.row() for one in self.outlooks]

    def lasts(self, wanted: timedelta) -> bool:
        """Whether every disk lasts for longer than that, by what is known."""
        return all(one.left is None or one.left > wanted for one in self.outlooks)

    def must_know(self) -> None:
        """Insist that a rate could be told for everything.

        Raises:
            CannotTell: If there is too little history of something.
        """
        if short := [one.short for one in self.trends if one.short]:
            raise CannotTell(
                "; ".join(short),
                mend="Each run of this check adds a size; run it more often, such as weekly, to know sooner.",
            )


def growth(
    sizes: Mapping[str, Sequence[tuple[datetime, float]]],
    disks: Mapping[str, FileSystem],
    now: datetime,
    *,
    history: timedelta,
    floor: int,
) -> Growth:
    """For how long the disks last.

    Args:
        sizes: Name, such as `database`, to the sizes that are known, in bytes, each with its time (aware); today's
            among them, in any order.
        disks: The same names to the file systems that they lie on.
        now: The time, aware, in the host's zone.
        history: So far the first and the newest size must lie apart.
        floor: Growth of fewer bytes a day on a disk is none.

    Raises:
        CannotTell: If no size of one of them is known.
    """
    trends = {name: trend(name, points, now, history) for name, points in sizes.items()}
    together: dict[tuple[str, str], list[str]] = {}
    for name, disk in disks.items():
        together.setdefault(_identity(disk), []).append(name)
    outlooks = [
        Outlook(
            mount=disks[names[0]].mount,
            free=min(disks[name].space.free for name in names),
            trends=tuple(trends[name] for name in names),
            # What shrinks makes no promise of going on until the other has filled the disk.
            rate=sum(max(0.0, trends[name].rate or 0.0) for name in names),
            floor=floor,
            now=now,
        )
        for names in together.values()
    ]
    outlooks.sort(key=lambda one: float("inf") if one.days is None else one.days)
    return Growth(tuple(trends.values()), tuple(outlooks))


def trend(name: str, points: Iterable[tuple[datetime, float]], now: datetime, history: timedelta) -> Trend:
    """What the history says of one thing's size.

    Args:
        name: The thing.
        points: Sizes in bytes with their times, aware, in any order; those before :data:`LOOK_BACK` and after `now`
            are left out.
        now: The time, aware, in the host's zone.
        history: So far the first and the newest size must lie apart for a rate.

    Raises:
        CannotTell: If no size is known.
    """
    known = sorted((at, size) for at, size in points if timedelta(0) <= _between(at, now) <= LOOK_BACK)
    if not known:
        raise CannotTell(f"no size of the {name} is known")
    (since, _), (until, newest) = known[0], known[-1]
    rate = None
    if _between(since, until) >= history:
        # The last weeks by themselves as well: what began to grow lately grows.
        earlier = max(number for number, (at, _) in enumerate(known) if _between(at, until) >= history)
        rate = max(slope(known), slope(known[earlier:]))
    return Trend(name, newest, len(known), since.astimezone(now.tzinfo), until.astimezone(now.tzinfo), rate, history)


def slope(points: Iterable[tuple[datetime, float]]) -> float:
    """How much a figure changes a day, by the median of the slopes between every two days (Theil and Sen).

    Of each day its last figure counts, so that a day with many runs doesn't count for more; of more than
    :data:`_MOST_POINTS` days every nth, the last one always.

    Args:
        points: Figures with their times, aware.

    Returns:
        The change a day; 0 where there are not two days.
    """
    last = {at.astimezone(UTC).date(): (at.timestamp() / 86400, figure) for at, figure in sorted(points)}
    known = list(last.values())
    known = known[:: -max(1, math.ceil(len(known) / _MOST_POINTS))]
    slopes = [(other - one) / (then - at) for (at, one), (then, other) in combinations(known, 2) if then != at]
    return median(slopes) if slopes else 0.0


def _identity(disk: FileSystem) -> tuple[str, str]:
    """What makes two file systems one: the device where `df` names one, such as `/dev/sda1` or `host:/export`.

    A bind mount has another mount point and the same room; `tmpfs` and `overlay` are many.
    """
    named = "/" in disk.device or ":" in disk.device
    return (disk.device, "") if named else (disk.device, disk.mount)


def _lasting(days: float, full_on: str) -> str:
    """For how long something lasts, and until when."""
    if days > _FAR:
        return "more than 100 years"
    if days > _MONTHS_UNTIL:
        return f"{int(days / 365.25)} years"
    whole = int(days)
    return f"full in {'1 day' if whole == 1 else f'{whole} days'} ({full_on})"


def _signed(rate: float) -> str:
    return f"{'-' if rate < 0 else '+' if rate > 0 else '±'}{say_bytes(abs(rate))}"


def _between(since: datetime, until: datetime) -> timedelta:
    # In UTC: Python reckons two times of one zone by the clock on the wall, also across a change of clocks.
    return until.astimezone(UTC) - since.astimezone(UTC)
