"""Write a stored calibration back to a unit, and see that it holds it after a power cycle."""

from __future__ import annotations

import hashlib

import openhtf as htf

from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.readings.restarts import note_start
from mfg.readings.restoring import files_to_restore, require_restorable
from mfg.readings.stored import stored_files
from mfg.readings.supply_cycle import cycle_supply
from mfg.records.journal import STORE


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

    Needs: the unit identified and archived. Leaves: the restored calibration on the unit and in force.

    Raises:
        UsageError: The file is damaged or not this unit's, and nobody forced it; nothing was written.
    """
    sheet = traveller.sheet
    found = sheet.find_calibration(sheet.serial_number)
    allowed = require_restorable(sheet, unit.slot_context.station, found)
    test.measurements["objections_forced"] = len(allowed.objections)
    wanted = files_to_restore(sheet, found)
    sheet.touched_files = tuple(wanted)
    sheet.about_to(STORE)
    for name, content in wanted.items():
        unit.api.upload(name, "/", content)
    test.measurements["restored_sha256"] = hashlib.sha256(found.factory).hexdigest()
    test.measurements["uploaded_equal"] = stored_files(unit.api, sheet.features) | wanted == stored_files(
        unit.api, sheet.features
    )
    test.measurements["returned_s"] = cycle_supply(sheet, unit, port, power)
    note_start(sheet, unit.api, unit.slot_context.clock)
    sheet.stored_files = stored_files(unit.api, sheet.features)
    test.measurements["survived_equal"] = sheet.stored_files | wanted == sheet.stored_files
    held = unit.api.config()
    test.measurements["in_force"] = all(
        int(str(held[key])) == value for key, value in allowed.file.registers.items()
    )
