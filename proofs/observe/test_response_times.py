"""Percentiles are right at any number, and durations are found where a backend writes them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.application_log import records
from observe.container_log import LogLine
from observe.errors import CannotTell
from observe.nearest_rank import percentile
from observe.response_times import LoggedTimes, response_times

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "p50", "p95", "p99"),
    [([7], 7, 7, 7), ([1, 9], 1, 9, 9), (list(range(1, 21)), 10, 19, 20), (list(range(1, 101)), 50, 95, 99)],
    ids=["one", "two", "twenty", "hundred"],
)
def test_percentiles_are_the_nearest_rank(values: list[int], p50: int, p95: int, p99: int) -> None:
    histogram = Counter(values)
    assert [percentile(histogram, share) for share in (50, 95, 99)] == [p50, p95, p99]


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=300), st.sampled_from([50, 90, 95, 99]))
def test_a_histogram_has_the_percentile_of_its_list(values: list[int], percent: int) -> None:
    rank = ceil(percent * len(values) / 100)
    assert percentile(Counter(values), percent) == sorted(values)[rank - 1]


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile({}, 95) is None
    with pytest.raises(CannotTell, match="no request time is to be had from the access log"):
        response_times({}, "the access log", "0 requests")


def test_the_figures_say_their_source_and_number() -> None:
    seen = response_times(Counter({20: 19, 700: 1}), "nginx's access log", "20 requests", ["a note"])
    assert (seen.p50, seen.p95, seen.slowest) == tuple(timedelta(milliseconds=one) for one in (20, 20, 700))
    assert seen.said == "20 ms (20 requests)"
    assert seen.row()["p99"] == "700 ms"


@pytest.mark.parametrize(
    ("line", "milliseconds"),
    [
        ("[2026-11-23 10:01:48] INFO api.timing: request_time: 0.1234", 124),
        ("[2026-11-23 10:01:48] INFO api.timing: GET /api/tasks/ request_time=35ms", 35),
        ("[2026-11-23 10:01:48] INFO api.timing: request: GET /api/tasks/ 200 in 1.5 s", 1500),
        ('{"level": "info", "message": "done", "duration": 0.25}', 250),
        ("request: GET / took 12 ms", 12),
        ("[2026-11-23 10:01:48] WARNING django.request: Unauthorized: /api/5 s", None),
        ("[2026-11-23 10:01:48] INFO api.timing: request: GET /api/tasks/", None),
        ("[2026-11-23 10:01:48] INFO api.timing: request_time: none", None),
        ('127.0.0.1:40306 - - [23/Nov/2026:09:58:57] "GET /health/ HTTP/1.1" 200 15', None),
    ],
)
def test_durations_are_found_where_a_backend_writes_them(line: str, milliseconds: int | None) -> None:
    times = LoggedTimes(NOW)
    for record in records([LogLine(NOW, "stdout", line)]):
        times.take(record)
    assert times.result() == ({milliseconds: 1} if milliseconds is not None else {})


def test_what_is_older_than_the_window_does_not_count() -> None:
    times = LoggedTimes(NOW)
    for record in records([LogLine(NOW - timedelta(seconds=1), "stdout", "request_time: 9.0")]):
        times.take(record)
    assert not times.result()
