"""Request times grouped by route: the method and the path, with what varies in it named instead of shown.

Serves the guide's chapter on performance, whose first question is which endpoints are slow. In an access log no path
says which route it belongs to, so that is told in two steps. By its form: a number, a UUID, a date, a token or a slug
is one wherever it stands. And by its neighbours: where more than :data:`MOST_SIBLINGS` names stand at one place, those
with less than one in a hundred of its requests are taken for names of things, such as users.

Paths come from whoever likes to send some. What was answered 404 is one route for each method, and the number of routes
and of times is bounded: above the bounds more and more is folded, and that is said.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Parts = tuple[str, ...]

MOST_ROUTES: Final = 1000
"""Routes that are told apart while a log is read."""

MOST_TIMES: Final = 150_000
"""Different times of all routes together that are told apart."""

MOST_SIBLINGS: Final = 50
"""Names at one place of a path, above which the rare ones are taken for names of things."""

WIDTH: Final = 200
"""Characters of a request, method and path, that are looked at."""

REFUSED: Final = 429
"""The status that says nothing but that a client asked too often."""

REFUSAL_MS: Final = 10
"""What nginx refuses takes it no time; what took longer and has the same status was an answer."""

NOT_FOUND: Final = 404
EXACT_MS: Final = 60_000
LONGEST_MS: Final = 86_400_000

_SLUG = "<slug>"
_MORE = "<more>"
_NO_REQUEST = "(no request)"
_DEEPEST = 8
_NAMES_KEPT = 16_384
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LABELS = frozenset({"<id>", "<uuid>", "<date>", "<token>", "<text>", _SLUG, _MORE})
_PROTOCOL = re.compile(r" HTTP/[0-9]\.[0-9]\Z")
_NUMBERS = re.compile(r"/[0-9]+(?=[/\n]|\Z)")
_STATIC = re.compile(
    r"\.(?i:js|mjs|css|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp[34]|webm|wasm|webmanifest)\Z"
)
_FORMS = re.compile(
    r"(?P<name>[A-Za-z_]{1,19})"  # most segments
    r"|(?P<id>\d+)"
    r"|(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<date>\d{4}-\d\d(?:-\d\d)?)"
    # Five words and more, or fewer with a number among them: `task-17`.
    r"|(?P<slug>[A-Za-z]\w*(?:-\w+){4,}|(?=\w*(?:-\w+)*-\d+(?:-|\Z))[A-Za-z]\w*(?:-\w+)+)"
    r"|(?P<token>(?=[^\d]*\d)(?:[0-9a-fA-F]{8,}|[\w.=-]{20,})|[0-9a-fA-F]{32,}|[\w.=-]{41,})"
    r"|(?P<plain>[A-Za-z0-9_.~@+,:=!$&'()-]{1,64})",
    re.ASCII,
)


class _Level(NamedTuple):
    """How much is folded.

    Attributes:
        siblings: Names at one place that stay as they are.
        percent: If there are more, those with so much of the place's requests stay.
        depth: Segments of a path.
        digits: Significant digits of a time in milliseconds.
    """

    siblings: int
    percent: int
    depth: int
    digits: int


_LEVELS = (
    _Level(MOST_SIBLINGS, 1, _DEEPEST, 9),
    _Level(MOST_SIBLINGS, 1, _DEEPEST, 3),
    _Level(10, 10, _DEEPEST, 3),
    _Level(10, 10, 2, 2),
    _Level(0, 101, 1, 2),
)
_LAST = len(_LEVELS) - 1


def counted(status: int, milliseconds: int, refused_status: int) -> bool:
    """Whether a request says how quick a route is: one that was refused by a limit never reached it."""
    return status != REFUSED and (status != refused_status or milliseconds >= REFUSAL_MS)


def rounded(milliseconds: int) -> int:
    """A time as it is counted: above a minute in whole seconds, rounded up, at most a day."""
    if milliseconds > EXACT_MS:
        return min(-(-milliseconds // 1000) * 1000, LONGEST_MS)
    return milliseconds


def text_of(request: str) -> str:
    """Of a request line what its route depends on: method and path, bounded."""
    path, query, _ = request.partition("?")
    return (path if query else _PROTOCOL.sub("", path))[:WIDTH]


class Names:
    """Names the routes of requests; each text is looked at once, as long as there is room to remember it."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, text: str, *, found: bool = True) -> str:
        """The route of one text, as :func:`text_of` cuts it.

        Args:
            text: Method and path.
            found: Whether there was such a path; if not, all of a method's are one.
        """
        if not found:
            return f"{_method(text)} (not found)" if _method(text) else _NO_REQUEST
        name = self._known.get(text)
        if name is None:
            if len(self._known) >= _NAMES_KEPT:
                self._known.clear()
            name = self._known[text] = route_of(text)
        return name

    def of_many(self, texts: Sequence[bytes]) -> list[str]:
        """The routes of many texts of printable ASCII."""
        if not texts:
            return []
        long = {index for index, text in enumerate(texts) if len(text) >= WIDTH}
        short = [b"" if index in long else text for index, text in enumerate(texts)] if long else texts
        # Most texts differ in nothing but their numbers: without those there are few of them.
        thinned = _NUMBERS.sub("/<id>", b"\n".join(short).decode("ascii")).split("\n")
        known = self._known
        names = [known.get(text) or self.of(text) for text in thinned]
        for index in long:
            names[index] = self.of(texts[index].decode("ascii"))
        return names


