"""Set a unit to the frequency of its mains."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug


@htf.PhaseOptions(timeout_s=60, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def write_line_frequency(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Write the frequency, set the chips up for it, and read it back.

    Needs: the unit on the network. Leaves: it in force and in the unit's configuration, not in factory.cfg.
    """
    traveller.sheet.about_to("write the line frequency")
    unit.api.set_config({"LINE_FREQ_HZ": unit.slot_context.station.line_frequency_hz})
    unit.api.init_chips()
    test.measurements["line_frequency_held_hz"] = unit.api.config()["LINE_FREQ_HZ"]
