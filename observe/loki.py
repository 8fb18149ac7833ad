"""Logs that are kept in Loki, read by its HTTP API instead of from the engine.

Serves the same lines of the guide as :mod:`observe.container_log`, where a
stack has grown past one machine's log files. What comes is made into the
engine's own frames again, so that the same readers make lines and records of
it, whoever carried it there:

* a line may be an entry of the `json-file` driver, as promtail reads it
  without its `docker` stage: it is unpacked, with its own time and stream;
* an entry may hold several lines, as a `multiline` stage joins a traceback;
* a label `stream`, `logstream` or `source` says `stderr`.

Loki hands out a page at a time, and pages are asked for by time: the last
nanosecond of a page is asked for again, and what was handed out of it is left
out. Its limits (entries of a page, length of a query, bytes that it reads) are
learned from its refusals. A page is held, and no more of it than
:data:`MOST_BODY`.

By the documentation of Loki 3: its API, its refusals and its limits.
"""

from __future__ import annotations

import heapq
import json
import re
import ssl
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from observe.container_log import HEADER, Decoding, LogLine, lines
from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from observe.window import BEFORE, Coverage, Read, Window
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import httpx

    from observe.engine import Container
    from target.kinds import Secret, Share

T = TypeVar("T")
CAUSE = "loki"
PAGE = 5000
"""Entries of a page, as long as Loki takes it: its own limit, if nobody has set another."""
MOST_ENTRIES = 16 * PAGE
"""Entries of one nanosecond that are asked for at most."""
MOST_BODY = 64 * 1024**2
"""Bytes of an answer that are held; for more, fewer entries are asked for."""
MOST_SOURCES = 50
"""Containers of a service that are read one by one; of more the logs are read as one."""
LOOKBACK = timedelta(days=7)
"""So far before a window it is looked whether the log reaches back beyond it."""
LAG = timedelta(minutes=10)
"""A container that has said nothing for so long is held against its neighbours: is anything carried to Loki?"""
PAUSES = (0.3, 1.0)
"""Seconds before it is asked again when it is too busy."""
_ALL = "all"
_SHORTEST = timedelta(seconds=1)
_EPOCH = datetime.fromtimestamp(0, UTC)
_SHOWN = 300
_BUSY = frozenset({429, 502, 503})
_CONTAINERS = ("container_name", "container", "docker_container_name", "container_id")
_PLACES = ("pod", "instance", "host", "hostname", "node", "nodename")
_STREAMS = ("stream", "logstream", "source")
_STDOUT, _STDERR = 0x01000000, 0x02000000
_DOCKER = {"stdout": _STDOUT, "stderr": _STDERR}
_DOCKER_KEYS = frozenset({"log", "stream", "time", "attrs"})
_DOCKER_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_TOO_MANY = re.compile(r"max entries limit .*\((\d+) > (\d+)\)")
_TOO_LONG = re.compile(
    r"time range exceeds the limit|would read too many bytes|too large to execute|max number of chunks"
    r"|deadline exceeded|timed out|timeout"
)
_QUOTED = re.compile(r"""([=!|]?[=~])\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)""")
_NAME = re.compile(r"\$(?:\{(project|service)\}|(project|service)\b)")
_CREDENTIALS = "Check loki.user and loki.password_file, or loki.token_file; where Loki has tenants, loki.tenant."
_REACH = "Is loki.url right, without /loki/api, and does a firewall or a proxy stand between?"


class _Entry(msgspec.Struct, array_like=True):
    """Time in nanoseconds since 1970 and line; what may follow are labels of its own."""

    at: str
    line: str


class _Stream(msgspec.Struct):
    stream: dict[str, str]
    values: list[_Entry]


class _Data(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    status: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    warnings: list[str] | None = None


class Entry(NamedTuple):
    """An entry of Loki's.

    Attributes:
        at: Nanoseconds since 1970.
        labels: The stream's labels, in an order of their own.
        stream: How the engine marks the stream that a container wrote it to.
        line: What was written; it may be several lines.
    """

    at: int
    labels: tuple[tuple[str, str], ...]
    stream: int
    line: str


class _TooMany(Exception):  # noqa: N818  control flow: ask for fewer entries
    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most}")
        self.most = most


