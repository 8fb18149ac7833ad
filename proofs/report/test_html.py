"""The HTML report is complete, safe to open, and stays what pytest-html's own script can work with."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofs.report import nights
from proofs.report.samples import HOSTILE, blind, every_text, result, run
from records.slugs import read_slugs
from report import html, seal, text

if TYPE_CHECKING:
    from pathlib import Path

CRASH = "Traceback (most recent call last):\n  <module>\nKeyError: 'db'"
RESULTS = [
    result("services-up", item="db"),
    result("backup-fresh", outcome="broken", severity="critical"),
    result("backup-steady", outcome="set aside", reason="waived by A. Huber until 2026-12-01"),
    blind("database-connections", "database"),
    result("database-log-quiet", outcome="cannot tell", severity="minor", traceback=CRASH),
    result("error-rate", message="<script>alert(1)</script> \x1b[31m", looked_at="48,301 requests"),
]
TESTS = """
import pytest

@pytest.fixture
def closes_badly():
    yield
    raise OSError("<b>closed badly</b>")

def test_expectation(number):
    print("captured <b>output</b> \\x1b[31m")

@pytest.mark.parametrize("value", ["<img src=x onerror=alert(1)>"])
def test_no_expectation(value, closes_badly):
    assert value == 2

@pytest.mark.xfail
def test_xfailed():
    raise AssertionError
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that pytest-html wrote from a real run, sealed."""
    place = tmp_path_factory.mktemp("html")
    (place / "test_broken.py").write_text("import no_such_module")
    facts = run(target="synk <b>", warnings=["the session is a superuser's"])
    return nights.write_page(place, RESULTS, facts, tests=TESTS)


@pytest.fixture(scope="module")
def page(written: Path) -> str:
    return written.read_text()


class Page(HTMLParser):
    """Collects the tags of a page or a fragment with their attributes, its text, the data for its script."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append(("!", {data: None}))

    @property
    def data(self) -> dict[str, Any]:
        (blob,) = (attrs["data-jsonblob"] for _, attrs in self.tags if "data-jsonblob" in attrs)
        loaded: dict[str, Any] = json.loads(blob or "")
        return loaded


def rows(page: str) -> dict[str, dict[str, Any]]:
    return {row["testId"]: row for rows in Page(page).data["tests"].values() for row in rows}


def fragments(shown: SimpleNamespace) -> list[str]:
    """Everything that the hooks make of one report."""
    cells, data = ["as", "it", "was", "!"], ["log"]
    html.table_row(shown, cells)
    html.table_html(shown, data)
    return cells + data


def report(expectation: object = None, **changes: object) -> SimpleNamespace:
    """A report as pytest makes it, as far as the hooks look at it."""
    made = {"when": "call", "outcome": "passed", "sections": [], "longreprtext": "", "nodeid": "t.py::t"}
    shown = SimpleNamespace(**made | {"duration": 0.1} | changes)
    if expectation is not None:
        shown.expectation = expectation
    return shown


def test_everything_to_be_sealed_is_found_in_the_installed_pytest_html(written: Path, page: str) -> None:
    assert json.loads(written.with_name("missing.json").read_text()) == []
    assert list(written.parent.glob("*.part")) == []
    assert 'lang="en"' in page
    assert 'name="viewport"' in page


def test_the_page_asks_nothing_of_anybody(page: str) -> None:
    asking = {"src", "href", "action", "formaction", "srcset", "data", "poster", "background"}
    for tag, attrs in Page(page).tags:
        for name in asking & attrs.keys():
            assert not attrs[name] or str(attrs[name]).startswith("#"), (tag, attrs)
        assert not [name for name in attrs if name.startswith("on") or name == "style"], (tag, attrs)
    assert not re.search(r"url\(|@import", page)


def test_the_policy_lets_only_the_scripts_and_the_style_of_the_page_work(page: str) -> None:
    policies = [a["content"] for _, a in Page(page).tags if a.get("http-equiv") == "Content-Security-Policy"]
    policy = dict(part.strip().split(" ", 1) for part in str(policies[0]).split(";"))
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = [hashlib.sha256(inner.encode()).digest() for inner in found]
        assert policy[directive].split() == [f"'sha256-{base64.b64encode(d).decode()}'" for d in digests]
        assert page.count(f"<{tag}") == len(found)
    assert policy["default-src"] == "'none'"
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<script>")


def test_rows_carry_what_pytest_htmls_script_needs(page: str) -> None:
    found = rows(page)
    words = {name: row["result"] for name, row in found.items()}
    assert words["services-up[db]"] == "Passed"
    assert words["backup-fresh"] == "Failed"
    assert words["backup-steady"] == "Skipped"
    assert words["database-connections"] == "Error"
    assert set(words.values()) <= {"Passed", "Failed", "Skipped", "Error", "XFailed", "XPassed"}
    for row in found.values():
        assert row.keys() >= {"outcome", "expectation", "severity", "time", "resultsTableRow"}
        assert "class=" in row["resultsTableRow"][0]


