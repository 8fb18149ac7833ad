"""The five questions of the decision tree: each figure on both sides of its limit, and what the guide advises."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.base_image import BASE, ensure_base
from observe.database import Connection, Connections
from observe.engine import Engine, Health, Project, Settings, fingerprint
from observe.error_rate import ErrorRate
from observe.errors import CannotTell
from observe.filesystems import FileSystems
from observe.host import Host
from observe.processor import Allowance, Busy, Processor, allowance, processor, sampled
from observe.requests_seen import Requests
from observe.response_times import response_times
from observe.scaling import (
    Already,
    balanced,
    cached,
    database_cpu,
    errors,
    fullest,
    pooled,
    response,
    users,
)
from proofs.containers.postgres import Postgres, running
from proofs.observe.test_services import container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from observe.engine import Container

NOT_THERE = Already(there=False, said="there is none")
THERE = Already(there=True, said="there it is")
MAKING = "while :; do :; done"
WELL, ILL = Health("healthy", timedelta(0), ""), Health("unhealthy", timedelta(0), "")
NET = "stack_default"


def never() -> Any:  # noqa: ANN401  whatever would be looked for
    pytest.fail("the advice is looked for although the figure isn't over its limit")


# The processor -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def containers() -> Iterator[dict[str, Any]]:
    """One that is held to a fifth of a processor and takes it, one that does nothing, one that has ended."""
    import docker

    ensure_base()
    client = docker.from_env(timeout=60)
    labels = {"com.docker.compose.project": "unitproof-processor", "com.docker.compose.service": "db"}
    held = {"cpu_period": 100_000, "cpu_quota": 20_000}
    made: dict[str, Any] = {}
    try:
        for name, command, more in (("busy", MAKING, held), ("idle", "sleep 600", {}), ("ended", "exit 3", {})):
            made[name] = client.containers.run(
                BASE, ["sh", "-c", command], detach=True, labels=labels, init=True, **more
            )
        made["ended"].wait()
        yield made
    finally:
        for one in made.values():
            one.remove(force=True)
        client.close()


def seen_of(engine: Engine, made: Any) -> Container:  # noqa: ANN401
    return next(one for one in Project(engine, "unitproof-processor").containers("db") if one.id == made.id)


def test_who_computes_is_busier_than_who_sleeps(engine: Engine, containers: dict[str, Any]) -> None:
    both = [seen_of(engine, containers[name]) for name in ("idle", "busy")]
    seen = processor(engine, both, timedelta(seconds=0.5))
    idle, busy = seen.busy
    assert seen.busiest == busy
    assert busy.allowance == Allowance(0.2, "its limit of 0.2 processors")
    assert idle.share < 0.1 < busy.share < 2
    assert busy.span >= timedelta(seconds=0.4), "the engine's own clock"
    assert (
        seen.said == f"{seen.figure} of its limit of 0.2 processors over {seen.rows()[0]['used'].split(' in ')[1]}, "
        "the busiest of 2"
    )
    assert seen.looked_at.startswith("2 samples of 2 containers, ")
    assert [row["container"] for row in seen.rows()] == [busy.container, idle.container]


def test_what_the_engine_counts_is_what_the_kernel_counts(engine: Engine, containers: dict[str, Any]) -> None:
    busy = containers["busy"]
    read = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage || sed -n 's/usage_usec \\(.*\\)/\\1000/p' /sys/fs/cgroup/cpu.stat"

    def by_the_kernel() -> float:
        return float(busy.exec_run(["sh", "-c", f"({read}) 2>/dev/null"]).output.split()[0]) / 1e9

    before = by_the_kernel()
    seen = processor(engine, [seen_of(engine, busy)], timedelta(seconds=0.3))
    assert 0 < seen.busy[0].used <= by_the_kernel() - before


def test_without_a_container_that_runs_nobody_can_tell(engine: Engine, containers: dict[str, Any]) -> None:
    with pytest.raises(CannotTell, match="is exited") as failed:
        processor(engine, [seen_of(engine, containers["ended"])], timedelta(seconds=0.1))
    assert failed.value.cause == "service db"


def test_one_that_is_gone_cant_be_told(engine: Engine, containers: dict[str, Any]) -> None:
    gone = replace(seen_of(engine, containers["idle"]), id="0" * 64)
    with pytest.raises(CannotTell, match="is gone"):
        processor(engine, [gone], timedelta(seconds=0.1))


def test_two_samples_of_different_lives_are_none(
    engine: Engine, containers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = containers["busy"]
    between = SimpleNamespace(sleep=lambda _seconds: busy.restart(timeout=0))
    monkeypatch.setattr("observe.processor.time", between)
    with pytest.raises(CannotTell, match="was started anew between the two samples"):
        processor(engine, [seen_of(engine, busy)], timedelta(seconds=0.1))


COUNTED = {
    "read": "2026-11-24T10:00:00.123456789Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 5_000_000}, "online_cpus": 4},
}


def test_a_sample_is_read_from_either_version_of_cgroups() -> None:
    two = sampled(COUNTED, "db")
    assert (two.at, two.used, two.processors) == (datetime(2026, 11, 24, 10, 0, 0, 123456, UTC), 5_000_000, 4)
    one = {**COUNTED, "cpu_stats": {"cpu_usage": {"total_usage": 7, "percpu_usage": [3, 4]}}}
    assert (sampled(one, "db").used, sampled(one, "db").processors) == (7, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"cpu_stats": {}},
        {"cpu_stats": {"cpu_usage": {"total_usage": 0}, "online_cpus": 2}},
        {"cpu_stats": {"cpu_usage": {"total_usage": 5}}},
        {"cpu_stats": None},
        {"read": "0001-01-01T00:00:00Z"},
        {"read": "soon"},
        {"read": "2026-11-24T10:00:00"},
    ],
    ids=["nothing", "not-counted", "no-processors", "none", "not-running", "no-time", "no-zone"],
)
def test_what_the_engine_doesnt_count_is_no_idle_database(changes: dict[str, Any]) -> None:
    with pytest.raises(CannotTell, match="doesn't say how much of the processor db has used"):
        sampled({**COUNTED, **changes}, "db")


@pytest.mark.parametrize(
    ("configured", "processors", "said"),
    [
        ({}, 4.0, "the host's 4 processors"),
        ({"NanoCpus": 0, "CpuQuota": -1, "CpuPeriod": 100_000, "CpusetCpus": ""}, 4.0, "the host's 4 processors"),
        ({"NanoCpus": 500_000_000}, 0.5, "its limit of 0.5 processors"),
        ({"NanoCpus": 1_000_000_000}, 1.0, "its limit of 1 processor"),
        ({"CpuQuota": 150_000}, 1.5, "its limit of 1.5 processors"),
        ({"CpuQuota": 50_000, "CpuPeriod": 200_000}, 0.25, "its limit of 0.25 processors"),
        ({"CpusetCpus": "0-1,3"}, 3.0, "the 3 processors of its set"),
        ({"CpusetCpus": "1"}, 1.0, "the 1 processor of its set"),
        ({"CpusetCpus": "what"}, 4.0, "the host's 4 processors"),
        ({"CpusetCpus": "0-2", "NanoCpus": 2_000_000_000}, 2.0, "its limit of 2 processors"),
        ({"NanoCpus": 64_000_000_000}, 4.0, "the host's 4 processors"),
    ],
)
def test_a_share_is_one_of_what_may_be_used(configured: dict[str, Any], processors: float, said: str) -> None:
    assert allowance(configured, 4) == Allowance(processors, said)


@given(used=st.floats(0, 100), span=st.floats(0.1, 60), may=st.floats(0.01, 256))
def test_the_busiest_counts(used: float, span: float, may: float) -> None:
    one = Busy("a", used, timedelta(seconds=span), Allowance(may, "x"))
    other = Busy("b", used / 2, timedelta(seconds=span), Allowance(may, "x"))
    seen = Processor((other, one))
    assert seen.share == one.share
    assert one.share == pytest.approx(used / (one.span.total_seconds() * may))


def test_the_database_is_busy_above_its_limit_and_not_at_it() -> None:
    def at(used: float) -> Processor:
        return Processor((Busy("db", used, timedelta(seconds=2), Allowance(0.5, "half of one")),))

    calm = database_cpu(at(0.8), 0.8, never)
    assert (calm.taken, calm.already, calm.figure) == ("no", None, "80 %")
    busy = database_cpu(at(0.81), 0.8, lambda: NOT_THERE)
    assert (busy.taken, busy.there) == ("yes", "")
    assert busy.said == "81 % of half of one over 2 s; there is none"
    assert database_cpu(at(0.81), 0.8, lambda: THERE).taken == "there"


# A pooler ------------------------------------------------------------------------------------------------------------


@dataclass
class Stack:
    """Services and their containers, for what no real stack here would show."""

    made: dict[str, list[Container]] = field(default_factory=dict)

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(sorted(service for service, made in self.made.items() if made))

    def containers(self, service: str) -> tuple[Container, ...]:
        return tuple(self.made.get(service, ()))


def stack(**made: list[Container]) -> Project:
    return cast("Project", Stack(made))


def one(
    image: str = "x",
    *,
    command: tuple[str, ...] = (),
    entrypoint: tuple[str, ...] = (),
    networks: tuple[str, ...] = (NET,),
    port: bool = False,
    **changes: Any,  # noqa: ANN401
) -> Container:
    words = (tuple(map(fingerprint, command)), tuple(map(fingerprint, entrypoint)))
    settings = Settings(image, {}, {}, {}, *words, (), {}, {}, {}, (), networks)
    published = {"80/tcp": (("0.0.0.0", 80),)} if port else {"80/tcp": ()}  # noqa: S104
    return container(
        settings=settings, published=published, **{"health": WELL, "addresses": ("172.18.0.9",), **changes}
    )


def sessions(*clients: str) -> Callable[[], Connections]:
    return lambda: Connections(
        tuple(Connection(n, "app", "db", "", client, "active", own=False) for n, client in enumerate(clients))
    )


@pytest.mark.parametrize(
    "pooler",
    [
        one("edoburu/pgbouncer:1.23"),
        one("bitnami/pgbouncer"),
        one("registry.example/team/pgpool-II:4"),
        one("ghcr.io/postgresml/pgcat:latest"),
        one("our_odyssey"),
        one("supabase/supavisor:2"),
        one("debian:12", command=("pgbouncer", "/etc/pgbouncer.ini")),
        one("debian:12", command=("/usr/sbin/pgbouncer", "-u", "x")),
        one("debian:12", entrypoint=("/usr/bin/odyssey",), command=("/etc/odyssey.conf",)),
    ],
)
def test_a_pooler_is_known_by_its_image_or_its_command(pooler: Container) -> None:
    seen = pooled(stack(front=[pooler], db=[one("postgres")]), "", sessions("172.18.0.9/32", "172.18.0.4"))
    assert seen == Already(there=True, said="the pooler front runs and has 1 session with the database")


@pytest.mark.parametrize(
    "other",
    [
        one("prometheuscommunity/pgbouncer-exporter"),
        one("a-space-odyssey2001game"),
        one("postgres", command=("sh", "-c", "pgbouncer")),
        one("pgadmin4"),
    ],
)
def test_what_only_sounds_like_one_is_none(other: Container) -> None:
    assert pooled(stack(other=[other]), "", never) == Already(there=False, said="there is no pooler")


def test_a_pooler_that_nobody_connects_through_is_none() -> None:
    seen = pooled(stack(pool=[one("pgbouncer")]), "", sessions("172.18.0.4/32", "local"))
    assert seen == Already(there=False, said="the pooler pool runs, but the database has no session from it")


@pytest.mark.parametrize("changes", [{"status": "exited"}, {"status": "paused"}, {"health": ILL}])
def test_a_pooler_that_is_ill_is_none(changes: dict[str, Any]) -> None:
    seen = pooled(stack(pool=[one("pgbouncer", **changes)]), "", never)
    assert seen == Already(there=False, said="the pooler pool is there and doesn't run, or isn't healthy")


def test_a_pooler_may_be_named() -> None:
    assert pooled(stack(pool=[one("own/image")]), "pool", sessions("172.18.0.9")).there
    assert pooled(stack(other=[one("pgbouncer")]), "pool", never).said == (
        "there is no pooler: no container of a service pool"
    )


def test_of_a_pooler_without_an_address_nobody_knows_who_connects_through_it() -> None:
    seen = pooled(stack(pool=[one("pgbouncer", addresses=(), networks=("host",))]), "", never)
    assert seen.there
    assert seen.notes == ("whether anybody connects through pool isn't known: it has no address of its own",)


# Users and backends --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as postgres:
        with postgres.connect() as chief:
            chief.execute("CREATE TABLE people (id int PRIMARY KEY, is_active bool NOT NULL)")
            chief.execute("INSERT INTO people SELECT n, n > 5 FROM generate_series(1, 1006) AS n")
            chief.execute("CREATE TABLE nobody (id int, is_active bool)")
            chief.execute("CREATE TABLE others (id int)")
        yield postgres


def test_users_are_those_who_may_log_in(server: Postgres) -> None:
    database = server.database()
    try:
        few = users(database, "people", 1001, never, 5)
        many = users(database, "public.people", 1000, lambda: NOT_THERE)
        several = users(database, "people", 1000, lambda: THERE)
        with pytest.raises(CannotTell, match="nobody has no user at all"):
            users(database, "nobody", 1000, never)
        with pytest.raises(CannotTell, match="is_active"):
            users(database, "others", 1000, never)
    finally:
        database.close()
    assert (few.value, few.figure, few.taken, few.already) == (1001, "1,001", "no", None)
    assert few.looked_at == "1,006 rows of people"
    assert few.notes == ("5 more may not log in and don't count",)
    assert (many.taken, many.said) == ("yes", "1,001 users may log in; there is none")
    assert (several.taken, several.there) == ("there", "there it is")


def test_two_backends_behind_a_proxy_are_several() -> None:
    there = stack(backend=[one(), one()], nginx=[one(port=True)], backup=[one()], db=[one("postgres", port=True)])
    seen = balanced(there, "backend", 2, ("db", "redis", ""))
    assert seen == Already(there=True, said="2 of 2 containers of backend run and are healthy, behind nginx")
    assert not balanced(there, "backend", 3, ("db",)).there


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (one(status="exited"), "1 of 2 containers of backend runs and is healthy, behind nginx"),
        (one(status="paused"), "1 of 2 containers of backend runs and is healthy, behind nginx"),
        (one(health=ILL), "1 of 2 containers of backend runs and is healthy, behind nginx"),
        (one(networks=("elsewhere",)), "1 of 2 containers of backend runs and is healthy, behind nginx"),
    ],
    ids=["exited", "paused", "ill", "out-of-reach"],
)
def test_a_backend_that_serves_nobody_is_none(second: Container, said: str) -> None:
    seen = balanced(stack(backend=[one(), second], nginx=[one(port=True)]), "backend", 2, ())
    assert seen == Already(there=False, said=said)


def test_a_backend_without_a_health_check_counts_while_it_runs() -> None:
    assert balanced(stack(backend=[one(health=None), one()], nginx=[one(port=True)]), "backend", 2, ()).there


def test_each_proxy_is_counted_by_itself() -> None:
    here, there = one(networks=("a",)), one(networks=("b",))
    split = stack(backend=[here, there], one=[one(port=True, networks=("a",))], two=[one(port=True, networks=("b",))])
    assert not balanced(split, "backend", 2, ()).there
    host = stack(backend=[here, there], nginx=[one(networks=("host",))])
    assert balanced(host, "backend", 2, ()).there


def test_what_publishes_no_port_or_is_a_database_is_no_proxy() -> None:
    for other in ({"worker": [one()]}, {"db": [one(port=True)]}, {"nginx": [one(port=True, status="exited")]}):
        assert not balanced(stack(backend=[one(), one()], **other), "backend", 2, ("db",)).there


def test_a_proxy_outside_of_the_project_is_led_to_published_ports() -> None:
    seen = balanced(stack(backend=[one(port=True), one(port=True)]), "backend", 2, ())
    assert seen == Already(there=True, said="2 of 2 containers of backend run and are healthy, each on a port")


def test_a_project_without_backends_has_none() -> None:
    assert not balanced(stack(nginx=[one(port=True)]), "backend", 2, ()).there


# Response times and a cache ------------------------------------------------------------------------------------------


def test_a_site_is_slow_above_its_limit_and_not_at_it() -> None:
    def took(milliseconds: int) -> Any:  # noqa: ANN401
        return response_times(Counter({milliseconds: 100}), "the log", "100 requests", ("a note",))

    second = timedelta(seconds=1)
    assert response(took(1000), second, never).taken == "no"
    slow = response(took(1001), second, lambda: NOT_THERE)
    assert (slow.taken, slow.value, slow.looked_at) == ("yes", 1.001, "100 requests")
    assert slow.said.endswith("(100 requests) by the log; there is none")
    assert slow.notes == ("a note",)
    assert response(took(1001), second, lambda: THERE).taken == "there"


def test_a_cache_counts_when_it_is_asked() -> None:
    redis = stack(redis=[one("redis")])
    assert cached(redis, "redis", lambda: 1200) == Already(
        there=True, said="the cache redis runs and has served 1,200 lookups"
    )
    assert cached(redis, "redis", lambda: 0) == Already(
        there=False, said="the cache redis runs, but nobody has looked anything up in it"
    )
    assert not cached(stack(redis=[one(health=ILL)]), "redis", never).there
    assert not cached(stack(redis=[one(status="exited")]), "redis", never).there
    assert cached(stack(), "redis", never).said == "there is no cache: no container of a service redis"
    assert not cached(stack(), "", never).there


# Disks and errors ----------------------------------------------------------------------------------------------------


def disks(**paths: str) -> FileSystems:
    return FileSystems(Host("local://", 10), {**paths})


def test_the_fullest_disk_counts() -> None:
    there = disks(root="/", other="/tmp")  # noqa: S108
    full = there.of("root").space.share
    assert full is not None
    seen = fullest(there, ["root", "other"], 1.0, 0)
    assert (seen.taken, seen.looked_at) == ("no", "2 of 2 file systems")
    assert fullest(there, ["root"], float(full), 0).taken == "no"
    assert fullest(there, ["root"], float(full) - 0.01, 0).taken == "yes"
    assert fullest(there, ["root"], 1.0, 0).figure == str(full)


def test_a_disk_that_cant_be_seen_is_told_unless_another_is_too_full() -> None:
    there = disks(root="/", gone="/nowhere/at/all")
    with pytest.raises(CannotTell, match="1 of 2 file systems can't be looked at, and none of the others is too full"):
        fullest(there, ["root", "gone"], 1.0, 0)
    seen = fullest(there, ["root", "gone"], 0.0, 0)
    assert (seen.taken, seen.looked_at) == ("yes", "1 of 2 file systems")
    assert "gone can't be looked at" in seen.notes[0]
    with pytest.raises(CannotTell, match=r"^df can't look at /nowhere"):
        fullest(there, ["gone"], 0.0, 0)


def test_disks_of_no_size_to_judge_are_no_verdict() -> None:
    with pytest.raises(CannotTell, match="none of the 1 file systems is of a size to be judged"):
        fullest(disks(root="/"), ["root"], 0.8, 1 << 62)


def rate(requests: int, failed: int) -> Requests:
    counts = ErrorRate(
        requests, failed, 0, 0, 0, {200: requests - failed, 500: failed}, (("/a", failed),), (), None, None
    )
    return Requests(counts, f"{requests} requests", ("a note",))


@pytest.mark.parametrize(
    ("requests", "failed", "taken", "figure"),
    [
        (100, 1, "no", "1 % (1 of 100)"),
        (200, 2, "no", "1 %"),
        (199, 2, "yes", "1.005025 %"),
        (10, 1, "no", "10 % (1 of 10)"),
        (100, 0, "no", "0 %"),
    ],
)
def test_more_than_one_in_a_hundred_is_too_much(requests: int, failed: int, taken: str, figure: str) -> None:
    seen = errors(rate(requests, failed), 0.01, 2)
    assert (seen.taken, seen.figure) == (taken, figure)
    assert (seen.looked_at, seen.notes) == (f"{requests} requests", ("a note",))


def test_no_request_is_no_rate() -> None:
    with pytest.raises(CannotTell, match="no request was seen"):
        errors(rate(0, 0), 0.01, 2)
