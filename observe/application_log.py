r"""The application's log: lines made into records, and its errors counted.

Serves the guide's end-of-day line `docker-compose logs … backend | grep -i
error | wc -l`, which counts every line of a traceback that has the word,
paths such as `/api/errors`, and texts such as "0 errors". Here a record counts
by its *level*, once, with the traceback below it.

A level is one only where a log format puts it: behind or before the time
stamp, at the beginning of the line, in the `level` key of a logfmt line or a
JSON object. A level word in the middle of a message is part of the message.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from observe.container_log import Skipped
from observe.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from observe.container_log import LogLine

T_co = TypeVar("T_co", covariant=True)

EXCERPT_LINES = 6
"""Lines of a record that are kept word for word."""

EXCERPT_WIDTH = 400
"""Characters of each of them."""

_MESSAGE_WIDTH = 1000
_KINDS_HELD = 2000
_KINDS_SHOWN = 20
_EXAMPLES_SHOWN = 5
# A logging call writes its record and its traceback at once. What comes later than this was
# written by something else.
_ONE_WRITE = timedelta(seconds=1)

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
RecordKind = Literal["application", "request", "traceback", "other"]

LEVELS: dict[str, Level] = {
    **dict.fromkeys(("TRACE", "DEBUG"), "DEBUG"),
    **dict.fromkeys(("INFO", "INFORMATION", "NOTICE", "SUCCESS"), "INFO"),
    **dict.fromkeys(("WARN", "WARNING"), "WARNING"),
    **dict.fromkeys(("ERR", "ERROR", "SEVERE"), "ERROR"),
    **dict.fromkeys(("CRIT", "CRITICAL", "FATAL", "ALERT", "EMERG", "EMERGENCY", "PANIC"), "CRITICAL"),
}
_LEVEL_KEYS = ("level", "levelname", "severity", "log.level", "lvl")
_NUMBERED_LEVELS: tuple[tuple[int, Level], ...] = (  # of loggers that write numbers, such as pino
    (50, "CRITICAL"),
    (40, "ERROR"),
    (30, "WARNING"),
    (20, "INFO"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a request line of the application server says.

    Attributes:
        client: Address of the client as the server saw it, mostly the proxy's.
        method: `GET`, …, for a WebSocket what the server calls its step.
        path: Path with its query, as logged.
        status: HTTP status, ``None`` where there is none (WebSockets).
        size: Bytes of the body, ``None`` where the line doesn't say.
        at: The line's own time, naive: local to the container.
    """

    client: str
    method: str
    path: str
    status: int | None
    size: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the log: a line and what belongs to it.

    Attributes:
        at: When the engine received its first line (UTC), if it says.
        level: Its level, ``None`` where the line has none.
        logger: Name of the logger, empty where the format has none.
        message: The first line behind level and logger; of a bare traceback
            the exception.
        lines_count: Lines of the log that it takes up.
        kind: `application` with a level, `request` for a request line of the
            application server, `traceback` for one that no record announced,
            `other` for anything else.
        excerpt: The first lines as they were, at most :data:`EXCERPT_LINES`.
        exception: The last exception of its traceback, empty without one.
        request: The details of a request line.
    """

    at: datetime | None
    level: Level | None
    logger: str
    message: str
    lines_count: int
    kind: RecordKind
    excerpt: tuple[str, ...]
    exception: str = ""
    request: Request | None = None

    @property
    def matters(self) -> bool:
        """Whether this is at WARNING or worse, or has a traceback."""
        return self.level in ("WARNING", "ERROR", "CRITICAL") or self.kind == "traceback" or bool(self.exception)

    @property
    def is_error(self) -> bool:
        """Whether this is at ERROR or worse, or a traceback that nothing announced."""
        return self.level in ("ERROR", "CRITICAL") or self.kind == "traceback"


class RecordConsumer(Protocol[T_co]):
    """Makes something of the records of one container's log, given to it one by one.

    Several of them share one pass over the log: see
    :meth:`observe.window.LogWindow.read_records`. A `CannotTell` that one of
    them raises is its own outcome and doesn't concern the others.

    Attributes:
        needs_requests: Whether it must be given every record. Else it is given
            those at WARNING or worse, those with a traceback, and the first in
            the window that has a level or is a request, so that a log without
            any can be told. Where no consumer of a pass needs every record,
            the pass is many times faster.
    """

    @property
    def needs_requests(self) -> bool:
        """See above."""

    def take(self, record: Record) -> None:
        """Look at one record; some come from a little before the window."""

    def result(self) -> T_co:
        """What was made of them, asked for once, after the last record."""


TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z\b|UTC\b|[+-]\d\d:?\d\d))?"
_LEVEL = "[A-Z]{3,11}"  # whether it is a level is looked up: patterns of all words take long to compile
_BRACKETED = rf"\[(?P<level>[A-Za-z]{{3,11}}) *\]|(?P<bare>{_LEVEL})(?=[\s:|-]|$)"  # [error    ] or ERROR
_REST = r"(?: +[-|](?= )|:)? *(?P<message>.*)"
_NAME = r"[\w.\-/]+"

# Each with whether a single small word behind the level is taken for the logger's name.
_SHAPES = tuple(
    (re.compile(shape), bare_logger)
    for shape, bare_logger in (
        # [2026-11-23 10:01:48] ERROR api.views: …, and [… +0000] [17] [ERROR] …
        (rf"\[{TIME}\] (?:\[\d+\] )?(?:{_BRACKETED}){_REST}", False),
        # [2026-11-23 10:01:48,123: ERROR/MainProcess] …
        (rf"\[{TIME}: (?P<level>{_LEVEL})/(?P<logger>[^\]]*)\] (?P<message>.*)", False),
        # 2026-11-23 10:01:48,123 ERROR …, … [error] …, … | ERROR    | …, … - ERROR - …
        (rf"{TIME}(?: [-|])? +(?:{_BRACKETED}){_REST}", True),
        # 2026-11-23 10:01:48,123 - api.views - ERROR - …
        (rf"{TIME} +([-|]) +(?P<logger>{_NAME}) +\1 +(?P<level>{_LEVEL}) +\1 +(?P<message>.*)", False),
        # ERROR 2026-11-23 10:01:48,123 module …
        (rf"\[?(?P<level>{_LEVEL})\]? +\[?{TIME}\]? *(?P<message>.*)", True),
        # ERROR:api.views:…
        (rf"(?P<level>{_LEVEL}):(?P<logger>[\w.\-]+):(?P<message>.*)", False),
        # ERROR:    …, [ERROR] …
        (rf"(?:(?P<level>{_LEVEL}):|\[(?P<bare>{_LEVEL})\]) +(?P<message>.*)", False),
    )
)
# api.views: …, [api.views:33] …, api.views …
_LEADING_LOGGER = re.compile(
    rf"(?:\[(?P<a>{_NAME})(?::\d+)?\]|(?P<b>{_NAME})(?::| -(?= ))|(?P<c>[\w\-]+(?:\.[\w\-]+)+)) +(?=\S)"
)
_LEADING_WORD = re.compile(r"([a-z_][a-z0-9_]*) +(?=\S)")
_LOGFMT_START = re.compile(r"[A-Za-z_][\w.@\-]*=")
_LOGFMT_PAIR = re.compile(r'([A-Za-z_][\w.@\-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)')
_JSON_LEVEL = re.compile(r'"(?:' + "|".join(map(re.escape, _LEVEL_KEYS)) + r')"\s*:\s*"(\w+)"')
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

_TRACEBACK = re.compile(r"(?:\s*\+ )?(?:Exception Group )?Traceback \(most recent call last\):")
_TRACEBACK_HEADING = re.compile(r"Exception (?:in thread |ignored in)")
_GROUP_EXCEPTION = re.compile(r"  \| ([\w.]*Group: .*)")
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)

SERVER_TIME = r"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}[: ]\d\d:\d\d:\d\d)(?: [+-]\d{4})?\]"
_CLIENT = r"(?P<client>[0-9a-zA-Z.:\[\]_\-]+)"
_ESCAPED = r'[^"\\]*(?:\\.[^"\\]*)*'
_STATUS = r"(?P<status>\d{3}|-)"
_REQUEST_SHAPES = tuple(
    re.compile(shape)
    for shape in (
        # 127.0.0.1:40306 - - [23/Nov/2026:09:58:57] "GET /health/ HTTP/1.1" 200 15 (quotes not escaped)
        rf'(?:{_CLIENT} \S+ \S+ )?{SERVER_TIME} "(?P<request>.*)" {_STATUS} (?P<size>\d+|-)$',
        # … with more behind it: referer, user agent, time
        rf'{_CLIENT} \S+ \S+ {SERVER_TIME} "(?P<request>{_ESCAPED})" {_STATUS} (?P<size>\d+|-)(?: .*)?$',
        # INFO:     127.0.0.1:38110 - "GET / HTTP/1.1" 404 Not Found
        rf'INFO: +{_CLIENT} - "(?P<request>.*)" {_STATUS}(?P<size>)(?: [A-Za-z\' -]*)?$',
    )
)
_PROTOCOL = re.compile(r" HTTP/[\d.]+$")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}


def records(lines: Iterable[LogLine | Skipped]) -> Iterator[Record]:
    """Make records of the lines of an application's log.

    A record begins at a line with a level, at a request line, or at any other
    line that doesn't continue the one above it. Below a record belong indented
    and empty lines; a traceback with those chained to it, if it follows within
    a second (later it was written by something else); the exception at its end
    and the further lines of that exception's message; and the further lines of
    an error's own message. A traceback that no record announces is a record of
    its own. The two streams are kept apart, so a request line on standard
    output doesn't tear a traceback on standard error.

    Serves "Error rate (last 8 hours)" of the end-of-day check.

    Args:
        lines: As :func:`observe.container_log.lines` yields them. Begin the
            read a little before the window and let :func:`count_errors` leave
            the rest out, so that the window doesn't begin within a traceback.
            A :class:`Skipped` ends the record above it as a line would.

    Yields:
        Records in the order in which they were completed. One record per
        stream is held, in bounded memory.
    """
    building: dict[str, _Building | None] = {}
    for line in lines:
        current = building.get(line.stream)
        if isinstance(line, Skipped):
            if current is not None:
                yield current.finished()
                building[line.stream] = None
            continue
        text = line.text
        if "\x1b" in text:
            text = _COLOUR.sub("", text)
        head = _head(text, cut=line.cut > 0)
        if current is None:
            if not text.strip():
                continue
        elif head is None and current.takes(line.at, text):
            continue
        else:
            yield current.finished()
        building[line.stream] = _begun(line.at, text, head)
    yield from (current.finished() for current in building.values() if current is not None)


@dataclass(slots=True)
class _Head:
    """What the first line of a record says, where it has one of the known forms."""

    kind: RecordKind
    level: Level | None = None
    logger: str = ""
    message: str = ""
    request: Request | None = None


@dataclass(slots=True)
class _Building:
    """A record to which lines may still be added."""

    head: _Head
    at: datetime | None
    last_at: datetime | None  # of the last line that belongs here by its form
    excerpt: list[str]
    lines_count: int = 1
    exception: str = ""
    in_traceback: bool = False  # the exception at its end is still to come
    has_traceback: bool = False
    chained: bool = False  # another traceback is announced

    def takes(self, at: datetime | None, text: str) -> bool:
        """Add a line without a form of its own if it continues this record; say whether it did."""
        if _TRACEBACK.match(text):
            return self._takes_traceback(at, text)
        if not text or text[0].isspace():
            if self.in_traceback and (group := _GROUP_EXCEPTION.match(text)):
                self.exception = group[1][:_MESSAGE_WIDTH]
            return self._add(at, text)
        if self.head.kind in ("request", "other"):
            return False
        if text in _CHAINED:
            self.chained = self.has_traceback
            return self.has_traceback and self._add(at, text)
        if _TRACEBACK_HEADING.match(text) or not self._near(at):
            return False
        if self.in_traceback:
            self.exception, self.in_traceback = text[:_MESSAGE_WIDTH], False
            return self._add(at, text)
        # A further line of the exception's message, or of an error's own. Below anything else a
        # plain line is somebody's print().
        goes_on = self.has_traceback or self.head.level in ("ERROR", "CRITICAL")
        return goes_on and self._add(None, text)

    def _takes_traceback(self, at: datetime | None, text: str) -> bool:
        inner = self.in_traceback and text[0].isspace()
        announced = self.head.kind in ("application", "traceback") and not self.has_traceback
        if not (inner or self.chained or (announced and self._near(at))):
            return False
        self.in_traceback = self.has_traceback = True
        self.chained = False
        return self._add(at, text)

    def _near(self, at: datetime | None) -> bool:
        return at is None or self.last_at is None or at - self.last_at <= _ONE_WRITE

    def _add(self, at: datetime | None, text: str) -> bool:
        self.lines_count += 1
        self.last_at = at or self.last_at
        if len(self.excerpt) < EXCERPT_LINES:
            self.excerpt.append(text[:EXCERPT_WIDTH])
        return True

    def finished(self) -> Record:
        """The record, with nothing to come."""
        head = self.head
        bare = head.kind == "traceback" and self.exception
        return Record(
            at=self.at,
            level=head.level,
            logger=head.logger[:200],
            message=self.exception if bare else head.message[:_MESSAGE_WIDTH],
            lines_count=self.lines_count,
            kind=head.kind,
            excerpt=tuple(self.excerpt),
            exception=self.exception,
            request=head.request,
        )


def _begun(at: datetime | None, text: str, head: _Head | None) -> _Building:
    """Begin a record at a line that continues none."""
    begins = _TRACEBACK.match(text) is not None
    if head is None:
        bare = begins or _TRACEBACK_HEADING.match(text) is not None
        head = _Head("traceback" if bare else "other", message=text)
    return _Building(head, at, at, [text[:EXCERPT_WIDTH]], in_traceback=begins, has_traceback=begins)


def _head(text: str, *, cut: bool) -> _Head | None:
    """Read a line that has the form of a record's first; ``None`` if it has none of them."""
    if not text or text[0].isspace():
        return None
    if '"' in text and (request := _request(text)) is not None:
        return _Head("request", message=text, request=request)
    if text[0] == "{":
        return _json_head(text, cut=cut)
    for shape, bare_logger in _SHAPES:
        found = shape.match(text)
        head = _shaped_head(found.groupdict(), bare_logger=bare_logger) if found else None
        if head is not None:
            return head
    if _LOGFMT_START.match(text):
        return _logfmt_head(text)
    return None


