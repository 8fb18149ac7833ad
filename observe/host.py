"""The machine that the stack runs on: commands that only read, within a time limit."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observe.deadline import Once, TimeIsUp, within
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testinfra.host import Host as Testinfra

CAUSE = "host"
READS_ONLY = frozenset({"df", "find"})
"""The commands that may be run on a target's host. A command that isn't known to read is refused."""

_TRANSPORT_FAILED = 255
_TIMED_OUT = 124


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

    def run(self, *command: str) -> Ran:
        """Run a command that only reads.

        Raises:
            CannotTell: If the host can't be reached or the command doesn't end in time.
            ValueError: If the command is not one of :data:`READS_ONLY`.
        """
        if command[0] not in READS_ONLY:
            raise ValueError(f"{command[0]} is not known to read only")
        return self._run(command)

    def _run(self, command: Sequence[str]) -> Ran:
        connection = self._connection.get()
        # The limit of `timeout` ends the command over there; ours ends the waiting here.
        line = f"LC_ALL=C timeout -k 1 {self._seconds:g} {shlex.join(command)}"
        try:
            result = within(self._seconds + 2, lambda: connection.run(line))
        except TimeIsUp as late:
            raise CannotTell(f"{command[0]} on the host did not end: {late}", cause=CAUSE) from None
        except Exception as error:  # noqa: BLE001  testinfra raises RuntimeError, OSError and AssertionError
            raise CannotTell(f"the host {self._url} can't be asked: {error}", cause=CAUSE) from None
        if result.rc == _TRANSPORT_FAILED and not self._url.startswith("local:"):
            raise CannotTell(f"the host {self._url} can't be reached: {result.stderr.strip()}", cause=CAUSE)
        if result.rc == _TIMED_OUT:
            raise CannotTell(f"{command[0]} on the host did not end within {self._seconds:g} s", cause=CAUSE)
        return Ran(result.rc, result.stdout, result.stderr.strip())

    def _open(self) -> Testinfra:
        import testinfra

        try:
            return testinfra.get_host(self._url)
        except Exception as error:  # noqa: BLE001  what testinfra raises for a wrong address is not one class
            raise CannotTell(f"the host {self._url} can't be reached: {error}", cause=CAUSE) from None
