"""What a person writes is read as meant, and said back as it is."""

from __future__ import annotations

import contextlib
import pickle
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target.kinds import (
    Count,
    Factor,
    FilePath,
    Pattern,
    Secret,
    Severity,
    Share,
    Size,
    Span,
    say_bytes,
    say_share,
    say_span,
)

ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
)
KINDS = (Span, Size, Share, Factor, Count, Pattern, FilePath, Secret, Severity)
BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def size_of(said: str) -> float:
    figure, unit = said.replace(",", "").split(" ")
    return float(figure) * BYTES[unit]


def seconds_of(said: str) -> float:
    words = said.split(" ")
    return sum(float(figure) * SECONDS[unit] for figure, unit in zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("kind", KINDS)
@given(value=ANYTHING)
@example(value="9" * 400 + " MiB")
@example(value=10**400)
@example(value=float("nan"))
@example(value=float("inf"))
@example(value="~nobody-of-this-name/x")
@example(value="a{99999999999999999999}")
@example(value="(" * 5000)
@example(value="[[a]")
@example(value="0.0000001 ms")
def test_a_wrong_value_is_refused_in_words_and_never_crashes(kind: type, value: object) -> None:
    with contextlib.suppress(ValueError):
        kind.parse(value)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("45 s", 45),
        ("30 min", 1800),
        ("24 h", 86400),
        ("24h", 86400),
        ("7 d", 604800),
        ("1.5 h", 5400),
        ("300 ms", 0.3),
    ],
)
def test_a_span_is_written_with_its_unit(written: str, seconds: float) -> None:
    assert Span.parse(written).total_seconds() == seconds


@pytest.mark.parametrize(
    "written", ["24", 24, "24 hours", "-1 h", "0 s", "1 m", "", None, True, "0.0000001 ms", "9999999999 d"]
)
def test_what_is_no_span_is_refused_with_examples(written: object) -> None:
    with pytest.raises(ValueError, match=r"unit|longer than nothing"):
        Span.parse(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [("5 MiB", 5242880), ("2 GB", 2 * 10**9), (1024, 1024), ("0 B", 0), (0, 0), ("1.5 KiB", 1536), ("1 kB", 1000)],
)
def test_a_size_is_bytes_or_written_with_its_unit(written: object, size: int) -> None:
    assert Size.parse(written) == size


@pytest.mark.parametrize("written", [-1, True, "5", "5 mb", "5 Mib", "-5 MiB", 2**63, "9" * 400 + " TiB", 0.5])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match='"5 MiB"'):
        Size.parse(written)


@pytest.mark.parametrize(
    ("written", "share"), [(0.8, 0.8), ("80 %", 0.8), ("80%", 0.8), (1, 1.0), (0, 0.0), ("0.5 %", 0.005)]
)
def test_a_share_is_a_part_of_one_or_a_percentage(written: object, share: float) -> None:
    assert Share.parse(written) == share


@pytest.mark.parametrize("written", [80, 1.01, -0.1, "80", "120 %", True, float("nan"), float("inf")])
def test_eighty_without_a_percent_sign_is_no_share(written: object) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Share.parse(written)


def test_a_percentage_of_df_is_the_percentage_of_the_settings() -> None:
    for percent in range(101):
        assert Share(percent / 100) == Share.parse(f"{percent} %")


def test_a_count_is_whole_and_not_negative() -> None:
    assert Count.parse(3) == 3
    for wrong in (-1, 1.0, "3", True, None):
        with pytest.raises(ValueError, match="0 or more"):
            Count.parse(wrong)


