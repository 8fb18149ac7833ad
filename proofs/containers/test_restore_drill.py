"""One restore, and all that is told of it: the receipt, the comparison, the newest activity."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import docker
import pytest

from observe.errors import CannotTell
from observe.restore.compare import Comparison
from observe.restore.recovery import recovery
from observe.restore.scratch import TARGET
from proofs.containers.drills import ROWS_OF_SALE, packed
from target.kinds import Size
from target.model import Restore

if TYPE_CHECKING:
    from pathlib import Path

    from proofs.containers.drills import Stock


def test_a_good_backup_is_proven_and_compared(live: Stock, file: Path) -> None:
    receipt = live.drill(packed(file, live.text))
    assert receipt.proven
    assert receipt.said.startswith("restored without an error in ")
    assert receipt.comparison.differences == ()
    assert receipt.comparison.counts == {"public.activity": 500, "public.item": 300, "public.sale": 2000}
    newest = receipt.newest
    assert (newest.rows, newest.empty_live) == (500, False)
    assert newest.at is not None
    assert timedelta(0) < datetime.now(UTC) - newest.at < timedelta(hours=1)
    assert receipt.made == ("app", "ops")
    assert any("a dump carries no roles" in note and "app, ops" in note for note in receipt.notes)
    assert receipt.whole_seconds > receipt.loaded.seconds > 0
    back = recovery(receipt)
    assert back.said.startswith("restored and verified in ")
    assert back.took.total_seconds() == pytest.approx(receipt.whole_seconds)
    assert back.within(timedelta(hours=2))
    assert not back.within(back.took)
    assert "held against the live one: " in back.looked_at


def test_the_receipt_can_be_kept_as_json(live: Stock, file: Path) -> None:
    receipt = live.drill(packed(file, live.text))
    kept = json.loads(json.dumps(receipt.as_dict()))
    assert (kept["file"], kept["proven"], kept["troubles"]) == (file.name, True, [])
    assert len(kept["sha256"]) == 64
    assert kept["server_version"] // 10000 == 15
    assert Comparison.from_dict(kept["comparison"]) == receipt.comparison


def test_a_table_that_was_left_out_is_a_difference_and_no_error(live: Stock, file: Path) -> None:
    done = live.server.container.exec_run(["pg_dump", "-U", "chief", "-T", "sale", "stock"], stderr=False)
    receipt = live.drill(packed(file, done.output))
    assert receipt.proven
    assert any("sale" in one for one in receipt.comparison.differences)
    back = recovery(receipt)
    assert "from the live database, after " in back.said
    assert not back.within(timedelta(days=1)), "what isn't like the live one is back in no time at all"


def test_of_a_part_of_a_dump_nothing_else_is_told(live: Stock, file: Path) -> None:
    receipt = live.drill(packed(file, live.text[: len(live.text) // 2]))
    assert not receipt.proven
    for look in (lambda: receipt.comparison, lambda: receipt.newest):
        with pytest.raises(CannotTell, match="backup-restores") as unseen:
            look()
        assert unseen.value.cause == receipt.cause
    assert receipt.as_dict()["comparison"] is None
    assert recovery(receipt).said.startswith("not restored without an error after ")
    assert not recovery(receipt).within(timedelta(days=1))


def test_an_error_beside_leaves_the_comparison(live: Stock, file: Path) -> None:
    receipt = live.drill(packed(file, live.edited(ROWS_OF_SALE, b"SELECT nothing;\n\n" + ROWS_OF_SALE)))
    assert not receipt.proven
    assert receipt.comparison.differences == ()


def test_an_older_servers_dump_is_a_note(live: Stock, file: Path) -> None:
    receipt = live.drill(packed(file, live.text.replace(b"database version 15.", b"database version 13.")))
    assert receipt.proven
    assert any("PostgreSQL 13." in note and "older" in note for note in receipt.notes)


def test_without_room_it_isnt_begun(live: Stock, file: Path) -> None:
    packed(file, live.text)
    with pytest.raises(CannotTell, match="no room for a restore") as full:
        live.drill(file, limits=Restore(disk_left=Size(2**60)), target="without room")
    assert "restore.disk_left" in full.value.mend
    client = docker.from_env()
    assert client.api.containers(all=True, filters={"label": f"{TARGET}=without room"}) == []


def test_a_live_database_that_cant_be_asked_is_no_verdict(live: Stock, file: Path) -> None:
    packed(file, live.text)
    with pytest.raises(CannotTell):
        live.drill(file, live=live.server.database(port=1))


def test_it_changes_nothing_in_the_live_database(live: Stock, file: Path) -> None:
    def state() -> object:
        with live.server.connect() as session:
            return session.execute(
                "SELECT array_agg(s ORDER BY s) FROM (SELECT relname || n_tup_ins || ' ' || n_tup_upd || ' ' "
                "|| n_tup_del AS s FROM pg_stat_user_tables UNION SELECT rolname FROM pg_roles) AS t"
            ).fetchone()

    before = state()
    live.drill(packed(file, live.text))
    assert state() == before
