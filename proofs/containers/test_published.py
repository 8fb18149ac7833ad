"""Where the ports of the database and the cache are published, and who reaches them there."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from lab.base_image import BASE
from lab.engine import client
from observe.engine import Container, Engine, Project, Settings
from observe.errors import CannotTell
from observe.published import Published, published
from proofs.containers.standing import standing
from proofs.observe.test_services import container

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = f"proofs-published-{os.getpid()}"
EVERYWHERE = "0.0.0.0"  # noqa: S104  what is looked for
SLEEP: dict[str, Any] = {"command": ["sleep", "60"]}
RUNNING: dict[str, dict[str, Any]] = {
    "inside": SLEEP,
    "loopback": {"ports": {"5432/tcp": ("127.0.0.1", None)}, **SLEEP},
    "everywhere": {"ports": {"5432/tcp": (EVERYWHERE, None), "6379/tcp": ("127.0.0.1", None)}, **SLEEP},
    "unsaid": {"ports": {"5432/tcp": None}, **SLEEP},
    "hosts": {"network_mode": "host", **SLEEP},
}
WANTED = ("db", "redis")


@pytest.fixture(scope="module")
def project(engine: Engine) -> Iterator[Project]:
    with standing(PROJECT, RUNNING) as running:
        labels = {"com.docker.compose.project": PROJECT}

        def made(service: str, **given: Any) -> Any:  # noqa: ANN401  the SDK's own
            mine = {**labels, "com.docker.compose.service": service}
            return client().containers.create(BASE, ["sleep", "60"], labels=mine, **given)

        stopped = [
            made("stopped", ports={"5432/tcp": 15432}),
            made("stopped-loopback", ports={"5432/tcp": ("127.0.0.1", 15432)}),
            made("stopped-all", publish_all_ports=True),
            made("borrower", network_mode=f"container:{running['everywhere'].id}"),
        ]
        try:
            yield engine.project(PROJECT)
        finally:
            for one in stopped:
                one.remove(force=True)


def seen(engine: Engine, project: Project, *private: str) -> Published:
    return published(project, private, lambda: engine.drivers, lambda: private)


class Stack:
    """A project whose containers are made up."""

    name = "synk"

    def __init__(self, made: Mapping[str, list[Container]]) -> None:
        self.made = made

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(sorted(service for service, made in self.made.items() if made))

    def containers(self, service: str) -> tuple[Container, ...]:
        return tuple(self.made.get(service, ()))


def of(*containers: Container, drivers: Mapping[str, str] | None = None, wanted: tuple[str, ...] = WANTED) -> Published:
    made: dict[str, list[Container]] = {}
    for one in containers:
        made.setdefault(one.service, []).append(one)
    return published(cast("Project", Stack(made)), WANTED, lambda: drivers or {}, lambda: wanted)


def one(service: str = "db", *addresses: str, networks: tuple[str, ...] = (), **changes: Any) -> Container:  # noqa: ANN401
    settings = replace(Settings("x", {}, {}, {}, (), (), (), {}, {}, {}, (), networks), plain=changes.pop("plain", {}))
    bindings = {"5432/tcp": tuple((address, 15432) for address in addresses)}
    return container(
        **{
            "service": service,
            "name": f"synk_{service}",
            "id": service,
            "published": bindings,
            "settings": settings,
            **changes,
        }
    )


@pytest.mark.parametrize("service", ["inside", "loopback", "stopped-loopback"])
def test_what_only_the_host_reaches_is_private(engine: Engine, project: Project, service: str) -> None:
    found = seen(engine, project, service)
    assert found.open == ()
    found.must_be_told()


@pytest.mark.parametrize("service", ["everywhere", "unsaid", "borrower"])
def test_what_is_published_on_every_address_is_open(engine: Engine, project: Project, service: str) -> None:
    found = seen(engine, project, service)
    assert any(EVERYWHERE in said and "every address of the host" in said for said in found.open)
    assert all("5432/tcp" in said for said in found.open)


def test_what_was_looked_at_is_counted(engine: Engine, project: Project) -> None:
    found = seen(engine, project, "everywhere", "inside")
    assert found.looked_at == "2 containers of everywhere, inside, 2 ports: 2 published"
    assert {one.service for one in found.others} >= {"loopback", "unsaid", "stopped"}


@pytest.mark.parametrize(
    ("service", "port", "where"),
    [("stopped", "5432/tcp", f"{EVERYWHERE}:15432"), ("stopped-all", "every port", f"{EVERYWHERE}:(any)")],
)
def test_one_that_does_not_run_is_judged_by_its_next_start(
    engine: Engine, project: Project, service: str, port: str, where: str
) -> None:
    (said,) = seen(engine, project, service).open
    assert said.startswith(port)
    assert f"will be published at its next start on {where}" in said


def test_in_the_hosts_network_nobody_can_tell(engine: Engine, project: Project) -> None:
    found = seen(engine, project, "hosts")
    assert found.open == ()
    with pytest.raises(CannotTell, match="uses the host's network") as raised:
        found.must_be_told()
    assert "ss -ltnp" in raised.value.mend


def test_in_the_network_of_a_strangers_container_nobody_can_tell() -> None:
    found = of(one(plain={"NetworkMode": "container:elsewhere"}), one("redis"))
    with pytest.raises(CannotTell, match="a container of another project"):
        found.must_be_told()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "every address of the host"),  # noqa: S104
        ("::", "every address of the host"),
        ("", "every address of the host"),
        ("10.0.0.5", "a private address"),
        ("192.168.1.2", "a private address"),
        ("fd00::5", "a private address"),
        ("172.17.0.1", "a private address"),
        ("8.8.8.8", "a public address"),
        ("2600::1", "a public address"),
        ("::ffff:8.8.8.8", "a public address"),
        ("eth0", "an address that can't be read"),
    ],
)
def test_whatever_is_not_loopback_is_open(address: str, kind: str) -> None:
    (said,) = of(one("db", "127.0.0.1", address), one("redis")).open
    assert said.endswith(kind)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_private_however_it_is_written(address: str) -> None:
    assert of(one("db", address), one("redis")).said == "published on loopback alone"


def test_an_address_of_version_6_stands_in_brackets() -> None:
    (said,) = of(one("db", "::"), one("redis")).open
    assert "[::]:15432" in said


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_an_address_of_its_own_needs_no_publishing(driver: str) -> None:
    mine = one(networks=("lan", "synk_default"), addresses=("192.168.1.77",))
    found = of(mine, one("redis"), drivers={"lan": driver, "synk_default": "bridge"})
    assert found.open == ("synk_db has an address of its own (192.168.1.77) in lan, where every port is open",)


def test_a_port_asked_for_as_any_is_any() -> None:
    for said in ("", "8000-8010", "0"):
        bindings = {"PortBindings": {"5432/tcp": [{"HostIp": "", "HostPort": said}], "1/tcp": None}}
        found = of(one(plain=bindings, status="exited"), one("redis"))
        assert "(any)" in found.said


def test_a_service_that_is_wanted_and_has_no_container_cannot_be_told() -> None:
    with pytest.raises(CannotTell, match="service redis of project synk has no container") as raised:
        of(one())
    assert raised.value.cause == "service redis"


def test_a_service_that_nobody_wants_is_said_to_be_none() -> None:
    found = of(one(), wanted=("db",))
    assert found.notes == ("No service redis is wanted, and none is there.",)
    assert found.looked_at.startswith("1 container of db,")


def test_what_is_wanted_is_asked_only_where_something_is_missing() -> None:
    def unreadable() -> tuple[str, ...]:
        raise CannotTell("the Compose file can't be read")

    whole = cast("Project", Stack({"db": [one()], "redis": [one("redis")]}))
    assert published(whole, WANTED, dict, unreadable).containers == 2
    with pytest.raises(CannotTell, match="the Compose file can't be read"):
        published(cast("Project", Stack({"db": [one()]})), WANTED, dict, unreadable)


def test_nothing_to_look_at_is_no_pass() -> None:
    with pytest.raises(CannotTell):
        of(one("web"), wanted=())


def test_a_stack_without_anything_that_is_to_be_private_is_no_pass() -> None:
    with pytest.raises(CannotTell, match="no service of this stack is to be private") as raised:
        published(cast("Project", Stack({"web": [one("web")]})), (), dict, lambda: ["web"])
    assert "ports-private" in raised.value.mend


def test_many_are_said_shortly() -> None:
    found = of(one("db", *(f"10.0.0.{number}" for number in range(1, 11))), one("redis"))
    assert found.said.endswith("and 4 more")
    assert len(found.open) == 10
