"""What is known against the npm packages of a lock file, by npm itself.

npm looks a copy of the lock file up at the registry of the project, so that nothing is written where package.json lies
and nothing has to be installed. Into the copy goes what everybody knows advisories of, and it is taken out of the
result again.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observe.container_command import MOST, QUIET, run_inside
from observe.container_file import content
from observe.dependencies import npm_on_host, read_json, short_reason
from observe.errors import CannotTell
from observe.vulnerabilities.audit import UNKNOWN, Advisory, Audit, some
from target.kinds import Severity, say_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from observe.engine import Container, Engine
    from observe.host import Host

KNOWN = (("minimist", "0.0.8"), ("growl", "1.9.2"), ("node-serialize", "0.0.4"), ("marked", "0.3.5"))
"""Versions that the registry has had advisories of for years; the first that aren't locked go into the copy.

It is the same call: a registry that passes on packages and no advisories answers `{}`, and npm ends 0.
"""
TRIED = 2
LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
QUESTION = (
    "audit",
    "--json",
    "--package-lock-only",
    # Whatever NODE_ENV or .npmrc leave out: what builds the pages is counted as well.
    "--include=dev",
    "--include=optional",
    "--include=peer",
    # It says its version then.
    "--loglevel=info",
)
RETIRED = 11
"""Older ones than this may ask end points that registries have retired."""
_VERSION = re.compile(r"^npm (?:info|verb|verbose) using npm@(\S{1,40})", re.MULTILINE)
_LONGEST = 80
_MOST_OF_TITLE = 200


@dataclass(frozen=True)
class _Locked:
    """What a lock file has, by the place of each.

    Attributes:
        names: Place to name.
        versions: Place to version; empty for what has none, such as a link to a directory.
    """

    names: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def own(self) -> int:
        """How many are directories of the project itself, which no registry is asked of."""
        return sum(not one for one in self.versions.values())


def npm_audit(host: Host, directory: Path, npm: str, least: Severity, seconds: float) -> Audit:
    """Have npm on the host look up what a directory's lock file names.

    Args:
        host: The host.
        directory: Where package.json and its lock file lie.
        npm: The command.
        least: From which severity on an advisory counts.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If there is no lock file, npm can't be asked, or its registry doesn't answer as one that knows.
    """
    read_json(directory / "package.json")  # says best what is wrong with the directory
    name = next((one for one in LOCKS if (directory / one).exists()), LOCKS[-1])
    lock = read_lock(directory / name)
    locked = _locked(lock)
    if not locked.versions:
        raise CannotTell(
            f"{directory / name} names no package",
            mend="Set dependencies.npm_directory; or say under [not_applicable] why there are none.",
        )
    tried = [one for one in KNOWN if one[0] not in locked.names.values()][:TRIED]
    program = npm_on_host(npm)
    with tempfile.TemporaryDirectory(prefix="ops-checks-npm-") as scratch:
        where = Path(scratch, "project")
        where.mkdir()
        for beside in ("package.json", ".npmrc"):
            with contextlib.suppress(FileNotFoundError):
                (where / beside).write_bytes((directory / beside).read_bytes())
        (where / name).write_text(json.dumps(_with(lock, tried)), encoding="utf-8")
        environment = {**QUIET, "npm_config_cache": str(Path(scratch, "cache"))}
        ended = host.ask_npm((program, *QUESTION), where, environment, seconds)
    if ended.status is None:
        raise CannotTell(
            f"npm did not end within {say_span(timedelta(seconds=seconds))}",
            mend="See whether its registry answers: `npm ping`.",
        )
    return _judged(_Said(ended.out.head, ended.complaint.head, ended.status), f"in {directory}", locked, tried, least)


def npm_audit_inside(
    engine: Engine, container: Container, directory: str, npm: str, least: Severity, seconds: float
) -> Audit:
    """Have npm in a container look up what the lock file there names.

    Nothing may be put into that file, and a copy would be too long to be handed in. So what everybody knows is asked
    for by itself, with the same npm and the project's own .npmrc.

    Args:
        engine: The engine that the container is on.
        container: Where.
        directory: Where package.json and its lock file lie in there.
        npm: The command.
        least: From which severity on an advisory counts.
        seconds: Total time limit of one answer, in seconds.

    Raises:
        CannotTell: As :func:`npm_audit`.
    """
    place = f"in {container.name}:{directory}"
    locked = _locked(_lock_inside(engine, container, directory))
    if not locked.versions:
        raise CannotTell(f"the lock file {place} names no package", mend="Set dependencies.npm_directory.")
    tried = KNOWN[:TRIED]
    lock = json.dumps({"name": "known", "lockfileVersion": 3, **_with({"packages": {"": {}}}, tried)})
    question = (npm, *QUESTION)
    ran = run_inside(engine, container, question, seconds, directory=directory)
    audit = _judged(_Said(ran.out, ran.complaint, ran.status), place, locked, (), least)
    ran = run_inside(engine, container, question, seconds, directory=directory, lock=lock)
    said = _Said(ran.out, ran.complaint, ran.status)
    hit = {one.package for one in _found(said.answer(place), _Locked({}, {}))}
    return replace(audit, tried=_named(tried), known=_named([one for one in tried if one[0] in hit]))


def _lock_inside(engine: Engine, container: Container, directory: str) -> dict[str, Any]:
    """The lock file of a directory in a container, which is read through the engine."""
    for name in LOCKS:
        path = f"{directory.rstrip('/')}/{name}"
        read = functools.partial(
            content, container=container.id, path=path, most=MOST, name=f"{path} in {container.name}"
        )
        written = engine.ask(f"read {path} in {container.name}", read)
        if written is not None:
            break
    else:
        raise CannotTell(
            f"there is no {LOCKS[-1]} in {container.name}:{directory}, and `npm audit` looks that up",
            mend="Set dependencies.npm_directory; or leave dependencies.npm_service out and have npm on the host.",
        )
    try:
        lock = json.loads(written)
    except ValueError as error:
        raise CannotTell(f"{path} in {container.name} can't be read: {error}") from None
    if not isinstance(lock, dict):
        raise CannotTell(f"{path} in {container.name} is no JSON object")
    return lock


def read_lock(file: Path) -> dict[str, Any]:
    """A lock file.

    Raises:
        CannotTell: If there is none, or it can't be read.
    """
    if not file.exists():
        raise CannotTell(
            f"there is no {file.name} in {file.parent}, and `npm audit` looks that up",
            mend="Set dependencies.npm_directory; or say under [not_applicable] why there is none.",
        )
    return read_json(file)


def _with(lock: dict[str, Any], tried: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The lock file with what everybody knows in it: nothing depends on that, and npm looks it up all the same."""
    more = dict(lock)
    if isinstance(lock.get("packages"), dict):
        more["packages"] = {**lock["packages"], **{f"node_modules/{name}": {"version": of} for name, of in tried}}
    if isinstance(lock.get("dependencies"), dict):
        more["dependencies"] = {**lock["dependencies"], **{name: {"version": of} for name, of in tried}}
    return more


