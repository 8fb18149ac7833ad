"""Logs that are kept in Loki, by a server that answers as its documentation says."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observe import loki as module
from observe.application_log import ErrorCounter, records
from observe.container_log import LogLine, lines
from observe.errors import CannotTell
from observe.logql import filled, matchers, narrowed
from observe.logs_readable import LastLines, ReadableLogs, carried_logs
from observe.loki import Entry, Loki
from observe.loki_window import LokiWindow, framed, last_lines
from proofs.observe.loki_server import LokiServer, Refusal, ns
from proofs.observe.servers import Authority, Loopback, dripping, silent
from target.kinds import Secret, Share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from observe.engine import Container

UNTIL = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=24)
SELECTOR = '{compose_project="$project", compose_service="$service"}'
SECONDS = 5.0


@pytest.fixture
def server() -> Iterator[LokiServer]:
    with LokiServer() as running:
        yield running


def labels(container: str = "synk_backend_1", **more: str) -> dict[str, str]:
    return {"compose_project": "synk", "compose_service": "backend", "container_name": container, **more}


def every(minutes: float, text: str = "[…] INFO api: hello", *, since: datetime = SINCE) -> list[tuple[int, str]]:
    """An entry every so many minutes until the window's end, each of another text."""
    steps = int((UNTIL - since) / timedelta(minutes=minutes))
    return [(ns(since + timedelta(minutes=minutes * step)), f"{text} {step}") for step in range(steps)]


def client(server: LokiServer, selector: str = SELECTOR, **more: Any) -> Loki:  # noqa: ANN401
    more.setdefault("seconds", SECONDS)
    return Loki(server.url, selector, agent="operations-check/proof", **more)


def container(name: str, created: datetime = SINCE - timedelta(days=3), **more: Any) -> Any:  # noqa: ANN401
    given = {"id": f"{name:0<64}", "name": name, "created": created, "running": True, "finished": None, **more}
    return SimpleNamespace(**given)


def window(
    loki: Loki, containers: Sequence[Container] | None = None, neighbours: tuple[str, ...] = (), reach: float = 0.0
) -> LokiWindow:
    query = loki.query("synk", "backend")
    return LokiWindow(loki, query, SINCE, UNTIL, Share(reach), containers, neighbours)


def texts(read: Iterable[LogLine]) -> list[tuple[str, str]]:
    return [(one.stream, one.text) for one in read]


def read(one: LokiWindow) -> list[list[tuple[str, str]]]:
    return one.read(texts).results


# Pages ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [2, 7, 100, 5000])
def test_every_entry_is_read_once_and_in_order_whatever_a_page_holds(server: LokiServer, most: int) -> None:
    server.max_entries = most
    rng = random.Random(most)  # noqa: S311  lines, no secrets
    wanted = []
    for stream in ("stdout", "stderr"):
        times = sorted(ns(SINCE) + rng.randrange(10**9) for _ in range(60))
        entries = [(at, f"{stream} {number}") for number, at in enumerate(times)]
        wanted += [(at, stream, line) for at, line in entries]
        server.push(labels(stream=stream), entries)
    (seen,) = read(window(client(server)))
    assert seen == [(stream, line) for _, stream, line in sorted(wanted)]


def test_nothing_is_lost_to_a_loki_that_answers_with_a_part_where_there_is_more(server: LokiServer) -> None:
    """As versions up to 3.7 do (grafana/loki#19133): nothing is asked for that has more than the limit."""
    server.drops = True
    server.max_entries = 100
    entries = [*every(5), *every(60, "burst", since=UNTIL - timedelta(minutes=1))]
    entries += [(ns(UNTIL - timedelta(hours=3)) + step * 1000, f"burst {step}") for step in range(700)]
    server.push(labels(stream="stdout"), entries[::2])
    server.push(labels(stream="stderr"), entries[1::2])
    (seen,) = read(window(client(server)))
    assert [line for _, line in seen] == [line for _, line in sorted(entries)]


