"""The evidence of a result as HTML: what was seen, its tables, pictures and excerpts, each of them bounded.

No fragment made here contains a line break, for the reason that `report.html` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from report.bars import bars
from report.markup import facts, marked
from report.text import block, html, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.lines import Result

MOST_ROWS = 200
"""How many rows of a table of evidence, and how many lines of an excerpt, are shown."""


def evidence(result: Result) -> list[str]:
    """What was seen, in the order in which a person asks: what, why, from where, then the raw material."""
    holds = result["outcome"] in ("holds", "set aside")
    listed = [
        ("In the way", html(result["cause_text"]) if result["cause_text"] not in result["message"] else ""),
        ("Guide", " — ".join(part for part in (html(result["section"]), marked(result["guide"])) if part)),
        ("If it breaks", marked(result["remedy"]) if holds else ""),
        ("Cadence", html(", ".join(result["cadences"]))),
    ]
    notes = "".join(f"<li>{marked(note)}</li>" for note in result["notes"])
    parts = [
        f'<p class="message">{marked(result["message"])}</p>' if result["message"] else "",
        facts(listed),
        f'<ul class="notes">{notes}</ul>' if notes else "",
        *_pictures_and_tables(result),
    ]
    for excerpt in result["excerpts"]:
        shown = [plain(line) for line in excerpt["lines"][:MOST_ROWS]]
        left_out = excerpt["left_out"] + len(excerpt["lines"]) - len(shown)
        parts.append(pre(excerpt["title"], shown, left_out))
    if result["traceback"]:
        parts.append(folded("The check itself crashed: its traceback", *block(result["traceback"])))
    return parts


def _pictures_and_tables(result: Result) -> list[str]:
    """The tables and charts of a result."""
    return [
        *(_table(table["title"], table["columns"], table["rows"]) for table in result["tables"]),
        *(bars(chart["points"], chart["title"], chart["unit"]) for chart in result["charts"]),
    ]


def chapter(result: Result) -> str:
    """What stands in the report by itself, under a title of its own."""
    return (
        f'<section class="chapter"><h2>{html(result["chapter"])}</h2>{"".join(_pictures_and_tables(result))}</section>'
    )


def inventory(result: Result, sections: int) -> str:
    """What is to be found when the evidence is unfolded, counted."""
    kinds = (
        (len(result["notes"]), "note", "notes"),
        (len(result["tables"]), "table", "tables"),
        (len(result["charts"]), "chart", "charts"),
        (len(result["excerpts"]), "excerpt", "excerpts"),
        (1 if result["traceback"] else 0, "traceback", ""),
        (sections, "captured output", "captured outputs"),
    )
    counted = [f"{number} {one if number == 1 else many}" for number, one, many in kinds if number]
    return f"Evidence{': ' + ', '.join(counted) if counted else ''}"


def _table(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in row)}</tr>" for row in rows[:MOST_ROWS])
    left_out = f"<p>{len(rows) - MOST_ROWS:,} more rows left out</p>" if len(rows) > MOST_ROWS else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html(name)}">'
        f"<table><caption>{html(name)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{left_out}"
    )


def pre(name: str, shown: Sequence[str], left_out: int) -> str:
    """Lines as they were written; `&#10;` is the line break that pytest-html's script does not see."""
    cut = f" <small>{left_out:,} more lines left out</small>" if left_out else ""
    text = "&#10;".join(html(line) for line in shown)
    return f'<figure><figcaption>{html(name)}{cut}</figcaption><pre tabindex="0">{text}</pre></figure>'


def folded(name: str, shown: Sequence[str], left_out: int) -> str:
    """The same, folded under its name."""
    return f"<details><summary>{html(name)}</summary>{pre('', shown, left_out)}</details>"
