"""What each client asked for is right, in bounded memory, and nobody hides among many."""

from __future__ import annotations

import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observe import client_blocks, client_table
from observe.access_counts import Questions
from observe.access_figures import figures
from observe.access_table import Reader
from observe.client_blocks import BlockClients
from observe.client_table import Clients, KnownClients
from observe.clients import ClientCounts, client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

HOUR = 498_000
Requests = list[tuple[str, int, int]]


def counted(requests: Iterable[tuple[str, int, int]], most: int = 1000) -> Clients:
    found = Clients(most)
    for client, hour, status in requests:
        found.add(client, hour, status)
    return found


def in_blocks(requests: Iterable[tuple[str, int, int]], most: int = 1000) -> Clients:
    found = BlockClients(most, np, Reader(np, "anything"))
    for client, hour, status in requests:
        found.add(client, hour, status)
    return found


def known(clients: Clients) -> dict[str, ClientCounts]:
    return dict(KnownClients(clients.packed()))


def state(clients: Clients) -> tuple[list[bytes], int, int]:
    return clients.packed(), clients.others, clients.missed


def naive(requests: Requests) -> dict[str, ClientCounts]:
    found = {}
    for client in {client_of(one) for one, _, _ in requests}:
        theirs = [(hour, status) for one, hour, status in requests if client_of(one) == client]
        digits = Counter(status // 100 if status < 600 else 0 for _, status in theirs)
        of_day, hours = Counter(hour % 24 for hour, _ in theirs), Counter(hour for hour, _ in theirs)
        found[client] = ClientCounts(
            requests=len(theirs),
            statuses=tuple(digits[digit] for digit in range(6)),
            hours=tuple(of_day[hour] for hour in range(24)),
            busiest=tuple(sorted(hours.items(), key=lambda item: (-item[1], item[0]))[:8]),
        )
    return found


def some(seed: int, number: int, clients: int) -> Requests:
    chance = random.Random(seed)  # noqa: S311
    return [
        (
            f"10.0.{chance.randrange(clients)}.1"
            if chance.random() < 0.9
            else f"2001:db8:{chance.randrange(9)}::{n:x}",
            HOUR + n // 20,
            chance.choice((200, 200, 304, 404, 503, 999, 0)),
        )
        for n in range(number)
    ]


def test_every_number_is_what_a_naive_count_says() -> None:
    requests = some(1, 3000, 40)
    assert known(counted(requests)) == naive(requests)
    assert known(in_blocks(requests)) == naive(requests)


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["10.0.0.1", "10.0.0.2", "::1", "::2", "2001:db8:1:2:3:4:5:6", "unix:", "", "x" * 70, "\xff"]),
        st.sampled_from([HOUR, HOUR + 1, HOUR + 30, -17_000_000, 70_000_000]) | st.integers(HOUR, HOUR + 60),
        st.integers(0, 999),
    ),
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(REQUESTS, REQUESTS, st.integers(2, 6), st.sampled_from([1, 3, 10, 1000]), st.sampled_from([0, 10**6]))
def test_in_blocks_the_same_is_counted(one: Requests, other: Requests, most: int, stretch: int, dense: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (client_table, client_blocks):
            patch.setattr(module, "STRETCH", stretch)
        patch.setattr(client_blocks, "_DENSE", dense)
        parts = []
        for count in (counted, in_blocks):
            first, second = count(one, most), count(other, most)
            first.merge(*state(second))
            parts.append(state(first))
        assert parts[0] == parts[1]


@pytest.mark.parametrize("missing", [False, True])
def test_many_tables_are_added_up_alike(missing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [state(counted(some(seed, 500, 5))) for seed in range(7)]
    plain = Clients(1000)
    if missing:
        monkeypatch.setitem(sys.modules, "numpy", None)
    hurried = client_blocks.quick(Clients(1000))
    assert isinstance(hurried, BlockClients) == (not missing)
    for piece in pieces:
        plain.merge(*piece)
        hurried.merge(*piece)
    assert known(hurried) == known(plain)


def test_an_hour_that_lies_in_two_files_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_table, "STRETCH", 10)
    requests = [("a", HOUR + n // 15, 200) for n in range(60)]
    found = counted(requests[:22])
    found.merge(*state(counted(requests[22:])))
    assert known(found) == naive(requests)


@pytest.mark.parametrize("count", [counted, in_blocks])
@pytest.mark.parametrize("first", [True, False])
def test_a_flood_of_addresses_hides_nobody(
    count: Callable[[Requests, int], Clients], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (client_table, client_blocks):
        monkeypatch.setattr(module, "STRETCH", 500)
    flood = [(f"10.{n >> 8}.{n & 255}.1", HOUR, 404) for n in range(6000)] * 2
    scraper = [("192.0.2.66", HOUR + n // 50, 200) for n in range(500)]
    requests = flood + scraper if first else scraper + flood
    found = count(requests, 100)
    clients = known(found)
    assert len(clients) <= 100
    assert sum(one.requests for one in clients.values()) + found.others == len(requests)
    assert found.missed <= len(requests) / 51
    assert clients["192.0.2.66"].requests == 500


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=150), min_size=1, max_size=4),
    st.sampled_from([counted, in_blocks]),
    st.sampled_from([5, 40, 1000]),
)
def test_nobody_with_more_requests_than_may_be_missing_is_missing(
    files: list[list[int]], count: Callable[[Requests, int], Clients], stretch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (client_table, client_blocks):
            patch.setattr(module, "STRETCH", stretch)
        found = Clients(8)
        for file in files:
            found.merge(*state(count([(f"c{n}", HOUR, 200) for n in file], 4)))
        clients = known(found)
    wanted = Counter(f"c{n}" for file in files for n in file)
    assert found.missed <= wanted.total() / 3
    assert sum(one.requests for one in clients.values()) + found.others == wanted.total()
    for client, number in wanted.items():
        seen = clients[client].requests if client in clients else 0
        assert number - found.missed <= seen <= number


def test_the_figures_have_the_clients_only_where_that_was_asked(tmp_path: Path) -> None:
    at = datetime(2026, 11, 23, 10, tzinfo=UTC)
    line = '10.0.0.1 - - [23/Nov/2026:10:01:48 +0545] "GET / HTTP/1.1" 404 12 "-" "x"\n'
    (tmp_path / "access.log").write_text(line * 3, encoding="ascii")
    for asked in (False, True):
        found = figures(
            tmp_path / "access.log",
            at - timedelta(days=1),
            at,
            questions=Questions(clients=asked),
            own=lambda _: False,
        )
        assert len(found.clients) == asked
    hours = Counter({4: 3})
    assert found.clients["10.0.0.1"] == ClientCounts(
        requests=3,
        statuses=(0, 0, 0, 0, 3, 0),
        hours=tuple(hours[hour] for hour in range(24)),
        busiest=((int(at.timestamp()) // 3600 - 6, 3),),
    )
