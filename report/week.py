"""The week as a matrix: what the last nights said of each expectation of the guide.

A row for each slug, which is as bad as the worst of its items, a column for each of the last days on which there was a
run. Of several runs of a day the last one counts that looked at the slug. What held on every night is folded, so that
what matters is seen; nothing is left out.

No fragment made here contains a line break, for the reason that `report.html` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from report.lines import OUTCOMES
from report.markup import LABELS, SIGNS, WORDS, css, link
from report.text import html

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, tzinfo

    from report.chronicle import Told
    from report.lines import Outcome

NIGHTS = 7
"""How many days with a run are shown unless told otherwise."""
ELSEWHERE = "No longer in the guide"


class Row(NamedTuple):
    """What the nights said of a slug.

    Attributes:
        slug: Which.
        cells: An outcome for each day, the earliest first; None where nobody looked.
    """

    slug: str
    cells: tuple[Outcome | None, ...]

    @property
    def only(self) -> Outcome | None:
        """The one outcome that it had whenever it was looked at; None if there were several."""
        seen = {cell for cell in self.cells if cell is not None}
        return next(iter(seen)) if len(seen) == 1 else None


def nights_of(told: Iterable[Told], zone: tzinfo, nights: int = NIGHTS) -> tuple[list[date], list[Row]]:
    """What the last days with a run said of each slug.

    Args:
        told: What the runs said, by time.
        zone: The zone in which days are counted.
        nights: How many days at most.

    Returns:
        The days, the earliest first, and a row for every slug that was looked at on one of them, in no order.
    """
    days: list[date] = []
    chosen: dict[tuple[str, date], tuple[str, Outcome]] = {}
    last, day = None, None
    for one in reversed(list(told)):
        # All that a run said has the same time, and turning times into days is what takes long.
        if one.at != last or day is None:
            last, day = one.at, one.at.astimezone(zone).date()
        if day not in days:
            if len(days) == nights:
                break
            days.append(day)
        known = chosen.get((one.slug, day))
        if known is None or (known[0] == one.token and OUTCOMES.index(one.outcome) < OUTCOMES.index(known[1])):
            chosen[one.slug, day] = one.token, one.outcome
    days.sort()
    slugs = dict.fromkeys(slug for slug, _ in chosen)
    rows = [Row(slug, tuple(chosen[slug, one][1] if (slug, one) in chosen else None for one in days)) for slug in slugs]
    return days, rows


def in_order(rows: Iterable[Row], guide: Iterable[str]) -> list[Row]:
    """The rows in the order of the guide's slugs; what isn't in it comes last, by name."""
    place = {slug: number for number, slug in enumerate(guide)}
    return sorted(rows, key=lambda row: (place.get(row.slug, len(place)), row.slug))


def week(
    told: Iterable[Told], guide: Mapping[str, str], zone: tzinfo, names: Mapping[str, str], nights: int = NIGHTS
) -> str:
    """The matrix of the last nights.

    Args:
        told: What the runs said, by time, the present one's included.
        guide: The section of every slug, in the guide's order.
        zone: The zone in which days are counted.
        names: Of each slug that has a row in the report, the name of that row.
        nights: How many days at most.

    Returns:
        One `section` element of safe HTML; empty where there was no run.
    """
    days, found = nights_of(told, zone, nights)
    if not found:
        return ""
    rows = in_order(found, guide)
    seen = [row for row in rows if row.only not in ("holds", "set aside")]
    parts = [
        f'<section class="week" id="week"><h2>{title_of(len(days))}</h2>',
        f'<p class="legend">{_legend()}</p>',
        _table(days, seen, guide, names, "What was not well on one of them") if seen else "",
    ]
    for outcome in ("holds", "set aside"):
        if folded := [row for row in rows if row.only == outcome]:
            words = folded_words(folded, outcome, len(days), others=len(folded) < len(rows))
            table = _table(days, folded, guide, names, words)
            parts.append(f'<details class="folded"><summary>{words}</summary>{table}</details>')
    return f"{''.join(parts)}</section>"


def title_of(days: int) -> str:
    """What the matrix of so many days is called."""
    return f"The last {days} nights" if days > 1 else "The last night"


def folded_words(rows: Sequence[Row], outcome: str, days: int, *, others: bool) -> str:
    """What rows that were the same on every night have in common, in words."""
    one = len(rows) == 1
    who = f"{len(rows)} {'other' if one else 'others'}" if others else f"All {len(rows)}" if not one else "The one"
    did = "held" if outcome == "holds" else "was set aside" if one else "were set aside"
    if days == 1:
        return f"{who} {did}"
    looked = f" that {'it was' if one else 'they were'} looked at"
    gaps = any(None in row.cells for row in rows)
    return f"{who} {did} on every night{looked if gaps else ''}"


def _legend() -> str:
    listed = [f'<span class="{css(outcome)}">{html(LABELS[outcome].lower())}</span>' for outcome in OUTCOMES]
    return ", ".join([*listed, "<span>· not looked at</span>"])


def _table(
    days: Sequence[date], rows: Sequence[Row], guide: Mapping[str, str], names: Mapping[str, str], caption: str
) -> str:
    head = "".join(f'<th scope="col">{day:%a} <span>{day.day} {day:%b}</span></th>' for day in days)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(guide.get(row.slug, ELSEWHERE), []).append(row)
    bodies = "".join(
        f'<tbody><tr><th scope="rowgroup" colspan="{len(days) + 1}">{html(section)}</th></tr>'
        f"{''.join(_row(row, names) for row in mine)}</tbody>"
        for section, mine in groups.items()
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html(caption)}">'
        f'<table class="nights"><caption class="unseen">{html(caption)}</caption>'
        f'<thead><tr><th scope="col">Expectation</th>{head}</tr></thead>{bodies}</table></div>'
    )


def _row(row: Row, names: Mapping[str, str]) -> str:
    name = names.get(row.slug)
    said = link(name, row.slug) if name else html(row.slug)
    return f'<tr><th scope="row">{said}</th>{"".join(map(_cell, row.cells))}</tr>'


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return '<td class="nobody"><span aria-hidden="true">·</span><span class="unseen">not looked at</span></td>'
    word = html(WORDS[outcome].lower())
    return (
        f'<td class="{css(outcome)}"><span aria-hidden="true">{SIGNS[outcome]}</span>'
        f'<span class="unseen">{word}</span></td>'
    )
