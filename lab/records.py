"""What the lab says of itself: a healthy lab has just been attested."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from lab.progress import LabError
from lab.stack import CHECKOUT
from records.attestations import Attestation, add, read
from records.slugs import read_slugs
from records.tables import Day, RecordError, Said
from target.load import TargetError, load

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from lab.stack import Lab

BY = Said("the lab")
NOTE = Said("the lab wrote this itself when it was brought up, so that it is healthy")
REFRESHED = timedelta(days=7)
KEY = Said("the lab's own: thrown away with it")
COVERS = {"encryption-at-rest": {Said("database"): KEY, Said("backups"): KEY}}
"""What an attestation must name besides."""


def write(lab: Lab, today: date, root: Path = CHECKOUT) -> int:
    """Attest all that is attested, dated yesterday: in no zone is that the future.

    What was attested within a week is left alone.

    Args:
        lab: Whose attestations; its target file stands already.
        today: The day in the host's zone.
        root: Where the tests are that ask for attestations.

    Returns:
        How many were written.

    Raises:
        LabError: They can't be read or written.
    """
    yesterday = Day.parse(today - timedelta(days=1))
    written = 0
    try:
        file, slugs = load(lab.target_file, {}).attestations, read_slugs(root)
        known = read(file, slugs, today)
        for slug in slugs.attested:
            last = known.latest(slug)
            if last is None or today - last.date > REFRESHED:
                attestation = Attestation(Said(slug), yesterday, BY, NOTE, covers=COVERS.get(slug, {}))
                add(file, attestation, slugs, today)
                written += 1
    except (RecordError, TargetError) as error:
        raise LabError(f"the attestations of lab {lab.name}: {error}") from None
    return written
