"""What is known of a target as metrics, for the textfile collector of Prometheus's node_exporter.

The outcome is a set of four series of which one is 1, so that "can't tell" is never taken for broken or for good.
Figures are in base units with the unit in the metric's name. When each expectation was looked at is a metric of its
own: what a weekly run found stays in the file between two of them, and how old it is can be seen.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from report.lines import OUTCOMES
from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.chronicle import Latest
    from report.lines import Figure

KEPT = timedelta(days=100)
"""For how long an expectation stays that nobody looks at any more: longer than a month or a quarter of a year."""
_UNITS = {"s": "seconds", "B": "bytes", "share": "ratio"}


def exposition(target: str, looks: Sequence[Latest]) -> bytes:
    """The metrics in Prometheus's text format.

    Args:
        target: The target's name.
        looks: The newest at each expectation.

    Returns:
        The file's content; times in seconds since the epoch.
    """
    made = _Metrics(plain(target, 200))
    for look in looks:
        made.add(look)
    return generate_latest(made.registry)


class _Metrics:
    """A registry of its own, with what is told of a target."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.registry = CollectorRegistry()
        named = ["target", "slug", "item"]
        self.outcome = self._gauge(
            "operations_expectation_outcome",
            "How the expectation stands: 1 for the outcome that it has, 0 for the three others.",
            [*named, "severity", "outcome"],
        )
        self.looked = self._gauge(
            "operations_expectation_run_timestamp_seconds", "When the run began that looked at it last.", named
        )
        self.run = self._gauge(
            "operations_run_timestamp_seconds", "When the newest run of the cadence began.", ["target", "cadence"]
        )
        self.duration = self._gauge(
            "operations_run_duration_seconds", "How long the newest run of the cadence took.", ["target", "cadence"]
        )
        self.figures: dict[str, Gauge] = {}

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def add(self, look: Latest) -> None:
        """Take over what one look found."""
        run, result = look
        began = run.started.timestamp()
        named = [self.target, plain(result["slug"], 200), plain(result["item"], 200)]
        for outcome in OUTCOMES:
            labels = [*named, result["severity"], outcome.replace(" ", "_")]
            self.outcome.labels(*labels).set(outcome == result["outcome"])
        self.looked.labels(*named).set(began)
        # The looks come by time, so that the newest run of a cadence is the last.
        self.run.labels(self.target, plain(run.cadence, 200)).set(began)
        self.duration.labels(self.target, plain(run.cadence, 200)).set(run.facts["seconds"])
        for figure in result["figures"]:
            self._figure(named, figure)

    def _figure(self, named: list[str], figure: Figure) -> None:
        suffix = _UNITS.get(figure["unit"], "")
        labels = [*named, plain(figure["name"], 200)]
        names = ["target", "slug", "item", "figure"]
        if not suffix:
            labels.append("" if figure["unit"] == "1" else plain(figure["unit"], 200))
            names.append("unit")
        for kind, value in (("figure", figure["value"]), ("figure_limit", figure["limit"])):
            if value is None:
                continue
            name = f"operations_{kind}_{suffix}" if suffix else f"operations_{kind}"
            if name not in self.figures:
                text = "A figure that was measured." if kind == "figure" else "What the figure is held against."
                self.figures[name] = self._gauge(name, text, names)
            self.figures[name].labels(*labels).set(value)
