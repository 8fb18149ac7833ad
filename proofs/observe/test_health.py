"""A health endpoint answers itself, and says that all is well."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observe.health import trouble
from observe.site import Page


def page(body: str = "", status: int = 200, location: str = "") -> Page:
    return Page("/health/", "https://x/health/", status, (("location", location),), body, "HTTP/2", (), 0.1)


def said(body: object, start: Page | None = None) -> str:
    return trouble(page(body if isinstance(body, str) else json.dumps(body)), start)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "ok",
        "OK\n",
        "healthy",
        "OK - 0 errors, no failures",
        "uptime 3 days",
        {"status": "ok"},
        {"status": "healthy", "database": "up", "errors": []},
        {"status": "pass", "errors": None, "error": "", "failures": 0},
        {"status": "ok", "last_error": "connection is down since yesterday"},
        {"status": "ok", "checks": {"db": {"ok": True, "output": "0 failed"}}},
        {"status": "ok", "maintenance": False, "debug": False},
        {"status": 0, "message": "no errors"},
        {"status": "ok", "error": "none"},
        ["ok", {"name": "db", "healthy": True}],
        "true",
        "3",
        {"status": "ok", "failed_jobs": 0, "lastFailure": "2026-01-01 critical"},
        {"status": "ok", "queue": "0 failed"},
    ],
)
def test_a_body_that_says_well_is_well(body: object) -> None:
    assert said(body) == ""


@pytest.mark.parametrize(
    "body",
    [
        "not ok",
        "NOT_OK",
        "database: down",
        "error",
        "Service Unavailable",
        "10 errors",
        {"status": "error"},
        {"status": "unhealthy"},
        {"status": "DOWN"},
        {"status": "fail"},
        {"ok": False},
        {"healthy": False},
        {"healthy": "false"},
        {"ok": 0},
        {"status": "ok", "checks": {"db": "down"}},
        {"status": "ok", "checks": [{"name": "db", "status": "failing"}]},
        {"status": "ok", "details": {"redis": {"status": "DOWN"}}},
        {"elasticsearch": "down"},
        {"realtime": "unreachable"},
        {"error": "database unreachable"},
        {"errors": ["no connection to the database"]},
        {"error": True},
        "false",
        '"unhealthy"',
        {"database": "failed"},
    ],
)
def test_a_body_that_says_ill_is_ill_at_any_depth(body: object) -> None:
    assert said(body).startswith("answers 200, but says ")


def test_the_part_that_is_ill_is_named() -> None:
    assert said({"status": "ok", "checks": {"db": "down"}}) == "answers 200, but says db: down"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_no_answer_of_the_endpoint(status: int) -> None:
    assert trouble(page("ok", status, "https://other/"), None) == f"is a redirect: {status} to https://other/"


@pytest.mark.parametrize("status", [204, 400, 404, 500, 503])
def test_anything_but_200_is_wrong(status: int) -> None:
    assert trouble(page("", status), None) == f"answers {status}"
    assert trouble(page(" database\n down ", status), None) == f"answers {status}: database down"
    assert trouble(page("<html>502 Bad Gateway", status), None) == f"answers {status}"


def test_the_start_page_in_its_place_is_no_health_endpoint() -> None:
    app = "<!doctype html><div id=app></div>"
    assert "there is no health endpoint at this path" in said(app, page(app))
    assert said("ok", page(app)) == ""
    assert said("", page("")) == "", "two empty answers are no single-page application"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)


@given(body=st.text(max_size=300) | JSON.map(json.dumps))
@example(body="[" * 100_000)
@example(body='{"a":' * 5000 + "1" + "}" * 5000)
@example(body="[" * 900 + '"down"' + "]" * 900)
@example(body="9" * 5000)
def test_any_body_is_judged_in_a_few_words(body: str) -> None:
    assert len(said(body)) < 400


@given(body=JSON, key=st.sampled_from(["db", "status", "redis", "checks"]))
def test_whatever_stands_beside_it_a_part_that_is_down_is_ill(body: object, key: str) -> None:
    assert said([body, {"aside": body, key: "down"}]).startswith("answers 200, but says")
