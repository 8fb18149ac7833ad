"""What is told, when, and when it ends: of synthetic runs, without anything being sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.report.samples import HOSTILE, blind, every_text, result, run
from report import alerts
from report.alerts import Known, Telling
from report.text import for_chat

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from report.lines import Result, Severity

HERE, THERE = "aaaaaa", "bbbbbb"
HOLDS = "holds"


class Nights:
    """Runs on one target, one after another, and who takes what is sent."""

    def __init__(self, *addresses: str, severity: Severity = "major", again_after: int = 7) -> None:
        self.addresses = addresses or (HERE,)
        self.severity = severity
        self.again_after = again_after
        self.states: alerts.States = {}
        self.number = 0

    def run(self, *results: Result, down: Collection[str] = (), known: Known | None = None) -> list[Telling]:
        """One run; what is told in it, whoever takes it."""
        self.number += 1
        facts = run(started=f"2026-11-{self.number % 28 + 1:02}T02:00:00+01:00")
        before = cast("alerts.States", json.loads(json.dumps(self.states)))
        states = alerts.look(before, results, facts, known or Known())
        alerts.addressed(states, self.addresses)
        due = alerts.plan(states, self.addresses, "synk", severity=self.severity, again_after=self.again_after)
        for one in due:
            note = alerts.refused if one.address in down else alerts.accepted
            note(states[one.key], one)
        kept = alerts.to_remember(before, states, self.again_after)
        self.states = {key: state for key, state in kept.items() if state is not None}
        return due

    def kinds(self, *results: Result, down: Collection[str] = (), known: Known | None = None) -> list[str]:
        return [one.kind for one in self.run(*results, down=down, known=known)]


def broken(slug: str = "backup-fresh", **changes: object) -> Result:
    return result(slug, outcome="broken", **changes)


def test_only_a_change_is_told() -> None:
    nights = Nights()
    assert nights.kinds(result()) == []
    assert nights.kinds(broken()) == ["new"]
    assert nights.kinds(broken()) == []
    assert nights.kinds(result()) == ["mended"]
    assert nights.kinds(result()) == []


def test_it_may_have_been_so_before_anybody_was_told() -> None:
    at = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)
    states = alerts.look({}, [broken()], run(started="2026-11-23T04:00:00+01:00"), Known(), lambda _: at)
    (one,) = alerts.plan(states, [HERE], "synk", severity="major", again_after=7)
    assert "Since: 2026-11-20 04:30 Europe/Vienna" in one.lines


def test_what_stays_so_is_told_again_after_some_runs() -> None:
    nights = Nights(again_after=3)
    assert [nights.kinds(broken()) for _ in range(7)] == [["new"], [], [], ["still"], [], [], ["still"]]
    # A run that didn't look doesn't count.
    assert [nights.kinds(result("other")) for _ in range(4)] == [[]] * 4
    never = Nights(again_after=0)
    assert [kind for _ in range(30) for kind in never.kinds(broken())] == ["new"]


def test_blindness_in_between_is_neither_mended_nor_new() -> None:
    nights = Nights()
    cant = result("backup-fresh", outcome="cannot tell")
    assert nights.kinds(broken()) == ["new"]
    assert nights.kinds(cant) == []
    assert nights.kinds(broken()) == []
    assert nights.kinds(result()) == ["mended"]
    assert nights.kinds(cant) == ["new"]
    # Now it is seen to be broken: that is worse, and told once.
    assert nights.kinds(broken()) == ["worse"]
    assert nights.kinds(cant) == []
    assert nights.kinds(broken()) == []


def test_the_least_severity() -> None:
    assert Nights().kinds(broken(severity="minor")) == []
    assert Nights(severity="minor").kinds(broken(severity="minor")) == ["new"]
    nights = Nights()
    assert nights.kinds(broken(severity="major")) == ["new"]
    assert nights.kinds(broken(severity="critical")) == ["worse"]
    # What was told is closed, whatever the settings say by then.
    nights.severity, nights.again_after = "critical", 1
    assert nights.kinds(broken(severity="major")) == []
    assert nights.kinds(result()) == ["mended"]


def test_what_a_run_did_not_look_at_stays_open() -> None:
    nights = Nights()
    nights.run(broken(), broken("disk-space", item="docker"))
    assert nights.kinds(result("other")) == []
    assert [one.key for one in nights.run(result("disk-space", item="docker"))] == ["disk-space[docker]"]


def test_what_is_set_aside_or_gone_ends_with_those_words() -> None:
    nights = Nights()
    nights.run(broken(), broken("disk-space", item="sda"), broken("old-one"))
    aside = result(outcome="set aside", reason="A. Person until 2026-12-24: the disk is on order")
    (one,) = nights.run(aside)
    assert one.kind == "set aside"
    assert "A. Person until 2026-12-24" in one.lines[0]
    # Other items of it are looked at, this one isn't there any more.
    known = Known({("disk-space", "sdb")})
    assert nights.kinds(result("other"), known=Known({("other", "")})) == []
    (one,) = nights.run(result("disk-space", item="sdb"), known=known)
    assert (one.kind, one.key) == ("gone", "disk-space[sda]")
    assert "no such thing to look at any more" in one.lines[0]
    (one,) = nights.run(result("disk-space", item="sdb"), known=Known({("disk-space", "sdb")}, {"disk-space"}))
    assert (one.kind, one.key) == ("gone", "old-one")


# One cause, one message.


def silent(*slugs: str) -> list[Result]:
    return [blind(slug, "database", severity="critical" if place == 3 else "major") for place, slug in enumerate(slugs)]


TWENTY = tuple(f"of-the-database-{number}" for number in range(20))


def test_a_silent_database_with_twenty_behind_it_is_one_message() -> None:
    nights = Nights()
    (one,) = nights.run(result("other"), *silent(*TWENTY))
    assert (one.kind, one.key, one.severity) == ("new", "cause:database", "critical")
    assert one.title == "synk: CAN'T TELL of-the-database-0 and 19 more (critical)"
    assert any(line.startswith("19 more wait for the same: of-the-database-1, ") for line in one.lines)
    # Others come first by the next night: it is the same thing, and the services know it by the same name.
    assert nights.run(*silent(*reversed(TWENTY))) == []
    (other,) = nights.run(*(result(slug) for slug in TWENTY))
    assert (other.kind, other.dedup) == ("mended", one.dedup)


def test_a_run_that_looks_at_a_part_does_not_make_less_of_it() -> None:
    nights = Nights(again_after=2)
    nights.run(*silent(*TWENTY))
    assert nights.run(blind(TWENTY[5], "database")) == []
    (one,) = nights.run(blind(TWENTY[5], "database"))
    assert one.title == "synk: STILL CAN'T TELL of-the-database-0 and 19 more (critical)"
    assert one.lines[-1].endswith("at 2026-11-04 02:00 Europe/Vienna")
    # One that looks at all of it knows better.
    nights.run(blind(TWENTY[5], "database"), *(result(slug) for slug in TWENTY if slug != TWENTY[5]))
    (one,) = nights.run(blind(TWENTY[5], "database"))
    assert one.title == "synk: STILL CAN'T TELL of-the-database-5 (major)"


def test_what_only_waits_now_has_not_mended() -> None:
    nights = Nights()
    nights.run(broken("connections"))
    assert [one.key for one in nights.run(*silent("connections", "growth"))] == ["cause:database"]
    # The database answers, and one of the two is broken as before.
    due = nights.run(broken("connections"), result("growth"))
    assert [(one.key, one.kind) for one in due] == [("cause:database", "mended")]
    assert [(one.key, one.kind) for one in nights.run(result("connections"))] == [("connections", "mended")]


def test_a_cause_hidden_by_another_has_not_mended() -> None:
    nights = Nights()
    nights.run(*silent("growth", "usage"))
    assert [one.key for one in nights.run(blind("growth", "engine"), blind("usage", "engine"))] == ["cause:engine"]
    # Blind for a reason of its own: that says nothing of what it waited for.
    assert [one.key for one in nights.run(result("growth", outcome="cannot tell"))] == ["growth"]
    assert {one.key for one in nights.run(result("growth"))} == {"cause:engine", "cause:database", "growth"}


def test_a_cause_ends_by_what_is_seen_behind_it() -> None:
    nights = Nights()
    nights.run(*silent("growth", "usage"))
    assert [one.kind for one in nights.run(broken("growth")) if one.key == "cause:database"] == ["mended"]
    # One that is broken for itself doesn't outweigh one that is still blind.
    nights = Nights()
    nights.run(*silent("growth", "usage"))
    due = nights.run(broken("growth"), blind("usage", "engine"))
    assert {one.key for one in due} == {"growth", "cause:engine"}
    nights = Nights()
    nights.run(*silent("growth", "usage"))
    aside = [result(slug, outcome="set aside", reason="not here") for slug in ("growth", "usage")]
    assert nights.kinds(aside[0]) == []
    assert nights.kinds(*aside) == ["set aside"]


def test_names_are_stable_and_apart() -> None:
    def dedup(*results: Result, target: str = "synk") -> str:
        states = alerts.look({}, results, run(), Known())
        (one,) = alerts.plan(states, [HERE], target, severity="minor", again_after=0)
        return one.dedup

    assert dedup(broken()) == dedup(broken(message="other", severity="minor"))
    names = {
        dedup(broken()),
        dedup(broken(), target="other"),
        dedup(broken(item="a/b?c")),
        dedup(broken(item="a b c")),
        dedup(blind("backup-fresh", "backup-fresh")),
    }
    assert len(names) == 5
    assert all(len(name) < 128 and name.replace("-", "").replace(".", "").isalnum() for name in names)


# Who has taken what.


def test_each_address_is_told_what_it_has_not_taken() -> None:
    nights = Nights(HERE, THERE)
    assert len(nights.run(broken(), down=[THERE])) == 2
    (one,) = nights.run(broken(), down=[THERE])
    assert (one.address, one.kind) == (THERE, "new")
    # Even by a run that looks at something else.
    (one,) = nights.run(result("other"))
    assert (one.address, one.kind) == (THERE, "new")
    assert nights.run(broken()) == []
    assert len(nights.run(result(), down=[HERE])) == 2
    (one,) = nights.run(result("other"))
    assert (one.address, one.kind) == (HERE, "mended")


def test_what_came_and_went_while_the_route_was_down_is_told_once() -> None:
    nights = Nights(HERE)
    nights.run(broken(), down=[HERE])
    (one,) = nights.run(result(), down=[HERE])
    assert one.kind == "missed"
    (one,) = nights.run(result("other"))
    assert one.kind == "missed"
    assert one.title == "synk: WAS BROKEN backup-fresh (major)"
    assert "Nothing of it could be told while it was so." in one.lines
    assert nights.run(result()) == []


def test_addresses_that_could_not_be_read_are_owed_too() -> None:
    states = alerts.look({}, [broken()], run(), Known())
    alerts.nobody_reached(states, "major")
    states = alerts.look(states, [result()], run(), Known())
    alerts.addressed(states, [HERE, THERE])
    due = alerts.plan(states, [HERE, THERE], "synk", severity="major", again_after=7)
    assert [(one.address, one.kind) for one in due] == [(HERE, "missed"), (THERE, "missed")]


def test_an_address_that_is_new_hears_what_is_open_and_one_that_is_gone_is_forgotten() -> None:
    nights = Nights(HERE)
    nights.run(broken())
    nights.addresses = (THERE,)
    (one,) = nights.run(result("other"))
    assert (one.address, one.kind) == (THERE, "new")
    assert list(nights.states["backup-fresh"]["told"]) == [THERE]


def test_what_comes_and_goes_says_so_and_is_forgotten_when_it_has_held() -> None:
    nights = Nights(again_after=3)
    for _ in range(2):
        nights.run(broken())
        nights.run(result())
    (one,) = nights.run(broken())
    assert any(line.endswith("it is the third time, it comes and goes") for line in one.lines)
    for _ in range(5):
        nights.run(result())
    assert nights.states == {}


# What a message says.


def test_nobody_must_log_in_to_learn_what_it_was() -> None:
    (one,) = Nights().run(broken(severity="critical"))
    assert one.title == "synk: BROKEN backup-fresh (critical)"
    assert one.lines == (
        "backup-fresh is 31 h old, wanted at most 24 h (limits.backup_age, the guide's default).",
        "Seen: 31 h old",
        "Wanted: at most 24 h old; limits.backup_age = 24 h, the guide's default",
        "Do: Run `/srv/synk/backup.sh` by hand, then read its log.",
        "Since: 2026-11-02 02:00 Europe/Vienna",
        "Should hold: The newest backup is at most a day old.",
        "Guide: Daily · Morning check-in: `ls -lh` — a recent file",
        "Looked at: 9 files in /srv/synk/backups",
        "Target: synk, last seen so by run 7f3a9c21 (daily) at 2026-11-02 02:00 Europe/Vienna",
    )
    nights = Nights()
    nights.run(broken())
    (one,) = nights.run(result())
    assert one.title == "synk: MENDED backup-fresh (major)"
    assert one.lines[0] == "It holds again, seen at 2026-11-03 02:00 Europe/Vienna."
    assert one.lines[1].startswith("It was broken since 2026-11-02 02:00 Europe/Vienna: backup-fresh is 31 h old")


CHAT = (
    "<!here> <!channel> <!subteam^S1> <@U123>",
    "@here @channel @everyone @all @a.person",
    "<https://evil.example/x|https://bank.example>",
    "[your bank](https://evil.example/x) ![x](http://evil.example/i.png)",
    "[a][1] evil.example/x www.evil.example evil.example:8080",
    "||hidden|| |||| <#123>",
    "tg://user?id=1 slack://x MAILTO:a@b.example",
)


@pytest.mark.parametrize("text", [*HOSTILE, *CHAT], ids=range(len(HOSTILE) + len(CHAT)))
def test_no_text_is_more_than_text_in_a_message(text: str) -> None:
    hostile = every_text(broken(), lambda _: text)
    hostile["slug"] = "backup-fresh"
    hostile["severity"], hostile["outcome"] = "major", "broken"
    nights = Nights()
    for one in [*nights.run(hostile), *nights.run({**hostile, "outcome": "holds"})]:
        for line in (one.title, *one.lines):
            assert len(line) <= 1500
            assert line.isprintable()
            assert not any(mark in line for mark in ("<", ">", "@", "://", "](", "][", "||", "www.", ".example/"))
        assert len(one.title) <= 130
        assert one.dedup.isascii()
    json.dumps(nights.states)


@given(st.text(st.sampled_from("<>@:/|[](). wweb\n\x1b[é"), max_size=60))
def test_twice_is_once(text: str) -> None:
    shown = for_chat(text)
    assert for_chat(shown) == shown
    assert not any(mark in shown for mark in ("<", ">", "@", "://", "](", "||"))


# Whatever happens.

NAMES = ("one", "two", "three")
OUTCOME = st.sampled_from(["holds", "broken", "cannot tell", "set aside", "not looked at", "waits"])
NIGHT = st.tuples(st.tuples(*[OUTCOME] * len(NAMES)), st.sets(st.sampled_from([HERE, THERE])))


def _results(outcomes: Sequence[str]) -> list[Result]:
    made = []
    for name, outcome in zip(NAMES, outcomes, strict=True):
        if outcome == "waits":
            made.append(blind(name, "database"))
        elif outcome != "not looked at":
            made.append(result(name, outcome=outcome, reason="a reason"))
    return made


@settings(max_examples=150, deadline=None)
@given(st.lists(NIGHT, max_size=14), st.integers(0, 3))
def test_opens_and_ends_alternate_and_nothing_stays_open_that_holds(
    story: list[tuple[tuple[str, ...], set[str]]], again_after: int
) -> None:
    nights = Nights(HERE, THERE, again_after=again_after)
    at_the_address: dict[tuple[str, str], bool] = {}
    names: dict[str, Any] = {}
    for outcomes, down in [*story, ((HOLDS,) * len(NAMES), set())]:
        due = nights.run(*_results(outcomes), down=down)
        assert len({(one.key, one.address) for one in due}) == len(due)
        for one in due:
            assert names.setdefault(one.key, one.dedup) == one.dedup
            place = (one.key, one.address)
            is_open = at_the_address.get(place, False)
            assert is_open == (one.kind not in {"new", "missed"}), one
            if one.address not in down:
                at_the_address[place] = one.opens
    assert not any(at_the_address.values())
    assert not any(state["open"] or state["told"] or state["owed"] for state in nights.states.values())
