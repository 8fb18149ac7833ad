"""The quarter's security review. The database: who may log in, and what they may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.role_permissions import Permissions
    from observe.roles import LoginRoles
    from report.evidence import Evidence
    from target.limits import LimitSet

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@expectation(
    "unused-roles",
    guide="Quarterly security review 4: check for unused users/roles",
    severity="major",
    remedy="Ask who made the role and why. Nobody needs it: `ALTER ROLE … NOLOGIN;`, and when nobody has missed it "
    "for a while `REASSIGN OWNED BY … TO …; DROP OWNED BY …; DROP ROLE …;`. Somebody does: name it in database.roles.",
    limits=("role_unused",),
)
def test_every_login_role_is_used(login_roles: Callable[[], LoginRoles], limits: LimitSet, evidence: Evidence) -> None:
    """Every role that may log in to the database was used within the last quarter, or is named in the settings."""
    seen, limit = login_roles(), limits.role_unused
    evidence.looked_at(seen.looked_at)
    evidence.compare("login roles", seen=seen.said, wanted=f"each seen in use within {limit} or named", limits=[limit])
    evidence.table("Roles that may log in", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("login roles", len(seen.judged), "1")
    evidence.figure("forgotten", len(seen.forgotten), "1")
    assert not seen.forgotten, evidence.message


@expectation(
    "role-permissions",
    guide="Quarterly security review 4: review permissions",
    severity="critical",
    remedy="The report's table has for each sentence what to type, as a superuser: "
    "`docker compose -p {project} exec {database} psql -U …`. What must be as it is gets a waiver with an end.",
)
def test_roles_may_do_no_more_than_they_need(role_permissions: Callable[[], Permissions], evidence: Evidence) -> None:
    """The application's role has no power over the server, PUBLIC creates nothing, nobody is let in without proof."""
    seen = role_permissions()
    evidence.looked_at(seen.looked_at)
    evidence.compare("roles and what they may do", seen=seen.said, wanted="each of an auditor's sentences is so")
    evidence.table("What an auditor would write", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("sentences that are not so", len(seen.broken), "1")
    assert not seen.broken, evidence.message
    seen.must_be_told()