def test_what_is_broken_stands_first(page: str) -> None:
    assert Page(page).data["initialSort"] == "guide"
    found = rows(page)
    mine = [r["slug"] + (f"[{r['item']}]" if r["item"] else "") for r in RESULTS]
    assert sorted(mine, key=lambda name: found[name]["guide"]) == [
        "backup-fresh",
        "database-connections",
        "database-log-quiet",
        "backup-steady",
        "services-up[db]",
        "error-rate",
    ]


def test_a_row_says_what_was_expected_seen_and_held_against_what(page: str) -> None:
    row = rows(page)["backup-fresh"]
    shown = [Page(cell).text for cell in row["resultsTableRow"][3:]]
    assert shown[0].endswith("✗ Broken")
    assert shown[1:6] == [
        "backup-fresh The newest backup is at most a day old.",
        "at most 24\u00a0h old",
        "31\u00a0h oldlooked at 9 files in /srv/synk/backups",
        "24\u00a0h limits.backup_age the guide's default",
        "0critical",
    ]
    assert shown[6].endswith("12 ms")


def test_the_remedy_stands_under_the_row_only_when_it_is_needed(page: str) -> None:
    found = rows(page)
    assert "What to do: Run /srv/synk/backup.sh by hand" in Page(found["backup-fresh"]["log"]).text
    for holding in ("services-up[db]", "backup-steady"):
        assert "What to do" not in found[holding]["log"]
        assert "If it breaks" in found[holding]["log"]
    assert "If it breaks" not in found["backup-fresh"]["log"]


def test_evidence_is_open_only_where_it_helps(page: str) -> None:
    opened = {name: '<details class="evidence" open>' in row["log"] for name, row in rows(page).items()}
    assert opened["backup-fresh"]
    assert opened["database-log-quiet"]
    assert not opened["services-up[db]"]
    assert not opened["database-connections"], "its line in the summary says it all"


def test_evidence_is_complete(page: str) -> None:
    shown = Page(rows(page)["database-log-quiet"]["log"]).text
    for part in (
        "The time is taken",
        "a.sql.gz",
        "ERROR no space left",
        "3 more lines left out",
        "KeyError",
        "ls -lh",
    ):
        assert part in shown
    assert "captured <b>output</b>" in shown
    assert "Evidence: 1 note, 1 table, 1 excerpt, 1 traceback, 1 captured output" in shown


def test_a_test_that_is_no_expectation_has_a_row_too(page: str) -> None:
    found = rows(page)
    name = "test_it.py::test_no_expectation[<img src=x onerror=alert(1)>]"
    failed = [row for key, row in found.items() if "test_no_expectation" in key]
    assert [row["result"] for row in failed][-1] == "Error", "the tear-down has a row of its own"
    assert name in Page("".join(failed[0]["resultsTableRow"])).text
    assert "closed badly" in Page(failed[-1]["log"]).text
    assert found["test_it.py::test_xfailed"]["result"] == "XFailed"
    assert "no_such_module" in Page(found["test_broken.py"]["log"]).text


def test_the_summary_says_it_all_without_the_table(page: str) -> None:
    before = Page(page[: page.index('<table id="results-table"')]).text
    for part in (
        "synk <b> · daily · 2026-11-23 09:00 Europe/Vienna",
        "something is broken (1 broken, 2 can't tell, 1 set aside, 2 holds)".replace("holds", "hold"),
        "the database does not answer within 5 s",
        "waived by A. Huber until 2026-12-01",
        "the session is a superuser's",
        "4 of 6 expectations looked at in full",
    ):
        assert part in before
    after = Page(page[page.index("<footer>") - 2000 :]).text
    assert "/etc/synk/target.toml" in after
    assert "/etc/synk/target.toml" not in before


def test_links_of_the_summary_lead_to_rows(page: str) -> None:
    links = {str(attrs["href"]) for tag, attrs in Page(page).tags if tag == "a"}
    assert links == {
        "#all",
        *("#backup-fresh", "#backup-steady", "#database-connections", "#database-log-quiet"),
    }
    assert {link[1:] for link in links} <= {*rows(page), "all"}


def test_the_guide_is_known_where_only_a_part_of_it_was_collected() -> None:
    guide = html._guide()
    assert guide["disk-space"] == "Daily · Morning check-in"
    assert guide.keys() == read_slugs().known.keys()


def test_the_clock_is_the_hosts() -> None:
    assert html.title(run(started="2026-07-01T07:00:00Z")) == "synk · daily · 2026-07-01 09:00 Europe/Vienna"
    assert html.title(run(host_zone="No/Where")).endswith("2026-11-23 08:00 +0000")
    assert html.title(run(host_zone="../../etc/passwd")).endswith("2026-11-23 08:00 +0000")
    assert html.title(run(started="2026-11-23T09:00:00")).endswith("2026-11-23 09:00 Europe/Vienna")
    assert html.title(run(started="just now")) == "synk · daily · just now"


