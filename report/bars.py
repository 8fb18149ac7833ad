"""Pictures of figures, drawn as SVG that stands in the page itself.

No script, no style of its own and nothing from elsewhere: the page's policy would refuse it. Widths are shares of the
room there is and heights are pixels, so that the words are as large on a narrow screen as on a wide one. Colours are
`currentColor` and what the page's style makes of the classes. Who doesn't see the picture is told its figures.

No fragment made here contains a line break, for the reason that `report.html` gives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from report.text import html, plain
from target.kinds import say_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BARS = 400
"""More bars than this are thinner than a pixel; of more points the last ones are drawn, and that is said."""
_TOLD = 62
_LABEL = 16
_TOP, _PLOT, _BOTTOM = 20, 120, 20
_GAP = 0.2
_LARGEST = 1e300
"""Ten times as much must still be a number; the smallest that is told from 0 is one by that."""
_FEW = 5
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def bars(points: Sequence[tuple[str, float]], title: str, unit: str = "") -> str:
    """A chart with a bar for each point.

    Args:
        points: What each bar stands for, and its figure. One that is no number has no bar.
        title: What they are.
        unit: A word such as `calls`, `B` for bytes, or nothing.

    Returns:
        One `figure` element; nothing where there are no points.
    """
    drawn = list(points[-MOST_BARS:])
    if not drawn:
        return ""
    left_out = f" <small>the last {len(drawn)} of {len(points):,}</small>" if len(points) > len(drawn) else ""
    numbers = [value for _, value in drawn if math.isfinite(value)]
    top, bottom = _ceiling(max(numbers, default=0.0), unit), -_ceiling(-min(numbers, default=0.0), unit)
    # Something to divide by where all is 0; its line then says 0 as well.
    scale = _PLOT / ((top - bottom) or 1.0)
    zero = _TOP + top * scale if top > bottom else float(_TOP + _PLOT)
    told = html(_told(drawn, title, unit), 4000)
    parts = [
        _scale(top, unit) if top else "",
        *(_bar(index, len(drawn), label, value, zero, scale, unit) for index, (label, value) in enumerate(drawn)),
        f'<line class="axis" x1="0" x2="100%" y1="{zero:.1f}" y2="{zero:.1f}" stroke="currentColor"/>',
        *_labels([label for label, _ in drawn]),
    ]
    return (
        f'<figure class="chart"><figcaption>{html(title)}{left_out}</figcaption>'
        f'<svg class="bars" role="img" aria-label="{html(title)}" width="100%" height="{_TOP + _PLOT + _BOTTOM}" '
        f'xmlns="http://www.w3.org/2000/svg"><desc>{told}</desc>{"".join(parts)}</svg>'
        f'<figcaption class="told"><small>{html(_summary(drawn, unit), 300)}</small></figcaption></figure>'
    )


def sparkline(values: Sequence[float], title: str, unit: str = "") -> str:
    """A small line of figures that stands beside a word.

    Args:
        values: The figures in their order. One that is no number is passed over.
        title: What they are, for who doesn't see it.
        unit: As for :func:`bars`.

    Returns:
        One `svg` element; nothing where there are not two figures.
    """
    known = [value for value in values if math.isfinite(value)][-MOST_BARS:]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    scale = 20 / ((high - low) or 1.0)
    line = " ".join(
        f"{100 * index / (len(known) - 1):.2f},{22 - (value - low) * scale if high > low else 12:.2f}"
        for index, value in enumerate(known)
    )
    told = f"{plain(title)}: from {_say(known[0], unit)} to {_say(known[-1], unit)}, {_extremes(low, high, unit)}"
    return (
        f'<svg class="sparkline" role="img" aria-label="{html(told)}" width="120" height="24" viewBox="0 0 100 24" '
        f'preserveAspectRatio="none" xmlns="http://www.w3.org/2000/svg"><title>{html(told)}</title>'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5" '
        f'vector-effect="non-scaling-stroke"/></svg>'
    )


def _scale(top: float, unit: str) -> str:
    """The line at the top, and the figure that it stands for."""
    return (
        f'<line class="grid" x1="0" x2="100%" y1="{_TOP}" y2="{_TOP}" stroke="currentColor" stroke-opacity="0.3"/>'
        f'<text x="0" y="{_TOP - 5}" font-size="12" fill="currentColor">{html(_say(top, unit), _LABEL * 2)}</text>'
    )


def _bar(index: int, number: int, label: str, value: float, zero: float, scale: float, unit: str) -> str:
    """One bar, with what it stands for as its tip; nothing for what is no number."""
    if not math.isfinite(value):
        return ""
    slot = 100 / number
    # What isn't nothing is seen, however little it is.
    height = max(1.0, abs(value) * scale) if value else 0.0
    y = zero - height if value > 0 else zero
    return (
        f'<rect class="bar" x="{slot * (index + _GAP / 2):.3f}%" y="{y:.1f}" width="{slot * (1 - _GAP):.3f}%" '
        f'height="{height:.1f}" fill="currentColor"><title>{html(label)}: {html(_say(value, unit), 60)}</title></rect>'
    )


def _labels(labels: Sequence[str]) -> list[str]:
    """A few names under the axis, as many as have room on a narrow screen; the first and the last among them."""
    longest = max(len(plain(one, _LABEL * 2)) for one in labels)
    wanted = 5 if longest <= 6 else 4 if longest <= 10 else 2
    last = len(labels) - 1
    count = min(wanted, len(labels))
    chosen = sorted({round(last * n / (count - 1)) for n in range(count)}) if count > 1 else [0]
    y = _TOP + _PLOT + 15
    drawn = []
    for index in chosen:
        anchor, x = "middle", 100 * (index + 0.5) / len(labels)
        if len(labels) > _FEW and index in {0, last}:
            # The middle of a thin bar is too near to the edge for a word.
            anchor, x = ("start", 0.0) if index == 0 else ("end", 100.0)
        drawn.append(
            f'<text x="{x:.2f}%" y="{y}" font-size="12" text-anchor="{anchor}" fill="currentColor">'
            f"{html(labels[index], _LABEL * 2)}</text>"
        )
    return drawn


def _ceiling(value: float, unit: str) -> float:
    """The next round figure from there on; 0 for what isn't above 0."""
    if value < 1 / _LARGEST:
        return 0.0
    if value > _LARGEST:
        return value
    factor = 1.0
    if unit == "B":
        while value / factor >= 1024:
            factor *= 1024
    power = 10.0 ** math.floor(math.log10(value / factor))
    # Of whole things there is no half one on the scale.
    steps = (step * power for step in _STEPS if unit == "B" or value < 1 or (step * power).is_integer())
    return float(next((step for step in steps if step * (1 + 1e-9) >= value / factor), 10 * power) * factor)


