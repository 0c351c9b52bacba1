"""Write a stored calibration back to a unit, and see that it holds it after a power cycle."""

from __future__ import annotations

import hashlib

import openhtf as htf

from mfg.errors import UsageError
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import StoredCalibration, Traveller
from mfg.readings.stored import PHASE_FEATURE, stored_files
from mfg.readings.supply_cycle import cycle_supply
from mfg.records.factory_file import CALIBRATION_NAME, FACTORY_NAME, parse_calibration_file
from mfg.records.journal import STORE
from mfg.records.labels import parse_unit_label
from mfg.records.restorable import (
    Restorable,
    RestoreTarget,
    Window,
    check_restorable,
    pga_of_firmware,
)
from mfg.station import Station

ADJUSTED = "adjust_registers"  # whose limits say what a gain may be


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def restore_factory_file(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
) -> None:
    """Check that the file is this unit's, upload it, take the supply away, and read it back byte for byte.

    The phases and power gains of our firmware belong to one factory file: without theirs they are not used.

    Needs: the unit identified and archived. Leaves: the restored calibration on the unit and in force.

    Raises:
        UsageError: The file is damaged or not this unit's, and nobody forced it; nothing was written.
    """
    sheet = traveller.sheet
    found = sheet.find_calibration(sheet.serial_number)
    allowed = _check(sheet, unit.slot_context.station, found)
    sheet.waivers += [f"Forced by {sheet.forced_by}: {text}" for text in allowed.objections]
    test.measurements["objections_forced"] = len(allowed.objections)
    wanted = _wanted(sheet, found)
    sheet.about_to(STORE)
    for name, content in wanted.items():
        unit.api.upload(name, "/", content)
    test.measurements["restored_sha256"] = hashlib.sha256(found.factory).hexdigest()
    test.measurements["uploaded_equal"] = stored_files(unit.api, sheet.features) | wanted == stored_files(
        unit.api, sheet.features
    )
    test.measurements["returned_s"] = cycle_supply(sheet, unit, port, power)
    sheet.stored_files = stored_files(unit.api, sheet.features)
    test.measurements["survived_equal"] = sheet.stored_files | wanted == sheet.stored_files
    held = unit.api.config()
    test.measurements["in_force"] = all(
        int(str(held[key])) == value for key, value in allowed.file.registers.items()
    )


def _wanted(sheet: Traveller, found: StoredCalibration) -> dict[str, bytes]:
    wanted = {FACTORY_NAME: found.factory}
    if found.beside and PHASE_FEATURE in sheet.features:
        parse_calibration_file(found.beside, found.factory)
        wanted[CALIBRATION_NAME] = found.beside
    return wanted


def _check(sheet: Traveller, station: Station, found: StoredCalibration) -> Restorable:
    target = RestoreTarget(
        parse_unit_label(sheet.unit_label),
        station.line_frequency_hz,
        pga_of_firmware(sheet.firmware_version),
        _window(sheet, "port1_igain_counts"),
        _window(sheet, "cs4_voltage_gain_counts"),
        _window(sheet, "port1_ioffset_counts"),
        station.adaptor,
    )
    return check_restorable(
        found.factory,
        target,
        found.where,
        sha256=found.sha256,
        adaptor=found.adaptor,
        forced=bool(sheet.forced_by),
    )


def _window(sheet: Traveller, name: str) -> Window:
    limit = sheet.limits.limit(ADJUSTED, name)
    if limit.low is None or limit.high is None:
        raise UsageError(f"The limits file gives {name} no range.", "Correct ct6.toml.")
    return Window(limit.low, limit.high)
