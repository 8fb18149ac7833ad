"""The clients of an access log and what each asked for, in bounded memory whatever is sent.

More clients than have room are not turned away as they come: who floods the
log with addresses first would hide whoever comes later. When the table is full
it is cut to half, and what the smallest that goes has is charged to those that
stay (Misra and Gries's algorithm in its form for summaries that are added up).
So of N requests a client with more than N / (MOST / 2 + 1) of them is always
told apart, in whatever order they came and over however many files; what may
be missing of a client is known, and the requests of those that went are
counted together.

A client's numbers are lanes of 32 bits in one whole number: to add up two
clients is one addition.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from observe.clients import BUSIEST, ClientCounts, client_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

MOST: Final = 20_000
"""Clients of a file that are told apart; with one more the table is cut to half of that."""

STRETCH: Final = 131_072
"""So many requests are grouped at a time. Within them a client's busiest hours are exact."""

CLIENT_WIDTH: Final = 64
"""Characters of a client's name that are kept."""

LANES: Final = 32
"""Numbers of a client: all requests, what has been charged to it, 6 for statuses, 24 for hours of the day."""

FIRST_STATUS: Final = 2
FIRST_HOUR: Final = 8
ROW: Final = LANES * 4
PAIRS: Final = BUSIEST * 8
LAST_HOUR: Final = 0x7FFF_FFFF
"""An hour and its requests are one number, with this less the hour below: the highest is the busiest, or earliest."""

TOGETHER = 2_048
_LANE = 0xFFFF_FFFF
_WIDTH = ROW + PAIRS
_NUMBERS = struct.Struct(f"<{LANES}I")
_HOURS = struct.Struct(f"<{BUSIEST}Q")
# What one request adds, by the first digit of its status and the hour of the day.
_ONE = tuple(
    tuple(1 | 1 << 32 * (FIRST_STATUS + digit) | 1 << 32 * (FIRST_HOUR + hour) for hour in range(24))
    for digit in range(6)
)


def digit_of(status: int) -> int:
    """The first digit of a status; 0 for what is none."""
    digit = status // 100
    return digit if digit <= 5 else 0


