"""Who a unit is by its own label."""

from __future__ import annotations

from mfg.errors import DutError, FixtureError
from mfg.fixtures.traveller import Traveller
from mfg.records.labels import UnitLabel, parse_bar_codes, parse_unit_label


def take_identity(sheet: Traveller, text: str, where: str) -> UnitLabel:
    """Take a unit's label as its identity; bar codes that were given must be those of the unit.

    Args:
        sheet: Gets the label; the serial number is claimed by the run.
        text: The unit's `ASSY`.
        where: What messages call the unit.

    Raises:
        DutError: There is no label that can be read.
        FixtureError: It is another unit's, or its serial number is under test elsewhere.
    """
    label = _label(text, sheet, where)
    sheet.assembly, sheet.serial_number = label.assembly_text, label.serial_number
    sheet.unit_label, sheet.file_label = label.unit_text, label.file_text
    if not sheet.claim_serial(label.serial_number):
        raise FixtureError(
            f"{label.serial_number} is under test in another slot of this station.",
            "Is the address that of the unit in this slot?",
        )
    return label


def _label(text: str, sheet: Traveller, where: str) -> UnitLabel:
    try:
        label = parse_unit_label(text)
    except DutError as error:
        raise DutError(
            f"{where} carries no label that can be read: {error.args[0]}",
            "Give it one with --set-labels.",
        ) from error
    if sheet.scanned and parse_bar_codes(*sheet.scanned) != label:
        raise FixtureError(
            f"{where} is {label.unit_text}, not what was scanned: {' '.join(sheet.scanned)}.",
            "Put the right unit into the slot, or give its address.",
        )
    return label
