"""Refused and accepted logins of each client, in bounded memory, and the stretches in which most were refused.

Serves the guide's quarterly "Check for brute force attempts".
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST_CLIENTS: Final = 50_000
"""Clients that are told apart, for any question about single requests of theirs."""

MOST_LOGINS: Final = 1_000_000
"""Logins of which the time is kept."""

PATHS: Final = 256
"""A login is one number: its second times this, and which of the settings' paths it was."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Refusals:
    """The refused logins of one client.

    Attributes:
        total: All of them.
        most: The highest number in any stretch of so much time.
        begin: When the first such stretch begins.
        end: When its last refused login was.
        paths: The settings' login paths that it was about.
        let_in: When this client was let in for the first time after that stretch had begun, if it was.
    """

    total: int
    most: int
    begin: datetime
    end: datetime
    paths: tuple[str, ...]
    let_in: datetime | None


class Logins:
    """Keeps when clients logged in, or were refused.

    When there are more clients than have room, those go whose logins lie furthest apart: who floods the log with
    addresses first would hide whoever comes later.

    Args:
        span: The stretch of time in which logins count together, in seconds.

    Attributes:
        others: Logins beyond the bounds, whose client or time isn't kept.
    """

    def __init__(self, span: int) -> None:
        self.others = 0
        self._span = span
        self._left = MOST_LOGINS
        self._of: dict[str, array[int]] = {}

    def add(self, client: str, at: int, path: int) -> None:
        """Count a login.

        Args:
            client: By :func:`observe.clients.client_of`.
            at: Seconds since the epoch.
            path: Number of the login path.
        """
        login, known = at * PATHS + min(path, PATHS - 1), self._of.get(client)
        if known is not None and self._left:
            self._left -= 1
            known.append(login)
        else:
            self._extend(client, array("q", (login,)))

    def merge(self, more: Mapping[str, bytes], others: int) -> None:
        """Add what was counted elsewhere."""
        self.others += others
        for client, packed in more.items():
            self._extend(client, array("q", packed))

    def _extend(self, client: str, times: array[int]) -> None:
        if len(times) > self._left:
            self.others += len(times)
            return
        self._left -= len(times)
        known = self._of.get(client)
        if known is not None:
            known.extend(times)
            return
        self._of[client] = times
        if len(self._of) > MOST_CLIENTS:
            self._cut()

    def _cut(self) -> None:
        most = {client: most_within(seconds_of(times), self._span)[0] for client, times in self._of.items()}
        least = sorted(most.values())[len(most) // 2]
        for client, number in most.items():
            if number <= least:
                gone = len(self._of.pop(client))
                self.others += gone
                self._left += gone

    def packed(self) -> dict[str, bytes]:
        """The logins per client, 8 bytes each."""
        return {client: times.tobytes() for client, times in self._of.items()}


def seconds_of(times: Iterable[int]) -> list[int]:
    """The seconds of logins."""
    return [one // PATHS for one in times]


def refusals(
    refused: Mapping[str, bytes], accepted: Mapping[str, bytes], paths: Sequence[str], span: int
) -> dict[str, Refusals]:
    """What stands in the refused logins of each client.

    Args:
        refused: Per client its refused logins, as :meth:`Logins.packed`.
        accepted: Likewise those that let it in.
        paths: The login paths of the settings.
        span: The stretch of time in which logins count together, in seconds.
    """
    return {client: _refusals(packed, accepted.get(client, b""), paths, span) for client, packed in refused.items()}


def _refusals(packed: bytes, accepted: bytes, paths: Sequence[str], span: int) -> Refusals:
    times = sorted(array("q", packed))
    most, begin = most_within(seconds_of(times), span)
    stretch = [one for one in times if begin <= one // PATHS < begin + span]
    numbers = sorted({one % PATHS for one in stretch})
    let_in = min((at for at in seconds_of(array("q", accepted)) if at >= begin), default=None)
    return Refusals(
        total=len(times),
        most=most,
        begin=moment(begin),
        end=moment(stretch[-1] // PATHS),
        paths=tuple(paths[number] for number in numbers if number < len(paths)),
        let_in=None if let_in is None else moment(let_in),
    )


def moment(at: float) -> datetime:
    """A time in seconds since the epoch; a forged line can say the year 1, east of Greenwich."""
    try:
        return _EPOCH + timedelta(seconds=at)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if at > 0 else datetime.min.replace(tzinfo=UTC)


def most_within(times: Sequence[int], span: int) -> tuple[int, int]:
    """The highest number of events in any stretch of time.

    Args:
        times: Seconds since the epoch, in any order.
        span: Length of the stretch, in seconds; an event exactly so much later is not in it.

    Returns:
        The number, and when the first such stretch begins.
    """
    most, begin, oldest = 0, 0, 0
    ordered = sorted(times)
    for index, at in enumerate(ordered):
        while at - ordered[oldest] >= span:
            oldest += 1
        if index - oldest + 1 > most:
            most, begin = index - oldest + 1, ordered[oldest]
    return most, begin
