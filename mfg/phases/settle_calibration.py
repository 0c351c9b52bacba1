"""Leave a running unit with its new calibration or with its old one, never between."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import openhtf as htf

from mfg.errors import DutError, FixtureError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.stored import stored_files
from mfg.readings.supply_cycle import at_prompt
from mfg.readings.unit_files import FILE_LIMIT_BYTES, write_settings
from mfg.records.factory_file import FACTORY_NAME
from mfg.records.unit_after import BETWEEN, NEW, OLD, unit_after

UNDER_LOAD = "voltage, current and power under load"


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def settle_calibration(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
) -> None:
    """See that a proved calibration is on the unit; put the old one back when the new one is not proved.

    Over the network where the unit answers there, else over its serial port, if need be after a restart.

    Needs: the unit archived. Leaves: the new files or the old ones, and the record says which; they are in
    force at the next power-up.
    """
    sheet = traveller.sheet
    proved, old = sheet.proved_files, sheet.old_files
    if old is None:  # nothing is written before the archive is made
        test.measurements["calibration_after"] = OLD
        return
    wanted = old if proved is None else proved
    held, way = _settle(test, sheet, unit, port, power, wanted)
    state = _state(held, old, proved)
    missing = [UNDER_LOAD] if state == NEW and not sheet.dwells else []
    sheet.unit_after = unit_after(state, f"The calibration's files were read back {way}.", missing)
    test.measurements["calibration_after"] = state


def _settle(
    test: htf.TestApi,
    sheet: Traveller,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    wanted: Mapping[str, bytes],
) -> tuple[dict[str, bytes], str]:
    """Return what the unit holds at the end, and on which way that was read."""
    if sheet.address:
        try:
            held = stored_files(unit.api, sheet.features)
            if held != wanted:
                sheet.about_to("put the old calibration back")
                held = _put_back(unit.api, sheet, held, wanted)
            if settings := _settings_to_put_back(sheet, wanted):
                unit.api.set_config(settings)
        except (DutError, FixtureError) as error:
            test.logger.warning("the unit does not answer over the network: %s", error)
        else:
            return held, "over the network"
    return at_prompt(sheet, port, power, partial(_over_usb, sheet, wanted)), "over USB"


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


def _over_usb(sheet: Traveller, wanted: Mapping[str, bytes], repl: MicroPythonRepl) -> dict[str, bytes]:
    """Write the wanted files over the serial port where they are not there, and read them back."""
    names = dict.fromkeys([*wanted, *sheet.touched_files])
    for name in names:
        repl.remove_beside(f"/{name}")
    held = _held(repl, names)
    if held != wanted:
        sheet.about_to("put the old calibration back")
        for name in names:
            if name not in wanted:
                repl.remove_file(f"/{name}")
            elif held.get(name) != wanted[name]:
                repl.write_file(f"/{name}", wanted[name])
        held = _held(repl, names)
    if settings := _settings_to_put_back(sheet, wanted):
        write_settings(repl, settings)
    return held


def _settings_to_put_back(sheet: Traveller, wanted: Mapping[str, bytes]) -> dict[str, int]:
    """Return what was adjusted in the configuration and no factory file lies over, as it was before."""
    return {} if FACTORY_NAME in wanted else sheet.old_settings


def _held(repl: MicroPythonRepl, names: Mapping[str, None]) -> dict[str, bytes]:
    there = [name for name in names if repl.exists(f"/{name}")]
    return {name: repl.read_file(f"/{name}", FILE_LIMIT_BYTES) for name in there}
