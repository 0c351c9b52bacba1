"""Prove that each port sees its own conductor, in the expected direction."""

from __future__ import annotations

import math
from collections.abc import Mapping

import openhtf as htf

from mfg.calibration.gains import error_pct
from mfg.calibration.pairing import mean
from mfg.calibration.windows import (
    LEAST_WINDOWS,
    NOMINAL_CURRENT_GAINS,
    NOMINAL_VOLTAGE_GAIN,
    StopRule,
    check_common_scale,
    check_first_window,
    check_plugs_shifted,
    check_turns,
)
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.references import Reference
from mfg.fixtures.traveller import Traveller
from mfg.limits.loader import PORTS
from mfg.readings.load_points import (
    LoadBench,
    check_load_stayed,
    reference_checks,
    require_believable,
    switch_off_measured,
    typed_checks,
)
from mfg.readings.paired import Dwell, collect_windows
from mfg.readings.port_by_port import take_for_adjustment, take_ports
from mfg.readings.settling import Change, OnPoll, wait_until_settled, wait_until_switched
from mfg.readings.window_sources import window_source

IDENTIFYING = StopRule(wanted_ppm=1e6, least=3, most=LEAST_WINDOWS)  # 10 % is wide: three windows do
STALE_PPM = 10_000  # from the other windows: a tenth of what a wrong conductor is
LEAST_TURNS = 0.5  # below, a port sees no conductor: that is for its limit to say
LEAST_A = 0.2  # from which on the identification conductor counts as on
NEAREST_PCT = 10.0  # half of the least distance between two conductors, 5 and 6 turns, and a little more
PGA = 1  # of firmware 2.8 and later (ct6-interface 7.4)


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(
    traveller=TravellerPlug,
    unit=UnitApiPlug,
    power=PowerSwitchPlug,
    reference=ReferenceMeterPlug,
    operator=OperatorPlug,
)
def identify_ports(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
    operator: OperatorPlug,
) -> None:
    """Write nominal gains; with the identification conductor alone port k must read k times its current.

    Where one CT at a time is on the conductor, the port whose CT was asked for must see all of its turns and
    every other none. Its zero and its dwell for the adjustment are taken while the CT is in place.

    Needs: the load off. Leaves: nominal gains, no offsets and no phases in force at the ports under test, the
    other ports as they were; both conductors off.
    """
    sheet = traveller.sheet
    clock, station = unit.slot_context.clock, unit.slot_context.station
    sheet.features = unit.api.features()
    sheet.about_to("write nominal gains")
    unit.api.set_config(_nominal(sheet) | {"LINE_FREQ_HZ": station.line_frequency_hz})
    unit.api.init_chips()

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("identify ports", done, IDENTIFYING.least)

    meter = reference.open()
    if station.conductor.one_at_a_time:
        bench = LoadBench(station, clock, power.switch, meter, sheet.ports)
        dwells = _taken(bench, sheet, unit, power, operator)
        passes = dict.fromkeys(sheet.ports, station.conductor.turns)
    else:
        dwells = dict.fromkeys(sheet.ports, _dwell(sheet, unit, power, meter, feed))
        passes = {port: port for port in sheet.ports}
    turns = {}
    expected_sign = station.conductor.sign
    for port, dwell in dwells.items():
        means = dwell.means(port)
        # Alone on the conductor, a port that sees all of its turns sees the conductor of its number.
        expected_a = passes[port] * means.reference_a
        turns[port] = port * means.current_a / expected_a
        seen = "as expected" if means.active_w * expected_sign > 0 else "reversed"
        test.measurements[f"port{port}_turns"] = turns[port]
        test.measurements[f"port{port}_turns_error_pct"] = error_pct(means.current_a, expected_a)
        test.measurements[f"port{port}_direction"] = seen
    test.measurements["port_order"] = _order(turns)
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


def _taken(
    bench: LoadBench, sheet: Traveller, unit: UnitApiPlug, power: PowerSwitchPlug, operator: OperatorPlug
) -> dict[int, Dwell]:
    """Take each port alone, its zero and its dwell: both its identity and its adjustment come from them."""
    rule = StopRule(wanted_ppm=sheet.limits.rule("wanted_ppm"))

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("take port", done, rule.least)

    def take(placed: LoadBench) -> None:
        take_for_adjustment(unit.api, sheet, placed, rule, feed)

    take_ports(bench, sheet, power, operator, "adjust", take, goes_back=True)
    switch_off_measured(power.switch, (power.load,), bench.clock)
    dwells: dict[int, Dwell] = {port: sheet.taken[port].dwell for port in sheet.ports}
    ratios = {port: mean(dwell.current_ratios(port)) for port, dwell in dwells.items()}
    require_believable([lambda: check_turns(ratios, bench.station.conductor.turns)])
    return dwells


def _order(seen: Mapping[int, float]) -> str:
    """Return the conductor that each port sees, by its turns: "-" for none, the port itself if untested."""
    order = []
    for port in PORTS:
        turns = seen.get(port, float(port))
        nearest = min(PORTS, key=lambda number: abs(turns / number - 1))
        order.append(str(nearest) if abs(turns / nearest - 1) * 100 <= NEAREST_PCT else "-")
    return " ".join(order)


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
