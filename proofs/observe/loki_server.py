"""A server that answers as Loki 3's documentation says it does: no Loki is to be had from the registries.

It holds streams in memory and speaks HTTP over a socket: selectors with all four operators, `start` inclusive and `end`
exclusive, `limit` over all streams together, both directions, entries' own labels apart or folded into the streams',
its limits and its refusals in its words.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

Labels = tuple[tuple[str, str], ...]
COUNTING = re.compile(r"sum\(count_over_time\((.*)\[(\d+)ns\]\)\)", re.DOTALL)
EPOCH = datetime.fromtimestamp(0, UTC)
MATCHER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*(,|\})')


def ns(at: datetime) -> int:
    """Nanoseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


@dataclass
class Refusal(Exception):  # noqa: N818
    """An answer that is an error."""

    status: int
    said: str


@dataclass
class LokiServer:
    """What it holds and how it behaves; use it in a `with` statement."""

    max_entries: int = 5000
    max_length: timedelta = timedelta(hours=721)
    lookback: timedelta | None = None
    tenant: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    tls: ssl.SSLContext | None = None
    streams: dict[Labels, list[tuple[int, str, dict[str, str]]]] = field(default_factory=dict)
    drops: bool = False
    """Whether it hands out a part of what it should, where there is more than the limit (grafana/loki#19133)."""
    asked: Counter[str] = field(default_factory=Counter)
    fault: Callable[[str, dict[str, str]], Refusal | bytes | None] = lambda _what, _asked: None
    """What it does instead of answering: a refusal, or bytes as they are; None for an answer."""

    def __enter__(self) -> Self:
        loki = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one piece

            def do_GET(self) -> None:
                status, body, kind = loki.answer(self.path, {k.lower(): v for k, v in self.headers.items()})
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self._server.server_address[1]}"

    def push(
        self, labels: dict[str, str], entries: Iterable[tuple[int, str] | tuple[int, str, dict[str, str]]]
    ) -> None:
        """Take entries of a stream; as Loki, one of the same time and text only once."""
        held = self.streams.setdefault(tuple(sorted(labels.items())), [])
        known = {(at, line) for at, line, _ in held}
        for at, line, *own in entries:
            if (at, line) not in known:
                known.add((at, line))
                held.append((at, line, own[0] if own else {}))
        held.sort(key=lambda one: one[0])

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
        """Status, body and kind of an answer."""
        parts = urlsplit(path)
        what = parts.path.removeprefix("/loki/api/v1/")
        asked = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.asked[what] += 1
        try:
            self._let_in(headers)
            if (instead := self.fault(what, asked)) is not None:
                if isinstance(instead, Refusal):
                    raise instead
                return 200, instead, "application/json"
            data = self._data(
                what, asked, apart="categorize-labels" in headers.get("x-loki-response-encoding-flags", "")
            )
        except Refusal as no:
            return no.status, f"{no.said}\n".encode(), "text/plain; charset=utf-8"
        return 200, json.dumps({"status": "success", "data": data}).encode(), "application/json; charset=UTF-8"

    def _let_in(self, headers: dict[str, str]) -> None:
        wanted = f"Bearer {self.token}" if self.token else ""
        if self.password:
            wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if wanted and headers.get("authorization") != wanted:
            raise Refusal(401, "unauthorized")
        if self.tenant and headers.get("x-scope-orgid") != self.tenant:
            raise Refusal(401, "no org id")

    def _data(self, what: str, asked: dict[str, str], *, apart: bool) -> object:
        if what == "query":
            return self._counted(asked)
        if what not in ("labels", "series", "query_range"):
            raise Refusal(404, "404 page not found")
        start, end = int(asked["start"]), int(asked["end"])
        if end < start:
            raise Refusal(400, f"invalid query, through < from ({end} < {start})")
        self._not_too_long(end - start)
        if what == "labels":
            return sorted({name for labels in self._between({}, start, end) for name, _ in labels})
        if what == "series":
            return [dict(one) for one in self._between(self._matchers(asked["match[]"], only=True), start, end)]
        number = int(asked.get("limit", 100))
        if number > self.max_entries:
            over = f"({number} > {self.max_entries})"
            raise Refusal(400, f"max entries limit per query exceeded, limit > max_entries_limit_per_query {over}")
        return self._entries(asked, start, end, number, apart=apart)

    def _not_too_long(self, length: int) -> None:
        if length > self.max_length // timedelta(microseconds=1) * 1000:
            limit = f"{self.max_length / timedelta(hours=1):g}h0m0s"
            said = f"(query length: {length / 3.6e12:g}h, limit: {limit})"
            raise Refusal(400, f"the query time range exceeds the limit {said}")

    def _counted(self, asked: dict[str, str]) -> dict[str, object]:
        found = COUNTING.fullmatch(asked["query"])
        if found is None:
            raise Refusal(400, "log queries are not supported as an instant query type")
        at, length = int(asked["time"]), int(found[2])
        self._not_too_long(length)
        # Behind the beginning, and up to the end.
        streams = self._between(self._matchers(found[1]), at - length + 1, at + 1)
        number = sum(at - length < one[0] <= at for held in streams.values() for one in held)
        result = [{"metric": {}, "value": [at / 1e9, str(number)]}] if number else []
        return {"resultType": "vector", "result": result, "stats": {}}

    def _entries(self, asked: dict[str, str], start: int, end: int, limit: int, *, apart: bool) -> dict[str, object]:
        backward = asked.get("direction", "backward") == "backward"
        chosen = [
            (at, labels, line, own)
            for labels, held in self._between(self._matchers(asked["query"]), start, end).items()
            for at, line, own in held
            if start <= at < end
        ]
        chosen.sort(key=lambda one: one[0], reverse=backward)
        result: dict[Labels, list[list[object]]] = {}
        if self.drops and len(chosen) > limit > 1:
            chosen = [*chosen[: limit // 8], *chosen[limit // 2 : limit // 2 + limit // 8]]
        for at, labels, line, own in chosen[:limit]:
            value: list[object] = [str(at), line]
            if apart and own:
                value.append({"structuredMetadata": own})
            elif apart:
                value.append({})
            key = labels if apart else tuple(sorted({**dict(labels), **own}.items()))
            result.setdefault(key, []).append(value)
        streams = [{"stream": dict(labels), "values": values} for labels, values in result.items()]
        return {"resultType": "streams", "result": streams, "stats": {"summary": {"totalLinesProcessed": len(chosen)}}}

    def _between(
        self, matchers: dict[str, list[tuple[str, str]]], start: int, end: int
    ) -> dict[Labels, list[tuple[int, str, dict[str, str]]]]:
        oldest = ns(datetime.now(UTC) - self.lookback) if self.lookback is not None else 0
        found = {}
        for labels, held in self.streams.items():
            values = dict(labels)
            if all(_holds(values.get(name, ""), *one) for name, ones in matchers.items() for one in ones):
                kept = [one for one in held if one[0] >= oldest]
                if kept and kept[0][0] < end and kept[-1][0] >= start:
                    found[labels] = kept
        return found

    def _matchers(self, query: str, *, only: bool = False) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        if not query.startswith("{"):
            raise Refusal(400, "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER")
        at, closed = 1, False
        while match := MATCHER.match(query, at):
            text = match[3][1:-1] if match[3].startswith("`") else json.loads(match[3])
            found.setdefault(match[1], []).append((match[2], text))
            at = match.end()
            if match[4] == "}":
                closed = True
                break
        if not closed:
            raise Refusal(400, f"parse error at line 1, col {at + 1}: syntax error: unexpected end of input")
        if only and query[at:].strip():
            raise Refusal(400, "only label matchers are supported")
        if not any(one[0] in ("=", "=~") and not _holds("", *one) for ones in found.values() for one in ones):
            raise Refusal(
                400,
                "parse error : queries require at least one regexp or equality matcher that does not have an "
                "empty-compatible value",
            )
        return found


def _holds(value: str, operator: str, text: str) -> bool:
    if operator in ("=", "!="):
        return (value == text) is (operator == "=")
    return (re.fullmatch(text, value) is not None) is (operator == "=~")
