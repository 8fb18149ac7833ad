"""The backend's own log over a window, read once for all who look at it; its errors over all its containers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from observe.deadline import Once
from observe.errors import CannotTell, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from observe.application_log import ErrorCount, Record, RecordConsumer
    from observe.window import Seen, Window

T = TypeVar("T")


class BackendLog:
    """A window of the backend's log, read when the first who looks at it wants to know, and once for all of them.

    Args:
        window: Makes the window; called once, when it is read.
    """

    def __init__(self, window: Callable[[], Window[Any]]) -> None:
        self._window = Once(window)
        self._waiting: list[Asked[Any]] = []

    def ask(self, make: Callable[[Window[Any]], RecordConsumer[T]]) -> Asked[T]:
        """Look at the records as well.

        Args:
            make: Makes a consumer for one container's records.

        Returns:
            What will be known. Whoever asks after the log was read has it read again.
        """
        asked = Asked(self, make)
        self._waiting.append(asked)
        return asked

    def read(self) -> None:
        """Read for all who have asked and don't know yet; what goes wrong is their outcome."""
        waiting, self._waiting = self._waiting, []
        outcomes: Sequence[Seen[Any] | CannotTell | NoAnswer]
        try:
            window = self._window.get()
            outcomes = window.read_records([partial(one.make, window) for one in waiting])
        except (CannotTell, NoAnswer) as why:
            outcomes = [why] * len(waiting)
        for one, outcome in zip(waiting, outcomes, strict=True):
            one.outcome = outcome


class Asked(Generic[T]):
    """What somebody wants to know of a window of the backend's log.

    Attributes:
        make: Makes a consumer for one container's records.
        outcome: What was made of them, or why it can't be told; None before the log is read.
    """

    def __init__(self, log: BackendLog, make: Callable[[Window[Any]], RecordConsumer[T]]) -> None:
        self._log = log
        self.make = make
        self.outcome: Seen[T] | CannotTell | NoAnswer | None = None

    def get(self) -> Seen[T]:
        """What the consumers made of the window, one result of each container.

        Raises:
            CannotTell: If the log can't be read (see :meth:`observe.window.Window.read`),
                or the consumer could not tell; now or earlier.
            NoAnswer: If there is no container to ask.
        """
        if self.outcome is None:
            self._log.read()
        assert self.outcome is not None, "it was waiting"
        if isinstance(self.outcome, CannotTell | NoAnswer):
            # Without its traceback: that belongs to the first test that asked.
            raise self.outcome.with_traceback(None)
        return self.outcome


@dataclass(frozen=True)
class BackendErrors:
    """The errors that the backend logged in a window.

    Attributes:
        errors: Records at ERROR or worse, tracebacks counted once, without what clients did wrong.
        client_errors: Those that the settings call the client's doing.
        kinds: The most common kinds, most first, for the report.
        examples: The first lines of the last few errors.
        below: Tracebacks that belong to records below ERROR, which don't count.
        notes: What was not as it should be in the log, in words.
        looked_at: The denominator in words.
    """

    errors: int
    client_errors: int
    kinds: tuple[dict[str, str], ...]
    examples: tuple[str, ...]
    below: int
    notes: tuple[str, ...]
    looked_at: str


def backend_errors(seen: Seen[ErrorCount]) -> BackendErrors:
    """The errors of a window in the logs of all the backend's containers.

    Args:
        seen: What :class:`observe.application_log.ErrorCounter` made of the window.

    Raises:
        CannotTell: If the logs have nothing in them that looks like a log of an application.
    """
    counts = seen.results
    if not any(one.by_level or one.requests for one in counts):
        raise no_application(seen.looked_at)
    return BackendErrors(
        errors=sum(one.errors for one in counts),
        client_errors=sum(one.client_errors for one in counts),
        kinds=_kinds(counts),
        examples=_examples([record for one in counts for record in one.examples]),
        below=sum(one.tracebacks_below_error for one in counts),
        notes=seen.notes,
        looked_at=seen.looked_at,
    )


def no_application(looked_at: str) -> CannotTell:
    """That nothing in a log looks like a log of an application.

    Args:
        looked_at: What was looked at, in words.
    """
    return CannotTell(
        f"nothing in the backend's log looks like an application's: {looked_at}, none with a level",
        mend="Let the application log with its level, as Django's logging does in its default format.",
    )


def _kinds(counts: Sequence[ErrorCount]) -> tuple[dict[str, str], ...]:
    total: Counter[tuple[str, str, bool]] = Counter()
    for kind in (kind for one in counts for kind in one.by_kind):
        total[kind.kind, kind.level or "traceback", kind.client_error] += kind.count
    return tuple(
        {
            "count": str(number),
            "level": level,
            "counts": "no, a client's doing" if by_client else "yes",
            "kind": kind,
        }
        for (kind, level, by_client), number in total.most_common(20)
    )


def _examples(found: Sequence[Record]) -> tuple[str, ...]:
    return tuple(line for record in found[-5:] for line in record.excerpt)
