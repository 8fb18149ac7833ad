"""What an operator reads in the terminal: a line for each expectation, a few for what needs a person, one verdict.

Serves the guide's morning check-in and end-of-day check: nothing to read but the verdict when all is well. What is
made here are lines without line ends that are safe to print; `report.reporter` prints them.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from report.lines import OUTCOMES, Line, Outcome, Result, Run, counts, identity, lines, seconds, verdict
from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_LINES = 25
"""How many lines of broken and cannot-tell are spelled out; the report has the others."""
LONGEST_LINE = 120
"""Columns that are used of a wider terminal."""
SHORTEST_LINE = 40
"""Columns that are used of a narrower one."""
SLOW = 2.0
"""Seconds from which on it is said how long something took."""

LABELS = {"broken": "BROKEN", "cannot tell": "CAN'T TELL", "set aside": "SET ASIDE", "holds": "HOLDS"}
"""The four outcomes as a terminal says them."""
SIGNS = {"broken": "✗", "cannot tell": "?", "set aside": "○", "holds": "✓"}
"""The same in one character each; the word stands beside it, since not every terminal has them."""

_COLOURS = {"broken": "31;1", "cannot tell": "33;1", "set aside": "36", "holds": "32;1"}
_INDENT = "    "
_QUOTED = re.compile(r"`[^`]*`")
_HELD = "\0"  # no safe text has this character
_TEXT = 600
_COMMAND = 900
_CUT = "…"
_EXPLAINED = 4
_NAMES = 3
_INSTEAD = str.maketrans({"·": "-", "…": "...", "—": "-"})


def columns_of(width: int) -> int:
    """How many columns are used of a terminal that has so many."""
    return max(SHORTEST_LINE, min(width, LONGEST_LINE))


def writable(text: str, encoding: str) -> str:
    """A text in the characters that an output has; a `?` stands for what it has nothing like.

    Args:
        text: A line of this module, with escape sequences or without.
        encoding: Name of the output's encoding.
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_INSTEAD).encode(encoding, "replace").decode(encoding)
    return text


def heading(section: str, *, colour: bool) -> str:
    """A section of the guide, over the lines of its expectations."""
    text = plain(section)
    return f"\x1b[1m{text}\x1b[0m" if colour else text


def has_signs(encoding: str) -> bool:
    """Whether an output can show the signs of the outcomes; their words stand alone where it can't.

    Args:
        encoding: Name of the output's encoding.
    """
    try:
        "".join(SIGNS.values()).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def told(results: Sequence[Result], *, colour: bool, width: int, more: bool = False, signs: bool = True) -> list[str]:
    """One expectation in the guide's words: its outcome, and which of its items stand out.

    Args:
        results: The results of all its items; at least one.
        colour: Whether the terminal shows colours.
        width: Columns of the terminal.
        more: Whether to add what was seen and looked at, item by item.
        signs: Whether the terminal has the signs of the outcomes.
    """
    columns = columns_of(width)
    number = counts(results)
    outcome = next(one for one in OUTCOMES if number[one])
    # A sign is enough for what is as it should be: the words are for what stands out.
    word = LABELS[outcome] if outcome != "holds" else "" if signs else "holds:"
    label = f"{SIGNS[outcome] if signs else ''} {word}".strip()
    title = plain(results[0]["title"], _TEXT).rstrip(".")
    out = _wrapped(f"{label} {title}{_which(results, number)}", columns, "  ", _INDENT)
    out[0] = f"  {_painted(label, outcome, colour=colour)}{out[0][2 + len(label) :]}"
    for one in results if more else ():
        parts = [f"{name}: {plain(text, _TEXT)}" for name, text in _figures(one) if text]
        text = f"{plain(one['item'])}: {'; '.join(parts)}" if one["item"] else "; ".join(parts)
        out += _wrapped(text, columns, _INDENT, _INDENT * 2) if parts else []
    return out


def _figures(result: Result) -> list[tuple[str, str]]:
    if result["outcome"] in ("holds", "set aside"):
        return [("seen", result["seen"]), ("looked at", result["looked_at"])]
    return [("told", result["message"]), ("looked at", result["looked_at"])]


def _which(results: Sequence[Result], number: dict[Outcome, int]) -> str:
    """How many of the items hold, the names of those that don't, and the time if it was long."""
    parts = []
    if len(results) > 1:
        parts.append(f"{number['holds']} of {len(results)}")
        for outcome in OUTCOMES[:-1]:
            if number[outcome]:
                names = [plain(one["item"], 60) for one in results if one["outcome"] == outcome]
                parts.append(f"{LABELS[outcome].lower()}: {_names(names)}")
    elif results[0]["item"]:
        parts.append(plain(results[0]["item"], 60))
    took = sum(one["duration"] for one in results)
    if took > SLOW:
        parts.append(seconds(took))
    return f" ({'; '.join(parts)})" if parts else ""


