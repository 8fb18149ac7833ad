"""Bringing the Swarm up, and throwing it away."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.base_image import BASE, ensure_base
from lab.engine import client, ensure_engine
from lab.progress import LabError, Steps, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.models.containers import Container

HERE = Path(__file__).parent
IMAGE = "synk-lab-swarm-node"
LABEL = "org.synk.lab.swarm"
STACK = "shop"
NODES = ("node1", "node2", "node3")
STEPS = 4
PORT = "2375/tcp"
START_SECONDS = 40.0
STEADY_SECONDS = 60.0
RIGHTS = [
    *("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYSLOG", "DAC_READ_SEARCH", "LINUX_IMMUTABLE", "IPC_LOCK", "SYS_NICE"),
    *("LEASE", "SYS_TIME"),
]
"""What an engine needs beside an ordinary container's rights. Not `privileged`: that wants every right there is, and a
machine that is itself confined hasn't all of them to give."""


@dataclass(frozen=True)
class SwarmLab:
    """A Swarm and where it is; every name derives from its own.

    Attributes:
        name: What all its things on the machine are called after.
    """

    name: str

    def node(self, name: str) -> Container:
        """The container that is a node.

        Raises:
            LabError: There is none.
        """
        import docker

        try:
            return client().containers.get(f"{self.name}_{name}")
        except docker.errors.NotFound:
            raise LabError(f"the swarm {self.name} has no {name}") from None

    def address(self, name: str = "node1") -> str:
        """Where the engine of a node is asked, such as `tcp://127.0.0.1:49153`."""
        container = self.node(name)
        container.reload()
        return f"tcp://127.0.0.1:{container.ports[PORT][0]['HostPort']}"

    def on(self, node: str, *command: str) -> str:
        """What a command says on a node.

        Raises:
            LabError: It failed.
        """
        ended = self.node(node).exec_run(list(command))
        said = str(ended.output.decode("utf-8", "replace")).strip()
        if ended.exit_code != 0:
            raise LabError(f"{' '.join(command)} on {node} ended with {ended.exit_code}: {said[-500:]}")
        return said

    def docker(self, *words: str, node: str = "node1") -> str:
        """What `docker …` says on a node; as :meth:`on`."""
        return self.on(node, "docker", *words)

    def tasks(self, service: str, template: str = "{{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}}") -> str:
        """The tasks of a service, a line each."""
        return self.docker("service", "ps", "--no-trunc", "--format", template, f"{STACK}_{service}")

    def running(self) -> str:
        """How many of each service run, of how many: `agent 3/3, backend 2/2, db 1/1`."""
        said = self.docker("service", "ls", "--format", "{{.Name}} {{.Replicas}}")
        return ", ".join(sorted(line.removeprefix(f"{STACK}_").partition(" (")[0] for line in said.splitlines()))

    def steady(self) -> None:
        """Wait until every node is ready and active, and everything runs.

        Raises:
            LabError: It doesn't, in a minute.
        """
        wanted = "agent 3/3, backend 2/2, db 1/1"
        ready = "\n".join(["Ready Active"] * len(NODES))

        def seen() -> tuple[str, str]:
            return self.docker("node", "ls", "--format", "{{.Status}} {{.Availability}}"), self.running()

        awaited(seen, lambda both: both == (ready, wanted), STEADY_SECONDS, f"the swarm {self.name} isn't well")


def awaited(look: Callable[[], Any], wanted: Callable[[Any], bool], seconds: float, otherwise: str) -> Any:  # noqa: ANN401
    """Look until what is seen is wanted; what fails meanwhile is looked at again.

    Raises:
        LabError: It isn't in time; the message is `otherwise` and what was seen last.
    """
    deadline = time.monotonic() + seconds
    seen: Any = None
    while True:
        try:
            seen = look()
            if wanted(seen):
                return seen
        except LabError as failed:
            seen = failed
        if time.monotonic() > deadline:
            raise LabError(f"{otherwise} after {seconds:.0f} s: {str(seen)[-500:]}")
        time.sleep(0.2)


