"""The review: what the history knows, shown again, and nothing looked at."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from proofs.harness import run_suite
from proofs.report.samples import blind, result, run
from report.chronicle import Chronicle
from report.history import KEPT
from report.history_file import HistoryFile

if TYPE_CHECKING:
    from pathlib import Path

    from proofs.harness import SuiteRun
    from report.lines import Result

TARGET = """\
name = "shop"
[project]
name = "shop"
directory = "/nowhere/shop"
[site]
url = "https://shop.example/"
"""
EVENTS = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.posix_spawn")
LISTENER = """\
import sys

def hear(event, arguments):
    # Python asks uname for the processor's name.
    if "uname" not in str(arguments) and event in {events!r}:
        with open({file!r}, "a") as stream:
            stream.write(f"{{event}} {{arguments}}\\n")

sys.addaudithook(hear)
"""


class Past:
    """A history to be reviewed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "history.sqlite"
        self.target = directory / "target.toml"
        self.target.write_text(TARGET, encoding="utf-8")

    def night(self, ago: timedelta, *results: Result, cadence: str = "daily") -> None:
        began = datetime.now(UTC) - ago
        facts = run(target="shop", token=f"{began:%Y%m%d%H%M%S%f}", cadence=cadence)
        facts["started"], facts["ended"] = began.isoformat(), (began + timedelta(seconds=2)).isoformat()
        Chronicle(HistoryFile(self.file), "shop", KEPT).record(facts, results)

    def review(self, *arguments: str, marker: str = "", **environment: str) -> SuiteRun:
        return run_suite(self.target, "--review", *arguments, marker=marker, environment=environment, history=self.file)


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path)


DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def disk(outcome: str, item: str = "root") -> Result:
    return result("disk-space", item=item, outcome=outcome)


def test_it_shows_the_newest_look_of_every_cadence(past: Past) -> None:
    past.night(6 * DAY, result("response-time", cadences=["weekly"], outcome="broken"), cadence="weekly")
    past.night(DAY + HOUR, disk("broken"), result("backup-fresh"))
    past.night(HOUR, disk("holds"), result("backup-fresh", outcome="broken"))
    review = past.review()
    assert review.broken == {"response-time", "backup-fresh"}, review.explain()
    assert review.having("holds") == {"disk-space[root]"}
    assert review.status == 1
    assert "mended (disk-space[root])" in review.terminal
    assert "seen" in review.html


def test_a_look_that_is_too_old_is_not_how_things_are(past: Past) -> None:
    past.night(9 * DAY, disk("holds"), result("backup-fresh", outcome="broken"))
    past.night(8 * DAY, result("response-time", cadences=["weekly"]), cadence="weekly")
    review = past.review()
    assert review.blind == {"disk-space[root]", "backup-fresh"}, review.explain()
    assert review.having("holds") == {"response-time"}
    assert "no daily run has looked since" in review.terminal
    assert "1 more waits for the same" in review.terminal, "one cause, one line"
    assert "operations-checks-" in review.findings["backup-fresh"].remedy


def test_what_is_gone_is_not_shown(past: Past) -> None:
    past.night(DAY + HOUR, disk("broken", "docker"), disk("holds"))
    past.night(HOUR, disk("holds"))
    review = past.review()
    assert set(review.findings) == {"disk-space[root]"}
    assert review.status == 0, review.explain()


def test_one_cause_is_one_line_still(past: Past) -> None:
    past.night(HOUR, *(blind(slug, "database") for slug in ("database-connections", "growth", "vacuumed")))
    review = past.review()
    assert "2 more wait for the same" in review.terminal
    assert past.review("--cannot-tell-status", "10").status == 10


def test_a_marker_chooses_among_what_is_known(past: Past) -> None:
    past.night(HOUR, disk("holds"), result("response-time", cadences=["weekly"], outcome="broken"))
    assert set(past.review(marker="daily").findings) == {"disk-space[root]"}


def test_a_waiver_is_judged_as_of_today(past: Past) -> None:
    past.night(HOUR, disk("broken"))
    until = datetime.now(UTC).date() + 9 * DAY
    past.target.with_name("waivers.toml").write_text(
        f'[[waiver]]\nslug = "disk-space"\nby = "Mira"\nreason = "a new disk comes"\nuntil = {until}\n',
        encoding="utf-8",
    )
    review = past.review()
    assert review.having("set aside") == {"disk-space[root]"}, review.explain()
    assert "a new disk comes" in review.terminal


def test_nothing_is_connected_to_and_no_program_is_run(past: Past) -> None:
    heard = past.directory / "heard"
    past.directory.joinpath("sitecustomize.py").write_text(
        LISTENER.format(file=str(heard), events=EVENTS), encoding="utf-8"
    )
    past.night(HOUR, disk("broken"))
    path = ":".join([str(past.directory), *filter(None, sys.path)])
    before = Chronicle(HistoryFile(past.file), "shop", KEPT).runs(datetime.now(UTC) - DAY)
    review = past.review(PYTHONPATH=path)
    assert review.broken == {"disk-space[root]"}, review.explain()
    assert not heard.exists(), heard.read_text(encoding="utf-8")
    assert Chronicle(HistoryFile(past.file), "shop", KEPT).runs(datetime.now(UTC) - DAY) == before


def test_an_empty_history_says_what_to_do(past: Past) -> None:
    review = past.review()
    assert review.status == 4
    assert "there is nothing to review: no run of shop is known" in review.terminal
    assert "pytest -m daily --target" in review.terminal


@pytest.mark.parametrize("option", ["--alert", "--no-history", "--allow-disruption=shop", "--allow-scan=shop"])
def test_what_makes_no_sense_beside_it_is_refused(past: Past, option: str) -> None:
    past.night(HOUR, disk("holds"))
    review = past.review(option)
    assert review.status == 4
    assert f"leave {option.partition('=')[0]} out" in review.terminal
