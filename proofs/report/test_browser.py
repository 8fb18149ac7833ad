"""The report in a real browser: usable by keyboard and screen reader, at both widths, light and dark, and closed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

import pytest

from lab.packages import ensure_program
from proofs.report import nights
from proofs.report.samples import HOSTILE, blind, every_text, result, run
from report.chronicle import Point
from report.html import Beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page, Request

    from report.lines import Outcome, Result

WIDE, NARROW = (1440, 900), (390, 844)
RUN = run(started="2026-11-27T03:00:00+00:00", warnings=["the session is a superuser's"])
MORNING, MONDAY = "Daily · Morning check-in", "Weekly · Monday morning"
CHART = {"title": "Requests by hour", "unit": "requests", "points": [("08:00", 12.0), ("09:00", 30.0)]}


def everything() -> list[Result]:
    """Every outcome and every kind of evidence."""
    return [
        result("services-up", item="db", section=MORNING),
        result("disk-space", item="root", outcome="broken", severity="critical", section=MORNING, charts=[CHART]),
        result("backup-fresh", outcome="broken", section=MORNING, message="backup-fresh is 31 h old, at most 24 h."),
        result("certificate-lasts", outcome="set aside", section=MORNING, reason="waived by A, until 2026-12-04: new"),
        blind("database-connections", "database", section=MONDAY),
        blind("database-size", "database", section=MONDAY),
        result("log-quiet", outcome="cannot tell", section=MONDAY, traceback="Traceback:\n  x\nKeyError: 'zebra'"),
        result("error-rate", section="Monthly · Scaling", chapter="What was asked"),
        result("scale-disk", section="Monthly · Scaling"),
    ]


def hostile() -> list[Result]:
    """What an attacker would write in every place of a result, as broken and as holding."""
    kinds: tuple[Outcome, ...] = ("broken", "holds", "cannot tell", "set aside")
    made = []
    for number, bad in enumerate(HOSTILE):
        whole = result(outcome=kinds[number % 4], item="x", reason="x", traceback="x", charts=[CHART])
        one = every_text(whole, _always(bad))
        one["slug"] = f"hostile-{number}"
        made.append(one)
    return made


def _always(text: str) -> Callable[[str], str]:
    return lambda _: text


def was(one: Result, ago: int) -> Outcome | None:
    if one["slug"] == "disk-space":
        return "broken" if ago < 3 else "holds"
    if one["section"] == MONDAY:
        return "holds" if ago == 4 else None
    return "holds" if one["outcome"] != "set aside" else "set aside"


def beside(results: list[Result], count: int) -> Beside:
    began = nights.told(results, RUN, count, was)
    points = [
        Point(at, slug, item, name, value * (0.5 + place / count), unit, value * 1.2, f"limits.{limit}")
        for place, at in enumerate(sorted({one.at for one in began}))
        for slug, item, name, value, unit, limit in (
            ("disk-space", "root", "used", 0.6, "share", "disk_used"),
            ("backup-fresh", "", "age", 40_000.0, "s", "backup_age"),
            ("response-time", "", "p95", 0.4, "s", "response_time"),
        )
    ]
    guide = {one["slug"]: one["section"] for one in results} | {"restore-matches": "Monthly · Mid-month"}
    return Beside(guide, nights.past(began, points))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of everything, and of some of what an attacker would write, after a week."""
    results = [*everything(), *hostile()[::14]]
    return nights.write_page(tmp_path_factory.mktemp("page"), results, RUN, beside(results, 7))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all of it, the system's own."""
    from playwright.sync_api import sync_playwright

    ensure_program("chromium", "install it, it is only needed by these proofs")
    # Chromium's sandbox doesn't work for root; what is opened here is our own page.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        yield started
        started.close()


