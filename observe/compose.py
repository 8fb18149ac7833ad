"""The Compose file: which services are wanted, and how many containers of each.

Only what the expectations need is read, from the same files and in the same
order as Compose itself would take them. Nothing is written and no command of
Compose is run: its two versions print different things.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CAUSE = "compose-file"
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""What Compose looks for, the first one wins."""
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
"""What it lays over that, likewise; the two need not be called alike."""

_VARIABLE = re.compile(
    r"""\$(?:\$|(?P<plain>[A-Z_]\w*)|\{(?P<name>[A-Z_]\w*)
    (?:(?P<how>:?[-?+])(?P<other>(?:[^{}]|\{[^{}]*\})*))?\})""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_SETTING = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Z_]\w*)\s*=\s*
    (?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>.*?))\s*(?:(?<=\s)\#.*)?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Wanted:
    """A service that the files define.

    Attributes:
        name: The service's name.
        containers: How many containers of it are wanted.
        job: Whether it is meant to run once and end well: another service waits for that.
        origin: What says how many, for the operator.
    """

    name: str
    containers: int
    job: bool
    origin: str


def compose_files(
    directory: Path, given: tuple[Path, ...] = (), variables: Mapping[str, str] | None = None
) -> tuple[Path, ...]:
    """The files that make up the project.

    Args:
        directory: The project's directory.
        given: The files by the settings; empty for those that Compose would take.
        variables: What the project's `.env` sets; `COMPOSE_FILE` in it names the files.

    Raises:
        CannotTell: If there is none, or the directory can't be looked into.
    """
    if given:
        return given
    variables = variables or {}
    if listed := variables.get("COMPOSE_FILE", ""):
        names = listed.split(variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)
        return tuple(directory / name for name in names if name)
    mend = "Set project.directory to where it lies, or project.files to its name."
    try:
        first, override = (
            next((directory / name for name in names if (directory / name).is_file()), None)
            for names in (NAMES, OVERRIDES)
        )
    except OSError as error:
        raise CannotTell(
            f"the project's directory {directory} can't be read: {error.strerror}", mend=mend, cause=CAUSE
        ) from None
    if first is None:
        raise CannotTell(f"there is no Compose file in {directory}", mend=mend, cause=CAUSE)
    return (first,) if override is None else (first, override)


def wanted_services(
    directory: Path,
    *,
    files: tuple[Path, ...] = (),
    profiles: tuple[str, ...] = (),
    counts: Mapping[str, int] | None = None,
) -> tuple[Wanted, ...]:
    """The services that should be there, in the order of the file.

    Args:
        directory: The project's directory.
        files: Its Compose files; empty for those that Compose would take.
        profiles: Profiles that are on, beside those of `COMPOSE_PROFILES` in the environment or the project's `.env`.
        counts: Containers wanted by the settings, which win over the file.

    Raises:
        CannotTell: If a file can't be read or has no services.
    """
    counts = counts or {}
    of_project = _dot_env(directory / ".env")
    files = compose_files(directory, files, of_project)
    variables = {**of_project, **os.environ}
    active = {*profiles, *filter(None, re.split(r"[,\s]+", variables.get("COMPOSE_PROFILES", "")))}
    services: dict[str, dict[str, Any]] = {}
    for file in files:
        for name, body in _services(file).items():
            services[name] = _merged(services.get(name, {}), body)
    if not services:
        raise CannotTell(
            f"the Compose file {' and '.join(map(str, files))} defines no services",
            mend="Check project.directory and project.files in the target.",
            cause=CAUSE,
        )
    for name in counts:
        services.setdefault(name, {})
    jobs = {
        other
        for body in services.values()
        for other, how in _table(body.get("depends_on")).items()
        if isinstance(how, dict) and how.get("condition") == "service_completed_successfully"
    }
    found: list[Wanted] = []
    for name, body in services.items():
        if name in counts:
            number, origin = int(counts[name]), f"services.wanted.{name}"
        elif (asked := _profiles(body)) and not active.intersection({*asked, "*"}):
            continue
        else:
            number, origin = _number(name, body, variables), files[-1].name
        if number > 0:
            found.append(Wanted(name, number, name in jobs, origin))
    return tuple(found)


def _services(file: Path, including: tuple[Path, ...] = ()) -> Mapping[str, Mapping[str, Any]]:
    """The services of a file and of the files that it includes."""
    content = _content(file)
    services: dict[str, Mapping[str, Any]] = {}
    if file.resolve() in including:
        raise CannotTell(f"the Compose file {file} includes itself", cause=CAUSE)
    for other in _included(content.get("include")):
        for name, body in _services(file.parent / other, (*including, file.resolve())).items():
            services[name] = _merged(services.get(name, {}), body)
    own = content.get("services") or {}
    if not isinstance(own, dict) or not all(isinstance(body, dict | None) for body in own.values()):
        raise CannotTell(
            f"the services of the Compose file {file} can't be read: they are no tables",
            mend="`docker compose config` says the same; mend the file.",
            cause=CAUSE,
        )
    services.update({str(name): body or {} for name, body in own.items()})
    return services


def _included(include: object) -> list[str]:
    """The paths below `include`, which are texts or tables with a path or several."""
    entries = include if isinstance(include, list) else []
    paths = [entry.get("path") if isinstance(entry, dict) else entry for entry in entries]
    return [str(path) for one in paths for path in (one if isinstance(one, list) else [one])]


def _content(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        with file.open("rb") as text:
            content = yaml.load(text, Loader=_loader())  # noqa: S506  it is a safe one
    except OSError as error:
        raise CannotTell(
            f"the Compose file {file} can't be read: {error.strerror}",
            mend="Check project.directory and project.files in the target, and the file's permissions.",
            cause=CAUSE,
        ) from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where is not None else ""
        raise CannotTell(
            f"the Compose file {file} is no valid YAML{line}: {getattr(error, 'problem', error)}",
            mend="`docker compose config` says the same; mend the file.",
            cause=CAUSE,
        ) from None
    return content if isinstance(content, dict) else {}


@cache
def _loader() -> Any:  # noqa: ANN401  PyYAML's two loaders have no common type
    """A loader of plain data that also knows the two tags that Compose has of its own."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    def override(loader: Any, node: yaml.Node) -> Any:  # noqa: ANN401  see above
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    Loader.add_constructor("!override", override)
    Loader.add_constructor("!reset", lambda _loader, _node: None)
    return Loader


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A later file's service laid over an earlier one's, as far as the keys read here go."""
    merged = {**below, **above}
    for key in ("deploy", "depends_on"):
        if key in above and above[key] is not None:
            merged[key] = {**_table(below.get(key)), **_table(above[key])}
    if above.get("profiles"):
        merged["profiles"] = [*_profiles(below), *_profiles(above)]
    return merged


def _table(value: object) -> dict[str, Any]:
    """A table, or a list of names as the table that Compose takes it for."""
    if isinstance(value, list):
        return {str(name): None for name in value}
    return value if isinstance(value, dict) else {}


def _profiles(body: Mapping[str, Any]) -> set[str]:
    given = body.get("profiles") or []
    return {str(profile) for profile in given} if isinstance(given, list) else {str(given)}


def _number(name: str, body: Mapping[str, Any], variables: Mapping[str, str]) -> int:
    deploy = body.get("deploy")
    given = body.get("scale")
    if given is None and isinstance(deploy, dict):
        given = deploy.get("replicas")
    if given is None:
        return 1
    text = interpolated(str(given), variables)
    try:
        return int(text)
    except ValueError:
        raise CannotTell(
            f"the Compose file wants {text[:40]!r} containers of {name}, which is no number",
            mend=f"Set services.wanted.{name} in the target.",
            cause=CAUSE,
        ) from None


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """A text of a Compose file with its `${VARIABLES}` filled in, as Compose does it.

    A variable that is set nowhere and has no default becomes empty, as with Compose.
    """

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        value = variables.get(match["plain"] or match["name"])
        how, other = match["how"] or "", interpolated(match["other"] or "", variables)
        missing = value is None or (how.startswith(":") and value == "")
        if how.endswith("-"):
            return other if missing else str(value)
        if how.endswith("+"):
            return "" if missing else other
        return value or ""

    return _VARIABLE.sub(fill, text)


def _dot_env(file: Path) -> dict[str, str]:
    """The project's `.env`, as Compose reads it.

    Only the settings of Compose and what a Compose file may count with are of
    use here, so a file that can't be read is as good as none.
    """
    found: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if match := _SETTING.fullmatch(line):
            found[match["name"]] = match["double"] or match["single"] or match["plain"] or ""
    return found
