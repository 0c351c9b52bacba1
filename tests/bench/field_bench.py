"""A station with a unit from the field in its slot, our firmware or the original interface."""

import dataclasses
import json

from bench_station import FLASH, BenchStation

from mfg.emulator.field_units import field_flash
from mfg.emulator.typical import typical_unit

ADDRESS = ("-a", "10.0.0.2")
KINDS = ("ours", "original")
HAND_HELD = {
    "maker": "Fluke",
    "model": "87V",
    "serial_number": "12345678",
    "voltage_range_v": 600,
    "current_range_a": 10,
}
WAIVED = ("--uncertainty-waived-by", "B. Person")
SPLIT_V_PCT = 0.15  # an original's voltage offset of its own on four ports, which no calibration mends
FACTORY, CALIBRATION, MACHINE = "/factory.cfg", "/calibration.cfg", "/this.machine.cfg"


def field_station(folder, kind, *, factor=5, other_adaptor=(0.0, 0.0), **plant):
    """Make a station whose unit was calibrated elsewhere.

    Args:
        kind: Of its firmware: "ours" or "original".
        other_adaptor: By how much, in percent, its voltages read higher than when it was calibrated.
    """
    calibrated = dataclasses.replace(typical_unit(7, 1), profile=kind)
    errors = tuple(a + b for a, b in zip(calibrated.voltage_gain_error_pct, other_adaptor, strict=True))
    unit = dataclasses.replace(calibrated, voltage_gain_error_pct=errors)
    station = BenchStation(folder, factor=factor, unit=unit, **plant)
    (folder / FLASH).parent.mkdir(parents=True)
    (folder / FLASH).write_bytes(field_flash(calibrated))
    return station


def values(station, path=FACTORY):
    """Return what a file of the unit holds, whose supply is off."""
    return json.loads(station.unit_file(path))
