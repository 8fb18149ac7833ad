"""The engine: the real one of this machine, and sockets that behave as an engine should not."""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import observe.engine
from lab.base_image import BASE, ensure_base
from observe.engine import Container, Engine, Project, _described, _environment, _event, fingerprint, time_of_engine
from observe.errors import CannotTell
from observe.services import mishaps
from proofs.observe.servers import Loopback, dripping, silent
from proofs.relay import Relay
from proofs.users import nobody
from target.kinds import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = f"unitproof{os.getpid()}"
PASSWORD = "pw-in-the-environment-5821"  # noqa: S105  of a container of ours
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
QUICK = {"interval": 50_000_000, "timeout": 10**9, "retries": 1, "start_period": 0}
STACK: dict[str, dict[str, Any]] = {
    "up": {"command": SLEEP, "environment": {"POSTGRES_PASSWORD": PASSWORD, "POSTGRES_USER": "chief", "PLAIN": "x"}},
    "up/2": {"command": SLEEP},
    "up/10": {"command": SLEEP},
    "paused": {"command": SLEEP},
    "exited": {"command": ["sh", "-c", "echo said; echo complained >&2; exit 3"]},
    "loop": {"command": ["sh", "-c", "exit 7"], "restart_policy": {"Name": "always"}},
    "ill": {"command": SLEEP, "healthcheck": {"test": ["CMD-SHELL", "echo no route; exit 1"], **QUICK}},
    "well": {"command": SLEEP, "healthcheck": {"test": ["CMD-SHELL", "echo fine"], **QUICK}},
    "created": {"command": SLEEP},
    "mute": {"command": ["echo", "unheard"], "log_config": {"Type": "none"}},
}


def labels(service: str, number: str, *, one_off: bool = False) -> dict[str, str]:
    return {
        "com.docker.compose.project": NAME,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": number,
        "com.docker.compose.oneoff": str(one_off),
    }


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secret, "_known", set())


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    import docker

    client = docker.from_env(timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="module")
def stack(client: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  the SDK has no types
    """Containers in every condition, as Compose would label them."""
    ensure_base()
    made: dict[str, Any] = {}

    def make(key: str) -> None:
        service, _, number = key.partition("/")
        given = {
            **STACK.get(key, {"command": SLEEP}),
            "labels": labels(service, number or "1", one_off=key == "one-off"),
        }
        made[key] = client.containers.create(BASE, name=f"{NAME}-{key.replace('/', '-')}", **given)
        if key != "created":
            made[key].start()

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, [*STACK, "one-off"]))
        made["paused"].pause()
        wait_for(made["ill"], lambda state: state["Health"]["Status"] == "unhealthy")
        wait_for(made["well"], lambda state: state["Health"]["Status"] == "healthy")
        wait_for(made["exited"], lambda state: state["Status"] == "exited")
        yield made
    finally:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: one.remove(force=True, v=True), made.values()))


def wait_for(container: Any, good: Any) -> None:  # noqa: ANN401  likewise
    for _ in range(200):
        container.reload()
        if good(container.attrs["State"]):
            return
        time.sleep(0.05)
    pytest.fail(f"{container.name} never came so far: {container.attrs['State']}")


@pytest.fixture
def project(engine: Engine, stack: dict[str, Any]) -> Project:
    """The project as it is now: one that was looked at before keeps what it saw."""
    assert stack
    return Project(engine, NAME)


# The real engine ----------------------------------------------------------------------------------------------------


def test_the_services_are_those_of_the_project_alone(project: Project) -> None:
    services = {key.partition("/")[0] for key in STACK}
    assert set(project.services) == services
    assert project.containers("nothing") == ()


def test_containers_come_in_the_order_of_their_numbers_and_one_offs_are_none(project: Project) -> None:
    assert [one.name.removeprefix(f"{NAME}-") for one in project.containers("up")] == ["up", "up-2", "up-10"]
    assert project.containers("one-off") == ()


