"""Foreign text is harmless on a terminal and in HTML, whatever it is."""

from __future__ import annotations

import time
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofs.report.samples import HOSTILE
from report import text

# Lone surrogates too: they come from file names that are no UTF-8.
ANYTHING = st.text(st.characters(), max_size=300) | st.lists(
    st.sampled_from(["\x1b", "[", "]", "31m", "\x9b", "\x07", "\\", "\u202e", "\u200b", "\n", "<", "&", "é", "a "])
).map("".join)
LIMITS = st.integers(32, 400)


class Texts(HTMLParser):
    """Collects what a browser would show, and every tag that it would make of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shown = ""
        self.tags: list[str] = []

    def handle_data(self, data: str) -> None:
        self.shown += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(f"{tag} {attrs}")

    def handle_comment(self, data: str) -> None:
        self.tags.append(data)

    def handle_decl(self, decl: str) -> None:
        self.tags.append(decl)


def parsed(fragment: str) -> Texts:
    parser = Texts()
    parser.feed(fragment)
    parser.close()
    return parser


def hidden(shown: str) -> list[str]:
    return [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


@given(ANYTHING, LIMITS)
@example("\x1b\x1b[31m[31m", 40)
@example("\x1b]0;x\x1b]0;y\x07", 40)
def test_plain_text_is_one_line_that_can_be_seen(foreign: str, limit: int) -> None:
    shown = text.plain(foreign, limit)
    assert hidden(shown) == []
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1


@given(ANYTHING, LIMITS)
def test_making_it_plain_twice_changes_nothing(foreign: str, limit: int) -> None:
    once = text.plain(foreign, limit)
    assert text.plain(once, limit) == once


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=200))
def test_ordinary_text_is_left_as_it_is(ordinary: str) -> None:
    assert text.plain(ordinary) == ordinary


@given(ANYTHING, LIMITS)
def test_html_shows_the_plain_text_and_makes_no_tag(foreign: str, limit: int) -> None:
    read = parsed(f'<i title="{text.html(foreign, limit)}">{text.html(foreign, limit)}</i>')
    shown = text.plain(foreign, limit)
    assert read.shown == shown
    assert read.tags == [f"i {[('title', shown)]}"]


@given(ANYTHING, st.integers(1, 20))
def test_a_block_has_so_many_safe_lines_and_counts_the_rest(foreign: str, most: int) -> None:
    shown, left_out = text.block(foreign, lines=most)
    assert len(shown) <= most
    assert hidden("".join(shown)) == []
    assert len(shown) + left_out == (foreign.rstrip("\n").count("\n") + 1 if foreign else 0)


@pytest.mark.parametrize("foreign", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_harmless(foreign: str) -> None:
    shown = text.plain(foreign)
    assert hidden(shown) == []
    assert "\x1b" not in shown
    assert len(shown) <= text.LIMIT
    assert parsed(text.html(foreign)).tags == []
    text.html(foreign).encode()


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;a new title\x07said", "said"),
        ("\x1b]8;;https://example.org/\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        ("\x1b]2;never ended, still seen", "2;never ended, still seen"),
        ("one\r\ntwo\tthree", "one two three"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("pass\u200bword\ufeff", "password"),
        ("back\u034fup\u3164.sql\ufe0f", "backup.sql"),
        ("31\u00a0h", "31 h"),
        ("e\u0301t\u00e9", "e\u0301t\u00e9"),
        ("Z" + "\u0301" * 300, "Z" + "\u0301" * 4),
        ("  indented  ", "  indented  "),
    ],
)
def test_what_becomes_of_it(foreign: str, shown: str) -> None:
    assert text.plain(foreign) == shown


def test_what_is_cut_is_counted() -> None:
    shown = text.plain("x" * 1_000_000, 100)
    kept, _, remark = shown.partition(" … ")
    assert len(kept) == kept.count("x")
    assert remark == f"({1_000_000 - len(kept):,} more)"


@pytest.mark.parametrize("unit", ["x", "\x1b]", "\x1b[", "\x9d", "\u0301", "\n", "é\x00"])
def test_the_length_of_a_hostile_text_costs_nothing(unit: str) -> None:
    foreign = unit * 5_000_000
    began = time.perf_counter()
    text.plain(foreign)
    assert time.perf_counter() - began < 0.05


def test_a_block_keeps_the_end_and_its_indentation() -> None:
    shown, left_out = text.block("first\n  second\n\tthird\n", lines=2)
    assert (shown, left_out) == (["  second", "    third"], 1)
