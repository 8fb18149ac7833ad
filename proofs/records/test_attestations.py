"""What was attested is read back as it was said, what isn't right is said at once, and nothing is ever lost."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import tomllib
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.harness import ROOT
from proofs.records.trees import SLUGS, names_in
from proofs.users import nobody
from records.attestations import Attestation, add, read
from records.tables import Day, Link, RecordError, Said

TODAY = date(2026, 11, 24)
GOOD = '[[attestation]]\nslug = "admin-rotation"\ndate = 2026-10-02\nby = "Mira"\nnote = "new passwords"\n'


def attestation(
    slug: str = "admin-rotation", day: date = TODAY, by: str = "Mira", note: str = "done", link: str = ""
) -> Attestation:
    return Attestation(Said(slug), Day.parse(day), Said(by), Said(note), Link(link))


def problems(tmp_path: Path, text: str) -> list[str]:
    """What is said of such a file, without the file's name."""
    file = tmp_path / "attestations.toml"
    file.write_text(text)
    with pytest.raises(RecordError) as said:
        read(file, SLUGS, TODAY)
    return [line.removeprefix(f"{file}") for line in str(said.value).splitlines()]


def test_no_file_is_nothing_attested(tmp_path: Path) -> None:
    found = read(tmp_path / "attestations.toml", SLUGS, TODAY)
    assert found.all == ()
    assert found.latest("admin-rotation") is None
    due = found.due("admin-rotation", timedelta(days=92), TODAY)
    assert (due.words, due.holds, due.age, due.on) == ("never attested", False, None, None)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    file = tmp_path / "attestations.toml"
    file.write_text(
        f'# ours\n{GOOD}link = "https://wiki/1"\n[attestation.covers]\n"@types/node" = "20.1"\nDjango = "5.2"\n'
    )
    (one,) = read(file, SLUGS, TODAY).all
    assert (one.slug, one.date, one.by, one.note) == ("admin-rotation", date(2026, 10, 2), "Mira", "new passwords")
    assert (one.link, one.covers) == ("https://wiki/1", {"@types/node": "20.1", "Django": "5.2"})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"admin-rotation"',
            '"admin-rotaton"',
            ":2: slug: there is no expectation 'admin-rotaton' (did you mean admin-",
        ),
        ("2026-10-02", "2026-11-25", ":3: date: 2026-11-25 lies in the future, today is 2026-11-24"),
        ("2026-10-02", '"2026-10-02"', ":3: date: a day is written without quotes and without a time, as 2026-12-01"),
        ("2026-10-02", "2026-10-02T10:00:00", ":3: date: a day is written without quotes and without a time"),
        ("2026-10-02", "20261002", ":3: date: a day is written without quotes"),
        ('by = "Mira"\n', "", ":1: by: it is missing, and has to be said"),
        ('"Mira"', '" \\t\\n"', ":4: by: it is a text in quotes that isn't blank"),
        ('"Mira"', '"\\u200b"', ":4: by: it is a text in quotes that isn't blank"),
        ('"Mira"', "3", ":4: by: it is a text in quotes that isn't blank, not '3'"),
        ('note = "new passwords"\n', "", ":1: note: it is missing"),
        ('"new passwords"', '""', ":5: note: it is a text in quotes that isn't blank"),
        ("by =", "bye =", ":4: bye: there is no such key (did you mean by?)"),
        ("note =", 'link = "wiki.example/1"\nnote =', ":5: link: a link is an address that begins with https://"),
        ("note =", 'link = "javascript:alert(1)"\nnote =', ":5: link: a link is an address"),
        ("note =", 'link = "https://"\nnote =', ":5: link: a link is an address"),
        ("note =", 'link = "https://[1"\nnote =', ":5: link: a link is an address"),
        ("note =", 'link = "https://a b/"\nnote =', ":5: link: a link is an address"),
        ("note =", 'covers = ["Django"]\nnote =', ":5: covers: expected `object`, got `array`"),
        ("note =", "covers = { Django = 5 }\nnote =", ":5: covers: it is a text in quotes that isn't blank"),
        (
            "[[attestation]]",
            "[attestation]",
            ": attestation: begin each with [[attestation]], in two pairs of brackets",
        ),
        ("[[attestation]]", "[[atestation]]", ": atestation: only [[attestation]] tables stand here"),
        ("[[attestation]]", 'zone = "UTC"\n[[attestation]]', ": zone: only [[attestation]] tables stand here"),
    ],
)
def test_what_is_not_right_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new))
    assert any(line.startswith(said) for line in found), found


