"""What wants to end the suite in the middle of a drill waits until the stack is as it was."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from observe.errors import CannotTell

if TYPE_CHECKING:
    from types import FrameType

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; a service manager or a CI that has had enough; a terminal that was closed."""


class Guard:
    """The first signal interrupts what goes on, as Ctrl-C does; those after it, and any during :meth:`hold`, wait.

    So nothing comes between a drill that was interrupted and its being undone.
    Python's own handling would end the process on SIGTERM without any clean-up,
    and a second Ctrl-C would end the clean-up. What is ignored (`nohup`) stays
    ignored.

    Raises:
        CannotTell: On entering outside of the main thread, where signals can't be held.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._held = False
        self._late = False
        self.interrupted = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise CannotTell("a drill can't be undone safely outside of the main thread, so nothing was disturbed")
        for number in ENDS:
            if (usual := signal.getsignal(number)) not in {signal.SIG_IGN, None}:
                self._before[number] = usual
                signal.signal(number, self._on)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, usual in self._before.items():
            signal.signal(number, usual)
        if self._late and kind is None:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """From now on signals wait until the end of the `with` statement."""
        self._held = True

    def _on(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupted = True
        if self._held:
            self._late = True
            return
        self._held = True
        raise KeyboardInterrupt
