"""Keep what the unit holds before it is erased."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import DutError, FixtureError
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import DrivePlug, TravellerPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.unit_files import held_files
from mfg.records.factory_file import (
    ARCHIVE,
    CALIBRATION_NAME,
    FACTORY_NAME,
    MACHINE_NAME,
    parse_calibration_file,
    parse_factory_file,
)


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, drive=DrivePlug, port=UnitPortPlug, operator=OperatorPlug)
def archive_unit(
    test: htf.TestApi,
    traveller: TravellerPlug,
    drive: DrivePlug,
    port: UnitPortPlug,
    operator: OperatorPlug,
) -> None:
    """Archive the unit's calibration, masked configuration and versions; ask before erasing a calibration.

    Needs: supply on. Leaves: the unit as it was, its application interrupted when it had one.
    """
    sheet = traveller.sheet
    if drive.drive.find() is not None:
        test.measurements["unit_state"] = "blank"
        test.measurements["kept_files"] = 0
        return
    if not port.present():
        test.measurements["unit_state"] = "silent"
        test.measurements["kept_files"] = 0
        return
    kept: dict[str, bytes] = {}
    try:
        with port.repl(sheet.deadline_s("repl_s")) as repl:
            sheet.micropython_version = str(repl.identity()["python"])
            kept = held_files(repl)
    except DutError as error:
        # A unit without a working REPL has nothing that could be kept; erasing it is what mends it.
        test.logger.warning("the unit's files could not be read: %s", error)
    for name, content in kept.items():
        sheet.keep(f"{ARCHIVE}{name}", content)
    state = _state(test, kept)
    test.measurements["unit_state"] = state
    test.measurements["kept_files"] = len(kept)
    if state == "calibrated" and not sheet.erase_calibrated and not _confirmed(sheet, port, operator):
        raise FixtureError(
            "The unit is calibrated and was not erased.", "Take it out, or start again and answer yes."
        )


def _confirmed(sheet: Traveller, port: UnitPortPlug, operator: OperatorPlug) -> bool:
    slot = port.slot_context.slot.number
    question = f"The unit in slot {slot} is calibrated already. Erase it all the same?"
    return operator.confirm(question, sheet.deadline_s("operator_s"))


def _state(test: htf.TestApi, kept: dict[str, bytes]) -> str:
    """Return what the unit is by its files; a calibration that is cut short is none."""
    if FACTORY_NAME not in kept:
        return "uncalibrated" if MACHINE_NAME in kept else "bare"
    try:
        parse_factory_file(kept[FACTORY_NAME])
        if CALIBRATION_NAME in kept:
            parse_calibration_file(kept[CALIBRATION_NAME], kept[FACTORY_NAME])
    except DutError as error:
        test.logger.warning("the unit's calibration is damaged: %s", error)
        return "damaged"
    return "calibrated"
