r"""nginx's access log: its lines, and the lines of a window across rotated files.

Serves the guide's error rate of the end of the day, its response times on
Monday, and its reviews of the access log. `tail -10000 access.log` right after
a rotation reads a few lines and finds all well: here a window is read from the
file and as many of its rotated neighbours as it takes.

What nginx 1.22 writes was measured: `"`, `\`, control and non-ASCII bytes come
as `\x22`; a request that was none comes as its bytes, as an empty text, or as
`-`; only `$remote_user` may hold spaces and brackets, never a quote. Where
somebody else decides what stands in a field, the patterns here can't be led
astray by it, and none needs more than linear time.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, Literal, NamedTuple, Protocol, TypeVar, cast

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import PurePath

DISORDER = timedelta(minutes=5)
"""How far lines may stand out of order: workers with buffered logs write in turns."""

_BLOCK = 256 * 1024
_HEAD = 64 * 1024
_PROBE = 32 * 1024
_LINE_BOUND = 64 * 1024
_EXAMPLES_KEPT = 3
_EXAMPLE_WIDTH = 300
_ATTEMPTS = 3
_PAUSE_S = 0.05  # what a rotation takes between renaming a file and making the new one

Escape = Literal["default", "json", "none"]


class Access(NamedTuple):
    r"""One request, as nginx logged it.

    Attributes:
        client: `$remote_addr`.
        at: When the line was written, aware, in the offset that nginx wrote.
        method: Empty when the request was none (`-`, a TLS handshake).
        target: Path with query, unescaped; bytes that are no UTF-8 as `\xff`.
        protocol: `HTTP/1.1`, …; empty where the request names none.
        status: As answered; 0 where nginx logs `000`.
        size: Bytes of the body sent.
        referer: Empty for `-`.
        agent: The user agent, empty for `-`.
        request_time: Seconds, where the format has `$request_time`.
        request: The whole request line, unescaped like the target.
    """

    client: str
    at: datetime
    method: str
    target: str
    protocol: str
    status: int
    size: int
    referer: str
    agent: str
    request_time: float | None
    request: str


_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}


@lru_cache(maxsize=4096)
def _local_minute(minute: str, offset: str) -> tuple[int, int, int, int, int, timezone]:
    """The parts of `23/Nov/2026:10:01` and `+0000`; lines of the same minute share the work."""
    east = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    zone = timezone(-east if offset[0] == "-" else east) if east else UTC
    return int(minute[7:11]), _MONTHS[minute[3:6]], int(minute[:2]), int(minute[12:14]), int(minute[15:17]), zone


def _local_time(text: str) -> datetime | None:
    """`$time_local`, `23/Nov/2026:10:01:48 +0000`."""
    try:
        year, month, day, hour, minute, zone = _local_minute(text[:17], text[21:])
        return datetime(year, month, day, hour, minute, int(text[18:20]), 0, zone)
    except (KeyError, ValueError):
        return None


@lru_cache(maxsize=4096)
def _iso_time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


@lru_cache(maxsize=4096)
def _epoch_time(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


_TIMES: Mapping[str, Callable[[str], datetime | None]] = {
    "time_local": _local_time,
    "time_iso8601": _iso_time,
    "msec": _epoch_time,
}
_QUOTED = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_QUOTED_PLAIN = r'[^"]*+'  # the same where the line has no backslash, in less time
_LOCAL = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
# Variables whose values have a form of their own; every other one is taken up to what follows it.
_STRICT: Mapping[str, str] = {
    "remote_addr": r"[0-9A-Fa-f.:]+|unix:",
    "time_local": _LOCAL,
    "time_iso8601": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)",
    "msec": r"\d{1,12}\.\d{3}",
    "status": r"\d{3}",
    "body_bytes_sent": r"\d{1,19}|-",
    "bytes_sent": r"\d{1,19}|-",
    "request_length": r"\d{1,19}|-",
    "request_time": r"\d{1,10}\.\d{3}|-",
    "connection": r"\d{1,19}",
    "pid": r"\d{1,10}",
}
# In the order in which `parse` takes them; of several names the first that the format has.
_WANTED = (
    ("remote_addr",),
    ("time_local", "time_iso8601", "msec"),
    ("request",),
    ("status",),
    ("body_bytes_sent", "bytes_sent"),
    ("http_referer",),
    ("http_user_agent",),
    ("request_time",),
    ("tail",),
    ("request_method",),
    ("request_uri", "uri"),
    ("server_protocol",),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # no need to look closer
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_DIRECTIVE = re.compile(r"\s*log_format\s+\S+\s+(?P<rest>.*?);?\s*", re.DOTALL)
_ESCAPE_PARAMETER = re.compile(r"\s*escape=(default|json|none)\s+")
_WORD = re.compile(r"\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|([^\s'\"]+))", re.DOTALL)
_HEX_ESCAPE = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|(["\\]))')
_JSON_ESCAPE = re.compile(rb"\\(?:u00([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_JSON_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_QUOTED_TAIL = re.compile(r'"[^"]*"')
_TAIL_SECONDS = re.compile(r"(?:^| )(?:rt=|request_time[=:] ?)?(\d{1,10}\.\d{3})(?= |$)", re.ASCII)


class LogFormat:
    """A `log_format`, made into a reader of its lines.

    Args:
        pattern: A regular expression whose groups are named as nginx's variables.
        escape: How nginx escapes what clients sent.

    Raises:
        ValueError: The format has no time or no status, so nothing could be
            said of its lines.
    """

    def __init__(self, pattern: str, escape: Escape = "default") -> None:
        # The empty group at the end stands for whatever the format doesn't have.
        regex = re.compile(pattern.replace(_QUOTED, _QUOTED_PLAIN) + "()", re.DOTALL | re.ASCII)
        groups = regex.groupindex
        names = [next((name for name in names if name in groups), "") for names in _WANTED]
        if not names[1] or not names[3]:
            raise ValueError("the log format needs $status and one of $time_local, $time_iso8601, $msec")
        self.escape = escape
        self.pattern = pattern
        self._match_plain = regex.match
        self._time = _TIMES[names[1]]
        self._wanted = tuple(groups[name] if name else regex.groups for name in names)
        self._has_request = bool(names[2])

    @cached_property
    def _match(self) -> Callable[[str], re.Match[str] | None]:
        return re.compile(self.pattern + "()", re.DOTALL | re.ASCII).match

    @classmethod
    def compile(cls, nginx_format: str) -> LogFormat:
        """Read a format as nginx's configuration writes it.

        Args:
            nginx_format: The text with its `$variables`, or the whole
                directive `log_format name escape=… '…' '…';`, or `combined`.
                Known variables are matched by their form, all others up to
                the text that follows them.

        Raises:
            ValueError: It has no time or no status.
        """
        if nginx_format.strip() == "combined":
            return COMBINED
        text, escape = _format_text(nginx_format)
        return cls(_pattern(text, escape), escape)

    def parse(self, line: bytes) -> Access | None:
        """Read one line, without its line end; ``None`` if it isn't of this format. Never raises."""
        plain = line.isascii() and b"\\" not in line
        # Byte for character: what isn't plain is decoded field by field, once it is known to be wanted.
        text = line.decode("latin-1")
        found = self._match_plain(text) if plain else self._match(text)
        if found is None:
            return None
        client, when, request, status, size, referer, agent, seconds, tail, *parts = found.group(*self._wanted)
        at = self._time(when)
        if at is None:
            return None
        if not self._has_request:
            request = " ".join(parts)
        if not plain:
            request, referer, agent = map(self._decoded, (request, referer, agent))
        if request == "-":
            request = ""
        method, target, protocol = _request_parts(request)
        if tail:
            seconds = _tail_seconds(tail)
        return Access(
            client,
            at,
            method,
            target,
            protocol,
            int(status),
            int(size) if size and size != "-" else 0,
            "" if referer is None or referer == "-" else referer,
            "" if agent is None or agent == "-" else agent,
            float(seconds) if seconds and seconds != "-" else None,
            request,
        )

    def _decoded(self, text: str | None) -> str:
        raw = (text or "").encode("latin-1")
        if b"\\" in raw and self.escape != "none":
            raw = _JSON_ESCAPE.sub(_json_unescaped, raw) if self.escape == "json" else _unescaped(raw)
        return raw.decode("utf-8", "backslashreplace")


