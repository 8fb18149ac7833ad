"""The terminal says since when something is so, and what has changed since the last run."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from proofs.report.samples import result
from report.earlier import changed, since

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
EARLIER = "before"
YESTERDAY = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


def known(**standings: tuple[str, int, str | None]) -> Any:  # noqa: ANN401  what `report.changes` gives, as data
    """What earlier runs said: for each slug its outcome now, for how many runs, and the outcome before."""
    return SimpleNamespace(
        standings={
            (slug, ""): SimpleNamespace(outcome=outcome, since=YESTERDAY, runs=runs, before=before)
            for slug, (outcome, runs, before) in standings.items()
        },
        told=[SimpleNamespace(slug=slug, item="", token=EARLIER, at=YESTERDAY) for slug in standings],
    )


def test_since_when_something_is_broken() -> None:
    broken = result("disk", outcome="broken")
    assert since(broken, known(disk=("broken", 3, "broken")), NOW) == "since yesterday 04:00, 3 runs"
    assert since(broken, known(disk=("broken", 1, "holds")), NOW) == "new yesterday 04:00"
    assert since(broken, known(disk=("broken", 1, None)), NOW) == "new at its first look"
    assert since(broken, known(disk=("holds", 1, "holds")), NOW) == "", "the history says something else"
    assert since(broken, known(), NOW) == ""


def test_what_has_changed_is_a_sentence() -> None:
    results = [result("disk", outcome="broken"), result("site"), result("quiet")]
    before = known(disk=("broken", 1, "holds"), site=("holds", 1, "broken"), quiet=("holds", 9, "holds"))
    said = changed(results, before, "now", NOW)
    assert said == "Since the run of yesterday 04:00: 1 newly broken (disk), 1 mended (site)."


def test_many_changes_are_counted_and_not_all_named() -> None:
    names = [f"s{n}" for n in range(9)]
    before = known(**dict.fromkeys(names, ("broken", 1, "holds")))
    said = changed([result(name, outcome="broken") for name in names], before, "now", NOW)
    assert said == "Since the run of yesterday 04:00: 9 newly broken (s0, s1, s2 and 6 more)."


def test_no_change_is_said_and_nothing_where_there_was_no_run() -> None:
    assert changed([result("a")], known(a=("holds", 2, "holds")), "now", NOW).endswith(": nothing changed.")
    assert changed([result("a")], known(), "now", NOW) == ""
    assert changed([result("a")], known(a=("holds", 1, None)), "now", NOW) == ""
