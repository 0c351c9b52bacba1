"""What the emulated power meter measures: one update from the plant's truth, its ranges, its numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

DISPLAY_DIGITS = 5  # from the captured replies: 127.58E+00, 240.02E-03
SUPPRESSED_PCT = 0.5  # of the range: what is smaller reads 0 (crest factor 3)
OVER_RANGE_PCT = 140.0  # of the range (crest factor 3)
UP_RANGE_PCT = 130.0
DOWN_RANGE_PCT = 30.0
DOWN_RANGE_FIT_PCT = 125.0  # of the next lower range

VOLTAGE_RANGES_V = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0)
CURRENT_RANGES_A = (5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 200e-3, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)

FREQUENCY_RATING_HZ = 99.0  # three decimals, as captured
POWER_FACTOR_RATING = 1.0
ANGLE_RATING_DEG = 360.0


class Truth(Protocol):
    """Means over a window, as the plant returns them."""

    @property
    def voltage_v(self) -> float: ...

    @property
    def current_a(self) -> float: ...

    @property
    def active_w(self) -> float: ...

    @property
    def reactive_var(self) -> float: ...


@dataclass(frozen=True)
class Sample:
    """What the meter's converters saw over one update period, its own errors included."""

    voltage_v: float
    current_a: float
    active_w: float
    reactive_var: float
    frequency_hz: float


def measure(truth: Truth, frequency_hz: float, gain_error_pct: float, noise_pct: float, key: str) -> Sample:
    """Apply the meter's gain error and noise to the truth.

    Args:
        truth: Means over the update period.
        frequency_hz: Mains frequency, in Hz.
        gain_error_pct: Of the voltage and of the current channel, in %.
        noise_pct: Standard deviation of either channel from update to update, in %.
        key: Seed and update, so that an update always has the same noise.
    """
    generator = random.Random(key)
    voltage_gain = 1 + (gain_error_pct + noise_pct * generator.gauss(0, 1)) / 100
    current_gain = 1 + (gain_error_pct + noise_pct * generator.gauss(0, 1)) / 100
    return Sample(
        truth.voltage_v * voltage_gain,
        truth.current_a * current_gain,
        truth.active_w * voltage_gain * current_gain,
        truth.reactive_var * voltage_gain * current_gain,
        frequency_hz,
    )


def mean_sample(samples: list[Sample]) -> Sample:
    """Return the mean of the samples, for linear averaging."""
    count = len(samples)
    return Sample(
        sum(sample.voltage_v for sample in samples) / count,
        sum(sample.current_a for sample in samples) / count,
        sum(sample.active_w for sample in samples) / count,
        sum(sample.reactive_var for sample in samples) / count,
        sum(sample.frequency_hz for sample in samples) / count,
    )


def rectified_mean_share(harmonics_pct: Mapping[str, float]) -> float:
    """Return what the rectified mean shows of an RMS value, in the scale that makes them equal for a sine.

    Args:
        harmonics_pct: By odd order, in % of the fundamental; all cross zero with it.
    """
    parts = {int(order): pct / 100 for order, pct in harmonics_pct.items()}
    mean = 1 + sum(part / order for order, part in parts.items())
    return mean / math.sqrt(1 + sum(part**2 for part in parts.values()))


class RangeSetting:
    """The range of one input, chosen by hand or by the meter.

    Source:
        IM WT310E-01EN p. 2-7 and 2-17, GPM-8310 data sheet: what the crest factors 3, 6 and 6A change.
    """

    def __init__(self, nominal: tuple[float, ...]) -> None:
        self._nominal = nominal
        self._index = len(nominal) - 1
        self.crest_factor = 3
        self._stretched = False
        self.automatic = True

    def set_crest_factor(self, crest_factor: int, stretched: bool) -> None:
        """Set the crest factor, which selects the largest range.

        Args:
            crest_factor: 3 or 6.
            stretched: Whether it is 6A, which measures twice as far beyond its range as 6.
        """
        self.crest_factor, self._stretched = crest_factor, stretched
        self._index = len(self._nominal) - 1

    def available(self) -> tuple[float, ...]:
        """Return the ranges, in V or A; crest factor 6 halves them."""
        return tuple(value * 3 / self.crest_factor for value in self._nominal)

    @property
    def value(self) -> float:
        """The range in force, in V or A."""
        return self.available()[self._index]

    def select(self, value: float) -> bool:
        """Choose a range by its value and leave automatic; False when there is no such range."""
        for index, candidate in enumerate(self.available()):
            if math.isclose(candidate, value, rel_tol=1e-6):
                self._index = index
                self.automatic = False
                return True
        return False

    def _limit_scale(self) -> float:
        """Return by how much crest factor 6A stretches the upper limits."""
        return 2.0 if self._stretched else 1.0

    def over(self, rms: float) -> bool:
        """Return whether an RMS value exceeds what the range can measure."""
        return rms > self.value * OVER_RANGE_PCT / 100 * self._limit_scale()

    def peak_over(self, rms: float) -> bool:
        """Return whether the peak of a sine exceeds the range times the crest factor."""
        return rms * math.sqrt(2) > self.value * self.crest_factor

    def suppressed(self, rms: float) -> float:
        """Return the RMS value, or 0 where the meter shows 0."""
        return 0.0 if rms < self.value * SUPPRESSED_PCT / 100 * self.crest_factor / 3 else rms

    def follow(self, rms: float) -> bool:
        """Change the range by one step up or down to the fit; return whether it changed."""
        before = self._index
        if rms > self.value * UP_RANGE_PCT / 100 * self._limit_scale():
            self._index = min(self._index + 1, len(self._nominal) - 1)
            return self._index != before
        scale = DOWN_RANGE_FIT_PCT / 100
        while (
            self._index > 0
            and rms <= self.value * DOWN_RANGE_PCT / 100
            and rms <= self.available()[self._index - 1] * scale
        ):
            self._index -= 1
        return self._index != before


