"""FATAL, PANIC and crashes are found in PostgreSQL's log, and nothing that only has the words.

The lines are what PostgreSQL 15 was seen to write.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observe.container_log import LogLine
from observe.database_log import DatabaseLog, read

AT = datetime(2026, 11, 23, 10, 1, 28, tzinfo=UTC)
PREFIX = "2026-11-23 10:01:28.631 UTC [217] "
LOGIN = """\
FATAL:  password authentication failed for user "postgres"
DETAIL:  Connection matched pg_hba.conf line 85: "local   all   all   scram-sha-256\""""
MISSING = 'FATAL:  database "x" does not exist'
KILLED = """\
LOG:  server process (PID 26672) was terminated by signal 9: Killed
DETAIL:  Failed process was running: select set_password('s3cret')
LOG:  terminating any other active server processes
LOG:  all server processes terminated; reinitializing
LOG:  database system was interrupted; last known up at 2026-11-23 15:46:14 UTC
LOG:  database system was not properly shut down; automatic recovery in progress
LOG:  redo is not required
LOG:  database system is ready to accept connections"""
CHECKPOINTER = KILLED.replace("server process (", "checkpointer process (", 1)
SHUTDOWN = """\
LOG:  received fast shutdown request
LOG:  background worker "logical replication launcher" (PID 26696) exited with exit code 1
LOG:  shutting down
LOG:  database system is shut down"""
RECOVERED = """\
LOG:  starting PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu
LOG:  database system was not properly shut down; automatic recovery in progress
LOG:  database system is ready to accept connections"""


def said(*texts: str, prefix: str = PREFIX, ignore: tuple[str, ...] = (), since: datetime | None = None) -> DatabaseLog:
    """What is read of the texts' lines, a second apart; those that begin with a tab get no prefix."""
    written = [
        LogLine(AT + timedelta(seconds=number), "stderr", line if line.startswith("\t") else prefix + line)
        for number, line in enumerate("\n".join(texts).split("\n"))
    ]
    return read(written, ignore=[re.compile(pattern) for pattern in ignore], since=since)


@pytest.mark.parametrize(
    "prefix",
    [
        PREFIX,
        "",
        "[217] ",
        "2026-11-23 10:01:28 UTC:172.18.0.5(51422):postgres@synk_db:[217]:",
        "t=2026-11-23 10:01:28 p=217 l=3 db=synk_db,user=postgres ",
        "waiting for server to start....2026-11-23 10:01:28.631 UTC [48] ",
        "1795428088.631 217 28P01 ",
    ],
)
def test_a_severity_is_found_behind_any_prefix(prefix: str) -> None:
    log = said(LOGIN, MISSING, "LOG:  x", prefix=prefix)
    assert log.fatal_count == 2
    assert [entry.message for entry in log.fatal] == [
        'password authentication failed for user "postgres"',
        'database "x" does not exist',
    ]
    assert log.fatal[0].details[0].startswith("DETAIL:  Connection matched")
    assert log.severities == {"FATAL": 2, "LOG": 1}


@pytest.mark.parametrize(
    "text",
    [
        "ERROR:  relation \"x\" does not exist\nSTATEMENT:  select 'FATAL:  x'\n\tfrom nowhere -- PANIC:  x",
        "LOG:  a FATAL:  b",
        "LOG:  duration: 1.0 ms  statement: select 'FATAL:  '",
        "LOG:  statement: select 'server process (PID 1) was terminated by signal 9: Killed'",
        "WARNING:  two\n\tFATAL:  lines",
        "LOG:  FATAL is a word",
        "ERROR:  x\nHINT:  FATAL:  x\nCONTEXT:  PANIC:  x\nQUERY:  FATAL:  x",
        SHUTDOWN,
        "LOG:  logical replication apply worker (PID 5) exited with exit code 1",
    ],
)
def test_what_only_has_the_words_is_none(text: str) -> None:
    log = said(text)
    assert (log.bad, log.fatal, log.crash_entries) == (0, (), ())
    assert log.entries


def test_a_client_programs_own_message_is_not_the_servers() -> None:
    log = said('psql: error: connection to server at "db" failed: FATAL:  password authentication failed', prefix="")
    assert (log.bad, log.entries) == (0, 0)


