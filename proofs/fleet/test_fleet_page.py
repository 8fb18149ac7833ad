"""What an operator of many targets reads: on the page, in the terminal, and what a program reads of the JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from proofs.report.samples import HOSTILE, blind, every_text, result, run
from proofs.report.test_browser import NARROW, WIDE, Opened
from proofs.report.test_browser import browser as browser  # noqa: PLC0414  the fixture
from proofs.report.test_ctrf import schema as schema  # noqa: PLC0414  the fixture
from report import fleet_page, fleet_terminal
from report.fleet import Facts
from report.members import Look, Member

if TYPE_CHECKING:
    from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # of check-jsonschema
    from playwright.sync_api import Browser

    from report.lines import Result

BEGAN = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)


def look(name: str, *results: Result, problem: str = "", page: str = "", changed: str = "", unseen: int = 0) -> Look:
    """What came of a target of that name."""
    facts = run(target=name, started=BEGAN.isoformat()) if results else None
    there = Path(page) if page else None
    return Look(Member(name, Path(f"{name}.toml")), results, facts, changed, unseen, there, problem, BEGAN, 2.1)


def about(looks: list[Look]) -> Facts:
    return Facts("daily", BEGAN, BEGAN + timedelta(seconds=12), 4, len(looks), ["OPS_LIMITS__X of the environment"])


def twenty() -> list[Look]:
    """Twenty targets: one lost, two with the same broken, one of them with more, one not read, and well ones."""
    bad = result("certificate-lasts", outcome="broken", severity="critical", message="it ends in 3 days, at least 14.")
    full = result("disk-space", item="root", outcome="broken", message="91 % used, at most 80 %.")
    looks = [look(f"shop-{n:02}", result(), result("disk-space"), page=f"/r/shop-{n:02} x.html") for n in range(15)]
    looks += [
        look("lost", *(blind(f"slug-{n}", "engine") for n in range(20)), page="/r/lost.html"),
        look(
            "two-things", bad, full, result(), page="/r/two.html", changed="Since the run of today 03:00: 1 mended (x)."
        ),
        look("one-thing", full, result(), page="/r/one.html"),
        look("aside", result(outcome="set aside", reason="waived by A, until 2026-12-04"), page="/r/aside.html"),
        look("bad.toml", problem="its settings can't be used: bad.toml: it is no valid TOML"),
    ]
    return sorted(looks, key=lambda one: one.urgency)


def hostile() -> list[Look]:
    """What an attacker would write wherever a target's own words are shown."""
    made = []
    for number, bad in enumerate(HOSTILE):
        one = every_text(result(outcome=("broken", "cannot tell")[number % 2]), lambda _, bad=bad: bad)  # type: ignore[misc]
        made.append(look(f"target-{number}", one, problem=bad, changed=bad))
    return made


def written(directory: Path, looks: list[Look]) -> Path:
    file = directory / "fleet.html"
    file.write_bytes(fleet_page.page(looks, about(looks), directory))
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing_serious_and_nothing_reaches_out(
    browser: Browser, tmp_path: Path, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened = Opened(browser, written(tmp_path, [*twenty(), *hostile()]), size, scheme)
    found = Axe().run(opened.page).response["violations"]
    width = opened.page.evaluate("document.scrollingElement.scrollWidth")
    scripts = opened.page.evaluate("document.querySelectorAll('script, img, iframe, [onerror], [onclick]').length")
    rows = opened.page.evaluate("document.querySelectorAll('.fleet tbody tr').length")
    opened.context.close()
    assert {one["id"] for one in found if one["impact"] in ("serious", "critical")} == set()
    assert width <= size[0]
    assert scripts == 0
    assert rows == 20 + len(HOSTILE)
    assert opened.wrong == [], "it asked for something, or something in it ran"


def test_what_needs_a_person_stands_on_the_first_screen(browser: Browser, tmp_path: Path) -> None:
    opened = Opened(browser, written(tmp_path, twenty()), WIDE)
    names = opened.page.locator(".fleet tbody th").all_inner_texts()
    assert names[:4] == ["two-things", "one-thing", "bad.toml", "lost"]
    assert opened.page.locator("#lost").bounding_box()["y"] < WIDE[1]  # type: ignore[index]
    assert "disk-space major on 2 of 20: two-things, one-thing" in opened.page.locator("main").inner_text()
    opened.context.close()


def test_each_row_leads_to_the_target_s_own_report(tmp_path: Path) -> None:
    looks = [look("shop", result(), page=str(tmp_path / "a b" / "50 % #1?.html")), look("none", result())]
    page = fleet_page.page(looks, about(looks), tmp_path / "reports").decode()
    assert 'href="./../a%20b/50%20%25%20%231%3F.html"' in page
    assert page.count("href=") == 1


def test_the_outcome_of_a_target_is_its_worst() -> None:
    holds, broken, aside = result(), result(outcome="broken"), result(outcome="set aside", reason="x")
    assert look("a", holds, aside).outcome == "holds"
    assert look("a", holds, blind("x", "engine")).outcome == "cannot tell"
    assert look("a", holds, blind("x", "engine"), broken).outcome == "broken"
    assert look("a", aside).outcome == "set aside"
    assert look("a", holds, unseen=1).outcome == "cannot tell"
    assert look("a", holds, problem="it was ended").outcome == "cannot tell"
    assert look("a").outcome == "cannot tell", "nothing was looked at, which is never good"


def test_the_terminal_says_who_needs_a_person_first() -> None:
    looks = twenty()
    said = fleet_terminal.summary(looks, about(looks), None, colour=False, width=100)
    assert [line.split()[:2] for line in said[1:5]] == [
        ["✗", "two-things"],
        ["✗", "one-thing"],
        ["?", "bad.toml"],
        ["?", "lost"],
    ]
    assert "  ✗ BROKEN disk-space (major) on 2 of 20: two-things, one-thing" in said
    ending = " ".join(" ".join(said).split())
    assert ending.endswith(
        "20 targets, daily: something is broken on 2, not everything could be seen on 2, all holds on 16; "
        "19 of 20 looked at, in 12.0 s."
    )
    assert max(map(len, said)) <= 100


def test_nothing_that_an_attacker_writes_reaches_the_terminal() -> None:
    looks = hostile()
    said = fleet_terminal.summary(looks, about(looks), None, colour=False, width=120)
    for one in looks:
        said += fleet_terminal.line(one, colour=False, width=120, whole=False)
        said += fleet_terminal.line(one, colour=False, width=120, whole=True)
        said += fleet_terminal.message(one).split("\n")
    assert [line for line in said if not line.isprintable()] == []
    assert max(map(len, fleet_terminal.line(looks[0], colour=False, width=120, whole=False))) <= 120


def test_the_json_is_what_the_format_asks_for(schema: Draft7Validator, tmp_path: Path) -> None:
    looks = [*twenty(), *hostile()]
    document = json.loads(fleet_page.document(looks, about(looks), tmp_path))
    assert [error.message for error in schema.iter_errors(document)] == []
    assert document["results"]["summary"]["tests"] == len(looks)
    assert document["results"]["tests"][0]["extra"]["needs"] == ["certificate-lasts", "disk-space[root]"]
