"""How each expectation stands is what a plain reader of all the runs would say, and it is read fast enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.report.samples import result
from report.changes import Standing, changes
from report.chronicle import Chronicle
from report.history_file import HistoryFile
from report.lines import OUTCOMES
from report.page_top import since_of

if TYPE_CHECKING:
    from report.lines import Outcome, Run

BEGAN = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
NIGHTS = st.lists(
    st.dictionaries(st.sampled_from(["disk", "site", "queue"]), st.sampled_from(OUTCOMES), min_size=1), max_size=8
)


def plainly(slug: str, nights: list[dict[str, Outcome]]) -> tuple[Outcome, Outcome | None, datetime, int]:
    """How a slug stands: its outcome, the one before, since when and for how many runs."""
    looks = [(BEGAN + timedelta(days=n), night[slug]) for n, night in enumerate(nights) if slug in night]
    row = len(looks)
    while row and looks[row - 1][1] == looks[-1][1]:
        row -= 1
    return looks[-1][1], looks[-2][1] if len(looks) > 1 else None, looks[row][0], len(looks) - row


@settings(max_examples=40, deadline=None)
@given(NIGHTS)
def test_each_stands_as_a_plain_reader_of_its_own_looks_says(nights: list[dict[str, Outcome]]) -> None:
    with TemporaryDirectory() as directory:
        chronicle = Chronicle(HistoryFile(Path(directory) / "h.sqlite"), "x", timedelta(days=400))
        for number, night in enumerate(nights):
            at = (BEGAN + timedelta(days=number)).isoformat()
            facts = cast("Run", {"token": str(number), "cadence": "daily", "started": at, "ended": at})
            chronicle.record(facts, [result(slug, outcome=outcome) for slug, outcome in night.items()])
        found = {row[0]: row[2:6] for row in chronicle.standings(BEGAN + timedelta(days=99))}
    assert set(found) == {slug for night in nights for slug in night}
    for slug, (outcome, before, since, runs) in found.items():
        assert (outcome, before, datetime.fromtimestamp(since, UTC), runs) == plainly(slug, nights)


def test_what_the_newest_run_did_not_look_at_has_not_changed() -> None:
    gone = Standing("disk", "a", "holds", "broken", BEGAN, 1, "")
    mended = Standing("disk", "b", "holds", "broken", BEGAN, 1, "")
    standings = {("disk", "a"): gone, ("disk", "b"): mended}
    found = changes([result("disk", item="b")], standings)
    assert [(one.words, one.names) for one in found] == [("mended", ["disk[b]"])]


def test_since_when_is_said_in_words() -> None:
    now = BEGAN + timedelta(days=3)
    standing = Standing("disk", "", "broken", "broken", BEGAN, 3, "")
    broken = result("disk", outcome="broken")
    assert since_of(broken, {("disk", ""): standing}, now) == "since Tue 24 Nov 04:00, 3 runs"
    assert since_of(broken, {("disk", ""): standing._replace(runs=1)}, now).endswith(", new")
    assert since_of(result("disk"), {("disk", ""): standing}, now) == "", "the history says something else"
