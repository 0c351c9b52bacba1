"""Write a stored calibration back over USB, and see that the unit holds and uses it after a restart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

import openhtf as htf

from mfg.fixtures.console import ConsoleLine
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitPortPlug
from mfg.readings.restoring import files_to_restore, require_restorable
from mfg.readings.stored import used_files
from mfg.readings.supply_cycle import at_prompt
from mfg.readings.unit_files import FILE_LIMIT_BYTES
from mfg.records.journal import STORE

SETTING = re.compile(r"^INFO: +(\w+) += (-?\d+)(?:\.0)?$")  # ct6-interface 2.2, line 6
CHIPS_SET_UP = r"Initialised ATM90E32 devices"
WORDS = 0x10000


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def restore_over_usb(
    test: htf.TestApi, traveller: TravellerPlug, port: UnitPortPlug, power: PowerSwitchPlug
) -> None:
    """Check that the file is this unit's, write it, restart the unit, and read it back byte for byte.

    What the restarted unit sets its chips up with is read from its console. Nothing is measured under load.

    Needs: the unit archived over USB. Leaves: the restored calibration on the unit, which is at its prompt.

    Raises:
        UsageError: The file is damaged or not this unit's, and nobody forced it; nothing was written.
    """
    sheet = traveller.sheet
    found = sheet.find_calibration(sheet.serial_number)
    allowed = require_restorable(sheet, port.slot_context.station, found)
    test.measurements["objections_forced"] = len(allowed.objections)
    wanted = files_to_restore(sheet, found)
    sheet.touched_files = tuple(wanted)
    sheet.about_to(STORE)
    with port.repl(sheet.deadline_s("serial_port_s")) as repl:
        for name, content in wanted.items():
            repl.write_file(f"/{name}", content)
        repl.reset()
    test.measurements["restored_sha256"] = hashlib.sha256(found.factory).hexdigest()
    console = port.console(sheet.deadline_s("serial_port_s"))
    console.wait_for(CHIPS_SET_UP, sheet.deadline_s("chips_set_up_s"))
    console_lines = console.lines()

    def read(repl: MicroPythonRepl) -> dict[str, bytes]:
        there = [name for name in used_files(sheet.features) if repl.exists(f"/{name}")]
        return {name: repl.read_file(f"/{name}", FILE_LIMIT_BYTES) for name in there}

    held = at_prompt(sheet, port, power, read)
    survived, in_force = held | wanted == held, _in_force(console_lines, allowed.file.registers)
    test.measurements["in_force"] = in_force
    test.measurements["survived_equal"] = survived
    sheet.stored_files = held
    sheet.proved_files = held if survived and in_force else None


def _in_force(lines: Iterable[ConsoleLine], registers: Mapping[str, int]) -> bool:
    """Return whether the unit says of every register that it sets it up as it was restored."""
    matches = [SETTING.match(line.text) for line in lines]
    said = {match[1]: int(match[2]) % WORDS for match in matches if match}
    return all(said.get(key) == value for key, value in registers.items())
