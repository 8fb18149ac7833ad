"""Reading a target: the file, then `OPS_…` variables; every error says what, where and how to mend it."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import msgspec
from msgspec.structs import fields

from target.kinds import FilePath, Secret
from target.limits import LimitSet
from target.model import Section, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "OPS_"
RESERVED = frozenset({"OPS_TARGET"})
"""Variables that speak to the suite itself and are no settings."""

S = TypeVar("S", bound=Section)


class TargetError(Exception):
    """A target that can't be used; the text is for the operator, one problem a line."""


@dataclass(frozen=True)
class Loaded:
    """A target together with where each of its settings was set.

    Attributes:
        target: The settings.
        file: The file they were read from.
        origins: Dotted name to origin, for what isn't a default.
    """

    target: Target
    file: Path
    origins: Mapping[str, str]

    @property
    def limits(self) -> LimitSet:
        """The limits as the expectations use them."""
        return LimitSet(self.target.limits, self.origins)

    @property
    def attestations(self) -> Path:
        """Where the attestations stand."""
        return self.target.records.attestations or self.file.resolve().parent / "attestations.toml"

    @property
    def waivers(self) -> Path:
        """Where the waivers stand."""
        return self.target.records.waivers or self.file.resolve().parent / "waivers.toml"


def load(file: Path, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read a target file and what the environment changes of it.

    Args:
        file: The TOML file.
        environment: Variables; None for those of this process. `OPS_LIMITS__DISK_USED`
            stands for `limits.disk_used`.

    Raises:
        TargetError: If the file can't be read, is no TOML, or has a key, a type
            or a value that isn't right. All that is wrong is said at once.
    """
    text = _read(
        file,
        "Copy target.example.toml and fill it in, or try the suite on its own lab: make lab-up, then --target lab.",
    )
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
        raise TargetError(f"{file}: it is no valid TOML: {error}.") from None
    origins = dict.fromkeys(_dotted(data), file.name)
    reader = _Reader(file, text, origins)
    reader.merge(data, os.environ if environment is None else environment)
    target = reader.section(Target, data, ())
    if target is None or reader.problems:
        raise TargetError("\n".join(reader.problems))
    return Loaded(target, file, origins)


def database_password(target: Target) -> Secret | None:
    """The password for the database from the settings or their password file.

    Raises:
        TargetError: If the file that should hold it can't be read.
    """
    return _secret(target.database.password, target.database.password_file, "Write the password into it")


def offsite_secret_key(target: Target) -> Secret | None:
    """The secret key for the object store from the settings or its file; None for what the store's own files say.

    Raises:
        TargetError: If the file that should hold it can't be read.
    """
    return _secret(target.offsite.secret_key, target.offsite.secret_key_file, "Write the secret key into it")


def database_dsn(target: Target) -> Secret | None:
    """The connection string for the database from the settings or its file; None where neither is given.

    Raises:
        TargetError: If the file that should hold it can't be read.
    """
    return _secret(target.database.dsn, target.database.dsn_file, "Write the connection string into it")


def loki_credentials(target: Target) -> tuple[Secret | None, Secret | None]:
    """The password and the token for Loki from the settings or their files; at most one is given.

    Raises:
        TargetError: If the file that should hold it can't be read.
    """
    loki = target.loki
    return (
        _secret(loki.password, loki.password_file, "Write the password into it"),
        _secret(loki.token, loki.token_file, "Write the token into it"),
    )


def _secret(given: Secret | None, file: Path | None, to_do: str) -> Secret | None:
    return given if file is None else Secret(_read(file, f"{to_do}, readable by you alone.").rstrip("\r\n"))


def _read(file: Path, if_missing: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # some editors put a byte order mark in front
    except FileNotFoundError:
        why = f"there is no such file. {if_missing}"
    except IsADirectoryError:
        why = "it is a directory; name the file in it."
    except UnicodeDecodeError as error:
        why = f"it is not UTF-8 text (byte {error.start})."
    except OSError as error:
        why = f"it can't be read: {error.strerror}."
    raise TargetError(f"{file}: {why}")


class _Reader:
    """Turns plain TOML data into the model, key by key, collecting every problem."""

    def __init__(self, file: Path, text: str, origins: dict[str, str]) -> None:
        self._file = file
        self._text = text
        self._origins = origins
        self._written: dict[str, str] = {}
        self.problems: list[str] = []

    def merge(self, data: dict[str, Any], environment: Mapping[str, str]) -> None:
        """Lay the `OPS_…` variables over the file's settings."""
        for variable in sorted(environment):
            if not variable.startswith(PREFIX) or variable in RESERVED:
                continue
            path = [part.lower() for part in variable.removeprefix(PREFIX).split("__")]
            if not _is_setting(path):
                if _model_at(path) is not None:
                    self.problems.append(f"{variable}: it is a table; set its keys, as in {variable}__KEY=value.")
                    continue
                self.problems.append(
                    f"{variable}: there is no setting {'.'.join(path)}{_perhaps(path)}. "
                    f"Unset the variable, or mend its name ({PREFIX}LIMITS__DISK_USED sets limits.disk_used)."
                )
                continue
            place = data
            for part in path[:-1]:
                inner = place.setdefault(part, {})
                place = inner if isinstance(inner, dict) else {}
            name, secret = ".".join(path), _is_secret(path)
            place[path[-1]] = _value(environment[variable], secret=secret)
            self._origins[name] = variable
            if not secret:
                self._written[name] = environment[variable]

    def section(self, model: type[S], data: Mapping[str, Any], above: tuple[str, ...]) -> S | None:
        """One table as its model, or None where something in it was wrong."""
        before = len(self.problems)
        known = {known.name: known for known in fields(model)}
        for key in data:
            if key not in known:
                self._wrong(
                    (*above, key),
                    f"there is no such setting{_perhaps((*above, key))}. "
                    "target.example.toml lists them all; mend the name or take the key out",
                )
        values: dict[str, Any] = {}
        for name, one in known.items():
            path = (*above, name)
            if name not in data:
                if one.required:
                    self._wrong(path, "it is missing. target.example.toml says what it is for")
            elif isinstance(one.type, type) and issubclass(one.type, Section):
                if isinstance(data[name], dict):
                    values[name] = self.section(one.type, data[name], path)
                else:
                    self._wrong(path, f"it is a table: write [{'.'.join(path)}] above its keys")
            else:
                values[name] = self._leaf(one.type, data[name], path)
        if len(self.problems) > before:
            return None
        try:
            return model(**values)
        except ValueError as error:
            self._wrong(above, str(error))
            return None

    def _leaf(self, kind: Any, value: object, path: tuple[str, ...]) -> Any:  # noqa: ANN401
        try:
            return msgspec.convert(value, kind, dec_hook=self._custom)
        except msgspec.ValidationError as error:
            # A variable has no quotes: a database called 2024 is meant as the text that it is.
            written = self._written.get(".".join(path))
            if written is not None and written != value:
                with contextlib.suppress(msgspec.ValidationError):
                    return msgspec.convert(written, kind, dec_hook=self._custom)
            text, _, inner = str(error).partition(" - at `$")
            given = "" if _is_secret(path) or isinstance(value, dict) else f", not {str(value)[:80]!r}"
            at = f" (at {inner.strip('`.')})" if inner.strip("`.") else ""
            wanted = text[:1].lower() + text[1:]
            self._wrong(path, f"{wanted}{at}{given}")
            return None

    def _custom(self, kind: Any, value: object) -> Any:  # noqa: ANN401
        parsed = kind.parse(value)
        if kind is FilePath and not parsed.is_absolute():
            return FilePath(self._file.resolve().parent / parsed)
        return FilePath(parsed) if kind is FilePath else parsed

    def _wrong(self, path: Sequence[str], what: str) -> None:
        name = ".".join(path)
        origin = self._origins.get(name, "")
        where = origin if origin.startswith(PREFIX) else f"{self._file}{_line(self._text, path)}"
        self.problems.append(f"{where}: {name}: {what}." if name else f"{where}: {what}.")


def _dotted(data: Mapping[str, Any], above: str = "") -> list[str]:
    names: list[str] = []
    for key, value in data.items():
        names.append(f"{above}{key}")
        if isinstance(value, dict):
            names += _dotted(value, f"{above}{key}.")
    return names


def _value(text: str, *, secret: bool) -> object:
    if secret:
        return Secret(text)
    try:
        data = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return data["value"] if len(data) == 1 else text


def _is_secret(path: Sequence[str]) -> bool:
    if path[-1] in {"password", "token", "dsn", "secret", "access_key", "secret_key"}:
        return True
    # The address of an alert route carries its key.
    model = _model_at(path[:-1])
    return model is not None and any(
        known.name == path[-1] and Secret in (known.type, *get_args(known.type)) for known in fields(model)
    )


def _model_at(path: Sequence[str]) -> type[Section] | None:
    model: type[Section] = Target
    for part in path:
        kind = next((known.type for known in fields(model) if known.name == part), None)
        if not isinstance(kind, type) or not issubclass(kind, Section):
            return None
        model = kind
    return model


def _is_setting(path: Sequence[str]) -> bool:
    model = _model_at(path[:-1])
    if model is not None and path[-1] in model.__struct_fields__:
        return _model_at(path) is None
    # A key of a free table, such as host.filesystems.<name>.
    above = _model_at(path[:-2]) if len(path) > 2 else None
    return above is not None and any(known.name == path[-2] and "dict" in str(known.type) for known in fields(above))


def _perhaps(path: Sequence[str]) -> str:
    """The known setting that was probably meant, as the tail of a sentence."""
    above = list(path[:-1])
    model = _model_at(above)
    if model is None:
        above, model = [], Target
    close = difflib.get_close_matches(path[-1], model.__struct_fields__, n=1, cutoff=0.5)
    return f" (did you mean {'.'.join([*above, close[0]])}?)" if close else ""


def _line(text: str, path: Sequence[str]) -> str:
    """`:12` for the line of the key in the file, as editors take it; empty when it isn't plain."""
    table, wanted = "", ".".join(path)
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$", line):
            table = header[1].strip()
            found = table
        elif key := re.match(r"""\s*["']?([A-Za-z0-9_.-]+)["']?\s*=""", line):
            found = f"{table}.{key[1]}" if table else key[1]
        else:
            continue
        if found == wanted:
            return f":{number}"
    return ""
