"""Load the firmware, start it and let it join the test network."""

from __future__ import annotations

import json
import re

import openhtf as htf

from mfg.errors import DutError, FixtureError
from mfg.fixtures.console import ConsoleLine, SerialConsole
from mfg.fixtures.firmware_build import build_firmware
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.restarts import note_start, require_chip_ran_on
from mfg.untrusted import printable

ADDRESS_LINE = r", IP Address=(\d{1,3}(?:\.\d{1,3}){3})"
NOT_JOINED = "WiFi did not join"
EXCEPTION = re.compile(r"\w*(?:Error|Exception)\b")  # the last line of MicroPython's traceback begins so


@htf.PhaseOptions(timeout_s=600)
@htf.plug(traveller=TravellerPlug, port=UnitPortPlug, unit=UnitApiPlug)
def load_firmware(test: htf.TestApi, traveller: TravellerPlug, port: UnitPortPlug, unit: UnitApiPlug) -> None:
    """Build, load and start the firmware; wait until it answers over the network.

    Needs: MicroPython at its prompt. Leaves: the application running, joined, its console drained.
    """
    sheet = traveller.sheet
    with port.repl(sheet.deadline_s("repl_s")) as repl:
        firmware = build_firmware(sheet.firmware_source, repl.identity()["mpy"])
        sheet.about_to("wipe the file system and load the firmware")
        repl.wipe(sheet.deadline_s("load_s"))
        report = repl.load(
            firmware.files,
            lambda done, total: sheet.report_progress("firmware", done, total),
            firmware.folders,
        )
        repl.write_file("/this.machine.cfg", _wifi_configuration(sheet))
        sheet.mac = repl.mac()
        require_chip_ran_on(sheet, repl)
        repl.reset()
    test.measurements["firmware_files"] = report.files
    test.measurements["firmware_bytes"] = report.bytes
    test.measurements["load_bytes_per_s"] = report.bytes_per_s
    test.measurements["firmware_sha256"] = firmware.sha256
    test.measurements["mac"] = sheet.mac
    sheet.claim_mac(sheet.mac)
    _join(test, sheet, port, unit)


def _wifi_configuration(sheet: Traveller) -> bytes:
    """One line of JSON that begins with an opening brace and a quote (ct6-interface 2.4)."""
    wifi = {
        "WIFI_CFG": 1,
        "MODE": "STA",
        "CHANNEL": 3,
        "SSID": sheet.credentials.ssid,
        "PASSWD": sheet.credentials.passphrase,
    }
    return json.dumps({"WIFI": wifi}).encode()


def _address_line(console: SerialConsole, sheet: Traveller) -> ConsoleLine:
    """Wait for the address; a unit that gives up restarts, and its port vanishes before the time is up."""
    timeout_s = sheet.deadline_s("join_wifi_s")
    try:
        return console.wait_for(ADDRESS_LINE, timeout_s)
    except (DutError, FixtureError) as error:
        texts = [line.text for line in console.lines()]
        gave_up = [text for text in texts if NOT_JOINED in text]
        if isinstance(error, FixtureError) and not gave_up:
            raise
        telling = gave_up or [text for text in texts if EXCEPTION.match(text)]
        said = (
            f'its console says "{printable(telling[-1])}"'
            if telling
            else f"no address within {timeout_s:g} s"
        )
        raise DutError(
            f'The unit did not join the test network "{sheet.credentials.ssid}": {said}.',
            "Reject the unit if a known good unit joins; else look at the test network.",
        ) from error


def _join(test: htf.TestApi, sheet: Traveller, port: UnitPortPlug, unit: UnitApiPlug) -> None:
    clock = port.slot_context.clock
    started_s = clock.now_s()
    console = port.console(sheet.deadline_s("serial_port_s"))
    line = _address_line(console, sheet)
    sheet.address = line.match[1] if line.match else ""
    test.measurements["join_wifi_s"] = clock.now_s() - started_s
    test.measurements["address"] = sheet.address
    unit.api.wait_ready(sheet.deadline_s("http_ready_s"))
    sheet.firmware_version = unit.api.firmware_version()
    test.measurements["firmware_version"] = sheet.firmware_version
    test.measurements["free_heap_bytes"] = unit.api.system_stats()["RAM_FREE_BYTES"]
    note_start(sheet, unit.api, clock)
