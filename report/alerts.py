"""What is to be told after a run, to whom, and what is known of it afterwards; nothing here sends or reads anything.

One thing is told once for each cause: an alert has the cause's name for its key where there is one, and otherwise the
result's, so that it stays the same one when another result of the same cause is looked at first. What each address
has accepted is remembered for itself: an address that couldn't be reached is told by the next run.

An alert ends with what a run has seen: what holds has mended; what is set aside, or is no longer there, ends with those
words. What can't be told, or only waits for something else, has not mended, and what a run didn't look at stays as it
is. Something that comes and goes is told each time that it changes, and that it has been here before: whoever waits
before telling that something is over leaves a pager open for what holds.
"""

from __future__ import annotations

import copy
import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from report.lines import OUTCOMES, SEVERITIES, identity, lines
from report.text import for_chat

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from report.lines import Line, Result, Run, Severity

Kind = Literal["new", "worse", "still", "mended", "set aside", "gone", "missed"]
States = dict[str, dict[str, Any]]
"""What is known of each alert, by its key: plain JSON, made and read by this module alone."""

EVERYBODY = "*"
"""Stands for the addresses that couldn't even be read."""
_QUIET_RUNS = 7
"""For how many runs it is remembered that something was here before, where nothing is told again after some runs."""
_OPENS: tuple[Kind, ...] = ("new", "worse", "still")
_WORDS = {"broken": "BROKEN", "cannot tell": "CAN'T TELL"}
_ENDS = {"mended": "MENDED", "set aside": "SET ASIDE", "gone": "GONE"}
_LONG, _SHORT = 600, 300
"""Characters of a line, and of a part of one."""


class Telling(NamedTuple):
    """One message to one address.

    Attributes:
        key: The alert's.
        address: Whom it is for, by the short name of the address.
        kind: What has changed: it is `new`, it is `worse` than was told, it is `still` so; it has `mended`, is
            `set aside`, is `gone`; or all of it was `missed`, since nothing of it could be told while it was so.
        dedup: The name by which services that keep alerts know it: the same for the same thing on the same target.
        severity: How bad it is.
        outcome: What it is, or was: broken, or it can't be told.
        slug: The expectation's, or the first of those that wait.
        title: The title, one plain line.
        lines: The text below it, plain lines, what matters most first.
    """

    key: str
    address: str
    kind: Kind
    dedup: str
    severity: Severity
    outcome: str
    slug: str
    title: str
    lines: tuple[str, ...]

    @property
    def opens(self) -> bool:
        """Whether somebody is needed, and not only told that it is over."""
        return self.kind in _OPENS


class Known(NamedTuple):
    """Which expectations there are, as far as this run knows.

    Attributes:
        items: Slug and item of all that a run like this one could have looked at; none where that isn't known.
        slugs: The slugs of the whole suite; None where that isn't known.
    """

    items: Collection[tuple[str, str]] = ()
    slugs: Collection[str] | None = None

    def lacks(self, name: str) -> bool:
        """Whether there is no longer an expectation of that identity."""
        slug, _, item = name.partition("[")
        if self.slugs is not None and slug not in self.slugs:
            return True
        items = {one for other, one in self.items if other == slug}
        return bool(items) and item[:-1] not in items


def look(
    states: Mapping[str, Any],
    results: Sequence[Result],
    run: Run,
    known: Known,
    since: Callable[[Result], datetime | None] = lambda _: None,
) -> States:
    """What is known of the alerts after a run has looked.

    Args:
        states: What was known before.
        results: All results of the run, as they are shown.
        run: What is true of all of them.
        known: Which expectations there are.
        since: Since when a result is what it is, by all runs that looked; None where that isn't known. Asked of what
            is new alone.
    """
    after: States = copy.deepcopy(dict(states))
    found = {_key(line): line for line in lines(results)}
    seen = {identity(result): result for result in results}
    for key, line in found.items():
        before = after.get(key)
        after[key] = _open(before, line, run)
        if not (before and before["open"]):
            # It may have been so before, in runs that told nobody.
            after[key]["since"] = _when(run, since(line.head))
        else:
            _keep_what_is_wider(before, after[key], seen, known)
    for key, state in after.items():
        if key in found:
            continue
        if not state["open"]:
            state["quiet"] += 1
        elif (end := _end(state, seen, known)) is not None:
            how, why = end
            state |= {"open": False, "quiet": 0, "end": {"how": how, "why": why, "at": _when(run)}}
    return after


def _key(line: Line) -> str:
    cause = line.head["cause"]
    return f"cause:{cause}" if cause else identity(line.head)


def _open(state: dict[str, Any] | None, line: Line, run: Run) -> dict[str, Any]:
    """The state of what is broken or can't be told in this run."""
    told = state["told"] if state else {}
    for one in told.values():
        one["runs"] += 1
    again = state is not None and state["open"]
    return {
        "open": True,
        "since": state["since"] if state and again else _when(run),
        "times": (state["times"] if state else 0) + (not again),
        "members": [identity(result) for result in (line.head, *line.folded)],
        "head": _head(line, run),
        "told": told,
        "owed": state["owed"] if state else [],
        "quiet": 0,
        "end": None,
    }


