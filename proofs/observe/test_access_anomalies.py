"""Who is out of line with the rest, among crowds that are made up count by count."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import access_history
from observe.access_anomalies import ClientAnomalies, Seen, client_anomalies
from observe.access_counts import Questions
from observe.access_figures import figures
from observe.clients import ClientCounts
from observe.errors import CannotTell
from proofs.observe.client_crowds import POPULATIONS, UNTIL, VIENNA, Crowd, crowd_of, people

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = int(os.environ.get("PROOFS_CROWDS", "1"))
"""So many quarters of each kind; more take minutes, and are what the table in the module was counted from."""
ELSEWHERE = 90_000
"""Seeds that nothing was chosen by."""
STRANGER = "203.0.113.66"


def judge(crowd: Crowd | Seen, **more: Any) -> ClientAnomalies:  # noqa: ANN401
    seen = crowd.seen() if isinstance(crowd, Crowd) else crowd
    return client_anomalies(seen, **{"deviation": 6.0, "floor": 500, "least": timedelta(days=7), **more})


def questions(found: ClientAnomalies, client: str = STRANGER) -> set[str]:
    assert {one.client for one in found.findings} <= {client}, found.said
    return {one.question for one in found.findings}


def at(day: int, hour: int, month: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=VIENNA)


def small(seed: int = 1, days: int = 90) -> Crowd:
    """A small site's quarter, of another crowd each time."""
    return crowd_of("alike", ELSEWHERE + seed, days=days)


# Clean quarters ------------------------------------------------------------------------------------------------------


MAY = {"large": 0.25, "tiny": 1.0}
"""In such a part of the quarters there may be somebody: an office of which hundreds come at once, a monitor."""


@pytest.mark.parametrize("population", [one for one in POPULATIONS if one not in MAY or SEEDS > 1])
def test_nobody_is_out_of_line_in_a_clean_quarter(population: str) -> None:
    alarms = []
    for seed in range(SEEDS):
        found = judge(crowd_of(population, ELSEWHERE + seed))
        assert found.judged > 30, "else nobody was judged"
        alarms += [found.said] if found.findings else []
    may = ceil(MAY.get(population, 0.05) * SEEDS) if SEEDS > 1 else 0
    assert len(alarms) <= may, alarms


@pytest.mark.parametrize("days", [7, 8, 13, 27, 28])
def test_nor_in_a_shorter_log(days: int) -> None:
    found = judge(small(days=days))
    assert not found.findings
    assert f"in {days} of {days} days" in found.looked_at
    assert any("by hour of the day" in note for note in found.notes) == (days < 28)


def test_nor_in_the_labs_own_quarter_by_another_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(SEEDS):
        monkeypatch.setattr(access_history, "SEED", ELSEWHERE + seed)
        access_history.write(tmp_path, UNTIL, "example.org")
        seen = figures(
            tmp_path / "access.log",
            UNTIL - timedelta(days=90),
            UNTIL,
            questions=Questions(clients=True),
            own=lambda _: False,
        )
        found = judge(Seen(seen.clients, seen.by_hour, 0, seen.since, seen.until, seen.earliest, VIENNA))
        assert not found.findings
        assert found.judged > 200


def test_a_monitor_that_makes_more_than_all_others_together_is_found_until_it_is_named() -> None:
    seen = crowd_of("tiny", ELSEWHERE).seen()
    found = judge(seen)
    assert questions(found, "192.0.2.210") == {"share of the site"}
    assert "usual: less than all others together)" in found.said
    named = judge(seen, known=["192.0.2.0/24"])
    assert not named.findings
    assert any(note.startswith("1 client of logs.known_clients not judged, with 1") for note in named.notes)


# Who is out of line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("population", ["alike", "heavy tailed", "office"])
def test_a_scraper_of_three_days_is_found_beside_any_crowd(population: str) -> None:
    crowd = crowd_of(population, ELSEWHERE)
    for day in (6, 7, 8):
        crowd.add(STRANGER, at(day, 9), 8, 3_600)
    found = judge(crowd)
    assert "burst" in questions(found)
    burst = next(one for one in found.findings if one.question == "burst")
    assert burst.seen == "28,800 requests in 8 h on 2026-10-06 from 09:00"
    assert (burst.at, burst.requests) == (at(6, 9), 86_400)


def test_a_burst_in_one_night_is_found() -> None:
    crowd = small()
    crowd.add(STRANGER, at(7, 3), 1, 2_000)
    found = judge(crowd)
    assert "burst" in questions(found)
    assert "2,000 requests in 1 h on 2026-10-07 from 03:00; usual: " in found.said
    assert found.worst == STRANGER
    assert dict(found.hours())["03:00"] == 0, "hours are those of the window's last day, in which it is winter"
    assert dict(found.hours())["02:00"] == 2_000
    assert 0 < dict(found.hours_of_the_rest())["02:00"] < 2_000


