"""What differs only in what varies is one kind; what is new or comes too often is said, and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.application_log import records
from observe.container_log import LogLine
from observe.errors import CannotTell
from observe.log_kinds import (
    LOOKED_BACK,
    MOST_KINDS,
    OTHERS,
    Anomalies,
    Baseline,
    Kind,
    KindCounter,
    KindWindow,
    comparable,
    described,
    held_against,
    window_of,
)
from observe.masking import masked
from observe.own_traffic import OwnTraffic
from report.history import RunTime

WEEK = timedelta(days=7)
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OLD, NEW = Kind("WARNING", "api.mail: slow"), Kind("ERROR", "api.x: never seen")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Not Found: /wp-login.php", "Not Found: /.env?x=1"),
        ("IP 172.18.0.1 rate limited: /api/tasks/", "IP 10.0.0.250 rate limited: /api/token/?a=b"),
        ("IP 2001:db8::1:2 rate limited: /a", "IP fe80:0:0:0:1:2:3:4 rate limited: /b"),
        ("Task 17 created in 0.25 s", "Task 300500 created in 12 s"),
        ("mail to mira@example.org failed", "mail to o.raksoson+x@mail.example.com failed"),
        ("Invalid HTTP_HOST header: 'evil.example'. Add it.", "Invalid HTTP_HOST header: '10.1.1.1:80'. Add it."),
        ("job 1b4e28ba-2fa1-11d2-883f-0016d3cca427 died", "job 6ba7b810-9dad-11d1-80b4-00c04fd430c8 died"),
        ("<Task object at 0x7f2a1c>", "<Task object at 0x55d0ffab>"),
        ("since 2026-11-23 10:01:48,123 nothing", "since 2026-01-02T03:04:05Z nothing"),
        ("hook https://hooks.example.org/7 answered 503", "hook http://x.test/?q=9 answered 500"),
        ("digest d41d8cd98f00b204e9800998ecf8427e differs", "digest 9e107d9d372bb6826bd81d3542a419d6 differs"),
        ("session eyJhbGciOi1JIUzI1NiJ9xyz ended", "session c2Vzc2lvbi0yLXRva2Vu7Q ended"),
    ],
)
def test_what_varies_is_one_kind(one: str, other: str) -> None:
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("API Error: NotFound", "API Error: Throttled"),
        ("disk is full", "disk is failing"),
        ("Connection to redis lost", "Connection to db lost"),
        ("read and/or write failed", "read failed"),
    ],
)
def test_what_says_something_else_is_another(one: str, other: str) -> None:
    assert masked(one) != masked(other)


@given(st.text(max_size=500))
def test_masking_takes_any_text_and_is_bounded(text: str) -> None:
    assert len(masked(text)) <= 300 * len("<address>")


@pytest.mark.parametrize(
    "text", ["/" * 5000, "a:" * 4000, "1." * 4000, "'" * 999, "a@" * 3000, "0-0-" * 999, "-" * 5000]
)
def test_masking_is_quick_whatever_stands_there(text: str) -> None:
    # A pattern that tried again and again would take minutes here, and the proof's own limit would end it.
    assert masked(text) == masked(text)


def counter(*lines: str, since: datetime = NOW, varying: tuple[str, ...] = ()) -> KindCounter:
    counting = KindCounter(since, [re.compile(one) for one in varying])
    for record in records([LogLine(NOW, "stderr", line) for line in lines]):
        counting.take(record)
    return counting.result()


def test_what_is_about_a_path_that_a_run_of_ours_made_up_is_left_out() -> None:
    token = "0123456789abcdef" * 2
    own = OwnTraffic({token: RunTime(token, NOW, NOW)}, frozenset()).in_message
    assert own(f"Not Found: /api/status/operations-check-{token[:12]}")
    assert own(f"Not Found: /no-such-path-{token[:12]}/")
    # A token that nobody knows is somebody else's, and so is one that only begins as ours.
    assert not own("Not Found: /api/status/operations-check-ffffffffffff")
    assert not own(f"Not Found: /{token[:13]}")
    assert not own(f"Not Found: /{token[:11]}")
    counting = KindCounter(NOW, own=own)
    lines = [f"[2026-11-23 10:01:48] WARNING django.request: Not Found: /{name}/" for name in (token[:12], "x", "y")]
    for record in records([LogLine(NOW, "stderr", line) for line in lines]):
        counting.take(record)
    assert sum(counting.counts.values()) == 2


def test_a_kind_has_its_level_and_the_class_of_its_exception() -> None:
    seen = counter(
        "[2026-11-23 10:01:48] ERROR django.request: Internal Server Error: /api/a/",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "RuntimeError: asked to fail by /api/a/",
        "[2026-11-23 10:01:49] ERROR django.request: Internal Server Error: /api/b/",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "KeyError: 'task'",
        "[2026-11-23 10:01:50] WARNING django.request: Not Found: /x",
        "[2026-11-23 10:01:50] INFO api.views: Task 3 created",
    )
    assert set(seen.counts) == {
        Kind("ERROR", "django.request: Internal Server Error: <path> [RuntimeError]"),
        Kind("ERROR", "django.request: Internal Server Error: <path> [KeyError]"),
        Kind("WARNING", "django.request: Not Found: <path>"),
    }
    assert seen.levels == 4


def test_a_bare_traceback_is_a_kind_by_its_exception() -> None:
    seen = counter("Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: 17 is too much")
    assert list(seen.counts) == [Kind("TRACEBACK", "ValueError: <n> is too much")]


def test_the_settings_say_what_else_varies() -> None:
    lines = [f"[2026-11-23 10:01:48] WARNING api.x: slow for user {who}" for who in ("mira", "oskar")]
    assert len(counter(*lines).counts) == 2
    assert list(counter(*lines, varying=(r"user \w+",)).counts) == [Kind("WARNING", "api.x: slow for <varying>")]


def test_what_is_older_than_the_window_does_not_count() -> None:
    assert not counter("[2026-11-23 10:01:48] ERROR api.x: y", since=NOW + timedelta(seconds=1)).counts


def test_memory_is_bounded_whoever_makes_up_messages() -> None:
    letters = "abcdefghijklmnop"
    words = ["".join(letters[int(digit, 16)] for digit in f"{number:x}") for number in range(MOST_KINDS + 500)]
    seen = counter(*(f"[2026-11-23 10:01:48] ERROR api.x: {word}" for word in words))
    assert len(seen.counts) == MOST_KINDS + 1
    assert seen.counts[OTHERS] == 500


def window(
    counts: dict[Kind, int], back: int = 0, covered: timedelta = WEEK, first: datetime | None = None
) -> KindWindow:
    until = NOW - back * WEEK
    at = first or until - timedelta(days=3)
    return KindWindow(until - WEEK, until, covered, counts, dict.fromkeys(counts, at))


def baseline(*past: KindWindow) -> Baseline:
    oldest = past[-1]
    first: dict[Kind, datetime] = {}
    for one in past:
        for kind, at in one.first_at.items():
            first[kind] = min(at, first.get(kind, at))
    return Baseline(oldest.until, frozenset(oldest.counts), first, past)


def remarkable(now: KindWindow, known: Baseline | None, floor: int = 10) -> dict[Kind, str]:
    return {one.kind: one.said for one in held_against(now, {}, known, factor=3.0, floor=floor) if one.said}


def test_a_kind_that_was_never_there_is_new() -> None:
    assert remarkable(window({OLD: 5, NEW: 1}), baseline(window({OLD: 5}, 1))) == {NEW: "new"}


def test_a_kind_of_the_baseline_is_known_though_it_lies_in_this_window_too() -> None:
    made = KindWindow(NOW - WEEK, NOW - timedelta(hours=1), WEEK, {OLD: 5}, {OLD: NOW - timedelta(days=2)})
    assert remarkable(window({OLD: 5}), baseline(made)) == {}


def test_a_new_kind_stays_new_until_its_first_time_is_out_of_the_window() -> None:
    # Looked at every night: yesterday's look saw it first, and it is still no older than the window.
    first = window({OLD: 5}, 3)
    seen = NOW - timedelta(days=1)
    yesterday = KindWindow(NOW - WEEK - timedelta(days=1), seen, WEEK, {OLD: 5, NEW: 1}, {OLD: seen - WEEK, NEW: seen})
    today = KindWindow(NOW - WEEK, NOW, WEEK, {OLD: 5, NEW: 1}, {OLD: NOW - WEEK, NEW: seen})
    assert remarkable(today, baseline(yesterday, first)) == {NEW: "new"}
    later = KindWindow(NOW, NOW + WEEK, WEEK, {OLD: 5, NEW: 1}, {OLD: NOW, NEW: NOW + timedelta(days=1)})
    assert remarkable(later, baseline(yesterday, first)) == {}


@pytest.mark.parametrize(("count", "said"), [(15, ""), (16, "16 times, usually 5")], ids=["three-fold", "more"])
def test_more_than_three_times_the_usual_is_too_often(count: int, said: str) -> None:
    assert remarkable(window({OLD: count}), baseline(window({OLD: 5}, 1))).get(OLD, "") == said


def test_a_few_of_a_known_kind_are_never_too_often() -> None:
    assert remarkable(window({OLD: 9}), baseline(window({OLD: 1}, 1))) == {}
    assert remarkable(window({OLD: 10}), baseline(window({OLD: 1}, 1))) == {OLD: "10 times, usually 1"}


def test_the_usual_is_the_median_of_the_weeks_before() -> None:
    past = baseline(*(window({OLD: count}, back) for back, count in enumerate((4, 400, 5, 6), start=1)))
    assert remarkable(window({OLD: 17}), past) == {OLD: "17 times, usually 5.5"}


def test_counts_are_held_against_each_other_per_time_covered() -> None:
    short = window({OLD: 20}, 1, covered=timedelta(minutes=10))
    assert remarkable(window({OLD: 60}, covered=timedelta(minutes=20)), baseline(short)) == {}
    assert remarkable(window({OLD: 130}, covered=timedelta(minutes=20)), baseline(short)) == {
        OLD: "130 times, usually 40"
    }
    assert "per time" in described(baseline(short), window({OLD: 1}))


def test_the_first_look_finds_nothing_remarkable_and_cannot_tell() -> None:
    kinds = held_against(window({OLD: 500, NEW: 1}), {}, None, factor=3.0, floor=10)
    first = Anomalies(kinds, "500 lines", "")
    assert not first.remarkable
    assert first.said == "2 kinds, and nothing yet to hold them against"
    with pytest.raises(CannotTell, match="first look has made the baseline, of 2 kinds"):
        first.must_compare()


def test_what_is_remarkable_comes_first_and_last_weeks_kinds_are_shown() -> None:
    gone = Kind("ERROR", "api.x: only last week")
    kinds = held_against(window({OLD: 5, NEW: 1}), {}, baseline(window({OLD: 5, gone: 3}, 1)), factor=3.0, floor=10)
    rows = Anomalies(kinds, "x", "y").rows()
    assert [row["what"] for row in rows] == ["new", "known", "known"]
    assert (rows[2]["kind"], rows[2]["this week"], rows[2]["last week"]) == ("api.x: only last week", "0", "3")


@pytest.mark.parametrize(
    ("ends", "chosen"),
    [
        ([7], [7]),
        ([0], [0]),
        ([7, 14, 21, 28, 35], [7, 14, 21, 28]),
        ([1, 2, 3], [3]),
        ([1, 6, 8, 15], [6, 15]),
        ([4, 5], [5]),
    ],
    ids=["last-week", "just-now", "a-month", "nightly-at-first", "irregular", "half-a-week"],
)
def test_earlier_windows_are_chosen_a_week_apart(ends: list[int], chosen: list[int]) -> None:
    windows = [(days, NOW - timedelta(days=days)) for days in ends]
    assert comparable(windows, NOW, WEEK) == chosen
    assert len(comparable(windows, NOW, WEEK)) <= LOOKED_BACK


def test_several_containers_are_one_window() -> None:
    line = "[2026-11-23 10:01:48] WARNING api.mail: slow"
    together = window_of([counter(line, line), counter(line)], NOW - WEEK, NOW, WEEK)
    assert together.counts == Counter({OLD: 3})
    assert together.first_at == {OLD: NOW}
