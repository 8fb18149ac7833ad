"""What runs is held against what the files say: against real Compose, form by form, and never a false alarm."""

from __future__ import annotations

import copy
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.base_image import BASE, ensure_base
from lab.engine import compose_command
from observe.compose import OddInt, service_definitions
from observe.compose_hash import Unclear, config_hash
from observe.deployed import Deployed, deployed, duration, size, words
from observe.engine import Container, Engine, Image, _described
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = f"deployed-proof{os.getpid()}"
CANARY = "canary-5821-in-the-clear"

DOT_ENV = """# of the project
TAG=bookworm-slim
MEM=64m
PORT='18099'
EMPTY=
export WORD="two words"
"""
APP_ENV = """# comment
PLAIN=value
SPACED = around
export EXPORTED=yes
QUOTED="two words" # why
SINGLE='single words'
HASHED=a#b
COMMENTED=a # b
BLANK=
EQUALS=a=b=c
URL=postgres://u:p@h:5432/d?x=1
UMLAUT=grün
dotted.name=1
"""
# Forms that Compose's versions read differently: these are left out, not guessed.
ODD_ENV = """PLAIN=overridden
DOLLAR=pa$$word
REFERENCE=${PLAIN}x
ESCAPED="a\\nb"
ALONE
"""
# One service each, of the base image: every key and every form of it that is said to be known.
CORPUS = {
    "plain": "",
    "tagged": 'image: "debian:${TAG}"\n    command: sleep 10',
    "commandlist": "command: [sleep, '10 20', $$HOME]\n    entrypoint: [sh, -c]",
    "commandtext": "command: sh -c 'echo \"a b\"; sleep 1' x\\ y\n    entrypoint: /usr/bin/env -i",
    "commandempty": "command: []\n    entrypoint: [sleep, '3']",
    "commandnone": "command: []",
    "envlist": "environment: [A=1, B=two words, C=, 'D=${WORD}', 'E=$${x}', F=a=b,"
    " 'G=${EMPTY:-other}', 'H=${MEM:?needed}', 'I=${EMPTY-x}']",
    "envmap": "environment: {A: 1, B: x, C: '', D: 1.50, E: 0755, F: 22:30, G: 1e3, H: 'yes', I: 0x1F}",
    "envfile": "env_file: app.env",
    "envfiles": "env_file: [app.env, ./odd.env]\n    environment: {PLAIN: last, NEW: 1}",
    "envunset": "environment: {A: '${NOT_SET_AT_ALL}', B: '${NOT_SET-x}', C: '${HOME}', D: }",
    "ports": "ports: ['127.0.0.1:18080:80', 18081:81/udp, 18090-18092:90-92, '127.0.0.1::99', '100',"
    " '${PORT}:98', '0.0.0.0:18100:100/tcp', 18200-18210:77, '[::1]:18101:101', 8000]",
    "portslong": "ports: [{target: 80, published: 18180, protocol: tcp, mode: host}, {target: 81},"
    " {target: '82', published: '18182', protocol: udp}]",
    "volumes": "volumes: ['.:/project', './sub:/sub:ro', './ctx/../sub/:/up/', 'data:/data',"
    " 'data:/again:ro,nocopy', 'named:/named', /anonymous, '/tmp:/host/tmp:rw,z', 'ext:/ext']",
    "volumeslong": "volumes: [{type: bind, source: ./sub, target: /sub, read_only: true},"
    " {type: volume, source: data, target: /data, volume: {nocopy: true}}, {type: tmpfs, target: /scratch},"
    " {type: volume, target: /anon}, {type: bind, source: /tmp, target: /host, bind: {propagation: rprivate}}]",
    "networks": "networks: [front, default]",
    "networksmap": "networks: {front: {aliases: [web, www]}, back: }",
    "hostnet": "network_mode: host",
    "nonet": "network_mode: none",
    "depends": "depends_on: [plain, tagged]",
    "dependsmap": "depends_on: {plain: {condition: service_started}}",
    "health": "healthcheck: {test: pg_isready -U $$USER, interval: 1m30s, timeout: 1.5s, retries: 3,"
    " start_period: 100ms}",
    "healthlist": "healthcheck: {test: [CMD, 'true'], interval: 10s, retries: '5', start_period: 2h}",
    "healthoff": "healthcheck: {disable: true}",
    "healthnone": "healthcheck: {test: [NONE]}",
    "sizes": "mem_limit: 256M\n    mem_reservation: 0.125g\n    shm_size: 128m\n    cpus: '0.5'\n"
    "    cpu_shares: 512\n    cpuset: '0'",
    "sizesplain": "mem_limit: 268435456\n    shm_size: 67108864\n    cpus: 1.25",
    "sizesfilled": "mem_limit: ${MEM}\n    shm_size: 64mb\n    cpus: 1",
    "deploy": "deploy: {replicas: 2, resources: {limits: {memory: 64M, cpus: '0.25'}}}",
    "deployboth": "mem_limit: 32m\n    deploy: {mode: replicated, resources: {limits: {cpus: '0.25'}}}",
    "deployrestart": "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}",
    "restartalways": "restart: always",
    "restartno": "restart: 'no'",
    "restarttimes": "restart: on-failure:5",
    "restartfailure": "restart: on-failure",
    "restartempty": "restart: ''",
    "labels": "labels: {a.b: c, number: 5, quoted: 'true', empty: '', flag: true, float: 1.5}",
    "labelslist": "labels: [a.b=c, 'rule=Host(`x`)', alone, p=q=r]",
    "names": "container_name: @name@-own\n    hostname: web\n    domainname: example.org\n"
    "    user: '1000:1000'\n    working_dir: /srv/app/\n    stop_signal: SIGINT\n    stop_grace_period: 1m",
    "flags": "privileged: true\n    read_only: true\n    init: true\n    tty: true\n    stdin_open: true",
    "flagstext": "privileged: 'false'\n    read_only: 'yes'\n    init: false\n    tty: '${EMPTY:-true}'",
    "caps": "cap_add: [NET_ADMIN, CAP_SYS_TIME]\n    cap_drop: [ALL]",
    "hostslist": "extra_hosts: ['db.example:10.0.0.1', 'six:::1']",
    "hostsmap": "extra_hosts: {db.example: 10.0.0.1, web: 10.0.0.2}",
    "tmpfs": "tmpfs: /run",
    "tmpfslist": "tmpfs: ['/run:size=64m,mode=1777', /tmp]",
    "dns": "dns: 10.0.0.1\n    dns_search: [a.example, b.example]\n    dns_opt: ['ndots:1']",
    "limits": "ulimits: {nproc: 65535, nofile: {soft: 1000, hard: 2000}}\n    sysctls:"
    " {net.core.somaxconn: 1024}\n    group_add: ['44', video]\n    pids_limit: 50",
    "sysctllist": "sysctls: ['net.core.somaxconn=512']",
    "shown": "expose: ['3000', '8000']\n    platform: linux/amd64\n    profiles: [tools, debug]",
    "anchored": "<<: *common\n    x-note: {a: 1}",
    "built": "build: ./ctx",
    "builtnamed": "image: @name@-named:1\n    build: {context: ctx, dockerfile: Dockerfile, args: {A: 1, B: x},"
    " labels: {l: 1}}",
    "builtlist": "image: @name@-named:2\n    build: {context: ./ctx, args: [A=1, 'B=${TAG}']}",
    "scaled": "scale: 2",
    "secured": "security_opt: ['no-new-privileges:true']\n    devices: ['/dev/null:/dev/other']\n"
    "    oom_score_adj: 100",
    "secrets": "environment: {PASSWORD: first}\n    command: [echo, first]\n    labels: {auth: first}\n"
    "    entrypoint: [sh, first]\n    healthcheck: {test: [CMD, first]}",
}  # fmt: skip
HEAD = """x-common: &common
  restart: unless-stopped
  logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}
volumes: {data: , named: {name: @name@-own}, ext: {external: true, name: @name@-ext}}
networks: {front: , back: {name: @name@-back}}
services:
"""
LAYERED = """services:
  base: {image: @base@, environment: [A=1, B=2], labels: {l: 1}, mem_limit: 64m, cap_add: [NET_ADMIN]}
  web:
    extends: {service: base}
    environment: {B: 3}
    command: sleep 1
    ports: ["18301:80"]
    volumes: [".:/x", "data:/data"]
    logging: {driver: json-file, options: {max-size: 1m}}
    healthcheck: {test: "true", interval: 1s}
volumes: {data: }
"""
OVERRIDE = """services:
  db: {image: @base@, env_file: app.env, mem_limit: 32m}
  base: {shm_size: 32m, environment: {A: again}, cap_add: [SYS_TIME], restart: always, tmpfs: /run, labels: [m=2]}
"""


