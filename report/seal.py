"""The last hand on a written HTML report: nothing in it can run or reach out but what belongs there.

pytest-html has no hook for the head of its page, and a browser honours a content security policy only there.
So the written page is gone over once: the policy names the scripts in it by their hashes, the style is ours
alone, and the filters say the project's words for the outcomes instead of pytest's. The page's own script is `page.js`.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from report.html import COLUMNS

_HEAD = re.compile(r"<html>\s*<head>.*?<title[^>]*>(.*?)</title>.*?</head>", re.DOTALL)
_MADE_BY = re.compile(r'<p>Report generated on [^<]*<a href="[^"]*">pytest-html</a>[^<]*</p>')
_RELOAD = re.compile(r' onclick="[^"]*"')
_FILTERS = re.compile(r'<div class="filters">.*?</div>', re.DOTALL)
_SPAN = re.compile(r'<td class="extra" colspan="[0-9]+">')
_TABLE = re.compile(r'<table id="results-table">')
_FOOT = re.compile(r'<section class="foot">.*?</section>')
_FOOTER = re.compile(r"<footer>")
_TITLE = re.compile(r'<h1 id="title">')
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)

_LABELS = {"failed": "✗ Broken", "error": "? Can't tell", "skipped": "○ Set aside", "passed": "✓ Holds"}
# pytest-html's script looks for a box of each of its words; those no expectation has are kept out of sight.
_UNUSED_WORDS = ("xfailed", "xpassed", "rerun")

_NO_SCRIPT = (
    "<noscript><p>The table of all results is drawn by a script in this file; the summary above is complete "
    "without it.</p></noscript>"
)


def seal(page: str) -> tuple[str, list[str]]:
    """Close a page that pytest-html has written.

    Afterwards the page is in English to a screen reader, fits a narrow screen, has no link to anywhere, and
    its content security policy refuses every request and every script but the two in it.

    Args:
        page: The whole page.

    Returns:
        The page, and a sentence for each part of it that was not found where pytest-html is known to put it;
        none is the rule. What was not found is left as it was.
    """
    missing: list[str] = []

    def swap(pattern: re.Pattern[str], new: str, part: str) -> None:
        nonlocal page
        # A function as replacement: a backslash in a style or a script then means itself.
        page, found = pattern.subn(lambda _: new, page, 1)
        if not found:
            missing.append(f"the HTML report has no {part}: a new pytest-html?")

    swap(_RELOAD, "", "button to reload it")
    swap(_FILTERS, _filters(), "row of filters")
    swap(_MADE_BY, "", "line that says how it was made")
    # pytest-html counts the two hidden columns too, and each of them would take its share of the width.
    swap(_SPAN, f'<td class="extra" colspan="{len(COLUMNS)}">', "row for the evidence")
    swap(_TABLE, f'{_NO_SCRIPT}<table id="results-table">', "table of results")
    foot = _FOOT.search(page)
    swap(_FOOT, "", "facts of the run")
    swap(_FOOTER, f"{foot[0] if foot else ''}</main><footer>", "foot")
    swap(_TITLE, '<main><h1 id="title">', "title")
    page = page.replace("</body>", f"<script>{_beside('page.js')}</script></body>")
    title = _HEAD.search(page)
    swap(_HEAD, _head(title[1] if title else "", _SCRIPT.findall(page)), "head")
    return page, missing


def seal_file(path: Path) -> list[str]:
    """Close the report in a file; a reader sees the page either as it was or sealed, never half of it.

    Args:
        path: The file that pytest-html has written, UTF-8.

    Returns:
        The sentences of `seal`, and one more where there is no such file.

    Raises:
        OSError: The file can't be read or its directory can't be written.
    """
    if not path.is_file():
        return [f"no HTML report was written to {path}"]
    page, missing = seal(path.read_text(encoding="utf-8"))
    # What a run that is killed leaves of it is known by that name, and cleared away by the next.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(page, encoding="utf-8")
    part.replace(path)
    return missing


def _head(title: str, scripts: list[str]) -> str:
    """The page's head, with the policy before everything it holds for; the title is HTML already."""
    style = _beside("style.css")
    allowed = " ".join(_source(script) for script in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f'<title id="head-title">{title}</title><style>{style}</style></head>'
    )


def _beside(name: str) -> str:
    """A file of this directory."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """A script or a style as a policy names it."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _filters() -> str:
    shown = "".join(
        f'<label><input name="filter_checkbox" type="checkbox" checked data-test-result="{word}"> {label}</label>'
        for word, label in _LABELS.items()
    )
    hidden = "".join(
        f'<input name="filter_checkbox" type="checkbox" checked hidden data-test-result="{word}">'
        for word in _UNUSED_WORDS
    )
    return (
        '<div class="search"><label for="search">Search</label>'
        '<input id="search" type="search" autocomplete="off" spellcheck="false" '
        'placeholder="words, also of the evidence">'
        '<span id="found" role="status" aria-live="polite"></span></div>'
        f'<div class="filters" role="group" aria-label="Outcomes to show">{shown}{hidden}</div>'
        '<button id="by_section" type="button">By section</button>'
    )
