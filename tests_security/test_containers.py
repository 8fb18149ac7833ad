"""The quarter's security review. Containers and the ports that they publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.expectation import expectation

if TYPE_CHECKING:
    from collections.abc import Callable

    from observe.confinement import Confinement
    from observe.published import Published
    from report.evidence import Evidence
    from target.limits import LimitSet

pytestmark = [pytest.mark.quarterly, pytest.mark.security]


@expectation(
    "ports-private",
    guide="Quarterly security review 1: beside the security audit, the database and the cache are not for the public",
    severity="critical",
    remedy="In the Compose file write `127.0.0.1:5432:5432`, or take the port out: containers of one network need "
    "none. Then `docker compose up -d {database}`. A firewall such as ufw is no remedy: the engine's own rules come "
    "before it. An address in a network that you trust is a waiver's business.",
)
def test_database_and_cache_are_private(published: Callable[[], Published], evidence: Evidence) -> None:
    """No port of the database, of the cache or of a pooler can be reached from outside of the host."""
    seen = published()
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"ports of {', '.join(seen.services)}", seen=seen.said, wanted="published on loopback alone, or not at all"
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Published by what should be private", [one.row() for one in seen.bindings])
    evidence.table("Published by the others", [one.row() for one in seen.others])
    evidence.figure("open ports", len(seen.open), "1")
    assert not seen.open, evidence.message
    seen.must_be_told()


@expectation(
    "containers-confined",
    guide="Quarterly security review 1: beside the security audit, what the CIS Docker Benchmark asks of containers",
    severity="major",
    remedy="Take out of {item} in the Compose file what it needn't have (`privileged`, `cap_add`, `security_opt`, the "
    "engine's socket, `network_mode: host`, `pid: host`), give it `mem_limit` and a `user`, and build its image anew "
    "with `docker compose build --pull {item}`, or `docker compose pull {item}` where it comes from a registry; then "
    "`docker compose up -d {item}`. What is of no "
    "service goes with `docker compose up -d --remove-orphans`. What it must have is allowed under "
    "[containers] in the target, or by a waiver.",
    limits=("image_age",),
)
def test_containers_are_confined(
    confined: str,
    confinement: Callable[[str], Confinement],
    strangers: Callable[[str], None],
    limits: LimitSet,
    evidence: Evidence,
) -> None:
    """No container of the service can do more than the settings allow, and its image is not too old."""
    seen = confinement(confined)
    evidence.looked_at(seen.looked_at)
    evidence.compare(
        f"containers of {seen.name}",
        seen=seen.said,
        wanted=f"confined as [containers] says, of images at most {limits.image_age} old",
        limits=[limits.image_age],
    )
    for note in seen.notes:
        evidence.note(note)
    evidence.table("Containers", seen.rows())
    evidence.figure("troubles", len(seen.troubles), "1")
    assert not seen.troubles, evidence.message
    seen.must_be_told()
    strangers(confined)
