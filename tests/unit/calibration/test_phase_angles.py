"""Phase registers."""

import cmath
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.phase_angles import (
    PHASE_MAX_COUNTS,
    angle_deg,
    angle_difference_deg,
    degrees_per_count,
    phase_counts,
    phase_counts_from_power_error,
    phase_from_register,
    phase_register,
    power_error_constant,
    power_error_pct,
)
from mfg.emulator.atm90e32 import _delayed
from mfg.emulator.front_end import ChipWindow, CurrentInput
from mfg.errors import AdjustmentError

NOTHING = CurrentInput(0.0, 0.0, 0j)


def indicated(power: complex, register: int, frequency_hz: float = 50.0) -> complex:
    """Return what the chip model makes of a power with a phase register."""
    window = ChipWindow(230.0, 0.0, (NOTHING, NOTHING, NOTHING), {1: 1.0}, frequency_hz)
    return _delayed(power, register, window)


def test_one_count_is_one_cycle_of_the_chips_clock():
    assert degrees_per_count(50.0) == pytest.approx(0.00879, abs=5e-6)
    assert degrees_per_count(60.0) == pytest.approx(0.01055, abs=5e-6)


def test_the_makers_constants_come_out():
    assert power_error_constant(50.0) == pytest.approx(3763.739, abs=5e-4)
    assert power_error_constant(60.0) == pytest.approx(3136.449, abs=5e-4)


def test_the_makers_phase_example_comes_out():
    """Atmel-46103A 4.2.7: +0.95 % at PF 0.5 lagging, 50 Hz."""
    assert phase_register(phase_counts_from_power_error(0.0095, 50.0)) == 0x24


def test_the_makers_example_agrees_with_the_angles():
    """The same meter, measured by its angle: 0.95 % high at 60 degrees is an angle that is too small."""
    measured_deg = math.degrees(math.acos(0.5 * 1.0095))
    assert phase_counts(60.0, measured_deg, 50.0) == pytest.approx(0x24, abs=1)


def test_the_register_makes_the_chip_model_indicate_the_loads_angle():
    for error_deg in (-2.2, -0.5, 0.3, 1.7):
        power = 1000.0 * cmath.exp(1j * math.radians(error_deg))
        counts = phase_counts(0.0, angle_deg(power.real, power.imag), 50.0)
        after = indicated(power, phase_register(counts))
        assert abs(angle_deg(after.real, after.imag)) <= degrees_per_count(50.0) / 2


def test_a_reversed_conductor_leads_to_the_same_register():
    power = 1000.0 * cmath.exp(1j * math.radians(-1.2))
    straight = phase_counts(0.0, angle_deg(power.real, power.imag), 50.0)
    turned = phase_counts(0.0, angle_deg(-power.real, -power.imag, direction=-1), 50.0)
    assert straight == turned > 0


def test_a_correction_in_force_is_kept_and_added_to():
    power = 1000.0 * cmath.exp(1j * math.radians(-1.2))
    first = phase_counts(0.0, angle_deg(power.real, power.imag), 60.0)
    after = indicated(power, phase_register(first), 60.0)
    assert phase_counts(0.0, angle_deg(after.real, after.imag), 60.0, first) == first


def test_a_phase_beyond_the_register_is_refused_and_never_clamped():
    largest_deg = 255 * degrees_per_count(50.0)
    assert phase_counts(0.0, -largest_deg, 50.0) == 255
    assert phase_counts(0.0, largest_deg, 50.0) == -255
    with pytest.raises(AdjustmentError, match=r"-2\.50 degrees off.*284 counts, outside -255 to 255"):
        phase_counts(0.0, -2.5, 50.0)
    assert phase_counts(0.0, -2.5, 60.0) == 237
    with pytest.raises(AdjustmentError, match="376 counts"):
        phase_counts_from_power_error(0.1, 50.0)


@given(st.integers(-PHASE_MAX_COUNTS, PHASE_MAX_COUNTS))
def test_a_register_returns_what_was_written(counts):
    word = phase_register(counts)
    assert phase_from_register(word) == counts
    assert bool(word & 0x8000) == (counts < 0)


@pytest.mark.parametrize("counts", [-256, 256])
def test_the_register_holds_eight_bits_of_magnitude(counts):
    with pytest.raises(ValueError, match="counts="):
        phase_register(counts)
    with pytest.raises(ValueError, match="existing_counts="):
        phase_counts(0.0, 0.0, 50.0, counts)


@pytest.mark.parametrize("word", [-1, 0x0100, 0x4000, 0x8100, 0x10000])
def test_a_word_with_other_bits_is_no_phase_register(word):
    with pytest.raises(ValueError, match="no phase register"):
        phase_from_register(word)


@given(st.floats(-2.2, 2.2), st.floats(-60.0, 60.0), st.sampled_from([50.0, 60.0]))
def test_the_correction_is_the_nearest_count(error_deg, load_deg, frequency_hz):
    counts = phase_counts(load_deg, load_deg + error_deg, frequency_hz)
    assert abs(counts * degrees_per_count(frequency_hz) + error_deg) <= degrees_per_count(frequency_hz) / 1.99


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_an_angle_is_within_half_a_turn(active_w, reactive_var):
    if active_w == reactive_var == 0:
        with pytest.raises(ValueError, match="active_w"):
            angle_deg(active_w, reactive_var)
    else:
        assert -180.0 <= angle_deg(active_w, reactive_var) <= 180.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(bad):
    for call in (
        lambda: angle_deg(bad, 1.0),
        lambda: angle_deg(1.0, bad),
        lambda: angle_difference_deg(bad, 0.0),
        lambda: angle_difference_deg(0.0, bad),
        lambda: phase_counts_from_power_error(bad, 50.0),
        lambda: degrees_per_count(bad),
        lambda: power_error_pct(bad, 0.0),
        lambda: power_error_pct(0.0, bad),
    ):
        with pytest.raises(ValueError, match="="):
            call()


def test_a_direction_is_one_way_or_the_other():
    with pytest.raises(ValueError, match="direction=0"):
        angle_deg(1.0, 1.0, 0)


def test_a_difference_of_angles_knows_the_turn():
    assert angle_difference_deg(179.0, -179.0) == pytest.approx(-2.0)


def test_a_degree_of_phase_costs_three_percent_of_power_at_half_power_factor():
    assert power_error_pct(-1.0, 60.0) == pytest.approx(3.0, abs=0.01)
    assert power_error_pct(-1.0, 0.0) == pytest.approx(-0.015, abs=0.001)
    with pytest.raises(ValueError, match="load_angle_deg"):
        power_error_pct(1.0, 90.0)
