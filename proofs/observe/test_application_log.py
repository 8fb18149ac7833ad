"""Errors are counted by level, each once, whatever stands in their texts.

The tracebacks and request lines are what Django under daphne, uvicorn and
gunicorn was seen to write.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observe.application_log import (
    EXCERPT_LINES,
    EXCERPT_WIDTH,
    ErrorCount,
    Record,
    count_errors,
    records,
)
from observe.container_log import LogLine
from observe.masking import masked

AT = datetime(2026, 11, 23, 10, 1, 48, tzinfo=UTC)
TRACEBACK = """\
Traceback (most recent call last):
  File "/app/views.py", line 11, in boom
    try: {}['a']
         ~~^^^^^
KeyError: 'a'"""
CHAINED = f"""\
{TRACEBACK}

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/views.py", line 12, in boom
    raise RuntimeError('multi\\nline message') from e
RuntimeError: multi
line message"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/app/views.py", line 14, in group
  |     raise ExceptionGroup('eg',[ValueError('a'),TypeError('b')])
  | ExceptionGroup: eg (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: a
    +------------------------------------"""
THREAD = f"Exception in thread Thread-5 (<lambda>):\n{TRACEBACK}"
ERROR = "[2026-11-23 10:01:48] ERROR api.error_handling: API Error: AuthenticationFailed"
INFO = "[2026-11-23 10:01:48] INFO daphne.server: Listening on TCP address 127.0.0.1:8901"
REQUEST = '127.0.0.1:40306 - - [23/Nov/2026:09:58:57] "GET /health/ HTTP/1.1" 200 15'


def read(*parts: str, stream: str = "stderr", apart: float = 0.0) -> list[Record]:
    """Records of the parts' lines, those of different parts `apart` seconds from each other."""
    written = [
        LogLine(AT + timedelta(seconds=apart * number), stream, line)  # type: ignore[arg-type]
        for number, part in enumerate(parts)
        for line in part.split("\n")
    ]
    return list(records(written))


def kinds(*parts: str, apart: float = 0.0) -> list[str]:
    return [record.kind for record in read(*parts, apart=apart)]


def only(line: str) -> Record:
    (record,) = read(line)
    return record


def errors(*parts: str, apart: float = 0.0) -> int:
    return count_errors(read(*parts, apart=apart)).errors


@pytest.mark.parametrize(
    ("line", "level", "logger", "message"),
    [
        (ERROR, "ERROR", "api.error_handling", "API Error: AuthenticationFailed"),
        ("[2026-11-23 10:01:48] FATAL a: x", "CRITICAL", "a", "x"),
        ("[2026-11-23 10:01:48] WARN a: x", "WARNING", "a", "x"),
        ("[2026-11-23 10:01:48] ERROR could not connect: x", "ERROR", "", "could not connect: x"),
        ("[2026-11-23 10:01:48] ERROR", "ERROR", "", ""),
        ("[2026-11-23 10:01:48] ERROR [api.views:33] message", "ERROR", "api.views", "message"),
        (
            "[2026-11-23 15:47:05 +0000] [26857] [ERROR] Worker was sent SIGKILL!",
            "ERROR",
            "",
            "Worker was sent SIGKILL!",
        ),
        ("[2026-11-23 10:01:48,123: ERROR/MainProcess] Task x", "ERROR", "MainProcess", "Task x"),
        ("2026-11-23 10:01:48,123 ERROR logger message", "ERROR", "logger", "message"),
        ("2026-11-23 10:01:48,123 ERROR django.request Not Found", "ERROR", "django.request", "Not Found"),
        (
            "2026-11-23 10:01:48,123 ERROR    Exception inside application: x",
            "ERROR",
            "",
            "Exception inside application: x",
        ),
        ("2026-11-23 10:01:48,123 - a.b - CRITICAL - x y", "CRITICAL", "a.b", "x y"),
        ("2026-11-23T10:01:48.123Z ERROR: x", "ERROR", "", "x"),
        ("2026-11-23 10:01:48.123 | ERROR    | a:f:12 - x", "ERROR", "", "a:f:12 - x"),
        ("2026-11-23 10:01:48 [error    ] it_failed key=1", "ERROR", "it_failed", "key=1"),
        ("ERROR 2026-11-23 10:01:48,123 views 12 34 x", "ERROR", "views", "12 34 x"),
        ("ERROR:root:x", "ERROR", "root", "x"),
        ("ERROR:    Exception in ASGI application", "ERROR", "", "Exception in ASGI application"),
        ("[ERROR] x", "ERROR", "", "x"),
        ('level=error msg="x y" logger=a.b', "ERROR", "a.b", "x y"),
        ('time=2026-11-23T10:01:48Z level=warn msg="level=error"', "WARNING", "", "level=error"),
        ('{"level": "error", "message": "x", "logger": "a"}', "ERROR", "a", "x"),
        ('{"levelname": "ERROR", "msg": "x", "name": "a"}', "ERROR", "a", "x"),
        ('{"severity": "CRITICAL", "event": "x"}', "CRITICAL", "", "x"),
        ('{"level": 50, "msg": "x"}', "ERROR", "", "x"),
        ('{"level": 30, "msg": "error"}', "INFO", "", "error"),
        ("\x1b[31m[2026-11-23 10:01:48] ERROR a: x\x1b[0m", "ERROR", "a", "x"),
    ],
)
def test_a_level_is_read_where_a_format_puts_it(line: str, level: str, logger: str, message: str) -> None:
    record = only(line)
    assert (record.kind, record.level, record.logger, record.message) == ("application", level, logger, message)


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-23 10:01:48] INFO api.error_handling: 0 errors in /api/errors",
        "[2026-11-23 10:01:48] INFO api.views: saw ERROR 17 times",
        "[2026-11-23 10:01:48] WARNING django.request: Not Found: /api/errors",
        "2026-11-23 10:01:48 processing ERROR page",
        "2026-11-23 10:01:48 ERRORS found: 0",
        "ERROR-free since 2026",
        "Error: something",
        "0 errors",
        "level of detail=error",
        'msg="level=error"',
        '{"message": "level", "details": {"level": "error"}}',
        '{"level": "error"',
        '{"level": ["error"]}',
        '{"level": true}',
        '127.0.0.1:40306 - - [23/Nov/2026:09:58:57] "GET /api/errors HTTP/1.1" 500 15',
        "    indented ERROR",
        "",
    ],
)
def test_a_level_word_elsewhere_is_none(line: str) -> None:
    assert errors(line) == 0


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (REQUEST, ("127.0.0.1", "GET", "/health/", 200, 15)),
        (
            '127.0.0.1:49010 - - [23/Nov/2026:15:47:01] "GET /nope?x="q"" 404 179',
            ("127.0.0.1", "GET", '/nope?x="q"', 404, 179),
        ),
        (
            '172.18.0.1:1 - - [23/Nov/2026:09:58:57] "WSCONNECTING /ws/" - -',
            ("172.18.0.1", "WSCONNECTING", "/ws/", None, None),
        ),
        (
            '10.0.0.1 - - [23/Nov/2026:15:47:07 +0000] "GET /ok HTTP/1.1" 200 1 "-" "curl/7.88.1"',
            ("10.0.0.1", "GET", "/ok", 200, 1),
        ),
        (
            'INFO:     127.0.0.1:38110 - "GET /a?x="q" HTTP/1.1" 404 Not Found',
            ("127.0.0.1", "GET", '/a?x="q"', 404, None),
        ),
        ('[23/Nov/2026 10:01:48] "POST / HTTP/1.1" 302 0', ("", "POST", "/", 302, 0)),
        ('[::1]:5000 - - [23/Nov/2026:09:58:57] "GET / HTTP/1.1" 200 -', ("::1", "GET", "/", 200, None)),
    ],
)
def test_a_request_line_is_a_record_with_its_details(line: str, wanted: tuple[object, ...]) -> None:
    record = only(line)
    assert record.kind == "request"
    seen = record.request
    assert seen is not None
    assert (seen.client, seen.method, seen.path, seen.status, seen.size) == wanted


