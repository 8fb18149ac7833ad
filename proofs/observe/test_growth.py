"""How long the disks last: the rate is what most days say, and no rate is told from too little."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.errors import CannotTell
from observe.filesystems import FileSystem, Usage
from observe.growth import LOOK_BACK, Growth, growth, slope, trend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=ZoneInfo("Europe/Vienna"))
DAY = timedelta(days=1)
MIB, GIB = 1024.0**2, 1024.0**3
Points = list[tuple[datetime, float]]


def daily(days: int, size: Callable[[int], float]) -> Points:
    """A size for each of the last days, today's the last; it is given the days that have gone by since the first."""
    return [(NOW.astimezone(UTC) - (days - 1 - n) * DAY, size(n)) for n in range(days)]


def disk(free: float, device: str = "/dev/sda1", mount: str = "/") -> FileSystem:
    space = Usage(int(free * 4), int(free * 3), int(free), None)
    return FileSystem("backups", mount, device, mount, space, Usage(0, 0, 0, None))


def seen(
    database: Points,
    backups: Points | None = None,
    free: float = 61 * GIB,
    other: FileSystem | None = None,
) -> Growth:
    sizes = {"database": database, "backups": backups or daily(30, lambda _: GIB)}
    disks = {"database": disk(free), "backups": other or disk(free, "/dev/sdb1", "/srv")}
    return growth(sizes, disks, NOW, history=14 * DAY, floor=int(10 * MIB))


def test_it_is_said_how_much_is_left_and_for_how_long() -> None:
    found = seen(daily(30, lambda n: GIB + n * 12 * MIB))
    assert found.outlooks[0].said == ("the database grows by 12 MiB a day, its disk (/) has 61 GiB left: 14 years")
    assert found.lasts(90 * DAY)
    assert found.looked_at == "30 sizes of the database over 29 d; 30 sizes of the backups over 29 d"
    found.must_know()


def test_the_day_on_which_the_disk_is_full_is_named() -> None:
    found = seen(daily(30, lambda n: 70 * GIB + n * 1.5 * GIB))
    assert found.first.said.endswith("its disk (/) has 61 GiB left: full in 40 days (2027-01-04)")
    assert not found.lasts(90 * DAY)
    assert found.left is not None
    assert found.left.days == 40
    assert found.lasts(40 * DAY)


def test_what_lies_on_one_disk_adds_up_however_df_shows_it() -> None:
    each = daily(30, lambda n: 10 * GIB + n * GIB / 2)
    apart = seen(each, each)
    assert [one.days for one in apart.outlooks] == [pytest.approx(122)] * 2
    together = seen(each, each, other=disk(61 * GIB, mount="/mnt/bound"))
    assert [one.days for one in together.outlooks] == [pytest.approx(61)]
    assert "the database grows by 512 MiB a day and the backups grow by 512 MiB a day, their disk" in together.said


def test_two_file_systems_in_memory_are_two() -> None:
    each = daily(30, lambda n: 10 * GIB + n * GIB / 2)
    sizes = {"database": each, "backups": each}
    disks = {"database": disk(GIB, "tmpfs", "/a"), "backups": disk(2 * GIB, "tmpfs", "/b")}
    found = growth(sizes, disks, NOW, history=14 * DAY, floor=0)
    assert [one.mount for one in found.outlooks] == ["/a", "/b"]
    assert [one.days for one in found.outlooks] == [pytest.approx(2), pytest.approx(4)]


def test_what_shrinks_makes_no_room_for_what_grows() -> None:
    grows, shrinks = daily(30, lambda n: 10 * GIB + n * GIB), daily(30, lambda n: 90 * GIB - n * GIB)
    found = seen(grows, shrinks, other=disk(61 * GIB))
    assert found.first.days == pytest.approx(61)
    assert "the backups shrink by 1 GiB a day" in found.said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (lambda _: 5 * GIB, "the database stays as it is"),
        (lambda n: 5 * GIB - n * MIB, "the database shrinks by 1 MiB a day"),
        (lambda n: 5 * GIB + n * 9.9 * MIB, "the database grows by 9.9 MiB a day"),
    ],
    ids=["steady", "shrinking", "below the floor"],
)
def test_of_little_growth_there_is_no_end_in_sight(size: Callable[[int], float], said: str) -> None:
    found = seen(daily(30, size), free=100 * MIB)
    assert found.outlooks[0].said == f"{said}, its disk (/) has 100 MiB left: no end in sight"
    assert found.lasts(90 * DAY)


