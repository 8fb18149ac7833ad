"""What the runs of a target came to: each run, the outcome of each expectation in it, and every figure it measured.

A run is written when it is over, in one transaction: a run that was killed, or that looked at a time that `--now` made
up, isn't in it. Of each expectation the newest result is kept whole, with its evidence, so that a report can be made
without looking at the target; of the earlier ones it is kept how they were and what was said of what didn't hold.
"""

from __future__ import annotations

import json
import math
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from report.history_file import HistoryFile
    from report.lines import Outcome, Result, Run, Severity

_SO_WHAT = "what this run came to is missing where runs are followed over time"
_NOTHING_KNOWN = "what earlier runs came to isn't known"
_MOST_SAID = 1000
"""Characters kept of what was said of an outcome."""


class FinishedRun(NamedTuple):
    """A run that went to its end.

    Attributes:
        token: Its token.
        cadence: What was asked for: `daily`, …, or `checks`.
        started: When it began, aware.
        ended: When it ended.
        facts: All that is true of its results.
    """

    token: str
    cadence: str
    started: datetime
    ended: datetime
    facts: Run

    @classmethod
    def of(cls, facts: Run) -> FinishedRun:
        """The run that these facts are of."""
        started, ended = (datetime.fromisoformat(facts[key]) for key in ("started", "ended"))
        return cls(facts["token"], facts["cadence"], started, ended, facts)


class Told(NamedTuple):
    """What one run said of one expectation.

    Attributes:
        at: When the run began, aware.
        token: The run's.
        slug: The expectation's.
        item: Which of the like things; empty when there is but one.
        outcome: One of the four.
        severity: How bad it is when it is broken.
        cause: What it waited for in vain, or stands for; empty for nothing.
        said: The message of what is broken or can't be told, the reason of what is set aside; empty for what holds.
    """

    at: datetime
    token: str
    slug: str
    item: str
    outcome: Outcome
    severity: Severity
    cause: str
    said: str


class Latest(NamedTuple):
    """The newest whole result of an expectation, and the run that it is of."""

    run: FinishedRun
    result: Result


def newest(looks: Iterable[Latest]) -> list[Latest]:
    """The newest look at each expectation, without the items that are gone.

    An item is gone when a later run of the same cadence looked at its like and not at it.

    Args:
        looks: In any order.

    Returns:
        In the order in which each was first looked at.
    """
    last: dict[tuple[str, str], Latest] = {}
    seen: dict[tuple[str, str], datetime] = {}
    for look in sorted(looks, key=lambda look: look.run.started):
        last[look.result["slug"], look.result["item"]] = look
        seen[look.result["slug"], look.run.cadence] = look.run.started
    return [look for look in last.values() if look.run.started >= seen[look.result["slug"], look.run.cadence]]


class Point(NamedTuple):
    """One measured figure.

    Attributes:
        at: When the run began, aware.
        slug: The expectation's.
        item: Which of the like things; empty when there is but one.
        name: What was measured.
        value: The figure.
        unit: Its unit: `s`, `B`, `share`, `1`.
        bound: What it was held against, in the same unit; None for nothing.
        bound_name: The setting that has the bound, as `limits.disk_used`; empty for none.
    """

    at: datetime
    slug: str
    item: str
    name: str
    value: float
    unit: str
    bound: float | None
    bound_name: str


