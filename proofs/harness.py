"""Running the suite as an operator does, in a process of its own, and reading what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
OWN = Path()
"""Stands for the history that the target names, which a fault may have changed."""
LONGEST = 180
"""Seconds after which a run of the suite is taken for hung."""


@dataclass(frozen=True)
class Finding:
    """What the run says of one expectation, read from its JUnit XML."""

    id: str
    outcome: str
    expected: str
    seen: str
    looked_at: str
    cause: str
    remedy: str
    message: str


@dataclass(frozen=True)
class SuiteRun:
    """One run of the suite from outside."""

    status: int
    terminal: str
    html: str
    xml: str
    json: str
    metrics: str
    markdown: str
    seconds: float
    findings: Mapping[str, Finding]

    @property
    def everything(self) -> str:
        """All that the run has put out."""
        return self.terminal + self.html + self.xml + self.json + self.metrics + self.markdown

    def having(self, outcome: str) -> set[str]:
        """The ids of all expectations with that outcome."""
        return {one.id for one in self.findings.values() if one.outcome == outcome}

    @property
    def broken(self) -> set[str]:
        return self.having("broken")

    @property
    def blind(self) -> set[str]:
        return self.having("cannot tell")

    def explain(self) -> str:
        """What a failing proof shows."""
        return self.terminal[-6000:]


def run_suite(
    target: Path | str,
    *arguments: str,
    marker: str = "daily",
    environment: Mapping[str, str] | None = None,
    history: Path | None = None,
    under: Sequence[str] = (),
) -> SuiteRun:
    """Run `pytest -m MARKER --target TARGET` in a process of its own.

    Args:
        target: A target file, or `lab`.
        arguments: More arguments for pytest.
        marker: The marker expression; empty for none.
        environment: Variables over this process's.
        history: The history file; one that is thrown away when not given, the target's own with :data:`OWN`.
        under: A program that watches the run, with its arguments.
    """
    with tempfile.TemporaryDirectory(prefix="proof-") as scratch:
        html, xml, json, metrics, markdown = (
            Path(scratch, f"report.{kind}") for kind in ("html", "xml", "json", "prom", "md")
        )
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))},
            **({} if history is OWN else {"OPS_REPORT__HISTORY": str(history or Path(scratch, "history.sqlite"))}),
            "OPS_REPORT__JSON": str(json),
            "OPS_REPORT__METRICS": str(metrics),
            "OPS_REPORT__MARKDOWN": str(markdown),
            "COLUMNS": "120",
            **(environment or {}),
        }
        command = [*under, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--target", str(target)]
        command += [
            "--html",
            str(html),
            "--junitxml",
            str(xml),
            *(["-m", marker] if marker else []),
            *arguments,
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=LONGEST, check=False
        )
        findings, seconds = _findings(_text(xml))
        return SuiteRun(
            done.returncode,
            done.stdout + done.stderr,
            _text(html),
            _text(xml),
            _text(json),
            _text(metrics),
            _text(markdown),
            seconds,
            findings,
        )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _findings(xml: str) -> tuple[dict[str, Finding], float]:
    if not xml:
        return {}, 0.0
    suite = ET.fromstring(xml).find("testsuite")  # noqa: S314  our own run's
    assert suite is not None
    found: dict[str, Finding] = {}
    for case in suite.iter("testcase"):
        said = {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
        if "slug" not in said:
            continue
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        name = f"{said['slug']}[{said['item']}]" if said["item"] else said["slug"]
        assert name not in found, f"{name} stands twice in the XML"
        found[name] = Finding(
            id=name,
            outcome=_outcome(case, said["outcome"]),
            expected=said["expected"],
            seen=said["seen"],
            looked_at=said["looked_at"],
            cause=said["cause"],
            remedy=said["remedy"],
            message=_message(failure) if failure is not None else "",
        )
    return found, float(suite.get("time", "0"))


def _message(failure: ET.Element) -> str:
    """What was said of a failure; pytest cuts long ones in the attribute, and has the whole in the element's text."""
    short = failure.get("message", "")
    return failure.text or short if short.endswith("full report in element text]") else short


def _outcome(case: ET.Element, said: str) -> str:
    """The outcome by the XML's own elements, which must agree with what we say."""
    elements = {"failure": "broken", "error": "cannot tell", "skipped": "set aside"}
    shown = next((outcome for name, outcome in elements.items() if case.find(name) is not None), "holds")
    assert shown == said, f"the XML's element says {shown}, our property says {said}"
    return shown


def says_what_it_saw(run: SuiteRun) -> None:
    """Insist that whatever holds says what was looked at, of how much, what was wanted and what was seen."""
    for name in run.having("holds"):
        one = run.findings[name]
        assert re.search(r"\d", one.looked_at), f"{one.id} looked at {one.looked_at!r}: no number"
        assert one.expected, one.id
        assert one.seen, one.id


def slugs(ids: set[str]) -> set[str]:
    """The slugs of ids, which may have an item behind them."""
    return {one.partition("[")[0] for one in ids}


def derived_target(original: Path, directory: Path, changes: Mapping[str, Any]) -> Path:
    """A copy of a target file with some settings changed.

    Args:
        original: The file to copy.
        directory: Where to write the copy.
        changes: Dotted name to value; None takes the setting out.
    """
    data = tomllib.loads(original.read_text(encoding="utf-8"))
    for name, value in changes.items():
        *tables, key = name.split(".")
        place = data
        for table in tables:
            place = place.setdefault(table, {})
        if value is None:
            place.pop(key, None)
        else:
            place[key] = value
    file = directory / "derived-target.toml"
    file.write_text(_toml(data), encoding="utf-8")
    return file


def _toml(data: Mapping[str, Any], above: str = "") -> str:
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in data.items() if isinstance(value, dict)}
    lines = [f'"{key}" = {_value(value)}' for key, value in plain.items()]
    for key, value in tables.items():
        lines += ["", f"[{above}{key}]", _toml(value, f"{above}{key}.")]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
