"""Find a running unit on the network, and read who it is."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import DutError, FixtureError, UsageError
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.records.labels import UnitLabel, parse_bar_codes, parse_unit_label


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
    label = _label(str(unit.api.config().get("ASSY", "")), sheet)
    sheet.assembly, sheet.serial_number = label.assembly_text, label.serial_number
    sheet.unit_label, sheet.file_label = label.unit_text, label.file_text
    sheet.firmware_version = unit.api.firmware_version()
    sheet.features = unit.api.features()
    if not sheet.claim_serial(label.serial_number):
        raise FixtureError(
            f"{label.serial_number} is under test in another slot of this station.",
            "Is the address that of the unit in this slot?",
        )
    test.dut_id = label.serial_number
    test.measurements["assembly"] = label.assembly_text
    test.measurements["serial"] = label.serial_number
    test.measurements["address"] = sheet.address
    test.measurements["firmware_version"] = sheet.firmware_version


def _label(text: str, sheet: Traveller) -> UnitLabel:
    try:
        label = parse_unit_label(text)
    except UsageError as error:
        raise DutError(
            f"The unit at {sheet.address} carries no label that can be read: {error.args[0]}",
            "Give it one with --set-labels.",
        ) from error
    if sheet.scanned and parse_bar_codes(*sheet.scanned) != label:
        raise FixtureError(
            f"The unit at {sheet.address} is {label.unit_text}, not what was scanned: "
            f"{' '.join(sheet.scanned)}.",
            "Put the right unit into the slot, or give its address.",
        )
    return label
