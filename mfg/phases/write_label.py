"""Write the assembly label to the unit."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.readings.restarts import require_no_restart


@htf.PhaseOptions(timeout_s=60)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def write_label(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Write the label and read it back.

    Needs: the unit on the network. Leaves: the label in the unit's configuration.
    """
    label = traveller.sheet.unit_label
    traveller.sheet.about_to("write the label")
    unit.api.set_config({"ASSY": label})
    test.measurements["label"] = label
    test.measurements["label_read_back"] = unit.api.config().text("ASSY") == label
    require_no_restart(traveller.sheet, unit.api, unit.slot_context.clock)
