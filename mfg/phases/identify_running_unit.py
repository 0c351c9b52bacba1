"""Find a running unit on the network, and read who it is."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.readings.identity import take_identity


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug)
def identify_running_unit(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, port: UnitPortPlug
) -> None:
    """Wait until the unit at the run's address answers, and take its label as its identity.

    Bar codes that were given must be those of the unit.

    Needs: supply on, the unit's address on the traveller. Leaves: label, firmware version and features on the
    traveller; the serial number claimed by this run; the console drained where there is one.
    """
    sheet = traveller.sheet
    if port.present():
        port.console(sheet.deadline_s("serial_port_s"))
    test.measurements["answers_s"] = unit.api.wait_ready(sheet.deadline_s("join_wifi_s"))
    label = take_identity(sheet, str(unit.api.config().get("ASSY", "")), f"The unit at {sheet.address}")
    test.dut_id = label.serial_number
    test.measurements["assembly"] = label.assembly_text
    test.measurements["serial"] = label.serial_number
    sheet.firmware_version = unit.api.firmware_version()
    sheet.features = unit.api.features()
    test.measurements["address"] = sheet.address
    test.measurements["firmware_version"] = sheet.firmware_version