def test_a_what_if_that_names_no_limit_is_refused_before_anything_is_looked_at() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "daily", "--target=nowhere.toml", "--what-if", "limits.disk_usd=0.7"],
        cwd=nights.ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "did you mean limits.disk_used" in done.stderr


def test_a_passed_set_up_costs_nothing() -> None:
    assert fragments(report(when="setup")) == ["as", "it", "was", "!", "log"]


@pytest.mark.parametrize("outcome", ["holds", "broken", "cannot tell", "set aside"])
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_in_every_field_makes_no_markup(hostile: str, outcome: str) -> None:
    charts = [{"title": "x", "unit": "x", "points": [("x", 1.0), ("x", 2.0)]}]
    whole = result(outcome=outcome, item="x", reason="x", cause="x", traceback="x", charts=charts, chapter="x")
    bad = every_text(whole, lambda _: hostile)
    hostile_run = every_text(run(warnings=["x"]), lambda _: hostile)
    summary: list[str] = []
    said = nights.told([bad], run(), 9, lambda _, ago: ("broken", "cannot tell", "holds")[ago % 3])
    past = nights.past([one._replace(slug=hostile, item=hostile, said=hostile) for one in said])
    html.results_summary(summary, [], [], [bad, bad], hostile_run, html.Beside({hostile: hostile}, past))
    made = [*fragments(report(bad, sections=[(hostile, hostile)], longreprtext=hostile)), *summary]
    made += fragments(report(nodeid=hostile, outcome="failed", when="collect", longreprtext=hostile))
    for fragment in made:
        assert "\n" not in fragment
        fragment.encode()
        harmless(Page(fragment))
    assert "\n" not in html.title(hostile_run)


def harmless(made: Page) -> None:
    known = "a b strong span small code p ul ol li h2 nav div dl dt dd details summary figure figcaption pre section"
    drawn = "svg desc title line rect text"
    for tag, attrs in made.tags:
        assert tag in {*known.split(), *drawn.split(), "table", "caption", "thead", "tbody", "tr", "th", "td"}
        allowed = {"class", "hidden", "data-label", "open", "scope", "tabindex", "href", "id", "colspan", "start"}
        allowed |= {"role", "aria-label", "aria-hidden", "data-section"}
        shape = "class role aria-label width height xmlns x y x1 x2 y1 y2 rx fill stroke stroke-opacity font-size"
        assert attrs.keys() <= ({*shape.split(), "text-anchor"} if tag in drawn.split() else allowed)
        assert str(attrs.get("href", "#")).startswith("#")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", made.text)


@given(st.text(st.characters(), max_size=200))
def test_any_text_in_every_field_makes_no_markup(foreign: str) -> None:
    bad = every_text(result(outcome="broken", item="x", traceback="x"), lambda _: foreign)
    for fragment in fragments(report(bad, sections=[(foreign, foreign)])):
        assert "\n" not in fragment
        harmless(Page(fragment))


@given(st.text(st.characters(), max_size=100))
@example("\\1 \\g<0>")
def test_a_page_is_sealed_whatever_its_title_is(name: str) -> None:
    escaped = text.html(name)
    closed, _ = seal.seal(f"<html>\n<head><title>{escaped}</title></head><body>\\1 \\g<0></body></html>")
    assert f'<title id="head-title">{escaped}</title>' in closed
    assert "\\1 \\g<0>" in closed


def test_another_shape_of_page_is_said_not_hidden(tmp_path: Path) -> None:
    closed, missing = seal.seal("<p>hello</p>")
    assert closed == "<p>hello</p>"
    assert len(missing) == 9
    assert seal.seal_file(tmp_path / "none.html") == [f"no HTML report was written to {tmp_path / 'none.html'}"]


def test_much_evidence_is_bounded() -> None:
    rows = [["x" * 1000] * 3] * 5000
    lines = ["y" * 10_000] * 5000
    big = result(
        tables=[{"title": "t", "columns": ["a", "b", "c"], "rows": rows}],
        excerpts=[{"title": "e", "lines": lines, "left_out": 7}],
    )
    (shown,) = fragments(report(big))[-1:]
    assert "4,800 more rows left out" in shown
    assert "4,807 more lines left out" in shown
    assert len(shown) < 500_000


def test_forty_results_are_rendered_within_40_ms() -> None:
    results = [result(f"slug-{n}", outcome=("holds", "broken")[n % 2]) for n in range(40)]
    best = 1.0
    for _ in range(3):
        began = time.perf_counter()
        html.results_summary([], [], [], results, run())
        for one in results:
            fragments(report(one))
        best = min(best, time.perf_counter() - began)
    assert best < 0.04
