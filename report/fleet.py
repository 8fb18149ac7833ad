"""Several targets in one run: `--target a.toml --target b.toml`, one report with a row for each.

The session of pytest then collects the targets instead of the expectations: an item for each, whose id is the target's
name. What an item does is an ordinary run of the suite on its target (`report/members.py`), and what the item comes to
is how that target stands: failed when something is broken on it, an error when nothing is but something can't be told.

The runs are processes anyhow, so that xdist's workers would only wait for them: each would take the time of another
start, and keep the target that it was given next waiting behind one that doesn't answer. So the session itself starts
them, as many at the same time as `-n` says, with xdist there or not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.mark import pytest_collection_modifyitems as check_expressions
from _pytest.runner import collect_one_node, runtestprotocol

from report import fleet_terminal
from report.lines import OUTCOMES
from report.lock import patience
from report.members import Look, Member, command_of, look_at
from report.reporter import check_status
from report.run import REVIEW, TRIAGE, VERSION, cadence_of, names_expectations
from report.screen import Screen
from target.choose import target_file
from target.kinds import Span
from target.load import PREFIX, RESERVED, TargetError, load

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from target.load import Loaded

SHORT_LIMIT = Span(minutes=10)
"""How long a run may take whose cadence has nothing that takes long."""
LONG_LIMIT = Span(hours=3)
"""How long any other may take: a restore has two hours."""
_QUIET = -2
_ONE_AT_A_TIME = ("--allow-disruption", "--allow-scan", "--pdb", "--trace", "--lf", "--ff", "--nf", "--sw")
_FILES = {
    "html": "reports/{cadence}-{time}.html",
    "xml": "reports/{cadence}-{time}.xml",
    "json": "reports/{cadence}-{time}.json",
    "markdown": "reports/{cadence}-{time}.md",
    "metrics": "",
}
"""Where a run's reports go unless its target says so."""


@dataclass
class Facts:
    """What is true of all rows of a fleet's report.

    Attributes:
        cadence: What was asked for: `daily`, …, or `checks`.
        started: When it began, aware, by this machine's zone.
        ended: When it ended.
        at_once: How many targets were looked at at the same time.
        total: How many targets there are.
        notes: What the reader should know beside the outcomes.
    """

    cadence: str
    started: datetime
    ended: datetime
    at_once: int
    total: int
    notes: list[str] = field(default_factory=list)
    version: str = VERSION

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.started).total_seconds()


def begin(config: pytest.Config) -> None:
    """Make this session one of several targets.

    Args:
        config: pytest's, before any other plugin has made anything of it.

    Raises:
        pytest.UsageError: If the targets can't be told apart, or an option isn't right or isn't for several.
    """
    if not names_expectations(config) or hasattr(config, "workerinput"):
        return
    check_status(config)
    _refuse_what_is_for_one(config)
    config.pluginmanager.register(Fleet(config), "ops_fleet")


def _refuse_what_is_for_one(config: pytest.Config) -> None:
    """Refuse what would be done to all targets at once, or would be said and then not done."""
    option = config.option
    given = {
        "--allow-disruption": option.allow_disruption,
        "--allow-scan": option.allow_scan,
        "--pdb": option.usepdb,
        "--trace": option.trace,
        "--lf": getattr(option, "lf", False),
        "--ff": getattr(option, "failedfirst", False),
        "--nf": getattr(option, "newfirst", False),
        "--sw": getattr(option, "stepwise", False),
    }
    if wrong := [name for name in _ONE_AT_A_TIME if given[name]]:
        raise pytest.UsageError(f"{wrong[0]} is for one target at a time: leave it out, or give one --target")


class TargetItem(pytest.Item):
    """A target of the fleet; run, it takes what its own run came to."""

    look: Look

    def __init__(self, *, member: Member, **more: Any) -> None:  # noqa: ANN401  pytest's own
        super().__init__(**more)
        self.member = member

    def runtest(self) -> None:
        """Say how the target stands."""
        if self.look.outcome in OUTCOMES[:2]:
            raise NeedsSomebodyError(fleet_terminal.message(self.look))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:  # noqa: ANN401
        """The sentence alone, which is no fault of any code."""
        del style
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The target's file."""
        return self.member.file, None, self.name