def up(swarm: SwarmLab) -> None:
    """Bring three engines up, make one Swarm of them, and deploy the stack; nothing of it may stand already.

    Raises:
        LabError: A step failed, with what the tools said.
        SystemExit: There is no Docker engine and none can be installed.
    """
    steps = Steps(STEPS)
    with steps.step("an image with an engine in it"):
        ensure_engine()
        ensure_base()
        client().images.build(
            path=str(HERE / "image"), tag=IMAGE, buildargs={"BASE": BASE}, network_mode="host", rm=True
        )
    with steps.step("three engines"), ThreadPoolExecutor(len(NODES)) as pool:
        network = client().networks.create(f"{swarm.name}_net", labels={LABEL: swarm.name})
        list(pool.map(lambda one: _start(swarm, one, str(network.name)), NODES))
        list(pool.map(lambda one: awaited(lambda: swarm.docker("info", node=one), bool, START_SECONDS, one), NODES))
        list(pool.map(lambda one: _load(swarm, one), NODES))
    with steps.step("one Swarm of them"):
        first = _ip(swarm, "node1")
        swarm.docker("swarm", "init", "--advertise-addr", first, "--dispatcher-heartbeat", "1s")
        token = swarm.docker("swarm", "join-token", "--quiet", "manager")
        for node in NODES[1:]:
            swarm.docker(
                "swarm", "join", "--token", token, "--advertise-addr", _ip(swarm, node), f"{first}:2377", node=node
            )
    with steps.step("a stack on it"):
        deploy(swarm)
        swarm.steady()
    say(f"the swarm {swarm.name} stands: DOCKER_HOST={swarm.address()}")


def deploy(swarm: SwarmLab) -> None:
    """Deploy the stack as it is written.

    Raises:
        LabError: It failed.
    """
    text = (HERE / "stack.yaml").read_text(encoding="utf-8").replace("@image@", BASE)
    files = {"stack.yaml": text, "database_password": "not-to-be-read\n", "settings": "not: to-be-read\n"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    swarm.on("node1", "mkdir", "-p", "/stack")
    swarm.node("node1").put_archive("/stack", packed.getvalue())
    swarm.docker("stack", "deploy", "--resolve-image", "never", "--compose-file", "/stack/stack.yaml", STACK)


def down(swarm: SwarmLab) -> None:
    """Throw it away; the image stays for the next one."""
    label = {"label": f"{LABEL}={swarm.name}"}
    engine = client()
    for container in engine.containers.list(all=True, filters=label):
        with contextlib.suppress(Exception):
            container.unpause()
        container.remove(force=True, v=True)
    for network in engine.networks.list(filters=label):
        network.remove()
    for volume in engine.volumes.list(filters=label):
        volume.remove(force=True)


def _start(swarm: SwarmLab, node: str, network: str) -> None:
    api = client().api
    volume = client().volumes.create(f"{swarm.name}_{node}", labels={LABEL: swarm.name})
    given = api.create_host_config(
        cap_add=RIGHTS,
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        device_cgroup_rules=["a *:* rwm"],
        binds={str(volume.name): {"bind": "/var/lib/docker", "mode": "rw"}},
        port_bindings={PORT: ("127.0.0.1", None)},
        network_mode=network,
    )
    # What an engine must write for its own containers' networks; the client's library has no word for it.
    given["MaskedPaths"] = given["ReadonlyPaths"] = []
    made = api.create_container(
        IMAGE,
        name=f"{swarm.name}_{node}",
        hostname=node,
        labels={LABEL: swarm.name},
        ports=[int(PORT.partition("/")[0])],
        host_config=given,
    )
    api.start(made["Id"])


def _load(swarm: SwarmLab, node: str) -> None:
    """Hand the base image to a node's engine, which reaches no registry."""
    import docker

    def blocks() -> Iterator[bytes]:
        yield from client().images.get(BASE).save(named=True)

    engine = docker.DockerClient(base_url=swarm.address(node), timeout=120)
    try:
        engine.images.load(blocks())
    finally:
        engine.close()


def _ip(swarm: SwarmLab, node: str) -> str:
    container = swarm.node(node)
    container.reload()
    return str(container.attrs["NetworkSettings"]["Networks"][f"{swarm.name}_net"]["IPAddress"])
