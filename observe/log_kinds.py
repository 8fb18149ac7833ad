r"""Kinds of errors and warnings in the application's log: what differs only in what varies is one kind.

Serves the guide's Monday line `docker-compose logs backend | grep -i "error\|warning" | tail -20`, which shows
twenty lines and leaves it to the reader to know which of them are new.

A kind is level, logger, masked message and the class of the exception below it. It is compared with kinds of
earlier weeks, so it has to come out the same for the same message whatever came before it. That is why messages are
masked and not mined for templates: a miner's template changes with the lines that it has seen, and what was one kind
last week is two, or another, this week (bench/README.md has what both cost and find).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from observe.errors import CannotTell
from observe.masking import WIDTH, masked
from target.kinds import say_span

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from observe.application_log import Record

MOST_KINDS = 2000
"""Kinds that are held; whoever makes up messages can't make this grow without bound."""
LOOKED_BACK = 4
"""Earlier windows of which the usual count is the median."""
_LEVELS = frozenset({"WARNING", "ERROR", "CRITICAL"})
_TRACEBACK = "TRACEBACK"


class Kind(NamedTuple):
    """What like messages have in common.

    Attributes:
        level: `WARNING`, `ERROR` or `CRITICAL`; `TRACEBACK` for one that no message announced.
        text: Logger, masked message and, in brackets, the class of the exception.
    """

    level: str
    text: str


OTHERS = Kind("", "(other kinds)")
"""Stands for all kinds beyond :data:`MOST_KINDS`."""


def kind_of(record: Record, varying: Sequence[re.Pattern[str]] = ()) -> Kind | None:
    r"""The kind of a record; ``None`` if it is no error or warning.

    Args:
        record: A record of the application's log.
        varying: What else varies in this application's messages, such as `user \w+`; named `<varying>`.
    """
    if record.level not in _LEVELS and record.kind != "traceback":
        return None
    message = record.message[:WIDTH]
    for pattern in varying:
        message = pattern.sub("<varying>", message)
    text = masked(f"{record.logger}: {message}" if record.logger else message)
    raised = record.exception.partition(":")[0][:80].strip()
    if raised and record.kind != "traceback":
        text = f"{text} [{raised}]"
    return Kind(record.level or _TRACEBACK, text)


@dataclass(frozen=True)
class KindWindow:
    """The kinds of a window of time.

    Attributes:
        since: Beginning of the window, aware.
        until: End of the window, aware.
        covered: How much of it was in the log, on the average of the containers.
        counts: How often each kind came.
        first_at: When each of them came first, aware.
    """

    since: datetime
    until: datetime
    covered: timedelta
    counts: Mapping[Kind, int]
    first_at: Mapping[Kind, datetime]

    def scaled(self, kind: Kind, covered: timedelta) -> float:
        """How often a kind would have come in a log that covers that much."""
        return self.counts.get(kind, 0) * (covered / self.covered)


@dataclass
class KindCounter:
    """Counts kinds, record by record, in bounded memory.

    Attributes:
        since: Records with an earlier time stamp are left out.
        varying: As for :func:`kind_of`.
        own: Whether a message that was logged then is about a request of this suite's own, which is left out.
    """

    since: datetime
    varying: Sequence[re.Pattern[str]] = ()
    own: Callable[[str, datetime | None], bool] = field(default=lambda _message, _at: False)
    counts: Counter[Kind] = field(default_factory=Counter)
    first_at: dict[Kind, datetime] = field(default_factory=dict)
    examples: dict[Kind, tuple[str, ...]] = field(default_factory=dict)
    levels: int = 0

    needs_requests = False

    def take(self, record: Record) -> None:
        """Count a record if it is an error or a warning of the window."""
        if record.at is not None and record.at < self.since:
            return
        self.levels += record.level is not None or record.kind == "request"
        kind = kind_of(record, self.varying)
        if kind is None or self.own(record.message, record.at):
            return
        if kind not in self.counts and len(self.counts) >= MOST_KINDS:
            kind = OTHERS
        self.counts[kind] += 1
        if kind not in self.examples:
            self.examples[kind] = record.excerpt
        at = record.at or self.since
        self.first_at[kind] = min(at, self.first_at.get(kind, at))

    def result(self) -> KindCounter:
        """The counter itself."""
        return self


@dataclass(frozen=True)
class Baseline:
    """What is known of the kinds from earlier looks.

    Attributes:
        made: When it was made: the end of the first window that was looked at.
        adopted: The kinds of that window, which are all taken for known.
        first_seen: When each kind was first seen, in whichever window.
        past: Earlier windows to count by, the latest first; at least one.
    """

    made: datetime
    adopted: frozenset[Kind]
    first_seen: Mapping[Kind, datetime]
    past: Sequence[KindWindow]


def comparable(windows: Sequence[tuple[int, datetime]], now: datetime, span: timedelta) -> list[int]:
    """Which of the earlier windows to count by.

    Those that ended a whole number of spans ago, give or take half a one, so that neighbours hardly overlap however
    often somebody looks; where there is none yet, the first that was ever looked at.

    Args:
        windows: Number and end of each, in any order.
        now: The end of the window at hand.
        span: Its length.

    Returns:
        Their numbers, the latest first, at most :data:`LOOKED_BACK`; empty only if there are none.
    """
    found: list[int] = []
    for back in range(1, LOOKED_BACK + 1):
        wanted = now - back * span
        near = [(abs(end - wanted), number) for number, end in windows if abs(end - wanted) <= span / 2]
        if near and min(near)[1] not in found:
            found.append(min(near)[1])
    return found or [number for number, _ in sorted(windows, key=lambda one: one[1])[:1]]