def _shaped_head(parts: Mapping[str, str | None], *, bare_logger: bool) -> _Head | None:
    level = _level_of(parts["level"] or parts.get("bare"))
    if level is None:
        return None
    logger, message = parts.get("logger") or "", parts["message"] or ""
    if not logger:
        leading = _LEADING_LOGGER.match(message)
        if leading is None and bare_logger:
            leading = _LEADING_WORD.match(message)
        if leading is not None:
            logger = next(name for name in leading.groups() if name)
            message = message[leading.end() :]
    return _Head("application", level, logger, message)


def _json_head(text: str, *, cut: bool) -> _Head | None:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        # Too long to be read to its end; its beginning may still say what it is.
        found = _JSON_LEVEL.search(text, 0, EXCERPT_WIDTH) if cut else None
        level = _level_of(found[1]) if found else None
        return _Head("application", level, message=text) if level else None
    return _keyed_head(entry, text)


def _logfmt_head(text: str) -> _Head | None:
    pairs: dict[str, object] = {}
    position = 0
    while (pair := _LOGFMT_PAIR.match(text, position)) is not None and pair.end() > position:
        pairs.setdefault(pair[1], pair[2].strip('"'))
        position = pair.end()
    return _keyed_head(pairs, text)


def _keyed_head(entry: Mapping[str, object], text: str) -> _Head | None:
    level = next((level for key in _LEVEL_KEYS if (level := _level_of(entry.get(key)))), None)
    if level is None:
        return None
    logger = next((str(entry[key]) for key in ("logger", "name", "component") if key in entry), "")
    message = next((str(entry[key]) for key in ("message", "msg", "event") if key in entry), text)
    return _Head("application", level, logger, message)


