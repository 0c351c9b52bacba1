"""Phase registers of the ATM90E32AS in closed form, from active and reactive power.

An angle counts from the voltage to the current and is positive for a lagging current: atan2(Q, P). A
positive register delays the current, so it adds to the angle that the DUT indicates. Never clamped.

Source: Atmel-46103A (M90E32AS application note), 4.2.7. It asks for 24H when a meter at PF 0.5 lagging
reads 0.95 % high, so a positive number makes the current lag more.
"""

from __future__ import annotations

import math

from mfg.calibration.registers import WORD_MAX, fitted

PHASE_CLOCK_HZ = 2_048_000.0
PHASE_MAX_COUNTS = 255  # the application note limits the magnitude to eight bits
VOLTAGE_DELAYED = 0x8000  # bit 15: the voltage is delayed, not the current
_HALF_TURN_DEG = 180.0
_TURN_DEG = 360.0
_NOTE_ANGLE_RAD = math.pi / 3  # PF 0.5


def degrees_per_count(frequency_hz: float) -> float:
    """Return what one count of the phase register turns, in degrees; 0.00879 at 50 Hz, 0.01055 at 60 Hz.

    Args:
        frequency_hz: Mains frequency, in Hz, 40 to 70.

    Raises:
        ValueError: No mains has this frequency.
    """
    if not 40.0 <= frequency_hz <= 70.0:
        raise ValueError(f"{frequency_hz=}")
    return _TURN_DEG * frequency_hz / PHASE_CLOCK_HZ


def angle_deg(active_w: float, reactive_var: float, direction: int = 1) -> float:
    """Return the phase angle of a port from its power.

    Args:
        active_w: Mean or sum of the active power over the windows, in W.
        reactive_var: Mean or sum of the reactive power over the same windows, in var.
        direction: 1 where the conductor runs so that the power is positive, -1 where it is negative by
            the way the conductor runs or the CT faces.

    Returns:
        The angle, in degrees, -180 to 180, positive for a lagging current.

    Raises:
        ValueError: A power is not finite, both are zero, or `direction` is neither 1 nor -1.
    """
    if not (math.isfinite(active_w) and math.isfinite(reactive_var)) or active_w == reactive_var == 0:
        raise ValueError(f"{active_w=}, {reactive_var=}")
    if direction not in (1, -1):
        raise ValueError(f"{direction=}")
    return math.degrees(math.atan2(direction * reactive_var, direction * active_w))


def angle_difference_deg(first_deg: float, second_deg: float) -> float:
    """Return the first angle less the second, in degrees, -180 to 180; both must be finite."""
    if not (math.isfinite(first_deg) and math.isfinite(second_deg)):
        raise ValueError(f"{first_deg=}, {second_deg=}")
    return math.remainder(first_deg - second_deg, _TURN_DEG)


def phase_counts(
    reference_deg: float, measured_deg: float, frequency_hz: float, existing_counts: int = 0
) -> int:
    """Compute the phase correction that makes the DUT indicate the reference's angle.

    Args:
        reference_deg: True angle of the load, in degrees, positive for a lagging current.
        measured_deg: Angle that the DUT indicated, in degrees; see `angle_deg`.
        frequency_hz: Mains frequency, in Hz, 40 to 70.
        existing_counts: Correction in force while the DUT measured, -255 to 255.

    Returns:
        The new correction in counts, rounded to nearest, -255 to 255; negative delays the voltage.
        `phase_register` gives the word to write.

    Raises:
        ValueError: An argument is outside its range.
        AdjustmentError: The result does not fit the register; never clamped.
    """
    if abs(existing_counts) > PHASE_MAX_COUNTS:
        raise ValueError(f"{existing_counts=}")
    difference_deg = angle_difference_deg(reference_deg, measured_deg)
    exact = existing_counts + difference_deg / degrees_per_count(frequency_hz)
    what = f"The phase angle is {-difference_deg:+.2f} degrees off: the phase correction"
    return fitted(exact, -PHASE_MAX_COUNTS, PHASE_MAX_COUNTS, what)


def phase_counts_from_power_error(error_ratio: float, frequency_hz: float) -> int:
    """Compute the phase correction from the error of the power at PF 0.5 lagging, as the maker does.

    Args:
        error_ratio: Error of the active power after the power gain was adjusted, as a ratio; 0.0095 for
            +0.95 %.
        frequency_hz: Mains frequency, in Hz, 40 to 70.

    Returns:
        The correction in counts, rounded to nearest, -255 to 255.

    Raises:
        ValueError: An argument is outside its range.
        AdjustmentError: The result does not fit the register; never clamped.

    Source:
        Atmel-46103A, 4.2.7: 3763.739 at 50 Hz, 3136.449 at 60 Hz.
    """
    if not math.isfinite(error_ratio):
        raise ValueError(f"{error_ratio=}")
    exact = error_ratio * power_error_constant(frequency_hz)
    return fitted(exact, -PHASE_MAX_COUNTS, PHASE_MAX_COUNTS, "The phase correction")


def power_error_constant(frequency_hz: float) -> float:
    """Return counts of phase per unit of power error at PF 0.5; `frequency_hz` as in `degrees_per_count`."""
    return math.degrees(1 / math.tan(_NOTE_ANGLE_RAD)) / degrees_per_count(frequency_hz)


def phase_register(counts: int) -> int:
    """Write a phase correction as the register holds it: magnitude, and bit 15 for a delayed voltage.

    Args:
        counts: -255 to 255; anything else is a ValueError.

    Returns:
        The word, 0 to 255 or 8001H to 80FFH.
    """
    if abs(counts) > PHASE_MAX_COUNTS:
        raise ValueError(f"{counts=}")
    return -counts | VOLTAGE_DELAYED if counts < 0 else counts


def phase_from_register(word: int) -> int:
    """Read a phase register as counts, -255 to 255; bits between 14 and 8 are a ValueError."""
    magnitude = word & ~VOLTAGE_DELAYED
    if not 0 <= word <= WORD_MAX or magnitude > PHASE_MAX_COUNTS:
        raise ValueError(f"{word:#06x} is no phase register")
    return -magnitude if word & VOLTAGE_DELAYED else magnitude


def power_error_pct(angle_error_deg: float, load_angle_deg: float) -> float:
    """Return what an error of the angle makes of the active power, in percent of it.

    Args:
        angle_error_deg: What the DUT indicates less what is true, in degrees.
        load_angle_deg: True angle of the load, in degrees, between -90 and 90.

    Raises:
        ValueError: The load takes no active power.
    """
    if not abs(load_angle_deg) < _HALF_TURN_DEG / 2 or not math.isfinite(angle_error_deg):
        raise ValueError(f"{angle_error_deg=}, {load_angle_deg=}")
    seen = math.cos(math.radians(load_angle_deg + angle_error_deg))
    return (seen / math.cos(math.radians(load_angle_deg)) - 1.0) * 100.0
