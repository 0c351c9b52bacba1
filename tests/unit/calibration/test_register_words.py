"""Raw words of the metering chip."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.gains import gain
from mfg.calibration.registers import fitted, power_w, rms_counts, signed, twos_complement
from mfg.errors import AdjustmentError


def test_the_makers_voltage_example_comes_out_of_the_raw_words_only():
    """Atmel-46103A 4.2.6: UrmsA 3039H, low word's high byte 43H, gain 8000H, reference 220.00 V."""
    measured_v = rms_counts(0x3039, 0x4300) * 0.01
    assert gain(220.00, measured_v, 0x8000) == 0xE41B
    assert gain(220.00, 123.453, 0x8000) == 0xE41A


def test_the_low_byte_of_a_low_word_does_not_count():
    assert rms_counts(1, 0x80FF) == 1.5


@pytest.mark.parametrize("words", [(-1, 0), (0x10000, 0), (0, 0x10000)])
def test_a_word_beyond_16_bits_is_refused(words):
    with pytest.raises(ValueError, match="16-bit"):
        rms_counts(*words)
    with pytest.raises(ValueError, match="16-bit"):
        power_w(*words)


def test_power_is_signed_over_both_words():
    assert power_w(0, 100) == pytest.approx(0.032)
    assert power_w(0xFFFF, 0xFFFF) == pytest.approx(-0.00032)
    assert power_w(0x8000, 0) == pytest.approx(-(2**31) * 0.00032)


@given(st.integers(-0x8000, 0x7FFF))
def test_twos_complement_returns_what_went_in(value):
    assert signed(twos_complement(value)) == value


@pytest.mark.parametrize("value", [-0x8001, 0x8000])
def test_a_number_beyond_a_signed_word_is_refused(value):
    with pytest.raises(ValueError, match="does not fit"):
        twos_complement(value)


@given(st.floats())
def test_a_correction_fits_or_is_refused_and_is_never_clamped(exact):
    try:
        counts = fitted(exact, -10, 10, "The correction")
    except AdjustmentError:
        assert not math.isfinite(exact) or abs(round(exact)) > 10
    else:
        assert counts == round(exact)
        assert -10 <= counts <= 10