def _level_of(value: object) -> Level | None:
    if isinstance(value, str):
        return LEVELS.get(value.upper())
    if isinstance(value, int) and not isinstance(value, bool):
        return next((level for least, level in _NUMBERED_LEVELS if value > least), "DEBUG")
    return None


def _request(text: str) -> Request | None:
    """Read a request line of the application server."""
    for shape in _REQUEST_SHAPES:
        if (found := shape.match(text)) is not None:
            break
    else:
        return None
    parts = found.groupdict()
    client = parts["client"] or ""
    if client.count(":") == 1 or client.startswith("["):
        client = client.rpartition(":")[0].strip("[]") or client
    method, _, target = parts["request"].partition(" ")
    path = _PROTOCOL.sub("", target)
    return Request(
        client=client,
        method=method[:20],
        path=path[:_MESSAGE_WIDTH],
        status=int(parts["status"]) if parts["status"] != "-" else None,
        size=int(parts["size"]) if parts["size"] not in ("-", "") else None,
        at=_server_time(parts.get("time")),
    )


def _server_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        day, month, year = int(text[:2]), _MONTHS[text[3:6]], int(text[7:11])
        return datetime(year, month, day, int(text[12:14]), int(text[15:17]), int(text[18:20]))  # noqa: DTZ001
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Errors that differ only in what varies.

    Attributes:
        kind: Logger and masked message.
        level: Their level, ``None`` for bare tracebacks.
        count: How many there were.
        client_error: Whether the settings call them the client's doing.
    """

    kind: str
    level: Level | None
    count: int
    client_error: bool


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """The errors of a window, and what was looked at to find them.

    In a pass that it shares (see :class:`RecordConsumer`) the counter is not
    given every record. What is below WARNING is then not in `by_level`,
    `lines`, `records`, `requests`, `before_window`, `first_at` and `last_at`;
    errors and tracebacks are the same.

    Attributes:
        errors: Records at ERROR or worse and bare tracebacks, without what
            clients did wrong.
        client_errors: Those that the settings call the client's doing.
        by_kind: The most common kinds of both, most frequent first, at most 20.
        by_level: Records for each level that was seen.
        lines: Lines that belong to the records in the window.
        records: Records in the window.
        requests: Request lines among them.
        tracebacks_below_error: Records at a lower level that carry a traceback;
            they are not counted as errors.
        before_window: Records left out because they are older than the window.
        first_at: Time stamp of the first record in the window (UTC).
        last_at: Time stamp of the last one (UTC).
        examples: The last few errors, client errors not among them.
    """

    errors: int
    client_errors: int
    by_kind: tuple[ErrorKind, ...]
    by_level: Mapping[str, int]
    lines: int
    records: int
    requests: int
    tracebacks_below_error: int
    before_window: int
    first_at: datetime | None
    last_at: datetime | None
    examples: tuple[Record, ...]


class ErrorCounter:
    """Counts the errors of a window by level, each once, record by record.

    Serves "Error rate (last 8 hours)" of the end-of-day check.

    Args:
        client_errors: Patterns for what clients did wrong but the application
            logs at ERROR: refused logins, throttled requests. Searched in
            `logger: message`.
        since: Beginning of the window, aware; records with an earlier time
            stamp are left out, records without one are counted.
    """

    needs_requests = False

    def __init__(self, *, client_errors: Sequence[re.Pattern[str]] = (), since: datetime | None = None) -> None:
        self._client_errors = client_errors
        self._since = since
        self._kinds: Counter[tuple[str, Level | None, bool]] = Counter()
        self._levels: Counter[str] = Counter()
        self._tally: Counter[str] = Counter()
        self._examples: deque[Record] = deque(maxlen=_EXAMPLES_SHOWN)
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def take(self, record: Record) -> None:
        """Count one record."""
        tally = self._tally
        if record.at is not None:
            if self._since is not None and record.at < self._since:
                tally["before"] += 1
                return
            self._first_at = record.at if self._first_at is None else min(self._first_at, record.at)
            self._last_at = record.at if self._last_at is None else max(self._last_at, record.at)
        tally["records"] += 1
        tally["lines"] += record.lines_count
        tally["requests"] += record.kind == "request"
        if record.level is not None:
            self._levels[record.level] += 1
        if not record.is_error:
            tally["below"] += bool(record.exception)
            return
        by_client = _is_client_error(record, self._client_errors)
        tally["client" if by_client else "errors"] += 1
        _count_kind(self._kinds, record, by_client=by_client)
        if not by_client:
            self._examples.append(record)

    def result(self) -> ErrorCount:
        """The count with its denominator."""
        tally = self._tally
        return ErrorCount(
            errors=tally["errors"],
            client_errors=tally["client"],
            by_kind=tuple(
                ErrorKind(kind, level, count, by_client)
                for (kind, level, by_client), count in self._kinds.most_common(_KINDS_SHOWN)
            ),
            by_level=dict(self._levels),
            lines=tally["lines"],
            records=tally["records"],
            requests=tally["requests"],
            tracebacks_below_error=tally["below"],
            before_window=tally["before"],
            first_at=self._first_at,
            last_at=self._last_at,
            examples=tuple(self._examples),
        )


def count_errors(
    records: Iterable[Record],
    *,
    client_errors: Sequence[re.Pattern[str]] = (),
    since: datetime | None = None,
) -> ErrorCount:
    """Count the errors of a window by level, each once.

    Args:
        records: As :func:`records` yields them.
        client_errors: As for :class:`ErrorCounter`.
        since: As for :class:`ErrorCounter`.

    Returns:
        The count with its denominator. Nothing is raised for a log in which
        nothing was recognised: compare `records` with `by_level` and
        `requests`.
    """
    counter = ErrorCounter(client_errors=client_errors, since=since)
    for record in records:
        counter.take(record)
    return counter.result()


def _is_client_error(record: Record, patterns: Sequence[re.Pattern[str]]) -> bool:
    # With a space as well: some formats write no colon, and what looks like a logger may be a word.
    texts = {f"{record.logger}{joint}{record.message}".strip(" :") for joint in (": ", " ")}
    return any(pattern.search(text) for pattern in patterns for text in texts)


def _count_kind(kinds: Counter[tuple[str, Level | None, bool]], record: Record, *, by_client: bool) -> None:
    """Count one error under its kind; whoever makes up texts can't make this grow without bound."""
    text = masked(record.message, paths=False)
    key = (f"{record.logger}: {text}" if record.logger else text, record.level, by_client)
    if key not in kinds and len(kinds) >= _KINDS_HELD:
        key = ("(other kinds)", None, by_client)
    kinds[key] += 1
