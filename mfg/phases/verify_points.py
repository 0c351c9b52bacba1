"""Verify the adjusted unit at every load point the bench can set."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.windows import StopRule
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.evaluation import Evaluated, Evaluator
from mfg.readings.load_points import LoadBench
from mfg.readings.notes import NO_POWER, note_dwell
from mfg.readings.operating_state import note_state, operating_state
from mfg.readings.paired import Dwell
from mfg.readings.restarts import require_no_restart
from mfg.readings.standard import bench_limits, bench_standard
from mfg.readings.window_sources import DISCARDED_WINDOWS, window_source
from mfg.station import ADJUSTED_POINT, LoadPoint

WINDOW_S = 0.32  # at 50 Hz, the longer one


@htf.PhaseOptions(timeout_s=400, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def verify_points(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
) -> None:
    """Judge voltage, current, power and phase of every port at each load point, with their uncertainty.

    Needs: the load on at its high point, the adjusted registers in force. Leaves: nothing written, the load
    on at the last point.
    """
    sheet = traveller.sheet
    clock, station = unit.slot_context.clock, unit.slot_context.station
    rule = StopRule(wanted_ppm=sheet.limits.rule("verify_ppm"))
    bench = LoadBench(station, clock, power.switch, reference.open(), sheet.ports)

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress(f"verify {point.name}", done, rule.least)

    standard = bench_standard(station, sheet)
    counts = []
    for point in station.load_points:
        note_state(sheet.operating_states, operating_state(unit.api, clock, sheet.features))
        if point.name == ADJUSTED_POINT:
            settled_s = clock.now_s() + DISCARDED_WINDOWS * WINDOW_S  # the load stayed, the registers changed
        else:
            bench.go_to(point, sheet.deadline_s("settle_s"), feed)
            settled_s = clock.now_s()
        source = window_source(unit.api, clock, sheet.features, settled_s)
        dwell = bench.dwell(source, rule, sheet.deadline_s("dwell_s"), feed)
        note_dwell(sheet, f"verify {point.name}", point, dwell)
        counts.append(dwell.count())
        evaluator = Evaluator(standard, bench_limits(station), station.conductor, point.range_a)
        for port in sheet.ports:
            _judge_port(test, sheet, evaluator, dwell, point, port)
        if point.name == ADJUSTED_POINT:
            _judge_together(test, sheet, dwell)
    test.measurements["verify_windows"] = min(counts)
    require_no_restart(sheet, unit.api, clock)


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
        _set(test, sheet, name, evaluated)


def _leave_out(test: htf.TestApi, sheet: Traveller, name: str) -> None:
    test.measurements.set_measurement_outcome_to_skipped(name)
    sheet.left_out.add(("verify_points", name))


def _set(test: htf.TestApi, sheet: Traveller, name: str, evaluated: Evaluated) -> None:
    limit = sheet.limits.limit("verify_points", name)
    sheet.evaluations["verify_points", name] = evaluated.entry(limit)
    test.measurements[name] = evaluated.value


def _judge_together(test: htf.TestApi, sheet: Traveller, dwell: Dwell) -> None:
    voltages = [dwell.means(port).voltage_v for port in dwell.windows]
    test.measurements["voltages_span_v"] = max(voltages) - min(voltages)
    for port in sheet.ports:
        means = dwell.means(port)
        apparent_va = means.voltage_v * means.current_a
        test.measurements[f"port{port}_{ADJUSTED_POINT}_power_factor"] = abs(means.active_w) / apparent_va
