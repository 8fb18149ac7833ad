"""The figures sown with a lab are those of its own files."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from lab.figures import backups_size

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

NIGHT = dt.datetime(2026, 11, 20, 2).astimezone()


def test_the_backups_of_a_time_are_those_made_until_then_and_not_yet_deleted(tmp_path: Path) -> None:
    for ago, size in ((0, 1), (1, 10), (29, 100), (30, 1000)):
        night = NIGHT - dt.timedelta(days=ago)
        (tmp_path / f"synk_backup_{night:%Y%m%d_%H%M%S}.sql.gz").write_bytes(b"x" * size)
    (tmp_path / "backup.log").write_text("no backup")
    lab = cast("Lab", SimpleNamespace(backups=tmp_path))
    sizes = {ago: backups_size(lab, NIGHT - dt.timedelta(days=ago)) for ago in (0, 1, 2, 29, 31)}
    assert sizes == {0: 111, 1: 1110, 2: 1100, 29: 1100, 31: 0}
