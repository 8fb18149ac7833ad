"""The documents for whoever has to act, as people write them."""

from __future__ import annotations

import os
from datetime import date
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from observe.errors import CannotTell
from observe.runbooks import MOST, Runbook, read_runbook

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 4, 20)
MAY = date(2026, 5, 11)
NAME = "GUIDE.md"
WORDS = "# A guide\n\nCall the others first.\n\n"


def read(tmp_path: Path, text: str, today: date = TODAY) -> Runbook:
    (tmp_path / NAME).write_text(text, encoding="utf-8")
    return read_runbook(tmp_path, NAME, today)


@pytest.mark.parametrize(
    "line",
    [
        "Next Review: May 11, 2026",
        "**Next Review**: May 11, 2026",
        "**Next Review:** 2026-05-11",
        "- Next review date: 11 May 2026",
        "Next Review: 11th of May, 2026",
        "next_review: 2026-05-11T09:00:00Z",
        "next-review = 2026/5/11",
        "*Next security review due:* 11-May-2026",
        "Review due 11 May 2026",
        "The review is due on 11.05.2026.",
        "Review by 2026-05-11",
        "To be reviewed again by May 11th 2026.",
        "Last Review: 2025-05-11, next review: 2026-05-11",
        "Next Review: 2026-05-11 (last review 2025-11-11)",
        "Nächste Überprüfung: 11. Mai 2026",
        "Nächstes Review am 11.5.26",
        "Wiedervorlage: 11. 05. 2026",
        "Zu prüfen bis 11.Mai 2026",
        "## Next Review\n\nMay 11, 2026",
        "| Version | Next Review | Owner |\n|---|---|---|\n| 2025-01-01 | 2026-05-11 | Anna |",
        "| Next Review | May 11, 2026 |",
        "~~~\nNext Review: 2020-01-01\n~~~\nNext Review: 2026-05-11",
        "<!-- Next Review: 2020-01-01\n-->\nNext Review: 2026-05-11",
    ],
)
def test_dates_as_people_write_them(tmp_path: Path, line: str) -> None:
    seen = read(tmp_path, f"{WORDS}{line}\n")
    assert seen.review is not None
    assert seen.review.day == MAY
    assert seen.kept
    assert seen.left == 21
    assert not seen.notes
    seen.must_have_date()
    assert read(tmp_path, f"{WORDS}{line}\n", MAY).kept  # on its day it has not passed
    late = read(tmp_path, f"{WORDS}{line}\n", date(2026, 5, 12))
    assert not late.kept
    assert "was due 24 h ago, 2026-05-11" in late.said


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("Next Review: May 2026", date(2026, 5, 31)),
        ("Next Review: 2026-02", date(2026, 2, 28)),
        ("Next Review: Februar 2028", date(2028, 2, 29)),
        ("Next Review: Q2 2026", date(2026, 6, 30)),
    ],
)
def test_of_a_month_the_last_day_counts(tmp_path: Path, line: str, last: date) -> None:
    seen = read(tmp_path, WORDS + line)
    assert seen.review is not None
    assert seen.review.day == last


def test_of_two_days_the_later_counts_and_is_said(tmp_path: Path) -> None:
    seen = read(tmp_path, WORDS + "Next Review: 03/04/2026")
    assert seen.review is not None
    assert (seen.review.earlier, seen.review.day) == (date(2026, 3, 4), date(2026, 4, 3))
    assert "03/04/2026 may be 2026-03-04 or 2026-04-03" in seen.notes[0]
    plain = read(tmp_path, WORDS + "Next Review: 25/04/2026")
    assert plain.review is not None
    assert plain.review.day == date(2026, 4, 25)
    assert not plain.notes
    same = read(tmp_path, WORDS + "Next Review: 05/05/2026")
    assert not same.notes


