"""Power gain, offsets from raw readings, thresholds and the pulse constant."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.power_registers import (
    mean_power_w,
    power_gain,
    power_gain_from_error,
    power_offset,
    pulse_constant,
    rms_offset,
    startup_power_w,
    startup_threshold,
)
from mfg.calibration.registers import twos_complement
from mfg.errors import AdjustmentError


def test_the_makers_power_gain_example_comes_out():
    """Atmel-46103A 4.2.7: -13.78 % at PF 1."""
    assert twos_complement(power_gain_from_error(-0.1378)) == 0x1475
    assert power_gain(1000.0, 862.2) == 0x1475


def test_a_power_gain_in_force_is_multiplied():
    assert power_gain(1000.0, 1000.0, 0x1475) == 0x1475
    assert power_gain(-1000.0, -1000.0) == 0


@given(st.floats(0.51, 1.99), st.integers(-3000, 3000))
def test_a_power_gain_is_the_nearest_count_or_refused(ratio, existing):
    exact = (32768 + existing) * ratio - 32768
    try:
        counts = power_gain(ratio, 1.0, existing)
    except AdjustmentError:
        assert round(exact) > 32767
    else:
        assert abs(counts - exact) <= 0.5 + 1e-6


@pytest.mark.parametrize("pair", [(0.0, 1.0), (1.0, 0.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_a_power_gain_needs_two_powers_of_one_sign(pair):
    with pytest.raises(ValueError, match="reference_w="):
        power_gain(*pair)


def test_a_power_gain_needs_a_register_in_force():
    for existing in (-32768, 32768):
        with pytest.raises(ValueError, match="existing_counts"):
            power_gain(1.0, 1.0, existing)


def test_a_power_gain_beyond_the_register_is_refused():
    assert power_gain(2.0 - 1 / 32768, 1.0) == 32767
    with pytest.raises(AdjustmentError, match="32768 counts, outside -32768 to 32767"):
        power_gain(2.0, 1.0)
    with pytest.raises(AdjustmentError, match="The power gain would be"):
        power_gain_from_error(-0.9)


@pytest.mark.parametrize("error", [-1.0, -2.0, math.nan, math.inf])
def test_no_gain_cures_a_power_that_is_not_there(error):
    with pytest.raises(ValueError, match="error_ratio"):
        power_gain_from_error(error)


def test_an_rms_offset_is_the_mean_shifted_right_by_seven():
    """Atmel-46103A 4.2.5: 1 mA is 1 in the main register, 65536 in the joined one, 512 counts."""
    assert rms_offset([0x0001_0000, 0x0001_0000]) == -512
    assert twos_complement(rms_offset([0x0001_0000])) == 0xFE00
    assert rms_offset([0]) == 0


def test_a_power_offset_is_minus_the_mean_without_a_shift():
    assert power_offset([100, 102]) == -101
    assert power_offset([-50]) == 50


def test_offsets_beyond_the_register_are_refused():
    assert rms_offset([32768 << 7]) == -32768
    with pytest.raises(AdjustmentError, match="-32769 counts"):
        rms_offset([32769 << 7])
    with pytest.raises(AdjustmentError, match="The power offset"):
        power_offset([40000])


@pytest.mark.parametrize("readings", [[], [-1], [2**32]])
def test_readings_that_do_not_fit_32_bits_are_refused(readings):
    with pytest.raises(ValueError, match="cannot average"):
        rms_offset(readings)


def test_a_power_reading_that_does_not_fit_32_bits_is_refused():
    with pytest.raises(ValueError, match="cannot average"):
        power_offset([-(2**31) - 1])


def test_the_makers_startup_thresholds_come_out():
    """Atmel-46103A 5.1: 220 V, 5 A, 0.1 %; half of it for three phases, a tenth for one."""
    assert startup_power_w(220.0, 5.0, 0.001, 3) * 0.5 == pytest.approx(1.65)
    assert startup_threshold(startup_power_w(220.0, 5.0, 0.001, 3) * 0.5) == 0x1424
    assert startup_threshold(startup_power_w(220.0, 5.0, 0.001) * 0.1) == 0x158


@pytest.mark.parametrize(
    "arguments", [(0.0, 5.0, 0.001, 1), (220.0, -5.0, 0.001, 1), (220.0, 5.0, 2.0, 1), (220.0, 5.0, 0.1, 4)]
)
def test_a_startup_power_needs_sensible_figures(arguments):
    with pytest.raises(ValueError, match="voltage_v="):
        startup_power_w(*arguments)


def test_a_startup_power_is_finite():
    with pytest.raises(ValueError, match="voltage_v=inf"):
        startup_power_w(math.inf, 5.0, 0.1)


def test_a_threshold_is_not_negative_and_fits():
    assert startup_threshold(0.0) == 0
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="threshold_w"):
            startup_threshold(bad)
    with pytest.raises(AdjustmentError, match="The start-up threshold"):
        startup_threshold(21.0)


def test_the_makers_pulse_constant_comes_out():
    """Atmel-46103A 4.2.2: 3200 impulses per kWh; the note's hex has two digits exchanged."""
    assert pulse_constant(3200) == (0x0861, 0xC468)
    for bad in (0, -3200):
        with pytest.raises(ValueError, match="impulses_per_kwh"):
            pulse_constant(bad)
    with pytest.raises(AdjustmentError, match="The PL constant"):
        pulse_constant(1)


def test_impulses_are_energy():
    assert mean_power_w(3200, 3200, 3600.0) == pytest.approx(1000.0)
    for arguments in ((-1, 3200, 1.0), (1, 0, 1.0), (1, 3200, 0.0), (1, 3200, math.nan)):
        with pytest.raises(ValueError, match="impulses="):
            mean_power_w(*arguments)
