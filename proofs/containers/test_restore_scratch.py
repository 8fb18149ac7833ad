"""A scratch server that is cut off from everything, and of which nothing is left, whatever ends the run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from observe.engine import ONE_OFF, PROJECT, Engine
from observe.errors import CannotTell
from observe.restore import scratch as module
from observe.restore.scratch import LABEL, TARGET, UNTIL, remove_leftovers
from proofs.containers.drills import ROWS_OF_SALE, containers, packed, remains, volumes
from proofs.containers.drills import TARGET as OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proofs.containers.drills import Stock

ROOT = Path(__file__).resolve().parents[2]
SLEEPS = b"SELECT pg_sleep(600);\n\n"


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=60)
    yield client
    client.close()


def test_it_is_like_the_live_one_and_empty(live: Stock) -> None:
    with live.scratch() as there:
        asked = {"restore_cluster", "restore_roles", "restore_relations"}
        seen, mine = there.ask_together(sorted(asked), 30), live.live.ask_together(sorted(asked), 30)
    same = ("version", "database", "encoding", "collate", "ctype", "provider", "locale")
    assert {name: seen["restore_cluster"][0][name] for name in same} == {
        name: mine["restore_cluster"][0][name] for name in same
    }
    assert seen["restore_roles"] == mine["restore_roles"]
    assert [one["first"] for one in seen["restore_roles"]] == [True, False, False]
    assert len(seen["restore_relations"]) < len(mine["restore_relations"])


def test_it_is_cut_off_and_limited(live: Stock, client: docker.DockerClient) -> None:
    with live.scratch("cut off") as there:
        seen = client.api.inspect_container(there.id)
        host, labels = seen["HostConfig"], seen["Config"]["Labels"]
        assert (host["NetworkMode"], host["CapDrop"], host["Privileged"]) == ("none", ["ALL"], False)
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["Memory"] == host["MemorySwap"] == 512 * 1024**2
        assert 0 < host["NanoCpus"] <= 2e9
        assert (host["CpuShares"], host["PidsLimit"], host["AutoRemove"]) == (128, 256, True)
        assert host["RestartPolicy"]["Name"] in {"", "no"}
        assert not host["Binds"]
        assert seen["Image"] == live.source.image
        assert seen["Config"]["User"] == "postgres"
        assert (labels[LABEL], labels[TARGET]) == ("cut off", OURS)
        assert int(labels[UNTIL]) > time.time()
        # What is found by Compose's labels doesn't find it.
        assert (labels[PROJECT], labels[ONE_OFF]) == ("", "True")
        status, said = client.containers.get(there.id).exec_run(["sh", "-c", "cat /proc/net/dev | tail -n +3; id -u"])
        interfaces = [line.split(":")[0].strip() for line in said.decode().splitlines() if ":" in line]
        assert (status, interfaces) == (0, ["lo"])
        assert said.decode().split()[-1] != "0"


def test_nothing_is_left_when_it_ends_well(live: Stock, client: docker.DockerClient) -> None:
    with live.scratch("well") as there:
        names = volumes(client, there.id)
        assert names == [], "an engine that is stopped would leave it behind"
    assert remains(client, "well", names, 0) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, CannotTell, ZeroDivisionError, SystemExit])
def test_nothing_is_left_when_it_ends_badly(
    live: Stock, client: docker.DockerClient, error: type[BaseException]
) -> None:
    names: list[str] = []

    def end(_: object) -> None:
        raise error("x")

    with pytest.raises(error), live.scratch("badly") as there:  # noqa: PT012  what it leaves is asked in between
        names += volumes(client, there.id)
        end(there)
    assert remains(client, "badly", names, 0) == []


@pytest.mark.parametrize("where", ["_start", "_found_database"])
def test_nothing_is_left_when_it_is_interrupted_while_it_is_made(
    live: Stock, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Scratch, where, interrupted)
    with pytest.raises(KeyboardInterrupt), live.scratch("early"):
        pass
    assert remains(client, "early", [], 0) == []


RUN = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the proofs by nohup has it ignored
from datetime import UTC, datetime
from pathlib import Path
from observe.database import Address, Database
from observe.engine import Engine, _described
from observe.host import Host
from observe.restore.drill import Allowed, Means, drill
from target.kinds import Secret, Size
from target.model import Restore
import docker

url, container, port, password, path, token = sys.argv[1:]
source = _described(docker.from_env().api.inspect_container(container))
live = Database(lambda: Address("127.0.0.1", int(port), "stock", "ops", Secret(password)), 10, token)
limits = Restore(memory=Size(512 * 1024**2), disk_left=Size(0))
means = Means(Engine(url, 10), source, live, Host("local://", 10), limits, "drilled", token, 300, 30)
allowed = Allowed(0.1, 10, {"activity": "public.activity", "activity_at": "at"})
drill(means, Path(path), datetime.now(UTC), allowed, lambda *_: print("loading", flush=True))
"""


