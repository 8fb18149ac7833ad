r"""nginx's error log: the requests that it refused by `limit_req`.

Serves the guide's error rate, from which these are to be kept apart, and
"Review rate limiting stats". nginx answers a refused request with 503 unless
told otherwise, as it answers when the backend is down: only the error log says
which was which.

What nginx 1.22 writes was measured: a line is cut at 2047 bytes, so a long
request ends in the middle; the request stands there as it came, quotes and
bytes that are no UTF-8 included, where the access log escapes them; a dry run
says `limiting requests, dry run` and refuses nothing, and a delayed request is
`delaying request`. The times have no offset.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from observe.rotated_log import Files, LocalFiles, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo
    from pathlib import PurePath

_TIME = rb"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) "
_TIMED = re.compile(_TIME)
_LIMITED = re.compile(
    _TIME + rb"\[\w+\] \d+#\d+: (?:\*\d+ )?limiting requests, excess: ([\d.]{1,20}) by zone \"([^\"]*)\""
    rb", client: ([^,]*), server: (.*?), request: \"(.*)",
    re.DOTALL,
)
# What nginx may write behind the request. A client can write the same into its request, which then
# ends too early and is found in no access log: that request counts as an error, not the reverse.
_BEHIND_REQUEST = re.compile(rb'", (?:subrequest|upstream|host|referrer): "')


class ErrorLine(NamedTuple):
    """A line of the error log.

    Attributes:
        at: Its time, in the zone that was given for it.
        raw: The whole line.
    """

    at: datetime
    raw: bytes


class Limited(NamedTuple):
    r"""A request that nginx refused because its client went over a limit.

    Attributes:
        client: The address that was limited.
        at: When, in the zone that was given for the log.
        request: The request line; bytes that are no UTF-8 as `\xff`. Of a long
            one only the beginning.
        zone: Name of the limit's zone.
        excess: By how many requests it was over, as nginx counts them.
    """

    client: str
    at: datetime
    request: str
    zone: str
    excess: float


@lru_cache(maxsize=4096)
def _time_of(text: bytes) -> datetime | None:
    try:
        # Without a zone, as in the log; the caller knows it.
        return datetime.fromisoformat(text.decode("ascii").replace("/", "-"))
    except ValueError:
        return None


def parse(line: bytes, zone: tzinfo) -> ErrorLine | None:
    """Read the time of a line; ``None`` if it doesn't begin with one. Never raises."""
    found = _TIMED.match(line)
    at = _time_of(found[1]) if found else None
    return ErrorLine(at.replace(tzinfo=zone), line) if at else None


def limited(lines: Iterable[bytes], zone: tzinfo) -> Iterator[Limited]:
    """Find the refusals by `limit_req`.

    Serves "Error rate" of the end-of-day check and "Review rate limiting
    stats" on Friday.

    Args:
        lines: Lines of the error log.
        zone: In which its times are. The same nginx writes its offset into the
            access log: take the one of an :class:`observe.log_format.Access`.

    Yields:
        Refused requests. Delayed ones and dry runs are none. Never raises.
    """
    for line in lines:
        if b"limiting requests, excess" not in line:
            continue
        found = _LIMITED.match(line)
        at = _time_of(found[1]) if found else None
        if found is None or at is None:
            continue
        _, excess, name, client, _, rest = found.groups()
        request = _BEHIND_REQUEST.split(rest, maxsplit=1)[0].rstrip(b"\n").removesuffix(b'"')
        yield Limited(
            client.decode("utf-8", "backslashreplace"),
            at.replace(tzinfo=zone),
            request.decode("utf-8", "backslashreplace"),
            name.decode("utf-8", "backslashreplace"),
            float(excess) if excess.count(b".") <= 1 and excess != b"." else 0.0,
        )


def read_error_log(
    path: PurePath,
    since: datetime,
    until: datetime,
    *,
    zone: tzinfo,
    files: Files | None = None,
) -> Reading[ErrorLine]:
    """The lines of a window of time, from the error log and its rotated neighbours.

    Args:
        path: nginx's error log.
        since: Beginning of the window, aware.
        until: End of the window, aware, included.
        zone: In which the log's times are, as for :func:`limited`.
        files: Where the files are; this machine if not given.

    Returns:
        What is to be iterated over: pass the `raw` of its lines to
        :func:`limited`. It raises as :meth:`observe.rotated_log.Reading.__iter__`.
    """
    return Reading(path, since, until, partial(parse, zone=zone), files or LocalFiles())