def _locked(lock: Mapping[str, Any]) -> _Locked:
    """What a lock file of npm 7 and later has, or one of an earlier npm."""
    packages = lock.get("packages")
    found = _of_packages(packages) if isinstance(packages, dict) and packages else _of_dependencies(lock, "")
    entries = list(found)
    names = {place: name for place, name, _ in entries}
    return _Locked(names, {place: of for place, _, of in entries})


def _of_packages(packages: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for place, entry in packages.items():
        if place and isinstance(entry, dict):
            name = entry.get("name") or place.rpartition("node_modules/")[2]
            # A workspace's directory has a version, and no registry knows it.
            own = entry.get("link") or "node_modules/" not in place
            yield place, str(name)[:_LONGEST], "" if own else str(entry.get("version") or "")[:_LONGEST]


def _of_dependencies(lock: Mapping[str, Any], above: str) -> Iterator[tuple[str, str, str]]:
    below = lock.get("dependencies")
    for name, entry in below.items() if isinstance(below, dict) else ():
        if isinstance(entry, dict):
            place = f"{above}node_modules/{name}"
            yield place, str(name)[:_LONGEST], str(entry.get("version") or "")[:_LONGEST]
            yield from _of_dependencies(entry, f"{place}/")


@dataclass(frozen=True)
class _Said:
    """What npm printed, on either output, and its status."""

    out: str
    complaint: str
    status: int

    @property
    def version(self) -> str:
        found = _VERSION.search(self.complaint)
        return found[1] if found else ""

    @property
    def npm(self) -> str:
        return f"npm {self.version}".strip()

    def answer(self, place: str) -> dict[str, Any]:
        """Its answer, if it is one: it ends 1 for findings and for everything that went wrong."""
        try:
            answer = json.loads(self.out or "null")
        except ValueError:
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("vulnerabilities"), dict) and "error" not in answer:
            return answer
        major = self.version.partition(".")[0]
        old = f"{self.npm} may ask end points that registries have retired: try npm {RETIRED}. "
        raise CannotTell(
            f"{self.npm} couldn't look up what is {place}: {self._why(answer)}",
            mend=(old if major.isdigit() and int(major) < RETIRED else "")
            + "See whether the registry answers and knows advisories: `npm ping`, `npm config get registry`.",
        )

    def _why(self, answer: object) -> str:
        said = answer if isinstance(answer, dict) else {}
        error = said.get("error")
        error = error if isinstance(error, dict) else {"summary": error}
        for one in (said.get("message"), error.get("summary"), error.get("code")):
            if isinstance(one, str) and one.strip():
                return short_reason(one)
        lines = [line for line in self.complaint.splitlines() if line.startswith(("npm error", "npm ERR!"))]
        return short_reason(lines[0]) if lines else f"it gave no answer, and ended with status {self.status}"


