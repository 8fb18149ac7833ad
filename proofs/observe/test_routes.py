"""Requests are grouped by route, whatever is sent as a path, and the slow routes are found."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe import routes
from observe.application_log import records
from observe.container_log import LogLine
from observe.errors import CannotTell
from observe.nearest_rank import percentile_of
from observe.route_times import LoggedRoutes, no_route_times, route_times, together
from observe.routes import MOST_SIBLINGS, WIDTH, Names, RouteTable, route_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observe.log_format import Access

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HALF = timedelta(milliseconds=500)


@pytest.mark.parametrize(
    ("request_line", "route"),
    [
        ("GET / HTTP/1.1", "GET /"),
        ("GET /api/tasks/12/?page=2 HTTP/1.1", "GET /api/tasks/<id>/"),
        ("GET /api/tasks/12 HTTP/2.0", "GET /api/tasks/<id>"),
        ("PATCH /api/v1/users/mira/ HTTP/1.1", "PATCH /api/v1/users/mira/"),
        ("GET /p/550e8400-e29b-41d4-a716-446655440000/x HTTP/1.1", "GET /p/<uuid>/x"),
        ("GET /day/2026-11-24/ HTTP/1.1", "GET /day/<date>/"),
        ("GET /2026/11/how-to-cook-rice-well/ HTTP/1.1", "GET /<id>/<id>/<slug>/"),
        ("GET /blog/release-17/ HTTP/1.1", "GET /blog/<slug>/"),
        ("GET /blog/17-ways/ HTTP/1.1", "GET /blog/17-ways/"),
        ("GET /accounts/password-reset-done/ HTTP/1.1", "GET /accounts/password-reset-done/"),
        ("GET /reset/MQ/5jv-1bd0f5fce0a1f1f9b3f0e1/ HTTP/1.1", "GET /reset/MQ/<token>/"),
        ("GET /t/deadbeef1/ HTTP/1.1", "GET /t/<token>/"),
        ("GET /t/deadbeef/ HTTP/1.1", "GET /t/deadbeef/"),
        ("GET /static/admin/css/base.css HTTP/1.1", "GET /static/*.css"),
        ("GET /static/17/x.JPEG HTTP/1.1", "GET /static/*.jpeg"),
        ("GET /favicon.ico HTTP/1.1", "GET /*.ico"),
        ("GET /robots.txt HTTP/1.1", "GET /robots.txt"),
        ("GET /a%20b/c HTTP/1.1", "GET /<text>/c"),
        ("GET /a b/c HTTP/1.1", "GET /<text>/c"),
        ("GET /x;jsessionid=7/y HTTP/1.1", "GET /x"),
        ("GET /café/\x1b[31m/ HTTP/1.1", "GET /<text>/<text>/"),
        ("GET /<script>/<id>/ HTTP/1.1", "GET /<text>/<id>/"),
        ("GET /" + "a/" * 50 + " HTTP/1.1", "GET /a/a/a/a/a/a/a/<more>"),
        ("GET /" + "a" * 300 + " HTTP/1.1", "GET /<text>"),
        ("GET /x" + "/" + "b" * 300 + ".js HTTP/1.1", "GET /x/<text>"),
        ("OPTIONS * HTTP/1.1", "OPTIONS *"),
        ("GET http://elsewhere/ HTTP/1.1", "GET <text>"),
        ("PROPFIND /x HTTP/1.1", "(other) /x"),
        ("GET /x", "GET /x"),
        ("\x16\x03\x01", "(no request)"),
        ("-", "(no request)"),
        ("", "(no request)"),
    ],
)
def test_what_varies_in_a_path_is_named(request_line: str, route: str) -> None:
    assert route_of(text_of(request_line)) == route


@given(
    st.text(max_size=400) | st.from_regex(r"(GET|POST) (/[a-z0-9%.;<>*?-]{0,70}){0,12}( HTTP/1\.1)?", fullmatch=True)
)
def test_whatever_is_sent_a_route_is_short_and_printable(request_line: str) -> None:
    route = route_of(text_of(request_line))
    assert route.isascii()
    assert route.isprintable()
    assert len(route) <= WIDTH + 60
    if route.startswith(("GET", "POST")):
        assert route_of(route) == route


@given(
    st.lists(st.from_regex(rb"[A-Z]{0,5} ?(/[a-z0-9.<>-]{0,12}){0,9}(/[0-9]{1,300})?/?", fullmatch=True), max_size=9)
)
def test_many_texts_have_the_routes_that_each_of_them_has(texts: list[bytes]) -> None:
    cut = [text[:WIDTH] for text in texts]
    assert Names().of_many(cut) == [route_of(text.decode()) for text in cut]


def test_names_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_NAMES_KEPT", 10)
    names = Names()
    assert {names.of(f"GET /{number}/") for number in range(100)} == {"GET /<id>/"}
    assert len(names._known) <= 10
    assert names.of("GET /1/", found=False) == "GET (not found)"


def table_of(times: Mapping[str, Mapping[int, int]], order: int | None = None) -> RouteTable:
    table = RouteTable()
    every = [(route, ms, number) for route, one in times.items() for ms, number in one.items()]
    if order is not None:
        random.Random(order).shuffle(every)  # noqa: S311
    for route, milliseconds, number in every:
        table.add(route, milliseconds, number)
    return table


def test_rare_names_among_many_at_one_place_are_one_route() -> None:
    times = {f"GET /users/name{number:c}/tasks/": {10 + number: 1} for number in range(97, 97 + MOST_SIBLINGS + 1)}
    times["GET /users/me/tasks/"] = {5: 200}
    times["GET /api/tasks/"] = {7: 1}
    assert table_of(times).folded() == {
        "GET /users/me/tasks/": {5: 200},
        "GET /users/<slug>/tasks/": {10 + number: 1 for number in range(97, 97 + MOST_SIBLINGS + 1)},
        "GET /api/tasks/": {7: 1},
    }


def test_as_many_names_as_a_site_may_have_stay_apart() -> None:
    times = {f"GET /page{number:c}/": {1: 1} for number in range(97, 97 + MOST_SIBLINGS)}
    assert table_of(times).folded() == times


NAMES = st.from_regex(r"GET /[a-c](/[a-j]){0,2}", fullmatch=True)
TIMES = st.dictionaries(NAMES, st.dictionaries(st.integers(0, 60_000), st.integers(1, 9), min_size=1, max_size=5))


@given(TIMES, TIMES, st.integers(0, 1000), st.integers(1, 12))
def test_the_order_of_requests_changes_nothing(
    one: Mapping[str, Mapping[int, int]], other: Mapping[str, Mapping[int, int]], order: int, siblings: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "_LEVELS", (routes._LEVELS[0]._replace(siblings=siblings), *routes._LEVELS[1:]))
        whole = RouteTable()
        for times in (one, other):
            whole.merge(table_of(times, order).result(), 0)
        straight = table_of(one)
        straight.merge(other, 0)
        assert whole.folded() == straight.folded()


@given(
    st.lists(st.tuples(st.from_regex(r"GET(/[a-z]{1,2}){1,10}", fullmatch=True), st.integers(0, 60_000)), max_size=300),
    st.integers(1, 30),
    st.integers(1, 100),
)
def test_above_the_bounds_no_request_is_lost(requests: list[tuple[str, int]], most: int, times: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "MOST_ROUTES", most)
        patch.setattr(routes, "MOST_TIMES", times)
        table = RouteTable()
        for route, milliseconds in requests:
            table.add(route, milliseconds, 1)
            assert table.level == len(routes._LEVELS) - 1 or len(table.result()) <= most
        found = table.result()
        assert sum(sum(one.values()) for one in found.values()) == len(requests)
        if requests:
            # Folded are names; a time is never said to be shorter than it was, and hardly longer.
            slowest = max(milliseconds for _, milliseconds in requests)
            assert slowest <= max(max(one) for one in found.values()) <= slowest * 1.11 + 1


def test_names_without_end_are_counted_quickly_and_in_bounded_memory() -> None:
    table = RouteTable()
    chance = random.Random(3)  # noqa: S311
    for _ in range(50_000):
        table.add(f"GET /{''.join(chance.choices('abcdefgh', k=8))}/{chance.choice('abc')}", chance.randrange(900), 1)
    table.add("GET /api/", 700, 1)
    assert len(table.result()) <= routes.MOST_ROUTES
    assert set(table.folded()) <= {"GET /api/", "GET /<slug>/", *(f"GET /<slug>/{one}" for one in "abc")}


# --- what is judged ---


def test_the_slow_routes_are_named_worst_first() -> None:
    times = {
        "GET /quick": {20: 100, 900: 5},
        "GET /slow": {20: 94, 900: 6},
        "GET /edge": {499: 20, 500: 2},
        "GET /below": {499: 20},
        "GET /rare": {5000: 19},
    }
    seen = route_times(times, "the access log", "all of it", 20, ["a note"])
    assert [route.name for route in seen.slow(HALF)] == ["GET /slow", "GET /edge"]
    assert seen.said(HALF) == "GET /slow 900 ms (100 requests); GET /edge 500 ms (22 requests)"
    assert seen.said(timedelta(seconds=1)) == "the slowest is GET /slow 900 ms (100 requests)"
    assert seen.looked_at == "4 routes, 247 timed requests; all of it"
    assert seen.notes == (
        "a note",
        "1 route with fewer than 20 requests not judged; slowest of them: GET /rare 5 s (19 requests)",
    )
    assert seen.rows()[0] == {
        "route": "GET /slow",
        "requests": "100",
        "p50": "20 ms",
        "p95": "900 ms",
        "slowest": "900 ms",
    }
    assert seen.points()[:2] == [("GET /slow", 900.0), ("GET /edge", 500.0)]


def test_of_many_slow_routes_the_worst_are_named_and_ten_shown() -> None:
    seen = route_times(
        {f"GET /{one}": {1000 + number: 20} for number, one in enumerate("abcdefghijkl")}, "it", "all", 1
    )
    assert seen.said(HALF).endswith("; GET /j 1 s (20 requests) and 9 more")
    assert (len(seen.rows()), len(seen.points()), len(seen.slow(HALF))) == (10, 10, 12)


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=200))
def test_a_routes_percentiles_are_those_of_its_requests(milliseconds: list[int]) -> None:
    table = RouteTable()
    for one in milliseconds:
        table.add("GET /x", one, 1)
    (route,) = route_times(table.folded(), "it", "all", 1).routes
    for share, seen in ((50, route.p50), (95, route.p95), (100, route.slowest)):
        assert seen == timedelta(milliseconds=percentile_of(milliseconds, share) or 0)


def test_what_says_nothing_can_not_be_told() -> None:
    with pytest.raises(CannotTell, match="none of 2 routes has 20 requests"):
        route_times({"GET /": {1: 19}, "GET /x": {1: 3}}, "the access log", "all", 20)
    with pytest.raises(CannotTell, match="no request time") as told:
        route_times({}, "the access log", "all", 20)
    assert "$request_time" in told.value.mend
    assert "logs.access" in no_route_times("logs.access isn't set").mend


# --- the backend's own lines ---


def logged(*lines: str, own: bool = False, at: datetime = NOW) -> Mapping[str, Mapping[int, int]]:
    def ours(access: Access) -> bool:
        return own and access.target.startswith("/health")

    counter = LoggedRoutes(NOW, ours, 503)
    for record in records([LogLine(at, "stdout", line) for line in lines]):
        counter.take(record)
    return together([counter.result(), RouteTable()])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "[2026-11-23 10:01:48] INFO api.timing: GET /api/tasks/12/ request_time=35ms",
            {"GET /api/tasks/<id>/": {35: 1}},
        ),
        ("[2026-11-23 10:01:48] INFO api.timing: request: POST /login 200 in 1.5 s", {"POST /login": {1500: 1}}),
        (
            '{"level": "info", "method": "PUT", "path": "/tasks/7?x=1", "duration": 0.2501}',
            {"PUT /tasks/<id>": {251: 1}},
        ),
        ("path=/tasks/7 request_time: 0.1", {"(other) /tasks/<id>": {100: 1}}),
        ("request_time: 0.1", {}),
        ("[2026-11-23 10:01:48] INFO api.timing: GET /api/tasks/?duration=9", {}),
        ('127.0.0.1:40306 - - [23/Nov/2026:09:58:57] "GET /x?elapsed=9 HTTP/1.1" 200 15', {}),
        ("GET /x?duration=900 took request_time: 0.02", {"GET /x": {20: 1}}),
    ],
)
def test_the_backends_lines_say_route_and_duration(line: str, wanted: Mapping[str, Mapping[int, int]]) -> None:
    assert logged(line) == wanted


def test_own_requests_and_what_is_older_are_left_out() -> None:
    line = "GET /health/ request_time: 0.02"
    assert logged(line) == {"GET /health/": {20: 1}}
    assert logged(line, own=True) == {}
    assert logged(line, at=NOW - timedelta(seconds=1)) == {}
