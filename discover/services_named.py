"""The services that the Compose files name, as strictly as can be, and else as best can be; and what couldn't be read.

:mod:`observe.compose` is the strict reader, and what the checks themselves go
by. What it refuses is read here line by line, for the names alone: below
`services:` the keys of the first depth. That knows no merging and no profiles,
and says so.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from discover.sight import read
from observe import compose
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from discover.stacks import Seen

_KEY = re.compile(
    r"""(?P<indent>[ \t]*)(?P<quote>["']?)(?P<name>[A-Za-z0-9._-]+)(?P=quote)[ \t]*:(?=[\s]|$)(?P<rest>.*)"""
)
_ITEM = re.compile(r"""[ \t]*-[ \t]*(?:path[ \t]*:[ \t]*)?["']?(?P<path>[^"'#\s][^"'#]*?)["']?[ \t]*(?:#.*)?""")
_TAB = 8


@dataclass(frozen=True)
class Named:
    """What the Compose files say of the services.

    Attributes:
        files: The files.
        wanted: Service to the number of its containers that the files want; empty where they couldn't be read.
        profiled: Service to the profiles that it needs, for those that no profile that is on wants.
        tolerant: Services that a reading line by line has found, where the strict one was refused.
        unread: What couldn't be read, or not strictly: file, line and why.
    """

    files: tuple[Path, ...] = ()
    wanted: Mapping[str, int] | None = None
    profiled: Mapping[str, tuple[str, ...]] | None = None
    tolerant: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names that are known from the files, in their order."""
        return tuple(dict.fromkeys((*(self.wanted or {}), *(self.profiled or {}), *self.tolerant)))


def services_named(directory: Path, files: Sequence[Path] = ()) -> Named:
    """Read the Compose files of a project.

    Args:
        directory: Its directory.
        files: Its files; empty for those that Compose itself would take.
    """
    try:
        found = compose.compose_files(directory, tuple(files), _variables(directory))
    except CannotTell as told:
        return Named(unread=(told.what,))
    try:
        wanted = compose.wanted_services(directory, files=tuple(files))
    except CannotTell as told:
        return _line_by_line(found, told.what)
    names = {one.name: one.containers for one in wanted}
    try:
        every = compose.wanted_services(directory, files=tuple(files), profiles=("*",))
    except CannotTell:  # something is wrong with a service that isn't wanted, which is nobody's concern
        return Named(found, names, {})
    profiled = _profiles_of(directory, files, [one.name for one in every if one.name not in names])
    return Named(found, names, profiled)


def _variables(directory: Path) -> Mapping[str, str]:
    """`COMPOSE_FILE` of the project's `.env`, and what separates its files; nothing else of it is kept."""
    try:
        text = read(directory / ".env").decode("utf-8", errors="replace")
    except OSError:
        return {}
    return dict(re.findall(r"(?m)^\s*(COMPOSE_FILE|COMPOSE_PATH_SEPARATOR)\s*=\s*[\"']?([^\s\"'#]+)", text))


def _profiles_of(directory: Path, files: Sequence[Path], names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    wanting = list(names)
    if not wanting:
        return {}
    try:
        bodies = compose.service_definitions(directory, files=tuple(files)).services
    except CannotTell:
        return dict.fromkeys(wanting, ())
    return {name: _texts(bodies[name].body.get("profiles") if name in bodies else None) for name in wanting}


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401  whatever YAML holds
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),) if value else ()


def _line_by_line(files: Sequence[Path], refused: str) -> Named:
    names: list[str] = []
    unread: list[str] = [refused]
    waiting, done = list(files), set[str]()
    while waiting and len(done) < 100:
        file = waiting.pop(0)
        if str(file) in done:
            continue
        done.add(str(file))
        try:
            text = read(file).decode("utf-8-sig", errors="replace")
        except OSError as error:
            if f"{file} can't be read" not in refused:
                unread.append(f"{file} can't be read: {error.strerror or error}")
            continue
        found = names_in(text)
        names += found.services
        unread += [f"{file}, line {line}: {why}" for line, why in found.passed_over]
        waiting += [file.parent / PurePosixPath(one) for one in found.included]
    # An address of another repository may carry a key.
    bare = (re.sub(r":(/+)[^/@\s]*@", r":\1…@", re.sub(r"\?[^\s,]*", "", one)) for one in unread)
    said = tuple(dict.fromkeys(one for one in bare if one))
    return Named(tuple(files), None, None, tuple(dict.fromkeys(names)), said)


@dataclass(frozen=True)
class Lines:
    """What a reading line by line has found in a Compose file.

    Attributes:
        services: The keys of the first depth below `services:`.
        included: The paths below `include:`.
        passed_over: Lines that it couldn't make sense of, by number, and why.
    """

    services: tuple[str, ...]
    included: tuple[str, ...]
    passed_over: tuple[tuple[int, str], ...]


def names_in(text: str) -> Lines:
    """Read a Compose file line by line, for the names of its services and of the files that it includes."""
    section, depth = "", -1
    services: list[str] = []
    included: list[str] = []
    passed: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.expandtabs(_TAB)
        if not bare.strip() or bare.lstrip().startswith(("#", "---", "%")):
            continue
        indent = len(bare) - len(bare.lstrip())
        match = _KEY.fullmatch(bare)
        if indent == 0 and not bare.startswith("-"):
            section, depth = (match["name"] if match else ""), -1
            if match and section in {"services", "include"} and _flow(match["rest"]):
                passed.append((number, f"{section} is written in one line, which is not read here"))
        elif section == "include" and (item := _ITEM.fullmatch(bare)):
            if re.match(r"\w+://|git@", item["path"]):
                passed.append((number, f"it includes {item['path'].partition('?')[0][:80]}, which lies elsewhere"))
            else:
                included.append(item["path"])
        elif section == "services" and (depth < 0 or indent <= depth):
            depth = indent if depth < 0 else depth
            if match is not None and match["name"] != "<<":
                services.append(match["name"])
            else:
                passed.append((number, "it is no service's name"))
    if not services and not included:
        passed.append((1, "no line `services:` with names below it was found"))
    return Lines(tuple(services), tuple(included), tuple(passed))


def _flow(rest: str) -> bool:
    return rest.strip()[:1] in {"{", "["}


def there(seen: Sequence[Seen]) -> Mapping[str, int]:
    """How many containers there are of each service, whether they run or not."""
    count: Counter[str] = Counter()
    for one in seen:
        count[one.service] += one.count
    return dict(sorted(count.items()))