def test_no_toml_is_said(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, "[[attestation]\n")
    assert said.startswith(": it is no valid TOML: ")
    assert "line 1" in said


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = problems(tmp_path, GOOD + "\n" + GOOD.replace("2026-10-02", "2027-10-02").replace('"Mira"', '""'))
    assert [line[:11] for line in said] == [":10: by: it"]
    said = problems(tmp_path, GOOD.replace("admin", "amdin") + GOOD.replace("2026", "2027") + GOOD.replace("Mira", " "))
    assert [line.split(" ")[0:2] for line in said] == [[":14:", "by:"], [":2:", "slug:"], [":8:", "date:"]]


def test_the_line_is_right_behind_texts_of_several_lines(tmp_path: Path) -> None:
    tricky = GOOD.replace('"new passwords"', "'''\n[[attestation]]\ndate = 2030-01-01\n'''")
    (said,) = problems(tmp_path, tricky + GOOD.replace("2026", "2030"))
    assert said.startswith(":11: date: 2030-10-02 lies in the future")


def test_the_same_twice_is_said(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, f"{GOOD}\n{GOOD}")
    assert said == ":7: admin-rotation was already attested on 2026-10-02 by the same person on line 1: take one out."


def test_the_last_one_counts(tmp_path: Path) -> None:
    file = tmp_path / "attestations.toml"
    add(file, attestation(day=date(2026, 9, 1), note="late entry"), SLUGS, TODAY)
    add(file, attestation(day=date(2026, 8, 1)), SLUGS, TODAY)
    add(file, attestation(day=date(2026, 9, 1), by="Jo"), SLUGS, TODAY)
    found = add(file, attestation("costs-reviewed"), SLUGS, TODAY)
    last = found.latest("admin-rotation")
    assert last is not None
    assert (last.date, last.by) == (date(2026, 9, 1), "Jo")
    assert found.latest("admin-rotation", date(2026, 8, 15)) == found.all[1]
    due = found.due("admin-rotation", timedelta(days=92), TODAY)
    assert due.looked_at == f"3 of 4 attestations in {file}"
    assert [(row["date"], row["by"]) for row in due.rows()] == [
        ("2026-09-01", "Jo"),
        ("2026-09-01", "Mira"),
        ("2026-08-01", "Mira"),
    ]


def test_what_is_shown_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "attestations.toml"
    for day in range(1, 9):
        add(file, attestation(day=date(2026, 9, day), by="M" * 5000, note="n" * 5000), SLUGS, TODAY)
    due = read(file, SLUGS, TODAY).due("admin-rotation", timedelta(days=92), TODAY)
    assert len(due.words) < 200
    assert len(due.rows()) == 5
    assert all(len(value) < 400 for row in due.rows() for value in row.values())


@pytest.mark.parametrize(
    ("today", "holds", "words"),
    [
        (date(2026, 10, 2), True, "attested on 2026-10-02 by Mira, today; due on 2026-11-02"),
        (date(2026, 10, 3), True, "attested on 2026-10-02 by Mira, 1 day ago; due on 2026-11-02"),
        (date(2026, 11, 2), True, "attested on 2026-10-02 by Mira, 31 days ago; due on 2026-11-02"),
        (date(2026, 11, 3), False, "attested on 2026-10-02 by Mira, 32 days ago; due since 2026-11-02"),
        (date(2026, 11, 24), False, "attested on 2026-10-02 by Mira, 53 days ago; due since 2026-11-02"),
        (date(2026, 10, 1), False, "never attested"),
    ],
)
def test_it_holds_through_its_last_day(tmp_path: Path, today: date, holds: bool, words: str) -> None:
    file = tmp_path / "attestations.toml"
    file.write_text(GOOD)
    due = read(file, SLUGS, TODAY).due("admin-rotation", timedelta(days=31, hours=12), today)
    assert (due.words, due.holds) == (words, holds)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: any(character.isprintable() for character in text.strip())
) | st.sampled_from(
    ['"', '\\"""\n]]', "]]\n[[attestation]]", "'''", "a\r\nb\rc", "\\u0041\\", "x\0\x7f\x85\u2028", "🦊 é"]
)
DAYS = st.dates(date(1970, 1, 1), TODAY)


@given(TEXTS, TEXTS, DAYS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.sampled_from(["", "https://é.example/?q=\"'"]))
def test_what_was_said_is_read_back(by: str, note: str, day: date, covers: dict[str, str], link: str) -> None:
    said = Attestation(
        Said("costs-reviewed"),
        Day.parse(day),
        Said(by),
        Said(note),
        Link(link),
        {Said(package): Said(version) for package, version in covers.items()},
    )
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "attestations.toml"
        file.write_bytes(f"# first\n{GOOD}".encode())
        assert add(file, said, SLUGS, TODAY).all[-1] == said
        assert read(file, SLUGS, TODAY).all[1:] == (said,)
        (table,) = tomllib.loads(file.read_text(encoding="utf-8"))["attestation"][1:]
    assert (table["by"], table["note"], table["date"]) == (by, note, day)
    assert table.get("covers", {}) == covers


