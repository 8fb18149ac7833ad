"""The project's own script is run to its end or ended, and judged by its status and its summary, not by one of them."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from observe import program
from observe.errors import CannotTell
from observe.host import Host
from observe.security_script import ScriptRun, run_security_script
from proofs.users import nobody
from target.kinds import FilePath
from target.model import Project

SUMMARY = re.compile(Project(name="x", directory=FilePath("/x")).security_summary)
BLANKS = "a project with blanks; and $more"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (made := tmp_path / BLANKS).mkdir()
    return made


def run(directory: Path, body: str, *, seconds: float = 20, head: str = "#!/bin/sh\n") -> ScriptRun:
    script = directory / "check.sh"
    script.write_text(head + body)
    script.chmod(0o755)
    return run_security_script(Host("local://", 1), script, SUMMARY, seconds)


def alive(mark: str) -> list[str]:
    """Processes that have a mark in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = entry.read_bytes()
        except OSError:
            continue
        if mark.encode() in content:
            found.append(entry.parent.name)
    return found


def test_one_that_comes_to_its_end_and_finds_nothing_passes(directory: Path) -> None:
    ran = run(directory, "pwd\necho 'Summary: 3 passed, 0 failed'\n")
    assert ran.passed
    assert ran.said == "ended with status 0: Summary: 3 passed, 0 failed"
    assert ran.lines == (str(directory), "Summary: 3 passed, 0 failed"), "it runs in its own directory"
    assert ran.looked_at.startswith(f"check.sh in {directory}: 2 lines in ")
    assert not ran.failures, "that nothing failed is no failure"


def test_one_that_finds_something_is_broken_and_names_it(directory: Path) -> None:
    ran = run(directory, "echo '  ok    a'\necho '  FAIL  b is open' >&2\necho 'Summary: 1 failed'\nexit 1\n")
    assert not ran.passed
    assert ran.said.startswith("ended with status 1: FAIL  b is open")
    assert [line.strip() for line in ran.lines] == ["ok    a", "FAIL  b is open", "Summary: 1 failed"]


def test_many_failures_are_counted_and_some_are_named(directory: Path) -> None:
    ran = run(directory, 'for i in $(seq 70); do echo "FAIL $i"; done; echo Summary; exit 2\n')
    assert ran.said == "ended with status 2: FAIL 1; FAIL 2; FAIL 3; FAIL 4; FAIL 5 and 65 more"


@pytest.mark.parametrize("status", [0, 1])
def test_one_that_ends_before_its_summary_is_broken_whatever_its_status(directory: Path, status: int) -> None:
    ran = run(directory, f"echo 'Checking files...'\nexit {status}\necho Summary\n")
    assert not ran.passed
    assert ran.said == f"ended with status {status} early, before its summary; the last that it said: Checking files..."


def test_one_that_says_nothing_at_all_is_broken(directory: Path) -> None:
    ran = run(directory, "exit 0\n")
    assert not ran.passed
    assert ran.said == "ended with status 0 early, before its summary; it said nothing"
    assert ran.lines == ()


def test_one_that_was_killed_says_by_what(directory: Path) -> None:
    assert run(directory, "echo x; kill -9 $$\n").said.startswith("ended by signal 9 early")


def test_a_summary_that_only_stands_far_above_the_end_is_none(directory: Path) -> None:
    assert not run(directory, "echo 'Summary of what is checked'\nseq 200\n").passed