def _keep_what_is_wider(before: Mapping[str, Any], now: dict[str, Any], seen: Collection[str], known: Known) -> None:
    """Keep those who waited before; and what was said of them, where this run has looked at a part of them only."""
    # Who waited once is still one whose holding says that there is nothing to wait for any longer.
    waited = [name for name in before["members"] if not known.lacks(name)]
    now["members"] = list(dict.fromkeys([*now["members"], *waited]))
    head = now["head"]
    if any(name not in seen for name in waited) and _worst(before["head"], head) == _worst(None, before["head"]):
        now["head"] = {**before["head"], "at": head["at"], "run": head["run"]}


def _head(line: Line, run: Run) -> dict[str, Any]:
    """What a message says of it: all of it, since it may have to be sent by another run."""
    head = line.head
    limits = "; ".join(f"{one['name']} = {one['value']}, {one['origin']}" for one in head["limits"])
    long = {"message": head["message"], "remedy": head["remedy"], "cause_text": head["cause_text"]}
    short = {name: head[name] for name in ("title", "seen", "expected", "section", "guide", "looked_at", "cause")}
    return {
        "name": for_chat(identity(head), 80),
        "slug": head["slug"],
        "severity": line.severity,
        "outcome": head["outcome"],
        "waiting": for_chat(line.waiting, _LONG),
        "more": len(line.folded),
        "limits": for_chat(limits, _SHORT),
        **{name: for_chat(text, _LONG) for name, text in long.items()},
        **{name: for_chat(text, _SHORT) for name, text in short.items()},
        "at": _when(run),
        "run": f"{run['token'][:8]} ({run['cadence']})",
    }


def _end(state: Mapping[str, Any], seen: Mapping[str, Result], known: Known) -> tuple[Kind, str] | None:
    """How an alert that this run has no line for has ended, and why; None where it hasn't, or nobody has looked."""
    there = [name for name in state["members"] if not known.lacks(name)]
    if not there:
        return "gone", ""
    looked = [seen[name] for name in there if name in seen]
    outcomes = {result["outcome"] for result in looked}
    if "holds" in outcomes:
        return "mended", ""
    # Who waited for something and is broken now without it has got an answer from it.
    alone = any(result["outcome"] == "broken" and not result["cause"] for result in looked)
    if state["head"]["cause"] and alone and "cannot tell" not in outcomes:
        return "mended", ""
    if outcomes == {"set aside"} and len(looked) == len(there):
        return "set aside", for_chat(looked[0]["reason"], _SHORT)
    return None


def plan(
    states: Mapping[str, Any], addresses: Sequence[str], target: str, *, severity: Severity, again_after: int
) -> list[Telling]:
    """What is to be told now, the worst first and what is over last.

    Args:
        states: What is known of the alerts, this run included.
        addresses: The short names of those who are to be told.
        target: The target's name.
        severity: The least severity that anybody is told of.
        again_after: After how many runs what is still so is told again; 0 for never.
    """
    found = []
    for key, state in states.items():
        for address in addresses:
            kind = _kind(state, address, SEVERITIES.index(severity), again_after)
            if kind is not None:
                found.append(_telling(key, state, address, kind, target))
    return sorted(found, key=lambda one: (not one.opens, SEVERITIES.index(one.severity), OUTCOMES.index(one.outcome)))


def _kind(state: Mapping[str, Any], address: str, least: int, again_after: int) -> Kind | None:
    told = state["told"].get(address)
    owed = bool({address, EVERYBODY} & set(state["owed"]))
    if not state["open"]:
        how: Kind = state["end"]["how"]
        return how if told is not None else "missed" if owed else None
    loud = SEVERITIES.index(state["head"]["severity"]) <= least
    if told is None:
        return "new" if loud or owed else None
    if not loud:
        return None
    if _worst(told, state["head"]) != (told["outcome"], told["severity"]):
        return "worse"
    return "still" if again_after and told["runs"] >= again_after else None


def _worst(told: Mapping[str, Any] | None, head: Mapping[str, Any]) -> tuple[str, str]:
    """The worse of what was told and what is, in outcome and in severity."""
    both = [head] if told is None else [told, head]
    return (
        min((one["outcome"] for one in both), key=OUTCOMES.index),
        min((one["severity"] for one in both), key=SEVERITIES.index),
    )


def accepted(state: dict[str, Any], telling: Telling) -> None:
    """Note that an address has taken a message."""
    if telling.opens:
        outcome, severity = _worst(state["told"].get(telling.address), state["head"])
        state["told"][telling.address] = {"outcome": outcome, "severity": severity, "runs": 0}
    else:
        state["told"].pop(telling.address, None)
    state["owed"] = [one for one in state["owed"] if one != telling.address]