def test_a_request_lines_own_time_is_naive() -> None:
    request = only(REQUEST).request
    assert request is not None
    assert request.at == datetime(2026, 11, 23, 9, 58, 57)  # noqa: DTZ001


@pytest.mark.parametrize("below", [TRACEBACK, CHAINED, GROUP, "  indented\n\n  more", "second line of its message"])
def test_what_continues_an_error_counts_once_with_it(below: str) -> None:
    seen = read(f"{ERROR}\n{below}\n{INFO}")
    assert [record.kind for record in seen] == ["application", "application"]
    assert seen[0].lines_count == 1 + len(below.split("\n"))
    assert count_errors(seen).errors == 1


@pytest.mark.parametrize(
    ("below", "exception"),
    [
        (TRACEBACK, "KeyError: 'a'"),
        (CHAINED, "RuntimeError: multi"),
        (GROUP, "ExceptionGroup: eg (2 sub-exceptions)"),
    ],
)
def test_the_exception_at_the_end_is_known(below: str, exception: str) -> None:
    assert read(f"{ERROR}\n{below}")[0].exception == exception


@pytest.mark.parametrize("above", [REQUEST, "plain print", ""])
@pytest.mark.parametrize("bare", [TRACEBACK, CHAINED, GROUP, THREAD])
def test_a_traceback_that_nothing_announces_is_an_error_of_its_own(above: str, bare: str) -> None:
    seen = read(f"{above}\n{bare}\n{INFO}")
    assert [record.kind for record in seen if record.is_error] == ["traceback"]
    assert errors(f"{above}\n{bare}\n{INFO}") == 1


