"""The errors of all ports at every load as inline SVG, with their uncertainty inside limit and guard band."""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup

from mfg.records.outcomes import INDETERMINATE, PASS
from mfg.reporting import svg
from mfg.reporting.calibration_view import Block, Cell, Column, close_degrees

WIDTH = 880
_LABELS = 44
_BEFORE = 150
_GAP = 26
_ROW = 24
_HEAD = 48
_FOOT = 8
_MARGIN = 16  # a limit written at the edge of the last panel needs it
_ONE_COLUMN = 240  # the widest that a column gets
_GUARD = "hatch-guard"
_SCALES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0)


def block_chart(block: Block) -> Markup:
    """Draw one block: the error before the adjustment, then one panel per load.

    Every panel has its own scale, written at its limits. A value far outside lands on the panel's edge.

    Returns:
        An `<svg>` element; empty when there is nothing to draw.
    """
    if not block.columns and block.before is None:
        return Markup("")
    height = _HEAD + _ROW * len(block.ports) + _FOOT
    parts = [svg.hatch(_GUARD, "guard")]
    for row, port in enumerate(block.ports):
        parts.append(svg.text(_LABELS - 10, _HEAD + row * _ROW + 16, f"CT{port}", "chart-label end"))
    parts.append(_before(block, height))
    left = _LABELS + _BEFORE + _GAP
    count = max(len(block.columns), 1)
    width = min(_ONE_COLUMN, (WIDTH - _MARGIN - left - _GAP * (count - 1)) / count)
    for number, column in enumerate(block.columns):
        parts.append(_column(_Panel(left + number * (width + _GAP), width, column), block, height))
    label = f"{block.title}: error of each port before the adjustment and at every load after it"
    return svg.drawing(WIDTH, height, label, parts)


class _Panel:
    """A horizontal scale for one column."""

    def __init__(self, x: float, width: float, column: Column) -> None:
        self.x = x
        self.width = width
        self.column = column
        cells = list(column.cells.values())
        limits = [abs(limit) for cell in cells for limit in cell.limits if limit is not None]
        reach = [abs(cell.value) + (cell.expanded or 0.0) for cell in cells if cell.value is not None]
        self.limit = max(limits, default=0.0)
        largest = max([reached for reached in reach if math.isfinite(reached)], default=0.0)
        if self.limit:
            largest = max(1.3 * self.limit, min(1.08 * largest, 3 * self.limit))
        self.high = largest or 1.0
        self.low = 0.0 if cells and all(cell.limits[0] == 0 for cell in cells) else -self.high

    def at(self, value: float) -> float:
        """Return the place of a value; one beyond the scale lands on its end."""
        share = (value - self.low) / (self.high - self.low)
        return self.x + self.width * min(max(share, 0.0), 1.0)

    def head(self, height: float) -> Markup:
        title = f"{_short(self.column)} {self.column.title}"
        parts = [svg.text(self.x, 14, title, "chart-title")]
        ends = {limit for cell in self.column.cells.values() for limit in cell.limits if limit}
        for mark in sorted({0.0} | (ends if len(ends) <= 2 else set())):
            x = self.at(mark)
            text = close_degrees(f"{mark:+.3g} {self.column.unit}") if mark else "0"
            parts.append(svg.text(x, 34, text, "chart-tick middle"))
            parts.append(svg.line(x, _HEAD - 9, x, _HEAD - 3, "chart-zero"))
        parts.append(svg.line(self.at(0), _HEAD - 3, self.at(0), height - _FOOT, "chart-zero"))
        return svg.join(parts)


def _short(column: Column) -> str:
    return {"phase": "Phase", "zero": "Current", "power": "Power"}.get(column.quantity, "").strip() or "Error"


def _column(panel: _Panel, block: Block, height: float) -> Markup:
    bands, marks = [], []
    for row, port in enumerate(block.ports):
        top = _HEAD + row * _ROW
        cell = panel.column.cells.get(port)
        if cell is None or cell.value is None:
            marks.append(svg.text(panel.x, top + 16, "not measured", "chart-note"))
        if cell is not None:
            bands.append(_bands(panel, cell, top))
        if cell is not None and cell.value is not None:
            marks.append(_mark(panel, cell, cell.value, top + _ROW / 2))
    return svg.join([*bands, panel.head(height), *marks])


