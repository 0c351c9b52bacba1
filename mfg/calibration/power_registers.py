"""Power gain, offsets from raw readings, start-up thresholds and the pulse constant of the ATM90E32AS.

Closed form, rounded to nearest, never clamped.

Source: Atmel-46103A (M90E32AS application note), 4.2.2, 4.2.5, 4.2.7 and 5.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mfg.calibration.registers import POWER_W_PER_COUNT, SIGNED_MAX, SIGNED_MIN, WORD_MAX, fitted

POWER_GAIN_UNITY = 32768  # a register of 0 leaves the power as it is; one count is 1/32768
_PULSE_NUMERATOR = 450_000_000_000
_RMS_OFFSET_SHIFT = 7
_READING_MIN, _READING_MAX = -0x8000_0000, 0xFFFF_FFFF
_JOULES_PER_KWH = 3_600_000.0


def power_gain(reference_w: float, measured_w: float, existing_counts: int = 0) -> int:
    """Compute the power gain register that makes the DUT indicate the reference's power at PF 1.

    Args:
        reference_w: Mean power of the reference over the DUT's windows, in W, not 0.
        measured_w: Mean power that the DUT indicated in those windows, in W, of the same sign.
        existing_counts: Register in force during those windows, -32767 to 32767.

    Returns:
        New register value, signed, rounded to nearest.

    Raises:
        ValueError: An argument is outside its range.
        AdjustmentError: The result does not fit the register; never clamped.
    """
    usable = math.isfinite(reference_w) and math.isfinite(measured_w) and reference_w * measured_w > 0
    if not usable or not SIGNED_MIN < existing_counts <= SIGNED_MAX:
        raise ValueError(f"{reference_w=}, {measured_w=}, {existing_counts=}")
    exact = (POWER_GAIN_UNITY + existing_counts) * (reference_w / measured_w) - POWER_GAIN_UNITY
    return fitted(exact, SIGNED_MIN, SIGNED_MAX, "The power gain")


def power_gain_from_error(error_ratio: float) -> int:
    """Compute the power gain register from the error of power or energy at PF 1 with the register at 0.

    Args:
        error_ratio: Error as a ratio, above -1; -0.1378 for -13.78 %.

    Returns:
        New register value, signed, rounded to nearest; 5237 (1475H) for -13.78 %.

    Raises:
        ValueError: The error is -100 % or less, or no number.
        AdjustmentError: The result does not fit the register; never clamped.
    """
    if not (math.isfinite(error_ratio) and error_ratio > -1):
        raise ValueError(f"{error_ratio=}")
    return fitted(
        -error_ratio / (1 + error_ratio) * POWER_GAIN_UNITY, SIGNED_MIN, SIGNED_MAX, "The power gain"
    )


def rms_offset(readings: Sequence[int]) -> int:
    """Compute the offset register of a voltage or current from raw zero readings.

    Args:
        readings: Main register and low word of each window, joined to 32 bits, 0 to 0xFFFFFFFF.

    Returns:
        Signed register value: minus the mean, shifted right by 7.

    Raises:
        ValueError: No reading, or one that does not fit 32 bits.
        AdjustmentError: The result does not fit the register; never clamped.
    """
    shifted = _mean_reading(readings, 0) >> _RMS_OFFSET_SHIFT
    return fitted(-shifted, SIGNED_MIN, SIGNED_MAX, "The offset")


def power_offset(readings: Sequence[int]) -> int:
    """Compute the offset register of active or reactive power from raw readings with voltage, no current.

    Args:
        readings: Both words of each window as signed 32-bit numbers.

    Returns:
        Signed register value: minus the mean.

    Raises:
        ValueError: No reading, or one that does not fit 32 bits.
        AdjustmentError: The result does not fit the register; never clamped.
    """
    return fitted(-_mean_reading(readings, _READING_MIN), SIGNED_MIN, SIGNED_MAX, "The power offset")


def startup_power_w(voltage_v: float, current_a: float, start_ratio: float, phases: int = 1) -> float:
    """Return the power at which metering must have started.

    Args:
        voltage_v: Nominal voltage, in V, > 0.
        current_a: Basic current, in A, > 0.
        start_ratio: Starting current over basic current, 0 to 1; 0.001 for 0.1 %.
        phases: How many phases carry it, 1 to 3.

    Raises:
        ValueError: An argument is outside its range.
    """
    in_range = voltage_v > 0 and current_a > 0 and 0 < start_ratio <= 1 and 1 <= phases <= 3
    if not (in_range and math.isfinite(voltage_v * current_a)):
        raise ValueError(f"{voltage_v=}, {current_a=}, {start_ratio=}, {phases=}")
    return voltage_v * current_a * start_ratio * phases


def startup_threshold(threshold_w: float) -> int:
    """Compute a start-up threshold register; 1424H for 1.65 W, 158H for 0.11 W.

    Args:
        threshold_w: Power below which nothing is metered, in W, >= 0.

    Returns:
        Register value, rounded to nearest, 0 to 65535.

    Raises:
        ValueError: The power is negative or no number.
        AdjustmentError: The result does not fit the register; never clamped.
    """
    if not (math.isfinite(threshold_w) and threshold_w >= 0):
        raise ValueError(f"{threshold_w=}")
    return fitted(threshold_w / POWER_W_PER_COUNT, 0, WORD_MAX, "The start-up threshold")


def pulse_constant(impulses_per_kwh: int) -> tuple[int, int]:
    """Compute the two PL constant registers; 0861H and C468H for 3200 impulses per kWh.

    Args:
        impulses_per_kwh: Meter constant, > 0.

    Returns:
        High and low word.

    Raises:
        ValueError: The meter constant is not positive.
        AdjustmentError: The result does not fit 32 bits.
    """
    if impulses_per_kwh <= 0:
        raise ValueError(f"{impulses_per_kwh=}")
    constant = fitted(_PULSE_NUMERATOR / impulses_per_kwh, 1, _READING_MAX, "The PL constant")
    return constant >> 16, constant & WORD_MAX


def mean_power_w(impulses: int, impulses_per_kwh: int, seconds_s: float) -> float:
    """Return the mean power that a number of energy impulses stands for.

    Args:
        impulses: Impulses counted, >= 0.
        impulses_per_kwh: Meter constant, > 0.
        seconds_s: Time from the first edge to the last, in s, > 0.

    Raises:
        ValueError: An argument is outside its range.
    """
    if impulses < 0 or impulses_per_kwh <= 0 or not (math.isfinite(seconds_s) and seconds_s > 0):
        raise ValueError(f"{impulses=}, {impulses_per_kwh=}, {seconds_s=}")
    return impulses / impulses_per_kwh * _JOULES_PER_KWH / seconds_s


def _mean_reading(readings: Sequence[int], low: int) -> int:
    if not readings or not all(low <= reading <= _READING_MAX for reading in readings):
        raise ValueError(f"cannot average {list(readings)!r}")
    return round(sum(readings) / len(readings))
