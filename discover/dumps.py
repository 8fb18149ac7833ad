"""Where the backups lie and how they are named: by what lies there, and not by what anybody says."""

from __future__ import annotations

import re
import shlex
import stat
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from discover.sight import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from discover.sight import Sight
    from discover.stacks import Seen

_ENDS = re.compile(r"\.(?:sql|dump|pgdump|psql|backup|bak|pg)\.gz$|\.gz$")
_DATE = re.compile(
    r"(?<!\d)(?P<Y>20\d\d)(?P<s1>[-_.]?)(?P<m>0[1-9]|1[0-2])(?P=s1)(?P<d>0[1-9]|[12]\d|3[01])"
    r"(?:(?P<s2>[-_.T]|_at_)?(?P<H>[01]\d|2[0-3])(?P<s3>[-_.:h]?)(?P<M>[0-5]\d)(?:(?P<s4>[-_.:m]?)(?P<S>[0-5]\d))?)?(?!\d)"
)
_LIKELY = re.compile(r"backup|dump|snapshot|pgdata-archive", re.IGNORECASE)
_NEVER = frozenset({"proc", "sys", "dev", "run", "boot", "lib", "lib64", "bin", "sbin", "usr", "node_modules", ".git"})
_DUMPS = re.compile(r"^[^#\n]*\bpg_dump(?:all)?\b", re.MULTILINE)
_CRONTABS = "/etc/cron.d"
_OF_SYSTEM = (_CRONTABS, "/etc/cron.daily", "/usr/local/bin")
_PATH = re.compile(r"(?<![\w$}])(/[A-Za-z0-9._/-]{2,200})")
_USUAL = ("/var/backups", "/srv/backups", "/backups", "/backup", "/opt/backups", "/data/backups", "/var/lib/backups")
_MOST_DIRECTORIES = 200
_IN_USE = timedelta(days=2)
"""Where something was written so lately, the nightly dumps are."""
_A_NIGHT = timedelta(hours=6)
"""A dump has come to its end so long after the time in its name."""


@dataclass(frozen=True)
class Dumps:
    """Backups that lie in one directory.

    Attributes:
        directory: The directory.
        pattern: Their names, with strftime's codes.
        files: How many have such a name.
        newest: The newest one's name.
        written: When it was last written, in UTC.
        why: How the directory was come by.
        others: How many other files lie there.
        utc: Whether the times in the names are UTC's, where the host's zone is another.
    """

    directory: str
    pattern: str
    files: int
    newest: str
    written: datetime
    why: str
    others: int
    utc: bool = False


@dataclass(frozen=True)
class Looked:
    """What looking for backups came to.

    Attributes:
        found: The directories with backups, the likeliest first.
        directories: How many directories were looked into.
        unread: What couldn't be looked into, and why.
        command: What a person types to run the first script that dumps the database; empty where none was seen.
    """

    found: tuple[Dumps, ...]
    directories: int
    unread: tuple[str, ...]
    command: str


class Script(NamedTuple):
    """A script that may have to do with backups.

    Attributes:
        path: Where it lies.
        mode: Its mode.
        text: The beginning of its text.
    """

    path: PurePosixPath
    mode: int
    text: str

    @property
    def dumps(self) -> bool:
        """Whether it dumps the database."""
        return _DUMPS.search(self.text) is not None


def pattern_of(name: str) -> str:
    """The strftime pattern of a dated file name; empty for a name without a date.

    A compressed dump is wanted: its name ends in `.gz`.
    """
    match = _DATE.search(name)
    if match is None or _ENDS.search(name) is None:
        return ""
    held = match.groupdict()
    code = f"%Y{held['s1']}%m{held['s1']}%d"
    if held["H"]:
        code += f"{held['s2'] or ''}%H{held['s3']}%M"
        code += f"{held['s4']}%S" if held["S"] else ""
    return f"{name[: match.start()].replace('%', '%%')}{code}{name[match.end() :].replace('%', '%%')}"


def find_dumps(sight: Sight, project: str, seen: Sequence[Seen], zone: str) -> Looked:
    """Look for backups in the project's directory and around it, in what containers mount, and where scripts say.

    Args:
        sight: The host.
        project: The project's directory; empty where it isn't known.
        seen: The stack's containers.
        zone: The host's zone.
    """
    found: dict[str, Dumps] = {}
    unread: list[str] = []
    looked: set[str] = set()
    scripts = tuple(_scripts(sight, project))
    for directory, why in _places(sight, project, seen, scripts):
        name = str(PurePosixPath(directory))
        if name in looked or len(looked) >= _MOST_DIRECTORIES:
            continue
        looked.add(name)
        try:
            dumps = _dumps_in(sight, name, why, zone)
        except FileNotFoundError:
            continue
        except OSError as error:
            if _LIKELY.search(name):
                unread.append(f"{name}: {error.strerror or error}")
            continue
        if dumps is not None:
            found[name] = dumps
            if dumps.files > 1 and datetime.now(UTC) - dumps.written < _IN_USE:
                break  # whatever lies further away is less likely to be what is written every night
    # What is written every night is the newest, and what was put aside once has few files.
    ranked = sorted(found.values(), key=lambda one: (one.written.date(), one.files), reverse=True)
    return Looked(tuple(ranked), len(looked), tuple(dict.fromkeys(unread)), _typed(scripts))


