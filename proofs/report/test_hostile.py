"""Texts of somebody with bad intentions in every place of every output, through the suite's own hooks."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from proofs.harness import run_suite
from proofs.report.samples import HOSTILE, every_text, result, run
from report.chronicle import Chronicle, newest
from report.history import KEPT
from report.history_file import HistoryFile

if TYPE_CHECKING:
    from proofs.harness import SuiteRun

TARGET = """\
name = "shop"
[project]
name = "shop"
directory = "/srv/shop"
[site]
url = "https://shop.example/"
"""
KINDS = ("broken", "cannot tell", "set aside", "holds")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff]")
KEPT_AS_IT_IS = frozenset({"slug", "outcome", "found", "severity", "cadences"})


class Markup(HTMLParser):
    """What a browser would make of a page: its elements and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.rows += dict(attrs).get("data-jsonblob") or ""


def _instead(text: str, _: str) -> str:
    return text


@pytest.fixture(scope="module")
def chronicle(tmp_path_factory: pytest.TempPathFactory) -> Chronicle:
    """Two nights of results that are nothing but such texts."""
    chronicle = Chronicle(HistoryFile(tmp_path_factory.mktemp("hostile") / "history.sqlite"), "shop", KEPT)
    for ago in (1, 0):
        began = datetime.now(UTC) - timedelta(days=ago, minutes=1)
        results = []
        for number, text in enumerate(HOSTILE):
            plain = result(outcome=KINDS[(number + ago) % 4], figures=[], item="")
            hostile = every_text(plain, partial(_instead, text))
            kept = {key: value for key, value in plain.items() if key in KEPT_AS_IT_IS}
            figures = [{"name": text, "value": 1.5, "unit": "s", "limit": 1.0, "limit_name": "limits.backup_age"}]
            results.append({**hostile, **kept, "item": f"{number} {text}", "figures": figures})
        facts = run(target="shop", token=f"{ago:032d}", warnings=list(HOSTILE), settings_file=HOSTILE[0])
        facts["started"], facts["ended"] = began.isoformat(), (began + timedelta(seconds=9)).isoformat()
        chronicle.record(facts, results)  # type: ignore[arg-type]
    return chronicle


@pytest.fixture(scope="module")
def outputs(chronicle: Chronicle) -> SuiteRun:
    """Every output of a review of those nights."""
    file = chronicle.file.path
    assert file is not None
    target = file.with_name("target.toml")
    target.write_text(TARGET, encoding="utf-8")
    return run_suite(target, "--review", marker="", history=file)


def test_there_are_thirty_of_them_and_all_are_in_every_output(outputs: SuiteRun) -> None:
    assert len(HOSTILE) >= 30
    assert outputs.status == 1, outputs.explain()
    assert "INTERNALERROR" not in outputs.terminal
    assert len(ET.fromstring(outputs.xml).findall(".//testcase")) == len(HOSTILE)  # noqa: S314
    assert len(json.loads(outputs.json)["results"]["tests"]) == len(HOSTILE)
    for output in (outputs.terminal, outputs.html, outputs.markdown):
        assert output.count("backup-fresh") >= len(HOSTILE) // 4, "at least what is broken is named"


def test_a_terminal_is_not_told_to_do_anything(outputs: SuiteRun) -> None:
    assert not CONTROL.search(outputs.terminal.replace("\n", ""))
    assert max(map(len, outputs.terminal.splitlines())) < 1500


def test_the_page_has_no_element_and_no_attribute_but_its_own(outputs: SuiteRun) -> None:
    page = Markup(outputs.html)
    rows = [
        Markup("".join([*one["resultsTableRow"], one["log"]]))
        for tests in json.loads(page.rows)["tests"].values()
        for one in tests
    ]
    assert len(rows) >= len(HOSTILE)
    for part in (page, *rows):
        assert not {"iframe", "object", "embed", "base", "form", "svg:script"} & set(part.tags)
        assert not [name for name, _ in part.attributes if name.startswith("on")]
        for name, value in part.attributes:
            if name in {"href", "src", "action", "srcdoc", "xlink:href"}:
                assert not value or value.startswith("#"), f"{name}={value!r}"
    assert not {"script", "style", "img", "h1"} & {tag for part in rows for tag in part.tags}
    # The one picture is in pytest-html's own template, and shows nothing.
    assert [page.tags.count(tag) for tag in ("h1", "script", "style", "img")] == [1, 2, 1, 1]
    assert not CONTROL.search(outputs.html.replace("\n", "").replace("\t", ""))
    assert "<script>alert" not in outputs.html
    assert "alert(1)" in unescape(unescape(outputs.html)), "they are shown, and harmless"


def test_xml_and_json_are_whole(outputs: SuiteRun) -> None:
    assert not CONTROL.search(outputs.xml.replace("\n", "").replace("\t", ""))
    texts = json.dumps(json.loads(outputs.json), ensure_ascii=False)
    assert not CONTROL.search(texts)


def test_metrics_are_read_back_as_they_were_written(chronicle: Chronicle) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    from report.metrics import exposition

    known = chronicle.latest(datetime.now(UTC) - timedelta(days=9))
    text = exposition("shop", newest(known)).decode()
    families = {one.name: one for one in text_string_to_metric_families(text)}
    labels = [sample.labels for family in families.values() for sample in family.samples]
    assert {one["target"] for one in labels if "target" in one} == {"shop"}
    assert len({one["item"] for one in labels if "item" in one}) >= len(HOSTILE)
    assert not CONTROL.search(text.replace("\n", ""))


def test_markdown_has_no_link_no_picture_and_no_markup(outputs: SuiteRun) -> None:
    from markdown_it import MarkdownIt

    page = Markup(MarkdownIt("gfm-like", {"html": True}).render(outputs.markdown))
    assert not {"script", "img", "iframe", "style", "h6"} & set(page.tags)
    assert not [value for name, value in page.attributes if name in {"href", "src"}]
    assert not CONTROL.search(outputs.markdown.replace("\n", ""))
