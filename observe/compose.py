"""The Compose file: which services are wanted, and how many containers of each.

Only what the expectations need is read, from the same files and in the same
order as Compose itself would take them. Nothing is written and no command of
Compose is run: its two versions print different things.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell
from observe.files import has_file, is_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
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
_ENV_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][\w.-]*)\s*(?:=[^\S\n]*(?P<value>.*?)\s*)?", re.ASCII)
_ENV_QUOTED = re.compile(r"""(?P<quote>['"])(?P<inside>[^'"\\$]*)(?P=quote)\s*(?:\#.*)?""")
_ENV_CLOSED = re.compile(r"""(?P<quote>['"]).*(?<!\\)(?P=quote)\s*(?:\#.*)?""")
_SESSION = re.compile(
    r"HOME|USER|LOGNAME|UID|GID|EUID|PWD|OLDPWD|PATH|SHELL|HOSTNAME|TERM|TZ|LANG|LC_\w+|TMPDIR|XDG_\w+|SSH_\w+"
    r"|COMPOSE_\w+|DOCKER_\w+"
)
"""Variables of whoever is logged in: here they say nothing of the one who brought the stack up."""
_PAIRS = frozenset({"environment", "labels", "sysctls"})
"""Keys that are a table, or a list of `name=value`."""
_LISTS = frozenset({"cap_add", "cap_drop", "dns", "dns_search", "env_file", "expose", "ports", "tmpfs"})
"""Keys of which a later file adds to an earlier one's."""


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


class Tagged:
    """Stands for what `!reset` or `!override` is written before: what it does differs by version of Compose."""


class OddInt(int):
    """A whole number in a notation that Compose's two versions don't read alike, such as `22:22` or `0755`."""


@dataclass(frozen=True)
class Definition:
    """What the files say of one service: merged, interpolated, and its variables from files read.

    Attributes:
        name: The service's name.
        directory: What its relative paths are relative to.
        body: Its keys. Of `environment` it holds the values, so it is shown nowhere.
        doubts: Key (`image`, `environment.DEBUG`) to why its value can't be known for sure.
        trouble: Why it can't be known at all; empty otherwise.
        layered: Whether it was put together from several places.
    """

    name: str
    directory: Path
    body: Mapping[str, Any] = field(repr=False)
    doubts: Mapping[str, str]
    trouble: str
    layered: bool


@dataclass(frozen=True)
class Definitions:
    """What the project's files say.

    Attributes:
        files: The files, in the order in which they are laid over each other.
        services: Every service by its name, whether its profile is on or not.
        volumes: The volumes' own entries by name.
        networks: Likewise.
    """

    files: tuple[Path, ...]
    services: Mapping[str, Definition]
    volumes: Mapping[str, Mapping[str, Any]] = field(repr=False)
    networks: Mapping[str, Mapping[str, Any]] = field(repr=False)


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
        there = has_file(directory)
        first, override = (
            next((directory / name for name in names if there(name)), None) for names in (NAMES, OVERRIDES)
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
    variables = {**of_project, **_around(directory)}
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


def _around(place: Path) -> Mapping[str, str]:
    """The variables around Compose where a project lies: those of this process say nothing of another machine."""
    return os.environ if is_here(place) else {}


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


def _content(file: Path, *, marking: bool = False) -> Mapping[str, Any]:
    import yaml

    try:
        with file.open("rb") as text:
            content = yaml.load(text, Loader=_marking_loader() if marking else _loader())  # noqa: S506  both are safe
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


@cache
def _marking_loader() -> Any:  # noqa: ANN401  see above
    """A loader that marks what can't be merged truly, and numbers that are not read alike everywhere."""

    class Loader(_loader()):  # type: ignore[misc]
        pass

    def whole(loader: Any, node: Any) -> int:  # noqa: ANN401  see above
        number = int(loader.construct_yaml_int(node))
        return number if re.fullmatch("-?(0|[1-9][0-9]*)", node.value) else OddInt(number)

    Loader.add_constructor("tag:yaml.org,2002:int", whole)
    for tag in ("!override", "!reset"):
        Loader.add_constructor(tag, lambda _loader, _node: Tagged())
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


def interpolated(text: str, variables: Mapping[str, str], asked: set[str] | None = None) -> str:
    """A text of a Compose file with its `${VARIABLES}` filled in, as Compose does it.

    A variable that is set nowhere and has no default becomes empty, as with Compose.

    Args:
        text: The text.
        variables: What is set.
        asked: Gets the names of the variables that were looked up.
    """

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match["plain"] or match["name"]
        if asked is not None:
            asked.add(name)
        value = variables.get(name)
        how, other = match["how"] or "", interpolated(match["other"] or "", variables, asked)
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


# What the files say of a service -------------------------------------------------------------------------------------


class _Variables:
    """What a file's variables are filled in with, and which of that isn't known for sure."""

    def __init__(self, *files: Path) -> None:
        self.written: dict[str, str] = {}
        self._unsure: set[str] = set()
        self._trouble = ""
        for file in files:
            if file.exists():
                found = _env_file(file)
                self.written.update(found.values)
                self._unsure.update(found.unsure)
                self._trouble = f", but {file} {found.trouble}" if found.trouble else self._trouble
        self.all = {**self.written, **(_around(files[0]) if files else {})}

    def doubt(self, name: str) -> str:
        """Why the value of a variable at the time of bringing up isn't known; empty if it is."""
        if _SESSION.fullmatch(name):
            return f"{name} is of whoever brought it up"
        if name not in self.all:
            return f"{name} is set neither in .env nor here{self._trouble}"
        if name in self.written and self.all[name] != self.written[name]:
            return f"{name} is one thing in .env and another here"
        return f"{name} is written in .env in a form that is not read here" if name in self._unsure else ""


def service_definitions(directory: Path, *, files: tuple[Path, ...] = ()) -> Definitions:
    """What the project's files say of every service, merged and interpolated as Compose does it.

    Files are laid over each other, `extends` within a file and plain `include`s
    are followed. What goes further (`extends` from another file, `!reset`) is
    the service's trouble, and nobody's guess.

    Args:
        directory: The project's directory.
        files: Its Compose files; empty for those that Compose would take.

    Raises:
        CannotTell: If a file can't be read.
    """
    try:
        return _definitions(directory, files)
    except CannotTell as told:
        raise told.with_traceback(None) from None  # the frames below hold values in the clear
    except Exception as error:  # noqa: BLE001  whatever a file may hold that we did not think of
        raise CannotTell(
            f"the Compose file in {directory} can't be made sense of ({type(error).__name__})",
            mend="See whether `docker compose config` can.",
            cause=CAUSE,
        ) from None


def _definitions(directory: Path, given: tuple[Path, ...]) -> Definitions:
    files = compose_files(directory, given, _dot_env(directory / ".env"))
    found = _Found(directory, _Variables(directory / ".env"))
    for file in files:
        found.lay(file)
    return Definitions(files, {name: found.definition(name) for name in found.layers}, found.volumes, found.networks)


@dataclass
class _Layer:
    """A service's entry in one file, interpolated."""

    file: Path
    body: dict[str, Any]
    doubts: dict[str, str]


class _Found:
    """What the files that share a directory and its variables say."""

    def __init__(self, directory: Path, variables: _Variables, including: tuple[Path, ...] = ()) -> None:
        self.directory = directory
        self.layers: dict[str, list[_Layer]] = {}
        self.volumes: dict[str, Mapping[str, Any]] = {}
        self.networks: dict[str, Mapping[str, Any]] = {}
        self._included: dict[str, Definition] = {}
        self._variables = variables
        self._including = including

    def lay(self, file: Path) -> None:
        """Read a file and lay it over the earlier ones."""
        content = _content(file, marking=True)
        if file.resolve() in self._including:
            raise CannotTell(f"the Compose file {file} includes itself", cause=CAUSE)
        for entry in content.get("include") or []:
            self._include(file, entry)
        services = content.get("services") or {}
        if not isinstance(services, dict) or not all(
            isinstance(one, dict | Tagged | None) for one in services.values()
        ):
            raise CannotTell(
                f"the services of the Compose file {file} can't be read: they are no tables",
                mend="`docker compose config` says the same; mend the file.",
                cause=CAUSE,
            )
        for name, body in services.items():
            keys = body if isinstance(body, dict) else {"!reset": body} if body is not None else {}
            self.layers.setdefault(str(name), []).append(self._layer(file, keys))
        for kind, place in (("volumes", self.volumes), ("networks", self.networks)):
            for name, entry in (content.get(kind) or {}).items():
                filled = self._layer(file, entry or {}).body
                place[str(name)] = {**place.get(str(name), {}), **filled}

    def _include(self, file: Path, entry: object) -> None:
        paths = _included([entry])
        plain = isinstance(entry, str) or (isinstance(entry, dict) and set(entry) == {"path"})
        others = [file.parent / path for path in paths]
        inside = _Found(
            others[0].parent if others else file.parent,
            _Variables(*(one.parent / ".env" for one in others[:1]), self.directory / ".env"),
            (*self._including, file.resolve()),
        )
        for other in others:
            inside.lay(other)
        for name in inside.layers:
            one = inside.definition(name)
            trouble = one.trouble or ("" if plain else "it is included with a directory or variables of its own")
            twice = "several included files define it" if name in self._included else ""
            self._included[name] = Definition(name, one.directory, one.body, one.doubts, trouble or twice, layered=True)
            self.layers.setdefault(name, [])
        self.volumes.update(inside.volumes)
        self.networks.update(inside.networks)

    def _layer(self, file: Path, keys: Mapping[Any, Any]) -> _Layer:
        body: dict[str, Any] = {}
        doubts: dict[str, str] = {}
        for key, value in keys.items():
            name = str(key)
            if name in _PAIRS:
                table = {}
                for one, written in pairs(value, alone=None if name == "environment" else "").items():
                    table[one] = self._filled(written, f"{name}.{one}", doubts)
                body[name] = table
            else:
                body[name] = self._filled(value, name, doubts)
        if _tagged(keys):
            body["!reset"] = Tagged()  # it survives whatever the entry is merged with
        return _Layer(file, body, doubts)

    def _filled(self, value: Any, key: str, doubts: dict[str, str]) -> Any:  # noqa: ANN401  whatever YAML holds
        if isinstance(value, str):
            asked: set[str] = set()
            text = interpolated(value, self._variables.all, asked)
            for reason in filter(None, map(self._variables.doubt, sorted(asked))):
                doubts[key] = reason
            return text
        if isinstance(value, dict):
            return {str(name): self._filled(one, key, doubts) for name, one in value.items()}
        return [self._filled(one, key, doubts) for one in value] if isinstance(value, list) else value

    def definition(self, name: str) -> Definition:
        """A service, put together from all that is said of it."""
        layers = self.layers[name]
        if name in self._included:
            one = self._included[name]
            both = "an included file defines it, and another one as well" if layers else ""
            return Definition(name, one.directory, one.body, one.doubts, one.trouble or both, layered=True)
        body, doubts, trouble = self._together(name, ())
        trouble = trouble or ("!reset and !override are not merged here" if _tagged(body) else "")
        if not trouble:
            self._read_variables(body, doubts)
        return Definition(name, self.directory, body, doubts, trouble, len(layers) > 1 or "extends" in body)

    def _together(self, name: str, extending: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str], str]:
        body: dict[str, Any] = {}
        doubts: dict[str, str] = {}
        for layer in self.layers.get(name, []):
            _lay_over(body, layer.body, doubts)
            doubts.update(layer.doubts)
        extends = body.get("extends")
        if extends is None:
            return body, doubts, ""
        entry = {"service": extends} if isinstance(extends, str) else extends
        if not isinstance(entry, dict) or "file" in entry or "service" not in entry:
            return body, doubts, "it extends a service of another file"
        other = str(entry["service"])
        if other in (*extending, name) or other not in self.layers or other in self._included:
            return body, doubts, f"it extends {other}, which can't be followed"
        if len({layer.file for one in (name, other) for layer in self.layers[one]}) > 1:
            return body, doubts, "it extends a service and several files define it"
        below, under, trouble = self._together(other, (*extending, name))
        below.pop("extends", None)
        merged_doubts = {**under}
        _lay_over(below, body, merged_doubts)
        return below, {**merged_doubts, **doubts}, trouble

    def _read_variables(self, body: dict[str, Any], doubts: dict[str, str]) -> None:
        """Put the variables of `env_file` below those of `environment`, and fill in those passed through."""
        if "env_file" not in body and "environment" not in body:
            return
        values: dict[str, Any] = {}
        entries = body.pop("env_file", None) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            path = entry.get("path") if isinstance(entry, dict) else entry
            if isinstance(entry, dict) and not set(entry) <= {"path", "required"}:
                doubts["environment"] = f"{path} is in a format of its own"
                continue
            required = not isinstance(entry, dict) or entry.get("required", True)
            file = self.directory / str(path)
            if not required and not file.exists():
                continue
            found = _env_file(file)
            values.update(found.values)
            for name in found.values:
                doubts.setdefault(f"environment.{name}", "")
            doubts.update({f"environment.{name}": f"{path} writes it in a form not read here" for name in found.unsure})
            if found.trouble:
                doubts["environment"] = f"{path} {found.trouble}"
        own = body.get("environment") or {}
        for name, value in own.items():
            values[name] = value
            if value is None:
                values[name] = self._variables.all.get(name)
                doubts[f"environment.{name}"] = self._variables.doubt(name)
        body["environment"] = values
        for key in [key for key, reason in doubts.items() if not reason]:
            del doubts[key]


@dataclass(frozen=True)
class _EnvFile:
    """What a file of variables says.

    Attributes:
        values: Name to value.
        unsure: Names whose value Compose's versions don't read alike, or that depend on others.
        trouble: Why more may stand in it; empty if all of it was read.
    """

    values: Mapping[str, str] = field(repr=False)
    unsure: frozenset[str]
    trouble: str


def _env_file(file: Path) -> _EnvFile:
    """Read a file of variables; the forms that both versions of Compose read alike, and the names of the rest."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        return _EnvFile({}, frozenset(), f"can't be read: {error.strerror}")
    except UnicodeDecodeError:
        return _EnvFile({}, frozenset(), "is no text")
    values: dict[str, str] = {}
    unsure: set[str] = set()
    for line in re.split(r"\r?\n", text):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ENV_LINE.fullmatch(line)
        if match is None:
            return _EnvFile(values, frozenset(unsure), "has lines in a form that is not read here")
        name, value = match["name"], match["value"]
        unsure.discard(name)
        if value is not None and (quoted := _ENV_QUOTED.fullmatch(value)):
            values[name] = quoted["inside"]
            continue
        values[name] = re.sub(r"\s+#.*", "", value or "")
        if value is None or value.startswith("#") or re.search("[$\\\\'\"]", values[name]):
            unsure.add(name)
        if value and value[0] in "'\"" and not _ENV_CLOSED.fullmatch(value):
            return _EnvFile(values, frozenset(unsure), "has values of several lines")
    return _EnvFile(values, frozenset(unsure), "")


def pairs(value: object, *, between: str = "=", alone: str | None = "") -> dict[str, Any]:
    """A table, or a list of pairs as the table that it stands for.

    Args:
        value: The table or the list.
        between: What stands between the two of a pair.
        alone: The value of a name that stands alone.
    """
    if isinstance(value, dict):
        return {str(name): one for name, one in value.items()}
    found: dict[str, Any] = {}
    for entry in value if isinstance(value, list) else []:
        name, there, text = str(entry).partition(between)
        found[name] = text if there else alone
    return found


def hosts(value: object) -> dict[str, Any]:
    """`extra_hosts`, a table or a list of `name:address` or `name=address`, as a table."""
    if not isinstance(value, list):
        return pairs(value)
    split = [re.split("[:=]", str(entry), maxsplit=1) for entry in value]
    return {parts[0].strip(): parts[-1].strip() for parts in split}


def _tagged(value: object) -> bool:
    if isinstance(value, Tagged):
        return True
    parts: Iterable[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_tagged, parts))


def _lay_over(below: dict[str, Any], above: Mapping[str, Any], doubts: dict[str, str]) -> None:
    """Lay a later entry of a service over an earlier one, as Compose does it."""
    for key, value in above.items():
        before = below.get(key)
        if before is None or key not in below:
            below[key] = value
        elif key == "group_add":
            doubts[key] = "several files have it, which Compose's versions don't merge alike"
        elif value is None:
            doubts[key] = "a later file has it empty, which Compose's versions don't read alike"
        elif key in _MERGED:
            below[key] = _MERGED[key](before, value)
        elif key == "logging":
            below[key] = _logging(before, value, doubts)
        else:
            below[key] = value
        if key == "entrypoint" and "command" in below and "command" not in above:
            # Compose's versions differ in whether a new entrypoint takes the older command with it.
            doubts["command"] = "a later file sets the entrypoint alone"


def _both(before: object, value: object) -> Any:  # noqa: ANN401  a table, or the later of two forms
    if isinstance(before, dict) and isinstance(value, dict):
        return {**before, **value}
    return value


def _deep(before: object, value: object) -> Any:  # noqa: ANN401  likewise
    if isinstance(before, dict) and isinstance(value, dict):
        return {**before, **{key: _deep(before.get(key), one) for key, one in value.items()}}
    return value


def _added(before: object, value: object) -> list[Any]:
    found = [one for given in (before, value) for one in (given if isinstance(given, list) else [given])]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _by_target(before: object, value: object) -> list[Any]:
    """Mounts: a later one at the same place in the container takes the earlier one's place."""
    mounts: dict[str, Any] = {}
    for one in _added(before, value):
        parts = str(one).split(":")
        target = one.get("target") if isinstance(one, dict) else parts[1] if len(parts) > 1 else parts[0]
        mounts[os.path.normpath(str(target))] = one
    return list(mounts.values())


def _hosts(before: object, value: object) -> dict[str, Any]:
    return {**hosts(before), **hosts(value)}


def _networks(before: object, value: object) -> dict[str, Any]:
    return {**_table(before), **_table(value)}


def _logging(before: Any, value: Any, doubts: dict[str, str]) -> Any:  # noqa: ANN401  tables, if the file is right
    driver = value.get("driver")
    if driver is None or driver == before.get("driver"):
        return {**before, **value, "options": {**(before.get("options") or {}), **(value.get("options") or {})}}
    if before.get("driver") is None:
        doubts["logging"] = "a later file names the driver, which Compose's versions don't read alike"
    return value


_MERGED: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(_PAIRS, _both),
    **dict.fromkeys(_LISTS, _added),
    "build": _both,
    "healthcheck": _both,
    "deploy": _deep,
    "extra_hosts": _hosts,
    "networks": _networks,
    "ulimits": _both,
    "volumes": _by_target,
}
