"""An access log counted in blocks.

A block is read as a table (:mod:`observe.access_table`) and its columns are
counted. Whatever is not exactly as it should be goes to
:class:`observe.access_scan.LineCounter`, line by line, as does every line with
a backslash or with this suite's name: there are few of them. Requests that may
be probes, refused logins or visits are looked at one by one.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from observe.access_counts import HANDED_OVER
from observe.access_table import BEFORE_REQUEST, Reader, places
from observe.client_blocks import BlockClients
from observe.log_format import COMBINED, LogFormat, tail_seconds
from observe.own_traffic import NAME
from observe.rotated_log import DISORDER
from observe.routes import LONGEST_MS, NOT_FOUND, REFUSAL_MS, REFUSED, WIDTH, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import hyperscan

    from observe.access_counts import Tally
    from observe.access_scan import Job, LineCounter, Window
    from observe.access_table import Table, Tail, Truth, Whole

_COMBINED_TEXT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
_NAME = NAME.encode()
_DISORDER_MS = int(DISORDER.total_seconds() * 1000)
_PLAIN_TEXT = re.compile(rb"[ !#-\[\]-~]+")  # no quote and no backslash: stands in the line as it was sent
_HOURS_IN_A_TABLE = 100
_TIME_BITS = 27  # of a day in milliseconds
_SMALLEST = 64  # bytes of a block, below which its words can't be looked at


@lru_cache(maxsize=4096)
def _tail_ms(tail: bytes) -> int:
    """The request time behind the combined fields in milliseconds; -1 if there is none."""
    seconds = tail_seconds(tail.decode("ascii")) if b"." in tail else None
    return round(float(seconds) * 1000) if seconds else -1


@lru_cache(maxsize=1)
def _layouts() -> Mapping[tuple[str, str], Tail]:
    """The formats that can be counted in blocks, and what is behind their last quote."""
    formats: dict[Tail, LogFormat] = {
        "anything": COMBINED,
        "nothing": LogFormat.compile(_COMBINED_TEXT),
        "seconds": LogFormat.compile(_COMBINED_TEXT + " $request_time"),
    }
    return {(fmt.pattern, fmt.escape): tail for tail, fmt in formats.items()}


def counter(lines: LineCounter, job: Job) -> BlockCounter | None:
    """What counts a job in blocks; ``None`` without numpy, or where format or questions ask for each line."""
    needles = job.questions.needles()
    tail = _layouts().get((job.pattern, job.escape))
    if tail is None:
        return None
    if not all(map(_PLAIN_TEXT.fullmatch, needles)):
        return None
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else it starts threads that nothing here needs
    try:
        import numpy as np
    except ImportError:
        return None
    return BlockCounter(lines, np, finder((_NAME, *needles)), tail)


def finder(needles: tuple[bytes, ...]) -> Callable[[bytes], list[tuple[int, int]]]:
    """What finds all places where one of these texts stands: its number, and the offset of its last byte."""
    try:
        import hyperscan
    except ImportError:
        return partial(_find_each, needles)
    database = _database(needles)
    scratch = hyperscan.Scratch(database)  # for one thread at a time

    def find(block: bytes) -> list[tuple[int, int]]:
        places: list[tuple[int, int]] = []

        def found(number: int, _from: int, to: int, _flags: int, _context: object) -> None:
            places.append((number, to - 1))

        database.scan(block, match_event_handler=found, scratch=scratch)
        return places

    return find


@lru_cache(maxsize=4)
def _database(needles: tuple[bytes, ...]) -> hyperscan.Database:
    import hyperscan

    database = hyperscan.Database()
    numbers = list(range(len(needles)))
    database.compile(expressions=[re.escape(needle) for needle in needles], ids=numbers, flags=[0] * len(needles))
    return database


def _find_each(needles: tuple[bytes, ...], block: bytes) -> list[tuple[int, int]]:
    return [(number, at + len(needle) - 1) for number, needle in enumerate(needles) for at in places(block, needle)]


class _Routes(NamedTuple):
    """What a block says of routes.

    Attributes:
        times: Route, milliseconds and how many requests took so long.
        refused: Requests that count for no route.
    """

    times: list[tuple[str, int, int]]
    refused: int

    def have_room(self, tally: Tally) -> bool:
        """Whether they can be counted without folding any."""
        assert tally.routes is not None  # for the type checker
        return tally.routes.has_room({route for route, _, _ in self.times}, len(self.times))

    def add_to(self, tally: Tally) -> None:
        """Count them."""
        assert tally.routes is not None  # for the type checker
        tally.counts.routes_refused += self.refused
        for route, milliseconds, number in self.times:
            tally.routes.add(route, rounded(milliseconds), number)


class BlockCounter:
    """Counts blocks of whole lines.

    Args:
        lines: What counts the lines that are not as they should be.
        numpy: The module, imported by whoever found it.
        find: Finds places in a block that are worth a closer look; number 0 is this suite's name.
        tail: What the format has behind its last quote.
    """

    def __init__(
        self,
        lines: LineCounter,
        numpy: Any,  # noqa: ANN401
        find: Callable[[bytes], list[tuple[int, int]]],
        tail: Tail = "anything",
    ) -> None:
        self._lines = lines
        self._tally = lines.tally
        self._np = numpy
        self._find = find
        self._reader = Reader(numpy, tail)
        self._clients: BlockClients | None = None
        if self._tally.clients is not None:
            self._tally.clients = self._clients = BlockClients(self._tally.clients.most, numpy, self._reader)

    def block(self, block: bytes) -> None:
        """Count a block."""
        if len(block) < _SMALLEST:
            self._lines.block(block)
            return
        places = self._find(block)
        table, odd = self._reader.read(block, [at for number, at in places if not number])
        if self._lines.window is not None:
            if odd or not table.at.size:
                self._lines.block(block)  # their order decides what is in the window
                return
            table = self._cut(table, self._lines.window)
        if table.at.size:
            rows, times = self._times(block, table)
            routes = self._routes(block, table, rows, times) if self._tally.routes is not None else None
            if routes is not None and not routes.have_room(self._tally):
                self._lines.block(block)  # what is folded depends on the order in which requests come
                return
            self._count(table, times)
            if routes is not None:
                routes.add_to(self._tally)
        self._look(block, table, odd, [at for number, at in places if number])

    def _cut(self, table: Table, window: Window) -> Table:
        """The rows in the window."""
        np, at_ms = self._np, table.at * 1000
        self._lines.moved(int(at_ms[0]))
        late = np.flatnonzero(at_ms > window.until + _DISORDER_MS)
        last = int(late[0]) if late.size else at_ms.size - 1
        self._lines.moved(int(at_ms[last]))
        inside = (at_ms >= window.since) & (at_ms <= window.until)
        inside[last + 1 :] = False
        return table.some(inside)

    def _count(self, table: Table, times: Whole) -> None:
        """Count what every line has: hour, status, and how long it took."""
        np, tally = self._np, self._tally
        tally.counts.lines += table.at.size
        tally.seen(int(table.at.min()) * 1000)
        tally.seen(int(table.at.max()) * 1000)
        hours = table.at // 3600
        keys = hours * 1000 + table.status
        first = int(hours.min()) * 1000
        if int(hours.max()) * 1000 - first < _HOURS_IN_A_TABLE * 1000:
            numbers = np.bincount(keys - first)
            found = np.flatnonzero(numbers)
            numbers = numbers[found]
            found += first
        else:
            found, numbers = np.unique(keys, return_counts=True)
        for key, number in zip(found.tolist(), numbers.tolist(), strict=True):
            tally.add_hour(key // 1000, key % 1000, number)
        tally.counts.untimed += int(table.at.size - times.size)
        values, numbers = np.unique(times, return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            tally.add_time(value, number)

    def _times(self, block: bytes, table: Table) -> tuple[Whole, Whole]:
        """Which rows say how long a request took, and how long that was, in milliseconds."""
        np = self._np
        rows: Whole = np.flatnonzero((table.tails != table.ends) & (table.status != HANDED_OVER))
        if not rows.size:
            return rows, rows
        tails, ends = table.tails[rows], table.ends[rows]
        found, simple = self._reader.times_taken(self._reader.words(block), tails, ends)
        times: Whole = found.astype(np.int64)
        if not simple.all():
            odd = ~simple
            places = zip(tails[odd].tolist(), ends[odd].tolist(), strict=True)
            times[odd] = [min(_tail_ms(block[begin:end]), LONGEST_MS) for begin, end in places]
            known = times >= 0
            rows, times = rows[known], times[known]
        return rows, times

    def _routes(self, block: bytes, table: Table, rows: Whole, times: Whole) -> _Routes:
        """The times of rows, per route."""
        np, refused = self._np, self._tally.refused_status
        status = table.status[rows]
        reached = (status != REFUSED) & ((status != refused) | (times >= REFUSAL_MS))
        rows, times, status = rows[reached], times[reached], status[reached]
        left_out = reached.size - rows.size
        if not rows.size:
            return _Routes([], left_out)
        begins = table.requests[rows] + 1
        ends = self._reader.path_ends(block, begins, table.request_ends[rows])
        ends = np.minimum(ends, begins + WIDTH)
        missing = status == NOT_FOUND
        marks = self._reader.marks_of(self._reader.words(block), begins, ends, missing)
        _, first, kinds = np.unique(marks, return_index=True, return_inverse=True)
        places = zip(begins[first].tolist(), ends[first].tolist(), strict=True)
        texts = [block[begin:end] for begin, end in places]
        names = self._tally.names.of_many(texts)
        for index in np.flatnonzero(missing[first]).tolist():
            names[index] = self._tally.names.of(texts[index].decode("ascii"), found=False)
        routes = {name: number for number, name in enumerate(dict.fromkeys(names))}
        numbers = np.array([routes[name] for name in names], np.int64)[kinds]
        keys, counts = np.unique(numbers << _TIME_BITS | times, return_counts=True)
        listed = list(routes)
        return _Routes(
            [
                (listed[key >> _TIME_BITS], key & (1 << _TIME_BITS) - 1, count)
                for key, count in zip(keys.tolist(), counts.tolist(), strict=True)
            ],
            left_out,
        )

    def _look(self, block: bytes, table: Table, odd: list[tuple[int, int]], places: list[int]) -> None:
        """Look at single lines, in their order: those of interest, and those that are not as they should be."""
        picked = self._picked(table, places)
        columns = (table.begins, table.requests, table.request_ends, table.at, table.status)
        rows = list(zip(*(column[picked].tolist() for column in columns), strict=True))

        def seen() -> Iterator[tuple[str, int, str, int]]:
            for begin, quote, end, at, status in rows:
                request = block[quote + 1 : end].decode("ascii")
                yield (
                    block[begin : quote - BEFORE_REQUEST].decode("ascii"),
                    at,
                    request if request != "-" else "",
                    status,
                )

        if not odd:
            self._count_clients(block, table)
            self._tally.look(seen())
            return
        others = self._one_by_one(block, table, odd)
        begin = next(others)
        for row, one in zip(rows, seen(), strict=True):
            while begin < row[0]:
                begin = next(others)
            self._tally.look([one])
        for _ in others:
            pass

    def _one_by_one(self, block: bytes, table: Table, odd: list[tuple[int, int]]) -> Iterator[int]:
        """Count lines that are not as they should be, and each time the clients of the rows before it.

        Yields:
            Where the next line begins that is counted when this goes on; at last the block's end.
        """
        counted = 0
        places = self._np.searchsorted(table.begins, [begin for begin, _ in odd]).tolist()
        for (begin, end), place in zip(odd, places, strict=True):
            yield begin
            self._count_clients(block, table.some(slice(counted, place)))
            counted = place
            self._lines.line(block[begin:end])
        self._count_clients(block, table.some(slice(counted, None)))
        yield len(block)

    def _count_clients(self, block: bytes, table: Table) -> None:
        if self._clients is not None and table.at.size:
            self._clients.add_rows(block, table, table.requests - BEFORE_REQUEST)

    def _picked(self, table: Table, places: list[int]) -> Truth:
        """Which rows are worth a closer look."""
        np = self._np
        picked: Truth = (table.status == 401) | (table.status == 403)
        if places and table.at.size:
            where = np.array(places, np.int64)
            rows = np.searchsorted(table.begins, where, side="right") - 1
            picked[rows[(where > table.requests[rows]) & (where < table.request_ends[rows]) & (rows >= 0)]] = True
        return picked