class _TooLong(Exception):  # noqa: N818  control flow: ask for less time
    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class _Gone(Exception):  # noqa: N818  control flow: what is asked for is older than Loki shows
    pass


@dataclass(frozen=True)
class Source:
    """The streams of one container.

    Attributes:
        id: What tells it from others.
        name: What a person calls it.
        query: What its entries are asked by.
        container: The engine's container of that name; None where it has none, or isn't known to.
    """

    id: str
    name: str
    query: str
    container: Container | None = None


class Loki:
    """Loki, asked when somebody first wants to know something.

    Args:
        url: Its address, without `/loki/api`.
        selector: What selects the streams of a service, with `$project` and `$service`.
        seconds: Total time limit of each log, and of each other question, in seconds.
        agent: The user agent that marks this run's requests.
        tenant: What is sent as `X-Scope-OrgID`; empty for nothing.
        user: For basic authentication; empty for none.
        password: Likewise.
        token: For bearer authentication; None for none.
        ca_file: A private CA to trust instead of the system's; None for the system's.
    """

    def __init__(
        self,
        url: str,
        selector: str,
        seconds: float,
        agent: str,
        *,
        tenant: str = "",
        user: str = "",
        password: Secret | None = None,
        token: Secret | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._selector = selector
        self.seconds = seconds
        self._headers = {
            "User-Agent": agent,
            "Accept": "application/json",
            # An entry's own labels would take the streams apart otherwise, by level for one.
            "X-Loki-Response-Encoding-Flags": "categorize-labels",
        }
        self._tenant, self._user, self._password, self._token, self._ca_file = tenant, user, password, token, ca_file
        self._client: httpx.Client | None = None
        self._dead: CannotTell | None = None
        self._page = PAGE
        self._longest: timedelta | None = None
        self.warnings: set[str] = set()

    def close(self) -> None:
        """Close the connections if any was opened."""
        if self._client is not None:
            self._client.close()

    def query(self, project: str, service: str) -> str:
        """What the streams of a service are asked by.

        Raises:
            CannotTell: If the names can't be written as LogQL wants it, or it is no LogQL.
        """
        written = filled(self._selector, {"project": project, "service": service})
        matchers(written)
        return written

    # What there is ----------------------------------------------------------------------------------------------------

    def series(self, query: str, since: datetime, until: datetime) -> list[dict[str, str]]:
        """The labels of the streams that have entries in that time.

        Raises:
            CannotTell: If Loki can't be asked, or says something else.
        """

        def ask(stop: threading.Event) -> list[dict[str, str]]:
            found: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
            start, end = _ns(since), _ns(until)
            step = end - start
            while start < end:
                upto = min(end, start + self._span(step))
                asked = {"match[]": matchers(query), "start": str(start), "end": str(upto)}
                try:
                    raw = self._get("series", asked, stop)
                except _TooLong as refused:
                    step = self._shorter(upto - start, refused)
                    continue
                for one in msgspec.json.decode(raw, type=list[dict[str, str]] | None) or ():
                    found[tuple(sorted(one.items()))] = one
                start = upto
            return list(found.values())

        try:
            return self._bounded(ask)
        except msgspec.MsgspecError:
            raise self._not_loki("series") from None

    def labels(self, since: datetime, until: datetime) -> list[str]:
        """The names of all labels that there are in that time.

        Raises:
            CannotTell: If Loki can't be asked, or says something else.
        """
        asked = {"start": str(_ns(since)), "end": str(_ns(until))}
        raw = self._bounded(lambda stop: self._get("labels", asked, stop))
        try:
            return msgspec.json.decode(raw, type=list[str] | None) or []
        except msgspec.MsgspecError:
            raise self._not_loki("labels") from None

    def newest(self, query: str, since: datetime, until: datetime) -> int | None:
        """When the last entry of that time was written, in nanoseconds since 1970; None where there is none.

        Raises:
            CannotTell: If Loki can't be asked, or says something else.
        """
        found = self.last(query, since, until, 1)
        return found[-1].at if found else None

    def last(self, query: str, since: datetime, until: datetime, number: int) -> list[Entry]:
        """The last entries of that time, oldest first, at most so many.

        Raises:
            CannotTell: If Loki can't be asked, or says something else.
        """

        def ask(stop: threading.Event) -> list[Entry]:
            # From the end on in steps: the whole may be longer than Loki lets anybody ask for.
            found: list[Entry] = []
            begin, end = _ns(since), _ns(until)
            step = end - begin
            while end > begin and len(found) < number:
                start = max(begin, end - self._span(step))
                wanted = min(number - len(found), self._page)
                try:
                    page = self._entries(query, start, end, wanted, "backward", stop)
                except _TooMany as refused:
                    self._page = self._fewer(wanted, refused)
                    continue
                except _TooLong as refused:
                    step = self._shorter(end - start, refused)
                    continue
                found = [*page[-wanted:], *found]
                if len(page) < wanted:
                    end = start
                elif len(found) < number:
                    # More is wanted than a page has: what is at its border comes again.
                    end, again = page[0].at + 1, [one for one in found if one.at > page[0].at]
                    if not again:
                        break
                    found = again
            return found

        return self._bounded(ask)

    def nothing(self, query: str, since: datetime, until: datetime) -> CannotTell:
        """That Loki has no stream of a service, with what can be known of why."""
        span = say_span(until - since)
        try:
            names = self.labels(since, until)
        except CannotTell as why:
            names, there = [], f"Its labels can't be asked: {why}"
        else:
            shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
            there = f"The labels that there are: {shown[:_SHOWN]}."
            if not names:
                there = "It has no label at all in that time: is anything sent to it, and is loki.tenant right?"
        return CannotTell(
            f"Loki has no stream for {query[:_SHOWN]} in {span}: nothing was looked at",
            mend=f"{there}{' Set loki.selector by them.' if names else ''}",
        )

    # What was written -------------------------------------------------------------------------------------------------

    def pages(self, query: str, since: datetime, until: datetime, stop: threading.Event) -> Iterator[list[Entry]]:
        """All entries of a time, in its order; each once.

        Args:
            query: What they are asked by.
            since: The beginning, which is part of it, aware.
            until: The end, which isn't, aware.
            stop: Ends it.

        Yields:
            Pages of entries in the order of their times.

        Raises:
            CannotTell: If Loki can't be asked, or says something else; or if there are more entries of one
                nanosecond than it hands out at once.
        """
        at, end = _ns(since), _ns(until)
        step, limit = end - at, self._page
        border: Counter[Entry] = Counter()  # what was handed out of the nanosecond at which the next page begins
        while at < end and not stop.is_set():
            upto = min(end, at + self._span(step))
            try:
                page = self._entries(query, at, upto, limit, "forward", stop)
            except _TooMany as refused:
                if limit > self._page:
                    raise self._crowded(at, self._page) from None
                limit = self._page = self._fewer(limit, refused)
                continue
            except _TooLong as refused:
                step = self._shorter(upto - at, refused)
                continue
            kept = [one for one in page if at <= one.at < upto]
            yield _but(kept, border)
            last = kept[-1].at if kept else at
            if len(page) < limit:
                at, limit, border = upto, self._page, Counter()
            elif last > at:
                at, limit, border = last, self._page, Counter(one for one in kept if one.at == last)
            else:
                # Nothing but entries of one nanosecond: only a longer page leads beyond it.
                border |= Counter(kept)
                limit *= 2
                if limit > MOST_ENTRIES or not kept:
                    raise self._crowded(at, limit // 2)

    def _fewer(self, wanted: int, refused: _TooMany) -> int:
        if wanted <= 1:
            raise CannotTell(f"{self._said} hands out no entry at all", mend="See its max_entries_limit_per_query.")
        return max(1, min(refused.most, wanted - 1))

    def _crowded(self, at: int, number: int) -> CannotTell:
        when = _EPOCH + timedelta(microseconds=at // 1000)
        return CannotTell(
            f"Loki has more than {number:,} entries of one nanosecond ({when:%Y-%m-%d %H:%M:%S.%f} UTC), "
            f"and hands out no more at once",
            mend="Let the agent send when a line was written, or raise Loki's max_entries_limit_per_query.",
        )

    def _span(self, wanted: int) -> int:
        """How much of that many nanoseconds may be asked for at once."""
        return wanted if self._longest is None else min(wanted, self._longest // timedelta(microseconds=1) * 1000)

    def _shorter(self, refused: int, why: _TooLong) -> int:
        """Half of a time, in nanoseconds, that Loki refuses to look over."""
        shorter = timedelta(microseconds=refused // 2000)
        if shorter < _SHORTEST:
            raise CannotTell(
                f"{self._said} refuses even {say_span(2 * shorter)} of the log: {why.said}",
                mend="Raise its query limits, or select fewer streams in loki.selector.",
            )
        if "time range exceeds" in why.said:
            self._longest = shorter
        return shorter // timedelta(microseconds=1) * 1000

    def _entries(
        self, query: str, start: int, end: int, limit: int, direction: str, stop: threading.Event
    ) -> list[Entry]:
        asked = {"query": query, "start": str(start), "end": str(end), "limit": str(limit), "direction": direction}
        try:
            raw = self._get("query_range", asked, stop)
        except _Gone:
            return []
        try:
            data = msgspec.json.decode(raw, type=_Data)
            if data.result_type != "streams":
                raise CannotTell(
                    f"loki.selector selects no lines: Loki answers {query[:_SHOWN]} with a {data.result_type[:20]}",
                    mend="Take figures such as rate(…) out of it: what is wanted are log lines.",
                )
            streams = msgspec.json.decode(data.result, type=list[_Stream])
            return _merged(streams)
        except (msgspec.MsgspecError, ValueError):
            raise self._not_loki("query_range") from None

    # The way there ----------------------------------------------------------------------------------------------------

    @property
    def _said(self) -> str:
        return f"Loki at {self.url}"

    def _not_loki(self, what: str) -> CannotTell:
        return CannotTell(f"{self._said} doesn't answer {what} as Loki does", mend=_REACH, cause=CAUSE)

    def _bounded(self, ask: Callable[[threading.Event], T]) -> T:
        """Ask within the total time limit. A way that is dead is remembered as dead."""
        if self._dead is not None:
            raise self._dead.with_traceback(None)
        stop = threading.Event()
        try:
            return within(self.seconds, lambda: ask(stop), give_up=stop.set)
        except TimeIsUp:
            self._dead = self.late()
            raise self._dead from None
        except _TooLong as refused:
            raise CannotTell(
                f"{self._said} refuses: {refused.said}", mend="Raise its query limits, or those of the tenant."
            ) from None
        except _TooMany as refused:
            raise CannotTell(f"{self._said} hands out {refused.most} entries, and no more") from None

    def late(self) -> CannotTell:
        """That it took too long."""
        limit = say_span(timedelta(seconds=self.seconds))
        return CannotTell(
            f"{self._said} did not answer to the end within {limit}",
            mend="Raise timeouts.logs in the target.",
            cause=CAUSE,
        )

    def _get(self, what: str, asked: Mapping[str, str], stop: threading.Event) -> msgspec.Raw:
        """What Loki says to a question, its own errors told; asked again when it is too busy.

        Raises:
            CannotTell: If there is no answer, or another than wanted.
            _TooMany, _TooLong: If it wants to be asked for less.
        """
        status, body = self._asked(what, asked, stop)
        for pause in PAUSES:
            if status not in _BUSY or stop.wait(pause):
                break
            status, body = self._asked(what, asked, stop)
        if status != 200:
            raise self._refused(status, body, what)
        answer = self._decoded(body, what)
        if answer.status != "success":
            raise self._not_loki(what)
        self.warnings.update(one[:_SHOWN] for one in answer.warnings or ())
        return answer.data

    def _decoded(self, body: bytes, what: str) -> _Answer:
        try:
            return msgspec.json.decode(body, type=_Answer)
        except msgspec.MsgspecError:
            pass
        try:
            # Halves of characters and bytes that are no UTF-8 are in logs; the strict reader refuses them.
            lenient = json.loads(body.decode("utf-8", "replace"))
            again = json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace")
            return msgspec.json.decode(again, type=_Answer)
        except (ValueError, RecursionError):
            raise self._not_loki(what) from None

    def _asked(self, what: str, asked: Mapping[str, str], stop: threading.Event) -> tuple[int, bytes]:
        import httpx

        client = self._open()
        try:
            with client.stream("GET", f"{self.url}/loki/api/v1/{what}", params=dict(asked)) as response:
                body = bytearray()
                for block in response.iter_bytes():
                    body += block
                    if len(body) > MOST_BODY:
                        raise self._heavy(asked)
                    if stop.is_set():
                        break
                return response.status_code, bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError, ValueError) as error:
            # Its request has the credentials in its headers, and its frames as well.
            failure = self._failed(error)
        raise failure

    def _heavy(self, asked: Mapping[str, str]) -> Exception:
        """An answer that is too large to be held: fewer entries are, if it was about entries."""
        limit = int(asked.get("limit", 1))
        if limit > 1:
            return _TooMany(max(1, limit // 4))
        return CannotTell(f"{self._said} answers with more than {say_bytes(MOST_BODY)}", mend=_REACH, cause=CAUSE)

    def _failed(self, error: Exception) -> CannotTell:
        import httpx

        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, ssl.SSLError):
                what = f"{self._said} isn't trusted: {getattr(seen, 'verify_message', '') or seen.reason or seen}"
                self._dead = CannotTell(what[:_SHOWN], mend="Give its CA as loki.ca_file.", cause=CAUSE)
                return self._dead
            seen = seen.__cause__ or seen.__context__
        if isinstance(error, httpx.TimeoutException):
            self._dead = self.late()
            return self._dead
        why = CannotTell(f"{self._said} can't be reached ({type(error).__name__})", mend=_REACH, cause=CAUSE)
        if isinstance(error, httpx.ConnectError):
            self._dead = why
        return why

    def _refused(self, status: int, body: bytes, what: str) -> Exception:
        """What an answer that is an error means, in Loki's own words."""
        said = " ".join(body[:2000].decode("utf-8", "replace").split())[:_SHOWN]
        if status in (400, 422) and (found := _TOO_MANY.search(said)):
            return _TooMany(max(1, int(found[2])))
        if status in (400, 422, 500, 504) and _TOO_LONG.search(said):
            return _TooLong(said)
        if "data is no longer available" in said:
            return _Gone()
        if status in (401, 403) or "no org id" in said:
            return CannotTell(f"{self._said} refuses to be read ({status}): {said}", mend=_CREDENTIALS, cause=CAUSE)
        if status == 404:
            return CannotTell(f"{self._said} has no /loki/api/v1/{what} ({status}): {said}", mend=_REACH, cause=CAUSE)
        if status == 400:
            return CannotTell(
                f"{self._said} doesn't take what it was asked ({status}): {said}",
                mend="Mend loki.selector.",
                cause=CAUSE,
            )
        busy = "It is too busy, or its limits are too low; look again later."
        mend = busy if status in _BUSY else "Look into its own log."
        return CannotTell(f"{self._said} answered {status}: {said or 'nothing'}", mend=mend, cause=CAUSE)

    def _open(self) -> httpx.Client:
        if self._client is None:
            import httpx

            headers = dict(self._headers)
            if self._tenant:
                headers["X-Scope-OrgID"] = _sendable(self._tenant, "tenant", "Mend loki.tenant.")
            if self._token is not None:
                token = _sendable(self._token.reveal(), "token", "Mend loki.token_file.")
                headers["Authorization"] = f"Bearer {token}"
            self._client = httpx.Client(
                verify=self._trust() if self.url.startswith("https:") else False,
                trust_env=False,  # the runner's proxies and netrc say nothing about Loki
                timeout=self.seconds + 1,  # per read; the total limit comes first, so that it is what is said
                headers=headers,
                auth=None if self._password is None else httpx.BasicAuth(self._user, self._password.reveal()),
            )
        return self._client

    def _trust(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        except (OSError, ssl.SSLError) as error:
            raise CannotTell(
                f"the CA file {self._ca_file} can't be read: {error.strerror or error}",
                mend="Set loki.ca_file to a readable PEM file, or take it out to trust the system's CAs.",
                cause=CAUSE,
            ) from None
        # On from Python 3.13: it refuses certificates of private CAs that every other client takes.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def _sendable(text: str, what: str, mend: str) -> str:
    """A text that may stand in a header. What httpx says of another would show it."""
    if not text.isascii() or not text.isprintable():
        raise CannotTell(f"Loki's {what} has characters that can't be sent", mend=mend, cause=CAUSE)
    return text


# A service's log ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LokiWindow(Window[Source]):
    """A window of the logs of a service's containers, as Loki keeps them.

    Attributes:
        loki: Where they are.
        query: What the service's streams are asked by.
        since: Beginning of the window, aware.
        until: End of the window, aware.
        reach: Share of the window that the logs must reach back over.
        containers: The containers that the engine has of the service; None where it can't be asked.
        neighbours: What the project's other services are asked by: whether anything is carried to Loki.
    """

    loki: Loki
    query: str
    since: datetime
    until: datetime
    reach: Share
    containers: Sequence[Container] | None = None
    neighbours: tuple[str, ...] = ()
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def sources(self) -> Sequence[Source]:
        """The containers whose streams have entries in the window, by what their labels say.

        Raises:
            CannotTell: If Loki can't be asked, or has no stream of the service.
        """
        if "sources" not in self._kept:
            found = self.loki.series(self.query, self.since - BEFORE, self.until)
            if not found:
                raise self.loki.nothing(self.query, self.since, self.until)
            self._kept["sources"] = sources_of(self.query, found, self.containers or ())
        sources: Sequence[Source] = self._kept["sources"]
        return sources

    @property
    def missing(self) -> list[Container]:
        """The engine's containers that ran in the window and have nothing in Loki; none where that can't be known."""
        if not any(one.container for one in self.sources):
            return []
        there = {one.container.id for one in self.sources if one.container is not None}
        return [
            one
            for one in self.containers or ()
            if one.id not in there and (one.running or (one.finished is not None and one.finished > self.since))
        ]

    def _read(self, source: Source, reader: Callable[[Iterable[Any]], T], skim_from: datetime | None) -> Read[T]:
        decoding, stop, last = Decoding(), threading.Event(), [0]
        newest = self.loki.newest(source.query, self.since - BEFORE, self.until)

        def blocks() -> Iterator[bytes]:
            for page in self.loki.pages(source.query, self.since - BEFORE, self.until, stop):
                if page:
                    last[0] = page[-1].at
                    yield framed(page)

        def read() -> T:
            if skim_from is None:
                return reader(lines(blocks(), tty=False, decoding=decoding))
            from observe.skim import skimmed

            return reader(skimmed(blocks(), decoding, skim_from))

        try:
            said = within(self.loki.seconds, read, give_up=stop.set)
        except TimeIsUp:
            raise self.loki.late() from None
        if newest is not None and last[0] < newest:
            # A page that came without an error and without its end would hide what came after it.
            raise CannotTell(
                f"the log of {source.name} in Loki breaks off at {_said_at(last[0])}, its last line is of "
                f"{_said_at(newest)}",
                mend="Something between stands in the way of long answers. Look again later.",
            )
        return Read(source, self._reaches(source, decoding), decoding, said)

    def _reaches(self, source: Source, decoding: Decoding) -> datetime:
        """How far back a container's log goes, at most to the window's start."""
        first = max(decoding.first_at or self.until, self.since)
        if first - self.since <= BEFORE or self._has_before(source.query):
            return self.since
        container = source.container
        if container is not None and container.created < self.since:
            return first
        # It is younger than the window, or gone: what was before it is its service's.
        return self.since if self._has_before(self.query) else first

    def _has_before(self, query: str) -> bool:
        """Whether there is an entry from before the window."""
        known: dict[str, bool] = self._kept.setdefault("before", {})
        if query not in known:
            known[query] = self.loki.newest(query, self.since - LOOKBACK, self.since) is not None
        return known[query]

    def _covered(self, reads: Sequence[Read[T]]) -> Coverage:
        window = self.until - self.since
        number = sum(one.decoding.lines for one in reads)
        if not number:
            raise self.loki.nothing(self.query, self.since, self.until)
        ends = self._carried_until(reads)
        missing, known = self.missing, [one for one in self.sources if one.container is not None]
        seen = [max(timedelta(0), ends - one.reaches) for one in reads]
        share = min(1.0, sum(seen, timedelta(0)) / (window * (len(reads) + len(missing))))
        shortest = min(seen)
        span = "all" if shortest >= window else say_span(shortest)
        notes = [f"Loki says: {one}" for one in sorted(self.loki.warnings)]
        if missing:
            names = ", ".join(one.name for one in missing)
            notes.append(f"Loki has no line of {names}, which the engine has: is their log carried there?")
        if self.containers is None:
            notes.append("the engine can't be asked whether the logs of all containers are in Loki")
        elif not known:
            notes.append(
                f"Loki's streams aren't called as the engine's {len(self.containers)} containers: whether all of them "
                f"are there isn't known"
            )
        if ends < self.until:
            notes.append(f"nothing of the project came to Loki after {ends:%Y-%m-%d %H:%M:%S}: is its agent running?")
        said = f"{number:,} lines of {_counted(self.sources, len(missing))} in Loki, {span} of {say_span(window)}"
        return Coverage(share, said, tuple(notes), self._mend(missing, ends))

    def _mend(self, missing: Sequence[Container], ends: datetime) -> str:
        if missing or ends < self.until:
            return "See whether the agent that carries logs to Loki runs on every host."
        return "See Loki's retention, and since when logs are sent there."

    def _carried_until(self, reads: Sequence[Read[T]]) -> datetime:
        """Until when anything of the project was carried to Loki: where that stops, silence says nothing."""
        newest = max((one.decoding.last_at for one in reads if one.decoding.last_at is not None), default=self.since)
        late = self.until - LAG
        for query in self.neighbours:
            if newest >= late:
                break
            found = self.loki.newest(query, newest, self.until)
            if found is not None:
                newest = max(newest, _EPOCH + timedelta(microseconds=found // 1000))
        return self.until if newest >= late else newest.astimezone(self.until.tzinfo)


def _counted(sources: Sequence[Source], missing: int) -> str:
    there = len(sources)
    if there == 1 and sources[0].id == _ALL and sources[0].container is None:
        return "all containers, read as one log,"
    if missing:
        return f"{there} of {there + missing} containers"
    return "1 container" if there == 1 else f"{there} containers"


def sources_of(query: str, series: Sequence[Mapping[str, str]], containers: Sequence[Container]) -> list[Source]:
    """The containers that streams belong to, by their labels.

    Args:
        query: What they were asked by.
        series: Labels of each stream.
        containers: The engine's containers of the service, which names are held against.
    """
    names = next((name for name in _CONTAINERS if any(name in one for one in series)), None)
    place = next((name for name in _PLACES if any(name in one for one in series)), None)
    by = [name for name in (names, place) if name is not None]
    found = sorted({tuple(one.get(name, "") for name in by) for one in series})
    if not by or len(found) > MOST_SOURCES:
        only = containers[0] if len(containers) == 1 else None
        what = only.name if only is not None else matchers(query)
        return [Source(_ALL, f"{len(found)} containers of {what}" if len(found) > 1 else what, query, only)]
    known = {}
    for one in containers:
        known.update(dict.fromkeys((one.name, f"/{one.name}", one.id, one.id[:12]), one))
    sources = []
    for values in found:
        own = next((known[value] for value in values if value in known), None)
        name = own.name if own is not None else " on ".join(value for value in values if value) or "(unnamed)"
        narrow = narrowed(query, dict(zip(by, values, strict=True)))
        sources.append(Source("\0".join(values), name, narrow, own))
    return sources


def last_lines(
    loki: Loki, query: str, containers: Sequence[Container], now: datetime, number: int
) -> dict[str, list[LogLine]]:
    """The last lines of each container of a service, oldest first, by what the container is called.

    Args:
        loki: Where they are.
        query: What the service's streams are asked by.
        containers: The engine's containers of the service, which names are held against.
        now: The time of the run, aware.
        number: So many lines of each.

    Raises:
        CannotTell: If Loki can't be asked, or has no stream of the service for a week.
    """
    found = loki.series(query, now - LOOKBACK, now)
    if not found:
        raise loki.nothing(query, now - LOOKBACK, now)
    said: dict[str, list[LogLine]] = {}
    for source in sources_of(query, found, containers):
        entries = loki.last(source.query, now - LOOKBACK, now, number)
        read = list(lines([framed(entries)], tty=False))
        said.setdefault(source.name, []).extend(read[-number:])
    return said


# LogQL ----------------------------------------------------------------------------------------------------------------


def filled(selector: str, names: Mapping[str, str]) -> str:
    r"""Fill names into a selector as LogQL wants them written.

    Args:
        selector: With `$project` and `$service` in quoted strings; behind `=~`, `!~` or `|~` they stand for themselves
            in the expression.
        names: What they stand for.

    Raises:
        CannotTell: If a name has a backquote and the selector quotes by them.
    """

    def string(found: re.Match[str]) -> str:
        operator, quoted = found[1], found[2]
        raw = quoted.startswith("`")

        def name(one: re.Match[str]) -> str:
            value = names[one[1] or one[2]]
            if operator.endswith("~"):
                value = re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", value)
            if not raw:
                return _escaped(value)
            if "`" in value:
                raise CannotTell(f"{value!r} can't stand between backquotes", mend='Use "…" in loki.selector.')
            return value

        return found[0][: -len(quoted)] + _NAME.sub(name, quoted)

    return _QUOTED.sub(string, selector)


def _escaped(value: str) -> str:
    """A text within the quotes of a Go string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in escaped)


def matchers(query: str) -> str:
    """The part of a query that selects streams: `{…}`.

    Raises:
        CannotTell: If it has none.
    """
    start, end = _braces(query)
    return query[start : end + 1]


def narrowed(query: str, labels: Mapping[str, str]) -> str:
    """A query for those streams alone that have these labels; an empty one must be missing."""
    start, end = _braces(query)
    more = ", ".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    held = query[start + 1 : end].strip().rstrip(",")
    return f"{query[:start]}{{{held}{', ' if held else ''}{more}}}{query[end + 1 :]}"


def _braces(query: str) -> tuple[int, int]:
    start = query.find("{")
    at = start + 1
    while start >= 0 and at < len(query):
        if query[at] == "}":
            return start, at
        string = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`').match(query, at)
        at = string.end() if string else at + 1
    raise CannotTell(
        f"loki.selector has no {{…}} that selects streams: {query[:_SHOWN]}",
        mend='Write it as {compose_service="$service"}.',
    )


# Entries --------------------------------------------------------------------------------------------------------------


def _merged(streams: Sequence[_Stream]) -> list[Entry]:
    """The entries of all streams in the order of their times; of one time, in the order of each stream."""
    parts = []
    for one in streams:
        labels = tuple(sorted(one.stream.items()))
        mark = next((_DOCKER[value] for name in _STREAMS if (value := one.stream.get(name, "")) in _DOCKER), _STDOUT)
        part = [Entry(int(entry.at), labels, mark, entry.line) for entry in one.values]
        if len(part) > 1 and part[0].at > part[-1].at:
            part.reverse()  # asked for backwards
        part.sort(key=itemgetter(0))
        parts.append(part)
    return parts[0] if len(parts) == 1 else list(heapq.merge(*parts, key=itemgetter(0)))


def _but(page: list[Entry], known: Counter[Entry]) -> list[Entry]:
    """A page without what was handed out before."""
    if not known:
        return page
    left, kept = known.copy(), []
    for one in page:
        if left[one] > 0:
            left[one] -= 1
        else:
            kept.append(one)
    return kept


def framed(entries: Iterable[Entry]) -> bytes:
    """Entries as the engine would send them, with time stamps; see :mod:`observe.container_log`."""
    parts, pack = [], HEADER.pack
    second, stamp = -1, ""
    for at, _, mark, line in entries:
        whole, rest = divmod(at, 1_000_000_000)
        if whole != second:
            second, stamp = whole, f"{_EPOCH + timedelta(seconds=whole):%Y-%m-%dT%H:%M:%S}"
        text, own = f"{stamp}.{rest:09d}Z ", line
        if line.startswith('{"log":') and (unpacked := _unpacked(line)) is not None:
            mark, when, own = unpacked  # noqa: PLW2901
            text = f"{when} " if when else text
        elif not line.endswith("\n"):
            own = f"{line}\n"
        payload = f"{text}{own}".encode("utf-8", "replace")
        parts.append(pack(mark, len(payload)))
        parts.append(payload)
    return b"".join(parts)


def _unpacked(line: str) -> tuple[int, str, str] | None:
    """Stream, time and text of an entry of the engine's own file; None if it is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not _DOCKER_KEYS.issuperset(entry) or not isinstance(entry.get("log"), str):
        return None
    mark = _DOCKER.get(str(entry.get("stream")))
    if mark is None:
        return None
    when = str(entry.get("time", ""))
    found = _DOCKER_TIME.fullmatch(when)
    # Nine digits: pieces of a line are told by their stamps, and the fast reader wants them so.
    padded = f"{when[:-1].partition('.')[0]}.{when[:-1].partition('.')[2]:0<9}Z" if found else ""
    return mark, padded, entry["log"]


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def _said_at(at: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=at // 1000):%Y-%m-%d %H:%M:%S} UTC" if at else "once"
