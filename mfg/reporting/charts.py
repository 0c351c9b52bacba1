"""Charts of a report as inline SVG: no script, no font and no file from outside.

Colour never carries a meaning alone: what failed is hatched, has another shape and says so in words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from mfg.records.record import INDETERMINATE, PASS, SKIP, AdjustmentEntry, MeasurementEntry, PhaseEntry
from mfg.reporting import svg

WIDTH = 880
_LABEL_WIDTH = 125
_ROW = 26
_HEAD = 54
_FOOT = 10

_CHANNEL_TEXT = {"CS4": "CT1–CT3 voltage", "CS0": "CT4–CT6 voltage"}  # noqa: RUF001


def phase_title(case: int | None, name: str) -> str:
    """Write a phase's name as a person reads it, e.g. `12000 adjust gains`."""
    words = name.replace("_", " ").strip() or "unnamed phase"
    return f"{case} {words}" if case is not None else words


def channel_title(entry: AdjustmentEntry) -> str:
    """Write an adjusted channel as a person reads it, e.g. `CT1 current`."""
    return _CHANNEL_TEXT.get(entry["port"], f"{entry['port']} {entry['quantity']}")


def error_chart(adjustments: Sequence[AdjustmentEntry]) -> Markup:
    """Draw each channel's error before the adjustment and after it, inside its limits.

    The two panels have their own scales: an error of 3 % and one of 0.02 % share none.

    Args:
        adjustments: In the order of the rows.

    Returns:
        An `<svg>` element; empty when there is nothing to draw.
    """
    if not adjustments:
        return Markup("")
    height = _HEAD + _ROW * len(adjustments) + _FOOT
    left = _Panel(_LABEL_WIDTH, 340, _nice_scale(entry["before_pct"] for entry in adjustments))
    right = _Panel(535, 235, _after_scale(adjustments), _edges(adjustments))
    parts = [
        svg.text(left.x, 16, "Before: error as found", "chart-title"),
        svg.text(right.x, 16, "After: error against the limit band", "chart-title"),
        left.axis(height),
        right.axis(height),
    ]
    for row, entry in enumerate(adjustments):
        parts.append(_error_row(entry, left, right, _HEAD + row * _ROW))
    label = "Error of each channel before and after the adjustment, in percent"
    return svg.drawing(WIDTH, height, label, parts)


def _error_row(entry: AdjustmentEntry, left: _Panel, right: _Panel, top: float) -> Markup:
    middle = top + _ROW / 2
    parts = [svg.text(_LABEL_WIDTH - 10, middle + 4, channel_title(entry), "chart-label end")]
    before, after = entry["before_pct"], entry["after_pct"]
    if before is None:
        parts.append(svg.text(left.at(0) + 6, middle + 4, "not taken", "chart-note"))
    else:
        parts.append(_bar_from_zero(left, before, middle))
    parts.append(_band(right, entry["low_pct"], entry["high_pct"], top))
    if after is None:
        parts.append(svg.text(right.at(0) + 8, middle + 4, "not verified", "chart-note"))
        return svg.join(parts)
    inside = _inside(after, entry["low_pct"], entry["high_pct"])
    parts.append(svg.dot(right.at(after), middle) if inside else svg.cross(right.at(after), middle))
    text = f"{after:+.3f} %" if inside else f"{after:+.3f} % OUT"
    parts.append(svg.text(right.end + 8, middle + 4, text, "chart-value" if inside else "chart-value fail"))
    return svg.join(parts)


