"""What psql says of a dump that it is given, without anything of what is in the dump.

A message of PostgreSQL quotes: names of tables, but values of rows as well, and
when a table's rows have nowhere to go psql takes them for statements and
complains of each. So a quoted text is shown only where the kind of error quotes
names, and only when it is a name that the dump itself says outside of its rows.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_START = re.compile(rb"psql:<stdin>:(\d+): (?:(ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|LOG|DEBUG):  )?(.*)", re.DOTALL)
_STATE = re.compile(r"([0-9A-Z]{5}): (.*)", re.DOTALL)
_PLACE = re.compile(rb"LOCATION:  (\w+), ([\w.]+):\d+")
_ROW = re.compile(rb"CONTEXT:  COPY .{1,400}?, line (\d+)(?:[,:].*)?", re.DOTALL)
"""Which of its rows a COPY failed on; what stands in that row follows, and is left where it is."""
_HARMLESS = re.compile(r"(?:error: )?invalid command \\(?:un)?restrict\b")
"""pg_dump's frame, which an older psql doesn't know: the dump is none the worse."""
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_BYTES = re.compile(r"0x[0-9a-fA-F]{2}")
_LONGEST, _SHOWN = 1000, 200
HIDDEN = '"…"'
NAMES = frozenset(
    {
        *("42704", "42P01", "42703", "42883", "3F000", "3D000"),  # something isn't there
        *("42710", "42P07", "42701", "42P06", "42723", "42P04", "42P16"),  # something is there already
        *("42501", "42809", "42830", "42P17", "42939", "42846", "42P10", "42P13"),  # something can't be done with it
        *("2BP01", "2BP02", "55006", "55000", "0A000", "58P01"),  # or not now, or not here
        *("23502", "23503", "23505", "23514", "23P01", "22P04"),  # a constraint or a column, by its name
    }
)
"""Kinds of error (SQLSTATE) whose message quotes names."""
_KINDS = {
    "22": "data that doesn't fit its type",
    "23": "a constraint that doesn't hold",
    "42": "a syntax error, or something that isn't there or is forbidden",
    "P0": "an error that a function of the database raises",
}
_SAYS_WHAT_IT_LIKES = re.compile(rb"^(?:pl|exec_stmt)")
INSTRUMENT = re.compile("53...|57P0.|58030|XX001")
"""Kinds of error that are the scratch server's own: no memory, no room, shut down, its disk fails."""


@dataclass(frozen=True)
class Complaint:
    """An error, as psql and the server say it; it may hold data and is shown by :meth:`masked` alone.

    Attributes:
        line: The line of the dump.
        state: The kind of error (SQLSTATE); empty for psql's own.
        row: The row of a table's that it is about, from 1; 0 when it is about none.
    """

    line: int
    state: str
    _message: str
    _free: bool
    row: int = 0

    def __repr__(self) -> str:
        return f"Complaint(line={self.line}, state={self.state!r})"

    def masked(self, known: Callable[[str], bool], *, careful: bool = False) -> str:
        """The message without anything of the dump's rows.

        Args:
            known: Whether a quoted text is a name that the dump says outside of its rows.
            careful: Whether what is not quoted may be of the rows as well.
        """
        if not self.state:
            return "something that psql doesn't understand"
        kind = f"{_KINDS.get(self.state[:2], 'an error')}, whose text may hold data"
        if self._free:
            return kind
        names = self.names
        if self.state in NAMES and names and all(len(one) <= _SHOWN and known(one) for one in names):
            text = self._message if self._message.count('"') % 2 == 0 else self._message.rpartition('"')[0] + "…"
        elif careful:
            return kind
        else:
            # What is quoted may have quotation marks in it, and what was cut off may have had the last one.
            head, mark, rest = self._message.partition('"')
            text = head + (HIDDEN + rest.rpartition('"')[2] if '"' in rest else HIDDEN if mark else "")
        return _BYTES.sub("0x…", " ".join(text.split()))[: 2 * _SHOWN]

    @property
    def names(self) -> tuple[str, ...]:
        """What is quoted in it."""
        return tuple(found[1] for found in _QUOTED.finditer(self._message))


