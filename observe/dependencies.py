"""Packages that there is a newer version of, as pip and npm say where they are installed.

Serves the guide's monthly `pip list --outdated` in the backend's container and `npm outdated` in the frontend's
directory. Both answer "nothing" in two ways that look the same: everything is current, or nobody could be asked. pip
ends 0 with an empty list when it reaches no index, or when the index knows none of the packages; npm leaves out what
its registry doesn't know, and development packages that aren't on the disk. So each package is accounted for: known to
the index, not known to it, or not to be told.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from observe.container_command import QUIET, run_inside
from observe.errors import CannotTell
from observe.files import is_here
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from observe.engine import Container, Engine
    from observe.host import Host, Ran

KNOWN_AT_LEAST = 0.5
"""Of so many of the packages the index must know something, or it is not the one that they came from."""
_SHOWN = 10
_LONGEST = 80
_NOT_FETCHED = re.compile(rb"Could not fetch URL (\S+?): (.*?)(?: - skipping)?\s*$")
_ASKED = re.compile(r"^npm http fetch GET (?P<status>[0-9]{3}) (?P<address>\S+)", re.MULTILINE | re.IGNORECASE)
_ELSEWHERE = re.compile(r"^(?:file|link|git|git\+\w+|github|https?|workspace|portal|patch):|^\.{0,2}/|^[\w.-]+/[\w.-]+")
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies")
_INNERMOST = re.compile(
    r"too many [0-9]{3} error responses|\[Errno [^]]*\] [^')]*|timed out"
    r"|[0-9]{3} (?:Client|Server) Error[^:]*: [^:]{1,60}"
)
_NO_PIP = "No module named pip"


@dataclass(frozen=True)
class Outdated:
    """A package that there is a newer version of.

    Attributes:
        name: Its name.
        installed: The version that is there.
        latest: The latest version.
    """

    name: str
    installed: str
    latest: str

    @property
    def key(self) -> str:
        """Its name for comparing: Python's packages go by several spellings."""
        return normalized(self.name)


@dataclass(frozen=True)
class Uncovered:
    """What the last recorded review does not cover, beside what it does.

    Attributes:
        kind: Whose packages: Python or npm.
        packages: How many there are.
        all: The outdated packages.
        open: Those of them that the review doesn't cover.
        since: When each was first seen outdated, by its key.
        reviewed: The latest version that was reviewed, by its key.
    """

    kind: str
    packages: int
    all: tuple[Outdated, ...]
    open: tuple[Outdated, ...]
    since: Mapping[str, date]
    reviewed: Mapping[str, str]

    @property
    def said(self) -> str:
        """What was seen, in words."""
        of = f"of {self.packages} {self.kind} {'package' if self.packages == 1 else 'packages'}"
        if not self.all:
            return f"none {of} is outdated"
        if not self.open:
            return f"{len(self.all)} {of} {_are(len(self.all))} outdated, and all of them reviewed"
        names = ", ".join(f"{one.name} {one.installed} ({one.latest})" for one in self.open[:_SHOWN])
        more = f" and {len(self.open) - _SHOWN} more" if len(self.open) > _SHOWN else ""
        beside = len(self.all) - len(self.open)
        rest = f"; {beside} more {_are(beside)} outdated and reviewed" if beside else ""
        return f"{len(self.open)} {of} {_are(len(self.open))} outdated and not reviewed: {names}{more}{rest}"

    def rows(self) -> list[dict[str, str]]:
        """The outdated packages for the report, those that wait for a review first."""
        waiting = {one.key for one in self.open}
        return [
            {
                "package": one.name,
                "installed": one.installed,
                "latest": one.latest,
                "outdated since": str(self.since.get(one.key, "")),
                "reviewed": self._review(one, waiting=one.key in waiting),
            }
            for one in sorted(self.all, key=lambda one: (one.key not in waiting, one.key))
        ]

    def _review(self, one: Outdated, *, waiting: bool) -> str:
        if not waiting:
            return "yes"
        seen = self.reviewed.get(one.key)
        return f"no, {seen} was" if seen else "no"