def phase_chart(phases: Sequence[PhaseEntry], total_s: float) -> Markup:
    """Draw when each phase ran and how long.

    Args:
        phases: As they ran.
        total_s: Length of the whole run, in bench seconds.

    Returns:
        An `<svg>` element; empty when no phase ran.
    """
    if not phases:
        return Markup("")
    end_s = max([total_s, *(phase["start_s"] + phase["seconds"] for phase in phases), 0.1])
    row, head, label_width, value_width = 22, 30, 215, 110
    width = WIDTH - label_width - value_width
    height = head + row * len(phases) + _FOOT
    scale = width / end_s
    parts: list[Markup] = [svg.hatch("hatch-phase")]
    for tick in _ticks(end_s):
        x = label_width + tick * scale
        parts.append(svg.line(x, head - 6, x, height - _FOOT, "chart-grid"))
        parts.append(svg.text(x, head - 12, f"{tick:g} s", "chart-tick middle"))
    for number, phase in enumerate(phases):
        top = head + number * row
        good = phase["outcome"] == PASS
        x, long = label_width + phase["start_s"] * scale, max(1.5, phase["seconds"] * scale)
        look = "bar" if good else ("bar-skip" if phase["outcome"] == SKIP else "bar-fail")
        fill = "" if look != "bar-fail" else "url(#hatch-phase)"
        parts.append(
            svg.text(label_width - 10, top + 15, phase_title(phase["case"], phase["name"]), "chart-label end")
        )
        parts.append(svg.rect(x, top + 4, long, row - 8, look, fill))
        note = f"{phase['seconds']:.1f} s" + ("" if good else f" {phase['outcome']}")
        parts.append(
            svg.text(WIDTH - value_width + 10, top + 15, note, "chart-value" if good else "chart-value fail")
        )
    return svg.drawing(WIDTH, height, "Start and duration of each phase, in bench seconds", parts)


def bar_chart(rows: Sequence[tuple[str, float, str]], label: str) -> Markup:
    """Draw one horizontal bar per row.

    Args:
        rows: Name, length (0 or more) and the text at the end of the bar.
        label: What the chart shows, for readers who cannot see it.

    Returns:
        An `<svg>` element; empty without rows.
    """
    if not rows:
        return Markup("")
    row, label_width, value_width = 24, 250, 150
    longest = max([length for _, length, _ in rows if math.isfinite(length)] + [1e-9])
    scale = (WIDTH - label_width - value_width) / longest
    parts = []
    for number, (name, length, text) in enumerate(rows):
        top = number * row
        long = max(1.5, length * scale)
        parts.append(svg.text(label_width - 10, top + 16, name, "chart-label end"))
        parts.append(svg.rect(label_width, top + 4, long, row - 8, "bar"))
        parts.append(svg.text(label_width + long + 8, top + 16, text, "chart-value"))
    return svg.drawing(WIDTH, row * len(rows) + 4, label, parts)


def limit_gauge(entry: MeasurementEntry) -> Markup:
    """Draw where a value lies between its two limits.

    Returns:
        A small `<svg>`; empty when there are not two different finite limits and a number.
    """
    value, low, high = entry["value"], entry["low"], entry["high"]
    if isinstance(value, bool) or not isinstance(value, int | float) or low is None or high is None:
        return Markup("")
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return Markup("")
    share = (value - low) / span
    x = 10 + 80 * min(max(share, -0.06), 1.06)
    inside = low <= value <= high
    parts = [*_gauge_bands(entry, low, span), svg.line(10, 2, 10, 14, "gauge-limit")]
    parts.append(svg.line(90, 2, 90, 14, "gauge-limit"))
    if entry.get("outcome") == INDETERMINATE:
        parts.append(svg.diamond(x, 8, 5))
    else:
        parts.append(svg.line(x, 1, x, 15, "gauge-value") if inside else svg.cross(x, 8, 4))
    words = f"{100 * share:.0f} % of the way from the low to the high limit"
    return Markup('<svg class="gauge" viewBox="0 0 100 16" role="img" aria-label="{}">{}</svg>').format(
        words, svg.join(parts)
    )


def _gauge_bands(entry: MeasurementEntry, low: float, span: float) -> list[Markup]:
    """Draw the limits' width, and in it what passes where a guard band takes a part of it."""
    held = entry.get("uncertainty")
    if held is None:
        return [svg.rect(10, 5, 80, 6, "gauge-band")]
    accept_low = low if held["accept_low"] is None else held["accept_low"]
    accept_high = low + span if held["accept_high"] is None else held["accept_high"]
    parts = [svg.rect(10, 5, 80, 6, "gauge-guard")]
    if accept_high > accept_low:
        width = 80 * (accept_high - accept_low) / span
        parts.append(svg.rect(10 + 80 * (accept_low - low) / span, 5, width, 6, "gauge-band"))
    return parts