@contextmanager
def loading(live: Stock, path: Path, token: str, url: str = "") -> Iterator[subprocess.Popen[str]]:
    """A run of its own that is in the middle of loading a dump."""
    packed(path, live.text.replace(ROWS_OF_SALE, SLEEPS + ROWS_OF_SALE, 1))
    from proofs.containers.postgres import PASSWORDS

    address = [live.source.id, str(live.server.port), PASSWORDS["ops"], str(path), token]
    command = [sys.executable, "-c", RUN, url, *address]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            assert run.stderr is not None
            assert run.stdout.readline() == "loading\n", run.stderr.read()
            yield run
        finally:
            run.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_a_run_that_is_ended(
    live: Stock, client: docker.DockerClient, tmp_path: Path, number: signal.Signals
) -> None:
    token = f"ended by {number.name}"
    with loading(live, tmp_path / "backup.sql.gz", token) as run:
        (container,) = containers(client, token)
        names = volumes(client, container)
        run.send_signal(number)
        run.wait(60)
    assert run.returncode != 0
    assert remains(client, token, names) == []


def test_it_doesnt_outlive_its_time(live: Stock, client: docker.DockerClient) -> None:
    with live.scratch("short-lived", seconds=8) as there:
        assert remains(client, "short-lived", volumes(client, there.id), 20) == []
        with pytest.raises(CannotTell):
            there.ask("restore_roles")


def leave(client: docker.DockerClient, live: Stock, token: str, *, start: bool, until: float) -> str:
    """A container as a run leaves it that was killed at a bad moment."""
    made = client.api.create_container(
        live.source.image,
        ["sleep", "600"],
        entrypoint=[],
        labels={LABEL: token, TARGET: OURS, UNTIL: str(int(until))},
        host_config=client.api.create_host_config(network_mode="none"),
    )["Id"]
    if start:
        client.api.start(made)
    return str(made)