def _format_text(nginx_format: str) -> tuple[str, Escape]:
    """The format's text and its escaping, from either way of writing it."""
    directive = _DIRECTIVE.fullmatch(nginx_format)
    rest = directive["rest"] if directive else nginx_format
    parameter = _ESCAPE_PARAMETER.match(rest)
    escape = cast("Escape", parameter[1]) if parameter else "default"
    rest = rest[parameter.end() :] if parameter else rest
    if directive is None and rest.lstrip()[:1] not in ("'", '"'):
        return rest, escape
    words = _WORD.findall(rest)
    joined = "".join(single or double or bare for single, double, bare in words)
    return re.sub(r"\\(['\"\\])", r"\1", joined), escape


def _pattern(text: str, escape: Escape) -> str:
    """Make the regular expression of a format.

    A value of unknown form ends at the first place where what follows it fits,
    up to the next such value, and that choice is final (an atomic group): a
    client that fills a field with separators costs linear time.
    """
    pieces, seen, inside = list[str](), set[str](), False
    position = 0
    for variable in _VARIABLE.finditer(text):
        literal, name = text[position : variable.start()], variable[1] or variable[2]
        position = variable.end()
        pieces.append(_literal(literal))
        quoted = literal.endswith('"') and text[position : position + 1] == '"' and escape != "none"
        form = _STRICT.get(name) or (_QUOTED if quoted else None)
        if form is None:
            pieces.append(")" * inside + "(?>")
            form, inside = ".*?", True
        pieces.append((f"(?P<{name}>" if name not in seen else "(?:") + form + ")")
        seen.add(name)
    pieces.append(_literal(text[position:]) + "$" + ")" * inside)
    return "".join(pieces)


