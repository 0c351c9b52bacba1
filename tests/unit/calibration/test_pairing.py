"""Pairing of windows with the reference."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.pairing import Sample, away_pct, interpolated, mean, spread_pct, window_s

SAMPLES = [Sample(0.0, (230.0, 9.0)), Sample(1.0, (232.0, 9.2)), Sample(3.0, (228.0, 8.8))]


def test_a_window_has_16_cycles():
    assert window_s(50.0) == 0.32
    assert window_s(60.0) == pytest.approx(0.26667, abs=1e-5)


@pytest.mark.parametrize("frequency_hz", [0.0, 39.9, 70.1, math.nan])
def test_no_window_at_a_frequency_that_no_mains_has(frequency_hz):
    with pytest.raises(ValueError, match="frequency_hz"):
        window_s(frequency_hz)


def test_the_reference_is_interpolated_between_two_readings():
    assert interpolated(SAMPLES, 0.5) == (231.0, pytest.approx(9.1))
    assert interpolated(SAMPLES, 2.0) == (230.0, pytest.approx(9.0))


def test_a_reading_at_the_very_time_is_taken_as_it_is():
    assert interpolated(SAMPLES, 1.0) == (232.0, 9.2)
    assert interpolated(SAMPLES, 3.0) == (228.0, 8.8)


@pytest.mark.parametrize("t_s", [-0.1, 3.1])
def test_nothing_is_extrapolated(t_s):
    assert interpolated(SAMPLES, t_s) is None
    assert interpolated([], t_s) is None


@given(st.floats(0.0, 3.0))
def test_an_interpolated_value_lies_between_its_neighbours(t_s):
    values = interpolated(SAMPLES, t_s)
    assert values is not None
    assert 228.0 <= values[0] <= 232.0


def test_a_mean_needs_finite_values():
    assert mean([1.0, 2.0, 6.0]) == 3.0
    for values in ([], [1.0, math.nan], [math.inf]):
        with pytest.raises(ValueError, match="cannot average"):
            mean(values)


def test_the_farthest_reading_is_as_far_from_the_mean_as_it_is():
    assert away_pct([99.0, 99.0, 102.0]) == pytest.approx(2.0)
    assert away_pct([101.0, 101.0, 98.0]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="cannot relate"):
        away_pct([-1.0, 1.0])


def test_a_span_is_relative_to_its_mean():
    assert spread_pct([99.0, 101.0]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="cannot relate"):
        spread_pct([-1.0, 1.0])
