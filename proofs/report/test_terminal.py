"""What an operator reads in the terminal is short, complete and harmless."""

from __future__ import annotations

import re

import pytest

from proofs.report.samples import HOSTILE, blind, every_text, result, run
from report.terminal import LABELS, MOST_LINES, SIGNS, ending, failure_text, has_signs, heading, summary, writable
from report.terminal import told as told_of

BROKEN = result(
    outcome="broken",
    severity="critical",
    message="synk.sql.gz is 31 h old, wanted at most 24 h (limits.backup_age, the guide's default).",
)


def told(*results: object, colour: bool = False, width: int = 100, **changes: object) -> list[str]:
    return summary(list(results), run(**changes), colour=colour, width=width)  # type: ignore[arg-type]


def test_when_all_holds_there_is_one_line() -> None:
    assert told(result(), result("disk-space")) == [
        "synk, daily: all holds (0 broken, 0 can't tell, 0 set aside, 2 hold); 2 of 2 slugs looked at in",
        "    full, in 0.61 s.",
    ]


def test_a_broken_expectation_says_what_where_and_what_to_do() -> None:
    assert told(BROKEN, width=80)[:4] == [
        "BROKEN backup-fresh (critical): synk.sql.gz is 31 h old, wanted at most 24 h",
        "    (limits.backup_age, the guide's default).",
        "    Guide: Daily · Morning check-in",
        "    Do: Run `/srv/synk/backup.sh` by hand, then read its log.",
    ]


def test_what_waits_for_the_same_is_folded() -> None:
    waiting = [blind("security-header", "site", item=item, message="It can't be told.") for item in "abcdef"]
    out = told(*waiting, blind("health", "site"), width=120)
    assert out[:4] == [
        "CAN'T TELL security-header[a] (major): It can't be told. In the way: the site does not answer within 5 s",
        "    Guide: Daily · Morning check-in · 6 more wait for the same: security-header (5), health",
        "    Do: Run `/srv/synk/backup.sh` by hand, then read its log.",
        "",
    ]
    assert "CAN'T TELL" not in "".join(out[1:])


def test_the_cause_is_not_said_twice() -> None:
    said = blind("error-rate", "host", message="As the host does not answer within 5 s: no log could be read.")
    assert any("In the way" in line for line in told(blind("error-rate", "host")))
    assert not any("In the way" in line for line in told(said))


def test_what_is_set_aside_is_shown_with_its_reason() -> None:
    out = told(result(), result("cache-used", outcome="set aside", reason="no Redis in the stack"))
    assert "SET ASIDE cache-used: no Redis in the stack" in out
    assert "1 set aside" in " ".join(out)


def test_what_was_set_aside_without_a_reason_says_so() -> None:
    assert "SET ASIDE cache-used: no reason is given" in told(result("cache-used", outcome="set aside"))


def test_warnings_of_the_run_are_said() -> None:
    assert "Note: the session is a superuser's." in told(result(), warnings=["the session is a superuser's"])


def test_a_command_is_never_broken_over_two_lines() -> None:
    command = "`docker-compose logs --timestamps --since 8h --tail 50 backend`"
    out = told(result(outcome="broken", remedy=f"Have a quiet look at {command}."), width=60)
    assert any(command in line for line in out)


def test_there_is_no_escape_sequence_without_colour() -> None:
    plain = told(BROKEN, blind("a", "site"), result("b", outcome="set aside"))
    coloured = told(BROKEN, blind("a", "site"), result("b", outcome="set aside"), colour=True)
    assert "\x1b" not in "".join(plain)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == plain
    assert coloured != plain


def test_a_disaster_is_bounded() -> None:
    out = told(*(result(f"services-up-{n}", outcome="broken") for n in range(500)))
    assert sum(line.startswith("BROKEN") for line in out) == MOST_LINES
    assert f"and {500 - MOST_LINES} more lines like these, in the report" in out
    assert "500 broken" in " ".join(out)


def test_a_failure_is_told_in_six_lines() -> None:
    crashed = blind("error-rate", "host", traceback="Traceback …\n  line\nKeyError: 'db'", looked_at="3 of 24 h")
    for shown in (BROKEN, crashed, result()):
        assert len(failure_text(shown).split("\n")) <= 6
    assert failure_text(BROKEN).split("\n") == [
        "synk.sql.gz is 31 h old, wanted at most 24 h (limits.backup_age, the guide's default).",
        "Expected: at most 24 h old; seen: 31 h old; limit: limits.backup_age = 24 h (the guide's default)",
        "Looked at: 9 files in /srv/synk/backups",
        "Guide: Daily · Morning check-in",
        "Do: Run `/srv/synk/backup.sh` by hand, then read its log.",
    ]


def test_a_crash_of_the_check_names_the_exception() -> None:
    crashed = result(outcome="cannot tell", traceback="Traceback (most recent call last):\n  x\nKeyError: 'db'\n")
    assert "The check itself crashed: KeyError: 'db'" in failure_text(crashed)


LONG = "97 of 100 connections are in use, " + "of them one that is idle since yesterday, " * 10
COMMANDS = "Who holds them: `" + "SELECT 1 " * 15 + "`. End them: `" + "SELECT 2 " * 15 + "`. Then wait."