def test_a_factor_is_above_nothing() -> None:
    assert str(Factor.parse(2)) == "2 x"
    for wrong in (0, -1, "2", True, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            Factor.parse(wrong)


def test_a_pattern_that_python_only_warns_of_is_refused_before_it_surprises_a_check() -> None:
    with pytest.raises(ValueError, match="nested set"):
        Pattern.parse("[[a]")


def test_a_path_may_begin_with_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/op")
    assert str(FilePath.parse("~/target.toml")) == "/home/op/target.toml"
    with pytest.raises(ValueError, match="no home directory for ~nobody-of-this-name"):
        FilePath.parse("~nobody-of-this-name/x")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.3, "300 ms"),
        (45, "45 s"),
        (119.99, "119.9 s"),
        (1800, "30 min"),
        (24 * 3600, "24 h"),
        (31 * 3600, "31 h"),
        (24 * 3600 + 10, "24 h 10 s"),
        (24 * 3600 - 1, "23.9 h"),
        (9.5 * 86400, "9.5 d"),
        (365 * 86400 - 1, "364.9 d"),
        (-90, "-90 s"),
    ],
)
def test_a_span_is_said_as_a_person_says_it(seconds: float, said: str) -> None:
    assert say_span(timedelta(seconds=seconds)) == said
    if seconds > 0:
        assert str(Span(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (20, "20 B"),
        (5 * 1024**2, "5 MiB"),
        (5 * 1024**2 - 1, "4.99 MiB"),
        (50 * 1024**2 + 1, "52,428,801 B"),
    ],
)
def test_a_size_is_said_as_a_person_says_it(size: int, said: str) -> None:
    assert say_bytes(size) == said == str(Size(size))


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.8, "80 %"), (0.29, "29 %"), (0.0115, "1.15 %"), (0.79999, "79.99 %"), (0.0100001, "1.00001 %")],
)
def test_a_share_is_said_as_a_percentage(share: float, said: str) -> None:
    assert say_share(share) == said == str(Share(share))


@given(limit=st.integers(1, 1000), unit=st.sampled_from(["KiB", "MiB", "GiB"]), off=st.integers(-(2**20), 2**20))
@example(limit=50, unit="MiB", off=1)
@example(limit=5, unit="MiB", off=-1)
def test_a_size_is_never_said_as_a_whole_limit_that_it_missed(limit: int, unit: str, off: int) -> None:
    size = max(1, limit * BYTES[unit] + off)
    assert (size_of(say_bytes(size)) > limit * BYTES[unit]) == (size > limit * BYTES[unit])
    assert (size_of(say_bytes(size)) < limit * BYTES[unit]) == (size < limit * BYTES[unit])


@given(limit=st.integers(1, 60), unit=st.sampled_from(["min", "h", "d"]), off=st.integers(-4000, 4000))
@example(limit=24, unit="h", off=5)
def test_an_age_is_never_said_as_a_whole_limit_that_it_missed(limit: int, unit: str, off: int) -> None:
    seconds = max(1, limit * SECONDS[unit] + off)
    said = seconds_of(say_span(timedelta(seconds=seconds)))
    assert (said > limit * SECONDS[unit]) == (seconds > limit * SECONDS[unit])
    assert (said < limit * SECONDS[unit]) == (seconds < limit * SECONDS[unit])


@given(hundredths=st.integers(0, 10_000))
def test_a_percentage_of_two_digits_is_said_exactly(hundredths: int) -> None:
    """4.35 times 100 is 434.99999999999994 to a computer."""
    assert say_share(hundredths / 10_000) == f"{hundredths / 100:g} %"


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secret, "_known", set())


def test_a_secret_is_nowhere_to_be_seen() -> None:
    secret = Secret("hunter2-correct-horse")
    assert "horse" not in f"{secret} {secret!r} {[secret]} { ({'password': secret})!r}"
    assert secret.reveal() == "hunter2-correct-horse"
    assert "hunter2-correct-horse" in Secret.known()


def test_secrets_are_equal_by_their_text() -> None:
    assert Secret("one text") == Secret("one text") != Secret("another text")
    assert len({Secret("one text"), Secret("one text")}) == 1


def test_a_number_is_no_secret_and_isnt_repeated() -> None:
    with pytest.raises(ValueError, match="in quotes") as raised:
        Secret.parse(12345678)
    assert "12345678" not in str(raised.value)


def test_the_longest_secret_is_searched_for_first() -> None:
    Secret("short1")
    Secret("short1-and-more")
    known = Secret.known()
    assert known.index("short1-and-more") < known.index("short1")


def test_kinds_survive_a_process_border() -> None:
    for value in (Span(hours=1), Size(5), Share(0.5), Count(3), Pattern("a"), FilePath("/x")):
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301  our own bytes


def test_severities_are_compared_by_how_bad_they_are() -> None:
    assert Severity.parse("moderate") == Severity.parse("Medium") == "medium"
    assert Severity("info") < Severity("low") < Severity("medium") < Severity("high") < Severity("critical")
    assert Severity("high") >= Severity("high") > Severity("low")
    assert max(Severity("low"), Severity("critical"), Severity("high")) == "critical"
