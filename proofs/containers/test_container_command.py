"""Commands in real containers only read, leave nothing behind, end in time, and fail as instruments do."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from observe import container_command
from observe.container_command import READS_ONLY, _run_inside, known_to_read, run_inside
from observe.engine import Container, Engine, Project
from observe.errors import CannotTell
from observe.vulnerabilities import of_npm
from proofs.containers.standing import standing
from target.kinds import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = f"execproof{os.getpid()}"
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
STACK: dict[str, dict[str, Any]] = {
    "up": {"command": SLEEP, "environment": {"OWN": "kept"}},
    "user": {"command": SLEEP, "user": "65534", "read_only": True, "tmpfs": {"/tmp": ""}},  # noqa: S108  in there
    "paused": {"command": SLEEP},
    "exited": {"command": ["true"]},
    "gone": {"command": SLEEP},
}


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, Any]]:
    with standing(NAME, STACK) as made:
        made["paused"].pause()
        made["exited"].wait()
        yield made


@pytest.fixture
def containers(engine: Engine, stack: dict[str, Any]) -> dict[str, Container]:
    project = Project(engine, NAME)
    assert len(stack) == len(STACK)
    return {service: project.containers(service)[0] for service in STACK}


@pytest.mark.parametrize(
    "command",
    [
        ("python3", "-m", "pip", "list", "--format=json"),
        ("/opt/my venv/bin/python3.12", "-m", "pip", "list", "--uptodate", "--format=json"),
        ("npm", "outdated", "--json"),
        ("npm", *of_npm.QUESTION),
        ("python", "manage.py", "showmigrations", "--plan"),
        ("/venv/bin/python", "/app/manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        ("python", "/app/manage.py", "check"),
        ("du", "-sk", "/var/lib"),
        ("du", "-ak", "-d1", "/var/lib"),
        ("redis-cli", "INFO"),
        ("valkey-cli", "INFO"),
    ],
)
def test_a_command_of_a_known_shape_may_be_run(command: tuple[str, ...]) -> None:
    assert known_to_read(command)


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("",),
        ("sh", "-c", "python3 -m pip list --format=json"),
        ("python3",),
        ("python3", "-c", "import os"),
        ("python3", "-m", "pip", "install", "x"),
        ("python3", "-m", "pip", "list", "--format=json", "--log=/etc/x"),
        ("python3", "-m", "pip", "list", "--format=json\n"),
        ("python3 -m pip", "-m", "pip", "list", "--format=json"),
        ("python3\n", "-m", "pip", "list", "--format=json"),
        ("/bin/sh", "-m", "pip", "list", "--format=json"),
        ("../python3", "-m", "pip", "list", "--format=json"),
        ("npm", "install", "--json"),
        ("npm", "audit", "fix", *of_npm.QUESTION[1:]),
        ("npm", "audit", "--json"),
        ("npm", "outdated", "--json", "--prefix=/x"),
        ("npm", "pkg", "set", "dependencies", "devDependencies", "optionalDependencies"),
        ("npmx", "outdated", "--json"),
        ("python3", "manage.py", "migrate"),
        ("python3", "manage.py", "migrate", "--check"),
        ("python3", "manage.py", "clearcache"),
        ("python3", "manage.py", "help", "clearcache"),
        ("python3", "manage.py", "flush"),
        ("python3", "-c/manage.py", "check"),
        ("python3", "manage.py", "check", "--deploy"),
        ("du", "-sk", "--files0-from=/x"),
        ("rm", "-sk", "/x"),
        ("du", "-ak", "-d1", "--files0-from=/x"),
        ("du", "-ak", "-d1", "/x", "/y"),
        ("redis-cli", "FLUSHALL"),
        ("redis-cli", "INFO", "stats"),
        ("redis-cli", "-x", "INFO"),
        ("/opt/redis-cli", "INFO"),
    ],
)
def test_any_other_is_refused(engine: Engine, containers: dict[str, Container], command: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="not known to read only"):
        run_inside(engine, containers["up"], command, 5)


def test_every_shape_begins_with_a_program_and_leaves_nothing_open() -> None:
    for shape in READS_ONLY:
        for word in shape:
            pattern = word if isinstance(word, str) else word.pattern
            assert pattern not in {".*", ".+", ""}


def test_it_tells_its_status_and_keeps_out_and_complaint_apart(
    engine: Engine, containers: dict[str, Container]
) -> None:
    ran = _run_inside(engine, containers["up"], ("sh", "-c", "echo out; echo complaint >&2; exit 3"), 5)
    assert (ran.status, ran.out, ran.complaint) == (3, "out\n", "complaint")
    used = run_inside(engine, containers["up"], ("du", "-sk", "/etc/hostname"), 5)
    assert (used.status, used.out.split()[1]) == (0, "/etc/hostname")


def test_it_runs_as_the_containers_user_with_its_environment_and_without_a_terminal(
    engine: Engine, containers: dict[str, Container]
) -> None:
    asked = ("sh", "-c", 'id -u; echo "$OWN $PIP_NO_CACHE_DIR"; tty; read line; echo "read $?"; pwd')
    assert _run_inside(engine, containers["up"], asked, 5).out == "0\nkept 1\nnot a tty\nread 1\n/\n"
    assert _run_inside(engine, containers["user"], ("id", "-u"), 5).out == "65534\n"
    assert _run_inside(engine, containers["up"], ("pwd",), 5, directory="/etc").out == "/etc\n"


def test_a_secret_is_in_its_environment_and_in_no_processs_words(
    engine: Engine, containers: dict[str, Container]
) -> None:
    asked = ("sh", "-c", 'echo "$GIVEN $PIP_NO_INPUT"; cat /proc/[0-9]*/cmdline | tr "\\0" " "')
    ran = _run_inside(engine, containers["up"], asked, 5, secrets={"GIVEN": Secret("pw-4711")})
    assert ran.out.startswith("pw-4711 1\n")
    assert "echo" in ran.out
    assert ran.out.count("pw-4711") == 1


def test_one_that_doesnt_end_is_ended_in_there_as_well(
    engine: Engine, stack: dict[str, Any], containers: dict[str, Container]
) -> None:
    began = time.monotonic()
    with pytest.raises(CannotTell, match=r"sh -c .* did not end within 1 s"):
        _run_inside(engine, containers["up"], ("sh", "-c", "trap '' TERM; sleep 77 & sleep 77; sleep 77"), 1)
    assert time.monotonic() - began < 6
    assert not [row for row in stack["up"].top()["Processes"] if "sleep 77" in " ".join(row)]


def test_endless_output_cannot_tell_and_costs_no_memory(
    engine: Engine, containers: dict[str, Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_command, "MOST", 100_000)
    for command in (("yes",), ("sh", "-c", "yes >&2")):
        with pytest.raises(CannotTell, match="printed more than"):
            _run_inside(engine, containers["up"], command, 3)


def test_lines_that_dont_matter_are_passed_over(engine: Engine, containers: dict[str, Container]) -> None:
    ran = _run_inside(
        engine,
        containers["up"],
        ("sh", "-c", "seq 300000; printf end"),
        20,
        keep=lambda line: b"99999" in line or line == b"end",
    )
    assert ran.out == "99999\n199999\n299999\nend"


def test_a_container_that_is_gone_cannot_tell(
    engine: Engine, stack: dict[str, Any], containers: dict[str, Container]
) -> None:
    stack.pop("gone").remove(force=True)
    with pytest.raises(CannotTell, match=r"du -sk /etc in .*-gone can't be run: the container is gone") as raised:
        run_inside(engine, containers["gone"], ("du", "-sk", "/etc"), 5)
    assert raised.value.cause == "service gone"


@pytest.mark.parametrize(("service", "why"), [("exited", "not running"), ("paused", "paused")])
def test_a_container_that_does_not_run_cannot_tell(
    engine: Engine, stack: dict[str, Any], service: str, why: str
) -> None:
    assert stack
    container = Project(engine, NAME).containers(service)[0]
    with pytest.raises(CannotTell, match=why) as raised:
        run_inside(engine, container, ("du", "-sk", "/etc"), 5)
    assert raised.value.cause == f"service {service}"


def test_a_command_that_is_not_there_is_no_answer(engine: Engine, stack: dict[str, Any]) -> None:
    assert stack
    container = Project(engine, NAME).containers("up")[0]
    for command in (("python3", "-m", "pip", "list", "--format=json"), ("npm", "outdated", "--json")):
        with pytest.raises(CannotTell, match=f"{command[0]}.* can't be run: .*No such file|not found"):
            run_inside(engine, container, command, 5)


def test_a_command_that_may_not_be_run_is_no_answer(engine: Engine, stack: dict[str, Any]) -> None:
    assert stack
    container = Project(engine, NAME).containers("up")[0]
    with pytest.raises(CannotTell, match=r"can't be run: .*[Pp]ermission denied"):
        _run_inside(engine, container, ("/etc/passwd",), 5)


def test_a_directory_that_is_not_there_is_no_answer(engine: Engine, stack: dict[str, Any]) -> None:
    assert stack
    container = Project(engine, NAME).containers("up")[0]
    with pytest.raises(CannotTell, match=r"can't be run: .*no such file or directory"):
        run_inside(engine, container, ("npm", "outdated", "--json"), 5, directory="/no/such")


def test_npm_gets_a_cache_that_goes_with_it(engine: Engine, stack: dict[str, Any]) -> None:
    container = Project(engine, NAME).containers("up")[0]
    program = (
        '#!/bin/sh\\ntest -d "$npm_config_cache" && touch "$npm_config_cache/x" && echo "$npm_config_cache"; exit 1\\n'
    )
    made = f"printf '{program}' > /usr/local/bin/npm; chmod +x /usr/local/bin/npm"
    assert _run_inside(engine, container, ("sh", "-c", made), 5).status == 0
    before = changed(stack["up"])
    try:
        ran = run_inside(engine, container, ("npm", "outdated", "--json"), 5)
    finally:
        _run_inside(engine, container, ("rm", "/usr/local/bin/npm"), 5)
    assert ran.status == 1, "its own status, not that of tidying up"
    assert ran.out.startswith("/tmp/")  # noqa: S108  in there
    assert changed(stack["up"]) <= before


def changed(container: Any) -> set[str]:  # noqa: ANN401  the SDK has no types
    return {one["Path"] for one in container.diff() or []}
