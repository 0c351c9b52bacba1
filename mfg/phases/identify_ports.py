"""Prove that each port sees its own conductor, in the expected direction."""

from __future__ import annotations

import math

import openhtf as htf

from mfg.calibration.gains import error_pct
from mfg.calibration.windows import (
    LEAST_WINDOWS,
    NOMINAL_CURRENT_GAINS,
    NOMINAL_VOLTAGE_GAIN,
    StopRule,
    check_common_scale,
    check_first_window,
    check_plugs_shifted,
)
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.references import Reference
from mfg.fixtures.traveller import Traveller
from mfg.limits.loader import PORTS
from mfg.readings.load_points import check_load_stayed, reference_checks, require_believable, typed_checks
from mfg.readings.paired import Dwell, collect_windows
from mfg.readings.settling import Change, OnPoll, wait_until_settled, wait_until_switched
from mfg.readings.window_sources import window_source

IDENTIFYING = StopRule(wanted_ppm=1e6, least=3, most=LEAST_WINDOWS)  # 10 % is wide: three windows do
STALE_PPM = 10_000  # from the other windows: a tenth of what a wrong conductor is
LEAST_TURNS = 0.5  # below, a port sees no conductor: that is for its limit to say
LEAST_A = 0.2  # from which on the identification conductor counts as on
NEAREST_PCT = 10.0  # half of the least distance between two conductors, 5 and 6 turns, and a little more
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

    Needs: the load off. Leaves: nominal gains, no offsets and no phases in force at the ports under test, the
    other ports as they were; both conductors off.
    """
    sheet = traveller.sheet
    station = unit.slot_context.station
    sheet.features = unit.api.features()
    sheet.about_to("write nominal gains")
    unit.api.set_config(_nominal(sheet) | {"LINE_FREQ_HZ": station.line_frequency_hz})
    unit.api.init_chips()

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("identify ports", done, IDENTIFYING.least)

    dwell = _dwell(sheet, unit, power, reference.open(), feed)
    expected_sign = 1 if station.conductor.direction == "export" else -1
    for port in sheet.ports:
        means = dwell.means(port)
        seen = "as expected" if means.active_w * expected_sign > 0 else "reversed"
        test.measurements[f"port{port}_turns"] = means.current_a / means.reference_a
        test.measurements[f"port{port}_turns_error_pct"] = error_pct(
            means.current_a, port * means.reference_a
        )
        test.measurements[f"port{port}_direction"] = seen
    test.measurements["port_order"] = _order(dwell, sheet.ports)
    turns = {port: dwell.means(port).current_a / dwell.means(port).reference_a for port in sheet.ports}
    require_believable([lambda: check_plugs_shifted(turns), lambda: check_common_scale(turns)])


def _dwell(
    sheet: Traveller, unit: UnitApiPlug, power: PowerSwitchPlug, meter: Reference, feed: OnPoll
) -> Dwell:
    """Take a short dwell with the identification conductor on, and switch it off."""
    clock, station = unit.slot_context.clock, unit.slot_context.station
    deadline = clock.deadline(sheet.deadline_s("settle_s"))
    power.switch.on(power.identification)

    def measured_a() -> float:
        return power.switch.measured_current_a(power.identification)

    change = wait_until_switched(measured_a, clock, Change(LEAST_A, math.inf), deadline, feed)
    wait_until_settled(meter, measured_a, clock, change, station.reference_meter.update_s, deadline, feed)
    source = window_source(unit.api, clock, sheet.features, clock.now_s())
    dwell = collect_windows(source, meter, clock, IDENTIFYING, sheet.deadline_s("dwell_s"), feed)
    power.switch.off(power.identification)
    checks = reference_checks(dwell, float(station.line_frequency_hz))
    checks += typed_checks(dwell, sheet.ports)
    require_believable([*checks, lambda: check_load_stayed(dwell.samples)])
    ratios = {port: dwell.current_ratios(port) for port in sheet.ports}
    reading = {port: found for port, found in ratios.items() if min(found[1:]) > LEAST_TURNS}
    require_believable([lambda: check_first_window(reading, STALE_PPM)])
    return dwell


def _order(dwell: Dwell, ports: tuple[int, ...]) -> str:
    """Return the conductor that each port sees, by its turns: "-" for none, the port itself if untested."""
    seen = []
    for port in PORTS:
        means = dwell.means(port)
        turns = means.current_a / means.reference_a
        nearest = min(PORTS, key=lambda number: abs(turns / number - 1))
        within = abs(turns / nearest - 1) * 100 <= NEAREST_PCT
        seen.append(str(port) if port not in ports else str(nearest) if within else "-")
    return " ".join(seen)


def _nominal(sheet: Traveller) -> dict[str, int]:
    """Return what the ports under test hold unadjusted: nominal gains, and nothing that corrects anything."""
    values: dict[str, int] = {f"CT{port}_IGAIN": NOMINAL_CURRENT_GAINS[PGA] for port in sheet.ports}
    values |= {f"CT{port}_IOFFSET": 0 for port in sheet.ports}
    for chip in ("CS0", "CS4"):
        values[f"{chip}_VOLTAGE_GAIN"] = NOMINAL_VOLTAGE_GAIN
        values[f"{chip}_VOLTAGE_OFFSET"] = 0
    if sheet.has_phase:
        for port in sheet.ports:
            values |= {f"CT{port}_PHASE": 0, f"CT{port}_PGAIN": 0}
    return values