def _bands(panel: _Panel, cell: Cell, top: float) -> Markup:
    """Draw the limit band, its guard bands hatched, and the limits as lines."""
    (low, high), (accept_low, accept_high) = cell.limits, cell.acceptance
    if low is None and high is None:
        return Markup("")
    x1, x2 = panel.at(panel.low if low is None else low), panel.at(panel.high if high is None else high)
    y, tall = top + 1, _ROW - 2
    a1, a2 = (
        panel.at(panel.low if accept_low is None else accept_low),
        panel.at(panel.high if accept_high is None else accept_high),
    )
    if a1 > a2:  # no value passes
        parts = [svg.rect(x1, y, max(0.5, x2 - x1), tall, "guard", f"url(#{_GUARD})")]
    else:
        parts = [svg.rect(a1, y, max(0.5, a2 - a1), tall, "band")]
        parts += [
            svg.rect(min(outer, inner), y, abs(outer - inner), tall, "guard", f"url(#{_GUARD})")
            + svg.line(inner, y, inner, y + tall, "accept-edge")
            for outer, inner in ((x1, a1), (x2, a2))
            if abs(outer - inner) > 0.5
        ]
    edges = ((low, x1), (high, x2))
    natural = cell.entry["low"] == 0
    parts += [
        svg.line(x, y, x, y + tall, "band-edge")
        for limit, x in edges
        if limit is not None and (limit or not natural)
    ]
    return svg.join(parts)


def _mark(panel: _Panel, cell: Cell, value: float, middle: float) -> Markup:
    x, parts = panel.at(value), []
    if cell.expanded is not None:
        ends = (value - cell.expanded, value + cell.expanded)
        x1, x2 = (panel.at(end) for end in ends)
        parts.append(svg.line(x1, middle, x2, middle, "error-bar"))
        parts += [
            svg.line(place, middle - 4, place, middle + 4, "error-bar")
            for end, place in zip(ends, (x1, x2), strict=True)
            if panel.low <= end <= panel.high  # a bar that runs out of the panel has no cap
        ]
    if cell.outcome == PASS:
        parts.append(svg.dot(x, middle))
    else:
        parts.append(svg.diamond(x, middle) if cell.outcome == INDETERMINATE else svg.cross(x, middle))
    return svg.join(parts)


def _before(block: Block, height: float) -> Markup:
    """Draw what was found, as bars from zero."""
    column = block.before
    parts = [svg.text(_LABELS, 14, "Before", "chart-title")]
    if column is None:
        parts.append(svg.text(_LABELS, _HEAD + 16, "not taken", "chart-note"))
        return svg.join(parts)
    scale = _nice(cell.value for cell in column.cells.values())
    zero, half = _LABELS + _BEFORE / 2, _BEFORE / 2
    for mark in (-scale, 0.0, scale):
        x = zero + half * mark / scale
        look = "chart-tick " + ("middle" if not mark else "end" if mark > 0 else "")
        parts.append(svg.text(x, 34, close_degrees(f"{mark:+.3g} {column.unit}") if mark else "0", look))
        parts.append(svg.line(x, _HEAD - 9, x, _HEAD - 3, "chart-zero"))
    for row, port in enumerate(block.ports):
        middle = _HEAD + row * _ROW + _ROW / 2
        cell = column.cells.get(port)
        if cell is None or cell.value is None:
            parts.append(svg.text(zero + 6, middle + 4, "not taken", "chart-note"))
            continue
        long = half * min(abs(cell.value) / scale, 1.0)
        parts.append(
            svg.rect(zero if cell.value > 0 else zero - long, middle - 6, max(1.5, long), 12, "bar-before")
        )
        side, look = (8, "chart-value") if cell.value < 0 else (-8, "chart-value end")
        parts.append(svg.text(zero + side, middle + 4, f"{cell.value:+.2f}", look))
    parts.append(svg.line(zero, _HEAD - 3, zero, height - _FOOT, "chart-zero"))
    return svg.join(parts)


def _nice(values: Iterable[float | None]) -> float:
    """Return a round number a little above the largest magnitude."""
    largest = max([abs(value) for value in values if value is not None and math.isfinite(value)] + [1e-3])
    power = 10.0 ** math.floor(math.log10(largest))
    return next((step * power for step in _SCALES if step * power >= largest), 2 * largest)
