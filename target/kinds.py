"""The kinds of value that a target file holds, each reading what a person writes."""

from __future__ import annotations

import re
import warnings
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)\s*")
_SPAN_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)\s*")
_SIZE_BYTES = {
    "B": 1,
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
    **{unit: 1000**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), 1)},
}
_MOST_BYTES = 2**63
SEVERITIES = ("info", "low", "medium", "high", "critical")
"""How bad a finding can be, least first."""
_SAME_SEVERITY = {"moderate": "medium", "informational": "info"}
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


class Span(timedelta):
    """A span of time, written with its unit: `"24 h"`."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        match = _SPAN.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError('a span of time is written with its unit: "45 s", "30 min", "24 h" or "7 d"')
        seconds = float(match[1]) * _SPAN_SECONDS[match[2]]
        if not 1e-6 <= seconds < 1e10:
            raise ValueError("it must be longer than nothing and shorter than three centuries")
        return cls(seconds=seconds)

    def __str__(self) -> str:
        return say_span(self)


class Size(int):
    """A number of bytes: `"5 MiB"`, or a plain whole number."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if match is not None:
            size: float = float(match[1]) * _SIZE_BYTES[match[2]]
        elif isinstance(value, int) and not isinstance(value, bool):
            size = value
        else:
            size = -1
        if not 0 <= size < _MOST_BYTES:
            raise ValueError('a size is a whole number of bytes or written with its unit: "5 MiB", "2 GB"')
        return cls(size)

    def __str__(self) -> str:
        return say_bytes(self)


class Share(float):
    """A part of a whole: `0.8` or `"80 %"`."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
            value = float(match[1]) / 100
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError('a share lies between 0 and 1 (0.8), or is a percentage in quotes ("80 %")')
        return cls(value)

    def __str__(self) -> str:
        return say_share(self)


class Factor(float):
    """How many times as much: `2.0`."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise ValueError("a factor is a number above 0, such as 2.0")
        return cls(value)

    def __str__(self) -> str:
        return f"{float(self):g} x"


class Count(int):
    """A whole number of things, 0 or more."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError("a count is a whole number, 0 or more")
        return cls(value)


class Severity(str):
    """How bad a finding is: `info`, `low`, `medium`, `high` or `critical`; it is compared by that order.

    npm says moderate where everybody else says medium, and means the same.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        word = _SAME_SEVERITY.get(value.lower(), value.lower()) if isinstance(value, str) else ""
        if word not in SEVERITIES:
            raise ValueError(f"a severity is one of {', '.join(SEVERITIES)}")
        return cls(word)

    @property
    def rank(self) -> int:
        """Its place in the order, from 0."""
        return SEVERITIES.index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < SEVERITIES.index(other)

    def __le__(self, other: str) -> bool:
        return self.rank <= SEVERITIES.index(other)

    def __gt__(self, other: str) -> bool:
        return self.rank > SEVERITIES.index(other)

    def __ge__(self, other: str) -> bool:
        return self.rank >= SEVERITIES.index(other)


class Network(str):
    """Addresses that belong together, as `192.0.2.0/24`; one alone as `192.0.2.7`."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what would be right."""
        from ipaddress import ip_network

        try:
            return cls(ip_network(value if isinstance(value, str) else ""))
        except ValueError as error:
            raise ValueError(f'a network is written as "192.0.2.0/24" or "2001:db8::/32": {error}') from None


class Pattern(str):
    """A regular expression in Python's syntax, searched for anywhere in the text."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read it; ValueError says what is wrong with it."""
        if not isinstance(value, str):
            raise ValueError("a regular expression is a text in quotes; 'single' ones keep backslashes")  # noqa: TRY004
        try:
            with warnings.catch_warnings():
                # What Python warns of here would be warned of in the middle of a check.
                warnings.simplefilter("error")
                re.compile(value)
        except (re.error, Warning, OverflowError, RecursionError) as error:
            raise ValueError(f"it is no regular expression: {error}") from None
        return cls(value)


class FilePath(Path().__class__):  # type: ignore[misc]  # Path itself can't be subclassed before 3.12
    """A path; a relative one is relative to the target file, not to where the run was started."""

    @classmethod
    def parse(cls, value: object) -> Path:
        """Read it; ValueError says what would be right."""
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError("a path is a text in quotes that isn't empty")
        try:
            return Path(value).expanduser()
        except RuntimeError:
            raise ValueError(f"there is no home directory for {value.partition('/')[0]}") from None


class Secret:
    """A text that must appear nowhere.

    It is wrapped the moment it is read; `reveal()` is called only as the
    argument of the client that needs it.
    """

    __slots__ = ("_text",)
    _known: ClassVar[set[str]] = set()

    def __init__(self, text: str) -> None:
        self._text = text
        if text:
            Secret._known.add(text)

    @classmethod
    def known(cls) -> list[str]:
        """Every secret that this process has read, longest first; for redaction only."""
        return sorted(cls._known, key=len, reverse=True)

    @classmethod
    def parse(cls, value: object) -> Secret:
        """Read it; ValueError says what would be right, without the value."""
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            raise ValueError("it is a text in quotes")  # noqa: TRY004
        return cls(value)

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def say_span(span: timedelta) -> str:
    """A span of time as a person says it: `45 s`, `31 h`, `9.5 d`."""
    seconds = span.total_seconds()
    if seconds < 0:
        return f"-{say_span(-span)}"
    if 0 < seconds < 1:
        return f"{_short(seconds * 1000, 0)} ms"
    if seconds < 120:
        return f"{_short(seconds, 1)} s"
    units = (("min", 60, 7200), ("h", 3600, 72 * 3600))
    unit, size = next(((unit, size) for unit, size, until in units if seconds < until), ("d", 86400))
    if _hides_something(seconds / size, 1):
        whole, rest = divmod(seconds, size)
        return f"{whole:.0f} {unit} {say_span(timedelta(seconds=rest))}"
    return f"{_short(seconds / size, 1)} {unit}"


def say_bytes(size: float) -> str:
    """A number of bytes as a person says it, in binary units: `4.9 MiB`, `20 B`."""
    figure = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(figure) < 1024 or unit == "TiB":
            break
        figure /= 1024
    return f"{size:,.0f} B" if _hides_something(figure) else f"{_short(figure)} {unit}"


def say_share(share: float) -> str:
    """A share of one as a percentage: `0.8` is `80 %`."""
    figure = round(float(share) * 100, 6)
    return f"{figure:.8g} %" if _hides_something(figure) else f"{_short(figure)} %"


def _short(figure: float, digits: int = 2) -> str:
    # Cut, not rounded: what just missed a limit must not be shown as having met it.
    scale = 10**digits
    return f"{_cut(figure, digits) / scale:g}" if abs(figure) < 1e4 else f"{figure:.0f}"


def _hides_something(figure: float, digits: int = 2) -> bool:
    """Whether a figure just above a whole number would be cut to it, as if it had met a limit that it missed."""
    cut = _cut(figure, digits)
    return abs(figure) < 1e4 and cut != 0 and cut % 10**digits == 0 and abs(figure * 10**digits - cut) > 1e-9


def _cut(figure: float, digits: int) -> int:
    # 4.35 times 100 is 434.99999999999994.
    return int(round(figure * 10**digits, 9))
