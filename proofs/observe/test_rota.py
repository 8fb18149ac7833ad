"""Who is on call, by rotas as people and calendars write them, and by broken ones."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from observe.errors import CannotTell
from observe.rota import Rota, read_rota

if TYPE_CHECKING:
    from pathlib import Path

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=VIENNA)  # a Tuesday
SECONDS = 10.0
ROTATION = '[[rotation]]\npeople = ["Anna", "Ben"]\nstarts = 2026-01-05T09:00:00\nevery = "7 d"\n'


def read(tmp_path: Path, text: str, now: datetime = NOW, name: str = "rota.toml") -> Rota:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_rota(file, now, SECONDS)


def calendar(*events: str, head: str = "") -> str:
    body = "".join(f"BEGIN:VEVENT\nUID:{n}\n{event.strip()}\nEND:VEVENT\n" for n, event in enumerate(events))
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:proof\n{head}{body}END:VCALENDAR\n"
    return text.replace("\n", "\r\n")


# TOML.


def test_a_rotation_hands_over_every_week(tmp_path: Path) -> None:
    # The 46th handover since 5 January was yesterday at nine: Anna's, who has the even ones.
    rota = read(tmp_path, ROTATION)
    assert rota.on_call == ("Anna",)
    assert rota.said == "Anna is on call until 2026-11-30 09:00"
    assert not rota.gaps
    assert not rota.notes
    assert [row["on call"] for row in rota.rows()] == ["Anna", "Ben"]
    before, after = NOW.replace(day=30, hour=8, minute=59), NOW.replace(day=30, hour=9, minute=0)
    assert read(tmp_path, ROTATION, before).on_call == ("Anna",)
    assert read(tmp_path, ROTATION, after).on_call == ("Ben",)


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 28, 12, 0, tzinfo=VIENNA), datetime(2026, 10, 24, 12, tzinfo=VIENNA)]
)
def test_a_handover_keeps_its_time_of_day_when_the_clocks_change(tmp_path: Path, day: datetime) -> None:
    rota = read(tmp_path, ROTATION.replace('"7 d"', '"1 d"'), day)
    assert {f"{one.since:%H:%M}" for one in rota.turns} == {"09:00"}
    assert not rota.gaps


def test_hours_are_hours_when_the_clocks_change(tmp_path: Path) -> None:
    rota = read(tmp_path, ROTATION.replace('"7 d"', '"12 h"'), datetime(2026, 10, 24, 12, 0, tzinfo=VIENNA))
    assert {f"{one.since:%H:%M}" for one in rota.turns} == {"10:00", "22:00", "09:00", "21:00"}
    assert not rota.gaps


def test_nobody_before_it_starts_nor_after_it_ends(tmp_path: Path) -> None:
    rota = read(tmp_path, ROTATION, datetime(2026, 1, 5, 8, 0, tzinfo=VIENNA))
    assert rota.on_call == ()
    assert rota.said == "nobody is on call by rota.toml until 2026-01-05 09:00 (Anna)"
    rota = read(tmp_path, ROTATION + "ends = 2026-11-26T12:00:00\n")
    assert rota.on_call == ("Anna",)
    assert rota.notes == ("nobody will be on call by rota.toml from 2026-11-26 12:00 on",)
    rota = read(tmp_path, ROTATION + "ends = 2026-11-24T10:00:00\n")
    assert rota.on_call == ()
    assert rota.said == "nobody is on call by rota.toml, nor will be within 7 d"


def test_shifts_and_their_gap(tmp_path: Path) -> None:
    text = """
