"""The one place where foreign text is made safe to show.

Log lines, paths, headers and names come from whoever attacked the site. Everything that reaches a terminal
or a report goes through `plain` or `html`; nothing else in the project escapes or strips.
"""

from __future__ import annotations

import re
from html import escape

LIMIT = 500
"""How many characters of a one-line field are shown unless told otherwise."""

_ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    # Titles, hyperlinks and device strings, but only those that end: else they would swallow what follows.
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_SPACES = re.compile(r"[^\S ]")
# Letters and marks to Unicode, hence printable to Python, and yet nothing is to be seen of them.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# A tower of accents is drawn over the lines above and below; four are more than any language piles up.
_PILED_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_MARKS = (
    (re.compile("<"), "\u2039"),
    (re.compile(">"), "\u203a"),
    (re.compile("@"), "\uff20"),
    (re.compile("://"), "[:]//"),
    (re.compile(r"(?<=[\w-])\.(?=[A-Za-z]{2,24}(?:/|:\d))|(?<=\bwww)\.", re.IGNORECASE), "[.]"),
    (re.compile(r"\](?=[\[(])(?!\[:\])"), "] "),
    (re.compile(r"\|(?=\|)"), "| "),
)
"""What a chat would make a mention, a tag, a link or hidden text of, and what is written instead."""
_ROOM = len(" … (999,999,999 more)")


def plain(text: str, limit: int = LIMIT) -> str:
    """Make a text safe for one line of a terminal or a plain-text file.

    Escape sequences, control characters, marks that change the direction of writing, characters without a
    shape and lone surrogates are taken out; a line break or a tab becomes a space. What is too long is cut,
    and says by how much. Doing it twice changes nothing.

    Args:
        text: Anything, from anywhere, of any length; only the beginning of a very long text is read.
        limit: The greatest length of what comes back, in characters, the remark on what was cut included; at
            least 32.

    Returns:
        One line of text. The remark counts what was cut; of what was never read, the characters as they came.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    read = text[: limit * 8]
    shown = _printable(read)
    unread = len(text) - len(read)
    if len(shown) <= limit and not unread:
        return shown
    kept = min(len(shown), limit - _ROOM)
    return f"{shown[:kept]} … ({len(shown) - kept + unread:,} more)"


def _printable(text: str) -> str:
    """The characters of a text that can be seen, on one line."""
    if not text.isprintable():
        text = _ESCAPE_SEQUENCES.sub("", text)
        text = _SPACES.sub(" ", _BREAKS.sub(" ", text))
        text = "".join(filter(str.isprintable, text))
    return text if text.isascii() else _PILED_MARKS.sub(r"\1", _INVISIBLE.sub("", text))


def for_chat(text: str, limit: int = LIMIT) -> str:
    """Make a text safe for a message, whatever its service makes of marks in it.

    Mentions, links with a scheme or a path, links behind other words, hidden text and tags are broken up with
    characters that look alike or are usual for it (`http[:]//`), and stay readable. Doing it twice changes nothing.

    Args:
        text: Anything, from anywhere.
        limit: The greatest length of what comes back, as for `plain`.

    Returns:
        The text of `plain` without `<`, `>`, `@`, `://`, `](` and `||`.
    """
    shown = plain(text, limit)
    for mark, instead in _MARKS:
        shown = mark.sub(instead, shown)
    return plain(shown, limit)


def html(text: str, limit: int = LIMIT) -> str:
    """Make a text safe for HTML, in an element as well as in a quoted attribute.

    Args:
        text: Anything, from anywhere.
        limit: The greatest number of characters shown, as for `plain`.

    Returns:
        The text of `plain`, escaped: one line without `<`, `>`, `"`, `'`, and with `&` only in entities.
    """
    return escape(plain(text, limit))


def block(text: str, *, lines: int = 200, limit: int = LIMIT) -> tuple[list[str], int]:
    """Split a text of many lines into safe ones.

    Args:
        text: Anything, from anywhere, such as a traceback or the captured output of a test.
        lines: The greatest number of lines kept; the last ones, since a traceback ends with what happened.
        limit: The greatest length of each line, in characters.

    Returns:
        The lines, each as `plain` makes it with its indentation kept, and how many were left out before them.
    """
    every = text.rstrip("\n").split("\n") if text else []
    kept = every[-lines:]
    return [plain(line[: limit * 9].expandtabs(4), limit) for line in kept], len(every) - len(kept)