def _method(text: str) -> str:
    method = text.partition(" ")[0]
    if method in _METHODS:
        return method
    return "(other)" if method.isascii() and method.replace("-", "").isalpha() else ""


def route_of(text: str) -> str:
    """The route of a method and a path, by the form of the path's segments alone."""
    method = _method(text)
    if not method:
        return _NO_REQUEST
    path = text.partition(" ")[2]
    cut = len(text) >= WIDTH
    path = re.split("[;#]", path, maxsplit=1)[0]
    if not path.startswith("/"):
        return f"{method} {path if path == '*' else '<text>'}"
    segments = path[1:].split("/")
    if not cut and (kind := _STATIC.search(segments[-1])):
        first = f"/{_masked(segments[0])}" if len(segments) > 1 else ""
        return f"{method} {first}/*{kind[0].lower()}"
    parts = [_masked(segment) for segment in segments[:_DEEPEST]]
    if len(segments) > _DEEPEST:
        parts[-1] = _MORE
    elif cut:
        parts[-1] = "<text>"
    return f"{method} /{'/'.join(parts)}"


@lru_cache(maxsize=8192)
def _masked(segment: str) -> str:
    """A segment of a path, or what it is a case of."""
    if not segment or segment in _LABELS:
        return segment
    form = _FORMS.fullmatch(segment)
    if form is None:
        return "<text>"
    return segment if form.lastgroup in ("name", "plain") else f"<{form.lastgroup}>"


def _is_name(part: str) -> bool:
    """Whether a part of a route is a name, of which there may be any number at a place."""
    return bool(part) and part[0] not in "<*"


