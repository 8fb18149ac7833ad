"""What an audit of packages found, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target.kinds import Severity

UNKNOWN = "unknown"
_SHOWN = 10


@dataclass(frozen=True)
class Advisory:
    """Something that is known against a version that is installed.

    Attributes:
        id: Its id.
        package: The package.
        installed: Its version, or versions.
        severity: How bad it is, in a word or as a CVSS vector; `unknown` where nobody says.
        fixed: Where it is mended, in words; empty where nobody says.
        aliases: The other ids that it goes by.
        title: What it is about.
    """

    id: str
    package: str
    installed: str
    severity: str
    fixed: str
    aliases: tuple[str, ...] = ()
    title: str = ""

    @property
    def said(self) -> str:
        """Package, version and id, in a few words."""
        how_bad = f", {self.severity}" if self.severity != UNKNOWN else ""
        return f"{self.package} {self.installed} ({self.id}{how_bad})"


@dataclass(frozen=True)
class Audit:
    """What is known against the packages of one place.

    Attributes:
        kind: Whose packages: Python or npm.
        place: Where they are installed.
        auditor: Who looked them up, with its version.
        packages: How many there are.
        audited: How many were looked up.
        advisories: What is known against them and counts.
        below: What is known and doesn't count: it is less bad than the limit.
        least: From which severity on it counts; None: all counts.
        skipped: What wasn't looked up, and why, by name.
        tried: What the source was tried by: versions that everybody knows advisories of.
        known: Those of them that it knows advisories of.
        said_beside: What else the reader should know.
    """

    kind: str
    place: str
    auditor: str
    packages: int
    audited: int
    advisories: tuple[Advisory, ...]
    below: tuple[Advisory, ...] = ()
    least: Severity | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    tried: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    said_beside: tuple[str, ...] = ()

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        return f"{self._packages} {self.place}, {self.audited} looked up by {self.auditor}"

    @property
    def said(self) -> str:
        """What was seen, in words."""
        of = f"of {self.packages} {self.kind} {'package' if self.packages == 1 else 'packages'}"
        rest = f"; {len(self.below)} below that" if self.below else ""
        if not self.advisories:
            return f"none {of} has {self._counted}{rest}"
        hit = len({one.package for one in self.advisories})
        number = "1 advisory" if len(self.advisories) == 1 else f"{len(self.advisories)} advisories"
        names = ", ".join(one.said for one in self.advisories[:_SHOWN])
        more = f" and {len(self.advisories) - _SHOWN} more" if len(self.advisories) > _SHOWN else ""
        return f"{number} of {hit} {of}: {names}{more}{rest}"

    @property
    def wanted(self) -> str:
        """What is wanted, in words."""
        return f"none has {self._counted}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside the outcome."""
        skipped = f"not looked up: {self._skipped}" if self.skipped else ""
        known = f"the source was tried, and knows advisories of {', '.join(self.known)}" if self.known else ""
        return (*filter(None, (skipped, known)), *self.said_beside)

    def rows(self) -> list[dict[str, str]]:
        """The advisories for the report, those that count first."""
        return [
            {
                "advisory": one.id,
                "package": one.package,
                "installed": one.installed,
                "severity": one.severity,
                "fixed": one.fixed,
                "also known as": ", ".join(one.aliases),
                "what": one.title,
                "counts": "yes" if one in self.advisories else f"no, below {self.least}",
            }
            for one in (*self.advisories, *self.below)
        ]

    @property
    def findings(self) -> tuple[tuple[str, ...], ...]:
        """The names of each finding, for waivers that cover some of them.

        What wasn't looked up is among them: who has accepted an advisory has not accepted that.
        """
        skipped = ((f"{name}, which wasn't looked up",) for name, _ in self.skipped)
        return (*((one.id, *one.aliases) for one in self.advisories), *skipped)

    def must_be_whole(self) -> None:
        """Insist that everything was looked up, and at somebody's who knows.

        Raises:
            CannotTell: If the source knows nothing of what everybody knows, or something wasn't looked up.
        """
        if not (self.known or self.advisories or self.below):
            raise CannotTell(
                f"{self.auditor} was told of no advisory of {' or '.join(self.tried) or 'anything'}, and everybody "
                "knows some: whoever it asks knows nothing",
                mend=f"See whom it asks: {_WHOM[self.kind]}.",
            )
        if self.skipped:
            raise CannotTell(
                f"{len(self.skipped)} of {self._packages} {self.place} weren't looked up: {self._skipped}",
                mend=_BY_HAND[self.kind],
            )

    @property
    def _packages(self) -> str:
        return f"{self.packages} {self.kind} {'package' if self.packages == 1 else 'packages'}"

    @property
    def _counted(self) -> str:
        return "a known advisory" if self.least is None else f"a known advisory of severity {self.least} or worse"

    @property
    def _skipped(self) -> str:
        return some([f"{name} ({why})" for name, why in self.skipped])


_WHOM = {"Python": "dependencies.advisories", "npm": "`npm config get registry audit`, where package.json lies"}
_BY_HAND = {
    "Python": "Look these up by hand, on https://osv.dev say.",
    "npm": "Run `npm audit` by hand where package.json lies, and see what it leaves out.",
}


def some(names: Sequence[str]) -> str:
    """The first of many, and how many more there are."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
