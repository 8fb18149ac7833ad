"""The month's usage as a file of JSON, beside the report for people.

{
  "schema": 1,                                  grows when a key changes its meaning; keys may be added
  "target": "synk",
  "since": "2026-10-25T17:30:00+01:00",         the month, in the host's zone
  "until": "2026-11-24T17:30:00+01:00",         without this moment
  "table": "api_activity",
  "database": "synk_db",
  "this_month": {
    "active_users": 38,                         different users with a row
    "api_calls": 1652,                          rows, which is what the guide counts
    "anonymous_calls": 0,                       those of them that are of no user
    "database_bytes": 27918451                  at the month's end
  },
  "last_month": {…},                            the same of the time before; null for what isn't known
  "by_day": [{"day": "2026-10-25", "calls": 15, "users": 14}, …],   every day, the first and the last in part
  "notes": ["…"]                                what a person should know of the figures
}
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from report.write import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path


def usage_file(directory: Path, target: str, day: date) -> Path:
    """Where the figures of a target go that were made on that day.

    Args:
        directory: The one of the report for people.
        target: The target's name.
        day: The day in the host's zone.
    """
    return directory / f"usage-{re.sub(r'[^A-Za-z0-9._-]', '_', target)}-{day}.json"


def write_usage(path: Path, target: str, figures: Mapping[str, Any]) -> str:
    """Write the figures; a reader sees the file as it was or as it is, never half of it.

    Args:
        path: The file, which is replaced. Its directory is made where it isn't there.
        target: The target's name.
        figures: :meth:`observe.usage.Usage.as_dict`.

    Returns:
        A sentence for the reader where it could not be written; empty when it was.
    """
    schema, *rest = figures.items()
    text = json.dumps(dict([schema, ("target", target), *rest]), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        write_whole(path, f"{text}\n".encode())
    except OSError as error:
        return f"the usage figures could not be written to {path}: {error.strerror or error}"
    return ""
