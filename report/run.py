"""One run of the suite: its target, its clock, its token, and what it collects."""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from dataclasses import replace as dataclass_replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from observe.clock import Clock, local_zone
from observe.errors import CannotTell
from observe.log_kinds import Kind
from observe.own_traffic import user_agent
from observe.role_use import RoleUse
from report.chronicle import Chronicle
from report.expectation import CADENCES
from report.history import History
from report.history_file import HistoryError, HistoryFile
from report.options import UNNAMED
from report.redact import redact, redact_all
from report.set_aside import judged
from target.choose import target_file
from target.load import Loaded, TargetError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from observe.compose import Wanted
    from observe.deadline import Once
    from observe.host import Host
    from observe.log_kinds import Baseline, KindWindow
    from observe.services import Disturbance
    from records.attestations import Attestations
    from records.waivers import Waivers
    from report.history import RefusedLogin, RunTime
    from report.lines import Result
    from report.lines import Run as RunFacts

T = TypeVar("T")
VERSION = "0.1.0"
RUN: pytest.StashKey[Run] = pytest.StashKey()
ROOMS = ("tests_daily", "tests_weekly", "tests_monthly", "tests_security")


@dataclass
class Run:
    """What is known of this run.

    Attributes:
        loaded: The target and where its settings come from.
        clock: What time it is.
        token: Marks this run's traffic on the target.
        root: The project's root.
        cadence: What was asked for: `daily`, …, or `checks`.
        started: When it began, by the real clock; the same in every worker of xdist.
        results: One plain dict per expectation, in the order they ended.
        warnings: What the reader should know beside the outcomes.
        begun: Whether the token is written down.
        services: What the Compose files want, once they were read.
        machine: The stack's host, once somebody asked for it.
        waivers: What may be broken for a while; None if there is nothing of the kind.
        attestations: What people have done; None if nothing was ever attested.
        may_disturb: Whether the target was given up to being disturbed, by `--allow-disruption`.
        may_scan: Whether its site may be sent what an attacker would send: disposable, or by `--allow-scan`.
        keeps_history: Whether there is a history, which `--no-history` takes away.
        review: Whether nothing is looked at, and what the history knows is shown.
    """

    loaded: Loaded
    clock: Clock
    token: str
    root: Path
    cadence: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    results: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    begun: bool = False
    services: Once[tuple[Wanted, ...]] | None = None
    machine: Host | None = None
    waivers: Waivers | None = None
    attestations: Attestations | None = None
    may_disturb: bool = False
    may_scan: bool = False
    keeps_history: bool = True
    review: bool = False

    @property
    def moment(self) -> datetime:
        """The time from which whole days are reckoned, in the host's zone: when the run began, or `--now`."""
        return (self.clock.fixed or self.started).astimezone(self.clock.zone)

    @property
    def today(self) -> date:
        """The day in the host's zone, now: what ends with a day may end while a run goes on."""
        return self.clock.now().date()

    @property
    def agent(self) -> str:
        """The user agent of this run's requests."""
        return user_agent(VERSION, self.token)

    @cached_property
    def history_file(self) -> HistoryFile:
        """The history's file; one without a path for a run that has none."""
        return HistoryFile(self.root / self.loaded.target.report.history if self.keeps_history else None)

    @property
    def history(self) -> History:
        """What the expectations want to know of earlier runs."""
        return History(self.history_file, self.loaded.target.report.history_kept)

    @property
    def chronicle(self) -> Chronicle:
        """What the runs of this target came to."""
        report = self.loaded.target.report
        return Chronicle(self.history_file, self.loaded.target.name, report.history_kept)

    def begin(self) -> None:
        """Write the token down; called before anything is asked of the target that leaves a trace."""
        if not self.begun:
            self.begun = True
            self._remember(lambda: self.history.begin(self.token, self.loaded.target.name, self.started))

    def end(self, *, whole: bool = True) -> None:
        """Write down what the run came to; only that it ended, of one that was broken off or of a time of `--now`.

        Args:
            whole: Whether it looked at all that it was to look at.
        """
        if self.review:
            return
        if whole and self.clock.fixed is None and self.results:
            results, facts = self.told()
            self._remember(lambda: self.chronicle.record(facts, results))
        elif self.begun:
            self._remember(lambda: self.history.end(self.token, datetime.now(UTC)))

    def told(self) -> tuple[list[Result], RunFacts]:
        """The results as they are on the day on which they are shown, and the facts of the run."""
        today = self.today
        results = [judged(cast("Result", one), self.waivers, today) for one in self.results]
        return results, cast("RunFacts", self.facts())

    def login_refused(self, role: str) -> None:
        """Write down that the database refused our login as that role."""
        self.begin()
        self._remember(lambda: self.history.refused(self.token, role, datetime.now(UTC)))

    def own_runs(self, since: datetime) -> dict[str, RunTime]:
        """The runs since then by token, this one included."""
        return self._remember(lambda: self.history.runs(since)) or {}

    def own_refused_logins(self, since: datetime) -> list[RefusedLogin]:
        """The suite's logins that the database refused since then."""
        return self._remember(lambda: self.history.refused_logins(since)) or []

    def remember_scanned(self, paths: Iterable[str]) -> None:
        """Write down which paths this run's scan was refused."""
        self._remember(lambda: self.history.remember_scanned(self.token, paths))

    def scanned(self, since: datetime) -> dict[str, frozenset[str]]:
        """The paths that scans since then were refused, by the token of their run."""
        return self._remember(lambda: self.history.scanned(since)) or {}

    def baseline_of_kinds(self, service: str, now: KindWindow) -> Baseline | None:
        """What is known of the kinds of a service's log from earlier runs; None if nobody has looked before.

        Raises:
            CannotTell: If there is no history, or it can't be read.
        """
        if not self.keeps_history:
            raise CannotTell(
                "what is new in the logs is told by earlier looks, and --no-history knows of none",
                mend="Run it without --no-history.",
            )
        return self._known(lambda: self.history.baseline(self.loaded.target.name, service, now))

    def remember_kinds(self, service: str, now: KindWindow) -> None:
        """Write down the kinds of a service's log, for the runs to come; not of a time that `--now` made up."""
        if self.clock.fixed is not None:
            self.warn("the kinds of log messages are not remembered of a run with --now")
            return
        clean: Counter[Kind] = Counter()
        first_at: dict[Kind, datetime] = {}
        for kind, number in now.counts.items():
            # Two kinds may differ by nothing but a secret.
            named = Kind(kind.level, redact(kind.text))
            clean[named] += number
            first_at[named] = min(now.first_at[kind], first_at.get(named, now.until))
        window = dataclass_replace(now, counts=clean, first_at=first_at)
        target = self.loaded.target.name
        self._remember(lambda: self.history.remember_kinds(self.token, target, service, window))

    def matched_patterns(self) -> set[str]:
        """The patterns of the settings that have matched something in the target's logs in earlier runs."""
        return self._remember(lambda: self.history.matched(self.loaded.target.name)) or set()

    def remember_matched(self, patterns: set[str]) -> None:
        """Write down that these patterns have matched something."""
        if patterns:
            now = datetime.now(UTC)
            self._remember(lambda: self.history.remember_matched(self.loaded.target.name, patterns, now))

    def outdated_since(self, slug: str, packages: Iterable[str]) -> dict[str, date]:
        """Since which day each of these packages is known to be outdated; it is written down for the runs to come.

        Args:
            slug: The expectation that looks at them, one for each package manager.
            packages: The names of all that are outdated now.
        """
        named, target, now = list(packages), self.loaded.target.name, self.clock.now()
        if self.clock.fixed is None:
            self._remember(lambda: self.history.remember_outdated(target, slug, named, now))
        known = self._remember(lambda: self.history.outdated(target, slug)) or {}
        return {name: known.get(name, now).astimezone(self.clock.zone).date() for name in named}

    def remember_drill(self, at: datetime, receipt: Mapping[str, object], *, proven: bool) -> None:
        """Write down what a restore drill came to; not of a time that `--now` made up."""
        if self.clock.fixed is not None:
            self.warn("the restore drill is not remembered of a run with --now")
            return
        kept, target = redact_all(receipt), self.loaded.target.name
        self._remember(lambda: self.history.remember_drill(self.token, target, at, kept, proven=proven))

    def drills(self) -> list[tuple[datetime, bool, dict[str, Any]]]:
        """The restore drills of the target: when, whether the backup was proven, and the receipt; latest first.

        Raises:
            CannotTell: If the history can't be read.
        """
        return self._known(lambda: self.history.drills(self.loaded.target.name))

    def remember_disturbances(self, disturbances: Iterable[Disturbance]) -> None:
        """Write down what a drill does to containers, before it does it and when it is over."""
        known, target = list(disturbances), self.loaded.target.name
        self._remember(lambda: self.history.remember_disturbances(target, known))

    def disturbances(self, since: datetime) -> list[Disturbance]:
        """What drills have done to the target's containers since then."""
        return self._remember(lambda: self.history.disturbances(self.loaded.target.name, since)) or []

    def remember_roles(self, uses: Iterable[RoleUse]) -> None:
        """Write down which login roles of the database were seen in use; not of a time that `--now` made up."""
        if self.clock.fixed is None:
            known, target = list(uses), self.loaded.target.name
            self._remember(lambda: self.history.remember_roles(target, known))

    def roles_met(self, roles: Iterable[str]) -> None:
        """Write down that somebody is logged in to the database as each of these roles."""
        now = datetime.now(UTC)
        self.remember_roles(RoleUse(role, now, None) for role in sorted(roles))

    def role_uses(self) -> dict[str, RoleUse]:
        """When each login role of the database was last seen in use in earlier runs.

        Raises:
            CannotTell: If the history can't be read.
        """
        return self._known(lambda: self.history.roles(self.loaded.target.name))

    def measured(self, slug: str, name: str, since: datetime) -> list[tuple[datetime, float]]:
        """What an expectation has measured since then in earlier runs, by time.

        Raises:
            CannotTell: If the history can't be read.
        """
        return self._known(lambda: self.history.figures(self.loaded.target.name, slug, name, since))

    def cache_file(self, name: str) -> Path | None:
        """Where something is kept that may be thrown away at any time: beside the history, a file for each target."""
        return self._beside_history(f"{name}.cache") if self.keeps_history else None

    @property
    def lock_file(self) -> Path:
        """What is locked while a run is on; that is the target's, with a history or without."""
        return self._beside_history("run.lock")

    def _beside_history(self, name: str) -> Path:
        file = self.root / self.loaded.target.report.history
        return file.with_name(f"{file.stem}-{self.loaded.target.name}-{name}")

    def warn(self, text: str) -> None:
        """Tell the reader something, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def _remember(self, action: Any) -> Any:  # noqa: ANN401  whatever the action gives
        try:
            return action()
        except HistoryError as error:
            self.warn(str(error))
            return None
        finally:
            self._say_what_is_damaged()

    def _say_what_is_damaged(self) -> None:
        for sentence in self.history_file.said:
            self.warn(sentence)

    def _known(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except HistoryError as error:
            raise CannotTell(
                str(error), mend="Mend the file or move it away; a new one begins with this run."
            ) from None
        finally:
            self._say_what_is_damaged()

    def report_file(self, template: Path) -> Path:
        """The path of a report, its placeholders filled in."""
        filled = str(template).replace("{cadence}", self.cadence)
        filled = filled.replace("{time}", f"{self.clock.now():%Y%m%d-%H%M%S}")
        return self.root / filled

    def facts(self) -> dict[str, Any]:
        """The run as plain data for the reports."""
        ended = datetime.now(UTC)
        facts = {
            "target": self.loaded.target.name,
            "cadence": self.cadence,
            "token": self.token,
            "started": self.started.astimezone(self.clock.zone).isoformat(timespec="milliseconds"),
            "ended": ended.astimezone(self.clock.zone).isoformat(timespec="milliseconds"),
            "seconds": (ended - self.started).total_seconds(),
            "host_zone": str(self.clock.zone),
            "version": VERSION,
            "settings_file": str(self.loaded.file),
            "warnings": list(self.warnings),
        }
        return cast("dict[str, Any]", redact_all(facts))


def _records(loaded: Loaded, today: date) -> tuple[Waivers | None, Attestations | None]:
    """What people have said, where they have said anything; nothing is imported where they have not.

    Raises:
        TargetError: If something of it isn't right.
    """
    target = loaded.target
    if not (loaded.waivers.exists() or loaded.attestations.exists() or target.not_applicable):
        return None, None
    from records.attestations import read as read_attestations
    from records.not_applicable import check_not_applicable
    from records.slugs import read_slugs
    from records.tables import RecordError
    from records.waivers import read as read_waivers

    try:
        slugs = read_slugs()
        waivers = read_waivers(loaded.waivers, slugs, today)
        attestations = read_attestations(loaded.attestations, slugs, today)
    except RecordError as error:
        raise TargetError(str(error)) from None
    if problems := check_not_applicable(target.not_applicable, slugs):
        raise TargetError("\n".join(f"{loaded.file}: {problem}" for problem in problems))
    return waivers, attestations


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_hex(16)


def asks_for_expectations(config: pytest.Config) -> bool:
    """Whether this call of pytest would collect expectations, which need a target.

    Of several targets it collects those instead (`report/fleet.py`), each of which has a call of its own.
    """
    return len(config.getoption("target")) <= 1 and names_expectations(config)


def names_expectations(config: pytest.Config) -> bool:
    """Whether one of the paths of this call has expectations."""
    rooms = [(config.rootpath / room).resolve() for room in ROOMS]
    for argument in config.args:
        path = (config.invocation_params.dir / argument.partition("::")[0]).resolve()
        if any(path == room or room in path.parents or path in room.parents for room in rooms):
            return True
    return False


PARTS = {
    "morning": "daily",
    "evening": "daily",
    "monday": "weekly",
    "friday": "weekly",
    "first_of_month": "monthly",
    "mid_month": "monthly",
    "end_of_month": "monthly",
    "performance": "monthly",
    "storage": "monthly",
    "scaling": "monthly",
    "readiness": "monthly",
}
"""The parts of a cadence, which are markers as well, in the order of the guide."""


TRIAGE = re.compile(r"\s*triage\s*")
"""The marker expression of a run in an emergency."""


def in_a_hurry(loaded: Loaded) -> Loaded:
    """The same target, of which nothing is waited for any longer than an emergency allows."""
    from msgspec.structs import asdict, replace

    limits = loaded.target.timeouts
    # Django takes a second to start, before it has asked anything.
    shorter = {name: min(span, limits.triage * (1 + (name == "commands"))) for name, span in asdict(limits).items()}
    return dataclass_replace(loaded, target=replace(loaded.target, timeouts=replace(limits, **shorter)))


REVIEW = "review"
"""What a review is called where a run has its cadence."""


def cadence_of(expression: str) -> str:
    """The first cadence that a marker expression names, by itself or by a part of it; `checks` when it names none."""
    words = [PARTS.get(word, word) for word in re.findall(r"\w+", expression)]
    return next((word for word in words if word in CADENCES), "checks")


_DONE_TO_IT = {"--allow-disruption": ("disturb", "disturbed"), "--allow-scan": ("scan", "scanned")}


def _allowed(option: str, given: str, loaded: Loaded, fixed: datetime | None) -> bool:
    """Whether an option permits what would be done to the target.

    Args:
        option: Which one, of :data:`_DONE_TO_IT`.
        given: What it said; empty without it, :data:`UNNAMED` without a name.
        loaded: The target.
        fixed: The time of `--now`.

    Raises:
        pytest.UsageError: If it is meant for another target, or isn't said plainly enough.
    """
    if not given:
        return False
    target = loaded.target
    does, done = _DONE_TO_IT[option]
    if fixed is not None:
        raise pytest.UsageError(
            f"{option} {does}s what runs now, and --now says to look at another time: leave one of them out"
        )
    if given == target.name or (given == UNNAMED and target.disposable):
        return True
    if given == UNNAMED:
        raise pytest.UsageError(
            f"{option}: this would {does} {target.name}, which isn't disposable ({loaded.file}); "
            f"if that is meant, type {option}={target.name}"
        )
    raise pytest.UsageError(
        f"{option}={given}: the target of this run is {target.name} ({loaded.file}); "
        f"if that is to be {done}, type {option}={target.name}"
    )


def make_run(config: pytest.Config) -> Run:
    """Read the settings and the clock.

    Raises:
        pytest.UsageError: If a setting or an option isn't right.
    """
    try:
        file = target_file(
            next(iter(config.getoption("target")), ""),
            root=config.rootpath,
            directory=config.invocation_params.dir,
            environment=os.environ,
        )
        loaded = load(file)
        zone = local_zone(loaded.target.host.zone)
    except TargetError as error:
        raise pytest.UsageError(str(error)) from None
    except CannotTell as error:
        raise pytest.UsageError(f"{error}. {error.mend}") from None
    fixed: datetime | None = None
    if given := config.getoption("now"):
        try:
            fixed = datetime.fromisoformat(given)
        except ValueError:
            raise pytest.UsageError(
                f"--now {given}: write it as 2026-11-23T09:00, with an offset if it isn't the host's zone"
            ) from None
        fixed = fixed if fixed.tzinfo is not None else fixed.replace(tzinfo=zone)
    may_disturb = _allowed("--allow-disruption", config.getoption("allow_disruption"), loaded, fixed)
    may_scan = _allowed("--allow-scan", config.getoption("allow_scan"), loaded, fixed) or loaded.target.disposable
    workers: dict[str, str] = getattr(config, "workerinput", {})
    clock = Clock(zone, fixed)
    if TRIAGE.fullmatch(config.getoption("markexpr") or ""):
        loaded = in_a_hurry(loaded)
    # What was attested since a time that --now gives doesn't lie in the future.
    latest = max(clock.now(), datetime.now(UTC)).astimezone(zone)
    try:
        waivers, attestations = _records(loaded, latest.date())
    except TargetError as error:
        raise pytest.UsageError(str(error)) from None
    run = Run(
        loaded=loaded,
        clock=clock,
        token=workers.get("ops_token") or new_token(),
        root=config.rootpath,
        cadence=REVIEW if config.getoption("review") else cadence_of(config.getoption("markexpr") or ""),
        started=datetime.fromisoformat(began) if (began := workers.get("ops_started")) else datetime.now(UTC),
        waivers=waivers,
        attestations=attestations,
        may_disturb=may_disturb,
        may_scan=may_scan,
        keeps_history=not config.getoption("no_history"),
        review=config.getoption("review"),
    )
    if not run.keeps_history:
        run.warn(
            "--no-history: nothing is known of earlier runs, and what this run and they asked of the target counts as "
            "its traffic"
        )
    return run