def test_one_that_hangs_is_ended_with_all_that_it_started(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROOF_MARK", mark := f"hangs-{os.getpid()}")
    began = time.monotonic()
    ran = run(directory, "trap '' TERM\necho waiting\nsleep 300 &\nsleep 300\nsleep 300\n", seconds=0.5)
    assert time.monotonic() - began < 5
    assert ran.status is None
    assert not ran.passed
    assert ran.said == "still ran after 500 ms; the last that it said: waiting"
    assert not [number for number in alive(mark) if int(number) != os.getpid()]


def test_what_it_leaves_behind_is_ended_and_not_waited_for(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROOF_MARK", mark := f"leaves-{os.getpid()}")
    began = time.monotonic()
    assert run(directory, "sleep 300 &\necho Summary\n").passed
    assert time.monotonic() - began < 5
    assert not [number for number in alive(mark) if int(number) != os.getpid()]


def test_it_has_no_terminal_and_nothing_to_read(directory: Path) -> None:
    ran = run(directory, 'read line; echo "read $?"; tty; (: < /dev/tty) 2>/dev/null || echo none\necho Summary\n')
    assert ran.lines == ("read 1", "not a tty", "none", "Summary")


def test_its_environment_has_no_settings_of_this_run(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_DATABASE__PASSWORD", "secret")
    assert "secret" not in "\n".join(run(directory, "env\necho Summary\n").lines)


def test_colours_and_overwritten_lines_are_taken_out(directory: Path) -> None:
    body = "printf '\\033[0;32m\\342\\234\\223\\033[0m fine\\n10%%\\r100%%\\r\\n\\033[1mSummary\\033[0m: ok\\n'\n"
    assert run(directory, body).lines == ("\u2713 fine", "100%", "Summary: ok")


def test_endless_output_is_held_by_its_head_and_its_tail(directory: Path) -> None:
    ran = run(directory, "seq 1000000\necho Summary\n")
    assert ran.passed
    assert (ran.lines[0], ran.lines[-1]) == ("1", "Summary")
    assert ran.left_out > 4_000_000
    assert sum(map(len, ran.lines)) < 1_200_000
    assert len(ran.shown) == 40
    assert (ran.shown[0], ran.shown[-1]) == ("1", "Summary")


def test_output_that_is_no_text_is_shown_as_one(directory: Path) -> None:
    assert run(directory, "printf '\\377\\000x\\nSummary\\n'\n").passed


def test_a_script_without_a_first_line_is_run_by_sh_as_a_shell_does(directory: Path) -> None:
    assert run(directory, "echo Summary\n", head="").passed


def test_an_interpreter_that_is_not_there_cannot_tell(directory: Path) -> None:
    with pytest.raises(CannotTell, match="can't be run on the host: No such file"):
        run(directory, "", head="#!/no/such/shell\n")


def test_one_that_is_not_there_cannot_tell(tmp_path: Path) -> None:
    for script in (tmp_path / "check.sh", tmp_path / "none" / "check.sh"):
        with pytest.raises(CannotTell, match=r"there is no check\.sh in") as raised:
            run_security_script(Host("local://", 1), script, SUMMARY, 1)
        assert "project.security_script" in raised.value.mend
    (tmp_path / "check.sh").mkdir()
    with pytest.raises(CannotTell, match="is no file"):
        run_security_script(Host("local://", 1), tmp_path / "check.sh", SUMMARY, 1)


def test_one_that_may_not_be_executed_cannot_tell_and_says_how(directory: Path) -> None:
    script = directory / "check.sh"
    script.write_text("#!/bin/sh\necho Summary\n")
    script.chmod(0o644)
    with pytest.raises(CannotTell, match="may not be executed") as raised:
        run_security_script(Host("local://", 1), script, SUMMARY, 1)
    assert raised.value.mend == f"chmod +x '{script}'"


def test_one_in_a_directory_that_may_not_be_read_cannot_tell(directory: Path) -> None:
    (directory / "check.sh").touch(0o755)
    directory.parent.chmod(0o755)
    directory.chmod(0o700)
    with nobody(), pytest.raises(CannotTell, match="can't be looked at"):
        run_security_script(Host("local://", 1), directory / "check.sh", SUMMARY, 1)


def test_a_program_keeps_what_it_complained_of_apart(tmp_path: Path) -> None:
    ended = program.run(("sh", "-c", "echo out; echo err >&2; exit 3"), tmp_path, {"PATH": os.environ["PATH"]}, 5)
    assert (ended.status, ended.out.head, ended.complaint.head) == (3, "out\n", "err\n")


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 50_000, 500_000])
def test_what_is_left_out_is_what_is_missing(tmp_path: Path, size: int) -> None:
    ended = program.run(("sh", "-c", f"head -c {size} /dev/zero"), tmp_path, {"PATH": os.environ["PATH"]}, 5, most=1000)
    out = ended.out
    assert len(out.head) + len(out.tail) + out.left_out == size
    assert len(out.head) <= max(1000, 500 + program.BLOCK * 2)
