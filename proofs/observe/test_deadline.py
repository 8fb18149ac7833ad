"""Whatever waits for somebody else ends in time, and a failure is remembered."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from observe.deadline import Once, TimeIsUp, begun, within
from observe.errors import CannotTell, NoAnswer


def test_a_result_in_time_is_returned() -> None:
    assert within(1, lambda: 42) == 42


def test_nothing_is_a_result_too() -> None:
    assert within(1, lambda: None) is None


@pytest.mark.parametrize("error", [ValueError("x"), CannotTell("x"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_is_handed_over_as_it_is(error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        within(1, work)
    assert raised.value is error


def test_the_waiting_ends_when_the_time_is_up() -> None:
    never = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeIsUp, match=r"no end within 0\.1 s"):
        within(0.1, never.wait)
    assert time.monotonic() - began < 0.5
    never.set()


def test_giving_up_is_told_once_and_isnt_waited_for() -> None:
    never, told = threading.Event(), []

    def hang_up() -> None:
        told.append(True)
        never.wait(5)
        raise OSError("the goodbye failed")

    began = time.monotonic()
    with pytest.raises(TimeIsUp):
        within(0.1, never.wait, give_up=hang_up)
    assert time.monotonic() - began < 0.5
    never.set()
    assert told == [True]


def test_giving_up_is_not_told_to_what_ended() -> None:
    told: list[bool] = []
    within(1, lambda: None, give_up=lambda: told.append(True))
    assert not told


def test_once_makes_its_thing_on_the_first_call_and_only_then() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return len(made)

    once = Once(make)
    assert not once.made
    assert once.get() == once.get() == 1
    assert made == [1]
    assert once.made


@pytest.mark.parametrize("kind", [CannotTell, NoAnswer])
def test_once_remembers_its_failure(kind: type[CannotTell | NoAnswer]) -> None:
    tries: list[int] = []

    def make() -> int:
        tries.append(1)
        raise kind("gone", cause="engine")

    once = Once(make)
    for _ in range(3):
        with pytest.raises(kind, match="gone") as raised:
            once.get()
        assert vars(raised.value)["cause"] == "engine"
        assert len(raised.traceback) < 5, "the traceback of the first call doesn't grow with each"
    assert tries == [1]
    assert not once.made


def test_once_tries_again_after_a_mistake_of_our_own() -> None:
    tries: list[int] = []

    def make() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise KeyError("a bug")
        return 7

    once = Once(make)
    with pytest.raises(KeyError):
        once.get()
    assert once.get() == 7


def test_what_is_begun_goes_on_beside_and_gives_its_end_when_asked() -> None:
    go = threading.Event()
    end = begun(lambda: go.wait(10))
    go.set()
    assert end() is True
    assert end() is True, "asked twice, done once"


def test_what_is_begun_raises_when_asked_and_not_before() -> None:
    def fail() -> None:
        raise CannotTell("no")

    end = begun(fail)
    time.sleep(0.05)
    with pytest.raises(CannotTell, match="no"):
        end()


def test_nobody_waits_for_what_was_begun_and_not_asked_for() -> None:
    program = "import time; from observe.deadline import begun; begun(lambda: time.sleep(60))"
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], timeout=20, check=False)
    assert done.returncode == 0
