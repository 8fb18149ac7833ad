"""The Markdown of a run: the same story as the page's, and nothing of it is live wherever it is shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from proofs.harness import run_suite
from proofs.report import nights
from proofs.report.samples import HOSTILE, blind, every_text, result, run
from proofs.report.test_hostile import TARGET
from report.chronicle import Chronicle
from report.history import KEPT
from report.history_file import HistoryFile
from report.markdown import MOST, page, said

if TYPE_CHECKING:
    from pathlib import Path

    from report.lines import Outcome, Result

RUN = run(started="2026-11-27T03:00:00+00:00")  # 04:00 in Vienna
OURS = {"h1", "h2", "p", "ul", "li", "strong", "code", "table", "thead", "tbody", "tr", "th", "td"}
LIVE = (
    *HOSTILE,
    "example.org www.example.org //example.org/x ftp://example.org mailto:mail@example.org backup.sh",
    "https://example.org`https://example.org`@name",
    "``@name`` \\`@name` \\\\`code\\` and <b>",
    "owner/name#123 (#7) [#8] gh-9 @org/team a@b.example",
    "[x]: https://example.org",
    "[^1] [x] ![x][y] [a](b \"c\") <a href='b'>",
    "# a heading",
    "- a list",
    "12. a list",
    "+ a list",
    "> a quotation",
    "===",
    "*a* _b_ **c** ~~d~~ $e$ &copy; a\\",
    "| a | b |",
    "    code",
    "```",
)


class Rendered(HTMLParser):
    """What is seen of a page: its elements, its attributes, and the text that isn't code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self._code = False
        self.feed(MarkdownIt("gfm-like", {"html": True, "linkify": True}).render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs if name != "style"]
        self._code = tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._code = self._code and tag != "code"

    def handle_data(self, data: str) -> None:
        self.text += "" if self._code else data


def harmless(markdown: str) -> Rendered:
    """What is rendered, which has no element but ours and nothing that GitHub would make a link of."""
    shown = Rendered(markdown)
    assert set(shown.tags) <= OURS
    assert not shown.attributes
    for live in (r"(?<![\w`])@\w", r"\w@\w", "#[0-9]", "(?i)gh-[0-9]", "://", r"(?i)www\."):
        assert not re.search(live, shown.text), live
    return shown


def results_of(slug: str = "") -> list[Result]:
    """A result of each kind."""
    return [
        result(f"disk-space{slug}", item="root", outcome="broken", severity="critical", remedy="Run `df -h /` first."),
        blind(f"migrations{slug}", f"database{slug}"),
        blind(f"role-use{slug}", f"database{slug}", item="app"),
        result(f"ports{slug}", outcome="set aside", reason="waived until 2026-12-24: known"),
        result(f"backup-fresh{slug}"),
    ]


@pytest.mark.parametrize("text", LIVE, ids=range(len(LIVE)))
def test_a_foreign_text_stays_text(text: str) -> None:
    one = said(text) or "nothing"
    shown = harmless(f"{one}\n\n- **x** {one}\n  - {one}\n\n| a |\n| :-- |\n| {one} |\n")
    assert [shown.tags.count(tag) for tag in ("p", "ul", "li", "strong", "table", "td", "h1", "h2")] == [
        *(1, 2, 2, 1, 1, 1, 0, 0)
    ]


@pytest.mark.parametrize("text", LIVE, ids=range(len(LIVE)))
def test_a_page_of_nothing_but_hostile_texts_is_harmless(text: str) -> None:
    there = every_text(results_of(), lambda was: f"{was} {text}")
    facts = every_text(RUN, lambda _: text) | {"started": RUN["started"], "warnings": [text]}
    past = nights.past(nights.told(there, RUN, 4, lambda one, ago: "holds" if ago > 1 else one["outcome"]))
    whole = page(there, facts, past, {text: text, "x": f"{text} · {text}"}, [text])
    shown = harmless(whole)
    assert shown.tags.count("h1") == 1
    assert shown.tags.count("table") == 1
    assert shown.tags.count("h2") == (7 if said(text) else 6)
    assert len(whole) <= MOST


