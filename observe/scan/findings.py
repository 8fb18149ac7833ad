"""What a scanner found, and whether it has looked at enough to have found nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from observe.errors import CannotTell
from observe.scan.gate import CUT, ELSEWHERE, LEFT_OUT, WRITES
from target.kinds import Severity, say_share, say_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observe.scan.gate import Passed

LONGEST = 300
"""Characters of a text that a scanner tells of the site: whoever writes pages has a hand in it."""
MOST = 1000
"""So many findings of a report are kept, worst first."""
_SAID = 3


@dataclass(frozen=True)
class Finding:
    """One thing that a scanner found.

    Attributes:
        risk: How bad it is.
        name: What it is called.
        method: How it was asked for.
        path: Where, without the site's name.
        parameter: The parameter by which it was found; empty if by none.
        said: What the scanner says of it.
        repeat: How to see it again; empty if the scanner doesn't say.
        about: Its numbers in catalogs of weaknesses (CWE, OWASP's WSTG).
    """

    risk: Severity
    name: str
    method: str
    path: str
    parameter: str = ""
    said: str = ""
    repeat: str = ""
    about: str = ""

    @property
    def where(self) -> str:
        """The place, in one line."""
        return f"{self.method} {self.path}" + (f", parameter {self.parameter}" if self.parameter else "")

    @property
    def short(self) -> str:
        """The finding in a few words."""
        said = f": {bounded(self.said, 80)}" if self.said else ""
        return f"{self.name} ({self.risk}) at {bounded(self.where, 120)}{said}"

    def row(self) -> dict[str, str]:
        """The finding for the report."""
        return {
            "risk": self.risk,
            "what": self.name,
            "where": self.where,
            "it says": self.said,
            "see it again": self.repeat,
            "see": self.about,
        }


@dataclass(frozen=True)
class Report:
    """What a scanner says of its scan.

    Attributes:
        scanner: Its name and version.
        findings: What it found.
        ran: Which of its parts ran, where it says so.
        wanted: Which parts should have.
    """

    scanner: str
    findings: tuple[Finding, ...]
    ran: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """A scan that came to its end.

    Attributes:
        url: The site's address.
        report: What the scanner says.
        passed: What the gate let through.
        seconds: How long it took.
    """

    url: str
    report: Report
    passed: Passed
    seconds: float

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        passed, report = self.passed, self.report
        parts = f" ({len(report.ran)} modules: {', '.join(report.ran)})" if report.ran else ""
        forms = f"{passed.with_query} of them with parameters" if passed.with_query else "none of them with parameters"
        took = say_span(timedelta(seconds=round(self.seconds, 1)))
        return (
            f"{_number(passed.pages, 'page')} of {self.url}, {forms}; "
            f"{_number(passed.requests, 'request')} in {took}, by {report.scanner}{parts}"
        )

    def judged(self, risk: Severity, share: float) -> tuple[Finding, ...]:
        """What it found of that risk or worse, worst first.

        Args:
            risk: From which risk on a finding counts.
            share: Of the requests, so many must have been looked at by the site for nothing to mean that nothing is.

        Raises:
            CannotTell: If it found nothing of the kind and hasn't looked at enough.
        """
        found = tuple(one for one in self.report.findings if one.risk >= risk)
        if not found:
            self._must_be_whole(share)
        return found

    def _must_be_whole(self, share: float) -> None:
        passed, report = self.passed, self.report
        if passed.cut:
            bound = "scan.requests" if passed.cut == "requests" else "timeouts.scan"
            raise CannotTell(
                f"the scan was ended before its end, after {_number(passed.requests, 'request')}: {bound} was reached, "
                f"and {passed.refused.get(CUT, 0):,} more were asked for; nothing was found until then",
                mend=f"Raise {bound} (timeouts.scan has to fit scan.requests at scan.per_second); or name what needn't "
                "be looked at in scan.leave_out.",
            )
        if not passed.pages:
            raise CannotTell(
                f"{report.scanner} saw no page of {self.url}: {_number(passed.requests, 'request')}, "
                f"answers: {_answers(passed)}",
                mend="Name paths in scan.start that are answered with a page; if the site leads to another name (www., "
                "say), set site.url to that.",
            )
        if missing := [name for name in report.wanted if name not in report.ran]:
            raise CannotTell(
                f"{report.scanner} did not run {', '.join(missing)}, and nothing was found without",
                mend="See `wapiti --list-modules` for what yours has, and name those in scan.modules.",
            )
        if passed.turned_away > (1 - share) * passed.requests:
            raise CannotTell(
                f"the site turned {passed.turned_away:,} of {_number(passed.requests, 'request')} away "
                f"(answers: {_answers(passed)}), and nothing was found in the rest",
                mend="Lower scan.per_second below what the site's own limits let through; at least "
                f"{say_share(share)} must be looked at (coverage.scan).",
            )

    def said(self, found: Sequence[Finding]) -> str:
        """What was seen of the site, in one line."""
        below = len(self.report.findings) - len(found)
        rest = f"{_number(below, 'finding')} below that risk" if below else ""
        if not found:
            return f"nothing, and {rest}" if rest else "nothing"
        first = "; ".join(one.short for one in found[:_SAID])
        more = f" and {len(found) - _SAID:,} more" if len(found) > _SAID else ""
        return f"{first}{more}" + (f"; besides {rest}" if rest else "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What of it a reader should know besides, in words."""
        words = {
            ELSEWHERE: "for another place than the site",
            LEFT_OUT: "for what is left out (admin area, logins, scan.leave_out)",
            WRITES: "that could have changed something",
            CUT: "after a bound was reached",
        }
        refused = self.passed.refused
        said = [
            f"{refused[why]:,} requests {text} were not let through" for why, text in words.items() if why in refused
        ]
        if not self.passed.with_query:
            said.append(
                "no page with parameters was found, so that nothing could be tried on any: what no link leads to is "
                'seen only if scan.start names it, as in scan.start = ["/", "/search?q=x"]'
            )
        if len(self.report.findings) >= MOST:
            said.append(f"only the worst {MOST:,} findings are kept")
        return tuple(said)


def bounded(text: object, most: int = LONGEST) -> str:
    """A text of a report in one line, of bounded length; empty if it is none."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= most else f"{line[:most]} …"


def local(address: object) -> str:
    """The part of an address behind the site's name."""
    text = address if isinstance(address, str) else ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return bounded(text)
    return bounded((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings in the order in which they are told, not too many of them."""
    return tuple(sorted(findings, key=lambda one: (-one.risk.rank, one.name, one.path, one.parameter))[:MOST])


def items(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401  whatever a report has there
    """The objects of a list; nothing where a report has something else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _answers(passed: Passed) -> str:
    said = [f"{number:,} of {status}" for status, number in sorted(passed.answers.items())]
    if passed.unanswered:
        said.append(f"{passed.unanswered:,} without an answer")
    return ", ".join(said) or "nothing at all"


def _number(number: int, of: str) -> str:
    return f"{number:,} {of}{'' if number == 1 else 's'}"
