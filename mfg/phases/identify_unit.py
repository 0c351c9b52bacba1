"""Read the two bar codes of the unit."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import FixtureError, UsageError
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import TravellerPlug
from mfg.fixtures.traveller import Traveller
from mfg.records.labels import UnitLabel, drop_control_characters, parse_assembly_code, parse_bar_codes

SCAN_ATTEMPTS = 3


@htf.PhaseOptions(timeout_s=900)
@htf.plug(traveller=TravellerPlug, operator=OperatorPlug)
def identify_unit(test: htf.TestApi, traveller: TravellerPlug, operator: OperatorPlug) -> None:
    """Identify the unit by the assembly and serial number bar codes; `r` repeats the last unit.

    Needs: nothing. Leaves: the labels on the traveller; the serial number claimed by this run.
    """
    sheet = traveller.sheet
    label = _from_arguments(sheet) or _from_scanner(sheet, operator)
    sheet.assembly = label.assembly_text
    sheet.serial_number = label.serial_number
    sheet.unit_label = label.unit_text
    sheet.file_label = label.file_text
    if not sheet.claim_serial(label.serial_number):
        raise FixtureError(
            f"{label.serial_number} is under test in another slot of this station.",
            "Check the label: two units carry the same number, or this one was scanned twice.",
        )
    test.dut_id = label.serial_number
    test.measurements["assembly"] = label.assembly_text
    test.measurements["version"] = label.version
    test.measurements["serial"] = label.serial_number


def _from_arguments(sheet: Traveller) -> UnitLabel | None:
    return parse_bar_codes(*sheet.scanned) if sheet.scanned else None


def _from_scanner(sheet: Traveller, operator: OperatorPlug) -> UnitLabel:
    timeout_s = sheet.deadline_s("operator_s")
    refusal = ""
    for _attempt in range(SCAN_ATTEMPTS):
        again = " (r: the last unit again)" if sheet.last_scanned else ""
        first = operator.ask("scan", f"{refusal}Scan the assembly bar code{again}.", timeout_s)
        if drop_control_characters(first).lower() == "r" and sheet.last_scanned:
            return parse_bar_codes(*sheet.last_scanned)
        try:
            parse_assembly_code(first)
            second = operator.ask("scan", "Scan the serial number bar code.", timeout_s)
            return parse_bar_codes(first, second)
        except UsageError as error:
            refusal = f"{error}\n"
    raise FixtureError(f"No label could be read in {SCAN_ATTEMPTS} attempts. {refusal}", "Print a new label.")
