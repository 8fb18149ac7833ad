"""A run as it is read in a terminal, in a pipe and by what asks for its exit status.

The expectations are of a project of their own, which needs nothing to look at: the real pytest runs the real plugin.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from report.reporter import CANNOT_TELL_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
EXPECTATIONS = '''
import os
import time

import pytest

from observe.errors import CannotTell
from report.expectation import expectation
from report.progress import Progress

pytestmark = [pytest.mark.daily]


def one(slug, section="Morning check-in"):
    return expectation(slug, guide=f"{section}: `look`", severity="major", remedy="Run `mend it` by hand.")


@pytest.mark.parametrize("name", ["db", "web", "cache"])
@one("services-up")
def test_services(name, evidence):
    """Every service is up."""
    evidence.looked_at("1 container")
    evidence.compare(name, seen="down" if name == "web" else "up", wanted="up")
    print("what a test prints")
    assert name != "web" or "WELL" in os.environ, evidence.message


@one("disk-space")
def test_disk(evidence):
    """The disk has room."""
    evidence.looked_at("1 disk")


@one("log-quiet", "End of day check")
def test_quiet(evidence):
    """The log is quiet."""
    raise CannotTell("no log can be read", mend="Set logs.access.")


@one("slow")
def test_slow(evidence, pytestconfig):
    """The newest backup restores."""
    evidence.looked_at("1 backup")
    progress = Progress(pytestconfig, "restoring x.gz")
    time.sleep(2.6)
    progress(2**20, 2**21, 1.0)
    time.sleep(0.5)
    progress.end()
    print("what a test prints")


@one("interrupted")
def test_interrupted(evidence):
    """It is interrupted."""
    raise KeyboardInterrupt


@one("long-assert")
def test_long(evidence):
    """Two lists are the same."""
    assert list(range(60)) == [*range(59), 7], ""


@one("not-torn-down")
def test_late(evidence, bad):
    """It is told twice."""
    evidence.looked_at("1 thing")


@pytest.fixture
def bad():
    yield
    raise RuntimeError("not taken down")
'''
SETTINGS = """[pytest]
testpaths = tests_daily
addopts = -p no:anyio -p no:pytest11.testinfra -p no:hypothesispytest -p report.options -p report.plugin
markers =
    expectation(slug): an expectation
    daily: looked at every day