class Chronicle:
    """What the runs came to.

    Args:
        file: The history's file.
        target: The target's name; all that is read and written is of that one.
        kept: For how long it is kept.
    """

    def __init__(self, file: HistoryFile, target: str, kept: timedelta) -> None:
        self.file = file
        self.target = target
        self.kept = kept

    def record(self, facts: Run, results: Sequence[Result]) -> None:
        """Write down a run that is over, whole or not at all.

        Args:
            facts: What is true of all its results; its token and its times are the run's.
            results: All of them, free of secrets.

        Raises:
            HistoryError: If it can't be written.
        """
        started, ended = (datetime.fromisoformat(facts[key]).timestamp() for key in ("started", "ended"))

        def write(connection: sqlite3.Connection) -> None:
            self._forget(connection, started)
            # It is there already, unless the file was damaged since the run began.
            connection.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?) ON CONFLICT (token) DO UPDATE SET ended = excluded.ended",
                (facts["token"], self.target, started, ended),
            )
            run = connection.execute(
                "INSERT INTO finished_run (token, target, cadence, started, ended, facts) VALUES (?, ?, ?, ?, ?, ?)",
                (facts["token"], self.target, facts["cadence"], started, ended, json.dumps(facts)),
            ).lastrowid
            for result in results:
                self._record(connection, run, started, result)
                self._record_figures(connection, facts["token"], started, result)

        self.file.change(write, so_what=_SO_WHAT)

    def _record(self, connection: sqlite3.Connection, run: int | None, started: float, result: Result) -> None:
        named = (self.target, result["slug"], result["item"])
        connection.execute("INSERT OR IGNORE INTO subject (target, slug, item) VALUES (?, ?, ?)", named)
        (subject,) = connection.execute(
            "SELECT number FROM subject WHERE target = ? AND slug = ? AND item = ?", named
        ).fetchone()
        said = {"holds": "", "set aside": result["reason"]}.get(result["outcome"], result["message"])
        connection.execute(
            "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?, ?)",
            (run, subject, result["outcome"], result["severity"], result["cause"], said[:_MOST_SAID]),
        )
        # A run that began earlier may end later; the newest is by when it looked.
        connection.execute(
            "INSERT INTO latest_result VALUES (?, ?, ?) ON CONFLICT (subject) DO UPDATE "
            "SET run = excluded.run, whole = excluded.whole "
            "WHERE (SELECT started FROM finished_run WHERE number = latest_result.run) <= ?",
            (subject, run, zlib.compress(json.dumps(result).encode(), 6), started),
        )

    def _record_figures(self, connection: sqlite3.Connection, token: str, started: float, result: Result) -> None:
        for one in result["figures"]:
            value, bound = float(one["value"]), one["limit"]
            if not math.isfinite(value):  # nothing that could be drawn, or held against anything
                continue
            connection.execute(
                "INSERT OR REPLACE INTO figure (target, slug, name, item, at, value, unit, token, bound, bound_name) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(self.target, result["slug"], one["name"], result["item"], started, value, one["unit"], token),
                    float(bound) if bound is not None and math.isfinite(bound) else None,
                    one.get("limit_name", ""),
                ),
            )

    def _forget(self, connection: sqlite3.Connection, now: float) -> None:
        """Delete what is older than it is kept; of this target, another's may be kept for longer."""
        old = (self.target, now - self.kept.total_seconds())
        runs = "SELECT number FROM finished_run WHERE target = ? AND started < ?"
        for table in ("outcome", "latest_result"):
            connection.execute(f"DELETE FROM {table} WHERE run IN ({runs})", old)  # noqa: S608  no value in it
        connection.execute("DELETE FROM figure WHERE target = ? AND at < ?", old)
        if connection.execute("DELETE FROM finished_run WHERE target = ? AND started < ?", old).rowcount:
            connection.execute(
                "DELETE FROM subject WHERE target = ? AND number NOT IN (SELECT subject FROM outcome) "
                "AND number NOT IN (SELECT subject FROM latest_result)",
                (self.target,),
            )

    def runs(self, since: datetime, until: datetime | None = None) -> list[FinishedRun]:
        """The runs that began since then and not after `until`, by time.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        return self.file.read_as(
            _run,
            "SELECT token, cadence, started, ended, facts FROM finished_run "
            "WHERE target = ? AND started BETWEEN ? AND ? ORDER BY started, number",
            (self.target, *_between(since, until)),
            _NOTHING_KNOWN,
        )

    def told(self, since: datetime, until: datetime | None = None) -> list[Told]:
        """What the runs that began since then, and not after `until`, said of every expectation, by time.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT started, token, slug, item, outcome, severity, cause, said FROM outcome "
            "JOIN finished_run ON finished_run.number = run JOIN subject ON subject.number = subject "
            "WHERE finished_run.target = ? AND started BETWEEN ? AND ? ORDER BY started, finished_run.number, subject",
            (self.target, *_between(since, until)),
            _NOTHING_KNOWN,
        )
        return [Told(_time(started), *rest) for started, *rest in rows]

    def standings(self, until: datetime) -> list[tuple[Any, ...]]:
        """How each expectation stood then, over all that is kept.

        Returns:
            For each its slug, item, outcome, the outcome at the look before (None on the first), when the unbroken
            row of the outcome began (seconds since 1970), the number of runs in that row, and what was said last.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        # In the order of the tables' keys, so that nothing is sorted: a window function takes seven times as long.
        rows = self.file.read(
            "SELECT subject, outcome, started, said FROM finished_run CROSS JOIN outcome ON run = finished_run.number "
            "WHERE target = ? AND started <= ? ORDER BY started, finished_run.number",
            (self.target, until.timestamp()),
            _NOTHING_KNOWN,
        )
        known: dict[int, tuple[Any, ...]] = {}
        for subject, outcome, started, said in rows:
            old = known.get(subject)
            if old is None:
                known[subject] = (outcome, None, started, 1, said)
            elif old[0] == outcome:
                known[subject] = (outcome, outcome, old[2], old[3] + 1, said)
            else:
                known[subject] = (outcome, old[0], started, 1, said)
        named = self.file.read(
            "SELECT number, slug, item FROM subject WHERE target = ? ORDER BY number", (self.target,), _NOTHING_KNOWN
        )
        return [(slug, item, *known[number]) for number, slug, item in named if number in known]

    def latest(self, since: datetime) -> list[Latest]:
        """The newest whole result of each expectation that was looked at since then, in the order of their runs.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        return self.file.read_as(
            _latest,
            "SELECT token, cadence, started, ended, facts, whole FROM latest_result "
            "JOIN finished_run ON finished_run.number = run JOIN subject ON subject.number = subject "
            "WHERE finished_run.target = ? AND started >= ? ORDER BY started, subject.number",
            (self.target, since.timestamp()),
            _NOTHING_KNOWN,
        )

    def points(self, since: datetime, until: datetime | None = None, slugs: Iterable[str] = ()) -> list[Point]:
        """All figures that were measured since then and not after `until`, by time.

        Args:
            since: From when on, aware.
            until: Up to when; None for all.
            slugs: Of which expectations; all when there are none.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        named = sorted(slugs)
        which = f" AND slug IN ({', '.join('?' * len(named))})" if named else ""
        rows = self.file.read(
            "SELECT at, slug, item, name, value, unit, bound, bound_name FROM figure "  # noqa: S608  marks alone
            f"WHERE target = ? AND at BETWEEN ? AND ?{which} ORDER BY at, slug, item, name",
            (self.target, *_between(since, until), *named),
            "nothing can be followed over time",
        )
        return [Point(_time(at), *rest) for at, *rest in rows]

    def alerts(self) -> dict[str, dict[str, Any]]:
        """What is known of each alert that was sent or is to be sent, by its key.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        return dict(
            self.file.read_as(
                _alert,
                "SELECT key, state FROM alert WHERE target = ?",
                (self.target,),
                "it isn't known what was told before, and all is told again",
            )
        )

    def remember_alerts(self, states: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Write down what is known of alerts now; None forgets one.

        Raises:
            HistoryError: If it can't be written.
        """
        self.file.write(
            *(
                ("DELETE FROM alert WHERE target = ? AND key = ?", (self.target, key))
                if state is None
                else ("INSERT OR REPLACE INTO alert VALUES (?, ?, ?)", (self.target, key, json.dumps(state)))
                for key, state in states.items()
            ),
            so_what="what is told now will be told again",
        )


def _between(since: datetime, until: datetime | None) -> tuple[float, float]:
    return since.timestamp(), float("inf") if until is None else until.timestamp()


def _run(token: str, cadence: str, started: float, ended: float, facts: str) -> FinishedRun:
    return FinishedRun(token, cadence, _time(started), _time(ended), cast("Run", json.loads(facts)))


def _latest(token: str, cadence: str, started: float, ended: float, facts: str, whole: bytes) -> Latest:
    return Latest(_run(token, cadence, started, ended, facts), cast("Result", json.loads(zlib.decompress(whole))))


def _alert(key: str, state: str) -> tuple[str, dict[str, Any]]:
    return key, json.loads(state)


def _time(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
