"""What doesn't apply to a target, as its `[not_applicable]` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from records.tables import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from records.slugs import Slugs


def check_not_applicable(mapping: Mapping[str, str], slugs: Slugs) -> list[str]:
    """What is wrong with the table, one sentence each.

    Args:
        mapping: Slug, or slug and item as `disk-space[docker]`, to the reason.
        slugs: The expectations that there are.
    """
    problems = []
    for name, reason in mapping.items():
        if trouble := slugs.trouble_with(name):
            problems.append(f"not_applicable: {trouble}.")
        if not reason.strip():
            problems.append(f"not_applicable: {shown(name)}: the reason is missing: say why it doesn't apply here.")
    return problems


def why_not_applicable(mapping: Mapping[str, str], slug: str, item: str = "") -> str:
    """Why an expectation, or one of its items, doesn't apply; empty when it does."""
    return (mapping.get(f"{slug}[{item}]", "") if item else "") or mapping.get(slug, "")