class RouteTable:
    """Request times of routes, in bounded memory.

    Below the bounds nothing depends on the order in which requests come. Above them it does.

    Attributes:
        level: How much had to be folded; 0 for nothing, or for nothing but rare names.
    """

    def __init__(self) -> None:
        self.level = 0
        self._times: dict[Parts, dict[int, int]] = {}
        self._pairs = 0
        self._folded: dict[Parts, frozenset[str]] = {}
        self._known: dict[str, dict[int, int]] = {}

    def add(self, route: str, milliseconds: int, number: int) -> None:
        """Count requests that took so long, as :func:`rounded` has it."""
        times = self._known.get(route)
        if times is None:
            times = self._times_of(route)
        if self.level:
            milliseconds = _coarse(milliseconds, _LEVELS[self.level].digits)
        if milliseconds not in times:
            self._pairs += 1
        times[milliseconds] = times.get(milliseconds, 0) + number
        if self._pairs > MOST_TIMES and self.level < _LAST:
            self._make_room()

    def has_room(self, routes: Iterable[str], pairs: int) -> bool:
        """Whether so many times of these routes can be added without folding anything."""
        if self.level == _LAST:
            return True
        new: set[Parts] = set()
        for route in routes:
            if route not in self._known:
                parts = self._placed(tuple(route.split("/")))
                times = self._times.get(parts)
                if times is None:
                    new.add(parts)
                else:
                    self._remember(route, times)
        return self._pairs + pairs <= MOST_TIMES and len(self._times) + len(new) <= MOST_ROUTES

    def merge(self, routes: Mapping[str, Mapping[int, int]], level: int) -> None:
        """Add the times of another table."""
        if level > self.level:
            self.level = level
            self._fold(_LEVELS[level])
        # In their order, so that what has to be folded is the same however the other one was counted.
        for route, times in sorted(routes.items()):
            for milliseconds, number in sorted(times.items()):
                self.add(route, milliseconds, number)

    def result(self) -> dict[str, dict[int, int]]:
        """The times of each route."""
        return {"/".join(parts): times for parts, times in self._times.items()}

    def folded(self) -> dict[str, dict[int, int]]:
        """The times of each route, rare names among many at one place taken together."""
        table = RouteTable()
        table._times = {parts: dict(times) for parts, times in self._times.items()}
        table._fold(_LEVELS[self.level])
        return table.result()

    def _times_of(self, route: str) -> dict[int, int]:
        parts = self._placed(tuple(route.split("/")))
        times = self._times.get(parts)
        if times is None:
            if len(self._times) >= MOST_ROUTES and self.level < _LAST:
                self._make_room()
                parts = self._placed(parts)
            times = self._times.setdefault(parts, {})
        self._remember(route, times)
        return times

    def _remember(self, route: str, times: dict[int, int]) -> None:
        if len(self._known) >= _NAMES_KEPT:
            self._known.clear()
        self._known[route] = times

    def _placed(self, parts: Parts) -> Parts:
        """Where a route belongs after what has been folded so far."""
        parts = _shallow(parts, _LEVELS[self.level].depth)
        if not self._folded:
            return parts
        for depth in range(1, len(parts)):
            kept = self._folded.get(parts[:depth])
            if kept is not None and _is_name(parts[depth]) and parts[depth] not in kept:
                parts = (*parts[:depth], _SLUG, *parts[depth + 1 :])
        return parts

    def _make_room(self) -> None:
        """Fold until there is room again; what is folded stays so."""
        while True:
            self._fold(_LEVELS[self.level])
            full = len(self._times) * 4 > MOST_ROUTES * 3 or self._pairs * 4 > MOST_TIMES * 3
            if not full or self.level == _LAST:
                return
            self.level += 1

    def _fold(self, level: _Level) -> None:
        self._known.clear()
        self._rewrite({parts: _shallow(parts, level.depth) for parts in self._times})
        if level.digits < 9:
            self._times = {parts: _coarsened(times, level.digits) for parts, times in self._times.items()}
        for depth in range(1, max(map(len, self._times), default=0)):
            self._fold_names(depth, level)
        there = {parts[:depth] for parts in self._times for depth in range(1, len(parts))}
        self._folded = {parent: kept for parent, kept in self._folded.items() if parent in there}
        self._pairs = sum(map(len, self._times.values()))

    def _fold_names(self, depth: int, level: _Level) -> None:
        """Take the rare ones of the names at this depth together, wherever there are many."""
        names: dict[Parts, Counter[str]] = {}
        for parts, times in self._times.items():
            if len(parts) > depth and _is_name(parts[depth]):
                names.setdefault(parts[:depth], Counter())[parts[depth]] += sum(times.values())
        for parent, numbers in names.items():
            if len(numbers) > level.siblings:
                least = numbers.total() * level.percent
                self._folded[parent] = frozenset(name for name, number in numbers.items() if number * 100 >= least)
        self._rewrite({parts: self._placed(parts) for parts in self._times})

    def _rewrite(self, places: Mapping[Parts, Parts]) -> None:
        """Put times where they belong."""
        moved: dict[Parts, dict[int, int]] = {}
        for parts, times in self._times.items():
            there = moved.setdefault(places[parts], {})
            if not there:
                there.update(times)
                continue
            for milliseconds, number in times.items():
                there[milliseconds] = there.get(milliseconds, 0) + number
        self._times = moved


def _shallow(parts: Parts, depth: int) -> Parts:
    return parts if len(parts) <= depth + 1 else (*parts[: depth + 1], _MORE)


def _coarsened(times: Mapping[int, int], digits: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for milliseconds, number in times.items():
        coarse = _coarse(milliseconds, digits)
        found[coarse] = found.get(coarse, 0) + number
    return found


def _coarse(milliseconds: int, digits: int) -> int:
    """A time with so many significant digits, rounded up."""
    step: int = 10 ** max(0, len(str(milliseconds)) - digits)
    return -(-milliseconds // step) * step