@dataclass(frozen=True)
class SeenKind:
    """A kind as it is now, held against what is usual.

    Attributes:
        kind: The kind.
        count: How often it came in this window.
        before: How often it came in the window before.
        usual: How often it usually comes in a log that covers as much as this one.
        new: Whether it was never seen before this window.
        too_often: Whether it came more often than usual, by more than the limits allow.
        example: The first lines of the first of them.
    """

    kind: Kind
    count: int
    before: int
    usual: float
    new: bool
    too_often: bool
    example: tuple[str, ...]

    @property
    def said(self) -> str:
        """What is remarkable about it, in words; empty when nothing is."""
        if self.new:
            return "new"
        return f"{self.count} times, usually {self.usual:.3g}" if self.too_often else ""


def held_against(
    now: KindWindow,
    examples: Mapping[Kind, tuple[str, ...]],
    baseline: Baseline | None,
    *,
    factor: float,
    floor: int,
) -> tuple[SeenKind, ...]:
    """Each kind of this window and of the one before, held against the baseline; what is remarkable comes first.

    Args:
        now: The window at hand.
        examples: The first lines of each of its kinds.
        baseline: What is known from earlier looks; None if nobody has looked before, when nothing is remarkable.
        factor: More than so many times the usual count is too often.
        floor: Fewer than this are never too often.
    """
    if baseline is None:
        # As if this were the first look and the second.
        baseline = Baseline(now.until, frozenset(now.counts), now.first_at, [now])
    seen: list[SeenKind] = []
    for kind in {*now.counts, *baseline.past[0].counts}:
        count = now.counts.get(kind, 0)
        usual = median(one.scaled(kind, now.covered) for one in baseline.past)
        first = min(baseline.first_seen.get(kind, now.until), now.first_at.get(kind, now.until))
        new = bool(count) and kind not in baseline.adopted and first >= now.since
        seen.append(
            SeenKind(
                kind=kind,
                count=count,
                before=baseline.past[0].counts.get(kind, 0),
                usual=usual,
                new=new,
                too_often=not new and count >= floor and count > factor * usual,
                example=examples.get(kind, ()),
            )
        )
    return tuple(sorted(seen, key=lambda one: (not one.new, not one.too_often, -one.count, one.kind)))


def window_of(counters: Iterable[KindCounter], since: datetime, until: datetime, covered: timedelta) -> KindWindow:
    """The kinds of several containers as one window's."""
    counts: Counter[Kind] = Counter()
    first_at: dict[Kind, datetime] = {}
    for one in counters:
        counts.update(one.counts)
        for kind, at in one.first_at.items():
            first_at[kind] = min(at, first_at.get(kind, at))
    return KindWindow(since, until, covered, counts, first_at)


@dataclass(frozen=True)
class Anomalies:
    """The kinds of a week, held against what is usual.

    Attributes:
        kinds: All kinds of this week and the week before, what is remarkable first.
        looked_at: The denominator in words.
        baseline: What it was held against, in words; empty at the first look, which makes the baseline.
        notes: What was not as it should be in the log, in words.
    """

    kinds: tuple[SeenKind, ...]
    looked_at: str
    baseline: str
    notes: tuple[str, ...] = ()

    @property
    def remarkable(self) -> tuple[SeenKind, ...]:
        """The kinds that are new or come too often."""
        return tuple(one for one in self.kinds if one.said)

    @property
    def said(self) -> str:
        """The verdict in words, naming the first three."""
        new, often = sum(one.new for one in self.kinds), sum(one.too_often for one in self.kinds)
        parts = [
            *([f"{new} new {'kind' if new == 1 else 'kinds'}"] if new else []),
            *([f"{often} far more often than usual"] if often else []),
        ]
        if not self.baseline:
            return f"{self._here}, and nothing yet to hold them against"
        if not parts:
            return f"{self._here}, all known, none far more often than usual"
        named = "; ".join(f"{one.kind.level} {one.kind.text} ({one.said})" for one in self.remarkable[:3])
        return f"{' and '.join(parts)}: {named}"

    @property
    def _here(self) -> str:
        number = sum(one.count > 0 for one in self.kinds)
        return "1 kind" if number == 1 else f"{number} kinds"

    def must_compare(self) -> None:
        """Insist that there was something to hold this week against.

        Raises:
            CannotTell: If nobody has looked before: this look has made the baseline.
        """
        if not self.baseline:
            raise CannotTell(
                f"this first look has made the baseline, of {self._here}: what is new can be told from the next one on",
                mend="Read the kinds in the report: they are taken for known from now on. Then run this again, "
                "next Monday or at any time.",
            )

    def rows(self) -> list[dict[str, str]]:
        """The kinds with their counts for the report, this week and the one before."""
        return [
            {
                "what": one.said or ("known" if self.baseline else "-"),
                "level": one.kind.level.lower(),
                "this week": f"{one.count:,}",
                "last week": f"{one.before:,}" if self.baseline else "-",
                "usual": f"{one.usual:,.3g}" if self.baseline else "-",
                "kind": one.kind.text,
            }
            for one in self.kinds
        ]


def described(baseline: Baseline, now: KindWindow) -> str:
    """What this window was held against, in words."""
    number, last = len(baseline.past), baseline.past[0]
    weeks = "1 earlier week" if number == 1 else f"{number} earlier weeks"
    windows = "the first look" if last.until == baseline.made else weeks
    scale = (
        ""
        if abs(last.covered / now.covered - 1) < 0.05
        else (
            f"; the log covers {say_span(now.covered)} now and {say_span(last.covered)} then, "
            "so counts are held against each other per time"
        )
    )
    return f"{len(baseline.first_seen)} kinds known since {baseline.made:%Y-%m-%d %H:%M}, counts of {windows}{scale}"
