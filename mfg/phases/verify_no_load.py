"""Verify that a unit without a load shows none."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.pairing import window_s
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug
from mfg.readings.evaluation import no_load_current, no_load_power
from mfg.readings.load_points import switch_off_measured
from mfg.readings.notes import note_evaluated
from mfg.readings.paired import read_unpaired
from mfg.readings.restarts import require_no_restart
from mfg.readings.standard import bench_limits
from mfg.readings.window_sources import DISCARDED_WINDOWS, window_source

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
    passing_s = DISCARDED_WINDOWS * window_s(float(unit.slot_context.station.line_frequency_hz))
    source = window_source(unit.api, clock, sheet.features, clock.now_s() + passing_s)
    found = read_unpaired(source, clock, WINDOWS, sheet.deadline_s("dwell_s"))
    station = unit.slot_context.station
    bench = bench_limits(station)
    for port in sheet.ports:
        currents_a, powers_w = zip(*found[port], strict=True)
        values = {
            f"port{port}_no_load_a": no_load_current(currents_a, source.current_step_a, bench),
            f"port{port}_no_load_w": no_load_power(powers_w, station.nominal_voltage_v, bench),
        }
        for name, evaluated in values.items():
            test.measurements[name] = note_evaluated(sheet, "verify_no_load", name, evaluated)
    require_no_restart(sheet, unit.api, clock)
