"""A drill hears what its users hear, nothing ends it half-way, and what it did is no mishap of the stack's."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.drills.disturbed import Course, Phase
from observe.drills.guard import Guard
from observe.drills.prober import Asked, Heard, Prober
from observe.drills.recovery import Recovery
from observe.drills.restart import Restarts
from observe.engine import Event
from observe.errors import CannotTell, NoAnswer
from observe.services import Disturbance, Mishaps, mishaps
from proofs.observe.test_services import DAY_AGO, NOW, ago, container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def site(status_of: Callable[[str], int]) -> Iterator[Callable[[str], int]]:
    """A site on loopback, and how it is asked; a status of 0 is no answer at all."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status := status_of(self.path):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def ask(path: str) -> int:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError as error:
            raise NoAnswer(f"{path} does not answer: {error}") from None
        finally:
            connection.close()

    try:
        yield ask
    finally:
        server.shutdown()
        server.server_close()


def test_what_fails_and_for_how_long_is_heard() -> None:
    status = {"/health/": 200, "/page": 200}
    with site(lambda path: status[path]) as ask, Prober(ask, ["/health/", "/page"], every=0.01) as prober:
        prober.must_answer()
        began = time.monotonic()
        status |= {"/health/": 502, "/page": 0}
        time.sleep(0.3)
        assert not prober.answers_since(began)
        status |= {"/health/": 404, "/page": 302}
        while not prober.answers_since(began):
            time.sleep(0.01)
        ended = time.monotonic()
        heard = prober.end(5)
    assert {one.path for one in heard.failures} == {"/health/", "/page"}
    assert {one.status for one in heard.failures} == {0, 502}
    assert all(one.said.startswith(("/health/: 502", "/page does not answer")) for one in heard.failures)
    # A request may have been under way when the site began to fail.
    assert all(one.ended >= began for one in heard.failures)
    assert 0.25 < heard.outage <= ended - min(one.began for one in heard.failures)
    assert len(heard.asked) > 20
    assert "requests failed, over" in heard.said


def test_a_site_that_fails_already_is_not_disturbed() -> None:
    with (
        site(lambda _: 503) as ask,
        Prober(ask, ["/health/"], every=0.01) as prober,
        pytest.raises(CannotTell, match="fails before anything is disturbed"),
    ):
        prober.must_answer()


def test_a_site_that_cant_be_asked_is_no_site_that_holds() -> None:
    def ask(_path: str) -> int:
        raise CannotTell("the site's address isn't set")

    def crash(_path: str) -> int:
        raise ZeroDivisionError

    for way, said in ((ask, "address"), (crash, "ZeroDivisionError")):
        with Prober(way, ["/"], every=0.01) as prober, pytest.raises(CannotTell, match=said):
            prober.must_answer()


def test_a_limit_of_requests_is_met_with_patience() -> None:
    asked = 0

    def limited(_path: str) -> int:
        nonlocal asked
        asked += 1
        return 200 if asked <= 3 else 429

    with site(limited) as ask, Prober(ask, ["/"], every=0.02) as prober:
        time.sleep(0.6)
        heard = prober.end(5)
    assert not heard.failures, "it answers, and nobody else would have been refused"
    assert 3 < len(heard.asked) < 15
    assert Course(heard, (), 1, ()).notes[0].startswith(f"{heard.refused} requests were answered 429")


@given(st.lists(st.tuples(st.sampled_from(["/a", "/b"]), st.booleans(), st.floats(0.001, 2)), max_size=30))
def test_an_outage_is_no_longer_than_the_drill_and_there_only_if_something_failed(
    made: list[tuple[str, bool, float]],
) -> None:
    at, asked = 0.0, []
    for path, fails, took in made:
        asked.append(Asked(path, at, at + took, 500 if fails else 200))
        at += took
    heard = Heard(tuple(asked))
    assert (heard.outage > 0) == bool(heard.failures)
    assert heard.outage <= at
    assert heard.outage >= max((one.ended - one.began for one in heard.failures), default=0)


def course(*failing: bool, containers: int = 2, left: tuple[str, ...] = ()) -> Course:
    asked = tuple(
        Asked("/", float(number), number + 0.5, 502 if fails else 200) for number, fails in enumerate(failing)
    )
    return Course(Heard(asked), (Phase("before", 0, 1), Phase("restart of a", 1, 99)), containers, left)


def test_a_restart_that_nobody_notices_holds_and_any_other_says_why() -> None:
    both = (("a", 5.0), ("b", 6.04))
    good = Restarts(course(False, False), 120.0, both)
    assert good.troubles == ()
    assert good.said == "not one of 2 requests failed, each healthy again within 6 s"
    assert good.looked_at == "2 containers, 2 requests of / in 99 s"
    assert good.slowest == 6.04
    assert "1 of 2 requests failed" in Restarts(course(False, True), 120.0, both).said
    alone = Restarts(course(False, containers=1), 120.0, (("a", 5.0),))
    assert alone.troubles == ("there is one container, so nobody can be served while it restarts",)
    late = Restarts(course(False), 3.0, (("a", 5.0),))
    assert late.troubles == ("a was healthy again after 5 s", "the others were left alone")
    never = Restarts(course(False), 3.0, (("a", None),))
    assert never.slowest is None
    assert "a was not healthy again" in never.said
    assert Restarts(course(False, left=("a",)), 120.0, both).troubles == ("a doesn't run any more",)


