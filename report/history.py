"""What is remembered from run to run: the suite's own traffic, kinds of log messages, figures, drills.

Each run marks its requests with a token and writes the token down before the
first of them, so that a later run leaves out exactly those: a client that
copies the user agent has no token, and a token counts only for the time of
its run.

Kinds of errors and warnings are remembered window by window, with when each
came first: what is new, and what is usual, can only be told by that. The text
of a kind is masked and free of secrets before it comes here.

Figures are what the expectations have measured: growth is told from them. Of a
restore drill the receipt is kept, since a backup counts as proven by it. Of
a drill that disturbs containers it is written down which and when, before it
does so: what befell them then is no mishap. Of the database's login roles it is
kept when each was last seen in use: a run sees but who is there at the moment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from observe.log_kinds import Baseline, Kind, KindWindow, comparable
from observe.role_use import RoleUse
from observe.services import Disturbance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from report.history_file import HistoryFile

KEPT = timedelta(days=400)
"""How long a run is remembered: longer than any window that is looked back over."""
CLOCKS = timedelta(seconds=2)
"""How far the clocks of this machine and of the target's may be apart."""
LONGEST = timedelta(hours=1)
"""How long a run that never said its end may have gone on."""


@dataclass(frozen=True)
class RunTime:
    """When a run of that token was on."""

    token: str
    started: datetime
    ended: datetime

    def covers(self, at: datetime) -> bool:
        """Whether something that happened then can be this run's."""
        return self.started - CLOCKS <= at <= self.ended + CLOCKS


@dataclass(frozen=True)
class RefusedLogin:
    """A login of ours that the database refused, and that stands in its log."""

    role: str
    at: datetime


class Figure(NamedTuple):
    """What an expectation has measured.

    Attributes:
        slug: The expectation's.
        item: Which of the like things it was; empty when there is but one.
        name: What was measured, unique within the expectation.
        value: The figure.
        unit: Its unit: `s`, `B`, `share`, `1`.
    """

    slug: str
    item: str
    name: str
    value: float
    unit: str


