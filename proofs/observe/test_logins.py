"""Refused logins are counted in every stretch of time, whoever tries to hide among others."""

from __future__ import annotations

import random
from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from observe import logins
from observe.logins import PATHS, Logins, most_within, refusals

if TYPE_CHECKING:
    import pytest

BEGIN = 1_795_000_000
PATHS_ASKED = ("/api/token/", "/admin/login/")


@given(st.lists(st.integers(0, 2000), max_size=60))
def test_the_most_within_a_stretch_is_what_every_stretch_says(times: list[int]) -> None:
    wanted = max((sum(0 <= other - at < 300 for other in times) for at in times), default=0)
    assert most_within(times, 300)[0] == wanted


def kept(moments: list[tuple[str, int]], span: int = 300) -> Logins:
    found = Logins(span)
    for client, at in moments:
        found.add(client, BEGIN + at, 0)
    return found


def test_pieces_that_are_added_up_are_one() -> None:
    moments = [("10.0.0.9", n) for n in (0, 100, 200, 290, 310, 5000)] + [("10.0.0.1", 7)]
    together = Logins(300)
    for piece in (moments[:3], moments[3:]):
        together.merge(kept(piece).packed(), 0)
    assert together.packed() == kept(moments).packed()
    found = refusals(together.packed(), {}, PATHS_ASKED, 300)["10.0.0.9"]
    assert (found.total, found.most) == (6, 4)
    assert found.begin == datetime.fromtimestamp(BEGIN, UTC)
    assert found.end == found.begin + timedelta(seconds=290)


def test_who_was_let_in_is_said_only_if_that_was_after_the_stretch_had_begun() -> None:
    refused = {"a": array("q", [(BEGIN + n) * PATHS + n % 2 for n in range(20)]).tobytes()}
    for moments, wanted in (((-50,), None), ((-50, 25, 90), 25), ((5,), 5), ((), None)):
        accepted = {"a": array("q", [(BEGIN + n) * PATHS for n in moments]).tobytes()}
        found = refusals(refused, accepted, PATHS_ASKED, 300)["a"]
        assert found.let_in == (None if wanted is None else datetime.fromtimestamp(BEGIN + wanted, UTC))
        assert found.paths == PATHS_ASKED


def test_a_flood_of_addresses_hides_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "MOST_CLIENTS", 100)
    flood = [(f"10.{n >> 8}.0.{n & 255}", n // 10) for n in range(3000)]
    tried = [("192.0.2.66", 100 + n) for n in range(20)]
    moments = flood[:2000] + tried + flood[2000:]
    found = kept(moments)
    assert len(found.packed()) <= 100
    assert len(found.packed()["192.0.2.66"]) == 20 * 8
    assert sum(map(len, found.packed().values())) // 8 + found.others == len(moments)
    random.Random(2).shuffle(moments)  # noqa: S311
    pieces = Logins(300)
    for begin in range(0, len(moments), 1000):
        pieces.merge(kept(moments[begin : begin + 1000]).packed(), 0)
    assert "192.0.2.66" in pieces.packed()


def test_more_than_can_be_kept_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "MOST_LOGINS", 50)
    found = kept([("a", n) for n in range(80)])
    assert (len(found.packed()["a"]) // 8, found.others) == (50, 30)


def test_a_forged_year_is_no_stumbling_block() -> None:
    times = {"a": array("q", [-(10**11) * PATHS, 10**12 * PATHS]).tobytes()}
    assert refusals(times, {}, PATHS_ASKED, 300)["a"].begin == datetime.min.replace(tzinfo=UTC)
