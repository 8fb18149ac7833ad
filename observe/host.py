"""The machine that the stack runs on: commands that only read, within a time limit."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.deadline import Once, TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from testinfra.host import Host as Testinfra

    from observe.program import Ended

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

_TRANSPORT_FAILED = 255
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
        url: Where it is, as pytest-testinfra writes it: `local://`.
        seconds: Total time limit of a command, in seconds.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._connection: Once[Testinfra] = Once(self._open)
        self._late: dict[str, CannotTell] = {}

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
        """Have a package manager look something up, in a directory and with an environment of its own.

        Args:
            command: What to run.
            directory: Where.
            environment: What is set besides this run's own environment.
            seconds: Total time limit, in seconds.

        Raises:
            CannotTell: If the host isn't this machine, or the command can't be started.
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
            CannotTell: If the host isn't this machine, or the script can't be started.
        """
        environment = {"TERM": "dumb", "NO_COLOR": "1"}
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

        if not self._url.startswith("local:"):
            raise CannotTell(f"{command[0]} can be run on this machine only, not on {self._url}", cause=CAUSE)
        # The settings of this run are for this run, and may be secret.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPS_")}
        try:
            return program.run(command, directory, {**kept, **environment}, seconds, most=most, merged=merged)
        except OSError as error:
            raise CannotTell(f"{command[0]} can't be run on the host: {error.strerror or error}") from None

    def _run(self, command: Sequence[str]) -> Ran:
        connection = self._connection.get()
        # The limit of `timeout` ends the command over there; ours ends the waiting here.
        line = f"LC_ALL=C timeout -k 1 {self._seconds:g} {shlex.join(command)}"
        if line in self._late:
            raise self._late[line].with_traceback(None)
        try:
            result = within(self._seconds + 2, lambda: connection.run(line))
        except TimeIsUp:
            raise self._too_late(line, command) from None
        except Exception as error:  # noqa: BLE001  testinfra raises RuntimeError, OSError and AssertionError
            raise CannotTell(f"the host {self._url} can't be asked: {error}", cause=CAUSE) from None
        # File names are bytes, of whatever encoding.
        out, complaint = (text.decode("utf-8", errors="replace") for text in (result.stdout_bytes, result.stderr_bytes))
        if result.rc == _TRANSPORT_FAILED and not self._url.startswith("local:"):
            raise CannotTell(f"the host {self._url} can't be reached: {complaint.strip()}", cause=CAUSE)
        if result.rc in _TIMED_OUT:
            raise self._too_late(line, command)
        if result.rc in _CANT_RUN:
            raise CannotTell(f"{command[0]} can't be run on the host: {complaint.strip()[:200]}", cause=CAUSE)
        return Ran(result.rc, out, complaint.strip())

    def _too_late(self, line: str, command: Sequence[str]) -> CannotTell:
        self._late[line] = CannotTell(
            f"{command[0]} on the host did not end within {say_span(timedelta(seconds=self._seconds))}",
            mend="A network file system that is gone holds it: see whether `df` ends on the host.",
            cause=CAUSE,
        )
        return self._late[line]

    def _open(self) -> Testinfra:
        import testinfra

        try:
            return testinfra.get_host(self._url)
        except Exception as error:  # noqa: BLE001  what testinfra raises for a wrong address is not one class
            raise CannotTell(f"the host {self._url} can't be reached: {error}", cause=CAUSE) from None


def _in_shape(command: Sequence[str]) -> bool:
    shape = _SHAPES.get(command[0], ())
    return not shape or (tuple(command[: len(shape)]) == shape and all(one[:1] == "/" for one in command[len(shape) :]))
