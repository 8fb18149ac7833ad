"""The JSON of a run, by the schema of the format itself."""

from __future__ import annotations

import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # of check-jsonschema

from lab.packages import ensure_program
from proofs.report.samples import HOSTILE, blind, every_text, result, run
from report.ctrf import document

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "ctrf@0.3.0"
FIGURE = {"name": "age", "value": float("nan"), "unit": "s", "limit": float("inf")}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Draft7Validator:
    """The format's own, out of the package of its makers."""
    ensure_program("npm", "install Node.js")
    directory: Path = tmp_path_factory.mktemp("ctrf")
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=directory, check=True, capture_output=True, timeout=60)
    with tarfile.open(next(directory.glob("*.tgz"))) as package:
        file = package.extractfile("package/dist/ctrf-schema-0.0.json")
        assert file is not None
        return Draft7Validator(json.load(file), format_checker=Draft7Validator.FORMAT_CHECKER)


def _made(*results: Any) -> dict[str, Any]:  # noqa: ANN401  results with changes
    made: dict[str, Any] = json.loads(document(results, run()))
    return made


def test_it_is_what_the_format_asks_for(schema: Draft7Validator) -> None:
    results = [
        result(figures=[FIGURE]),
        result("b", outcome="broken", traceback="Traceback\n  E"),
        result("c", outcome="set aside", reason="until Friday"),
        blind("d", "database"),
    ]
    assert [error.message for error in schema.iter_errors(_made(*results))] == []


def test_nothing_hostile_breaks_it(schema: Draft7Validator) -> None:
    results = [every_text(result(), lambda _, text=text: text) for text in HOSTILE]  # type: ignore[misc]
    made = _made(*results)
    assert [error.message for error in schema.iter_errors(made)] == []
    assert all(test["name"].isprintable() and test["message"].isprintable() for test in made["results"]["tests"])


def test_the_summary_counts_each_outcome_in_its_place() -> None:
    made = _made(result(), result("b", outcome="broken"), result("c", outcome="set aside"), blind("d", "database"))
    summary = made["results"]["summary"]
    assert [summary[key] for key in ("tests", "passed", "failed", "skipped", "pending", "other")] == [4, 1, 1, 1, 0, 1]
    assert [test["rawStatus"] for test in made["results"]["tests"]] == ["holds", "broken", "set aside", "cannot tell"]


def test_times_are_milliseconds_since_the_epoch() -> None:
    summary = _made(result())["results"]["summary"]
    assert (summary["start"], summary["stop"]) == (1795420801000, 1795420802000)