def _literal(text: str) -> str:
    """A format's own text as it stands in a line that was decoded byte for character."""
    return re.escape(text.encode().decode("latin-1"))


def _unescaped(raw: bytes) -> bytes:
    return _HEX_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)) if found[1] else found[2], raw)


def _json_unescaped(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[1], 16),)) if found[1] else _JSON_LETTERS.get(found[2], found[2])


def _request_parts(request: str) -> tuple[str, str, str]:
    """Method, target and protocol; a target may hold spaces."""
    method, _, rest = request.partition(" ")
    if method not in _METHODS and not (method.isascii() and method.replace("-", "").isalpha()):
        return "", "", ""
    target, _, protocol = rest.rpartition(" ")
    return (method, target, protocol) if protocol.startswith("HTTP/") else (method, rest, "")


def _tail_seconds(tail: str) -> str | None:
    """The first number with three decimals behind the combined fields, where some put `$request_time`."""
    found = _TAIL_SECONDS.search(_QUOTED_TAIL.sub('""', tail))
    return found[1] if found else None


COMBINED = LogFormat(
    rf'(?P<remote_addr>\S+) \S+ .*? \[(?P<time_local>{_LOCAL})\] "(?P<request>{_QUOTED})"'
    r" (?P<status>\d{3}) (?P<body_bytes_sent>\d{1,19}|-)"
    rf'(?: "(?P<http_referer>{_QUOTED})" "(?P<http_user_agent>{_QUOTED})"(?P<tail>.*)| [^"].*)?$'
)
"""nginx's `combined`, with whatever a deployment has put behind it."""


