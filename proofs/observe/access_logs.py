"""Access logs of a few requests, for the proofs that look into what they say of clients."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observe.access_counts import Questions
from observe.log_format import COMBINED
from observe.own_traffic import OwnTraffic
from observe.requests_seen import AccessLogs
from proofs.observe.access_lines import AT
from target.kinds import Share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from observe.requests_seen import SeenFigures

LOGIN = "POST /api/token/ HTTP/1.1"
ASKED = Questions(login_paths=("/api/token/", "/admin/login/"), clients=True)
WHOLE_LOG = Questions(login_paths=ASKED.login_paths, clients=True, admin_paths=("",))
DAY = timedelta(days=1)


def entry(seconds: float, request: str, status: int, client: str = "192.0.2.66") -> tuple[float, bytes]:
    """A line so many seconds after `AT`."""
    stamp = f"{AT + timedelta(seconds=seconds):%d/%b/%Y:%H:%M:%S %z}"
    return seconds, f'{client} - - [{stamp}] "{request}" {status} 48 "-" "Mozilla/5.0"\n'.encode()


def refused(seconds: Sequence[float], client: str = "192.0.2.66", status: int = 401) -> list[tuple[float, bytes]]:
    """Refused logins so many seconds after `AT`."""
    return [entry(one, LOGIN, status, client) for one in seconds]


def write(path: Path, *entries: tuple[float, bytes]) -> Path:
    """Write a log, packed if its name says so, in the order of time."""
    data = b"".join(line for _, line in sorted(entries, key=lambda one: one[0]))
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def seen(path: Path, questions: Questions = ASKED, *, until: datetime = AT + DAY, **more: Any) -> SeenFigures:  # noqa: ANN401
    """The figures of ninety days of a log."""
    logs = AccessLogs(path, None, COMBINED, 503, Share(0.5), Share(0.1))
    wanted: dict[str, Any] = {"cache": None, "seconds": 20.0, "least": timedelta(0)}
    return logs.figures(until - 90 * DAY, until, OwnTraffic({}, frozenset()), questions=questions, **{**wanted, **more})