@pytest.mark.parametrize(
    ("service", "status"),
    [("up", "running"), ("paused", "paused"), ("exited", "exited"), ("created", "created"), ("ill", "running")],
)
def test_a_container_is_in_the_condition_that_the_engine_says(project: Project, service: str, status: str) -> None:
    one = project.containers(service)[0]
    assert (one.status, one.running, one.service) == (status, status == "running", service)
    assert (one.started is None) == (service == "created")
    assert one.created <= datetime.now(UTC)


def test_an_end_is_described(project: Project) -> None:
    (one,) = project.containers("exited")
    assert (one.exit_code, one.oom_killed, one.restart_policy) == (3, False, "no")
    assert one.finished is not None
    assert one.started is not None
    assert abs(one.finished - one.started) < timedelta(seconds=30), "the engine may have them the wrong way round"


def test_a_restart_loop_is_counted(project: Project, stack: dict[str, Any]) -> None:
    wait_for(stack["loop"], lambda _state: stack["loop"].attrs["RestartCount"] > 0)
    (one,) = project.containers("loop")
    assert (one.restarts > 0, one.restart_policy) == (True, "always")


def test_health_is_what_the_check_said_last(project: Project) -> None:
    (ill,), (well,) = project.containers("ill"), project.containers("well")
    assert ill.health is not None
    assert (ill.health.status, ill.health.last) == ("unhealthy", "no route")
    assert ill.health.grace == timedelta(seconds=1.05), "the interval, and what one check may take"
    assert well.health is not None
    assert (well.health.status, well.health.last) == ("healthy", "fine")
    assert project.containers("up")[0].health is None


def test_secrets_of_the_environment_are_wrapped_and_nothing_shows_them(project: Project) -> None:
    one = project.containers("up")[0]
    assert one.secrets["POSTGRES_PASSWORD"].reveal() == PASSWORD
    assert one.public == {"POSTGRES_USER": "chief"}
    assert PASSWORD in Secret.known()
    assert PASSWORD not in repr(one) + repr(vars(project)) + repr(project._ids)


def test_what_may_hold_a_secret_is_kept_as_a_fingerprint_alone(project: Project) -> None:
    (one, *_), (ill,) = project.containers("up"), project.containers("ill")
    assert one.settings.environment["POSTGRES_PASSWORD"] == fingerprint(PASSWORD)
    assert one.settings.command == tuple(map(fingerprint, SLEEP))
    assert ill.settings.test == tuple(map(fingerprint, ["CMD-SHELL", "echo no route; exit 1"]))
    assert ill.settings.check == {"Interval": 50_000_000, "Timeout": 10**9, "Retries": 1}
    shown = repr({name: getattr(one.settings, name) for name in one.settings.__dataclass_fields__})
    assert PASSWORD not in shown
    assert SLEEP[-1] not in shown
    assert fingerprint(PASSWORD) not in repr(one)


def test_a_fingerprint_tells_texts_apart_and_nothing_else() -> None:
    assert fingerprint("a") == fingerprint("a") != fingerprint("b")
    assert fingerprint("\udce4"), "bytes that are no text come like this"


def test_an_image_is_asked_for_once_and_may_be_none(engine: Engine, stack: dict[str, Any]) -> None:
    assert stack
    seen = engine.image(BASE)
    assert seen is not None
    assert BASE in seen.names
    assert engine.image(seen.id) == seen
    assert engine.image(BASE) is seen
    assert engine.image(f"{NAME}:none") is None