class _Panel:
    """A horizontal scale from -scale to +scale, in %."""

    def __init__(self, x: float, width: float, scale: float, marks: Sequence[float] = ()) -> None:
        self.x = x
        self.width = width
        self.scale = scale
        self.end = x + width
        self.marks = [*marks] or [share * scale for share in (-1.0, -0.5, 0.5, 1.0)]

    def at(self, value: float) -> float:
        """Return the place of a value; one beyond the scale lands on its end."""
        return self.x + self.width / 2 * (1 + min(max(value / self.scale, -1.0), 1.0))

    def axis(self, height: float) -> Markup:
        parts = [svg.line(self.at(0), _HEAD - 4, self.at(0), height - _FOOT + 2, "chart-zero")]
        for mark in [0.0, *self.marks]:
            x = self.at(mark)
            parts.append(svg.text(x, 40, f"{mark:+.3g} %" if mark else "0", "chart-tick middle"))
            parts.append(svg.line(x, _HEAD - 8, x, _HEAD - 3, "chart-zero"))
        return svg.join(parts)


def _bar_from_zero(panel: _Panel, value: float, middle: float) -> Markup:
    zero, end = panel.at(0), panel.at(value)
    bar = svg.rect(min(zero, end), middle - 6, max(1.5, abs(end - zero)), 12, "bar-before")
    # The text stands on the free side of zero, so that it never runs out of the panel.
    right = value < 0
    text = svg.text(
        zero + (8 if right else -8), middle + 4, f"{value:+.2f} %", "chart-value" + ("" if right else " end")
    )
    return bar + text


def _band(panel: _Panel, low: float | None, high: float | None, top: float) -> Markup:
    if low is None and high is None:
        return Markup("")
    x1 = panel.at(low if low is not None else -panel.scale)
    x2 = panel.at(high if high is not None else panel.scale)
    parts = [svg.rect(x1, top + 2, max(0.5, x2 - x1), _ROW - 4, "band")]
    if low is not None:
        parts.append(svg.line(x1, top + 2, x1, top + _ROW - 2, "band-edge"))
    if high is not None:
        parts.append(svg.line(x2, top + 2, x2, top + _ROW - 2, "band-edge"))
    return svg.join(parts)


def _inside(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _nice_scale(values: Iterable[float | None]) -> float:
    """Return a round number a little above the largest magnitude."""
    largest = max([abs(value) for value in values if value is not None and math.isfinite(value)] + [1e-3])
    power = 10.0 ** math.floor(math.log10(largest))
    steps = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 15.0)
    return next(step * power for step in steps if step * power >= largest * 1.02)


def _after_scale(adjustments: Sequence[AdjustmentEntry]) -> float:
    limits = [abs(limit) for entry in adjustments for limit in (entry["low_pct"], entry["high_pct"]) if limit]
    values = [abs(entry["after_pct"]) for entry in adjustments if entry["after_pct"] is not None]
    widest = max(limits, default=0.0)
    # One value far out must not squeeze the band to a line: it is drawn at the edge, its number beside it.
    largest = min(max(values, default=0.0), 3 * widest) if widest else max(values, default=0.0)
    return max(1.25 * widest, 1.05 * largest) or 1.0


def _edges(adjustments: Sequence[AdjustmentEntry]) -> list[float]:
    """Return the limits to write on the scale: those of all channels when they agree, else none."""
    pairs = {(entry["low_pct"], entry["high_pct"]) for entry in adjustments}
    return [limit for limit in pairs.pop() if limit is not None] if len(pairs) == 1 else []


def _ticks(end: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10(end))
    step = next(step * share for share in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0) if end / (step * share) <= 8)
    return [step * number for number in range(int(end / step + 1e-9) + 1)]
