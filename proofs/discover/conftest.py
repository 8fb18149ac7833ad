"""Asking the discovery as a person does, and stacks that it finds beside the lab."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from discover.__main__ import main
from lab.engine import client
from lab.other import OtherStack, bring_up
from proofs.conftest import KEEP, NAME
from proofs.harness import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lab.stack import Lab

LONGEST = 60


@dataclass(frozen=True)
class Asked:
    """How a run of the discovery ended, and what it said."""

    status: int
    said: str


def discover(*arguments: str, environment: Mapping[str, str] | None = None, apart: bool = False) -> Asked:
    """Run `python -m discover` without a terminal.

    Args:
        arguments: Its arguments.
        environment: Variables over this process's.
        apart: In a process of its own, which takes half a second more.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "DOCKER_"))}
    variables = {**kept, **(environment or {})}
    if apart:
        command = [sys.executable, "-m", "discover", *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=variables,
            timeout=LONGEST,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        assert not done.stderr, done.stderr
        return Asked(done.returncode, done.stdout)
    said: list[str] = []
    with mock.patch.dict(os.environ, variables, clear=True), mock.patch("sys.stdin", io.StringIO()):
        status = main(arguments, say=said.append)
    return Asked(status, "\n".join(said) + "\n")


@pytest.fixture(scope="session")
def other_stack(pytestconfig: pytest.Config) -> Iterator[OtherStack]:
    """The stack of another shape, by the name that `proofs/lab/test_other_stack.py` has: it takes it over."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    stack = OtherStack(f"{NAME}{os.environ.get('PYTEST_XDIST_WORKER', '')}other")
    with capture.global_and_fixture_disabled():
        bring_up.up(stack)
    yield stack
    if not KEEP:
        bring_up.down(stack, keep_images=True)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A project's directory, with little around it to look through."""
    directory = tmp_path / "srv" / "app"
    directory.mkdir(parents=True)
    return directory


Made = dict[str, Any]


@pytest.fixture
def containers(lab: Lab) -> Iterator[Callable[[str, Path, list[Made]], None]]:
    """What makes the containers of a project by hand, with Compose's labels; they are never started."""
    made: list[str] = []

    def make(project: str, directory: Path, services: list[Made]) -> None:
        api = client().api
        for number, one in enumerate(services):
            labels = {
                "com.docker.compose.project": project,
                "com.docker.compose.service": one["service"],
                "com.docker.compose.container-number": str(one.get("number", 1)),
                "com.docker.compose.oneoff": "False",
                "com.docker.compose.project.working_dir": str(directory),
                "com.docker.compose.project.config_files": "",
            }
            found = api.create_container(
                f"{lab.name}_{one['image']}",
                name=f"{project}-{one['service']}-{number}",
                labels=labels,
                environment=one.get("environment", {}),
                command=one.get("command"),
            )
            made.append(found["Id"])
            if "files" in one:
                api.put_archive(found["Id"], "/", _packed(one["files"]))

    yield make
    for one in made:
        client().api.remove_container(one, v=True, force=True)


def _packed(files: Mapping[str, str]) -> bytes:
    """Files as a tar has them; what begins with an arrow is a link."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            if content.startswith("-> "):
                entry.type, entry.linkname = tarfile.SYMTYPE, content.removeprefix("-> ")
                archive.addfile(entry)
            else:
                entry.size = len(content.encode())
                archive.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()
