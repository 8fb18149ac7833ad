"""The time is asked in one place, in the host's zone."""

from __future__ import annotations

import ast
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.clock import Clock, local_zone, until_now, zone_of_machine
from observe.errors import CannotTell

ROOT = Path(__file__).resolve().parents[2]
VIENNA = ZoneInfo("Europe/Vienna")
ZONES = Path("/usr/share/zoneinfo")
MOMENTS = st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def test_a_given_time_stands_still() -> None:
    given_time = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    clock = Clock(VIENNA, given_time)
    assert clock.now() == clock.now() == given_time
    assert clock.now().isoformat() == "2026-11-23T09:00:00+01:00"


def test_without_one_it_is_now() -> None:
    before = datetime.now(UTC)
    assert before <= Clock(VIENNA).now() <= datetime.now(UTC)


@given(at=MOMENTS, hours=st.integers(0, 10_000))
def test_ago_is_elapsed_time_across_a_change_of_clocks(at: datetime, hours: int) -> None:
    ago = Clock(VIENNA, at).ago(timedelta(hours=hours))
    assert at - ago.astimezone(UTC) == timedelta(hours=hours)
    assert ago.tzinfo is VIENNA


def test_nothing_has_happened_after_now() -> None:
    past = datetime(2026, 1, 1, tzinfo=UTC)
    assert until_now(past) == past
    assert until_now(datetime(9999, 1, 1, tzinfo=UTC)) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Europe/Vienna", "Europe/Vienna"),
        (":Europe/Vienna", "Europe/Vienna"),
        (f":{ZONES}/Europe/Vienna", "Europe/Vienna"),
        (f"{ZONES}/Europe/Vienna", "Europe/Vienna"),
        ("UTC", "UTC"),
    ],
)
def test_the_variable_tz_is_read_as_the_c_library_reads_it(
    written: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", written)
    assert str(local_zone()) == name
    assert str(local_zone("Asia/Tokyo")) == "Asia/Tokyo", "a name that is given wins"


@pytest.mark.parametrize("name", ["Europe/Vieanna", "Europe", "../etc/passwd", "/etc/passwd", "/none", "CET-1CEST"])
def test_what_is_no_zone_is_said_with_the_setting_to_mend(name: str) -> None:
    with pytest.raises(CannotTell, match="is no time zone") as raised:
        local_zone(name)
    assert "host.zone" in raised.value.mend


def test_a_linked_localtime_gives_its_name(tmp_path: Path) -> None:
    (tmp_path / "localtime").symlink_to(ZONES / "Europe/Vienna")
    (tmp_path / "timezone").write_text("Asia/Tokyo\n", encoding="utf-8")
    assert str(zone_of_machine(tmp_path)) == "Europe/Vienna"


def test_a_copied_localtime_gives_its_rules(tmp_path: Path) -> None:
    """As in many container images: the file has no name, but a guess of UTC would be hours off."""
    shutil.copy(ZONES / "Europe/Vienna", tmp_path / "localtime")
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=zone_of_machine(tmp_path))
    assert noon.utcoffset() == timedelta(hours=2)


def test_no_localtime_at_all_is_utc(tmp_path: Path) -> None:
    assert zone_of_machine(tmp_path) is UTC


def test_nothing_but_the_clock_asks_what_time_it_is() -> None:
    """What is observed must be the same at any hour; a run's own bookkeeping is by the real clock."""
    bookkeeping = ("run", "lock", "history_file", "outputs", "fleet", "members")
    allowed = {ROOT / "observe/clock.py", *(ROOT / f"report/{name}.py" for name in bookkeeping)}
    asking = set()
    for file in (file for room in ("observe", "fixtures", "report", "target") for file in (ROOT / room).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = f"{ast.unparse(node.func.value)}.{node.func.attr}"
                if called in {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}:
                    asking.add(file)
    assert asking <= allowed
