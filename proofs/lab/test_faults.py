"""What every fault has to be, without doing any."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from lab.faults import FAULTS, Fault, FaultDidNotTake, Took, by_name
from lab.faults.fault import Early, with_day
from lab.faults.logs import _Mark
from lab.faults.proxy import _changed

if TYPE_CHECKING:
    from pathlib import Path

# The day after a change of clocks, when a day ago is not 24 hours ago.
NOON = datetime(2026, 3, 30, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
MIDNIGHT = NOON.replace(hour=0)


def test_names_are_unique() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_breaks_something_and_says_so(fault: Fault) -> None:
    assert by_name(fault.name) is fault
    assert fault.breaks or fault.blinds
    assert not set(fault.breaks) & set(fault.blinds)
    assert fault.description.endswith(".")
    early = (*fault.early.breaks, *fault.early.blinds) if fault.early else ()
    for one in (*fault.breaks, *fault.blinds, *early):
        assert re.fullmatch(r"[a-z-]+(\[[^\]]+\])?", one)
        filled = with_day(one, NOON)
        assert not set("{}") & set(filled), f"{one} has a placeholder that nothing fills in"
    for now in (NOON, MIDNIGHT):
        assert not fault.broken(now) & fault.blind(now)


def test_an_id_may_name_a_day_by_how_long_ago_it_is() -> None:
    assert with_day("backups-daily[{1 day ago}]", NOON) == "backups-daily[2026-03-29]"
    assert with_day("backups-daily[{30 days ago}]", NOON) == "backups-daily[2026-02-28]"
    assert with_day("backup-fresh", NOON) == "backup-fresh"


def test_a_fault_may_do_more_in_the_small_hours() -> None:
    fault = Fault("x", ("a",), "It is one.", lambda _: iter(()), ("b",), Early(2, ("c[{1 day ago}]",), ("d",)))
    assert (fault.broken(NOON), fault.blind(NOON)) == ({"a"}, {"b"})
    assert (fault.broken(MIDNIGHT), fault.blind(MIDNIGHT)) == ({"a", "c[2026-03-29]"}, {"b", "d"})


def test_what_changed_nothing_did_not_take() -> None:
    with pytest.raises(FaultDidNotTake, match="it is still: up"):
        Took("up", "up")


def test_an_edit_that_matches_nothing_did_not_take() -> None:
    assert _changed("a b", {"^a": "c"}) == "c b"
    with pytest.raises(FaultDidNotTake, match="matches"):
        _changed("a b", {"^b": "c"})


def test_a_log_is_cut_back_to_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    mark = _Mark.of(log)
    with log.open("a") as writer:
        writer.write("meanwhile\n")
        writer.flush()
        assert mark.restore()
        writer.write("after\n")
    assert log.read_text() == "before\nafter\n"


def test_a_log_that_was_rotated_meanwhile_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    mark = _Mark.of(log)
    log.rename(tmp_path / "log.1")
    log.write_text("new\n")
    assert not mark.restore()
    assert log.read_text() == "new\n"
