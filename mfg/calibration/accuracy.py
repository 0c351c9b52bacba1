"""How far a reference meter may be off, by model, range and reading.

The limits are the makers' specifications, as data with a source in `accuracy_tables.toml`. A reading
outside of what a specification covers has no limit: it is refused, never extrapolated.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from mfg.errors import StationError
from mfg.untrusted import SETTINGS_LIMIT_BYTES, parse_toml, read_bounded

SCHEMA = 1
_TABLES = Path(__file__).with_name("accuracy_tables.toml")
_REINSTALL = "Install the station again, or run it from a complete checkout."

Quantity = Literal["voltage", "current", "power"]
_QUANTITIES = ("voltage", "current", "power")


@dataclass(frozen=True)
class Band:
    """The limit within a band of frequencies: the sum of a share of the reading and one of the range."""

    low_hz: float
    high_hz: float
    reading_pct: float
    range_pct: float


@dataclass(frozen=True)
class Conditions:
    """Under which a reading was taken.

    Attributes:
        frequency_hz: Mains frequency, in Hz.
        ambient_degc: Air temperature at the meter, in degrees Celsius.
        update_s: The meter's update interval, in s.
        line_filter: Whether the meter's line filter is on.
        crest_factor: 3 or 6.
    """

    frequency_hz: float
    ambient_degc: float = 23.0
    update_s: float = 0.25
    line_filter: bool = False
    crest_factor: int = 3


@dataclass(frozen=True)
class AccuracyLimit:
    """Half-widths within which the maker promises the true value, in the unit of the reading.

    Attributes:
        base: Share of reading and share of range.
        self_heating: What the reading itself warms.
        ambient: For an air temperature outside of the specified one.
        power_factor: Of a power whose angle is not 0.
        setting: Fast updates and line filter.
        source: Where the base comes from.
        resolution: Half a step of the display, where the base does not hold it.
    """

    base: float
    self_heating: float
    ambient: float
    power_factor: float
    setting: float
    source: str
    resolution: float = 0.0

    @property
    def half_width(self) -> float:
        """The sum of all of them: the maker adds them."""
        limits = (self.base, self.self_heating, self.ambient, self.power_factor, self.setting)
        return math.fsum(limits) + self.resolution


@dataclass(frozen=True)
class AccuracyTable:
    """The specification of one meter; the keys are explained in `accuracy_tables.toml`."""

    name: str
    summary: str
    model: str
    interval_months: int
    ambient_degc: tuple[float, float]
    ambient_wide_degc: tuple[float, float]
    ambient_pct_per_degc: float
    usable_pct: tuple[float, float]
    voltage: tuple[Band, ...]
    current: tuple[Band, ...]
    power: tuple[Band, ...]
    self_heating_pct_per_v2: float
    self_heating_pct_per_a2: float
    power_factor_pct: float
    fast_update_s: float
    fast_update_pct: float
    line_filter_pct: float
    crest_factor_6: float
    sources: Mapping[str, str]
    resolution: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def voltage_limit(self, reading_v: float, range_v: float, conditions: Conditions) -> AccuracyLimit:
        """Return the limit of a voltage reading.

        Args:
            reading_v: What the meter shows, in V, within the usable part of the range.
            range_v: The range in force, in V, > 0.
            conditions: Under which it was read.

        Returns:
            Half-widths in V.

        Raises:
            ValueError: The specification does not cover this reading; the message says why.
        """
        self._check_usable("voltage", reading_v, range_v)
        heating = self.self_heating_pct_per_v2 * reading_v**2
        return self._limit("voltage", reading_v, range_v, heating, 0.0, conditions)

    def current_limit(self, reading_a: float, range_a: float, conditions: Conditions) -> AccuracyLimit:
        """Return the limit of a current reading, in A; arguments and errors as for `voltage_limit`."""
        self._check_usable("current", reading_a, range_a)
        heating = self.self_heating_pct_per_a2 * reading_a**2
        return self._limit("current", reading_a, range_a, heating, 0.0, conditions)

    def power_limit(
        self,
        voltage_v: float,
        current_a: float,
        angle_deg: float,
        ranges: tuple[float, float],
        conditions: Conditions,
    ) -> AccuracyLimit:
        """Return the limit of an active power reading.

        Args:
            voltage_v: Voltage reading, in V.
            current_a: Current reading, in A.
            angle_deg: Phase angle, in degrees, between -90 and 90.
            ranges: Voltage range in V and current range in A.
            conditions: Under which it was read.

        Returns:
            Half-widths in W.

        Raises:
            ValueError: The specification does not cover this reading; the message says why.

        Source:
            IM WT310E-02EN p. 7-8, GPM-8310 user manual p. 232: power times (reading error + range error
            times power range over apparent power + tan(phi) times influence).
        """
        self._check_usable("voltage", voltage_v, ranges[0])
        self._check_usable("current", current_a, ranges[1])
        if not abs(angle_deg) < 90.0:
            raise ValueError(f"{self.summary}: no limit for a power at an angle of {angle_deg} degrees")
        cosine = math.cos(math.radians(angle_deg))
        reading_w = voltage_v * current_a * cosine
        heating = self.self_heating_pct_per_v2 * voltage_v**2 + self.self_heating_pct_per_a2 * current_a**2
        tangent = abs(math.tan(math.radians(angle_deg)))
        power_factor = tangent * self.power_factor_pct
        return self._limit(
            "power", reading_w, ranges[0] * ranges[1] * cosine, heating, power_factor, conditions
        )

    def angle_limit_deg(self) -> float:
        """Return how far the angle between the meter's voltage and current channels may be off.

        Source: the power's error at PF 0 as a share of the apparent power is the sine of that angle.
        """
        return math.degrees(math.asin(self.power_factor_pct / 100))

    def _check_usable(self, quantity: Quantity, reading: float, range_: float) -> None:
        low, high = (range_ * share / 100 for share in self.usable_pct)
        if not (math.isfinite(range_) and range_ > 0 and low <= reading <= high):
            raise ValueError(
                f"{self.summary}: no limit for a {quantity} of {reading:g} in the range {range_:g}: "
                f"the specification covers {low:g} to {high:g}"
            )

    def _limit(
        self,
        quantity: Quantity,
        reading: float,
        range_: float,
        heating_pct: float,
        power_factor_pct: float,
        conditions: Conditions,
    ) -> AccuracyLimit:
        band = self._band(quantity, conditions.frequency_hz)
        range_pct = band.range_pct * (self.crest_factor_6 if conditions.crest_factor == 6 else 1.0)
        setting_pct = self.fast_update_pct if conditions.update_s <= self.fast_update_s else 0.0
        if conditions.line_filter and quantity == "power":
            setting_pct += self.line_filter_pct
        share = reading / 100
        return AccuracyLimit(
            base=share * band.reading_pct + range_ / 100 * range_pct,
            self_heating=share * heating_pct,
            ambient=share * self._ambient_pct(conditions.ambient_degc),
            power_factor=share * power_factor_pct,
            setting=share * setting_pct,
            source=self.sources[quantity],
            resolution=self.resolution[_QUANTITIES.index(quantity)] / 2,
        )

    def _band(self, quantity: Quantity, frequency_hz: float) -> Band:
        bands: tuple[Band, ...] = getattr(self, quantity)
        for band in bands:
            if band.low_hz <= frequency_hz <= band.high_hz:
                return band
        raise ValueError(f"{self.summary}: no limit for a {quantity} at {frequency_hz:g} Hz")

    def _ambient_pct(self, ambient_degc: float) -> float:
        low, high = self.ambient_wide_degc
        if not low <= ambient_degc <= high:
            raise ValueError(
                f"{self.summary}: no limit at {ambient_degc:g} degC: "
                f"the specification covers {low:g} to {high:g}"
            )
        outside = max(self.ambient_degc[0] - ambient_degc, ambient_degc - self.ambient_degc[1], 0.0)
        return outside * self.ambient_pct_per_degc


@functools.cache
def accuracy_tables(path: Path = _TABLES) -> Mapping[str, AccuracyTable]:
    """Read all accuracy tables.

    Args:
        path: The file, another one than the project's in tests only.

    Returns:
        Tables by name.

    Raises:
        StationError: The file is missing, is not TOML, or a table is not complete; names it and the key.
    """
    try:
        data = parse_toml(read_bounded(path, SETTINGS_LIMIT_BYTES))
    except (OSError, ValueError) as error:
        raise StationError(f"{path}: cannot be read: {error}.", _REINSTALL) from error
    if data.get("schema") != SCHEMA or not isinstance(data.get("meter"), dict):
        raise StationError(f"{path}: is no file of accuracy tables of schema {SCHEMA}.", _REINSTALL)
    return {name: _table(f"{path}: meter.{name}", name, entry) for name, entry in data["meter"].items()}


def accuracy_of(model: str, path: Path = _TABLES) -> AccuracyTable:
    """Find the accuracy table of a meter by the model it says it is.

    Args:
        model: Model in the answer to `*IDN?`, for example "GPM-8310".
        path: As in `accuracy_tables`.

    Raises:
        StationError: No table, so there is no budget and no verdict; names the models that have one.
    """
    tables = accuracy_tables(path).values()
    for table in tables:
        if re.fullmatch(table.model, model):
            return table
    known = ", ".join(table.summary for table in tables)
    raise StationError(
        f"There is no accuracy table for a reference meter of model {model!r}; there is one for {known}.",
        f"Add its specification to {path.name}, or use one of these meters.",
    )


def _table(where: str, name: str, entry: Any) -> AccuracyTable:
    wanted = {field.name for field in fields(AccuracyTable)} - {"name"}
    given = set(entry) if isinstance(entry, dict) else set()
    wrong = (given ^ wanted) - {"resolution"}
    if wrong:
        raise StationError(f"{where}: missing or unknown: {', '.join(sorted(wrong))}.", _REINSTALL)
    try:
        return AccuracyTable(
            name=name,
            **{key: _value(key, value) for key, value in entry.items()},
        )
    except (TypeError, ValueError, re.error) as error:
        raise StationError(f"{where}: {error}.", _REINSTALL) from error


def _value(key: str, value: Any) -> Any:
    if key in _QUANTITIES:
        return tuple(Band(*(_number(key, item) for item in band)) for band in value)
    if key in ("ambient_degc", "ambient_wide_degc", "usable_pct"):
        low, high = value
        return _number(key, low), _number(key, high)
    if key == "resolution":
        volts, amps, watts = value
        return _number(key, volts), _number(key, amps), _number(key, watts)
    if key in ("summary", "model"):
        return re.compile(str(value)).pattern
    if key == "sources":
        if missing := set(_QUANTITIES) - set(value):
            raise ValueError(f"sources has no {', '.join(sorted(missing))}")
        return {name: str(text) for name, text in value.items()}
    return _number(key, value)


def _number(key: str, value: Any) -> float:
    if type(value) not in (int, float) or not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{key} is {value!r}; it must be a number >= 0")
    return float(value)
