"""A percentile is a value that was seen, by nearest rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.nearest_rank import percentile, percentile_of


@pytest.mark.parametrize(
    ("values", "percent", "wanted"),
    [
        ([7], 50, 7),
        ([7], 99, 7),
        ([1, 2], 50, 1),
        ([1, 2], 51, 2),
        ([2, 1], 95, 2),
        (range(1, 21), 95, 19),
        (range(1, 21), 96, 20),
        (range(1, 21), 50, 10),
        (range(1, 21), 99, 20),
        (range(1, 101), 99, 99),
        (range(1, 101), 100, 100),
        ([0, 0, 0, 900], 75, 0),
        ([], 50, None),
    ],
)
def test_the_value_at_the_rank_is_taken(values: list[int], percent: int, wanted: int | None) -> None:
    assert percentile_of(values, percent) == wanted


@pytest.mark.parametrize("percent", [0, 101, -5])
def test_there_is_no_such_percentile(percent: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 100"):
        percentile({1: 1}, percent)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(1, 100))
def test_it_is_the_smallest_value_that_enough_others_do_not_exceed(values: list[int], percent: int) -> None:
    found = percentile_of(values, percent)
    assert found is not None
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)
