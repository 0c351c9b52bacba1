"""Number formats of the ATM90E32AS: raw words to SI units and back; no bus, no chip.

Source: Atmel-46003B (datasheet) 5.4; Atmel-46103A (application note) 4.2.5 to 4.2.7.
"""

from __future__ import annotations

import math

from mfg.errors import AdjustmentError

CURRENT_A_PER_COUNT = 0.001
VOLTAGE_V_PER_COUNT = 0.01
POWER_W_PER_COUNT = 0.00032
CURRENT_CEILING_A = 65.535  # 16 bits of 1 mA
WORD_MAX = 0xFFFF
SIGNED_MIN, SIGNED_MAX = -0x8000, 0x7FFF
LOW_WORD_STEPS = 256  # of a low word only the high byte is valid
_SIGNED_32_RANGE = 1 << 32


def rms_counts(main: int, low: int) -> float:
    """Join an RMS register with its low word.

    Args:
        main: Main register, 0 to 65535.
        low: Low word, 0 to 65535; its low byte is not valid and is left out.

    Returns:
        The value in steps of the main register, with a resolution of 1/256.

    Raises:
        ValueError: A word does not fit 16 bits.
    """
    _check_words(main, low)
    return main + (low >> 8) / LOW_WORD_STEPS


def power_w(high: int, low: int) -> float:
    """Join the two words of a mean power register, in W, var or VA; a word beyond 16 bits is a ValueError."""
    _check_words(high, low)
    joined = high << 16 | low
    return (joined - _SIGNED_32_RANGE if high & 0x8000 else joined) * POWER_W_PER_COUNT


def signed(word: int) -> int:
    """Read a 16-bit word as two's complement; a word beyond 16 bits is a ValueError."""
    _check_words(word)
    return word - 0x10000 if word & 0x8000 else word


def twos_complement(value: int) -> int:
    """Write a number from -32768 to 32767 as a 16-bit word; anything else is a ValueError."""
    if not SIGNED_MIN <= value <= SIGNED_MAX:
        raise ValueError(f"{value} does not fit a signed 16-bit word")
    return value & WORD_MAX


def fitted(exact: float, low: int, high: int, what: str) -> int:
    """Round a correction to the nearest count that its register holds.

    Args:
        exact: The correction, in counts.
        low: Smallest count the register holds.
        high: Largest count the register holds.
        what: What the sentence of the error begins with, for example "The power gain".

    Returns:
        `exact`, rounded to nearest.

    Raises:
        AdjustmentError: The result does not fit the register, or is no number; never clamped.
    """
    if not (math.isfinite(exact) and low <= round(exact) <= high):
        raise AdjustmentError(f"{what} would be {exact:.0f} counts, outside {low} to {high}.")
    return round(exact)


def _check_words(*words: int) -> None:
    if not all(0 <= word <= WORD_MAX for word in words):
        raise ValueError(f"{words} are not 16-bit words")