def test_lines_of_a_stream_that_it_does_not_list_are_read(server: LokiServer) -> None:
    """As may be the case for a while (grafana/loki#9771)."""
    server.push(labels(), every(10))
    server.fault = lambda what, _: b'{"status":"success","data":[]}' if what == "series" else None
    seen = window(client(server)).read(texts)
    assert seen.looked_at == "144 lines of all containers, read as one log, in Loki, all of 24 h"


def test_what_lies_around_the_window_is_left_out_when_it_comes(server: LokiServer) -> None:
    """As has been seen with older versions (grafana/loki#3428)."""
    server.push(labels(), every(60))
    values = [[str(ns(SINCE) - 10**12), "before"], *([str(at), line] for at, line in every(60)), [str(ns(UNTIL)), "x"]]
    data = {"resultType": "streams", "result": [{"stream": labels(), "values": values}]}
    body = json.dumps({"status": "success", "data": data}).encode()
    server.fault = lambda _, asked: body if asked.get("direction") == "forward" else None
    assert [line for _, line in read(window(client(server)))[0]] == [line for _, line in every(60)]


@pytest.mark.parametrize("crowd", [2, 6, 7, 8, 20, 41])
def test_entries_of_one_time_are_neither_lost_nor_doubled_at_a_page_border(server: LokiServer, crowd: int) -> None:
    """At a border, over several borders, and by a whole page of one nanosecond, which is asked for longer."""
    server.max_entries = 5000
    loki = client(server)
    loki._page = 7
    at = ns(SINCE)
    entries = [(at + step // 3, f"before {step}") for step in range(20)]
    entries += [(at + 100, f"crowd {step}") for step in range(crowd)]
    entries += [(at + 101 + step, f"after {step}") for step in range(20)]
    server.push(labels(stream="stdout"), entries[::2])
    server.push(labels(stream="stderr"), entries[1::2])
    (seen,) = read(window(loki))
    assert Counter(line for _, line in seen) == Counter(line for _, line in entries)
    order = {line: at for at, line in entries}
    assert [order[line] for _, line in seen] == sorted(order.values())


def test_more_entries_of_one_time_than_loki_hands_out_cannot_tell(server: LokiServer) -> None:
    server.max_entries = 50
    server.push(labels(), [(ns(SINCE), f"line {number}") for number in range(51)])
    with pytest.raises(
        CannotTell, match=r"has 51 entries of one nanosecond \(2026-11-26 12:00:00.000000 UTC\), and hands out 50 "
    ):
        read(window(client(server)))


def test_what_it_takes_at_most_is_learned_from_its_refusal_and_remembered(server: LokiServer) -> None:
    server.max_entries = 300
    server.push(labels(), every(2))
    loki = client(server)
    assert len(read(window(loki))[0]) == 720
    server.fault = lambda _, asked: Refusal(500, "too much") if int(asked.get("limit", 1)) > 300 else None
    assert len(read(window(loki))[0]) == 720


@pytest.mark.parametrize("hours", [1, 5, 23.99])
def test_a_window_that_is_too_long_for_it_is_asked_for_in_parts(server: LokiServer, hours: float) -> None:
    server.max_length = timedelta(hours=hours)
    server.push(labels(), every(2))
    (seen,) = read(window(client(server)))
    assert [line for _, line in seen] == [line for _, line in every(2)]


@pytest.mark.parametrize(
    "said",
    [
        (400, "the query would read too many bytes (query: 20 GB, limit: 10 GB); consider adding more specific stream"),
        (500, "context deadline exceeded"),
        (504, "request timed out, decrease the duration of the request or add more label matchers"),
    ],
)
def test_a_window_that_is_too_much_for_it_is_asked_for_in_parts(server: LokiServer, said: tuple[int, str]) -> None:
    server.push(labels(), every(2))

    def too_much(what: str, asked: dict[str, str]) -> Refusal | None:
        forward = what == "query_range" and asked["direction"] == "forward"
        return Refusal(*said) if forward and int(asked["end"]) - int(asked["start"]) > 7 * 3600 * 10**9 else None

    server.fault = too_much
    (seen,) = read(window(client(server)))
    assert [line for _, line in seen] == [line for _, line in every(2)]


def test_what_is_too_much_for_any_time_cannot_tell_in_its_words(server: LokiServer) -> None:
    server.push(labels(), every(60))
    said = "the query would read too many bytes (query: 20 GB, limit: 0 B)"
    server.fault = lambda what, _: Refusal(400, said) if what == "query_range" else None
    with pytest.raises(CannotTell, match=r"refuses even .* of the log: the query would read too many bytes"):
        read(window(client(server)))


def test_an_answer_that_is_too_large_to_be_held_is_asked_for_in_shorter_pages(
    server: LokiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BODY", 20_000)
    entries = [(at, line + "x" * 900) for at, line in every(20)]
    server.push(labels(), entries)
    assert [line for _, line in read(window(client(server)))[0]] == [line for _, line in entries]


def test_an_answer_that_has_less_than_was_counted_is_seen(server: LokiServer) -> None:
    server.push(labels(), every(10))

    def cut(what: str, asked: dict[str, str]) -> bytes | None:
        if what != "query_range" or asked["direction"] != "forward":
            return None
        values = [[str(at), line] for at, line in every(10)[:50]]
        data = {"resultType": "streams", "result": [{"stream": labels(), "values": values}]}
        return json.dumps({"status": "success", "data": data}).encode()

    server.fault = cut
    with pytest.raises(CannotTell, match=r"counts 144 entries .* hands out 50, the last of 2026-11-26 20:10:00 UTC"):
        read(window(client(server)))


# Lines ----------------------------------------------------------------------------------------------------------------


def docker(text: str, stream: str, at: datetime) -> str:
    return json.dumps({"log": text, "stream": stream, "time": f"{at:%Y-%m-%dT%H:%M:%S}.5Z"}, separators=(",", ":"))


def test_an_entry_of_the_engines_own_file_is_unpacked(server: LokiServer) -> None:
    """As promtail sends it without its `docker` stage; a line of several pieces is put together."""
    at = SINCE + timedelta(hours=1)
    long = "y" * 20_000
    server.push(
        labels(filename="/var/lib/docker/containers/…-json.log"),
        [
            (ns(at) + 1, docker("[2026-11-26 13:00:00] INFO api: one\n", "stdout", at)),
            (ns(at) + 2, docker("Traceback\n", "stderr", at)),
            (ns(at) + 3, docker(long[:16384], "stdout", at)),
            (ns(at) + 4, docker(long[16384:] + "\n", "stdout", at)),
            (ns(at) + 5, '{"log":"the application\'s own","level":"info"}'),
            (ns(at) + 6, '{"log":"torn'),
        ],
    )
    (seen,) = read(window(client(server)))
    assert seen == [
        ("stdout", "[2026-11-26 13:00:00] INFO api: one"),
        ("stderr", "Traceback"),
        ("stdout", long),
        ("stdout", '{"log":"the application\'s own","level":"info"}'),
        ("stdout", '{"log":"torn'),
    ]
    when = window(client(server)).read(lambda lines: [line.at for line in lines]).results[0]
    assert when[0] == at + timedelta(seconds=0.5)


def test_a_traceback_is_one_record_though_loki_sorts_its_lines_by_level(server: LokiServer) -> None:
    """An entry's own labels (Loki 3 finds a level in each) take no stream apart."""
    at = ns(SINCE + timedelta(hours=1))
    said = ["[2026-11-26 13:00:00] ERROR api: it broke", "Traceback (most recent call last):", '  File "a.py", line 1']
    said += ["ValueError: no"]
    own = [{"detected_level": level} for level in ("error", "unknown", "unknown", "error")]
    entries = [(at + step // 2, line, level) for step, (line, level) in enumerate(zip(said, own, strict=True))]
    server.push(labels(stream="stderr"), entries)
    found = window(client(server)).read(lambda lines: list(records(lines))).results[0]
    assert [(one.level, one.lines_count, one.exception) for one in found] == [("ERROR", 4, "ValueError: no")]


def test_an_entry_of_several_lines_is_several_lines(server: LokiServer) -> None:
    server.push(labels(source="stderr"), [(ns(SINCE), "Traceback (most recent call last):\n  File\nValueError: no\n")])
    assert [line for _, line in read(window(client(server)))[0]] == [
        "Traceback (most recent call last):",
        "  File",
        "ValueError: no",
    ]


def test_a_line_may_be_anything(server: LokiServer) -> None:
    odd = ["", "\r", "ü é 🙂", "a\x00b", "\x1b[31mred", "\ud800 half a character", "x" * 100_000]
    server.push(labels(), [(ns(SINCE) + number, line) for number, line in enumerate(odd)])
    (seen,) = read(window(client(server)))
    assert [line for _, line in seen[:5]] == ["", "", "ü é 🙂", "a\x00b", "\x1b[31mred"]
    assert seen[5][1].endswith(" half a character")
    assert len(seen[6][1]) == 65536


@given(st.lists(st.tuples(st.text(max_size=40), st.sampled_from([0x01000000, 0x02000000])), max_size=8))
@example([("", 0x01000000), ("a\n\nb", 0x02000000), ('{"log":"x"}', 0x01000000), ("\ud800", 0x01000000)])
def test_whatever_an_entry_holds_comes_out_as_its_lines(entries: list[tuple[str, int]]) -> None:
    made = [Entry(number, (), mark, text) for number, (text, mark) in enumerate(entries)]
    seen = [(one.stream, one.text, one.at) for one in lines([framed(made)], tty=False)]
    wanted = []
    for text, mark in entries:
        readable = text.encode("utf-8", "replace").decode()
        said = readable.removesuffix("\n").split("\n")
        wanted += [("stdout" if mark == 0x01000000 else "stderr", one.rstrip("\r\n")) for one in said]
    assert [one[:2] for one in seen] == wanted
    assert all(at is not None for _, _, at in seen)


def test_errors_are_counted_as_in_the_engines_log_read_closely_or_skimmed(server: LokiServer) -> None:
    rng = random.Random(8)  # noqa: S311  lines, no secrets
    for name in ("synk_backend_1", "synk_backend_2"):
        entries = []
        for at, _ in every(0.5):
            level = rng.choice(["INFO", "INFO", "INFO", "WARNING", "ERROR"])
            entries.append((at, f"[2026-11-26 13:00:00] {level} api.views: said {at}"))
            if level == "ERROR":
                entries += [(at + 1, "Traceback (most recent call last):"), (at + 2, "ValueError: no")]
        server.push(labels(name, stream="stderr"), entries)
    wanted = sum(" ERROR " in line for held in server.streams.values() for _, line, _ in held)
    one = window(client(server))

    class Closely(ErrorCounter):
        needs_requests = True

    for kind in (ErrorCounter, Closely):
        (seen,) = one.read_records([partial(kind, client_errors=[], since=SINCE)])
        assert not isinstance(seen, CannotTell)
        assert sum(result.errors for result in seen.results) == wanted
        assert seen.looked_at.endswith("lines of 2 containers in Loki, all of 24 h")


# Whose and how much ---------------------------------------------------------------------------------------------------


def test_a_container_that_the_engine_has_and_loki_has_not_is_missing_from_the_denominator(server: LokiServer) -> None:
    server.push(labels("synk_backend_1"), every(10))
    server.push(labels("/synk_backend_2"), every(10))
    known = [container(f"synk_backend_{number}") for number in (1, 2, 3)]
    seen = window(client(server), known).read(texts)
    assert seen.looked_at == "288 lines of 2 of 3 containers in Loki, all of 24 h"
    assert seen.share == pytest.approx(2 / 3)
    assert seen.notes == ("Loki has no line of synk_backend_3, which the engine has: is their log carried there?",)
    with pytest.raises(CannotTell, match=r"only 66\.6\d % of the window") as no:
        window(client(server), known, reach=0.9).read(texts)
    assert "agent that carries logs to Loki runs on every host" in no.value.mend


def test_a_container_that_stood_still_all_the_while_is_not_missing(server: LokiServer) -> None:
    server.push(labels("synk_backend_1"), every(10))
    old = container("synk_backend_2", running=False, finished=SINCE - timedelta(hours=1))
    assert "1 container in" in window(client(server), [container("synk_backend_1"), old]).read(texts).looked_at


def test_containers_are_told_by_their_host_as_well(server: LokiServer) -> None:
    for host in ("a", "b"):
        server.push(labels("backend", host=host), every(10, f"on {host}"))
    seen = window(client(server), [container("other")]).read(texts)
    assert seen.looked_at.startswith("288 lines of 2 containers in Loki")
    assert [{line.partition("on ")[2][0] for _, line in one} for one in seen.results] == [{"a"}, {"b"}]
    assert "aren't called as the engine's 1 containers" in seen.notes[0]


def test_streams_that_name_no_container_are_read_as_one(server: LokiServer) -> None:
    server.push({"compose_project": "synk", "compose_service": "backend", "stream": "stdout"}, every(10))
    server.push({"compose_project": "synk", "compose_service": "backend", "stream": "stderr"}, every(20, "err"))
    seen = window(client(server), None).read(texts)
    assert seen.looked_at == "216 lines of all containers, read as one log, in Loki, all of 24 h"
    assert seen.notes == ("the engine can't be asked whether the logs of all containers are in Loki",)
    only = window(client(server), [container("synk_backend_1")]).read(texts)
    assert "216 lines of 1 container in" in only.looked_at


def test_many_short_lived_containers_are_read_as_one(server: LokiServer) -> None:
    for number in range(60):
        server.push(labels(f"task.{number}"), [(ns(SINCE) + number, f"line {number}"), (ns(UNTIL) - 1 - number, "end")])
    seen = window(client(server)).read(texts)
    assert len(seen.results) == 1
    assert len(seen.results[0]) == 120


def test_a_log_that_begins_within_the_window_reaches_back_so_far(server: LokiServer) -> None:
    server.push(labels(), every(10, since=UNTIL - timedelta(hours=6)))
    seen = window(client(server), [container("synk_backend_1")]).read(texts)
    assert seen.looked_at == "36 lines of 1 container in Loki, 6 h of 24 h"
    assert seen.share == pytest.approx(0.25)
    with pytest.raises(CannotTell, match="only 25 % of the window") as no:
        window(client(server), [container("synk_backend_1")], reach=0.5).read(texts)
    assert "retention" in no.value.mend


def test_a_line_from_before_the_window_shows_that_none_was_lost(server: LokiServer) -> None:
    server.push(labels(), [(ns(SINCE - timedelta(days=2)), "long ago"), *every(10, since=UNTIL - timedelta(hours=6))])
    assert window(client(server)).read(texts).looked_at.endswith("all of 24 h")


def test_a_container_made_again_has_not_lost_what_its_forerunner_said(server: LokiServer) -> None:
    """Unlike with the engine: the old one's log is still in Loki."""
    made = UNTIL - timedelta(hours=2)
    server.push(labels("old"), [(ns(SINCE - timedelta(days=1)), "before"), *every(10)[:100]])
    server.push(labels("new"), every(10, since=made))
    seen = window(client(server), [container("new", created=made)]).read(texts)
    assert seen.looked_at.endswith("lines of 2 containers in Loki, all of 24 h")


def test_what_loki_shows_no_more_is_not_covered(server: LokiServer) -> None:
    server.lookback = datetime.now(UTC) - (UNTIL - timedelta(hours=6))
    server.push(labels(), [(ns(SINCE - timedelta(days=1)), "before"), *every(10)])
    seen = window(client(server), [container("synk_backend_1")]).read(texts)
    assert seen.looked_at.endswith(" of 24 h")
    assert seen.share == pytest.approx(0.25, abs=0.01)


def test_silence_since_the_agent_stopped_is_not_covered(server: LokiServer) -> None:
    server.push(labels(), [one for one in every(10) if one[0] < ns(UNTIL - timedelta(hours=18))])
    loki = client(server)
    neighbour = loki.query("synk", "db")
    with pytest.raises(CannotTell, match=r"only 24\.3\d? % of the window") as no:
        window(loki, neighbours=(neighbour,), reach=0.5).read(texts)
    assert "agent" in no.value.mend
    seen = window(loki, neighbours=(neighbour,)).read(texts)
    assert "nothing of the project came to Loki after 2026-11-26 17:50:00: is its agent running?" in seen.notes[-1]


def test_silence_of_one_service_alone_is_its_own(server: LokiServer) -> None:
    server.push(labels(), [one for one in every(10) if one[0] < ns(UNTIL - timedelta(hours=18))])
    server.push({"compose_project": "synk", "compose_service": "db"}, every(5))
    loki = client(server)
    assert window(loki, neighbours=(loki.query("synk", "db"),)).read(texts).share == 1


def test_no_stream_at_all_cannot_tell_and_says_what_was_asked_and_what_there_is(server: LokiServer) -> None:
    server.push({"job": "docker", "container": "synk_backend_1"}, every(60))
    with pytest.raises(CannotTell) as no:
        read(window(client(server)))
    assert no.value.what == (
        'Loki has no stream for {compose_project="synk", compose_service="backend"} in 24 h: nothing was looked at'
    )
    assert no.value.mend == "The labels that there are: container, job. Set loki.selector by them."


def test_an_empty_loki_cannot_tell(server: LokiServer) -> None:
    with pytest.raises(CannotTell) as no:
        read(window(client(server)))
    assert "no label at all" in no.value.mend


def test_the_last_lines_are_those_of_each_container(server: LokiServer) -> None:
    server.max_entries = 20
    for name in ("synk_backend_1", "synk_backend_2"):
        server.push(labels(name, stream="stdout"), every(10, name))
        server.push(labels(name, stream="stderr"), every(30, f"{name} err"))
    loki = client(server)
    said = last_lines(loki, loki.query("synk", "backend"), [], UNTIL, 50)
    assert sorted(said) == ["synk_backend_1", "synk_backend_2"]
    for name, found in said.items():
        every_line = sorted([*every(10, name), *every(30, f"{name} err")])
        assert [line.at for line in found] == sorted(line.at for line in found if line.at)
        assert Counter(line.text for line in found) == Counter(line for _, line in every_line[-50:])


def test_a_container_of_which_nothing_was_carried_is_held_against_what_the_engine_has() -> None:
    now, ours = UNTIL, [container(name, log_driver="local", rotates=True) for name in ("one", "two")]
    line = LogLine(UNTIL - timedelta(hours=1), "stdout", "hello")

    def readable(own: LastLines, said: dict[str, list[LogLine]]) -> ReadableLogs:
        return carried_logs("backend", ours, said, lambda _: own, SINCE, now)

    nothing = LastLines("two", "local", rotates=True)
    assert readable(nothing, {"one": [line]}).troubles == ()
    lost = readable(replace(nothing, lines=(line,)), {"one": [line]})
    assert lost.troubles == (
        "the log of two can't be read: what it said at 2026-11-27 11:00:00 was not carried to where its log is read",
    )
    just_now = line._replace(at=UNTIL - timedelta(minutes=1))
    assert readable(replace(nothing, lines=(just_now,)), {"one": [line]}).troubles == ()
    with pytest.raises(CannotTell, match="nothing of two is where its log is to be read, and whether it has said"):
        readable(replace(nothing, unread="its log driver loki does not support reading"), {"one": [line]})
    elsewhere = readable(nothing, {"task.1": [line]})
    assert elsewhere.troubles == ()
    assert elsewhere.looked_at == "the last 1 lines of 3 containers"


# Selectors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ('{a="$project", b="$service"}', '{a="sy\\"nk", b="back\\\\end.1"}'),
        ('{a=~"$project.*", b!~"x|${service}"}', '{a=~"sy\\"nk.*", b!~"x|back\\\\\\\\end\\\\.1"}'),
        ("{b=`$service`}", "{b=`back\\end.1`}"),
        ('{b="x"} |= "$service" != "$services"', '{b="x"} |= "back\\\\end.1" != "$services"'),
    ],
)
def test_names_are_written_as_logql_wants_them(selector: str, wanted: str) -> None:
    assert filled(selector, {"project": 'sy"nk', "service": "back\\end.1"}) == wanted


def test_a_filled_selector_selects_what_it_says(server: LokiServer) -> None:
    odd = 'a"b\\c.d{e}`f'
    server.push({"compose_project": "synk", "compose_service": odd, "container": "{x}"}, every(60))
    server.push({"compose_project": "synk", "compose_service": odd.replace(".", "x"), "container": "y"}, every(60))
    for selector in (SELECTOR, '{compose_project="$project", compose_service=~"$service"}'):
        loki = client(server, selector)
        one = LokiWindow(loki, loki.query("synk", odd), SINCE, UNTIL, Share(0.5))
        assert [source.name for source in one.sources] == ["{x}"]
        assert len(one.read(texts).results[0]) == 24


def test_a_part_of_a_selector_behind_the_braces_stays() -> None:
    query = '{a="}", b=`}`} |= "x"'
    assert matchers(query) == '{a="}", b=`}`}'
    assert narrowed(query, {"c": 'd"'}) == '{a="}", b=`}`, c="d\\""} |= "x"'
    assert narrowed("{}", {"c": ""}) == '{c=""}'
    with pytest.raises(CannotTell, match="selects streams"):
        matchers('rate("$service")')


def test_a_selector_that_loki_does_not_understand_cannot_tell_in_its_words(server: LokiServer) -> None:
    with pytest.raises(CannotTell, match=r"doesn't take what it was asked \(400\): parse error at line 1") as no:
        read(window(client(server, '{compose_service="$service", }}')))
    assert no.value.mend == "Mend loki.selector."


def test_figures_instead_of_lines_cannot_tell(server: LokiServer) -> None:
    server.push(labels(), every(60))
    matrix = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}}).encode()
    server.fault = lambda what, _: matrix if what == "query_range" else None
    with pytest.raises(CannotTell, match=r"selects no lines: .* with a matrix"):
        read(window(client(server)))


