"""Is what runs what the files say: the image, the configuration hash, and setting by setting.

A stack whose files were changed and that was not brought up again is the usual
fault, as is an image that was rebuilt while the container still runs the old
one. Only what can be compared truly is compared, and what isn't is said. What
may hold a secret (environment, command lines, labels, options of a log driver)
is compared by fingerprint and named by its key alone.

A hash only says that something is different. That of Compose 1.x is reckoned
(:mod:`observe.compose_hash`); Compose 2 and later reckon it over structures of
their own that differ from version to version, so theirs is not. The settings
are compared whichever Compose made the container.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from observe.compose import OddInt, hosts, pairs
from observe.compose_hash import Unclear, config_hash, full_name, nanoseconds, port
from observe.engine import COMPOSE_LABELS, PROJECT, fingerprint
from observe.errors import CannotTell
from target.kinds import say_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from observe.compose import Definition, Definitions
    from observe.engine import Container, Image

HASH = f"{COMPOSE_LABELS}config-hash"
VERSION = f"{COMPOSE_LABELS}version"
DIRECTORY = f"{COMPOSE_LABELS}project.working_dir"
FILES = f"{COMPOSE_LABELS}project.config_files"
RECKONED = "1.29.2"
"""The version of Compose that the hash is proven against; an older one may reckon it otherwise."""

NO_SETTINGS = frozenset(
    {
        *("attach", "build", "depends_on", "deploy", "develop", "env_file", "extends", "image"),
        *("profiles", "pull_policy", "scale"),
    }
)
"""Keys that set nothing of a container, or that are looked at by themselves."""
MOST_SAID = 6
UNKNOWN = "this key is not among those compared"

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_SHELL = re.compile(r"[\\`;&|<>()#$]")
_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")


@dataclass(frozen=True)
class Difference:
    """Something that is one thing in the files and another in a container.

    Attributes:
        container: The container's name.
        setting: What it is: a key, with the name of its part.
        file: What the files say; empty where it may hold a secret.
        has: What the container has, likewise.
    """

    container: str
    setting: str
    file: str = ""
    has: str = ""

    @property
    def said(self) -> str:
        """The difference in words."""
        return f"{self.setting}: the file says {self.file}, the container has {self.has}" if self.file else self.setting


@dataclass(frozen=True)
class Deployed:
    """A service as its files say it, held against its containers.

    Attributes:
        service: Its name.
        files: The files' names, for the reader.
        containers: How many containers were looked at.
        settings: How many settings the files make.
        compared: How many of them were compared.
        image: Whether the image was compared.
        hashes: For each container, what came of comparing the configuration hash.
        differences: What differs.
        left_out: What was not compared, to why.
        notes: What else the reader should know.
    """

    service: str
    files: str
    containers: int
    settings: int
    compared: int
    image: bool
    hashes: tuple[str, ...]
    differences: tuple[Difference, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        containers = "1 container" if self.containers == 1 else f"{self.containers} containers"
        settings = f"{self.compared} of {self.settings} settings"
        compared = f"{settings} and the image compared" if self.image else f"{settings} compared, the image not"
        return f"{containers}; {compared}; configuration hash: {', '.join(dict.fromkeys(self.hashes))}"

    @property
    def seen(self) -> str:
        """What was seen, in words."""
        if not self.differences:
            return "as written"
        names: dict[str, list[str]] = {}
        for one in self.differences:
            names.setdefault(one.said, []).append(one.container)
        said = [
            what if len(which) == self.containers else f"{what} ({', '.join(which)})" for what, which in names.items()
        ]
        more = [f"and {len(said) - MOST_SAID} more"] if len(said) > MOST_SAID else []
        return "; ".join([*said[:MOST_SAID], *more])

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"what {self.files} says"

    @property
    def rows(self) -> list[dict[str, str]]:
        """The differences for the report."""
        return [
            {
                "container": one.container,
                "setting": one.setting,
                "file": one.file or "not shown",
                "container has": one.has or "not shown",
            }
            for one in self.differences
        ]


def deployed(
    service: str,
    files: Definitions,
    containers: Sequence[Container],
    image_of: Callable[[str], Image | None],
) -> Deployed:
    """Hold what the files say of a service against its containers.

    Args:
        service: The service's name.
        files: What the files say.
        containers: The service's containers, at least one.
        image_of: Says which image a name leads to now.

    Raises:
        CannotTell: If what the files say can't be known, nothing of it can be
            compared, or the engine can't be asked.
    """
    one = files.services.get(service)
    if one is None or one.trouble:
        why = one.trouble if one else f"no file defines it ({', '.join(file.name for file in files.files)})"
        raise CannotTell(f"what the files say of service {service} can't be known: {why}")
    looks = [_Look(one, files, container) for container in containers]
    for look in looks:
        try:
            look.at_everything(image_of)
        except CannotTell as told:
            raise told.with_traceback(None) from None  # see below
        except Exception as error:  # noqa: BLE001  whatever a file may hold; the frames below hold it in the clear
            raise CannotTell(
                f"what the files say of service {service} can't be made sense of ({type(error).__name__})"
            ) from None
    left_out = {what: why for look in looks for what, why in look.left_out.items()}
    settings = _settings(one.body)
    compared = sum(key not in left_out for key in settings)
    image = "image" not in left_out
    if not compared and not image:
        raise CannotTell(f"nothing that the files say of service {service} can be compared: {_listed(left_out)}")
    return Deployed(
        service=service,
        files=" and ".join(file.name for file in files.files),
        containers=len(containers),
        settings=len(settings),
        compared=compared,
        image=image,
        hashes=tuple(look.hash for look in looks),
        differences=tuple(difference for look in looks for difference in look.differences),
        left_out=left_out,
        notes=tuple(_notes(files, containers, left_out)),
    )


def _listed(left_out: Mapping[str, str]) -> str:
    """What was left out, those with the same reason together."""
    together: dict[str, list[str]] = {}
    for what, why in left_out.items():
        together.setdefault(why, []).append(what)
    return "; ".join(f"{', '.join(sorted(whats))} ({why})" for why, whats in together.items())


def _notes(files: Definitions, containers: Sequence[Container], left_out: Mapping[str, str]) -> Iterable[str]:
    if left_out:
        yield f"not compared: {_listed(left_out)}"
    here = Counter(file.name for file in files.files)
    for container in containers:
        there = [PurePath(name).name for name in container.settings.compose.get(FILES, "").split(",") if name]
        if there and Counter(there) != here:
            yield f"{container.name} was brought up with {', '.join(there)}; looked at here: {', '.join(here)}"


def _settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the files set of a container: keys with a value, limits below `deploy` by their path."""
    found = {
        key: value
        for key, value in body.items()
        if value is not None and key not in NO_SETTINGS and not key.startswith("x-")
    }
    deploy = body.get("deploy")
    return {**found, **dict(_below_deploy(deploy if isinstance(deploy, dict) else {}))}


