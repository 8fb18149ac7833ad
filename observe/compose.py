"""The Compose file: which services are wanted, and how many containers of each.

Only what the expectations need is read, from the same files and in the same
order as Compose itself would take them. Nothing is written and no command of
Compose is run: its two versions print different things.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""What Compose looks for, the first one wins; each may have an `override` beside it."""

_VARIABLE = re.compile(r"\$(?:\$|(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<how>:?[-?+])(?P<other>[^}]*))?\})")


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


def compose_files(directory: Path, given: tuple[Path, ...] = ()) -> tuple[Path, ...]:
    """The files that make up the project.

    Raises:
        CannotTell: If there is none.
    """
    if given:
        return given
    for name in NAMES:
        if (directory / name).is_file():
            stem, _, suffix = name.rpartition(".")
            overrides = (directory / f"{stem}.override.{ending}" for ending in (suffix, "yml", "yaml"))
            override = next((file for file in overrides if file.is_file()), None)
            return (directory / name,) if override is None else (directory / name, override)
    raise CannotTell(
        f"there is no Compose file in {directory}",
        mend="Set project.directory to where it lies, or project.files to its name.",
    )


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
        profiles: Profiles that are on, beside those of `COMPOSE_PROFILES` in the project's `.env`.
        counts: Containers wanted by the settings, which win over the file.

    Raises:
        CannotTell: If a file can't be read or has no services.
    """
    counts = counts or {}
    files = compose_files(directory, files)
    variables = _dot_env(directory / ".env")
    active = {*profiles, *filter(None, re.split(r"[,\s]+", variables.get("COMPOSE_PROFILES", "")))}
    services: dict[str, dict[str, Any]] = {}
    for file in files:
        for name, body in _services(file).items():
            services[name] = _merged(services.get(name, {}), body or {})
    for name in counts:
        services.setdefault(name, {})
    jobs = {
        other
        for body in services.values()
        if isinstance(body.get("depends_on"), dict)
        for other, how in body["depends_on"].items()
        if isinstance(how, dict) and how.get("condition") == "service_completed_successfully"
    }
    found: list[Wanted] = []
    for name, body in services.items():
        if name in counts:
            number, origin = int(counts[name]), f"services.wanted.{name}"
        elif body.get("profiles") and not active.intersection(body["profiles"]):
            continue
        else:
            number, origin = _number(name, body, variables), files[-1].name
        if number > 0:
            found.append(Wanted(name, number, name in jobs, origin))
    return tuple(found)


def _services(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        with file.open("rb") as text:
            content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  it is a safe one
    except OSError as error:
        raise CannotTell(
            f"the Compose file {file} can't be read: {error.strerror}",
            mend="Check project.directory and project.files in the target, and the file's permissions.",
        ) from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where is not None else ""
        raise CannotTell(
            f"the Compose file {file} is no valid YAML{line}: {getattr(error, 'problem', error)}",
            mend="`docker compose config` says the same; mend the file.",
        ) from None
    services = content.get("services") if isinstance(content, dict) else None
    if not isinstance(services, dict) or not services:
        raise CannotTell(
            f"the Compose file {file} defines no services",
            mend="Check project.directory and project.files in the target.",
        )
    return services


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A later file's service laid over an earlier one's, as far as the keys read here go."""
    merged = {**below, **above}
    for key in ("deploy", "depends_on"):
        if isinstance(below.get(key), dict) and isinstance(above.get(key), dict):
            merged[key] = {**below[key], **above[key]}
    return merged


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
        ) from None


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """A text of a Compose file with its `${VARIABLES}` filled in, as Compose does it.

    A variable that is set nowhere and has no default becomes empty, as with Compose.
    """

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        value = variables.get(match["plain"] or match["name"])
        how, other = match["how"] or "", match["other"] or ""
        missing = value is None or (how.startswith(":") and value == "")
        if how.endswith("-"):
            return other if missing else str(value)
        if how.endswith("+"):
            return "" if missing else other
        return value or ""

    return _VARIABLE.sub(fill, text)


def _dot_env(file: Path) -> dict[str, str]:
    """The project's `.env`, under what the environment says, as Compose reads them.

    Only the settings of Compose and what a Compose file may count with are of
    use here, so a file that can't be read is as good as none.
    """
    found: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if match := re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", line):
            found[match[1]] = match[2].strip("\"'")
    return {**found, **os.environ}