def test_growth_at_the_floor_counts() -> None:
    assert not seen(daily(30, lambda n: GIB + n * 10 * MIB), free=100 * MIB).lasts(90 * DAY)


def test_nine_days_of_history_tell_nothing() -> None:
    found = seen(daily(10, lambda n: 70 * GIB + n * 10 * GIB))
    with pytest.raises(CannotTell) as raised:
        found.must_know()
    assert str(raised.value) == "9 days of history of the database (since 2026-11-15, 10 runs), 14 d are needed"
    assert "Each run of this check adds a size" in raised.value.mend
    assert "the growth of the database isn't known yet" in found.said
    assert "for how long isn't known" in found.said


def test_fourteen_days_are_enough_and_two_monthly_runs_are() -> None:
    seen(daily(15, lambda n: GIB + n * MIB)).must_know()
    monthly = [(NOW - 30 * DAY, 10 * GIB), (NOW, 13 * GIB)]
    found = seen(monthly)
    found.must_know()
    assert found.trends[0].rate == pytest.approx(GIB / 10)


def test_a_disk_that_fills_breaks_though_the_other_thing_isnt_known() -> None:
    found = seen(daily(30, lambda n: 70 * GIB + n * 2 * GIB), daily(3, lambda _: GIB))
    assert not found.lasts(90 * DAY)
    with pytest.raises(CannotTell, match="2 days of history of the backups"):
        found.must_know()


def test_without_any_size_nothing_can_be_told() -> None:
    with pytest.raises(CannotTell, match="no size of the database is known"):
        seen([])


def test_an_import_a_cleaning_or_a_wrong_day_doesnt_move_the_rate() -> None:
    straight = daily(60, lambda n: 10 * GIB + n * 20 * MIB)
    stepped = [(at, size + (30 * GIB if n >= 53 else 0)) for n, (at, size) in enumerate(straight)]
    wrong = [(at, 0.0 if n in {5, 30, 59} else size) for n, (at, size) in enumerate(straight)]
    for points in (stepped, wrong):
        assert slope(points) == pytest.approx(20 * MIB, rel=0.2)


def test_what_began_to_grow_lately_grows() -> None:
    late = daily(90, lambda n: 10 * GIB + max(0, n - 75) * GIB)
    assert slope(late) == 0
    assert trend("database", late, NOW, 14 * DAY).rate == pytest.approx(GIB)


def test_a_day_with_many_runs_counts_once() -> None:
    quiet = daily(20, lambda n: GIB + n * MIB)
    busy = [(NOW - timedelta(minutes=n), 100 * GIB) for n in range(1, 300)]
    assert slope([*quiet, *busy]) == pytest.approx(slope(quiet))


def test_neither_the_far_past_nor_what_is_yet_to_come_counts() -> None:
    near = daily(30, lambda n: GIB + n * MIB)
    more = [(NOW - LOOK_BACK - DAY, 0.0), (NOW + DAY, 999 * GIB), *near]
    assert trend("database", more, NOW, 14 * DAY) == trend("database", near, NOW, 14 * DAY)


def test_the_cost_is_bounded() -> None:
    many = [(datetime(2020, 1, 1, tzinfo=UTC) + n * timedelta(hours=6), n * MIB) for n in range(8000)]
    began = time.perf_counter()
    assert slope(many) == pytest.approx(4 * MIB)
    assert time.perf_counter() - began < 1


def test_an_end_beyond_the_calendar_is_an_end_nobody_sees() -> None:
    sizes = {"database": daily(30, lambda n: GIB + n)}
    found = growth(sizes, {"database": disk(61 * GIB)}, NOW, history=14 * DAY, floor=0)
    assert "more than 100 years" in found.said
    assert found.lasts(90 * DAY)


@given(
    st.lists(st.tuples(st.integers(0, 80), st.floats(0, 1e15)), min_size=1, max_size=60, unique_by=lambda one: one[0]),
    st.floats(1, 1e16),
)
def test_whatever_was_measured_there_is_an_answer(points: Sequence[tuple[int, float]], free: float) -> None:
    found = growth(
        {"database": [(NOW - ago * DAY, size) for ago, size in points]},
        {"database": disk(free)},
        NOW,
        history=14 * DAY,
        floor=1,
    )
    assert found.said
    assert found.rows()
    assert found.disks()
    assert found.looked_at


@given(st.floats(-1e9, 1e9), st.integers(15, 60))
def test_a_straight_line_has_its_own_slope(rate: float, days: int) -> None:
    assert slope(daily(days, lambda n: 1e12 + n * rate)) == pytest.approx(rate, abs=1)