def test_a_thread_that_dies_after_an_error_is_another_error() -> None:
    seen = read(f"{ERROR}\n{TRACEBACK}\n{THREAD}")
    assert [record.kind for record in seen] == ["application", "traceback"]
    assert seen[1].message == "KeyError: 'a'"


def test_two_tracebacks_that_are_not_chained_are_two_errors() -> None:
    assert kinds(f"{TRACEBACK}\n{TRACEBACK}") == ["traceback", "traceback"]


def test_a_traceback_long_after_the_line_above_is_not_that_lines() -> None:
    assert kinds(INFO, TRACEBACK) == ["application"]
    assert kinds(INFO, TRACEBACK, apart=30) == ["application", "traceback"]
    assert kinds(ERROR, TRACEBACK, apart=30) == ["application", "traceback"]


def test_a_traceback_below_a_lower_level_is_said_but_no_error() -> None:
    counted = count_errors(read(f"{INFO}\n{TRACEBACK}"))
    assert (counted.errors, counted.tracebacks_below_error) == (0, 1)


def test_a_plain_line_is_a_record_of_its_own_below_anything_but_an_error() -> None:
    assert kinds(f"{INFO}\nplain\nplain") == ["application", "other", "other"]
    assert kinds(f"{REQUEST}\nplain") == ["request", "other"]
    assert kinds(f"{ERROR}\n{TRACEBACK}", "printed much later", apart=5) == ["application", "other"]


def test_a_request_line_on_the_other_stream_does_not_tear_a_traceback() -> None:
    below = [LogLine(AT, "stderr", line) for line in f"{ERROR}\n{CHAINED}".split("\n")]
    torn = [line for one in below for line in (one, LogLine(AT, "stdout", REQUEST))]
    counted = count_errors(records(torn))
    assert (counted.errors, counted.requests, counted.lines) == (1, len(below), 2 * len(below))


def test_a_stream_that_begins_within_a_traceback_counts_none() -> None:
    assert errors("\n".join(TRACEBACK.split("\n")[1:])) == 0


def test_json_that_was_cut_is_still_known_by_its_level() -> None:
    line = LogLine(AT, "stdout", '{"level": "error", "message": "xxxx', cut=70000)
    assert count_errors(records([line])).errors == 1


def test_what_clients_did_wrong_is_counted_apart() -> None:
    patterns = [re.compile(r"^api\.error_handling: API Error: AuthenticationFailed"), re.compile("Throttled")]
    shapes = (ERROR, "2026-11-23 10:01:48,123 ERROR api.x Throttled", ERROR.replace("AuthenticationFailed", "boom"))
    counted = count_errors(read(*shapes), client_errors=patterns)
    assert (counted.errors, counted.client_errors) == (1, 2)
    assert {(kind.kind, kind.client_error) for kind in counted.by_kind} == {
        ("api.error_handling: API Error: AuthenticationFailed", True),
        ("api.x: Throttled", True),
        ("api.error_handling: API Error: boom", False),
    }
    assert [record.message for record in counted.examples] == ["API Error: boom"]


def test_the_window_leaves_out_what_is_older() -> None:
    counted = count_errors(read(ERROR, INFO, ERROR, apart=3600), since=AT + timedelta(minutes=30))
    assert (counted.errors, counted.records, counted.before_window) == (1, 2, 1)
    assert (counted.first_at, counted.last_at) == (AT + timedelta(hours=1), AT + timedelta(hours=2))


def test_lines_without_a_time_stamp_count() -> None:
    counted = count_errors(records([LogLine(None, "stdout", ERROR)]), since=AT)
    assert (counted.errors, counted.first_at) == (1, None)