# The way there --------------------------------------------------------------------------------------------------------


def test_password_token_and_tenant_are_sent(server: LokiServer) -> None:
    server.push(labels(), every(60))
    server.user, server.password, server.tenant = "reader", "pä:ss", "team"
    good = client(server, user="reader", credentials=lambda: (Secret("pä:ss"), None), tenant="team")
    assert len(read(window(good))[0]) == 24
    server.password, server.token = "", "t0ken"
    assert len(read(window(client(server, credentials=lambda: (None, Secret("t0ken")), tenant="team")))[0]) == 24


@pytest.mark.parametrize("kind", ["none", "password", "token"])
def test_a_wrong_key_cannot_tell_and_is_not_shown(server: LokiServer, kind: str) -> None:
    server.password = os.urandom(9).hex()
    wrong = Secret(os.urandom(9).hex())
    given = (wrong if kind == "password" else None, wrong if kind == "token" else None)
    with pytest.raises(CannotTell, match=r"refuses to be read \(401\): unauthorized") as no:
        read(window(client(server, user="reader", credentials=lambda: given)))
    assert wrong.reveal() not in f"{no.value}{no.value.mend}{no.getrepr(showlocals=True)}"
    assert (no.value.cause, "loki.token_file" in no.value.mend) == ("loki", True)


