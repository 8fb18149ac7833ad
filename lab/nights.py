"""A week of nights on a lab: real runs with real faults on some of them, put back in time by whole days.

Each night is a run of the suite against the lab as it stands, under that night's faults. Afterwards its rows in a
history of the week's own are moved back, so that the history is that of a week; nothing in it is made up but the days.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.stack import Lab

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 180
"""Seconds after which a night's run is taken for hung."""
MARKER = "daily or weekly"


class Night(NamedTuple):
    """A night of the week.

    Attributes:
        ago: Days before today.
        faults: What is wrong in it, by the names of the faults.
    """

    ago: int
    faults: tuple[str, ...] = ()


WEEK = (
    Night(6),
    Night(5, ("disk-80",)),
    Night(4, ("backend-error-burst",)),
    Night(3, ("site-refused",)),
    Night(2),
    Night(1, ("certificate-29-days",)),
    Night(0, ("certificate-29-days", "header-absent-referrer-policy", "backup-shrunk")),
)
"""Two nights end well, a disk and a burst of errors mend, one night the site is away, and three things stay."""


def week_file(lab: Lab) -> Path:
    """Where the history of a lab's week lies."""
    return lab.directory / "week.sqlite"


def week(lab: Lab, nights: Sequence[Night] = WEEK) -> Path:
    """Have a week of nights on a lab; afterwards it is as it was.

    Args:
        lab: It must be healthy.
        nights: The nights, the earliest first.

    Returns:
        The history of that week.

    Raises:
        LabError: A fault did not take, or a night's run did not go to its end.
    """
    from lab.faults import by_name

    file = week_file(lab)
    for end in ("", "-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    # With what the lab's own runs know of usual log lines and figures, as any history of some age does.
    with closing(sqlite3.connect(lab.history_file)) as known, closing(sqlite3.connect(file)) as fresh:
        known.backup(fresh)
        _forget_runs(fresh)
    for night in nights:
        with ExitStack() as faults:
            tooks = [faults.enter_context(by_name(name).applied(lab)) for name in night.faults]
            target = next((took.target for took in tooks if took.target), lab.target_file)
            _run(lab, target, file)
        _put_back(lab, file, night.ago)
    return file


def _forget_runs(connection: sqlite3.Connection) -> None:
    """Take out what runs of today came to; what they know of logs and the lab's past stays."""
    with connection:
        for table in ("outcome", "latest_result", "finished_run", "subject", "alert"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  names of our own tables


def _run(lab: Lab, target: Path, file: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))}
    variables["OPS_REPORT__HISTORY"] = str(file)
    scratch = lab.directory / "week"
    scratch.mkdir(exist_ok=True)
    try:
        reports = ["--html", str(scratch / "night.html"), "--junitxml", str(scratch / "night.xml")]
        variables["OPS_REPORT__JSON"] = str(scratch / "night.json")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", MARKER, "--target", str(target), *reports],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    finally:
        shutil.rmtree(scratch)
    if done.returncode not in (0, 1):
        raise LabError(f"a night's run ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")


def _put_back(lab: Lab, file: Path, days: int) -> None:
    """Move the newest run of a history back by so many days, with everything that is of it."""
    back = days * dt.timedelta(days=1)
    with closing(sqlite3.connect(file)) as connection, connection:
        row = connection.execute(
            "SELECT number, token, facts FROM finished_run WHERE target = ? ORDER BY number DESC LIMIT 1", (lab.name,)
        ).fetchone()
        if row is None:
            raise LabError(f"{file} has no run of {lab.name}")
        number, token, text = row
        facts = json.loads(text)
        for key in ("started", "ended"):
            facts[key] = (dt.datetime.fromisoformat(facts[key]) - back).isoformat(timespec="milliseconds")
        seconds = back.total_seconds()
        connection.execute(
            "UPDATE finished_run SET started = started - ?, ended = ended - ?, facts = ? WHERE number = ?",
            (seconds, seconds, json.dumps(facts), number),
        )
        connection.execute(
            "UPDATE run SET started = started - ?, ended = ended - ? WHERE token = ?", (seconds, seconds, token)
        )
        connection.execute("UPDATE figure SET at = at - ? WHERE token = ?", (seconds, token))