def _names(names: Sequence[str], most: int = _NAMES) -> str:
    """Names in a row, as many as can be read at a glance."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def summary(
    results: Sequence[Result],
    run: Run,
    *,
    colour: bool,
    width: int,
    since: Callable[[Result], str] | None = None,
    changed: str = "",
    unseen: int = 0,
    whole: bool = False,
) -> list[str]:
    """What stands at the end of a run: what is broken or cannot be told, what is set aside, and the verdict.

    Args:
        results: All results of the run, in the order in which they ran.
        run: What is true of all of them.
        colour: Whether the terminal shows colours; without, no escape sequence is written.
        width: Columns of the terminal; text is wrapped at no more than 120 of them and no fewer than 40.
        since: Says since when a result is what it is; empty where that isn't known.
        changed: What has changed since the last run, in a sentence.
        unseen: How many expectations were to be looked at and were not, as the run was stopped.
        whole: Whether to explain everything at full length; else in four lines at 120 columns.

    Returns:
        Lines without line ends, safe to print.
    """
    columns = columns_of(width)
    found = lines(results)
    out: list[str] = []
    for line in found[:MOST_LINES]:
        out += [*_finding(line, since, colour=colour, columns=columns, whole=whole), ""]
    if len(found) > MOST_LINES:
        out += [f"and {len(found) - MOST_LINES} more lines like these, in the report", ""]
    if any(f" {_CUT}" in line for line in out):
        out += [*_wrapped(f"Where a line ends in {_CUT}, the report and -v have the rest.", columns, "", _INDENT), ""]
    out += _set_aside(results, colour=colour, columns=columns)
    for warning in run["warnings"]:
        out += _wrapped(f"Note: {plain(warning, _TEXT)}.".replace("..", "."), columns, "", _INDENT)
    out += _wrapped(plain(changed, _TEXT), columns, "", _INDENT)
    return out + ending(results, run, unseen, colour=colour, width=width)


def ending(results: Sequence[Result], run: Run, unseen: int, *, colour: bool, width: int) -> list[str]:
    """The verdict, as the last lines of a run; of a run that was stopped it says so. Arguments as of `summary`."""
    columns = columns_of(width)
    number = counts(results)
    worst = next((outcome for outcome in OUTCOMES[:2] if number[outcome]), "cannot tell" if unseen else "holds")
    if not number["holds"] and worst == "holds":
        worst = "set aside" if results else "cannot tell"
    stopped = f"; the run ended early, {unseen} of {unseen + len(results)} were not looked at" if unseen else ""
    sentence = _wrapped(plain(verdict(results, run), _TEXT) + f"{stopped}.", columns, "", _INDENT)
    return [_painted(part, worst, colour=colour) for part in sentence]


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


def _finding(
    line: Line, since: Callable[[Result], str] | None, *, colour: bool, columns: int, whole: bool
) -> list[str]:
    """What is so, since when and where the guide asks for it, who else waits, and what to do.

    What is broken gives way to what to do about it: of both, so much is shown as four lines at 120 columns have.
    """
    head = line.head
    label = LABELS[head["outcome"]]
    told_of = " ".join(filter(None, (plain(head["message"], _TEXT), _in_the_way(head))))
    what = f"{label} {plain(identity(head))} ({line.severity}): {told_of}"
    waiting, comma, others = plain(line.waiting, _TEXT).partition(", ")
    began = plain(since(head)) if since is not None else ""
    if len(waiting) + len(_INDENT) * 2 < columns:
        waiting = waiting.replace(" ", _HELD)  # how many wait, and for what, isn't torn apart
    guide = f"Guide: {plain(head['section'])}"
    do = _wrapped(f"Do: {plain(head['remedy'], _COMMAND)}", columns, _INDENT, _INDENT * 2)
    room = -(-_EXPLAINED * LONGEST_LINE // columns)
    beside = (began[:1].upper() + began[1:], guide, waiting + comma + others)
    first = _head(what, beside, columns, 10**6 if whole else room - min(len(do), room // 2))
    if not whole:
        do = _cut(do, room - len(first), columns)
    if colour:
        # The name may be wrapped anywhere but inside the label, which is why only the label is painted.
        first[0] = _painted(label, head["outcome"], colour=True) + first[0].removeprefix(label)
    return first + do


def _head(what: str, about: tuple[str, str, str], columns: int, room: int) -> list[str]:
    """What is so, and under it since when, where the guide asks for it, and who else waits.

    Where there is no room for that, it goes on in the same line; then without the place in the guide, which stands
    above the expectation's own line as well; then what is so is cut.
    """
    above = _wrapped(what, columns, "", _INDENT)
    beneath = _wrapped(" · ".join(filter(None, about)), columns, _INDENT, _INDENT * 2)
    if len(above) + len(beneath) <= room:
        return above + beneath
    began, guide, waiting = about
    for beside in ((began, guide, waiting), (began, waiting)):
        together = _wrapped(" · ".join(filter(None, (what, *beside))), columns, "", _INDENT)
        if len(together) <= room:
            return together
    known = _cut(_wrapped(" · ".join(filter(None, (began, waiting))), columns, "", ""), max(1, room // 2), columns)
    words = _held(" ".join(part.strip() for part in above[:room])).split(" ")
    while len(together) > room and len(words) > 1:
        words.pop()
        together = _wrapped(" ".join([*words, _CUT, *known]), columns, "", _INDENT)
    return together


def _cut(paragraph: list[str], most: int, columns: int) -> list[str]:
    """As many lines of a paragraph as there is room for; a command is there as a whole or not at all."""
    if len(paragraph) <= most:
        return paragraph
    *kept, last = paragraph[: max(most, 1)]
    words = _held(last).split(" ")
    while len(" ".join(words)) + len(_CUT) >= columns and len(words) > 1 and words[-2]:
        words.pop()
    return [*kept, f"{' '.join(words)} {_CUT}".replace(_HELD, " ")]


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
    wrapped = textwrap.wrap(
        _held(text),
        columns,
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace(_HELD, " ") for part in wrapped]


def _held(text: str) -> str:
    """A text whose commands have no space that it could be torn apart at."""
    return _QUOTED.sub(lambda quoted: quoted[0].replace(" ", _HELD), text)


def _painted(text: str, outcome: str, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if colour else text
