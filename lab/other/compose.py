"""Containers, networks and volumes as Compose v2 makes them, for a machine where it can't be had.

Only the keys that the stack's own file has are known here; another one is an error. What is written on them follows
Compose's own sources (pkg/api/labels.go, pkg/compose/create.go): names with hyphens, and labels by which it, and
whoever looks at a stack, finds them again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import yaml

from lab.engine import client
from lab.progress import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from lab.other.stack import OtherStack

VERSION = "2.29.7"
PREFIX = "com.docker.compose."
KNOWN = {
    *("build", "command", "depends_on", "deploy", "env_file", "environment", "healthcheck", "image", "init"),
    *("logging", "ports", "restart", "shm_size", "volumes"),
}
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}
SECOND = 10**9


def build(stack: OtherStack) -> None:
    """Build the images of the services that say how; those that they take the names from are remembered.

    Raises:
        LabError: A build failed, with what it said last.
    """
    import docker

    older = _images(stack)
    for service, one in stack.services().items():
        if "build" not in one:
            continue
        context, given = one["build"]["context"], one["build"].get("args", {})
        try:
            client().images.build(
                path=str(stack.project_directory / context),
                tag=image_of(stack, service, one),
                buildargs=given,
                rm=True,
                forcerm=True,
            )
        except docker.errors.BuildError as failed:
            said = "".join(str(line.get("stream", "")) for line in failed.build_log)
            raise LabError(f"the image of {service} can't be built: {failed.msg}\n{said[-4000:]}") from None
    stack.remember(replaced=sorted({*stack.state().get("replaced", []), *older} - _images(stack)))


def _images(stack: OtherStack) -> set[str]:
    named = {image_of(stack, service, one) for service, one in stack.services().items()}
    return {str(image.id) for name in named for image in client().images.list(name=f"{name}:latest")}


def ensure_network_and_volumes(stack: OtherStack) -> None:
    """Make the project's network and its volumes, unless they are there."""
    engine = client()
    network = f"{stack.project}_default"
    if not engine.networks.list(names=[f"^{network}$"]):
        engine.networks.create(network, driver="bridge", labels=_labels(stack, network="default"))
    there = {volume.name for volume in engine.volumes.list()}
    for name in yaml.safe_load(stack.compose_file.read_text(encoding="utf-8")).get("volumes", {}):
        if f"{stack.project}_{name}" not in there:
            engine.volumes.create(f"{stack.project}_{name}", labels=_labels(stack, volume=name))


def ensure(stack: OtherStack, service: str) -> None:
    """Have all containers of a service, as its file wants them now, and start them.

    One that stands and was made from another file, or another image, is made anew.

    Raises:
        LabError: The file has a key that is not known here.
    """
    one = stack.services()[service]
    if unknown := set(one) - KNOWN:
        raise LabError(f"service {service} has {', '.join(sorted(unknown))}, which lab/other/compose.py doesn't know")
    there = {container.labels[f"{PREFIX}container-number"]: container for container in stack.containers(service)}
    for number in range(1, stack.wanted()[service] + 1):
        labels = container_labels(stack, service, one, number)
        container = there.pop(str(number), None)
        if container is not None and any(container.labels.get(name) != value for name, value in labels.items()):
            container.remove(force=True)
            container = None
        if container is not None:
            if container.status == "paused":
                container.unpause()
            container.start()
        else:
            client().api.start(_created(stack, service, one, number, labels))
    for surplus in there.values():
        surplus.remove(force=True)


def image_of(stack: OtherStack, service: str, one: dict[str, Any]) -> str:
    """The image of a service: the one that it names, else that of project and service."""
    return str(one.get("image") or f"{stack.project}-{service}")


def container_labels(stack: OtherStack, service: str, one: dict[str, Any], number: int) -> dict[str, str]:
    """What Compose v2 writes on a container."""
    written = json.dumps({"name": service, **one}, sort_keys=True)
    return {
        **_labels(stack),
        f"{PREFIX}service": service,
        f"{PREFIX}container-number": str(number),
        f"{PREFIX}oneoff": "False",
        f"{PREFIX}project.working_dir": str(stack.project_directory),
        f"{PREFIX}project.config_files": ",".join(map(str, stack.compose_files)),
        f"{PREFIX}image": str(client().images.get(image_of(stack, service, one)).id),
        f"{PREFIX}depends_on": ",".join(_dependencies(one)),
        # Of what the file says, as Compose's is; its own can't be computed, and nobody compares it with the file.
        f"{PREFIX}config-hash": hashlib.sha256(written.encode()).hexdigest(),
    }


def _labels(stack: OtherStack, **more: str) -> dict[str, str]:
    return {
        f"{PREFIX}project": stack.project,
        f"{PREFIX}version": VERSION,
        **{f"{PREFIX}{name}": value for name, value in more.items()},
    }


def _dependencies(one: dict[str, Any]) -> list[str]:
    """Service, condition, and whether it is restarted with it."""
    given = one.get("depends_on", {})
    wanted = given if isinstance(given, dict) else {name: {} for name in given}
    return [
        f"{name}:{how.get('condition', 'service_started')}:{str(how.get('restart', False)).lower()}"
        for name, how in wanted.items()
    ]


def _created(stack: OtherStack, service: str, one: dict[str, Any], number: int, labels: dict[str, str]) -> str:
    api, name, network = client().api, f"{stack.project}-{service}-{number}", f"{stack.project}_default"
    ports = [_port(entry) for entry in one.get("ports", [])]
    made = api.create_container(
        image_of(stack, service, one),
        command=one.get("command"),
        name=name,
        labels=labels,
        environment=_environment(stack.project_directory, one),
        ports=[inside for inside, _ in ports],
        healthcheck=_health(one.get("healthcheck")),
        host_config=api.create_host_config(
            network_mode=network,
            binds=[f"{stack.project}_{volume}:rw" for volume in one.get("volumes", [])],
            port_bindings=dict(ports),
            restart_policy={"Name": one.get("restart", "no")},
            log_config={"type": one["logging"]["driver"], "config": one["logging"]["options"]},
            mem_limit=_bytes(one["deploy"]["resources"]["limits"]["memory"]),
            shm_size=_bytes(one["shm_size"]) if "shm_size" in one else None,
            init=one.get("init"),
        ),
        networking_config=api.create_networking_config({network: api.create_endpoint_config(aliases=[name, service])}),
    )
    return str(made["Id"])


def _environment(directory: Path, one: dict[str, Any]) -> dict[str, str]:
    """The variables of `env_file`, and over them those of `environment`."""
    files = one.get("env_file", [])
    found: dict[str, str] = {}
    for entry in files if isinstance(files, list) else [files]:
        text = (directory / (entry["path"] if isinstance(entry, dict) else entry)).read_text(encoding="utf-8")
        found.update(line.split("=", 1) for line in text.splitlines() if line)
    own = one.get("environment", {})
    return {**found, **(own if isinstance(own, dict) else dict(line.split("=", 1) for line in own))}


def _port(entry: str) -> tuple[int, tuple[str, str]]:
    """The port inside, and address and port, or a range of them, outside."""
    address, outside, inside = entry.split(":")
    return int(inside), (address, outside)


def _health(given: dict[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    # `$$` is how a Compose file writes `$`.
    test = [str(word).replace("$$", "$") for word in given["test"]]
    spans = {name: int(given[name].removesuffix("s")) * SECOND for name in ("interval", "timeout", "start_period")}
    return {"test": test, "retries": given["retries"], **spans}


def _bytes(size: str) -> int:
    return int(size[:-1]) * UNITS[size[-1]]
