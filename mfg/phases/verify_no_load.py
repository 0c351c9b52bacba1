"""Verify that a unit without a load shows none."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.pairing import mean
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug
from mfg.readings.load_points import switch_off_measured
from mfg.readings.paired import read_unpaired
from mfg.readings.restarts import require_no_restart
from mfg.readings.window_sources import window_source

WINDOWS = 3


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, power=PowerSwitchPlug)
def verify_no_load(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, power: PowerSwitchPlug
) -> None:
    """Switch the load off and judge current and power of every port.

    Needs: the stored calibration in force. Leaves: the load off.
    """
    sheet, clock = traveller.sheet, unit.slot_context.clock
    switch_off_measured(power.switch, (power.load,), clock)
    source = window_source(unit.api, clock, sheet.features, clock.now_s())
    found = read_unpaired(source, clock, WINDOWS, sheet.deadline_s("dwell_s"))
    for port in sheet.ports:
        test.measurements[f"port{port}_no_load_a"] = mean([current_a for current_a, _w in found[port]])
        test.measurements[f"port{port}_no_load_w"] = mean([active_w for _a, active_w in found[port]])
    require_no_restart(sheet, unit.api, clock)