def test_it_reads_as_wanted() -> None:
    there = results_of()

    def was(one: Result, ago: int) -> Outcome:
        return one["outcome"] if ago < (1 if one["slug"] == "disk-space" else 2) or one["slug"] == "ports" else "holds"

    past = nights.past(nights.told(there, RUN, 3, was))
    guide = {one["slug"]: one["section"] for one in there}
    assert page(there, run(started=RUN["started"], warnings=["The clock is 3 s off."]), past, guide) == GOLDEN


def test_what_has_no_room_is_left_out_by_whole_items_and_counted() -> None:
    many = [result("x", item=str(number), outcome="broken", message="m" * 900) for number in range(200)]
    text = page(many, RUN)
    assert len(text) <= MOST
    left = re.search(r"^([0-9]+) more have no room here; the HTML report has all\.$", text, re.MULTILINE)
    shown = text.count("- **✗ Broken** x")
    assert left
    assert shown > 50
    assert text.count("Run `/srv/synk/backup.sh` by hand") == shown
    assert int(left[1]) >= 200 - shown


@pytest.mark.parametrize("wanted", [True, False], ids=["can be written", "can't be written"])
def test_a_run_writes_one_where_it_is_asked_for_and_says_when_that_cannot_be(tmp_path: Path, wanted: bool) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    chronicle = Chronicle(HistoryFile(tmp_path / "history.sqlite"), "shop", KEPT)
    ended = (began + timedelta(seconds=9)).isoformat()
    chronicle.record(run(target="shop", started=began.isoformat(), ended=ended), [result()])
    target, file = tmp_path / "target.toml", tmp_path / ("there.md" if wanted else "target.toml/there.md")
    target.write_text(TARGET, encoding="utf-8")
    setting = {"OPS_REPORT__MARKDOWN": str(file)}
    done = run_suite(target, "--review", marker="", history=tmp_path / "history.sqlite", environment=setting)
    assert done.status == 0, done.explain()
    assert file.is_file() == wanted
    assert ("the Markdown report could not be written" in done.terminal) != wanted


def test_a_run_of_nothing_is_never_called_good() -> None:
    assert "Nothing ran, so that nothing is known." in page([], RUN)


def test_without_a_past_it_is_said_and_there_is_no_week() -> None:
    text = page(results_of(), RUN)
    assert "Nothing is known of an earlier run to compare with." in text
    assert "night" not in text


GOLDEN = """\
# synk · daily · 2026-11-27 04:00 Europe/Vienna

synk, daily: something is broken (1 broken, 2 can't tell, 1 set aside, 1 holds); \
3 of 5 slugs looked at in full, in 0.61 s.

✗ Broken: 1 · ? Can't tell: 2 · ○ Set aside: 1 · ✓ Holds: 1

## What needs you

- **✗ Broken** disk-space\\[root\\] (critical, since today 04:00, new)
  - disk-space is 31 h old, wanted at most 24 h (limits\\.backup_age, the guide's default).
  - Do: Run `df -h /` first.
- **? Can't tell** migrations (major, since yesterday 05:00, 2 runs)
  - migrations can't be told.
  - In the way: the database does not answer within 5 s
  - Do: Run `/srv/synk/backup.sh` by hand, then read its log.
  - 1 more waits for the same: role-use

## Changed since the run of yesterday 05:00

- ✗ newly broken: disk-space\\[root\\]

## Set aside

- ports: waived until 2026-12-24: known

## The last 3 nights

| Expectation | Wed 25 Nov | Thu 26 Nov | Fri 27 Nov |
| :-- | :-: | :-: | :-: |
| disk-space | ✓ | ✓ | ✗ |
| migrations | ✓ | ? | ? |
| role-use | ✓ | ? | ? |

1 other held on every night.

1 other was set aside on every night.

## Covered

3 of the guide's 5 expectations looked at in full.

## Worth knowing

- The clock is 3 s off.
"""
