"""Many refused logins within a short time are found, whichever way somebody spreads them."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from observe import logins
from observe.brute_force import BruteForce, brute_force
from observe.errors import CannotTell
from proofs.observe.access_lines import AT
from proofs.observe.access_logs import LOGIN, WHOLE_LOG, entry, refused, seen, write

if TYPE_CHECKING:
    from pathlib import Path

FIVE = timedelta(minutes=5)


def look(*paths: Path, most: int = 10, span: timedelta = FIVE) -> BruteForce:
    found = [seen(paths[0]), *(seen(path, WHOLE_LOG, sparse=True) for path in paths[1:])]
    return brute_force(found, most, span, UTC)


def test_eleven_across_a_rotation_are_one_stretch(tmp_path: Path) -> None:
    write(tmp_path / "access.log.2.gz", *refused([-120, -100, -80]))
    write(tmp_path / "access.log.1", *refused([-60, -40, -20]))
    log = write(tmp_path / "access.log", *refused([0, 20, 40, 60, 179]))
    found = look(log)
    assert (found.over, found.most, found.total) == (1, 11, 11)
    assert found.said == (
        "192.0.2.66 was refused 11 times within 5 min from 2026-11-23 09:59:48 +0000 on, at /api/token/"
    )
    assert "11 logins, 11 of them refused, in 11 requests in 3 files" in found.looked_at


def test_ten_within_five_minutes_and_more_around_them_are_not_too_many(tmp_path: Path) -> None:
    moments = [-300, *range(0, 300, 30), 300, 600]
    found = look(write(tmp_path / "access.log", *refused(moments)))
    assert (found.over, found.most, found.total) == (0, 10, 13)
    assert found.said == "at most 10 of one client within 5 min"
    assert look(tmp_path / "access.log", span=FIVE + timedelta(seconds=1)).over == 1


def test_addresses_of_one_network_of_ipv6_are_one_client(tmp_path: Path) -> None:
    own = [line for n in range(11) for line in refused([n], client=f"2001:db8:5:6:{n:x}::{n:x}", status=403)]
    others = [line for n in range(40) for line in refused([n], client=f"2001:db8:5:{n + 100:x}::1")]
    mapped = [line for n in range(6) for client in ("::ffff:192.0.2.9", "192.0.2.9") for line in refused([n], client)]
    found = look(write(tmp_path / "access.log", *own, *others, *mapped))
    assert [(client, one.most) for client, one in found.clients[:3]] == [
        ("192.0.2.9", 12),
        ("2001:db8:5:6::/64", 11),
        ("2001:db8:5:64::/64", 1),
    ]
    assert found.over == 2


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_what_says_nothing_of_a_password_is_no_refused_login(tmp_path: Path, status: int) -> None:
    lines = refused(range(20), status=status)
    assert look(write(tmp_path / "access.log", *lines, *refused([0], client="10.0.0.1"))).total == 1


def test_who_was_let_in_afterwards_stands_first(tmp_path: Path) -> None:
    lines = [*refused(range(40), client="10.0.0.1"), *refused(range(11)), entry(70, LOGIN, 200)]
    found = look(write(tmp_path / "access.log", *lines, entry(-9, LOGIN, 200, "10.0.0.1")))
    assert [client for client, _ in found.clients] == ["192.0.2.66", "10.0.0.1"]
    first, second = found.said.split("; ")
    assert first.endswith("at /api/token/, AND WAS LET IN at 2026-11-23 10:02:58 +0000")
    assert "LET IN" not in second
    assert [(row["let in afterwards"], row["of its requests"]) for row in found.rows()] == [
        ("2026-11-23 10:02:58 +0000", "12"),
        ("no", "41"),
    ]


def test_a_form_that_django_shows_again_is_a_refused_login(tmp_path: Path) -> None:
    again = [entry(n, "POST /admin/login/?next=/admin/ HTTP/2.0", 200) for n in range(11)]
    more = [entry(20, "POST /admin/login/ HTTP/2.0", 302), entry(5, "GET /admin/login/ HTTP/2.0", 200)]
    log = write(tmp_path / "access.log", *again, *more)
    found = look(log)
    assert (found.over, found.total) == (1, 11)
    assert "at /admin/login/, AND WAS LET IN at 2026-11-23 10:02:08" in found.said
    api = [entry(n, "POST /api/token/ HTTP/2.0", 200) for n in range(50)]
    assert look(write(tmp_path / "access.log", *api)).total == 0


def test_who_tries_here_and_there_is_seen_in_both_logs_together(tmp_path: Path) -> None:
    main = write(tmp_path / "access.log", *refused([0, 10, 20, 30, 40, 50]))
    admin = write(tmp_path / "admin.log", *[entry(n, "POST /admin/login/ HTTP/1.1", 200) for n in (5, 15, 25, 35, 45)])
    assert look(main).over == 0
    found = look(main, admin)
    assert (found.over, found.most) == (1, 11)
    assert "at /api/token/, /admin/login/" in found.said
    assert look(main, write(tmp_path / "admin.log")).total == 6


@pytest.mark.parametrize("path", ["//api/token/", "/api/%74oken/", "/x/../api/token/", "https://a.test/api/token/?x"])
def test_a_disguised_path_is_the_same_path(tmp_path: Path, path: str) -> None:
    lines = [entry(n, f"POST {path} HTTP/1.1", 401) for n in range(11)]
    assert look(write(tmp_path / "access.log", *lines)).over == 1


def test_times_are_those_of_the_zone_that_is_asked_for(tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", *refused(range(11)))
    east = timezone(timedelta(hours=5, minutes=45))
    assert "from 2026-11-23 15:46:48 +0545 on" in brute_force([seen(log)], 10, FIVE, east).said


def test_where_nobody_ever_logs_in_it_can_not_be_told(tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", entry(0, "GET / HTTP/1.1", 200))
    with pytest.raises(CannotTell, match="nobody logged in or was refused at /api/token/, /admin/login/: 0 logins"):
        look(log)


def test_a_flood_of_clients_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "MOST_CLIENTS", 50)
    flood = [line for n in range(200) for line in refused([n], client=f"10.0.0.{n}")]
    with pytest.raises(CannotTell, match="153 refused logins came from too many clients"):
        look(write(tmp_path / "access.log", *flood))
    found = look(write(tmp_path / "access.log", *flood, *refused(range(90, 110))))
    assert (found.over, found.most) == (1, 20)
    assert "could not be told apart by client" in found.notes[0]


def test_hundreds_of_clients_are_named_by_the_worst(tmp_path: Path) -> None:
    lines = [line for n in range(30) for line in refused(range(11 + n), client=f"10.0.0.{n}")]
    found = look(write(tmp_path / "access.log", *lines))
    assert found.said.startswith("10.0.0.29 was refused 40 times")
    assert found.said.endswith("; 27 more clients")
    assert len(found.rows()) == 20
    assert found.clients[0][1].begin == AT