@pytest.mark.parametrize("message", ["It is late.", LONG], ids=["short", "long"])
@pytest.mark.parametrize("remedy", ["Mend it.", "Mend it, " * 40, COMMANDS], ids=["short", "long", "commands"])
@pytest.mark.parametrize("began", ["", "since Tue 24 Nov 04:00, 3 runs"])
def test_what_is_broken_is_explained_in_four_lines_with_what_to_do(message: str, remedy: str, began: str) -> None:
    waiting = [blind(f"others-that-wait-{n}", "db", item="x") for n in range(9)]
    head = result(outcome="broken", message=message, remedy=remedy, cause="db")
    out = summary([head, *waiting], run(), colour=False, width=120, since=lambda _: began)
    explained = out[: out.index("")]
    assert len(explained) <= 4
    assert all(len(line) <= 120 for line in explained if "SELECT" not in line), "only a command may be longer"
    assert explained[0].startswith("BROKEN backup-fresh (major): ")
    assert "9 more wait for the same" in " ".join(explained)
    assert "Do: " in " ".join(explained)
    assert began[1:] in " ".join(" ".join(explained).split())
    assert all(line.count("`") % 2 == 0 for line in explained), "a command is whole or isn't there"
    cut = [line for line in explained if "…" in line]
    assert ("Where a line ends in …, the report and -v have the rest." in out) == bool(cut)
    whole = " ".join(summary([head, *waiting], run(), colour=False, width=120, whole=True))
    assert "…" not in whole
    assert remedy.strip() in re.sub(" +", " ", whole)


def test_what_is_slow_says_so_and_what_isnt_doesnt() -> None:
    assert told_of([result(duration=1.9)], colour=False, width=100) == ["  ✓ The newest backup is at most a day old"]
    assert told_of([result(duration=2.1)], colour=False, width=100) == [
        "  ✓ The newest backup is at most a day old (2.10 s)"
    ]


def test_the_items_of_an_expectation_are_one_line_that_names_what_stands_out() -> None:
    up = [result("up", title="Every service is up.", item=item) for item in ("db", "web", "cache")]
    assert told_of(up, colour=False, width=100) == ["  ✓ Every service is up (3 of 3)"]
    up[1] = result("up", title="Every service is up.", item="web", outcome="broken")
    assert told_of(up, colour=False, width=100) == ["  ✗ BROKEN Every service is up (2 of 3; broken: web)"]
    blinded = [blind("up", "engine", item=f"s{n}") for n in range(9)]
    (line,) = told_of([*blinded, *up], colour=False, width=120)
    assert line.endswith("(2 of 12; broken: web; can't tell: s0, s1, s2 and 6 more)")
    assert told_of(up[:1], colour=False, width=100) == ["  ✓ Every service is up (db)"]


def test_more_is_what_was_seen_and_looked_at() -> None:
    assert told_of([result(), result(item="b")], colour=False, width=100, more=True)[1:] == [
        "    seen: 31 h old; looked at: 9 files in /srv/synk/backups",
        "    b: seen: 31 h old; looked at: 9 files in /srv/synk/backups",
    ]
    assert "told: error-rate can't be told" in told_of([blind("error-rate", "x")], colour=False, width=99, more=True)[1]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("outcome", list(LABELS))
def test_lines_are_as_wide_as_the_terminal_and_say_the_same_without_colour_or_signs(outcome: str, width: int) -> None:
    results = [result(outcome=outcome, title="What holds, " * 12, item=item) for item in "abcdef"]
    lines = told_of(results, colour=False, width=width)
    assert max(map(len, lines)) <= min(width, 120)
    coloured = told_of(results, colour=True, width=width)
    assert coloured != lines
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == lines
    bare = told_of(results, colour=False, width=width, signs=False)
    assert bare[0].startswith(f"  {'holds:' if outcome == 'holds' else LABELS[outcome]} What holds")
    assert max(map(len, bare)) <= min(width, 120)


def test_an_output_that_has_not_every_character_gets_what_it_has() -> None:
    assert has_signs("utf-8")
    assert not has_signs("latin-1")
    assert writable(heading("Daily · Morning check-in", colour=False), "ascii") == "Daily - Morning check-in"
    assert writable("… Zoë — тест", "latin-1") == "... Zoë - ????"
    assert all(writable(sign, "utf-8") == sign for sign in SIGNS.values())


def test_what_changed_stands_above_the_verdict() -> None:
    since = "Since the run of yesterday 04:00: nothing changed."
    assert summary([result()], run(), colour=False, width=120, changed=since)[0] == since


def test_a_run_that_ended_early_says_so_in_its_verdict() -> None:
    early = " ".join(" ".join(ending([result()], run(), 34, colour=False, width=200)).split())
    assert early.endswith("; the run ended early, 34 of 35 were not looked at.")
    assert "\x1b[33;1m" in ending([result()], run(), 34, colour=True, width=200)[0], "it isn't green"
    assert "\x1b[32;1m" in ending([result()], run(), 0, colour=True, width=200)[0]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("outcome", ["broken", "cannot tell", "set aside"])
def test_hostile_text_in_every_field_stays_harmless(hostile: str, outcome: str) -> None:
    bad = every_text(result(outcome=outcome), lambda _: hostile)
    out = summary([bad], every_text(run(warnings=["x"]), lambda _: hostile), colour=False, width=80)
    lines = told_of([bad, bad], colour=False, width=80, more=True)
    for line in [*out, *lines, heading(bad["section"], colour=False), *failure_text(bad).split("\n")]:
        assert line.isprintable()
    assert len(failure_text(bad).split("\n")) <= 6
    assert sum(map(len, out)) < 10_000
