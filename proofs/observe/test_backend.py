"""The backend's log is read once for all who look at it, and what goes wrong is remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from observe.application_log import ErrorCounter, records
from observe.backend import BackendErrors, BackendLog, backend_errors
from observe.container_log import LogLine
from observe.errors import CannotTell, NoAnswer
from observe.window import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from observe.application_log import ErrorCount, RecordConsumer
    from observe.window import Window as AnyWindow

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ERROR = "[2026-11-23 10:01:48] ERROR api.views: boom"


@dataclass
class Window:
    """A window whose one log has one error."""

    since: datetime = AT
    reads: list[int] = field(default_factory=list)
    failure: CannotTell | None = None
    text: str = ERROR

    def read_records(self, makers: Sequence[Callable[[], RecordConsumer[Any]]]) -> list[Seen[Any] | CannotTell]:
        self.reads.append(len(makers))
        if self.failure is not None:
            raise self.failure
        consumers = [make() for make in makers]
        for record in records([LogLine(AT, "stderr", self.text)]):
            for one in consumers:
                one.take(record)
        return [Seen([one.result()], "1 line", ("a note",)) for one in consumers]


def log_of(window: Window) -> BackendLog:
    return BackendLog(lambda: cast("AnyWindow[Any]", window))


def counter(window: AnyWindow[Any]) -> ErrorCounter:
    return ErrorCounter(since=window.since)


def test_one_read_serves_all_who_asked_before_it() -> None:
    window = Window()
    log = log_of(window)
    one, other = log.ask(counter), log.ask(counter)
    assert window.reads == [], "nothing is read before somebody wants to know"
    assert one.get().results[0].errors == other.get().results[0].errors == 1
    assert one.get() is one.get()
    assert window.reads == [2]


def test_whoever_comes_late_has_it_read_again() -> None:
    window = Window()
    log = log_of(window)
    log.ask(counter).get()
    assert log.ask(counter).get().results[0].errors == 1
    assert window.reads == [1, 1]


def test_a_failed_read_is_everyones_and_is_not_tried_again() -> None:
    window = Window(failure=CannotTell("the log is gone"))
    log = log_of(window)
    one, other = log.ask(counter), log.ask(counter)
    for asked in (one, other, one):
        with pytest.raises(CannotTell, match="the log is gone"):
            asked.get()
    assert window.reads == [2]


@pytest.mark.parametrize("why", [CannotTell("no engine", cause="engine"), NoAnswer("no container")])
def test_a_window_that_cannot_be_made_is_asked_for_once(why: CannotTell | NoAnswer) -> None:
    tried: list[int] = []

    def make() -> AnyWindow[Any]:
        tried.append(1)
        raise why

    log = BackendLog(make)
    for asked in (log.ask(counter), log.ask(counter)):
        with pytest.raises(type(why), match=str(why)):
            asked.get()
    assert tried == [1]


def errors_of(text: str) -> BackendErrors:
    seen: Seen[ErrorCount] = log_of(Window(text=text)).ask(counter).get()
    return backend_errors(seen)


def test_the_errors_come_with_their_denominator_and_the_logs_notes() -> None:
    found = errors_of(ERROR)
    assert (found.errors, found.looked_at, found.notes, found.examples) == (1, "1 line", ("a note",), (ERROR,))
    assert found.kinds == ({"count": "1", "level": "ERROR", "counts": "yes", "kind": "api.views: boom"},)


def test_a_log_without_a_level_is_no_applications() -> None:
    with pytest.raises(CannotTell, match="looks like an application's: 1 line, none with a level"):
        errors_of("plain")
