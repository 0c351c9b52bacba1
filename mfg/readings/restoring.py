"""Which files a restore writes to a unit, and whether they are the unit's own."""

from __future__ import annotations

from mfg.errors import UsageError
from mfg.fixtures.traveller import StoredCalibration, Traveller
from mfg.readings.stored import PHASE_FEATURE
from mfg.records.factory_file import CALIBRATION_NAME, FACTORY_NAME, parse_calibration_file
from mfg.records.labels import parse_unit_label
from mfg.records.restorable import Restorable, RestoreTarget, Window, check_restorable, pga_of_firmware
from mfg.station import Station

ADJUSTED = "adjust_registers"  # whose limits say what a gain may be
FIRST_OF_OURS = 4.0  # ct6-interface: the last original firmware is 3.1; firmware/ct6 begins at 4.0


def files_to_restore(sheet: Traveller, found: StoredCalibration) -> dict[str, bytes]:
    """Return the files to write, by name.

    The phases and power gains of our firmware belong to one factory file: without theirs they are not used.

    Raises:
        DutError: What is kept beside the factory file belongs to another one.
    """
    wanted = {FACTORY_NAME: found.factory}
    if found.beside and PHASE_FEATURE in sheet.features:
        parse_calibration_file(found.beside, found.factory)
        wanted[CALIBRATION_NAME] = found.beside
    return wanted


def require_restorable(sheet: Traveller, station: Station, found: StoredCalibration) -> Restorable:
    """Refuse a calibration that is damaged or not this unit's; what was forced goes onto the traveller.

    Raises:
        UsageError: It is, and nobody forced it; nothing was written.
    """
    target = RestoreTarget(
        parse_unit_label(sheet.unit_label),
        station.line_frequency_hz,
        pga_of_firmware(sheet.firmware_version),
        _window(sheet, "port1_igain_counts"),
        _window(sheet, "cs4_voltage_gain_counts"),
        _window(sheet, "port1_ioffset_counts"),
        station.adaptor,
    )
    allowed = check_restorable(
        found.factory,
        target,
        found.where,
        sha256=found.sha256,
        adaptor=found.adaptor,
        forced=bool(sheet.forced_by),
    )
    sheet.waivers += [f"Forced by {sheet.forced_by}: {text}" for text in allowed.objections]
    return allowed


def features_of(version: str) -> frozenset[str]:
    """Return what is known, without a network, of what a firmware uses: phases belong to ours alone."""
    return frozenset({PHASE_FEATURE} if _number(version) >= FIRST_OF_OURS else ())


def _number(version: str) -> float:
    major, _, minor = version.partition(".")
    return float(f"{major}.{minor.replace('.', '')}") if major.isdigit() else 0.0


def _window(sheet: Traveller, name: str) -> Window:
    limit = sheet.limits.limit(ADJUSTED, name)
    if limit.low is None or limit.high is None:
        raise UsageError(f"The limits file gives {name} no range.", "Correct ct6.toml.")
    return Window(limit.low, limit.high)
