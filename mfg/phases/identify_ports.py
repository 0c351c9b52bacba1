"""Prove that each port sees its own conductor, in the expected direction."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.gains import error_pct
from mfg.calibration.windows import (
    LEAST_WINDOWS,
    NOMINAL_CURRENT_GAINS,
    NOMINAL_VOLTAGE_GAIN,
    StopRule,
)
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.limits.loader import PORTS
from mfg.readings.paired import collect_windows, wait_until_stable
from mfg.readings.window_sources import window_source

IDENTIFYING = StopRule(wanted_ppm=1e6, least=3, most=LEAST_WINDOWS)  # 10 % is wide: three windows do
LEAST_A = 0.2  # from which on the identification conductor counts as on
PHASE_FEATURE = "phase"
PGA = 1  # of firmware 2.8 and later (ct6-interface 7.4)


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

    Needs: the load off. Leaves: nominal gains, no offsets and no phases in force, both conductors off.
    """
    sheet = traveller.sheet
    clock = unit.slot_context.clock
    station = unit.slot_context.station
    sheet.features = unit.api.features()
    sheet.about_to("write nominal gains")
    unit.api.set_config(_nominal(sheet) | {"LINE_FREQ_HZ": station.line_frequency_hz})
    unit.api.init_chips()
    settled_s = clock.now_s()
    meter = reference.open()
    power.switch.on(power.identification)

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("identify ports", done, IDENTIFYING.least)

    wait_until_stable(meter, clock, LEAST_A, sheet.deadline_s("settle_s"), feed)
    source = window_source(unit.api, clock, sheet.features, max(settled_s, clock.now_s()))
    dwell = collect_windows(source, meter, clock, IDENTIFYING, sheet.deadline_s("dwell_s"), feed)
    power.switch.off(power.identification)
    expected_sign = 1 if station.conductor.direction == "export" else -1
    for port in sheet.ports:
        means = dwell.means(port)
        seen = "as expected" if means.active_w * expected_sign > 0 else "reversed"
        test.measurements[f"port{port}_turns"] = means.current_a / means.reference_a
        test.measurements[f"port{port}_turns_error_pct"] = error_pct(
            means.current_a, port * means.reference_a
        )
        test.measurements[f"port{port}_direction"] = seen


def _nominal(sheet: Traveller) -> dict[str, int]:
    """Return what an unadjusted unit holds: nominal gains, and nothing that corrects anything."""
    values: dict[str, int] = {f"CT{port}_IGAIN": NOMINAL_CURRENT_GAINS[PGA] for port in PORTS}
    values |= {f"CT{port}_IOFFSET": 0 for port in PORTS}
    for chip in ("CS0", "CS4"):
        values[f"{chip}_VOLTAGE_GAIN"] = NOMINAL_VOLTAGE_GAIN
        values[f"{chip}_VOLTAGE_OFFSET"] = 0
    if PHASE_FEATURE in sheet.features:
        values |= {f"CT{port}_PHASE": 0 for port in PORTS} | {f"CT{port}_PGAIN": 0 for port in PORTS}
    return values
