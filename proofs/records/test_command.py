"""The command as it is typed, the rule by which a target is chosen, and what the lab says of itself."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from lab.faults.fault import FaultDidNotTake
from lab.faults.records import faults
from lab.progress import LabError
from lab.records import write
from lab.stack import Lab
from proofs.harness import ROOT
from proofs.records.trees import ATTESTED, SLUGS, target, tree
from records.__main__ import main
from records.attestations import read
from records.tables import RecordError
from target.choose import target_file
from target.load import TargetError

if TYPE_CHECKING:
    from pathlib import Path

    from lab.faults.fault import Fault


def today() -> date:
    return datetime.now(ZoneInfo("Europe/Vienna")).date()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a target, in which the command is typed."""
    monkeypatch.delenv("OPS_TARGET", raising=False)
    monkeypatch.chdir(tmp_path)
    target(tree(tmp_path))
    return tmp_path


def test_attest_writes_and_says_until_when_it_holds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["attest", "admin-rotation", "--by", "Mira", "--note", 'new "ones"', "--link", "https://t/1"], root) == 0
    )
    said = capsys.readouterr().out
    assert said.splitlines() == [
        f"admin-rotation: attested on {today()} by Mira, in {root}/attestations.toml.",
        f"It holds through {today() + timedelta(days=92)}. Commit the file: it is the record.",
    ]
    assert (root / "attestations.toml").read_text().splitlines() == [
        "[[attestation]]",
        'slug = "admin-rotation"',
        f"date = {today()}",
        'by = "Mira"',
        'note = "new \\"ones\\""',
        'link = "https://t/1"',
    ]


def test_attest_of_long_ago_says_that_it_is_due(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["attest", "costs-reviewed", "--by", "Mira", "--note", "x", "--date", "2026-01-01"]
    assert main(arguments, root) == 0
    assert "It is due all the same, since 2026-02-01" in capsys.readouterr().out


def test_attest_of_dependencies_says_what_it_covers(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["attest", "python-dependencies-current", "--by", "Mira", "--note", "waiting for 5.3"]
    assert main([*arguments, "--covers", "Django=5.2", "@types/node=20", "--covers", "celery==5.4"], root) == 0
    assert "It covers 3 packages in the version given." in capsys.readouterr().out
    (one,) = read(root / "attestations.toml", SLUGS, today()).all
    assert one.covers == {"Django": "5.2", "@types/node": "20", "celery": "5.4"}


def test_attest_names_keys_and_is_no_review(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["--covers", "database=arn:aws:kms:eu-1:12:key/ab", "backups=c2VjcmV0=="]
    assert main(["attest", "admin-rotation", "--by", "Mira", "--note", "x", *keys], root) == 0
    (one,) = read(root / "attestations.toml", SLUGS, today()).all
    assert one.covers == {"database": "arn:aws:kms:eu-1:12:key/ab", "backups": "c2VjcmV0=="}
    assert main(["list"], root) == 0
    assert ": reviewed on" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["attest", "admin-rotaton", "--by", "M", "--note", "x"], "did you mean admin-rotation?"),
        (["attest", "backup-fresh", "--by", "M", "--note", "x"], "is seen by the suite itself and isn't attested"),
        (["attest", "costs-reviewed", "--by", " ", "--note", ""], "--by ' ': it is a text in quotes that isn't blank"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x", "--date", "9999-01-01"], "lies in the future"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x", "--date", "20260101"], "--date '20260101': a day is"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x", "--date", "yesterday"], "a day is written"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x", "--link", "wiki"], "--link 'wiki': a link is"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x", "--covers", "Django"], "write NAME=VERSION"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x", "--covers", "a=1", "a=2"], "stands there twice"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x\udcff"], "no UTF-8 text"),
        (["attest", "costs-reviewed", "--by", "M", "--note", "x", "--target", "no.toml"], "there is no such file"),
        (["waive", "disk-space[root]", "--by", "M", "--reason", "x", "--until", "1m"], "--until '1m': a day is"),
        (["waive", "disk-space[root]", "--by", "M", "--reason", "x", "--until", "2020-01-01"], "is over, today is"),
        (
            ["waive", "disk-space[root]", "--by", "M", "--reason", "x", "--until", "9999-01-01"],
            "more than a year ahead",
        ),
        (
            ["waive", "disk-space", "--by", "M", "--reason", "x", "--until", "9999-01-01", "--at-most", "lots"],
            "--at-most 'lots': a bound is a figure with its unit",
        ),
    ],
)
def test_what_is_not_right_is_refused_and_nothing_written(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments, root) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert all(line.startswith("records: ") for line in captured.err.splitlines())
    assert not list(root.glob("*attestations*"))
    assert not list(root.glob("*waivers*"))


