"""No secret that was read goes out, in whatever spelling."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from report.redact import MASK, SHORTEST, redact, redact_all
from target.kinds import Secret, Share, Size

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=SHORTEST, max_size=20)
SPELLINGS = (
    str,
    json.dumps,
    lambda secret: json.dumps(secret, ensure_ascii=False),
    repr,
    html.escape,
    lambda secret: quote(secret, safe=""),
    lambda secret: f"postgres://user:{quote(secret, safe='')}@db/x",
)


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secret, "_known", set())


@pytest.mark.parametrize("spell", SPELLINGS)
@given(secret=SECRETS, before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_secret_is_masked_in_every_usual_spelling(spell: Any, secret: str, before: str, after: str) -> None:  # noqa: ANN401
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secret, "_known", set())
        Secret(secret)
        text = redact(f"{before}{spell(secret)}{after}")
    assert MASK in text
    assert secret not in text
    assert spell(secret) not in text


@given(secrets=st.lists(SECRETS, min_size=1, max_size=4), between=st.text(max_size=3))
def test_all_secrets_are_masked_also_where_one_holds_another(secrets: list[str], between: str) -> None:
    assume("*" not in between)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secret, "_known", set())
        text = between.join(Secret(secret).reveal() for secret in [*secrets, secrets[0] + secrets[-1]])
        masked = redact(text)
    assert not any(secret in masked for secret in secrets)


def test_the_longer_of_two_is_masked_as_one() -> None:
    Secret("correct")
    Secret("correct-horse")
    assert redact("it is correct-horse, correct") == f"it is {MASK}, {MASK}"


@given(text=st.text(max_size=50))
def test_without_secrets_a_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_a_short_secret_would_be_found_in_every_other_word() -> None:
    Secret("ok")
    Secret("")
    assert redact("all is ok") == "all is ok"


def test_plain_data_is_masked_at_any_depth_and_comes_out_plain() -> None:
    Secret("correct-horse")
    data = {"a": ["correct-horse", {"b": ("x correct-horse",)}], "n": None, "t": True, "s": Size(5), "f": Share(0.5)}
    plain = redact_all(data)
    assert plain == {"a": [MASK, {"b": [f"x {MASK}"]}], "n": None, "t": True, "s": 5, "f": 0.5}
    assert [type(plain[key]) for key in "tsf"] == [bool, int, float]
