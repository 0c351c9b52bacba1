"""Pair the DUT's averaging windows with the reference's readings in time.

Both are stamped with one clock. The mains drifts by 0.03 % within a second: a reading taken a second
later carries that into the gain, while the reference interpolated to the window's centre leaves 27 ppm.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW_CYCLES = 16  # Source: Atmel-46003B (datasheet), 3.6: RMS registers average 16 line cycles.


@dataclass(frozen=True)
class Sample:
    """One reading of the reference.

    Attributes:
        t_s: Bench time at the middle of what the reading averages, in s.
        values: Voltage in V and current in A, or whatever else is to be interpolated alike.
    """

    t_s: float
    values: tuple[float, ...]


def window_s(frequency_hz: float) -> float:
    """Return the length of the DUT's averaging window, in s; 0.32 s at 50 Hz."""
    if not 40.0 <= frequency_hz <= 70.0:
        raise ValueError(f"{frequency_hz=}")
    return WINDOW_CYCLES / frequency_hz


def interpolated(samples: Sequence[Sample], t_s: float) -> tuple[float, ...] | None:
    """Interpolate the reference at one time.

    Args:
        samples: Readings in ascending time.
        t_s: Bench time at the centre of a DUT window, in s.

    Returns:
        Values in the order of `Sample.values`, or None when `t_s` lies outside the readings: nothing is
        extrapolated.
    """
    times = [sample.t_s for sample in samples]
    after = bisect.bisect_left(times, t_s)
    if after < len(samples) and times[after] == t_s:
        return samples[after].values
    if after == 0 or after == len(samples):
        return None
    low, high = samples[after - 1], samples[after]
    share = (t_s - low.t_s) / (high.t_s - low.t_s)
    return tuple(a + (b - a) * share for a, b in zip(low.values, high.values, strict=True))


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one finite value."""
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"cannot average {list(values)!r}")
    return math.fsum(values) / len(values)


def away_pct(values: Sequence[float]) -> float:
    """Return by how much one of some positive readings is away from their mean at most, in percent."""
    middle = mean(values)
    if middle <= 0:
        raise ValueError(f"cannot relate a distance to a mean of {middle}")
    return max(abs(value - middle) for value in values) / middle * 100.0


def spread_pct(values: Sequence[float]) -> float:
    """Return the span of some positive readings relative to their mean, in percent."""
    middle = mean(values)
    if middle <= 0:
        raise ValueError(f"cannot relate a span to a mean of {middle}")
    return (max(values) - min(values)) / middle * 100.0