[[shift]]
person = "Carla"
from = 2026-11-23T09:00:00
until = "2026-11-25T09:00"
[[shift]]
person = "Dora"
from = 2026-11-25T09:00:00+01:00
until = 2026-11-27
[[shift]]
person = "Emil"
from = 2026-11-28T00:00:00
until = 2026-12-24T00:00:00
"""
    rota = read(tmp_path, text)
    assert rota.on_call == ("Carla",)
    assert rota.notes == ("nobody will be on call by rota.toml from 2026-11-27 00:00 to 2026-11-28 00:00",)
    assert rota.looked_at == "3 entries of rota.toml, 2026-11-24 10:00 to 2026-12-01 10:00"
    assert [row["on call"] for row in rota.rows()] == ["Carla", "Dora", "(nobody)", "Emil"]
    # Its end is no longer part of a shift, its beginning is.
    assert read(tmp_path, text, NOW.replace(day=27, hour=0)).on_call == ()
    assert read(tmp_path, text, NOW.replace(day=28, hour=0)).on_call == ("Emil",)


def test_times_are_of_the_rotas_own_zone(tmp_path: Path) -> None:
    shift = '[[shift]]\nperson = "Anna"\nfrom = 2026-11-24T09:30:00\nuntil = 2026-11-24T18:00:00\n'
    assert read(tmp_path, shift).on_call == ("Anna",)
    assert read(tmp_path, 'zone = "America/New_York"\n' + shift).on_call == ()
    later = read(tmp_path, 'zone = "America/New_York"\n' + shift, NOW.replace(hour=16))
    assert later.said == "Anna is on call until 2026-11-25 00:00"


def test_a_file_without_an_entry_has_nobody_on_call(tmp_path: Path) -> None:
    rota = read(tmp_path, "")
    assert rota.on_call == ()
    assert rota.looked_at.startswith("0 entries of rota.toml")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('zone = "Europe/Vienna\n', 1, "no valid TOML"),
        ("\n\n[[shift]]\nfrom = tomorrow\n", 4, "no valid TOML"),
        ('zone = "Mars/Olympus"\n', 1, "IANA name"),
        ("zone = 1\n", 1, "IANA name"),
        ('[[shifts]]\nperson = "Anna"\n', 1, "there is no shifts"),
        ('[shift]\nperson = "Anna"\n', 1, "two brackets"),
        ('[[shift]]\nperson = "Anna"\n', 1, "the shift has no from"),
        (ROTATION + '[[shift]]\nperson = "A"\nfrom = 2026-11-24\nuntil = 2026-11-24\n', 8, "until isn't after from"),
        (ROTATION + "[[shift]]\nperson = 1\nfrom = 2026-11-24\nuntil = 2026-11-25\n", 6, "a person is a name"),
        (ROTATION + '[[rotation]]\npeople = ["A"]\nuntill = 1\n', 7, "there is no untill"),
        (ROTATION.replace("7 d", "1 week"), 4, "written with its unit"),
        (ROTATION.replace("7 d", "1 s"), 4, "shorter than 60 min"),
        (ROTATION.replace('["Anna", "Ben"]', "[]"), 2, "list of names"),
        (ROTATION.replace('"Ben"', '" "'), 2, "a person is a name"),
        (ROTATION.replace("2026-01-05T09:00:00", "09:00:00"), 3, "write a time"),
        (ROTATION.replace("2026-01-05T09:00:00", '"monday"'), 3, "write a time"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(CannotTell) as why:
        read(tmp_path, text)
    assert str(why.value).startswith(f"{tmp_path}/rota.toml:{line}: ")
    assert said in str(why.value)
    assert why.value.mend


# iCalendar.

WEEKLY = """
SUMMARY:Anna
DTSTART;TZID=Europe/Vienna:20260105T090000
DTEND;TZID=Europe/Vienna:20260112T090000
RRULE:FREQ=WEEKLY;INTERVAL=2
"""


def test_events_that_repeat(tmp_path: Path) -> None:
    ben = WEEKLY.replace("Anna", "Ben").replace("0112T", "0119T").replace("0105T", "0112T")
    rota = read(tmp_path, calendar(WEEKLY, ben), name="rota.ics")
    assert rota.said == "Anna is on call until 2026-11-30 09:00"
    assert not rota.gaps
    assert rota.looked_at.startswith("2 entries of rota.ics")
    # The clocks have changed since January, and the handover hasn't.
    summer = read(tmp_path, calendar(WEEKLY, ben), datetime(2026, 7, 7, 9, 0, tzinfo=VIENNA), name="rota.ics")
    assert {f"{one.since:%H:%M}" for one in summer.turns} == {"09:00"}


def test_exceptions_of_what_repeats(tmp_path: Path) -> None:
    moved = (
        "SUMMARY:Ben\nRECURRENCE-ID;TZID=Europe/Vienna:20261123T090000\nDTSTART;TZID=Europe/Vienna:20261123T090000\n"
    )
    moved += "DTEND;TZID=Europe/Vienna:20261130T090000"
    text = calendar(WEEKLY, moved).replace("UID:1", "UID:0")
    assert read(tmp_path, text, name="rota.ics").on_call == ("Ben",)
    cancelled = calendar(WEEKLY, moved + "\nSTATUS:CANCELLED").replace("UID:1", "UID:0")
    assert read(tmp_path, cancelled, name="rota.ics").on_call == ()
    left_out = calendar(WEEKLY + "EXDATE;TZID=Europe/Vienna:20261123T090000")
    assert read(tmp_path, left_out, name="rota.ics").on_call == ()


@pytest.mark.parametrize(
    ("event", "on_call"),
    [
        ("SUMMARY:A\nDTSTART;VALUE=DATE:20261124\nDTEND;VALUE=DATE:20261125", True),
        ("SUMMARY:A\nDTSTART;VALUE=DATE:20261124", True),
        ("SUMMARY:A\nDTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261124", False),
        ("SUMMARY:A\nDTSTART:20261124T093000\nDTEND:20261124T103000", True),  # of no zone: the host's
        ("SUMMARY:A\nDTSTART:20261124T103000\nDTEND:20261124T113000", False),
        ("SUMMARY:A\nDTSTART:20261124T083000Z\nDTEND:20261124T093000Z", True),
        ("SUMMARY:A\nDTSTART:20261124T093000Z\nDTEND:20261124T103000Z", False),
        ("SUMMARY:A\nDTSTART:20261124T083000Z\nDURATION:PT1H30M1S", True),
        ("SUMMARY:A\nDTSTART;TZID=America/New_York:20261124T033000\nDURATION:PT1H", True),
        ("SUMMARY:A\nDTSTART;TZID=W. Europe Standard Time:20261124T093000\nDURATION:PT1H", True),
        ("SUMMARY:A\nDTSTART:20261124T090000Z\nDURATION:PT1H", True),  # begins now
        ("SUMMARY:A\nDTSTART:20261124T080000Z\nDURATION:PT1H", False),  # ends now
    ],
)
def test_times_of_events(tmp_path: Path, event: str, on_call: bool) -> None:
    rota = read(tmp_path, calendar(event), name="rota.ics")
    assert rota.on_call == (("A",) if on_call else ())


def test_a_zone_that_the_calendar_brings_along(tmp_path: Path) -> None:
    zone = "BEGIN:VTIMEZONE\nTZID:Ours\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0500\n"
    head = f"{zone}END:STANDARD\nEND:VTIMEZONE\n"
    event = "SUMMARY:A\nDTSTART;TZID=Ours:20261124T033000\nDURATION:PT1H"
    assert read(tmp_path, calendar(event, head=head), name="rota.ics").on_call == ("A",)


def test_a_calendar_by_its_content(tmp_path: Path) -> None:
    assert read(tmp_path, calendar(WEEKLY), name="export").on_call == ("Anna",)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (calendar(WEEKLY, "SUMMARY:A\nDTSTART:2026-11-24"), 14, "DTSTART can't be read"),
        (calendar(WEEKLY, "SUMMARY:A\nDTEND:20261124T090000Z"), 11, "no DTSTART"),
        (calendar("SUMMARY:A\nDTSTART:20261124T090000Z\nnonsense"), 8, "can't be read"),
        (calendar("SUMMARY:A\nDTSTART;TZID=Mars/Olympus:20261124T090000"), 7, "no time zone that is known"),
        (calendar("SUMMARY:A\nDTSTART:20261124T090000Z\nDTEND:20261123T090000Z"), 8, "ends before it begins"),
        (calendar("SUMMARY:A\nDTSTART:20261124T090000Z\nRRULE:FREQ=SOMETIMES"), 8, "RRULE can't be read"),
        (calendar(WEEKLY)[:150], 8, "cut short"),
        (calendar(WEEKLY) + calendar(WEEKLY)[:150], 19, "cut short"),
        ("BEGIN:VCALENDAR\r\n", 1, "cut short"),
        ("<html>Please log in</html>\n", 1, "no valid iCalendar"),
        ("", 1, "cut short"),
    ],
)
def test_a_broken_event_is_named(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(CannotTell) as why:
        read(tmp_path, text, name="rota.ics")
    assert f"rota.ics:{line}: " in str(why.value)
    assert said in str(why.value)


def test_a_rule_without_a_frequency(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="can't be worked out"):
        read(tmp_path, calendar("SUMMARY:A\nDTSTART:20261124T090000Z\nRRULE:COUNT=3"), name="rota.ics")


def test_what_repeats_every_second_ends_at_the_time_limit(tmp_path: Path) -> None:
    file = tmp_path / "rota.ics"
    file.write_text(calendar("SUMMARY:A\nDTSTART:20261120T090000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY;COUNT=99999"))
    with pytest.raises(CannotTell, match="within 200 ms"):
        read_rota(file, NOW, 0.2)


@pytest.mark.parametrize("name", ["rota.toml", "rota.ics"])
def test_files_that_cant_be_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with pytest.raises(CannotTell, match="there is no rota"):
        read_rota(file, NOW, SECONDS)
    file.write_bytes(b"x\n\xff\xfe\n")
    with pytest.raises(CannotTell, match=f"{name}:2: it is not UTF-8"):
        read_rota(file, NOW, SECONDS)
    file.unlink()
    file.mkdir()
    with pytest.raises(CannotTell, match="Is a directory"):
        read_rota(file, NOW, SECONDS)


def test_without_a_reader_of_calendars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icalendar", None)
    with pytest.raises(CannotTell, match="nothing here can read") as why:
        read(tmp_path, calendar(WEEKLY), name="rota.ics")
    assert why.value.mend.startswith("pip install icalendar")
    assert read(tmp_path, ROTATION).on_call


def test_names_are_bounded(tmp_path: Path) -> None:
    text = calendar(f"SUMMARY:{'x' * 5000}\nDTSTART:20261124T083000Z\nDURATION:{'PT2H'}")
    rota = read(tmp_path, text, name="rota.ics")
    assert len(rota.on_call[0]) == 80
    assert rota.now + timedelta(days=7) == rota.until
