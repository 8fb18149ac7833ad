"""The documents for whoever has to act: are they there, do they say something, and is their next review to come?

Serves the guide's list of documents and its own last lines, "Last Updated" and "Next Review". A document is read in
the project's directory; a date is looked for only where the document says that it is the one of the next review.
"""

from __future__ import annotations

import re
import stat
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOST = 1024 * 1024
"""So many bytes of a document are read."""
_LONGEST = 80
_AHEAD = 3
"""The date may stand so many lines below the words that announce it: under a heading, or in a table."""

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OF_GERMAN = {"jän": 1, "mär": 3, "mrz": 3, "mae": 3, "mai": 5, "okt": 10, "dez": 12}
_MONTH = (
    r"(?P<month>jan(?:uary|uar)?|jän(?:ner)?|feb(?:ruary|ruar)?|mar(?:ch)?|mär(?:z)?|maerz|mrz|apr(?:il)?|may|mai"
    r"|june?|juni|july?|juli|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\.?"
)
_YEAR = r"(?P<year>[12]\d{3})"
_WRITTEN = tuple(
    re.compile(rf"(?i)(?<![\w/.-]){one}(?![\w/-]|\.\d)")
    for one in (
        rf"{_YEAR}-(?P<number>\d\d?)-(?P<day>\d\d?)(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?",
        rf"{_YEAR}/(?P<number>\d\d?)/(?P<day>\d\d?)",
        r"(?P<day>\d\d?)\.\s?(?P<number>\d\d?)\.\s?(?P<year>[12]\d{3}|\d\d)",
        rf"(?P<day>\d\d?)(?:st|nd|rd|th|\.)?(?:\s+of\s+|\s*-\s*|\s*){_MONTH},?[\s-]+{_YEAR}",
        rf"{_MONTH}\s+(?P<day>\d\d?)(?:st|nd|rd|th)?,?\s+{_YEAR}",
        r"(?P<one>\d\d?)(?P<between>[/-])(?P<two>\d\d?)(?P=between)(?P<year>[12]\d{3})",
        rf"{_MONTH},?\s+{_YEAR}",
        rf"{_YEAR}-(?P<number>\d\d?)",
        rf"Q(?P<quarter>[1-4])[\s/-]*{_YEAR}",
    )
)
"""How dates are written, the more exact first: what one has taken is no other's."""

_GAP = r"[\s_-]{1,3}"
_ANNOUNCED = re.compile(
    rf"(?i)\bnext{_GAP}(?:[^\W_]{{1,30}}{_GAP}){{0,2}}?review\b|(?<!last )(?<!previous )\breview{_GAP}(?:is{_GAP})?"
    rf"(?:due|before|again|by(?=\W{{1,4}}(?:on\s+)?(?:\d|{_MONTH.replace('?P<month>', '?:')}\b)))\b"
    rf"|\bbe{_GAP}reviewed{_GAP}(?:again\s)?(?:by|before|on)\b|\bwiedervorlage\b"
    r"|\bnächste[rs]?\s(?:\w{1,30}\s)?(?:über)?prüfung\b|\bnächste[rs]?\s(?:review|revision|durchsicht)\b"
    r"|(?<!letzte )\b(?:über)?prüfung\s(?:ist\s)?(?:fällig|bis)\b|\bzu\s(?:über)?prüfen\s(?:bis|am)\b"
)
"""What says that a date is the one of the next review, and not of the last."""


@dataclass(frozen=True)
class Review:
    """A date of a next review as it is written.

    Attributes:
        day: The day; of two that it may be the later one, of a month its last.
        text: How it is written.
        line: In which line, from 1.
        earlier: The other day that it may be; None where there is but one.
    """

    day: date
    text: str
    line: int
    earlier: date | None = None


