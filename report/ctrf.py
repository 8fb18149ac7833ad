"""A run as JSON for other programs, in the Common Test Report Format (ctrf.io).

Four outcomes have their places among its five: `holds` is passed, `broken` failed, `set aside` skipped, and
`cannot tell` other, since nobody has seen anything fail. `rawStatus` has our own word.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from report.lines import counts, identity, verdict
from report.text import block, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.lines import Figure, Outcome, Result, Run

SPECIFICATION = "0.0.0"
STATUS: dict[Outcome, str] = {"holds": "passed", "broken": "failed", "set aside": "skipped", "cannot tell": "other"}
_LONG = 4000
"""Characters kept of a text that a person reads; a remark says how many there are beyond."""


def document(results: Sequence[Result], run: Run) -> bytes:
    """The whole report.

    Args:
        results: All of them, free of secrets, in the order in which they ran.
        run: What is true of all.

    Returns:
        JSON in UTF-8 with a newline at its end. Times are milliseconds since the epoch.
    """
    start, stop = (round(datetime.fromisoformat(run[key]).timestamp() * 1000) for key in ("started", "ended"))
    number = counts(results)
    about = {key: plain(run[key]) for key in ("target", "cadence", "token", "host_zone", "version", "started", "ended")}
    tool = {"name": "synk-operations-checks", "version": about["version"]}
    made = {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        "runId": about["token"] or "unknown",
        "timestamp": run["ended"],
        "generatedBy": tool["name"],
        "results": {
            "tool": tool,
            "summary": {
                "tests": len(results),
                **{STATUS[outcome]: count for outcome, count in number.items()},
                "pending": 0,
                "suites": len({result["section"] for result in results}),
                "start": start,
                "stop": stop,
                "extra": {"outcomes": number, "verdict": plain(verdict(results, run), _LONG)},
            },
            "tests": [_test(result) for result in results],
            "environment": {
                "testEnvironment": about["target"],
                "extra": {**about, "warnings": [plain(text, _LONG) for text in run["warnings"]]},
            },
        },
    }
    return f"{json.dumps(made, ensure_ascii=False, allow_nan=False, separators=(',', ':'))}\n".encode()


def _test(result: Result) -> dict[str, Any]:
    said = result["reason"] if result["outcome"] == "set aside" else result["message"]
    made: dict[str, Any] = {
        "name": plain(identity(result)) or "unnamed",
        "status": STATUS[result["outcome"]],
        "rawStatus": result["outcome"],
        "duration": round(result["duration"] * 1000),
        "suite": [plain(result["section"])],
        "message": plain(said, _LONG),
        "tags": [*(plain(one) for one in result["cadences"]), result["severity"]],
        "extra": {
            **{
                key: plain(result[key], _LONG)
                for key in ("slug", "item", "title", "expected", "seen", "looked_at", "remedy", "cause")
            },
            "limits": [{key: plain(str(text)) for key, text in one.items()} for one in result["limits"]],
            "figures": [_figure(one) for one in result["figures"]],
        },
    }
    if result["traceback"]:
        made["trace"] = "\n".join(block(result["traceback"])[0])
    return made


def _figure(one: Figure) -> dict[str, Any]:
    """A figure; what is no number to JSON is null."""
    return {
        "name": plain(one["name"]),
        "value": one["value"] if math.isfinite(one["value"]) else None,
        "unit": plain(one["unit"]),
        "limit": one["limit"] if one["limit"] is not None and math.isfinite(one["limit"]) else None,
        "limit_name": plain(one.get("limit_name", "")),
    }
