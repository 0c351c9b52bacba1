"""Write the test network's WiFi configuration to a unit over USB."""

from __future__ import annotations

import json
from typing import Any

import openhtf as htf

from mfg.errors import DutError
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import TravellerPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.own_label import require_own_label
from mfg.readings.unit_files import FACTORY_FILE, FILE_LIMIT_BYTES, MACHINE_FILE
from mfg.records.factory_file import ARCHIVE, MACHINE_NAME, masked_machine_config
from mfg.records.journal import WRITE_WIFI
from mfg.records.unit_after import NEW, unit_after
from mfg.untrusted import parse_json

ADDRESS_LINE = r", IP Address=(\d{1,3}(?:\.\d{1,3}){3})"


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, port=UnitPortPlug)
def configure_wifi(test: htf.TestApi, traveller: TravellerPlug, port: UnitPortPlug) -> None:
    """Put the network into the unit's configuration, restart it and see it join; nothing else is changed.

    Needs: supply on, an application on the unit. Leaves: the unit on the test network.

    Raises:
        FixtureError: The unit carries another label than was scanned; nothing was changed.
    """
    sheet = traveller.sheet
    clock = port.slot_context.clock
    with port.repl(sheet.deadline_s("serial_port_s")) as repl:
        old, before = _configuration(repl)
        factory = repl.read_file(FACTORY_FILE, FILE_LIMIT_BYTES) if repl.exists(FACTORY_FILE) else b""
        require_own_label(sheet, factory, old)
        sheet.old_machine = old
        if sheet.came_with is None:  # a returned unit has been archived
            sheet.keep(f"{ARCHIVE}{MACHINE_NAME}", masked_machine_config(before))
        after = {**before, "WIFI": {**_object(before.get("WIFI")), **_network(sheet)}}
        sheet.about_to(WRITE_WIFI)
        repl.write_file(MACHINE_FILE, json.dumps(after).encode())
        held = parse_json(repl.read_file(MACHINE_FILE, FILE_LIMIT_BYTES))
        repl.reset()
    read_back = held == after
    test.measurements["configuration_read_back"] = read_back
    started_s = clock.now_s()
    line = port.console(sheet.deadline_s("serial_port_s")).wait_for(
        ADDRESS_LINE, sheet.deadline_s("join_wifi_s")
    )
    test.measurements["join_wifi_s"] = clock.now_s() - started_s
    sheet.address = line.match[1] if line.match else ""
    test.measurements["address"] = sheet.address
    if read_back and sheet.came_with is None:  # a returned unit only borrows the network
        sheet.unit_after = unit_after(NEW, "Its configuration was read back, and it joined the network.")


def _network(sheet: Traveller) -> dict[str, Any]:
    return {
        "WIFI_CFG": 1,
        "MODE": "STA",
        "SSID": sheet.credentials.ssid,
        "PASSWD": sheet.credentials.passphrase,
    }


def _configuration(repl: MicroPythonRepl) -> tuple[bytes, dict[str, Any]]:
    """Read the unit's configuration; a unit without one, as after its first load, has an empty one."""
    if not repl.exists(MACHINE_FILE):
        return b"", {}
    content = repl.read_file(MACHINE_FILE, FILE_LIMIT_BYTES)
    try:
        return content, _object(parse_json(content))
    except ValueError as error:
        raise DutError(
            f"The unit's {MACHINE_FILE} is no JSON; it was not touched.", "Load the unit again."
        ) from error


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise DutError("The unit's configuration is no object; it was not touched.", "Load the unit again.")
    return value or {}
