"""All answers of an access log as one process gives them: `python -m bench.access_answers LOG CACHE`."""

from __future__ import annotations

import json
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

from observe.access_figures import figures


def main() -> None:
    """Read, and print what was asked as JSON with the peak memory in KiB."""
    log, cache = Path(sys.argv[1]), Path(sys.argv[2])
    found = figures(
        log,
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
        own=lambda _: False,
        cache=cache,
    )
    # Hours since the epoch, and the class of the status behind them.
    hours: dict[int, int] = {}
    for key, number in found.counts.hours.items():
        hours[key // 100] = hours.get(key // 100, 0) + number
    usage = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    answers = {
        "probes": found.probes,
        "hours": hours,
        "refused": {client: one.most for client, one in found.refused.items() if one.most > 10},
        "visits": dict(found.visitors),
        "remembered": found.remembered,
        "notes": found.notes,
        "peak": [resource.getrusage(who).ru_maxrss for who in usage],
    }
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