def test_a_recovery_holds_in_time_and_by_itself() -> None:
    states = (("a", "healthy", "always"), ("b", "healthy", "always"))
    assert Recovery(course(True, False), 120.0, 7.0, states, by_hand=False).recovered
    assert not Recovery(course(True, False), 6.0, 7.0, states, by_hand=False).recovered
    assert not Recovery(course(True, False, left=("b",)), 120.0, 7.0, states, by_hand=False).recovered
    dead = tuple((name, "exited", "no") for name, _, _ in states)
    seen = Recovery(course(True, True), 3.0, None, dead, by_hand=True)
    assert not seen.recovered
    assert "not healthy again by itself within 3 s: 2 exited (restart policy no); what had ended was then" in seen.said


GUARDED = """
import os, signal, sys, time
from observe.drills.guard import Guard
numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
old = list(map(signal.getsignal, numbers))
try:
    with Guard() as guard:
        try:
            print("working", flush=True)
            {work}
        finally:
            guard.hold()
            print("undoing", flush=True)
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                time.sleep(0.01)
            print("undone", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert old == list(map(signal.getsignal, numbers))
print("end", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("work", ["time.sleep(60)", "pass"], ids=["meanwhile", "while undoing"])
def test_a_signal_waits_until_all_is_undone(work: str, number: signal.Signals) -> None:
    command = ["env", "--default-signal=INT,TERM,HUP", sys.executable, "-c", GUARDED.format(work=work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "working\n"
        if work == "pass":
            assert running.stdout.readline() == "undoing\n"
        for _ in range(20):
            running.send_signal(number)
            time.sleep(0.01)
        said = running.stdout.read()
    assert said.endswith("undone\ninterrupted\nend\n"), said
    assert running.returncode == 0


def test_outside_of_the_main_thread_nothing_is_begun() -> None:
    seen: list[BaseException] = []

    def enter() -> None:
        try:
            with Guard():
                raise AssertionError("it was entered")
        except CannotTell as refused:
            seen.append(refused)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert len(seen) == 1


def disturbance(
    began: float, ended: float | None, *, before: int = 0, after: int = 0, was: float = 90_000
) -> Disturbance:
    until = None if ended is None else ago(ended)
    return Disturbance("c1", "recovery-drill", ago(began), until, before, ago(was), after)


def told(restarts: int, started: float, *ours: Disturbance, events: tuple[tuple[str, float], ...] = ()) -> list[str]:
    happened = [Event("c1", action, ago(seconds)) for action, seconds in events]
    one = container(restarts=restarts, started=ago(started))
    return [found.said(NOW) for found in mishaps([one], happened, DAY_AGO, ours)]


def test_what_a_drill_killed_is_no_mishap() -> None:
    killed = (("die", 3595.0), ("start", 3594.0))
    assert told(1, 3594, events=killed), "somebody else's doing would be one"
    assert told(1, 3594, disturbance(3600, 3580, after=1), events=killed) == []
    assert told(1, 3594, disturbance(3600, None), events=killed) == [], "a run that was killed never said its end"
    other = Disturbance("c2", "recovery-drill", ago(3600), ago(3580), 0, None, 1)
    assert told(1, 3594, other, events=killed), "another container's drill"


def test_what_befell_it_before_or_after_is_one_still() -> None:
    drill = disturbance(3600, 3580, before=2, after=0, was=7000)
    assert told(0, 3590, drill) == ["synk_web_1 was restarted by its policy 2 times, lastly 116.6 min ago"]
    longer = disturbance(3600, 3580, before=2, after=0, was=100_000)
    assert told(0, 3590, longer) == [], "that was before the window"
    drill = disturbance(3600, 3580, after=1)
    assert told(2, 60, drill, events=(("die", 61.0), ("start", 60.0))) == [
        "synk_web_1 was restarted by its policy once, lastly 61 s ago"
    ]
    assert told(1, 60, drill) == ["synk_web_1 was restarted by its policy once, lastly 60 s ago"], "counted anew"


def test_two_drills_in_a_row_are_both_left_out_and_said() -> None:
    first, second = disturbance(3600, 3580), disturbance(3570, 3560, after=1, was=3590)
    assert told(1, 3565, first, second, events=(("die", 3566.0), ("start", 3565.0))) == []
    seen = Mishaps((), 1, timedelta(hours=24), timedelta(hours=1), (first, second))
    assert seen.notes(datetime(2026, 11, 23, 8, 0, tzinfo=UTC)) == (
        "What the drill recovery-drill did 59.5 min ago is no mishap, and is left out.",
    )