@dataclass
class Stack:
    """Containers that Compose has made and never started, and the directory with their files."""

    directory: Path
    name: str
    engine: Engine

    def write(self, changes: Mapping[str, str] | None = None) -> None:
        bodies = {**CORPUS, **(changes or {})}
        text = HEAD
        for name, body in bodies.items():
            image = "" if re.match("image:|build:|extends:|devices:", body) else "image: @base@\n    "
            text += f"  {name}:\n    {image}{body}\n"
        self.put("docker-compose.yml", text)

    def put(self, name: str, text: str) -> None:
        filled = text.replace("@base@", BASE).replace("@name@", self.name)
        (self.directory / name).write_text(filled, encoding="utf-8")

    def compose(self, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        done = subprocess.run(
            [*(compose_command() or ()), "--project-name", self.name, *arguments],
            cwd=self.directory,
            env={**environment, "COMPOSE_PROFILES": "tools"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def containers(self, service: str) -> tuple[Container, ...]:
        return self.engine.project(self.name).containers(service)

    def seen(self, service: str) -> Deployed:
        return deployed(service, service_definitions(self.directory), self.containers(service), self.engine.image)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    import docker

    ensure_base()
    client, engine = docker.from_env(), Engine("", 10)
    stack = Stack(tmp_path_factory.mktemp("corpus"), NAME, engine)
    (stack.directory / "sub").mkdir()
    (stack.directory / "ctx").mkdir()
    for name, text in (
        ("ctx/Dockerfile", "FROM @base@"),
        (".env", DOT_ENV),
        ("app.env", APP_ENV),
        ("odd.env", ODD_ENV),
    ):
        stack.put(name, text)
    outside = client.volumes.create(f"{NAME}-ext")
    try:
        stack.write()
        stack.compose("up", "--no-start", "--build")
        yield stack
    finally:
        stack.write()
        stack.compose("down", "--volumes", "--timeout", "0")
        outside.remove()
        for name in (f"{NAME}_built", f"{NAME}-built", f"{NAME}-named:1", f"{NAME}-named:2"):
            if client.images.list(name):
                client.images.remove(name)
        client.close()
        engine.close()


@pytest.fixture
def stack(made: Stack) -> Iterator[Stack]:
    """The stack with its files as they were when it was brought up."""
    made.write()
    yield made
    made.write()


def first_version() -> bool:
    return compose_command() == ("docker-compose",)


# Never a false alarm -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", CORPUS)
def test_what_compose_has_just_made_is_as_written(service: str, stack: Stack) -> None:
    seen = stack.seen(service)
    assert not seen.differences, seen.seen
    assert seen.containers == (2 if service in {"deploy", "scaled"} else 1)
    assert seen.image
    if first_version():
        wanted = "not computed, ./odd.env writes it in a form not read here" if service == "envfiles" else "equal"
        assert set(seen.hashes) == {wanted}


@pytest.mark.parametrize("service", CORPUS)
def test_settings_are_compared_whichever_compose_made_the_container(service: str, stack: Stack) -> None:
    files = service_definitions(stack.directory)
    later = [with_labels(one, stack, {"com.docker.compose.version": "2.29.1"}) for one in stack.containers(service)]
    seen = deployed(service, files, later, stack.engine.image)
    assert not seen.differences, seen.seen
    assert set(seen.hashes) == {"not computed, made by Compose 2.29.1"}


def with_labels(one: Container, stack: Stack, labels: Mapping[str, str | None]) -> Container:
    """The container with some labels changed, None for gone, as the engine would describe it."""
    inspected = copy.deepcopy(stack.engine.ask("inspect", lambda client: client.api.inspect_container(one.id)))
    given = {**inspected["Config"]["Labels"], **labels}
    inspected["Config"]["Labels"] = {name: value for name, value in given.items() if value is not None}
    return _described(inspected)


def test_what_is_not_compared_is_known(stack: Stack) -> None:
    left_out = {what for service in CORPUS for what in stack.seen(service).left_out}
    assert left_out == {
        *("command", "mem_limit", "networks", "read_only"),  # in one form each that is not read alike everywhere
        *("environment D", "environment ESCAPED", "environment REFERENCE", "labels flag"),
        *("devices", "dns_opt", "expose", "oom_score_adj", "pids_limit", "platform", "security_opt"),
    }


def test_the_networks_of_a_container_that_was_started_are_compared(stack: Stack) -> None:
    stack.compose("start", "networks", "networksmap")
    started = Stack(stack.directory, stack.name, Engine("", 10))
    try:
        for service in ("networks", "networksmap"):
            assert not started.seen(service).differences, started.seen(service).seen
        assert set(started.seen("networksmap").left_out) == {"networks options"}
        stack.write({"networks": "networks: [front, back]"})
        assert started.seen("networks").seen == (
            "networks: the file says in back, the container has no part in it; "
            f"networks: the file says nothing of it, the container has a part in {stack.name}_default"
        )
    finally:
        started.engine.close()


def test_several_files_and_services_that_extend_others_are_as_written_too(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path, f"{NAME}-two", stack.engine)
    for name, text in (
        ("docker-compose.yml", LAYERED),
        ("docker-compose.override.yml", OVERRIDE),
        ("app.env", APP_ENV),
    ):
        other.put(name, text.replace("extends: {service: base}", "image: @base@"))
    try:
        other.compose("up", "--no-start")
        for service in ("base", "web", "db"):
            seen = other.seen(service)
            assert not seen.differences, seen.seen
            assert seen.compared == seen.settings
        other.put("docker-compose.override.yml", OVERRIDE.replace("again", "anew"))
        assert other.seen("base").seen == "environment A differs"
        (tmp_path / "docker-compose.override.yml").unlink()
        other.put("docker-compose.yml", LAYERED)
        other.compose("up", "--no-start", "--force-recreate", "web", "base")
        again = Stack(tmp_path, other.name, Engine("", 10))
        for service in ("base", "web"):
            assert not again.seen(service).differences, again.seen(service).seen
        again.engine.close()
    finally:
        other.compose("down", "--volumes", "--timeout", "0", "--remove-orphans")


# Every difference is seen ---------------------------------------------------------------------------------------------

CHANGES = [
    ("plain", "image: debian:other", "image: the file says debian:other, the container has debian:bookworm-slim"),
    ("tagged", "command: sleep 11", "command differs"),
    ("commandlist", "command: [sleep, '10', '20', $$HOME]\n    entrypoint: [sh, -c]", "command differs"),
    ("commandtext", "entrypoint: /usr/bin/env", "entrypoint differs"),
    ("envlist", "environment: [A=2, B=two  words]", "environment A differs; environment B differs"),
    ("envlist", "environment: {Z: ''}", "environment Z differs"),
    ("envmap", "environment: {A: 2}", "environment A differs"),
    ("envfile", "env_file: app.env\n    environment: [URL=x]", "environment URL differs"),
    ("ports", "ports: ['18080:80']", "ports: the file says 0.0.0.0:18080->80/tcp, the container has"),
    ("portslong", "ports: []", "ports: the file says none, the container has"),
    ("volumes", "volumes: ['.:/project:ro']", "/project read-only, the container has it writable"),
    ("volumes", "volumes: ['./ctx:/project', './new:/new']", "a bind at /new"),
    ("volumes", "volumes: ['named:/data']", "volumes: the file says volume @name@-own at /data"),
    ("volumes", "volumes: [/anonymous]", "nothing at /host/tmp, the container has bind /tmp there"),
    ("hostnet", "network_mode: none", "network_mode: the file says none, the container has host"),
    ("health", "healthcheck: {test: x, interval: 10s}", "interval: the file says 10 s, the container has 90"),
    ("health", "healthcheck: {retries: 4}", "healthcheck retries: the file says 4, the container has 3"),
    ("healthlist", "healthcheck: {disable: true}", "healthcheck test differs"),
    ("sizes", "mem_limit: 128M", "mem_limit: the file says 128 MiB, the container has 256 MiB"),
    ("sizes", "cpus: 2", "cpus: the file says 2, the container has 0.5"),
    ("sizes", "shm_size: 1g", "shm_size: the file says 1 GiB, the container has 128 MiB"),
    ("deploy", "deploy: {resources: {limits: {memory: 1G}}}", "limits.memory: the file says 1 GiB"),
    ("restartalways", "restart: on-failure:2", "restart: the file says on-failure:2, the container has always"),
    ("labels", "labels: {a.b: d, new: ''}", "labels a.b differs; labels new differs"),
    ("names", "container_name: x", "container_name: the file says x, the container has @name@-own"),
    ("names", "user: root\n    working_dir: /", "user: the file says root, the container has 1000:1000"),
    ("names", "stop_grace_period: 90s", "stop_grace_period: the file says 90 s, the container has 60 s"),
    ("names", "hostname: x\n    stop_signal: TERM", "hostname: the file says x, the container has web"),
    ("flags", "privileged: false", "privileged: the file says false, the container has true"),
    ("flags", "read_only: false\n    init: false\n    tty: false", "read_only: the file says false"),
    ("caps", "cap_add: [SYS_TIME]", "cap_add: the file says SYS_TIME, the container has NET_ADMIN, SYS_TIME"),
    ("hostslist", "extra_hosts: ['db.example:10.0.0.2']", "extra_hosts: the file says db.example:10.0.0.2"),
    ("tmpfs", "tmpfs: [/run, /tmp]", "tmpfs: the file says"),
    ("dns", "dns: [10.0.0.2]", "dns: the file says 10.0.0.2, the container has 10.0.0.1"),
    ("limits", "ulimits: {nproc: 1}", "ulimits: the file says"),
    ("limits", "sysctls: {a: 1}\n    group_add: ['1']", "sysctls: the file says a=1"),
    ("anchored", "logging: {driver: local}", "logging driver: the file says local, the container has json-file"),
    ("anchored", "logging: {options: {max-size: 1m}}", "logging option max-size differs"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "body", "said"), CHANGES, ids=[f"{one[0]}-{one[2][:24]}" for one in CHANGES])
def test_a_setting_that_was_changed_and_not_brought_up_is_named(
    service: str, body: str, said: str, stack: Stack
) -> None:
    stack.write({service: body})
    seen = stack.seen(service)
    assert said.replace("@name@", stack.name) in seen.seen
    assert len(seen.rows) == len(seen.differences) >= 1
    if first_version():
        assert "differs" in seen.looked_at


@pytest.mark.skipif(not first_version(), reason="the hash of Compose 2 is not reckoned")
@pytest.mark.parametrize(
    ("service", "body"),
    [
        ("built", "build: {context: ./ctx, args: {A: 2}}"),
        ("depends", "depends_on: [plain]"),
        (
            "shown",
            "expose: ['3000', '8001']\n    platform: linux/amd64\n    profiles: [tools, debug]",
        ),
        ("secured", CORPUS["secured"].replace("100", "101")),
    ],
)
def test_a_change_among_what_is_not_compared_is_seen_by_the_hash(service: str, body: str, stack: Stack) -> None:
    stack.write({service: body})
    seen = stack.seen(service)
    assert "the configuration hash differs and no compared setting does" in seen.seen
    assert seen.hashes == ("differs",)


def test_an_older_version_of_compose_may_reckon_otherwise_so_its_hash_alone_alarms_nobody(stack: Stack) -> None:
    stack.write({"depends": "depends_on: [plain]"})
    older = [with_labels(one, stack, {"com.docker.compose.version": "1.25.5"}) for one in stack.containers("depends")]
    seen = deployed("depends", service_definitions(stack.directory), older, stack.engine.image)
    assert not seen.differences
    assert seen.hashes == ("not computed, made by Compose 1.25.5",)


def test_a_container_without_the_label_is_compared_by_its_settings(stack: Stack) -> None:
    bare = [with_labels(one, stack, {"com.docker.compose.config-hash": None}) for one in stack.containers("sizes")]
    seen = deployed("sizes", service_definitions(stack.directory), bare, stack.engine.image)
    assert (
        seen.looked_at
        == "1 container; 6 of 6 settings and the image compared; configuration hash: none on the container"
    )
    assert seen.seen == "as written"


def test_one_of_two_containers_that_differs_is_named(stack: Stack) -> None:
    one, two = stack.containers("scaled")
    stack.write({"scaled": "scale: 2\n    hostname: web"})
    files = service_definitions(stack.directory)
    inspected = stack.engine.ask("inspect", lambda client: client.api.inspect_container(two.id))
    inspected["Config"]["Hostname"] = "web"
    seen = deployed("scaled", files, [one, _described(inspected)], stack.engine.image)
    assert seen.seen.startswith("hostname: the file says web, the container has ")
    assert f"({one.name})" in seen.seen


# Images ---------------------------------------------------------------------------------------------------------------


def test_a_name_that_means_another_image_now_is_broken(stack: Stack) -> None:
    def image(name: str) -> Image | None:
        return Image("sha256:0123456789abcdef" if name == BASE else name, (), None)

    seen = deployed("plain", service_definitions(stack.directory), stack.containers("plain"), image)
    assert f"image: the file says {BASE}, now 0123456789ab, the container has " in seen.seen


def test_an_image_known_by_several_ids_is_one_image(stack: Stack) -> None:
    files, containers = service_definitions(stack.directory), stack.containers("plain")
    index = Image("sha256:index", (BASE,), None)
    assert not deployed("plain", files, containers, lambda _: index).differences


def test_a_name_that_means_nothing_any_more_is_broken(stack: Stack) -> None:
    seen = deployed("plain", service_definitions(stack.directory), stack.containers("plain"), lambda _: None)
    assert f"image: the file says {BASE}, which names no image any more" in seen.seen


@pytest.mark.parametrize("name", ["docker.io/library/debian:bookworm-slim", "docker.io/debian:bookworm-slim"])
def test_a_name_in_full_is_the_same_name(name: str, stack: Stack) -> None:
    stack.write({"plain": f"image: {name}"})
    later = [with_labels(one, stack, {"com.docker.compose.version": "2.29.1"}) for one in stack.containers("plain")]
    assert not deployed("plain", service_definitions(stack.directory), later, stack.engine.image).differences


# What can't be known --------------------------------------------------------------------------------------------------


def test_a_variable_that_only_the_operators_shell_had_is_not_compared(stack: Stack) -> None:
    body = "mem_limit: ${NOT_SET_HERE:-1g}\n    hostname: ${USER}\n    environment: {A: '${NOT_SET_HERE}x'}"
    stack.write({"sizes": body})
    seen = stack.seen("sizes")
    assert not seen.differences
    assert seen.compared == 1, "of the environment's variables one is left out, and that is said"
    (note,) = seen.notes
    assert "mem_limit (NOT_SET_HERE is set neither in .env nor here)" in note.replace("environment A, ", "")
    assert "hostname (USER is of whoever brought it up)" in note
    if first_version():
        assert seen.hashes[0].startswith("not computed, ")


def test_an_image_whose_name_is_not_known_for_sure_is_compared_by_the_name_it_was_made_from(stack: Stack) -> None:
    stack.write({"plain": "image: debian:${NOT_SET_HERE:-other}"})
    assert stack.seen("plain").left_out == {"image name": "NOT_SET_HERE is set neither in .env nor here"}
    files, containers = service_definitions(stack.directory), stack.containers("plain")
    seen = deployed("plain", files, containers, lambda name: Image(f"sha256:{name}", (), None))
    assert f"image: the file says {BASE}, now debian:bookw, the container has" in seen.seen


def test_a_form_that_is_not_known_leaves_its_setting_out_and_no_more(stack: Stack) -> None:
    stack.write({"sizes": "logging: [x]\n    healthcheck: 5\n    mem_limit: 128M"})
    seen = stack.seen("sizes")
    assert dict(seen.left_out) == dict.fromkeys(("logging", "healthcheck"), "in a form not known here")
    assert seen.seen == "mem_limit: the file says 128 MiB, the container has 256 MiB"


def test_a_variable_that_is_set_here_is_held_against_the_container(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "512m")
    stack.write({"sizes": "mem_limit: ${ONLY_HERE}"})
    assert "mem_limit: the file says 512 MiB, the container has 256 MiB" in stack.seen("sizes").seen


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("extends: {file: other.yml, service: x}", "it extends a service of another file"),
        ("extends: nothing", "it extends nothing, which can't be followed"),
        ("extends: plain", "it extends plain, which can't be followed"),
        ("image: !reset x", "!reset and !override are not merged here"),
        ("ports: !override ['80']", "!reset and !override are not merged here"),
        ("environment: !reset []", "!reset and !override are not merged here"),
        ("extra_hosts: {x: !reset null}", "!reset and !override are not merged here"),
    ],
)
def test_what_cant_be_merged_truly_cant_be_told(body: str, said: str, stack: Stack) -> None:
    stack.write({"plain": body})
    with pytest.raises(CannotTell) as raised:
        stack.seen("plain")
    assert said in str(raised.value)
    assert not stack.seen("tagged").differences, "the others can"


def test_a_service_of_which_nothing_can_be_compared_cant_be_told(stack: Stack) -> None:
    stack.write({"plain": "devices: [x]"})
    with pytest.raises(CannotTell, match="nothing that the files say of service plain can be compared: image"):
        stack.seen("plain")


def test_files_that_it_was_not_brought_up_with_are_said(stack: Stack) -> None:
    labels = {"com.docker.compose.project.config_files": "/srv/docker-compose.yml,/srv/prod.yml"}
    changed = [with_labels(one, stack, labels) for one in stack.containers("plain")]
    seen = deployed("plain", service_definitions(stack.directory), changed, stack.engine.image)
    assert "brought up with docker-compose.yml, prod.yml; looked at here: docker-compose.yml" in seen.notes[0]


# Secrets --------------------------------------------------------------------------------------------------------------


def test_what_may_hold_a_secret_is_named_and_never_shown(stack: Stack) -> None:
    stack.write({"secrets": CORPUS["secrets"].replace("first", CANARY), "labels": f"command: {CANARY}"})
    seen, files = stack.seen("secrets"), service_definitions(stack.directory)
    assert {one.setting for one in seen.differences} == {
        "environment PASSWORD differs",
        "command differs",
        "entrypoint differs",
        "labels auth differs",
        "healthcheck test differs",
    }
    assert CANARY not in repr((seen, seen.rows, seen.seen, seen.notes, files, files.services["secrets"]))
    assert {row["file"] for row in seen.rows} == {"not shown"}


def test_a_mistake_of_ours_shows_no_value_either(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise ValueError(CANARY)

    stack.write({"secrets": CORPUS["secrets"].replace("first", CANARY)})
    monkeypatch.setattr("observe.deployed._Look._hash", mistaken)
    with pytest.raises(CannotTell) as raised:
        stack.seen("secrets")
    told: BaseException | None = raised.value
    while told is not None:
        assert CANARY not in str(told)
        frame = told.__traceback__
        while frame is not None:
            assert CANARY not in repr({k: v for k, v in frame.tb_frame.f_locals.items() if k != "stack"}), (
                frame.tb_frame
            )
            frame = frame.tb_next
        assert told.__suppress_context__
        told = told.__cause__


# Any file -------------------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text("ab$:/.=-", max_size=6)
YAML = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3))
KEYS = st.sampled_from([*sorted(deployed.__globals__["_CHECKS"]), "image", "build", "deploy", "env_file", "extends"])