def test_what_earlier_runs_left_behind_is_removed_and_what_lives_is_not(
    live: Stock, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    late = leave(client, live, "late", start=True, until=now - 3600)
    ended = leave(client, live, "ended", start=True, until=now + 3600)
    client.api.kill(ended)
    made = leave(client, live, "made", start=False, until=now + 3600)
    living = leave(client, live, "living", start=True, until=now + 3600)
    try:
        names = [name for one in (late, ended, made) for name in volumes(client, one)]
        assert len(remove_leftovers(Engine("", 10), "another target")) == 0
        assert len(remove_leftovers(Engine("", 10), OURS)) == 2
        assert containers(client, "made") == [made], "another run may be about to start it"
        monkeypatch.setattr(module, "_MAKING", -module._MAKING)
        assert len(remove_leftovers(Engine("", 10), OURS)) == 1
        assert [remains(client, token, names, 0) for token in ("late", "ended", "made")] == [[], [], []]
        assert containers(client, "living") == [living]
    finally:
        for one in (late, ended, made, living):
            with contextlib.suppress(docker.errors.NotFound):
                client.api.remove_container(one, force=True, v=True)


def test_two_drills_at_once_leave_each_other_alone(live: Stock) -> None:
    with live.scratch("one") as one, live.scratch("two") as two:
        assert remove_leftovers(Engine("", 10), OURS) == ()
        assert one.ask("restore_roles") == two.ask("restore_roles")


def test_an_image_that_cant_start_one_is_said(live: Stock, client: docker.DockerClient) -> None:
    import dataclasses

    base = client.api.inspect_image("debian:bookworm-slim")["Id"]
    other = dataclasses.replace(live.source, image=base)
    with pytest.raises(CannotTell, match="postgres") as no_user, live.scratch("other", source=other):
        pass
    assert remains(client, "other", [], 0) == []
    plain = {**live.source.settings.plain, "User": "nobody"}
    other = dataclasses.replace(other, settings=dataclasses.replace(other.settings, plain=plain))
    with pytest.raises(CannotTell, match="initdb") as no_server, live.scratch("other", source=other):
        pass
    assert remains(client, "other", [], 0) == []
    assert no_user.value.mend or no_server.value.mend


def test_names_that_need_quoting_are_made(live: Stock) -> None:
    import dataclasses

    there = live.scratch("quoted")
    there.like = dataclasses.replace(there.like, database='a "b" c', roles=('x"; DROP ROLE chief; --', "Ä b"))
    there.database = there.like.database
    with there:
        roles = [one["role"] for one in there.ask("restore_roles")]
        (seen,) = there.ask("restore_cluster")
    assert roles == ["chief", 'x"; DROP ROLE chief; --', "Ä b"]
    assert seen["database"] == 'a "b" c'


def test_statements_are_told_apart_by_what_came_of_them(live: Stock) -> None:
    with live.scratch() as there:
        said = there.tell(["SELECT 1", "SELECT nothing", "CREATE TABLE x (a int)", "DROP TABLE y"], 30)
    assert [bool(one) for one in said] == [False, True, False, True]
    assert "42P01" not in said[3]
    assert '"y"' in said[3]


def test_a_question_that_takes_too_long_is_given_up(live: Stock) -> None:
    with live.scratch() as there, pytest.raises(CannotTell, match="did not answer within"):
        there.said(b"SELECT pg_sleep(60);\n", seconds=1)


# An engine of the proof's own, which can be stopped.


class OwnEngine:
    """A second engine, with directories of its own.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = f"unix://{directory}/d.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> docker.DockerClient:
        at = self._directory
        log = (at / "log").open("ab")
        self._process = subprocess.Popen(
            [
                # In a network of its own: without a bridge it would take away the one that the machine's engine has.
                *("unshare", "--net", "dockerd"),
                *(f"--data-root={at}/data", f"--exec-root={at}/exec", f"--pidfile={at}/pid", f"--host={self.url}"),
                *("--bridge=none", "--iptables=false", "--ip6tables=false", "--containerd-namespace=drill"),
                "--containerd-plugins-namespace=drill-plugins",
            ],
            stdout=log,
            stderr=log,
        )
        log.close()
        deadline = time.monotonic() + 60
        while True:
            try:
                client = docker.DockerClient(base_url=self.url, timeout=120, version="auto")
                client.ping()
            except Exception:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.2)
            else:
                return client

    def stop(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)
        pid = self._directory / "exec/containerd/containerd.pid"
        if number == signal.SIGKILL:
            # It goes with the engine; where the machine's first process buries nobody it would be taken for alive.
            time.sleep(1)
            pid.unlink(missing_ok=True)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGTERM)


@pytest.fixture(scope="module")
def own(live: Stock) -> Iterator[OwnEngine]:
    if os.geteuid() != 0 or not (shutil.which("dockerd") and shutil.which("unshare")):
        pytest.skip("a second engine can be started by root alone")
    directory = Path("/var/tmp") / f"drill-engine-{os.getpid()}"  # noqa: S108  its socket's path has to be short
    directory.mkdir(mode=0o700)
    engine = OwnEngine(directory)
    try:
        engine.start().close()
        with (
            subprocess.Popen(["docker", "save", live.source.image], stdout=subprocess.PIPE) as saved,
            subprocess.Popen(["docker", "-H", engine.url, "load", "-q"], stdin=saved.stdout) as loaded,
        ):
            assert loaded.wait(300) == 0
        yield engine
    finally:
        engine.close()
        for mounted in sorted(_mounts_below(directory), reverse=True):
            subprocess.run(["umount", "-l", mounted], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _mounts_below(directory: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [one for one in mounts if one.startswith(f"{directory}/")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_engine_is_stopped_half_way(
    live: Stock, own: OwnEngine, tmp_path: Path, number: signal.Signals
) -> None:
    token = f"engine {number.name}"
    client = docker.DockerClient(base_url=own.url, timeout=60, version="auto")
    with loading(live, tmp_path / "backup.sql.gz", token, own.url) as run:
        (container,) = containers(client, token)
        names = volumes(client, container)
        client.close()
        began = time.monotonic()
        own.stop(number)
        said: Any = run.communicate(timeout=90)[1]
        assert time.monotonic() - began < 60
    client = own.start()
    try:
        assert run.returncode == 1
        assert "CannotTell: the engine" in said
        assert remains(client, token, names) == []
        assert not client.api.volumes()["Volumes"]
    finally:
        client.close()