@pytest.mark.parametrize("missing", ["--by", "--note"])
def test_who_and_what_are_required(root: Path, missing: str) -> None:
    given = {"--by": "Mira", "--note": "done"}
    del given[missing]
    with pytest.raises(SystemExit) as left:
        main(["attest", "costs-reviewed", *(word for pair in given.items() for word in pair)], root)
    assert left.value.code == 2


def test_waive_writes_and_says_until_when_it_holds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    until = today() + timedelta(days=7)
    arguments = ["waive", "disk-space[root]", "--by", "Mira", "--reason", "new disk", "--until", str(until)]
    assert main([*arguments, "--at-most", "85 %"], root) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"disk-space[root]: waived by Mira, in {root}/waivers.toml.",
        f"It holds through {until} (7 days from today), while it is at most 85 %. Commit the file.",
    ]
    assert main(["waive", "backup-fresh", *arguments[2:], "--at-least", "12"], root) == 0
    assert (root / "waivers.toml").read_text().splitlines()[-1] == "at_least = 12"
    assert main(["waive", "python-dependencies-current", *arguments[2:], "--covers", "X-1", "X-2"], root) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("from today), for X-1, X-2 only. Commit the file.")
    assert main(arguments, root) == 1
    assert "there is a waiver of disk-space[root] already on line 1" in capsys.readouterr().err


def test_list_shows_what_is_due_and_what_is_waived(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ago, soon = today() - timedelta(days=40), today() + timedelta(days=1)
    gone = today() - timedelta(days=1)
    (root / "attestations.toml").write_text(
        f'[[attestation]]\nslug = "costs-reviewed"\ndate = {ago}\nby = "\\u001b[31mJo"\nnote = "x"\n'
        f'[[attestation]]\nslug = "admin-rotation"\ndate = {ago}\nby = "Mira"\nnote = "x"\n'
        f'[[attestation]]\nslug = "python-dependencies-current"\ndate = {ago}\nby = "Jo"\nnote = "x"\n'
        '[attestation.covers]\na = "1"\n'
    )
    (root / "waivers.toml").write_text(
        f'[[waiver]]\nslug = "disk-space"\nreason = "x"\nby = "Jo"\nuntil = {soon}\nat_most = "9 %"\n'
        f'[[waiver]]\nslug = "backup-fresh"\nreason = "y"\nby = "Jo"\nuntil = {gone}\n'
    )
    (root / "target.toml").open("a").write('[not_applicable]\n"disk-space[docker]" = "no disk of its own"\n')
    assert main(["list"], root) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Attested, in {root}/attestations.toml:",
        f"    admin-rotation: attested on {ago} by Mira, 40 days ago; due on {ago + timedelta(days=92)}",
        f"  ! costs-reviewed: attested on {ago} by Jo, 40 days ago; due since {ago + timedelta(days=31)}",
        "  ! next-month-planned: never attested",
        "  ! security-policy-updated: never attested",
        f"    python-dependencies-current: reviewed on {ago} by Jo, 1 package",
        "",
        f"Waived, in {root}/waivers.toml:",
        f"    disk-space: 1 day left; waived by Jo, until {soon}, while at most 9 %: x",
        f"  ! backup-fresh: ended; waived by Jo, until {gone}: y",
        "",
        f"Not applicable, in {root}/target.toml:",
        "    disk-space[docker]: no disk of its own",
    ]


