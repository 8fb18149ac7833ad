"""Faults of what is needed on a bad day."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from lab.engine import client
from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.faults.targets import derived
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker.models.containers import Container

    from lab.stack import Lab

SERVICE = "backup"
COMMAND = "/app/api/management/commands/clearcache.py"
MIGRATION = "/app/api/migrations/0002_later.py"
SETTINGS = "/app/synk/settings.py"
ASIDE = ".aside"
EMPTY_MIGRATION = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("api", "0001_initial")]
    operations = []
"""
IMAGE_BYTES = 64 * 1024 * 1024


def command_gone(lab: Lab) -> Iterator[Took]:
    """Move the file of a command away in the backend's containers, as an image without it would have it."""
    before = _beside(lab, COMMAND)
    with _inside(lab, f"mv {COMMAND} {COMMAND}{ASIDE}", _back(COMMAND)):
        yield Took(before, _beside(lab, COMMAND))


def migration_unapplied(lab: Lab) -> Iterator[Took]:
    """Put a migration beside the first one in the backend's containers, as new code brings it, and don't migrate."""
    before = _beside(lab, MIGRATION)
    with _inside(lab, f"printf '%s' '{_quoted(EMPTY_MIGRATION)}' > {MIGRATION}", f"rm -f {MIGRATION}"):
        yield Took(before, _beside(lab, MIGRATION))


def debug_on(lab: Lab) -> Iterator[Took]:
    """Switch DEBUG on in the settings that lie in the backend's containers; what runs has the old ones still."""
    before = _debug(lab)
    on = f"cp -p {SETTINGS} {SETTINGS}{ASIDE} && sed -i 's/^DEBUG = False$/DEBUG = True/' {SETTINGS}"
    with _inside(lab, on, _back(SETTINGS)):
        yield Took(before, _debug(lab))


def log_kept_nowhere(lab: Lab) -> Iterator[Took]:
    """Bring a service up with the log driver that keeps nothing."""
    yield from _logging(lab, {"driver": "none"})


def log_without_limit(lab: Lab) -> Iterator[Took]:
    """Bring a service up with a log that grows and grows."""
    yield from _logging(lab, {"driver": "json-file"})


def large_dangling_image(lab: Lab) -> Iterator[Took]:
    """Have an image without a name, and a limit that it takes what nobody uses over."""
    api = client().api
    before = _unused()
    made = api.import_image_from_data(_tar_of_zeros(), changes=["LABEL lab.fault=large-dangling-image"])
    image = made.rpartition('"status":"')[2].partition('"')[0]
    if not image.startswith("sha256:"):
        raise FaultDidNotTake(f"the engine did not import an image: {made[:300]}")
    try:
        after, disk = _unused(), _disk()
        share = (after - IMAGE_BYTES / 2) / disk
        limits = f'[limits]\ndocker_reclaimable = {share:.9f}\ndocker_reclaimable_floor = "0 B"\n'
        with derived(lab, limits) as target:
            yield Took(f"{before} bytes that nobody uses", f"{after} bytes, {share:.9f} allowed", target)
    finally:
        client().images.remove(image)


# In the backend's containers.


@contextmanager
def _inside(lab: Lab, do: str, undo: str) -> Iterator[None]:
    """Do something as root in every container of the backend that runs, and undo it wherever it was begun."""
    with ExitStack() as undone:
        for container in lab.containers("backend"):
            undone.callback(_sh, container, undo)
            _sh(container, do)
        yield


def _sh(container: Container, command: str) -> str:
    done = container.exec_run(["sh", "-c", command], user="root")
    said: str = done.output.decode(errors="replace")
    if done.exit_code != 0:
        raise LabError(f"{command} in {container.name} ended with status {done.exit_code}: {said[-1000:]}")
    return said


def _back(file: str) -> str:
    """Puts back what was put aside, if it was."""
    return f"[ ! -e {file}{ASIDE} ] || mv {file}{ASIDE} {file}"


def _beside(lab: Lab, file: str) -> str:
    """The modules that lie where a file should be, of all containers."""
    return " ".join(lab.execute("backend", "sh", "-c", f"ls {Path(file).parent} | grep 'py$'").split())


def _debug(lab: Lab) -> str:
    return lab.execute("backend", "grep", "^DEBUG", SETTINGS).strip()


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")


# A service with other logging.


def _logging(lab: Lab, logging: Mapping[str, str]) -> Iterator[Took]:
    """Bring a service up with other logging than the Compose file's: merged, its options would remain."""
    before = _log_config(lab)
    project = yaml.safe_load(lab.compose_file.read_text())
    project["services"][SERVICE]["logging"] = dict(logging)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump(project, file)
            file.flush()
            # What its paths are relative to.
            place = ("--project-directory", str(lab.project_directory), "--file", file.name)
            lab.compose(*place, "up", "--detach", "--no-deps", SERVICE)
        yield Took(before, _log_config(lab))
    finally:
        lab.compose("up", "--detach", "--no-deps", SERVICE)


def _log_config(lab: Lab) -> str:
    config = lab.container(SERVICE).attrs["HostConfig"]["LogConfig"]
    return f"{config['Type']} {config['Config']}"


# What nobody uses.


def _tar_of_zeros() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = IMAGE_BYTES
        archive.addfile(member, io.BytesIO(bytes(IMAGE_BYTES)))
    return buffer.getvalue()


def _unused() -> int:
    """What the engine keeps that nobody uses, in bytes, without the layers that images share."""
    seen = client().df()
    images = sum(one["Size"] - one["SharedSize"] for one in seen["Images"] if not one["Containers"])
    ended = [one for one in seen["Containers"] if one["State"] in {"created", "exited", "dead"}]
    volumes = [one["UsageData"] for one in seen["Volumes"]]
    left = sum(max(0, one["Size"]) for one in volumes if not one["RefCount"])
    return int(images + left + sum(one.get("SizeRw", 0) for one in ended))


def _disk() -> int:
    """The size of the disk that the engine's data lies on, in bytes."""
    seen = os.statvfs(client().info()["DockerRootDir"])
    return seen.f_blocks * seen.f_frsize


LOGS = f"logs-readable[{SERVICE}]"
AS_WRITTEN = f"deployed-as-written[{SERVICE}]"

FAULTS = (
    Fault("command-gone", ("admin-commands[clearcache]",), "A command of the backend is missing.", command_gone),
    Fault("migration-unapplied", ("migrations-applied",), "New code came without its migration.", migration_unapplied),
    Fault("debug-on", ("deploy-check",), "The backend's settings have DEBUG on.", debug_on),
    Fault("log-kept-nowhere", (LOGS, AS_WRITTEN), "A service's log driver keeps nothing.", log_kept_nowhere),
    Fault("log-without-limit", (LOGS, AS_WRITTEN), "A service's log has no size limit.", log_without_limit),
    Fault("large-dangling-image", ("docker-reclaimable",), "A large image has no name.", large_dangling_image),
)
