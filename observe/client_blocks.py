"""Requests per client counted in blocks: the same as :class:`observe.client_table.Clients`, many requests at once.

A client's address is at most sixteen bytes but for long ones of IPv6, so that it is two numbers; a stretch of requests
is sorted by them once, and the table is given each client with all that it asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from observe.access_table import Reader
from observe.client_table import (
    CLIENT_WIDTH,
    FIRST_HOUR,
    FIRST_STATUS,
    LANES,
    LAST_HOUR,
    ROW,
    STRETCH,
    TOGETHER,
    Clients,
    digit_of,
    packed_part,
)
from observe.clients import BUSIEST, client_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observe.access_table import Table, Whole, Words

_WORD = 8
_SHORT = 2 * _WORD
_LONG = 2**64 - 1  # no address ends in it
_SECRETS = (int.from_bytes(os.urandom(8), "little") | 1, int.from_bytes(os.urandom(8), "little") | 1)
_HOUR_BITS = 40
_DENSE = 1_000_000  # numbers of a table with each hour of each client
_HOUR = 0xFFFF_FFFF
_REMEMBERED = 65_536
_BUCKET_SHIFT = 46


class BlockClients(Clients):
    """Counts requests per client.

    Args:
        most: Clients that are told apart at most.
        numpy: The module, imported by whoever found it.
        reader: What reads the blocks.
    """

    def __init__(self, most: int, numpy: Any, reader: Reader) -> None:  # noqa: ANN401
        super().__init__(most)
        self._np = numpy
        self._reader = reader
        low = [(1 << 8 * length) - 1 for length in range(_WORD + 1)]
        self._low: Words = numpy.array(low, numpy.uint64)
        self._first: Words = numpy.empty(STRETCH, numpy.uint64)
        self._second: Words = numpy.empty(STRETCH, numpy.uint64)
        self._keys: Whole = numpy.empty(STRETCH, numpy.int64)
        self._long: dict[str, int]
        self._marks: Words
        self._marked: Words
        self._forget()
        self._index: dict[str, int] = {}
        self._table: Words = numpy.zeros((0, LANES), numpy.uint32)
        self._busy: Whole = numpy.zeros((0, BUSIEST), numpy.int64)

    def add(self, address: str, hour: int, status: int) -> None:
        """Count a request of an hour since the epoch."""
        place = STRETCH - self._left
        self._first[place], self._second[place] = self._number(client_of(address[:CLIENT_WIDTH])), _LONG
        self._keys[place] = hour * 8 + digit_of(status)
        self._left -= 1
        if not self._left:
            self.settle()

    def _number(self, client: str) -> int:
        return self._long.setdefault(client, len(self._long))

    def add_rows(self, block: bytes, table: Table, ends: Whole) -> None:
        """Count rows of a block.

        Args:
            block: The block.
            table: Its rows.
            ends: Where their clients end.
        """
        begin = 0
        while begin < ends.size:
            rows = slice(begin, begin + min(self._left, ends.size - begin))
            self._add_rows(block, table.some(rows), ends[rows])
            begin = rows.stop

    def _add_rows(self, block: bytes, table: Table, ends: Whole) -> None:
        np, words = self._np, self._reader.words(block)
        place = slice(STRETCH - self._left, STRETCH - self._left + ends.size)
        length = ends - table.begins
        self._first[place] = words[table.begins] & self._low[np.minimum(length, _WORD)]
        self._second[place] = words[table.begins + _WORD] & self._low[np.clip(length - _WORD, 0, _WORD)]
        digits = table.status // 100
        self._keys[place] = table.at // 3600 * 8 + np.where(digits <= 5, digits, 0)
        long = np.flatnonzero(length > _SHORT)
        if long.size:
            self._add_long(block, words, table.begins[long], ends[long], place.start + long)
        self._left -= ends.size
        if not self._left:
            self.settle()

    def _add_long(self, block: bytes, words: Words, begins: Whole, ends: Whole, places: Whole) -> None:
        np = self._np
        marks = self._reader.marks_of(words, begins, ends, np.zeros(begins.size, np.bool_))
        where = np.searchsorted(self._marks, marks)
        fresh = self._marks[np.minimum(where, self._marks.size - 1)] != marks
        if fresh.any():
            new, first = np.unique(marks[fresh], return_index=True)
            places_of = zip(begins[fresh][first].tolist(), ends[fresh][first].tolist(), strict=True)
            numbers = [self._number(client_of(block[begin:end].decode("ascii"))) for begin, end in places_of]
            joined = np.concatenate((self._marks, new))
            order = np.argsort(joined)
            self._marks = joined[order]
            self._marked = np.concatenate((self._marked, np.array(numbers, np.uint64)))[order]
            where = np.searchsorted(self._marks, marks)
        self._first[places] = self._marked[where]
        self._second[places] = _LONG

    def _forget(self) -> None:
        """Long addresses are remembered over blocks and stretches, until there are too many."""
        self._long = {"": 0}
        self._marks = self._np.zeros(1, self._np.uint64)
        self._marked = self._np.zeros(1, self._np.uint64)

    def settle(self) -> None:
        """Group what has been counted since the last time."""
        np, size = self._np, STRETCH - self._left
        self._left = STRETCH
        if not size:
            return
        first, kinds = self._kinds(self._first[:size], self._second[:size])
        names = self._names(first)
        if self._marks.size + len(self._long) > _REMEMBERED:
            self._forget()
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        if len(numbers) == len(names):
            clients = kinds
        else:  # several addresses of IPv6 are one client
            clients, names = np.array([numbers[name] for name in names], np.int64)[kinds], list(numbers)
        keys, sizes = self._keys[:size], np.bincount(clients, minlength=len(names))
        charge = self.charge(sizes.tolist() if sizes.size > self.most else ())
        if charge:
            kept = sizes > charge
            self.others += int(sizes[~kept].sum())
            names = [name for name, stays in zip(names, kept.tolist(), strict=True) if stays]
            stay, sizes = kept[clients], sizes[kept]
            clients, keys = (np.cumsum(kept) - 1)[clients[stay]], keys[stay]
        if names:
            self.take(names, self._grouped(clients, keys, sizes, charge))

    def _kinds(self, first: Words, second: Words) -> tuple[Whole, Whole]:
        """Where each kind of pair of numbers stands for the first time, or one of the times, and the kind of each."""
        np = self._np
        mixed = first * np.uint64(_SECRETS[0])
        mixed = (mixed ^ mixed >> np.uint64(29) ^ second) * np.uint64(_SECRETS[1])
        marks: Words = mixed ^ mixed >> np.uint64(31)
        # Sorting would take four times as long: each mark is looked for where another one of its kind was put.
        buckets = (marks >> _BUCKET_SHIFT).astype(np.int64)
        where = np.empty(1 << 64 - _BUCKET_SHIFT, np.int32)
        where[buckets] = np.arange(marks.size, dtype=np.int32)
        same = where[buckets]
        apart = np.flatnonzero(marks[same] != marks)
        if apart.size:
            _, others, kinds = np.unique(marks[apart], return_index=True, return_inverse=True)
            same[apart] = apart[others][kinds]
        is_first = np.zeros(marks.size, np.bool_)
        is_first[same] = True
        places: Whole = np.flatnonzero(is_first)
        return places, (np.cumsum(is_first) - 1)[same]

    def _names(self, places: Whole) -> list[str]:
        np = self._np
        pairs = np.stack((self._first[places], self._second[places]), axis=1)
        long = np.flatnonzero(pairs[:, 1] == _LONG)
        pairs[long, 1] = 0
        numbers = pairs[long, 0].tolist()
        pairs[long, 0] = ord("-")
        names = b"\n".join(pairs.view(f"S{_SHORT}")[:, 0].tolist()).decode("ascii").split("\n")
        names = [client_of(name) if ":" in name else name for name in names]
        kept = list(self._long)
        for place, number in zip(long.tolist(), numbers, strict=True):
            names[place] = kept[number]
        return names

    def take(self, names: Sequence[str], data: bytes) -> None:
        """Add clients, each once, and cut the table if it is full."""
        np, number, index = self._np, len(names), self._index
        rows = np.frombuffer(data, np.dtype("<u4"), number * LANES).reshape(number, LANES)
        busy = np.frombuffer(data, np.dtype("<i8"), number * BUSIEST, number * ROW).reshape(number, BUSIEST)
        there = len(index)
        fresh = [name for name in names if name not in index] if there else names
        index.update(zip(fresh, range(there, there + len(fresh)), strict=True))
        places = np.fromiter(map(index.__getitem__, names), np.int64, number)
        if len(index) > len(self._table):
            self._grow(len(index) * 9 // 8)
        new = places >= there
        self._table[places[new]], self._busy[places[new]] = rows[new], busy[new]
        if there:
            known, old = ~new, places[~new]
            self._table[old] += rows[known]
            self._busy[old] = _joined(np, self._busy[old], busy[known])
        if len(index) > self.most:
            self._cut()

    def _grow(self, size: int) -> None:
        for name in ("_table", "_busy"):
            known = getattr(self, name)
            grown = self._np.empty((size, known.shape[1]), known.dtype)
            grown[: len(known)] = known
            setattr(self, name, grown)

    def _cut(self) -> None:
        np, size = self._np, len(self._index)
        standing = self._table[:size, 0].astype(np.int64) - self._table[:size, 1]
        charge = self.charge(standing.tolist())
        stays = standing > charge
        self.others += int(self._table[:size, 0][~stays].sum(dtype=np.int64))
        kept = np.flatnonzero(stays)
        for known in (self._table, self._busy):
            known[: kept.size] = known[kept]
        self._table[: kept.size, 1] += charge
        names = [name for name, stays in zip(self._index, stays.tolist(), strict=True) if stays]
        self._index = {name: place for place, name in enumerate(names)}

    def packed(self) -> list[bytes]:
        """Everything, small: names and numbers, sorted by name, so many clients together."""
        self.settle()
        names = sorted(self._index)
        return [self._part(names[begin : begin + TOGETHER]) for begin in range(0, len(names), TOGETHER)]

    def _part(self, names: list[str]) -> bytes:
        places = list(map(self._index.__getitem__, names))
        return packed_part(names, self._table[places].tobytes() + self._busy[places].tobytes())

    def _grouped(self, clients: Whole, keys: Whole, sizes: Whole, charge: int) -> bytes:
        """The numbers of all clients, followed by their busiest hours."""
        np, number = self._np, sizes.size
        rows = np.zeros((number, LANES), np.dtype("<u4"))
        rows[:, 0], rows[:, 1] = sizes, charge
        rows[:, FIRST_STATUS:FIRST_HOUR] = np.bincount(clients * 6 + (keys & 7), minlength=number * 6).reshape(-1, 6)
        hours = keys >> 3
        earliest, latest = int(hours.min()), int(hours.max())
        if (latest - earliest + 24) * number <= _DENSE:
            rows[:, FIRST_HOUR:], busiest = self._by_table(clients, hours - earliest, number, earliest)
        else:
            rows[:, FIRST_HOUR:], busiest = self._by_sorting(clients, hours - earliest, number, earliest)
        packed: bytes = rows.tobytes() + busiest
        return packed

    def _by_table(self, clients: Whole, hours: Whole, number: int, earliest: int) -> tuple[Whole, bytes]:
        """Requests by hour of day, and the busiest hours, where few hours lie between the first and the last."""
        np, before = self._np, earliest % 24
        width = (before + int(hours.max()) + 24) // 24 * 24
        cells = np.bincount(clients * width + before + hours, minlength=number * width).reshape(number, width)
        values = cells << 32 | LAST_HOUR - earliest + before - np.arange(width)
        values = np.partition(np.where(cells, values, 0), width - BUSIEST, axis=1)[:, width - BUSIEST :]
        values.sort(axis=1)
        return cells.reshape(number, -1, 24).sum(axis=1), values[:, ::-1].astype("<u8").tobytes()

    def _by_sorting(self, clients: Whole, hours: Whole, number: int, earliest: int) -> tuple[Whole, bytes]:
        """The same where they may lie far apart."""
        np = self._np
        cells, counts = np.unique(clients << _HOUR_BITS | hours, return_counts=True)
        owners, hours = cells >> _HOUR_BITS, (cells & (1 << _HOUR_BITS) - 1) + earliest
        days = np.zeros(number * 24, np.int64)
        np.add.at(days, owners * 24 + hours % 24, counts)
        return days.reshape(number, 24), _busiest(np, owners, counts << 32 | LAST_HOUR - hours, number)


def quick(clients: Clients) -> Clients:
    """What adds up many clients quickly, where numpy is installed; nothing has been counted yet."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else it starts threads that nothing here needs
    try:
        import numpy as np
    except ImportError:
        return clients
    return BlockClients(clients.most, np, Reader(np, "anything"))


def _joined(np: Any, one: Whole, other: Whole) -> Whole:  # noqa: ANN401
    """The busiest hours of two lists of each client; an hour that stands in both is added up."""
    values = np.concatenate((one, other), axis=1)
    values = np.take_along_axis(values, np.argsort(values & _HOUR, axis=1, kind="stable"), axis=1)
    same = values[:, 1:] & _HOUR == values[:, :-1] & _HOUR
    values[:, :-1] += np.where(same, values[:, 1:] >> 32 << 32, 0)
    values[:, 1:][same] = 0
    values.sort(axis=1)
    best: Whole = values[:, : -BUSIEST - 1 : -1]
    return best


def _busiest(np: Any, owners: Whole, values: Whole, number: int) -> bytes:  # noqa: ANN401
    """The highest values of each owner."""
    order = np.lexsort((-values, owners))
    owners, values = owners[order], values[order]
    rank = np.arange(owners.size) - np.searchsorted(owners, owners)
    best = rank < BUSIEST
    busiest = np.zeros((number, BUSIEST), np.dtype("<u8"))
    busiest[owners[best], rank[best]] = values[best]
    packed: bytes = busiest.tobytes()
    return packed