@dataclass(frozen=True)
class Packages:
    """The packages of one place, and what the index says of them.

    Attributes:
        kind: Whose packages: Python or npm.
        place: Where they are installed, and by whom the index was asked.
        names: The packages.
        outdated: Those of them that there is a newer version of.
        known: How many of them the index knows.
        unknown: Those that it doesn't know, or has nothing as new of: private ones, or built here.
        unanswered: Those that couldn't be looked up.
        why: Why, for the first of them.
        missing: Those that aren't installed, so that nothing can be said of them.
        said_beside: What else the reader should know.
    """

    kind: str
    place: str
    names: tuple[str, ...]
    outdated: tuple[Outdated, ...]
    known: int
    unknown: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    why: str = ""
    missing: tuple[str, ...] = ()
    said_beside: tuple[str, ...] = ()

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        number = "1 package" if len(self.names) == 1 else f"{len(self.names)} packages"
        return f"{number} {self.place}, {self.known} known to the index"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside the outcome."""
        unknown = f"not in the index, or newer than what it has: {_some(self.unknown)}" if self.unknown else ""
        unanswered = f"couldn't be looked up: {_some(self.unanswered)}: {self.why}" if self.unanswered else ""
        missing = (
            f"not installed there, so that nothing can be said of them: {_some(self.missing)}" if self.missing else ""
        )
        return (*filter(None, (unknown, unanswered, missing)), *self.said_beside)

    def must_be_known(self) -> None:
        """Insist that the index was asked and that it is the right one.

        Raises:
            CannotTell: If it knows too few of the packages, or did not answer for some.
        """
        mend = f"See whether the index answers {self.place.partition(' by ')[0]}, and which one is asked there."
        if self.unanswered:
            raise CannotTell(
                f"{len(self.unanswered)} of {len(self.names)} {self.kind} packages couldn't be looked up: {self.why}",
                mend=mend,
            )
        if len(self.missing) > len(self.unknown) and self.known < KNOWN_AT_LEAST * len(self.names):
            raise CannotTell(
                f"{len(self.missing)} of {len(self.names)} {self.kind} packages aren't installed {self.place}, "
                "so that nothing can be said of them",
                mend="Name where they are installed: dependencies.npm_directory and dependencies.npm_service.",
            )
        if self.known < KNOWN_AT_LEAST * len(self.names) or not self.known:
            raise CannotTell(
                f"the index knows {self.known} of {len(self.names)} {self.kind} packages {self.place}: "
                "it isn't the one that they came from",
                mend=mend,
            )

    def uncovered(self, covers: Mapping[str, str], first_seen: Mapping[str, date]) -> Uncovered:
        """Hold them against the last recorded review.

        Args:
            covers: Name of a package to the latest version that was reviewed: it is covered as long as that is the
                latest.
            first_seen: Name of a package to the day on which it was first seen outdated.

        Raises:
            CannotTell: If nothing is open but not everything was looked up, see :meth:`must_be_known`.
        """
        held = uncovered(self.outdated, covers, first_seen, kind=self.kind, packages=len(self.names))
        if not held.open:
            self.must_be_known()
        return held


def uncovered(
    outdated: Sequence[Outdated],
    covers: Mapping[str, str],
    first_seen: Mapping[str, date],
    *,
    kind: str,
    packages: int,
) -> Uncovered:
    """Hold outdated packages against a review; see :meth:`Packages.uncovered`."""
    reviewed = {normalized(name): version.strip() for name, version in covers.items()}
    waiting = tuple(one for one in outdated if reviewed.get(one.key) != one.latest)
    since = {normalized(name): day for name, day in first_seen.items()}
    return Uncovered(kind, packages, tuple(outdated), waiting, since, reviewed)


def normalized(name: str) -> str:
    """A package's name in the one spelling that stands for all."""
    return re.sub(r"[-_.]+", "-", name).lower()


# Python


