"""Gain and offset registers of the ATM90E32AS in closed form.

Never iterated, never clamped: one multiplication per register, rounded to nearest.
"""

from __future__ import annotations

import math

from mfg.errors import AdjustmentError

GAIN_MAX_COUNTS = 65535
OFFSET_MIN_COUNTS, OFFSET_MAX_COUNTS = -32768, 32767
# One offset count is 128/65536 of the RMS register's least significant bit.
CURRENT_OFFSET_A_PER_COUNT = 0.001 * 128 / 65536
VOLTAGE_OFFSET_V_PER_COUNT = 0.01 * 128 / 65536


def gain(reference: float, measured: float, existing_counts: int) -> int:
    """Compute the gain register that makes the DUT indicate the reference.

    Args:
        reference: Mean of the reference over the DUT's windows, in V or A, > 0.
        measured: Mean of what the DUT indicated in those windows, in the same unit, > 0.
        existing_counts: Gain register in force during those windows, 1 to 65535.

    Returns:
        New register value in counts, rounded to nearest, 1 to 65535.

    Raises:
        ValueError: An argument is outside its range.
        AdjustmentError: The result does not fit the register; never clamped.

    Source:
        Atmel-46103A (M90E32AS application note), 4.2.6, "New Voltage Gain".
    """
    if not (_positive(reference) and _positive(measured)) or not 1 <= existing_counts <= GAIN_MAX_COUNTS:
        raise ValueError(f"{reference=}, {measured=}, {existing_counts=}")
    exact = reference / measured * existing_counts
    if not (math.isfinite(exact) and 1 <= round(exact) <= GAIN_MAX_COUNTS):
        raise AdjustmentError(f"The gain would be {exact:.0f} counts, outside 1 to {GAIN_MAX_COUNTS}.")
    return round(exact)


def offset_for_zero(zero: float, limit: float, unit_per_count: float) -> int:
    """Compute the offset register from a zero reading; 0 unless the reading exceeds its limit.

    A noise floor adds in quadrature and vanishes under load, but the register subtracts linearly: an
    offset that hides a small zero reading costs 0.3 % at 1 A. So it is used for a real offset only.

    Args:
        zero: Mean zero reading, in A or V, >= 0.
        limit: Largest zero reading that is left alone, in the same unit, > 0.
        unit_per_count: `CURRENT_OFFSET_A_PER_COUNT` or `VOLTAGE_OFFSET_V_PER_COUNT`.

    Returns:
        Signed register value in counts, -32768 to 0.

    Raises:
        ValueError: An argument is outside its range.
        AdjustmentError: The result does not fit the register; never clamped.

    Source:
        Atmel-46103A, 4.2.5: shift right by 7, two's complement; "not needed when very small".
    """
    if not (math.isfinite(zero) and zero >= 0 and _positive(limit) and _positive(unit_per_count)):
        raise ValueError(f"{zero=}, {limit=}, {unit_per_count=}")
    if zero <= limit:
        return 0
    exact = -zero / unit_per_count
    if exact < OFFSET_MIN_COUNTS:
        raise AdjustmentError(f"The offset would be {exact:.0f} counts, below {OFFSET_MIN_COUNTS}.")
    return math.floor(exact)


def error_pct(measured: float, reference: float) -> float:
    """Compute the error of a reading relative to the reference, in percent; `reference` must be > 0."""
    if not _positive(reference) or not math.isfinite(measured):
        raise ValueError(f"{measured=}, {reference=}")
    return (measured / reference - 1.0) * 100.0


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