@dataclass(frozen=True)
class Runbook:
    """A document and what it says of itself.

    Attributes:
        name: Its name, as the settings name it.
        today: The day on which it was looked at, in the host's zone.
        missing: Why there is no such document, in words; empty where there is one.
        size: Its bytes.
        words: Its words, without headings and the line of its review.
        reviews: The dates of next reviews in it, as they stand.
        undated: What stands where a date was announced and is none; empty where there is none, or was none announced.
        cut: Whether it was longer than what was read.
    """

    name: str
    today: date
    missing: str = ""
    size: int = 0
    words: int = 0
    reviews: tuple[Review, ...] = ()
    undated: str = ""
    cut: bool = False

    @property
    def review(self) -> Review | None:
        """The next review: the latest, where several stand."""
        return max(self.reviews, key=lambda one: one.day, default=None)

    @property
    def left(self) -> int:
        """Days until the next review, negative when it has passed; 0 where no date is known."""
        return (self.review.day - self.today).days if self.review else 0

    @property
    def kept(self) -> bool:
        """Whether it is there, says something, and has no review behind it; one that no date tells of may be."""
        return not self.missing and self.words > 0 and self.left >= 0

    @property
    def looked_at(self) -> str:
        """The denominator: how much of what."""
        if self.missing:
            return f"the project's directory for {self.name}"
        return f"{self.name}: {self.size:,} bytes, {self._words}"

    @property
    def said(self) -> str:
        """What it is like, in words."""
        if self.missing:
            return self.missing
        if not self.words:
            return f"has no word beyond its headings ({self.size:,} bytes)"
        if self.review is None:
            return f"{self._words}, no date of a next review"
        ago = say_span(timedelta(days=abs(self.left)))
        when = f"was due {ago} ago" if self.left < 0 else "is due today" if not self.left else f"is due in {ago}"
        return f"{self._words}; its next review {when}, {self.review.day} (line {self.review.line})"

    @property
    def notes(self) -> tuple[str, ...]:
        """How its date was read, where that isn't plain."""
        notes = []
        if self.review and self.review.earlier:
            notes.append(
                f"{self.review.text} may be {self.review.earlier} or {self.review.day}; the later one was taken. "
                "Write it as 2026-05-11"
            )
        if len({one.day for one in self.reviews}) > 1:
            named = ", ".join(f"{one.day} (line {one.line})" for one in self.reviews[:5])
            notes.append(f"several dates of a next review stand in it: {named}; the latest was taken")
        if self.cut:
            notes.append(f"only its first {MOST:,} bytes were read")
        return tuple(notes)

    def must_have_date(self) -> None:
        """Insist on a date.

        Raises:
            CannotTell: If it says of no day that it is the one of its next review.
        """
        if self.review is not None:
            return
        found = f"where it stands there is no day: {self.undated}" if self.undated else "there is none in it"
        raise CannotTell(
            f"{self.name} has no date of a next review that can be read ({found})",
            mend=f"Add a line to {self.name}, such as: Next Review: {self.today + timedelta(days=182)}",
        )

    @property
    def _words(self) -> str:
        return "1 word" if self.words == 1 else f"{self.words:,} words"


def read_runbook(directory: Path, name: str, today: date) -> Runbook:
    """Read one document.

    Args:
        directory: The project's.
        name: The document's file name.
        today: The day in the host's zone.

    Raises:
        CannotTell: If it, or the directory, may not be read.
    """
    if missing := _missing(directory, name):
        return Runbook(name, today, missing=missing)
    file = directory / name
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST + 1)
        size = file.stat().st_size
    except OSError as error:
        raise _unreadable(file, error) from None
    lines = list(_lines(_text(content[:MOST])))
    reviews, undated = _reviews(lines)
    return Runbook(
        name=name,
        today=today,
        size=size,
        words=sum(len(re.findall(r"\w+", line)) for _, line in _prose(lines)),
        reviews=tuple(reviews),
        undated=undated,
        cut=len(content) > MOST,
    )


def _missing(directory: Path, name: str) -> str:
    """Why there is no such document; empty if there is."""
    file = directory / name
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        if file.is_symlink():
            return "is a link to something that isn't there"
        return _absent(directory, name)
    except OSError as error:
        raise _unreadable(file, error) from None
    if stat.S_ISDIR(mode):
        return "is a directory, no document"
    return "" if stat.S_ISREG(mode) else "is no file"