class Complaints:
    """Takes what psql prints on its standard error, bit by bit, and keeps the first errors of it.

    Args:
        most: How many are kept; the others are counted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = b""
        self._open: tuple[int, str] | None = None
        self._free: bool | None = None
        self._row = 0
        self._skip_line = False
        self.kept: list[Complaint] = []
        self.count = 0
        self.warnings = 0
        self.instrument = ""
        """The first kind of error that is the scratch server's own and not the dump's; empty if there is none."""

    def take(self, data: bytes) -> None:
        """Look at the next bytes."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._skip_line:
                self._skip_line = False
            else:
                self._line(line[:_LONGEST])
        if len(self._rest) > _LONGEST:
            # Only how a line begins matters.
            if not self._skip_line:
                self._line(self._rest[:_LONGEST])
            self._rest, self._skip_line = b"", True

    def end(self) -> None:
        """Nothing more comes."""
        if self._rest and not self._skip_line:
            self._line(self._rest)
        self._rest = b""
        self._close()

    def _line(self, line: bytes) -> None:
        if (begin := _START.fullmatch(line)) is not None:
            self._close()
            level, text = (begin[2] or b"").decode(), begin[3].decode("utf-8", errors="replace")
            if level in {"WARNING", "NOTICE", "INFO", "LOG", "DEBUG"}:
                self.warnings += level == "WARNING"
            elif not _HARMLESS.match(text):
                self._open, self._free, self._row = (int(begin[1]), text), None, 0
        elif self._open is None:
            return
        elif (row := _ROW.fullmatch(line)) is not None:
            self._row = self._row or int(row[1])
        elif (place := _PLACE.fullmatch(line)) is not None:
            self._free = bool(self._free) or bool(_SAYS_WHAT_IT_LIKES.match(place[1]) or place[2].startswith(b"pl"))

    def _close(self) -> None:
        if self._open is None:
            return
        line, text = self._open
        self._open = None
        self.count += 1
        found = _STATE.fullmatch(text)
        state, message = (found[1], found[2]) if found else ("", "")
        if INSTRUMENT.fullmatch(state) and not self.instrument:
            self.instrument = state
        if len(self.kept) < self._most:
            self.kept.append(Complaint(line, state, message, self._free is not False, self._row))


@dataclass(frozen=True)
class DumpError:
    """An error of a restore.

    Attributes:
        line: The line of the dump, from 1.
        state: The kind of error (SQLSTATE); empty when psql itself doesn't understand.
        message: What is wrong, without anything of the dump's rows.
        object: What of the dump it is about, as `TABLE DATA api_task`; empty when that can't be told.
        follows: Whether it is only the consequence of another: rows that had nowhere to go.
    """

    line: int
    state: str
    message: str
    object: str
    follows: bool = False

    @property
    def said(self) -> str:
        """The error in one line."""
        about = f" ({self.object})" if self.object else ""
        kind = f" [{self.state}]" if self.state else ""
        return f"line {self.line}{about}: {self.message}{kind}"


_ENTRY = re.compile(rb"-- (?:Data for )?Name: (.{1,200}?); Type: ([A-Z ]{1,60}); Schema: (.{1,80}?);")
_ROWS = re.compile(rb"COPY .* FROM stdin;")
_ROWS_AS_STATEMENTS = "rows that had nowhere to go, taken for statements"
_KEPT = 256 * 1024
_LINE = 64 * 1024


class Places:
    """Takes the text of a dump again, and says of some of its lines what they are about.

    Args:
        complaints: The errors; they come in the order of their lines.
    """

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self._wanted = deque(sorted(complaints, key=lambda one: one.line))
        self._number = 0
        self._rest = b""
        self._entry, self._words = "", bytearray()
        self._rows_since = self._began = 0
        self._lost_rows = False
        self.errors: list[DumpError] = []

    @property
    def done(self) -> bool:
        """Whether all of them are found."""
        return not self._wanted

    def take(self, text: bytes) -> None:
        """Look at the next bytes of the text."""
        if self.done:
            return
        lines = (self._rest + text).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._number += 1
            self._line(line)
            while self._wanted and self._wanted[0].line <= self._number:
                self._place(self._wanted.popleft())

    def end(self) -> list[DumpError]:
        """All of them; those that are beyond the text's end are about nothing."""
        if self._rest:
            self.take(b"\n")
        while self._wanted:
            self._place(self._wanted.popleft())
        return self.errors

    def _line(self, line: bytes) -> None:
        if self._rows_since:
            if line == b"\\.":
                self._rows_since = 0
            return
        if line.startswith(b"-- ") and (entry := _ENTRY.match(line)):
            kind, name = (entry[number].decode("utf-8", errors="replace") for number in (2, 1))
            self._entry, self._words = f"{kind} {name}"[:_SHOWN], bytearray()
        if len(self._words) < _KEPT:
            self._words += line[:_LINE] + b"\n"
        if line.startswith(b"COPY ") and _ROWS.fullmatch(line):
            self._rows_since = self._began = self._number

    def _place(self, one: Complaint) -> None:
        # A COPY fails at its own line, or at the line with which its rows end; between them lie the rows.
        inside = self._rows_since > 0 and one.line > self._rows_since
        self._lost_rows |= self._rows_since > 0 and one.line == self._rows_since
        follows = inside and self._lost_rows
        text = self._words.decode("utf-8", errors="replace")

        def known(name: str) -> bool:
            return all(_says(text, part) for part in name.split("."))

        said = _ROWS_AS_STATEMENTS if follows else one.masked(known, careful=inside or self._lost_rows)
        line = self._began + one.row if one.row and self._began and self._began + one.row < one.line else one.line
        self.errors.append(DumpError(line, one.state, said, self._entry, follows))


def _says(text: str, name: str) -> bool:
    return bool(name) and re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text) is not None
