"""A proven backup that is gone, changed or about to be deleted proves nothing for the next time."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.backups import Backup, Listing
from observe.errors import CannotTell
from observe.restore.proven import Proof, proofs_among, proven_kept, sha256_of

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)


def proof(ago: int, *, size: int = 100, sha256: str = "good", drilled: int = 0) -> Proof:
    at = datetime(2026, 11, 24, 2, tzinfo=UTC) - ago * DAY
    return Proof(f"b_{at:%Y%m%d}.sql.gz", size, sha256, at, NOW - drilled * DAY)


def listing(*backups: Proof) -> Listing:
    found = tuple(Backup(one.name, one.at, 100, one.at) for one in backups)
    return Listing(Path("/backups"), found, ())


def judged(proofs: list[Proof], there: list[Proof], **given: Any) -> Any:  # noqa: ANN401
    usual: dict[str, Any] = {
        "retention": 30 * DAY,
        "interval": 28 * DAY,
        "last_drill": NOW,
        "now": NOW,
        "checksum": lambda _name: "good",
    }
    return proven_kept(proofs, listing(*there), **usual | given)


def test_the_one_that_was_proven_today_stands() -> None:
    seen = judged([proof(0)], [proof(0), proof(1)])
    assert seen.holds
    assert seen.said == "it stands, and will until 2026-12-24; the next drill is due on 2026-12-22"
    assert seen.name == "b_20261124.sql.gz"
    assert seen.looked_at == "1 backup that a drill has proven; 2 backups in /backups"
    assert seen.notes == ()


def test_without_a_drill_nobody_knows() -> None:
    with pytest.raises(CannotTell, match="no restore drill has proven a backup yet") as raised:
        judged([], [proof(0)])
    assert "pytest -m mid_month --target" in raised.value.mend


def test_the_proven_one_is_gone() -> None:
    seen = judged([proof(3)], [proof(0), proof(1)])
    assert not seen.holds
    assert seen.said == "none of 1 proven backup stands: b_20261121.sql.gz is gone"


def test_a_file_of_another_size_under_its_name_is_not_the_one() -> None:
    seen = judged([proof(0, size=99)], [proof(0)])
    assert seen.said == (
        "none of 1 proven backup stands: b_20261124.sql.gz was changed since: it has 100 bytes, and had 99"
    )


def test_a_file_of_its_size_with_another_content_is_not_the_one() -> None:
    seen = judged([proof(0)], [proof(0)], checksum=lambda _name: "other")
    assert not seen.holds
    assert seen.said.endswith("b_20261124.sql.gz was changed since: it has another checksum")


def test_a_file_that_was_proven_with_two_contents_is_proven_with_each() -> None:
    first, then = proof(0, drilled=1), proof(0, size=200, sha256="changed")
    seen = judged([then, first], [proof(0)])
    assert seen.holds, "what it is now was proven before"
    assert seen.proofs == 1
    neither = judged([then, proof(0, sha256="another", drilled=1)], [proof(0)])
    assert neither.said.endswith("was changed since: it has another checksum")


def test_it_is_deleted_before_the_next_drill() -> None:
    seen = judged([proof(8, drilled=8)], [proof(number) for number in range(9)])
    assert not seen.holds
    assert seen.said == "it will be deleted on 2026-12-16, before the next drill on 2026-12-22"
    assert seen.left < timedelta(0)


def test_an_older_one_stands_in_for_the_one_that_is_gone() -> None:
    seen = judged([proof(0), proof(1, drilled=1)], [proof(1)])
    assert seen.holds
    assert seen.name == "b_20261123.sql.gz"
    assert seen.notes == ("b_20261124.sql.gz, which is newer and was proven, is gone",)
    assert [row["now"] for row in seen.rows()] == ["is gone", "stands"]


def test_one_file_alone_is_read() -> None:
    read: list[str] = []

    def checksum(name: str) -> str:
        read.append(name)
        return "good"

    judged(
        [proof(number) for number in range(5)],
        [proof(number) for number in range(1, 5)],
        checksum=checksum,
    )
    assert read == ["b_20261123.sql.gz"]


def test_of_two_drills_of_one_file_the_last_counts() -> None:
    seen = judged([proof(0, sha256="good"), proof(0, sha256="old", drilled=5)], [proof(0)])
    assert seen.holds
    assert seen.proofs == 1


def test_a_drill_that_is_overdue_is_due_now() -> None:
    seen = judged([proof(29, drilled=29)], [proof(29)], last_drill=NOW - 29 * DAY)
    assert seen.next_drill == NOW
    assert seen.holds, "it is there until tomorrow, and the drill is due today"


def test_dates_are_those_of_the_hosts_zone() -> None:
    zone = ZoneInfo("Pacific/Auckland")
    seen = judged([proof(0)], [proof(0)], now=NOW.astimezone(zone))
    assert "the next drill is due on 2026-12-23" in seen.said


@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 60),
)
def test_it_holds_exactly_where_one_that_stands_lasts(
    proofs: list[tuple[int, bool, bool]], retention: int, interval: int, drilled: int
) -> None:
    """Each by its age, whether it is there and whether it is as it was; judged again in one line."""
    last = {age: (there, same) for age, there, same in proofs}
    seen = judged(
        [proof(age) for age in last],
        [proof(age) for age, (there, _) in last.items() if there],
        retention=retention * DAY,
        interval=interval * DAY,
        last_drill=NOW - drilled * DAY,
        checksum=lambda name: "good" if next(last[a][1] for a in last if proof(a).name == name) else "other",
    )
    due = max(NOW, NOW + (interval - drilled) * DAY)
    assert seen.holds == any(
        there and same and proof(age).at + retention * DAY >= due for age, (there, same) in last.items()
    )


def test_a_checksum_is_that_of_the_whole_file(tmp_path: Path) -> None:
    content = os.urandom(1_000_003)
    (tmp_path / "b").write_bytes(content)
    assert sha256_of(tmp_path / "b", 10) == hashlib.sha256(content).hexdigest()


def test_a_file_that_gives_nothing_costs_its_limit_and_no_more(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b")
    with pytest.raises(CannotTell, match=r"was not read to its end within 200 ms"):
        sha256_of(tmp_path / "b", 0.2)


def test_a_file_that_is_not_there_is_cannot_tell(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="no such file"):
        sha256_of(tmp_path / "b", 1)


def test_what_was_proven_is_taken_from_the_receipts() -> None:
    def receipt(name: str) -> dict[str, Any]:
        return {"file": name, "size": 100, "sha256": "good", "anything": ["else"]}

    drills = [
        (NOW, False, receipt("b_20261124.sql.gz")),
        (NOW - DAY, True, receipt("b_20261123.sql.gz")),
        (NOW - 2 * DAY, True, receipt("named otherwise then.gz")),
    ]
    found = proofs_among(drills, "b_%Y%m%d.sql.gz", UTC)
    assert found == [
        Proof("b_20261123.sql.gz", 100, "good", datetime(2026, 11, 23, tzinfo=UTC), NOW - DAY),
    ]
