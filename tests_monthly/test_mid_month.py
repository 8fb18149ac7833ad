"""The middle of the month: does the backup restore, are the administrators' passwords good, who uses it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.passwords import Passwords
    from observe.restore.drill import Receipt
    from observe.restore.proven import ProvenKept
    from observe.restore.recent import Recent
    from observe.usage import Activity
    from records.attestations import Due
    from report.evidence import Evidence
    from target.kinds import Span
    from target.limits import Limit, LimitSet
    from target.model import Target

pytestmark = [pytest.mark.monthly, pytest.mark.mid_month]


@pytest.mark.slow
@expectation(
    "backup-restores",
    guide="Mid-month: restore the newest backup into a test database",
    severity="critical",
    remedy="Don't rely on this backup: make another, {make_backup}, and run the drill again "
    "(restore.backup names an older one). Each error is listed with its line: `zcat FILE | sed -n LINEp` shows it.",
)
def test_newest_backup_restores(restore_drill: Callable[[], Receipt], evidence: Evidence) -> None:
    """The newest backup restores without an error into an empty PostgreSQL of the same version."""
    receipt = restore_drill()
    evidence.stands_for(receipt.cause)
    evidence.looked_at(receipt.looked_at)
    for note in receipt.notes:
        evidence.note(note)
    evidence.compare(receipt.loaded.name, seen=receipt.said, wanted="restored to its end without an error")
    evidence.table("Receipt", receipt.rows())
    evidence.table("Errors", receipt.loaded.rows())
    evidence.figure("time", receipt.loaded.seconds, "s")
    evidence.figure("whole time", receipt.whole_seconds, "s")
    evidence.figure("unpacked", receipt.loaded.gzip.unpacked, "B")
    assert receipt.proven, evidence.message


@pytest.mark.slow
@expectation(
    "restore-matches",
    guide="Mid-month: restore to a test database and verify",
    severity="critical",
    remedy="Read which table, column or right is missing, and how the backup is made: an --exclude-table, a --no-owner "
    "or --no-privileges in it, or a role that may not read everything. Until it is mended, dump by hand.",
    limits=("restore_row_change", "restore_row_floor"),
)
def test_restored_database_is_the_live_one(
    restore_drill: Callable[[], Receipt], limits: LimitSet, evidence: Evidence
) -> None:
    """The restored database has the live one's schema and rights, its rows but for the day's, and whole indexes."""
    receipt, change, floor = restore_drill(), limits.restore_row_change, limits.restore_row_floor
    seen = receipt.comparison
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        receipt.loaded.name,
        seen=seen.said,
        wanted=f"the live schema and rights, and each table's rows within {change} or {floor} rows",
        limits=[change, floor],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Rows live and restored", seen.rows())
    evidence.excerpt("Differences", seen.differences, of=len(seen.differences) + seen.more)
    evidence.figure("differences", len(seen.differences) + seen.more, "1")
    assert not seen.differences, evidence.message
    seen.must_see()


@pytest.mark.slow
@expectation(
    "restore-recent",
    guide="Mid-month: restore to a test database and verify, and its data is of the day it was made",
    severity="critical",
    remedy="The dump isn't of the database that serves: see which host and database {make_backup} asks, "
    "and where what lies in {backups} was copied from.",
    limits=("restore_age",),
)
def test_restored_database_is_recent(
    restored_reach: Callable[[], Recent], limits: LimitSet, evidence: Evidence
) -> None:
    """The newest activity in the restored backup is at most a day older than the backup."""
    seen, age = restored_reach(), limits.restore_age
    evidence.looked_at(seen.looked_at)
    evidence.compare(seen.name, seen=seen.said, wanted=f"at most {age} before it", limits=[age])
    if seen.before is not None:
        evidence.figure("age", seen.seconds, "s", age)
    assert seen.within(age.value), evidence.message


@pytest.mark.slow
@expectation(
    "backup-proven-kept",
    guide="Mid-month: test backup restore, of a backup that is still there",
    severity="major",
    remedy="Copy the proven one out of {backups} before it is deleted, and keep it until another is proven; "
    "then mend what backup-restores says and have a drill: `pytest -m mid_month`.",
    limits=("drill_interval",),
)
def test_restorable_backup_is_kept(
    proven_backup: Callable[[], ProvenKept], target: Target, limits: LimitSet, evidence: Evidence
) -> None:
    """A backup that a restore drill has proven still stands, and will until the next drill."""
    seen, interval = proven_backup(), limits.drill_interval
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        seen.name,
        seen=seen.said,
        wanted=f"there and unchanged until the next drill, {interval} after the last "
        f"(backups.retention is {target.backups.retention})",
        limits=[interval],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Proven backups", seen.rows())
    evidence.figure("kept beyond the next drill", seen.left.total_seconds(), "s")
    assert seen.holds, evidence.message


@pytest.mark.slow
@expectation(
    "admin-passwords",
    guide="Mid-month: check password strength on admin accounts",
    severity="critical",
    remedy="Give whoever is named a new password: `python manage.py changepassword USER` in a {backend} container. "
    "It is stored anew by the first of PASSWORD_HASHERS, which must be a current one. "
    "An account that nobody needs is deactivated instead (is_active = false).",
    limits=("pbkdf2_iterations", "pbkdf2_sha1_iterations", "argon2_memory", "argon2_time", "bcrypt_cost", "scrypt_n"),
)
def test_admin_passwords_are_strong(passwords: Callable[[], Passwords], limits: LimitSet, evidence: Evidence) -> None:
    """Every active superuser's password is stored in a current way, and is none of the common ones."""
    seen = passwords()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        "the active superusers' passwords",
        seen=seen.said,
        wanted="a current algorithm with enough work, and none of the common passwords",
        limits=[getattr(limits, name) for name in seen.limits],
    )
    evidence.table("Active superusers", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("passwords to mend", len(seen.findings), "1")
    seen.must_see()
    assert not seen.findings, evidence.message


@expectation(
    "admin-rotation",
    guide="Mid-month: consider rotating admin password",
    severity="major",
    remedy="Give the administrators new passwords, or check that theirs are strong, and write it down: "
    '`python -m records attest admin-rotation --by NAME --note "what was done"`; commit the file.',
    limits=("attested_quarter",),
)
def test_admin_passwords_were_rotated(
    attested: Callable[[str, str, Limit[Span]], Due], limits: LimitSet, evidence: Evidence
) -> None:
    """Admin passwords were rotated, or their strength reviewed, within the last 92 days."""
    due = attested("admin-rotation", "rotation of admin passwords", limits.attested_quarter)
    assert due.holds, evidence.message


@expectation(
    "user-activity",
    guide="Mid-month: review user activity, `SELECT user_id, COUNT(*) FROM api_activity GROUP BY user_id`",
    severity="minor",
    remedy="Nobody: does the application still write its activity, and do users still come ({site})? "
    "One alone: see what they do, `SELECT action, count(*) FROM api_activity WHERE user_id = … GROUP BY action`; "
    "a script with a person's account gets one of its own.",
    limits=("user_share", "user_share_floor"),
)
def test_users_are_active(
    activity: Callable[[], Activity], target: Target, limits: LimitSet, evidence: Evidence
) -> None:
    """There was activity in the last 30 days, and no one user made more than half of it."""
    seen = activity()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"activity of {target.windows.activity}",
        seen=seen.said,
        wanted=f"some, and at most {limits.user_share} of it by one user",
        limits=[limits.user_share, limits.user_share_floor],
    )
    evidence.table("Who did most", seen.rows())
    for note in seen.notes:
        evidence.note(note)
    evidence.figure("rows", seen.total, "1")
    evidence.figure("largest share", seen.top_share, "share", limits.user_share)
    assert seen.total, evidence.message
    assert not seen.lopsided(limits.user_share.value, limits.user_share_floor.value), evidence.message