class Targets(pytest.Collector):
    """All targets of the fleet."""

    def __init__(self, *, members: Sequence[Member], **more: Any) -> None:  # noqa: ANN401  pytest's own
        super().__init__(**more)
        self.members = members

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """An item for each, with the target's name as its id."""
        return [TargetItem.from_parent(self, name=one.name, nodeid=one.name, member=one) for one in self.members]


class NeedsSomebodyError(Exception):
    """Something on a target is broken or can't be told; the text is a sentence for a person."""


class Fleet:
    """The session of several targets.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.screen = Screen(config)
        self.looks: list[Look] = []
        option = config.option
        self._asked: int = option.verbose
        self._only_lists = bool(option.collectonly)
        now = datetime.now(UTC).astimezone()
        cadence = REVIEW if option.review else cadence_of(option.markexpr or "")
        stamp = f"{now:%Y%m%d-%H%M%S}"
        file = config.rootpath / "reports" / f"fleet-{cadence}-{stamp}.html"
        self.page = Path(config.invocation_params.dir, option.htmlpath) if option.htmlpath else file
        self.json = self.page.with_suffix(".json")
        self.members = self._members(cadence, stamp)
        total = len(self.members)
        self.facts = Facts(cadence, now, now, min(_at_once(option), total), total, _of_the_environment())
        # Neither pytest-html nor xdist has anything to do here; both look for these when they are told to begin.
        option.htmlpath = None
        option.dist, option.tx = "no", []
        if self._only_lists:
            return
        if option.xmlpath is None:
            option.xmlpath = str(file.with_suffix(".xml"))
        option.verbose, option.tbstyle, option.reportchars = _QUIET, "no", "N"

    # The targets.

    def _members(self, cadence: str, stamp: str) -> list[Member]:
        """What was given as targets, in that order.

        Raises:
            pytest.UsageError: If two have the same name, or a span of time isn't one.
        """
        root, directory = self.config.rootpath, self.config.invocation_params.dir
        read: list[tuple[str, Path, Loaded | str]] = []
        for given in self.config.option.target:
            file = Path(given)
            try:
                file = target_file(given, root=root, directory=directory, environment=os.environ)
                loaded = load(file)
            except TargetError as error:
                read.append((str(given), file, str(error)))
            else:
                read.append((loaded.target.name, file, loaded))
        _refuse_doubles(read)
        xml = self.config.option.xmlpath
        ours = [self.page, self.json, *([Path(directory, xml)] if xml else [])]
        outputs = _outputs([one for _, _, one in read if not isinstance(one, str)], cadence, stamp, root, ours)
        return [
            Member(name, file, problem=f"its settings can't be used: {one}")
            if isinstance(one, str)
            else Member(name, file, self._limit(cadence, one), outputs[name])
            for name, file, one in read
        ]

    def _limit(self, cadence: str, loaded: Loaded) -> float:
        """Seconds that a target's run may take, the wait for another run on it included."""
        option = self.config.option
        short = cadence in ("daily", "triage", REVIEW)
        try:
            limit = Span.parse(option.target_limit) if option.target_limit else SHORT_LIMIT if short else LONG_LIMIT
            waits = not TRIAGE.fullmatch(option.markexpr or "") and not option.review
            return limit.total_seconds() + waits * patience(option.wait, loaded.target.timeouts.overlap)
        except ValueError as error:
            wrong = str(error) if str(error).startswith("--wait") else f"--target-limit {option.target_limit}: {error}"
            raise pytest.UsageError(wrong) from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """Collect the targets in place of the tests; nothing is opened for it."""
        # An expression that is wrong is wrong for all of them: it is said once.
        check_expressions(items=[], config=self.config)
        targets = Targets.from_parent(session, name="targets", nodeid="targets", members=self.members)
        targets.ihook.pytest_collectstart(collector=targets)
        collected = collect_one_node(targets)
        targets.ihook.pytest_collectreport(report=collected)
        session.items = [one for one in collected.result if isinstance(one, pytest.Item)]
        session.testscollected = len(session.items)
        self.config.hook.pytest_collection_finish(session=session)
        return True

    # The runs.

    def _command(self) -> list[str]:
        """How the run of one target is started: with all that was asked for and is for each of them."""
        option = self.config.option
        command = ["-c", str(self.config.inipath)] if self.config.inipath is not None else []
        command += [f"--rootdir={self.config.rootpath}", f"--tb={option.tbstyle}"]
        texts = {"-m": option.markexpr, "-k": option.keyword, "--now": option.now, "--wait": option.wait}
        for name, value in texts.items():
            command += [name, value] if value else []
        flags = {"--alert": option.alert, "--no-history": option.no_history, "--review": option.review}
        command += [name for name, given in flags.items() if given]
        lists = {"-p": option.plugins, "-o": option.override_ini, "--deselect": option.deselect}
        lists |= {"--what-if": option.what_if, "-W": getattr(option, "pythonwarnings", None)}
        for name, values in lists.items():
            command += [word for value in values or () for word in (name, value)]
        command.append(f"--cannot-tell-status={option.cannot_tell_status}")
        given = self.config.args_source is pytest.Config.ArgsSource.ARGS
        return command_of([*command, *(self.config.args if given else ())])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Look at the targets, and let each be an item that has run as soon as it is known how it stands."""
        if self._only_lists:
            return None
        items = {item.name: item for item in session.items if isinstance(item, TargetItem)}
        live = self.screen.live()
        if live is not None:
            live.begin(f"{len(items)} targets are looked at")
        directory, stopped = self.config.invocation_params.dir, list[Look]()
        looks = look_at(self.members, self._command(), directory, self.facts.at_once, stopped)
        try:
            for look, others in looks:
                self.looks.append(look)
                item = items[look.name]
                item.look = look
                if live is not None:
                    live.end()
                item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
                runtestprotocol(item, nextitem=None)
                item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
                if live is not None and others:
                    live.begin(fleet_terminal.so_far(len(self.looks), len(items), others))
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
                if session.shouldstop:
                    raise session.Interrupted(session.shouldstop)
        finally:
            looks.close()
            self.looks += stopped
            if live is not None:
                live.close()
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Tell the outcomes apart: pytest knows errors only of what comes before the test."""
        report = yield
        if isinstance(item, TargetItem) and call.when == "call":
            report.duration = item.look.seconds
            if item.look.outcome == "cannot tell":
                report.when = "setup"
        return report

    # What is said.

    def pytest_sessionstart(self) -> None:
        """Say how many there are."""
        if self._asked >= 0 and not self._only_lists:
            self.screen.say([fleet_terminal.heading(self.facts)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say how a target stands, as soon as that is known."""
        if self._asked >= 0 and self.looks and (report.when == "call" or report.failed):
            screen, whole = self.screen, self._asked > 0
            screen.say(
                fleet_terminal.line(
                    self.looks[-1], colour=screen.colour, width=screen.width, whole=whole, signs=screen.signs
                )
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:  # noqa: ANN401  two kinds of report
        """Keep pytest from saying it once more, in its letters."""
        if report.failed:
            return ("failed" if report.when == "call" else "error"), "", ""
        return ("passed", "", "") if report.when == "call" else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write the report, set the exit status, and say the end, when everybody else has said everything."""
        yield
        if self._only_lists:
            return
        seen = {one.name for one in self.looks}
        stopped = "it was not looked at: the run was stopped before"
        looks = [*self.looks, *(Look(one, problem=stopped) for one in self.members if one.name not in seen)]
        looks.sort(key=lambda one: one.urgency)
        self.facts.ended = datetime.now(UTC).astimezone()
        if self.looks:
            self._write(looks)
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            session.exitstatus = self._status(looks)
        if session.exitstatus != pytest.ExitCode.USAGE_ERROR:
            page = self.page if self.looks else None
            said = fleet_terminal.summary(
                looks,
                self.facts,
                page,
                colour=self.screen.colour,
                width=self.screen.width,
                short=self._asked < 0,
                signs=self.screen.signs,
            )
            self.screen.say(said)

    def _status(self, looks: Iterable[Look]) -> int:
        outcomes = {one.outcome for one in looks}
        if "broken" in outcomes:
            return pytest.ExitCode.TESTS_FAILED
        return int(self.config.option.cannot_tell_status) if "cannot tell" in outcomes else pytest.ExitCode.OK

    def _write(self, looks: list[Look]) -> None:
        """Write the files; one that can't be written is said and changes no outcome."""
        from report import fleet_page
        from report.write import write_whole

        for file, made in ((self.page, fleet_page.page), (self.json, fleet_page.document)):
            try:
                write_whole(file, made(looks, self.facts, file.parent))
            except OSError as error:
                self.facts.notes.append(f"the report {file} could not be written: {error.strerror or error}")


def _refuse_doubles(read: Iterable[tuple[str, Path, Loaded | str]]) -> None:
    """Insist that each name is there once: names tell the targets apart in the history as well."""
    files: dict[str, Path] = {}
    for name, file, _ in read:
        if name in files:
            raise pytest.UsageError(
                f"two targets have the name {name}: {files[name]} and {file}. Give each --target once, and each "
                "target file a `name` of its own"
            )
        files[name] = file


def _at_once(option: Any) -> int:  # noqa: ANN401  pytest's
    """How many targets are looked at at the same time."""
    given = option.at_once or getattr(option, "numprocesses", None)
    if option.at_once < 0:
        raise pytest.UsageError(f"--at-once {option.at_once}: give the number of targets, 1 or more")
    if TRIAGE.fullmatch(option.markexpr or ""):
        # Every look has but a second and a half, which mustn't go into waiting for a processor.
        return int(given or os.cpu_count() or 1)
    # Who waits for somebody who doesn't answer uses no processor, so that there may be more than there are of those;
    # each has its memory, so that there mustn't be any number.
    return int(given or min(max(8, 2 * (os.cpu_count() or 1)), 16))


def _of_the_environment() -> list[str]:
    """What the environment sets, which holds for all targets alike."""
    names = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in RESERVED)
    return [f"{', '.join(names)} of the environment: set for all targets alike"] if names else []


def _outputs(
    targets: Iterable[Loaded], cadence: str, stamp: str, root: Path, ours: Iterable[Path]
) -> dict[str, dict[str, str]]:
    """Where the run of each target writes: where its settings say, with its name in front where two would write.

    Args:
        targets: All that have a run.
        cadence: What stands for `{cadence}`.
        stamp: What stands for `{time}`; one for all, so that what belongs together is seen.
        root: What a relative path is relative to.
        ours: Where the fleet's own report is written.

    Returns:
        Variables by the target's name.
    """
    made: dict[str, dict[str, Path]] = {}
    for loaded in targets:
        report = loaded.target.report
        files = {}
        for name, usual in _FILES.items():
            template = getattr(report, name) or (usual if name != "markdown" or cadence == REVIEW else "")
            if template:
                file = root / str(template).replace("{cadence}", cadence).replace("{time}", stamp)
                own = str(template) != usual
                files[name] = file if own else file.with_name(f"{loaded.target.name}-{file.name}")
        made[loaded.target.name] = files
    every = [*ours, *(file for files in made.values() for file in files.values())]
    return {
        target: {
            f"OPS_REPORT__{name.upper()}": str(
                file.with_name(f"{target}-{file.name}") if every.count(file) > 1 else file
            )
            for name, file in files.items()
        }
        for target, files in made.items()
    }