def test_a_tenant_that_is_missing_is_said(server: LokiServer) -> None:
    server.tenant = "team"
    with pytest.raises(CannotTell, match="no org id") as no:
        read(window(client(server)))
    assert "loki.tenant" in no.value.mend


def test_a_token_that_cannot_be_sent_is_not_shown(server: LokiServer) -> None:
    with pytest.raises(CannotTell, match="characters that can't be sent") as no:
        read(window(client(server, credentials=lambda: (None, Secret("gehéim\n")))))
    assert "gehéim" not in f"{no.value}{no.value.mend}"


def test_a_private_ca_is_trusted_where_it_is_given_and_nowhere_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ca = authority.file
    with LokiServer(tls=authority.context("127.0.0.1")) as server:
        server.push(labels(), every(60))
        assert len(read(window(client(server, ca_file=ca)))[0]) == 24
        with pytest.raises(CannotTell, match="isn't trusted") as no:
            read(window(client(server)))
        assert no.value.mend == "Give its CA as loki.ca_file."
        with pytest.raises(CannotTell, match=r"CA file .* can't be read"):
            read(window(client(server, ca_file=tmp_path / "none.pem")))


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_it_says_instead_of_an_answer_is_said(
    server: LokiServer, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))
    server.fault = lambda _what, _asked: Refusal(status, "too many outstanding requests " + "x" * 5000)
    with pytest.raises(CannotTell, match=f"answered {status}: too many outstanding requests") as no:
        read(window(client(server)))
    assert len(no.value.what) < 400


