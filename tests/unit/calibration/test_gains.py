"""Gain and offset registers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.gains import (
    CURRENT_OFFSET_A_PER_COUNT,
    GAIN_MAX_COUNTS,
    VOLTAGE_OFFSET_V_PER_COUNT,
    error_pct,
    gain,
    offset_for_zero,
)
from mfg.errors import AdjustmentError

positive = st.floats(min_value=1e-3, max_value=1e3)


@given(positive, positive, st.integers(1, GAIN_MAX_COUNTS))
def test_a_gain_is_the_nearest_count_or_refused(reference, measured, existing):
    try:
        counts = gain(reference, measured, existing)
    except AdjustmentError:
        assert not 1 <= round(reference / measured * existing) <= GAIN_MAX_COUNTS
    else:
        assert abs(counts - reference / measured * existing) <= 0.5


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_gain_needs_positive_finite_readings(bad):
    with pytest.raises(ValueError, match="reference="):
        gain(bad, 1.0, 100)
    with pytest.raises(ValueError, match="measured="):
        gain(1.0, bad, 100)


@pytest.mark.parametrize("existing", [0, -1, 65536])
def test_a_gain_needs_a_register_in_force(existing):
    with pytest.raises(ValueError, match="existing_counts"):
        gain(1.0, 1.0, existing)


def test_the_ends_of_the_gain_register_are_usable():
    assert gain(65535.0, 1.0, 1) == 65535
    assert gain(1.0, 65535.0, 65535) == 1
    with pytest.raises(AdjustmentError, match="65536 counts"):
        gain(65536.0, 1.0, 1)
    with pytest.raises(AdjustmentError, match="outside 1"):
        gain(1.0, 1e300, 1)
    with pytest.raises(AdjustmentError, match="inf counts"):
        gain(1e308, 1e-308, 1)


def test_a_small_zero_reading_is_left_alone():
    assert offset_for_zero(0.003, 0.010, CURRENT_OFFSET_A_PER_COUNT) == 0
    assert offset_for_zero(0.010, 0.010, CURRENT_OFFSET_A_PER_COUNT) == 0


def test_a_real_offset_is_taken_away_in_full():
    counts = offset_for_zero(0.040, 0.010, CURRENT_OFFSET_A_PER_COUNT)
    assert counts == -20480
    assert offset_for_zero(0.5, 0.1, VOLTAGE_OFFSET_V_PER_COUNT) == math.floor(-0.5 / 19.53125e-6)


def test_an_offset_beyond_the_register_is_refused():
    assert offset_for_zero(0.064, 0.010, CURRENT_OFFSET_A_PER_COUNT) == -32768
    with pytest.raises(AdjustmentError, match="below -32768"):
        offset_for_zero(0.0641, 0.010, CURRENT_OFFSET_A_PER_COUNT)


@pytest.mark.parametrize("bad", [-0.001, math.nan, math.inf])
def test_a_zero_reading_is_no_negative_number(bad):
    with pytest.raises(ValueError, match="zero="):
        offset_for_zero(bad, 0.01, CURRENT_OFFSET_A_PER_COUNT)


def test_an_offset_needs_a_limit_and_a_scale():
    with pytest.raises(ValueError, match="limit="):
        offset_for_zero(0.1, 0.0, CURRENT_OFFSET_A_PER_COUNT)
    with pytest.raises(ValueError, match="unit_per_count="):
        offset_for_zero(0.1, 0.01, 0.0)


def test_an_error_is_relative_to_the_reference():
    assert error_pct(101.0, 100.0) == pytest.approx(1.0)
    assert error_pct(0.0, 100.0) == -100.0
    for measured, reference in ((math.nan, 1.0), (1.0, 0.0), (1.0, math.nan)):
        with pytest.raises(ValueError, match="reference="):
            error_pct(measured, reference)
