"""What a run with `--alert` does besides looking: the ping at its beginning and at its end, and the alerts between.

What fails of it can't be told, and is a result of the run like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from observe.errors import CannotTell
from observe.own_traffic import NAME
from report.heartbeat import SLUG as HEARTBEAT_SLUG
from report.heartbeat import Heartbeat, read_heartbeat
from report.run import VERSION

if TYPE_CHECKING:
    from report.run import Run

_AGENT = f"{NAME}/{VERSION}"
"""Without the run's token, which only the target is to see."""
_WENT_TO_ITS_END = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
_HEARTBEAT: pytest.StashKey[Heartbeat] = pytest.StashKey()
_TROUBLE: pytest.StashKey[CannotTell] = pytest.StashKey()
_MEND = "Mend the way to the heartbeat's address (alerts.heartbeat), or whoever listens there will think that this run "
_MEND += "didn't happen."


def check(run: Run) -> None:
    """Refuse a run that couldn't know what has changed, before it looks at anything.

    Raises:
        pytest.UsageError: If it is one.
    """
    if run.clock.fixed is not None:
        raise pytest.UsageError(
            "--alert tells what is so now, and --now says to look at another time: leave one of them out"
        )
    if not run.keeps_history:
        raise pytest.UsageError(
            "--alert tells what has changed since the last run, and with --no-history nothing is known of that: "
            "leave one of them out"
        )


def begin(config: pytest.Config, run: Run) -> None:
    """Send the ping that the run begins, where there is somebody to hear it."""
    try:
        url, said = read_heartbeat(run.loaded.target.alerts)
    except CannotTell as why:
        config.stash[_TROUBLE] = why
        return
    if said:
        run.warn(said)
    if url is not None:
        config.stash[_HEARTBEAT] = heartbeat = Heartbeat(url, run.loaded.target.timeouts.alerts.total_seconds(), _AGENT)
        heartbeat.start()


def finish(session: pytest.Session, run: Run, items: set[tuple[str, str]]) -> None:
    """Tell what has changed, then send the ping that the run is over; what fails of it is added to the results.

    Args:
        session: Pytest's; its exit status says how the run ended. What is added here counts in it at the very end.
        run: The run; all its results are known.
        items: Slug and item of every expectation that there is.
    """
    from report import telling

    config = session.config
    whole = session.exitstatus in _WENT_TO_ITS_END and bool(run.results)
    found, reached = [], False
    if whole:
        told = telling.tell(run, () if _narrowed(config) else items)
        reached = told.reached
        for note in told.notes:
            run.warn(note)
        found.append(telling.alert_trouble(run, told))
    if trouble := _last_ping(config, run, well=whole and reached):
        title = "Whoever listens for the heartbeat has heard that the run ended."
        found.append(
            telling.as_result(run, HEARTBEAT_SLUG, title, [trouble.what], mend=trouble.mend, looked_at="1 address")
        )
    run.results += [dict(one) for one in found if one is not None]


def _last_ping(config: pytest.Config, run: Run, *, well: bool) -> CannotTell | None:
    """Send it; why it wasn't taken, None where it was or there is nobody to hear it."""
    if (why := config.stash.get(_TROUBLE, None)) is not None:
        return why
    heartbeat = config.stash.get(_HEARTBEAT, None)
    if heartbeat is None:
        return None
    first, last = heartbeat.end(well=well)
    if not last.accepted:
        return CannotTell(f"{last.name} {last.said}", mend=_MEND)
    if first is not None and not first.accepted:
        run.warn(f"of the run's beginning {first.name} heard nothing: it {first.said}")
    return None


def _narrowed(config: pytest.Config) -> bool:
    """Whether the call names tests by themselves: then nobody knows which items there are besides."""
    return any("::" in argument for argument in config.args) or bool(config.getoption("lf", default=False))
