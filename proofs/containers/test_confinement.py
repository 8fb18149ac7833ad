"""What containers may do is seen from what the engine made them with, and whose they are from what runs."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lab.base_image import BASE
from lab.engine import client
from observe.confinement import Confinement, Rules, confinement
from observe.engine import Container, Engine, Image, Process, Project, Settings
from observe.errors import CannotTell
from proofs.containers.standing import standing
from proofs.observe.test_services import container

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROJECT = f"proofs-confinement-{os.getpid()}"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
YEAR = timedelta(days=366)
LIMITED: dict[str, Any] = {"mem_limit": "32m"}
RUNNING: dict[str, dict[str, Any]] = {
    "root": {"command": ["sleep", "60"], **LIMITED},
    "dropped": {"command": ["setpriv", "--reuid", "33", "--clear-groups", "sleep", "60"], **LIMITED},
    "user": {"command": ["sleep", "60"], "user": "33", **LIMITED},
}
MADE: dict[str, dict[str, Any]] = {
    "privileged": {"privileged": True, **LIMITED},
    "capable": {"cap_add": ["NET_ADMIN", "CAP_SYS_TIME"], **LIMITED},
    "omnipotent": {"cap_add": ["ALL"], **LIMITED},
    "socket": {"volumes": {"/var/run/docker.sock": {"bind": "/engine", "mode": "ro"}}, **LIMITED},
    "whole": {"volumes": {"/": {"bind": "/host", "mode": "ro"}}, **LIMITED},
    "network": {"network_mode": "host", **LIMITED},
    "processes": {"pid_mode": "host", "ipc_mode": "host", "uts_mode": "host", **LIMITED},
    "greedy": {},
    "sealed": {"read_only": True, **LIMITED},
    "open": {"security_opt": ["seccomp=unconfined", "apparmor=unconfined"], **LIMITED},
    "stopped": {**LIMITED},
}


@pytest.fixture(scope="module")
def project(engine: Engine) -> Iterator[Project]:
    made = []
    try:
        with standing(PROJECT, RUNNING) as running:
            # Somebody's command, from outside.
            running["user"].exec_run(["sleep", "60"], user="0", detach=True)
            for service, given in MADE.items():
                labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.service": service}
                made.append(client().containers.create(BASE, ["sleep", "60"], labels=labels, **given))
            yield engine.project(PROJECT)
    finally:
        for one in made:
            one.remove(force=True)


def rules(**said: Any) -> Rules:  # noqa: ANN401  the rules' own
    return Rules(**{"not_root": frozenset(), "image_age": timedelta(days=36_500), **said})


def seen(engine: Engine, project: Project, service: str, **said: Any) -> Confinement:  # noqa: ANN401
    return confinement(
        service,
        project.containers(service),
        rules(**said),
        datetime.now(UTC),
        image=engine.image,
        processes=engine.processes,
    )


def of(
    *containers: Container,
    image: Image | None = None,
    processes: Sequence[Process] | None = None,
    **said: Any,  # noqa: ANN401  the rules' own
) -> Confinement:
    mine = None if processes is None else tuple(processes)
    return confinement("web", containers, rules(**said), NOW, image=lambda _: image, processes=lambda _: mine)


def made_with(**changes: Any) -> Container:  # noqa: ANN401  the container's own
    plain = {"Memory": 2**25, **{name: changes.pop(name) for name in list(changes) if name[0].isupper()}}
    settings = replace(Settings("web", {}, {}, {}, (), (), (), {}, {}, {}, (), ()), plain=plain)
    return container(**{"settings": settings, **changes})


@pytest.mark.parametrize(
    ("service", "trouble", "item"),
    [
        ("privileged", "is privileged", "5.5"),
        ("capable", "capabilities NET_ADMIN, SYS_TIME", "5.4"),
        ("omnipotent", "all capabilities", "5.4"),
        ("socket", "/run/docker.sock of the host", "5.32"),
        ("whole", "has / of the host", "5.32"),
        ("network", "the host's network as it is", "5.10"),
        ("greedy", "has no memory limit", "5.11"),
        ("open", "runs without seccomp and AppArmor", "5.22 and 5.2"),
    ],
)
def test_what_a_container_may_do_is_said_with_the_item(
    engine: Engine, project: Project, service: str, trouble: str, item: str
) -> None:
    (said,) = seen(engine, project, service).troubles
    assert trouble in said
    assert said.endswith(f"(CIS Docker Benchmark 1.8.0, {item})")


def test_each_of_the_hosts_namespaces_is_said(engine: Engine, project: Project) -> None:
    found = seen(engine, project, "processes")
    assert [word in found.said for word in ("processes", "IPC", "UTS")] == [True] * 3
    assert len(found.troubles) == 3


@pytest.mark.parametrize(
    ("service", "allowed"),
    [
        ("privileged", {"privileged": frozenset({"privileged"})}),
        ("capable", {"capabilities": {"capable": ["cap_net_admin", "SYS_TIME"]}}),
        ("omnipotent", {"capabilities": {"omnipotent": ["ALL"]}}),
        ("capable", {"capabilities": {"capable": ["ALL"]}}),
        ("socket", {"engine_socket": frozenset({"socket"})}),
        ("network", {"host_network": frozenset({"network"})}),
        ("greedy", {"unlimited_memory": frozenset({"greedy"})}),
        ("sealed", {"read_only": frozenset({"sealed"})}),
        ("root", {}),
    ],
)
def test_what_the_settings_allow_is_no_trouble(
    engine: Engine, project: Project, service: str, allowed: dict[str, Any]
) -> None:
    found = seen(engine, project, service, **allowed)
    assert found.troubles == ()
    assert found.said == "confined"
    assert "✗" not in str(found.rows())
    found.must_be_told()


def test_one_capability_more_than_allowed_is_named_alone(engine: Engine, project: Project) -> None:
    (said,) = seen(engine, project, "capable", capabilities={"capable": ["SYS_TIME"]}).troubles
    assert "NET_ADMIN" in said
    assert "SYS_TIME" not in said


def test_a_root_file_system_is_writable_where_that_is_forbidden(engine: Engine, project: Project) -> None:
    (said,) = seen(engine, project, "greedy", read_only=frozenset({"greedy"}), unlimited_memory={"greedy"}).troubles
    assert "can write to its root file system" in said


def test_processes_of_root_are_counted_and_named(engine: Engine, project: Project) -> None:
    found = seen(engine, project, "root", not_root=frozenset({"root"}))
    (said,) = found.troubles
    assert "runs 1 of 1 process as root (sleep)" in said
    assert "4.1" in said
    assert found.looked_at.endswith("of 1 process in them")


def test_rights_that_an_entrypoint_gave_up_are_not_there(engine: Engine, project: Project) -> None:
    found = seen(engine, project, "dropped", not_root=frozenset({"dropped"}))
    assert found.troubles == ()
    assert found.rows()[0]["user"] == "1 of user 33"


def test_somebodys_command_from_outside_does_not_count_and_is_said(engine: Engine, project: Project) -> None:
    found = seen(engine, project, "user", not_root=frozenset({"user"}))
    assert found.troubles == ()
    (note,) = found.notes
    assert "1 more of root were started from outside" in note


def test_of_one_that_does_not_run_it_is_not_known_whether_it_stays_root(engine: Engine, project: Project) -> None:
    found = seen(engine, project, "stopped", not_root=frozenset({"stopped"}))
    assert found.troubles == ()
    assert found.looked_at.startswith("1 container of stopped: 11 of 12 points told")
    with pytest.raises(CannotTell, match="it is created and is started as root"):
        found.must_be_told()


def test_one_that_does_not_run_and_starts_as_somebody_else_is_not_roots() -> None:
    for user in ("app", "1000", "1000:0"):
        of(made_with(status="exited", User=user), not_root=frozenset({"web"})).must_be_told()
    for user in ("", "0", "0:0", "root", "root:app", "00", ":33"):
        with pytest.raises(CannotTell):
            of(made_with(status="exited", User=user), not_root=frozenset({"web"})).must_be_told()


def test_one_that_ended_meanwhile_is_judged_by_what_it_starts_as(engine: Engine, project: Project) -> None:
    (stopped,) = project.containers("stopped")
    assert engine.processes(stopped) is None
    of(made_with(User="app"), not_root=frozenset({"web"})).must_be_told()


def test_children_of_the_first_process_count_however_deep() -> None:
    family = [
        Process(10, 1, 33, "tini"),
        Process(11, 10, 33, "sh"),
        Process(12, 11, 0, "cron"),
        Process(20, 2, 0, "sh"),
    ]
    found = of(made_with(pid=10), processes=family, not_root=frozenset({"web"}))
    assert "runs 1 of 3 processes as root (cron)" in found.said
    assert "don't count: sh" in found.notes[0]
    unknown = of(made_with(pid=99), processes=family, not_root=frozenset({"web"}))
    assert "runs 2 of 4 processes" in unknown.said


def test_a_list_of_processes_that_cannot_be_read_blinds_only_who_starts_as_root() -> None:
    def fails(_: Container) -> tuple[Process, ...]:
        raise CannotTell("its columns are PID USER COMMAND")

    look = functools.partial(confinement, "web", image=lambda _: None, processes=fails)
    mine = rules(not_root=frozenset({"web"}))
    look([made_with(User="app")], mine, NOW).must_be_told()
    with pytest.raises(CannotTell, match="its columns are PID USER COMMAND"):
        look([made_with(User="")], mine, NOW).must_be_told()


@pytest.mark.parametrize(
    ("source", "reaches"),
    [
        ("/var/run/docker.sock", True),
        ("/run/docker.sock", True),
        ("/var/run", True),
        ("/run", True),
        ("/", True),
        ("/run/containerd", True),
        ("/run/user/1000/docker.sock", True),
        ("/run/user/1000/podman", True),
        ("/run/user", True),
        ("/srv/elsewhere/docker.sock", True),
        ("/srv/engine/own.sock", True),
        ("/srv/engine", True),
        ("/srv", True),
        ("/var", False),
        ("/var/running", False),
        ("/runs", False),
        ("/run/postgresql", False),
        ("/srv/docker.sock.d", False),
        ("/var/lib/docker/volumes/x/_data", False),
    ],
)
def test_a_mount_reaches_a_socket_that_lies_in_it(source: str, *, reaches: bool) -> None:
    found = of(made_with(mounts={"/in": source}), socket="/srv/engine/own.sock")
    assert bool(found.troubles) is reaches


def test_an_image_is_as_old_as_it_says() -> None:
    old = Image("sha256:1", ("web:1",), NOW - YEAR)
    assert "runs an image that is 366 d old (web:1)" in of(made_with(), image=old, image_age=timedelta(days=365)).said
    assert of(made_with(), image=old, image_age=YEAR).troubles == ()
    assert of(made_with(), image=Image("sha256:1", (), NOW + YEAR), image_age=timedelta(0)).troubles == ()


@pytest.mark.parametrize(
    "image",
    [
        None,
        Image("i", (), None),
        Image("i", (), datetime.fromtimestamp(0, UTC)),
        Image("i", (), datetime(1980, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_an_image_without_a_date_is_said_and_blinds_nothing(image: Image | None) -> None:
    found = of(made_with(), image=image, image_age=YEAR)
    assert found.said == "confined"
    assert found.looked_at == "1 container of web: 11 of 12 points told"
    assert "image" in found.notes[0]
    found.must_be_told()


def test_what_is_the_same_of_several_is_said_once() -> None:
    found = of(made_with(name="web_1", Privileged=True), made_with(name="web_2", Privileged=True))
    assert len(found.troubles) == 1
    assert found.said.startswith("web_1, web_2 is privileged")


def test_nothing_is_said_to_be_nothing() -> None:
    assert of().said == "there are none"
    assert of().looked_at == "0 containers of web: 0 of 0 points told"
