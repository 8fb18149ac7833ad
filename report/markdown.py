"""A run, or a review, as Markdown for a chat or an issue: the same story as the page's, and nothing of it is live.

Whoever attacked the site writes part of what is shown here. `said` is the one place that makes it harmless: no link, no
picture, no tag, no mention and no reference to an issue comes of it, in CommonMark and in what GitHub adds to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from report.changes import changes
from report.lines import OUTCOMES, Line, aside_by_reason, counts, identity, lines, verdict
from report.markup import LABELS, LONG, SIGNS, began, now_of, zone_of
from report.page_top import MOST_NAMES, NOTHING_EARLIER, compared_with, looked_at, since_of
from report.text import for_chat, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from report.changes import Past
    from report.lines import Result, Run
    from report.week import Row

MOST = 60_000
"""Characters of a page at most; GitHub takes 65,536."""
_ROOM = 200
_COMMAND = re.compile(r"`([^`]+)`")
# GitHub looks for these in what has been rendered, where an escaped character is one like any other.
_REFERENCES = ((re.compile(r"#(?=[0-9])"), "\uff03"), (re.compile(r"(?<=\bGH)-(?=[0-9])", re.IGNORECASE), "\u2011"))
_SPECIAL = re.compile(
    r"[\\*\[\]<>|~&#$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word it is nothing but itself
    r"|(?<=\w)\.(?=[^\W\d_]{2})"  # else some make a link of every name with a dot
    r"|(?<=/)/"
    r"|^(?:[-+=:]|[0-9]{1,9}(?P<list>[.)]))"
)


def said(text: str, limit: int = LONG) -> str:
    """Make a text safe for one line of Markdown; what stands in backticks becomes a span of code.

    Args:
        text: Anything, from anywhere.
        limit: The greatest length of what is shown of it, as for `plain`.
    """
    # Room at the beginning would make a block of code of it.
    shown, parts, end = plain(text, limit).strip(), [], 0
    for command in _COMMAND.finditer(shown):
        parts += [_escaped(shown[end : command.start()], limit), _code(command[1])]
        end = command.end()
    return "".join([*parts, _escaped(shown[end:], limit)])


def _escaped(text: str, limit: int) -> str:
    safe = for_chat(text, max(limit * 2, 64))
    for mark, instead in _REFERENCES:
        safe = mark.sub(instead, safe)
    # An escaped backtick beside a span's own would be counted with it by some.
    return _SPECIAL.sub(_backslash, safe).replace("`", "&#96;")


def _backslash(match: re.Match[str]) -> str:
    return f"{match[0][:-1]}\\{match[0][-1]}"


def _code(text: str) -> str:
    """A span of code, with a fence that is longer than any within."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    room = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{room}{text}{room}{fence}"


def page(
    results: Sequence[Result],
    run: Run,
    past: Past | None = None,
    guide: Mapping[str, str] | None = None,
    what_if: Iterable[str] = (),
) -> str:
    """The whole page, at most 60,000 characters; what has no room is left out by whole items, and that is said.

    Args:
        results: All results of the run, in the order in which they ran.
        run: What is true of all of them.
        past: What earlier runs said, and this one; None where nothing is known of them.
        guide: The section of every slug of the guide, in its order; empty where that isn't known.
        what_if: The sentences that answer `--what-if`.
    """
    number = counts(results)
    title = " · ".join(said(part, 120) for part in (run["target"], run["cadence"], began(run)) if part)
    tally = " · ".join(f"{LABELS[outcome]}: {number[outcome]}" for outcome in OUTCOMES)
    chapters: list[tuple[str, list[str]]] = [
        ("What needs you", list(_needs(results, run, past))),
        *_changed(results, run, past),
        ("Set aside", list(_aside(results))),
        ("Coming to a limit", [f"- {said(one)}\n" for one in _forecasts(run, past)]),
        ("What if", [f"- {said(one, 2000)}\n" for one in what_if]),
        *_week(run, past, guide or {}),
        ("Covered", [f"{said(looked_at(results, guide or {})[1])}.\n"]),
        ("Worth knowing", [f"- {said(one)}\n" for one in run["warnings"] if said(one)]),
    ]
    return _bounded(f"# {title}\n\n{said(verdict(results, run))}.\n\n{tally}\n", chapters)


