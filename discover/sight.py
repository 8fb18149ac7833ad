"""Looking at a host: its files, and the few commands here that only read. Here, or over SSH, by the same words."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from observe.errors import CannotTell
from observe.host import Ran
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

NGINX = re.compile(r"(?:/(?:[^/\0]+/)*)?(?:nginx|openresty)")
PLACE = re.compile(r"/[^\0]*")
KNOWN: tuple[tuple[str | re.Pattern[str], ...], ...] = (
    ("ps", "-ww", "-eo", "pid=,args="),
    ("readlink", "-f", "/etc/localtime"),
    (NGINX, "-V"),
    (NGINX, "-T"),
    (NGINX, "-T", "-c", PLACE),
    (NGINX, "-T", "-p", PLACE),
    (NGINX, "-T", "-p", PLACE, "-c", PLACE),
)
"""The commands that may be run, word by word. `nginx -T` is the last resort, see :mod:`discover.nginx_files`."""

MOST = 4 * 1024 * 1024
"""A file or an answer of more bytes is none that is looked for here."""


def known(command: Sequence[str]) -> bool:
    """Whether a command is one of :data:`KNOWN`, in every word."""
    return any(len(shape) == len(command) and all(map(_fits, shape, command)) for shape in KNOWN)


def _fits(wanted: str | re.Pattern[str], word: str) -> bool:
    return word == wanted if isinstance(wanted, str) else wanted.fullmatch(word) is not None


class Sight(Protocol):
    """A host that is looked at."""

    where: str
    """What it is called: `this machine`, or its address."""
    url: str
    """As `host.url` has it."""
    config: Path | None
    """A configuration for ssh instead of the user's own."""

    def path(self, path: PurePath | str) -> Path:
        """A path of that host, which reads like one of this machine."""

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:
        """What a directory has, by name, links followed where they lead somewhere; OSError if it can't be listed."""

    def run(self, *command: str) -> Ran:
        """Run one of :data:`KNOWN`.

        Raises:
            CannotTell: If it can't be run, or doesn't end in time.
            ValueError: If it is none of them.
        """


class Here:
    """This machine.

    Args:
        seconds: Total time limit of a command, in seconds.
    """

    where = "this machine"
    url = "local://"
    config: Path | None = None

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds

    def path(self, path: PurePath | str) -> Path:
        """A path of this machine."""
        return Path(path)

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:
        """What a directory has, by name; OSError if it can't be listed."""
        found = []
        with os.scandir(directory) as entries:
            for one in entries:
                with contextlib.suppress(OSError):
                    found.append((one.name, one.stat()))
        return sorted(found, key=lambda one: one[0])

    def run(self, *command: str) -> Ran:
        """Run one of :data:`KNOWN`; CannotTell if that can't be, ValueError if it is none of them."""
        from observe import program

        if not known(command):
            raise ValueError(f"{shlex.join(command)} is not known to read only")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
        try:
            ended = program.run(command, Path("/"), {**kept, "LC_ALL": "C"}, self._seconds, most=MOST)
        except OSError as error:
            raise CannotTell(f"{command[0]} can't be run: {error.strerror or error}") from None
        if ended.status is None:
            raise CannotTell(f"{command[0]} did not end within {say_span(timedelta(seconds=self._seconds))}")
        return Ran(ended.status, ended.out.head + ended.out.tail, ended.complaint.head)


class There:
    """A host over SSH.

    Args:
        url: `ssh://user@name`.
        config: A configuration for ssh instead of the user's own.
        seconds: Total time limit of the connecting and of each command, in seconds.
    """

    def __init__(self, url: str, config: Path | None = None, seconds: float = 10.0) -> None:
        from observe.files import path_of
        from observe.ssh import Ssh
        from observe.ssh_files import SshFiles

        self.where = self.url = url
        self.config = config
        self.ssh = Ssh(url, seconds, config=config)
        self._files = SshFiles(self.ssh)
        self._path = path_of(self._files)

    def path(self, path: PurePath | str) -> Path:
        """A path of that host, which reads like one of this machine."""
        return self._path(path)

    def listed(self, directory: str) -> Sequence[tuple[str, os.stat_result]]:
        """What a directory has, by name; OSError if it can't be listed."""
        return sorted(self._files.listed(directory), key=lambda one: one[0])

    def run(self, *command: str) -> Ran:
        """Run one of :data:`KNOWN`; CannotTell if that can't be, ValueError if it is none of them."""
        if not known(command):
            raise ValueError(f"{shlex.join(command)} is not known to read only")
        answer = self.ssh.run(f"env LC_ALL=C {shlex.join(command)}", most=MOST)
        if answer.status in {126, 127}:
            raise CannotTell(f"{command[0]} can't be run on {self.url}: {answer.complaint.strip()[:200]}")
        return Ran(answer.status, answer.out.decode("utf-8", errors="replace"), answer.complaint.strip())


def read(path: Path, most: int = MOST) -> bytes:
    """A file's first bytes.

    Raises:
        OSError: If it can't be read, or is no regular file.
    """
    if not path.is_file():
        path.stat()
        raise OSError(0, "it is no regular file")
    with path.open("rb") as file:
        return bytes(file.read(most))


def zone_of(sight: Sight) -> str:
    """The host's time zone by its IANA name; empty where it can't be told."""
    try:
        found = sight.run("readlink", "-f", "/etc/localtime").out.strip()
        if "/zoneinfo/" in found:
            return found.partition("/zoneinfo/")[2]
        return read(sight.path("/etc/timezone"), 200).decode("ascii", errors="replace").strip()
    except (CannotTell, OSError):
        return ""
