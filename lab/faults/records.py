"""Faults of what people have said: never attested, or too long ago."""

from __future__ import annotations

import functools
import os
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.records import BY
from lab.stack import CHECKOUT
from observe.clock import local_zone
from records.attestations import Attestation, add, read
from records.slugs import read_slugs
from records.tables import Day, Said
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from lab.stack import Lab
    from records.slugs import Slugs
    from target.load import Loaded

ATTESTED = (
    "admin-rotation",
    "costs-reviewed",
    "security-policy-updated",
    "next-month-planned",
    "security-policy-reviewed",
    "incident-plan-reviewed",
    "team-trained",
    "performance-reviewed",
    "annual-assessment",
    "penetration-test",
    "annual-policy-review",
    "annual-training",
)


def attested_none(slug: str, root: Path, lab: Lab) -> Iterator[Took]:
    """Take out every attestation of one expectation."""
    loaded, slugs, today = load(lab.target_file, {}), read_slugs(root), _today(lab)
    before = _words(loaded, slugs, slug, today)
    with _without(loaded, slugs, slug, today):
        yield Took(before, _words(loaded, slugs, slug, today))


def attested_overdue(slug: str, root: Path, lab: Lab) -> Iterator[Took]:
    """Have one expectation attested a day too long ago."""
    loaded, slugs, today = load(lab.target_file, {}), read_slugs(root), _today(lab)
    before = _words(loaded, slugs, slug, today)
    with _without(loaded, slugs, slug, today):
        day = Day.parse(today - _period(loaded, slugs, slug) - timedelta(days=1))
        add(loaded.attestations, Attestation(Said(slug), day, BY, Said("too long ago")), slugs, today)
        yield Took(before, _words(loaded, slugs, slug, today))


@contextmanager
def _without(loaded: Loaded, slugs: Slugs, slug: str, today: date) -> Iterator[None]:
    """The attestations without those of one expectation; afterwards the file is as it was, byte for byte.

    Raises:
        FaultDidNotTake: there is no file.
    """
    file = loaded.attestations
    if not file.exists():
        raise FaultDidNotTake(f"there is no {file}")
    content, stat = file.read_bytes(), file.stat()
    others = [one for one in read(file, slugs, today).all if one.slug != slug]
    try:
        file.write_text("\n".join(line for one in others for line in (*one.lines(), "")), encoding="utf-8")
        yield
    finally:
        file.write_bytes(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _period(loaded: Loaded, slugs: Slugs, slug: str) -> timedelta:
    return timedelta(days=getattr(loaded.limits, slugs.attested[slug]).value.days)


def _words(loaded: Loaded, slugs: Slugs, slug: str, today: date) -> str:
    found = read(loaded.attestations, slugs, today)
    return f"{slug}: {found.due(slug, _period(loaded, slugs, slug), today).words}"


def _today(lab: Lab) -> date:
    zone = load(lab.target_file, {}).target.host.zone
    return datetime.now(local_zone(zone)).date()


def faults(slugs: tuple[str, ...] = ATTESTED, root: Path = CHECKOUT) -> tuple[Fault, ...]:
    """Two faults for each attested expectation: never, and too long ago.

    Args:
        slugs: The expectations.
        root: Where their tests are.
    """
    ways = (
        ("none", "was never attested", attested_none),
        ("overdue", "was attested too long ago", attested_overdue),
    )
    return tuple(
        Fault(f"attested-{way}-{slug}", (slug,), f"{slug} {words}.", functools.partial(inject, slug, root))
        for slug in slugs
        for way, words, inject in ways
    )


FAULTS = faults()