@settings(max_examples=300)
@given(body=st.dictionaries(KEYS, YAML, max_size=4), override=st.dictionaries(KEYS, YAML, max_size=2))
def test_any_yaml_is_compared_or_words(made: Stack, body: object, override: object) -> None:
    import yaml

    directory = made.directory / "any"
    directory.mkdir(exist_ok=True)
    (directory / "compose.yml").write_text(yaml.safe_dump({"services": {"plain": body}}), encoding="utf-8")
    (directory / "compose.override.yml").write_text(yaml.safe_dump({"services": {"plain": override}}), encoding="utf-8")
    try:
        files = service_definitions(directory)
        seen = deployed("plain", files, made.containers("plain"), lambda _: None)
    except CannotTell as told:
        assert str(told)  # noqa: PT017  the other of two right ends
    else:
        assert seen.seen
        assert 0 <= seen.compared <= seen.settings


# Readers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1", 1), ("1b", 1), ("2k", 2048), ("2KB", 2048), ("1.5m", 1572864), ("1gib", 2**30), (7, 7), ("0.5g", 2**29)],
)
def test_sizes_are_read_as_compose_reads_them(written: object, meant: int) -> None:
    assert size(written) == meant


@pytest.mark.parametrize("written", ["", "x", "1x", "-1", True, None, [], OddInt(8), 1.5])
def test_a_size_in_another_form_is_not_guessed(written: object) -> None:
    with pytest.raises(Unclear):
        size(written)


def test_durations_and_command_lines_are_read_as_compose_reads_them() -> None:
    assert duration("1h2m3s4ms5us6ns", old=False) == 3723_004_005_006
    assert duration("1.5s", old=False) == 1_500_000_000
    assert duration(5, old=True) == 5
    assert words("a 'b c' d\\ e", old=True) == ("a", "b c", "d e")
    assert words(["a b", 1], old=False) == ("a b", "1")


@pytest.mark.parametrize("written", ["", [], None, "a; b", "a \\b", "echo $x", "'", [None], [["a"]], 5])
def test_a_command_line_in_another_form_is_not_guessed(written: object) -> None:
    with pytest.raises(Unclear):
        words(written, old=False)


@pytest.mark.parametrize("key", ["links", "volumes_from", "ipc", "pid", "secrets", "configs", "unheard_of"])
def test_the_hash_of_a_key_that_is_not_known_is_not_reckoned(key: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(f"services: {{web: {{image: x, {key}: [a]}}}}", encoding="utf-8")
    files = service_definitions(tmp_path)
    with pytest.raises(Unclear, match=key):
        config_hash(files.services["web"], files, "sha256:1", "p", tmp_path)