def _bounded(head: str, chapters: Iterable[tuple[str, list[str]]]) -> str:
    """The chapters that have something to say, as long as there is room."""
    parts, room, left_out = [head], MOST - len(head) - _ROOM, 0
    for title, items in chapters:
        opening = f"\n## {title}\n\n"
        for item in items:
            size = len(opening) + len(item)
            if left_out or size > room:
                left_out += 1
                continue
            parts.append(f"{opening}{item}")
            room -= size
            opening = ""
    if left_out:
        parts.append(f"\n{left_out:,} more have no room here; the HTML report has all.\n")
    return "".join(parts)


def _needs(results: Sequence[Result], run: Run, past: Past | None) -> Iterator[str]:
    """An item for each cause."""
    found = lines(results)
    if not found:
        yield "Nothing.\n" if results else "Nothing ran, so that nothing is known.\n"
        return
    now, standings = now_of(run), past.standings if past is not None else {}
    for line in found:
        yield _finding(line, since_of(line.head, standings, now))


def _finding(line: Line, since: str) -> str:
    head = line.head
    beside = ", ".join(said(one) for one in (line.severity, since) if one)
    in_the_way = head["cause_text"] if head["cause_text"] not in head["message"] else ""
    listed = (("", head["message"]), ("In the way: ", in_the_way), ("Do: ", head["remedy"]), ("", line.waiting))
    first = f"- **{LABELS[head['outcome']]}** {said(identity(head))} ({beside})\n"
    # One with nothing in it would make a heading of the line above.
    return first + "".join(f"  - {name}{shown}\n" for name, text in listed if (shown := said(text)))


def _changed(results: Sequence[Result], run: Run, past: Past | None) -> Iterator[tuple[str, list[str]]]:
    since = compared_with(results, run, past)
    if past is None or not since:
        yield "Changed", [f"{NOTHING_EARLIER}\n"]
        return
    made = changes(results, past.standings)
    if not made:
        yield "Changed", [f"Nothing changed {said(since)}.\n"]
        return
    listed = [f"- {SIGNS[one.outcome]} {one.words}: {_names(one.names)}\n" for one in made]
    yield f"Changed {said(since)}", listed


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(said(name) for name in names[:MOST_NAMES]) + more


def _aside(results: Sequence[Result]) -> Iterator[str]:
    """What is set aside, by reason, which has the day until which it is."""
    for reason, names in aside_by_reason(results).items():
        yield f"- {_names(names)}: {said(reason) or 'no reason is given'}\n"


def _forecasts(run: Run, past: Past | None) -> list[str]:
    if past is None or not past.points:
        return []
    from report.trends import headlines

    return headlines(past.points, now_of(run), zone_of(run))


def _week(run: Run, past: Past | None, guide: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """What was not well on one of the last nights, as a table; the others are counted."""
    if past is None:
        return
    from report.week import folded_words, in_order, nights_of, title_of

    days, found = nights_of(past.told, zone_of(run))
    if not found:
        return
    rows = in_order(found, guide)
    seen = [row for row in rows if row.only not in ("holds", "set aside")]
    made = []
    if seen:
        heads = "".join(f" {day:%a} {day.day} {day:%b} |" for day in days)
        # With its first row, so that there is no head alone.
        made = [f"| {said(row.slug)} |{_cells(row)}\n" for row in seen]
        made[0] = f"| Expectation |{heads}\n| :-- |{' :-: |' * len(days)}\n{made[0]}"
    for outcome in ("holds", "set aside"):
        if folded := [row for row in rows if row.only == outcome]:
            words = folded_words(folded, outcome, len(days), others=len(folded) < len(rows))
            made.append(f"\n{words}.\n" if made else f"{words}.\n")
    yield title_of(len(days)), made


def _cells(row: Row) -> str:
    return "".join(f" {SIGNS[cell] if cell else '·'} |" for cell in row.cells)
