"""What every fault has to be, without doing any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lab.faults import FAULTS, Fault, FaultDidNotTake, Took, by_name
from lab.faults.logs import _Mark
from lab.faults.proxy import _changed

if TYPE_CHECKING:
    from pathlib import Path


def test_names_are_unique() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_breaks_something_and_says_so(fault: Fault) -> None:
    assert by_name(fault.name) is fault
    assert fault.breaks
    assert not set(fault.breaks) & set(fault.blinds)
    assert fault.description.endswith(".")
    assert all(re.fullmatch(r"[a-z-]+(\[[^\]]+\])?", slug) for slug in (*fault.breaks, *fault.blinds))


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
