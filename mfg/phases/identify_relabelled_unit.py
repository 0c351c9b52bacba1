"""Find the running unit that is to get the labels that were scanned."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import DutError, FixtureError, UsageError
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.records.labels import parse_unit_label


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug)
def identify_relabelled_unit(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, port: UnitPortPlug
) -> None:
    """Wait until the unit at the run's address answers, and read the label that it has carried so far.

    A serial number that another unit of the store has is given only when a named person forces it.

    Needs: supply on, the new labels scanned. Leaves: firmware version and features on the traveller; the old
    serial number claimed by this run too.

    Raises:
        UsageError: The new serial number is taken; nothing was written.
    """
    sheet = traveller.sheet
    if port.present():
        port.console(sheet.deadline_s("serial_port_s"))
    test.measurements["answers_s"] = unit.api.wait_ready(sheet.deadline_s("join_wifi_s"))
    before = unit.api.config().text("ASSY")
    sheet.firmware_version = unit.api.firmware_version()
    sheet.features = unit.api.features()
    test.measurements["label_before"] = before
    test.measurements["label_wanted"] = sheet.unit_label
    test.measurements["address"] = sheet.address
    test.measurements["firmware_version"] = sheet.firmware_version
    test.measurements["forced"] = _allowed(sheet, _serial(before))


def _serial(label: str) -> str:
    """Return the serial number that a unit carries, "" where it has none that can be read."""
    try:
        return parse_unit_label(label).serial_number
    except DutError:
        return ""


def _allowed(sheet: Traveller, old: str) -> str:
    """Return who forced what, "nothing" where nobody had to."""
    if old == sheet.serial_number:
        return "nothing"
    if old and not sheet.claim_serial(old):
        raise FixtureError(f"{old} is under test in another slot of this station.", "Wait for its end.")
    taken = sheet.serial_use(sheet.serial_number)
    if not taken:
        return "nothing"
    if not sheet.forced_by:
        raise UsageError(
            f"{taken} The unit at {sheet.address} is {old or 'without a serial number'}.",
            "Scan this unit's own labels; or a named person lets it pass with --force-by.",
        )
    return f"{taken} Forced by {sheet.forced_by}"
