"""The tree of scaling: every question is there, one way is taken and told in words, and nothing gets in."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from proofs.report.samples import HOSTILE, result, run
from report.evidence import Evidence
from report.html import results_summary
from report.text import html
from report.tree import QUESTIONS, tree

if TYPE_CHECKING:
    from report.lines import Result

SLUGS = [question.slug for question in QUESTIONS]


def answered(slug: str, taken: str, figure: str = "1,001", limit: str = "1,000", **changes: object) -> Result:
    evidence = Evidence()
    there = "2 of 2 run" if taken == "there" else ""
    evidence.branch(figure=figure, limit=limit, taken=taken, there=there)
    outcome = "broken" if taken == "yes" else "holds"
    # As it is after its way between processes.
    branches = json.loads(json.dumps(evidence.as_dict()))["branches"]
    return result(slug, **{"outcome": outcome, "branches": branches, **changes})


def drawn(*results: Result) -> str:
    return tree(results, html, lambda one: f"<b>{html(one['outcome'])}</b>")


def questions(*results: Result) -> list[ET.Element]:
    section = ET.fromstring(drawn(*results))  # noqa: S314  our own
    assert (section.tag, section.findtext("h2")) == ("section", "Scaling")
    return list(section.findall("ol/li"))


def said(one: ET.Element) -> str:
    return " ".join(" ".join(one.itertext()).split())


def ways(one: ET.Element) -> list[str]:
    return [said(way) for way in one.findall("ul/li")]


def test_a_run_that_asks_none_of_the_questions_has_no_tree() -> None:
    assert drawn() == ""
    assert drawn(result("backup-fresh"), result("services-up", item="db")) == ""


def test_the_five_questions_stand_in_the_guides_order_whatever_ran_first() -> None:
    seen = questions(*(answered(slug, "no") for slug in reversed(SLUGS)))
    assert [one.findtext("p/b") for one in seen] == [
        "Users over 1,000?",
        "Response times over 1,000?",
        "The database's processor over 1,000?",
        "Disk usage over 1,000?",
        "Error rate over 1,000?",
    ]


@pytest.mark.parametrize("slug", SLUGS)
def test_below_its_limit_one_goes_on_watching(slug: str) -> None:
    one = questions(answered(slug, "no", "40"))[SLUGS.index(slug)]
    no, yes = ways(one)
    assert one.get("class") == "holds"
    assert said(one).startswith(f"{one.findtext('p/b')} 40 holds {slug} ")
    assert no == "No taken go on watching"
    assert yes == f"Yes {QUESTIONS[SLUGS.index(slug)].advice}"


@pytest.mark.parametrize("slug", SLUGS)
def test_above_its_limit_the_advice_is_taken_with_what_to_type(slug: str) -> None:
    one = questions(answered(slug, "yes", remedy="Type this: `make it so`."))[SLUGS.index(slug)]
    no, yes = ways(one)
    assert one.get("class") == "broken"
    assert no == "No go on watching"
    assert yes.startswith(f"Yes taken {QUESTIONS[SLUGS.index(slug)].advice}")
    assert yes.endswith("Type this: `make it so`.")


def test_advice_that_was_followed_is_said_to_be_there() -> None:
    one = questions(answered("scale-users", "there", remedy="Type this."))[0]
    no, yes = ways(one)
    assert one.get("class") == "there"
    assert no == "No go on watching"
    assert yes.startswith("Yes taken consider load balancing")
    assert yes.endswith("It is there already: 2 of 2 run")
    assert "Type this" not in yes


def test_what_wasnt_looked_at_is_drawn_as_such() -> None:
    seen = questions(answered("scale-disk", "no"))
    for slug, one in zip(SLUGS, seen, strict=True):
        if slug != "scale-disk":
            assert one.get("class") == "set-aside"
            assert ways(one)[0] == "? not looked at in this run"
            assert not any("taken" in way for way in ways(one))
            assert one.find("p/small/a") is None, "there is no row that a link could lead to"


def test_what_cant_be_told_is_drawn_as_such() -> None:
    blind = result("scale-users", outcome="cannot tell", message="no socket", cause="engine", cause_text="no socket")
    crashed = result("scale-disk", outcome="cannot tell", message="the check itself failed: KeyError")
    # It had come so far as to take a way, and then couldn't tell after all.
    undone = answered("scale-errors", "no", outcome="cannot tell", message="no more", cause_text="")
    seen = questions(blind, crashed, undone)
    for place, why in ((0, "no socket"), (3, "the check itself failed: KeyError"), (4, "no more")):
        assert seen[place].get("class") == "cannot-tell"
        assert ways(seen[place])[0] == f"? can't be told: {why}"
        assert not any("taken" in way for way in ways(seen[place]))
    assert seen[0].findtext("p/b") == "Users over 24 h?", "its first limit, which is known"


def test_what_is_set_aside_is_said_to_be() -> None:
    aside = result("scale-users", outcome="set aside", reason="not applicable: one customer", limits=[])
    waived = answered("scale-disk", "yes", "91 %", "80 %", outcome="set aside", reason="waived until 2026-12-24")
    seen = questions(aside, waived)
    assert ways(seen[0])[0] == "? not looked at: not applicable: one customer"
    assert seen[0].findtext("p/b") == "Users"
    assert (seen[3].get("class"), ways(seen[3])[0]) == ("set-aside", "No go on watching")
    assert ways(seen[3])[1].startswith("Yes taken archive old data"), "what was seen stays seen"


def test_each_question_leads_to_its_row() -> None:
    seen = questions(*(answered(slug, "no") for slug in SLUGS))
    assert [link.get("href") for one in seen for link in one.findall("p/small/a")] == [f"#{slug}" for slug in SLUGS]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_gets_in(hostile: str) -> None:
    made = [
        answered("scale-users", "there", hostile, hostile),
        answered("scale-response", "yes", hostile, hostile, remedy=hostile),
        result("scale-disk", outcome="cannot tell", message=hostile, cause_text=hostile),
        result("scale-errors", outcome="set aside", reason=hostile),
    ]
    made[0]["branches"][0]["there"] = hostile
    markup = drawn(*made)
    assert len(questions(*made)) == 5
    assert not re.search(r"[\n\r\x1b\x07\u2028]", markup)
    names = {element.tag for element in ET.fromstring(markup).iter()}  # noqa: S314  our own
    assert names <= {"section", "h2", "ol", "ul", "li", "p", "b", "a", "br", "em", "small", "span"}
    assert len(markup) < 60_000


def test_the_report_has_it_once_among_its_chapters() -> None:
    prefix: list[str] = []
    results_summary(prefix, [], [], [result(), *(answered(slug, "no") for slug in SLUGS)], run())
    assert prefix[0].count('<ol class="tree" role="list">') == 1
    without: list[str] = []
    results_summary(without, [], [], [result()], run())
    assert "tree" not in without[0]
