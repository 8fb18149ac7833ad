"""The lines of a block of an access log, as a table made by numpy.

nginx escapes a `"` in what clients send, so a line of the combined format has
six, and the first six of a line with more behind it are the same. From them
follow the places of time, request and status, and eight bytes at a time are
looked at as one number, for a thousand lines at once. What is not exactly as
it should be is left to somebody else: each check here is at least as strict as
the pattern of :data:`observe.log_format.COMBINED`.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from observe.access_counts import LINE_BOUND
from observe.log_format import local_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Words = NDArray[np.uint64]
    Truth = NDArray[np.bool_]

Tail = Literal["anything", "nothing", "seconds"]
"""What a format has behind its last quote."""

BEFORE_REQUEST = 34
"""Before the quote that begins the request stand ` - - [`, 26 characters of time and `] `."""

_TIME = 28
_ADDRESS = b"0123456789ABCDEFabcdef.:"
_LONGEST_ADDRESS = 40
_HOUR = re.compile(rb"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d")
_ZONE = re.compile(rb" [+-]\d{4}")
_NO_HOUR = -(2**62)


def _word(text: bytes) -> int:
    """A text as the number that it is in a register, first character lowest."""
    return int.from_bytes(text, "little")


_USER = _word(b" - - [")
_SIX = _word(b"\xff" * 6)
_CLOCK_MASK, _CLOCK = _word(b"\xf0\xff\xf0\xf0"), _word(b"0:00")  # `1:48` of `10:01:48`
_CLOCK_CARRY = _word(b"\x06\x00\x06\x06")
_STATUS_MASK, _STATUS = _word(b"\xff\xf0\xf0\xf0\xff"), _word(b" 000 ")
_STATUS_CARRY = _word(b"\x00\x06\x06\x06\x00")
_DIGIT_MASK, _DIGITS, _DIGIT_CARRY = _word(b"\xf0" * 8), _word(b"0" * 8), _word(b"\x06" * 8)
_SECONDS_MASK, _SECONDS = _word(b"\0\xf0\xf0\xf0\xff\xf0\xf0\xf0"), _word(b"\x00000.000")
_SECONDS_CARRY = _word(b"\0\x06\x06\x06\0\x06\x06\x06")
_PROTOCOL_MASK, _PROTOCOL = _word(b"\xff\xff\xff\xff\xff\xf0\xff\xf0"), _word(b"HTTP/0.0")
_PROTOCOL_CARRY = _word(b"\0\0\0\0\0\x06\0\x06")
_SECRET = int.from_bytes(os.urandom(8), "little") | 1
_SPACES, _ONES, _TOPS = _word(b" " * 8), _word(b"\x01" * 8), _word(b"\x80" * 8)


@lru_cache(maxsize=4096)
def _hour_of(hour: bytes, zone: bytes) -> int:
    """When `23/Nov/2026:10` began in ` +0000`, in seconds since the epoch."""
    if not _HOUR.fullmatch(hour) or not _ZONE.fullmatch(zone):
        return _NO_HOUR
    at = local_time(f"{hour.decode()}:00:00{zone.decode()}")
    return int(at.timestamp()) if at is not None else _NO_HOUR


def places(block: bytes, text: bytes) -> Iterator[int]:
    """Where a text stands in a block."""
    at = block.find(text)
    while at >= 0:
        yield at
        at = block.find(text, at + 1)


class _Lines(NamedTuple):
    """The lines of a block.

    Attributes:
        begins: Offsets of all of them.
        ends: Offsets of their line ends.
        chosen: Which of them have their six quotes.
        quotes: Where those are, one array for each of the six.
    """

    begins: Whole
    ends: Whole
    chosen: Whole
    quotes: tuple[Whole, ...]

    def some(self, which: Truth) -> _Lines:
        """Without those of the lines with quotes that turned out to be odd."""
        return _Lines(self.begins, self.ends, self.chosen[which], tuple(quote[which] for quote in self.quotes))


class Table(NamedTuple):
    """Lines of a block that are exactly as they should be.

    Attributes:
        begins: Where they begin.
        ends: Their line ends.
        requests: The quotes before their requests.
        request_ends: The quotes behind them.
        tails: What is behind their last quote.
        at: Their times, in seconds since the epoch.
        status: As answered.
    """

    begins: Whole
    ends: Whole
    requests: Whole
    request_ends: Whole
    tails: Whole
    at: Whole
    status: Whole

    def some(self, which: Truth | slice) -> Table:
        """These rows of it."""
        return Table(*(column[which] for column in self))


class Reader:
    """Finds the lines of a block that are exactly as they should be.

    Args:
        numpy: The module, imported by whoever found it.
        tail: What the format has behind its last quote.
    """

    def __init__(self, numpy: Any, tail: Tail) -> None:  # noqa: ANN401
        self._np = numpy
        self._tail = tail
        self._in_address: Truth = numpy.isin(numpy.arange(256), list(_ADDRESS))
        low = [(1 << 8 * length) - 1 for length in range(9)]
        self._low: Words = numpy.array(low, numpy.uint64)
        self._above: Words = ~self._low

    def read(self, block: bytes, others: list[int]) -> tuple[Table, list[tuple[int, int]]]:
        """Read a block of whole lines.

        Args:
            block: The block.
            others: Offsets whose lines are to be left to somebody else.

        Returns:
            The lines that are as they should be, and where the others begin
            and end.
        """
        np = self._np
        values = np.frombuffer(block, np.uint8)
        words = self.words(block)
        lines = self._lines(block, values)
        far = lines.quotes[0] - lines.begins[lines.chosen] > BEFORE_REQUEST
        lines = lines if far.all() else lines.some(far)
        at, right = self._times(block, words, lines.quotes[0])
        status, status_right = self._answers(values, words, lines.quotes)
        right &= status_right & self._client_is_one_word(words, lines)
        if self._tail != "anything":
            right &= self._is_strict(values, words, lines)
        if others := [*others, *places(block, b"\\")]:
            right &= ~np.isin(lines.chosen, np.searchsorted(lines.ends, others))
        if not right.all():
            lines, at, status = lines.some(right), at[right], status[right]
        quotes = lines.quotes
        table = Table(
            lines.begins[lines.chosen], lines.ends[lines.chosen], quotes[0], quotes[1], quotes[5] + 1, at, status
        )
        return table, self._others(lines)

    def words(self, block: bytes) -> Words:
        """Eight bytes from any offset on, as one number."""
        np = self._np
        found: Words = np.ndarray((len(block) - 7,), np.dtype("<u8"), block, 0, (1,))
        return found

    def _lines(self, block: bytes, values: Any) -> _Lines:  # noqa: ANN401
        """Find lines and their quotes."""
        np = self._np
        quotes = np.flatnonzero(values == 34)
        if quotes.size and not quotes.size % 6:
            six = quotes.reshape(-1, 6)
            ends = six[:, 5] + 1
            # As many control characters as lines: the line ends are the only ones.
            simple = (values[ends] == 10).all() and np.count_nonzero(values < 32) == ends.size and block.isascii()
            if simple:
                begins = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
                escaped = b"\\" in block and b'\\"' in block  # the second alone would take longer than all else here
                if (ends - begins).max() <= LINE_BOUND and not escaped:
                    return _Lines(begins, ends, np.arange(ends.size), tuple(np.ascontiguousarray(six.T)))
        return self._mixed_lines(block, values, quotes)

    def _mixed_lines(self, block: bytes, values: Any, quotes: Whole) -> _Lines:  # noqa: ANN401
        """Find them where not every line is a plain one."""
        np = self._np
        ends = np.flatnonzero(values == 10)
        begins = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
        first = np.searchsorted(quotes, begins)
        good = np.diff(first, append=quotes.size) >= 6
        good &= ends - begins <= LINE_BOUND
        strange = np.flatnonzero(((values < 32) & (values != 10)) | (values > 126))
        good[np.searchsorted(ends, strange)] = False
        if b"\\" in block:
            good[np.searchsorted(ends, [*places(block, b'\\"')])] = False
        index = np.flatnonzero(good)
        first = first[index]
        return _Lines(begins, ends, index, tuple(quotes[first + number] for number in range(6)))

    def _times(self, block: bytes, words: Words, requests: Whole) -> tuple[Whole, Truth]:
        """Times in seconds since the epoch, and whether there is one, with no user before it."""
        np = self._np
        time = requests - _TIME
        right = (words[requests - BEFORE_REQUEST] & _SIX) == _USER
        day, hour, clock, zone = words[time], words[time + 8], words[time + 16], words[time + 20]
        # `23/Nov/2`, `026:10` and ` +0000] ` are the same for thousands of lines in a row: each run is read once.
        changes = (day[1:] != day[:-1]) | ((hour[1:] ^ hour[:-1]) & _SIX != 0) | (zone[1:] != zone[:-1])
        runs = np.concatenate((np.zeros(min(1, time.size), np.int64), np.flatnonzero(changes) + 1))
        hours = np.array([self._hour(block, begin) for begin in time[runs].tolist()], np.int64)
        at = np.repeat(hours, np.diff(runs, append=time.size))
        right &= at != _NO_HOUR
        minute_tens, seconds = hour >> 56, clock & 0xFFFFFFFF
        right &= (hour >> 48 & 0xFF) == 0x3A
        right &= (minute_tens >= 0x30) & (minute_tens <= 0x35)
        right &= (seconds & _CLOCK_MASK) == _CLOCK
        right &= (seconds + _CLOCK_CARRY & _CLOCK_MASK) == _CLOCK
        right &= (seconds >> 16 & 0xF) <= 5
        past = ((minute_tens & 0xF) * 10 + (seconds & 0xF)) * 60 + (seconds >> 16 & 0xF) * 10 + (seconds >> 24 & 0xF)
        return at + past.astype(np.int64), right

    @staticmethod
    def _hour(block: bytes, time: int) -> int:
        if block[time + 26 : time + _TIME] != b"] ":
            return _NO_HOUR
        return _hour_of(block[time : time + 14], block[time + 20 : time + 26])

    def _answers(self, values: Any, words: Words, quotes: tuple[Whole, ...]) -> tuple[Whole, Truth]:  # noqa: ANN401
        """Status, and whether it, the size and the quotes behind it are as they should be."""
        np = self._np
        _, request_end, referer, referer_end, agent, _ = quotes
        last = words.size - 1
        answer = words[np.minimum(request_end + 1, last)]
        right = (answer & _STATUS_MASK) == _STATUS
        right &= (answer + _STATUS_CARRY & _STATUS_MASK) == _STATUS
        status = (answer >> 8 & 0xF) * 100 + (answer >> 16 & 0xF) * 10 + (answer >> 24 & 0xF)
        size = words[np.minimum(request_end + 6, last)]
        length = referer - request_end - 7
        right &= (length >= 1) & (length <= 8)
        low = self._low[np.clip(length, 0, 8)]
        digits = (size & low & _DIGIT_MASK) == (low & _DIGITS)
        digits &= ((size & low) + (low & _DIGIT_CARRY) & _DIGIT_MASK) == (low & _DIGITS)
        right &= digits | ((length == 1) & ((size & 0xFF) == 0x2D))
        right &= (values[referer - 1] == 32) & (values[referer_end + 1] == 32) & (agent == referer_end + 2)
        return status.astype(np.int64), right

    def _client_is_one_word(self, words: Words, lines: _Lines) -> Truth:
        np = self._np
        begins = lines.begins[lines.chosen]
        length = lines.quotes[0] - BEFORE_REQUEST - begins
        right: Truth = length <= _LONGEST_ADDRESS
        for offset in range(0, min(_LONGEST_ADDRESS, int(length.max(initial=0))), 8):
            spaces = words[begins + offset] ^ _SPACES | self._above[np.clip(length - offset, 0, 8)]
            right &= (spaces - _ONES & ~spaces & _TOPS) == 0
        return right

    def _is_strict(self, values: Any, words: Words, lines: _Lines) -> Truth:  # noqa: ANN401
        """Whether client and tail are what a format with `$remote_addr` and `$request_time` wants."""
        begins = lines.begins[lines.chosen]
        length = lines.quotes[0] - BEFORE_REQUEST - begins
        tails, ends = lines.quotes[5] + 1, lines.ends[lines.chosen]
        right: Truth = tails == ends if self._tail == "nothing" else self.times_taken(words, tails, ends)[1]
        right &= length <= _LONGEST_ADDRESS
        for offset in range(min(_LONGEST_ADDRESS, int(length.max(initial=0)))):
            right &= self._in_address[values[begins + offset]] | (length <= offset)
        return right

    def times_taken(self, words: Words, tails: Whole, ends: Whole) -> tuple[Words, Truth]:
        """Request times in milliseconds, and whether the tail is nothing but one: ` 0.123`, ` 12.345` or ` 123.456`."""
        np = self._np
        # Of its last eight characters; what stands before the digits is made zeros.
        word, length = words[ends - 8], ends - tails
        simple = (length >= 6) & (length <= 8)
        simple &= (word >> 8 * np.clip(8 - length, 0, 7).astype(np.uint64) & 0xFF) == 32
        low = self._low[np.clip(9 - length, 0, 8)]
        word = word & ~low | low & _DIGITS
        simple &= (word & _SECONDS_MASK) == _SECONDS
        simple &= (word + _SECONDS_CARRY & _SECONDS_MASK) == _SECONDS
        times = np.zeros(word.size, np.uint64)
        for shift, weight in ((8, 100_000), (16, 10_000), (24, 1000), (40, 100), (48, 10), (56, 1)):
            times += (word >> shift & 0xF) * weight
        return times, simple

    def path_ends(self, block: bytes, begins: Whole, ends: Whole) -> Whole:
        """Where in requests method and path end: at a `?`, else before the protocol, else at their end."""
        np = self._np
        words, values = self.words(block), np.frombuffer(block, np.uint8)
        last = np.maximum(ends - 8, 0)
        protocol = (words[last] & _PROTOCOL_MASK) == _PROTOCOL
        protocol &= (words[last] + _PROTOCOL_CARRY & _PROTOCOL_MASK) == _PROTOCOL
        protocol &= (ends - begins >= 9) & (values[np.maximum(ends - 9, 0)] == 32)
        found: Whole = np.where(protocol, ends - 9, ends)
        queries = np.flatnonzero(values == 63)
        if queries.size:
            at = queries[np.minimum(np.searchsorted(queries, begins), queries.size - 1)]
            found = np.where((at >= begins) & (at < ends), at, found)
        return found

    def marks_of(self, words: Words, begins: Whole, ends: Whole, apart: Truth) -> Words:
        """Numbers that are the same for equal texts, and else differ; nobody outside can know how they are made.

        Args:
            words: As :meth:`words`.
            begins: Where the texts begin.
            ends: Where they end.
            apart: Texts that are not the same as equal ones without this.
        """
        np = self._np
        length = ends - begins
        marks: Words = length.astype(np.uint64) + (apart.astype(np.uint64) << 32)
        rows = np.arange(length.size)
        for offset in range(0, int(length.max(initial=0)), 8):
            if offset:
                rows = rows[length[rows] > offset]
            word = words[begins[rows] + offset] & self._low[np.minimum(length[rows] - offset, 8)]
            mixed = (marks[rows] ^ word) * _SECRET
            marks[rows] = mixed ^ mixed >> 31
        return marks

    def _others(self, lines: _Lines) -> list[tuple[int, int]]:
        """Where the lines begin and end that are not as they should be."""
        np = self._np
        if lines.chosen.size == lines.ends.size:
            return []
        other = np.ones(lines.ends.size, np.bool_)
        other[lines.chosen] = False
        return list(zip(lines.begins[other].tolist(), lines.ends[other].tolist(), strict=True))