def test_an_empty_log_has_no_records() -> None:
    assert count_errors([]) == ErrorCount(0, 0, (), {}, 0, 0, 0, 0, 0, None, None, ())


def test_kinds_are_those_of_the_masked_texts() -> None:
    texts = [f"[2026-11-23 10:01:48] ERROR a: task {i} of 10.0.0.{i} took {i}.5 s, id 0x{i:x}f" for i in range(200)]
    (kind,) = count_errors(read(*texts)).by_kind
    assert (kind.kind, kind.count) == ("a: task <n> of <address> took <n> s, id <hex>", 200)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('relation "x" does not exist', "relation <text> does not exist"),
        ("user a.b+c@example.org", "user <mail>"),
        ("6f1c2b1e-8d5f-4a3b-9c2d-1e2f3a4b5c6d gone", "<uuid> gone"),
        ("sha 0123abcd4567 at ::1:2:3", "sha <hex> at <address>"),
        ("utf8 stays, 8 does not", "utf8 stays, <n> does not"),
    ],
)
def test_what_varies_is_masked(text: str, kind: str) -> None:
    assert masked(text) == masked(text, paths=False) == kind


def test_made_up_texts_do_not_grow_the_table_without_bound() -> None:
    texts = ["".join("abcdefghij"[int(digit)] for digit in f"{i:05}") for i in range(2500)]
    counted = count_errors(read(*[f"[2026-11-23 10:01:48] ERROR a: {text}" for text in texts]))
    assert counted.errors == 2500
    assert max(counted.by_kind, key=lambda kind: kind.count).kind == "(other kinds)"
    assert len(counted.by_kind) <= 20


def test_what_is_kept_of_a_record_is_bounded() -> None:
    record = read(ERROR + "x" * 50_000 + "\n" + "\n".join("  y" * 5000 for _ in range(500)))[0]
    assert record.lines_count == 501
    assert len(record.excerpt) == EXCERPT_LINES
    assert max(map(len, record.excerpt)) == EXCERPT_WIDTH
    assert len(record.message) <= 1000


FRAGMENT = st.sampled_from(
    [
        *CHAINED.split("\n"),
        *GROUP.split("\n"),
        *THREAD.split("\n"),
        ERROR,
        INFO,
        REQUEST,
        "plain",
        '{"level":',
        "level=error ",
    ]
)
TEXT = st.one_of(FRAGMENT, st.text(max_size=60), st.lists(FRAGMENT, min_size=2, max_size=3).map("".join))
LINE = st.builds(
    LogLine,
    st.none() | st.integers(0, 5).map(lambda seconds: AT + timedelta(seconds=seconds)),
    st.sampled_from(["stdout", "stderr"]),
    TEXT.map(lambda text: text.replace("\n", " ")),
    st.sampled_from([0, 0, 9]),
)


@settings(deadline=None)
@given(st.lists(LINE, max_size=40))
def test_no_line_makes_it_raise_and_none_is_lost(written: list[LogLine]) -> None:
    made = list(records(written))
    leading = sum(
        next((i for i, line in enumerate(stream) if line.text.strip()), len(stream))
        for stream in ([line for line in written if line.stream == name] for name in ("stdout", "stderr"))
    )
    assert sum(record.lines_count for record in made) == len(written) - leading
    counted = count_errors(made, client_errors=[re.compile("Error")])
    assert counted.errors + counted.client_errors == sum(record.is_error for record in made)


@pytest.mark.parametrize(
    "hostile",
    [
        '"' * 60_000,
        "a=" * 30_000,
        'a="' + "\\" * 60_000,
        "[2026-11-23 10:01:48] ERROR " + "a." * 30_000,
        "[2026-11-23 10:01:48] ERROR" + " " * 60_000 + "|",
        "2026-11-23 10:01:48 - " + "a" * 60_000,
        '1.1.1.1 - - [23/Nov/2026:09:58:57] "' + 'x" 200 5 ' * 6000,
        'INFO: 1.1.1.1:1 - "' + '" 200 ' * 10_000 + "9",
        '{"a":' * 12_000,
        '{"level": ' + "9" * 60_000 + "}",
        ":" * 60_000,
        ERROR + "0a" * 30_000,
    ],
    ids=lambda text: text[:12],
)
def test_no_line_takes_long(hostile: str) -> None:
    begin = time.process_time()
    count_errors(records([LogLine(AT, "stdout", hostile)]), client_errors=[re.compile("x")])
    assert time.process_time() - begin < 0.5