def _places(sight: Sight, project: str, seen: Sequence[Seen], scripts: Iterable[Script]) -> Iterator[tuple[str, str]]:
    """Directories that may have backups, each with how it was come by; the likeliest first."""
    if project:
        yield f"{project}/backups", "it lies in the project's directory"
        yield from _said_by(scripts)
    for container in seen:
        for inside, source in container.mounts.items():
            if _LIKELY.search(inside) or _LIKELY.search(PurePosixPath(source).name):
                yield source, f"{container.service} mounts it at {inside}"
    if project:
        yield project, "it is the project's directory"
        yield from _likely_below(sight, project, 2, "it lies in the project's directory")
    yield from ((one, "a usual place") for one in _USUAL)
    if project:
        above = PurePosixPath(project).parent
        for place, depth in ((above, 1), (above.parent, 2)):
            yield from _likely_below(sight, str(place), depth, "it lies beside the project's directory")


def _likely_below(sight: Sight, directory: str, depth: int, why: str) -> Iterator[tuple[str, str]]:
    for one in directories_below(sight, directory, depth):
        if _LIKELY.search(PurePosixPath(one).name):
            yield one, why


def directories_below(sight: Sight, directory: str, depth: int) -> Iterator[str]:
    """The directories below one, down to so many levels, but for the system's own and hidden ones."""
    try:
        entries = sight.listed(directory)
    except OSError:
        return
    for name, seen in entries:
        if stat.S_ISDIR(seen.st_mode) and name not in _NEVER and not name.startswith("."):
            inside = str(PurePosixPath(directory, name))
            yield inside
            if depth > 1:
                yield from directories_below(sight, inside, depth - 1)


def _said_by(scripts: Iterable[Script]) -> Iterator[tuple[str, str]]:
    """Directories that the scripts name that dump the database."""
    for script in scripts:
        if script.dumps or _LIKELY.search(script.path.name):
            for path in dict.fromkeys(_PATH.findall(script.text)):
                # The directory itself, or a file in it.
                yield path.rstrip("/"), f"{script.path} names it"
                yield path.rpartition("/")[0] or "/", f"{script.path} names it"


def _typed(scripts: Iterable[Script]) -> str:
    """What runs the first that dumps; what cron's tables have is nothing that a person could type."""
    for script in scripts:
        if script.dumps and str(script.path.parent) != _CRONTABS:
            typed = shlex.quote(str(script.path))
            shell = "bash" if "bash" in script.text.partition("\n")[0] else "sh"
            return typed if script.mode & 0o111 else f"{shell} {typed}"
    return ""


def _scripts(sight: Sight, project: str) -> Iterator[Script]:
    """Those of the project, of cron, and beside them."""
    of_project = (project, f"{project}/scripts", f"{project}/bin") if project else ()
    for place in (*of_project, *_OF_SYSTEM):
        try:
            entries = sight.listed(place)[:300]
        except OSError:
            continue
        for name, seen in entries:
            script = PurePosixPath(place, name)
            likely = script.suffix in {".sh", ".cron"} or (place in _OF_SYSTEM and _LIKELY.search(name))
            if not (likely and stat.S_ISREG(seen.st_mode)):
                continue
            try:
                text = read(sight.path(script), 65536).decode("utf-8", errors="replace")
            except OSError:
                continue
            yield Script(script, seen.st_mode, text)


def _dumps_in(sight: Sight, directory: str, why: str, zone: str) -> Dumps | None:
    by_pattern: defaultdict[str, list[tuple[str, datetime]]] = defaultdict(list)
    others = 0
    for name, seen in sight.listed(directory):
        pattern = pattern_of(name)
        if pattern and stat.S_ISREG(seen.st_mode):
            by_pattern[pattern].append((name, datetime.fromtimestamp(seen.st_mtime, UTC)))
        else:
            others += 1
    if not by_pattern:
        return None
    pattern, files = max(by_pattern.items(), key=lambda item: (max(item[1], key=_when)[1].date(), len(item[1])))
    others += sum(map(len, by_pattern.values())) - len(files)
    newest = max(files, key=_when)
    return Dumps(str(directory), pattern, len(files), newest[0], newest[1], why, others, _in_utc(pattern, files, zone))


def _when(one: tuple[str, datetime]) -> datetime:
    return one[1]


def _in_utc(pattern: str, files: Iterable[tuple[str, datetime]], zone: str) -> bool:
    """Whether the times in the names fit the files' own by UTC, and don't by the host's zone."""
    if "%H" not in pattern or not zone:
        return False
    named = [(datetime.strptime(name, pattern), written) for name, written in files]  # noqa: DTZ007  set below
    try:
        by_zone = median((written - at.replace(tzinfo=ZoneInfo(zone))).total_seconds() for at, written in named)
    except (KeyError, ValueError, OSError):
        return False
    by_utc = median((written - at.replace(tzinfo=UTC)).total_seconds() for at, written in named)
    fits = range(-60, int(_A_NIGHT.total_seconds()))
    return int(by_utc) in fits and int(by_zone) not in fits
