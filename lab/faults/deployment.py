"""Faults of deployment: what runs is not what the files say."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.engine import client
from lab.faults.fault import Fault, FaultDidNotTake, Took

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab

SERVICE = "backup"
REBUILT = "redis"


def file_changed(lab: Lab) -> Iterator[Took]:
    """Give a service more memory in the Compose file, and do not bring it up."""
    before = _memory(lab)
    pattern = rf"(?ms)(^  {SERVICE}:.*?mem_limit: )\w+"
    with changed(lab.compose_file, pattern, r"\g<1>512m"):
        yield Took(before, _memory(lab))


def env_file_changed(lab: Lab) -> Iterator[Took]:
    """Put a new value into the file of variables, and do not bring up the services that are given it."""
    file = lab.project_directory / ".env.production"
    before = _key_in_force(lab, file)
    with changed(file, r"(?m)^(SECRET_KEY=).*$", r"\g<1>a-new-one-that-no-container-has"):
        yield Took(before, _key_in_force(lab, file))


def tag_rebuilt(lab: Lab) -> Iterator[Took]:
    """Let an image's name lead to a newer image, as a build does; the container stays on the old one."""
    name = f"{lab.name}_{REBUILT}"
    old = client().images.get(name)
    before = _image_in_force(lab, name)
    # One that is never started, so that the new image differs by a label alone.
    scratch = client().containers.create(name)
    try:
        new = scratch.commit(repository=name, tag="latest", changes="LABEL lab.rebuilt=yes")
    finally:
        scratch.remove()
    try:
        yield Took(before, _image_in_force(lab, name))
    finally:
        old.tag(name, "latest")
        client().images.remove(new.id)


@contextmanager
def changed(file: Path, pattern: str, replacement: str) -> Iterator[None]:
    """Have a file changed in one place; afterwards it is as it was, byte for byte.

    Raises:
        FaultDidNotTake: there is no such place.
    """
    content, stat = file.read_bytes(), file.stat()
    text, count = re.subn(pattern, replacement, content.decode(), count=1)
    if not count:
        raise FaultDidNotTake(f"{file} has no {pattern}")
    try:
        file.write_text(text)
        yield
    finally:
        file.write_bytes(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _memory(lab: Lab) -> str:
    written = re.search(rf"(?ms)^  {SERVICE}:.*?mem_limit: (\w+)", lab.compose_file.read_text())
    has = lab.container(SERVICE).attrs["HostConfig"]["Memory"] // 1024**2
    return f"{written[1] if written else 'nothing'} in the file, {has} MiB in force"


def _key_in_force(lab: Lab, file: Path) -> str:
    """Whether the value is in force; the value itself is a secret."""
    written = [line for line in file.read_text().splitlines() if line.startswith("SECRET_KEY=")]
    has = lab.container("backend").attrs["Config"]["Env"]
    return "the value in the file is in force" if set(written) <= set(has) else "another value is in force"


def _image_in_force(lab: Lab, name: str) -> str:
    named = client().images.get(name).id == lab.container(REBUILT).attrs["Image"]
    return f"{name} names {'the image' if named else 'another image than the one'} that runs"


def _as_written(*services: str) -> tuple[str, ...]:
    return tuple(f"deployed-as-written[{service}]" for service in services)


FAULTS = (
    Fault("deployed-file-changed", _as_written(SERVICE), "A changed file was not brought up.", file_changed),
    Fault(
        "deployed-env-file-changed",
        (*_as_written("db", "backend", SERVICE), "security-script"),
        "A changed file of variables was not brought up.",
        env_file_changed,
    ),
    Fault(
        "deployed-tag-rebuilt",
        _as_written(REBUILT),
        "An image was rebuilt, and the container still runs the old one.",
        tag_rebuilt,
    ),
)
