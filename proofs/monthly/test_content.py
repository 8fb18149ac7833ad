"""What the monthly run says, held against what is known otherwise: reviews, the month's figures, the receipt."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from html import unescape
from typing import TYPE_CHECKING

import pytest

from lab.faults import by_name
from proofs.harness import derived_target, run_suite

if TYPE_CHECKING:
    from pathlib import Path

    from lab.stack import Lab

PYTHON = "python-dependencies-current"
MONTH = """
SELECT count(DISTINCT user_id), count(*), pg_database_size(current_database()) FROM api_activity
WHERE created_at > now() - interval '720 hours'
"""


def reviewed(lab: Lab, directory: Path, package: str, version: str) -> Path:
    """A target whose last review of its dependencies covers one version of one package."""
    file = directory / "attestations.toml"
    file.write_text(
        f'[[attestation]]\nslug = "{PYTHON}"\ndate = {datetime.now().astimezone():%Y-%m-%d}\nby = "Mira"\n'
        f'note = "after the holidays"\n[attestation.covers]\n"{package}" = "{version}"\n',
        encoding="utf-8",
    )
    return derived_target(lab.target_file, directory, {"records.attestations": str(file)})


def test_a_review_covers_the_version_that_it_names_and_no_other(lab: Lab, history: Path, tmp_path: Path) -> None:
    with by_name("newer-django").applied(lab):
        broken = run_suite(lab.target_file, "-k", "python_dependencies", marker="monthly", history=history)
        assert broken.broken == {PYTHON}, broken.explain()
        named = re.search(r"Django \S+ \(([\d.]+)\)", broken.findings[PYTHON].message)
        assert named is not None, broken.findings[PYTHON].message
        for version, outcome in ((named[1], "holds"), ("0.1", "broken")):
            target = reviewed(lab, tmp_path, "django", version)
            run = run_suite(target, "-k", "python_dependencies", marker="monthly", history=history)
            assert run.findings[PYTHON].outcome == outcome, run.explain()
            assert f"{datetime.now().astimezone():%Y-%m-%d}" in run.html, "since when is said"


def test_the_months_figures_are_those_of_the_database(lab: Lab, history: Path, tmp_path: Path) -> None:
    html = tmp_path / "month.html"
    users, calls, size = lab.psql(MONTH).split("|")
    run = run_suite(lab.target_file, "-k", "usage", f"--html={html}", marker="monthly", history=history)
    assert run.status == 0, run.explain()
    (file,) = tmp_path.glob("usage-*.json")
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["target"] == lab.name
    month = told["this_month"]
    assert (month["active_users"], month["api_calls"]) == (int(users), int(calls))
    assert month["database_bytes"] == pytest.approx(int(size), rel=0.02)
    assert sum(day["calls"] for day in told["by_day"]) == month["api_calls"]
    assert told["last_month"]["api_calls"] > 0
    shown = unescape(html.read_text(encoding="utf-8"))
    assert "Usage of the month" in shown
    assert f"{int(calls):,}" in shown
    assert shown.count('class="bar"') >= len(told["by_day"])


def test_the_drills_receipt_is_kept(lab: Lab, history: Path) -> None:
    newest = max(lab.backups.glob("synk_backup_*.sql.gz"))
    run = run_suite(lab.target_file, "-k", "restore", marker="mid_month", history=history)
    assert run.status == 0, run.explain()
    with closing(sqlite3.connect(history)) as known:
        (text,) = known.execute("SELECT receipt FROM restore_drill ORDER BY drilled DESC LIMIT 1").fetchone()
    receipt = json.loads(text)
    checksum = hashlib.sha256(newest.read_bytes()).hexdigest()
    assert (receipt["file"], receipt["size"], receipt["sha256"]) == (newest.name, newest.stat().st_size, checksum)
    assert receipt["proven"]
    assert receipt["error_count"] == 0
    assert receipt["comparison"]["differences"] == []
    rows = {one["table"]: one["restored"] for one in receipt["comparison"]["tables"]}
    assert len(rows) > 30
    assert checksum in run.html
    assert receipt["server_version"] // 10000 == 15
    assert 0 < receipt["seconds"] < receipt["whole_seconds"]
    # Nothing of a row goes out, neither here nor there.
    mails = lab.psql("SELECT email FROM auth_user WHERE email <> '' LIMIT 5").split()
    assert len(mails) == 5
    for mail in mails:
        assert mail not in run.html + run.terminal + run.xml + text
