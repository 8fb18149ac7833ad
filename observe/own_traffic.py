"""Which requests on the target were this suite's own.

The suite's requests carry a token that nobody can guess, and the history knows
the token of every run and when the run was on. A client that copies the user
agent without such a token, or at another time, is somebody else and counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from observe.log_format import Access

NAME = "synk-operations-checks"
"""What the suite calls itself on a target: in its user agent, and to the database."""
MARK = 12
"""So much of a run's token stands in the paths that it makes up, and in its name for the database."""
_MARK = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{MARK}}}(?![0-9a-f])")
_AGENT = re.compile(rf"{NAME}/\S+ \(run ([0-9a-f]{{32}})\)")


def user_agent(version: str, token: str) -> str:
    """The user agent of a run's requests, which :meth:`OwnTraffic.by_agent` knows again."""
    return f"{NAME}/{version} (run {token})"


class RunTime(Protocol):
    """A run of the suite, as the history remembers it."""

    def covers(self, at: datetime) -> bool:
        """Whether something that happened then can be this run's."""


@dataclass
class OwnTraffic:
    """Tells the suite's own requests from everybody else's.

    Attributes:
        runs: The runs that are remembered, by token.
        paths: The paths that each run asks for once. Needed where the log has
            no user agents: of such a path one request a run is ours.
        scanned: The paths that each run's scan asked for and was refused, by token.
    """

    runs: Mapping[str, RunTime]
    paths: frozenset[str]
    scanned: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _spent: set[tuple[str, str]] = field(default_factory=set)

    def in_message(self, message: str, at: datetime | None = None) -> bool:
        """Whether a message is about a path that a run of ours made up, or that its scan was refused.

        No one else knows a run's token. What a scanner makes up has none: then it counts that the run was on.

        Args:
            message: The message.
            at: When it was logged, None if that isn't known.
        """
        marks = _MARK.findall(message)
        if marks and any(token[:MARK] in marks for token in self.runs):
            return True
        if at is None or not self.scanned:
            return False
        # As Django writes it: "Not Found: /path".
        path = message.partition(": ")[2].strip()
        return any(
            path in paths and (run := self.runs.get(token)) is not None and run.covers(at)
            for token, paths in self.scanned.items()
        )

    def by_agent(self, access: Access) -> bool:
        """Whether a request of a log with user agents is ours."""
        match = _AGENT.fullmatch(access.agent)
        run = self.runs.get(match[1]) if match is not None else None
        return run is not None and run.covers(access.at)

    def by_path(self, access: Access) -> bool:
        """Whether a request of a log without user agents is ours."""
        path = access.target.partition("?")[0]
        for token, run in self.runs.items():
            if not run.covers(access.at):
                continue
            if token[:MARK] in access.target:
                return True
            if path in self.paths and (token, path) not in self._spent:
                self._spent.add((token, path))
                return True
        return False