class Opened:
    """A page in the browser, and everything that it did that it must not do."""

    def __init__(
        self, browser: Browser, report: Path, size: tuple[int, int], scheme: Literal["light", "dark"] = "light"
    ) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        self.wrong: list[str] = []
        self.page: Page = self.context.new_page()
        self.own = report.as_uri()
        self.page.on("request", self._asked)
        self.page.on("console", lambda said: self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._spoke)
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.blockedURI))"
        )
        self.page.goto(self.own)

    def _asked(self, request: Request) -> None:
        if request.url.split("?")[0] != self.own:
            self.wrong.append(request.url)

    def _spoke(self, dialog: Dialog) -> None:
        self.wrong.append(dialog.message)
        dialog.dismiss()

    def names(self) -> list[str]:
        """The rows that are to be seen, in their order."""
        found: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('tbody.results-table-row')].filter((b) => !b.hidden).map((b) => b.id)"
        )
        return found


@pytest.fixture(scope="module")
def tab(browser: Browser, report: Path) -> Iterator[Opened]:
    """One tab for all that is tried on the same page."""
    opened = Opened(browser, report, WIDE)
    yield opened
    opened.context.close()


@pytest.fixture
def wide(tab: Opened) -> Iterator[Opened]:
    """The page in it, opened anew, with nothing left of how it was sorted before."""
    tab.page.emulate_media(media="screen")
    tab.page.evaluate("sessionStorage.clear()")
    tab.page.goto(tab.own)
    yield tab
    assert tab.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing_serious(
    browser: Browser, report: Path, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened = Opened(browser, report, size, scheme)
    opened.page.evaluate("document.querySelectorAll('details.folded').forEach((one) => { one.open = true })")
    found = Axe().run(opened.page).response["violations"]
    width = opened.page.evaluate("document.scrollingElement.scrollWidth")
    opened.context.close()
    serious = {
        one["id"]: [node["target"] for node in one["nodes"]][:5]
        for one in found
        if one["impact"] in ("serious", "critical")
    }
    assert serious == {}
    assert width <= size[0]
    assert opened.wrong == [], "it asked for something, or something in it ran"


def test_the_three_questions_are_answered_on_one_screen(browser: Browser, tmp_path: Path) -> None:
    results = everything()
    page = nights.write_page(tmp_path, results, RUN, beside(results, 7))
    lowest = "Math.max(...[...document.querySelectorAll('%s')].map((one) => one.getBoundingClientRect().bottom))"
    opened = Opened(browser, page, WIDE)
    assert opened.page.evaluate(lowest % ".now *") <= WIDE[1]
    opened.page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    assert opened.page.evaluate(lowest % ".findings > li:first-child *") <= NARROW[1]
    opened.context.close()


def test_nothing_that_an_attacker_writes_runs_or_reaches_out(browser: Browser, tmp_path: Path) -> None:
    results = hostile()
    opened = Opened(browser, nights.write_page(tmp_path, results, RUN, beside(results, 7)), NARROW)
    opened.page.get_by_role("button", name="Show all details").click()
    opened.page.get_by_role("button", name="Severity").click()
    assert len(opened.names()) == len(HOSTILE)
    assert opened.page.evaluate("document.scrollingElement.scrollWidth") <= NARROW[0]
    opened.context.close()
    assert opened.wrong == []


def test_sections_with_something_broken_come_first(wide: Opened) -> None:
    heads = wide.page.locator("tbody.section h3").all_inner_texts()
    assert heads[0].startswith(MORNING)
    assert "2 broken, 1 set aside, 1 held" in heads[0]
    mine = [name for name in wide.names() if not name.startswith("hostile")]
    assert mine == [
        *("disk-space[root]", "backup-fresh", "certificate-lasts", "services-up[db]"),
        *("database-connections", "database-size", "log-quiet"),
        *("error-rate", "scale-disk"),
    ]


def test_the_search_finds_also_in_folded_evidence(wide: Opened) -> None:
    search = wide.page.get_by_label("Search")
    every = len(wide.names())
    search.fill("ZEBRA keyerror")
    assert wide.names() == ["log-quiet"]
    assert wide.page.locator("#found").inner_text() == f"1 of {every} found"
    assert wide.page.locator("tbody.section:visible").count() == 1
    search.fill("no such words")
    assert wide.names() == []
    search.press("Escape")
    assert search.input_value() == ""
    assert len(wide.names()) == every


def test_search_filter_and_sorting_work_together(wide: Opened) -> None:
    wide.page.get_by_label("Search").fill("database")
    assert set(wide.names()) == {"database-connections", "database-size"}
    wide.page.get_by_role("group", name="Outcomes to show").get_by_label("Can't tell").uncheck()
    assert wide.names() == []
    wide.page.get_by_label("Search").fill("services-up")
    wide.page.get_by_role("button", name="Severity").click()
    assert wide.names() == ["services-up[db]"]
    assert wide.page.locator("tbody.section").count() == 0
    wide.page.get_by_role("button", name="By section").click()
    assert wide.page.locator("tbody.section:visible").count() == 1


def test_the_keyboard_reaches_search_and_sorts(wide: Opened) -> None:
    focused = "document.activeElement.closest('th')?.dataset.columnType ?? document.activeElement.id"
    reached = []
    for _ in range(400):
        wide.page.keyboard.press("Tab")
        reached.append(wide.page.evaluate(focused))
        if reached[-1] == "expectation":
            break
    assert "search" in reached
    wide.page.keyboard.press("Enter")
    assert wide.page.evaluate(focused) == "expectation", "the focus stays where it was"
    sort = "document.querySelector('th[data-column-type=expectation]').getAttribute('aria-sort')"
    first = wide.page.evaluate(sort)
    names = wide.names()
    wide.page.keyboard.press("Enter")
    assert {first, wide.page.evaluate(sort)} == {"ascending", "descending"}
    assert wide.names() == names[::-1]


def test_what_was_unfolded_stays_so(wide: Opened) -> None:
    evidence = wide.page.locator("tbody[id='scale-disk'] details.evidence")
    evidence.locator("summary").first.click()
    wide.page.get_by_role("button", name="Duration").click()
    assert evidence.get_attribute("open") is not None


def test_links_of_the_summary_lead_to_rows_that_the_search_had_hidden(wide: Opened) -> None:
    wide.page.get_by_label("Search").fill("zebra")
    wide.page.locator(".findings a", has_text="backup-fresh").first.click()
    row = wide.page.locator("tbody[id='backup-fresh']")
    assert row.is_visible()
    assert 0 <= row.bounding_box()["y"] < WIDE[1]  # type: ignore[index]


def test_paper_has_the_evidence_of_what_is_broken_and_no_buttons(wide: Opened) -> None:
    evidence = wide.page.locator("tbody[id='backup-fresh'] details.evidence")
    evidence.locator("summary").first.click()
    assert evidence.get_attribute("open") is None
    wide.page.emulate_media(media="print")
    wide.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert evidence.locator(".message").is_visible()
    assert not wide.page.locator(".controls").is_visible()
    assert wide.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    wide.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert evidence.get_attribute("open") is None


def test_four_hundred_nights_of_130_items_are_less_than_two_mebibytes(browser: Browser, tmp_path: Path) -> None:
    kinds: tuple[Outcome, ...] = ("holds", "holds", "holds", "broken")
    results = [result(f"slug-{n // 2}", item=str(n), outcome=kinds[n % 4], section=MORNING) for n in range(130)]
    known = beside(results, 400)
    many = [point._replace(item=f"{point.item}{number}") for number in range(10) for point in known.past.points]  # type: ignore[union-attr]
    known = known._replace(past=nights.past(known.past.told, many))  # type: ignore[union-attr]
    page = nights.write_page(tmp_path, results, RUN, known)
    assert page.stat().st_size < 2 * 1024 * 1024
    opened = Opened(browser, page, NARROW)
    assert len(opened.names()) == 130
    opened.context.close()
    assert opened.wrong == []
