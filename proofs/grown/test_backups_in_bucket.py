"""Backups that lie in a bucket alone and on no disk: the same is said of them as of files, healthy and broken."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lab.faults.targets import derived
from lab.object_store import ObjectStore, serving
from proofs.harness import run_suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab
    from proofs.harness import SuiteRun

BUCKET, PREFIX = "only-place", "nights/"
IN_BUCKET = "[backups]\nin_bucket = true\n"
OFTEN = {"backup-fresh", "backup-size", "backup-steady", "backups-daily", "backup-intact", "backup-complete"}
SELDOM = {"backup-restores", "backup-proven-kept", "backup-archive"}


@pytest.fixture(scope="module")
def store(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real store with the lab's backups in it."""
    directory = tmp_path_factory.mktemp("store")
    shutil.copytree(lab.backups, directory / BUCKET / PREFIX)
    with serving(directory) as running:
        yield running


@contextmanager
def target_of(lab: Lab, store: ObjectStore, bucket: str = BUCKET, secret_key: str = "") -> Iterator[Path]:
    with derived(lab, store.table(bucket, PREFIX, secret_key=secret_key), IN_BUCKET) as target:
        yield target


def backup_outcomes(run: SuiteRun) -> dict[str, str]:
    """Outcome of each expectation about backups, by its id."""
    return {one.id: one.outcome for one in run.findings.values() if one.id.partition("[")[0] in OFTEN | SELDOM}


def broken_under(lab: Lab, history: Path, store: ObjectStore, bucket: str = BUCKET, secret_key: str = "") -> SuiteRun:
    with target_of(lab, store, bucket, secret_key) as target:
        return run_suite(target, "-k", "backup", marker="daily or weekly", history=history)


def of_day(store: ObjectStore, ago: int) -> Path:
    """The lab's backup of so many days ago, in the bucket."""
    day = dt.datetime.now().astimezone().date() - dt.timedelta(days=ago)
    (found,) = (store.directory / BUCKET / PREFIX).glob(f"synk_backup_{day:%Y%m%d}_*.sql.gz")
    return found


def test_the_same_is_said_of_a_bucket_as_of_a_disk(lab: Lab, history: Path, store: ObjectStore) -> None:
    on_disk = run_suite(lab.target_file, "-k", "backup", marker="daily or weekly", history=history)
    with target_of(lab, store) as target:
        in_bucket = run_suite(target, "-k", "backup", marker="daily or weekly or monthly", history=history)
    wanted = {**backup_outcomes(on_disk), **dict.fromkeys(SELDOM, "holds")}
    assert {one.partition("[")[0] for one in wanted} == OFTEN | SELDOM
    assert set(wanted.values()) == {"holds"}, on_disk.explain()
    assert backup_outcomes(in_bucket) == wanted, in_bucket.explain()
    for slug in ("backup-fresh", "backup-size", "backup-archive", "backup-proven-kept"):
        assert f"s3://{BUCKET}/nights" in in_bucket.findings[slug].looked_at
        assert str(lab.backups) not in in_bucket.findings[slug].looked_at
    for slug in ("backup-size", "backup-steady", "backup-intact", "backup-complete"):
        assert in_bucket.findings[slug].seen == on_disk.findings[slug].seen
        assert in_bucket.findings[slug].looked_at.replace(f"s3://{BUCKET}/nights", str(lab.backups)) == (
            on_disk.findings[slug].looked_at
        )
    assert "on no disk of this stack" in in_bucket.findings["backup-archive"].seen
    assert "off site" in in_bucket.findings["backup-archive"].seen


def test_the_rest_of_the_day_is_as_before_but_for_the_backups_disk(lab: Lab, history: Path, store: ObjectStore) -> None:
    with target_of(lab, store) as target:
        in_bucket = run_suite(target, history=history)
    assert in_bucket.status == 0, in_bucket.explain()
    disks = {one for one in in_bucket.findings if one.startswith("disk-")}
    assert "disk-space[root]" in disks
    assert not {one for one in disks if "backups" in one}


def test_an_object_that_is_cut_is_named(lab: Lab, history: Path, store: ObjectStore) -> None:
    file = of_day(store, 1)
    kept = file.read_bytes()
    os.truncate(file, len(kept) - 1000)
    try:
        run = broken_under(lab, history, store)
    finally:
        file.write_bytes(kept)
    assert (run.broken, run.blind) == ({"backup-intact"}, {"backup-complete"}), run.explain()
    assert file.name in run.findings["backup-intact"].message


def test_a_night_without_a_backup_is_named(lab: Lab, history: Path, store: ObjectStore, tmp_path: Path) -> None:
    file = of_day(store, 3)
    shutil.move(file, tmp_path / "aside")
    try:
        run = broken_under(lab, history, store)
    finally:
        shutil.move(tmp_path / "aside", file)
    day = dt.datetime.now().astimezone().date() - dt.timedelta(days=3)
    assert (run.broken, run.blind) == ({f"backups-daily[{day}]"}, set()), run.explain()


@pytest.mark.parametrize("what", ["the bucket is gone", "the key is refused"])
def test_a_bucket_that_cannot_be_read_is_one_cause(lab: Lab, history: Path, store: ObjectStore, what: str) -> None:
    wrong = os.urandom(20).hex()
    gone = what == "the bucket is gone"
    run = broken_under(lab, history, store, "gone" if gone else BUCKET, "" if gone else wrong)
    outcomes = backup_outcomes(run)
    assert {one.partition("[")[0] for one in outcomes} == OFTEN
    assert set(outcomes.values()) == {"cannot tell"}, run.explain()
    assert {run.findings[one].cause for one in outcomes} == {"offsite"}
    said = "has no bucket gone" if gone else "refuses to be read"
    assert said in run.findings["backup-fresh"].message
    assert run.broken == set()
    assert wrong not in run.everything
    assert store.secret_key not in run.everything
