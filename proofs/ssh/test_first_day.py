"""The document of the first day says what is so: its blocks are what is tried here, and its table is whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import first_day, ssh_door
from lab.progress import LabError
from proofs.ssh.first_day_table import needed_by, quoted, rows
from records.slugs import read_slugs
from target.load import load

if TYPE_CHECKING:
    from lab.stack import Lab

ROOT = Path(__file__).resolve().parents[2]
SAID_OF = {"account", "key", "sshd", "unit", "target", "proxied", "database", "rows", "review", "file_settings"}
"""Blocks that aren't a right of the account on the host, each of which is tried somewhere else."""


def test_every_slug_stands_in_the_table_and_nothing_else() -> None:
    assert needed_by(*rows()) == set(read_slugs().known)


def test_whatever_asks_the_database_stands_beside_its_role() -> None:
    asking = {one.slug for one in read_slugs().known.values() if "database" in one.arguments}
    assert asking
    assert asking <= needed_by("database")


def test_every_row_names_blocks_that_are_there() -> None:
    named = {
        word
        for right in rows()
        for word in re.sub(r" alone| or ", " ", right).split()
        if "_" in word or " " not in right
    }
    assert named - {"nobody's"} <= set(first_day.blocks())


def test_every_right_is_a_row_and_is_tried() -> None:
    blocks = set(first_day.blocks())
    assert blocks - SAID_OF == {*ssh_door.RIGHTS, "proxy", "sudo_backups"}
    written = " ".join(rows())
    assert all(right in written for right in ssh_door.RIGHTS)


def test_what_it_quotes_is_what_the_suite_says() -> None:
    sources = [path for room in ("observe", "fixtures", "report") for path in (ROOT / room).rglob("*.py")]
    said = " ".join(re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8")) for path in sources)
    said += first_day.blocks()["proxy"]
    for phrase in quoted():
        for part in phrase.replace("/var/run/docker.sock", "…").split("…"):
            ours = part.strip().removesuffix(": permission denied")
            assert ours in said or ours in OTHERS_SAY, phrase


OTHERS_SAY = {"permission denied for table"}
"""What PostgreSQL says."""


def test_the_roles_lines_are_sql_and_are_what_the_labs_role_has(lab: Lab) -> None:
    blocks = first_day.blocks()
    lines = "".join(blocks[name] for name in ("database", "rows", "review", "file_settings"))
    lab.psql(f"BEGIN; {lines.replace('ops_checks', 'first_day')} ROLLBACK")
    entrypoint = (ROOT / "lab" / "images" / "db" / "entrypoint.sh").read_text(encoding="utf-8")
    standing = {member for member in lab.psql(MEMBER_OF).split() if member}
    assert standing == {match[1] for match in re.finditer(r"GRANT (pg_\w+) TO", lines)}
    for line in lines.splitlines():
        if " ON " in line:
            assert line.replace("ops_checks", ':"ops"') in entrypoint


MEMBER_OF = """
SELECT role.rolname FROM pg_auth_members JOIN pg_roles role ON role.oid = roleid
JOIN pg_roles member ON member.oid = member AND member.rolname = 'ops_checks'
"""


def test_its_target_is_one(tmp_path: Path) -> None:
    blocks = first_day.blocks()
    file = tmp_path / "target.toml"
    file.write_text(GIVEN + blocks["target"] + blocks["proxied"], encoding="utf-8")
    file.chmod(0o600)
    target = load(file, {}).target
    assert target.elsewhere
    assert f"bind unix@{target.engine.url.removeprefix('unix://')} " in blocks["proxy"]


GIVEN = """name = "synk"
[project]
name = "synk"
directory = "/srv/synk"
[services]
names = ["db", "backend", "redis"]
"""


def test_a_block_that_is_not_there_is_said() -> None:
    with pytest.raises(LabError, match="has no block called 'nothing'"):
        first_day.filled("nothing", {})


def test_two_blocks_of_one_name_are_refused() -> None:
    with pytest.raises(LabError, match="two blocks are called 'one'"):
        first_day.blocks("```sh one\na\n```\n\n```sh one\nb\n```\n")


def test_words_are_filled_in_at_once_and_the_longest_first() -> None:
    filled = first_day.filled("backups", {"/srv/synk": "operations-checks", "operations-checks": "other"})
    assert "u:other:rX" in filled
    assert " operations-checks/backups" in filled
