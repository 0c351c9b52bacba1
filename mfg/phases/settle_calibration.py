"""Leave a running unit with its new calibration or with its old one, never between."""

from __future__ import annotations

from collections.abc import Mapping

import openhtf as htf

from mfg.errors import DutError, FixtureError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.stored import stored_files
from mfg.readings.unit_files import FILE_LIMIT_BYTES
from mfg.records.factory_file import CALIBRATION_NAME, FACTORY_NAME

NEW, OLD, BETWEEN = "new", "old", "between"


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug)
def settle_calibration(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, port: UnitPortPlug
) -> None:
    """See that a proved calibration is on the unit; put the old one back when the new one is not proved.

    Over the network where the unit answers there, else over its serial port.

    Needs: the unit archived. Leaves: the new files or the old ones, and the record says which; they are in
    force at the next power-up.
    """
    sheet = traveller.sheet
    proved, old = sheet.proved_files, sheet.old_files
    if old is None:  # nothing is written before the archive is made
        test.measurements["calibration_after"] = OLD
        return
    wanted = old if proved is None else proved
    try:
        held = stored_files(unit.api, sheet.features)
        if held != wanted:
            sheet.about_to("put the old calibration back")
            held = _put_back(unit.api, sheet, held, wanted)
    except (DutError, FixtureError) as error:
        test.logger.warning("the unit does not answer over the network: %s", error)
        held = _over_usb(sheet, port, wanted)
    test.measurements["calibration_after"] = _state(held, old, proved)


def _state(held: Mapping[str, bytes], old: Mapping[str, bytes], proved: Mapping[str, bytes] | None) -> str:
    if proved is not None and held == proved:
        return NEW
    return OLD if held == old else BETWEEN


def _put_back(
    api: DutApi, sheet: Traveller, held: Mapping[str, bytes], wanted: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Upload what differs; a file that was not there before can only be removed over the serial port."""
    if set(held) - set(wanted):
        raise FixtureError("The unit holds a file that it had not, and the network removes none.")
    for name, content in wanted.items():
        if held.get(name) != content:
            api.upload(name, "/", content)
    return stored_files(api, sheet.features)


def _over_usb(sheet: Traveller, port: UnitPortPlug, wanted: Mapping[str, bytes]) -> dict[str, bytes]:
    """Write the wanted files over the serial port and read them back."""
    with port.repl(sheet.deadline_s("serial_port_s")) as repl:
        names = [*wanted, FACTORY_NAME, CALIBRATION_NAME]
        for name in dict.fromkeys(names):
            if name in wanted:
                repl.write_file(f"/{name}", wanted[name])
            elif repl.exists(f"/{name}"):
                repl.remove_file(f"/{name}")
        return {
            name: repl.read_file(f"/{name}", FILE_LIMIT_BYTES)
            for name in dict.fromkeys(names)
            if repl.exists(f"/{name}")
        }