def _summary(points: Sequence[tuple[str, float]], unit: str) -> str:
    """The picture in a sentence."""
    known = [(value, label) for label, value in points if math.isfinite(value)]
    if not known:
        return "no figure is known"
    (low, where), (high, there) = min(known), max(known)
    if low == high:
        return f"{_say(low, unit)} each, {plain(points[0][0], 40)} to {plain(points[-1][0], 40)}"
    return (
        f"{plain(points[0][0], 40)} to {plain(points[-1][0], 40)}: at least {_say(low, unit)} ({plain(where, 40)}), "
        f"at most {_say(high, unit)} ({plain(there, 40)})"
    )


def _told(points: Sequence[tuple[str, float]], title: str, unit: str) -> str:
    """The figures for who doesn't see the picture; of many the sentence about them."""
    if len(points) > _TOLD:
        return f"{plain(title)}: {_summary(points, unit)}"
    return f"{plain(title)}: " + ", ".join(
        f"{plain(label, 40)} {_say(value, unit) if math.isfinite(value) else 'not known'}" for label, value in points
    )


def _extremes(low: float, high: float, unit: str) -> str:
    return f"at least {_say(low, unit)}, at most {_say(high, unit)}"


def _say(value: float, unit: str) -> str:
    if unit == "B":
        return say_bytes(value)
    figure = f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return f"{figure} {plain(unit, 40)}".rstrip()
