"""Logs that are kept in Loki, read by its HTTP API instead of from the engine.

Serves the same lines of the guide as :mod:`observe.container_log`, where a
stack has grown past one machine's log files; what is made of them says
:mod:`observe.loki_window`.

Loki hands out so many entries at once and no more, and what it leaves out is
not always the rest: versions up to 3.7 may answer a question for which there
are more entries than its limit with any part of them (grafana/loki#19133). So
nothing is asked for that has more. Entries are counted first, by Loki, and a
time that has too many is asked for in parts; an answer with fewer entries than
were counted is noticed. Its limits (entries at once, length of a query, bytes
that it reads) are learned from its refusals. One answer is held at a time, and
no more of it than :data:`MOST_BODY`.

By the documentation of Loki 3: its API, its refusals and its limits.
"""

from __future__ import annotations

import heapq
import json
import re
import ssl
import threading
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from observe.logql import SHOWN, filled, matchers
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import httpx

    from target.kinds import Secret

T = TypeVar("T")
CAUSE = "loki"
PAGE = 5000
"""Entries of a page, as long as Loki takes it: its own limit, if nobody has set another."""
MOST_ENTRIES = 16 * PAGE
"""Entries of one nanosecond that are asked for at most."""
MOST_PARTS = 64
"""A time that has too many entries is asked for in so many parts at most, and these likewise."""
MOST_BODY = 64 * 1024**2
"""Bytes of an answer that are held; for more, fewer entries are asked for."""
PAUSES = (0.3, 1.0)
"""Seconds before it is asked again when it is too busy."""
_SHORTEST = timedelta(seconds=1)
EPOCH = datetime.fromtimestamp(0, UTC)
_BUSY = frozenset({429, 502, 503})
_STREAMS = ("stream", "logstream", "source")
_STDOUT, _STDERR = 0x01000000, 0x02000000
DOCKER = {"stdout": _STDOUT, "stderr": _STDERR}
_TOO_MANY = re.compile(r"max entries limit .*\((\d+) > (\d+)\)")
_TOO_LONG = re.compile(
    r"time range exceeds the limit|would read too many bytes|too large to execute|max number of chunks"
    r"|deadline exceeded|timed out|timeout"
)
_CREDENTIALS = "Check loki.user and loki.password_file, or loki.token_file; where Loki has tenants, loki.tenant."
_REACH = "Is loki.url right, without /loki/api, and does a firewall or a proxy stand between?"


class _Entry(msgspec.Struct, array_like=True):
    """Time in nanoseconds since 1970 and line; what may follow are labels of its own."""

    at: str
    line: str


class _Stream(msgspec.Struct):
    stream: dict[str, str]
    values: list[_Entry]


class _Sample(msgspec.Struct):
    value: tuple[float, str]


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


