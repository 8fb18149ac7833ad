"""Percentiles by nearest rank: a value that was really seen, never one between two."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def percentile(histogram: Mapping[int, int], percent: int) -> int | None:
    """The smallest value that so many percent of the values don't exceed.

    Args:
        histogram: How often each value was seen.
        percent: 1 to 100.

    Returns:
        The value at rank ⌈percent / 100 x n⌉ of the n values in order; of one value that one. ``None`` for none.

    Raises:
        ValueError: For another percentage.
    """
    if not 1 <= percent <= 100:
        raise ValueError(f"a percentile lies between 1 and 100: {percent}")
    rank = -(-percent * sum(histogram.values()) // 100)
    for value in sorted(histogram):
        rank -= histogram[value]
        if rank <= 0 < histogram[value]:
            return value
    return None


def percentile_of(values: Iterable[int], percent: int) -> int | None:
    """The same of values that are not counted yet."""
    return percentile(Counter(values), percent)
