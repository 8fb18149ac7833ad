"""The machine that the stack runs on: commands that only read, within a time limit."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from observe.deadline import Once, TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import PurePath

    from testinfra.host import Host as Testinfra

    from observe.files import Place
    from observe.program import Ended
    from observe.rotated_log import Files
    from observe.ssh import Ssh

CAUSE = "host"
FINDMNT = ("findmnt", "--json", "--output", "SOURCE,TARGET,FSTYPE,MAJ:MIN", "--mountpoint")
LSBLK = ("lsblk", "--json", "--output", "NAME,KNAME,TYPE,FSTYPE,UUID,MODEL,MAJ:MIN")
MIB = 1024 * 1024
READS_ONLY = frozenset({"df", "find", "findmnt", "lsblk"})
"""The commands that may be run on a target's host. A command that isn't known to read is refused."""

_SHAPES = {"findmnt": FINDMNT, "lsblk": LSBLK}
"""How these must begin, word by word; nothing but paths may follow."""

_WRITES = frozenset({"-delete", "-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fprint0", "-fprintf", "-fls"})
"""What `find` must not be told."""

_TIMED_OUT = frozenset({124, 137})
"""How `timeout` ends: after its signal was enough, and after it had to kill."""
_CANT_RUN = frozenset({126, 127})


@dataclass(frozen=True)
class Ran:
    """How a command ended.

    Attributes:
        status: Its exit status.
        out: What it printed.
        complaint: What it printed on its standard error, in one line each.
    """

    status: int
    out: str
    complaint: str


class Host:
    """A connection to the host through pytest-testinfra, opened on first use.

    Args:
        url: Where it is, as pytest-testinfra writes it: `local://`, or `ssh://…`.
        seconds: Total time limit of a command, in seconds.
        ssh: Its connection, where it is reached over SSH.
    """

    def __init__(self, url: str, seconds: float, ssh: Ssh | None = None) -> None:
        self._url = url
        self._seconds = seconds
        self.ssh = ssh
        self._connection: Once[Testinfra] = Once(self._open)
        self._late: dict[str, CannotTell] = {}

    def path(self, path: PurePath) -> Path:
        """A path on the host, to be read as if it were here; see :mod:`observe.files`."""
        return self._path(path)

    @cached_property
    def files(self) -> Files:
        """The host's files, as logs are read."""
        from observe.files import files_of

        return files_of(self._place)

    @cached_property
    def _place(self) -> Place | None:
        if self.ssh is None:
            return None
        from observe.ssh_files import SshFiles

        return SshFiles(self.ssh)

    @cached_property
    def _path(self) -> Callable[[PurePath], Path]:
        from observe.files import path_of

        return Path if self._place is None else path_of(self._place)

    def close(self) -> None:
        """Close the connection if it was ever opened."""
        if self.ssh is not None:
            self.ssh.close()

    def run(self, *command: str) -> Ran:
        """Run a command that only reads.

        Raises:
            CannotTell: If the host can't be reached or the command doesn't end in
                time; one that didn't is not tried again in this run.
            ValueError: If the command is not one of :data:`READS_ONLY`, or is told to write.
        """
        if command[0] not in READS_ONLY or _WRITES.intersection(command) or not _in_shape(command):
            raise ValueError(f"{shlex.join(command)} is not known to read only")
        return self._run(command)

    def ask_npm(self, command: Sequence[str], directory: Path, environment: Mapping[str, str], seconds: float) -> Ended:
        """Have a package manager on this machine look something up, in a directory here and with its own environment.

        Args:
            command: What to run.
            directory: Where.
            environment: What is set besides this run's own environment.
            seconds: Total time limit, in seconds.

        Raises:
            CannotTell: If the command can't be started.
            ValueError: If the command is not known to read only.
        """
        from observe.container_command import known_to_read

        if not known_to_read(command):
            raise ValueError(f"{shlex.join(command)} is not known to read only")
        return self._here(command, directory, environment, seconds, most=16 * MIB, merged=False)

    def run_operators_script(self, script: Path, seconds: float) -> Ended:
        """Run a script that the operator has put there to be run, in its own directory; the guide says so.

        It is not known to read only: what it does is its author's business. Its output has its errors in it.

        Args:
            script: The file.
            seconds: Total time limit, in seconds.

        Raises:
            CannotTell: If the script can't be started, or the host can't be reached.
        """
        environment = {"TERM": "dumb", "NO_COLOR": "1"}
        if self.ssh is not None:
            return self._there(self.ssh, script, environment, seconds)
        return self._here((str(script),), script.parent, environment, seconds, most=MIB, merged=True)

    def _here(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        seconds: float,
        *,
        most: int,
        merged: bool,
    ) -> Ended:
        from observe import program

        # The settings of this run are for this run, and may be secret.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
        try:
            return program.run(command, directory, {**kept, **environment}, seconds, most=most, merged=merged)
        except OSError as error:
            raise CannotTell(f"{command[0]} can't be run on the host: {error.strerror or error}") from None

    def _there(self, ssh: Ssh, script: Path, environment: Mapping[str, str], seconds: float) -> Ended:
        from observe import program
        from observe.ssh import TRANSPORT_FAILED, refused_by_sudo

        variables = shlex.join(f"{name}={value}" for name, value in environment.items())
        # `timeout` ends what the script has started as well: it gives them a process group of their own.
        line = (
            f"cd {shlex.quote(str(script.parent))} && "
            f"exec env {variables} timeout -k 1 {seconds:g} {ssh.sudo(str(script))}{shlex.quote(str(script))}"
        )
        # What is run there asks the host for its own environment; `2>&1` keeps the order of its lines.
        command = ("ssh", *ssh.options(), "-n", "--", "host", f"sh -c {shlex.quote(f'({line}) 2>&1')}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
        ended = program.run(command, Path("/"), kept, seconds + 3, most=MIB, merged=True)
        if ended.status == TRANSPORT_FAILED:
            raise ssh.gone(ended.out.head[-200:])
        if ended.status == 1 and ended.out.head.startswith("sudo: "):
            raise refused_by_sudo(str(script), ended.out.head)
        return replace(ended, status=None) if ended.status in _TIMED_OUT else ended

    def _run(self, command: Sequence[str]) -> Ran:
        connection = self._connection.get()
        # The limit of `timeout` ends the command over there; ours ends the waiting here.
        line = f"LC_ALL=C timeout -k 1 {self._seconds:g} {self._sudo(command)}{shlex.join(command)}"
        if line in self._late:
            raise self._late[line].with_traceback(None)
        try:
            result = within(self._seconds + 2, lambda: connection.run(line))
        except TimeIsUp:
            raise self._too_late(line, command) from None
        except Exception as error:  # noqa: BLE001  testinfra raises RuntimeError, OSError and AssertionError
            if self.ssh is not None:
                raise self.ssh.gone("") from None
            raise CannotTell(f"the host {self._url} can't be asked: {error}", cause=CAUSE) from None
        # File names are bytes, of whatever encoding.
        out, complaint = (text.decode("utf-8", errors="replace") for text in (result.stdout_bytes, result.stderr_bytes))
        if result.rc in _TIMED_OUT:
            raise self._too_late(line, command)
        if result.rc == 1 and complaint.startswith("sudo: "):
            from observe.ssh import refused_by_sudo

            raise refused_by_sudo(next(one for one in command if one[:1] == "/"), complaint)
        if result.rc in _CANT_RUN:
            raise CannotTell(f"{command[0]} can't be run on the host: {complaint.strip()[:200]}", cause=CAUSE)
        return Ran(result.rc, out, complaint.strip())

    def _sudo(self, command: Sequence[str]) -> str:
        """`sudo -n ` where one of the paths that a command is given is to be read that way."""
        if self.ssh is None:
            return ""
        return next(filter(None, (self.ssh.sudo(one) for one in command[1:] if one[:1] == "/")), "")

    def _too_late(self, line: str, command: Sequence[str]) -> CannotTell:
        self._late[line] = CannotTell(
            f"{command[0]} on the host did not end within {say_span(timedelta(seconds=self._seconds))}",
            mend="A network file system that is gone holds it: see whether `df` ends on the host.",
            cause=CAUSE,
        )
        return self._late[line]

    def _open(self) -> Testinfra:
        import testinfra

        if self.ssh is not None:
            # Through the connection that stands, and by no other way: see `Ssh.options`.
            return testinfra.get_host("ssh://host", ssh_extra_args=shlex.join(["-n", *self.ssh.options()]))
        try:
            return testinfra.get_host(self._url)
        except Exception as error:  # noqa: BLE001  what testinfra raises for a wrong address is not one class
            raise CannotTell(f"the host {self._url} can't be reached: {error}", cause=CAUSE) from None


def _in_shape(command: Sequence[str]) -> bool:
    shape = _SHAPES.get(command[0], ())
    return not shape or (tuple(command[: len(shape)]) == shape and all(one[:1] == "/" for one in command[len(shape) :]))
