"""The file for node_exporter, by Prometheus's own linter and parser."""

from __future__ import annotations

import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.packages import ensure_program
from proofs.report.samples import HOSTILE, blind, result, run
from report.chronicle import FinishedRun, Latest, newest
from report.metrics import exposition
from report.write import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from report.lines import Result, Run

FIGURES = [
    {"name": "age", "value": 111600.0, "unit": "s", "limit": 86400.0, "limit_name": "limits.backup_age"},
    {"name": "size", "value": 12.0, "unit": "B", "limit": None},
    {"name": "used", "value": 0.5, "unit": "share", "limit": 0.8},
    {"name": "rows", "value": 7.0, "unit": "1", "limit": None},
    {"name": "speed", "value": 7.0, "unit": "furlongs", "limit": None},
]


def look(facts: Run, found: Result) -> Latest:
    return Latest(FinishedRun.of(facts), found)


def _ensure_promtool() -> None:
    """Have Prometheus's tool; its service, which Debian starts at once, isn't wanted where we brought it."""
    if shutil.which("promtool") is None:
        ensure_program("prometheus", "install it, its promtool is only needed by these proofs")
        if shutil.which("systemctl") is not None:
            subprocess.run(["systemctl", "disable", "--now", "prometheus"], check=False, capture_output=True)


def _samples(content: bytes, name: str) -> list[Any]:
    families = text_string_to_metric_families(content.decode())
    return [sample for family in families for sample in family.samples if sample.name == name]


def test_prometheus_linter_has_nothing_to_say() -> None:
    _ensure_promtool()
    looks = [look(run(), result(item=text, figures=FIGURES)) for text in HOSTILE]
    linted = subprocess.run(
        ["promtool", "check", "metrics"], input=exposition("synk", looks), capture_output=True, check=False
    )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_stays_one_label(text: str) -> None:
    content = exposition(text, [look(run(), result(item=text, figures=[FIGURES[0] | {"name": text}]))])
    assert len(_samples(content, "operations_expectation_outcome")) == 4
    assert len(_samples(content, "operations_figure_seconds")) == 1
    assert not _samples(content, "up")


def test_exactly_the_outcome_that_it_has_is_one() -> None:
    content = exposition("synk", [look(run(), blind("site-answers", "database"))])
    outcomes = {one.labels["outcome"]: one.value for one in _samples(content, "operations_expectation_outcome")}
    assert outcomes == {"broken": 0, "cannot_tell": 1, "set_aside": 0, "holds": 0}


def test_figures_are_in_base_units_with_their_limits() -> None:
    content = exposition("synk", [look(run(), result(figures=FIGURES))])
    assert _samples(content, "operations_figure_seconds")[0].value == 111600
    assert _samples(content, "operations_figure_limit_seconds")[0].value == 86400
    assert _samples(content, "operations_figure_bytes")[0].value == 12
    assert _samples(content, "operations_figure_ratio")[0].value == 0.5
    assert [one.labels["unit"] for one in _samples(content, "operations_figure")] == ["", "furlongs"]


def test_a_daily_run_leaves_what_the_weekly_one_found() -> None:
    weekly = look(run(cadence="weekly", started="2026-11-20T08:00:01+00:00"), result("restore-works"))
    old = look(run(started="2026-11-22T08:00:01+00:00"), result("backup-fresh", outcome="broken"))
    gone = look(run(started="2026-11-22T08:00:01+00:00"), result("backup-fresh", item="gone"))
    today = look(run(), result("backup-fresh"))
    assert newest([today, old, gone, weekly]) == [weekly, today]


def test_the_file_is_readable_by_all_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "ops.prom"
    write_whole(file, b"old\n")
    write_whole(file, b"new\n")
    assert file.read_bytes() == b"new\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "ops.prom").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "ops.prom", b"new\n")
    assert [file.name for file in tmp_path.iterdir()] == ["ops.prom"]
