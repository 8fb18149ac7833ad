"""A limit that knows its name, its unit and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from target.model import FROM_THE_GUIDE, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

GUIDE = "the guide's default"
OWN = "this suite's default"

AT_LEAST = frozenset({"backup_size_min", "backup_steady_low", "cache_hits", "certificate_left", "growth_left"})
"""Of the limits that a figure is held against, those that it must not be below; all others it must not be above."""
STRICT = frozenset(
    {
        *("certificate_left", "connections_used", "database_connections", "disaster_recovery", "disk_used"),
        *("docker_reclaimable", "growth_left", "inodes_used", "response_time", "transaction_age"),
    }
)
"""Those that a figure must not even reach: "less than 80 % full"."""


class Ordered(Protocol):
    """Anything that can be held against another of its kind."""

    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401
    def __le__(self, other: Any, /) -> bool: ...  # noqa: ANN401


T = TypeVar("T", bound=Ordered)


def meets(name: str, value: float, bound: float) -> bool:
    """Whether a figure is as a limit wants it, by itself; floors and other conditions are the expectation's.

    Args:
        name: The limit, as `disk_used` or `limits.disk_used`.
        value: The figure.
        bound: The limit's value, in the same unit.
    """
    short = name.removeprefix("limits.")
    if value == bound:
        return short not in STRICT
    return value > bound if short in AT_LEAST else value < bound


@dataclass(frozen=True)
class Limit(Generic[T]):
    """One wanted figure.

    It is compared like its value, so that an expectation reads
    `assert newest.age <= limits.backup_age`.

    Attributes:
        name: The dotted name of the setting, such as `limits.backup_age`.
        value: The figure; its type says the unit (span, bytes, share, count).
        origin: Where it was set: the guide's default, a file, a variable.
    """

    name: str
    value: T
    origin: str

    def __str__(self) -> str:
        return str(self.value)

    @property
    def source(self) -> str:
        """Name and origin, as they stand behind a message."""
        return f"{self.name}, {self.origin}"

    def as_dict(self) -> dict[str, str]:
        """The limit for the report, JSON-able."""
        return {"name": self.name, "value": str(self), "origin": self.origin}

    def __lt__(self, other: T) -> bool:
        return self.value < other

    def __le__(self, other: T) -> bool:
        return self.value <= other

    def __gt__(self, other: T) -> bool:
        return other < self.value

    def __ge__(self, other: T) -> bool:
        return other <= self.value


@dataclass(frozen=True)
class LimitSet:
    """The limits of a target, each with its name and where it comes from.

    Reached as attributes: `limits.backup_age` is a :class:`Limit`. Asking for
    one that doesn't exist is an AttributeError, as with any object.
    """

    values: Limits
    origins: Mapping[str, str]

    def __getattr__(self, name: str) -> Limit[Any]:
        if name.startswith("_") or name not in Limits.__struct_fields__:
            raise AttributeError(f"there is no limit {name!r} in target.model.Limits")
        default = GUIDE if name in FROM_THE_GUIDE else OWN
        dotted = f"limits.{name}"
        return Limit(dotted, getattr(self.values, name), self.origins.get(dotted, default))
