"""The last line of defence for secrets: what goes out is searched for every secret that was read."""

from __future__ import annotations

import json
from html import escape
from typing import Any
from urllib.parse import quote

from target.kinds import Secret

SHORTEST = 6
"""Shorter secrets are not searched for: they would be found in every other word."""
MASK = "**********"


def redact(text: str) -> str:
    """The text without any secret that this process has read, in any of the usual spellings."""
    for secret in Secret.known():
        if len(secret) < SHORTEST:
            continue
        spellings = (
            secret,
            quote(secret, safe=""),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            escape(secret),
            repr(secret)[1:-1],
        )
        for spelling in sorted(set(spellings), key=len, reverse=True):
            if spelling in text:
                text = text.replace(spelling, MASK)
    return text


def redact_all(value: Any) -> Any:  # noqa: ANN401  any plain data
    """The same for plain data of any depth, which comes out in the plain types that cross process borders."""
    if isinstance(value, str):
        return str(redact(value))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return {key: redact_all(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(inner) for inner in value]
    return value