def python_packages(engine: Engine, container: Container, python: str, seconds: float) -> Packages:
    """Ask pip in a container.

    pip is asked three times: what is outdated, what is up to date, what there is at all. What is in neither of the
    first two was not found, and the first one's log says whether the index didn't know it or couldn't be asked.

    Args:
        engine: The engine that the container is on.
        container: Where.
        python: The Python whose pip it is.
        seconds: Total time limit of one answer, in seconds.

    Raises:
        CannotTell: If pip can't be asked, or doesn't say.
    """

    def ask(*options: str) -> Ran:
        return _pip_list(engine, container, python, seconds, *options)

    place = f"in {container.name}"
    there = installed(engine, container, python, seconds)
    looked_up = ask("--outdated", "--format=json", "-vv")
    outdated = tuple(
        Outdated(_word(one["name"]), _word(one["version"]), _word(one["latest_version"]))
        for one in _listed(looked_up, place)
    )
    names = tuple(_word(one["name"]) for one in there)
    old = {one.key for one in outdated}
    failed = _failed_lookups(looked_up.out)
    # Of what one of several indexes didn't answer for it can't be told whether it is current, only that it is old.
    unanswered = tuple(name for name in names if normalized(name) in failed.keys() - old)
    current: set[str] = set()
    if len(unanswered) + len(old) < len(names):
        # Who wasn't fetched at all needn't be waited for again.
        current = {normalized(one["name"]) for one in _listed(ask("--uptodate", "--format=json"), place)}
    unknown = tuple(name for name in names if normalized(name) not in current | old | failed.keys())
    return Packages(
        kind="Python",
        place=f"{place} by pip of {python}",
        names=names,
        outdated=outdated,
        known=len(names) - len(unknown) - len(unanswered),
        unknown=unknown,
        unanswered=unanswered,
        why=failed[normalized(unanswered[0])] if unanswered else "",
    )


def installed(engine: Engine, container: Container, python: str, seconds: float) -> list[dict[str, Any]]:
    """What pip in a container says is installed: name, version, and what else it knows of each.

    Args:
        engine: The engine that the container is on.
        container: Where.
        python: The Python whose pip it is.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If pip can't be asked, or doesn't say.
    """
    return _listed(_pip_list(engine, container, python, seconds, "--format=json"), f"in {container.name}")


def _pip_list(engine: Engine, container: Container, python: str, seconds: float, *options: str) -> Ran:
    ran = run_inside(engine, container, (python, "-m", "pip", "list", *options), seconds, keep=_of_pip)
    if ran.status != 0:
        why = short_reason(ran.complaint.splitlines()[-1]) if ran.complaint else f"it ended with status {ran.status}"
        mend = "Name the Python that has the packages and a pip in dependencies.python." if _NO_PIP in why else ""
        raise CannotTell(f"pip of {python} in {container.name} can't list its packages: {why}", mend=mend)
    return ran


def _of_pip(line: bytes) -> bool:
    """Which lines of pip's output matter, of the thousands of candidates that it tells of."""
    return line.startswith(b"[") or b"Could not fetch URL" in line


def _listed(ran: Ran, place: str) -> list[dict[str, Any]]:
    """The packages of pip's answer, which is a line between those of its log."""
    for line in reversed(ran.out.splitlines()):
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), list) and all(isinstance(one, dict) for one in found):
                return found
    raise CannotTell(f"pip {place} printed no list of packages: {(ran.out or ran.complaint)[:200]!r}")


def _failed_lookups(out: str) -> dict[str, str]:
    """Which packages' pages couldn't be fetched for another reason than that there are none, and why."""
    failed: dict[str, str] = {}
    for line in out.encode().splitlines():
        if (match := _NOT_FETCHED.search(line)) is not None:
            address, why = (part.decode("utf-8", errors="replace") for part in match.groups())
            if not why.startswith("404 "):
                failed[normalized(unquote(address.rstrip("/").rpartition("/")[2]))] = short_reason(why)
    return failed


def short_reason(why: str) -> str:
    """The end of a chain of exceptions, without addresses of objects and without what may be a password in a URL."""
    short = re.sub(r"<[^>]*>|://[^/\s@]*@", lambda found: "://" if "@" in found[0] else "", why)
    inner = _INNERMOST.search(short)
    return (inner[0] if inner else short)[:200].strip()


# npm


