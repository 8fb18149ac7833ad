"""The rota: who is on call now, and whether somebody will be over the days to come.

Serves the guide's list of contacts and its calls out of hours. A rota is a TOML file of shifts and rotations, or an
iCalendar file as calendars and paging services export it, with events that repeat, exceptions and zones.

    zone = "Europe/Vienna"          # the host's, if it isn't given

    [[rotation]]                    # one after the other, for ever or until it ends
    people = ["Anna", "Ben"]
    starts = 2026-01-05T09:00:00    # Anna's first turn; every handover is at this time of day
    every = "7 d"                   # ends = … for a last moment

    [[shift]]                       # one person once; it stands beside the rotations
    person = "Carla"
    from = 2026-12-24T09:00:00
    until = 2026-12-27T09:00:00
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import Span, say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

AHEAD = timedelta(days=7)
"""So far ahead is looked for gaps."""
MOST = 8 * 1024 * 1024
_LONGEST = 80
_SHORTEST_TURN = timedelta(hours=1)
_SHOWN = 5
_ASIDE = timedelta(days=2)
"""A calendar is asked for more than is wanted: where times have no zone, it can't know which is the host's."""
_KEYS = {
    "shift": ("person", "from", "until"),
    "rotation": ("people", "starts", "every", "ends"),
}
_WRITE_A_TIME = "write a time as 2026-11-23T09:00:00, without quotes"


@dataclass(frozen=True)
class Turn:
    """A time for which somebody is on call.

    Attributes:
        person: Who.
        since: Its beginning, aware, in the host's zone.
        until: Its end, likewise; it is no longer part of it.
    """

    person: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Rota:
    """Who is on call over the days to come.

    Attributes:
        name: The file's name.
        now: The time at which it was looked at, aware, in the host's zone.
        until: How far ahead.
        turns: All turns that touch that time, by their beginnings.
        of: How many shifts, rotations or events the file has.
    """

    name: str
    now: datetime
    until: datetime
    turns: tuple[Turn, ...]
    of: int

    @property
    def on_call(self) -> tuple[str, ...]:
        """Who is on call now."""
        return tuple(dict.fromkeys(one.person for one in self.turns if one.since <= self.now < one.until))

    @property
    def gaps(self) -> tuple[tuple[datetime, datetime], ...]:
        """The times for which nobody is."""
        found = []
        reached = self.now
        for one in self.turns:
            if one.since > reached:
                found.append((reached, one.since))
            reached = max(reached, one.until)
        if reached < self.until:
            found.append((reached, self.until))
        return tuple(found)

    @property
    def looked_at(self) -> str:
        """The denominator: how much of which file, over what time."""
        entries = "1 entry" if self.of == 1 else f"{self.of:,} entries"
        return f"{entries} of {self.name}, {self.now:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}"

    @property
    def said(self) -> str:
        """Who is on call."""
        if self.on_call:
            ends = max(one.until for one in self.turns if one.since <= self.now < one.until)
            names = ", ".join(self.on_call[:_SHOWN])
            return f"{names} {'is' if len(self.on_call) == 1 else 'are'} on call until {ends:%Y-%m-%d %H:%M}"
        following = next((one for one in self.turns if one.since > self.now), None)
        if following is None:
            return f"nobody is on call by {self.name}, nor will be within {say_span(self.until - self.now)}"
        return f"nobody is on call by {self.name} until {following.since:%Y-%m-%d %H:%M} ({following.person})"

    @property
    def notes(self) -> tuple[str, ...]:
        """Where nobody will be on call though somebody is now."""
        if not self.on_call:
            return ()
        return tuple(
            f"nobody will be on call by {self.name} from {since:%Y-%m-%d %H:%M} "
            + ("on" if until == self.until else f"to {until:%Y-%m-%d %H:%M}")
            for since, until in self.gaps[:_SHOWN]
        )

    def rows(self) -> list[dict[str, str]]:
        """The turns and the gaps, for the report."""
        turns = [(one.since, one.until, one.person) for one in self.turns]
        gaps = [(since, until, "(nobody)") for since, until in self.gaps]
        return [
            {"from": f"{since:%Y-%m-%d %a %H:%M}", "until": f"{until:%Y-%m-%d %a %H:%M}", "on call": person}
            for since, until, person in sorted([*turns, *gaps])
        ]


def read_rota(file: Path, now: datetime, seconds: float) -> Rota:
    """Read a rota.

    Args:
        file: The file.
        now: The time, aware, in the host's zone: times without a zone are of it.
        seconds: Total time limit, in seconds: an event that repeats every second has no end.

    Raises:
        CannotTell: If it can't be read, or isn't right; with the line.
    """
    text = _text(file)
    until = (now.astimezone(UTC) + AHEAD).astimezone(now.tzinfo)
    calendar = file.suffix.lower() in {".ics", ".ical", ".icalendar"} or text.lstrip().startswith("BEGIN:VCALENDAR")
    read = _calendar if calendar else _toml
    try:
        turns, number = within(seconds, lambda: read(file, text, now, until))
    except TimeIsUp:
        raise CannotTell(
            f"{file} can't be worked out within {say_span(timedelta(seconds=seconds))}",
            mend="Does an event in it repeat every second? Or give it more time (timeouts.on_call).",
        ) from None
    touching = sorted(
        (one for one in turns if one.since < until and one.until > now), key=lambda one: (one.since, one.person)
    )
    return Rota(file.name, now, until, tuple(touching), number)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST + 1)
    except FileNotFoundError:
        raise CannotTell(f"there is no rota {file}", mend="Write it, or name the right one as on_call.rota.") from None
    except OSError as error:
        raise CannotTell(f"the rota {file} can't be read: {error.strerror}") from None
    if len(content) > MOST:
        raise CannotTell(f"the rota {file} is larger than {MOST:,} bytes", mend="Export fewer years of it.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CannotTell(f"{file}:{line}: it is not UTF-8 text", mend="Save it as UTF-8.") from None


# TOML.


def _toml(file: Path, text: str, now: datetime, until: datetime) -> tuple[list[Turn], int]:
    """The turns of a TOML file, and how many entries it has."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(place[1]) if place else max(text.count("\n"), 1)
        what = re.sub(r"\s*\(at [^)]*\)", "", str(error))
        raise CannotTell(
            f"{file}:{line}: it is no valid TOML: {what}", mend=f"{_WRITE_A_TIME[:1].upper()}{_WRITE_A_TIME[1:]}."
        ) from None
    written = _Written(file, text)
    if unknown := next((key for key in data if key not in {"zone", *_KEYS}), ""):
        raise written.wrong(
            "", 0, unknown, f"there is no {unknown[:_LONGEST]}; a rota has zone, [[rotation]] and [[shift]]"
        )
    zone = _zone(data, written, now)
    turns = list(_shifts(written.tables(data, "shift"), written, zone))
    for number, table in enumerate(written.tables(data, "rotation")):
        turns += _rotation(table, number, written, zone, (now, until))
    local = [Turn(one.person, one.since.astimezone(now.tzinfo), one.until.astimezone(now.tzinfo)) for one in turns]
    return local, sum(len(data.get(kind, ())) for kind in _KEYS)


