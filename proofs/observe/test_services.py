"""A service is up when what is wanted is there, runs and is well; what befell it unasked is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.compose import Wanted
from observe.engine import Container, Event, Health, Settings
from observe.services import Mishap, Service, mishaps

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY_AGO = NOW - timedelta(hours=24)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def container(**changes: Any) -> Container:  # noqa: ANN401  Container's own
    given: dict[str, Any] = {
        "id": "c1",
        "name": "synk_web_1",
        "service": "web",
        "image": "sha256:1",
        "status": "running",
        "exit_code": 0,
        "oom_killed": False,
        "restarts": 0,
        "restart_policy": "unless-stopped",
        "created": ago(90_000),
        "started": ago(90_000),
        "finished": None,
        "health": None,
        "log_driver": "json-file",
        "rotates": True,
        "tty": False,
        "published": {},
        "addresses": (),
        "mounts": {},
        "public": {},
        "secrets": {},
        "settings": Settings("synk_web", {}, {}, {}, (), (), (), {}, {}, {}, (), ()),
    }
    return Container(**given | changes)


def service(*containers: Container, wanted: int = 1, job: bool = False) -> Service:
    return Service(Wanted("web", wanted, job=job, origin="docker-compose.yml"), containers)


def troubles(*containers: Container, wanted: int = 1, job: bool = False) -> tuple[str, ...]:
    return service(*containers, wanted=wanted, job=job).troubles(NOW)


def test_what_is_wanted_and_runs_is_up() -> None:
    healthy = Health("healthy", timedelta(0), "ok")
    seen = service(container(), container(health=healthy), wanted=2)
    assert seen.troubles(NOW) == ()
    assert seen.as_it_is == "2 running: 1 healthy, 1 without a health check"
    assert seen.wanted_in_words == "2 running and healthy"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"status": "exited", "exit_code": 137, "finished": ago(60)},
            "is not running for 60 s: it ended with",
        ),
        ({"status": "exited", "exit_code": 0}, "is not running: it ended with exit code 0"),
        ({"status": "exited", "exit_code": 137, "oom_killed": True}, "exit code 137, killed for want of memory"),
        ({"status": "dead", "exit_code": 1}, "is not running: it ended with exit code 1"),
        ({"status": "paused"}, "is paused"),
        ({"status": "created", "started": None}, "is created"),
        ({"status": "removing"}, "is removing"),
        ({"status": "restarting", "restarts": 6, "exit_code": 7}, "restarts over and over: 6 times, last exit code 7"),
        ({"restarts": 1, "started": ago(3), "exit_code": 7}, "restarts over and over: once, last exit code 7"),
        ({"health": Health("unhealthy", timedelta(0), "no route")}, "is unhealthy: no route"),
        ({"health": Health("unhealthy", timedelta(0), "")}, "is unhealthy"),
        ({"started": ago(91), "health": Health("starting", timedelta(seconds=90), "")}, "is still starting after 91 s"),
    ],
)
def test_what_is_not_up_says_why(changes: dict[str, Any], said: str) -> None:
    (found,) = troubles(container(**changes))
    assert found.startswith("synk_web_1 ")
    assert said in found


@pytest.mark.parametrize(
    "changes",
    [
        {"restarts": 3, "started": ago(11)},
        {"started": ago(90), "health": Health("starting", timedelta(seconds=90), "")},
        {"health": Health("healthy", timedelta(0), "")},
    ],
)
def test_what_came_up_is_up(changes: dict[str, Any]) -> None:
    assert troubles(container(**changes)) == ()


def test_a_container_that_is_gone_is_missed() -> None:
    assert troubles() == ("none of 1 containers there",)
    assert troubles(container(), wanted=2) == ("1 of 2 containers there",)
    assert troubles(container(status="paused"), wanted=2) == ("1 of 2 containers there", "synk_web_1 is paused")


def test_more_than_wanted_is_said_and_no_trouble() -> None:
    seen = service(container(), container())
    assert seen.troubles(NOW) == ()
    assert seen.as_it_is == "2 running: 2 without a health check, 1 more than docker-compose.yml wants"


def test_a_job_that_ended_well_is_as_wanted() -> None:
    seen = service(container(status="exited", restart_policy="no"), job=True)
    assert seen.troubles(NOW) == ()
    assert seen.as_it_is == "1 ended well"
    assert seen.wanted_in_words == "ended well, as the job that it is"
    assert troubles(container(status="exited", exit_code=1), job=True)
    assert troubles(container(), job=True) == (), "it may still be at it"


def test_the_rows_show_every_container() -> None:
    rows = service(
        container(health=Health("healthy", timedelta(0), "")), container(started=None, status="created")
    ).rows(NOW)
    assert [row["since"] for row in rows] == ["25 h", "never started"]
    assert [row["health"] for row in rows] == ["healthy", "-"]


# Mishaps ------------------------------------------------------------------------------------------------------------


def events(*actions: tuple[str, float]) -> list[Event]:
    return [Event("c1", action, ago(seconds)) for action, seconds in actions]


def said(one: Container, *actions: tuple[str, float]) -> list[str]:
    return [mishap.said(NOW) for mishap in mishaps([one], events(*actions), DAY_AGO)]


def test_a_crash_that_the_policy_mended_is_told() -> None:
    assert said(container(), ("die", 3600), ("start", 3599)) == [
        "synk_web_1 was restarted by its policy once, lastly 60 min ago"
    ]


def test_the_engines_counter_tells_what_its_events_have_forgotten() -> None:
    assert said(container(restarts=4, started=ago(7200))) == [
        "synk_web_1 was restarted by its policy 4 times, lastly 2 h ago"
    ]
    assert said(container(restarts=4, started=ago(90_000))) == [], "that was before the window"


def test_the_greater_of_counter_and_events_is_told() -> None:
    crashes = [(action, seconds) for seconds in (9000, 8000, 7000) for action in ("die", "start")]
    assert "3 times" in said(container(restarts=2, started=ago(7000)), *crashes)[0]
    assert "5 times" in said(container(restarts=5, started=ago(7000)), *crashes)[0]


@pytest.mark.parametrize(
    "actions",
    [
        (("kill", 100), ("die", 95), ("stop", 95), ("start", 90)),
        (("kill", 100), ("die", 95), ("start", 90)),
        (("kill", 200), ("die", 100), ("stop", 99), ("start", 50)),
        (("die", 100),),
        (("start", 100),),
        (("die", 90_000), ("start", 89_999)),
        (("die", 100), ("stop", 99), ("start", 50)),
    ],
)
def test_a_stop_or_restart_by_hand_is_no_mishap(actions: tuple[tuple[str, float], ...]) -> None:
    assert said(container(), *actions) == []


def test_a_crash_long_after_a_kill_is_a_mishap() -> None:
    assert said(container(), ("kill", 300), ("die", 200), ("start", 199))


def test_a_job_that_runs_at_every_deployment_was_started_by_somebody() -> None:
    assert said(container(restart_policy="no"), ("die", 100), ("start", 50), ("die", 40)) == []


def test_events_of_other_containers_dont_count() -> None:
    assert mishaps([container(id="other")], events(("die", 100), ("start", 99), ("oom", 50)), DAY_AGO) == ()


def test_running_out_of_memory_is_told_with_how_often_and_when() -> None:
    assert said(container(), ("oom", 7200), ("oom", 3600)) == [
        "synk_web_1 ran out of memory 2 times, lastly 60 min ago"
    ]
    assert said(container(), ("oom", 90_000)) == []


def test_the_mark_of_an_end_for_want_of_memory_is_told_as_of_that_end() -> None:
    marked = {"oom_killed": True, "status": "exited", "exit_code": 137}
    assert "ran out of memory, lastly 60 min ago" in said(container(**marked, finished=ago(3600)))[0]
    assert said(container(**marked, finished=ago(90_000))) == []


def test_the_mark_stays_through_a_start_by_hand_and_grows_old() -> None:
    assert "ran out of memory, lastly 2 h ago" in said(container(oom_killed=True, finished=ago(7200)))[0]
    assert said(container(oom_killed=True, finished=ago(90_000), started=ago(89_000))) == []


def test_a_mark_without_an_end_is_told_without_a_time() -> None:
    assert said(container(oom_killed=True)) == ["synk_web_1 ran out of memory, the engine no longer knows when"]


ACTIONS = st.lists(st.tuples(st.sampled_from(["die", "kill", "oom", "start", "stop"]), st.integers(0, 200_000)))


@given(actions=ACTIONS, restarts=st.integers(0, 3), oom=st.booleans())
def test_whatever_happened_it_is_told_in_the_window_alone(
    actions: list[tuple[str, int]], restarts: int, oom: bool
) -> None:
    ordered = sorted(actions, key=lambda action: -action[1])
    found = mishaps([container(restarts=restarts, oom_killed=oom, finished=ago(90_001))], events(*ordered), DAY_AGO)
    assert all(mishap.at is None or mishap.at >= DAY_AGO for mishap in found)
    assert all(isinstance(mishap, Mishap) for mishap in found)
    assert len(found) <= 2