def test_the_containers_are_listed_once_and_each_is_inspected_once(
    project: Project, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = engine.ask

    def counted(what: str, question: Any, **given: Any) -> Any:  # noqa: ANN401  as ask itself
        asked.append(what)
        return ask(what, question, **given)

    monkeypatch.setattr(engine, "ask", counted)
    for _ in range(3):
        project.containers("up")
        project.containers("exited")
        assert project.services
    assert asked == ["list the containers", *["inspect a container"] * 4]


def test_a_container_that_vanishes_after_the_listing_is_gone_and_no_error(client: Any, engine: Engine) -> None:  # noqa: ANN401
    name = f"{NAME}gone"
    given = {**labels("web", "1"), "com.docker.compose.project": name}
    container = client.containers.create(BASE, command="true", labels=given)
    project = Project(engine, name)
    assert project.services == ("web",)
    container.remove()
    assert project.containers("web") == ()


@pytest.mark.parametrize("number", ["x", "", "-1", "9" * 40, "\u0662"])
def test_a_number_that_is_none_is_no_error(client: Any, engine: Engine, number: str) -> None:  # noqa: ANN401
    name = f"{NAME}odd"
    given = {**labels("web", number), "com.docker.compose.project": name}
    container = client.containers.create(BASE, command="true", labels=given)
    try:
        assert len(Project(engine, name).containers("web")) == 1
    finally:
        container.remove()


def test_events_tell_crashes_from_stops_by_hand(project: Project, stack: dict[str, Any]) -> None:
    begun = datetime.now(UTC)
    up = stack["up/2"]
    up.kill("HUP")
    up.restart(timeout=5)
    up.stop(timeout=5)
    up.start()
    up.exec_run("kill -9 -1")  # the loop's sleep alone: its process stays
    # At once: the engine remembers 256 events, and others may be at work on it.
    seen = project.events(begun - timedelta(minutes=5), datetime.now(UTC))
    mine = [one.action for one in seen.all if one.container == up.id and one.at >= begun]
    assert begun - timedelta(minutes=5) <= seen.reaches <= datetime.now(UTC)
    whole = ["kill", "die", "stop", "start"] * 2
    assert mine == (whole if seen.reaches <= begun else whole[len(whole) - len(mine) :])
    assert mine, "what was done last is remembered"
    restarted = [one for one in project.containers("up") if one.id == up.id]
    if len(mine) == len(whole):
        assert mishaps(restarted, seen.all, begun) == ()
    wait_for(stack["loop"], lambda _state: stack["loop"].attrs["RestartCount"] > 1)
    seen = project.events(begun - timedelta(minutes=5), datetime.now(UTC))
    (told,) = mishaps(project.containers("loop"), seen.all, begun - timedelta(minutes=5))
    assert "was restarted by its policy" in told.what


def test_events_up_to_a_time_to_come_are_not_waited_for(project: Project) -> None:
    began = time.monotonic()
    project.events(datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC) + timedelta(days=1))
    assert time.monotonic() - began < 3


def test_a_log_is_streamed(project: Project) -> None:
    (one,) = project.containers("exited")
    raw = project.read_log(one, one.created - timedelta(1), datetime.now(UTC), b"".join, seconds=5)
    assert b"said" in raw
    assert b"complained" in raw
    empty = project.read_log(one, datetime.now(UTC), datetime.now(UTC), b"".join, seconds=5)
    assert empty == b""


def test_a_log_comes_the_same_by_every_way_to_the_engine(project: Project, engine: Engine) -> None:
    """Over a socket by a request of our own, over a network by the SDK."""
    (one,) = project.containers("exited")
    with Relay(behind=engine.socket) as relay:
        distant = Engine(f"tcp://{relay.address}", 10)
        assert distant.socket is None
        assert engine.socket == "/var/run/docker.sock"
        read = [
            Project(way, NAME).read_log(one, one.created, datetime.now(UTC), b"".join, seconds=5)
            for way in (engine, distant)
        ]
        (mute,) = project.containers("mute")
        with pytest.raises(CannotTell, match="its log driver is 'none'"):
            Project(distant, NAME).read_log(mute, one.created, datetime.now(UTC), b"".join, seconds=5)
        distant.close()
    assert read[0] == read[1] != b""


