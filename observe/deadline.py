"""A total time limit around anything that waits for somebody else.

The limits of the client libraries are per read: a server that sends a byte a
second holds them for ever, and name resolution has no limit at all. So the
waiting is done in a thread of its own, and the caller stops waiting when the
time is up. A signal would be cheaper, but it works in the main thread only and
does not interrupt name resolution.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.errors import CannotTell, NoAnswer

T = TypeVar("T")


class TimeIsUp(Exception):  # noqa: N818  control flow: the limit was reached
    """The total time limit was reached.

    Attributes:
        seconds: The limit, in seconds.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no end within {seconds:g} s")
        self.seconds = seconds


def within(seconds: float, work: Callable[[], T], *, give_up: Callable[[], object] | None = None) -> T:
    """Return what `work` returns, or stop waiting for it.

    Args:
        seconds: The total time limit, in seconds.
        work: What to do. It runs in a daemon thread, which is left behind when
            it doesn't end: it must not write anything that matters.
        give_up: Called once when the time is up, to shut the connection down
            that `work` hangs on, so that it ends and the other side sees us
            go. It must not close a socket that `work` reads from: the next
            connection would get its number, and `work` that one's bytes.

    Raises:
        TimeIsUp: After `seconds`.
        BaseException: Whatever `work` raises.
    """
    result: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001  handed over to the caller below
            failure.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="bounded", daemon=True).start()
    if not done.wait(seconds):
        if give_up is not None:
            # A close can block as well (a TLS goodbye, say): nobody waits for it.
            threading.Thread(target=_quietly, args=(give_up,), daemon=True).start()
        raise TimeIsUp(seconds)
    if failure:
        raise failure[0]
    return result[0]


def begun(work: Callable[[], T]) -> Callable[[], T]:
    """Begin something beside what goes on; what is returned waits for its end, and gives what it gave or raised.

    Args:
        work: What to do, within a time limit of its own. It runs in a daemon thread, which nobody waits for who
            doesn't ask.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001  handed over to whoever asks
            failure.append(error)

    thread = threading.Thread(target=run, name="beside", daemon=True)
    thread.start()

    def end() -> T:
        thread.join()
        if failure:
            raise failure[0]
        return result[0]

    return end


def _quietly(action: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # the connection is being thrown away
        action()


class Once(Generic[T]):
    """Something that is made on first use, whose failure is remembered.

    A black hole then costs its time limit once and not once a test.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._failed: CannotTell | NoAnswer | None = None

    @property
    def made(self) -> bool:
        """Whether it was made (a failed try is none)."""
        return bool(self._made)

    @property
    def failed(self) -> CannotTell | NoAnswer | None:
        """Why it couldn't be made; None where it was, or nobody has asked for it."""
        return self._failed

    def get(self) -> T:
        """Return the thing, making it on the first call.

        Raises:
            CannotTell: If making it failed, now or earlier.
            NoAnswer: Likewise.
        """
        from observe.errors import CannotTell, NoAnswer

        if self._failed is not None:
            # Without its traceback: that belongs to the first test that asked.
            raise self._failed.with_traceback(None)
        if not self._made:
            try:
                self._made.append(self._make())
            except (CannotTell, NoAnswer) as error:
                self._failed = error
                raise
        return self._made[0]
