"""Store new labels on a unit, and prove that nothing else of it has changed."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.readings.unit_state import store_part

MAY_CHANGE = ("ASSY", "factory.cfg ASSY")


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def store_label(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, port: UnitPortPlug, power: PowerSwitchPlug
) -> None:
    """Let the unit store its label in factory.cfg, take its supply away, and read all of it back.

    Needs: the label in the unit's configuration. Leaves: it in factory.cfg and in force, all else as it was.
    """
    sheet = traveller.sheet
    stored = store_part(sheet, unit, port, power, MAY_CHANGE)
    test.measurements["files_hold_label"] = stored.holds
    test.measurements["files_survived"] = stored.survived
    test.measurements["returned_s"] = stored.returned_s
    test.measurements["others_changed"] = stored.others_changed
    test.measurements["label_in_force"] = unit.api.config().text("ASSY") == sheet.unit_label
