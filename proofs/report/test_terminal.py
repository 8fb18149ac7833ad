"""What an operator reads in the terminal is short, complete and harmless."""

from __future__ import annotations

import re

import pytest

from proofs.report.samples import HOSTILE, blind, every_text, result, run
from report.terminal import MOST_LINES, failure_text, summary

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
    out = told(*(blind("security-header", "site", item=item) for item in "abcdef"), blind("health", "site"))
    assert out[:5] == [
        "CAN'T TELL security-header[a] (major): security-header can't be told.",
        "    Guide: Daily · Morning check-in",
        "    In the way: the site does not answer within 5 s",
        "    Do: Run `/srv/synk/backup.sh` by hand, then read its log.",
        "    6 more wait for the same: security-header (5), health",
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


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("outcome", ["broken", "cannot tell", "set aside"])
def test_hostile_text_in_every_field_stays_harmless(hostile: str, outcome: str) -> None:
    bad = every_text(result(outcome=outcome), lambda _: hostile)
    out = summary([bad], every_text(run(warnings=["x"]), lambda _: hostile), colour=False, width=80)
    for line in [*out, *failure_text(bad).split("\n")]:
        assert line.isprintable()
    assert len(failure_text(bad).split("\n")) <= 6
    assert sum(map(len, out)) < 10_000
