"""A refusal counts once, whichever places tell of it; and a pattern that can see nothing is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.application_log import records
from observe.container_log import LogLine
from observe.error_log import Limited
from observe.errors import CannotTell
from observe.rate_limits import KNOWN_LINES, LimitLines, ProxyRefusals, RateLimits, never_matched, proxy_refusals
from target.model import Logs

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DEFAULT = [re.compile(one) for one in Logs().rate_limited]
ONE_REFUSAL = (
    "[2026-11-23 10:01:48] WARNING api.security: Rate limit exceeded for ratelimit:ip:172.18.0.1",
    "[2026-11-23 10:01:48] WARNING api.middleware: IP 172.18.0.1 rate limited: /api/tasks/",
    "[2026-11-23 10:01:48] WARNING django.request: Too Many Requests: /api/tasks/",
    '172.18.0.1:40306 - - [23/Nov/2026:10:01:48] "GET /api/tasks/ HTTP/1.1" 429 31',
)


def counted(*lines: str, needs_requests: bool = False) -> LimitLines:
    counter = LimitLines(DEFAULT, NOW, needs_requests)
    for record in records([LogLine(NOW, "stdout", line) for line in lines]):
        counter.take(record)
    return counter.result()


def seen(
    proxy: int | None = None,
    answers: int | None = None,
    lines: LimitLines | None = None,
    status: int = 503,
    **more: Any,  # noqa: ANN401
) -> RateLimits:
    refusals = None if proxy is None else ProxyRefusals(proxy, (), ())
    return RateLimits(refusals, answers, lines, status, "something", **more)


@pytest.mark.parametrize("line", KNOWN_LINES)
def test_the_default_finds_what_backends_are_known_to_write(line: str) -> None:
    assert any(pattern.search(line) for pattern in DEFAULT)


@pytest.mark.parametrize("pattern", DEFAULT, ids=lambda pattern: pattern.pattern)
def test_each_default_pattern_is_good_for_a_known_line(pattern: re.Pattern[str]) -> None:
    assert any(pattern.search(line) for line in KNOWN_LINES)


def test_one_refusal_is_one_however_many_lines_tell_of_it() -> None:
    lines = counted(*ONE_REFUSAL * 3, needs_requests=True)
    assert (lines.lines, lines.answers, max(lines.kinds.values())) == (9, 3, 3)
    assert seen(answers=3, lines=lines).events == 3
    assert seen(lines=lines).events == 3


def test_the_proxys_refusals_come_on_top_of_the_backends() -> None:
    assert seen(proxy=5, answers=3).events == 8


def test_where_the_proxy_answers_429_as_well_its_refusals_are_among_the_answers() -> None:
    assert seen(proxy=5, answers=8, status=429).events == 8
    assert seen(proxy=5, answers=0, lines=counted(*ONE_REFUSAL), status=429).events == 6


@given(st.integers(0, 50), st.integers(0, 50), st.sampled_from([429, 503]))
def test_more_is_never_less(proxy: int, answers: int, status: int) -> None:
    few, more = (seen(proxy=proxy + extra, answers=answers + extra, status=status).events for extra in (0, 1))
    assert few < more


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-23 10:01:48] INFO api.views: Task 3 created",
        "[2026-11-23 10:01:48] WARNING api.views: the accelerated limit is untouched",
        "rate limited: no level, so somebody's print()",
        '10.0.0.1:1 - - [23/Nov/2026:10:01:48] "GET /rate-limited HTTP/1.1" 200 31',
    ],
)
def test_what_only_looks_like_it_does_not_count(line: str) -> None:
    lines = counted(line)
    assert (lines.lines, lines.answers) == (0, 0)


def test_what_is_older_than_the_window_does_not_count() -> None:
    counter = LimitLines(DEFAULT, NOW, needs_requests=True)
    for record in records([LogLine(NOW - timedelta(seconds=1), "stdout", line) for line in ONE_REFUSAL]):
        counter.take(record)
    assert (counter.lines, counter.answers) == (0, 0)


def test_the_proxys_error_log_is_counted_by_zone_and_client_in_bounded_memory() -> None:
    zone = timezone(timedelta(hours=1))
    refused = [
        Limited(f"10.0.{n % 250}.{n % 9}", NOW.astimezone(zone), "GET / HTTP/1.1", f"z{n % 3}", 1.0)
        for n in range(30_000)
    ]
    counted = proxy_refusals(refused)
    assert counted.count == 30_000
    assert counted.zones == (("z0", 10_000), ("z1", 10_000), ("z2", 10_000))
    assert len(counted.clients) == 10


def test_without_any_source_nothing_can_be_told() -> None:
    with pytest.raises(CannotTell, match=r"nothing tells of refused clients: error\.log may not be read"):
        _ = seen(unread=("error.log may not be read",)).events


def test_patterns_that_match_no_known_line_and_never_matched_may_be_blind() -> None:
    patterns = [re.compile("SLOW_DOWN"), re.compile("ZU_SCHNELL")]
    never, blind = never_matched(patterns, ())
    assert blind
    with pytest.raises(CannotTell, match="'SLOW_DOWN', 'ZU_SCHNELL' matches a line"):
        seen(proxy=0, never=never, blind=blind).must_see()


def test_a_pattern_that_matched_once_is_not_blind_for_ever() -> None:
    assert never_matched([re.compile("SLOW_DOWN")], ["SLOW_DOWN"]) == ((), False)
    assert never_matched([re.compile("SLOW_DOWN"), *DEFAULT], ()) == (
        ("SLOW_DOWN", *(one.pattern for one in DEFAULT)),
        False,
    )
    seen(proxy=0, never=("SLOW_DOWN",)).must_see()
