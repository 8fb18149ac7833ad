"""Whoever was shown the admin area from elsewhere is found, and nobody else is blamed."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from observe import access_counts
from observe.access_counts import Questions, plain_path
from observe.admin_access import AdminAccess, admin_access
from observe.errors import CannotTell
from proofs.observe.access_logs import WHOLE_LOG, entry, seen, write

if TYPE_CHECKING:
    from pathlib import Path

OFFICE = ["192.0.2.0/28", "2001:db8:1::/48"]
PAGE = "GET /admin/ HTTP/2.0"


def look(*paths: Path, networks: list[str] = OFFICE) -> AdminAccess:
    found = [seen(paths[0]), *(seen(path, WHOLE_LOG, sparse=True) for path in paths[1:])]
    return admin_access(found, networks, "/admin/", UTC)


def test_requests_from_the_networks_are_as_they_should_be(tmp_path: Path) -> None:
    clients = ("192.0.2.1", "::ffff:192.0.2.15", "2001:db8:1:2::3")
    found = look(write(tmp_path / "access.log", *[entry(n, PAGE, 200, client) for n, client in enumerate(clients)]))
    assert (found.inside, found.count, found.refused.total()) == (3, 0, 0)
    assert found.looked_at.startswith("3 requests for the admin area in 3 requests in 1 file")
    assert found.said == "3 from the settings' networks, 0 from elsewhere, none answered below 400"


def test_one_from_elsewhere_is_one_too_many(tmp_path: Path) -> None:
    lines = [entry(0, PAGE, 200, "192.0.2.1"), entry(1, PAGE, 404, "192.0.2.16"), entry(2, PAGE, 200, "192.0.2.16")]
    found = look(write(tmp_path / "access.log", *lines))
    assert (found.inside, found.count, found.refused) == (1, 1, {404: 1})
    assert (
        found.said
        == "1 from elsewhere: 192.0.2.16 was answered 200 at 2026-11-23 10:01:50 +0000 (GET /admin/ HTTP/2.0)"
    )
    assert found.rows()[0]["requests"] == "1"
    assert found.refused_rows() == [{"answered": "404", "requests": "1"}]


@pytest.mark.parametrize(("status", "served"), [(200, 1), (302, 1), (304, 1), (206, 1), (301, 0), (308, 0), (403, 0)])
def test_what_is_served_and_what_is_not(tmp_path: Path, status: int, served: int) -> None:
    found = look(write(tmp_path / "access.log", entry(0, PAGE, status, "198.51.100.9")))
    assert (found.count, found.refused.total()) == (served, 1 - served)


def test_both_logs_are_looked_at_and_the_admin_areas_own_as_a_whole(tmp_path: Path) -> None:
    main = write(tmp_path / "access.log", entry(0, PAGE, 403, "198.51.100.9"), entry(1, "GET / HTTP/1.1", 200))
    admin = write(
        tmp_path / "admin.log", entry(0, "GET /ADMIN/x HTTP/1.1", 200, "192.0.2.1"), entry(1, "GET /x HTTP/1.1", 200)
    )
    found = look(main, admin)
    assert (found.inside, found.count, found.refused) == (1, 1, {403: 1})
    assert look(main, write(tmp_path / "admin.log")).refused == {403: 1}


def test_the_same_client_in_both_logs_stands_once(tmp_path: Path) -> None:
    lines = [entry(n, PAGE, 200, "198.51.100.9") for n in range(3)]
    found = look(write(tmp_path / "access.log", *lines), write(tmp_path / "admin.log", *lines))
    assert [(one.client, one.visits.number) for one in found.served] == [("198.51.100.9", 6)]
    assert "198.51.100.9 was answered 200, 6 times, the last at 2026-11-23 10:01:50" in found.said


DISGUISES = [
    ("/%61dmin/", "/admin/"),
    ("//admin//x/", "/admin/x/"),
    ("/x/%2e%2e/admin/", "/admin/"),
    ("/./admin/?next=/..", "/admin/"),
    ("https://a.test/admin/", "/admin/"),
    ("/admin%2Flogin/", "/admin/login/"),
    ("/admin/../", "/"),
    ("/admin/%2e%2e/api/", "/api/"),
    ("/Admin/", "/Admin/"),
    ("*", "/"),
    ("", ""),
]


@pytest.mark.parametrize(("target", "path"), DISGUISES)
def test_a_path_is_what_the_proxy_takes_it_for(target: str, path: str) -> None:
    assert plain_path(target) == path


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize(("target", "path"), DISGUISES)
def test_no_disguise_leads_to_the_admin_area_or_away_from_it(
    tmp_path: Path, target: str, path: str, blocks: bool
) -> None:
    from observe.access_figures import figures

    one = seen(write(tmp_path / "access.log", entry(0, f"GET {target or '-'} HTTP/1.1", 200)))
    found = figures(
        tmp_path / "access.log",
        one.all.since,
        one.all.until,
        questions=Questions(probes=()),
        own=lambda _: False,
        blocks=blocks,
        workers=0,
    )
    assert len(found.visitors) == path.startswith("/admin/")


def test_without_networks_it_can_not_be_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="isn't known from where") as caught:
        look(write(tmp_path / "access.log", entry(0, PAGE, 200)), networks=[])
    assert "site.admin_networks" in caught.value.mend


def test_where_nobody_ever_asks_it_can_not_be_told(tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", entry(0, "GET / HTTP/1.1", 200))
    with pytest.raises(CannotTell, match="nobody asked for /admin/: 0 requests"):
        look(log, write(tmp_path / "admin.log"))


def test_a_flood_of_refused_visitors_hides_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_counts, "MOST_CLIENTS", 10)
    flood = [entry(n, PAGE, 403, f"10.0.0.{n}") for n in range(50)]
    found = look(write(tmp_path / "access.log", *flood, entry(60, PAGE, 200, "198.51.100.9")))
    assert [one.client for one in found.served] == ["198.51.100.9"]
    assert found.refused == {403: 50}
    staff = [entry(n, PAGE, 200, f"192.0.2.{n}") for n in range(11)]
    with pytest.raises(CannotTell, match="too many addresses"):
        look(write(tmp_path / "access.log", *staff))
