"""Each right of the document is needed by what its table says, and by nothing else; and no other is needed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab import ssh_door
from proofs.harness import OWN, run_suite, slugs
from proofs.ssh.first_day_table import needed_by, rows

if TYPE_CHECKING:
    from lab.stack import Lab
    from proofs.harness import SuiteRun

LOOKED_AT = "daily or weekly or ((monthly or security) and not slow)"
SCRIPT = {"security-script"}
"""It runs whatever it may read, and says itself what is wrong."""
ATTESTED = {"encryption-at-rest"}
"""The lab says it, and then it need not be seen."""
ONLY_PARTLY = {"deployed-as-written"}
"""It leaves out, and says so, what comes from a file that it may not read."""


def run_without(lab: Lab, *rights: str) -> SuiteRun:
    """Run the suite for an account that has all rights but those."""
    left = [right for right in ssh_door.RIGHTS if right not in rights]
    with ssh_door.opened(lab, rights=left) as door:
        return run_suite(door.target(), marker=LOOKED_AT, history=OWN)


def test_without_the_engine_what_it_tells_cannot_be_told(lab: Lab) -> None:
    run = run_without(lab, "engine")
    wanted = needed_by("engine or proxy", "engine alone", "database") & looked_at(run)
    assert slugs(run.blind) == wanted - ATTESTED, run.explain()
    assert run.broken == set(), run.explain()
    assert {run.findings[one].cause for one in run.blind} >= {"engine"}
    assert all("may not use /var/run/docker.sock" in run.findings[one].message for one in run.blind)


def test_without_four_rights_of_files_exactly_what_needs_them_cannot_be_told(lab: Lab) -> None:
    run = run_without(lab, "logs", "backups", "certificate", "sudo")
    wanted = needed_by("logs", "backups", "certificate") & looked_at(run)
    assert slugs(run.blind) == wanted, run.explain()
    assert slugs(run.broken) == SCRIPT, run.explain()
    words = {word for right in ("logs", "backups", "certificate") for word in rows()[right][1]}
    assert all(said_by(run.findings[one].message, words) for one in run.blind), run.explain()
    assert needed_by("sudo") == SCRIPT | ONLY_PARTLY


def test_without_the_projects_directory_what_lies_in_it_cannot_be_told(lab: Lab) -> None:
    run = run_without(lab, "project")
    wanted = needed_by("project", "backups") & looked_at(run)
    assert slugs(run.blind) == wanted, run.explain()
    assert run.broken == set(), run.explain()


def looked_at(run: SuiteRun) -> set[str]:
    """The slugs that a run has looked at, or would have."""
    return slugs(set(run.findings) - run.having("set aside"))


def said_by(message: str, phrases: set[str]) -> bool:
    """Whether one of the document's phrases stands in a message; a path may stand where the phrase has a colon."""
    return any(all(part in message for part in re.split(r"(?<=read): ", phrase)) for phrase in phrases)
