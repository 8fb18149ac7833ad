"""The report of several targets: one self-contained page with a row for each, and the same as JSON.

It is no page of pytest-html's: that draws its table by a script, and gives a row one fold, where an operator of twenty
targets wants all of them on a screen. This one has no script at all, so that its policy refuses every one. Each row
leads to the target's own report.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from report.ctrf import SPECIFICATION, STATUS
from report.fleet_terminal import MOST_LINES, shared, verdict
from report.lines import OUTCOMES, identity, seconds
from report.markup import LABELS, LONG, began, css, facts, label, marked
from report.text import html, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.fleet import Facts
    from report.members import Look

COLUMNS = ("Target", "Outcome", "Broken", "Can't tell", "Set aside", "Holds", "What needs you", "Changed", "Looked at")


def page(looks: Sequence[Look], about: Facts, directory: Path) -> bytes:
    """The page.

    Args:
        looks: All targets, what needs a person first.
        about: What is true of all.
        directory: Where the page will lie, from which the links to the targets' own reports lead.

    Returns:
        HTML in UTF-8.
    """
    title = f"Fleet · {about.total} targets · {about.cadence} · {about.started:%Y-%m-%d %H:%M %Z}"
    heads = "".join(f'<th scope="col">{html(one)}</th>' for one in COLUMNS)
    rows = "".join(_row(look, directory) for look in looks)
    body = (
        f"<main><h1>{html(title)}</h1>"
        f'<p class="verdict">{html(verdict(looks, about), LONG)}.</p>{_tiles(looks)}{_shared(looks)}'
        f'<h2 id="targets">Targets, what needs you first</h2>'
        f'<table class="fleet" aria-labelledby="targets"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        f"{_foot(about)}</main>"
    )
    return f"<!DOCTYPE html>\n{_head(title)}<body>{body}</body></html>\n".encode()


def _head(title: str) -> str:
    """The page's head, with the policy before everything it holds for."""
    style = "".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("style.css", "fleet.css"))
    source = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{source}'; base-uri 'none'; form-action 'none'"
    return (
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{html(title)}</title><style>{style}</style></head>"
    )


def _tiles(looks: Sequence[Look]) -> str:
    """How many targets there are of each outcome."""
    number = {outcome: sum(look.outcome == outcome for look in looks) for outcome in OUTCOMES}
    tiles = "".join(
        f'<li class="{css(outcome)}{"" if count else " none"}"><b>{count}</b> {html(LABELS[outcome])}</li>'
        for outcome, count in number.items()
    )
    return f'<div class="bar"><ul class="counts">{tiles}</ul></div>'


def _shared(looks: Sequence[Look]) -> str:
    """What several targets have in common that needs a person: one line for each."""
    known = {look.name: look for look in looks}
    made = "".join(
        f"<li>{label(one.outcome)} <b>{html(one.name)}</b> <small>{html(one.severity)}</small> "
        f"on {len(one.targets)} of {len(looks)}: {', '.join(_anchor(known[name]) for name in one.targets)}</li>"
        for one in shared(looks)
    )
    return f'<section><h2>On several targets</h2><ul class="aside">{made}</ul></section>' if made else ""


def _anchor(look: Look) -> str:
    """A link to a target's row."""
    return f'<a href="#{html(quote(plain(look.name)))}">{html(look.name)}</a>'


