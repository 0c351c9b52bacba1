"""Keep what the unit of a killed run holds, and leave no half of a calibration on it."""

from __future__ import annotations

from collections.abc import Mapping

import openhtf as htf

from mfg.errors import DutError
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import DrivePlug, TravellerPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.own_label import object_of, own_label
from mfg.readings.stored import wholeness
from mfg.readings.unit_files import FACTORY_FILE, held_files, write_settings
from mfg.records.factory_file import CALIBRATION_NAME, FACTORY_NAME, MACHINE_NAME
from mfg.records.unit_after import BETWEEN, NEW, OLD, UNKNOWN

NONE, WHOLE, REMOVED, PUT_BACK, HALF = "none", "whole", "removed", "put back", "half"
FOUND = "interrupted_"  # before the names of the files that are kept
NOT_CONCERNED, OTHER_UNIT = "not concerned", "another unit: not touched"


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, drive=DrivePlug, port=UnitPortPlug)
def archive_interrupted(
    test: htf.TestApi, traveller: TravellerPlug, drive: DrivePlug, port: UnitPortPlug
) -> None:
    """Archive the factory file and the masked configuration of a unit whose run was killed.

    What a killed job had begun to write over the calibration of a running unit is taken back: the archived
    files are written again, or, where there were none, the configuration's values. After an erase there is
    nothing to go back to: a factory file that is not whole is removed, and the unit's test starts again from
    the beginning. In another unit than that of the killed run, by its MAC address or its label, nothing is
    touched.

    Needs: supply on. Leaves: the unit's application interrupted, a whole calibration on the unit or none.
    """
    sheet = traveller.sheet
    state, factory = "silent", NONE
    calibration = NOT_CONCERNED if sheet.old_files is None else UNKNOWN
    kept: dict[str, bytes] = {}
    if drive.drive.find() is not None:
        state = "blank"
    elif port.present():
        state = "unreadable"
        try:
            with port.repl(sheet.deadline_s("repl_s")) as repl:
                kept = held_files(repl)
                factory, calibration = _mended(sheet, repl, kept)
            state = "readable"
        except DutError as error:
            # A unit without a working REPL has nothing that could be kept; the run that follows erases it.
            test.logger.warning("the unit's files could not be read: %s", error)
    for name, content in kept.items():
        sheet.keep(f"{FOUND}{name}", content)
    test.measurements["unit_state"] = state
    test.measurements["kept_files"] = len(kept)
    test.measurements["factory_file"] = factory
    test.measurements["calibration_after"] = calibration


def _mended(sheet: Traveller, repl: MicroPythonRepl, kept: Mapping[str, bytes]) -> tuple[str, str]:
    """Take back what the killed run wrote and did not prove.

    Returns:
        What the factory file is now, and which calibration is on the unit: old, new, between, where it is
        neither, or unknown.
    """
    old, proved = sheet.old_files, sheet.proved_files
    if not sheet.writing_interrupted and not sheet.storing_interrupted:
        return _factory(kept), NOT_CONCERNED
    if not _is_unit(sheet, repl, kept):
        return _factory(kept), OTHER_UNIT
    for name in (FACTORY_NAME, CALIBRATION_NAME, MACHINE_NAME):
        repl.remove_beside(f"/{name}")
    if old is None:
        if not sheet.storing_interrupted or _factory(kept) != HALF:
            return _factory(kept), NOT_CONCERNED
        repl.remove_file(FACTORY_FILE)
        return REMOVED, NOT_CONCERNED
    if proved is not None:
        return _factory(kept), NEW if _holds(kept, proved) else BETWEEN
    return _put_back(sheet, repl, _calibration(kept), old)


def _is_unit(sheet: Traveller, repl: MicroPythonRepl, kept: Mapping[str, bytes]) -> bool:
    """Tell the killed run's unit: by its MAC address, else by its label, which may have been a new one."""
    if sheet.mac:
        return repl.mac() == sheet.mac
    label, old_label = own_label(kept), own_label(sheet.old_files or {})
    known = {sheet.serial_number, old_label[1].serial_number if old_label else sheet.serial_number}
    return label is not None and label[1].serial_number in known


def _factory(kept: Mapping[str, bytes]) -> str:
    return {"none": NONE, "whole": WHOLE}.get(wholeness(kept), HALF)


def _calibration(kept: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: kept[name] for name in (FACTORY_NAME, CALIBRATION_NAME) if name in kept}


def _holds(kept: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> bool:
    """Return whether a unit has a calibration, and no half of a configuration beside it.

    An original interface writes its configuration in place, and the supply was taken away meanwhile.
    """
    half = MACHINE_NAME in kept and not object_of(kept[MACHINE_NAME])
    return _calibration(kept) == wanted and not half


def _put_back(
    sheet: Traveller, repl: MicroPythonRepl, held: Mapping[str, bytes], old: Mapping[str, bytes]
) -> tuple[str, str]:
    """Make the calibration what was archived, and read it back."""
    for name, content in old.items():
        if held.get(name) != content:
            repl.write_file(f"/{name}", content)
    for name in held.keys() - old.keys():
        repl.remove_file(f"/{name}")
    if FACTORY_NAME not in old:  # what the configuration holds is in force
        write_settings(repl, sheet.old_settings)
    now = held_files(repl)
    factory = _factory(now) if held == old else PUT_BACK
    if FACTORY_NAME not in old and not sheet.old_settings:
        return factory, UNKNOWN
    return factory, OLD if _holds(now, old) else BETWEEN