@pytest.mark.parametrize(
    "crash",
    [
        KILLED,
        CHECKPOINTER,
        KILLED.replace("was terminated by signal 9: Killed", "exited with exit code 2"),
        KILLED.replace("server process (", 'background worker "x" (', 1),
        "\n".join(KILLED.split("\n")[2:]),  # the window begins within it
        KILLED.replace("LOG:  terminating", "LOG:  autovacuum launcher process (PID 9) was terminated by signal 6\n"
                       "LOG:  terminating", 1),
    ],
)  # fmt: skip
def test_a_crash_of_a_process_is_one_event(crash: str) -> None:
    log = said(crash)
    assert (log.crashes, log.bad, log.fatal_count, log.recoveries) == (1, 1, 0, 0)
    assert len(log.crash_entries) == 1


def test_each_crash_counts() -> None:
    assert said(KILLED, CHECKPOINTER, KILLED).crashes == 3


def test_a_panic_counts_beside_the_crash_it_causes() -> None:
    log = said("PANIC:  could not write to file", KILLED.replace("signal 9: Killed", "signal 6: Aborted"))
    assert (log.fatal_count, log.crashes) == (1, 1)


def test_a_start_after_the_whole_server_was_killed_is_said_but_no_crash() -> None:
    log = said(RECOVERED)
    assert (log.recoveries, log.bad) == (1, 0)


def test_statements_are_not_shown_with_a_crash() -> None:
    assert "s3cret" not in str(said(KILLED))


def test_what_the_settings_name_is_set_aside_and_counted() -> None:
    log = said(LOGIN, MISSING, MISSING, KILLED, ignore=('"x"', "never seen", "terminated by"))
    assert (log.fatal_count, log.crashes) == (1, 1)
    assert log.ignored == {'"x"': 2, "never seen": 0, "terminated by": 0}


def test_what_is_older_than_the_window_is_left_out() -> None:
    log = said(MISSING, "LOG:  x", MISSING, since=AT + timedelta(seconds=1))
    assert (log.lines, log.fatal_count) == (2, 1)
    assert (log.first_at, log.last_at) == (AT + timedelta(seconds=1), AT + timedelta(seconds=2))


def test_another_programs_log_has_no_entries() -> None:
    log = read([LogLine(AT, "stdout", "[2026-11-23 10:01:48] FATAL a: x"), LogLine(AT, "stdout", "1:M * Ready")])
    assert (log.lines, log.entries, log.bad) == (2, 0, 0)


def test_what_is_kept_is_bounded_and_the_newest() -> None:
    log = said(*(f'FATAL:  database "{number}" does not exist {"x" * 1000}' for number in range(100)))
    assert log.fatal_count == 100
    assert [entry.message[:13] for entry in log.fatal] == [f'database "{number}"' for number in range(80, 100)]
    assert max(len(entry.message) for entry in log.fatal) == 500


FRAGMENTS = st.sampled_from(
    [*f"{LOGIN}\n{MISSING}\n{KILLED}\n{SHUTDOWN}\n{RECOVERED}".split("\n"), PREFIX, "\t", "PANIC:  "]
)
TEXT = st.text(max_size=40) | st.lists(FRAGMENTS, max_size=3).map("".join)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), TEXT), max_size=30))
def test_no_line_makes_it_raise(written: list[tuple[str, str]]) -> None:
    log = read([LogLine(None, stream, text) for stream, text in written], ignore=[re.compile("x")])  # type: ignore[arg-type]
    assert log.lines == len(written)
    assert log.fatal_count + sum(log.ignored.values()) == sum(log.severities.get(one, 0) for one in ("FATAL", "PANIC"))
    assert log.crashes <= log.severities.get("LOG", 0)


@pytest.mark.parametrize("hostile", ["LOG: " * 13_000, ":  " * 20_000, "LOG:  " + "a " * 30_000 + "(PID 1"])
def test_no_line_takes_long(hostile: str) -> None:
    begin = time.process_time()
    read([LogLine(AT, "stderr", hostile)])
    assert time.process_time() - begin < 0.5
