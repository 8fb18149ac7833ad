"""From where the admin area was asked for, and how that was answered.

Serves the guide's quarterly "Verify admin access patterns".

A request from elsewhere is an answer too many if it was answered below 400. 301 and 308 are left aside: they serve
nothing, and are what a proxy answers to everybody who comes over plain HTTP. A redirect of Django's to its login form
(302) is none of those: whoever gets it has reached the admin area. 304 says that somebody has it already.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from observe.access_counts import OTHERS
from observe.clients import Networks
from observe.errors import CannotTell
from observe.logins import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from observe.access_counts import Visits
    from observe.requests_seen import SeenFigures

MOVED = frozenset({301, 308})
"""What serves nothing, and is answered before anybody knows what was asked for."""

_SHOWN = 20
_NAMED = 3


@dataclass(frozen=True)
class Stranger:
    """Requests for the admin area from one address elsewhere, answered alike.

    Attributes:
        client: The address.
        status: As answered.
        visits: The requests.
    """

    client: str
    status: int
    visits: Visits


@dataclass(frozen=True)
class AdminAccess:
    """The requests for the admin area in a window.

    Attributes:
        inside: How many came from the settings' networks.
        served: Those from elsewhere that were answered below 400, the last first.
        refused: How many from elsewhere were answered otherwise, per status.
        clients: From how many addresses those came.
        zone: The zone to show times in.
        looked_at: The denominator in words.
        notes: What the reader should know beside it.
    """

    inside: int
    served: tuple[Stranger, ...]
    refused: Counter[int]
    clients: int
    zone: tzinfo
    looked_at: str
    notes: tuple[str, ...]

    @property
    def count(self) -> int:
        """Requests from elsewhere that were answered below 400."""
        return sum(one.visits.number for one in self.served)

    @property
    def said(self) -> str:
        """What came from elsewhere, in words."""
        if not self.served:
            said = f"{self.inside:,} from the settings' networks"
            return f"{said}, {self.refused.total():,} from elsewhere, none answered below 400"
        named = [self._say(one) for one in self.served[:_NAMED]]
        rest = len(self.served) - _NAMED
        return f"{self.count:,} from elsewhere: " + "; ".join([*named, *([f"{rest:,} more"] if rest > 0 else [])])

    def _say(self, one: Stranger) -> str:
        times = "" if one.visits.number == 1 else f", {one.visits.number:,} times, the last"
        return f"{one.client} was answered {one.status}{times} at {self._at(one.visits.last)} ({one.visits.request})"

    def _at(self, seconds: int) -> str:
        return f"{moment(seconds).astimezone(self.zone):%Y-%m-%d %H:%M:%S %z}"

    def rows(self) -> list[dict[str, str]]:
        """What was served elsewhere, for the report."""
        return [
            {
                "client": one.client,
                "answered": str(one.status),
                "requests": f"{one.visits.number:,}",
                "first": self._at(one.visits.first),
                "last": self._at(one.visits.last),
                "the last one": one.visits.request,
            }
            for one in self.served[:_SHOWN]
        ]

    def refused_rows(self) -> list[dict[str, str]]:
        """How the others from elsewhere were answered."""
        return [{"answered": str(status), "requests": f"{number:,}"} for status, number in sorted(self.refused.items())]


def admin_access(logs: Sequence[SeenFigures], networks: Sequence[str], path: str, zone: tzinfo) -> AdminAccess:
    """Look from where the admin area was asked for.

    Args:
        logs: The figures of the logs in which such requests may stand.
        networks: From where the admin area is used, as `192.0.2.0/24`.
        path: What its paths begin with.
        zone: The zone to show times in.

    Raises:
        CannotTell: If the networks aren't known, or no such request stands in any log, so that it isn't known whether
            any would; or if there were too many visitors to tell them apart, and nobody else is at fault.
    """
    if not networks:
        raise CannotTell(
            "it isn't known from where the admin area may be used",
            mend='Set site.admin_networks, as ["192.0.2.0/24"].',
        )
    kinds = _Kinds.of(logs, Networks(networks))
    looked_at = f"{kinds.total:,} requests for the admin area in " + ", and ".join(one.looked_at for one in logs)
    if not kinds.total:
        raise CannotTell(
            f"nobody asked for {path}: {looked_at}",
            mend="Set logs.admin to the log of the admin area, or site.admin_path to where it is.",
        )
    if kinds.unknown and not kinds.strangers:
        raise CannotTell(
            f"{kinds.unknown:,} of them came from too many addresses to tell them apart: {looked_at}",
            mend="Look who they are: the admin area should be used from a few addresses.",
        )
    return AdminAccess(
        inside=kinds.inside,
        served=tuple(sorted(kinds.strangers.values(), key=lambda one: (-one.visits.last, one.client, one.status))),
        refused=kinds.refused,
        clients=len(kinds.clients),
        zone=zone,
        looked_at=looked_at,
        notes=tuple(note for one in logs for note in one.notes),
    )


@dataclass
class _Kinds:
    """The requests for the admin area, sorted by who asked and how it was answered."""

    inside: int = 0
    unknown: int = 0
    strangers: dict[tuple[str, int], Stranger] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)
    clients: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, logs: Sequence[SeenFigures], networks: Networks) -> _Kinds:
        """Sort the visits of all logs."""
        found = cls()
        for one in logs:
            for (client, status, _), visits in one.all.counts.visits.items():
                found._add(client, status, visits, inside=client in networks)
        return found

    def _add(self, client: str, status: int, visits: Visits, *, inside: bool) -> None:
        if inside:
            self.inside += visits.number
        elif not 100 < status < 400 or status in MOVED:
            self.refused[status] += visits.number
            self.clients.add(client)
        elif client == OTHERS:
            self.unknown += visits.number
        else:
            known = self.strangers.get((client, status))
            self.strangers[client, status] = Stranger(client, status, known.visits.plus(visits) if known else visits)

    @property
    def total(self) -> int:
        """All of them."""
        return self.inside + self.unknown + self.refused.total() + sum(s.visits.number for s in self.strangers.values())
