"""One run at a time on a target, whatever ends a run; and nobody waits in an emergency."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from proofs.harness import ROOT
from proofs.users import nobody
from report.leftovers import clear
from report.lock import Holder, Lock, StillHeldError, patience
from target.kinds import Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SINCE = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ME = Holder(4711, "daily", SINCE)

HOLD = """
import sys
from datetime import datetime
from pathlib import Path
from report.lock import Holder, Lock
lock = Lock(Path(sys.argv[1]), "shop")
lock.take(Holder(4711, "monthly", datetime.fromisoformat(sys.argv[2])), 0, print)
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


@contextmanager
def held_by_another(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock until its input ends."""
    command = [sys.executable, "-c", HOLD, str(path), SINCE.isoformat()]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline() == "held\n", process.stderr.read()
            yield process
        finally:
            process.kill()


def test_who_comes_second_and_doesnt_wait_is_told_who_has_it(tmp_path: Path) -> None:
    path, said = tmp_path / "lock", list[str]()
    with held_by_another(path):
        with pytest.raises(StillHeldError) as raised:
            Lock(path, "shop").take(ME, 0, said.append)
        assert str(Lock(path, "shop").look()) == "monthly, process 4711, since 2026-11-23 02:00"
    assert str(raised.value) == (
        "another run on shop is on (monthly, process 4711, since 2026-11-23 02:00): nothing was looked at. "
        "Try again when it has ended, or wait longer: --wait '1 h'."
    )
    assert said == [], "who doesn't wait isn't told to"


def test_who_waits_is_told_once_and_gives_up_in_the_end(tmp_path: Path) -> None:
    path, said = tmp_path / "lock", list[str]()
    with held_by_another(path), pytest.raises(StillHeldError, match=r"still on after 300 ms \(monthly, process 4711"):
        Lock(path, "shop").take(ME, 0.3, said.append)
    (sentence,) = said
    assert sentence == (
        "Another run on shop is on (monthly, process 4711, since 2026-11-23 02:00). Waiting for its end, "
        "at most 300 ms; '--wait 0s' doesn't wait."
    )


@pytest.mark.parametrize("killed", [False, True], ids=["ends", "is killed"])
def test_who_waits_has_it_when_the_other(tmp_path: Path, killed: bool) -> None:
    path, said = tmp_path / "made" / "lock", list[str]()
    lock = Lock(path, "shop")
    with held_by_another(path) as other:

        def end(text: str) -> None:
            said.append(text)
            if killed:
                other.send_signal(signal.SIGKILL)
            else:
                assert other.stdin is not None
                other.stdin.close()

        lock.take(ME, 60, end)
        other.wait(60)
    assert len(said) == 1
    with pytest.raises(StillHeldError, match="daily, process 4711"):
        Lock(path, "shop").take(ME, 0, said.append)
    assert path.stat().st_mode & 0o777 == 0o600
    lock.release()
    assert not path.exists()
    lock.release()


def test_many_take_turns_and_never_two_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, os; from datetime import UTC, datetime; from pathlib import Path\n"
        "from report.lock import Holder, Lock\n"
        "directory = Path(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    lock = Lock(directory / 'lock', 'shop')\n"
        "    lock.take(Holder(os.getpid(), 'daily', datetime.now(UTC)), 60, lambda _: None)\n"
        "    (directory / 'inside').mkdir()\n"  # fails where somebody is in there
        "    (directory / 'inside').rmdir()\n"
        "    lock.release()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(one.communicate(timeout=120)[1], one.returncode) for one in running] == [("", 0)] * 4
    assert list(tmp_path.iterdir()) == []


def test_other_targets_have_locks_of_their_own(tmp_path: Path) -> None:
    with held_by_another(tmp_path / "one"):
        other = Lock(tmp_path / "other", "other")
        other.take(ME, 0, print)
        other.release()


def test_looking_leaves_nothing_and_holds_nobody_off(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock", "shop")
    assert lock.look() == ""
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "lock").write_text("what a killed run left")
    assert lock.look() == ""


@pytest.mark.parametrize("text", ["", "[", "{}", '{"pid": "x", "cadence": 1, "since": "soon"}', "[1]", "\x00" * 5000])
def test_a_holder_that_says_nothing_of_use_is_said_as_well(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    with held_by_another(path):
        path.write_text(text)
        with pytest.raises(StillHeldError, match=r"another run on shop is on \(it has just begun\)"):
            Lock(path, "shop").take(ME, 0, print)


def test_where_nothing_can_be_written_there_is_no_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with nobody(), pytest.raises(OSError, match="Permission denied"):
        Lock(tmp_path / "lock", "shop").take(ME, 0, print)


def test_the_time_to_wait_is_the_settings_unless_an_option_says_otherwise() -> None:
    assert patience("", Span(minutes=10)) == 600
    assert patience("90 s", Span(minutes=10)) == 90
    assert patience("0 s", Span(minutes=10)) == patience("0.0min", Span(minutes=10)) == 0
    for wrong in ("0", "5", "soon", "-1 s", "1e9 h", "1 s 2 s"):
        with pytest.raises(ValueError, match=r"--wait .*: .*'0 s' doesn't wait"):
            patience(wrong, Span(minutes=10))


def test_what_a_killed_run_was_writing_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(60)
    left = [f"report.html.{gone.pid}.part", f"history-shop-access-counts.cache.{gone.pid}.new"]
    stays = [f"report.html.{os.getpid()}.part", "report.html", "old.part", f"x.{gone.pid}.html", "a.9999999999.part"]
    for name in left + stays:
        (tmp_path / name).touch()
    (tmp_path / f"directory.{gone.pid}.part").mkdir()
    clear([tmp_path, tmp_path / "." / "", tmp_path / "isn't there"])
    assert {one.name for one in tmp_path.iterdir()} == {*stays, f"directory.{gone.pid}.part"}


def test_what_is_written_whole_is_cleared_away_when_its_writer_was_killed(tmp_path: Path) -> None:
    """Killed at the last moment, when all is written aside and nothing has its place yet."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from report import write\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write.write_whole(Path(sys.argv[1]), b'half')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "daily.json")]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    clear([tmp_path])
    assert list(tmp_path.iterdir()) == []
