"""Commands on the host only read, end in time, and a failure of the instrument is told as one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from observe.errors import CannotTell
from observe.host import Host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host() -> Host:
    return Host("local://", 0.3)


def test_a_command_tells_its_status_its_output_and_its_complaint(host: Host) -> None:
    ran = host._run(("sh", "-c", "echo out; echo complaint >&2; exit 3"))
    assert (ran.status, ran.out, ran.complaint) == (3, "out\n", "complaint")


@pytest.mark.parametrize(
    "command",
    [
        ("rm", "-rf", "/x"),
        ("sh", "-c", "df"),
        ("/bin/df",),
        ("df; rm",),
        ("find", "/x", "-delete"),
        ("find", "/x", "-exec", "rm", "{}", ";"),
        ("find", "/x", "-fprintf", "/y", "z"),
        ("",),
    ],
)
def test_a_command_that_isnt_known_to_read_is_refused(host: Host, command: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="not known to read only"):
        host.run(*command)


def test_arguments_are_no_commands(host: Host, tmp_path: Path) -> None:
    for argument in (
        f"; touch {tmp_path}/a",
        f"$(touch {tmp_path}/b)",
        f"`touch {tmp_path}/c`",
        "%s %d %(x)s",
        "'\"\n",
    ):
        assert host.run("find", f"{tmp_path}/{argument}").status == 1
    assert not list(tmp_path.iterdir())


def test_a_command_that_doesnt_end_is_ended_and_not_tried_again(host: Host) -> None:
    began = time.monotonic()
    for _ in range(4):
        with pytest.raises(CannotTell, match="sleep on the host did not end within 300 ms") as raised:
            host._run(("sleep", "9"))
        assert raised.value.cause == "host"
        assert raised.value.mend
    assert time.monotonic() - began < 1, "its limit is waited for once"


def test_a_command_that_has_to_be_killed_came_too_late_as_well(host: Host) -> None:
    with pytest.raises(CannotTell, match="did not end within"):
        host._run(("sh", "-c", "trap '' TERM; sleep 9 & wait; sleep 9"))


def test_another_command_is_still_run_after_one_that_came_too_late(host: Host) -> None:
    with pytest.raises(CannotTell):
        host._run(("sleep", "9"))
    assert host.run("df", "-P", "/").status == 0


def test_a_command_that_isnt_there_is_a_blind_instrument_and_no_answer(host: Host) -> None:
    with pytest.raises(CannotTell, match="no-such-command can't be run on the host"):
        host._run(("no-such-command",))


def test_output_of_any_bytes_is_text(host: Host) -> None:
    assert host._run(("printf", r"\377 \303\244")).out == "\ufffd ä"


def test_its_output_is_in_english(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert host.run("df", "/none").complaint == "df: /none: No such file or directory"


def test_an_address_that_is_none_is_said_once_asked() -> None:
    host = Host("nonsense://x", 1)
    for _ in range(2):
        with pytest.raises(CannotTell, match="the host nonsense://x can't be reached") as raised:
            host.run("df")
        assert raised.value.cause == "host"