def test_elsewhere_one_connection_serves_all_questions(engine: Engine, tmp_path: Path) -> None:
    with Relay(behind=engine.socket, unix=tmp_path / "e.sock") as relay:
        distant = Engine(f"unix://{relay.unix}", 10, elsewhere=True)
        services = Project(distant, NAME).services
        opened = relay.accepted
        seen = [one.id for service in services for one in Project(distant, NAME).containers(service)]
        assert len(seen) > 5
        assert distant.data_root == engine.data_root
        assert relay.accepted == opened <= 2
        # Whoever sits between may end a connection that nothing goes through.
        relay.cut()
        wait_for_end = time.monotonic() + 5
        while relay.accepted == opened and time.monotonic() < wait_for_end:
            assert Project(distant, NAME).services == services
        assert relay.accepted > opened
        distant.close()
    assert seen == [one.id for service in services for one in Project(engine, NAME).containers(service)]


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (silent, "did not hand over the log of .* within 300 ms"),
        (dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), "did not hand over the log of .* within 300 ms"),
        (lambda _: None, "could not hand over the log of .*"),
    ],
    ids=["silent", "dripping", "closing"],
)
def test_an_engine_that_fails_while_it_hands_over_a_log_costs_the_logs_limit(
    project: Project,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    behave: Any,  # noqa: ANN401
    said: str,
) -> None:
    (one,) = project.containers("exited")
    began = time.monotonic()
    with Loopback(behave, at=tmp_path / "s"):
        monkeypatch.setitem(vars(engine), "socket", str(tmp_path / "s"))
        with pytest.raises(CannotTell, match=said):
            project.read_log(one, one.created, datetime.now(UTC), b"".join, seconds=0.3)
    assert time.monotonic() - began < 2
    monkeypatch.undo()
    assert engine.data_root.startswith("/")


def test_the_file_of_a_log_is_known_where_there_is_one(project: Project) -> None:
    (one,), (mute,) = project.containers("exited"), project.containers("mute")
    assert one.log_path.endswith(f"{one.id}-json.log")
    assert mute.log_path == ""


def test_a_log_that_its_driver_doesnt_keep_blinds_and_says_how_to_mend_it(project: Project) -> None:
    (one,) = project.containers("mute")
    with pytest.raises(CannotTell, match="its log driver is 'none'") as raised:
        project.read_log(one, one.created, datetime.now(UTC), b"".join, seconds=5)
    assert "json-file" in raised.value.mend
    assert raised.value.cause == ""


def test_a_log_that_takes_too_long_says_nothing_about_the_engine(project: Project, engine: Engine) -> None:
    (one,) = project.containers("exited")
    with pytest.raises(CannotTell, match=r"did not hand over the log of .* within 100 ms") as raised:
        project.read_log(one, one.created, datetime.now(UTC), lambda _blocks: time.sleep(1), seconds=0.1)
    assert raised.value.cause == ""
    assert "timeouts.logs" in raised.value.mend
    assert engine.data_root.startswith("/")


def test_a_mistake_of_a_reader_is_told_as_no_answer_of_the_engine(project: Project) -> None:
    (one,) = project.containers("exited")
    with pytest.raises(CannotTell, match=r"could not hand over the log of .*: ZeroDivisionError"):
        project.read_log(one, one.created, datetime.now(UTC), lambda _blocks: 1 / 0, seconds=5)


# Bad engines --------------------------------------------------------------------------------------------------------


def refusal(engine: Engine) -> CannotTell:
    with pytest.raises(CannotTell) as raised:
        engine.project("x").containers("y")
    assert raised.value.cause == "engine"
    raised.traceback = raised.traceback.cut(path=Path(observe.engine.__file__))
    assert PASSWORD not in str(raised.getrepr(showlocals=True, style="long", truncate_locals=False))
    return raised.value


@contextmanager
def at(path: Path) -> Iterator[Engine]:
    engine = Engine(f"unix://{path}", 0.3)
    yield engine
    engine.close()


def test_a_socket_that_isnt_there_is_said(tmp_path: Path) -> None:
    with at(tmp_path / "none.sock") as engine:
        assert str(refusal(engine)) == "the engine can't be reached: there is no socket where it should be"


def test_a_socket_that_nobody_listens_on_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "s"))
    with at(tmp_path / "s") as engine:
        assert str(refusal(engine)) == "the engine can't be reached: connection refused"


