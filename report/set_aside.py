"""What is set aside: by a waiver that covers it today, or because the target says that it doesn't apply.

Whether a waiver covers a result is decided here, by :func:`records.waivers.verdict`, when a test ends and again
when a report is made: a waiver may end in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from records.waivers import Waiver, Waivers
    from report.lines import Result

R = TypeVar("R", bound="Result")
UNKNOWN = "unknown"
"""Stands for the items that could not be found out, so that the expectation is there and says why."""


def judged(result: R, waivers: Waivers | None, today: date) -> R:
    """A result as it is to be shown on that day.

    What was found broken is set aside while a waiver covers it; nothing else ever is. What a waiver that has ended,
    or that is exceeded, has to say stands behind the message.

    Args:
        result: A result of any outcome, which is left as it is.
        waivers: All waivers; None if there are none.
        today: The day in the host's zone.
    """
    if result["found"] != "broken":
        return result
    waiver = None if waivers is None else waivers.on(result["slug"], result["item"], today)
    if waiver is None:
        return result
    from records.waivers import Covered, verdict

    beside = waivers.beside(waiver) if waivers is not None else ()
    said = verdict(waiver, result["figures"], today, ids=_ids(result), beside=beside)
    shown = cast("R", {**result})
    if isinstance(said, Covered):
        shown["outcome"], shown["reason"], shown["message"] = "set aside", said.reason, result["found_message"]
        if said.warning:
            shown["notes"] = [*(one for one in result["notes"] if one != said.warning), said.warning]
        return shown
    shown["outcome"], shown["reason"], shown["message"] = "broken", "", f"{result['found_message']}; {said.words}"
    return shown


def remarks(
    results: Sequence[Result],
    there: Collection[tuple[str, str]],
    waivers: Waivers | None,
    not_applicable: Mapping[str, str],
    today: date,
) -> list[str]:
    """What the reader should know of what is set aside: ended, ending, covering nothing, no longer needed.

    Args:
        results: What was looked at.
        there: Slug and item of every expectation that there is, looked at or not.
        waivers: All waivers; None if there are none.
        not_applicable: What doesn't apply to the target, and why.
        today: The day in the host's zone.
    """
    # Where the items could not be found out, nothing is known of them.
    unknown = {slug for slug, item in there if item == UNKNOWN}
    known = {one for one in there if one[0] not in unknown}
    said = list(_names_nothing(not_applicable, known))
    if waivers is not None:
        said += [*waivers.warnings(today), *waivers.without_result(known)]
        for waiver in waivers.all:
            mine = [one for one in results if _has_to_do_with(waivers, waiver, one, today)]
            if waiver.left(today) < 0:
                continue
            if mine and all(one["found"] == "holds" for one in mine):
                said.append(waiver.unneeded())
            elif gone := _no_longer_found(waiver, mine):
                said.append(f"{waiver.name} covers {', '.join(gone)[:300]}, which is no longer found; take that out")
    return said


def _has_to_do_with(waivers: Waivers, waiver: Waiver, result: Result, today: date) -> bool:
    chosen = waivers.on(result["slug"], result["item"], today)
    return chosen is waiver or (chosen is not None and waiver in waivers.beside(chosen))


def _no_longer_found(waiver: Waiver, results: Sequence[Result]) -> list[str]:
    """The ids that a waiver covers and no result names; nothing where a result can't be told."""
    if not results or not {one["found"] for one in results} <= {"holds", "broken"}:
        return []
    found = {name.casefold() for one in results for names in _ids(one) for name in names}
    return [one for one in waiver.covers if one.strip().casefold() not in found]


def _ids(result: Result) -> list[list[str]]:
    return result.get("ids", [])


def _names_nothing(not_applicable: Mapping[str, str], known: Collection[tuple[str, str]]) -> Iterable[str]:
    from records.slugs import split

    slugs = {slug for slug, _ in known}
    for name in not_applicable:
        slug, item = split(name)
        if item and slug in slugs and (slug, item) not in known:
            yield f"not_applicable names {name}, and there is no such item: it sets nothing aside"
