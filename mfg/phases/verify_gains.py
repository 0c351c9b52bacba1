"""Verify the adjusted gains by measuring again."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.gains import error_pct
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.readings.paired import collect_windows

WINDOWS = 8
HALF_CURRENT_STEP_A, HALF_VOLTAGE_STEP_V = 0.0005, 0.005


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def verify_gains(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
) -> None:
    """Judge every port against the reference, with readings of their own.

    Needs: the load on, the adjusted gains in force. Leaves: nothing written.
    """
    sheet = traveller.sheet
    turns = unit.slot_context.station.conductor.turns

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("verify", done, WINDOWS)

    dwell = collect_windows(
        unit.api, reference.open(), unit.slot_context.clock, WINDOWS, sheet.deadline_s("dwell_s"), feed
    )
    test.measurements["verify_windows"] = dwell.count()
    for port in sheet.ports:
        voltage_v, current_a, reference_v, reference_a = dwell.sums(port)
        current_pct = error_pct(current_a + HALF_CURRENT_STEP_A, turns * reference_a)
        test.measurements[f"port{port}_current_error_pct"] = current_pct
        voltage_pct = error_pct(voltage_v + HALF_VOLTAGE_STEP_V, reference_v)
        test.measurements[f"port{port}_voltage_error_pct"] = voltage_pct