def refused(state: dict[str, Any], telling: Telling) -> None:
    """Note that an address has not taken a message: it is told by the next run, even if it is over by then."""
    if telling.kind == "new" and telling.address not in state["owed"]:
        state["owed"].append(telling.address)


def nobody_reached(states: States, severity: Severity) -> None:
    """Note that not even the addresses could be read: whoever they are, they are to be told of what is new."""
    for state in states.values():
        loud = SEVERITIES.index(state["head"]["severity"]) <= SEVERITIES.index(severity)
        if state["open"] and loud and not state["told"] and EVERYBODY not in state["owed"]:
            state["owed"].append(EVERYBODY)


def addressed(states: States, addresses: Sequence[str]) -> None:
    """Note who the addresses are: what is due to everybody is due to each, and nothing to those that are no more."""
    for state in states.values():
        owed = addresses if EVERYBODY in state["owed"] else state["owed"]
        state["owed"] = [one for one in owed if one in addresses]
        state["told"] = {one: told for one, told in state["told"].items() if one in addresses}


def to_remember(before: Iterable[str], states: States, again_after: int) -> dict[str, dict[str, Any] | None]:
    """What is to be written down; None for what can be forgotten, since it is over, told, and has held for long."""
    kept: dict[str, dict[str, Any] | None] = dict.fromkeys(before)
    for key, state in states.items():
        over = not (state["open"] or state["told"] or state["owed"])
        if not (over and state["quiet"] >= (again_after or _QUIET_RUNS)):
            kept[key] = state
    return kept


# What a message says.


def _telling(key: str, state: Mapping[str, Any], address: str, kind: Kind, target: str) -> Telling:
    head = state["head"]
    return Telling(
        key=key,
        address=address,
        kind=kind,
        dedup=_dedup(key, target),
        severity=head["severity"],
        outcome=head["outcome"],
        slug=head["slug"],
        title=_title(state, kind, target),
        lines=tuple(line for line in _lines(state, kind, target) if line),
    )


def _dedup(key: str, target: str) -> str:
    """A name that is the same for the same thing on the same target, and fits into any address."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{target}-{key}")[:80]
    return f"{readable}-{hashlib.sha256(f'{target} {key}'.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _title(state: Mapping[str, Any], kind: Kind, target: str) -> str:
    head, end = state["head"], state["end"]
    is_so = _WORDS[head["outcome"]]
    word = {
        "new": is_so,
        "worse": f"WORSE, {is_so}",
        "still": f"STILL {is_so}",
        "missed": f"WAS {is_so}" if head["outcome"] == "broken" else "COULDN'T TELL",
    }.get(kind) or _ENDS[end["how"]]
    more = f" and {head['more']} more" if head["more"] else ""
    return f"{target}: {word} {head['name']}{more} ({head['severity']})"


def _lines(state: Mapping[str, Any], kind: Kind, target: str) -> list[str]:
    head, end = state["head"], state["end"]
    about = [
        f"Should hold: {head['title']}",
        f"Guide: {': '.join(filter(None, (head['section'], head['guide'])))}",
    ]
    where = f"Target: {target}, last seen so by run {head['run']} at {head['at']}"
    if end is not None:
        was = "was broken" if head["outcome"] == "broken" else "couldn't be told"
        over = {
            "mended": f"It holds again, seen at {end['at']}." if not head["cause"] else f"It answers, at {end['at']}.",
            "set aside": f"It is set aside, seen at {end['at']}: {end['why'] or 'no reason is given'}",
            "gone": f"There is no such thing to look at any more, since the run at {end['at']}.",
        }[end["how"]]
        missed = "Nothing of it could be told while it was so." if kind == "missed" else ""
        return [over, f"It {was} since {state['since']}: {head['message']}", missed, head["waiting"], *about, where]
    why = head["cause_text"] if head["cause_text"] not in head["message"] else ""
    wanted = "; ".join(filter(None, (head["expected"], head["limits"])))
    held = [f"{label}: {text}" for label, text in (("Seen", head["seen"]), ("Wanted", wanted)) if text]
    times = state["times"]
    return [
        head["message"],
        f"In the way: {why}" if why else "",
        *(line for line in held if line != f"Seen: {head['message']}"),
        f"Do: {head['remedy']}" if head["remedy"] else "",
        head["waiting"],
        f"Since: {state['since']}" + (f"; it is the {_ordinal(times)} time, it comes and goes" if times > 1 else ""),
        *about,
        f"Looked at: {head['looked_at']}" if head["looked_at"] else "",
        where,
    ]


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _when(run: Run, at: datetime | None = None) -> str:
    """A time, or when the run began, in the host's zone."""
    started = datetime.fromisoformat(run["started"])
    return f"{at.astimezone(started.tzinfo) if at else started:%Y-%m-%d %H:%M} {run['host_zone']}"