def _judged(said: _Said, place: str, locked: _Locked, tried: Sequence[tuple[str, str]], least: Severity) -> Audit:
    answer = said.answer(place)
    looked_at, there = _total(answer), len(locked.versions)
    if looked_at is None or looked_at < there + len(tried):
        raise CannotTell(
            f"{said.npm} says that it looked at {looked_at if looked_at is not None else 'nobody knows how many'} of "
            f"{there} packages {place} and {len(tried)} more",
            mend="Bring the lock file up to date: `npm install --package-lock-only`.",
        )
    found = _found(answer, locked)
    names, hit = {name for name, _ in tried}, {one.package for one in found}
    counted = [one for one in found if one.package not in names]
    through = sorted({str(name)[:_LONGEST] for name in answer["vulnerabilities"]} - hit)
    return Audit(
        kind="npm",
        place=place,
        auditor=said.npm,
        packages=there,
        audited=there - locked.own,
        advisories=tuple(one for one in counted if _rank(one.severity) >= least.rank),
        below=tuple(one for one in counted if _rank(one.severity) < least.rank),
        least=least,
        tried=_named(tried),
        known=_named([one for one in tried if one[0] in hit]),
        said_beside=(*_own(locked), *((f"these depend on what has one: {some(through)}",) if through else ())),
    )


def _found(answer: Mapping[str, Any], locked: _Locked) -> list[Advisory]:
    """Every advisory once, the worst first."""
    entries = [one for one in answer["vulnerabilities"].values() if isinstance(one, dict)]
    found = {(one.id, one.package): one for entry in entries for one in _advisories(entry, locked)}
    return sorted(found.values(), key=lambda one: (-_rank(one.severity), one.package, one.id))


def _named(versions: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{name} {of}" for name, of in versions)


def _own(locked: _Locked) -> tuple[str, ...]:
    if not locked.own:
        return ()
    return (f"{locked.own} of them are directories of the project's own, which no registry is asked of",)


def _total(answer: Mapping[str, Any]) -> int | None:
    try:
        total = answer["metadata"]["dependencies"]["total"]
    except (KeyError, TypeError):
        return None
    return total if isinstance(total, int) else None


def _advisories(entry: Mapping[str, Any], locked: _Locked) -> Iterator[Advisory]:
    """The advisories of a package; where it only depends on one that has some, there are none here."""
    nodes = [str(one) for one in entry.get("nodes") or ()]
    versions = sorted({locked.versions[one] for one in nodes if locked.versions.get(one)})
    for via in entry.get("via") or ():
        if isinstance(via, dict):
            number, address = str(via.get("source", "")), str(via.get("url") or "")
            name = address.rstrip("/").rpartition("/")[2] or f"npm-{number}"
            yield Advisory(
                id=name[:_LONGEST],
                package=str(via.get("dependency") or via.get("name") or entry.get("name"))[:_LONGEST],
                installed=", ".join(versions) or UNKNOWN,
                severity=_severity(via.get("severity")),
                fixed=_fixed(entry.get("fixAvailable"), str(via.get("range") or "")),
                aliases=(number[:_LONGEST],) if number else (),
                title=str(via.get("title") or "")[:_MOST_OF_TITLE],
            )


def _severity(word: object) -> str:
    try:
        return str(Severity.parse(word))
    except ValueError:
        return UNKNOWN


def _rank(severity: str) -> int:
    """Its place in the order; what nobody knows counts as the worst."""
    return Severity.parse(severity).rank if severity != UNKNOWN else Severity("critical").rank


def _fixed(available: object, affected: str) -> str:
    beside = f"; affected: {affected[:_LONGEST]}" if affected else ""
    if isinstance(available, dict):
        major = ", another major version" if available.get("isSemVerMajor") else ""
        return f"with {str(available.get('name'))[:_LONGEST]} {str(available.get('version'))[:_LONGEST]}{major}{beside}"
    return f"{'yes, `npm audit fix`' if available is True else 'npm knows no fix'}{beside}"
