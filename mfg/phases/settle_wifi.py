"""Leave a unit with its new WiFi configuration or with its old one, never between."""

from __future__ import annotations

from functools import partial
from typing import Any

import openhtf as htf

from mfg.fixtures.dut_api import MASK
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.supply_cycle import at_prompt
from mfg.readings.unit_files import FILE_LIMIT_BYTES, MACHINE_FILE
from mfg.records.unit_after import BETWEEN, NEW, OLD, unit_after
from mfg.untrusted import parse_json


@htf.PhaseOptions(timeout_s=180)
@htf.plug(traveller=TravellerPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def settle_wifi(
    test: htf.TestApi, traveller: TravellerPlug, port: UnitPortPlug, power: PowerSwitchPlug
) -> None:
    """See over USB which configuration is on a unit whose job failed; put the old one back.

    A unit of ours masks its secrets over the network: what it was told to forget cannot be put back there,
    and it is seen whether it forgot it whole.

    Needs: the unit's supply on. Leaves: the old configuration or the new one, and the record says which.
    """
    sheet = traveller.sheet
    if sheet.unit_after is None and sheet.old_machine is not None:
        state = at_prompt(sheet, port, power, partial(_settle, sheet, sheet.old_machine))
        sheet.unit_after = unit_after(state, "Its configuration was read back over USB.")
    test.measurements["wifi_after"] = sheet.unit_after["state"] if sheet.unit_after else OLD


def _settle(sheet: Traveller, old: bytes, repl: MicroPythonRepl) -> str:
    repl.remove_beside(MACHINE_FILE)
    held = _read(repl)
    if held == old:
        return OLD
    if MASK.encode() not in old:
        sheet.about_to("put the old WiFi configuration back")
        if old:
            repl.write_file(MACHINE_FILE, old)
        else:
            repl.remove_file(MACHINE_FILE)
        return OLD if _read(repl) == old else BETWEEN
    wifi, before = _wifi(held), _wifi(old)
    if wifi.get("WIFI_CFG") == 0 and wifi.get("SSID") != before.get("SSID"):
        return NEW
    return OLD if {**wifi, "PASSWD": MASK} == before else BETWEEN


def _read(repl: MicroPythonRepl) -> bytes:
    """Return the configuration, empty where the unit has none."""
    return repl.read_file(MACHINE_FILE, FILE_LIMIT_BYTES) if repl.exists(MACHINE_FILE) else b""


def _wifi(content: bytes) -> dict[str, Any]:
    """Return the WIFI object of a configuration; empty where there is none that can be read."""
    try:
        configuration = parse_json(content)
    except ValueError:
        return {}
    wifi = configuration.get("WIFI") if isinstance(configuration, dict) else None
    return wifi if isinstance(wifi, dict) else {}
