"""A window has exactly the requests of its time, from as little of the files as that takes."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, BinaryIO

from hypothesis import given, settings
from hypothesis import strategies as st

from observe.access_log import read_window
from observe.rotated_log import DISORDER, LocalFiles
from proofs.observe.access_lines import AT, line_at, log_of, numbers, pack, spread, window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path, PurePath

    import pytest


def test_a_log_that_does_not_reach_back_says_so(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(log_of(spread(3, 0, 10)))
    reading = window(tmp_path / "access.log", 8)
    assert len(numbers(reading)) == 10
    assert reading.earliest == AT - timedelta(hours=3)


def test_lines_of_other_shapes_are_counted_and_shown(tmp_path: Path) -> None:
    garbage = b"garbage \xff\x00 one\n" * 5 + b"x" * 5000 + b"\n\n"
    (tmp_path / "access.log").write_bytes(log_of([2, 1]) + garbage + log_of([0]))
    reading = window(tmp_path / "access.log", 8)
    assert len(numbers(reading)) == 3
    assert (reading.lines, reading.unparsed) == (9, 6)
    assert reading.unparsed_examples == ["garbage \\xff\x00 one"] * 3


def disordered(hours: list[float]) -> Iterator[float]:
    """Out of order by as much as workers with buffered logs are."""
    chance = random.Random(len(hours))  # noqa: S311
    for ago in sorted(hours, reverse=True):
        yield max(0.0, ago + chance.uniform(-0.4, 0.4) * DISORDER / timedelta(hours=1))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 24), max_size=300), min_size=1, max_size=4),
    st.floats(0, 100),
    st.floats(0, 100),
    st.sampled_from([timedelta(0), timedelta(hours=5, minutes=30), timedelta(hours=-8)]),
)
def test_a_window_has_the_lines_that_a_plain_search_finds(
    tmp_path_factory: pytest.TempPathFactory,
    days: list[list[float]],
    one: float,
    other: float,
    offset: timedelta,
) -> None:
    directory = tmp_path_factory.mktemp("logs")
    every = []
    numbered = itertools.count()
    for day, hours in reversed(list(enumerate(days))):
        lines = [(AT - timedelta(hours=24 * day + ago), next(numbered)) for ago in disordered(hours)]
        every += lines
        data = b"".join(line_at(at.astimezone(timezone(offset)), number) for at, number in lines)
        name = f"access.log.{day}" if day else "access.log"
        (directory / name).write_bytes(data)
        if day > 1:
            pack(directory / name)
    since, until = sorted((AT - timedelta(hours=one), AT - timedelta(hours=other)))
    found = numbers(read_window(directory / "access.log", since, until))
    wanted = [number for at, number in every if since <= at.replace(microsecond=0) <= until]
    assert found == wanted


def test_a_large_log_is_not_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(log_of(spread(240, 0, 60_000)))
    asked = 0

    class Counting(LocalFiles):
        def open_binary(self, path: PurePath) -> BinaryIO:
            handle = super().open_binary(path)
            read_on = handle.read

            class Counted:
                def read(self, size: int = -1) -> bytes:
                    nonlocal asked
                    data = read_on(size)
                    asked += len(data)
                    return data

                def __getattr__(self, name: str) -> object:
                    return getattr(handle, name)

            return Counted()  # type: ignore[return-value]

    assert len(numbers(window(log, 1, files=Counting()))) == 250
    assert asked < log.stat().st_size / 10
