"""A stack on another machine: found over SSH by an account that has the documented rights and no more."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from discover.__main__ import NO_SETTINGS
from lab import ssh_door
from proofs.discover.conftest import discover
from proofs.discover.test_lab import flat
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.ssh_door import Door
    from lab.stack import Lab


@pytest.fixture
def door(lab: Lab) -> Iterator[Door]:
    """A door for an account that has exactly the rights of docs/first-day.md."""
    with ssh_door.opened(lab) as door:
        yield door


def test_what_is_found_over_ssh_is_what_is_found_there(lab: Lab, door: Door, tmp_path: Path) -> None:
    here, there = tmp_path / "here.toml", tmp_path / "there.toml"
    assert discover("--project", lab.name, "--out", str(here)).status == 0
    ways = ("--host", door.url, "--ssh-config", str(door.config()))
    asked = discover("--project", lab.name, "--out", str(there), *ways)
    assert asked.status == 0, asked.said
    ours, theirs = (tomllib.loads(file.read_text(encoding="utf-8")) for file in (there, here))
    assert ours["host"] == {"url": door.url, "ssh_config": str(door.config().resolve()), "zone": ours["host"]["zone"]}
    assert sorted(ours["services"].pop("names")) == ["backend", "backup", "db", "nginx", "redis"]
    for table in ("project", "services", "certificate", "database", "backups", "logs"):
        assert ours[table] == theirs[table], (table, asked.said)
    assert load(there, NO_SETTINGS).target.elsewhere
    assert f"{lab.domain} is in no DNS" in asked.said


def test_what_an_account_may_not_read_is_said_and_left_open(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "there.toml"
    with ssh_door.opened(lab, rights=("engine",)) as door:
        ways = ("--host", door.url, "--ssh-config", str(door.config()))
        asked = discover("--project", lab.name, "--out", str(file), *ways)
    assert asked.status == 0, asked.said
    target = load(file, NO_SETTINGS).target
    assert target.services.names == ["backend", "backup", "db", "nginx", "redis"], "the labels' own"
    assert "docker-compose.yml can't be read: Permission denied" in asked.said
    assert f"not seen: {lab.backups}: Permission denied" in asked.said
    text = flat(file)
    assert "? What lies there may not be read by this account. May `sudo -n` read it?" in text
    assert "this user can't read it: Permission denied" in text
    assert "docs/first-day.md says which right is for what" in text


def test_an_account_without_the_engines_right_is_said(lab: Lab, tmp_path: Path) -> None:
    with ssh_door.opened(lab, rights=()) as door:
        ways = ("--host", door.url, "--ssh-config", str(door.config()))
        asked = discover("--out", str(tmp_path / "t.toml"), *ways)
    assert asked.status == 3, asked.said
    assert "may not use /var/run/docker.sock" in asked.said
    assert not (tmp_path / "t.toml").exists()


def test_a_host_that_isnt_known_is_said(door: Door, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.touch()
    changed = door.config(UserKnownHostsFile=str(empty))
    asked = discover("--host", door.url, "--ssh-config", str(changed))
    assert asked.status == 3, asked.said
    assert "ost key" in asked.said


def test_an_address_that_is_none_is_said() -> None:
    asked = discover("--host", "root@example.org")
    assert (asked.status, "it is written as ssh://user@name" in asked.said) == (2, True)
