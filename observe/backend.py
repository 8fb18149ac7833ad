"""The backend's own log over a window: its errors, over all its containers."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observe.application_log import ErrorCount, Record, count_errors, records
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from observe.container_log import LogLine
    from observe.window import LogWindow
    from target.kinds import Pattern


@dataclass(frozen=True)
class BackendErrors:
    """The errors that the backend logged in a window.

    Attributes:
        errors: Records at ERROR or worse, tracebacks counted once, without what clients did wrong.
        client_errors: Those that the settings call the client's doing.
        kinds: The most common kinds, most first, for the report.
        examples: The first lines of the last few errors.
        below: Tracebacks that belong to records below ERROR, which don't count.
        looked_at: The denominator in words.
    """

    errors: int
    client_errors: int
    kinds: tuple[dict[str, str], ...]
    examples: tuple[str, ...]
    below: int
    looked_at: str


def backend_errors(
    window: LogWindow,
    client_errors: Sequence[Pattern],
) -> BackendErrors:
    """Count the errors of a window in the logs of all the backend's containers.

    Args:
        window: Of the logs of the backend's containers.
        client_errors: What clients did wrong but the application logs at ERROR.

    Raises:
        CannotTell: If a log can't be read, is empty, doesn't reach back far
            enough, or has nothing in it that looks like a log of an application.
    """
    patterns = [re.compile(pattern) for pattern in client_errors]

    def count(lines: Iterable[LogLine]) -> ErrorCount:
        return count_errors(records(lines), client_errors=patterns, since=window.since)

    counts, looked_at = window.read(count)
    if not any(one.by_level or one.requests for one in counts):
        raise CannotTell(
            f"nothing in the backend's log looks like an application's: {looked_at}, none with a level",
            mend="Let the application log with its level, as Django's logging does in its default format.",
        )
    return BackendErrors(
        errors=sum(one.errors for one in counts),
        client_errors=sum(one.client_errors for one in counts),
        kinds=_kinds(counts),
        examples=_examples([record for one in counts for record in one.examples]),
        below=sum(one.tracebacks_below_error for one in counts),
        looked_at=looked_at,
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
