"""All answers of an access log as one process gives them: `python -m bench.access_answers LOG CACHE [clients|each]`.

With `clients` it is the quarter's answers: what each client asked for is counted, too, and held against the rest. With
`each` the counts are printed as well.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from observe.access_counts import Questions
from observe.access_figures import figures

if TYPE_CHECKING:
    from observe.access_figures import Figures

WINDOW = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def main() -> None:
    """Read, and print what was asked as JSON with the peak memory in KiB."""
    log, cache, asked = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    found = figures(log, *WINDOW, questions=Questions(clients=bool(asked)), own=lambda _: False, cache=cache)
    # Hours since the epoch, and the class of the status behind them.
    hours: dict[int, int] = {}
    for key, number in found.counts.hours.items():
        hours[key // 100] = hours.get(key // 100, 0) + number
    answers = {
        "probes": found.probes,
        "hours": hours,
        "refused": {client: one.most for client, one in found.refused.items() if one.most > 10},
        "visits": dict(found.visitors),
        "remembered": found.remembered,
        "notes": found.notes,
    }
    if asked:
        answers["out of line"] = out_of_line(found)
        answers["others"], answers["missed"] = found.counts.clients_others, found.counts.clients_missed
    if asked == ["each"]:
        answers["clients"] = {client: one.requests for client, one in found.clients.items()}
    usage = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    answers["peak"] = [resource.getrusage(who).ru_maxrss for who in usage]
    sys.stdout.write(json.dumps(answers))


def out_of_line(found: Figures) -> int:
    """How many clients are out of line with the rest."""
    from observe.access_anomalies import Seen, client_anomalies

    seen = Seen(
        clients=found.clients,
        by_hour=found.by_hour,
        others=found.counts.clients_others,
        since=found.earliest or WINDOW[0],
        until=found.latest or WINDOW[1],
        earliest=found.earliest,
        zone=UTC,
    )
    return client_anomalies(seen, deviation=6.0, floor=1000, least=timedelta(0), known=[]).clients


if __name__ == "__main__":
    main()