def test_a_socket_without_permission_says_which_group_to_join(tmp_path: Path) -> None:
    with Loopback(silent, at=tmp_path / "s"), at(tmp_path / "s") as engine:
        (tmp_path / "s").chmod(0)
        with nobody():
            denied = refusal(engine)
    assert str(denied) == "the engine can't be reached: permission denied on its socket"
    assert "group `docker`" in denied.mend


def test_an_address_that_is_none_is_said() -> None:
    assert "the engine can't be reached" in str(refusal(Engine("nonsense://x", 0.4)))


NEVER = [silent, dripping(b"H", b"T"), dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b" ")]


@pytest.mark.parametrize("behave", NEVER)
def test_an_engine_that_never_answers_costs_its_limit_once(tmp_path: Path, behave: Any) -> None:  # noqa: ANN401
    with Loopback(behave, at=tmp_path / "s") as server, at(tmp_path / "s") as engine:
        began = time.monotonic()
        for _ in range(4):
            with pytest.raises(CannotTell):
                engine.project("x").containers("y")
        assert time.monotonic() - began < 1
        said = refusal(engine)
        assert str(said) == "the engine accepts but does not answer within 300 ms"
        assert "docker ps" in said.mend
        assert server.connections == 1


class Half:
    """An engine that says its version, and answers the rest with what is laid down."""

    def __init__(self, rest: bytes, *, hang_up: bool = False) -> None:
        self._rest = rest
        self._hang_up = hang_up

    def __call__(self, connection: socket.socket) -> None:
        while request := connection.recv(65536):
            if b"/version" in request:
                connection.sendall(reply({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}))
            elif self._hang_up:
                return
            elif self._rest:
                connection.sendall(self._rest)


def reply(content: object, status: int = 200) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_an_engine_that_falls_silent_later_costs_its_limit_once(tmp_path: Path) -> None:
    with Loopback(Half(b""), at=tmp_path / "s"), at(tmp_path / "s") as engine:
        began = time.monotonic()
        for _ in range(4):
            with pytest.raises(CannotTell):
                engine.project("x").containers("y")
        assert time.monotonic() - began < 1
        assert str(refusal(engine)) == "the engine did not list the containers within 300 ms"


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (reply({"message": "the disk is full"}, 500), "the disk is full"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the engine could not list the containers"),
        (reply("no list"), "the engine could not list the containers"),
    ],
)
def test_an_engine_that_answers_nonsense_blinds(tmp_path: Path, rest: bytes, said: str) -> None:
    with Loopback(Half(rest), at=tmp_path / "s"), at(tmp_path / "s") as engine:
        assert said in str(refusal(engine))


def test_an_engine_that_hangs_up_blinds(tmp_path: Path) -> None:
    with Loopback(Half(b"", hang_up=True), at=tmp_path / "s"), at(tmp_path / "s") as engine:
        assert "the engine could not list the containers" in str(refusal(engine))


def test_an_answer_that_cant_be_read_doesnt_show_the_environment_in_it(tmp_path: Path) -> None:
    listed = [{"Id": "a", "Labels": labels("y", "1") | {"com.docker.compose.project": "x"}}]
    odd = {"Id": "a", "Name": "/a", "Config": {"Env": [f"POSTGRES_PASSWORD={PASSWORD}"], "Cmd": ["--pw", PASSWORD]}}

    def behave(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            content: object = {"ApiVersion": "1.41"}
            if b"/version" not in request:
                content = odd if b"/a/json" in request else listed
            connection.sendall(reply(content))

    with Loopback(behave, at=tmp_path / "s"), at(tmp_path / "s") as engine:
        assert "could not inspect a container: KeyError" in str(refusal(engine))


def test_the_variable_names_the_engine_where_the_settings_dont(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    assert "there is no socket where it should be" in str(refusal(Engine("", 0.4)))


# Plain functions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("POSTGRES_PASSWORD", "x1", True),
        ("DJANGO_SECRET_KEY", "x", True),
        ("API_TOKEN", "x", True),
        ("SENTRY_DSN", "https://abc@o1.ingest.example/1", True),
        ("DATABASE_URL", "postgres://u:pw@db/x", True),
        ("SLACK_WEBHOOK_URL", "https://hooks.example/services/T00000000/B00/XXXXXXXXXXXXXXXXXXXXXXXX", True),
        ("FRONTEND_URL", "https://example.org/", False),
        ("API_URL", "https://example.org/api/v1/", False),
        ("REDIS_URL", "redis://redis:6379/0", False),
        ("REDIS_URL", "redis://:hunter2@redis:6379/0", True),
        ("CACHE_KEY_PREFIX", "backend", False),
        ("AUTH_USER_MODEL", "api.User", False),
        ("TOKEN_LIFETIME", "15 minutes", False),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/pw", False),
        ("PASSWORD", "", False),
        ("PATH", "/bin", False),
    ],
)
def test_what_sounds_secret_and_is_one_is_wrapped(name: str, value: str, secret: bool) -> None:
    _, secrets = _environment([f"{name}={value}"])
    assert (name in secrets) == secret
    assert (value in Secret.known()) == secret