@given(
    st.sampled_from(["", "\ufeff", "# a remark", "# a remark\n\n\n", "\r\n# dos\r\n", "   ", "\n"]),
    st.sampled_from(["", GOOD, GOOD.rstrip("\n"), GOOD.replace("\n", "\r\n"), f"{GOOD}# the end", f"{GOOD}\n \t\n"]),
)
def test_what_stands_there_stays_byte_for_byte(before: str, table: str) -> None:
    if before and not before.endswith("\n") and before != "\ufeff":
        table = f"\n{table}"
    old = f"{before}{table}".encode()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "attestations.toml"
        file.write_bytes(old)
        number = len(read(file, SLUGS, TODAY).all)
        assert len(add(file, attestation(note="more"), SLUGS, TODAY).all) == number + 1
        new = file.read_bytes()
    assert new.startswith(old)
    assert new.endswith(b"\n")
    added = new[len(old) :]
    assert (b"\n" in added.replace(b"\r\n", b"")) == (b"\r\n" not in old), "the line ends are those of the file"


def test_mode_and_link_are_kept_and_nothing_is_left_beside(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "said.toml"
    real.write_text(GOOD)
    real.chmod(0o640)
    link = tmp_path / "attestations.toml"
    link.symlink_to(real)
    add(link, attestation(), SLUGS, TODAY)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert len(read(real, SLUGS, TODAY).all) == 2
    assert names_in(real.parent) == ["said.toml"]


def test_a_new_file_is_made_as_others_are(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        add(tmp_path / "attestations.toml", attestation(), SLUGS, TODAY)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "attestations.toml").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD.replace("Mira", " "), r":4: by: "),
        ("[[", "no valid TOML"),
        (
            'attestation = [{ slug = "costs-reviewed", date = 2026-01-01, by = "Jo", note = "x" }]\n',
            "no valid TOML|one by",
        ),
        (f"{GOOD}[attestation.covers]\nA = '1'\n[other]\n", "other: only"),
    ],
)
def test_to_a_file_that_is_not_right_nothing_is_added(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "attestations.toml"
    file.write_text(content)
    with pytest.raises(RecordError, match=said):
        add(file, attestation(), SLUGS, TODAY)
    assert file.read_text() == content
    assert names_in(tmp_path) == ["attestations.toml"]


def test_what_is_not_right_is_not_added(tmp_path: Path) -> None:
    file = tmp_path / "attestations.toml"
    file.write_text(GOOD)
    for wrong in (
        attestation("admin"),
        attestation(day=TODAY + timedelta(days=1)),
        attestation(by=" "),
        attestation(note="\udcff"),
        attestation(link="ftp://x/"),
        attestation(day=date(2026, 10, 2)),
    ):
        with pytest.raises(RecordError):
            add(file, wrong, SLUGS, TODAY)
    assert file.read_text() == GOOD


def test_where_nothing_may_be_written_nothing_is_lost(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        file = Path(directory) / "attestations.toml"
        file.write_text(GOOD)
        if os.geteuid() != 0:
            Path(directory).chmod(0o555)
        with nobody(), pytest.raises(RecordError, match=r"it can't be written, and is as it was: Permission denied"):
            add(file, attestation(), SLUGS, TODAY)
        Path(directory).chmod(0o755)
        assert file.read_text() == GOOD
        assert names_in(Path(directory)) == ["attestations.toml"]
    with pytest.raises(RecordError, match="No such file or directory"):
        add(tmp_path / "nowhere" / "attestations.toml", attestation(), SLUGS, TODAY)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "attestations.toml"
    content = GOOD + "# a remark that takes some room\n" * 400
    file.write_text(content)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(RecordError, match="can't be written, and is as it was: File too large"):
            add(file, attestation(), SLUGS, TODAY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert file.read_text() == content
    assert names_in(tmp_path) == ["attestations.toml"]


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("records.tables.LOCK_SECONDS", 0.2)
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(RecordError, match="somebody else has been writing there"):
            add(tmp_path / "attestations.toml", attestation(), SLUGS, TODAY)
    finally:
        os.close(handle)
    assert names_in(tmp_path) == []
    assert len(add(tmp_path / "attestations.toml", attestation(), SLUGS, TODAY).all) == 1


ADD_MANY = """
import sys
from datetime import date
from pathlib import Path
from proofs.records.test_attestations import SLUGS, TODAY, add, attestation
for number in range(30):
    add(Path(sys.argv[1]), attestation(by=f"{sys.argv[2]} {number}"), SLUGS, TODAY)
"""


def test_two_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "attestations.toml"
    both = [
        subprocess.Popen([sys.executable, "-c", ADD_MANY, str(file), name], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    for process in both:
        assert process.wait(60) == 0, process.stderr.read() if process.stderr else ""
    by = [one.by for one in read(file, SLUGS, TODAY).all]
    assert sorted(by) == sorted(f"{name} {number}" for name in ("one", "two") for number in range(30))
