"""Charts of the errors at every load: shapes, guard bands, and that nothing runs out of them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import calibrated_record
from hypothesis import given
from hypothesis import strategies as st

from mfg.records.record import Record
from mfg.reporting.calibration_view import Block, Cell, Column, calibration_view
from mfg.reporting.charts import limit_gauge
from mfg.reporting.point_charts import WIDTH, block_chart

Make = Callable[..., Record]
LINES = calibrated_record.budget("current", "high")
percent = st.floats(-1e6, 1e6)


def chart(value: Any, low: Any = -0.5, high: Any = 0.5, lines: Any = LINES) -> ElementTree.Element:
    """Draw one value of one port."""
    if lines is None:
        entry: Any = calibrated_record.entry("x", value, "%", low, high)
    else:
        entry = calibrated_record.judged("x", value, "%", low, high, lines)
    column = Column("current", "high", "at 54 A", "%", {1: Cell(1, entry, "%", 1.0)})
    return ElementTree.fromstring(block_chart(Block("Current", None, (column,), (1,))))


def count(drawn: ElementTree.Element, look: str) -> int:
    return sum(element.get("class") == look for element in drawn.iter())


def texts(drawn: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in drawn.iter("text")]


def test_a_value_that_passes_is_a_dot_with_its_bar_between_guard_bands():
    drawn = chart(0.1)
    assert (count(drawn, "dot"), count(drawn, "error-bar"), count(drawn, "guard")) == (1, 3, 2)
    assert (count(drawn, "accept-edge"), count(drawn, "band-edge")) == (2, 2)
    assert {"CT1", "Error at 54 A", "-0.5 %", "+0.5 %"} <= set(texts(drawn))


def test_an_indeterminate_value_and_one_outside_have_shapes_of_their_own():
    indeterminate, outside = chart(0.4), chart(0.9)
    assert (count(indeterminate, "diamond"), count(indeterminate, "dot"), count(indeterminate, "cross")) == (
        1,
        0,
        0,
    )
    assert (count(outside, "cross"), count(outside, "dot"), count(outside, "diamond")) == (2, 0, 0)


def test_a_value_without_uncertainty_has_no_bar_and_no_guard_band():
    drawn = chart(0.1, lines=None)
    assert (count(drawn, "dot"), count(drawn, "error-bar"), count(drawn, "guard")) == (1, 0, 0)


def test_limits_that_the_uncertainty_fills_are_all_guard_band():
    drawn = chart(0.0, lines=[calibrated_record.line("too much", 0.6)])
    assert (count(drawn, "guard"), count(drawn, "band"), count(drawn, "diamond")) == (1, 0, 1)


def test_a_limit_that_a_quantity_cannot_pass_is_not_guarded():
    drawn = chart(0.001, low=0.0, high=0.01, lines=calibrated_record.budget("zero", ""))
    assert (count(drawn, "guard"), count(drawn, "band-edge"), count(drawn, "dot")) == (1, 1, 1)


def test_a_value_that_was_not_set_is_named():
    assert "not measured" in texts(chart(None, lines=None))


def test_the_example_is_drawn_whole(make_calibrated_record: Make):
    blocks = [
        ElementTree.fromstring(block_chart(block))
        for block in calibration_view(make_calibrated_record()).blocks
    ]
    assert [count(drawn, "dot") for drawn in blocks] == [24, 24, 18, 12]
    assert [count(drawn, "bar-before") for drawn in blocks] == [6, 6, 0, 6]
    assert "not taken" in texts(blocks[2])
    assert "+3.05" in texts(blocks[0])


def test_nothing_to_draw_draws_nothing():
    assert block_chart(Block("Current", None, (), (1,))) == ""


@given(percent, percent, percent, st.floats(1e-6, 1e6))
def test_any_value_stays_inside_its_chart(value: float, first: float, second: float, half_width: float):
    low, high = sorted((first, second))
    lines = [calibrated_record.line("x", half_width)]
    for drawn in (chart(value, low, high, lines), chart(value, low, high, None)):
        for element in drawn.iter():
            for key in ("x", "x1", "x2", "cx"):
                if key in element.attrib:
                    assert -1 <= float(element.attrib[key]) <= WIDTH + 1


def test_a_gauge_shows_the_guard_band_and_what_is_indeterminate():
    entry: Any = calibrated_record.judged("x", 0.4, "%", -0.5, 0.5, LINES)
    drawn = ElementTree.fromstring(limit_gauge(entry))
    assert (count(drawn, "gauge-guard"), count(drawn, "gauge-band"), count(drawn, "diamond")) == (1, 1, 1)
    filled: Any = calibrated_record.judged("x", 0.0, "%", -0.5, 0.5, [calibrated_record.line("x", 1.0)])
    assert count(ElementTree.fromstring(limit_gauge(filled)), "gauge-band") == 0