"""


@dataclass(frozen=True)
class Said:
    status: int
    text: str

    @property
    def lines(self) -> list[str]:
        """What is seen of it, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.text.replace("\r\n", "\n")).split("\n")

    @property
    def joined(self) -> str:
        return " ".join(" ".join(self.lines).split())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a few expectations, and a target that nothing is asked of."""
    root = tmp_path_factory.mktemp("project")
    (root / "tests_daily").mkdir()
    (root / "tests_daily" / "test_some.py").write_text(EXPECTATIONS, encoding="utf-8")
    (root / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    (root / "target.toml").write_text('name = "x"\n[project]\nname = "x"\ndirectory = "."\n', encoding="utf-8")
    return root


def command(*arguments: str, keyword: str) -> list[str]:
    fixed = ("-m", "pytest", "-p", "no:cacheprovider", "-c", "pytest.ini", "--rootdir", ".", "--html", "r.html")
    return [sys.executable, *fixed, "-k", keyword, *arguments]


def environment(changes: dict[str, str]) -> dict[str, str]:
    gone = ("OPS_", "PYTEST_", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "COLUMNS", "CI", "BUILD_NUMBER")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(gone)}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **changes}


def piped(project: Path, *arguments: str, keyword: str = "services or disk", **changes: str) -> Said:
    done = subprocess.run(
        command(*arguments, keyword=keyword),
        cwd=project,
        env=environment({"COLUMNS": "100", **changes}),
        capture_output=True,
        check=False,
        timeout=60,
    )
    return Said(done.returncode, (done.stdout + done.stderr).decode())


def on_a_terminal(project: Path, *, keyword: str, columns: int = 100, **changes: str) -> Said:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command(keyword=keyword),
        cwd=project,
        env=environment(changes),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    text = b"".join(blocks(ours))
    os.close(ours)
    return Said(process.wait(timeout=60), text.decode())


def blocks(descriptor: int) -> Iterable[bytes]:
    while True:
        try:
            block = os.read(descriptor, 65536)
        except OSError:
            return  # the other end of a terminal is closed
        if not block:
            return
        yield block


def test_a_run_is_a_line_for_each_expectation_what_is_broken_and_the_verdict(project: Path) -> None:
    said = piped(project)
    assert said.status == 1
    assert said.lines[0].startswith("target: x (")
    report = next(line for line in said.lines if line.startswith("-"))
    assert said.lines[1 : said.lines.index(report)] == [
        "",
        "Daily · Morning check-in",
        "  ✗ BROKEN Every service is up (2 of 3; broken: web)",
        "  ✓ The disk has room",
        "",
    ]
    assert said.lines[said.lines.index(report) + 1 :][:5] == [
        "",
        "BROKEN services-up[web] (major): web: down; wanted: up",
        "    New at its first look · Guide: Daily · Morning check-in",
        "    Do: Run `mend it` by hand.",
        "",
    ]
    verdict = "x, checks: something is broken (1 broken, 0 can't tell, 0 set aside, 3 hold); "
    assert verdict in said.joined
    assert said.joined.rpartition(verdict)[2].startswith("2 of 2 slugs looked at in full, in ")
    assert said.joined.count("web: down") == 1, "nothing repeats it"
    assert "\x1b" not in said.text
    for noise in ("platform", "rootdir", "test session", "passed", "failed in", "collected", "what a test prints"):
        assert noise not in said.text


def test_quieter_is_the_end_alone_and_quieter_still_the_verdict(project: Path) -> None:
    quiet = piped(project, "-q")
    assert "✓" not in quiet.text
    assert "target:" not in quiet.text
    assert "BROKEN services-up[web]" in quiet.text
    quieter = piped(project, "-qq", keyword="disk")
    assert next(line for line in quieter.lines if line and line[0] != "-").startswith("x, checks: all holds")
    assert quieter.status == 0


def test_more_is_what_was_seen_with_asserts_at_full_length(project: Path) -> None:
    more = piped(project, "-vv", "--tb=short", keyword="services or long", WELL="1")
    assert "    web: seen: down; looked at: 1 container" in more.lines
    assert "     58," in more.text, "the lists of the assert"
    assert "FAILURES" in more.text, "who asks for pytest's tracebacks gets them"
    assert more.joined.endswith("s.")
    assert "truncated" not in more.text


def test_with_workers_the_same_is_read_in_the_same_order(project: Path) -> None:
    alone, shared = (piped(project, *some, keyword="services or disk or quiet") for some in ((), ("-n2",)))
    read = [
        [line for line in said.lines if line.startswith(("Daily", "  ", "BROKEN", "CAN'T"))] for said in (alone, shared)
    ]
    # How often it was so is more by one.
    read = [[re.sub(r"(Since|New) .*? · ", "", line) for line in one] for one in read]
    assert read[0][:-1] == read[1][:-1]
    assert alone.status == shared.status == 1


@pytest.fixture(scope="module")
def slow(project: Path) -> tuple[Said, Said]:
    """The same slow run on a terminal that moves its cursor and on one that can't, at the same time."""
    with ThreadPoolExecutor() as pool:
        # Each with a history, and so with a turn, of its own.
        runs = [
            pool.submit(on_a_terminal, project, keyword="slow", TERM=kind, OPS_REPORT__HISTORY=f"{kind}/history.sqlite")
            for kind in ("xterm", "dumb")
        ]
        first, second = (one.result() for one in runs)
    return first, second


