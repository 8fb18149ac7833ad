r"""The lines of nginx's access log, in the format that its configuration gives them.

What nginx 1.22 writes was measured: `"`, `\`, control and non-ASCII bytes come
as `\x22`; a request that was none comes as its bytes, as an empty text, or as
`-`; only `$remote_user` may hold spaces and brackets, never a quote. Where
somebody else decides what stands in a field, the patterns here can't be led
astray by it, and none needs more than linear time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


def local_time(text: str) -> datetime | None:
    """Read `$time_local`, `23/Nov/2026:10:01:48 +0000`; ``None`` for a time that can't be."""
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
    "time_local": local_time,
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
_OTHER_ESCAPE = re.compile(rb"\\(?!x[0-9A-Fa-f]{2})")
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
        method, target, protocol = request_parts(request)
        if tail:
            seconds = tail_seconds(tail)
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
    if _OTHER_ESCAPE.search(raw) is None:
        # All that nginx writes by default; Python's own escapes say the same, and are a hundred times as fast.
        return raw.decode("unicode_escape").encode("latin-1")
    return _HEX_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)) if found[1] else found[2], raw)


def _json_unescaped(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[1], 16),)) if found[1] else _JSON_LETTERS.get(found[2], found[2])


def request_parts(request: str) -> tuple[str, str, str]:
    """Method, target and protocol; a target may hold spaces."""
    method, _, rest = request.partition(" ")
    if method not in _METHODS and not (method.isascii() and method.replace("-", "").isalpha()):
        return "", "", ""
    target, _, protocol = rest.rpartition(" ")
    return (method, target, protocol) if protocol.startswith("HTTP/") else (method, rest, "")


def tail_seconds(tail: str) -> str | None:
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
