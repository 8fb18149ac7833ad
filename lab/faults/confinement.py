"""Faults of containers, published ports and encryption.

What is done to a container of the stack costs two new ones, there and back, and a database a minute. So it is done to
one more container of the project, such as somebody has made by hand and forgotten: the stack goes on as it was.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from lab.base_image import BASE
from lab.engine import client
from lab.faults.deployment import changed
from lab.faults.fault import Fault, Took
from lab.faults.records import attested_none
from lab.faults.targets import derived
from lab.stack import CHECKOUT
from observe.engine import NUMBER, ONE_OFF, PROJECT, SERVICE
from records.attestations import read
from records.slugs import read_slugs
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from docker.models.containers import Container

    from lab.stack import Lab

OF_ROOT = "backup"
CACHE = "redis"
POOLER = "pooler"
FORGOTTEN = "forgotten"
EVERYWHERE = "0.0.0.0"  # noqa: S104  that is the fault
AT_REST = "encryption-at-rest"
SOCKET = {"/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "ro"}}
MEMORY = "64m"


def published(service: str, port: int, settings: str = "") -> Callable[[Lab], Iterator[Took]]:
    """A fault that has one more container of a service run, published on every address of the host.

    Args:
        service: The service.
        port: The port in the container.
        settings: A table of the target's, where the suite must be told of the service.
    """
    return functools.partial(_published, service, port, settings)


def _published(service: str, port: int, settings: str, lab: Lab) -> Iterator[Took]:
    ports = {f"{port}/tcp": (EVERYWHERE, None)}
    with (
        _one_more(lab, service, mem_limit=MEMORY, ports=ports) as container,
        derived(lab, *([settings] if settings else [])) as target,
    ):
        container.start()
        container.reload()
        found = container.attrs["NetworkSettings"]["Ports"][f"{port}/tcp"] or ()
        addresses = ", ".join(sorted(one["HostIp"] for one in found)) or "nowhere"
        yield Took(f"no port {port} is public", f"port {port} of {container.name} on {addresses}", target)


def forgotten(key: str, **given: Any) -> Callable[[Lab], Iterator[Took]]:  # noqa: ANN401  the SDK's own
    """A fault that makes one more container of the project and doesn't start it: an engine may not be allowed to.

    Args:
        key: What of the engine's description of it shows the fault.
        given: What it is made with, by the SDK's names.
    """
    return functools.partial(_forgotten, key, given)


def _forgotten(key: str, given: Mapping[str, Any], lab: Lab) -> Iterator[Took]:
    with _one_more(lab, FORGOTTEN, **{"mem_limit": MEMORY, **given}) as container:
        yield Took("no such container", _has(container, key))


def forbidden(setting: str, service: str, key: str) -> Callable[[Lab], Iterator[Took]]:
    """A fault that lies in what the settings forbid: the container has been so all along.

    Args:
        setting: The setting of `[containers]` that names the service now.
        service: The service.
        key: What of the engine's description shows that it is so.
    """
    return functools.partial(_forbidden, setting, service, key)


def _forbidden(setting: str, service: str, key: str, lab: Lab) -> Iterator[Took]:
    has = _has(lab.container(service), key)
    with derived(lab, f'[containers]\n{setting} = ["{service}"]\n') as target:
        yield Took(f"{has}, allowed", f"{has}, forbidden by containers.{setting}", target)


def settings_stale(lab: Lab) -> Iterator[Took]:
    """Let the settings forbid something to a service that isn't there, as after it was renamed."""
    with derived(lab, '[containers]\nread_only = ["renamed"]\n') as target:
        yield Took("nothing is forbidden", "something is forbidden to a service `renamed`", target)


def image_old(lab: Lab) -> Iterator[Took]:
    """Let images be a second old at most."""
    with derived(lab, '[limits]\nimage_age = "1 s"\n') as target:
        yield Took("half a year", "a second", target)


def key_unnamed(lab: Lab) -> Iterator[Took]:
    """Have it attested without a key for the backups."""
    before = _covers(lab)
    with changed(load(lab.target_file, {}).attestations, r'(?m)^"backups" = .*\n', ""):
        yield Took(before, _covers(lab))