def _below_deploy(deploy: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    resources = deploy.get("resources") or {}
    for kind in ("limits", "reservations"):
        for name, value in (resources.get(kind) or {}).items():
            yield f"deploy.resources.{kind}.{name}", value
    if deploy.get("restart_policy"):
        yield "deploy.restart_policy", deploy["restart_policy"]


class _Look:
    """One container held against what the files say."""

    def __init__(self, one: Definition, files: Definitions, container: Container) -> None:
        self.container = container
        self.seen = container.settings
        self.project = self.seen.compose.get(PROJECT, "")
        self.old = self.seen.compose.get(VERSION, "").startswith("1.")
        self.files = files
        self.one = one
        self.directory = PurePath(self.seen.compose.get(DIRECTORY) or one.directory)
        self.hash = ""
        self.differences: list[Difference] = []
        self.left_out: dict[str, str] = {}
        self._key = ""

    def at_everything(self, image_of: Callable[[str], Image | None]) -> None:
        """Compare all that can be compared."""
        self._at("image", lambda: self._image(image_of))
        for key, value in _settings(self.one.body).items():
            if key in _CHECKS:
                self._at(key, lambda key=key, value=value: _CHECKS[key](self, value))  # type: ignore[misc]
            else:
                self.left_out[key] = UNKNOWN
        self._hash()

    def _at(self, key: str, compare: Callable[[], None]) -> None:
        before = len(self.differences)
        self._key = key
        try:
            compare()
        except (Unclear, AttributeError, IndexError, KeyError, TypeError, ValueError) as unclear:
            del self.differences[before:]
            self.left_out[key] = unclear.why if isinstance(unclear, Unclear) else "in a form not known here"

    def differs(self, part: str = "", *, file: str = "", has: str = "", doubt: str | None = None) -> None:
        """Note a difference, unless what the files say of it isn't known for sure.

        Args:
            part: The part of the setting; empty for all of it.
            file: What the files say; empty for what may hold a secret.
            has: What the container has, likewise.
            doubt: Why it isn't known, empty if it is; None for what is known of the setting.
        """
        name = f"{self._key} {part}" if part else self._key
        if doubt is None:
            doubts = self.one.doubts
            doubt = doubts.get(f"{self._key}.{part}") or doubts.get(self._key.partition(".")[0], "")
        if doubt:
            self.left_out[name] = doubt
        else:
            self.differences.append(Difference(self.container.name, name if file else f"{name} differs", file, has))

    def compare(self, part: str, wanted: object, has: object, say: Callable[[Any], str] | None = None) -> None:
        """Compare two values; without a way to say them they are not shown."""
        if wanted != has:
            self.differs(part, file=say(wanted) if say else "", has=say(has) if say else "")

    def skip(self, part: str, why: str) -> None:
        """Leave a part of a setting out."""
        self.left_out[f"{self._key} {part}"] = why

    def text(self, value: object) -> str:
        """A scalar as Compose makes a text of it.

        Raises:
            Unclear: Its versions make different ones.
        """
        if isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unclear("a value that is no text")
        if not self.old and isinstance(value, OddInt | float):
            raise Unclear("a number in a form that Compose's versions don't read alike")
        return str(int(value)) if isinstance(value, int) else str(value)

    def _image(self, image_of: Callable[[str], Image | None]) -> None:
        named, made_from = self.one.body.get("image"), self.seen.image
        if named is None:
            if "build" not in self.one.body:
                raise Unclear("the files name none")
            named = made_from
        named = self.text(named)
        if not _ID.fullmatch(made_from) and _familiar(named) != _familiar(made_from):
            if not (doubt := self.one.doubts.get("image")):
                self.differs(file=named, has=made_from)
                return
            self.skip("name", doubt)
            named = made_from
        now = image_of(named)
        if now is not None and now.id == self.container.image:
            return
        own = image_of(self.container.image)
        if now is None:
            self.differs(file=f"{named}, which names no image any more", has=_said(own, self.container.image), doubt="")
        # An engine may know the same image by several ids: its index's and its platform's.
        elif own is None or (own.id != now.id and _familiar(named) not in own.names):
            self.differs(file=f"{named}, now {_said(now, named)}", has=_said(own, self.container.image), doubt="")

    def _hash(self) -> None:
        written, version = self.seen.compose.get(HASH), self.seen.compose.get(VERSION, "")
        if not written:
            self.hash = "none on the container"
        elif not self.old:
            self.hash = f"not computed, made by Compose {version or 'of an unknown version'}"
        else:
            self.hash = self._old_hash(written, version)
        if self.hash == "differs" and not self.differences:
            among = f": {', '.join(sorted(self.left_out))}" if self.left_out else ""
            self.differences.append(
                Difference(
                    self.container.name,
                    "the configuration hash differs and no compared setting does, "
                    f"so the change is among what is not compared{among or ', such as build or depends_on'}",
                )
            )

    def _old_hash(self, written: str, version: str) -> str:
        try:
            # The second is how a project with a hyphen in its name was written before 1.21.
            projects = (self.project, re.sub("[_-]", "", self.project))
            places = dict.fromkeys((self.directory, self.one.directory.absolute(), self.one.directory.resolve()))
            for project, place in product(projects, places):
                if config_hash(self.one, self.files, self.container.image, project, place) == written:
                    return "equal"
        except Unclear as unclear:
            return f"not computed, {unclear.why}"
        except Exception as error:  # noqa: BLE001  a form that Compose itself refuses
            return f"not computed, a form that is not understood ({type(error).__name__})"
        doubts = [reason for key, reason in self.one.doubts.items() if key != "scale"]
        if doubts:
            return f"not computed, {doubts[0]}"
        return "differs" if version == RECKONED else f"not computed, made by Compose {version}"


def _said(image: Image | None, otherwise: str) -> str:
    """An image in words: the beginning of its id, and when it was made."""
    made = f" made {image.created:%Y-%m-%d %H:%M} UTC" if image and image.created else ""
    return f"{(image.id if image else otherwise).removeprefix('sha256:')[:12]}{made}"


def _familiar(name: str) -> str:
    """An image's name with what is left out for short: registry, library and tag of the public ones."""
    short = re.sub("^(?:index[.])?docker[.]io/", "", name).removeprefix("library/")
    return short if "@" in short or ":" in short.rpartition("/")[2] else f"{short}:latest"


# Readers: a value of the file, as the engine would say it -------------------------------------------------------------


def size(value: object) -> int:
    """Bytes, as Compose reads them: every unit is a power of 1024.

    Raises:
        Unclear: It is written otherwise.
    """
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        power: int = " kmgt".index(match[2].lower() or " ")
        return int(float(match[1]) * 1024**power)
    if isinstance(value, int) and not isinstance(value, bool | OddInt):
        return value
    raise Unclear("a size in a form not known here")


def duration(value: object, *, old: bool) -> int:
    """Nanoseconds.

    Raises:
        Unclear: It is no duration with units, or a number that only Compose 1.x takes.
    """
    if isinstance(value, str):
        return nanoseconds(value)
    if old and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Unclear("a duration without a unit")


def words(value: object, *, old: bool) -> tuple[str, ...]:
    """The words of a command line.

    Raises:
        Unclear: It is empty, or Compose's versions don't split it alike.
    """
    if not value:
        raise Unclear("empty, which leaves it to the image")
    if isinstance(value, list) and all(type(one) in {str, int} for one in value):
        return tuple(map(str, value))
    if isinstance(value, str) and (old or not _SHELL.search(value)):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            pass
    raise Unclear("a command line in a form not known here")


def _boolean(value: object) -> bool:
    text = str(value).lower() if isinstance(value, bool | str) else ""
    if text not in {"true", "false"}:
        raise Unclear("neither true nor false")
    return text == "true"


def _cpus(value: object) -> int:
    try:
        return round(float(value) * 1e6) if isinstance(value, str | int | float) else int(str(value))
    except ValueError:
        raise Unclear("a number of CPUs in a form not known here") from None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _sayable(value: object) -> str:
    if isinstance(value, set | frozenset | tuple | list):
        return ", ".join(sorted(map(str, value))) or "none"
    return str(value) or "none"


# Comparisons by key --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plain:
    """A setting that the engine has under one name.

    Attributes:
        name: The engine's name.
        read: Reads the file's value.
        has: Reads the engine's.
        say: Says either.
    """

    name: str
    read: Callable[[_Look, Any], Any]
    has: Callable[[Any], Any]
    say: Callable[[Any], str] = field(default=_sayable)

    def __call__(self, look: _Look, value: object) -> None:
        look.compare("", self.read(look, value), self.has(look.seen.plain.get(self.name)), self.say)


def _plain_size(name: str) -> _Plain:
    return _Plain(name, lambda _, value: size(value), lambda has: has or 0, say_bytes)


def _plain_text(name: str) -> _Plain:
    return _Plain(name, lambda look, value: look.text(value), lambda has: has or "")


def _plain_boolean(name: str) -> _Plain:
    return _Plain(name, lambda _, value: _boolean(value), bool, _yes)


def _plain_texts(name: str) -> _Plain:
    return _Plain(
        name, lambda look, value: {look.text(one) for one in _list(value)}, lambda has: {str(one) for one in has or []}
    )


def _capability(name: object) -> str:
    return str(name).upper().removeprefix("CAP_")


def _capabilities(name: str) -> _Plain:
    return _Plain(
        name,
        lambda _, value: {_capability(one) for one in _list(value)},
        lambda has: {_capability(one) for one in has or []},
    )


def _limit(entry: object) -> tuple[int, int]:
    soft, hard = (entry.get("soft"), entry.get("hard")) if isinstance(entry, dict) else (entry, entry)
    if type(soft) is not int or type(hard) is not int:
        raise Unclear("a limit in a form not known here")
    return soft, hard


def _limits(value: object) -> dict[str, tuple[int, int]]:
    return {name: _limit(one) for name, one in pairs(value).items()}


def _tmpfs(look: _Look, value: object) -> dict[str, str]:
    return {path: options for path, _, options in (look.text(one).partition(":") for one in _list(value))}


def _restart(look: _Look, value: object) -> None:
    if (look.one.body.get("deploy") or {}).get("restart_policy"):
        raise Unclear("deploy.restart_policy says it as well")
    name, _, times = ("no" if value is False or value == "" else look.text(value)).partition(":")
    look.compare("", _policy(name, times), _policy_of(look), _sayable)


def _restart_policy(look: _Look, value: Mapping[str, Any]) -> None:
    names = {"any": "always", "none": "no", "on-failure": "on-failure"}
    name = names.get(str(value.get("condition", "any")))
    if name is None or "restart" in look.one.body:
        raise Unclear("a policy that Compose's versions don't read alike")
    look.compare("", _policy(name, value.get("max_attempts", 0)), _policy_of(look), _sayable)


def _policy_of(look: _Look) -> str:
    has = look.seen.plain.get("RestartPolicy") or {}
    return _policy(has.get("Name") or "no", has.get("MaximumRetryCount"))


def _policy(name: str, times: object) -> str:
    return name if times in {None, "", "0", 0} else f"{name}:{times}"


def _memory(look: _Look, value: object) -> None:
    if ((look.one.body.get("deploy") or {}).get("resources") or {}).get("limits"):
        raise Unclear("deploy.resources.limits says it as well")
    _plain_size("Memory")(look, value)


def _command(look: _Look, value: object) -> None:
    if value == [] and look.one.body.get("entrypoint"):
        look.compare("", (), look.seen.command)
    else:
        look.compare("", tuple(map(fingerprint, words(value, old=look.old))), look.seen.command)


def _entrypoint(look: _Look, value: object) -> None:
    look.compare("", tuple(map(fingerprint, words(value, old=look.old))), look.seen.entrypoint)


def _environment(look: _Look, value: object) -> None:
    if "environment" in look.one.doubts:
        look.skip("of files", look.one.doubts["environment"])
    for name, written in pairs(value, alone=None).items():
        if written is None:
            look.skip(name, "it is passed through from whoever brought it up")
            continue
        try:
            text = look.text(written)
        except Unclear as unclear:
            look.skip(name, unclear.why)
        else:
            look.compare(name, fingerprint(text), look.seen.environment.get(name))


def _labels(look: _Look, value: object) -> None:
    for name, written in pairs(value).items():
        try:
            text = look.text(written)
        except Unclear as unclear:
            look.skip(name, unclear.why)
        else:
            if not name.startswith(COMPOSE_LABELS):
                look.compare(name, fingerprint(text), look.seen.labels.get(name))


def _logging(look: _Look, value: Mapping[str, Any]) -> None:
    if value.get("driver"):
        look.compare("driver", look.text(value["driver"]), look.container.log_driver, _sayable)
    # The engine's own defaults stand among the container's options.
    for name, written in (value.get("options") or {}).items():
        look.compare(f"option {name}", fingerprint(look.text(written)), look.seen.log_options.get(name))


def _healthcheck(look: _Look, value: Mapping[str, Any]) -> None:
    if "disable" in value:
        if not _boolean(value["disable"]):
            raise Unclear("Compose 1.x takes `disable: false` for true")
        look.compare("test", (fingerprint("NONE"),), look.seen.test)
        return
    for name, written in value.items():
        if name == "test":
            test = ["CMD-SHELL", written] if isinstance(written, str) else list(words(written, old=look.old))
            look.compare(name, tuple(map(fingerprint, test)), look.seen.test)
        elif name == "retries":
            look.compare(name, int(look.text(written)), look.seen.check.get("Retries", 0), _sayable)
        elif name in _TIMES:
            wanted, has = duration(written, old=look.old), look.seen.check.get(_TIMES[name], 0)
            if abs(wanted - has) > 1000:
                look.differs(name, file=f"{wanted / 1e9:g} s", has=f"{has / 1e9:g} s")
        else:
            look.skip(name, UNKNOWN)


def _grace(look: _Look, value: object) -> None:
    wanted = duration(value, old=False) // 1_000_000_000
    look.compare("", wanted, look.seen.plain.get("StopTimeout"), lambda said: f"{said} s")


def _ports(look: _Look, value: object) -> None:
    if look.one.body.get("network_mode"):
        raise Unclear("network_mode may leave no port to publish")
    wanted = {one for entry in _list(value) for one in _published(look, entry)}
    has = {
        (inner, _address(one.get("HostIp")), one.get("HostPort") or "")
        for inner, bindings in (look.seen.plain.get("PortBindings") or {}).items()
        for one in bindings or []
    }
    look.compare("", wanted, has, lambda said: _sayable([f"{ip}:{outer}->{inner}" for inner, ip, outer in said]))


def _published(look: _Look, entry: object) -> Iterable[tuple[str, str, str]]:
    if isinstance(entry, dict):
        if not set(entry) <= {"app_protocol", "host_ip", "mode", "name", "protocol", "published", "target"}:
            raise Unclear("ports with keys not known here")
        found = [[entry.get("target"), entry.get("published"), entry.get("protocol"), None, entry.get("host_ip")]]
    else:
        found = port(look.text(entry))
    for target, outer, protocol, _, address in found:
        yield f"{look.text(target)}/{protocol or 'tcp'}", _address(address), "" if outer is None else look.text(outer)


def _address(address: object) -> str:
    return str(address or "0.0.0.0")  # noqa: S104  how the engine says all addresses


def _volumes(look: _Look, value: object) -> None:
    wanted = dict(_mount(look, entry) for entry in _list(value))
    has = {os.path.normpath(one["Destination"]): one for one in look.seen.mounts}
    for target, (kind, sources, writable) in wanted.items():
        one = has.get(target)
        if one is None:
            look.differs(file=f"a {kind} at {target}", has="nothing mounted there")
            continue
        # Docker Desktop shows where its machine sees the host's directories.
        source = str(one["Name"] if one["Type"] == "volume" else one["Source"]).removeprefix("/host_mnt")
        if one["Type"] != kind or (sources and _real(source) not in map(_real, sources)):
            look.differs(file=f"{kind} {sources[0] if sources else ''} at {target}", has=f"{one['Type']} {source}")
        elif bool(one["RW"]) != writable:
            look.differs(
                file=f"{target} {'writable' if writable else 'read-only'}",
                has="it writable" if one["RW"] else "it read-only",
            )
    if not {"configs", "credential_spec", "secrets", "use_api_socket", "volumes_from"}.intersection(look.one.body):
        for target in sorted(set(has) - set(wanted)):
            if has[target]["Type"] == "bind":
                look.differs(file=f"nothing at {target}", has=f"bind {has[target]['Source']} there")


def _real(source: str) -> str:
    return os.path.realpath(source) if source.startswith("/") else source


def _mount(look: _Look, entry: object) -> tuple[str, tuple[str, tuple[str, ...], bool]]:
    """Where it is mounted, of which type, from which of several sources that are as good, and whether writable."""
    if isinstance(entry, dict):
        kind, source, target = entry.get("type", "volume"), entry.get("source"), entry.get("target")
        if kind not in {"bind", "volume", "tmpfs"} or not target:
            raise Unclear("volumes with keys not known here")
        writable = not _boolean(entry.get("read_only", False))
    else:
        parts = look.text(entry).split(":")
        if len(parts) > 3:
            raise Unclear("a volume in a form not known here")
        source, target = (None, parts[0]) if len(parts) == 1 else parts[:2]
        kind = "bind" if source and source.startswith(("/", ".", "~")) else "volume"
        writable = "ro" not in (parts[2].split(",") if len(parts) > 2 else ())
    return os.path.normpath(target), (kind, _sources(look, kind, source), writable)


def _sources(look: _Look, kind: str, source: str | None) -> tuple[str, ...]:
    if not source or kind == "tmpfs":
        return ()
    if kind == "volume":
        names = (look.project.lstrip("-_"), re.sub("[_-]", "", look.project))
        return tuple(full_name(source, look.files.volumes.get(source, {}), project) for project in names)
    if source.startswith("~"):
        raise Unclear("a path in the home of whoever brought it up")
    # Where the files were when the stack was brought up, and where they are read here.
    return tuple(os.path.normpath(str(place / source)) for place in (look.directory, Path(look.one.directory)))


def _networks(look: _Look, value: object) -> None:
    if look.container.started is None:
        raise Unclear("it was never started, and joins its networks only then")
    table = {str(key): None for key in value} if isinstance(value, list) else pairs(value)
    plain = re.sub("[_-]", "", look.project)
    has, known = set(look.seen.networks), set()
    for key in {*table, *look.files.networks, "default"}:
        entry = look.files.networks.get(key, {})
        names = {full_name(key, entry, look.project.lstrip("-_")), full_name(key, entry, plain)}
        if key in table and not names & has:
            look.differs(file=f"in {key}", has="no part in it")
        elif key not in table and names & has:
            known |= names & has
    for name in sorted(known):
        look.differs(file="nothing of it", has=f"a part in {name}")
    if any(table.values()):
        look.skip("options", UNKNOWN)


def _network_mode(look: _Look, value: object) -> None:
    if value not in {"bridge", "host", "none"}:
        raise Unclear("the network of another container")
    look.compare("", value, look.seen.plain.get("NetworkMode"), _sayable)


def _extra_hosts(look: _Look, value: object) -> None:
    table = hosts(value)
    if isinstance(value, list) and len(table) != len(value):
        raise Unclear("several addresses of a host")
    wanted = {(name, look.text(address).strip("[]")) for name, address in table.items()}
    has = set(hosts(look.seen.plain.get("ExtraHosts") or []).items())
    look.compare("", wanted, has, lambda said: _sayable([f"{name}:{address}" for name, address in said]))


def _container_name(look: _Look, value: object) -> None:
    look.compare("", look.text(value), look.container.name, _sayable)


_TIMES = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
_CPU = _Plain(
    "NanoCpus", lambda _, value: _cpus(value), lambda has: round((has or 0) / 1000), lambda said: f"{said / 1e6:g}"
)
_CHECKS: Mapping[str, Callable[[_Look, Any], None]] = {
    "cap_add": _capabilities("CapAdd"),
    "cap_drop": _capabilities("CapDrop"),
    "command": _command,
    "container_name": _container_name,
    "cpu_shares": _Plain("CpuShares", lambda look, value: look.text(value), lambda has: str(has or 0)),
    "cpus": _CPU,
    "cpuset": _plain_text("CpusetCpus"),
    "deploy.resources.limits.cpus": _CPU,
    "deploy.resources.limits.memory": _plain_size("Memory"),
    "deploy.restart_policy": _restart_policy,
    "dns": _plain_texts("Dns"),
    "dns_search": _plain_texts("DnsSearch"),
    "domainname": _plain_text("Domainname"),
    "entrypoint": _entrypoint,
    "environment": _environment,
    "extra_hosts": _extra_hosts,
    "group_add": _plain_texts("GroupAdd"),
    "healthcheck": _healthcheck,
    "hostname": _plain_text("Hostname"),
    "init": _plain_boolean("Init"),
    "labels": _labels,
    "logging": _logging,
    "mem_limit": _memory,
    "mem_reservation": _plain_size("MemoryReservation"),
    "network_mode": _network_mode,
    "networks": _networks,
    "ports": _ports,
    "privileged": _plain_boolean("Privileged"),
    "read_only": _plain_boolean("ReadonlyRootfs"),
    "restart": _restart,
    "shm_size": _plain_size("ShmSize"),
    "stdin_open": _plain_boolean("OpenStdin"),
    "stop_grace_period": _grace,
    "stop_signal": _plain_text("StopSignal"),
    "sysctls": _Plain(
        "Sysctls",
        lambda look, value: {f"{name}={look.text(one)}" for name, one in pairs(value).items()},
        lambda has: {f"{name}={one}" for name, one in (has or {}).items()},
    ),
    "tmpfs": _Plain("Tmpfs", _tmpfs, lambda has: has or {}),
    "tty": _plain_boolean("Tty"),
    "ulimits": _Plain(
        "Ulimits",
        lambda _, value: _limits(value),
        lambda has: {one["Name"]: (one["Soft"], one["Hard"]) for one in has or []},
    ),
    "user": _plain_text("User"),
    "volumes": _volumes,
    "working_dir": _Plain(
        "WorkingDir",
        lambda look, value: os.path.normpath(look.text(value)),
        lambda has: os.path.normpath(has) if has else "",
    ),
}
"""The keys that are compared. Others are said to be not compared."""
