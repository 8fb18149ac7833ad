"""pytest's own XML stays XML, whatever the target has written into what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from proofs.report.samples import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
SUITE = """
import pytest
from proofs.report.samples import HOSTILE, every_text, result
from report.outcomes import properties
from report.terminal import failure_text

@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile(request, number):
    told = every_text(result(outcome="broken"), lambda _: HOSTILE[number])
    request.node.user_properties.extend(properties(told))
    pytest.fail(failure_text(told), pytrace=False)
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> ET.Element:
    """The one test suite of the XML of a run whose every text is hostile."""
    there = tmp_path_factory.mktemp("junit")
    (there / "test_hostile.py").write_text(SUITE)
    (there / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", "run.xml"],
        cwd=there,
        check=False,
        capture_output=True,
        timeout=60,
    )
    root = ET.parse(there / "run.xml").getroot()  # noqa: S314  our own
    (made,) = root
    return made


def _names(properties: Iterable[ET.Element]) -> list[str | None]:
    return [one.get("name") for one in properties]


def test_every_hostile_result_is_one_test_case(suite: ET.Element) -> None:
    assert len(suite.findall("testcase")) == len(HOSTILE)
    assert suite.get("failures") == str(len(HOSTILE))


def test_every_case_has_just_its_own_properties_and_its_failure(suite: ET.Element) -> None:
    expected = ["slug", "item", "outcome", "severity", "expected", "seen", "limits", "looked_at", "cause", "remedy"]
    for case in suite.findall("testcase"):
        assert _names(case.iterfind("properties/property")) == expected
        assert [child.tag for child in case] == ["properties", "failure"]
