"""The quarter's security review. Whether what is kept lies encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.encryption import Encryption
    from records.attestations import Due
    from report.evidence import Evidence
    from target.kinds import Span
    from target.limits import Limit, LimitSet

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@expectation(
    "encryption-at-rest",
    guide="Quarterly security review 4: verify encryption at rest",
    severity="major",
    remedy="Look with `lsblk -f` on the host. Where the provider encrypts the disks, find out with which key, and "
    'record it: `python -m records attest encryption-at-rest --by YOU --note "…" --covers database=KEY backups=KEY`. '
    "Where nobody does, move the volume and {backups} to a disk with LUKS.",
    limits=("attested_year",),
)
def test_storage_is_encrypted(
    attested: Callable[[str, str, Limit[Span]], Due],
    encryption: Callable[[Due], Encryption],
    limits: LimitSet,
    evidence: Evidence,
) -> None:
    """The database and its backups lie on encrypted storage: it is seen, or somebody has named the provider's key."""
    due = attested("encryption-at-rest", "the database's volume and the backups", limits.attested_year)
    seen = encryption(due)
    evidence.looked_at(f"{seen.looked_at}; {due.looked_at}")
    evidence.compare(
        "the database's volume and the backups",
        seen=seen.said(due.words),
        wanted=f"each seen to be encrypted, or attested with its key within {limits.attested_year}",
        limits=[limits.attested_year],
    )
    evidence.table("Where they lie", seen.rows())
    assert not seen.open, evidence.message
    seen.must_be_told()
