"""What is set aside by a waiver or as not applicable, in a whole run: said, counted, and never silently."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lab.faults import by_name
from proofs.daily.test_usage import assert_usage_error, pytest_with
from proofs.harness import SuiteRun, derived_target, run_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lab.stack import Lab

FULL = "disk-space[backups]"
DAY = timedelta(days=1)


def waived(
    lab: Lab,
    directory: Path,
    slug: str,
    until: timedelta = DAY,
    more: str = "",
    changes: Mapping[str, object] | None = None,
) -> Path:
    """A target whose waivers hold one."""
    last = (datetime.now().astimezone() + until).date()
    file = directory / "waivers.toml"
    file.write_text(
        f'[[waiver]]\nslug = "{slug}"\nreason = "a new disk comes on Monday"\nby = "Mira"\nuntil = {last}\n{more}\n',
        encoding="utf-8",
    )
    return derived_target(lab.target_file, directory, {"records.waivers": str(file), **(changes or {})})


@pytest.fixture
def under_a_full_disk(lab: Lab, history: Path, tmp_path: Path) -> Callable[..., SuiteRun]:
    """Runs the suite with a waiver while the backups' disk is 80 % full."""

    def run(slug: str, until: timedelta = DAY, more: str = "") -> SuiteRun:
        target = waived(lab, tmp_path, slug, until, more)
        with by_name("disk-80").applied(lab):
            return run_suite(target, "-k", "disk", history=history)

    return run


def test_a_waiver_sets_aside_what_is_broken_and_the_run_passes(under_a_full_disk: Callable[..., SuiteRun]) -> None:
    run = under_a_full_disk(FULL)
    assert run.status == 0, run.explain()
    assert run.having("set aside") == {FULL}
    reason = "waived by Mira, until "
    assert reason in run.terminal
    assert "1 set aside" in run.terminal
    assert reason in run.html
    assert reason in run.xml


def test_a_waiver_that_has_ended_doesnt(under_a_full_disk: Callable[..., SuiteRun]) -> None:
    run = under_a_full_disk(FULL, -DAY)
    assert run.status == 1
    assert run.broken == {FULL}
    assert "ended on" in run.findings[FULL].message
    assert "1 day ago" in run.terminal


def test_a_waiver_is_bound_to_its_figure(under_a_full_disk: Callable[..., SuiteRun]) -> None:
    for bound, wanted in (("85 %", "set aside"), ("79 %", "broken")):
        run = under_a_full_disk(FULL, DAY, f'at_most = "{bound}"')
        assert run.findings[FULL].outcome == wanted, run.explain()


def test_a_waiver_doesnt_cover_what_cant_be_told(lab: Lab, history: Path, tmp_path: Path) -> None:
    target = waived(lab, tmp_path, FULL, changes={"backups.directory": str(tmp_path / "none")})
    run = run_suite(target, "-k", "disk", history=history)
    assert FULL in run.blind, run.explain()
    assert run.status == 1


def test_a_waiver_that_isnt_needed_says_so(lab: Lab, history: Path, tmp_path: Path) -> None:
    run = run_suite(waived(lab, tmp_path, FULL), "-k", "disk", history=history)
    assert run.status == 0
    assert "is no longer needed" in " ".join(run.terminal.split())
    assert "is no longer needed" in run.html


def test_what_doesnt_apply_is_set_aside_with_its_reason(lab: Lab, history: Path, tmp_path: Path) -> None:
    declared = {"not_applicable.disk-inodes[docker]": "its disk is somebody else's", "not_applicable.site-answers": "-"}
    run = run_suite(derived_target(lab.target_file, tmp_path, declared), history=history)
    assert run.status == 0, run.explain()
    aside = run.having("set aside")
    assert "disk-inodes[docker]" in aside
    assert {one.partition("[")[0] for one in aside} == {"disk-inodes", "site-answers"}
    assert "its disk is somebody else's" in run.terminal
    assert f"{len(aside)} set aside" in run.terminal


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ('[not_applicable]\ndisk-spac = "none"', ("disk-spac", "did you mean disk-space")),
        ('[not_applicable]\ndisk-space = " "', ("not_applicable",)),
    ],
)
def test_what_names_nothing_is_an_error(declared: str, words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    file.write_text(f'name = "x"\n[project]\nname = "x"\ndirectory = "."\n{declared}\n', encoding="utf-8")
    assert_usage_error(pytest_with("-m", "daily", "--target", str(file)), *words)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("waivers.toml", '[[waiver]]\nslug = "disk-space"\nreason = "x"\nuntil = 2026-12-01', ("by",)),
        (
            "attestations.toml",
            '[[attestation]]\nslug = "costs-reviewed"\nby = "x"\nnote = "y"\ndate = 2999-01-01',
            ("fut",),
        ),
    ],
)
def test_a_record_that_isnt_right_stops_the_run(file: str, text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "target.toml").write_text('name = "x"\n[project]\nname = "x"\ndirectory = "."\n', encoding="utf-8")
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert_usage_error(pytest_with("-m", "daily", "--target", str(tmp_path / "target.toml")), file, *words)
