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
from typing import TYPE_CHECKING, Any

from observe.access_counts import HANDED_OVER
from observe.access_table import BEFORE_REQUEST, Reader, places
from observe.log_format import COMBINED, LogFormat, tail_seconds
from observe.own_traffic import NAME
from observe.rotated_log import DISORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import hyperscan

    from observe.access_scan import Job, LineCounter, Window
    from observe.access_table import Table, Tail, Truth, Whole

_COMBINED_TEXT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
_NAME = NAME.encode()
_DISORDER_MS = int(DISORDER.total_seconds() * 1000)
_PLAIN_TEXT = re.compile(rb"[ !#-\[\]-~]+")  # no quote and no backslash: stands in the line as it was sent
_HOURS_IN_A_TABLE = 100
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
            self._count(block, table)
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

    def _count(self, block: bytes, table: Table) -> None:
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
        timed = (table.tails != table.ends) & (table.status != HANDED_OVER)
        untimed = timed.size - np.count_nonzero(timed)
        if untimed < timed.size:
            untimed += self._count_times(block, table.tails[timed], table.ends[timed])
        tally.counts.untimed += int(untimed)

    def _count_times(self, block: bytes, tails: Whole, ends: Whole) -> int:
        """Count how long requests took; of how many there is nothing to be read."""
        np = self._np
        times, simple = self._reader.times_taken(self._reader.words(block), tails, ends)
        values, numbers = np.unique(times[simple], return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            self._tally.add_time(value, number)
        untimed = 0
        for begin, end in zip(tails[~simple].tolist(), ends[~simple].tolist(), strict=True):
            milliseconds = _tail_ms(block[begin:end])
            if milliseconds < 0:
                untimed += 1
            else:
                self._tally.add_time(milliseconds, 1)
        return untimed

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
            self._tally.look(seen())
            return
        others = iter([*odd, (len(block), -1)])
        begin, end = next(others)
        for row, one in zip(rows, seen(), strict=True):
            while begin < row[0]:
                self._lines.line(block[begin:end])
                begin, end = next(others)
            self._tally.look([one])
        while end >= 0:
            self._lines.line(block[begin:end])
            begin, end = next(others)

    def _picked(self, table: Table, places: list[int]) -> Truth:
        """Which rows are worth a closer look."""
        np = self._np
        picked: Truth = (table.status == 401) | (table.status == 403)
        if places and table.at.size:
            where = np.array(places, np.int64)
            rows = np.searchsorted(table.begins, where, side="right") - 1
            picked[rows[(where > table.requests[rows]) & (where < table.request_ends[rows]) & (rows >= 0)]] = True
        return picked