@dataclass(frozen=True)
class Reading:
    """The numbers of one update as the meter reports them."""

    end_s: float  # bench time at which the update period ended
    values: dict[str, float]
    ratings: dict[str, float]
    voltage_over: bool = False
    current_over: bool = False
    voltage_peak_over: bool = False
    current_peak_over: bool = False

    def text(self, item: str) -> str:
        """Return one item in the form of the ASCII output."""
        return engineering(self.values.get(item, math.nan), self.ratings.get(item, 1.0))


def make_reading(
    end_s: float,
    sample: Sample,
    voltage: RangeSetting,
    current: RangeSetting,
    synchronised: str,
    shares: tuple[float, float],
) -> Reading:
    """Judge a sample by the ranges and derive what a power meter derives.

    Args:
        end_s: Bench time at which the update period ended, in s.
        sample: The averaged sample.
        voltage: Range of the voltage input.
        current: Range of the current input.
        synchronised: "VOLT", "CURR" or "OFF": the signal whose frequency is measured.
        shares: What the measurement mode shows of the RMS values of voltage and current; it changes no power.
    """
    shown_v, shown_a = sample.voltage_v * shares[0], sample.current_a * shares[1]
    voltage_over, current_over = voltage.over(shown_v), current.over(shown_a)
    voltage_v = math.inf if voltage_over else voltage.suppressed(shown_v)
    current_a = math.inf if current_over else current.suppressed(shown_a)
    over = voltage_over or current_over
    voltage_there = voltage.suppressed(sample.voltage_v) > 0
    current_there = current.suppressed(sample.current_a) > 0
    present = voltage_there and current_there
    apparent_va = math.inf if over else voltage_v * current_a
    active_w = math.inf if over else sample.active_w if present else 0.0
    reactive_var = math.inf if over else sample.reactive_var if present else 0.0
    angle_deg = math.nan
    power_factor = math.nan
    if present and not over:
        angle_deg = math.degrees(math.atan2(sample.reactive_var, sample.active_w))
        power_factor = math.cos(math.radians(angle_deg))
    values = {
        "U": voltage_v,
        "I": current_a,
        "P": active_w,
        "S": apparent_va,
        "Q": reactive_var,
        "LAMBDA": power_factor,
        "PHI": angle_deg,
        "FU": sample.frequency_hz if synchronised == "VOLT" and voltage_there else math.nan,
        "FI": sample.frequency_hz if synchronised == "CURR" and current_there else math.nan,
    }
    power_rating = voltage.value * current.value
    ratings = {
        "U": voltage.value,
        "I": current.value,
        **dict.fromkeys(("P", "S", "Q"), power_rating),
        "LAMBDA": POWER_FACTOR_RATING,
        "PHI": ANGLE_RATING_DEG,
        **dict.fromkeys(("FU", "FI"), FREQUENCY_RATING_HZ),
    }
    return Reading(
        end_s,
        values,
        ratings,
        voltage_over,
        current_over,
        voltage.peak_over(sample.voltage_v),
        current.peak_over(sample.current_a),
    )


def engineering(value: float, rating: float) -> str:
    """Write a value with an exponent that is a multiple of three and the resolution of its rating.

    Args:
        value: In SI units; infinite means over range, not a number means no data.
        rating: Full scale in the same unit: it fixes the exponent and the number of decimals, so
            0.24002 A reads `240.02E-03` in a range of 0.5 A and `0.2400E+00` in one of 1 A.

    Source:
        Physical capture of a GPM-8213: 127.58E+00 V, 240.02E-03 A, 17.688E+00 W, 0.5776E+00.
    """
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    magnitude = math.floor(math.log10(rating) + 1e-9)
    exponent = 3 * (magnitude // 3)
    decimals = DISPLAY_DIGITS - 1 - (magnitude - exponent)
    scaled = value / 10.0**exponent
    return f"{scaled:.{decimals}f}E{exponent:+03d}"


def setting(value: float) -> str:
    """Write a setting such as a range or the update rate: `300.0E+00`, `500.0E-03`."""
    magnitude = math.floor(math.log10(value) + 1e-9)
    exponent = 3 * (magnitude // 3)
    return f"{value / 10.0**exponent:.1f}E{exponent:+03d}"
