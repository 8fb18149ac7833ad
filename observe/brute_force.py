"""Clients that tried many passwords within a short time, by the access log.

Serves the guide's quarterly "Check for brute force attempts". By hand that is `zgrep ' 401 '` and counting by eye.

A refused login is a request for one of the settings' login paths that was answered 401 or 403. What can't be told:

- An API that answers 400 for a wrong password says the same of any other bad request: that is not counted.
- 429 and 503 come from a limit, before any password was looked at: they are not counted either.
- Django's admin area shows its form again, with 200, when the password is wrong, and redirects when it is right. So a
  POST below site.admin_path, or in logs.admin, that is answered 200 is a refused login. Forms elsewhere that do so,
  too, can't be told from an API that answers 200 to the right password.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from observe.logins import refusals
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta, tzinfo

    from observe.logins import Refusals
    from observe.requests_seen import SeenFigures

_SHOWN = 20
_NAMED = 3


@dataclass(frozen=True)
class BruteForce:
    """The refused logins of a window.

    Attributes:
        clients: Each client's, the worst first: those over the limit that were let in, then by the most in a stretch.
        over: How many of them are over the limit.
        requests: All requests of those that are shown and told apart.
        span: The stretch of time in which refused logins count together.
        zone: The zone to show times in.
        looked_at: The denominator in words.
        notes: What the reader should know beside it.
    """

    clients: tuple[tuple[str, Refusals], ...]
    over: int
    requests: Mapping[str, int]
    span: timedelta
    zone: tzinfo
    looked_at: str
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """All refused logins."""
        return sum(one.total for _, one in self.clients)

    @property
    def most(self) -> int:
        """The most refused logins of one client in one stretch."""
        return max((one.most for _, one in self.clients), default=0)

    @property
    def said(self) -> str:
        """The worst clients in words."""
        if not self.over:
            return f"at most {self.most} of one client within {say_span(self.span)}"
        named = [self._say(client, one) for client, one in self.clients[: min(self.over, _NAMED)]]
        more = [f"{self.over - _NAMED:,} more clients"] if self.over > _NAMED else []
        return "; ".join([*named, *more])

    def wanted(self, most: object) -> str:
        """What is wanted in words."""
        return f"at most {most} of one client within {say_span(self.span)}"

    def _say(self, client: str, one: Refusals) -> str:
        said = f"{client} was refused {one.most:,} times within {say_span(self.span)} from {self._at(one.begin)} on"
        said += f", at {', '.join(one.paths)}" if one.paths else ""
        return said + (f", AND WAS LET IN at {self._at(one.let_in)}" if one.let_in is not None else "")

    def _at(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M:%S %z}"

    def rows(self) -> list[dict[str, str]]:
        """The worst of them for the report."""
        return [
            {
                "client": client,
                f"most in {say_span(self.span)}": f"{one.most:,}",
                "from": self._at(one.begin),
                "to": self._at(one.end),
                "refused in all": f"{one.total:,}",
                "of its requests": f"{self.requests[client]:,}" if client in self.requests else "not told apart",
                "login paths": ", ".join(one.paths),
                "let in afterwards": "no" if one.let_in is None else self._at(one.let_in),
            }
            for client, one in self.clients[:_SHOWN]
        ]


def brute_force(logs: Sequence[SeenFigures], most: int, span: timedelta, zone: tzinfo) -> BruteForce:
    """Look for clients with more refused logins than they may have in any stretch of time.

    Args:
        logs: The figures of the access log and of the admin area's, asked the same of logins: together they are one
            log, so that who tries here and there is seen.
        most: So many one client may have.
        span: In any stretch of so much time.
        zone: The zone to show times in.

    Raises:
        CannotTell: If nobody ever logged in or was refused, so that the login paths may be wrong; or if refused
            logins had to be left aside, and nobody is over the limit without those.
    """
    figures = [one.all for one in logs]
    paths = figures[0].questions.login_paths
    refused, accepted = _joined(f.counts.refused for f in figures), _joined(f.counts.accepted for f in figures)
    let_go = sum(f.counts.refused_others for f in figures)
    logins = sum(len(times) // 8 for kind in (refused, accepted) for times in kind.values())
    looked_at = f"{logins:,} logins, {sum(map(len, refused.values())) // 8:,} of them refused, in " + ", and ".join(
        one.looked_at for one in logs
    )
    if not logins and not let_go:
        raise CannotTell(
            f"nobody logged in or was refused at {', '.join(paths)}: {looked_at}",
            mend="Set site.login_paths to what the paths of a login begin with.",
        )
    found = refusals(refused, accepted, paths, int(span.total_seconds()))
    over = {client for client, one in found.items() if one.most > most}
    if let_go and not over:
        raise CannotTell(
            f"{let_go:,} refused logins came from too many clients, or were too many, to tell them apart; "
            f"of the others nobody has more than {most} within {say_span(span)}: {looked_at}",
            mend="So many clients are an attack by themselves: limit the rate of requests for the login paths.",
        )
    ordered = sorted(
        found.items(),
        key=lambda item: (item[0] not in over, item[0] not in over or item[1].let_in is None, -item[1].most, item[0]),
    )
    requests = {client: _requests(logs, client) for client, _ in ordered[:_SHOWN]}
    notes = [f"{let_go:,} refused logins could not be told apart by client and are left aside"] if let_go else []
    return BruteForce(
        clients=tuple(ordered),
        over=len(over),
        requests={client: number for client, number in requests.items() if number},
        span=span,
        zone=zone,
        looked_at=looked_at,
        notes=(*notes, *(note for one in logs for note in one.notes)),
    )


def _joined(several: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for one in several:
        for client, times in one.items():
            found[client] = found.get(client, b"") + times
    return found


def _requests(logs: Sequence[SeenFigures], client: str) -> int:
    counts = [one.all.clients.get(client) for one in logs]
    return sum(one.requests for one in counts if one is not None)
