"""Every line of the guide is accounted for, every expectation has its line, and the table that says so is current."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from proofs.harness import ROOT
from records.__main__ import main
from records.guide import FILE, TABLE, Beside, Guide, Line, Section, how, problems, read_guide, span, table
from records.slugs import Known, Slugs, read_slugs
from records.tables import RecordError

if TYPE_CHECKING:
    from pathlib import Path


GUIDE, SLUGS = read_guide(), read_slugs()


def known(slug: str, *marks: str, limits: tuple[str, ...] = (), arguments: frozenset[str] = frozenset()) -> Known:
    return Known(slug, "minor", parametrized=False, limits=limits, marks=marks, arguments=arguments)


SMALL = Slugs({"backup-fresh": known("backup-fresh", "daily"), "disk-space": known("disk-space", "daily")})
FITTING = Guide(
    lines=5,
    section=(
        Section("Morning", (Line("2-3", "a backup", by=("backup-fresh",)),), form=("1",)),
        Section("Evening", (Line("5", "an order", not_applicable="nobody looks"),), form=("4",)),
    ),
    beside={"disk-space": Beside(3, "a backup needs room")},
)


def with_lines(*lines: Line, form: tuple[str, ...] = ("1",), count: int = 3) -> list[str]:
    beside = {"disk-space": Beside(3, "a backup needs room")}
    return problems(Guide(count, (Section("Morning", lines, form),), beside), SMALL)


def test_every_line_is_accounted_for_and_every_expectation_has_its_line() -> None:
    assert problems(GUIDE, SLUGS) == []
    assert GUIDE.lines == 407
    said = [number for section in GUIDE.section for line in section.lines for number in span(line.at)]
    assert said == sorted(set(said))
    form = {number for section in GUIDE.section for at in section.form for number in span(at)}
    assert form.isdisjoint(said)
    assert form.union(said) == set(range(1, 408))


def test_the_table_is_current() -> None:
    assert (ROOT / TABLE).read_text(encoding="utf-8") == table(GUIDE, SLUGS), "run `python -m records guide`"
    assert main(["guide", "--check"]) == 0


def test_every_expectation_and_every_line_stands_in_the_table() -> None:
    text = (ROOT / TABLE).read_text(encoding="utf-8")
    for slug, one in SLUGS.known.items():
        assert f"`{slug}` {one.severity}, " in text, slug
        assert any(mark in ("daily", "weekly", "monthly", "quarterly", "annual") for mark in one.marks), slug
        assert one.guide, slug
    for section in GUIDE.section:
        assert f"## {section.title}\n" in text
        for line in section.lines:
            assert f"| {line.at} | " in text


def test_marks_are_read_from_the_file_and_from_the_test() -> None:
    assert {"daily", "morning", "evening", "triage"} <= set(SLUGS.known["services-up"].marks)
    assert {"monthly", "first_of_month", "quarterly"} <= set(SLUGS.known["security-script"].marks)
    assert "drill" in SLUGS.known["recovery-drill"].marks
    assert SLUGS.known["site-answers"].guide == "Morning check-in: `curl -I https://…`, 200 OK"


def test_how_an_expectation_is_known_is_read_from_its_test() -> None:
    assert how(SLUGS.known["disk-space"]) == "looked at"
    assert how(SLUGS.known["penetration-test"]) == "attested"
    assert how(SLUGS.known["encryption-at-rest"]) == "looked at or attested"
    assert how(SLUGS.known["graceful-restart"]) == "tried out (a drill)"
    attested = {slug for slug, one in SLUGS.known.items() if how(one) == "attested"}
    assert attested == set(SLUGS.attested) - {"encryption-at-rest"}


def test_a_guide_that_fits_has_no_problem() -> None:
    assert problems(FITTING, SMALL) == []


def test_a_line_of_which_nothing_is_said_is_found() -> None:
    (said,) = with_lines(Line("2", "a backup", by=("backup-fresh",)))
    assert said == f"{FILE}: nothing is said of line 3: add it, or count it as form."


def test_a_line_that_stands_twice_is_found() -> None:
    (said,) = with_lines(Line("2-3", "a backup", by=("backup-fresh",)), form=("1-2",))
    assert "line 2 of 'Morning' stands in 'Morning' as well" in said


def test_a_line_beyond_the_end_is_found() -> None:
    (said,) = with_lines(Line("2-4", "a backup", by=("backup-fresh",)))
    assert "line 4 of 'Morning' is beyond 3" in said


def test_lines_out_of_order_are_found() -> None:
    said = with_lines(Line("3", "a backup", by=("backup-fresh",)), Line("2", "it", by=("backup-fresh",)))
    assert said == [f"{FILE}: at = \"2\" of 'Morning' is out of order: sort the lines by their numbers."]


@pytest.mark.parametrize("at", ["", "0", "2-", "3-2", "two", "2,3", "-1", "٢"])
def test_what_is_no_line_is_found(at: str) -> None:
    assert any(f"\"{at}\" of 'Morning' is no line" in one for one in with_lines(Line(at, "it", by=("backup-fresh",))))


def test_a_line_needs_somebody_or_a_reason_and_not_both() -> None:
    for line in (
        Line("2-3", "a backup"),
        Line("2-3", "a backup", not_applicable="  "),
        Line("2-3", "a backup", by=("backup-fresh",), not_applicable="nobody looks"),
    ):
        assert any("needs either `by`, who covers it, or `not_applicable`" in one for one in with_lines(line))


def test_a_line_without_words_is_found() -> None:
    (said,) = with_lines(Line("2-3", " ", by=("backup-fresh",)))
    assert "says nothing" in said


def test_an_expectation_that_there_is_not_is_found() -> None:
    (said,) = with_lines(Line("2-3", "a backup", by=("backup-fresh", "backup-fresch")))
    assert said.endswith("there is no expectation 'backup-fresch' (did you mean backup-fresh?).")


def test_an_expectation_without_a_line_is_found() -> None:
    (said,) = problems(msgspec.structs.replace(FITTING, beside={}), SMALL)
    assert "disk-space covers no line: name it in `by` of one, or say under [beside] why it is there." in said


@pytest.mark.parametrize(
    ("slug", "beside", "said"),
    [
        ("backup-fresh", Beside(2, "why"), "backup-fresh covers a line and stands under [beside] as well"),
        ("zzz", Beside(2, "why"), "there is no expectation 'zzz'"),
        ("disk-space", Beside(6, "why"), "needs a line from 1 to 5, and a reason"),
        ("disk-space", Beside(3, " "), "needs a line from 1 to 5, and a reason"),
    ],
)
def test_what_stands_beside_has_a_line_and_a_reason(slug: str, beside: Beside, said: str) -> None:
    guide = msgspec.structs.replace(FITTING, beside={**FITTING.beside, slug: beside})
    assert any(said in one for one in problems(guide, SMALL))


def test_words_do_not_end_a_cell() -> None:
    line = Line("2-3", "this | that\nand more", by=("backup-fresh",))
    guide = msgspec.structs.replace(FITTING, section=(Section("Morning", (line,), ("1", "4-5")),))
    assert "| 2-3 | this \\| that and more | `backup-fresh` minor, daily | looked at |\n" in table(guide, SMALL)


def test_a_key_that_is_no_key_is_said(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / FILE).write_text(
        'lines = 1\nbeside = {}\n[[section]]\ntitle = "A"\nlines = [{ at = "1", sais = "a" }]\n'
    )
    with pytest.raises(RecordError, match=r"guide\.toml: it can't be read: .*sais"):
        read_guide(tmp_path)


def test_a_table_that_is_not_current_is_refused_and_then_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / FILE).write_text('lines = 1\n[beside]\n[[section]]\ntitle = "A"\nform = ["1"]\nlines = []\n')
    assert main(["guide", "--check"], root=tmp_path) == 1
    assert "docs/guide.md is not current: run `python -m records guide` and commit it." in capsys.readouterr().err
    assert main(["guide"], root=tmp_path) == 0
    assert main(["guide", "--check"], root=tmp_path) == 0
    assert "docs/guide.md: current" in capsys.readouterr().out
