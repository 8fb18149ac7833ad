"""What a manager answered, as it was recorded, and what is made of it."""

from __future__ import annotations

import copy
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from observe.engine import Engine
from observe.errors import CannotTell, NoAnswer
from observe.swarm import LostQuorum, Swarm, nodes_of
from observe.swarm_log import bounded
from proofs.swarm.replay import recorded, saying

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_MANAGER = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
    "Please run this command on a manager node or promote the current node to a manager."
)
"""What an engine 20.10 says that is a worker's."""


@contextmanager
def stack(answers: dict[str, Any] | str, history: int = 5) -> Iterator[Swarm]:
    """The stack as the manager described it."""
    said = recorded(answers) if isinstance(answers, str) else answers
    with saying(said, history) as address:
        engine = Engine(address, 10)
        yield Swarm(engine, "shop")
        engine.close()


def then(answers: dict[str, Any]) -> datetime:
    """A second after the newest that the answers tell of."""
    stamps = re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", str(answers["tasks"]["body"]))
    return datetime.fromisoformat(max(stamps)).replace(tzinfo=UTC) + timedelta(seconds=1)


def troubles(situation: str, service: str) -> str:
    with stack(situation) as seen:
        return "; ".join(seen.service(service).troubles(then(recorded(situation))))


def test_a_healthy_stack_has_no_troubles() -> None:
    answers = recorded("healthy")
    with stack(answers) as seen:
        assert seen.services == ("agent", "backend", "db")
        for name, number in {"agent": 3, "backend": 2, "db": 1}.items():
            service = seen.service(name)
            assert (service.wanted.containers, len(service.containers)) == (number, number)
            assert service.troubles(then(answers)) == ()
        assert nodes_of(seen).troubles == ()


def test_a_task_that_ended_is_named_with_its_error() -> None:
    said = troubles("task-lost", "backend")
    assert "1 of 2 tasks running" in said
    assert "is failed for" in said
    assert "task: non-zero exit (137)" in said


def test_a_task_that_no_node_takes_is_named_with_the_reason() -> None:
    said = troubles("constraint-unmet", "db")
    assert "none of 1 task running; db.1 is pending for" in said
    assert "no suitable node (scheduling constraints not satisfied" in said


def test_an_image_that_is_nowhere_is_named() -> None:
    assert "No such image: nobody/has:this" in troubles("image-missing", "db")


def test_the_tasks_that_ended_by_themselves_are_counted_by_slot() -> None:
    answers = recorded("image-missing")
    now = then(answers)
    with stack(answers) as seen:
        found = seen.mishaps("db", now - timedelta(hours=1), now)
    assert len(found.all) == 1
    assert re.search(
        r"^db\.1 ended by itself ([2-9]|\d\d) times \(No such image", found.all[0].said(now).replace('"', "")
    )
    assert found.remembered == timedelta(hours=1), "none of them is forgotten yet"


def test_what_the_swarm_has_forgotten_is_not_claimed() -> None:
    answers = recorded("image-missing")
    now = then(answers)
    with stack(answers, history=1) as seen:
        found = seen.mishaps("db", now - timedelta(hours=1), now)
    assert found.remembered < timedelta(hours=1)


def test_nodes_that_take_nothing_are_named() -> None:
    with stack("node-drained") as seen:
        assert nodes_of(seen).troubles == (
            "node2 is drained: nothing runs there",
            "node3 is paused: nothing new is put there",
        )
        assert seen.service("agent").wanted.containers == 2, "a drained node is to have none"
        assert not seen.service("agent").troubles(then(recorded("node-drained")))


def test_a_dead_manager_is_named_and_so_is_what_ran_there() -> None:
    answers = recorded("manager-unreachable")
    with stack(answers) as seen:
        said = nodes_of(seen).troubles
        assert any(one.startswith("node3 is down") for one in said)
        assert "the manager node3 is unreachable" in said
        assert "node3, which is down" in "; ".join(seen.service("agent").troubles(then(answers)))
        assert "2 of 3 tasks running" in seen.service("agent").troubles(then(answers))[0]


def test_a_log_that_lies_on_a_dead_node_is_not_waited_for() -> None:
    with stack("manager-unreachable") as seen, pytest.raises(CannotTell, match="lies on node3, which does not answer"):
        seen.logged("agent")


def test_a_lost_quorum_is_broken_for_the_nodes_and_blinds_the_rest() -> None:
    with stack("quorum-lost") as seen:
        with pytest.raises(NoAnswer, match="lost its quorum"):
            nodes_of(seen)
        with pytest.raises(LostQuorum):
            seen.service("db")


