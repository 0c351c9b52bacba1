"""Verify the adjusted unit at every load point the bench can set."""

from __future__ import annotations

from collections.abc import Mapping

import openhtf as htf

from mfg.calibration.windows import StopRule
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.evaluation import Evaluator
from mfg.readings.load_points import LoadBench
from mfg.readings.notes import NO_POWER, note_dwell, note_evaluated
from mfg.readings.operating_state import note_state, operating_state
from mfg.readings.paired import Dwell
from mfg.readings.port_by_port import take_ports, together
from mfg.readings.restarts import require_no_restart
from mfg.readings.standard import bench_limits, bench_standard
from mfg.readings.window_sources import DISCARDED_WINDOWS, window_source
from mfg.station import ADJUSTED_POINT, LoadPoint

WINDOW_S = 0.32  # at 50 Hz, the longer one


@htf.PhaseOptions(timeout_s=400, stop_on_measurement_fail=True)
@htf.plug(
    traveller=TravellerPlug,
    unit=UnitApiPlug,
    power=PowerSwitchPlug,
    reference=ReferenceMeterPlug,
    operator=OperatorPlug,
)
def verify_points(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
    operator: OperatorPlug,
) -> None:
    """Judge voltage, current, power and phase of every port at each load point, with their uncertainty.

    Where one CT at a time is on the conductor, all points are taken while a port's CT is in place.

    Needs: the load on at its high point (off, where a CT has to be moved), the adjusted registers in force.
    Leaves: nothing written, the load on at the last point.
    """
    sheet = traveller.sheet
    clock, station = unit.slot_context.clock, unit.slot_context.station
    rule = StopRule(wanted_ppm=sheet.limits.rule("verify_ppm"))
    bench = LoadBench(station, clock, power.switch, reference.open(), sheet.ports)
    standard = bench_standard(station, sheet)
    found: dict[str, dict[int, Dwell]] = {point.name: {} for point in station.load_points}

    def take(placed: LoadBench) -> None:
        for point in station.load_points:
            dwell = _dwell(placed, sheet, unit.api, point, rule)
            found[point.name] |= dict.fromkeys(placed.ports, dwell)
            note_dwell(sheet, f"verify {point.name}", point, together(found[point.name]))
            evaluator = Evaluator(standard, bench_limits(station), station.conductor, point.range_a)
            for port in placed.ports:
                _judge_port(test, sheet, evaluator, dwell, point, port)

    take_ports(bench, sheet, power, operator, "verify", take)
    _judge_together(test, found[ADJUSTED_POINT])
    test.measurements["verify_windows"] = min(together(dwells).count() for dwells in found.values())
    require_no_restart(sheet, unit.api, clock)


def _dwell(bench: LoadBench, sheet: Traveller, api: DutApi, point: LoadPoint, rule: StopRule) -> Dwell:
    """Bring the load to a point and take the dwell of the ports that have a CT on the conductor."""
    clock = bench.clock

    def feed(done: int) -> None:
        bench.switch.feed()
        sheet.report_progress(f"verify {point.name}", done, rule.least)

    load_stayed = point.name == ADJUSTED_POINT and not bench.station.conductor.one_at_a_time
    if not load_stayed:
        bench.go_to(point, sheet.deadline_s("settle_s"), feed)
    note_state(sheet.operating_states, operating_state(api, clock, sheet.features))
    passing_s = DISCARDED_WINDOWS * WINDOW_S if load_stayed else 0.0  # the registers changed just now
    source = window_source(api, clock, sheet.features, clock.now_s() + passing_s)
    return bench.dwell(point, source, rule, sheet.deadline_s("dwell_s"), feed)


def _judge_port(
    test: htf.TestApi, sheet: Traveller, evaluator: Evaluator, dwell: Dwell, point: LoadPoint, port: int
) -> None:
    stem = f"port{port}_{point.name}"
    found = {
        f"{stem}_voltage_error_pct": evaluator.voltage(dwell, port),
        f"{stem}_current_error_pct": evaluator.current(dwell, port),
    }
    if sheet.has_power:
        found[f"{stem}_power_error_pct"] = evaluator.power(dwell, port)
    else:
        sheet.note_not_done(NO_POWER)
        _leave_out(test, sheet, f"{stem}_power_error_pct")
    if point.name == ADJUSTED_POINT and sheet.has_phase:
        found[f"{stem}_phase_error_deg"] = evaluator.phase(dwell, port)
    elif point.name == ADJUSTED_POINT:
        _leave_out(test, sheet, f"{stem}_phase_error_deg")
    for name, evaluated in found.items():
        test.measurements[name] = note_evaluated(sheet, "verify_points", name, evaluated)


def _leave_out(test: htf.TestApi, sheet: Traveller, name: str) -> None:
    test.measurements.set_measurement_outcome_to_skipped(name)
    sheet.left_out.add(("verify_points", name))


def _judge_together(test: htf.TestApi, dwells: Mapping[int, Dwell]) -> None:
    first = next(iter(dwells.values()))  # voltages of one time: the mains wanders
    voltages = [first.means(port).voltage_v for port in first.windows]
    test.measurements["voltages_span_v"] = max(voltages) - min(voltages)
    for port, dwell in dwells.items():
        means = dwell.means(port)
        apparent_va = means.voltage_v * means.current_a
        test.measurements[f"port{port}_{ADJUSTED_POINT}_power_factor"] = abs(means.active_w) / apparent_va
