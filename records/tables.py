"""Files of like TOML tables: reading them with errors that help, and adding one without touching the others."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import os
import re
import secrets
import time
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import fields

from target.model import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

S = TypeVar("S", bound=Section)
LOCK_SECONDS = 10.0
MOST_SHOWN = 80


class RecordError(Exception):
    """What people have said can't be used or written; the text is for the operator, one problem a line."""


class Day(date):
    """A day, as TOML writes it: without quotes and without a time."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Take it; ValueError says what would be right."""
        if not isinstance(value, date) or isinstance(value, datetime):
            raise ValueError("a day is written without quotes and without a time, as 2026-12-01")  # noqa: TRY004
        return cls(value.year, value.month, value.day)


class Said(str):
    """A text that says something."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Take it; ValueError says what would be right."""
        if not isinstance(value, str) or not any(character.isprintable() for character in value.strip()):
            raise ValueError("it is a text in quotes that isn't blank")
        return cls(value)


class Link(str):
    """Where more is to be read; empty: nowhere."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Take it; ValueError says what would be right."""
        wrong = ValueError("a link is an address that begins with https:// or http://, without blanks")
        if not isinstance(value, str) or re.search(r"[\s\x00-\x20\x7f]", value):
            raise wrong
        try:
            parts = urlsplit(value)
        except ValueError:
            raise wrong from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise wrong
        return cls(value)


class Table(Protocol):
    """Something that people have said, which stands in a file as a table."""

    @property
    def slug(self) -> str:
        """What it is about."""

    def lines(self) -> list[str]:
        """The table as it stands in the file; ValueError if a text of it can't stand in one."""


class Book(Protocol):
    """What was read of a whole file."""

    @property
    def all(self) -> tuple[object, ...]:
        """Its tables, in their order."""


T = TypeVar("T", bound=Table)
B = TypeVar("B", bound=Book)