@given(user=st.text("abc", max_size=3), password=st.text(min_size=1, max_size=12).filter(lambda text: text < "\ud800"))
@example(user="u", password="p@ss:w/rd%")  # noqa: S106  made up
def test_a_password_within_an_address_is_a_secret_by_itself(user: str, password: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secret, "_known", set())
        _environment([f"DATABASE_URL=postgres://{user}:{quote(password, safe='')}@db:5432/x"])
        assert password in Secret.known()


@given(variables=st.lists(st.text(max_size=30)))
def test_any_environment_is_taken_apart(variables: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secret, "_known", set())
        public, secrets = _environment(list(variables))
        assert len(public) + len(secrets) <= len(variables)


MOMENTS = st.integers(0, 4 * 10**15).map(lambda micro: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micro))


@given(at=MOMENTS, digits=st.integers(0, 9), zone=st.sampled_from(["Z", "+02:00"]))
def test_the_engines_times_are_read_whatever_their_digits(at: datetime, digits: int, zone: str) -> None:
    nanoseconds = f"{at.microsecond:06d}123"[:digits]
    text = f"{at:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{nanoseconds}{zone}"
    read = time_of_engine(text)
    assert read is not None
    offset = timedelta(hours=2) if zone != "Z" else timedelta(0)
    assert abs(read - (at - offset)) < timedelta(seconds=1)
    assert time_of_engine("0001-01-01T00:00:00Z") is None
    assert time_of_engine("") is None


def test_a_path_of_a_container_is_found_on_the_host() -> None:
    def one(mounts: dict[str, str]) -> Container:
        seen = {
            "Id": "a", "Name": "/a", "Image": "i", "Created": "2026-11-23T08:00:00Z",
            "Config": {"Labels": {}, "Env": None},
            "State": {"Status": "running", "ExitCode": 0, "OOMKilled": False, "StartedAt": "", "FinishedAt": ""},
            "HostConfig": {},
            "Mounts": [{"Destination": inside, "Source": outside} for inside, outside in mounts.items()],
        }  # fmt: skip
        return _described(seen)

    data = "/var/lib/postgresql/data"
    assert one({data: "/volumes/d"}).source_of(data) == "/volumes/d"
    assert one({"/var/lib/postgresql": "/volumes/d"}).source_of(data) == "/volumes/d/data"
    assert one({"/": "/r", "/var/lib": "/v"}).source_of(data) == "/v/postgresql/data"
    assert one({"/var/lib/postgresql/database": "/x"}).source_of(data) is None
    assert one({}).source_of(data) is None


@pytest.mark.parametrize("changes", [{"Type": "network"}, {"Action": "exec_start"}, {"Actor": None}, {"Actor": {}}])
def test_any_other_event_is_none_of_ours(changes: dict[str, Any]) -> None:
    attributes = {"com.docker.compose.project": "x"}
    one = {"Type": "container", "Action": "die", "Actor": {"ID": "a", "Attributes": attributes}, "timeNano": 10**18}
    assert _event(one, "x") is not None
    assert _event(one, "y") is None
    assert _event({**one, **changes}, "x") is None
