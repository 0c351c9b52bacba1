"""The calibration certificates of a station's instruments, as one TOML file.

One table per instrument, named for its role, with one table inside it per quantity:

    [reference_meter]
    maker = "GWInstek"
    model = "GPM-8310"
    serial_number = "GEU000123"
    number = "C-2026-0815"
    issued = 2026-03-02
    due = 2027-03-02

    [reference_meter.voltage]
    correction_pct = -0.012     # added to a reading, in % of it
    expanded_pct = 0.03         # expanded uncertainty, in % of the reading
    k = 2.0                     # its coverage factor

`voltage`, `current` and `power` are in %, `angle` in degrees (`correction_deg`, `expanded_deg`),
`temperature` in degrees Celsius (`correction_degc`, `expanded_degc`).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfg.errors import UsageError
from mfg.untrusted import SETTINGS_LIMIT_BYTES, parse_toml, printable, quoted, read_bounded

REFERENCE_METER, POWER_SWITCH, THERMOMETER = "reference_meter", "power_switch", "thermometer"
HAND_HELD_METER, PLUG_METER = "hand_held_meter", "plug_meter"
REFERENCES = (REFERENCE_METER, HAND_HELD_METER, PLUG_METER)  # a run rests on one of them
ROLES = (*REFERENCES, POWER_SWITCH, THERMOMETER)
UNITS = {"voltage": "pct", "current": "pct", "power": "pct", "angle": "deg", "temperature": "degc"}
REQUIRED = dict.fromkeys(REFERENCES, ("voltage", "current"))

_TEXTS = ("maker", "model", "serial_number", "number")
_DATES = ("issued", "due")
_CORRECTION_MAX = 5.0  # %, degrees: an instrument that is further off is no reference
_COVERAGE_FACTORS = (1.0, 5.0)


@dataclass(frozen=True)
class CertifiedQuantity:
    """What a certificate says of one quantity.

    Attributes:
        correction: What is added to a reading, in `unit`.
        expanded: Expanded uncertainty, in `unit`, > 0.
        k: Its coverage factor.
        unit: "pct" of the reading, "deg" or "degc".
    """

    correction: float
    expanded: float
    k: float
    unit: str


@dataclass(frozen=True)
class Certificate:
    """The certificate of one instrument.

    Attributes:
        role: What the instrument is at this station.
        number: Number of the certificate.
        due: The last day on which it counts.
        quantities: By name: voltage, current, power, angle, temperature.
    """

    role: str
    maker: str
    model: str
    serial_number: str
    number: str
    issued: datetime.date
    due: datetime.date
    quantities: Mapping[str, CertifiedQuantity]

    def is_due(self, today: datetime.date) -> bool:
        """Return whether the instrument should have been calibrated again before today."""
        return today > self.due

    def days_left(self, today: datetime.date) -> int:
        """Return for how many more days the certificate counts; negative when it is past due."""
        return (self.due - today).days


def load_certificates(path: Path) -> dict[str, Certificate]:
    """Read the certificates of a station.

    Returns:
        The certificates by role; that of the reference meter is always there.

    Raises:
        UsageError: The file is missing or not TOML, or a key is unknown, missing or holds what it may not;
            the message names file and key. Whether a certificate is past due is not judged here.
    """
    try:
        data = parse_toml(read_bounded(path, SETTINGS_LIMIT_BYTES))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}).",
            "Name the file with the instruments' certificates under 'certificates' in the station file.",
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: is not TOML: {error}.") from error
    for role in data:
        if role not in ROLES:
            raise _refusal(path, role, f"is unknown; allowed here: {', '.join(ROLES)}")
    if REFERENCE_METER not in data:
        raise _refusal(path, REFERENCE_METER, "is missing; the calibration rests on its certificate")
    return {role: _certificate(path, role, table) for role, table in data.items()}


def _certificate(path: Path, role: str, table: Any) -> Certificate:
    allowed = (*_TEXTS, *_DATES, *UNITS)
    _check_keys(path, role, table, allowed, (*_TEXTS, *_DATES, *REQUIRED.get(role, ())))
    for key in _TEXTS:
        if not isinstance(table[key], str) or not table[key].strip():
            raise _refusal(
                path, f"{role}.{key}", f"is {quoted(table[key])}; it must be a text that is not empty"
            )
    for key in _DATES:
        if type(table[key]) is not datetime.date:
            raise _refusal(
                path, f"{role}.{key}", f"is {quoted(table[key])}; it must be a date like 2026-03-02"
            )
    if table["due"] < table["issued"]:
        raise _refusal(path, f"{role}.due", f"is {table['due']}; it must not lie before {table['issued']}")
    quantities = {
        name: _quantity(path, f"{role}.{name}", table[name], unit)
        for name, unit in UNITS.items()
        if name in table
    }
    return Certificate(role=role, quantities=quantities, **{key: table[key] for key in (*_TEXTS, *_DATES)})


def _quantity(path: Path, where: str, table: Any, unit: str) -> CertifiedQuantity:
    correction, expanded = f"correction_{unit}", f"expanded_{unit}"
    keys = (correction, expanded, "k")
    _check_keys(path, where, table, keys, keys)
    return CertifiedQuantity(
        _number(path, f"{where}.{correction}", table[correction], -_CORRECTION_MAX, _CORRECTION_MAX),
        _number(path, f"{where}.{expanded}", table[expanded], math.ulp(0.0), _CORRECTION_MAX),
        _number(path, f"{where}.k", table["k"], *_COVERAGE_FACTORS),
        unit,
    )


def _check_keys(
    path: Path, where: str, table: Any, allowed: tuple[str, ...], required: tuple[str, ...]
) -> None:
    if not isinstance(table, dict):
        raise _refusal(path, where, f"must be a table with {', '.join(required)}")
    for key in table:
        if key not in allowed:
            raise _refusal(path, f"{where}.{key}", f"is unknown; allowed here: {', '.join(allowed)}")
    for key in required:
        if key not in table:
            raise _refusal(path, f"{where}.{key}", "is missing")


def _number(path: Path, where: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        least = "above 0" if low == math.ulp(0.0) else f"from {low:g}"
        raise _refusal(path, where, f"is {quoted(value)}; it must be a number {least} to {high:g}")
    return float(value)


def _refusal(path: Path, where: str, problem: str) -> UsageError:
    return UsageError(f"{path}: key '{printable(where)}' {problem}.")
