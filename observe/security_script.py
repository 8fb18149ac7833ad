"""The project's own security check, run as a person would run it before a deployment, and judged by its end.

Serves the guide's monthly (and quarterly) `./pre-deployment-security-check.sh`. Such a script can end early, before
its summary, and where the last thing it did was harmless its status is 0 all the same. So its end is asked for twice:
by its status, and by its last lines.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from observe.files import may_execute
from target.kinds import say_span

if TYPE_CHECKING:
    from pathlib import Path

    from observe.host import Host
    from observe.program import Printed

_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_FAILURE = re.compile(
    r"\b(?:FAIL(?:ED|URE|S)?|ERROR|CRITICAL|FATAL|VIOLATION|NOT OK|DENIED|not found)\b|[✗✘❌✖]|\[\s*[xX!]\s*\]"
    r"|^\s*(?:[Ff]ail(?:ed|ure)?|[Ee]rror)\b"
)
_NONE_FAILED = re.compile(r"(?i)\b(?:0|no) (?:\w+ )?(?:fail\w*|errors?)\b|\b(?:fail\w*|errors?)\s*[:=]\s*0\b")
_LAST_LINES = 40
"""In so many of its last lines the summary is looked for."""
_HELD = 40
_LONGEST = 300
_SHOWN = 5


@dataclass(frozen=True)
class ScriptRun:
    """How the script ended, and what it said.

    Attributes:
        path: The script.
        status: Its exit status, negative for the signal that ended it; None when it was ended at its time limit.
        seconds: How long it ran.
        limit: Its time limit, in seconds.
        head: Its first lines, or all of them.
        tail: Its last lines, when some were left out before them.
        left_out: How many bytes were.
        summary: The line that shows that it came to its end; empty if there is none.
        failures: Lines that look like failed checks, the first ones.
        failed: How many of them there are.
    """

    path: Path
    status: int | None
    seconds: float
    limit: float
    head: tuple[str, ...]
    tail: tuple[str, ...]
    left_out: int
    summary: str
    failures: tuple[str, ...]
    failed: int

    @property
    def lines(self) -> tuple[str, ...]:
        """What it said, with a word about what was left out in the middle."""
        if not self.left_out:
            return self.head
        return (*self.head, f"… {self.left_out:,} bytes left out …", *self.tail)

    @property
    def shown(self) -> tuple[str, ...]:
        """So many lines as a report holds: the first and the last."""
        lines = self.lines
        if len(lines) <= _HELD:
            return lines
        half = _HELD // 2
        return (*lines[: half - 1], f"… {len(lines) - _HELD + 1:,} lines left out …", *lines[-half:])

    @property
    def last(self) -> str:
        """The last thing that it said; empty if it said nothing."""
        return next((line.strip() for line in reversed(self.lines) if line.strip()), "")

    @property
    def passed(self) -> bool:
        """Whether it came to its end and found nothing."""
        return self.status == 0 and bool(self.summary)

    @property
    def looked_at(self) -> str:
        """The denominator in words."""
        number = sum(1 for line in self.lines if line.strip())
        said = "1 line" if number == 1 else f"{number:,} lines"
        return f"{self.path.name} in {self.path.parent}: {said} in {say_span(timedelta(seconds=self.seconds))}"

    @property
    def said(self) -> str:
        """How it ended, in words."""
        if self.status is None:
            return f"still ran after {say_span(timedelta(seconds=self.limit))}; {self._last_words}"
        ended = f"ended by signal {-self.status}" if self.status < 0 else f"ended with status {self.status}"
        if not self.summary:
            return f"{ended} early, before its summary; {self._last_words}"
        if self.status == 0:
            return f"{ended}: {self.summary}"
        found = "; ".join(self.failures[:_SHOWN])
        more = f" and {self.failed - _SHOWN} more" if self.failed > _SHOWN else ""
        return f"{ended}: {found}{more}" if found else f"{ended}: {self.summary}"

    @property
    def _last_words(self) -> str:
        return f"the last that it said: {self.last}" if self.last else "it said nothing"


def run_security_script(host: Host, script: Path, summary: re.Pattern[str], seconds: float) -> ScriptRun:
    """Run the script in its own directory, without a terminal and with nothing to read.

    Args:
        host: The host that it is on.
        script: The file.
        summary: What its last lines have when it came to its end.
        seconds: Total time limit, in seconds.

    Raises:
        CannotTell: If it isn't there, or can't be started.
    """
    _must_be_runnable(script)
    ended = host.run_operators_script(script, seconds)
    head, tail = _lines(ended.out.head), _lines(ended.out.tail)
    every = (*head, *tail)
    failures = [line.strip() for line in every if _FAILURE.search(line) and not _NONE_FAILED.search(line)]
    return ScriptRun(
        path=script,
        status=ended.status,
        seconds=ended.seconds,
        limit=seconds,
        head=head,
        tail=tail,
        left_out=ended.out.left_out,
        summary=_summary(ended.out, summary),
        failures=tuple(failures[:_HELD]),
        failed=len(failures),
    )


def _must_be_runnable(script: Path) -> None:
    mend = "Put it there, or name it in project.security_script; or say under [not_applicable] why there is none."
    try:
        seen = script.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise CannotTell(f"there is no {script.name} in {script.parent}", mend=mend) from None
    except OSError as error:
        raise CannotTell(f"{script} can't be looked at: {error.strerror}") from None
    if not stat.S_ISREG(seen.st_mode):
        raise CannotTell(f"{script} is no file", mend=mend)
    if not may_execute(script):
        raise CannotTell(f"{script} may not be executed", mend=f"chmod +x '{script}'")


def _lines(text: str) -> tuple[str, ...]:
    """The lines as a person sees them: without colours, and of a line that is written over, its last state."""
    plain = _COLOURS.sub("", text).replace("\r\n", "\n")
    return (
        tuple(line.rstrip().rpartition("\r")[2][:_LONGEST] for line in plain.rstrip("\n").split("\n")) if plain else ()
    )


def _summary(printed: Printed, pattern: re.Pattern[str]) -> str:
    """The line that its last lines have at its end."""
    last = "\n".join(_lines(printed.tail or printed.head)[-_LAST_LINES:])
    found = pattern.search(last)
    if found is None:
        return ""
    begins = last.rfind("\n", 0, found.end()) + 1
    ends = last.find("\n", found.end())
    return last[begins : ends if ends >= 0 else len(last)].strip()
