"""What an operator reads in the terminal: a few lines for each thing that needs a person, then one verdict.

Serves the guide's morning check-in and end-of-day check: nothing to read but the verdict when all is well.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from report.lines import Line, Result, Run, counts, identity, lines, verdict
from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LINES = 25
"""How many lines of broken and cannot-tell are spelled out; the report has the others."""

LABELS = {"broken": "BROKEN", "cannot tell": "CAN'T TELL", "set aside": "SET ASIDE", "holds": "HOLDS"}
"""The four outcomes as a terminal says them."""

_COLOURS = {"broken": "31;1", "cannot tell": "33;1", "set aside": "36", "holds": "32;1"}
_INDENT = "    "
_QUOTED = re.compile(r"`[^`]*`")
_HELD = "\0"  # no safe text has this character
_TEXT = 600
_COMMAND = 900


def summary(results: Sequence[Result], run: Run, *, colour: bool, width: int) -> list[str]:
    """What stands at the end of a run: what is broken or cannot be told, what is set aside, and the verdict.

    Args:
        results: All results of the run, in the order in which they ran.
        run: What is true of all of them.
        colour: Whether the terminal shows colours; without, no escape sequence is written.
        width: Columns of the terminal; text is wrapped at no more than 120 of them and no fewer than 40.

    Returns:
        Lines without line ends, safe to print.
    """
    columns = max(40, min(width, 120))
    found = lines(results)
    out: list[str] = []
    for line in found[:MOST_LINES]:
        out += [*_finding(line, colour=colour, columns=columns), ""]
    if len(found) > MOST_LINES:
        out += [f"and {len(found) - MOST_LINES} more lines like these, in the report", ""]
    out += _set_aside(results, colour=colour, columns=columns)
    for warning in run["warnings"]:
        out += _wrapped(f"Note: {plain(warning, _TEXT)}.".replace("..", "."), columns, "", _INDENT)
    number = counts(results)
    worst = next((outcome for outcome in ("broken", "cannot tell") if number[outcome]), "holds")
    if not number["holds"] and worst == "holds":
        worst = "set aside"
    sentence = _wrapped(plain(verdict(results, run), _TEXT) + ".", columns, "", _INDENT)
    return out + [_painted(part, worst, colour=colour) for part in sentence]


def failure_text(result: Result) -> str:
    """What stands in place of a traceback for a result that is broken or cannot be told.

    Args:
        result: The result; of another outcome it is described just as well.

    Returns:
        At most six lines without a line end after the last: what is so, what was expected and seen and where
        the limits come from, what was looked at, what is in the way, the place in the guide, what to do.
    """
    limits = "; ".join(
        f"{plain(limit['name'])} = {plain(limit['value'])} ({plain(limit['origin'])})" for limit in result["limits"]
    )
    held = [("expected", result["expected"]), ("seen", result["seen"]), ("limit", limits)]
    figures = "; ".join(f"{name}: {plain(text, 300)}" for name, text in held if text)
    crash = result["traceback"].rstrip().rpartition("\n")[2]
    parts = [
        plain(result["message"], _TEXT),
        figures[:1].upper() + figures[1:],
        f"Looked at: {plain(result['looked_at'])}" if result["looked_at"] else "",
        _in_the_way(result) or (f"The check itself crashed: {plain(crash)}" if crash else ""),
        f"Guide: {plain(result['section'])}",
        f"Do: {plain(result['remedy'], _COMMAND)}",
    ]
    return "\n".join(part for part in parts if part)


def _finding(line: Line, *, colour: bool, columns: int) -> list[str]:
    """The head of a line with its place in the guide, what to do, and who else waits."""
    head = line.head
    label = LABELS[head["outcome"]]
    name = f"{label} {plain(identity(head))} ({line.severity}): "
    first = _wrapped(name + plain(head["message"], _TEXT), columns, "", _INDENT)
    if colour:
        # The name may be wrapped anywhere but inside the label, which is why only the label is painted.
        first[0] = _painted(label, head["outcome"], colour=True) + first[0].removeprefix(label)
    told = [
        f"Guide: {plain(head['section'])}",
        _in_the_way(head),
        f"Do: {plain(head['remedy'], _COMMAND)}",
        plain(line.waiting, _TEXT),
    ]
    for part in filter(None, told):
        first += _wrapped(part, columns, _INDENT, _INDENT * 2)
    return first


def _in_the_way(result: Result) -> str:
    """What keeps the check from seeing, unless its message says so already."""
    if not result["cause_text"] or result["cause_text"] in result["message"]:
        return ""
    return f"In the way: {plain(result['cause_text'], _TEXT)}"


def _set_aside(results: Sequence[Result], *, colour: bool, columns: int) -> list[str]:
    """Everything that is set aside, each with its reason: nothing is set aside silently."""
    aside = [result for result in results if result["outcome"] == "set aside"]
    out: list[str] = []
    for result in aside:
        label = LABELS["set aside"]
        reason = plain(result["reason"], _TEXT) or "no reason is given"
        wrapped = _wrapped(f"{label} {plain(identity(result))}: {reason}", columns, "", _INDENT)
        out += [_painted(label, "set aside", colour=colour) + wrapped[0].removeprefix(label), *wrapped[1:]]
    return [*out, ""] if out else []


def _wrapped(text: str, columns: int, first: str, following: str) -> list[str]:
    """A safe text in lines of so many columns; what stands in backticks stays whole and can be copied."""
    whole = _QUOTED.sub(lambda quoted: quoted[0].replace(" ", _HELD), text)
    wrapped = textwrap.wrap(
        whole,
        columns,
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace(_HELD, " ") for part in wrapped]


def _painted(text: str, outcome: str, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if colour else text