class History:
    """What the expectations want to know of earlier runs.

    Args:
        file: The history's file.
        kept: For how long all of it is kept.
    """

    def __init__(self, file: HistoryFile, kept: timedelta = KEPT) -> None:
        self.file = file
        self.kept = kept

    def begin(self, token: str, target: str, started: datetime) -> None:
        """Write down that a run begins, before it makes any traffic.

        Raises:
            HistoryError: If it can't be written.
        """
        # Of this target: another's may be kept for longer. Since when a package is outdated says nothing of its age.
        too_old = (target, (started - self.kept).timestamp())
        runs = "SELECT token FROM run WHERE target = ? AND started < ?"
        windows = "SELECT number FROM log_window WHERE target = ? AND until < ?"
        self.file.write(
            (
                "INSERT OR IGNORE INTO run (token, target, started) VALUES (?, ?, ?)",
                (token, target, started.timestamp()),
            ),
            *(
                (f"DELETE FROM {table} WHERE {which}", too_old)  # noqa: S608  no value in it
                for table, which in (
                    ("refused_login", f"token IN ({runs})"),
                    ("scanned_path", f"token IN ({runs})"),
                    ("run", "target = ? AND started < ?"),
                    ("log_kind", f"window IN ({windows})"),
                    ("log_window", "target = ? AND until < ?"),
                    ("matched_pattern", "target = ? AND at < ?"),
                    ("figure", "target = ? AND at < ?"),
                    ("restore_drill", "target = ? AND drilled < ?"),
                    ("disturbance", "target = ? AND since < ?"),
                    ("role_use", "target = ? AND used < ?"),
                )
            ),
        )

    def end(self, token: str, ended: datetime) -> None:
        """Write down that it ended.

        Raises:
            HistoryError: If it can't be written.
        """
        self.file.write(("UPDATE run SET ended = ? WHERE token = ?", (ended.timestamp(), token)))

    def refused(self, token: str, role: str, at: datetime) -> None:
        """Write down that the database refused our login.

        Raises:
            HistoryError: If it can't be written.
        """
        self.file.write(("INSERT INTO refused_login VALUES (?, ?, ?)", (token, role, at.timestamp())))

    def runs(self, since: datetime) -> dict[str, RunTime]:
        """The runs since then, by token; those of all targets, a token is unique.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT token, started, ended FROM run WHERE started >= ?", ((since - LONGEST).timestamp(),)
        )
        return {
            token: RunTime(
                token,
                _time(started),
                _time(ended) if ended is not None else _time(started) + LONGEST,
            )
            for token, started, ended in rows
        }

    def refused_logins(self, since: datetime) -> list[RefusedLogin]:
        """Our logins that the database refused since then.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read("SELECT role, at FROM refused_login WHERE at >= ?", ((since - CLOCKS).timestamp(),))
        return [RefusedLogin(role, _time(at)) for role, at in rows]

    def remember_scanned(self, token: str, paths: Iterable[str]) -> None:
        """Write down which paths the run's scan asked for and was refused: the application may have logged them.

        Raises:
            HistoryError: If it can't be written.
        """
        self.file.write(*(("INSERT OR IGNORE INTO scanned_path VALUES (?, ?)", (token, path)) for path in paths))

    def scanned(self, since: datetime) -> dict[str, frozenset[str]]:
        """The paths that scans since then were refused, by the token of their run.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT token, path FROM scanned_path JOIN run USING (token) WHERE started >= ?",
            ((since - LONGEST).timestamp(),),
        )
        tokens = {token for token, _ in rows}
        return {one: frozenset(path for token, path in rows if token == one) for one in tokens}

    def baseline(self, target: str, service: str, now: KindWindow) -> Baseline | None:
        """What is known of the kinds of a service's log from earlier runs.

        Args:
            target: The target's name.
            service: The service whose log it is.
            now: The window that is to be held against it.

        Returns:
            The baseline; None if nobody has looked before.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        so_what = "what is new in the logs can't be told"
        whose = (target, service)
        windows = self.file.read(
            "SELECT number, since, until, covered FROM log_window WHERE target = ? AND service = ? ORDER BY until",
            whose,
            so_what,
        )
        if not windows:
            return None
        first_seen = self.file.read(
            "SELECT level, kind, min(first_at) FROM log_kind JOIN log_window ON number = window "
            "WHERE target = ? AND service = ? GROUP BY level, kind",
            whose,
            so_what,
        )
        ends = [(number, _time(until)) for number, _, until, _ in windows]
        chosen = comparable(ends, now.until, now.until - now.since)
        known = {number: (since, until, covered) for number, since, until, covered in windows}
        kinds = {number: self._kinds(number, so_what) for number in {windows[0][0], *chosen}}
        return Baseline(
            made=ends[0][1],
            adopted=frozenset(kinds[windows[0][0]][0]),
            first_seen={Kind(level, text): _time(at) for level, text, at in first_seen},
            past=[
                KindWindow(_time(since), _time(until), timedelta(seconds=covered), *kinds[number])
                for number in chosen
                for since, until, covered in (known[number],)
            ],
        )

    def _kinds(self, window: int, so_what: str) -> tuple[dict[Kind, int], dict[Kind, datetime]]:
        rows = self.file.read("SELECT level, kind, count, first_at FROM log_kind WHERE window = ?", (window,), so_what)
        return (
            {Kind(level, text): count for level, text, count, _ in rows},
            {Kind(level, text): _time(at) for level, text, _, at in rows},
        )

    def remember_kinds(self, token: str, target: str, service: str, window: KindWindow) -> None:
        """Write down the kinds of a service's log over a window; of one run only the first look counts.

        Raises:
            HistoryError: If it can't be written.
        """
        number = "(SELECT number FROM log_window WHERE token = ? AND service = ?)"
        times = (window.since.timestamp(), window.until.timestamp(), window.covered.total_seconds())
        columns = "token, target, service, since, until, covered"
        self.file.write(
            (
                f"INSERT OR IGNORE INTO log_window ({columns}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  likewise
                (token, target, service, *times),
            ),
            *(
                (
                    f"INSERT OR IGNORE INTO log_kind VALUES ({number}, ?, ?, ?, ?)",  # noqa: S608  no value in it
                    (token, service, *kind, count, window.first_at[kind].timestamp()),
                )
                for kind, count in window.counts.items()
            ),
            so_what="the next run will know nothing of what is usual in the logs",
        )

    def remember_matched(self, target: str, patterns: Iterable[str], at: datetime) -> None:
        """Write down that these patterns of the settings have matched something in the target's logs.

        Raises:
            HistoryError: If it can't be written.
        """
        self.file.write(
            *(
                ("INSERT OR REPLACE INTO matched_pattern VALUES (?, ?, ?)", (target, one, at.timestamp()))
                for one in sorted(patterns)
            ),
            so_what="a pattern that matched today may be called blind next time",
        )

    def matched(self, target: str) -> set[str]:
        """The patterns that have ever matched something in the target's logs.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT pattern FROM matched_pattern WHERE target = ?", (target,), "what matched is forgotten"
        )
        return {pattern for (pattern,) in rows}

    def remember_figures(self, token: str, target: str, at: datetime, figures: Iterable[Figure]) -> None:
        """Write down what expectations measured in a run that isn't this suite's to write whole, as the lab's past is.

        Raises:
            HistoryError: If it can't be written.
        """
        stamp = at.timestamp()
        columns = "target, slug, name, item, at, value, unit, token"
        self.file.write(
            *(
                (
                    f"INSERT OR REPLACE INTO figure ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  likewise
                    (target, one.slug, one.name, one.item, stamp, one.value, one.unit, token),
                )
                for one in figures
            ),
            so_what="this run's figures are missing where they are followed over time",
        )

    def figures(self, target: str, slug: str, name: str, since: datetime) -> list[tuple[datetime, float]]:
        """What an expectation has measured since then, by time.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT at, value FROM figure WHERE target = ? AND slug = ? AND name = ? AND at >= ? ORDER BY at",
            (target, slug, name, since.timestamp()),
            "nothing can be followed over time",
        )
        return [(_time(at), value) for at, value in rows]

    def remember_drill(
        self, token: str, target: str, drilled: datetime, receipt: Mapping[str, object], *, proven: bool
    ) -> None:
        """Write down what a restore drill came to; a run makes one at most.

        Args:
            token: The run's.
            target: The target's name.
            drilled: When it was.
            receipt: What there is to know of it, as plain data.
            proven: Whether the backup restores, and is what the live database is.

        Raises:
            HistoryError: If it can't be written.
        """
        self.file.write(
            (
                "INSERT OR REPLACE INTO restore_drill VALUES (?, ?, ?, ?, ?)",
                (token, target, drilled.timestamp(), int(proven), json.dumps(receipt)),
            ),
            so_what="the next run will not know that this backup was tried",
        )

    def drills(self, target: str) -> list[tuple[datetime, bool, dict[str, Any]]]:
        """The restore drills of a target: when, whether the backup was proven, and the receipt; latest first.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        return self.file.read_as(
            lambda at, proven, receipt: (_time(at), bool(proven), json.loads(receipt)),
            "SELECT drilled, proven, receipt FROM restore_drill WHERE target = ? ORDER BY drilled DESC",
            (target,),
            "no backup is known to have been tried",
        )

    def remember_disturbances(self, target: str, disturbances: Iterable[Disturbance]) -> None:
        """Write down what a drill does to containers; again when it is over.

        Raises:
            HistoryError: If it can't be written.
        """
        self.file.write(
            *(
                (
                    "INSERT OR REPLACE INTO disturbance VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(target, one.container, one.since.timestamp(), _stamp(one.until), one.drill),
                        *(one.restarts_before, _stamp(one.started_before), one.restarts_after),
                    ),
                )
                for one in disturbances
            ),
            so_what="what this drill does to containers will count as their mishap",
        )

    def disturbances(self, target: str, since: datetime) -> list[Disturbance]:
        """What drills have done to containers since then.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT container, drill, since, until, restarts_before, started_before, restarts_after "
            "FROM disturbance WHERE target = ? AND since >= ? ORDER BY since",
            (target, (since - LONGEST).timestamp()),
            "what drills have done to containers counts as their mishap",
        )
        return [
            Disturbance(
                container=container,
                drill=drill,
                since=_time(began),
                until=None if until is None else _time(until),
                restarts_before=before,
                started_before=None if started is None else _time(started),
                restarts_after=after,
            )
            for container, drill, began, until, before, started, after in rows
        ]

    def remember_outdated(self, target: str, manager: str, packages: Iterable[str], at: datetime) -> None:
        """Write down which packages are outdated now; those that no longer are begin anew if they are again.

        Raises:
            HistoryError: If it can't be written.
        """
        now = sorted(packages)
        marks = ", ".join("?" * len(now))
        self.file.write(
            (
                f"DELETE FROM outdated WHERE target = ? AND manager = ? AND package NOT IN ({marks})",  # noqa: S608
                (target, manager, *now),
            ),
            *(
                ("INSERT OR IGNORE INTO outdated VALUES (?, ?, ?, ?)", (target, manager, one, at.timestamp()))
                for one in now
            ),
            so_what="the next run will not know since when a package is outdated",
        )

    def outdated(self, target: str, manager: str) -> dict[str, datetime]:
        """The packages that were outdated at the last look, each with when it was first seen to be.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT package, since FROM outdated WHERE target = ? AND manager = ?",
            (target, manager),
            "it isn't known since when a package is outdated",
        )
        return {package: _time(since) for package, since in rows}

    def remember_roles(self, target: str, uses: Iterable[RoleUse]) -> None:
        """Write down which login roles of the database were seen in use; a time before a known one changes nothing.

        Raises:
            HistoryError: If it can't be written.
        """
        statement = (
            "INSERT INTO role_use VALUES (?, ?, ?, ?) ON CONFLICT (target, role) DO UPDATE "
            "SET used = max(used, excluded.used), calls = coalesce(excluded.calls, calls)"
        )
        self.file.write(
            *((statement, (target, one.role, one.used.timestamp(), one.calls)) for one in uses),
            so_what="the next run will not know which roles were seen in use",
        )

    def roles(self, target: str) -> dict[str, RoleUse]:
        """When each login role of the database was last seen in use.

        Raises:
            HistoryError: If the file is there and can't be read.
        """
        rows = self.file.read(
            "SELECT role, used, calls FROM role_use WHERE target = ?",
            (target,),
            "it isn't known which roles were seen in use earlier",
        )
        return {role: RoleUse(role, _time(used), calls) for role, used, calls in rows}


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _time(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
