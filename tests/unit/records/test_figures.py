"""Values with an uncertainty, as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.records.figures import probability_figure, uncertainty_figure, value_figure


@pytest.mark.parametrize(
    ("value", "expanded", "shown", "u"),
    [
        (0.0123, 0.3046, "+0.01", "0.30"),
        (-0.0312, 0.3046, "-0.03", "0.30"),
        (-0.004, 0.3046, "0.00", "0.30"),
        (0.0123, 0.0996, "+0.01", "0.10"),
        (1.15, 0.578, "+1.15", "0.58"),
        (54.3, 12.4, "+54", "12"),
        (5431.0, 124.0, "+5431", "124"),
        (0.0, 0.31, "0.00", "0.31"),
    ],
)
def test_a_value_has_the_decimals_of_its_uncertainty(value: float, expanded: float, shown: str, u: str):
    assert value_figure(value, expanded) == shown
    assert uncertainty_figure(expanded) == u


def test_a_value_may_go_without_its_plus_sign():
    assert value_figure(1.15, 0.58, sign=False) == "1.15"
    assert value_figure(-1.15, 0.58, sign=False) == "-1.15"


@given(st.floats(1e-12, 1e12), st.floats(-1e12, 1e12))
def test_any_value_can_be_written(expanded: float, value: float):
    shown = value_figure(value, expanded)
    step = 10.0 ** -(len(shown.partition(".")[2]))
    assert float(shown) == pytest.approx(value, abs=step)
    assert shown not in ("-0", "+0")


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(1.0, "> 99.9 %"), (0.99951, "> 99.9 %"), (0.9744, "97.4 %"), (0.5, "50.0 %"), (0.0, "< 0.1 %")],
)
def test_a_probability_is_never_certain(probability: float, shown: str):
    assert probability_figure(probability) == shown
