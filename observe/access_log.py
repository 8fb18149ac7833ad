"""nginx's access log: the requests of a window of time.

Serves the guide's error rate of the end of the day, its response times on
Monday, and its reviews of the access log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from observe.log_format import COMBINED, Access, LogFormat
from observe.rotated_log import Files, LocalFiles, Reading

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import PurePath


def read_window(
    path: PurePath,
    since: datetime,
    until: datetime,
    fmt: LogFormat = COMBINED,
    *,
    files: Files | None = None,
) -> Reading[Access]:
    """The requests of a window of time.

    Serves "Error rate" of the end-of-day check, "Monitor response times" and
    the reviews of the access log.

    Args:
        path: nginx's access log; its rotated neighbours are found beside it.
        since: Beginning of the window, aware.
        until: End of the window, aware, included.
        fmt: The `log_format` of that log.
        files: Where the files are; this machine if not given.

    Returns:
        What is to be iterated over, and counts while that is done. Nothing is
        opened before the iteration; see :meth:`Reading.__iter__` for what it
        raises.
    """
    return Reading(path, since, until, fmt.parse, files or LocalFiles())
