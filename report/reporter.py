"""How a run of expectations speaks in the terminal: calmly, in the guide's words, with the verdict in its last line.

pytest's own reporter stays and is made quiet, by the same switch that `-qq` is: it is final, others hold on to it,
and what it has to say of tests that can't be read, of an interruption or under `--tb=long` is still said by it. What
the operator asked for with -v or -q is kept, for our lines and for what is said of a failing assert.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from report import earlier, terminal
from report.lines import counts
from report.outcomes import CASE
from report.progress import LIVE, OWN_LINES
from report.run import ROOMS
from report.screen import Screen
from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from report.lines import Result
    from report.progress import Live
    from report.run import Run

CANNOT_TELL_STATUSES = (1, *range(6, 126))
"""What `--cannot-tell-status` may be: 0 says that all holds, 2 to 5 are pytest's, those from 126 on a shell's."""
_VERBOSE = "ops_verbose"
_QUIET = -2
_TOLD = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.INTERRUPTED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)


def check_status(config: pytest.Config) -> None:
    """Refuse an exit status that would say something else.

    Raises:
        pytest.UsageError: If `--cannot-tell-status` is one.
    """
    status = config.getoption("cannot_tell_status")
    if status not in CANNOT_TELL_STATUSES:
        raise pytest.UsageError(
            f"--cannot-tell-status {status}: give 1 or a number from 6 to 125; 0 says that all holds, 2 to 5 are "
            "pytest's own, and from 126 on they are the shell's"
        )


def target_line(run: Run) -> str:
    """Which system is looked at, and when it is."""
    now = f"{run.clock.now():%Y-%m-%d %H:%M %Z}"
    said = " (given by --now)" if run.clock.fixed is not None else ""
    return f"target: {run.loaded.target.name} ({run.loaded.file}), {now}{said}"


def speak(config: pytest.Config, run: Run) -> None:
    """Let the run speak in our way, and its exit status be ours; nothing of it where tests are only listed.

    Args:
        config: pytest's, with all options read.
        run: The run.
    """
    check_status(config)
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.option.verbose = worker.get(_VERBOSE, config.option.verbose)
        return
    if config.getoption("collectonly"):
        return
    config.pluginmanager.register(Status(run), "ops_status")
    lists = config.getoption("showfixtures") or config.getoption("show_fixtures_per_test")
    if _only_expectations(config) and not lists and config.pluginmanager.hasplugin("terminal"):
        config.pluginmanager.register(Calm(config, run), "ops_calm")


def _only_expectations(config: pytest.Config) -> bool:
    """Whether nothing but expectations would be collected; the suite's own tests keep pytest's look."""
    rooms = [(config.rootpath / room).resolve() for room in ROOMS]
    paths = [(config.invocation_params.dir / one.partition("::")[0]).resolve() for one in config.args]
    return all(any(path == room or room in path.parents for room in rooms) for path in paths)


class Status:
    """The exit status: 1 when something is broken, and one of its own when nothing is but something can't be told."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._foreign = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a failure that is no expectation's."""
        self._foreign |= report.failed and not hasattr(report, "expectation")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember what could not be collected."""
        self._foreign |= report.failed

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Set it, when all that could add to the results has done so."""
        yield
        if session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or self._foreign:
            return
        # What is told is as of now: a waiver may have ended since.
        number = counts(self._run.told()[0])
        if number["broken"]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif number["cannot tell"]:
            session.exitstatus = session.config.getoption("cannot_tell_status")


class Calm:
    """The lines of a run: a line for each expectation in the order of the guide, then what `terminal.summary` makes.

    The order is that of the collection, which is the guide's. Under xdist results arrive as they come; a line waits
    until those before it are complete, so that a run reads the same with workers and without.
    """

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self._config = config
        self._run = run
        self._screen = Screen(config)
        self._asked: int = config.option.verbose
        config.option.verbose = _QUIET
        config.stash[OWN_LINES] = True
        self._order: list[str] = []
        self._wanted: Counter[str] = Counter()
        self._titles: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._results: dict[str, list[tuple[int, Result]]] = {}
        self._seen = self._collected = self._next = 0
        self._section = ""
        self._workers = False

    def pytest_sessionstart(self) -> None:
        """Say which system is looked at."""
        if self._asked >= 0:
            self._screen.say([target_line(self._run)])

    # What is collected, and what runs.

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know the order, and how many items each expectation has."""
        if session.items:
            self._collect(item.nodeid for item in session.items)
        for item in session.items:
            if (case := item.stash.get(CASE, None)) is not None:
                title = case.expectation.title.rstrip(".")
                self._titles[item.nodeid] = f"{title} ({case.item})" if case.item else title

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """The same, of the workers, which all collect the same."""
        self._workers = True
        if not self._order:
            self._collect(ids)

    def _collect(self, ids: Iterable[str]) -> None:
        self._places = {one: place for place, one in enumerate(ids)}
        self._wanted = Counter(one.partition("[")[0] for one in self._places)
        self._order, self._collected = list(self._wanted), self._wanted.total()
        if LIVE not in self._config.stash and (live := self._screen.live()) is not None:
            self._config.stash[LIVE] = live

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401  xdist's
        """Let the workers' asserts be as long as was asked for."""
        node.workerinput[_VERBOSE] = self._asked

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say what goes on, if it takes long."""
        if not self._workers:
            self._live(lambda live: live.begin(self._titles.get(nodeid, nodeid)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say what came of an expectation, as soon as all before it is said."""
        result = getattr(report, "expectation", None)
        if result is not None or report.failed:
            self._live(lambda live: live.end())
        if result is not None:
            self._seen += 1
            place = self._places.get(report.nodeid, 0)
            self._results.setdefault(report.nodeid.partition("[")[0], []).append((place, result))
            self._tell()
        elif report.failed:
            last = str(report.longrepr).rstrip().rpartition("\n")[2]
            self._screen.say([f"  {terminal.SIGNS['cannot tell']} {plain(report.nodeid)}: {plain(last, 300)}"])
        if self._workers and self._seen < self._collected:
            self._live(lambda live: live.begin(f"{self._seen} of {self._collected} looked at"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:  # noqa: ANN401  two kinds of report
        """Keep pytest from saying it once more, in its letters; its categories stay."""
        result = getattr(report, "expectation", None)
        if result is None:
            return ("error", "", "") if report.failed else None
        names = {"holds": "passed", "broken": "failed", "cannot tell": "error", "set aside": "skipped"}
        return names[result["outcome"]], "", ""

    # A failing assert says as much as was asked for, though pytest's reporter is quiet.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """While the test runs."""
        with self._as_asked():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, object, object]:
        """While its failure is made into text."""
        with self._as_asked():
            return (yield)

    @contextmanager
    def _as_asked(self) -> Iterator[None]:
        self._config.option.verbose = self._asked
        try:
            yield
        finally:
            self._config.option.verbose = _QUIET

    # Whoever else writes must not write into the line.

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Take the line away."""
        self._live(lambda live: live.close())

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        """Take the line away."""
        self._live(lambda live: live.close())

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        """Take the line away."""
        self._live(lambda live: live.close())

    def pytest_unconfigure(self) -> None:
        """Take the line away."""
        self._live(lambda live: live.close())

    # The end.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Say what needs a person, then the verdict, when everybody else has said everything."""
        self._live(lambda live: live.close())
        self._tell(all_of_it=True)
        yield
        if self._run.results and (asked := self._config.getoption("what_if")):
            from report import what_if

            self._screen.say(["", *what_if.terminal_lines(self._run, asked, self._screen.width)])
        if self._run.results or session.exitstatus in _TOLD:
            self._screen.say(self._summary())

    def _summary(self) -> list[str]:
        results, facts = self._run.told()
        unseen = max(0, self._collected - self._seen)
        if self._asked <= _QUIET:
            return terminal.ending(results, facts, unseen, colour=self._screen.colour, width=self._screen.width)
        now = self._run.clock.now().astimezone(self._run.clock.zone)
        known = earlier.past(self._run) if results else None
        made = terminal.summary(
            results,
            facts,
            colour=self._screen.colour,
            width=self._screen.width,
            since=None if known is None else lambda result: earlier.since(result, known, now),
            changed="" if known is None else earlier.changed(results, known, facts["token"], now),
            unseen=unseen,
            whole=self._asked > 0,
        )
        return ["", *made]

    def _tell(self, *, all_of_it: bool = False) -> None:
        """Print what is complete and whose turn it is; in the end, whatever there is."""
        while self._next < len(self._order):
            name = self._order[self._next]
            if len(self._results.get(name, ())) < self._wanted[name] and not all_of_it:
                return
            self._next += 1
            self._told(self._results.pop(name, []))
        # A test that held and then could not be taken down has two results; the second comes late.
        for name in self._order[: self._next]:
            self._told(self._results.pop(name, []))

    def _told(self, arrived: list[tuple[int, Result]]) -> None:
        if not arrived or self._asked < 0:
            return
        results = [result for _, result in sorted(arrived, key=lambda one: one[0])]
        lines = []
        if results[0]["section"] != self._section:
            self._section = results[0]["section"]
            lines += ["", terminal.heading(self._section, colour=self._screen.colour)]
        screen = self._screen
        lines += terminal.told(
            results, colour=screen.colour, width=screen.width, more=self._asked > 0, signs=screen.signs
        )
        self._screen.say(lines)

    def _live(self, action: Callable[[Live], None]) -> None:
        if (live := self._config.stash.get(LIVE, None)) is not None:
            action(live)
