"""What doesn't apply to a target: as its `[not_applicable]` says, and what follows from its other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from records.slugs import Slugs
    from target.model import Target

NO_CACHE = "services.cache is empty: there is no Redis in this stack"


def what_does_not_apply(target: Target) -> dict[str, str]:
    """What doesn't apply, by slug, or slug and item, and why.

    A setting that says that something isn't there says it once: nobody has to write the same under `[not_applicable]`
    as well. What is written there stands above it.

    Args:
        target: The settings.
    """
    follows = {} if target.services.cache else {"cache-used": NO_CACHE}
    return {**follows, **target.not_applicable}


def check_not_applicable(mapping: Mapping[str, str], slugs: Slugs) -> list[str]:
    """What is wrong with the table, one sentence each.

    Args:
        mapping: Slug, or slug and item as `disk-space[docker]`, to the reason.
        slugs: The expectations that there are.
    """
    from records.tables import shown

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