@dataclass
class Tables(Generic[S]):
    """What was read of a file.

    Attributes:
        file: The file.
        name: What its tables are called.
        text: What stands in it.
        entries: Its tables in their order; None where something is wrong with one.
        problems: All that is wrong, each with its place.
    """

    file: Path
    name: str
    text: str
    entries: list[S | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def wrong(self, number: int, key: str, what: str) -> None:
        """Note what is wrong with a key of the table of that number, counted from 0."""
        line = _line(self.text, self.name, number, key)
        place = f"{self.file}:{line}" if line else f"{self.file}: {self.name} {number + 1}"
        self.problems.append(f"{place}: {key}: {what}." if key else f"{place}: {what}.")

    def line(self, number: int) -> int:
        """The line on which that table begins; 0 when it isn't plain."""
        return _line(self.text, self.name, number, "")

    def good(self) -> Iterator[tuple[int, S]]:
        """The tables with which nothing is wrong so far, by number."""
        return ((number, one) for number, one in enumerate(self.entries) if one is not None)

    def finish(self) -> None:
        """Raise what was found to be wrong.

        Raises:
            RecordError: If anything was.
        """
        if self.problems:
            raise RecordError("\n".join(self.problems))


def read_text(file: Path) -> str | None:
    """What stands in the file, its line ends as they are; None if there is no such file.

    Raises:
        RecordError: If it can't be read.
    """
    content = _content(file)
    return None if content is None else _decoded(file, content)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise RecordError(f"{file}: it is a directory; name the file in it.") from None
    except OSError as error:
        raise RecordError(f"{file}: it can't be read: {error.strerror}.") from None


def _decoded(file: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # some editors put a byte order mark in front
    except UnicodeDecodeError as error:
        raise RecordError(f"{file}: it is not UTF-8 text (byte {error.start}).") from None


def parse(file: Path, text: str, name: str, model: type[S]) -> Tables[S]:
    """Read the tables of a text, key by key, collecting every problem.

    Args:
        file: Where the text comes from.
        text: TOML.
        name: What the tables are called: `waiver` for `[[waiver]]`.
        model: What each of them is.

    Raises:
        RecordError: If it is no TOML at all.
    """
    tables: Tables[S] = Tables(file, name, text)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{file}: it is no valid TOML: {error}.") from None
    for key in data:
        if key != name:
            tables.problems.append(f"{file}: {shown(key)}: only [[{name}]] tables stand here, and keys below them.")
    found = data.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        tables.problems.append(f"{file}: {name}: begin each with [[{name}]], in two pairs of brackets.")
        return tables
    for number, one in enumerate(found):
        tables.entries.append(_entry(tables, number, one, model))
    return tables


def _entry(tables: Tables[S], number: int, data: Mapping[str, Any], model: type[S]) -> S | None:
    before = len(tables.problems)
    known = {one.name: one for one in fields(model)}
    for key in data:
        if key not in known:
            close = difflib.get_close_matches(key[:100], known, n=1, cutoff=0.5)
            perhaps = f" (did you mean {close[0]}?)" if close else f"; there are {', '.join(known)}"
            tables.wrong(number, shown(key), f"there is no such key{perhaps}")
    values: dict[str, Any] = {}
    for key, one in known.items():
        if key in data:
            try:
                values[key] = msgspec.convert(data[key], one.type, dec_hook=_custom)
            except msgspec.ValidationError as error:
                text, _, at = str(error).partition(" - at `$")
                inside = f" (at {shown(at.strip('`.'))})" if at.strip("`.") else ""
                given = "" if isinstance(data[key], dict) else f", not {shown(data[key])!r}"
                tables.wrong(number, key, f"{text[:1].lower()}{text[1:]}{inside}{given}")
        elif one.required:
            tables.wrong(number, key, "it is missing, and has to be said")
    if len(tables.problems) > before:
        return None
    try:
        return model(**values)
    except ValueError as error:
        tables.wrong(number, "", str(error))
        return None


def _custom(kind: Any, value: object) -> Any:  # noqa: ANN401  whatever the kind makes of it
    return kind.parse(value)


def shown(value: object, most: int = MOST_SHOWN) -> str:
    """A value for an error message, of a length that can be read."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}…"


def quoted(text: str) -> str:
    """A text as TOML writes it, on one line, whatever is in it.

    Raises:
        ValueError: If it is no text that can stand in a file.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has bytes that are no UTF-8 text") from None
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return f'"{"".join(short.get(one) or _escaped(one) for one in text)}"'


def _escaped(one: str) -> str:
    # Beside what TOML asks for, what editors take for the end of a line: our own reader of lines does, too.
    return f"\\u{ord(one):04x}" if ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 or one in "\u2028\u2029" else one


def append(file: Path, lines: Sequence[str], check: Callable[[str], None]) -> None:
    """Add a table to the end of a file, all or nothing; what stands there stays as it is, byte for byte.

    Others that add at the same time wait for each other.

    Args:
        file: The file; it is made if there is none.
        lines: The table.
        check: Is given what the whole file would be, and raises RecordError if that isn't right.

    Raises:
        RecordError: If it isn't right, or can't be written. The file is then as it was.
    """
    file = file.resolve()  # a link stays a link
    try:
        with _alone(file.parent) as directory:
            content = _content(file)
            old = content or b""
            end = b"\r\n" if b"\r\n" in old else b"\n"
            gap = b"" if not old.strip() else end if old.endswith(b"\n") else end + end
            new = old + gap + b"".join(line.encode() + end for line in lines)
            check(_decoded(file, new))
            _replace(file, new, exists=content is not None)
            os.fsync(directory)
    except OSError as error:
        raise RecordError(f"{file}: it can't be written, and is as it was: {error.strerror or error}.") from None


def add_table(file: Path, name: str, table: T, parsed: Callable[[str], B]) -> B:
    """Add a table to the end of a file of like ones, which is made if there is none.

    Args:
        file: The file.
        name: What its tables are called.
        table: What is added.
        parsed: Reads a whole file's text; raises RecordError if that isn't right.

    Returns:
        What the file now holds.

    Raises:
        RecordError: If the table or something in the file isn't right, or it can't be written.
            Nothing was changed then.
    """
    then: list[B] = []

    def check(text: str) -> None:
        now = parsed(text)
        if not now.all or now.all[-1] != table:
            raise RecordError(f"{file}: nothing can be added at its end; write [[{name}]] tables there, one by one.")
        then.append(now)

    try:
        lines = table.lines()
    except ValueError as error:
        raise RecordError(f"{name} of {table.slug}: {error}.") from None
    append(file, lines, check)
    return then[-1]


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[int]:
    """Hold off others that write here. It is the directory that is locked: the file is replaced in it."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise RecordError(
                        f"{directory}: somebody else has been writing there for {LOCK_SECONDS:.0f} s; "
                        "nothing was changed. Try again."
                    ) from None
                time.sleep(0.02)
        yield handle
    finally:
        os.close(handle)


def _replace(file: Path, content: bytes, *, exists: bool) -> None:
    aside = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(handle, "wb") as writing:  # noqa: PTH123  it is opened so that nobody else has the name
            if exists:
                old = file.stat()
                with contextlib.suppress(PermissionError):
                    os.fchown(handle, old.st_uid, old.st_gid)
                os.fchmod(handle, old.st_mode & 0o7777)
            writing.write(content)
            writing.flush()
            os.fsync(handle)
        aside.replace(file)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _line(text: str, name: str, number: int, key: str) -> int:
    """The line of a key of a table, or of the table's beginning where the key isn't found; 0 when nothing is."""
    header = re.compile(rf"\s*\[\[\s*{name}\s*\]\]\s*(?:#.*)?")
    within = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=|\s*\[\s*{name}\s*\.\s*{re.escape(key)}\s*\]""")
    seen, begins = -1, 0
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if header.fullmatch(line) and _is_code(lines, place):
            seen += 1
            if seen > number:
                break
            begins = place + 1 if seen == number else 0
            if begins and not key:
                break
        elif seen == number and key and within.match(line) and _is_code(lines, place):
            return place + 1
    return begins


def _is_code(lines: Sequence[str], place: int) -> bool:
    """Whether a line isn't the inside of a text of several lines: what stands above it is TOML by itself."""
    above = "\n".join(lines[:place])
    if '"""' not in above and "'''" not in above:
        return True
    try:
        tomllib.loads(above)
    except ValueError:
        return False
    return True
