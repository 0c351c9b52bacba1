"""Read over USB who a unit without a network is, and keep what it holds before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

import openhtf as htf

from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitPortPlug
from mfg.readings.own_label import object_of, require_own_label
from mfg.readings.restoring import features_of
from mfg.readings.stored import used_files, wholeness
from mfg.readings.supply_cycle import VERSION_LINE, at_prompt
from mfg.readings.unit_files import FILE_LIMIT_BYTES
from mfg.records.factory_file import (
    ARCHIVE,
    CALIBRATION_NAME,
    FACTORY_NAME,
    MACHINE_NAME,
    masked_machine_config,
)

NAMES = (FACTORY_NAME, CALIBRATION_NAME, MACHINE_NAME)


@dataclass(frozen=True)
class _Held:
    """What a unit holds, by plain name, and its MAC address."""

    files: dict[str, bytes]
    mac: str


@htf.PhaseOptions(timeout_s=180)
@htf.plug(traveller=TravellerPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def archive_over_usb(
    test: htf.TestApi, traveller: TravellerPlug, port: UnitPortPlug, power: PowerSwitchPlug
) -> None:
    """Archive the calibration's files and the masked configuration; the label must be the scanned one.

    Needs: supply on, the labels scanned, an application on the unit. Leaves: the application started anew;
    its version and its files on the traveller, so that they can be put back.

    Raises:
        FixtureError: The unit's own label is another one; nothing was changed.
        DutError: The unit starts no application, or its MAC address is another unit's.
    """
    sheet = traveller.sheet

    def read(repl: MicroPythonRepl) -> _Held:
        there = [name for name in NAMES if repl.exists(f"/{name}")]
        files = {name: repl.read_file(f"/{name}", FILE_LIMIT_BYTES) for name in there}
        held = _Held(files, repl.mac())
        repl.reset()
        return held

    held = at_prompt(sheet, port, power, read)
    console = port.console(sheet.deadline_s("serial_port_s"))
    line = console.wait_for(VERSION_LINE, sheet.deadline_s("chips_set_up_s"))
    sheet.firmware_version = line.match[1] if line.match else ""
    sheet.features = features_of(sheet.firmware_version)
    machine = held.files.pop(MACHINE_NAME, b"")
    require_own_label(sheet, held.files.get(FACTORY_NAME, b""), machine)
    sheet.mac = held.mac
    sheet.claim_mac(held.mac)
    old = {name: held.files[name] for name in used_files(sheet.features) if name in held.files}
    for name, content in old.items():
        sheet.keep(f"{ARCHIVE}{name}", content)
    sheet.keep(f"{ARCHIVE}{MACHINE_NAME}", masked_machine_config(object_of(machine)))
    sheet.old_files = old
    test.measurements["firmware_version"] = sheet.firmware_version
    test.measurements["mac"] = held.mac
    test.measurements["kept_files"] = len(old) + 1
    test.measurements["calibration_before"] = wholeness(old)