def npm_packages(host: Host, directory: Path, npm: str, seconds: float) -> Packages:
    """Ask npm on this machine about what a directory's package.json names.

    Nothing is written there. Where the packages aren't installed (they are in an image, say), the versions of
    package-lock.json stand for them: npm is shown a temporary directory in which just these are installed.

    Args:
        host: The host.
        directory: Where package.json lies.
        npm: The command.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If npm can't be asked, its registry doesn't answer, or it isn't known what is installed.
    """
    written = read_json(directory / "package.json")
    wanted = _wanted(written)
    if not wanted:
        raise CannotTell(
            f"{directory}/package.json names no package of a registry",
            mend="Set dependencies.npm_directory; or say under [not_applicable] why there are none.",
        )
    program = npm_on_host(npm)
    with tempfile.TemporaryDirectory(prefix="ops-checks-npm-") as scratch:
        beside: tuple[str, ...] = ()
        where = directory
        installed = (directory / "node_modules").is_dir()
        if not installed or not is_here(directory):
            where = Path(scratch, "project")
            # npm writes down what it has installed; where that lies elsewhere, npm here is shown the same.
            lock = "node_modules/.package-lock.json" if installed else "package-lock.json"
            locked = _shadow(directory, lock, where, wanted)
            why = "node_modules isn't on this machine" if installed else "no node_modules there"
            beside = (f"{why}: {locked} of {len(wanted)} versions are those of {lock}",)
            if written.get("workspaces"):
                beside = (*beside, "what its workspaces name was not looked at")
        environment = {**QUIET, "npm_config_cache": str(Path(scratch, "cache"))}
        ended = host.ask_npm((program, "outdated", "--json"), where, environment, seconds)
    if ended.status is None:
        raise CannotTell(
            f"npm in {directory} did not end within {say_span(timedelta(seconds=seconds))}",
            mend="See whether its registry answers: `npm ping`.",
        )
    return _npm_said(
        f"in {directory} by npm", wanted, ended.status, ended.out.head, ended.complaint.head, beside=beside
    )


def npm_packages_inside(engine: Engine, container: Container, directory: str, npm: str, seconds: float) -> Packages:
    """Ask npm in a container, where the packages are installed.

    Args:
        engine: The engine that the container is on.
        container: Where.
        directory: Where package.json lies in there.
        npm: The command.
        seconds: Total time limit of one answer, in seconds.

    Raises:
        CannotTell: As :func:`npm_packages`.
    """
    place = f"in {container.name}:{directory} by npm"
    asked = (npm, "pkg", "get", *_DEPENDENCIES)
    ran = run_inside(engine, container, asked, seconds, directory=directory)
    try:
        wanted = _wanted(json.loads(ran.out))
    except ValueError:
        raise CannotTell(f"npm {place} can't read package.json: {ran.complaint[:200]}") from None
    if not wanted:
        raise CannotTell(f"package.json {place} names no package of a registry", mend="Set dependencies.npm_directory.")
    ran = run_inside(engine, container, (npm, "outdated", "--json"), seconds, directory=directory)
    return _npm_said(place, wanted, ran.status, ran.out, ran.complaint)


def npm_on_host(npm: str) -> str:
    """Where npm lies on the host.

    Raises:
        CannotTell: If there is none.
    """
    program = shutil.which(npm)
    if program is None:
        raise CannotTell(
            f"there is no {npm} on the host",
            mend="Install it, or name it in dependencies.npm, or the service that has it in dependencies.npm_service.",
        )
    return program


def read_json(path: Path) -> dict[str, Any]:
    """What package.json or a lock file says.

    Raises:
        CannotTell: If it isn't there, or says nothing that can be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CannotTell(
            f"there is no {path.name} in {path.parent}",
            mend="Set dependencies.npm_directory; or say under [not_applicable] why there is none.",
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CannotTell(f"{path} can't be read: {why}") from None
    if not isinstance(content, dict):
        raise CannotTell(f"{path} is no JSON object")
    return content


def _wanted(written: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what comes from a registry: a path or a repository has no latest version."""
    named = {}
    for key in _DEPENDENCIES:
        if isinstance(some := written.get(key), dict):
            named.update(some)
    return tuple(sorted(name for name, wanted in named.items() if not _ELSEWHERE.match(str(wanted))))


