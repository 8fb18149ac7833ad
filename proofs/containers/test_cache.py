"""The cache, by real Redis servers whose counters are known: open, with a password, and away."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.base_image import BASE, ensure_base
from observe.cache import Cache, Counters, look, password_of
from observe.engine import Container, Engine, Project
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = f"cacheproof{os.getpid()}"
IMAGE = Path(__file__).resolve().parents[2] / "lab/images/redis"
PASSWORD = "pw-of/the cache-4711"  # noqa: S105  a server's that is thrown away
QUIET = ["redis-server", "--save", "", "--protected-mode", "no"]
LOCKED = [*QUIET, "--requirepass", PASSWORD]
STACK: dict[str, dict[str, Any]] = {
    "open": {"command": QUIET},
    "locked": {"command": LOCKED, "environment": {"REDIS_PASSWORD": PASSWORD}},
    "mistaken": {"command": LOCKED, "environment": {"REDIS_PASSWORD": "another-4711"}},
    "needless": {"command": QUIET, "environment": {"REDIS_PASSWORD": PASSWORD}},
    "silent": {"command": LOCKED},
    "client": {
        "command": ["sleep", "1000"],
        "environment": {"REDIS_URL": "redis://:pw-of%2Fthe%20cache-4711@silent:6379/1", "SECRET_KEY": "k" * 20},
    },
    "stopped": {"command": ["true"]},
}


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, Any]]:
    import docker

    ensure_base()
    client = docker.from_env(timeout=300)
    image, _ = client.images.build(path=str(IMAGE), buildargs={"BASE": BASE}, rm=True)
    made: dict[str, Any] = {}
    try:
        for service, settings in STACK.items():
            labels = {"com.docker.compose.project": NAME, "com.docker.compose.service": service}
            made[service] = client.containers.create(
                BASE if settings["command"][0] == "sleep" else image.id,
                name=f"{NAME}-{service}",
                labels=labels,
                network_mode="none",
                **settings,
            )
            made[service].start()
        made["stopped"].wait()
        for service in ("open", "needless"):
            answers(made[service])
        yield made
    finally:
        for one in made.values():
            one.remove(force=True, v=True)
        client.close()


def answers(container: Any) -> None:  # noqa: ANN401  the SDK has no types
    """Wait until it does."""
    deadline = time.monotonic() + 20
    while container.exec_run(["redis-cli", "PING"]).exit_code != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def seen(engine: Engine, service: str, *clients: str) -> Cache:
    project = Project(engine, NAME)
    known = [one for client in clients for one in project.containers(client)]
    return look(engine, project.containers(service), known, 10)


def redis(container: Any, *words: str) -> str:  # noqa: ANN401  likewise
    done = container.exec_run(["redis-cli", *words])
    assert done.exit_code == 0, done.output
    return str(done.output.decode())


def test_hits_and_misses_are_what_was_looked_up(stack: dict[str, Any], engine: Engine) -> None:
    redis(stack["open"], "CONFIG", "RESETSTAT")
    nothing = seen(engine, "open")
    assert (nothing.lookups, nothing.said(1000)) == (0, "nobody has looked anything up, too few to judge")
    assert nothing.holds(0.8, 1000)
    redis(stack["open"], "SET", "there", "1")
    redis(stack["open"], "EVAL", "for n = 1, 800 do redis.call('GET', 'there') end", "0")
    redis(stack["open"], "EVAL", "for n = 1, 199 do redis.call('GET', 'nothing') end", "0")
    few = seen(engine, "open")
    assert (few.hits, few.lookups) == (800, 999)
    assert few.said(1000) == "800 of 999 lookups found something (80.08 %), too few to judge"
    redis(stack["open"], "GET", "nothing")
    just = seen(engine, "open")
    assert just.said(1000) == "800 of 1,000 lookups found something (80 %)"
    assert just.holds(0.8, 1000)
    redis(stack["open"], "GET", "nothing")
    assert not seen(engine, "open").holds(0.8, 1000)
    assert seen(engine, "open").holds(0.8, 1002)
    (row,) = just.rows()
    assert (row["hits"], row["misses"], row["evicted"], row["when it is full"]) == ("800", "200", "0", "noeviction")
    assert just.looked_at.startswith("1,000 lookups of open, which is up for ")


def test_keys_that_had_to_go_and_the_memory_are_shown(stack: dict[str, Any], engine: Engine) -> None:
    redis(stack["open"], "CONFIG", "SET", "maxmemory", "3mb", "maxmemory-policy", "allkeys-lru")
    redis(stack["open"], "EVAL", "for n = 1, 400 do redis.call('SET', 'k' .. n, string.rep('x', 20000)) end", "0")
    (counters,) = seen(engine, "open").counters
    assert counters.evicted > 0
    assert (counters.most, counters.policy) == (3 * 1024**2, "allkeys-lru")
    assert counters.row()["memory"].endswith(" of 3 MiB")


@pytest.mark.parametrize(("service", "clients"), [("locked", ()), ("silent", ("client",)), ("needless", ())])
def test_a_password_is_found_where_an_environment_has_it(
    stack: dict[str, Any], engine: Engine, service: str, clients: tuple[str, ...]
) -> None:
    assert stack
    cache = seen(engine, service, *clients)
    assert cache.counters[0].version.startswith("7")
    assert PASSWORD not in repr(cache)


@pytest.mark.parametrize("service", ["silent", "mistaken"])
def test_a_password_that_is_not_known_is_no_answer(stack: dict[str, Any], engine: Engine, service: str) -> None:
    assert stack
    with pytest.raises(CannotTell, match=r"doesn't say what it has counted: .*(NOAUTH|WRONGPASS)") as raised:
        seen(engine, service)
    assert f"Give the service {service} its password" in raised.value.mend
    assert "4711" not in f"{raised.value!r} {raised.value.mend}"


def test_a_user_who_may_not_ask_is_no_answer(stack: dict[str, Any], engine: Engine) -> None:
    redis(stack["needless"], "ACL", "SETUSER", "default", "-info")
    try:
        with pytest.raises(CannotTell, match="NOPERM") as raised:
            seen(engine, "needless")
    finally:
        redis(stack["needless"], "ACL", "SETUSER", "default", "+info")
    assert raised.value.mend == "Let its default user ask: ACL SETUSER default +info"


def test_a_container_that_is_stopped_waits_for_its_service(stack: dict[str, Any], engine: Engine) -> None:
    assert stack
    with pytest.raises(CannotTell, match=f"the cache's container {NAME}-stopped is exited") as raised:
        seen(engine, "stopped")
    assert raised.value.cause == "service stopped"


def test_a_container_that_is_no_redis_is_no_answer(stack: dict[str, Any], engine: Engine) -> None:
    assert stack
    with pytest.raises(CannotTell, match=r"redis-cli INFO in .*-client can't be run") as raised:
        seen(engine, "client")
    assert raised.value.mend == "Is client a Redis? Name the right service as services.cache."
    assert raised.value.cause == ""


def test_only_an_address_of_this_cache_has_its_password(stack: dict[str, Any], engine: Engine) -> None:
    assert stack
    project = Project(engine, NAME)
    client = project.containers("client")
    found = password_of(project.containers("silent")[0], client)
    assert found is not None
    assert found.reveal() == PASSWORD
    assert password_of(project.containers("open")[0], client) is None


def test_several_are_counted_together_and_who_is_away_is_said(stack: dict[str, Any], engine: Engine) -> None:
    assert stack
    project = Project(engine, NAME)
    both: list[Container] = [
        *project.containers("open"),
        *project.containers("needless"),
        *project.containers("stopped"),
    ]
    cache = look(engine, both, (), 10)
    assert len(cache.rows()) == 2
    assert cache.lookups == sum(one.lookups for one in cache.counters)
    assert " in 2 containers of open" in cache.looked_at
    assert cache.notes == (f"{NAME}-stopped is exited and was not asked",)


def test_memory_without_a_limit_is_said_without_one() -> None:
    one = Counters("redis", "7", timedelta(days=3), 1, 1, 0, 0, 1024**2, 0, "noeviction")
    assert one.row()["memory"] == "1 MiB"
    assert one.row()["up for"] == "3 d"