def attested_long_ago(lab: Lab) -> Iterator[Took]:
    """Have it attested, with both keys, longer ago than a year."""
    before = _covers(lab)
    file = load(lab.target_file, {}).attestations
    with changed(file, rf'(slug = "{AT_REST}"\ndate = )\S+', r"\g<1>2024-01-31"):
        yield Took(before, _covers(lab))


@contextmanager
def _one_more(lab: Lab, service: str, **given: Any) -> Iterator[Container]:  # noqa: ANN401  the SDK's own
    """One more container of the lab's project, which is not started."""
    labels = {
        PROJECT: lab.name,
        SERVICE: service,
        ONE_OFF: "False",
        NUMBER: "99",
    }
    container = client().containers.create(
        BASE,
        ["sleep", "infinity"],
        name=f"{lab.name}_{service}_{labels[NUMBER]}",
        labels=labels,
        init=True,
        log_config={"type": "json-file", "config": {"max-size": "1m"}},
        **given,
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def _has(container: Container, key: str) -> str:
    found = {**container.attrs, **container.attrs["Config"], **container.attrs["HostConfig"]}
    return f"{key}: {found[key]!r}"


def _covers(lab: Lab) -> str:
    """What the attestation of encryption names and when it was made; nothing of it is a secret."""
    last = read(load(lab.target_file, {}).attestations, read_slugs(CHECKOUT), date.max).latest(AT_REST)
    return "never attested" if last is None else f"attested on {last.date}: {', '.join(last.covers) or 'no key'}"


def _confined(*services: str) -> tuple[str, ...]:
    return tuple(f"containers-confined[{service}]" for service in services)


OTHERS = _confined("(others)")
OF_ALL = _confined("db", "redis", "backend", "nginx", "backup")
FAULTS = (
    Fault(
        "database-published",
        ("ports-private", "deployed-as-written[db]"),
        "One more container of the database is published on every address.",
        published("db", 5432),
    ),
    Fault(
        "pooler-published",
        ("ports-private",),
        "A pooler is published on every address.",
        published(POOLER, 6432, f'[services]\npooler = "{POOLER}"\n'),
    ),
    Fault(
        "container-privileged",
        OTHERS,
        "Somebody's container is privileged.",
        forgotten("Privileged", privileged=True),
    ),
    Fault(
        "container-as-root",
        _confined(OF_ROOT),
        "A container's processes are root's, which is forbidden.",
        forbidden("not_root", OF_ROOT, "User"),
    ),
    Fault(
        "container-writable-root",
        _confined(CACHE),
        "A container can write to its root file system, which is forbidden.",
        forbidden("read_only", CACHE, "ReadonlyRootfs"),
    ),
    Fault(
        "container-with-engine-socket",
        OTHERS,
        "Somebody's container has the engine's socket.",
        forgotten("Binds", volumes=SOCKET),
    ),
    Fault(
        "container-without-memory-limit",
        OTHERS,
        "Somebody's container may use all memory there is.",
        forgotten("Memory", mem_limit=None),
    ),
    Fault(
        "container-with-capability",
        OTHERS,
        "Somebody's container has a capability more than usual.",
        forgotten("CapAdd", cap_add=["NET_ADMIN"]),
    ),
    Fault(
        "container-in-host-network",
        OTHERS,
        "Somebody's container uses the host's network.",
        forgotten("NetworkMode", network_mode="host"),
    ),
    Fault(
        "container-settings-stale",
        (),
        "The settings forbid something to a service that isn't there.",
        settings_stale,
        blinds=OTHERS,
    ),
    Fault("image-old", OF_ALL, "Images are older than they may be.", image_old),
    Fault(
        "encryption-unattested",
        (AT_REST,),
        "Nobody says that what is kept is encrypted.",
        functools.partial(attested_none, AT_REST, CHECKOUT),
    ),
    Fault("encryption-key-unnamed", (AT_REST,), "The backups' key is not named.", key_unnamed),
    Fault("encryption-attested-long-ago", (AT_REST,), "The keys were named too long ago.", attested_long_ago),
)