def test_a_burst_is_of_one_day_and_not_of_a_quarter() -> None:
    few, one = small(), small()
    for number in range(8):
        few.add(STRANGER, at(2 + 3 * number, 3), 1, 150)
        one.add(STRANGER, at(7, 0), 8, 150)
    assert not questions(judge(few)) & {"burst"}, "somebody who can't sleep now and then"
    assert "burst" in questions(judge(one))


def test_where_all_come_at_once_nobody_makes_a_burst() -> None:
    crowd = small()
    for number in range(100):
        crowd.add(f"198.51.0.{number}", at(14, 12), 3, 600)
    assert not judge(crowd).findings


def test_who_asks_all_day_for_three_months_makes_too_large_a_share() -> None:
    crowd = small()
    crowd.steadily(STRANGER, 400)
    assert questions(judge(crowd)) == {"share of the site"}


def test_in_a_heavy_tail_the_largest_is_nothing_to_wonder_at() -> None:
    assert not judge(crowd_of("steep", ELSEWHERE + 1)).findings


def test_who_makes_a_small_part_of_all_is_nobodys_problem() -> None:
    crowd = Crowd(Random(5))  # noqa: S311
    people(crowd, [600.0] * 400, crowd.rhythm())
    crowd.steadily(STRANGER, 5)
    found = judge(crowd)
    assert not found.findings, "4.3 % of all, though twenty times as much as anybody else"


def test_who_is_nearly_always_refused_is_found() -> None:
    crowd = small()
    crowd.come(STRANGER, 900, crowd.rhythm(), mix=(0.97, 0.0))
    found = judge(crowd)
    assert questions(found) == {"answered 4xx"}
    assert "requests; usual: " in found.said


def test_who_nearly_always_fails_is_found() -> None:
    crowd = small()
    crowd.come(STRANGER, 900, crowd.rhythm(), mix=(0.0, 0.9))
    assert questions(judge(crowd)) == {"answered 5xx"}


def test_who_is_refused_a_few_hundred_times_is_not() -> None:
    crowd = small()
    crowd.come(STRANGER, 700, crowd.rhythm(), mix=(0.6, 0.0))
    assert not judge(crowd).findings


def test_where_many_are_refused_they_are_another_kind_of_clients() -> None:
    found = judge(crowd_of("scanned", ELSEWHERE))
    assert not found.findings
    assert "answered 4xx: 1" in found.notes[-1]
    assert found.notes[-1].endswith(" clients alike, so they are not out of line")


def test_who_comes_every_night_is_found() -> None:
    crowd = small()
    for hour in crowd.hours:
        if datetime.fromtimestamp(hour * 3600, VIENNA).hour in {2, 3}:
            crowd.add(STRANGER, datetime.fromtimestamp(hour * 3600, UTC), 1, 60)
    found = judge(crowd)
    assert questions(found) == {"time of day"}
    assert "requests in the quiet hours; usual: " in found.said


def test_who_comes_all_day_and_night_prefers_no_time() -> None:
    crowd = small()
    crowd.steadily(STRANGER, 10)
    assert not judge(crowd).findings


def test_who_lives_elsewhere_is_no_news_where_the_night_is_busy_anyway() -> None:
    crowd = crowd_of("heavy tailed", ELSEWHERE)
    crowd.come(STRANGER, 3_000, crowd.rhythm(shift=-8))
    assert not judge(crowd).findings


def test_quiet_hours_are_those_of_the_clients_and_in_the_hosts_zone() -> None:
    assert any(note.startswith("the quiet hours of the day: 2") for note in judge(small()).notes)
    seen = replace(small().seen(), zone=ZoneInfo("Asia/Kolkata"))
    note = next(note for note in judge(seen).notes if "quiet hours" in note)
    assert ":30 to " in note, "an hour of UTC begins half past there"
    everywhere = judge(crowd_of("everywhere", ELSEWHERE))
    assert "no hours of the day are quiet, so nobody's time of day was judged" in everywhere.notes


# Who is judged -------------------------------------------------------------------------------------------------------


def test_the_denominator_says_who_was_judged() -> None:
    found = judge(small())
    judged = [one.requests for one in small().seen().clients.values() if one.requests >= 500]
    assert (
        f"of 301 clients in 90 of 90 days; {len(judged)} clients with at least 500 requests judged" in found.looked_at
    )
    assert (found.judged, found.judged_requests) == (len(judged), sum(judged))
    assert found.said == f"none of {len(judged)} clients out of line"
    assert (found.rows(), found.hours(), found.hours_of_the_rest(), found.worst) == ([], [], [], "")
    assert (found.clients, found.deviation) == (0, 0.0)