def _shadow(directory: Path, lock_file: str, shadow: Path, wanted: Iterable[str]) -> int:
    """Lay out a directory in which the versions of the lock file are installed, as far as npm looks at them.

    Returns:
        Of how many packages the lock file tells the version.

    Raises:
        CannotTell: If there is no lock file: then nothing says which versions are installed.
    """
    if not (directory / lock_file).exists():
        beside = lock_file if "/" in lock_file else f"node_modules nor {lock_file}"
        raise CannotTell(
            f"{'no' if beside == lock_file else 'neither'} {beside} in {directory} says which versions are installed",
            mend="Name the service in whose container they are in dependencies.npm_service.",
        )
    lock = read_json(directory / lock_file)
    shadow.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        with contextlib.suppress(FileNotFoundError):
            (shadow / name).write_bytes((directory / name).read_bytes())
    locked = 0
    for name in wanted:
        version = _locked(lock, name)
        if version and ".." not in Path(name).parts and not name.startswith("/"):
            package = shadow / "node_modules" / name / "package.json"
            package.parent.mkdir(parents=True)
            package.write_text(json.dumps({"name": name, "version": version}), encoding="utf-8")
            locked += 1
    return locked


def _locked(lock: Mapping[str, Any], name: str) -> str:
    """The version of a package in a lock file of npm 7 and later, or of an earlier one."""
    for place in ((lock.get("packages") or {}).get(f"node_modules/{name}"), (lock.get("dependencies") or {}).get(name)):
        if isinstance(place, dict) and isinstance(version := place.get("version"), str):
            return version
    return ""


def _npm_said(
    place: str, wanted: tuple[str, ...], status: int, out: str, complaint: str, *, beside: tuple[str, ...] = ()
) -> Packages:
    try:
        answer = json.loads(out or "null")
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        why = next(
            (line for line in complaint.splitlines() if line.startswith(("npm error", "npm ERR!"))), complaint[-200:]
        )
        raise CannotTell(f"npm {place} gave no answer, and ended with status {status}: {short_reason(why)}")
    error = answer.get("error")
    if isinstance(error, dict) and "code" in error:
        why = short_reason(str(error.get("summary") or error["code"]))
        raise CannotTell(
            f"npm {place.removesuffix(' by npm')} can't look its packages up: {error['code']}: {why}",
            mend="See whether its registry answers: `npm ping`, `npm config get registry`.",
        )
    entries = _entries(answer)
    # Of what isn't on the disk it can't be told whether it is old; npm lists it or passes it over, by its kind.
    missing = {name for name, found in entries.items() if not any("current" in one for one in found)}
    answers = {name: one for name, one in _answers(complaint, wanted).items() if name not in missing}
    unanswered = tuple(name for name in wanted if answers.get(name, 200) not in {200, 304, 404})
    known = {name for name in wanted if answers.get(name) in {200, 304}}
    return Packages(
        kind="npm",
        place=place,
        names=wanted,
        outdated=tuple(_outdated(entries)),
        known=len(known),
        unknown=tuple(name for name in wanted if answers.get(name) == 404),
        unanswered=unanswered,
        why=f"the registry answered {answers[unanswered[0]]}" if unanswered else "",
        missing=tuple(name for name in wanted if name not in answers),
        said_beside=beside,
    )


def _answers(complaint: str, wanted: Iterable[str]) -> dict[str, int]:
    """How the registry answered for each package, by npm's own log: the last answer counts."""
    asked = {unquote(one["address"]).partition("?")[0]: int(one["status"]) for one in _ASKED.finditer(complaint)}
    return {name: status for name in wanted for address, status in asked.items() if _is_of(address, name)}


def _is_of(address: str, name: str) -> bool:
    """Whether an address is that of a package: `/esbuild` is not `/@scope/esbuild`'s."""
    before, slash, _ = address.rpartition(f"/{name}") if address.endswith(f"/{name}") else ("", "", "")
    return bool(slash) and (name.startswith("@") or not before.rpartition("/")[2].startswith("@"))


def _outdated(entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[Outdated]:
    for name, found in sorted(entries.items()):
        for one in found:
            installed, latest = one.get("current"), one.get("latest")
            if isinstance(installed, str) and isinstance(latest, str) and installed != latest:
                yield Outdated(_word(name), _word(installed), _word(latest))
                break


def _entries(answer: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What npm says of each package: one entry for each that depends on it, where there are several."""
    listed = {name: found if isinstance(found, list) else [found] for name, found in answer.items()}
    return {name: [one for one in found if isinstance(one, dict)] for name, found in listed.items()}


def _word(text: object) -> str:
    """A name or a version, bounded."""
    return str(text)[:_LONGEST]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
