"""The marker that makes a test an expectation of the operations guide."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal, get_args

import pytest

from target.model import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target.model import Target

Severity = Literal["critical", "major", "minor"]
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
CADENCES = ("daily", "weekly", "monthly", "quarterly", "annual", "security", "triage")
_NO_CADENCE = frozenset(
    {"expectation", "parametrize", "usefixtures", "xfail", "skip", "skipif", "filterwarnings", "slow", "drill"}
)
NAMES = frozenset(
    {
        "project",
        "directory",
        "backend",
        "database",
        "cache",
        "site",
        "certificate",
        "backups",
        "make_backup",
        "access_log",
        "error_log",
        "item",
    }
)
"""What a remedy may name in braces; each is filled in with the target's own."""


@dataclass(frozen=True)
class Expectation:
    """One line of the guide as something that must hold.

    Attributes:
        slug: Its identity in reports, history, waivers and alerts. It never changes.
        guide: Section of the guide, a colon, and what stands there.
        severity: How bad it is when it is broken.
        remedy: What to do then, with :data:`NAMES` in braces.
        limits: The names of the limits that it uses.
        title: What holds, in an operator's words.
        cadences: When it is looked at.
        symptom: Whether its breaking says that something is wrong and not what: other lines come first.
    """

    slug: str
    guide: str
    severity: Severity
    remedy: str
    limits: tuple[str, ...]
    title: str
    cadences: tuple[str, ...]
    symptom: bool = False

    @property
    def section(self) -> str:
        """Cadence and section of the guide: `Daily · Morning check-in`."""
        first = next((one for one in self.cadences if one in CADENCES), "")
        return f"{first.capitalize()} · {self.guide.partition(':')[0]}"


def expectation(
    slug: str,
    *,
    guide: str,
    severity: Severity,
    remedy: str,
    limits: tuple[str, ...] = (),
    symptom: bool = False,
) -> pytest.MarkDecorator:
    """Mark a test as an expectation.

    Args:
        slug: Lower-case words joined by `-`; unique in the suite.
        guide: Section of the guide, a colon, and what stands there.
        severity: `critical`, `major` or `minor`.
        remedy: What to do when it is broken; may name :data:`NAMES` in braces.
        limits: Names of the limits it uses, as in `[limits]`.
        symptom: Whether its breaking says that something is wrong and not what, as a site that doesn't answer does:
            what is broken as badly and says more stands above it.

    Raises:
        ValueError: If one of them isn't right, which stops the collection.
    """
    if not SLUG.fullmatch(slug):
        raise ValueError(f"expectation {slug!r}: a slug is lower-case words joined by '-'")
    if severity not in get_args(Severity):
        raise ValueError(f"expectation {slug}: severity {severity!r} is none of {get_args(Severity)}")
    if ":" not in guide:
        raise ValueError(f"expectation {slug}: guide is written as 'Section: what stands there'")
    if why := _what_is_wrong(remedy):
        raise ValueError(f"expectation {slug}: its remedy {why}; it may name {sorted(NAMES)}, and {{{{ is a brace")
    if wrong := [name for name in limits if name not in Limits.__struct_fields__]:
        raise ValueError(f"expectation {slug}: there are no limits {wrong}")
    return pytest.mark.expectation(
        slug=slug, guide=guide, severity=severity, remedy=remedy, limits=limits, symptom=symptom
    )


def _what_is_wrong(remedy: str) -> str:
    """What keeps a remedy from being filled in; empty when nothing does."""
    if not remedy:
        return "is empty"
    try:
        fields = [(name, spec) for _, name, spec, _ in Formatter().parse(remedy) if name is not None]
    except ValueError as error:
        return f"can't be read ({error})"
    if unknown := sorted({name for name, spec in fields if name not in NAMES or spec}):
        return f"names {', '.join(unknown) or 'nothing'}"
    return ""


def of_item(item: pytest.Item) -> Expectation | None:
    """The expectation that a collected test is, or None."""
    mark = item.get_closest_marker("expectation")
    if mark is None:
        return None
    given: Mapping[str, Any] = mark.kwargs
    document = getattr(getattr(item, "function", None), "__doc__", None) or ""
    cadences = tuple(mark.name for mark in item.iter_markers() if mark.name not in _NO_CADENCE)
    return Expectation(
        slug=given["slug"],
        guide=given["guide"],
        severity=given["severity"],
        remedy=given["remedy"],
        limits=given["limits"],
        title=document.strip().partition("\n")[0],
        # The most frequent first, then its part: `daily`, `morning`.
        cadences=tuple(sorted(dict.fromkeys(cadences), key=_turn)),
        symptom=given["symptom"],
    )


def _turn(cadence: str) -> int:
    return CADENCES.index(cadence) if cadence in CADENCES else len(CADENCES)


def _made_by_hand(target: Target) -> str:
    command = target.backups.command
    if not command:
        return "the way yours are made"
    # What has a path of its own is typed anywhere.
    return f"`{command}`" if command.startswith("/") else f"`{command}` in {target.project.directory}"


def names_of(target: Target) -> dict[str, str]:
    """What the names in a remedy mean for a target."""
    return {
        "project": target.project.name,
        "directory": str(target.project.directory),
        "backend": target.services.backend,
        "database": target.services.database,
        "cache": target.services.cache or "redis",
        "site": target.site.url.rstrip("/") or "the site",
        "certificate": str(target.certificate_file or "the certificate"),
        "backups": f"s3://{target.offsite.bucket}/{target.offsite.prefix}"
        if target.backups.in_bucket
        else str(target.backup_directory),
        "make_backup": _made_by_hand(target),
        "access_log": str(target.logs.access or "the access log"),
        "error_log": str(target.logs.error or "the error log"),
    }
