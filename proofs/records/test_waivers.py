"""One function says whether a waiver covers what is broken: in time, within its figure, and nothing else."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.records.test_attestations import TEXTS
from proofs.records.trees import SLUGS, names_in
from records.not_applicable import check_not_applicable, why_not_applicable
from records.tables import Day, RecordError, Said
from records.waivers import Bound, Covered, Exceeded, Expired, Waiver, Waivers, add, read, verdict

TODAY = date(2026, 11, 24)
UNTIL = date(2026, 12, 1)
GOOD = '[[waiver]]\nslug = "disk-space[root]"\nreason = "new disk"\nby = "Mira"\nuntil = 2026-12-01\nat_most = "83 %"\n'


def waiver(
    slug: str = "disk-space[root]",
    until: date = UNTIL,
    at_most: object = None,
    at_least: object = None,
    by: str = "Mira",
    reason: str = "new disk",
    covers: tuple[str, ...] = (),
) -> Waiver:
    most, least = (None if one is None else Bound.parse(one) for one in (at_most, at_least))
    return Waiver(Said(slug), Said(reason), Said(by), Day.parse(until), most, least, tuple(map(Said, covers)))


def figure(value: float, unit: str = "share", limit: float | None = 0.8, name: str = "used") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "limit": limit}


def waivers(*those: Waiver) -> Waivers:
    return Waivers(Path("waivers.toml"), those)


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "waivers.toml"
    file.write_text(text)
    with pytest.raises(RecordError) as said:
        read(file, SLUGS, TODAY)
    return [line.removeprefix(f"{file}") for line in str(said.value).splitlines()]


def test_no_file_is_no_waiver(tmp_path: Path) -> None:
    found = read(tmp_path / "waivers.toml", SLUGS, TODAY)
    assert found.all == ()
    assert found.on("disk-space", "root", TODAY) is None
    assert found.warnings(TODAY) == []


def test_what_is_right_is_read(tmp_path: Path) -> None:
    file = tmp_path / "waivers.toml"
    file.write_text(GOOD)
    (one,) = read(file, SLUGS, TODAY).all
    assert one == waiver(at_most="83 %")
    assert one.words == "waived by Mira, until 2026-12-01, while at most 83 %: new disk"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("disk-space[root]", "disc-space[root]", ":2: slug: there is no expectation 'disc-space' (did you mean disk-"),
        ("disk-space[root]", "backup-fresh[root]", ":2: slug: backup-fresh has no items: write it without [root]"),
        ('"new disk"', '" "', ":3: reason: it is a text in quotes that isn't blank"),
        ('by = "Mira"\n', "", ":1: by: it is missing"),
        (
            "2026-12-01",
            '"1m"',
            ":5: until: a day is written without quotes and without a time, as 2026-12-01, not '1m'",
        ),
        ("2026-12-01", '"2026-12-01"', ":5: until: a day is written without quotes"),
        ("2026-12-01", "2026-12-01T12:00:00Z", ":5: until: a day is written without quotes and without a time"),
        ("2026-12-01", "12:00:00", ":5: until: a day is written"),
        ("2026-12-01", "2027-11-26", ":5: until: 2027-11-26 is more than a year ahead; 2027-11-25 is the last day"),
        ("until = 2026-12-01", "", ":1: until: it is missing"),
        ('"83 %"', '"83"', ':6: at_most: a bound is a figure with its unit, "83 %", "60 MiB" or "24 h"'),
        ('"83 %"', '"130 %"', ":6: at_most: a bound is a figure"),
        ('"83 %"', "-1", ":6: at_most: a bound is a figure"),
        ('"83 %"', "nan", ":6: at_most: a bound is a figure"),
        ('"83 %"', "inf", ":6: at_most: a bound is a figure"),
        ('"83 %"', "true", ":6: at_most: a bound is a figure"),
        ('"83 %"', '"83 %"\nat_least = 3', ":1: give either at_most or at_least, not both"),
        ('"83 %"', '"83 %"\ncovers = ["X-1"]', ":1: give either what it covers or a figure, not both"),
        ('at_most = "83 %"', 'covers = "X-1"', ":6: covers: "),
        ('at_most = "83 %"', 'covers = ["X-1", " "]', ":6: covers"),
        ("at_most", "atmost", ":6: atmost: there is no such key (did you mean at_most?)"),
    ],
)
def test_what_is_not_right_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new))
    assert any(line.startswith(said) for line in found), found


def test_a_year_ahead_is_the_most_that_can_be(tmp_path: Path) -> None:
    file = tmp_path / "waivers.toml"
    file.write_text(GOOD.replace("2026-12-01", "2027-11-25"))
    assert read(file, SLUGS, TODAY).all[0].until == TODAY + timedelta(days=366)


def test_two_for_the_same_thing_are_said(tmp_path: Path) -> None:
    assert problems(tmp_path, f"{GOOD}\n{GOOD}") == [
        ":8: there is a waiver of disk-space[root] already on line 1: change that one."
    ]


def test_several_for_the_same_thing_name_ids_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "waivers.toml"
    bare = GOOD.replace('at_most = "83 %"\n', "")
    first, second = f'{bare}covers = ["X-1", "X-2"]\n', f'{bare}covers = ["X-3"]\n'
    file.write_text(first + second)
    one, other = read(file, SLUGS, TODAY).all
    assert (one.covers, other.covers) == (("X-1", "X-2"), ("X-3",))
    said = "there is a waiver of disk-space[root] already on line 1: change that one."
    assert problems(tmp_path, first + second.replace("X-3", "x-2")) == [f":7: {said}"]
    assert problems(tmp_path, first + bare) == [f":7: {said}"]
    assert problems(tmp_path, bare + first) == [f":6: {said}"]


@pytest.mark.parametrize(
    ("written", "value", "unit"),
    [("83 %", 0.83, "share"), ("60 MiB", 60 * 1024**2, "B"), ("24 h", 86400.0, "s"), (12, 12.0, "1"), (2.5, 2.5, "1")],
)
def test_a_bound_has_a_unit(written: object, value: float, unit: str) -> None:
    bound = Bound.parse(written)
    assert bound.value == pytest.approx(value)
    assert (bound.unit, str(bound)) == (unit, str(written))


def test_the_very_item_goes_first() -> None:
    all_of_them, root, gone = waiver("disk-space"), waiver(), waiver("disk-space[docker]", date(2026, 11, 1))
    known = waivers(all_of_them, root, gone)
    assert known.on("disk-space", "root", TODAY) is root
    assert known.on("disk-space", "backups", TODAY) is all_of_them
    assert known.on("disk-space", "docker", TODAY) is all_of_them, "the one of the item has ended"
    assert known.on("disk-space", "", TODAY) is all_of_them
    assert known.on("disk-inodes", "root", TODAY) is None
    assert waivers(root).on("disk-space", "docker", TODAY) is None
    assert waivers(gone).on("disk-space", "docker", TODAY) is gone
    ended = waiver("disk-space", date(2026, 11, 2))
    assert waivers(ended, gone).on("disk-space", "docker", TODAY) is gone


def test_it_holds_through_its_last_day_and_then_says_that_it_ended() -> None:
    one = waiver()
    assert verdict(one, [], UNTIL) == Covered("waived by Mira, until 2026-12-01: new disk")
    assert verdict(one, [], UNTIL + timedelta(days=1)) == Expired(
        "the waiver of disk-space[root] by Mira ended on 2026-12-01, 1 day ago"
    )
    late = verdict(waiver(at_most="83 %"), [figure(0.5)], date(2026, 12, 4))
    assert late == Expired("the waiver of disk-space[root] by Mira ended on 2026-12-01, 3 days ago")


@pytest.mark.parametrize(
    ("at_most", "at_least", "seen", "covered"),
    [
        ("83 %", None, figure(0.83), True),
        ("83 %", None, figure(0.8), True),
        ("83 %", None, figure(0.83 + 1e-9), False),
        ("83 %", None, figure(0.90), False),
        ("60 MiB", None, figure(60 * 1024**2, "B", 50 * 1024**2), True),
        ("60 MiB", None, figure(60 * 1024**2 + 1, "B", 50 * 1024**2), False),
        ("30 h", None, figure(30 * 3600, "s", 86400), True),
        ("30 h", None, figure(30 * 3600 + 1, "s", 86400), False),
        (12, None, figure(12, "1", 10), True),
        (12, None, figure(13, "1", 10), False),
        (12, None, figure(12, "1", None), True),
        (None, "20 d", figure(20 * 86400, "s", 30 * 86400), True),
        (None, "20 d", figure(20 * 86400 - 1, "s", 30 * 86400), False),
        (None, 2, figure(1, "1", None), False),
        ("83 %", None, figure(float("nan")), False),
    ],
)
def test_a_bound_ends_it(at_most: object, at_least: object, seen: dict[str, Any], covered: bool) -> None:
    judged = verdict(waiver(at_most=at_most, at_least=at_least), [seen], TODAY)
    assert isinstance(judged, Covered) is covered, judged
    if not covered:
        assert isinstance(judged, Exceeded)


def test_what_is_worse_than_allowed_is_said_with_both_figures() -> None:
    assert verdict(waiver(at_most="83 %"), [figure(0.9)], TODAY) == Exceeded(
        "the waiver of disk-space[root] by Mira covers at most 83 %, and used is 90 %"
    )


def test_it_is_held_against_the_figure_that_has_a_limit() -> None:
    free, used = figure(0.99, limit=None, name="free"), figure(0.82)
    assert isinstance(verdict(waiver(at_most="83 %"), [free, used], TODAY), Covered)
    assert isinstance(verdict(waiver(at_most="83 %"), [free], TODAY), Exceeded)
    size = figure(10.0, "B", 5.0, "size")
    assert isinstance(verdict(waiver(at_most="83 %"), [size, used], TODAY), Covered), "of several the one of that unit"


def test_a_bound_of_another_unit_covers_nothing() -> None:
    assert verdict(waiver(at_most=0.83), [figure(0.82)], TODAY) == Exceeded(
        "the waiver of disk-space[root] by Mira is bound to at most 0.83, which is a plain number, "
        'but used is a share: write it as "83 %"'
    )
    judged = verdict(waiver(at_most="83 %"), [], TODAY)
    assert isinstance(judged, Exceeded)
    assert "there is no figure to hold against it" in judged.words


def test_a_bound_on_the_wrong_side_covers_nothing() -> None:
    # 20 days are left where 30 are wanted: "at most 25 d" would hold until there is no certificate at all.
    judged = verdict(waiver(at_most="25 d"), [figure(20 * 86400, "s", 30 * 86400, "left")], TODAY)
    assert judged == Exceeded(
        "the waiver of disk-space[root] by Mira covers at most 25 d, but left is 20 d, below its limit of 30 d: "
        "something else is broken, or at_least was meant"
    )
    # Its disk is within the limit, so that something else is broken.
    assert isinstance(verdict(waiver(at_most="83 %"), [figure(0.5)], TODAY), Exceeded)
    assert isinstance(verdict(waiver(at_least="50 %"), [figure(0.9)], TODAY), Exceeded)


FIGURES = st.fixed_dictionaries(
    {
        "name": st.just("used"),
        "value": st.floats() | st.integers(-(10**20), 10**20),
        "unit": st.sampled_from(["s", "B", "share", "1"]),
        "limit": st.none() | st.floats(allow_nan=False) | st.integers(0, 10**20),
    }
)


@given(
    st.lists(FIGURES, max_size=3),
    st.sampled_from([None, "83 %", "60 MiB", "24 h", 12]),
    st.booleans(),
    st.dates(TODAY, UNTIL + timedelta(days=3)),
)
def test_whatever_the_figures_are_there_is_a_verdict(
    figures: list[dict[str, Any]], bound: object, most: bool, day: date
) -> None:
    judged = verdict(waiver(at_most=bound) if most else waiver(at_least=bound), figures, day)
    assert isinstance(judged, Expired) == (day > UNTIL)
    if isinstance(judged, Covered) and bound is not None:
        wanted = Bound.parse(bound)
        within = [one["value"] <= wanted.value if most else one["value"] >= wanted.value for one in figures]
        assert any(ok and one["unit"] == wanted.unit for ok, one in zip(within, figures, strict=True))


def test_without_a_bound_where_there_could_be_one_is_said() -> None:
    judged = verdict(waiver(), [figure(0.82)], TODAY)
    assert isinstance(judged, Covered)
    assert judged.warning == (
        "the waiver of disk-space[root] by Mira has no bound: used is 82 % and may grow worse unseen until it ends; "
        "give it at_most or at_least"
    )
    assert verdict(waiver(), [figure(3, "1", None)], TODAY) == Covered(waiver().words)


def test_warnings_say_what_ends_soon_and_what_has_ended() -> None:
    known = waivers(
        waiver("backup-fresh", date(2026, 12, 2)),
        waiver("disk-space[docker]", date(2026, 12, 1)),
        waiver("disk-space[root]", date(2026, 11, 27)),
        waiver("disk-space[a]", date(2026, 11, 25)),
        waiver("disk-space[b]", TODAY),
        waiver("disk-space[c]", date(2026, 11, 23)),
    )
    assert known.warnings(TODAY) == [
        "the waiver of disk-space[docker] by Mira ends on 2026-12-01, in 7 days",
        "the waiver of disk-space[root] by Mira ends on 2026-11-27, in 3 days",
        "the waiver of disk-space[a] by Mira ends on 2026-11-25, in 1 day",
        "the waiver of disk-space[b] by Mira ends on 2026-11-24, today",
        "the waiver of disk-space[c] by Mira ended on 2026-11-23, 1 day ago",
    ]


def test_one_that_is_no_longer_needed_says_so() -> None:
    assert waiver().unneeded() == (
        "the waiver of disk-space[root] by Mira, until 2026-12-01, is no longer needed: "
        "what it covers holds; take it out"
    )


def test_a_mistyped_item_is_said() -> None:
    results = {("disk-space", "root"), ("disk-space", "docker"), ("backup-fresh", "")}
    known = waivers(waiver("disk-space[rot]"), waiver("disk-space[root]"), waiver("certificate-lasts[disk]"))
    assert known.without_result(results) == [
        "the waiver of disk-space[rot] by Mira covers nothing: disk-space has no item rot; there are docker, root"
    ]


BOUNDS = st.one_of(
    st.none(),
    st.integers(0, 10**9),
    st.floats(0, 1e12, allow_nan=False),
    st.sampled_from(["83 %", "0.5 %", "60 MiB", "1 GB", " 24 h ", "7 d", "250 ms"]),
)


@given(TEXTS, TEXTS, st.dates(TODAY, TODAY + timedelta(days=366)), BOUNDS, st.booleans())
def test_what_was_said_is_read_back(by: str, reason: str, until: date, bound: object, most: bool) -> None:
    bounds: dict[str, Any] = {"at_most" if most else "at_least": bound}
    said = waiver("disk-space", until, by=by, reason=reason, **bounds)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "waivers.toml"
        file.write_text(f"# ours\n{GOOD}")
        assert add(file, said, SLUGS, TODAY).all[-1] == said
        assert file.read_text(encoding="utf-8").startswith(f"# ours\n{GOOD}")
        (one,) = read(file, SLUGS, TODAY).all[1:]
    assert (one, one.by, one.reason, one.until) == (said, by, reason, until)
    assert str(one.bound) == str(said.bound)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (waiver(), "there is a waiver of disk-space\\[root\\] already on line 1: change that one"),
        (waiver("disk-space", TODAY - timedelta(days=1)), "until: 2026-11-23 is over, today is 2026-11-24"),
        (waiver("disk-space", TODAY + timedelta(days=367)), "more than a year ahead"),
        (waiver("disk"), "there is no expectation 'disk'"),
        (waiver("disk-space", by="\udc80"), "no UTF-8 text"),
    ],
)
def test_what_is_not_right_is_not_added(tmp_path: Path, wrong: Waiver, said: str) -> None:
    file = tmp_path / "waivers.toml"
    file.write_text(GOOD)
    with pytest.raises(RecordError, match=said):
        add(file, wrong, SLUGS, TODAY)
    assert file.read_text() == GOOD
    assert names_in(tmp_path) == ["waivers.toml"]


def test_what_does_not_apply_has_a_known_slug_and_a_reason() -> None:
    good = {"disk-space[docker]": "no disk of its own", "backup-fresh": "somebody else's"}
    assert check_not_applicable(good, SLUGS) == []
    assert check_not_applicable({"disc-space": "x", "backup-fresh[a]": "x", "backup-fresh": " \n"}, SLUGS) == [
        "not_applicable: there is no expectation 'disc-space' (did you mean disk-space?).",
        "not_applicable: backup-fresh has no items: write it without [a].",
        "not_applicable: backup-fresh: the reason is missing: say why it doesn't apply here.",
    ]
    assert why_not_applicable(good, "disk-space", "docker") == "no disk of its own"
    assert why_not_applicable(good, "disk-space", "root") == ""
    assert why_not_applicable(good, "backup-fresh") == "somebody else's"
    assert why_not_applicable({**good, "disk-space": "none"}, "disk-space", "root") == "none"
    assert why_not_applicable({**good, "disk-space": "none"}, "disk-space", "docker") == "no disk of its own"


X, Y = ("GHSA-x", "CVE-1"), ("GHSA-y",)
"""Two findings, by the names that each goes by."""


def test_a_waiver_that_names_ids_covers_just_these_by_whatever_name() -> None:
    for name in ("GHSA-x", "cve-1"):
        one = waiver(covers=(name,))
        assert verdict(one, [], TODAY, ids=[X]) == Covered(f"waived by Mira, until 2026-12-01, for {name}: new disk")
        assert verdict(one, [], TODAY, ids=[X, Y]) == Exceeded(f"not covered by {one.name}: GHSA-y")
    assert verdict(waiver(covers=("GHSA-x",)), [figure(3, "1", None)], TODAY) == Exceeded(
        "the waiver of disk-space[root] by Mira covers GHSA-x only, and what is broken names nothing like that"
    )


def test_ids_of_a_waiver_that_has_ended_are_broken_again() -> None:
    one, other = waiver(covers=("GHSA-x",)), waiver(until=date(2026, 11, 1), by="Jo", covers=("GHSA-y",))
    known = waivers(other, one)
    assert known.on("disk-space", "root", TODAY) is one
    assert known.beside(one) == (other,)
    assert verdict(one, [], TODAY, ids=[X, Y], beside=known.beside(one)) == Exceeded(
        f"not covered by {one.name}: GHSA-y; the waiver of disk-space[root] by Jo ended on 2026-11-01, 23 days ago"
    )
    assert isinstance(verdict(one, [], UNTIL + timedelta(days=1), ids=[X]), Expired)
    lasting = waiver(by="Jo", reason="no way in", covers=("GHSA-y",))
    assert verdict(one, [], TODAY, ids=[X, Y], beside=[lasting]) == Covered(
        "waived by Mira, until 2026-12-01, for GHSA-x: new disk; waived by Jo, until 2026-12-01, for GHSA-y: no way in"
    )


IDS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=2), min_size=1, max_size=4)


@given(ids=IDS, covers=st.sets(st.sampled_from("ABCD"), min_size=1), more=st.sets(st.sampled_from("abcd")))
def test_all_findings_have_to_be_covered(ids: list[list[str]], covers: set[str], more: set[str]) -> None:
    beside = [waiver(covers=tuple(more))] if more else []
    judged = verdict(waiver(covers=tuple(covers)), [], TODAY, ids=ids, beside=beside)
    either = {one.lower() for one in covers} | more
    assert isinstance(judged, Covered) == all(either.intersection(names) for names in ids)


def test_what_is_covered_is_written_and_read_again(tmp_path: Path) -> None:
    one = waiver(covers=('GHSA-"x"', "CVE-1"))
    assert add(tmp_path / "waivers.toml", one, SLUGS, TODAY).all == (one,)
    assert 'covers = ["GHSA-' in (tmp_path / "waivers.toml").read_text()