def parse(line: bytes) -> Access | None:
    """Read one line of the combined format, or of `common`; ``None`` if it is neither. Never raises."""
    return COMBINED.parse(line)


_VARYING_SEGMENT = re.compile(r"/(?:\d+|(?=[^/]*\d)(?:[0-9a-fA-F]{8,}|[\w\-]{20,}))(?=/|$)")


def masked_path(target: str) -> str:
    """The path of a request target without its query, with ids as `{id}`, at most 200 characters."""
    path = re.split(r"[?;#]", target, maxsplit=1)[0][:200]
    return _VARYING_SEGMENT.sub("/{id}", path)


class FileEntry(NamedTuple):
    """A file as a directory lists it.

    Attributes:
        name: Without the directory.
        size: Bytes.
        mtime: Seconds since the epoch.
        inode: What stays the same when it is renamed; 0 where nobody knows.
    """

    name: str
    size: int
    mtime: float
    inode: int


class Files(Protocol):
    """Files of the target, here or elsewhere. Failures are :class:`OSError`."""

    def open_binary(self, path: PurePath) -> BinaryIO:
        """Open a regular file for reading; what is returned can be sought in."""

    def list(self, directory: PurePath) -> Sequence[FileEntry]:
        """List the regular files of a directory."""

    def stat(self, path: PurePath) -> FileEntry:
        """Describe one file."""


class LocalFiles:
    """The files of the machine that this runs on."""

    def open_binary(self, path: PurePath) -> BinaryIO:
        """Open a regular file; a pipe or a terminal, which would block, is refused."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        return open(descriptor, "rb", buffering=0)  # noqa: PTH123  the caller closes it

    def list(self, directory: PurePath) -> Sequence[FileEntry]:
        """List the regular files of a directory; those that vanish meanwhile are left out."""
        entries = []
        with os.scandir(directory) as found:
            for item in found:
                try:
                    about = item.stat()
                except OSError:
                    continue
                if stat.S_ISREG(about.st_mode):
                    entries.append(FileEntry(item.name, about.st_size, about.st_mtime, about.st_ino))
        return entries

    def stat(self, path: PurePath) -> FileEntry:
        """Describe one file."""
        about = Path(path).stat()
        return FileEntry(path.name, about.st_size, about.st_mtime, about.st_ino)


class Timed(Protocol):
    """Anything with a time."""

    @property
    def at(self) -> datetime:
        """When it was written, aware."""


T = TypeVar("T", bound=Timed)


@dataclass(slots=True)
class _Log:
    """One file of a log, held open: what happens to its name no longer matters."""

    entry: FileEntry
    handle: BinaryIO
    packed: str
    first_at: datetime | None = None

    def reader(self) -> Callable[[int], bytes]:
        """What reads the file's contents on from the beginning, unpacked, at most so many bytes at a time."""
        self.handle.seek(0)
        if self.packed:
            import gzip

            # read() would lose what comes before a damage in the same block.
            return gzip.GzipFile(fileobj=self.handle, mode="rb").read1
        return self.handle.read


