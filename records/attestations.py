"""What only a person can do, and has done: reading it, adding to it, and when it is due again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from msgspec import field

from records.tables import (
    Day,
    Link,
    Said,
    add_table,
    parse,
    quoted,
    read_text,
    shown,
)
from target.model import Section

if TYPE_CHECKING:
    from pathlib import Path

    from records.slugs import Slugs

NAME = "attestation"
MOST_ROWS = 5
MOST_OF_NOTE = 300


class Attestation(Section, frozen=True):
    """One thing that somebody did."""

    slug: Said
    """The expectation that it is for."""
    date: Day
    """When it was done, in the host's zone."""
    by: Said
    """Who did it."""
    note: Said
    """What was done."""
    link: Link = Link("")
    """Where more is to be read: a ticket, a document."""
    covers: dict[Said, Said] = field(default_factory=dict)
    """Packages and the versions of them that were looked at, for a review of dependencies; for encryption at rest
    what is encrypted (`database`, `backups`) and the provider's key."""

    def lines(self) -> list[str]:
        """The table as it stands in the file.

        Raises:
            ValueError: If a text can't stand in a file.
        """
        texts = [("slug", self.slug), ("by", self.by), ("note", self.note), ("link", self.link)]
        keys = [f"{key} = {quoted(text)}" for key, text in texts if text]
        table = [f"[[{NAME}]]", keys[0], f"date = {self.date.isoformat()}", *keys[1:]]
        if self.covers:
            table += ["", f"[{NAME}.covers]"]
            table += [f"{quoted(package)} = {quoted(version)}" for package, version in self.covers.items()]
        return table


@dataclass(frozen=True)
class Due:
    """Whether an attestation still holds.

    Attributes:
        slug: Of what.
        attestation: The last one; None if there never was any.
        on: The last day on which it holds, which is when the next is due; None if there never was any.
        today: The day on which this is asked.
        earlier: The ones before the last, newest first.
        file: Where they stand.
        total: How many of all expectations stand there.
    """

    slug: str
    attestation: Attestation | None
    on: date | None
    today: date
    earlier: tuple[Attestation, ...]
    file: Path
    total: int

    @property
    def holds(self) -> bool:
        """Whether it was attested, and not too long ago."""
        return self.on is not None and self.today <= self.on

    @property
    def age(self) -> timedelta | None:
        """How long ago it was attested, in whole days; None for never."""
        return None if self.attestation is None else self.today - self.attestation.date

    @property
    def words(self) -> str:
        """When, by whom, how long ago, and when it is due, for the reader."""
        if self.attestation is None or self.on is None or self.age is None:
            return "never attested"
        due = "due on" if self.holds else "due since"
        ago = days_ago(self.age.days)
        return f"attested on {self.attestation.date} by {shown(self.attestation.by)}, {ago}; {due} {self.on}"

    @property
    def looked_at(self) -> str:
        """Of how much this is told."""
        mine = len(self.earlier) + (self.attestation is not None)
        return f"{mine} of {self.total} attestation{'s' if self.total != 1 else ''} in {self.file}"

    def rows(self) -> list[dict[str, str]]:
        """The last ones for the report, newest first."""
        last = () if self.attestation is None else (self.attestation,)
        return [
            {"date": str(one.date), "by": shown(one.by), "done": shown(one.note, MOST_OF_NOTE), "link": one.link}
            for one in (*last, *self.earlier)[:MOST_ROWS]
        ]


def days_ago(days: int) -> str:
    """So many days ago, as a person says it."""
    return "today" if days == 0 else f"{days} day{'s' if days != 1 else ''} ago"


@dataclass(frozen=True)
class Attestations:
    """All that was attested, in the order of the file.

    Attributes:
        file: Where they stand.
        all: The attestations.
    """

    file: Path
    all: tuple[Attestation, ...]

    def latest(self, slug: str, today: date | None = None) -> Attestation | None:
        """The last attestation of an expectation, of those up to `today` if that is given."""
        return next(iter(self._of(slug, today)), None)

    def _of(self, slug: str, today: date | None) -> list[Attestation]:
        """Those of an expectation, newest first, and of the same day the one first that stands last."""
        mine = [one for one in reversed(self.all) if one.slug == slug and (today is None or one.date <= today)]
        return sorted(mine, key=lambda one: one.date, reverse=True)

    def due(self, slug: str, period: timedelta, today: date) -> Due:
        """Whether it was attested within the period.

        Args:
            slug: The expectation.
            period: For how long an attestation holds, in whole days: one of 31 days that was made on the
                first of a month holds through the first of the next one, if that month has 31 days.
            today: The day in the host's zone.
        """
        mine = self._of(slug, today)
        last = mine[0] if mine else None
        on = None if last is None else date.fromordinal(last.date.toordinal() + period.days)
        return Due(slug, last, on, today, tuple(mine[1:]), self.file, len(self.all))


def read(file: Path, slugs: Slugs, today: date) -> Attestations:
    """Read what was attested. A file that isn't there holds nothing.

    Args:
        file: The file.
        slugs: The expectations that there are.
        today: The day in the host's zone: nothing can have been done after it.

    Raises:
        RecordError: If something in it isn't right. All that is wrong is said at once.
    """
    text = read_text(file)
    return Attestations(file, ()) if text is None else _parsed(file, text, slugs, today)


def _parsed(file: Path, text: str, slugs: Slugs, today: date) -> Attestations:
    tables = parse(file, text, NAME, Attestation)
    first: dict[tuple[str, date, str, frozenset[tuple[str, str]]], int] = {}
    for number, one in tables.good():
        if trouble := slugs.trouble(one.slug):
            tables.wrong(number, "slug", trouble)
        if one.date > today:
            tables.wrong(number, "date", f"{one.date} lies in the future, today is {today}: attest it when it is done")
        same = first.setdefault((one.slug, one.date, one.by, frozenset(one.covers.items())), number)
        if same != number:
            at = f" on line {line}" if (line := tables.line(same)) else ""
            tables.wrong(
                number, "", f"{one.slug} was already attested on {one.date} by the same person{at}: take one out"
            )
    tables.finish()
    return Attestations(file, tuple(one for _, one in tables.good()))


def add(file: Path, attestation: Attestation, slugs: Slugs, today: date) -> Attestations:
    """Add an attestation to the end of the file, which is made if there is none.

    Returns:
        What the file now holds.

    Raises:
        RecordError: If the attestation or something in the file isn't right, or it can't be written.
            Nothing was changed then.
    """
    return add_table(file, NAME, attestation, lambda text: _parsed(file, text, slugs, today))