def _absent(directory: Path, name: str) -> str:
    try:
        beside = sorted(one.name for one in directory.iterdir())
    except OSError as error:
        raise CannotTell(
            f"the project's directory {directory} can't be read: {error.strerror}",
            mend="Is project.directory right, and may this user read it?",
        ) from None
    same = next((one for one in beside if one.lower() == name.lower()), "")
    return f"isn't there; {same} is, whose name is written differently" if same else "isn't there"


def _unreadable(file: Path, error: OSError) -> CannotTell:
    return CannotTell(
        f"{file} can't be read: {error.strerror}", mend=f"Let this user read it: chmod a+r '{file}', or its group."
    )


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The document's lines with their numbers, without comments and without the lines in which examples stand."""
    text = re.sub(r"<!--.*?(?:-->|\Z)", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
            continue
        # A command to type is a word of the document, and no date of its own.
        yield (number, line) if not fence else (-number, line)


def _prose(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines that say something: no headings, no dates of reviews."""
    for place, (number, line) in enumerate(lines):
        below = lines[place + 1][1] if place + 1 < len(lines) else ""
        heading = number > 0 and (re.match(r"\s{0,3}#{1,6}(?:\s|$)", line) or re.fullmatch(r"\s{0,3}(=+|-+)\s*", below))
        if not heading and not _ANNOUNCED.search(line):
            yield number, line


def _reviews(lines: Sequence[tuple[int, str]]) -> tuple[list[Review], str]:
    """The dates of next reviews, and what stands instead of one."""
    found: list[Review] = []
    undated = ""
    prose = [(number, line) for number, line in lines if number > 0 and line.strip()]
    for place, (number, line) in enumerate(prose):
        announced = _ANNOUNCED.search(line)
        if announced is None:
            continue
        here = _first(number, line[announced.end() :])
        if here is None and not re.search(r"\w", re.sub(r"(?i)date", "", line[announced.end() :])):
            here = _below(prose[place + 1 : place + 1 + _AHEAD], line, announced.start())
        if here is None and line.lstrip().startswith("|"):
            here = _below(prose[place + 1 : place + 1 + _AHEAD], line, announced.start())
        if here is not None:
            found.append(here)
        else:
            undated = undated or line.strip()[:_LONGEST]
    return found, undated


def _below(lines: Sequence[tuple[int, str]], line: str, at: int) -> Review | None:
    """The date under a heading, or in the same column of a table."""
    column = line[:at].count("|")
    for number, below in lines:
        cells = below.split("|")
        in_table = line.lstrip().startswith("|")
        if in_table and len(cells) <= column:
            return None
        if (found := _first(number, cells[column] if in_table else below)) is not None:
            return found
    return None


def _first(number: int, text: str) -> Review | None:
    """The date that stands first in a text; None if there is none."""
    plain = re.sub(r"[*_`]", " ", text)
    matches = [(match.start(), rank, match) for rank, one in enumerate(_WRITTEN) for match in one.finditer(plain)]
    for _, _, match in sorted(matches, key=lambda one: one[:2]):
        days = _days(match)
        if days:
            return Review(days[-1], match[0], number, days[0] if len(days) > 1 else None)
        return None  # such as the 30th of February: what stands behind it is no next review
    return None


def _days(match: re.Match[str]) -> list[date]:
    """The days that a written date may be, in order; none if there is no such day."""
    said = match.groupdict()
    year = int(said["year"]) + (2000 if len(said["year"]) == 2 else 0)
    if "one" in said:
        one, two = int(said["one"]), int(said["two"])
        both = {_day(year, one, two), _day(year, two, one)} - {None}
        return sorted(day for day in both if day is not None)
    if "quarter" in said:
        month = 3 * int(said["quarter"])
    elif "number" in said:
        month = int(said["number"])
    else:
        name = said["month"].lower()[:3]
        month = _OF_GERMAN.get(name) or _NAMES.index(name) + 1
    last = monthrange(year, month)[1] if 1 <= month <= 12 else 0
    day = _day(year, month, int(said["day"]) if "day" in said else last)
    return [] if day is None else [day]


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
