"""The figures as a file: whole or not there, readable to others, and what can't be written is said."""

from __future__ import annotations

import json
import os
from datetime import date
from typing import TYPE_CHECKING

import pytest

from report.usage_file import usage_file, write_usage

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = {"schema": 1, "table": "api_activity", "this_month": {"active_users": 38}, "notes": ["süß"]}


def test_its_name_is_the_targets_and_the_days(tmp_path: Path) -> None:
    path = usage_file(tmp_path, "synk.example", date(2026, 11, 30))
    assert path == tmp_path / "usage-synk.example-2026-11-30.json"


def test_the_figures_are_in_it_with_the_target_and_anybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "usage.json"
    before = os.umask(0o077)
    try:
        assert write_usage(path, "synk", FIGURES) == ""
    finally:
        os.umask(before)
    assert json.loads(path.read_text(encoding="utf-8")) == {"target": "synk", **FIGURES}
    assert list(json.loads(path.read_text())) == ["schema", "target", "table", "this_month", "notes"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in path.parent.iterdir()] == ["usage.json"]


def test_an_older_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "usage.json"
    path.write_text("{}")
    assert write_usage(path, "synk", FIGURES) == ""
    assert json.loads(path.read_text())["table"] == "api_activity"


def test_what_cant_be_written_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "usage.json"
    path.mkdir()
    (path / "something").touch()
    said = write_usage(path, "synk", FIGURES)
    assert said.startswith(f"the usage figures could not be written to {path}: ")
    assert [one.name for one in tmp_path.iterdir()] == ["usage.json"]


def test_a_directory_that_cant_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = write_usage(tmp_path / "file" / "usage.json", "synk", FIGURES)
    assert "could not be written" in said


def test_a_figure_that_json_doesnt_know_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_usage(tmp_path / "usage.json", "synk", {"schema": 1, "calls": float("nan")})
    assert list(tmp_path.iterdir()) == []
