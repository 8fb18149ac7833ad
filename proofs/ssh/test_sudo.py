"""Backups that only root may read are read by the document's lines for sudo, which let nothing else through."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from lab import ssh_door
from lab.certificates import write_private
from proofs.harness import OWN, run_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.ssh_door import Door
    from lab.stack import Lab


def test_without_its_lines_sudo_is_what_is_missing(door: Door) -> None:
    lines = [(file, file.read_bytes()) for file in ssh_door.sudoers_of(door.lab)]
    assert len(lines) == 2
    try:
        for file, _ in lines:
            file.unlink()
        run = run_suite(door.target(), "-k", "backup", marker="daily or weekly", history=OWN)
    finally:
        for file, text in lines:
            write_private(file, text)
            file.chmod(0o440)
    assert run.broken == set(), run.explain()
    told = {"backup-fresh", "backup-intact"} & run.blind
    assert told, run.explain()
    for one in told:
        assert "sudo" in run.findings[one].message, run.findings[one].message


LISTED = r"%m %y %Y %i %D %n %U %G %s %A@ %T@ %C@ %f\0"


@pytest.fixture(scope="module")
def door(lab: Lab) -> Iterator[Door]:
    """A door for an account that sees the backups by sudo alone."""
    rights = [right for right in ssh_door.RIGHTS if right != "backups"]
    with ssh_door.opened(lab, rights=[*rights, "sudo_backups"]) as door:
        yield door


def by_hand(door: Door, line: str) -> subprocess.CompletedProcess[str]:
    """What the account's own shell makes of a line."""
    command = ["ssh", "-F", str(door.config()), "-n", door.alias, line]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_they_are_read_as_on_the_machine_itself(lab: Lab, door: Door) -> None:
    assert by_hand(door, f"ls '{lab.backups}'").returncode != 0
    run = run_suite(
        door.target(),
        "-k",
        "backup or growth or disk",
        marker="daily or weekly or (monthly and not drill)",
        history=OWN,
    )
    assert run.broken == set(), run.explain()
    assert run.blind == set(), run.explain()
    assert run.having("holds") >= {"backup-fresh", "backup-intact", "backup-restores", "backup-proven-kept", "growth"}


@pytest.mark.parametrize(
    "line",
    [
        "sudo -n tail -c +1 -- /etc/shadow",
        "cd /etc && sudo -n tail -c +1 -- BACKUPS/x shadow",
        "sudo -n tail -c +1 -- BACKUPS/../../../../../../../../etc/shadow",
        "sudo -n tail -c +1 -- BACKUPS/..",
        "sudo -n tail -f -c +1 -- BACKUPS/x",
        "sudo -n sha256sum -b -- /etc/shadow",
        "sudo -n sha256sum -c -- BACKUPS/x",
        "sudo -n find -L BACKUPS -mindepth 1 -maxdepth 1 -delete",
        f"sudo -n find -L BACKUPS -mindepth 1 -maxdepth 1 -printf '{LISTED}' -delete",
        "sudo -n find -L BACKUPS/. -maxdepth 1 -mindepth 1 -type f -printf '%f\\t%s\\t%T@\\0' -exec id ';'",
        f"sudo -n find -L / -mindepth 1 -maxdepth 1 -printf '{LISTED}'",
        "sudo -n stat -L -c '%f %i %d %h %u %g %s %X %Y %Z' -- /root",
        "sudo -n stat -L -c '%n' -- BACKUPS",
        "sudo -n tail -c +1 -- SCRIPT",
        "sudo -n SCRIPT more",
        "sudo -n sh -c id",
        "sudo -n -u nobody tail -c +1 -- BACKUPS/x",
    ],
)
def test_nothing_else_goes_through(line: str, lab: Lab, door: Door) -> None:
    script = str(ssh_door.placed(lab, lab.project_directory) / "pre-deployment-security-check.sh")
    ended = by_hand(door, line.replace("BACKUPS", str(ssh_door.placed(lab, lab.backups))).replace("SCRIPT", script))
    assert ended.returncode != 0
    assert "sudo: a password is required" in ended.stderr
    assert ended.stdout == ""
