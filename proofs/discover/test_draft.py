"""The text of the file: what is written is read back as it was, whatever it is."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from discover.draft import Draft, difference, toml

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(),
    st.lists(st.text(), max_size=4),
    st.dictionaries(st.text(min_size=1), st.integers(0, 99), max_size=4),
)


@given(VALUES)
def test_a_value_is_read_back_as_it_was(value: bool | int | str | list[str] | dict[str, int]) -> None:
    if any(0xD800 <= ord(one) < 0xE000 for one in str(value)):
        return  # TOML is UTF-8, which has no lone surrogates
    assert tomllib.loads(f"value = {toml(value)}")["value"] == value


@given(st.text(), st.text())
def test_no_reason_can_break_out_of_its_comment(why: str, question: str) -> None:
    draft = Draft()
    draft.found("project.name", "x", why)
    draft.ask("site.url", "https://x/", question)
    draft.mention("host.zone", "UTC", question)
    draft.looked.append(why)
    draft.unseen.append(question)
    draft.steps.append((why, (question,)))
    assert tomllib.loads(draft.text(why)) == {"project": {"name": "x"}, "host": {}, "site": {}}


def test_what_differs_is_shown_and_nothing_else() -> None:
    draft = Draft()
    draft.found("services.cache", "redis", "it runs in it")
    draft.found("site.paths", ["/"], "asked")
    there = {"services.cache": "", "site.paths": ["/"]}
    now = {"services.cache": "redis", "site.paths": ["/"]}
    assert difference(draft, there, now, []) == [
        "services.cache",
        '    in the file   ""',
        '    found now     "redis"   it runs in it',
    ]
    assert difference(draft, now, now, ["limits.disk_used"]) == []
