"""Settle what a killed job had begun on a unit: an exchange of its application, an incoming test."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import DutError
from mfg.fixtures.dut_apps import differences
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import TravellerPlug, UnitPortPlug
from mfg.fixtures.prompt_state import (
    COPY_END,
    MACHINE_FILE,
    VOLATILE,
    leave_one_application,
    machine_configuration,
    snapshot,
    take_back,
)
from mfg.fixtures.traveller import Interrupted
from mfg.readings.applications import changed_settings
from mfg.readings.start_up import await_start
from mfg.records.labels import parse_unit_label

NOT_CONCERNED, OTHER_UNIT = "not concerned", "another unit: not touched"
NEW, OLD, AS_IT_CAME = "new", "old", "as it came"


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, port=UnitPortPlug)
def settle_interrupted(test: htf.TestApi, traveller: TravellerPlug, port: UnitPortPlug) -> None:
    """Have one application run alone, and leave a returned unit as it came, over the serial port.

    That is the old application, unless the run had proved the new one.

    Needs: supply on. Leaves: the unit of the killed run in its old state or its new one, or the record says
    what differs; another unit as it is.

    Raises:
        DutError, FixtureError: The unit does not answer at its serial port, so nothing is proved.
    """
    sheet = traveller.sheet
    begun = sheet.interrupted
    application = returned = NOT_CONCERNED
    if begun is not None:
        await_start(sheet, port)
        with port.repl(sheet.deadline_s("serial_port_s")) as repl:
            if _is_unit(repl, begun.serial_number):
                application, returned = _application(repl, begun), _returned(repl, begun)
            else:
                application = returned = OTHER_UNIT
    test.measurements["application_after"] = application
    test.measurements["returned_unit"] = returned


def _is_unit(repl: MicroPythonRepl, serial_number: str) -> bool:
    """Tell the killed run's unit by its label; a copy of its configuration is truer than what a test made."""
    copy = MACHINE_FILE + COPY_END
    configuration = machine_configuration(repl, copy if repl.exists(copy) else MACHINE_FILE)
    try:
        return parse_unit_label(str(configuration.get("ASSY", ""))).serial_number == serial_number
    except DutError:
        return False


def _application(repl: MicroPythonRepl, begun: Interrupted) -> str:
    if not begun.application:
        return NOT_CONCERNED
    held = leave_one_application(repl, begun.application, begun.settings)
    changed = changed_settings(begun.settings, held)
    state = NEW if begun.proved else OLD
    return f"{state}, but {', '.join(changed)} changed" if changed else state


def _returned(repl: MicroPythonRepl, begun: Interrupted) -> str:
    if not begun.copies:
        return NOT_CONCERNED
    take_back(repl)
    if begun.came_with is None:  # the copies were all that had begun
        return AS_IT_CAME
    return "; ".join(differences(begun.came_with, snapshot(repl), VOLATILE))[:1000] or AS_IT_CAME
