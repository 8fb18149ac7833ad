"""What is set aside: by a waiver that covers it today, or because the target says that it doesn't apply.

Whether a waiver covers a result is decided here, by :func:`records.waivers.verdict`, when a test ends and again
when a report is made: a waiver may end in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from records.waivers import Waivers
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

    said = verdict(waiver, result["figures"], today)
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
            mine = [one for one in results if waivers.on(one["slug"], one["item"], today) is waiver]
            if mine and waiver.left(today) >= 0 and all(one["found"] == "holds" for one in mine):
                said.append(waiver.unneeded())
    return said


def _names_nothing(not_applicable: Mapping[str, str], known: Collection[tuple[str, str]]) -> Iterable[str]:
    from records.slugs import split

    slugs = {slug for slug, _ in known}
    for name in not_applicable:
        slug, item = split(name)
        if item and slug in slugs and (slug, item) not in known:
            yield f"not_applicable names {name}, and there is no such item: it sets nothing aside"
