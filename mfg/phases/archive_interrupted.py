"""Keep what the unit of a killed run holds, and leave no half of a calibration on it."""

from __future__ import annotations

from collections.abc import Mapping

import openhtf as htf

from mfg.errors import DutError
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import DrivePlug, TravellerPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.unit_files import FACTORY_FILE, held_files
from mfg.records.factory_file import FACTORY_NAME, MACHINE_NAME, parse_factory_file

NONE, WHOLE, REMOVED, PUT_BACK, HALF = "none", "whole", "removed", "put back", "half"


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, drive=DrivePlug, port=UnitPortPlug)
def archive_interrupted(
    test: htf.TestApi, traveller: TravellerPlug, drive: DrivePlug, port: UnitPortPlug
) -> None:
    """Archive the factory file and the masked configuration of a unit whose run was killed.

    What a killed job had begun to write over the calibration of a running unit is taken back: the archived
    files are written again. After an erase there is nothing to go back to: a factory file that is not whole
    is removed, and the unit's test starts again from the beginning. In a unit with another MAC address than
    that of the killed run nothing is touched.

    Needs: supply on. Leaves: the unit's application interrupted, a whole calibration on the unit or none.
    """
    sheet = traveller.sheet
    state, factory = "silent", NONE
    kept: dict[str, bytes] = {}
    if drive.drive.find() is not None:
        state = "blank"
    elif port.present():
        state = "unreadable"
        try:
            with port.repl(sheet.deadline_s("repl_s")) as repl:
                kept = held_files(repl)
                factory = _mended(sheet, repl, kept)
            state = "readable"
        except DutError as error:
            # A unit without a working REPL has nothing that could be kept; the run that follows erases it.
            test.logger.warning("the unit's files could not be read: %s", error)
    for name, content in kept.items():
        sheet.keep(f"interrupted_{name}", content)
    test.measurements["unit_state"] = state
    test.measurements["kept_files"] = len(kept)
    test.measurements["factory_file"] = factory


def _mended(sheet: Traveller, repl: MicroPythonRepl, kept: dict[str, bytes]) -> str:
    """Return what the factory file is; take back what the killed run wrote and did not prove."""
    ours = sheet.storing_interrupted and (not sheet.mac or repl.mac() == sheet.mac)
    if ours and sheet.old_files is not None:
        return _put_back(repl, kept, sheet.old_files)
    content = kept.get(FACTORY_NAME)
    if content is None:
        return NONE
    try:
        parse_factory_file(content)
    except DutError:
        if not ours:
            return HALF
        repl.remove_file(FACTORY_FILE)
        return REMOVED
    return WHOLE


def _put_back(repl: MicroPythonRepl, kept: Mapping[str, bytes], old: Mapping[str, bytes]) -> str:
    """Make the calibration's files those that were archived."""
    held = {name: content for name, content in kept.items() if name != MACHINE_NAME}
    if held == old:
        return WHOLE if old else NONE
    for name, content in old.items():
        repl.write_file(f"/{name}", content)
    for name in held.keys() - old.keys():
        repl.remove_file(f"/{name}")
    return PUT_BACK