def test_a_worker_is_said_to_be_none_to_ask() -> None:
    said = {"status": 503, "body": {"message": NO_MANAGER}}
    with stack(dict.fromkeys(("nodes", "services", "tasks", "secrets", "configs"), said)) as seen:
        with pytest.raises(CannotTell, match="no manager of a Swarm") as why:
            nodes_of(seen)
        assert "engine.url" in why.value.mend


def test_secrets_and_configs_have_names_and_ages_and_users() -> None:
    answers = recorded("healthy")
    assert answers["configs"]["body"][0]["Spec"]["Data"], "it was there to be read"
    with stack(answers) as seen:
        rows = nodes_of(seen).kept_rows(then(answers))
        assert [(one["name"], one["kind"], one["given to"]) for one in rows] == [
            ("shop_database_password", "secret", "db"),
            ("shop_settings", "config", "backend"),
        ]
        assert answers["configs"]["body"][0]["Spec"]["Data"] not in repr(vars(seen))


def test_a_service_that_the_settings_leave_out_is_said() -> None:
    with stack("healthy") as seen:
        seen.must_be_named(())
        seen.must_be_named(("agent", "backend", "db"))
        with pytest.raises(CannotTell, match=r"has agent, which services\.names leaves out"):
            seen.must_be_named(("backend", "db"))


def test_a_service_that_is_not_there_is_broken_by_name() -> None:
    with stack("healthy") as seen:
        assert seen.service("mail").troubles(datetime.now(UTC)) == (
            "the stack shop has no service of that name (it has: agent, backend, db)",
        )


def test_an_update_that_starts_the_new_one_first_leaves_the_slot_filled() -> None:
    answers = recorded("healthy")
    old = next(one for one in answers["tasks"]["body"] if one.get("Slot") == 1)
    new = copy.deepcopy(old)
    new["ID"], new["CreatedAt"], new["Status"]["State"] = "new", then(answers).isoformat(), "preparing"
    answers["tasks"]["body"].append(new)
    service = next(one for one in answers["services"]["body"] if one["ID"] == old["ServiceID"])
    with stack(answers) as seen:
        assert seen.service(service["Spec"]["Name"].removeprefix("shop_")).troubles(then(answers)) == ()


def test_a_service_of_which_none_is_wanted_has_no_troubles() -> None:
    answers = recorded("task-lost")
    service = next(one for one in answers["services"]["body"] if one["Spec"]["Name"] == "shop_backend")
    service["Spec"]["Mode"] = {"Replicated": {"Replicas": 0}}
    with stack(answers) as seen:
        assert seen.service("backend").troubles(then(answers)) == ()


def as_a_job(answers: dict[str, Any], state: str) -> dict[str, Any]:
    """The database's service as a job would be described: recorded with another mode and state."""
    changed = copy.deepcopy(answers)
    service = next(one for one in changed["services"]["body"] if one["Spec"]["Name"] == "shop_db")
    service["Spec"]["Mode"] = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    service["JobStatus"] = {"JobIteration": {"Index": 3}}
    for task in changed["tasks"]["body"]:
        if task["ServiceID"] == service["ID"]:
            task["JobIteration"], task["Status"]["State"] = {"Index": 3}, state
            task["DesiredState"] = "complete"
    return changed


@pytest.mark.parametrize(("state", "well"), [("complete", True), ("failed", False)])
def test_a_job_is_well_when_it_has_ended_well(state: str, *, well: bool) -> None:
    answers = as_a_job(recorded("healthy"), state)
    with stack(answers) as seen:
        service = seen.service("db")
        assert service.wanted.job
        assert (not service.troubles(then(answers))) is well


def test_what_was_said_after_the_window_is_left_out() -> None:
    def frame(text: bytes) -> bytes:
        return b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text

    early, late = b"2026-11-27T16:00:00.5Z one\n", b"2026-11-27T16:00:02.5Z two\n"
    until = datetime(2026, 11, 27, 16, 0, 1, tzinfo=UTC)
    assert b"".join(bounded([frame(early) + frame(late)], until, tty=False)) == frame(early)
    assert b"".join(bounded([early[:9], early[9:] + late], until, tty=True)) == early
    with pytest.raises(CannotTell, match="broken in 1 place"):
        list(bounded([b"no frame at all, and long"], until, tty=False))