def _zone(data: Mapping[str, Any], written: _Written, now: datetime) -> tzinfo:
    from observe.clock import local_zone

    if "zone" not in data:
        return now.tzinfo or UTC
    name = data["zone"]
    try:
        return local_zone(name if isinstance(name, str) and name else "none")
    except CannotTell:
        raise written.wrong("", 0, "zone", "zone is an IANA name in quotes, such as Europe/Vienna") from None


def _shifts(tables: Iterable[Mapping[str, Any]], written: _Written, zone: tzinfo) -> Iterator[Turn]:
    for number, table in enumerate(tables):
        for key in ("person", "from", "until"):
            if key not in table:
                raise written.wrong("shift", number, "", f"the shift has no {key}")
        since, until = (_moment(table, key, "shift", number, written, zone) for key in ("from", "until"))
        if until <= since:
            raise written.wrong("shift", number, "until", "until isn't after from")
        yield Turn(_person(table["person"], "person", "shift", number, written), since, until)


def _rotation(
    table: Mapping[str, Any], number: int, written: _Written, zone: tzinfo, window: tuple[datetime, datetime]
) -> Iterator[Turn]:
    """The turns of a rotation that touch the window. Handovers of whole days keep their time of day."""
    for key in ("people", "starts", "every"):
        if key not in table:
            raise written.wrong("rotation", number, "", f"the rotation has no {key}")
    given = table["people"]
    if not isinstance(given, list) or not given:
        raise written.wrong("rotation", number, "people", 'people is a list of names, ["Anna", "Ben"]')
    people = [_person(one, "people", "rotation", number, written) for one in given]
    starts = _moment(table, "starts", "rotation", number, written, zone)
    ends = _moment(table, "ends", "rotation", number, written, zone) if "ends" in table else None
    try:
        every = Span.parse(table["every"])
    except ValueError as error:
        raise written.wrong("rotation", number, "every", f"every: {error}") from None
    if every < _SHORTEST_TURN:
        raise written.wrong("rotation", number, "every", f"every is shorter than {say_span(_SHORTEST_TURN)}")
    turn = max((window[0] - starts) // every - 1, 0)
    while (since := _handover(starts, every, turn)) < window[1] and (ends is None or since < ends):
        until = _handover(starts, every, turn + 1)
        yield Turn(people[turn % len(people)], since, until if ends is None else min(until, ends))
        turn += 1


def _handover(starts: datetime, every: timedelta, turn: int) -> datetime:
    """When a turn begins, in UTC: sums over a change of clocks are right in it alone."""
    if every % timedelta(days=1):
        return starts.astimezone(UTC) + every * turn
    return (starts + every * turn).astimezone(UTC)


def _moment(table: Mapping[str, Any], key: str, kind: str, number: int, written: _Written, zone: tzinfo) -> datetime:
    given = table[key]
    try:
        if isinstance(given, str):
            given = datetime.fromisoformat(given)
        elif isinstance(given, date) and not isinstance(given, datetime):
            given = datetime.combine(given, time())
        if not isinstance(given, datetime):
            raise ValueError("no time")  # noqa: TRY004, TRY301
        moment = given if given.tzinfo else given.replace(tzinfo=zone)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise written.wrong(kind, number, key, f"{key}: {_WRITE_A_TIME}") from None
    return moment


def _person(given: object, key: str, kind: str, number: int, written: _Written) -> str:
    if not isinstance(given, str) or not given.strip():
        raise written.wrong(kind, number, key, f"{key}: a person is a name in quotes")
    return _named(given)


@dataclass(frozen=True)
class _Written:
    """Where things stand in a TOML file, as its author sees it."""

    file: Path
    text: str

    def tables(self, data: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
        """All tables of a kind, their keys known."""
        tables = data.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise self.wrong("", 0, kind, f"write [[{kind}]], with two brackets, above its keys")
        for number, table in enumerate(tables):
            if unknown := next((key for key in table if key not in _KEYS[kind]), ""):
                known = ", ".join(_KEYS[kind])
                raise self.wrong(kind, number, unknown, f"there is no {unknown[:_LONGEST]}; a {kind} has {known}")
        return tables

    def wrong(self, kind: str, number: int, key: str, what: str) -> CannotTell:
        """What is wrong, and in which line."""
        return CannotTell(f"{self.file}:{self._line(kind, number, key)}: {what}", mend="Mend that line of the rota.")

    def _line(self, kind: str, number: int, key: str) -> int:
        """The line of a key of the table of that kind and number; of the table itself where there is none."""
        table, seen, found = "", -1, 1
        for at, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?\s*([^\[\]]+?)\s*\]", line):
                table = header[1].strip("\"'")
                seen += table == kind
                if (table, seen) == (kind, number) or (not kind and table == key):
                    found = at
                    if not key or not kind:
                        return at
            elif (not kind and not table) or (table, seen) == (kind, number):
                named = re.match(r"""\s*["']?([^"'=\s]+)["']?\s*=""", line)
                if named and named[1] == key:
                    return at
        return found


# iCalendar.


def _calendar(file: Path, text: str, now: datetime, until: datetime) -> tuple[list[Turn], int]:
    """The turns of an iCalendar file, and how many events it has."""
    try:
        import icalendar
        import recurring_ical_events
    except ImportError:
        raise CannotTell(
            f"{file.name} is an iCalendar file, which nothing here can read",
            mend="pip install icalendar recurring-ical-events, where this suite is installed.",
        ) from None
    try:
        calendars: list[Any] = icalendar.Calendar.from_ical(text, multiple=True)
    except Exception as error:  # noqa: BLE001  ValueError mostly; whatever it is, the file can't be read
        raise CannotTell(f"{file}:{_culprit(text, str(error))}: it is no valid iCalendar file", mend=_EXPORT) from None
    if not calendars or len(calendars) < len(re.findall(r"(?mi)^BEGIN:VCALENDAR\s*$", text)):
        # What never ends is passed over by the library without a word.
        line = max(len(text.splitlines()), 1)
        raise CannotTell(f"{file}:{line}: its calendar doesn't come to its end: was it cut short?", mend=_EXPORT)
    turns: list[Turn] = []
    number = 0
    for calendar in calendars:
        _must_be_right(calendar, file, text, number)
        number += len(calendar.walk("VEVENT"))
        try:
            events = recurring_ical_events.of(calendar).between(now - _ASIDE, until + _ASIDE)
        except Exception as error:  # noqa: BLE001  it raises what dateutil and its own depths raise
            raise CannotTell(
                f"{file}: an event that repeats can't be worked out ({type(error).__name__})", mend=_EXPORT
            ) from None
        turns += [one for event in events if (one := _turn(event, now)) is not None]
    return turns, number


_EXPORT = "Export it anew, or mend that line."


def _must_be_right(calendar: Any, file: Path, text: str, before: int) -> None:  # noqa: ANN401  untyped
    """Refuse what the library would pass over: an event that it can't read is nobody's turn.

    Args:
        calendar: The calendar.
        file: Its file.
        text: The file's text.
        before: How many events stand in the file before it.
    """
    for number, event in enumerate(calendar.walk("VEVENT"), before):
        for name, what in event.errors:
            line = _event_line(text, number, name) if name else _culprit(text, what)
            raise CannotTell(f"{file}:{line}: {name or 'it'} can't be read: {what[:120]}", mend=_EXPORT)
        start = event.get("DTSTART")
        if start is None:
            raise CannotTell(f"{file}:{_event_line(text, number, '')}: the event has no DTSTART", mend=_EXPORT)
        for name in ("DTSTART", "DTEND"):
            given = event.get(name)
            zone = given.params.get("TZID") if given is not None else None
            if zone and isinstance(given.dt, datetime) and given.dt.tzinfo is None:
                raise CannotTell(
                    f"{file}:{_event_line(text, number, name)}: {str(zone)[:_LONGEST]!r} is no time zone that is known",
                    mend=_EXPORT,
                )
        end = event.get("DTEND")
        if end is not None and type(end.dt) is type(start.dt) and _after(start.dt, end.dt):
            raise CannotTell(
                f"{file}:{_event_line(text, number, 'DTEND')}: the event ends before it begins", mend=_EXPORT
            )


def _after(start: Any, end: Any) -> bool:  # noqa: ANN401  dates or times
    try:
        return bool(end < start)
    except TypeError:  # one has a zone
        return False


def _turn(event: Any, now: datetime) -> Turn | None:  # noqa: ANN401  untyped
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return None
    person = _named(str(event.get("SUMMARY", ""))) or "somebody (the event has no title)"
    return Turn(person, _local(event.start, now), _local(event.end, now))


def _local(moment: date, now: datetime) -> datetime:
    """A time in the host's zone; one without a zone is of it, and a day begins at its midnight."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return moment.astimezone(now.tzinfo) if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _named(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]


def _culprit(text: str, error: str) -> int:
    """The line that an error of the library's quotes; the first if it quotes none."""
    lines = text.splitlines()
    return next((at for at, line in enumerate(lines, 1) if line.strip() and line.strip() in error), 1)


def _event_line(text: str, number: int, name: str) -> int:
    """The line of a property of the event of that number; of the event where it has none."""
    seen, begins = -1, 1
    for at, line in enumerate(text.splitlines(), 1):
        if line.strip().upper() == "BEGIN:VEVENT":
            seen += 1
            begins = at if seen == number else begins
        elif seen == number and name and re.match(rf"{re.escape(name)}[;:]", line, re.IGNORECASE):
            return at
        elif seen > number:
            break
    return begins
