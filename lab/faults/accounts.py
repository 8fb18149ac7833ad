"""Faults of the application's accounts: passwords that are guessed at once, and hashes that are out of date."""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, Took
from lab.history import password_hash
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

EXISTING = "signe"
# Far from the sequence's own numbers, which stay as they are.
NEW_ID = 990_001
FEW_ITERATIONS = 10_000


def admin_admin123(lab: Lab) -> Iterator[Took]:
    """Add a superuser with the password that set-up scripts give."""
    with _added(lab, "admin", password_hash("admin123")) as took:
        yield took


def test_account(lab: Lab) -> Iterator[Took]:
    """Leave a test account in, as an active superuser with the password that it was seeded with."""
    with _added(lab, "test", password_hash("test123")) as took:
        yield took


def md5_hash(lab: Lab) -> Iterator[Took]:
    """Store a superuser's password, which is a good one, as MD5."""
    salt = secrets.token_hex(8)
    digest = hashlib.md5((salt + secrets.token_urlsafe(24)).encode()).hexdigest()  # noqa: S324 - that is the fault
    with _stored(lab, f"md5${salt}${digest}") as took:
        yield took


def few_iterations(lab: Lab) -> Iterator[Took]:
    """Store a superuser's password, which is a good one, with ten thousand iterations."""
    salt, password = secrets.token_hex(11), secrets.token_urlsafe(24)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), FEW_ITERATIONS)
    with _stored(lab, f"pbkdf2_sha256${FEW_ITERATIONS}${salt}${base64.b64encode(digest).decode()}") as took:
        yield took


@contextmanager
def _added(lab: Lab, user: str, stored: str) -> Iterator[Took]:
    """Have one more superuser."""
    before = _superusers(lab)
    columns = "id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active, date_joined"
    values = f"{NEW_ID}, '{user}', '', '', '', '{stored}', true, true, true, now()"
    lab.psql(f"INSERT INTO auth_user ({columns}) VALUES ({values})")  # noqa: S608 - all of it is ours
    try:
        yield Took(before, _superusers(lab))
    finally:
        lab.psql(f"DELETE FROM auth_user WHERE id = {NEW_ID}")  # noqa: S608


@contextmanager
def _stored(lab: Lab, stored: str) -> Iterator[Took]:
    """Have another hash stored for a superuser that there is.

    Raises:
        LabError: there is no such user.
    """
    before = _superusers(lab)
    kept = lab.psql(f"SELECT password FROM auth_user WHERE username = '{EXISTING}'").strip()  # noqa: S608
    if not kept:
        raise LabError(f"the lab has no user {EXISTING}")
    _store(lab, stored)
    try:
        yield Took(before, _superusers(lab))
    finally:
        _store(lab, kept)


def _store(lab: Lab, stored: str) -> None:
    lab.psql(f"UPDATE auth_user SET password = '{stored}' WHERE username = '{EXISTING}'")  # noqa: S608


def _superusers(lab: Lab) -> str:
    """Who they are and how their passwords are stored; of the hash itself nothing."""
    return ", ".join(
        lab.psql(
            "SELECT username || ': ' || split_part(password, '$', 1) || CASE WHEN password LIKE 'pbkdf2%'"
            " THEN ' ' || split_part(password, '$', 2) ELSE '' END"
            " FROM auth_user WHERE is_superuser AND is_active ORDER BY username"
        ).split("\n")
    ).strip(", ")


PASSWORDS = "admin-passwords"

FAULTS = (
    Fault("admin-password-seeded", (PASSWORDS,), "A superuser admin has the password admin123.", admin_admin123),
    Fault("test-account-left-in", (PASSWORDS,), "A test account is a superuser with a seeded password.", test_account),
    Fault("admin-hash-md5", (PASSWORDS,), "A superuser's password is stored as MD5.", md5_hash),
    Fault("admin-hash-few-iterations", (PASSWORDS,), "A superuser's hash has 10,000 iterations.", few_iterations),
)