class Clients:
    """Counts requests per client.

    Args:
        most: Clients that are told apart at most.

    Attributes:
        most: As given.
        others: Requests of clients that are not told apart any more.
        missed: A client that is not told apart has no more requests than that, and of one that is no more are missing.
    """

    def __init__(self, most: int) -> None:
        self.others = 0
        self.missed = 0
        self.most = most
        self._rows: dict[str, tuple[int, bytes]] = {}
        self._cells: dict[tuple[str, int], int] = {}
        self._left = STRETCH

    def add(self, address: str, hour: int, status: int) -> None:
        """Count a request of an hour since the epoch."""
        key = (client_of(address[:CLIENT_WIDTH]), hour * 8 + digit_of(status))
        self._cells[key] = self._cells.get(key, 0) + 1
        self._left -= 1
        if not self._left:
            self.settle()

    def settle(self) -> None:
        """Group what has been counted since the last time. It depends on the order of requests and on nothing else."""
        cells, self._cells, self._left = self._cells, {}, STRETCH
        sizes: dict[str, int] = {}
        for (client, _), number in cells.items():
            sizes[client] = sizes.get(client, 0) + number
        charge = self.charge(sizes.values())
        found: dict[str, tuple[int, dict[int, int]]] = {}
        for (client, key), number in cells.items():
            if sizes[client] <= charge:
                self.others += number
                continue
            row, hours = found.get(client) or (0, {})
            hour = key >> 3
            hours[hour] = hours.get(hour, 0) + number
            found[client] = (row + number * _ONE[key & 7][hour % 24], hours)
        held = charge << 32
        names = list(found)
        rows = [(row + held).to_bytes(ROW, "little") for row, _ in found.values()]
        self.take(names, b"".join((*rows, *(_packed(hours) for _, hours in found.values()))))

    def charge(self, sizes: Collection[int]) -> int:
        """What is charged to each client so that no more stay than have room; who has no more than that goes.

        Args:
            sizes: What stands to each client's account.
        """
        if len(sizes) <= self.most:
            return 0
        charge = sorted(sizes, reverse=True)[self.most // 2]
        self.missed += charge
        return charge

    def take(self, names: Sequence[str], data: bytes) -> None:
        """Add clients, each once, and cut the table if it is full.

        Args:
            names: Theirs.
            data: The numbers of all of them, followed by the busiest hours of all of them.
        """
        rows, hours = self._rows, len(names) * ROW
        for place, client in enumerate(names):
            row = int.from_bytes(data[place * ROW : (place + 1) * ROW], "little")
            busiest = data[hours + place * PAIRS : hours + (place + 1) * PAIRS]
            known = rows.get(client)
            rows[client] = (row, busiest) if known is None else (known[0] + row, _busiest(known[1] + busiest))
        if len(rows) > self.most:
            self._cut()

    def _cut(self) -> None:
        standing = {client: (row & _LANE) - (row >> 32 & _LANE) for client, (row, _) in self._rows.items()}
        charge = self.charge(standing.values())
        self.others += sum(row & _LANE for client, (row, _) in self._rows.items() if standing[client] <= charge)
        self._rows = {
            client: (row + (charge << 32), hours)
            for client, (row, hours) in self._rows.items()
            if standing[client] > charge
        }

    def merge(self, packed: Iterable[bytes], others: int, missed: int) -> None:
        """Add what was counted elsewhere."""
        self.others += others
        self.missed += missed
        for part in packed:
            self.take(*_unpacked(part))

    def packed(self) -> list[bytes]:
        """Everything, small: names and numbers, sorted by name, so many clients together."""
        self.settle()
        names = sorted(self._rows)
        parts = [names[begin : begin + TOGETHER] for begin in range(0, len(names), TOGETHER)]
        return [packed_part(part, self._data(part)) for part in parts]

    def _data(self, names: list[str]) -> bytes:
        found = [self._rows[name] for name in names]
        return b"".join((*(row.to_bytes(ROW, "little") for row, _ in found), *(hours for _, hours in found)))


def packed_part(names: list[str], data: bytes) -> bytes:
    """Some clients, small; see :meth:`Clients.take`."""
    # First bytes of all numbers, second bytes and so on: most are small, and the rest packs to nothing.
    planes = [data[place::4] for place in range(4)]
    return len(names).to_bytes(4, "little") + zlib.compress(b"".join((*planes, "\n".join(names).encode())), 1)


class KnownClients(Mapping[str, ClientCounts]):
    """The clients that are told apart, each taken apart when it is looked at.

    Args:
        packed: From :meth:`Clients.packed`.
    """

    def __init__(self, packed: Iterable[bytes]) -> None:
        self._parts: list[bytes] = []
        self._places: dict[str, tuple[int, int, int]] = {}
        for number, part in enumerate(packed):
            names, data = _unpacked(part)
            self._parts.append(data)
            hours = len(names) * ROW
            self._places.update(
                (name, (number, place * ROW, hours + place * PAIRS)) for place, name in enumerate(names)
            )

    def __getitem__(self, client: str) -> ClientCounts:
        """One client's counts."""
        part, row, hours = self._places[client]
        numbers = _NUMBERS.unpack_from(self._parts[part], row)
        busiest = _HOURS.unpack_from(self._parts[part], hours)
        return ClientCounts(
            requests=numbers[0],
            statuses=numbers[FIRST_STATUS:FIRST_HOUR],
            hours=numbers[FIRST_HOUR:],
            busiest=tuple((LAST_HOUR - (value & _LANE), value >> 32) for value in busiest if value),
        )

    def __iter__(self) -> Iterator[str]:
        """Their names, sorted."""
        return iter(self._places)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)


def _unpacked(part: bytes) -> tuple[list[str], bytes]:
    """Names, and the numbers of all of them followed by their busiest hours."""
    number = int.from_bytes(part[:4], "little")
    planes = zlib.decompress(part[4:])
    data, size = bytearray(number * _WIDTH), number * _WIDTH // 4
    for place in range(4):
        data[place::4] = planes[place * size : (place + 1) * size]
    return planes[4 * size :].decode().split("\n"), bytes(data)


def _packed(hours: dict[int, int]) -> bytes:
    """The busiest of some hours."""
    values = sorted((number << 32 | LAST_HOUR - hour for hour, number in hours.items()), reverse=True)[:BUSIEST]
    return _HOURS.pack(*values, *[0] * (BUSIEST - len(values)))


def _busiest(packed: bytes) -> bytes:
    """The busiest of several lists; an hour that stands in more than one of them is added up."""
    hours: dict[int, int] = {}
    for (value,) in struct.iter_unpack("<Q", packed):
        if value:
            hour = LAST_HOUR - (value & _LANE)
            hours[hour] = hours.get(hour, 0) + (value >> 32)
    return _packed(hours)