@dataclass(slots=True)
class Reading(Generic[T]):
    """The lines of a window of time, across a log and its rotated neighbours.

    Iterate over it to read; the counts are right when the iteration is over.
    The files come oldest first, so items are in time order but for what
    :data:`DISORDER` allows. Files are opened when the iteration begins and
    closed when it ends; what is written meanwhile is not read, and a rotation
    meanwhile neither loses nor repeats a line. Memory is bounded.

    Attributes:
        path: The log's own file.
        since: Beginning of the window, aware.
        until: End of the window, aware, included.
        files: Names of the files read, newest first.
        lines: Lines looked at: those in the window, and those that can't be read.
        unparsed: Lines that can't be read.
        unparsed_examples: The first three of them, at most 300 characters.
        earliest: How far back the files reach: the first time in the oldest of
            those that were needed. Later than `since` means that the log does
            not cover the window.
        latest: The latest time seen in the window.
        damaged: Packed files that could not be unpacked to their end.
        shrunk: Files that were cut while they were read.
        unread: Files that were needed but could not be read, with the reason.
    """

    path: PurePath
    since: datetime
    until: datetime
    _parse: Callable[[bytes], T | None]
    _files: Files
    files: list[str] = field(default_factory=list)
    lines: int = 0
    unparsed: int = 0
    unparsed_examples: list[str] = field(default_factory=list)
    earliest: datetime | None = None
    latest: datetime | None = None
    damaged: list[str] = field(default_factory=list)
    shrunk: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[T]:
        """Read the window.

        Raises:
            CannotTell: The file is not there, may not be read, or is no file;
                or it is being rotated again and again.
        """
        self._reset()
        logs = self._open_stable()
        try:
            self.files = [log.entry.name for log in logs]
            self.earliest = min((log.first_at for log in logs if log.first_at), default=None)
            for log in reversed(logs):
                yield from self._read(log)
        finally:
            for log in logs:
                log.handle.close()

    def _reset(self) -> None:
        self.lines = self.unparsed = 0
        self.earliest = self.latest = None
        for names in (self.unparsed_examples, self.damaged, self.shrunk, self.unread):
            names.clear()

    def _open_stable(self) -> list[_Log]:
        """Open the files that the window needs, at a moment when nothing renames them."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_S)
            before = self._listing()
            logs: list[_Log] = []
            try:
                self._open_needed(before, logs)
                if {e.name: e.inode for e in before} == {e.name: e.inode for e in self._listing()}:
                    return logs
            except FileNotFoundError:
                pass  # renamed since it was listed
            except BaseException:
                _close(logs)
                raise
            _close(logs)
        if not any(entry.name == self.path.name for entry in self._listing()):
            self._stat()  # says why, if it isn't there
            raise self._cannot_read(OSError(errno.EINVAL, "it is no regular file"))
        raise CannotTell(
            f"{self.path} is being rotated again and again",
            mend=f"Look at what rotates {self.path}, then run this again.",
            cause=str(self.path),
        )

    def _listing(self) -> list[FileEntry]:
        """The log's own file and its rotated neighbours, in no order."""
        try:
            entries = self._files.list(self.path.parent)
        except PermissionError:
            note = f"rotated files of {self.path.name}: the directory may not be listed"
            if note not in self.unread:
                self.unread.append(note)
            return [self._stat()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._cannot_read(error) from error
        family = _family_of(self.path.name)
        return [entry for entry in entries if entry.name == self.path.name or family.fullmatch(entry.name)]

    def _stat(self) -> FileEntry:
        try:
            return self._files.stat(self.path)
        except OSError as error:
            raise self._cannot_read(error) from error

    def _open_needed(self, entries: Sequence[FileEntry], logs: list[_Log]) -> None:
        """Open newest first, until one begins before the window."""
        if not any(entry.name == self.path.name for entry in entries):
            raise FileNotFoundError(self.path)
        reach = self.since - DISORDER
        for chain in _chains(entries, self.path.name):
            for entry, packed in chain:
                log = self._open(entry, packed)
                if log is None:
                    continue
                logs.append(log)
                log.first_at = self._first_time(log)
                if log.first_at is not None and log.first_at < reach:
                    break
            if any(log.first_at is not None and log.first_at < reach for log in logs[:1]):
                return  # the log's own file is enough

    def _open(self, entry: FileEntry, packed: str) -> _Log | None:
        if packed not in ("", ".gz"):
            self.unread.append(f"{entry.name}: no reader for {packed}")
            return None
        try:
            return _Log(entry, self._files.open_binary(self.path.parent / entry.name), packed)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._cannot_read(error, self.path.parent / entry.name) from error

    def _cannot_read(self, error: OSError, path: PurePath | None = None) -> CannotTell:
        path = path or self.path
        if isinstance(error, PermissionError):
            what = f"{path} may not be read"
            mend = f"Run this as a user who may read {path}, for instance a member of its group."
        elif isinstance(error, FileNotFoundError):
            what = f"there is no file {path}"
            mend = f"See whether nginx still writes to {path}, or give the path of its log in the settings."
        else:
            what = f"{path} can't be read: {error.strerror or error}"
            mend = f"Let nginx write its log to a file and give its path in the settings instead of {path}."
        return CannotTell(what, mend=mend, cause=str(self.path))

    def _first_time(self, log: _Log) -> datetime | None:
        read, head = log.reader(), b""
        while len(head) < _HEAD and (data := self._read_some(log, read, _HEAD - len(head), note=False)):
            head += data
        return next((item.at for item in map(self._parse, _stripped(head).split(b"\n")) if item), None)

    def _read(self, log: _Log) -> Iterator[T]:
        # In UTC, as most servers log: times of one zone compare without a conversion.
        parse, since, until = self._parse, self.since.astimezone(UTC), self.until.astimezone(UTC)
        stop = until + DISORDER
        for block in self._blocks(log):
            for line in block.split(b"\n"):
                if not line:
                    continue
                item = parse(line)
                if item is None:
                    self._note_unparsed(line)
                    continue
                at = item.at
                if at < since:
                    continue
                if at > until:
                    if at > stop:
                        return
                    continue
                self.lines += 1
                if self.latest is None or at > self.latest:
                    self.latest = at
                yield item

    def _note_unparsed(self, line: bytes) -> None:
        self.lines += 1
        self.unparsed += 1
        if len(self.unparsed_examples) < _EXAMPLES_KEPT:
            self.unparsed_examples.append(line[:_EXAMPLE_WIDTH].decode("utf-8", "backslashreplace"))

    def _blocks(self, log: _Log) -> Iterator[bytes]:
        """Whole lines in blocks, beginning near the window's first."""
        read = log.reader()
        position = 0 if log.packed else self._bisect(log)
        # What is written from here on is not read, nor is the length of a packed file known.
        end_of_file = math.inf if log.packed else log.entry.size
        if not log.packed:
            log.handle.seek(position)
        rest, before_window = b"", True
        while position < end_of_file:
            data = self._read_some(log, read, int(min(_BLOCK, end_of_file - position)))
            if not data:
                if not log.packed:
                    self.shrunk.append(log.entry.name)
                break
            position += len(data)
            end = data.rfind(b"\n") + 1
            if not end:
                # A line without end is kept only so far; what is dropped of it makes it unreadable.
                rest = (rest + data)[:_LINE_BOUND]
                continue
            block, rest = _stripped(rest + data[:end]), data[end:]
            before_window = before_window and self._is_before_window(block)
            if not before_window:
                yield block
        # nginx writes whole lines: one without its end is still being written, or was cut by a full disk.
        if rest and self._parse(rest) is not None:
            yield rest

    def _read_some(self, log: _Log, read: Callable[[int], bytes], size: int, *, note: bool = True) -> bytes:
        """Read on; a packed file that is damaged is at its end there."""
        try:
            return read(size)
        except (OSError, EOFError, zlib.error) as error:
            if not log.packed:
                broken = error if isinstance(error, OSError) else OSError(str(error))
                raise self._cannot_read(broken, self.path.parent / log.entry.name) from error
            if note:
                self.damaged.append(log.entry.name)
            return b""

    def _is_before_window(self, block: bytes) -> bool:
        """Whether the last line that says its time is well before the window."""
        for line in reversed(block[-_HEAD:].rstrip(b"\n").split(b"\n")[-5:]):
            if (item := self._parse(line)) is not None:
                return item.at < self.since - DISORDER
        return False

    def _bisect(self, log: _Log) -> int:
        """The offset of a line shortly before the window's first, in a plain file."""
        target, low, high = self.since - DISORDER, 0, log.entry.size
        if log.first_at is None or log.first_at >= target:
            return 0
        while high - low > _PROBE:
            middle = (low + high) // 2
            log.handle.seek(middle)
            data = log.handle.read(_PROBE)
            start = data.find(b"\n") + 1
            line_at, offset = None, start
            for line in data[start:].split(b"\n")[:-1] if start else ():
                if (item := self._parse(line)) is not None:
                    line_at = item.at
                    break
                offset += len(line) + 1
            if line_at is not None and line_at < target:
                low = middle + offset
            else:
                high = middle  # without a time to go by, the earlier half is the safe one
        return low


def _close(logs: Sequence[_Log]) -> None:
    for log in logs:
        log.handle.close()


def _stripped(block: bytes) -> bytes:
    """Without the hole that a log cut under its writer begins with."""
    return block.lstrip(b"\0") if block[:1] == b"\0" else block


_PACKED = r"(?P<packed>\.(?:gz|bz2|xz|zst|lz4|Z))?"
_NUMBER = r"\.(?P<number>\d{1,5})"
_DATE = r"[._-](?P<date>\d{4}-?\d\d-?\d\d(?:[T._-]?\d{1,10})?|\d{9,11})"


@lru_cache(maxsize=16)
def _family_of(name: str) -> re.Pattern[str]:
    """The names that rotation gives to a log: `.1`, `.2.gz`, `-20261122.gz`, or the date within it."""
    stem, dot, extension = name.rpartition(".")
    whole = f"{re.escape(name)}(?:{_NUMBER}|{_DATE}){_PACKED}"
    if not stem:
        return re.compile(whole)
    date, packed = _DATE.replace("<date>", "<date2>"), _PACKED.replace("<packed>", "<packed2>")
    return re.compile(f"{whole}|{re.escape(stem)}{date}{re.escape(dot + extension)}{packed}")


def _chains(entries: Sequence[FileEntry], name: str) -> list[list[tuple[FileEntry, str]]]:
    """The files newest first: the log itself, then those with a date, then those with a number.

    Where both ways of naming were used, either alone is in order. A packed
    file beside the same one unpacked is still being written, and left out; one
    file under two names is read once.
    """
    dated: list[tuple[str, FileEntry, str]] = []
    numbered: list[tuple[int, FileEntry, str]] = []
    names, inodes = {entry.name for entry in entries}, set[int]()
    own: list[tuple[FileEntry, str]] = []
    for entry in sorted(entries, key=lambda entry: entry.name != name):
        if entry.inode and entry.inode in inodes:
            continue
        inodes.add(entry.inode)
        found = _family_of(name).fullmatch(entry.name)
        if found is None:
            own.append((entry, ""))
            continue
        parts = found.groupdict()
        packed = parts["packed"] or parts.get("packed2") or ""
        if packed and entry.name.removesuffix(packed) in names:
            continue
        if parts["number"]:
            numbered.append((int(parts["number"]), entry, packed))
        else:
            digits = re.sub(r"\D", "", parts["date"] or parts["date2"] or "")
            dated.append((digits, entry, packed))
    dated.sort(key=lambda item: item[0], reverse=True)
    numbered.sort(key=lambda item: item[0])
    return [own, [item[1:] for item in dated], [item[1:] for item in numbered]]


def read_window(
    path: PurePath,
    since: datetime,
    until: datetime,
    fmt: LogFormat = COMBINED,
    *,
    files: Files | None = None,
) -> Reading[Access]:
    """The requests of a window of time.

    Serves "Error rate" of the end-of-day check, "Monitor response times" and
    the reviews of the access log.

    Args:
        path: nginx's access log; its rotated neighbours are found beside it.
        since: Beginning of the window, aware.
        until: End of the window, aware, included.
        fmt: The `log_format` of that log.
        files: Where the files are; this machine if not given.

    Returns:
        What is to be iterated over, and counts while that is done. Nothing is
        opened before the iteration; see :meth:`Reading.__iter__` for what it
        raises.
    """
    return Reading(path, since, until, fmt.parse, files or LocalFiles())