def test_something_slow_is_said_while_it_lasts_and_taken_away(slow: tuple[Said, Said]) -> None:
    said = slow[0]
    assert "\r… The newest backup restores — 2 s\x1b[K" in said.text
    assert "\r… [##########..........] 50 % restoring x.gz: 1 MiB of 2 MiB" in said.text
    last = said.text.rindex("\r…")
    assert said.text[last:].partition("\x1b[K")[2].startswith("\r\x1b[K"), "taken away"
    assert "\x1b[32;1m✓\x1b[0m The newest backup restores (3." in said.text
    assert "what a test prints" not in said.text
    assert said.text.count("\n") < 10, "one line, written over"
    assert said.joined.endswith("s.")


def test_nothing_moves_on_a_terminal_that_cannot(slow: tuple[Said, Said]) -> None:
    assert "\x1b" not in slow[1].text
    assert "…" not in slow[1].text
    assert "  ✓ The newest backup restores (3." in slow[1].text


def test_a_narrow_terminal_without_colours_gets_neither_long_lines_nor_colours(project: Path) -> None:
    plain = on_a_terminal(project, keyword="services", NO_COLOR="1", columns=40)
    assert "\x1b" not in plain.text
    assert max(len(line) for line in plain.lines if "html report" not in line and "target:" not in line) <= 40


def test_an_output_without_the_signs_has_the_words(project: Path) -> None:
    said = piped(project, PYTHONIOENCODING="ascii")
    assert "Daily - Morning check-in" in said.lines
    assert "  BROKEN Every service is up (2 of 3; broken: web)" in said.lines
    assert "  holds: The disk has room" in said.lines


@pytest.mark.parametrize(
    ("keyword", "options", "status"),
    [
        ("disk", ("--cannot-tell-status=10",), 0),
        ("disk or quiet", (), 1),
        ("disk or quiet", ("--cannot-tell-status=10",), 10),
        ("services or quiet", ("--cannot-tell-status=10",), 1),
        ("quiet", ("--cannot-tell-status=125", "-n1"), 125),
        ("nothing", ("--cannot-tell-status=10",), 5),
        ("quiet or interrupted", ("--cannot-tell-status=10",), 2),
    ],
    ids=["holds", "blind", "blind-own", "broken", "blind-workers", "nothing", "interrupted"],
)
def test_the_exit_status_says_what_came_of_it(
    keyword: str, options: tuple[str, ...], status: int, project: Path
) -> None:
    said = piped(project, *options, keyword=keyword)
    assert said.status == status, said.text
    if status == 2:
        assert said.joined.endswith("; the run ended early, 1 of 2 were not looked at.")
    if status == 5:
        assert said.joined.endswith("nothing was looked at, no expectation ran.")


@pytest.mark.parametrize("status", ["0", "5"])
def test_an_exit_status_that_says_something_else_is_refused(status: str, project: Path) -> None:
    assert not {0, 2, 3, 4, 5, 126, 127, 128, 255}.intersection(CANNOT_TELL_STATUSES)
    said = piped(project, f"--cannot-tell-status={status}")
    assert said.status == 4
    assert f"--cannot-tell-status {status}: give 1 or a number from 6 to 125" in said.text
    assert "Traceback" not in said.text


def test_a_file_that_cannot_be_read_is_pytests_to_tell(project: Path) -> None:
    broken = project / "tests_daily" / "test_unreadable.py"
    broken.write_text("import nonsense_that_is_nowhere\n", encoding="utf-8")
    try:
        said = piped(project, "--cannot-tell-status=10", keyword="disk or quiet")
    finally:
        broken.unlink()
    assert said.status == 2
    assert "No module named 'nonsense_that_is_nowhere'" in said.text
    assert said.joined.endswith("the run ended early, 2 of 2 were not looked at.")


def test_what_is_told_twice_stands_there_twice(project: Path) -> None:
    said = piped(project, keyword="late")
    assert said.lines[3:5] == ["  ✓ It is told twice", "  ? CAN'T TELL It is told twice"]
    assert said.status == 1


def test_stopping_at_the_first_says_how_much_was_left(project: Path) -> None:
    said = piped(project, "-x", keyword="services or disk")
    assert "  ✗ BROKEN Every service is up (1 of 2; broken: web)" in said.lines
    assert said.joined.endswith("the run ended early, 2 of 4 were not looked at.")