def test_it_runs_as_a_program(root: Path) -> None:
    command = [sys.executable, "-m", "records", "list", "--target", str(root / "target.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Attested, in {root}/attestations.toml:\n")
    loads = "import sys, records.__main__; print([one for one in ('pytest', 'docker', 'httpx') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loads], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_target_is_chosen_as_the_suite_chooses_it(tmp_path: Path) -> None:
    here = tmp_path / "here"

    def chosen(given: str = "", **environment: str) -> Path:
        return target_file(given, root=tmp_path, directory=here, environment=environment)

    with pytest.raises(TargetError, match="no target: "):
        chosen()
    with pytest.raises(TargetError, match="the lab 'synklab' isn't standing"):
        chosen("lab")
    target(tmp_path)
    assert chosen() == tmp_path / "target.toml"
    assert chosen("other.toml") == here / "other.toml"
    assert chosen("/x.toml", OPS_TARGET="y") == target_file("/x.toml", root=here, directory=tmp_path, environment={})
    assert chosen(OPS_TARGET="y.toml") == here / "y.toml"
    (tmp_path / ".lab" / "mine").mkdir(parents=True)
    lab = target(tmp_path / ".lab" / "mine")
    assert chosen("lab", LAB="mine") == lab
    assert chosen(OPS_TARGET="lab", LAB="mine") == lab


class Elsewhere(Lab):
    """A lab that doesn't stand, in a directory of a proof's own."""

    place: Path

    @property
    def directory(self) -> Path:
        return self.place


@pytest.fixture
def lab(root: Path) -> Lab:
    lab = Elsewhere("elsewhere")
    object.__setattr__(lab, "place", root)
    return lab


def test_the_lab_attests_everything_once_a_week(lab: Lab, root: Path) -> None:
    now = today()
    assert write(lab, now, root) == 4
    content = (root / "attestations.toml").read_bytes()
    assert write(lab, now, root) == 0
    assert write(lab, now + timedelta(days=6), root) == 0
    assert (root / "attestations.toml").read_bytes() == content
    assert write(lab, now + timedelta(days=7), root) == 4
    found = read(root / "attestations.toml", SLUGS, now + timedelta(days=7))
    assert {one.slug for one in found.all[:4]} == {one.slug for one in found.all[4:]} == set(ATTESTED)
    for slug in ATTESTED:
        assert found.due(slug, timedelta(days=31), now + timedelta(days=7)).holds


def test_a_lab_whose_attestations_are_not_right_says_so(lab: Lab, root: Path) -> None:
    (root / "attestations.toml").write_text("[[")
    with pytest.raises(LabError, match="no valid TOML"):
        write(lab, today(), root)


def due_under(fault: Fault, lab: Lab, root: Path) -> set[str]:
    """What is due under a fault."""
    with contextmanager(fault.inject)(lab):
        found = read(root / "attestations.toml", SLUGS, today())
        days = {"attested_month": 31, "attested_quarter": 92}
        return {
            slug
            for slug, period in SLUGS.attested.items()
            if not found.due(slug, timedelta(days=days[period]), today()).holds
        }


@pytest.mark.parametrize("number", range(8))
def test_each_fault_breaks_its_own_and_puts_the_file_back(lab: Lab, root: Path, number: int) -> None:
    write(lab, datetime.now(UTC).date(), root)
    file = root / "attestations.toml"
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    fault = faults(tuple(ATTESTED), root)[number]
    assert due_under(fault, lab, root) == set(fault.breaks) == {fault.name.removeprefix("attested-").partition("-")[2]}
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_a_fault_of_what_was_never_attested_does_not_take(lab: Lab, root: Path) -> None:
    never = faults(("admin-rotation",), root)[0]
    with pytest.raises(FaultDidNotTake, match="there is no "), contextmanager(never.inject)(lab):
        pass
    (root / "attestations.toml").write_text("# nothing\n")
    with pytest.raises(FaultDidNotTake, match="never attested"), contextmanager(never.inject)(lab):
        pass
    assert (root / "attestations.toml").read_text() == "# nothing\n"


def test_what_goes_wrong_is_one_kind_of_error() -> None:
    assert issubclass(RecordError, Exception)
    assert not issubclass(RecordError, AssertionError)
