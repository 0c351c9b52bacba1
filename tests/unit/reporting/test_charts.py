"""The charts: well-formed, complete, and never lying about a value outside."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mfg.records.record import AdjustmentEntry, Record
from mfg.reporting import charts

Make = Callable[..., Record]
percent = st.none() | st.floats(-1e6, 1e6)
finite = st.floats(allow_nan=False, allow_infinity=False)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def entry(**changes: Any) -> AdjustmentEntry:
    base: Any = {"port": "CT1", "quantity": "current", "before_pct": 1.3, "after_pct": 0.01}
    return base | {"low_pct": -0.5, "high_pct": 0.5, "gain_old": 1, "gain_new": 2, "offset": 0} | changes


def test_each_channel_has_a_row_with_both_errors(make_record: Make):
    found = texts(charts.error_chart(make_record()["adjustments"]))
    assert {"CT1–CT3 voltage", "CT4–CT6 voltage", "CT6 current"} <= set(found)  # noqa: RUF001
    assert {"+1.32 %", "+0.012 %", "-0.5 %", "+0.5 %"} <= set(found)


def test_an_error_outside_its_limit_has_another_shape_and_says_so():
    inside, outside = (charts.error_chart([entry(after_pct=after)]) for after in (0.4, 0.6))
    assert ("dot" in inside, "cross" in inside) == (True, False)
    assert ("dot" in outside, "cross" in outside) == (False, True)
    assert "+0.600 % OUT" in texts(outside)


def test_an_error_far_outside_does_not_squeeze_the_band():
    band = ElementTree.fromstring(charts.error_chart([entry(after_pct=5000.0)])).find("rect[@class='band']")
    assert band is not None
    assert float(band.attrib["width"]) > 50


def test_a_value_that_was_not_taken_is_named():
    found = texts(charts.error_chart([entry(before_pct=None, after_pct=None)]))
    assert "not taken" in found
    assert "not verified" in found


def test_a_phase_that_failed_is_hatched_and_says_so(make_record: Make):
    phases = make_record()["phases"]
    phases[3]["outcome"], phases[4]["outcome"] = "FAIL", "SKIP"
    svg = charts.phase_chart(phases, 60.0)
    assert "url(#hatch-phase)" in svg
    assert "4.2 s FAIL" in texts(svg)
    assert "6.0 s SKIP" in texts(svg)
    assert len([text for text in texts(svg) if text.startswith("12000")]) == 2


def test_nothing_to_draw_draws_nothing():
    assert charts.error_chart([]) == ""
    assert charts.phase_chart([], 0) == ""
    assert charts.bar_chart([], "x") == ""


def test_names_are_escaped():
    svg = charts.error_chart([entry(port="<b>&\"'")]) + charts.bar_chart([("<b>", 1.0, "&")], "<i>")
    assert "<b>" not in svg
    assert "<i>" not in svg


@given(st.lists(st.tuples(percent, percent, percent, percent), max_size=8))
def test_any_errors_make_a_well_formed_chart(rows: list[tuple[Any, ...]]):
    keys = ("before_pct", "after_pct", "low_pct", "high_pct")
    svg = charts.error_chart([entry(**dict(zip(keys, row, strict=True))) for row in rows])
    if rows:
        ElementTree.fromstring(svg)
        assert "nan" not in svg
        assert "inf" not in svg


@given(finite, finite, finite)
def test_a_gauge_never_runs_out_of_its_box(value: float, low: float, high: float):
    measured: Any = {"value": value, "low": min(low, high), "high": max(low, high)}
    svg = charts.limit_gauge(measured)
    if svg:
        places = [float(line.attrib["x1"]) for line in ElementTree.fromstring(svg).iter("line")]
        assert all(-5 <= place <= 105 for place in places)


@given(st.floats(0.1, 1e6))
def test_any_run_time_gets_a_readable_number_of_ticks(total_s: float):
    phase: Any = {"case": 1, "name": "x", "outcome": "PASS", "start_s": 0.0, "seconds": total_s}
    ticks = [text for text in texts(charts.phase_chart([phase], total_s)) if text.endswith(" s")]
    assert 4 <= len(ticks) <= 11