def test_several_dates(tmp_path: Path) -> None:
    seen = read(tmp_path, f"Next Review: 2025-01-01\n{WORDS}Next Review: 2026-05-11\n")
    assert seen.kept
    assert "2025-01-01 (line 1), 2026-05-11 (line 6)" in seen.notes[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "there is none in it"),
        ("Last Updated: 2026-01-01", "there is none in it"),
        ("Last review by Anna, 2020-01-01", "there is none in it"),
        ("Review by Anna on 2020-01-01", "there is none in it"),
        ("Previous review due 2020-01-01", "there is none in it"),
        ("Letzte Prüfung am 01.01.2020", "there is none in it"),
        ("Next Review: quarterly", "Next Review: quarterly"),
        ("Next Review: 2026-02-30", "2026-02-30"),
        ("Next Review: 2026-13-01", "2026-13-01"),
        ("Next Review: 32.13.2026", "32.13.2026"),
        ("The next review comes after the next incident.\n\nSee 2020-01-01.", "after the next incident"),
        ("Next Review: " + "x" * 5000, "Next Review: xxx"),
    ],
)
def test_without_a_day_nobody_can_tell(tmp_path: Path, line: str, said: str) -> None:
    seen = read(tmp_path, WORDS + line)
    assert seen.kept
    assert seen.review is None
    with pytest.raises(CannotTell) as why:
        seen.must_have_date()
    assert said in str(why.value)
    assert len(str(why.value)) < 250
    assert why.value.mend == "Add a line to GUIDE.md, such as: Next Review: 2026-10-19"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n \n",
        "# Incidents\n\n## First\n",
        "Incidents\n=========\n",
        "# A\n\nNext Review: 2026-05-11\n",
        "<!-- x -->",
    ],
)
def test_a_document_that_says_nothing(tmp_path: Path, text: str) -> None:
    seen = read(tmp_path, text)
    assert not seen.kept
    assert "no word beyond its headings" in seen.said


def test_what_is_to_be_typed_says_something(tmp_path: Path) -> None:
    seen = read(tmp_path, "# Restore\n```\n# gunzip first\npg_restore all\n```\nNext Review: 2026-05-11\n")
    assert seen.words == 4
    assert seen.looked_at == f"GUIDE.md: {seen.size} bytes, 4 words"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / NAME).write_bytes("Rückfragen an alle\r\nNext Review: 2026-05-11\r\n".encode(encoding))
    seen = read_runbook(tmp_path, NAME, TODAY)
    assert seen.review is not None
    assert seen.kept


def test_absent(tmp_path: Path) -> None:
    assert read_runbook(tmp_path, NAME, TODAY).said == "isn't there"
    (tmp_path / "Guide.md").write_text(WORDS)
    assert read_runbook(tmp_path, NAME, TODAY).said == "isn't there; Guide.md is, whose name is written differently"
    (tmp_path / NAME).symlink_to(tmp_path / "away.md")
    seen = read_runbook(tmp_path, NAME, TODAY)
    assert seen.said == "is a link to something that isn't there"
    assert not seen.kept
    assert seen.looked_at == "the project's directory for GUIDE.md"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "docs.md").write_text(f"{WORDS}Next Review: 2026-05-11\n")
    (tmp_path / NAME).symlink_to("docs.md")
    assert read_runbook(tmp_path, NAME, TODAY).kept


def test_no_document(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    assert read_runbook(tmp_path, NAME, TODAY).said == "is a directory, no document"
    (tmp_path / NAME).rmdir()
    os.mkfifo(tmp_path / NAME)
    assert read_runbook(tmp_path, NAME, TODAY).said == "is no file"


def test_what_cant_be_read(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match=r"the project's directory .* can't be read: No such file"):
        read_runbook(tmp_path / "nowhere", NAME, TODAY)
    (tmp_path / NAME).symlink_to(NAME)
    with pytest.raises(CannotTell, match="Too many levels of symbolic links"):
        read_runbook(tmp_path, NAME, TODAY)


def test_its_reading_is_bounded(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"word " * (MOST // 5 + 100) + b"\nNext Review: 2026-05-11\n")
    seen = read_runbook(tmp_path, NAME, TODAY)
    assert seen.review is None
    assert "only its first" in seen.notes[0]


@pytest.mark.parametrize("piece", ["next_", "next ", "next review ", "_", " ", "1 ", "|", "`", "<!--", "review by "])
def test_no_text_holds_it_up(tmp_path: Path, piece: str) -> None:
    began = monotonic()
    read(tmp_path, f"next{piece * 40_000}\n")
    read(tmp_path, f"Next Review: {piece * 40_000}\n")
    assert monotonic() - began < 5
