"""What a security header must say, and what only looks as if it said so."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observe.errors import CannotTell, NoAnswer
from observe.headers import HEADERS, SecurityHeaders, policy, trouble
from observe.site import Page

if TYPE_CHECKING:
    from collections.abc import Callable

YEAR = timedelta(days=365)
INLINE = "allows scripts inline: 'unsafe-inline' in "
RIGHT = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Content-Security-Policy": "default-src 'self'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "geolocation=(), camera=()",
}


def page(*headers: tuple[str, str], status: int = 200) -> Page:
    lower = tuple((name.lower(), value) for name, value in headers)
    return Page("/", "https://x/", status, lower, "", "HTTP/2", (), 0.1)


def said(header: str, *values: str) -> str:
    return trouble(header, page(*((header, value) for value in values)), YEAR)


@pytest.mark.parametrize("header", HEADERS)
def test_a_right_value_sent_once_is_right(header: str) -> None:
    assert said(header, RIGHT[header]) == ""


@pytest.mark.parametrize("header", HEADERS)
def test_an_absent_header_is_absent(header: str) -> None:
    others = [(name, value) for name, value in RIGHT.items() if name != header]
    assert trouble(header, page(*others), YEAR) == "is absent"


@pytest.mark.parametrize("header", HEADERS)
def test_an_empty_header_says_nothing_and_so_is_wrong(header: str) -> None:
    assert said(header, "")
    assert said(header, "  ")


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_is_sent_twice_is_said_with_both_values(header: str) -> None:
    assert said(header, RIGHT[header], RIGHT[header]).startswith("is sent 2 times with the same value: ")
    assert said(header, RIGHT[header], "x").startswith("is sent 2 times with different values: ")


@pytest.mark.parametrize("header", HEADERS)
@given(value=st.text(max_size=100))
@example(value="max-age=" + "9" * 5000)
@example(value=";" * 100)
def test_any_value_is_judged(header: str, value: str) -> None:
    assert len(said(header, value)) < 400


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("filler", [" ", "(", '"', ",", "a=", "a=(", "a=(b ", "'", ";", "max-age=0;", "\\"])
def test_a_long_value_is_judged_in_no_time(header: str, filler: str) -> None:
    began = time.monotonic()
    said(header, "a=(" + filler * (60_000 // len(filler)) + "\x00")
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("max-age=31536000; includeSubDomains; preload", ""),
        ("MAX-AGE=63072000 ;INCLUDESUBDOMAINS", ""),
        ('max-age="31536000"; includeSubDomains', ""),
        ("includeSubDomains; max-age=0031536000", ""),
        ("max-age=31535999; includeSubDomains", "has a max-age of 364.9 d, wanted at least 365 d"),
        ("max-age=0; includeSubDomains", "has a max-age of 0 s"),
        ("max-age=00000000000000000001; includeSubDomains", "has a max-age of 1 s"),
        ("max-age=31536000", "lacks includeSubDomains"),
        ("max-age=31536000; includeSubDomains=false", "lacks includeSubDomains"),
        ("includeSubDomains", "has no max-age that can be read"),
        ("max-age=-1; includeSubDomains", "has no max-age"),
        ("max-age=\N{ARABIC-INDIC DIGIT ONE}; includeSubDomains", "has no max-age"),
        ("max-age=1e9; includeSubDomains", "has no max-age"),
        ("max-age=1; max-age=99999999; includeSubDomains", "has no max-age"),
        ("max-age=31536000, includeSubDomains", "has no max-age"),
    ],
)
def test_https_is_remembered_for_a_year_and_for_subdomains(value: str, wrong: str) -> None:
    assert said("Strict-Transport-Security", value).startswith(wrong)
    assert bool(said("Strict-Transport-Security", value)) == bool(wrong)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("script-src 'self'", ""),
        ("default-src 'none'; style-src 'unsafe-inline'", ""),
        ("SCRIPT-SRC 'SELF'", ""),
        (
            "script-src 'self' 'unsafe-inline'; script-src 'none'",
            INLINE,
        ),
        ("script-src 'none'; script-src 'unsafe-inline'", ""),
        ("default-src 'self' 'unsafe-inline'", "allows scripts inline: 'unsafe-inline' in default-src"),
        ("default-src 'unsafe-inline'; script-src 'self'", ""),
        (
            "default-src 'self'; script-src-elem 'UNSAFE-INLINE'",
            INLINE,
        ),
        (
            "script-src 'self'; script-src-attr 'unsafe-inline'",
            INLINE,
        ),
        ("script-src 'nonce-abc123==' 'unsafe-inline'", ""),
        ("script-src 'strict-dynamic' 'unsafe-inline'", ""),
        ("script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'unsafe-inline'", ""),
        ("script-src 'nonce-' 'unsafe-inline'", INLINE),
        ("script-src 'nonce-abc 'unsafe-inline'", INLINE),
        ("script-src 'sha1-abc' 'unsafe-inline'", INLINE),
        ("script-src 'nonce-{{ nonce }}' 'unsafe-inline'", INLINE),
        ("img-src 'self'", "restricts no scripts"),
        ("script-src-elem 'self'", "restricts no scripts"),
        (";;;", "restricts no scripts"),
        ("upgrade-insecure-requests", "restricts no scripts"),
    ],
)
def test_scripts_are_restricted_and_not_allowed_inline(value: str, wrong: str) -> None:
    assert said("Content-Security-Policy", value).startswith(wrong)
    assert bool(said("Content-Security-Policy", value)) == bool(wrong)


SOURCES = st.sampled_from(["'self'", "https://a.example", "data:", "*", "'none'", "'unsafe-eval'"])
DIRECTIVES = st.tuples(st.sampled_from(["img-src", "style-src", "script-src", "x"]), st.lists(SOURCES, max_size=3))


@given(before=st.lists(DIRECTIVES), after=st.lists(DIRECTIVES), blank=st.sampled_from([" ", "  ", "\t"]))
def test_inline_scripts_are_found_among_any_directives(
    before: list[tuple[str, list[str]]], after: list[tuple[str, list[str]]], blank: str
) -> None:
    directives = [*before, ("script-src-elem", ["'Unsafe-Inline'"]), ("default-src", []), *after]
    value = ";".join(blank.join(["", name, *sources, ""]) for name, sources in directives)
    assert "'unsafe-inline' in script-src-elem" in said("Content-Security-Policy", value)


@given(value=st.text(max_size=80))
def test_a_policy_is_its_directives_the_first_of_each(value: str) -> None:
    directives = policy(f"script-src 'self'; {value}; script-src *")
    assert directives["script-src"] == ["'self'"]
    assert all(name and name == name.lower() for name in directives)


@pytest.mark.parametrize(
    ("frame", "ancestors", "wrong"),
    [
        ("DENY", None, ""),
        (" sameorigin ", None, ""),
        ("ALLOW-FROM https://x", None, "is neither DENY nor SAMEORIGIN: ALLOW-FROM"),
        ("ALLOWALL", None, "is neither DENY nor SAMEORIGIN"),
        ("DENY, DENY", None, "is neither DENY nor SAMEORIGIN"),
        (None, "'none'", ""),
        (None, "", ""),
        (None, "https://partner.example", ""),
        (None, "*", "is undone by frame-ancestors *"),
        (None, "'self' https:", "is undone by frame-ancestors"),
        (None, "https://*", "is undone by frame-ancestors"),
        (None, "*:*", "is undone by frame-ancestors"),
        ("DENY", "*", "is undone by frame-ancestors *"),
        ("DENY", "https://*.partner.example", ""),
        ("", "'none'", "is neither DENY nor SAMEORIGIN: it is empty"),
    ],
)
def test_nobody_frames_the_site(frame: str | None, ancestors: str | None, wrong: str) -> None:
    headers = [] if frame is None else [("X-Frame-Options", frame)]
    if ancestors is not None:
        headers.append(("Content-Security-Policy", f"default-src 'self'; frame-ancestors {ancestors}"))
    found = trouble("X-Frame-Options", page(*headers), YEAR)
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [("nosniff", ""), ("NoSniff ", ""), ("sniff", "is not nosniff: sniff"), ("nosniff, nosniff", "is not nosniff")],
)
def test_types_are_not_guessed(value: str, wrong: str) -> None:
    assert said("X-Content-Type-Options", value).startswith(wrong)
    assert bool(said("X-Content-Type-Options", value)) == bool(wrong)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("no-referrer", ""),
        ("unsafe-url, same-origin", ""),
        ("no-referrer, strict-origin-when-cross-origin, a-future-one", ""),
        ("same-origin, unsafe-url", "gives addresses away: unsafe-url"),
        ("no-referrer-when-downgrade", "gives addresses away"),
        ("never", "is no referrer policy: never"),
        ("no referrer", "is no referrer policy"),
    ],
)
def test_the_last_referrer_policy_that_browsers_know_counts(value: str, wrong: str) -> None:
    assert said("Referrer-Policy", value).startswith(wrong)
    assert bool(said("Referrer-Policy", value)) == bool(wrong)


@pytest.mark.parametrize(
    "value",
    [
        "geolocation=()",
        "geolocation=(), camera=(self), microphone=*",
        'fullscreen=(self "https://a.example"), geolocation=self',
        'a=( self  "https://x,y" );report-to=main,\tb=()',
        "ch-ua-wow64=(), interest-cohort=()",
        "accelerometer=none",
    ],
)
def test_a_permissions_policy_that_browsers_read_is_right(value: str) -> None:
    assert said("Permissions-Policy", value) == ""


@pytest.mark.parametrize(
    "value",
    [
        "geolocation 'none'; camera 'none'",
        "geolocation=('self')",
        "geolocation = ()",
        "geolocation=(), camera",
        "geolocation=(),",
        "geolocation=(),,camera=()",
        "geolocation=(self",
        "geolocation=self https://x",
        "Geolocation=()",
        'geolocation=("https://x)',
        "geolocation=() camera=()",
        "geolocation='none'",
    ],
)
def test_a_permissions_policy_that_browsers_throw_away_is_none(value: str) -> None:
    assert said("Permissions-Policy", value).startswith("can't be read by a browser: ")


FEATURES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
ORIGINS = st.sampled_from(["self", "*", '"https://a.example"', '"https://*.b.example:8443"', "src"])
VALUES = ORIGINS | st.lists(ORIGINS, max_size=3).map(lambda origins: f"({' '.join(origins)})")


@given(members=st.dictionaries(FEATURES, VALUES, min_size=1, max_size=5), comma=st.sampled_from([",", ", ", " ,\t"]))
def test_any_structured_permissions_policy_is_read(members: dict[str, str], comma: str) -> None:
    value = comma.join(f"{name}={origins}" for name, origins in members.items())
    assert said("Permissions-Policy", value) == ""


# Both pages ---------------------------------------------------------------------------------------------------------


def raises(error: Exception) -> Callable[[], Page]:
    def give() -> Page:
        raise error

    return give


ALL = tuple(RIGHT.items())


def test_both_pages_count() -> None:
    nginx_without_always = page(status=404)
    seen = SecurityHeaders(lambda: page(*ALL), lambda: nginx_without_always, YEAR).of("X-Content-Type-Options")
    assert seen.troubles == ("on the error page (/) it is absent",)
    assert [row["page"] for row in seen.rows] == ["the start page (/, 200)", "the error page (/, 404)"]
    seen.must_be_whole()


def test_right_headers_on_one_page_alone_are_not_the_whole_truth() -> None:
    for error in (CannotTell("no error page could be had"), NoAnswer("it was reset")):
        seen = SecurityHeaders(lambda: page(*ALL), raises(error), YEAR).of("Referrer-Policy")
        assert seen.troubles == ()
        assert len(seen.rows) == 1
        with pytest.raises(CannotTell, match=r"no error page|the error page did not come: it was reset"):
            seen.must_be_whole()


def test_a_wrong_start_page_is_wrong_even_if_the_error_page_isnt_seen() -> None:
    seen = SecurityHeaders(page, raises(CannotTell("none")), YEAR).of("Referrer-Policy")
    assert seen.troubles == ("on the start page (/) it is absent",)


def test_no_answer_has_no_headers_to_judge() -> None:
    headers = SecurityHeaders(raises(NoAnswer("connection refused", cause="site")), page, YEAR)
    with pytest.raises(CannotTell, match="no answer whose headers could be read: connection refused") as raised:
        headers.of("Referrer-Policy")
    assert raised.value.cause == "site"
