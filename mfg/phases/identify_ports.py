"""Prove that each port sees its own conductor, in the expected direction."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.gains import error_pct
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.readings.paired import collect_windows, wait_until_stable

WINDOWS = 3
NOMINAL = {
    **{f"CT{port}_IGAIN": 42720 for port in range(1, 7)},
    **{f"CT{port}_IOFFSET": 0 for port in range(1, 7)},
    "CS0_VOLTAGE_GAIN": 55600,
    "CS4_VOLTAGE_GAIN": 55600,
    "CS0_VOLTAGE_OFFSET": 0,
    "CS4_VOLTAGE_OFFSET": 0,
}


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def identify_ports(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
) -> None:
    """Write nominal gains; with the identification conductor alone port k must read k times its current.

    Needs: the load off. Leaves: nominal gains and zero offsets in force, both conductors off.
    """
    sheet = traveller.sheet
    clock = unit.slot_context.clock
    station = unit.slot_context.station
    unit.api.set_config({**NOMINAL, "LINE_FREQ_HZ": station.line_frequency_hz})
    unit.api.init_chips()
    meter = reference.open()
    power.switch.on(power.identification)

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("identify ports", done, WINDOWS)

    wait_until_stable(meter, clock, sheet.deadline_s("settle_s"), feed)
    dwell = collect_windows(unit.api, meter, clock, WINDOWS, sheet.deadline_s("dwell_s"), feed)
    power.switch.off(power.identification)
    expected_sign = 1 if station.conductor.direction == "export" else -1
    for port in sheet.ports:
        _voltage_v, current_a, _reference_v, reference_a = dwell.sums(port)
        active_w = sum(window.active_w for window in dwell.windows[port])
        test.measurements[f"port{port}_turns"] = current_a / reference_a
        test.measurements[f"port{port}_turns_error_pct"] = error_pct(current_a, port * reference_a)
        test.measurements[f"port{port}_direction"] = (
            "as expected" if active_w * expected_sign > 0 else "reversed"
        )
