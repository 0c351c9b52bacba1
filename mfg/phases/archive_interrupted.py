"""Keep what the unit of a killed run holds, and leave no half of a calibration on it."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import DutError
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import DrivePlug, TravellerPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.unit_files import FACTORY_FILE, held_files
from mfg.records.factory_file import parse_factory_file

NONE, WHOLE, REMOVED, HALF = "none", "whole", "removed", "half"


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, drive=DrivePlug, port=UnitPortPlug)
def archive_interrupted(
    test: htf.TestApi, traveller: TravellerPlug, drive: DrivePlug, port: UnitPortPlug
) -> None:
    """Archive the factory file and the masked configuration of a unit whose run was killed.

    A factory file that the killed run was writing and that is not whole is removed: the unit then is what it
    was before, uncalibrated, and its test starts again from the beginning. In a unit with another MAC address
    than that of the killed run nothing is touched.

    Needs: supply on. Leaves: the unit as it was, its application interrupted, without half a factory file.
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
                factory = _mended(sheet, repl, kept.get("factory.cfg"))
            state = "readable"
        except DutError as error:
            # A unit without a working REPL has nothing that could be kept; the run that follows erases it.
            test.logger.warning("the unit's files could not be read: %s", error)
    for name, content in kept.items():
        sheet.keep(f"interrupted_{name}", content)
    test.measurements["unit_state"] = state
    test.measurements["kept_files"] = len(kept)
    test.measurements["factory_file"] = factory


def _mended(sheet: Traveller, repl: MicroPythonRepl, content: bytes | None) -> str:
    """Return what the factory file is; remove it when it is the half of one that the killed run wrote."""
    if content is None:
        return NONE
    try:
        parse_factory_file(content)
    except DutError:
        if not sheet.storing_interrupted or (sheet.mac and repl.mac() != sheet.mac):
            return HALF
        repl.remove_file(FACTORY_FILE)
        return REMOVED
    return WHOLE