def test_who_asked_too_little_is_not_judged() -> None:
    crowd = small()
    crowd.add(STRANGER, at(7, 3), 1, 499)
    assert not judge(crowd).findings
    crowd.add(STRANGER, at(7, 3), 1, 200)
    assert judge(crowd).findings


def test_many_out_of_line_are_counted_and_five_named() -> None:
    crowd = small()
    for number in range(9):
        crowd.add(f"203.0.113.{number}", at(2 + number, 3), 1, 2_000 + number)
    found = judge(crowd)
    assert found.said.startswith("9 of ")
    assert found.said.count(" sd off)") == 5
    assert found.said.endswith(f"; and {len(found.findings) - 5} findings more")
    assert len(found.rows()) == len(found.findings)
    assert list(found.findings) == sorted(found.findings, key=lambda one: -one.deviation)


def test_networks_that_are_known_are_left_out_and_said() -> None:
    crowd = small()
    names = (STRANGER, "2001:db8:1:2::/64", "not an address")
    for number, name in enumerate(names):
        crowd.add(name, at(5 + number, 3), 1, 3_000)
    assert {one.client for one in judge(crowd).findings} == set(names)
    found = judge(crowd, known=["203.0.113.0/24", "2001:db8:1:2::7"])
    assert {one.client for one in found.findings} == {"not an address"}
    assert "2 clients of logs.known_clients not judged, with 6,000 requests" in found.notes
    mapped = judge(crowd, known=["::ffff:203.0.113.0/120", "2001:db8:1:2::7"])
    assert mapped.notes == found.notes, "mapped addresses are those that they stand for"


def test_clients_that_are_not_told_apart_are_said() -> None:
    found = judge(replace(small().seen(), others=1_234))
    assert "1,234 requests of clients beyond those that are told apart" in found.notes


# What can't be told --------------------------------------------------------------------------------------------------


def test_less_than_a_week_cant_be_told() -> None:
    with pytest.raises(CannotTell, match=r"covers 6 d, .* from 7 d on") as told:
        judge(small(days=6))
    assert "logrotate" in told.value.mend


def test_no_request_cant_be_told() -> None:
    seen = small().seen()
    with pytest.raises(CannotTell, match="covers 0 s"):
        judge(replace(seen, clients={}, by_hour={}, earliest=None))


def test_a_handful_of_clients_cant_be_told_unless_one_makes_a_burst() -> None:
    crowd = Crowd(Random(5))  # noqa: S311
    people(crowd, [3_000.0] * 19, crowd.rhythm())
    with pytest.raises(CannotTell, match="of 19 clients it can't be told") as told:
        judge(crowd)
    assert "real_ip_header" in told.value.mend
    crowd.add("198.51.0.3", at(7, 3), 2, 3_000)
    found = judge(crowd)
    assert questions(found, "198.51.0.3") == {"burst"}
    assert "only bursts were judged: of 19 clients it can't be told what is usual" in found.notes


def test_small_clients_are_the_rest_where_there_are_no_others() -> None:
    crowd = Crowd(Random(5))  # noqa: S311
    people(crowd, [100.0] * 300, crowd.rhythm())
    crowd.steadily(STRANGER, 30)
    found = judge(crowd)
    assert (found.judged, questions(found)) == (1, {"share of the site"})


# Whatever is counted -------------------------------------------------------------------------------------------------

COUNTS = st.builds(
    lambda parts, hours, busiest: ClientCounts(sum(parts), tuple(parts), tuple(hours), tuple(busiest)),
    st.lists(st.integers(0, 10**6), min_size=6, max_size=6),
    st.lists(st.integers(0, 10**6), min_size=24, max_size=24),
    st.lists(st.tuples(st.integers(494_000, 499_000), st.integers(1, 10**6)), max_size=8),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(COUNTS, min_size=19, max_size=24), st.dictionaries(st.integers(496_000, 499_000), st.integers(0, 10**7))
)
def test_whatever_is_counted_there_is_an_answer(counts: list[ClientCounts], hours: dict[int, int]) -> None:
    """Counts need not fit together: what is beyond a bound is counted apart."""
    until = datetime.fromtimestamp(498_900 * 3600, VIENNA)
    since = until - timedelta(days=90)
    by_hour = {datetime.fromtimestamp(hour * 3600, UTC): {200: number} for hour, number in hours.items()}
    clients = {f"198.51.100.{number}": one for number, one in enumerate(counts)}
    try:
        found = judge(Seen(clients, by_hour, 0, since, until, since, VIENNA))
    except CannotTell:
        return
    assert found.looked_at
    assert len(found.rows()) == len(found.findings)
    assert all(0 <= one.deviation <= 999 for one in found.findings)
    assert len(found.said) < 2_000
