"""Server errors are counted by status; refusals by a limit and the suite's own requests are none."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observe import error_rate as module
from observe.application_log import records
from observe.container_log import LogLine
from observe.error_log import Limited
from observe.error_rate import BackendRate, ErrorRate, error_rate, from_records
from observe.errors import CannotTell
from observe.log_format import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def access(
    second: float = 0, status: int = 200, target: str = "/", client: str = "1.1.1.1", agent: str = "a"
) -> Access:
    at = AT + timedelta(seconds=second)
    request = f"GET {target} HTTP/2.0"
    return Access(client, at, "GET", target, "HTTP/2.0", status, 0, "", agent, None, request)


def refusal(second: float = 0, target: str = "/", client: str = "1.1.1.1") -> Limited:
    return Limited(client, AT + timedelta(seconds=second), f"GET {target} HTTP/2.0", "auth", 1.0)


def is_own(one: Access) -> bool:
    return one.agent == "ours"


def rate_of(accesses: list[Access], limits: list[Limited] | None = None, limit_status: int = 503) -> ErrorRate:
    return error_rate(accesses, limits or [], own=is_own, limit_status=limit_status)


def test_errors_are_those_from_500_on() -> None:
    rate = rate_of([access(status=status) for status in (0, 200, 301, 404, 429, 499, 500, 502, 503, 504, 599)])
    assert (rate.requests, rate.errors) == (11, 5)
    assert rate.share == 5 / 11
    assert rate.by_status[499] == 1


def test_without_a_request_there_is_no_share() -> None:
    for nothing in ([], [access(agent="ours", status=500)]):
        rate = rate_of(nothing)
        assert rate.requests == 0
        with pytest.raises(CannotTell, match="no request was seen"):
            _ = rate.share


def test_a_refusal_by_a_limit_is_neither_error_nor_request() -> None:
    rate = rate_of([access(status=503), access(), access(status=503, target="/other")], [refusal()])
    assert (rate.requests, rate.errors, rate.refused_by_limit, rate.limits_seen) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    "limits",
    [
        [refusal(target="/other")],
        [refusal(client="2.2.2.2")],
        [refusal(second=2)],
        [refusal(second=-2)],
        [],
    ],
)
def test_a_503_without_its_refusal_is_an_error(limits: list[Limited]) -> None:
    assert rate_of([access(status=503)], limits).errors == 1


def test_each_refusal_is_used_once() -> None:
    rate = rate_of([access(status=503) for _ in range(5)], [refusal(), refusal(second=1)])
    assert (rate.errors, rate.refused_by_limit) == (3, 2)


def test_only_the_status_of_a_limit_is_looked_up() -> None:
    assert rate_of([access(status=502)], [refusal()]).errors == 1
    rate = rate_of([access(status=429), access(status=503)], [refusal(), refusal()], limit_status=429)
    assert (rate.errors, rate.refused_by_limit, rate.requests) == (1, 1, 1)


def test_a_request_longer_than_the_error_log_holds_is_found() -> None:
    long = "/" + "L" * 5000
    cut = refusal(target=long)._replace(request=("GET " + long)[:1900])
    assert rate_of([access(status=503, target=long)], [cut]).refused_by_limit == 1


def test_the_suites_own_requests_are_left_out_and_counted() -> None:
    rate = rate_of([access(agent="ours", status=500), access(agent="ours"), access()])
    assert (rate.requests, rate.errors, rate.own) == (1, 0, 2)


def test_a_refusal_of_our_own_request_is_not_left_for_another() -> None:
    rate = rate_of([access(agent="ours", status=503), access(status=503)], [refusal()])
    assert (rate.own, rate.errors, rate.refused_by_limit) == (1, 1, 0)


def test_the_paths_with_most_errors_are_shown_masked() -> None:
    bad = [access(status=500, target=f"/api/tasks/{number}/?page={number}") for number in range(5)]
    rate = rate_of(
        [*bad, access(status=502, target="/x"), access(status=400, target="/y"), access(status=500, target="")]
    )
    assert rate.by_path == (("/api/tasks/{id}/", 5), ("/x", 1), ("(no request)", 1))
    assert len(rate.examples) == 5


def test_the_time_that_was_covered_is_known() -> None:
    rate = rate_of([access(second=5), access(second=1), access(second=9), access(second=99, agent="ours")])
    assert (rate.first_at, rate.last_at) == (AT + timedelta(seconds=1), AT + timedelta(seconds=9))


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from([200, 500, 503]),
        st.sampled_from(["/a", "/b"]),
        st.sampled_from(["1.1.1.1", "2.2.2.2"]),
        st.sampled_from(["them", "ours"]),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(EVENTS, st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["/a", "/b"])), max_size=20))
def test_every_request_is_counted_once(
    events: list[tuple[int, int, str, str, str]], limits: list[tuple[int, str]]
) -> None:
    accesses = [access(*event) for event in sorted(events)]
    refusals = [refusal(*limit) for limit in sorted(limits)]
    rate = error_rate(iter(accesses), iter(refusals), own=is_own)
    assert rate.requests + rate.own + rate.refused_by_limit == len(accesses)
    assert rate.own == sum(map(is_own, accesses))
    assert rate.limits_seen == len(refusals)
    assert rate.refused_by_limit <= len(refusals)
    assert rate.errors == sum(one.status >= 500 and not is_own(one) for one in accesses) - rate.refused_by_limit
    assert sum(rate.by_status.values()) == rate.requests


@settings(deadline=None)
@given(EVENTS)
def test_with_every_refusal_in_the_error_log_only_true_errors_are_left(
    events: list[tuple[int, int, str, str, str]],
) -> None:
    accesses = [access(*event) for event in sorted(events)]
    refusals = [
        refusal(one.at.timestamp() - AT.timestamp(), one.target, one.client) for one in accesses if one.status == 503
    ]
    rate = rate_of(accesses, refusals)
    assert rate.errors == sum(one.status == 500 and not is_own(one) for one in accesses)


def test_memory_is_bounded_in_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFUSALS_HELD", 500)
    number = 10_000

    def flood() -> Iterator[Access]:
        for i in range(number):
            yield access(second=i, status=503, target=f"/{'x' * 300}{i:06}")

    def refusals() -> Iterator[Limited]:
        for i in range(number):
            yield refusal(second=i, target=f"/{'x' * 300}{i:06}")

    tracemalloc.start()
    try:
        rate = error_rate(flood(), refusals(), own=is_own)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (rate.refused_by_limit, rate.limits_seen, rate.errors) == (number, number, 0)
    assert peak < 3 * 1024 * 1024


def test_made_up_paths_do_not_grow_the_table_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATHS_HELD", 3)
    rate = rate_of([access(status=500, target=f"/{letter}") for letter in "abcdefgh"])
    assert Counter(dict(rate.by_path)) == {"/a": 1, "/b": 1, "/c": 1, "(other paths)": 5}


def test_request_lines_of_the_backend_serve_where_there_is_no_access_log() -> None:
    lines = [
        LogLine(AT, "stdout", '10.0.0.9:40306 - - [23/Nov/2026:09:58:57] "GET /health/ HTTP/1.1" 200 15'),
        LogLine(AT, "stdout", '10.0.0.9:40306 - - [23/Nov/2026:09:58:57] "GET /api/ HTTP/1.1" 500 15'),
        LogLine(AT, "stdout", '10.0.0.9:40306 - - [23/Nov/2026:09:58:57] "WSCONNECTING /ws/" - -'),
        LogLine(AT, "stderr", "[2026-11-23 10:01:48] ERROR a: 500"),
        LogLine(None, "stdout", '10.0.0.9:40306 - - [23/Nov/2026:09:58:57] "GET / HTTP/1.1" 500 15'),
    ]
    requests = sorted(from_records(records(lines)), key=lambda one: one.status)
    assert [(one.client, one.at, one.target, one.status) for one in requests] == [
        ("10.0.0.9", AT, "/health/", 200),
        ("10.0.0.9", AT, "/api/", 500),
    ]
    assert rate_of(requests).share == 0.5
    counter = BackendRate(own=lambda one: one.target == "/health/", since=AT)
    for record in records(lines):
        counter.take(record)
    assert (counter.result().requests, counter.result().errors, counter.result().own) == (1, 1, 1)
    late = BackendRate(own=is_own, since=AT + timedelta(seconds=1))
    for record in records(lines):
        late.take(record)
    assert late.result().requests == 0
