"""The denominator of the quarter's access log: how far back it reaches, and what is too little to say anything."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from observe import access_figures
from observe.errors import CannotTell
from proofs.observe.access_logs import DAY, entry, seen, write

if TYPE_CHECKING:
    from pathlib import Path

HOME = "GET / HTTP/1.1"


def test_how_much_of_the_window_is_in_the_log_is_said(tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", *[entry(-n * 86400, HOME, 200) for n in range(32)])
    assert seen(log, least=7 * DAY).looked_at == "32 requests in 1 file, 32 d of 90 d"


def test_too_little_of_it_can_not_be_told(tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", *[entry(-n * 86400, HOME, 200) for n in range(5)])
    with pytest.raises(CannotTell, match=r"only 5 d are in the access log: 5 requests in 1 file, 5 d of 90 d") as why:
        seen(log, least=7 * DAY)
    assert "coverage.access_log (now 7 d)" in why.value.mend
    assert seen(log, sparse=True).all.requests == 5


def test_only_a_log_in_which_little_may_stand_may_be_empty(tmp_path: Path) -> None:
    log = write(tmp_path / "access.log")
    assert seen(log, sparse=True).all.requests == 0
    with pytest.raises(CannotTell, match="no request was seen"):
        seen(log)


def test_the_setting_of_the_time_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write(tmp_path / "access.log", entry(0, HOME, 200))

    def slow(*_: object, **more: object) -> None:
        while not more["stopped"]():  # type: ignore[operator]
            pass

    monkeypatch.setattr(access_figures, "figures", slow)
    with pytest.raises(CannotTell, match="were not read within 50 ms") as why:
        seen(log, seconds=timedelta(milliseconds=50).total_seconds(), limit="timeouts.access_log")
    assert why.value.mend.startswith("Raise timeouts.access_log in the target")
