"""Leave a returned unit as it came, and prove it."""

from __future__ import annotations

from collections.abc import Mapping

import openhtf as htf

from mfg.errors import DutError, FixtureError
from mfg.fixtures.dut_apps import FileProof, differences
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.prompt_state import VOLATILE, snapshot, take_back
from mfg.fixtures.traveller import Traveller
from mfg.readings.start_up import await_start
from mfg.readings.supply_cycle import cycle_supply
from mfg.records.unit_after import BETWEEN, OLD, unit_after

PROVED, NOTHING = "every file has its sha256", "nothing was changed"
ATTEMPTS = 2  # a unit that restarts just then is given one more start


@htf.PhaseOptions(timeout_s=400)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def settle_returned_unit(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
) -> None:
    """Put the copies that the unit kept into their places, and compare every file with how it came.

    Needs: nothing. Leaves: the unit as it came, as its own hashes say, at its prompt; or the record says what
    differs.

    Raises:
        DutError, FixtureError: The unit does not answer at its serial port, so nothing is proved.
    """
    sheet = traveller.sheet
    if not sheet.serial_number:  # nothing is written before the unit is identified
        test.measurements["left"] = NOTHING
        return
    sheet.about_to("put a returned unit's files back")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            left = _left(sheet, port, sheet.came_with)
        except (DutError, FixtureError) as error:
            if attempt == ATTEMPTS:
                raise
            test.logger.warning("the unit is started once more: %s", error)
            _restart(sheet, unit, port, power)
        else:
            test.measurements["left"] = left
            state = OLD if left in (PROVED, NOTHING) else BETWEEN
            sheet.unit_after = unit_after(state, f"By its own hashes: {left}.")
            return


def _left(sheet: Traveller, port: UnitPortPlug, came_with: Mapping[str, FileProof | None] | None) -> str:
    with port.repl(sheet.deadline_s("serial_port_s")) as repl:
        take_back(repl)
        if came_with is None:  # the copies were all that had begun
            return NOTHING
        found = differences(came_with, snapshot(repl), VOLATILE)
    return "; ".join(found)[:1000] or PROVED


def _restart(sheet: Traveller, unit: UnitApiPlug, port: UnitPortPlug, power: PowerSwitchPlug) -> None:
    """Take the supply away and give it back; whether the unit then answers over the network is no matter."""
    try:
        cycle_supply(sheet, unit, port, power, within="started_s")
    except DutError:
        await_start(sheet, port)