def _row(look: Look, directory: Path) -> str:
    """A target: how it stands, what needs a person, what has changed, and the way to its own report."""
    name = html(look.name)
    if look.page is not None:
        address = quote(os.path.relpath(look.page, directory))
        # A name with a colon in front of the first slash would be read as a scheme.
        name = f'<a href="./{html(address, 4000)}">{name}</a>'
    counts = [str(count) if look.results else "?" for count in look.number.values()]
    at = began(look.run) if look.run is not None else f"{look.began.astimezone():%Y-%m-%d %H:%M %Z}"
    looked = f"{html(at)} <br><small>for {seconds(look.seconds)}</small>" if look.seconds else "not looked at"
    changed = html(look.changed, LONG) if look.changed else "<small>nothing earlier is known</small>"
    cells = [
        ("outcome", label(look.outcome)),
        *(
            (f"count {css(outcome)}{'' if count not in ('0', '?') else ' none'}", count)
            for outcome, count in zip(OUTCOMES, counts, strict=True)
        ),
        (f"needs{'' if look.lines or look.problem else ' none'}", _needs(look)),
        (f"changed{'' if look.changed else ' none'}", changed),
        ("looked", looked),
    ]
    made = "".join(
        f'<td class="{kind}" data-label="{html(head)}">{value}</td>'
        for (kind, value), head in zip(cells, COLUMNS[1:], strict=True)
    )
    return f'<tr id="{html(look.name)}" class="{css(look.outcome)}"><th scope="row">{name}</th>{made}</tr>'


def _needs(look: Look) -> str:
    """The worst of what needs a person; nothing where all is well."""
    items = [f"<li>{html(look.problem, LONG)}</li>"] if look.problem else []
    known = look.lines
    for line in known[:MOST_LINES]:
        head = line.head
        waiting = f" <small>{html(line.waiting, LONG)}</small>" if line.folded else ""
        items.append(
            f'<li><b class="{css(head["outcome"])}">{html(LABELS[head["outcome"]])}</b> '
            f"<b>{html(identity(head))}</b> <small>{html(line.severity)}</small><br>"
            f"{marked(head['message'])}{waiting}</li>"
        )
    if len(known) > MOST_LINES:
        items.append(f"<li>and {len(known) - MOST_LINES} more in its own report</li>")
    return f"<ul>{''.join(items)}</ul>" if items else "nothing"


def _foot(about: Facts) -> str:
    notes = "".join(f"<li>{marked(one)}</li>" for one in about.notes)
    listed = [
        ("Cadence", html(about.cadence)),
        ("Begun", html(f"{about.started:%Y-%m-%d %H:%M %Z}, for {seconds(about.seconds)}")),
        ("At once", html(f"{about.at_once} of {about.total} targets")),
        ("Version", html(about.version)),
    ]
    worth = f'<h2>Worth knowing</h2><ul class="warnings">{notes}</ul>' if notes else ""
    return f'{worth}<section class="foot"><h2>About this run</h2>{facts(listed)}</section>'


def document(looks: Sequence[Look], about: Facts, directory: Path) -> bytes:
    """The same as JSON in the Common Test Report Format, with a test for each target.

    Args:
        looks: All targets, what needs a person first.
        about: What is true of all.
        directory: Where the file will lie, from which the paths of the targets' own reports lead.
    """
    number = {outcome: sum(look.outcome == outcome for look in looks) for outcome in OUTCOMES}
    tests = [
        {
            "name": plain(look.name),
            "status": STATUS[look.outcome],
            "rawStatus": look.outcome,
            "duration": round(look.seconds * 1000),
            "message": plain(look.problem or (look.lines[0].head["message"] if look.lines else ""), 4000),
            "extra": {
                "outcomes": look.number,
                "unseen": look.unseen,
                "changed": plain(look.changed, LONG),
                "needs": [identity(line.head) for line in look.lines],
                "report": os.path.relpath(look.page, directory) if look.page is not None else "",
                "settings": str(look.member.file),
            },
        }
        for look in looks
    ]
    summary = {
        "tests": len(looks),
        **{STATUS[outcome]: count for outcome, count in number.items()},
        "pending": 0,
        "start": round(about.started.timestamp() * 1000),
        "stop": round(about.ended.timestamp() * 1000),
        "extra": {"outcomes": number, "verdict": verdict(looks, about)},
    }
    tool = {"name": "synk-operations-checks", "version": about.version}
    made = {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        "timestamp": about.ended.isoformat(timespec="milliseconds"),
        "generatedBy": tool["name"],
        "results": {"tool": tool, "summary": summary, "tests": tests},
    }
    return json.dumps(made, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"
