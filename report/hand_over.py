"""What makes a run one of a fleet: it hands over what it came to, and ends when nobody waits for that any longer.

`report/members.py` starts a run of its own for each target, with this plugin and one end of a pair of sockets. Through
that the results go as they are, so that nobody has to read them out of what was printed; and when the other end is
closed, because the fleet is stopped or its process was killed, the run is ended as Ctrl-C would end it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from report.run import RUN

if TYPE_CHECKING:
    from report.lines import Result
    from report.run import Run

GRACE = 8.0
"""Seconds that a run has to put everything away, between being interrupted and being killed."""
_HEAVY = ("tables", "excerpts", "figures", "charts", "notes", "branches", "ids")
_COLLECTED: pytest.StashKey[int] = pytest.StashKey()
_LINE: pytest.StashKey[socket.socket] = pytest.StashKey()
_stopped = threading.Event()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The descriptor of our end; nobody types it."""
    parser.addoption("--hand-over", type=int, default=-1, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    """Watch the other end."""
    line = socket.socket(fileno=config.getoption("hand_over"))
    config.stash[_LINE] = line
    threading.Thread(target=_watch, args=(line,), name="lifeline", daemon=True).start()


def _watch(line: socket.socket) -> None:
    """End this run when the other end is closed; nothing is ever sent from there."""
    with suppress(OSError):
        line.recv(1)
    _stopped.set()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE)
    # The run has a session of its own: that is all that it has started, and itself.
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _go_on() -> None:
    """End here what is to end: an interrupt is lost where a library catches everything, as some do on import."""
    if _stopped.is_set():
        raise KeyboardInterrupt


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Look at nothing for nobody."""
    _go_on()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Know how many there are to look at."""
    session.config.stash[_COLLECTED] = len(session.items)
    _go_on()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol() -> None:
    """Look at nothing more for nobody."""
    _go_on()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Hand over what came of it, when everything is written."""
    run = config.stash.get(RUN, None)
    line = config.stash.get(_LINE, None)
    if run is None or line is None:
        return
    said = json.dumps(_said(run, config)).encode()
    with suppress(OSError):
        line.sendall(said)


def _said(run: Run, config: pytest.Config) -> dict[str, Any]:
    from report import earlier

    results, facts = run.told()
    changed = ""
    if results and (known := earlier.past(run)) is not None:
        now = run.clock.now().astimezone(run.clock.zone)
        changed = earlier.changed(results, known, facts["token"], now)
    page = config.option.htmlpath if results else ""
    # Of a review that many items stand for no expectation that was to run.
    unseen = 0 if run.review else max(0, config.stash.get(_COLLECTED, 0) - len(results))
    return {
        "results": [_light(one) for one in results],
        "facts": facts,
        "changed": changed,
        "unseen": unseen,
        "page": str(page or ""),
    }


def _light(result: Result) -> dict[str, Any]:
    """A result without its evidence, which stands in the target's own report."""
    return {key: [] if key in _HEAVY else value for key, value in result.items()}