def test_it_is_asked_again_when_it_is_too_busy(server: LokiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))
    server.push(labels(), every(60))
    times: Counter[str] = Counter()

    def busy(what: str, asked: dict[str, str]) -> Refusal | None:
        times[what + json.dumps(asked)] += 1
        return Refusal(429, "too many outstanding requests") if times[what + json.dumps(asked)] < 3 else None

    server.fault = busy
    assert len(read(window(client(server)))[0]) == 24


def _instead(what: str, body: bytes, asked: str, _: dict[str, str]) -> bytes | None:
    return body if asked == what else None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["x","y"]]}]}}',
        b'{"status":"error"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_loki_cannot_tell(server: LokiServer, body: bytes) -> None:
    server.push(labels(), every(60))
    for what in ("series", "query_range"):
        server.fault = partial(_instead, what, body)
        with pytest.raises(CannotTell, match=r"doesn't answer (series|query_range) as Loki does"):
            read(window(client(server)))


def test_another_path_cannot_tell(server: LokiServer) -> None:
    loki = Loki(f"{server.url}/loki/api/v1/", SELECTOR, SECONDS, "proof")
    with pytest.raises(CannotTell, match=r"\(404\)") as no:
        read(window(loki))
    assert "without /loki/api" in no.value.mend


def test_nobody_there_cannot_tell_and_is_remembered(server: LokiServer) -> None:
    server._server.server_close()
    loki = client(server)
    for _ in range(2):
        with pytest.raises(CannotTell, match="can't be reached") as no:
            read(window(loki))
        assert no.value.cause == "loki"


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
def test_a_server_that_is_silent_or_drips_costs_its_limit_once(beginning: bytes) -> None:
    with Loopback(dripping(beginning) if beginning else silent) as slow:
        loki = Loki(f"http://{slow.address}", SELECTOR, 0.3, "proof")
        for _ in range(5):
            with pytest.raises(CannotTell, match="did not answer to the end within 300 ms"):
                read(window(loki))
        assert slow.connections == 1


def test_memory_is_bounded_by_a_page(server: LokiServer) -> None:
    """Of 20 MB a page is a megabyte, held in several shapes."""
    server.max_entries = 200
    server.push(labels(), [(at, f"{line} " + "x" * 5000) for at, line in every(0.36)])
    one = window(client(server, seconds=60.0))
    assert one.sources
    tracemalloc.start()
    try:
        number = one.read(lambda lines: sum(1 for _ in lines)).results[0]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == 4000
    assert peak < 15e6