class Loki:
    """Loki, asked when somebody first wants to know something.

    Args:
        url: Its address, without `/loki/api`.
        selector: What selects the streams of a service, with `$project` and `$service`.
        seconds: Total time limit of each log, and of each other question, in seconds.
        agent: The user agent that marks this run's requests.
        tenant: What is sent as `X-Scope-OrgID`; empty for nothing.
        user: For basic authentication.
        credentials: What finds the password that goes with it, and the token for bearer authentication; at most one.
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
        credentials: Callable[[], tuple[Secret | None, Secret | None]] = lambda: (None, None),
        ca_file: Path | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._selector = selector
        self.seconds = seconds
        self._headers = {
            "User-Agent": agent,
            "Accept": "application/json",
        }
        self._tenant, self._user, self._credentials, self._ca_file = tenant, user, credentials, ca_file
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
            there = f"The labels that there are: {shown[:SHOWN]}."
            if not names:
                there = "It has no label at all in that time: is anything sent to it, and is loki.tenant right?"
        return CannotTell(
            f"Loki has no stream for {query[:SHOWN]} in {span}: nothing was looked at",
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
            CannotTell: If Loki can't be asked, or says something else; if it hands out fewer entries than it counts,
                or has more of one nanosecond than it hands out at once.
        """
        parts = [(_ns(since), _ns(until))]  # the next one last
        while parts and not stop.is_set():
            start, end = parts.pop()
            limit = self._page
            try:
                number = self._count(query, start, end, stop)
                page = self._entries(query, start, end, limit, "forward", stop) if 0 < number <= limit else []
            except _TooMany as refused:
                self._page = self._fewer(limit, refused)
                parts.append((start, end))
                continue
            except _TooLong as refused:
                self._shorter(end - start, refused)
                parts += reversed(_parts(start, end, 2))
                continue
            if number > limit and end - start == 1:
                yield self._one_nanosecond(query, start, number, stop)
            elif number > limit:
                parts += reversed(_parts(start, end, min(MOST_PARTS, 2 * number // limit + 1)))
            elif len(page) < number:
                raise self._broken_off(query, page, number, end)
            elif page:
                yield page

    def _count(self, query: str, start: int, end: int, stop: threading.Event) -> int:
        """How many entries Loki counts in a time."""
        # What is counted is behind the beginning and up to the end, which is part of it.
        asked = {"query": f"sum(count_over_time({query}[{end - start}ns]))", "time": str(end - 1)}
        try:
            raw = self._get("query", asked, stop)
        except _Gone:
            return 0
        try:
            data = msgspec.json.decode(raw, type=_Data)
            counted = msgspec.json.decode(data.result, type=list[_Sample]) if data.result_type == "vector" else None
            if counted is None:
                raise self._not_loki("query")
            return sum(int(float(one.value[1])) for one in counted)
        except (msgspec.MsgspecError, ValueError, OverflowError):
            raise self._not_loki("query") from None

    def _broken_off(self, query: str, page: list[Entry], number: int, end: int) -> CannotTell:
        last = _said_at(page[-1].at) if page else "nothing"
        return CannotTell(
            f"{self._said} counts {number:,} entries up to {_said_at(end)} and hands out {len(page):,}, the last of "
            f"{last} ({query[:SHOWN]})",
            mend="Something between stands in the way of long answers, or Loki is at fault: look again, or update it.",
        )

    def _one_nanosecond(self, query: str, at: int, number: int, stop: threading.Event) -> list[Entry]:
        """All entries of a nanosecond that has more than a page: they can be had only at once."""
        try:
            if number <= MOST_ENTRIES:
                return self._entries(query, at, at + 1, number, "forward", stop)
        except _TooMany:
            pass
        when = EPOCH + timedelta(microseconds=at // 1000)
        raise CannotTell(
            f"Loki has {number:,} entries of one nanosecond ({when:%Y-%m-%d %H:%M:%S.%f} UTC), and hands out "
            f"{self._page:,} at once",
            mend="Let the agent send when a line was written, or raise Loki's max_entries_limit_per_query.",
        ) from None

    def _fewer(self, wanted: int, refused: _TooMany) -> int:
        if wanted <= 1:
            raise CannotTell(f"{self._said} hands out no entry at all", mend="See its max_entries_limit_per_query.")
        return max(1, min(refused.most, wanted - 1))

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
        """The entries of a time in its order; of more than the limit the first or the last ones."""
        asked = {"query": query, "start": str(start), "end": str(end), "limit": str(limit), "direction": direction}
        try:
            raw = self._get("query_range", asked, stop)
        except _Gone:
            return []
        try:
            data = msgspec.json.decode(raw, type=_Data)
            if data.result_type != "streams":
                raise CannotTell(
                    f"loki.selector selects no lines: Loki answers {query[:SHOWN]} with a {data.result_type[:20]}",
                    mend="Take figures such as rate(…) out of it: what is wanted are log lines.",
                )
            streams = msgspec.json.decode(data.result, type=list[_Stream])
            # Some versions answer with what lies around the time as well.
            return [one for one in _merged(streams) if start <= one.at < end]
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
        self.warnings.update(one[:SHOWN] for one in answer.warnings or ())
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
            # Where all is asked for, an entry's own labels would take the streams apart, by level for one.
            apart = (
                {"X-Loki-Response-Encoding-Flags": "categorize-labels"} if asked.get("direction") == "forward" else {}
            )
            url = f"{self.url}/loki/api/v1/{what}"
            with client.stream("GET", url, params=dict(asked), headers=apart) as response:
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
                self._dead = CannotTell(what[:SHOWN], mend="Give its CA as loki.ca_file.", cause=CAUSE)
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
        said = " ".join(body[:2000].decode("utf-8", "replace").split())[:SHOWN]
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
            password, bearer = self._credentials()
            if self._tenant:
                headers["X-Scope-OrgID"] = _sendable(self._tenant, "tenant", "Mend loki.tenant.")
            if bearer is not None:
                token = _sendable(bearer.reveal(), "token", "Mend loki.token_file.")
                headers["Authorization"] = f"Bearer {token}"
            self._client = httpx.Client(
                verify=self._trust() if self.url.startswith("https:") else False,
                trust_env=False,  # the runner's proxies and netrc say nothing about Loki
                timeout=self.seconds + 1,  # per read; the total limit comes first, so that it is what is said
                headers=headers,
                auth=None if password is None else httpx.BasicAuth(self._user, password.reveal()),
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


def _merged(streams: Sequence[_Stream]) -> list[Entry]:
    """The entries of all streams in the order of their times; of one time, in the order of each stream."""
    parts = []
    for one in streams:
        labels = tuple(sorted(one.stream.items()))
        mark = next((DOCKER[value] for name in _STREAMS if (value := one.stream.get(name, "")) in DOCKER), _STDOUT)
        part = [Entry(int(entry.at), labels, mark, entry.line) for entry in one.values]
        if len(part) > 1 and part[0].at > part[-1].at:
            part.reverse()  # asked for backwards
        part.sort(key=itemgetter(0))
        parts.append(part)
    return parts[0] if len(parts) == 1 else list(heapq.merge(*parts, key=itemgetter(0)))


def _parts(start: int, end: int, number: int) -> list[tuple[int, int]]:
    """A time in that many parts or fewer, the first first."""
    length = max(1, -(-(end - start) // number))
    return [(at, min(end, at + length)) for at in range(start, end, length)]


def _ns(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


def _said_at(at: int) -> str:
    return f"{EPOCH + timedelta(microseconds=at // 1000):%Y-%m-%d %H:%M:%S} UTC" if at else "once"
