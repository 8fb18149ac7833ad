"""A whole run that tells whoever is on call, end to end: one thing is broken, one message goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proofs.harness import SuiteRun, run_suite
from proofs.report.receivers import Receiver, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab

KEY = "kEy9-that-nobody-must-see"
ASKS = "daily or weekly or (monthly and not readiness)"
NAMES = (
    "database or growth or headroom or retention or idle or tables or migrations or indexes or queries or query "
    "or usage or users or activity or vacuum or password"
)
"""What asks the database, and little else."""
ONE = "database_has_few_connections"


@pytest.fixture
def door() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


def look(lab: Lab, door: Receiver, history: Path, *more: str, port: int = 0, url: str = "") -> SuiteRun:
    environment = {
        "OPS_ALERTS__URL": url or f"json://127.0.0.1:{door.port}/{KEY}",
        "OPS_ALERTS__HEARTBEAT": f"http://127.0.0.1:{door.port}/{KEY}",
        **({"OPS_DATABASE__PORT": str(port)} if port else {}),
    }
    return run_suite(lab.target_file, "--alert", *more, marker=ASKS, environment=environment, history=history)


def test_a_silent_database_is_one_message_and_its_end_another(lab: Lab, door: Receiver, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    run = look(lab, door, history, "-k", NAMES, port=1)
    waiting = [one for one in run.findings.values() if one.cause == "database"]
    assert len(waiting) > 10, run.explain()
    (sent,) = [one for one in door.posted if "127.0.0.1:1 can't be asked" in one["message"]]
    assert f"and {len(waiting) - 1} more" in sent["title"]
    assert f"{len(waiting) - 1} more wait for the same: " in sent["message"]
    assert "Do: See whether its container runs" in sent["message"]
    lines = [line for line in run.terminal.splitlines() if line.startswith(("BROKEN", "CAN'T TELL"))]
    assert len(door.titles) == len(lines), run.explain()
    assert [path for path, _ in door.got] == [f"/{KEY}/start", f"/{KEY}"]
    assert KEY not in run.terminal + run.html + run.xml
    assert f"JSON has taken {len(lines)} message" in " ".join(run.terminal.split())

    # The same the night after: nothing is said. Then it answers, to a run that looks at one thing alone.
    run = look(lab, door, history, "-k", ONE, port=1)
    assert run.blind == {"database-connections"}, run.explain()
    assert door.titles == []
    run = look(lab, door, history, "-k", ONE)
    assert run.having("holds") == {"database-connections"}, run.explain()
    (title,) = door.titles
    assert " MENDED " in title
    assert f"and {len(waiting) - 1} more" in title


def test_a_route_that_is_down_is_something_a_run_of_workers_cannot_tell(
    lab: Lab, door: Receiver, tmp_path: Path
) -> None:
    history = tmp_path / "history.sqlite"
    door.status = 503
    run = look(lab, door, history, "-n", "2", "-k", f"{ONE} or database_log_is_quiet", port=1)
    assert run.status == 1
    blind = run.blind
    assert blind == {"database-connections"}
    assert "CAN'T TELL alert-route (critical): JSON takes nothing: it answers 503" in " ".join(run.terminal.split())
    assert "alert-route" in run.html
    assert len(door.titles) == 1
    door.status = 200
    run = look(lab, door, history, "-k", f"{ONE} or database_log_is_quiet")
    assert run.status == 0, run.explain()
    # Nothing of it could be told while it was so.
    (title,) = door.titles
    assert f": COULDN'T TELL {min(blind)}" in title

    # That nobody could be told is all that is wrong with this one.
    run = look(lab, door, history, "-k", ONE, "--cannot-tell-status", "10", url="nothing://at-all")
    assert run.having("holds") == {"database-connections"}, run.explain()
    assert run.status == 10, run.explain()
