"""A limit is compared like its value and says where it comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.kinds import Count, Share, Span
from target.limits import Limit, LimitSet
from target.model import FROM_THE_GUIDE, Limits

LIMITS = LimitSet(Limits(), {})


@given(value=st.floats(-1, 2), bound=st.floats(0, 1))
def test_a_limit_is_compared_like_its_value_from_both_sides(value: float, bound: float) -> None:
    limit: Any = Limit("limits.disk_used", Share(bound), "a test")
    assert (value < limit) == (value < bound) == (limit > value)
    assert (value <= limit) == (value <= bound) == (limit >= value)
    assert (value > limit) == (value > bound) == (limit < value)
    assert (value >= limit) == (value >= bound) == (limit <= value)


def test_an_age_is_held_against_a_limit_as_it_reads() -> None:
    assert timedelta(hours=24) <= LIMITS.backup_age
    assert not timedelta(hours=24, seconds=1) <= LIMITS.backup_age


def test_two_limits_are_chained_as_they_read() -> None:
    least, most = LIMITS.backup_size_min, LIMITS.backup_size_max
    assert least <= 5 * 1024**2 <= most
    assert not least <= 5 * 1024**2 - 1 <= most
    assert not least <= 50 * 1024**2 + 1 <= most


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_every_limit_says_its_name_its_value_and_whose_default_it_is(name: str) -> None:
    limit = getattr(LIMITS, name)
    guide = name in FROM_THE_GUIDE
    assert limit.source == f"limits.{name}, {'the guide' if guide else 'this suite'}'s default"
    said = limit.as_dict()
    assert said["name"] == f"limits.{name}"
    assert said["value"] == str(limit.value) != ""
    assert all(type(text) is str for text in said.values()), "they cross process borders"


def test_a_limit_that_was_set_says_where() -> None:
    limits = LimitSet(Limits(disk_used=Share(0.9)), {"limits.disk_used": "target.toml"})
    assert limits.disk_used.source == "limits.disk_used, target.toml"
    assert str(limits.disk_used) == "90 %"


@pytest.mark.parametrize("name", ["disk_usage", "_private", "__len__", "values_"])
def test_a_limit_that_doesnt_exist_is_an_error_and_no_silent_default(name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(LIMITS, name)


def test_the_guides_own_figures_are_the_defaults() -> None:
    assert LIMITS.backup_age.value == Span(hours=24)
    assert (LIMITS.backup_size_min.value, LIMITS.backup_size_max.value) == (5 * 1024**2, 50 * 1024**2)
    assert LIMITS.disk_used.value == Share(0.8)
    assert LIMITS.error_rate.value == Share(0.01)
    assert LIMITS.database_connections.value == Count(20)
    assert LIMITS.backend_errors.value == Count(10)


def test_limits_named_after_the_guide_exist() -> None:
    assert set(Limits.__struct_fields__) >= FROM_THE_GUIDE
