"""The names of what a calibration measures: which port, at which load, which quantity.

`port{n}_{point}_current_error_pct` is the error of a current after the adjustment, `point` the name of a load
point (`high`, `mid`, `low`) or `stored` for what is measured again after a power cycle; `voltage` and `power`
alike, `port{n}_{point}_phase_error_deg` for the angle. Without a point the name is that of records that know
one load only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mfg.records.outcomes import SKIP
from mfg.records.record import MeasurementEntry, PhaseEntry

PORTS = (1, 2, 3, 4, 5, 6)
PORTS_OF_CHIP = {"CS4": (1, 2, 3), "CS0": (4, 5, 6)}  # ct6-interface 1.2
HIGH = "high"  # the point at which the gains are adjusted, and the only one of older records
STORED = "stored"  # after a power cycle, with what the unit has stored
POINTS = (HIGH, "mid", "low", STORED)  # in the order in which they are shown; others follow
QUANTITIES = ("current", "voltage", "power", "phase")

_NAME = re.compile(
    r"port(?P<port>[1-6])_(?:(?P<point>[a-z][a-z0-9]*)_)?"
    r"(?:(?P<quantity>current|voltage|power)_error_pct|(?P<phase>phase)_error_deg)"
)
_ZERO = re.compile(r"port([1-6])_(?:zero|no_load)_a")
_PHASE_BEFORE = re.compile(r"port([1-6])_phase_deg")


@dataclass(frozen=True, order=True)
class PointKey:
    """What an error after the adjustment is the error of."""

    quantity: str  # one of `QUANTITIES`
    point: str
    port: int


@dataclass(frozen=True)
class PointValues:
    """What a run measured of the ports.

    Attributes:
        errors: After the adjustment, by quantity, point and port.
        before: Errors before it, by quantity and port; a voltage is that of the port's chip.
        zeros: Currents with the load off, by port; the last one taken.
        points: Names of the load points that occur, in the order in which they are shown.
    """

    errors: Mapping[PointKey, MeasurementEntry]
    before: Mapping[tuple[str, int], MeasurementEntry]
    zeros: Mapping[int, MeasurementEntry]
    points: tuple[str, ...]

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports with any value."""
        found = {key.port for key in self.errors} | {port for _, port in self.before} | set(self.zeros)
        return tuple(sorted(found))


def last_measurements(phases: Sequence[PhaseEntry]) -> dict[str, MeasurementEntry]:
    """Return a run's measurements by name; of one that was taken again the last counts.

    What is verified again after a power cycle thus stands for what the customer uses. A try that was
    repeated is left out.
    """
    found: dict[str, MeasurementEntry] = {}
    for phase in phases:
        if phase["outcome"] != SKIP:
            found.update({entry["name"]: entry for entry in phase["measurements"]})
    return found


def point_values(phases: Sequence[PhaseEntry]) -> PointValues:
    """Gather what a run measured of the ports, from the names of its measurements."""
    found = last_measurements(phases)
    errors: dict[PointKey, MeasurementEntry] = {}
    # Names without a point first, so that one that names the point replaces them.
    for name, entry in sorted(found.items(), key=lambda item: item[0].count("_")):
        if match := _NAME.fullmatch(name):
            quantity = match["quantity"] or match["phase"]
            errors[PointKey(quantity, match["point"] or HIGH, int(match["port"]))] = entry
    names = {key.point for key in errors}
    points = [point for point in POINTS if point in names]
    return PointValues(
        errors,
        _before(found),
        {int(match[1]): entry for name, entry in found.items() if (match := _ZERO.fullmatch(name))},
        (*points, *sorted(names - set(POINTS))),
    )


def _before(found: Mapping[str, MeasurementEntry]) -> dict[tuple[str, int], MeasurementEntry]:
    before: dict[tuple[str, int], MeasurementEntry] = {}
    for port in PORTS:
        if entry := found.get(f"port{port}_before_pct"):
            before["current", port] = entry
    for chip, ports in PORTS_OF_CHIP.items():
        if entry := found.get(f"{chip.lower()}_voltage_before_pct"):
            before |= {("voltage", port): entry for port in ports}
    for name, entry in found.items():
        if match := _PHASE_BEFORE.fullmatch(name):
            before["phase", int(match[1])] = entry
    return before


def number_of(entry: MeasurementEntry | None) -> float | None:
    """Return a measurement's value when it is a number."""
    value = entry["value"] if entry else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
